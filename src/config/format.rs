//! `format` of a project's entity: how its documents are written.

use super::section::Section;
use crate::model::format::CsvFormat;

pub(super) fn read_format(section: &Section<'_>) -> Option<CsvFormat> {
    let mut format = CsvFormat::default();
    match section.text("type").as_deref() {
        None | Some("csv") => {}
        Some(other @ ("fixed" | "xml-element" | "xml-attribute" | "excel" | "json" | "jsonl")) => {
            section.problem("type", format!("the format \"{other}\" is not available in this version"), "write csv");
            return None;
        }
        Some(other) => {
            section.problem("type", format!("there is no format \"{other}\""), "write csv");
            return None;
        }
    }
    if let Some(delimiter) = section.text("delimiter") {
        if delimiter.is_empty() || delimiter.len() > 16 || delimiter.contains(['\r', '\n']) {
            section.problem("delimiter", "a delimiter has 1 to 16 characters and no line end", "");
        } else {
            format.delimiter = delimiter;
        }
    }
    if let Some(end) = section.text("record_end") {
        if end.is_empty() || end.len() > 16 || end == format.delimiter {
            section.problem(
                "record_end",
                "a record end has 1 to 16 characters and is not the delimiter",
                "leave it out for ordinary lines",
            );
        } else {
            format.record_end = Some(end);
        }
    }
    let single = |name: &'static str, default: Option<char>| match section.text(name) {
        None => default,
        Some(text) if text.is_empty() => None,
        Some(text) if text.len() == 1 && text.is_ascii() && !text.contains(['\r', '\n']) => text.chars().next(),
        Some(text) => {
            section.problem(name, format!("\"{text}\" is not one plain character"), "write one ASCII character, or \"\" for none");
            default
        }
    };
    format.qualifier = single("qualifier", format.qualifier);
    format.escape = single("escape", None);
    format.header = section.boolean("header", true);
    if let Some(label) = section.text("encoding") {
        match encoding_rs::Encoding::for_label(label.as_bytes()) {
            Some(encoding) if encoding != encoding_rs::REPLACEMENT => format.encoding = encoding,
            _ => section.problem("encoding", format!("there is no encoding \"{label}\""), "write utf-8, utf-16le, windows-1252, …"),
        }
    }
    let skip = |name| section.integer(name, 0..=100_000).and_then(|value| u32::try_from(value).ok()).unwrap_or(0);
    (format.skip_first, format.skip_last) = (skip("skip_first"), skip("skip_last"));
    format.nulls = section.texts("nulls").unwrap_or_default();
    match section.text("decimal_separator").as_deref() {
        None | Some(".") => {}
        Some(",") => format.decimal_separator = ',',
        Some(other) => section.problem("decimal_separator", format!("\"{other}\" separates no decimals"), "write \".\" or \",\""),
    }
    Some(format)
}
