//! What a row that is there already keeps in the fields that a document leaves to it: rules hold for the row as it will be.

use rusqlite::{Connection, ToSql};

use super::cell::{Cell, as_kept};
use super::spelled::{Otherwise, Spellings};
use super::{found_for, quote};
use crate::document::value::{Stored, Wrong};
use crate::model::entity::{Entity, Field};
use crate::store::StoreError;

/// A value that a row keeps; what is wrong with it when it is none of its field's type: the table may not be ours.
pub type KeptValue = Result<Option<Stored>, Wrong>;

/// A prepared look at some fields of the row with a key.
pub struct Kept<'a> {
    statement: rusqlite::Statement<'a>,
    otherwise: Otherwise<'a>,
    fields: Vec<Field>,
}

impl<'a> Kept<'a> {
    pub(super) fn prepare(
        connection: &'a Connection,
        spellings: &'a Spellings,
        entity: &'a Entity,
        fields: &[usize],
    ) -> Result<Kept<'a>, StoreError> {
        let table = found_for(connection, entity, "prepare a look at what rows keep")?;
        let name = |index: &usize| quote(&entity.fields[*index].name);
        let same: Vec<String> = entity.key.iter().enumerate().map(|(at, index)| table.is_key(entity, *index, at + 1)).collect();
        let names: Vec<String> = fields.iter().map(name).collect();
        let sql = format!("SELECT {} FROM {} WHERE {}", names.join(", "), quote(&entity.table), same.join(" AND "));
        let statement = connection.prepare(&sql).map_err(StoreError::sqlite("prepare a look at what rows keep"))?;
        let otherwise = Otherwise::new(connection, spellings, entity, &table, entity.key.clone());
        Ok(Kept { statement, otherwise, fields: fields.iter().map(|index| entity.fields[*index].clone()).collect() })
    }

    /// What the row with this key has in the fields; nothing when there is none.
    pub fn of(&mut self, key: &[Cell<'_>]) -> Result<Option<Vec<KeptValue>>, StoreError> {
        let ours = self.otherwise.ours(key);
        let found = self.look(ours.iter())?;
        match (found, self.otherwise.of(key)?.first()) {
            (None, Some(theirs)) => self.look(theirs.iter()),
            (found, _) => Ok(found),
        }
    }

    fn look(&mut self, key: impl Iterator<Item = impl ToSql>) -> Result<Option<Vec<KeptValue>>, StoreError> {
        let failed = StoreError::sqlite("look at what a row keeps");
        let mut rows = self.statement.query(rusqlite::params_from_iter(key)).map_err(&failed)?;
        let Some(row) = rows.next().map_err(&failed)? else { return Ok(None) };
        let mut values = Vec::with_capacity(self.fields.len());
        for (at, field) in self.fields.iter().enumerate() {
            // A text without a character is blank, as it is in a document.
            let value = as_kept(row.get_ref(at).map_err(&failed)?, field);
            values.push(value.map(|value| value.filter(|value| *value != Stored::Text(String::new()))));
        }
        Ok(Some(values))
    }
}
