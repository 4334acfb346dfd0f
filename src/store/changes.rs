//! Change tracking in an entity's database: triggers note the key of every row that is inserted, changed or deleted, whoever does it.
//!
//! The notes of a table are a log that is only appended to, so that a load pays little for it. Each carries the epoch in which it was made. An export
//! ends the epoch first and then reads: what changes afterwards belongs to the next. A table is tracked from its first incremental export on, which holds
//! everything; loads before that pay nothing.
//!
//! Each epoch of a table has a mark, a number made by chance that is kept here and with the watermark. A database that lacks the mark of the epoch up to
//! which a consumer has the changes is not the one that they came from: an older copy was put back, or it is another file. What it did since is not in
//! its log under the epochs that follow, and so the consumer begins anew.

use rusqlite::{Connection, OptionalExtension, params};

use super::entities::{Entities, quote};
use super::increments::Reached;
use super::{Cause, StoreError};
use crate::model::entity::Entity;

/// The changes that an export reads: those of the epochs after one and up to another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Range {
    /// The epoch before the first; 0 for all rows, changed or not.
    pub after: u64,
    /// The last epoch.
    pub epoch: u64,
    /// Its mark.
    pub mark: i64,
}

impl Range {
    /// Whether it is all rows.
    pub fn is_full(&self) -> bool {
        self.after == 0
    }
}

/// The log of an entity's changes, quoted.
pub(super) fn log_of(entity: &Entity) -> String {
    quote(&format!("entrepot_changes_{}", entity.table))
}

/// Ends the epoch of an entity's database for an export, and begins to track the entity if that is not so yet. `needless` is the epoch up to which
/// nobody needs the log. Besides the changes: why a consumer that has changes begins anew.
pub fn end_epoch(
    entities: &Entities,
    entity: &Entity,
    reached: &Reached,
    needless: u64,
) -> Result<(Range, Option<&'static str>), StoreError> {
    let nothing = (Range { after: 0, epoch: 0, mark: 0 }, (reached.epoch > 0).then_some("its table is gone"));
    let failed = StoreError::sqlite("track the entity's changes");
    let Some((mut connection, _guard)) = entities.tracker(entity)? else {
        // Nothing was ever loaded: there is nothing to track, and whoever exports now has everything.
        return Ok(nothing);
    };
    let transaction = connection.transaction_with_behavior(rusqlite::TransactionBehavior::Immediate).map_err(&failed)?;
    let kind: Option<String> = transaction
        .query_row("SELECT type FROM pragma_table_list(?1) WHERE schema = 'main'", [&entity.table], |row| row.get(0))
        .optional()
        .map_err(&failed)?;
    match kind.as_deref() {
        None => return Ok(nothing),
        Some("table") => {}
        Some(other) => {
            let what = format!("\"{}\" is a {other}: only a table's changes can be tracked, write refresh = \"full\"", entity.table);
            return Err(StoreError { operation: "track the entity's changes", cause: Cause::Damaged(what) });
        }
    }
    transaction
        .execute_batch(
            "CREATE TABLE IF NOT EXISTS entrepot_epoch (number INTEGER NOT NULL);
             INSERT INTO entrepot_epoch SELECT 1 WHERE NOT EXISTS (SELECT 1 FROM entrepot_epoch);
             CREATE TABLE IF NOT EXISTS entrepot_tracked (name TEXT PRIMARY KEY, forgotten INTEGER NOT NULL);
             CREATE TABLE IF NOT EXISTS entrepot_mark (name TEXT NOT NULL, epoch INTEGER NOT NULL, mark INTEGER NOT NULL, PRIMARY KEY (name, epoch))
               WITHOUT ROWID;",
        )
        .map_err(&failed)?;
    let tracked = is_tracked(&transaction, entity).map_err(&failed)?;
    if !tracked {
        track(&transaction, entity).map_err(&failed)?;
    }
    let epoch: u64 = transaction
        .query_row("UPDATE entrepot_epoch SET number = number + 1 RETURNING number - 1", [], |row| row.get(0))
        .map_err(&failed)?;
    let marked: Option<i64> = transaction
        .query_row("SELECT mark FROM entrepot_mark WHERE name = ?1 AND epoch = ?2", params![entity.table, reached.epoch], |row| row.get(0))
        .optional()
        .map_err(&failed)?;
    let anew = match () {
        () if reached.epoch == 0 => None,
        () if !tracked => Some("its table, or what tracks changes in it, is another one than before"),
        () if marked.is_none() || marked != reached.mark => {
            Some("its database is another one than at the last export, or an older copy of it")
        }
        () => None,
    };
    let known = reached.epoch > 0 && anew.is_none();
    // Epochs of another database say nothing of this one's log.
    let needless = if known { needless } else { 0 };
    let forgotten: u64 = transaction
        .query_row(
            "INSERT INTO entrepot_tracked VALUES (?1, ?2) ON CONFLICT DO UPDATE SET forgotten = max(forgotten, excluded.forgotten) RETURNING forgotten",
            params![entity.table, needless],
            |row| row.get(0),
        )
        .map_err(&failed)?;
    transaction.execute(&format!("DELETE FROM {} WHERE epoch <= ?1", log_of(entity)), [needless]).map_err(&failed)?;
    transaction.execute("DELETE FROM entrepot_mark WHERE name = ?1 AND epoch < ?2", params![entity.table, needless]).map_err(&failed)?;
    let mark: i64 = transaction
        .query_row("INSERT OR REPLACE INTO entrepot_mark VALUES (?1, ?2, random()) RETURNING mark", params![entity.table, epoch], |row| {
            row.get(0)
        })
        .map_err(&failed)?;
    transaction.commit().map_err(&failed)?;
    // Who is behind what is forgotten was long away.
    let (after, anew) = match known && reached.epoch >= forgotten {
        true => (reached.epoch, None),
        false => (0, anew.or((reached.epoch > 0).then_some("the log of changes does not reach back so far"))),
    };
    Ok((Range { after, epoch, mark }, anew))
}

fn key_columns(entity: &Entity) -> Vec<&str> {
    entity.key.iter().map(|index| entity.fields[*index].name.as_str()).collect()
}

fn is_tracked(connection: &Connection, entity: &Entity) -> rusqlite::Result<bool> {
    let log = format!("entrepot_changes_{}", entity.table);
    let columns: Vec<String> = connection
        .prepare("SELECT name FROM pragma_table_info(?1) ORDER BY cid")?
        .query_map([&log], |row| row.get(0))?
        .collect::<rusqlite::Result<_>>()?;
    let expected = ["epoch"].into_iter().chain(key_columns(entity));
    let triggers: u32 = connection.query_row(
        "SELECT count(*) FROM sqlite_schema WHERE type = 'trigger' AND tbl_name = ?1 COLLATE NOCASE AND name LIKE 'entrepot\\_changes\\_%' ESCAPE '\\'",
        [&entity.table],
        |row| row.get(0),
    )?;
    Ok(triggers == 3 && columns.iter().map(String::as_str).eq(expected))
}

/// Makes the log and its triggers; what is left of earlier ones goes.
fn track(connection: &Connection, entity: &Entity) -> rusqlite::Result<()> {
    let (log, table) = (log_of(entity), quote(&entity.table));
    let key: Vec<String> = key_columns(entity).into_iter().map(quote).collect();
    let trigger = |event: &str| quote(&format!("entrepot_changes_{}_{event}", entity.table));
    let note = |row: &str| {
        let values: Vec<String> = key.iter().map(|column| format!("{row}.{column}")).collect();
        format!("INSERT INTO {log} (epoch, {}) VALUES ((SELECT number FROM entrepot_epoch), {});", key.join(", "), values.join(", "))
    };
    let moved: Vec<String> = key.iter().map(|column| format!("old.{column} IS NOT new.{column}")).collect();
    let values: Vec<String> = key.iter().map(|column| format!("old.{column}")).collect();
    let note_moved = format!(
        "INSERT INTO {log} (epoch, {}) SELECT (SELECT number FROM entrepot_epoch), {} WHERE {};",
        key.join(", "),
        values.join(", "),
        moved.join(" OR ")
    );
    let mut script = format!("DROP TABLE IF EXISTS {log}; CREATE TABLE {log} (epoch INTEGER NOT NULL, {});", key.join(", "));
    for (event, notes) in [("insert", note("new")), ("update", format!("{note_moved} {}", note("new"))), ("delete", note("old"))] {
        let name = trigger(event);
        script.push_str(&format!(
            "DROP TRIGGER IF EXISTS {name}; CREATE TRIGGER {name} AFTER {} ON {table} BEGIN {notes} END;",
            event.to_uppercase()
        ));
    }
    connection.execute_batch(&script)?;
    connection.execute("DELETE FROM entrepot_mark WHERE name = ?1", [&entity.table])?;
    connection.execute("DELETE FROM entrepot_tracked WHERE name = ?1", [&entity.table]).map(|_| ())
}
