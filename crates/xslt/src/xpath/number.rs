//! Numbers to text and back (XPath 1.0, sections 4.2 and 4.4), as .NET writes them: the shortest digits that read back the same,
//! never an exponent.

use crate::name::trim;

/// The number that a text is: white space, an optional minus, digits with at most one point. All else is not a number.
pub(crate) fn parse(text: &str) -> f64 {
    let text = trim(text);
    let digits = text.strip_prefix('-').unwrap_or(text);
    let bytes = digits.as_bytes();
    // The common case of a short whole number needs no general reader.
    if !bytes.is_empty() && bytes.len() <= 15 && bytes.iter().all(u8::is_ascii_digit) {
        let value = bytes.iter().fold(0u64, |value, digit| value * 10 + u64::from(digit - b'0')) as f64;
        return if digits.len() < text.len() { -value } else { value };
    }
    let mut points = 0;
    let mut any = false;
    for byte in bytes {
        match byte {
            b'0'..=b'9' => any = true,
            b'.' if points == 0 => points = 1,
            _ => return f64::NAN,
        }
    }
    if !any {
        return f64::NAN;
    }
    text.parse().unwrap_or(f64::NAN)
}

/// A number as text.
pub(crate) fn write(value: f64) -> String {
    let mut text = String::new();
    write_into(value, &mut text);
    text
}

pub(crate) fn write_into(value: f64, into: &mut String) {
    use std::fmt::Write;
    if value.is_nan() {
        into.push_str("NaN");
    } else if value.is_infinite() {
        into.push_str(if value > 0.0 { "Infinity" } else { "-Infinity" });
    } else if value == 0.0 {
        // Negative zero too.
        into.push('0');
    } else if value.fract() == 0.0 && value.abs() < 9e15 {
        let _ = write!(into, "{}", value as i64);
    } else {
        let text = format!("{value:e}");
        // Up to 15 digits there is no choice.
        if text.len() < 16 {
            let _ = write!(into, "{value}");
        } else {
            write_long(value, &text, into);
        }
    }
}

/// Of several texts of the shortest length that read back the same, .NET takes the middle one, of two middle ones the lower: 3 * 1.1 is
/// 3.3000000000000002, although 3.3000000000000003 is nearer.
fn write_long(value: f64, shortest: &str, into: &mut String) {
    let (mantissa, exponent) = shortest.split_once('e').unwrap_or((shortest, "0"));
    let digits: String = mantissa.chars().filter(char::is_ascii_digit).collect();
    let exponent: i32 = exponent.parse().unwrap_or(0);
    let scale = exponent - (digits.len() as i32 - 1);
    let nearest: u64 = digits.parse().unwrap_or(0);
    let reads_back = |candidate: u64| format!("{candidate}e{scale}").parse() == Ok(value.abs());
    let (mut lowest, mut highest) = (nearest, nearest);
    while reads_back(lowest - 1) {
        lowest -= 1;
    }
    while reads_back(highest + 1) {
        highest += 1;
    }
    let digits = (lowest + (highest - lowest) / 2).to_string();
    let exponent = scale + digits.len() as i32 - 1;
    if value < 0.0 {
        into.push('-');
    }
    let point = exponent + 1;
    if point <= 0 {
        into.push_str("0.");
        into.extend(std::iter::repeat_n('0', point.unsigned_abs() as usize));
        into.push_str(digits.trim_end_matches('0'));
    } else if digits.len() <= point as usize {
        into.push_str(&digits);
        into.extend(std::iter::repeat_n('0', point as usize - digits.len()));
    } else {
        let (whole, fraction) = digits.split_at(point as usize);
        into.push_str(whole);
        let fraction = fraction.trim_end_matches('0');
        if !fraction.is_empty() {
            into.push('.');
            into.push_str(fraction);
        }
    }
}

/// The nearest integer, of two equally near the greater (XPath 1.0, section 4.4).
pub(crate) fn round(value: f64) -> f64 {
    if !value.is_finite() || value.fract() == 0.0 {
        return value;
    }
    if (-0.5..0.0).contains(&value) {
        return -0.0;
    }
    let floor = value.floor();
    if value - floor >= 0.5 { floor + 1.0 } else { floor }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_written_as_dotnet_writes_them() {
        for (value, text) in [
            (1_500_000_000.10 + 1_500_000_000.20, "3000000000.3"),
            (1_234_567_890.0 + 0.25, "1234567890.25"),
            (2_147_483_648.0, "2147483648"),
            (1.0 / 3.0, "0.3333333333333333"),
            (0.1 + 0.2, "0.30000000000000004"),
            (-0.0, "0"),
            (1e21, "1000000000000000000000"),
            (1e-7, "0.0000001"),
            (f64::NAN, "NaN"),
            (f64::NEG_INFINITY, "-Infinity"),
            (-12.5, "-12.5"),
            (3.0 * 1.1, "3.3000000000000002"),
            (1.1 * 1.1, "1.2100000000000001"),
            (-1.15 * 100.0, "-114.99999999999998"),
            (1.0 / 7.0, "0.14285714285714285"),
            (1.005 * 1000.0, "1004.9999999999999"),
            (0.00012345678901234567, "0.00012345678901234567"),
            (123_456_789_012_345_678.0, "123456789012345680"),
            (9_007_199_254_740_993.0, "9007199254740992"),
        ] {
            assert_eq!(write(value), text);
        }
    }

    #[test]
    fn only_the_grammar_of_numbers_is_a_number() {
        for (text, value) in [
            (" 12 ", 12.0),
            ("-.5", -0.5),
            ("5.", 5.0),
            ("\n-3\t", -3.0),
            ("007", 7.0),
            ("12345678901234567890", 12_345_678_901_234_567_890.0),
        ] {
            assert_eq!(parse(text), value, "{text}");
        }
        for text in ["", " ", "+1", "1e3", "- 1", "--1", "1.2.3", ".", "-", "0x1", "1,000", "Infinity", "NaN", "1 2"] {
            assert!(parse(text).is_nan(), "{text}");
        }
    }

    #[test]
    fn halves_are_rounded_up() {
        for (value, rounded) in [
            (2.5, 3.0),
            (-2.5, -2.0),
            (-2.6, -3.0),
            (0.49999999999999994, 0.0),
            (-0.2, 0.0),
            (4_503_599_627_370_497.5, 4_503_599_627_370_498.0),
        ] {
            assert_eq!(round(value), rounded, "{value}");
        }
        assert!(round(-0.2).is_sign_negative());
        assert!(round(f64::NAN).is_nan());
    }
}
