//! Values: text of a document to the spelling that the table keeps (see [`FieldKind`]), or what is wrong with it.

use chrono_tz::Tz;

pub use self::number::{compare, decimal_text, minus_elsewhere, parse_decimal, real_text};
use crate::model::entity::{Decimal, Field, FieldKind};
use crate::model::finding::Rule;
use crate::model::format::Numbers;

pub mod date;
mod number;

/// Among `date_formats`: the number of days that Excel keeps.
pub const EXCEL_DAYS: &str = "excel";

/// How values are written in a document.
#[derive(Clone, Debug, Default)]
pub struct Reading {
    /// Separators of decimals and thousands.
    pub numbers: Numbers,
    /// They are those of the mapping's line, not of the format.
    pub own_numbers: bool,
    /// strftime patterns, tried in order before the ISO forms.
    pub date_formats: Vec<String>,
    /// Of datetimes without an offset; UTC when `None`.
    pub time_zone: Option<Tz>,
    /// The value is no text of the document: the document keeps it as a number or date, or the configuration says it. Numbers may have an
    /// exponent, and the ISO forms stand before the patterns.
    pub plain: bool,
}

impl Reading {
    /// How values are read that are no texts of the document: no separators are theirs.
    pub fn of_plain(&self) -> Reading {
        Reading { numbers: Numbers::default(), plain: true, ..self.clone() }
    }
}

/// A value as the table keeps it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Stored {
    /// TEXT.
    Text(String),
    /// INTEGER.
    Integer(i64),
}

impl Stored {
    /// As text, for messages and look-ups.
    pub fn text(&self) -> String {
        match self {
            Stored::Text(text) => text.clone(),
            Stored::Integer(integer) => integer.to_string(),
        }
    }
}

/// What is wrong with a value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wrong {
    /// The rule it breaks.
    pub rule: Rule,
    /// What is wrong: lower case, no full stop.
    pub message: String,
    /// What to do.
    pub hint: String,
}

fn wrong(rule: Rule, message: impl Into<String>, hint: impl Into<String>) -> Wrong {
    Wrong { rule, message: message.into(), hint: hint.into() }
}

/// A value that was read: an integer, or the text that was appended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Read {
    /// INTEGER.
    Integer(i64),
    /// TEXT: what was appended.
    Text,
}

/// Reads a value of a field. The text is not blank: whether it may be is not decided here.
pub fn parse(field: &Field, text: &str, reading: &Reading) -> Result<Stored, Wrong> {
    let mut out = String::new();
    read_into(field, text, reading, &mut out).map(|read| match read {
        Read::Integer(value) => Stored::Integer(value),
        Read::Text => Stored::Text(out),
    })
}

/// As [`parse`], appending text to `out`: an import keeps the values of many rows in one buffer. Nothing is appended when the value is wrong.
pub fn read_into(field: &Field, text: &str, reading: &Reading, out: &mut String) -> Result<Read, Wrong> {
    match &field.kind {
        FieldKind::String { length } => {
            string(text, *length)?;
            if let Some(pattern) = &field.pattern
                && !pattern.regex.is_match(text)
            {
                let message = format!("it does not match the pattern {}", pattern.text);
                return Err(wrong(Rule::Pattern, message, "correct the value, or the field's pattern"));
            }
            out.push_str(text);
        }
        FieldKind::Integer => {
            let mut simple = String::new();
            let value = number::integer(number::simple(text.trim(), reading, &mut simple), reading.plain)?;
            within(field, || Decimal { units: i128::from(value), scale: 0 })?;
            return Ok(Read::Integer(value));
        }
        FieldKind::Decimal { precision, scale } => {
            let mut simple = String::new();
            let digits = number::decimal_digits(number::simple(text.trim(), reading, &mut simple), *precision, *scale, reading)?;
            within(field, || digits.value())?;
            digits.write(out);
        }
        FieldKind::Date => date::date(text.trim(), reading, out)?,
        FieldKind::DateTime => date::datetime(text.trim(), reading, out)?,
        FieldKind::Boolean => return boolean(text.trim()).map(|value| Read::Integer(i64::from(value))),
        FieldKind::Enum { values } => out.push_str(enumeration(text.trim(), values)?),
        FieldKind::Guid => {
            let guid = crate::model::id::parse_guid(text)
                .map_err(|error| wrong(Rule::Type, error.to_string(), "write it with hyphens, with or without braces"))?;
            out.push_str(guid.hyphenated().encode_lower(&mut [0; 36]));
        }
    }
    Ok(Read::Text)
}

fn string(text: &str, length: Option<u32>) -> Result<(), Wrong> {
    if memchr::memchr(0, text.as_bytes()).is_some() {
        // Databases and programs that meet it as a value take it for the text's end.
        return Err(wrong(Rule::Type, "it holds a character of zero (NUL)", "take it out where the document is made"));
    }
    if let Some(length) = length {
        // As many bytes are at least as many characters: only long texts are counted.
        if text.len() > length as usize {
            let count = text.chars().count();
            if count > length as usize {
                return Err(wrong(
                    Rule::Length,
                    format!("{count} characters, at most {length} fit"),
                    "shorten it, or give the field a greater length",
                ));
            }
        }
    }
    Ok(())
}

/// What a field takes, in words: for findings.
pub fn expected(field: &Field) -> String {
    let mut text = match &field.kind {
        FieldKind::String { length: Some(length) } => format!("text of at most {length} characters"),
        FieldKind::String { length: None } => "text".to_owned(),
        FieldKind::Integer => "a whole number".to_owned(),
        FieldKind::Decimal { precision, scale } => format!("a number of at most {precision} digits, {scale} of them after the point"),
        FieldKind::Date => "a day".to_owned(),
        FieldKind::DateTime => "a day and time".to_owned(),
        FieldKind::Boolean => "Yes or No".to_owned(),
        FieldKind::Enum { values } => {
            let names: Vec<&str> = values.iter().map(|(name, _)| name.as_str()).collect();
            format!("one of {}", names.join(", "))
        }
        FieldKind::Guid => "a GUID".to_owned(),
    };
    let mut add = |part: &str| {
        text.push_str(", ");
        text.push_str(part);
    };
    if let Some(minimum) = field.minimum {
        add(&format!("at least {}", decimal_text(minimum)));
    }
    if let Some(maximum) = field.maximum {
        add(&format!("at most {}", decimal_text(maximum)));
    }
    if let Some(pattern) = &field.pattern {
        add(&format!("matching {}", pattern.text));
    }
    if let Some(entity) = &field.references {
        add(&format!("the key of a row of {entity}"));
    }
    if field.unique {
        add("once in a document");
    }
    if field.required {
        add("not blank");
    }
    text
}

fn within(field: &Field, value: impl Fn() -> Decimal) -> Result<(), Wrong> {
    if field.minimum.is_none() && field.maximum.is_none() {
        return Ok(());
    }
    let value = value();
    if let Some(minimum) = field.minimum.filter(|minimum| compare(value, *minimum).is_lt()) {
        return Err(wrong(Rule::Range, format!("less than the minimum {}", decimal_text(minimum)), "correct the value"));
    }
    if let Some(maximum) = field.maximum.filter(|maximum| compare(value, *maximum).is_gt()) {
        return Err(wrong(Rule::Range, format!("more than the maximum {}", decimal_text(maximum)), "correct the value"));
    }
    Ok(())
}

fn boolean(text: &str) -> Result<bool, Wrong> {
    let is = |words: &[&str]| words.iter().any(|word| word.eq_ignore_ascii_case(text));
    // A workbook may show it with leading zeros.
    let is_number = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let number = is_number.then(|| text.trim_start_matches('0'));
    match () {
        () if number == Some("1") || is(&["yes", "true", "y"]) => Ok(true),
        () if number == Some("") || is(&["no", "false", "n"]) => Ok(false),
        () => Err(wrong(Rule::Type, "expected Yes or No", "write Yes, No, true, false, 1 or 0, or convert it with values in the mapping")),
    }
}

fn enumeration<'a>(text: &str, values: &'a [(String, i64)]) -> Result<&'a str, Wrong> {
    let number = text.parse::<i64>().ok();
    let found =
        values.iter().find(|(name, _)| name.eq_ignore_ascii_case(text)).or_else(|| values.iter().find(|(_, value)| Some(*value) == number));
    found.map(|(name, _)| name.as_str()).ok_or_else(|| {
        let names: Vec<&str> = values.iter().map(|(name, _)| name.as_str()).take(20).collect();
        wrong(Rule::Enum, format!("not one of {}", names.join(", ")), "correct the value, or convert it with values in the mapping")
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::entity::Pattern;
    use proptest::prelude::*;

    pub(super) fn field(kind: FieldKind) -> Field {
        Field { name: "F".into(), kind, ..Field::default() }
    }

    /// The hint of a value that is not read.
    pub(super) fn refused(kind: FieldKind, text: &str, reading: &Reading) -> String {
        parse(&field(kind), text, reading).unwrap_err().hint
    }

    fn read(kind: FieldKind, text: &str) -> Result<String, Rule> {
        parse(&field(kind), text, &Reading::default()).map(|stored| stored.text()).map_err(|wrong| wrong.rule)
    }

    #[test]
    fn what_a_field_takes_is_said_in_words() {
        let text =
            Field { required: true, unique: true, pattern: Pattern::new("[A-Z]+").ok(), ..field(FieldKind::String { length: Some(10) }) };
        assert_eq!(expected(&text), "text of at most 10 characters, matching [A-Z]+, once in a document, not blank");
        let number =
            Field { minimum: parse_decimal("0.5"), maximum: parse_decimal("9"), ..field(FieldKind::Decimal { precision: 18, scale: 2 }) };
        assert_eq!(expected(&number), "a number of at most 18 digits, 2 of them after the point, at least 0.5, at most 9");
        let choice =
            Field { references: Some("Colours".into()), ..field(FieldKind::Enum { values: vec![("No".into(), 0), ("Yes".into(), 1)] }) };
        assert_eq!(expected(&choice), "one of No, Yes, the key of a row of Colours");
    }

    #[test]
    fn each_type_reads_what_it_should_and_refuses_the_rest() {
        let decimal = || FieldKind::Decimal { precision: 18, scale: 2 };
        let colours = || FieldKind::Enum { values: vec![("No".into(), 0), ("Yes".into(), 1), ("On hold".into(), 5)] };
        let table: Vec<(FieldKind, &str, Result<&str, Rule>)> = vec![
            (FieldKind::Integer, "42", Ok("42")),
            (FieldKind::Integer, " -007 ", Ok("-7")),
            (FieldKind::Integer, "+1", Ok("1")),
            (FieldKind::Integer, "12,5", Err(Rule::Type)),
            (FieldKind::Integer, "1.0", Err(Rule::Type)),
            (FieldKind::Integer, "-", Err(Rule::Type)),
            (FieldKind::Integer, "9223372036854775808", Err(Rule::Range)),
            (decimal(), "12.5", Ok("12.50")),
            (decimal(), ".0000", Ok("0.00")),
            (decimal(), "-.5", Ok("-0.50")),
            (decimal(), "5.", Ok("5.00")),
            (decimal(), "0012.5000", Ok("12.50")),
            (decimal(), "12.505", Err(Rule::Range)),
            (decimal(), "1,000.50", Err(Rule::Type)),
            (decimal(), "1e5", Err(Rule::Type)),
            (decimal(), ".", Err(Rule::Type)),
            (decimal(), "1234567890123456.78", Ok("1234567890123456.78")),
            (decimal(), "12345678901234567.8", Err(Rule::Range)),
            (FieldKind::Date, "2026-02-28", Ok("2026-02-28")),
            (FieldKind::Date, "2026-02-29", Err(Rule::Type)),
            (FieldKind::Date, "2011-01-31 00:00:00", Ok("2011-01-31")),
            (FieldKind::Date, "2011-01-31 10:00:00", Err(Rule::Type)),
            (FieldKind::Date, "31-01-2011", Err(Rule::Type)),
            (FieldKind::DateTime, "2025-02-07 10:01:36.827", Ok("2025-02-07T10:01:36.827Z")),
            (FieldKind::DateTime, "2025-02-07T10:01:36.1234567Z", Ok("2025-02-07T10:01:36.1234567Z")),
            (FieldKind::DateTime, "2025-02-07T10:01:36.1000000Z", Ok("2025-02-07T10:01:36.100Z")),
            (FieldKind::DateTime, "2025-02-07 10:01:36.000000000", Ok("2025-02-07T10:01:36Z")),
            (FieldKind::DateTime, "2025-02-07 10:01:36.0000000001", Err(Rule::Type)),
            (FieldKind::DateTime, "2026-01-15T14:30:00Z", Ok("2026-01-15T14:30:00Z")),
            (FieldKind::DateTime, "2026-01-15T14:30:00+02:00", Ok("2026-01-15T12:30:00Z")),
            (FieldKind::DateTime, "2026-01-15T00:30-0100", Ok("2026-01-15T01:30:00Z")),
            (FieldKind::DateTime, "2026-01-15", Ok("2026-01-15T00:00:00Z")),
            (FieldKind::DateTime, "2026-01-15T25:00:00", Err(Rule::Type)),
            (FieldKind::DateTime, "2026-01-15T14:30:00+99:00", Err(Rule::Type)),
            (FieldKind::Boolean, "YES", Ok("1")),
            (FieldKind::Boolean, "false", Ok("0")),
            (FieldKind::Boolean, "01", Ok("1")),
            (FieldKind::Boolean, "00", Ok("0")),
            (FieldKind::Boolean, "10", Err(Rule::Type)),
            (FieldKind::Boolean, "maybe", Err(Rule::Type)),
            (colours(), "on HOLD", Ok("On hold")),
            (colours(), "5", Ok("On hold")),
            (colours(), "2", Err(Rule::Enum)),
            (FieldKind::Guid, "{6D31E09F-0249-459F-94F0-AAD9C2C47B64}", Ok("6d31e09f-0249-459f-94f0-aad9c2c47b64")),
            (FieldKind::Guid, "x", Err(Rule::Type)),
            (FieldKind::String { length: Some(3) }, "añb", Ok("añb")),
            (FieldKind::String { length: Some(3) }, "abcd", Err(Rule::Length)),
            (FieldKind::String { length: None }, " C  ", Ok(" C  ")),
        ];
        for (kind, text, expected) in table {
            assert_eq!(read(kind.clone(), text), expected.map(str::to_owned), "{kind:?} {text}");
        }
    }

    #[test]
    fn patterns_zones_separators_and_bounds_are_those_of_the_configuration() {
        let reading = Reading {
            numbers: Numbers { decimal_separator: ',', thousands_separator: None },
            date_formats: vec!["%m/%d/%Y %H:%M".into(), "%d.%m.%Y".into()],
            time_zone: Some(chrono_tz::Europe::Amsterdam),
            ..Reading::default()
        };
        let at = |kind, text| parse(&field(kind), text, &reading).map(|stored| stored.text());
        assert_eq!(at(FieldKind::DateTime, "8/25/2020 13:03").unwrap(), "2020-08-25T11:03:00Z");
        assert_eq!(at(FieldKind::Date, "31.12.2154").unwrap(), "2154-12-31");
        assert_eq!(at(FieldKind::Decimal { precision: 5, scale: 2 }, "1,5").unwrap(), "1.50");
        assert!(at(FieldKind::DateTime, "2026-03-29T02:30:00").unwrap_err().message.contains("skipped"));
        let bounded =
            Field { minimum: parse_decimal("0"), maximum: parse_decimal("99.5"), ..field(FieldKind::Decimal { precision: 9, scale: 3 }) };
        for (text, ok) in [("0", true), ("-0.001", false), ("99.500", true), ("99.501", false)] {
            assert_eq!(parse(&bounded, text, &Reading::default()).is_ok(), ok, "{text}");
        }
    }

    #[test]
    fn what_is_written_otherwise_is_told_with_what_would_read_it() {
        let decimal = field(FieldKind::Decimal { precision: 18, scale: 2 });
        let hint = |field: &Field, text: &str, reading: &Reading| parse(field, text, reading).unwrap_err().hint;
        for (text, expected) in [
            ("1,5", "set decimal_separator = \",\""),
            ("1.000,50", "set decimal_separator = \",\" and thousands_separator = \".\""),
            ("1,000.50", "set thousands_separator = \",\""),
            ("EUR 5", "remove grouping and signs of currency"),
        ] {
            let hint = hint(&decimal, text, &Reading::default());
            assert!(hint.contains(expected), "{text}: {hint}");
        }
        for (text, expected) in [
            ("03/04/2026", "day-first or month-first"),
            ("25.12.2026", "the day stands first: set date_formats = [\"%d.%m.%Y\"]"),
            ("12/25/26", "the month stands first: set date_formats = [\"%m/%d/%y\"]"),
            ("tomorrow", "write YYYY-MM-DD"),
        ] {
            let hint = hint(&field(FieldKind::Date), text, &Reading::default());
            assert!(hint.contains(expected), "{text}: {hint}");
        }
    }

    #[test]
    fn years_have_four_digits_whatever_a_pattern_reads() {
        let reading = |pattern: &str| Reading { date_formats: vec![pattern.into()], ..Reading::default() };
        let field = |kind| Field { name: "F".into(), kind, ..Field::default() };
        for (kind, text, pattern) in [
            (FieldKind::DateTime, "399999999999", "%s"),
            (FieldKind::Date, "+14645-06-30", "%Y-%m-%d"),
            (FieldKind::DateTime, "0000-01-01T00:00:00+14:00", "%F"),
        ] {
            let wrong = parse(&field(kind), text, &reading(pattern)).unwrap_err();
            assert!(wrong.rule == Rule::Range && wrong.message.contains("none of 1 to 9999"), "{text}: {wrong:?}");
        }
        assert_eq!(parse(&field(FieldKind::DateTime), "1795521600", &reading("%s")).unwrap().text(), "2026-11-24T12:00:00Z");
    }

    #[test]
    fn thousands_and_the_days_of_excel_are_read_where_the_mapping_says_so() {
        let reading = Reading {
            numbers: Numbers { decimal_separator: ',', thousands_separator: Some('.') },
            date_formats: vec![EXCEL_DAYS.into()],
            ..Reading::default()
        };
        let at = |kind, text| parse(&field(kind), text, &reading).map(|stored| stored.text()).map_err(|wrong| wrong.rule);
        let decimal = || FieldKind::Decimal { precision: 18, scale: 2 };
        assert_eq!(at(decimal(), "1.234.567,5"), Ok("1234567.50".into()));
        assert_eq!(at(decimal(), "-1.234"), Ok("-1234.00".into()));
        assert_eq!(at(FieldKind::Integer, "12.345"), Ok("12345".into()));
        for wrong in ["1.23", "1234.567", ".123", "1,234.5", "1..234"] {
            assert_eq!(at(decimal(), wrong), Err(Rule::Type), "{wrong}");
        }
        assert_eq!(at(FieldKind::Date, "39640"), Ok("2008-07-11".into()));
        assert_eq!(at(FieldKind::DateTime, "39640.5"), Ok("2008-07-11T12:00:00Z".into()));
        assert_eq!(at(FieldKind::Date, "2008-07-11"), Ok("2008-07-11".into()));
        assert_eq!(at(FieldKind::Date, "0"), Err(Rule::Type));
    }

    proptest! {
        #[test]
        fn a_decimal_keeps_every_digit(units in -999_999_999_999_999_999i128..=999_999_999_999_999_999, scale in 0u8..18) {
            let value = Decimal { units, scale };
            let text = decimal_text(value);
            prop_assert_eq!(read(FieldKind::Decimal { precision: 38, scale }, &text), Ok(text.clone()));
            prop_assert_eq!(parse_decimal(&text), Some(value));
        }

        #[test]
        fn hostile_text_never_panics(text in "[-0-9.,:TZ+ a-z{}]{0,40}|\\PC{0,40}") {
            for kind in [FieldKind::Integer, FieldKind::Decimal { precision: 18, scale: 6 }, FieldKind::Date, FieldKind::DateTime, FieldKind::Boolean, FieldKind::Guid, FieldKind::String { length: Some(5) }] {
                let _ = read(kind, &text);
            }
        }
    }
}
