//! What is looked up: keys, IDs, other documents.

use std::collections::HashMap;
use std::rc::Rc;

use super::{Context, Run};
use crate::error::{Error, ErrorKind, Result};
use crate::name::NameId;
use crate::tree::Kind;
use crate::tree::node::Node;
use crate::xpath::value::Value;

/// The nodes of one document by the values of a key, each list in document order.
pub(crate) type KeyIndex = HashMap<Box<str>, Rc<Vec<Node>>>;

impl<'a> Run<'a> {
    /// The nodes of a tree whose key has this value (XSLT 1.0, section 12.2).
    pub(crate) fn key_lookup(&mut self, name: NameId, tree: u32, value: &str) -> Result<Rc<Vec<Node>>> {
        if !self.keys.contains_key(&(tree, name)) {
            self.build_key(name, tree)?;
        }
        Ok(self.keys.get(&(tree, name)).and_then(|index| index.get(value)).cloned().unwrap_or_default())
    }

    fn build_key(&mut self, name: NameId, tree: u32) -> Result<()> {
        let sheet = self.sheet;
        if self.keys_building.contains(&(tree, name)) {
            return Err(Error::run("a key is defined by itself").found(self.names.readable(name)));
        }
        if !sheet.keys.iter().any(|key| key.name == name) {
            return Err(Error::run("a key that is not declared").found(self.names.readable(name)).expected("the name of an xsl:key"));
        }
        self.keys_building.push((tree, name));
        let mut index: HashMap<Box<str>, Vec<Node>> = HashMap::new();
        let root = Node::new(tree, 0);
        let shared = self.tree(root);
        for key in sheet.keys.iter().filter(|key| key.name == name) {
            let subjects: Vec<_> = key.pattern.iter().map(|pattern| pattern.subject()).collect();
            for id in 0..shared.len() {
                let kind = shared.kind(id);
                let node_name = shared.qname(id).map(|qname| self.names.name(qname));
                let possible = subjects.iter().any(|(kinds, wanted)| kinds.contains(&kind) && (wanted.is_none() || *wanted == node_name));
                self.charge(1)?;
                let node = root.with(id);
                if !possible || !self.matches_any(&key.pattern, node)? {
                    continue;
                }
                let context = Context::of(node);
                let mut add = |text: &str| {
                    let list = match index.get_mut(text) {
                        Some(list) => list,
                        None => index.entry(text.into()).or_default(),
                    };
                    if list.last() != Some(&node) {
                        list.push(node);
                    }
                };
                match self.evaluate(&key.value, &context).map_err(|error| error.at(key.place.clone()))? {
                    Value::Nodes(nodes) => nodes.iter().for_each(|&value| add(self.node_text(value))),
                    other => add(&self.to_text(&other)),
                }
            }
        }
        self.keys_building.pop();
        let index = index
            .into_iter()
            .map(|(value, mut nodes)| {
                // Several declarations of one name each go through the document.
                nodes.sort_unstable();
                nodes.dedup();
                (value, Rc::new(nodes))
            })
            .collect();
        self.keys.insert((tree, name), Rc::new(index));
        Ok(())
    }

    /// The elements whose IDs are the words of a text (XPath 1.0, section 4.1).
    pub(crate) fn by_ids(&self, node: Node, values: &str) -> Vec<Node> {
        let tree = self.tree_ref(node);
        let mut found: Vec<Node> = values
            .split([' ', '\t', '\n', '\r'])
            .filter(|value| !value.is_empty())
            .filter_map(|value| tree.by_id(value))
            .map(|id| node.with(id))
            .collect();
        found.sort_unstable();
        found.dedup();
        found
    }

    /// The root of another document (XSLT 1.0, section 12.1).
    pub(crate) fn load(&mut self, reference: &str, base: &str) -> Result<Node> {
        let uri = crate::uri::join(base, reference);
        let (address, fragment) = uri.split_once('#').map_or((uri.as_str(), None), |(address, fragment)| (address, Some(fragment)));
        if fragment.is_some_and(|fragment| !fragment.is_empty()) {
            return Err(Error::new(ErrorKind::Resource, "fragment identifiers of documents are not supported").found(reference));
        }
        if let Some(&root) = self.documents.get(address) {
            return Ok(root);
        }
        let sheet = self.sheet;
        let (bytes, address) = match sheet.modules.get(address) {
            Some(bytes) => (bytes.clone(), address.to_owned()),
            None => {
                let resource = self
                    .hooks
                    .resolver
                    .resolve(address, crate::ResourceKind::Document)
                    .map_err(|reason| Error::new(ErrorKind::Resource, "a document cannot be had").found(reference).hint(reason))?;
                (resource.content.into(), resource.uri)
            }
        };
        let shared: std::sync::Arc<str> = address.as_str().into();
        let strip = |names: &crate::name::Names, name: NameId| sheet.strips(names, name);
        let strip: crate::parse::Strip = if sheet.strips_any { Some(&strip) } else { None };
        let tree =
            crate::parse::parse(Box::new(&bytes[..]), shared, &mut self.names, self.parse_limits, self.hooks.resolver, strip, false)?;
        let root = self.add_tree(tree)?;
        self.documents.insert(address, root);
        self.documents.insert(uri.clone(), root);
        Ok(root)
    }

    /// `document()`.
    pub(crate) fn document_function(&mut self, first: Value, relative_to: Option<Vec<Node>>, sheet_base: &str) -> Result<Value> {
        let given = match &relative_to {
            Some(nodes) => match nodes.first() {
                Some(&node) => Some(self.base_of(node)),
                // An empty second argument gives no base; .NET takes the reference as it is.
                None => Some("".into()),
            },
            None => None,
        };
        let mut found = Vec::new();
        match first {
            Value::Nodes(nodes) => {
                for &node in nodes.iter() {
                    let base = given.clone().unwrap_or_else(|| self.base_of(node));
                    let reference = self.node_text(node).to_owned();
                    found.push(self.load(&reference, &base)?);
                }
            }
            other => {
                let reference = self.to_text(&other);
                let base = given.unwrap_or_else(|| sheet_base.into());
                found.push(self.load(&reference, &base)?);
            }
        }
        crate::xpath::evaluate::in_order(&mut found);
        Ok(Value::nodes(found))
    }

    /// Whether a node has the kind that the numbering and key code asks for.
    pub(crate) fn kind_of(&self, node: Node) -> Kind {
        if node.is_namespace() { Kind::Namespace } else { self.tree_ref(node).kind(node.id()) }
    }
}
