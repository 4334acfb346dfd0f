//! What is wrong with a recurrence, and what to write instead. Text of the user that is quoted here is cut and escaped.

use std::fmt;

/// The most characters of the user's text that a message repeats.
const QUOTED_CHARS_MAX: usize = 40;

/// Why a recurrence was refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// What is wrong, and in which field: lower case, no full stop.
    pub message: String,
    /// What to write instead.
    pub hint: String,
}

impl Problem {
    pub(super) fn new(message: impl Into<String>, hint: impl Into<String>) -> Self {
        Problem { message: message.into(), hint: hint.into() }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Problem {}

/// The user's text in quotes: control characters escaped, and cut when it is long.
pub(super) fn quoted(text: &str) -> String {
    let mut cut: String = text.chars().take(QUOTED_CHARS_MAX).collect();
    if cut.len() < text.len() {
        cut.push('…');
    }
    format!("{cut:?}")
}
