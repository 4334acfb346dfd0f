//! `trim = true`: no white space around the value. (A string's blanks are kept without this.)

/// The value without white space around it; `None` when there is none.
pub fn apply(text: &str) -> Option<String> {
    let trimmed = text.trim();
    (trimmed.len() < text.len()).then(|| trimmed.to_owned())
}
