//! Change tracking in an entity's database: triggers note the key of every row that is inserted, changed or deleted, whoever does it.
//!
//! The notes of a table are a log that is only appended to, so that a load pays little for it. Each carries the epoch in which it was made. An export
//! ends the epoch first and then reads: what changes afterwards belongs to the next. A table is tracked from its first incremental export on, which holds
//! everything; loads before that pay nothing.
//!
//! Each epoch of a table has a mark, a number made by chance that is kept here and with the watermark. A database that lacks the mark of the epoch up to
//! which a consumer has the changes is not the one that they came from: an older copy was put back, or it is another file. What it did since is not in
//! its log under the epochs that follow, and so the consumer begins anew.
//!
//! Several appliances may share a file, and each knows its own consumers only. So each notes in the file what those still need of a table's log, and what
//! any of them needs is kept, unless it has not exported for 30 days. Each table says which was the last to export it: what nobody exports any more that one
//! takes away, triggers and log, and no other.

use rusqlite::{Connection, OptionalExtension, params};

use super::entities::{Entities, quote};
use super::increments::{Needs, Reached};
use super::{Cause, StoreError};
use crate::model::entity::Entity;
use crate::model::time::Timestamp;

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
    named(&entity.table, "")
}

/// What tracks a table, quoted: the log, and a trigger for each event.
fn named(table: &str, event: &str) -> String {
    quote(&format!("entrepot_changes_{table}{event}"))
}

/// The column of the log that says in which epoch: the others are the key's, which may have one of that name itself.
pub(super) fn epoch_of(entity: &Entity) -> &'static str {
    let is_taken = key_columns(entity).iter().any(|name| name.eq_ignore_ascii_case("epoch"));
    if is_taken { "entrepot_epoch" } else { "epoch" }
}

/// What a table's triggers are run for.
const EVENTS: [&str; 3] = ["insert", "update", "delete"];

/// What is noted of tables that are tracked, by their names.
const NOTES: [&str; 4] = ["entrepot_tracked", "entrepot_tracker", "entrepot_mark", "entrepot_needed"];

/// What each appliance needs of a table's log. Files that an earlier one tracked have no such notes.
const NEEDED: &str =
    "CREATE TABLE IF NOT EXISTS entrepot_needed (name TEXT NOT NULL, appliance TEXT NOT NULL, exported_at INTEGER NOT NULL,
    after INTEGER NOT NULL, epochs TEXT NOT NULL, PRIMARY KEY (name, appliance)) WITHOUT ROWID";

/// What an appliance needs that has not exported a table for so long is not kept for it, milliseconds: its consumers begin anew.
const AWAY: i64 = 30 * 24 * 60 * 60 * 1000;

/// Marks of the latest epochs are kept, whoever needs them: an export that is under way will.
const MARKS_KEPT: u64 = 100;

/// Who exports, and when.
#[derive(Clone, Copy)]
pub struct Exporter<'a> {
    /// By which a database knows the appliance, wherever its data directory is moved to.
    pub appliance: &'a str,
    /// The time of the export.
    pub now: Timestamp,
}

/// Ends the epoch of an entity's database for an export of this appliance, and begins to track the entity if that is not so yet. Besides the changes: why a
/// consumer that has changes begins anew.
pub fn end_epoch(
    entities: &Entities,
    by: Exporter<'_>,
    entity: &Entity,
    reached: &Reached,
    needs: &Needs,
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
            let kind = if other == "virtual" { "virtual table" } else { other };
            let what = format!(
                "\"{}\" is a {kind}: only a table's changes can be tracked, write refresh = \"full\"; a client asks for it by ExportToPackage then",
                entity.table
            );
            return Err(StoreError { operation: "track the entity's changes", cause: Cause::Damaged(what) });
        }
    }
    transaction
        .execute_batch(
            "CREATE TABLE IF NOT EXISTS entrepot_epoch (number INTEGER NOT NULL);
             INSERT INTO entrepot_epoch SELECT 1 WHERE NOT EXISTS (SELECT 1 FROM entrepot_epoch);
             CREATE TABLE IF NOT EXISTS entrepot_tracked (name TEXT PRIMARY KEY, forgotten INTEGER NOT NULL);
             CREATE TABLE IF NOT EXISTS entrepot_tracker (name TEXT PRIMARY KEY, appliance TEXT NOT NULL, exported_at INTEGER NOT NULL);
             CREATE TABLE IF NOT EXISTS entrepot_mark (name TEXT NOT NULL, epoch INTEGER NOT NULL, mark INTEGER NOT NULL, PRIMARY KEY (name, epoch))
               WITHOUT ROWID;",
        )
        .and_then(|()| transaction.execute_batch(NEEDED))
        .map_err(&failed)?;
    let tracked = is_tracked(&transaction, entity).map_err(&failed)?;
    if !tracked {
        track(&transaction, entity).map_err(&failed)?;
    }
    let last = params![entity.table, by.appliance, by.now.0];
    transaction.execute("INSERT OR REPLACE INTO entrepot_tracker VALUES (?1, ?2, ?3)", last).map_err(&failed)?;
    let epoch: u64 = transaction
        .query_row("UPDATE entrepot_epoch SET number = number + 1 RETURNING number - 1", [], |row| row.get(0))
        .map_err(&failed)?;
    let named = params![entity.table];
    let forgotten: u64 = transaction
        .query_row("SELECT coalesce(max(forgotten), 0) FROM entrepot_tracked WHERE name = ?1", named, |row| row.get(0))
        .map_err(&failed)?;
    let marked: Option<i64> = transaction
        .query_row("SELECT mark FROM entrepot_mark WHERE name = ?1 AND epoch = ?2", params![entity.table, reached.epoch], |row| row.get(0))
        .optional()
        .map_err(&failed)?;
    let anew = match () {
        () if reached.epoch == 0 => None,
        () if !tracked => Some("its table, or what tracks changes in it, is another one than before"),
        () if reached.epoch < forgotten => Some("it was away so long that the log of changes does not reach back to it"),
        // Watermarks had no marks once.
        () if reached.epoch > epoch || (reached.mark.is_some() && marked != reached.mark) => {
            Some("its database is another one than at the last export, or an older copy of it")
        }
        () => None,
    };
    let known = reached.epoch > 0 && anew.is_none();
    // Epochs of another database say nothing of this one's log.
    let own = if known { needs.after } else { 0 };
    // This export's consumer will have the changes up to this epoch.
    let epochs = [&needs.epochs[..], &[epoch]].concat();
    let (least, epochs) = needed(&transaction, entity, by, own, &epochs).map_err(&failed)?;
    let needless = least.max(forgotten);
    transaction
        .execute(
            "INSERT INTO entrepot_tracked VALUES (?1, ?2) ON CONFLICT DO UPDATE SET forgotten = max(forgotten, excluded.forgotten)",
            params![entity.table, needless],
        )
        .map_err(&failed)?;
    let forget = format!("DELETE FROM {} WHERE {} <= ?1", log_of(entity), epoch_of(entity));
    transaction.execute(&forget, [needless]).map_err(&failed)?;
    let forget_marks = format!("DELETE FROM entrepot_mark WHERE name = ?1 AND epoch < ?2 AND epoch NOT IN ({epochs})");
    transaction.execute(&forget_marks, params![entity.table, epoch.saturating_sub(MARKS_KEPT)]).map_err(&failed)?;
    let mark: i64 = transaction
        .query_row("INSERT OR REPLACE INTO entrepot_mark VALUES (?1, ?2, random()) RETURNING mark", params![entity.table, epoch], |row| {
            row.get(0)
        })
        .map_err(&failed)?;
    transaction.commit().map_err(&failed)?;
    Ok((Range { after: if known { reached.epoch } else { 0 }, epoch, mark }, anew))
}

/// Notes what this appliance needs of a table's log: the changes after this epoch, and the marks of these. What all need that are not away: the least
/// epoch, and the epochs in a row.
fn needed(connection: &Connection, entity: &Entity, by: Exporter<'_>, after: u64, epochs: &[u64]) -> rusqlite::Result<(u64, String)> {
    let epochs: Vec<String> = epochs.iter().map(u64::to_string).collect();
    let own = params![entity.table, by.appliance, by.now.0, after, epochs.join(",")];
    connection.execute("INSERT OR REPLACE INTO entrepot_needed VALUES (?1, ?2, ?3, ?4, ?5)", own)?;
    let gone = params![entity.table, by.now.0.saturating_sub(AWAY)];
    connection.execute("DELETE FROM entrepot_needed WHERE name = ?1 AND exported_at < ?2", gone)?;
    let mut all = connection.prepare("SELECT after, epochs FROM entrepot_needed WHERE name = ?1")?;
    let (mut least, mut kept) = (after, Vec::new());
    for row in all.query_map([&entity.table], |row| Ok((row.get::<_, u64>(0)?, row.get::<_, String>(1)?)))? {
        let (after, epochs) = row?;
        least = least.min(after);
        // Another program may have written here.
        kept.extend(epochs.split(',').filter_map(|epoch| epoch.parse::<u64>().ok()).map(|epoch| epoch.to_string()));
    }
    Ok((least, kept.join(",")))
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
    let expected = [epoch_of(entity)].into_iter().chain(key_columns(entity));
    if !columns.iter().map(String::as_str).eq(expected) {
        return Ok(false);
    }
    let mut stands = connection.prepare("SELECT 1 FROM sqlite_schema WHERE type = 'trigger' AND sql = ?1 COLLATE NOCASE")?;
    triggers(entity).into_iter().try_fold(true, |all, (_, trigger)| Ok(all && stands.exists([trigger])?))
}

/// The triggers that note changes: the name of each, and what makes it.
fn triggers(entity: &Entity) -> [(String, String); 3] {
    let (log, table) = (log_of(entity), quote(&entity.table));
    let key: Vec<String> = key_columns(entity).into_iter().map(quote).collect();
    let of = |row: &str| key.iter().map(|column| format!("{row}.{column}")).collect::<Vec<_>>().join(", ");
    let into = format!("INSERT INTO {log} ({}, {})", epoch_of(entity), key.join(", "));
    let note = |row: &str| format!("{into} VALUES ((SELECT number FROM entrepot_epoch), {});", of(row));
    // Another spelling of what the column calls one key is another key to a consumer.
    let moved: Vec<String> = key.iter().map(|column| format!("old.{column} COLLATE BINARY IS NOT new.{column}")).collect();
    let note_moved = format!("{into} SELECT (SELECT number FROM entrepot_epoch), {} WHERE {};", of("old"), moved.join(" OR "));
    let notes = [note("new"), format!("{note_moved} {}", note("new")), note("old")];
    std::array::from_fn(|at| {
        let (event, notes) = (EVENTS[at], &notes[at]);
        let name = named(&entity.table, &format!("_{event}"));
        let trigger = format!("CREATE TRIGGER {name} AFTER {} ON {table} BEGIN {notes} END", event.to_uppercase());
        (name, trigger)
    })
}

/// Makes the log and its triggers; what is left of earlier ones goes.
fn track(connection: &Connection, entity: &Entity) -> rusqlite::Result<()> {
    let log = log_of(entity);
    let key: Vec<String> = key_columns(entity).into_iter().map(quote).collect();
    let mut script = format!("DROP TABLE IF EXISTS {log}; CREATE TABLE {log} ({} INTEGER NOT NULL, {});", epoch_of(entity), key.join(", "));
    for (name, trigger) in triggers(entity) {
        script.push_str(&format!("DROP TRIGGER IF EXISTS {name}; {trigger};"));
    }
    connection.execute_batch(&script)?;
    connection.execute("DELETE FROM entrepot_mark WHERE name = ?1", [&entity.table])?;
    connection.execute("DELETE FROM entrepot_needed WHERE name = ?1", [&entity.table])?;
    connection.execute("DELETE FROM entrepot_tracked WHERE name = ?1", [&entity.table]).map(|_| ())
}

/// Takes away what tracks tables of a database that nobody exports any more, of those that this appliance was the last to export, before `before.now`;
/// says which. Whether somebody does is asked again while no export can begin. A database that is away, or busy, is left for another time.
pub fn forget_unused(
    entities: &Entities,
    database: &str,
    before: Exporter<'_>,
    is_used: &dyn Fn(&str) -> Result<bool, StoreError>,
) -> Result<Vec<String>, StoreError> {
    let failed = StoreError::sqlite("take change tracking away");
    let Some((mut connection, _guard)) = entities.tidier(database)? else { return Ok(Vec::new()) };
    let unused = |connection: &Connection| -> Result<Vec<String>, StoreError> {
        let own: Vec<String> = connection
            .prepare("SELECT name FROM entrepot_tracker WHERE appliance = ?1 AND exported_at < ?2")
            .and_then(|mut statement| statement.query_map(params![before.appliance, before.now.0], |row| row.get(0))?.collect())
            .map_err(&failed)?;
        own.into_iter().filter_map(|name| is_used(&name).map(|used| (!used).then_some(name)).transpose()).collect()
    };
    let known = "SELECT EXISTS (SELECT 1 FROM pragma_table_list('entrepot_tracker') WHERE schema = 'main')";
    if !connection.query_row(known, [], |row| row.get::<_, bool>(0)).map_err(&failed)? || unused(&connection)?.is_empty() {
        return Ok(Vec::new());
    }
    let transaction = connection.transaction_with_behavior(rusqlite::TransactionBehavior::Immediate).map_err(&failed)?;
    let gone = unused(&transaction)?;
    transaction.execute_batch(NEEDED).map_err(&failed)?;
    for table in &gone {
        let triggers: String =
            EVENTS.iter().map(|event| format!("DROP TRIGGER IF EXISTS {};", named(table, &format!("_{event}")))).collect();
        transaction.execute_batch(&format!("{triggers} DROP TABLE IF EXISTS {}", named(table, ""))).map_err(&failed)?;
        for notes in NOTES {
            transaction.execute(&format!("DELETE FROM {notes} WHERE name = ?1"), [table]).map_err(&failed)?;
        }
    }
    let others: bool = transaction.query_row("SELECT EXISTS (SELECT 1 FROM entrepot_tracked)", [], |row| row.get(0)).map_err(&failed)?;
    for notes in NOTES.iter().chain(&["entrepot_epoch"]).filter(|_| !others) {
        transaction.execute_batch(&format!("DROP TABLE {notes}")).map_err(&failed)?;
    }
    transaction.commit().map_err(&failed)?;
    Ok(gone)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn by(appliance: &str, now: i64) -> Exporter<'_> {
        Exporter { appliance, now: Timestamp(now) }
    }
    use crate::config::Database;
    use crate::model::entity::Field;

    #[test]
    fn a_consumer_goes_on_as_long_as_its_epoch_is_marked_and_begins_anew_with_a_reason() {
        let dir = tempfile::tempdir().unwrap();
        let database = Database { name: "shop".into(), path: dir.path().join("shop.db"), managed: false, lock_wait: Default::default() };
        let connection = Connection::open(&database.path).unwrap();
        connection.execute_batch("PRAGMA synchronous = OFF; CREATE TABLE t (K PRIMARY KEY)").unwrap();
        let entities = Entities::new(&[database]);
        let fields = vec![Field { name: "K".into(), ..Field::default() }];
        let entity = Entity { name: "T".into(), database: "shop".into(), table: "t".into(), key: vec![0], fields, ..Entity::default() };
        let end = |reached: &Reached, after: u64, epochs: &[u64]| {
            end_epoch(&entities, by("a", 0), &entity, reached, &Needs { after, epochs: epochs.to_vec() }).unwrap()
        };
        let reached = |range: Range| Reached { epoch: range.epoch, mark: Some(range.mark), selection: None };
        let first = end(&Reached::default(), 0, &[]);
        assert_eq!((first.0.is_full(), first.1), (true, None), "nobody begins anew who has nothing");
        let has_first = reached(first.0);
        let mut last = first;
        for _ in 0..MARKS_KEPT + 20 {
            last = end(&has_first, 0, &[has_first.epoch]);
            assert_eq!((last.0.after, last.1), (has_first.epoch, None));
        }
        let marks: u64 = connection.query_row("SELECT count(*) FROM entrepot_mark", [], |row| row.get(0)).unwrap();
        assert_eq!(marks, MARKS_KEPT + 2, "those of the latest epochs, and the one that is asked for");

        let has_last = reached(last.0);
        let other = Reached { mark: has_last.mark.map(|mark| mark ^ 1), ..has_last.clone() };
        let anew = end(&other, has_last.epoch, &[has_last.epoch]);
        assert!(anew.0.is_full() && anew.1.unwrap().contains("older copy"), "{anew:?}");
        let next = end(&has_last, has_last.epoch, &[]);
        assert_eq!((next.0.after, next.1), (has_last.epoch, None));
        let late = end(&has_first, 0, &[]);
        assert!(late.0.is_full() && late.1.unwrap().contains("does not reach back"), "{late:?}");
        connection.execute_batch("DROP TRIGGER entrepot_changes_t_update").unwrap();
        let untracked = end(&has_last, has_last.epoch, &[]);
        assert!(untracked.0.is_full() && untracked.1.unwrap().contains("what tracks changes"), "{untracked:?}");
    }

    #[test]
    fn two_appliances_on_one_file_leave_each_other_what_they_need_unless_one_is_away() {
        let dir = tempfile::tempdir().unwrap();
        let database = Database { name: "shop".into(), path: dir.path().join("shop.db"), managed: false, lock_wait: Default::default() };
        let connection = Connection::open(&database.path).unwrap();
        connection.execute_batch("PRAGMA synchronous = OFF; CREATE TABLE t (K PRIMARY KEY); INSERT INTO t VALUES ('x'), ('y')").unwrap();
        let entities = Entities::new(&[database]);
        let fields = vec![Field { name: "K".into(), ..Field::default() }];
        let entity = Entity { name: "T".into(), database: "shop".into(), table: "t".into(), key: vec![0], fields, ..Entity::default() };
        let end = |appliance: &str, now: i64, reached: &Reached| {
            let epochs = if reached.epoch > 0 { vec![reached.epoch] } else { Vec::new() };
            end_epoch(&entities, by(appliance, now), &entity, reached, &Needs { after: reached.epoch, epochs }).unwrap()
        };
        let reached = |range: Range| Reached { epoch: range.epoch, mark: Some(range.mark), selection: None };
        let (mut a, mut b) = (reached(end("a", 0, &Reached::default()).0), reached(end("b", 0, &Reached::default()).0));
        let noted = || -> u64 { connection.query_row("SELECT count(*) FROM entrepot_changes_t", [], |row| row.get(0)).unwrap() };
        let has_b = b.clone();
        for round in 1..=i64::try_from(MARKS_KEPT).unwrap() + 20 {
            connection.execute_batch("DELETE FROM t; INSERT INTO t VALUES ('x')").unwrap();
            let (range, anew) = end("a", round, &a);
            assert_eq!((range.after, anew), (a.epoch, None));
            a = reached(range);
        }
        assert!(noted() > 200, "the other needs them");
        let (range, anew) = end("b", 200, &has_b);
        assert_eq!((range.after, anew), (has_b.epoch, None), "it goes on where it was");
        b = reached(range);
        end("b", 201, &b);
        a = reached(end("a", 202, &a).0);
        assert!(noted() < 10, "nobody needs them any more");
        connection.execute_batch("DELETE FROM t").unwrap();
        a = reached(end("a", 203 + AWAY, &a).0);
        end("a", 204 + AWAY, &a);
        assert_eq!(noted(), 0, "the other is away");
        let (range, anew) = end("b", 205 + AWAY, &b);
        assert!(range.is_full() && anew.unwrap().contains("does not reach back"), "{anew:?}");
    }

    #[test]
    fn what_tracks_a_table_goes_when_nobody_exports_it_and_by_the_hand_of_who_did_so_last() {
        let dir = tempfile::tempdir().unwrap();
        let database = Database { name: "shop".into(), path: dir.path().join("shop.db"), managed: false, lock_wait: Default::default() };
        let path = database.path.clone();
        let entities = Entities::new(&[database]);
        let forget_before = |before: i64, appliance: &str, used: &[&str]| {
            forget_unused(&entities, "shop", by(appliance, before), &|table| Ok(used.contains(&table))).map_err(|error| error.may_pass())
        };
        let forget = |appliance: &str, used: &[&str]| forget_before(1, appliance, used);
        assert_eq!(forget("a", &[]), Ok(vec![]), "the file is away");
        let connection = Connection::open(&path).unwrap();
        connection.execute_batch("CREATE TABLE t (epoch PRIMARY KEY); CREATE TABLE u (epoch PRIMARY KEY)").unwrap();
        assert_eq!(forget("a", &[]), Ok(vec![]), "it is another one, or was never tracked");
        for table in ["t", "u"] {
            let fields = vec![Field { name: "epoch".into(), ..Field::default() }];
            let entity =
                Entity { name: "T".into(), database: "shop".into(), table: table.into(), key: vec![0], fields, ..Entity::default() };
            end_epoch(&entities, by("a", 0), &entity, &Reached::default(), &Needs::default()).unwrap();
            if table == "u" {
                end_epoch(&entities, by("b", 0), &entity, &Reached::default(), &Needs::default()).unwrap();
            }
        }
        let ours = || -> u64 {
            let count = "SELECT count(*) FROM sqlite_schema WHERE name LIKE 'entrepot%'";
            connection.query_row(count, [], |row| row.get(0)).unwrap()
        };
        let all = ours();
        assert_eq!((forget_before(0, "a", &[]), ours()), (Ok(vec![]), all), "it was exported just now");
        assert_eq!((forget("a", &["t"]), ours()), (Ok(vec![]), all), "one is used here, the other perhaps by somebody else");
        connection.execute_batch("BEGIN IMMEDIATE").unwrap();
        assert_eq!(forget("a", &[]), Err(true), "another time");
        connection.execute_batch("COMMIT").unwrap();
        assert_eq!((forget("a", &[]), ours()), (Ok(vec!["t".to_owned()]), all - 4), "its log and triggers");
        connection.execute_batch("INSERT INTO t VALUES (1); INSERT INTO u VALUES (1)").unwrap();
        assert_eq!((forget("b", &[]), ours()), (Ok(vec!["u".to_owned()]), 0), "and with the last all that is ours");
        connection.execute_batch("INSERT INTO u VALUES (2)").unwrap();
    }
}
