//! Imports one document into one entity: decode → parse → map → validate → load → report, in constant memory.
//!
//! Two threads: this one's helper decodes, splits, maps and validates into blocks of rows; this one runs one prepared upsert in one transaction
//! and keeps findings and refused rows in the order of the document. Blocks go back and forth, so that their memory is used again. Rows read =
//! inserted + updated + unchanged + refused, always.

use std::fmt;
use std::io::{self, Read, Write};
use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

use super::block::{Block, Entry, Value};
use super::plan::{self, Plan};
use crate::clock::Stopwatch;
use crate::document::broken::Broken;
use crate::document::mapping::number_sequence::fill;
use crate::document::read::{self, Layout, Take};
use crate::document::record::Record;
use crate::document::refused::{self, Refused};
use crate::document::value::Stored;
use crate::document::write::Unwritable;
use crate::model::entity::Entity;
use crate::model::execution::RowCounts;
use crate::model::finding::{Finding, Rule};
use crate::model::format::Format;
use crate::model::mapping::Source;
use crate::model::project::ProjectEntity;
use crate::model::time::Timestamp;
use crate::store::StoreError;
use crate::store::entities::{Cell, Finder, Loaded, Reference, Seen, Upsert, Writing};

/// Blocks under way.
const BLOCKS: usize = 4;

/// One import.
pub struct Import<'a> {
    /// What is imported, and how.
    pub project_entity: &'a ProjectEntity,
    /// All entities, for references.
    pub entities: &'a [Arc<Entity>],
    /// The opened database.
    pub database: &'a Writing<'a>,
    /// The legal entity that the message is for.
    pub company: Option<&'a str>,
    /// The message whose load this is.
    pub message: &'a str,
    /// Its execution.
    pub execution: &'a str,
    /// Now.
    pub now: Timestamp,
    /// Set when the appliance stops.
    pub stop: &'a AtomicBool,
}

/// Where findings and refused rows go while the import runs. Both come in the order of the document.
pub trait Sink {
    /// Takes a finding.
    fn finding(&mut self, finding: Finding) -> Result<(), ImportError>;
    /// The file that refused rows are written to; asked for once, at the first refused row.
    fn refused_rows(&mut self) -> Result<Box<dyn Write + '_>, ImportError>;
    /// All is read and about to be committed: findings must be durable before.
    fn before_commit(&mut self, counts: &RowCounts, findings: u64) -> Result<(), ImportError>;
}

/// What an import did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// Rows by outcome.
    pub counts: RowCounts,
    /// Findings in all.
    pub findings: u64,
    /// The document as a whole was refused: no record of it was read.
    pub document_refused: bool,
    /// Time the parsing thread worked, in ms.
    pub parse_ms: u64,
    /// Time until the commit, in ms.
    pub load_ms: u64,
}

/// Why an import did not work, other than because of the document.
#[derive(Debug)]
pub enum ImportError {
    /// The payload cannot be read.
    ReadPayload(io::Error),
    /// The database or the queue did not work.
    Store(StoreError),
    /// The file of refused rows cannot be written.
    WriteRefused(io::Error),
    /// The appliance stops.
    Stopped,
}

impl ImportError {
    /// Whether the same may work later.
    pub fn may_pass(&self) -> bool {
        match self {
            ImportError::ReadPayload(error) => !matches!(error.kind(), io::ErrorKind::InvalidData | io::ErrorKind::NotFound),
            ImportError::Store(error) => error.may_pass(),
            ImportError::WriteRefused(_) | ImportError::Stopped => true,
        }
    }
}

impl fmt::Display for ImportError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ImportError::ReadPayload(error) => write!(f, "cannot read the payload: {error}"),
            ImportError::Store(error) => error.fmt(f),
            ImportError::WriteRefused(error) => write!(f, "cannot write the refused rows: {error}"),
            ImportError::Stopped => f.write_str("the appliance stops"),
        }
    }
}

impl std::error::Error for ImportError {}

impl From<StoreError> for ImportError {
    fn from(error: StoreError) -> Self {
        ImportError::Store(error)
    }
}

enum Piece {
    /// The document's encoding, its header's exact text, and how many columns it has.
    Begun(&'static encoding_rs::Encoding, Vec<u8>, usize),
    Rows(Block),
    /// Nothing of the document may be loaded.
    DocumentRefused(Vec<Finding>),
    Failed(io::Error),
}

/// Runs an import. On an error nothing is loaded.
pub fn run(import: &Import<'_>, document: impl Read + Send, sink: &mut dyn Sink) -> Result<Report, ImportError> {
    let watch = Stopwatch::start();
    import.database.begin()?;
    let result = std::thread::scope(|scope| {
        let (sender, receiver) = sync_channel(BLOCKS);
        let (emptied, empties) = sync_channel::<Block>(2 * BLOCKS);
        let (project_entity, entities, company) = (import.project_entity, import.entities, import.company);
        let parser = std::thread::Builder::new().name("import-parse".into()).spawn_scoped(scope, move || {
            let watch = Stopwatch::start();
            parse(project_entity, entities, company, document, &sender, &empties);
            watch.elapsed_ms()
        });
        let parser = parser.map_err(ImportError::ReadPayload)?;
        let mut report = load(import, receiver, &emptied, sink)?;
        // Its receiver is gone or it has sent its last piece: it ends.
        report.parse_ms = parser.join().unwrap_or_default();
        Ok(report)
    });
    let mut report: Report = match result {
        Ok(report) => report,
        Err(error) => {
            import.database.roll_back();
            return Err(error);
        }
    };
    debug_assert!(report.counts.add_up());
    let committed = sink
        .before_commit(&report.counts, report.findings)
        .and_then(|()| Ok(import.database.commit(import.message, import.execution, &report.counts, report.findings, import.now)?));
    if let Err(error) = committed {
        import.database.roll_back();
        return Err(error);
    }
    report.load_ms = watch.elapsed_ms();
    Ok(report)
}

/// The parsing thread. Ends early when nobody listens any more.
fn parse(
    project_entity: &ProjectEntity,
    entities: &[Arc<Entity>],
    company: Option<&str>,
    document: impl Read,
    sender: &SyncSender<Piece>,
    empties: &Receiver<Block>,
) {
    let mut parsing = Parsing {
        project_entity,
        entities,
        company,
        sender,
        empties,
        encoding: project_entity.format.encoding(),
        plan: None,
        block: Block::default(),
        number: 0,
        refused: Vec::new(),
    };
    let ended = read::read(document, &project_entity.format, plan::asked(project_entity), &mut parsing);
    let _ = parsing.send();
    let last = match ended {
        Err(Broken::Source(error)) => Piece::Failed(error),
        Err(Broken::Document { line, message, hint }) => Piece::DocumentRefused(vec![parsing.about_the_document(line, message, hint)]),
        Ok(()) if !parsing.refused.is_empty() => Piece::DocumentRefused(parsing.refused),
        Ok(()) => return,
    };
    let _ = sender.send(last);
}

struct Parsing<'a> {
    project_entity: &'a ProjectEntity,
    entities: &'a [Arc<Entity>],
    company: Option<&'a str>,
    sender: &'a SyncSender<Piece>,
    empties: &'a Receiver<Block>,
    encoding: &'static encoding_rs::Encoding,
    plan: Option<Plan<'a>>,
    block: Block,
    number: u64,
    refused: Vec<Finding>,
}

impl Parsing<'_> {
    fn send(&mut self) -> ControlFlow<()> {
        if self.block.is_empty() {
            return ControlFlow::Continue(());
        }
        let next = self.empties.try_recv().unwrap_or_default();
        match self.sender.send(Piece::Rows(std::mem::replace(&mut self.block, next))) {
            Ok(()) => ControlFlow::Continue(()),
            Err(_) => ControlFlow::Break(()),
        }
    }

    fn about_the_document(&self, line: u64, message: String, hint: String) -> Finding {
        Finding {
            rule: Rule::Format,
            entity: self.project_entity.entity.name.clone(),
            line,
            row: 0,
            column: String::new(),
            field: String::new(),
            value: String::new(),
            message,
            hint,
        }
    }
}

impl Take for Parsing<'_> {
    fn encoding(&mut self, encoding: &'static encoding_rs::Encoding) {
        self.encoding = encoding;
    }

    fn layout(&mut self, layout: &Layout) -> ControlFlow<()> {
        let (raw, columns) = match layout {
            Layout::Named { raw, names, .. } => (raw.clone(), names.len()),
            Layout::Numbered | Layout::Asked => (Vec::new(), 0),
        };
        if self.sender.send(Piece::Begun(self.encoding, raw, columns)).is_err() {
            return ControlFlow::Break(());
        }
        match Plan::new(self.project_entity, self.entities, self.company, layout) {
            Ok(plan) => {
                self.plan = Some(plan);
                ControlFlow::Continue(())
            }
            Err(findings) => {
                self.refused = findings;
                ControlFlow::Break(())
            }
        }
    }

    fn record(&mut self, record: &mut Record) -> ControlFlow<()> {
        self.number += 1;
        if let Some(plan) = &self.plan {
            plan.apply(record, self.number, &mut self.block);
        }
        if self.block.is_full() { self.send() } else { ControlFlow::Continue(()) }
    }

    fn nothing_found(&mut self, seen: &[String]) {
        let place = match &self.project_entity.format {
            Format::Xml(xml) => xml.record.as_ref().map_or("/*/*".to_owned(), ToString::to_string),
            Format::Json(json) => json.record.as_ref().map_or_else(String::new, ToString::to_string),
            _ => String::new(),
        };
        let message = format!("the document has no record at {place}");
        let hint = format!("it has {}; correct record in the format", seen.join(", "));
        self.refused.push(self.about_the_document(0, message, hint));
    }
}

/// The loading thread.
fn load(import: &Import<'_>, pieces: Receiver<Piece>, emptied: &SyncSender<Block>, sink: &mut dyn Sink) -> Result<Report, ImportError> {
    let mut loader = Loader::new(import)?;
    for piece in pieces {
        if import.stop.load(Ordering::Relaxed) {
            return Err(ImportError::Stopped);
        }
        match piece {
            Piece::Begun(encoding, header, columns) => {
                loader.refused = Refused::new(&import.project_entity.format, encoding, header, columns);
            }
            Piece::Failed(error) => return Err(ImportError::ReadPayload(error)),
            Piece::DocumentRefused(findings) => {
                // What came before the fault is taken back: half a document is no document.
                import.database.begin_again()?;
                loader.report.counts = RowCounts::default();
                loader.report.document_refused = true;
                for finding in findings {
                    loader.report.findings += 1;
                    sink.finding(finding)?;
                }
            }
            Piece::Rows(mut block) => {
                loader.block(&block, sink)?;
                block.clear();
                let _ = emptied.try_send(block);
            }
        }
    }
    loader.end(sink)?;
    Ok(loader.report)
}

/// Loads blocks, and reports what becomes of their records.
struct Loader<'a> {
    import: &'a Import<'a>,
    entity: &'a Entity,
    columns: Vec<(usize, bool)>,
    sequences: Vec<&'a str>,
    upsert: Upsert<'a>,
    references: Vec<Referenced<'a>>,
    look_ups: Vec<LookedUp<'a>>,
    unique: Vec<Unique<'a>>,
    refused: Refused,
    /// Bytes for the file of refused rows.
    refused_bytes: Vec<u8>,
    report: Report,
}

struct Referenced<'a> {
    target: usize,
    entity: &'a str,
    reference: Reference<'a>,
}

struct LookedUp<'a> {
    target: usize,
    entity: &'a str,
    finder: Finder<'a>,
}

/// Values, or keys, that no two rows of the document have.
struct Unique<'a> {
    targets: Vec<usize>,
    seen: Seen<'a>,
}

impl<'a> Loader<'a> {
    fn new(import: &'a Import<'a>) -> Result<Loader<'a>, ImportError> {
        let entity = &*import.project_entity.entity;
        // What a plan fills depends on the mapping alone, not on the document.
        let columns = columns_of(import.project_entity);
        let sequences = sequences_of(import.project_entity);
        let upsert = import.database.rows(entity, &columns, import.project_entity.write)?;
        let mut references = Vec::new();
        for (target, (field, _)) in columns.iter().enumerate() {
            if let Some(name) = &entity.fields[*field].references
                && let Some(referenced) = import.entities.iter().find(|entity| entity.is_called(name))
            {
                references.push(Referenced { target, entity: &referenced.name, reference: import.database.reference(referenced)? });
            }
        }
        let mut look_ups = Vec::new();
        for mapping in &import.project_entity.mapping {
            let Some(look_up) = &mapping.look_up else { continue };
            let other = import.entities.iter().find(|entity| entity.is_called(&look_up.entity));
            let places = other.and_then(|other| Some((other, other.field(&look_up.find)?, other.field(&look_up.take)?)));
            let target = columns.iter().position(|(field, _)| *field == mapping.field);
            if let (Some((other, find, take)), Some(target)) = (places, target) {
                look_ups.push(LookedUp { target, entity: &other.name, finder: import.database.finder(other, find, take)? });
            }
        }
        let target_of = |field: usize| columns.iter().position(|(mapped, _)| *mapped == field);
        let mut lists: Vec<Vec<usize>> = (0..entity.fields.len())
            .filter(|field| entity.fields[*field].unique)
            .filter_map(target_of)
            .map(|target| vec![target])
            .collect();
        if import.project_entity.refuse_duplicates {
            lists.push(entity.key.iter().filter_map(|field| target_of(*field)).collect());
        }
        let mut unique = Vec::new();
        for (number, targets) in lists.into_iter().enumerate() {
            unique.push(Unique { targets, seen: import.database.seen(number)? });
        }
        if import.project_entity.truncate {
            import.database.truncate(entity)?;
        }
        let format = &import.project_entity.format;
        let refused = Refused::new(format, format.encoding(), Vec::new(), 0);
        let report = Report::default();
        Ok(Loader { import, entity, columns, sequences, upsert, references, look_ups, unique, refused, refused_bytes: Vec::new(), report })
    }

    fn block(&mut self, block: &Block, sink: &mut dyn Sink) -> Result<(), ImportError> {
        let mut cells: Vec<Cell<'_>> = Vec::with_capacity(self.columns.len());
        for entry in block.records() {
            self.report.counts.read += 1;
            if entry.findings.is_empty() {
                cells.clear();
                cells.extend(entry.values.iter().map(|value| block.cell(*value)));
                let findings = match self.look_ups.is_empty() {
                    true => self.row(&entry, &cells)?,
                    false => {
                        let (found, mut findings) = self.look_up(&entry, &cells)?;
                        if findings.is_empty() {
                            let cells: Vec<Cell<'_>> =
                                cells.iter().zip(&found).map(|(cell, found)| found.as_ref().map_or(*cell, Cell::from)).collect();
                            findings = self.row(&entry, &cells)?;
                        }
                        findings
                    }
                };
                if !findings.is_empty() {
                    self.refuse(&entry, &findings, sink)?;
                }
            } else {
                self.refuse(&entry, entry.findings, sink)?;
            }
        }
        Ok(())
    }

    /// What look-ups find, by target, and findings about what they do not.
    fn look_up(&mut self, entry: &Entry<'_>, cells: &[Cell<'_>]) -> Result<(Vec<Option<Stored>>, Vec<Finding>), ImportError> {
        let (mut found, mut findings) = (vec![None; cells.len()], Vec::new());
        for at in 0..self.look_ups.len() {
            let look_up = &mut self.look_ups[at];
            let (target, cell) = (look_up.target, cells[look_up.target]);
            if cell == Cell::Null {
                continue;
            }
            found[target] = look_up.finder.find(cell)?;
            if found[target].is_none() {
                let message = format!("{} has no row with this value", look_up.entity);
                let mut finding = finding(self.entity, entry, Rule::Reference, message, "load that row first, or correct the value");
                self.place(&mut finding, target, cell);
                findings.push(finding);
            }
        }
        Ok((found, findings))
    }

    /// Gives a finding its column, field and value.
    fn place(&self, finding: &mut Finding, target: usize, cell: Cell<'_>) {
        let field = self.columns[target].0;
        finding.column = source_of(self.import.project_entity, field);
        finding.field.clone_from(&self.entity.fields[field].name);
        finding.value = cell.text();
    }

    /// Loads a row; its findings when it is refused.
    fn row(&mut self, entry: &Entry<'_>, cells: &[Cell<'_>]) -> Result<Vec<Finding>, ImportError> {
        let mut findings = Vec::new();
        for at in 0..self.references.len() {
            let referenced = &mut self.references[at];
            let target = referenced.target;
            if !referenced.reference.exists(cells[target])? {
                let message = format!("{} has no row with this key", referenced.entity);
                let (rule, hint) = (Rule::Reference, "load that row first, or correct the value");
                let mut finding = finding(self.entity, entry, rule, message, hint);
                self.place(&mut finding, target, cells[target]);
                findings.push(finding);
            }
        }
        for at in 0..self.unique.len() {
            let unique = &mut self.unique[at];
            let values: Vec<String> = unique.targets.iter().map(|target| cells[*target].text()).collect();
            let (target, value) = (unique.targets[0], values.join("\u{1f}"));
            if values.iter().all(String::is_empty) {
                continue;
            }
            if let Some(row) = unique.seen.note(&value, entry.number)? {
                let message = format!("row {row} of the document has it too");
                let mut finding = finding(self.entity, entry, Rule::Unique, message, "take one of the two out, or give one another value");
                self.place(&mut finding, target, cells[target]);
                finding.value = values.join(", ");
                findings.push(finding);
            }
        }
        if !findings.is_empty() {
            return Ok(findings);
        }
        // Numbers are taken last, and given back by a row that the table refuses: no number is left out.
        let loaded = if self.sequences.is_empty() {
            self.upsert.row(cells)?
        } else {
            let database = self.import.database;
            let mut numbers = Vec::new();
            for value in entry.values {
                numbers.push(match value {
                    Value::Sequence(index) => {
                        let pattern = self.sequences[*index as usize];
                        Some((pattern, fill(pattern, database.next_number(pattern)?)))
                    }
                    _ => None,
                });
            }
            let filled = cells.iter().zip(&numbers).map(|(cell, number)| number.as_ref().map_or(*cell, |(_, text)| Cell::Text(text)));
            let loaded = self.upsert.row(&filled.collect::<Vec<_>>())?;
            if !matches!(loaded, Loaded::Inserted | Loaded::Updated | Loaded::Unchanged) {
                numbers.iter().flatten().try_for_each(|(pattern, _)| database.give_back(pattern))?;
            }
            loaded
        };
        match loaded {
            Loaded::Inserted => {
                self.report.counts.inserted += 1;
                let own = self.references.iter_mut().filter(|referenced| *referenced.entity == self.entity.name);
                own.for_each(|referenced| referenced.reference.forget_missing());
            }
            Loaded::Updated => self.report.counts.updated += 1,
            Loaded::Unchanged => self.report.counts.unchanged += 1,
            Loaded::Exists | Loaded::Missing => {
                let (rule, message, hint) = match loaded {
                    Loaded::Exists => {
                        (Rule::Exists, "a row with this key exists, and only new rows are taken", "take the row out, or write upsert")
                    }
                    _ => (Rule::Missing, "no row has this key, and only existing rows are changed", "correct the key, or write upsert"),
                };
                let mut finding = finding(self.entity, entry, rule, message.to_owned(), hint);
                let key = self.entity.key[0];
                if let Some(target) = self.columns.iter().position(|(field, _)| *field == key) {
                    self.place(&mut finding, target, cells[target]);
                }
                findings.push(finding);
            }
            Loaded::Refused(reason) => {
                let message = format!("the table does not take the row: {reason}");
                findings.push(finding(self.entity, entry, Rule::Load, message, "correct the row, or the table's rule"));
            }
        }
        Ok(findings)
    }

    fn end(&mut self, sink: &mut dyn Sink) -> Result<(), ImportError> {
        if self.report.counts.refused > 0 {
            self.refused.end(&mut self.refused_bytes).map_err(unwritable)?;
            self.flush(sink)?;
        }
        Ok(())
    }

    fn flush(&mut self, sink: &mut dyn Sink) -> Result<(), ImportError> {
        if !self.refused_bytes.is_empty() {
            sink.refused_rows()?.write_all(&self.refused_bytes).map_err(ImportError::WriteRefused)?;
            self.refused_bytes.clear();
        }
        Ok(())
    }

    fn refuse(&mut self, entry: &Entry<'_>, findings: &[Finding], sink: &mut dyn Sink) -> Result<(), ImportError> {
        self.report.counts.refused += 1;
        let refused = refused::Entry { line: entry.line, raw: entry.raw, frames: entry.frames };
        self.refused.record(refused, findings, &mut self.refused_bytes).map_err(unwritable)?;
        self.flush(sink)?;
        for finding in findings {
            self.report.findings += 1;
            sink.finding(finding.clone())?;
        }
        Ok(())
    }
}

fn unwritable(reason: Unwritable) -> ImportError {
    ImportError::WriteRefused(io::Error::other(reason.to_string()))
}

/// A finding about a record.
fn finding(entity: &Entity, entry: &Entry<'_>, rule: Rule, message: String, hint: &str) -> Finding {
    Finding {
        rule,
        entity: entity.name.clone(),
        line: entry.line,
        row: entry.number,
        column: String::new(),
        field: String::new(),
        value: String::new(),
        message,
        hint: hint.to_owned(),
    }
}

/// The patterns of number sequences, in the order of [`Plan::sequences`].
fn sequences_of(project_entity: &ProjectEntity) -> Vec<&str> {
    let patterns = project_entity.mapping.iter().filter_map(|mapping| match &mapping.source {
        Source::NumberSequence { pattern } => Some(pattern.as_str()),
        _ => None,
    });
    patterns.collect()
}

/// The fields a mapping fills, in the order of [`Plan::columns`].
fn columns_of(project_entity: &ProjectEntity) -> Vec<(usize, bool)> {
    let mut columns: Vec<(usize, bool)> = Vec::new();
    for mapping in &project_entity.mapping {
        if !columns.iter().any(|(field, _)| *field == mapping.field) {
            columns.push((mapping.field, mapping.ignore_blank));
        }
    }
    columns
}

/// The column that a field comes from, for findings made when the row is loaded.
fn source_of(project_entity: &ProjectEntity, field: usize) -> String {
    project_entity.mapping.iter().find(|mapping| mapping.field == field).map_or_else(String::new, |mapping| mapping.source.name())
}

#[cfg(test)]
mod tests;
