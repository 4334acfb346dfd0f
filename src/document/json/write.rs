//! Writes records as JSON objects, and the file of refused records with two members more that say why.

use std::fmt::Write as _;
use std::sync::Arc;

use crate::document::encoding::{encode, mark};
use crate::document::record::Frame;
use crate::document::tree::{Kind, NodeId, Tree};
use crate::document::write::Unwritable;
use crate::model::entity::FieldKind;
use crate::model::format::JsonFormat;

/// Appends records as objects.
pub struct Writer {
    format: JsonFormat,
    names: Vec<String>,
    /// Numbers and booleans stand without quotes.
    bare: Vec<bool>,
    first: bool,
    line: String,
}

impl Writer {
    /// A writer of records with these columns.
    pub fn new(format: &JsonFormat, columns: &[&str], kinds: &[&FieldKind]) -> Writer {
        let bare = |kind: &&FieldKind| matches!(kind, FieldKind::Integer | FieldKind::Decimal { .. } | FieldKind::Boolean);
        let names = columns.iter().map(|column| quoted(column)).collect();
        Writer { format: format.clone(), names, bare: kinds.iter().map(bare).collect(), first: true, line: String::new() }
    }

    /// The member that the array of records stands in, outermost first.
    fn outer(&self) -> Vec<String> {
        let steps = self.format.record.as_ref().map_or("", |path| path.text());
        steps.split('/').filter(|step| !step.is_empty()).map(quoted).collect()
    }

    /// What a document begins with.
    pub fn begin(&mut self, into: &mut Vec<u8>) {
        mark(self.format.encoding, into);
        if !self.format.lines {
            let outer: String = self.outer().iter().map(|name| format!("{{{name}:")).collect();
            push(&format!("{outer}[\n"), self.format.encoding, into);
        }
    }

    /// Appends a record; `None` is null.
    pub fn record<'a>(&mut self, values: impl IntoIterator<Item = Option<&'a str>>, into: &mut Vec<u8>) -> Result<(), Unwritable> {
        self.line.clear();
        if !std::mem::take(&mut self.first) && !self.format.lines {
            self.line.push_str(",\n");
        }
        self.line.push('{');
        for (at, ((name, bare), value)) in self.names.iter().zip(&self.bare).zip(values).enumerate() {
            if at > 0 {
                self.line.push(',');
            }
            self.line.push_str(name);
            self.line.push(':');
            match value {
                None => self.line.push_str("null"),
                // Text is told from no value by its quotes.
                Some(value) if *bare && self.format.nulls.iter().any(|null| null == value) => {
                    return Err(Unwritable::Null { value: value.to_owned() });
                }
                Some("Yes") if *bare => self.line.push_str("true"),
                Some("No") if *bare => self.line.push_str("false"),
                Some(value) if *bare => self.line.push_str(value),
                Some(value) => quote(value, &mut self.line),
            }
        }
        self.line.push('}');
        if self.format.lines {
            self.line.push('\n');
        }
        push(&self.line, self.format.encoding, into);
        Ok(())
    }

    /// What a document ends with.
    pub fn end(&mut self, into: &mut Vec<u8>) {
        if !self.format.lines {
            push(&format!("\n]{}\n", "}".repeat(self.outer().len())), self.format.encoding, into);
        }
    }
}

fn quoted(text: &str) -> String {
    let mut out = String::new();
    quote(text, &mut out);
    out
}

fn quote(text: &str, into: &mut String) {
    into.push('"');
    for c in text.chars() {
        match c {
            '"' => into.push_str("\\\""),
            '\\' => into.push_str("\\\\"),
            '\n' => into.push_str("\\n"),
            '\r' => into.push_str("\\r"),
            '\t' => into.push_str("\\t"),
            c if c.is_control() || c == '\u{ffff}' => {
                let _ = write!(into, "\\u{:04x}", u32::from(c));
            }
            c => into.push(c),
        }
    }
    into.push('"');
}

/// Text in an encoding; a character that it lacks is written as an escape.
fn push(text: &str, encoding: &'static encoding_rs::Encoding, into: &mut Vec<u8>) {
    let from = into.len();
    if encode(text, encoding, into).is_ok() {
        return;
    }
    into.truncate(from);
    for c in text.chars() {
        if encode(c.encode_utf8(&mut [0; 4]), encoding, into).is_err() {
            // Only inside of quotes can such a character stand.
            c.encode_utf16(&mut [0; 2]).iter().for_each(|unit| into.extend_from_slice(format!("\\u{unit:04x}").as_bytes()));
        }
    }
}

/// An object that records stand in: its members before the one that leads to them, and what closes it.
pub fn frame(tree: &Tree, id: NodeId, inner: NodeId) -> (String, String) {
    let mut before = "{".to_owned();
    let mut names: Vec<&str> = Vec::new();
    for child in tree.children(id).take_while(|child| *child != inner) {
        if tree.kind(child) == Kind::Element && tree.name(child) != tree.name(inner) && !names.contains(&tree.name(child)) {
            names.push(tree.name(child));
            member(tree, id, tree.name(child), &mut before);
            before.push(',');
        }
    }
    let _ = write!(before, "{}:[", quoted(tree.name(inner)));
    (before, "]}".into())
}

/// A member with its value: an array when there are more elements of its name.
fn member(tree: &Tree, id: NodeId, name: &str, into: &mut String) {
    let all: Vec<NodeId> = tree.children(id).filter(|child| tree.kind(*child) == Kind::Element && tree.name(*child) == name).collect();
    let _ = write!(into, "{}:", quoted(name));
    let values: Vec<String> = all.iter().map(|child| value(tree, *child)).collect();
    match values.as_slice() {
        [one] => into.push_str(one),
        more => {
            let _ = write!(into, "[{}]", more.join(","));
        }
    }
}

fn value(tree: &Tree, id: NodeId) -> String {
    let mut out = String::new();
    match tree.children(id).next() {
        None => out.push_str("null"),
        Some(text) if tree.kind(text) == (Kind::Text { exact: false }) => out.push_str(tree.value(text)),
        Some(text) if tree.kind(text) == (Kind::Text { exact: true }) => quote(tree.value(text), &mut out),
        Some(_) => {
            let mut names: Vec<&str> = Vec::new();
            out.push('{');
            for child in tree.children(id) {
                if !names.contains(&tree.name(child)) {
                    if !names.is_empty() {
                        out.push(',');
                    }
                    names.push(tree.name(child));
                    member(tree, id, tree.name(child), &mut out);
                }
            }
            out.push('}');
        }
    }
    out
}

/// The file of refused records: in the objects and arrays that the document had them in, each with two members more.
pub struct Refused {
    encoding: &'static encoding_rs::Encoding,
    lines: bool,
    begun: bool,
    open: Vec<Frame>,
}

impl Refused {
    /// In this encoding.
    pub fn new(encoding: &'static encoding_rs::Encoding, lines: bool) -> Refused {
        Refused { encoding, lines, begun: false, open: Vec::new() }
    }

    /// Adds a record.
    pub fn record(&mut self, line: u64, raw: &[u8], frames: Option<&Arc<Vec<Frame>>>, reasons: &str, into: &mut Vec<u8>) {
        let first = !std::mem::replace(&mut self.begun, true);
        if first {
            mark(self.encoding, into);
        }
        let raw = String::from_utf8_lossy(raw);
        if self.lines {
            push(&format!("{}\n", self.marked(&raw.replace(['\r', '\n'], " "), line, reasons)), self.encoding, into);
            return;
        }
        let mut text = String::new();
        // The outermost frame is one of an array, so that there may be more of them.
        let frames = frames.map_or(&[][..], |frames| frames.as_slice());
        let same = self.open.iter().zip(frames).take_while(|(one, other)| one.number == other.number).count();
        if first {
            text.push_str("[\n");
        }
        while self.open.len() > same {
            text.push_str(&self.open.pop().expect("there are more").after);
        }
        if !first {
            text.push_str(",\n");
        }
        for frame in &frames[same..] {
            text.push_str(&frame.before);
            self.open.push(frame.clone());
        }
        text.push_str(&self.marked(&raw, line, reasons));
        push(&text, self.encoding, into);
    }

    /// The record with two members more; what is no object is put into one.
    fn marked(&self, raw: &str, line: u64, reasons: &str) -> String {
        let members = format!("\"Entrepot line\":{line},\"Entrepot reason\":{}", quoted(reasons));
        match raw.trim_end().strip_suffix('}').filter(|raw| raw.starts_with('{')) {
            Some(open) if open[1..].trim().is_empty() => format!("{{{members}}}"),
            Some(open) => format!("{open},{members}}}"),
            // A line that is no JSON is shown as it is.
            None if self.lines => raw.to_owned(),
            None => format!("{{\"value\":{raw},{members}}}"),
        }
    }

    /// Closes what is open.
    pub fn end(&mut self, into: &mut Vec<u8>) {
        if !self.begun || self.lines {
            return;
        }
        let mut text: String = self.open.drain(..).rev().map(|frame| frame.after).collect();
        text.push_str("\n]\n");
        push(&text, self.encoding, into);
    }
}
