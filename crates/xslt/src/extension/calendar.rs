//! Dates without a clock: the proleptic Gregorian calendar, lexical forms of XML Schema, durations.

/// Days from 1970-01-01 (negative before).
pub(crate) fn days_of(year: i64, month: u32, day: u32) -> i64 {
    // Years begin in March, so that the leap day is the last.
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let of_era = year.rem_euclid(400);
    let of_year = i64::from((153 * ((month + 9) % 12) + 2) / 5 + day - 1);
    era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468
}

/// Year, month, day of a number of days from 1970-01-01.
pub(crate) fn date_of(days: i64) -> (i64, u32, u32) {
    let days = days + 719_468;
    let era = days.div_euclid(146_097);
    let of_era = days.rem_euclid(146_097);
    let year = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    let shifted = (5 * of_year + 2) / 153;
    let day = (of_year - (153 * shifted + 2) / 5 + 1) as u32;
    let month = if shifted < 10 { shifted + 3 } else { shifted - 9 } as u32;
    (year + era * 400 + i64::from(month <= 2), month, day)
}

pub(crate) fn is_leap(year: i64) -> bool {
    year % 4 == 0 && (year % 100 != 0 || year % 400 == 0)
}

pub(crate) fn days_in_month(year: i64, month: u32) -> u32 {
    match month {
        2 => 28 + u32::from(is_leap(year)),
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// Sunday is 0.
pub(crate) fn weekday(days: i64) -> u32 {
    (days + 4).rem_euclid(7) as u32
}

/// A moment as far as it is given. What is missing stays none.
#[derive(Clone, Copy, Debug, PartialEq, Default)]
pub(crate) struct Moment {
    pub(crate) year: Option<i64>,
    pub(crate) month: Option<u32>,
    pub(crate) day: Option<u32>,
    /// Seconds of the day.
    pub(crate) time: Option<f64>,
    /// Offset from UTC in minutes.
    pub(crate) zone: Option<i32>,
}

/// Reads forms like `2026-11-25T12:30:00Z`, `2026-11-25`, `12:30:00`, `2026-11`, `2026`, `--11-25`, `--11--`, `---25`.
pub(crate) fn parse(text: &str) -> Option<Moment> {
    let text = crate::name::trim(text);
    let (body, zone) = split_zone(text)?;
    let mut moment = Moment { zone, ..Moment::default() };
    if let Some(rest) = body.strip_prefix("---") {
        moment.day = Some(two(rest)?);
    } else if let Some(rest) = body.strip_prefix("--") {
        let rest = rest.strip_suffix("--").unwrap_or(rest);
        match rest.split_once('-') {
            Some((month, day)) => {
                moment.month = Some(two(month)?);
                moment.day = Some(two(day)?);
            }
            None => moment.month = Some(two(rest)?),
        }
    } else if let Some((date, time)) = body.split_once('T') {
        read_date(date, &mut moment)?;
        moment.day?;
        moment.time = Some(read_time(time)?);
    } else if body.contains(':') {
        moment.time = Some(read_time(body)?);
    } else {
        read_date(body, &mut moment)?;
    }
    let good = moment.month.is_none_or(|month| (1..=12).contains(&month))
        && moment.day.is_none_or(|day| {
            day >= 1
                && day
                    <= match (moment.year, moment.month) {
                        (Some(year), Some(month)) => days_in_month(year, month),
                        (None, Some(month)) => days_in_month(2000, month),
                        _ => 31,
                    }
        });
    good.then_some(moment)
}

fn read_date(text: &str, moment: &mut Moment) -> Option<()> {
    let (sign, digits) = match text.strip_prefix('-') {
        Some(rest) => (-1, rest),
        None => (1, text),
    };
    let mut parts = digits.split('-');
    let year = parts.next()?;
    if year.len() < 4 || year.len() > 4 && year.starts_with('0') || !year.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    moment.year = Some(sign * year.parse::<i64>().ok().filter(|&year| (1..100_000_000).contains(&year))?);
    if let Some(month) = parts.next() {
        moment.month = Some(two(month)?);
    }
    if let Some(day) = parts.next() {
        moment.day = Some(two(day)?);
    }
    parts.next().is_none().then_some(())
}

fn read_time(text: &str) -> Option<f64> {
    let mut parts = text.split(':');
    let (hour, minute) = (two(parts.next()?)?, two(parts.next()?)?);
    let seconds = parts.next()?;
    if parts.next().is_some() || hour > 23 || minute > 59 {
        return None;
    }
    let (whole, fraction) = seconds.split_once('.').unwrap_or((seconds, ""));
    if !fraction.bytes().all(|byte| byte.is_ascii_digit()) || seconds.ends_with('.') {
        return None;
    }
    let second = two(whole)?;
    if second > 60 {
        return None;
    }
    let second: f64 = seconds.parse().ok()?;
    Some(f64::from(hour) * 3600.0 + f64::from(minute) * 60.0 + second)
}

fn two(text: &str) -> Option<u32> {
    (text.len() == 2 && text.bytes().all(|byte| byte.is_ascii_digit())).then(|| text.parse().ok())?
}

/// The text without its zone, and the zone.
fn split_zone(text: &str) -> Option<(&str, Option<i32>)> {
    if let Some(body) = text.strip_suffix('Z') {
        return Some((body, Some(0)));
    }
    let Some(at) = text.len().checked_sub(6) else { return Some((text, None)) };
    if !text.is_char_boundary(at) {
        return None;
    }
    let (body, zone) = text.split_at(at);
    let bytes = zone.as_bytes();
    let is_zone = matches!(bytes[0], b'+' | b'-') && bytes[3] == b':';
    if !is_zone {
        return Some((text, None));
    }
    let (hours, minutes) = (two(&zone[1..3])?, two(&zone[4..6])?);
    let minutes = (hours * 60 + minutes) as i32;
    (hours <= 14).then_some((body, Some(if bytes[0] == b'-' { -minutes } else { minutes })))
}

impl Moment {
    /// Days from 1970-01-01, of a moment with a whole date.
    pub(crate) fn days(&self) -> Option<i64> {
        Some(days_of(self.year?, self.month?, self.day?))
    }

    /// Seconds from 1970 in UTC; what is missing counts as the first.
    pub(crate) fn seconds(&self) -> Option<f64> {
        let days = days_of(self.year?, self.month.unwrap_or(1), self.day.unwrap_or(1));
        Some(days as f64 * 86_400.0 + self.time.unwrap_or(0.0) - f64::from(self.zone.unwrap_or(0)) * 60.0)
    }

    /// A whole date and time from seconds since 1970 in a zone.
    pub(crate) fn at(seconds: f64, zone: Option<i32>) -> Moment {
        let local = seconds + f64::from(zone.unwrap_or(0)) * 60.0;
        let days = (local / 86_400.0).floor();
        let (year, month, day) = date_of(days as i64);
        Moment { year: Some(year), month: Some(month), day: Some(day), time: Some(local - days * 86_400.0), zone }
    }

    /// The form of XML Schema with all that is there.
    pub(crate) fn write(&self) -> String {
        let mut text = String::new();
        if let Some(year) = self.year {
            text.push_str(&write_year(year));
            if let Some(month) = self.month {
                text.push_str(&format!("-{month:02}"));
                if let Some(day) = self.day {
                    text.push_str(&format!("-{day:02}"));
                }
            }
        }
        if let Some(time) = self.time {
            if self.year.is_some() {
                text.push('T');
            }
            text.push_str(&write_time(time));
        }
        text.push_str(&write_zone(self.zone));
        text
    }
}

fn write_year(year: i64) -> String {
    if year < 0 { format!("-{:04}", -year) } else { format!("{year:04}") }
}

pub(crate) fn write_time(time: f64) -> String {
    let whole = time.floor();
    let (hour, minute, second) = ((whole / 3600.0) as u32, (whole / 60.0) as u32 % 60, whole as u64 % 60);
    let fraction = ((time - whole) * 1e9).round() / 1e9;
    let mut text = format!("{hour:02}:{minute:02}:{second:02}");
    if fraction > 0.0 {
        text.push_str(crate::xpath::number::write(fraction).trim_start_matches('0'));
    }
    text
}

pub(crate) fn write_zone(zone: Option<i32>) -> String {
    match zone {
        None => String::new(),
        Some(0) => "Z".to_owned(),
        Some(minutes) => format!("{}{:02}:{:02}", if minutes < 0 { '-' } else { '+' }, minutes.abs() / 60, minutes.abs() % 60),
    }
}

/// A duration: months and seconds do not convert into each other.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Duration {
    pub(crate) months: i64,
    pub(crate) seconds: f64,
}

impl Duration {
    /// Reads `P1Y2M3DT4H5M6.7S`, with a minus perhaps.
    pub(crate) fn parse(text: &str) -> Option<Duration> {
        let text = crate::name::trim(text);
        let (sign, body) = match text.strip_prefix('-') {
            Some(rest) => (-1, rest),
            None => (1, text),
        };
        let body = body.strip_prefix('P')?;
        let (date, time) = match body.split_once('T') {
            Some((_, "")) => return None,
            Some((date, time)) => (date, time),
            None => (body, ""),
        };
        if date.is_empty() && time.is_empty() {
            return None;
        }
        let (mut months, mut seconds) = (0i64, 0.0);
        for (text, units) in [(date, &[('Y', 0.0), ('M', 0.0), ('D', 86_400.0)][..]), (time, &[('H', 3600.0), ('M', 60.0), ('S', 1.0)])] {
            let mut rest = text;
            let mut next = 0;
            while !rest.is_empty() {
                let end = rest.find(|c: char| !c.is_ascii_digit() && c != '.')?;
                let value = &rest[..end];
                let unit = rest[end..].chars().next()?;
                let index = next + units[next.min(units.len())..].iter().position(|&(known, _)| known == unit)?;
                next = index + 1;
                if value.contains('.') && unit != 'S' {
                    return None;
                }
                let value: f64 = value.parse().ok()?;
                match (units[index].1, unit) {
                    (0.0, 'Y') => months = months.checked_add((value as i64).checked_mul(12)?)?,
                    (0.0, _) => months = months.checked_add(value as i64)?,
                    (worth, _) => seconds += value * worth,
                }
                rest = &rest[end + 1..];
            }
        }
        Some(Duration { months: sign * months, seconds: sign as f64 * seconds })
    }

    pub(crate) fn write(&self) -> String {
        if self.months == 0 && self.seconds == 0.0 {
            return "P0D".to_owned();
        }
        let negative = self.months < 0 || self.seconds < 0.0;
        let mut text = String::from(if negative { "-P" } else { "P" });
        let (months, seconds) = (self.months.abs(), self.seconds.abs());
        let mut part = |value: f64, unit: char| {
            if value > 0.0 {
                text.push_str(&crate::xpath::number::write(value));
                text.push(unit);
            }
        };
        part((months / 12) as f64, 'Y');
        part((months % 12) as f64, 'M');
        let days = (seconds / 86_400.0).floor();
        part(days, 'D');
        let rest = seconds - days * 86_400.0;
        if rest > 0.0 {
            text.push('T');
            let mut part = |value: f64, unit: char| {
                if value > 0.0 {
                    text.push_str(&crate::xpath::number::write(value));
                    text.push(unit);
                }
            };
            part((rest / 3600.0).floor(), 'H');
            part((rest / 60.0).floor() % 60.0, 'M');
            part(((rest % 60.0) * 1e6).round() / 1e6, 'S');
        }
        text
    }

    /// The sum; none when months and seconds would have different signs.
    pub(crate) fn plus(self, other: Duration) -> Option<Duration> {
        let sum = Duration { months: self.months + other.months, seconds: self.seconds + other.seconds };
        let mixed = sum.months > 0 && sum.seconds < 0.0 || sum.months < 0 && sum.seconds > 0.0;
        (!mixed).then_some(sum)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_and_dates_are_each_other_s_inverse() {
        assert_eq!(days_of(1970, 1, 1), 0);
        assert_eq!(days_of(2000, 3, 1), 11_017);
        for days in (-800_000..800_000).step_by(97) {
            let (year, month, day) = date_of(days);
            assert_eq!(days_of(year, month, day), days);
            assert!((1..=days_in_month(year, month)).contains(&day));
        }
        assert_eq!(weekday(days_of(2026, 11, 25)), 3);
    }

    #[test]
    fn moments_and_durations_are_read_and_written() {
        for text in ["2026-11-25T12:30:05.5Z", "2026-11-25", "2026-11", "2026", "12:30:00+01:00", "-0044-03-15"] {
            assert_eq!(parse(text).map(|moment| moment.write()).as_deref(), Some(text));
        }
        for text in ["2026-02-30", "26-01-01", "2026-1-1", "25:61:00", "x", "", "2026-11-25T", "éééééé"] {
            assert_eq!(parse(text), None, "{text}");
        }
        for text in ["P1Y2M3DT4H5M6.5S", "-P1M", "PT1S", "P0D"] {
            assert_eq!(Duration::parse(text).map(|duration| duration.write()).as_deref(), Some(text));
        }
        for text in ["P", "1Y", "PT", "P1M1Y", "P1.5D", "P1"] {
            assert_eq!(Duration::parse(text), None, "{text}");
        }
    }
}
