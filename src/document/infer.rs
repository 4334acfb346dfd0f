//! Guesses from a sample how documents like it are written, what their records hold, and which of it tells one record from another. `entrepot infer`
//! is made of it. What cannot be known from a sample is said as a note, never decided in silence.

mod csv;
mod encoding;
mod excel;
mod key;
mod nested;

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::ops::ControlFlow;

use self::key::key_of;
use super::broken::Broken;
use super::read::{self, Layout, Take, Wanted, path_of};
use super::record::{Fault, Record};
use super::sniff::{self, Looks};
use super::value::date::by_pattern;
use super::value::{self, Reading, minus_elsewhere};
use crate::model::entity::{Field, FieldKind};
use crate::model::format::Format;
use crate::model::id::parse_guid;
use crate::model::path::plain_name;
use chrono::Datelike;

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
    let Shape { format, text, sources, notes } = match sniff::looks(sample) {
        Looks::Workbook => excel::excel(sample),
        Looks::Xml => nested::xml(sample)?,
        Looks::Json => nested::json(sample)?,
        Looks::Text => csv::csv(sample)?,
        Looks::Empty => return Err("the sample is empty".into()),
        Looks::Package => return Err("this is a data package: infer from a file in it".into()),
        Looks::Html => return Err("this is an HTML page, and no sample of data: see what it says".into()),
        Looks::Old => return Err("this is an Office document of before 2007: save it as .xlsx or as text".into()),
        Looks::Zip => return Err("this is packed: infer from the file in it".into()),
        Looks::Other(what, hint) => return Err(format!("this is {what}: {hint}")),
        Looks::Zeros(count) => return Err(format!("this is no text: {count} bytes of it are zero")),
    };
    let values = sources.iter().flatten().filter_map(|source| path_of(&format, source).ok()).collect();
    let nulls = matches!(format, Format::Csv(_)).then(BTreeSet::new);
    let mut collected = Collected { names: sources.clone(), columns: Vec::new(), nulls, records: 0, last: 0, fault: None, numbered: false };
    let wanted = Wanted { values, ..Wanted::default() };
    match read::read(sample, &format, wanted, &mut collected) {
        Ok(()) => {}
        Err(Broken::Source(error)) => return Err(error.to_string()),
        // A sample may be cut off anywhere.
        Err(Broken::Document { .. }) if collected.records > 0 => {}
        Err(Broken::Document { message, .. }) => return Err(message),
    }
    if matches!(format, Format::Csv(_)) {
        collected.leave_out_what_is_cut();
    }
    if collected.records == 0 {
        return Err(collected.fault.map_or("there is no record in the sample".into(), |(line, fault)| {
            let (_, message, hint) = fault.told(&format);
            format!("no record of the sample can be read: line {line}: {message}\n  hint: {hint}")
        }));
    }
    let mut guess = guess(text, &format, collected);
    if guess.fields.is_empty() {
        let notes: Vec<String> = notes.into_iter().chain(guess.notes).collect();
        return Err(format!("no value of its records can be mapped by a name\n  {}", notes.join("\n  ")));
    }
    guess.notes.splice(0..0, notes);
    Ok(guess)
}

/// How a sample seems to be written.
struct Shape {
    format: Format,
    /// `format` as the configuration writes it.
    text: String,
    /// Paths to the values of a record, where a header does not say what they are.
    sources: Option<Vec<String>>,
    notes: Vec<String>,
}

impl Shape {
    /// Of a document whose header or columns say what its records hold.
    fn of(format: Format, text: String) -> Shape {
        Shape { format, text, sources: None, notes: Vec::new() }
    }
}

/// Spellings of no value in delimited text, where nothing qualifies them.
const NULLS: [&str; 2] = ["NULL", "\\N"];

struct Collected {
    names: Option<Vec<String>>,
    columns: Vec<Vec<String>>,
    /// In delimited text: those of [`NULLS`] that were there, and are blank in the columns.
    nulls: Option<BTreeSet<&'static str>>,
    records: usize,
    /// How many fields the last of them has.
    last: usize,
    /// The first record that cannot be read.
    fault: Option<(u64, Fault)>,
    numbered: bool,
}

impl Collected {
    /// A sample may be cut off in its last record, which has fewer fields then.
    fn leave_out_what_is_cut(&mut self) {
        let width = self.names.as_ref().map_or(self.columns.len(), Vec::len);
        if (2..RECORDS_MAX).contains(&self.records) && self.last < width {
            self.records -= 1;
            self.columns.iter_mut().for_each(|column| column.truncate(self.records));
        }
    }
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
        if let Some(fault) = &record.fault {
            self.fault.get_or_insert_with(|| (record.line, fault.clone()));
            return ControlFlow::Continue(());
        }
        self.last = record.len();
        for column in 0..record.len() {
            let (mut text, exact) = record.field(column).unwrap_or_default();
            if let (Some(nulls), Some(null)) = (&mut self.nulls, NULLS.into_iter().find(|null| *null == text && !exact)) {
                nulls.insert(null);
                text = "";
            }
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
    let Collected { names, mut columns, nulls, records, numbered, .. } = collected;
    let mut notes = Vec::new();
    let list: Vec<String> = nulls.into_iter().flatten().map(|null| toml_edit::Value::from(null).to_string()).collect();
    if !list.is_empty() {
        format_text = format_text.replace(" }", &format!(", nulls = [{}] }}", list.join(", ")));
    }
    let count = names.as_ref().map_or(columns.len(), Vec::len);
    columns.resize(count, vec![String::new(); records]);
    let mut fields: Vec<GuessedField> = Vec::new();
    let is_text = !matches!(format, Format::Excel(_) | Format::Json(_));
    let proven = proven(&columns);
    for (at, column) in columns.iter().enumerate() {
        let source = names.as_ref().map_or_else(|| (at + 1).to_string(), |names| names[at].clone());
        if source.is_empty() {
            notes.push(format!("column {} has no name and is left out", at + 1));
            continue;
        }
        let (kind, mapping, note) = kind_of(column, is_text, proven);
        notes.extend(note.map(|note| format!("{source}: {note}")));
        let name = field_name(&source, numbered, &fields);
        // A name that stands twice means no column.
        let twice = names.as_ref().is_some_and(|names| names.iter().filter(|name| name.eq_ignore_ascii_case(&source)).count() > 1);
        let source = if twice && !format.nests() { (at + 1).to_string() } else { source };
        fields.push(GuessedField { numbered: numbered || (twice && !format.nests()), source, name, kind, mapping });
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
    let last = plain_name(last).unwrap_or_else(|| last.to_owned());
    let plain: String = last.chars().map(|c| if c.is_alphanumeric() { c } else { '_' }).collect();
    let plain = plain.trim_matches('_').to_uppercase();
    let plain = if plain.is_empty() || plain.starts_with(|c: char| c.is_ascii_digit()) { format!("C{plain}") } else { plain };
    let taken = |name: &str| before.iter().any(|field| field.name.eq_ignore_ascii_case(name));
    (1..)
        .map(|number| if number == 1 { plain.clone() } else { format!("{plain}{number}") })
        .find(|name| !taken(name))
        .expect("some number is free")
}

/// Separators of decimals and thousands. A blank is any blank.
const SEPARATORS: [(char, char); 5] = [('.', ','), (',', '.'), ('.', '\''), (',', ' '), ('.', ' ')];

const DAYS: [&str; 13] = [
    "%d.%m.%Y", "%d/%m/%Y", "%m/%d/%Y", "%d-%m-%Y", "%m-%d-%Y", "%Y/%m/%d", "%Y-%m-%d", "%d.%m.%y", "%d/%m/%y", "%m/%d/%y", "%d-%m-%y",
    "%m-%d-%y", "%y-%m-%d",
];

/// How the decimal numbers of a column are written.
struct Decimals {
    /// Before the decimals, where some value has it or the sign between its thousands.
    separator: Option<char>,
    precision: usize,
    scale: usize,
    mapping: String,
    /// What the column alone does not say.
    note: Option<String>,
}

fn values_of(column: &[String]) -> Vec<&str> {
    column.iter().map(|value| value.trim()).filter(|value| !value.is_empty()).collect()
}

/// The separator of decimals that columns prove; nothing where none does, or they differ.
fn proven(columns: &[Vec<String>]) -> Option<char> {
    let decimals = columns.iter().filter_map(|column| decimals_of(&values_of(column), None));
    let mut proven = decimals.filter(|decimals| decimals.note.is_none()).filter_map(|decimals| decimals.separator);
    let first = proven.next()?;
    proven.all(|other| other == first).then_some(first)
}

/// Nothing where a value is no number. `proven` is the separator of other columns: it is this one's, too, where that reads all values.
fn decimals_of(values: &[&str], proven: Option<char>) -> Option<Decimals> {
    let all = |test: &dyn Fn(&str) -> bool| !values.is_empty() && values.iter().all(|value| test(value));
    let (first, then): (Vec<_>, Vec<_>) = SEPARATORS.into_iter().partition(|(separator, _)| Some(*separator) == proven);
    for (separator, group) in first.into_iter().chain(then) {
        let digits = |value: &str| {
            let value = value.replace(['\u{a0}', '\u{202f}'], " ");
            decimal_digits(&value, separator, None).or_else(|| decimal_digits(&value, separator, Some(group)))
        };
        // Codes have blanks in them, too.
        let meant = matches!(group, ',' | '.') || values.iter().any(|value| value.contains(separator));
        if meant && all(&|value| digits(value).is_some()) {
            let scale = values.iter().filter_map(|value| digits(value)).map(|(_, scale)| scale).max().unwrap_or(2).max(2);
            let whole = values.iter().filter_map(|value| digits(value)).map(|(whole, _)| whole).max().unwrap_or(0);
            let precision = (whole + scale).clamp(18, 38);
            let mut mapping = String::new();
            if separator == ',' {
                mapping.push_str(", decimal_separator = \",\"");
            }
            if values.iter().any(|value| value.contains(group) || (group == ' ' && value.contains(['\u{a0}', '\u{202f}']))) {
                let _ = write!(mapping, ", thousands_separator = \"{group}\"");
            }
            // The same digits may be grouped, or have decimals: 1.234 is either.
            let other = SEPARATORS.into_iter().find(|(other, group)| {
                let reads =
                    |value: &&str| decimal_digits(value, *other, None).or_else(|| decimal_digits(value, *other, Some(*group))).is_some();
                *other != separator && values.iter().all(reads) && values.iter().any(|value| value.contains([separator, *other]))
            });
            let note = other.and_then(|(other, _)| values.iter().find(|value| value.contains([separator, other]))).map(|value| {
                let one = value.chars().rfind(|c| !c.is_ascii_digit()).unwrap_or(separator);
                let written = if one == separator { "decimals" } else { "groups of three digits" };
                format!("the sample does not say whether {one:?} stands before decimals or between thousands, as in {value}: ask the sender; {written} are written")
            });
            let written = values.iter().any(|value| value.contains([separator, group]));
            let note = note.filter(|_| proven != Some(separator));
            return Some(Decimals { separator: written.then_some(separator), precision, scale, mapping, note });
        }
    }
    None
}

/// Type, more of the mapping, and a note. Numbers of texts may be written in many ways; `proven` is the separator of decimals in others of the document.
fn kind_of(column: &[String], is_text: bool, proven: Option<char>) -> (String, String, Option<String>) {
    let values = values_of(column);
    let all = |test: &dyn Fn(&str) -> bool| !values.is_empty() && values.iter().all(|value| test(value));
    let plain = |kind: &str| (format!("type = \"{kind}\""), String::new(), None);
    let days = |value: &str| by_pattern(value, "%Y%m%d").is_some_and(|(at, _)| (1900..2100).contains(&at.year()));
    if values.len() > 2 && all(&|value| value.len() == 8 && days(value)) {
        let note = "its numbers are all days, as in 20260131, and it is taken for a date".to_owned();
        return ("type = \"date\"".to_owned(), ", date_formats = [\"%Y%m%d\"]".to_owned(), Some(note));
    }
    if all(&is_integer) {
        return plain("integer");
    }
    if let Some(decimals) = decimals_of(&values, proven) {
        let Decimals { precision, scale, mapping, note, .. } = decimals;
        return (format!("type = \"decimal\", precision = {precision}, scale = {scale}"), mapping, note.filter(|_| is_text));
    }
    // 32 digits without hyphens are as often a digest, which no table may respell.
    if all(&|value| value.contains('-') && parse_guid(value).is_ok()) {
        return plain("guid");
    }
    if all(&|value| ["yes", "no", "true", "false"].iter().any(|word| word.eq_ignore_ascii_case(value))) {
        return plain("boolean");
    }
    let reads = |kind: &FieldKind, value: &str| {
        let field = Field { kind: kind.clone(), ..Field::default() };
        value::parse(&field, value, &Reading::default()).is_ok()
    };
    if all(&|value| value.len() == 10 && reads(&FieldKind::Date, value)) {
        return plain("date");
    }
    let iso = |value: &str| reads(&FieldKind::DateTime, value);
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
    let digits = value.strip_prefix('-').or_else(|| minus_elsewhere(value)).unwrap_or(value);
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
    fn what_one_column_proves_of_decimals_holds_for_all_of_the_document() {
        let guess = infer(b"Nr;A;B;C\n1;1.000;1,5;0,250\n2;2.500;2,25;1,000\n3;12.750;7,125;3,500\n").unwrap();
        let found: Vec<&str> = guess.fields.iter().map(|field| field.mapping.as_str()).collect();
        let comma = ", decimal_separator = \",\"";
        assert_eq!(found, ["", &format!("{comma}, thousands_separator = \".\""), comma, comma]);
        assert!(!guess.notes.iter().any(|note| note.contains("ask the sender")), "{:?}", guess.notes);
        // One that proves nothing, or two that differ, leave it open.
        for document in ["Nr;A\n1;1.000\n2;2.500\n", "Nr;A;B;C\n1;1.000;1,5;1.5\n2;2.500;2,25;2.5\n"] {
            let guess = infer(document.as_bytes()).unwrap();
            assert_eq!(guess.fields[1].mapping, "", "{document}");
            assert!(guess.notes.iter().any(|note| note.contains("ask the sender")), "{document}: {:?}", guess.notes);
        }
    }

    #[test]
    fn digests_stay_as_they_are_and_guids_are_written_as_such() {
        let digest = "68778783ad298f1c80c3bafcddeea02f";
        let guid = "68778783-ad29-8f1c-80c3-bafcddeea02f";
        let guess = infer(format!("id,token,guid\n1,{digest},{{{guid}}}\n2,{digest},{guid}\n").as_bytes()).unwrap();
        let kinds: Vec<&str> = guess.fields[1..].iter().map(|field| field.kind.as_str()).collect();
        assert_eq!(kinds, ["type = \"string\", length = 60", "type = \"guid\""]);
    }

    #[test]
    fn years_of_two_digits_and_days_without_separators_are_dates() {
        let guess = infer(
            b"ID;On;At;Day;No\n1;31.12.24;31/12/24 10:00;20241231;20241231\n2;01.02.25;13/01/25 11:30;20250101;20249999\n3;;;20250228;1\n",
        )
        .unwrap();
        let found: Vec<(&str, &str)> = guess.fields[1..].iter().map(|field| (field.kind.as_str(), field.mapping.as_str())).collect();
        assert_eq!(
            found,
            [
                ("type = \"date\"", ", date_formats = [\"%d.%m.%y\"]"),
                ("type = \"datetime\"", ", date_formats = [\"%d/%m/%y %H:%M\"]"),
                ("type = \"date\"", ", date_formats = [\"%Y%m%d\"]"),
                ("type = \"integer\"", ""),
            ]
        );
        assert!(guess.notes.iter().any(|note| note.contains("Day: its numbers are all days")), "{:?}", guess.notes);
        let guess = infer(b"ID,On\n1,01-02-24\n").unwrap();
        assert!(guess.notes.iter().any(|note| note.contains("\"%d-%m-%y\" or \"%m-%d-%y\"")), "{:?}", guess.notes);
    }

    #[test]
    fn a_title_is_passed_over_and_the_header_below_it_found() {
        let title = "Price list;;;\r\n\r\nArt.No.;Name;Price;No\r\n00123;Pen;1'234.50;1\r\n00124;Ink;0.12;2\r\n";
        let guess = infer(title.as_bytes()).unwrap();
        assert_eq!(guess.format, "{ type = \"csv\", delimiter = \";\", skip_first = 2 }");
        assert_eq!(guess.fields[2].mapping, ", thousands_separator = \"'\"");
        assert!(guess.notes[0].contains("on line 3"), "{:?}", guess.notes);
        assert_eq!(infer(b"# from the shop\nid,name\n1,x\n2,y\n").unwrap().format, "{ type = \"csv\", skip_first = 1 }");
        let bare = infer(b"Report of people\n\nSmith;12;Berlin\nJones;7;Ulm\n").unwrap();
        assert_eq!(bare.format, "{ type = \"csv\", delimiter = \";\", header = false, skip_first = 2 }");
        assert!(bare.notes.iter().any(|note| note.contains("first row seems to stand on line 3")), "{:?}", bare.notes);
        assert_eq!(infer(b"1,\n2,b\n3,c\n").unwrap().format, "{ type = \"csv\", header = false }", "a row that lacks values is no title");
        assert_eq!(fields(&infer(b"id,name\r1,x\r2,y\r").unwrap())[0], ("id", "ID", "type = \"integer\""));
        let workbook = |rows: &[&[&str]]| {
            let mut workbook = rust_xlsxwriter::Workbook::new();
            let sheet = workbook.add_worksheet();
            for (row, cells) in rows.iter().enumerate() {
                for (column, cell) in cells.iter().enumerate().filter(|(_, cell)| !cell.is_empty()) {
                    match cell.parse::<f64>() {
                        Ok(number) => sheet.write_number(row as u32, column as u16, number).unwrap(),
                        Err(_) => sheet.write_string(row as u32, column as u16, *cell).unwrap(),
                    };
                }
            }
            infer(&workbook.save_to_buffer().unwrap()).unwrap().format
        };
        assert_eq!(workbook(&[&["Price list"], &[], &["Art", "2026", "Price"], &["a", "1", "2"]]), "{ type = \"excel\", header_row = 3 }");
        assert_eq!(workbook(&[&["1", "a", ""], &["2", "b", "5"]]), "{ type = \"excel\", header_row = 0 }");
        assert_eq!(workbook(&[&["Id", "Name"], &["2", "b"]]), "{ type = \"excel\" }");
    }

    #[test]
    fn what_nests_in_one_record_and_is_null_in_another_is_guessed_by_its_values() {
        let guess = infer(br#"[{"id":1,"to":null},{"id":2,"to":{"zip":"01","at":{"x:y":"b"}}}]"#).unwrap();
        assert_eq!(guess.fields.iter().map(|field| field.source.as_str()).collect::<Vec<_>>(), ["id", "to/zip", "to/at/'x:y'"]);
        let xml = b"<D xmlns:i='urn:i'><R><First_x0020_Name i:nil='true'/><No>1</No></R><R><First_x0020_Name>A</First_x0020_Name></R></D>";
        assert_eq!(fields(&infer(xml).unwrap()).iter().map(|(_, name, _)| *name).collect::<Vec<_>>(), ["FIRST_NAME", "NO"]);
        let error =
            infer(b"<a:D xmlns:a='a' xmlns:b='b'><a:R><a:Id>1</a:Id><b:Id>2</b:Id></a:R><a:R><a:Id>2</a:Id></a:R></a:D>").unwrap_err();
        assert!(error.contains("Id stands several times"), "{error}");
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
    fn a_header_with_a_name_twice_is_one_and_its_columns_go_by_number() {
        let guess = infer(b"ID,Name,Name\n1,x,y\n2,z,y\n").unwrap();
        assert_eq!(guess.format, "{ type = \"csv\" }");
        let found: Vec<_> = guess.fields.iter().map(|field| (field.source.as_str(), field.numbered, field.name.as_str())).collect();
        assert_eq!(found, [("ID", false, "ID"), ("2", true, "NAME"), ("3", true, "NAME2")]);
        assert!(infer(b"NL,NL,Ede\nDE,NL,Ulm\n").unwrap().format.contains("header = false"));
    }

    #[test]
    fn numbers_that_may_be_grouped_or_have_decimals_are_noted() {
        let note = |values: [&str; 2]| {
            let guess = infer(format!("A;B\na;{}\nb;{}\n", values[0], values[1]).as_bytes()).unwrap();
            (guess.fields[1].mapping.clone(), guess.notes.into_iter().find(|note| note.contains("thousands")))
        };
        for (values, mapping, said) in [
            (["1,234", "2,500"], ", thousands_separator = \",\"", Some("as in 1,234: ask the sender; groups of three digits are written")),
            (["1.234", "2.500"], "", Some("as in 1.234: ask the sender; decimals are written")),
            (["1.234", "7"], "", Some("as in 1.234")),
            (["1.234", "2.50"], "", None),
            (["1,234", "2,50"], ", decimal_separator = \",\"", None),
            (["1.234,5", "2.500"], ", decimal_separator = \",\", thousands_separator = \".\"", None),
            (["0.125", "0.250"], "", None),
        ] {
            let (found, noted) = note(values);
            assert_eq!(found, mapping, "{values:?}");
            assert_eq!(noted.is_some(), said.is_some(), "{values:?}: {noted:?}");
            assert!(said.is_none_or(|said| noted.unwrap().contains(said)), "{values:?}");
        }
    }

    #[test]
    fn qualified_values_may_hold_delimiters_and_words_for_no_value() {
        let guess = infer(
            b"Prices of today\n\n\"Id\",\"Price\",\"Note\"\n\"1\",\"70,02 x\",\"NULL\"\n\"2\",\"7,5 y\",\"NULL\"\n\"3\",\"8,1\",\"NULL\"\n",
        )
        .unwrap();
        assert_eq!(guess.format, "{ type = \"csv\", skip_first = 2 }");
        assert_eq!(guess.fields[2].kind, "type = \"string\", length = 10");
        assert_eq!(infer(b"id,n\n1,NULL\n2,5\n").unwrap().format, "{ type = \"csv\", nulls = [\"NULL\"] }");
    }

    #[test]
    fn a_header_may_have_cells_that_are_no_names_by_themselves_and_both_ways_are_noted() {
        let said = |sample: &str| {
            let guess = infer(sample.as_bytes()).unwrap();
            let note = |words: &str| guess.notes.iter().any(|note| note.contains(words));
            (!guess.format.contains("header = false"), note("would be no name elsewhere"), note("taken for a row"))
        };
        let (named, tolerated, row) = ((true, false, false), (true, true, false), (false, false, true));
        for (sample, expected) in [
            ("ID;Name\n1;x\n2;y\n", named),
            ("ID;#;Name\n1;5;x\n2;6;y\n", tolerated),
            ("ID;-;*;Name;Town\n1;a;5;x;z\n2;-b;6;y;z\n", tolerated),
            ("ID;true;Name\n1;5;x\n2;6;y\n", tolerated),
            ("Article;2023;2024\nA;100;200\nB;120;90\n", tolerated),
            ("ID;2024;Name\n1;5;x\n2;2024;y\n", tolerated),
            ("1;Smith;Berlin\n2;Jones;Hamburg\n", row),
            ("Smith;-;Berlin\nJones;12;Hamburg\n", row),
            ("Smith;12;Berlin\nJones;n/a;Hamburg\n", row),
            ("Smith;true;Berlin;3\nJones;false;Ulm;4\n", row),
            ("Smith;12;Berlin\nJones;12.5;Hamburg\n", row),
            ("Smith;1950\nJones;17\n", row),
            ("Smith;2023;2024\nJones;2022;2021\n", row),
            ("x;1;#;5\ny;2;7;6\n", row),
        ] {
            assert_eq!(said(sample), expected, "{sample}");
        }
        let fields = infer(b"ID;#;2024;Name\n1;5;7;x\n2;6;8;y\n").unwrap().fields;
        let found: Vec<_> = fields.iter().map(|field| (field.source.as_str(), field.name.as_str(), field.numbered)).collect();
        assert_eq!(found, [("ID", "ID", false), ("#", "C", false), ("2024", "C2024", false), ("Name", "NAME", false)]);
    }

    #[test]
    fn colons_in_times_delimit_nothing() {
        let guess = infer(b"AED\tDirham\t2019-04-30 00:00:00.000\nAFA\tAfghani\t2019-04-30 00:00:00.000\n").unwrap();
        assert_eq!(guess.format, "{ type = \"csv\", delimiter = \"\\t\", header = false }");
        assert!(infer(b"a:b\n1:x\n").unwrap().format.contains("delimiter = \":\""));
        assert_eq!(infer(b"sep=;\nA;B\n1;x\n").unwrap().format, "{ type = \"csv\", delimiter = \";\" }");
    }

    #[test]
    fn what_stands_several_times_in_a_record_is_left_out_and_noted() {
        let json = br#"[{"id":1,"lines":[{"x":1}],"tag":"a"},{"id":2,"lines":[],"tag":["b","c"]}]"#;
        let xml = b"<D><R><Id>1</Id><B>x</B><B>y</B></R><R><Id>2</Id><L><x>1</x></L><L><x>2</x></L></R><R><Id>3</Id></R></D>";
        for (sample, sources, left) in [(&json[..], &["id"][..], &["lines", "tag"][..]), (xml, &["Id"], &["B", "L"])] {
            let guess = infer(sample).unwrap();
            assert_eq!(guess.fields.iter().map(|field| field.source.as_str()).collect::<Vec<_>>(), sources, "{guess:?}");
            for path in left {
                assert!(guess.notes.iter().any(|note| note.starts_with(&format!("{path} stands several times"))), "{:?}", guess.notes);
            }
        }
    }

    #[test]
    fn a_sample_that_is_cut_in_its_last_line_and_one_that_cannot_be_read_are_told_as_that() {
        let guess = infer(b"dept,empno,name\nA,1,x\nA,2,y\nB,3,z\nB,4,zz\nB,5,q\nB").unwrap();
        assert_eq!((guess.key.as_slice(), guess.records), (&[1][..], 5));
        let error = infer(b"id,name,town\n1,\"Smith \\\"the\\\" John\",Ulm\n").unwrap_err();
        assert!(error.starts_with("no record of the sample can be read: line 2: text stands behind the closing qualifier"), "{error}");
        let note = |sample: &[u8]| infer(sample).unwrap().notes.iter().any(|note| note.contains("all columns are texts"));
        assert!(note(b"Meier,Anna,x\nSmith,Bob,y\nJones,Ada,z\n"));
        assert!(!note(b"id,name\n1,x\n2,y\n"));
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
