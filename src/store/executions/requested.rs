//! Executions that clients asked for: exports wait here until a worker takes them.

use std::collections::HashSet;

use rusqlite::{Connection, OptionalExtension, params};

use super::{Execution, find};
use crate::model::execution::Scope;
use crate::model::id::{ActivityId, ApplicationId, ExecutionId, MessageId};
use crate::model::retry::{self, Verdict};
use crate::model::time::Timestamp;
use crate::store::StoreError;

/// An execution that a client asks for.
#[derive(Clone, Debug, PartialEq)]
pub struct Requested {
    /// The id that it chose.
    pub id: ExecutionId,
    /// The job through which it may.
    pub activity_id: ActivityId,
    /// The project's name.
    pub project: String,
    /// Who asks.
    pub application_id: ApplicationId,
    /// An import's message.
    pub message_id: Option<MessageId>,
    /// What it is to hold.
    pub scope: Scope,
}

/// Records an execution before anybody is told of it. An export waits for [`claim_requested`]; an import for its message. The same id again (an
/// export that is to run once more) forgets what the earlier one came to.
pub fn request(connection: &Connection, asked: &Requested, export: bool, now: Timestamp) -> Result<(), StoreError> {
    let scope = serde_json::to_string(&asked.scope).unwrap_or_default();
    connection
        .prepare_cached(
            "INSERT INTO execution (id, activity_id, project, message_id, outcome, started_at, application_id, request)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)
             ON CONFLICT (id) DO UPDATE SET outcome = excluded.outcome, started_at = excluded.started_at, finished_at = NULL, rows_read = 0,
               reason = NULL, blob_id = NULL, attempts = 0, crashes = 0, next_try_at = NULL",
        )
        .and_then(|mut statement| {
            statement.execute(params![
                asked.id.0,
                asked.activity_id.to_string(),
                asked.project,
                asked.message_id.map(|id| id.to_string()),
                if export { "requested" } else { "executing" },
                now.0,
                asked.application_id.to_string(),
                scope,
            ])
        })
        .map(|_| ())
        .map_err(StoreError::sqlite("record the execution"))
}

/// What is known of a requested execution.
#[derive(Clone, Debug, PartialEq)]
pub struct Request {
    /// Who asked; `None` for one of a recurrence.
    pub application_id: Option<ApplicationId>,
    /// The project's name.
    pub project: String,
    /// What it is to hold.
    pub scope: Option<Scope>,
}

/// The request of an execution, whatever became of it.
pub fn requested(connection: &Connection, id: &str) -> Result<Option<Request>, rusqlite::Error> {
    connection
        .prepare_cached("SELECT application_id, project, request FROM execution WHERE id = ?1")?
        .query_row([id], |row| {
            let application: Option<String> = row.get(0)?;
            let scope: Option<String> = row.get(2)?;
            Ok(Request {
                application_id: application.and_then(|id| id.parse().ok()),
                project: row.get(1)?,
                scope: scope.and_then(|scope| serde_json::from_str(&scope).ok()),
            })
        })
        .optional()
}

/// The oldest exports that clients asked for, that are due, and whose job is not paused: ids and projects.
pub fn requested_head(connection: &Connection, now: Timestamp, limit: u32) -> Result<Vec<(ExecutionId, String)>, rusqlite::Error> {
    connection
        .prepare_cached(
            "SELECT id, project FROM execution WHERE outcome = 'requested' AND request IS NOT NULL AND (next_try_at IS NULL OR next_try_at <= ?1)
             AND activity_id NOT IN (SELECT activity_id FROM job WHERE paused = 1) ORDER BY started_at LIMIT ?2",
        )?
        .query_map(params![now.0, limit], |row| Ok((ExecutionId(row.get(0)?), row.get(1)?)))?
        .collect()
}

/// Takes a requested export for a worker; `None` when another has it, or it is no more.
pub fn claim_requested(connection: &Connection, id: &ExecutionId, now: Timestamp) -> Result<Option<(Execution, Scope)>, StoreError> {
    let failed = StoreError::sqlite("claim the execution");
    let claimed = connection
        .prepare_cached(
            "UPDATE execution SET outcome = 'executing', started_at = ?2, next_try_at = NULL WHERE id = ?1 AND outcome = 'requested'",
        )
        .and_then(|mut statement| statement.execute(params![id.0, now.0]))
        .map_err(&failed)?;
    if claimed == 0 {
        return Ok(None);
    }
    let scope = requested(connection, &id.0).map_err(&failed)?.and_then(|request| request.scope).unwrap_or_default();
    Ok(find(connection, &id.0).map_err(&failed)?.map(|execution| (execution, scope)))
}

/// A claimed export failed for a reason that may pass: it waits until it is tried again. Which attempt failed, and when the next comes; `None` when
/// there were enough, and nothing has changed.
pub fn defer(connection: &Connection, id: &ExecutionId, reason: &str, now: Timestamp) -> Result<Option<(u32, Timestamp)>, StoreError> {
    let failed = StoreError::sqlite("defer the export");
    let before: Option<u32> = connection
        .query_row("SELECT attempts FROM execution WHERE id = ?1 AND outcome = 'executing'", [&id.0], |row| row.get(0))
        .optional()
        .map_err(&failed)?;
    let attempt = before.unwrap_or_default().saturating_add(1);
    let (Some(_), Verdict::Again(wait)) = (before, retry::after(attempt)) else { return Ok(None) };
    let next = now.plus(wait);
    connection
        .execute(
            "UPDATE execution SET outcome = 'requested', attempts = ?2, next_try_at = ?3, reason = ?4 WHERE id = ?1",
            params![id.0, attempt, next.0, reason],
        )
        .map_err(&failed)?;
    Ok(Some((attempt, next)))
}

/// When the next deferred export is tried again.
pub fn next_try(connection: &Connection) -> Result<Option<Timestamp>, rusqlite::Error> {
    connection
        .prepare_cached("SELECT min(next_try_at) FROM execution WHERE next_try_at IS NOT NULL")?
        .query_row([], |row| row.get::<_, Option<i64>>(0))
        .map(|at| at.map(Timestamp))
}

/// Gives a claimed export back, because the appliance stops.
pub fn give_back(connection: &Connection, id: &ExecutionId) -> Result<(), StoreError> {
    connection
        .execute("UPDATE execution SET outcome = 'requested' WHERE id = ?1 AND outcome = 'executing'", [&id.0])
        .map(|_| ())
        .map_err(StoreError::sqlite("give the execution back"))
}

/// The package that an execution made.
pub fn set_blob(connection: &Connection, id: &ExecutionId, blob: &str) -> Result<(), StoreError> {
    connection
        .execute("UPDATE execution SET blob_id = ?2 WHERE id = ?1", [id.0.as_str(), blob])
        .map(|_| ())
        .map_err(StoreError::sqlite("name the package of an execution"))
}

/// An export that a client asked for and does not get.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failing {
    /// Its execution.
    pub id: ExecutionId,
    /// Who asked.
    pub application_id: Option<ApplicationId>,
    /// What for: the project, as the client calls it.
    pub project: String,
    /// When it ended, or was tried last.
    pub at: Timestamp,
    /// Why.
    pub reason: String,
    /// When it is tried again; `None` when it has ended, or is being tried.
    pub next_try_at: Option<Timestamp>,
}

/// Of the exports that clients asked for through a job, and that began since: the newest of each client and project, where it failed, or was put off
/// [`retry::ATTEMPTS_UNSEEN`] times. Newest first.
pub fn failing(connection: &Connection, activity: ActivityId, since: Timestamp) -> Result<Vec<Failing>, rusqlite::Error> {
    let mut statement = connection.prepare_cached(
        "SELECT id, application_id, coalesce(json_extract(request, '$.made_project'), project), coalesce(finished_at, started_at), coalesce(reason, ''),
         next_try_at, outcome, attempts FROM execution WHERE activity_id = ?1 AND started_at >= ?2 AND request IS NOT NULL ORDER BY started_at DESC",
    )?;
    let rows = statement.query_map(params![activity.to_string(), since.0], |row| {
        let failing = Failing {
            id: ExecutionId(row.get(0)?),
            application_id: row.get::<_, Option<String>>(1)?.and_then(|id| id.parse().ok()),
            project: row.get(2)?,
            at: Timestamp(row.get(3)?),
            reason: row.get(4)?,
            next_try_at: row.get::<_, Option<i64>>(5)?.map(Timestamp),
        };
        Ok((failing, row.get::<_, String>(6)?, row.get::<_, u32>(7)?))
    })?;
    let (mut newest, mut failing) = (HashSet::new(), Vec::new());
    for row in rows {
        let (one, outcome, attempts) = row?;
        let under_way = outcome == "requested" || outcome == "executing";
        // One that has not yet failed often says nothing of those before.
        if under_way && attempts < retry::ATTEMPTS_UNSEEN || !newest.insert((one.application_id, one.project.clone())) {
            continue;
        }
        if under_way || outcome == "failed" {
            failing.push(one);
        }
    }
    Ok(failing)
}
