//! The rows beside findings: refused records, read again from the files that keep them, in whatever format they are.
//!
//! A finding finds its row by the line that the file tells with each, and in what nests by counting: the file has the
//! refused records in the order of their findings, each once.

use std::collections::{BTreeMap, HashMap};
use std::io::{BufReader, Read};
use std::ops::ControlFlow;
use std::sync::Arc;

use serde_json::{Value, json};

use crate::appliance::Appliance;
use crate::document::refused::{self, Again};
use crate::inbound::{package, plan};
use crate::model::finding::Finding;
use crate::model::job::Job;
use crate::model::message::{Content, Message};
use crate::model::project::ProjectEntity;
use crate::store::executions;

/// Refused rows looked through for those of one page of findings; behind these, findings stand alone.
const ROWS_SEARCHED_MAX: u64 = 200_000;
/// Columns shown of a row; the concerned one always is.
const COLUMNS_MAX: usize = 40;
/// Characters shown of a value.
const VALUE_MAX: usize = 200;

/// A refused record, as the document had it.
pub struct Row {
    entity: Arc<str>,
    names: Arc<Vec<String>>,
    values: Vec<String>,
}

impl Row {
    /// The entity of this row, where the finding is about a record that is nested in it.
    pub fn within(&self, finding: &Finding) -> Option<&str> {
        (*self.entity != *finding.entity).then_some(&self.entity)
    }

    /// Its cells for one finding, the concerned ones marked, and whether there is one.
    pub fn cells(&self, finding: &Finding) -> (Vec<Value>, bool) {
        let nested = self.within(finding).is_some();
        let is = |index: usize, column: &str| {
            let called = || self.names.get(index).is_some_and(|name| name.eq_ignore_ascii_case(column));
            !nested && (called() || (index + 1).to_string() == column)
        };
        let all = |columns: &[&str]| -> Vec<usize> {
            (0..self.values.len()).filter(|index| columns.iter().any(|column| is(*index, column))).collect()
        };
        // A finding about several values names their columns one after the other.
        let one = all(&[finding.column.as_str()]);
        let concerned = if one.is_empty() { all(&finding.column.split(", ").collect::<Vec<_>>()) } else { one };
        let shown = (0..self.values.len()).filter(|index| *index < COLUMNS_MAX || concerned.contains(index));
        let cells = shown.map(|index| {
            let name = self.names.get(index).cloned().unwrap_or_else(|| (index + 1).to_string());
            json!({ "column": name, "value": cut(&self.values[index]), "concerned": concerned.contains(&index) })
        });
        (cells.collect(), !concerned.is_empty())
    }
}

/// The beginning of a value.
pub fn cut(value: &str) -> String {
    match value.char_indices().nth(VALUE_MAX) {
        Some((end, _)) => format!("{}…", &value[..end]),
        None => value.to_owned(),
    }
}

/// The rows of these findings, by the number of the finding. Findings are a help for people: without its row one still says what is wrong and where,
/// so what cannot be read is left out.
pub fn rows(appliance: &Appliance, message: &Message, found: &[(u64, Finding)]) -> HashMap<u64, Row> {
    let mut rows = HashMap::new();
    let live = appliance.live();
    let (Some(job), Some(execution)) = (live.config.job(message.activity_id), &message.execution_id) else { return rows };
    for (project_entity, name) in files(appliance, message, job) {
        let mut entities = vec![project_entity.entity.name.as_str()];
        entities.extend(project_entity.nested.iter().map(|nested| nested.project_entity.entity.name.as_str()));
        let own: Vec<&(u64, Finding)> =
            found.iter().filter(|(_, finding)| finding.row > 0 && entities.contains(&finding.entity.as_str())).collect();
        let Some((first, _)) = own.first() else { continue };
        let read = |connection: &rusqlite::Connection| executions::records_before(connection, &execution.0, &entities, *first);
        let Ok(before) = appliance.store.read("count refused records", read) else { continue };
        let (mut wanted, mut numbers) = (Wanted::new(), HashMap::new());
        for (ordinal, finding) in own {
            let next = before + numbers.len() as u64;
            let number = *numbers.entry(finding.row).or_insert(next);
            wanted.entry(number).or_insert((finding.line, Vec::new())).1.push(*ordinal);
        }
        let Ok((file, _)) = appliance.store.spool().open_refused(&name) else { continue };
        collect(&project_entity, file, &wanted, &mut rows);
    }
    rows
}

/// What is looked for: the numbers of records in the file, each with the line it stood on and its findings.
type Wanted = BTreeMap<u64, (u64, Vec<u64>)>;

fn collect(project_entity: &ProjectEntity, file: impl Read, wanted: &Wanted, rows: &mut HashMap<u64, Row>) {
    let Some((last, (last_line, _))) = wanted.last_key_value() else { return };
    let mut asked = plan::wanted(project_entity);
    asked.nested.clear();
    let names = Arc::new(plan::wanted_names(project_entity));
    let entity: Arc<str> = project_entity.entity.name.as_str().into();
    let mut take = |again: Again<'_>| {
        let exact = wanted.get(&again.number).filter(|(wanted, _)| again.line.is_none_or(|line| line == *wanted));
        // A record that damages others changes what can be counted, not the lines; and where all records stand on one line, counting decides.
        let near = || wanted.values().find(|(wanted, _)| again.line == Some(*wanted));
        if let Some((_, ordinals)) = exact.or_else(near) {
            let names = if names.is_empty() { again.names } else { &names };
            for ordinal in ordinals {
                let row = Row { entity: entity.clone(), names: names.clone(), values: again.values.clone() };
                match exact {
                    Some(_) => drop(rows.insert(*ordinal, row)),
                    None => drop(rows.entry(*ordinal).or_insert(row)),
                }
            }
        }
        let behind = again.number >= *last && again.line.is_none_or(|line| line >= *last_line);
        if behind || again.number >= ROWS_SEARCHED_MAX { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    };
    // A file that breaks off, because records in it are broken, still has those before.
    let _ = refused::read_again(BufReader::new(file), &project_entity.format, asked, &mut take);
}

/// The entities of a message that have refused rows, as they were read, each with its file.
fn files(appliance: &Appliance, message: &Message, job: &Job) -> Vec<(ProjectEntity, String)> {
    if message.content == Content::File {
        let found = job.project.entity(&message.entity).zip(message.refused_file.clone());
        return found.map(|(project_entity, name)| (project_entity.clone(), name)).into_iter().collect();
    }
    let Some(execution) = &message.execution_id else { return Vec::new() };
    let runs = appliance.store.read("read the entities of an execution", |connection| executions::entities(connection, &execution.0));
    let mut files: Vec<(String, String)> =
        runs.unwrap_or_default().into_iter().filter_map(|run| Some((run.entity, run.refused_file?))).collect();
    if files.is_empty() {
        return Vec::new();
    }
    // What the project leaves to the package stands in the package alone.
    let Ok(payload) = appliance.store.spool().open_window(&message.place, message.size, message.checksum) else { return Vec::new() };
    let as_read = package::as_read(&job.project, payload, message.size);
    let of = |(label, name): (String, String)| {
        let project_entity = as_read.iter().find(|one| one.entity.name == label)?;
        Some((project_entity.clone(), name))
    };
    files.drain(..).filter_map(of).collect()
}
