//! Rules of fields that a document may leave to the row that is there already: because it lacks their column, nothing is mapped to them, or a blank
//! keeps them (`ignore_blank`). They hold for the row as it will be.

use super::{At, Loading};
use crate::document::value::Stored;
use crate::inbound::block::Value;
use crate::inbound::checked::Checked;
use crate::model::entity::Entity;
use crate::model::finding::{Finding, Rule};
use crate::model::project::WriteMode;
use crate::store::StoreError;
use crate::store::entities::{Cell, Kept, KeptValue, Writing};

/// What is prepared to look at rows that are there.
pub(super) struct Keeping<'a> {
    /// The fields that are looked at, with their places in a row; no place for one that nothing fills.
    fields: Vec<(usize, Option<usize>)>,
    /// Places of required fields of which a blank keeps what is there.
    needed: Vec<usize>,
    kept: Kept<'a>,
}

/// What is known of the row that is there.
enum There {
    /// The row brings all itself, or its key is not known.
    Unknown,
    /// There is none.
    Nothing,
    /// What it has in the fields that are looked at.
    Row(Vec<KeptValue>),
}

impl<'a> Keeping<'a> {
    /// Nothing where no rule needs to look at rows. `checks` are those that hold values known only when a row is loaded.
    pub fn new(
        entity: &'a Entity,
        database: &'a Writing<'a>,
        columns: &[(usize, bool)],
        mode: WriteMode,
        checks: &[Checked<'_>],
    ) -> Result<Option<Keeping<'a>>, StoreError> {
        if mode == WriteMode::Insert {
            return Ok(None);
        }
        let needs = |(field, keeps): (usize, bool)| keeps && entity.fields[field].required && !entity.key.contains(&field);
        let needed: Vec<usize> = (0..columns.len()).filter(|place| needs(columns[*place])).collect();
        let mut fields: Vec<(usize, Option<usize>)> = needed.iter().map(|place| (columns[*place].0, Some(*place))).collect();
        for (field, place) in checks.iter().flat_map(Checked::fields) {
            if place.is_none_or(|place| columns[place].1) && !fields.iter().any(|(known, _)| *known == field) {
                fields.push((field, place));
            }
        }
        if fields.is_empty() {
            return Ok(None);
        }
        let looked_at: Vec<usize> = fields.iter().map(|(field, _)| *field).collect();
        Ok(Some(Keeping { needed, kept: database.kept(entity, &looked_at)?, fields }))
    }

    /// Where a field is among those that are looked at, when the row leaves it to the one that is there.
    fn left(&self, field: usize, cells: &[Cell<'_>]) -> Option<usize> {
        let blank = |place: Option<usize>| place.is_none_or(|place| cells[place] == Cell::Null);
        self.fields.iter().position(|(known, place)| *known == field && blank(*place))
    }
}

impl Loading<'_> {
    /// What does not hold between the values of a row, those among them that it leaves to the row that is there.
    pub(super) fn compare_with_kept(
        &mut self,
        at: At<'_>,
        cells: &[Cell<'_>],
        is_bad: &dyn Fn(usize) -> bool,
        findings: &mut Vec<Finding>,
    ) -> Result<(), StoreError> {
        if self.checks.is_empty() && self.keeping.is_none() {
            return Ok(());
        }
        // Numbers are taken later: nothing is compared with them.
        let is_number = |place: usize| matches!(at.row.values[place], Value::Sequence(_));
        let there = self.there(cells, is_bad, &is_number)?;
        let keeping = self.keeping.as_ref();
        let left = |field: usize| keeping.and_then(|keeping| keeping.left(field, cells));
        let of_row = |field: usize| match &there {
            There::Row(values) => left(field).map(|at| &values[at]),
            There::Unknown | There::Nothing => None,
        };
        // A row that is not there is not updated, and that is told when it is loaded.
        let unasked = match there {
            There::Unknown => true,
            There::Nothing => self.project_entity.write == WriteMode::Update,
            There::Row(_) => false,
        };
        for place in keeping.map_or(&[][..], |keeping| &keeping.needed) {
            let field = self.columns[*place].0;
            if cells[*place] == Cell::Null
                && !unasked
                && !is_bad(*place)
                && !is_number(*place)
                && !matches!(of_row(field), Some(Ok(Some(_)) | Err(_)))
            {
                let message = "a required value is blank, and no row has one already".to_owned();
                findings.push(self.finding(
                    at,
                    Rule::Required,
                    message,
                    "fill it in, or give the mapping a default value",
                    &[(*place, Cell::Null)],
                ));
            }
        }
        let column = |field: usize| self.several.source(field, at.row.filled);
        for check in &self.checks {
            let leaves = check.fields().any(|(field, _)| left(field).is_some());
            if check.targets().any(|place| is_bad(place) || is_number(place)) || (leaves && unasked) {
                continue;
            }
            // What a document says nothing of is none of its faults.
            let says = check.targets().any(|place| !self.columns[place].1 || cells[place] != Cell::Null);
            if matches!(there, There::Row(_)) && leaves && !says {
                continue;
            }
            let unusable = check.fields().find_map(|(field, _)| Some((field, of_row(field)?.as_ref().err()?)));
            if let Some((field, wrong)) = unusable {
                let finding = check.finding(self.entity, (at.row.line, at.number), &column, &|_| None);
                let message = format!(
                    "it cannot be said whether this holds: {} of the row that is there: {}",
                    self.entity.fields[field].name, wrong.message
                );
                findings.push(Finding { message, hint: "correct that row in its table".into(), ..finding });
                continue;
            }
            let value = |field: usize| match of_row(field) {
                Some(kept) => kept.as_ref().ok()?.as_ref().map(Stored::text),
                None => check.target(field).and_then(|place| cells[place].stored()).map(|stored| stored.text()),
            };
            if check.holds(self.entity, &value) {
                continue;
            }
            let mut finding = check.finding(self.entity, (at.row.line, at.number), &column, &value);
            let kept = check.fields().filter(|(field, _)| matches!(of_row(*field), Some(Ok(Some(_)))));
            let kept: Vec<&str> = kept.map(|(field, _)| self.entity.fields[field].name.as_str()).collect();
            if !kept.is_empty() {
                finding.hint = format!("{}; {} is kept from the row that is there", finding.hint, kept.join(", "));
            }
            findings.push(finding);
        }
        Ok(())
    }

    /// The row that is there, when this one leaves something to it that a rule asks for.
    fn there(
        &mut self,
        cells: &[Cell<'_>],
        is_bad: &dyn Fn(usize) -> bool,
        is_number: &dyn Fn(usize) -> bool,
    ) -> Result<There, StoreError> {
        let Some(keeping) = &mut self.keeping else { return Ok(There::Unknown) };
        if !keeping.fields.iter().any(|(_, place)| place.is_none_or(|place| cells[place] == Cell::Null)) {
            return Ok(There::Unknown);
        }
        if self.key.iter().any(|place| is_number(*place)) {
            return Ok(There::Nothing);
        }
        let key: Vec<Cell<'_>> = self.key.iter().map(|place| cells[*place]).collect();
        if self.key.iter().any(|place| is_bad(*place)) || key.contains(&Cell::Null) {
            return Ok(There::Unknown);
        }
        Ok(keeping.kept.of(&key)?.map_or(There::Nothing, There::Row))
    }
}
