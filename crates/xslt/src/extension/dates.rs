//! EXSLT dates and times. The present moment comes from the caller, if at all.

use super::calendar::{Duration, Moment, date_of, days_in_month, days_of, is_leap, parse, weekday, write_time, write_zone};
use crate::error::{Error, Result};
use crate::run::{Context, Run};
use crate::xpath::expression::Call;
use crate::xpath::function::Function;
use crate::xpath::value::Value;

pub(crate) const MONTHS: [&str; 12] =
    ["January", "February", "March", "April", "May", "June", "July", "August", "September", "October", "November", "December"];
pub(crate) const DAYS: [&str; 7] = ["Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"];

impl Run<'_> {
    fn now(&self) -> Result<Moment> {
        match self.hooks.now {
            Some((seconds, zone)) => Ok(Moment::at(seconds as f64, Some(zone))),
            None => Err(Error::run("the present time is not known here").hint("pass it in as a parameter, or let the caller set it")),
        }
    }

    pub(crate) fn dates(&mut self, function: Function, call: &Call, context: &Context) -> Result<Value> {
        let arguments = &call.arguments[..];
        match function {
            Function::DateTime => return Ok(Value::from(self.now()?.write())),
            Function::AddDate => {
                let moment = self.text(&arguments[0], context)?.into_owned();
                let duration = self.text(&arguments[1], context)?.into_owned();
                let sum = parse(&moment).zip(Duration::parse(&duration)).and_then(|(moment, duration)| add(moment, duration));
                return Ok(Value::from(sum.map_or(String::new(), |moment| moment.write())));
            }
            Function::AddDuration => {
                let first = self.text(&arguments[0], context)?.into_owned();
                let second = self.text(&arguments[1], context)?.into_owned();
                let sum = Duration::parse(&first).zip(Duration::parse(&second)).and_then(|(first, second)| first.plus(second));
                return Ok(Value::from(sum.map_or(String::new(), |duration| duration.write())));
            }
            Function::DifferenceOfDates => {
                let first = self.text(&arguments[0], context)?.into_owned();
                let second = self.text(&arguments[1], context)?.into_owned();
                let difference = parse(&first).zip(parse(&second)).and_then(|(first, second)| difference(first, second));
                return Ok(Value::from(difference.map_or(String::new(), |duration| duration.write())));
            }
            Function::SumOfDurations => {
                let nodes = self.nodes(&arguments[0], context)?;
                let mut sum = (!nodes.is_empty()).then_some(Duration { months: 0, seconds: 0.0 });
                for &node in &nodes {
                    sum = sum.zip(Duration::parse(self.node_text(node))).and_then(|(sum, next)| sum.plus(next));
                }
                return Ok(Value::from(sum.map_or(String::new(), |duration| duration.write())));
            }
            Function::FormatDatePattern => {
                let moment = self.text(&arguments[0], context)?.into_owned();
                let pattern = self.text(&arguments[1], context)?.into_owned();
                return Ok(Value::from(parse(&moment).map_or(String::new(), |moment| format(&moment, &pattern))));
            }
            Function::Duration => {
                let seconds = match arguments.first() {
                    Some(argument) => self.number(argument, context)?,
                    None => self.now()?.seconds().unwrap_or(f64::NAN),
                };
                return Ok(Value::from(if seconds.is_finite() { Duration { months: 0, seconds }.write() } else { String::new() }));
            }
            Function::Seconds => {
                let seconds = match arguments.first() {
                    Some(argument) => {
                        let text = self.text(argument, context)?.into_owned();
                        match Duration::parse(&text) {
                            Some(duration) if duration.months == 0 => Some(duration.seconds),
                            Some(_) => None,
                            None => parse(&text).and_then(|moment| moment.seconds()),
                        }
                    }
                    None => self.now()?.seconds(),
                };
                return Ok(Value::Number(seconds.unwrap_or(f64::NAN)));
            }
            _ => {}
        }
        let moment = match arguments.first() {
            Some(argument) => parse(&self.text(argument, context)?),
            None => Some(self.now()?),
        };
        Ok(part(function, moment))
    }
}

/// One part of a moment: NaN or an empty text when it is not there.
fn part(function: Function, moment: Option<Moment>) -> Value {
    let moment = moment.unwrap_or_default();
    let number = |value: Option<f64>| Value::Number(value.unwrap_or(f64::NAN));
    let text = |value: Option<String>| Value::from(value.unwrap_or_default());
    let whole = |value: Option<u32>| value.map(f64::from);
    let days = moment.days();
    let of_week = days.map(weekday);
    let month_name = moment.month.map(|month| MONTHS[month as usize - 1]);
    let day_name = of_week.map(|day| DAYS[day as usize]);
    match function {
        Function::Date => text(days.map(|_| Moment { time: None, ..moment }.write())),
        Function::Time => text(moment.time.map(|time| format!("{}{}", write_time(time), write_zone(moment.zone)))),
        Function::Year => number(moment.year.map(|year| year as f64)),
        Function::LeapYear => moment.year.map_or(Value::Number(f64::NAN), |year| Value::Boolean(is_leap(year))),
        Function::MonthInYear => number(whole(moment.month)),
        Function::MonthName => text(month_name.map(str::to_owned)),
        Function::MonthAbbreviation => text(month_name.map(|name| name[..3].to_owned())),
        Function::WeekInYear => number(days.map(|days| f64::from(week(days)))),
        Function::WeekInMonth => number(days.zip(moment.day).map(|(days, day)| {
            // Weeks begin on Monday.
            let first = (weekday(days - i64::from(day) + 1) + 6) % 7;
            f64::from((day + first - 1) / 7 + 1)
        })),
        Function::DayInYear => number(days.zip(moment.year).map(|(days, year)| (days - days_of(year, 1, 1) + 1) as f64)),
        Function::DayInMonth => number(whole(moment.day)),
        Function::DayOfWeekInMonth => number(days.and(moment.day).map(|day| f64::from((day - 1) / 7 + 1))),
        Function::DayInWeek => number(of_week.map(|day| f64::from(day + 1))),
        Function::DayName => text(day_name.map(str::to_owned)),
        Function::DayAbbreviation => text(day_name.map(|name| name[..3].to_owned())),
        Function::HourInDay => number(moment.time.map(|time| (time / 3600.0).floor())),
        Function::MinuteInHour => number(moment.time.map(|time| (time / 60.0).floor() % 60.0)),
        _ => number(moment.time.map(|time| ((time % 60.0) * 1e9).round() / 1e9)),
    }
}

/// The week of ISO 8601: the first has the year's first Thursday.
fn week(days: i64) -> u32 {
    let monday = days - i64::from((weekday(days) + 6) % 7);
    let thursday = monday + 3;
    let (year, _, _) = date_of(thursday);
    ((thursday - days_of(year, 1, 1)) / 7 + 1) as u32
}

fn add(moment: Moment, duration: Duration) -> Option<Moment> {
    let year = moment.year?;
    let months = year * 12 + i64::from(moment.month.unwrap_or(1)) - 1 + duration.months;
    let (year, month) = (months.div_euclid(12), months.rem_euclid(12) as u32 + 1);
    let day = moment.day.unwrap_or(1).min(days_in_month(year, month));
    let seconds = days_of(year, month, day) as f64 * 86_400.0 + moment.time.unwrap_or(0.0) + duration.seconds;
    let sum = Moment::at(seconds, None);
    Some(Moment {
        year: sum.year,
        month: moment.month.and(sum.month),
        day: moment.day.and(sum.day),
        time: moment.time.and(sum.time),
        zone: moment.zone,
    })
}

/// From the first to the second, in the coarser of the two precisions.
fn difference(first: Moment, second: Moment) -> Option<Duration> {
    if first.day.is_none() || second.day.is_none() {
        let months = |moment: &Moment| Some(moment.year? * 12 + i64::from(moment.month.unwrap_or(1)) - 1);
        let years_only = first.month.is_none() || second.month.is_none();
        let difference = if years_only { (second.year? - first.year?) * 12 } else { months(&second)? - months(&first)? };
        return Some(Duration { months: difference, seconds: 0.0 });
    }
    if first.time.is_none() || second.time.is_none() {
        return Some(Duration { months: 0, seconds: (second.days()? - first.days()?) as f64 * 86_400.0 });
    }
    Some(Duration { months: 0, seconds: second.seconds()? - first.seconds()? })
}

/// A pattern like `yyyy-MM-dd'T'HH:mm:ss`, as .NET and Java read it.
pub(crate) fn format(moment: &Moment, pattern: &str) -> String {
    let mut result = String::new();
    let mut rest = pattern;
    let number = |value: Option<u32>, width: usize| value.map_or(String::new(), |value| format!("{value:0width$}"));
    let time = moment.time;
    while let Some(c) = rest.chars().next() {
        if c == '\'' || c == '"' {
            let inner = &rest[1..];
            let end = inner.find(c).unwrap_or(inner.len());
            result.push_str(if end == 0 { "'" } else { &inner[..end] });
            rest = inner.get(end + 1..).unwrap_or_default();
            continue;
        }
        if c == '\\' {
            let mut inner = rest[1..].chars();
            result.extend(inner.next());
            rest = inner.as_str();
            continue;
        }
        let width = rest.chars().take_while(|&next| next == c).count();
        let hour = time.map(|time| (time / 3600.0) as u32);
        let piece = match c {
            'y' => match width {
                1 => number(moment.year.map(|year| year.rem_euclid(100) as u32), 1),
                2 => number(moment.year.map(|year| year.rem_euclid(100) as u32), 2),
                _ => moment.year.map_or(String::new(), |year| format!("{year:0width$}")),
            },
            'M' => match width {
                1 | 2 => number(moment.month, width),
                3 => moment.month.map_or(String::new(), |month| MONTHS[month as usize - 1][..3].to_owned()),
                _ => moment.month.map_or(String::new(), |month| MONTHS[month as usize - 1].to_owned()),
            },
            'd' => match width {
                1 | 2 => number(moment.day, width),
                3 => moment.days().map_or(String::new(), |days| DAYS[weekday(days) as usize][..3].to_owned()),
                _ => moment.days().map_or(String::new(), |days| DAYS[weekday(days) as usize].to_owned()),
            },
            'E' => {
                let name = moment.days().map_or("", |days| DAYS[weekday(days) as usize]);
                if width > 3 { name.to_owned() } else { name.get(..3).unwrap_or_default().to_owned() }
            }
            'H' => number(hour, width.min(2)),
            'h' => number(hour.map(|hour| (hour + 11) % 12 + 1), width.min(2)),
            'm' => number(time.map(|time| (time / 60.0) as u32 % 60), width.min(2)),
            's' => number(time.map(|time| (time % 60.0) as u32), width.min(2)),
            'f' | 'S' | 'F' => time.map_or(String::new(), |time| {
                let digits = format!("{:.9}", (time.fract() * 1e9).round() / 1e9);
                let shown = digits.get(2..2 + width.min(9)).unwrap_or_default().to_owned();
                if c == 'F' { shown.trim_end_matches('0').to_owned() } else { shown }
            }),
            't' | 'a' => hour.map_or(String::new(), |hour| {
                let name = if hour < 12 { "AM" } else { "PM" };
                if c == 't' && width == 1 { name[..1].to_owned() } else { name.to_owned() }
            }),
            'z' | 'Z' => match moment.zone {
                Some(minutes) => {
                    let sign = if minutes < 0 { '-' } else { '+' };
                    let (hours, rest) = (minutes.abs() / 60, minutes.abs() % 60);
                    match width {
                        1 => format!("{sign}{hours}"),
                        2 => format!("{sign}{hours:02}"),
                        _ => format!("{sign}{hours:02}:{rest:02}"),
                    }
                }
                None => String::new(),
            },
            other => other.to_string().repeat(width),
        };
        result.push_str(&piece);
        rest = &rest[c.len_utf8() * width..];
    }
    result
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_added_and_taken_apart() {
        let sum = |moment: &str, duration: &str| {
            parse(moment).zip(Duration::parse(duration)).and_then(|(moment, duration)| add(moment, duration)).map(|moment| moment.write())
        };
        assert_eq!(sum("2026-01-31", "P1M").as_deref(), Some("2026-02-28"));
        assert_eq!(sum("2026-12-31T23:59:59Z", "PT1S").as_deref(), Some("2027-01-01T00:00:00Z"));
        assert_eq!(sum("2026", "-P1Y").as_deref(), Some("2025"));
        let days = |text: &str| parse(text).and_then(|moment| moment.days()).expect("a date");
        assert_eq!(week(days("2026-01-01")), 1);
        assert_eq!(week(days("2027-01-01")), 53);
        let between = |first: &str, second: &str| {
            parse(first).zip(parse(second)).and_then(|(a, b)| difference(a, b)).map(|duration| duration.write())
        };
        assert_eq!(between("2026-01-01", "2026-03-01").as_deref(), Some("P59D"));
        assert_eq!(between("2025", "2026-03").as_deref(), Some("P1Y"));
    }

    #[test]
    fn patterns_are_filled_in() {
        let moment = parse("2026-11-05T09:07:03.25+01:00").expect("good");
        for (pattern, text) in [
            ("yyyy-MM-dd'T'HH:mm:ss", "2026-11-05T09:07:03"),
            ("d.M.yy", "5.11.26"),
            ("dddd, dd MMMM yyyy", "Thursday, 05 November 2026"),
            ("h:mm tt", "9:07 AM"),
            ("ss.ff zzz", "03.25 +01:00"),
        ] {
            assert_eq!(format(&moment, pattern), text, "{pattern}");
        }
    }
}
