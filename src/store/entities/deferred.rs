//! Foreign keys that a table judges only at the commit. Which rows of a load refer to nothing is asked before it, while it is known where they stand.

use rusqlite::{Connection, OptionalExtension, params};

use super::cell::as_kept;
use super::quote;
use super::upsert::Loaded;
use crate::model::entity::Entity;
use crate::store::StoreError;

/// So many rows that refer to nothing are told.
const TOLD_MAX: usize = 1000;

/// The rows of a load into a table that has such keys.
pub struct Deferred<'a> {
    connection: &'a Connection,
    entity: &'a Entity,
    rows: String,
    note: rusqlite::Statement<'a>,
    /// Fields of foreign keys that the document fills.
    filled: Vec<usize>,
}

/// A row that refers to nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dangling {
    /// Its number in the document.
    pub row: u64,
    /// Its line.
    pub line: u64,
    /// The table that it refers to.
    pub parent: String,
    /// The columns of the foreign key, and what they have.
    pub values: Vec<(String, String)>,
}

impl<'a> Deferred<'a> {
    /// Nothing when the table judges all at once. `columns` are those that the document fills; `part` tells the entities of a load apart.
    pub(super) fn prepare(
        connection: &'a Connection,
        entity: &'a Entity,
        columns: &[(usize, bool)],
        part: usize,
    ) -> Result<Option<Deferred<'a>>, StoreError> {
        let failed = StoreError::sqlite("look for foreign keys");
        let sql = "SELECT 1 FROM sqlite_schema WHERE type = 'table' AND name = ?1 COLLATE NOCASE AND sql LIKE '%deferr%'";
        let has = connection.query_row(sql, [&entity.table], |_| Ok(())).optional().map_err(&failed)?;
        if entity.is_managed() || has.is_none() {
            return Ok(None);
        }
        let from: Vec<String> = connection
            .prepare("SELECT \"from\" FROM pragma_foreign_key_list(?1)")
            .and_then(|mut statement| statement.query_map([&entity.table], |row| row.get(0))?.collect())
            .map_err(&failed)?;
        let is_of_key = |field: &usize| from.iter().any(|name| name.eq_ignore_ascii_case(&entity.fields[*field].name));
        let filled = columns.iter().map(|(field, _)| *field).filter(is_of_key).collect();
        let rows = format!("temp.entrepot_deferred_{part}");
        let make = format!(
            "DROP TABLE IF EXISTS {rows}; CREATE TABLE {rows} (key TEXT PRIMARY KEY, row INTEGER NOT NULL, line INTEGER NOT NULL) WITHOUT ROWID"
        );
        connection.execute_batch(&make).map_err(&failed)?;
        let note = connection.prepare(&format!("INSERT OR REPLACE INTO {rows} VALUES (?1, ?2, ?3)")).map_err(&failed)?;
        Ok(Some(Deferred { connection, entity, rows, note, filled }))
    }

    /// Whether a row that was loaded so is to be noted. What another one refers to was so before, and SQLite does not judge it.
    pub fn concerns(&self, loaded: &Loaded) -> bool {
        *loaded == Loaded::Inserted || *loaded == Loaded::Updated && !self.filled.is_empty()
    }

    /// The document has none of these fields.
    pub fn leave_out(&mut self, fields: &[usize]) {
        self.filled.retain(|field| !fields.contains(field));
    }

    /// A row was loaded under this key, the values of which are joined by `separator` for [`Deferred::dangling`].
    pub fn note(&mut self, key: &str, row: u64, line: u64) -> Result<(), StoreError> {
        self.note.execute(params![key, row, line]).map(|_| ()).map_err(StoreError::sqlite("note a row"))
    }

    /// The rows that refer to nothing now that all is loaded.
    pub fn dangling(&self, separator: &str) -> Result<Vec<Dangling>, StoreError> {
        self.judged(separator).map_err(StoreError::sqlite("look for rows that refer to nothing"))
    }

    fn judged(&self, separator: &str) -> rusqlite::Result<Vec<Dangling>> {
        let names = |fields: &mut dyn Iterator<Item = &str>| fields.map(quote).collect::<Vec<_>>().join(", ");
        let key = names(&mut self.entity.key.iter().map(|index| self.entity.fields[*index].name.as_str()));
        let mut noted = self.connection.prepare(&format!("SELECT row, line FROM {} WHERE key = ?1", self.rows))?;
        let mut judged = self.connection.prepare(
            "SELECT judged.rowid, judged.parent, group_concat(list.\"from\", char(31))
             FROM pragma_foreign_key_check(?1) AS judged JOIN pragma_foreign_key_list(?1) AS list ON list.id = judged.fkid
             WHERE judged.rowid IS NOT NULL GROUP BY judged.rowid, judged.fkid",
        )?;
        let (mut rows, mut dangling) = (judged.query([&self.entity.table])?, Vec::new());
        while let (true, Some(row)) = (dangling.len() < TOLD_MAX, rows.next()?) {
            let (rowid, parent, from): (i64, String, String) = (row.get(0)?, row.get(1)?, row.get(2)?);
            let columns: Vec<&str> = from.split('\u{1f}').collect();
            let texts: Vec<String> = columns.iter().map(|name| format!("CAST({} AS TEXT)", quote(name))).collect();
            let sql = format!("SELECT {key}, {} FROM {} WHERE rowid = ?1", texts.join(", "), quote(&self.entity.table));
            let (key, values) = self.connection.prepare_cached(&sql)?.query_row([rowid], |row| {
                let kept = self.entity.key.iter().enumerate().map(|(at, index)| {
                    let kept = as_kept(row.get_ref(at)?, &self.entity.fields[*index]).ok().flatten();
                    Ok(kept.map_or_else(String::new, |kept| kept.text()))
                });
                let key = kept.collect::<rusqlite::Result<Vec<_>>>()?.join(separator);
                let value = |(at, name): (usize, &&str)| Ok(((*name).to_owned(), row.get(self.entity.key.len() + at)?));
                Ok((key, columns.iter().enumerate().map(value).collect::<rusqlite::Result<Vec<_>>>()?))
            })?;
            // Rows that dangled before the load are none of it.
            let place = noted.query_row([&key], |row| Ok((row.get(0)?, row.get(1)?))).optional()?;
            dangling.extend(place.map(|(row, line)| Dangling { row, line, parent, values }));
        }
        dangling.sort_by_key(|dangling| dangling.row);
        Ok(dangling)
    }
}
