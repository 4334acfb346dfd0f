//! Which changes of an entity a job's consumer has: the watermark, which moves only when a message is acked, and the increments on offer behind it.
//!
//! An increment holds the changes of the epochs after one and up to another. The next one begins where the last that is acked or on offer ends; one that
//! is given up leaves a gap, and the next begins there again. So nothing is lost around dequeue and ack, whatever becomes of a message.

use rusqlite::{Connection, OptionalExtension, params};
use sha2::{Digest, Sha256};

use super::StoreError;
use crate::model::id::{ActivityId, ApplicationId, MessageId};
use crate::model::time::Timestamp;

/// Changes that a message offers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Increment {
    /// The entity's name.
    pub entity: String,
    /// The epoch before the first; 0 for everything.
    pub after: u64,
    /// The last epoch.
    pub epoch: u64,
}

/// Where a job stands with an entity.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Standing {
    /// The entity's name.
    pub entity: String,
    /// Changes up to this export were acked; `None` before the first.
    pub acked_as_of: Option<Timestamp>,
    /// Messages on offer behind it, oldest first.
    pub waiting: Vec<MessageId>,
}

/// The name under which a client's packages of a project are counted: an increment of the package API is the client's once it has fetched the package
/// (CONTRACT §1.6). A GUID of version 8, so that it is told from a job's activity id.
pub fn package_consumer(application: ApplicationId, project: &str) -> ActivityId {
    let digest = Sha256::digest(format!("packages of {}\n{application}", project.to_lowercase()).as_bytes());
    let mut bytes = [0u8; 16];
    bytes.copy_from_slice(&digest[..16]);
    ActivityId(uuid::Builder::from_bytes(bytes).with_version(uuid::Version::Custom).with_variant(uuid::Variant::RFC4122).into_uuid())
}

/// Which clients take packages of an entity's changes.
pub fn package_consumers(connection: &Connection, entity: &str) -> Result<Vec<ActivityId>, rusqlite::Error> {
    let all: Vec<String> = connection
        .prepare_cached("SELECT activity_id FROM watermark WHERE entity = ?1 UNION SELECT activity_id FROM increment WHERE entity = ?1")?
        .query_map([entity], |row| row.get(0))?
        .collect::<Result<_, _>>()?;
    Ok(all.iter().filter_map(|id| id.parse::<ActivityId>().ok()).filter(|id| id.0.get_version_num() == 8).collect())
}

/// Whether something on offer is with this message, or this package.
pub fn is_on_offer(connection: &Connection, message: MessageId) -> Result<bool, rusqlite::Error> {
    connection
        .prepare_cached("SELECT EXISTS (SELECT 1 FROM increment WHERE message_id = ?1 AND acked = 0)")?
        .query_row([message.to_string()], |row| row.get(0))
}

/// Forgets clients of the package API that have fetched nothing since `before`: the next package is a full one, and no log is kept for them.
pub fn forget_clients(connection: &Connection, before: Timestamp) -> Result<(), StoreError> {
    // The version stands at the fifteenth character of a GUID. What is on offer goes with its blob.
    connection
        .execute("DELETE FROM watermark WHERE as_of < ?1 AND substr(activity_id, 15, 1) = '8'", [before.0])
        .map(|_| ())
        .map_err(StoreError::sqlite("forget clients of packages"))
}

/// The epoch after which the next increment begins; 0 for everything.
pub fn next_after(connection: &Connection, activity: ActivityId, entity: &str) -> Result<u64, rusqlite::Error> {
    let mut after = watermark(connection, activity, entity)?;
    let mut statement =
        connection.prepare_cached("SELECT after_epoch, epoch FROM increment WHERE activity_id = ?1 AND entity = ?2 ORDER BY epoch")?;
    let increments =
        statement.query_map(params![activity.to_string(), entity], |row| Ok((row.get::<_, u64>(0)?, row.get::<_, u64>(1)?)))?;
    for increment in increments {
        let (from, to) = increment?;
        if from <= after {
            after = after.max(to);
        }
    }
    Ok(after)
}

fn watermark(connection: &Connection, activity: ActivityId, entity: &str) -> Result<u64, rusqlite::Error> {
    connection
        .prepare_cached("SELECT epoch FROM watermark WHERE activity_id = ?1 AND entity = ?2")?
        .query_row(params![activity.to_string(), entity], |row| row.get(0))
        .optional()
        .map(Option::unwrap_or_default)
}

/// The epoch up to which all consumers of a table, each a job and the entity's name, have its changes: the log before it is needed no more.
pub fn lowest_watermark(connection: &Connection, consumers: &[(ActivityId, &str)]) -> Result<u64, rusqlite::Error> {
    let all: Result<Vec<u64>, _> = consumers.iter().map(|(activity, entity)| watermark(connection, *activity, entity)).collect();
    Ok(all?.into_iter().min().unwrap_or(0))
}

/// Notes what a message offers, in the transaction that enqueues it.
pub fn offer(
    connection: &Connection,
    activity: ActivityId,
    message: MessageId,
    increment: &Increment,
    as_of: Timestamp,
) -> Result<(), StoreError> {
    connection
        .prepare_cached(
            "INSERT INTO increment (activity_id, entity, after_epoch, epoch, message_id, as_of) VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
        )
        .and_then(|mut statement| {
            statement.execute(params![
                activity.to_string(),
                increment.entity,
                increment.after,
                increment.epoch,
                message.to_string(),
                as_of.0
            ])
        })
        .map(|_| ())
        .map_err(StoreError::sqlite("note the increment"))
}

/// A message was acked: the watermark moves over its increments, and over those behind them that were acked earlier.
pub fn acked(connection: &Connection, message: MessageId) -> Result<(), StoreError> {
    let failed = StoreError::sqlite("move the watermark");
    let moved = connection
        .prepare_cached("UPDATE increment SET acked = 1 WHERE message_id = ?1 RETURNING activity_id, entity")
        .and_then(|mut statement| statement.query_map([message.to_string()], |row| Ok((row.get(0)?, row.get(1)?)))?.collect())
        .map_err(&failed)?;
    let moved: Vec<(String, String)> = moved;
    for (activity, entity) in moved {
        loop {
            let next: Option<(u64, i64)> = connection
                .prepare_cached(
                    "SELECT epoch, as_of FROM increment WHERE activity_id = ?1 AND entity = ?2 AND acked = 1 AND after_epoch <=
                       coalesce((SELECT epoch FROM watermark WHERE activity_id = ?1 AND entity = ?2), 0) ORDER BY epoch LIMIT 1",
                )
                .and_then(|mut statement| statement.query_row([&activity, &entity], |row| Ok((row.get(0)?, row.get(1)?))).optional())
                .map_err(&failed)?;
            let Some((epoch, as_of)) = next else { break };
            connection
                .prepare_cached(
                    "INSERT INTO watermark (activity_id, entity, epoch, as_of) VALUES (?1, ?2, ?3, ?4)
                     ON CONFLICT DO UPDATE SET epoch = excluded.epoch, as_of = excluded.as_of WHERE excluded.epoch > epoch",
                )
                .and_then(|mut statement| statement.execute(params![activity, entity, epoch, as_of]))
                .and_then(|_| connection.prepare_cached("DELETE FROM increment WHERE activity_id = ?1 AND entity = ?2 AND epoch = ?3"))
                .and_then(|mut statement| statement.execute(params![activity, entity, epoch]))
                .map_err(&failed)?;
        }
    }
    Ok(())
}

/// A message was given up: what it held is offered again by the next run.
pub(super) fn given_up(connection: &Connection, message: MessageId) -> Result<(), StoreError> {
    connection
        .prepare_cached("DELETE FROM increment WHERE message_id = ?1")
        .and_then(|mut statement| statement.execute([message.to_string()]))
        .map(|_| ())
        .map_err(StoreError::sqlite("give the increments up"))
}

/// The next export of a job holds everything again, of one entity or of all; messages on offer stay so.
pub fn reset(connection: &Connection, activity: ActivityId, entity: Option<&str>) -> Result<(), StoreError> {
    for table in ["watermark", "increment"] {
        connection
            .execute(
                &format!("DELETE FROM {table} WHERE activity_id = ?1 AND (?2 IS NULL OR entity = ?2)"),
                params![activity.to_string(), entity],
            )
            .map_err(StoreError::sqlite("reset the watermark"))?;
    }
    Ok(())
}

/// Where a job stands, with each entity that it has exported incrementally.
pub fn standings(connection: &Connection, activity: ActivityId) -> Result<Vec<Standing>, rusqlite::Error> {
    let mut statement = connection.prepare_cached(
        "SELECT entity, max(as_of), max(message_id) FROM (
           SELECT entity, as_of, NULL AS message_id, 0 AS epoch FROM watermark WHERE activity_id = ?1
           UNION ALL SELECT entity, NULL, message_id, epoch FROM increment WHERE activity_id = ?1 AND acked = 0)
         GROUP BY entity, message_id ORDER BY entity, message_id IS NOT NULL, min(epoch)",
    )?;
    let rows = statement.query_map([activity.to_string()], |row| {
        Ok((row.get::<_, String>(0)?, row.get::<_, Option<i64>>(1)?, row.get::<_, Option<String>>(2)?))
    })?;
    let mut standings: Vec<Standing> = Vec::new();
    for row in rows {
        let (entity, as_of, message) = row?;
        if standings.last().is_none_or(|last| last.entity != entity) {
            standings.push(Standing { entity, acked_as_of: None, waiting: Vec::new() });
        }
        let last = standings.last_mut().expect("one was just added");
        last.acked_as_of = last.acked_as_of.or(as_of.map(Timestamp));
        last.waiting.extend(message.and_then(|id| id.parse::<MessageId>().ok()));
    }
    Ok(standings)
}
