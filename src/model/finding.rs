//! Findings: what is wrong with a document, where, and what would be right. A finding is data, not an error of ours.

use serde::{Deserialize, Serialize};

/// The rule that a value or record broke. The names are stable: they are stored and shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Rule {
    /// The bytes are not text in the stated encoding.
    Encoding,
    /// The document is not of the stated format.
    Format,
    /// The header lacks a column, or names one twice.
    Header,
    /// A record has too few or too many columns.
    Columns,
    /// A record or the document is larger than the limit.
    Size,
    /// A required field is blank.
    Required,
    /// The value is not of the field's type.
    Type,
    /// Text longer than the field.
    Length,
    /// A number outside minimum, maximum, precision or scale.
    Range,
    /// Not one of the field's values.
    Enum,
    /// Not converted: no pair of the mapping's values matches.
    Conversion,
    /// The row that this one refers to does not exist.
    Reference,
    /// The data package is not as it should be, or one of its entities is not.
    Package,
    /// The table refused the row.
    Load,
}

impl Rule {
    /// The stored name.
    pub fn name(self) -> &'static str {
        match self {
            Rule::Encoding => "encoding",
            Rule::Format => "format",
            Rule::Header => "header",
            Rule::Columns => "columns",
            Rule::Size => "size",
            Rule::Required => "required",
            Rule::Type => "type",
            Rule::Length => "length",
            Rule::Range => "range",
            Rule::Enum => "enum",
            Rule::Conversion => "conversion",
            Rule::Reference => "reference",
            Rule::Package => "package",
            Rule::Load => "load",
        }
    }
}

/// One fault in a document, with its place.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Finding {
    /// The rule that was broken.
    pub rule: Rule,
    /// The entity whose document it is.
    pub entity: String,
    /// Line in the document, from 1, where the record begins; 0 when the finding is about the whole document.
    pub line: u64,
    /// Record number, from 1, header not counted; 0 when the finding is about the whole document.
    pub row: u64,
    /// The document's column, by name or number; empty when the finding is about the record.
    pub column: String,
    /// The entity's field; empty when no field is concerned.
    pub field: String,
    /// What was found, cut to 200 characters.
    pub value: String,
    /// What is wrong: lower case, no full stop.
    pub message: String,
    /// What to do about it.
    pub hint: String,
}
