//! Exports a project: rows → documents → (stylesheets) → data package, in constant memory, but for stylesheets that need a document whole.
//!
//! Two threads: this one reads rows and writes text into blocks; a helper deflates them into the zip and hashes it. Blocks are used again.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::fmt::Write as _;
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::ops::ControlFlow;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, sync_channel};

use rusqlite::Connection;
use rusqlite::types::ValueRef;
use zip::ZipWriter;
use zip::write::SimpleFileOptions;

use crate::clock::Stopwatch;
use crate::document::package;
use crate::document::value::Stored;
use crate::document::write::{Unwritable, Writer};
use crate::files::{Digested, Digester, Scratch};
use crate::model::entity::{Entity, Field, FieldKind};
use crate::model::finding::Finding;
use crate::model::id::{ActivityId, MessageId};
use crate::model::project::{Project, ProjectEntity, Refresh};
use crate::model::time::Timestamp;
use crate::model::transform::Budget;
use crate::store::changes::Range;
use crate::store::entities::{Entities, as_kept, is_kept};
use crate::store::{StoreError, select};
use crate::transform::{self, Call, Failure, Transcript};

const BLOCK: usize = 256 * 1024;
const BLOCKS: usize = 4;
/// zlib level: half the time of the usual 6, and nearly its size.
const LEVEL: i64 = 3;
/// Findings kept of what the stylesheets of one document say; all are counted.
const MESSAGES_MAX: u64 = 1000;

/// What is exported, and with what.
pub struct Export<'a> {
    /// The project.
    pub project: &'a Project,
    /// Where the rows are.
    pub entities: &'a Entities,
    /// At most this many rows of each entity.
    pub rows_max: u64,
    /// For each of the project's entities, in their order: only the rows that changed in these epochs.
    pub ranges: &'a [Option<Range>],
    /// The job, if it is one's run.
    pub activity_id: Option<ActivityId>,
    /// The message that it becomes, if it becomes one.
    pub message_id: Option<MessageId>,
    /// The legal entity, when the job has a fixed one.
    pub company: Option<&'a str>,
    /// Now.
    pub now: Timestamp,
    /// What stylesheets may cost.
    pub budget: &'a Budget,
    /// Makes a file for a document that stylesheets are to take.
    pub scratch: &'a dyn Fn() -> io::Result<Scratch>,
    /// Set when the appliance stops.
    pub stop: &'a AtomicBool,
}

/// What an export did.
#[derive(Clone, Debug, PartialEq)]
pub struct Report {
    /// Rows in all documents.
    pub rows: u64,
    /// Rows of each entity's document, in the order of the project's entities.
    pub documents: Vec<u64>,
    /// Keys of deleted rows, in documents of their own.
    pub deleted: u64,
    /// Keys of deleted rows that their document's format cannot hold, and so no message had.
    pub passed_over: u64,
    /// The package.
    pub package: Digested,
    /// What stylesheets did and said.
    pub transcript: Transcript,
    /// Time, in ms.
    pub elapsed_ms: u64,
}

/// Why an export did not work.
#[derive(Debug)]
pub enum ExportError {
    /// The rows cannot be read.
    Store(StoreError),
    /// The package cannot be written.
    WritePackage(io::Error),
    /// A value that the document's format cannot hold.
    Unwritable {
        /// Which document.
        entity: String,
        /// Row, from 1; 0 for the document itself.
        row: u64,
        /// Its key, as far as the document has it, as `ID "A1"`.
        key: String,
        /// Why.
        reason: Unwritable,
    },
    /// Stylesheets could not transform a document, or refused it: what they said, and then the fault.
    Transform(Vec<Finding>),
    /// The appliance stops.
    Stopped,
}

impl ExportError {
    /// Whether the same may work later, without anyone doing anything about it.
    pub fn may_pass(&self) -> bool {
        match self {
            ExportError::Store(error) => error.may_pass(),
            ExportError::WritePackage(_) | ExportError::Stopped => true,
            ExportError::Unwritable { .. } | ExportError::Transform(_) => false,
        }
    }
}

impl std::fmt::Display for ExportError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            ExportError::Store(error) => error.fmt(f),
            ExportError::WritePackage(error) => write!(f, "cannot write the package: {error}"),
            ExportError::Unwritable { entity, row: 0, reason, .. } => write!(f, "cannot write {entity}: {reason}"),
            ExportError::Unwritable { entity, row, key, reason } if key.is_empty() => {
                write!(f, "cannot write {entity}, row {row}: {reason}")
            }
            ExportError::Unwritable { entity, row, key, reason } => write!(f, "cannot write {entity}, row {row} ({key}): {reason}"),
            ExportError::Transform(findings) => match findings.last() {
                Some(fault) => write!(f, "cannot transform {}: {} ({})", fault.entity, fault.message, fault.hint),
                None => f.write_str("cannot transform a document"),
            },
            ExportError::Stopped => f.write_str("the appliance stops"),
        }
    }
}

impl std::error::Error for ExportError {}

/// Characters of a part of a key that are shown.
const KEY_SHOWN_MAX: usize = 100;

impl From<Failure> for ExportError {
    fn from(failure: Failure) -> Self {
        match failure {
            // Both are our own files.
            Failure::Read(error) | Failure::System(error) => ExportError::WritePackage(error),
            Failure::Stopped => ExportError::Stopped,
        }
    }
}

impl From<StoreError> for ExportError {
    fn from(error: StoreError) -> Self {
        ExportError::Store(error)
    }
}

enum Piece {
    Entry(String),
    Bytes(Vec<u8>),
    Abandon,
}

/// Writes the package of a project into an empty file.
pub fn run(export: &Export<'_>, file: &mut File) -> Result<Report, ExportError> {
    let watch = Stopwatch::start();
    let (project, mut transcript) = (export.project, Transcript::default());
    let passed_over = Cell::new(0);
    let (documents, deleted) = std::thread::scope(|scope| {
        let (sender, receiver) = sync_channel(BLOCKS);
        let (emptied, empties) = sync_channel::<Vec<u8>>(2 * BLOCKS);
        let output = &mut *file;
        let packer = std::thread::Builder::new()
            .name("export-pack".into())
            .spawn_scoped(scope, move || pack(project, output, receiver, |block| drop(emptied.try_send(block))))
            .map_err(ExportError::WritePackage)?;
        let send = |piece| sender.send(piece).is_ok();
        let empty = || empties.try_recv().unwrap_or_else(|_| Vec::with_capacity(BLOCK + 4096));
        let written = documents(export, &mut transcript, &passed_over, &send, &empty);
        if written.is_err() {
            send(Piece::Abandon);
        }
        drop(sender);
        let packed = packer.join().unwrap_or_else(|_| Err(io::Error::other("the packing thread panicked")));
        // When the packer failed first, the reader only saw that nobody listens.
        packed.map_err(ExportError::WritePackage)?;
        written
    })?;
    let package = digest_file(file).map_err(ExportError::WritePackage)?;
    let (rows, passed_over) = (documents.iter().sum(), passed_over.get());
    Ok(Report { rows, documents, deleted, passed_over, package, transcript, elapsed_ms: watch.elapsed_ms() })
}

fn pack(project: &Project, file: &mut File, pieces: Receiver<Piece>, emptied: impl Fn(Vec<u8>)) -> io::Result<()> {
    let options =
        SimpleFileOptions::default().compression_method(zip::CompressionMethod::Deflated).compression_level(Some(LEVEL)).large_file(true);
    let small = options.large_file(false);
    let mut zip = ZipWriter::new(io::BufWriter::with_capacity(BLOCK, file));
    for (name, bytes) in [(package::MANIFEST, package::manifest(project)), (package::HEADER, package::header(project))] {
        zip.start_file(name, small)?;
        zip.write_all(&bytes)?;
    }
    for piece in pieces {
        match piece {
            Piece::Entry(name) => zip.start_file(name, options)?,
            Piece::Bytes(mut block) => {
                zip.write_all(&block)?;
                block.clear();
                emptied(block);
            }
            Piece::Abandon => return Ok(()),
        }
    }
    zip.finish()?.flush()
}

fn digest_file(file: &mut File) -> io::Result<Digested> {
    file.seek(SeekFrom::Start(0))?;
    let mut digester = Digester::default();
    let mut buffer = vec![0u8; BLOCK];
    loop {
        match file.read(&mut buffer)? {
            0 => return Ok(digester.finish()),
            count => digester.update(&buffer[..count]),
        }
    }
}

fn documents(
    export: &Export<'_>,
    transcript: &mut Transcript,
    passed_over: &Cell<u64>,
    send: &dyn Fn(Piece) -> bool,
    empty: &dyn Fn() -> Vec<u8>,
) -> Result<(Vec<u64>, u64), ExportError> {
    let (project, entities) = (export.project, export.entities);
    let mut deleted = 0;
    let mut connections: HashMap<&str, Option<Connection>> = HashMap::new();
    let mut rows = Vec::with_capacity(project.entities.len());
    for (at, (project_entity, name)) in project.entities.iter().zip(package::file_names(project)).enumerate() {
        let range = export.ranges.get(at).copied().flatten();
        let database = project_entity.entity.database.as_str();
        if !connections.contains_key(database) {
            let all: Vec<&Entity> =
                project.entities.iter().map(|part| &*part.entity).filter(|entity| entity.database == database).collect();
            let connection = entities.reader(database, &all)?;
            connection.as_ref().map_or(Ok(()), select::begin_snapshot)?;
            connections.insert(database, connection);
        }
        let connection = connections[database].as_ref();
        if !send(Piece::Entry(name.clone())) {
            return Ok((rows, deleted));
        }
        let select = |row: &mut Row<'_>| connection.map_or(Ok((0, None)), |open| select::rows(open, project_entity, range, row));
        let source = Source { fields: &project_entity.fields, rows_max: export.rows_max, select: &select, passed_over: None };
        rows.push(match project_entity.transform.is_empty() {
            true => document(export, project_entity, &source, send, empty)?,
            false => transformed(export, project_entity, &source, transcript, send, empty)?,
        });
        let (Refresh::Incremental { deletes: true }, Some(range), Some(open)) = (project_entity.refresh, range, connection) else {
            continue;
        };
        // All rows are no reason to leave them out: what the consumer has of rows that are gone, from a message that was given up or before it began anew,
        // nobody knows, and a key that it never had is nothing to it. Without a table there is no log.
        if range.epoch == 0 || select::deleted(open, project_entity, range, |_| ControlFlow::Break(()))?.1.is_none() {
            continue;
        }
        if !send(Piece::Entry(package::deleted_name(&name))) {
            return Ok((rows, deleted));
        }
        let select = |row: &mut Row<'_>| select::deleted(open, project_entity, range, row);
        let source = Source { fields: &project_entity.entity.key, rows_max: u64::MAX, select: &select, passed_over: Some(passed_over) };
        deleted += document(export, project_entity, &source, send, empty)?;
    }
    Ok((rows, deleted))
}

/// What a document does with each row.
type Row<'a> = dyn FnMut(&[ValueRef<'_>]) -> ControlFlow<Option<ExportError>> + 'a;
/// Hands it the rows; how many there were, and why it broke off.
type Select<'a> = dyn Fn(&mut Row<'_>) -> Result<(u64, Option<Option<ExportError>>), StoreError> + 'a;

/// The rows of a document.
struct Source<'a> {
    /// Positions in the entity's fields.
    fields: &'a [usize],
    rows_max: u64,
    select: &'a Select<'a>,
    /// A row that cannot be written, or has a value that its field cannot have, ends the export. Keys of deleted rows are passed over then, and counted:
    /// no message of this format had such a row.
    passed_over: Option<&'a Cell<u64>>,
}

/// A document that passes stylesheets: it is written into a file first.
fn transformed(
    export: &Export<'_>,
    project_entity: &ProjectEntity,
    source: &Source<'_>,
    transcript: &mut Transcript,
    send: &dyn Fn(Piece) -> bool,
    empty: &dyn Fn() -> Vec<u8>,
) -> Result<u64, ExportError> {
    let plain = RefCell::new((export.scratch)().map_err(ExportError::WritePackage)?);
    let unwritten = RefCell::new(None);
    let write = |piece| match piece {
        Piece::Bytes(block) => plain.borrow_mut().write_all(&block).map_err(|error| unwritten.replace(Some(error))).is_ok(),
        _ => true,
    };
    let rows = document(export, project_entity, source, &write, empty);
    if let Some(error) = unwritten.take() {
        return Err(ExportError::WritePackage(error));
    }
    let (rows, mut plain) = (rows?, plain.into_inner());
    plain.rewind().map_err(ExportError::WritePackage)?;
    let call = Call {
        entity: &project_entity.entity.name,
        company: export.company,
        message_id: export.message_id.map(|id| id.to_string()),
        activity_id: export.activity_id.map(|id| id.to_string()),
        now: export.now,
        budget: export.budget,
        stop: export.stop,
        scratch: export.scratch,
        messages_max: MESSAGES_MAX,
        preview_max: 0,
    };
    let mut result = match transform::run(&project_entity.transform, plain, &call, transcript)? {
        Ok(result) => result,
        Err(fault) => return Err(ExportError::Transform(transcript.messages.drain(..).chain([fault]).collect())),
    };
    loop {
        let mut block = empty();
        (&mut result).take(BLOCK as u64).read_to_end(&mut block).map_err(ExportError::WritePackage)?;
        if block.is_empty() {
            return Ok(rows);
        }
        if export.stop.load(Ordering::Relaxed) || !send(Piece::Bytes(block)) {
            return Err(ExportError::Stopped);
        }
    }
}

fn document(
    export: &Export<'_>,
    project_entity: &ProjectEntity,
    source: &Source<'_>,
    send: &dyn Fn(Piece) -> bool,
    empty: &dyn Fn() -> Vec<u8>,
) -> Result<u64, ExportError> {
    let entity = &*project_entity.entity;
    let name = if source.passed_over.is_some() { format!("the deleted keys of {}", entity.name) } else { entity.name.clone() };
    let unwritable = |row: u64, key: String, reason| ExportError::Unwritable { entity: name.clone(), row, key, reason };
    let whole = |reason| unwritable(0, String::new(), reason);
    let new_writer = || Writer::new(&project_entity.format, entity, source.fields);
    let mut writer = new_writer().map_err(whole)?;
    let mut block = empty();
    writer.begin(&mut block).map_err(whole)?;
    let fields: Vec<&Field> = source.fields.iter().map(|index| &entity.fields[*index]).collect();
    let how = Spelling { managed: entity.is_managed(), decimal_separator: project_entity.format.decimal_separator_written() };
    let mut texts = vec![String::new(); fields.len()];
    let (mut count, mut passed) = (0u64, None);
    let (_, failure) = (source.select)(&mut |cells| {
        if count == source.rows_max {
            return ControlFlow::Break(None);
        }
        let mut pass = |reason| {
            source.passed_over.inspect(|count| count.set(count.get() + 1));
            passed.get_or_insert((0u64, reason)).0 += 1;
            ControlFlow::Continue(())
        };
        if source.passed_over.is_some()
            && let Some(reason) = cells.iter().zip(&fields).find_map(|(cell, field)| how.spell(*cell, field, &mut String::new()).err())
        {
            return pass(reason);
        }
        count += 1;
        let (mut wrong, before) = (None, block.len());
        let values = cells.iter().zip(&fields).zip(&mut texts).map(|((cell, field), text)| {
            how.spell(*cell, field, text).unwrap_or_else(|reason| {
                wrong.get_or_insert(reason);
                None
            })
        });
        let written = writer.record(values, &mut block);
        if let Some(reason) = wrong.or(written.err()) {
            // That a workbook is full is not the key's fault.
            if source.passed_over.is_some() && !matches!(reason, Unwritable::Workbook(_)) {
                count -= 1;
                block.truncate(before);
                // The first record is written otherwise than those that follow.
                if count == 0
                    && let Ok(new) = new_writer()
                {
                    writer = new;
                }
                return pass(reason);
            }
            let key = shown_key(how, entity, source.fields, cells);
            return ControlFlow::Break(Some(unwritable(count, key, named(reason, how, &fields, cells))));
        }
        if block.len() >= BLOCK && (export.stop.load(Ordering::Relaxed) || !send(Piece::Bytes(std::mem::replace(&mut block, empty())))) {
            return ControlFlow::Break(Some(ExportError::Stopped));
        }
        ControlFlow::Continue(())
    })?;
    if let Some(Some(failure)) = failure {
        return Err(failure);
    }
    if let Some((passed, reason)) = passed {
        log::warn!(
            "deleted keys passed over entity=\"{}\" count={passed} reason=\"{reason}\"; no message of this format had such a row",
            entity.name
        );
    }
    writer.end(&mut block).map_err(whole)?;
    send(Piece::Bytes(block));
    Ok(count)
}

/// The key of a row, as far as the document has it, by which a person finds it.
fn shown_key(how: Spelling, entity: &Entity, fields: &[usize], cells: &[ValueRef<'_>]) -> String {
    let part = |key: &usize| {
        let (field, mut text) = (&entity.fields[*key], String::new());
        let cell = cells.get(fields.iter().position(|field| field == key)?)?;
        let value: String = how.spell(*cell, field, &mut text).ok()??.chars().take(KEY_SHOWN_MAX).collect();
        Some(format!("{} \"{}\"", field.name, value.escape_debug()))
    };
    entity.key.iter().filter_map(part).collect::<Vec<_>>().join(", ")
}

/// A reason that says which field's value has the character that the encoding lacks.
fn named(reason: Unwritable, how: Spelling, fields: &[&Field], cells: &[ValueRef<'_>]) -> Unwritable {
    let Unwritable::Character { character, .. } = reason else { return reason };
    let has = |(cell, field): &(&ValueRef<'_>, &&Field)| {
        how.spell(**cell, field, &mut String::new()).is_ok_and(|value| value.is_some_and(|value| value.contains(character)))
    };
    match cells.iter().zip(fields).find(has) {
        Some((_, field)) => Unwritable::Value { field: field.name.clone(), message: reason.to_string() },
        None => reason,
    }
}

/// How values are spelled: as packages do (MANIFEST.md), Yes and No, `2011-01-31 00:00:00` in UTC, decimals with the separator of the format.
#[derive(Clone, Copy)]
struct Spelling {
    /// The table is ours. What one of somebody else holds is read as a value of the field's type first, and so is what does not look like one.
    managed: bool,
    decimal_separator: char,
}

impl Spelling {
    /// A value. Most are as they are kept, and are not copied; the others are made in `text`.
    fn spell<'a>(self, cell: ValueRef<'a>, field: &Field, text: &'a mut String) -> Result<Option<&'a str>, Unwritable> {
        let kind = &field.kind;
        let separated = self.decimal_separator != '.' && matches!(kind, FieldKind::Decimal { .. });
        let as_it_is = match kind {
            FieldKind::String { .. } => true,
            FieldKind::DateTime => false,
            _ => self.managed && !separated,
        };
        if as_it_is
            && let ValueRef::Text(bytes) = cell
            && is_kept(bytes, kind)
            && let Ok(plain) = std::str::from_utf8(bytes)
        {
            return Ok(Some(plain));
        }
        text.clear();
        match (cell, kind) {
            (ValueRef::Null, _) => return Ok(None),
            (ValueRef::Text(bytes), FieldKind::DateTime) if self.managed && is_kept(bytes, kind) && bytes.is_ascii() => {
                text.push_str(std::str::from_utf8(bytes).unwrap_or_default());
            }
            (ValueRef::Integer(value @ 0..=1), FieldKind::Boolean) if self.managed => text.push_str(if value == 0 { "No" } else { "Yes" }),
            (ValueRef::Integer(value), FieldKind::Integer | FieldKind::String { .. }) => write!(text, "{value}").expect("text grows"),
            _ => {
                let kept = as_kept(cell, field);
                match kept.map_err(|wrong| Unwritable::Value { field: field.name.clone(), message: wrong.message })? {
                    // What is blank is no number of JSON.
                    None => return Ok(None),
                    Some(Stored::Text(kept)) => text.push_str(&kept),
                    Some(Stored::Integer(value)) if *kind == FieldKind::Boolean => text.push_str(if value == 0 { "No" } else { "Yes" }),
                    Some(Stored::Integer(value)) => write!(text, "{value}").expect("text grows"),
                }
            }
        }
        if matches!(kind, FieldKind::DateTime) && text.len() > 10 {
            text.replace_range(10..11, " ");
            text.truncate(text.trim_end_matches('Z').len());
        }
        if separated && let Some(point) = text.find('.') {
            text.replace_range(point..=point, self.decimal_separator.encode_utf8(&mut [0; 4]));
        }
        Ok(Some(text))
    }
}
