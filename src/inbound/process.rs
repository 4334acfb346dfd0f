//! Processes one claimed message: import, then report. The order of writes, so that a crash anywhere repeats nothing and loses nothing:
//!   1. findings and the file of refused rows, durable in queue.db and the spool;
//!   2. the rows and the message id, one commit in the entity database;
//!   3. the message's final state and its execution, one commit in queue.db.
//!
//! A crash after 2 is found by the message id in the entity database: the message is reported with the counts kept there.

use std::fs::File;
use std::io::Write;
use std::path::PathBuf;
use std::sync::Arc;

use super::import::{self, Import, ImportError, Report, Sink};
use crate::appliance::Appliance;
use crate::clock::Stopwatch;
use crate::model::execution::RowCounts;
use crate::model::finding::Finding;
use crate::model::id::ExecutionId;
use crate::model::job::Job;
use crate::model::message::Message;
use crate::model::retry::{self, Verdict};
use crate::model::state::MessageState;
use crate::store::executions::{self, Ending};
use crate::store::{StoreError, messages};

/// Findings written to the store at a time.
const FINDINGS_BLOCK: usize = 500;

/// Processes a message that was claimed, and reports, defers or fails it.
pub fn process(appliance: &Arc<Appliance>, job: &Job, message: Message) {
    let watch = Stopwatch::start();
    let result = attempt(appliance, job, &message);
    let now = appliance.clock.now();
    let id = message.id;
    let done = match result {
        Ok(outcome) => report(appliance, job, &message, outcome, &watch),
        Err(ImportError::Stopped) => {
            log::info!("message given back message={id} job=\"{}\" reason=\"the appliance stops\"", job.name);
            end(appliance, &message, "failed", "the appliance stopped", &watch, move |batch| messages::give_back(batch.connection, id, now))
        }
        Err(error) => {
            let reason = error.to_string();
            let verdict = if error.may_pass() { retry::after(message.attempts) } else { Verdict::GiveUp };
            match verdict {
                Verdict::Again(wait) => {
                    let next = now.plus(wait);
                    log::warn!(
                        "message deferred message={id} job=\"{}\" attempt={} next_try={next} reason=\"{reason}\"",
                        job.name,
                        message.attempts
                    );
                    let why = reason.clone();
                    let done = end(appliance, &message, "failed", &reason, &watch, move |batch| {
                        messages::defer(batch.connection, id, next, &why, now).map(|_| ())
                    });
                    appliance.bell.ring();
                    done
                }
                Verdict::GiveUp => {
                    log::error!(
                        "message failed message={id} job=\"{}\" attempts={} reason=\"{reason}\"; it is kept, replay it when the cause is mended",
                        job.name,
                        message.attempts
                    );
                    let why = reason.clone();
                    end(appliance, &message, "failed", &reason, &watch, move |batch| {
                        messages::report(batch.connection, id, MessageState::Failed, &RowCounts::default(), 0, Some(&why), None, now)
                            .map(|_| ())
                    })
                }
            }
        }
    };
    if let Err(error) = done {
        log::error!(
            "message not reported message={id} job=\"{}\" reason=\"{error}\"; it is taken up again at the next start, without loading twice",
            job.name
        );
    }
}

struct Outcome {
    report: Report,
    refused_file: Option<String>,
    /// Found to be loaded by an earlier try.
    earlier: bool,
}

fn attempt(appliance: &Arc<Appliance>, job: &Job, message: &Message) -> Result<Outcome, ImportError> {
    let live = appliance.live();
    let (id, now) = (message.id, appliance.clock.now());
    let execution = message.execution_id.clone().expect("a claimed message has its execution");
    let damaged =
        |what: String| ImportError::Store(StoreError { operation: "process the message", cause: crate::store::Cause::Damaged(what) });
    let Some(project_entity) = job.project.entity(&message.entity) else {
        return Err(damaged(format!("the project \"{}\" no longer has the entity \"{}\"", job.project.name, message.entity)));
    };
    let wait_ms = u64::try_from(now.since(message.received_at).as_millis()).unwrap_or(u64::MAX);
    let (activity, project) = (job.activity_id, job.project.name.clone());
    let begun = execution.clone();
    appliance.store.write("begin the execution", move |batch| {
        executions::begin(batch.connection, &begun, activity, &project, Some(id), wait_ms, now)
    })?;
    // The tables of referenced entities are made too, so that a reference can be looked up before their first import.
    let here: Vec<_> = live.config.entities.iter().filter(|entity| entity.database == project_entity.entity.database).cloned().collect();
    let needed: Vec<_> = here
        .iter()
        .filter(|entity| entity.name == project_entity.entity.name || project_entity.needs().any(|name| entity.is_called(name)))
        .cloned()
        .collect();
    let database = live.entities.writer(&project_entity.entity.database, &needed)?;
    let key = id.to_string();
    if let Some((counts, findings)) = database.already_loaded(&key)? {
        log::warn!("message was loaded before a crash message={id}; reported now, not loaded again");
        let report = Report { counts, findings, ..Report::default() };
        return Ok(Outcome { report, refused_file: None, earlier: true });
    }
    let payload = appliance.store.spool().open_payload(&message.place, message.size, message.checksum).map_err(ImportError::ReadPayload)?;
    let mut sink = Kept {
        appliance,
        execution: execution.clone(),
        pending: Vec::new(),
        kept: 0,
        most: live.config.queue.findings_max,
        refused: None,
        extension: project_entity.format.file_extension(),
        refused_name: None,
    };
    let import = Import {
        project_entity,
        entities: &here,
        database: &database,
        company: message.company.as_deref(),
        message: &key,
        execution: &execution.0,
        now,
        stop: appliance.stop_flag(),
    };
    let report = import::run(&import, payload, &mut sink)?;
    let refused_file = sink.refused_name.take();
    Ok(Outcome { report, refused_file, earlier: false })
}

fn report(appliance: &Arc<Appliance>, job: &Job, message: &Message, outcome: Outcome, watch: &Stopwatch) -> Result<(), StoreError> {
    let Outcome { report, refused_file, earlier } = outcome;
    let counts = report.counts;
    let loaded = counts.inserted + counts.updated + counts.unchanged;
    let state = match () {
        () if report.findings == 0 => MessageState::Processed,
        () if loaded == 0 => MessageState::Refused,
        () => MessageState::ProcessedWithErrors,
    };
    let reason = match state {
        MessageState::Refused if report.document_refused => Some("the document was refused as a whole: see its findings".to_owned()),
        MessageState::Refused => Some(format!("all {} rows were refused: see the findings", counts.refused)),
        MessageState::ProcessedWithErrors => Some(format!("{} of {} rows were refused: see the findings", counts.refused, counts.read)),
        _ => None,
    };
    let now = appliance.clock.now();
    let wait_ms = now.since(message.received_at).as_millis();
    let line = format!(
        "execution reported message={} job=\"{}\" status={state} rows={} inserted={} updated={} unchanged={} refused={} findings={} attempts={} wait_ms={wait_ms} parse_ms={} load_ms={} total_ms={}",
        message.id,
        job.name,
        counts.read,
        counts.inserted,
        counts.updated,
        counts.unchanged,
        counts.refused,
        report.findings,
        message.attempts,
        report.parse_ms,
        report.load_ms,
        watch.elapsed_ms()
    );
    let ending = Ending {
        outcome: state.name(),
        counts,
        findings: report.findings,
        parse_ms: report.parse_ms,
        load_ms: report.load_ms,
        busy_ms: watch.elapsed_ms(),
        reason: reason.clone().or_else(|| earlier.then(|| "loaded by an earlier try, before a crash".to_owned())),
        message_id: None,
    };
    let (id, activity) = (message.id, job.activity_id);
    let execution = message.execution_id.clone().expect("a claimed message has its execution");
    appliance.store.write("report the message", move |batch| {
        executions::end(batch.connection, &execution, activity, &ending, now)?;
        messages::report(batch.connection, id, state, &counts, ending.findings, reason.as_deref(), refused_file.as_deref(), now).map(|_| ())
    })?;
    log::info!("{line}");
    Ok(())
}

/// Ends an execution that did not come to a report, together with what becomes of its message.
fn end(
    appliance: &Arc<Appliance>,
    message: &Message,
    outcome: &'static str,
    reason: &str,
    watch: &Stopwatch,
    then: impl FnOnce(&mut crate::store::Batch<'_>) -> Result<(), StoreError> + Send + 'static,
) -> Result<(), StoreError> {
    let ending = Ending { outcome, busy_ms: watch.elapsed_ms(), reason: Some(reason.to_owned()), ..Ending::default() };
    let (execution, activity, now) = (message.execution_id.clone(), message.activity_id, appliance.clock.now());
    appliance.store.write("end the execution", move |batch| {
        if let Some(execution) = execution {
            executions::end(batch.connection, &execution, activity, &ending, now)?;
        }
        then(batch)
    })
}

/// Keeps findings in the store and refused rows in the spool, while the import runs.
struct Kept<'a> {
    appliance: &'a Arc<Appliance>,
    execution: ExecutionId,
    pending: Vec<Finding>,
    kept: u64,
    most: u64,
    refused: Option<(std::io::BufWriter<File>, PathBuf)>,
    extension: &'static str,
    refused_name: Option<String>,
}

impl Kept<'_> {
    fn flush(&mut self) -> Result<(), ImportError> {
        let findings = std::mem::take(&mut self.pending);
        if findings.is_empty() {
            return Ok(());
        }
        let (execution, first) = (self.execution.clone(), self.kept);
        self.kept += findings.len() as u64;
        self.appliance
            .store
            .write("keep findings", move |batch| executions::keep_findings(batch.connection, &execution, first, &findings))?;
        Ok(())
    }
}

impl Sink for Kept<'_> {
    fn finding(&mut self, finding: Finding) -> Result<(), ImportError> {
        if self.kept + (self.pending.len() as u64) < self.most {
            self.pending.push(finding);
            if self.pending.len() == FINDINGS_BLOCK {
                self.flush()?;
            }
        }
        Ok(())
    }

    fn refused_rows(&mut self) -> Result<Box<dyn Write + '_>, ImportError> {
        if self.refused.is_none() {
            let (file, path) =
                self.appliance.store.spool().create_incoming(&format!("{}.refused", self.execution)).map_err(ImportError::WriteRefused)?;
            self.refused = Some((std::io::BufWriter::new(file), path));
        }
        let (file, _) = self.refused.as_mut().expect("it was just made");
        Ok(Box::new(file))
    }

    fn before_commit(&mut self, _: &RowCounts, _: u64) -> Result<(), ImportError> {
        self.flush()?;
        if let Some((file, path)) = self.refused.take() {
            let file = file.into_inner().map_err(|error| ImportError::WriteRefused(error.into_error()))?;
            let name = self
                .appliance
                .store
                .spool()
                .promote_refused(&file, &path, &self.execution.0, self.extension)
                .map_err(ImportError::WriteRefused)?;
            self.refused_name = Some(name);
        }
        Ok(())
    }
}

impl Drop for Kept<'_> {
    fn drop(&mut self) {
        if let Some((_, path)) = self.refused.take() {
            // An attempt that failed: the next start would remove it too.
            let _ = std::fs::remove_file(path);
        }
    }
}
