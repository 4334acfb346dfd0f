//! Cron text to local calendar times, without a time zone: reads the text by the Unix rules and has the `cron` crate search the calendar.
//!
//! The text is read here, because the crate numbers weekdays from 1 = Sunday and has no field-by-field messages. The crate is handed plain
//! lists of numbers, in its own numbering, and is evaluated in UTC only, as a calendar without clock changes. It joins days of month and of
//! week by AND; where Vixie cron says OR, there are two schedules and the earlier one wins. Keeps: an `Expression` fires at least once
//! between 1970 and 2100, the years that the crate knows.

use std::fmt::Write as _;
use std::str::FromStr;

use chrono::DateTime;

use super::problem::{Problem, quoted};

/// The longest cron text, in characters. Every field as a full list of numbers would be longer, but nobody writes that.
pub const CRON_CHARS_MAX: usize = 256;

/// Local times outside these seconds are not searched: 1969-12-30 and 2101-01-03, the crate's years 1970 to 2100 with room for any offset.
const LOCAL_MIN: i64 = -2 * 86_400;
const LOCAL_MAX: i64 = 4_133_980_800 + 2 * 86_400;

const FORM: &str = "write five fields, minute hour day-of-month month day-of-week, such as \"*/5 * * * *\", or six with seconds first";

/// One field of the expression: its name and what may stand in it.
struct Field {
    name: &'static str,
    min: u32,
    max: u32,
    /// Names of the values, the first one for `min`; three letters of each are enough.
    names: &'static [&'static str],
}

const SECOND: Field = Field { name: "second", min: 0, max: 59, names: &[] };
const MINUTE: Field = Field { name: "minute", min: 0, max: 59, names: &[] };
const HOUR: Field = Field { name: "hour", min: 0, max: 23, names: &[] };
const DAY_OF_MONTH: Field = Field { name: "day of month", min: 1, max: 31, names: &[] };
const MONTH: Field = Field {
    name: "month",
    min: 1,
    max: 12,
    names: &["january", "february", "march", "april", "may", "june", "july", "august", "september", "october", "november", "december"],
};
/// 0 and 7 are both Sunday; 7 becomes 0 once ranges are resolved.
const DAY_OF_WEEK: Field =
    Field { name: "day of week", min: 0, max: 7, names: &["sunday", "monday", "tuesday", "wednesday", "thursday", "friday", "saturday"] };

/// What one field allows.
#[derive(Clone, Copy)]
struct Allowed {
    /// Bit n is set when the value n is allowed.
    bits: u64,
    /// The text begins with `*` or `?`: what Vixie cron calls a star field.
    star: bool,
    /// A `*`, a `?` or a step stands somewhere in it.
    wildcard: bool,
}

/// A cron expression, checked: it can fire.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Expression {
    /// A time matches when one of these matches; one or two.
    alternatives: Vec<cron::Schedule>,
    /// Follows the time that passes, not the clock on the wall, when the clock is changed: see the module's head.
    pub(super) free_running: bool,
}

impl Expression {
    /// Reads cron text.
    pub(super) fn parse(text: &str) -> Result<Expression, Problem> {
        let length = text.chars().count();
        if length > CRON_CHARS_MAX {
            let message = format!("the cron text has {length} characters, at most {CRON_CHARS_MAX} are allowed");
            return Err(Problem::new(message, "use ranges and steps, such as 8-18/2, or make several jobs"));
        }
        let text = text.trim();
        let text = if text.starts_with('@') { shorthand(text)? } else { text };
        let words: Vec<&str> = text.split_whitespace().collect();
        let (second, words) = match words.as_slice() {
            [] => return Err(Problem::new("the cron text is empty", FORM)),
            words @ [_, _, _, _, _] => ("0", words),
            [second, words @ ..] if words.len() == 5 => (*second, words),
            words => {
                let message = format!("the cron text {} has {} fields, not 5 or 6", quoted(text), words.len());
                let hint = if words.len() == 7 { format!("{FORM}; there is no field for years") } else { FORM.to_string() };
                return Err(Problem::new(message, hint));
            }
        };
        let second = SECOND.read(second)?;
        let minute = MINUTE.read(words[0])?;
        let hour = HOUR.read(words[1])?;
        let day_of_month = DAY_OF_MONTH.read(words[2])?;
        let month = MONTH.read(words[3])?;
        let mut day_of_week = DAY_OF_WEEK.read(words[4])?;
        day_of_week.bits = (day_of_week.bits | day_of_week.bits >> 7) & 0x7f;

        let every_day = Allowed { bits: u64::MAX, star: true, wildcard: true };
        let days = if day_of_month.star || day_of_week.star {
            vec![(day_of_month, day_of_week)]
        } else {
            vec![(day_of_month, every_day), (every_day, day_of_week)]
        };
        let mut alternatives = Vec::with_capacity(days.len());
        for (day_of_month, day_of_week) in days {
            let translated = format!(
                "{} {} {} {} {} {}",
                SECOND.list(second, 0),
                MINUTE.list(minute, 0),
                HOUR.list(hour, 0),
                DAY_OF_MONTH.list(day_of_month, 0),
                MONTH.list(month, 0),
                Field { max: 6, ..DAY_OF_WEEK }.list(day_of_week, 1),
            );
            let schedule = cron::Schedule::from_str(&translated)
                .map_err(|error| Problem::new(format!("the cron text {} is not understood: {error}", quoted(text)), FORM))?;
            // An alternative that never comes would be searched for in vain at every call.
            if first_of(&schedule, LOCAL_MIN).is_some() {
                alternatives.push(schedule);
            }
        }
        if alternatives.is_empty() {
            let message = format!("never fires: no month in {} has a day of month in {}", quoted(words[3]), quoted(words[2]));
            return Err(Problem::new(message, "April, June, September and November have 30 days, February has 28 or 29"));
        }
        let frequent = minute.wildcard || hour.wildcard || MINUTE.is_all(minute) || HOUR.is_all(hour);
        let once_a_day = minute.bits.count_ones() == 1 && hour.bits.count_ones() == 1;
        Ok(Expression { alternatives, free_running: frequent && !once_a_day })
    }

    /// The first match at or after `local`; both are local times as seconds since 1970-01-01T00:00:00 on the same wall clock.
    pub(super) fn first_from(&self, local: i64) -> Option<i64> {
        self.alternatives.iter().filter_map(|schedule| first_of(schedule, local)).min()
    }
}

fn first_of(schedule: &cron::Schedule, local: i64) -> Option<i64> {
    if local > LOCAL_MAX {
        return None;
    }
    // The crate looks strictly after the time that it is given.
    let before = DateTime::from_timestamp(local.max(LOCAL_MIN) - 1, 0)?;
    schedule.after(&before).next().map(|at| at.timestamp())
}

/// The five fields of `@daily` and the like, as crontab(5) lists them.
fn shorthand(text: &str) -> Result<&'static str, Problem> {
    match text.to_ascii_lowercase().as_str() {
        "@yearly" | "@annually" => Ok("0 0 1 1 *"),
        "@monthly" => Ok("0 0 1 * *"),
        "@weekly" => Ok("0 0 * * 0"),
        "@daily" | "@midnight" => Ok("0 0 * * *"),
        "@hourly" => Ok("0 * * * *"),
        _ => Err(Problem::new(
            format!("{} is not a known shorthand", quoted(text)),
            "use @hourly, @daily, @midnight, @weekly, @monthly, @yearly or @annually, or five fields such as \"*/5 * * * *\"",
        )),
    }
}

impl Field {
    /// Reads a list of values, ranges and steps.
    fn read(&self, text: &str) -> Result<Allowed, Problem> {
        let mut bits = 0;
        for item in text.split(',') {
            bits |= self.item(item, text)?;
        }
        Ok(Allowed { bits, star: text.starts_with(['*', '?']), wildcard: text.contains(['*', '?', '/']) })
    }

    /// One part of the list: `*`, `a`, `a-b`, each with or without a step.
    fn item(&self, item: &str, whole: &str) -> Result<u64, Problem> {
        let (range, step) = match item.split_once('/') {
            Some((range, step)) => (range, Some(self.step(step)?)),
            None => (item, None),
        };
        let (first, last) = if range == "*" || range == "?" {
            (self.min, self.max)
        } else if let Some((first, last)) = range.split_once('-') {
            let (first, mut last) = (self.value(first, whole)?, self.value(last, whole)?);
            // "fri-sun": as the end of a range Sunday is the seventh day.
            if self.max == DAY_OF_WEEK.max && last == 0 && first > 0 {
                last = 7;
            }
            if first > last {
                let message = format!("{} range {} runs backwards", self.name, quoted(range));
                return Err(Problem::new(message, format!("split it in two: {first}-{},{}-{last}", self.max, self.min)));
            }
            (first, last)
        } else {
            let first = self.value(range, whole)?;
            // As in cronie, "5/15" means from 5 to the end in steps of 15.
            (first, if step.is_some() { self.max } else { first })
        };
        Ok((first..=last).step_by(step.unwrap_or(1) as usize).fold(0, |bits, value| bits | 1 << value))
    }

    fn step(&self, text: &str) -> Result<u32, Problem> {
        match number(text) {
            Some(step) if (1..=self.max).contains(&step) => Ok(step),
            _ => {
                let message = format!("{} step {} is not a number from 1 to {}", self.name, quoted(text), self.max);
                let hint = match self.name {
                    "second" | "minute" | "hour" => {
                        "a step counts within its field and starts again: for every 90 minutes, write two jobs or lists"
                    }
                    _ => "write a step as in */2 or 1-15/5",
                };
                Err(Problem::new(message, hint))
            }
        }
    }

    fn value(&self, text: &str, whole: &str) -> Result<u32, Problem> {
        let value = match number(text) {
            Some(value) => Some(value),
            None => self.named(text),
        };
        match value {
            Some(value) if (self.min..=self.max).contains(&value) => Ok(value),
            _ => {
                let found = if text.is_empty() { format!("is missing in {}", quoted(whole)) } else { quoted(text) };
                let mut message = format!("{} {found} is not {} to {}", self.name, self.min, self.max);
                if text.is_empty() {
                    message = format!("{} {found}", self.name);
                } else if let (Some(first), Some(last)) = (self.names.first(), self.names.last()) {
                    let _ = write!(message, ", nor a name from {} to {}", &first[..3], &last[..3]);
                }
                Err(Problem::new(message, self.hint(text)))
            }
        }
    }

    fn hint(&self, text: &str) -> String {
        if text.contains(['L', 'W', '#', 'l', 'w']) && !text.chars().any(|c| c.is_alphabetic() && !"LWlw".contains(c)) {
            return "L, W and # are not known here; list the days, such as 28-31".to_string();
        }
        let example = match self.name {
            "month" => "use numbers 1 to 12 or jan to dec",
            "day of week" => "0 and 7 are Sunday, 5 is Friday; mon to sun are understood",
            _ => "",
        };
        let forms =
            format!("a field is *, a number, a range such as {0}-{1}, a list such as {0},{1}, or one with a step", self.min, self.max);
        if example.is_empty() { forms } else { format!("{example}; {forms}") }
    }

    /// A name or its first three letters, in any case.
    fn named(&self, text: &str) -> Option<u32> {
        let position = self.names.iter().position(|name| text.eq_ignore_ascii_case(name) || text.eq_ignore_ascii_case(&name[..3]))?;
        u32::try_from(position).ok().map(|position| position + self.min)
    }

    fn is_all(&self, allowed: Allowed) -> bool {
        (self.min..=self.max).all(|value| allowed.bits & 1 << value != 0)
    }

    /// The values for the crate: `*`, or every number with `shift` added.
    fn list(&self, allowed: Allowed, shift: u32) -> String {
        if self.is_all(allowed) {
            return "*".to_string();
        }
        let values: Vec<String> =
            (self.min..=self.max).filter(|value| allowed.bits & 1 << value != 0).map(|value| (value + shift).to_string()).collect();
        values.join(",")
    }
}

/// An unsigned number of ASCII digits; `None` for a sign, which `parse` alone would take, and for what is too large.
fn number(text: &str) -> Option<u32> {
    if text.is_empty() || !text.bytes().all(|byte| byte.is_ascii_digit()) { None } else { text.parse().ok() }
}
