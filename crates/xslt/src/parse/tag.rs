//! Start tags: names as they are written, prefixes bound, attributes with the values that the document type declares.

use super::doctype::{self, AttributeType};
use super::{NO_NAME, Open, Parser, RawName, Step, UNBOUND, fault};
use crate::error::{Error, ErrorKind, Result};
use crate::name::{NameId, Names, QNameId, StringId, XML_NAMESPACE, XMLNS_NAMESPACE, split_qname};
use crate::tree::build::TreeBuilder;

pub(super) struct Attribute {
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

impl Value {
    fn text<'t>(&'t self, tag: &'t str) -> &'t str {
        match self {
            Value::Plain(from, to) => &tag[*from..*to],
            Value::Expanded(text) => text,
        }
    }
}

impl Parser<'_, '_> {
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

    pub(super) fn bind(&mut self, prefix: StringId, uri: StringId) {
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

    pub(super) fn start_tag(&mut self, names: &mut Names, builder: &mut TreeBuilder) -> Result<Step> {
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
}

fn undeclared(name: &str) -> Error {
    fault("a prefix that is not declared").found(name).hint("declare it with xmlns:…=\"…\"")
}
