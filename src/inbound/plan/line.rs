//! One line of a mapping for one record: from the text of its columns to a value, or a finding.

use std::borrow::Cow;

use super::held::shortened;
use super::{Line, Plan};
use crate::document::mapping::{self, Replaced, concatenate, when};
use crate::document::record::Record;
use crate::document::value::{self, Read, Wrong};
use crate::inbound::block::{RECORD_BYTES_MAX, Value};
use crate::model::entity::FieldKind;
use crate::model::finding::{Finding, Rule};
use crate::model::format::Format;
use crate::model::mapping::{Source, When};

impl Plan<'_> {
    /// Whether the document keeps a column's value as a number or date, not as a text.
    fn is_plain(&self, record: &Record, column: usize) -> bool {
        matches!(self.format, Format::Excel(_) | Format::Json(_)) && record.field(column).is_some_and(|(_, exact)| !exact)
    }

    /// A column's text, and whether it is one at all.
    pub(super) fn column<'r>(&self, record: &'r Record, column: usize) -> Option<&'r str> {
        let (text, exact) = record.field(column)?;
        // Only delimited text marks a text as one that is meant: a string of JSON and a cell of text are no more than their format's way to write one.
        let meant = exact && matches!(self.format, Format::Csv(_));
        if !meant && self.format.nulls().iter().any(|null| null == text) {
            return None;
        }
        Some(text)
    }

    /// Whether the word of an error in a cell is one for no value.
    pub(super) fn is_null_word(&self, record: &Record, column: usize) -> bool {
        let has_a_word = || record.field(column).is_some_and(|(text, _)| !text.is_empty());
        matches!(self.format, Format::Excel(_)) && has_a_word() && self.column(record, column).is_none()
    }

    pub(super) fn map(
        &self,
        line: &Line<'_>,
        record: &Record,
        number: u64,
        begin: usize,
        out: &mut String,
        values: &mut [Value],
    ) -> Result<(), Finding> {
        let mapping = line.mapping;
        let complain = |shown: &str, wrong: Wrong| {
            let field = &self.entity.fields[mapping.field].name;
            Err(self.finding(wrong.rule, record, number, &self.column_name(line), field, shown, &wrong.message, &wrong.hint))
        };
        match &mapping.when {
            When::Always => {}
            When::Blank if values[line.target] != Value::None => return Ok(()),
            When::Blank => {}
            When::Holds(source, test) => {
                if let Some(finding) = self.undecided(line, source, test, record, number) {
                    return Err(finding);
                }
                if !when::holds(test, self.column(record, line.condition).unwrap_or_default()) {
                    return Ok(());
                }
            }
        }
        if !record.wrong.is_empty()
            && let Some((_, wrong)) =
                record.wrong.iter().find(|(field, _)| line.columns.contains(field) && !self.is_null_word(record, *field))
        {
            return complain(line.columns.first().and_then(|column| self.column(record, *column)).unwrap_or_default(), wrong.clone());
        }
        let text = match &mapping.source {
            Source::Column(_) | Source::Number(_) => {
                line.columns.first().and_then(|column| self.column(record, *column)).map(Cow::Borrowed)
            }
            Source::Value(text) => Some(Cow::Borrowed(text.as_str())),
            Source::Company => self.company.map(Cow::Borrowed),
            Source::Concatenate { with, .. } => {
                let parts = line.columns.iter().map(|column| self.column(record, *column).unwrap_or_default());
                Some(Cow::Owned(concatenate::join(parts, with, matches!(line.field.kind, FieldKind::String { .. }))))
            }
            Source::Parent(_) => {
                values[line.target] = Value::Parent(line.parent);
                return Ok(());
            }
            Source::NumberSequence { .. } => {
                values[line.target] = Value::Sequence(line.sequence);
                return Ok(());
            }
        };
        let text = match text {
            Some(text) => text,
            // What lacks, or is a word for no value, is blank.
            None if line.fills_blank => Cow::Borrowed(""),
            None => return Ok(()),
        };
        let mut plain = match &mapping.source {
            Source::Column(_) | Source::Number(_) => line.columns.first().is_some_and(|column| self.is_plain(record, *column)),
            Source::Value(_) => true,
            _ => false,
        };
        let converted;
        let mut replaced = Replaced::No;
        let text = if line.conversions.is_empty() {
            &*text
        } else {
            match mapping::convert(&line.conversions, &text) {
                Ok((done, by)) => {
                    converted = done;
                    replaced = by;
                    plain |= replaced != Replaced::No;
                    // What is lost is no value among all others.
                    if replaced == Replaced::ByOther && !mapping.keep_exponent && is_shortened(&text) {
                        return complain(&text, shortened());
                    }
                    &*converted
                }
                Err(wrong) => return complain(&text, wrong),
            }
        };
        // Other types read no word; what a pair of its own names is meant.
        let reads_words = matches!(line.field.kind, FieldKind::String { .. }) && replaced == Replaced::No || replaced == Replaced::ByOther;
        if let Some(finding) = reads_words.then(|| self.spreadsheet_error(line, record, number)).flatten() {
            return Err(finding);
        }
        if text.trim_start().is_empty() {
            return Ok(());
        }
        let start = out.len();
        if start - begin + text.len() > RECORD_BYTES_MAX {
            let message = "the values of the record are larger than 64 MiB together".to_owned();
            return complain(text, Wrong { rule: Rule::Size, message, hint: "map its long values to fewer fields".into() });
        }
        if matches!(line.field.kind, FieldKind::String { .. }) && !mapping.keep_exponent && is_shortened(text) {
            let Wrong { rule, message, hint } = shortened();
            let hint = format!("{hint}; keep_exponent = true in the mapping takes it as it is");
            return complain(text, Wrong { rule, message, hint });
        }
        match value::read_into(line.field, text, if plain { &line.reading_plain } else { &line.reading }, out) {
            Ok(Read::Integer(integer)) => values[line.target] = Value::Integer(integer),
            Ok(Read::Text) => {
                let narrow = |at: usize| u32::try_from(at).expect("a block is smaller than 4 GiB");
                values[line.target] = Value::Text { start: narrow(start), end: narrow(out.len()) };
            }
            Err(wrong) => {
                let number = matches!(line.field.kind, FieldKind::Integer | FieldKind::Decimal { .. });
                return complain(text, if number && wrong.rule == Rule::Type && is_shortened(text) { shortened() } else { wrong });
            }
        }
        Ok(())
    }
}

/// Whether a text is a number as Excel shows a long one: `1.01E+12`.
pub(super) fn is_shortened(text: &str) -> bool {
    let bytes = text.trim().as_bytes();
    let Some(exponent) = bytes.windows(2).position(|pair| pair == b"E+") else { return false };
    let (number, power) = (&bytes[..exponent], &bytes[exponent + 2..]);
    let number = number.strip_prefix(b"-").unwrap_or(number);
    let number = match number {
        [first, b'.' | b',', rest @ ..] if !rest.is_empty() => first.is_ascii_digit() && rest.iter().all(u8::is_ascii_digit),
        [first] => first.is_ascii_digit(),
        _ => false,
    };
    number && power.len() >= 2 && power.iter().all(u8::is_ascii_digit)
}
