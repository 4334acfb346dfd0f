//! `when = "blank"` and `when = { source = "Type", equals = "A" }`: a line of a mapping that is for some records only.

use crate::model::mapping::Test;

/// Whether a condition holds for the value of its source.
pub fn holds(test: &Test, value: &str) -> bool {
    let is = |texts: &[String]| texts.iter().any(|text| text == value.trim());
    match test {
        Test::Equals(texts) => is(texts),
        Test::Not(texts) => !is(texts),
        Test::Blank(blank) => value.trim().is_empty() == *blank,
    }
}
