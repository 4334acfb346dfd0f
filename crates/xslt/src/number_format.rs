//! `format-number` (XSLT 1.0, section 12.3): the picture as the JDK 1.1 reads it, digits and rounding as .NET makes them.
//!
//! .NET takes a double as its 15 significant decimal digits before it rounds half away from zero, so 1234567.005 becomes 1,234,567.01
//! although the double itself lies a little below.

use crate::error::{Error, Result};

/// The characters of an xsl:decimal-format.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Symbols {
    pub(crate) decimal_separator: char,
    pub(crate) grouping_separator: char,
    pub(crate) infinity: String,
    pub(crate) minus_sign: char,
    pub(crate) not_a_number: String,
    pub(crate) percent: char,
    pub(crate) per_mille: char,
    pub(crate) zero_digit: char,
    pub(crate) digit: char,
    pub(crate) pattern_separator: char,
}

impl Default for Symbols {
    fn default() -> Symbols {
        Symbols {
            decimal_separator: '.',
            grouping_separator: ',',
            infinity: "Infinity".to_owned(),
            minus_sign: '-',
            not_a_number: "NaN".to_owned(),
            percent: '%',
            per_mille: '\u{2030}',
            zero_digit: '0',
            digit: '#',
            pattern_separator: ';',
        }
    }
}

/// One half of a picture.
#[derive(Debug, Default, PartialEq)]
struct Picture {
    prefix: String,
    suffix: String,
    integer_least: usize,
    fraction_least: usize,
    fraction_most: usize,
    /// Digits between separators; 0 for none.
    group: usize,
    factor: u32,
}

/// Significant digits that .NET takes from a double.
const SIGNIFICANT: usize = 15;

/// A number in a picture's form.
pub(crate) fn format(value: f64, picture: &str, symbols: &Symbols) -> Result<String> {
    let (positive, negative) = read(picture, symbols)?;
    if value.is_nan() {
        return Ok(symbols.not_a_number.clone());
    }
    let mut digits = Digits::of(value.abs(), positive.factor);
    if value.is_finite() {
        digits.round(positive.fraction_most);
    }
    let is_negative = value < 0.0 && (value.is_infinite() || !digits.is_zero());
    let (prefix, suffix) = match (&negative, is_negative) {
        (Some(picture), true) => (picture.prefix.as_str(), picture.suffix.as_str()),
        _ => (positive.prefix.as_str(), positive.suffix.as_str()),
    };
    let mut result = String::new();
    if is_negative && negative.is_none() {
        result.push(symbols.minus_sign);
    }
    result.push_str(prefix);
    if value.is_infinite() {
        result.push_str(&symbols.infinity);
    } else {
        digits.write(&positive, symbols, &mut result);
    }
    result.push_str(suffix);
    Ok(result)
}

fn read(picture: &str, symbols: &Symbols) -> Result<(Picture, Option<Picture>)> {
    let mut halves = picture.split(symbols.pattern_separator);
    let positive = half(halves.next().unwrap_or_default(), picture, symbols)?;
    let negative = halves.next().map(|text| half(text, picture, symbols)).transpose()?;
    if halves.next().is_some() {
        return Err(wrong("a format has more than two halves", picture));
    }
    // A negative half that says nothing new means the minus sign, as the JDK has it.
    let negative = negative.filter(|negative| negative.prefix != positive.prefix || negative.suffix != positive.suffix);
    Ok((positive, negative))
}

fn wrong(message: &str, picture: &str) -> Error {
    Error::run(message).found(picture).expected("a format like \"#,##0.00\"")
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum At {
    Prefix,
    Integer,
    Fraction,
    Suffix,
}

fn half(text: &str, picture: &str, symbols: &Symbols) -> Result<Picture> {
    let mut result = Picture { factor: 1, ..Picture::default() };
    let mut at = At::Prefix;
    let mut grouped = None;
    let mut zero_seen = false;
    let mut optional_fraction = false;
    let mut any = false;
    for c in text.chars() {
        let is_digit = c == symbols.digit;
        let is_zero = c == symbols.zero_digit;
        let active = is_digit || is_zero || c == symbols.grouping_separator || c == symbols.decimal_separator;
        if active && at == At::Suffix {
            return Err(wrong("a format has digits after its suffix", picture));
        }
        if active && at == At::Prefix {
            at = At::Integer;
        }
        if !active {
            if at != At::Prefix {
                at = At::Suffix;
            }
            let factor = if c == symbols.percent {
                100
            } else if c == symbols.per_mille {
                1000
            } else {
                1
            };
            if factor > 1 && result.factor > 1 {
                return Err(wrong("a format has more than one percent or per-mille sign", picture));
            }
            result.factor = result.factor.max(factor);
            if c == '\u{A4}' {
                return Err(wrong("a format must not have a currency sign", picture));
            }
            let place = if at == At::Prefix { &mut result.prefix } else { &mut result.suffix };
            place.push(c);
            continue;
        }
        match at {
            At::Integer => {
                if c == symbols.decimal_separator {
                    at = At::Fraction;
                } else if c == symbols.grouping_separator {
                    grouped = Some(0);
                } else {
                    any = true;
                    grouped = grouped.map(|count| count + 1);
                    if is_zero {
                        zero_seen = true;
                        result.integer_least += 1;
                    } else if zero_seen {
                        return Err(wrong("a format has an optional digit after a required one", picture));
                    }
                }
            }
            At::Fraction => {
                if c == symbols.decimal_separator {
                    return Err(wrong("a format has two decimal separators", picture));
                }
                if c == symbols.grouping_separator {
                    return Err(wrong("a format has a grouping separator after the decimal separator", picture));
                }
                any = true;
                if is_zero {
                    if optional_fraction {
                        return Err(wrong("a format has a required digit after an optional one", picture));
                    }
                    result.fraction_least += 1;
                } else {
                    optional_fraction = true;
                }
                result.fraction_most += 1;
            }
            At::Prefix | At::Suffix => {}
        }
    }
    if !any {
        return Err(wrong("a format has no digits", picture));
    }
    if grouped == Some(0) && at != At::Prefix {
        return Err(wrong("a format ends its whole digits with a grouping separator", picture));
    }
    result.group = grouped.unwrap_or(0);
    Ok(result)
}

/// Decimal digits, the point after `point` of them.
struct Digits {
    digits: Vec<u8>,
    point: i32,
}

impl Digits {
    fn of(value: f64, factor: u32) -> Digits {
        if value == 0.0 || !value.is_finite() {
            return Digits { digits: Vec::new(), point: 0 };
        }
        let text = format!("{value:.*e}", SIGNIFICANT - 1);
        let (mantissa, exponent) = text.split_once('e').unwrap_or((&text, "0"));
        let mut digits: Vec<u8> = mantissa.bytes().filter(u8::is_ascii_digit).map(|digit| digit - b'0').collect();
        while digits.last() == Some(&0) {
            digits.pop();
        }
        // Percent and per-mille only move the point.
        let shift = match factor {
            100 => 2,
            1000 => 3,
            _ => 0,
        };
        Digits { digits, point: exponent.parse::<i32>().unwrap_or(0) + 1 + shift }
    }

    fn is_zero(&self) -> bool {
        self.digits.iter().all(|&digit| digit == 0)
    }

    /// Half away from zero, to so many digits after the point.
    fn round(&mut self, fraction: usize) {
        let keep = i64::from(self.point) + fraction as i64;
        if keep < 0 {
            self.digits.clear();
            return;
        }
        let keep = keep as usize;
        if keep >= self.digits.len() {
            return;
        }
        let up = self.digits[keep] >= 5;
        self.digits.truncate(keep);
        if !up {
            return;
        }
        for digit in self.digits.iter_mut().rev() {
            *digit += 1;
            if *digit < 10 {
                return;
            }
            *digit = 0;
        }
        self.digits.insert(0, 1);
        self.point += 1;
    }

    fn write(&self, picture: &Picture, symbols: &Symbols, into: &mut String) {
        let zero = symbols.zero_digit as u32;
        let digit = |value: u8| char::from_u32(zero + u32::from(value)).unwrap_or('0');
        let at = |position: i32| -> u8 { usize::try_from(position).ok().and_then(|index| self.digits.get(index).copied()).unwrap_or(0) };
        let whole = (self.point.max(0) as usize).max(picture.integer_least);
        for left in (0..whole).rev() {
            into.push(digit(at(self.point - 1 - left as i32)));
            if picture.group > 0 && left > 0 && left % picture.group == 0 {
                into.push(symbols.grouping_separator);
            }
        }
        let mut fraction: Vec<u8> = (0..picture.fraction_most).map(|index| at(self.point + index as i32)).collect();
        while fraction.len() > picture.fraction_least && fraction.last() == Some(&0) {
            fraction.pop();
        }
        if !fraction.is_empty() {
            into.push(symbols.decimal_separator);
            into.extend(fraction.into_iter().map(digit));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_take_the_form_of_their_picture() {
        for (value, picture, text) in [
            (1_234_567.005, "#,##0.00", "1,234,567.01"),
            (2392.14 * 36.58, "000,000.000000", "087,504.481200"),
            (12.3456, "#.##", "12.35"),
            (0.5, "0", "1"),
            (1.5, "0", "2"),
            (2.5, "0", "3"),
            (-1234.5, "#,##0.0;(#,##0.0)", "(1,234.5)"),
            (-3.0, "0;0", "-3"),
            (0.25, "#%", "25%"),
            (0.0125, "0.0\u{2030}", "12.5\u{2030}"),
            (0.0, "#.##", ""),
            (0.0, "0.##", "0"),
            (0.5, "#.00", ".50"),
            (1e15, "#,##0", "1,000,000,000,000,000"),
            (999.999, "0.00", "1000.00"),
            (-0.001, "0.00", "0.00"),
            (f64::NAN, "0", "NaN"),
            (f64::NEG_INFINITY, "0", "-Infinity"),
            (5.0, "$00.0 each", "$05.0 each"),
            (123_456_789.0, "#,####", "1,2345,6789"),
        ] {
            assert_eq!(format(value, picture, &Symbols::default()).expect("good"), text, "{value} in {picture}");
        }
    }

    #[test]
    fn symbols_can_be_others() {
        let european = Symbols { decimal_separator: ',', grouping_separator: '.', ..Symbols::default() };
        assert_eq!(format(-1234.5, "#.##0,00", &european).expect("good"), "-1.234,50");
        let devanagari = Symbols { zero_digit: '\u{966}', ..Symbols::default() };
        assert_eq!(format(10.0, "\u{966}", &devanagari).expect("good"), "\u{967}\u{966}");
    }

    #[test]
    fn pictures_that_make_no_sense_are_refused() {
        for picture in ["", "abc", "0#", "0.#0", "0.0.0", "0;0;0", "0.0,0", "0,", "0a0", "%0%"] {
            assert!(format(1.0, picture, &Symbols::default()).is_err(), "{picture}");
        }
    }
}
