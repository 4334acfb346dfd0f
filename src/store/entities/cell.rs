//! A value on its way to a column.

use rusqlite::ToSql;
use rusqlite::types::ValueRef;

use crate::document::value::Stored;

/// A value to be bound.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Cell<'a> {
    /// No value.
    Null,
    /// INTEGER.
    Integer(i64),
    /// TEXT; valid UTF-8 by construction.
    Text(&'a str),
}

impl Cell<'_> {
    /// The value kept by itself.
    pub fn stored(&self) -> Option<Stored> {
        match self {
            Cell::Null => None,
            Cell::Integer(value) => Some(Stored::Integer(*value)),
            Cell::Text(text) => Some(Stored::Text((*text).to_owned())),
        }
    }

    /// As text, for messages.
    pub fn text(&self) -> String {
        match self {
            Cell::Null => String::new(),
            Cell::Integer(value) => value.to_string(),
            Cell::Text(text) => (*text).to_owned(),
        }
    }
}

impl ToSql for Cell<'_> {
    fn to_sql(&self) -> rusqlite::Result<rusqlite::types::ToSqlOutput<'_>> {
        Ok(rusqlite::types::ToSqlOutput::Borrowed(match self {
            Cell::Null => ValueRef::Null,
            Cell::Integer(value) => ValueRef::Integer(*value),
            Cell::Text(text) => ValueRef::Text(text.as_bytes()),
        }))
    }
}

impl<'a> From<&'a Stored> for Cell<'a> {
    fn from(stored: &'a Stored) -> Self {
        match stored {
            Stored::Text(text) => Cell::Text(text),
            Stored::Integer(value) => Cell::Integer(*value),
        }
    }
}
