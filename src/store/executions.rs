//! Executions and their findings.

mod requested;

pub use requested::{
    Failing, Request, Requested, claim_requested, defer, failing, give_back, next_try, request, requested, requested_head, set_blob,
};

use rusqlite::{Connection, OptionalExtension, params};

use super::StoreError;
use crate::model::execution::{ENTITY_OUTCOMES, EntityOutcome, EntityRun, RowCounts};
use crate::model::finding::{Finding, Rule};
use crate::model::id::{ActivityId, ExecutionId, MessageId};
use crate::model::time::Timestamp;

/// An execution as stored.
#[derive(Clone, Debug, PartialEq)]
pub struct Execution {
    /// Its id.
    pub id: ExecutionId,
    /// The job that ran.
    pub activity_id: ActivityId,
    /// The project's name.
    pub project: String,
    /// The message it processed or made.
    pub message_id: Option<MessageId>,
    /// A message state's name, `executing`, or `empty` for an export without rows.
    pub outcome: String,
    /// When it began.
    pub started_at: Timestamp,
    /// When it ended.
    pub finished_at: Option<Timestamp>,
    /// Rows by outcome.
    pub counts: RowCounts,
    /// Findings in all.
    pub findings: u64,
    /// How long the message waited, in ms.
    pub wait_ms: Option<u64>,
    /// Decode, parse, map, validate, in ms.
    pub parse_ms: Option<u64>,
    /// Upsert and commit, in ms.
    pub load_ms: Option<u64>,
    /// Why it failed.
    pub reason: Option<String>,
    /// The package that it made, when a client asked for it.
    pub blob_id: Option<String>,
    /// The project of the client's own that it asked for, which has entities of [`Execution::project`].
    pub made_project: Option<String>,
}

/// Forgets an execution, with its findings.
pub fn forget(connection: &Connection, id: &ExecutionId) -> Result<(), StoreError> {
    for sql in [
        "DELETE FROM finding WHERE execution_id = ?1",
        "DELETE FROM execution_entity WHERE execution_id = ?1",
        "DELETE FROM execution WHERE id = ?1",
    ] {
        connection.execute(sql, [&id.0]).map_err(StoreError::sqlite("forget the execution"))?;
    }
    Ok(())
}

/// An execution begins. The same id again (a restarted message) begins anew.
pub fn begin(
    connection: &Connection,
    id: &ExecutionId,
    activity: ActivityId,
    project: &str,
    message: Option<MessageId>,
    wait_ms: u64,
    now: Timestamp,
) -> Result<(), StoreError> {
    connection
        .prepare_cached(
            "INSERT INTO execution (id, activity_id, project, message_id, outcome, started_at, wait_ms) VALUES (?1, ?2, ?3, ?4, 'executing', ?5, ?6)
             ON CONFLICT (id) DO UPDATE SET outcome = 'executing', message_id = excluded.message_id, started_at = excluded.started_at,
               finished_at = NULL, wait_ms = excluded.wait_ms, reason = NULL",
        )
        .and_then(|mut statement| statement.execute(params![id.0, activity.to_string(), project, message.map(|id| id.to_string()), now.0, wait_ms]))
        .map(|_| ())
        .map_err(StoreError::sqlite("begin the execution"))
}

/// How an execution ended.
#[derive(Clone, Debug, Default)]
pub struct Ending {
    /// A message state's name, or `empty`.
    pub outcome: &'static str,
    /// Rows by outcome.
    pub counts: RowCounts,
    /// Findings in all.
    pub findings: u64,
    /// See [`Execution`].
    pub parse_ms: u64,
    /// See [`Execution`].
    pub load_ms: u64,
    /// From begin to end, in ms.
    pub busy_ms: u64,
    /// Why it failed.
    pub reason: Option<String>,
    /// The message an export made.
    pub message_id: Option<MessageId>,
    /// Of the rows, those that an earlier message loaded or was refused: the job has counted them.
    pub carried: RowCounts,
}

/// An execution ends; the job's counters move with it.
pub fn end(connection: &Connection, id: &ExecutionId, activity: ActivityId, ending: &Ending, now: Timestamp) -> Result<(), StoreError> {
    count(connection, id, activity, &ending.counts, &ending.carried)?;
    let failed = StoreError::sqlite("end the execution");
    connection
        .prepare_cached(
            "UPDATE execution SET outcome = ?2, finished_at = ?3, findings = ?4, parse_ms = ?5, load_ms = ?6, reason = ?7,
             message_id = coalesce(message_id, ?8) WHERE id = ?1",
        )
        .and_then(|mut statement| {
            statement.execute(params![
                id.0,
                ending.outcome,
                now.0,
                ending.findings,
                ending.parse_ms,
                ending.load_ms,
                ending.reason,
                ending.message_id.map(|id| id.to_string()),
            ])
        })
        .map_err(&failed)?;
    busy(connection, activity, ending.busy_ms)
}

/// An execution did not come to its end. Its rows are what was counted of it ([`count`]).
pub fn fail(
    connection: &Connection,
    id: &ExecutionId,
    activity: ActivityId,
    busy_ms: u64,
    reason: &str,
    now: Timestamp,
) -> Result<(), StoreError> {
    connection
        .prepare_cached("UPDATE execution SET outcome = 'failed', finished_at = ?2, reason = ?3 WHERE id = ?1")
        .and_then(|mut statement| statement.execute(params![id.0, now.0, reason]))
        .map_err(StoreError::sqlite("end the execution"))?;
    busy(connection, activity, busy_ms)
}

fn busy(connection: &Connection, activity: ActivityId, busy_ms: u64) -> Result<(), StoreError> {
    connection
        .prepare_cached("UPDATE job SET busy_ms = busy_ms + ?2 WHERE activity_id = ?1")
        .and_then(|mut statement| statement.execute(params![activity.to_string(), busy_ms]))
        .map(|_| ())
        .map_err(StoreError::sqlite("count the job's load"))
}

/// Counts the rows of an execution: a later try, which counts what earlier ones did from the beginning, takes nothing back. The job's counters move by what is new since they were counted last, but for what was `carried` here.
pub fn count(
    connection: &Connection,
    id: &ExecutionId,
    activity: ActivityId,
    counts: &RowCounts,
    carried: &RowCounts,
) -> Result<(), StoreError> {
    let failed = StoreError::sqlite("count the execution's rows");
    let before: Option<(u64, u64)> = connection
        .prepare_cached("SELECT rows_inserted + rows_updated + rows_unchanged, rows_refused FROM execution WHERE id = ?1")
        .and_then(|mut statement| statement.query_row([&id.0], |row| Ok((row.get(0)?, row.get(1)?))).optional())
        .map_err(&failed)?;
    let Some((loaded, refused)) = before else { return Ok(()) };
    connection
        .prepare_cached(
            "UPDATE execution SET rows_read = max(rows_read, ?2), rows_inserted = max(rows_inserted, ?3), rows_updated = max(rows_updated, ?4),
             rows_unchanged = max(rows_unchanged, ?5), rows_refused = max(rows_refused, ?6) WHERE id = ?1",
        )
        .and_then(|mut statement| {
            statement.execute(params![id.0, counts.read, counts.inserted, counts.updated, counts.unchanged, counts.refused])
        })
        .map_err(&failed)?;
    let more = |now: u64, before: u64, carried: u64| now.saturating_sub(carried).saturating_sub(before.saturating_sub(carried));
    connection
        .prepare_cached("UPDATE job SET rows_loaded = rows_loaded + ?2, rows_refused = rows_refused + ?3 WHERE activity_id = ?1")
        .and_then(|mut statement| {
            statement.execute(params![
                activity.to_string(),
                more(counts.loaded(), loaded, carried.loaded()),
                more(counts.refused, refused, carried.refused)
            ])
        })
        .map(|_| ())
        .map_err(&failed)
}

/// Forgets what an earlier try found for an entity; its name is empty for findings about the whole document. Returns the number for the next one.
pub fn forget_findings(connection: &Connection, id: &ExecutionId, entity: &str) -> Result<u64, StoreError> {
    let failed = StoreError::sqlite("forget findings");
    connection
        .prepare_cached("DELETE FROM finding WHERE execution_id = ?1 AND entity = ?2")
        .and_then(|mut statement| statement.execute([&id.0, entity]))
        .map_err(&failed)?;
    connection
        .prepare_cached("SELECT coalesce(max(ordinal) + 1, 0) FROM finding WHERE execution_id = ?1")
        .and_then(|mut statement| statement.query_row([&id.0], |row| row.get(0)))
        .map_err(&failed)
}

/// How many notes of stylesheets an earlier try kept for an entity.
pub fn messages_kept(connection: &Connection, id: &ExecutionId, entity: &str) -> Result<u64, rusqlite::Error> {
    connection
        .prepare_cached("SELECT count(*) FROM finding WHERE execution_id = ?1 AND entity = ?2 AND rule = ?3")?
        .query_row([&id.0, entity, Rule::Message.name()], |row| row.get(0))
}

/// Makes what an execution found for these entities the findings of another, which goes on with it, as far as there is room for `most`. Their numbers begin
/// with `first`; returns the next one.
pub fn take_findings_over(
    connection: &Connection,
    from: &str,
    id: &ExecutionId,
    entities: &[String],
    first: u64,
    most: u64,
) -> Result<u64, StoreError> {
    let marks: Vec<String> = (5..entities.len() + 5).map(|number| format!("?{number}")).collect();
    let sql = format!(
        "INSERT INTO finding (execution_id, ordinal, rule, entity, line, row, column_name, field, value, message, hint, expected)
         SELECT ?2, ?3 + row_number() OVER (ORDER BY ordinal) - 1, rule, entity, line, row, column_name, field, value, message, hint, expected
         FROM finding WHERE execution_id = ?1 AND entity IN ({}) ORDER BY ordinal LIMIT ?4",
        marks.join(", ")
    );
    let room = most.saturating_sub(first);
    let given = [&from as &dyn rusqlite::ToSql, &id.0, &first, &room].into_iter();
    let all: Vec<&dyn rusqlite::ToSql> = given.chain(entities.iter().map(|entity| entity as &dyn rusqlite::ToSql)).collect();
    let taken = connection.prepare(&sql).and_then(|mut statement| statement.execute(all.as_slice()));
    Ok(first + taken.map_err(StoreError::sqlite("take findings over"))? as u64)
}

/// Keeps what an execution did with its entities, in the place of what an earlier try left.
pub fn keep_entities(connection: &Connection, id: &ExecutionId, runs: &[EntityRun]) -> Result<(), StoreError> {
    connection
        .prepare_cached("DELETE FROM execution_entity WHERE execution_id = ?1")
        .and_then(|mut statement| statement.execute([&id.0]))
        .map_err(StoreError::sqlite("keep the entities of an execution"))?;
    runs.iter().enumerate().try_for_each(|(ordinal, run)| keep_entity(connection, id, ordinal, run))
}

/// Keeps what an execution did with one of its entities.
pub fn keep_entity(connection: &Connection, id: &ExecutionId, ordinal: usize, run: &EntityRun) -> Result<(), StoreError> {
    connection
        .prepare_cached("INSERT OR REPLACE INTO execution_entity VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15)")
        .and_then(|mut statement| {
            statement.execute(params![
                id.0,
                ordinal,
                run.entity,
                run.outcome.name(),
                run.started_at.0,
                run.finished_at.0,
                run.counts.read,
                run.counts.inserted,
                run.counts.updated,
                run.counts.unchanged,
                run.counts.refused,
                run.findings,
                run.refused_file,
                run.transformed_file,
                run.staging_file,
            ])
        })
        .map(|_| ())
        .map_err(StoreError::sqlite("keep the entities of an execution"))
}

/// What an execution did with its entities, in order.
pub fn entities(connection: &Connection, id: &str) -> Result<Vec<EntityRun>, rusqlite::Error> {
    connection
        .prepare_cached(
            "SELECT entity, outcome, started_at, finished_at, rows_read, rows_inserted, rows_updated, rows_unchanged, rows_refused, findings,
             refused_file, transformed_file, staging_file FROM execution_entity WHERE execution_id = ?1 ORDER BY ordinal",
        )?
        .query_map([id], |row| {
            let outcome: String = row.get(1)?;
            Ok(EntityRun {
                entity: row.get(0)?,
                // A word of a later version is told as the worst: a person then looks.
                outcome: ENTITY_OUTCOMES.into_iter().find(|known| known.name() == outcome).unwrap_or(EntityOutcome::Refused),
                started_at: Timestamp(row.get(2)?),
                finished_at: Timestamp(row.get(3)?),
                counts: RowCounts { read: row.get(4)?, inserted: row.get(5)?, updated: row.get(6)?, unchanged: row.get(7)?, validated: 0, refused: row.get(8)? }
                    .with_validated(outcome == EntityOutcome::Staged.name()),
                findings: row.get(9)?,
                refused_file: row.get(10)?,
                transformed_file: row.get(11)?,
                staging_file: row.get(12)?,
            })
        })?
        .collect()
}

/// Keeps findings of an execution, numbered from `first`.
pub fn keep_findings(connection: &Connection, id: &ExecutionId, first: u64, findings: &[Finding]) -> Result<(), StoreError> {
    let failed = StoreError::sqlite("keep findings");
    let mut statement = connection
        .prepare_cached(
            "INSERT OR REPLACE INTO finding (execution_id, ordinal, rule, entity, line, row, column_name, field, value, message, hint,
             expected) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12)",
        )
        .map_err(&failed)?;
    for (ordinal, finding) in (first..).zip(findings) {
        statement
            .execute(params![
                id.0,
                ordinal,
                finding.rule.name(),
                finding.entity,
                finding.line,
                finding.row,
                finding.column,
                finding.field,
                finding.value,
                finding.message,
                finding.hint,
                finding.expected
            ])
            .map_err(&failed)?;
    }
    Ok(())
}

/// Findings of an execution with their ordinals, in order, from `first` on, at most `limit`.
pub fn findings(connection: &Connection, id: &str, first: u64, limit: u32) -> Result<Vec<(u64, Finding)>, rusqlite::Error> {
    connection
        .prepare_cached(
            "SELECT ordinal, rule, entity, line, row, column_name, field, value, message, hint, expected FROM finding
             WHERE execution_id = ?1 AND ordinal >= ?2 ORDER BY ordinal LIMIT ?3",
        )?
        .query_map(params![id, first, limit], |row| {
            let rule: String = row.get(1)?;
            Ok((
                row.get(0)?,
                Finding {
                    // A rule of a later version is shown as a load finding; its message says what it is.
                    rule: serde_json::from_value(serde_json::Value::String(rule)).unwrap_or(Rule::Load),
                    entity: row.get(2)?,
                    line: row.get(3)?,
                    row: row.get(4)?,
                    column: row.get(5)?,
                    field: row.get(6)?,
                    value: row.get(7)?,
                    message: row.get(8)?,
                    hint: row.get(9)?,
                    expected: row.get(10)?,
                },
            ))
        })?
        .collect()
}

/// How many records of these entities have findings before this one: each of them was refused.
pub fn records_before(connection: &Connection, id: &str, entities: &[&str], ordinal: u64) -> Result<u64, rusqlite::Error> {
    let marks: Vec<String> = (3..entities.len() + 3).map(|number| format!("?{number}")).collect();
    let sql = format!(
        "SELECT count(DISTINCT row) FROM finding WHERE execution_id = ?1 AND ordinal < ?2 AND row > 0 AND entity IN ({})",
        marks.join(", ")
    );
    let ordinal = i64::try_from(ordinal).unwrap_or(i64::MAX);
    let given = [&id as &dyn rusqlite::ToSql, &ordinal].into_iter();
    let all: Vec<&dyn rusqlite::ToSql> = given.chain(entities.iter().map(|entity| entity as &dyn rusqlite::ToSql)).collect();
    connection.prepare(&sql)?.query_row(all.as_slice(), |row| row.get(0))
}

/// The newest executions of some projects, newest first.
pub fn of_projects(connection: &Connection, projects: &[String], limit: u32) -> Result<Vec<Execution>, rusqlite::Error> {
    let marks: Vec<String> = (1..=projects.len()).map(|number| format!("?{number}")).collect();
    let ids: Vec<String> = connection
        .prepare(&format!("SELECT id FROM execution WHERE project IN ({}) ORDER BY started_at DESC LIMIT {limit}", marks.join(", ")))?
        .query_map(rusqlite::params_from_iter(projects), |row| row.get(0))?
        .collect::<Result<_, _>>()?;
    let found = ids.iter().map(|id| find(connection, id)).collect::<Result<Vec<_>, _>>()?;
    Ok(found.into_iter().flatten().collect())
}

/// One execution.
pub fn find(connection: &Connection, id: &str) -> Result<Option<Execution>, rusqlite::Error> {
    connection
        .prepare_cached(
            "SELECT id, activity_id, project, message_id, outcome, started_at, finished_at, rows_read, rows_inserted, rows_updated, rows_unchanged,
             rows_refused, findings, wait_ms, parse_ms, load_ms, reason, blob_id, json_extract(request, '$.made_project')
             FROM execution WHERE id = ?1",
        )?
        .query_row([id], |row| {
            let activity: String = row.get(1)?;
            Ok(Execution {
                id: ExecutionId(row.get(0)?),
                activity_id: activity.parse().map_err(|_| rusqlite::Error::InvalidQuery)?,
                project: row.get(2)?,
                message_id: row.get::<_, Option<String>>(3)?.and_then(|id| id.parse().ok()),
                outcome: row.get(4)?,
                started_at: Timestamp(row.get(5)?),
                finished_at: row.get::<_, Option<i64>>(6)?.map(Timestamp),
                counts: RowCounts {
                    read: row.get(7)?,
                    inserted: row.get(8)?,
                    updated: row.get(9)?,
                    unchanged: row.get(10)?,
                    validated: 0,
                    refused: row.get(11)?,
                },
                findings: row.get(12)?,
                wait_ms: row.get(13)?,
                parse_ms: row.get(14)?,
                load_ms: row.get(15)?,
                reason: row.get(16)?,
                blob_id: row.get(17)?,
                made_project: row.get(18)?,
            })
        })
        .optional()
}
