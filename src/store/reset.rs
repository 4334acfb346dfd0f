//! Empties the queue and the managed entities: what a developer wants between two tests. Jobs and people stay; everything else is as at a first start.

use rusqlite::Connection;

use super::{Store, StoreError};

/// Removes all messages, executions and blobs with their files. What is being received while it runs may stay.
pub fn queue(store: &Store) -> Result<(), StoreError> {
    let spool = store.spool();
    let listed = StoreError::file("list the spool");
    // Listed before the rows go: a file that comes afterwards has its row on the way.
    let (large, blobs, refused) =
        (spool.large_names().map_err(&listed)?, spool.blob_names().map_err(&listed)?, spool.refused_names().map_err(&listed)?);
    let transformed = spool.transformed_names().map_err(&listed)?;
    let staging = spool.staging_names().map_err(&listed)?;
    let segments = spool.segments().map_err(&listed)?;
    let kept = store.write("empty the queue", |batch| {
        let failed = StoreError::sqlite("empty the queue");
        let current = batch.current_segment();
        for table in ["finding", "execution_entity", "execution", "event", "message", "load_sample", "blob", "increment", "watermark"] {
            batch.connection.execute(&format!("DELETE FROM {table}"), []).map_err(&failed)?;
        }
        batch.connection.execute("DELETE FROM segment WHERE number < (SELECT max(number) FROM segment)", []).map_err(&failed)?;
        batch.connection.execute("UPDATE segment SET live = 0", []).map_err(&failed)?;
        batch
            .connection
            .execute(
                "UPDATE job SET runs = 0, last_run_at = NULL, arrived = 0, finished = 0, busy_ms = 0, rows_loaded = 0, rows_refused = 0, paused = 0,
                   attempts = 0, crashes = 0, next_try_at = NULL, failing_since = NULL, failed_at = NULL, failure = NULL, run_to = NULL",
                [],
            )
            .map_err(&failed)?;
        Ok(current)
    })?;
    let removed = large
        .iter()
        .map(|name| spool.remove_large(name))
        .chain(blobs.iter().map(|name| spool.remove_blob(name)))
        .chain(refused.iter().map(|name| spool.remove_refused(name)))
        .chain(transformed.iter().map(|name| spool.remove_transformed(name)))
        .chain(staging.iter().map(|name| spool.remove_staging(name)))
        .chain(segments.iter().filter(|number| kept != Some(**number)).map(|number| spool.remove_segment(*number)));
    removed.into_iter().collect::<Result<(), _>>().map_err(StoreError::file("empty the spool"))
}

/// Drops every table of a managed entity database.
pub(super) fn tables(connection: &Connection) -> Result<(), StoreError> {
    let failed = StoreError::sqlite("empty the entity database");
    let names: Vec<String> = connection
        .prepare("SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\'")
        .and_then(|mut statement| statement.query_map([], |row| row.get(0))?.collect())
        .map_err(&failed)?;
    names
        .iter()
        .try_for_each(|name| connection.execute(&format!("DROP TABLE {}", super::entities::quote(name)), []).map(|_| ()))
        .map_err(&failed)
}
