//! A piece of a document that nests, XML or JSON: one record with the elements that it stands in. All of it lies in two buffers, which are used
//! again for the next record.

use std::borrow::Cow;

use crate::model::path::{Name, Path, Predicate, Step, To};

const NONE: u32 = u32::MAX;

/// A node of a [`Tree`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NodeId(u32);

impl NodeId {
    /// The document itself.
    pub const DOCUMENT: NodeId = NodeId(0);
}

/// What a node is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// The document, an element, an object, an array's item, a member.
    Element,
    /// An attribute; its text is its value.
    Attribute,
    /// Text; `exact` when the document marks it as a value, as a JSON string does.
    Text {
        /// It cannot be a spelling of "no value".
        exact: bool,
    },
}

/// What an element was in the document.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Shape {
    /// An element of XML.
    #[default]
    Element,
    /// An object of JSON.
    Object,
    /// An array in an array.
    Array,
    /// Text, a number, true or false.
    Value,
    /// A member that is null, as if it were not there.
    Null,
    /// null in an array, or where a document stands.
    NullItem,
}

#[derive(Clone, Debug)]
struct Node {
    kind: Kind,
    shape: Shape,
    /// Qualified, of elements and attributes; text, of texts.
    name: (u32, u32),
    /// Where the local part of the name begins.
    local: u32,
    /// Of attributes.
    value: (u32, u32),
    /// Index into `namespaces`; 0 is none.
    namespace: u32,
    line: u64,
    parent: u32,
    first: u32,
    last: u32,
    next: u32,
}

/// Nodes with their names and texts.
#[derive(Debug)]
pub struct Tree {
    text: String,
    nodes: Vec<Node>,
    namespaces: Vec<String>,
    /// Where absolute paths begin.
    root: NodeId,
    /// Names have prefixes, as in XML.
    prefixed: bool,
}

/// Where a tree stood, to come back to.
#[derive(Clone, Copy, Debug)]
pub struct Mark {
    nodes: usize,
    text: usize,
    parent: u32,
    last: u32,
}

/// Prefixes of paths and the namespaces they stand for.
pub type Namespaces = [(String, String)];

impl Default for Tree {
    fn default() -> Self {
        let mut tree =
            Tree { text: String::new(), nodes: Vec::new(), namespaces: vec![String::new()], root: NodeId::DOCUMENT, prefixed: true };
        tree.push(NONE, Kind::Element, "", 0, 1);
        tree
    }
}

impl Tree {
    /// A colon is a character of a name like others, as in JSON.
    pub fn without_prefixes(mut self) -> Tree {
        self.prefixed = false;
        self
    }

    /// Absolute paths begin here from now on.
    pub fn begin_at(&mut self, root: NodeId) {
        self.root = root;
    }

    /// Where absolute paths begin.
    pub fn root(&self) -> NodeId {
        self.root
    }

    /// How many bytes it needs, about.
    pub fn size(&self) -> usize {
        self.text.len() + self.nodes.len() * size_of::<Node>()
    }

    fn put(&mut self, text: &str) -> (u32, u32) {
        // Records and what surrounds them are bounded far below 4 GiB.
        let start = u32::try_from(self.text.len()).unwrap_or(NONE);
        self.text.push_str(text);
        (start, u32::try_from(self.text.len()).unwrap_or(NONE))
    }

    fn push(&mut self, parent: u32, kind: Kind, name: &str, namespace: u32, line: u64) -> u32 {
        let name_at = self.put(name);
        let prefix = if self.prefixed { name.find(':') } else { None };
        let local = prefix.map_or(name_at.0, |at| name_at.0 + at as u32 + 1);
        let id = u32::try_from(self.nodes.len()).unwrap_or(NONE);
        self.nodes.push(Node {
            kind,
            shape: Shape::Element,
            name: name_at,
            local,
            value: (0, 0),
            namespace,
            line,
            parent,
            first: NONE,
            last: NONE,
            next: NONE,
        });
        if let Some(above) = self.nodes.get_mut(parent as usize) {
            let last = std::mem::replace(&mut above.last, id);
            match last {
                NONE => above.first = id,
                _ => self.nodes[last as usize].next = id,
            }
        }
        id
    }

    /// The number of a namespace in this tree.
    pub fn namespace(&mut self, uri: &str) -> u32 {
        let at = self.namespaces.iter().position(|known| known == uri).unwrap_or_else(|| {
            self.namespaces.push(uri.to_owned());
            self.namespaces.len() - 1
        });
        at as u32
    }

    /// Where it stands before something is added below `parent`.
    pub fn mark(&self, parent: NodeId) -> Mark {
        Mark { nodes: self.nodes.len(), text: self.text.len(), parent: parent.0, last: self.nodes[parent.0 as usize].last }
    }

    /// Takes back everything that was added since.
    pub fn truncate(&mut self, mark: Mark) {
        self.nodes.truncate(mark.nodes);
        self.text.truncate(mark.text);
        let parent = &mut self.nodes[mark.parent as usize];
        parent.last = mark.last;
        match mark.last {
            NONE => parent.first = NONE,
            last => self.nodes[last as usize].next = NONE,
        }
    }

    /// Adds an element.
    pub fn element(&mut self, parent: NodeId, name: &str, namespace: u32, line: u64) -> NodeId {
        NodeId(self.push(parent.0, Kind::Element, name, namespace, line))
    }

    /// Says what an element was in the document.
    pub fn set_shape(&mut self, element: NodeId, shape: Shape) {
        self.nodes[element.0 as usize].shape = shape;
    }

    /// What an element was in the document.
    pub fn shape(&self, id: NodeId) -> Shape {
        self.node(id).shape
    }

    /// Whether a node is made of others, and no value that could be taken for one.
    pub fn is_made_of_others(&self, id: NodeId) -> bool {
        match self.shape(id) {
            Shape::Element => {
                let has_text = |id| {
                    self.children(id).any(|child| matches!(self.kind(child), Kind::Text { .. }) && !self.value(child).trim().is_empty())
                };
                if self.kind(id) != Kind::Element || self.elements(id).next().is_none() || has_text(id) {
                    return false;
                }
                let (mut waiting, mut texts): (Vec<NodeId>, usize) = (self.elements(id).collect(), 0);
                while let Some(next) = waiting.pop().filter(|_| texts < 2) {
                    texts += usize::from(has_text(next));
                    waiting.extend(self.elements(next));
                }
                texts > 1
            }
            Shape::Object => self.node(id).first != NONE,
            Shape::Array => true,
            Shape::Value | Shape::Null | Shape::NullItem => false,
        }
    }

    /// Adds an attribute to an element.
    pub fn attribute(&mut self, element: NodeId, name: &str, namespace: u32, value: &str) {
        let line = self.line(element);
        let id = self.push(element.0, Kind::Attribute, name, namespace, line);
        self.nodes[id as usize].value = self.put(value);
    }

    /// Adds text to an element.
    pub fn text(&mut self, element: NodeId, text: &str, exact: bool) {
        let line = self.line(element);
        let id = self.push(element.0, Kind::Text { exact }, "", 0, line);
        self.nodes[id as usize].value = self.put(text);
    }

    fn slice(&self, (start, end): (u32, u32)) -> &str {
        &self.text[start as usize..end as usize]
    }

    fn node(&self, id: NodeId) -> &Node {
        &self.nodes[id.0 as usize]
    }

    /// What a node is.
    pub fn kind(&self, id: NodeId) -> Kind {
        self.node(id).kind
    }

    /// The qualified name of an element or attribute.
    pub fn name(&self, id: NodeId) -> &str {
        self.slice(self.node(id).name)
    }

    fn local(&self, node: &Node) -> &str {
        self.slice((node.local, node.name.1))
    }

    /// The name of an element or attribute without its prefix.
    pub fn local_name(&self, id: NodeId) -> &str {
        self.local(self.node(id))
    }

    /// The line a node begins on.
    pub fn line(&self, id: NodeId) -> u64 {
        self.node(id).line
    }

    /// The text of a text or attribute node.
    pub fn value(&self, id: NodeId) -> &str {
        self.slice(self.node(id).value)
    }

    /// The node that it stands in.
    pub fn parent(&self, id: NodeId) -> Option<NodeId> {
        Some(self.node(id).parent).filter(|parent| *parent != NONE).map(NodeId)
    }

    /// Attributes, texts and elements of an element, in order.
    pub fn children(&self, id: NodeId) -> impl Iterator<Item = NodeId> + '_ {
        let first = |at: u32| Some(at).filter(|at| *at != NONE);
        std::iter::successors(first(self.node(id).first), move |at| first(self.nodes[*at as usize].next)).map(NodeId)
    }

    fn elements(&self, id: NodeId) -> impl Iterator<Item = NodeId> + '_ {
        self.children(id).filter(|child| self.node(*child).kind == Kind::Element)
    }

    /// Whether an element has elements in it.
    pub fn has_elements(&self, id: NodeId) -> bool {
        self.elements(id).next().is_some()
    }

    /// The text of a node: its own and that of all elements in it, and whether all of it is exact. `None` when there is none at all.
    pub fn string(&self, id: NodeId) -> Option<(Cow<'_, str>, bool)> {
        let node = self.node(id);
        if node.kind != Kind::Element {
            return Some((Cow::Borrowed(self.slice(node.value)), matches!(node.kind, Kind::Text { exact: true })));
        }
        let mut found: Option<(Cow<'_, str>, bool)> = None;
        for child in self.children(id) {
            let part = match self.kind(child) {
                Kind::Attribute => continue,
                Kind::Text { exact } => Some((Cow::Borrowed(self.value(child)), exact)),
                Kind::Element => self.string(child),
            };
            found = match (found, part) {
                (None, part) => part,
                (found, None) => found,
                (Some((text, one)), Some((more, other))) => Some((Cow::Owned(text.into_owned() + &more), one && other)),
            };
        }
        found
    }

    fn is(&self, node: &Node, name: &Name, namespaces: &Namespaces) -> bool {
        name.is(self.local(node))
            && name.prefix.as_ref().is_none_or(|prefix| {
                let declared = namespaces.iter().find(|(known, _)| known == prefix);
                declared.is_some_and(|(_, uri)| self.namespaces[node.namespace as usize] == *uri)
            })
    }

    /// Whether an element or attribute is what a step without conditions leads to.
    pub fn is_step(&self, id: NodeId, step: &Step, namespaces: &Namespaces) -> bool {
        let node = self.node(id);
        match (&step.to, node.kind) {
            (To::Element(name), Kind::Element) | (To::Attribute(name), Kind::Attribute) => self.is(node, name, namespaces),
            _ => false,
        }
    }

    /// The number of the namespace of an element or attribute: the same for the same, as long as the tree is there.
    pub fn namespace_of(&self, id: NodeId) -> u32 {
        self.node(id).namespace
    }

    /// Whether an element, as far as it is known, may be what a step leads to: its name and the conditions on its attributes.
    pub fn may_be(&self, id: NodeId, step: &Step, namespaces: &Namespaces) -> bool {
        let To::Element(name) = &step.to else { return false };
        let early = |predicate: &Predicate| match predicate {
            Predicate::Has(path) | Predicate::Equals(path, _) => !only_attributes(path) || self.holds(id, predicate, namespaces),
            Predicate::Position(_) => true,
        };
        self.is(self.node(id), name, namespaces) && step.predicates.iter().all(early)
    }

    /// Whether a whole element has what the conditions of a step ask for, positions apart.
    pub fn holds_all(&self, id: NodeId, step: &Step, namespaces: &Namespaces) -> bool {
        step.predicates.iter().all(|predicate| self.holds(id, predicate, namespaces))
    }

    fn holds(&self, id: NodeId, predicate: &Predicate, namespaces: &Namespaces) -> bool {
        match predicate {
            Predicate::Position(_) => true,
            Predicate::Has(path) => self.find(id, path, namespaces).is_some(),
            Predicate::Equals(path, literal) => self.walk(self.start(id, path), &path.steps, namespaces, &mut |found| {
                self.string(found).map_or("".into(), |(text, _)| text) == literal.as_str()
            }),
        }
    }

    fn start(&self, id: NodeId, path: &Path) -> NodeId {
        if path.absolute { self.root } else { id }
    }

    /// The first node that a path leads to.
    pub fn find(&self, from: NodeId, path: &Path, namespaces: &Namespaces) -> Option<NodeId> {
        let mut first = None;
        self.walk(self.start(from, path), &path.steps, namespaces, &mut |found| {
            first = Some(found);
            true
        });
        first
    }

    /// Whether a path leads through an array in an array, whose items have no name.
    pub fn leads_through_array(&self, from: NodeId, path: &Path, namespaces: &Namespaces) -> bool {
        let is_array = |steps: &[Step]| self.walk(self.start(from, path), steps, namespaces, &mut |id| self.shape(id) == Shape::Array);
        (1..path.steps.len()).any(|steps| is_array(&path.steps[..steps]))
    }

    /// The node that a path leads to, and whether there are more. A path with `//` means the first.
    pub fn find_one(&self, from: NodeId, path: &Path, namespaces: &Namespaces) -> Option<(NodeId, bool)> {
        let deep = path.steps.iter().any(|step| step.deep);
        let (mut first, mut more) = (None, false);
        self.walk(self.start(from, path), &path.steps, namespaces, &mut |found| {
            more = first.is_some();
            first.get_or_insert(found);
            more || deep
        });
        let first = first?;
        // Of names that differ in case, spaces and underscores, the one that is written so is meant.
        if let (true, [Step { to: To::Element(name) | To::Attribute(name), .. }]) = (more, path.steps.as_slice()) {
            let all = self.find_all(from, path, namespaces, 100);
            let mut exact = all.iter().filter(|id| self.local(self.node(**id)) == name.local);
            if let (true, Some(one), None) = (name.loose, exact.next(), exact.next()) {
                return Some((*one, false));
            }
        }
        Some((first, more))
    }

    /// All nodes that a path leads to, each once, at most `most`.
    pub fn find_all(&self, from: NodeId, path: &Path, namespaces: &Namespaces, most: usize) -> Vec<NodeId> {
        let mut all: Vec<NodeId> = Vec::new();
        self.walk(self.start(from, path), &path.steps, namespaces, &mut |found| {
            // Only a path with `//` may come to a node twice, and then from an outer element first.
            if !path.steps.iter().any(|step| step.deep) || !all.contains(&found) {
                all.push(found);
            }
            all.len() >= most
        });
        all
    }

    /// Calls `found` with each node that the steps lead to, until it says that it is enough.
    fn walk(&self, from: NodeId, steps: &[Step], namespaces: &Namespaces, found: &mut dyn FnMut(NodeId) -> bool) -> bool {
        let Some((step, rest)) = steps.split_first() else { return found(from) };
        if self.step(from, step, rest, namespaces, found) {
            return true;
        }
        if step.deep {
            // Depth first, without recursion: nesting is bounded, but not by much.
            let mut waiting: Vec<NodeId> = self.elements(from).collect();
            waiting.reverse();
            while let Some(next) = waiting.pop() {
                if self.step(next, step, rest, namespaces, found) {
                    return true;
                }
                let at = waiting.len();
                waiting.extend(self.elements(next));
                waiting[at..].reverse();
            }
        }
        false
    }

    fn step(&self, from: NodeId, step: &Step, rest: &[Step], namespaces: &Namespaces, found: &mut dyn FnMut(NodeId) -> bool) -> bool {
        let name = match &step.to {
            To::Parent => return self.parent(from).is_some_and(|parent| self.walk(parent, rest, namespaces, found)),
            To::Attribute(name) => {
                let is_meant = |child: &NodeId| {
                    let node = self.node(*child);
                    node.kind == Kind::Attribute && self.is(node, name, namespaces)
                };
                let mut meant = self.children(from).filter(is_meant);
                let Some(first) = meant.next() else { return false };
                // The one that is written so, of those that are called alike.
                let exact = |child: &NodeId| self.local_name(*child) == name.local;
                let other = if exact(&first) { None } else { meant.find(exact) };
                return found(other.unwrap_or(first));
            }
            To::Element(name) => name,
        };
        let mut counts = vec![0u32; step.predicates.len()];
        'children: for child in self.elements(from) {
            if !self.is(self.node(child), name, namespaces) {
                continue;
            }
            for (predicate, count) in step.predicates.iter().zip(&mut counts) {
                match predicate {
                    Predicate::Position(wanted) => {
                        *count += 1;
                        if *count != *wanted {
                            continue 'children;
                        }
                    }
                    _ if !self.holds(child, predicate, namespaces) => continue 'children,
                    _ => {}
                }
            }
            if self.walk(child, rest, namespaces, found) {
                return true;
            }
        }
        false
    }
}

/// Whether a path leads to an attribute of the element that it begins at.
pub fn only_attributes(path: &Path) -> bool {
    !path.absolute && matches!(path.steps.as_slice(), [Step { deep: false, to: To::Attribute(_), .. }])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tree() -> (Tree, NodeId) {
        let mut tree = Tree::default();
        let space = tree.namespace("urn:b");
        let root = tree.element(NodeId::DOCUMENT, "Invoice", 0, 1);
        let id = tree.element(root, "b:ID", space, 2);
        tree.text(id, "17", false);
        for (line, (name, unit)) in [("Pen", "box"), ("Ink", "l")].into_iter().enumerate() {
            let item = tree.element(root, "Line", 0, 3 + line as u64);
            tree.attribute(item, "unit", 0, unit);
            let element = tree.element(item, "Name", 0, 3);
            tree.text(element, name, true);
        }
        (tree, root)
    }

    #[test]
    fn paths_lead_where_xpath_leads() {
        let (tree, root) = tree();
        let names = [("b".to_owned(), "urn:b".to_owned()), ("c".to_owned(), "urn:c".to_owned())];
        let second = tree.find_all(root, &Path::parse("Line").unwrap(), &names, 9)[1];
        let table = [
            (root, "Line/Name", Some("Pen")),
            (root, "Line[2]/Name", Some("Ink")),
            (root, "Line[3]/Name", None),
            (root, "Line[@unit='l']/Name", Some("Ink")),
            (root, "Line[Name='Ink']/@unit", Some("l")),
            (root, "b:ID", Some("17")),
            (root, "c:ID", None),
            (root, "ID", Some("17")),
            (root, "//Name", Some("Pen")),
            (root, "*[2]/@unit", Some("box")),
            (second, "../b:ID", Some("17")),
            (second, "/Invoice/Line/@unit", Some("box")),
            (second, ".", Some("Ink")),
            (second, "@missing", None),
            (root, "line", None),
        ];
        for (from, path, expected) in table {
            let path = Path::parse(path).unwrap();
            let found = tree.find(from, &path, &names).and_then(|id| tree.string(id)).map(|(text, _)| text.into_owned());
            assert_eq!(found.as_deref(), expected, "{path}");
        }
        assert!(tree.find(root, &Path::element("LI_NE"), &names).is_some(), "a loose name");
        assert_eq!(tree.find_all(root, &Path::parse("//Name").unwrap(), &names, 9).len(), 2);
    }

    #[test]
    fn what_was_added_can_be_taken_back() {
        let (mut tree, root) = tree();
        let (mark, size) = (tree.mark(root), tree.size());
        let more = tree.element(root, "Line", 0, 9);
        tree.text(more, "x", false);
        tree.truncate(mark);
        assert_eq!(tree.size(), size);
        assert_eq!(tree.children(root).count(), 3);
        let again = tree.element(root, "Total", 0, 9);
        assert_eq!(tree.children(root).last(), Some(again));
    }
}
