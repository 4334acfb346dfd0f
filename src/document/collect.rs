//! Collects records from the events of a document that nests: elements open and close, texts come; each element that the record path leads to is
//! handed out whole, and forgotten again.
//!
//! In memory are the record at hand and the elements that it stands in. Of what stands beside it outside, attributes apart, only as much is kept
//! as some path asks for, and no more than [`CONTEXT_MAX`].

use std::sync::Arc;

use super::record::{Fault, Frame, Record};
use super::tree::{Kind, Mark, NodeId, Tree, only_attributes};
use crate::model::path::{Path, Predicate, Step, To};

/// Elements may nest so deep.
pub const DEPTH_MAX: usize = 200;
/// Bytes kept of what stands outside of records, when paths lead there.
pub const CONTEXT_MAX: usize = 256 * 1024;
/// Bytes that one record may need when it is taken apart.
pub const TREE_MAX: usize = 128 * 1024 * 1024;

/// What a reader of records from a nested document needs to know.
#[derive(Clone, Debug, PartialEq)]
pub struct Asked {
    /// Where records stand. Absolute; its last step is an element. No steps at all: the whole document.
    pub record: Path,
    /// The values of a record, in the order of its fields.
    pub values: Vec<Path>,
    /// Records nested in a record: where they stand in it, and their values.
    pub nested: Vec<Nested>,
    /// Prefixes that paths use.
    pub namespaces: Vec<(String, String)>,
}

/// Records nested in a record.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Nested {
    /// Where they stand, from the record on.
    pub record: Option<Path>,
    /// Their values, in the order of their fields.
    pub values: Vec<Path>,
}

/// Records nested in one record, at most.
pub const NESTED_MAX: usize = 100_000;

/// Why collecting cannot go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TooMuch {
    /// Deeper than [`DEPTH_MAX`].
    Depth,
    /// More than [`CONTEXT_MAX`].
    Context,
    /// More than [`TREE_MAX`].
    Record,
}

/// Writes an element that a record stands in, for the file of refused rows.
pub type WriteFrame = fn(&Tree, NodeId, Inner) -> Frame;

/// The element in an element that records stand in.
#[derive(Clone, Copy, Debug)]
pub struct Inner {
    /// Which.
    pub id: NodeId,
    /// It is an item of an array.
    pub item: bool,
}

struct Open {
    id: NodeId,
    mark: Mark,
    number: u64,
    /// A record stood in it.
    had_records: bool,
    /// It is an item of an array.
    item: bool,
}

/// Events in, records out.
pub struct Collector {
    asked: Asked,
    /// Outer elements that paths do not name: the object that a JSON document is.
    unnamed: usize,
    tree: Tree,
    open: Vec<Open>,
    /// How many are open outside of the record at hand, itself included.
    record: Option<usize>,
    keeps_context: bool,
    opened: u64,
    frames: Option<Arc<Vec<Frame>>>,
    /// The record that they lead to: its name, and whether it is an item of an array.
    frames_to: (String, bool),
    write_frame: WriteFrame,
    /// An element was seen that records would stand in.
    place_found: bool,
    /// Up to ten names of elements that were seen outside of records, for a hint when there is no record.
    seen: Vec<String>,
}

impl Collector {
    /// A collector of these records. Paths do not name the `unnamed` outermost elements.
    pub fn new(asked: Asked, unnamed: usize, write_frame: WriteFrame) -> Collector {
        let outer = asked.record.steps.split_last().map_or(&[][..], |(_, outer)| outer);
        let values = asked.values.iter().chain(asked.nested.iter().flat_map(|nested| &nested.values));
        let keeps_context = values.clone().any(needs_context) || outer.iter().any(asks_for_elements);
        let (tree, open) = (Tree::default(), Vec::new());
        Collector {
            asked,
            unnamed,
            tree,
            open,
            record: None,
            keeps_context,
            opened: 0,
            frames: None,
            frames_to: (String::new(), false),
            write_frame,
            place_found: false,
            seen: Vec::new(),
        }
    }

    /// Whether a record is being collected.
    pub fn is_in_record(&self) -> bool {
        self.record.is_some()
    }

    /// How many elements are open.
    pub fn depth(&self) -> usize {
        self.open.len()
    }

    /// The name of the innermost open element.
    pub fn innermost(&self) -> &str {
        self.open.last().map_or("", |open| self.tree.name(open.id))
    }

    /// Elements that were seen where no record was; `None` when the place of records was there, and empty.
    pub fn seen_instead(&self) -> Option<&[String]> {
        (!self.place_found).then_some(self.seen.as_slice())
    }

    /// An array begins whose items have this name: it may be the place of records, and empty.
    pub fn array(&mut self, name: &str) -> Result<(), TooMuch> {
        if self.record.is_some() || self.place_found {
            return Ok(());
        }
        self.open(name, 0, 0)?;
        self.place_found = self.leads_here();
        if let Some(open) = self.open.pop() {
            self.tree.truncate(open.mark);
        }
        Ok(())
    }

    /// The number of a namespace.
    pub fn namespace(&mut self, uri: &str) -> u32 {
        self.tree.namespace(uri)
    }

    fn top(&self) -> NodeId {
        self.open.last().map_or(NodeId::DOCUMENT, |open| open.id)
    }

    /// An element opens; its attributes follow, then [`Collector::opened`].
    pub fn open(&mut self, name: &str, namespace: u32, line: u64) -> Result<(), TooMuch> {
        if self.open.len() == DEPTH_MAX {
            return Err(TooMuch::Depth);
        }
        let parent = self.top();
        let mark = self.tree.mark(parent);
        let id = self.tree.element(parent, name, namespace, line);
        self.opened += 1;
        self.open.push(Open { id, mark, number: self.opened, had_records: false, item: false });
        if self.open.len() == self.unnamed {
            self.tree.begin_at(id);
        }
        self.bounded()
    }

    /// The element that opened last is an item of an array.
    pub fn item(&mut self) {
        if let Some(open) = self.open.last_mut() {
            open.item = true;
        }
    }

    /// An attribute of the element that opened last.
    pub fn attribute(&mut self, name: &str, namespace: u32, value: &str) -> Result<(), TooMuch> {
        self.tree.attribute(self.top(), name, namespace, value);
        self.bounded()
    }

    /// All attributes are there: whether the element is a record.
    pub fn opened(&mut self) -> bool {
        if self.record.is_some() {
            return false;
        }
        if self.leads_here() {
            self.record = Some(self.open.len());
            return true;
        }
        self.frames = None;
        if let Some((last, before)) = self.asked.record.steps.split_last()
            && !last.deep
            && !self.place_found
        {
            self.place_found = self.open.get(self.unnamed..).is_some_and(|open| !open.is_empty() && self.leads(before, false, open));
        }
        if self.seen.len() < 10 {
            let path: Vec<&str> = self.open.iter().skip(self.unnamed).map(|open| self.tree.name(open.id)).collect();
            let path = format!("/{}", path.join("/"));
            if !self.seen.contains(&path) {
                self.seen.push(path);
            }
        }
        false
    }

    /// Text of the innermost element.
    pub fn text(&mut self, text: &str, exact: bool) -> Result<(), TooMuch> {
        if self.record.is_some() || self.keeps_context {
            self.tree.text(self.top(), text, exact);
            if self.record.is_none() {
                self.frames = None;
            }
        }
        self.bounded()
    }

    /// The innermost element closes. `true` when it was a record, which is now in `record`, its exact text apart.
    pub fn close(&mut self, record: &mut Record) -> Result<bool, TooMuch> {
        let Some(closed) = self.open.pop() else { return Ok(false) };
        let depth = self.open.len() + 1;
        if self.record == Some(depth) {
            self.record = None;
            let last = self.asked.record.steps.last();
            let is_record = last.is_none_or(|step| self.tree.holds_all(closed.id, step, &self.asked.namespaces));
            if is_record {
                self.fill(Inner { id: closed.id, item: closed.item }, record);
                self.open.iter_mut().for_each(|open| open.had_records = true);
            }
            self.tree.truncate(closed.mark);
            return Ok(is_record);
        }
        if self.record.is_none() {
            self.frames = None;
            // What had records in it is of no use to records behind it, and there may be many of its kind.
            if !self.keeps_context || closed.had_records || self.open.len() < self.unnamed {
                self.tree.truncate(closed.mark);
            }
        }
        self.bounded().map(|()| false)
    }

    fn bounded(&self) -> Result<(), TooMuch> {
        let size = self.tree.size();
        match self.record {
            None if self.keeps_context && size > CONTEXT_MAX => Err(TooMuch::Context),
            _ if size > TREE_MAX => Err(TooMuch::Record),
            _ => Ok(()),
        }
    }

    fn fill(&mut self, own: Inner, record: &mut Record) {
        let id = own.id;
        record.clear(self.tree.line(id));
        for path in &self.asked.values {
            match self.tree.find(id, path, &self.asked.namespaces).and_then(|found| self.tree.string(found)) {
                Some((text, exact)) => record.push(&text, exact),
                None => record.push("", false),
            }
        }
        for (number, nested) in self.asked.nested.iter().enumerate() {
            let Some(place) = &nested.record else { continue };
            let found = self.tree.find_all(id, place, &self.asked.namespaces, NESTED_MAX + 1);
            if found.len() + record.nested.len() > NESTED_MAX {
                record.fault = Some(Fault::Size);
                break;
            }
            for id in found {
                let mut inner = Record::default();
                inner.clear(self.tree.line(id));
                for path in &nested.values {
                    match self.tree.find(id, path, &self.asked.namespaces).and_then(|found| self.tree.string(found)) {
                        Some((text, exact)) => inner.push(&text, exact),
                        None => inner.push("", false),
                    }
                }
                record.nested.push((number, inner));
            }
        }
        if (self.frames_to.0.as_str(), self.frames_to.1) != (self.tree.name(id), own.item) {
            self.frames_to = (self.tree.name(id).to_owned(), own.item);
            self.frames = None;
        }
        let frames = self.frames.get_or_insert_with(|| {
            let inner = self.open.iter().skip(1).map(|open| Inner { id: open.id, item: open.item }).chain([own]);
            let frame = |(open, inner): (&Open, Inner)| Frame { number: open.number, ..(self.write_frame)(&self.tree, open.id, inner) };
            Arc::new(self.open.iter().zip(inner).map(frame).collect())
        });
        record.frames = Some(frames.clone());
    }

    /// Whether the record path leads to the element that opened last, as far as that can be told before it closes.
    fn leads_here(&self) -> bool {
        let steps = &self.asked.record.steps;
        let Some((last, before)) = steps.split_last() else { return self.open.len() == 1 };
        let Some((innermost, above)) = self.open.get(self.unnamed..).and_then(<[Open]>::split_last) else { return false };
        self.tree.may_be(innermost.id, last, &self.asked.namespaces) && self.leads(before, last.deep, above)
    }

    /// Whether the steps lead from the document to the innermost of these elements, or to one above it when levels may lie between.
    fn leads(&self, steps: &[Step], gap: bool, open: &[Open]) -> bool {
        let Some((last, before)) = steps.split_last() else { return gap || open.is_empty() };
        let lowest = if gap { 0 } else { open.len().saturating_sub(1) };
        (lowest..open.len()).rev().any(|at| {
            self.tree.may_be(open[at].id, last, &self.asked.namespaces)
                && self.tree.holds_all(open[at].id, last, &self.asked.namespaces)
                && self.leads(before, last.deep, &open[..at])
        })
    }
}

/// Whether a path asks for something that stands beside the record: anything outside but attributes of the elements it stands in.
fn needs_context(path: &Path) -> bool {
    let above = path.steps.iter().take_while(|step| step.to == To::Parent).count();
    let rest = &path.steps[above..];
    let attribute_above = !path.absolute && matches!(rest, [Step { deep: false, to: To::Attribute(_), .. }]);
    path.leaves_the_record() && !attribute_above
}

/// Whether a step has a condition on what stands in its element.
fn asks_for_elements(step: &Step) -> bool {
    step.predicates.iter().any(|predicate| match predicate {
        Predicate::Has(path) | Predicate::Equals(path, _) => !only_attributes(path),
        Predicate::Position(_) => false,
    })
}

/// Whether an element has nothing in it but attributes.
pub fn is_empty(tree: &Tree, id: NodeId) -> bool {
    tree.children(id).all(|child| tree.kind(child) == Kind::Attribute)
}

/// The fault of a record that is too much.
pub fn fault_of(too_much: TooMuch) -> Fault {
    match too_much {
        TooMuch::Depth => Fault::Depth,
        TooMuch::Context | TooMuch::Record => Fault::Size,
    }
}
