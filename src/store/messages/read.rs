//! What is read of messages: one, a list, what is due, what became of one.

use rusqlite::{Connection, OptionalExtension, Row};

use crate::model::execution::RowCounts;
use crate::model::id::{ActivityId, ExecutionId, MessageId, PopReceipt};
use crate::model::message::{Content, Message, PayloadPlace};
use crate::model::project::Direction;
use crate::model::state::MessageState;
use crate::model::time::Timestamp;
use crate::store::{Cause, StoreError};

/// When the next lease ends or the next deferred message is due, whichever is first.
pub fn next_due(connection: &Connection) -> Result<Option<Timestamp>, rusqlite::Error> {
    let lease: Option<i64> = connection
        .prepare_cached("SELECT lease_until FROM message WHERE lease_until IS NOT NULL ORDER BY lease_until LIMIT 1")?
        .query_row([], |row| row.get(0))
        .optional()?;
    let retry: Option<i64> = connection
        .prepare_cached("SELECT next_try_at FROM message WHERE next_try_at IS NOT NULL ORDER BY next_try_at LIMIT 1")?
        .query_row([], |row| row.get(0))
        .optional()?;
    Ok([lease, retry].into_iter().flatten().min().map(Timestamp))
}

/// One message by id.
pub fn find(connection: &Connection, id: MessageId) -> Result<Option<Message>, rusqlite::Error> {
    connection
        .prepare_cached(&format!("SELECT {COLUMNS} FROM message WHERE id = ?1"))?
        .query_row([id.to_string()], read_message)
        .optional()
        .map(|found| found.and_then(Result::ok))
}

/// The message whose execution this is.
pub fn of_execution(connection: &Connection, execution: &str) -> Result<Option<MessageId>, rusqlite::Error> {
    let id: Option<Option<String>> =
        connection.query_row("SELECT message_id FROM execution WHERE id = ?1", [execution], |row| row.get(0)).optional()?;
    Ok(id.flatten().and_then(|id| id.parse().ok()))
}

/// Which messages a grid shows.
#[derive(Clone, Debug, Default)]
pub struct Selection {
    /// Of one job only.
    pub activity_id: Option<ActivityId>,
    /// In one state only.
    pub state: Option<MessageState>,
    /// That need a person: in a state that needs attention and not replayed, or put off [`ATTEMPTS_UNSEEN`](crate::model::retry::ATTEMPTS_UNSEEN)
    /// times.
    pub attention: bool,
    /// Older than this one (keyset paging).
    pub before: Option<MessageId>,
    /// At most this many.
    pub limit: u32,
}

/// Messages, newest first.
pub fn list(connection: &Connection, selection: &Selection) -> Result<Vec<Message>, rusqlite::Error> {
    let mut sql = format!("SELECT {COLUMNS} FROM message WHERE 1");
    let mut values: Vec<String> = Vec::new();
    let mut condition = |text: &str, value: String| {
        values.push(value);
        sql.push_str(&text.replace('?', &format!("?{}", values.len())));
    };
    if let Some(activity) = selection.activity_id {
        condition(" AND activity_id = ?", activity.to_string());
    }
    if let Some(state) = selection.state {
        condition(" AND state = ?", state.name().to_owned());
    }
    if let Some(before) = selection.before {
        condition(" AND id < ?", before.to_string());
    }
    if selection.attention {
        // As the index has it.
        sql.push_str(
            " AND (state IN ('processed_with_errors', 'refused', 'failed') AND replayed_by IS NULL OR state = 'queued' AND attempts >= 8)",
        );
    }
    sql.push_str(&format!(" ORDER BY id DESC LIMIT {}", selection.limit));
    let mut statement = connection.prepare_cached(&sql)?;
    let rows = statement.query_map(rusqlite::params_from_iter(values), read_message)?;
    rows.filter_map(|row| match row {
        Ok(Ok(message)) => Some(Ok(message)),
        Ok(Err(damaged)) => {
            log::error!("{damaged}");
            None
        }
        Err(error) => Some(Err(error)),
    })
    .collect()
}

/// An event of a message's timeline.
#[derive(Clone, Debug, PartialEq)]
pub struct Event {
    /// When.
    pub at: Timestamp,
    /// What, as a past verb.
    pub event: String,
    /// More, for people.
    pub detail: Option<String>,
}

/// A message's timeline, oldest first, at most 500 events.
pub fn timeline(connection: &Connection, id: MessageId) -> Result<Vec<Event>, rusqlite::Error> {
    connection
        .prepare_cached("SELECT at, event, detail FROM event WHERE message_id = ?1 ORDER BY rowid LIMIT 500")?
        .query_map([id.to_string()], |row| Ok(Event { at: Timestamp(row.get(0)?), event: row.get(1)?, detail: row.get(2)? }))?
        .collect()
}

pub(super) const COLUMNS: &str = "id, activity_id, direction, state, entity, company, external_id, application_id, size, sha256, checksum, segment, \
     segment_offset, file, received_at, started_at, finished_at, attempts, next_try_at, lease_until, pop_receipt, last_dequeued_at, \
     execution_id, rows_read, rows_inserted, rows_updated, rows_unchanged, rows_refused, findings, reason, replay_of, replayed_by, refused_file, content, stage_only, continues";

pub(in crate::store) fn parse_id(text: &str) -> Result<MessageId, StoreError> {
    text.parse().map_err(|_| StoreError {
        operation: "read a message",
        cause: Cause::Damaged(format!("message id \"{text}\" in queue.db is no GUID")),
    })
}

pub(super) fn content(stored: rusqlite::types::ValueRef<'_>) -> Content {
    if stored.as_str().is_ok_and(|content| content == Content::Package.name()) { Content::Package } else { Content::File }
}

/// The inner error is a row that no version of ours wrote.
pub(super) fn read_message(row: &Row<'_>) -> rusqlite::Result<Result<Message, StoreError>> {
    let id: String = row.get(0)?;
    let activity_id: String = row.get(1)?;
    let direction: String = row.get(2)?;
    let state: String = row.get(3)?;
    let application_id: Option<String> = row.get(7)?;
    let segment: Option<u64> = row.get(11)?;
    let offset: Option<u64> = row.get(12)?;
    let file: Option<String> = row.get(13)?;
    let time = |index: usize| -> rusqlite::Result<Option<Timestamp>> { Ok(row.get::<_, Option<i64>>(index)?.map(Timestamp)) };
    let guid =
        |index: usize| -> rusqlite::Result<Option<MessageId>> { Ok(row.get::<_, Option<String>>(index)?.and_then(|id| id.parse().ok())) };
    let damaged = |what: String| StoreError { operation: "read a message", cause: Cause::Damaged(what) };
    let (Ok(parsed_id), Ok(activity_id)) = (id.parse(), activity_id.parse()) else {
        return Ok(Err(damaged(format!("message {id} in queue.db has an id that is no GUID"))));
    };
    let state = match state.parse() {
        Ok(state) => state,
        Err(reason) => return Ok(Err(damaged(format!("message {id} in queue.db: {reason}")))),
    };
    let counts = RowCounts {
        read: row.get(23)?,
        inserted: row.get(24)?,
        updated: row.get(25)?,
        unchanged: row.get(26)?,
        validated: 0,
        refused: row.get(27)?,
    };
    let stage_only = row.get(34)?;
    Ok(Ok(Message {
        id: parsed_id,
        activity_id,
        direction: if direction == "export" { Direction::Export } else { Direction::Import },
        state,
        entity: row.get(4)?,
        company: row.get(5)?,
        external_id: row.get(6)?,
        application_id: application_id.and_then(|id| id.parse().ok()),
        size: row.get(8)?,
        sha256: row.get(9)?,
        checksum: row.get(10)?,
        place: match (segment, offset, file) {
            (Some(segment), Some(offset), _) => PayloadPlace::Segment { segment, offset },
            (_, _, Some(name)) => PayloadPlace::File { name },
            _ => PayloadPlace::Pruned,
        },
        received_at: Timestamp(row.get(14)?),
        started_at: time(15)?,
        finished_at: time(16)?,
        attempts: row.get(17)?,
        next_try_at: time(18)?,
        lease_until: time(19)?,
        pop_receipt: row.get::<_, Option<String>>(20)?.map(PopReceipt),
        last_dequeued_at: time(21)?,
        execution_id: row.get::<_, Option<String>>(22)?.map(ExecutionId),
        counts: counts.with_validated(stage_only),
        findings: row.get(28)?,
        reason: row.get(29)?,
        replay_of: guid(30)?,
        replayed_by: guid(31)?,
        refused_file: row.get(32)?,
        content: content(row.get_ref(33)?),
        stage_only,
        continues: guid(35)?,
    }))
}
