//! Loads rows of one entity: look-ups, references and what no two rows may share, then the row itself. What is wrong with it becomes findings.

use std::sync::Arc;

use super::block::{Block, RowEntry, Value};
use super::import::ImportError;
use crate::document::mapping::number_sequence::fill;
use crate::document::value::{self, Stored};
use crate::model::entity::Entity;
use crate::model::finding::{Finding, Rule};
use crate::model::mapping::Source;
use crate::model::project::ProjectEntity;
use crate::store::StoreError;
use crate::store::entities::{Cell, Finder, Loaded, Reference, Seen, Upsert, Writing};

/// What is prepared to load rows of one entity.
pub struct Loading<'a> {
    project_entity: &'a ProjectEntity,
    entity: &'a Entity,
    database: &'a Writing<'a>,
    columns: Vec<(usize, bool)>,
    sequences: Vec<&'a str>,
    upsert: Upsert<'a>,
    references: Vec<Referenced<'a>>,
    look_ups: Vec<LookedUp<'a>>,
    unique: Vec<Unique<'a>>,
}

struct Referenced<'a> {
    target: usize,
    entity: &'a str,
    reference: Reference<'a>,
}

struct LookedUp<'a> {
    target: usize,
    entity: &'a str,
    finder: Finder<'a>,
}

/// Values, or keys, that no two rows of the document have.
struct Unique<'a> {
    targets: Vec<usize>,
    seen: Seen<'a>,
}

/// What became of a row.
pub struct Outcome {
    /// How it was loaded; nothing when it is refused.
    pub loaded: Option<Loaded>,
    /// Why it is refused.
    pub findings: Vec<Finding>,
}

impl<'a> Loading<'a> {
    /// Prepares. `part` tells the entities of a composite from each other: 0 is the parent. `together`: its rows are loaded among those of others.
    pub fn new(
        project_entity: &'a ProjectEntity,
        entities: &'a [Arc<Entity>],
        database: &'a Writing<'a>,
        part: usize,
        together: bool,
    ) -> Result<Loading<'a>, StoreError> {
        let entity = &*project_entity.entity;
        // What a plan fills depends on the mapping alone, not on the document.
        let columns = columns_of(project_entity);
        let upsert = database.rows(entity, &columns, project_entity.write, together)?;
        let mut references = Vec::new();
        for (target, (field, _)) in columns.iter().enumerate() {
            if let Some(name) = &entity.fields[*field].references
                && let Some(referenced) = entities.iter().find(|entity| entity.is_called(name))
            {
                references.push(Referenced { target, entity: &referenced.name, reference: database.reference(referenced)? });
            }
        }
        let target_of = |field: usize| columns.iter().position(|(mapped, _)| *mapped == field);
        let mut look_ups = Vec::new();
        for mapping in &project_entity.mapping {
            let Some(look_up) = &mapping.look_up else { continue };
            let other = entities.iter().find(|entity| entity.is_called(&look_up.entity));
            let places = other.and_then(|other| Some((other, other.field(&look_up.find)?, other.field(&look_up.take)?)));
            if let (Some((other, find, take)), Some(target)) = (places, target_of(mapping.field)) {
                look_ups.push(LookedUp { target, entity: &other.name, finder: database.finder(other, find, take)? });
            }
        }
        let fields = (0..entity.fields.len()).filter(|field| entity.fields[*field].unique);
        let mut lists: Vec<Vec<usize>> = fields.filter_map(target_of).map(|target| vec![target]).collect();
        if project_entity.refuse_duplicates {
            lists.push(entity.key.iter().filter_map(|field| target_of(*field)).collect());
        }
        let mut unique = Vec::new();
        for (number, targets) in lists.into_iter().enumerate() {
            unique.push(Unique { targets, seen: database.seen(part * entity.fields.len().max(1000) + number)? });
        }
        if project_entity.truncate {
            database.truncate(entity)?;
        }
        let sequences = sequences_of(project_entity);
        Ok(Loading { project_entity, entity, database, columns, sequences, upsert, references, look_ups, unique })
    }

    /// Loads a row. `parent` are the values of the row that it belongs to; `keep` takes its own, as they were loaded, for rows that belong to it.
    pub fn row(
        &mut self,
        block: &Block,
        number: u64,
        row: &RowEntry<'_>,
        parent: &[Option<Stored>],
        keep: Option<&mut Vec<Option<Stored>>>,
    ) -> Result<Outcome, ImportError> {
        let cell = |value: &Value| match value {
            Value::Parent(target) => parent.get(*target as usize).and_then(Option::as_ref).map_or(Cell::Null, Cell::from),
            value => block.cell(*value),
        };
        let cells: Vec<Cell<'_>> = row.values.iter().map(cell).collect();
        if self.look_ups.is_empty() {
            return self.looked_up(number, row, &cells, keep);
        }
        let (mut found, mut findings) = (vec![None; cells.len()], Vec::new());
        for at in 0..self.look_ups.len() {
            let look_up = &mut self.look_ups[at];
            let (target, cell) = (look_up.target, cells[look_up.target]);
            if cell == Cell::Null {
                continue;
            }
            found[target] = look_up.finder.find(cell)?;
            if found[target].is_none() {
                let message = format!("{} has no row with this value", look_up.entity);
                let hint = "load that row first, or correct the value";
                findings.push(self.finding(number, row, Rule::Reference, message, hint, Some((target, cell))));
            }
        }
        if !findings.is_empty() {
            return Ok(Outcome { loaded: None, findings });
        }
        let cells: Vec<Cell<'_>> = cells.iter().zip(&found).map(|(cell, found)| found.as_ref().map_or(*cell, Cell::from)).collect();
        self.looked_up(number, row, &cells, keep)
    }

    /// Loads a row whose look-ups are done.
    fn looked_up(
        &mut self,
        number: u64,
        row: &RowEntry<'_>,
        cells: &[Cell<'_>],
        keep: Option<&mut Vec<Option<Stored>>>,
    ) -> Result<Outcome, ImportError> {
        let mut findings = Vec::new();
        for at in 0..self.references.len() {
            let referenced = &mut self.references[at];
            let target = referenced.target;
            if !referenced.reference.exists(cells[target])? {
                let message = format!("{} has no row with this key", referenced.entity);
                let hint = "load that row first, or correct the value";
                findings.push(self.finding(number, row, Rule::Reference, message, hint, Some((target, cells[target]))));
            }
        }
        for at in 0..self.unique.len() {
            let unique = &mut self.unique[at];
            let values: Vec<String> = unique.targets.iter().map(|target| cells[*target].text()).collect();
            let Some(target) = unique.targets.first().copied().filter(|_| !values.iter().all(String::is_empty)) else { continue };
            if let Some(before) = unique.seen.note(&values.join("\u{1f}"), number)? {
                let message = format!("row {before} of the document has it too");
                let hint = "take one of the two out, or give one another value";
                let mut finding = self.finding(number, row, Rule::Unique, message, hint, Some((target, cells[target])));
                finding.value = values.join(", ");
                findings.push(finding);
            }
        }
        if !findings.is_empty() {
            return Ok(Outcome { loaded: None, findings });
        }
        // Numbers are taken last, and given back by a row that the table refuses: no number is left out.
        let mut numbers = Vec::new();
        if !self.sequences.is_empty() {
            for value in row.values {
                numbers.push(match value {
                    Value::Sequence(index) => {
                        let pattern = self.sequences[*index as usize];
                        Some((pattern, fill(pattern, self.database.next_number(pattern)?)))
                    }
                    _ => None,
                });
            }
        }
        let filled: Vec<Cell<'_>>;
        let cells = if numbers.is_empty() {
            cells
        } else {
            filled = cells.iter().zip(&numbers).map(|(cell, number)| number.as_ref().map_or(*cell, |(_, text)| Cell::Text(text))).collect();
            &filled
        };
        let loaded = self.upsert.row(cells)?;
        let finding = match &loaded {
            Loaded::Inserted | Loaded::Updated | Loaded::Unchanged => {
                if let Some(keep) = keep {
                    keep.clear();
                    keep.extend(cells.iter().map(Cell::stored));
                }
                return Ok(Outcome { loaded: Some(loaded), findings });
            }
            Loaded::Exists => {
                let message = "a row with this key exists, and only new rows are taken".to_owned();
                self.finding(number, row, Rule::Exists, message, "take the row out, or write upsert", self.key(cells))
            }
            Loaded::Missing => {
                let message = "no row has this key, and only existing rows are changed".to_owned();
                self.finding(number, row, Rule::Missing, message, "correct the key, or write upsert", self.key(cells))
            }
            Loaded::Refused(reason) => {
                let message = format!("the table does not take the row: {reason}");
                self.finding(number, row, Rule::Load, message, "correct the row, or the table's rule", None)
            }
        };
        numbers.iter().flatten().try_for_each(|(pattern, _)| self.database.give_back(pattern))?;
        Ok(Outcome { loaded: None, findings: vec![finding] })
    }

    /// A row of this entity is new: what was missing may exist now.
    pub fn inserted(&mut self, entity: &str) {
        let own = self.references.iter_mut().filter(|referenced| referenced.entity == entity);
        own.for_each(|referenced| referenced.reference.forget_missing());
    }

    /// Rows were taken back: what was there may be missing now.
    pub fn taken_back(&mut self) {
        self.references.iter_mut().for_each(|referenced| referenced.reference.forget());
        self.look_ups.iter_mut().for_each(|look_up| look_up.finder.forget());
    }

    /// The entity.
    pub fn definition(&self) -> &'a Entity {
        self.entity
    }

    /// The fields that a row has values for, and whether a blank keeps what the table has.
    pub fn columns(&self) -> &[(usize, bool)] {
        &self.columns
    }

    /// The name of the entity.
    pub fn entity(&self) -> &'a str {
        &self.entity.name
    }

    fn key<'c>(&self, cells: &[Cell<'c>]) -> Option<(usize, Cell<'c>)> {
        let target = self.columns.iter().position(|(field, _)| *field == self.entity.key[0])?;
        Some((target, cells[target]))
    }

    /// A finding about a row, and about one of its values when one is concerned.
    fn finding(&self, number: u64, row: &RowEntry<'_>, rule: Rule, message: String, hint: &str, of: Option<(usize, Cell<'_>)>) -> Finding {
        let field = of.map(|(target, _)| self.columns[target].0);
        Finding {
            rule,
            entity: self.entity.name.clone(),
            line: row.line,
            row: number,
            column: field.map_or_else(String::new, |field| source_of(self.project_entity, field)),
            field: field.map_or_else(String::new, |field| self.entity.fields[field].name.clone()),
            value: of.map_or_else(String::new, |(_, cell)| cell.text()),
            expected: field.filter(|_| rule.is_of_field()).map_or_else(String::new, |field| value::expected(&self.entity.fields[field])),
            message,
            hint: hint.to_owned(),
        }
    }
}

/// The patterns of number sequences, in the order of the plan's.
fn sequences_of(project_entity: &ProjectEntity) -> Vec<&str> {
    let patterns = project_entity.mapping.iter().filter_map(|mapping| match &mapping.source {
        Source::NumberSequence { pattern } => Some(pattern.as_str()),
        _ => None,
    });
    patterns.collect()
}

/// The fields a mapping fills, in the order of the plan's.
pub(super) fn columns_of(project_entity: &ProjectEntity) -> Vec<(usize, bool)> {
    let mut columns: Vec<(usize, bool)> = Vec::new();
    for mapping in &project_entity.mapping {
        if !columns.iter().any(|(field, _)| *field == mapping.field) {
            columns.push((mapping.field, mapping.ignore_blank));
        }
    }
    columns
}

/// The column that a field comes from, for findings made when the row is loaded.
fn source_of(project_entity: &ProjectEntity, field: usize) -> String {
    project_entity.mapping.iter().find(|mapping| mapping.field == field).map_or_else(String::new, |mapping| mapping.source.name())
}
