//! The connector API: enqueue, jobstatus, dequeue, download, ack (CONTRACT §1.1 to §1.5).

use std::io;
use std::sync::Arc;

use serde_json::{Value, json};

use super::answer::Body;
use super::{Answer, Call, route, wire};
use crate::appliance::Appliance;
use crate::config::Application;
use crate::files::Received;
use crate::model::execution::{EntityRun, RowCounts};
use crate::model::id::{MessageId, PopReceipt, parse_guid};
use crate::model::job::{Company, Job, Recurrence};
use crate::model::message::{Content, Message, PACKAGE_ENTITY};
use crate::model::project::Direction;
use crate::model::time::Timestamp;
use crate::store::increments::{self, Overtaken};
use crate::store::messages::{self, Acked, Enqueued, NewMessage, Payload};
use crate::store::{Batch, Durability, StoreError, executions, jobs};

/// A larger ack or action is refused.
pub const JSON_MAX: usize = 1024 * 1024;
const EXTERNAL_ID_MAX: usize = 1024;

/// Answers one of the five verbs.
pub fn route(appliance: &Arc<Appliance>, call: Call, verb: &str, activity: &str) {
    let known = match (call.method.as_str(), verb) {
        ("POST", "enqueue" | "ack") | ("GET", "jobstatus" | "dequeue" | "download") => true,
        (_, "enqueue" | "ack" | "jobstatus" | "dequeue" | "download") => {
            let allowed = if matches!(verb, "enqueue" | "ack") { "POST" } else { "GET" };
            return call.answer(Answer::refuse(405, &format!("{verb} wants {allowed}"), "correct the method").with("Allow", allowed));
        }
        _ => false,
    };
    if !known {
        return call.answer(Answer::refuse(
            404,
            &format!("the connector has no {verb}"),
            "it has enqueue, jobstatus, dequeue, download and ack",
        ));
    }
    let found = route::caller(appliance, call.header("Authorization"))
        .and_then(|caller| route::job(appliance, &caller, activity).map(|job| (caller, job)));
    let (caller, job) = match found {
        Ok(found) => found,
        Err(refusal) => return call.answer(refusal),
    };
    match verb {
        "enqueue" => enqueue(appliance, call, &caller, &job),
        "ack" => ack(appliance, call, &job),
        "dequeue" => dequeue(appliance, call, &job),
        "download" => download(appliance, call, &job),
        _ => jobstatus(appliance, call, &job),
    }
}

fn direction(job: &Job, direction: Direction) -> Result<(), Answer> {
    if job.project.direction == direction {
        return Ok(());
    }
    let (does, wants) = if direction == Direction::Import { ("exports", "dequeue from it") } else { ("imports", "enqueue to it") };
    Err(Answer::refuse(400, &format!("the job {} {does}", job.name), wants))
}

/// Our own failures, for clients: 507 for a full disk, 503 for what may pass, 500 for the rest.
pub fn failed(error: &StoreError) -> Answer {
    log::error!("request failed reason=\"{error}\"");
    if error.is_disk_full() {
        Answer::refuse(507, "the disk is full: nothing was stored", "send it again when an operator has made room")
    } else if error.may_pass() {
        Answer::refuse(503, "the queue cannot be written now: nothing was stored", "send it again later").with("Retry-After", "5")
    } else {
        Answer::refuse(500, "the queue does not work: nothing was stored", "an operator finds the reason in the log")
    }
}

fn enqueue(appliance: &Arc<Appliance>, mut call: Call, caller: &Application, job: &Arc<Job>) {
    let new = match admit(appliance, &call, caller, job) {
        Ok(new) => new,
        Err(refusal) => return call.answer(refusal),
    };
    let queue = appliance.live().config.queue.clone();
    let mut receiving = appliance.store.spool().receive(new.id);
    let mut refusal = None;
    let read = call.read_body(|bytes| {
        if receiving.size() + bytes.len() as u64 > queue.max_body {
            refusal = Some(too_large(queue.max_body));
            return Err(io::ErrorKind::FileTooLarge.into());
        }
        receiving
            .write(bytes)
            .inspect_err(|error| refusal = Some(failed(&StoreError::file("write the payload")(io::Error::from(error.kind())))))
    });
    let received = match read {
        Ok(()) => receiving.finish(),
        Err(error) => {
            drop(receiving);
            log::warn!("message refused job=\"{}\" peer={} reason=\"{error}\"; nothing is kept", job.name, call.peer());
            return call
                .answer(refusal.unwrap_or_else(|| Answer::refuse(400, "the body ended early: nothing was stored", "send it again")));
        }
    };
    let (received, digested) = match received {
        Ok(received) => received,
        Err(error) => return call.answer(failed(&StoreError::file("store the payload")(error))),
    };
    if digested.size == 0 {
        return call.answer(Answer::refuse(400, "the body is empty: nothing was stored", "send the file as the body of the request"));
    }
    crate::fault::point("payload_spooled");
    let new = NewMessage { size: digested.size, sha256: digested.sha256, checksum: digested.checksum, ..new };
    let name = match &received {
        Received::Large(crate::model::message::PayloadPlace::File { name }) => Some(name.clone()),
        _ => None,
    };
    let payload = match received {
        Received::Small(bytes) => Payload::Small(bytes),
        Received::Large(place) => Payload::Stored(place),
    };
    let repeat_since = new.received_at.minus(queue.retention);
    let (size, entity, activity) = (new.size, new.entity.clone(), job.activity_id);
    let at_once = matches!(job.recurrence, Recurrence::OnArrival);
    let (appliance, job) = (appliance.clone(), job.clone());
    let store = appliance.clone();
    // The segment holds a small payload and its row; of a large one the row is all that tells of it.
    let durability = if name.is_some() { Durability::Synced } else { Durability::Journaled };
    let may_not_wait = call.may_not_wait();
    let work = move |batch: &mut Batch<'_>| messages::enqueue(batch, &new, payload, repeat_since);
    let then = move |result| {
        // A large payload that no row names is not kept.
        let discard = |name: &Option<String>| {
            if let Some(Err(error)) = name.as_ref().map(|name| appliance.store.spool().remove_large(name)) {
                log::warn!("spool file not removed reason=\"{error}\"");
            }
        };
        match result {
            Ok(Enqueued::New(id)) => {
                crate::fault::point("message_committed");
                log::info!("message received message={id} job=\"{}\" entity=\"{entity}\" bytes={size} peer={}", job.name, call.peer());
                if at_once {
                    appliance.dispatch.want(activity);
                }
                call.answer(Answer::json(200, &json!(id)));
            }
            Ok(Enqueued::Repeat(id)) => {
                discard(&name);
                log::info!("message repeated message={id} job=\"{}\" peer={}; the same bytes are here already", job.name, call.peer());
                call.answer(Answer::json(200, &json!(id)));
            }
            Err(error) => {
                discard(&name);
                call.answer(failed(&error));
            }
        }
    };
    const OPERATION: &str = "store the message";
    if may_not_wait {
        store.store.add_then(OPERATION, durability, work, then);
    } else {
        store.store.write_then(OPERATION, durability, work, then);
    }
}

/// The refusal of a body of more than `most` bytes.
pub fn too_large(most: u64) -> Answer {
    Answer::refuse(
        413,
        &format!("the body is larger than {most} bytes: nothing was stored"),
        "split the document, or have an operator raise queue.max_body",
    )
}

/// Everything that can be decided before the body is read.
fn admit(appliance: &Arc<Appliance>, call: &Call, caller: &Application, job: &Job) -> Result<NewMessage, Answer> {
    direction(job, Direction::Import)?;
    let queue = &appliance.live().config.queue;
    if call.declared().is_some_and(|declared| declared > queue.max_body) {
        return Err(too_large(queue.max_body));
    }
    let free = appliance.store.spool().free_bytes();
    if free.is_some_and(|free| free < queue.free_min.saturating_add(call.declared().unwrap_or(0))) {
        log::error!("message refused job=\"{}\" reason=\"less than queue.free_min of the disk is free\"", job.name);
        return Err(Answer::refuse(507, "the disk is nearly full: nothing was stored", "send it again when an operator has made room"));
    }
    let entities = &job.project.entities;
    let strict = appliance.live().config.overrides.strict;
    let known = || entities.iter().map(|entity| entity.entity.name.as_str()).collect::<Vec<_>>().join(", ");
    let entity = match call.query("entity").map(str::trim).filter(|label| !label.is_empty()) {
        // A package names its entities itself; clients send an entity with it all the same, often an empty one (CONTRACT §1.1).
        _ if job.accepts == Content::Package => PACKAGE_ENTITY.to_owned(),
        Some(label) if strict && !entities.iter().any(|entity| entity.entity.name == label) => {
            let detail = format!("D365 knows an entity by its exact label alone, and the job {} has none that is called {label}", job.name);
            return Err(Answer::refuse(400, &detail, &format!("it has {}", known())));
        }
        None if strict => {
            let detail = "D365 wants an entity with every file, and the query has none";
            return Err(Answer::refuse(400, detail, &format!("add ?entity= with one of {}", known())));
        }
        Some(label) => {
            job.project.entity(label).map(|entity| entity.entity.name.clone()).ok_or_else(|| {
                Answer::refuse(400, &format!("the job {} has no entity {label}", job.name), &format!("it has {}", known()))
            })?
        }
        None if entities.len() == 1 => entities[0].entity.name.clone(),
        None => return Err(Answer::refuse(400, "the query has no entity", &format!("add ?entity= with one of {}", known()))),
    };
    let external_id = call.header("x-ms-dyn-externalidentifier").map(str::to_owned).filter(|id| !id.is_empty());
    if external_id.as_ref().is_some_and(|id| id.len() > EXTERNAL_ID_MAX) {
        return Err(Answer::refuse(400, "x-ms-dyn-externalidentifier has more than 1,024 characters", "shorten it"));
    }
    let company = match &job.company {
        Company::None => None,
        Company::Fixed(company) => Some(company.clone()),
        Company::FromMessage => call.query("company").map(str::to_owned).filter(|company| !company.is_empty()),
    };
    let now = appliance.clock.now();
    Ok(NewMessage {
        id: appliance.message_id(now),
        activity_id: job.activity_id,
        direction: Direction::Import,
        entity,
        content: job.accepts,
        run_now: false,
        stage_only: false,
        company,
        external_id,
        application_id: Some(caller.id),
        size: 0,
        sha256: String::new(),
        checksum: 0,
        received_at: now,
        execution_id: None,
        counts: RowCounts::default(),
        findings: 0,
        replay_of: None,
        continues: None,
    })
}

fn dequeue(appliance: &Arc<Appliance>, call: Call, job: &Arc<Job>) {
    if let Err(refusal) = direction(job, Direction::Export) {
        return call.answer(refusal);
    }
    let receipt = match crate::auth::secret::generate() {
        Ok(random) => PopReceipt(random),
        Err(error) => {
            log::error!("request failed reason=\"{error}\"");
            return call.answer(Answer::refuse(
                500,
                "no pop receipt could be made: nothing was dequeued",
                "an operator finds the reason in the log",
            ));
        }
    };
    let now = appliance.clock.now();
    let live = appliance.live();
    let until = now.plus(call.lease.unwrap_or(live.config.queue.lease));
    let activity = job.activity_id;
    let incremental = job.is_incremental();
    let taken = appliance.store.write("dequeue", move |batch| {
        let overtaken = match incremental {
            true => increments::settle_overtaken(batch.connection, activity, now)?,
            false => Overtaken::default(),
        };
        let taken = if overtaken.held { None } else { messages::dequeue(batch.connection, activity, &receipt, until, now)? };
        let paused = overtaken.again && jobs::is_paused(batch.connection, activity)?;
        Ok((Overtaken { again: overtaken.again && !paused, ..overtaken }, taken))
    });
    let taken = taken.map(|(overtaken, taken)| {
        for message in &overtaken.replaced {
            log::warn!(
                "message replaced message={message} job=\"{}\"; its lease ended and a later one was acked, its changes are exported again",
                job.name
            );
        }
        if overtaken.again {
            appliance.dispatch.want_export(activity, job.project.databases_of_others());
        }
        taken
    });
    match taken {
        Err(error) => call.answer(failed(&error)),
        Ok(None) => call.answer(Answer::empty(204)),
        Ok(Some((message, before))) => {
            // The scheduler must know of the new lease.
            appliance.bell.ring();
            let base = &live.config.server.public_url;
            let activity = activity.to_string().to_uppercase();
            let mut body = json!({
                "CorrelationId": message.id,
                "PopReceipt": message.pop_receipt,
                "DownloadLocation": format!("{base}/api/connector/download/%7B{activity}%7D?correlation-id={id}&blob={id}", id = message.id),
                "IsDownLoadFileExist": true,
                "FileDownLoadErrorMessage": "",
            });
            if let Some(before) = before {
                body["LastDequeueDateTime"] = json!(before);
            }
            log::info!("message dequeued message={} job=\"{}\" lease_until={until} peer={}", message.id, job.name, call.peer());
            call.answer(Answer::json(200, &body));
        }
    }
}

fn find(appliance: &Appliance, job: &Job, id: MessageId) -> Result<Message, Answer> {
    let found = appliance.store.read("find the message", |connection| messages::find(connection, id)).map_err(|error| failed(&error))?;
    let unknown = || Answer::refuse(404, &format!("the job {} has no message {id}", job.name), "use the id that enqueue or dequeue gave");
    found.filter(|message| message.activity_id == job.activity_id).ok_or_else(unknown)
}

fn message_id(call: &Call, name: &str) -> Result<MessageId, Answer> {
    let text = call.query(name).ok_or_else(|| Answer::refuse(400, &format!("the query has no {name}"), "add it"))?;
    // A client wraps it in the quotes that it got it in.
    parse_guid(text.trim_matches(['"', ' ']))
        .map(MessageId)
        .map_err(|error| Answer::refuse(400, &format!("{name} is {error}"), "use the id that was given"))
}

fn download(appliance: &Arc<Appliance>, call: Call, job: &Arc<Job>) {
    let opened = direction(job, Direction::Export)
        .and_then(|()| message_id(&call, "correlation-id"))
        .and_then(|id| find(appliance, job, id))
        .and_then(|message| {
            let payload = appliance.store.spool().open_payload(&message.place, message.size, message.checksum);
            let gone = |error: io::Error| {
                Answer::refuse(404, &format!("the document cannot be had: {error}"), "payloads are kept for queue.retention")
            };
            payload.map(|payload| (message, payload)).map_err(gone)
        });
    let (message, payload) = match opened {
        Ok(opened) => opened,
        Err(refusal) => return call.answer(refusal),
    };
    let (id, now) = (message.id, appliance.clock.now());
    if let Err(error) =
        appliance.store.write_behind("mark the message downloaded", move |batch| messages::mark_downloaded(batch.connection, id, now))
    {
        return call.answer(failed(&error));
    }
    let mut answer = Answer::empty(200)
        .with("Content-Type", "application/zip")
        .with("Content-Disposition", format!("attachment; filename=\"{id}.zip\""));
    answer.body = Body::Stream(Box::new(payload), message.size);
    call.answer(answer);
}

fn ack(appliance: &Arc<Appliance>, mut call: Call, job: &Arc<Job>) {
    let body = match call.small_body(JSON_MAX) {
        Ok(Some(body)) => body,
        Ok(None) => return call.answer(Answer::refuse(413, "the body is too large for an ack", "send the answer of dequeue")),
        Err(_) => return call.answer(Answer::refuse(400, "the body ended early", "send it again")),
    };
    let parsed: Option<Value> = serde_json::from_slice(body.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(&body)).ok();
    let member = |name: &str| {
        let object = parsed.as_ref()?.as_object()?;
        object.iter().find(|(key, _)| key.eq_ignore_ascii_case(name)).and_then(|(_, value)| value.as_str()).map(str::to_owned)
    };
    let id = member("CorrelationId").and_then(|id| parse_guid(&id).ok()).map(MessageId);
    let (Some(id), Some(receipt)) = (id, member("PopReceipt")) else {
        return call.answer(Answer::refuse(
            400,
            "the body is no JSON object with CorrelationId and PopReceipt",
            "send back the answer of dequeue",
        ));
    };
    let (activity, now) = (job.activity_id, appliance.clock.now());
    let receipt = PopReceipt(receipt);
    match appliance.store.write("ack", move |batch| messages::ack(batch.connection, activity, id, &receipt, now)) {
        Err(error) => call.answer(failed(&error)),
        Ok(Acked::Now) => {
            log::info!("message acked message={id} job=\"{}\" peer={}", job.name, call.peer());
            call.answer(Answer::json(200, &json!({})));
        }
        Ok(Acked::Before) => call.answer(Answer::json(200, &json!({}))),
        Ok(Acked::Unknown) => {
            call.answer(Answer::refuse(404, &format!("the job {} has no message {id}", job.name), "send back the answer of dequeue"))
        }
        Ok(Acked::NotLatest) => {
            log::warn!(
                "ack refused message={id} job=\"{}\" peer={} reason=\"not the latest pop receipt\"; the message stays",
                job.name,
                call.peer()
            );
            call.answer(Answer::refuse(
                409,
                "this pop receipt is not the latest: the message was offered again",
                "ack with the answer of the latest dequeue",
            ));
        }
    }
}

fn jobstatus(appliance: &Arc<Appliance>, call: Call, job: &Arc<Job>) {
    let message = message_id(&call, "jobId").and_then(|id| find(appliance, job, id));
    match message {
        Ok(message) => {
            let runs = message.execution_id.as_ref().map_or(Ok(Vec::new()), |execution| {
                appliance.store.read("read the entities of an execution", |connection| executions::entities(connection, &execution.0))
            });
            call.answer(match runs {
                Ok(runs) => Answer::json(200, &status(job, &message, &runs, &execution_log(appliance, &message, &runs))),
                Err(error) => failed(&error),
            });
        }
        Err(refusal) => call.answer(refusal),
    }
}

/// The first findings as text, for clients that show nothing else.
fn execution_log(appliance: &Appliance, message: &Message, runs: &[EntityRun]) -> String {
    let Some(execution) = &message.execution_id else { return message.reason.clone().unwrap_or_default() };
    let findings =
        appliance.store.read("read findings", |connection| executions::findings(connection, &execution.0, 0, 50)).unwrap_or_default();
    let lines = findings.iter().map(|(_, finding)| wire::told(finding, runs, true));
    message.reason.iter().cloned().chain(lines).collect::<Vec<_>>().join("\n")
}

/// `DataJobStatusDetail` (CONTRACT §2.2). Dates that are not known yet are left out: a null makes the vendor's client throw.
fn status(job: &Job, message: &Message, runs: &[EntityRun], log: &str) -> Value {
    let mut data_job = json!({
        "DataProject": job.project.name,
        "DataJobIdentifier": message.id,
        "ExternalIdentifier": message.external_id.clone().unwrap_or_default(),
        "ExecutionIdentifier": message.execution_id.as_ref().map(|id| id.0.clone()).unwrap_or_default(),
        "DataJobState": wire::data_job_state(message.state),
    });
    let times = |object: &mut Value, started: Option<Timestamp>, finished: Option<Timestamp>, names: [&str; 2]| {
        for (time, name) in [started, finished].into_iter().zip(names) {
            if let Some(time) = time {
                object[name] = json!(time);
            }
        }
    };
    times(&mut data_job, message.started_at, message.finished_at, ["DataJobStartedDateTime", "DataJobCompletedDateTime"]);
    let company = message.company.clone().unwrap_or_default();
    let detail = |entity: &str, counts: &RowCounts, (staging, target): (&str, &str), started, finished| {
        let mut detail = json!({
            "EntityName": entity,
            "Company": company,
            "StagingRecords": counts.read,
            "StagingStatus": staging,
            "StagingErrorCount": counts.refused,
            "TargetRecords": counts.loaded(),
            "TargetStatus": target,
            "TargetErrorCount": 0,
            "TotalRecords": counts.read,
        });
        times(&mut detail, started, finished, ["ExecutionStartedDateTime", "ExecutionCompletedDateTime"]);
        detail
    };
    let mut details: Vec<Value> = runs
        .iter()
        .map(|run| detail(&run.entity, &run.counts, wire::run_states(run), Some(run.started_at), Some(run.finished_at)))
        .collect();
    if details.is_empty() && message.started_at.is_some() {
        let states = wire::entity_states(message.state);
        details.push(detail(&message.entity, &message.counts, states, message.started_at, message.finished_at));
    }
    json!({ "DataJobStatus": data_job, "ExecutionLog": log, "ExecutionDetail": details })
}
