//! Evaluates expressions (XPath 1.0, section 3).
//!
//! Node-sets are vectors in document order. A step from several nodes is made without looking at a node twice wherever its predicates do
//! not count positions, so that `//` and `preceding::` stay linear.

use std::borrow::Cow;
use std::collections::HashSet;
use std::rc::Rc;

use super::axis::{passes, walk};
use super::expression::{Axis, Comparison, Expression, Operator, Path, Predicate, Slot, Start, Step, Test, Type};
use super::number;
use super::value::{Value, boolean_to_number, boolean_to_text, number_to_boolean};
use crate::error::{Error, Result};
use crate::run::{Context, Run};
use crate::tree::node::Node;
use crate::tree::{Kind, Tree};

impl Run<'_> {
    /// The tree a node is in.
    pub(crate) fn tree(&self, node: Node) -> Rc<Tree> {
        self.tree_ref(node).clone()
    }

    pub(crate) fn tree_ref(&self, node: Node) -> &Rc<Tree> {
        self.trees[node.tree() as usize].as_ref().expect("a node's tree lives as long as the frame that can name the node")
    }

    /// The string-value of a node.
    pub(crate) fn node_text(&self, node: Node) -> &str {
        let tree = self.tree_ref(node);
        if node.is_namespace() {
            let uri = tree.namespace_nodes(node.id()).get(node.rank() as usize - 1).map(|&(_, uri)| uri);
            return uri.map_or("", |uri| self.names.text(uri));
        }
        tree.value(node.id())
    }

    pub(crate) fn evaluate(&mut self, expression: &Expression, context: &Context) -> Result<Value> {
        Ok(match expression {
            Expression::Number(value) => Value::Number(*value),
            Expression::Text(text) => Value::text(text),
            Expression::Variable(slot) => self.variable(*slot)?,
            Expression::Or(_) | Expression::And(_) | Expression::Compare(..) => Value::Boolean(self.boolean(expression, context)?),
            Expression::Arithmetic(..) | Expression::Negate(_) => Value::Number(self.number(expression, context)?),
            Expression::Union(_) | Expression::Path(_) | Expression::Filter(..) => Value::nodes(self.nodes(expression, context)?),
            Expression::Call(call) => self.call(call, context)?,
            Expression::Fail(error) => return Err((**error).clone()),
        })
    }

    pub(crate) fn variable(&mut self, slot: Slot) -> Result<Value> {
        match slot {
            Slot::Local(index) => Ok(self.locals[self.frame + index as usize].clone()),
            Slot::Global(index) => self.global(index),
        }
    }

    // --- as one of the four types

    pub(crate) fn boolean(&mut self, expression: &Expression, context: &Context) -> Result<bool> {
        match expression {
            Expression::Or(list) => {
                for part in list {
                    if self.boolean(part, context)? {
                        return Ok(true);
                    }
                }
                Ok(false)
            }
            Expression::And(list) => {
                for part in list {
                    if !self.boolean(part, context)? {
                        return Ok(false);
                    }
                }
                Ok(true)
            }
            Expression::Compare(comparison, sides) => self.compare(*comparison, &sides.0, &sides.1, context),
            Expression::Number(value) => Ok(number_to_boolean(*value)),
            Expression::Text(text) => Ok(!text.is_empty()),
            Expression::Arithmetic(..) | Expression::Negate(_) => Ok(number_to_boolean(self.number(expression, context)?)),
            Expression::Path(path) => self.exists(path, context),
            Expression::Union(list) => {
                for part in list {
                    if self.boolean_of_nodes(part, context)? {
                        return Ok(true);
                    }
                }
                Ok(false)
            }
            _ => {
                let value = self.evaluate(expression, context)?;
                Ok(self.to_boolean(&value))
            }
        }
    }

    fn boolean_of_nodes(&mut self, expression: &Expression, context: &Context) -> Result<bool> {
        match expression {
            Expression::Path(path) => self.exists(path, context),
            other => Ok(!self.nodes(other, context)?.is_empty()),
        }
    }

    pub(crate) fn to_boolean(&self, value: &Value) -> bool {
        match value {
            Value::Nodes(nodes) => !nodes.is_empty(),
            Value::Text(text) => !text.is_empty(),
            Value::Number(value) => number_to_boolean(*value),
            Value::Boolean(value) => *value,
            // Like a node-set of one node, its root (XSLT 1.0, section 11.1).
            Value::Fragment(_) | Value::TextFragment(_) => true,
        }
    }

    pub(crate) fn number(&mut self, expression: &Expression, context: &Context) -> Result<f64> {
        match expression {
            Expression::Number(value) => Ok(*value),
            Expression::Arithmetic(operator, sides) => {
                let left = self.number(&sides.0, context)?;
                let right = self.number(&sides.1, context)?;
                Ok(match operator {
                    Operator::Add => left + right,
                    Operator::Subtract => left - right,
                    Operator::Multiply => left * right,
                    Operator::Divide => left / right,
                    Operator::Remainder => left % right,
                })
            }
            Expression::Negate(inner) => Ok(-self.number(inner, context)?),
            Expression::Path(path) => match self.first(path, context)? {
                Some(node) => Ok(number::parse(self.node_text(node))),
                None => Ok(f64::NAN),
            },
            _ => {
                let value = self.evaluate(expression, context)?;
                Ok(self.to_number(&value))
            }
        }
    }

    pub(crate) fn to_number(&self, value: &Value) -> f64 {
        match value {
            Value::Number(value) => *value,
            Value::Boolean(value) => boolean_to_number(*value),
            Value::Text(text) | Value::TextFragment(text) => number::parse(text),
            Value::Nodes(nodes) => nodes.first().map_or(f64::NAN, |&node| number::parse(self.node_text(node))),
            Value::Fragment(root) => number::parse(self.node_text(*root)),
        }
    }

    /// As text; what the expression itself says is borrowed from it.
    pub(crate) fn text<'e>(&mut self, expression: &'e Expression, context: &Context) -> Result<Cow<'e, str>> {
        match expression {
            Expression::Text(text) => Ok(Cow::Borrowed(text)),
            Expression::Path(path) => Ok(Cow::Owned(match self.first(path, context)? {
                Some(node) => self.node_text(node).to_owned(),
                None => String::new(),
            })),
            _ => {
                let value = self.evaluate(expression, context)?;
                Ok(Cow::Owned(self.to_text(&value)))
            }
        }
    }

    pub(crate) fn to_text(&self, value: &Value) -> String {
        match value {
            Value::Text(text) | Value::TextFragment(text) => text.to_string(),
            Value::Number(value) => number::write(*value),
            Value::Boolean(value) => boolean_to_text(*value).to_owned(),
            Value::Nodes(nodes) => nodes.first().map_or(String::new(), |&node| self.node_text(node).to_owned()),
            Value::Fragment(root) => self.node_text(*root).to_owned(),
        }
    }

    /// A value that must be a node-set.
    pub(crate) fn to_nodes(&self, value: Value) -> Result<Vec<Node>> {
        match value {
            Value::Nodes(nodes) => Ok(Rc::try_unwrap(nodes).unwrap_or_else(|shared| (*shared).clone())),
            Value::Fragment(_) | Value::TextFragment(_) => Err(Error::run("a result tree fragment is no node-set")
                .hint("make one of it: msxsl:node-set($variable), with xmlns:msxsl=\"urn:schemas-microsoft-com:xslt\"")),
            other => Err(Error::run("this is no node-set").found(other.describe()).expected("a node-set")),
        }
    }

    pub(crate) fn nodes(&mut self, expression: &Expression, context: &Context) -> Result<Vec<Node>> {
        match expression {
            Expression::Path(path) => self.path(path, context),
            Expression::Union(list) => {
                let mut all = Vec::new();
                for part in list {
                    all.extend(self.nodes(part, context)?);
                }
                in_order(&mut all);
                Ok(all)
            }
            Expression::Filter(inner, predicates) => {
                let mut nodes = self.nodes(inner, context)?;
                for predicate in predicates {
                    nodes = self.filter(nodes, predicate, context)?;
                }
                Ok(nodes)
            }
            _ => {
                let value = self.evaluate(expression, context)?;
                self.to_nodes(value)
            }
        }
    }

    // --- paths

    fn start(&mut self, start: &Start, context: &Context) -> Result<Vec<Node>> {
        Ok(match start {
            Start::Context => vec![context.node],
            Start::Root => vec![context.node.with(0)],
            Start::From(expression) => self.nodes(expression, context)?,
        })
    }

    fn path(&mut self, path: &Path, context: &Context) -> Result<Vec<Node>> {
        let mut nodes = self.start(&path.start, context)?;
        for step in &path.steps {
            if nodes.is_empty() {
                break;
            }
            nodes = self.step(step, &nodes, context)?;
        }
        Ok(nodes)
    }

    /// The first node of a path in document order.
    pub(crate) fn first(&mut self, path: &Path, context: &Context) -> Result<Option<Node>> {
        let node = match path.start {
            Start::Context => context.node,
            Start::Root => context.node.with(0),
            Start::From(_) => return Ok(self.path(path, context)?.first().copied()),
        };
        if !goes_down(&path.steps) {
            return Ok(self.path(path, context)?.first().copied());
        }
        let tree = self.tree(node);
        let mut looked = 1;
        let found = self.first_of(&tree, node, &path.steps, &mut looked);
        self.charge(looked)?;
        Ok(found)
    }

    /// Depth first: for axes that go down or stay, the first found is the first in document order.
    fn first_of(&self, tree: &Tree, node: Node, steps: &[Step], looked: &mut u64) -> Option<Node> {
        let Some((step, rest)) = steps.split_first() else { return Some(node) };
        let mut found = None;
        let mut inner = 0;
        *looked += walk(tree, &self.names, node, step.axis, step.test, |candidate| {
            found = if rest.is_empty() { Some(candidate) } else { self.first_of(tree, candidate, rest, &mut inner) };
            found.is_some()
        });
        *looked += inner;
        found
    }

    fn exists(&mut self, path: &Path, context: &Context) -> Result<bool> {
        let last_plain = path.steps.len() == 1 && path.steps[0].predicates.is_empty();
        let node = match path.start {
            Start::Context => context.node,
            Start::Root => context.node.with(0),
            Start::From(_) => return Ok(!self.path(path, context)?.is_empty()),
        };
        if !last_plain && !goes_down(&path.steps) {
            return Ok(!self.path(path, context)?.is_empty());
        }
        let tree = self.tree(node);
        let mut looked = 1;
        let found = self.first_of(&tree, node, &path.steps, &mut looked);
        self.charge(looked)?;
        Ok(found.is_some())
    }

    /// One step from all nodes of a set.
    fn step(&mut self, step: &Step, from: &[Node], context: &Context) -> Result<Vec<Node>> {
        if let [single] = from {
            let mut found = self.step_from(step, *single, context)?;
            if step.axis.is_reverse() {
                found.reverse();
            }
            return Ok(found);
        }
        if step.predicates.iter().all(Predicate::is_free) {
            let mut found = self.union_of_axis(step, from)?;
            in_order(&mut found);
            for predicate in &step.predicates {
                found = self.filter(found, predicate, context)?;
            }
            return Ok(found);
        }
        let mut found = Vec::new();
        for &node in from {
            found.extend(self.step_from(step, node, context)?);
        }
        in_order(&mut found);
        Ok(found)
    }

    /// The nodes on an axis of any of several nodes. Nodes that another start has already given are not looked at again.
    fn union_of_axis(&mut self, step: &Step, from: &[Node]) -> Result<Vec<Node>> {
        let mut found: Vec<Node> = Vec::new();
        let looked = std::cell::Cell::new(0u64);
        let mut index = 0;
        // Starts in document order stand together by tree.
        while index < from.len() {
            let tree = self.tree(from[index]);
            let group_end = index + from[index..].iter().take_while(|node| node.tree() == from[index].tree()).count();
            let group = &from[index..group_end];
            let names = &self.names;
            let add = |start: Node, axis: Axis, found: &mut Vec<Node>| {
                let seen = walk(&tree, names, start, axis, step.test, |node| {
                    found.push(node);
                    false
                });
                looked.set(looked.get() + seen + 1);
            };
            match step.axis {
                Axis::Descendant | Axis::DescendantOrSelf => {
                    let mut covered = 0;
                    for &start in group {
                        if start.id() >= covered || start.is_namespace() || tree.is(start.id(), Kind::Attribute) {
                            add(start, step.axis, &mut found);
                            covered = covered.max(if start.is_namespace() { 0 } else { tree.end(start.id()) });
                        }
                    }
                }
                Axis::Following => {
                    // The start that ends first has all that any other has.
                    let ends = |node: &Node| if node.is_namespace() { node.id() + 1 } else { tree.end(node.id()) };
                    if let Some(&start) = group.iter().min_by_key(|node| ends(node)) {
                        add(start, step.axis, &mut found);
                    }
                }
                Axis::Preceding => {
                    if let Some(&start) = group.last() {
                        add(start, step.axis, &mut found);
                    }
                }
                Axis::FollowingSibling => {
                    let mut parents = HashSet::new();
                    for &start in group {
                        if has_siblings(&tree, start) && parents.insert(tree.parent(start.id())) {
                            add(start, step.axis, &mut found);
                        }
                    }
                }
                Axis::PrecedingSibling => {
                    let mut parents = HashSet::new();
                    for &start in group.iter().rev() {
                        if has_siblings(&tree, start) && parents.insert(tree.parent(start.id())) {
                            add(start, step.axis, &mut found);
                        }
                    }
                }
                Axis::Ancestor | Axis::AncestorOrSelf => {
                    let mut seen: HashSet<u32> = HashSet::new();
                    for &start in group {
                        if start.is_namespace() {
                            add(start, step.axis, &mut found);
                            continue;
                        }
                        let mut at = start.id();
                        if step.axis == Axis::Ancestor {
                            if at == 0 {
                                continue;
                            }
                            at = tree.parent(at);
                        }
                        while seen.insert(at) {
                            looked.set(looked.get() + 1);
                            if passes(&tree, names, at, Kind::Element, step.test) {
                                found.push(start.with(at));
                            }
                            if at == 0 {
                                break;
                            }
                            at = tree.parent(at);
                        }
                    }
                }
                _ => {
                    for &start in group {
                        add(start, step.axis, &mut found);
                    }
                }
            }
            index = group_end;
        }
        self.charge(looked.get())?;
        Ok(found)
    }

    /// One step from one node, in the order of the axis.
    pub(crate) fn step_from(&mut self, step: &Step, from: Node, context: &Context) -> Result<Vec<Node>> {
        let tree = self.tree(from);
        let mut found = Vec::new();
        let mut rest = &step.predicates[..];
        let mut wanted = usize::MAX;
        // A position asked for first: no need to look further.
        if let Some((Predicate::Position(position), others)) = rest.split_first() {
            if position.fract() != 0.0 || *position < 1.0 || *position > 4e9 {
                return Ok(found);
            }
            wanted = *position as usize;
            rest = others;
        }
        let mut met = 0;
        let looked = walk(&tree, &self.names, from, step.axis, step.test, |node| {
            met += 1;
            if wanted == usize::MAX || met == wanted {
                found.push(node);
            }
            met == wanted
        });
        self.charge(looked + 1)?;
        for predicate in rest {
            found = self.filter(found, predicate, context)?;
        }
        Ok(found)
    }

    /// The nodes that a predicate keeps; positions count in the order given.
    fn filter(&mut self, nodes: Vec<Node>, predicate: &Predicate, context: &Context) -> Result<Vec<Node>> {
        let size = nodes.len();
        match predicate {
            Predicate::Position(position) => {
                if position.fract() != 0.0 || *position < 1.0 || *position > size as f64 {
                    return Ok(Vec::new());
                }
                Ok(vec![nodes[*position as usize - 1]])
            }
            Predicate::Last => Ok(nodes.last().map(|&last| vec![last]).unwrap_or_default()),
            Predicate::Free(condition) => {
                let mut kept = Vec::with_capacity(size.min(64));
                for (index, node) in nodes.into_iter().enumerate() {
                    let inner = Context { node, position: index + 1, size, current: context.current };
                    if self.boolean(condition, &inner)? {
                        kept.push(node);
                    }
                }
                Ok(kept)
            }
            Predicate::General(condition) => {
                let mut kept = Vec::with_capacity(size.min(64));
                for (index, node) in nodes.into_iter().enumerate() {
                    let inner = Context { node, position: index + 1, size, current: context.current };
                    if self.holds(condition, &inner)? {
                        kept.push(node);
                    }
                }
                Ok(kept)
            }
        }
    }

    /// Whether a predicate holds: a number is compared with the position (XPath 1.0, section 2.4).
    pub(crate) fn holds(&mut self, condition: &Expression, context: &Context) -> Result<bool> {
        match condition.kind() {
            Type::Number => Ok(self.number(condition, context)? == context.position as f64),
            Type::Any => match self.evaluate(condition, context)? {
                Value::Number(value) => Ok(value == context.position as f64),
                other => Ok(self.to_boolean(&other)),
            },
            _ => self.boolean(condition, context),
        }
    }

    /// Whether a node passes a step's test and predicates that do not count positions.
    pub(crate) fn node_passes(&self, node: Node, principal: Kind, test: Test) -> bool {
        if node.is_namespace() {
            return test == Test::Node;
        }
        passes(self.tree_ref(node), &self.names, node.id(), principal, test)
    }

    // --- comparisons (XPath 1.0, section 3.4)

    fn compare(&mut self, comparison: Comparison, left: &Expression, right: &Expression, context: &Context) -> Result<bool> {
        // Neither side a node-set: no values need to be made.
        let (left_type, right_type) = (left.kind(), right.kind());
        let plain = |kind: Type| matches!(kind, Type::Number | Type::Text | Type::Boolean);
        if plain(left_type) && plain(right_type) {
            let equality = matches!(comparison, Comparison::Equal | Comparison::NotEqual);
            if !equality || left_type == Type::Number || right_type == Type::Number {
                if equality && (left_type == Type::Boolean || right_type == Type::Boolean) {
                    let (left, right) = (self.boolean(left, context)?, self.boolean(right, context)?);
                    return Ok((left == right) == (comparison == Comparison::Equal));
                }
                let (left, right) = (self.number(left, context)?, self.number(right, context)?);
                return Ok(comparison.numbers(left, right));
            }
        }
        // One node against a text or number, the everyday condition.
        if let (Expression::Path(path), Expression::Text(text)) | (Expression::Text(text), Expression::Path(path)) = (left, right)
            && matches!(comparison, Comparison::Equal | Comparison::NotEqual)
        {
            let nodes = self.path(path, context)?;
            let wanted = comparison == Comparison::Equal;
            return Ok(nodes.iter().any(|&node| (self.node_text(node) == &**text) == wanted));
        }
        let left = self.evaluate(left, context)?;
        let right = self.evaluate(right, context)?;
        self.compare_values(comparison, &left, &right)
    }

    pub(crate) fn compare_values(&mut self, comparison: Comparison, left: &Value, right: &Value) -> Result<bool> {
        let as_nodes = |value: &Value| match value {
            Value::Nodes(nodes) => Some(nodes.clone()),
            _ => None,
        };
        match (as_nodes(left), as_nodes(right)) {
            (Some(left), Some(right)) => self.compare_sets(comparison, &left, &right),
            (Some(nodes), None) => self.compare_set_with(comparison, &nodes, right),
            (None, Some(nodes)) => self.compare_set_with(comparison.mirrored(), &nodes, left),
            (None, None) => Ok(self.compare_plain(comparison, left, right)),
        }
    }

    fn compare_plain(&self, comparison: Comparison, left: &Value, right: &Value) -> bool {
        let equality = matches!(comparison, Comparison::Equal | Comparison::NotEqual);
        let wanted = comparison == Comparison::Equal;
        if !equality {
            return comparison.numbers(self.to_number(left), self.to_number(right));
        }
        match (left, right) {
            (Value::Boolean(_), _) | (_, Value::Boolean(_)) => (self.to_boolean(left) == self.to_boolean(right)) == wanted,
            (Value::Number(_), _) | (_, Value::Number(_)) => comparison.numbers(self.to_number(left), self.to_number(right)),
            _ => (self.to_text(left) == self.to_text(right)) == wanted,
        }
    }

    fn compare_set_with(&mut self, comparison: Comparison, nodes: &[Node], other: &Value) -> Result<bool> {
        self.charge(nodes.len() as u64)?;
        let equality = matches!(comparison, Comparison::Equal | Comparison::NotEqual);
        Ok(match other {
            Value::Boolean(value) => comparison.numbers(boolean_to_number(!nodes.is_empty()), boolean_to_number(*value)),
            Value::Number(value) => nodes.iter().any(|&node| comparison.numbers(number::parse(self.node_text(node)), *value)),
            text if equality => {
                let text = self.to_text(text);
                let wanted = comparison == Comparison::Equal;
                nodes.iter().any(|&node| (self.node_text(node) == text) == wanted)
            }
            text => {
                let value = self.to_number(text);
                nodes.iter().any(|&node| comparison.numbers(number::parse(self.node_text(node)), value))
            }
        })
    }

    fn compare_sets(&mut self, comparison: Comparison, left: &[Node], right: &[Node]) -> Result<bool> {
        self.charge((left.len() + right.len()) as u64)?;
        if left.is_empty() || right.is_empty() {
            return Ok(false);
        }
        let numbers = |nodes: &[Node]| -> Vec<f64> {
            nodes.iter().map(|&node| number::parse(self.node_text(node))).filter(|value| !value.is_nan()).collect()
        };
        let least = |values: &[f64]| values.iter().copied().fold(f64::INFINITY, f64::min);
        let most = |values: &[f64]| values.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        match comparison {
            Comparison::Equal => {
                let (few, many) = if left.len() < right.len() { (left, right) } else { (right, left) };
                if let [single] = few {
                    let text = self.node_text(*single);
                    return Ok(many.iter().any(|&node| self.node_text(node) == text));
                }
                let texts: HashSet<&str> = few.iter().map(|&node| self.node_text(node)).collect();
                Ok(many.iter().any(|&node| texts.contains(self.node_text(node))))
            }
            Comparison::NotEqual => {
                // False only when all texts of both are the same.
                let text = self.node_text(left[0]);
                Ok(left.iter().chain(right).any(|&node| self.node_text(node) != text))
            }
            Comparison::Less | Comparison::LessOrEqual => {
                let (left, right) = (numbers(left), numbers(right));
                Ok(!left.is_empty() && !right.is_empty() && comparison.numbers(least(&left), most(&right)))
            }
            Comparison::Greater | Comparison::GreaterOrEqual => {
                let (left, right) = (numbers(left), numbers(right));
                Ok(!left.is_empty() && !right.is_empty() && comparison.numbers(most(&left), least(&right)))
            }
        }
    }
}

/// Attributes and namespaces have none (XPath 1.0, section 2.2).
fn has_siblings(tree: &Tree, node: Node) -> bool {
    !node.is_namespace() && !tree.is(node.id(), Kind::Attribute)
}

/// Up first, then only down, without predicates: a search depth first meets the nodes in document order, and none twice.
fn goes_down(steps: &[Step]) -> bool {
    let down = steps
        .iter()
        .skip_while(|step| step.axis == Axis::Parent)
        .all(|step| matches!(step.axis, Axis::Child | Axis::Attribute | Axis::SelfNode));
    down && steps.iter().all(|step| step.predicates.is_empty())
}

/// Document order, no node twice.
pub(crate) fn in_order(nodes: &mut Vec<Node>) {
    if nodes.windows(2).all(|pair| pair[0] < pair[1]) {
        return;
    }
    nodes.sort_unstable();
    nodes.dedup();
}

#[cfg(test)]
mod tests {
    use crate::testing::value;

    const INPUT: &str = r#"<r xmlns:p="urn:p"><a n="1">one</a><b n="2"><c/><c>3</c></b><p:a>4</p:a><a n="5"/><!--note--><?go on?></r>"#;

    #[test]
    fn paths_select_in_document_order() {
        for (expression, text) in [
            ("count(//*)", "7"),
            ("count(/r/*)", "4"),
            ("count(//@n)", "3"),
            ("//b/c[2]", "3"),
            ("count(//c[1])", "1"),
            ("count(//node())", "12"),
            ("string((//c | //a)[2]/@n)", ""),
            ("name((//c | //a)[3])", "c"),
            ("//a[last()]/@n", "5"),
            ("//a[position() = last()]/preceding-sibling::*[1]", "4"),
            ("count(//c/ancestor::*)", "2"),
            ("count(//c/ancestor-or-self::*)", "4"),
            ("count(//a/following-sibling::*)", "3"),
            ("count(//p:*)", "1"),
            ("name(//processing-instruction('go'))", "go"),
            ("count(//c/../..)", "1"),
            ("count(/*/namespace::*)", "2"),
            ("name(//@n[. = 2]/..)", "b"),
            ("count(//@n/following::*)", "5"),
            ("count(//c[2]/preceding::node())", "3"),
            ("count(//*[self::a or self::b][@n > 1])", "2"),
            ("//*[@n][2]/c[2]", "3"),
        ] {
            assert_eq!(value(expression, INPUT).expect(expression), text, "{expression}");
        }
    }

    #[test]
    fn comparisons_convert_as_section_3_4_says() {
        for (expression, text) in [
            ("//@n = 2", "true"),
            ("//@n != 2", "true"),
            ("not(//@n = 9)", "true"),
            ("//@n > 4", "true"),
            ("4 < //@n", "true"),
            ("//@n > //@n", "true"),
            ("//none = //none", "false"),
            ("//none = false()", "true"),
            ("'a' = 'a'", "true"),
            ("'1.0' = 1", "true"),
            ("true() = 'x'", "true"),
            ("1 < 'x'", "false"),
            ("number('x') = number('x')", "false"),
            ("'a' < 'b'", "false"),
        ] {
            assert_eq!(value(expression, INPUT).expect(expression), text, "{expression}");
        }
    }

    #[test]
    fn operators_bind_as_section_3_5_says() {
        for (expression, text) in [
            ("1 + 2 * 3", "7"),
            ("(1 + 2) * 3", "9"),
            ("10 - 4 - 3", "3"),
            ("2 * 3 mod 4", "2"),
            ("-2 + 5", "3"),
            ("--2", "2"),
            ("1 = 1 = 1", "true"),
            ("3 > 2 > 1", "false"),
            ("1 or 0 and 0", "true"),
            ("5 mod -3", "2"),
            ("-5 mod 3", "-2"),
            ("1.5 mod 0.5", "0"),
            ("7 div 2", "3.5"),
        ] {
            assert_eq!(value(expression, INPUT).expect(expression), text, "{expression}");
        }
    }
}
