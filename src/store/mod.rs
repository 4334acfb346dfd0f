//! The only place with SQL. `queue.db` holds messages, executions, findings and history; the managed entities are a database of their own,
//! so that a load never slows an enqueue (DESIGN §5).
//!
//! All writes to `queue.db` go through one thread ([`writer`]), which commits whatever waits together; reads use their own connections.
//! Functions on messages, jobs and executions take a connection inside the caller's transaction.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use rusqlite::Connection;

use crate::files::Spool;
use crate::files::segment::SegmentWriter;

pub mod blobs;
pub mod changes;
mod compare;
pub mod entities;
pub mod executions;
pub mod increments;
pub mod jobs;
pub mod made_projects;
pub mod messages;
pub mod open;
pub mod page;
pub mod people;
pub mod recovery;
pub mod reset;
pub mod retention;
pub mod select;
pub mod set_back;
pub mod staging;
pub mod writer;

pub use writer::{Batch, Durability};

/// An operation on the store that did not work.
#[derive(Debug)]
pub struct StoreError {
    /// What was being done, as a verb: `claim message`.
    pub operation: &'static str,
    /// Why not.
    pub cause: Cause,
}

/// Why an operation on the store did not work.
#[derive(Debug)]
pub enum Cause {
    /// SQLite said so.
    Sqlite(rusqlite::Error),
    /// The file system said so.
    File(std::io::Error),
    /// The commit of the whole batch failed.
    Commit(String),
    /// The store is stopping.
    Stopping,
    /// A state that must not be: for example a row with an unknown state word.
    Damaged(String),
}

impl StoreError {
    /// For `map_err`: names the operation.
    pub fn sqlite(operation: &'static str) -> impl Fn(rusqlite::Error) -> StoreError {
        move |error| StoreError { operation, cause: Cause::Sqlite(error) }
    }

    /// For `map_err`: names the operation.
    pub fn file(operation: &'static str) -> impl Fn(std::io::Error) -> StoreError {
        move |error| StoreError { operation, cause: Cause::File(error) }
    }

    /// Whether the same may work later, without anyone doing anything about it.
    pub fn may_pass(&self) -> bool {
        match &self.cause {
            Cause::Sqlite(rusqlite::Error::SqliteFailure(error, _)) => {
                use rusqlite::ErrorCode::*;
                matches!(error.code, DatabaseBusy | DatabaseLocked | DiskFull | OutOfMemory | SystemIoFailure | OperationInterrupted)
                    // Another file was moved into the place of this one: that is opened next time.
                    || error.extended_code == rusqlite::ffi::SQLITE_READONLY_DBMOVED
            }
            Cause::Sqlite(_) | Cause::Damaged(_) => false,
            Cause::File(error) => error.kind() != std::io::ErrorKind::InvalidData,
            Cause::Commit(_) | Cause::Stopping => true,
        }
    }

    /// Whether the disk is full.
    pub fn is_disk_full(&self) -> bool {
        match &self.cause {
            Cause::Sqlite(rusqlite::Error::SqliteFailure(error, _)) => error.code == rusqlite::ErrorCode::DiskFull,
            Cause::File(error) => matches!(error.kind(), std::io::ErrorKind::StorageFull | std::io::ErrorKind::QuotaExceeded),
            Cause::Commit(reason) => reason.contains("full"),
            _ => false,
        }
    }
}

impl From<std::io::Error> for StoreError {
    /// An error of reading the spool at the start.
    fn from(error: std::io::Error) -> Self {
        StoreError { operation: "read the spool", cause: Cause::File(error) }
    }
}

impl fmt::Display for StoreError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "cannot {}: ", self.operation)?;
        match &self.cause {
            Cause::Sqlite(error) => error.fmt(f),
            Cause::File(error) => error.fmt(f),
            Cause::Commit(reason) => write!(f, "the commit failed: {reason}"),
            Cause::Stopping => f.write_str("the appliance is stopping"),
            Cause::Damaged(what) => f.write_str(what),
        }
    }
}

impl std::error::Error for StoreError {}

/// `queue.db` and its spool.
pub struct Store {
    path: PathBuf,
    spool: Spool,
    writer: writer::Writer,
    readers: Mutex<Vec<Connection>>,
}

/// Idle connections kept for readers; more are opened when needed and closed afterwards.
const READERS_KEPT: usize = 4;

impl Store {
    /// Opens the queue of a data directory, finishes what a crash left, and starts the writer.
    pub fn open(data_dir: &Path) -> Result<Store, StoreError> {
        let spool = Spool::open(data_dir).map_err(StoreError::file("open the spool"))?;
        let path = data_dir.join("queue.db");
        let mut connection = open::open_queue(&path)?;
        recovery::recover(&mut connection, &spool)?;
        let known_max = recovery::horizon(&connection)?.segment;
        let segments = SegmentWriter::new(spool.clone(), known_max).map_err(StoreError::file("open the segments"))?;
        let writer = writer::Writer::start(connection, segments, path.clone());
        Ok(Store { path, spool, writer, readers: Mutex::new(Vec::new()) })
    }

    /// The payload files.
    pub fn spool(&self) -> &Spool {
        &self.spool
    }

    /// Reads, on a connection that can not write.
    pub fn read<T>(&self, operation: &'static str, work: impl FnOnce(&Connection) -> Result<T, rusqlite::Error>) -> Result<T, StoreError> {
        let pooled = self.readers.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let connection = match pooled {
            Some(connection) => connection,
            None => open::open_reader(&self.path)?,
        };
        let result = work(&connection).map_err(StoreError::sqlite(operation));
        let mut readers = self.readers.lock().unwrap_or_else(PoisonError::into_inner);
        if readers.len() < READERS_KEPT {
            readers.push(connection);
        }
        result
    }

    /// Writes in the next commit and waits until that is on disk.
    pub fn write<T: Send + 'static>(
        &self,
        operation: &'static str,
        work: impl FnOnce(&mut Batch<'_>) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        self.write_as(operation, Durability::Synced, work)
    }

    /// Writes in the next commit and waits until readers see it. A power cut may undo it: for what nobody outside was told, or what is done again.
    pub fn write_behind<T: Send + 'static>(
        &self,
        operation: &'static str,
        work: impl FnOnce(&mut Batch<'_>) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        self.write_as(operation, Durability::Behind, work)
    }

    fn write_as<T: Send + 'static>(
        &self,
        operation: &'static str,
        durability: Durability,
        work: impl FnOnce(&mut Batch<'_>) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let (sender, receiver) = std::sync::mpsc::sync_channel(1);
        self.write_then(operation, durability, work, move |result| {
            // The waiter may be gone only when its thread died; nothing is left to tell then.
            let _ = sender.send(result);
        });
        receiver.recv().unwrap_or(Err(StoreError { operation, cause: Cause::Stopping }))
    }

    /// Writes in the next commit; `then` is called when that is as durable as was asked, or has failed: on this thread or another, so it must not take long.
    pub fn write_then<T: Send + 'static>(
        &self,
        operation: &'static str,
        durability: Durability,
        work: impl FnOnce(&mut Batch<'_>) -> Result<T, StoreError> + Send + 'static,
        then: impl FnOnce(Result<T, StoreError>) + Send + 'static,
    ) {
        self.writer.add(operation, durability, work, then);
        self.writer.write();
    }

    /// As [`Store::write_then`], for a thread that may not wait: the writer's thread does it, once that is told by [`Store::begin`]. So what one thread
    /// adds before that is written together.
    pub fn add_then<T: Send + 'static>(
        &self,
        operation: &'static str,
        durability: Durability,
        work: impl FnOnce(&mut Batch<'_>) -> Result<T, StoreError> + Send + 'static,
        then: impl FnOnce(Result<T, StoreError>) + Send + 'static,
    ) {
        self.writer.add(operation, durability, work, then);
    }

    /// Lets the writer's thread begin with what [`Store::add_then`] has added.
    pub fn begin(&self) {
        self.writer.begin();
    }

    /// What the writer has done so far, for metrics and benchmarks.
    pub fn commits(&self) -> writer::Commits {
        self.writer.commits()
    }

    /// Waits for all writes, checkpoints and closes.
    pub fn close(&self) {
        self.readers.lock().unwrap_or_else(PoisonError::into_inner).clear();
        self.writer.stop();
    }
}

#[cfg(test)]
mod tests;
