//! Conversions of a mapping: text of the document to text that the field's type reads. One file each, named as the user writes it.
//!
//! They run in this order, whatever the order of the keys: trim, split, upper and lower, values, pad. Looking up and numbering need the database
//! and are done when the row is loaded; what they do with texts stands here too.

use std::borrow::Cow;

use super::value::Wrong;
use crate::model::mapping::Conversion;

pub mod check;
pub mod concatenate;
pub mod lower;
pub mod number_sequence;
pub mod pad;
pub mod split;
pub mod trim;
pub mod upper;
pub mod values;
pub mod when;

/// A conversion made ready for many values.
#[derive(Clone, Debug)]
pub enum Ready {
    /// `trim = true`
    Trim,
    /// `upper = true`
    Upper,
    /// `lower = true`
    Lower,
    /// `split = { at = "-", part = 1 }`
    Split(split::Split),
    /// `values = { … }`
    Values(values::Values),
    /// `pad = { length = 10, with = "0" }`
    Pad(pad::Pad),
}

/// Makes conversions ready.
pub fn ready(conversions: &[Conversion]) -> Vec<Ready> {
    conversions
        .iter()
        .map(|conversion| match conversion {
            Conversion::Trim => Ready::Trim,
            Conversion::Upper => Ready::Upper,
            Conversion::Lower => Ready::Lower,
            Conversion::Split { at, part } => Ready::Split(split::Split { at: at.clone(), part: *part }),
            Conversion::Values(pairs) => Ready::Values(values::Values::new(pairs)),
            Conversion::Pad { length, with, right } => Ready::Pad(pad::Pad { length: *length, with: *with, right: *right }),
        })
        .collect()
}

/// What has put another value in the place of one: that is no text of the document.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Replaced {
    /// Nothing.
    No,
    /// The `*` of `values`, whatever it was.
    ByOther,
    /// A pair of `values` that names it.
    ByOwn,
}

/// Converts a value.
pub fn convert<'a>(conversions: &[Ready], text: &'a str) -> Result<(Cow<'a, str>, Replaced), Wrong> {
    let (mut text, mut replaced) = (Cow::Borrowed(text), Replaced::No);
    for conversion in conversions {
        let converted = match conversion {
            Ready::Trim => trim::apply(&text),
            Ready::Upper => upper::apply(&text),
            Ready::Lower => lower::apply(&text),
            Ready::Split(split) => split.apply(&text),
            Ready::Values(values) => values.apply(&text)?.map(|(value, own)| {
                replaced = if own { Replaced::ByOwn } else { Replaced::ByOther };
                value
            }),
            Ready::Pad(pad) => pad.apply(&text),
        };
        if let Some(converted) = converted {
            text = Cow::Owned(converted);
        }
    }
    Ok((text, replaced))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn conversions_run_one_after_the_other() {
        let all = ready(&[
            Conversion::Trim,
            Conversion::Split { at: "-".into(), part: 2 },
            Conversion::Upper,
            Conversion::Values(vec![("AB".into(), "7".into()), ("*".into(), "0".into())]),
            Conversion::Pad { length: 3, with: '0', right: false },
        ]);
        let done = |text| convert(&all, text).map(|(text, replaced)| (text.into_owned(), replaced)).unwrap();
        assert_eq!(done("  x-ab "), ("007".into(), Replaced::ByOwn));
        assert_eq!(done("x-other"), ("000".into(), Replaced::ByOther));
        assert_eq!(done("x"), (String::new(), Replaced::No), "nothing is left of it: blank stays blank");
    }

    proptest! {
        #[test]
        fn no_text_makes_a_conversion_panic(text in "\\PC{0,20}", at in "\\PC{1,3}", part in -4i32..4, length in 0usize..20, with in any::<char>()) {
            let all = [
                Conversion::Trim, Conversion::Split { at, part }, Conversion::Lower, Conversion::Upper,
                Conversion::Values(vec![("a".into(), "b".into())]), Conversion::Pad { length, with, right: true },
            ];
            let _ = convert(&ready(&all), &text);
        }
    }
}
