//! The XML declaration.

use super::fault;
use crate::error::Result;
use crate::name::is_space;

/// `version`, then perhaps `encoding`, then perhaps `standalone` (XML 1.0, production 23).
pub(super) fn check_declaration(text: &str) -> Result<()> {
    let mut rest = text;
    let mut seen = Vec::new();
    loop {
        let trimmed = rest.trim_start_matches(is_space);
        if trimmed.is_empty() {
            break;
        }
        let wrong = || fault("the XML declaration is not well-formed").found(text).expected("version=\"1.0\" encoding=\"…\"");
        if trimmed.len() == rest.len() {
            return Err(wrong());
        }
        let (name, after) = trimmed.split_once('=').ok_or_else(wrong)?;
        let after = after.trim_start_matches(is_space);
        let quote = after.chars().next().filter(|c| matches!(c, '"' | '\'')).ok_or_else(wrong)?;
        let (value, after) = after[1..].split_once(quote).ok_or_else(wrong)?;
        let name = name.trim_end_matches(is_space);
        let good = match name {
            "version" => seen.is_empty() && value.starts_with("1."),
            "encoding" => seen == ["version"] && value.starts_with(|c: char| c.is_ascii_alphabetic()),
            "standalone" => !seen.is_empty() && seen.last() != Some(&"standalone") && matches!(value, "yes" | "no"),
            _ => false,
        };
        if !good {
            return Err(wrong());
        }
        seen.push(name);
        rest = after;
    }
    if seen.is_empty() { Err(fault("the XML declaration has no version")) } else { Ok(()) }
}
