//! Builds a tree from start to end: used by the parser and for result tree fragments.

use std::sync::Arc;

use super::{Data, KIND_SHIFT, Kind, Scope, Tree, UNNAMED};
use crate::name::{QNameId, StringId, is_blank};

/// A tree that is being built. Text in pieces becomes one node.
#[derive(Debug)]
pub(crate) struct TreeBuilder {
    tree: Tree,
    open: Vec<u32>,
    /// Indices of the scopes whose elements are open, plus one.
    scopes: Vec<u32>,
    positions: bool,
}

impl TreeBuilder {
    pub(crate) fn new(base: Arc<str>) -> TreeBuilder {
        let mut builder =
            TreeBuilder { tree: Tree { base, ..Tree::default() }, open: Vec::with_capacity(8), scopes: Vec::new(), positions: false };
        builder.push(Kind::Root, UNNAMED, 0);
        builder.open.push(0);
        builder
    }

    /// Keeps line and column of each element and attribute.
    pub(crate) fn with_positions(mut self) -> TreeBuilder {
        self.positions = true;
        self.tree.positions.push((1, 1));
        self
    }

    /// How many nodes there are so far.
    pub(crate) fn len(&self) -> u32 {
        self.tree.nodes.len() as u32
    }

    /// Bytes of text and values so far.
    pub(crate) fn bytes(&self) -> usize {
        self.tree.text.len().max(self.tree.values.len())
    }

    fn push(&mut self, kind: Kind, name: QNameId, start: usize) -> u32 {
        let id = self.tree.nodes.len() as u32;
        let parent = self.open.last().copied().unwrap_or(0);
        self.tree.nodes.push(Data { tag: (kind as u32) << KIND_SHIFT | name.0, parent, end: id + 1, start: start as u32, length: 0 });
        id
    }

    fn locate(&mut self, line: u32, column: u32) {
        if self.positions {
            self.tree.positions.push((line, column));
        }
    }

    pub(crate) fn start_element(&mut self, name: QNameId, line: u32, column: u32) -> u32 {
        let id = self.push(Kind::Element, name, self.tree.text.len());
        self.locate(line, column);
        self.open.push(id);
        id
    }

    /// Declares a namespace on the element just started, before its attributes.
    pub(crate) fn namespace(&mut self, prefix: StringId, uri: StringId) {
        let Some(&element) = self.open.last() else { return };
        let position = self.tree.bindings.len() as u32;
        match self.tree.scopes.last_mut() {
            Some(scope) if scope.element == element => scope.last = position + 1,
            _ => {
                let outer = self.scopes.last().copied().unwrap_or(0);
                self.tree.scopes.push(Scope { element, outer, first: position, last: position + 1 });
                self.scopes.push(self.tree.scopes.len() as u32);
            }
        }
        self.tree.bindings.push((prefix, uri));
    }

    pub(crate) fn attribute(&mut self, name: QNameId, value: &str, line: u32, column: u32) -> u32 {
        let id = self.push(Kind::Attribute, name, self.tree.values.len());
        self.locate(line, column);
        self.tree.values.push_str(value);
        self.tree.nodes[id as usize].length = value.len() as u32;
        id
    }

    /// Says that the attribute just added is of type ID.
    pub(crate) fn identify(&mut self, value: &str) {
        if let Some(&element) = self.open.last() {
            // The first of two elements with one ID is the one (XPath 1.0, section 5.2.1).
            self.tree.ids.entry(value.into()).or_insert(element);
        }
    }

    pub(crate) fn unparsed_entity(&mut self, name: &str, uri: &str) {
        self.tree.unparsed.entry(name.into()).or_insert_with(|| uri.into());
    }

    fn open_text(&self) -> Option<u32> {
        let last = self.tree.nodes.len() as u32 - 1;
        (self.tree.is(last, Kind::Text) && self.open.last() == Some(&self.tree.parent(last)) && self.tree.raw.last() != Some(&last))
            .then_some(last)
    }

    pub(crate) fn text(&mut self, text: &str) {
        if text.is_empty() {
            return;
        }
        let id = match self.open_text() {
            Some(last) => last,
            None => {
                let id = self.push(Kind::Text, UNNAMED, self.tree.text.len());
                self.locate(0, 0);
                id
            }
        };
        self.tree.text.push_str(text);
        self.tree.nodes[id as usize].length += text.len() as u32;
    }

    /// Text that is to be written without escaping if it reaches the output.
    pub(crate) fn raw_text(&mut self, text: &str) {
        if text.is_empty() {
            return;
        }
        let id = self.push(Kind::Text, UNNAMED, self.tree.text.len());
        self.locate(0, 0);
        self.tree.text.push_str(text);
        self.tree.nodes[id as usize].length = text.len() as u32;
        self.tree.raw.push(id);
    }

    /// The text node just written is removed when it is nothing but white space (XSLT 1.0, section 3.4).
    pub(crate) fn strip_blank(&mut self) {
        if let Some(last) = self.open_text() {
            let start = self.tree.nodes[last as usize].start as usize;
            if is_blank(&self.tree.text[start..]) {
                self.tree.text.truncate(start);
                self.tree.nodes.pop();
                if self.positions {
                    self.tree.positions.pop();
                }
            }
        }
    }

    pub(crate) fn comment(&mut self, text: &str) {
        self.leaf(Kind::Comment, UNNAMED, text);
    }

    pub(crate) fn instruction(&mut self, target: QNameId, data: &str) {
        self.leaf(Kind::Instruction, target, data);
    }

    fn leaf(&mut self, kind: Kind, name: QNameId, value: &str) {
        let id = self.push(kind, name, self.tree.values.len());
        self.locate(0, 0);
        self.tree.values.push_str(value);
        self.tree.nodes[id as usize].length = value.len() as u32;
    }

    pub(crate) fn end_element(&mut self) {
        if self.open.len() > 1
            && let Some(id) = self.open.pop()
        {
            self.close(id);
        }
    }

    fn close(&mut self, id: u32) {
        let (end, text_end) = (self.tree.nodes.len() as u32, self.tree.text.len() as u32);
        let data = &mut self.tree.nodes[id as usize];
        data.end = end;
        data.length = text_end - data.start;
        if let Some(&index) = self.scopes.last()
            && self.tree.scopes[index as usize - 1].element == id
        {
            self.scopes.pop();
        }
    }

    /// The element that is open and contains no open one.
    pub(crate) fn innermost(&self) -> u32 {
        self.open.last().copied().unwrap_or(0)
    }

    /// Another builder that stands where this one does.
    pub(crate) fn fork(&self) -> TreeBuilder {
        let tree = &self.tree;
        TreeBuilder {
            tree: Tree {
                nodes: tree.nodes.clone(),
                text: tree.text.clone(),
                values: tree.values.clone(),
                scopes: tree.scopes.clone(),
                bindings: tree.bindings.clone(),
                ids: tree.ids.clone(),
                unparsed: tree.unparsed.clone(),
                positions: tree.positions.clone(),
                raw: tree.raw.clone(),
                base: tree.base.clone(),
            },
            open: self.open.clone(),
            scopes: self.scopes.clone(),
            positions: self.positions,
        }
    }

    /// What is there so far, with what is open closed.
    pub(crate) fn snapshot(&self) -> Tree {
        self.fork().finish()
    }

    /// Closes what is open.
    pub(crate) fn finish(mut self) -> Tree {
        while let Some(id) = self.open.pop() {
            self.close(id);
        }
        self.tree
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::name::Names;

    #[test]
    fn order_values_and_siblings_follow_from_the_array() {
        let mut names = Names::new();
        let mut name = |text: &str| {
            let local = names.string(text);
            names.qualified(StringId::EMPTY, StringId::EMPTY, local)
        };
        let (a, b, x) = (name("a"), name("b"), name("x"));
        let mut builder = TreeBuilder::new("".into());
        let root = builder.start_element(a, 0, 0);
        builder.attribute(x, "1", 0, 0);
        builder.text("one");
        builder.text(" two");
        let inner = builder.start_element(b, 0, 0);
        builder.text("deep");
        builder.end_element();
        builder.comment("note");
        builder.text("   ");
        builder.strip_blank();
        builder.end_element();
        let tree = builder.finish();
        assert_eq!(tree.value(0), "one twodeep");
        assert_eq!(tree.value(inner), "deep");
        assert_eq!(tree.children(root).map(|child| tree.kind(child)).collect::<Vec<_>>(), [Kind::Text, Kind::Element, Kind::Comment]);
        let back: Vec<u32> = std::iter::successors(tree.children(root).last(), |&id| tree.previous_sibling(id)).collect();
        assert_eq!(back, tree.children(root).collect::<Vec<_>>().into_iter().rev().collect::<Vec<_>>());
        assert_eq!(tree.attributes(root).len(), 1);
        assert_eq!(tree.document_element(), Some(root));
    }

    #[test]
    fn bindings_are_seen_from_inside_only() {
        let mut names = Names::new();
        let (p, u, v, local) = (names.string("p"), names.string("urn:u"), names.string("urn:v"), names.string("e"));
        let e = names.qualified(StringId::EMPTY, StringId::EMPTY, local);
        let mut builder = TreeBuilder::new("".into());
        let outer = builder.start_element(e, 0, 0);
        builder.namespace(p, u);
        let inner = builder.start_element(e, 0, 0);
        builder.namespace(p, v);
        builder.end_element();
        let after = builder.start_element(e, 0, 0);
        builder.end_element();
        builder.end_element();
        let tree = builder.finish();
        assert_eq!(tree.resolve(outer, p), Some(u));
        assert_eq!(tree.resolve(inner, p), Some(v));
        assert_eq!(tree.resolve(after, p), Some(u));
        assert_eq!(tree.resolve(after, v), None);
        assert_eq!(tree.namespace_nodes(inner).len(), 2);
    }
}
