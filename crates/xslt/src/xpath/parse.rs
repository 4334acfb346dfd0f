//! Reads expressions (XPath 1.0, section 3) and checks what can be known: names, variables, numbers of arguments, node-sets.
//!
//! By precedence climbing: a level of parentheses costs a few frames, and the depth is bounded, so that no expression can exhaust the
//! stack.

use super::expression::{Axis, Call, Comparison, Expression, Namespaces, Operator, Path, Predicate, Slot, Start, Step, Test, Type};
use super::function::{self, Function, Signature};
use super::lexer::{At, Lexeme, Token, tokens};
use crate::error::{Error, ErrorKind};
use crate::name::{Names, StringId};

/// How deep brackets and parentheses may stand inside each other.
pub(crate) const NESTING_MAX: usize = 256;
/// How many steps a path may have.
const STEPS_MAX: usize = 1000;
/// How many operators of one precedence may follow each other.
const CHAIN_MAX: usize = 4000;

/// Where an expression stands: what its names mean.
pub(crate) trait Environment {
    fn names(&mut self) -> &mut Names;
    /// The namespace name of a prefix.
    fn namespace(&mut self, prefix: &str) -> Option<StringId>;
    /// All bindings, for functions that need them when called.
    fn namespaces(&mut self) -> Namespaces;
    /// The address of the stylesheet.
    fn base(&mut self) -> std::sync::Arc<str>;
    /// Where a variable is kept.
    fn variable(&mut self, uri: StringId, local: &str) -> Option<Slot>;
    /// Names of variables that are visible, for the hint.
    fn variables(&mut self) -> Vec<String>;
    /// Functions that may not be used here (`current()` in patterns, `key()` in keys).
    fn forbidden(&mut self, function: Function) -> Option<&'static str>;
    /// Whether errors wait until the expression is evaluated (XSLT 1.0, section 2.5).
    fn forwards(&self) -> bool;
}

/// A cursor over tokens.
pub(crate) struct Reader<'t, 'e> {
    pub(crate) text: &'t str,
    tokens: Vec<Lexeme<'t>>,
    index: usize,
    depth: usize,
    pub(crate) environment: &'e mut dyn Environment,
}

/// Reads a whole text as an expression.
pub(crate) fn parse(text: &str, environment: &mut dyn Environment) -> At<Expression> {
    let mut reader = Reader::new(text, environment)?;
    let expression = reader.expression()?;
    reader.end()?;
    Ok(expression)
}

fn fault(message: &str) -> Error {
    Error::new(ErrorKind::Expression, message)
}

impl<'t, 'e> Reader<'t, 'e> {
    pub(crate) fn new(text: &'t str, environment: &'e mut dyn Environment) -> At<Reader<'t, 'e>> {
        let reader = Reader { text, tokens: tokens(text)?, index: 0, depth: 0, environment };
        if reader.tokens.len() == 1 {
            return Err((0, fault("an expression is empty")));
        }
        Ok(reader)
    }

    pub(crate) fn peek(&self) -> &Token<'t> {
        &self.tokens[self.index].token
    }

    pub(crate) fn ahead(&self, by: usize) -> &Token<'t> {
        &self.tokens[(self.index + by).min(self.tokens.len() - 1)].token
    }

    pub(crate) fn at(&self) -> usize {
        self.tokens[self.index].at
    }

    pub(crate) fn next(&mut self) -> Token<'t> {
        let token = self.tokens[self.index].token.clone();
        self.index = (self.index + 1).min(self.tokens.len() - 1);
        token
    }

    pub(crate) fn is(&self, symbol: &str) -> bool {
        matches!(self.peek(), Token::Symbol(found) if *found == symbol)
    }

    pub(crate) fn take(&mut self, symbol: &str) -> bool {
        let found = self.is(symbol);
        if found {
            self.index += 1;
        }
        found
    }

    pub(crate) fn expect(&mut self, symbol: &'static str) -> At<()> {
        if self.take(symbol) { Ok(()) } else { Err(self.unexpected(&format!("\"{symbol}\""))) }
    }

    pub(crate) fn end(&mut self) -> At<()> {
        if *self.peek() == Token::End { Ok(()) } else { Err(self.unexpected("an operator or the end")) }
    }

    pub(crate) fn unexpected(&self, expected: &str) -> (usize, Error) {
        let at = self.at();
        let rest = &self.text[at..];
        let error = if rest.is_empty() {
            fault("the expression ends too early").found(self.text)
        } else {
            fault("this does not belong here").found(rest)
        };
        (at, error.expected(expected))
    }

    fn enter(&mut self) -> At<()> {
        self.depth += 1;
        if self.depth > NESTING_MAX {
            return Err((self.at(), Error::new(ErrorKind::Budget, format!("an expression is nested more than {NESTING_MAX} deep"))));
        }
        Ok(())
    }

    pub(crate) fn expression(&mut self) -> At<Expression> {
        self.enter()?;
        let expression = self.binary(1)?;
        self.depth -= 1;
        Ok(expression)
    }

    /// The operator at the cursor and how tight it binds.
    fn operator(&self) -> Option<(u8, Binary)> {
        Some(match self.peek() {
            Token::Or => (1, Binary::Or),
            Token::And => (2, Binary::And),
            Token::Multiply => (6, Binary::Arithmetic(Operator::Multiply)),
            Token::Divide => (6, Binary::Arithmetic(Operator::Divide)),
            Token::Remainder => (6, Binary::Arithmetic(Operator::Remainder)),
            Token::Symbol(symbol) => match *symbol {
                "=" => (3, Binary::Compare(Comparison::Equal)),
                "!=" => (3, Binary::Compare(Comparison::NotEqual)),
                "<" => (4, Binary::Compare(Comparison::Less)),
                "<=" => (4, Binary::Compare(Comparison::LessOrEqual)),
                ">" => (4, Binary::Compare(Comparison::Greater)),
                ">=" => (4, Binary::Compare(Comparison::GreaterOrEqual)),
                "+" => (5, Binary::Arithmetic(Operator::Add)),
                "-" => (5, Binary::Arithmetic(Operator::Subtract)),
                _ => return None,
            },
            _ => return None,
        })
    }

    fn binary(&mut self, least: u8) -> At<Expression> {
        let mut left = self.unary()?;
        let mut chain = 0;
        while let Some((precedence, operator)) = self.operator() {
            if precedence < least {
                break;
            }
            chain += 1;
            if chain > CHAIN_MAX {
                return Err((self.at(), Error::new(ErrorKind::Budget, format!("more than {CHAIN_MAX} operators follow each other"))));
            }
            self.next();
            let right = self.binary(precedence + 1)?;
            left = match (operator, left) {
                (Binary::Or, Expression::Or(mut list)) => {
                    list.push(right);
                    Expression::Or(list)
                }
                (Binary::And, Expression::And(mut list)) => {
                    list.push(right);
                    Expression::And(list)
                }
                (Binary::Or, left) => Expression::Or(vec![left, right]),
                (Binary::And, left) => Expression::And(vec![left, right]),
                (Binary::Compare(comparison), left) => Expression::Compare(comparison, Box::new((left, right))),
                (Binary::Arithmetic(operator), left) => Expression::Arithmetic(operator, Box::new((left, right))),
            };
        }
        Ok(left)
    }

    fn unary(&mut self) -> At<Expression> {
        let mut negations = 0usize;
        while self.take("-") {
            negations += 1;
        }
        let operand = self.union()?;
        Ok(match negations {
            0 => operand,
            // An even number of signs still makes a number of it.
            odd if odd % 2 == 1 => match operand {
                Expression::Number(value) => Expression::Number(-value),
                operand => Expression::Negate(Box::new(operand)),
            },
            _ => Expression::Negate(Box::new(Expression::Negate(Box::new(operand)))),
        })
    }

    fn union(&mut self) -> At<Expression> {
        let at = self.at();
        let first = self.path()?;
        if !self.is("|") {
            return Ok(first);
        }
        self.must_be_nodes(&first, at, "an operand of \"|\"")?;
        let mut list = vec![first];
        while self.take("|") {
            let at = self.at();
            let operand = self.path()?;
            self.must_be_nodes(&operand, at, "an operand of \"|\"")?;
            list.push(operand);
        }
        Ok(Expression::Union(list))
    }

    fn must_be_nodes(&self, expression: &Expression, at: usize, what: &str) -> At<()> {
        match expression.kind() {
            Type::Nodes | Type::Any => Ok(()),
            _ => Err((at, fault(&format!("{what} is no node-set")).found(&self.text[at..]).expected("a node-set"))),
        }
    }

    /// Whether the tokens at the cursor begin a step of a location path.
    fn begins_step(&self) -> bool {
        match self.peek() {
            Token::Star | Token::Wildcard(_) => true,
            Token::Symbol(symbol) => matches!(*symbol, "." | ".." | "@"),
            Token::Name(prefix, local) => !matches!(self.ahead(1), Token::Symbol("(")) || prefix.is_empty() && is_node_type(local),
            _ => false,
        }
    }

    fn path(&mut self) -> At<Expression> {
        if self.take("/") {
            let steps = if self.begins_step() { self.steps(Vec::new())? } else { Vec::new() };
            return Ok(Expression::Path(Box::new(Path { start: Start::Root, steps })));
        }
        if self.is("//") {
            let steps = self.more_steps(Vec::new())?;
            return Ok(Expression::Path(Box::new(Path { start: Start::Root, steps })));
        }
        if self.begins_step() {
            let steps = self.steps(Vec::new())?;
            return Ok(Expression::Path(Box::new(Path { start: Start::Context, steps })));
        }
        let at = self.at();
        let primary = self.primary()?;
        let filtered = if self.is("[") {
            self.must_be_nodes(&primary, at, "what a predicate filters")?;
            let predicates = self.predicates()?;
            Expression::Filter(Box::new(primary), predicates)
        } else {
            primary
        };
        if !self.is("/") && !self.is("//") {
            return Ok(filtered);
        }
        self.must_be_nodes(&filtered, at, "the start of a path")?;
        let steps = self.more_steps(Vec::new())?;
        Ok(Expression::Path(Box::new(Path { start: Start::From(filtered), steps })))
    }

    fn steps(&mut self, mut steps: Vec<Step>) -> At<Vec<Step>> {
        let step = self.step()?;
        push_step(&mut steps, step);
        self.more_steps(steps)
    }

    fn more_steps(&mut self, mut steps: Vec<Step>) -> At<Vec<Step>> {
        loop {
            if self.take("//") {
                steps.push(Step { axis: Axis::DescendantOrSelf, test: Test::Node, predicates: Vec::new() });
            } else if !self.take("/") {
                return Ok(steps);
            }
            if !self.begins_step() {
                return Err(self.unexpected("a step of a path"));
            }
            if steps.len() >= STEPS_MAX {
                return Err((self.at(), Error::new(ErrorKind::Budget, format!("a path has more than {STEPS_MAX} steps"))));
            }
            let step = self.step()?;
            push_step(&mut steps, step);
        }
    }

    fn step(&mut self) -> At<Step> {
        if self.take(".") {
            self.no_predicate("\".\"", "self::node()")?;
            return Ok(Step { axis: Axis::SelfNode, test: Test::Node, predicates: Vec::new() });
        }
        if self.take("..") {
            self.no_predicate("\"..\"", "parent::node()")?;
            return Ok(Step { axis: Axis::Parent, test: Test::Node, predicates: Vec::new() });
        }
        let axis = self.axis()?;
        let test = self.test()?;
        let predicates = self.predicates()?;
        Ok(Step { axis, test, predicates })
    }

    fn no_predicate(&self, what: &str, instead: &str) -> At<()> {
        if self.is("[") {
            return Err((self.at(), fault(&format!("{what} can have no predicate")).expected(format!("{instead}[…]"))));
        }
        Ok(())
    }

    pub(crate) fn axis(&mut self) -> At<Axis> {
        if self.take("@") {
            return Ok(Axis::Attribute);
        }
        let named = matches!(self.ahead(1), Token::Symbol("::"));
        match self.peek() {
            Token::Name(prefix, local) if named => {
                let found = Axis::ALL.iter().find(|(name, _)| prefix.is_empty() && name == local);
                let Some(&(_, axis)) = found else {
                    let names: Vec<&str> = Axis::ALL.iter().map(|&(name, _)| name).collect();
                    return Err((self.at(), fault("unknown axis").found(*local).expected(names.join(", "))));
                };
                self.index += 2;
                Ok(axis)
            }
            _ => Ok(Axis::Child),
        }
    }

    pub(crate) fn test(&mut self) -> At<Test> {
        let at = self.at();
        match self.next() {
            Token::Star => Ok(Test::Any),
            Token::Wildcard(prefix) => {
                let uri = self.resolve(prefix, at)?;
                Ok(Test::Namespace(uri))
            }
            Token::Name(prefix, local) => {
                if self.is("(") {
                    return if prefix.is_empty() {
                        self.node_type(local, at)
                    } else {
                        Err((at, fault("a function is no node test").found(local)))
                    };
                }
                let uri = if prefix.is_empty() { StringId::EMPTY } else { self.resolve(prefix, at)? };
                let names = self.environment.names();
                let local = names.string(local);
                Ok(Test::Name(names.expanded(uri, local)))
            }
            _ => {
                self.index = self.index.saturating_sub(1);
                Err((at, self.unexpected("a node test").1))
            }
        }
    }

    fn node_type(&mut self, name: &str, at: usize) -> At<Test> {
        self.expect("(")?;
        let test = match name {
            "node" => Test::Node,
            "text" => Test::Text,
            "comment" => Test::Comment,
            "processing-instruction" => {
                let target = match *self.peek() {
                    Token::Literal(target) => Some(target),
                    _ => None,
                };
                if target.is_some() {
                    self.index += 1;
                }
                Test::Instruction(target.map(|target| self.environment.names().string(target)))
            }
            _ => {
                let error = fault("unknown node type").found(name).expected("node(), text(), comment() or processing-instruction()");
                return Err((at, error));
            }
        };
        self.expect(")")?;
        Ok(test)
    }

    pub(crate) fn resolve(&mut self, prefix: &str, at: usize) -> At<StringId> {
        self.environment
            .namespace(prefix)
            .ok_or_else(|| (at, fault("a prefix that is not declared").found(prefix).hint(format!("declare it: xmlns:{prefix}=\"…\""))))
    }

    pub(crate) fn predicates(&mut self) -> At<Vec<Predicate>> {
        let mut predicates = Vec::new();
        while self.take("[") {
            let expression = self.expression()?;
            self.expect("]")?;
            predicates.push(predicate(expression));
        }
        Ok(predicates)
    }

    fn primary(&mut self) -> At<Expression> {
        let at = self.at();
        match self.peek().clone() {
            Token::Number(value) => {
                self.next();
                Ok(Expression::Number(value))
            }
            Token::Literal(text) => {
                self.next();
                Ok(Expression::Text(text.into()))
            }
            Token::Variable(prefix, local) => {
                self.next();
                let uri = if prefix.is_empty() { StringId::EMPTY } else { self.resolve(prefix, at)? };
                match self.environment.variable(uri, local) {
                    Some(slot) => Ok(Expression::Variable(slot)),
                    None => {
                        let visible = self.environment.variables();
                        let error = fault("a variable that is not visible here").found(format!("${local}"));
                        let near = visible.iter().min_by_key(|name| crate::compile::distance(name, local));
                        let error = match near {
                            Some(near) if crate::compile::distance(near, local) <= 2 => error.hint(format!("did you mean ${near}?")),
                            _ => error
                                .hint("a variable is visible to its following siblings and their descendants, a top-level one everywhere"),
                        };
                        Err((at, error))
                    }
                }
            }
            Token::Symbol("(") => {
                self.next();
                let inner = self.expression()?;
                self.expect(")")?;
                Ok(inner)
            }
            Token::Name(prefix, local) if matches!(self.ahead(1), Token::Symbol("(")) => {
                self.next();
                self.call(prefix, local, at)
            }
            _ => Err(self.unexpected("an expression")),
        }
    }

    fn call(&mut self, prefix: &str, local: &str, at: usize) -> At<Expression> {
        let uri = if prefix.is_empty() { StringId::EMPTY } else { self.resolve(prefix, at)? };
        let uri = self.environment.names().text(uri).to_owned();
        self.expect("(")?;
        let mut arguments = Vec::new();
        let mut places = Vec::new();
        if !self.is(")") {
            loop {
                places.push(self.at());
                arguments.push(self.expression()?);
                if !self.take(",") {
                    break;
                }
            }
        }
        self.expect(")")?;
        let Some(signature) = Function::find(&uri, local) else {
            let error = unknown(&uri, prefix, local);
            // An extension function may be asked for with function-available first; a plain name is wrong at once.
            if !prefix.is_empty() || self.environment.forwards() {
                return Ok(Expression::Fail(Box::new(error)));
            }
            return Err((at, error));
        };
        if let Some(reason) = self.environment.forbidden(signature.function) {
            return Err((at, fault(reason).found(local)));
        }
        self.check_call(signature, &arguments, &places, at)?;
        if let Some(folded) = fold(signature.function) {
            return Ok(folded);
        }
        let namespaces = signature.function.needs_namespaces().then(|| self.environment.namespaces());
        let base = (signature.function == Function::Document).then(|| self.environment.base());
        Ok(Expression::Call(Box::new(Call { function: signature.function, arguments, namespaces, base })))
    }

    fn check_call(&self, signature: &Signature, arguments: &[Expression], places: &[usize], at: usize) -> At<()> {
        let given = arguments.len();
        if given < signature.least || given > signature.most {
            let count = |count: usize| match count {
                0 => "no argument".to_owned(),
                1 => "1 argument".to_owned(),
                many => format!("{many} arguments"),
            };
            let expected = match (signature.least, signature.most) {
                (least, most) if least == most => count(least),
                (least, function::ANY) => format!("at least {}", count(least)),
                (least, most) => format!("{least} to {}", count(most)),
            };
            return Err((at, fault(&format!("wrong number of arguments for {}()", signature.name)).found(count(given)).expected(expected)));
        }
        for &index in signature.nodes {
            if let (Some(argument), Some(&at)) = (arguments.get(index), places.get(index)) {
                self.must_be_nodes(argument, at, &format!("argument {} of {}()", index + 1, signature.name))?;
            }
        }
        Ok(())
    }
}

enum Binary {
    Or,
    And,
    Compare(Comparison),
    Arithmetic(Operator),
}

fn is_node_type(name: &str) -> bool {
    matches!(name, "node" | "text" | "comment" | "processing-instruction")
}

fn unknown(uri: &str, prefix: &str, local: &str) -> Error {
    if !prefix.is_empty() {
        return fault("unknown extension function")
            .found(format!("{prefix}:{local}()"))
            .hint(format!("no functions of the namespace {uri:?} have this name"));
    }
    let error = fault("unknown function").found(format!("{local}()"));
    if function::is_later(local) {
        return error.hint("a function of XPath 2 or later; this is XPath 1.0");
    }
    match function::nearest(local) {
        Some(near) => error.hint(format!("did you mean {near}()?")),
        None => error,
    }
}

/// Calls that are constants.
fn fold(function: Function) -> Option<Expression> {
    // 1 = 1 keeps the type boolean.
    let truth = |value: bool| {
        let comparison = if value { Comparison::Equal } else { Comparison::NotEqual };
        Expression::Compare(comparison, Box::new((Expression::Number(1.0), Expression::Number(1.0))))
    };
    match function {
        Function::True => Some(truth(true)),
        Function::False => Some(truth(false)),
        _ => None,
    }
}

/// Sorts a condition by what it needs to be decided.
fn predicate(expression: Expression) -> Predicate {
    if let Expression::Number(value) = expression {
        return Predicate::Position(value);
    }
    if let Expression::Call(call) = &expression
        && call.function == Function::Last
    {
        return Predicate::Last;
    }
    if let Expression::Compare(Comparison::Equal, sides) = &expression
        && let (Expression::Call(call), Expression::Number(value)) | (Expression::Number(value), Expression::Call(call)) = &**sides
        && call.function == Function::Position
    {
        return Predicate::Position(*value);
    }
    let (position, size) = expression.needs();
    match expression.kind() {
        Type::Nodes | Type::Text | Type::Boolean if !position && !size => Predicate::Free(expression),
        _ => Predicate::General(expression),
    }
}

/// Adds a step; `//` before a step that does not count positions becomes one step.
fn push_step(steps: &mut Vec<Step>, step: Step) {
    let after_any =
        steps.last().is_some_and(|last| last.axis == Axis::DescendantOrSelf && last.test == Test::Node && last.predicates.is_empty());
    if after_any && step.predicates.iter().all(Predicate::is_free) {
        let merged = match step.axis {
            Axis::Child | Axis::Descendant => Some(Axis::Descendant),
            Axis::SelfNode | Axis::DescendantOrSelf => Some(Axis::DescendantOrSelf),
            _ => None,
        };
        if let Some(axis) = merged {
            steps.pop();
            steps.push(Step { axis, ..step });
            return;
        }
    }
    steps.push(step);
}

#[cfg(test)]
mod tests {
    use crate::{NoResolver, Stylesheet};

    fn fault(expression: &str) -> Option<String> {
        let text = format!(
            r#"<xsl:stylesheet version="1.0" xmlns:xsl="http://www.w3.org/1999/XSL/Transform"><xsl:template match="/"><xsl:value-of select="{expression}"/></xsl:template></xsl:stylesheet>"#
        );
        Stylesheet::compile(text.as_bytes(), "", &NoResolver).err().map(|errors| errors.errors[0].message.clone())
    }

    #[test]
    fn what_is_no_expression_is_refused() {
        for expression in [
            "",
            "a b",
            "a[",
            "a]",
            "(a",
            "a)",
            "a/",
            "//",
            "a//",
            "/ /a",
            "a|",
            "|a",
            "a | 1",
            "1 + ",
            "$",
            "$a b",
            "f(",
            "f(a,)",
            "concat(a)",
            "count('x')",
            "a::b",
            "child::",
            "@",
            "@@a",
            "..[1]",
            ".[1]",
            "a/'x'",
            "'x'/a",
            "1[1]",
            "processing-instruction(a)",
            "text('x')",
            "child::1",
            "a!b",
            "true(1)",
        ] {
            assert!(fault(expression).is_some(), "{expression}");
        }
    }

    #[test]
    fn white_space_and_names_of_operators_are_no_hindrance() {
        for expression in [
            "a / b",
            "a/ * /b",
            "div",
            "div div div",
            "or or or",
            "a [ 1 ] [ 2 ]",
            "/",
            "/ | a",
            "-a",
            "a - b",
            "a-b",
            "@ *",
            "child :: a",
            "and",
            "*[mod]",
            "mod - mod",
        ] {
            assert_eq!(fault(expression), None, "{expression}");
        }
    }
}
