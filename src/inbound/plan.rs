//! Maps and validates: a project entity's mapping, compiled once against a document's header, then applied record by record. Pure.

use std::collections::HashMap;

use crate::document::csv::read::{Fault, Record};
use crate::document::value::{self, Reading, Stored};
use crate::model::entity::{Entity, FieldKind};
use crate::model::finding::{Finding, Rule};
use crate::model::format::{CsvFormat, Format};
use crate::model::mapping::{Mapping, Source};
use crate::model::project::ProjectEntity;

/// Characters of a value that a finding shows.
const VALUE_SHOWN_MAX: usize = 200;

/// A value of a row between mapping and loading.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// Blank.
    None,
    /// Ready for the table.
    Stored(Stored),
    /// The next number of this sequence, taken when the row is loaded.
    Sequence(String),
}

/// A record after mapping and validation.
#[derive(Clone, Debug, PartialEq)]
pub enum Row {
    /// One value for each of [`Plan::columns`].
    Good(Vec<Value>),
    /// Refused, with at least one finding.
    Refused(Vec<Finding>),
}

/// A mapping compiled against a document.
pub struct Plan<'a> {
    entity: &'a Entity,
    format: &'a CsvFormat,
    header: Vec<String>,
    lines: Vec<Line<'a>>,
    columns: Vec<(usize, bool)>,
    /// The fewest fields a record must have.
    fields_min: usize,
    by_field: Vec<Option<usize>>,
}

struct Line<'a> {
    mapping: &'a Mapping,
    /// Where the value is in a record.
    column: Option<usize>,
    values: HashMap<&'a str, &'a str>,
    reading: Reading,
    /// Position in `columns`.
    target: usize,
}

impl<'a> Plan<'a> {
    /// Compiles. `header` is the document's header when its format has one. The findings say which columns are missing.
    pub fn new(project_entity: &'a ProjectEntity, header: Option<(u64, Vec<String>)>) -> Result<Plan<'a>, Vec<Finding>> {
        let Format::Csv(format) = &project_entity.format;
        let entity = &*project_entity.entity;
        let (header_line, header) = header.unwrap_or_default();
        let mut findings = Vec::new();
        let mut refuse = |column: &str, field: usize, message: String| {
            let present = header.iter().map(|name| name.trim()).collect::<Vec<_>>().join(", ");
            findings.push(Finding {
                rule: Rule::Header,
                entity: entity.name.clone(),
                line: header_line,
                row: 0,
                column: column.to_owned(),
                field: entity.fields[field].name.clone(),
                value: String::new(),
                message,
                hint: format!("the document has the columns {}; add the column, or correct the mapping", cut(&present, 1000)),
            });
        };
        let mut columns: Vec<(usize, bool)> = Vec::new();
        let mut lines = Vec::new();
        let mut fields_min = 0;
        for mapping in &project_entity.mapping {
            let column = match &mapping.source {
                Source::Column(name) => {
                    let mut found =
                        header.iter().enumerate().filter(|(_, column)| column.trim().eq_ignore_ascii_case(name.trim())).map(|(at, _)| at);
                    match (found.next(), found.next()) {
                        (Some(at), None) => Some(at),
                        (Some(_), Some(_)) => {
                            refuse(name, mapping.field, format!("the column \"{name}\" stands twice in the header"));
                            continue;
                        }
                        (None, _) => {
                            refuse(name, mapping.field, format!("the document has no column \"{name}\""));
                            continue;
                        }
                    }
                }
                Source::Number(number) => {
                    fields_min = fields_min.max(*number);
                    Some(number - 1)
                }
                Source::Value(_) | Source::NumberSequence { .. } => None,
            };
            let target = columns.iter().position(|(field, _)| *field == mapping.field).unwrap_or_else(|| {
                columns.push((mapping.field, mapping.ignore_blank));
                columns.len() - 1
            });
            lines.push(Line {
                mapping,
                column,
                values: mapping.values.iter().map(|(from, to)| (from.as_str(), to.as_str())).collect(),
                reading: Reading {
                    decimal_separator: u8::try_from(format.decimal_separator).unwrap_or(b'.'),
                    date_formats: mapping.date_formats.clone(),
                    time_zone: mapping.time_zone,
                },
                target,
            });
        }
        if !findings.is_empty() {
            return Err(findings);
        }
        let by_field = (0..entity.fields.len()).map(|field| columns.iter().position(|(mapped, _)| *mapped == field)).collect();
        Ok(Plan { entity, format, header, lines, columns, fields_min, by_field })
    }

    /// The fields that a row has values for, and whether a blank keeps what the table has.
    pub fn columns(&self) -> &[(usize, bool)] {
        &self.columns
    }

    /// Maps and validates a record. `number` is its row number, from 1.
    pub fn apply(&self, record: &Record, number: u64) -> Row {
        if let Some(finding) = self.check_record(record, number) {
            return Row::Refused(vec![finding]);
        }
        let mut values = vec![Value::None; self.columns.len()];
        let mut findings = Vec::new();
        for line in &self.lines {
            if let Err(finding) = self.map(line, record, number, &mut values) {
                findings.push(finding);
            }
        }
        for (field, definition) in self.entity.fields.iter().enumerate() {
            let needed = definition.required || self.entity.key.contains(&field);
            let blank = self.by_field[field].is_none_or(|at| values[at] == Value::None);
            let keeps = self.by_field[field].is_some_and(|at| self.columns[at].1) && !self.entity.key.contains(&field);
            if needed && blank && !keeps && !findings.iter().any(|finding: &Finding| finding.field == definition.name) {
                let line = self.lines.iter().find(|line| line.mapping.field == field);
                let column = line.map_or_else(String::new, |line| self.column_name(line));
                let (message, hint) = ("a required value is blank", "fill it in, or give the mapping a default value");
                findings.push(self.finding(Rule::Required, record, number, &column, &definition.name, "", message, hint));
            }
        }
        if findings.is_empty() { Row::Good(values) } else { Row::Refused(findings) }
    }

    fn check_record(&self, record: &Record, number: u64) -> Option<Finding> {
        let finding = |rule, message: &str, hint: &str| {
            Some(self.finding(rule, record, number, "", "", &String::from_utf8_lossy(&record.raw), message, hint))
        };
        match record.fault {
            Some(Fault::Unterminated) => {
                return finding(
                    Rule::Format,
                    "a qualifier is opened and never closed",
                    "close it, or set qualifier = \"\" in the format when quotes are data",
                );
            }
            Some(Fault::Encoding) => {
                let message = format!("the record is no text in {}", self.format.encoding.name());
                return finding(Rule::Encoding, &message, "save the document in that encoding, or set encoding in the format");
            }
            Some(Fault::Size) => {
                return finding(
                    Rule::Size,
                    "the record is larger than 16 MiB",
                    "check the qualifier: one that is never closed joins records",
                );
            }
            Some(Fault::Fields) => return finding(Rule::Size, "the record has more than 4,096 fields", "check the delimiter"),
            None => {}
        }
        if self.format.header && record.len() != self.header.len() {
            let message = format!("{} fields, the header has {}", record.len(), self.header.len());
            return finding(Rule::Columns, &message, "check for a delimiter inside a value that is not qualified");
        }
        if record.len() < self.fields_min {
            let message = format!("{} fields, the mapping needs {}", record.len(), self.fields_min);
            return finding(Rule::Columns, &message, "check the delimiter, or correct the mapping");
        }
        None
    }

    fn map(&self, line: &Line<'_>, record: &Record, number: u64, values: &mut [Value]) -> Result<(), Finding> {
        let mapping = line.mapping;
        let field = &self.entity.fields[mapping.field];
        let complain = |rule, shown: &str, message: &str, hint: &str| {
            Err(self.finding(rule, record, number, &self.column_name(line), &field.name, shown, message, hint))
        };
        let (bytes, qualified) = match (&mapping.source, line.column.and_then(|column| record.field(column))) {
            (Source::NumberSequence { pattern, when_blank }, _) => {
                if !when_blank || values[line.target] == Value::None {
                    values[line.target] = Value::Sequence(pattern.clone());
                }
                return Ok(());
            }
            (Source::Value(text), _) => (text.as_bytes(), true),
            (_, Some(found)) => found,
            (_, None) => (&b""[..], false),
        };
        // The whole record was checked to be UTF-8; a delimiter of its own bytes cannot cut a character.
        let Ok(text) = std::str::from_utf8(bytes) else {
            return complain(Rule::Encoding, "", "the value is no text", "save the document in the stated encoding");
        };
        if !qualified && self.format.nulls.iter().any(|null| null == text) {
            return Ok(());
        }
        let trimmed = if mapping.trim { text.trim() } else { text };
        let cased;
        let text = match (mapping.upper, mapping.lower) {
            (true, _) => {
                cased = trimmed.to_uppercase();
                &cased
            }
            (_, true) => {
                cased = trimmed.to_lowercase();
                &cased
            }
            _ => trimmed,
        };
        let text = match line.values.is_empty() {
            true => text,
            false => match line.values.get(text).or_else(|| line.values.get("*").map(|to| if *to == "*" { &text } else { to })) {
                Some(converted) => converted,
                None if text.trim().is_empty() => text,
                None => {
                    return complain(
                        Rule::Conversion,
                        text,
                        "the mapping's values do not convert it",
                        "add it to values in the mapping, or a \"*\" for all others",
                    );
                }
            },
        };
        if text.trim().is_empty() {
            return Ok(());
        }
        values[line.target] = match &field.kind {
            FieldKind::String { length: None } => Value::Stored(Stored::Text(text.to_owned())),
            _ => match value::parse(field, text, &line.reading) {
                Ok(stored) => Value::Stored(stored),
                Err(wrong) => return complain(wrong.rule, text, &wrong.message, &wrong.hint),
            },
        };
        Ok(())
    }

    fn column_name(&self, line: &Line<'_>) -> String {
        match (&line.mapping.source, line.column) {
            (Source::Column(_), Some(column)) => self.header[column].trim().to_owned(),
            (Source::Number(number), _) => number.to_string(),
            _ => String::new(),
        }
    }

    /// The document's column and the name of a field, for findings that are made when the row is loaded.
    pub fn place(&self, target: usize) -> (String, &str) {
        let line = self.lines.iter().find(|line| line.target == target);
        (line.map_or_else(String::new, |line| self.column_name(line)), &self.entity.fields[self.columns[target].0].name)
    }

    #[expect(clippy::too_many_arguments, reason = "a finding has this many parts")]
    fn finding(&self, rule: Rule, record: &Record, row: u64, column: &str, field: &str, value: &str, message: &str, hint: &str) -> Finding {
        Finding {
            rule,
            entity: self.entity.name.clone(),
            line: record.line,
            row,
            column: column.to_owned(),
            field: field.to_owned(),
            value: cut(value, VALUE_SHOWN_MAX),
            message: message.to_owned(),
            hint: hint.to_owned(),
        }
    }
}

fn cut(text: &str, most: usize) -> String {
    match text.char_indices().nth(most) {
        Some((at, _)) => format!("{}…", &text[..at]),
        None => text.to_owned(),
    }
}
