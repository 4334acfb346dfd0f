//! Which changes of an entity a job's consumer has: the watermark, which moves only when a message is acked, and the increments on offer behind it.
//!
//! An increment holds the changes of the epochs after one and up to another. The next one begins where the last that is acked or on offer ends; one that
//! is given up leaves a gap, and the next begins there again. So nothing is lost around dequeue and ack, whatever becomes of a message. None is offered
//! again once a later one was acked: it would bring back what has changed since. It is replaced by an increment that begins where it began.

use rusqlite::{Connection, OptionalExtension, params};
use sha2::{Digest, Sha256};

use super::{StoreError, messages};
use crate::model::entity::Entity;
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
    /// The mark of that epoch, by which the database is known again ([`crate::store::changes`]).
    pub mark: i64,
    /// Which fields and rows were selected ([`crate::model::project::ProjectEntity::selection`]).
    pub selection: String,
    /// Why it holds everything although the consumer had exports before.
    pub anew: Option<String>,
}

/// How far a consumer has an entity's changes, what is on offer counted in.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Reached {
    /// The last epoch; 0 for none.
    pub epoch: u64,
    /// The mark of that epoch; none was kept by earlier versions.
    pub mark: Option<i64>,
    /// Which fields and rows were selected; not kept by earlier versions.
    pub selection: Option<String>,
}

/// Where a job stands with an entity.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Standing {
    /// The entity's name.
    pub entity: String,
    /// Changes up to this export were acked; `None` before the first.
    pub acked_as_of: Option<Timestamp>,
    /// Why its latest export held everything again; `None` when it held what changed.
    pub anew: Option<String>,
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
        .prepare_cached("SELECT EXISTS (SELECT 1 FROM increment WHERE message_id = ?1 AND acked = 0 AND void = 0)")?
        .query_row([message.to_string()], |row| row.get(0))
}

/// Forgets clients of the package API that have fetched nothing since `before`: the next package is a full one, and no log is kept for them.
pub fn forget_clients(connection: &Connection, before: Timestamp) -> Result<(), StoreError> {
    // The version stands at the fifteenth character of a GUID. What is on offer goes with its blob; what was fetched before one that comes earlier has none
    // any more.
    for rows in ["watermark WHERE", "increment WHERE acked = 1 AND"] {
        let sql = format!("DELETE FROM {rows} as_of < ?1 AND substr(activity_id, 15, 1) = '8'");
        connection.execute(&sql, [before.0]).map_err(StoreError::sqlite("forget clients of packages"))?;
    }
    Ok(())
}

/// Where the next increment begins.
pub fn reached(connection: &Connection, activity: ActivityId, entity: &str) -> Result<Reached, rusqlite::Error> {
    let read = |row: &rusqlite::Row<'_>| Ok(Reached { epoch: row.get(0)?, mark: row.get(1)?, selection: row.get(2)? });
    let mut reached = connection
        .prepare_cached("SELECT epoch, mark, selection FROM watermark WHERE activity_id = ?1 AND entity = ?2")?
        .query_row(params![activity.to_string(), entity], read)
        .optional()?
        .unwrap_or_default();
    let mut statement = connection.prepare_cached(
        "SELECT epoch, mark, selection, after_epoch FROM increment WHERE activity_id = ?1 AND entity = ?2 AND void = 0 ORDER BY epoch",
    )?;
    let increments = statement.query_map(params![activity.to_string(), entity], |row| Ok((read(row)?, row.get::<_, u64>(3)?)))?;
    for increment in increments {
        let (to, after) = increment?;
        if after <= reached.epoch && to.epoch > reached.epoch {
            reached = to;
        }
    }
    Ok(reached)
}

/// What consumers have of an entity under a name that it had before, one of its aliases or its name in other capitals, they have under its name from now
/// on; not those who have something under that already.
pub fn adopt(connection: &Connection, entity: &Entity) -> Result<(), StoreError> {
    let failed = StoreError::sqlite("adopt what consumers have");
    for earlier in entity.aliases.iter().chain([&entity.name]) {
        let consumers: Vec<String> = connection
            .prepare_cached(
                "SELECT activity_id FROM watermark WHERE entity = ?1 COLLATE NOCASE AND entity <> ?2
                 UNION SELECT activity_id FROM increment WHERE entity = ?1 COLLATE NOCASE AND entity <> ?2
                 EXCEPT SELECT activity_id FROM watermark WHERE entity = ?2 EXCEPT SELECT activity_id FROM increment WHERE entity = ?2",
            )
            .and_then(|mut statement| statement.query_map([earlier, &entity.name], |row| row.get(0))?.collect())
            .map_err(&failed)?;
        for consumer in consumers {
            for table in ["watermark", "increment"] {
                let sql = format!(
                    "UPDATE OR REPLACE {table} SET entity = ?1 WHERE activity_id = ?2 AND entity = ?3 COLLATE NOCASE AND entity <> ?1"
                );
                connection.execute(&sql, [&entity.name, &consumer, earlier]).map_err(&failed)?;
            }
        }
    }
    Ok(())
}

/// What the consumers of a table need of its database.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Needs {
    /// All of them have the changes up to this epoch: the log before it is needed no more.
    pub after: u64,
    /// Epochs up to which one of them has the changes, or will have them, and whose marks it will ask for.
    pub epochs: Vec<u64>,
}

/// What consumers of a table need, each a job and the entity's name.
pub fn needs(connection: &Connection, consumers: &[(ActivityId, &str)]) -> Result<Needs, rusqlite::Error> {
    let mut statement = connection.prepare_cached(
        "SELECT epoch, 1 FROM watermark WHERE activity_id = ?1 AND entity = ?2
         UNION ALL SELECT epoch, 0 FROM increment WHERE activity_id = ?1 AND entity = ?2 AND void = 0",
    )?;
    let (mut after, mut epochs) = (None::<u64>, Vec::new());
    for (activity, entity) in consumers {
        let mut own = 0;
        let rows = statement.query_map(params![activity.to_string(), entity], |row| Ok((row.get::<_, u64>(0)?, row.get::<_, bool>(1)?)))?;
        for row in rows {
            let (epoch, acked) = row?;
            epochs.push(epoch);
            own = if acked { epoch } else { own };
        }
        after = Some(after.map_or(own, |after| after.min(own)));
    }
    Ok(Needs { after: after.unwrap_or(0), epochs })
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
            // What is in its place is of another database.
            "INSERT OR REPLACE INTO increment (activity_id, entity, after_epoch, epoch, message_id, as_of, mark, selection, anew)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
        )
        .and_then(|mut statement| {
            statement.execute(params![
                activity.to_string(),
                increment.entity,
                increment.after,
                increment.epoch,
                message.to_string(),
                as_of.0,
                increment.mark,
                increment.selection,
                increment.anew,
            ])
        })
        .map(|_| ())
        .map_err(StoreError::sqlite("note the increment"))
}

/// A run found nothing for the consumer, and made no message: the watermark moves over what it looked at, where nothing is on offer whose ack it would
/// pass. Otherwise a consumer that never gets a message would keep the log of changes for ever.
pub fn pass_over(connection: &Connection, activity: ActivityId, increment: &Increment, as_of: Timestamp) -> Result<(), StoreError> {
    connection
        .prepare_cached(
            "INSERT INTO watermark (activity_id, entity, epoch, as_of, mark, selection, anew)
             SELECT ?1, ?2, ?4, ?5, ?6, ?7, NULL
             WHERE NOT EXISTS (SELECT 1 FROM increment WHERE activity_id = ?1 AND entity = ?2 AND void = 0)
               AND ?3 = coalesce((SELECT epoch FROM watermark WHERE activity_id = ?1 AND entity = ?2), 0)
             ON CONFLICT DO UPDATE SET epoch = excluded.epoch, as_of = excluded.as_of, mark = excluded.mark, selection = excluded.selection,
               anew = excluded.anew",
        )
        .and_then(|mut statement| {
            statement.execute(params![
                activity.to_string(),
                increment.entity,
                increment.after,
                increment.epoch,
                as_of.0,
                increment.mark,
                increment.selection
            ])
        })
        .map(|_| ())
        .map_err(StoreError::sqlite("move the watermark over what was not sent"))
}

/// A message was acked: the watermark moves over its increments, and over those behind them that were acked earlier.
pub fn acked(connection: &Connection, message: MessageId) -> Result<(), StoreError> {
    let failed = StoreError::sqlite("move the watermark");
    connection
        .prepare_cached("DELETE FROM increment WHERE message_id = ?1 AND void = 1")
        .and_then(|mut statement| statement.execute([message.to_string()]))
        .map_err(&failed)?;
    let moved = connection
        .prepare_cached("UPDATE increment SET acked = 1 WHERE message_id = ?1 RETURNING activity_id, entity")
        .and_then(|mut statement| statement.query_map([message.to_string()], |row| Ok((row.get(0)?, row.get(1)?)))?.collect())
        .map_err(&failed)?;
    let moved: Vec<(String, String)> = moved;
    for (activity, entity) in moved {
        loop {
            let next: Option<u64> = connection
                .prepare_cached(
                    "SELECT epoch FROM increment WHERE activity_id = ?1 AND entity = ?2 AND acked = 1 AND void = 0 AND after_epoch <=
                       coalesce((SELECT epoch FROM watermark WHERE activity_id = ?1 AND entity = ?2), 0) ORDER BY epoch LIMIT 1",
                )
                .and_then(|mut statement| statement.query_row([&activity, &entity], |row| row.get(0)).optional())
                .map_err(&failed)?;
            let Some(epoch) = next else { break };
            connection
                .prepare_cached(
                    "INSERT INTO watermark (activity_id, entity, epoch, as_of, mark, selection, anew)
                     SELECT activity_id, entity, epoch, as_of, mark, selection, anew FROM increment
                     WHERE activity_id = ?1 AND entity = ?2 AND epoch = ?3
                     ON CONFLICT DO UPDATE SET epoch = excluded.epoch, as_of = excluded.as_of, mark = excluded.mark, selection = excluded.selection,
                       anew = excluded.anew WHERE excluded.epoch > watermark.epoch",
                )
                .and_then(|mut statement| statement.execute(params![activity, entity, epoch]))
                .and_then(|_| connection.prepare_cached("DELETE FROM increment WHERE activity_id = ?1 AND entity = ?2 AND epoch = ?3"))
                .and_then(|mut statement| statement.execute(params![activity, entity, epoch]))
                .map_err(&failed)?;
        }
    }
    Ok(())
}

/// A message was given up: what it held is offered again by the next run. What was acked before is the consumer's, whatever becomes of the message.
pub(super) fn given_up(connection: &Connection, message: MessageId) -> Result<(), StoreError> {
    connection
        .prepare_cached("DELETE FROM increment WHERE message_id = ?1 AND acked = 0")
        .and_then(|mut statement| statement.execute([message.to_string()]))
        .map(|_| ())
        .map_err(StoreError::sqlite("give the increments up"))
}

/// The next export of a job holds everything again, of one entity or of all; messages on offer stay so, and move nothing when they are acked.
pub fn reset(connection: &Connection, activity: ActivityId, entity: Option<&str>) -> Result<(), StoreError> {
    // What is void gives its epoch free: another database may count to the same.
    for (sql, which) in [
        ("DELETE FROM watermark", "1"),
        ("DELETE FROM increment", "acked = 1"),
        ("UPDATE OR REPLACE increment SET void = 1, epoch = -as_of", "void = 0"),
    ] {
        connection
            .execute(
                &format!("{sql} WHERE activity_id = ?1 AND (?2 IS NULL OR entity = ?2) AND {which}"),
                params![activity.to_string(), entity],
            )
            .map_err(StoreError::sqlite("reset the watermark"))?;
    }
    Ok(())
}

/// What the next dequeue of an incremental job has to do first.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Overtaken {
    /// Messages that were taken out of the queue, because a later one was acked.
    pub replaced: Vec<MessageId>,
    /// What they held is not on offer any more: an export takes it again.
    pub again: bool,
    /// Nothing is handed out yet: a later message is in the consumer's hands.
    pub held: bool,
}

/// Keeps increments in order where a lease ended: the message that is next in the queue, and was handed out before, waits for later ones that the
/// consumer still holds. When one of them was acked it is not handed out again: it would take back what the later one brought.
pub fn settle_overtaken(connection: &Connection, activity: ActivityId, now: Timestamp) -> Result<Overtaken, StoreError> {
    let failed = StoreError::sqlite("look for overtaken increments");
    let mut overtaken = Overtaken::default();
    loop {
        // A released message has no pop receipt, and an acked one no increment: both are handed out on a person's wish.
        let head: Option<(String, bool)> = connection
            .prepare_cached(
                "SELECT id, pop_receipt IS NOT NULL AND EXISTS (SELECT 1 FROM increment WHERE message_id = message.id AND acked = 0) FROM message
                 WHERE activity_id = ?1 AND state IN ('queued', 'enqueued') AND state = 'enqueued' ORDER BY id LIMIT 1",
            )
            .and_then(|mut statement| statement.query_row([activity.to_string()], |row| Ok((row.get(0)?, row.get(1)?))).optional())
            .map_err(&failed)?;
        let Some((head, true)) = head else { return Ok(overtaken) };
        let (in_hand, acked): (bool, bool) = connection
            .prepare_cached(
                "SELECT coalesce(max(state IN ('dequeued', 'downloaded')), 0), coalesce(max(state = 'acked'), 0) FROM message
                 WHERE activity_id = ?1 AND id > ?2",
            )
            .and_then(|mut statement| statement.query_row([&activity.to_string(), &head], |row| Ok((row.get(0)?, row.get(1)?))))
            .map_err(&failed)?;
        overtaken.held = in_hand;
        if in_hand || !acked {
            return Ok(overtaken);
        }
        let id = messages::parse_id(&head)?;
        overtaken.again |= connection
            .prepare_cached("SELECT EXISTS (SELECT 1 FROM increment WHERE message_id = ?1 AND void = 0)")
            .and_then(|mut statement| statement.query_row([&head], |row| row.get::<_, bool>(0)))
            .map_err(&failed)?;
        messages::cancel(
            connection,
            id,
            "the appliance: its lease ended, and a later one was acked; the next export holds its changes",
            now,
        )?;
        overtaken.replaced.push(id);
    }
}

/// Where a job stands, with each entity that it has exported incrementally.
pub fn standings(connection: &Connection, activity: ActivityId) -> Result<Vec<Standing>, rusqlite::Error> {
    let mut statement = connection.prepare_cached(
        "SELECT entity, as_of, NULL AS message_id, 0 AS epoch, anew FROM watermark WHERE activity_id = ?1
         UNION ALL SELECT entity, NULL, message_id, epoch, anew FROM increment WHERE activity_id = ?1 AND acked = 0 AND void = 0
         ORDER BY entity, epoch",
    )?;
    let rows = statement.query_map([activity.to_string()], |row| {
        Ok((row.get::<_, String>(0)?, row.get::<_, Option<i64>>(1)?, row.get::<_, Option<String>>(2)?, row.get::<_, Option<String>>(4)?))
    })?;
    let mut standings: Vec<Standing> = Vec::new();
    for row in rows {
        let (entity, as_of, message, anew) = row?;
        if standings.last().is_none_or(|last| last.entity != entity) {
            standings.push(Standing { entity, acked_as_of: None, anew: None, waiting: Vec::new() });
        }
        let last = standings.last_mut().expect("one was just added");
        last.acked_as_of = last.acked_as_of.or(as_of.map(Timestamp));
        last.anew = anew;
        last.waiting.extend(message.and_then(|id| id.parse::<MessageId>().ok()));
    }
    Ok(standings)
}
