//! Writes records as JSON objects, and the file of refused records with two members more that say why.

use std::fmt::Write as _;
use std::sync::Arc;

use encoding_rs::Encoding;

use crate::document::collect::Inner;
use crate::document::encoding::{encode_sent, encode_spelled, mark};
use crate::document::read::Origin;
use crate::document::record::Frame;
use crate::document::refused::mended::{all_words_in, words_in};
use crate::document::refused::{LINE, REASON};
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

/// A value as it stands in the document, but for its quotes.
fn spelled(value: &str, bare: bool) -> &str {
    match value {
        "Yes" if bare => "true",
        "No" if bare => "false",
        value => value,
    }
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
        self.format.record.iter().flat_map(|path| path.names()).map(|name| quoted(&name.local)).collect()
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
                Some(value) if self.format.nulls.iter().any(|null| null == spelled(value, *bare)) => {
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
fn push(text: &str, encoding: &'static Encoding, into: &mut Vec<u8>) {
    encode_spelled(text, encoding, escape, into);
}

/// Only inside of quotes can such a character stand.
fn escape(c: char) -> String {
    c.encode_utf16(&mut [0; 2]).iter().map(|unit| format!("\\u{unit:04x}")).collect()
}

/// An object that records stand in: its members before the one that leads to them, that one's name, and what closes it.
pub fn frame(tree: &Tree, id: NodeId, inner: Inner) -> Frame {
    let mut before = "{".to_owned();
    let mut names: Vec<&str> = Vec::new();
    for child in tree.children(id).take_while(|child| *child != inner.id) {
        if tree.kind(child) == Kind::Element && tree.name(child) != tree.name(inner.id) && !names.contains(&tree.name(child)) {
            names.push(tree.name(child));
            member(tree, id, tree.name(child), &mut before);
            before.push(',');
        }
    }
    let (open, close) = if inner.item { ("[", "]") } else { ("", "") };
    let link = format!("{}:{open}", quoted(tree.name(inner.id)));
    Frame { number: 0, before, link, after: format!("{close}}}") }
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
    encoding: &'static Encoding,
    marked: bool,
    lines: bool,
    /// The document is an array.
    array: bool,
    /// What ends lines.
    end: &'static str,
    begun: bool,
    open: Vec<Frame>,
}

impl Refused {
    /// As the document was written.
    pub fn new(origin: &Origin, lines: bool) -> Refused {
        Refused {
            encoding: origin.encoding,
            marked: origin.marked,
            lines,
            array: origin.array,
            end: origin.line_end(),
            begun: false,
            open: Vec::new(),
        }
    }

    /// Adds a record.
    pub fn record(&mut self, line: u64, raw: &[u8], frames: Option<&Arc<Vec<Frame>>>, reasons: &str, into: &mut Vec<u8>) {
        let first = !std::mem::replace(&mut self.begun, true);
        if first {
            match self.marked {
                true => encode_sent("\u{feff}", self.encoding, escape, into),
                false => mark(self.encoding, into),
            }
        }
        let raw = String::from_utf8_lossy(raw);
        let ours = format!("\"{LINE}\":{line},\"{REASON}\":{}", quoted(reasons));
        let mut text = String::new();
        let frames = frames.map_or(&[][..], |frames| frames.as_slice());
        if self.lines {
            let raw = raw.replace(['\r', '\n'], " ");
            let whole = marked(&raw, &ours);
            if whole.is_none() {
                // Our words on a line of their own stand before what the record stands in.
                text.extend(["{", &*ours, "}", self.end]);
            }
            frames.iter().for_each(|frame| text.extend([&*frame.before, &*frame.link]));
            text.push_str(whole.as_deref().unwrap_or(&raw));
            frames.iter().rev().for_each(|frame| text.push_str(&frame.after));
            text.push_str(self.end);
            return encode_sent(&text, self.encoding, escape, into);
        }
        let same = self.open.iter().zip(frames).take_while(|(one, other)| one.number == other.number).count();
        if first && self.array {
            text.push('[');
            text.push_str(self.end);
        }
        while self.open.len() > same {
            text.push_str(&self.open.pop().expect("there are more").after);
        }
        if !first {
            if let Some((open, frame)) = self.open.last_mut().zip(frames.get(same.wrapping_sub(1)))
                && (open.link != frame.link || !frame.link.ends_with('['))
            {
                // Another member of the same object.
                text.push_str(open.after.strip_suffix('}').unwrap_or_default());
                text.push(',');
                text.push_str(self.end);
                text.push_str(&frame.link);
                open.clone_from(frame);
            } else {
                text.push(',');
                text.push_str(self.end);
            }
        }
        for frame in &frames[same..] {
            text.push_str(&frame.before);
            text.push_str(&frame.link);
            self.open.push(frame.clone());
        }
        let in_array = frames.last().map_or(self.array, |frame| frame.link.ends_with('['));
        match marked(&raw, &ours) {
            Some(whole) => text.push_str(&whole),
            None if in_array => text.push_str(&format!("{{{ours}}},{}{raw}", self.end)),
            // One value where records should stand may be an array of them.
            None => text.push_str(&format!("[{{{ours}}},{}{raw}]", self.end)),
        }
        encode_sent(&text, self.encoding, escape, into);
    }

    /// Closes what is open.
    pub fn end(&mut self, into: &mut Vec<u8>) {
        if !self.begun || self.lines {
            return;
        }
        let mut text: String = self.open.drain(..).rev().map(|frame| frame.after).collect();
        if self.array {
            text.push_str(self.end);
            text.push(']');
        }
        text.push_str(self.end);
        encode_sent(&text, self.encoding, escape, into);
    }
}

/// The record with our two members; nothing when it is no object, or has no member of its own. Then ours stand in an object before it.
fn marked(raw: &str, ours: &str) -> Option<String> {
    let own = own_members(inside(raw.trim_end())?)?;
    (!own.is_empty()).then(|| format!("{{{},{ours}}}", own.join(",")))
}

/// What stands between the braces of an object.
fn inside(raw: &str) -> Option<&str> {
    raw.strip_suffix('}')?.strip_prefix('{')
}

/// The members of an object but for ours of an earlier time; `None` when it is none.
fn own_members(inside: &str) -> Option<Vec<&str>> {
    Some(members(inside)?.into_iter().filter(|member| ![LINE, REASON].into_iter().any(|ours| value_of(member, ours).is_some())).collect())
}

/// The value of a member that has this name.
fn value_of<'m>(member: &'m str, name: &str) -> Option<&'m str> {
    Some(member.trim_start().strip_prefix('"')?.strip_prefix(name)?.strip_prefix('"')?.trim_start().strip_prefix(':')?.trim())
}

/// The members of an object; `None` when it is none.
fn members(inside: &str) -> Option<Vec<&str>> {
    let (mut members, mut start, mut depth) = (Vec::new(), 0, 0usize);
    let (mut quoted, mut escaped) = (false, false);
    for (at, byte) in inside.bytes().enumerate() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' => escaped = quoted,
            b'"' => quoted = !quoted,
            _ if quoted => {}
            b'{' | b'[' => depth += 1,
            b'}' | b']' => depth = depth.checked_sub(1)?,
            b',' if depth == 0 => {
                members.push(&inside[start..at]);
                start = at + 1;
            }
            _ => {}
        }
    }
    members.push(&inside[start..]);
    let blank = members.len() == 1 && members[0].trim().is_empty();
    let whole = depth == 0 && !quoted && (blank || members.iter().all(|member| !member.trim().is_empty()));
    if blank {
        members.clear();
    }
    whole.then_some(members)
}

/// In a file of refused records: the line that a record says it stood on.
pub fn line_told(raw: &[u8]) -> Option<u64> {
    words_in(raw)?;
    let members = members(inside(std::str::from_utf8(raw).ok()?.trim())?)?;
    members.into_iter().find_map(|member| value_of(member, LINE))?.parse().ok()
}

/// The reason that stands beside it.
pub fn reason_told(raw: &[u8]) -> Option<&str> {
    members(inside(std::str::from_utf8(raw).ok()?.trim())?)?.into_iter().find_map(|member| value_of(member, REASON))
}

/// Whether what is read ahead has such records: both members stand there, one behind the other.
pub fn is_told_in(ahead: &[u8]) -> bool {
    let followed = |at: usize| {
        let rest = ahead[at + LINE.len()..].strip_prefix(b"\"")?.trim_ascii_start().strip_prefix(b":")?.trim_ascii_start();
        let digits = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
        let rest = rest[digits..].trim_ascii_start().strip_prefix(b",")?.trim_ascii_start().strip_prefix(b"\"")?;
        (digits > 0 && rest.starts_with(REASON.as_bytes())).then_some(())
    };
    all_words_in(ahead).any(|at| ahead[..at].ends_with(b"\"") && followed(at).is_some())
}

/// Whether there is nothing in a record but what we added: it says why the line behind it is refused.
pub fn is_reason_alone(raw: &[u8]) -> bool {
    let text = std::str::from_utf8(raw).unwrap_or_default().trim();
    line_told(raw).is_some() && inside(text).and_then(own_members).is_some_and(|own| own.is_empty())
}
