//! Record by record: a document of the shape `root/record*` is transformed without ever being in memory whole.
//!
//! The start tag of the root element is read first. With it, `analysis` decides whether the stylesheet can do with one record at a time;
//! if so, the instruction that goes through the records pulls them from the parser. Each record is a tree of its own which has the root
//! element and its attributes around it, so that looking upwards works as ever.

pub(crate) mod analysis;

use std::rc::Rc;

use crate::error::Result;
use crate::name::Names;
use crate::parse::{Parser, Step as ParseStep};
use crate::run::apply::Passed;
use crate::run::{Context, Run};
use crate::sheet::{Instruction, Rule, Sheet};
use crate::tree::build::TreeBuilder;
use crate::tree::node::Node;
use crate::tree::{Kind, Tree};
use crate::xpath::axis::passes;
use crate::xpath::expression::{Axis, Expression, Predicate, Start, Step, Test};

/// Whether documents may be transformed record by record.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Records {
    /// The whole document is read first.
    #[default]
    Never,
    /// One record at a time where the stylesheet allows it: memory no longer grows with the document. The result is the same; only an
    /// error late in the document shows after part of the result was written.
    WhenAllowed,
}

/// Which way was taken, and why.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Way {
    /// The document was read whole, as asked.
    #[default]
    Whole,
    /// The document was read whole since the stylesheet needs it.
    WholeBecause(String),
    /// One record at a time.
    RecordByRecord {
        /// How many children of the root element were gone through.
        records: u64,
    },
}

/// The document while it is being read.
pub(crate) struct Source<'a> {
    parser: Parser<'a, 'a>,
    /// Everything up to the start tag of the root element, with that open.
    head: TreeBuilder,
    /// The root element's number.
    pub(crate) root: u32,
    finished: bool,
    /// The document without what is inside the root element, once that has ended.
    behind: Option<Tree>,
    /// Children of the root element that were gone through.
    pub(crate) records: u64,
    /// Elements inside the root element so far.
    pub(crate) elements: u64,
}

/// What goes through the records: the attributes that come first, and the tests for children.
pub(crate) struct Selection<'e> {
    attributes: Vec<&'e Step>,
    children: Vec<&'e Step>,
    /// All children: no select.
    all: bool,
}

impl<'a> Source<'a> {
    /// Reads up to the start tag of the root element.
    pub(crate) fn open(mut parser: Parser<'a, 'a>, names: &mut Names, uri: std::sync::Arc<str>) -> Result<Source<'a>> {
        let mut head = TreeBuilder::new(uri);
        while parser.step(names, &mut head)? != ParseStep::Start {}
        let root = head.innermost();
        Ok(Source { parser, head, root, finished: false, behind: None, records: 0, elements: 0 })
    }

    /// The document as far as it is read.
    pub(crate) fn head(&self) -> Tree {
        self.head.snapshot()
    }

    /// Reads all that is left into one tree.
    pub(crate) fn whole(mut self, names: &mut Names) -> Result<Tree> {
        while self.parser.step(names, &mut self.head)? != ParseStep::Finished {}
        Ok(self.head.finish())
    }

    /// The next element inside the root element, with what stands before it; none at the end.
    fn next(&mut self, names: &mut Names) -> Result<Option<Tree>> {
        if self.finished {
            return Ok(None);
        }
        let mut builder = self.head.fork();
        let before = builder.len();
        loop {
            match self.parser.step(names, &mut builder)? {
                ParseStep::End if self.parser.depth() == 1 => {
                    self.elements += 1;
                    break;
                }
                ParseStep::End if self.parser.depth() == 0 => {
                    self.finished = true;
                    break;
                }
                ParseStep::Finished => {
                    self.finished = true;
                    break;
                }
                _ => {}
            }
        }
        if self.finished {
            let mut behind = self.head.fork();
            behind.end_element();
            while self.parser.step(names, &mut behind)? != ParseStep::Finished {}
            self.behind = Some(behind.finish());
        }
        Ok((builder.len() > before).then(|| builder.finish()))
    }
}

/// What an expression selects at the document (`at_root` false) or its root element, if that is attributes and children of the root
/// element and nothing else.
pub(crate) fn selection<'e>(select: Option<&'e Expression>, at_root: bool, head: &Tree, names: &Names, root: u32) -> Option<Selection<'e>> {
    let mut found = Selection { attributes: Vec::new(), children: Vec::new(), all: false };
    match select {
        None if at_root => found.all = true,
        None => return None,
        Some(Expression::Union(parts)) => {
            for part in parts {
                add_part(part, at_root, head, names, root, &mut found)?;
            }
        }
        Some(single) => add_part(single, at_root, head, names, root, &mut found)?,
    }
    (found.all || !found.children.is_empty()).then_some(found)
}

fn add_part<'e>(part: &'e Expression, at_root: bool, head: &Tree, names: &Names, root: u32, found: &mut Selection<'e>) -> Option<()> {
    let Expression::Path(path) = part else { return None };
    let mut steps = &path.steps[..];
    let from_document = match path.start {
        Start::Root => true,
        Start::Context => !at_root,
        Start::From(_) => return None,
    };
    if from_document {
        let (first, rest) = steps.split_first()?;
        let is_root = first.axis == Axis::Child && first.predicates.is_empty() && passes(head, names, root, Kind::Element, first.test);
        if !is_root {
            return None;
        }
        steps = rest;
    }
    let [step] = steps else { return None };
    match step.axis {
        Axis::Attribute if step.predicates.is_empty() => found.attributes.push(step),
        Axis::Child if step.predicates.iter().all(Predicate::is_free) => found.children.push(step),
        _ => return None,
    }
    Some(())
}

/// The rules that comments and processing instructions can get, beside the root element too.
pub(crate) fn rules_beside(sheet: &Sheet, mode: u32) -> impl Iterator<Item = &Rule> {
    let is_theirs = |rule: &&Rule| rule.pattern.subject().0.iter().any(|kind| matches!(kind, Kind::Comment | Kind::Instruction));
    sheet.modes[mode as usize].rules.iter().filter(is_theirs)
}

/// Whether an instruction at the document selects all that is beside the root element with it.
pub(crate) fn selects_beside(select: Option<&Expression>) -> bool {
    match select {
        None => true,
        Some(Expression::Path(path)) if !matches!(path.start, Start::From(_)) => {
            matches!(&path.steps[..], [step] if step.axis == Axis::Child && step.test == Test::Node)
        }
        Some(_) => false,
    }
}

impl<'a> Run<'a> {
    /// What an instruction at the context node goes through, if those are the records.
    pub(crate) fn record_selection<'e>(&self, select: Option<&'e Expression>, context: &Context) -> Option<Selection<'e>> {
        let source = self.records.as_ref()?;
        if context.node.tree() != self.source.tree()
            || context.node.is_namespace()
            || context.node.id() != 0 && context.node.id() != source.root
        {
            return None;
        }
        selection(select, context.node.id() == source.root, self.tree_ref(context.node), &self.names, source.root)
    }

    /// Whether a node is the root element of a document that is being read.
    pub(crate) fn is_record_root(&self, node: Node) -> bool {
        self.records.as_ref().is_some_and(|source| node == self.source.with(source.root))
    }

    /// Goes through the selection; each node comes with its position.
    fn each_record(&mut self, selection: &Selection<'_>, visit: &mut dyn FnMut(&mut Run<'a>, &Context) -> Result<()>) -> Result<()> {
        let Some(root) = self.records.as_ref().map(|source| source.root) else { return Ok(()) };
        let mut position = 0;
        let element = self.source.with(root);
        let tree = self.tree(element);
        for attribute in tree.attributes(root) {
            if selection.attributes.iter().any(|step| passes(&tree, &self.names, attribute, Kind::Attribute, step.test)) {
                position += 1;
                let node = element.with(attribute);
                visit(self, &Context { node, position, size: position, current: node })?;
            }
        }
        drop(tree);
        loop {
            let Some(tree) = self.next_record()? else { return Ok(()) };
            let children: Vec<u32> = tree.children(root).collect();
            self.replace_source(tree);
            for child in children {
                self.charge(1)?;
                let node = element.with(child);
                if !self.is_selected(selection, node)? {
                    continue;
                }
                if let Some(source) = &mut self.records {
                    source.records += 1;
                }
                position += 1;
                visit(self, &Context { node, position, size: position, current: node })?;
            }
        }
    }

    fn is_selected(&mut self, selection: &Selection<'_>, node: Node) -> Result<bool> {
        if selection.all {
            return Ok(true);
        }
        for step in &selection.children {
            if !self.node_passes(node, Kind::Element, step.test) {
                continue;
            }
            let context = Context::of(node);
            let mut all = true;
            for predicate in &step.predicates {
                if let Predicate::Free(condition) = predicate {
                    all = all && self.boolean(condition, &context)?;
                }
            }
            if all {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Puts the next part of the document in the place of the last.
    fn replace_source(&mut self, tree: Tree) {
        let slot = self.source.tree();
        self.trees[slot as usize] = Some(Rc::new(tree));
        self.remembered.retain(|_, (parent, _)| parent.tree() != slot);
        self.counted.retain(|_, (parent, ..)| parent.tree() != slot);
    }

    pub(crate) fn apply_records(&mut self, selection: &Selection<'_>, mode: u32, passed: &Passed) -> Result<()> {
        self.each_record(selection, &mut |run, context| run.apply_one(context, mode, passed, None))
    }

    /// The built-in rule for the root element.
    pub(crate) fn apply_all_records(&mut self, mode: u32) -> Result<()> {
        self.apply_records(&Selection { attributes: Vec::new(), children: Vec::new(), all: true }, mode, &Vec::new())
    }

    pub(crate) fn for_each_record(&mut self, selection: &Selection<'_>, body: &'a [Instruction]) -> Result<()> {
        let saved_rule = self.current_rule.take();
        self.each_record(selection, &mut |run, context| {
            let mark = run.fragment_mark();
            run.body(body, context)?;
            run.release(mark);
            Ok(())
        })?;
        self.current_rule = saved_rule;
        Ok(())
    }

    /// Applies templates to what stands behind the root element, after so many nodes before it and itself: only now that is known.
    pub(crate) fn apply_behind(&mut self, before: usize, mode: u32, passed: &Passed) -> Result<()> {
        if rules_beside(self.sheet, mode).next().is_none() {
            return Ok(());
        }
        self.skip_records()?;
        let Some((tree, root)) = self.records.as_mut().and_then(|source| Some((source.behind.take()?, source.root))) else { return Ok(()) };
        let behind: Vec<Node> = tree.children(0).skip_while(|&id| id != root).skip(1).map(|id| self.source.with(id)).collect();
        self.replace_source(tree);
        let size = before + behind.len();
        for (index, &node) in behind.iter().enumerate() {
            self.apply_one(&Context { node, position: before + index + 1, size, current: node }, mode, passed, None)?;
        }
        Ok(())
    }

    /// The next element inside the root element, with what stands before it; none at the end.
    fn next_record(&mut self) -> Result<Option<Tree>> {
        let Some(mut source) = self.records.take() else { return Ok(None) };
        let next = source.next(&mut self.names);
        self.records = Some(source);
        next
    }

    fn skip_records(&mut self) -> Result<()> {
        while self.next_record()?.is_some() {
            self.charge(1)?;
        }
        Ok(())
    }

    /// Reads what no instruction has asked for, so that the document is checked to its end.
    pub(crate) fn finish_records(&mut self) -> Result<u64> {
        self.skip_records()?;
        Ok(self.records.take().map_or(0, |source| source.records))
    }
}

/// Whether a test can only be passed by elements of one name.
pub(crate) fn one_name(step: &Step) -> Option<crate::name::NameId> {
    match step.test {
        Test::Name(name) => Some(name),
        _ => None,
    }
}

impl Selection<'_> {
    /// The predicates that are evaluated at each record.
    pub(crate) fn predicates(&self) -> impl Iterator<Item = &Predicate> {
        self.children.iter().flat_map(|step| &step.predicates)
    }

    /// The names of the records, if they are known.
    pub(crate) fn names(&self) -> Option<Vec<crate::name::NameId>> {
        if self.all || !self.attributes.is_empty() {
            return None;
        }
        self.children.iter().map(|step| one_name(step)).collect()
    }
}
