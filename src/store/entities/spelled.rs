//! Keys that a table of somebody else has in another class or spelling than ours: 007 where a number is meant, 2 for an enum's name, a GUID in capitals.
//!
//! A statement that looks for our spelling does not find such a row, and an upsert would put a second one beside it. So a load looks at all keys that it
//! compares with, once and when the first is asked for, and keeps those that are spelled otherwise in a database of its own, which goes with the load.
//! Tables of ours have our spelling alone, and are not looked at.

use std::borrow::Cow;
use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;

use rusqlite::Connection;
use rusqlite::functions::FunctionFlags;
use rusqlite::types::Value;

use super::cell::{Cell, as_kept};
use super::found::{self, Affinity, Table};
use super::quote;
use crate::document::value::Stored;
use crate::model::entity::{Entity, Field, FieldKind};
use crate::store::StoreError;

/// What was looked at in a load, by table and fields.
#[derive(Default)]
pub(super) struct Spellings {
    looked: RefCell<HashMap<(String, Vec<usize>), Option<Rc<Spelled>>>>,
}

impl Spellings {
    /// Another load begins.
    pub fn forget(&self) {
        self.looked.borrow_mut().clear();
    }

    fn of(&self, connection: &Connection, entity: &Entity, fields: &[usize]) -> Result<Option<Rc<Spelled>>, StoreError> {
        let which = (entity.table.clone(), fields.to_vec());
        if let Some(looked) = self.looked.borrow().get(&which) {
            return Ok(looked.clone());
        }
        let looked = Spelled::look(connection, entity, fields).map_err(StoreError::sqlite("look at how keys are spelled"))?.map(Rc::new);
        self.looked.borrow_mut().insert(which, looked.clone());
        Ok(looked)
    }
}

/// The values that one statement compares with: how else the table spells them.
pub(super) struct Otherwise<'a> {
    connection: &'a Connection,
    spellings: &'a Spellings,
    entity: &'a Entity,
    fields: Vec<usize>,
    /// Enums among them that the table keeps as numbers, by their places.
    enums: Vec<(usize, &'a [(String, i64)])>,
    looked: Option<Option<Rc<Spelled>>>,
}

impl<'a> Otherwise<'a> {
    /// Nothing is looked at yet. `table` is what is found of the entity's.
    pub fn new(
        connection: &'a Connection,
        spellings: &'a Spellings,
        entity: &'a Entity,
        table: &Table,
        fields: Vec<usize>,
    ) -> Otherwise<'a> {
        let enums = fields.iter().enumerate().filter_map(|(at, index)| Some((at, numbers_of(entity, table, *index)?))).collect();
        Otherwise { connection, spellings, entity, fields, enums, looked: entity.is_managed().then_some(None) }
    }

    /// The values as we write them into the table.
    pub fn ours<'c, 'v>(&self, values: &'v [Cell<'c>]) -> Cow<'v, [Cell<'c>]> {
        if self.enums.is_empty() {
            return Cow::Borrowed(values);
        }
        let mut ours = values.to_vec();
        for (at, names) in &self.enums {
            let number = number_of(names, ours[*at]);
            number.into_iter().for_each(|number| ours[*at] = Cell::Integer(number));
        }
        Cow::Owned(ours)
    }

    /// Whether the table spells any of them otherwise.
    pub fn is_any(&mut self) -> Result<bool, StoreError> {
        if self.looked.is_none() {
            self.looked = Some(self.spellings.of(self.connection, self.entity, &self.fields)?);
        }
        Ok(self.looked.as_ref().is_some_and(Option::is_some))
    }

    /// The other spellings that the table has of these values.
    pub fn of(&mut self, values: &[Cell<'_>]) -> Result<Vec<Vec<Value>>, StoreError> {
        self.is_any()?;
        let Some(spelled) = self.looked.as_ref().and_then(Option::as_ref) else { return Ok(Vec::new()) };
        spelled.of(values).map_err(StoreError::sqlite("look for another spelling of a key"))
    }
}

/// The names and numbers of an enum that a table of somebody else keeps as its numbers.
pub(super) fn numbers_of<'a>(entity: &'a Entity, table: &Table, index: usize) -> Option<&'a [(String, i64)]> {
    match &entity.fields[index].kind {
        FieldKind::Enum { values } if !entity.is_managed() && table.is_number(&entity.fields[index].name) => Some(values),
        _ => None,
    }
}

/// The number of an enum's name.
pub(super) fn number_of(names: &[(String, i64)], cell: Cell<'_>) -> Option<i64> {
    names.iter().find(|(name, _)| cell == Cell::Text(name)).map(|(_, number)| *number)
}

/// What is spelled otherwise: our spelling of it, and the table's, in a database that SQLite keeps on disk when it is large.
struct Spelled {
    kept: Connection,
    sql: String,
}

impl Spelled {
    /// Looks at the columns of these fields; nothing when all is as we would write it.
    fn look(connection: &Connection, entity: &Entity, fields: &[usize]) -> rusqlite::Result<Option<Spelled>> {
        let Some(table) = found::of(connection, &entity.table)? else { return Ok(None) };
        let definitions: Vec<Field> = fields.iter().map(|index| entity.fields[*index].clone()).collect();
        let names: Vec<String> = definitions.iter().map(|field| quote(&field.name)).collect();
        let is_number: Vec<bool> = fields.iter().map(|index| numbers_of(entity, &table, *index).is_some()).collect();
        let known: Vec<(Field, bool)> = definitions.iter().cloned().zip(is_number).collect();
        let flags = FunctionFlags::SQLITE_UTF8 | FunctionFlags::SQLITE_DETERMINISTIC;
        connection.create_scalar_function("entrepot_kept", 2, flags, move |context| {
            let (cell, (field, is_number)) = (context.get_raw(0), &known[context.get::<usize>(1)?]);
            Ok(match as_kept(cell, field) {
                Ok(Some(Stored::Text(text))) => match &field.kind {
                    FieldKind::Enum { values } if *is_number => number_of(values, Cell::Text(&text)).map_or(Value::Null, Value::Integer),
                    _ => Value::Text(text),
                },
                Ok(Some(Stored::Integer(integer))) => Value::Integer(integer),
                // What is no value is equal to none.
                Ok(None) | Err(_) => Value::try_from(cell).unwrap_or(Value::Null),
            })
        })?;
        let differs = |(at, field): (usize, &Field)| {
            let name = &names[at];
            // As the column itself compares. What its type keeps as we do is not looked at one by one: an index shows the rest.
            let differs = format!("{name} IS NOT entrepot_kept({name}, {at})");
            match (table.affinity(&field.name), &field.kind) {
                (Affinity::Number | Affinity::Real, FieldKind::Integer | FieldKind::Boolean) => format!("({name} >= '' AND {differs})"),
                (Affinity::Text, FieldKind::String { .. }) => format!("({name} >= x'' AND {differs})"),
                _ => differs,
            }
        };
        let conditions: Vec<String> = definitions.iter().enumerate().map(differs).collect();
        let sql = format!("SELECT {} FROM {} WHERE {}", names.join(", "), quote(&entity.table), conditions.join(" OR "));
        let mut statement = connection.prepare(&sql)?;
        let mut rows = statement.query([])?;
        let marks: Vec<String> = (1..=2 * definitions.len()).map(|number| format!("?{number}")).collect();
        let note = format!("INSERT OR IGNORE INTO spelled VALUES ({})", marks.join(", "));
        let mut spelled = None;
        while let Some(row) = rows.next()? {
            let mut values = Vec::with_capacity(2 * definitions.len());
            for (at, field) in definitions.iter().enumerate() {
                let Ok(Some(kept)) = as_kept(row.get_ref(at)?, field) else { break };
                values.push(match kept {
                    Stored::Text(text) => Value::Text(text),
                    Stored::Integer(integer) => Value::Integer(integer),
                });
            }
            if values.len() < definitions.len() {
                continue;
            }
            for at in 0..definitions.len() {
                values.push(row.get(at)?);
            }
            let spelled = match &mut spelled {
                Some(spelled) => spelled,
                none => none.insert(Spelled::new(definitions.len())?),
            };
            spelled.kept.prepare_cached(&note)?.execute(rusqlite::params_from_iter(values))?;
        }
        Ok(spelled)
    }

    fn new(width: usize) -> rusqlite::Result<Spelled> {
        let list = |name: &str| (0..width).map(|at| format!("{name}{at}")).collect::<Vec<_>>().join(", ");
        let (ours, theirs) = (list("ours"), list("theirs"));
        // Without a name it is a file of SQLite's own; it is never committed, and goes with its connection.
        let kept = Connection::open("")?;
        kept.execute_batch(&format!(
            "PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF;
             CREATE TABLE spelled ({ours}, {theirs}, PRIMARY KEY ({ours}, {theirs})) WITHOUT ROWID; BEGIN"
        ))?;
        let same: Vec<String> = (0..width).map(|at| format!("ours{at} = ?{}", at + 1)).collect();
        Ok(Spelled { kept, sql: format!("SELECT {theirs} FROM spelled WHERE {}", same.join(" AND ")) })
    }

    fn of(&self, values: &[Cell<'_>]) -> rusqlite::Result<Vec<Vec<Value>>> {
        let mut statement = self.kept.prepare_cached(&self.sql)?;
        let rows = statement.query_map(rusqlite::params_from_iter(values), |row| (0..values.len()).map(|at| row.get(at)).collect())?;
        rows.collect()
    }
}
