//! A transformation under way: trees, variables, budgets.

pub(crate) mod apply;
pub(crate) mod emitter;
pub(crate) mod instruction;
pub(crate) mod profile;
pub(crate) mod resources;

use std::collections::HashMap;
use std::rc::Rc;
use std::sync::Arc;

use self::emitter::{Emitter, Finished};
use self::profile::Profile;
use crate::error::{Error, ErrorKind, Result};
use crate::name::{NameId, Names};
use crate::sheet::{Binding, Body, Sheet};
use crate::tree::build::TreeBuilder;
use crate::tree::node::{Node, TREES_MAX};
use crate::tree::{Kind, Tree};
use crate::xpath::value::Value;

/// What an expression is evaluated in (XPath 1.0, section 1).
#[derive(Clone, Copy, Debug)]
pub(crate) struct Context {
    pub(crate) node: Node,
    pub(crate) position: usize,
    pub(crate) size: usize,
    /// `current()`
    pub(crate) current: Node,
}

impl Context {
    pub(crate) fn of(node: Node) -> Context {
        Context { node, position: 1, size: 1, current: node }
    }
}

/// Bounds on one transformation. What goes beyond one of them is an error of kind [`ErrorKind::Budget`].
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Nodes looked at and instructions carried out.
    pub steps_max: u64,
    /// How deep templates may be inside each other.
    pub depth_max: u32,
    /// How often a template may call itself, or others in a ring, as its last act. Such calls need no depth.
    pub tail_calls_max: u32,
    /// Nodes of one document or result tree fragment; of one record, when a document is transformed record by record.
    pub nodes_max: u32,
    /// Bytes of text, and likewise of attribute values, of one document or record. At most 4 GiB whatever is said here.
    pub text_bytes_max: u64,
    /// Bytes of the result.
    pub output_bytes_max: u64,
    /// Bytes that the fragments alive at one time may hold together.
    pub fragment_bytes_max: u64,
    /// The stack of the thread that transforms. Only what is used of it is memory.
    pub stack_bytes: usize,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits {
            steps_max: 100_000_000_000,
            depth_max: 20_000,
            tail_calls_max: 1_000_000,
            nodes_max: 200_000_000,
            text_bytes_max: 4 << 30,
            output_bytes_max: 16 << 30,
            fragment_bytes_max: 2 << 30,
            stack_bytes: 256 << 20,
        }
    }
}

/// What `xsl:message` says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// The text of its content.
    pub text: String,
    /// Whether the transformation ends with it.
    pub terminate: bool,
    /// Where the instruction stands.
    pub place: crate::error::Place,
}

/// The caller's side of a run.
pub(crate) struct Hooks<'a> {
    pub(crate) message: Option<&'a mut (dyn FnMut(Message) + Send)>,
    /// Asked every now and then; true stops the run.
    pub(crate) cancelled: Option<&'a (dyn Fn() -> bool + Sync)>,
    pub(crate) resolver: &'a dyn crate::Resolver,
    /// Seconds since 1970 and offset of the zone in minutes, for `date:date-time()` and its kind.
    pub(crate) now: Option<(i64, i32)>,
}

enum GlobalState {
    Unset,
    Computing,
    Set(Value),
}

/// The rule whose template is current (XSLT 1.0, section 5.6).
#[derive(Clone, Copy, Debug)]
pub(crate) struct CurrentRule {
    pub(crate) mode: u32,
    pub(crate) template: u32,
}

/// One transformation.
pub(crate) struct Run<'a> {
    pub(crate) sheet: &'a Sheet,
    pub(crate) names: Names,
    pub(crate) trees: Vec<Option<Rc<Tree>>>,
    free: Vec<u32>,
    /// Trees of fragments, in the order they were made.
    temporary: Vec<u32>,
    fragment_bytes: u64,
    pub(crate) locals: Vec<Value>,
    pub(crate) frame: usize,
    pub(crate) parameters: Vec<(NameId, Value)>,
    globals: Vec<GlobalState>,
    given: HashMap<NameId, Value>,
    pub(crate) source: Node,
    pub(crate) output: Emitter<'a>,
    pub(crate) current_rule: Option<CurrentRule>,
    pub(crate) remembered: HashMap<u32, (Node, Rc<Vec<Node>>)>,
    pub(crate) counted: HashMap<usize, (Node, Node, f64, u64)>,
    pub(crate) keys: HashMap<(u32, NameId), Rc<resources::KeyIndex>>,
    keys_building: Vec<(u32, NameId)>,
    pub(crate) documents: HashMap<String, Node>,
    pub(crate) hooks: Hooks<'a>,
    pub(crate) limits: Limits,
    pub(crate) parse_limits: crate::parse::ParseLimits,
    steps: u64,
    /// The count at which budgets are looked at next.
    next_check: u64,
    depth: u32,
    depth_reached: u32,
    stack_base: usize,
    pub(crate) profile: Option<Profile<'a>>,
    /// The source, if it is still being read.
    pub(crate) records: Option<Box<crate::record::Source<'a>>>,
}

/// How often, in steps, budgets are looked at.
const CHECK_EVERY: u64 = 1 << 16;
/// Stack that must be left for what does not count itself.
const STACK_RESERVE: usize = 512 << 10;

/// The address of something on the stack: where the stack has grown to.
#[inline(never)]
fn stack_position() -> usize {
    let here = 0u8;
    std::ptr::addr_of!(here) as usize
}

impl<'a> Run<'a> {
    pub(crate) fn new(
        sheet: &'a Sheet,
        output: Emitter<'a>,
        hooks: Hooks<'a>,
        limits: Limits,
        parse_limits: crate::parse::ParseLimits,
        profile: Option<Profile<'a>>,
    ) -> Run<'a> {
        Run {
            sheet,
            names: sheet.names.clone(),
            trees: Vec::new(),
            free: Vec::new(),
            temporary: Vec::new(),
            fragment_bytes: 0,
            locals: Vec::new(),
            frame: 0,
            parameters: Vec::new(),
            globals: sheet.globals.iter().map(|_| GlobalState::Unset).collect(),
            given: HashMap::new(),
            source: Node::new(0, 0),
            output,
            current_rule: None,
            remembered: HashMap::new(),
            counted: HashMap::new(),
            keys: HashMap::new(),
            keys_building: Vec::new(),
            documents: HashMap::new(),
            hooks,
            limits,
            parse_limits,
            steps: 0,
            next_check: CHECK_EVERY.min(limits.steps_max),
            depth: 0,
            depth_reached: 0,
            stack_base: stack_position(),
            profile,
            records: None,
        }
    }

    // --- budgets

    /// Counts steps; looks at the budgets every now and then.
    #[inline]
    pub(crate) fn charge(&mut self, steps: u64) -> Result<()> {
        self.steps += steps;
        if self.steps >= self.next_check { self.check() } else { Ok(()) }
    }

    #[cold]
    fn check(&mut self) -> Result<()> {
        if self.steps > self.limits.steps_max {
            return Err(Error::new(ErrorKind::Budget, format!("the transformation takes more than {} steps", self.limits.steps_max))
                .hint("look for a loop without end, or raise the budget"));
        }
        if self.hooks.cancelled.is_some_and(|cancelled| cancelled()) {
            return Err(Error::new(ErrorKind::Cancelled, "the transformation was stopped"));
        }
        if self.output.nodes > u64::from(self.limits.nodes_max) && !self.output.is_document() {
            return Err(Error::new(ErrorKind::Budget, format!("a result tree fragment has more than {} nodes", self.limits.nodes_max)));
        }
        if !self.output.is_document() && self.output.bytes() + self.fragment_bytes > self.limits.fragment_bytes_max {
            return Err(Error::new(
                ErrorKind::Budget,
                format!("result tree fragments hold more than {} bytes", self.limits.fragment_bytes_max),
            ));
        }
        self.next_check = (self.steps + CHECK_EVERY).min(self.limits.steps_max.saturating_add(1)).max(self.steps + 1);
        Ok(())
    }

    /// A level deeper, if depth and stack allow it.
    pub(crate) fn descend(&mut self) -> Result<()> {
        self.depth += 1;
        self.depth_reached = self.depth_reached.max(self.depth);
        let used = self.stack_base.abs_diff(stack_position());
        if self.depth > self.limits.depth_max || used + STACK_RESERVE > self.limits.stack_bytes {
            return Err(Error::new(ErrorKind::Budget, format!("templates are nested {} deep", self.depth)).hint(
                "look for a recursion without end; make the recursive call the last instruction, which needs no depth, or raise the budget",
            ));
        }
        Ok(())
    }

    pub(crate) fn ascend(&mut self) {
        self.depth -= 1;
    }

    /// Steps taken and depth reached.
    pub(crate) fn effort(&self) -> (u64, u32) {
        (self.steps, self.depth_reached)
    }

    /// Where in the source a node stands, for errors: `/Orders/Order[3]/Line[2]/@amount`. Of a record only its number among all elements is
    /// known: `/Orders/*[3]`.
    pub(crate) fn path_of(&self, node: Node) -> Option<String> {
        if node.tree() != self.source.tree() || node.is_namespace() {
            return None;
        }
        let tree = self.tree_ref(node);
        let record = self.records.as_ref().map(|source| (source.root, source.elements));
        let (mut at, mut steps) = (node.id(), Vec::new());
        while at != 0 {
            let (parent, name) = (tree.parent(at), tree.qname(at).map(|name| self.names.lexical(name)).unwrap_or_default());
            let kind = tree.kind(at);
            let mut step = match kind {
                Kind::Attribute => format!("/@{name}"),
                Kind::Text => "/text()".to_owned(),
                Kind::Comment => "/comment()".to_owned(),
                Kind::Instruction => "/processing-instruction()".to_owned(),
                _ => format!("/{name}"),
            };
            if kind != Kind::Attribute && parent != 0 {
                let same = tree.children(parent).take_while(|other| *other < at);
                let same = same.filter(|other| tree.kind(*other) == kind && tree.qname(*other) == tree.qname(at)).count();
                match record {
                    Some((root, elements)) if parent == root => step = format!("/*[{elements}]"),
                    _ => step.push_str(&format!("[{}]", same + 1)),
                }
            }
            steps.push(step);
            at = parent;
        }
        Some(if steps.is_empty() { "/".to_owned() } else { steps.into_iter().rev().collect() })
    }

    // --- trees

    /// Takes a tree in for good.
    pub(crate) fn add_tree(&mut self, tree: Tree) -> Result<Node> {
        let slot = match self.free.pop() {
            Some(slot) => slot,
            None => {
                if self.trees.len() >= TREES_MAX {
                    return Err(Error::new(ErrorKind::Budget, "too many result tree fragments are alive at the same time"));
                }
                self.trees.push(None);
                self.trees.len() as u32 - 1
            }
        };
        self.trees[slot as usize] = Some(Rc::new(tree));
        Ok(Node::new(slot, 0))
    }

    /// Puts the source document, now read whole, in the place of its head.
    pub(crate) fn set_source(&mut self, tree: Tree) {
        self.trees[self.source.tree() as usize] = Some(Rc::new(tree));
        self.remembered.clear();
    }

    /// Takes a fragment in, until the frame ends.
    pub(crate) fn add_fragment(&mut self, tree: Tree) -> Result<Node> {
        self.fragment_bytes += u64::from(tree.len()) * 20 + tree.value(0).len() as u64;
        if self.fragment_bytes > self.limits.fragment_bytes_max {
            return Err(Error::new(
                ErrorKind::Budget,
                format!("result tree fragments hold more than {} bytes", self.limits.fragment_bytes_max),
            ));
        }
        let root = self.add_tree(tree)?;
        self.temporary.push(root.tree());
        Ok(root)
    }

    pub(crate) fn fragment_mark(&self) -> usize {
        self.temporary.len()
    }

    fn drop_tree(&mut self, slot: u32) {
        if let Some(tree) = self.trees[slot as usize].take() {
            self.fragment_bytes = self.fragment_bytes.saturating_sub(u64::from(tree.len()) * 20 + tree.value(0).len() as u64);
        }
        self.free.push(slot);
        if !self.keys.is_empty() {
            self.keys.retain(|&(tree, _), _| tree != slot);
        }
        // The number of a tree is given out again: nothing remembered may be taken for the new one's.
        self.remembered.retain(|_, (parent, _)| parent.tree() != slot);
        self.counted.retain(|_, (parent, ..)| parent.tree() != slot);
    }

    /// Gives up the fragments made since a mark: nothing can name them any more.
    pub(crate) fn release(&mut self, mark: usize) {
        while self.temporary.len() > mark {
            if let Some(slot) = self.temporary.pop() {
                self.drop_tree(slot);
            }
        }
    }

    /// Gives up the fragments made since a mark which none of the values needs.
    pub(crate) fn release_except(&mut self, mark: usize, values: &[(NameId, Value)]) {
        if self.temporary.len() == mark {
            return;
        }
        let mut needed = Vec::new();
        for (_, value) in values {
            match value {
                Value::Fragment(root) => needed.push(root.tree()),
                Value::Nodes(nodes) => needed.extend(nodes.iter().map(|node| node.tree())),
                _ => {}
            }
        }
        let recent = self.temporary.split_off(mark);
        for slot in recent {
            if needed.contains(&slot) {
                self.temporary.push(slot);
            } else {
                self.drop_tree(slot);
            }
        }
    }

    /// A value as the node-set of its root: `node-set()`.
    pub(crate) fn as_node_set(&mut self, value: Value) -> Result<Value> {
        Ok(match value {
            Value::Nodes(_) => value,
            Value::Fragment(root) => Value::nodes(vec![root]),
            other => {
                let text = self.to_text(&other);
                let mut builder = TreeBuilder::new(self.sheet.uri.clone());
                builder.text(&text);
                let root = self.add_fragment(builder.finish())?;
                // A plain value becomes a text node (EXSLT), a fragment its root.
                Value::nodes(vec![if matches!(other, Value::TextFragment(_)) || text.is_empty() { root } else { root.with(1) }])
            }
        })
    }

    // --- variables

    pub(crate) fn give(&mut self, name: NameId, value: Value) {
        self.given.insert(name, value);
    }

    /// The value of a top-level variable or parameter, computed when first asked for.
    pub(crate) fn global(&mut self, index: u32) -> Result<Value> {
        let sheet = self.sheet;
        let global = &sheet.globals[index as usize];
        match &self.globals[index as usize] {
            GlobalState::Set(value) => return Ok(value.clone()),
            GlobalState::Computing => {
                return Err(Error::run("a variable is defined by itself")
                    .found(format!("${}", self.names.readable(global.name)))
                    .at(global.place.clone()));
            }
            GlobalState::Unset => {}
        }
        if global.is_parameter
            && let Some(value) = self.given.get(&global.name)
        {
            let value = value.clone();
            self.globals[index as usize] = GlobalState::Set(value.clone());
            return Ok(value);
        }
        self.globals[index as usize] = GlobalState::Computing;
        self.descend()?;
        let saved = (self.frame, std::mem::take(&mut self.parameters), self.current_rule.take());
        let mark = self.fragment_mark();
        self.frame = self.locals.len();
        self.locals.resize(self.frame + global.slots as usize, Value::Boolean(false));
        let context = Context::of(self.source);
        let value = self.binding(&global.value, &context).map_err(|error| error.at(global.place.clone()))?;
        // What a top-level variable holds lives as long as the run.
        self.temporary.truncate(mark);
        self.locals.truncate(self.frame);
        (self.frame, self.parameters, self.current_rule) = saved;
        self.ascend();
        self.globals[index as usize] = GlobalState::Set(value.clone());
        Ok(value)
    }

    /// The value of a variable's select or content.
    pub(crate) fn binding(&mut self, binding: &'a Binding, context: &Context) -> Result<Value> {
        match binding {
            Binding::Empty => Ok(Value::text("")),
            Binding::Select(expression) => self.evaluate(expression, context),
            Binding::Content(body) => self.fragment(body, context),
        }
    }

    /// Carries out instructions into a result tree fragment.
    pub(crate) fn fragment(&mut self, body: &'a Body, context: &Context) -> Result<Value> {
        let outer = std::mem::replace(&mut self.output, Emitter::fragment(self.sheet.uri.clone()));
        let outcome = self.body(body, context);
        let made = std::mem::replace(&mut self.output, outer);
        outcome?;
        match made.finish_fragment(&mut self.names)? {
            Finished::Text(text) => Ok(Value::TextFragment(Rc::from(text))),
            Finished::Tree(tree) => Ok(Value::Fragment(self.add_fragment(*tree)?)),
        }
    }

    /// Carries out instructions that may make nothing but text.
    pub(crate) fn text_of_body(&mut self, body: &'a Body, what: &'static str, context: &Context) -> Result<String> {
        let outer = std::mem::replace(&mut self.output, Emitter::text_only(what));
        let outcome = self.body(body, context);
        let made = std::mem::replace(&mut self.output, outer);
        outcome?;
        match made.finish_fragment(&mut self.names)? {
            Finished::Text(text) => Ok(text),
            Finished::Tree(tree) => Ok(tree.value(0).to_owned()),
        }
    }

    /// The address documents are loaded relative to where a node is from.
    pub(crate) fn base_of(&self, node: Node) -> Arc<str> {
        self.tree_ref(node).base.clone()
    }
}
