//! What is asked of a dialect without a document: how a record that is at hand is taken apart.

use std::io;

use super::{Reader, Stop};
use crate::model::format::CsvFormat;

/// A reader of nothing, for the records of this dialect that are at hand.
pub fn dialect(format: &CsvFormat) -> Reader<io::Empty> {
    Reader { end_of_input: true, ..Reader::new(io::empty(), format) }
}

impl Reader<io::Empty> {
    /// Whether a value without a qualifier is read as it is, behind a delimiter, and before one or a record end, which is written so. `text` is scratch.
    pub fn stands_alone(&self, value: &str, record_end: &str, text: &mut Vec<u8>) -> bool {
        let length = self.delimiter.len() + value.len();
        let fits = |text: &[u8], delimits: bool| {
            let before = matches!(self.find_stop(text), Some((0, Stop::Delimiter)));
            let behind = self.find_stop(&text[self.delimiter.len()..]);
            before && behind.is_some_and(|(at, stop)| at == value.len() && matches!(stop, Stop::Delimiter) == delimits)
        };
        text.clear();
        text.extend_from_slice(&self.delimiter);
        text.extend_from_slice(value.as_bytes());
        text.extend_from_slice(&self.delimiter);
        if let Some(end) = &self.record_end {
            // Line ends are passed over behind a record end, or make one of the delimiter.
            let lost = end.between || memchr::memmem::find(&end.text, &self.delimiter).is_some();
            // What follows the delimiter may make a record end of the value and it.
            let from = text.len().saturating_sub(end.text.len().saturating_sub(1));
            if (lost && value.starts_with(['\r', '\n'])) || (from..length).any(|at| end.text.starts_with(&text[at..])) {
                return false;
            }
        }
        if !fits(text, true) {
            return false;
        }
        text.truncate(length);
        text.extend_from_slice(record_end.as_bytes());
        fits(text, false)
    }

    /// How many fields a record has, and where the one of this number, from 1, ends in its exact text, if it has so many; nothing when its last
    /// qualifier is never closed.
    pub fn fields(&self, raw: &[u8], number: usize) -> Option<(usize, Option<usize>)> {
        let (mut count, mut end, mut at) = (0, None, 0);
        loop {
            if self.qualifier.is_some() && raw.get(at) == self.qualifier.as_ref() {
                at += 1;
                loop {
                    at += raw[at..].iter().position(|byte| Some(*byte) == self.qualifier || Some(*byte) == self.escape)?;
                    let escaped = self.escape == Some(raw[at]) && self.escape != self.qualifier;
                    match raw.get(at + 1) {
                        Some(next) if escaped || Some(*next) == self.qualifier => at += 2,
                        _ if escaped => at += 1,
                        _ => break,
                    }
                }
                at += 1;
            }
            let (offset, stop) = self.find_stop(&raw[at..])?;
            at += offset;
            count += 1;
            if count == number {
                end = Some(at);
            }
            match stop {
                Stop::Delimiter => at += self.delimiter.len(),
                Stop::End(_) => return Some((count, end)),
            }
        }
    }
}
