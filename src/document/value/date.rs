//! Dates and times. The ISO forms are read without a calendar library; other forms by strftime patterns.

use std::fmt::Write as _;

use chrono::format::{Fixed, Item, Numeric, Parsed, StrftimeItems};
use chrono::{Datelike, LocalResult, NaiveDate, NaiveDateTime, NaiveTime, TimeZone};

use super::{EXCEL_DAYS, Reading, Wrong, wrong};
use crate::model::finding::Rule;

/// Seconds that a clock may be ahead of UTC or behind it: 18 hours.
const OFFSET_MAX: i32 = 18 * 3600;

/// `count` digits at the head of the bytes.
fn digits(bytes: &[u8], count: usize) -> Option<(u32, &[u8])> {
    let (head, rest) = bytes.split_at_checked(count)?;
    head.iter().all(u8::is_ascii_digit).then(|| (head.iter().fold(0, |value, digit| value * 10 + u32::from(digit - b'0')), rest))
}

fn byte<'a>(bytes: &'a [u8], expected: &[u8]) -> Option<&'a [u8]> {
    let (first, rest) = bytes.split_first()?;
    expected.contains(first).then_some(rest)
}

fn iso_date(bytes: &[u8]) -> Option<(NaiveDate, &[u8])> {
    let (year, rest) = digits(bytes, 4)?;
    let (month, rest) = digits(byte(rest, b"-")?, 2)?;
    let (day, rest) = digits(byte(rest, b"-")?, 2)?;
    Some((NaiveDate::from_ymd_opt(i32::try_from(year).ok()?, month, day)?, rest))
}

/// Date, time, and the offset in seconds when there is one.
fn iso_datetime(bytes: &[u8]) -> Option<(NaiveDateTime, Option<i32>)> {
    let (date, rest) = iso_date(bytes)?;
    if rest.is_empty() {
        return Some((date.and_hms_opt(0, 0, 0)?, None));
    }
    let (hour, rest) = digits(byte(rest, b"T t")?, 2)?;
    let (minute, mut rest) = digits(byte(rest, b":")?, 2)?;
    let (mut second, mut nano) = (0, 0);
    if let Some(after) = byte(rest, b":") {
        (second, rest) = digits(after, 2)?;
        if let Some(after) = byte(rest, b".,") {
            let count = after.iter().take_while(|byte| byte.is_ascii_digit()).count();
            if count == 0 || count > 9 {
                return None;
            }
            let (fraction, after) = digits(after, count)?;
            nano = fraction * 10u32.pow(9 - u32::try_from(count).ok()?);
            rest = after;
        }
    }
    let offset = match rest {
        [] => None,
        b"Z" | b"z" => Some(0),
        [sign @ (b'+' | b'-'), rest @ ..] => {
            let (hours, rest) = digits(rest, 2)?;
            let minutes =
                if rest.is_empty() { 0 } else { digits(byte(rest, b":").unwrap_or(rest), 2).filter(|(_, rest)| rest.is_empty())?.0 };
            let seconds = i32::try_from(hours * 3600 + minutes * 60).ok().filter(|seconds| minutes < 60 && *seconds <= OFFSET_MAX)?;
            Some(if *sign == b'-' { -seconds } else { seconds })
        }
        _ => return None,
    };
    Some((date.and_hms_nano_opt(hour, minute, second, nano)?, offset))
}

/// The days since 1899-12-30 that Excel keeps, with a part for the time of day. Its 1900 has a 29th of February, day 60, which is none.
fn excel_days(text: &str) -> Option<NaiveDateTime> {
    let days: f64 = text.parse().ok().filter(|days| (1.0..2_958_466.0).contains(days) && !(60.0..61.0).contains(days))?;
    let first = if days < 60.0 { 31 } else { 30 };
    let milliseconds = (days * 86_400_000.0).round() as i64;
    NaiveDate::from_ymd_opt(1899, 12, first)?.and_time(NaiveTime::MIN).checked_add_signed(chrono::Duration::milliseconds(milliseconds))
}

/// A date and time that is written by a pattern of `date_formats`, and the offset in seconds when it says one. `None` when the text is written
/// otherwise, has a year of fewer than four digits where the pattern says `%Y`, lacks a digit where numbers follow each other with nothing between
/// them, or has a time that is not whole, or a sixtieth second.
pub fn by_pattern(text: &str, pattern: &str) -> Option<(NaiveDateTime, Option<i32>)> {
    if pattern == EXCEL_DAYS {
        return excel_days(text).map(|at| (at, None));
    }
    let mut parsed = Parsed::new();
    chrono::format::parse(&mut parsed, text, StrftimeItems::new(pattern)).ok()?;
    let short = |year: i32| (0..1000).contains(&year) && !text.contains(&format!("{year:04}"));
    if [parsed.year(), parsed.isoyear()].into_iter().flatten().any(short) || lacks_digits(text, pattern) {
        return None;
    }
    // Seconds since 1970 are an instant, whatever the time zone.
    let offset = parsed.offset().or(parsed.timestamp().map(|_| 0));
    if offset.is_some_and(|seconds| seconds.abs() > OFFSET_MAX) || parsed.second() == Some(60) {
        return None;
    }
    let timed = [parsed.hour_div_12(), parsed.hour_mod_12(), parsed.minute(), parsed.second(), parsed.nanosecond()];
    match parsed.to_naive_datetime_with_offset(offset.unwrap_or(0)) {
        Ok(at) => Some((at, offset)),
        Err(_) if timed.iter().any(Option::is_some) => None,
        Err(_) => parsed.to_naive_date().ok().map(|date| (date.and_time(NaiveTime::MIN), offset)),
    }
}

/// Whether numbers that follow each other with nothing between them have fewer digits than they should: `2024111` could be cut anywhere.
fn lacks_digits(text: &str, pattern: &str) -> bool {
    if !pattern.as_bytes().windows(3).any(|three| three[0] == b'%' && three[1] != b'%' && three[2] == b'%') {
        return false;
    }
    let (mut rest, mut before) = (text, false);
    let mut items = StrftimeItems::new(pattern).peekable();
    while let Some(item) = items.next() {
        let number = matches!(item, Item::Numeric(..));
        match item {
            Item::Numeric(number, _) => {
                let width = match number {
                    Numeric::Year | Numeric::IsoYear => 4,
                    Numeric::Ordinal => 3,
                    Numeric::NumDaysFromSun | Numeric::WeekdayFromMon | Numeric::Quarter => 1,
                    Numeric::Timestamp | Numeric::Nanosecond => return false,
                    _ => 2,
                };
                let after = rest.trim_start();
                let digits = after.bytes().take(width).take_while(u8::is_ascii_digit).count();
                let beside = before || matches!(items.peek(), Some(Item::Numeric(..)));
                if beside && rest.len() - after.len() + digits < width {
                    return true;
                }
                rest = &after[digits..];
            }
            Item::Literal(literal) => match rest.strip_prefix(literal) {
                Some(after) => rest = after,
                None => return false,
            },
            Item::Space(_) => rest = rest.trim_start(),
            Item::Fixed(
                Fixed::ShortMonthName
                | Fixed::LongMonthName
                | Fixed::ShortWeekdayName
                | Fixed::LongWeekdayName
                | Fixed::LowerAmPm
                | Fixed::UpperAmPm,
            ) => rest = rest.trim_start_matches(char::is_alphabetic),
            _ => return false,
        }
        before = number;
    }
    false
}

/// Whether a pattern reads dates. What is wrong with it, and what to write, when not.
pub fn check_pattern(pattern: &str) -> Result<(), (String, String)> {
    const EXAMPLE: &str = "as in \"%d.%m.%Y %H:%M\"";
    if pattern == EXCEL_DAYS {
        return Ok(());
    }
    if StrftimeItems::new(pattern).any(|item| item == Item::Error) {
        return Err((format!("\"{pattern}\" is no strftime pattern"), EXAMPLE.into()));
    }
    if !pattern.contains('%') {
        let hint = strftime_of(pattern).map_or_else(|| EXAMPLE.into(), |meant| format!("write \"{meant}\""));
        return Err((format!("\"{pattern}\" has no % and reads no date"), hint));
    }
    // No two of its numbers are alike.
    let probe = NaiveDate::from_ymd_opt(2021, 11, 23).and_then(|date| date.and_hms_opt(14, 35, 46)).expect("a date and time that exist");
    let read = written(probe, pattern).and_then(|text| by_pattern(&text, pattern));
    if read.is_some_and(|(at, _)| at.date() == probe.date()) {
        return Ok(());
    }
    let half = ["%I", "%l"].iter().any(|hour| pattern.contains(hour)) && !["%p", "%P"].iter().any(|half| pattern.contains(half));
    let hint = match half {
        true => "an hour of twelve needs %p behind it; %H is an hour of twenty-four",
        false => "a pattern says day, month and year; a time has hours and minutes",
    };
    Err((format!("\"{pattern}\" does not say all of a date or time"), hint.into()))
}

/// A date and time in UTC as a pattern writes it.
fn written(at: NaiveDateTime, pattern: &str) -> Option<String> {
    let mut text = String::new();
    // `%#z` is for reading only.
    write!(text, "{}", at.and_utc().fixed_offset().format(&pattern.replace("%#z", "%z"))).ok()?;
    Some(text)
}

/// A text that both patterns read, as different days.
pub fn contradiction(one: &str, other: &str) -> Option<String> {
    let at = NaiveDate::from_ymd_opt(2026, 4, 3)?.and_hms_opt(5, 6, 7)?;
    [(one, other), (other, one)].into_iter().filter(|(writes, _)| *writes != EXCEL_DAYS).find_map(|(writes, reads)| {
        let text = written(at, writes)?;
        by_pattern(&text, reads).filter(|(read, _)| read.date() != at.date()).map(|_| text)
    })
}

/// The strftime pattern for one of .NET and Excel, `dd.MM.yyyy HH:mm`.
fn strftime_of(pattern: &str) -> Option<String> {
    let mut out = String::new();
    let mut rest = pattern;
    while let Some(first) = rest.chars().next() {
        let count = rest.chars().take_while(|c| *c == first).count();
        let (run, after) = rest.split_at(count * first.len_utf8());
        rest = after;
        // Excel writes months and minutes alike: those behind hours are minutes.
        out.push_str(match (first, count) {
            ('d' | 'D', 1 | 2) => "%d",
            ('M', 1 | 2) => "%m",
            ('M', 3) => "%b",
            ('M', 4) => "%B",
            ('y' | 'Y', 4) => "%Y",
            ('y' | 'Y', 2) => "%y",
            ('H', 1 | 2) => "%H",
            ('h', 1 | 2) if pattern.contains('t') => "%I",
            ('h', 1 | 2) => "%H",
            ('m', 1 | 2) if out.contains("%H") || out.contains("%I") => "%M",
            ('m', 1 | 2) => "%m",
            ('s', 1 | 2) => "%S",
            ('t', 1 | 2) => "%p",
            ('z', 1 | 2) => "%z",
            ('z', 3) | ('K', 1) => "%:z",
            ('T', 1) => "T",
            ('\'', _) => "",
            (c, _) if c.is_alphabetic() => return None,
            _ => run,
        });
    }
    check_pattern(&out).is_ok().then_some(out)
}

/// What to say about a date of three numbers: whose order is clear, and whose is not. What it proposes reads the text.
fn numeric_date(text: &str, stated: &[String]) -> Option<String> {
    const TIMES: [&str; 6] = ["%H:%M", "%H:%M:%S", "%H:%M:%S%.f", "%I:%M %p", "%I:%M:%S %p", "%I:%M%p"];
    const OFFSETS: [&str; 4] = ["", " %z", "%z", "%#z"];
    let separator = ['/', '.', '-'].into_iter().find(|separator| text.contains(*separator))?;
    let between = text.find([' ', 'T']);
    let (day, time) = between.map_or((text, None), |at| (&text[..at], text[at..].chars().next()));
    let lengths: Vec<usize> = day.split(separator).map(str::len).collect();
    let orders: &[(&str, [&str; 3])] = match lengths[..] {
        [4, ..=2, ..=2] => &[("year", ["%Y", "%m", "%d"])],
        [..=2, ..=2, 4] => &[("day", ["%d", "%m", "%Y"]), ("month", ["%m", "%d", "%Y"])],
        // Points never follow a year of two digits.
        [..=2, ..=2, 2] if separator == '.' => &[("day", ["%d", "%m", "%y"]), ("month", ["%m", "%d", "%y"])],
        [2, ..=2, 2] => &[("day", ["%d", "%m", "%y"]), ("month", ["%m", "%d", "%y"]), ("year", ["%y", "%m", "%d"])],
        [1, ..=2, 2] => &[("day", ["%d", "%m", "%y"]), ("month", ["%m", "%d", "%y"])],
        _ => return None,
    };
    let reads = |day: &str| -> Option<String> {
        let Some(between) = time else { return by_pattern(text, day).map(|_| day.to_owned()) };
        let all = TIMES.iter().flat_map(|time| OFFSETS.iter().map(move |offset| format!("{day}{between}{time}{offset}")));
        all.into_iter().find(|pattern| by_pattern(text, pattern).is_some())
    };
    let found: Vec<(&str, String)> =
        orders.iter().filter_map(|(first, order)| Some((*first, reads(&order.join(&separator.to_string()))?))).collect();
    let patterns = |before: &str, after: &str| {
        let all: Vec<String> = found.iter().map(|(_, pattern)| format!("{before}{pattern}{after}")).collect();
        all.join(" or ")
    };
    let set = match stated {
        [] => format!("set date_formats = {} in the mapping", patterns("[\"", "\"]")),
        _ => format!("add {} to date_formats in the mapping", patterns("\"", "\"")),
    };
    match found.as_slice() {
        [] => None,
        [(first, _)] => Some(format!("the {first} stands first: {set}")),
        more => {
            let firsts: Vec<String> = more.iter().map(|(first, _)| format!("{first}-first")).collect();
            Some(format!("it could be {}: ask the sender, then {set}", firsts.join(" or ")))
        }
    }
}

/// What to do about a date that is not read; `form` is how it could be written.
fn hint(text: &str, reading: &Reading, form: &str) -> String {
    let numeric = numeric_date(text, &reading.date_formats);
    if reading.date_formats.is_empty() {
        return numeric.unwrap_or_else(|| format!("write {form}, or say how with date_formats in the mapping"));
    }
    let written = format!("written as {}", reading.date_formats.join(" or "));
    numeric.map_or(written.clone(), |numeric| format!("{written}; {numeric}"))
}

/// The date and time that a text says, by the mapping's patterns or in an ISO form: what is no text of the document has that first.
fn said(text: &str, reading: &Reading) -> Option<(NaiveDateTime, Option<i32>)> {
    let by_patterns = || reading.date_formats.iter().find_map(|pattern| by_pattern(text, pattern));
    let iso = || iso_datetime(text.as_bytes());
    if reading.plain { iso().or_else(by_patterns) } else { by_patterns().or_else(iso) }
}

pub(super) fn date(text: &str, reading: &Reading, out: &mut String) -> Result<(), Wrong> {
    if reading.date_formats.is_empty() && text.len() == 10 && iso_date(text.as_bytes()).is_some() {
        out.push_str(text);
        return Ok(());
    }
    let alone = || day_alone(text, reading);
    let shape = || wrong(Rule::Type, "expected a day that exists", alone().unwrap_or_else(|| hint(text, reading, "YYYY-MM-DD")));
    let (at, _) = said(text, reading).ok_or_else(shape)?;
    if at.time() != chrono::NaiveTime::MIN {
        let hint = alone().unwrap_or_else(|| "use a datetime field".to_owned());
        return Err(wrong(Rule::Type, "expected a day, found a time of day too", hint));
    }
    four_digits(at.year())?;
    let _ = write!(out, "{}", at.format("%Y-%m-%d"));
    Ok(())
}

/// What to do about a time of day where a day is expected.
fn day_alone(text: &str, reading: &Reading) -> Option<String> {
    let (day, time) = text.split_at(text.find([' ', 'T'])?);
    let of_numbers = day.bytes().all(|byte| byte.is_ascii_digit() || matches!(byte, b'.' | b'/' | b'-'));
    let between = time.chars().next().filter(|_| of_numbers && time.contains(':'))?;
    let split = format!("use a datetime field, or take the day alone with split = {{ at = \"{between}\", part = 1 }} in the mapping");
    Some(match said(day, reading) {
        Some(_) => split,
        None => format!("{split}; {}", hint(day, reading, "YYYY-MM-DD")),
    })
}

/// Others would be written with a sign, and stand before all that have none in the order of text that tables keep dates in.
fn four_digits(year: i32) -> Result<(), Wrong> {
    match year {
        1..=9999 => Ok(()),
        _ => Err(wrong(
            Rule::Range,
            format!("the year {year} is none of 1 to 9999"),
            "correct the value, or date_formats in the mapping; where it means that there is none, write it into nulls of the format",
        )),
    }
}

pub(super) fn datetime(text: &str, reading: &Reading, out: &mut String) -> Result<(), Wrong> {
    let shape = || wrong(Rule::Type, "expected a date and time that exist", hint(text, reading, "YYYY-MM-DDThh:mm:ssZ"));
    let (at, offset) = said(text, reading).ok_or_else(shape)?;
    // Before it is moved: at the ends of the calendar there is nowhere to move to.
    four_digits(at.year())?;
    let utc = match (offset, reading.time_zone) {
        (Some(seconds), _) => at - chrono::Duration::seconds(i64::from(seconds)),
        (None, None) => at,
        (None, Some(zone)) => match zone.from_local_datetime(&at) {
            LocalResult::Single(at) | LocalResult::Ambiguous(at, _) => at.naive_utc(),
            LocalResult::None => {
                return Err(wrong(
                    Rule::Type,
                    format!("this time does not exist in {zone}: the clocks skipped it"),
                    "correct the value, or write it with an offset",
                ));
            }
        },
    };
    four_digits(utc.year())?;
    let _ = write!(out, "{}", utc.format("%Y-%m-%dT%H:%M:%S"));
    // Three digits, more where they say something: texts of one moment are equal, and in their order.
    let nano = utc.and_utc().timestamp_subsec_nanos();
    if nano > 0 {
        let digits = format!("{nano:09}");
        let _ = write!(out, ".{}", &digits[..digits.trim_end_matches('0').len().max(3)]);
    }
    out.push('Z');
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::tests::{field, refused};
    use super::super::{Reading, parse};
    use super::*;
    use crate::model::entity::FieldKind;

    fn by(patterns: &[&str]) -> Reading {
        Reading { date_formats: patterns.iter().map(|&pattern| pattern.to_owned()).collect(), ..Reading::default() }
    }

    fn read(kind: FieldKind, text: &str, reading: &Reading) -> Option<String> {
        parse(&field(kind), text, reading).ok().map(|stored| stored.text())
    }

    #[test]
    fn the_offset_of_a_pattern_counts() {
        let berlin = |pattern| Reading { time_zone: Some(chrono_tz::Europe::Berlin), ..by(&[pattern]) };
        for (text, reading, expected) in [
            ("2024-01-01 10:00 +0530", by(&["%Y-%m-%d %H:%M %z"]), "2024-01-01T04:30:00Z"),
            ("2024-01-01 10:00 +05:30", by(&["%Y-%m-%d %H:%M %:z"]), "2024-01-01T04:30:00Z"),
            ("10/Oct/2000:13:55:36 -0700", by(&["%d/%b/%Y:%H:%M:%S %z"]), "2000-10-10T20:55:36Z"),
            ("27.10.2024 02:30 +0100", berlin("%d.%m.%Y %H:%M %z"), "2024-10-27T01:30:00Z"),
            ("27.10.2024 02:30 +0200", berlin("%d.%m.%Y %H:%M %z"), "2024-10-27T00:30:00Z"),
            ("27.10.2024 12:30", berlin("%d.%m.%Y %H:%M"), "2024-10-27T11:30:00Z"),
            ("1795521600", berlin("%s"), "2026-11-24T12:00:00Z"),
        ] {
            assert_eq!(read(FieldKind::DateTime, text, &reading).as_deref(), Some(expected), "{text}");
        }
    }

    #[test]
    fn at_the_ends_of_the_calendar_an_offset_is_no_fault_of_ours() {
        for text in ["+262142-12-31 23:59 -1800", "-262143-01-01 00:00 +1800", "0000-01-01 00:00 +1800", "9999-12-31 23:59 -1800"] {
            let wrong = parse(&field(FieldKind::DateTime), text, &by(&["%Y-%m-%d %H:%M %z"])).unwrap_err();
            assert_eq!(wrong.rule, Rule::Range, "{text}");
        }
    }

    #[test]
    fn a_time_that_a_pattern_leaves_open_is_not_midnight() {
        assert_eq!(by_pattern("01.02.2024 11:30", "%d.%m.%Y %I:%M"), None);
        assert_eq!(read(FieldKind::DateTime, "01.02.2024", &by(&["%d.%m.%Y"])).as_deref(), Some("2024-02-01T00:00:00Z"));
    }

    #[test]
    fn a_year_has_the_digits_that_the_pattern_says() {
        for (text, pattern, expected) in [
            ("1.2.24", "%d.%m.%Y", None),
            ("01.02.024", "%d.%m.%Y", None),
            ("01.02.0024", "%d.%m.%Y", Some("0024-02-01")),
            ("1.2.24", "%d.%m.%y", Some("2024-02-01")),
            ("00010101", "%Y%m%d", Some("0001-01-01")),
        ] {
            assert_eq!(read(FieldKind::Date, text, &by(&[pattern])).as_deref(), expected, "{text}");
        }
        let hint = refused(FieldKind::Date, "1.2.24", &by(&["%d.%m.%Y"]));
        assert!(hint.contains("written as %d.%m.%Y") && hint.contains("\"%d.%m.%y\""), "{hint}");
    }

    #[test]
    fn numbers_that_nothing_parts_have_all_their_digits() {
        for (text, pattern, expected) in [
            ("20241101", "%Y%m%d", true),
            ("2024111", "%Y%m%d", false),
            ("241101", "%y%m%d", true),
            ("24111", "%y%m%d", false),
            ("20241101T0905", "%Y%m%dT%H%M", true),
            ("20241101T905", "%Y%m%dT%H%M", false),
            ("20241101 9:05", "%Y%m%d %H:%M", true),
            ("1Nov2024", "%d%b%Y", true),
            ("1.2.2024 9:05", "%d.%m.%Y %H:%M", true),
            ("11202", "%m%d%y", false),
        ] {
            assert_eq!(by_pattern(text, pattern).is_some(), expected, "{text} {pattern}");
        }
    }

    #[test]
    fn no_clock_is_a_day_ahead_or_has_a_sixtieth_second() {
        for (text, pattern) in [
            ("2024-01-01 10:00 +2500", "%Y-%m-%d %H:%M %z"),
            ("2024-01-01 10:00 -1801", "%Y-%m-%d %H:%M %z"),
            ("2016-12-31 23:59:60", "%Y-%m-%d %H:%M:%S"),
            ("2024-01-01T10:00:00+01:75", "%d.%m.%Y"),
            ("2016-12-31T23:59:60Z", "%d.%m.%Y"),
        ] {
            assert_eq!(read(FieldKind::DateTime, text, &by(&[pattern])), None, "{text}");
        }
    }

    #[test]
    fn what_a_hint_says_about_a_time_where_a_day_is_expected_reads_the_day() {
        for (text, reading) in [
            ("2011-01-31 10:00:00", by(&[])),
            ("31.01.2011 10:00", by(&[])),
            ("2011-01-31T10:00:00.5", Reading::default().of_plain()),
            ("31.01.2011 10:00", by(&["%d.%m.%Y %H:%M"])),
        ] {
            let hint = refused(FieldKind::Date, text, &reading);
            let (_, rest) = hint.split_once("split = { at = \"").unwrap_or_else(|| panic!("{hint}"));
            let (at, rest) = rest.split_once("\", part = 1 }").unwrap_or_else(|| panic!("{hint}"));
            let day = text.split(at).next().unwrap();
            let patterns: Vec<&str> = rest.split('"').skip(1).step_by(2).collect();
            let mended = Reading { date_formats: [reading.date_formats.clone(), by(&patterns).date_formats].concat(), ..reading };
            assert_eq!(read(FieldKind::Date, day, &mended).as_deref(), Some("2011-01-31"), "{hint}");
        }
    }

    #[test]
    fn the_days_of_excel_are_those_of_its_cells() {
        for (text, expected) in [
            ("1", Some("1900-01-01")),
            ("59", Some("1900-02-28")),
            ("60", None),
            ("61", Some("1900-03-01")),
            ("0", None),
            ("39640", Some("2008-07-11")),
        ] {
            assert_eq!(read(FieldKind::Date, text, &by(&[EXCEL_DAYS])).as_deref(), expected, "{text}");
        }
    }

    #[test]
    fn what_a_hint_says_about_dates_reads_the_text() {
        for (kind, text, parts) in [
            (FieldKind::DateTime, "8/25/2020 13:03", &["the month stands first", "\"%m/%d/%Y %H:%M\""][..]),
            (FieldKind::DateTime, "25.8.2020 1:03:07 PM", &["the day stands first", "\"%d.%m.%Y %I:%M:%S %p\""]),
            (FieldKind::DateTime, "25.12.2020T13:03:07.5Z", &["\"%d.%m.%YT%H:%M:%S%.f%#z\""]),
            (FieldKind::DateTime, "25.12.2020 13:03 +0200", &["\"%d.%m.%Y %H:%M %z\""]),
            (FieldKind::Date, "24-01-02", &["day-first or year-first", "\"%d-%m-%y\"", "\"%y-%m-%d\""]),
            (FieldKind::Date, "24-13-02", &["write YYYY-MM-DD"]),
            (FieldKind::Date, "2024/01/31", &["the year stands first", "\"%Y/%m/%d\""]),
        ] {
            let hint = refused(kind.clone(), text, &Reading::default());
            assert!(parts.iter().all(|part| hint.contains(part)), "{text}: {hint}");
            for pattern in hint.split('"').skip(1).step_by(2) {
                assert!(read(kind.clone(), text, &by(&[pattern])).is_some(), "{text}: {pattern}");
            }
        }
    }

    #[test]
    fn a_pattern_says_a_whole_date() {
        for pattern in [
            "%d.%m.%Y",
            "%m/%d/%y %I:%M %p",
            "%Y%m%d",
            "%s",
            "%G-W%V-%u",
            "%e %B %Y",
            "%d/%b/%Y:%H:%M:%S %z",
            "%FT%T%.f%:z",
            "%Y-%j",
            "excel",
        ] {
            assert_eq!(check_pattern(pattern), Ok(()), "{pattern}");
        }
        for (pattern, part) in [
            ("dd.MM.yyyy", "\"%d.%m.%Y\""),
            ("yyyy-MM-dd'T'HH:mm:ssK", "\"%Y-%m-%dT%H:%M:%S%:z\""),
            ("M/d/yyyy h:mm:ss tt", "\"%m/%d/%Y %I:%M:%S %p\""),
            ("dd.mm.yyyy hh:mm", "\"%d.%m.%Y %H:%M\""),
            ("yyyyMMdd", "\"%Y%m%d\""),
            ("tomorrow", "as in"),
            ("%d.%m.%", "as in"),
            ("%d.%m", "day, month and year"),
            ("%Y-%m-%d %I:%M", "%p"),
            ("%Y-%m-%d %H", "hours and minutes"),
        ] {
            let (message, hint) = check_pattern(pattern).unwrap_err();
            assert!(hint.contains(part), "{pattern}: {message}, {hint}");
        }
    }

    #[test]
    fn patterns_contradict_where_one_text_is_two_days() {
        assert_eq!(contradiction("%d/%m/%Y", "%m/%d/%Y").as_deref(), Some("03/04/2026"));
        assert_eq!(contradiction("%y-%m-%d", "%d-%m-%y").as_deref(), Some("26-04-03"));
        assert_eq!(contradiction("%d/%b/%Y:%H:%M", "%m/%d/%Y %H:%M"), None);
        assert_eq!(contradiction("%d.%m.%Y", "%d.%m.%y"), None);
        assert_eq!(contradiction("%d.%m.%Y", "excel"), None);
    }
}
