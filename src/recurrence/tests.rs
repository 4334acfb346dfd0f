//! Tables of expressions and instants, and an oracle: a second, minute-by-minute reading of the rules that shares no code with the first.

use std::collections::{BTreeSet, HashSet};

use chrono::{DateTime, Datelike, NaiveDate, NaiveDateTime, TimeDelta, TimeZone, Timelike, Utc};
use chrono_tz::Tz;
use proptest::prelude::*;

use super::*;

fn at(text: &str) -> Timestamp {
    Timestamp::from_utc(text.parse::<DateTime<Utc>>().unwrap())
}

fn wall(text: &str) -> NaiveDateTime {
    text.parse().unwrap()
}

fn schedule(cron: &str, zone: &str) -> Schedule {
    Schedule::new(cron, zone.parse().unwrap(), None, None, None).unwrap_or_else(|problem| panic!("{cron}: {problem}"))
}

/// The next runs as the wall clock shows them, with the offset.
fn walls(schedule: &Schedule, after: &str, n: usize) -> Vec<String> {
    let after = Timestamp::from_utc(DateTime::parse_from_rfc3339(after).unwrap().to_utc());
    let runs = schedule.next_n(after, n);
    runs.iter().map(|run| run.to_utc().with_timezone(&schedule.zone()).format("%a %Y-%m-%d %H:%M:%S%:z").to_string()).collect()
}

#[test]
fn the_fields_mean_what_unix_says() {
    // 2026-11-24 is a Tuesday.
    for (cron, expected) in [
        ("* * * * *", vec!["Tue 2026-11-24 10:01:00", "Tue 2026-11-24 10:02:00"]),
        ("*/15 * * * *", vec!["Tue 2026-11-24 10:15:00", "Tue 2026-11-24 10:30:00"]),
        ("  5\t0 * *   *  ", vec!["Wed 2026-11-25 00:05:00", "Thu 2026-11-26 00:05:00"]),
        ("05 07 * * *", vec!["Wed 2026-11-25 07:05:00"]),
        ("0 6 * * 1-5", vec!["Wed 2026-11-25 06:00:00", "Thu 2026-11-26 06:00:00", "Fri 2026-11-27 06:00:00", "Mon 2026-11-30 06:00:00"]),
        ("0 0 * * 5", vec!["Fri 2026-11-27 00:00:00"]),
        ("0 0 * * 0", vec!["Sun 2026-11-29 00:00:00", "Sun 2026-12-06 00:00:00"]),
        ("0 0 * * 7", vec!["Sun 2026-11-29 00:00:00", "Sun 2026-12-06 00:00:00"]),
        ("0 0 * * sun", vec!["Sun 2026-11-29 00:00:00"]),
        (
            "0 0 * * FRI-Sun",
            vec!["Fri 2026-11-27 00:00:00", "Sat 2026-11-28 00:00:00", "Sun 2026-11-29 00:00:00", "Fri 2026-12-04 00:00:00"],
        ),
        ("0 0 * * 5-7", vec!["Fri 2026-11-27 00:00:00", "Sat 2026-11-28 00:00:00", "Sun 2026-11-29 00:00:00", "Fri 2026-12-04 00:00:00"]),
        ("0 0 * * 0-2", vec!["Sun 2026-11-29 00:00:00", "Mon 2026-11-30 00:00:00", "Tue 2026-12-01 00:00:00"]),
        ("0 0 * * sun-tue", vec!["Sun 2026-11-29 00:00:00", "Mon 2026-11-30 00:00:00", "Tue 2026-12-01 00:00:00"]),
        ("0 0 * * 0-7", vec!["Wed 2026-11-25 00:00:00", "Thu 2026-11-26 00:00:00"]),
        ("0 0 * * */2", vec!["Thu 2026-11-26 00:00:00", "Sat 2026-11-28 00:00:00", "Sun 2026-11-29 00:00:00"]),
        ("0 0 * * Monday,wed", vec!["Wed 2026-11-25 00:00:00", "Mon 2026-11-30 00:00:00"]),
        ("0 0 1 jan,JUL *", vec!["Fri 2027-01-01 00:00:00", "Thu 2027-07-01 00:00:00"]),
        ("0 0 1 February *", vec!["Mon 2027-02-01 00:00:00"]),
        ("0 0 1 10-12 ?", vec!["Tue 2026-12-01 00:00:00", "Fri 2027-10-01 00:00:00"]),
        ("0 12 ? * 3", vec!["Wed 2026-11-25 12:00:00"]),
        ("0 8-18/5 * * *", vec!["Tue 2026-11-24 13:00:00", "Tue 2026-11-24 18:00:00", "Wed 2026-11-25 08:00:00"]),
        ("5/20 10 * * *", vec!["Tue 2026-11-24 10:05:00", "Tue 2026-11-24 10:25:00", "Tue 2026-11-24 10:45:00", "Wed 2026-11-25 10:05:00"]),
        (
            "1,2,2,1-3,59 10 * * *",
            vec!["Tue 2026-11-24 10:01:00", "Tue 2026-11-24 10:02:00", "Tue 2026-11-24 10:03:00", "Tue 2026-11-24 10:59:00"],
        ),
        ("0 0 31 * *", vec!["Thu 2026-12-31 00:00:00", "Sun 2027-01-31 00:00:00", "Wed 2027-03-31 00:00:00"]),
        ("0 0 29 2 *", vec!["Tue 2028-02-29 00:00:00", "Sun 2032-02-29 00:00:00"]),
        ("*/20 0 10 * * *", vec!["Tue 2026-11-24 10:00:20", "Tue 2026-11-24 10:00:40", "Wed 2026-11-25 10:00:00"]),
        ("30 */5 * * * *", vec!["Tue 2026-11-24 10:00:30", "Tue 2026-11-24 10:05:30"]),
        ("@hourly", vec!["Tue 2026-11-24 11:00:00", "Tue 2026-11-24 12:00:00"]),
        ("@daily", vec!["Wed 2026-11-25 00:00:00", "Thu 2026-11-26 00:00:00"]),
        (" @Midnight ", vec!["Wed 2026-11-25 00:00:00"]),
        ("@weekly", vec!["Sun 2026-11-29 00:00:00", "Sun 2026-12-06 00:00:00"]),
        ("@monthly", vec!["Tue 2026-12-01 00:00:00", "Fri 2027-01-01 00:00:00"]),
        ("@yearly", vec!["Fri 2027-01-01 00:00:00", "Sat 2028-01-01 00:00:00"]),
        ("@annually", vec!["Fri 2027-01-01 00:00:00"]),
    ] {
        let expected: Vec<String> = expected.iter().map(|run| format!("{run}+00:00")).collect();
        assert_eq!(walls(&schedule(cron, "UTC"), "2026-11-24T10:00:00Z", expected.len()), expected, "{cron}");
    }
}

#[test]
fn two_restricted_day_fields_match_when_either_does_and_a_star_makes_it_both() {
    for (cron, expected) in [
        (
            "0 0 13 * 5",
            vec![
                "Fri 2026-11-06",
                "Fri 2026-11-13",
                "Fri 2026-11-20",
                "Fri 2026-11-27",
                "Fri 2026-12-04",
                "Fri 2026-12-11",
                "Sun 2026-12-13",
            ],
        ),
        // A range that covers all is still not a star: every day.
        ("0 0 1-31 * 5", vec!["Tue 2026-11-03", "Wed 2026-11-04"]),
        // The 1st, 11th, 21st and 31st that are Fridays.
        ("0 0 */10 * 5", vec!["Fri 2026-12-11", "Fri 2027-01-01"]),
        // The 13ths that are Sunday, Tuesday, Thursday or Saturday.
        ("0 0 13 * */2", vec!["Sun 2026-12-13", "Sat 2027-02-13", "Sat 2027-03-13", "Tue 2027-04-13"]),
        ("0 0 ? * 5", vec!["Fri 2026-11-06", "Fri 2026-11-13"]),
        // One side never comes; the other one does.
        ("0 0 31 2 1", vec!["Mon 2027-02-01", "Mon 2027-02-08"]),
    ] {
        let expected: Vec<String> = expected.iter().map(|day| format!("{day} 00:00:00+00:00")).collect();
        assert_eq!(walls(&schedule(cron, "UTC"), "2026-11-02T12:00:00Z", expected.len()), expected, "{cron}");
    }
}

#[test]
fn a_fixed_time_that_is_skipped_runs_once_right_after_the_gap_and_a_repeated_one_runs_once() {
    for (cron, zone, after, expected) in [
        // Amsterdam: 02:00 to 03:00 skipped on 29 March, repeated on 25 October.
        ("30 2 * * *", "Europe/Amsterdam", "2026-03-27T12:00:00Z", "28 02:30:00+01:00|29 03:00:00+02:00|30 02:30:00+02:00"),
        ("0 2 * * *", "Europe/Amsterdam", "2026-03-27T12:00:00Z", "28 02:00:00+01:00|29 03:00:00+02:00|30 02:00:00+02:00"),
        ("0 3 * * *", "Europe/Amsterdam", "2026-03-28T12:00:00Z", "29 03:00:00+02:00|30 03:00:00+02:00"),
        ("59 1 * * *", "Europe/Amsterdam", "2026-03-28T12:00:00Z", "29 01:59:00+01:00|30 01:59:00+02:00"),
        (
            "0,20,40 2,3 * * *",
            "Europe/Amsterdam",
            "2026-03-28T12:00:00Z",
            "29 03:00:00+02:00|29 03:20:00+02:00|29 03:40:00+02:00|30 02:00:00+02:00",
        ),
        ("30 15 2 * * *", "Europe/Amsterdam", "2026-03-28T12:00:00Z", "29 03:00:00+02:00|30 02:15:30+02:00"),
        ("30 2 * * *", "Europe/Amsterdam", "2026-10-23T12:00:00Z", "24 02:30:00+02:00|25 02:30:00+02:00|26 02:30:00+01:00"),
        ("0 3 * * *", "Europe/Amsterdam", "2026-10-24T12:00:00Z", "25 03:00:00+01:00|26 03:00:00+01:00"),
        (
            "0,30 1,2 * * *",
            "Europe/Amsterdam",
            "2026-10-24T22:00:00Z",
            "25 01:00:00+02:00|25 01:30:00+02:00|25 02:00:00+02:00|25 02:30:00+02:00|26 01:00:00+01:00",
        ),
        ("*/10 30 2 * * *", "Europe/Amsterdam", "2026-10-25T00:30:45Z", "25 02:30:50+02:00|26 02:30:00+01:00"),
        // Asked within the second pass: the first one was it.
        ("30 2 * * *", "Europe/Amsterdam", "2026-10-25T01:10:00Z", "26 02:30:00+01:00"),
        // A yearly job whose one day has the gap.
        ("30 2 29 3 *", "Europe/Amsterdam", "2026-01-01T00:00:00Z", "29 03:00:00+02:00|29 02:30:00+02:00"),
        // A step that gives one time a day is a daily job all the same.
        ("30 2-2/1 * * *", "Europe/Amsterdam", "2026-10-24T12:00:00Z", "25 02:30:00+02:00|26 02:30:00+01:00"),
        // Lord Howe: half an hour, at 02:00.
        ("15 2 * * *", "Australia/Lord_Howe", "2026-10-02T12:00:00Z", "03 02:15:00+10:30|04 02:30:00+11:00|05 02:15:00+11:00"),
        ("45 1 * * *", "Australia/Lord_Howe", "2026-04-03T12:00:00Z", "04 01:45:00+11:00|05 01:45:00+11:00|06 01:45:00+10:30"),
        // Midnight is skipped.
        ("0 0 * * *", "America/Sao_Paulo", "2018-11-03T12:00:00Z", "04 01:00:00-02:00|05 00:00:00-02:00"),
        ("30 23 * * *", "America/Sao_Paulo", "2018-02-17T12:00:00Z", "17 23:30:00-02:00|18 23:30:00-03:00"),
        ("@daily", "Africa/Cairo", "2026-04-23T12:00:00Z", "24 01:00:00+03:00|25 00:00:00+03:00"),
        ("0 0 * * *", "Asia/Beirut", "2026-03-28T12:00:00Z", "29 01:00:00+03:00|30 00:00:00+03:00"),
        ("30 23 * * *", "Asia/Beirut", "2026-10-24T12:00:00Z", "24 23:30:00+03:00|25 23:30:00+02:00"),
        // One minute past midnight back to the day before: midnight comes twice.
        ("0 0 * * *", "America/St_Johns", "2010-11-06T12:00:00Z", "07 00:00:00-02:30|08 00:00:00-03:30"),
        // Two hours, three hours.
        ("30 2 * * *", "Antarctica/Troll", "2026-03-28T12:00:00Z", "29 03:00:00+02:00|30 02:30:00+02:00"),
        ("30 5 * * *", "Antarctica/Casey", "2018-10-05T12:00:00Z", "06 05:30:00+08:00|07 07:00:00+11:00|08 05:30:00+11:00"),
        // Apia had no 30 December: nothing to make up for.
        ("0 6 * * *", "Pacific/Apia", "2011-12-29T12:00:00Z", "29 06:00:00-10:00|31 06:00:00+14:00"),
        ("0 0 * * *", "Pacific/Apia", "2011-12-29T11:00:00Z", "31 00:00:00+14:00|01 00:00:00+14:00"),
    ] {
        let expected: Vec<&str> = expected.split('|').collect();
        let found = walls(&schedule(cron, zone), after, expected.len());
        let found: Vec<&str> = found.iter().map(|run| &run[12..]).collect();
        assert_eq!(found, expected, "{cron} {zone}");
    }
}

#[test]
fn a_free_running_job_follows_the_time_that_passes() {
    for (cron, zone, after, expected) in [
        ("0 * * * *", "Europe/Amsterdam", "2026-03-28T23:30:00Z", "29 01:00:00+01:00|29 03:00:00+02:00|29 04:00:00+02:00"),
        ("30 * * * *", "Europe/Amsterdam", "2026-10-25T00:00:00Z", "25 02:30:00+02:00|25 02:30:00+01:00|25 03:30:00+01:00"),
        (
            "*/30 0-23 * * *",
            "Europe/Amsterdam",
            "2026-10-25T00:00:00Z",
            "25 02:30:00+02:00|25 02:00:00+01:00|25 02:30:00+01:00|25 03:00:00+01:00",
        ),
        ("0 0-23 * * *", "Europe/Amsterdam", "2026-10-24T23:30:00Z", "25 02:00:00+02:00|25 02:00:00+01:00|25 03:00:00+01:00"),
        ("0 */2 * * *", "Europe/Amsterdam", "2026-03-28T22:30:00Z", "29 00:00:00+01:00|29 04:00:00+02:00"),
        // All the day's runs are in the gap: one of them is made up for, on that day.
        ("*/20 2 * * *", "Europe/Amsterdam", "2026-03-28T12:00:00Z", "29 03:00:00+02:00|30 02:00:00+02:00|30 02:20:00+02:00"),
        ("*/20 2 29 3 *", "Europe/Amsterdam", "2026-01-28T12:00:00Z", "29 03:00:00+02:00|29 02:00:00+02:00"),
        (
            "*/40 2 * * *",
            "Europe/Amsterdam",
            "2026-10-24T12:00:00Z",
            "25 02:00:00+02:00|25 02:40:00+02:00|25 02:00:00+01:00|25 02:40:00+01:00|26 02:00:00+01:00",
        ),
        ("*/15 * * * *", "Australia/Lord_Howe", "2026-04-04T14:50:00Z", "05 01:30:00+10:30|05 01:45:00+10:30|05 02:00:00+10:30"),
        ("*/20 * * * *", "America/Sao_Paulo", "2018-11-04T02:30:00Z", "03 23:40:00-03:00|04 01:00:00-02:00|04 01:20:00-02:00"),
        ("0 * * * *", "Pacific/Apia", "2011-12-30T08:30:00Z", "29 23:00:00-10:00|31 00:00:00+14:00|31 01:00:00+14:00"),
    ] {
        let expected: Vec<&str> = expected.split('|').collect();
        let found = walls(&schedule(cron, zone), after, expected.len());
        let found: Vec<&str> = found.iter().map(|run| &run[12..]).collect();
        assert_eq!(found, expected, "{cron} {zone}");
    }
}

#[test]
fn every_five_minutes_is_every_five_minutes_whatever_the_clocks_do() {
    for (zone, from) in [
        ("Europe/Amsterdam", "2026-03-28T12:00:00Z"),
        ("Europe/Amsterdam", "2026-10-24T12:00:00Z"),
        ("Australia/Lord_Howe", "2026-04-04T02:00:00Z"),
        ("Australia/Lord_Howe", "2026-10-03T02:00:00Z"),
        ("Pacific/Apia", "2011-12-29T22:00:00Z"),
        ("America/Sao_Paulo", "2018-11-03T12:00:00Z"),
    ] {
        let runs = schedule("*/5 * * * *", zone).next_n(at(from), 300);
        assert_eq!(runs.len(), 300);
        assert_eq!(runs[0], Timestamp(at(from).0 + 300_000));
        assert!(runs.windows(2).all(|pair| pair[1].0 - pair[0].0 == 300_000), "{zone} from {from}");
    }
}

#[test]
fn a_daily_job_runs_once_on_every_date_that_a_zone_had() {
    for (zone, from, to) in [
        ("Europe/Amsterdam", 2024, 2028),
        ("America/New_York", 2024, 2027),
        ("Australia/Lord_Howe", 2024, 2027),
        ("America/Sao_Paulo", 2016, 2020),
        ("America/St_Johns", 2008, 2012),
        ("Africa/Cairo", 2010, 2016),
        ("Africa/Casablanca", 2024, 2027),
        ("Asia/Beirut", 2024, 2027),
        ("Asia/Gaza", 2039, 2042),
        ("Pacific/Apia", 2010, 2014),
        ("Antarctica/Troll", 2024, 2027),
        ("Antarctica/Casey", 2016, 2024),
        ("Antarctica/Vostok", 1993, 1996),
    ] {
        let zone: Tz = zone.parse().unwrap();
        let first = NaiveDate::from_ymd_opt(from, 1, 2).unwrap();
        // The dates that some hour of real time had.
        let start = zone.from_local_datetime(&first.and_hms_opt(12, 0, 0).unwrap()).unwrap().to_utc();
        let hours = (0..).map(|hour| (start + TimeDelta::hours(hour)).with_timezone(&zone).date_naive());
        let dates: BTreeSet<NaiveDate> = hours.take_while(|date| date.year() < to).collect();
        for cron in ["0 0 * * *", "30 0 * * *", "0 2 * * *", "30 2 * * *", "15 5 * * *", "1 7 * * *", "45 23 * * *"] {
            let job = Schedule::new(cron, zone, None, None, None).unwrap();
            let mut after = Timestamp::from_utc(zone.from_local_datetime(&first.and_hms_opt(0, 0, 0).unwrap()).unwrap().to_utc());
            after = Timestamp(after.0 - 1);
            for date in &dates {
                after = job.next(after).unwrap();
                assert_eq!(after.to_utc().with_timezone(&zone).date_naive(), *date, "{cron} in {zone}");
            }
        }
    }
}

#[test]
fn start_and_end_are_wall_clock_times_and_both_count() {
    let amsterdam = chrono_tz::Europe::Amsterdam;
    let new = |cron, start: &str, end: &str| Schedule::new(cron, amsterdam, Some(wall(start)), Some(wall(end)), None).unwrap();
    let long_ago = at("1970-01-01T00:00:00Z");

    let job = new("0 12 * * *", "2026-12-01T12:00:00", "2026-12-03T12:00:00");
    let expected = ["2026-12-01T11:00:00Z", "2026-12-02T11:00:00Z", "2026-12-03T11:00:00Z"].map(at);
    assert_eq!(job.next_n(long_ago, 10), expected);
    assert_eq!(job.next_n(at("2026-12-01T10:59:59.999Z"), 10), expected);
    assert_eq!(job.next_n(at("2026-12-01T11:00:00Z"), 10), expected[1..]);
    assert_eq!(job.next(at("2026-12-03T11:00:00Z")), None);

    let job = new("0 12 * * *", "2026-12-01T12:00:00.001", "2026-12-03T11:59:59.999");
    assert_eq!(job.next_n(long_ago, 10), expected[1..2]);

    // In the repeated hour the start is the first pass and the end the second one.
    let job = new("30 * * * *", "2026-10-25T02:15:00", "2026-10-25T02:45:00");
    assert_eq!(job.next_n(long_ago, 10), ["2026-10-25T00:30:00Z", "2026-10-25T01:30:00Z"].map(at));

    // In the skipped hour both are the end of the gap, where skipped runs are made up for.
    let job = new("30 2 * * *", "2026-03-29T02:15:00", "2026-03-29T02:45:00");
    assert_eq!(job.next_n(long_ago, 10), ["2026-03-29T01:00:00Z"].map(at));
}

#[test]
fn what_can_never_fire_is_refused() {
    let utc = chrono_tz::UTC;
    for (cron, start, end, count, message) in [
        ("0 0 31 2 *", None, None, None, "never fires: no month in \"2\" has a day of month in \"31\""),
        ("0 0 30 2 *", None, None, None, "never fires: no month in \"2\" has a day of month in \"30\""),
        ("0 0 31 4,jun,9-9,nov ?", None, None, None, "never fires: no month in \"4,jun,9-9,nov\" has a day of month in \"31\""),
        ("0 0 30,31 feb */2", None, None, None, "never fires: no month in \"feb\" has a day of month in \"30,31\""),
        ("* * * * *", None, None, Some(0), "never fires: count is 0"),
        (
            "* * * * *",
            Some("2026-12-02T00:00:00"),
            Some("2026-12-01T00:00:00"),
            None,
            "never fires: end 2026-12-01 00:00:00 is before start 2026-12-02 00:00:00",
        ),
        (
            "0 6 * * 1",
            Some("2026-11-24T00:00:00"),
            Some("2026-11-29T23:00:00"),
            None,
            "never fires: no time of \"0 6 * * 1\" in UTC lies between start 2026-11-24 00:00:00 and end 2026-11-29 23:00:00",
        ),
        (
            "0 0 29 2 *",
            Some("2097-01-01T00:00:00"),
            None,
            None,
            "never fires: no time of \"0 0 29 2 *\" in UTC lies from start 2097-01-01 00:00:00 until the end of 2100",
        ),
        (
            "@daily",
            None,
            Some("1969-06-01T00:00:00"),
            None,
            "never fires: no time of \"@daily\" in UTC lies from 1970 until end 1969-06-01 00:00:00",
        ),
    ] {
        let problem = Schedule::new(cron, utc, start.map(wall), end.map(wall), count).expect_err(cron);
        assert_eq!(problem.message, message);
        assert!(!problem.hint.is_empty());
    }
    let whole_day_skipped =
        Schedule::new("0 6 * * *", chrono_tz::Pacific::Apia, Some(wall("2011-12-30T00:00:00")), Some(wall("2011-12-30T23:00:00")), None);
    assert!(whole_day_skipped.unwrap_err().message.starts_with("never fires"));
    let only_second = Schedule::new("0 0 29 2 *", utc, None, None, Some(1)).unwrap();
    assert_eq!(only_second.count(), Some(1));
}

#[test]
fn text_that_is_not_understood_is_refused_with_the_field_and_what_may_stand_there() {
    let eight_zeroes = "0 0 0 0 0 0 0 0";
    let long = format!("{}1 * * * *", "1,".repeat(130));
    for (cron, message) in [
        ("", "the cron text is empty"),
        ("   ", "the cron text is empty"),
        ("* * * *", "the cron text \"* * * *\" has 4 fields, not 5 or 6"),
        ("0 0 12 * * ? 2026", "the cron text \"0 0 12 * * ? 2026\" has 7 fields, not 5 or 6"),
        (eight_zeroes, "the cron text \"0 0 0 0 0 0 0 0\" has 8 fields, not 5 or 6"),
        ("every five minutes", "the cron text \"every five minutes\" has 3 fields, not 5 or 6"),
        ("60 * * * *", "minute \"60\" is not 0 to 59"),
        ("* 24 * * *", "hour \"24\" is not 0 to 23"),
        ("* * 0 * *", "day of month \"0\" is not 1 to 31"),
        ("* * 1-32 * *", "day of month \"32\" is not 1 to 31"),
        ("* * * 13 *", "month \"13\" is not 1 to 12, nor a name from jan to dec"),
        ("* * * * 8", "day of week \"8\" is not 0 to 7, nor a name from sun to sat"),
        ("* * * * xyz", "day of week \"xyz\" is not 0 to 7, nor a name from sun to sat"),
        ("* * * mon *", "month \"mon\" is not 1 to 12, nor a name from jan to dec"),
        ("60 * * * * *", "second \"60\" is not 0 to 59"),
        ("* * L * *", "day of month \"L\" is not 1 to 31"),
        ("* * * * 5#2", "day of week \"5#2\" is not 0 to 7, nor a name from sun to sat"),
        ("-1 * * * *", "minute is missing in \"-1\""),
        ("+1 * * * *", "minute \"+1\" is not 0 to 59"),
        ("1.5 * * * *", "minute \"1.5\" is not 0 to 59"),
        ("99999999999 * * * *", "minute \"99999999999\" is not 0 to 59"),
        ("1,,2 * * * *", "minute is missing in \"1,,2\""),
        ("1- * * * *", "minute is missing in \"1-\""),
        ("/5 * * * *", "minute is missing in \"/5\""),
        ("*5 * * * *", "minute \"*5\" is not 0 to 59"),
        ("** * * * *", "minute \"**\" is not 0 to 59"),
        ("٣ * * * *", "minute \"٣\" is not 0 to 59"),
        ("*/0 * * * *", "minute step \"0\" is not a number from 1 to 59"),
        ("*/90 * * * *", "minute step \"90\" is not a number from 1 to 59"),
        ("*/ * * * *", "minute step \"\" is not a number from 1 to 59"),
        ("*/5/5 * * * *", "minute step \"5/5\" is not a number from 1 to 59"),
        ("* 22-2 * * *", "hour range \"22-2\" runs backwards"),
        ("* * * * fri-mon", "day of week range \"fri-mon\" runs backwards"),
        ("@reboot", "\"@reboot\" is not a known shorthand"),
        ("@every 5m", "\"@every 5m\" is not a known shorthand"),
        ("\u{0}\u{1b}[2J * * * *", "minute \"\\0\\u{1b}[2J\" is not 0 to 59"),
        (&long, "the cron text has 269 characters, at most 256 are allowed"),
    ] {
        let problem = Schedule::new(cron, chrono_tz::UTC, None, None, None).expect_err(cron);
        assert_eq!(problem.message, message);
        assert!(!problem.hint.is_empty(), "{cron}");
    }
    let hint = |cron| Schedule::new(cron, chrono_tz::UTC, None, None, None).unwrap_err().hint;
    assert_eq!(hint("* 22-2 * * *"), "split it in two: 22-23,0-2");
    assert!(Schedule::new("* 22-23,0-2 * * *", chrono_tz::UTC, None, None, None).is_ok());
    assert_eq!(hint("* * * * fri-mon"), "split it in two: 5-7,0-1");
    assert!(Schedule::new("* * * * 5-7,0-1", chrono_tz::UTC, None, None, None).is_ok());
}

#[test]
fn the_text_is_kept_as_it_was_written() {
    let job = Schedule::new("  @daily ", chrono_tz::UTC, None, None, Some(3)).unwrap();
    assert_eq!(job.to_string(), "@daily");
    assert_eq!((job.count(), job.start(), job.end(), job.zone()), (Some(3), None, None, chrono_tz::UTC));
}

#[test]
fn a_run_is_missed_when_one_lies_after_the_last_and_not_after_now() {
    let job = schedule("0 6 * * *", "UTC");
    for (last, now, missed) in [
        ("2026-11-24T05:00:00Z", "2026-11-24T05:59:59.999Z", false),
        ("2026-11-24T05:00:00Z", "2026-11-24T06:00:00Z", true),
        ("2026-11-24T06:00:00Z", "2026-11-24T06:00:00Z", false),
        ("2026-11-24T06:00:00Z", "2026-11-25T05:00:00Z", false),
        ("2026-11-24T06:00:00Z", "2026-12-25T05:00:00Z", true),
        // The clock was set back.
        ("2026-11-24T06:00:00Z", "2026-11-20T05:00:00Z", false),
    ] {
        assert_eq!(job.missed(at(last), at(now)), missed, "{last} {now}");
    }
}

#[test]
fn times_at_the_ends_of_the_calendar_neither_panic_nor_loop() {
    let ends = [i64::MIN, i64::MIN + 1, -1, 0, 1, 4_133_980_800_000 - 1, 4_133_980_800_000, i64::MAX - 1, i64::MAX];
    for zone in ["UTC", "Pacific/Kiritimati", "Pacific/Pago_Pago", "Europe/Amsterdam"] {
        for cron in ["* * * * * *", "0 0 29 2 *", "59 59 23 31 12 *", "0 0 1 1 *"] {
            let job = schedule(cron, zone);
            for after in ends {
                if let Some(next) = job.next(Timestamp(after)) {
                    assert!(next.0 > after && next.0 >= 0 && next.0 < 4_133_980_800_000);
                }
            }
            assert_eq!(job.next(Timestamp(i64::MAX)), None);
            assert!(job.next(Timestamp(i64::MIN)).is_some());
        }
    }
    for (start, end) in
        [(Some(NaiveDateTime::MIN), Some(NaiveDateTime::MAX)), (None, Some(NaiveDateTime::MAX)), (Some(NaiveDateTime::MIN), None)]
    {
        assert!(Schedule::new("* * * * *", chrono_tz::Pacific::Apia, start, end, None).is_ok());
    }
    assert!(Schedule::new("* * * * *", chrono_tz::UTC, Some(NaiveDateTime::MAX), None, None).is_err());
    assert!(Schedule::new("* * * * *", chrono_tz::UTC, None, Some(NaiveDateTime::MIN), None).is_err());
    assert_eq!(schedule("* * * * *", "UTC").next_n(Timestamp(0), usize::MAX).len(), NEXT_MAX);
}

/// One field of a made-up expression: its text, and the values that it means.
#[derive(Clone, Debug)]
struct MadeUp {
    text: String,
    values: BTreeSet<u32>,
    wild: bool,
}

/// Fields of `min` to `max`, mostly near `likely`, so that runs fall on the hours and days that matter.
fn made_up(min: u32, max: u32, likely: std::ops::RangeInclusive<u32>) -> impl Strategy<Value = MadeUp> {
    let value = prop_oneof![3 => likely, 1 => min..=max];
    let item = prop_oneof![
        4 => value.clone().prop_map(|v| (v.to_string(), BTreeSet::from([v]), false)),
        2 => (value.clone(), value.clone()).prop_map(|(a, b)| {
            let (a, b) = (a.min(b), a.max(b));
            (format!("{a}-{b}"), (a..=b).collect(), false)
        }),
        1 => (value.clone(), value, 1..=4u32).prop_map(|(a, b, step)| {
            let (a, b) = (a.min(b), a.max(b));
            (format!("{a}-{b}/{step}"), (a..=b).filter(|v| (v - a).is_multiple_of(step)).collect::<BTreeSet<u32>>(), true)
        }),
        2 => (1..=max.min(30)).prop_map(move |step| {
            (format!("*/{step}"), (min..=max).filter(|v| (v - min).is_multiple_of(step)).collect::<BTreeSet<u32>>(), true)
        }),
        2 => Just(("*".to_string(), (min..=max).collect::<BTreeSet<u32>>(), true)),
    ];
    proptest::collection::vec(item, 1..3).prop_map(|items| MadeUp {
        text: items.iter().map(|item| item.0.as_str()).collect::<Vec<_>>().join(","),
        values: items.iter().flat_map(|item| item.1.iter().copied()).collect(),
        wild: items.iter().any(|item| item.2),
    })
}

/// Windows of six days around changes, and one without; the day of month and the hours where things happen.
const WINDOWS: &[(&str, &str)] = &[
    ("UTC", "2026-02-26T00:00:00Z"),
    ("Europe/Amsterdam", "2026-03-27T00:00:00Z"),
    ("Europe/Amsterdam", "2026-10-23T00:00:00Z"),
    ("Australia/Lord_Howe", "2026-04-03T00:00:00Z"),
    ("Australia/Lord_Howe", "2026-10-02T00:00:00Z"),
    ("America/Sao_Paulo", "2018-02-16T00:00:00Z"),
    ("America/Sao_Paulo", "2018-11-02T00:00:00Z"),
    ("America/St_Johns", "2010-03-12T00:00:00Z"),
    ("America/St_Johns", "2010-11-05T00:00:00Z"),
    ("Africa/Cairo", "2026-04-22T00:00:00Z"),
    ("Asia/Beirut", "2026-10-23T00:00:00Z"),
    ("Pacific/Apia", "2011-12-28T00:00:00Z"),
    ("Pacific/Kwajalein", "1993-08-20T00:00:00Z"),
    ("Antarctica/Troll", "2026-10-23T00:00:00Z"),
    ("Antarctica/Casey", "2018-10-05T00:00:00Z"),
    ("Antarctica/Casey", "2021-03-11T00:00:00Z"),
    ("Antarctica/Vostok", "1994-01-30T00:00:00Z"),
    ("Antarctica/Vostok", "1994-10-30T00:00:00Z"),
];

/// Minutes at which the five fields fire within `days` days from `from`, found by walking through every minute.
fn oracle(fields: &[MadeUp; 5], zone: Tz, from: DateTime<Utc>, days: i64) -> Vec<DateTime<Utc>> {
    let [minute, hour, day_of_month, month, day_of_week] = fields;
    let matches = |at: NaiveDateTime| {
        let by_date = day_of_month.values.contains(&at.day());
        let weekday = at.weekday().num_days_from_sunday();
        let by_week = day_of_week.values.contains(&weekday) || weekday == 0 && day_of_week.values.contains(&7);
        let either = !day_of_month.text.starts_with('*') && !day_of_week.text.starts_with('*');
        minute.values.contains(&at.minute())
            && hour.values.contains(&at.hour())
            && month.values.contains(&at.month())
            && if either { by_date || by_week } else { by_date && by_week }
    };
    let free = (minute.wild || hour.wild || minute.values.len() == 60 || hour.values.len() == 24)
        && !(minute.values.len() == 1 && hour.values.len() == 1);

    let minutes: Vec<(DateTime<Utc>, NaiveDateTime)> = (-2 * 1440..(days + 2) * 1440)
        .map(|minute| from + TimeDelta::minutes(minute))
        .map(|utc| (utc, utc.with_timezone(&zone).naive_local()))
        .collect();
    let lived: HashSet<NaiveDateTime> = minutes.iter().map(|(_, local)| *local).collect();
    let lived_dates: HashSet<NaiveDate> = lived.iter().map(|local| local.date()).collect();
    let due_dates: HashSet<NaiveDate> = lived.iter().filter(|local| matches(**local)).map(|local| local.date()).collect();

    let mut seen = HashSet::new();
    let mut fired = Vec::new();
    let mut expected = minutes[0].1;
    for (utc, local) in minutes {
        let mut fires = matches(local) && (free || !seen.contains(&local));
        while expected < local {
            let date = expected.date();
            fires |= matches(expected) && lived_dates.contains(&date) && (!free || !due_dates.contains(&date));
            expected += TimeDelta::minutes(1);
        }
        seen.insert(local);
        expected = local + TimeDelta::minutes(1);
        if fires && utc >= from && utc < from + TimeDelta::days(days) {
            fired.push(utc);
        }
    }
    fired
}

/// Every character that means something, words that nearly do, and anything else.
fn hostile() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        4 => "[0-9*,/?# LW@-]{1,6}",
        2 => proptest::sample::select(vec!["mon", "FEB", "sun-", "@daily", "*/", " ", "\u{0}", "4294967296", "é"]).prop_map(str::to_string),
        1 => any::<char>().prop_map(String::from),
    ];
    proptest::collection::vec(piece, 0..40).prop_map(|pieces| pieces.concat())
}

fn any_zone() -> impl Strategy<Value = Tz> {
    (0..chrono_tz::TZ_VARIANTS.len()).prop_map(|index| chrono_tz::TZ_VARIANTS[index])
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn every_run_is_where_a_walk_through_all_minutes_finds_it(
        window in 0..WINDOWS.len(),
        minute in made_up(0, 59, 0..=1),
        hour in made_up(0, 23, 0..=4),
        day_of_month in made_up(1, 31, 25..=31),
        month in made_up(1, 12, 2..=4),
        day_of_week in made_up(0, 7, 0..=0),
    ) {
        const DAYS: i64 = 4;
        let (zone, from) = WINDOWS[window];
        let zone: Tz = zone.parse().unwrap();
        let from: DateTime<Utc> = from.parse().unwrap();
        // Three windows out of four have no use for a month of their own.
        let every_month = MadeUp { text: "*".into(), values: (1..=12).collect(), wild: true };
        let month = if window % 4 == 0 { month } else { every_month };
        let fields = [minute, hour, day_of_month, month, day_of_week];
        let text = fields.iter().map(|field| field.text.as_str()).collect::<Vec<_>>().join(" ");
        let Ok(job) = Schedule::new(&text, zone, None, None, None) else {
            // Never fires; the tables say when that is right.
            return Ok(());
        };
        let end = Timestamp::from_utc(from + TimeDelta::days(DAYS));
        let mut found = Vec::new();
        let mut after = Timestamp(Timestamp::from_utc(from).0 - 1);
        while let Some(next) = job.next(after).filter(|next| *next < end) {
            found.push(next.to_utc());
            after = next;
        }
        prop_assert_eq!(found, oracle(&fields, zone, from, DAYS), "{} in {}", text, zone);
    }

    #[test]
    fn the_next_run_is_the_same_from_every_instant_before_it(
        zone in any_zone(),
        minute in made_up(0, 59, 0..=1),
        hour in made_up(0, 23, 0..=3),
        day_of_month in made_up(1, 31, 25..=31),
        month in made_up(1, 12, 3..=4),
        after in 0..4_000_000_000_000i64,
        part in 0.0..1.0f64,
    ) {
        let text = format!("{} {} {} {} *", minute.text, hour.text, day_of_month.text, month.text);
        if let Ok(job) = Schedule::new(&text, zone, None, None, None) && let Some(next) = job.next(Timestamp(after)) {
            prop_assert!(next.0 > after && next.0 % 1000 == 0);
            let between = Timestamp(after + ((next.0 - after) as f64 * part) as i64).min(Timestamp(next.0 - 1));
            prop_assert_eq!(job.next(between), Some(next), "{} in {}", text, zone);
            prop_assert_eq!(job.next(Timestamp(next.0 - 1)), Some(next));
            prop_assert!(job.next(next).is_none_or(|later| later > next));
        }
    }

    #[test]
    fn no_text_makes_it_panic(text in hostile(), zone in any_zone(), after in any::<i64>()) {
        match Schedule::new(&text, zone, None, None, None) {
            Ok(job) => {
                prop_assert_eq!(job.to_string(), text.trim());
                prop_assert!(job.next(Timestamp(after)).is_none_or(|next| next.0 > after));
            }
            Err(problem) => prop_assert!(!problem.message.is_empty() && !problem.hint.is_empty() && problem.message.len() < 1000),
        }
    }

    #[test]
    fn hostile_fields_never_make_it_panic(
        fields in proptest::collection::vec("[0-9*,/?-]{1,9}", 5..7),
        start in any::<i64>(),
        after in any::<i64>(),
    ) {
        let start = DateTime::from_timestamp_millis(start % 8_000_000_000_000_000).map(|start| start.naive_utc());
        if let Ok(job) = Schedule::new(&fields.join(" "), chrono_tz::Europe::Amsterdam, start, None, None) {
            prop_assert!(job.next(Timestamp(after)).is_none_or(|next| next.0 > after));
        }
    }
}
