//! Writes records in any format: one face for all writers.

use std::fmt;

use super::{csv, excel, fixed, json, xml};
use crate::model::entity::{Entity, FieldKind};
use crate::model::format::Format;

/// A value that the format cannot hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Unwritable {
    /// A character that the encoding lacks.
    Character {
        /// The character.
        character: char,
        /// The encoding's name.
        encoding: &'static str,
    },
    /// A value wider than its column.
    Width {
        /// The column.
        column: String,
        /// The value.
        value: String,
        /// Its width, in characters.
        length: usize,
    },
    /// The workbook cannot be written.
    Workbook(String),
}

impl fmt::Display for Unwritable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Unwritable::Character { character, encoding } => {
                write!(f, "{encoding} has no \"{}\"; choose another encoding in the format", character.escape_debug())
            }
            Unwritable::Width { column, value, length } => {
                write!(f, "\"{}\" does not fit into the {length} characters of column {column}", value.escape_debug())
            }
            Unwritable::Workbook(reason) => write!(f, "the workbook cannot be written: {reason}"),
        }
    }
}

/// Appends a document to a buffer: first [`Writer::begin`], then records, then [`Writer::end`].
pub struct Writer {
    names: Vec<String>,
    inner: Inner,
}

enum Inner {
    Csv(csv::write::Writer, bool),
    Fixed(fixed::write::Writer),
    Xml(xml::write::Writer),
    Json(json::write::Writer),
    Excel(Box<excel::write::Writer>, bool),
}

impl Writer {
    /// A writer of these fields of an entity.
    pub fn new(format: &Format, entity: &Entity, fields: &[usize]) -> Result<Writer, Unwritable> {
        let names: Vec<String> = fields.iter().map(|index| entity.fields[*index].name.clone()).collect();
        let kinds: Vec<&FieldKind> = fields.iter().map(|index| &entity.fields[*index].kind).collect();
        let columns: Vec<&str> = names.iter().map(String::as_str).collect();
        let inner = match format {
            Format::Csv(format) => Inner::Csv(csv::write::Writer::new(format), format.header),
            Format::Fixed(format) => Inner::Fixed(fixed::write::Writer::new(format, &columns)),
            Format::Xml(format) => Inner::Xml(xml::write::Writer::new(format, &entity.name, &columns)),
            Format::Json(format) => Inner::Json(json::write::Writer::new(format, &columns, &kinds)),
            Format::Excel(format) => {
                let kinds = kinds.into_iter().cloned().collect();
                Inner::Excel(Box::new(excel::write::Writer::new(format, kinds)?), format.header_row > 0)
            }
        };
        Ok(Writer { names, inner })
    }

    /// What comes before the first record.
    pub fn begin(&mut self, into: &mut Vec<u8>) -> Result<(), Unwritable> {
        match &mut self.inner {
            Inner::Csv(writer, header) => {
                writer.begin(into);
                if *header {
                    writer.record(self.names.iter().map(|name| Some(name.as_str())), into)?;
                }
            }
            Inner::Fixed(writer) => writer.begin(into),
            Inner::Xml(writer) => writer.begin(into),
            Inner::Json(writer) => writer.begin(into),
            Inner::Excel(writer, header) => {
                if *header {
                    writer.header(&self.names.iter().map(String::as_str).collect::<Vec<_>>())?;
                }
            }
        }
        Ok(())
    }

    /// Appends a record; `None` is no value.
    pub fn record<'a>(&mut self, values: impl IntoIterator<Item = Option<&'a str>>, into: &mut Vec<u8>) -> Result<(), Unwritable> {
        match &mut self.inner {
            Inner::Csv(writer, _) => writer.record(values, into),
            Inner::Fixed(writer) => writer.record(values, into),
            Inner::Xml(writer) => writer.record(values, into),
            Inner::Json(writer) => writer.record(values, into),
            Inner::Excel(writer, _) => writer.record(values),
        }
    }

    /// What comes after the last record.
    pub fn end(&mut self, into: &mut Vec<u8>) -> Result<(), Unwritable> {
        match &mut self.inner {
            Inner::Csv(..) | Inner::Fixed(_) => {}
            Inner::Xml(writer) => writer.end(into),
            Inner::Json(writer) => writer.end(into),
            Inner::Excel(writer, _) => writer.end(into)?,
        }
        Ok(())
    }
}
