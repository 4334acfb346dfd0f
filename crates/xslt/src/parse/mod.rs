//! Reads XML 1.0 with namespaces into a tree, token by token: well-formedness checked, entities expanded under a budget, white space
//! stripped as the stylesheet says.
//!
//! Not validating. External entities and the external subset are read only if the caller's resolver gives them.

pub(crate) mod doctype;
pub(crate) mod input;

use std::collections::HashMap;
use std::io::Read;
use std::sync::Arc;

use self::doctype::{AttributeType, Doctype, ENTITY_DEPTH_MAX, Entity};
use self::input::Input;
use crate::error::{Error, ErrorKind, Place, Result};
use crate::name::{
    NameId, Names, QNameId, StringId, XML_NAMESPACE, XMLNS_NAMESPACE, is_name_character, is_name_start, is_space, split_qname,
};
use crate::tree::Tree;
use crate::tree::build::TreeBuilder;

/// What the document type declaration may do.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum DoctypePolicy {
    /// A document with a document type declaration is refused.
    Refuse,
    /// Entities and default attributes count, up to this many bytes of expanded text. What is external is read only if the resolver
    /// gives it as [`ResourceKind::Entity`](crate::ResourceKind::Entity).
    Expand {
        /// The most bytes that entities may make in one document.
        bytes_max: usize,
    },
}

/// Bounds for one document.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ParseLimits {
    pub(crate) doctype: DoctypePolicy,
    pub(crate) nodes_max: u32,
    pub(crate) bytes_max: usize,
}

impl Default for ParseLimits {
    fn default() -> ParseLimits {
        ParseLimits { doctype: DoctypePolicy::Expand { bytes_max: 8 << 20 }, nodes_max: u32::MAX - 16, bytes_max: u32::MAX as usize - 16 }
    }
}

/// Whether white space directly inside the element of this name is stripped.
pub(crate) type Strip<'s> = Option<&'s dyn Fn(&Names, NameId) -> bool>;

/// What was read.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Step {
    /// An element began (and its end, if it was empty, comes as a step of its own).
    Start,
    End,
    Other,
    Finished,
}

/// A name as it is written in this document.
struct RawName {
    text: Box<str>,
    prefix: StringId,
    local: StringId,
    /// As the name of an element and of an attribute, valid while no binding changes.
    element: (u64, QNameId),
    attribute: (u64, QNameId),
}

struct Open {
    name: u32,
    strips: bool,
    preserves: bool,
    /// How many bindings to undo at its end.
    undo: u32,
}

struct Attribute {
    name: u32,
    /// Where the name and the value start in the tag.
    at: usize,
    value_at: usize,
    value: Value,
}

enum Value {
    /// As written, between two offsets in the tag.
    Plain(usize, usize),
    Expanded(String),
}

/// A parser that stands at some place of a document.
pub(crate) struct Parser<'r, 's> {
    inputs: Vec<Input<'r>>,
    /// How many elements were open where each entity began.
    entity_depths: Vec<usize>,
    uri: Arc<str>,
    limits: ParseLimits,
    resolver: &'s dyn crate::Resolver,
    strip: Strip<'s>,
    strip_known: HashMap<NameId, bool>,
    raw: Vec<RawName>,
    raw_index: HashMap<Box<str>, u32>,
    open: Vec<Open>,
    /// The namespace name each prefix is bound to now, by the prefix' number; `UNBOUND` for none.
    bound: Vec<StringId>,
    undo: Vec<(StringId, StringId)>,
    /// Changes with every change of a binding.
    generation: u64,
    attributes: Vec<Attribute>,
    doctype: Doctype,
    positions: bool,
    pending_end: bool,
    started: bool,
    seen_root: bool,
    text_pending: bool,
}

const UNBOUND: StringId = StringId(u32::MAX);
const NO_NAME: QNameId = QNameId(u32::MAX);

fn fault(message: &str) -> Error {
    Error::new(ErrorKind::Document, message)
}

/// Parses a whole document.
pub(crate) fn parse(
    reader: Box<dyn Read + '_>,
    uri: Arc<str>,
    names: &mut Names,
    limits: ParseLimits,
    resolver: &dyn crate::Resolver,
    strip: Strip,
    positions: bool,
) -> Result<Tree> {
    let mut builder = TreeBuilder::new(uri.clone());
    if positions {
        builder = builder.with_positions();
    }
    let mut parser = Parser::new(reader, uri, limits, resolver, strip, positions);
    while parser.step(names, &mut builder)? != Step::Finished {}
    Ok(builder.finish())
}

impl<'r, 's> Parser<'r, 's> {
    pub(crate) fn new(
        reader: Box<dyn Read + 'r>,
        uri: Arc<str>,
        limits: ParseLimits,
        resolver: &'s dyn crate::Resolver,
        strip: Strip<'s>,
        positions: bool,
    ) -> Parser<'r, 's> {
        let mut input = Input::reader(reader, uri.clone());
        input.token_max = limits.bytes_max;
        Parser {
            inputs: vec![input],
            entity_depths: Vec::new(),
            uri,
            limits,
            resolver,
            strip,
            strip_known: HashMap::new(),
            raw: Vec::new(),
            raw_index: HashMap::new(),
            open: Vec::new(),
            bound: Vec::new(),
            undo: Vec::new(),
            generation: 1,
            attributes: Vec::new(),
            doctype: Doctype::default(),
            positions,
            pending_end: false,
            started: false,
            seen_root: false,
            text_pending: false,
        }
    }

    /// How many elements are open.
    pub(crate) fn depth(&self) -> usize {
        self.open.len()
    }

    fn input(&mut self) -> &mut Input<'r> {
        self.inputs.last_mut().expect("the document's own input is never popped")
    }

    fn here(&mut self) -> Place {
        let input = self.input();
        let at = input.at;
        input.place(at)
    }

    fn fail(&mut self, error: Error) -> Error {
        let place = self.here();
        error.at(place)
    }

    fn fault(&mut self, message: &str) -> Error {
        self.fail(fault(message))
    }

    fn entity_budget(&self) -> usize {
        match self.limits.doctype {
            DoctypePolicy::Refuse => 0,
            DoctypePolicy::Expand { bytes_max } => bytes_max,
        }
    }

    /// Reads one token into the builder.
    pub(crate) fn step(&mut self, names: &mut Names, builder: &mut TreeBuilder) -> Result<Step> {
        if self.pending_end {
            self.pending_end = false;
            self.leave(builder);
            return Ok(Step::End);
        }
        if builder.len() >= self.limits.nodes_max || builder.bytes() >= self.limits.bytes_max {
            return Err(Error::new(ErrorKind::Budget, "the document has more nodes or text than the budget allows")
                .hint("raise the budgets of nodes and text, or transform record by record"));
        }
        if !self.started {
            self.started = true;
            self.prolog(names)?;
        }
        loop {
            if self.input().rest().is_empty() && !self.input().fill()? {
                if self.entity_depths.is_empty() {
                    return self.finish(builder);
                }
                let depth = self.entity_depths.pop().unwrap_or(0);
                if depth != self.open.len() {
                    return Err(self.fault("an entity must contain whole elements"));
                }
                self.inputs.pop();
                continue;
            }
            match self.input().rest().as_bytes()[0] {
                b'<' => return self.markup(names, builder),
                b'&' => self.reference(builder)?,
                _ => self.characters(builder)?,
            }
        }
    }

    fn prolog(&mut self, names: &mut Names) -> Result<()> {
        self.bind(StringId::EMPTY, StringId::EMPTY);
        self.bind(StringId::XML_PREFIX, StringId::XML_URI);
        names.string(XML_NAMESPACE);
        self.undo.clear();
        self.input().ensure(6)?;
        let is_declaration = self.input().rest().strip_prefix("<?xml").is_some_and(|rest| rest.starts_with(is_space));
        if !is_declaration {
            return Ok(());
        }
        let Some(end) = self.input().find("?>", 0)? else { return Err(self.fault("the XML declaration has no end")) };
        let text = self.input().rest()[5..end].to_owned();
        check_declaration(&text).map_err(|error| self.fail(error))?;
        self.input().at += end + 2;
        Ok(())
    }

    fn finish(&mut self, builder: &mut TreeBuilder) -> Result<Step> {
        self.end_text(builder);
        if let Some(open) = self.open.last() {
            let name = self.raw[open.name as usize].text.to_string();
            return Err(self.fail(fault("the document ends inside an element").found(name.clone()).expected(format!("</{name}>"))));
        }
        if !self.seen_root {
            return Err(self.fault("the document has no element"));
        }
        Ok(Step::Finished)
    }

    /// Text up to the next markup or reference.
    fn characters(&mut self, builder: &mut TreeBuilder) -> Result<()> {
        let mut from = 0;
        let end = loop {
            let rest = &self.input().rest().as_bytes()[from..];
            if let Some(found) = memchr::memchr2(b'<', b'&', rest) {
                break from + found;
            }
            from += rest.len();
            if !self.input().fill()? {
                break self.input().rest().len();
            }
        };
        let outside = self.open.is_empty();
        let input = self.inputs.last_mut().expect("the document's own input is never popped");
        let text = &input.buffer[input.at..input.at + end];
        if outside {
            if let Some(offset) = text.find(|c| !is_space(c)) {
                let found = text[offset..].to_owned();
                let offset = input.at + offset;
                let place = input.place(offset);
                return Err(fault("text outside the document element").found(found).at(place));
            }
        } else {
            if let Some(offset) = memchr::memmem::find(text.as_bytes(), b"]]>") {
                let offset = input.at + offset;
                let place = input.place(offset);
                return Err(fault("\"]]>\" is not allowed in text").hint("write ]]&gt;").at(place));
            }
            builder.text(text);
            self.text_pending = true;
        }
        input.at += end;
        Ok(())
    }

    /// `&name;` or `&#number;` in content.
    fn reference(&mut self, builder: &mut TreeBuilder) -> Result<()> {
        let Some(end) = self.input().find(";", 0)? else {
            return Err(self.fail(fault("a reference has no \";\"").hint("write &amp; for a plain \"&\"")));
        };
        let name = self.input().rest()[1..end].to_owned();
        if self.open.is_empty() {
            return Err(self.fault("a reference outside the document element"));
        }
        self.text_pending = true;
        if let Some(number) = name.strip_prefix('#') {
            let character = doctype::character(number).map_err(|error| self.fail(error))?;
            builder.text(character.encode_utf8(&mut [0; 4]));
        } else if let Some(plain) = doctype::predefined(&name) {
            builder.text(plain.encode_utf8(&mut [0; 4]));
        } else if !name.starts_with(is_name_start) || !name.chars().all(|c| is_name_character(c) || c == ':') {
            return Err(self.fail(fault("a \"&\" that begins no reference").found(name).hint("write &amp; for a plain \"&\"")));
        } else {
            let (budget, depth) = (self.entity_budget(), self.entity_depths.len());
            if let Some(Entity::External(system)) = self.doctype.entities.get(&name)
                && let Some(text) = load_entity(self.resolver, &self.uri, system)
            {
                self.doctype.entities.insert(name.clone(), Entity::Internal(text.into()));
            }
            let replacement = self.doctype.replacement(&name, budget, depth).map_err(|error| self.fail(error))?;
            self.input().at += end + 1;
            if memchr::memchr2(b'<', b'&', replacement.as_bytes()).is_none() {
                builder.text(&replacement);
            } else if self.entity_depths.len() < ENTITY_DEPTH_MAX {
                let place = self.here();
                self.inputs.push(Input::text(&replacement, place));
                self.entity_depths.push(self.open.len());
            }
            return Ok(());
        }
        self.input().at += end + 1;
        Ok(())
    }

    /// The text before this markup is complete.
    fn end_text(&mut self, builder: &mut TreeBuilder) {
        if self.text_pending {
            self.text_pending = false;
            if self.open.last().is_some_and(|open| open.strips && !open.preserves) {
                builder.strip_blank();
            }
        }
    }

    fn markup(&mut self, names: &mut Names, builder: &mut TreeBuilder) -> Result<Step> {
        self.input().ensure(2)?;
        match self.input().rest().as_bytes().get(1) {
            Some(b'/') => {
                self.end_text(builder);
                self.end_tag(builder)
            }
            Some(b'!') => {
                self.input().ensure(9)?;
                let rest = self.input().rest();
                if rest.starts_with("<!--") {
                    self.end_text(builder);
                    self.comment(builder)
                } else if rest.starts_with("<![CDATA[") {
                    self.character_data(builder)
                } else if rest.starts_with("<!DOCTYPE") {
                    self.document_type(builder)
                } else {
                    Err(self.fault("unknown markup after \"<!\""))
                }
            }
            Some(b'?') => {
                self.end_text(builder);
                self.instruction(names, builder)
            }
            _ => {
                self.end_text(builder);
                self.start_tag(names, builder)
            }
        }
    }

    fn comment(&mut self, builder: &mut TreeBuilder) -> Result<Step> {
        let Some(end) = self.input().find("--", 4)? else { return Err(self.fault("a comment has no end")) };
        self.input().ensure(end + 3)?;
        let rest = self.input().rest();
        if !rest[end..].starts_with("-->") {
            return Err(self.fault("\"--\" is not allowed inside a comment"));
        }
        builder.comment(&rest[4..end]);
        self.input().at += end + 3;
        Ok(Step::Other)
    }

    fn character_data(&mut self, builder: &mut TreeBuilder) -> Result<Step> {
        if self.open.is_empty() {
            return Err(self.fault("a CDATA section outside the document element"));
        }
        let Some(end) = self.input().find("]]>", 9)? else { return Err(self.fault("a CDATA section has no end")) };
        builder.text(&self.input().rest()[9..end]);
        self.text_pending = true;
        self.input().at += end + 3;
        Ok(Step::Other)
    }

    fn instruction(&mut self, names: &mut Names, builder: &mut TreeBuilder) -> Result<Step> {
        let Some(end) = self.input().find("?>", 2)? else { return Err(self.fault("a processing instruction has no end")) };
        let text = self.input().rest()[2..end].to_owned();
        let (target, data) = match text.find(is_space) {
            Some(at) => (&text[..at], text[at..].trim_start_matches(is_space)),
            None => (&text[..], ""),
        };
        if target.eq_ignore_ascii_case("xml") {
            return Err(self.fail(fault("an XML declaration may only stand at the very beginning").found(text)));
        }
        if !target.starts_with(is_name_start) || !target.chars().all(is_name_character) {
            return Err(self.fail(fault("a processing instruction needs a name without a colon").found(target)));
        }
        let local = names.string(target);
        let name = names.qualified(StringId::EMPTY, StringId::EMPTY, local);
        builder.instruction(name, data);
        self.input().at += end + 2;
        Ok(Step::Other)
    }

    fn document_type(&mut self, builder: &mut TreeBuilder) -> Result<Step> {
        let DoctypePolicy::Expand { bytes_max } = self.limits.doctype else {
            return Err(self.fail(fault("a document type declaration is refused").hint("remove it, or allow internal entities")));
        };
        if self.seen_root || !self.entity_depths.is_empty() {
            return Err(self.fault("a document type declaration must stand before the document element"));
        }
        let end = loop {
            if let Some(end) = doctype::end(self.input().rest()) {
                break end;
            }
            if !self.input().fill()? {
                return Err(self.fault("the document type declaration has no end"));
            }
        };
        let text = self.input().rest()[..end].to_owned();
        let (uri, resolver) = (self.uri.clone(), self.resolver);
        let mut external = |system: &str| load_entity(resolver, &uri, system);
        self.doctype = Doctype::parse(&text, bytes_max, &mut external).map_err(|error| self.fail(error))?;
        for (name, entity) in &self.doctype.entities {
            if let Entity::Unparsed(system) = entity {
                builder.unparsed_entity(name, &crate::uri::join(&self.uri, system));
            }
        }
        self.input().at += end;
        Ok(Step::Other)
    }

    /// The number of a name as written, if it is one.
    fn raw_name(&mut self, names: &mut Names, text: &str) -> Option<u32> {
        if let Some(&index) = self.raw_index.get(text) {
            return Some(index);
        }
        let (prefix, local) = split_qname(text)?;
        let index = self.raw.len() as u32;
        self.raw.push(RawName {
            text: text.into(),
            prefix: names.string(prefix),
            local: names.string(local),
            element: (0, NO_NAME),
            attribute: (0, NO_NAME),
        });
        self.raw_index.insert(text.into(), index);
        Some(index)
    }

    fn bind(&mut self, prefix: StringId, uri: StringId) {
        let index = prefix.0 as usize;
        if self.bound.len() <= index {
            self.bound.resize(index + 1, UNBOUND);
        }
        self.undo.push((prefix, self.bound[index]));
        self.bound[index] = uri;
        self.generation += 1;
    }

    fn binding(&self, prefix: StringId) -> StringId {
        self.bound.get(prefix.0 as usize).copied().unwrap_or(UNBOUND)
    }

    /// The end of a start tag, after its `>`.
    fn tag_end(&mut self) -> Result<usize> {
        let mut from = 1;
        let mut quote = None;
        loop {
            let rest = &self.input().rest().as_bytes()[from..];
            let found = match quote {
                Some(quote) => memchr::memchr(quote, rest),
                None => memchr::memchr3(b'>', b'"', b'\'', rest),
            };
            match found {
                Some(at) => {
                    let byte = rest[at];
                    from += at + 1;
                    match (quote, byte) {
                        (Some(_), _) => quote = None,
                        (None, b'>') => return Ok(from),
                        (None, _) => quote = Some(byte),
                    }
                }
                None => {
                    from += rest.len();
                    if !self.input().fill()? {
                        return Err(self.fault("a tag has no end"));
                    }
                }
            }
        }
    }

    fn start_tag(&mut self, names: &mut Names, builder: &mut TreeBuilder) -> Result<Step> {
        let end = self.tag_end()?;
        if self.open.is_empty() && self.seen_root {
            return Err(self.fault("a second document element"));
        }
        self.seen_root = true;
        if self.positions {
            self.here();
        }
        // The tag is taken out of the buffer for as long as it is read; it goes back at the end.
        let buffer = std::mem::take(&mut self.input().buffer);
        let start = self.input().at;
        let outcome = self.tag(names, builder, &buffer[start..start + end]);
        self.input().buffer = buffer;
        let empty = outcome.map_err(|(offset, error)| {
            let place = self.input().place(start + offset);
            error.at(place)
        })?;
        self.input().at += end;
        self.pending_end = empty;
        Ok(Step::Start)
    }

    /// Reads a start tag; true when it is an empty element. An error comes with its offset in the tag.
    fn tag(&mut self, names: &mut Names, builder: &mut TreeBuilder, tag: &str) -> Result<bool, (usize, Error)> {
        let bytes = tag.as_bytes();
        let empty = bytes[bytes.len() - 2] == b'/';
        let body_end = bytes.len() - if empty { 2 } else { 1 };
        let name_end = bytes.iter().position(|byte| matches!(byte, b' ' | b'\t' | b'\n' | b'/' | b'>')).unwrap_or(body_end).max(1);
        let Some(element) = self.raw_name(names, &tag[1..name_end.min(body_end)]) else {
            return Err((1, fault("a name is missing or wrong after \"<\"").found(tag).hint("write &lt; for a plain \"<\"")));
        };
        self.attributes.clear();
        let undo_from = self.undo.len();
        let mut at = name_end.min(body_end);
        loop {
            let spaces = bytes[at..body_end].iter().take_while(|byte| matches!(byte, b' ' | b'\t' | b'\n')).count();
            at += spaces;
            if at >= body_end {
                break;
            }
            if spaces == 0 {
                return Err((at, fault("white space is missing between attributes").found(&tag[at..body_end])));
            }
            at = self.attribute(names, tag, at, body_end)?;
        }
        if !self.doctype.attributes.is_empty() {
            self.declared_attributes(names, element);
        }
        self.declarations(names, tag)?;
        let name = self.element_name(names, element).map_err(|error| (1, error))?;
        let (line, column) = self.line_column(0, tag);
        builder.start_element(name, line, column);
        for index in undo_from..self.undo.len() {
            let prefix = self.undo[index].0;
            builder.namespace(prefix, self.binding(prefix));
        }
        if self.undo.len() - undo_from > crate::tree::node::NAMESPACES_MAX {
            return Err((0, Error::new(ErrorKind::Budget, "too many namespaces are declared on one element")));
        }
        let preserves = self.attribute_nodes(names, builder, tag, element)?;
        let strips = self.strip.is_some() && self.strips(names, name);
        let preserves = preserves.unwrap_or_else(|| self.open.last().is_some_and(|open| open.preserves));
        self.open.push(Open { name: element, strips, preserves, undo: (self.undo.len() - undo_from) as u32 });
        Ok(empty)
    }

    /// Line and column of an offset in the tag at the front; only counted for stylesheets.
    fn line_column(&mut self, offset: usize, tag: &str) -> (u32, u32) {
        if !self.positions {
            return (0, 0);
        }
        // The buffer is lent out while a tag is read, so the tag itself is counted from the tag's place.
        let input = self.inputs.last().expect("the document's own input is never popped");
        input.place_within(tag, offset)
    }

    fn strips(&mut self, names: &Names, name: QNameId) -> bool {
        let Some(strip) = self.strip else { return false };
        let name = names.name(name);
        *self.strip_known.entry(name).or_insert_with(|| strip(names, name))
    }

    /// Reads one attribute; gives the offset after it.
    fn attribute(&mut self, names: &mut Names, tag: &str, start: usize, end: usize) -> Result<usize, (usize, Error)> {
        let bytes = tag.as_bytes();
        let name_end = start + bytes[start..end].iter().position(|byte| matches!(byte, b' ' | b'\t' | b'\n' | b'=')).unwrap_or(end - start);
        let Some(name) = self.raw_name(names, &tag[start..name_end]) else {
            return Err((start, fault("an attribute name is wrong").found(&tag[start..name_end])));
        };
        let skip = |mut at: usize| {
            while at < end && matches!(bytes[at], b' ' | b'\t' | b'\n') {
                at += 1;
            }
            at
        };
        let equals = skip(name_end);
        if equals >= end || bytes[equals] != b'=' {
            return Err((start, fault("an attribute has no value").found(&tag[start..name_end]).expected("=\"…\"")));
        }
        let open = skip(equals + 1);
        if open >= end || !matches!(bytes[open], b'"' | b'\'') {
            return Err((open.min(end), fault("an attribute value has no quotes").found(&tag[start..end])));
        }
        let Some(length) = memchr::memchr(bytes[open], &bytes[open + 1..end]) else {
            return Err((open, fault("an attribute value has no end")));
        };
        let (from, to) = (open + 1, open + 1 + length);
        let raw = &tag[from..to];
        if let Some(at) = memchr::memchr(b'<', raw.as_bytes()) {
            return Err((from + at, fault("\"<\" is not allowed in an attribute value").hint("write &lt;")));
        }
        let value = if memchr::memchr3(b'&', b'\n', b'\t', raw.as_bytes()).is_none() {
            Value::Plain(from, to)
        } else {
            let mut value = String::with_capacity(raw.len());
            let budget = self.entity_budget();
            self.doctype.expand_into(raw, &mut value, budget, 0).map_err(|error| (from, error))?;
            Value::Expanded(value)
        };
        self.attributes.push(Attribute { name, at: start, value_at: from, value });
        Ok(to + 1)
    }

    /// Adds the attributes that the document type declares with a default, and normalises tokens.
    fn declared_attributes(&mut self, names: &mut Names, element: u32) {
        let element = self.raw[element as usize].text.to_string();
        let Some(declared) = self.doctype.attributes.get(&element).cloned() else { return };
        for attribute in declared {
            let Some(name) = self.raw_name(names, &attribute.name) else { continue };
            match self.attributes.iter_mut().find(|given| given.name == name) {
                Some(Attribute { value: Value::Expanded(value), .. }) if attribute.kind != AttributeType::Text => {
                    *value = doctype::collapse(value);
                }
                Some(_) => {}
                None => {
                    if let Some(default) = attribute.default {
                        self.attributes.push(Attribute { name, at: 0, value_at: 0, value: Value::Expanded(default) });
                    }
                }
            }
        }
    }

    /// Binds the prefixes that the attributes declare.
    fn declarations(&mut self, names: &mut Names, tag: &str) -> Result<(), (usize, Error)> {
        let attributes = std::mem::take(&mut self.attributes);
        let first = self.undo.len();
        let mut outcome = Ok(());
        for attribute in &attributes {
            let raw = &self.raw[attribute.name as usize];
            let prefix = match raw.text.strip_prefix("xmlns") {
                Some("") => StringId::EMPTY,
                Some(rest) if rest.starts_with(':') => raw.local,
                _ => continue,
            };
            let uri = attribute.value.text(tag);
            let wrong = if prefix == StringId::XML_PREFIX && uri != XML_NAMESPACE || names.text(prefix) == "xmlns" {
                Some("the prefixes xml and xmlns are bound for good")
            } else if uri == XML_NAMESPACE && prefix != StringId::XML_PREFIX || uri == XMLNS_NAMESPACE {
                Some("this namespace name may not be bound")
            } else if uri.is_empty() && prefix != StringId::EMPTY {
                Some("a prefix cannot be undeclared")
            } else {
                None
            };
            if let Some(wrong) = wrong {
                outcome = Err((attribute.at, fault(wrong).found(&*self.raw[attribute.name as usize].text)));
                break;
            }
            let uri = names.string(uri);
            if self.undo[first..].iter().any(|&(known, _)| known == prefix) {
                outcome = Err((attribute.at, fault("an attribute is given twice").found(&*self.raw[attribute.name as usize].text)));
                break;
            }
            self.bind(prefix, uri);
        }
        self.attributes = attributes;
        outcome
    }

    fn element_name(&mut self, names: &mut Names, raw: u32) -> Result<QNameId> {
        let known = &self.raw[raw as usize];
        if known.element.0 == self.generation {
            return Ok(known.element.1);
        }
        let uri = self.binding(known.prefix);
        if uri == UNBOUND {
            return Err(undeclared(&known.text));
        }
        let name = names.qualified(known.prefix, uri, known.local);
        self.raw[raw as usize].element = (self.generation, name);
        Ok(name)
    }

    fn attribute_name(&mut self, names: &mut Names, raw: u32) -> Result<QNameId> {
        let known = &self.raw[raw as usize];
        if known.attribute.0 == self.generation {
            return Ok(known.attribute.1);
        }
        let uri = if known.prefix == StringId::EMPTY { StringId::EMPTY } else { self.binding(known.prefix) };
        if uri == UNBOUND {
            return Err(undeclared(&known.text));
        }
        let name = names.qualified(known.prefix, uri, known.local);
        self.raw[raw as usize].attribute = (self.generation, name);
        Ok(name)
    }

    /// Adds the attribute nodes; says what `xml:space` asks for.
    fn attribute_nodes(
        &mut self,
        names: &mut Names,
        builder: &mut TreeBuilder,
        tag: &str,
        element: u32,
    ) -> Result<Option<bool>, (usize, Error)> {
        if self.attributes.is_empty() {
            return Ok(None);
        }
        let attributes = std::mem::take(&mut self.attributes);
        let mut preserves = None;
        let ids: Vec<String> = match self.doctype.attributes.get(&*self.raw[element as usize].text) {
            Some(declared) => declared.iter().filter(|known| known.kind == AttributeType::Id).map(|known| known.name.clone()).collect(),
            None => Vec::new(),
        };
        let mut seen: Vec<NameId> = Vec::with_capacity(attributes.len());
        for attribute in &attributes {
            let raw = &self.raw[attribute.name as usize];
            if raw.text.strip_prefix("xmlns").is_some_and(|rest| rest.is_empty() || rest.starts_with(':')) {
                continue;
            }
            let name = self.attribute_name(names, attribute.name).map_err(|error| (attribute.at, error))?;
            let expanded = names.name(name);
            let value = attribute.value.text(tag);
            if seen.len() < 16 && seen.contains(&expanded) {
                return Err((attribute.at, fault("an attribute is given twice").found(&*self.raw[attribute.name as usize].text)));
            }
            seen.push(expanded);
            let raw = &self.raw[attribute.name as usize];
            if raw.prefix == StringId::XML_PREFIX && &*raw.text == "xml:space" {
                preserves = Some(value == "preserve");
            }
            let is_id = ids.iter().any(|id| **id == *raw.text);
            let (line, column) = self.line_column(attribute.value_at, tag);
            builder.attribute(name, value, line, column);
            if is_id {
                builder.identify(&doctype::collapse(value));
            }
        }
        if seen.len() > 16 {
            seen.sort_unstable();
            if seen.windows(2).any(|pair| pair[0] == pair[1]) {
                return Err((0, fault("an attribute is given twice").found(tag)));
            }
        }
        self.attributes = attributes;
        Ok(preserves)
    }

    fn end_tag(&mut self, builder: &mut TreeBuilder) -> Result<Step> {
        let Some(end) = self.input().find(">", 2)? else { return Err(self.fault("an end tag has no end")) };
        let Some(open) = self.open.last().map(|open| open.name) else { return Err(self.fault("an end tag without a start tag")) };
        let input = self.inputs.last().expect("the document's own input is never popped");
        let found = input.rest()[2..end].trim_end_matches(is_space);
        let expected = &self.raw[open as usize].text;
        if found != &**expected {
            let error = fault("the wrong element is ended").found(format!("</{found}>")).expected(format!("</{expected}>"));
            return Err(self.fail(error));
        }
        if self.entity_depths.last().is_some_and(|&depth| depth >= self.open.len()) {
            return Err(self.fault("an entity must contain whole elements"));
        }
        self.input().at += end + 1;
        self.leave(builder);
        Ok(Step::End)
    }

    fn leave(&mut self, builder: &mut TreeBuilder) {
        builder.end_element();
        let Some(open) = self.open.pop() else { return };
        for _ in 0..open.undo {
            if let Some((prefix, uri)) = self.undo.pop() {
                self.bound[prefix.0 as usize] = uri;
                self.generation += 1;
            }
        }
    }
}

impl Value {
    fn text<'t>(&'t self, tag: &'t str) -> &'t str {
        match self {
            Value::Plain(from, to) => &tag[*from..*to],
            Value::Expanded(text) => text,
        }
    }
}

/// The text of an external entity, if the resolver gives it.
fn load_entity(resolver: &dyn crate::Resolver, base: &str, system: &str) -> Option<String> {
    let resource = resolver.resolve(&crate::uri::join(base, system), crate::ResourceKind::Entity).ok()?;
    input::decode(&resource.content, &resource.uri).ok()
}

fn undeclared(name: &str) -> Error {
    fault("a prefix that is not declared").found(name).hint("declare it with xmlns:…=\"…\"")
}

/// `version`, then perhaps `encoding`, then perhaps `standalone` (XML 1.0, production 23).
fn check_declaration(text: &str) -> Result<()> {
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

#[cfg(test)]
mod tests {
    use crate::testing::{transform, value};

    const COPY: &str = r#"<xsl:template match="/"><xsl:copy-of select="."/></xsl:template>"#;

    #[test]
    fn documents_are_read_as_xml_says() {
        for (input, copied) in [
            ("<a b = '1'  c=\"2\"/>", r#"<a b="1" c="2" />"#),
            ("<a>x<![CDATA[<&]]>y</a>", "<a>x&lt;&amp;y</a>"),
            ("<a>&#65;&#x42;&lt;&apos;</a>", "<a>AB&lt;'</a>"),
            ("<a b='1\n2\t3&#10;'/>", r#"<a b="1 2 3&#xA;" />"#),
            ("<!DOCTYPE a [<!ENTITY e 'x<b/>y'>]><a>&e;&e;</a>", "<a>x<b />yx<b />y</a>"),
            ("<!DOCTYPE a [<!ATTLIST a d CDATA 'v' n NMTOKENS #IMPLIED>]><a n=' x  y '/>", r#"<a n=" x  y " d="v" />"#),
            ("<?pi  data?><!-- c --><a/><?q?>", "<?pi data?><!-- c --><a /><?q?>"),
            ("<a xmlns='u'><b xmlns=''/></a>", r#"<a xmlns="u"><b xmlns="" /></a>"#),
            ("<a\n>\r\n</a\n>", "<a>\n</a>"),
        ] {
            assert_eq!(transform(COPY, input).expect(input), copied, "{input}");
        }
    }

    #[test]
    fn what_is_not_well_formed_is_refused() {
        for input in [
            "<a",
            "<a></b>",
            "<a b=1/>",
            "<a b/>",
            "<a b='1'c='2'/>",
            "<a b='<'/>",
            "<a b='1' b='2'/>",
            "<a>&x;</a>",
            "<a>&</a>",
            "<a>&#0;</a>",
            "<a/><b/>",
            "x<a/>",
            "<a/>x",
            "<a><!-- -- --></a>",
            "<a>]]></a>",
            "<1/>",
            "<a:b/>",
            "<a xmlns:b=''/>",
            "<a xmlns:xml='u'/>",
            "<?xml version='1.0'?",
            " <?xml version='1.0'?><a/>",
            "<?xml?><a/>",
            "<a xmlns:p='u' xmlns:q='u' p:x='1' q:x='2'/>",
            "<!DOCTYPE a [<!ENTITY e '<b>'>]><a>&e;</b></a>",
            "<!DOCTYPE a [<!ENTITY e '</a>'>]><a>&e;",
            "<a><?xml version='1.0'?></a>",
            "< a/>",
            "</a>",
        ] {
            assert!(transform(COPY, input).is_err(), "{input}");
        }
    }

    #[test]
    fn ids_and_unparsed_entities_are_known() {
        let input = "<!DOCTYPE r [<!ATTLIST a i ID #IMPLIED><!ENTITY pic SYSTEM 'http://x/p.gif' NDATA gif>]><r><a i='one'>1</a><a i='two'>2</a></r>";
        assert_eq!(value("id('two')", input).expect("good"), "2");
        assert_eq!(value("count(id('two one none'))", input).expect("good"), "2");
        assert_eq!(value("unparsed-entity-uri('pic')", input).expect("good"), "http://x/p.gif");
    }

    #[test]
    fn white_space_is_stripped_where_the_stylesheet_says() {
        let body = format!(r#"<xsl:strip-space elements="*"/><xsl:preserve-space elements="k p:*"/>{COPY}"#);
        let input = "<a> <b> </b> <k> </k> <c xml:space='preserve'> <d> </d></c> x </a>";
        assert_eq!(transform(&body, input).expect("good"), r#"<a><b /><k> </k><c xml:space="preserve"> <d> </d></c> x </a>"#);
    }
}
