//! What is not kept for ever: payloads after `retention`, everything else of a message after `history`. The row first, then the file: there may
//! be files without rows, never rows without their files.

use rusqlite::{OptionalExtension, params};

use super::messages::record;
use super::{Batch, Store, StoreError};
use crate::model::id::MessageId;
use crate::model::time::Timestamp;

/// Messages of one commit, so that an enqueue never waits long behind a clean-up.
const BLOCK: u32 = 200;

/// What a clean-up did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Pruned {
    /// Payloads removed.
    pub payloads: u64,
    /// Messages forgotten.
    pub messages: u64,
}

/// Removes payloads of messages that ended before `payloads_before`, and forgets messages that ended before `history_before`, with their
/// executions, findings and events; samples likewise.
pub fn prune(
    store: &Store,
    payloads_before: Timestamp,
    history_before: Timestamp,
    now: Timestamp,
    goes_on: &dyn Fn(),
) -> Result<Pruned, StoreError> {
    let mut pruned = Pruned::default();
    loop {
        goes_on();
        let block = store.write("prune payloads", move |batch| prune_payloads(batch, payloads_before, now))?;
        remove(store, &block);
        pruned.payloads += block.messages;
        if block.messages < u64::from(BLOCK) {
            break;
        }
    }
    loop {
        goes_on();
        let count = store.write("forget messages", move |batch| forget(batch, history_before))?;
        pruned.messages += count;
        if count < u64::from(BLOCK) {
            break;
        }
    }
    store.write("forget samples", move |batch| {
        let failed = StoreError::sqlite("forget samples");
        batch.connection.execute("DELETE FROM load_sample WHERE at < ?1", [history_before.0]).map_err(&failed)?;
        // Exports without a message leave only their execution.
        batch
            .connection
            .execute(
                "DELETE FROM execution_entity WHERE execution_id IN
                 (SELECT id FROM execution WHERE started_at < ?1 AND message_id IS NULL AND finished_at IS NOT NULL)",
                [history_before.0],
            )
            .map_err(&failed)?;
        batch
            .connection
            .execute("DELETE FROM execution WHERE started_at < ?1 AND message_id IS NULL AND finished_at IS NOT NULL", [history_before.0])
            .map(|_| ())
            .map_err(&failed)
    })?;
    Ok(pruned)
}

#[derive(Default)]
struct Block {
    messages: u64,
    files: Vec<String>,
    refused: Vec<String>,
    transformed: Vec<String>,
    staging: Vec<String>,
    segments: Vec<u64>,
}

fn prune_payloads(batch: &mut Batch<'_>, before: Timestamp, now: Timestamp) -> Result<Block, StoreError> {
    let failed = StoreError::sqlite("prune payloads");
    let connection = batch.connection;
    let found: Vec<(String, Option<u64>, Option<String>, Option<String>)> = connection
        .prepare_cached(
            "SELECT id, segment, file, refused_file FROM message
             WHERE finished_at IS NOT NULL AND (file IS NOT NULL OR segment IS NOT NULL) AND finished_at < ?1 ORDER BY finished_at LIMIT ?2",
        )
        .and_then(|mut statement| statement.query_map(params![before.0, BLOCK], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?)))?.collect())
        .map_err(&failed)?;
    let mut block = Block { messages: found.len() as u64, ..Block::default() };
    for (id, segment, file, refused) in found {
        connection
            .prepare_cached("UPDATE message SET segment = NULL, segment_offset = NULL, file = NULL, refused_file = NULL WHERE id = ?1")
            .and_then(|mut statement| statement.execute([&id]))
            .map_err(&failed)?;
        if let Some(segment) = segment {
            connection
                .prepare_cached("UPDATE segment SET live = live - 1 WHERE number = ?1")
                .and_then(|mut statement| statement.execute([segment]))
                .map_err(&failed)?;
        }
        if let Ok(id) = id.parse::<MessageId>() {
            record(connection, id, now, "pruned", Some("the payload is no longer kept"))?;
        }
        block.files.extend(file);
        block.refused.extend(refused);
        let of_entities: Vec<[Option<String>; 3]> = connection
            .prepare_cached(
                "SELECT refused_file, transformed_file, staging_file FROM execution_entity WHERE execution_id IN (SELECT id FROM execution WHERE message_id = ?1)",
            )
            .and_then(|mut statement| statement.query_map([&id], |row| Ok([row.get(0)?, row.get(1)?, row.get(2)?]))?.collect())
            .map_err(&failed)?;
        connection
            .prepare_cached(
                "UPDATE execution_entity SET refused_file = NULL, transformed_file = NULL, staging_file = NULL WHERE execution_id IN (SELECT id FROM execution WHERE message_id = ?1)",
            )
            .and_then(|mut statement| statement.execute([&id]))
            .map_err(&failed)?;
        for [refused, transformed, staging] in of_entities {
            block.refused.extend(refused);
            block.transformed.extend(transformed);
            block.staging.extend(staging);
        }
    }
    block.segments = connection
        .prepare_cached("SELECT number FROM segment WHERE live <= 0 AND number < (SELECT max(number) FROM segment)")
        .and_then(|mut statement| statement.query_map([], |row| row.get(0))?.collect())
        .map_err(&failed)?;
    for number in &block.segments {
        connection.execute("DELETE FROM segment WHERE number = ?1", [number]).map_err(&failed)?;
    }
    Ok(block)
}

fn remove(store: &Store, block: &Block) {
    let spool = store.spool();
    let results = block
        .files
        .iter()
        .map(|name| spool.remove_large(name))
        .chain(block.refused.iter().map(|name| spool.remove_refused(name)))
        .chain(block.transformed.iter().map(|name| spool.remove_transformed(name)))
        .chain(block.staging.iter().map(|name| spool.remove_staging(name)))
        .chain(block.segments.iter().map(|number| spool.remove_segment(*number)));
    for error in results.filter_map(Result::err) {
        log::warn!("spool file not removed reason=\"{error}\"; it takes space until it is removed by hand");
    }
}

fn forget(batch: &mut Batch<'_>, before: Timestamp) -> Result<u64, StoreError> {
    let failed = StoreError::sqlite("forget messages");
    let connection = batch.connection;
    let ids: Vec<String> = connection
        .prepare_cached("SELECT id FROM message WHERE finished_at IS NOT NULL AND finished_at < ?1 AND file IS NULL AND segment IS NULL ORDER BY finished_at LIMIT ?2")
        .and_then(|mut statement| statement.query_map(params![before.0, BLOCK], |row| row.get(0))?.collect())
        .map_err(&failed)?;
    for id in &ids {
        for sql in [
            "DELETE FROM finding WHERE execution_id IN (SELECT id FROM execution WHERE message_id = ?1)",
            "DELETE FROM execution_entity WHERE execution_id IN (SELECT id FROM execution WHERE message_id = ?1)",
            "DELETE FROM execution WHERE message_id = ?1",
            "DELETE FROM event WHERE message_id = ?1",
            "DELETE FROM message WHERE id = ?1",
        ] {
            connection.prepare_cached(sql).and_then(|mut statement| statement.execute([id])).map_err(&failed)?;
        }
    }
    Ok(ids.len() as u64)
}

/// Removes large payloads that no row names. Only files of messages older than `started_at`, this start, are looked at: a younger one may have its row on
/// the way. One without any row is kept as long as a payload: a crash may have come before its row, whose sender was never answered, or the queue was lost,
/// and an older copy put in its place.
pub fn sweep(store: &Store, started_at: Timestamp, kept_since: Timestamp, goes_on: &dyn Fn()) -> Result<u64, StoreError> {
    let names = store.spool().large_names().map_err(StoreError::file("list the spool"))?;
    let (mut swept, mut unknown) = (0, Vec::new());
    for name in names {
        goes_on();
        let Some(id) = name.parse::<MessageId>().ok() else { continue };
        let made = id.0.get_timestamp().map(|at| at.to_unix());
        let made = made.map(|(seconds, nanos)| i64::try_from(seconds * 1000 + u64::from(nanos) / 1_000_000).unwrap_or(i64::MAX));
        let Some(made) = made.filter(|made| *made < started_at.0) else { continue };
        let named: Option<bool> = store.read("look for the payload's row", |connection| {
            connection.query_row("SELECT file IS NOT NULL FROM message WHERE id = ?1", [&name], |row| row.get(0)).optional()
        })?;
        match named {
            Some(true) => {}
            None if made >= kept_since.0 => unknown.push(name),
            _ => {
                store.spool().remove_large(&name).map_err(StoreError::file("remove a spool file"))?;
                log::info!("spool file removed file={name} reason=\"no message has it\"");
                swept += 1;
            }
        }
    }
    if let Some(first) = unknown.first() {
        log::warn!(
            "spool files without a message count={} first=large/{first} reason=\"their senders were never answered, or the queue was lost\"; they are kept as long as payloads, send them again where they are needed",
            unknown.len()
        );
    }
    Ok(swept)
}
