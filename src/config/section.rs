//! Reads one table of the file, key by key, noting every problem with its place. What is not asked for is an unknown key.

use std::cell::RefCell;
use std::ops::Range;
use std::rc::Rc;
use std::str::FromStr;
use std::sync::LazyLock;
use std::time::Duration;

use chrono_tz::Tz;
use toml_edit::{InlineTable, Item, TableLike, Value};

use super::problem::{Problem, suggest};
use crate::model::id::parse_guid;
use crate::model::nearest::nearest;

/// Collects problems of a whole file.
#[derive(Clone)]
pub(super) struct Report {
    text: Rc<str>,
    problems: Rc<RefCell<Vec<Problem>>>,
    /// What stands in the file and could not be read, as kind and name: that others do not find it is only a consequence.
    broken: Rc<RefCell<Vec<(&'static str, String)>>>,
    /// Every key that was asked for, after the place of its table: what the schema must know.
    #[cfg(test)]
    pub asked: Rc<RefCell<std::collections::BTreeSet<(String, &'static str)>>>,
}

impl Report {
    pub fn new(text: &str) -> Report {
        Report {
            text: text.into(),
            problems: Rc::default(),
            broken: Rc::default(),
            #[cfg(test)]
            asked: Rc::default(),
        }
    }

    pub fn add(&self, span: Option<Range<usize>>, key: &str, message: impl Into<String>, hint: impl Into<String>, warning: bool) {
        let (line, column) = self.place(span);
        self.problems.borrow_mut().push(Problem { line, column, key: key.to_owned(), message: message.into(), hint: hint.into(), warning });
    }

    fn place(&self, span: Option<Range<usize>>) -> (usize, usize) {
        let Some(before) = span.and_then(|span| self.text.get(..span.start)) else { return (0, 0) };
        let start = before.rfind('\n').map_or(0, |at| at + 1);
        (before.matches('\n').count() + 1, before[start..].chars().count() + 1)
    }

    pub fn take(self) -> Vec<Problem> {
        let mut problems = self.problems.take();
        problems.sort_by_key(|problem| (problem.line, problem.column));
        problems
    }
}

/// One table, in the order in which its keys are asked for.
pub(super) struct Section<'a> {
    pub path: String,
    /// The path without positions and names: `project.entity.format`.
    place: String,
    pub span: Option<Range<usize>>,
    table: &'a dyn TableLike,
    report: Report,
    asked: RefCell<Vec<&'static str>>,
    /// Nothing here is judged.
    passed_over: RefCell<bool>,
}

impl<'a> Section<'a> {
    /// The whole file.
    pub fn root(table: &'a dyn TableLike, report: &Report) -> Section<'a> {
        Section {
            path: String::new(),
            place: String::new(),
            span: Some(0..0),
            table,
            report: report.clone(),
            asked: RefCell::default(),
            passed_over: RefCell::default(),
        }
    }

    fn inner(&self, name: &str, table: &'a dyn TableLike, span: Option<Range<usize>>, path: String) -> Section<'a> {
        let place = if self.place.is_empty() { name.to_owned() } else { format!("{}.{name}", self.place) };
        Section { path, place, span, table, report: self.report.clone(), asked: RefCell::default(), passed_over: RefCell::default() }
    }

    pub fn has(&self, name: &str) -> bool {
        self.table.contains_key(name)
    }

    pub fn key(&self, name: &str) -> String {
        match (self.path.as_str(), name) {
            ("", name) => name.to_owned(),
            (path, "") => path.to_owned(),
            (path, name) => format!("{path}.{name}"),
        }
    }

    pub fn problem(&self, name: &str, message: impl Into<String>, hint: impl Into<String>) {
        self.report.add(self.span_of(name), &self.key(name), message, hint, false);
    }

    pub fn warning(&self, name: &str, message: impl Into<String>, hint: impl Into<String>) {
        self.report.add(self.span_of(name), &self.key(name), message, hint, true);
    }

    fn span_of(&self, name: &str) -> Option<Range<usize>> {
        self.table.get(name).and_then(Item::span).or_else(|| self.span.clone())
    }

    pub fn item(&self, name: &'static str) -> Option<&'a Item> {
        self.asked.borrow_mut().push(name);
        #[cfg(test)]
        self.report.asked.borrow_mut().insert((self.place.clone(), name));
        self.table.get(name).filter(|item| !item.is_none())
    }

    fn expected(&self, name: &str, item: &Item, what: &str, example: &str) {
        let key = if name.is_empty() || name.contains(' ') { "key" } else { name };
        self.problem(name, format!("found {}, expected {what}", item.type_name()), format!("as in {key} = {example}"));
    }

    /// Something of this kind and name stands in the file and has a problem of its own.
    pub fn is_broken(&self, kind: &'static str, name: &str) {
        self.report.broken.borrow_mut().push((kind, name.to_lowercase()));
    }

    /// There is nothing of this kind and name. Nothing more is said where it stands in the file and has a problem of its own.
    pub fn not_found<'n>(&self, key: &str, kind: &'static str, name: &str, message: String, known: impl IntoIterator<Item = &'n str>) {
        if !self.knows_broken(kind, name) {
            self.problem(key, message, suggest(name, known));
        }
    }

    /// Whether something of this kind and name has a problem of its own.
    pub fn knows_broken(&self, kind: &'static str, name: &str) -> bool {
        let name = name.to_lowercase();
        self.report.broken.borrow().iter().any(|(one, other)| *one == kind && *other == name)
    }

    /// A key that belongs elsewhere.
    pub fn misplaced(&self, name: &'static str, message: &str, hint: &str) {
        if self.has(name) {
            self.asked.borrow_mut().push(name);
            self.problem(name, message, hint);
        }
    }

    /// Text, with `${NAME}` taken from the environment and `$$` for a dollar.
    pub fn text(&self, name: &'static str) -> Option<String> {
        let item = self.item(name)?;
        match item.as_str() {
            Some(text) => self.expand(name, text),
            None => {
                self.expected(name, item, "text in quotes", "\"…\"");
                None
            }
        }
    }

    /// A text of this section, which stands under some other key, with `${NAME}` taken from the environment.
    pub fn expand(&self, name: &str, text: &str) -> Option<String> {
        let (mut out, mut rest) = (String::new(), text);
        while let Some(at) = rest.find('$') {
            out.push_str(&rest[..at]);
            let tail = &rest[at + 1..];
            if let Some(after) = tail.strip_prefix('$') {
                out.push('$');
                rest = after;
            } else if let Some((variable, after)) = tail.strip_prefix('{').and_then(|tail| tail.split_once('}')) {
                match std::env::var(variable) {
                    Ok(value) => out.push_str(&value),
                    Err(_) => {
                        self.problem(
                            name,
                            format!("the environment has no variable {variable}"),
                            "set it where the appliance is started, or write $$ for a plain dollar",
                        );
                        return None;
                    }
                }
                rest = after;
            } else {
                out.push('$');
                rest = tail;
            }
        }
        out.push_str(rest);
        Some(out)
    }

    /// Text that must be there, is not blank, is short, and has no control characters.
    pub fn name(&self, name: &'static str) -> Option<String> {
        if !self.has(name) {
            self.asked.borrow_mut().push(name);
            #[cfg(test)]
            self.report.asked.borrow_mut().insert((self.place.clone(), name));
            self.report.add(self.span.clone(), &self.key(name), "it is missing", format!("add {name} = \"…\""), false);
            return None;
        }
        let text = self.text(name)?;
        if text.trim().is_empty() || text.chars().count() > 200 || text.chars().any(char::is_control) {
            self.problem(name, "a name has 1 to 200 characters and no control characters", "write another");
            return None;
        }
        Some(text)
    }

    pub fn boolean(&self, name: &'static str, default: bool) -> bool {
        match self.item(name) {
            None => default,
            Some(item) => item.as_bool().unwrap_or_else(|| {
                self.expected(name, item, "true or false, without quotes", "true");
                default
            }),
        }
    }

    pub fn integer(&self, name: &'static str, bounds: std::ops::RangeInclusive<i64>) -> Option<i64> {
        let item = self.item(name)?;
        match item.as_integer() {
            Some(value) if bounds.contains(&value) => Some(value),
            Some(value) => {
                self.problem(name, format!("{value} is out of bounds"), format!("choose {} to {}", bounds.start(), bounds.end()));
                None
            }
            None => {
                self.expected(name, item, "a whole number, without quotes", "10");
                None
            }
        }
    }

    pub fn texts(&self, name: &'static str) -> Option<Vec<String>> {
        let item = self.item(name)?;
        let texts = item
            .as_array()
            .map(|array| array.iter().map(|value| value.as_str().and_then(|text| self.expand(name, text))).collect::<Option<Vec<_>>>());
        match texts {
            Some(Some(texts)) => Some(texts),
            _ => {
                self.expected(name, item, "a list of texts", "[\"…\", \"…\"]");
                None
            }
        }
    }

    /// A duration: `30m`, `1h30m`, `7d`, `500ms`.
    pub fn duration(&self, name: &'static str, default: Duration, bounds: std::ops::RangeInclusive<Duration>) -> Duration {
        let Some(text) = self.text(name) else { return default };
        match parse_duration(&text) {
            Some(value) if bounds.contains(&value) => value,
            Some(_) => {
                self.problem(name, format!("\"{text}\" is out of bounds"), format!("choose {:?} to {:?}", bounds.start(), bounds.end()));
                default
            }
            None => {
                self.problem(name, format!("\"{text}\" is no duration"), "write a number and a unit, as in 30s, 30m, 1h30m, 7d");
                default
            }
        }
    }

    /// A size: `2GiB`, `64KiB`, `10MB`, or bytes.
    pub fn size(&self, name: &'static str, default: u64, bounds: std::ops::RangeInclusive<u64>) -> u64 {
        let value = match self.item(name) {
            None => return default,
            Some(item) if item.is_integer() => item.as_integer().and_then(|value| u64::try_from(value).ok()),
            Some(_) => self.text(name).and_then(|text| parse_size(&text)),
        };
        match value {
            Some(value) if bounds.contains(&value) => value,
            Some(value) => {
                self.problem(
                    name,
                    format!("{value} bytes is out of bounds"),
                    format!("choose {} to {} bytes", bounds.start(), bounds.end()),
                );
                default
            }
            None => {
                self.problem(name, "this is no size", "write 2GiB, 64KiB, 10MB, or a number of bytes");
                default
            }
        }
    }

    pub fn section(&self, name: &'static str) -> Option<Section<'a>> {
        let item = self.item(name)?;
        match item.as_table_like() {
            Some(table) => Some(self.inner(name, table, item.span().or_else(|| self.span.clone()), self.key(name))),
            None => {
                self.expected(name, item, "a table", "{ … = … }");
                None
            }
        }
    }

    /// A list of tables, `[[name]]` or `name = [{…}]`.
    pub fn sections(&self, name: &'static str) -> Vec<Section<'a>> {
        let Some(item) = self.item(name) else { return Vec::new() };
        let path = |at: usize, table: &dyn TableLike| match table.get("name").and_then(Item::as_str) {
            Some(called) => format!("{} \"{called}\"", self.key(name)),
            None => format!("{}[{}]", self.key(name), at + 1),
        };
        match item {
            Item::ArrayOfTables(tables) => {
                tables.iter().enumerate().map(|(at, table)| self.inner(name, table, table.span(), path(at, table))).collect()
            }
            Item::Value(Value::Array(array)) if array.iter().all(Value::is_inline_table) => array
                .iter()
                .filter_map(Value::as_inline_table)
                .enumerate()
                .map(|(at, table)| self.inner(name, table, table.span(), path(at, table)))
                .collect(),
            _ => {
                self.expected(name, item, "a list of tables", "[{ … = … }]");
                Vec::new()
            }
        }
    }

    /// A list of texts and tables. A text comes with an empty section, for problems with it.
    pub fn texts_or_sections(&self, name: &'static str) -> Vec<(Section<'a>, Option<String>)> {
        static NOTHING: LazyLock<InlineTable> = LazyLock::new(InlineTable::new);
        let array = match self.item(name) {
            Some(Item::Value(Value::Array(array))) => array,
            Some(item @ Item::Value(_)) => {
                self.expected(name, item, "a list", "[\"…\"]");
                return Vec::new();
            }
            _ => return self.sections(name).into_iter().map(|section| (section, None)).collect(),
        };
        let mut entries = Vec::new();
        for (at, value) in array.iter().enumerate() {
            let path = format!("{}[{}]", self.key(name), at + 1);
            match value {
                Value::String(text) => {
                    let entry = self.inner(name, &*NOTHING, value.span(), path);
                    if let Some(text) = entry.expand("", text.value()) {
                        entries.push((entry, Some(text)));
                    }
                }
                Value::InlineTable(table) => entries.push((self.inner(name, table, value.span(), path), None)),
                other => {
                    let message = format!("found {}, expected text or a table", other.type_name());
                    self.report.add(other.span(), &path, message, "as in \"…\" or { … = … }", false);
                }
            }
        }
        entries
    }

    /// Text as it stands.
    pub fn verbatim(&self, name: &'static str) -> Option<String> {
        let item = self.item(name)?;
        if item.as_str().is_none() {
            self.expected(name, item, "text in quotes", "\"…\"");
        }
        item.as_str().map(str::to_owned)
    }

    /// The place in the file of a line and column of a text that stands there as it is, in `'''` best.
    pub fn inside(&self, name: &str, line: u32, column: u32) -> Option<Range<usize>> {
        let span = self.table.get(name)?.span()?;
        let written = self.report.text.get(span.clone())?;
        let quotes = if written.starts_with("'''") || written.starts_with("\"\"\"") { 3 } else { 1 };
        let content = &written[quotes..];
        // A line end directly after the quotes is no part of the text (TOML 1.0, "String").
        let first = content.strip_prefix("\r\n").or_else(|| content.strip_prefix('\n')).unwrap_or(content);
        let start = span.start + written.len() - first.len();
        let before: usize = first.split_inclusive('\n').take(line.saturating_sub(1) as usize).map(str::len).sum();
        let rest = first.get(before..)?;
        let within: usize = rest.chars().take(column.saturating_sub(1) as usize).map(char::len_utf8).sum();
        let at = (start + before + within).min(span.end);
        Some(at..at)
    }

    /// A problem or a warning at a place of its own, if it has one.
    pub fn told_at(&self, span: Option<Range<usize>>, name: &str, message: String, hint: String, warning: bool) {
        self.report.add(span.or_else(|| self.span_of(name)), &self.key(name), message, hint, warning);
    }

    /// A key of DESIGN §3 that this version does not have yet: never passed over in silence.
    pub fn later(&self, name: &'static str) {
        self.asked.borrow_mut().push(name);
        if self.table.contains_key(name) {
            self.problem(name, "this is not available in this version", "take it out");
        }
    }

    /// Entries of a table whose keys are the user's own, as texts.
    pub fn pairs(&self, name: &'static str) -> Vec<(String, String)> {
        let Some(section) = self.section(name) else { return Vec::new() };
        section
            .table
            .iter()
            .filter_map(|(key, item)| match item.as_str() {
                Some(value) => Some((key.to_owned(), value.to_owned())),
                None => {
                    self.problem(name, format!("\"{key}\" is {}, expected text", item.type_name()), "write it in quotes");
                    None
                }
            })
            .collect()
    }

    pub fn keys(&self) -> Vec<(&'a str, &'a Item)> {
        self.table.iter().collect()
    }

    /// A GUID, in any spelling that clients use.
    pub fn guid<T: From<uuid::Uuid>>(&self, name: &'static str) -> Option<T> {
        let text = self.name(name)?;
        match parse_guid(&text) {
            Ok(guid) => Some(guid.into()),
            Err(error) => {
                self.problem(name, format!("\"{text}\" is {error}"), "clients of D365 insist on GUIDs");
                None
            }
        }
    }

    /// Names of tables and fields: any SQLite tool can read them, and they are not ours or SQLite's.
    pub fn identifier(&self, name: &'static str) -> Option<String> {
        let text = self.name(name)?;
        let lower = text.to_lowercase();
        if text.contains(['"', '\'', '`', ';', '\\']) || lower.starts_with("sqlite_") || lower.starts_with("entrepot_") {
            self.problem(
                name,
                format!("\"{text}\" cannot be a name in a table"),
                "no quotes, semicolons or backslashes, and not beginning with sqlite_ or entrepot_",
            );
            return None;
        }
        Some(text)
    }

    /// A time zone, by its IANA name.
    pub fn zone(&self, name: &'static str) -> Option<Tz> {
        let text = self.text(name)?;
        let zone = Tz::from_str(&text).ok();
        if zone.is_none() {
            self.problem(
                name,
                format!("there is no time zone \"{text}\""),
                suggest(&text, chrono_tz::TZ_VARIANTS.iter().map(|zone| zone.name()).filter(|name| name.len() > 3)),
            );
        }
        zone
    }

    /// What stands here cannot be judged: no key of it is unknown.
    pub fn pass_over(&self) {
        *self.passed_over.borrow_mut() = true;
    }

    /// Complains about every key that nobody asked for.
    pub fn finish(self) {
        self.judge();
    }

    /// As `finish`, for a section that is only lent.
    pub fn judge(&self) {
        if *self.passed_over.borrow() {
            return;
        }
        let asked = self.asked.borrow();
        for (key, item) in self.table.iter() {
            if !asked.contains(&key) {
                let span = self.table.get_key_value(key).and_then(|(key, _)| key.span()).or_else(|| item.span());
                let known = asked.iter().enumerate().filter(|(at, name)| !asked[..*at].contains(name));
                let known: Vec<&str> = known.map(|(_, name)| *name).collect();
                // That the key lacks which is meant here is no other problem.
                if let Some(meant) = nearest(key, known.iter().copied()).filter(|meant| !self.has(meant)) {
                    let meant = self.key(meant);
                    self.report.problems.borrow_mut().retain(|problem| problem.key != meant);
                }
                self.report.add(span, &self.key(key), "unknown key", suggest(key, known), false);
            }
        }
    }
}

/// `30s`, `1h30m`, `7d`, `500ms`; `None` for anything else.
pub fn parse_duration(text: &str) -> Option<Duration> {
    let (mut total, mut rest) = (Duration::ZERO, text.trim());
    if rest.is_empty() {
        return None;
    }
    while !rest.is_empty() {
        let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
        let number: u64 = rest.get(..digits)?.parse().ok()?;
        let tail = &rest[digits..];
        let unit = tail.bytes().take_while(u8::is_ascii_alphabetic).count();
        let one = match &tail[..unit] {
            "ms" => Duration::from_millis(1),
            "s" => Duration::from_secs(1),
            "m" => Duration::from_secs(60),
            "h" => Duration::from_secs(3600),
            "d" => Duration::from_secs(86_400),
            _ => return None,
        };
        total = total.checked_add(one.checked_mul(u32::try_from(number).ok()?)?)?;
        rest = tail[unit..].trim_start();
    }
    Some(total)
}

pub(super) fn parse_size(text: &str) -> Option<u64> {
    let text = text.trim();
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let number: u64 = text.get(..digits)?.parse().ok()?;
    let unit = match text[digits..].trim().to_ascii_lowercase().as_str() {
        "" | "b" => 1,
        "kib" => 1 << 10,
        "mib" => 1 << 20,
        "gib" => 1 << 30,
        "kb" => 1000,
        "mb" => 1_000_000,
        "gb" => 1_000_000_000,
        _ => return None,
    };
    number.checked_mul(unit)
}
