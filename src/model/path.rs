//! Paths: where records and values stand in a document that nests, XML or JSON. A small part of XPath, with its meaning.
//!
//! ```text
//! path      = ["/" | "//"] step { ("/" | "//") step }      "//" passes over any number of levels
//! step      = "." | ".." | name { "[" predicate "]" } | "@" name
//! name      = [prefix ":"] (local | "*")                   without a prefix any namespace; 'in quotes', doubled inside, it may have any character
//! predicate = number | relative | relative "=" literal     the n-th of its name, from 1; has one; has one that equals
//! literal   = 'text' | "text"
//! ```
//!
//! `//Cube[@currency]`, `../@time`, `cac:Party/cbc:Name`, `Amt/@Ccy`, `line_items[1]/sku`. A path of values that leads to
//! more than one node is a finding, but with `//` it means the first. In JSON a
//! member is an element of its name, and an array is its items, one beside the other, each with the member's name.

use std::borrow::Cow;
use std::fmt;

/// Steps of a path, at most.
const STEPS_MAX: usize = 64;

/// A path, as written and taken apart.
#[derive(Clone, PartialEq)]
pub struct Path {
    text: String,
    /// It begins at the document, not at the record.
    pub absolute: bool,
    /// Its steps. Empty only for `.` and `/`.
    pub steps: Vec<Step>,
}

/// One step of a path.
#[derive(Clone, Debug, PartialEq)]
pub struct Step {
    /// Any number of levels may lie before it.
    pub deep: bool,
    /// What it leads to.
    pub to: To,
    /// All must hold.
    pub predicates: Vec<Predicate>,
}

/// What a step leads to.
#[derive(Clone, Debug, PartialEq)]
pub enum To {
    /// `..`
    Parent,
    /// `@name`
    Attribute(Name),
    /// `name`
    Element(Name),
}

/// A name to compare with.
#[derive(Clone, Debug, PartialEq)]
pub struct Name {
    /// Its prefix, which the format's `namespaces` declare; `None` matches any namespace.
    pub prefix: Option<String>,
    /// The name itself; `*` matches any.
    pub local: String,
    /// Case, spaces and underscores make no difference.
    pub loose: bool,
}

/// A condition of a step.
#[derive(Clone, Debug, PartialEq)]
pub enum Predicate {
    /// The n-th of those that the step leads to, from 1.
    Position(u32),
    /// It has one.
    Has(Path),
    /// It has one whose text is this.
    Equals(Path, String),
}

impl Path {
    /// Takes a path apart. The error says what is wrong, lower case, no full stop.
    pub fn parse(text: &str) -> Result<Path, String> {
        let mut parser = Parser { rest: text.trim(), nested: false };
        let mut path = parser.path()?;
        if !parser.rest.is_empty() {
            return Err(format!("\"{}\" is not understood", parser.rest));
        }
        path.text = text.trim().to_owned();
        Ok(path)
    }

    /// The path of one element that is called so, give or take case, spaces and underscores.
    pub fn element(name: &str) -> Path {
        Path::of(name, To::Element(Name { prefix: None, local: name.trim().to_owned(), loose: true }))
    }

    /// The path of one attribute that is called so, give or take case, spaces and underscores.
    pub fn attribute(name: &str) -> Path {
        Path::of(name, To::Attribute(Name { prefix: None, local: name.trim().to_owned(), loose: true }))
    }

    fn of(name: &str, to: To) -> Path {
        Path { text: name.trim().to_owned(), absolute: false, steps: vec![Step { deep: false, to, predicates: Vec::new() }] }
    }

    /// The whole document.
    pub fn whole() -> Path {
        Path::absolute(Vec::new())
    }

    /// A path of these steps from the document on.
    pub fn absolute(steps: Vec<Step>) -> Path {
        Path { text: "/".into(), absolute: true, steps }
    }

    /// A path of these steps from where it begins.
    pub fn relative(steps: Vec<Step>) -> Path {
        Path { text: ".".into(), absolute: false, steps }
    }

    /// A name as a step of a path: in quotes where something in it has a meaning there.
    pub fn step_of(name: &str) -> Cow<'_, str> {
        let means = name.contains(['/', '@', '[', ']', ':', '*', '"', '='])
            || name.starts_with(['.', '\''])
            || name.trim() != name
            || name.is_empty();
        if means { Cow::Owned(format!("'{}'", name.replace('\'', "''"))) } else { Cow::Borrowed(name) }
    }

    /// As written.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The same path, called as the record calls it in which that of `place` is nested: so two places with values of one name are told apart.
    #[must_use]
    pub fn seen_from_outside(self, place: &Path) -> Path {
        if self.absolute {
            return self;
        }
        Path { text: format!("{}/{}", place.text, self.text), ..self }
    }

    /// All names in it, those of its conditions too.
    pub fn names(&self) -> Vec<&Name> {
        let mut names = Vec::new();
        for step in &self.steps {
            match &step.to {
                To::Element(name) | To::Attribute(name) => names.push(name),
                To::Parent => {}
            }
            for predicate in &step.predicates {
                match predicate {
                    Predicate::Has(path) | Predicate::Equals(path, _) => names.extend(path.names()),
                    Predicate::Position(_) => {}
                }
            }
        }
        names
    }

    /// An attribute that it asks for, in its conditions too.
    pub fn attribute_asked_for(&self) -> Option<&Name> {
        self.steps.iter().find_map(|step| match &step.to {
            To::Attribute(name) => Some(name),
            _ => step.predicates.iter().find_map(|predicate| match predicate {
                Predicate::Has(path) | Predicate::Equals(path, _) => path.attribute_asked_for(),
                Predicate::Position(_) => None,
            }),
        })
    }

    /// Whether it may lead out of the record that it begins at.
    pub fn leaves_the_record(&self) -> bool {
        let inner = |predicate: &Predicate| match predicate {
            Predicate::Position(_) => false,
            Predicate::Has(path) | Predicate::Equals(path, _) => path.leaves_the_record(),
        };
        self.absolute || self.steps.iter().any(|step| step.to == To::Parent || step.predicates.iter().any(inner))
    }
}

impl fmt::Debug for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Path({})", self.text)
    }
}

impl fmt::Display for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

struct Parser<'a> {
    rest: &'a str,
    /// Inside a predicate there are no predicates.
    nested: bool,
}

impl Parser<'_> {
    fn take(&mut self, token: &str) -> bool {
        let found = self.rest.strip_prefix(token);
        self.rest = found.unwrap_or(self.rest);
        found.is_some()
    }

    fn path(&mut self) -> Result<Path, String> {
        let (begin, mut steps) = (self.rest, Vec::new());
        let mut deep = self.take("//");
        let absolute = deep || self.take("/");
        if !(absolute && !deep && self.rest.is_empty()) {
            loop {
                if !self.take_own() {
                    steps.push(self.step(deep)?);
                } else if deep {
                    return Err("\"//.\" leads nowhere".into());
                }
                if steps.len() > STEPS_MAX {
                    return Err(format!("a path has at most {STEPS_MAX} steps"));
                }
                deep = self.take("//");
                if !deep && !self.take("/") {
                    break;
                }
            }
        }
        let end = steps.iter().position(|step| matches!(step.to, To::Attribute(_)));
        if end.is_some_and(|at| at + 1 < steps.len()) {
            return Err("nothing follows an attribute".into());
        }
        let text = begin[..begin.len() - self.rest.len()].to_owned();
        Ok(Path { text, absolute, steps })
    }

    fn take_own(&mut self) -> bool {
        let own = self.rest.strip_prefix('.').filter(|rest| !rest.starts_with('.'));
        self.rest = own.unwrap_or(self.rest);
        own.is_some()
    }

    fn step(&mut self, deep: bool) -> Result<Step, String> {
        let to = if self.take("..") {
            To::Parent
        } else if self.take("@") {
            To::Attribute(self.name()?)
        } else {
            To::Element(self.name()?)
        };
        let mut predicates = Vec::new();
        while self.take("[") {
            if self.nested {
                return Err("no condition stands inside a condition".into());
            }
            self.nested = true;
            predicates.push(self.predicate()?);
            self.nested = false;
            if !self.take("]") {
                return Err(format!("expected \"]\" before \"{}\"", self.rest));
            }
        }
        Ok(Step { deep, to, predicates })
    }

    fn predicate(&mut self) -> Result<Predicate, String> {
        self.space();
        let digits = self.rest.bytes().take_while(u8::is_ascii_digit).count();
        if digits > 0 {
            let number = self.rest[..digits].parse().ok().filter(|number| *number > 0);
            self.rest = &self.rest[digits..];
            self.space();
            return number.map(Predicate::Position).ok_or_else(|| "positions count from 1".into());
        }
        let path = self.path()?;
        self.space();
        if !self.take("=") {
            return Ok(Predicate::Has(path));
        }
        self.space();
        let quote = self.rest.chars().next().filter(|quote| *quote == '\'' || *quote == '"');
        let quote = quote.ok_or("a condition compares with text in quotes")?;
        let (literal, rest) = self.rest[1..].split_once(quote).ok_or("a quote is never closed")?;
        self.rest = rest;
        self.space();
        Ok(Predicate::Equals(path, literal.to_owned()))
    }

    fn space(&mut self) {
        self.rest = self.rest.trim_start();
    }

    fn name(&mut self) -> Result<Name, String> {
        if self.take("*") {
            return Ok(Name { prefix: None, local: "*".into(), loose: false });
        }
        let one = |rest: &mut &str| {
            // JSON members may have almost any name; what has a meaning in a path stands in quotes.
            if let Some(quoted) = rest.strip_prefix('\'') {
                let (mut name, mut after) =
                    quoted.split_once('\'').ok_or("a quote is never closed").map(|(name, after)| (name.to_owned(), after))?;
                while let Some(more) = after.strip_prefix('\'') {
                    let (part, behind) = more.split_once('\'').ok_or("a quote is never closed")?;
                    name.extend(["'", part]);
                    after = behind;
                }
                *rest = after;
                return Ok(name);
            }
            let end = rest.find(|c: char| "/[]@=:\"*".contains(c) || (c.is_whitespace() && self.nested)).unwrap_or(rest.len());
            let (name, after) = rest.split_at(end);
            *rest = after;
            let name = name.trim();
            if name.is_empty() { Err(format!("a name is missing before \"{rest}\"")) } else { Ok(name.to_owned()) }
        };
        let mut rest = self.rest;
        let first = one(&mut rest)?;
        let name = match rest.strip_prefix(':') {
            Some(after) if after.starts_with('*') => {
                rest = &after[1..];
                Name { prefix: Some(first), local: "*".into(), loose: false }
            }
            Some(after) => {
                rest = after;
                Name { prefix: Some(first), local: one(&mut rest)?, loose: false }
            }
            None => Name { prefix: None, local: first, loose: false },
        };
        self.rest = rest;
        Ok(name)
    }
}

impl Name {
    /// Whether an element or attribute of this name is meant, namespaces apart.
    #[inline]
    pub fn is(&self, local: &str) -> bool {
        // Most names differ in their first letter.
        if let (Some(one), Some(other)) = (self.local.as_bytes().first(), local.as_bytes().first())
            && one.is_ascii_alphabetic()
            && other.is_ascii_alphabetic()
            && !one.eq_ignore_ascii_case(other)
        {
            return false;
        }
        self.local == local
            || self.local == "*"
            || (self.loose && (alike(&self.local, local) || plain_name(local).is_some_and(|local| alike(&self.local, &local))))
    }
}

/// The name that XML cannot hold and has as this one: `a_x0026_b` is `a&b`, as .NET writes it. `None` when nothing of it is written so.
pub fn plain_name(name: &str) -> Option<String> {
    if !name.contains("_x") {
        return None;
    }
    let (mut rest, mut plain) = (name, String::new());
    while let Some(at) = rest.find("_x") {
        let (before, code) = rest.split_at(at);
        let written = |count: usize| {
            let digits = code.get(2..2 + count).filter(|digits| digits.bytes().all(|digit| digit.is_ascii_hexdigit()))?;
            let after = code[2 + count..].strip_prefix('_')?;
            Some((char::from_u32(u32::from_str_radix(digits, 16).ok()?)?, after))
        };
        plain.push_str(before);
        match written(4).or_else(|| written(8)) {
            Some((character, after)) => {
                plain.push(character);
                rest = after;
            }
            None => {
                plain.push_str("_x");
                rest = &code[2..];
            }
        }
    }
    plain.push_str(rest);
    (plain != name).then_some(plain)
}

/// Whether two names are equal, give or take case, spaces, underscores and line ends. Most that differ do so at once: it is asked for every name of a record.
pub fn alike(one: &str, other: &str) -> bool {
    let (mut left, mut right) = (one.as_bytes(), other.as_bytes());
    loop {
        while let [b' ' | b'_' | b'\r' | b'\n', rest @ ..] = left {
            left = rest;
        }
        while let [b' ' | b'_' | b'\r' | b'\n', rest @ ..] = right {
            right = rest;
        }
        match (left, right) {
            ([], []) => return true,
            ([a, ..], _) if !a.is_ascii() => return alike_in_any_script(one, other),
            (_, [b, ..]) if !b.is_ascii() => return alike_in_any_script(one, other),
            ([a, after @ ..], [b, behind @ ..]) if a.eq_ignore_ascii_case(b) => (left, right) = (after, behind),
            _ => return false,
        }
    }
}

fn alike_in_any_script(one: &str, other: &str) -> bool {
    let plain = |text: &str| {
        text.chars().filter(|c| !matches!(c, ' ' | '_' | '\r' | '\n' | '\u{a0}')).flat_map(char::to_lowercase).collect::<Vec<_>>()
    };
    plain(one) == plain(other)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn paths_are_taken_apart_as_written() {
        let path = Path::parse("//Cube[@currency]").unwrap();
        assert!(path.absolute && path.steps[0].deep);
        assert_eq!(path.steps[0].predicates.len(), 1);
        let path = Path::parse("../@time").unwrap();
        assert_eq!(path.steps[0].to, To::Parent);
        assert!(path.leaves_the_record() && !path.absolute);
        let path = Path::parse("cac:Party[2]/cbc:Name[@lang = 'nl']").unwrap();
        assert_eq!(path.steps[0].predicates, [Predicate::Position(2)]);
        assert!(matches!(&path.steps[1].predicates[0], Predicate::Equals(_, value) if value == "nl"));
        assert!(matches!(&path.steps[1].to, To::Element(Name { prefix: Some(prefix), local, .. }) if prefix == "cbc" && local == "Name"));
        assert_eq!(Path::parse(".").unwrap().steps, []);
        assert_eq!(Path::parse("line items/'a/b'").unwrap().steps.len(), 2);
        assert!(Path::parse("/").unwrap().absolute);
        assert!(matches!(&Path::parse("c/it's").unwrap().steps[1].to, To::Element(Name { local, .. }) if local == "it's"));
    }

    #[test]
    fn names_are_meant_that_xml_writes_by_number() {
        for (name, local) in [("a&b", "a_x0026_b"), ("First Name", "First_x0020_Name"), ("x", "_x0058_"), ("\u{1f600}", "_x0001F600_")] {
            let To::Element(name) = &Path::element(name).steps[0].to else { panic!("it is an element") };
            assert!(name.is(local), "{local}");
        }
        for local in ["a", "a_x26_b", "a_x0026", "a_xD800_b", "_x", "a_x002\u{e9}_"] {
            assert_eq!(plain_name(local), None, "{local}");
        }
    }

    #[test]
    fn what_is_no_path_is_told() {
        for (text, part) in [
            ("", "a name is missing"),
            ("a//", "a name is missing"),
            ("@a/b", "nothing follows"),
            ("a[0]", "from 1"),
            ("a[b=c]", "in quotes"),
            ("a[b='c]", "never closed"),
            ("a[b", "expected \"]\""),
            ("a]", "not understood"),
        ] {
            let error = Path::parse(text).unwrap_err();
            assert!(error.contains(part), "{text}: {error}");
        }
    }

    #[test]
    fn names_are_alike_without_case_spaces_and_underscores() {
        assert!(alike("Customer group_ID", "CUSTOMERGROUPID"));
        assert!(alike("Größe", "GRÖSSE") == alike("größe", "grösse"));
        assert!(!alike("CUSTOMER", "CUSTOMERS"));
        assert!(alike("Cust\r\nNo", "Cust No") && alike("Größe\n(cm)", "Größe (cm)"));
    }

    proptest! {
        #[test]
        fn any_name_is_a_step_in_quotes(name in "[-/.@\\[\\]='\"*:a1 é]{1,12}") {
            let path = Path::parse(&format!("a/{}", Path::step_of(&name))).unwrap();
            let named = matches!(&path.steps[1].to, To::Element(Name { prefix: None, local, .. }) if *local == name);
            prop_assert!(named && path.steps.len() == 2 && path.steps[1].predicates.is_empty(), "{:?}", path.steps);
        }

        #[test]
        fn hostile_text_never_panics(text in "[-/.@\\[\\]='\"*:a1 é]{0,30}") {
            let _ = Path::parse(&text);
        }
    }
}
