//! When a job runs: cron text, time zone and bounds to the next instant. Pure.
//!
//! The text has the usual Unix meaning (DESIGN §3, crontab(5)): five fields, or six with seconds first; 0 and 7 are Sunday; when both the day
//! of the month and the day of the week are restricted, a day matches when either does. The `cron` crate finds the next calendar time; it
//! numbers weekdays from 1 = Sunday, joins days by AND and mishandles clock changes, so `text.rs` translates the text for it, and it only
//! ever sees calendar times without a zone.
//!
//! Clock changes, decided here, after cron(8):
//!   - a fixed hour (`0 6 * * *`) fires once for each calendar time: at the first instant after the gap when the change skips it, at its first
//!     occurrence when the change repeats it. So a daily job runs once a day, every day;
//!   - a wildcard hour (`*/5 * * * *`, `0 */2 * * *`) follows the clock on the wall as it runs: both times in a repeated hour, not at all in a
//!     skipped one, and nothing piles up behind the gap.

use std::fmt;

use chrono::{Duration, LocalResult, NaiveDateTime, Offset, TimeZone, Utc};
use chrono_tz::Tz;

use crate::model::time::Timestamp;

mod text;

/// Why a recurrence is refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// What is wrong: lower case, no full stop.
    pub message: String,
    /// What to do about it.
    pub hint: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}\n  hint: {}", self.message, self.hint)
    }
}

/// A recurrence that was checked: it can fire.
#[derive(Clone, Debug)]
pub struct Schedule {
    text: String,
    zone: Tz,
    /// One, or two when either kind of day matches.
    calendars: Vec<cron::Schedule>,
    fixed_hour: bool,
    start: Option<NaiveDateTime>,
    end: Option<NaiveDateTime>,
    count: Option<u64>,
}

impl PartialEq for Schedule {
    fn eq(&self, other: &Self) -> bool {
        (&self.text, self.zone, self.start, self.end, self.count) == (&other.text, other.zone, other.start, other.end, other.count)
    }
}

impl fmt::Display for Schedule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl Schedule {
    /// Checks and compiles a recurrence. `start` and `end` are local to the zone; `count` is enforced by the scheduler, which knows how often it
    /// has fired. A schedule that can never fire is refused.
    pub fn new(
        cron: &str,
        zone: Tz,
        start: Option<NaiveDateTime>,
        end: Option<NaiveDateTime>,
        count: Option<u64>,
    ) -> Result<Schedule, Problem> {
        let parsed = text::parse(cron)?;
        let schedule =
            Schedule { text: cron.trim().to_owned(), zone, calendars: parsed.calendars, fixed_hour: parsed.fixed_hour, start, end, count };
        let never = |message: String, hint: &str| Err(Problem { message, hint: hint.into() });
        if count == Some(0) {
            return never(
                "the recurrence has a count of 0 and would never fire".into(),
                "leave count out, or set enabled = false on the job",
            );
        }
        if let (Some(start), Some(end)) = (start, end) {
            if end < start {
                return never(format!("the recurrence ends at {end}, before it starts at {start}"), "put end after start");
            }
        }
        // Any start will do for a text without bounds: what fires at all fires within the eight years between leap years around 2100.
        let from = start.unwrap_or_default();
        if schedule.next(Timestamp::from_utc(from.and_utc() - Duration::days(2))).is_none() {
            return match (start, end) {
                (None, None) => {
                    never(format!("\"{cron}\" can never fire: no such day exists"), "check the day of the month against the month")
                }
                _ => never(format!("\"{cron}\" never fires between start and end"), "widen start and end, or change the expression"),
            };
        }
        Ok(schedule)
    }

    /// How often it may fire in all.
    pub fn count(&self) -> Option<u64> {
        self.count
    }

    /// The zone it is read in.
    pub fn zone(&self) -> Tz {
        self.zone
    }

    /// The first instant after `after` at which it fires; `None` when it never fires again.
    pub fn next(&self, after: Timestamp) -> Option<Timestamp> {
        let after = match self.start {
            // One millisecond before the start's own instant, so that the start itself may fire.
            Some(start) => after.max(Timestamp(self.instant(start)?.0 - 1)),
            None => after,
        };
        let next = if self.fixed_hour { self.next_fixed(after) } else { self.next_running(after) }?;
        match self.end {
            Some(end) if next > self.instant(end)? => None,
            _ => Some(next),
        }
    }

    /// The next `n` instants after `after`.
    pub fn next_n(&self, after: Timestamp, n: usize) -> Vec<Timestamp> {
        std::iter::successors(self.next(after), |last| self.next(*last)).take(n).collect()
    }

    /// Whether it fired at least once in (`last`, `now`].
    pub fn missed(&self, last: Timestamp, now: Timestamp) -> bool {
        self.next(last).is_some_and(|next| next <= now)
    }

    /// The first calendar time after `local` that matches.
    fn next_calendar(&self, local: NaiveDateTime) -> Option<NaiveDateTime> {
        self.calendars.iter().filter_map(|calendar| calendar.after(&local.and_utc()).next()).min().map(|at| at.naive_utc())
    }

    fn offset_seconds(&self, at: Timestamp) -> i64 {
        i64::from(self.zone.offset_from_utc_datetime(&at.to_utc().naive_utc()).fix().local_minus_utc())
    }

    fn local(&self, at: Timestamp) -> NaiveDateTime {
        self.zone.from_utc_datetime(&at.to_utc().naive_utc()).naive_local()
    }

    /// The instant of a calendar time: its first occurrence, or the first instant after the gap that skips it.
    fn instant(&self, local: NaiveDateTime) -> Option<Timestamp> {
        match self.zone.from_local_datetime(&local) {
            LocalResult::Single(at) | LocalResult::Ambiguous(at, _) => Some(Timestamp::from_utc(at.with_timezone(&Utc))),
            LocalResult::None => {
                // The gap's end is the instant at which the offset grows. No change skips more than a day (Pacific/Apia, 2011).
                let around = Timestamp::from_utc(local.and_utc());
                let (before, after) = (Timestamp(around.0 - 2 * DAY_MS), Timestamp(around.0 + 2 * DAY_MS));
                self.change_between(before, after)
            }
        }
    }

    /// The first instant in (`from`, `to`] with another offset than `from`'s, to the second; `None` when the ends agree.
    fn change_between(&self, from: Timestamp, to: Timestamp) -> Option<Timestamp> {
        let offset = self.offset_seconds(from);
        if self.offset_seconds(to) == offset {
            return None;
        }
        let (mut low, mut high) = (from.seconds(), to.seconds() + 1);
        while high - low > 1 {
            let middle = low + (high - low) / 2;
            if self.offset_seconds(Timestamp(middle * 1000)) == offset { low = middle } else { high = middle }
        }
        Some(Timestamp(high * 1000))
    }

    fn next_fixed(&self, after: Timestamp) -> Option<Timestamp> {
        // Behind a change, calendar times that were skipped or repeated still have to be mapped: look back over it.
        let recent = Timestamp(after.0 - 2 * DAY_MS);
        let changed = self.offset_seconds(recent) != self.offset_seconds(after);
        let mut calendar = self.local(after) - if changed { Duration::days(2) } else { Duration::zero() };
        loop {
            calendar = self.next_calendar(calendar)?;
            let at = self.instant(calendar)?;
            if at > after {
                return Some(at);
            }
        }
    }

    fn next_running(&self, after: Timestamp) -> Option<Timestamp> {
        // Piece by piece: within a piece the offset is the same, and calendar time is instants plus that offset.
        let (mut from, mut inclusive) = (after, false);
        loop {
            let offset = self.offset_seconds(from) * 1000;
            let local = Timestamp(from.0 + offset - i64::from(inclusive)).to_utc().naive_utc();
            let at = Timestamp::from_utc(self.next_calendar(local)?.and_utc()).0 - offset;
            match self.change_between(from, Timestamp(at)) {
                Some(change) if change.0 <= at => (from, inclusive) = (change, true),
                _ => return Some(Timestamp(at)),
            }
        }
    }
}

const DAY_MS: i64 = 86_400_000;

#[cfg(test)]
mod tests;
