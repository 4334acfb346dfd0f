//! Processes one claimed message: import, then report. The order of writes, so that a crash anywhere repeats nothing and loses nothing:
//!   1. findings and the file of refused rows, durable in queue.db and the spool;
//!   2. the rows and the message id, one commit in the entity database;
//!   3. the message's final state and its execution, one commit in queue.db.
//!
//! A crash after 2 is found by the message id in the entity database: the message is reported with the counts kept there. A package has several
//! entities, each with its own commit of step 2, under the message id and the entity: those that were loaded are not loaded again
//! (`inbound/package.rs`), and are noted in queue.db before the next one begins, so that they are reported whatever ends the message. A message that goes on
//! with one that failed or was cancelled has that one's id here.

mod kept;

use std::collections::BTreeSet;
use std::io::Read;
use std::sync::Arc;

pub(super) use self::kept::Kept;
use super::import::{self, Import, ImportError, Report, Sink};
use super::package;
use super::strict::{self, Strict};
use crate::appliance::{Appliance, Live};
use crate::background::rescuer::Stranded;
use crate::clock::Stopwatch;
use crate::document::package::archive::DocumentFault;
use crate::files::Scratch;
use crate::model::entity::Entity;
use crate::model::execution::{EntityOutcome, EntityRun, RowCounts};
use crate::model::finding::{Finding, Rule};
use crate::model::id::ExecutionId;
use crate::model::job::Job;
use crate::model::message::{Content, Message};
use crate::model::project::{Project, ProjectEntity};
use crate::model::retry::{self, Verdict};
use crate::model::state::MessageState;
use crate::store::entities::{Earlier, Writing, is_read};
use crate::store::executions::{self, Ending};
use crate::store::{StoreError, messages};
use crate::transform::{self, Call, Transcript};

/// Processes a message that was claimed, and reports, defers or fails it.
pub fn process(appliance: &Arc<Appliance>, job: &Job, message: Message) {
    let watch = Stopwatch::start();
    let result = attempt(appliance, job, &message);
    let now = appliance.clock.now();
    let (id, execution, attempts) = (message.id, message.execution_id.clone(), message.attempts);
    let done = match result {
        Ok(outcome) => report(appliance, job, &message, outcome, &watch),
        Err(ImportError::Stopped) => {
            log::info!("message given back message={id} job=\"{}\" reason=\"the appliance stops\"", job.name);
            end(appliance, &message, "the appliance stopped", &watch, move |batch| messages::give_back(batch.connection, id, now))
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
                    let done = end(appliance, &message, &reason, &watch, move |batch| {
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
                    end(appliance, &message, &reason, &watch, move |batch| messages::fail(batch.connection, id, &why, now).map(|_| ()))
                }
            }
        }
    };
    if let Err(error) = done {
        log::error!(
            "message not reported message={id} job=\"{}\" reason=\"{error}\"; it is taken up again, without loading twice, when the queue can be written",
            job.name
        );
        appliance.rescuer.strand(Stranded {
            message: id,
            execution,
            activity: job.activity_id,
            attempts,
            reason: error.to_string(),
            panicked: false,
        });
        appliance.bell.ring();
    }
}

/// What a try came to.
#[derive(Default)]
pub(super) struct Outcome {
    /// What was done with each entity.
    pub runs: Vec<EntityRun>,
    /// Faults in all; notes are none.
    pub faults: u64,
    /// What was tolerated.
    pub notes: u64,
    /// The document as a whole was refused: no record of it was read.
    pub document_refused: bool,
    /// As in [`Report`].
    pub removed: u64,
    /// As in [`Report`].
    pub parse_ms: u64,
    /// As in [`Report`].
    pub load_ms: u64,
    /// Refused rows came back for a table that is emptied otherwise, and what an earlier document had loaded stayed.
    pub completes: bool,
    /// Entities found to be loaded by an earlier try.
    pub earlier: u64,
    /// Rows of entities that were loaded for the message that this one goes on with.
    pub carried: RowCounts,
    /// The stylesheets that documents passed, and how.
    pub transcript: Transcript,
}

impl Outcome {
    fn counts(&self) -> RowCounts {
        let mut counts = RowCounts::default();
        self.runs.iter().for_each(|run| counts.add(&run.counts));
        counts
    }

    fn findings(&self) -> u64 {
        self.faults + self.notes
    }

    fn refused_file(&self) -> Option<String> {
        self.runs.iter().find_map(|run| run.refused_file.clone())
    }
}

/// One try of one message.
pub(super) struct Work<'a> {
    pub appliance: &'a Arc<Appliance>,
    pub live: &'a Live,
    pub job: &'a Job,
    pub message: &'a Message,
    pub execution: ExecutionId,
    /// Where nothing is to be loaded: each database as it would be after the entities before, taken back at the end.
    trials: Vec<(&'a str, Writing<'a>)>,
}

fn damaged(what: String) -> ImportError {
    ImportError::Store(StoreError { operation: "process the message", cause: crate::store::Cause::Damaged(what) })
}

fn attempt(appliance: &Arc<Appliance>, job: &Job, message: &Message) -> Result<Outcome, ImportError> {
    let live = appliance.live();
    let (id, now) = (message.id, appliance.clock.now());
    let execution = message.execution_id.clone().expect("a claimed message has its execution");
    let wait_ms = u64::try_from(now.since(message.received_at).as_millis()).unwrap_or(u64::MAX);
    let (activity, project, begun) = (job.activity_id, job.project.name.clone(), execution.clone());
    appliance.store.write("begin the execution", move |batch| {
        executions::begin(batch.connection, &begun, activity, &project, Some(id), wait_ms, now)
    })?;
    let trials = if message.stage_only { trials(&live, &job.project)? } else { Vec::new() };
    let work = Work { appliance, live: &live, job, message, execution, trials };
    let outcome = work.run();
    let tried: Vec<&str> = work.trials.iter().map(|(name, _)| *name).collect();
    drop(work);
    tried.into_iter().for_each(|name| live.entities.shrink_log(name));
    outcome
}

/// Opens each database of a project for a run that loads nothing. All at once and in one order, so that no two runs wait for each other.
fn trials<'a>(live: &'a Live, project: &'a Project) -> Result<Vec<(&'a str, Writing<'a>)>, ImportError> {
    let parts =
        || project.entities.iter().flat_map(|part| std::iter::once(part).chain(part.nested.iter().map(|nested| &nested.project_entity)));
    let names: BTreeSet<&str> = parts().map(|part| part.entity.database.as_str()).collect();
    let open = |name| {
        let is_needed =
            |entity: &Entity| parts().any(|part| part.entity.name == entity.name || part.needs().any(|label| entity.is_called(label)));
        let needed: Vec<_> = live.config.entities.iter().filter(|one| one.database == name && is_needed(one)).cloned().collect();
        // Made before, where it is missing: an empty one would be in memory.
        drop(live.entities.writer(name, &needed)?);
        Ok((name, live.entities.trial(name, &needed)?))
    };
    names.into_iter().map(open).collect()
}

/// A document that cannot be read to its end, for a reason of its own.
fn unreadable(entity: &str, error: &std::io::Error) -> Finding {
    Finding::of_document(Rule::Package, entity, error.to_string(), "send it again, as it should be; no row of this entity was loaded")
}

impl Work<'_> {
    fn run(&self) -> Result<Outcome, ImportError> {
        let (message, project) = (self.message, &self.job.project);
        let mut kept = Kept::new(self);
        match message.content {
            Content::Package => package::run(self, &mut kept),
            Content::File => {
                let Some(project_entity) = project.entity(&message.entity) else {
                    return Err(damaged(format!("the project \"{}\" no longer has the entity \"{}\"", project.name, message.entity)));
                };
                kept.begin(0, project_entity)?;
                let document = || self.appliance.store.spool().open_payload(&message.place, message.size, message.checksum);
                let mut outcome = Outcome::default();
                self.entity(project_entity, &message.ledger().to_string(), document, &mut kept, &mut outcome)?;
                Ok(outcome)
            }
        }
    }

    /// Whether D365's own refusals are wanted (`serve --strict`).
    pub fn is_strict(&self) -> bool {
        self.live.config.overrides.strict
    }

    /// Imports a document into one entity. `ledger` is under what the entity database remembers the load: when it does already, an earlier try
    /// came that far, and nothing is loaded again.
    pub fn entity<R: Read + Send>(
        &self,
        project_entity: &ProjectEntity,
        ledger: &str,
        document: impl FnOnce() -> std::io::Result<R>,
        kept: &mut Kept<'_>,
        outcome: &mut Outcome,
    ) -> Result<(), ImportError> {
        let started_at = self.appliance.clock.now();
        let entity = &*project_entity.entity;
        // The job may be of an earlier configuration, which did not know its table.
        let nested = project_entity.nested.iter().map(|nested| &nested.project_entity.entity);
        std::iter::once(&project_entity.entity).chain(nested).try_for_each(|entity| is_read(entity))?;
        // The tables of referenced entities are made too, so that a reference can be looked up before their first import.
        let here: Vec<_> = self.live.config.entities.iter().filter(|other| other.database == entity.database).cloned().collect();
        let opened;
        let database = match self.trials.iter().find(|(name, _)| *name == entity.database) {
            Some((_, trial)) => trial,
            None => {
                let referenced = |other: &Entity| project_entity.needs().any(|label| other.is_called(label));
                let needed: Vec<_> = here.iter().filter(|other| other.name == entity.name || referenced(other)).cloned().collect();
                opened = self.live.entities.writer(&entity.database, &needed)?;
                &opened
            }
        };
        // Of an earlier message only what it loaded counts; what it was refused as a whole is tried again.
        let earlier = database.already_loaded(ledger)?;
        let report = match earlier.filter(|earlier| earlier.execution == self.execution.0 || earlier.counts.loaded() > 0) {
            Some(Earlier { counts, findings, execution }) => {
                log::warn!(
                    "message was loaded before {} message={} entity=\"{}\"; reported now, not loaded again",
                    if execution == self.execution.0 { "a crash" } else { "as another" },
                    self.message.id,
                    entity.name
                );
                outcome.earlier += 1;
                if execution == self.execution.0 {
                    kept.find_files();
                } else {
                    outcome.carried.add(&counts);
                    kept.take_over(&execution, project_entity.labels())?;
                }
                let execution = &self.execution;
                outcome.notes += self
                    .appliance
                    .store
                    .read("count findings", |connection| executions::messages_kept(connection, execution, &entity.name))?;
                Report { counts, findings, ..Report::default() }
            }
            None => {
                kept.forget_earlier(&entity.name)?;
                let import = Import {
                    project_entity,
                    entities: &here,
                    database,
                    company: self.message.company.as_deref(),
                    message: ledger,
                    execution: &self.execution.0,
                    now: started_at,
                    stop: self.appliance.stop_flag(),
                };
                let import_document = || match document() {
                    Err(error) => Err(ImportError::ReadPayload(error)),
                    Ok(document) if project_entity.transform.is_empty() => {
                        let unicode = self.is_strict() && strict::is_unicode(&project_entity.format);
                        import::run(&import, Strict::new(document, unicode), kept)
                    }
                    Ok(document) => match transform::mended(project_entity, document) {
                        Err(error) => Err(ImportError::ReadPayload(error)),
                        Ok((true, document)) => {
                            outcome.transcript.passages.push(transform::passed_by());
                            import::run(&import, document, kept)
                        }
                        Ok((false, document)) => match self.transform(project_entity, document, kept, outcome) {
                            Ok(Some(result)) => import::run(&import, result, kept),
                            Ok(None) => Ok(Report { findings: 1, document_refused: true, ..Report::default() }),
                            Err(error) => Err(error),
                        },
                    },
                };
                // What is tried stands for the entities behind this one.
                let imported = if self.message.stage_only { database.keep(|_| import_document()) } else { import_document() };
                match imported {
                    Ok(report) if self.message.stage_only => Report { counts: report.counts.not_loaded(), removed: 0, ..report },
                    Ok(report) => {
                        crate::fault::point("rows_loaded");
                        report
                    }
                    Err(ImportError::ReadPayload(error)) if DocumentFault::of(&error).is_some() => {
                        kept.discard();
                        kept.forget_earlier(&entity.name)?;
                        kept.finding(unreadable(&entity.name, &error))?;
                        kept.flush()?;
                        Report { findings: 1, document_refused: true, ..Report::default() }
                    }
                    Err(error) => return Err(error),
                }
            }
        };
        outcome.faults += report.findings;
        outcome.notes += report.notes;
        outcome.document_refused |= report.document_refused;
        outcome.removed += report.removed;
        let empties = project_entity.truncate || project_entity.nested.iter().any(|nested| nested.project_entity.truncate);
        outcome.completes |= report.completes && empties && !report.document_refused;
        outcome.parse_ms += report.parse_ms;
        outcome.load_ms += report.load_ms;
        outcome.runs.push(EntityRun {
            entity: entity.name.clone(),
            outcome: match EntityOutcome::of(&report.counts, report.findings) {
                _ if self.message.stage_only && !report.document_refused => EntityOutcome::Staged,
                of => of,
            },
            started_at,
            finished_at: self.appliance.clock.now(),
            counts: report.counts,
            findings: report.findings,
            refused_file: kept.refused_name.take(),
            transformed_file: kept.transformed_name.take(),
            staging_file: kept.staging_name.take(),
        });
        Ok(())
    }

    /// Notes what was done so far, so that it is reported whatever ends the message. A run that is to load nothing has done nothing until its end.
    pub fn note_progress(&self, outcome: &Outcome) -> Result<(), ImportError> {
        let Some(run) = outcome.runs.last().filter(|_| !self.message.stage_only).cloned() else { return Ok(()) };
        let (counts, carried, findings, ordinal) = (outcome.counts(), outcome.carried, outcome.findings(), outcome.runs.len() - 1);
        let (id, activity, execution, refused_file) =
            (self.message.id, self.job.activity_id, self.execution.clone(), outcome.refused_file());
        self.appliance.store.write("note what is loaded", move |batch| {
            executions::count(batch.connection, &execution, activity, &counts, &carried)?;
            executions::keep_entity(batch.connection, &execution, ordinal, &run)?;
            messages::note_progress(batch.connection, id, &counts, findings, refused_file.as_deref())
        })?;
        crate::fault::point("entity_noted");
        Ok(())
    }

    /// Takes a document through the entity's stylesheets; without a result there is a finding that says why.
    fn transform(
        &self,
        project_entity: &ProjectEntity,
        document: impl Read + Send,
        kept: &mut Kept<'_>,
        outcome: &mut Outcome,
    ) -> Result<Option<Scratch>, ImportError> {
        let spool = self.appliance.store.spool();
        let call = Call {
            entity: &project_entity.entity.name,
            company: self.message.company.as_deref(),
            message_id: Some(self.message.id.to_string()),
            activity_id: Some(self.job.activity_id.to_string()),
            now: self.appliance.clock.now(),
            budget: &self.live.config.xslt,
            stop: self.appliance.stop_flag(),
            scratch: &|| spool.scratch(),
            // However much they say, there is room for what refuses the document.
            messages_max: self.live.config.queue.findings_max / 2,
            preview_max: 0,
        };
        let said = outcome.transcript.messages_total;
        let passed = transform::run(&project_entity.transform, document, &call, &mut outcome.transcript)?;
        outcome.notes += outcome.transcript.messages_total - said;
        for finding in outcome.transcript.messages.drain(..) {
            kept.finding(finding)?;
        }
        match passed {
            Ok(mut result) => {
                if project_entity.keep_transformed {
                    let extension = project_entity.format.file_extension();
                    let name = spool.promote_transformed(&mut result, &kept.stem, extension).map_err(ImportError::Transform)?;
                    kept.transformed_name = Some(name);
                }
                Ok(Some(result))
            }
            Err(fault) => {
                kept.finding(fault)?;
                kept.flush()?;
                Ok(None)
            }
        }
    }
}

fn report(appliance: &Arc<Appliance>, job: &Job, message: &Message, outcome: Outcome, watch: &Stopwatch) -> Result<(), StoreError> {
    let counts = outcome.counts();
    let state = match EntityOutcome::of(&counts, outcome.faults) {
        EntityOutcome::Processed => MessageState::Processed,
        EntityOutcome::Refused => MessageState::Refused,
        _ => MessageState::ProcessedWithErrors,
    };
    let reason = match state {
        MessageState::Refused if outcome.document_refused => Some("the document was refused as a whole: see its findings".to_owned()),
        MessageState::Refused if counts.read == 0 => Some("nothing could be read: see the findings".to_owned()),
        MessageState::Refused => Some(format!("all {} rows were refused: see the findings", counts.refused)),
        MessageState::ProcessedWithErrors => Some(format!("{}: see the findings", with_errors(&counts, &outcome.runs))),
        _ => None,
    };
    let kept = "refused rows of an earlier document came back: what was loaded of it stayed, the table was not emptied";
    let kept = outcome.completes.then(|| kept.to_owned());
    let carried = outcome.carried.read > 0;
    let carried = carried.then(|| format!("rows that message {} had loaded were not loaded again", message.ledger()));
    let told: Vec<String> = [reason, kept, carried].into_iter().flatten().collect();
    let reason = (!told.is_empty()).then(|| told.join("; "));
    let now = appliance.clock.now();
    let wait_ms = now.since(message.received_at).as_millis();
    let findings = outcome.findings();
    let transformed = outcome.transcript.line();
    let line = format!(
        "execution reported message={} job=\"{}\" status={state} entities={} rows={} inserted={} updated={} unchanged={} refused={} findings={findings} attempts={}{transformed} wait_ms={wait_ms} parse_ms={} load_ms={} total_ms={}",
        message.id,
        job.name,
        outcome.runs.len(),
        counts.read,
        counts.inserted,
        counts.updated,
        counts.unchanged,
        counts.refused,
        message.attempts,
        outcome.parse_ms,
        outcome.load_ms,
        watch.elapsed_ms()
    );
    let earlier = (outcome.earlier > 0).then(|| "loaded by an earlier try, before a crash".to_owned());
    let removed = (outcome.removed > 0).then(|| format!("the {} rows that were there before are removed: truncate", outcome.removed));
    let told: Vec<String> = reason.clone().or(earlier).into_iter().chain(removed).collect();
    let ending = Ending {
        outcome: state.name(),
        counts,
        findings,
        parse_ms: outcome.parse_ms,
        load_ms: outcome.load_ms,
        busy_ms: watch.elapsed_ms(),
        reason: (!told.is_empty()).then(|| told.join("; ")),
        message_id: None,
        carried: outcome.carried,
    };
    let refused_file = outcome.refused_file();
    let (id, activity, runs) = (message.id, job.activity_id, outcome.runs);
    let execution = message.execution_id.clone().expect("a claimed message has its execution");
    appliance.store.write("report the message", move |batch| {
        executions::end(batch.connection, &execution, activity, &ending, now)?;
        executions::keep_entities(batch.connection, &execution, &runs)?;
        messages::report(batch.connection, id, state, &counts, findings, reason.as_deref(), refused_file.as_deref(), now).map(|_| ())
    })?;
    crate::fault::point("message_reported");
    log::info!("{line}");
    Ok(())
}

/// What went wrong with a document of which something was loaded.
fn with_errors(counts: &RowCounts, runs: &[EntityRun]) -> String {
    let named = |what: &dyn Fn(&EntityRun) -> bool, how: &str| {
        let labels: Vec<&str> = runs.iter().filter(|run| what(run)).map(|run| run.entity.as_str()).collect();
        match labels.as_slice() {
            [] => None,
            [one] => Some(format!("{one} was {how}")),
            more => Some(format!("{} entities were {how}", more.len())),
        }
    };
    let rows = (counts.refused > 0).then(|| format!("{} of {} rows were refused", counts.refused, counts.read));
    let whole = named(&|run| run.outcome == EntityOutcome::Refused && run.counts.read == 0, "refused as a whole");
    let skipped = named(&|run| run.outcome == EntityOutcome::Skipped, "not run");
    let all: Vec<String> = [rows, whole, skipped].into_iter().flatten().collect();
    if all.is_empty() { "there were faults".into() } else { all.join(", ") }
}

/// Ends an execution that did not come to a report, together with what becomes of its message.
fn end(
    appliance: &Arc<Appliance>,
    message: &Message,
    reason: &str,
    watch: &Stopwatch,
    then: impl FnOnce(&mut crate::store::Batch<'_>) -> Result<(), StoreError> + Send + 'static,
) -> Result<(), StoreError> {
    let (reason, busy_ms) = (reason.to_owned(), watch.elapsed_ms());
    let (execution, activity, now) = (message.execution_id.clone(), message.activity_id, appliance.clock.now());
    appliance.store.write("end the execution", move |batch| {
        if let Some(execution) = execution {
            executions::fail(batch.connection, &execution, activity, busy_ms, &reason, now)?;
        }
        then(batch)
    })
}
