//! Numbers: exact, whatever separates their digits. Digits are moved, never turned into floating point.

use super::{Reading, Wrong, wrong};
use crate::model::entity::Decimal;
use crate::model::finding::Rule;
use crate::model::format::Numbers;

/// What stands between groups of digits where a blank does: a blank, or one that breaks no line, wide or narrow.
const BLANKS: [char; 3] = [' ', '\u{a0}', '\u{202f}'];
/// Zeros that an exponent may stand for: a field has 38 digits.
const ZEROS_MAX: i32 = 60;

/// A number without what only its spelling adds: thousands separators in a text of the document, an exponent in a plain value. As it is when that
/// is not right: then it is wrong.
pub(super) fn simple<'a>(text: &'a str, reading: &Reading, simple: &'a mut String) -> &'a str {
    match reading.plain {
        true => unfolded(text, simple),
        false => match minus_elsewhere(text) {
            None => ungrouped(text, reading.numbers, simple),
            Some(digits) => {
                let mut digits_alone = String::new();
                simple.push('-');
                simple.push_str(ungrouped(digits, reading.numbers, &mut digits_alone));
                simple
            }
        },
    }
}

/// The digits of a number with its minus behind, as SAP and AS/400 write it and spreadsheets take it, or with the long one of typesetters.
pub fn minus_elsewhere(text: &str) -> Option<&str> {
    let behind = || text.strip_suffix('-').filter(|digits| digits.ends_with(|c: char| c.is_ascii_digit()));
    let digits = behind().or_else(|| text.strip_prefix('\u{2212}'))?;
    digits.starts_with(|c: char| c.is_ascii_digit()).then_some(digits)
}

/// Without an exponent.
fn unfolded<'a>(text: &'a str, simple: &'a mut String) -> &'a str {
    let Some((mantissa, exponent)) = text.split_once(['e', 'E']) else { return text };
    let Some(exponent) = exponent.parse::<i32>().ok().filter(|exponent| exponent.abs() <= ZEROS_MAX) else { return text };
    let (sign, digits) = mantissa.split_at(usize::from(mantissa.starts_with(['+', '-'])));
    let (whole, part) = digits.split_once('.').unwrap_or((digits, ""));
    let digits = [whole, part].concat();
    if digits.is_empty() || !digits.bytes().all(|digit| digit.is_ascii_digit()) {
        return text;
    }
    let zeros = |count| std::iter::repeat_n('0', count);
    let point = i32::try_from(whole.len()).unwrap_or(i32::MAX).saturating_add(exponent);
    simple.push_str(sign);
    match usize::try_from(point) {
        Ok(point) if point < digits.len() => simple.extend([&digits[..point], ".", &digits[point..]]),
        Ok(point) => {
            simple.push_str(&digits);
            simple.extend(zeros(point - digits.len()));
        }
        Err(_) => {
            simple.push('.');
            simple.extend(zeros(point.unsigned_abs() as usize));
            simple.push_str(&digits);
        }
    }
    simple
}

/// Without thousands separators. Groups have three digits, and the first has one to three and begins with none of 0.
fn ungrouped<'a>(text: &'a str, numbers: Numbers, simple: &'a mut String) -> &'a str {
    let Some(separator) = numbers.thousands_separator else { return text };
    let parts = |c: char| c == separator || (BLANKS.contains(&separator) && BLANKS.contains(&c));
    if !text.contains(parts) {
        return text;
    }
    let whole = text.split(numbers.decimal_separator).next().unwrap_or_default();
    let mut groups = whole.trim_start_matches(['+', '-']).split(parts);
    let first = groups.next().is_some_and(|first| (1..=3).contains(&first.len()) && !first.starts_with('0'));
    if !first || !groups.all(|group| group.len() == 3) || text[whole.len()..].contains(parts) {
        return text;
    }
    simple.extend(text.chars().filter(|c| !parts(*c)));
    simple
}

/// A whole number; a plain value may have zeros behind a point.
pub(super) fn integer(text: &str, plain: bool) -> Result<i64, Wrong> {
    let text = match text.split_once('.') {
        Some((whole, part)) if plain && part.bytes().all(|digit| digit == b'0') => whole,
        _ => text,
    };
    let digits = text.strip_prefix(['+', '-']).unwrap_or(text);
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(wrong(Rule::Type, "expected a whole number", "write digits only, without separators"));
    }
    text.parse().map_err(|_| wrong(Rule::Range, "too large for a whole number of 64 bits", "use a decimal field"))
}

/// A decimal number taken apart: no digit is looked at twice, none is lost.
pub(super) struct Digits<'a> {
    negative: bool,
    /// Without leading zeros.
    whole: &'a str,
    /// Those that fit the scale.
    part: &'a str,
    scale: u8,
}

impl Digits<'_> {
    pub(super) fn value(&self) -> Decimal {
        let mut units: i128 = 0;
        for digit in self.whole.bytes().chain(self.part.bytes()) {
            units = units * 10 + i128::from(digit - b'0');
        }
        for _ in self.part.len()..usize::from(self.scale) {
            units *= 10;
        }
        Decimal { units: if self.negative { -units } else { units }, scale: self.scale }
    }

    /// As [`decimal_text`] writes its value.
    pub(super) fn write(&self, out: &mut String) {
        if self.negative && self.whole.bytes().chain(self.part.bytes()).any(|digit| digit != b'0') {
            out.push('-');
        }
        if self.whole.is_empty() {
            out.push('0');
        }
        out.push_str(self.whole);
        if self.scale > 0 {
            out.push('.');
            out.push_str(self.part);
            out.extend(std::iter::repeat_n('0', usize::from(self.scale) - self.part.len()));
        }
    }
}

/// Sign, digits before and digits after the separator, when that is all there is.
fn taken_apart(text: &str, separator: char) -> Option<(bool, &str, &str)> {
    let (negative, digits) = match text.as_bytes().first() {
        Some(b'-') => (true, &text[1..]),
        Some(b'+') => (false, &text[1..]),
        _ => (false, text),
    };
    let (whole, part) = digits.split_once(separator).unwrap_or((digits, ""));
    let digits = !(whole.is_empty() && part.is_empty()) && whole.bytes().chain(part.bytes()).all(|digit| digit.is_ascii_digit());
    digits.then_some((negative, whole, part))
}

/// What to do about a number that is written otherwise than said.
pub(super) fn other_separators(text: &str, reading: &Reading) -> String {
    if reading.plain {
        return "write its digits, and \".\" before the decimals".into();
    }
    let (stated, place) = (reading.numbers, if reading.own_numbers { "the mapping" } else { "the format" });
    let mut found: Vec<String> = Vec::new();
    for decimal_separator in ['.', ','] {
        for thousands_separator in [None, Some(','), Some('.'), Some(' '), Some('\''), Some('_')] {
            let grouped = |one: char| text.contains(one) || (one == ' ' && text.contains(BLANKS));
            let changes = decimal_separator != stated.decimal_separator;
            let needless = changes && !text.contains(decimal_separator) && thousands_separator != Some(stated.decimal_separator);
            if needless || thousands_separator.is_some_and(|one| one == decimal_separator || !grouped(one)) {
                continue;
            }
            let (other, mut simple) = (Numbers { decimal_separator, thousands_separator }, String::new());
            if taken_apart(ungrouped(text, other, &mut simple), decimal_separator).is_none() {
                continue;
            }
            let mut keys = Vec::new();
            if changes {
                keys.push(format!("decimal_separator = \"{decimal_separator}\""));
            }
            match thousands_separator {
                Some(separator) if thousands_separator != stated.thousands_separator => {
                    keys.push(format!("thousands_separator = \"{separator}\""));
                }
                None if stated.thousands_separator == Some(decimal_separator) => keys.push("no thousands_separator".into()),
                _ => {}
            }
            found.push(keys.join(" and "));
        }
    }
    match found.as_slice() {
        [] if stated.thousands_separator.is_some_and(|one| text.contains(one)) => {
            "correct the number: groups have three digits, and the first begins with none of 0".into()
        }
        [] if text.starts_with('(') => "write a minus in place of parentheses, as in -5.00".into(),
        [] => format!("remove grouping and signs of currency, or set decimal_separator in {place}"),
        [one] => format!("set {one} in {place}"),
        more => format!("set {}, as the sender means it, in {place}", more.join(" or ")),
    }
}

pub(super) fn decimal_digits<'a>(text: &'a str, precision: u8, scale: u8, reading: &Reading) -> Result<Digits<'a>, Wrong> {
    let separator = reading.numbers.decimal_separator;
    let Some((negative, whole, part)) = taken_apart(text, separator) else {
        let message = format!("expected a decimal number with \"{separator}\"");
        return Err(wrong(Rule::Type, message, other_separators(text, reading)));
    };
    let kept = part.len().min(usize::from(scale));
    if part[kept..].bytes().any(|digit| digit != b'0') {
        return Err(wrong(
            Rule::Range,
            format!("{} digits after the point, at most {scale} fit", part.len()),
            "round it, or give the field a greater scale",
        ));
    }
    let whole = whole.trim_start_matches('0');
    if whole.len() + usize::from(scale) > usize::from(precision) {
        let most = precision - scale;
        return Err(wrong(
            Rule::Range,
            format!("{} digits before the point, at most {most} fit", whole.len()),
            "give the field a greater precision",
        ));
    }
    Ok(Digits { negative, whole, part: &part[..kept], scale })
}

/// A decimal with exactly its scale of digits after the point, as tables keep it.
pub fn decimal_text(value: Decimal) -> String {
    let digits = value.units.unsigned_abs().to_string();
    let scale = usize::from(value.scale);
    let sign = if value.units < 0 { "-" } else { "" };
    if scale == 0 {
        return format!("{sign}{digits}");
    }
    let digits = format!("{digits:0>width$}", width = scale + 1);
    let (whole, part) = digits.split_at(digits.len() - scale);
    format!("{sign}{whole}.{part}")
}

/// A floating-point number as decimal text without exponent: whole numbers with all their digits, others rounded to 15, of which every decimal
/// number of so many digits comes back as it was written.
pub fn real_text(real: f64) -> String {
    if real.fract() == 0.0 {
        return format!("{real}");
    }
    let rounded: f64 = format!("{real:.14e}").parse().unwrap_or(real);
    format!("{rounded}")
}

/// Reads a plain decimal, for bounds and filters: any scale up to 28.
pub fn parse_decimal(text: &str) -> Option<Decimal> {
    let part = text.split_once('.').map_or(0, |(_, part)| part.len());
    let scale = u8::try_from(part).ok().filter(|scale| *scale <= 28)?;
    let (negative, whole, part) = taken_apart(text, '.')?;
    let whole = whole.trim_start_matches('0');
    (whole.len() + usize::from(scale) <= 38).then(|| Digits { negative, whole, part, scale }.value())
}

/// Compares two decimals exactly.
pub fn compare(one: Decimal, other: Decimal) -> std::cmp::Ordering {
    let scale = one.scale.max(other.scale);
    let lift = |value: Decimal| 10i128.checked_pow(u32::from(scale - value.scale)).and_then(|factor| value.units.checked_mul(factor));
    match (lift(one), lift(other)) {
        (Some(one), Some(other)) => one.cmp(&other),
        // Beyond 38 digits only the size of the whole part is left to tell.
        _ => (one.units / 10i128.pow(u32::from(one.scale.min(38)))).cmp(&(other.units / 10i128.pow(u32::from(other.scale.min(38))))),
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{field, refused};
    use super::super::{Reading, parse};
    use super::*;
    use crate::model::entity::FieldKind;

    fn decimal() -> FieldKind {
        FieldKind::Decimal { precision: 18, scale: 3 }
    }

    fn texts(decimal_separator: char, thousands_separator: char) -> Reading {
        Reading { numbers: Numbers { decimal_separator, thousands_separator: Some(thousands_separator) }, ..Reading::default() }
    }

    #[test]
    fn a_grouped_number_has_groups_of_three_and_begins_with_none_of_zero() {
        let reading = texts(',', '.');
        let read = |text: &str| parse(&field(decimal()), text, &reading).map(|stored| stored.text()).ok();
        assert_eq!(read("-1.234.567,5").as_deref(), Some("-1234567.500"));
        for text in ["0.125", "-0.125", "+012.345", "1.23", "1234.567", "1.2345", "12.34.567,00"] {
            assert_eq!(read(text), None, "{text}");
        }
    }

    #[test]
    fn a_minus_may_stand_behind_the_number_or_be_the_long_one() {
        let read = |text: &str, reading: &Reading| parse(&field(decimal()), text, reading).map(|stored| stored.text()).ok();
        for (text, value) in [("5.00-", "-5.000"), ("\u{2212}5", "-5.000"), ("0-", "0.000"), (".5", "0.500")] {
            assert_eq!(read(text, &Reading::default()).as_deref(), Some(value), "{text}");
        }
        assert_eq!(read("1.234,50-", &texts(',', '.')).as_deref(), Some("-1234.500"));
        assert_eq!(parse(&field(FieldKind::Integer), "12-", &Reading::default()).unwrap().text(), "-12");
        for text in ["-5-", "+5-", "5--", "-", "5-6", "5 -", "\u{2212}-5", "\u{2212}5-", "(5)"] {
            assert_eq!(read(text, &Reading::default()), None, "{text}");
        }
        assert_eq!(
            read("5-", &Reading { plain: true, ..Reading::default() }),
            None,
            "what JSON and workbooks keep as numbers has its minus before"
        );
        assert!(refused(decimal(), "(5.00)", &Reading::default()).contains("in place of parentheses"));
    }

    #[test]
    fn a_plain_number_is_no_text_of_the_document() {
        let plain = Reading { plain: true, ..Reading::default() };
        let read = |kind, text: &str| parse(&field(kind), text, &plain).map(|stored| stored.text()).map_err(|wrong| wrong.rule);
        for (text, expected) in [
            ("12.345", "12.345"),
            ("-0.125", "-0.125"),
            ("1.0E3", "1000.000"),
            ("1e-3", "0.001"),
            ("-12.5e-1", "-1.250"),
            ("12345e-2", "123.450"),
            ("0.5e1", "5.000"),
            ("0E+0", "0.000"),
        ] {
            assert_eq!(read(decimal(), text).as_deref(), Ok(expected), "{text}");
        }
        for (text, rule) in [
            ("1e-4", Rule::Range),
            ("1e15", Rule::Range),
            ("1e999999999999", Rule::Type),
            ("1,5", Rule::Type),
            ("e3", Rule::Type),
            ("1e", Rule::Type),
        ] {
            assert_eq!(read(decimal(), text), Err(rule), "{text}");
        }
        for (text, expected) in [
            ("1.0", Ok("1")),
            ("-5.00", Ok("-5")),
            ("1e3", Ok("1000")),
            ("1.5", Err(Rule::Type)),
            ("15e-1", Err(Rule::Type)),
            (".0", Err(Rule::Type)),
        ] {
            assert_eq!(read(FieldKind::Integer, text), expected.map(str::to_owned), "{text}");
        }
    }

    #[test]
    fn any_blank_parts_groups_where_a_blank_does() {
        for separator in [' ', '\u{a0}', '\u{202f}'] {
            for text in ["1 234,5", "1\u{a0}234,5", "1\u{202f}234,5"] {
                assert_eq!(parse(&field(decimal()), text, &texts(',', separator)).unwrap().text(), "1234.500", "{text:?}");
            }
        }
    }

    #[test]
    fn what_a_hint_says_about_separators_reads_the_number() {
        let stated = [Reading::default(), texts(',', '.'), texts('.', ',')];
        let set = |reading: &Reading, hint: &str| {
            let quoted = |key: &str| hint.split_once(&format!("{key} = \"")).and_then(|(_, rest)| rest.chars().next());
            let numbers = Numbers {
                decimal_separator: quoted("decimal_separator").unwrap_or(reading.numbers.decimal_separator),
                thousands_separator: quoted("thousands_separator")
                    .or(reading.numbers.thousands_separator.filter(|_| !hint.contains("no thousands_separator"))),
            };
            Reading { numbers, ..reading.clone() }
        };
        for text in ["1,5", "1.000,50", "1,000.50", "1 234,56", "1 234.56", "1\u{a0}234,56", "1'234.50", "1.234.567", "1.5", "-3 000"] {
            for reading in stated.iter().filter(|reading| parse(&field(decimal()), text, reading).is_err()) {
                let hint = refused(decimal(), text, reading);
                assert!(hint.starts_with("set "), "{text}: {hint}");
                let mended = set(reading, &hint);
                assert!(parse(&field(decimal()), text, &mended).is_ok(), "{text}: {hint}");
            }
        }
        assert!(refused(decimal(), "12.34.567,00", &texts(',', '.')).contains("groups have three digits"));
        assert!(refused(decimal(), "EUR 5", &Reading::default()).contains("signs of currency"));
        let either = refused(decimal(), "1,000", &Reading::default());
        assert!(
            either.contains("decimal_separator = \",\"") && either.contains("or") && either.contains("thousands_separator = \",\""),
            "{either}"
        );
    }
}
