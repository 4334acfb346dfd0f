//! A compiled stylesheet: templates, instructions, declarations, ready to run. Immutable and shared between threads.

use std::collections::HashMap;
use std::sync::Arc;

use crate::error::{Error, Place};
use crate::name::{NameId, Names, QNameId, StringId};
use crate::pattern::Pattern;
use crate::serialise::OutputOptions;
use crate::tree::Kind;
use crate::xpath::expression::{Expression, Namespaces};

/// A sequence of instructions.
pub(crate) type Body = Vec<Instruction>;

/// An instruction and where it stands.
#[derive(Debug)]
pub(crate) struct Instruction {
    pub(crate) place: Place,
    pub(crate) operation: Operation,
}

/// An attribute value template (XSLT 1.0, section 7.6.2).
#[derive(Debug)]
pub(crate) enum ValueTemplate {
    Fixed(Arc<str>),
    Parts(Vec<Part>),
}

#[derive(Debug)]
pub(crate) enum Part {
    Text(Arc<str>),
    Expression(Expression),
}

/// What a variable or parameter is set to.
#[derive(Debug)]
pub(crate) enum Binding {
    /// Neither content nor select: the empty string.
    Empty,
    Select(Expression),
    Content(Body),
}

#[derive(Debug)]
pub(crate) struct WithParam {
    pub(crate) name: NameId,
    pub(crate) value: Binding,
    pub(crate) place: Place,
}

#[derive(Debug)]
pub(crate) struct SortKey {
    pub(crate) select: Expression,
    pub(crate) language: Option<ValueTemplate>,
    pub(crate) data_type: Option<ValueTemplate>,
    pub(crate) order: Option<ValueTemplate>,
    pub(crate) case_order: Option<ValueTemplate>,
    pub(crate) place: Place,
}

#[derive(Debug)]
pub(crate) struct LiteralElement {
    pub(crate) name: QNameId,
    pub(crate) namespaces: Vec<(StringId, StringId)>,
    pub(crate) attributes: Vec<(QNameId, ValueTemplate)>,
    pub(crate) attribute_sets: Vec<NameId>,
    pub(crate) body: Body,
}

/// `level` of xsl:number (XSLT 1.0, section 7.7).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Level {
    Single,
    Multiple,
    Any,
}

#[derive(Debug)]
pub(crate) struct NumberInstruction {
    pub(crate) value: Option<Expression>,
    pub(crate) level: Level,
    pub(crate) count: Option<Vec<Pattern>>,
    pub(crate) from: Option<Vec<Pattern>>,
    pub(crate) format: Option<ValueTemplate>,
    pub(crate) language: Option<ValueTemplate>,
    pub(crate) letter_value: Option<ValueTemplate>,
    pub(crate) grouping_separator: Option<ValueTemplate>,
    pub(crate) grouping_size: Option<ValueTemplate>,
}

#[derive(Debug)]
pub(crate) enum Operation {
    Text(Arc<str>, bool),
    Literal(Box<LiteralElement>),
    ValueOf(Expression, bool),
    ApplyTemplates {
        select: Option<Expression>,
        mode: u32,
        sorts: Vec<SortKey>,
        parameters: Vec<WithParam>,
    },
    ApplyImports,
    Call {
        template: u32,
        parameters: Vec<WithParam>,
    },
    ForEach {
        select: Expression,
        sorts: Vec<SortKey>,
        body: Body,
    },
    If(Expression, Body),
    Choose(Vec<(Expression, Body)>, Body),
    Copy {
        attribute_sets: Vec<NameId>,
        body: Body,
    },
    CopyOf(Expression),
    Element {
        name: ValueTemplate,
        namespace: Option<ValueTemplate>,
        namespaces: Namespaces,
        attribute_sets: Vec<NameId>,
        body: Body,
    },
    Attribute {
        name: ValueTemplate,
        namespace: Option<ValueTemplate>,
        namespaces: Namespaces,
        body: Body,
    },
    Comment(Body),
    Instruction {
        name: ValueTemplate,
        body: Body,
    },
    Message {
        body: Body,
        terminate: bool,
    },
    Variable {
        slot: u32,
        value: Binding,
    },
    /// A parameter of a template: kept if the caller gave it.
    Parameter {
        slot: u32,
        name: NameId,
        value: Binding,
    },
    Number(Box<NumberInstruction>),
    /// An instruction that is not known: its fallbacks, or the error.
    Unknown {
        fallbacks: Option<Body>,
        error: Box<Error>,
    },
}

#[derive(Debug)]
pub(crate) struct Template {
    pub(crate) body: Body,
    /// How many variables its frame has.
    pub(crate) slots: u32,
    pub(crate) place: Place,
    /// For the profile and messages: name or match pattern.
    pub(crate) label: String,
    /// Import precedence; greater wins.
    pub(crate) precedence: u32,
    /// The least precedence of the stylesheets that its own imports.
    pub(crate) imports_from: u32,
}

/// A pattern alternative with its template.
#[derive(Debug)]
pub(crate) struct Rule {
    pub(crate) pattern: Pattern,
    pub(crate) template: u32,
    pub(crate) priority: f64,
    pub(crate) precedence: u32,
    pub(crate) order: u32,
}

/// The rules of one mode, best first, and for each name the ones that can match it.
#[derive(Debug, Default)]
pub(crate) struct Mode {
    pub(crate) rules: Vec<Rule>,
    pub(crate) by_name: HashMap<(u8, NameId), Vec<u32>>,
    /// For names that no rule mentions, by kind.
    pub(crate) by_kind: [Vec<u32>; 7],
}

impl Mode {
    /// The numbers of the rules that can match a node of this kind and name, best first.
    pub(crate) fn candidates(&self, kind: Kind, name: Option<NameId>) -> &[u32] {
        if let Some(name) = name
            && let Some(found) = self.by_name.get(&(kind as u8, name))
        {
            return found;
        }
        &self.by_kind[kind as usize]
    }
}

#[derive(Debug)]
pub(crate) struct Global {
    pub(crate) name: NameId,
    pub(crate) value: Binding,
    pub(crate) is_parameter: bool,
    pub(crate) slots: u32,
    pub(crate) place: Place,
}

#[derive(Debug)]
pub(crate) struct Key {
    pub(crate) name: NameId,
    pub(crate) pattern: Vec<Pattern>,
    pub(crate) value: Expression,
    pub(crate) place: Place,
}

#[derive(Debug)]
pub(crate) struct AttributeSet {
    pub(crate) name: NameId,
    pub(crate) uses: Vec<NameId>,
    pub(crate) body: Body,
    pub(crate) slots: u32,
    pub(crate) precedence: u32,
}

/// xsl:strip-space and xsl:preserve-space (XSLT 1.0, section 3.4).
#[derive(Debug)]
pub(crate) struct SpaceRule {
    pub(crate) test: crate::xpath::expression::Test,
    pub(crate) strips: bool,
    pub(crate) precedence: u32,
    pub(crate) priority: f64,
}

/// The whole.
#[derive(Debug)]
pub(crate) struct Sheet {
    pub(crate) names: Names,
    pub(crate) templates: Vec<Template>,
    pub(crate) modes: Vec<Mode>,
    pub(crate) globals: Vec<Global>,
    pub(crate) keys: Vec<Key>,
    pub(crate) attribute_sets: HashMap<NameId, Vec<AttributeSet>>,
    pub(crate) space_rules: Vec<SpaceRule>,
    pub(crate) decimal_formats: HashMap<Option<NameId>, crate::number_format::Symbols>,
    pub(crate) output: OutputOptions,
    /// The text of each module, for `document('')`.
    pub(crate) modules: HashMap<Arc<str>, Arc<[u8]>>,
    pub(crate) uri: Arc<str>,
    /// Best first: how an element's white space is treated.
    pub(crate) strips_any: bool,
}

impl Sheet {
    /// Whether white space directly inside an element of this name is stripped.
    pub(crate) fn strips(&self, names: &Names, name: NameId) -> bool {
        use crate::xpath::expression::Test;
        let matching = self.space_rules.iter().filter(|rule| match rule.test {
            Test::Any => true,
            Test::Namespace(uri) => names.uri(name) == uri,
            Test::Name(wanted) => wanted == name,
            _ => false,
        });
        // Of equals the last wins.
        matching
            .max_by(|a, b| (a.precedence, a.priority).partial_cmp(&(b.precedence, b.priority)).unwrap_or(std::cmp::Ordering::Equal))
            .is_some_and(|rule| rule.strips)
    }
}
