//! A row loaded: inserted, updated, found unchanged, or refused.

use rusqlite::Connection;

use super::cell::Cell;
use super::{NO_ROW, found_for, quote};
use crate::model::entity::Entity;
use crate::model::project::WriteMode;
use crate::store::{Cause, StoreError};

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
    /// Whether the row is there as it should be, where triggers may leave it out.
    stands: Option<rusqlite::Statement<'a>>,
    mode: WriteMode,
    last: i64,
}

/// After so many new rows the next one is taken for new.
const NEW_IN_A_ROW: u32 = 64;

impl<'a> Upsert<'a> {
    /// As [`super::writing::Writing::rows`] says.
    pub(super) fn prepare(
        connection: &'a Connection,
        entity: &Entity,
        columns: &[(usize, bool)],
        mode: WriteMode,
        together: bool,
    ) -> Result<Upsert<'a>, StoreError> {
        let failed = StoreError::sqlite("prepare the upsert");
        let found = found_for(connection, entity, "prepare the upsert")?;
        let fields: Vec<usize> = columns.iter().map(|(field, _)| *field).collect();
        if let Some(reason) = found.refuses(entity, &fields) {
            return Err(StoreError { operation: "prepare the upsert", cause: Cause::Damaged(reason) });
        }
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
        // The last rowid tells an insert from an update only where nothing else is inserted.
        let exists = (found.without_rowid || together || mode == WriteMode::Update || (found.triggers && mode == WriteMode::Insert))
            .then(|| connection.prepare(&format!("SELECT 1 FROM {table} WHERE {}", same_key.join(" AND "))))
            .transpose()
            .map_err(&failed)?;
        // Somebody else's trigger may leave a row out without a word. Then it is neither there nor what it should be.
        let same: Vec<String> = columns
            .iter()
            .map(|(index, keep)| match (name(*index), number(*index)) {
                (column, number) if *keep => format!("(?{number} IS NULL OR {column} IS ?{number})"),
                (column, number) => format!("{column} IS ?{number}"),
            })
            .collect();
        let stands = found
            .triggers
            .then(|| connection.prepare(&format!("SELECT 1 FROM {table} WHERE {}", same.join(" AND "))))
            .transpose()
            .map_err(&failed)?;
        let insert = (mode == WriteMode::Upsert && exists.is_none() && stands.is_none())
            .then(|| connection.prepare(&format!("INSERT INTO {table} ({}) VALUES ({})", names.join(", "), marks.join(", "))))
            .transpose()
            .map_err(&failed)?;
        let statement = connection.prepare(&sql).map_err(&failed)?;
        Ok(Upsert { connection, statement, insert, new_in_a_row: 0, exists, stands, mode, last: NO_ROW })
    }

    /// Loads a row. An error ends the load; a row that the table refuses does not.
    pub fn row(&mut self, cells: &[Cell<'_>]) -> Result<Loaded, StoreError> {
        if self.stands.is_none() {
            return self.load(cells);
        }
        // RAISE(FAIL) leaves behind what was done until then.
        self.execute("SAVEPOINT entrepot_one")?;
        let loaded = self.load(cells)?;
        if matches!(loaded, Loaded::Refused(_)) {
            self.execute("ROLLBACK TO entrepot_one")?;
        }
        self.execute("RELEASE entrepot_one")?;
        Ok(loaded)
    }

    fn execute(&self, sql: &str) -> Result<(), StoreError> {
        let done = self.connection.prepare_cached(sql).and_then(|mut statement| statement.execute([]));
        done.map(|_| ()).map_err(StoreError::sqlite("load a row"))
    }

    fn load(&mut self, cells: &[Cell<'_>]) -> Result<Loaded, StoreError> {
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
        let changed = self.statement.execute(rusqlite::params_from_iter(cells));
        if changed.is_err() && self.connection.is_autocommit() {
            let what = "a rule of the table took the whole load back with this row: ROLLBACK in a trigger or a constraint".to_owned();
            return Err(StoreError { operation: "load a row", cause: Cause::Damaged(what) });
        }
        if let (Ok(0), Some(stands)) = (&changed, &mut self.stands) {
            let left_out = match (self.mode, existed) {
                (WriteMode::Insert, Some(existed)) => !existed,
                (WriteMode::Update, Some(false)) => false,
                _ => !stands.exists(rusqlite::params_from_iter(cells)).map_err(&failed)?,
            };
            if left_out {
                return Ok(Loaded::Refused("a trigger or a conflict rule of the table leaves it out".into()));
            }
        }
        match changed {
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
