//! When a job runs: cron text, time zone and bounds to the next instant. Pure: no clock, no store; the scheduler asks, and counts the runs.
//!
//! Cron text means what crontab(5) says (DESIGN §3 "Cron"). What happens when a zone changes its clocks follows cron(8) of Vixie cron as
//! Debian ships it: "this only applies to jobs that run at a specific time and jobs that are run with a granularity greater than one hour.
//! Jobs that run more frequently are scheduled normally. If time has moved forward, those jobs that would have run in the interval that has
//! been skipped will be run immediately. Conversely, if time has moved backward, care is taken to avoid running jobs twice." Exactly:
//!
//! - A job is *free-running* when its minute or hour field has a `*`, `?` or step, or lists its whole range, unless it has just one minute
//!   and one hour. It fires at every instant at which the wall clock matches: `*/5 * * * *` every five minutes that really pass, through
//!   both passes of a repeated hour, and without catching up after a gap. (`*/5 2 * * *` so fires 24 times when hour 2 comes twice.)
//! - Every other job is *fixed*. A wall clock time that comes twice counts the first time only. Times that are skipped count as the first
//!   instant after the gap, where they become one run: `30 2 * * *` fires at 03:00 on the day that 02:30 is skipped.
//! - A free-running job of which a gap takes all the runs of a date (`*/5 2 * * *`) fires once at the end of the gap, so that no day on
//!   which a job is due passes without it. Vixie cron drops that day.
//! - A date that a zone left out whole (Pacific/Apia had no 2011-12-30) is not made up for, being no day. To cron(8) changes of three hours
//!   and more are corrections of the clock; here the date decides, so that a daily job also survives Antarctica/Casey's three hours.
//!
//! Invariants: `next` is strictly after what it is given, in whole seconds, and does bounded work; a `Schedule` has at least one instant.
//! Nothing fires after the year 2100, where the crate's calendar and the zones' tables end.

mod expression;
mod problem;
#[cfg(test)]
mod tests;
mod zone;

use std::fmt;

use chrono::{NaiveDateTime, Timelike};
use chrono_tz::Tz;

pub use self::expression::CRON_CHARS_MAX;
use self::expression::Expression;
pub use self::problem::Problem;
use self::zone::{Change, LOOK};
use crate::model::time::Timestamp;

/// The most instants that one call of [`Schedule::next_n`] returns.
pub const NEXT_MAX: usize = 1_000;

/// Instants are looked for in these seconds since the epoch: the years 1970 to 2100.
const INSTANT_MIN: i64 = 0;
const INSTANT_MAX: i64 = 4_133_980_800 - 1;

const DAY: i64 = 86_400;

/// A recurrence that was checked: it can fire.
#[derive(Clone, Debug, PartialEq)]
pub struct Schedule {
    text: String,
    zone: Tz,
    start: Option<NaiveDateTime>,
    end: Option<NaiveDateTime>,
    count: Option<u64>,
    expression: Expression,
    /// The instants that `start` and `end` mean, in seconds since the epoch, both inclusive.
    first: i64,
    last: i64,
}

impl Schedule {
    /// Reads cron text of five fields, or six with seconds first, or a shorthand such as `@daily`.
    ///
    /// `start` and `end` are wall clock times of `zone`, both inclusive: the first and the last time at which it may fire. `count` is how
    /// often it may fire in all, which the caller enforces. Refused, with the field and what may stand there: text that is not understood,
    /// and whatever can never fire.
    pub fn new(
        cron: &str,
        zone: Tz,
        start: Option<NaiveDateTime>,
        end: Option<NaiveDateTime>,
        count: Option<u64>,
    ) -> Result<Schedule, Problem> {
        let expression = Expression::parse(cron)?;
        if count == Some(0) {
            return Err(Problem::new("never fires: count is 0", "set count to 1 or more, or leave it out"));
        }
        if let (Some(start), Some(end)) = (start, end)
            && end < start
        {
            return Err(Problem::new(
                format!("never fires: end {end} is before start {start}"),
                "set end later than start, or leave it out",
            ));
        }
        let first = start.map_or(INSTANT_MIN, |start| {
            let up = i64::from(start.nanosecond() > 0);
            zone::first_instant(zone, bounded(start.and_utc().timestamp().saturating_add(up)))
        });
        let last = end.map_or(INSTANT_MAX, |end| zone::last_instant(zone, bounded(end.and_utc().timestamp())));
        let schedule = Schedule {
            text: cron.trim().to_string(),
            zone,
            start,
            end,
            count,
            expression,
            first: first.max(INSTANT_MIN),
            last: last.min(INSTANT_MAX),
        };
        if schedule.first_from(INSTANT_MIN).is_none() {
            let between = match (start, end) {
                (Some(start), Some(end)) => format!("between start {start} and end {end}"),
                (Some(start), None) => format!("from start {start} until the end of 2100"),
                (None, Some(end)) => format!("from 1970 until end {end}"),
                (None, None) => "between 1970 and 2100".to_string(),
            };
            let message = format!("never fires: no time of {:?} in {zone} lies {between}", schedule.text);
            return Err(Problem::new(message, "move start or end, or leave one out, so that at least one time lies between"));
        }
        Ok(schedule)
    }

    /// The first instant strictly after `after` at which it fires; `None` when it never fires again.
    pub fn next(&self, after: Timestamp) -> Option<Timestamp> {
        // Fires at whole seconds, so that strictly after a part of a second is the next second.
        let at = self.first_from(after.seconds().saturating_add(1))?;
        Some(Timestamp(at * 1000))
    }

    /// The first `n` instants strictly after `after`; fewer when it ends before, and never more than [`NEXT_MAX`].
    pub fn next_n(&self, after: Timestamp, n: usize) -> Vec<Timestamp> {
        std::iter::successors(self.next(after), |at| self.next(*at)).take(n.min(NEXT_MAX)).collect()
    }

    /// Whether it was due in (`last`, `now`]: at least one run is owed to a job that last ran, or was last looked at, at `last`.
    pub fn missed(&self, last: Timestamp, now: Timestamp) -> bool {
        self.next(last).is_some_and(|due| due <= now)
    }

    /// The zone whose wall clock counts.
    pub fn zone(&self) -> Tz {
        self.zone
    }

    /// The first wall clock time at which it may fire.
    pub fn start(&self) -> Option<NaiveDateTime> {
        self.start
    }

    /// The last wall clock time at which it may fire.
    pub fn end(&self) -> Option<NaiveDateTime> {
        self.end
    }

    /// How often it may fire in all; at least 1. `next` does not know how often it did.
    pub fn count(&self) -> Option<u64> {
        self.count
    }

    /// The first instant at or after `from` within start and end, in seconds.
    fn first_from(&self, from: i64) -> Option<i64> {
        if from > self.last {
            return None;
        }
        self.first_unbounded(from.max(self.first)).filter(|at| *at <= self.last)
    }

    /// The first instant at or after `from`, which lies within the years 1970 to 2100.
    ///
    /// 1. Take the first match on the wall clock from the cursor on, as if the offset stayed what it is at the cursor.
    /// 2. If a change of offset comes first, go on from the change: the match is on another clock then.
    /// 3. If the match is near, it is the answer.
    /// 4. If it is far, go on from two days before it. Nothing matches until then: each wall clock time on the way is before the match, and
    ///    one that a change repeats from before the cursor would have been within [`LOOK`] of it.
    ///
    /// A round ends at an answer, at a change, or within two days of a match, so that there are no more than a few.
    fn first_unbounded(&self, from: i64) -> Option<i64> {
        let mut cursor = from;
        loop {
            let offset = zone::offset(self.zone, cursor);
            let mut local = cursor + offset;
            if let Some(change) = zone::change(self.zone, cursor - LOOK, cursor) {
                if change.at == cursor && self.is_made_up_at(change) {
                    return Some(cursor);
                }
                if !self.expression.free_running {
                    // What the clock showed before it was set back does not count again.
                    local = local.max(change.local_before());
                }
            }
            let candidate = self.expression.first_from(local)? - offset;
            let near = cursor + LOOK;
            match zone::change(self.zone, cursor, candidate.min(near)) {
                Some(change) => cursor = change.at,
                None if candidate <= near => return Some(candidate),
                None => cursor = candidate - LOOK,
            }
        }
    }

    /// Whether runs that the change skips are made up for by one run at the change.
    fn is_made_up_at(&self, change: Change) -> bool {
        let (gap_start, gap_end) = (change.local_before(), change.local_after());
        let mut from = gap_start;
        // A gap is a day at most: two dates, so two rounds.
        while let Some(skipped) = self.expression.first_from(from)
            && skipped < gap_end
        {
            let day_start = skipped.div_euclid(DAY) * DAY;
            let day_end = day_start + DAY;
            let exists = day_start < gap_start || gap_end < day_end;
            if exists && (!self.expression.free_running || self.takes_whole_day(gap_start, gap_end, day_start)) {
                return true;
            }
            from = day_end;
        }
        false
    }

    /// Whether nothing fires on the date outside the gap.
    fn takes_whole_day(&self, gap_start: i64, gap_end: i64, day_start: i64) -> bool {
        let earlier = self.expression.first_from(day_start).is_some_and(|at| at < gap_start);
        let later = self.expression.first_from(gap_end).is_some_and(|at| at < day_start + DAY);
        !earlier && !later
    }
}

/// The cron text as it was written.
impl fmt::Display for Schedule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// A wall clock time from outside, moved into the years that are searched with some days to spare: arithmetic on it can not overflow.
fn bounded(local: i64) -> i64 {
    local.clamp(INSTANT_MIN - 10 * DAY, INSTANT_MAX + 10 * DAY)
}
