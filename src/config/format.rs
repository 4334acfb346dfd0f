//! `format` of a project's entity: how its documents are written.

use encoding_rs::Encoding;

use super::problem::suggest;
use super::section::Section;
use crate::document::fixed::measure::Measure;
use crate::model::format::{
    CsvFormat, ExcelFormat, FORMATS, FixedColumn, FixedFormat, Format, JsonFormat, Numbers, RecordType, Unit, XmlFormat, XmlStyle,
};
use crate::model::path::{Path, Predicate, To};

pub(super) fn read_format(section: &Section<'_>) -> Option<Format> {
    Some(match section.text("type").as_deref() {
        None | Some("csv") => Format::Csv(read_csv(section)),
        Some("fixed") => Format::Fixed(read_fixed(section)),
        Some("xml-element") => Format::Xml(read_xml(section, XmlStyle::Element)),
        Some("xml-attribute") => Format::Xml(read_xml(section, XmlStyle::Attribute)),
        Some("excel") => Format::Excel(read_excel(section)),
        Some("json") => Format::Json(read_json(section, false)),
        Some("jsonl") => Format::Json(read_json(section, true)),
        Some(other) => {
            section.problem("type", format!("there is no format \"{other}\""), suggest(other, FORMATS));
            // What else stands there cannot be judged.
            section.pass_over();
            return None;
        }
    })
}

fn read_csv(section: &Section<'_>) -> CsvFormat {
    let mut format = CsvFormat::default();
    if let Some(delimiter) = section.text("delimiter") {
        if delimiter.is_empty() || delimiter.len() > 16 || delimiter.contains(['\r', '\n']) {
            section.problem("delimiter", "a delimiter has 1 to 16 characters and no line end", "as in \";\" or \"\\t\"");
        } else {
            format.delimiter = delimiter;
        }
    }
    format.record_end = read_record_end(section);
    if format.record_end.as_ref().is_some_and(|end| end.replace(&format.delimiter, "").is_empty()) {
        section.problem("record_end", "it is made of delimiters alone", "leave it out for ordinary lines");
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
    let spelled = |end: &&str| end.chars().any(char::is_alphanumeric) && end.chars().all(|c| c.is_alphanumeric() || c == ' ');
    for (name, end) in [("delimiter", Some(format.delimiter.as_str())), ("record_end", format.record_end.as_deref())] {
        if let Some(end) = end.filter(spelled).filter(|_| format.qualifier.is_none()) {
            let message = format!("without a qualifier \"{end}\" stands in values and in the reasons of refused rows, too");
            section.problem(name, message, "state the qualifier, or write an end that is no word");
        }
    }
    if format.qualifier.is_none() && format.escape.is_some() {
        section.problem("escape", "without a qualifier nothing is escaped", "take it out, or state the qualifier");
    }
    for (character, name) in [(format.qualifier, "qualifier"), (format.escape, "escape")] {
        if let Some(character) = character.filter(|character| format.delimiter.contains(*character)) {
            let hint = "write another delimiter, or qualifier = \"\" where quotes are data";
            section.problem("delimiter", format!("it holds the {name} {character}"), hint);
        }
    }
    format.header = section.boolean("header", true);
    format.ragged = section.boolean("ragged", false);
    format.encoding = read_encoding(section);
    (format.skip_first, format.skip_last) = (read_skip(section, "skip_first"), read_skip(section, "skip_last"));
    format.nulls = section.texts("nulls").unwrap_or_default();
    format.numbers = read_numbers(section);
    format
}

fn read_fixed(section: &Section<'_>) -> FixedFormat {
    let mut format = FixedFormat { encoding: read_encoding(section), ..FixedFormat::default() };
    format.unit = read_unit(section, format.encoding);
    let most = 1_000_000;
    let count = |section: &Section<'_>, name| section.integer(name, 1..=most).and_then(|value| usize::try_from(value).ok());
    let mut next = 1;
    for column in section.sections("columns") {
        let name = column.name("name");
        let start = count(&column, "start").unwrap_or(next);
        let length = count(&column, "length");
        if length.is_none() && !column.has("length") {
            column.problem("length", "it is missing", "how long the column is");
        }
        let pad = match column.text("pad") {
            None => ' ',
            Some(text) => match (text.chars().next(), text.chars().count()) {
                (Some(pad), 1) => pad,
                _ => {
                    column.problem("pad", format!("\"{text}\" is not one character"), "write one character: \" \", \"0\"");
                    ' '
                }
            },
        };
        let right = match column.text("align").as_deref() {
            None => pad.is_ascii_digit(),
            Some("left") => false,
            Some("right") => true,
            Some(other) => {
                column.problem("align", format!("\"{other}\" is no side"), "write left or right");
                false
            }
        };
        column.finish();
        if let (Some(name), Some(length)) = (name, length) {
            next = start + length;
            format.columns.push(FixedColumn { name, start, length, pad, right });
        }
    }
    if format.columns.is_empty() {
        section.problem("columns", "fixed width has columns", "columns = [{ name = \"ID\", start = 1, length = 10 }]");
    }
    format.record_length = count(section, "record_length");
    let last = format.columns.iter().map(|column| column.start - 1 + column.length).max().unwrap_or(0);
    if format.record_length.is_some_and(|length| length < last) {
        section.problem("record_length", format!("the last column ends at {last}"), "make it longer, or correct the columns");
    }
    format.record_end = read_record_end(section);
    if let Some(end) = &format.record_end
        && end.chars().all(|c| c.is_alphanumeric() || " #:()".contains(c))
    {
        let message = format!("\"{end}\" stands in values and in the reasons of refused rows, too");
        section.problem("record_end", message, "leave it out for ordinary lines, or give records a record_length");
    }
    format.record_type = section.section("record_type").and_then(|kind| {
        let (start, length) = (count(&kind, "start").unwrap_or(1), count(&kind, "length"));
        let equals = match kind.item("equals").and_then(|item| item.as_str()) {
            Some(text) => vec![text.to_owned()],
            None => kind.texts("equals").unwrap_or_default(),
        };
        if equals.is_empty() {
            kind.problem("equals", "it is missing", "record_type = { start = 1, length = 1, equals = \"6\" }");
        }
        kind.finish();
        let length = length.or_else(|| equals.first().map(|text| Measure::new(&format, format.encoding).of(text)))?;
        Some(RecordType { start, length, equals })
    });
    (format.skip_first, format.skip_last) = (read_skip(section, "skip_first"), read_skip(section, "skip_last"));
    format.nulls = section.texts("nulls").unwrap_or_default();
    format.numbers = read_numbers(section);
    format
}

/// `unit`: what positions of fixed width count. Documents in encodings of more bytes are laid out in bytes, as a rule.
fn read_unit(section: &Section<'_>, encoding: &'static Encoding) -> Unit {
    let wide = encoding == encoding_rs::UTF_16LE || encoding == encoding_rs::UTF_16BE;
    match section.text("unit").as_deref() {
        Some("bytes") if wide || encoding == encoding_rs::ISO_2022_JP => {
            section.problem("unit", format!("in {} a place in bytes is none in the text", encoding.name()), "write characters");
            Unit::Characters
        }
        Some("bytes") => Unit::Bytes,
        Some("characters") => Unit::Characters,
        Some(other) => {
            section.problem("unit", format!("\"{other}\" is nothing that positions count"), suggest(other, ["characters", "bytes"]));
            Unit::Characters
        }
        None => {
            let unicode = wide || encoding == encoding_rs::UTF_8;
            if !unicode && !encoding.is_single_byte() && encoding != encoding_rs::ISO_2022_JP {
                let message = format!("positions count characters, and columns of documents in {} mostly count bytes", encoding.name());
                section.warning("unit", message, "write unit = \"bytes\", or unit = \"characters\" where that is meant");
            }
            Unit::Characters
        }
    }
}

fn read_xml(section: &Section<'_>, style: XmlStyle) -> XmlFormat {
    let namespaces = section.pairs("namespaces");
    XmlFormat {
        style,
        root: section.text("root"),
        record: read_record(section, Some(&namespaces)),
        namespaces,
        encoding: read_encoding(section),
        nulls: section.texts("nulls").unwrap_or_default(),
        numbers: read_numbers(section),
    }
}

fn read_json(section: &Section<'_>, lines: bool) -> JsonFormat {
    JsonFormat {
        lines: lines || section.boolean("jsonl", false),
        record: read_record(section, None),
        encoding: read_encoding(section),
        nulls: section.texts("nulls").unwrap_or_default(),
        numbers: read_numbers(section),
    }
}

fn read_excel(section: &Section<'_>) -> ExcelFormat {
    let row = section.integer("header_row", 0..=1_048_576).and_then(|row| u32::try_from(row).ok());
    ExcelFormat {
        sheet_preferred: None,
        sheet: section.text("sheet"),
        header_row: row.unwrap_or(u32::from(section.boolean("header", true))),
        skip_last: read_skip(section, "skip_last"),
        old: section.boolean("old", false),
        nulls: section.texts("nulls").unwrap_or_default(),
        numbers: read_numbers(section),
    }
}

/// What makes a path one that leads nowhere. `namespaces` are those of the format; JSON has none.
pub(super) fn leads_nowhere(path: &Path, namespaces: Option<&[(String, String)]>) -> Option<(String, String)> {
    if let (Some(name), None) = (path.attribute_asked_for(), namespaces) {
        let hint = format!("write the member's name, {}, or '@{}' in quotes where that is its name", name.local, name.local);
        return Some((format!("\"@{}\" is an attribute, and JSON has none", name.local), hint));
    }
    path.names().into_iter().find_map(|name| match (&name.prefix, namespaces) {
        (Some(prefix), None) => Some((
            format!("\"{prefix}:{}\" has a prefix, and JSON has none", name.local),
            format!("write the name in quotes: '{prefix}:{}'", name.local),
        )),
        (Some(prefix), Some(declared)) if !declared.iter().any(|(known, _)| known == prefix) => {
            let hint = format!(
                "declare it in the format: namespaces = {{ {prefix} = \"urn:…\" }}; without a prefix a name is one of any namespace"
            );
            Some((format!("the prefix \"{prefix}\" is not declared"), hint))
        }
        (_, declared) => {
            let wrong = if declared.is_some() {
                name.local.contains(|c: char| "(){}<>,;&\"=+$!?|~^%#\\`".contains(c))
            } else {
                name.local.ends_with("()")
            };
            wrong.then(|| {
                let hint = "a path has names, / and //, .. and @, and conditions in []; columns are joined by concatenate = [\"A\", \"B\"]";
                (format!("\"{}\" is no name", name.local), hint.to_owned())
            })
        }
    })
}

/// The namespaces that paths into documents of this format may use; JSON has none.
pub(super) fn namespaces_of(format: &Format) -> Option<&[(String, String)]> {
    match format {
        Format::Xml(xml) => Some(&xml.namespaces),
        _ => None,
    }
}

fn read_record(section: &Section<'_>, namespaces: Option<&[(String, String)]>) -> Option<Path> {
    let text = section.text("record")?;
    match Path::parse(&text) {
        Ok(path) => {
            let position = |step: &crate::model::path::Step| step.predicates.iter().any(|one| matches!(one, Predicate::Position(_)));
            if path.steps.iter().any(|step| !matches!(step.to, To::Element(_)) || position(step)) {
                section.problem(
                    "record",
                    "a record is an element, not an attribute, a parent or a position",
                    "as in \"//Cube[@currency]\"",
                );
                return None;
            }
            if let Some((message, hint)) = leads_nowhere(&path, namespaces) {
                section.problem("record", message, hint);
                return None;
            }
            Some(path)
        }
        Err(reason) => {
            section.problem(
                "record",
                format!("\"{text}\" is no path: {reason}"),
                "as in \"/Document/Customer\", \"//Cube[@currency]\" or \"orders\"",
            );
            None
        }
    }
}

fn read_record_end(section: &Section<'_>) -> Option<String> {
    let end = section.text("record_end")?;
    if end.is_empty() || end.len() > 16 {
        section.problem("record_end", "a record end has 1 to 16 characters", "leave it out for ordinary lines");
        return None;
    }
    Some(end)
}

fn read_encoding(section: &Section<'_>) -> &'static Encoding {
    let Some(label) = section.text("encoding") else { return encoding_rs::UTF_8 };
    match Encoding::for_label(label.as_bytes()) {
        Some(encoding) if encoding != encoding_rs::REPLACEMENT => encoding,
        _ => {
            section.problem("encoding", format!("there is no encoding \"{label}\""), hint_of_encoding(&label));
            encoding_rs::UTF_8
        }
    }
}

/// Encodings by the names that other programs have for them.
const OTHER_NAMES: [(&[&str], &str); 8] = [
    (&["cp932", "ms932", "windows932", "mskanji", "ansi932"], "shift_jis"),
    (&["cp936", "ms936", "windows936"], "gbk"),
    (&["cp949", "ms949", "uhc", "windows51949"], "euc-kr"),
    (&["cp950", "ms950", "windows950"], "big5"),
    (&["ansi", "windows", "winlatin1", "latin"], "windows-1252"),
    (&["utf8bom", "utf8sig", "utf8withbom", "cp65001"], "utf-8"),
    (&["utf16", "ucs2", "ucs2le", "utf16bom", "cp1200", "widechar"], "utf-16le"),
    (&["cp1201", "ucs2be"], "utf-16be"),
];

fn hint_of_encoding(label: &str) -> String {
    let plain: String = label.chars().filter(|c| c.is_ascii_alphanumeric()).collect::<String>().to_lowercase();
    match OTHER_NAMES.iter().find(|(names, _)| names.contains(&plain.as_str())) {
        Some((_, known)) => format!("write {known}"),
        None => suggest(
            label,
            [
                "utf-8",
                "utf-16le",
                "utf-16be",
                "windows-1252",
                "windows-1250",
                "iso-8859-15",
                "shift_jis",
                "euc-jp",
                "gbk",
                "big5",
                "euc-kr",
            ],
        ),
    }
}

fn read_skip(section: &Section<'_>, name: &'static str) -> u32 {
    section.integer(name, 0..=100_000).and_then(|value| u32::try_from(value).ok()).unwrap_or(0)
}

/// `decimal_separator` and `thousands_separator`, of a format or of one line of a mapping.
pub(super) fn read_numbers(section: &Section<'_>) -> Numbers {
    let mut numbers = Numbers::default();
    match section.text("decimal_separator").as_deref() {
        None | Some(".") => {}
        Some(",") => numbers.decimal_separator = ',',
        Some(other) => section.problem("decimal_separator", format!("\"{other}\" separates no decimals"), "write \".\" or \",\""),
    }
    match section.text("thousands_separator").as_deref() {
        None | Some("") => {}
        Some(text) if [",", ".", "'", " ", "\u{a0}", "\u{202f}", "_"].contains(&text) && !text.contains(numbers.decimal_separator) => {
            numbers.thousands_separator = text.chars().next();
        }
        Some(other) => section.problem(
            "thousands_separator",
            format!("\"{other}\" separates no thousands here"),
            "write \".\", \",\", \"'\" or \" \", another than decimal_separator",
        ),
    }
    numbers
}
