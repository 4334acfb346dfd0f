//! The one shape that every format becomes: a record with its place, its fields by position, and its exact text for the file of refused rows.
//!
//! Later steps never ask where a record came from. A format that names its fields (a header, paths) says which position each has before the
//! first record; from then on a field is a number. The buffers are used again for the next record.

use std::sync::Arc;

pub use super::fault::Fault;
use super::value::Wrong;

/// One record.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Record {
    /// The line it begins on, from 1.
    pub line: u64,
    /// Its exact text as UTF-8, without what ends it. Not valid UTF-8 when the document's bytes were no text.
    pub raw: Vec<u8>,
    /// The values of its fields, one after the other.
    text: String,
    fields: Vec<Span>,
    /// What is wrong with it as a record.
    pub fault: Option<Fault>,
    /// It is of another type than the format reads, and only counts among those that are passed over at the end.
    pub is_other: bool,
    /// Fields whose value cannot be known, and why: a cell that holds an error. They matter where they are asked for.
    pub wrong: Vec<(usize, Wrong)>,
    /// The elements that it stands in, outermost first, in documents that nest.
    pub frames: Option<Arc<Vec<Frame>>>,
    /// Records nested in it, with the position of what asked for them.
    pub nested: Vec<(usize, Record)>,
    /// In a file of refused rows: the line that it stood on in the document it was refused in.
    pub told: Option<u64>,
    /// There, without a header: how many fields records of that document had.
    pub told_fields: Option<usize>,
    /// There: what it was refused for that another row had. Perhaps that one is loaded.
    pub repeats: Repeats,
}

/// What the reasons of a refused record say that another row has too.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Repeats {
    /// A value, or key, that no two rows have.
    pub value: bool,
    /// Its key, which it would take from that row.
    pub key: bool,
}

/// An element that records stand in, as the file of refused rows shows it.
#[derive(Clone, Debug, PartialEq)]
pub struct Frame {
    /// Tells one element from another of the same name.
    pub number: u64,
    /// What comes before the record.
    pub before: String,
    /// What leads from it to the element inside, in JSON: the name of the member, and the bracket of an array.
    pub link: String,
    /// What comes after the last record.
    pub after: String,
}

#[derive(Clone, Copy, Debug, PartialEq)]
struct Span {
    start: u32,
    end: u32,
    exact: bool,
    /// The record says nothing of it.
    lacks: bool,
}

impl Record {
    /// How many fields.
    pub fn len(&self) -> usize {
        self.fields.len()
    }

    /// Whether there is no field at all.
    pub fn is_empty(&self) -> bool {
        self.fields.is_empty()
    }

    /// The value of a field, and whether the document marks it as a value, so that it cannot be a spelling of "no value".
    pub fn field(&self, index: usize) -> Option<(&str, bool)> {
        // An end that cuts a character can only stand in a record with the fault `Encoding`.
        self.fields.get(index).map(|span| (self.text.get(span.start as usize..span.end as usize).unwrap_or_default(), span.exact))
    }

    /// Whether a record says nothing of a field that was asked for by its path.
    pub fn lacks(&self, index: usize) -> bool {
        self.fields.get(index).is_some_and(|span| span.lacks)
    }

    /// All values.
    pub fn texts(&self) -> impl Iterator<Item = &str> + '_ {
        (0..self.len()).filter_map(|index| self.field(index)).map(|(text, _)| text)
    }

    /// Empties it for the record that begins on this line.
    pub fn clear(&mut self, line: u64) {
        self.line = line;
        self.raw.clear();
        self.text.clear();
        self.fields.clear();
        self.fault = None;
        self.is_other = false;
        self.wrong.clear();
        self.frames = None;
        self.nested.clear();
        self.told = None;
        self.told_fields = None;
        self.repeats = Repeats::default();
    }

    /// Leaves all fields out but so many.
    pub fn truncate(&mut self, fields: usize) {
        self.fields.truncate(fields);
    }

    /// Adds a field.
    pub fn push(&mut self, text: &str, exact: bool) {
        let start = self.text.len();
        self.text.push_str(text);
        self.push_span(start, self.text.len(), exact);
    }

    /// Adds a field of which the record says nothing.
    pub fn push_lacking(&mut self) {
        self.push("", false);
        self.fields.last_mut().expect("it was added").lacks = true;
    }

    /// Takes fields from bytes that are not known to be text, as `(end in bytes, exact)`, and leaves its own buffer in `bytes`. What is no text
    /// becomes the fault [`Fault::Encoding`].
    pub fn take_bytes(&mut self, bytes: &mut Vec<u8>, ends: &[(usize, bool)]) {
        match String::from_utf8(std::mem::take(bytes)) {
            Ok(text) => {
                *bytes = std::mem::replace(&mut self.text, text).into_bytes();
                let mut start = 0;
                for (end, exact) in ends {
                    if !self.text.is_char_boundary(*end) {
                        self.fault = Some(Fault::Encoding);
                    }
                    self.push_span(start, *end, *exact);
                    start = *end;
                }
            }
            Err(error) => {
                *bytes = error.into_bytes();
                self.fault = Some(Fault::Encoding);
                self.text.clear();
                self.fields.clear();
            }
        }
        bytes.clear();
    }

    fn push_span(&mut self, start: usize, end: usize, exact: bool) {
        // A record is at most 16 MiB: its offsets fit.
        let narrow = |at: usize| u32::try_from(at).unwrap_or(u32::MAX);
        self.fields.push(Span { start: narrow(start), end: narrow(end), exact, lacks: false });
    }
}
