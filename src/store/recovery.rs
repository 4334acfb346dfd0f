//! What a start finds after a stop that was not clean, and what it does about it. No scan: only the tail of the newest segments is read,
//! and only messages that were in work.

use rusqlite::{Connection, params};

use super::messages::parse_id;
use super::{StoreError, messages};
use crate::files::Spool;
use crate::model::message::PayloadPlace;

/// Finishes what a crash left:
///   1. rows at the tail of the newest segment, beyond what was known to be synced, whose payload fails its checksum: the commit reached the
///      disk, the segment did not, and so the client was never answered. They are dropped;
///   2. messages in work go back to the queue; the load itself, if it was committed, is found by its message id and not repeated;
///   3. executions without an end are closed.
pub fn recover(connection: &mut Connection, spool: &Spool) -> Result<(), StoreError> {
    let failed = StoreError::sqlite("recover the queue");
    let transaction = connection.transaction().map_err(&failed)?;

    let tail: Option<(u64, u64)> = {
        use rusqlite::OptionalExtension;
        transaction
            .query_row("SELECT number, synced FROM segment ORDER BY number DESC LIMIT 1", [], |row| Ok((row.get(0)?, row.get(1)?)))
            .optional()
            .map_err(&failed)?
    };
    let mut lost = Vec::new();
    if let Some((segment, synced)) = tail {
        let mut statement = transaction
            .prepare("SELECT id, segment, segment_offset, size, checksum FROM message WHERE segment IS NOT NULL ORDER BY rowid DESC")
            .map_err(&failed)?;
        let mut rows = statement.query([]).map_err(&failed)?;
        while let Some(row) = rows.next().map_err(&failed)? {
            let read = (|| {
                Ok((row.get::<_, String>(0)?, row.get::<_, u64>(1)?, row.get::<_, u64>(2)?, row.get::<_, u64>(3)?, row.get::<_, u32>(4)?))
            })();
            let (id, number, offset, size, checksum) = read.map_err(&failed)?;
            if number < segment || offset < synced {
                break;
            }
            if spool.verify(&PayloadPlace::Segment { segment: number, offset }, size, checksum).is_err() {
                lost.push((id, number));
            }
        }
    }
    for (id, number) in &lost {
        log::warn!(
            "message dropped message={id} reason=\"its payload did not reach the disk before the crash; it was never promised to the client\""
        );
        transaction.execute("DELETE FROM message WHERE id = ?1", [id]).map_err(&failed)?;
        transaction.execute("UPDATE segment SET live = live - 1 WHERE number = ?1", [number]).map_err(&failed)?;
    }

    let in_work: Vec<(String, i64)> = transaction
        .prepare("SELECT id, started_at FROM message WHERE state = 'processing'")
        .and_then(|mut statement| statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?.collect())
        .map_err(&failed)?;
    for (id, started_at) in in_work {
        transaction.execute("UPDATE message SET state = 'queued' WHERE id = ?1", [&id]).map_err(&failed)?;
        let at = crate::model::time::Timestamp(started_at);
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
            "UPDATE execution SET outcome = 'requested' WHERE finished_at IS NULL AND application_id IS NOT NULL AND message_id IS NULL",
            params![],
        )
        .map_err(&failed)?;
    transaction
        .execute(
            "UPDATE execution SET outcome = 'failed', finished_at = started_at, reason = 'the appliance ended' WHERE finished_at IS NULL
               AND application_id IS NULL",
            params![],
        )
        .map_err(&failed)?;
    transaction.commit().map_err(&failed)
}
