//! What a document of delimited text may be instead of what its format says: the trap is named, not only that something lacks.

use crate::model::format::Format;

/// What a header may be instead.
pub(super) fn of_header(format: &Format, names: &[String]) -> Option<String> {
    let Format::Csv(csv) = format else { return None };
    if let [one] = names
        && let Some(hint) = other_delimiter(one, &csv.delimiter)
    {
        return Some(hint);
    }
    // A year may well be the name of a column.
    let year = |name: &str| name.len() == 4 && matches!(name.parse(), Ok(1900..=2100_u16));
    let value = |name: &&str| !year(name) && (name.parse::<f64>().is_ok() || name.starts_with("20") || name.contains('@'));
    let said: Vec<&str> = names.iter().map(|name| name.trim()).filter(|name| !name.is_empty()).collect();
    let values = said.iter().filter(|name| value(name)).count();
    (said.len() > 1 && values * 2 >= said.len()).then(|| {
        "the first record looks like values, not like names: add the header, or set header = false and map columns by number (with skip_first = 1 where it is a header all the same)".into()
    })
}

/// The delimiter that a record of one field seems to have.
pub(super) fn other_delimiter(text: &str, stated: &str) -> Option<String> {
    let count = |delimiter: &&str| text.matches(*delimiter).count();
    let candidates = [";", ",", "\t", "|", ":"];
    let best = candidates.into_iter().filter(|delimiter| *delimiter != stated && count(delimiter) > 0).max_by_key(count)?;
    Some(format!("the document seems to be delimited by {best:?}, and the format says {stated:?}: set delimiter = {best:?} in the format"))
}
