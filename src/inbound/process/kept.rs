//! What is kept of an import beside its rows: findings in the store; refused, staged and transformed rows in the spool.

use std::fs::File;
use std::io::Write;
use std::path::PathBuf;

use super::Work;
use crate::inbound::import::{ImportError, Sink};
use crate::model::execution::{RowCounts, StagingStatus};
use crate::model::finding::Finding;
use crate::model::project::ProjectEntity;
use crate::store::{executions, messages};

/// Findings written to the store at a time.
const FINDINGS_BLOCK: usize = 500;

/// Keeps findings in the store and refused rows in the spool, while the import runs.
pub struct Kept<'a> {
    work: &'a Work<'a>,
    pending: Vec<Finding>,
    /// The number of the next finding.
    next: u64,
    most: u64,
    refused: Option<(std::io::BufWriter<File>, PathBuf)>,
    /// The entity's number in the message.
    ordinal: usize,
    /// The name of the entity's file of refused rows, but for the extension.
    pub stem: String,
    extension: &'static str,
    pub refused_name: Option<String>,
    pub transformed_name: Option<String>,
    /// Rows are staged; the file, while it is written.
    stages: bool,
    staging: Option<PathBuf>,
    pub staging_name: Option<String>,
}

impl<'a> Kept<'a> {
    pub fn new(work: &'a Work<'a>) -> Kept<'a> {
        Kept {
            work,
            pending: Vec::new(),
            next: 0,
            most: work.live.config.queue.findings_max,
            refused: None,
            ordinal: 0,
            stem: String::new(),
            extension: "",
            refused_name: None,
            transformed_name: None,
            stages: false,
            staging: None,
            staging_name: None,
        }
    }

    /// What comes now is about this entity, the `ordinal`th of the message.
    pub fn begin(&mut self, ordinal: usize, project_entity: &ProjectEntity) -> Result<(), ImportError> {
        self.flush()?;
        self.discard();
        self.refused_name = None;
        self.transformed_name = None;
        self.staging_name = None;
        self.stages = self.work.message.stage_only || !project_entity.skip_staging;
        self.ordinal = ordinal;
        self.stem = format!("{}-{ordinal}", self.work.message.id);
        self.extension = project_entity.format.file_extension();
        log::debug!("entity taken up message={} entity=\"{}\"", self.work.message.id, project_entity.entity.name);
        Ok(())
    }

    /// Refused and staged rows that were begun are of no use: nothing of their document is loaded.
    pub fn discard(&mut self) {
        self.forget_refused_rows();
        if let Some(path) = self.staging.take() {
            let _ = std::fs::remove_file(path);
        }
    }

    /// Findings of an earlier try are no longer true.
    pub fn forget_earlier(&mut self, entity: &str) -> Result<(), ImportError> {
        self.flush()?;
        let (execution, entity) = (self.work.execution.clone(), entity.to_owned());
        self.next = self
            .work
            .appliance
            .store
            .write("forget findings", move |batch| executions::forget_findings(batch.connection, &execution, &entity))?;
        Ok(())
    }

    /// What an earlier try left, which had loaded the rows: those that were refused, those that were staged, and the transformed document.
    pub fn find_files(&mut self) {
        let (name, spool) = (format!("{}.{}", self.stem, self.extension), self.work.appliance.store.spool());
        self.transformed_name = spool.open_transformed(&name).is_ok().then(|| name.clone());
        let staging = format!("{}.db", self.stem);
        self.staging_name = spool.staging_path(&staging).is_ok().then_some(staging);
        self.refused_name = spool.open_refused(&name).is_ok().then_some(name);
    }

    /// What is kept of an execution that loaded the rows for an earlier message is this one's, too.
    pub fn take_over(&mut self, execution: &str, entities: Vec<String>) -> Result<(), ImportError> {
        entities.iter().try_for_each(|entity| self.forget_earlier(entity))?;
        let store = &self.work.appliance.store;
        let (from, id, first, most) = (execution.to_owned(), self.work.execution.clone(), self.next, self.most);
        self.next = store.write("take findings over", move |batch| {
            executions::take_findings_over(batch.connection, &from, &id, &entities, first, most)
        })?;
        if let Some(message) = store.read("find the message", |connection| messages::of_execution(connection, execution))? {
            let stem = format!("{message}-{}", self.ordinal);
            store.spool().take_over(&stem, &self.stem, self.extension).map_err(ImportError::WriteRefused)?;
        }
        self.find_files();
        Ok(())
    }

    pub fn flush(&mut self) -> Result<(), ImportError> {
        let findings = std::mem::take(&mut self.pending);
        if findings.is_empty() {
            return Ok(());
        }
        let (execution, first) = (self.work.execution.clone(), self.next);
        self.next += findings.len() as u64;
        self.work
            .appliance
            .store
            .write("keep findings", move |batch| executions::keep_findings(batch.connection, &execution, first, &findings))?;
        Ok(())
    }
}

impl Sink for Kept<'_> {
    fn finding(&mut self, finding: Finding) -> Result<(), ImportError> {
        if self.next + (self.pending.len() as u64) < self.most {
            self.pending.push(finding);
            if self.pending.len() == FINDINGS_BLOCK {
                self.flush()?;
            }
        }
        Ok(())
    }

    fn refused_rows(&mut self) -> Result<Box<dyn Write + '_>, ImportError> {
        if self.refused.is_none() {
            let spool = self.work.appliance.store.spool();
            let (file, path) = spool.create_incoming(&format!("{}.refused", self.stem)).map_err(ImportError::WriteRefused)?;
            self.refused = Some((std::io::BufWriter::new(file), path));
        }
        let (file, _) = self.refused.as_mut().expect("it was just made");
        Ok(Box::new(file))
    }

    fn forget_refused_rows(&mut self) {
        if let Some((_, path)) = self.refused.take() {
            // The next start would remove it too.
            let _ = crate::files::remove(&path);
        }
    }

    fn staging(&mut self) -> Result<Option<(PathBuf, StagingStatus)>, ImportError> {
        if !self.stages {
            return Ok(None);
        }
        let spool = self.work.appliance.store.spool();
        let (_, path) = spool.create_incoming(&format!("{}.staging", self.stem)).map_err(ImportError::Stage)?;
        self.staging = Some(path.clone());
        let accepted = if self.work.message.stage_only { StagingStatus::Validated } else { StagingStatus::Completed };
        Ok(Some((path, accepted)))
    }

    fn before_commit(&mut self, _: &RowCounts, _: u64) -> Result<(), ImportError> {
        self.flush()?;
        if let Some(path) = &self.staging {
            let spool = self.work.appliance.store.spool();
            self.staging_name = Some(spool.promote_staging(path, &self.stem).map_err(ImportError::Stage)?);
            self.staging = None;
        }
        if let Some((file, path)) = self.refused.take() {
            let file = file.into_inner().map_err(|error| ImportError::WriteRefused(error.into_error()))?;
            let spool = self.work.appliance.store.spool();
            self.refused_name = Some(spool.promote_refused(&file, &path, &self.stem, self.extension).map_err(ImportError::WriteRefused)?);
        }
        crate::fault::point("findings_kept");
        Ok(())
    }
}

impl Drop for Kept<'_> {
    fn drop(&mut self) {
        self.discard();
        if let Some(name) = self.staging_name.take() {
            let _ = self.work.appliance.store.spool().remove_staging(&name);
        }
        if let Some(name) = self.transformed_name.take() {
            // Likewise: no report names it.
            let _ = self.work.appliance.store.spool().remove_transformed(&name);
        }
    }
}
