//! Receives what instructions make: collects attributes until a start tag is complete, repairs namespaces (XSLT 1.0, section 7.1), and
//! passes it on to the serialiser, a fragment or a text.

use std::collections::HashMap;
use std::sync::Arc;

use crate::error::{Error, Result};
use crate::name::{NameId, Names, QNameId, StringId};
use crate::serialise::{Serialiser, StartTag};
use crate::tree::Tree;
use crate::tree::build::TreeBuilder;

/// Where the result of instructions goes.
pub(crate) enum Receiver<'w> {
    Document(Box<Serialiser<'w>>),
    /// A result tree fragment; a string for as long as nothing but text came.
    Fragment(Fragment),
    /// The content of an attribute, comment or instruction: what it is, for messages.
    Text(String, &'static str),
}

pub(crate) enum Fragment {
    Text(String),
    Tree(Box<TreeBuilder>),
}

/// What a fragment has become.
pub(crate) enum Finished {
    Text(String),
    Tree(Box<Tree>),
}

#[derive(Default)]
struct Pending {
    name: Option<QNameId>,
    declarations: Vec<(StringId, StringId)>,
    attributes: Vec<(QNameId, usize, usize)>,
    values: String,
    /// Where each attribute stands, once there are too many to search.
    places: HashMap<NameId, usize>,
}

/// So many attributes are searched one by one.
const SEARCHED: usize = 32;

const UNBOUND: StringId = StringId(u32::MAX);
/// How many bindings are looked at for a prefix that can be used again.
const PREFIXES_TRIED: usize = 64;

pub(crate) struct Emitter<'w> {
    receiver: Receiver<'w>,
    pending: Pending,
    /// The namespace name each prefix is bound to now, by the prefix' number; `UNBOUND` for none.
    bound: Vec<StringId>,
    /// Bindings made by open elements, with what was bound before; and how many there were outside each.
    scopes: Vec<(StringId, StringId)>,
    marks: Vec<usize>,
    /// For the budget.
    pub(crate) nodes: u64,
    base: Arc<str>,
    /// Scratch space for declarations.
    decided: Vec<(StringId, StringId)>,
}

impl<'w> Emitter<'w> {
    pub(crate) fn new(receiver: Receiver<'w>, base: Arc<str>) -> Emitter<'w> {
        Emitter {
            receiver,
            pending: Pending::default(),
            bound: Vec::new(),
            scopes: Vec::new(),
            marks: Vec::new(),
            nodes: 0,
            base,
            decided: Vec::new(),
        }
    }

    pub(crate) fn fragment(base: Arc<str>) -> Emitter<'w> {
        Emitter::new(Receiver::Fragment(Fragment::Text(String::new())), base)
    }

    pub(crate) fn text_only(what: &'static str) -> Emitter<'w> {
        Emitter::new(Receiver::Text(String::new(), what), Arc::from(""))
    }

    /// Whether only text is wanted here.
    fn refuse_in_text(&self, made: &str) -> Result<()> {
        match &self.receiver {
            Receiver::Text(_, what) => Err(Error::run(format!("{made} cannot be inside {what}")).expected("text")),
            _ => Ok(()),
        }
    }

    fn tree(&mut self) -> Option<&mut TreeBuilder> {
        let Receiver::Fragment(fragment) = &mut self.receiver else { return None };
        if let Fragment::Text(text) = fragment {
            let mut builder = TreeBuilder::new(self.base.clone());
            builder.text(text);
            *fragment = Fragment::Tree(Box::new(builder));
        }
        match fragment {
            Fragment::Tree(builder) => Some(builder),
            Fragment::Text(_) => None,
        }
    }

    pub(crate) fn start_element(&mut self, names: &mut Names, name: QNameId) -> Result<()> {
        self.flush(names)?;
        self.refuse_in_text("an element")?;
        self.nodes += 1;
        self.pending.name = Some(name);
        Ok(())
    }

    /// Asks for a binding on the element just started. One that is there already, or clashes with what a name needs, is left out.
    pub(crate) fn namespace(&mut self, prefix: StringId, uri: StringId) {
        if self.pending.name.is_some() && prefix != StringId::XML_PREFIX && !self.pending.declarations.contains(&(prefix, uri)) {
            self.pending.declarations.push((prefix, uri));
        }
    }

    /// Whether an attribute or namespace can still be added.
    pub(crate) fn is_open(&self) -> bool {
        self.pending.name.is_some()
    }

    pub(crate) fn attribute(&mut self, names: &Names, name: QNameId, value: &str) -> Result<()> {
        self.refuse_in_text("an attribute")?;
        if self.pending.name.is_none() {
            let error = if self.marks.is_empty() {
                Error::run("an attribute is made where there is no element to carry it")
            } else {
                Error::run("an attribute is made after the element's content")
            };
            return Err(error.found(names.lexical(name)).hint("make attributes first, directly inside their element"));
        }
        self.nodes += 1;
        let start = self.pending.values.len();
        self.pending.values.push_str(value);
        let end = self.pending.values.len();
        let expanded = names.name(name);
        let pending = &mut self.pending;
        let known = if pending.attributes.len() <= SEARCHED {
            pending.attributes.iter().position(|known| names.name(known.0) == expanded)
        } else {
            if pending.places.is_empty() {
                pending.places = pending.attributes.iter().enumerate().map(|(index, known)| (names.name(known.0), index)).collect();
            }
            pending.places.get(&expanded).copied()
        };
        match known {
            // The later one replaces the earlier (section 7.1.3).
            Some(index) => pending.attributes[index] = (name, start, end),
            None => {
                if !pending.places.is_empty() {
                    pending.places.insert(expanded, pending.attributes.len());
                }
                pending.attributes.push((name, start, end));
            }
        }
        Ok(())
    }

    fn lookup(&self, prefix: StringId) -> Option<StringId> {
        if prefix == StringId::XML_PREFIX {
            return Some(StringId::XML_URI);
        }
        match self.bound.get(prefix.0 as usize) {
            Some(&uri) if uri != UNBOUND => Some(uri),
            _ => (prefix == StringId::EMPTY).then_some(StringId::EMPTY),
        }
    }

    fn bind(&mut self, prefix: StringId, uri: StringId) {
        let index = prefix.0 as usize;
        if self.bound.len() <= index {
            self.bound.resize(index + 1, UNBOUND);
        }
        self.scopes.push((prefix, self.bound[index]));
        self.bound[index] = uri;
    }

    /// Decides declarations and prefixes, and passes the start tag on.
    pub(crate) fn flush(&mut self, names: &mut Names) -> Result<()> {
        let Some(name) = self.pending.name.take() else { return Ok(()) };
        let mut pending = std::mem::take(&mut self.pending);
        let mut declared = std::mem::take(&mut self.decided);
        declared.clear();
        self.marks.push(self.scopes.len());
        // The element's own binding comes first.
        let (prefix, uri) = (names.prefix(name), names.uri(names.name(name)));
        let mut fixed = (prefix, uri);
        let mut name = name;
        if uri == StringId::EMPTY && prefix != StringId::EMPTY {
            fixed = (StringId::EMPTY, StringId::EMPTY);
            name = names.qualified_name(StringId::EMPTY, names.name(name));
        }
        if self.lookup(fixed.0) != Some(fixed.1) {
            declared.push(fixed);
        }
        for &(prefix, uri) in &pending.declarations {
            let taken = prefix == fixed.0 || declared.iter().any(|&(known, _)| known == prefix);
            if !taken && self.lookup(prefix) != Some(uri) && (uri != StringId::EMPTY || prefix == StringId::EMPTY) {
                declared.push((prefix, uri));
            }
        }
        for index in 0..pending.attributes.len() {
            let attribute = pending.attributes[index].0;
            let uri = names.uri(names.name(attribute));
            if uri == StringId::EMPTY {
                if names.prefix(attribute) != StringId::EMPTY {
                    pending.attributes[index].0 = names.qualified_name(StringId::EMPTY, names.name(attribute));
                }
                continue;
            }
            let prefix = self.attribute_prefix(names, names.prefix(attribute), uri, fixed, &mut declared, &pending.attributes[..index]);
            if prefix != names.prefix(attribute) {
                pending.attributes[index].0 = names.qualified_name(prefix, names.name(attribute));
            }
        }
        for &(prefix, uri) in &declared {
            self.bind(prefix, uri);
        }
        let tag = StartTag { name, declarations: &declared, attributes: &pending.attributes, values: &pending.values };
        let outcome = match &mut self.receiver {
            Receiver::Document(serialiser) => serialiser.start(names, &tag),
            Receiver::Text(..) => Ok(()),
            Receiver::Fragment(_) => {
                if let Some(builder) = self.tree() {
                    builder.start_element(tag.name, 0, 0);
                    for &(prefix, uri) in tag.declarations {
                        builder.namespace(prefix, uri);
                    }
                    for &(attribute, start, end) in tag.attributes {
                        builder.attribute(attribute, &tag.values[start..end], 0, 0);
                    }
                }
                Ok(())
            }
        };
        // The buffers are used again for the next element.
        pending.declarations.clear();
        pending.attributes.clear();
        pending.places.clear();
        pending.values.clear();
        self.pending = pending;
        self.decided = declared;
        outcome
    }

    /// A prefix for an attribute that is, or can be, bound to its namespace here.
    fn attribute_prefix(
        &self,
        names: &mut Names,
        wished: StringId,
        uri: StringId,
        element: (StringId, StringId),
        declared: &mut Vec<(StringId, StringId)>,
        others: &[(QNameId, usize, usize)],
    ) -> StringId {
        if uri == StringId::XML_URI {
            return StringId::XML_PREFIX;
        }
        let bound = |prefix: StringId, declared: &[(StringId, StringId)]| {
            declared.iter().find(|&&(known, _)| known == prefix).map(|&(_, uri)| uri).or_else(|| self.lookup(prefix))
        };
        if wished != StringId::EMPTY && wished != StringId::XML_PREFIX {
            if bound(wished, declared) == Some(uri) {
                return wished;
            }
            let used = element.0 == wished
                || declared.iter().any(|&(known, _)| known == wished)
                || others.iter().any(|&(other, _, _)| names.prefix(other) == wished && names.uri(names.name(other)) != uri);
            if !used {
                declared.push((wished, uri));
                return wished;
            }
        }
        let known = declared
            .iter()
            .chain(self.scopes.iter().rev().take(PREFIXES_TRIED))
            .map(|&(prefix, _)| prefix)
            .filter(|&prefix| prefix != StringId::EMPTY);
        if let Some(prefix) = known.into_iter().find(|&prefix| bound(prefix, declared) == Some(uri)) {
            return prefix;
        }
        let mut number = 0;
        loop {
            let candidate = names.string(&format!("ns{number}"));
            if bound(candidate, declared).is_none() {
                declared.push((candidate, uri));
                return candidate;
            }
            number += 1;
        }
    }

    pub(crate) fn end_element(&mut self, names: &mut Names) -> Result<()> {
        self.flush(names)?;
        if let Some(mark) = self.marks.pop() {
            while self.scopes.len() > mark {
                if let Some((prefix, uri)) = self.scopes.pop() {
                    self.bound[prefix.0 as usize] = uri;
                }
            }
        }
        match &mut self.receiver {
            Receiver::Document(serialiser) => serialiser.end(names),
            Receiver::Fragment(Fragment::Tree(builder)) => {
                builder.end_element();
                Ok(())
            }
            Receiver::Fragment(Fragment::Text(_)) | Receiver::Text(..) => Ok(()),
        }
    }

    pub(crate) fn text(&mut self, names: &mut Names, text: &str, raw: bool) -> Result<()> {
        if text.is_empty() {
            return Ok(());
        }
        self.flush(names)?;
        match &mut self.receiver {
            Receiver::Document(serialiser) => serialiser.text(text, raw),
            Receiver::Fragment(Fragment::Text(known)) if !raw => {
                known.push_str(text);
                Ok(())
            }
            Receiver::Fragment(_) => {
                self.nodes += 1;
                if let Some(builder) = self.tree() {
                    if raw { builder.raw_text(text) } else { builder.text(text) }
                }
                Ok(())
            }
            Receiver::Text(known, _) => {
                known.push_str(text);
                Ok(())
            }
        }
    }

    pub(crate) fn comment(&mut self, names: &mut Names, text: &str) -> Result<()> {
        self.flush(names)?;
        self.refuse_in_text("a comment")?;
        self.nodes += 1;
        // `--` cannot be written; a space between is the recovery (section 7.4).
        let mut safe = text.replace("--", "- -");
        while safe.contains("--") {
            safe = safe.replace("--", "- -");
        }
        if safe.ends_with('-') {
            safe.push(' ');
        }
        if let Receiver::Document(serialiser) = &mut self.receiver {
            return serialiser.comment(&safe);
        }
        if let Some(builder) = self.tree() {
            builder.comment(&safe);
        }
        Ok(())
    }

    pub(crate) fn instruction(&mut self, names: &mut Names, target: &str, data: &str) -> Result<()> {
        self.flush(names)?;
        self.refuse_in_text("a processing instruction")?;
        self.nodes += 1;
        let safe = data.replace("?>", "? >");
        if let Receiver::Document(serialiser) = &mut self.receiver {
            return serialiser.instruction(target, &safe);
        }
        let local = names.string(target);
        let name = names.qualified(StringId::EMPTY, StringId::EMPTY, local);
        if let Some(builder) = self.tree() {
            builder.instruction(name, &safe);
        }
        Ok(())
    }

    /// Whether this is the principal result.
    pub(crate) fn is_document(&self) -> bool {
        matches!(self.receiver, Receiver::Document(_))
    }

    /// Bytes that were written or are held.
    pub(crate) fn bytes(&self) -> u64 {
        match &self.receiver {
            Receiver::Document(serialiser) => serialiser.written(),
            Receiver::Fragment(Fragment::Text(text)) | Receiver::Text(text, _) => text.len() as u64,
            Receiver::Fragment(Fragment::Tree(builder)) => builder.bytes() as u64,
        }
    }

    /// Ends a fragment.
    pub(crate) fn finish_fragment(mut self, names: &mut Names) -> Result<Finished> {
        self.flush(names)?;
        Ok(match self.receiver {
            Receiver::Fragment(Fragment::Tree(builder)) => Finished::Tree(Box::new(builder.finish())),
            Receiver::Fragment(Fragment::Text(text)) | Receiver::Text(text, _) => Finished::Text(text),
            Receiver::Document(_) => Finished::Text(String::new()),
        })
    }

    /// Ends the document; gives the bytes written.
    pub(crate) fn finish_document(mut self, names: &mut Names) -> Result<u64> {
        self.flush(names)?;
        match self.receiver {
            Receiver::Document(serialiser) => serialiser.finish(),
            _ => Ok(0),
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::testing::transform;

    fn made(body: &str) -> String {
        transform(&format!(r#"<xsl:template match="/">{body}</xsl:template>"#), r#"<d xmlns:s="urn:s" s:a="1"><s:e/></d>"#).expect("good")
    }

    #[test]
    fn of_many_attributes_the_last_of_a_name_counts() {
        let many: String = (0..200).map(|index| format!(r#"<xsl:attribute name="a{}">{index}</xsl:attribute>"#, index % 100)).collect();
        let text = made(&format!("<a>{many}</a>"));
        assert!(text.contains(r#" a0="100" "#) && text.contains(r#" a99="199""#), "{text}");
        assert_eq!(text.matches('=').count(), 100);
    }

    #[test]
    fn names_get_the_declarations_they_need_and_no_others() {
        for (body, text) in [
            ("<p:a><p:b/></p:a>", r#"<p:a xmlns:p="urn:p"><p:b /></p:a>"#),
            (r#"<a xmlns="urn:x"><b xmlns=""/></a>"#, r#"<a xmlns="urn:x"><b xmlns="" /></a>"#),
            (
                r#"<xsl:element name="z:a" namespace="urn:z"><xsl:element name="z:b" namespace="urn:y"/></xsl:element>"#,
                r#"<z:a xmlns:z="urn:z"><z:b xmlns:z="urn:y" /></z:a>"#,
            ),
            (r#"<a><xsl:attribute name="z:b" namespace="urn:z">1</xsl:attribute></a>"#, r#"<a xmlns:z="urn:z" z:b="1" />"#),
            (r#"<a><xsl:attribute name="b" namespace="urn:z">1</xsl:attribute></a>"#, r#"<a xmlns:ns0="urn:z" ns0:b="1" />"#),
            (
                r#"<p:a><xsl:attribute name="p:b" namespace="urn:z">1</xsl:attribute></p:a>"#,
                r#"<p:a xmlns:p="urn:p" xmlns:ns0="urn:z" ns0:b="1" />"#,
            ),
            (r#"<p:a><xsl:attribute name="b" namespace="urn:p">1</xsl:attribute></p:a>"#, r#"<p:a xmlns:p="urn:p" p:b="1" />"#),
            (r#"<a><xsl:copy-of select="//@*"/></a>"#, r#"<a xmlns:s="urn:s" s:a="1" />"#),
            (r#"<a><xsl:for-each select="/*/*"><xsl:copy/></xsl:for-each></a>"#, r#"<a><s:e xmlns:s="urn:s" /></a>"#),
            (r#"<a><xsl:copy-of select="/*/namespace::s"/></a>"#, r#"<a xmlns:s="urn:s" />"#),
            (r#"<a b="1"><xsl:attribute name="b">2</xsl:attribute></a>"#, r#"<a b="2" />"#),
            (r#"<a xml:lang="en"/>"#, r#"<a xml:lang="en" />"#),
        ] {
            assert_eq!(made(body), text, "{body}");
        }
    }
}
