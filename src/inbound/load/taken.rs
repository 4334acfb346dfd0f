//! Values that a row has from elsewhere: those that it looks up, and those of the row that it belongs to. They pass the rules of its own fields, as what
//! stands in a document does.

use super::{At, Loading, Moves};
use crate::document::value::{self, Reading, Stored, Wrong};
use crate::inbound::block::Value;
use crate::inbound::import::ImportError;
use crate::inbound::plan::shown;
use crate::inbound::several::Several;
use crate::model::entity::{Entity, Field, FieldKind};
use crate::model::finding::{Finding, Rule};
use crate::model::mapping::Source;
use crate::model::project::{ProjectEntity, WriteMode};
use crate::store::entities::{Cell, Finder, Looked};

/// A line of the mapping that looks its value up.
pub(super) struct LookedUp<'a> {
    pub target: usize,
    /// Its place in the mapping, and that of its field among those that several lines fill.
    pub line: usize,
    pub several: Option<usize>,
    pub entity: &'a str,
    pub moves: Moves,
    pub take: &'a str,
    /// What it takes may be none of its field.
    pub judged: bool,
    pub finder: Finder<'a>,
    /// It looks at rows of the same table of ours: where in a row what they are found by stands, and what is taken.
    pub own: Option<(Option<usize>, Option<usize>)>,
}

/// A field that has its value from the row that this one belongs to, where that has to be looked at.
pub(super) struct Inherited<'a> {
    target: usize,
    /// The entity of that row.
    outer: &'a Entity,
    /// It may not be blank.
    needed: bool,
    /// It may be none of its field.
    judged: bool,
}

/// Whether a value of one field may be none of another of the same type. What a table of somebody else holds has passed no rule.
pub(super) fn may_be_none(entity: &Entity, from: &Field, to: &Field) -> bool {
    let limits = |field: &Field| (field.pattern.clone(), field.minimum, field.maximum);
    let alike = from.kind == to.kind && limits(from) == limits(to);
    let any = limits(to) == (None, None, None)
        && match &to.kind {
            FieldKind::String { length } => length.is_none(),
            kind => *kind == from.kind,
        };
    !(any || alike && entity.is_managed())
}

impl<'a> Inherited<'a> {
    /// The fields of an entity that take theirs from rows of `outer`. `columns` are those that a row has values for, and whether a blank keeps what is there.
    pub fn all(project_entity: &'a ProjectEntity, outer: Option<&'a ProjectEntity>, columns: &[(usize, bool)]) -> Vec<Inherited<'a>> {
        let Some(outer) = outer.map(|outer| &*outer.entity) else { return Vec::new() };
        let entity = &*project_entity.entity;
        let one = |(target, (field, keeps)): (usize, &(usize, bool))| {
            let lines = project_entity.mapping.iter().filter(|line| line.field == *field);
            let from: Vec<usize> =
                lines.filter_map(|line| if let Source::Parent(from) = line.source { Some(from) } else { None }).collect();
            let (own, is_key) = (&entity.fields[*field], entity.key.contains(field));
            let needed = is_key || own.required && !(*keeps && project_entity.write != WriteMode::Insert);
            let judged = from.iter().any(|from| may_be_none(outer, &outer.fields[*from], own));
            (!from.is_empty() && (needed || judged)).then_some(Inherited { target, outer, needed, judged })
        };
        columns.iter().enumerate().filter_map(one).collect()
    }

    /// What its field makes of a value of the outer row; nothing where that stays as it is.
    fn value(&self, field: &Field, cell: Cell<'_>) -> Result<Option<Stored>, Wrong> {
        match cell.is_blank() {
            true if self.needed => {
                Err(Wrong { rule: Rule::Required, message: "a required value is blank".into(), hint: "fill it in there".into() })
            }
            false if self.judged => read(field, &cell.text()).map(Some),
            _ => Ok(None),
        }
    }

    /// The field of the outer row that a row has its value from.
    fn name(&self, several: &Several<'a>, field: usize, filled: &[u16]) -> &'a str {
        match several.line(field, filled).map(|line| &line.source) {
            Some(Source::Parent(from)) => &self.outer.fields[*from].name,
            _ => "",
        }
    }
}

fn read(field: &Field, text: &str) -> Result<Stored, Wrong> {
    let wrong = |wrong: Wrong| Wrong { hint: "correct it there, or the rule of this field".into(), ..wrong };
    value::parse(field, text, &Reading::default().of_plain()).map_err(wrong)
}

impl Loading<'_> {
    /// The values that are looked up, and those of the outer row that this one spells otherwise. What is not found, or is none of its field, is bad from then
    /// on.
    pub(super) fn take(
        &mut self,
        at: At<'_>,
        cells: &[Cell<'_>],
        bad: &mut [bool],
    ) -> Result<(Vec<Option<Stored>>, Vec<Finding>), ImportError> {
        let (mut taken, mut findings) = (vec![None; cells.len()], Vec::new());
        for inherited in &self.inherited {
            let (target, cell) = (inherited.target, cells[inherited.target]);
            if bad[target] || !matches!(at.row.values[target], Value::Parent(_)) {
                continue;
            }
            let field = self.columns[target].0;
            match inherited.value(&self.entity.fields[field], cell) {
                Ok(value) => taken[target] = value,
                Err(wrong) => {
                    let name = inherited.name(&self.several, field, at.row.filled);
                    let message = format!("{}: {name} of the row that it belongs to", wrong.message);
                    bad[target] = true;
                    findings.push(self.finding(at, wrong.rule, message, &wrong.hint, &[(target, cell)]));
                }
            }
        }
        for index in 0..self.look_ups.len() {
            let look_up = &mut self.look_ups[index];
            let (target, cell) = (look_up.target, cells[look_up.target]);
            let by_another = look_up.several.is_some_and(|place| usize::from(at.row.filled[place]) != look_up.line);
            if cell.is_blank() || bad[target] || by_another {
                continue;
            }
            let (message, hint) = match look_up.finder.find(cell)? {
                Looked::Value(value) if look_up.judged => {
                    let text = value.text();
                    match read(&self.entity.fields[self.columns[target].0], &text) {
                        Ok(value) => taken[target] = Some(value),
                        Err(wrong) => {
                            let (by, wrongly) = (shown(&cell.text()), wrong.message);
                            let message = format!("{wrongly}: {} of the row of {} that \"{by}\" finds", look_up.take, look_up.entity);
                            bad[target] = true;
                            findings.push(self.finding(at, wrong.rule, message, &wrong.hint, &[(target, Cell::Text(&text))]));
                        }
                    }
                    continue;
                }
                Looked::Value(value) => {
                    taken[target] = Some(value);
                    continue;
                }
                Looked::Nothing => (format!("{} has no row with this value", look_up.entity), "load that row first, or correct the value"),
                Looked::Blank => {
                    let message = format!("{} has a row with this value, whose {} is blank", look_up.entity, look_up.take);
                    (message, "fill it in there, or look another field up")
                }
                Looked::Several => {
                    let message = format!("{} has several rows with this value, and their {} differs", look_up.entity, look_up.take);
                    (message, "look up by a field that tells them apart")
                }
                Looked::Wrong(wrong) => {
                    (format!("{} has no usable value in its row: {}", look_up.entity, wrong.message), "correct that row in its table")
                }
            };
            bad[target] = true;
            let mut finding = self.finding(at, Rule::Reference, message, hint, &[(target, cell)]);
            // What the field takes was never asked of the value that it is looked up by.
            finding.expected = String::new();
            findings.push(finding);
        }
        Ok((taken, findings))
    }
}
