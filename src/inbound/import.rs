//! Imports one document into one entity: decode → parse → map → validate → load → report, in constant memory.
//!
//! Two threads, three when rows are staged: this one's helper decodes, splits, maps and validates into blocks of rows; this one runs one prepared upsert in one transaction
//! and keeps findings and refused rows in the order of the document. Blocks go back and forth, so that their memory is used again. Rows read =
//! inserted + updated + unchanged + refused, always.

mod loader;
mod parser;
mod stager;

use std::fmt;
use std::io::{self, Read, Write};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::sync::mpsc::sync_channel;

use self::loader::load;
use self::parser::parse;
use self::stager::{stage, staged_parts};
use super::block::Block;
use crate::clock::Stopwatch;
use crate::document::read::Origin;
use crate::document::value::Stored;
use crate::model::entity::Entity;
use crate::model::execution::{RowCounts, StagingStatus};
use crate::model::finding::Finding;
use crate::model::project::ProjectEntity;
use crate::model::time::Timestamp;
use crate::store::entities::{Loaded, Writing};
use crate::store::staging::Staging;
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
    /// The file that refused rows are written to; asked for at the end of the document, when there are any.
    fn refused_rows(&mut self) -> Result<Box<dyn Write + '_>, ImportError>;
    /// The document is refused as a whole: what was written of its refused rows is a part of it, and is not kept.
    fn forget_refused_rows(&mut self) {}
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
    /// The document as a whole was refused: no record of it was read, or none was taken in the place of all rows.
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

/// What the parsing thread sends.
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
            thread.join().unwrap_or_else(|_| Err(panicked("stage the rows")))?;
        }
        let mut report = loaded?;
        // Its receiver is gone or it has sent its last piece: it ends. Where it panicked, that was not the end of the document.
        report.parse_ms = parser.join().map_err(|_| panicked("read the document"))?;
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

fn panicked(operation: &'static str) -> StoreError {
    StoreError { operation, cause: Cause::Damaged("its thread met a bug of the appliance, see the log".into()) }
}

#[cfg(test)]
mod tests;
