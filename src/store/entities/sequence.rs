//! Number sequences: each counts for one table and pattern, in the load's own transaction, so that a load that is taken back leaves no gap.

use rusqlite::{Connection, OptionalExtension, params};

use super::cell::{Cell, as_kept};
use super::spelled::{Otherwise, Spellings};
use super::{found_for, quote};
use crate::document::mapping::number_sequence::fill;
use crate::document::value::{self, Reading, Stored, Wrong};
use crate::model::entity::{Entity, Field};
use crate::store::StoreError;

/// The sequence that fills a field of an entity.
pub struct Sequence<'a> {
    connection: &'a Connection,
    pattern: &'a str,
    field: &'a Field,
    counter: String,
    /// As it was counted before.
    earlier: String,
    /// The field's place in the key, when it is of the key.
    in_key: Option<usize>,
    /// What the field has in the row of a key.
    there: rusqlite::Statement<'a>,
    otherwise: Otherwise<'a>,
    /// Whether a row has a number, where the table takes each once.
    has: Option<(rusqlite::Statement<'a>, Otherwise<'a>)>,
}

/// What a sequence gives to a row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Numbered {
    /// A number that is taken now. It is to be given back when the row is refused.
    New(Stored),
    /// What the row has already stays.
    Kept(Stored),
}

impl Numbered {
    /// The value.
    pub fn value(&self) -> &Stored {
        match self {
            Numbered::New(value) | Numbered::Kept(value) => value,
        }
    }
}

impl<'a> Sequence<'a> {
    pub(super) fn prepare(
        connection: &'a Connection,
        spellings: &'a Spellings,
        entity: &'a Entity,
        field: usize,
        pattern: &'a str,
    ) -> Result<Sequence<'a>, StoreError> {
        const PREPARE: &str = "prepare a number sequence";
        let found = found_for(connection, entity, PREPARE)?;
        let (name, table) = (|index: usize| quote(&entity.fields[index].name), quote(&entity.table));
        let same: Vec<String> = entity.key.iter().enumerate().map(|(at, index)| found.is_key(entity, *index, at + 1)).collect();
        let prepare = |sql: String| connection.prepare(&sql).map_err(StoreError::sqlite(PREPARE));
        let there = prepare(format!("SELECT {} FROM {table} WHERE {}", name(field), same.join(" AND ")))?;
        let in_key = entity.key.iter().position(|index| *index == field);
        let alone = |key: &Vec<String>| matches!(key.as_slice(), [one] if one.eq_ignore_ascii_case(&entity.fields[field].name));
        let once = in_key.is_none() && found.keys.iter().any(alone);
        let has = once.then(|| prepare(format!("SELECT 1 FROM {table} WHERE {} = ?1", name(field)))).transpose()?;
        let has = has.map(|has| (has, Otherwise::new(connection, spellings, entity, &found, vec![field])));
        Ok(Sequence {
            connection,
            pattern,
            field: &entity.fields[field],
            counter: format!("table {}: {pattern}", entity.table),
            earlier: format!("{}: {pattern}", entity.name),
            in_key,
            there,
            otherwise: Otherwise::new(connection, spellings, entity, &found, entity.key.clone()),
            has,
        })
    }

    /// The number of the row with this key. A row that has one keeps it. Passed over are numbers that rows of the table have where it takes each once, and
    /// those that `had` knows. `Err` inside: what is wrong with the number, which is not taken.
    pub fn number(
        &mut self,
        key: &[Cell<'_>],
        mut had: impl FnMut(&Stored) -> Result<bool, StoreError>,
    ) -> Result<Result<Numbered, Wrong>, StoreError> {
        if self.in_key.is_none()
            && let Some(kept) = self.kept(key)?
        {
            return Ok(kept.map(Numbered::Kept));
        }
        loop {
            let text = self.next()?;
            let value = match value::parse(self.field, &text, &Reading::default().of_plain()) {
                Ok(value) => value,
                Err(wrong) => {
                    self.give_back()?;
                    return Ok(Err(Wrong { message: format!("the next number, {text}: {}", wrong.message), ..wrong }));
                }
            };
            let is_there = match self.in_key {
                Some(at) => {
                    let cells: Vec<Cell<'_>> =
                        key.iter().enumerate().map(|(place, cell)| if place == at { Cell::from(&value) } else { *cell }).collect();
                    let failed = StoreError::sqlite("look for a number");
                    self.there.exists(rusqlite::params_from_iter(self.otherwise.ours(&cells).iter())).map_err(failed)?
                        || !self.otherwise.of(&cells)?.is_empty()
                }
                None => match &mut self.has {
                    Some((has, otherwise)) => {
                        let cell = Cell::from(&value);
                        has.exists([cell]).map_err(StoreError::sqlite("look for a number"))? || !otherwise.of(&[cell])?.is_empty()
                    }
                    None => false,
                },
            };
            if !is_there && !had(&value)? {
                return Ok(Ok(Numbered::New(value)));
            }
        }
    }

    /// What the field has in the row with this key; nothing where there is no such row, or no value.
    fn kept(&mut self, key: &[Cell<'_>]) -> Result<Option<Result<Stored, Wrong>>, StoreError> {
        let failed = StoreError::sqlite("look for a number");
        let field = self.field;
        let read = |row: &rusqlite::Row<'_>| Ok(as_kept(row.get_ref(0)?, field));
        let ours = self.otherwise.ours(key);
        let mut found = self.there.query_row(rusqlite::params_from_iter(ours.iter()), read).optional().map_err(&failed)?;
        if found.is_none()
            && let Some(theirs) = self.otherwise.of(key)?.first()
        {
            found = self.there.query_row(rusqlite::params_from_iter(theirs), read).optional().map_err(&failed)?;
        }
        Ok(found.and_then(Result::transpose).filter(|kept| !kept.as_ref().is_ok_and(|kept| kept.text().is_empty())))
    }

    fn next(&self) -> Result<String, StoreError> {
        let last = self.connection.last_insert_rowid();
        // Sequences were once counted for an entity's name, and before that for a pattern alone: what such a counter gave is not given again.
        let number: u64 = self
            .connection
            .prepare_cached(
                "INSERT INTO entrepot_sequence VALUES (?1, 1 + coalesce((SELECT next FROM entrepot_sequence WHERE pattern = ?2),
                   (SELECT next FROM entrepot_sequence WHERE pattern = ?3), 1))
                 ON CONFLICT (pattern) DO UPDATE SET next = next + 1 RETURNING next - 1",
            )
            .and_then(|mut statement| statement.query_row(params![self.counter, self.earlier, self.pattern], |row| row.get(0)))
            .map_err(StoreError::sqlite("take a number"))?;
        if self.connection.last_insert_rowid() != last {
            // The first number made a row: an upsert knows by the last rowid whether its own row is new.
            self.connection
                .prepare_cached("INSERT OR REPLACE INTO temp.entrepot_row VALUES (?1)")
                .and_then(|mut statement| statement.execute([last]))
                .map_err(StoreError::sqlite("take a number"))?;
        }
        Ok(fill(self.pattern, number))
    }

    /// Gives the number taken last back: the row that it was taken for was refused.
    pub fn give_back(&self) -> Result<(), StoreError> {
        self.connection
            .prepare_cached("UPDATE entrepot_sequence SET next = next - 1 WHERE pattern = ?1")
            .and_then(|mut statement| statement.execute([&self.counter]))
            .map(|_| ())
            .map_err(StoreError::sqlite("give a number back"))
    }
}
