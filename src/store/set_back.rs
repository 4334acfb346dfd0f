//! What a clock that was ahead leaves: a machine without a battery, a guest that was resumed, until it is set right. Times that lie where nothing
//! could have put them are drawn back, or schedules, leases and tries would stand still until those times have come.

use std::time::Duration;

use rusqlite::{Connection, params};

use super::StoreError;
use crate::model::retry::RETRY_DELAY_MAX;
use crate::model::time::Timestamp;

/// Time servers set clocks back by so much without anybody minding: a schedule that was served just now must not fire again.
const SLACK: Duration = Duration::from_secs(60);

/// Draws back what lies ahead of `now`: how far schedules are served, when leases end that were given later than now, and tries that are further away than
/// the longest wait. How many rows that were.
pub fn draw_back(connection: &Connection, now: Timestamp) -> Result<usize, StoreError> {
    let (ahead, far) = (now.plus(SLACK).0, now.plus(RETRY_DELAY_MAX).plus(SLACK).0);
    let step = |sql: &str, bound: i64| {
        connection
            .prepare_cached(sql)
            .and_then(|mut statement| statement.execute(params![now.0, bound]))
            .map_err(StoreError::sqlite("draw back what a wrong clock left"))
    };
    Ok(step("UPDATE job SET scheduled_to = ?1 WHERE scheduled_to > ?2", ahead)?
        + step("UPDATE job SET next_try_at = ?1 WHERE next_try_at > ?2", far)?
        + step("UPDATE message SET next_try_at = ?1 WHERE next_try_at > ?2", far)?
        + step("UPDATE execution SET next_try_at = ?1 WHERE next_try_at > ?2", far)?
        + step(
            "UPDATE message SET lease_until = ?1 + lease_until - last_dequeued_at, last_dequeued_at = ?1
             WHERE lease_until IS NOT NULL AND last_dequeued_at > ?2",
            ahead,
        )?)
}
