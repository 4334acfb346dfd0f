//! Checks: what must hold between the fields of a row.

use std::cmp::Ordering;

/// A check of an entity.
#[derive(Clone, Debug, PartialEq)]
pub struct Check {
    /// What must hold.
    pub rule: Expression,
    /// What a finding says when it does not; the rule itself when empty.
    pub message: String,
}

/// An expression, taken apart: one of the alternatives holds when all of its comparisons do.
#[derive(Clone, Debug, PartialEq)]
pub struct Expression {
    /// As written.
    pub text: String,
    /// Alternatives of comparisons.
    pub either: Vec<Vec<Comparison>>,
}

impl Expression {
    /// The fields that it compares, each once.
    pub fn fields(&self) -> Vec<usize> {
        let mut fields = Vec::new();
        for comparison in self.either.iter().flatten() {
            match comparison {
                Comparison::Blank(field, _) => fields.push(*field),
                Comparison::Compare { left, right: Operand::Field(right), .. } => fields.extend([*left, *right]),
                Comparison::Compare { left, .. } => fields.push(*left),
            }
        }
        let mut seen = Vec::new();
        fields.retain(|field| {
            !seen.contains(field) && {
                seen.push(*field);
                true
            }
        });
        fields
    }
}

/// One comparison. Fields are positions in the entity's `fields`.
#[derive(Clone, Debug, PartialEq)]
pub enum Comparison {
    /// The field is blank, or is not.
    Blank(usize, bool),
    /// How the field compares with the other side.
    Compare {
        /// The field.
        left: usize,
        /// Outcomes that hold.
        allowed: Vec<Ordering>,
        /// The other side.
        right: Operand,
    },
}

/// The other side of a comparison.
#[derive(Clone, Debug, PartialEq)]
pub enum Operand {
    /// Another field.
    Field(usize),
    /// A value as the table keeps it.
    Value(String),
}
