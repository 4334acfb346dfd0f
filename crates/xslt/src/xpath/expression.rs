//! A checked expression: names are numbers, variables are slots, functions are known.

use std::sync::Arc;

use super::function::Function;
use crate::error::Error;
use crate::name::{NameId, StringId};

/// The bindings in scope where an expression stands; needed by functions that are given names as text.
pub(crate) type Namespaces = Arc<Vec<(StringId, StringId)>>;

/// Where a variable's value is kept.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Slot {
    /// In the frame of the current template.
    Local(u32),
    /// Of the stylesheet.
    Global(u32),
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Comparison {
    Equal,
    NotEqual,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

impl Comparison {
    /// The comparison with its sides exchanged.
    pub(crate) fn mirrored(self) -> Comparison {
        match self {
            Comparison::Less => Comparison::Greater,
            Comparison::LessOrEqual => Comparison::GreaterOrEqual,
            Comparison::Greater => Comparison::Less,
            Comparison::GreaterOrEqual => Comparison::LessOrEqual,
            same => same,
        }
    }

    pub(crate) fn numbers(self, left: f64, right: f64) -> bool {
        match self {
            Comparison::Equal => left == right,
            Comparison::NotEqual => left != right,
            Comparison::Less => left < right,
            Comparison::LessOrEqual => left <= right,
            Comparison::Greater => left > right,
            Comparison::GreaterOrEqual => left >= right,
        }
    }
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Operator {
    Add,
    Subtract,
    Multiply,
    Divide,
    Remainder,
}

/// What is known of a value before it is computed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Type {
    Nodes,
    Text,
    Number,
    Boolean,
    Any,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Axis {
    Ancestor,
    AncestorOrSelf,
    Attribute,
    Child,
    Descendant,
    DescendantOrSelf,
    Following,
    FollowingSibling,
    Namespace,
    Parent,
    Preceding,
    PrecedingSibling,
    SelfNode,
}

impl Axis {
    pub(crate) const ALL: [(&'static str, Axis); 13] = [
        ("ancestor", Axis::Ancestor),
        ("ancestor-or-self", Axis::AncestorOrSelf),
        ("attribute", Axis::Attribute),
        ("child", Axis::Child),
        ("descendant", Axis::Descendant),
        ("descendant-or-self", Axis::DescendantOrSelf),
        ("following", Axis::Following),
        ("following-sibling", Axis::FollowingSibling),
        ("namespace", Axis::Namespace),
        ("parent", Axis::Parent),
        ("preceding", Axis::Preceding),
        ("preceding-sibling", Axis::PrecedingSibling),
        ("self", Axis::SelfNode),
    ];

    /// Whether positions count against document order.
    pub(crate) fn is_reverse(self) -> bool {
        matches!(self, Axis::Ancestor | Axis::AncestorOrSelf | Axis::Preceding | Axis::PrecedingSibling | Axis::Parent)
    }
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Test {
    /// `node()`
    Node,
    /// `text()`
    Text,
    /// `comment()`
    Comment,
    /// `processing-instruction()`, perhaps of a target.
    Instruction(Option<StringId>),
    /// `*`
    Any,
    /// `prefix:*`
    Namespace(StringId),
    /// `name`
    Name(NameId),
}

/// A condition in brackets.
#[derive(Debug)]
pub(crate) enum Predicate {
    /// A number: the position.
    Position(f64),
    /// `last()`
    Last,
    /// A condition for which position and size do not matter.
    Free(Expression),
    /// Any other: may be a number, may ask for position or size.
    General(Expression),
}

impl Predicate {
    pub(crate) fn is_free(&self) -> bool {
        matches!(self, Predicate::Free(_))
    }
}

#[derive(Debug)]
pub(crate) struct Step {
    pub(crate) axis: Axis,
    pub(crate) test: Test,
    pub(crate) predicates: Vec<Predicate>,
}

#[derive(Debug)]
pub(crate) enum Start {
    Context,
    Root,
    From(Expression),
}

#[derive(Debug)]
pub(crate) struct Path {
    pub(crate) start: Start,
    pub(crate) steps: Vec<Step>,
}

#[derive(Debug)]
pub(crate) struct Call {
    pub(crate) function: Function,
    pub(crate) arguments: Vec<Expression>,
    /// For functions that resolve a prefix when called.
    pub(crate) namespaces: Option<Namespaces>,
    /// For `document()`: the address of the stylesheet it stands in.
    pub(crate) base: Option<Arc<str>>,
}

#[derive(Debug)]
pub(crate) enum Expression {
    Number(f64),
    Text(Arc<str>),
    Variable(Slot),
    Or(Vec<Expression>),
    And(Vec<Expression>),
    Compare(Comparison, Box<(Expression, Expression)>),
    Arithmetic(Operator, Box<(Expression, Expression)>),
    Negate(Box<Expression>),
    Union(Vec<Expression>),
    Path(Box<Path>),
    Filter(Box<Expression>, Vec<Predicate>),
    Call(Box<Call>),
    /// Wrong, but only if it is evaluated: forwards-compatible processing (XSLT 1.0, section 2.5), unknown extension functions.
    Fail(Box<Error>),
}

impl Expression {
    /// What kind of value this gives.
    pub(crate) fn kind(&self) -> Type {
        match self {
            Expression::Number(_) | Expression::Arithmetic(..) | Expression::Negate(_) => Type::Number,
            Expression::Text(_) => Type::Text,
            Expression::Or(_) | Expression::And(_) | Expression::Compare(..) => Type::Boolean,
            Expression::Union(_) | Expression::Path(_) | Expression::Filter(..) => Type::Nodes,
            Expression::Call(call) => call.function.signature().result,
            Expression::Variable(_) | Expression::Fail(_) => Type::Any,
        }
    }

    /// Visits this expression and those inside which are evaluated in the same context: not predicates, not steps.
    fn same_context(&self, visit: &mut dyn FnMut(&Expression)) {
        visit(self);
        match self {
            Expression::Or(list) | Expression::And(list) | Expression::Union(list) => list.iter().for_each(|part| part.same_context(visit)),
            Expression::Compare(_, sides) | Expression::Arithmetic(_, sides) => {
                sides.0.same_context(visit);
                sides.1.same_context(visit);
            }
            Expression::Negate(inner) | Expression::Filter(inner, _) => inner.same_context(visit),
            Expression::Path(path) => {
                if let Start::From(inner) = &path.start {
                    inner.same_context(visit);
                }
            }
            Expression::Call(call) => call.arguments.iter().for_each(|argument| argument.same_context(visit)),
            Expression::Number(_) | Expression::Text(_) | Expression::Variable(_) | Expression::Fail(_) => {}
        }
    }

    /// Whether the value depends on the context position, and on the context size.
    pub(crate) fn needs(&self) -> (bool, bool) {
        let (mut position, mut size) = (false, false);
        self.same_context(&mut |expression| {
            if let Expression::Call(call) = expression {
                position |= call.function == Function::Position;
                size |= call.function == Function::Last;
                // Evaluated from text: anything may be in it.
                if call.function == Function::Evaluate {
                    (position, size) = (true, true);
                }
            }
        });
        (position, size)
    }

    /// Visits every expression inside, those of predicates too.
    pub(crate) fn visit(&self, visit: &mut dyn FnMut(&Expression)) {
        visit(self);
        let predicates = |list: &[Predicate], visit: &mut dyn FnMut(&Expression)| {
            for predicate in list {
                if let Predicate::Free(inner) | Predicate::General(inner) = predicate {
                    inner.visit(visit);
                }
            }
        };
        match self {
            Expression::Or(list) | Expression::And(list) | Expression::Union(list) => list.iter().for_each(|part| part.visit(visit)),
            Expression::Compare(_, sides) | Expression::Arithmetic(_, sides) => {
                sides.0.visit(visit);
                sides.1.visit(visit);
            }
            Expression::Negate(inner) => inner.visit(visit),
            Expression::Filter(inner, list) => {
                inner.visit(visit);
                predicates(list, visit);
            }
            Expression::Path(path) => {
                if let Start::From(inner) = &path.start {
                    inner.visit(visit);
                }
                path.steps.iter().for_each(|step| predicates(&step.predicates, visit));
            }
            Expression::Call(call) => call.arguments.iter().for_each(|argument| argument.visit(visit)),
            Expression::Number(_) | Expression::Text(_) | Expression::Variable(_) | Expression::Fail(_) => {}
        }
    }
}
