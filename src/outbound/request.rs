//! An export that a client asked for (ExportToPackage): the package is written and synced, then the blob and the end of the execution are one commit.
//! It waits in the store, not here: a restart takes it up again.

use std::borrow::Cow;
use std::sync::Arc;

use super::export::{self, Export, ExportError};
use super::run::{end_epochs, entity_runs};
use crate::appliance::Appliance;
use crate::clock::Stopwatch;
use crate::document::package::archive::{Archive, Opened};
use crate::model::execution::{RowCounts, Scope};
use crate::model::id::{ApplicationId, ExecutionId, MessageId};
use crate::model::project::{Direction, Project, ProjectEntity, Refresh};
use crate::store::blobs::{self, Blob, Content};
use crate::store::executions::{self, Ending, Execution};
use crate::store::{StoreError, increments};

/// Requested exports looked at to find one whose databases are free.
const HEAD: u32 = 100;

/// Takes one requested export, if there is one that may run, and does it. The databases that are `reserved` for it are to be freed.
pub fn serve(appliance: &Arc<Appliance>, reserved: &mut Vec<String>) {
    match take(appliance, reserved) {
        Ok(Some((execution, scope))) => {
            // Another worker may take the next one.
            appliance.dispatch.want_requested();
            run(appliance, &execution, &scope);
        }
        Ok(None) => {}
        Err(error) => log::error!("requested exports not read reason=\"{error}\"; they are read again at the next request"),
    }
}

fn take(appliance: &Arc<Appliance>, reserved: &mut Vec<String>) -> Result<Option<(Execution, Scope)>, StoreError> {
    let (now, live) = (appliance.clock.now(), appliance.live());
    for (id, project) in appliance.store.read("read requested exports", |connection| executions::requested_head(connection, now, HEAD))? {
        let databases = live
            .config
            .projects
            .iter()
            .find(|known| known.name == project)
            .map(|project| project.databases_of_others())
            .unwrap_or_default();
        if !appliance.dispatch.reserve_requested(&databases) {
            continue;
        }
        *reserved = databases;
        let claimed = appliance.store.write("claim the execution", move |batch| executions::claim_requested(batch.connection, &id, now))?;
        if claimed.is_some() {
            return Ok(claimed);
        }
        // Another worker has it, or it is no more.
        appliance.dispatch.free(&std::mem::take(reserved));
    }
    Ok(None)
}

/// Why a requested export does not come about.
enum Failure {
    Export(ExportError),
    /// What was asked for cannot be.
    Refused(String),
}

impl<E: Into<ExportError>> From<E> for Failure {
    fn from(error: E) -> Self {
        Failure::Export(error.into())
    }
}

fn run(appliance: &Arc<Appliance>, execution: &Execution, scope: &Scope) {
    let watch = Stopwatch::start();
    let (id, activity) = (execution.id.clone(), execution.activity_id);
    let shown = id.0.escape_debug().to_string();
    let (reason, findings) = match make(appliance, execution, scope, &watch) {
        Ok((rows, transformed)) => {
            return log::info!(
                "export reported execution={shown} project=\"{}\" rows={rows}{transformed} total_ms={}",
                execution.project,
                watch.elapsed_ms()
            );
        }
        Err(Failure::Export(ExportError::Stopped)) => {
            if let Err(error) = appliance.store.write("give the execution back", move |batch| executions::give_back(batch.connection, &id))
            {
                log::error!("export not given back execution={shown} reason=\"{error}\"; the next start takes it up");
            }
            return;
        }
        Err(Failure::Export(error)) => {
            let reason = error.to_string();
            if error.may_pass() && deferred(appliance, &id, &reason) {
                return;
            }
            (reason, if let ExportError::Transform(findings) = error { findings } else { Vec::new() })
        }
        Err(Failure::Refused(reason)) => (reason, Vec::new()),
    };
    log::error!("export failed execution={shown} project=\"{}\" reason=\"{reason}\"", execution.project);
    let count = findings.len() as u64;
    let ending = Ending { outcome: "failed", findings: count, busy_ms: watch.elapsed_ms(), reason: Some(reason), ..Ending::default() };
    let now = appliance.clock.now();
    let ended = appliance.store.write("end the execution", move |batch| {
        executions::keep_findings(batch.connection, &id, 0, &findings)?;
        executions::end(batch.connection, &id, activity, &ending, now)
    });
    if let Err(error) = ended {
        log::error!("export not reported execution={shown} reason=\"{error}\"; the next start takes it up again");
    }
}

/// Whether an export that failed for a reason that may pass is tried again. Who asked for it sees it wait.
fn deferred(appliance: &Arc<Appliance>, id: &ExecutionId, reason: &str) -> bool {
    let (own, why, now) = (id.clone(), reason.to_owned(), appliance.clock.now());
    let deferred = appliance.store.write("defer the export", move |batch| executions::defer(batch.connection, &own, &why, now));
    match deferred {
        Ok(Some((attempt, next))) => {
            log::warn!("export deferred execution={} attempt={attempt} next_try={next} reason=\"{reason}\"", id.0.escape_debug());
            appliance.bell.ring();
            true
        }
        // There were enough attempts, or it cannot be written: then it ends.
        _ => false,
    }
}

fn make(appliance: &Arc<Appliance>, execution: &Execution, scope: &Scope, watch: &Stopwatch) -> Result<(u64, String), Failure> {
    let live = appliance.live();
    // The job's, not the configuration's: its filter says which rows may leave.
    let found = live.config.job(execution.activity_id);
    let Some(job) = found.filter(|job| job.project.name == execution.project && job.project.direction == Direction::Export) else {
        return Err(Failure::Refused(format!("the configuration no longer has a job for the export project \"{}\"", execution.project)));
    };
    let (project, company) = (&*job.project, job.company_of_package(scope.company.as_deref()));
    let project = narrowed(appliance, project, scope)?;
    let requested = appliance.store.read("find the execution", |connection| executions::requested(connection, &execution.id.0))?;
    let application = requested.and_then(|request| request.application_id);
    let client = increments::package_consumer(
        application.unwrap_or(ApplicationId(uuid::Uuid::nil())),
        scope.made_project.as_ref().unwrap_or(&execution.project),
    );
    // A preview and a package by a template are looks at the rows, and move nothing.
    let moves = scope.rows_max.is_none() && scope.template.is_none();
    let is_incremental = |entity: &ProjectEntity| moves && (scope.delta || entity.refresh != Refresh::Full);
    let taken = end_epochs(appliance, &project, client, &is_incremental)?;
    let ranges: Vec<_> = taken.iter().map(|of| of.as_ref().map(|of| of.range)).collect();
    let started_at = appliance.clock.now();
    let spool = appliance.store.spool();
    super::run::enough_room(appliance)?;
    let (mut file, path) = spool.create_incoming(&format!("{}.zip", uuid::Uuid::now_v7())).map_err(ExportError::WritePackage)?;
    let export = Export {
        project: &project,
        entities: &live.entities,
        rows_max: scope.rows_max.unwrap_or(u64::MAX),
        ranges: &ranges,
        activity_id: Some(job.activity_id),
        message_id: None,
        company: company.as_deref(),
        now: started_at,
        budget: &live.config.xslt,
        scratch: &|| spool.scratch(),
        stop: appliance.stop_flag(),
    };
    let written = export::run(&export, &mut file)
        .and_then(|report| spool.promote_blob(&file, &path).map(|file| (report, file)).map_err(ExportError::WritePackage));
    let (report, file) = written.inspect_err(|_| drop(crate::files::remove(&path)))?;
    let now = appliance.clock.now();
    let counts = RowCounts { read: report.rows, ..RowCounts::default() };
    let ending = Ending {
        outcome: "processed",
        counts,
        findings: report.transcript.messages_total,
        load_ms: report.elapsed_ms,
        busy_ms: watch.elapsed_ms(),
        ..Ending::default()
    };
    let runs = entity_runs(&project, &report, started_at, now);
    let (transformed, messages) = (report.transcript.line(), report.transcript.messages);
    let label = scope.package_name.as_deref().unwrap_or(&execution.project);
    let label: String = label.chars().map(|c| if c.is_control() || "\\/".contains(c) { '-' } else { c }).collect();
    let name = blobs::name(&format!("{label}.zip")).unwrap_or_else(|| "package.zip".into());
    let content = Content {
        etag: format!("\"0x{}\"", file.replace('-', "").to_uppercase()),
        file: file.clone(),
        digested: report.package,
        written_at: now,
    };
    let offered = MessageId(uuid::Uuid::now_v7());
    let made = Blob { id: offered.to_string(), name, application_id: application, content: Some(content) };
    let (id, activity) = (execution.id.clone(), execution.activity_id);
    let kept = appliance.store.write("keep the package", move |batch| {
        blobs::make(batch.connection, &made, now)?;
        executions::set_blob(batch.connection, &id, &made.id)?;
        // They are the client's once it has fetched the package (http/blob).
        for taken in taken.into_iter().flatten() {
            taken.offer(batch.connection, client, offered, now)?;
        }
        executions::keep_findings(batch.connection, &id, 0, &messages)?;
        executions::keep_entities(batch.connection, &id, &runs)?;
        executions::end(batch.connection, &id, activity, &ending, now)
    });
    if kept.is_err()
        && let Err(error) = spool.remove_blob(&file)
    {
        log::warn!("blob file not removed reason=\"{error}\"; it takes space until the next start");
    }
    kept?;
    Ok((counts.read, transformed))
}

/// The project with the entities that were asked for: by name, or by the manifest of a package.
fn narrowed<'a>(appliance: &Appliance, project: &'a Project, scope: &Scope) -> Result<Cow<'a, Project>, Failure> {
    let mut wanted: Vec<String> = scope.entities.clone();
    if let Some(template) = &scope.template {
        let blob = appliance.store.read("find the blob", |connection| blobs::find(connection, template))?;
        let content =
            blob.and_then(|blob| blob.content).ok_or_else(|| Failure::Refused("the package template is no longer kept".into()))?;
        let file = appliance.store.spool().open_blob(&content.file).map_err(ExportError::WritePackage)?;
        match Archive::open(file, content.digested.size).map_err(ExportError::WritePackage)? {
            Opened::Package(_, manifest) => {
                for entity in manifest.entities.iter().filter(|entity| !entity.disabled) {
                    let known = project.entity(&entity.name).or_else(|| project.entity(&entity.target));
                    let known = known.ok_or_else(|| {
                        Failure::Refused(format!(
                            "the project \"{}\" has no entity \"{}\", which the package template names",
                            project.name, entity.name
                        ))
                    })?;
                    wanted.push(known.entity.name.clone());
                }
            }
            Opened::Refused(findings) => {
                let first = findings.first().map(|finding| finding.message.clone()).unwrap_or_default();
                return Err(Failure::Refused(format!("the package template cannot be read: {first}")));
            }
        }
    }
    if wanted.is_empty() {
        return Ok(Cow::Borrowed(project));
    }
    let mut narrowed = project.clone();
    narrowed.entities.retain(|entity| wanted.contains(&entity.entity.name));
    Ok(Cow::Owned(narrowed))
}
