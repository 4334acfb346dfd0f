//! A run of an import that stores nothing: the same engine, its rows and findings shown, everything taken back. `entrepot try` and `entrepot test`
//! are made of it.

use std::io::{self, Read, Write};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use super::import::{self, Import, ImportError, Report, Sink};
use crate::document::value::Stored;
use crate::model::entity::Entity;
use crate::model::execution::RowCounts;
use crate::model::finding::Finding;
use crate::model::project::ProjectEntity;
use crate::model::time::Timestamp;
use crate::store::entities::{Loaded, Writing};

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
    /// Findings, as many as were asked for; the report counts all.
    pub findings: Vec<Finding>,
}

/// How much a trial shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Rows.
    pub rows: usize,
    /// Findings.
    pub findings: usize,
}

/// Runs an import on a database that was opened for a trial.
pub fn run(
    project_entity: &ProjectEntity,
    entities: &[Arc<Entity>],
    database: &Writing<'_>,
    company: Option<&str>,
    document: impl Read + Send,
    limits: Limits,
) -> Result<(Report, Shown), ImportError> {
    let stop = AtomicBool::new(false);
    let import = Import {
        project_entity,
        entities,
        database,
        company,
        message: "trial",
        execution: "trial",
        now: Timestamp::default(),
        stop: &stop,
    };
    let mut watching = Watching { limits, shown: Shown::default() };
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
