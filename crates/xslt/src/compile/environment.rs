//! What names mean where an expression, pattern or value template stands in a stylesheet.

use std::sync::Arc;

use super::Compiler;
use super::module::Module;
use crate::error::Error;
use crate::name::{Names, StringId};
use crate::pattern::Pattern;
use crate::sheet::{Part, ValueTemplate};
use crate::xpath::expression::{Expression, Namespaces, Slot};
use crate::xpath::function::Function;
use crate::xpath::parse::Environment;

/// What kind of expression it is.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Use {
    Ordinary,
    /// `match` of a template: no variables, no `current()`.
    MatchPattern,
    /// `match` and `use` of a key: no variables, no `key()`.
    Key,
    /// `count` and `from`: a pattern, with variables.
    CountPattern,
}

struct Surroundings<'c, 'r> {
    compiler: &'c mut Compiler<'r>,
    module: &'c Module,
    element: u32,
    purpose: Use,
    forwards: bool,
}

impl Environment for Surroundings<'_, '_> {
    fn names(&mut self) -> &mut Names {
        &mut self.compiler.names
    }

    fn namespace(&mut self, prefix: &str) -> Option<StringId> {
        let prefix = self.compiler.names.string(prefix);
        self.module.tree.resolve(self.element, prefix)
    }

    fn namespaces(&mut self) -> Namespaces {
        Arc::new(self.module.tree.namespaces(self.element))
    }

    fn base(&mut self) -> Arc<str> {
        self.module.uri.clone()
    }

    fn variable(&mut self, uri: StringId, local: &str) -> Option<Slot> {
        if matches!(self.purpose, Use::MatchPattern | Use::Key) {
            return None;
        }
        let local = self.compiler.names.string(local);
        let name = self.compiler.names.expanded(uri, local);
        self.compiler.find_variable(name)
    }

    fn variables(&mut self) -> Vec<String> {
        if matches!(self.purpose, Use::MatchPattern | Use::Key) {
            return Vec::new();
        }
        let locals = self.compiler.locals.iter().map(|&(name, _)| name);
        let globals = self.compiler.global_names.keys().copied();
        locals.chain(globals).map(|name| self.compiler.names.text(self.compiler.names.local(name)).to_owned()).collect()
    }

    fn forbidden(&mut self, function: Function) -> Option<&'static str> {
        match (self.purpose, function) {
            (Use::MatchPattern | Use::CountPattern, Function::Current) => Some("current() cannot be used in a pattern"),
            (Use::Key, Function::Key) => Some("a key cannot be defined by key()"),
            _ => None,
        }
    }

    fn forwards(&self) -> bool {
        self.forwards
    }
}

impl Compiler<'_> {
    /// The expression in an attribute; `None` after an error.
    pub(crate) fn expression(&mut self, module: &Module, element: u32, attribute: u32, purpose: Use, forwards: bool) -> Option<Expression> {
        let text = module.tree.value(attribute).to_owned();
        self.expression_text(module, element, attribute, &text, 0, purpose, forwards)
    }

    fn expression_text(
        &mut self,
        module: &Module,
        element: u32,
        attribute: u32,
        text: &str,
        start: usize,
        purpose: Use,
        forwards: bool,
    ) -> Option<Expression> {
        let mut surroundings = Surroundings { compiler: self, module, element, purpose, forwards };
        let outcome = crate::xpath::parse::parse(text, &mut surroundings);
        match outcome {
            Ok(expression) => Some(expression),
            Err((offset, error)) if forwards => {
                // Only an error if it is evaluated (section 2.5).
                let place = module.place_in(attribute, start + offset);
                self.warn(format!("this fails when it is evaluated: {}", error.message), place.clone(), "this is XPath 1.0");
                Some(Expression::Fail(Box::new(error.at(place))))
            }
            Err((offset, error)) => {
                let place = module.place_in(attribute, start + offset);
                self.error(error.at(place));
                None
            }
        }
    }

    /// The pattern in an attribute.
    pub(crate) fn pattern(&mut self, module: &Module, element: u32, attribute: u32, purpose: Use, forwards: bool) -> Option<Vec<Pattern>> {
        let text = module.tree.value(attribute).to_owned();
        let mut number = self.pattern_steps;
        let mut surroundings = Surroundings { compiler: self, module, element, purpose, forwards };
        let outcome = crate::pattern::parse(&text, &mut surroundings, &mut number);
        self.pattern_steps = number;
        match outcome {
            Ok(patterns) => Some(patterns),
            Err((offset, error)) => {
                self.error(error.at(module.place_in(attribute, offset)));
                None
            }
        }
    }

    /// The attribute value template in an attribute (section 7.6.2).
    pub(crate) fn value_template(&mut self, module: &Module, element: u32, attribute: u32, forwards: bool) -> Option<ValueTemplate> {
        let text = module.tree.value(attribute).to_owned();
        if !text.contains(['{', '}']) {
            return Some(ValueTemplate::Fixed(text.into()));
        }
        let mut parts = Vec::new();
        let mut literal = String::new();
        let mut at = 0;
        while at < text.len() {
            let rest = &text[at..];
            if rest.starts_with("{{") || rest.starts_with("}}") {
                literal.push_str(&rest[..1]);
                at += 2;
            } else if rest.starts_with('}') {
                let error =
                    crate::error::Error::new(crate::error::ErrorKind::Expression, "a \"}\" without a \"{\" in an attribute value template")
                        .found(text.clone())
                        .hint("write }} for a plain \"}\"");
                self.error(error.at(module.place_in(attribute, at)));
                return None;
            } else if let Some(inner) = rest.strip_prefix('{') {
                let Some(length) = closing(inner) else {
                    let error = Error::new(crate::error::ErrorKind::Expression, "a \"{\" without a \"}\" in an attribute value template")
                        .found(text.clone())
                        .hint("write {{ for a plain \"{\"");
                    self.error(error.at(module.place_in(attribute, at)));
                    return None;
                };
                if !literal.is_empty() {
                    parts.push(Part::Text(std::mem::take(&mut literal).into()));
                }
                let inner = &text[at + 1..at + 1 + length];
                parts.push(Part::Expression(self.expression_text(module, element, attribute, inner, at + 1, Use::Ordinary, forwards)?));
                at += length + 2;
            } else {
                let end = rest.find(['{', '}']).unwrap_or(rest.len());
                literal.push_str(&rest[..end]);
                at += end;
            }
        }
        if !literal.is_empty() || parts.is_empty() {
            parts.push(Part::Text(literal.into()));
        }
        Some(match (&parts[..], parts.len()) {
            ([Part::Text(text)], 1) => ValueTemplate::Fixed(text.clone()),
            _ => ValueTemplate::Parts(parts),
        })
    }
}

/// The length up to the closing brace; braces in literals do not count.
fn closing(text: &str) -> Option<usize> {
    let mut quote = None;
    for (at, c) in text.char_indices() {
        match (quote, c) {
            (Some(open), c) if open == c => quote = None,
            (Some(_), _) => {}
            (None, '"' | '\'') => quote = Some(c),
            (None, '}') => return Some(at),
            (None, _) => {}
        }
    }
    None
}
