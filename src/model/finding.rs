//! Findings: what is wrong with a document, where, and what would be right. A finding is data, not an error of ours.

use serde::ser::SerializeStruct;
use serde::{Deserialize, Serialize, Serializer};

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
    /// A text that does not match the field's pattern.
    Pattern,
    /// A value, or a key, that another row of the document has.
    Unique,
    /// What must hold between the fields of the row does not.
    Check,
    /// Only new rows are taken, and a row with this key exists.
    Exists,
    /// Only existing rows are changed, and none has this key.
    Missing,
    /// Rows that are loaded together, of which another has a fault.
    Together,
    /// A number that a spreadsheet has shortened, or an error that it wrote in place of a value.
    Spreadsheet,
    /// A stylesheet could not transform the document, or refused it.
    Transform,
    /// What a stylesheet had to say, or what there is to know about the document; no fault.
    Message,
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
            Rule::Pattern => "pattern",
            Rule::Unique => "unique",
            Rule::Check => "check",
            Rule::Exists => "exists",
            Rule::Missing => "missing",
            Rule::Together => "together",
            Rule::Spreadsheet => "spreadsheet",
            Rule::Transform => "transform",
            Rule::Message => "message",
        }
    }

    /// The code of the rule: stable, for programs and for asking others about it.
    pub fn code(self) -> &'static str {
        match self {
            Rule::Encoding => "ENT101",
            Rule::Format => "ENT102",
            Rule::Package => "ENT106",
            Rule::Header => "ENT103",
            Rule::Columns => "ENT104",
            Rule::Size => "ENT105",
            Rule::Transform => "ENT107",
            Rule::Message => "ENT108",
            Rule::Required => "ENT201",
            Rule::Type => "ENT202",
            Rule::Length => "ENT203",
            Rule::Range => "ENT204",
            Rule::Enum => "ENT205",
            Rule::Pattern => "ENT206",
            Rule::Conversion => "ENT207",
            Rule::Spreadsheet => "ENT208",
            Rule::Check => "ENT209",
            Rule::Unique => "ENT301",
            Rule::Reference => "ENT302",
            Rule::Exists => "ENT303",
            Rule::Missing => "ENT304",
            Rule::Load => "ENT305",
            Rule::Together => "ENT306",
        }
    }

    /// Whether the value alone broke the rule, so that its field tells what would be right.
    pub fn is_of_field(self) -> bool {
        use Rule::{Enum, Length, Pattern, Range, Reference, Required, Spreadsheet, Type, Unique};
        matches!(self, Required | Type | Length | Range | Enum | Pattern | Spreadsheet | Unique | Reference)
    }

    /// The code of D365's data management that means the same, where there is one (CONTRACT.md §6).
    pub fn dmf_code(self) -> Option<&'static str> {
        match self {
            Rule::Encoding => Some("DMF1957"),
            Rule::Header => Some("DMF1966"),
            Rule::Columns => Some("DMF2018"),
            Rule::Type => Some("DMF1855"),
            Rule::Unique => Some("DMF1959"),
            _ => None,
        }
    }
}

/// One fault in a document, with its place.
#[derive(Clone, Debug, PartialEq, Deserialize)]
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
    /// What would be right, when the field tells: `text of at most 10 characters, not blank`. Otherwise empty.
    #[serde(default)]
    pub expected: String,
    /// What is wrong: lower case, no full stop.
    pub message: String,
    /// What to do about it.
    pub hint: String,
}

impl Finding {
    /// About a whole document: no row, no column, no value.
    pub fn of_document(rule: Rule, entity: &str, message: impl Into<String>, hint: impl Into<String>) -> Finding {
        Finding {
            rule,
            entity: entity.to_owned(),
            line: 0,
            row: 0,
            column: String::new(),
            field: String::new(),
            value: String::new(),
            expected: String::new(),
            message: message.into(),
            hint: hint.into(),
        }
    }

    /// What it is about: the columns, or the fields of what no column fills.
    pub fn subject(&self) -> &str {
        if self.column.is_empty() { &self.field } else { &self.column }
    }
}

/// Its parts, and the codes of its rule.
impl Serialize for Finding {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut all = serializer.serialize_struct("Finding", 12)?;
        all.serialize_field("code", self.rule.code())?;
        all.serialize_field("dmf_code", &self.rule.dmf_code())?;
        all.serialize_field("rule", &self.rule)?;
        all.serialize_field("entity", &self.entity)?;
        all.serialize_field("line", &self.line)?;
        all.serialize_field("row", &self.row)?;
        all.serialize_field("column", &self.column)?;
        all.serialize_field("field", &self.field)?;
        all.serialize_field("value", &self.value)?;
        all.serialize_field("expected", &self.expected)?;
        all.serialize_field("message", &self.message)?;
        all.serialize_field("hint", &self.hint)?;
        all.end()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_rule_has_a_code_of_its_own_and_reads_back_from_its_name() {
        let all = [
            Rule::Encoding,
            Rule::Format,
            Rule::Header,
            Rule::Columns,
            Rule::Size,
            Rule::Required,
            Rule::Type,
            Rule::Length,
            Rule::Range,
            Rule::Enum,
            Rule::Conversion,
            Rule::Reference,
            Rule::Load,
            Rule::Package,
            Rule::Pattern,
            Rule::Unique,
            Rule::Check,
            Rule::Exists,
            Rule::Missing,
            Rule::Together,
            Rule::Spreadsheet,
            Rule::Transform,
            Rule::Message,
        ];
        let codes: std::collections::BTreeSet<&str> = all.iter().map(|rule| rule.code()).collect();
        assert_eq!(codes.len(), all.len());
        for rule in all {
            assert_eq!(serde_json::to_value(rule).unwrap(), rule.name(), "the stored name");
            assert_eq!(serde_json::from_value::<Rule>(rule.name().into()).unwrap(), rule);
        }
    }
}
