//! EXSLT sets.

use std::collections::HashSet;

use crate::error::Result;
use crate::run::{Context, Run};
use crate::tree::node::Node;
use crate::xpath::expression::Call;
use crate::xpath::function::Function;
use crate::xpath::value::Value;

impl Run<'_> {
    pub(crate) fn sets(&mut self, function: Function, call: &Call, context: &Context) -> Result<Value> {
        let first = self.nodes(&call.arguments[0], context)?;
        if function == Function::Distinct {
            let mut seen: HashSet<&str> = HashSet::new();
            let kept = first.iter().copied().filter(|&node| seen.insert(self.node_text(node))).collect();
            return Ok(Value::nodes(kept));
        }
        let second = self.nodes(&call.arguments[1], context)?;
        self.charge((first.len() + second.len()) as u64)?;
        let has = |node: &Node| second.binary_search(node).is_ok();
        Ok(match function {
            Function::Difference => Value::nodes(first.into_iter().filter(|node| !has(node)).collect()),
            Function::Intersection => Value::nodes(first.into_iter().filter(has).collect()),
            Function::HasSameNode => Value::Boolean(first.iter().any(has)),
            Function::Leading => Value::nodes(part(first, &second, true)),
            _ => Value::nodes(part(first, &second, false)),
        })
    }
}

/// The nodes before, or after, the first of the second set; all when that is empty, none when it is not among them.
fn part(first: Vec<Node>, second: &[Node], before: bool) -> Vec<Node> {
    let Some(mark) = second.first() else { return first };
    let Ok(at) = first.binary_search(mark) else { return Vec::new() };
    if before { first[..at].to_vec() } else { first[at + 1..].to_vec() }
}
