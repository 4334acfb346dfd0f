//! A worker: takes the next message that may be taken, or the next export, and does it.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use crate::appliance::Appliance;
use crate::background::dispatch::Candidate;
use crate::background::rescuer::Stranded;
use crate::inbound::process;
use crate::model::id::{ActivityId, ExecutionId, MessageId};
use crate::model::job::{Job, Recurrence};
use crate::model::message::{Content, Message};
use crate::outbound;
use crate::store::{StoreError, jobs, messages};

/// Messages looked at to find one whose entity is free.
const HEAD: u32 = 20;

/// Works until the appliance stops.
pub fn work(appliance: &Arc<Appliance>) {
    while let Some(candidate) = appliance.dispatch.next() {
        match candidate {
            Candidate::Export { activity } => {
                if let Some(job) = appliance.live().config.job(activity).cloned() {
                    // The next run tries again; the execution is closed at the next start.
                    if catch_unwind(AssertUnwindSafe(|| outbound::run::run(appliance, &job))).is_err() {
                        log::error!("export panicked job=\"{}\": a bug, please report it with the lines above", job.name);
                        let (now, reason) = (appliance.clock.now(), "it met a bug of the appliance, see the log");
                        let noted = appliance
                            .store
                            .write("note the failure", move |batch| jobs::run_failed(batch.connection, activity, reason, now));
                        if let Err(error) = noted {
                            log::error!("export not reported job=\"{}\" reason=\"{error}\"", job.name);
                        }
                    }
                }
                appliance.dispatch.exported(activity);
            }
            Candidate::Requested => {
                let mut reserved = Vec::new();
                if catch_unwind(AssertUnwindSafe(|| outbound::request::serve(appliance, &mut reserved))).is_err() {
                    log::error!("export panicked: a bug, please report it with the lines above; it is taken up again at the next start");
                }
                appliance.dispatch.requested_done(&reserved);
            }
            Candidate::Import { activity } => import(appliance, activity),
        }
    }
}

fn import(appliance: &Arc<Appliance>, activity: ActivityId) {
    let job = appliance.live().config.job(activity).cloned();
    let Some(job) = job.filter(|job| job.enabled) else { return appliance.dispatch.looked(activity, false) };
    match take(appliance, &job) {
        Ok(Some((message, entities))) => {
            appliance.dispatch.looked(activity, true);
            let stranded = Stranded {
                message: message.id,
                execution: message.execution_id.clone(),
                activity,
                attempts: message.attempts,
                reason: "processing it met a bug of the appliance, see the log".into(),
                panicked: true,
            };
            if catch_unwind(AssertUnwindSafe(|| process::process(appliance, &job, *message))).is_err() {
                log::error!(
                    "worker panicked message={} job=\"{}\": a bug, please report it with the lines above",
                    stranded.message,
                    job.name
                );
                appliance.rescuer.strand(stranded);
                appliance.bell.ring();
            }
            appliance.dispatch.release(activity, &entities);
        }
        Ok(None) => appliance.dispatch.looked(activity, false),
        Err(error) => {
            log::error!(
                "queue not read job=\"{}\" reason=\"{error}\"; it is read again when a message comes or the schedule fires",
                job.name
            );
            appliance.dispatch.looked(activity, false);
        }
    }
}

/// What only one message may have at a time: its entities, and the databases of somebody else that they live in.
fn needed(job: &Job, content: Content, entity: &str) -> Vec<String> {
    let parts = match content {
        Content::File => job.project.entity(entity).into_iter().collect::<Vec<_>>(),
        Content::Package => job.project.entities.iter().collect(),
    };
    let names = parts.iter().map(|part| part.entity.name.clone());
    let mut needed: Vec<String> = names.chain(parts.iter().filter_map(|part| part.entity.database_of_others())).collect();
    needed.sort();
    needed.dedup();
    needed
}

/// A message of a job that may be processed now, and the entities that are reserved for it. Where there is none and nothing of it waits, the run is over.
fn take(appliance: &Arc<Appliance>, job: &Job) -> Result<Option<(Box<Message>, Vec<String>)>, StoreError> {
    let (activity, now) = (job.activity_id, appliance.clock.now());
    let record = appliance.store.read("read the job", |connection| jobs::find(connection, activity))?;
    if record.as_ref().is_some_and(|record| record.paused) {
        return Ok(None);
    }
    let run_to = record.and_then(|record| record.run_to);
    let head =
        appliance.store.read("read the queue", |connection| Ok(messages::queue_head(connection, activity, job.in_order, now, HEAD)))??;
    let now_up_to = match job.in_order {
        true => appliance.store.read("read the queue", |connection| messages::newest_run_now(connection, activity))?,
        false => None,
    };
    let open = |due: &messages::Due| {
        let within = |up_to: Option<MessageId>| up_to.is_some_and(|up_to| due.id <= up_to);
        matches!(job.recurrence, Recurrence::OnArrival) || due.attempts > 0 || due.run_now || within(run_to) || within(now_up_to)
    };
    // One that waits for its entity, or, where order matters, for its next try.
    let mut waits = false;
    // Where order matters, nothing that loads passes one that waits.
    let mut held = false;
    for due in head {
        if held && !due.stage_only {
            continue;
        }
        if !due.due || !open(&due) {
            waits |= job.in_order && !due.due;
            held |= job.in_order;
            continue;
        }
        let entities = needed(job, due.content, &due.entity);
        if !appliance.dispatch.reserve(activity, &entities, job.in_order) {
            waits = true;
            held |= job.in_order;
            continue;
        }
        let execution = ExecutionId(uuid::Uuid::now_v7().to_string());
        let claimed = appliance.store.write("claim the message", move |batch| messages::claim(batch.connection, due.id, &execution, now));
        match claimed {
            Ok(Some(message)) => return Ok(Some((Box::new(message), entities))),
            Ok(None) => appliance.dispatch.release(activity, &entities),
            Err(error) => {
                appliance.dispatch.release(activity, &entities);
                return Err(error);
            }
        }
    }
    if let (Some(run_to), false) = (run_to, waits) {
        appliance.store.write("close the run", move |batch| jobs::close_run(batch.connection, activity, run_to))?;
    }
    Ok(None)
}
