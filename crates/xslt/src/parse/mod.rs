//! Reads XML 1.0 with namespaces into a tree, token by token: well-formedness checked, entities expanded under a budget, white space
//! stripped as the stylesheet says.
//!
//! Not validating. External entities and the external subset are read only if the caller's resolver gives them.

mod declaration;
pub(crate) mod doctype;
pub(crate) mod input;
mod tag;

use std::collections::HashMap;
use std::io::Read;
use std::sync::Arc;

use self::doctype::{Doctype, ENTITY_DEPTH_MAX, Entity};
use self::input::Input;
use self::tag::Attribute;
use crate::error::{Error, ErrorKind, Place, Result};
use crate::name::{NameId, Names, QNameId, StringId, XML_NAMESPACE, is_name_character, is_name_start, is_space};
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
        declaration::check_declaration(&text).map_err(|error| self.fail(error))?;
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

/// The text of an external entity, if the resolver gives it.
fn load_entity(resolver: &dyn crate::Resolver, base: &str, system: &str) -> Option<String> {
    let resource = resolver.resolve(&crate::uri::join(base, system), crate::ResourceKind::Entity).ok()?;
    input::decode(&resource.content, &resource.uri).ok()
}

#[cfg(test)]
mod tests;
