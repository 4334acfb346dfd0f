//! Cron text to what the `cron` crate reads: checks each field, names the faulty one, expands weekdays, splits "either day" in two.

use std::collections::BTreeSet;
use std::str::FromStr;

use super::Problem;

/// Text longer than this is refused before it is looked at.
const TEXT_MAX: usize = 256;

pub(super) struct Parsed {
    pub calendars: Vec<cron::Schedule>,
    pub fixed_hour: bool,
}

struct Field {
    name: &'static str,
    low: u32,
    high: u32,
    names: &'static [&'static str],
}

const MONTHS: &[&str] = &["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"];
const WEEKDAYS: &[&str] = &["sun", "mon", "tue", "wed", "thu", "fri", "sat"];
const FIELDS: [Field; 6] = [
    Field { name: "second", low: 0, high: 59, names: &[] },
    Field { name: "minute", low: 0, high: 59, names: &[] },
    Field { name: "hour", low: 0, high: 23, names: &[] },
    Field { name: "day of the month", low: 1, high: 31, names: &[] },
    Field { name: "month", low: 1, high: 12, names: MONTHS },
    Field { name: "day of the week", low: 0, high: 7, names: WEEKDAYS },
];

/// Reads five or six fields, or one of the `@` words.
pub(super) fn parse(text: &str) -> Result<Parsed, Problem> {
    let refuse = |message: String| {
        Err(Problem { message, hint: "write five fields, minute hour day month weekday, as in \"*/5 * * * *\" or \"0 6 * * 1-5\"".into() })
    };
    if text.len() > TEXT_MAX {
        return refuse(format!("a recurrence of {} characters, at most {TEXT_MAX} are read", text.len()));
    }
    let expanded = match text.trim().to_ascii_lowercase().as_str() {
        "@yearly" | "@annually" => "0 0 1 1 *".to_owned(),
        "@monthly" => "0 0 1 * *".to_owned(),
        "@weekly" => "0 0 * * 0".to_owned(),
        "@daily" | "@midnight" => "0 0 * * *".to_owned(),
        "@hourly" => "0 * * * *".to_owned(),
        other => other.to_owned(),
    };
    let mut fields: Vec<&str> = expanded.split_ascii_whitespace().collect();
    if fields.len() == 5 {
        fields.insert(0, "0");
    }
    if fields.len() != 6 {
        return refuse(format!("\"{}\" has {} fields, expected 5, or 6 with seconds first", text.trim(), fields.len()));
    }
    let sets = FIELDS.iter().zip(&fields).map(|(field, text)| field.read(text)).collect::<Result<Vec<_>, _>>()?;
    let wild = |index: usize| fields[index].starts_with(['*', '?']);

    let list = |index: usize| sets[index].iter().map(u32::to_string).collect::<Vec<_>>().join(",");
    // The crate counts weekdays from 1 = Sunday.
    let weekdays = sets[5].iter().map(|day| day % 7 + 1).collect::<BTreeSet<_>>().iter().map(u32::to_string).collect::<Vec<_>>().join(",");
    let days = list(3);
    let compile = |days: &str, weekdays: &str| {
        let text = format!("{} {} {} {days} {} {weekdays}", list(0), list(1), list(2), list(4));
        cron::Schedule::from_str(&text)
            .map_err(|error| Problem { message: format!("cannot read \"{expanded}\": {error}"), hint: "check each field".into() })
    };
    // Vixie cron: a field that begins with a star does not restrict by itself, the other must match too.
    let calendars =
        if wild(3) || wild(5) { vec![compile(&days, &weekdays)?] } else { vec![compile(&days, "*")?, compile("*", &weekdays)?] };
    Ok(Parsed { calendars, fixed_hour: !wild(2) })
}

impl Field {
    /// The values of a field: lists, ranges, steps, names.
    fn read(&self, text: &str) -> Result<BTreeSet<u32>, Problem> {
        let mut values = BTreeSet::new();
        for part in text.split(',') {
            let (range, step) = match part.split_once('/') {
                Some((range, step)) => (range, Some(step.parse::<u32>().ok().filter(|step| *step > 0).ok_or_else(|| self.refuse(part))?)),
                None => (part, None),
            };
            let (low, high) = if range == "*" || range == "?" {
                (self.low, if self.high == 7 { 6 } else { self.high })
            } else if let Some((low, high)) = range.split_once('-') {
                (self.value(low, part)?, self.value(high, part)?)
            } else {
                let low = self.value(range, part)?;
                (low, if step.is_some() { self.high } else { low })
            };
            if low > high {
                return Err(self.refuse(part));
            }
            values.extend((low..=high).step_by(step.unwrap_or(1) as usize));
        }
        Ok(values)
    }

    fn value(&self, text: &str, part: &str) -> Result<u32, Problem> {
        let first = u32::from(self.high == 12);
        let named = self.names.iter().position(|name| *name == text).map(|index| index as u32 + first);
        let digits = !text.is_empty() && text.len() <= 4 && text.bytes().all(|byte| byte.is_ascii_digit());
        let value = named.or_else(|| digits.then(|| text.parse().ok()).flatten());
        value.filter(|value| (self.low..=self.high).contains(value)).ok_or_else(|| self.refuse(part))
    }

    fn refuse(&self, part: &str) -> Problem {
        let names =
            if self.names.is_empty() { String::new() } else { format!(", or {} to {}", self.names[0], self.names[self.names.len() - 1]) };
        Problem {
            message: format!("the {} \"{part}\" is not understood", self.name),
            hint: format!("write {} to {}{names}, with - for a range, / for a step, commas between several, or *", self.low, self.high),
        }
    }
}
