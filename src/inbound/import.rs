//! Imports one document into one entity: decode → parse → map → validate → load → report, in constant memory.
//!
//! Two threads, three when rows are staged: this one's helper decodes, splits, maps and validates into blocks of rows; this one runs one prepared upsert in one transaction
//! and keeps findings and refused rows in the order of the document. Blocks go back and forth, so that their memory is used again. Rows read =
//! inserted + updated + unchanged + refused, always.

use std::fmt;
use std::io::{self, Read, Write};
use std::ops::ControlFlow;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

use super::block::{Block, Entry, Value};
use super::load::{Loading, columns_of};
use super::plan::{self, Plan};
use crate::clock::Stopwatch;
use crate::document::broken::Broken;
use crate::document::collect::Instead;
use crate::document::read::{self, Layout, Origin, Take};
use crate::document::record::Record;
use crate::document::refused::{self, Refused};
use crate::document::value::Stored;
use crate::document::write::Unwritable;
use crate::model::entity::Entity;
use crate::model::execution::{RowCounts, StagingStatus};
use crate::model::finding::{Finding, Rule};
use crate::model::format::Format;
use crate::model::project::ProjectEntity;
use crate::model::time::Timestamp;
use crate::store::entities::{Cell, Loaded, Writing};
use crate::store::staging::{self, Part, Staging};
use crate::store::{Cause, StoreError};
use crate::transform::Failure;

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
    /// Where rows are staged, if they are: an empty file; and the status of those that are accepted. Asked for once, at the beginning.
    fn staging(&mut self) -> Result<Option<(PathBuf, StagingStatus)>, ImportError> {
        Ok(None)
    }
    /// Whether it wants to see the next row.
    fn wants_rows(&self) -> bool {
        false
    }
    /// A row was loaded. `columns` are the fields of its values.
    fn row(&mut self, _entity: &Entity, _columns: &[(usize, bool)], _values: &[Option<Stored>], _loaded: &Loaded) {}
    /// All is read and about to be committed: findings must be durable before.
    fn before_commit(&mut self, counts: &RowCounts, findings: u64) -> Result<(), ImportError>;
}

/// What an import did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// Rows by outcome.
    pub counts: RowCounts,
    /// Findings in all, notes apart.
    pub findings: u64,
    /// Findings that are no faults.
    pub notes: u64,
    /// The document as a whole was refused: no record of it was read.
    pub document_refused: bool,
    /// Rows that stood in the tables before, and were removed because the project says truncate.
    pub removed: u64,
    /// It was a file of refused rows that came back: what an earlier one has loaded stayed, also where the table is emptied otherwise.
    pub completes: bool,
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
    /// What stylesheets give cannot be written or kept.
    Transform(io::Error),
    /// The staging file cannot be made or kept.
    Stage(io::Error),
    /// The appliance stops.
    Stopped,
}

impl ImportError {
    /// Whether the same may work later.
    pub fn may_pass(&self) -> bool {
        match self {
            ImportError::ReadPayload(error) => !matches!(error.kind(), io::ErrorKind::InvalidData | io::ErrorKind::NotFound),
            ImportError::Store(error) => error.may_pass(),
            ImportError::WriteRefused(_) | ImportError::Transform(_) | ImportError::Stage(_) | ImportError::Stopped => true,
        }
    }
}

impl fmt::Display for ImportError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ImportError::ReadPayload(error) => write!(f, "cannot read the payload: {error}"),
            ImportError::Store(error) => error.fmt(f),
            ImportError::WriteRefused(error) => write!(f, "cannot write the refused rows: {error}"),
            ImportError::Transform(error) => write!(f, "cannot transform the document: {error}"),
            ImportError::Stage(error) => write!(f, "cannot stage the rows: {error}"),
            ImportError::Stopped => f.write_str("the appliance stops"),
        }
    }
}

impl std::error::Error for ImportError {}

impl From<Failure> for ImportError {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Read(error) => ImportError::ReadPayload(error),
            Failure::System(error) => ImportError::Transform(error),
            Failure::Stopped => ImportError::Stopped,
        }
    }
}

impl From<StoreError> for ImportError {
    fn from(error: StoreError) -> Self {
        ImportError::Store(error)
    }
}

enum Piece {
    /// How the document is written, its header's exact text, and how many columns it has.
    Begun(Origin, Vec<u8>, usize),
    Rows(Block),
    /// Fields whose column the document lacks: rows keep what they have in them.
    Absent(Vec<usize>),
    /// Something to know that is no fault.
    Note(Finding),
    /// How many fields records have, without a header.
    Fields(usize),
    /// What was passed over at the end of the document.
    Trailer(Vec<Vec<u8>>),
    /// Nothing of the document may be loaded.
    DocumentRefused(Vec<Finding>),
    Failed(io::Error),
}

/// Runs an import. On an error nothing is loaded.
pub fn run(import: &Import<'_>, document: impl Read + Send, sink: &mut dyn Sink) -> Result<Report, ImportError> {
    let watch = Stopwatch::start();
    let staging = match sink.staging()? {
        None => None,
        Some((path, accepted)) => Some((Staging::create(&path, &staged_parts(import.project_entity))?, accepted)),
    };
    import.database.begin()?;
    let result = std::thread::scope(|scope| {
        let (sender, receiver) = sync_channel(BLOCKS);
        let (emptied, empties) = sync_channel::<Block>(2 * BLOCKS);
        let mut stager = None;
        if let Some((staging, accepted)) = staging {
            let (sender, receiver) = sync_channel(BLOCKS);
            let emptied = emptied.clone();
            let thread = std::thread::Builder::new().name("import-stage".into());
            let thread = thread.spawn_scoped(scope, move || stage(staging, accepted, &receiver, &emptied)).map_err(ImportError::Stage)?;
            stager = Some((sender, thread));
        }
        let (project_entity, entities, company) = (import.project_entity, import.entities, import.company);
        let parser = std::thread::Builder::new().name("import-parse".into()).spawn_scoped(scope, move || {
            let watch = Stopwatch::start();
            parse(project_entity, entities, company, document, &sender, &empties);
            watch.elapsed_ms()
        });
        let parser = parser.map_err(ImportError::ReadPayload)?;
        let (stages, thread) = stager.unzip();
        let loaded = load(import, receiver, &emptied, stages, sink);
        if let Some(thread) = thread {
            // Its sender is gone. What it met is the reason for what the loading thread met.
            let panicked = || StoreError { operation: "stage the rows", cause: Cause::Damaged("the staging thread panicked".into()) };
            thread.join().unwrap_or_else(|_| Err(panicked()))?;
        }
        let mut report = loaded?;
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
        origin: Origin::new(project_entity.format.encoding()),
        trailer: Vec::new(),
        plan: None,
        block: Block::default(),
        number: 0,
        refused: Vec::new(),
    };
    let ended = read::read(document, &project_entity.format, plan::wanted(project_entity), &mut parsing);
    let _ = parsing.send();
    let _ = sender.send(Piece::Trailer(std::mem::take(&mut parsing.trailer)));
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
    origin: Origin,
    trailer: Vec<Vec<u8>>,
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
        Finding { line, ..Finding::of_document(Rule::Format, &self.project_entity.entity.name, message, hint) }
    }
}

impl Take for Parsing<'_> {
    fn origin(&mut self, origin: Origin) {
        self.origin = origin;
    }

    fn trailer(&mut self, passed_over: Vec<Vec<u8>>) {
        self.trailer = passed_over;
    }

    fn layout(&mut self, layout: &Layout) -> ControlFlow<()> {
        let (raw, columns) = match layout {
            Layout::Named { raw, names, .. } => (raw.clone(), names.len()),
            Layout::Numbered | Layout::Asked => (Vec::new(), 0),
        };
        if self.sender.send(Piece::Begun(self.origin.clone(), raw, columns)).is_err() {
            return ControlFlow::Break(());
        }
        match Plan::new(self.project_entity, self.entities, self.company, layout) {
            Ok(plan) => {
                if !plan.absent().is_empty() && self.sender.send(Piece::Absent(plan.absent().to_vec())).is_err() {
                    return ControlFlow::Break(());
                }
                if let Some((columns, fields)) = plan.left_over() {
                    let message =
                        format!("no column of the document is for {}, and no field for its {}", fields.join(", "), columns.join(", "));
                    self.note(message, "where they belong together, write a mapping".into());
                }
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
        if let Some(plan) = &mut self.plan {
            let known = plan.width.is_some();
            plan.apply(record, self.number, &mut self.block);
            if let (false, Some(fields)) = (known, plan.width) {
                // Before the block, so that it is told with all that are refused.
                let _ = self.sender.send(Piece::Fields(fields));
            }
        }
        if self.block.is_full() { self.send() } else { ControlFlow::Continue(()) }
    }

    fn note(&mut self, message: String, hint: String) {
        // Behind the rows before it. That nobody listens is told by the next row.
        let note = Finding::of_document(Rule::Message, &self.project_entity.entity.name, message, hint);
        let _ = self.send();
        let _ = self.sender.send(Piece::Note(note));
    }

    fn nothing_found(&mut self, instead: Instead<'_>) {
        let (place, key) = match &self.project_entity.format {
            Format::Xml(xml) => match (&xml.record, &xml.root) {
                (Some(record), _) => (record.to_string(), "record"),
                (None, root) => (format!("/{}/*", root.as_deref().unwrap_or("*")), "root"),
            },
            Format::Json(json) => (json.record.as_ref().map_or_else(String::new, ToString::to_string), "record"),
            _ => (String::new(), "type"),
        };
        let message = format!("the document has no record at {place}");
        let seen = instead.seen.join(", ");
        match instead.others {
            true => self.note(message, format!("it has {seen}; where those should be records, correct record in the format")),
            false => self.refused.push(self.about_the_document(0, message, format!("it has {seen}; correct {key} in the format"))),
        }
    }
}

/// What the loading thread has done.
enum Done {
    /// A block; for each of its records why it was refused, or nothing.
    Rows(Block, Vec<Option<String>>),
    /// All that was loaded is taken back.
    TakenBack,
}

/// The entities whose rows are staged: the entity's own, and those of nested records.
fn staged_parts(project_entity: &ProjectEntity) -> Vec<Part<'_>> {
    let all = std::iter::once(project_entity).chain(project_entity.nested.iter().map(|nested| &nested.project_entity));
    let part = |one| {
        let one: &ProjectEntity = one;
        Part { entity: &one.entity, fields: columns_of(one).into_iter().map(|(field, _)| field).collect() }
    };
    all.map(part).collect()
}

/// The staging thread: keeps what was loaded or refused, behind the loading thread. Ends with the file whole.
fn stage(staging: Staging, accepted: StagingStatus, done: &Receiver<Done>, emptied: &SyncSender<Block>) -> Result<(), StoreError> {
    let mut rows = staging.rows()?;
    for done in done {
        let (mut block, reasons) = match done {
            Done::Rows(block, reasons) => (block, reasons),
            Done::TakenBack => {
                staging.take_back()?;
                continue;
            }
        };
        for (entry, reason) in block.records().zip(&reasons) {
            let own = entry.rows().next().map_or(&[][..], |row| row.values);
            for row in entry.rows() {
                let cells = row.values.iter().map(|value| match value {
                    Value::Parent(target) => own.get(*target as usize).map_or(Cell::Null, |value| block.cell(*value)),
                    value => block.cell(*value),
                });
                let staged = staging::Row {
                    number: entry.number,
                    line: row.line,
                    status: if reason.is_some() { StagingStatus::Error } else { accepted },
                    reason: reason.as_deref(),
                    record: reason.as_ref().map(|_| entry.raw).filter(|_| row.part == 0),
                };
                rows.row(row.part, &staged, cells)?;
            }
        }
        block.clear();
        let _ = emptied.try_send(block);
    }
    drop(rows);
    staging.finish()
}

/// The loading thread. `stages` takes what is done, when rows are staged.
fn load(
    import: &Import<'_>,
    pieces: Receiver<Piece>,
    emptied: &SyncSender<Block>,
    stages: Option<SyncSender<Done>>,
    sink: &mut dyn Sink,
) -> Result<Report, ImportError> {
    // It is gone only when the staging thread is, whose error is the one that is told.
    let gone = |_| ImportError::Stopped;
    let mut loader = Loader::new(import)?;
    loader.reasons = stages.as_ref().map(|_| Vec::new());
    for piece in pieces {
        if import.stop.load(Ordering::Relaxed) {
            return Err(ImportError::Stopped);
        }
        match piece {
            Piece::Begun(origin, header, columns) => {
                let own = import.project_entity;
                // What comes back completes an earlier load: what that one has loaded stays.
                loader.report.completes = origin.mended;
                if !origin.mended {
                    for part in &loader.parts {
                        loader.report.removed += part.begin()?;
                    }
                }
                loader.refused = Refused::new(&own.format, origin, header, columns).of_transformed(!own.transform.is_empty());
            }
            Piece::Fields(fields) => loader.refused.fields = Some(fields),
            Piece::Trailer(passed_over) => loader.trailer = passed_over,
            Piece::Failed(error) => return Err(ImportError::ReadPayload(error)),
            Piece::DocumentRefused(findings) => {
                stages.as_ref().map_or(Ok(()), |stages| stages.send(Done::TakenBack)).map_err(gone)?;
                loader.refuse_document(findings, sink)?;
            }
            Piece::Absent(fields) => loader.parts[0].keep(&fields)?,
            Piece::Note(finding) => {
                loader.report.notes += 1;
                sink.finding(finding)?;
            }
            Piece::Rows(mut block) => {
                loader.block(&block, sink)?;
                match &stages {
                    Some(stages) => {
                        let reasons = loader.reasons.replace(Vec::new()).unwrap_or_default();
                        stages.send(Done::Rows(block, reasons)).map_err(|_| ImportError::Stopped)?;
                    }
                    None => {
                        block.clear();
                        let _ = emptied.try_send(block);
                    }
                }
            }
        }
    }
    loader.end(sink)?;
    let (mut dangling, counts) = (Vec::new(), loader.report.counts);
    for part in loader.parts.iter().filter(|_| counts.inserted + counts.updated > 0) {
        dangling.extend(part.dangling()?);
    }
    if !dangling.is_empty() {
        stages.as_ref().map_or(Ok(()), |stages| stages.send(Done::TakenBack)).map_err(gone)?;
        loader.refuse_document(dangling, sink)?;
    }
    Ok(loader.report)
}

/// Loads blocks, and reports what becomes of their records.
struct Loader<'a> {
    import: &'a Import<'a>,
    /// The entity's own rows, then those of nested records.
    parts: Vec<Loading<'a>>,
    refused: Refused,
    /// What was passed over at the end of the document.
    trailer: Vec<Vec<u8>>,
    /// Bytes for the file of refused rows.
    refused_bytes: Vec<u8>,
    /// For each record of the block why it was refused, when that is asked for.
    reasons: Option<Vec<Option<String>>>,
    report: Report,
}

impl<'a> Loader<'a> {
    fn new(import: &'a Import<'a>) -> Result<Loader<'a>, ImportError> {
        let own = import.project_entity;
        let all = std::iter::once(own).chain(own.nested.iter().map(|nested| &nested.project_entity));
        let together = !own.nested.is_empty();
        let mut parts = Vec::new();
        for (part, project_entity) in all.enumerate() {
            parts.push(Loading::new(project_entity, import.entities, import.database, part, together)?);
        }
        let refused = Refused::new(&own.format, Origin::new(own.format.encoding()), Vec::new(), 0);
        let report = Report::default();
        Ok(Loader { import, parts, refused, trailer: Vec::new(), refused_bytes: Vec::new(), reasons: None, report })
    }

    /// Takes back what came before: half a document is no document.
    fn refuse_document(&mut self, findings: Vec<Finding>, sink: &mut dyn Sink) -> Result<(), ImportError> {
        self.import.database.begin_again()?;
        self.report.removed = 0;
        self.report.counts = RowCounts::default();
        self.report.document_refused = true;
        for finding in findings {
            self.report.findings += 1;
            sink.finding(finding)?;
        }
        Ok(())
    }

    fn block(&mut self, block: &Block, sink: &mut dyn Sink) -> Result<(), ImportError> {
        for entry in block.records() {
            self.report.counts.read += entry.len();
            if !entry.findings.is_empty() {
                let mut findings = entry.findings.to_vec();
                for row in entry.rows() {
                    findings.extend(self.parts[row.part].judge(block, entry.number, &row)?);
                }
                self.refuse(&entry, &findings, sink)?;
                self.judged(&findings);
                continue;
            }
            let findings = if self.parts.len() == 1 { self.single(block, &entry, sink)? } else { self.composite(block, &entry, sink)? };
            if !findings.is_empty() {
                self.refuse(&entry, &findings, sink)?;
            }
            self.judged(&findings);
        }
        Ok(())
    }

    /// What became of a record, for the staging.
    fn judged(&mut self, findings: &[Finding]) {
        if let Some(reasons) = &mut self.reasons {
            reasons.push((!findings.is_empty()).then(|| refused::reasons(findings)));
        }
    }

    /// Loads a record that is one row.
    fn single(&mut self, block: &Block, entry: &Entry<'_>, sink: &mut dyn Sink) -> Result<Vec<Finding>, ImportError> {
        let mut findings = Vec::new();
        let (shows, mut kept) = (sink.wants_rows(), Vec::new());
        for row in entry.rows() {
            let outcome = self.parts[0].row(block, entry.number, &row, &[], shows.then_some(&mut kept))?;
            if let Some(loaded) = outcome.loaded.as_ref().filter(|_| shows) {
                sink.row(self.parts[0].definition(), self.parts[0].columns(), &kept, loaded);
            }
            if outcome.loaded == Some(Loaded::Inserted) {
                let entity = self.parts[0].entity();
                self.parts[0].inserted(entity);
            }
            count(&mut self.report.counts, outcome.loaded.as_ref());
            findings.extend(outcome.findings);
        }
        Ok(findings)
    }

    /// Loads a record with the records nested in it: all or none.
    fn composite(&mut self, block: &Block, entry: &Entry<'_>, sink: &mut dyn Sink) -> Result<Vec<Finding>, ImportError> {
        let (shows, mut shown) = (sink.wants_rows(), Vec::new());
        let (mut findings, mut counts, mut parent) = (Vec::new(), RowCounts::default(), Vec::new());
        self.import.database.begin_together()?;
        for row in entry.rows() {
            let part = &mut self.parts[row.part];
            let mut own = Vec::new();
            let keep = (row.part == 0 || shows).then_some(&mut own);
            let outcome = part.row(block, entry.number, &row, &parent, keep)?;
            if let Some(loaded) = outcome.loaded.clone().filter(|_| shows) {
                shown.push((row.part, own.clone(), loaded));
            }
            if row.part == 0 {
                parent = own;
            }
            if outcome.loaded == Some(Loaded::Inserted) {
                let entity = part.entity();
                self.parts.iter_mut().for_each(|part| part.inserted(entity));
            }
            count(&mut counts, outcome.loaded.as_ref());
            findings.extend(outcome.findings);
            // What belongs to a row that is refused cannot be judged.
            if row.part == 0 && !findings.is_empty() {
                break;
            }
        }
        self.import.database.end_together(findings.is_empty())?;
        if findings.is_empty() {
            let all = &mut self.report.counts;
            all.inserted += counts.inserted;
            all.updated += counts.updated;
            all.unchanged += counts.unchanged;
            for (part, values, loaded) in &shown {
                sink.row(self.parts[*part].definition(), self.parts[*part].columns(), values, loaded);
            }
        } else {
            self.parts.iter_mut().for_each(Loading::taken_back);
        }
        Ok(findings)
    }

    fn end(&mut self, sink: &mut dyn Sink) -> Result<(), ImportError> {
        if self.report.counts.refused > 0 {
            self.refused.end(&self.trailer, &mut self.refused_bytes).map_err(unwritable)?;
            self.flush(sink)?;
            // Rows that nothing comes in the place of stay.
            if self.report.removed > 0 && self.report.counts.refused == self.report.counts.read {
                self.import.database.begin_again()?;
                self.report.removed = 0;
            }
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
        self.report.counts.refused += entry.len();
        let refused = refused::Entry { line: entry.line, raw: entry.raw, frames: entry.frames };
        let comes_back = self.refused.record(refused, findings, &mut self.refused_bytes).map_err(unwritable)?;
        self.flush(sink)?;
        let together = (entry.len() > 1).then(|| together(self.parts[0].entity(), entry, &findings[0]));
        for finding in findings.iter().chain(&together) {
            self.report.findings += 1;
            let mut finding = finding.clone();
            if !comes_back {
                finding.hint.push_str("; it is too large for the file of refused rows, and mended in the document that was sent");
            }
            sink.finding(finding)?;
        }
        Ok(())
    }
}

/// What is said of the rows of a record that are refused because of another: once, however many they are.
fn together(entity: &str, entry: &Entry<'_>, culprit: &Finding) -> Finding {
    let message = format!(
        "{} rows are refused together, because of {} in line {}: a record and what is nested in it are loaded together or not at all",
        entry.len(),
        culprit.entity,
        culprit.line
    );
    let hint = "mend what is wrong there; the others need no mending, and come back with it";
    Finding { line: entry.line, row: entry.number, ..Finding::of_document(Rule::Together, entity, message, hint) }
}

fn unwritable(reason: Unwritable) -> ImportError {
    ImportError::WriteRefused(io::Error::other(reason.to_string()))
}

fn count(counts: &mut RowCounts, loaded: Option<&Loaded>) {
    match loaded {
        Some(Loaded::Inserted) => counts.inserted += 1,
        Some(Loaded::Updated) => counts.updated += 1,
        Some(Loaded::Unchanged) => counts.unchanged += 1,
        _ => {}
    }
}

#[cfg(test)]
mod tests;
