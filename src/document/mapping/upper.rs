//! `upper = true`: in upper case, in every script.

/// The value in upper case; `None` when it is so already.
pub fn apply(text: &str) -> Option<String> {
    if text.bytes().all(|byte| byte.is_ascii() && !byte.is_ascii_lowercase()) {
        return None;
    }
    Some(text.to_uppercase())
}
