//! When a job runs: cron text, time zone and bounds to the next instant. Pure.

use crate::model::time::Timestamp;

/// A recurrence that was checked: it can fire.
#[derive(Clone, Debug, PartialEq)]
pub struct Schedule {}

impl Schedule {
    /// The first instant after `after` at which it fires; `None` when it never fires again.
    pub fn next(&self, _after: Timestamp) -> Option<Timestamp> {
        None
    }
}
