//! Change tracking in an entity's database: triggers note the key of every row that is inserted, changed or deleted, whoever does it.
//!
//! The notes of a table are a log that is only appended to, so that a load pays little for it. Each carries the epoch in which it was made. An export
//! ends the epoch first and then reads: what changes afterwards belongs to the next. A table is tracked from its first incremental export on, which holds
//! everything; loads before that pay nothing.

use rusqlite::{Connection, OptionalExtension};

use super::entities::{Entities, quote};
use super::{Cause, StoreError};
use crate::model::entity::Entity;

/// The changes that an export reads: those of the epochs after one and up to another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Range {
    /// The epoch before the first; 0 for all rows, changed or not.
    pub after: u64,
    /// The last epoch.
    pub epoch: u64,
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

/// Ends the epoch of an entity's database for an export, and begins to track the entity if that is not so yet. `after` is the epoch up to which the
/// consumer has the changes, `needless` the one up to which nobody needs the log.
pub fn end_epoch(entities: &Entities, entity: &Entity, after: u64, needless: u64) -> Result<Range, StoreError> {
    let failed = StoreError::sqlite("track the entity's changes");
    let Some((mut connection, _guard)) = entities.tracker(entity)? else {
        // Nothing was ever loaded: there is nothing to track, and whoever exports now has everything.
        return Ok(Range { after: 0, epoch: 0 });
    };
    let transaction = connection.transaction_with_behavior(rusqlite::TransactionBehavior::Immediate).map_err(&failed)?;
    let kind: Option<String> = transaction
        .query_row("SELECT type FROM pragma_table_list(?1) WHERE schema = 'main'", [&entity.table], |row| row.get(0))
        .optional()
        .map_err(&failed)?;
    match kind.as_deref() {
        None => return Ok(Range { after: 0, epoch: 0 }),
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
             CREATE TABLE IF NOT EXISTS entrepot_tracked (name TEXT PRIMARY KEY, forgotten INTEGER NOT NULL);",
        )
        .map_err(&failed)?;
    let tracked = is_tracked(&transaction, entity).map_err(&failed)?;
    if !tracked {
        track(&transaction, entity).map_err(&failed)?;
    }
    let epoch: u64 = transaction
        .query_row("UPDATE entrepot_epoch SET number = number + 1 RETURNING number - 1", [], |row| row.get(0))
        .map_err(&failed)?;
    let forgotten: u64 = transaction
        .query_row(
            "INSERT INTO entrepot_tracked VALUES (?1, ?2) ON CONFLICT DO UPDATE SET forgotten = max(forgotten, excluded.forgotten) RETURNING forgotten",
            rusqlite::params![entity.table, needless],
            |row| row.get(0),
        )
        .map_err(&failed)?;
    transaction.execute(&format!("DELETE FROM {} WHERE epoch <= ?1", log_of(entity)), [needless]).map_err(&failed)?;
    transaction.commit().map_err(&failed)?;
    // A consumer that is ahead of the database has seen another one, and one that is behind what is forgotten was long away: both begin anew.
    let after = if tracked && (forgotten..=epoch).contains(&after) { after } else { 0 };
    Ok(Range { after, epoch })
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
    connection.execute("DELETE FROM entrepot_tracked WHERE name = ?1", [&entity.table]).map(|_| ())
}
