//! Refused records of a document, kept to its end in temporary tables that spill to disk: only then is it known whether a later row with the key of one was
//! loaded, which its reason has to say.

use std::sync::Arc;

use rusqlite::{Connection, OptionalExtension, params};

use super::seen::Alike;
use crate::document::record::Frame;
use crate::model::entity::Entity;
use crate::store::StoreError;

/// A refused record.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Held {
    /// Its number in the document, from 1.
    pub row: u64,
    /// The line it began on.
    pub line: u64,
    /// Its exact text.
    pub raw: Vec<u8>,
    /// The elements it stood in.
    pub frames: Option<Arc<Vec<Frame>>>,
    /// Why it is refused.
    pub reason: String,
    /// For its length, among others.
    pub misfit: bool,
    /// A later row of the document that was loaded under the key of it, or of a row in it.
    pub newer: Option<u64>,
}

/// The refused records of a load, in order.
pub struct Refusals<'a> {
    connection: &'a Connection,
    add: rusqlite::Statement<'a>,
    frame: rusqlite::Statement<'a>,
    /// How many are kept.
    frames: u64,
    /// Those of the last record, with their numbers in the table: records that stand together have most of them in common.
    last: Vec<(u64, Frame)>,
}

impl<'a> Refusals<'a> {
    pub(super) fn prepare(connection: &'a Connection) -> Result<Refusals<'a>, StoreError> {
        let failed = StoreError::sqlite("prepare for refused rows");
        // None has a rowid: an upsert knows by the last one whether its own row is new.
        connection
            .execute_batch(
                "DROP TABLE IF EXISTS temp.entrepot_held; DROP TABLE IF EXISTS temp.entrepot_frame; DROP TABLE IF EXISTS temp.entrepot_held_key;
                 CREATE TABLE temp.entrepot_held (row INTEGER PRIMARY KEY, line INTEGER NOT NULL, raw BLOB NOT NULL, frames TEXT,
                   reason TEXT NOT NULL, misfit INTEGER NOT NULL, newer INTEGER) WITHOUT ROWID;
                 CREATE TABLE temp.entrepot_frame (id INTEGER PRIMARY KEY, number INTEGER NOT NULL, before TEXT NOT NULL, link TEXT NOT NULL,
                   after TEXT NOT NULL) WITHOUT ROWID;
                 CREATE TABLE temp.entrepot_held_key (list INTEGER, key TEXT, row INTEGER, PRIMARY KEY (list, key, row)) WITHOUT ROWID",
            )
            .map_err(&failed)?;
        let prepare = |sql: &str| connection.prepare(sql).map_err(&failed);
        Ok(Refusals {
            connection,
            add: prepare("INSERT OR REPLACE INTO temp.entrepot_held VALUES (?1, ?2, ?3, ?4, ?5, ?6, NULL)")?,
            frame: prepare("INSERT INTO temp.entrepot_frame VALUES (?1, ?2, ?3, ?4, ?5)")?,
            frames: 0,
            last: Vec::new(),
        })
    }

    /// Keeps a record.
    pub fn add(
        &mut self,
        row: u64,
        line: u64,
        raw: &[u8],
        frames: Option<&Arc<Vec<Frame>>>,
        reason: &str,
        misfit: bool,
    ) -> Result<(), StoreError> {
        let failed = StoreError::sqlite("keep a refused row");
        let mut ids = None;
        if let Some(frames) = frames {
            let same = self.last.iter().zip(frames.iter()).take_while(|((_, one), other)| one == *other).count();
            self.last.truncate(same);
            for frame in &frames[same..] {
                self.frames += 1;
                self.frame.execute(params![self.frames, frame.number, frame.before, frame.link, frame.after]).map_err(&failed)?;
                self.last.push((self.frames, frame.clone()));
            }
            ids = Some(self.last.iter().map(|(id, _)| id.to_string()).collect::<Vec<_>>().join(","));
        }
        self.add.execute(params![row, line, raw, ids, reason, misfit]).map(drop).map_err(&failed)
    }

    /// Gives them all, in the order of the document.
    pub fn each<E: From<StoreError>>(&self, mut take: impl FnMut(Held) -> Result<(), E>) -> Result<(), E> {
        let failed = StoreError::sqlite("read the refused rows");
        let mut all = self
            .connection
            .prepare("SELECT row, line, raw, frames, reason, misfit, newer FROM temp.entrepot_held ORDER BY row")
            .map_err(&failed)?;
        let mut rows = all.query([]).map_err(&failed)?;
        let mut last: Option<(String, Arc<Vec<Frame>>)> = None;
        while let Some(row) = rows.next().map_err(&failed)? {
            let ids: Option<String> = row.get(3).map_err(&failed)?;
            if last.as_ref().map(|(known, _)| known) != ids.as_ref() {
                last = ids.map(|ids| self.frames(&ids).map(|frames| (ids, Arc::new(frames)))).transpose().map_err(&failed)?;
            }
            let read = || {
                Ok(Held {
                    row: row.get(0)?,
                    line: row.get(1)?,
                    raw: row.get(2)?,
                    frames: last.as_ref().map(|(_, frames)| frames.clone()),
                    reason: row.get(4)?,
                    misfit: row.get(5)?,
                    newer: row.get(6)?,
                })
            };
            take(read().map_err(&failed)?)?;
        }
        Ok(())
    }

    fn frames(&self, ids: &str) -> rusqlite::Result<Vec<Frame>> {
        let mut frame = self.connection.prepare_cached("SELECT number, before, link, after FROM temp.entrepot_frame WHERE id = ?1")?;
        let read = |row: &rusqlite::Row<'_>| Ok(Frame { number: row.get(0)?, before: row.get(1)?, link: row.get(2)?, after: row.get(3)? });
        ids.split(',').filter(|id| !id.is_empty()).map(|id| frame.query_row([id], read)).collect()
    }
}

/// The keys of refused rows of an entity.
pub struct RefusedKeys<'a> {
    list: usize,
    add: rusqlite::Statement<'a>,
    has: rusqlite::Statement<'a>,
    newer: rusqlite::Statement<'a>,
    forget: rusqlite::Statement<'a>,
    alike: Vec<Alike>,
}

impl<'a> RefusedKeys<'a> {
    /// As [`super::writing::Writing::refused_keys`] says.
    pub(super) fn prepare(connection: &'a Connection, entity: &Entity, list: usize) -> Result<RefusedKeys<'a>, StoreError> {
        let failed = StoreError::sqlite("prepare the keys of refused rows");
        let prepare = |sql: &str| connection.prepare(sql).map_err(&failed);
        Ok(RefusedKeys {
            list,
            add: prepare("INSERT OR IGNORE INTO temp.entrepot_held_key VALUES (?1, ?2, ?3)")?,
            has: prepare("SELECT 1 FROM temp.entrepot_held_key WHERE list = ?1 AND key = ?2")?,
            newer: prepare(
                "UPDATE temp.entrepot_held SET newer = ?3
                 WHERE row IN (SELECT row FROM temp.entrepot_held_key WHERE list = ?1 AND key = ?2)",
            )?,
            forget: prepare("DELETE FROM temp.entrepot_held_key WHERE list = ?1 AND key = ?2")?,
            alike: Alike::of_columns(connection, entity, &entity.key)?,
        })
    }

    /// Notes the key of a refused row.
    pub fn note(&mut self, key: &str, row: u64) -> Result<(), StoreError> {
        let key = Alike::one(&self.alike, key);
        self.add.execute(params![self.list, key, row]).map(drop).map_err(StoreError::sqlite("note the key of a refused row"))
    }

    /// Whether a refused row has it.
    pub fn has(&mut self, key: &str) -> Result<bool, StoreError> {
        let found = self.has.query_row(params![self.list, Alike::one(&self.alike, key)], |_| Ok(()));
        found.optional().map(|found| found.is_some()).map_err(StoreError::sqlite("look for the key of a refused row"))
    }

    /// A row was loaded under this key: those that were refused before are older. They are marked once, however many come: the key is the table's now.
    pub fn loaded(&mut self, key: &str, row: u64) -> Result<(), StoreError> {
        if self.has(key)? {
            let (failed, key) = (StoreError::sqlite("note a newer row"), Alike::one(&self.alike, key));
            self.newer.execute(params![self.list, key, row]).map_err(&failed)?;
            self.forget.execute(params![self.list, key]).map_err(&failed)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refused_rows_come_back_in_order_as_they_were_and_those_that_are_older_know_it() {
        let connection = Connection::open_in_memory().unwrap();
        connection.execute_batch("CREATE TABLE t (K TEXT COLLATE NOCASE PRIMARY KEY)").unwrap();
        let field = crate::model::entity::Field { name: "K".into(), ..Default::default() };
        let entity = Entity { table: "t".into(), fields: vec![field], key: vec![0], ..Entity::default() };
        let mut refusals = Refusals::prepare(&connection).unwrap();
        let mut keys = RefusedKeys::prepare(&connection, &entity, 0).unwrap();
        let mut other = RefusedKeys::prepare(&connection, &entity, 1).unwrap();
        let frame = |number, after: &str| Frame { number, before: format!("<{number}>"), link: String::new(), after: after.into() };
        let frames = [None, Some(vec![]), Some(vec![frame(1, "x"), frame(2, "y")]), Some(vec![frame(1, "x"), frame(3, "y")])];
        let mut all = Vec::new();
        for (row, frames) in (1..).zip(frames) {
            let raw = vec![row as u8, 0xFF];
            let held = Held { row, line: row + 10, raw, frames: frames.map(Arc::new), reason: format!("r{row}"), ..Held::default() };
            refusals.add(row, held.line, &held.raw, held.frames.as_ref(), &held.reason, held.misfit).unwrap();
            keys.note(if row < 3 { "abc" } else { "d" }, row).unwrap();
            all.push(held);
        }
        other.loaded("d", 8).unwrap();
        keys.loaded("ABC", 9).unwrap();
        assert_eq!((keys.has("D").unwrap(), keys.has("e").unwrap(), keys.has("abc").unwrap()), (true, false, false));
        all[..2].iter_mut().for_each(|held| held.newer = Some(9));
        let mut found = Vec::new();
        let mut take = |held| {
            found.push(held);
            Ok::<(), StoreError>(())
        };
        refusals.each(&mut take).unwrap();
        assert_eq!(found, all);
    }
}
