use chrono::{Datelike, NaiveDate, Timelike};
use proptest::prelude::*;

use super::*;

fn at(text: &str) -> Timestamp {
    Timestamp::from_utc(chrono::DateTime::parse_from_rfc3339(text).unwrap().with_timezone(&Utc))
}

fn schedule(cron: &str, zone: &str) -> Schedule {
    Schedule::new(cron, zone.parse().unwrap(), None, None, None).unwrap_or_else(|problem| panic!("{cron}: {problem}"))
}

#[test]
fn the_next_instants_are_those_of_unix_cron() {
    let table: &[(&str, &str, &str, &[&str])] = &[
        ("*/5 * * * *", "UTC", "2026-11-24T10:50:00Z", &["2026-11-24T10:55:00Z", "2026-11-24T11:00:00Z"]),
        ("0 6 * * 1-5", "Europe/Amsterdam", "2026-11-27T12:00:00Z", &["2026-11-30T05:00:00Z", "2026-12-01T05:00:00Z"]),
        ("0 0 * * 5", "UTC", "2026-11-24T00:00:00Z", &["2026-11-27T00:00:00Z"]),
        ("0 0 * * 0", "UTC", "2026-11-24T00:00:00Z", &["2026-11-29T00:00:00Z"]),
        ("0 0 * * 7", "UTC", "2026-11-24T00:00:00Z", &["2026-11-29T00:00:00Z"]),
        ("0 0 * * FRI-7", "UTC", "2026-11-24T00:00:00Z", &["2026-11-27T00:00:00Z", "2026-11-28T00:00:00Z", "2026-11-29T00:00:00Z"]),
        // Either day: the 13th, and every Friday.
        (
            "0 0 13 * 5",
            "UTC",
            "2026-11-10T00:00:00Z",
            &[
                "2026-11-13T00:00:00Z",
                "2026-11-20T00:00:00Z",
                "2026-11-27T00:00:00Z",
                "2026-12-04T00:00:00Z",
                "2026-12-11T00:00:00Z",
                "2026-12-13T00:00:00Z",
            ],
        ),
        // A star with a step does not restrict by itself: both must match.
        ("0 0 */2 * 1", "UTC", "2026-11-01T00:00:00Z", &["2026-11-09T00:00:00Z", "2026-11-23T00:00:00Z"]),
        ("0 0 29 2 *", "UTC", "2026-11-24T00:00:00Z", &["2028-02-29T00:00:00Z"]),
        ("30 0 0 1 jan *", "UTC", "2026-11-24T00:00:00Z", &["2027-01-01T00:00:30Z"]),
        ("@daily", "UTC", "2026-11-24T00:00:00Z", &["2026-11-25T00:00:00Z"]),
        (
            "5/20 * * * *",
            "UTC",
            "2026-11-24T00:00:00Z",
            &["2026-11-24T00:05:00Z", "2026-11-24T00:25:00Z", "2026-11-24T00:45:00Z", "2026-11-24T01:05:00Z"],
        ),
    ];
    for (cron, zone, after, expected) in table {
        let expected: Vec<_> = expected.iter().map(|text| at(text)).collect();
        assert_eq!(schedule(cron, zone).next_n(at(after), expected.len()), expected, "{cron} in {zone}");
    }
}

#[test]
fn a_daily_job_runs_once_a_day_whatever_the_clocks_do() {
    // Zones whose clocks jump by an hour, by half an hour, at midnight, and by a whole day.
    for (zone, year) in [
        ("Europe/Amsterdam", 2026),
        ("Australia/Lord_Howe", 2026),
        ("America/Sao_Paulo", 2017),
        ("Africa/Cairo", 2026),
        ("Asia/Beirut", 2026),
        ("America/New_York", 2026),
    ] {
        for cron in ["0 0 * * *", "30 0 * * *", "30 1 * * *", "0 2 * * *", "30 2 * * *", "59 23 * * *"] {
            let schedule = schedule(cron, zone);
            let first = Timestamp::from_utc(NaiveDate::from_ymd_opt(year, 1, 1).unwrap().and_hms_opt(12, 0, 0).unwrap().and_utc());
            let days: Vec<_> = schedule.next_n(first, 360).iter().map(|at| schedule.local(*at).num_days_from_ce()).collect();
            assert!(days.windows(2).all(|pair| pair[1] == pair[0] + 1), "{cron} in {zone}: {days:?}");
        }
    }
    let apia = schedule("0 9 * * *", "Pacific/Apia");
    let runs = apia.next_n(at("2011-12-29T00:00:00Z"), 3);
    assert_eq!(
        runs,
        [at("2011-12-29T19:00:00Z"), at("2011-12-30T10:00:00Z"), at("2011-12-30T19:00:00Z")],
        "the day that Samoa skipped is run as it ends"
    );
}

#[test]
fn a_skipped_hour_is_made_good_once_and_a_repeated_one_is_not_run_twice() {
    let spring = schedule("30 2 * * *", "Europe/Amsterdam");
    assert_eq!(spring.next_n(at("2026-03-28T12:00:00Z"), 2), [at("2026-03-29T01:00:00Z"), at("2026-03-30T00:30:00Z")]);
    let crowded = schedule("*/10 2 * * *", "Europe/Amsterdam");
    assert_eq!(crowded.next_n(at("2026-03-28T12:00:00Z"), 2), [at("2026-03-29T01:00:00Z"), at("2026-03-30T00:00:00Z")]);
    let autumn = schedule("30 2 * * *", "Europe/Amsterdam");
    assert_eq!(autumn.next_n(at("2026-10-24T12:00:00Z"), 2), [at("2026-10-25T00:30:00Z"), at("2026-10-26T01:30:00Z")]);
}

#[test]
fn a_wildcard_hour_follows_the_wall_clock_and_nothing_piles_up() {
    let five = schedule("*/5 * * * *", "Europe/Amsterdam");
    for change in ["2026-03-28T23:00:00Z", "2026-10-24T22:00:00Z"] {
        let runs = five.next_n(at(change), 60);
        assert!(runs.windows(2).all(|pair| pair[1].0 - pair[0].0 == 300_000), "{runs:?}");
    }
}

#[test]
fn what_can_never_fire_is_refused_with_a_reason() {
    let zone = Tz::UTC;
    let day = |y, m, d| NaiveDate::from_ymd_opt(y, m, d).unwrap().and_hms_opt(0, 0, 0);
    for (cron, start, end, count, word) in [
        ("0 0 31 2 *", None, None, None, "can never fire"),
        ("0 0 30 2 *", None, None, None, "can never fire"),
        ("0 0 31 4,6,9,11 *", None, None, None, "can never fire"),
        ("0 0 1 1 *", day(2026, 2, 1), day(2026, 12, 1), None, "between start and end"),
        ("0 0 * * *", day(2026, 2, 1), day(2026, 1, 1), None, "before it starts"),
        ("0 0 * * *", None, None, Some(0), "count of 0"),
        ("61 * * * *", None, None, None, "minute \"61\""),
        ("* 24 * * *", None, None, None, "hour \"24\""),
        ("* * 0 * *", None, None, None, "day of the month \"0\""),
        ("* * * foo *", None, None, None, "month \"foo\""),
        ("* * * * 8", None, None, None, "day of the week \"8\""),
        ("*/0 * * * *", None, None, None, "minute \"*/0\""),
        ("5-1 * * * *", None, None, None, "minute \"5-1\""),
        ("* * * *", None, None, None, "4 fields"),
        ("", None, None, None, "0 fields"),
    ] {
        let problem = Schedule::new(cron, zone, start, end, count).expect_err(cron);
        assert!(problem.message.contains(word), "{cron}: {problem}");
        assert!(!problem.hint.is_empty());
    }
}

#[test]
fn start_and_end_are_instants_of_the_zone_and_both_may_fire() {
    let zone: Tz = "Europe/Amsterdam".parse().unwrap();
    let time = |hour| NaiveDate::from_ymd_opt(2026, 12, 1).unwrap().and_hms_opt(hour, 0, 0);
    let schedule = Schedule::new("0 * * * *", zone, time(8), time(10), None).unwrap();
    assert_eq!(
        schedule.next_n(at("2020-01-01T00:00:00Z"), 9),
        [at("2026-12-01T07:00:00Z"), at("2026-12-01T08:00:00Z"), at("2026-12-01T09:00:00Z")]
    );
    assert!(schedule.missed(at("2026-12-01T07:30:00Z"), at("2026-12-01T08:00:00Z")));
    assert!(!schedule.missed(at("2026-12-01T07:00:00Z"), at("2026-12-01T07:59:59Z")));
}

/// An independent matcher: minute by minute, straight from crontab(5).
fn matches(cron: &str, time: NaiveDateTime) -> bool {
    let fields: Vec<&str> = cron.split(' ').collect();
    let hit = |index: usize, value: u32, low: u32| {
        fields[index].split(',').any(|part| {
            let (range, step) = part.split_once('/').map_or((part, 1), |(range, step)| (range, step.parse().unwrap()));
            let (from, to) = match range.split_once('-') {
                _ if range == "*" => (low, 99),
                Some((from, to)) => (from.parse().unwrap(), to.parse().unwrap()),
                None => (range.parse().unwrap(), range.parse().unwrap()),
            };
            value >= from && value <= to && (value - from) % step == 0
        })
    };
    let weekday = time.weekday().num_days_from_sunday();
    let (day, week) = (hit(2, time.day(), 1), hit(4, weekday, 0) || (weekday == 0 && fields[4] != "*" && hit(4, 7, 0)));
    let days = if fields[2].starts_with('*') || fields[4].starts_with('*') { day && week } else { day || week };
    hit(0, time.minute(), 0) && hit(1, time.hour(), 0) && hit(3, time.month(), 1) && days
}

fn field(low: u32, high: u32) -> impl Strategy<Value = String> {
    prop_oneof![
        3 => Just("*".to_owned()),
        2 => (low..=high).prop_map(|value| value.to_string()),
        1 => (2u32..7).prop_map(|step| format!("*/{step}")),
        1 => (low..=high, low..=high).prop_map(|(a, b)| format!("{}-{}", a.min(b), a.max(b))),
        1 => (low..=high, low..=high).prop_map(|(a, b)| format!("{a},{b}")),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn every_next_instant_agrees_with_a_minute_by_minute_search(
        minute in field(0, 59), hour in field(0, 23), day in field(1, 31), week in field(0, 7), from in 0u32..500_000
    ) {
        let cron = format!("{minute} {hour} {day} * {week}");
        let schedule = schedule(&cron, "UTC");
        let start = at("2026-01-01T00:00:00Z").to_utc().naive_utc() + Duration::minutes(i64::from(from));
        let expected = (1..60 * 24 * 40).map(|minutes| start + Duration::minutes(minutes)).find(|time| matches(&cron, *time));
        let found = schedule.next(Timestamp::from_utc(start.and_utc())).map(|at| at.to_utc().naive_utc());
        match expected {
            Some(expected) => prop_assert_eq!(found, Some(expected), "{}", cron),
            None => prop_assert!(found.is_none_or(|found| found >= start + Duration::days(40) - Duration::minutes(1)), "{}", cron),
        }
    }

    #[test]
    fn hostile_text_is_refused_or_read_but_never_panics(text in "[-*/,0-9a-z@? ]{0,40}|.{0,60}") {
        if let Ok(schedule) = Schedule::new(&text, chrono_tz::Europe::Amsterdam, None, None, None) {
            schedule.next_n(at("2026-03-29T00:00:00Z"), 3);
        }
    }
}
