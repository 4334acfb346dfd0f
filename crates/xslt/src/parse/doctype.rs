//! The document type declaration: entities, default attributes, IDs. What is outside the document comes from the caller's resolver, or not at all.

use std::collections::HashMap;
use std::sync::Arc;

use crate::error::{Error, ErrorKind, Result};
use crate::name::{is_name_character, is_name_start, is_space, trim};

/// A general entity.
#[derive(Clone, Debug)]
pub(crate) enum Entity {
    /// The replacement text.
    Internal(Arc<str>),
    /// Parsed, but elsewhere: never read.
    External(String),
    /// Not XML: its system identifier.
    Unparsed(String),
}

/// The type of an attribute, as far as it matters.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum AttributeType {
    Text,
    Id,
    /// White space is collapsed.
    Tokens,
}

/// A declared attribute.
#[derive(Clone, Debug)]
pub(crate) struct Declared {
    pub(crate) name: String,
    pub(crate) kind: AttributeType,
    pub(crate) default: Option<String>,
}

/// What the declarations said.
#[derive(Debug, Default)]
pub(crate) struct Doctype {
    pub(crate) entities: HashMap<String, Entity>,
    parameters: HashMap<String, Arc<str>>,
    pub(crate) attributes: HashMap<String, Vec<Declared>>,
    /// Something external was not to be had: what looks undeclared may be declared there.
    pub(crate) incomplete: bool,
    /// Entities count against this.
    pub(crate) spent: usize,
}

/// How deep entities may contain entities.
pub(crate) const ENTITY_DEPTH_MAX: usize = 40;

fn fault(message: &str) -> Error {
    Error::new(ErrorKind::Document, message)
}

/// The end of the declaration that starts at the text's beginning: after its `>`. `None` when it is not complete.
pub(crate) fn end(text: &str) -> Option<usize> {
    let bytes = text.as_bytes();
    let mut at = 0;
    let mut brackets = 0usize;
    while at < bytes.len() {
        let rest = &bytes[at..];
        if rest.starts_with(b"<!--") {
            at += memchr::memmem::find(&rest[4..], b"-->")? + 7;
        } else if rest.starts_with(b"<?") {
            at += memchr::memmem::find(rest, b"?>")? + 2;
        } else {
            match bytes[at] {
                quote @ (b'"' | b'\'') => at += memchr::memchr(quote, &rest[1..])? + 2,
                b'[' => {
                    brackets += 1;
                    at += 1;
                }
                b']' => {
                    brackets = brackets.saturating_sub(1);
                    at += 1;
                }
                b'>' if brackets == 0 => return Some(at + 1),
                _ => at += 1,
            }
        }
    }
    None
}

/// Gives the text of an external entity by its system identifier; none if it is not to be read.
pub(crate) type External<'e> = &'e mut dyn FnMut(&str) -> Option<String>;

/// A reader of declarations.
struct Scan<'t> {
    text: &'t str,
}

impl<'t> Scan<'t> {
    fn spaces(&mut self) -> bool {
        let trimmed = self.text.trim_start_matches(is_space);
        let some = trimmed.len() < self.text.len();
        self.text = trimmed;
        some
    }

    fn name(&mut self) -> Result<&'t str> {
        let end = self.text.find(|c| !is_name_character(c) && c != ':').unwrap_or(self.text.len());
        let (name, rest) = self.text.split_at(end);
        if !name.starts_with(|c| is_name_start(c) || c == ':') {
            return Err(fault("a name is missing in the document type declaration").found(self.text));
        }
        self.text = rest;
        Ok(name)
    }

    fn token(&mut self) -> &'t str {
        let end = self.text.find(|c: char| is_space(c) || matches!(c, '(' | ')' | '|' | '>' | '"' | '\'')).unwrap_or(self.text.len());
        let (token, rest) = self.text.split_at(end);
        self.text = rest;
        token
    }

    fn literal(&mut self) -> Result<&'t str> {
        let quote = self.text.chars().next().filter(|c| matches!(c, '"' | '\''));
        if let Some(quote) = quote
            && let Some(end) = self.text[1..].find(quote)
        {
            let literal = &self.text[1..=end];
            self.text = &self.text[end + 2..];
            return Ok(literal);
        }
        Err(fault("a quoted text is missing in the document type declaration").found(self.text))
    }

    fn take(&mut self, start: &str) -> bool {
        match self.text.strip_prefix(start) {
            Some(rest) => {
                self.text = rest;
                true
            }
            None => false,
        }
    }

    /// `SYSTEM "…"` or `PUBLIC "…" "…"`: the system identifier.
    fn external(&mut self) -> Result<Option<&'t str>> {
        if self.take("SYSTEM") {
            self.spaces();
            return self.literal().map(Some);
        }
        if self.take("PUBLIC") {
            self.spaces();
            let public = self.literal()?;
            self.spaces();
            // A notation may have a public identifier alone.
            return if self.text.starts_with(['"', '\'']) { self.literal().map(Some) } else { Ok(Some(public)) };
        }
        Ok(None)
    }
}

impl Doctype {
    /// Reads a whole declaration, from `<!DOCTYPE` to `>`.
    pub(crate) fn parse(text: &str, budget: usize, external: External) -> Result<Doctype> {
        let mut doctype = Doctype::default();
        let mut scan = Scan { text: &text["<!DOCTYPE".len()..] };
        if !scan.spaces() {
            return Err(fault("white space is missing after <!DOCTYPE"));
        }
        scan.name()?;
        scan.spaces();
        let system = scan.external()?;
        scan.spaces();
        if scan.take("[") {
            let close = scan.text.rfind(']').ok_or_else(|| fault("the internal subset has no end"))?;
            let subset = &scan.text[..close];
            doctype.subset(subset, budget, 0, false, external)?;
            scan.text = &scan.text[close + 1..];
            scan.spaces();
        }
        if scan.text != ">" {
            return Err(fault("the document type declaration is not well-formed").found(scan.text));
        }
        // The internal subset comes first, so that its declarations win (XML 1.0, section 2.8).
        if let Some(system) = system {
            match external(system) {
                Some(text) => {
                    doctype.count(text.len(), budget)?;
                    doctype.subset(&text, budget, 0, true, external)?;
                }
                None => doctype.incomplete = true,
            }
        }
        Ok(doctype)
    }

    fn count(&mut self, bytes: usize, budget: usize) -> Result<()> {
        self.spent += bytes + 16;
        if self.spent > budget { Err(too_much(budget)) } else { Ok(()) }
    }

    /// Parameter entities in a declaration: only the external subset may have them (XML 1.0, section 2.8).
    fn with_parameters(&mut self, text: &str, budget: usize, depth: usize) -> Result<String> {
        let mut result = String::with_capacity(text.len());
        let mut rest = text;
        while let Some(at) = rest.find('%') {
            result.push_str(&rest[..at]);
            rest = &rest[at..];
            let end = rest[1..].find(|c| !is_name_character(c)).map_or(rest.len(), |end| end + 1);
            match self.parameters.get(&rest[1..end]).cloned() {
                Some(replacement) if rest[end..].starts_with(';') => {
                    self.count(replacement.len(), budget)?;
                    if depth >= ENTITY_DEPTH_MAX {
                        return Err(fault("entities contain each other, or are nested too deep").found(&rest[1..end]));
                    }
                    result.push_str(&self.with_parameters(&replacement, budget, depth + 1)?);
                    rest = &rest[end + 1..];
                }
                _ => {
                    result.push('%');
                    rest = &rest[1..];
                }
            }
        }
        result.push_str(rest);
        Ok(result)
    }

    /// `<![INCLUDE[…]]>` or `<![IGNORE[…]]>`.
    fn conditional(&mut self, text: &str, budget: usize, depth: usize, external: External) -> Result<()> {
        let text = self.with_parameters(text, budget, depth)?;
        let inner = text.strip_prefix("<![").and_then(|rest| rest.strip_suffix("]]>")).and_then(|rest| rest.split_once('['));
        match inner.map(|(keyword, content)| (trim(keyword), content)) {
            Some(("INCLUDE", content)) if depth < ENTITY_DEPTH_MAX => self.subset(content, budget, depth + 1, true, external),
            Some(("IGNORE", _)) => Ok(()),
            _ => Err(fault("a conditional section is not well-formed").found(text)),
        }
    }

    fn subset(&mut self, text: &str, budget: usize, depth: usize, is_external: bool, external: External) -> Result<()> {
        let mut scan = Scan { text };
        loop {
            scan.spaces();
            if scan.text.is_empty() {
                return Ok(());
            }
            if scan.take("%") {
                let name = scan.name()?;
                if !scan.take(";") {
                    return Err(fault("a parameter entity reference has no \";\"").found(name));
                }
                if let Some(replacement) = self.parameters.get(name).cloned() {
                    self.count(replacement.len(), budget)?;
                    if depth >= ENTITY_DEPTH_MAX {
                        return Err(fault("entities contain each other, or are nested too deep").found(name));
                    }
                    self.subset(&replacement, budget, depth + 1, is_external, external)?;
                }
            } else if scan.text.starts_with("<!--") {
                let end = scan.text[4..].find("-->").ok_or_else(|| fault("a comment has no end"))?;
                scan.text = &scan.text[end + 7..];
            } else if scan.text.starts_with("<?") {
                let end = scan.text.find("?>").ok_or_else(|| fault("a processing instruction has no end"))?;
                scan.text = &scan.text[end + 2..];
            } else {
                let length = end(scan.text).ok_or_else(|| fault("a declaration has no end").found(scan.text))?;
                let (declaration, rest) = scan.text.split_at(length);
                scan.text = rest;
                if is_external && declaration.starts_with("<![") {
                    self.conditional(declaration, budget, depth, external)?;
                } else if is_external && declaration.contains('%') {
                    let start = if declaration.starts_with("<!ENTITY") { declaration.find('%').map_or(0, |at| at + 1) } else { 0 };
                    let is_parameter = start > 0 && declaration[start..].starts_with(is_space);
                    let (kept, open) = declaration.split_at(if is_parameter { start } else { 0 });
                    let expanded = format!("{kept}{}", self.with_parameters(open, budget, depth)?);
                    self.declaration(&expanded[..expanded.len() - 1], budget, external)?;
                } else {
                    self.declaration(&declaration[..length - 1], budget, external)?;
                }
            }
        }
    }

    /// One declaration without its `>`.
    fn declaration(&mut self, text: &str, budget: usize, external: External) -> Result<()> {
        let mut scan = Scan { text };
        if scan.take("<!ENTITY") {
            self.entity(&mut scan, budget, external)
        } else if scan.take("<!ATTLIST") {
            self.attribute_list(&mut scan, budget)
        } else if scan.take("<!ELEMENT") || scan.take("<!NOTATION") {
            Ok(())
        } else {
            Err(fault("an unknown declaration in the document type").found(text))
        }
    }

    fn entity(&mut self, scan: &mut Scan, budget: usize, external: External) -> Result<()> {
        scan.spaces();
        let parameter = scan.take("%");
        scan.spaces();
        let name = scan.name()?;
        scan.spaces();
        if let Some(system) = scan.external()? {
            scan.spaces();
            if parameter {
                match external(system) {
                    Some(text) => {
                        self.count(text.len(), budget)?;
                        self.parameters.entry(name.to_owned()).or_insert(text.into());
                    }
                    None => self.incomplete = true,
                }
            } else {
                let entity = if scan.take("NDATA") { Entity::Unparsed(system.to_owned()) } else { Entity::External(system.to_owned()) };
                self.entities.entry(name.to_owned()).or_insert(entity);
            }
            return Ok(());
        }
        let value = scan.literal()?;
        // Character references are resolved now, general entities when used (XML 1.0, section 4.4).
        let value: Arc<str> = Arc::from(self.entity_value(value)?);
        if parameter {
            self.parameters.entry(name.to_owned()).or_insert(value);
        } else {
            self.entities.entry(name.to_owned()).or_insert(Entity::Internal(value));
        }
        Ok(())
    }

    fn entity_value(&self, text: &str) -> Result<String> {
        let mut value = String::with_capacity(text.len());
        let mut rest = text;
        while let Some(at) = rest.find("&#") {
            value.push_str(&rest[..at]);
            let end = rest[at..].find(';').ok_or_else(|| fault("a character reference has no \";\"").found(&rest[at..]))?;
            value.push(character(&rest[at + 2..at + end])?);
            rest = &rest[at + end + 1..];
        }
        value.push_str(rest);
        Ok(value)
    }

    fn attribute_list(&mut self, scan: &mut Scan, budget: usize) -> Result<()> {
        scan.spaces();
        let element = scan.name()?.to_owned();
        loop {
            scan.spaces();
            if scan.text.is_empty() {
                return Ok(());
            }
            let name = scan.name()?.to_owned();
            scan.spaces();
            let kind = if scan.text.starts_with('(') {
                skip_group(scan)?;
                AttributeType::Tokens
            } else {
                match scan.token() {
                    "CDATA" => AttributeType::Text,
                    "ID" => AttributeType::Id,
                    "NOTATION" => {
                        scan.spaces();
                        skip_group(scan)?;
                        AttributeType::Tokens
                    }
                    "IDREF" | "IDREFS" | "ENTITY" | "ENTITIES" | "NMTOKEN" | "NMTOKENS" => AttributeType::Tokens,
                    other => return Err(fault("an unknown attribute type in the document type").found(other)),
                }
            };
            scan.spaces();
            let default = if scan.take("#REQUIRED") || scan.take("#IMPLIED") {
                None
            } else {
                scan.take("#FIXED");
                scan.spaces();
                let raw = scan.literal()?;
                let mut value = String::new();
                self.expand_into(raw, &mut value, budget, 0)?;
                Some(if kind == AttributeType::Text { value } else { collapse(&value) })
            };
            let list = self.attributes.entry(element.clone()).or_default();
            // The first declaration of an attribute is binding (XML 1.0, section 3.3).
            if !list.iter().any(|known| known.name == name) {
                list.push(Declared { name, kind, default });
            }
        }
    }

    /// An attribute value with references expanded and white space normalised (XML 1.0, section 3.3.3).
    pub(crate) fn expand_into(&mut self, text: &str, into: &mut String, budget: usize, depth: usize) -> Result<()> {
        let mut rest = text;
        while let Some(at) = rest.find(['&', '\t', '\n', '\r']) {
            into.push_str(&rest[..at]);
            rest = &rest[at..];
            if !rest.starts_with('&') {
                into.push(' ');
                rest = &rest[1..];
                continue;
            }
            let end = rest.find(';').ok_or_else(|| fault("a reference has no \";\"").found(rest).hint("write &amp; for a plain \"&\""))?;
            let name = &rest[1..end];
            rest = &rest[end + 1..];
            if let Some(number) = name.strip_prefix('#') {
                into.push(character(number)?);
            } else if let Some(plain) = predefined(name) {
                into.push(plain);
            } else {
                let replacement = self.replacement(name, budget, depth)?;
                if replacement.contains('<') {
                    return Err(fault("an entity with \"<\" in an attribute value").found(name));
                }
                self.expand_into(&replacement, into, budget, depth + 1)?;
            }
        }
        into.push_str(rest);
        Ok(())
    }

    /// The replacement text of an internal entity, its bytes counted.
    pub(crate) fn replacement(&mut self, name: &str, budget: usize, depth: usize) -> Result<Arc<str>> {
        let replacement = match self.entities.get(name) {
            Some(Entity::Internal(replacement)) => replacement.clone(),
            Some(Entity::External(system)) => {
                return Err(fault("an external entity cannot be had here").found(system.clone()).hint("put its text into the document"));
            }
            Some(Entity::Unparsed(_)) => return Err(fault("a reference to an unparsed entity").found(name)),
            None if self.incomplete => {
                return Err(fault("an entity that is not declared in the document itself")
                    .found(name)
                    .hint("external declarations were not read: declare it in the document"));
            }
            None => return Err(fault("an entity that is not declared").found(name).hint("write &amp; for a plain \"&\"")),
        };
        self.count(replacement.len(), budget)?;
        if depth >= ENTITY_DEPTH_MAX {
            return Err(fault("entities contain each other, or are nested too deep").found(name));
        }
        Ok(replacement)
    }
}

fn too_much(budget: usize) -> Error {
    Error::new(ErrorKind::Budget, format!("the entities of the document make more than {budget} bytes"))
        .hint("expand the entities before the document is sent")
}

fn skip_group(scan: &mut Scan) -> Result<()> {
    let end = scan.text.find(')').ok_or_else(|| fault("a list of values has no end").found(scan.text))?;
    scan.text = &scan.text[end + 1..];
    Ok(())
}

/// Leading and trailing spaces removed, sequences made one.
pub(crate) fn collapse(text: &str) -> String {
    let mut result = String::with_capacity(text.len());
    for word in trim(text).split(' ').filter(|word| !word.is_empty()) {
        if !result.is_empty() {
            result.push(' ');
        }
        result.push_str(word);
    }
    result
}

/// The entities that need no declaration (XML 1.0, section 4.6).
pub(crate) fn predefined(name: &str) -> Option<char> {
    Some(match name {
        "lt" => '<',
        "gt" => '>',
        "amp" => '&',
        "quot" => '"',
        "apos" => '\'',
        _ => return None,
    })
}

/// The character of a reference: `65` or `x41`.
pub(crate) fn character(number: &str) -> Result<char> {
    let (digits, radix) = number.strip_prefix('x').map_or((number, 10), |hexadecimal| (hexadecimal, 16));
    let valid = !digits.is_empty() && digits.bytes().all(|byte| (byte as char).is_digit(radix));
    u32::from_str_radix(digits, radix)
        .ok()
        .filter(|_| valid)
        .and_then(char::from_u32)
        .filter(|&c| is_xml_character(c))
        .ok_or_else(|| fault("a character reference that names no character").found(format!("&#{number};")))
}

/// Characters a document may have (XML 1.0, production 2).
pub(crate) fn is_xml_character(c: char) -> bool {
    matches!(c, '\t' | '\n' | '\r' | ' '..='\u{D7FF}' | '\u{E000}'..='\u{FFFD}' | '\u{10000}'..)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SUBSET: &str = r#"<!DOCTYPE a SYSTEM "x>y" [
        <!-- ]> -->
        <!ENTITY e "one &#38;amp; &f;"> <!ENTITY f 'two'> <!ENTITY e "late">
        <!ENTITY out SYSTEM "file:///etc/passwd"> <!ENTITY pic SYSTEM "a.gif" NDATA gif>
        <!ENTITY % p "<!ENTITY g 'from p'>"> %p;
        <!ATTLIST a id ID #IMPLIED  kind (x|y) " x " note CDATA "n&f;">
    ]>"#;

    #[test]
    fn declarations_are_read() {
        assert_eq!(end(SUBSET), Some(SUBSET.len()));
        assert_eq!(end(&SUBSET[..SUBSET.len() - 1]), None);
        let mut doctype = Doctype::parse(SUBSET, 1000, &mut |_| None).expect("good");
        let mut value = String::new();
        doctype.expand_into("&e;\t&g;", &mut value, 1000, 0).expect("good");
        assert_eq!(value, "one & two from p");
        let list = &doctype.attributes["a"];
        assert_eq!(list.iter().map(|known| known.default.as_deref()).collect::<Vec<_>>(), [None, Some("x"), Some("ntwo")]);
        assert!(doctype.replacement("out", 1000, 0).is_err());
        assert!(matches!(&doctype.entities["pic"], Entity::Unparsed(uri) if uri == "a.gif"));
    }

    #[test]
    fn an_external_subset_is_read_if_it_is_given() {
        let text = r#"<!ENTITY % keep "INCLUDE"><!ENTITY % type "CDATA"><![%keep;[<!ENTITY e "late"><!ENTITY f "far">]]><![IGNORE[ x ]]>
            <!ATTLIST a note %type; "n">"#;
        let mut doctype = Doctype::parse(r#"<!DOCTYPE a SYSTEM "a.dtd" [<!ENTITY e "own">]>"#, 1000, &mut |system| {
            (system == "a.dtd").then(|| text.to_owned())
        })
        .expect("good");
        let mut value = String::new();
        doctype.expand_into("&e; &f;", &mut value, 1000, 0).expect("good");
        assert_eq!(value, "own far");
        assert_eq!(doctype.attributes["a"][0].default.as_deref(), Some("n"));
    }

    #[test]
    fn entities_that_contain_each_other_are_refused() {
        let mut doctype = Doctype::parse(r#"<!DOCTYPE a [<!ENTITY x "&y;"><!ENTITY y "&x;">]>"#, 100_000, &mut |_| None).expect("good");
        assert!(doctype.expand_into("&x;", &mut String::new(), 100_000, 0).is_err());
    }

    #[test]
    fn character_references_name_characters() {
        assert_eq!(character("65").ok(), Some('A'));
        assert_eq!(character("x1F600").ok(), Some('😀'));
        for bad in ["", "x", "0", "xFFFE", "xD800", "+5", "99999999999"] {
            assert!(character(bad).is_err(), "{bad}");
        }
    }
}
