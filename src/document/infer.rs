//! Guesses from a sample how documents like it are written, what their records hold, and which of it tells one record from another. `entrepot infer`
//! is made of it. What cannot be known from a sample is said as a note, never decided in silence.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::ops::ControlFlow;

use chrono::{NaiveDate, NaiveDateTime};
use encoding_rs::Encoding;
use quick_xml::events::Event;
use serde_json::Value;

use super::broken::Broken;
use super::encoding::Decoding;
use super::read::{self, Layout, Take, Wanted, path_of};
use super::record::Record;
use super::sniff::{self, Looks};
use super::value::date::by_pattern;
use crate::model::format::{CsvFormat, ExcelFormat, Format, JsonFormat, XmlFormat};
use crate::model::id::parse_guid;
use crate::model::path::Path;

/// Records that are looked at.
const RECORDS_MAX: usize = 5000;
/// Lines of one width that have at least so many characters, several blanks in a row and no delimiter, are of fixed width.
const FIXED_WIDTH: usize = 20;
/// Values of a record that are looked for in a document that nests.
const VALUES_MAX: usize = 500;

/// What a sample seems to be.
#[derive(Clone, Debug, PartialEq)]
pub struct Guess {
    /// `format` as the configuration writes it.
    pub format: String,
    /// The fields, in the document's order.
    pub fields: Vec<GuessedField>,
    /// Positions in `fields` of those that tell one record from another.
    pub key: Vec<usize>,
    /// Records that were looked at.
    pub records: usize,
    /// What a person should decide.
    pub notes: Vec<String>,
}

/// A field of a [`Guess`].
#[derive(Clone, Debug, PartialEq)]
pub struct GuessedField {
    /// The column's name or path; its number when it has none.
    pub source: String,
    /// Whether the source is a number.
    pub numbered: bool,
    /// A name for the field.
    pub name: String,
    /// `type = …` and what belongs to it.
    pub kind: String,
    /// More of the mapping's line: `, date_formats = [ … ]`.
    pub mapping: String,
}

/// Guesses. The error says why nothing can be guessed.
pub fn infer(sample: &[u8]) -> Result<Guess, String> {
    let (format, text, sources) = match sniff::looks(sample) {
        Looks::Workbook => (Format::Excel(ExcelFormat::default()), "{ type = \"excel\" }".to_owned(), None),
        Looks::Xml => xml(sample)?,
        Looks::Json => json(sample)?,
        Looks::Text => csv(sample)?,
        Looks::Empty => return Err("the sample is empty".into()),
        Looks::Package => return Err("this is a data package: infer from a file in it".into()),
        Looks::Old => return Err("this is an Office document of before 2007: save it as .xlsx or as text".into()),
        Looks::Zip => return Err("this is packed: infer from the file in it".into()),
        Looks::Other(what, hint) => return Err(format!("this is {what}: {hint}")),
        Looks::Zeros(count) => return Err(format!("this is no text: {count} bytes of it are zero")),
    };
    let values = sources.iter().flatten().filter_map(|source| path_of(&format, source).ok()).collect();
    let mut collected = Collected { names: sources.clone(), columns: Vec::new(), records: 0, numbered: false };
    let wanted = Wanted { values, ..Wanted::default() };
    match read::read(sample, &format, wanted, &mut collected) {
        Ok(()) => {}
        Err(Broken::Source(error)) => return Err(error.to_string()),
        // A sample may be cut off anywhere.
        Err(Broken::Document { .. }) if collected.records > 0 => {}
        Err(Broken::Document { message, .. }) => return Err(message),
    }
    if collected.records == 0 {
        return Err("there is no record in the sample".into());
    }
    Ok(guess(text, &format, collected))
}

struct Collected {
    names: Option<Vec<String>>,
    columns: Vec<Vec<String>>,
    records: usize,
    numbered: bool,
}

impl Take for Collected {
    fn layout(&mut self, layout: &Layout) -> ControlFlow<()> {
        if let Layout::Named { names, .. } = layout {
            self.names = Some(names.iter().map(|name| name.trim().to_owned()).collect());
        }
        self.numbered = *layout == Layout::Numbered;
        ControlFlow::Continue(())
    }

    fn record(&mut self, record: &mut Record) -> ControlFlow<()> {
        if record.fault.is_some() {
            return ControlFlow::Continue(());
        }
        for (column, text) in record.texts().enumerate() {
            if column >= self.columns.len() {
                self.columns.resize(column + 1, vec![String::new(); self.records]);
            }
            self.columns[column].push(text.to_owned());
        }
        self.records += 1;
        self.columns.iter_mut().for_each(|column| column.resize(self.records, String::new()));
        if self.records == RECORDS_MAX { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    }
}

fn guess(mut format_text: String, format: &Format, collected: Collected) -> Guess {
    let Collected { names, mut columns, records, numbered } = collected;
    let mut notes = Vec::new();
    let spelled: Vec<&str> = ["NULL", "\\N"].into_iter().filter(|null| columns.iter().flatten().any(|value| value == null)).collect();
    if let (Format::Csv(_), false) = (format, spelled.is_empty()) {
        let list: Vec<String> = spelled.iter().map(|null| toml_edit::Value::from(*null).to_string()).collect();
        format_text = format_text.replace(" }", &format!(", nulls = [{}] }}", list.join(", ")));
        columns.iter_mut().flatten().filter(|value| spelled.contains(&value.as_str())).for_each(String::clear);
    }
    let count = names.as_ref().map_or(columns.len(), Vec::len);
    columns.resize(count, vec![String::new(); records]);
    let mut fields: Vec<GuessedField> = Vec::new();
    for (at, column) in columns.iter().enumerate() {
        let source = names.as_ref().map_or_else(|| (at + 1).to_string(), |names| names[at].clone());
        if source.is_empty() {
            notes.push(format!("column {} has no name and is left out", at + 1));
            continue;
        }
        let (kind, mapping, note) = kind_of(column);
        notes.extend(note.map(|note| format!("{source}: {note}")));
        let name = field_name(&source, numbered, &fields);
        fields.push(GuessedField { source, numbered, name, kind, mapping });
    }
    let used: Vec<&Vec<String>> = columns
        .iter()
        .enumerate()
        .filter(|(at, _)| names.as_ref().is_none_or(|names| !names[*at].is_empty()))
        .map(|(_, column)| column)
        .collect();
    let key = key_of(&fields, &used, &mut notes);
    if records < 20 {
        notes.push(format!("{records} records are few: look at types and lengths"));
    }
    Guess { format: format_text, fields, key, records, notes }
}

/// A name that any SQLite tool can read, and that the column's name is like.
fn field_name(source: &str, numbered: bool, before: &[GuessedField]) -> String {
    if numbered {
        return format!("COLUMN{source}");
    }
    let last = source.rsplit('/').find(|step| !step.is_empty()).unwrap_or(source).trim_start_matches('@');
    let plain: String = last.chars().map(|c| if c.is_alphanumeric() { c } else { '_' }).collect();
    let plain = plain.trim_matches('_').to_uppercase();
    let plain = if plain.is_empty() || plain.starts_with(|c: char| c.is_ascii_digit()) { format!("C{plain}") } else { plain };
    let taken = |name: &str| before.iter().any(|field| field.name.eq_ignore_ascii_case(name));
    (1..)
        .map(|number| if number == 1 { plain.clone() } else { format!("{plain}{number}") })
        .find(|name| !taken(name))
        .expect("some number is free")
}

const DAYS: [&str; 6] = ["%d.%m.%Y", "%d/%m/%Y", "%m/%d/%Y", "%d-%m-%Y", "%m-%d-%Y", "%Y/%m/%d"];

/// Type, more of the mapping, and a note.
fn kind_of(column: &[String]) -> (String, String, Option<String>) {
    let values: Vec<&str> = column.iter().map(|value| value.trim()).filter(|value| !value.is_empty()).collect();
    let all = |test: &dyn Fn(&str) -> bool| !values.is_empty() && values.iter().all(|value| test(value));
    let plain = |kind: &str| (format!("type = \"{kind}\""), String::new(), None);
    if all(&is_integer) {
        return plain("integer");
    }
    for (separator, group) in [('.', ','), (',', '.')] {
        let digits = |value: &str| decimal_digits(value, separator, None).or_else(|| decimal_digits(value, separator, Some(group)));
        if all(&|value| digits(value).is_some()) {
            let scale = values.iter().filter_map(|value| digits(value)).map(|(_, scale)| scale).max().unwrap_or(2).max(2);
            let whole = values.iter().filter_map(|value| digits(value)).map(|(whole, _)| whole).max().unwrap_or(0);
            let precision = (whole + scale).clamp(18, 38);
            let mut mapping = String::new();
            if separator == ',' {
                mapping.push_str(", decimal_separator = \",\"");
            }
            if values.iter().any(|value| value.contains(group)) {
                let _ = write!(mapping, ", thousands_separator = \"{group}\"");
            }
            return (format!("type = \"decimal\", precision = {precision}, scale = {scale}"), mapping, None);
        }
    }
    if all(&|value| value.len() >= 32 && parse_guid(value).is_ok()) {
        return plain("guid");
    }
    if all(&|value| ["yes", "no", "true", "false"].iter().any(|word| word.eq_ignore_ascii_case(value))) {
        return plain("boolean");
    }
    if all(&|value| NaiveDate::parse_from_str(value, "%Y-%m-%d").is_ok()) {
        return plain("date");
    }
    let iso = |value: &str| {
        let value = value.trim_end_matches('Z').replacen('T', " ", 1);
        let plain = value.rfind(['+', '-']).filter(|at| *at > 12).map_or(value.as_str(), |at| &value[..at]);
        NaiveDateTime::parse_from_str(plain, "%Y-%m-%d %H:%M:%S%.f").is_ok()
    };
    if all(&iso) {
        return plain("datetime");
    }
    for (time, kind) in [("", "date"), (" %H:%M", "datetime"), (" %H:%M:%S", "datetime")] {
        let patterns: Vec<String> = DAYS.iter().map(|day| format!("{day}{time}")).collect();
        let reads = |pattern: &&String| match kind {
            "date" => all(&|value| value.len() >= 8 && by_pattern(value, pattern).is_some()),
            _ => all(&|value| by_pattern(value, pattern).is_some()),
        };
        let found: Vec<&String> = patterns.iter().filter(reads).collect();
        match found.as_slice() {
            [] => {}
            [one] => return (format!("type = \"{kind}\""), format!(", date_formats = [\"{one}\"]"), None),
            [one, other, ..] => {
                let note =
                    format!("the sample does not say whether dates are \"{one}\" or \"{other}\": ask the sender; the first is written");
                return (format!("type = \"{kind}\""), format!(", date_formats = [\"{one}\"]"), Some(note));
            }
        }
    }
    let longest = column.iter().map(|value| value.chars().count()).max().unwrap_or(0);
    let length = [10, 20, 30, 60, 100, 250, 1000, 4000].into_iter().find(|length| *length >= longest + longest / 4);
    let kind = length.map_or_else(|| "type = \"string\"".to_owned(), |length| format!("type = \"string\", length = {length}"));
    let note = values.is_empty().then(|| "it has no value in the sample, and is taken for text".to_owned());
    (kind, String::new(), note)
}

/// A whole number that is one: `007` is a code.
fn is_integer(value: &str) -> bool {
    let digits = value.strip_prefix('-').unwrap_or(value);
    !digits.is_empty()
        && digits.len() <= 18
        && digits.bytes().all(|byte| byte.is_ascii_digit())
        && (digits == "0" || !digits.starts_with('0'))
}

/// Digits before and after the separator.
fn decimal_digits(value: &str, separator: char, group: Option<char>) -> Option<(usize, usize)> {
    let digits = value.strip_prefix('-').unwrap_or(value);
    let (whole, part) = digits.split_once(separator).unwrap_or((digits, ""));
    let number = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    if !number(part) || (whole.is_empty() && part.is_empty()) || (whole.len() > 1 && whole.starts_with('0')) {
        return None;
    }
    match group {
        None if number(whole) => Some((whole.len(), part.len())),
        Some(group) => {
            let mut groups = whole.split(group);
            let first = groups.next().is_some_and(|first| (1..=3).contains(&first.len()) && number(first));
            (first && groups.all(|group| group.len() == 3 && number(group))).then_some((whole.len(), part.len()))
        }
        None => None,
    }
}

/// The fields that tell one record from another.
fn key_of(fields: &[GuessedField], columns: &[&Vec<String>], notes: &mut Vec<String>) -> Vec<usize> {
    let unique = |places: &[usize]| {
        let mut seen = BTreeSet::new();
        let rows = columns.first().map_or(0, |column| column.len());
        (0..rows).all(|row| {
            let key: Vec<&str> = places.iter().map(|place| columns[*place][row].as_str()).collect();
            key.iter().all(|part| !part.trim().is_empty()) && seen.insert(key)
        })
    };
    let called_so = |at: &usize| {
        let name = fields[*at].name.to_lowercase();
        ["id", "code", "number", "no", "key", "nr"].iter().any(|word| name.ends_with(word))
    };
    let mut singles: Vec<usize> = (0..fields.len()).collect();
    singles.sort_by_key(|at| !called_so(at));
    if let Some(one) = singles.iter().find(|at| unique(&[**at])) {
        return vec![*one];
    }
    let near: Vec<usize> = (0..fields.len().min(12)).collect();
    for (position, one) in near.iter().enumerate() {
        if let Some(other) = near[position + 1..].iter().find(|other| unique(&[*one, **other])) {
            return vec![*one, *other];
        }
    }
    notes.push("no column, and no two together, tell one record from another: choose the key".into());
    vec![0]
}

fn text_of(sample: &[u8], declared: bool) -> (String, &'static Encoding) {
    let guess = match (sniff::utf16(sample), std::str::from_utf8(sample)) {
        (Some(wide), _) => wide,
        (None, Err(error)) if error.error_len().is_some() => encoding_rs::WINDOWS_1252,
        _ => encoding_rs::UTF_8,
    };
    let (mut decoding, mut text) = (Decoding::checked(sample, guess, declared), Vec::new());
    while decoding.read_into(&mut text).unwrap_or(false) {}
    (String::from_utf8_lossy(&text).into_owned(), decoding.encoding())
}

fn encoding_key(sample: &[u8], encoding: &'static Encoding) -> String {
    if encoding == encoding_rs::UTF_8 || Encoding::for_bom(sample).is_some() {
        return String::new();
    }
    format!(", encoding = \"{}\"", encoding.name().to_lowercase())
}

/// Delimiter and header of delimited text: the delimiter that most lines have equally often.
fn csv(sample: &[u8]) -> Result<(Format, String, Option<Vec<String>>), String> {
    let (text, encoding) = text_of(sample, false);
    let lines: Vec<&str> = text.lines().filter(|line| !line.trim().is_empty()).take(50).collect();
    let score = |delimiter: &str| {
        let mut counts: BTreeMap<usize, usize> = BTreeMap::new();
        let outside = |line: &str| line.split('"').step_by(2).map(|part| part.matches(delimiter).count()).sum::<usize>();
        lines.iter().for_each(|line| *counts.entry(outside(line)).or_default() += 1);
        let best = counts.into_iter().filter(|(count, _)| *count > 0).max_by_key(|(count, lines)| (*lines, *count));
        best.map_or((0, 0), |(count, lines)| (lines, count))
    };
    let delimiter = [",", ";", "\t", "|", ":"].into_iter().max_by_key(|delimiter| (score(delimiter), *delimiter == ",")).unwrap_or(",");
    let width = lines.first().map_or(0, |line| line.chars().count());
    let padded = lines.iter().any(|line| line.contains("  ")) && lines.iter().all(|line| line.chars().count() == width);
    if score(delimiter).0 == 0 && width >= FIXED_WIDTH && lines.len() > 1 && padded {
        return Err(format!(
            "every line has {width} characters and none delimits them: this is fixed width, and where its columns begin cannot be seen\n  \
             hint: write format = {{ type = \"fixed\", columns = [{{ name = \"ID\", start = 1, length = 10 }}] }}, with record_type where lines are of several kinds"
        ));
    }
    // Ends of several characters, as SQL Server's samples have them.
    if text.contains("+|") && text.contains("&|\n") {
        let format = CsvFormat {
            delimiter: "+|".into(),
            record_end: Some("&|\n".into()),
            qualifier: None,
            header: false,
            encoding,
            ..CsvFormat::default()
        };
        let key = encoding_key(sample, encoding);
        let text = "{ type = \"csv\", delimiter = \"+|\", record_end = \"&|\\n\", qualifier = \"\", header = false".to_owned();
        return Ok((Format::Csv(format), format!("{text}{key} }}"), None));
    }
    let mut format = CsvFormat { delimiter: delimiter.into(), encoding, ..CsvFormat::default() };
    let first: Vec<&str> =
        lines.first().map_or_else(Vec::new, |line| line.split(delimiter).map(|value| value.trim().trim_matches('"')).collect());
    let name = |value: &&str| {
        value.chars().any(char::is_alphabetic) && value.len() <= 100 && kind_of(&[(*value).to_owned()]).0.starts_with("type = \"string\"")
    };
    let distinct = first.iter().collect::<BTreeSet<_>>().len() == first.len();
    format.header = distinct && first.iter().filter(|value| !value.is_empty()).all(name) && lines.len() > 1;
    let mut text = "{ type = \"csv\"".to_owned();
    if delimiter != "," {
        let _ = write!(text, ", delimiter = {}", toml_edit::Value::from(delimiter));
    }
    if !format.header {
        text.push_str(", header = false");
    }
    text.push_str(&encoding_key(sample, encoding));
    text.push_str(" }");
    Ok((Format::Csv(format), text, None))
}

#[derive(Default)]
struct Place {
    count: usize,
    /// Values in it, in the order in which they came.
    values: Vec<String>,
}

/// The element that comes most often and has values, and its values.
fn xml(sample: &[u8]) -> Result<(Format, String, Option<Vec<String>>), String> {
    let (text, _) = text_of(sample, true);
    let mut reader = quick_xml::Reader::from_str(&text);
    let mut places: BTreeMap<Vec<String>, Place> = BTreeMap::new();
    // Name, and whether an element or a text stood in it.
    let mut open: Vec<(String, bool, bool)> = Vec::new();
    let local = |name: &str| name.rsplit(':').next().unwrap_or(name).to_owned();
    loop {
        let event = match reader.read_event() {
            Ok(Event::Eof) | Err(_) => break,
            Ok(event) => event,
        };
        let (start, closes) = match &event {
            Event::Start(start) => (Some(start), false),
            Event::Empty(start) => (Some(start), true),
            Event::End(_) => (None, true),
            Event::Text(text) => {
                if let Some((.., text_seen)) = open.last_mut().filter(|_| !text.trim_ascii().is_empty()) {
                    *text_seen = true;
                }
                continue;
            }
            _ => continue,
        };
        if let Some(start) = start {
            if let Some((_, elements, _)) = open.last_mut() {
                *elements = true;
            }
            open.push((local(start.name().0), false, false));
            if open.len() > 50 || places.len() > 10_000 {
                break;
            }
            let names: Vec<String> = open.iter().map(|(name, ..)| name.clone()).collect();
            let place = places.entry(names.clone()).or_default();
            place.count += 1;
            for attribute in start.attributes().flatten().filter(|attribute| !attribute.key.0.starts_with("xmlns")) {
                note(&mut places, &names, &format!("@{}", local(attribute.key.0)));
            }
        }
        if closes && let Some((name, elements, text_seen)) = open.pop() {
            let mut names: Vec<String> = open.iter().map(|(name, ..)| name.clone()).collect();
            if !elements && (text_seen || !names.is_empty()) {
                note(&mut places, &names, &name);
            }
            names.push(name);
        }
    }
    // A value of an inner element is one of the outer too, by a path; where elements repeat inside, the inner ones are the records.
    let best = places
        .iter()
        .filter(|(names, place)| !place.values.is_empty() && (names.len() > 1 || places.len() == 1))
        .max_by_key(|(names, place)| (place.count, std::cmp::Reverse(names.len()), place.values.len()))
        .ok_or("there is no element with values in the sample")?;
    let (names, place) = best;
    let mut sources = place.values.clone();
    for (inner, values) in
        places.iter().filter(|(inner, values)| inner.len() > names.len() && inner.starts_with(names) && values.count <= place.count)
    {
        sources.extend(values.values.iter().map(|value| format!("{}/{value}", inner[names.len()..].join("/"))));
    }
    sources.truncate(VALUES_MAX);
    let record = format!("/{}", names.join("/"));
    let format = XmlFormat { record: Path::parse(&record).ok(), ..XmlFormat::default() };
    Ok((Format::Xml(format), format!("{{ type = \"xml-element\", record = \"{record}\" }}"), Some(sources)))
}

fn note(places: &mut BTreeMap<Vec<String>, Place>, names: &[String], value: &str) {
    let place = places.entry(names.to_vec()).or_default();
    if place.values.len() < VALUES_MAX && !place.values.iter().any(|known| known == value) {
        place.values.push(value.to_owned());
    }
}

/// The longest array of objects, and the values of its items.
fn json(sample: &[u8]) -> Result<(Format, String, Option<Vec<String>>), String> {
    let (text, encoding) = text_of(sample, false);
    let encoding_key = encoding_key(sample, encoding);
    let whole = serde_json::from_str::<Value>(&text);
    let lines: Vec<Value> =
        text.lines().filter(|line| !line.trim().is_empty()).map_while(|line| serde_json::from_str(line).ok()).take(RECORDS_MAX).collect();
    let (format, record, items) = match whole {
        Ok(value) => {
            let mut best: (Vec<String>, Vec<Value>) = (Vec::new(), Vec::new());
            longest_array(&value, &mut Vec::new(), &mut best);
            let (record, items) = if best.1.is_empty() { (Vec::new(), vec![value]) } else { best };
            (JsonFormat { encoding, ..JsonFormat::default() }, record, items)
        }
        Err(_) if lines.len() > 1 => (JsonFormat { lines: true, encoding, ..JsonFormat::default() }, Vec::new(), lines),
        Err(error) => return Err(format!("the sample is no whole JSON document: {error}")),
    };
    let mut sources: Vec<String> = Vec::new();
    for item in items.iter().take(RECORDS_MAX) {
        value_paths(item, String::new(), 0, &mut sources);
    }
    if sources.is_empty() {
        return Err("there is no object with values in the sample".into());
    }
    let mut key = format!("{{ type = \"{}\"", if format.lines { "jsonl" } else { "json" });
    let step = |name: &String| if name.contains(['/', '@', '[', ']', ':', '*', ' ', '=']) { format!("'{name}'") } else { name.clone() };
    let record = record.iter().map(step).collect::<Vec<_>>().join("/");
    if !record.is_empty() {
        let _ = write!(key, ", record = {}", toml_edit::Value::from(record.as_str()));
    }
    let format = JsonFormat { record: Path::parse(&record).ok().filter(|_| !record.is_empty()), ..format };
    Ok((Format::Json(format), format!("{key}{encoding_key} }}"), Some(sources)))
}

fn longest_array(value: &Value, at: &mut Vec<String>, best: &mut (Vec<String>, Vec<Value>)) {
    match value {
        Value::Array(items) if items.len() > best.1.len() && items.iter().any(Value::is_object) => {
            *best = (at.clone(), items.clone());
        }
        Value::Object(members) => {
            for (name, member) in members {
                at.push(name.clone());
                longest_array(member, at, best);
                at.pop();
            }
        }
        _ => {}
    }
}

fn value_paths(value: &Value, at: String, depth: usize, sources: &mut Vec<String>) {
    match value {
        Value::Object(members) if depth < 8 => {
            for (name, member) in members {
                let name = if name.contains(['/', '@', '[', ']', ':', '*', '\'', '=']) || name.starts_with('.') {
                    format!("'{name}'")
                } else {
                    name.clone()
                };
                value_paths(member, if at.is_empty() { name } else { format!("{at}/{name}") }, depth + 1, sources);
            }
        }
        Value::Object(_) | Value::Array(_) => {}
        _ if at.is_empty() || sources.len() >= VALUES_MAX || sources.contains(&at) => {}
        _ => sources.push(at),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn fields(guess: &Guess) -> Vec<(&str, &str, &str)> {
        guess.fields.iter().map(|field| (field.source.as_str(), field.name.as_str(), field.kind.as_str())).collect()
    }

    #[test]
    fn delimited_text_is_guessed_with_its_types_and_key() {
        let rows: String = (1..40)
            .map(|n| format!("{:03};Größe {n};{}.{:03},5;2026-01-{:02};{}.12.2026;Yes;NULL\r\n", n, n, n, n % 28 + 1, n % 28 + 1))
            .collect();
        let guess = infer(format!("Group No;Name;Amount;From;To;Open;Note\r\n{rows}").as_bytes()).unwrap();
        assert_eq!(guess.format, "{ type = \"csv\", delimiter = \";\", nulls = [\"NULL\"] }");
        assert_eq!(
            fields(&guess),
            [
                ("Group No", "GROUP_NO", "type = \"string\", length = 10"),
                ("Name", "NAME", "type = \"string\", length = 10"),
                ("Amount", "AMOUNT", "type = \"decimal\", precision = 18, scale = 2"),
                ("From", "FROM", "type = \"date\""),
                ("To", "TO", "type = \"date\""),
                ("Open", "OPEN", "type = \"boolean\""),
                ("Note", "NOTE", "type = \"string\", length = 10"),
            ]
        );
        assert_eq!(guess.fields[2].mapping, ", decimal_separator = \",\", thousands_separator = \".\"");
        assert_eq!(guess.fields[4].mapping, ", date_formats = [\"%d.%m.%Y\"]");
        assert_eq!((guess.key, guess.records), (vec![0], 39));
    }

    #[test]
    fn what_a_sample_cannot_say_is_a_note() {
        let guess = infer(b"a,b\n01/02/2026,1\n02/03/2026,1\n").unwrap();
        assert!(guess.notes.iter().any(|note| note.contains("%d/%m/%Y") && note.contains("%m/%d/%Y")), "{:?}", guess.notes);
        assert!(guess.notes.iter().any(|note| note.contains("2 records are few")));
        let guess = infer(b"x\t1\nx\t1\n").unwrap();
        assert_eq!(guess.format, "{ type = \"csv\", delimiter = \"\\t\", header = false }");
        assert!(guess.notes.iter().any(|note| note.contains("choose the key")), "{:?}", guess.notes);
    }

    #[test]
    fn documents_that_nest_are_guessed_with_their_paths() {
        let guess = infer(b"<?xml version='1.0'?><b:Env xmlns:b='u'><Head>x</Head><Day on='2026-01-01'><Rate cur='EUR' v='1.5'/><Rate cur='USD' v='2'/></Day></b:Env>").unwrap();
        assert_eq!(guess.format, "{ type = \"xml-element\", record = \"/Env/Day/Rate\" }");
        assert_eq!(fields(&guess)[1], ("@v", "V", "type = \"decimal\", precision = 18, scale = 2"));
        assert_eq!(guess.key, [0]);
        let guess = infer(br#"{"page":1,"orders":[{"id":7,"to":{"city":"Ede"},"lines":[{"x":1}]},{"id":8,"to":{"city":"Ee"},"tags":[]}]}"#)
            .unwrap();
        assert_eq!(guess.format, "{ type = \"json\", record = \"orders\" }");
        assert_eq!(fields(&guess).iter().map(|(source, ..)| *source).collect::<Vec<_>>(), ["id", "to/city"]);
        let guess = infer(b"{\"id\":1}\n{\"id\":2}\n").unwrap();
        assert_eq!(guess.format, "{ type = \"jsonl\" }");
        let guess = infer(b"a;b\n\xe9;1\n").unwrap();
        assert!(guess.format.contains("encoding = \"windows-1252\""), "{}", guess.format);
    }

    #[test]
    fn what_is_no_sample_is_told() {
        for (sample, part) in [
            (&b""[..], "empty"),
            (b"%PDF-1", "PDF"),
            (b"PK\x03\x04Manifest.xml", "data package"),
            (b"{\"a\":", "no whole JSON"),
            (b"5225Ada      0000000150\n6270Grace    0000002500\n", "fixed width"),
        ] {
            assert!(infer(sample).unwrap_err().contains(part), "{:?}", infer(sample));
        }
    }

    proptest! {
        #[test]
        fn hostile_samples_never_panic(sample in proptest::collection::vec(prop_oneof![any::<u8>(), prop::sample::select(b"<>/=\"'{}[]:,;\n01.".to_vec())], 0..200)) {
            let _ = infer(&sample);
        }
    }
}
