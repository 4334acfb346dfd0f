//! Values that no two rows of a document may have: those that it had before, in a temporary table that spills to disk.
//!
//! They are compared as the columns of the table compare: to one with `COLLATE NOCASE` Abc is abc, and so the second of the two is there already.

use std::borrow::Cow;

use rusqlite::{Connection, OptionalExtension, params};

use super::found;
use crate::model::entity::Entity;
use crate::store::StoreError;

/// Stands between the values of a key, which are noted as one.
pub const SEPARATOR: &str = "\u{1f}";

/// Values that were seen in the document.
pub struct Seen<'a> {
    add: rusqlite::Statement<'a>,
    first: rusqlite::Statement<'a>,
    /// For each value of a key what its column calls alike; nothing where all are exact.
    alike: Vec<Alike>,
}

/// What a column calls alike.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Alike {
    /// What is the same byte by byte.
    Same,
    /// Letters of ASCII in either case.
    Case,
    /// Texts with more or fewer blanks at their end.
    Blanks,
}

impl Alike {
    /// For each column of a value; nothing where all are exact.
    pub fn of_columns(connection: &Connection, entity: &Entity, fields: &[usize]) -> Result<Vec<Alike>, StoreError> {
        let table = found::of(connection, &entity.table).map_err(StoreError::sqlite("prepare a list of values"))?.unwrap_or_default();
        let compared = |index: &usize| match table.collation_of_key(entity, *index).filter(|_| fields == entity.key) {
            Some(collation) => Alike::of(collation),
            None => Alike::of(&found::collation(connection, &entity.table, &entity.fields[*index].name)),
        };
        let mut alike: Vec<Alike> = fields.iter().map(compared).collect();
        if alike.iter().all(|alike| *alike == Alike::Same) {
            alike.clear();
        }
        Ok(alike)
    }

    /// The one text that stands for all that the columns call alike.
    pub fn one<'v>(alike: &[Alike], value: &'v str) -> Cow<'v, str> {
        let Some(last) = alike.last() else { return Cow::Borrowed(value) };
        let parts = value.split(SEPARATOR).enumerate().map(|(at, part)| alike.get(at).unwrap_or(last).first(part));
        Cow::Owned(parts.collect::<Vec<_>>().join(SEPARATOR))
    }

    fn of(collation: &str) -> Alike {
        match collation {
            name if name.eq_ignore_ascii_case("NOCASE") => Alike::Case,
            name if name.eq_ignore_ascii_case("RTRIM") => Alike::Blanks,
            _ => Alike::Same,
        }
    }

    fn first(self, value: &str) -> Cow<'_, str> {
        match self {
            Alike::Same => Cow::Borrowed(value),
            Alike::Case => Cow::Owned(value.to_ascii_lowercase()),
            Alike::Blanks => Cow::Borrowed(value.trim_end_matches(' ')),
        }
    }
}

impl<'a> Seen<'a> {
    /// As [`super::writing::Writing::seen`] says.
    pub(super) fn prepare(
        connection: &'a Connection,
        entity: &Entity,
        fields: &[usize],
        list: &str,
        begins: bool,
    ) -> Result<Seen<'a>, StoreError> {
        let failed = StoreError::sqlite("prepare a list of values");
        let table = format!("temp.entrepot_seen_{list}");
        if begins {
            let make =
                format!("DROP TABLE IF EXISTS {table}; CREATE TABLE {table} (value TEXT PRIMARY KEY, row INTEGER NOT NULL) WITHOUT ROWID");
            connection.execute_batch(&make).map_err(&failed)?;
        }
        let add = connection.prepare(&format!("INSERT OR IGNORE INTO {table} VALUES (?1, ?2)")).map_err(&failed)?;
        let first = connection.prepare(&format!("SELECT row FROM {table} WHERE value = ?1")).map_err(&failed)?;
        Ok(Seen { add, first, alike: Alike::of_columns(connection, entity, fields)? })
    }

    /// Notes a value; the row that had it before, when one did.
    pub fn note(&mut self, value: &str, row: u64) -> Result<Option<u64>, StoreError> {
        let failed = StoreError::sqlite("note a value");
        if self.add.execute(params![Alike::one(&self.alike, value), row]).map_err(failed)? == 1 {
            return Ok(None);
        }
        self.had(value)
    }

    /// The row that has it, when one does.
    pub fn had(&mut self, value: &str) -> Result<Option<u64>, StoreError> {
        let found = self.first.query_row([Alike::one(&self.alike, value)], |found| found.get(0));
        found.optional().map_err(StoreError::sqlite("look for a value"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::entity::Field;

    #[test]
    fn values_are_alike_when_the_columns_of_the_table_call_them_so() {
        let connection = Connection::open_in_memory().unwrap();
        connection.execute_batch("CREATE TABLE t (A TEXT COLLATE NOCASE, B TEXT COLLATE RTRIM, C TEXT)").unwrap();
        let fields = ["A", "B", "C"].map(|name| Field { name: name.into(), ..Field::default() }).to_vec();
        let entity = Entity { table: "t".into(), fields, ..Entity::default() };
        for (fields, one, alike, other) in [
            (vec![0], "abc", "ABC", "abc "),
            (vec![1], "abc", "abc  ", "Abc"),
            (vec![2], "abc", "abc", "ABC"),
            (vec![0], "ä", "ä", "Ä"),
            (vec![2, 0, 1], "x\u{1f}abc\u{1f}z", "x\u{1f}aBc\u{1f}z ", "X\u{1f}abc\u{1f}z"),
        ] {
            let mut seen = Seen::prepare(&connection, &entity, &fields, "0", true).unwrap();
            let notes = [seen.note(one, 1).unwrap(), seen.note(alike, 2).unwrap(), seen.had(alike).unwrap(), seen.note(other, 3).unwrap()];
            assert_eq!(notes, [None, Some(1), Some(1), None], "{one} {alike} {other}");
        }
    }
}
