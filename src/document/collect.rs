//! Collects records from the events of a document that nests: elements open and close, texts come; each element that the record path leads to is
//! handed out whole, and forgotten again.
//!
//! In memory are the record at hand and the elements that it stands in. Of what stands beside it outside, attributes apart, only as much is kept
//! as some path asks for, and no more than [`CONTEXT_MAX`].

mod beside;
mod direct;
mod fill;

use self::beside::{Beside, Reach};
use self::direct::Direct;
use std::collections::BTreeSet;
use std::sync::Arc;

use fill::{Found, Missed, Place};

use super::record::{Fault, Frame, Record};
use super::tree::{Mark, NodeId, Shape, Tree, only_attributes};
use crate::model::path::{Path, Predicate, Step, To, alike};

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
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TooMuch {
    /// Deeper than [`DEPTH_MAX`].
    Depth,
    /// More than [`CONTEXT_MAX`].
    Context,
    /// More than [`TREE_MAX`].
    Record,
    /// The document is not as its paths say: how, and what to do.
    Trap(String, String),
}

/// What stands where no record does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Instead<'a> {
    /// Up to ten places of elements.
    pub seen: &'a [String],
    /// The place of records is there, with other elements in it, none of them called like a record.
    pub others: bool,
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
    /// What leads to it, outside of records.
    reach: Reach,
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
    /// What paths lead to beside records, when any does.
    beside: Option<Beside>,
    opened: u64,
    frames: Option<Arc<Vec<Frame>>>,
    /// The record that they lead to: its name, and whether it is an item of an array.
    frames_to: (String, bool),
    write_frame: WriteFrame,
    /// An element was seen that records would stand in.
    place_found: bool,
    /// Up to ten names of elements that were seen outside of records, for a hint when there is no record.
    seen: Vec<String>,
    /// An element stood in the place of records that is called like one, or not.
    alike: bool,
    others: bool,
    /// Elements inside of the record at hand that the record path leads to as well.
    inner: Vec<NodeId>,
    missed: Vec<Missed>,
    /// A record was found.
    begun: bool,
    /// For each value of a record, then of nested ones.
    found: Vec<Found>,
    /// For each place of nested records.
    nested_found: Vec<Place>,
    /// An array stood in an array inside of a record.
    in_arrays: bool,
    /// Names of empty arrays inside of records, some of them: they leave nothing else.
    arrays: BTreeSet<String>,
    direct: Direct,
}

/// So many names of arrays are kept.
const ARRAYS_MAX: usize = 100;

impl Collector {
    /// A collector of these records. Paths do not name the `unnamed` outermost elements.
    pub fn new(asked: Asked, unnamed: usize, write_frame: WriteFrame) -> Collector {
        let outer = asked.record.steps.split_last().map_or(&[][..], |(_, outer)| outer);
        let values = asked.values.iter().chain(asked.nested.iter().flat_map(|nested| &nested.values));
        let keeps_context = values.clone().any(needs_context) || outer.iter().any(asks_for_elements);
        let beside = keeps_context.then(|| Beside::new(&asked, unnamed));
        let tree = if unnamed == 0 { Tree::default() } else { Tree::default().without_prefixes() };
        let open = Vec::new();
        Collector {
            asked,
            unnamed,
            tree,
            open,
            record: None,
            beside,
            opened: 0,
            frames: None,
            frames_to: (String::new(), false),
            write_frame,
            place_found: false,
            seen: Vec::new(),
            alike: false,
            others: false,
            inner: Vec::new(),
            missed: Vec::new(),
            begun: false,
            found: Vec::new(),
            nested_found: Vec::new(),
            arrays: BTreeSet::new(),
            in_arrays: false,
            direct: Direct::default(),
        }
    }

    /// Begins anew behind what could not be read.
    pub fn begin_again(&mut self) {
        let (found, nested_found, direct) =
            (std::mem::take(&mut self.found), std::mem::take(&mut self.nested_found), std::mem::take(&mut self.direct));
        *self = Collector { found, nested_found, direct, ..Collector::new(self.asked.clone(), self.unnamed, self.write_frame) };
    }

    /// Values that no record had, as paths.
    pub fn never_found(&self) -> Vec<&str> {
        self.all_found(|found| found.asked && !found.once && found.elsewhere == 0).map(|(path, _)| path.text()).collect()
    }

    /// Names in records, some of them, that no value and no nested record is called by. Of use where values are asked for by their names alone.
    pub fn strangers(&self) -> Vec<&str> {
        let places: Vec<&Path> = self.asked.nested.iter().filter_map(|nested| nested.record.as_ref()).collect();
        let begins = |place: &&Path, name: &str| match place.steps.first() {
            Some(Step { deep: false, to: To::Element(first), .. }) if !place.absolute => first.is(name),
            _ => true,
        };
        let strange = |name: &&str| !places.iter().any(|place| begins(place, name));
        self.direct.strangers().iter().map(String::as_str).filter(strange).collect()
    }

    /// Places of nested records that no record had.
    pub fn nested_never_found(&self) -> Vec<&str> {
        let missed = self.asked.nested.iter().zip(&self.nested_found).filter(|(_, found)| matches!(found, Place::Missing | Place::Others));
        missed.filter_map(|(nested, _)| nested.record.as_ref()).map(Path::text).collect()
    }

    /// Values that stand in attributes where elements are asked for, or the reverse: in so many records, and whether others have them where they should be.
    pub fn found_elsewhere(&self) -> Vec<(&str, u64, bool)> {
        let is_mapped = |path: &&Path| self.asked.values.iter().any(|other| is_other_style(path, other));
        let values = self.all_found(|found| found.elsewhere > 0).filter(|(path, _)| !is_mapped(path));
        values.map(|(path, found)| (path.text(), found.elsewhere, found.once)).collect()
    }

    fn all_found(&self, is: fn(&Found) -> bool) -> impl Iterator<Item = (&Path, Found)> {
        let values = self.asked.values.iter().chain(self.asked.nested.iter().flat_map(|nested| &nested.values));
        values.zip(&self.found).filter(move |(_, found)| is(found)).map(|(path, found)| (path, *found))
    }

    /// Whether a record is being collected.
    pub fn is_in_record(&self) -> bool {
        self.record.is_some()
    }

    /// Whether the element that is open is the one that records stand in, outside of any.
    pub fn is_at_place(&self) -> bool {
        let Some((last, before)) = self.asked.record.steps.split_last() else { return false };
        self.record.is_none() && !last.deep && !before.is_empty() && !self.open.is_empty() && self.leads(before, false, &self.open)
    }

    /// How many elements are open.
    pub fn depth(&self) -> usize {
        self.open.len()
    }

    /// The name of the innermost open element.
    pub fn innermost(&self) -> &str {
        self.open.last().map_or("", |open| self.tree.name(open.id))
    }

    /// What was seen where no record was; `None` when the place of records was there, and empty.
    pub fn seen_instead(&self) -> Option<Instead<'_>> {
        let place = self.place_found && !self.alike;
        (!place || self.others).then_some(Instead { seen: &self.seen, others: place })
    }

    /// An array begins whose items have this name: it may be the place of records. `inside`: it is an item of another; `empty`: it has none.
    pub fn array(&mut self, name: &str, inside: bool, empty: bool, line: u64) -> Result<(), TooMuch> {
        if self.record.is_some() {
            if empty && !self.asked.nested.is_empty() && self.arrays.len() < ARRAYS_MAX && !self.arrays.contains(name) {
                self.arrays.insert(name.to_owned());
            }
            if inside {
                self.open(name, 0, line)?;
                self.shape(Shape::Array);
                self.open.pop();
                self.in_arrays = true;
            }
            return Ok(());
        }
        if self.place_found && !inside {
            return Ok(());
        }
        self.open(name, 0, 0)?;
        let leads = self.leads_here();
        let open = self.open.get(self.unnamed..).unwrap_or_default();
        let before = self.asked.record.steps.len().saturating_sub(1);
        let on_the_way = (1..=before).any(|way| !open.is_empty() && self.leads(&self.asked.record.steps[..way], false, open));
        if let Some(open) = self.open.pop() {
            self.tree.truncate(open.mark);
        }
        if leads && inside && !self.asked.record.steps.is_empty() {
            return Err(TooMuch::Trap(
                "an array stands where a record should".into(),
                "a record is an object: correct the document".into(),
            ));
        }
        self.place_found |= leads || on_the_way;
        Ok(())
    }

    /// What the element that opened last is in the document.
    pub fn shape(&mut self, shape: Shape) {
        self.tree.set_shape(self.top(), shape);
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
        let reach = match (&self.beside, self.record) {
            (Some(beside), None) => {
                let parent = self.open.last().map(|open| &open.reach);
                beside.reach(&self.tree, id, self.open.len() + 1, parent, &self.asked.namespaces)
            }
            _ => Reach::NOWHERE,
        };
        self.open.push(Open { id, mark, number: self.opened, had_records: false, item: false, reach });
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
            // Only behind `//` one record may stand in another.
            if self.asked.record.steps.iter().any(|step| step.deep) && self.leads_here() {
                self.inner.push(self.top());
            }
            return false;
        }
        if self.leads_here() {
            // A member that is null is as an array without items.
            if self.tree.shape(self.top()) == Shape::Null {
                self.place_found = true;
                return false;
            }
            self.record = Some(self.open.len());
            return true;
        }
        self.frames = None;
        if !self.begun {
            self.look_around();
        }
        false
    }

    /// Remembers what stands where no record does.
    fn look_around(&mut self) {
        if let (Some((last, before)), Some(open)) = (self.asked.record.steps.split_last(), self.open.get(self.unnamed..))
            && !last.deep
            && !open.is_empty()
        {
            let (top, above) = (&open[open.len() - 1], &open[..open.len() - 1]);
            let shape = self.tree.shape(top.id);
            let (mut found, mut other) = (false, false);
            // In JSON a member on the way that lacks, or is null, is as an empty array, once the first is there.
            let least = if self.unnamed == 0 { before.len() } else { 1 };
            for way in (least..=before.len()).filter(|way| !self.asked.record.steps[*way].deep) {
                found |= matches!(shape, Shape::Element | Shape::Object | Shape::Null) && self.leads(&before[..way], false, open);
                other |= !above.is_empty()
                    && self.leads(&before[..way], false, above)
                    && !self.leads(&self.asked.record.steps[..=way], false, open);
            }
            self.place_found |= found;
            if other {
                self.others = true;
                // What is called like a record, or looks like one, is one in all likelihood.
                self.alike |= (top.item && shape == Shape::Object)
                    || matches!(&last.to, To::Element(name) if alike(&name.local, self.tree.local_name(top.id)));
            }
        }
        if self.seen.len() < 10 {
            let path: Vec<&str> = self.open.iter().skip(self.unnamed).map(|open| self.tree.name(open.id)).collect();
            let path = format!("/{}", path.join("/"));
            if !self.seen.contains(&path) {
                self.seen.push(path);
            }
        }
    }

    /// Text of the innermost element.
    pub fn text(&mut self, text: &str, exact: bool) -> Result<(), TooMuch> {
        if self.record.is_some() || self.open.last().is_some_and(|open| open.reach.is_value()) {
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
        self.missed.retain(|missed| missed.number != closed.number);
        if self.record == Some(depth) {
            self.record = None;
            let inner = std::mem::take(&mut self.inner);
            if self.is_record(closed.id) {
                self.fill(Inner { id: closed.id, item: closed.item }, record)?;
                if let Some(lost) = inner.iter().find(|id| self.is_record(**id) && !self.is_nested(closed.id, **id)) {
                    let message = format!("another record stands inside of it, on line {}", self.tree.line(*lost));
                    record.fault.get_or_insert(Fault::Syntax(message));
                }
                self.open.iter_mut().for_each(|open| open.had_records = true);
            } else if let Some(lost) = inner.iter().find(|id| self.is_record(**id)) {
                let message = format!("a record stands inside of an element called like one, on line {}", self.tree.line(*lost));
                return Err(TooMuch::Trap(message, "write the record path without //".into()));
            } else {
                self.tree.truncate(closed.mark);
                return Ok(false);
            }
            self.tree.truncate(closed.mark);
            return Ok(true);
        }
        if self.record.is_none() {
            self.frames = None;
            if !closed.reach.stays(depth) {
                self.tree.truncate(closed.mark);
                return Ok(false);
            }
            let late = |missed: &&Missed| self.tree.find(missed.base, &missed.rest, &self.asked.namespaces).is_some();
            if let Some(late) = self.missed.iter().find(late) {
                let message = format!("{} leads to what stands behind records that ask for it", late.text);
                return Err(TooMuch::Trap(
                    message,
                    "let it stand before the records, or take record further out, and its parts as nested records".into(),
                ));
            }
            // What had records in it is of no use to records behind it, and there may be many of its kind.
            if closed.had_records || self.open.len() < self.unnamed {
                self.tree.truncate(closed.mark);
            } else if let Some(parent) = self.open.last_mut() {
                parent.reach.holds(&closed.reach);
            }
        }
        self.bounded().map(|()| false)
    }

    fn is_record(&self, id: NodeId) -> bool {
        self.asked.record.steps.last().is_none_or(|step| self.tree.holds_all(id, step, &self.asked.namespaces))
    }

    fn bounded(&self) -> Result<(), TooMuch> {
        let size = self.tree.size();
        let kept = || self.record.is_none() && self.open.last().is_some_and(|open| open.reach.leads_here());
        match size {
            _ if size > CONTEXT_MAX && kept() => Err(TooMuch::Context),
            _ if size > TREE_MAX => Err(TooMuch::Record),
            _ => Ok(()),
        }
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

/// Whether one path asks for an attribute where the other asks for an element that is called so.
fn is_other_style(one: &Path, other: &Path) -> bool {
    match (one.steps.as_slice(), other.steps.as_slice()) {
        ([one], [other]) => match (&one.to, &other.to) {
            (To::Element(one), To::Attribute(other)) | (To::Attribute(one), To::Element(other)) => alike(&one.local, &other.local),
            _ => false,
        },
        _ => false,
    }
}

/// Whether a step has a condition on what stands in its element.
fn asks_for_elements(step: &Step) -> bool {
    step.predicates.iter().any(|predicate| match predicate {
        Predicate::Has(path) | Predicate::Equals(path, _) => !only_attributes(path),
        Predicate::Position(_) => false,
    })
}
