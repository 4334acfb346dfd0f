//! The tree of a document or result tree fragment: nodes in one array in document order, texts in one string.
//!
//! A node's number is its rank in document order. The descendants of node `n` are the numbers up to `end(n)`, attributes directly after
//! their element. The text of all text nodes stands in one string in document order, so the string-value of an element is a slice of it.
//! Namespace nodes have no place in the array: they are computed from the declarations and addressed as the k-th of an element.

pub(crate) mod build;
pub(crate) mod node;

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use crate::name::{NameId, Names, QNameId, StringId};

/// The kinds of nodes (XPath 1.0, section 5).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Kind {
    Root = 0,
    Element = 1,
    Attribute = 2,
    Text = 3,
    Comment = 4,
    Instruction = 5,
    Namespace = 6,
}

/// One node, 20 bytes: this size is most of what a document needs in memory.
#[derive(Clone, Copy, Debug)]
struct Data {
    /// Kind in the upper three bits, qualified name (an instruction's target) in the others.
    tag: u32,
    parent: u32,
    /// One more than the last descendant.
    end: u32,
    /// The value: in `text` for roots, elements and texts, else in `values`.
    start: u32,
    length: u32,
}

const KIND_SHIFT: u32 = 29;
const NAME_MASK: u32 = (1 << KIND_SHIFT) - 1;
/// The qualified name of what has none.
const UNNAMED: QNameId = QNameId(NAME_MASK);

/// The namespace declarations of one element; only elements which have some are listed.
#[derive(Clone, Copy, Debug)]
struct Scope {
    element: u32,
    /// One more than the index of the scope around it; 0 for none.
    outer: u32,
    first: u32,
    last: u32,
}

/// A document or a result tree fragment.
#[derive(Debug, Default)]
pub(crate) struct Tree {
    nodes: Vec<Data>,
    text: String,
    values: String,
    scopes: Vec<Scope>,
    bindings: Vec<(StringId, StringId)>,
    ids: HashMap<Box<str>, u32>,
    unparsed: HashMap<Box<str>, Box<str>>,
    /// Line and column of elements and attributes; kept for stylesheets only.
    positions: Vec<(u32, u32)>,
    /// Nodes whose text asked for output without escaping.
    raw: Vec<u32>,
    /// Where the document was loaded from.
    pub(crate) base: Arc<str>,
}

impl Tree {
    /// How many nodes there are, the root included.
    pub(crate) fn len(&self) -> u32 {
        self.nodes.len() as u32
    }

    pub(crate) fn kind(&self, id: u32) -> Kind {
        match self.nodes[id as usize].tag >> KIND_SHIFT {
            0 => Kind::Root,
            1 => Kind::Element,
            2 => Kind::Attribute,
            3 => Kind::Text,
            4 => Kind::Comment,
            _ => Kind::Instruction,
        }
    }

    /// The name of an element or attribute, or an instruction's target.
    pub(crate) fn qname(&self, id: u32) -> Option<QNameId> {
        let name = QNameId(self.nodes[id as usize].tag & NAME_MASK);
        (name != UNNAMED).then_some(name)
    }

    /// Kind and name in one look.
    pub(crate) fn is(&self, id: u32, kind: Kind) -> bool {
        self.nodes[id as usize].tag >> KIND_SHIFT == kind as u32
    }

    /// The parent; the root is its own.
    pub(crate) fn parent(&self, id: u32) -> u32 {
        self.nodes[id as usize].parent
    }

    /// One more than the last descendant (or attribute).
    pub(crate) fn end(&self, id: u32) -> u32 {
        self.nodes[id as usize].end
    }

    /// The attributes are the numbers in this range.
    pub(crate) fn attributes(&self, id: u32) -> std::ops::Range<u32> {
        let first = id + 1;
        if !self.is(id, Kind::Element) {
            return first..first;
        }
        let end = self.end(id);
        let mut last = first;
        while last < end && self.is(last, Kind::Attribute) {
            last += 1;
        }
        first..last
    }

    pub(crate) fn attribute(&self, names: &Names, id: u32, name: NameId) -> Option<u32> {
        self.attributes(id).find(|&attribute| self.qname(attribute).is_some_and(|qname| names.name(qname) == name))
    }

    pub(crate) fn first_child(&self, id: u32) -> Option<u32> {
        if !matches!(self.kind(id), Kind::Element | Kind::Root) {
            return None;
        }
        let first = if self.is(id, Kind::Element) { self.attributes(id).end } else { id + 1 };
        (first < self.end(id)).then_some(first)
    }

    pub(crate) fn next_sibling(&self, id: u32) -> Option<u32> {
        if id == 0 || self.is(id, Kind::Attribute) {
            return None;
        }
        let data = self.nodes[id as usize];
        (data.end < self.nodes[data.parent as usize].end).then_some(data.end)
    }

    pub(crate) fn previous_sibling(&self, id: u32) -> Option<u32> {
        if id == 0 || self.is(id, Kind::Attribute) {
            return None;
        }
        let parent = self.parent(id);
        let mut before = id - 1;
        if before == parent || self.is(before, Kind::Attribute) && self.parent(before) == parent {
            return None;
        }
        // The node before in document order is the last descendant of the previous sibling: climb to that.
        while self.parent(before) != parent {
            before = self.parent(before);
        }
        Some(before)
    }

    pub(crate) fn children(&self, id: u32) -> Children<'_> {
        Children { tree: self, next: self.first_child(id) }
    }

    /// The string-value (XPath 1.0, section 5).
    pub(crate) fn value(&self, id: u32) -> &str {
        let data = &self.nodes[id as usize];
        let (start, end) = (data.start as usize, data.start as usize + data.length as usize);
        match data.tag >> KIND_SHIFT {
            0 | 1 | 3 => &self.text[start..end],
            _ => &self.values[start..end],
        }
    }

    /// Whether a text node asked to be written without escaping.
    pub(crate) fn is_raw(&self, id: u32) -> bool {
        !self.raw.is_empty() && self.raw.binary_search(&id).is_ok()
    }

    /// The scope of namespace declarations which an element stands in.
    fn scope(&self, element: u32) -> Option<usize> {
        let mut index = self.scopes.partition_point(|scope| scope.element <= element);
        while index > 0 {
            let scope = self.scopes[index - 1];
            if self.end(scope.element) > element {
                return Some(index - 1);
            }
            index = scope.outer as usize;
        }
        None
    }

    /// The declarations that an element itself makes.
    pub(crate) fn declarations(&self, element: u32) -> &[(StringId, StringId)] {
        match self.scopes.binary_search_by_key(&element, |scope| scope.element) {
            Ok(index) => &self.bindings[self.scopes[index].first as usize..self.scopes[index].last as usize],
            Err(_) => &[],
        }
    }

    /// All bindings in scope, innermost first, without `xml`; an undeclared default namespace is left out.
    pub(crate) fn namespaces(&self, element: u32) -> Vec<(StringId, StringId)> {
        let mut found: Vec<(StringId, StringId)> = Vec::new();
        // Few are compared one by one, many by their hashes.
        let mut seen: HashSet<StringId> = HashSet::new();
        let mut next = self.scope(element);
        while let Some(index) = next {
            let scope = self.scopes[index];
            for &(prefix, uri) in &self.bindings[scope.first as usize..scope.last as usize] {
                let known = if found.len() < 16 { found.iter().any(|&(known, _)| known == prefix) } else { seen.contains(&prefix) };
                if !known {
                    found.push((prefix, uri));
                    if found.len() == 16 {
                        seen.extend(found.iter().map(|&(prefix, _)| prefix));
                    } else if found.len() > 16 {
                        seen.insert(prefix);
                    }
                }
            }
            next = (scope.outer > 0).then(|| scope.outer as usize - 1);
        }
        found.retain(|&(_, uri)| uri != StringId::EMPTY);
        found
    }

    /// The namespace name a prefix is bound to at an element.
    pub(crate) fn resolve(&self, element: u32, prefix: StringId) -> Option<StringId> {
        if prefix == StringId::XML_PREFIX {
            return Some(StringId::XML_URI);
        }
        let mut next = self.scope(element);
        while let Some(index) = next {
            let scope = self.scopes[index];
            if let Some(&(_, uri)) = self.bindings[scope.first as usize..scope.last as usize].iter().find(|&&(known, _)| known == prefix) {
                return (uri != StringId::EMPTY || prefix == StringId::EMPTY).then_some(uri);
            }
            next = (scope.outer > 0).then(|| scope.outer as usize - 1);
        }
        (prefix == StringId::EMPTY).then_some(StringId::EMPTY)
    }

    /// The namespace nodes of an element, by ascending number from 1: `xml` first.
    pub(crate) fn namespace_nodes(&self, element: u32) -> Vec<(StringId, StringId)> {
        let mut nodes = vec![(StringId::XML_PREFIX, StringId::XML_URI)];
        nodes.extend(self.namespaces(element).into_iter().filter(|&(prefix, _)| prefix != StringId::XML_PREFIX));
        // A node's address has room for so many.
        nodes.truncate(node::NAMESPACES_MAX);
        nodes
    }

    /// The element whose ID is this.
    pub(crate) fn by_id(&self, value: &str) -> Option<u32> {
        self.ids.get(value).copied()
    }

    pub(crate) fn unparsed_entity(&self, name: &str) -> Option<&str> {
        self.unparsed.get(name).map(|uri| &**uri)
    }

    /// Line and column, if they were kept.
    pub(crate) fn position(&self, id: u32) -> Option<(u32, u32)> {
        self.positions.get(id as usize).copied()
    }

    /// The document element.
    pub(crate) fn document_element(&self) -> Option<u32> {
        self.children(0).find(|&child| self.is(child, Kind::Element))
    }
}

/// The children of a node.
pub(crate) struct Children<'t> {
    tree: &'t Tree,
    next: Option<u32>,
}

impl Iterator for Children<'_> {
    type Item = u32;

    fn next(&mut self) -> Option<u32> {
        let current = self.next?;
        self.next = self.tree.next_sibling(current);
        Some(current)
    }
}
