//! Top-level elements: first their names, then what they hold.

use std::collections::HashMap;
use std::rc::Rc;

use super::environment::Use;
use super::module::{Module, TopLevel};
use super::{Compiler, Inherited, XSLT, index_rules, rules_of};
use crate::error::{Error, ErrorKind};
use crate::name::{NameId, StringId, trim};
use crate::number_format::Symbols;
use crate::serialise::{OutputMethod, OutputOptions};
use crate::sheet::{AttributeSet, Binding, Global, Key, Rule, Sheet, SpaceRule, Template};
use crate::tree::Kind;
use crate::xpath::expression::Test;

/// A value of an xsl:output attribute and the precedence it was given at.
#[derive(Default)]
struct Chosen {
    values: HashMap<&'static str, (String, u32)>,
}

impl Compiler<'_> {
    fn local_of(&self, item: &TopLevel) -> String {
        if item.simplified {
            return String::new();
        }
        self.element_name(&item.module, item.element).map_or(String::new(), |(_, local)| local)
    }

    /// Collects the names of templates, variables, keys and attribute sets, so that bodies can refer to what comes later.
    pub(crate) fn declare(&mut self) {
        let top = self.top.clone();
        let mut templates = 0;
        for item in &top {
            let local = self.local_of(item);
            match local.as_str() {
                "" => templates += 1,
                "template" => {
                    self.declare_template(item, templates);
                    templates += 1;
                }
                "variable" | "param" => self.declare_global(item),
                "key" => {
                    if let Some(attribute) = self.attribute(&item.module, item.element, "name")
                        && let Some(name) = self.qname(&item.module, item.element, attribute)
                    {
                        self.key_names.push(name);
                    }
                }
                "attribute-set" => {
                    if let Some(attribute) = self.attribute(&item.module, item.element, "name")
                        && let Some(name) = self.qname(&item.module, item.element, attribute)
                    {
                        self.attribute_set_names.push(name);
                    }
                }
                "namespace-alias" => self.declare_alias(item),
                _ => {}
            }
        }
    }

    fn declare_template(&mut self, item: &TopLevel, index: u32) {
        let Some(attribute) = self.attribute(&item.module, item.element, "name") else { return };
        let Some(name) = self.qname(&item.module, item.element, attribute) else { return };
        let place = item.module.place(item.element);
        match self.template_names.get(&name) {
            Some((_, precedence, other)) if *precedence == item.precedence => {
                let error = Error::new(ErrorKind::Stylesheet, "two templates have the same name")
                    .found(self.names.readable(name))
                    .hint(format!("the other is at {other}"))
                    .at(place);
                self.error(error);
            }
            Some((_, precedence, _)) if *precedence > item.precedence => {}
            _ => {
                self.template_names.insert(name, (index, item.precedence, place));
            }
        }
        let mut parameters = Vec::new();
        for child in item.module.tree.children(item.element).collect::<Vec<_>>() {
            if item.module.tree.is(child, Kind::Element)
                && self.element_name(&item.module, child).is_some_and(|(uri, local)| uri == XSLT && local == "param")
                && let Some(attribute) = self.attribute(&item.module, child, "name")
                && let Some(name) = self.qname(&item.module, child, attribute)
            {
                parameters.push(name);
            }
        }
        self.template_parameters.insert(index, parameters);
    }

    fn declare_global(&mut self, item: &TopLevel) {
        let Some(attribute) = self.attribute(&item.module, item.element, "name") else { return };
        let Some(name) = self.qname(&item.module, item.element, attribute) else { return };
        let next = self.global_names.len() as u32;
        self.global_names.entry(name).or_insert(next);
    }

    fn declare_alias(&mut self, item: &TopLevel) {
        let (module, element) = (&item.module, item.element);
        let mut side = |name: &str| {
            let attribute = self.attribute(module, element, name)?;
            let text = trim(module.tree.value(attribute)).to_owned();
            let prefix = if text == "#default" { StringId::EMPTY } else { self.names.string(&text) };
            match module.tree.resolve(element, prefix) {
                Some(uri) => Some((prefix, uri)),
                None => {
                    let error = Error::new(ErrorKind::Stylesheet, "a prefix that is not declared").found(text).at(module.place(attribute));
                    self.error(error);
                    None
                }
            }
        };
        let (Some((_, from)), Some((prefix, to))) = (side("stylesheet-prefix"), side("result-prefix")) else { return };
        match self.aliases.get(&from) {
            Some(&(_, _, precedence)) if precedence > item.precedence => {}
            _ => {
                self.aliases.insert(from, (prefix, to, item.precedence));
            }
        }
    }

    /// Compiles everything.
    pub(crate) fn compile_declarations(&mut self) -> Sheet {
        let top = self.top.clone();
        let mut templates: Vec<Template> = Vec::new();
        let mut rules: HashMap<u32, Vec<Rule>> = HashMap::new();
        let mut globals: HashMap<u32, (Global, u32, Vec<u32>)> = HashMap::new();
        let mut keys = Vec::new();
        let mut attribute_sets: HashMap<NameId, Vec<AttributeSet>> = HashMap::new();
        let mut space_rules = Vec::new();
        let mut decimal_formats: HashMap<Option<NameId>, (Symbols, u32)> = HashMap::new();
        let mut output = Chosen::default();
        let mut cdata = Vec::new();
        for item in &top {
            let local = self.local_of(item);
            let (module, element, inherited) = (item.module.clone(), item.element, item.inherited.clone());
            if !item.simplified {
                let complete = self.check_attributes(&module, element, &local, inherited.forwards);
                if !complete && !matches!(local.as_str(), "template") {
                    continue;
                }
            }
            self.start_frame();
            match local.as_str() {
                "" => self.simplified_template(item, &mut templates, &mut rules),
                "template" => self.template(item, &mut templates, &mut rules),
                "variable" | "param" => self.global(item, local == "param", &mut globals),
                "key" => self.key(item, &mut keys),
                "attribute-set" => self.attribute_set(item, &mut attribute_sets),
                "strip-space" | "preserve-space" => self.space(item, local == "strip-space", &mut space_rules),
                "decimal-format" => self.decimal_format(item, &mut decimal_formats),
                "output" => self.output(item, &mut output, &mut cdata),
                "namespace-alias" => self.check_empty(&module, element, &local),
                _ => {}
            }
        }
        self.check_cycles(&globals);
        self.check_attribute_set_uses(&attribute_sets);
        for definitions in attribute_sets.values_mut() {
            definitions.sort_by_key(|set| set.precedence);
        }
        let mut globals: Vec<(u32, Global)> = globals.into_iter().map(|(index, (global, ..))| (index, global)).collect();
        globals.sort_by_key(|&(index, _)| index);
        let mut modes: Vec<crate::sheet::Mode> = Vec::new();
        for mode in 0..self.mode_names.len() as u32 {
            modes.push(index_rules(rules.remove(&mode).unwrap_or_default()));
        }
        let output = self.output_options(output, cdata);
        let principal = &self.modules[0];
        let strips_any = space_rules.iter().any(|rule: &SpaceRule| rule.strips);
        Sheet {
            uri: principal.uri.clone(),
            modules: self.modules.iter().map(|module| (module.uri.clone(), module.content.clone())).collect(),
            names: self.names.clone(),
            templates,
            modes,
            globals: globals.into_iter().map(|(_, global)| global).collect(),
            keys,
            attribute_sets,
            space_rules,
            decimal_formats: decimal_formats.into_iter().map(|(name, (symbols, _))| (name, symbols)).collect(),
            output,
            strips_any,
        }
    }

    /// A frame of its own for what is compiled next.
    pub(crate) fn start_frame(&mut self) {
        self.locals.clear();
        self.next_slot = 0;
        self.slots_max = 0;
        self.lexical.clear();
        self.references.clear();
        self.depth = 0;
    }

    fn simplified_template(&mut self, item: &TopLevel, templates: &mut Vec<Template>, rules: &mut HashMap<u32, Vec<Rule>>) {
        let index = templates.len() as u32;
        let body = self.single(&item.module, item.element, &item.inherited);
        let root = crate::pattern::Pattern { origin: crate::pattern::Origin::Root, steps: Vec::new() };
        rules.entry(0).or_default().extend(rules_of(vec![root], index, None, item.precedence, index));
        templates.push(Template {
            body,
            slots: self.slots_max,
            place: item.module.place(item.element),
            label: "/".to_owned(),
            precedence: item.precedence,
            imports_from: item.imports_from,
        });
    }

    fn template(&mut self, item: &TopLevel, templates: &mut Vec<Template>, rules: &mut HashMap<u32, Vec<Rule>>) {
        let (module, element) = (&item.module, item.element);
        let inherited = item.inherited.clone();
        let index = templates.len() as u32;
        let (matching, naming) = (self.attribute(module, element, "match"), self.attribute(module, element, "name"));
        let (mode, priority) = (self.attribute(module, element, "mode"), self.attribute(module, element, "priority"));
        if matching.is_none() && naming.is_none() {
            self.fault(module, element, "xsl:template has neither match nor name");
        }
        if matching.is_none() && (mode.is_some() || priority.is_some()) {
            self.fault(module, element, "xsl:template has a mode or priority but no match");
        }
        let mode = mode.and_then(|attribute| self.qname(module, element, attribute));
        let priority = priority.and_then(|attribute| self.real(module, attribute));
        let body = self.template_body(module, element, &inherited);
        if let Some(attribute) = matching
            && let Some(patterns) = self.pattern(module, element, attribute, Use::MatchPattern, inherited.forwards)
        {
            let mode = self.mode(mode);
            self.modes_matched.entry(mode).or_insert_with(|| module.place(element));
            rules.entry(mode).or_default().extend(rules_of(patterns, index, priority, item.precedence, index));
            let text = module.tree.value(attribute).trim().to_owned();
            let same = (mode, text, item.precedence, priority.map(f64::to_bits));
            let earlier = self.patterns_seen.insert(same, (module.place(element), naming.is_some()));
            if let Some((place, false)) = earlier {
                let hint = format!("remove one, or give one a mode or a priority; the other is at {}", module.place(element));
                self.warn("a later template has the same pattern and wins: this template is never reached", place, hint);
            }
        }
        let label = match (matching, naming) {
            (_, Some(attribute)) => module.tree.value(attribute).to_owned(),
            (Some(attribute), None) => module.tree.value(attribute).to_owned(),
            _ => String::new(),
        };
        templates.push(Template {
            body,
            slots: self.slots_max,
            place: module.place(element),
            label,
            precedence: item.precedence,
            imports_from: item.imports_from,
        });
    }

    fn real(&mut self, module: &Module, attribute: u32) -> Option<f64> {
        let text = module.tree.value(attribute);
        let value = crate::xpath::number::parse(text);
        if value.is_nan() {
            let error = Error::new(ErrorKind::Stylesheet, "the priority is no number").found(text).at(module.place(attribute));
            self.error(error);
            return None;
        }
        Some(value)
    }

    fn global(&mut self, item: &TopLevel, is_parameter: bool, globals: &mut HashMap<u32, (Global, u32, Vec<u32>)>) {
        let (module, element) = (&item.module, item.element);
        let Some(attribute) = self.attribute(module, element, "name") else { return };
        let Some(name) = self.qname(module, element, attribute) else { return };
        let Some(&index) = self.global_names.get(&name) else { return };
        if let Some((_, precedence, _)) = globals.get(&index) {
            if *precedence == item.precedence {
                let error = Error::new(ErrorKind::Stylesheet, "two top-level variables have the same name")
                    .found(format!("${}", self.names.readable(name)))
                    .at(module.place(element));
                self.error(error);
                return;
            }
            if *precedence > item.precedence {
                return;
            }
        }
        let value = self.binding(module, element, &item.inherited);
        let references = std::mem::take(&mut self.references);
        let global = Global { name, value, is_parameter, slots: self.slots_max, place: module.place(element) };
        globals.insert(index, (global, item.precedence, references));
    }

    /// Variables that are defined by each other.
    fn check_cycles(&mut self, globals: &HashMap<u32, (Global, u32, Vec<u32>)>) {
        let mut done: HashMap<u32, bool> = HashMap::new();
        for &start in globals.keys() {
            // Depth first with an explicit stack: false while open, true when finished.
            let mut stack = vec![(start, 0usize)];
            while let Some((index, next)) = stack.pop() {
                if next == 0 {
                    match done.get(&index) {
                        Some(true) => continue,
                        _ => done.insert(index, false),
                    };
                }
                let Some((global, _, references)) = globals.get(&index) else {
                    done.insert(index, true);
                    continue;
                };
                let Some(&reference) = references.get(next) else {
                    done.insert(index, true);
                    continue;
                };
                stack.push((index, next + 1));
                match done.get(&reference) {
                    Some(true) => {}
                    Some(false) => {
                        let shown = self.names.readable(global.name);
                        let error = Error::new(ErrorKind::Stylesheet, "a variable is defined by itself")
                            .found(format!("${shown}"))
                            .at(global.place.clone());
                        self.error(error);
                        return;
                    }
                    None => stack.push((reference, 0)),
                }
            }
        }
    }

    fn key(&mut self, item: &TopLevel, keys: &mut Vec<Key>) {
        let (module, element) = (&item.module, item.element);
        self.check_empty(module, element, "key");
        let (Some(name), Some(matching), Some(using)) =
            (self.attribute(module, element, "name"), self.attribute(module, element, "match"), self.attribute(module, element, "use"))
        else {
            return;
        };
        let Some(name) = self.qname(module, element, name) else { return };
        let forwards = item.inherited.forwards;
        let pattern = self.pattern(module, element, matching, Use::Key, forwards);
        let value = self.expression(module, element, using, Use::Key, forwards);
        if let (Some(pattern), Some(value)) = (pattern, value) {
            keys.push(Key { name, pattern, value, place: module.place(element) });
        }
    }

    fn attribute_set(&mut self, item: &TopLevel, sets: &mut HashMap<NameId, Vec<AttributeSet>>) {
        let (module, element) = (&item.module, item.element);
        let Some(attribute) = self.attribute(module, element, "name") else { return };
        let Some(name) = self.qname(module, element, attribute) else { return };
        let uses = self.used_sets(module, element, false);
        let mut body = Vec::new();
        for child in module.tree.children(element).collect::<Vec<_>>() {
            match module.tree.kind(child) {
                Kind::Element => {
                    let is_attribute = self.element_name(module, child).is_some_and(|(uri, local)| uri == XSLT && local == "attribute");
                    if is_attribute {
                        body.extend(self.single(module, child, &item.inherited));
                    } else {
                        self.fault(module, child, "only xsl:attribute is allowed inside xsl:attribute-set");
                    }
                }
                Kind::Text => self.fault(module, element, "text is not allowed inside xsl:attribute-set"),
                _ => {}
            }
        }
        sets.entry(name).or_default().push(AttributeSet { name, uses, body, slots: self.slots_max, precedence: item.precedence });
    }

    /// Sets that use each other.
    fn check_attribute_set_uses(&mut self, sets: &HashMap<NameId, Vec<AttributeSet>>) {
        for &start in sets.keys() {
            let mut waiting: Vec<NameId> = vec![start];
            let mut seen: Vec<NameId> = Vec::new();
            while let Some(name) = waiting.pop() {
                for set in sets.get(&name).into_iter().flatten() {
                    for &used in &set.uses {
                        if used == start {
                            let error =
                                Error::new(ErrorKind::Stylesheet, "an attribute set uses itself").found(self.names.readable(set.name));
                            let error = match self.top.iter().find(|item| self.local_of(item) == "attribute-set") {
                                Some(item) => error.at(item.module.place(item.element)),
                                None => error,
                            };
                            self.error(error);
                            return;
                        }
                        if !seen.contains(&used) {
                            seen.push(used);
                            waiting.push(used);
                        }
                    }
                }
            }
        }
    }

    fn space(&mut self, item: &TopLevel, strips: bool, rules: &mut Vec<SpaceRule>) {
        let (module, element) = (&item.module, item.element);
        self.check_empty(module, element, if strips { "strip-space" } else { "preserve-space" });
        let Some(attribute) = self.attribute(module, element, "elements") else { return };
        for word in module.tree.value(attribute).split_ascii_whitespace().map(str::to_owned).collect::<Vec<_>>() {
            let Some((test, priority)) = self.name_test(module, element, attribute, &word) else { continue };
            rules.push(SpaceRule { test, strips, precedence: item.precedence, priority });
        }
    }

    /// `*`, `prefix:*` or a name, with its priority.
    fn name_test(&mut self, module: &Module, element: u32, attribute: u32, word: &str) -> Option<(Test, f64)> {
        if word == "*" {
            return Some((Test::Any, -0.5));
        }
        let (prefix, local) = match word.strip_suffix(":*") {
            Some(prefix) if crate::name::is_ncname(prefix) => (prefix, None),
            _ => match crate::name::split_qname(word) {
                Some((prefix, local)) => (prefix, Some(local)),
                None => {
                    let error = Error::new(ErrorKind::Stylesheet, "this is no name test").found(word).at(module.place(attribute));
                    self.error(error);
                    return None;
                }
            },
        };
        let prefix_id = self.names.string(prefix);
        let uri = if prefix.is_empty() { Some(StringId::EMPTY) } else { module.tree.resolve(element, prefix_id) };
        let Some(uri) = uri else {
            let error = Error::new(ErrorKind::Stylesheet, "a prefix that is not declared").found(word).at(module.place(attribute));
            self.error(error);
            return None;
        };
        Some(match local {
            None => (Test::Namespace(uri), -0.25),
            Some(local) => {
                let local = self.names.string(local);
                (Test::Name(self.names.expanded(uri, local)), 0.0)
            }
        })
    }

    fn decimal_format(&mut self, item: &TopLevel, formats: &mut HashMap<Option<NameId>, (Symbols, u32)>) {
        let (module, element) = (&item.module, item.element);
        self.check_empty(module, element, "decimal-format");
        let name = match self.attribute(module, element, "name") {
            Some(attribute) => match self.qname(module, element, attribute) {
                Some(name) => Some(name),
                None => return,
            },
            None => None,
        };
        let mut symbols = Symbols::default();
        let mut texts =
            |name: &str| self.attribute(module, element, name).map(|attribute| (attribute, module.tree.value(attribute).to_owned()));
        let (infinity, not_a_number) = (texts("infinity"), texts("NaN"));
        if let Some((_, text)) = infinity {
            symbols.infinity = text;
        }
        if let Some((_, text)) = not_a_number {
            symbols.not_a_number = text;
        }
        let characters: [(&str, &mut char); 8] = [
            ("decimal-separator", &mut symbols.decimal_separator),
            ("grouping-separator", &mut symbols.grouping_separator),
            ("minus-sign", &mut symbols.minus_sign),
            ("percent", &mut symbols.percent),
            ("per-mille", &mut symbols.per_mille),
            ("zero-digit", &mut symbols.zero_digit),
            ("digit", &mut symbols.digit),
            ("pattern-separator", &mut symbols.pattern_separator),
        ];
        for (name, target) in characters {
            let Some(attribute) = self.attribute(module, element, name) else { continue };
            let text = module.tree.value(attribute);
            let mut found = text.chars();
            match (found.next(), found.next()) {
                (Some(single), None) => *target = single,
                _ => {
                    let error = Error::new(ErrorKind::Stylesheet, format!("{name} of xsl:decimal-format is one character"))
                        .found(text)
                        .at(module.place(attribute));
                    self.error(error);
                }
            }
        }
        let roles = [
            symbols.decimal_separator,
            symbols.grouping_separator,
            symbols.percent,
            symbols.per_mille,
            symbols.zero_digit,
            symbols.digit,
            symbols.pattern_separator,
        ];
        if (1..roles.len()).any(|index| roles[..index].contains(&roles[index])) {
            self.fault(module, element, "xsl:decimal-format gives one character two meanings");
        }
        match formats.get(&name) {
            Some((known, precedence)) if *precedence == item.precedence && *known != symbols => {
                self.fault(module, element, "two xsl:decimal-format of the same name differ");
            }
            Some((_, precedence)) if *precedence > item.precedence => {}
            _ => {
                formats.insert(name, (symbols, item.precedence));
            }
        }
    }

    fn output(&mut self, item: &TopLevel, chosen: &mut Chosen, cdata: &mut Vec<NameId>) {
        const NAMES: [&str; 9] = [
            "method",
            "version",
            "encoding",
            "omit-xml-declaration",
            "standalone",
            "doctype-public",
            "doctype-system",
            "indent",
            "media-type",
        ];
        let (module, element) = (&item.module, item.element);
        self.check_empty(module, element, "output");
        for name in NAMES {
            let Some(attribute) = self.attribute(module, element, name) else { continue };
            let text = module.tree.value(attribute);
            let text = if name.starts_with("doctype") { text } else { trim(text) }.to_owned();
            let wrong = match name {
                "omit-xml-declaration" | "standalone" | "indent" if !matches!(text.as_str(), "yes" | "no") => Some("yes or no"),
                "method" if !matches!(text.as_str(), "xml" | "html" | "text") => {
                    if text.contains(':') && crate::name::split_qname(&text).is_some() {
                        self.warn(
                            "an output method of an extension is not known: xml is used",
                            module.place(attribute),
                            "use xml, html or text",
                        );
                        continue;
                    }
                    Some("xml, html or text")
                }
                _ => None,
            };
            if let Some(expected) = wrong {
                let mut error = Error::new(ErrorKind::Stylesheet, format!("a wrong value of {name} on xsl:output"))
                    .found(text.clone())
                    .expected(expected);
                if text == "xhtml" {
                    error = error.hint("the method xhtml is of XSLT 2");
                }
                if item.inherited.forwards {
                    continue;
                }
                self.error(error.at(module.place(attribute)));
                continue;
            }
            if name == "encoding" && !crate::serialise::sink::is_known(&text) {
                self.warn(
                    format!("the output encoding {text} is not known: utf-8 is used"),
                    module.place(attribute),
                    "use a name of the WHATWG list",
                );
                continue;
            }
            match chosen.values.get(name) {
                Some((_, precedence)) if *precedence > item.precedence => {}
                _ => {
                    chosen.values.insert(name, (text, item.precedence));
                }
            }
        }
        if let Some(attribute) = self.attribute(module, element, "cdata-section-elements") {
            for word in module.tree.value(attribute).split_ascii_whitespace().map(str::to_owned).collect::<Vec<_>>() {
                let Some((prefix, local)) = crate::name::split_qname(&word) else {
                    let error = Error::new(ErrorKind::Stylesheet, "this is no qualified name").found(word).at(module.place(attribute));
                    self.error(error);
                    continue;
                };
                // Element names: the default namespace counts (section 16.1).
                let prefix = self.names.string(prefix);
                let local = self.names.string(local);
                match module.tree.resolve(element, prefix) {
                    Some(uri) => cdata.push(self.names.expanded(uri, local)),
                    None => {
                        let error =
                            Error::new(ErrorKind::Stylesheet, "a prefix that is not declared").found(word).at(module.place(attribute));
                        self.error(error);
                    }
                }
            }
        }
    }

    fn output_options(&self, mut chosen: Chosen, cdata: Vec<NameId>) -> OutputOptions {
        let mut take = |name: &str| chosen.values.remove(name).map(|(text, _)| text);
        let yes = |text: String| text == "yes";
        OutputOptions {
            method: take("method").and_then(|text| match text.as_str() {
                "xml" => Some(OutputMethod::Xml),
                "html" => Some(OutputMethod::Html),
                "text" => Some(OutputMethod::Text),
                _ => None,
            }),
            version: take("version"),
            encoding: take("encoding"),
            omit_declaration: take("omit-xml-declaration").map(yes),
            standalone: take("standalone").map(yes),
            doctype_public: take("doctype-public").filter(|text| !text.is_empty()),
            doctype_system: take("doctype-system").filter(|text| !text.is_empty()),
            cdata: cdata.into_iter().collect(),
            indent: take("indent").map(yes),
            media_type: take("media-type"),
        }
    }

    /// The attribute sets an element uses; those that exist.
    pub(crate) fn used_sets(&mut self, module: &Module, element: u32, literal: bool) -> Vec<NameId> {
        let attribute = if literal {
            self.xsl_attribute(module, element, "use-attribute-sets")
        } else {
            self.attribute(module, element, "use-attribute-sets")
        };
        let Some(attribute) = attribute else { return Vec::new() };
        let mut used = Vec::new();
        for word in module.tree.value(attribute).split_ascii_whitespace().map(str::to_owned).collect::<Vec<_>>() {
            let Some((prefix, local)) = crate::name::split_qname(&word) else {
                let error = Error::new(ErrorKind::Stylesheet, "this is no qualified name").found(word).at(module.place(attribute));
                self.error(error);
                continue;
            };
            let prefix_id = self.names.string(prefix);
            let uri = if prefix.is_empty() { Some(StringId::EMPTY) } else { module.tree.resolve(element, prefix_id) };
            let local = self.names.string(local);
            let name = uri.map(|uri| self.names.expanded(uri, local));
            match name {
                Some(name) if self.attribute_set_names.contains(&name) => used.push(name),
                _ => {
                    let error =
                        Error::new(ErrorKind::Stylesheet, "an attribute set that is not declared").found(word).at(module.place(attribute));
                    self.error(error);
                }
            }
        }
        used
    }

    /// A top-level or local value: select or content (section 11.2).
    pub(crate) fn binding(&mut self, module: &Rc<Module>, element: u32, inherited: &Inherited) -> Binding {
        let select = self.attribute(module, element, "select");
        let has_content = module.tree.children(element).any(|child| matches!(module.tree.kind(child), Kind::Element | Kind::Text));
        match select {
            Some(attribute) => {
                if has_content {
                    self.fault(module, element, "a variable has both select and content");
                }
                match self.expression(module, element, attribute, Use::Ordinary, inherited.forwards) {
                    Some(expression) => Binding::Select(expression),
                    None => Binding::Empty,
                }
            }
            None if has_content => {
                let lexical = std::mem::take(&mut self.lexical);
                let body = self.body(module, element, inherited);
                self.lexical = lexical;
                Binding::Content(body)
            }
            None => Binding::Empty,
        }
    }
}
