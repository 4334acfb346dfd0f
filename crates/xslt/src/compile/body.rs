//! Templates' bodies: instructions, literal result elements, text.

use std::rc::Rc;

use super::environment::Use;
use super::module::Module;
use super::{Compiler, Inherited, XSLT, element};
use crate::error::{Error, ErrorKind};
use crate::name::{NameId, StringId, is_blank, trim};
use crate::sheet::{Body, Instruction, Level, LiteralElement, NumberInstruction, Operation, SortKey, ValueTemplate, WithParam};
use crate::tree::Kind;
use crate::xpath::expression::{Axis, Expression, Path, Start, Step, Test};

impl Compiler<'_> {
    /// The content of an element as a body; its variables are visible inside only.
    pub(crate) fn body(&mut self, module: &Rc<Module>, element: u32, inherited: &Inherited) -> Body {
        let children: Vec<u32> = module.tree.children(element).collect();
        self.children(module, &children, inherited)
    }

    fn children(&mut self, module: &Rc<Module>, children: &[u32], inherited: &Inherited) -> Body {
        let visible = self.locals.len();
        let mut body = Vec::with_capacity(children.len());
        for &child in children {
            match module.tree.kind(child) {
                Kind::Text => body
                    .push(Instruction { place: module.place(child), operation: Operation::Text(module.tree.value(child).into(), false) }),
                Kind::Element => body.extend(self.single(module, child, inherited)),
                _ => {}
            }
        }
        self.locals.truncate(visible);
        body
    }

    /// One element as instructions: one, or none after an error.
    pub(crate) fn single(&mut self, module: &Rc<Module>, element: u32, inherited: &Inherited) -> Body {
        let mut body = Vec::new();
        if self.deeper(module, element)
            && let Some((uri, local)) = self.element_name(module, element)
        {
            let operation = if uri == XSLT {
                self.instruction(module, element, &local, inherited)
            } else {
                let inner = self.inherit(module, element, inherited, false);
                let uri = self.names.string(&uri);
                if inner.extensions.contains(&uri) {
                    self.extension(module, element, &local, &inner)
                } else {
                    self.literal(module, element, &inner)
                }
            };
            if let Some(operation) = operation {
                body.push(Instruction { place: module.place(element), operation });
            }
        }
        self.depth -= 1;
        body
    }

    /// The body of a template: its parameters first.
    pub(crate) fn template_body(&mut self, module: &Rc<Module>, element: u32, inherited: &Inherited) -> Body {
        let mut body = Vec::new();
        let children: Vec<u32> = module.tree.children(element).collect();
        let mut index = 0;
        while index < children.len() {
            let child = children[index];
            match module.tree.kind(child) {
                Kind::Element if self.element_name(module, child).is_some_and(|(uri, local)| uri == XSLT && local == "param") => {
                    body.extend(self.parameter(module, child, inherited));
                }
                Kind::Element => break,
                // White space before parameters that was asked to be kept is still no text before them.
                Kind::Text if !is_blank(module.tree.value(child)) => break,
                _ => {}
            }
            index += 1;
        }
        let parameters = self.locals.len();
        let visible_from = body.len();
        body.extend(self.children(module, &children[index..], inherited));
        debug_assert!(body.len() >= visible_from && self.locals.len() >= parameters);
        body
    }

    fn parameter(&mut self, module: &Rc<Module>, element: u32, inherited: &Inherited) -> Option<Instruction> {
        if !self.check_attributes(module, element, "param", inherited.forwards) {
            return None;
        }
        let attribute = self.attribute(module, element, "name")?;
        let name = self.qname(module, element, attribute)?;
        let value = self.binding(module, element, inherited);
        let slot = self.new_local(module, element, name);
        Some(Instruction { place: module.place(element), operation: Operation::Parameter { slot, name, value } })
    }

    fn instruction(&mut self, module: &Rc<Module>, element: u32, local: &str, inherited: &Inherited) -> Option<Operation> {
        let Some(known) = element::find(local) else {
            if inherited.forwards {
                return self.unknown(module, element, local, inherited);
            }
            self.unknown_element(module, element, local, "here");
            return None;
        };
        if !known.instruction {
            self.misplaced(module, element, local);
            return None;
        }
        let complete = self.check_attributes(module, element, local, inherited.forwards);
        if known.content == element::Content::Nothing {
            self.check_empty(module, element, local);
        }
        let operation = self.known_instruction(module, element, local, inherited);
        if complete { operation } else { None }
    }

    fn misplaced(&mut self, module: &Rc<Module>, element: u32, local: &str) {
        let where_ = match local {
            "when" | "otherwise" => "outside xsl:choose",
            "sort" => "here: it comes first in xsl:for-each, or in xsl:apply-templates",
            "with-param" => "outside xsl:call-template and xsl:apply-templates",
            "param" => "here: parameters come first in a template",
            _ => "inside a template",
        };
        self.fault(module, element, format!("xsl:{local} is not allowed {where_}"));
    }

    fn known_instruction(&mut self, module: &Rc<Module>, element: u32, local: &str, inherited: &Inherited) -> Option<Operation> {
        let forwards = inherited.forwards;
        match local {
            "text" => self.text(module, element),
            "value-of" => {
                let select = self.attribute(module, element, "select")?;
                let raw = self.yes_or_no(module, element, "disable-output-escaping")?;
                Some(Operation::ValueOf(self.expression(module, element, select, Use::Ordinary, forwards)?, raw))
            }
            "apply-templates" => self.apply_templates(module, element, inherited),
            "apply-imports" => Some(Operation::ApplyImports),
            "call-template" => self.call_template(module, element, inherited),
            "for-each" => self.for_each(module, element, inherited),
            "if" => {
                let test = self.attribute(module, element, "test")?;
                let test = self.expression(module, element, test, Use::Ordinary, forwards);
                let body = self.body(module, element, inherited);
                Some(Operation::If(test?, body))
            }
            "choose" => self.choose(module, element, inherited),
            "copy" => {
                let attribute_sets = self.used_sets(module, element, false);
                let body = self.body_outside(module, element, inherited);
                Some(Operation::Copy { attribute_sets, body })
            }
            "copy-of" => {
                let select = self.attribute(module, element, "select")?;
                Some(Operation::CopyOf(self.expression(module, element, select, Use::Ordinary, forwards)?))
            }
            "element" => {
                let (name, namespace) = self.computed_name(module, element, forwards)?;
                let namespaces = std::sync::Arc::new(module.tree.namespaces(element));
                let attribute_sets = self.used_sets(module, element, false);
                let body = self.body_outside(module, element, inherited);
                Some(Operation::Element { name, namespace, namespaces, attribute_sets, body })
            }
            "attribute" => {
                let (name, namespace) = self.computed_name(module, element, forwards)?;
                if let ValueTemplate::Fixed(text) = &name
                    && namespace.is_none()
                    && **text == *"xmlns"
                {
                    self.fault(module, element, "xsl:attribute cannot make the attribute xmlns");
                }
                let namespaces = std::sync::Arc::new(module.tree.namespaces(element));
                let body = self.body_outside(module, element, inherited);
                Some(Operation::Attribute { name, namespace, namespaces, body })
            }
            "comment" => Some(Operation::Comment(self.body_outside(module, element, inherited))),
            "processing-instruction" => {
                let attribute = self.attribute(module, element, "name")?;
                let name = self.value_template(module, element, attribute, forwards)?;
                if let ValueTemplate::Fixed(text) = &name
                    && (!crate::name::is_ncname(text) || text.eq_ignore_ascii_case("xml"))
                {
                    let error = Error::new(ErrorKind::Stylesheet, "a processing instruction cannot have this name")
                        .found(&**text)
                        .expected("a name without a colon, not xml")
                        .at(module.place(attribute));
                    self.error(error);
                }
                Some(Operation::Instruction { name, body: self.body_outside(module, element, inherited) })
            }
            "message" => {
                let terminate = self.yes_or_no(module, element, "terminate")?;
                Some(Operation::Message { body: self.body_outside(module, element, inherited), terminate })
            }
            "variable" => {
                let attribute = self.attribute(module, element, "name")?;
                let name = self.qname(module, element, attribute)?;
                let value = self.binding(module, element, inherited);
                let slot = self.new_local(module, element, name);
                Some(Operation::Variable { slot, value })
            }
            "number" => self.number(module, element, inherited),
            // Its own place is inside what is not known; elsewhere it does nothing.
            "fallback" => {
                self.body_outside(module, element, inherited);
                None
            }
            _ => None,
        }
    }

    /// A body whose result does not go directly into the literal result elements around.
    fn body_outside(&mut self, module: &Rc<Module>, element: u32, inherited: &Inherited) -> Body {
        let lexical = std::mem::take(&mut self.lexical);
        let body = self.body(module, element, inherited);
        self.lexical = lexical;
        body
    }

    fn text(&mut self, module: &Rc<Module>, element: u32) -> Option<Operation> {
        let mut text = String::new();
        for child in module.tree.children(element).collect::<Vec<_>>() {
            match module.tree.kind(child) {
                Kind::Text => text.push_str(module.tree.value(child)),
                Kind::Element => self.fault(module, child, "xsl:text may contain nothing but text"),
                _ => {}
            }
        }
        let raw = self.yes_or_no(module, element, "disable-output-escaping")?;
        Some(Operation::Text(text.into(), raw))
    }

    /// An attribute that is yes or no; no if it is not there, `None` after an error.
    fn yes_or_no(&mut self, module: &Rc<Module>, element: u32, name: &str) -> Option<bool> {
        let Some(attribute) = self.attribute(module, element, name) else { return Some(false) };
        match trim(module.tree.value(attribute)) {
            "yes" => Some(true),
            "no" => Some(false),
            other => {
                let error = Error::new(ErrorKind::Stylesheet, format!("a wrong value of {name}"))
                    .found(other)
                    .expected("yes or no")
                    .at(module.place(attribute));
                self.error(error);
                None
            }
        }
    }

    fn computed_name(&mut self, module: &Rc<Module>, element: u32, forwards: bool) -> Option<(ValueTemplate, Option<ValueTemplate>)> {
        let attribute = self.attribute(module, element, "name")?;
        let name = self.value_template(module, element, attribute, forwards)?;
        if let ValueTemplate::Fixed(text) = &name
            && crate::name::split_qname(text).is_none()
        {
            let error = Error::new(ErrorKind::Stylesheet, "this is no qualified name").found(&**text).at(module.place(attribute));
            self.error(error);
            return None;
        }
        let namespace = match self.attribute(module, element, "namespace") {
            Some(attribute) => Some(self.value_template(module, element, attribute, forwards)?),
            None => None,
        };
        if let (ValueTemplate::Fixed(text), None) = (&name, &namespace)
            && let Some((prefix, _)) = crate::name::split_qname(text)
            && !prefix.is_empty()
            && prefix != "xmlns"
        {
            let prefix = self.names.string(prefix);
            if module.tree.resolve(element, prefix).is_none() {
                let error = Error::new(ErrorKind::Stylesheet, "a prefix that is not declared").found(&**text).at(module.place(attribute));
                self.error(error);
                return None;
            }
        }
        Some((name, namespace))
    }

    fn apply_templates(&mut self, module: &Rc<Module>, element: u32, inherited: &Inherited) -> Option<Operation> {
        let select = match self.attribute(module, element, "select") {
            Some(attribute) => {
                let expression = self.expression(module, element, attribute, Use::Ordinary, inherited.forwards)?;
                self.must_be_nodes(module, attribute, &expression)?;
                Some(expression)
            }
            None => None,
        };
        let mode = match self.attribute(module, element, "mode") {
            Some(attribute) => Some(self.qname(module, element, attribute)?),
            None => None,
        };
        let mode = self.mode(mode);
        self.modes_applied.push(mode);
        let (sorts, parameters) = self.sorts_and_parameters(module, element, "apply-templates", true, inherited);
        Some(Operation::ApplyTemplates { select, mode, sorts, parameters })
    }

    fn must_be_nodes(&mut self, module: &Rc<Module>, attribute: u32, expression: &Expression) -> Option<()> {
        use crate::xpath::expression::Type;
        if matches!(expression.kind(), Type::Nodes | Type::Any) {
            return Some(());
        }
        let error = Error::new(ErrorKind::Expression, "this selects no nodes")
            .found(module.tree.value(attribute))
            .expected("a node-set")
            .at(module.place(attribute));
        self.error(error);
        None
    }

    fn call_template(&mut self, module: &Rc<Module>, element: u32, inherited: &Inherited) -> Option<Operation> {
        let attribute = self.attribute(module, element, "name")?;
        let name = self.qname(module, element, attribute)?;
        let (_, parameters) = self.sorts_and_parameters(module, element, "call-template", false, inherited);
        let Some(&(template, _, _)) = self.template_names.get(&name) else {
            let shown = self.names.readable(name);
            let near =
                self.template_names.keys().map(|&known| self.names.readable(known)).min_by_key(|known| super::distance(known, &shown));
            let error = Error::new(ErrorKind::Stylesheet, "there is no template of this name").found(shown.clone());
            let error = match near {
                Some(near) if super::distance(&near, &shown) <= 2 => error.hint(format!("did you mean {near}?")),
                _ => error,
            };
            self.error(error.at(module.place(attribute)));
            return None;
        };
        let declared = self.template_parameters.get(&template).cloned().unwrap_or_default();
        for parameter in &parameters {
            if !declared.contains(&parameter.name) {
                let shown = self.names.readable(parameter.name);
                let template = self.names.readable(name);
                self.warn(
                    format!("the template {template} has no parameter {shown}: the value is not used"),
                    parameter.place.clone(),
                    "correct the name, or declare xsl:param",
                );
            }
        }
        Some(Operation::Call { template, parameters })
    }

    /// xsl:sort and xsl:with-param, and nothing else.
    fn sorts_and_parameters(
        &mut self,
        module: &Rc<Module>,
        element: u32,
        parent: &str,
        sorts_allowed: bool,
        inherited: &Inherited,
    ) -> (Vec<SortKey>, Vec<WithParam>) {
        let (mut sorts, mut parameters): (Vec<SortKey>, Vec<WithParam>) = (Vec::new(), Vec::new());
        for child in module.tree.children(element).collect::<Vec<_>>() {
            match module.tree.kind(child) {
                Kind::Text => self.fault(module, element, format!("text is not allowed inside xsl:{parent}")),
                Kind::Element => match self.element_name(module, child) {
                    Some((uri, local)) if uri == XSLT && local == "with-param" => {
                        if let Some(parameter) = self.with_param(module, child, inherited) {
                            if parameters.iter().any(|known| known.name == parameter.name) {
                                self.fault(module, child, "a parameter is given twice");
                            }
                            parameters.push(parameter);
                        }
                    }
                    Some((uri, local)) if uri == XSLT && local == "sort" && sorts_allowed => {
                        sorts.extend(self.sort(module, child, inherited))
                    }
                    Some((_, local)) => self.fault(module, child, format!("{local} is not allowed inside xsl:{parent}")),
                    None => {}
                },
                _ => {}
            }
        }
        (sorts, parameters)
    }

    fn with_param(&mut self, module: &Rc<Module>, element: u32, inherited: &Inherited) -> Option<WithParam> {
        if !self.check_attributes(module, element, "with-param", inherited.forwards) {
            return None;
        }
        let attribute = self.attribute(module, element, "name")?;
        let name = self.qname(module, element, attribute)?;
        let value = self.binding(module, element, inherited);
        Some(WithParam { name, value, place: module.place(element) })
    }

    fn sort(&mut self, module: &Rc<Module>, element: u32, inherited: &Inherited) -> Option<SortKey> {
        self.check_attributes(module, element, "sort", inherited.forwards);
        self.check_empty(module, element, "sort");
        let select = match self.attribute(module, element, "select") {
            Some(attribute) => self.expression(module, element, attribute, Use::Ordinary, inherited.forwards)?,
            None => Expression::Path(Box::new(Path {
                start: Start::Context,
                steps: vec![Step { axis: Axis::SelfNode, test: Test::Node, predicates: Vec::new() }],
            })),
        };
        let allowed: [(&str, &[&str]); 3] =
            [("data-type", &["text", "number"]), ("order", &["ascending", "descending"]), ("case-order", &["upper-first", "lower-first"])];
        let mut templates = [None, None, None];
        for (index, (name, values)) in allowed.into_iter().enumerate() {
            let Some(attribute) = self.attribute(module, element, name) else { continue };
            let template = self.value_template(module, element, attribute, inherited.forwards)?;
            if let ValueTemplate::Fixed(text) = &template
                && !values.contains(&&**text)
            {
                let error = Error::new(ErrorKind::Stylesheet, format!("a wrong value of {name} on xsl:sort"))
                    .found(&**text)
                    .expected(values.join(" or "))
                    .at(module.place(attribute));
                self.error(error);
                return None;
            }
            templates[index] = Some(template);
        }
        let language = match self.attribute(module, element, "lang") {
            Some(attribute) => Some(self.value_template(module, element, attribute, inherited.forwards)?),
            None => None,
        };
        let [data_type, order, case_order] = templates;
        Some(SortKey { select, language, data_type, order, case_order, place: module.place(element) })
    }

    fn for_each(&mut self, module: &Rc<Module>, element: u32, inherited: &Inherited) -> Option<Operation> {
        let attribute = self.attribute(module, element, "select")?;
        let select = self.expression(module, element, attribute, Use::Ordinary, inherited.forwards);
        if let Some(select) = &select {
            self.must_be_nodes(module, attribute, select);
        }
        let mut sorts = Vec::new();
        let children: Vec<u32> = module.tree.children(element).collect();
        let mut first = children.len();
        for (index, &child) in children.iter().enumerate() {
            match module.tree.kind(child) {
                Kind::Element if self.element_name(module, child).is_some_and(|(uri, local)| uri == XSLT && local == "sort") => {
                    sorts.extend(self.sort(module, child, inherited));
                }
                Kind::Comment | Kind::Instruction => {}
                Kind::Text if is_blank(module.tree.value(child)) && self.sort_follows(module, &children[index..]) => {}
                _ => {
                    first = index;
                    break;
                }
            }
        }
        let body = self.children(module, &children[first..], inherited);
        Some(Operation::ForEach { select: select?, sorts, body })
    }

    fn sort_follows(&self, module: &Rc<Module>, rest: &[u32]) -> bool {
        rest.iter()
            .find(|&&child| module.tree.is(child, Kind::Element))
            .is_some_and(|&child| self.element_name(module, child).is_some_and(|(uri, local)| uri == XSLT && local == "sort"))
    }

    fn choose(&mut self, module: &Rc<Module>, element: u32, inherited: &Inherited) -> Option<Operation> {
        let mut branches = Vec::new();
        let mut otherwise = None;
        let mut whens = 0;
        for child in module.tree.children(element).collect::<Vec<_>>() {
            match module.tree.kind(child) {
                Kind::Text if !is_blank(module.tree.value(child)) => self.fault(module, element, "text is not allowed inside xsl:choose"),
                Kind::Element => match self.element_name(module, child) {
                    Some((uri, local)) if uri == XSLT && local == "when" => {
                        whens += 1;
                        if otherwise.is_some() {
                            self.fault(module, child, "xsl:when after xsl:otherwise");
                        }
                        let complete = self.check_attributes(module, child, "when", inherited.forwards);
                        let test = self.attribute(module, child, "test").filter(|_| complete);
                        let test = test.and_then(|test| self.expression(module, child, test, Use::Ordinary, inherited.forwards));
                        let body = self.body(module, child, inherited);
                        if let Some(test) = test {
                            branches.push((test, body));
                        }
                    }
                    Some((uri, local)) if uri == XSLT && local == "otherwise" => {
                        self.check_attributes(module, child, "otherwise", inherited.forwards);
                        if otherwise.is_some() {
                            self.fault(module, child, "a second xsl:otherwise");
                        }
                        otherwise = Some(self.body(module, child, inherited));
                    }
                    Some((_, local)) => self.fault(module, child, format!("{local} is not allowed inside xsl:choose")),
                    None => {}
                },
                _ => {}
            }
        }
        if whens == 0 {
            self.fault(module, element, "xsl:choose has no xsl:when");
        }
        Some(Operation::Choose(branches, otherwise.unwrap_or_default()))
    }

    fn number(&mut self, module: &Rc<Module>, element: u32, inherited: &Inherited) -> Option<Operation> {
        let forwards = inherited.forwards;
        let value = match self.attribute(module, element, "value") {
            Some(attribute) => Some(self.expression(module, element, attribute, Use::Ordinary, forwards)?),
            None => None,
        };
        let level = match self.attribute(module, element, "level") {
            None => Level::Single,
            Some(attribute) => match trim(module.tree.value(attribute)) {
                "single" => Level::Single,
                "multiple" => Level::Multiple,
                "any" => Level::Any,
                other => {
                    let error = Error::new(ErrorKind::Stylesheet, "a wrong value of level on xsl:number")
                        .found(other)
                        .expected("single, multiple or any")
                        .at(module.place(attribute));
                    self.error(error);
                    return None;
                }
            },
        };
        let mut pattern = |name: &str| match self.attribute(module, element, name) {
            Some(attribute) => self.pattern(module, element, attribute, Use::CountPattern, forwards).map(Some),
            None => Some(None),
        };
        let (count, from) = (pattern("count")?, pattern("from")?);
        let mut template = |name: &str| match self.attribute(module, element, name) {
            Some(attribute) => self.value_template(module, element, attribute, forwards).map(Some),
            None => Some(None),
        };
        let instruction = NumberInstruction {
            value,
            level,
            count,
            from,
            format: template("format")?,
            language: template("lang")?,
            letter_value: template("letter-value")?,
            grouping_separator: template("grouping-separator")?,
            grouping_size: template("grouping-size")?,
        };
        if let (Some(ValueTemplate::Fixed(text)), Some(attribute)) =
            (&instruction.grouping_separator, self.attribute(module, element, "grouping-separator"))
            && text.chars().count() != 1
        {
            let error =
                Error::new(ErrorKind::Stylesheet, "a grouping-separator is one character").found(&**text).at(module.place(attribute));
            self.error(error);
        }
        Some(Operation::Number(Box::new(instruction)))
    }

    /// An element that is not known: its fallbacks, or an error when it is reached (section 15).
    fn unknown(&mut self, module: &Rc<Module>, element: u32, local: &str, inherited: &Inherited) -> Option<Operation> {
        let mut fallbacks: Option<Body> = None;
        for child in module.tree.children(element).collect::<Vec<_>>() {
            if module.tree.is(child, Kind::Element)
                && self.element_name(module, child).is_some_and(|(uri, local)| uri == XSLT && local == "fallback")
            {
                let body = self.body_outside(module, child, inherited);
                fallbacks.get_or_insert_default().extend(body);
            }
        }
        let error = Error::run("an instruction that is not known").found(local).hint("give it an xsl:fallback").at(module.place(element));
        Some(Operation::Unknown { fallbacks, error: Box::new(error) })
    }

    fn extension(&mut self, module: &Rc<Module>, element: u32, local: &str, inherited: &Inherited) -> Option<Operation> {
        self.unknown(module, element, local, inherited)
    }

    /// A literal result element (section 7.1.1).
    fn literal(&mut self, module: &Rc<Module>, element: u32, inherited: &Inherited) -> Option<Operation> {
        let name = module.tree.qname(element)?;
        let name = self.aliased(name);
        let mut namespaces: Vec<(StringId, StringId)> = Vec::new();
        for (prefix, uri) in module.tree.namespaces(element) {
            let (prefix, uri) = match self.aliases.get(&uri) {
                Some(&(prefix, uri, _)) => (prefix, uri),
                None => {
                    if self.names.text(uri) == XSLT || inherited.excluded.contains(&uri) || inherited.extensions.contains(&uri) {
                        continue;
                    }
                    (prefix, uri)
                }
            };
            if !namespaces.iter().any(|&(known, _)| known == prefix) && uri != StringId::EMPTY {
                namespaces.push((prefix, uri));
            }
        }
        let all = namespaces.clone();
        namespaces.retain(|binding| !self.lexical.contains(binding));
        let mut attributes = Vec::new();
        for attribute in module.tree.attributes(element) {
            let attribute_name = module.tree.qname(attribute)?;
            if self.names.uri_text(attribute_name) == XSLT {
                self.check_literal_attribute(module, attribute, inherited);
                continue;
            }
            let value = self.value_template(module, element, attribute, inherited.forwards)?;
            let is_prefixed = self.names.uri(self.names.name(attribute_name)) != StringId::EMPTY;
            let attribute_name = if is_prefixed { self.aliased(attribute_name) } else { attribute_name };
            attributes.push((attribute_name, value));
        }
        let attribute_sets = self.used_sets(module, element, true);
        let outer = std::mem::replace(&mut self.lexical, all);
        let body = self.body(module, element, inherited);
        self.lexical = outer;
        Some(Operation::Literal(Box::new(LiteralElement { name, namespaces, attributes, attribute_sets, body })))
    }

    fn check_literal_attribute(&mut self, module: &Rc<Module>, attribute: u32, inherited: &Inherited) {
        let local = module.tree.qname(attribute).map_or(String::new(), |name| self.names.local_text(name).to_owned());
        if !matches!(local.as_str(), "version" | "use-attribute-sets" | "exclude-result-prefixes" | "extension-element-prefixes")
            && !inherited.forwards
        {
            self.warn(
                format!("unknown XSLT attribute {local} on a literal result element: it is ignored"),
                module.place(attribute),
                "version, use-attribute-sets, exclude-result-prefixes and extension-element-prefixes are known",
            );
        }
    }

    /// A name after xsl:namespace-alias.
    fn aliased(&mut self, name: crate::name::QNameId) -> crate::name::QNameId {
        let expanded: NameId = self.names.name(name);
        match self.aliases.get(&self.names.uri(expanded)) {
            Some(&(prefix, uri, _)) => {
                let local = self.names.local(expanded);
                self.names.qualified(prefix, uri, local)
            }
            None => name,
        }
    }
}
