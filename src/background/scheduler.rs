//! The scheduler: one thread that sleeps until something is due: a recurrence, a lease that ends, a next try, a monitoring tick, the
//! configuration file. After a stop, what was missed is one run, then the schedule.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use rusqlite::Connection;

use crate::appliance::Appliance;
use crate::model::id::ActivityId;
use crate::model::job::{Job, Recurrence};
use crate::model::project::Direction;
use crate::model::time::Timestamp;
use crate::outbound;
use crate::store::retention::{self, Pruned};
use crate::store::{StoreError, blobs, executions, increments, jobs, messages, set_back};

/// How often the configuration file is looked at.
const CONFIGURATION_LOOK: Duration = Duration::from_secs(2);

/// A clock that was ahead while the appliance stood still is told from one that is behind, until it is set right, by waiting so long after the start.
const CLOCK_SETTLES: Duration = Duration::from_secs(600);

/// How often what is no longer kept is removed.
const PRUNE_EVERY: Duration = Duration::from_secs(3600);

/// Blocks that no list came for are kept this long after the last of them.
const BLOCKS_KEPT: Duration = Duration::from_secs(24 * 3600);

/// Runs until the appliance stops.
pub fn run(appliance: &Arc<Appliance>) {
    let mut sampled: HashMap<ActivityId, Timestamp> = HashMap::new();
    let mut pruned_at: Option<Timestamp> = None;
    let mut looked = appliance.clock.now();
    let mut draw_back_at = looked.plus(CLOCK_SETTLES);
    let kept_since = looked.minus(appliance.live().config.queue.retention);
    if let Err(error) = retention::sweep(&appliance.store, appliance.first_id_at(), kept_since, &|| appliance.scheduled.goes_on()) {
        log::warn!("spool not swept reason=\"{error}\"; tried again at the next start");
    }
    while !appliance.is_stopping() {
        let now = appliance.clock.now();
        appliance.scheduled.goes_on();
        crate::fault::point("round scheduled");
        appliance.reload_if_changed();
        let mut next = now.plus(CONFIGURATION_LOOK);
        if now < std::mem::replace(&mut looked, now) || now >= draw_back_at {
            draw_back_at = Timestamp(i64::MAX);
            draw_back(appliance, now);
            sampled.retain(|_, at| *at <= now);
            pruned_at = pruned_at.filter(|at| *at <= now);
        }
        match tick(appliance, now, &mut sampled) {
            Ok(Some(due)) => next = next.min(due),
            Ok(None) => {}
            Err(error) => log::error!("schedule not served reason=\"{error}\"; tried again in {CONFIGURATION_LOOK:?}"),
        }
        if pruned_at.is_none_or(|at| now.since(at) >= PRUNE_EVERY) {
            pruned_at = Some(now);
            prune(appliance, now);
        }
        appliance.scheduled.reached(now);
        appliance.bell.wait(&appliance.clock, Some(next));
    }
    appliance.scheduled.reached(Timestamp(i64::MAX));
}

/// Draws back what a clock that was ahead left.
fn draw_back(appliance: &Arc<Appliance>, now: Timestamp) {
    match appliance.store.write_behind("draw back times", move |batch| set_back::draw_back(batch.connection, now)) {
        Ok(0) => {}
        Ok(count) => log::warn!("times drawn back count={count} reason=\"the clock was ahead, and was set back to {now}\""),
        Err(error) => log::error!("times not drawn back reason=\"{error}\"; tried again at the next start"),
    }
}

/// Removes what is no longer kept.
fn prune(appliance: &Arc<Appliance>, now: Timestamp) {
    let live = appliance.live();
    let queue = &live.config.queue;
    let goes_on = || appliance.scheduled.goes_on();
    match retention::prune(&appliance.store, now.minus(queue.retention), now.minus(queue.history), now, &goes_on) {
        Ok(pruned) if pruned != Pruned::default() => {
            log::info!("messages pruned payloads={} forgotten={}", pruned.payloads, pruned.messages)
        }
        Ok(_) => {}
        Err(error) => log::error!("messages not pruned reason=\"{error}\"; tried again in {PRUNE_EVERY:?}"),
    }
    match blobs::prune(&appliance.store, now.minus(queue.retention), &goes_on) {
        Ok(0) => {}
        Ok(count) => log::info!("blobs pruned count={count}"),
        Err(error) => log::error!("blobs not pruned reason=\"{error}\"; tried again in {PRUNE_EVERY:?}"),
    }
    let before = now.minus(queue.history);
    if let Err(error) = appliance.store.write_behind("forget clients", move |batch| increments::forget_clients(batch.connection, before)) {
        log::error!("clients of packages not forgotten reason=\"{error}\"; tried again in {PRUNE_EVERY:?}");
    }
    appliance.blocks.forget(now.minus(BLOCKS_KEPT));
    for database in &live.config.databases {
        goes_on();
        if let Err(error) = live.entities.forget_loaded(&database.name, now.minus(queue.history)) {
            log::error!("loads not forgotten database=\"{}\" reason=\"{error}\"", database.name);
        }
        outbound::run::forget_tracking(appliance, &database.name);
    }
}

/// Serves all that is due; returns when the next is.
fn tick(appliance: &Arc<Appliance>, now: Timestamp, sampled: &mut HashMap<ActivityId, Timestamp>) -> Result<Option<Timestamp>, StoreError> {
    let live = appliance.live();
    let mut next: Option<Timestamp> = None;
    let mut sooner = |at: Option<Timestamp>| next = next.into_iter().chain(at).min();
    for job in &live.config.jobs {
        if let Recurrence::Schedule(schedule) = &job.recurrence {
            let activity = job.activity_id;
            let Some(record) = appliance.store.read("read the job", |connection| jobs::find(connection, activity))? else { continue };
            let served = record.scheduled_to.unwrap_or(now);
            let used_up = schedule.count().is_some_and(|count| record.runs >= count);
            if used_up || !job.enabled {
                continue;
            }
            if schedule.missed(served, now) {
                let fires = !record.paused;
                let mark = move |connection: &Connection| jobs::mark_scheduled(connection, activity, now, fires);
                if fires {
                    log::info!("job fired job=\"{}\" schedule=\"{schedule}\"", job.name);
                    start(appliance, job, mark)?;
                } else {
                    appliance.store.write("mark the schedule", move |batch| mark(batch.connection))?;
                }
            }
            sooner(schedule.next(now));
        }
    }
    match appliance.store.read("read deferred exports", executions::next_try)? {
        Some(at) if at <= now => appliance.dispatch.want_requested(),
        at => sooner(at),
    }
    for (activity, at) in appliance.store.read("read deferred exports", jobs::deferred_exports)? {
        let Some(job) = live.config.job(activity).filter(|job| job.enabled && job.project.direction == Direction::Export) else { continue };
        if at <= now {
            log::info!("export taken up again job=\"{}\"", job.name);
            start(appliance, job, move |connection| jobs::take_deferred(connection, activity))?;
        } else {
            sooner(Some(at));
        }
    }
    for job in &live.config.jobs {
        let Some(schedule) = &job.monitoring_recurrence else { continue };
        let activity = job.activity_id;
        let last = *sampled.entry(activity).or_insert(now);
        if schedule.missed(last, now) {
            appliance.store.write_behind("sample the load", move |batch| jobs::sample_load(batch.connection, activity, now))?;
            sampled.insert(activity, now);
        }
        sooner(schedule.next(now));
    }
    // One that cannot be given back must not keep leases from ending.
    if let Err(error) = appliance.rescuer.rescue(appliance, now) {
        log::error!("message not rescued reason=\"{error}\"; tried again in {CONFIGURATION_LOOK:?}");
    }
    let due = appliance.store.read("read what is due", messages::next_due)?;
    if due.is_some_and(|due| due <= now) {
        let returned = appliance.store.write_behind("return leases", move |batch| messages::return_leases(batch.connection, now))?;
        for message in returned {
            log::warn!("lease over message={message}; not acked in time, offered again");
        }
        live.config
            .jobs
            .iter()
            .filter(|job| job.project.direction == Direction::Import)
            .for_each(|job| appliance.dispatch.want(job.activity_id));
        // What is due stays due until a worker has taken it: look again soon, not at once.
        sooner(Some(now.plus(Duration::from_millis(500))));
    }
    sooner(due.filter(|due| *due > now));
    Ok(next)
}

/// Starts a run of a job: an export runs, an import takes what is queued now. `note` is written together with that, so that no stop comes between.
pub fn start(
    appliance: &Arc<Appliance>,
    job: &Job,
    note: impl FnOnce(&Connection) -> Result<(), StoreError> + Send + 'static,
) -> Result<(), StoreError> {
    let (activity, direction) = (job.activity_id, job.project.direction);
    appliance.store.write("begin the run", move |batch| {
        note(batch.connection)?;
        jobs::open_run(batch.connection, activity, direction)
    })?;
    match direction {
        Direction::Export => appliance.dispatch.want_export(activity, job.project.databases_of_others()),
        Direction::Import => appliance.dispatch.want(activity),
    }
    Ok(())
}
