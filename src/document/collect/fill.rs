//! Takes the values of a whole record by their paths, and says what is wrong where a path leads to no value, or to more than one.

use std::cell::OnceCell;
use std::sync::Arc;

use super::{Collector, Inner, NESTED_MAX, Open, TooMuch, needs_context};
use crate::document::record::{Fault, Frame, Record};
use crate::document::tree::{Kind, NodeId, Shape, Tree};
use crate::document::value::Wrong;
use crate::model::finding::Rule;
use crate::model::format::XmlStyle;
use crate::model::path::{Path, Step, To};

/// Places that one path leads to, of which it is looked at whether anything is said there.
const PLACES_MAX: usize = 1000;

/// Elements that would hold nested records, of which it is looked at what they hold instead.
const HOLDERS_MAX: usize = 100;

/// What is known of a value after some records.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Found {
    /// There was a record that could have it.
    pub asked: bool,
    /// Some record had it.
    pub once: bool,
    /// So many records had, in its place, an attribute where an element is called so, or the reverse.
    pub elsewhere: u64,
}

/// What is known of a place of nested records after some records.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Place {
    /// No record had it.
    #[default]
    Missing,
    /// It was there, and empty.
    Empty,
    /// What would hold the records held others.
    Others,
    /// Some record had records there.
    Found,
}

impl Found {
    fn note(&mut self, found: bool, elsewhere: impl FnOnce() -> bool) {
        self.asked = true;
        self.once |= found;
        self.elsewhere += u64::from(!found && elsewhere());
    }
}

/// A path out of the record that led nowhere, from an element that is open still.
pub(super) struct Missed {
    /// The element, and its number.
    pub base: NodeId,
    pub number: u64,
    /// The path from there on.
    pub rest: Path,
    pub text: String,
}

impl Collector {
    pub(super) fn fill(&mut self, own: Inner, record: &mut Record) -> Result<(), TooMuch> {
        let id = own.id;
        record.clear(self.tree.line(id));
        // Taken out and put back: both are used while values are found.
        let (asked, mut found) = (std::mem::take(&mut self.asked.values), std::mem::take(&mut self.found));
        found.resize(asked.len() + self.asked.nested.iter().map(|nested| nested.values.len()).sum::<usize>(), Found::default());
        self.direct.look(&self.tree, id, &asked, &self.asked.namespaces);
        let mut has_one = false;
        // A record in attributes mostly has no elements at all, which is looked for once.
        let elements = OnceCell::new();
        for (index, (path, found)) in asked.iter().zip(&mut found).enumerate() {
            let leads_to = match self.direct.found(index) {
                Some(one) => one.map(|one| (one, false)),
                None => self.tree.find_one(id, path, &self.asked.namespaces),
            };
            let leads_somewhere = self.value(id, path, leads_to, record);
            found.note(leads_somewhere, || self.other_style(id, path, &elements).is_some());
            has_one |= leads_somewhere;
        }
        let mut at = asked.len();
        self.asked.values = asked;
        if !std::mem::replace(&mut self.begun, true) && !has_one {
            self.trap(id)?;
        }
        record.fault = no_object(&self.tree, id, &self.asked.values).map(Fault::Syntax);
        if !has_one && let Some(style) = self.misplaced(id) {
            record.fault.get_or_insert(Fault::Style(style));
        }
        let nested = std::mem::take(&mut self.asked.nested);
        self.nested_found.resize(nested.len(), Place::default());
        for (number, nested) in nested.iter().enumerate() {
            let own = at..at + nested.values.len();
            at = own.end;
            let Some(place) = &nested.record else { continue };
            let all = self.tree.find_all(id, place, &self.asked.namespaces, NESTED_MAX + 1);
            if all.len() + record.nested.len() > NESTED_MAX {
                record.fault = Some(Fault::Size);
                break;
            }
            if !all.is_empty() {
                self.nested_found[number] = Place::Found;
            } else if self.nested_found[number] < Place::Others {
                self.nested_found[number] = self.nested_found[number].max(self.place_without(id, place));
            }
            for id in all {
                if self.tree.shape(id) == Shape::Null {
                    continue;
                }
                if let Some(message) = no_object(&self.tree, id, &nested.values) {
                    record.fault.get_or_insert(Fault::Syntax(format!("{place}: {message}")));
                }
                let mut inner = Record::default();
                inner.clear(self.tree.line(id));
                for (path, found) in nested.values.iter().zip(&mut found[own.clone()]) {
                    let leads_to = self.tree.find_one(id, path, &self.asked.namespaces);
                    let leads_somewhere = self.value(id, path, leads_to, &mut inner);
                    found.note(leads_somewhere, || self.other_style(id, path, &OnceCell::new()).is_some());
                }
                record.nested.push((number, inner));
            }
        }
        self.asked.nested = nested;
        self.found = found;
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
        Ok(())
    }

    /// Adds the value that a path leads to, and perhaps to more than it; whether it leads anywhere.
    fn value(&mut self, from: NodeId, path: &Path, leads_to: Option<(NodeId, bool)>, record: &mut Record) -> bool {
        let Some((found, more)) = leads_to else {
            self.miss(from, path);
            let through = self.in_arrays && self.tree.leads_through_array(from, path, &self.asked.namespaces);
            if through {
                record.wrong.push((record.len(), array_in_array(path)));
            }
            record.push_lacking();
            return through;
        };
        let wrong = |message, hint| Some(Wrong { rule: Rule::Type, message, hint });
        let wrong = if more && self.are_all_blank(from, path) {
            None
        } else if more {
            let hint = "say which, by a position or a condition as in item[1]/name, or take them as nested records";
            wrong(format!("{path} leads to more than one value"), hint.to_owned())
        } else if self.tree.shape(found) == Shape::Array {
            Some(array_in_array(path))
        } else if self.tree.is_made_of_others(found) {
            wrong(format!("{path} leads to no value, but to what has values in it"), format!("write the path to the value: {path}/…"))
        } else {
            None
        };
        if let Some(wrong) = wrong {
            record.wrong.push((record.len(), wrong));
        }
        match self.tree.string(found) {
            Some((text, exact)) => record.push(&text, exact),
            None => record.push("", false),
        }
        true
    }

    /// Whether nothing is said in all the places that a path leads to: then it does not matter how many they are.
    fn are_all_blank(&self, from: NodeId, path: &Path) -> bool {
        let all = self.tree.find_all(from, path, &self.asked.namespaces, PLACES_MAX);
        let blank = |id: &NodeId| {
            self.tree.shape(*id) != Shape::Array
                && !self.tree.is_made_of_others(*id)
                && self.tree.string(*id).is_none_or(|(text, _)| text.trim().is_empty())
        };
        all.len() < PLACES_MAX && all.iter().all(blank)
    }

    /// Remembers a path out of the record that leads nowhere: what it asks for may come behind the record.
    fn miss(&mut self, from: NodeId, path: &Path) {
        if !needs_context(path) {
            return;
        }
        let above = path.steps.iter().take_while(|step| step.to == To::Parent).count();
        let (base, skipped) = match path.absolute {
            true => (Some(self.tree.root()), 0),
            false => (std::iter::successors(Some(from), |id| self.tree.parent(*id)).nth(above), above),
        };
        let number = |id: NodeId| self.open.iter().find(|open| open.id == id).map(|open| open.number);
        let Some((base, number)) = base.and_then(|base| Some((base, if base == NodeId::DOCUMENT { 0 } else { number(base)? }))) else {
            return;
        };
        if !self.missed.iter().any(|missed| missed.number == number && missed.text == path.text()) {
            let rest = Path::relative(path.steps[skipped..].to_vec());
            self.missed.push(Missed { base, number, rest, text: path.text().to_owned() });
        }
    }

    /// Where a record that has none of its values has some of them instead.
    fn misplaced(&self, id: NodeId) -> Option<XmlStyle> {
        let elements = OnceCell::new();
        self.asked.values.iter().find_map(|path| self.other_style(id, path, &elements))
    }

    /// What a record has that is called as a value is, where that is an attribute and not an element, or the reverse.
    fn other_style(&self, id: NodeId, path: &Path, elements: &OnceCell<bool>) -> Option<XmlStyle> {
        let [Step { deep: false, to: To::Element(name) | To::Attribute(name), .. }] = path.steps.as_slice() else { return None };
        // JSON has no attributes.
        if !name.loose || self.unnamed > 0 {
            return None;
        }
        let (kind, style) = match &path.steps[0].to {
            To::Attribute(_) => (Kind::Element, XmlStyle::Element),
            _ => (Kind::Attribute, XmlStyle::Attribute),
        };
        let is_element = |child| self.tree.kind(child) == Kind::Element;
        if kind == Kind::Element && !*elements.get_or_init(|| self.tree.children(id).any(is_element)) {
            return None;
        }
        // Attributes come first.
        let mut there = self.tree.children(id).take_while(|child| kind == Kind::Element || self.tree.kind(*child) == kind);
        there.any(|child| self.tree.kind(child) == kind && name.is(self.tree.local_name(child))).then_some(style)
    }

    /// What the first record is, when it has none of the values.
    fn trap(&self, id: NodeId) -> Result<(), TooMuch> {
        let mut inside = self.tree.children(id).filter(|child| self.tree.shape(*child) == Shape::Object);
        match inside.next().filter(|_| self.asked.record.steps.is_empty()) {
            Some(first) if !self.asked.values.is_empty() => Err(TooMuch::Trap(
                format!("the document is one object, with none of the values and with objects in \"{}\"", self.tree.name(first)),
                format!("where those are the records, write record = \"{}\" in the format", self.tree.name(first)),
            )),
            _ => Ok(()),
        }
    }

    /// What is at a place of nested records that has none in this record.
    fn place_without(&self, record: NodeId, place: &Path) -> Place {
        let Some((last, before)) = place.steps.split_last() else { return Place::Empty };
        let called = |step: &Step| matches!(&step.to, To::Element(name) if self.arrays.iter().any(|array| name.is(array)));
        let mut found = if place.steps.iter().any(called) { Place::Empty } else { Place::Missing };
        if place.absolute {
            return found;
        }
        let all = |steps: Vec<Step>| self.tree.find_all(record, &Path::relative(steps), &self.asked.namespaces, HOLDERS_MAX);
        // In JSON a member holds its items, whatever a condition says of them.
        let named = Step { predicates: Vec::new(), ..last.clone() };
        for one in all(before.iter().cloned().chain([named]).collect()) {
            found = found.max(if self.tree.shape(one) == Shape::Null { Place::Empty } else { Place::Others });
        }
        for holder in if before.is_empty() { Vec::new() } else { all(before.to_vec()) } {
            found = found.max(if self.tree.has_elements(holder) { Place::Others } else { Place::Empty });
        }
        found
    }

    /// Whether an element inside of a record is one of its nested records.
    pub(super) fn is_nested(&self, record: NodeId, id: NodeId) -> bool {
        let places = self.asked.nested.iter().filter_map(|nested| nested.record.as_ref());
        places.into_iter().any(|place| self.tree.find_all(record, place, &self.asked.namespaces, NESTED_MAX).contains(&id))
    }
}

fn array_in_array(path: &Path) -> Wrong {
    let message = format!("{path} leads to an array in an array, and to no value");
    Wrong { rule: Rule::Type, message, hint: "let a value stand there by itself, or null".to_owned() }
}

/// Why an element is no record: it is a value, and the paths ask for more than that.
fn no_object(tree: &Tree, id: NodeId, values: &[Path]) -> Option<String> {
    let found = match tree.shape(id) {
        Shape::Element | Shape::Object | Shape::Null => return None,
        Shape::Array => "an array",
        Shape::NullItem => "null",
        Shape::Value => "a value",
    };
    let itself = |path: &Path| path.steps.is_empty() && !path.absolute;
    (!values.iter().any(itself)).then(|| format!("a record is an object, and this is {found}"))
}
