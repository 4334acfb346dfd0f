//! Loads rows of one entity: look-ups, references and what no two rows may share, then the row itself. What is wrong with it becomes findings.

mod changes;
mod handed;
mod kept;
mod numbers;
mod taken;

use std::sync::Arc;

use self::changes::Moves;
use self::handed::Handed;
use self::kept::Keeping;
use self::numbers::{Numbering, unique_of};
use self::taken::{Inherited, LookedUp, may_be_none};
use super::block::{Block, RowEntry, Value};
use super::checked::Checked;
use super::import::ImportError;
use super::plan::shown;
use super::several::Several;
use crate::document::value::{self, Stored};
use crate::model::entity::Entity;
use crate::model::finding::{Finding, Rule};
use crate::model::mapping::{Mapping, Source};
use crate::model::project::{Duplicates, ProjectEntity};
use crate::store::StoreError;
use crate::store::entities::{Cell, Dangling, Deferred, Loaded, Others, Reference, RefusedKeys, SEPARATOR, Seen, Upsert, Writing};

/// What is prepared to load rows of one entity.
pub struct Loading<'a> {
    project_entity: &'a ProjectEntity,
    entity: &'a Entity,
    database: &'a Writing<'a>,
    columns: Vec<(usize, bool)>,
    several: Several<'a>,
    part: usize,
    /// Its table has triggers of somebody else, or rules that do more to others than is known.
    stirs: bool,
    /// Its rows are loaded among those of others.
    together: bool,
    /// Where the values of the key are in a row.
    key: Vec<usize>,
    sequences: Vec<Numbering<'a>>,
    /// Keys that rows of the document were given as numbers, when others may come with them.
    given: Option<Seen<'a>>,
    /// Those of refused rows, once there is one: what is loaded from then on is newer.
    refused: Option<RefusedKeys<'a>>,
    /// The first part that is of this entity.
    first: usize,
    /// Whether rows of the table have a key; prepared where a row is asked for it.
    others: Option<Others<'a>>,
    upsert: Upsert<'a>,
    references: Vec<Referenced<'a>>,
    look_ups: Vec<LookedUp<'a>>,
    inherited: Vec<Inherited<'a>>,
    unique: Vec<Unique<'a>>,
    deferred: Option<Deferred<'a>>,
    /// What must hold between values of which one is known only here.
    checks: Vec<Checked<'a>>,
    /// Where a rule has to look at the row that is there.
    keeping: Option<Keeping<'a>>,
    /// Where nested rows take what that row keeps.
    handed: Option<Handed<'a>>,
}

struct Referenced<'a> {
    target: usize,
    entity: &'a str,
    moves: Moves,
    reference: Reference<'a>,
}

/// Values, or keys, that no two rows of the document have.
struct Unique<'a> {
    targets: Vec<usize>,
    seen: Seen<'a>,
    /// Whether a row of the table has them.
    loaded: Others<'a>,
}

/// What became of a row.
pub struct Outcome {
    /// How it was loaded; nothing when it is refused.
    pub loaded: Option<Loaded>,
    /// Why it is refused.
    pub findings: Vec<Finding>,
}

/// What is known of the values of a row that others belong to, and that is not loaded.
#[derive(Default)]
pub struct Outer {
    values: Vec<Option<Stored>>,
    known: Vec<bool>,
}

/// The row of a document that is loaded or judged.
#[derive(Clone, Copy)]
struct At<'r> {
    number: u64,
    row: &'r RowEntry<'r>,
}

impl<'a> Loading<'a> {
    /// Prepares. `part` tells what is loaded of a project's entity: 0 are its own rows, others those of nested records.
    pub fn new(
        whole: &'a ProjectEntity,
        part: usize,
        entities: &'a [Arc<Entity>],
        database: &'a Writing<'a>,
    ) -> Result<Loading<'a>, StoreError> {
        let outer = (part > 0).then_some(whole);
        let (project_entity, together) = (part_of(whole, part), !whole.nested.is_empty());
        let entity = &*project_entity.entity;
        // What a plan fills depends on the mapping alone, not on the document; what rows keep may (`keep`).
        let columns = columns_of(project_entity);
        let upsert = database.rows(entity, &columns, &[], project_entity.write, together)?;
        let mut references = Vec::new();
        for (target, (field, _)) in columns.iter().enumerate() {
            if let Some(name) = &entity.fields[*field].references
                && let Some(referenced) = entities.iter().find(|entity| entity.is_called(name))
            {
                let (moves, reference) = (Moves::of(referenced, database)?, database.reference(referenced)?);
                references.push(Referenced { target, entity: &referenced.name, moves, reference });
            }
        }
        let target_of = |field: usize| columns.iter().position(|(mapped, _)| *mapped == field);
        let several = Several::new(project_entity);
        let (mut look_ups, mut sequences) = (Vec::new(), Vec::new());
        for (line, mapping) in project_entity.mapping.iter().enumerate() {
            let Some(target) = target_of(mapping.field) else { continue };
            if let Source::NumberSequence { pattern } = &mapping.source {
                sequences.push(Numbering { target, sequence: database.sequence(entity, mapping.field, pattern)? });
            }
            let Some(look_up) = &mapping.look_up else { continue };
            let other = entities.iter().find(|entity| entity.is_called(&look_up.entity));
            let places = other.and_then(|other| Some((other, other.field(&look_up.find)?, other.field(&look_up.take)?)));
            if let Some((other, find, take)) = places {
                let finder = database.finder(other, find, take)?;
                let own = (other.name == entity.name && entity.is_managed()).then(|| (target_of(find), target_of(take)));
                let (several, taken) = (several.place(mapping.field), &other.fields[take]);
                let judged = may_be_none(other, taken, &entity.fields[mapping.field]);
                let (moves, take) = (Moves::of(other, database)?, &taken.name);
                look_ups.push(LookedUp { target, line, several, entity: &other.name, moves, take, judged, finder, own });
            }
        }
        let fields = (0..entity.fields.len()).filter(|field| entity.fields[*field].unique);
        let key: Vec<usize> = entity.key.iter().filter_map(|field| target_of(*field)).collect();
        // Places of one entity have their rows in one table, and share the lists.
        let places: Vec<usize> = (0..=whole.nested.len()).filter(|place| part_of(whole, *place).entity.name == entity.name).collect();
        let fills = |place: usize, field: usize| part_of(whole, place).mapping.iter().any(move |line| line.field == field);
        let list = |fields: &[usize], name: &str, begins: bool| database.seen(entity, fields, &format!("{}_{name}", places[0]), begins);
        let mut unique = Vec::new();
        for field in fields {
            if let Some(target) = target_of(field) {
                let begins = !places.iter().any(|place| *place < part && fills(*place, field));
                let seen = list(&[field], &field.to_string(), begins)?;
                unique.push(Unique { targets: vec![target], seen, loaded: database.others(entity, &[field])? });
            }
        }
        if project_entity.duplicates == Duplicates::Refuse {
            let (seen, loaded) = (list(&entity.key, "key", true)?, database.others(entity, &entity.key)?);
            unique.push(Unique { targets: key.clone(), seen, loaded });
        }
        let numbers_key = |line: &Mapping| matches!(line.source, Source::NumberSequence { .. }) && entity.key.contains(&line.field);
        let numbered = places.iter().any(|place| part_of(whole, *place).mapping.iter().any(numbers_key));
        let given = numbered.then(|| list(&entity.key, "given", places[0] == part)).transpose()?;
        let (checks, keeping) = rules(project_entity, database, &columns)?;
        let deferred = database.deferred(entity, &columns, part)?;
        let handed = Handed::new(project_entity, database, &columns)?;
        let inherited = Inherited::all(project_entity, outer, &columns);
        Ok(Loading {
            project_entity,
            entity,
            database,
            columns,
            several,
            part,
            stirs: !entity.is_managed() && database.table(entity)?.triggers,
            together,
            key,
            sequences,
            given,
            refused: None,
            first: places[0],
            others: None,
            upsert,
            references,
            look_ups,
            inherited,
            unique,
            deferred,
            checks,
            keeping,
            handed,
        })
    }

    /// Empties the table, where that is asked for: before the first row of a document that is not to complete an earlier one. How many rows were there.
    pub fn begin(&self) -> Result<u64, StoreError> {
        if self.project_entity.truncate { self.database.truncate(self.entity) } else { Ok(0) }
    }

    /// The document has no column for these fields: rows keep what they have in them.
    pub fn keep(&mut self, fields: &[usize]) -> Result<(), StoreError> {
        for (field, keeps) in &mut self.columns {
            *keeps |= fields.contains(field);
        }
        self.upsert = self.database.rows(self.entity, &self.columns, fields, self.project_entity.write, self.together)?;
        self.deferred.iter_mut().for_each(|deferred| deferred.leave_out(fields));
        (self.checks, self.keeping) = rules(self.project_entity, self.database, &self.columns)?;
        self.handed = Handed::new(self.project_entity, self.database, &self.columns)?;
        Ok(())
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
        let at = At { number, row };
        let cells = cells(block, row, parent);
        if self.look_ups.is_empty() && self.inherited.is_empty() {
            return self.looked_up(at, &cells, &[], Vec::new(), keep);
        }
        let mut bad = vec![false; cells.len()];
        let (taken, findings) = self.take(at, &cells, &mut bad)?;
        self.looked_up(at, &with(&cells, &taken), &bad, findings, keep)
    }

    /// What else is wrong with a row that is refused already. Of its values those count that nothing was found against. `outer` is what is known of the
    /// row that it belongs to, which is not loaded, either.
    pub fn judge(&mut self, block: &Block, number: u64, row: &RowEntry<'_>, outer: &Outer) -> Result<(Vec<Finding>, Outer), ImportError> {
        let at = At { number, row };
        let is_bad = |value: &Value| match value {
            Value::Parent(target) => !outer.known.get(*target as usize).is_some_and(|known| *known),
            value => *value == Value::Bad,
        };
        let mut bad: Vec<bool> = row.values.iter().map(is_bad).collect();
        let cells = cells(block, row, &outer.values);
        let (taken, mut findings) = self.take(at, &cells, &mut bad)?;
        let cells = with(&cells, &taken);
        let own = self.known(at, &cells, &bad);
        // No row can refer to the one that it belongs to.
        row.values.iter().zip(&mut bad).for_each(|(value, bad)| *bad |= matches!(value, Value::Parent(_)));
        self.compare(at, &cells, &bad, &mut findings)?;
        self.judge_key(at, &cells, &bad, &mut findings)?;
        Ok((findings, own))
    }

    /// What rows that belong to this one can know of it though it is not loaded: not what it leaves to the row that is there, nor its numbers.
    fn known(&self, at: At<'_>, cells: &[Cell<'_>], bad: &[bool]) -> Outer {
        let known = |target: usize| {
            let is_number = matches!(at.row.values[target], Value::Sequence(_));
            let is_left = self.columns[target].1 && cells[target] == Cell::Null;
            !(bad[target] || is_number || is_left)
        };
        match self.project_entity.nested.is_empty() {
            true => Outer::default(),
            false => Outer { values: cells.iter().map(Cell::stored).collect(), known: (0..cells.len()).map(known).collect() },
        }
    }

    /// Whether a row that is refused would not be loaded for its key, either.
    fn judge_key(&mut self, at: At<'_>, cells: &[Cell<'_>], bad: &[bool], findings: &mut Vec<Finding>) -> Result<(), StoreError> {
        // That of a row of the document is told already.
        if !findings.iter().any(|finding| finding.rule == Rule::Unique)
            && !self.key.iter().any(|target| bad.get(*target).is_some_and(|bad| *bad))
        {
            if let Some(finding) = self.replaces(at, cells)? {
                findings.push(finding);
            } else if let Some(why) = self.upsert.is_kept_out(cells)? {
                findings.push(self.turned_away(at, cells, &why));
            }
        }
        Ok(())
    }

    /// Why the table does not have the row.
    fn turned_away(&self, at: At<'_>, cells: &[Cell<'_>], why: &Loaded) -> Finding {
        match why {
            Loaded::Exists => {
                let message = "a row with this key exists, and only new rows are taken".to_owned();
                self.finding(at, Rule::Exists, message, "take the row out, or write upsert", &self.of_key(cells))
            }
            Loaded::Refused(reason) => {
                let message = format!("the table does not take the row: {reason}");
                self.finding(at, Rule::Load, message, "correct the row, or the table's rule", &self.named_in(reason, cells))
            }
            Loaded::Alike(one) => {
                let message = format!("several rows of the table have this key, and spell it differently, one as {one}");
                self.finding(at, Rule::Load, message, "correct the table, so that one row has the key", &self.of_key(cells))
            }
            _ => {
                let message = "no row has this key, and only existing rows are changed".to_owned();
                self.finding(at, Rule::Missing, message, "correct the key, or write upsert", &self.of_key(cells))
            }
        }
    }

    /// Notes what a refused row has that no other row of the document may have. What was noted of a record with others in it was taken back with it.
    pub fn note_refused(&mut self, block: &Block, number: u64, row: &RowEntry<'_>, parent: &[Option<Stored>]) -> Result<(), ImportError> {
        let is_bad = |value: &Value| *value == Value::Bad || parent.is_empty() && matches!(value, Value::Parent(_));
        let mut bad: Vec<bool> = row.values.iter().map(is_bad).collect();
        let cells = cells(block, row, parent);
        let (taken, _) = self.take(At { number, row }, &cells, &mut bad)?;
        let cells = with(&cells, &taken);
        for unique in &mut self.unique {
            let values: Vec<String> = unique.targets.iter().map(|target| cells[*target].text()).collect();
            if !values.iter().all(String::is_empty) && !unique.targets.iter().any(|target| bad[*target]) {
                unique.seen.note(&values.join(SEPARATOR), number)?;
            }
        }
        let key = self.key_text(&cells);
        match &mut self.refused {
            Some(refused) if !self.key.iter().any(|target| bad[*target] || cells[*target].is_blank()) => Ok(refused.note(&key, number)?),
            _ => Ok(()),
        }
    }

    /// Compares the values that are not bad with the rows of other entities, with those that the document had before, and with each other.
    fn compare(&mut self, at: At<'_>, cells: &[Cell<'_>], bad: &[bool], findings: &mut Vec<Finding>) -> Result<(), ImportError> {
        let is_bad = |target: usize| bad.get(target).is_some_and(|bad| *bad);
        for index in 0..self.references.len() {
            let referenced = &mut self.references[index];
            let target = referenced.target;
            // A row may refer to itself.
            let itself = referenced.entity == self.entity.name && self.key.first().is_some_and(|key| cells[*key] == cells[target]);
            if !is_bad(target) && !itself && !referenced.reference.exists(cells[target])? {
                let message = format!("{} has no row with this key", referenced.entity);
                let hint = "load that row first, or correct the value";
                findings.push(self.finding(at, Rule::Reference, message, hint, &[(target, cells[target])]));
            }
        }
        for index in 0..self.unique.len() {
            let unique = &mut self.unique[index];
            let values: Vec<String> = unique.targets.iter().map(|target| cells[*target].text()).collect();
            if values.iter().all(String::is_empty) || unique.targets.iter().any(|target| is_bad(*target)) {
                continue;
            }
            if let Some(before) = unique.seen.note(&values.join(SEPARATOR), at.number)? {
                let message = format!("row {before} of the document has it too");
                let hint = "take one of the two out, or give one another value";
                let of: Vec<_> = unique.targets.iter().map(|target| (*target, cells[*target])).collect();
                findings.push(self.finding(at, Rule::Unique, message, hint, &of));
            } else if at.row.repeats.value {
                // The other one was loaded from the document that this one was refused in.
                let of: Vec<_> = unique.targets.iter().map(|target| (*target, cells[*target])).collect();
                let key: Vec<Cell<'_>> = self.key.iter().map(|target| cells[*target]).collect();
                let values: Vec<Cell<'_>> = of.iter().map(|(_, cell)| *cell).collect();
                if unique.loaded.exist(&values, &key)? {
                    let message = "a row that is loaded has it too".to_owned();
                    let hint = "give this one another value, or take it out; without its reason it replaces a row with its key";
                    findings.push(self.finding(at, Rule::Unique, message, hint, &of));
                }
            }
        }
        Ok(self.compare_with_kept(at, cells, &is_bad, findings)?)
    }

    /// Loads a row whose look-ups are done.
    fn looked_up(
        &mut self,
        at: At<'_>,
        cells: &[Cell<'_>],
        bad: &[bool],
        mut findings: Vec<Finding>,
        keep: Option<&mut Vec<Option<Stored>>>,
    ) -> Result<Outcome, ImportError> {
        self.compare(at, cells, bad, &mut findings)?;
        if !findings.is_empty() {
            self.judge_key(at, cells, bad, &mut findings)?;
            return Ok(Outcome { loaded: None, findings });
        }
        // Numbers are taken last, and given back by a row that the table refuses: no number is left out.
        let numbers = match self.number(at, cells)? {
            Ok(numbers) => numbers,
            Err(finding) => return Ok(Outcome { loaded: None, findings: vec![finding] }),
        };
        let mut filled;
        let cells = if numbers.is_empty() {
            cells
        } else {
            filled = cells.to_vec();
            numbers.iter().for_each(|(index, number)| filled[self.sequences[*index].target] = Cell::from(number.value()));
            &filled
        };
        if numbers.iter().any(|(index, _)| self.key.contains(&self.sequences[*index].target)) {
            self.note_given(at, cells)?;
        } else if let Some(finding) = self.replaces(at, cells)? {
            self.give_back(&numbers)?;
            return Ok(Outcome { loaded: None, findings: vec![finding] });
        }
        let loaded = self.upsert.row(cells)?;
        let finding = match &loaded {
            Loaded::Inserted | Loaded::Updated | Loaded::Unchanged => {
                for (index, number) in &numbers {
                    if let Some(unique) = unique_of(&mut self.unique, self.sequences[*index].target) {
                        unique.seen.note(&number.value().text(), at.number)?;
                    }
                }
                if !self.look_ups.is_empty() && loaded != Loaded::Unchanged {
                    self.forget_of(cells, loaded == Loaded::Inserted);
                }
                let key = self.refused.is_some().then(|| self.key_text(cells));
                if let (Some(refused), Some(key)) = (&mut self.refused, key) {
                    refused.loaded(&key, at.number)?;
                }
                let key = self.deferred.as_ref().is_some_and(|deferred| deferred.concerns(&loaded)).then(|| self.key_text(cells));
                if let (Some(deferred), Some(key)) = (&mut self.deferred, key) {
                    deferred.note(&key, at.number, at.row.line)?;
                }
                if let Some(keep) = keep {
                    keep.clear();
                    keep.extend(cells.iter().map(Cell::stored));
                    if let Some(handed) = &mut self.handed
                        && let Some((target, wrong)) = handed.fill(&self.key, cells, keep)?
                    {
                        let message = format!("what its row has there cannot be given to nested ones: {}", wrong.message);
                        let finding = self.finding(at, wrong.rule, message, "correct that row in its table", &[(target, cells[target])]);
                        return Ok(Outcome { loaded: None, findings: vec![finding] });
                    }
                }
                return Ok(Outcome { loaded: Some(loaded), findings });
            }
            why => self.turned_away(at, cells, why),
        };
        self.give_back(&numbers)?;
        Ok(Outcome { loaded: None, findings: vec![finding] })
    }

    /// Rows that refer to nothing once all is loaded, where the table judges that only then.
    pub fn dangling(&self) -> Result<Vec<Finding>, StoreError> {
        let Some(deferred) = &self.deferred else { return Ok(Vec::new()) };
        let finding = |dangling: Dangling| {
            let (columns, values): (Vec<String>, Vec<String>) = dangling.values.into_iter().unzip();
            let sources = columns.iter().filter_map(|name| self.entity.field(name)).map(|field| self.several.source(field, &[]));
            let message = format!("\"{}\" has no row with this value when all is loaded: a foreign key of the table", dangling.parent);
            let hint = "load that row first, or correct the value; until then nothing of the document is loaded".to_owned();
            Finding {
                line: dangling.line,
                row: dangling.row,
                column: sources.collect::<Vec<_>>().join(", "),
                field: columns.join(", "),
                value: shown(&values.join(", ")),
                ..Finding::of_document(Rule::Reference, &self.entity.name, message, hint)
            }
        };
        Ok(deferred.dangling(SEPARATOR)?.into_iter().map(finding).collect())
    }

    /// A row of the document is refused.
    pub fn expect_refused(&mut self) -> Result<(), StoreError> {
        self.refused = Some(self.database.refused_keys(self.entity, self.first)?);
        Ok(())
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

    fn of_key<'c>(&self, cells: &[Cell<'c>]) -> Vec<(usize, Cell<'c>)> {
        self.key.iter().map(|target| (*target, cells[*target])).collect()
    }

    /// The values that SQLite names in its reason: `NOT NULL constraint failed: orders.cust`.
    fn named_in<'c>(&self, reason: &str, cells: &[Cell<'c>]) -> Vec<(usize, Cell<'c>)> {
        let table = format!("{}.", self.entity.table);
        let words = reason.split([' ', ',']).filter_map(|word| word.strip_prefix(table.as_str()));
        let targets = words.filter_map(|name| {
            let field = self.entity.field(name)?;
            self.columns.iter().position(|(filled, _)| *filled == field)
        });
        targets.map(|target| (target, cells[target])).collect()
    }

    /// A finding about a row, and about those of its values that are concerned.
    fn finding(&self, at: At<'_>, rule: Rule, message: String, hint: &str, of: &[(usize, Cell<'_>)]) -> Finding {
        let fields = || of.iter().map(|(target, _)| self.columns[*target].0);
        let list = |texts: &mut dyn Iterator<Item = String>| texts.filter(|text| !text.is_empty()).collect::<Vec<_>>().join(", ");
        Finding {
            rule,
            entity: self.entity.name.clone(),
            line: at.row.line,
            row: at.number,
            column: list(&mut fields().map(|field| self.several.source(field, at.row.filled))),
            field: list(&mut fields().map(|field| self.entity.fields[field].name.clone())),
            value: shown(&list(&mut of.iter().map(|(_, cell)| cell.text()))),
            expected: match of {
                [(target, _)] if rule.is_of_field() => value::expected(&self.entity.fields[self.columns[*target].0]),
                _ => String::new(),
            },
            message,
            hint: hint.to_owned(),
        }
    }
}

/// What is loaded of a project's entity: its own rows, or those of one of its nested records.
fn part_of(whole: &ProjectEntity, part: usize) -> &ProjectEntity {
    match part {
        0 => whole,
        nested => &whole.nested[nested - 1].project_entity,
    }
}

/// The values of a row, with those that it has from the row it belongs to.
fn cells<'c>(block: &'c Block, row: &RowEntry<'_>, parent: &'c [Option<Stored>]) -> Vec<Cell<'c>> {
    let cell = |value: &Value| match value {
        Value::Parent(target) => parent.get(*target as usize).and_then(Option::as_ref).map_or(Cell::Null, Cell::from),
        value => block.cell(*value),
    };
    row.values.iter().map(cell).collect()
}

/// The cells, with what was taken from elsewhere in the place of what it was looked up by.
fn with<'c>(cells: &[Cell<'c>], taken: &'c [Option<Stored>]) -> Vec<Cell<'c>> {
    cells.iter().zip(taken).map(|(cell, taken)| taken.as_ref().map_or(*cell, Cell::from)).collect()
}

/// The checks that are made when a row is loaded, and what they need to look at rows that are there.
fn rules<'a>(
    project_entity: &'a ProjectEntity,
    database: &'a Writing<'a>,
    columns: &[(usize, bool)],
) -> Result<(Vec<Checked<'a>>, Option<Keeping<'a>>), StoreError> {
    let checks: Vec<Checked<'a>> = Checked::all(project_entity, columns).into_iter().filter(|check| check.late).collect();
    let keeping = Keeping::new(&project_entity.entity, database, columns, project_entity.write, &checks)?;
    Ok((checks, keeping))
}

/// The fields a mapping fills, in the order of the plan's.
pub(super) fn columns_of(project_entity: &ProjectEntity) -> Vec<(usize, bool)> {
    let mut columns: Vec<(usize, bool)> = Vec::new();
    for mapping in &project_entity.mapping {
        let keeps = project_entity.keeps(mapping);
        match columns.iter_mut().find(|(field, _)| *field == mapping.field) {
            Some((_, kept)) => *kept |= keeps,
            None => columns.push((mapping.field, keeps)),
        }
    }
    columns
}
