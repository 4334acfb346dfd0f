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
    /// No value; where blanks keep what the row has, it keeps it.
    Null,
    /// No value, there too. Bound as a blob without a byte, which no document has.
    Blank,
    /// INTEGER.
    Integer(i64),
    /// TEXT; valid UTF-8 by construction.
    Text(&'a str),
}

impl Cell<'_> {
    /// Whether it is no value.
    pub fn is_blank(&self) -> bool {
        matches!(self, Cell::Null | Cell::Blank)
    }

    /// The value kept by itself.
    pub fn stored(&self) -> Option<Stored> {
        match self {
            Cell::Null | Cell::Blank => None,
            Cell::Integer(value) => Some(Stored::Integer(*value)),
            Cell::Text(text) => Some(Stored::Text((*text).to_owned())),
        }
    }

    /// As text, for messages.
    pub fn text(&self) -> String {
        match self {
            Cell::Null | Cell::Blank => String::new(),
            Cell::Integer(value) => value.to_string(),
            Cell::Text(text) => (*text).to_owned(),
        }
    }
}

impl ToSql for Cell<'_> {
    fn to_sql(&self) -> rusqlite::Result<rusqlite::types::ToSqlOutput<'_>> {
        Ok(rusqlite::types::ToSqlOutput::Borrowed(match self {
            Cell::Null => ValueRef::Null,
            Cell::Blank => ValueRef::Blob(&[]),
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

/// Whether a text of a table of ours is kept as one of this type is, by its shape; what is not may have been one of another type before the
/// configuration was changed.
pub fn is_kept(text: &[u8], kind: &FieldKind) -> bool {
    let digits = |part: &[u8]| part.iter().all(u8::is_ascii_digit);
    // 0 stands for a digit, x for one of a GUID.
    let like = |text: &[u8], shape: &[u8]| {
        let is = |(byte, shape): (&u8, &u8)| match shape {
            b'0' => byte.is_ascii_digit(),
            b'x' => matches!(byte, b'0'..=b'9' | b'a'..=b'f'),
            shape => byte == shape,
        };
        text.len() == shape.len() && text.iter().zip(shape).all(is)
    };
    let fraction = |part: &[u8]| match part {
        [b'.', part @ .., b'Z'] => digits(part) && (part.len() == 3 || (4..=9).contains(&part.len()) && !part.ends_with(b"0")),
        _ => part == b"Z",
    };
    match kind {
        FieldKind::String { .. } => true,
        FieldKind::Integer | FieldKind::Boolean => false,
        FieldKind::Date => like(text, b"0000-00-00"),
        FieldKind::DateTime => text.split_at_checked(19).is_some_and(|(at, part)| like(at, b"0000-00-00T00:00:00") && fraction(part)),
        FieldKind::Decimal { scale, .. } => {
            let (whole, part) = match *scale {
                0 => (text, &[][..]),
                scale => match text.len().checked_sub(usize::from(scale) + 1) {
                    Some(point) if text[point] == b'.' => (&text[..point], &text[point + 1..]),
                    _ => return false,
                },
            };
            let whole = whole.strip_prefix(b"-").unwrap_or(whole);
            !whole.is_empty() && digits(whole) && digits(part)
        }
        FieldKind::Enum { values } => values.iter().any(|(name, _)| name.as_bytes() == text),
        FieldKind::Guid => like(text, b"xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx"),
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::document::value::parse;

    #[test]
    fn what_tables_of_ours_keep_has_the_shape_of_its_type_and_other_texts_have_not() {
        let values = vec![("Open".to_owned(), 0), ("Closed".to_owned(), 1)];
        for (kind, good, bad) in [
            (FieldKind::Date, vec!["2026-11-26"], vec!["26.11.2026", "2026-11-26T00:00:00Z", "x", ""]),
            (
                FieldKind::DateTime,
                vec!["2026-11-26T10:00:00Z", "2026-11-26 10:00:00.250", "2026-11-26T10:00:00.1234567Z", "2026-11-26 10:00:00.00000001"],
                vec![
                    "2026-11-26",
                    "x",
                    "2026-11-26T10:00:00.25Z",
                    "2026-11-26T10:00:00.2500Z",
                    "2026-11-26Txx:00:00.000Z",
                    "2026-11-26T10: 0:00Z",
                ],
            ),
            (FieldKind::Decimal { precision: 9, scale: 2 }, vec!["12.5", "-0.25", "7"], vec!["12.5", "a.50", ".50", "", "-"]),
            (FieldKind::Decimal { precision: 9, scale: 0 }, vec!["12", "-3"], vec!["12.0", "", "x"]),
            (FieldKind::Enum { values }, vec!["open", "1"], vec!["open", "0", ""]),
            (FieldKind::Guid, vec!["6D31E09F-0249-459F-94F0-AAD9C2C47B64"], vec!["6D31E09F-0249-459F-94F0-AAD9C2C47B64", "x"]),
        ] {
            let field = Field { kind: kind.clone(), ..Field::default() };
            for text in good {
                let kept = parse(&field, text, &Reading::default()).unwrap().text();
                assert!(is_kept(kept.as_bytes(), &kind), "{kept} as {kind:?}");
            }
            bad.into_iter().for_each(|text| assert!(!is_kept(text.as_bytes(), &kind), "{text} as {kind:?}"));
        }
    }
}
