//! What the queue knows of jobs: counters, paused or not, how far the schedule is served, load samples.

use rusqlite::{Connection, OptionalExtension, params};
use serde::Serialize;

use super::{StoreError, messages};
use crate::model::id::{ActivityId, MessageId};
use crate::model::job::Recurs;
use crate::model::project::Direction;
use crate::model::retry;
use crate::model::state::{MESSAGE_STATES, MessageState};
use crate::model::time::Timestamp;

/// A job's row.
#[derive(Clone, Debug, PartialEq)]
pub struct JobRecord {
    /// Its activity id.
    pub activity_id: ActivityId,
    /// Whether a person paused it.
    pub paused: bool,
    /// Runs by schedule so far.
    pub runs: u64,
    /// The schedule is served up to this instant.
    pub scheduled_to: Option<Timestamp>,
    /// When it last ran.
    pub last_run_at: Option<Timestamp>,
    /// Why its latest run failed; `None` when it worked.
    pub failure: Option<JobFailure>,
    /// Tries of its latest export that failed for a reason that may pass.
    pub attempts: u32,
    /// When that is tried again.
    pub next_try_at: Option<Timestamp>,
    /// The newest message that the run of an import takes which is under way.
    pub run_to: Option<MessageId>,
    /// Messages ever stored.
    pub arrived: u64,
    /// Messages that ever reached a final state.
    pub finished: u64,
    /// Rows ever loaded or found unchanged.
    pub rows_loaded: u64,
    /// Rows ever refused.
    pub rows_refused: u64,
    /// Messages by state, in the order of the journey.
    pub states: Vec<(MessageState, u64)>,
}

/// Runs of an export that failed, one after the other.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct JobFailure {
    /// When the first of them failed.
    pub since: Timestamp,
    /// When the latest failed.
    pub at: Timestamp,
    /// Why it did.
    pub reason: String,
}

/// Makes a configured job known, under its present name.
pub fn register(connection: &Connection, activity: ActivityId, name: &str, now: Timestamp) -> Result<(), StoreError> {
    connection
        .execute(
            "INSERT INTO job (activity_id, name, scheduled_to) VALUES (?1, ?2, ?3) ON CONFLICT (activity_id) DO UPDATE SET name = ?2",
            params![activity.to_string(), name, now.0],
        )
        .map(|_| ())
        .map_err(StoreError::sqlite("register the job"))
}

/// Notes how a job recurs. Where that is another way than before it counts from now on: nothing of it was missed. How often it ran is forgotten only
/// where it recurs at other times.
pub fn recurs(connection: &Connection, activity: ActivityId, recurs: &Recurs, now: Timestamp) -> Result<(), StoreError> {
    connection
        .execute(
            "UPDATE job SET recurrence = ?2, bounds = ?3, scheduled_to = CASE WHEN recurrence IS NULL AND bounds IS NULL THEN scheduled_to ELSE ?4 END,
               runs = CASE WHEN recurrence IS NULL OR recurrence = ?2 THEN runs ELSE 0 END
             WHERE activity_id = ?1 AND (recurrence IS NOT ?2 OR bounds IS NOT ?3)",
            params![activity.to_string(), recurs.when, recurs.bounds, now.0],
        )
        .map(|_| ())
        .map_err(StoreError::sqlite("note the recurrence"))
}

/// What `bounds` says of a job that is not in the configuration.
const GONE: &str = "gone";

/// Jobs that are in force no more: they recur never, until they are back. Those that messages wait for, by name, and how many.
pub fn retire(connection: &Connection, known: &[ActivityId]) -> Result<Vec<(String, u64)>, StoreError> {
    let all: Vec<(String, String, u64)> = connection
        .prepare("SELECT activity_id, name, queued + enqueued FROM job")
        .and_then(|mut statement| statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?.collect())
        .map_err(StoreError::sqlite("read the jobs"))?;
    let mut waited_for = Vec::new();
    for (activity, name, waiting) in all {
        let Some(activity) = activity.parse::<ActivityId>().ok().filter(|activity| !known.contains(activity)) else { continue };
        connection
            .execute("UPDATE job SET bounds = ?2 WHERE activity_id = ?1", params![activity.to_string(), GONE])
            .map_err(StoreError::sqlite("note that a job is gone"))?;
        if waiting > 0 {
            waited_for.push((name, waiting));
        }
    }
    Ok(waited_for)
}

/// Pauses or resumes a job.
pub fn set_paused(connection: &Connection, activity: ActivityId, paused: bool) -> Result<(), StoreError> {
    connection
        .execute("UPDATE job SET paused = ?2 WHERE activity_id = ?1", params![activity.to_string(), paused])
        .map(|_| ())
        .map_err(StoreError::sqlite("pause or resume the job"))
}

/// Whether a person paused it.
pub fn is_paused(connection: &Connection, activity: ActivityId) -> Result<bool, StoreError> {
    connection
        .prepare_cached("SELECT EXISTS (SELECT 1 FROM job WHERE activity_id = ?1 AND paused = 1)")
        .and_then(|mut statement| statement.query_row([activity.to_string()], |row| row.get(0)))
        .map_err(StoreError::sqlite("read the job"))
}

/// An export failed for a reason that may pass, for the `attempts`th time: it is tried again at `next`. No attempts: it is over, one way or the other.
pub fn defer_export(connection: &Connection, activity: ActivityId, attempts: u32, next: Option<Timestamp>) -> Result<(), StoreError> {
    connection
        .prepare_cached("UPDATE job SET attempts = ?2, next_try_at = ?3, run_to = NULL WHERE activity_id = ?1")
        .and_then(|mut statement| statement.execute(params![activity.to_string(), attempts, next.map(|next| next.0)]))
        .map(|_| ())
        .map_err(StoreError::sqlite("defer the export"))
}

/// What `run_to` says of an export that waits for a worker.
const EXPORT: &str = "export";
/// And of one that has begun.
const BEGUN: &str = "export begun";

/// A run is under way until it is closed, whatever stops the appliance: an import takes what is queued now.
pub fn open_run(connection: &Connection, activity: ActivityId, direction: Direction) -> Result<(), StoreError> {
    let run_to = match direction {
        Direction::Export => Some(EXPORT.to_owned()),
        Direction::Import => {
            messages::newest_queued(connection, activity).map_err(StoreError::sqlite("read the queue"))?.map(|newest| newest.to_string())
        }
    };
    connection
        .prepare_cached("UPDATE job SET run_to = ?2 WHERE activity_id = ?1")
        .and_then(|mut statement| statement.execute(params![activity.to_string(), run_to]))
        .map(|_| ())
        .map_err(StoreError::sqlite("open the run"))
}

/// The run of an import that goes up to this message is over, unless another was opened meanwhile.
pub fn close_run(connection: &Connection, activity: ActivityId, run_to: MessageId) -> Result<(), StoreError> {
    connection
        .prepare_cached("UPDATE job SET run_to = NULL WHERE activity_id = ?1 AND run_to = ?2")
        .and_then(|mut statement| statement.execute([activity.to_string(), run_to.to_string()]))
        .map(|_| ())
        .map_err(StoreError::sqlite("close the run"))
}

/// Exports that were under way when the appliance ended are tried again, like those that fail for a reason that may pass: one that ends the appliance
/// each time is given up. Those that only waited are nobody's fault. Their names, and whether there is another try.
pub fn recover_runs(connection: &Connection) -> Result<Vec<(String, bool)>, StoreError> {
    const WHY: &str = "the appliance ended while it ran";
    let waited = "UPDATE job SET run_to = NULL, next_try_at = coalesce(next_try_at, last_run_at, 0) WHERE run_to = ?1";
    connection.execute(waited, [EXPORT]).map_err(StoreError::sqlite("recover the runs"))?;
    connection
        .prepare(
            "UPDATE job SET run_to = NULL, attempts = attempts + 1, crashes = crashes + 1,
               next_try_at = CASE WHEN crashes + 1 < ?2 THEN coalesce(last_run_at, 0) END,
               failing_since = CASE WHEN crashes + 1 < ?2 THEN failing_since ELSE coalesce(failing_since, last_run_at, 0) END,
               failed_at = CASE WHEN crashes + 1 < ?2 THEN failed_at ELSE coalesce(last_run_at, 0) END,
               failure = CASE WHEN crashes + 1 < ?2 THEN failure ELSE ?3 END
             WHERE run_to = ?1 RETURNING name, next_try_at IS NOT NULL",
        )
        .and_then(|mut statement| {
            statement.query_map(params![BEGUN, retry::CRASHES_MAX, WHY], |row| Ok((row.get(0)?, row.get(1)?)))?.collect()
        })
        .map_err(StoreError::sqlite("recover the runs"))
}

/// An export has its worker.
pub fn begin_export(connection: &Connection, activity: ActivityId, now: Timestamp) -> Result<(), StoreError> {
    connection
        .prepare_cached("UPDATE job SET last_run_at = ?2, run_to = ?3 WHERE activity_id = ?1")
        .and_then(|mut statement| statement.execute(params![activity.to_string(), now.0, BEGUN]))
        .map(|_| ())
        .map_err(StoreError::sqlite("note the run"))
}

/// A run begins.
pub fn begin_run(connection: &Connection, activity: ActivityId, now: Timestamp) -> Result<(), StoreError> {
    connection
        .prepare_cached("UPDATE job SET last_run_at = ?2 WHERE activity_id = ?1")
        .and_then(|mut statement| statement.execute(params![activity.to_string(), now.0]))
        .map(|_| ())
        .map_err(StoreError::sqlite("note the run"))
}

/// A run of an export failed: it is seen until one works.
pub fn run_failed(connection: &Connection, activity: ActivityId, reason: &str, now: Timestamp) -> Result<(), StoreError> {
    connection
        .prepare_cached("UPDATE job SET failing_since = coalesce(failing_since, ?2), failed_at = ?2, failure = ?3, run_to = NULL WHERE activity_id = ?1")
        .and_then(|mut statement| statement.execute(params![activity.to_string(), now.0, reason]))
        .map(|_| ())
        .map_err(StoreError::sqlite("note the failure"))
}

/// A run of an export worked.
pub fn run_worked(connection: &Connection, activity: ActivityId) -> Result<(), StoreError> {
    connection
        .prepare_cached(
            "UPDATE job SET attempts = 0, crashes = 0, next_try_at = NULL, failing_since = NULL, failed_at = NULL, failure = NULL, run_to = NULL
             WHERE activity_id = ?1",
        )
        .and_then(|mut statement| statement.execute([activity.to_string()]))
        .map(|_| ())
        .map_err(StoreError::sqlite("note the run"))
}

/// A deferred export is taken up.
pub fn take_deferred(connection: &Connection, activity: ActivityId) -> Result<(), StoreError> {
    connection
        .prepare_cached("UPDATE job SET next_try_at = NULL WHERE activity_id = ?1")
        .and_then(|mut statement| statement.execute([activity.to_string()]))
        .map(|_| ())
        .map_err(StoreError::sqlite("take up the export"))
}

/// Exports that are to be tried again, and when; those of paused jobs wait.
pub fn deferred_exports(connection: &Connection) -> Result<Vec<(ActivityId, Timestamp)>, rusqlite::Error> {
    let found: Vec<(String, i64)> = connection
        .prepare_cached("SELECT activity_id, next_try_at FROM job WHERE next_try_at IS NOT NULL AND paused = 0")?
        .query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?
        .collect::<Result<_, _>>()?;
    Ok(found.into_iter().filter_map(|(activity, at)| Some((activity.parse().ok()?, Timestamp(at)))).collect())
}

/// The schedule is served up to `to`; when it fired, the run counts, and one that was to be tried again is this one.
pub fn mark_scheduled(connection: &Connection, activity: ActivityId, to: Timestamp, fired: bool) -> Result<(), StoreError> {
    connection
        .execute(
            "UPDATE job SET scheduled_to = ?2, runs = runs + ?3, last_run_at = CASE WHEN ?3 THEN ?2 ELSE last_run_at END,
               attempts = CASE WHEN ?3 THEN 0 ELSE attempts END, next_try_at = CASE WHEN ?3 THEN NULL ELSE next_try_at END
             WHERE activity_id = ?1",
            params![activity.to_string(), to.0, fired],
        )
        .map(|_| ())
        .map_err(StoreError::sqlite("mark the schedule"))
}

/// One job's row.
pub fn find(connection: &Connection, activity: ActivityId) -> Result<Option<JobRecord>, rusqlite::Error> {
    let states: Vec<&str> = MESSAGE_STATES.iter().map(|state| state.name()).collect();
    connection
        .prepare_cached(&format!(
            "SELECT paused, runs, scheduled_to, last_run_at, arrived, finished, rows_loaded, rows_refused, attempts, next_try_at,
             failing_since, failed_at, failure, run_to, {}
             FROM job WHERE activity_id = ?1",
            states.join(", ")
        ))?
        .query_row([activity.to_string()], |row| {
            let mut counts = Vec::with_capacity(states.len());
            for (index, state) in MESSAGE_STATES.into_iter().enumerate() {
                counts.push((state, row.get(14 + index)?));
            }
            let failure = match (row.get::<_, Option<i64>>(10)?, row.get::<_, Option<i64>>(11)?, row.get(12)?) {
                (Some(since), Some(at), Some(reason)) => Some(JobFailure { since: Timestamp(since), at: Timestamp(at), reason }),
                _ => None,
            };
            Ok(JobRecord {
                activity_id: activity,
                paused: row.get(0)?,
                runs: row.get(1)?,
                scheduled_to: row.get::<_, Option<i64>>(2)?.map(Timestamp),
                last_run_at: row.get::<_, Option<i64>>(3)?.map(Timestamp),
                failure,
                attempts: row.get(8)?,
                next_try_at: row.get::<_, Option<i64>>(9)?.map(Timestamp),
                run_to: row.get::<_, Option<String>>(13)?.and_then(|id| id.parse().ok()),
                arrived: row.get(4)?,
                finished: row.get(5)?,
                rows_loaded: row.get(6)?,
                rows_refused: row.get(7)?,
                states: counts,
            })
        })
        .optional()
}

/// The load of a job's queue at one tick of its monitoring recurrence.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct LoadSample {
    /// When it was taken.
    pub at: Timestamp,
    /// Messages waiting or in work.
    pub depth: u64,
    /// Age of the oldest waiting message.
    pub oldest_age_seconds: u64,
    /// Messages that came since the sample before.
    pub arrivals: u64,
    /// Messages that reached a final state since the sample before.
    pub processed: u64,
    /// Time spent on executions since the sample before.
    pub duration_ms: u64,
}

/// Takes a sample; the differences are to the sample before, the first one's to the job's beginning.
pub fn sample_load(connection: &Connection, activity: ActivityId, now: Timestamp) -> Result<(), StoreError> {
    connection
        .execute(
            "INSERT OR IGNORE INTO load_sample
             SELECT activity_id, ?2, queued + processing + enqueued + dequeued + downloaded,
               coalesce((SELECT max(0, ?2 - received_at) / 1000 FROM message
                         WHERE activity_id = ?1 AND state IN ('queued', 'enqueued') ORDER BY id LIMIT 1), 0),
               arrived - coalesce(before_arrived, 0), finished - coalesce(before_finished, 0), busy_ms - coalesce(before_busy, 0),
               arrived, finished, busy_ms
             FROM job LEFT JOIN (
               SELECT arrived_total before_arrived, finished_total before_finished, busy_ms_total before_busy
               FROM load_sample WHERE activity_id = ?1 ORDER BY at DESC LIMIT 1)
             WHERE activity_id = ?1",
            params![activity.to_string(), now.0],
        )
        .map(|_| ())
        .map_err(StoreError::sqlite("sample the load"))
}

/// Samples of a job, oldest first: the newest `limit` of them.
pub fn load_samples(connection: &Connection, activity: ActivityId, limit: u32) -> Result<Vec<LoadSample>, rusqlite::Error> {
    let mut samples: Vec<LoadSample> = connection
        .prepare_cached(
            "SELECT at, depth, oldest_age_seconds, arrivals, processed, duration_ms FROM load_sample WHERE activity_id = ?1 ORDER BY at DESC LIMIT ?2",
        )?
        .query_map(params![activity.to_string(), limit], |row| {
            Ok(LoadSample {
                at: Timestamp(row.get(0)?),
                depth: row.get(1)?,
                oldest_age_seconds: row.get(2)?,
                arrivals: row.get(3)?,
                processed: row.get(4)?,
                duration_ms: row.get(5)?,
            })
        })?
        .collect::<Result<_, _>>()?;
    samples.reverse();
    Ok(samples)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_export_that_ends_the_appliance_each_time_is_given_up() {
        let dir = tempfile::tempdir().unwrap();
        let connection = crate::store::open::open_queue(&dir.path().join("queue.db")).unwrap();
        let activity: ActivityId = "6D31E09F-0249-459F-94F0-AAD9C2C47B64".parse().unwrap();
        register(&connection, activity, "Out", Timestamp(5)).unwrap();
        // What was put off meanwhile counts apart.
        defer_export(&connection, activity, 20, Some(Timestamp(6))).unwrap();
        for attempt in 1..=retry::CRASHES_MAX {
            take_deferred(&connection, activity).unwrap();
            open_run(&connection, activity, Direction::Export).unwrap();
            // A stop before it has a worker does not count.
            assert!(recover_runs(&connection).unwrap().is_empty());
            assert_eq!(deferred_exports(&connection).unwrap().len(), 1);
            take_deferred(&connection, activity).unwrap();
            open_run(&connection, activity, Direction::Export).unwrap();
            begin_export(&connection, activity, Timestamp(7)).unwrap();
            assert_eq!(recover_runs(&connection).unwrap(), [("Out".to_owned(), attempt < retry::CRASHES_MAX)]);
            let again = deferred_exports(&connection).unwrap();
            assert_eq!(again.len(), usize::from(attempt < retry::CRASHES_MAX), "attempt {attempt}");
        }
        let failure = find(&connection, activity).unwrap().unwrap().failure.unwrap();
        assert_eq!((failure.since, failure.at, failure.reason.as_str()), (Timestamp(7), Timestamp(7), "the appliance ended while it ran"));
        // One that is over is not recovered.
        open_run(&connection, activity, Direction::Export).unwrap();
        run_worked(&connection, activity).unwrap();
        assert!(recover_runs(&connection).unwrap().is_empty());
    }
}
