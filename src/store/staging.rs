//! Staging: the rows of an execution as they were mapped and validated, each with what became of it, in an SQLite file of its own for each entity.
//!
//! It is written beside the load, without a journal and in one go, and is nothing until the load is about to be committed: what a crash leaves of
//! it is removed by the next start. A managed entity's table is not touched by it, nor a database of somebody else.

use std::path::Path;

use rusqlite::types::ValueRef;
use rusqlite::{Connection, OpenFlags, OptionalExtension, Statement, params};

use super::StoreError;
use super::entities::{Cell, column_type, quote};
use crate::model::entity::Entity;
use crate::model::execution::StagingStatus;

/// Page cache of the one that writes.
const CACHE_KIB: i64 = 4 * 1024;
/// Bytes kept of the exact text of a refused record, which the file of refused rows has whole.
const RECORD_MAX: usize = 64 * 1024;

/// An entity whose rows are staged, and the fields that they have values for.
pub struct Part<'a> {
    /// The entity.
    pub entity: &'a Entity,
    /// Positions of its fields.
    pub fields: Vec<usize>,
}

/// A row to keep.
#[derive(Clone, Copy, Debug)]
pub struct Row<'a> {
    /// The record's number, from 1; a nested row has that of the record it stands in.
    pub number: u64,
    /// The line it begins on.
    pub line: u64,
    /// What became of it.
    pub status: StagingStatus,
    /// Why it is refused.
    pub reason: Option<&'a str>,
    /// The exact text of a record that is refused.
    pub record: Option<&'a [u8]>,
}

/// A staging file that is being written.
pub struct Staging {
    connection: Connection,
    inserts: Vec<String>,
    tables: Vec<String>,
}

impl Staging {
    /// Begins one in an empty file, with a table for each of these: named after the entity's, with its fields as columns.
    pub fn create(path: &Path, parts: &[Part<'_>]) -> Result<Staging, StoreError> {
        let failed = StoreError::sqlite("make the staging file");
        let connection = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX);
        let connection = connection.map_err(&failed)?;
        // It is synced once, as a whole, and one that is not finished is thrown away.
        for (pragma, value) in [("journal_mode", "OFF"), ("synchronous", "OFF"), ("locking_mode", "EXCLUSIVE")] {
            connection.pragma_update(None, pragma, value).map_err(&failed)?;
        }
        connection.pragma_update(None, "cache_size", -CACHE_KIB).map_err(&failed)?;
        connection
            .execute_batch("BEGIN; CREATE TABLE entrepot_staging (entity TEXT NOT NULL, name TEXT NOT NULL UNIQUE COLLATE NOCASE)")
            .map_err(&failed)?;
        let (mut inserts, mut tables) = (Vec::new(), Vec::new());
        for part in parts {
            let mut name = part.entity.table.clone();
            while own(&name) != name || connection.table_exists(None, name.as_str()).map_err(&failed)? {
                name = format!("staged_{name}");
            }
            let fields = part.fields.iter().map(|index| &part.entity.fields[*index]);
            let columns: Vec<String> =
                fields.clone().map(|field| format!(", {} {}", quote(&own(&field.name)), column_type(&field.kind))).collect();
            connection
                .execute_batch(&format!(
                    "CREATE TABLE {} (entrepot_row INTEGER NOT NULL, entrepot_line INTEGER NOT NULL, entrepot_status TEXT NOT NULL,
                       entrepot_reason TEXT, entrepot_record TEXT{})",
                    quote(&name),
                    columns.concat()
                ))
                .map_err(&failed)?;
            connection.execute("INSERT INTO entrepot_staging VALUES (?1, ?2)", [&part.entity.name, &name]).map_err(&failed)?;
            let marks: Vec<String> = (1..=5 + columns.len()).map(|number| format!("?{number}")).collect();
            inserts.push(format!("INSERT INTO {} VALUES ({})", quote(&name), marks.join(", ")));
            tables.push(name);
        }
        Ok(Staging { connection, inserts, tables })
    }

    /// What takes rows.
    pub fn rows(&self) -> Result<Rows<'_>, StoreError> {
        let prepared = self.inserts.iter().map(|sql| self.connection.prepare(sql)).collect::<Result<_, _>>();
        Ok(Rows { inserts: prepared.map_err(StoreError::sqlite("prepare the staging"))? })
    }

    /// Nothing of the document is loaded after all.
    pub fn take_back(&self) -> Result<(), StoreError> {
        for table in &self.tables {
            let sql = format!("UPDATE {} SET entrepot_status = ?1 WHERE entrepot_status <> ?2", quote(table));
            self.connection
                .execute(&sql, [StagingStatus::NotStarted.name(), StagingStatus::Error.name()])
                .map_err(StoreError::sqlite("take the staging back"))?;
        }
        Ok(())
    }

    /// Ends it: the file is whole, but for a sync.
    pub fn finish(self) -> Result<(), StoreError> {
        let failed = StoreError::sqlite("end the staging");
        self.connection.execute_batch("COMMIT").map_err(&failed)?;
        self.connection.close().map_err(|(_, error)| failed(error))
    }
}

/// A name that is none of ours.
fn own(name: &str) -> String {
    if name.to_lowercase().starts_with("entrepot_") { format!("staged_{name}") } else { name.to_owned() }
}

/// Takes rows.
pub struct Rows<'a> {
    inserts: Vec<Statement<'a>>,
}

impl Rows<'_> {
    /// Keeps a row. A refused one may have no values.
    pub fn row<'c>(&mut self, part: usize, row: &Row<'_>, cells: impl Iterator<Item = Cell<'c>>) -> Result<(), StoreError> {
        let statement = &mut self.inserts[part];
        let bind = || {
            statement.raw_bind_parameter(1, row.number)?;
            statement.raw_bind_parameter(2, row.line)?;
            statement.raw_bind_parameter(3, row.status.name())?;
            statement.raw_bind_parameter(4, row.reason)?;
            statement.raw_bind_parameter(5, row.record.map(|record| String::from_utf8_lossy(&record[..record.len().min(RECORD_MAX)])))?;
            let mut count = 5;
            for cell in cells {
                count += 1;
                statement.raw_bind_parameter(count, if cell == Cell::Blank { Cell::Null } else { cell })?;
            }
            for missing in count + 1..=statement.parameter_count() {
                statement.raw_bind_parameter(missing, rusqlite::types::Null)?;
            }
            statement.raw_execute()
        };
        bind().map(|_| ()).map_err(StoreError::sqlite("stage a row"))
    }
}

/// A row that was kept.
#[derive(Clone, Debug, PartialEq)]
pub struct StagedRow {
    /// Its place among all of its table: the next page begins behind it.
    pub position: i64,
    /// The record's number, from 1.
    pub number: u64,
    /// The line it begins on.
    pub line: u64,
    /// The name of its status.
    pub status: String,
    /// Why it is refused.
    pub reason: Option<String>,
    /// The exact text of a record that is refused.
    pub record: Option<String>,
    /// Fields and values; `None` is blank.
    pub values: Vec<(String, Option<String>)>,
}

/// The entities whose rows a staging file has, in order.
pub fn entities(path: &Path) -> Result<Vec<String>, StoreError> {
    let failed = StoreError::sqlite("read the staging");
    let connection = reader(path)?;
    let mut statement = connection.prepare("SELECT entity FROM entrepot_staging ORDER BY rowid").map_err(&failed)?;
    let found = statement.query_map([], |row| row.get(0)).and_then(Iterator::collect);
    found.map_err(&failed)
}

/// Rows of an entity behind a position, at most `limit`; only those of a status, if one is given.
pub fn page(path: &Path, entity: &str, after: i64, status: Option<StagingStatus>, limit: u32) -> Result<Vec<StagedRow>, StoreError> {
    let failed = StoreError::sqlite("read the staging");
    let connection = reader(path)?;
    let name: Option<String> = connection
        .query_row("SELECT name FROM entrepot_staging WHERE entity = ?1 ORDER BY rowid LIMIT 1", [entity], |row| row.get(0))
        .optional()
        .map_err(&failed)?;
    let Some(name) = name else { return Ok(Vec::new()) };
    let sql =
        format!("SELECT rowid, * FROM {} WHERE rowid > ?1 AND (?2 IS NULL OR entrepot_status = ?2) ORDER BY rowid LIMIT ?3", quote(&name));
    let mut statement = connection.prepare(&sql).map_err(&failed)?;
    let fields: Vec<String> = statement.column_names().skip(6).map(str::to_owned).collect();
    let rows = statement
        .query_map(params![after, status.map(StagingStatus::name), limit], |row| {
            let mut values = Vec::with_capacity(fields.len());
            for (index, field) in fields.iter().enumerate() {
                let value = match row.get_ref(6 + index)? {
                    ValueRef::Null => None,
                    ValueRef::Integer(value) => Some(value.to_string()),
                    ValueRef::Real(value) => Some(value.to_string()),
                    ValueRef::Text(text) | ValueRef::Blob(text) => Some(String::from_utf8_lossy(text).into_owned()),
                };
                values.push((field.clone(), value));
            }
            Ok(StagedRow {
                position: row.get(0)?,
                number: row.get(1)?,
                line: row.get(2)?,
                status: row.get(3)?,
                reason: row.get(4)?,
                record: row.get(5)?,
                values,
            })
        })
        .and_then(Iterator::collect);
    rows.map_err(&failed)
}

fn reader(path: &Path) -> Result<Connection, StoreError> {
    Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX)
        .map_err(StoreError::sqlite("open the staging"))
}
