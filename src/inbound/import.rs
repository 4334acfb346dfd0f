//! Imports one document into one entity: decode → parse → map → validate → load → report, in constant memory.
//!
//! Two threads: this one's helper decodes, splits, maps and validates into blocks of rows; this one runs one prepared upsert in one transaction
//! and keeps findings and refused rows in the order of the document. Rows read = inserted + updated + unchanged + refused, always.

use std::fmt;
use std::io::{self, Read, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

use super::plan::{Plan, Row, Value};
use crate::clock::Stopwatch;
use crate::document::csv::read::{Reader, Record, encode};
use crate::document::csv::write;
use crate::document::value::Stored;
use crate::model::entity::Entity;
use crate::model::execution::RowCounts;
use crate::model::finding::{Finding, Rule};
use crate::model::format::{CsvFormat, Format};
use crate::model::project::ProjectEntity;
use crate::model::time::Timestamp;
use crate::store::StoreError;
use crate::store::entities::{Cell, Loaded, Writing};

/// Rows that pass from one thread to the other at a time.
const BLOCK_ROWS: usize = 512;
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

struct Parsed {
    line: u64,
    number: u64,
    row: Row,
    /// The record's exact text, for the file of refused rows: a good row may still be refused when it is loaded.
    raw: Vec<u8>,
}

enum Piece {
    Header(Vec<u8>),
    Rows(Vec<Parsed>),
    DocumentRefused(Vec<Finding>),
    Failed(io::Error),
}

/// Runs an import. On an error nothing is loaded.
pub fn run(import: &Import<'_>, document: impl Read + Send, sink: &mut dyn Sink) -> Result<Report, ImportError> {
    let Format::Csv(format) = &import.project_entity.format;
    let watch = Stopwatch::start();
    import.database.begin()?;
    let result = std::thread::scope(|scope| {
        let (sender, receiver) = sync_channel(BLOCKS);
        let project_entity = import.project_entity;
        let parser = std::thread::Builder::new().name("import-parse".into()).spawn_scoped(scope, move || {
            let watch = Stopwatch::start();
            parse(project_entity, format, document, &sender);
            watch.elapsed_ms()
        });
        let parser = parser.map_err(ImportError::ReadPayload)?;
        let mut report = load(import, format, receiver, sink)?;
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
fn parse(project_entity: &ProjectEntity, format: &CsvFormat, document: impl Read, sender: &SyncSender<Piece>) {
    if let Err(error) = parse_all(project_entity, format, document, sender) {
        let _ = sender.send(Piece::Failed(error));
    }
}

fn parse_all(project_entity: &ProjectEntity, format: &CsvFormat, document: impl Read, sender: &SyncSender<Piece>) -> io::Result<()> {
    let mut reader = Reader::new(document, format);
    let mut record = Record::default();
    for _ in 0..format.skip_first {
        reader.next_into(&mut record)?;
    }
    let mut header = None;
    if format.header {
        if reader.next_into(&mut record)? {
            header = Some((record.line, record.texts().collect()));
            if sender.send(Piece::Header(record.raw.clone())).is_err() {
                return Ok(());
            }
        } else {
            header = Some((1, Vec::new()));
        }
    }
    let plan = match Plan::new(project_entity, header) {
        Ok(plan) => plan,
        Err(findings) => {
            let _ = sender.send(Piece::DocumentRefused(findings));
            return Ok(());
        }
    };
    let mut held: std::collections::VecDeque<Record> = std::collections::VecDeque::new();
    let mut rows = Vec::with_capacity(BLOCK_ROWS);
    let mut number = 0;
    loop {
        let more = reader.next_into(&mut record)?;
        if more && format.skip_last > 0 {
            held.push_back(record.clone());
            if held.len() <= format.skip_last as usize {
                continue;
            }
            record = held.pop_front().expect("more records are held than are skipped");
        }
        if more {
            number += 1;
            let row = plan.apply(&record, number);
            rows.push(Parsed { line: record.line, number, row, raw: record.raw.clone() });
        }
        if rows.len() == BLOCK_ROWS || (!more && !rows.is_empty()) {
            let full = std::mem::replace(&mut rows, Vec::with_capacity(BLOCK_ROWS));
            if sender.send(Piece::Rows(full)).is_err() {
                return Ok(());
            }
        }
        if !more {
            return Ok(());
        }
    }
}

/// The loading thread.
fn load(import: &Import<'_>, format: &CsvFormat, pieces: Receiver<Piece>, sink: &mut dyn Sink) -> Result<Report, ImportError> {
    let entity = &*import.project_entity.entity;
    let mut report = Report::default();
    // The columns of a plan depend on the mapping alone, not on the header: compile one to know them.
    let columns = columns_of(import.project_entity);
    let mut upsert = import.database.upsert(entity, &columns)?;
    let mut references = Vec::new();
    for (target, (field, _)) in columns.iter().enumerate() {
        if let Some(name) = &entity.fields[*field].references
            && let Some(referenced) = import.entities.iter().find(|entity| entity.is_called(name))
        {
            references.push((target, *field, referenced.name.clone(), import.database.reference(referenced)?));
        }
    }
    let mut header = Vec::new();
    let mut refused = Refused { format, begun: false };
    for piece in pieces {
        if import.stop.load(Ordering::Relaxed) {
            return Err(ImportError::Stopped);
        }
        let rows = match piece {
            Piece::Header(raw) => {
                header = raw;
                continue;
            }
            Piece::Failed(error) => return Err(ImportError::ReadPayload(error)),
            Piece::DocumentRefused(findings) => {
                report.document_refused = true;
                for finding in findings {
                    report.findings += 1;
                    sink.finding(finding)?;
                }
                continue;
            }
            Piece::Rows(rows) => rows,
        };
        for Parsed { line, number, row, raw } in rows {
            report.counts.read += 1;
            let findings = match row {
                Row::Refused(findings) => findings,
                Row::Good(values) => {
                    let place = |target: usize, rule, value: String, message: String, hint: &str| Finding {
                        rule,
                        entity: entity.name.clone(),
                        line,
                        row: number,
                        column: source_of(import.project_entity, columns[target].0),
                        field: entity.fields[columns[target].0].name.clone(),
                        value,
                        message,
                        hint: hint.to_owned(),
                    };
                    let values = values
                        .into_iter()
                        .map(|value| match value {
                            Value::None => Ok(None),
                            Value::Stored(stored) => Ok(Some(stored)),
                            Value::Sequence(pattern) => {
                                import.database.next_number(&pattern).map(|number| Some(Stored::Text(fill(&pattern, number))))
                            }
                        })
                        .collect::<Result<Vec<_>, _>>()?;
                    let cells: Vec<Cell<'_>> = values.iter().map(|value| value.as_ref().map_or(Cell::Null, Cell::from)).collect();
                    let mut findings = Vec::new();
                    for (target, _, referenced, reference) in &mut references {
                        if !reference.exists(cells[*target])? {
                            let value = values[*target].as_ref().map(Stored::text).unwrap_or_default();
                            let message = format!("{referenced} has no row with this key");
                            findings.push(place(*target, Rule::Reference, value, message, "load that row first, or correct the value"));
                        }
                    }
                    if findings.is_empty() {
                        match upsert.row(&cells)? {
                            Loaded::Inserted => {
                                report.counts.inserted += 1;
                                references
                                    .iter_mut()
                                    .filter(|(.., name, _)| *name == entity.name)
                                    .for_each(|(.., reference)| reference.forget_missing());
                            }
                            Loaded::Updated => report.counts.updated += 1,
                            Loaded::Unchanged => report.counts.unchanged += 1,
                            Loaded::Refused(reason) => {
                                let mut finding = place(
                                    0,
                                    Rule::Load,
                                    String::new(),
                                    format!("the table does not take the row: {reason}"),
                                    "correct the row, or the table's rule",
                                );
                                finding.column.clear();
                                finding.field.clear();
                                findings.push(finding);
                            }
                        }
                    }
                    findings
                }
            };
            if findings.is_empty() {
                continue;
            }
            report.counts.refused += 1;
            refused.row(sink, &header, line, &raw, &findings)?;
            for finding in findings {
                report.findings += 1;
                sink.finding(finding)?;
            }
        }
    }
    Ok(report)
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

fn source_of(project_entity: &ProjectEntity, field: usize) -> String {
    use crate::model::mapping::Source;
    match project_entity.mapping.iter().find(|mapping| mapping.field == field).map(|mapping| &mapping.source) {
        Some(Source::Column(name)) => name.clone(),
        Some(Source::Number(number)) => number.to_string(),
        _ => String::new(),
    }
}

/// A number sequence's pattern with its number: the run of `#` is as wide as the number is padded to.
fn fill(pattern: &str, number: u64) -> String {
    let width = pattern.bytes().filter(|byte| *byte == b'#').count();
    let digits = format!("{number:0>width$}");
    match pattern.find('#') {
        Some(at) => format!("{}{digits}{}", &pattern[..at], pattern[at..].trim_start_matches('#')),
        None => format!("{pattern}{digits}"),
    }
}

/// The file of refused rows: the document's own header and records, with two columns more that say where they stood and what is wrong. Mended
/// and sent again, the two are ignored, because nothing maps them.
struct Refused<'a> {
    format: &'a CsvFormat,
    begun: bool,
}

impl Refused<'_> {
    fn row(&mut self, sink: &mut dyn Sink, header: &[u8], line: u64, raw: &[u8], findings: &[Finding]) -> Result<(), ImportError> {
        let mut text = Vec::new();
        let writer = write::Writer::new(self.format);
        if !self.begun {
            writer.begin(&mut text);
            if self.format.header {
                self.line(&mut text, header, "Entrepot line", "Entrepot reason");
            }
            self.begun = true;
        }
        let reasons: Vec<String> = findings
            .iter()
            .map(|finding| match finding.column.is_empty() {
                true => finding.message.clone(),
                false => format!("{}: {}", finding.column, finding.message),
            })
            .collect();
        self.line(&mut text, raw, &line.to_string(), &reasons.join("; "));
        sink.refused_rows()?.write_all(&text).map_err(ImportError::WriteRefused)
    }

    fn line(&self, into: &mut Vec<u8>, raw: &[u8], line: &str, reason: &str) {
        // Without a qualifier a reason must not look like two fields.
        let reason = match self.format.qualifier {
            None => reason.replace(&self.format.delimiter, " ").replace(['\r', '\n'], " "),
            Some(_) => reason.to_owned(),
        };
        let mut tail = Vec::new();
        let plain = CsvFormat { encoding: encoding_rs::UTF_8, ..self.format.clone() };
        // UTF-8 can say everything.
        let _ = write::Writer::new(&plain).record([Some(line), Some(reason.as_str())], &mut tail);
        let start = into.len();
        into.extend_from_slice(raw);
        into.extend_from_slice(self.format.delimiter.as_bytes());
        into.extend_from_slice(&tail);
        if self.format.encoding != encoding_rs::UTF_8 {
            let text = String::from_utf8_lossy(&into[start..]).into_owned();
            into.truncate(start);
            // A character that the encoding lacks can only stand in our own words.
            let ascii = || text.chars().map(|c| if c.is_ascii() { c } else { '?' }).collect::<String>();
            if encode(&text, self.format.encoding, into).is_err() {
                into.truncate(start);
                let _ = encode(&ascii(), self.format.encoding, into);
            }
        }
    }
}

#[cfg(test)]
mod tests;
