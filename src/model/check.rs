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
        let of = |comparison: &Comparison| match comparison {
            Comparison::Blank(field, _) => [Some(*field), None],
            Comparison::Compare { left, right: Operand::Field(right), .. } => [Some(*left), Some(*right)],
            Comparison::Compare { left, .. } => [Some(*left), None],
        };
        let mut fields = Vec::new();
        for field in self.either.iter().flatten().flat_map(of).flatten() {
            if !fields.contains(&field) {
                fields.push(field);
            }
        }
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
