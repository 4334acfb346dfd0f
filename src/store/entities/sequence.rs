//! Number sequences: each counts for one entity and pattern, in the load's own transaction, so that a load that is taken back leaves no gap.

use rusqlite::{Connection, OptionalExtension};

use super::cell::Cell;
use super::{found_for, quote};
use crate::document::mapping::number_sequence::fill;
use crate::model::entity::Entity;
use crate::store::StoreError;

/// The sequence that fills a field of an entity.
pub struct Sequence<'a> {
    connection: &'a Connection,
    pattern: &'a str,
    counter: String,
    /// The field's place in the key, when it is of the key.
    in_key: Option<usize>,
    /// What the field has in the row of a key.
    there: rusqlite::Statement<'a>,
}

/// What a sequence gives to a row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Numbered {
    /// A number that is taken now. It is to be given back when the row is refused.
    New(String),
    /// What the row has already stays.
    Kept(String),
}

impl Numbered {
    /// The value.
    pub fn text(&self) -> &str {
        match self {
            Numbered::New(text) | Numbered::Kept(text) => text,
        }
    }
}

impl<'a> Sequence<'a> {
    pub(super) fn prepare(connection: &'a Connection, entity: &Entity, field: usize, pattern: &'a str) -> Result<Sequence<'a>, StoreError> {
        found_for(connection, entity, "prepare a number sequence")?;
        let name = |index: usize| quote(&entity.fields[index].name);
        let same: Vec<String> = entity.key.iter().enumerate().map(|(at, index)| format!("{} = ?{}", name(*index), at + 1)).collect();
        let sql = format!("SELECT CAST({} AS TEXT) FROM {} WHERE {}", name(field), quote(&entity.table), same.join(" AND "));
        let there = connection.prepare(&sql).map_err(StoreError::sqlite("prepare a number sequence"))?;
        let in_key = entity.key.iter().position(|index| *index == field);
        Ok(Sequence { connection, pattern, counter: format!("{}: {pattern}", entity.name), in_key, there })
    }

    /// The number of the row with this key. A row that has one keeps it; numbers that rows of the table have already are passed over.
    pub fn number(&mut self, key: &[Cell<'_>]) -> Result<Numbered, StoreError> {
        let failed = StoreError::sqlite("look for a number");
        let Some(at) = self.in_key else {
            let kept: Option<Option<String>> =
                self.there.query_row(rusqlite::params_from_iter(key), |row| row.get(0)).optional().map_err(&failed)?;
            return match kept.flatten().filter(|kept| !kept.is_empty()) {
                Some(kept) => Ok(Numbered::Kept(kept)),
                None => self.next().map(Numbered::New),
            };
        };
        loop {
            let text = self.next()?;
            let cells = key.iter().enumerate().map(|(place, cell)| if place == at { Cell::Text(&text) } else { *cell });
            if !self.there.exists(rusqlite::params_from_iter(cells)).map_err(&failed)? {
                return Ok(Numbered::New(text));
            }
        }
    }

    fn next(&self) -> Result<String, StoreError> {
        // Sequences were once counted for a pattern alone: what such a counter gave is not given again.
        let number: u64 = self
            .connection
            .prepare_cached(
                "INSERT INTO entrepot_sequence VALUES (?1, coalesce((SELECT next FROM entrepot_sequence WHERE pattern = ?2), 1) + 1)
                 ON CONFLICT (pattern) DO UPDATE SET next = next + 1 RETURNING next - 1",
            )
            .and_then(|mut statement| statement.query_row([&self.counter, self.pattern], |row| row.get(0)))
            .map_err(StoreError::sqlite("take a number"))?;
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
