//! A time zone as seconds: offsets, the changes between them, and local times as instants.
//!
//! Uses the one question that the zone's table answers without doubt, the offset at an instant. Relies on two facts of the IANA database
//! since 1970, which a test checks for each zone: two changes are never closer than [`LOOK`] times two, and no change is larger than a day.

use chrono::{DateTime, Offset, TimeZone};
use chrono_tz::Tz;

/// How far around an instant changes are looked for, in seconds: two days, longer than any change is large.
pub(super) const LOOK: i64 = 2 * 86_400;

/// The instant at which a zone's offset changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Change {
    /// The first instant of the new offset, in seconds since the epoch.
    pub(super) at: i64,
    /// The offset until then, in seconds east of UTC.
    pub(super) before: i64,
    /// The offset from then on.
    pub(super) after: i64,
}

impl Change {
    /// The wall clock at the change by the old offset: where a gap begins, where a repeated time ends.
    pub(super) fn local_before(self) -> i64 {
        self.at + self.before
    }

    /// The wall clock at the change by the new offset: where a gap ends, where a repeated time begins.
    pub(super) fn local_after(self) -> i64 {
        self.at + self.after
    }
}

/// Seconds that local time is ahead of UTC at an instant.
pub(super) fn offset(zone: Tz, at: i64) -> i64 {
    let utc = DateTime::from_timestamp(at, 0).unwrap_or_default().naive_utc();
    i64::from(zone.offset_from_utc_datetime(&utc).fix().local_minus_utc())
}

/// The change in (`from`, `to`], when there is one; the two must not be farther apart than twice [`LOOK`].
pub(super) fn change(zone: Tz, from: i64, to: i64) -> Option<Change> {
    if from >= to {
        return None;
    }
    let (before, after) = (offset(zone, from), offset(zone, to));
    if before == after {
        return None;
    }
    let (mut low, mut high) = (from, to);
    while high - low > 1 {
        let middle = low + (high - low) / 2;
        if offset(zone, middle) == before {
            low = middle;
        } else {
            high = middle;
        }
    }
    Some(Change { at: high, before, after })
}

/// The first instant at which the clock shows `local` or later: the end of the gap for a skipped time, the first pass of a repeated one.
pub(super) fn first_instant(zone: Tz, local: i64) -> i64 {
    match change(zone, local - LOOK, local + LOOK) {
        None => local - offset(zone, local),
        Some(change) if local < change.local_before() => local - change.before,
        Some(change) => change.at.max(local - change.after),
    }
}

/// The last instant at which the wall clock shows `local`: the end of the gap for a skipped time, the second pass of a repeated one.
pub(super) fn last_instant(zone: Tz, local: i64) -> i64 {
    match change(zone, local - LOOK, local + LOOK) {
        None => local - offset(zone, local),
        Some(change) if local >= change.local_after() => local - change.after,
        Some(change) => change.at.min(local - change.before),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_zone_since_1970_changes_twice_within_four_days_or_by_more_than_a_day() {
        const STEP: i64 = LOOK;
        for zone in chrono_tz::TZ_VARIANTS {
            let mut last_change = i64::MIN / 2;
            let mut before = offset(zone, 0);
            for at in (STEP..4_133_980_800).step_by(STEP as usize) {
                let after = offset(zone, at);
                if after == before {
                    continue;
                }
                let found = change(zone, at - STEP, at).unwrap();
                assert!(found.at - last_change > 2 * LOOK, "{zone}: {found:?}");
                assert!((after - before).abs() <= 86_400, "{zone}: {found:?}");
                (last_change, before) = (found.at, after);
            }
        }
    }

    #[test]
    fn a_skipped_local_time_resolves_to_the_end_of_the_gap_and_a_repeated_one_to_either_pass() {
        let zone = chrono_tz::Europe::Amsterdam;
        let local = |text: &str| text.parse::<chrono::NaiveDateTime>().unwrap().and_utc().timestamp();
        for (wall, first, last) in [
            ("2026-03-29T01:59:59", "2026-03-29T00:59:59", "2026-03-29T00:59:59"),
            ("2026-03-29T02:30:00", "2026-03-29T01:00:00", "2026-03-29T01:00:00"),
            ("2026-03-29T03:00:00", "2026-03-29T01:00:00", "2026-03-29T01:00:00"),
            ("2026-10-25T01:59:59", "2026-10-24T23:59:59", "2026-10-24T23:59:59"),
            ("2026-10-25T02:30:00", "2026-10-25T00:30:00", "2026-10-25T01:30:00"),
            ("2026-10-25T03:00:00", "2026-10-25T02:00:00", "2026-10-25T02:00:00"),
            ("2026-07-01T12:00:00", "2026-07-01T10:00:00", "2026-07-01T10:00:00"),
        ] {
            assert_eq!((first_instant(zone, local(wall)), last_instant(zone, local(wall))), (local(first), local(last)), "{wall}");
        }
    }
}
