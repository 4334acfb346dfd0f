//! What a load asks the database besides: values of other entities, rows that are referenced, and other rows of the table.

use std::collections::{HashMap, HashSet};

use rusqlite::{Connection, ToSql};

use super::cell::{Cell, as_kept};
use super::spelled::{Otherwise, Spellings};
use super::{found_for, quote};
use crate::document::value::{Stored, Wrong};
use crate::model::entity::{Entity, Field};
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
    /// A row with a value that is none of its field's type: the table is not ours.
    Wrong(Wrong),
}

/// A prepared look-up of a value by another, which remembers what it saw.
pub struct Finder<'a> {
    statement: rusqlite::Statement<'a>,
    otherwise: Otherwise<'a>,
    take: Field,
    found: HashMap<String, Looked>,
    /// By what each value was found, and what was found that is no value: of a row that changes only these may be others.
    by_value: HashMap<String, HashSet<String>>,
    others: HashSet<String>,
}

/// What is known of a row of the looked-up entity that is loaded by the load itself.
pub struct Change<'c> {
    /// What it is found by, where the load has that.
    pub find: Option<Cell<'c>>,
    /// What is taken from it, where the load has that.
    pub take: Option<Cell<'c>>,
    /// What is taken from a row never changes.
    pub take_is_key: bool,
    /// It is new.
    pub inserted: bool,
}

impl<'a> Finder<'a> {
    pub(super) fn prepare(
        connection: &'a Connection,
        spellings: &'a Spellings,
        entity: &'a Entity,
        find: usize,
        take: usize,
    ) -> Result<Finder<'a>, StoreError> {
        let table = found_for(connection, entity, "prepare a look-up")?;
        let (take, by) = (&entity.fields[take], quote(&entity.fields[find].name));
        let sql = format!("SELECT DISTINCT {} COLLATE BINARY FROM {} WHERE {by} = ?1", quote(&take.name), quote(&entity.table));
        let statement = connection.prepare(&sql).map_err(StoreError::sqlite("prepare a look-up"))?;
        let otherwise = Otherwise::new(connection, spellings, entity, &table, vec![find]);
        Ok(Finder { statement, otherwise, take: take.clone(), found: HashMap::new(), by_value: HashMap::new(), others: HashSet::new() })
    }

    /// Rows were loaded or taken back: what was seen may be another by now.
    pub fn forget(&mut self) {
        self.found.clear();
        self.by_value.clear();
        self.others.clear();
    }

    /// A row of the entity, which is one of ours, is new or changed: forgets what it may have made another, not all that was seen.
    pub fn forget_of(&mut self, change: &Change<'_>) {
        match (change.find, change.take) {
            // It is found by nothing; or by what it was, and the same is taken.
            (None, _) if change.inserted || change.take_is_key => return,
            (Some(_), Some(take)) if !change.inserted && change.take_is_key => {
                for text in self.by_value.remove(&take.text()).into_iter().flatten().chain(std::mem::take(&mut self.others)) {
                    self.found.remove(&text);
                }
            }
            (Some(_), _) if change.inserted => {}
            _ => return self.forget(),
        }
        if let Some(find) = change.find {
            self.found.remove(&find.text());
        }
    }

    /// What is found by this value.
    pub fn find(&mut self, key: Cell<'_>) -> Result<Looked, StoreError> {
        let text = key.text();
        if let Some(found) = self.found.get(&text) {
            return Ok(found.clone());
        }
        let ours = self.otherwise.ours(&[key])[0];
        let mut found = self.ask(ours, Looked::Nothing)?;
        for theirs in self.otherwise.of(&[key])? {
            found = self.ask(&theirs[0], found)?;
        }
        if self.found.len() < REMEMBERED_MAX {
            match &found {
                Looked::Value(value) => drop(self.by_value.entry(value.text()).or_default().insert(text.clone())),
                Looked::Nothing => {}
                _ => drop(self.others.insert(text.clone())),
            }
            self.found.insert(text, found.clone());
        }
        Ok(found)
    }

    /// What is found by a value in this spelling, beside what was found by others.
    fn ask(&mut self, key: impl ToSql, mut found: Looked) -> Result<Looked, StoreError> {
        let failed = StoreError::sqlite("look a value up");
        let mut rows = self.statement.query([key]).map_err(&failed)?;
        while let (true, Some(row)) = (found != Looked::Several, rows.next().map_err(&failed)?) {
            let next = match as_kept(row.get_ref(0).map_err(&failed)?, &self.take) {
                // A text without a character is blank, as it is in a document.
                Ok(value) => value.filter(|value| *value != Stored::Text(String::new())).map_or(Looked::Blank, Looked::Value),
                Err(wrong) => Looked::Wrong(wrong),
            };
            // 9.5 and '9.50' are one value.
            found = if found == Looked::Nothing || found == next { next } else { Looked::Several };
        }
        Ok(found)
    }
}

/// A prepared check that a referenced row exists, which remembers what it saw.
pub struct Reference<'a> {
    statement: rusqlite::Statement<'a>,
    otherwise: Otherwise<'a>,
    found: HashSet<String>,
    missing: HashSet<String>,
}

impl<'a> Reference<'a> {
    pub(super) fn prepare(connection: &'a Connection, spellings: &'a Spellings, entity: &'a Entity) -> Result<Reference<'a>, StoreError> {
        let table = found_for(connection, entity, "prepare a reference")?;
        let sql = format!("SELECT 1 FROM {} WHERE {}", quote(&entity.table), table.is_key(entity, entity.key[0], 1));
        let statement = connection.prepare(&sql).map_err(StoreError::sqlite("prepare a reference"))?;
        let otherwise = Otherwise::new(connection, spellings, entity, &table, vec![entity.key[0]]);
        Ok(Reference { statement, otherwise, found: HashSet::new(), missing: HashSet::new() })
    }

    /// Whether the row exists.
    pub fn exists(&mut self, key: Cell<'_>) -> Result<bool, StoreError> {
        let text = match key {
            Cell::Text(text) => text.to_owned(),
            Cell::Integer(value) => value.to_string(),
            Cell::Null | Cell::Blank => return Ok(true),
        };
        if self.found.contains(&text) {
            return Ok(true);
        }
        if self.missing.contains(&text) {
            return Ok(false);
        }
        let ours = self.otherwise.ours(&[key])[0];
        let found =
            self.statement.exists([ours]).map_err(StoreError::sqlite("look up a reference"))? || !self.otherwise.of(&[key])?.is_empty();
        let remembered = if found { &mut self.found } else { &mut self.missing };
        if remembered.len() < REMEMBERED_MAX {
            remembered.insert(text);
        }
        Ok(found)
    }

    /// Rows were taken back: what was seen may be gone.
    pub fn forget(&mut self) {
        self.found.clear();
        self.missing.clear();
    }

    /// A row was added: what was missing may exist now.
    pub fn forget_missing(&mut self) {
        self.missing.clear();
    }
}

/// A prepared question whether rows of the table have values that no two rows of a document may have.
pub struct Others<'a> {
    statement: rusqlite::Statement<'a>,
    otherwise: Otherwise<'a>,
    /// The key, where the values are not those of it: the row itself may have them.
    itself: Vec<Field>,
}

impl<'a> Others<'a> {
    pub(super) fn prepare(
        connection: &'a Connection,
        spellings: &'a Spellings,
        entity: &'a Entity,
        fields: &[usize],
    ) -> Result<Others<'a>, StoreError> {
        let table = found_for(connection, entity, "prepare a look at other rows")?;
        let itself: Vec<usize> = if fields == entity.key { Vec::new() } else { entity.key.clone() };
        let name = |index: &usize| quote(&entity.fields[*index].name);
        let same = |from: usize, fields: &[usize]| {
            let one = |(at, index): (usize, &usize)| match entity.key.contains(index) {
                true => table.is_key(entity, *index, from + at + 1),
                false => format!("{} = ?{}", name(index), from + at + 1),
            };
            fields.iter().enumerate().map(one).collect::<Vec<_>>().join(" AND ")
        };
        let key: Vec<String> = itself.iter().map(|index| format!(", {}", name(index))).collect();
        let is_itself = if itself.is_empty() { "0".to_owned() } else { same(fields.len(), &itself) };
        let sql = format!("SELECT {is_itself}{} FROM {} WHERE {}", key.concat(), quote(&entity.table), same(0, fields));
        let statement = connection.prepare(&sql).map_err(StoreError::sqlite("prepare a look at other rows"))?;
        let otherwise = Otherwise::new(connection, spellings, entity, &table, fields.to_vec());
        Ok(Others { statement, otherwise, itself: itself.iter().map(|index| entity.fields[*index].clone()).collect() })
    }

    /// Whether any but the row with this key has them, in whatever spelling.
    pub fn exist(&mut self, values: &[Cell<'_>], key: &[Cell<'_>]) -> Result<bool, StoreError> {
        let failed = StoreError::sqlite("look at other rows");
        let ours = self.otherwise.ours(values);
        if self.any(&ours, key).map_err(&failed)? {
            return Ok(true);
        }
        for theirs in self.otherwise.of(values)? {
            if self.any(&theirs, key).map_err(&failed)? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    fn any(&mut self, values: &[impl ToSql], key: &[Cell<'_>]) -> rusqlite::Result<bool> {
        let key = if self.itself.is_empty() { &[] } else { key };
        let all = values.iter().map(|value| value as &dyn ToSql).chain(key.iter().map(|cell| cell as &dyn ToSql));
        let mut rows = self.statement.query(rusqlite::params_from_iter(all))?;
        while let Some(row) = rows.next()? {
            let mut is_itself = !self.itself.is_empty();
            for (at, field) in self.itself.iter().enumerate() {
                is_itself &= as_kept(row.get_ref(at + 1)?, field).ok().flatten() == key[at].stored();
            }
            if !is_itself && row.get::<_, Option<bool>>(0)? != Some(true) {
                return Ok(true);
            }
        }
        Ok(false)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::entity::FieldKind;

    #[test]
    fn a_row_in_another_spelling_is_the_row_itself_and_no_other_one() {
        let connection = Connection::open_in_memory().unwrap();
        connection
            .execute_batch(
                "CREATE TABLE t (N TEXT, C TEXT COLLATE NOCASE, V); INSERT INTO t VALUES ('005', 'abc', 'v'), ('8', 'x', NULL), (NULL, NULL, 'w')",
            )
            .unwrap();
        let fields = ["N", "C", "V"].map(|name| Field { name: name.into(), ..Field::default() });
        let mut entity = Entity { table: "t".into(), fields: fields.to_vec(), ..Entity::default() };
        entity.fields[0].kind = FieldKind::Integer;
        let spellings = Spellings::default();
        for (key, own, other) in [(vec![0], Cell::Integer(5), Cell::Integer(6)), (vec![1], Cell::Text("ABC"), Cell::Text("abd"))] {
            entity.key = key;
            let mut others = Others::prepare(&connection, &spellings, &entity, &[2]).unwrap();
            let mut exist = |value: &str, key: Cell<'_>| others.exist(&[Cell::Text(value)], &[key]).unwrap();
            assert_eq!((exist("v", own), exist("v", other), exist("w", own), exist("y", own)), (false, true, true, false));
            let mut same_key = Others::prepare(&connection, &spellings, &entity, &entity.key).unwrap();
            assert_eq!((same_key.exist(&[own], &[own]).unwrap(), same_key.exist(&[other], &[other]).unwrap()), (true, false));
        }
    }

    #[test]
    fn values_that_a_column_calls_alike_are_several_to_a_look_up() {
        let connection = Connection::open_in_memory().unwrap();
        connection.execute_batch("CREATE TABLE t (K, P COLLATE NOCASE); INSERT INTO t VALUES ('a', 'x'), ('a', 'X')").unwrap();
        let fields = ["K", "P"].map(|name| Field { name: name.into(), ..Field::default() }).to_vec();
        let entity = Entity { table: "t".into(), fields, ..Entity::default() };
        let spellings = Spellings::default();
        let mut finder = Finder::prepare(&connection, &spellings, &entity, 0, 1).unwrap();
        assert_eq!(finder.find(Cell::Text("a")).unwrap(), Looked::Several);
    }

    #[test]
    fn a_look_up_gives_the_value_in_whatever_class_a_table_stores_it_or_says_what_is_wrong() {
        let connection = Connection::open_in_memory().unwrap();
        connection
            .execute_batch("CREATE TABLE t (K, P); INSERT INTO t VALUES ('a', 9.5), ('b', 9), ('c', '8.10'), ('d', x'FF'), ('e', NULL)")
            .unwrap();
        let field = |name: &str, kind| Field { name: name.into(), kind, ..Field::default() };
        let fields = vec![field("K", FieldKind::default()), field("P", FieldKind::Decimal { precision: 9, scale: 2 })];
        let entity = Entity { table: "t".into(), fields, ..Entity::default() };
        let spellings = Spellings::default();
        let mut finder = Finder::prepare(&connection, &spellings, &entity, 0, 1).unwrap();
        let mut find = |key: &str| finder.find(Cell::Text(key)).unwrap();
        for (key, expected) in [("a", "9.50"), ("b", "9.00"), ("c", "8.10")] {
            assert_eq!(find(key), Looked::Value(Stored::Text(expected.into())), "{key}");
        }
        assert_eq!((find("e"), find("f")), (Looked::Blank, Looked::Nothing));
        for _ in 0..2 {
            assert!(
                matches!(find("d"), Looked::Wrong(wrong) if wrong.message.contains("bytes that are no text")),
                "it is remembered as what it is"
            );
        }
    }
}
