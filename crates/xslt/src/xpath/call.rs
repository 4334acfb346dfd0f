//! What the functions of XPath (section 4) and XSLT (section 12) do.

use std::rc::Rc;

use super::expression::{Call, Expression, Namespaces};
use super::function::Function;
use super::number;
use super::value::{Value, normalize_space, substring, translate};
use crate::error::{Error, Result};
use crate::name::{NameId, StringId, split_qname, trim};
use crate::run::{Context, Run};
use crate::tree::node::Node;

impl Run<'_> {
    pub(crate) fn call(&mut self, call: &Call, context: &Context) -> Result<Value> {
        self.charge(1)?;
        let arguments = &call.arguments[..];
        let first = arguments.first();
        Ok(match call.function {
            Function::Last => Value::Number(context.size as f64),
            Function::Position => Value::Number(context.position as f64),
            Function::Count => Value::Number(self.nodes(&arguments[0], context)?.len() as f64),
            Function::Id => {
                let mut found = Vec::new();
                match self.evaluate(&arguments[0], context)? {
                    Value::Nodes(nodes) => {
                        for &node in nodes.iter() {
                            let text = self.node_text(node).to_owned();
                            found.extend(self.by_ids(context.node, &text));
                        }
                    }
                    other => {
                        let text = self.to_text(&other);
                        found = self.by_ids(context.node, &text);
                    }
                }
                super::evaluate::in_order(&mut found);
                Value::nodes(found)
            }
            Function::LocalName => self.name_part(first, context, |run, node| run.local_name(node))?,
            Function::NamespaceUri => self.name_part(first, context, |run, node| run.namespace_name(node))?,
            Function::Name => self.name_part(first, context, |run, node| run.lexical_name(node))?,
            Function::String => Value::from(self.text_or_context(first, context)?),
            Function::Concat => {
                let mut result = String::new();
                for argument in arguments {
                    result.push_str(&self.text(argument, context)?);
                }
                Value::from(result)
            }
            Function::StartsWith => {
                let text = self.text(&arguments[0], context)?;
                Value::Boolean(text.starts_with(&*self.text(&arguments[1], context)?))
            }
            Function::Contains => {
                let text = self.text(&arguments[0], context)?;
                Value::Boolean(text.contains(&*self.text(&arguments[1], context)?))
            }
            Function::SubstringBefore => {
                let text = self.text(&arguments[0], context)?;
                let mark = self.text(&arguments[1], context)?;
                Value::text(text.find(&*mark).map_or("", |at| &text[..at]))
            }
            Function::SubstringAfter => {
                let text = self.text(&arguments[0], context)?;
                let mark = self.text(&arguments[1], context)?;
                Value::text(text.find(&*mark).map_or("", |at| &text[at + mark.len()..]))
            }
            Function::Substring => {
                let text = self.text(&arguments[0], context)?;
                let start = self.number(&arguments[1], context)?;
                let length = arguments.get(2).map(|length| self.number(length, context)).transpose()?;
                Value::text(substring(&text, start, length))
            }
            Function::StringLength => Value::Number(self.text_or_context(first, context)?.chars().count() as f64),
            Function::NormalizeSpace => Value::from(normalize_space(&self.text_or_context(first, context)?)),
            Function::Translate => {
                let text = self.text(&arguments[0], context)?;
                let from = self.text(&arguments[1], context)?;
                let to = self.text(&arguments[2], context)?;
                Value::from(translate(&text, &from, &to))
            }
            Function::Boolean => Value::Boolean(self.boolean(&arguments[0], context)?),
            Function::Not => Value::Boolean(!self.boolean(&arguments[0], context)?),
            Function::True => Value::Boolean(true),
            Function::False => Value::Boolean(false),
            Function::Lang => {
                let wanted = self.text(&arguments[0], context)?;
                Value::Boolean(self.is_language(context.node, &wanted))
            }
            Function::Number => match first {
                Some(argument) => Value::Number(self.number(argument, context)?),
                None => Value::Number(number::parse(self.node_text(context.node))),
            },
            Function::Sum => {
                let nodes = self.nodes(&arguments[0], context)?;
                Value::Number(nodes.iter().map(|&node| number::parse(self.node_text(node))).fold(0.0, |sum, value| sum + value))
            }
            Function::Floor => Value::Number(self.number(&arguments[0], context)?.floor()),
            Function::Ceiling => Value::Number(self.number(&arguments[0], context)?.ceil()),
            Function::Round => Value::Number(number::round(self.number(&arguments[0], context)?)),
            Function::Document => {
                let reference = self.evaluate(&arguments[0], context)?;
                let relative_to = arguments.get(1).map(|argument| self.nodes(argument, context)).transpose()?;
                self.document_function(reference, relative_to, call.base.as_deref().unwrap_or_default())?
            }
            Function::Key => self.key_function(call, context)?,
            Function::FormatNumber => self.format_number_function(call, context)?,
            Function::Current => Value::nodes(vec![context.current]),
            Function::UnparsedEntityUri => {
                let name = self.text(&arguments[0], context)?;
                Value::text(self.tree_ref(context.node).unparsed_entity(&name).unwrap_or_default())
            }
            Function::GenerateId => {
                let node = match first {
                    Some(argument) => self.nodes(argument, context)?.first().copied(),
                    None => Some(context.node),
                };
                Value::from(node.map_or(String::new(), identifier))
            }
            Function::SystemProperty => self.system_property(call, context)?,
            Function::ElementAvailable => {
                let name = self.text(&arguments[0], context)?;
                let (uri, local) = self.resolve(&name, call.namespaces.as_ref(), true)?;
                Value::Boolean(uri == crate::compile::XSLT && crate::compile::is_instruction(&local))
            }
            Function::FunctionAvailable => {
                let name = self.text(&arguments[0], context)?;
                let (uri, local) = self.resolve(&name, call.namespaces.as_ref(), false)?;
                Value::Boolean(Function::find(&uri, &local).is_some())
            }
            extension => self.extension(extension, call, context)?,
        })
    }

    /// The first argument as text, or the context node's.
    pub(crate) fn text_or_context(&mut self, argument: Option<&Expression>, context: &Context) -> Result<String> {
        match argument {
            Some(argument) => Ok(self.text(argument, context)?.into_owned()),
            None => Ok(self.node_text(context.node).to_owned()),
        }
    }

    fn name_part(&mut self, argument: Option<&Expression>, context: &Context, part: impl Fn(&Self, Node) -> String) -> Result<Value> {
        let node = match argument {
            Some(Expression::Path(path)) => self.first(path, context)?,
            Some(argument) => self.nodes(argument, context)?.first().copied(),
            None => Some(context.node),
        };
        Ok(Value::from(node.map_or(String::new(), |node| part(self, node))))
    }

    pub(crate) fn local_name(&self, node: Node) -> String {
        let tree = self.tree_ref(node);
        if node.is_namespace() {
            let prefix = tree.namespace_nodes(node.id()).get(node.rank() as usize - 1).map(|&(prefix, _)| prefix);
            return prefix.map_or(String::new(), |prefix| self.names.text(prefix).to_owned());
        }
        tree.qname(node.id()).map_or(String::new(), |name| self.names.local_text(name).to_owned())
    }

    pub(crate) fn namespace_name(&self, node: Node) -> String {
        if node.is_namespace() {
            return String::new();
        }
        self.tree_ref(node).qname(node.id()).map_or(String::new(), |name| self.names.uri_text(name).to_owned())
    }

    fn lexical_name(&self, node: Node) -> String {
        if node.is_namespace() {
            return self.local_name(node);
        }
        self.tree_ref(node).qname(node.id()).map_or(String::new(), |name| self.names.lexical(name))
    }

    /// Whether `xml:lang` in force is a language or a variety of it (XPath 1.0, section 4.3).
    fn is_language(&self, node: Node, wanted: &str) -> bool {
        let tree = self.tree_ref(node);
        let mut id = node.id();
        loop {
            for attribute in tree.attributes(id) {
                if let Some(name) = tree.qname(attribute)
                    && self.names.uri(self.names.name(name)) == StringId::XML_URI
                    && self.names.local_text(name) == "lang"
                {
                    let (given, wanted) = (tree.value(attribute).to_lowercase(), wanted.to_lowercase());
                    return given == wanted || given.strip_prefix(&wanted).is_some_and(|rest| rest.starts_with('-'));
                }
            }
            if id == 0 {
                return false;
            }
            id = tree.parent(id);
        }
    }

    /// A name given as text: namespace name and local part. Without a prefix, `default` says whether the default namespace counts.
    pub(crate) fn resolve(&self, name: &str, namespaces: Option<&Namespaces>, default: bool) -> Result<(String, String)> {
        let name = trim(name);
        let Some((prefix, local)) = split_qname(name) else {
            return Err(Error::run("this is no name").found(name).expected("a qualified name"));
        };
        if prefix.is_empty() && !default {
            return Ok((String::new(), local.to_owned()));
        }
        if prefix == "xml" {
            return Ok((crate::name::XML_NAMESPACE.to_owned(), local.to_owned()));
        }
        let uri = namespaces
            .and_then(|list| list.iter().find(|&&(known, _)| self.names.text(known) == prefix))
            .map(|&(_, uri)| self.names.text(uri).to_owned());
        match uri {
            Some(uri) => Ok((uri, local.to_owned())),
            None if prefix.is_empty() => Ok((String::new(), local.to_owned())),
            None => Err(Error::run("a prefix that is not declared").found(name)),
        }
    }

    fn resolve_name(&mut self, name: &str, namespaces: Option<&Namespaces>) -> Result<NameId> {
        let (uri, local) = self.resolve(name, namespaces, false)?;
        Ok(self.names.expanded_text(&uri, &local))
    }

    fn key_function(&mut self, call: &Call, context: &Context) -> Result<Value> {
        let name = self.text(&call.arguments[0], context)?;
        let name = self.resolve_name(&name, call.namespaces.as_ref())?;
        let tree = context.node.tree();
        match self.evaluate(&call.arguments[1], context)? {
            Value::Nodes(nodes) => {
                let mut found: Vec<Node> = Vec::new();
                for &node in nodes.iter() {
                    let value = self.node_text(node).to_owned();
                    let part = self.key_lookup(name, tree, &value)?;
                    if nodes.len() == 1 {
                        return Ok(Value::Nodes(part));
                    }
                    found.extend(part.iter());
                }
                if nodes.is_empty() {
                    // An undeclared key is an error all the same.
                    self.key_lookup(name, tree, "")?;
                }
                super::evaluate::in_order(&mut found);
                Ok(Value::nodes(found))
            }
            other => {
                let value = self.to_text(&other);
                Ok(Value::Nodes(self.key_lookup(name, tree, &value)?))
            }
        }
    }

    fn format_number_function(&mut self, call: &Call, context: &Context) -> Result<Value> {
        let value = self.number(&call.arguments[0], context)?;
        let picture = self.text(&call.arguments[1], context)?;
        let name = match call.arguments.get(2) {
            Some(argument) => {
                let name = self.text(argument, context)?;
                Some(self.resolve_name(&name, call.namespaces.as_ref())?)
            }
            None => None,
        };
        let sheet = self.sheet;
        let default = crate::number_format::Symbols::default();
        let symbols = match (sheet.decimal_formats.get(&name), name) {
            (Some(symbols), _) => symbols,
            (None, None) => &default,
            (None, Some(name)) => {
                return Err(Error::run("a decimal format that is not declared")
                    .found(self.names.readable(name))
                    .expected("the name of an xsl:decimal-format"));
            }
        };
        Ok(Value::from(crate::number_format::format(value, &picture, symbols)?))
    }

    fn system_property(&mut self, call: &Call, context: &Context) -> Result<Value> {
        let name = self.text(&call.arguments[0], context)?;
        let (uri, local) = self.resolve(&name, call.namespaces.as_ref(), false)?;
        Ok(match (uri.as_str(), local.as_str()) {
            (crate::compile::XSLT, "version") => Value::Number(1.0),
            (crate::compile::XSLT, "vendor") => Value::text("Entrepot"),
            (crate::compile::XSLT, "vendor-url") => Value::text("https://crates.io/crates/entrepot-xslt"),
            // Stylesheets of Dynamics ask for it to find out which engine runs them.
            (super::function::MICROSOFT, "version") => Value::text("4.0"),
            _ => Value::text(""),
        })
    }
}

impl From<String> for Value {
    fn from(text: String) -> Value {
        Value::Text(Rc::from(text))
    }
}

/// A name for a node: the same node always has the same, another another (XSLT 1.0, section 12.4).
pub(crate) fn identifier(node: Node) -> String {
    let mut text = format!("id{}n{}", node.tree(), node.id());
    if node.is_namespace() {
        text.push_str(&format!("s{}", node.rank()));
    }
    text
}
