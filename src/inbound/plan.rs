//! Maps and validates: a project entity's mapping, compiled once against a document's header, then applied record by record. Pure.

mod header;
mod held;
mod line;

use std::sync::Arc;

use self::header::named;
use super::block::{Block, Value};
use super::checked::Checked;
use super::several::{NO_LINE, Several};
use super::trap;
use crate::document::collect::Nested;
use crate::document::mapping::{self, Ready, when};
use crate::document::read::{Layout, Wanted, path_of, path_of_name};
use crate::document::record::Record;
use crate::document::value::{self, Reading};
use crate::model::entity::{Entity, Field};
use crate::model::finding::{Finding, Rule};
use crate::model::format::Format;
use crate::model::mapping::{Mapping, Source, When};
use crate::model::path::Path;
use crate::model::project::{NestedEntity, ProjectEntity, WriteMode};

/// Characters of a value that a finding shows.
const VALUE_SHOWN_MAX: usize = 200;
/// Characters of what was expected that are shown.
const EXPECTED_SHOWN_MAX: usize = 500;

/// A mapping compiled against a document.
pub struct Plan<'a> {
    entity: &'a Entity,
    company: Option<&'a str>,
    format: &'a Format,
    /// Names of columns, when records are as wide as these are many.
    header: Option<Vec<String>>,
    /// The exact text of the header; empty when there is none.
    header_text: Vec<u8>,
    /// So many fields a record has: as many as the header, or as the first record where none is; ragged, as many as that or the mapping has.
    pub(super) width: Option<usize>,
    /// Records may be narrower.
    ragged: bool,
    lines: Vec<Line<'a>>,
    several: Several<'a>,
    /// Where the values of fields are that one of their lines keeps where it is blank, and another does not.
    mixed: Vec<usize>,
    columns: Vec<(usize, bool)>,
    /// Fields whose column the document does not have, and need not: rows keep what they have in them.
    absent: Vec<usize>,
    /// The fewest fields a record must have.
    fields_min: usize,
    /// Fields that must have a value.
    needed: Vec<Needed>,
    /// What must hold between values that are known before the row is loaded.
    checks: Vec<Checked<'a>>,
    /// Of nested records.
    nested: Vec<Plan<'a>>,
}

struct Needed {
    field: usize,
    /// Where its value is; `None` when nothing fills it.
    target: Option<usize>,
    /// What a blank keeps is looked at when the row is loaded.
    keeps: bool,
}

struct Line<'a> {
    mapping: &'a Mapping,
    /// Where its columns are in a record.
    columns: Vec<usize>,
    /// Where the column of its condition is.
    condition: usize,
    conversions: Vec<Ready>,
    /// They have a value for blank.
    fills_blank: bool,
    reading: Reading,
    /// Of values that are no text of the document.
    reading_plain: Reading,
    /// The field whose type reads the value: the one it is for, or the one it is looked up by.
    field: &'a Field,
    /// Position in `columns`.
    target: usize,
    /// Position among the fields that several lines fill, when its field is one.
    several: Option<usize>,
    /// Of what its record says nothing the row keeps what it has, and what is blank there is blank.
    may_lack: bool,
    /// Position in `sequences`.
    sequence: u32,
    /// Position in the columns of the row that a nested record belongs to.
    parent: u32,
}

/// What records of a document that nests are asked for, in the order of the mapping.
pub fn wanted(project_entity: &ProjectEntity) -> Wanted {
    if !project_entity.format.nests() {
        return Wanted::default();
    }
    let nested = |nested: &NestedEntity| {
        let values = values(&nested.project_entity).into_iter().map(|path| path.seen_from_outside(&nested.record)).collect();
        Nested { record: Some(nested.record.clone()), values }
    };
    Wanted {
        values: values(project_entity),
        nested: project_entity.nested.iter().map(nested).collect(),
        stated: project_entity.mapping_stated,
    }
}

fn values(project_entity: &ProjectEntity) -> Vec<Path> {
    asked(project_entity).map(|(_, path)| path).collect()
}

/// What the mapping calls the values of [`wanted`], in the same order.
pub fn wanted_names(project_entity: &ProjectEntity) -> Vec<String> {
    if !project_entity.format.nests() {
        return Vec::new();
    }
    asked(project_entity).map(|(name, _)| name.to_owned()).collect()
}

fn asked(project_entity: &ProjectEntity) -> impl Iterator<Item = (&str, Path)> {
    project_entity.mapping.iter().flat_map(sources).filter_map(|source| match source {
        // The name of a field is no path, whatever stands in it.
        Source::Column(name) if !project_entity.mapping_stated => Some((name.as_str(), path_of_name(&project_entity.format, name))),
        // The configuration has refused what is no path.
        Source::Column(name) => path_of(&project_entity.format, name).ok().map(|path| (name.as_str(), path)),
        _ => None,
    })
}

/// All columns that a line reads, that of its condition last.
fn sources(mapping: &Mapping) -> impl Iterator<Item = &Source> {
    let condition = match &mapping.when {
        When::Holds(source, _) => Some(source),
        When::Always | When::Blank => None,
    };
    mapping.source.columns().iter().chain(condition)
}

impl<'a> Plan<'a> {
    /// Compiles. `entities` are all, for look-ups; `company` is the legal entity of the message. The findings say which columns are missing.
    pub fn new(
        project_entity: &'a ProjectEntity,
        entities: &'a [Arc<Entity>],
        company: Option<&'a str>,
        layout: &Layout,
    ) -> Result<Plan<'a>, Vec<Finding>> {
        let mut plan = Plan::alone(project_entity, entities, company, layout, &[])?;
        for nested in &project_entity.nested {
            plan.nested.push(Plan::alone(&nested.project_entity, entities, company, layout, &plan.columns)?);
        }
        Ok(plan)
    }

    /// `outer` are the columns of the row that a nested record belongs to.
    fn alone(
        project_entity: &'a ProjectEntity,
        entities: &'a [Arc<Entity>],
        company: Option<&'a str>,
        layout: &Layout,
        outer: &[(usize, bool)],
    ) -> Result<Plan<'a>, Vec<Finding>> {
        let (format, entity) = (&project_entity.format, &*project_entity.entity);
        let (header_line, header, header_text) = match layout {
            Layout::Named { line, names, raw } => (*line, Some(names.clone()), raw.clone()),
            Layout::Numbered | Layout::Asked => (0, None, Vec::new()),
        };
        let names = header.as_deref().unwrap_or_default();
        let mut findings = Vec::new();
        let mend = if project_entity.mapping_stated { "correct the mapping" } else { "write a mapping" };
        let add = format!("add the column, or {mend}");
        let changes = project_entity.write == WriteMode::Upsert && !project_entity.mapping_stated;
        let add_required = match changes {
            true => format!(
                "add the column, or {mend}; where rows that are there are to be changed, and keep what they have, write = \"update\""
            ),
            false => add.clone(),
        };
        let mut refuse = |column: &str, field: usize, message: String, remedy: &str| {
            let present = names.iter().map(|name| name.trim()).collect::<Vec<_>>().join(", ");
            findings.push(Finding {
                rule: Rule::Header,
                entity: entity.name.clone(),
                line: header_line,
                row: 0,
                column: column.to_owned(),
                field: entity.fields[field].name.clone(),
                value: String::new(),
                expected: format!("a column {column}"),
                message,
                hint: trap::of_header(format, names)
                    .unwrap_or_else(|| format!("the document has the columns {}; {remedy}", cut(&present, 1000))),
            });
        };
        let mut asked = 0;
        let mut columns: Vec<(usize, bool)> = Vec::new();
        let (mut lines, mut sequences) = (Vec::new(), 0usize);
        let (mut fields_min, mut absent) = (0, Vec::new());
        let (mut numbered, mut called) = (None, false);
        let several = Several::new(project_entity);
        for mapping in &project_entity.mapping {
            let mut positions = Vec::new();
            for source in sources(mapping) {
                match (source, layout) {
                    (_, Layout::Asked) => {
                        positions.push(asked);
                        asked += 1;
                    }
                    (Source::Column(name), _) => match named(names, name) {
                        (Some(at), None) => {
                            positions.push(at);
                            called = true;
                        }
                        (Some(_), Some(_)) => {
                            let message = format!("the column \"{name}\" stands twice in the header");
                            refuse(name, mapping.field, message, "rename the one that is not meant, or map the other by its number");
                        }
                        (None, _) if project_entity.may_lack(mapping.field) && !names.is_empty() => {
                            absent.push(mapping.field);
                            positions.push(usize::MAX);
                        }
                        (None, _) => {
                            let remedy = if entity.key.contains(&mapping.field) { &add } else { &add_required };
                            refuse(name, mapping.field, format!("the document has no column \"{name}\""), remedy);
                        }
                    },
                    (Source::Number(number), Layout::Named { .. }) if *number > names.len() => {
                        let message = format!("there is no column {number}: the header has {}", names.len());
                        refuse(&number.to_string(), mapping.field, message, &add);
                    }
                    (Source::Number(number), _) => {
                        fields_min = fields_min.max(*number);
                        positions.push(number - 1);
                        numbered = numbered.or(Some((number.to_string(), mapping.field)));
                    }
                    _ => {}
                }
            }
            let condition = if matches!(mapping.when, When::Holds(..)) { positions.pop().unwrap_or_default() } else { 0 };
            let target = columns.iter().position(|(field, _)| *field == mapping.field).unwrap_or_else(|| {
                columns.push((mapping.field, absent.contains(&mapping.field)));
                columns.len() - 1
            });
            columns[target].1 |= project_entity.keeps(mapping);
            let sequence = match &mapping.source {
                Source::NumberSequence { .. } => {
                    sequences += 1;
                    sequences - 1
                }
                _ => 0,
            };
            let found_by = mapping.look_up.as_ref().and_then(|look_up| {
                let other = entities.iter().find(|other| other.is_called(&look_up.entity))?;
                other.field(&look_up.find).map(|field| &other.fields[field])
            });
            let reading = Reading {
                numbers: mapping.numbers.unwrap_or_else(|| format.numbers()),
                own_numbers: mapping.numbers.is_some(),
                date_formats: mapping.date_formats.clone(),
                time_zone: mapping.time_zone,
                plain: false,
            };
            let conversions = mapping::ready(&mapping.conversions);
            lines.push(Line {
                mapping,
                columns: positions,
                condition,
                fills_blank: conversions.iter().any(|one| matches!(one, Ready::Values(values) if values.fills_blank())),
                conversions,
                reading_plain: reading.of_plain(),
                reading,
                field: found_by.unwrap_or(&entity.fields[mapping.field]),
                target,
                several: several.place(mapping.field),
                may_lack: *layout == Layout::Asked && project_entity.may_lack(mapping.field),
                sequence: u32::try_from(sequence).unwrap_or_default(),
                parent: match &mapping.source {
                    Source::Parent(field) => {
                        let target = outer.iter().position(|(mapped, _)| mapped == field);
                        target.and_then(|target| u32::try_from(target).ok()).unwrap_or(u32::MAX)
                    }
                    _ => u32::MAX,
                },
            });
        }
        // No name says whether the first record is the header.
        if let (Some((number, field)), false, Some(_)) = (numbered, called, trap::of_header(format, names))
            && !lines.iter().any(|line| line.is_headed_by_a_name(names))
        {
            let message = "the first record does not look like the header that the format says it is".into();
            refuse(&number, field, message, &add);
        }
        if let (Some(first), Layout::Named { .. }, true) = (findings.first_mut(), layout, names.iter().all(|name| name.trim().is_empty())) {
            // No name at all: which ones lack does not matter.
            let (message, hint) = match format {
                Format::Excel(_) => {
                    (format!("row {header_line} of the sheet names no column"), "correct header_row in the format, or the workbook")
                }
                _ => ("the header names no column".to_owned(), "correct the document, or skip_first in the format"),
            };
            let header = Finding::of_document(Rule::Header, &entity.name, message, hint);
            *first = Finding { line: header_line, ..header };
            findings.truncate(1);
        }
        if !findings.is_empty() {
            return Err(findings);
        }
        let mut needed = Vec::new();
        for (field, definition) in entity.fields.iter().enumerate() {
            let target = columns.iter().position(|(mapped, _)| *mapped == field);
            let (key, keeps) = (entity.key.contains(&field), target.is_some_and(|target| columns[target].1));
            // Rows that are only changed have what no line fills.
            if key || definition.required && (target.is_some() || project_entity.write != WriteMode::Update) {
                needed.push(Needed { field, target, keeps: keeps && !key && project_entity.write != WriteMode::Insert });
            }
        }
        let (ragged, width) = (matches!(format, Format::Csv(csv) if csv.ragged), header.as_ref().map(Vec::len));
        let checks = Checked::all(project_entity, &columns).into_iter().filter(|check| !check.late).collect();
        let mixed = (0..columns.len()).filter(|target| several.differ(columns[*target].0)).collect();
        let nested = Vec::new();
        Ok(Plan {
            entity,
            company,
            format,
            header,
            header_text,
            width,
            ragged,
            lines,
            several,
            mixed,
            columns,
            absent,
            fields_min,
            needed,
            checks,
            nested,
        })
    }

    /// Fields whose column the document does not have, and need not: rows keep what they have in them.
    pub fn absent(&self) -> &[usize] {
        &self.absent
    }

    /// How many fields the mapping needs of a record that it knows by number, at least.
    pub fn fields_needed(&self) -> usize {
        self.fields_min
    }

    /// Maps and validates a record into the block. `number` is its row number, from 1.
    pub fn apply(&mut self, record: &Record, number: u64, block: &mut Block) {
        if self.header.is_none() && matches!(self.format, Format::Csv(_)) {
            // Refused rows that come back are held to the width of their document, however they are mended; ragged, the first may lack what the mapping
            // knows of.
            let own = || match self.ragged {
                true => record.fault.is_none().then(|| record.len().max(self.fields_min)),
                false => (record.fault.is_none() && record.len() >= self.fields_min).then(|| record.len()),
            };
            self.width = record.told_fields.or(self.width).or_else(own);
        }
        let plan = &*self;
        block.record(record, number, |rows| {
            rows.row((0, record.line), plan.wide(), |text, values, filled, findings| {
                plan.fill(record, number, text, (values, filled), findings);
            });
            // What is wrong with the record as such is told once.
            for (nested, inner) in record.nested.iter().filter(|_| record.fault.is_none()) {
                if let Some(plan) = plan.nested.get(*nested) {
                    rows.row((nested + 1, inner.line), plan.wide(), |text, values, filled, findings| {
                        plan.fill(inner, number, text, (values, filled), findings);
                    });
                }
            }
        });
    }

    /// How many values a row has, and how many of its fields several lines may fill.
    fn wide(&self) -> (usize, usize) {
        (self.columns.len(), self.several.len())
    }

    /// Whether a line is for a record, of which the lines before gave these values.
    fn is_for(&self, line: &Line<'_>, record: &Record, values: &[Value]) -> bool {
        match &line.mapping.when {
            When::Always => true,
            When::Blank => values[line.target] == Value::None,
            When::Holds(_, test) => when::holds(test, self.column(record, line.condition).unwrap_or_default()),
        }
    }

    fn fill(
        &self,
        record: &Record,
        number: u64,
        text: &mut String,
        (values, filled): (&mut [Value], &mut [u16]),
        findings: &mut Vec<Finding>,
    ) {
        if let Some(finding) = self.check_record(record, number) {
            findings.push(finding);
            return;
        }
        let begin = text.len();
        for (at, line) in self.lines.iter().enumerate() {
            let place = line.several.filter(|_| self.is_for(line, record, values));
            // What a blank of this line leaves as it is.
            let before = place.map(|_| std::mem::replace(&mut values[line.target], Value::None));
            if let Err(finding) = self.map(line, record, number, begin, text, values) {
                values[line.target] = Value::Bad;
                // What is wrong with the column of a condition is told once, however many lines it is for.
                let same = |one: &Finding| one.entity == finding.entity && one.column == finding.column && one.message == finding.message;
                let told = |one: &Finding| one.row == number && one.line == finding.line && one.field.is_empty() && same(one);
                if !finding.field.is_empty() || !findings.iter().any(told) {
                    findings.push(finding);
                }
            }
            if line.may_lack && values[line.target] == Value::None && !line.columns.iter().all(|column| record.lacks(*column)) {
                values[line.target] = Value::Blank;
            }
            if let (Some(place), Some(before)) = (place, before) {
                if values[line.target] == Value::None {
                    values[line.target] = before;
                    if filled[place] != NO_LINE {
                        continue;
                    }
                }
                filled[place] = u16::try_from(at).unwrap_or(NO_LINE);
            }
        }
        for target in &self.mixed {
            let is_for = |line: &&Line<'_>| line.target == *target && self.is_for(line, record, values);
            let mut lines = self.lines.iter().filter(is_for).peekable();
            if values[*target] == Value::None && lines.peek().is_some() && !lines.any(|line| line.mapping.ignore_blank) {
                values[*target] = Value::Blank;
            }
        }
        for needed in &self.needed {
            let is_blank = |value| value == Value::Blank || value == Value::None && !needed.keeps;
            if needed.target.is_some_and(|target| !is_blank(values[target])) {
                continue;
            }
            let name = &self.entity.fields[needed.field].name;
            let line = self.line_of(needed.field, filled);
            let column = line.map_or_else(String::new, |line| self.column_name(line));
            let (message, hint) = match line.map(|line| &line.mapping.source) {
                Some(Source::Company) => (
                    "the message names no company",
                    "let the client send company=…, and the job take it: company = \"message\"; or give the job a company of its own",
                ),
                _ => ("a required value is blank", "fill it in, or give the mapping a default value"),
            };
            findings.push(self.finding(Rule::Required, record, number, &column, name, "", message, hint));
            if let Some(target) = needed.target {
                values[target] = Value::Bad;
            }
        }
        findings.extend(self.checks.iter().filter_map(|one| self.check(one, record, number, text, (values, filled))));
    }

    /// The line that has filled a field.
    fn line_of(&self, field: usize, filled: &[u16]) -> Option<&Line<'a>> {
        let known = self.several.place(field).and_then(|place| self.lines.get(usize::from(filled[place])));
        known.or_else(|| self.lines.iter().find(|line| line.mapping.field == field))
    }

    /// What is wrong when a check between fields does not hold. Nothing when it holds, or a value that it compares has a finding already.
    fn check(
        &self,
        check: &Checked<'a>,
        record: &Record,
        number: u64,
        text: &str,
        (values, filled): (&[Value], &[u16]),
    ) -> Option<Finding> {
        let value = |field: usize| match values[check.target(field)?] {
            Value::Integer(integer) => Some(integer.to_string()),
            Value::Text { start, end } => Some(text[start as usize..end as usize].to_owned()),
            Value::None | Value::Blank | Value::Bad | Value::Sequence(_) | Value::Parent(_) => None,
        };
        let column = |field: usize| self.several.source(field, filled);
        let bad = check.targets().any(|target| values[target] == Value::Bad);
        (!bad && !check.holds(self.entity, &value)).then(|| check.finding(self.entity, (record.line, number), &column, &value))
    }

    fn column_name(&self, line: &Line<'_>) -> String {
        match (&line.mapping.source, &self.header, line.columns.first()) {
            (Source::Column(name), Some(header), Some(column)) => header.get(*column).map_or(name.as_str(), |name| name.trim()).to_owned(),
            (source, ..) => source.name(),
        }
    }

    fn expected(&self, rule: Rule, field: &str) -> String {
        let told = self.entity.fields.iter().find(|known| rule.is_of_field() && known.name == field);
        told.map_or_else(String::new, |field| cut(&value::expected(field), EXPECTED_SHOWN_MAX))
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
            value: shown(value),
            expected: self.expected(rule, field),
            message: message.to_owned(),
            hint: hint.to_owned(),
        }
    }
}

/// As much of a value as a finding shows.
pub(super) fn shown(value: &str) -> String {
    cut(value, VALUE_SHOWN_MAX)
}

fn cut(text: &str, most: usize) -> String {
    match text.char_indices().nth(most) {
        Some((at, _)) => format!("{}…", &text[..at]),
        None => text.to_owned(),
    }
}
