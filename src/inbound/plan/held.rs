//! What a record is held to before its values are looked at.

use super::line::is_shortened;
use super::{Line, Plan};
use crate::document::csv;
use crate::document::fault::undecodable;
use crate::document::record::{Fault, Record};
use crate::document::refused;
use crate::document::value::Wrong;
use crate::inbound::trap;
use crate::model::finding::{Finding, Rule};
use crate::model::format::Format;
use crate::model::mapping::{Source, Test};

impl Plan<'_> {
    /// What is wrong with a record as such.
    pub(super) fn check_record(&self, record: &Record, number: u64) -> Option<Finding> {
        // The text of a row of a workbook is one of our own.
        let value = || match self.format {
            Format::Excel(_) => record.texts().collect::<Vec<_>>().join(", "),
            _ => String::from_utf8_lossy(&record.raw).into_owned(),
        };
        let finding = |rule, message: &str, hint: &str| Some(self.finding(rule, record, number, "", "", &value(), message, hint));
        if let Some(fault) = &record.fault {
            let (rule, message, hint) = fault.told(self.format);
            if *fault != Fault::Encoding {
                return finding(rule, &message, &hint);
            }
            let place = undecodable(record, self.format);
            let found = finding(rule, &format!("{message}, from its character {} on", place.character), &hint)?;
            let column = place.field.map_or_else(String::new, |field| self.column_at(field));
            return Some(Finding { line: place.line, column, ..found });
        }
        // Of one column a value may be called like it.
        let wide = self.header.as_ref().is_some_and(|header| header.len() > 1);
        if wide && !self.header_text.is_empty() && record.raw == self.header_text {
            return finding(Rule::Format, "the header stands here again", "leave it out: documents that were put together have one header");
        }
        // Blank cells at the end of a row are none in a sheet.
        let whole = self.ragged || matches!(self.format, Format::Excel(_));
        if record.len() < self.fields_min && !whole && self.header.is_none() {
            let message = format!("{} fields, the mapping needs {}", record.len(), self.fields_min);
            let hint = match (self.format, record.field(0)) {
                (Format::Csv(csv), Some((text, _))) if record.len() == 1 => trap::other_delimiter(text, &csv.delimiter),
                _ => None,
            };
            return finding(Rule::Columns, &message, hint.as_deref().unwrap_or("check the delimiter, or correct the mapping"));
        }
        if let Some(width) = self.width {
            let more = || (width..record.len()).any(|at| record.field(at).is_some_and(|(text, _)| !text.trim().is_empty()));
            // Without a header what comes back says how many fields it should have, and has as many where it does not.
            let as_told = self.header.is_none() && record.told.is_some() && record.told_fields.is_none();
            let fits = match self.ragged {
                true if !as_told => record.len() <= width || !more(),
                _ => record.len() == width,
            };
            if !fits {
                let whose = match &self.header {
                    Some(_) => "the header has",
                    None if self.ragged => "the first record and the mapping have no more than",
                    None => "the first record has",
                };
                let hint = match record.len() > width {
                    true if matches!(self.format, Format::Excel(_)) => "take out what stands where the header names no column, or name it",
                    true if !more() => "nothing stands in the fields too many: ragged = true takes such rows, and those that lack some",
                    true if refused::words_in(&record.raw).is_some() => {
                        "what was added to refused rows stands elsewhere here: have both cells as they were, or take both out with their header"
                    }
                    true => "check for a delimiter inside a value that is not qualified",
                    false => {
                        "check for a line end inside a value that is not qualified, and whether the record is whole; ragged = true takes for blank what lacks"
                    }
                };
                return finding(Rule::Columns, &format!("{} fields, {whose} {width}", record.len()), hint);
            }
        }
        None
    }

    /// What is wrong with a text that a spreadsheet wrote for an error, where a workbook was saved as text. What is qualified is meant as text.
    pub(super) fn spreadsheet_error(&self, line: &Line<'_>, record: &Record, number: u64) -> Option<Finding> {
        if !matches!(self.format, Format::Csv(_)) {
            return None;
        }
        let is_error = |column: &&usize| record.field(**column).is_some_and(|(text, exact)| !exact && csv::is_error(text));
        let column = *line.columns.iter().find(|column| is_error(column) && self.column(record, **column).is_some())?;
        let Wrong { rule, message, hint } = had_an_error();
        let name = match (line.columns.len(), &self.header) {
            (1, _) => self.column_name(line),
            (_, Some(header)) => header.get(column).map(|name| name.trim().to_owned()).unwrap_or_default(),
            (_, None) => (column + 1).to_string(),
        };
        let (field, value) = (&self.entity.fields[line.mapping.field].name, self.column(record, column).unwrap_or_default());
        Some(self.finding(rule, record, number, &name, field, value, &message, &hint))
    }

    /// What is wrong with the column of a line's condition: it is not known whether the line is for the record. A word that the condition itself names
    /// is meant.
    pub(super) fn undecided(&self, line: &Line<'_>, source: &Source, test: &Test, record: &Record, number: u64) -> Option<Finding> {
        let text = self.column(record, line.condition).unwrap_or_default();
        let named = match test {
            Test::Equals(texts) | Test::Not(texts) => texts.iter().any(|named| named == text.trim()),
            Test::Blank(_) => false,
        };
        let is_error = || {
            matches!(self.format, Format::Csv(_)) && record.field(line.condition).is_some_and(|(_, exact)| !exact) && csv::is_error(text)
        };
        let is_ruined = || !matches!(test, Test::Blank(_)) && !line.mapping.keep_exponent && is_shortened(text);
        // What has values in it, or is several, is not blank; only of an error is it not known.
        let matters = |wrong: &Wrong| !matches!(test, Test::Blank(_)) || wrong.rule == Rule::Spreadsheet;
        let is_wrong =
            |(column, wrong): &&(usize, Wrong)| *column == line.condition && matters(wrong) && !self.is_null_word(record, *column);
        let wrong = match record.wrong.iter().find(is_wrong) {
            Some((_, wrong)) => wrong.clone(),
            None if named => return None,
            None if is_error() => had_an_error(),
            None if is_ruined() => {
                let Wrong { rule, message, hint } = shortened();
                Wrong { rule, message, hint: format!("{hint}; keep_exponent = true in the line takes it as it is") }
            }
            None => return None,
        };
        let name = self.header.as_ref().and_then(|header| header.get(line.condition)).map(|name| name.trim().to_owned());
        let hint = format!("{}; the mapping asks it whether a line is for the record", wrong.hint);
        Some(self.finding(wrong.rule, record, number, &name.unwrap_or_else(|| source.name()), "", text, &wrong.message, &hint))
    }

    /// What the document calls a field of its records.
    fn column_at(&self, field: usize) -> String {
        let line = || self.lines.iter().find(|line| line.columns.first() == Some(&field));
        match &self.header {
            Some(header) => header.get(field).map(|name| name.trim().to_owned()).unwrap_or_default(),
            None => line().map_or_else(|| (field + 1).to_string(), |line| line.mapping.source.name()),
        }
    }
}

fn had_an_error() -> Wrong {
    let message = "a spreadsheet had an error here in place of a value".to_owned();
    let hint = "correct its formula; nulls of the format takes such words for no value, and in qualifiers they are text".to_owned();
    Wrong { rule: Rule::Spreadsheet, message, hint }
}

/// That of a number nothing is left but how a spreadsheet shows it.
pub(super) fn shortened() -> Wrong {
    let message = "a spreadsheet has shortened this number: its other digits are lost".to_owned();
    let hint = "make the column text in the spreadsheet before the data goes in".to_owned();
    Wrong { rule: Rule::Spreadsheet, message, hint }
}
