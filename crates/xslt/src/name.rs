//! Names, interned: a string, an expanded name and a qualified name are a `u32` each, so that a name test is one comparison.
//!
//! A stylesheet is compiled into a table of its own; a run starts from a copy of that table and adds the names of its documents, so
//! the numbers in the compiled stylesheet stay valid and the stylesheet itself can be shared between threads.

use std::collections::HashMap;
use std::sync::Arc;

/// An interned string: a prefix, a namespace name or a local part.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub(crate) struct StringId(pub(crate) u32);

/// An expanded name: namespace name and local part (XPath 1.0, section 5).
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub(crate) struct NameId(pub(crate) u32);

/// A qualified name: prefix and expanded name, as a node was written.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub(crate) struct QNameId(pub(crate) u32);

impl StringId {
    /// The empty string: no prefix, no namespace.
    pub(crate) const EMPTY: StringId = StringId(0);
    /// The prefix `xml`.
    pub(crate) const XML_PREFIX: StringId = StringId(1);
    /// The namespace name that `xml` is bound to.
    pub(crate) const XML_URI: StringId = StringId(2);
}

/// The namespace name of the prefix `xml`.
pub(crate) const XML_NAMESPACE: &str = "http://www.w3.org/XML/1998/namespace";
/// The namespace name of namespace declarations; never the name of a node.
pub(crate) const XMLNS_NAMESPACE: &str = "http://www.w3.org/2000/xmlns/";

/// The table of names.
#[derive(Clone, Debug)]
pub(crate) struct Names {
    strings: Vec<Arc<str>>,
    string_index: HashMap<Arc<str>, StringId>,
    expanded: Vec<(StringId, StringId)>,
    expanded_index: HashMap<(StringId, StringId), NameId>,
    qualified: Vec<(StringId, NameId)>,
    qualified_index: HashMap<(StringId, NameId), QNameId>,
}

impl Names {
    pub(crate) fn new() -> Names {
        let mut names = Names {
            strings: Vec::new(),
            string_index: HashMap::new(),
            expanded: Vec::new(),
            expanded_index: HashMap::new(),
            qualified: Vec::new(),
            qualified_index: HashMap::new(),
        };
        for text in ["", "xml", XML_NAMESPACE] {
            names.string(text);
        }
        names
    }

    pub(crate) fn string(&mut self, text: &str) -> StringId {
        if let Some(&id) = self.string_index.get(text) {
            return id;
        }
        let id = StringId(self.strings.len() as u32);
        let shared: Arc<str> = Arc::from(text);
        self.strings.push(shared.clone());
        self.string_index.insert(shared, id);
        id
    }

    /// The number of a string that is already known.
    pub(crate) fn find_string(&self, text: &str) -> Option<StringId> {
        self.string_index.get(text).copied()
    }

    pub(crate) fn expanded(&mut self, uri: StringId, local: StringId) -> NameId {
        let expanded = &mut self.expanded;
        *self.expanded_index.entry((uri, local)).or_insert_with(|| {
            expanded.push((uri, local));
            NameId(expanded.len() as u32 - 1)
        })
    }

    pub(crate) fn expanded_text(&mut self, uri: &str, local: &str) -> NameId {
        let (uri, local) = (self.string(uri), self.string(local));
        self.expanded(uri, local)
    }

    pub(crate) fn qualified(&mut self, prefix: StringId, uri: StringId, local: StringId) -> QNameId {
        let name = self.expanded(uri, local);
        self.qualified_name(prefix, name)
    }

    pub(crate) fn qualified_name(&mut self, prefix: StringId, name: NameId) -> QNameId {
        let qualified = &mut self.qualified;
        *self.qualified_index.entry((prefix, name)).or_insert_with(|| {
            qualified.push((prefix, name));
            QNameId(qualified.len() as u32 - 1)
        })
    }

    pub(crate) fn text(&self, id: StringId) -> &str {
        &self.strings[id.0 as usize]
    }

    pub(crate) fn name(&self, id: QNameId) -> NameId {
        self.qualified[id.0 as usize].1
    }

    pub(crate) fn prefix(&self, id: QNameId) -> StringId {
        self.qualified[id.0 as usize].0
    }

    pub(crate) fn uri(&self, id: NameId) -> StringId {
        self.expanded[id.0 as usize].0
    }

    pub(crate) fn local(&self, id: NameId) -> StringId {
        self.expanded[id.0 as usize].1
    }

    pub(crate) fn uri_text(&self, id: QNameId) -> &str {
        self.text(self.uri(self.name(id)))
    }

    pub(crate) fn local_text(&self, id: QNameId) -> &str {
        self.text(self.local(self.name(id)))
    }

    /// The name as it was written: `prefix:local`.
    pub(crate) fn lexical(&self, id: QNameId) -> String {
        let prefix = self.text(self.prefix(id));
        let local = self.local_text(id);
        if prefix.is_empty() { local.to_owned() } else { format!("{prefix}:{local}") }
    }

    /// An expanded name for a person: `{uri}local`.
    pub(crate) fn readable(&self, id: NameId) -> String {
        let (uri, local) = (self.text(self.uri(id)), self.text(self.local(id)));
        if uri.is_empty() { local.to_owned() } else { format!("{{{uri}}}{local}") }
    }
}

/// Whether a character may start a name (XML 1.0, fifth edition, production 4, without the colon).
pub(crate) fn is_name_start(c: char) -> bool {
    matches!(c, 'a'..='z' | 'A'..='Z' | '_')
        || (c as u32 >= 0xC0
            && matches!(c, '\u{C0}'..='\u{D6}' | '\u{D8}'..='\u{F6}' | '\u{F8}'..='\u{2FF}' | '\u{370}'..='\u{37D}' | '\u{37F}'..='\u{1FFF}'
                | '\u{200C}'..='\u{200D}' | '\u{2070}'..='\u{218F}' | '\u{2C00}'..='\u{2FEF}' | '\u{3001}'..='\u{D7FF}' | '\u{F900}'..='\u{FDCF}'
                | '\u{FDF0}'..='\u{FFFD}' | '\u{10000}'..='\u{EFFFF}'))
}

/// Whether a character may continue a name (production 4a, without the colon).
pub(crate) fn is_name_character(c: char) -> bool {
    is_name_start(c)
        || matches!(c, '0'..='9' | '-' | '.' | '\u{B7}')
        || (c as u32 >= 0x300 && matches!(c, '\u{300}'..='\u{36F}' | '\u{203F}'..='\u{2040}'))
}

/// Whether the text is a name without a colon (Namespaces in XML, production 4).
pub(crate) fn is_ncname(text: &str) -> bool {
    let mut characters = text.chars();
    characters.next().is_some_and(is_name_start) && characters.all(is_name_character)
}

/// Splits `prefix:local`; `None` when it is no qualified name.
pub(crate) fn split_qname(text: &str) -> Option<(&str, &str)> {
    match text.split_once(':') {
        Some((prefix, local)) => (is_ncname(prefix) && is_ncname(local)).then_some((prefix, local)),
        None => is_ncname(text).then_some(("", text)),
    }
}

/// White space of XML: space, tab, line feed, carriage return.
pub(crate) fn is_space(c: char) -> bool {
    matches!(c, ' ' | '\t' | '\n' | '\r')
}

/// Whether there is nothing but white space.
pub(crate) fn is_blank(text: &str) -> bool {
    text.bytes().all(|byte| matches!(byte, b' ' | b'\t' | b'\n' | b'\r'))
}

/// Without white space at both ends.
pub(crate) fn trim(text: &str) -> &str {
    text.trim_matches(is_space)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_name_has_the_same_number_whatever_its_prefix() {
        let mut names = Names::new();
        let (a, b, uri, local) = (names.string("a"), names.string("b"), names.string("urn:x"), names.string("item"));
        let (first, second) = (names.qualified(a, uri, local), names.qualified(b, uri, local));
        assert_ne!(first, second);
        assert_eq!(names.name(first), names.name(second));
        assert_eq!(names.lexical(first), "a:item");
        assert_eq!(names.readable(names.name(first)), "{urn:x}item");
    }

    #[test]
    fn names_are_told_from_other_text() {
        for good in ["a", "_x", "élan", "a-b.c", "名前"] {
            assert!(is_ncname(good), "{good}");
        }
        for bad in ["", "1a", "-a", "a b", "a:b", "+", "."] {
            assert!(!is_ncname(bad), "{bad}");
        }
        assert_eq!(split_qname("a:b"), Some(("a", "b")));
        for bad in [":b", "a:", "a:b:c", "a:1"] {
            assert_eq!(split_qname(bad), None, "{bad}");
        }
    }
}
