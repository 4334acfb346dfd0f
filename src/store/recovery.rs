//! What a start finds after a stop that was not clean, and what it does about it. No scan: only what the segments hold behind the horizon is read,
//! and only messages that were in work.

use rusqlite::{Connection, OptionalExtension, params};

use super::messages::{NewMessage, parse_id};
use super::{Cause, StoreError, jobs, messages};
use crate::files::Spool;
use crate::files::segment::{Horizon, Pending, Record};
use crate::model::retry::CRASHES_MAX;

/// Up to where `queue.db` knows the segments: as far as the newest one says.
pub fn horizon(connection: &Connection) -> Result<Horizon, StoreError> {
    connection
        .query_row("SELECT number, reached FROM segment ORDER BY number DESC LIMIT 1", [], |row| {
            Ok(Horizon { segment: row.get(0)?, offset: row.get(1)? })
        })
        .optional()
        .map(Option::unwrap_or_default)
        .map_err(StoreError::sqlite("read the horizon"))
}

/// Notes, in the transaction that inserts the rows of a batch, that the horizon is behind it, and that so many messages need its segment.
pub fn reach(connection: &Connection, batch: &Pending) -> Result<(), StoreError> {
    connection
        .prepare_cached(
            "INSERT INTO segment (number, live, reached) VALUES (?1, ?2, ?3) ON CONFLICT (number) DO UPDATE SET live = live + ?2, reached = ?3",
        )
        .and_then(|mut statement| statement.execute((batch.end.segment, batch.records, batch.end.offset)))
        .map(|_| ())
        .map_err(StoreError::sqlite("note the horizon"))
}

/// Finishes what a crash left:
///   1. batches of the segments that `queue.db` does not know: a power cut took their rows, which were not synced. They are made again;
///   2. messages in work go back to the queue; the load itself, if it was committed, is found by its message id and not repeated;
///   3. executions without an end are closed, and exports that were under way are tried again.
///
/// What was in work each of [`CRASHES_MAX`] times that the appliance ended is given up, visibly: it may be what ends it.
pub fn recover(connection: &mut Connection, spool: &Spool) -> Result<(), StoreError> {
    let failed = StoreError::sqlite("recover the queue");
    let transaction = connection.transaction().map_err(&failed)?;

    let mut found = 0;
    spool.batches_behind(horizon(&transaction)?, |end, records| {
        for record in &records {
            make_again(&transaction, record)?;
        }
        found += records.len();
        reach(&transaction, &Pending { records: records.len() as u64, end })
    })?;
    if found > 0 {
        log::warn!(
            "messages recovered count={found} reason=\"the appliance ended before their rows were synced\"; they were read from the spool"
        );
    }

    let in_work: Vec<(String, i64, u32)> = transaction
        .prepare(
            "SELECT id, started_at, (SELECT count(*) FROM event WHERE message_id = message.id AND event = 'restarted')
             FROM message WHERE state = 'processing'",
        )
        .and_then(|mut statement| statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?.collect())
        .map_err(&failed)?;
    for (id, started_at, restarts) in in_work {
        let at = crate::model::time::Timestamp(started_at);
        if restarts + 1 >= CRASHES_MAX {
            // What is in the ledgers of other databases is not asked here: they may be what ends it.
            let why = format!(
                "the appliance ended {CRASHES_MAX} times while it was in work; rows that the last try may have loaded are not in the counts, and are not loaded again"
            );
            log::error!("message failed message={id} reason=\"{why}\"; it is kept, replay it when the cause is mended");
            messages::fail(&transaction, parse_id(&id)?, &why, at)?;
            transaction
                .execute(
                    "UPDATE execution SET outcome = 'failed', finished_at = ?2, reason = ?3 WHERE message_id = ?1 AND finished_at IS NULL",
                    params![id, at.0, why],
                )
                .map_err(&failed)?;
            continue;
        }
        transaction.execute("UPDATE message SET state = 'queued' WHERE id = ?1", [&id]).map_err(&failed)?;
        messages::record(
            &transaction,
            parse_id(&id)?,
            at,
            "restarted",
            Some("the appliance ended while it was in work: it is taken up again"),
        )?;
        log::warn!("message restarted message={id} reason=\"the appliance ended while it was in work\"");
    }
    // An export that a client asked for runs again; an import of his has its message back in the queue.
    transaction
        .execute(
            "UPDATE execution SET crashes = crashes + 1,
               outcome = CASE WHEN crashes + 1 < ?1 THEN 'requested' ELSE 'failed' END,
               finished_at = CASE WHEN crashes + 1 < ?1 THEN NULL ELSE started_at END,
               reason = 'the appliance ended while it ran'
             WHERE finished_at IS NULL AND application_id IS NOT NULL AND message_id IS NULL AND outcome = 'executing'",
            [CRASHES_MAX],
        )
        .map_err(&failed)?;
    transaction
        .execute(
            "UPDATE execution SET outcome = 'failed', finished_at = started_at, reason = 'the appliance ended' WHERE finished_at IS NULL
               AND application_id IS NULL",
            params![],
        )
        .map_err(&failed)?;
    for (name, again) in jobs::recover_runs(&transaction)? {
        match again {
            true => log::warn!("export restarted job=\"{name}\" reason=\"the appliance ended while it ran\""),
            false => log::error!(
                "export failed job=\"{name}\" reason=\"the appliance ended {CRASHES_MAX} times while it ran\"; the next run tries again"
            ),
        }
    }
    transaction.commit().map_err(&failed)
}

/// Inserts the row that a record of a segment tells of.
fn make_again(connection: &Connection, record: &Record) -> Result<(), StoreError> {
    let operation = "recover a message from the spool";
    let new: NewMessage = serde_json::from_slice(&record.facts)
        .map_err(|error| StoreError { operation, cause: Cause::Damaged(format!("{:?} does not say what it is: {error}", record.place)) })?;
    // Where queue.db itself was lost, its jobs are registered only after this.
    connection
        .execute(
            "INSERT OR IGNORE INTO job (activity_id, name, scheduled_to) VALUES (?1, ?1, ?2)",
            params![new.activity_id.to_string(), new.received_at.0],
        )
        .map_err(StoreError::sqlite(operation))?;
    messages::insert(connection, &new, &record.place)
}
