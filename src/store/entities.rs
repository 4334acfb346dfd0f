//! Entity databases: where rows are loaded. The managed one, `entities.db`, holds a plain table for each entity; others are used as found.
//!
//! A load is one transaction that carries its message id (`entrepot_loaded`), so that a crash between this database and `queue.db` is found
//! and finished, never repeated (DESIGN §5). One load at a time writes to a database; others wait for its lock, not for SQLite's.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rusqlite::types::ValueRef;
use rusqlite::{Connection, OpenFlags, OptionalExtension, ToSql, params};

use super::{Cause, StoreError};
use crate::config::Database;
use crate::document::value::Stored;
use crate::model::entity::{Entity, FieldKind};
use crate::model::execution::RowCounts;
use crate::model::project::WriteMode;
use crate::model::time::Timestamp;

/// Page cache of a load. A prototype needed no more for 10 M rows; what is dirty beyond it spills to the WAL.
const LOAD_CACHE_KIB: i64 = 32 * 1024;
/// After a load the log is checkpointed when it has grown beyond this.
const WAL_BYTES_MAX: u64 = 4 * 1024 * 1024;
/// Keys of referenced entities that are remembered during a load.
const REFERENCES_MAX: usize = 65_536;
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

    /// Opens a database for one load, with the tables of these entities made or extended when it is managed. Waits for its lock.
    pub fn writer(&self, name: &str, entities: &[Arc<Entity>]) -> Result<Writing<'_>, StoreError> {
        let (database, lock) = self.database(name)?;
        let guard = lock.lock().unwrap_or_else(PoisonError::into_inner);
        let failed = StoreError::sqlite("open the entity database");
        let mut flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        if database.managed {
            flags |= OpenFlags::SQLITE_OPEN_CREATE;
        }
        let connection = Connection::open_with_flags(super::open::for_sqlite(&database.path), flags).map_err(&failed)?;
        connection.busy_timeout(database.lock_wait).map_err(&failed)?;
        if database.managed {
            // As in queue.db; no automatic checkpoint inside a load.
            connection.pragma_update(None, "journal_mode", "WAL").map_err(&failed)?;
            connection.pragma_update(None, "wal_autocheckpoint", 0).map_err(&failed)?;
        }
        connection.pragma_update(None, "synchronous", "FULL").map_err(&failed)?;
        connection.pragma_update(None, "cache_size", -LOAD_CACHE_KIB).map_err(&failed)?;
        connection.execute_batch(TABLES).map_err(&failed)?;
        for entity in entities.iter().filter(|_| database.managed) {
            prepare_table(&connection, entity)?;
        }
        let wal = PathBuf::from(format!("{}-wal", database.path.display()));
        Ok(Writing { connection, wal, trial: false, kept: Default::default(), _guard: Some(guard) })
    }

    /// Opens a database for a load that is taken back whatever happens: nothing is stored, not even tables that are missing. A database that does not
    /// exist yet is an empty one.
    pub fn trial(&self, name: &str, entities: &[Arc<Entity>]) -> Result<Writing<'_>, StoreError> {
        let (database, lock) = self.database(name)?;
        if !database.path.exists() {
            return Writing::scratch(entities);
        }
        let guard = lock.lock().unwrap_or_else(PoisonError::into_inner);
        let failed = StoreError::sqlite("open the entity database for a trial");
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection = Connection::open_with_flags(super::open::for_sqlite(&database.path), flags).map_err(&failed)?;
        connection.busy_timeout(database.lock_wait).map_err(&failed)?;
        connection.pragma_update(None, "cache_size", -LOAD_CACHE_KIB).map_err(&failed)?;
        connection.execute_batch("BEGIN IMMEDIATE").map_err(&failed)?;
        connection.execute_batch(TABLES).map_err(&failed)?;
        entities.iter().filter(|_| database.managed).try_for_each(|entity| prepare_table(&connection, entity))?;
        Ok(Writing { connection, wal: PathBuf::new(), trial: true, kept: Default::default(), _guard: Some(guard) })
    }

    /// Forgets loads before `before`, whose messages are forgotten too; waits for no load: what is busy is cleaned another time.
    pub fn forget_loaded(&self, name: &str, before: Timestamp) -> Result<(), StoreError> {
        let (database, lock) = self.database(name)?;
        let Ok(_guard) = lock.try_lock() else { return Ok(()) };
        if !database.path.exists() {
            return Ok(());
        }
        let failed = StoreError::sqlite("forget loads");
        let connection = Connection::open_with_flags(
            super::open::for_sqlite(&database.path),
            OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX,
        )
        .map_err(&failed)?;
        connection.busy_timeout(Duration::from_secs(1)).map_err(&failed)?;
        let known = connection
            .query_row("SELECT 1 FROM pragma_table_list('entrepot_loaded') WHERE schema = 'main'", [], |_| Ok(()))
            .optional()
            .map_err(&failed)?;
        if known.is_some() {
            connection.execute("DELETE FROM entrepot_loaded WHERE loaded_at < ?1", [before.0]).map_err(&failed)?;
        }
        Ok(())
    }

    /// Empties the managed databases, each when no load is under way.
    pub fn reset(&self) -> Result<(), StoreError> {
        for (database, lock) in self.databases.iter().filter(|(database, _)| database.managed && database.path.exists()) {
            let _guard = lock.lock().unwrap_or_else(PoisonError::into_inner);
            let failed = StoreError::sqlite("open the entity database");
            let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
            let connection = Connection::open_with_flags(super::open::for_sqlite(&database.path), flags).map_err(&failed)?;
            connection.busy_timeout(database.lock_wait).map_err(&failed)?;
            super::reset::tables(&connection)?;
        }
        Ok(())
    }

    /// Opens a database to track changes in it, when no load is under way; `None` when there is none yet.
    pub(super) fn tracker(&self, name: &str) -> Result<Option<(Connection, MutexGuard<'_, ()>)>, StoreError> {
        let (database, lock) = self.database(name)?;
        let guard = lock.lock().unwrap_or_else(PoisonError::into_inner);
        if !database.path.exists() {
            return Ok(None);
        }
        let failed = StoreError::sqlite("open the entity database to track changes");
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection = Connection::open_with_flags(super::open::for_sqlite(&database.path), flags).map_err(&failed)?;
        connection.busy_timeout(database.lock_wait).map_err(&failed)?;
        Ok(Some((connection, guard)))
    }

    /// Opens a database for reading; `None` when there is none yet.
    pub fn reader(&self, name: &str) -> Result<Option<Connection>, StoreError> {
        let (database, _) = self.database(name)?;
        let path = &database.path;
        if !path.exists() {
            return Ok(None);
        }
        let failed = StoreError::sqlite("open the entity database for reading");
        // Not read-only: a WAL database that nobody has open needs its shared memory made.
        let connection =
            Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX).map_err(&failed)?;
        connection.busy_timeout(database.lock_wait).map_err(&failed)?;
        connection.pragma_update(None, "query_only", "ON").map_err(&failed)?;
        Ok(Some(connection))
    }
}

/// The type of a column that keeps values of this kind.
pub fn column_type(kind: &FieldKind) -> &'static str {
    match kind {
        FieldKind::Integer | FieldKind::Boolean => "INTEGER",
        _ => "TEXT",
    }
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
            Some((_, kind)) if kind != column_type(&field.kind) => {
                return refuse(format!(
                    "table \"{}\" keeps \"{}\" as {kind}, the configuration says {}: give the field another name, or move the table away",
                    entity.table,
                    field.name,
                    field.kind.name()
                ));
            }
            Some(_) => {}
        }
    }
    let mut kept: Vec<String> = connection
        .prepare("SELECT name FROM pragma_table_info(?1) WHERE pk > 0 ORDER BY pk")
        .and_then(|mut statement| statement.query_map([&entity.table], |row| row.get::<_, String>(0))?.collect())
        .map_err(&failed)?;
    kept.iter_mut().for_each(|name| *name = quote(name).to_lowercase());
    if kept != key.iter().map(|name| name.to_lowercase()).collect::<Vec<_>>() {
        return refuse(format!(
            "table \"{}\" has the key {}, the configuration says {}: give the entity another table",
            entity.table,
            kept.join(", "),
            key.join(", ")
        ));
    }
    Ok(())
}

/// A database opened for one load.
pub struct Writing<'a> {
    connection: Connection,
    wal: PathBuf,
    /// Everything is taken back.
    trial: bool,
    kept: std::cell::Cell<bool>,
    _guard: Option<MutexGuard<'a, ()>>,
}

impl Writing<'_> {
    /// An empty database in memory, for a trial.
    pub fn scratch(entities: &[Arc<Entity>]) -> Result<Writing<'static>, StoreError> {
        let failed = StoreError::sqlite("make a database in memory");
        let connection = Connection::open_in_memory().map_err(&failed)?;
        connection.execute_batch("BEGIN").map_err(&failed)?;
        connection.execute_batch(TABLES).map_err(&failed)?;
        entities.iter().try_for_each(|entity| prepare_table(&connection, entity))?;
        Ok(Writing { connection, wal: PathBuf::new(), trial: true, kept: Default::default(), _guard: None })
    }

    /// Keeps what a trial in it loads, for the trials that follow.
    pub fn keep<T>(&self, run: impl FnOnce(&Self) -> T) -> T {
        self.kept.set(true);
        let done = run(self);
        self.kept.set(false);
        done
    }

    fn begin_statement(&self) -> &'static str {
        if self.trial { "SAVEPOINT entrepot_load" } else { "BEGIN IMMEDIATE" }
    }

    fn back_statement(&self) -> &'static str {
        if self.trial { "ROLLBACK TO entrepot_load" } else { "ROLLBACK" }
    }
    /// The counts of a message that was loaded before a crash; the number of findings after them.
    pub fn already_loaded(&self, message: &str) -> Result<Option<(RowCounts, u64)>, StoreError> {
        self.connection
            .query_row(
                "SELECT read, inserted, updated, unchanged, refused, findings FROM entrepot_loaded WHERE message_id = ?1",
                [message],
                |row| {
                    let counts = RowCounts {
                        read: row.get(0)?,
                        inserted: row.get(1)?,
                        updated: row.get(2)?,
                        unchanged: row.get(3)?,
                        refused: row.get(4)?,
                    };
                    Ok((counts, row.get(5)?))
                },
            )
            .optional()
            .map_err(StoreError::sqlite("look for an earlier load"))
    }

    /// Begins the one transaction of a load.
    pub fn begin(&self) -> Result<(), StoreError> {
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
        if self.trial {
            if self.kept.get() {
                return self.connection.execute_batch("RELEASE entrepot_load").map_err(StoreError::sqlite("keep the load"));
            }
            self.roll_back();
            return Ok(());
        }
        let failed = StoreError::sqlite("commit the load");
        self.connection
            .execute(
                "INSERT INTO entrepot_loaded VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
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
        self.connection.execute_batch("COMMIT").map_err(&failed)?;
        if std::fs::metadata(&self.wal).is_ok_and(|wal| wal.len() > WAL_BYTES_MAX) {
            // What it cannot do now, because somebody reads, a later load does.
            if let Err(error) = self.connection.query_row("PRAGMA wal_checkpoint(PASSIVE)", [], |_| Ok(())) {
                log::warn!("{} not checkpointed: {error}", self.wal.display());
            }
        }
        Ok(())
    }

    /// Takes everything of the load back.
    pub fn roll_back(&self) {
        // Dropping the connection would do the same.
        let _ = self.connection.execute_batch(self.back_statement());
        if self.trial {
            return;
        }
        // What a large load has written to the log is worth nothing now. On a full disk its space is what the queue needs to say so.
        let _ = self.connection.busy_timeout(Duration::ZERO);
        let _ = self.connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()));
    }

    /// The next number of a sequence, in the load's transaction.
    pub fn next_number(&self, pattern: &str) -> Result<u64, StoreError> {
        self.connection
            .prepare_cached(
                "INSERT INTO entrepot_sequence VALUES (?1, 2) ON CONFLICT (pattern) DO UPDATE SET next = next + 1 RETURNING next - 1",
            )
            .and_then(|mut statement| statement.query_row([pattern], |row| row.get(0)))
            .map_err(StoreError::sqlite("take a number"))
    }

    /// Gives the number taken last back: the row that it was taken for was refused.
    pub fn give_back(&self, pattern: &str) -> Result<(), StoreError> {
        self.connection
            .prepare_cached("UPDATE entrepot_sequence SET next = next - 1 WHERE pattern = ?1")
            .and_then(|mut statement| statement.execute([pattern]))
            .map(|_| ())
            .map_err(StoreError::sqlite("give a number back"))
    }

    /// Prepares the upsert of an entity. `columns` are positions of mapped fields; for each, whether a blank keeps what is there.
    pub fn upsert(&self, entity: &Entity, columns: &[(usize, bool)]) -> Result<Upsert<'_>, StoreError> {
        self.rows(entity, columns, WriteMode::Upsert, false)
    }

    /// As `upsert`, for new rows only, or for existing ones only. `together`: rows of other tables are inserted between these.
    pub fn rows(&self, entity: &Entity, columns: &[(usize, bool)], mode: WriteMode, together: bool) -> Result<Upsert<'_>, StoreError> {
        let failed = StoreError::sqlite("prepare the upsert");
        let name = |index: usize| quote(&entity.fields[index].name);
        let table = quote(&entity.table);
        let names: Vec<String> = columns.iter().map(|(index, _)| name(*index)).collect();
        let key: Vec<String> = entity.key.iter().map(|index| name(*index)).collect();
        let marks: Vec<String> = (1..=columns.len()).map(|number| format!("?{number}")).collect();
        let rest: Vec<(String, String)> = columns
            .iter()
            .filter(|(index, _)| !entity.key.contains(index))
            .map(|(index, keep)| {
                let column = name(*index);
                let value = if *keep { format!("coalesce(excluded.{column}, {table}.{column})") } else { format!("excluded.{column}") };
                (column, value)
            })
            .collect();
        let number = |index: usize| columns.iter().position(|(column, _)| *column == index).map_or(0, |at| at + 1);
        let same_key: Vec<String> = entity.key.iter().map(|index| format!("{} = ?{}", name(*index), number(*index))).collect();
        let action = if rest.is_empty() || mode == WriteMode::Insert {
            "DO NOTHING".to_owned()
        } else {
            let set: Vec<String> = rest.iter().map(|(column, value)| format!("{column} = {value}")).collect();
            // Column by column: a row value of many columns is compared more slowly.
            let differs: Vec<String> = rest.iter().map(|(column, value)| format!("{table}.{column} IS NOT {value}")).collect();
            format!("DO UPDATE SET {} WHERE {}", set.join(", "), differs.join(" OR "))
        };
        let sql = if mode == WriteMode::Update {
            let value = |(index, keep): &(usize, bool)| {
                let (column, number) = (name(*index), number(*index));
                (column.clone(), if *keep { format!("coalesce(?{number}, {column})") } else { format!("?{number}") })
            };
            let rest: Vec<(String, String)> = columns.iter().filter(|(index, _)| !entity.key.contains(index)).map(value).collect();
            let set: Vec<String> = rest.iter().map(|(column, value)| format!("{column} = {value}")).collect();
            let differs: Vec<String> = rest.iter().map(|(column, value)| format!("{column} IS NOT {value}")).collect();
            match rest.is_empty() {
                true => format!("UPDATE {table} SET {0} = {0} WHERE 0 AND {1}", key[0], same_key.join(" AND ")),
                false => format!("UPDATE {table} SET {} WHERE {} AND ({})", set.join(", "), same_key.join(" AND "), differs.join(" OR ")),
            }
        } else {
            format!("INSERT INTO {table} ({}) VALUES ({}) ON CONFLICT ({}) {action}", names.join(", "), marks.join(", "), key.join(", "))
        };
        let without_rowid: bool = self
            .connection
            .query_row("SELECT wr FROM pragma_table_list(?1) WHERE schema = 'main'", [&entity.table], |row| row.get(0))
            .optional()
            .map_err(&failed)?
            .ok_or_else(|| StoreError {
                operation: "prepare the upsert",
                cause: Cause::Damaged(format!("the database has no table \"{}\"", entity.table)),
            })?;
        // The last rowid tells an insert from an update only where nothing else is inserted.
        let exists = (without_rowid || together || mode == WriteMode::Update)
            .then(|| self.connection.prepare(&format!("SELECT 1 FROM {table} WHERE {}", same_key.join(" AND "))))
            .transpose()
            .map_err(&failed)?;
        let insert = (mode == WriteMode::Upsert && exists.is_none())
            .then(|| self.connection.prepare(&format!("INSERT INTO {table} ({}) VALUES ({})", names.join(", "), marks.join(", "))))
            .transpose()
            .map_err(&failed)?;
        let statement = self.connection.prepare(&sql).map_err(&failed)?;
        Ok(Upsert { connection: &self.connection, statement, insert, new_in_a_row: 0, exists, mode, last: NO_ROW })
    }

    /// Prepares a look-up.
    pub fn finder(&self, entity: &Entity, find: usize, take: usize) -> Result<Finder<'_>, StoreError> {
        let (take, find) = (quote(&entity.fields[take].name), quote(&entity.fields[find].name));
        let sql = format!("SELECT {take} FROM {} WHERE {find} = ?1 LIMIT 1", quote(&entity.table));
        let statement = self.connection.prepare(&sql).map_err(StoreError::sqlite("prepare a look-up"))?;
        Ok(Finder { statement, found: HashMap::new() })
    }

    /// Prepares the note of values that a document has; `number` tells one list from another.
    pub fn seen(&self, number: usize) -> Result<Seen<'_>, StoreError> {
        let failed = StoreError::sqlite("prepare a list of values");
        let table = format!("temp.entrepot_seen_{number}");
        let make =
            format!("DROP TABLE IF EXISTS {table}; CREATE TABLE {table} (value TEXT PRIMARY KEY, row INTEGER NOT NULL) WITHOUT ROWID");
        self.connection.execute_batch(&make).map_err(&failed)?;
        let add = self.connection.prepare(&format!("INSERT OR IGNORE INTO {table} VALUES (?1, ?2)")).map_err(&failed)?;
        let first = self.connection.prepare(&format!("SELECT row FROM {table} WHERE value = ?1")).map_err(&failed)?;
        Ok(Seen { add, first })
    }

    /// Removes all rows of an entity, in the load's transaction.
    pub fn truncate(&self, entity: &Entity) -> Result<(), StoreError> {
        let sql = format!("DELETE FROM {}", quote(&entity.table));
        self.connection.execute_batch(&sql).map_err(StoreError::sqlite("remove the entity's rows"))
    }

    /// Prepares the check that a referenced row exists.
    pub fn reference(&self, entity: &Entity) -> Result<Reference<'_>, StoreError> {
        let sql = format!("SELECT 1 FROM {} WHERE {} = ?1", quote(&entity.table), quote(&entity.fields[entity.key[0]].name));
        let statement = self.connection.prepare(&sql).map_err(StoreError::sqlite("prepare a reference"))?;
        Ok(Reference { statement, found: HashMap::new() })
    }
}

/// A prepared look-up of a value by another, which remembers what it saw.
pub struct Finder<'a> {
    statement: rusqlite::Statement<'a>,
    found: HashMap<String, Option<Stored>>,
}

impl Finder<'_> {
    /// Rows were taken back: what was seen may be gone.
    pub fn forget(&mut self) {
        self.found.clear();
    }

    /// The value; `None` when no row is found, or it is blank there.
    pub fn find(&mut self, key: Cell<'_>) -> Result<Option<Stored>, StoreError> {
        let text = key.text();
        if let Some(found) = self.found.get(&text) {
            return Ok(found.clone());
        }
        let failed = StoreError::sqlite("look a value up");
        let found = self
            .statement
            .query_row([key], |row| {
                Ok(match row.get_ref(0)? {
                    ValueRef::Integer(value) => Some(Stored::Integer(value)),
                    ValueRef::Text(text) => Some(Stored::Text(String::from_utf8_lossy(text).into_owned())),
                    _ => None,
                })
            })
            .optional()
            .map_err(failed)?
            .flatten();
        if self.found.len() < REFERENCES_MAX {
            self.found.insert(text, found.clone());
        }
        Ok(found)
    }
}

/// Values that were seen in the document: exact, in a temporary table that spills to disk.
pub struct Seen<'a> {
    add: rusqlite::Statement<'a>,
    first: rusqlite::Statement<'a>,
}

impl Seen<'_> {
    /// Notes a value; the row that had it before, when one did.
    pub fn note(&mut self, value: &str, row: u64) -> Result<Option<u64>, StoreError> {
        let failed = StoreError::sqlite("note a value");
        if self.add.execute(params![value, row]).map_err(&failed)? == 1 {
            return Ok(None);
        }
        self.first.query_row([value], |found| found.get(0)).map(Some).map_err(failed)
    }
}

/// A value to be bound.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Cell<'a> {
    /// No value.
    Null,
    /// INTEGER.
    Integer(i64),
    /// TEXT; valid UTF-8 by construction.
    Text(&'a str),
}

impl Cell<'_> {
    /// The value kept by itself.
    pub fn stored(&self) -> Option<Stored> {
        match self {
            Cell::Null => None,
            Cell::Integer(value) => Some(Stored::Integer(*value)),
            Cell::Text(text) => Some(Stored::Text((*text).to_owned())),
        }
    }

    /// As text, for messages.
    pub fn text(&self) -> String {
        match self {
            Cell::Null => String::new(),
            Cell::Integer(value) => value.to_string(),
            Cell::Text(text) => (*text).to_owned(),
        }
    }
}

impl ToSql for Cell<'_> {
    fn to_sql(&self) -> rusqlite::Result<rusqlite::types::ToSqlOutput<'_>> {
        Ok(rusqlite::types::ToSqlOutput::Borrowed(match self {
            Cell::Null => ValueRef::Null,
            Cell::Integer(value) => ValueRef::Integer(*value),
            Cell::Text(text) => ValueRef::Text(text.as_bytes()),
        }))
    }
}

impl<'a> From<&'a Stored> for Cell<'a> {
    fn from(stored: &'a Stored) -> Self {
        match stored {
            Stored::Text(text) => Cell::Text(text),
            Stored::Integer(value) => Cell::Integer(*value),
        }
    }
}

/// What became of a row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Loaded {
    /// It is new.
    Inserted,
    /// It changed.
    Updated,
    /// It was so already.
    Unchanged,
    /// Only new rows are taken, and its key exists.
    Exists,
    /// Only existing rows are taken, and its key does not exist.
    Missing,
    /// The table does not take it, for this reason.
    Refused(String),
}

/// A prepared upsert.
pub struct Upsert<'a> {
    connection: &'a Connection,
    statement: rusqlite::Statement<'a>,
    /// For rows that are new in all likelihood, because so many before them were: without a look at what is there, which costs an eighth.
    insert: Option<rusqlite::Statement<'a>>,
    new_in_a_row: u32,
    exists: Option<rusqlite::Statement<'a>>,
    mode: WriteMode,
    last: i64,
}

/// After so many new rows the next one is taken for new.
const NEW_IN_A_ROW: u32 = 64;

impl Upsert<'_> {
    /// Loads a row. An error ends the load; a row that the table refuses does not.
    pub fn row(&mut self, cells: &[Cell<'_>]) -> Result<Loaded, StoreError> {
        let failed = StoreError::sqlite("load a row");
        if self.new_in_a_row >= NEW_IN_A_ROW
            && let Some(insert) = &mut self.insert
        {
            match insert.execute(rusqlite::params_from_iter(cells)) {
                Ok(_) => {
                    self.last = self.connection.last_insert_rowid();
                    return Ok(Loaded::Inserted);
                }
                // It exists, or the table refuses it: the upsert tells.
                Err(rusqlite::Error::SqliteFailure(error, _)) if error.code == rusqlite::ErrorCode::ConstraintViolation => {}
                Err(rusqlite::Error::SqliteFailure(error, message))
                    if matches!(error.code, rusqlite::ErrorCode::TypeMismatch | rusqlite::ErrorCode::TooBig) =>
                {
                    return Ok(Loaded::Refused(message.unwrap_or_else(|| error.to_string())));
                }
                Err(error) => return Err(failed(error)),
            }
        }
        let existed = match &mut self.exists {
            None => None,
            Some(exists) => {
                let used = exists.parameter_count().min(cells.len());
                Some(exists.exists(rusqlite::params_from_iter(&cells[..used])).map_err(&failed)?)
            }
        };
        match self.statement.execute(rusqlite::params_from_iter(cells)) {
            Ok(0) if self.mode == WriteMode::Insert => Ok(Loaded::Exists),
            Ok(0) if existed == Some(false) && self.mode == WriteMode::Update => Ok(Loaded::Missing),
            Ok(0) => {
                self.new_in_a_row = 0;
                Ok(Loaded::Unchanged)
            }
            Ok(_) if self.mode == WriteMode::Update => Ok(Loaded::Updated),
            Ok(_) => {
                // An insert sets the last rowid, an update leaves it. Tables without rowid were asked before.
                let last = self.connection.last_insert_rowid();
                let inserted = existed.map_or(last != self.last, |existed| !existed);
                self.last = last;
                self.new_in_a_row = if inserted { self.new_in_a_row + 1 } else { 0 };
                Ok(if inserted { Loaded::Inserted } else { Loaded::Updated })
            }
            Err(rusqlite::Error::SqliteFailure(error, message))
                if matches!(
                    error.code,
                    rusqlite::ErrorCode::ConstraintViolation | rusqlite::ErrorCode::TypeMismatch | rusqlite::ErrorCode::TooBig
                ) =>
            {
                Ok(Loaded::Refused(message.unwrap_or_else(|| error.to_string())))
            }
            Err(error) => Err(failed(error)),
        }
    }
}

/// A prepared check that a referenced row exists, which remembers what it saw.
pub struct Reference<'a> {
    statement: rusqlite::Statement<'a>,
    found: HashMap<String, bool>,
}

impl Reference<'_> {
    /// Whether the row exists.
    pub fn exists(&mut self, key: Cell<'_>) -> Result<bool, StoreError> {
        let text = match key {
            Cell::Text(text) => text.to_owned(),
            Cell::Integer(value) => value.to_string(),
            Cell::Null => return Ok(true),
        };
        if let Some(found) = self.found.get(&text) {
            return Ok(*found);
        }
        let found = self.statement.exists([key]).map_err(StoreError::sqlite("look up a reference"))?;
        if self.found.len() < REFERENCES_MAX {
            self.found.insert(text, found);
        }
        Ok(found)
    }

    /// Rows were taken back: what was seen may be gone.
    pub fn forget(&mut self) {
        self.found.clear();
    }

    /// A row was added: what was missing may exist now.
    pub fn forget_missing(&mut self) {
        self.found.retain(|_, found| *found);
    }
}
