//! Messages: every move of the state machine of `model/state.rs`, each as one statement whose WHERE names the state it leaves.

mod read;

use rusqlite::{Connection, OptionalExtension, params};
use serde::{Deserialize, Serialize};

pub(super) use self::read::parse_id;
use self::read::{COLUMNS, content, read_message};
pub use self::read::{Event, Selection, find, list, next_due, of_execution, timeline};
use super::{Batch, Cause, StoreError, increments};
use crate::model::execution::RowCounts;
use crate::model::id::{ActivityId, ApplicationId, ExecutionId, MessageId, PopReceipt};
use crate::model::message::{Content, Message, PayloadPlace};
use crate::model::project::Direction;
use crate::model::state::MessageState;
use crate::model::time::Timestamp;

/// A message about to be stored. As JSON it is the facts that a segment keeps beside the payload (`files/segment.rs`): members are added, never renamed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct NewMessage {
    /// Its id; UUIDv7.
    pub id: MessageId,
    /// Its job.
    pub activity_id: ActivityId,
    /// In or out; decides the first state.
    pub direction: Direction,
    /// The entity's name as configured; [`crate::model::message::PACKAGE_ENTITY`] for a package.
    pub entity: String,
    /// What the payload is.
    #[serde(default)]
    pub content: Content,
    /// Import: processed at once, whatever the job's recurrence says.
    #[serde(default)]
    pub run_now: bool,
    /// Import: validated, and on purpose not loaded.
    #[serde(default)]
    pub stage_only: bool,
    /// The legal entity, when the job keeps one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub company: Option<String>,
    /// The client's name for it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub external_id: Option<String>,
    /// The application that sends it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub application_id: Option<ApplicationId>,
    /// Bytes.
    pub size: u64,
    /// SHA-256, lower-case hex.
    pub sha256: String,
    /// CRC-32.
    pub checksum: u32,
    /// Now.
    #[serde(with = "milliseconds")]
    pub received_at: Timestamp,
    /// An export's execution.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub execution_id: Option<ExecutionId>,
    /// An export's rows.
    #[serde(default)]
    pub counts: RowCounts,
    /// What an export's stylesheets said.
    pub findings: u64,
    /// The message that this one repeats on a person's wish.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub replay_of: Option<MessageId>,
    /// The message whose load it goes on with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub continues: Option<MessageId>,
}

/// Milliseconds since 1970 UTC, as in the rows.
mod milliseconds {
    use serde::{Deserialize, Deserializer, Serializer};

    use crate::model::time::Timestamp;

    pub(super) fn serialize<S: Serializer>(time: &Timestamp, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_i64(time.0)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Timestamp, D::Error> {
        i64::deserialize(deserializer).map(Timestamp)
    }
}

/// The payload of a message about to be stored.
pub enum Payload {
    /// Goes into the current segment.
    Small(Vec<u8>),
    /// Is on disk already, synced.
    Stored(PayloadPlace),
}

/// What became of an enqueue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Enqueued {
    /// A new message.
    New(MessageId),
    /// The same bytes under the same external identifier are here already, as this message; nothing was stored.
    Repeat(MessageId),
}

/// Stores a message, unless it is the one again that came last with this external identifier, within the retention (DESIGN §6.2). One of which nothing was
/// loaded and nothing will be is no such one, nor is one that was not brought to its end: whoever sends it again wants it loaded. The new one goes on where that
/// ended.
pub fn enqueue(batch: &mut Batch<'_>, new: &NewMessage, payload: Payload, repeat_since: Timestamp) -> Result<Enqueued, StoreError> {
    let mut goes_on = None;
    if let (Some(external_id), None) = (&new.external_id, new.replay_of) {
        let found: Option<(String, bool, bool, String)> = batch
            .connection
            .prepare_cached(
                "SELECT id, state IN ('failed', 'cancelled'), state = 'refused' AND rows_inserted + rows_updated + rows_unchanged = 0, coalesce(continues, id)
                 FROM (
                   SELECT * FROM message INDEXED BY message_repeat WHERE activity_id = ?1 AND external_id = ?2 AND entity = ?4 AND company IS ?5
                   AND received_at >= ?6 AND replay_of IS NULL AND direction = 'import' ORDER BY id DESC LIMIT 1)
                 WHERE sha256 = ?3",
            )
            .and_then(|mut statement| {
                statement
                    .query_row(
                        params![new.activity_id.to_string(), external_id, new.sha256, new.entity, new.company, repeat_since.0],
                        |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?)),
                    )
                    .optional()
            })
            .map_err(StoreError::sqlite("look for a repeat"))?;
        match found {
            None => match earlier(batch.connection, new, external_id, repeat_since)? {
                Earlier::None => {}
                Earlier::HalfWay(ledger) => goes_on = Some(NewMessage { continues: Some(ledger), ..new.clone() }),
                Earlier::Waits(id) => return repeat(batch.connection, id, new),
            },
            Some((_, false, true, _)) => {}
            Some((_, true, _, ledger)) => goes_on = Some(NewMessage { continues: Some(parse_id(&ledger)?), ..new.clone() }),
            Some((id, false, false, _)) => return repeat(batch.connection, parse_id(&id)?, new),
        }
    }
    let new = goes_on.as_ref().unwrap_or(new);
    let place = match payload {
        Payload::Small(bytes) => batch.append(new, &bytes)?,
        Payload::Stored(place) => place,
    };
    insert(batch.connection, new, &place)?;
    Ok(Enqueued::New(new.id))
}

fn repeat(connection: &Connection, id: MessageId, new: &NewMessage) -> Result<Enqueued, StoreError> {
    let what = "same external identifier, same bytes: no second message";
    record(connection, id, new.received_at, "repeat received", Some(what))?;
    Ok(Enqueued::Repeat(id))
}

/// What these bytes are under an external identifier under which others came since.
enum Earlier {
    /// A message that nothing is known of, or that came to its end.
    None,
    /// They were left half way: this message holds what was loaded of them. Their own refused rows came since, mended, for example.
    HalfWay(MessageId),
    /// This message goes on with them already, and waits.
    Waits(MessageId),
}

fn earlier(connection: &Connection, new: &NewMessage, external_id: &str, repeat_since: Timestamp) -> Result<Earlier, StoreError> {
    let failed = StoreError::sqlite("look for what was left half way");
    let ledger: Option<String> = connection
        .prepare_cached(
            "SELECT coalesce(continues, id) FROM message INDEXED BY message_half_way
             WHERE activity_id = ?1 AND external_id = ?2 AND sha256 = ?3 AND state IN ('failed', 'cancelled') AND entity = ?4 AND company IS ?5
             AND received_at >= ?6 AND replay_of IS NULL AND direction = 'import' AND rows_inserted + rows_updated + rows_unchanged > 0
             ORDER BY id DESC LIMIT 1",
        )
        .and_then(|mut statement| {
            let known = params![new.activity_id.to_string(), external_id, new.sha256, new.entity, new.company, repeat_since.0];
            statement.query_row(known, |row| row.get(0)).optional()
        })
        .map_err(&failed)?;
    let Some(ledger) = ledger else { return Ok(Earlier::None) };
    // What went on with it, whoever asked for that: it has ended, or waits; a replay that waits goes on beside.
    let later: Option<(String, bool, bool)> = connection
        .prepare_cached(
            "SELECT id, state IN ('queued', 'processing'), replay_of IS NOT NULL FROM message
             WHERE continues = ?1 AND state NOT IN ('failed', 'cancelled') ORDER BY state IN ('queued', 'processing'), id DESC LIMIT 1",
        )
        .and_then(|mut statement| statement.query_row([&ledger], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?))).optional())
        .map_err(&failed)?;
    Ok(match later {
        Some((_, false, _)) => Earlier::None,
        Some((id, true, false)) => Earlier::Waits(parse_id(&id)?),
        Some((_, true, true)) | None => Earlier::HalfWay(parse_id(&ledger)?),
    })
}

/// Inserts the row of a message whose payload is on disk, or will be before the commit.
///
/// When it fails, SQLite takes the whole transaction back, and with it what others do in the same round: nothing of a message may make it fail, only a
/// job that the queue does not know, or an id that is there already. To take back the statement alone, SQLite would keep a copy of each page that it
/// and its trigger touch, for every message.
pub fn insert(connection: &Connection, new: &NewMessage, place: &PayloadPlace) -> Result<(), StoreError> {
    let (segment, offset, file) = match place {
        PayloadPlace::Segment { segment, offset } => (Some(*segment), Some(*offset), None),
        PayloadPlace::File { name } => (None, None, Some(name.as_str())),
        PayloadPlace::Pruned => (None, None, None),
    };
    let state = match new.direction {
        Direction::Import => MessageState::Queued,
        Direction::Export => MessageState::Enqueued,
    };
    connection
        .prepare_cached(
            "INSERT OR ROLLBACK INTO message (id, activity_id, direction, state, entity, company, external_id, application_id, size, sha256, checksum,
             segment, segment_offset, file, received_at, execution_id, rows_read, replay_of, content, run_now, stage_only, findings, continues)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18, ?19, ?20, ?21, ?22, ?23)",
        )
        .and_then(|mut statement| {
            statement.execute(params![
                new.id.to_string(),
                new.activity_id.to_string(),
                new.direction.name(),
                state.name(),
                new.entity,
                new.company,
                new.external_id,
                new.application_id.map(|id| id.to_string()),
                new.size,
                new.sha256,
                new.checksum,
                segment,
                offset,
                file,
                new.received_at.0,
                new.execution_id.as_ref().map(|id| id.0.as_str()),
                new.counts.read,
                new.replay_of.map(|id| id.to_string()),
                new.content.name(),
                new.run_now,
                new.stage_only,
                new.findings,
                new.continues.map(|id| id.to_string()),
            ])
        })
        .map(|_| ())
        .map_err(StoreError::sqlite("insert the message"))
}

/// Notes an event on a message's timeline.
pub fn record(connection: &Connection, id: MessageId, at: Timestamp, event: &str, detail: Option<&str>) -> Result<(), StoreError> {
    connection
        .prepare_cached("INSERT INTO event (message_id, at, event, detail) VALUES (?1, ?2, ?3, ?4)")
        .and_then(|mut statement| statement.execute(params![id.to_string(), at.0, event, detail]))
        .map(|_| ())
        .map_err(StoreError::sqlite("note an event"))
}

/// A queued message, for a worker to choose from.
pub struct Due {
    /// Its id.
    pub id: MessageId,
    /// Its entity, on which at most one message is in work at a time.
    pub entity: String,
    /// Whether it is a package, and its entities are those of its project.
    pub content: Content,
    /// Whether it is processed whatever the job's recurrence says.
    pub run_now: bool,
    /// Whether it loads nothing: where order matters it neither waits for those before it, nor takes them along.
    pub stage_only: bool,
    /// Whether it is due now; when not, an earlier try failed and the next is later.
    pub due: bool,
    /// Tries so far.
    pub attempts: u32,
}

/// The oldest queued messages of a job, at most `limit`, and so many of those that are to run whatever the recurrence says. Deferred ones that are not due are among them only when order matters, where they hold
/// up those behind them.
pub fn queue_head(
    connection: &Connection,
    activity: ActivityId,
    in_order: bool,
    now: Timestamp,
    limit: u32,
) -> Result<Vec<Due>, StoreError> {
    connection
        .prepare_cached(
            "SELECT * FROM (SELECT id, entity, next_try_at IS NULL OR next_try_at <= ?2, attempts, content, run_now, stage_only FROM message
             WHERE activity_id = ?1 AND state IN ('queued', 'enqueued') AND state = 'queued' AND (?4 OR next_try_at IS NULL OR next_try_at <= ?2)
             ORDER BY id LIMIT ?3) UNION SELECT * FROM (
             SELECT id, entity, next_try_at IS NULL OR next_try_at <= ?2, attempts, content, run_now, stage_only FROM message
             WHERE activity_id = ?1 AND run_now = 1 AND state = 'queued' AND (stage_only OR NOT ?4) AND (next_try_at IS NULL OR next_try_at <= ?2)
             ORDER BY id LIMIT ?3) ORDER BY id",
        )
        .and_then(|mut statement| {
            let rows = statement
                .query_map(params![activity.to_string(), now.0, limit, in_order], |row| Ok((row.get::<_, String>(0)?, row.get(1)?, row.get(2)?, row.get(3)?, content(row.get_ref(4)?), row.get(5)?, row.get(6)?)))?;
            rows.collect::<Result<Vec<_>, _>>()
        })
        .map_err(StoreError::sqlite("read the queue"))?
        .into_iter()
        .map(|(id, entity, due, attempts, content, run_now, stage_only)| Ok(Due { id: parse_id(&id)?, entity, content, run_now, stage_only, due, attempts }))
        .collect()
}

/// The newest message that waits in an import job's queue: up to it goes the run that starts now.
pub fn newest_queued(connection: &Connection, activity: ActivityId) -> Result<Option<MessageId>, rusqlite::Error> {
    let newest: Option<String> = connection
        .prepare_cached("SELECT id FROM message WHERE activity_id = ?1 AND state IN ('queued', 'enqueued') AND state = 'queued' ORDER BY id DESC LIMIT 1")?
        .query_row([activity.to_string()], |row| row.get(0))
        .optional()?;
    Ok(newest.and_then(|id| id.parse().ok()))
}

/// The newest queued message of a job that is to run whatever the recurrence says: where order matters, all before it run too.
pub fn newest_run_now(connection: &Connection, activity: ActivityId) -> Result<Option<MessageId>, rusqlite::Error> {
    let newest: Option<String> = connection
        .prepare_cached("SELECT max(id) FROM message WHERE activity_id = ?1 AND run_now = 1 AND state = 'queued' AND NOT stage_only")?
        .query_row([activity.to_string()], |row| row.get(0))?;
    Ok(newest.and_then(|id| id.parse().ok()))
}

/// The newest message of all; ids made from now on are above it.
pub fn newest(connection: &Connection) -> Result<Option<MessageId>, rusqlite::Error> {
    let newest: Option<String> = connection.query_row("SELECT max(id) FROM message", [], |row| row.get(0))?;
    Ok(newest.and_then(|id| id.parse().ok()))
}

/// Claims a queued message for a worker; `None` when somebody was faster or it is not due. It keeps the execution of an earlier try: clients know
/// its id by then, and what that try has loaded is part of it.
pub fn claim(connection: &Connection, id: MessageId, execution: &ExecutionId, now: Timestamp) -> Result<Option<Message>, StoreError> {
    connection
        .prepare_cached(&format!(
            "UPDATE message SET state = 'processing', started_at = ?2, attempts = attempts + 1, next_try_at = NULL, reason = NULL,
             execution_id = coalesce(execution_id, ?3)
             WHERE id = ?1 AND state = 'queued' AND (next_try_at IS NULL OR next_try_at <= ?2) RETURNING {COLUMNS}"
        ))
        .and_then(|mut statement| statement.query_row(params![id.to_string(), now.0, execution.0], read_message).optional())
        .map_err(StoreError::sqlite("claim the message"))?
        .transpose()
}

/// A failure that may pass: back to the queue, with the next try.
pub fn defer(connection: &Connection, id: MessageId, next_try: Timestamp, reason: &str, now: Timestamp) -> Result<bool, StoreError> {
    let moved = connection
        .prepare_cached("UPDATE message SET state = 'queued', next_try_at = ?2, reason = ?3 WHERE id = ?1 AND state = 'processing'")
        .and_then(|mut statement| statement.execute(params![id.to_string(), next_try.0, reason]))
        .map_err(StoreError::sqlite("defer the message"))?;
    record(connection, id, now, "deferred", Some(reason))?;
    Ok(moved == 1)
}

/// How often a message was put off for this reason.
pub fn deferred_for(connection: &Connection, id: MessageId, reason: &str) -> Result<u32, rusqlite::Error> {
    connection
        .prepare_cached("SELECT count(*) FROM event WHERE message_id = ?1 AND event = 'deferred' AND detail = ?2")?
        .query_row([id.to_string().as_str(), reason], |row| row.get(0))
}

/// Gives a message back untouched, because the appliance stops: the try does not count. Its job's run may have been over but for it, so it is taken
/// up whatever the schedule says.
pub fn give_back(connection: &Connection, id: MessageId, now: Timestamp) -> Result<(), StoreError> {
    connection
        .execute(
            "UPDATE message SET state = 'queued', attempts = attempts - 1, run_now = 1 WHERE id = ?1 AND state = 'processing'",
            [id.to_string()],
        )
        .map_err(StoreError::sqlite("give the message back"))?;
    record(connection, id, now, "given back", Some("the appliance stopped"))
}

/// The end of an import: its final state, counts, and why.
#[expect(clippy::too_many_arguments, reason = "a report has this many parts")]
pub fn report(
    connection: &Connection,
    id: MessageId,
    state: MessageState,
    counts: &RowCounts,
    findings: u64,
    reason: Option<&str>,
    refused_file: Option<&str>,
    now: Timestamp,
) -> Result<bool, StoreError> {
    if !MessageState::Processing.can_become(state) || !state.is_final() {
        return Err(StoreError { operation: "report the message", cause: Cause::Damaged(format!("processing can not end as {state}")) });
    }
    let moved = connection
        .prepare_cached(
            "UPDATE message SET state = ?2, finished_at = ?3, rows_read = ?4, rows_inserted = ?5, rows_updated = ?6, rows_unchanged = ?7,
             rows_refused = ?8, findings = ?9, reason = ?10, refused_file = ?11 WHERE id = ?1 AND state = 'processing'",
        )
        .and_then(|mut statement| {
            statement.execute(params![
                id.to_string(),
                state.name(),
                now.0,
                counts.read,
                counts.inserted,
                counts.updated,
                counts.unchanged,
                counts.refused,
                findings,
                reason,
                refused_file
            ])
        })
        .map_err(StoreError::sqlite("report the message"))?;
    record(connection, id, now, state.name(), reason)?;
    Ok(moved == 1)
}

/// The end of an import that could not be processed. Its counts are what was noted of it ([`note_progress`]).
pub fn fail(connection: &Connection, id: MessageId, reason: &str, now: Timestamp) -> Result<bool, StoreError> {
    let moved = connection
        .prepare_cached("UPDATE message SET state = 'failed', finished_at = ?2, reason = ?3 WHERE id = ?1 AND state = 'processing'")
        .and_then(|mut statement| statement.execute(params![id.to_string(), now.0, reason]))
        .map_err(StoreError::sqlite("fail the message"))?;
    record(connection, id, now, MessageState::Failed.name(), Some(reason))?;
    Ok(moved == 1)
}

/// Notes what was done with a message so far: it stands whatever ends the message.
pub fn note_progress(
    connection: &Connection,
    id: MessageId,
    counts: &RowCounts,
    findings: u64,
    refused_file: Option<&str>,
) -> Result<(), StoreError> {
    connection
        .prepare_cached(
            "UPDATE message SET rows_read = max(rows_read, ?2), rows_inserted = max(rows_inserted, ?3), rows_updated = max(rows_updated, ?4),
             rows_unchanged = max(rows_unchanged, ?5), rows_refused = max(rows_refused, ?6), findings = max(findings, ?7),
             refused_file = coalesce(?8, refused_file) WHERE id = ?1 AND state = 'processing'",
        )
        .and_then(|mut statement| {
            statement.execute(params![
                id.to_string(),
                counts.read,
                counts.inserted,
                counts.updated,
                counts.unchanged,
                counts.refused,
                findings,
                refused_file
            ])
        })
        .map(|_| ())
        .map_err(StoreError::sqlite("note what is loaded"))
}

/// Hands out the oldest waiting message of an export job under a lease, with a new pop receipt.
pub fn dequeue(
    connection: &Connection,
    activity: ActivityId,
    receipt: &PopReceipt,
    lease_until: Timestamp,
    now: Timestamp,
) -> Result<Option<(Message, Option<Timestamp>)>, StoreError> {
    let failed = StoreError::sqlite("dequeue");
    let head: Option<(String, Option<i64>)> = connection
        .prepare_cached(
            "SELECT id, last_dequeued_at FROM message WHERE activity_id = ?1 AND state IN ('queued', 'enqueued') AND state = 'enqueued'
             AND (file IS NOT NULL OR segment IS NOT NULL) ORDER BY id LIMIT 1",
        )
        .and_then(|mut statement| statement.query_row([activity.to_string()], |row| Ok((row.get(0)?, row.get(1)?))).optional())
        .map_err(&failed)?;
    let Some((id, before)) = head else { return Ok(None) };
    let message = connection
        .prepare_cached(&format!(
            "UPDATE message SET state = 'dequeued', pop_receipt = ?2, lease_until = ?3, last_dequeued_at = ?4, attempts = attempts + 1,
             started_at = coalesce(started_at, ?4) WHERE id = ?1 AND state = 'enqueued' RETURNING {COLUMNS}"
        ))
        .and_then(|mut statement| statement.query_row(params![id, receipt.0, lease_until.0, now.0], read_message))
        .map_err(&failed)??;
    record(connection, message.id, now, "dequeued", None)?;
    Ok(Some((message, before.map(Timestamp))))
}

/// What became of an ack.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Acked {
    /// It is final now.
    Now,
    /// The same receipt was acked before: fine (CONTRACT §1.5).
    Before,
    /// Another dequeue holds it, or it was taken out of the queue.
    NotLatest,
    /// This job has no such message.
    Unknown,
}

/// Confirms a message: id, pop receipt and state in one WHERE, so that a late client can not remove what another now holds.
pub fn ack(
    connection: &Connection,
    activity: ActivityId,
    id: MessageId,
    receipt: &PopReceipt,
    now: Timestamp,
) -> Result<Acked, StoreError> {
    let failed = StoreError::sqlite("ack");
    let moved = connection
        .prepare_cached(
            "UPDATE message SET state = 'acked', finished_at = ?4, lease_until = NULL
             WHERE id = ?1 AND activity_id = ?2 AND pop_receipt = ?3 AND state IN ('dequeued', 'downloaded', 'enqueued')",
        )
        .and_then(|mut statement| statement.execute(params![id.to_string(), activity.to_string(), receipt.0, now.0]))
        .map_err(&failed)?;
    if moved == 1 {
        increments::acked(connection, id)?;
        record(connection, id, now, "acked", None)?;
        return Ok(Acked::Now);
    }
    let found: Option<(String, Option<String>)> = connection
        .query_row(
            "SELECT state, pop_receipt FROM message WHERE id = ?1 AND activity_id = ?2",
            [id.to_string(), activity.to_string()],
            |row| Ok((row.get(0)?, row.get(1)?)),
        )
        .optional()
        .map_err(&failed)?;
    Ok(match found {
        None => Acked::Unknown,
        Some((state, Some(held))) if state == "acked" && held == receipt.0 => Acked::Before,
        Some(_) => Acked::NotLatest,
    })
}

/// Its document was fetched; says nothing of other states.
pub fn mark_downloaded(connection: &Connection, id: MessageId, now: Timestamp) -> Result<(), StoreError> {
    let moved = connection
        .prepare_cached("UPDATE message SET state = 'downloaded' WHERE id = ?1 AND state = 'dequeued'")
        .and_then(|mut statement| statement.execute([id.to_string()]))
        .map_err(StoreError::sqlite("mark the message downloaded"))?;
    if moved == 1 { record(connection, id, now, "downloaded", None) } else { Ok(()) }
}

/// Messages whose lease is over go back to the head of their queues; returns them.
pub fn return_leases(connection: &Connection, now: Timestamp) -> Result<Vec<MessageId>, StoreError> {
    let ids = connection
        .prepare_cached("UPDATE message SET state = 'enqueued', lease_until = NULL WHERE lease_until <= ?1 AND state IN ('dequeued', 'downloaded') RETURNING id")
        .and_then(|mut statement| statement.query_map([now.0], |row| row.get::<_, String>(0))?.collect::<Result<Vec<_>, _>>())
        .map_err(StoreError::sqlite("return leases"))?;
    let ids = ids.iter().map(|id| parse_id(id)).collect::<Result<Vec<_>, _>>()?;
    for id in &ids {
        record(connection, *id, now, "lease over", Some("not acked in time: offered again"))?;
    }
    Ok(ids)
}

/// A person takes a message out of the queue; `false` when its state does not allow it.
pub fn cancel(connection: &Connection, id: MessageId, by: &str, now: Timestamp) -> Result<bool, StoreError> {
    let moved = connection
        .execute(
            "UPDATE message SET state = 'cancelled', finished_at = ?2, lease_until = NULL, next_try_at = NULL, reason = ?3
             WHERE id = ?1 AND state IN ('queued', 'enqueued', 'dequeued', 'downloaded')",
            params![id.to_string(), now.0, format!("cancelled by {by}")],
        )
        .map_err(StoreError::sqlite("cancel the message"))?;
    if moved == 1 {
        increments::given_up(connection, id)?;
        record(connection, id, now, "cancelled", Some(by))?;
    }
    Ok(moved == 1)
}

/// A person offers an export message again at once; `false` when its state or its pruned payload does not allow it. Earlier pop receipts end.
pub fn release(connection: &Connection, id: MessageId, by: &str, now: Timestamp) -> Result<bool, StoreError> {
    let moved = connection
        .execute(
            "UPDATE message SET state = 'enqueued', finished_at = NULL, lease_until = NULL, pop_receipt = NULL
             WHERE id = ?1 AND state IN ('dequeued', 'downloaded', 'acked') AND (file IS NOT NULL OR segment IS NOT NULL)",
            [id.to_string()],
        )
        .map_err(StoreError::sqlite("release the message"))?;
    if moved == 1 {
        record(connection, id, now, "released", Some(by))?;
    }
    Ok(moved == 1)
}

/// Notes on a message that another repeats it.
pub fn mark_replayed(connection: &Connection, id: MessageId, by: MessageId, who: &str, now: Timestamp) -> Result<(), StoreError> {
    connection
        .execute("UPDATE message SET replayed_by = ?2 WHERE id = ?1", [id.to_string(), by.to_string()])
        .map_err(StoreError::sqlite("mark the message replayed"))?;
    record(connection, id, now, "replayed", Some(who))
}
