//! A run of an import that stores nothing: the same engine, its rows and findings shown, everything taken back. `entrepot try` and `entrepot test`
//! are made of it.

use std::io::{self, Read, Write};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use super::import::{self, Import, ImportError, Report, Sink};
use crate::clock::Clock;
use crate::document::value::Stored;
use crate::files::Scratch;
use crate::model::entity::Entity;
use crate::model::execution::RowCounts;
use crate::model::finding::Finding;
use crate::model::project::ProjectEntity;
use crate::model::transform::Budget;
use crate::store::entities::{Loaded, Writing};
use crate::transform::{self, Call, Passage, Transcript};

/// A row as it would be loaded.
#[derive(Clone, Debug, PartialEq)]
pub struct Row {
    /// Its entity.
    pub entity: String,
    /// Field and value; `None` is blank.
    pub values: Vec<(String, Option<String>)>,
}

/// What a trial shows.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Shown {
    /// Rows that would be loaded, as many as were asked for.
    pub rows: Vec<Row>,
    /// Findings, as many as were asked for, what stylesheets said first; the report counts all that are faults.
    pub findings: Vec<Finding>,
    /// The stylesheets that the document passed, each with the beginning of its result.
    pub passages: Vec<Passage>,
}

/// How much a trial shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Rows.
    pub rows: usize,
    /// Findings.
    pub findings: usize,
    /// Bytes of what each stylesheet gives.
    pub preview: usize,
}

/// Runs an import on a database that was opened for a trial.
pub fn run(
    project_entity: &ProjectEntity,
    entities: &[Arc<Entity>],
    database: &Writing<'_>,
    company: Option<&str>,
    document: impl Read + Send,
    limits: Limits,
    budget: &Budget,
) -> Result<(Report, Shown), ImportError> {
    let stop = AtomicBool::new(false);
    let now = Clock::system().now();
    let mut watching = Watching { limits, shown: Shown::default() };
    let mut transcript = Transcript::default();
    let call = Call {
        entity: &project_entity.entity.name,
        company,
        message_id: None,
        activity_id: None,
        now,
        budget,
        stop: &stop,
        scratch: &Scratch::temporary,
        messages_max: limits.findings as u64,
        preview_max: limits.preview,
    };
    let document: Box<dyn Read + Send + '_> = match project_entity.transform.as_slice() {
        [] => Box::new(document),
        steps => {
            let (mended, document) = transform::mended(project_entity, document).map_err(ImportError::ReadPayload)?;
            let passed = match mended {
                true => {
                    transcript.passages.push(transform::passed_by());
                    Ok(Box::new(document) as Box<dyn Read + Send + '_>)
                }
                false => transform::run(steps, document, &call, &mut transcript)?.map(|result| Box::new(result) as Box<dyn Read + Send>),
            };
            watching.shown.passages = transcript.passages;
            for finding in transcript.messages {
                watching.finding(finding)?;
            }
            match passed {
                Ok(result) => result,
                Err(fault) => {
                    watching.finding(fault)?;
                    return Ok((Report { findings: 1, document_refused: true, ..Report::default() }, watching.shown));
                }
            }
        }
    };
    let import = Import { project_entity, entities, database, company, message: "trial", execution: "trial", now, stop: &stop };
    let report = import::run(&import, document, &mut watching)?;
    Ok((report, watching.shown))
}

struct Watching {
    limits: Limits,
    shown: Shown,
}

impl Sink for Watching {
    fn finding(&mut self, finding: Finding) -> Result<(), ImportError> {
        if self.shown.findings.len() < self.limits.findings {
            self.shown.findings.push(finding);
        }
        Ok(())
    }

    fn refused_rows(&mut self) -> Result<Box<dyn Write + '_>, ImportError> {
        Ok(Box::new(io::sink()))
    }

    fn before_commit(&mut self, _: &RowCounts, _: u64) -> Result<(), ImportError> {
        Ok(())
    }

    fn wants_rows(&self) -> bool {
        self.shown.rows.len() < self.limits.rows
    }

    fn row(&mut self, entity: &Entity, columns: &[(usize, bool)], values: &[Option<Stored>], _: &Loaded) {
        if self.wants_rows() {
            let values = columns.iter().zip(values).map(|((field, _), value)| {
                let name = entity.fields[*field].name.clone();
                (name, value.as_ref().map(Stored::text))
            });
            self.shown.rows.push(Row { entity: entity.name.clone(), values: values.collect() });
        }
    }
}
