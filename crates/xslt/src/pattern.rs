//! Match patterns (XSLT 1.0, section 5.2): read from the left, tried from the right.

use std::rc::Rc;

use crate::error::{Error, ErrorKind, Result};
use crate::name::{NameId, StringId, split_qname};
use crate::run::{Context, Run};
use crate::tree::Kind;
use crate::tree::node::Node;
use crate::xpath::expression::{Axis, Expression, Predicate, Step, Test};
use crate::xpath::function::Function;
use crate::xpath::lexer::{At, Token};
use crate::xpath::parse::{Environment, Reader};

/// Where the leftmost step begins.
#[derive(Debug)]
pub(crate) enum Origin {
    /// Anywhere.
    Any,
    /// `/`
    Root,
    /// `id('…')`
    Id(String),
    /// `key('…', '…')`
    Key(NameId, String),
}

#[derive(Debug)]
pub(crate) struct PatternStep {
    pub(crate) step: Step,
    /// Whether `//` stands before it: any ancestor may be what is left of it.
    pub(crate) after_any: bool,
    /// Numbered when the nodes it selects under one parent may be remembered.
    remembered: Option<u32>,
    /// Whether a predicate names a variable: what it matches is not the same each time.
    varies: bool,
}

/// One alternative.
#[derive(Debug)]
pub(crate) struct Pattern {
    pub(crate) origin: Origin,
    /// The rightmost first.
    pub(crate) steps: Vec<PatternStep>,
}

fn fault(message: &str) -> Error {
    Error::new(ErrorKind::Expression, message)
}

/// Reads a pattern; `next_number` numbers the steps whose selections can be remembered.
pub(crate) fn parse(text: &str, environment: &mut dyn Environment, next_number: &mut u32) -> At<Vec<Pattern>> {
    let mut reader = Reader::new(text, environment)?;
    let mut alternatives = Vec::new();
    loop {
        alternatives.push(alternative(&mut reader, next_number)?);
        if !reader.take("|") {
            break;
        }
    }
    if *reader.peek() != Token::End {
        return Err(reader.unexpected("\"|\" or the end of the pattern"));
    }
    Ok(alternatives)
}

fn alternative(reader: &mut Reader, next_number: &mut u32) -> At<Pattern> {
    let mut origin = Origin::Any;
    let mut after_any = false;
    let mut must_step = true;
    if reader.take("//") {
        origin = Origin::Root;
        after_any = true;
    } else if reader.take("/") {
        origin = Origin::Root;
        must_step = !matches!(reader.peek(), Token::End | Token::Symbol("|"));
    } else if let Some(found) = identified(reader)? {
        origin = found;
        must_step = if reader.take("//") {
            after_any = true;
            true
        } else {
            reader.take("/")
        };
    }
    let mut steps = Vec::new();
    while must_step {
        steps.push(pattern_step(reader, after_any, next_number)?);
        after_any = reader.is("//");
        must_step = reader.take("//") || reader.take("/");
    }
    steps.reverse();
    Ok(Pattern { origin, steps })
}

/// `id('…')` or `key('…', '…')`.
fn identified(reader: &mut Reader) -> At<Option<Origin>> {
    let at = reader.at();
    let name = match (reader.peek(), reader.ahead(1)) {
        (Token::Name("", name @ ("id" | "key")), Token::Symbol("(")) => *name,
        _ => return Ok(None),
    };
    let function = if name == "id" { Function::Id } else { Function::Key };
    if let Some(reason) = reader.environment.forbidden(function) {
        return Err((at, fault(reason).found(name)));
    }
    reader.next();
    reader.next();
    let first = literal(reader)?;
    if name == "id" {
        reader.expect(")")?;
        return Ok(Some(Origin::Id(first)));
    }
    reader.expect(",")?;
    let second = literal(reader)?;
    reader.expect(")")?;
    let Some((prefix, local)) = split_qname(&first) else { return Err((at, fault("the name of a key is no name").found(first))) };
    let uri = if prefix.is_empty() { StringId::EMPTY } else { reader.resolve(prefix, at)? };
    let names = reader.environment.names();
    let local = names.string(local);
    Ok(Some(Origin::Key(names.expanded(uri, local), second)))
}

fn literal(reader: &mut Reader) -> At<String> {
    match reader.peek() {
        Token::Literal(text) => {
            let text = (*text).to_owned();
            reader.next();
            Ok(text)
        }
        _ => Err(reader.unexpected("a literal, as patterns allow nothing else here")),
    }
}

fn pattern_step(reader: &mut Reader, after_any: bool, next_number: &mut u32) -> At<PatternStep> {
    let at = reader.at();
    let axis = reader.axis()?;
    if !matches!(axis, Axis::Child | Axis::Attribute) {
        return Err((
            at,
            fault("a pattern has steps of two axes only").expected("child:: or attribute::").hint("put other axes into a predicate"),
        ));
    }
    let test = reader.test()?;
    let predicates = reader.predicates()?;
    let mut varies = false;
    for predicate in &predicates {
        if let Predicate::Free(inner) | Predicate::General(inner) = predicate {
            inner.visit(&mut |expression| varies |= matches!(expression, Expression::Variable(_)));
        }
    }
    let remembered = (!varies && !predicates.iter().all(Predicate::is_free)).then(|| {
        *next_number += 1;
        *next_number - 1
    });
    Ok(PatternStep { step: Step { axis, test, predicates }, after_any, remembered, varies })
}

impl Pattern {
    /// The priority when none is given (XSLT 1.0, section 5.5).
    pub(crate) fn default_priority(&self) -> f64 {
        match (&self.origin, &self.steps[..]) {
            (Origin::Any, [single]) if single.step.predicates.is_empty() => match single.step.test {
                Test::Name(_) | Test::Instruction(Some(_)) => 0.0,
                Test::Namespace(_) => -0.25,
                _ => -0.5,
            },
            _ => 0.5,
        }
    }

    /// Whether it may match a node at one time and not at another.
    pub(crate) fn varies(&self) -> bool {
        self.steps.iter().any(|step| step.varies)
    }

    /// The kinds of nodes it can match, and the name if it asks for one.
    pub(crate) fn subject(&self) -> (Vec<Kind>, Option<NameId>) {
        let Some(last) = self.steps.first() else {
            // `/` alone, or id() and key() alone, which give elements (id) or anything (key).
            return match self.origin {
                Origin::Root => (vec![Kind::Root], None),
                Origin::Id(_) => (vec![Kind::Element], None),
                _ => (vec![Kind::Root, Kind::Element, Kind::Attribute, Kind::Text, Kind::Comment, Kind::Instruction], None),
            };
        };
        let principal = if last.step.axis == Axis::Attribute { Kind::Attribute } else { Kind::Element };
        match last.step.test {
            Test::Name(name) => (vec![principal], Some(name)),
            Test::Any | Test::Namespace(_) => (vec![principal], None),
            Test::Node if principal == Kind::Attribute => (vec![Kind::Attribute], None),
            Test::Node => (vec![Kind::Element, Kind::Text, Kind::Comment, Kind::Instruction], None),
            Test::Text => (vec![Kind::Text], None),
            Test::Comment => (vec![Kind::Comment], None),
            Test::Instruction(_) => (vec![Kind::Instruction], None),
        }
    }
}

impl Run<'_> {
    /// Whether a node matches.
    pub(crate) fn matches(&mut self, pattern: &Pattern, node: Node) -> Result<bool> {
        self.matches_from(pattern, 0, node)
    }

    fn matches_from(&mut self, pattern: &Pattern, index: usize, node: Node) -> Result<bool> {
        let Some(step) = pattern.steps.get(index) else { return self.is_origin(&pattern.origin, node) };
        if !self.matches_step(step, node)? {
            return Ok(false);
        }
        if pattern.steps.len() == index + 1 && matches!(pattern.origin, Origin::Any) {
            return Ok(true);
        }
        let mut at = node;
        loop {
            if at.id() == 0 {
                return Ok(false);
            }
            at = at.with(self.tree_ref(at).parent(at.id()));
            self.charge(1)?;
            if self.matches_from(pattern, index + 1, at)? {
                return Ok(true);
            }
            if !step.after_any {
                return Ok(false);
            }
        }
    }

    fn is_origin(&mut self, origin: &Origin, node: Node) -> Result<bool> {
        match origin {
            Origin::Any => Ok(true),
            Origin::Root => Ok(node.id() == 0 && !node.is_namespace()),
            Origin::Id(values) => Ok(self.by_ids(node, values).contains(&node)),
            Origin::Key(name, value) => Ok(self.key_lookup(*name, node.tree(), value)?.contains(&node)),
        }
    }

    fn matches_step(&mut self, step: &PatternStep, node: Node) -> Result<bool> {
        if node.is_namespace() || node.id() == 0 {
            return Ok(false);
        }
        let is_attribute = self.tree_ref(node).is(node.id(), Kind::Attribute);
        let principal = match (step.step.axis, is_attribute) {
            (Axis::Attribute, true) => Kind::Attribute,
            (Axis::Child, false) => Kind::Element,
            _ => return Ok(false),
        };
        if !self.node_passes(node, principal, step.step.test) {
            return Ok(false);
        }
        if step.step.predicates.is_empty() {
            return Ok(true);
        }
        let parent = node.with(self.tree_ref(node).parent(node.id()));
        if step.step.predicates.iter().all(Predicate::is_free) {
            let context = Context { node, position: 1, size: 1, current: node };
            for predicate in &step.step.predicates {
                if let Predicate::Free(condition) = predicate
                    && !self.boolean(condition, &context)?
                {
                    return Ok(false);
                }
            }
            return Ok(true);
        }
        // Positions count among the nodes that the step selects from the parent (section 5.2).
        if let Some(number) = step.remembered
            && let Some((known, selected)) = self.remembered.get(&number)
            && *known == parent
        {
            return Ok(selected.binary_search(&node).is_ok());
        }
        let context = Context { node: parent, position: 1, size: 1, current: node };
        let selected = Rc::new(self.step_from(&step.step, parent, &context)?);
        let found = selected.binary_search(&node).is_ok();
        if let Some(number) = step.remembered {
            self.remembered.insert(number, (parent, selected));
        }
        Ok(found)
    }
}

#[cfg(test)]
mod tests {
    use crate::testing::transform;

    const INPUT: &str = r#"<r><a id="x"><b/><b k="1"/><c><b/></c></a><b/></r>"#;

    /// The positions, in document order, of the elements `b` that a pattern matches.
    fn matched(pattern: &str) -> String {
        let body = format!(
            r#"<xsl:output method="text"/><xsl:key name="k" match="b" use="@k"/><xsl:template match="/"><xsl:apply-templates select="//b"/></xsl:template>
            <xsl:template match="{pattern}" priority="9"><xsl:value-of select="count(preceding::b) + 1"/></xsl:template><xsl:template match="b"/>"#
        );
        transform(&body, INPUT).expect(pattern)
    }

    #[test]
    fn patterns_match_what_their_steps_select() {
        for (pattern, positions) in [
            ("b", "1234"),
            ("*", "1234"),
            ("node()", "1234"),
            ("a/b", "12"),
            ("a//b", "123"),
            ("/r/b", "4"),
            ("//b", "1234"),
            ("r/b | c/b", "34"),
            ("b[1]", "134"),
            ("b[2]", "2"),
            ("b[last()]", "234"),
            ("b[@k]", "2"),
            ("b[@k][1]", "2"),
            ("b[1][@k]", ""),
            ("a[b/@k]/b", "12"),
            ("r//c/b", "3"),
            ("a/*", "12"),
            ("b[position() = 1]", "134"),
            ("key('k', '1')", "2"),
            ("/*/*/*", "12"),
            ("text()", ""),
        ] {
            assert_eq!(matched(pattern), positions, "{pattern}");
        }
    }

    #[test]
    fn of_several_matches_the_priority_decides_then_the_order() {
        let choose = |templates: &str| transform(&format!(r#"<xsl:output method="text"/>{templates}"#), "<a b='1'/>").expect("good");
        assert_eq!(choose(r#"<xsl:template match="a">name</xsl:template><xsl:template match="*">any</xsl:template>"#), "name");
        assert_eq!(
            choose(r#"<xsl:template match="a[@b]">predicate</xsl:template><xsl:template match="a">name</xsl:template>"#),
            "predicate"
        );
        assert_eq!(choose(r#"<xsl:template match="a">first</xsl:template><xsl:template match="a">last</xsl:template>"#), "last");
        assert_eq!(
            choose(r#"<xsl:template match="a" priority="1">given</xsl:template><xsl:template match="/a">path</xsl:template>"#),
            "given"
        );
    }
}
