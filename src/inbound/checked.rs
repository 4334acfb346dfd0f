//! Checks of an entity made ready for the rows of a project: which of their values are known when a row is mapped, and which only when it is loaded.

use super::plan::shown;
use crate::document::mapping::check;
use crate::model::check::Check;
use crate::model::entity::Entity;
use crate::model::finding::{Finding, Rule};
use crate::model::mapping::Source;
use crate::model::project::{ProjectEntity, WriteMode};

/// A check of a project's entity.
pub struct Checked<'a> {
    check: &'a Check,
    /// The fields that it compares, with their places in a row; no place for one that nothing fills.
    fields: Vec<(usize, Option<usize>)>,
    /// One of them is looked up, numbered, taken from the row that this one belongs to, or may be left to the row that is there.
    pub late: bool,
}

impl<'a> Checked<'a> {
    /// All checks of the entity. `columns` are the fields that a row has values for, and whether a blank keeps what is there.
    pub fn all(project_entity: &'a ProjectEntity, columns: &[(usize, bool)]) -> Vec<Checked<'a>> {
        let ready = |check: &'a Check| {
            let place = |field: usize| columns.iter().position(|(filled, _)| *filled == field);
            let fields = check.rule.fields();
            let lines = |field: usize| project_entity.mapping.iter().filter(move |mapping| mapping.field == field);
            let kept = |field: &usize| place(*field).is_none_or(|place| columns[place].1);
            let left = project_entity.write != WriteMode::Insert && fields.iter().any(kept);
            let late = left
                || fields.iter().flat_map(|field| lines(*field)).any(|mapping| {
                    mapping.look_up.is_some() || matches!(mapping.source, Source::NumberSequence { .. } | Source::Parent(_))
                });
            Checked { check, fields: fields.into_iter().map(|field| (field, place(field))).collect(), late }
        };
        project_entity.entity.checks.iter().map(ready).collect()
    }

    /// Where a field's value is in a row.
    pub fn target(&self, field: usize) -> Option<usize> {
        self.fields.iter().find(|(compared, _)| *compared == field).and_then(|(_, target)| *target)
    }

    /// The fields that it compares, with their places in a row.
    pub fn fields(&self) -> impl Iterator<Item = (usize, Option<usize>)> {
        self.fields.iter().copied()
    }

    /// Where its values are in a row.
    pub fn targets(&self) -> impl Iterator<Item = usize> {
        self.fields.iter().filter_map(|(_, target)| *target)
    }

    /// Whether it holds for a row. `value` gives a field's value as the table keeps it; `None` is blank.
    pub fn holds(&self, entity: &Entity, value: &dyn Fn(usize) -> Option<String>) -> bool {
        check::holds(entity, &self.check.rule, value)
    }

    /// That it does not hold. `column` gives the column that a field's value comes from.
    pub fn finding(
        &self,
        entity: &Entity,
        (line, row): (u64, u64),
        column: &dyn Fn(usize) -> String,
        value: &dyn Fn(usize) -> Option<String>,
    ) -> Finding {
        let rule = &self.check.rule.text;
        let fields = || self.fields.iter().map(|(field, _)| *field);
        Finding {
            rule: Rule::Check,
            entity: entity.name.clone(),
            line,
            row,
            column: fields().map(column).filter(|column| !column.is_empty()).collect::<Vec<_>>().join(", "),
            field: fields().map(|field| entity.fields[field].name.as_str()).collect::<Vec<_>>().join(", "),
            value: shown(&fields().map(|field| value(field).unwrap_or_default()).collect::<Vec<_>>().join(", ")),
            expected: rule.clone(),
            message: if self.check.message.is_empty() { format!("this does not hold: {rule}") } else { self.check.message.clone() },
            hint: "correct the values of the record".into(),
        }
    }
}
