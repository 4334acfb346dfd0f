//! A row loaded: inserted, updated, found unchanged, or refused.

use rusqlite::types::Value;
use rusqlite::{Connection, ToSql};

use super::cell::Cell;
use super::found::{self, Affinity, DOUBLE_DIGITS};
use super::spelled::{Otherwise, Spellings, number_of, numbers_of};
use super::{NO_ROW, found_for, joined, quote};
use crate::model::entity::{Entity, FieldKind};
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
    /// Several rows have its key, spelled so: which one is meant cannot be told.
    Alike(String),
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
    /// Where the values of the key are in a row, how else the table spells them, and the question for a row with them as they are.
    key: Vec<usize>,
    otherwise: Otherwise<'a>,
    same_key: String,
    /// Why a row cannot be new.
    no_new: Option<String>,
    /// Decimals that the table keeps as doubles, each with its column's name.
    doubles: Vec<(usize, String)>,
    /// What is put into columns that make numbers of it, each with its column's name.
    numbers: Vec<(usize, Affinity, String)>,
    /// Enums that the table keeps as numbers.
    enums: Vec<(usize, &'a [(String, i64)])>,
    mode: WriteMode,
    last: i64,
}

/// After so many new rows the next one is taken for new.
const NEW_IN_A_ROW: u32 = 64;

/// How many digits of a decimal count: zeros at its ends do not.
fn digits(text: &str) -> usize {
    let mut places = text.bytes().filter(u8::is_ascii_digit).enumerate().filter(|(_, digit)| *digit != b'0').map(|(at, _)| at);
    places.next().map_or(0, |first| places.last().unwrap_or(first) - first + 1)
}

/// A value that keeps what is there where nothing is said: blank, and not kept, is said by [`Cell::Blank`], and written as `blank`.
fn kept_or(number: usize, there: &str, blank: &str) -> String {
    format!("CASE WHEN ?{number} = x'' THEN {blank} ELSE coalesce(?{number}, {there}) END")
}

/// The values of a row up to the last that a statement takes.
fn bound<'c, P: ToSql>(statement: &rusqlite::Statement<'_>, cells: &'c [P]) -> rusqlite::ParamsFromIter<&'c [P]> {
    rusqlite::params_from_iter(&cells[..statement.parameter_count().min(cells.len())])
}

fn value(cell: &Cell<'_>) -> Value {
    match cell {
        Cell::Null => Value::Null,
        Cell::Blank => Value::Blob(Vec::new()),
        Cell::Integer(integer) => Value::Integer(*integer),
        Cell::Text(text) => Value::Text((*text).to_owned()),
    }
}

impl<'a> Upsert<'a> {
    /// As [`super::writing::Writing::rows`] says.
    pub(super) fn prepare(
        connection: &'a Connection,
        spellings: &'a Spellings,
        entity: &'a Entity,
        (columns, absent): (&[(usize, bool)], &[usize]),
        mut mode: WriteMode,
        together: bool,
    ) -> Result<Upsert<'a>, StoreError> {
        let failed = StoreError::sqlite("prepare the upsert");
        let found = found_for(connection, entity, "prepare the upsert")?;
        // What no row has is not written at all: a rule that is judged, or a trigger that runs, when a column is written has nothing to do with such rows.
        let written = columns.iter().filter(|(field, _)| entity.key.contains(field) || !absent.contains(field));
        let written: Vec<(usize, bool)> = written.copied().collect();
        let fields: Vec<usize> = written.iter().map(|(field, _)| *field).collect();
        if let Some(reason) = found.refuses(entity, &fields) {
            return Err(StoreError { operation: "prepare the upsert", cause: Cause::Damaged(reason) });
        }
        // Where no row can be new those that are there can be changed all the same; SQLite would refuse both.
        let no_new = (mode == WriteMode::Upsert && !entity.is_managed()).then(|| found.requires(entity, &fields)).flatten();
        if no_new.is_some() {
            mode = WriteMode::Update;
        }
        let field = |index: usize| &entity.fields[index];
        let doubles = columns.iter().enumerate().filter(|(_, (index, _))| !entity.is_managed() && found.keeps_doubles(field(*index)));
        let called = |index: usize| format!("{}.{}", entity.table, field(index).name);
        let doubles = doubles.map(|(target, (index, _))| (target, called(*index))).collect();
        let numbers = columns.iter().enumerate().filter_map(|(target, (index, _))| {
            let affinity = found.affinity(&field(*index).name);
            let may_change = match field(*index).kind {
                FieldKind::String { .. } => matches!(affinity, Affinity::Number | Affinity::Real),
                FieldKind::Integer => affinity == Affinity::Real,
                _ => false,
            };
            (may_change && !entity.is_managed()).then(|| (target, affinity, called(*index)))
        });
        let numbers = numbers.collect();
        let enums = columns.iter().enumerate();
        let enums = enums.filter_map(|(target, (index, _))| Some((target, numbers_of(entity, &found, *index)?))).collect();
        let name = |index: usize| quote(&entity.fields[index].name);
        let table = quote(&entity.table);
        let names: Vec<String> = written.iter().map(|(index, _)| name(*index)).collect();
        let key: Vec<String> = entity.key.iter().map(|index| name(*index)).collect();
        let number = |index: usize| columns.iter().position(|(column, _)| *column == index).map_or(0, |at| at + 1);
        let same_key: Vec<String> = entity.key.iter().map(|index| found.is_key(entity, *index, number(*index))).collect();
        // What is kept where it is blank: SQLite looks at the row as if it were new first. Only then does a column have its own value.
        let kept = |index: usize| found.blank(&field(index).name).filter(|_| !entity.is_managed() && !entity.key.contains(&index));
        let empty = |index: usize| !entity.key.contains(&index) && found.blank_is_empty(entity, index);
        let blank = |index: usize| if empty(index) { "''" } else { "NULL" };
        let given = |index: usize| match (number(index), empty(index)) {
            (number, true) => format!("coalesce(?{number}, '')"),
            (number, false) => format!("?{number}"),
        };
        let marks = written.iter().map(|(index, keep)| match (number(*index), kept(*index).filter(|_| *keep)) {
            (number, None) if *keep => format!("nullif(?{number}, x'')"),
            (_, None) => given(*index),
            (number, Some(own)) => {
                let there = format!("SELECT {} FROM {table} WHERE {}", name(*index), same_key.join(" AND "));
                kept_or(number, &format!("({there}), {own}"), blank(*index))
            }
        });
        let marks: Vec<String> = marks.collect();
        let rest: Vec<(String, String)> = written
            .iter()
            .filter(|(index, _)| !entity.key.contains(index))
            .map(|(index, keep)| {
                let column = name(*index);
                let value =
                    if *keep { kept_or(number(*index), &format!("{table}.{column}"), blank(*index)) } else { format!("excluded.{column}") };
                (column, value)
            })
            .collect();
        let action = if rest.is_empty() || mode == WriteMode::Insert {
            "DO NOTHING".to_owned()
        } else {
            let set: Vec<String> = rest.iter().map(|(column, value)| format!("{column} = {value}")).collect();
            // Column by column: a row value of many columns is compared more slowly. What a column calls alike is a change all the same.
            let differs: Vec<String> =
                rest.iter().map(|(column, value)| format!("{table}.{column} COLLATE BINARY IS NOT {value}")).collect();
            format!("DO UPDATE SET {} WHERE {}", set.join(", "), joined(&differs, " OR "))
        };
        let sql = if mode == WriteMode::Update {
            let value = |(index, keep): &(usize, bool)| {
                let column = name(*index);
                (column.clone(), if *keep { kept_or(number(*index), &column, blank(*index)) } else { given(*index) })
            };
            let rest: Vec<(String, String)> = written.iter().filter(|(index, _)| !entity.key.contains(index)).map(value).collect();
            let set: Vec<String> = rest.iter().map(|(column, value)| format!("{column} = {value}")).collect();
            let differs: Vec<String> = rest.iter().map(|(column, value)| format!("{column} COLLATE BINARY IS NOT {value}")).collect();
            match rest.is_empty() {
                true => format!("UPDATE {table} SET {0} = {0} WHERE 0 AND {1}", key[0], same_key.join(" AND ")),
                false => {
                    format!("UPDATE {table} SET {} WHERE {} AND ({})", set.join(", "), same_key.join(" AND "), joined(&differs, " OR "))
                }
            }
        } else {
            format!("INSERT INTO {table} ({}) VALUES ({}) ON CONFLICT ({}) {action}", names.join(", "), marks.join(", "), key.join(", "))
        };
        // The last rowid tells an insert from an update only where nothing else is inserted.
        let exists = (found.without_rowid || together || mode == WriteMode::Update || (found.triggers && mode == WriteMode::Insert))
            .then(|| connection.prepare(&format!("SELECT 1 FROM {table} WHERE {}", same_key.join(" AND "))))
            .transpose()
            .map_err(&failed)?;
        // Somebody else's trigger may leave a row out without a word. Then it is neither there nor what it should be. Its key keeps its spelling.
        let same: Vec<String> = written
            .iter()
            .map(|(index, keep)| match (name(*index), number(*index)) {
                (_, number) if entity.key.contains(index) => found.is_key(entity, *index, number),
                (column, number) if *keep => {
                    format!("(?{number} IS NULL OR {column} COLLATE BINARY IS {})", kept_or(number, "NULL", blank(*index)))
                }
                (column, _) => format!("{column} COLLATE BINARY IS {}", given(*index)),
            })
            .collect();
        let stands = found
            .triggers
            .then(|| connection.prepare(&format!("SELECT 1 FROM {table} WHERE {}", joined(&same, " AND "))))
            .transpose()
            .map_err(&failed)?;
        let insert = (mode == WriteMode::Upsert && exists.is_none() && stands.is_none())
            .then(|| connection.prepare(&format!("INSERT INTO {table} ({}) VALUES ({})", names.join(", "), marks.join(", "))))
            .transpose()
            .map_err(&failed)?;
        let statement = connection.prepare(&sql).map_err(&failed)?;
        let otherwise = Otherwise::new(connection, spellings, entity, &found, entity.key.clone());
        let key = entity.key.iter().map(|index| number(*index).saturating_sub(1)).collect();
        let same: Vec<String> = entity.key.iter().enumerate().map(|(at, index)| found.is_key(entity, *index, at + 1)).collect();
        let same_key = format!("SELECT 1 FROM {table} WHERE {}", same.join(" AND "));
        Ok(Upsert {
            connection,
            statement,
            insert,
            new_in_a_row: 0,
            exists,
            stands,
            key,
            otherwise,
            same_key,
            no_new,
            doubles,
            numbers,
            enums,
            mode,
            last: NO_ROW,
        })
    }

    /// Loads a row. An error ends the load; a row that the table refuses does not.
    pub fn row(&mut self, cells: &[Cell<'_>]) -> Result<Loaded, StoreError> {
        for (target, column) in &self.doubles {
            if let Cell::Text(text) = cells[*target]
                && digits(text) > DOUBLE_DIGITS
            {
                return Ok(Loaded::Refused(format!(
                    "{column} keeps {DOUBLE_DIGITS} digits of a number, and this one has {}",
                    digits(text)
                )));
            }
        }
        for (target, affinity, column) in &self.numbers {
            let kept = match cells[*target] {
                Cell::Null | Cell::Blank => None,
                Cell::Text(text) => found::changed(text, *affinity),
                Cell::Integer(value) => found::changed(&value.to_string(), *affinity),
            };
            if let Some(kept) = kept {
                return Ok(Loaded::Refused(format!("{column} is a number to SQLite, and keeps {kept} of this value")));
            }
        }
        let theirs = if self.otherwise.is_any()? { self.theirs(cells)? } else { Ok(None) };
        match theirs {
            Ok(None) if self.enums.is_empty() => self.one(cells),
            Ok(theirs) => {
                let mut values: Vec<Value> = cells.iter().map(value).collect();
                for (target, names) in &self.enums {
                    number_of(names, cells[*target]).into_iter().for_each(|number| values[*target] = Value::Integer(number));
                }
                self.key.iter().zip(theirs.unwrap_or_default()).for_each(|(target, value)| values[*target] = value);
                self.one(&values)
            }
            Err(alike) => Ok(alike),
        }
    }

    /// Whether the row is one that is not to be loaded because its key exists, or exists not; asked of rows that are refused for another reason.
    pub fn is_kept_out(&mut self, cells: &[Cell<'_>]) -> Result<Option<Loaded>, StoreError> {
        let key: Vec<Cell<'_>> = self.key.iter().map(|target| cells[*target]).collect();
        if self.mode == WriteMode::Upsert || key.contains(&Cell::Null) {
            return Ok(None);
        }
        let failed = StoreError::sqlite("look for a key");
        let ours = self.otherwise.ours(&key);
        let exists =
            self.connection.prepare_cached(&self.same_key).and_then(|mut found| found.exists(rusqlite::params_from_iter(ours.iter())));
        let exists = exists.map_err(failed)? || self.otherwise.is_any()? && !self.otherwise.of(&key)?.is_empty();
        Ok(match (self.mode, exists) {
            (WriteMode::Insert, true) => Some(Loaded::Exists),
            (WriteMode::Update, false) => Some(self.no_new.clone().map_or(Loaded::Missing, Loaded::Refused)),
            _ => None,
        })
    }

    /// The row's key as the table spells it, when it spells it otherwise than we.
    fn theirs(&mut self, cells: &[Cell<'_>]) -> Result<Result<Option<Vec<Value>>, Loaded>, StoreError> {
        let key: Vec<Cell<'_>> = self.key.iter().map(|target| cells[*target]).collect();
        let mut others = self.otherwise.of(&key)?;
        let Some(theirs) = others.pop() else { return Ok(Ok(None)) };
        let failed = StoreError::sqlite("look for a key");
        let ours = self
            .connection
            .prepare_cached(&self.same_key)
            .map_err(&failed)?
            .exists(rusqlite::params_from_iter(self.otherwise.ours(&key).iter()))
            .map_err(failed)?;
        if !ours && others.is_empty() {
            return Ok(Ok(Some(theirs)));
        }
        let shown = |value: &Value| match value {
            Value::Integer(integer) => integer.to_string(),
            Value::Real(real) => real.to_string(),
            Value::Text(text) => format!("'{text}'"),
            Value::Blob(_) | Value::Null => "bytes".to_owned(),
        };
        Ok(Err(Loaded::Alike(theirs.iter().map(shown).collect::<Vec<_>>().join(", "))))
    }

    fn one<P: ToSql>(&mut self, cells: &[P]) -> Result<Loaded, StoreError> {
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

    fn load<P: ToSql>(&mut self, cells: &[P]) -> Result<Loaded, StoreError> {
        let failed = StoreError::sqlite("load a row");
        if self.new_in_a_row >= NEW_IN_A_ROW
            && let Some(insert) = &mut self.insert
        {
            match insert.execute(bound(insert, cells)) {
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
            Some(exists) => Some(exists.exists(bound(exists, cells)).map_err(&failed)?),
        };
        let changed = self.statement.execute(bound(&self.statement, cells));
        if changed.is_err() && self.connection.is_autocommit() {
            let what = "a rule of the table took the whole load back with this row: ROLLBACK in a trigger or a constraint".to_owned();
            return Err(StoreError { operation: "load a row", cause: Cause::Damaged(what) });
        }
        if let (Ok(0), Some(stands)) = (&changed, &mut self.stands) {
            let left_out = match (self.mode, existed) {
                (WriteMode::Insert, Some(existed)) => !existed,
                (WriteMode::Update, Some(false)) => false,
                _ => !stands.exists(bound(stands, cells)).map_err(&failed)?,
            };
            if left_out {
                return Ok(Loaded::Refused("a trigger or a conflict rule of the table leaves it out".into()));
            }
        }
        match changed {
            Ok(0) if self.mode == WriteMode::Insert => Ok(Loaded::Exists),
            Ok(0) if existed == Some(false) && self.mode == WriteMode::Update => {
                Ok(self.no_new.clone().map_or(Loaded::Missing, Loaded::Refused))
            }
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
