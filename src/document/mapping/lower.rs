//! `lower = true`: in lower case, in every script.

/// The value in lower case; `None` when it is so already.
pub fn apply(text: &str) -> Option<String> {
    if text.bytes().all(|byte| byte.is_ascii() && !byte.is_ascii_uppercase()) {
        return None;
    }
    Some(text.to_lowercase())
}
