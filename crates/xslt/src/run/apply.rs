//! Which template a node gets (XSLT 1.0, sections 5.4 to 5.8), and entering it.

use super::{Context, CurrentRule, Run};
use crate::error::{Error, ErrorKind, Result};
use crate::name::NameId;
use crate::pattern::Pattern;
use crate::run::instruction::Flow;
use crate::sheet::Rule;
use crate::tree::Kind;
use crate::tree::node::Node;
use crate::xpath::value::Value;

/// Parameters on their way to a template.
pub(crate) type Passed = Vec<(NameId, Value)>;

impl<'a> Run<'a> {
    pub(crate) fn matches_any(&mut self, alternatives: &[Pattern], node: Node) -> Result<bool> {
        for pattern in alternatives {
            if self.matches(pattern, node)? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// The best rule for a node; with `imported_into`, only among what that template's stylesheet imports.
    pub(crate) fn rule(&mut self, node: Node, mode: u32, imported_into: Option<u32>) -> Result<Option<&'a Rule>> {
        let sheet = self.sheet;
        let mode = &sheet.modes[mode as usize];
        let kind = self.kind_of(node);
        let name = if node.is_namespace() { None } else { self.tree_ref(node).qname(node.id()).map(|qname| self.names.name(qname)) };
        let bounds = imported_into.map(|template| {
            let template = &sheet.templates[template as usize];
            (template.imports_from, template.precedence)
        });
        for &index in mode.candidates(kind, name) {
            let rule = &mode.rules[index as usize];
            if let Some((from, below)) = bounds
                && !(from..below).contains(&rule.precedence)
            {
                continue;
            }
            if self.matches(&rule.pattern, node).map_err(|error| error.at(sheet.templates[rule.template as usize].place.clone()))? {
                return Ok(Some(rule));
            }
        }
        Ok(None)
    }

    /// Applies templates to nodes, in the order given.
    pub(crate) fn apply(&mut self, nodes: &[Node], mode: u32, passed: &Passed) -> Result<()> {
        let size = nodes.len();
        for (index, &node) in nodes.iter().enumerate() {
            let context = Context { node, position: index + 1, size, current: node };
            self.apply_one(&context, mode, passed, None)?;
        }
        Ok(())
    }

    /// Applies the best template to the context node.
    pub(crate) fn apply_one(&mut self, context: &Context, mode: u32, passed: &Passed, imported_into: Option<u32>) -> Result<()> {
        self.charge(1)?;
        match self.rule(context.node, mode, imported_into)? {
            Some(rule) => {
                let saved = self.current_rule.replace(CurrentRule { mode, template: rule.template });
                self.template(rule.template, context, passed.clone())?;
                self.current_rule = saved;
                Ok(())
            }
            None => self.built_in(context, mode),
        }
    }

    /// The built-in rules (section 5.8).
    fn built_in(&mut self, context: &Context, mode: u32) -> Result<()> {
        let node = context.node;
        match self.kind_of(node) {
            Kind::Root | Kind::Element => {
                if self.is_record_root(node) {
                    return self.apply_all_records(mode);
                }
                self.descend()?;
                let tree = self.tree(node);
                let children: Vec<Node> = tree.children(node.id()).map(|child| node.with(child)).collect();
                self.charge(children.len() as u64)?;
                let size = children.len();
                for (index, &child) in children.iter().enumerate() {
                    let inner = Context { node: child, position: index + 1, size, current: child };
                    self.apply_one(&inner, mode, &Vec::new(), None)?;
                }
                if node == self.source {
                    self.apply_behind(size, mode, &Vec::new())?;
                }
                self.ascend();
                Ok(())
            }
            Kind::Text | Kind::Attribute => {
                let tree = self.tree(node);
                self.output.text(&mut self.names, tree.value(node.id()), false)
            }
            Kind::Comment | Kind::Instruction | Kind::Namespace => Ok(()),
        }
    }

    /// Enters a template. A call as its last act is a jump: the frame is used again.
    pub(crate) fn template(&mut self, index: u32, context: &Context, passed: Passed) -> Result<()> {
        self.descend()?;
        let sheet = self.sheet;
        let saved_frame = self.frame;
        let saved_parameters = std::mem::replace(&mut self.parameters, passed);
        let mark = self.fragment_mark();
        self.frame = self.locals.len();
        let mut index = index;
        let mut jumps = 0;
        loop {
            let template = &sheet.templates[index as usize];
            self.locals.resize(self.frame + template.slots as usize, Value::Boolean(false));
            if let Some(profile) = &mut self.profile {
                profile.enter(index);
            }
            let flow = self.body_at_end(&template.body, context)?;
            if let Some(profile) = &mut self.profile {
                profile.leave();
            }
            match flow {
                Flow::Done => break,
                Flow::Jump(next, passed) => {
                    jumps += 1;
                    if jumps > self.limits.tail_calls_max {
                        return Err(Error::new(
                            ErrorKind::Budget,
                            format!("templates call each other more than {} times in a row", self.limits.tail_calls_max),
                        )
                        .hint("look for a recursion without end, or raise the budget")
                        .at(template.place.clone()));
                    }
                    self.locals.truncate(self.frame);
                    self.release_except(mark, &passed);
                    self.parameters = passed;
                    index = next;
                }
            }
        }
        self.locals.truncate(self.frame);
        self.release(mark);
        self.frame = saved_frame;
        self.parameters = saved_parameters;
        self.ascend();
        Ok(())
    }

    /// `xsl:apply-imports` (section 5.6).
    pub(crate) fn apply_imports(&mut self, context: &Context) -> Result<()> {
        let Some(rule) = self.current_rule else {
            return Err(Error::run("xsl:apply-imports without a current template rule")
                .hint("it cannot be used inside xsl:for-each or a top-level variable"));
        };
        let inner = Context { current: context.node, ..*context };
        self.apply_one(&inner, rule.mode, &Vec::new(), Some(rule.template))
    }
}
