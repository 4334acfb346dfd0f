//! Writes records in columns of fixed width, so that [`super::read`] reads back what was written.

use crate::document::encoding::{encode, mark};
use crate::document::write::Unwritable;
use crate::model::format::FixedFormat;

/// Appends records.
pub struct Writer {
    format: FixedFormat,
    /// For each column of the format, which of the values it takes.
    places: Vec<Option<usize>>,
    width: usize,
}

impl Writer {
    /// A writer of values of these columns.
    pub fn new(format: &FixedFormat, columns: &[&str]) -> Writer {
        let place = |name: &str| columns.iter().position(|column| crate::model::path::alike(column, name));
        let places = format.columns.iter().map(|column| place(&column.name)).collect();
        let ends = format.columns.iter().map(|column| column.start - 1 + column.length).max();
        Writer { width: format.record_length.or(ends).unwrap_or(0), places, format: format.clone() }
    }

    /// What a document begins with.
    pub fn begin(&self, into: &mut Vec<u8>) {
        mark(self.format.encoding, into);
    }

    /// Appends a record; `None` is no value.
    pub fn record<'a>(&mut self, values: impl IntoIterator<Item = Option<&'a str>>, into: &mut Vec<u8>) -> Result<(), Unwritable> {
        let values: Vec<Option<&str>> = values.into_iter().collect();
        let mut line = vec![' '; self.width];
        for (column, place) in self.format.columns.iter().zip(&self.places) {
            let value = place.and_then(|place| values.get(place).copied().flatten());
            if let Some(value) = value.filter(|value| self.format.nulls.iter().any(|null| null == value)) {
                return Err(Unwritable::Null { value: value.to_owned() });
            }
            let value: Vec<char> = value.or(self.format.nulls.first().map(String::as_str)).unwrap_or_default().chars().collect();
            if value.len() > column.length || value.iter().any(|c| matches!(c, '\r' | '\n')) {
                let shown: String = value.iter().collect();
                return Err(Unwritable::Width { column: column.name.clone(), value: shown, length: column.length });
            }
            let target = &mut line[column.start - 1..column.start - 1 + column.length];
            // No value is blank, whatever pads: zeros would be a value.
            target.fill(if value.is_empty() { ' ' } else { column.pad });
            let from = if column.right { column.length - value.len() } else { 0 };
            target[from..from + value.len()].copy_from_slice(&value);
        }
        if let Some(kind) = &self.format.record_type
            && let Some(equals) = kind.equals.first()
        {
            for (at, c) in (kind.start - 1..kind.start - 1 + kind.length).zip(equals.chars()) {
                if let Some(place) = line.get_mut(at) {
                    *place = c;
                }
            }
        }
        let mut text: String = line.into_iter().collect();
        match (&self.format.record_end, self.format.record_length) {
            (Some(end), _) => text.push_str(end),
            (None, Some(_)) => {}
            (None, None) => text.push_str("\r\n"),
        }
        encode(&text, self.format.encoding, into)
            .map_err(|character| Unwritable::Character { character, encoding: self.format.encoding.name() })
    }
}
