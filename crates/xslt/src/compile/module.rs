//! Stylesheet modules: loading, xsl:import and xsl:include, import precedence (XSLT 1.0, section 2.6).

use std::rc::Rc;
use std::sync::Arc;

use super::{Compiler, ELEMENT_DEPTH_MAX, Inherited, XSLT, element};
use crate::error::{Error, ErrorKind, Place};
use crate::name::{NameId, Names, StringId};
use crate::tree::{Kind, Tree};

/// A stylesheet document.
pub(crate) struct Module {
    pub(crate) tree: Tree,
    pub(crate) uri: Arc<str>,
    pub(crate) content: Arc<[u8]>,
}

impl Module {
    /// Where an element or attribute stands.
    pub(crate) fn place(&self, node: u32) -> Place {
        let (line, column) = self.tree.position(node).unwrap_or((1, 1));
        Place { uri: self.uri.clone(), line, column }
    }

    /// Where the name of an attribute stands: the place of an attribute is that of its value.
    pub(crate) fn name_place(&self, attribute: u32, name: &str) -> Place {
        let mut place = self.place(attribute);
        place.column = place.column.saturating_sub(name.chars().count() as u32 + 2).max(1);
        place
    }

    /// Where a character of an attribute's value stands, as far as one can tell.
    pub(crate) fn place_in(&self, attribute: u32, offset: usize) -> Place {
        let mut place = self.place(attribute);
        let before = &self.tree.value(attribute)[..offset];
        place.column += before.chars().count() as u32;
        place
    }
}

/// An element at the top level, with what its stylesheet gives it.
#[derive(Clone)]
pub(crate) struct TopLevel {
    pub(crate) module: Rc<Module>,
    pub(crate) element: u32,
    pub(crate) precedence: u32,
    pub(crate) imports_from: u32,
    pub(crate) inherited: Inherited,
    /// A literal result element as stylesheet (section 2.3): the element is the body of a template for the root.
    pub(crate) simplified: bool,
}

/// What a module and its includes hold, before precedence is known.
#[derive(Default)]
struct Gathered {
    imports: Vec<(Rc<Module>, u32)>,
    elements: Vec<(Rc<Module>, u32, Inherited, bool)>,
}

/// How deep modules may import each other.
const MODULE_DEPTH_MAX: usize = 100;

impl Compiler<'_> {
    pub(crate) fn load_principal(&mut self, text: &[u8], uri: &str) {
        let Some(module) = self.parse_module(text.into(), uri.into()) else { return };
        let mut chain = vec![module.uri.clone()];
        self.stylesheet(&module, &mut chain);
    }

    fn parse_module(&mut self, content: Arc<[u8]>, uri: Arc<str>) -> Option<Rc<Module>> {
        let text_name = self.names.expanded_text(XSLT, "text");
        // White space is kept in xsl:text only (section 3.4).
        let strip = |_: &Names, name: NameId| name != text_name;
        let limits = self.limits;
        match crate::parse::parse(Box::new(&content[..]), uri.clone(), &mut self.names, limits, self.resolver, Some(&strip), true) {
            Ok(tree) => {
                let module = Rc::new(Module { tree, uri, content });
                self.modules.push(module.clone());
                Some(module)
            }
            Err(error) => {
                self.error(error);
                None
            }
        }
    }

    /// Takes in a stylesheet: what it imports first, so that it gets the higher precedence.
    fn stylesheet(&mut self, module: &Rc<Module>, chain: &mut Vec<Arc<str>>) {
        let imports_from = self.precedence;
        let mut gathered = Gathered::default();
        self.gather(module, &mut gathered, chain);
        for (importer, element) in std::mem::take(&mut gathered.imports) {
            if let Some(imported) = self.referenced(&importer, element, chain) {
                chain.push(imported.uri.clone());
                self.stylesheet(&imported, chain);
                chain.pop();
            }
        }
        let precedence = self.precedence;
        self.precedence += 1;
        for (module, element, inherited, simplified) in gathered.elements {
            self.top.push(TopLevel { module, element, precedence, imports_from, inherited, simplified });
        }
    }

    /// Collects the top-level elements of a module, with those of its includes in their places.
    fn gather(&mut self, module: &Rc<Module>, gathered: &mut Gathered, chain: &mut Vec<Arc<str>>) {
        let Some(root) = module.tree.document_element() else { return };
        let Some((uri, local)) = self.element_name(module, root) else { return };
        if uri != XSLT {
            self.simplified(module, root, &uri, &local, gathered);
            return;
        }
        if local != "stylesheet" && local != "transform" {
            self.fault(module, root, format!("a stylesheet cannot begin with xsl:{local}"));
            return;
        }
        let inherited =
            self.inherit(module, root, &Inherited { forwards: false, extensions: Rc::default(), excluded: Rc::default() }, true);
        self.check_attributes(module, root, &local, inherited.forwards);
        if inherited.forwards {
            let place = module.place(root);
            self.warn(
                "this stylesheet asks for a later version of XSLT: it is processed forwards-compatibly",
                place,
                "version=\"1.0\" is what is implemented",
            );
        }
        let mut imports_allowed = true;
        for child in module.tree.children(root).collect::<Vec<_>>() {
            match module.tree.kind(child) {
                Kind::Text => {
                    let error = Error::new(ErrorKind::Stylesheet, "text directly inside the stylesheet element")
                        .found(module.tree.value(child).trim())
                        .at(module.place(root));
                    self.error(error);
                }
                Kind::Element => {
                    let Some((uri, local)) = self.element_name(module, child) else { continue };
                    if uri == XSLT && local == "import" {
                        if imports_allowed {
                            self.check_attributes(module, child, &local, inherited.forwards);
                            self.check_empty(module, child, &local);
                            gathered.imports.push((module.clone(), child));
                        } else {
                            self.fault(module, child, "xsl:import must come before all other elements");
                        }
                        continue;
                    }
                    imports_allowed = false;
                    if uri == XSLT && local == "include" {
                        self.check_attributes(module, child, &local, inherited.forwards);
                        self.check_empty(module, child, &local);
                        if let Some(included) = self.referenced(module, child, chain) {
                            chain.push(included.uri.clone());
                            self.gather(&included, gathered, chain);
                            chain.pop();
                        }
                    } else if uri == XSLT && !element::find(&local).is_some_and(|known| known.top_level) {
                        if !inherited.forwards {
                            self.unknown_element(module, child, &local, "at the top level");
                        }
                    } else if uri.is_empty() {
                        let error = Error::new(ErrorKind::Stylesheet, "an element without a namespace at the top level")
                            .found(local)
                            .expected("an element of XSLT, or of a namespace of your own")
                            .at(module.place(child));
                        self.error(error);
                    } else if uri == XSLT {
                        gathered.elements.push((module.clone(), child, inherited.clone(), false));
                    }
                }
                _ => {}
            }
        }
    }

    /// A literal result element as stylesheet (section 2.3).
    fn simplified(&mut self, module: &Rc<Module>, root: u32, uri: &str, local: &str, gathered: &mut Gathered) {
        let version = self.names.expanded_text(XSLT, "version");
        if module.tree.attribute(&self.names, root, version).is_none() {
            let error = Error::new(ErrorKind::Stylesheet, "this is no stylesheet")
                .found(local)
                .expected("xsl:stylesheet, or xsl:version on the root element");
            let error = match uri {
                "http://www.w3.org/TR/WD-xsl" => {
                    error.hint("the draft of 1998 is not supported: use the namespace http://www.w3.org/1999/XSL/Transform")
                }
                _ => error.hint(format!("declare xmlns:xsl=\"{XSLT}\"")),
            };
            self.error(error.at(module.place(root)));
            return;
        }
        let inherited =
            self.inherit(module, root, &Inherited { forwards: false, extensions: Rc::default(), excluded: Rc::default() }, false);
        gathered.elements.push((module.clone(), root, inherited, true));
    }

    /// The module an xsl:import or xsl:include names.
    fn referenced(&mut self, module: &Rc<Module>, element: u32, chain: &[Arc<str>]) -> Option<Rc<Module>> {
        let href = self.attribute(module, element, "href")?;
        let reference = module.tree.value(href).to_owned();
        let uri = crate::uri::join(&module.uri, &reference);
        let wrong = |message: &str| Error::new(ErrorKind::Resource, message).found(reference.clone()).at(module.place(href));
        if chain.iter().any(|known| **known == *uri) {
            self.error(wrong("stylesheets import or include each other in a ring"));
            return None;
        }
        if chain.len() > MODULE_DEPTH_MAX {
            self.error(wrong("stylesheets import each other too deep"));
            return None;
        }
        match self.resolver.resolve(&uri, crate::ResourceKind::Stylesheet) {
            Ok(resource) => {
                let resolved: Arc<str> = resource.uri.into();
                if chain.contains(&resolved) {
                    self.error(wrong("stylesheets import or include each other in a ring"));
                    return None;
                }
                self.parse_module(resource.content.into(), resolved)
            }
            Err(reason) => {
                self.error(wrong("a stylesheet cannot be had").hint(reason));
                None
            }
        }
    }

    // --- reading elements

    /// Namespace name and local part.
    pub(crate) fn element_name(&self, module: &Module, element: u32) -> Option<(String, String)> {
        let name = module.tree.qname(element)?;
        Some((self.names.uri_text(name).to_owned(), self.names.local_text(name).to_owned()))
    }

    /// The attribute of this name without a namespace.
    pub(crate) fn attribute(&mut self, module: &Module, element: u32, name: &str) -> Option<u32> {
        let name = self.names.expanded_text("", name);
        module.tree.attribute(&self.names, element, name)
    }

    pub(crate) fn xsl_attribute(&mut self, module: &Module, element: u32, name: &str) -> Option<u32> {
        let name = self.names.expanded_text(XSLT, name);
        module.tree.attribute(&self.names, element, name)
    }

    /// What an element adds to what it inherits: version, extension and excluded prefixes (sections 2.5, 7.1.1, 14.1).
    pub(crate) fn inherit(&mut self, module: &Module, element: u32, outer: &Inherited, is_stylesheet: bool) -> Inherited {
        let mut find =
            |name: &str| if is_stylesheet { self.attribute(module, element, name) } else { self.xsl_attribute(module, element, name) };
        let (version, extensions, excluded) = (find("version"), find("extension-element-prefixes"), find("exclude-result-prefixes"));
        let mut inherited = outer.clone();
        if let Some(version) = version {
            let text = module.tree.value(version);
            let number = crate::xpath::number::parse(text);
            if number.is_nan() {
                let error =
                    Error::new(ErrorKind::Stylesheet, "the version is no number").found(text).expected("1.0").at(module.place(version));
                self.error(error);
            }
            inherited.forwards = number != 1.0;
        }
        if let Some(attribute) = extensions {
            let more = self.prefixes(module, element, attribute);
            if more.iter().any(|&uri| self.names.text(uri) == XSLT) {
                self.fault(module, attribute, "the namespace of XSLT is no extension");
            }
            let mut list = (*inherited.extensions).clone();
            list.extend(more);
            inherited.extensions = Rc::new(list);
        }
        if let Some(attribute) = excluded {
            let mut list = (*inherited.excluded).clone();
            list.extend(self.prefixes(module, element, attribute));
            inherited.excluded = Rc::new(list);
        }
        inherited
    }

    /// The namespaces of a list of prefixes.
    fn prefixes(&mut self, module: &Module, element: u32, attribute: u32) -> Vec<StringId> {
        let mut found = Vec::new();
        for word in module.tree.value(attribute).split_ascii_whitespace() {
            let prefix = if word == "#default" { StringId::EMPTY } else { self.names.string(word) };
            match module.tree.resolve(element, prefix) {
                Some(uri) if uri != StringId::EMPTY => found.push(uri),
                _ => {
                    let error = Error::new(ErrorKind::Stylesheet, "a prefix that is not declared").found(word).at(module.place(attribute));
                    self.error(error);
                }
            }
        }
        found
    }

    /// Known attributes only, and all that are required (section 2.1). False when something is missing.
    pub(crate) fn check_attributes(&mut self, module: &Module, element: u32, local: &str, forwards: bool) -> bool {
        let Some(known) = element::find(local) else { return true };
        let mut given = Vec::new();
        for attribute in module.tree.attributes(element) {
            let Some(name) = module.tree.qname(attribute) else { continue };
            let text = self.names.local_text(name).to_owned();
            match self.names.uri_text(name) {
                "" => {
                    if !known.required.contains(&text.as_str()) && !known.optional.contains(&text.as_str()) && !forwards {
                        let all: Vec<&str> = known.required.iter().chain(known.optional).copied().collect();
                        let expected = if all.is_empty() { "no attributes".to_owned() } else { all.join(", ") };
                        let error = Error::new(ErrorKind::Stylesheet, format!("unknown attribute on xsl:{local}"))
                            .found(text.clone())
                            .expected(expected);
                        let near = all.iter().find(|name| super::distance(name, &text) <= 2);
                        let error = match near {
                            Some(near) => error.hint(format!("did you mean {near}?")),
                            None => error,
                        };
                        self.error(error.at(module.name_place(attribute, &text)));
                    }
                    given.push(text);
                }
                XSLT => {
                    let error = Error::new(ErrorKind::Stylesheet, format!("an attribute with the prefix of XSLT on xsl:{local}"))
                        .found(text)
                        .hint("attributes of XSLT elements have no prefix")
                        .at(module.place(attribute));
                    self.error(error);
                }
                _ => {}
            }
        }
        let mut complete = true;
        for &required in known.required {
            if !given.iter().any(|name| name == required) {
                complete = false;
                let error = Error::new(ErrorKind::Stylesheet, format!("xsl:{local} has no attribute {required}"))
                    .expected(format!("{required}=\"…\""))
                    .at(module.place(element));
                self.error(error);
            }
        }
        complete
    }

    pub(crate) fn check_empty(&mut self, module: &Module, element: u32, local: &str) {
        if let Some(child) = module.tree.children(element).find(|&child| matches!(module.tree.kind(child), Kind::Element | Kind::Text)) {
            let at = if module.tree.is(child, Kind::Element) { child } else { element };
            self.fault(module, at, format!("xsl:{local} must be empty"));
        }
    }

    pub(crate) fn unknown_element(&mut self, module: &Module, element: u32, local: &str, where_: &str) {
        let error = Error::new(ErrorKind::Stylesheet, format!("xsl:{local} is not allowed {where_}"));
        let error = if element::is_later(local) {
            error.hint(format!("xsl:{local} is of XSLT 2 or later; this is XSLT 1.0"))
        } else {
            match element::nearest(local) {
                Some(near) if near != local => error.hint(format!("did you mean xsl:{near}?")),
                _ => error,
            }
        };
        self.error(error.at(module.place(element)));
    }

    /// Counts a level of elements; false when there are too many.
    pub(crate) fn deeper(&mut self, module: &Module, element: u32) -> bool {
        self.depth += 1;
        if self.depth > ELEMENT_DEPTH_MAX {
            if self.depth == ELEMENT_DEPTH_MAX + 1 {
                let error =
                    Error::new(ErrorKind::Budget, format!("elements of the stylesheet are nested more than {ELEMENT_DEPTH_MAX} deep"))
                        .at(module.place(element));
                self.error(error);
            }
            return false;
        }
        true
    }
}
