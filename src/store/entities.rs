//! Entity databases: where rows are loaded. The managed one, `entities.db`, holds a plain table for each entity; others are used as found.
//!
//! A load is one transaction that carries its message id (`entrepot_loaded`), so that a crash between this database and `queue.db` is found
//! and finished, never repeated (DESIGN §5). One load at a time writes to a database; others wait for its lock, not for SQLite's.

mod cell;
mod deferred;
pub mod found;
mod held;
mod kept;
mod lookup;
mod seen;
mod sequence;
mod spelled;
mod upsert;
mod writing;

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rusqlite::{Connection, OpenFlags, OptionalExtension};

pub use self::cell::{Cell, as_kept, is_kept};
pub use self::deferred::{Dangling, Deferred};
pub use self::held::{Held, Refusals, RefusedKeys};
pub use self::kept::{Kept, KeptValue};
pub use self::lookup::{Change, Finder, Looked, Others, Reference};
pub use self::seen::{SEPARATOR, Seen};
pub use self::sequence::{Numbered, Sequence};
pub use self::upsert::{Loaded, Upsert};
pub use self::writing::{Earlier, Writing};
use super::{Cause, StoreError};
use crate::config::Database;
use crate::model::entity::{Entity, Field, FieldKind};
use crate::model::time::Timestamp;

/// Page cache of a load. A prototype needed no more for 10 M rows; what is dirty beyond it spills to the WAL.
const LOAD_CACHE_KIB: i64 = 32 * 1024;
/// After a load the log is checkpointed when it has grown beyond this.
const WAL_BYTES_MAX: u64 = 4 * 1024 * 1024;
/// What `last_insert_rowid` says before the first insert of a load: no key of any real row.
const NO_ROW: i64 = i64::MIN + 1;

/// What a load keeps in the database that it loads into.
const TABLES: &str = "CREATE TABLE IF NOT EXISTS entrepot_loaded (
    message_id TEXT PRIMARY KEY, execution_id TEXT NOT NULL, loaded_at INTEGER NOT NULL, read INTEGER NOT NULL, inserted INTEGER NOT NULL,
    updated INTEGER NOT NULL, unchanged INTEGER NOT NULL, refused INTEGER NOT NULL, findings INTEGER NOT NULL);
    CREATE TABLE IF NOT EXISTS entrepot_sequence (pattern TEXT PRIMARY KEY, next INTEGER NOT NULL);";

/// The databases of a configuration.
pub struct Entities {
    databases: Vec<(Database, Arc<Mutex<()>>)>,
}

/// Quotes a name for SQL; the configuration refuses names with control characters.
pub fn quote(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// Conditions in a group of [`joined`].
const GROUP: usize = 100;

/// Conditions joined by ` AND ` or ` OR `, many of them in groups: a chain is as deep as it is long, and SQLite takes none deeper than 1,000.
pub fn joined(conditions: &[String], by: &str) -> String {
    if conditions.len() <= GROUP {
        return conditions.join(by);
    }
    let groups: Vec<String> = conditions.chunks(GROUP).map(|group| format!("({})", group.join(by))).collect();
    joined(&groups, by)
}

impl Entities {
    /// Nothing is opened yet.
    pub fn new(databases: &[Database]) -> Entities {
        Entities { databases: databases.iter().map(|database| (database.clone(), Arc::default())).collect() }
    }

    fn database(&self, name: &str) -> Result<&(Database, Arc<Mutex<()>>), StoreError> {
        let found = self.databases.iter().find(|(database, _)| database.name == name);
        found.ok_or_else(|| StoreError {
            operation: "open the database",
            cause: Cause::Damaged(format!("there is no database \"{name}\" in the configuration")),
        })
    }

    /// The file of a database.
    pub fn path(&self, name: &str) -> Result<PathBuf, StoreError> {
        Ok(self.database(name)?.0.path.clone())
    }

    /// Whether the table of an entity that is unread can be read by now. A lock is not waited for.
    pub fn can_be_read(&self, entity: &Entity) -> bool {
        let known = self.database(&entity.database);
        entity.unread.is_some() && known.is_ok_and(|(database, _)| found::look(&database.path, &entity.table, Duration::ZERO).is_ok())
    }

    /// Opens a database for one load, with the tables of these entities made or extended when it is managed. Waits for its lock.
    pub fn writer(&self, name: &str, entities: &[Arc<Entity>]) -> Result<Writing<'_>, StoreError> {
        entities.iter().try_for_each(|entity| is_read(entity))?;
        let (database, lock) = self.database(name)?;
        let guard = lock.lock().unwrap_or_else(PoisonError::into_inner);
        let failed = StoreError::sqlite("open the entity database");
        let connection = database.open("open the entity database")?;
        if database.managed {
            // As in queue.db; no automatic checkpoint inside a load.
            connection.pragma_update(None, "journal_mode", "WAL").map_err(&failed)?;
            connection.pragma_update(None, "wal_autocheckpoint", 0).map_err(&failed)?;
        }
        connection.pragma_update(None, "synchronous", "FULL").map_err(&failed)?;
        connection.pragma_update(None, "cache_size", -LOAD_CACHE_KIB).map_err(&failed)?;
        // Nothing is made in a file that somebody is about to fill again.
        entities
            .iter()
            .filter(|_| !database.managed)
            .try_for_each(|entity| table_of(&connection, entity, "open the entity database").map(drop))?;
        connection.execute_batch(TABLES).map_err(&failed)?;
        for entity in entities.iter().filter(|_| database.managed) {
            prepare_table(&connection, entity)?;
        }
        let wal = PathBuf::from(format!("{}-wal", database.path.display()));
        Ok(Writing::new(connection, Some(wal), Some(guard)))
    }

    /// Opens a database for a load that is taken back whatever happens: nothing is stored, not even tables that are missing. A database that does not
    /// exist yet is an empty one.
    pub fn trial(&self, name: &str, entities: &[Arc<Entity>]) -> Result<Writing<'_>, StoreError> {
        entities.iter().try_for_each(|entity| is_read(entity))?;
        let (database, lock) = self.database(name)?;
        if !database.path.exists() {
            return Writing::scratch(entities);
        }
        let guard = lock.lock().unwrap_or_else(PoisonError::into_inner);
        let failed = StoreError::sqlite("open the entity database for a trial");
        let connection = database.open("open the entity database for a trial")?;
        connection.pragma_update(None, "cache_size", -LOAD_CACHE_KIB).map_err(&failed)?;
        connection.execute_batch("BEGIN IMMEDIATE").map_err(&failed)?;
        connection.execute_batch(TABLES).map_err(&failed)?;
        entities.iter().filter(|_| database.managed).try_for_each(|entity| prepare_table(&connection, entity))?;
        Ok(Writing::new(connection, None, Some(guard)))
    }

    /// Gives back what a load that was taken back has written to the log of a database: it is worth nothing.
    pub fn shrink_log(&self, name: &str) {
        if let Ok(database) = self.writer(name, &[]) {
            database.roll_back();
        }
    }

    /// Forgets loads before `before`, whose messages are forgotten too; waits for no load: what is busy is cleaned another time.
    pub fn forget_loaded(&self, name: &str, before: Timestamp) -> Result<(), StoreError> {
        let Some((connection, _guard)) = self.tidier(name)? else { return Ok(()) };
        let failed = StoreError::sqlite("forget loads");
        let known = connection
            .query_row("SELECT 1 FROM pragma_table_list('entrepot_loaded') WHERE schema = 'main'", [], |_| Ok(()))
            .optional()
            .map_err(&failed)?;
        if known.is_some() {
            connection.execute("DELETE FROM entrepot_loaded WHERE loaded_at < ?1", [before.0]).map_err(&failed)?;
        }
        Ok(())
    }

    /// Opens a database to clear away what nobody needs; `None` when there is none, or a load is under way: another time will do.
    pub(super) fn tidier(&self, name: &str) -> Result<Option<(Connection, MutexGuard<'_, ()>)>, StoreError> {
        let (database, lock) = self.database(name)?;
        let Some(guard) = lock.try_lock().ok().filter(|_| database.path.exists()) else { return Ok(None) };
        let connection =
            open(&database.path, false, Duration::from_secs(1)).map_err(StoreError::sqlite("open the entity database to tidy it"))?;
        Ok(Some((connection, guard)))
    }

    /// Empties the managed databases, each when no load is under way.
    pub fn reset(&self) -> Result<(), StoreError> {
        for (database, lock) in self.databases.iter().filter(|(database, _)| database.managed && database.path.exists()) {
            let _guard = lock.lock().unwrap_or_else(PoisonError::into_inner);
            let connection = database.open("open the entity database")?;
            super::reset::tables(&connection)?;
        }
        Ok(())
    }

    /// Opens the database of an entity to track changes in it, when no load is under way; `None` when there is none yet. An external one must have the
    /// entity's table.
    pub(super) fn tracker(&self, entity: &Entity) -> Result<Option<(Connection, MutexGuard<'_, ()>)>, StoreError> {
        is_read(entity)?;
        let (database, lock) = self.database(&entity.database)?;
        let guard = lock.lock().unwrap_or_else(PoisonError::into_inner);
        if database.managed && !database.path.exists() {
            return Ok(None);
        }
        let connection = database.open("open the entity database to track changes")?;
        if !database.managed {
            found_for(&connection, entity, "track the entity's changes")?;
        }
        Ok(Some((connection, guard)))
    }

    /// Opens a database for reading these entities of it; `None` when there is none yet. An external one must have their tables; a managed one gets the
    /// columns that they have by now and it lacks.
    pub fn reader(&self, name: &str, entities: &[&Entity]) -> Result<Option<Connection>, StoreError> {
        entities.iter().try_for_each(|entity| is_read(entity))?;
        let (database, lock) = self.database(name)?;
        if database.managed && !database.path.exists() {
            return Ok(None);
        }
        const READ: &str = "open the entity database for reading";
        let failed = StoreError::sqlite(READ);
        // Not read-only: a WAL database that nobody has open needs its shared memory made.
        let connection = database.open(READ)?;
        for entity in entities {
            if !database.managed {
                found_for(&connection, entity, READ)?;
                continue;
            }
            let lacks = found::of(&connection, &entity.table).map_err(&failed)?.and_then(|table| table.lacks(entity));
            if lacks.is_some() {
                let _guard = lock.lock().unwrap_or_else(PoisonError::into_inner);
                prepare_table(&connection, entity)?;
            }
        }
        connection.pragma_update(None, "query_only", "ON").map_err(&failed)?;
        Ok(Some(connection))
    }
}

impl Database {
    fn open(&self, operation: &'static str) -> Result<Connection, StoreError> {
        if !self.managed && !self.path.is_file() {
            let missing = std::io::Error::new(std::io::ErrorKind::NotFound, format!("there is no file {}", self.path.display()));
            return Err(StoreError::file(operation)(missing));
        }
        open(&self.path, self.managed, self.lock_wait).map_err(StoreError::sqlite(operation))
    }
}

fn open(path: &Path, create: bool, lock_wait: Duration) -> rusqlite::Result<Connection> {
    let mut flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    flags.set(OpenFlags::SQLITE_OPEN_CREATE, create);
    let connection = Connection::open_with_flags(super::open::for_sqlite(path), flags)?;
    connection.busy_timeout(lock_wait)?;
    Ok(connection)
}

/// An entity whose fields are not known yet can be used later, without anyone doing anything about it but who has the file.
pub fn is_read(entity: &Entity) -> Result<(), StoreError> {
    match &entity.unread {
        None => Ok(()),
        Some(reason) => {
            let waits = format!("the fields of \"{}\" cannot be read from its table yet: {reason}", entity.name);
            Err(StoreError::file("use the entity")(std::io::Error::other(waits)))
        }
    }
}

/// The table of an entity. One that is not there is waited for, as the file is: somebody may be about to restore it.
fn table_of(connection: &Connection, entity: &Entity, operation: &'static str) -> Result<found::Table, StoreError> {
    let missing = || std::io::Error::new(std::io::ErrorKind::NotFound, format!("the database has no table \"{}\"", entity.table));
    let found = found::of(connection, &entity.table).map_err(StoreError::sqlite(operation))?;
    found.ok_or_else(|| StoreError::file(operation)(missing()))
}

/// What a table must have before a statement names its columns: SQLite takes a name in quotes that is none of them for a text.
fn found_for(connection: &Connection, entity: &Entity, operation: &'static str) -> Result<found::Table, StoreError> {
    let found = table_of(connection, entity, operation)?;
    found.lacks(entity).map_or(Ok(found), |reason| {
        let read = "where the configuration leaves its fields to the table, `entrepot reload` reads them again";
        Err(StoreError { operation, cause: Cause::Damaged(format!("{reason}; {read}")) })
    })
}

/// The type of a column that keeps values of this kind.
pub fn column_type(kind: &FieldKind) -> &'static str {
    match kind {
        FieldKind::Integer | FieldKind::Boolean => "INTEGER",
        _ => "TEXT",
    }
}

fn kept_otherwise(entity: &Entity, field: &Field, kind: &str) -> String {
    format!(
        "table \"{}\" keeps \"{}\" as {kind}, the configuration says {}: give the field another name, or move the table away",
        entity.table,
        field.name,
        field.kind.name()
    )
}

/// Makes an entity's table, or adds the columns it lacks. A changed type or key is refused: data would change its meaning.
fn prepare_table(connection: &Connection, entity: &Entity) -> Result<(), StoreError> {
    let failed = StoreError::sqlite("prepare the entity's table");
    let refuse = |what: String| Err(StoreError { operation: "prepare the entity's table", cause: Cause::Damaged(what) });
    let found: Vec<(String, String)> = connection
        .prepare(&format!("PRAGMA table_info({})", quote(&entity.table)))
        .and_then(|mut statement| statement.query_map([], |row| Ok((row.get(1)?, row.get(2)?)))?.collect())
        .map_err(&failed)?;
    let key: Vec<String> = entity.key.iter().map(|index| quote(&entity.fields[*index].name)).collect();
    if found.is_empty() {
        let alone = (entity.key.len() == 1).then(|| entity.key[0]);
        let mut parts: Vec<String> = entity
            .fields
            .iter()
            .enumerate()
            .map(|(index, field)| {
                format!("{} {}{}", quote(&field.name), column_type(&field.kind), if alone == Some(index) { " PRIMARY KEY" } else { "" })
            })
            .collect();
        if alone.is_none() {
            parts.push(format!("PRIMARY KEY ({})", key.join(", ")));
        }
        return connection.execute_batch(&format!("CREATE TABLE {} ({})", quote(&entity.table), parts.join(", "))).map_err(&failed);
    }
    for field in &entity.fields {
        match found.iter().find(|(name, _)| name.eq_ignore_ascii_case(&field.name)) {
            None => connection
                .execute_batch(&format!(
                    "ALTER TABLE {} ADD COLUMN {} {}",
                    quote(&entity.table),
                    quote(&field.name),
                    column_type(&field.kind)
                ))
                .map_err(&failed)?,
            Some((_, kind)) if kind != column_type(&field.kind) => return refuse(kept_otherwise(entity, field, kind)),
            Some(_) => {}
        }
    }
    let kept: Vec<String> = connection
        .prepare("SELECT name FROM pragma_table_info(?1) WHERE pk > 0 ORDER BY pk")
        .and_then(|mut statement| statement.query_map([&entity.table], |row| row.get::<_, String>(0))?.collect())
        .map_err(&failed)?;
    key_otherwise(entity, &kept).map_or(Ok(()), refuse)
}

/// What is wrong with the key of a table of ours; one of the same columns in another order is the same.
fn key_otherwise(entity: &Entity, kept: &[String]) -> Option<String> {
    let key: Vec<&str> = entity.key.iter().map(|index| entity.fields[*index].name.as_str()).collect();
    let sorted = |names: &mut dyn Iterator<Item = &str>| {
        let mut names: Vec<String> = names.map(str::to_lowercase).collect();
        names.sort_unstable();
        names
    };
    let same = sorted(&mut kept.iter().map(String::as_str)) == sorted(&mut key.iter().copied());
    (!same).then(|| {
        let list = |names: &[&str]| names.iter().map(|name| format!("\"{name}\"")).collect::<Vec<_>>().join(", ");
        format!(
            "table \"{}\" has the key {}, the configuration says {}, and a table that is there keeps its key: give the entity another table, which its rows are loaded into anew",
            entity.table,
            list(&kept.iter().map(String::as_str).collect::<Vec<_>>()),
            list(&key)
        )
    })
}
