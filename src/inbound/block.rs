//! Rows on their way from the parsing to the loading thread: one buffer for the values of all rows of a block, one for their exact texts.
//!
//! An allocation for each value would be freed by the other thread, which costs more than the work on it. A block is filled, loaded, emptied and
//! used again.

use std::ops::Range;
use std::sync::Arc;

use super::several::NO_LINE;
use crate::document::record::{Frame, Record, Repeats};
use crate::model::finding::Finding;
use crate::store::entities::Cell;

/// A block of more rows is full.
pub const ROWS_MAX: usize = 512;
/// A block of more bytes is full.
const BYTES_MAX: usize = 1024 * 1024;
/// The values of one record have at most so many bytes: a mapping may use a long value many times.
pub const RECORD_BYTES_MAX: usize = 64 * 1024 * 1024;

/// Records after mapping and validation.
#[derive(Debug, Default)]
pub struct Block {
    text: String,
    raw: Vec<u8>,
    values: Vec<Value>,
    filled: Vec<u16>,
    findings: Vec<Finding>,
    rows: Vec<RowHead>,
    records: Vec<Head>,
}

/// A value of a row between mapping and loading.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Value {
    /// Nothing, or blank where that makes no difference.
    None,
    /// Blank, in a field that keeps what the row has where the record says nothing of it.
    Blank,
    /// It has a finding: nothing else can be said of it.
    Bad,
    /// INTEGER.
    Integer(i64),
    /// TEXT, a part of the block's text. A block is smaller than 4 GiB.
    Text {
        /// Its first byte.
        start: u32,
        /// The byte behind its last.
        end: u32,
    },
    /// The next number of the plan's sequence of this index, taken when the row is loaded.
    Sequence(u32),
    /// The value of this index of the row that it belongs to, as that was loaded.
    Parent(u32),
}

#[derive(Debug)]
struct RowHead {
    part: usize,
    line: u64,
    values: Range<usize>,
    filled: Range<usize>,
}

#[derive(Debug)]
struct Head {
    line: u64,
    number: u64,
    raw: Range<usize>,
    rows: Range<usize>,
    findings: Range<usize>,
    frames: Option<Arc<Vec<Frame>>>,
    repeats: Repeats,
}

/// A record of a block.
#[derive(Clone, Copy, Debug)]
pub struct Entry<'a> {
    /// The line it begins on.
    pub line: u64,
    /// Its number, from 1.
    pub number: u64,
    /// Its exact text, for the file of refused rows: a good row may still be refused when it is loaded.
    pub raw: &'a [u8],
    /// The elements that it stands in, in documents that nest.
    pub frames: Option<&'a Arc<Vec<Frame>>>,
    /// Why it is refused.
    pub findings: &'a [Finding],
    repeats: Repeats,
    rows: &'a [RowHead],
    values: &'a [Value],
    filled: &'a [u16],
}

/// A row of a record: the record itself, or one nested in it.
#[derive(Clone, Copy, Debug)]
pub struct RowEntry<'a> {
    /// Which entity: 0 is the record's own, others are those of nested records.
    pub part: usize,
    /// The line it begins on.
    pub line: u64,
    /// One value for each of the plan's columns.
    pub values: &'a [Value],
    /// Which line of the mapping has filled each field that several may fill.
    pub filled: &'a [u16],
    /// It was refused before for what another had, and comes back.
    pub repeats: Repeats,
}

impl<'a> Entry<'a> {
    /// How many rows it is.
    pub fn len(&self) -> u64 {
        self.rows.len() as u64
    }

    /// Whether it has no row; it always has one.
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// Its rows, the record's own first.
    pub fn rows(&self) -> impl Iterator<Item = RowEntry<'a>> + use<'a> {
        let (values, filled, repeats) = (self.values, self.filled, self.repeats);
        self.rows.iter().map(move |head| RowEntry {
            part: head.part,
            line: head.line,
            values: &values[head.values.clone()],
            filled: &filled[head.filled.clone()],
            repeats,
        })
    }
}

/// The rows of a record while they are filled.
pub struct Rows<'a> {
    block: &'a mut Block,
}

impl Rows<'_> {
    /// Adds a row of an entity; `fill` appends texts, sets its values, says which line has filled each of the fields that several may fill, and tells
    /// its findings.
    pub fn row(
        &mut self,
        (part, line): (usize, u64),
        (columns, several): (usize, usize),
        fill: impl FnOnce(&mut String, &mut [Value], &mut [u16], &mut Vec<Finding>),
    ) {
        let (from, first) = (self.block.values.len(), self.block.filled.len());
        self.block.values.resize(from + columns, Value::None);
        self.block.filled.resize(first + several, NO_LINE);
        fill(&mut self.block.text, &mut self.block.values[from..], &mut self.block.filled[first..], &mut self.block.findings);
        self.block.rows.push(RowHead { part, line, values: from..from + columns, filled: first..first + several });
    }
}

impl Block {
    /// Whether it should be sent on.
    pub fn is_full(&self) -> bool {
        self.rows.len() >= ROWS_MAX || self.text.len() + self.raw.len() >= BYTES_MAX
    }

    /// Whether there is nothing in it.
    pub fn is_empty(&self) -> bool {
        self.records.is_empty()
    }

    /// Makes it ready to be filled again.
    pub fn clear(&mut self) {
        // What one long record needed is not kept for ever.
        if self.text.capacity() + self.raw.capacity() > 8 * BYTES_MAX {
            *self = Block::default();
        }
        self.text.clear();
        self.raw.clear();
        self.values.clear();
        self.filled.clear();
        self.findings.clear();
        self.rows.clear();
        self.records.clear();
    }

    /// Adds a record; `fill` adds its rows.
    pub fn record(&mut self, record: &Record, number: u64, fill: impl FnOnce(&mut Rows<'_>)) {
        let (findings, from, rows) = (self.findings.len(), self.raw.len(), self.rows.len());
        self.raw.extend_from_slice(&record.raw);
        fill(&mut Rows { block: self });
        self.records.push(Head {
            line: record.line,
            number,
            raw: from..self.raw.len(),
            rows: rows..self.rows.len(),
            findings: findings..self.findings.len(),
            frames: record.frames.clone(),
            repeats: record.repeats,
        });
    }

    /// Its records, in order.
    pub fn records(&self) -> impl Iterator<Item = Entry<'_>> {
        self.records.iter().map(|head| Entry {
            line: head.line,
            number: head.number,
            raw: &self.raw[head.raw.clone()],
            frames: head.frames.as_ref(),
            repeats: head.repeats,
            findings: &self.findings[head.findings.clone()],
            rows: &self.rows[head.rows.clone()],
            values: &self.values,
            filled: &self.filled,
        })
    }

    /// A value that needs no sequence, as it is bound.
    pub fn cell(&self, value: Value) -> Cell<'_> {
        match value {
            Value::None | Value::Bad | Value::Sequence(_) | Value::Parent(_) => Cell::Null,
            Value::Blank => Cell::Blank,
            Value::Integer(integer) => Cell::Integer(integer),
            Value::Text { start, end } => Cell::Text(&self.text[start as usize..end as usize]),
        }
    }
}
