//! One load: its transaction, its number sequences, and the statements that it prepares.

use std::path::PathBuf;
use std::sync::{Arc, MutexGuard};
use std::time::Duration;

use rusqlite::{Connection, ErrorCode, OptionalExtension, params};

use super::deferred::Deferred;
use super::held::{Refusals, RefusedKeys};
use super::kept::Kept;
use super::lookup::{Finder, Others, Reference};
use super::seen::Seen;
use super::sequence::Sequence;
use super::spelled::Spellings;
use super::upsert::Upsert;
use super::{NO_ROW, TABLES, WAL_BYTES_MAX, found, found_for, prepare_table, quote};
use crate::model::entity::Entity;
use crate::model::execution::RowCounts;
use crate::model::project::WriteMode;
use crate::model::time::Timestamp;
use crate::store::{Cause, StoreError};

/// So many rows that refer to nothing are named.
const DANGLING_MAX: usize = 5;

/// A load that an entity database remembers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Earlier {
    /// Rows by outcome.
    pub counts: RowCounts,
    /// Findings that are faults.
    pub findings: u64,
    /// Whose load it was.
    pub execution: String,
}

/// A database opened for one load.
pub struct Writing<'a> {
    connection: Connection,
    /// Where the log is, to be checkpointed after the load; `None` for a trial, of which everything is taken back.
    wal: Option<PathBuf>,
    kept: std::cell::Cell<bool>,
    spellings: Spellings,
    _guard: Option<MutexGuard<'a, ()>>,
}

impl<'a> Writing<'a> {
    pub(super) fn new(connection: Connection, wal: Option<PathBuf>, guard: Option<MutexGuard<'a, ()>>) -> Writing<'a> {
        Writing { connection, wal, kept: Default::default(), spellings: Spellings::default(), _guard: guard }
    }

    /// An empty database in memory, for a trial.
    pub fn scratch(entities: &[Arc<Entity>]) -> Result<Writing<'static>, StoreError> {
        let failed = StoreError::sqlite("make a database in memory");
        let connection = Connection::open_in_memory().map_err(&failed)?;
        connection.execute_batch("BEGIN").map_err(&failed)?;
        connection.execute_batch(TABLES).map_err(&failed)?;
        entities.iter().filter(|entity| entity.unread.is_none()).try_for_each(|entity| prepare_table(&connection, entity))?;
        Ok(Writing::new(connection, None, None))
    }

    /// Keeps what a trial in it loads, for the trials that follow.
    pub fn keep<T>(&self, run: impl FnOnce(&Self) -> T) -> T {
        self.kept.set(true);
        let done = run(self);
        self.kept.set(false);
        done
    }

    fn begin_statement(&self) -> &'static str {
        if self.wal.is_none() { "SAVEPOINT entrepot_load" } else { "BEGIN IMMEDIATE" }
    }

    fn back_statement(&self) -> &'static str {
        if self.wal.is_none() { "ROLLBACK TO entrepot_load" } else { "ROLLBACK" }
    }

    /// What was loaded under this id before.
    pub fn already_loaded(&self, message: &str) -> Result<Option<Earlier>, StoreError> {
        self.connection
            .query_row(
                "SELECT read, inserted, updated, unchanged, refused, findings, execution_id FROM entrepot_loaded WHERE message_id = ?1",
                [message],
                |row| {
                    let counts = RowCounts {
                        read: row.get(0)?,
                        inserted: row.get(1)?,
                        updated: row.get(2)?,
                        unchanged: row.get(3)?,
                        validated: 0,
                        refused: row.get(4)?,
                    };
                    Ok(Earlier { counts, findings: row.get(5)?, execution: row.get(6)? })
                },
            )
            .optional()
            .map_err(StoreError::sqlite("look for an earlier load"))
    }

    /// Begins the one transaction of a load.
    pub fn begin(&self) -> Result<(), StoreError> {
        self.spellings.forget();
        self.connection
            .execute_batch(&format!(
                "CREATE TEMP TABLE IF NOT EXISTS entrepot_row (id INTEGER PRIMARY KEY);
                 INSERT OR REPLACE INTO temp.entrepot_row VALUES ({NO_ROW});
                 {}",
                self.begin_statement()
            ))
            .map_err(StoreError::sqlite("begin the load"))
    }

    /// Begins rows that are loaded together or not at all.
    pub fn begin_together(&self) -> Result<(), StoreError> {
        self.together("SAVEPOINT entrepot_record", "begin a record")
    }

    /// Ends what `begin_together` began: keeps the rows, or takes them back.
    pub fn end_together(&self, keep: bool) -> Result<(), StoreError> {
        if !keep {
            self.together("ROLLBACK TO entrepot_record", "take a record back")?;
        }
        self.together("RELEASE entrepot_record", "end a record")
    }

    fn together(&self, sql: &str, operation: &'static str) -> Result<(), StoreError> {
        let done = self.connection.prepare_cached(sql).and_then(|mut statement| statement.execute([]));
        done.map(|_| ()).map_err(StoreError::sqlite(operation))
    }

    /// Takes everything back that was loaded so far, and begins the load anew.
    pub fn begin_again(&self) -> Result<(), StoreError> {
        self.connection.execute_batch(self.back_statement()).map_err(StoreError::sqlite("take the load back"))?;
        self.begin()
    }

    /// Commits the load together with its message id.
    pub fn commit(&self, message: &str, execution: &str, counts: &RowCounts, findings: u64, now: Timestamp) -> Result<(), StoreError> {
        if self.wal.is_none() {
            if self.kept.get() {
                return self.connection.execute_batch("RELEASE entrepot_load").map_err(StoreError::sqlite("keep the load"));
            }
            self.roll_back();
            return Ok(());
        }
        let failed = StoreError::sqlite("commit the load");
        // Only what loaded nothing may be done again, by a message that goes on with its own.
        let noted = self
            .connection
            .execute(
                "INSERT INTO entrepot_loaded VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9) ON CONFLICT (message_id) DO UPDATE SET
                   execution_id = excluded.execution_id, loaded_at = excluded.loaded_at, read = excluded.read, inserted = excluded.inserted,
                   updated = excluded.updated, unchanged = excluded.unchanged, refused = excluded.refused, findings = excluded.findings
                 WHERE entrepot_loaded.inserted + entrepot_loaded.updated + entrepot_loaded.unchanged = 0",
                params![
                    message,
                    execution,
                    now.0,
                    counts.read,
                    counts.inserted,
                    counts.updated,
                    counts.unchanged,
                    counts.refused,
                    findings
                ],
            )
            .map_err(&failed)?;
        if noted == 0 {
            return Err(StoreError { operation: "commit the load", cause: Cause::Damaged(format!("{message} was loaded meanwhile")) });
        }
        self.connection.execute_batch("COMMIT").map_err(|error| match error.sqlite_error_code() {
            Some(ErrorCode::ConstraintViolation) => self.dangling(error),
            _ => failed(error),
        })?;
        if let Some(path) = &self.wal
            && std::fs::metadata(path).is_ok_and(|wal| wal.len() > WAL_BYTES_MAX)
        {
            // What it cannot do now, because somebody reads, a later load does.
            if let Err(error) = self.connection.query_row("PRAGMA wal_checkpoint(PASSIVE)", [], |_| Ok(())) {
                log::warn!("{} not checkpointed: {error}", path.display());
            }
        }
        Ok(())
    }

    /// Why the commit is refused by foreign keys that are judged only then: which rows refer to nothing, by their keys. They are there until the load is
    /// taken back.
    fn dangling(&self, error: rusqlite::Error) -> StoreError {
        let reasons = self.dangling_rows().unwrap_or_default();
        let more = reasons.len().saturating_sub(DANGLING_MAX);
        let mut reason = reasons.into_iter().take(DANGLING_MAX).collect::<Vec<_>>().join("; ");
        if reason.is_empty() {
            reason = error.to_string();
        }
        if more > 0 {
            reason.push_str(&format!("; and {more} more"));
        }
        let what = format!("a foreign key is judged when all is loaded, and rows refer to nothing: {reason}");
        StoreError { operation: "commit the load", cause: Cause::Damaged(what) }
    }

    fn dangling_rows(&self) -> rusqlite::Result<Vec<String>> {
        let mut found = self.connection.prepare(
            "SELECT judged.\"table\", judged.rowid, judged.parent, group_concat(list.\"from\", char(31)),
               (SELECT group_concat(name, char(31)) FROM pragma_table_info(judged.\"table\") WHERE pk > 0)
             FROM pragma_foreign_key_check AS judged JOIN pragma_foreign_key_list(judged.\"table\") AS list ON list.id = judged.fkid
             GROUP BY 1, 2, judged.fkid",
        )?;
        let mut rows = found.query([])?;
        let mut reasons = Vec::new();
        while let Some(row) = rows.next()? {
            let (table, rowid, parent): (String, Option<i64>, String) = (row.get(0)?, row.get(1)?, row.get(2)?);
            let Some(rowid) = rowid.filter(|_| reasons.len() < DANGLING_MAX) else {
                reasons.push(format!("a row of {table} to {parent}"));
                continue;
            };
            let shown = |columns: Option<String>| {
                let columns = columns.unwrap_or_else(|| "rowid".into());
                let values: Vec<String> =
                    columns.split('\u{1f}').map(|name| format!("'{} ' || quote({})", name.replace('\'', "''"), quote(name))).collect();
                let sql = format!("SELECT {} FROM {} WHERE rowid = ?1", values.join(" || ', ' || "), quote(&table));
                self.connection.query_row(&sql, [rowid], |row| row.get::<_, String>(0))
            };
            reasons.push(format!("the row of {table} with {} to {parent} with {}", shown(row.get(4)?)?, shown(row.get(3)?)?));
        }
        Ok(reasons)
    }

    /// Takes everything of the load back.
    pub fn roll_back(&self) {
        // Dropping the connection would do the same.
        let _ = self.connection.execute_batch(self.back_statement());
        if self.wal.is_none() {
            return;
        }
        // What a large load has written to the log is worth nothing now. On a full disk its space is what the queue needs to say so.
        let _ = self.connection.busy_timeout(Duration::ZERO);
        let _ = self.connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()));
    }

    /// Prepares the sequence that fills a field.
    pub fn sequence<'s>(&'s self, entity: &'s Entity, field: usize, pattern: &'s str) -> Result<Sequence<'s>, StoreError> {
        Sequence::prepare(&self.connection, &self.spellings, entity, field, pattern)
    }

    /// Prepares the load of an entity's rows. `columns` are positions of mapped fields; for each, whether a blank keeps what is there. Those of them that
    /// are `absent` no row has. `together`: rows of other tables are inserted between these.
    pub fn rows<'s>(
        &'s self,
        entity: &'s Entity,
        columns: &[(usize, bool)],
        absent: &[usize],
        mode: WriteMode,
        together: bool,
    ) -> Result<Upsert<'s>, StoreError> {
        Upsert::prepare(&self.connection, &self.spellings, entity, (columns, absent), mode, together)
    }

    /// Prepares a look at what rows have in these fields, by their key.
    pub fn kept<'s>(&'s self, entity: &'s Entity, fields: &[usize]) -> Result<Kept<'s>, StoreError> {
        Kept::prepare(&self.connection, &self.spellings, entity, fields)
    }

    /// Prepares the note of rows whose foreign keys are judged at the commit; nothing where the table has none of these.
    pub fn deferred<'s>(&'s self, entity: &'s Entity, columns: &[(usize, bool)], part: usize) -> Result<Option<Deferred<'s>>, StoreError> {
        Deferred::prepare(&self.connection, entity, columns, part)
    }

    /// Prepares a look-up.
    pub fn finder<'s>(&'s self, entity: &'s Entity, find: usize, take: usize) -> Result<Finder<'s>, StoreError> {
        Finder::prepare(&self.connection, &self.spellings, entity, find, take)
    }

    /// Prepares the question whether other rows have values of these fields.
    pub fn others<'s>(&'s self, entity: &'s Entity, fields: &[usize]) -> Result<Others<'s>, StoreError> {
        Others::prepare(&self.connection, &self.spellings, entity, fields)
    }

    /// Prepares the note of values that a document has for these fields. `list` tells one list from another; unless it begins with this, it is one that is
    /// prepared already.
    pub fn seen(&self, entity: &Entity, fields: &[usize], list: &str, begins: bool) -> Result<Seen<'_>, StoreError> {
        Seen::prepare(&self.connection, entity, fields, list, begins)
    }

    /// Prepares for the refused records of a load, before the keys of any.
    pub fn refusals(&self) -> Result<Refusals<'_>, StoreError> {
        Refusals::prepare(&self.connection)
    }

    /// Prepares the note of keys of refused rows; `list` tells those of one entity from another's.
    pub fn refused_keys(&self, entity: &Entity, list: usize) -> Result<RefusedKeys<'_>, StoreError> {
        RefusedKeys::prepare(&self.connection, entity, list)
    }

    /// Removes all rows of an entity, in the load's transaction; how many there were.
    pub fn truncate(&self, entity: &Entity) -> Result<u64, StoreError> {
        let sql = format!("DELETE FROM {}", quote(&entity.table));
        self.connection.execute(&sql, []).map(|count| count as u64).map_err(|error| {
            // The code of RESTRICT is that of triggers.
            let is_held = error.to_string().starts_with("FOREIGN KEY");
            let holders = found::of(&self.connection, &entity.table).ok().flatten().filter(|_| is_held).unwrap_or_default().holders;
            let cause = match holders.is_empty() {
                true => Cause::Sqlite(error),
                false => Cause::Damaged(format!("rows of {} refer to them; {}", holders.join(", "), found::HELD)),
            };
            StoreError { operation: "remove the entity's rows", cause }
        })
    }

    /// Whether an entity has no row.
    pub fn is_empty(&self, entity: &Entity) -> Result<bool, StoreError> {
        let sql = format!("SELECT NOT EXISTS (SELECT 1 FROM {})", quote(&entity.table));
        self.connection.query_row(&sql, [], |row| row.get(0)).map_err(StoreError::sqlite("look for the entity's rows"))
    }

    /// The table of an entity as it is found.
    pub fn table(&self, entity: &Entity) -> Result<found::Table, StoreError> {
        found_for(&self.connection, entity, "look at a table")
    }

    /// Prepares the check that a referenced row exists.
    pub fn reference<'s>(&'s self, entity: &'s Entity) -> Result<Reference<'s>, StoreError> {
        Reference::prepare(&self.connection, &self.spellings, entity)
    }
}
