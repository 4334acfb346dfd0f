//! A value on its way to a column, and one that comes from a column which may not be ours.

use std::borrow::Cow;

use rusqlite::ToSql;
use rusqlite::types::ValueRef;

use crate::document::value::{self, Reading, Stored, Wrong};
use crate::model::entity::{Field, FieldKind};
use crate::model::finding::Rule;

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

/// A value of a table in the spelling that tables of ours keep, whatever its storage class; what is wrong when it is none of the field's type. Bounds
/// and patterns of the field are for what comes in.
pub fn as_kept(cell: ValueRef<'_>, field: &Field) -> Result<Option<Stored>, Wrong> {
    let text = match cell {
        ValueRef::Null => return Ok(None),
        ValueRef::Integer(value) => Cow::Owned(value.to_string()),
        ValueRef::Real(value) => Cow::Owned(value::real_text(value)),
        ValueRef::Text(bytes) | ValueRef::Blob(bytes) => Cow::Borrowed(std::str::from_utf8(bytes).map_err(|_| Wrong {
            rule: Rule::Type,
            message: "it holds bytes that are no text in UTF-8".into(),
            hint: "correct it in the table, or leave the field out".into(),
        })?),
    };
    if let FieldKind::String { .. } = field.kind {
        return Ok(Some(Stored::Text(text.into_owned())));
    }
    if text.trim().is_empty() {
        return Ok(None);
    }
    let unbounded = Field { kind: field.kind.clone(), ..Field::default() };
    value::parse(&unbounded, &text, &Reading::default()).map(Some).map_err(|wrong| Wrong {
        message: format!("found \"{}\", {}", text.chars().take(100).collect::<String>().escape_debug(), wrong.message),
        ..wrong
    })
}
