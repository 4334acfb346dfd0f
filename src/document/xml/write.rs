//! Writes records as XML, and the file of refused records with a comment before each that says why.

use std::fmt::Write as _;
use std::sync::Arc;

use encoding_rs::Encoding;

use crate::document::collect::Inner;
use crate::document::encoding::{encode_sent, encode_spelled, has, mark};
use crate::document::read::{Origin, record_of};
use crate::document::record::Frame;
use crate::document::refused::{REFUSED, TRANSFORMED};
use crate::document::tree::{Kind, NodeId, Tree};
use crate::document::write::Unwritable;
use crate::model::format::{XmlFormat, XmlStyle};
use crate::model::path::{Step, To};

/// Appends records as elements.
pub struct Writer {
    format: XmlFormat,
    /// The elements that records stand in, outermost first.
    around: Vec<String>,
    record: String,
    names: Vec<String>,
    line: String,
}

impl Writer {
    /// A writer of records of this entity with these columns.
    pub fn new(format: &XmlFormat, entity: &str, columns: &[&str]) -> Writer {
        let name_of = |name: &str| name_of(name, format.encoding);
        let mut around: Vec<Option<String>> = record_of(format).steps.iter().map(|step| element(step, name_of)).collect();
        let record = around.pop().flatten().unwrap_or_else(|| name_of(&entity.to_uppercase().replace(' ', "")));
        Writer {
            around: around.into_iter().map(|name| name.unwrap_or_else(|| "Document".into())).collect(),
            record,
            names: columns.iter().map(|column| name_of(column)).collect(),
            format: format.clone(),
            line: String::new(),
        }
    }

    /// What a document begins with.
    pub fn begin(&mut self, into: &mut Vec<u8>) {
        mark(self.format.encoding, into);
        let mut text = format!("<?xml version=\"1.0\" encoding=\"{}\"?>\n", label(self.format.encoding));
        for (at, name) in self.around.iter().enumerate() {
            let _ = write!(text, "<{name}");
            for (prefix, uri) in self.format.namespaces.iter().filter(|_| at == 0) {
                let _ = write!(text, " xmlns:{prefix}=\"");
                // No control character stands in a URI.
                let _ = escape(uri, true, &mut text);
                text.push('"');
            }
            text.push_str(">\n");
        }
        push(&text, self.format.encoding, into);
    }

    /// Appends a record. A value that is `None` is an empty element or attribute, as D365 writes it: what a record says nothing of is kept by who
    /// reads it.
    pub fn record<'a>(&mut self, values: impl IntoIterator<Item = Option<&'a str>>, into: &mut Vec<u8>) -> Result<(), Unwritable> {
        self.line.clear();
        let _ = write!(self.line, "<{}", self.record);
        let element = self.format.style == XmlStyle::Element;
        if element {
            self.line.push('>');
        }
        for (name, value) in self.names.iter().zip(values) {
            if let Some(value) = value.filter(|value| self.format.nulls.iter().any(|null| null == value)) {
                return Err(Unwritable::Null { value: value.to_owned() });
            }
            let (before, after) =
                if element { (format!("<{name}>"), format!("</{name}>")) } else { (format!(" {name}=\""), "\"".to_owned()) };
            self.line.push_str(&before);
            escape(value.unwrap_or_default(), !element, &mut self.line)?;
            self.line.push_str(&after);
        }
        if element {
            let _ = writeln!(self.line, "</{}>", self.record);
        } else {
            self.line.push_str(" />\n");
        }
        push(&self.line, self.format.encoding, into);
        Ok(())
    }

    /// What a document ends with.
    pub fn end(&mut self, into: &mut Vec<u8>) {
        let text: String = self.around.iter().rev().map(|name| format!("</{name}>\n")).collect();
        push(&text, self.format.encoding, into);
    }
}

/// The name that a step of a path is written by; `None` for any.
fn element(step: &Step, name_of: impl Fn(&str) -> String) -> Option<String> {
    let To::Element(name) = &step.to else { return None };
    let local = Some(&name.local).filter(|local| *local != "*").map(|local| name_of(local))?;
    Some(name.prefix.as_ref().map_or(local.clone(), |prefix| format!("{prefix}:{local}")))
}

/// A name that XML allows: blanks become underscores, which make no difference when it is read, and what no name has, or
/// the encoding lacks, is written by its number, as .NET does (`a_x0026_b`).
fn name_of(name: &str, encoding: &'static Encoding) -> String {
    let mut out = String::new();
    for c in name.chars() {
        if out.is_empty() && !begins_name(c) {
            out.push('_');
        }
        match c {
            ' ' => out.push('_'),
            '-' | '.' | '0'..='9' | '\u{b7}' | '\u{300}'..='\u{36f}' | '\u{203f}' | '\u{2040}' if has(c, encoding) => out.push(c),
            c if begins_name(c) && has(c, encoding) => out.push(c),
            c => drop(write!(out, "_x{:01$X}_", u32::from(c), if c > '\u{ffff}' { 8 } else { 4 })),
        }
    }
    if out.is_empty() { "_".into() } else { out }
}

/// What XML 1.0 lets a name begin with, the colon apart.
fn begins_name(c: char) -> bool {
    matches!(c, 'A'..='Z' | '_' | 'a'..='z' | '\u{c0}'..='\u{d6}' | '\u{d8}'..='\u{f6}' | '\u{f8}'..='\u{2ff}' | '\u{370}'..='\u{37d}'
        | '\u{37f}'..='\u{1fff}' | '\u{200c}' | '\u{200d}' | '\u{2070}'..='\u{218f}' | '\u{2c00}'..='\u{2fef}' | '\u{3001}'..='\u{d7ff}'
        | '\u{f900}'..='\u{fdcf}' | '\u{fdf0}'..='\u{fffd}' | '\u{10000}'..='\u{effff}')
}

fn label(encoding: &'static Encoding) -> &'static str {
    // UTF-16 with a byte order mark says its order itself.
    if encoding == encoding_rs::UTF_16LE || encoding == encoding_rs::UTF_16BE { "UTF-16" } else { encoding.name() }
}

/// Text in an encoding; a character that it lacks is written by its number.
fn push(text: &str, encoding: &'static Encoding, into: &mut Vec<u8>) {
    encode_spelled(text, encoding, by_number, into);
}

fn by_number(c: char) -> String {
    format!("&#{};", u32::from(c))
}

/// Appends text as XML writes it. `quoted`: inside of an attribute.
fn escape(text: &str, quoted: bool, into: &mut String) -> Result<(), Unwritable> {
    for c in text.chars() {
        match c {
            '<' => into.push_str("&lt;"),
            '>' => into.push_str("&gt;"),
            '&' => into.push_str("&amp;"),
            '"' if quoted => into.push_str("&quot;"),
            // An attribute's white space becomes a blank when it is read, a carriage return a line feed.
            '\n' | '\t' if quoted => {
                let _ = write!(into, "&#{};", u32::from(c));
            }
            '\r' => into.push_str("&#13;"),
            '\0'..='\u{8}' | '\u{b}' | '\u{c}' | '\u{e}'..='\u{1f}' | '\u{fffe}' | '\u{ffff}' => {
                return Err(Unwritable::Character { character: c, encoding: "XML" });
            }
            c => into.push(c),
        }
    }
    Ok(())
}

/// An element that records stand in: its start tag with what was kept in it before `inner`, and its end tag.
pub fn frame(tree: &Tree, id: NodeId, inner: Inner) -> Frame {
    let mut before = String::new();
    start_tag(tree, id, &mut before);
    before.push('>');
    for child in tree.children(id).take_while(|child| *child != inner.id) {
        match tree.kind(child) {
            // The blanks of a layout would be more each time.
            Kind::Text { .. } => drop(escape(tree.value(child).trim(), false, &mut before)),
            _ => content(tree, child, &mut before),
        }
    }
    Frame { number: 0, before, link: String::new(), after: format!("</{}>", tree.name(id)) }
}

fn start_tag(tree: &Tree, id: NodeId, into: &mut String) {
    into.push('<');
    into.push_str(tree.name(id));
    for attribute in tree.children(id).filter(|child| tree.kind(*child) == Kind::Attribute) {
        let _ = write!(into, " {}=\"", tree.name(attribute));
        // It was read from XML: every character has a spelling there.
        let _ = escape(tree.value(attribute), true, into);
        into.push('"');
    }
}

fn content(tree: &Tree, id: NodeId, into: &mut String) {
    match tree.kind(id) {
        Kind::Attribute => {}
        Kind::Text { .. } => drop(escape(tree.value(id), false, into)),
        Kind::Element => {
            start_tag(tree, id, into);
            into.push('>');
            tree.children(id).for_each(|child| content(tree, child, into));
            let _ = write!(into, "</{}>", tree.name(id));
        }
    }
}

/// The file of refused records: the document's own elements around them, before each a comment with line and reasons.
pub struct Refused {
    encoding: &'static Encoding,
    /// What the declaration calls the encoding.
    label: String,
    marked: bool,
    /// It holds records that stylesheets gave.
    pub transformed: bool,
    /// What ends lines.
    end: &'static str,
    begun: bool,
    open: Vec<Frame>,
}

impl Refused {
    /// As the document was written.
    pub fn new(origin: &Origin) -> Refused {
        let encoding = origin.encoding;
        let label = origin.label.clone().unwrap_or_else(|| label(encoding).to_owned());
        let end = origin.line_end();
        Refused { encoding, label, marked: origin.marked, transformed: false, end, begun: false, open: Vec::new() }
    }

    /// Adds a record.
    pub fn record(&mut self, line: u64, raw: &[u8], frames: &Arc<Vec<Frame>>, reasons: &str, into: &mut Vec<u8>) {
        let (mut text, end) = (String::new(), self.end);
        if !self.begun {
            match self.marked {
                true => encode_sent("\u{feff}", self.encoding, by_number, into),
                false => mark(self.encoding, into),
            }
            let _ = write!(text, "<?xml version=\"1.0\" encoding=\"{}\"?>{end}", self.label);
            let _ = write!(text, "{}{end}", if self.transformed { TRANSFORMED } else { REFUSED });
            self.begun = true;
        }
        let same = self.open.iter().zip(frames.iter()).take_while(|(one, other)| one.number == other.number).count();
        while self.open.len() > same {
            let frame = self.open.pop().expect("there are more");
            let _ = write!(text, "{}{end}", frame.after);
        }
        for (open, frame) in self.open.iter_mut().zip(frames.iter()) {
            // What was kept of it since the record before.
            if let Some(more) = frame.before.strip_prefix(open.before.as_str()) {
                text.push_str(more);
                open.before.clone_from(&frame.before);
            }
        }
        for frame in &frames[same..] {
            let _ = write!(text, "{}{end}", frame.before);
            self.open.push(frame.clone());
        }
        // Two hyphens, and one at the end, are not allowed in a comment.
        let reasons: String = reasons.replace("--", "- -").chars().filter(|c| !c.is_control() || *c == '\n').collect();
        let _ = write!(text, "<!-- Entrepot line {line}: {reasons} -->{end}");
        text.push_str(&String::from_utf8_lossy(raw));
        text.push_str(end);
        encode_sent(&text, self.encoding, by_number, into);
    }

    /// Closes what is open.
    pub fn end(&mut self, into: &mut Vec<u8>) {
        while let Some(frame) = self.open.pop() {
            encode_sent(&format!("{}{}", frame.after, self.end), self.encoding, by_number, into);
        }
    }
}
