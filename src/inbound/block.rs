//! Rows on their way from the parsing to the loading thread: one buffer for the values of all rows of a block, one for their exact texts.
//!
//! An allocation for each value would be freed by the other thread, which costs more than the work on it. A block is filled, loaded, emptied and
//! used again.

use std::ops::Range;
use std::sync::Arc;

use crate::document::record::{Frame, Record};
use crate::model::finding::Finding;
use crate::store::entities::Cell;

/// Records of a block, at most.
pub const RECORDS_MAX: usize = 512;
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
    findings: Vec<Finding>,
    records: Vec<Head>,
}

/// A value of a row between mapping and loading.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Value {
    /// Blank.
    None,
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
}

#[derive(Debug)]
struct Head {
    line: u64,
    number: u64,
    raw: Range<usize>,
    values: Range<usize>,
    findings: Range<usize>,
    frames: Option<Arc<Vec<Frame>>>,
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
    /// One value for each of the plan's columns; none when it has findings.
    pub values: &'a [Value],
    /// Why it is refused.
    pub findings: &'a [Finding],
}

impl Block {
    /// Whether it should be sent on.
    pub fn is_full(&self) -> bool {
        self.records.len() >= RECORDS_MAX || self.text.len() + self.raw.len() >= BYTES_MAX
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
        self.findings.clear();
        self.records.clear();
    }

    /// Adds a record; `fill` sets its values and returns its findings.
    pub fn record(
        &mut self,
        record: &Record,
        number: u64,
        columns: usize,
        fill: impl FnOnce(&mut String, &mut [Value], &mut Vec<Finding>),
    ) {
        let (text, values, findings, from) = (self.text.len(), self.values.len(), self.findings.len(), self.raw.len());
        self.raw.extend_from_slice(&record.raw);
        self.values.resize(values + columns, Value::None);
        fill(&mut self.text, &mut self.values[values..], &mut self.findings);
        if self.findings.len() > findings {
            self.values.truncate(values);
            self.text.truncate(text);
        }
        self.records.push(Head {
            line: record.line,
            number,
            frames: record.frames.clone(),
            raw: from..self.raw.len(),
            values: values..self.values.len(),
            findings: findings..self.findings.len(),
        });
    }

    /// Its records, in order.
    pub fn records(&self) -> impl Iterator<Item = Entry<'_>> {
        self.records.iter().map(|head| Entry {
            line: head.line,
            number: head.number,
            raw: &self.raw[head.raw.clone()],
            frames: head.frames.as_ref(),
            values: &self.values[head.values.clone()],
            findings: &self.findings[head.findings.clone()],
        })
    }

    /// A value that needs no sequence, as it is bound.
    pub fn cell(&self, value: Value) -> Cell<'_> {
        match value {
            Value::None | Value::Sequence(_) => Cell::Null,
            Value::Integer(integer) => Cell::Integer(integer),
            Value::Text { start, end } => Cell::Text(&self.text[start as usize..end as usize]),
        }
    }
}
