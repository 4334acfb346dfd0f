//! What a load asks the database besides: values of other entities, rows that are referenced, values that the document had before.

use std::collections::HashMap;

use rusqlite::types::ValueRef;
use rusqlite::{Connection, OptionalExtension, params};

use super::cell::Cell;
use super::{found_for, quote};
use crate::document::value::Stored;
use crate::model::entity::Entity;
use crate::store::StoreError;

/// Values that are remembered for each question during a load.
const REMEMBERED_MAX: usize = 65_536;

/// What a look-up finds.
#[derive(Clone, Debug, PartialEq)]
pub enum Looked {
    /// The value.
    Value(Stored),
    /// A row, without a value.
    Blank,
    /// No row.
    Nothing,
    /// Rows with different values.
    Several,
}

/// A prepared look-up of a value by another, which remembers what it saw.
pub struct Finder<'a> {
    statement: rusqlite::Statement<'a>,
    found: HashMap<String, Looked>,
}

impl<'a> Finder<'a> {
    pub(super) fn prepare(connection: &'a Connection, entity: &Entity, find: usize, take: usize) -> Result<Finder<'a>, StoreError> {
        found_for(connection, entity, "prepare a look-up")?;
        let (take, find) = (quote(&entity.fields[take].name), quote(&entity.fields[find].name));
        let sql = format!("SELECT DISTINCT {take} FROM {} WHERE {find} = ?1 LIMIT 2", quote(&entity.table));
        let statement = connection.prepare(&sql).map_err(StoreError::sqlite("prepare a look-up"))?;
        Ok(Finder { statement, found: HashMap::new() })
    }

    /// Rows were taken back: what was seen may be gone.
    pub fn forget(&mut self) {
        self.found.clear();
    }

    /// What is found by this value.
    pub fn find(&mut self, key: Cell<'_>) -> Result<Looked, StoreError> {
        let text = key.text();
        if let Some(found) = self.found.get(&text) {
            return Ok(found.clone());
        }
        let failed = StoreError::sqlite("look a value up");
        let mut rows = self.statement.query([key]).map_err(&failed)?;
        let mut found = Looked::Nothing;
        while let Some(row) = rows.next().map_err(&failed)? {
            found = match (found, row.get_ref(0).map_err(&failed)?) {
                (Looked::Nothing, ValueRef::Null) => Looked::Blank,
                (Looked::Nothing, ValueRef::Integer(value)) => Looked::Value(Stored::Integer(value)),
                (Looked::Nothing, ValueRef::Real(value)) => Looked::Value(Stored::Text(value.to_string())),
                (Looked::Nothing, ValueRef::Text(text) | ValueRef::Blob(text)) => {
                    Looked::Value(Stored::Text(String::from_utf8_lossy(text).into_owned()))
                }
                _ => Looked::Several,
            };
        }
        if self.found.len() < REMEMBERED_MAX {
            self.found.insert(text, found.clone());
        }
        Ok(found)
    }
}

/// A prepared check that a referenced row exists, which remembers what it saw.
pub struct Reference<'a> {
    statement: rusqlite::Statement<'a>,
    found: HashMap<String, bool>,
}

impl<'a> Reference<'a> {
    pub(super) fn prepare(connection: &'a Connection, entity: &Entity) -> Result<Reference<'a>, StoreError> {
        found_for(connection, entity, "prepare a reference")?;
        let sql = format!("SELECT 1 FROM {} WHERE {} = ?1", quote(&entity.table), quote(&entity.fields[entity.key[0]].name));
        let statement = connection.prepare(&sql).map_err(StoreError::sqlite("prepare a reference"))?;
        Ok(Reference { statement, found: HashMap::new() })
    }

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
        if self.found.len() < REMEMBERED_MAX {
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

/// Values that were seen in the document: exact, in a temporary table that spills to disk.
pub struct Seen<'a> {
    add: rusqlite::Statement<'a>,
    first: rusqlite::Statement<'a>,
}

impl<'a> Seen<'a> {
    pub(super) fn prepare(connection: &'a Connection, number: usize) -> Result<Seen<'a>, StoreError> {
        let failed = StoreError::sqlite("prepare a list of values");
        let table = format!("temp.entrepot_seen_{number}");
        let make =
            format!("DROP TABLE IF EXISTS {table}; CREATE TABLE {table} (value TEXT PRIMARY KEY, row INTEGER NOT NULL) WITHOUT ROWID");
        connection.execute_batch(&make).map_err(&failed)?;
        let add = connection.prepare(&format!("INSERT OR IGNORE INTO {table} VALUES (?1, ?2)")).map_err(&failed)?;
        let first = connection.prepare(&format!("SELECT row FROM {table} WHERE value = ?1")).map_err(&failed)?;
        Ok(Seen { add, first })
    }

    /// Notes a value; the row that had it before, when one did.
    pub fn note(&mut self, value: &str, row: u64) -> Result<Option<u64>, StoreError> {
        let failed = StoreError::sqlite("note a value");
        if self.add.execute(params![value, row]).map_err(failed)? == 1 {
            return Ok(None);
        }
        self.had(value)
    }

    /// The row that has it, when one does.
    pub fn had(&mut self, value: &str) -> Result<Option<u64>, StoreError> {
        self.first.query_row([value], |found| found.get(0)).optional().map_err(StoreError::sqlite("look for a value"))
    }
}
