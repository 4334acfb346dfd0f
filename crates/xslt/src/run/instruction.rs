//! Carries out instructions.

use super::apply::Passed;
use super::{Context, Message, Run};
use crate::error::{Error, ErrorKind, Result};
use crate::name::{NameId, QNameId, StringId, is_ncname, split_qname};
use crate::sheet::{Binding, Instruction, LiteralElement, Operation, Part, SortKey, ValueTemplate, WithParam};
use crate::tree::node::Node;
use crate::tree::{Kind, Tree};
use crate::xpath::expression::{Expression, Namespaces};
use crate::xpath::value::Value;

/// How a body ended.
pub(crate) enum Flow {
    Done,
    /// With a call as the last act, still to be made.
    Jump(u32, Passed),
}

impl<'a> Run<'a> {
    /// Carries out a body inside which nothing may jump.
    pub(crate) fn body(&mut self, body: &'a [Instruction], context: &Context) -> Result<()> {
        for instruction in body {
            self.instruction(instruction, context, false)?;
        }
        Ok(())
    }

    /// Carries out the body of a template, or the last part of it.
    pub(crate) fn body_at_end(&mut self, body: &'a [Instruction], context: &Context) -> Result<Flow> {
        let Some((last, before)) = body.split_last() else { return Ok(Flow::Done) };
        self.body(before, context)?;
        self.instruction(last, context, true)
    }

    fn instruction(&mut self, instruction: &'a Instruction, context: &Context, at_end: bool) -> Result<Flow> {
        self.charge(1).and_then(|()| self.carry_out(instruction, context, at_end)).map_err(|mut error| {
            // A fault of the document has its line.
            if error.node.is_none() && error.kind != ErrorKind::Document {
                error.node = self.path_of(context.node);
            }
            match error.kind {
                ErrorKind::Terminated => error,
                _ => error.at(instruction.place.clone()),
            }
        })
    }

    fn carry_out(&mut self, instruction: &'a Instruction, context: &Context, at_end: bool) -> Result<Flow> {
        match &instruction.operation {
            Operation::Text(text, raw) => self.output.text(&mut self.names, text, *raw)?,
            Operation::Literal(element) => self.literal(element, context)?,
            Operation::ValueOf(expression, raw) => self.value_of(expression, *raw, context)?,
            Operation::ApplyTemplates { select, mode, sorts, parameters } => {
                self.apply_templates(select.as_ref(), *mode, sorts, parameters, context)?
            }
            Operation::ApplyImports => self.apply_imports(context)?,
            Operation::Call { template, parameters } => {
                let passed = self.passed(parameters, context)?;
                if at_end {
                    return Ok(Flow::Jump(*template, passed));
                }
                self.template(*template, context, passed)?;
            }
            Operation::ForEach { select, sorts, body } => self.for_each(select, sorts, body, context)?,
            Operation::If(test, body) => {
                if self.boolean(test, context)? {
                    return if at_end { self.body_at_end(body, context) } else { self.body(body, context).map(|()| Flow::Done) };
                }
            }
            Operation::Choose(branches, otherwise) => {
                let mut chosen = otherwise;
                for (test, body) in branches {
                    if self.boolean(test, context)? {
                        chosen = body;
                        break;
                    }
                }
                return if at_end { self.body_at_end(chosen, context) } else { self.body(chosen, context).map(|()| Flow::Done) };
            }
            Operation::Copy { attribute_sets, body } => self.copy(attribute_sets, body, context)?,
            Operation::CopyOf(expression) => self.copy_of(expression, context)?,
            Operation::Variable { slot, value } => self.set_variable(*slot, value, context)?,
            Operation::Parameter { slot, name, value } => self.set_parameter(*slot, *name, value, context)?,
            other => return self.carry_out_rare(other, instruction, context).map(|()| Flow::Done),
        }
        Ok(Flow::Done)
    }

    #[inline(never)]
    fn set_variable(&mut self, slot: u32, value: &'a Binding, context: &Context) -> Result<()> {
        let value = self.binding(value, context)?;
        self.set_local(slot, value);
        Ok(())
    }

    #[inline(never)]
    fn set_parameter(&mut self, slot: u32, name: NameId, value: &'a Binding, context: &Context) -> Result<()> {
        let value = match self.parameters.iter().find(|(known, _)| *known == name) {
            Some((_, value)) => value.clone(),
            None => self.binding(value, context)?,
        };
        self.set_local(slot, value);
        Ok(())
    }

    /// The instructions that are not on the way of deep recursion: apart, so that each level needs less stack.
    #[inline(never)]
    fn carry_out_rare(&mut self, operation: &'a Operation, instruction: &'a Instruction, context: &Context) -> Result<()> {
        match operation {
            Operation::Element { name, namespace, namespaces, attribute_sets, body } => {
                let name = self.element_name(name, namespace.as_ref(), namespaces, context)?;
                self.output.start_element(&mut self.names, name)?;
                self.attribute_sets(attribute_sets, context, 0)?;
                self.body(body, context)?;
                self.output.end_element(&mut self.names)?;
            }
            Operation::Attribute { name, namespace, namespaces, body } => {
                let name = self.attribute_name(name, namespace.as_ref(), namespaces, context)?;
                let value = self.text_of_body(body, "an attribute", context)?;
                self.output.attribute(&self.names, name, &value)?;
            }
            Operation::Comment(body) => {
                let text = self.text_of_body(body, "a comment", context)?;
                self.output.comment(&mut self.names, &text)?;
            }
            Operation::Instruction { name, body } => {
                let name = self.value_template(name, context)?;
                if !is_ncname(&name) || name.eq_ignore_ascii_case("xml") {
                    return Err(Error::run("a processing instruction cannot have this name")
                        .found(name)
                        .expected("a name without a colon, not xml"));
                }
                let text = self.text_of_body(body, "a processing instruction", context)?;
                self.output.instruction(&mut self.names, &name, text.trim_start_matches(crate::name::is_space))?;
            }
            Operation::Message { body, terminate } => self.message(body, *terminate, instruction, context)?,
            Operation::Number(number) => {
                let text = self.numbered(number, context)?;
                self.output.text(&mut self.names, &text, false)?;
            }
            Operation::Unknown { fallbacks, error } => match fallbacks {
                Some(body) => self.body(body, context)?,
                None => return Err((**error).clone()),
            },
            // All others are carried out by the caller.
            _ => {}
        }
        Ok(())
    }

    pub(crate) fn set_local(&mut self, slot: u32, value: Value) {
        let index = self.frame + slot as usize;
        self.locals[index] = value;
    }

    pub(crate) fn passed(&mut self, parameters: &'a [WithParam], context: &Context) -> Result<Passed> {
        let mut passed = Vec::with_capacity(parameters.len());
        for parameter in parameters {
            let value = self.binding(&parameter.value, context).map_err(|error| error.at(parameter.place.clone()))?;
            passed.push((parameter.name, value));
        }
        Ok(passed)
    }

    /// An attribute value template.
    pub(crate) fn value_template(&mut self, template: &ValueTemplate, context: &Context) -> Result<String> {
        match template {
            ValueTemplate::Fixed(text) => Ok(text.to_string()),
            ValueTemplate::Parts(parts) => {
                let mut result = String::new();
                for part in parts {
                    match part {
                        Part::Text(text) => result.push_str(text),
                        Part::Expression(expression) => result.push_str(&self.text(expression, context)?),
                    }
                }
                Ok(result)
            }
        }
    }

    fn value_of(&mut self, expression: &'a Expression, raw: bool, context: &Context) -> Result<()> {
        if let Expression::Path(path) = expression {
            let Some(node) = self.first(path, context)? else { return Ok(()) };
            if node.is_namespace() {
                let text = self.node_text(node).to_owned();
                return self.output.text(&mut self.names, &text, raw);
            }
            let tree = self.tree(node);
            return self.output.text(&mut self.names, tree.value(node.id()), raw);
        }
        let text = self.text(expression, context)?;
        self.output.text(&mut self.names, &text, raw)
    }

    fn literal(&mut self, element: &'a LiteralElement, context: &Context) -> Result<()> {
        self.output.start_element(&mut self.names, element.name)?;
        for &(prefix, uri) in &element.namespaces {
            self.output.namespace(prefix, uri);
        }
        self.attribute_sets(&element.attribute_sets, context, 0)?;
        for (name, value) in &element.attributes {
            match value {
                ValueTemplate::Fixed(text) => self.output.attribute(&self.names, *name, text)?,
                parts => {
                    let value = self.value_template(parts, context)?;
                    self.output.attribute(&self.names, *name, &value)?;
                }
            }
        }
        self.body(&element.body, context)?;
        self.output.end_element(&mut self.names)
    }

    /// Adds the attributes of sets, those a set uses first (XSLT 1.0, section 7.1.4).
    pub(crate) fn attribute_sets(&mut self, sets: &'a [NameId], context: &Context, depth: u32) -> Result<()> {
        if sets.is_empty() {
            return Ok(());
        }
        if depth > 100 {
            return Err(Error::run("attribute sets use each other without end"));
        }
        let sheet = self.sheet;
        for name in sets {
            // The compiler has checked that the set exists; of several the more important come later.
            let Some(definitions) = sheet.attribute_sets.get(name) else { continue };
            for set in definitions {
                self.attribute_sets(&set.uses, context, depth + 1)?;
                // Only top-level variables are visible inside.
                let saved_frame = self.frame;
                let saved_parameters = std::mem::take(&mut self.parameters);
                self.frame = self.locals.len();
                self.locals.resize(self.frame + set.slots as usize, Value::Boolean(false));
                let mark = self.fragment_mark();
                self.body(&set.body, context)?;
                self.release(mark);
                self.locals.truncate(self.frame);
                self.frame = saved_frame;
                self.parameters = saved_parameters;
            }
        }
        Ok(())
    }

    fn apply_templates(
        &mut self,
        select: Option<&'a Expression>,
        mode: u32,
        sorts: &'a [SortKey],
        parameters: &'a [WithParam],
        context: &Context,
    ) -> Result<()> {
        if let Some(selection) = self.record_selection(select, context) {
            let passed = self.passed(parameters, context)?;
            return self.apply_records(&selection, mode, &passed);
        }
        let mut nodes = match select {
            Some(expression) => self.nodes(expression, context)?,
            None => {
                let tree = self.tree(context.node);
                if context.node.is_namespace() {
                    Vec::new()
                } else {
                    tree.children(context.node.id()).map(|child| context.node.with(child)).collect()
                }
            }
        };
        self.charge(nodes.len() as u64)?;
        if !sorts.is_empty() {
            nodes = self.sorted(nodes, sorts, context)?;
        }
        let passed = self.passed(parameters, context)?;
        self.apply(&nodes, mode, &passed)?;
        if context.node == self.source && crate::record::selects_beside(select) {
            self.apply_behind(nodes.len(), mode, &passed)?;
        }
        Ok(())
    }

    fn for_each(&mut self, select: &'a Expression, sorts: &'a [SortKey], body: &'a [Instruction], context: &Context) -> Result<()> {
        if let Some(selection) = self.record_selection(Some(select), context) {
            return self.for_each_record(&selection, body);
        }
        let mut nodes = self.nodes(select, context)?;
        if !sorts.is_empty() {
            nodes = self.sorted(nodes, sorts, context)?;
        }
        let saved_rule = self.current_rule.take();
        let size = nodes.len();
        for (index, &node) in nodes.iter().enumerate() {
            let inner = Context { node, position: index + 1, size, current: node };
            let mark = self.fragment_mark();
            self.body(body, &inner)?;
            self.release(mark);
        }
        self.current_rule = saved_rule;
        Ok(())
    }

    fn message(&mut self, body: &'a [Instruction], terminate: bool, instruction: &Instruction, context: &Context) -> Result<()> {
        let outer = std::mem::replace(&mut self.output, super::emitter::Emitter::fragment(self.sheet.uri.clone()));
        let outcome = self.body(body, context);
        let made = std::mem::replace(&mut self.output, outer);
        outcome?;
        let text = match made.finish_fragment(&mut self.names)? {
            super::emitter::Finished::Text(text) => text,
            super::emitter::Finished::Tree(tree) => tree.value(0).to_owned(),
        };
        let message = Message { text: text.clone(), terminate, place: instruction.place.clone() };
        if let Some(sink) = self.hooks.message.as_mut() {
            sink(message);
        }
        if terminate {
            return Err(Error::new(ErrorKind::Terminated, text).at(instruction.place.clone()));
        }
        Ok(())
    }

    // --- computed names

    fn split_name<'t>(&self, name: &'t str, what: &str) -> Result<(&'t str, &'t str)> {
        split_qname(name).ok_or_else(|| Error::run(format!("{what} cannot have this name")).found(name).expected("a qualified name"))
    }

    fn element_name(
        &mut self,
        name: &'a ValueTemplate,
        namespace: Option<&'a ValueTemplate>,
        namespaces: &'a Namespaces,
        context: &Context,
    ) -> Result<QNameId> {
        let name = self.value_template(name, context)?;
        let (prefix, local) = self.split_name(&name, "an element")?;
        let (prefix, local) = (self.names.string(prefix), self.names.string(local));
        let uri = match namespace {
            Some(namespace) => {
                let uri = self.value_template(namespace, context)?;
                self.names.string(&uri)
            }
            None => bound(namespaces, prefix).ok_or_else(|| undeclared(&name))?,
        };
        let prefix = if prefix == StringId::XML_PREFIX && uri != StringId::XML_URI { StringId::EMPTY } else { prefix };
        Ok(self.names.qualified(prefix, uri, local))
    }

    fn attribute_name(
        &mut self,
        name: &'a ValueTemplate,
        namespace: Option<&'a ValueTemplate>,
        namespaces: &'a Namespaces,
        context: &Context,
    ) -> Result<QNameId> {
        let name = self.value_template(name, context)?;
        let (prefix_text, local) = self.split_name(&name, "an attribute")?;
        if namespace.is_none() && name == "xmlns" {
            return Err(Error::run("an attribute cannot be named xmlns").hint("namespaces are declared by the names that use them"));
        }
        let (mut prefix, local) = (self.names.string(prefix_text), self.names.string(local));
        let uri = match namespace {
            Some(namespace) => {
                let uri = self.value_template(namespace, context)?;
                if prefix_text == "xmlns" {
                    prefix = StringId::EMPTY;
                }
                self.names.string(&uri)
            }
            None if prefix == StringId::EMPTY => StringId::EMPTY,
            None => bound(namespaces, prefix).ok_or_else(|| undeclared(&name))?,
        };
        Ok(self.names.qualified(prefix, uri, local))
    }

    // --- copies

    fn copy(&mut self, attribute_sets: &'a [NameId], body: &'a [Instruction], context: &Context) -> Result<()> {
        let node = context.node;
        match self.kind_of(node) {
            Kind::Element => {
                let tree = self.tree(node);
                let Some(name) = tree.qname(node.id()) else { return Ok(()) };
                self.output.start_element(&mut self.names, name)?;
                let namespaces = tree.namespaces(node.id());
                self.charge(namespaces.len() as u64)?;
                for (prefix, uri) in namespaces {
                    self.output.namespace(prefix, uri);
                }
                self.attribute_sets(attribute_sets, context, 0)?;
                self.body(body, context)?;
                self.output.end_element(&mut self.names)
            }
            Kind::Root => {
                // As .NET does, although section 7.5 speaks of elements only.
                self.attribute_sets(attribute_sets, context, 0)?;
                self.body(body, context)
            }
            _ => self.copy_node(node),
        }
    }

    fn copy_of(&mut self, expression: &'a Expression, context: &Context) -> Result<()> {
        match self.evaluate(expression, context)? {
            Value::Nodes(nodes) => {
                for &node in nodes.iter() {
                    self.copy_node(node)?;
                }
                Ok(())
            }
            Value::Fragment(root) => self.copy_node(root),
            Value::TextFragment(text) => self.output.text(&mut self.names, &text, false),
            other => {
                let text = self.to_text(&other);
                self.output.text(&mut self.names, &text, false)
            }
        }
    }

    /// Copies a node with all that is in it.
    pub(crate) fn copy_node(&mut self, node: Node) -> Result<()> {
        let tree = self.tree(node);
        if node.is_namespace() {
            let Some(&(prefix, uri)) = tree.namespace_nodes(node.id()).get(node.rank() as usize - 1) else { return Ok(()) };
            if !self.output.is_open() {
                return Err(Error::run("a namespace is copied where there is no element to carry it"));
            }
            self.output.namespace(prefix, uri);
            return Ok(());
        }
        let id = node.id();
        match tree.kind(id) {
            Kind::Attribute => {
                if let Some(name) = tree.qname(id) {
                    self.output.attribute(&self.names, name, tree.value(id))?;
                }
                Ok(())
            }
            Kind::Element => self.copy_subtree(&tree, id, id),
            Kind::Root => {
                let end = tree.end(0);
                if end > 1 { self.copy_subtree(&tree, 1, 0) } else { Ok(()) }
            }
            _ => self.copy_leaf(&tree, id),
        }
    }

    fn copy_leaf(&mut self, tree: &Tree, id: u32) -> Result<()> {
        match tree.kind(id) {
            Kind::Text => self.output.text(&mut self.names, tree.value(id), tree.is_raw(id)),
            Kind::Comment => self.output.comment(&mut self.names, tree.value(id)),
            Kind::Instruction => {
                let target = tree.qname(id).map_or(String::new(), |name| self.names.local_text(name).to_owned());
                self.output.instruction(&mut self.names, &target, tree.value(id))
            }
            _ => Ok(()),
        }
    }

    /// Copies the nodes from `first` to the end of `top`, without recursion however deep they are.
    fn copy_subtree(&mut self, tree: &Tree, first: u32, top: u32) -> Result<()> {
        let end = tree.end(top);
        let mut open: Vec<u32> = Vec::new();
        let mut id = first;
        while id < end {
            while open.last().is_some_and(|&until| until <= id) {
                open.pop();
                self.output.end_element(&mut self.names)?;
            }
            self.charge(1)?;
            match tree.kind(id) {
                Kind::Element => {
                    let Some(name) = tree.qname(id) else { break };
                    self.output.start_element(&mut self.names, name)?;
                    if id == top {
                        // The bindings around it come along (section 11.3); inside, only what changes.
                        for (prefix, uri) in tree.namespaces(id) {
                            self.output.namespace(prefix, uri);
                        }
                    } else {
                        for &(prefix, uri) in tree.declarations(id) {
                            self.output.namespace(prefix, uri);
                        }
                    }
                    for attribute in tree.attributes(id) {
                        if let Some(name) = tree.qname(attribute) {
                            self.output.attribute(&self.names, name, tree.value(attribute))?;
                        }
                    }
                    open.push(tree.end(id));
                    id = tree.attributes(id).end;
                }
                _ => {
                    self.copy_leaf(tree, id)?;
                    id += 1;
                }
            }
        }
        for _ in open {
            self.output.end_element(&mut self.names)?;
        }
        Ok(())
    }
}

/// The namespace name a prefix has where the instruction stands.
fn bound(namespaces: &Namespaces, prefix: StringId) -> Option<StringId> {
    if prefix == StringId::XML_PREFIX {
        return Some(StringId::XML_URI);
    }
    match namespaces.iter().find(|&&(known, _)| known == prefix) {
        Some(&(_, uri)) => Some(uri),
        None => (prefix == StringId::EMPTY).then_some(StringId::EMPTY),
    }
}

fn undeclared(name: &str) -> Error {
    Error::run("a computed name has a prefix that is not declared")
        .found(name)
        .hint("declare it in the stylesheet, or give a namespace attribute")
}
