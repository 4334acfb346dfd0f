//! One run of an export job: the package is written and synced, then the message and its execution are one commit.

use std::sync::Arc;

use rusqlite::Connection;

use super::export::{self, Export, ExportError};
use crate::appliance::Appliance;
use crate::clock::Stopwatch;
use crate::model::entity::Entity;
use crate::model::execution::{EntityOutcome, EntityRun, RowCounts};
use crate::model::id::{ActivityId, ExecutionId, MessageId};
use crate::model::job::{Company, Job};
use crate::model::message::Content;
use crate::model::project::{Direction, Project, ProjectEntity, Refresh};
use crate::model::retry::{self, Verdict};
use crate::model::time::Timestamp;
use crate::store::StoreError;
use crate::store::changes::{self, Exporter, Range};
use crate::store::executions::{self, Ending};
use crate::store::increments::{self, Increment};
use crate::store::jobs;
use crate::store::messages::{self, NewMessage, Payload};

/// Runs an export and reports it, whatever happens.
pub fn run(appliance: &Arc<Appliance>, job: &Job) {
    let watch = Stopwatch::start();
    let execution = ExecutionId(uuid::Uuid::now_v7().to_string());
    let now = appliance.clock.now();
    let (activity, project, begun) = (job.activity_id, job.project.name.clone(), execution.clone());
    let begin = appliance.store.write("begin the execution", move |batch| {
        jobs::begin_export(batch.connection, activity, now)?;
        executions::begin(batch.connection, &begun, activity, &project, None, 0, now)
    });
    let result = begin.map_err(ExportError::Store).and_then(|()| make(appliance, job, &execution, now, &watch));
    if let Err(error) = result {
        let deferred = defer(appliance, job, &error);
        match deferred {
            Some((attempt, next)) => log::warn!(
                "export deferred job=\"{}\" execution={execution} attempt={attempt} next_try={next} reason=\"{error}\"",
                job.name
            ),
            None => log::error!("export failed job=\"{}\" execution={execution} reason=\"{error}\"; the next run tries again", job.name),
        }
        let (stopped, why) = (matches!(error, ExportError::Stopped), error.to_string());
        let reason = Some(why.clone());
        let findings = match error {
            ExportError::Transform(findings) => findings,
            _ => Vec::new(),
        };
        let ending =
            Ending { outcome: "failed", findings: findings.len() as u64, busy_ms: watch.elapsed_ms(), reason, ..Ending::default() };
        let ended = appliance.store.write("end the execution", move |batch| {
            executions::keep_findings(batch.connection, &execution, 0, &findings)?;
            executions::end(batch.connection, &execution, activity, &ending, now)?;
            if !stopped {
                jobs::run_failed(batch.connection, activity, &why, now)?;
            }
            let (attempts, next) = deferred.unzip();
            jobs::defer_export(batch.connection, activity, attempts.unwrap_or_default(), next)
        });
        if let Err(error) = ended {
            log::error!("export not reported job=\"{}\" reason=\"{error}\"", job.name);
        }
        appliance.bell.ring();
    }
}

/// Whether a run that failed is tried again before the next: which attempt failed, and when the next comes.
fn defer(appliance: &Arc<Appliance>, job: &Job, error: &ExportError) -> Option<(u32, Timestamp)> {
    let activity = job.activity_id;
    // A queue that cannot be read says so itself.
    let record = appliance.store.read("read the job", |connection| jobs::find(connection, activity)).ok().flatten()?;
    let now = appliance.clock.now();
    if matches!(error, ExportError::Stopped) {
        return Some((record.attempts, now));
    }
    let attempt = record.attempts.saturating_add(1);
    match retry::after(attempt) {
        Verdict::Again(wait) if error.may_pass() => Some((attempt, now.plus(wait))),
        _ => None,
    }
}

/// Packages leave the room that enqueue needs, too: a client that never comes for them must not stop all others.
pub(super) fn enough_room(appliance: &Appliance) -> Result<(), ExportError> {
    let least = appliance.live().config.queue.free_min;
    match appliance.store.spool().free_bytes() {
        Some(free) if free < least => {
            let why = "less than queue.free_min of the disk is free";
            Err(ExportError::WritePackage(std::io::Error::new(std::io::ErrorKind::StorageFull, why)))
        }
        _ => Ok(()),
    }
}

fn make(appliance: &Arc<Appliance>, job: &Job, execution: &ExecutionId, now: Timestamp, watch: &Stopwatch) -> Result<(), ExportError> {
    let live = appliance.live();
    let id: MessageId = appliance.message_id(now);
    let spool = appliance.store.spool();
    enough_room(appliance)?;
    let (mut file, path) = spool.create_incoming(&format!("{id}.zip")).map_err(ExportError::WritePackage)?;
    let discard = |_: &ExportError| drop(crate::files::remove(&path));
    let increments =
        end_epochs(appliance, &job.project, job.activity_id, &|entity| entity.refresh != Refresh::Full).inspect_err(discard)?;
    let ranges: Vec<_> = increments.iter().map(|of| of.as_ref().map(|of| of.range)).collect();
    let company = match &job.company {
        Company::Fixed(company) => Some(company.clone()),
        _ => None,
    };
    let export = Export {
        project: &job.project,
        entities: &live.entities,
        rows_max: u64::MAX,
        ranges: &ranges,
        activity_id: Some(job.activity_id),
        message_id: Some(id),
        company: company.as_deref(),
        now,
        budget: &live.config.xslt,
        scratch: &|| spool.scratch(),
        stop: appliance.stop_flag(),
    };
    let report = export::run(&export, &mut file).inspect_err(discard)?;
    let runs = entity_runs(&job.project, &report, now, appliance.clock.now());
    let counts = RowCounts { read: report.rows, ..RowCounts::default() };
    let empty = report.rows + report.deleted == 0 && job.prevent_upload_when_zero_records;
    let mut ending = Ending {
        outcome: if empty { "empty" } else { "enqueued" },
        counts,
        findings: report.transcript.messages_total,
        load_ms: report.elapsed_ms,
        busy_ms: watch.elapsed_ms(),
        ..Ending::default()
    };
    let (ended, activity) = (execution.clone(), job.activity_id);
    let (transformed, messages) = (report.transcript.line(), report.transcript.messages);
    if empty {
        let _ = crate::files::remove(&path);
        appliance.store.write("end the execution", move |batch| {
            executions::keep_findings(batch.connection, &ended, 0, &messages)?;
            executions::keep_entities(batch.connection, &ended, &runs)?;
            increments.into_iter().flatten().try_for_each(|taken| taken.pass_over(batch.connection, activity, now))?;
            jobs::run_worked(batch.connection, activity)?;
            executions::end(batch.connection, &ended, activity, &ending, now)
        })?;
        log::info!(
            "export reported job=\"{}\" execution={execution} rows=0{transformed} reason=\"no rows, and prevent_upload_when_zero_records is set\"",
            job.name
        );
        return Ok(());
    }
    let place = spool.promote(&file, &path, id).map_err(ExportError::WritePackage)?;
    crate::fault::point("package_spooled");
    let package = report.package;
    let new = NewMessage {
        id,
        activity_id: activity,
        direction: Direction::Export,
        entity: job.project.entities[0].entity.name.clone(),
        content: Content::Package,
        run_now: false,
        stage_only: false,
        company,
        external_id: None,
        application_id: None,
        size: package.size,
        sha256: package.sha256,
        checksum: package.checksum,
        received_at: now,
        execution_id: Some(execution.clone()),
        counts,
        findings: report.transcript.messages_total,
        replay_of: None,
        continues: None,
    };
    ending.message_id = Some(id);
    let size = new.size;
    let enqueued = appliance.store.write("enqueue the package", move |batch| {
        messages::enqueue(batch, &new, Payload::Stored(place), Timestamp(i64::MAX))?;
        for increment in increments.into_iter().flatten() {
            increment.offer(batch.connection, activity, new.id, new.received_at)?;
        }
        executions::keep_findings(batch.connection, &ended, 0, &messages)?;
        executions::keep_entities(batch.connection, &ended, &runs)?;
        jobs::run_worked(batch.connection, activity)?;
        executions::end(batch.connection, &ended, activity, &ending, now)
    });
    // A package that no row names is not kept.
    enqueued.inspect_err(|_| drop(spool.remove_large(&id.to_string())))?;
    log::info!(
        "export reported message={id} job=\"{}\" execution={execution} rows={} deleted={} bytes={size}{transformed} total_ms={}",
        job.name,
        counts.read,
        report.deleted,
        watch.elapsed_ms()
    );
    Ok(())
}

/// What an export takes of an entity that is exported incrementally.
pub(super) struct Taken {
    entity: String,
    pub(super) range: Range,
    selection: String,
    /// Why everything is exported, where the consumer has had exports before.
    anew: Option<&'static str>,
}

impl Taken {
    /// Notes what a message offers to a consumer, or a package that a client asked for.
    pub(super) fn offer(
        self,
        connection: &Connection,
        consumer: ActivityId,
        message: MessageId,
        as_of: Timestamp,
    ) -> Result<(), StoreError> {
        // What stands behind a gap at the beginning, acked or on offer, stays noted: its consumer is one of the table until what fills the gap is acked.
        if self.anew.is_some() {
            increments::reset(connection, consumer, Some(&self.entity))?;
        }
        match self.range.epoch {
            // There is no table yet, and so nothing that could have changed since.
            0 => Ok(()),
            _ => increments::offer(connection, consumer, message, &self.increment(), as_of),
        }
    }

    /// Notes that there was nothing to offer. A consumer that begins anew has rows of which it is still to be told that they are gone.
    fn pass_over(self, connection: &Connection, consumer: ActivityId, as_of: Timestamp) -> Result<(), StoreError> {
        match (self.range.epoch, self.anew) {
            (1.., None) => increments::pass_over(connection, consumer, &self.increment(), as_of),
            _ => Ok(()),
        }
    }

    fn increment(self) -> Increment {
        Increment {
            entity: self.entity,
            after: self.range.after,
            epoch: self.range.epoch,
            mark: self.range.mark,
            selection: self.selection,
            anew: self.anew.map(str::to_owned),
        }
    }
}

/// For each entity of the project that is exported incrementally, the changes that this run takes: those that the consumer, a job or a client of the
/// package API, has not yet.
pub(super) fn end_epochs(
    appliance: &Arc<Appliance>,
    project: &Project,
    consumer: ActivityId,
    is_incremental: &dyn Fn(&ProjectEntity) -> bool,
) -> Result<Vec<Option<Taken>>, ExportError> {
    let live = appliance.live();
    let known_as = tracker(appliance);
    let take = |entity: &ProjectEntity| {
        if !is_incremental(entity) {
            return Ok(None);
        }
        let (selection, entity) = (entity.selection(), &*entity.entity);
        // Who needs the log of this table.
        let same = |of: &&ProjectEntity| {
            of.refresh != Refresh::Full && of.entity.database == entity.database && of.entity.table.eq_ignore_ascii_case(&entity.table)
        };
        let consumers: Vec<_> = live
            .config
            .jobs
            .iter()
            .flat_map(|other| other.project.entities.iter().filter(same).map(|of| (other.activity_id, of.entity.name.as_str())))
            .collect();
        let (reached, needs) = appliance.store.read("read the increments", |connection| {
            let reached = increments::reached(connection, consumer, &entity.name)?;
            let clients = increments::package_consumers(connection, &entity.name)?;
            let all: Vec<_> = consumers.iter().copied().chain(clients.iter().map(|client| (*client, entity.name.as_str()))).collect();
            Ok((reached, increments::needs(connection, &all)?))
        })?;
        let (mut range, mut anew) =
            changes::end_epoch(&live.entities, Exporter { appliance: &known_as, now: appliance.clock.now() }, entity, &reached, &needs)?;
        if !range.is_full() && reached.selection.as_ref().is_some_and(|known| *known != selection) {
            (range.after, anew) = (0, Some("its fields or its filter are others than before"));
        }
        if let Some(why) = anew {
            log::warn!("export begins anew project=\"{}\" entity=\"{}\" reason=\"{why}\"; it holds everything", project.name, entity.name);
        }
        Ok(Some(Taken { entity: entity.name.clone(), range, selection, anew }))
    };
    project.entities.iter().map(take).collect()
}

/// By which a database that is tracked knows this appliance, wherever its data directory is moved to.
fn tracker(appliance: &Appliance) -> String {
    appliance.url_key.seal("tracks changes", "")
}

/// Takes change tracking away from a database where it has served nobody for `queue.retention`: no job, paused or disabled, no project and no client of the package API.
pub fn forget_tracking(appliance: &Arc<Appliance>, database: &str) {
    let is_used = |table: &str| {
        let live = appliance.live();
        let is_it = |entity: &Entity| entity.database == database && entity.table.eq_ignore_ascii_case(table);
        let projects = live.config.projects.iter().chain(live.config.jobs.iter().map(|job| &job.project));
        if projects.flat_map(|project| &project.entities).any(|of| of.refresh != Refresh::Full && is_it(&of.entity)) {
            return Ok(true);
        }
        appliance.store.read("read the consumers", |connection| {
            let entities = live.config.entities.iter().filter(|entity| is_it(entity));
            let clients = entities.map(|entity| increments::package_consumers(connection, &entity.name)).collect::<Result<Vec<_>, _>>()?;
            Ok(clients.iter().any(|clients| !clients.is_empty()))
        })
    };
    let before = Exporter { appliance: &tracker(appliance), now: appliance.clock.now().minus(appliance.live().config.queue.retention) };
    match changes::forget_unused(&appliance.live().entities, database, before, &is_used) {
        Ok(tables) => tables.iter().for_each(|table| {
            log::info!("change tracking ended database=\"{database}\" table=\"{table}\" reason=\"nothing exports its changes any more\"");
        }),
        // Somebody holds the database: another time.
        Err(error) if error.may_pass() => {}
        Err(error) => log::error!("change tracking not ended database=\"{database}\" reason=\"{error}\""),
    }
}

/// What an export did with each entity of its project.
pub(super) fn entity_runs(project: &Project, report: &export::Report, started_at: Timestamp, finished_at: Timestamp) -> Vec<EntityRun> {
    let runs = project.entities.iter().zip(&report.documents).map(|(entity, rows)| EntityRun {
        entity: entity.entity.name.clone(),
        outcome: EntityOutcome::Processed,
        started_at,
        finished_at,
        counts: RowCounts { read: *rows, ..RowCounts::default() },
        findings: 0,
        refused_file: None,
        transformed_file: None,
        staging_file: None,
    });
    runs.collect()
}
