//! What the shell asks: `/api/v1`, for operators with the token that stands in the data directory.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use subtle::ConstantTimeEq;

use super::answer::Body;
use super::attention;
use super::connector::failed;
use super::{Answer, Call};
use crate::appliance::{Appliance, NEEDS_RESTART};
use crate::background::scheduler;
use crate::inbound::package;
use crate::model::execution::{EntityRun, STAGING_STATUSES, StagingStatus};
use crate::model::id::{MessageId, parse_guid};
use crate::model::job::{Job, Recurrence};
use crate::model::message::{Content, Message, PayloadPlace};
use crate::model::person::User;
use crate::model::project::Direction;
use crate::model::state::MessageState;
use crate::model::time::Timestamp;
use crate::store::jobs;
use crate::store::messages::{self, NewMessage, Payload, Selection};
use crate::store::{StoreError, executions, increments, people, staging as staged};

/// Messages of one page.
const PAGE_MAX: u32 = 500;
/// Who acts through the shell.
const OPERATOR: &str = "an operator";
/// An answer waits this long for the end of an export, at most.
const RUN_WAIT_MAX: Duration = Duration::from_secs(60);
/// Load samples of one answer.
const SAMPLES_MAX: u32 = 1440;

/// What all of this looks like: OpenAPI 3.1.
const OPENAPI: &str = include_str!("../../assets/api/openapi.json");

/// Answers below `/api/v1`; the segments are in lower case.
pub fn route(appliance: &Arc<Appliance>, call: Call, path: &[&str]) {
    if (call.method.as_str(), path) == ("GET", &["openapi.json"]) {
        return call.answer(Answer::text(200, "application/json", OPENAPI));
    }
    let given = call.header("Authorization").and_then(|header| header.strip_prefix("Bearer ")).unwrap_or_default();
    let right: bool = given.as_bytes().ct_eq(appliance.operator_token.as_bytes()).into();
    if !right {
        let refusal = Answer::refuse(
            401,
            "this is for operators",
            "use the entrepot command on this machine: it reads the token in data_dir/running.json",
        );
        return call.answer(refusal.with("WWW-Authenticate", "Bearer realm=\"entrepot operator\""));
    }
    let answer = match (call.method.as_str(), path) {
        ("GET", ["jobs"]) => list_jobs(appliance),
        ("GET", ["jobs", id]) => find_job(appliance, id).and_then(|job| show_job(appliance, &job)),
        ("POST", ["jobs", id, action @ ("run" | "pause" | "resume" | "reset")]) => find_job(appliance, id).and_then(|job| {
            // Refused or done: a run that was asked for wrongly does not begin.
            let most = if *action == "run" { wait_of(&call)? } else { None };
            let done = act_on_job(appliance, &job, action, OPERATOR)?;
            match most {
                None => Ok(done),
                Some(most) => {
                    appliance.dispatch.wait_for_export(job.activity_id, most);
                    Ok(Answer::json(200, &job_json(appliance, &job)?))
                }
            }
        }),
        ("GET", ["users"]) => list_users(appliance),
        ("POST", ["users", _, "remove"]) => remove_user(appliance, call.path.get(3).map_or("", String::as_str)),
        ("POST", ["sign-in-link"]) => make_sign_in_link(appliance),
        ("POST", ["configuration", "reload"]) => reload(appliance),
        ("GET", ["clock"]) if appliance.is_playground() => Ok(Answer::json(200, &json!({ "now": appliance.clock.now() }))),
        ("POST", ["clock"]) if appliance.is_playground() => move_clock(appliance, &call),
        ("POST", ["reset"]) if appliance.is_playground() => stored(appliance.reset()).map(|()| Answer::empty(204)),
        ("GET" | "POST", ["clock" | "reset"]) => Err(Answer::refuse(
            404,
            "the clock is the machine's, and what is kept stays",
            "entrepot serve --memory has a clock that can be moved, and can be emptied",
        )),
        ("GET", ["messages"]) => selection(appliance, &call).and_then(|selection| list_messages(appliance, &selection)),
        ("GET", ["messages", id]) => find_message(appliance, id).and_then(|message| show_message(appliance, &message)),
        ("GET", ["messages", id, "findings"]) => find_message(appliance, id).and_then(|message| findings(appliance, &message, &call)),
        ("GET", ["messages", id, "document"]) => find_message(appliance, id).and_then(|message| document(appliance, &message)),
        ("GET", ["messages", id, "refused"]) => {
            find_message(appliance, id).and_then(|message| refused(appliance, &message, call.query("entity")))
        }
        ("GET", ["messages", id, "transformed"]) => {
            find_message(appliance, id).and_then(|message| transformed(appliance, &message, call.query("entity")))
        }
        ("GET", ["messages", id, "staging"]) => find_message(appliance, id)
            .and_then(|message| staging(appliance, &message, &call, PAGE_MAX))
            .map(|page| Answer::json(200, &page)),
        ("POST", ["messages", id, action @ ("replay" | "cancel" | "release")]) => {
            find_message(appliance, id).and_then(|message| act_on_message(appliance, &message, action, OPERATOR))
        }
        _ => Err(Answer::refuse(404, "the operator API has nothing there", "/api/v1/openapi.json says what it has")),
    };
    call.answer(answer.unwrap_or_else(|refusal| refusal));
}

/// `POST /api/v1/configuration/reload`: applies the file now, where the scheduler would within two seconds, and tells the outcome.
fn reload(appliance: &Appliance) -> Answered {
    const REFUSED: &str = "the configuration is refused, the running one stays";
    match appliance.reload() {
        Ok(()) => Ok(Answer::json(200, &json!({ "file": appliance.live().config.file }))),
        Err(problems) => {
            let detail = format!("{REFUSED}\n{}", problems.trim_end());
            let hint = match problems.as_str() {
                NEEDS_RESTART => "restart the appliance, or take the change back",
                _ => "correct the file; entrepot check tells every problem",
            };
            // The status line has no room for every problem.
            Err(Answer { reason: REFUSED.into(), ..Answer::refuse(409, &detail, hint) })
        }
    }
}

/// The longest step of the clock.
const CLOCK_STEP_MAX: Duration = Duration::from_secs(3_660 * 86_400);

/// `POST /api/v1/clock?advance=1h30m`: moves the clock on, and answers when everything that became due is done.
fn move_clock(appliance: &Arc<Appliance>, call: &Call) -> Answered {
    let by = call.query("advance").and_then(crate::config::parse_duration).filter(|by| *by <= CLOCK_STEP_MAX);
    let by =
        by.ok_or_else(|| Answer::refuse(400, "the query has no advance, as in advance=1h30m", "a clock is moved on by up to ten years"))?;
    appliance.clock.advance(by);
    appliance.settle();
    Ok(Answer::json(200, &json!({ "now": appliance.clock.now() })))
}

pub(super) type Answered = Result<Answer, Answer>;

pub(super) fn stored<T>(result: Result<T, StoreError>) -> Result<T, Answer> {
    result.map_err(|error| failed(&error))
}

pub(super) fn find_job(appliance: &Appliance, id: &str) -> Result<Arc<Job>, Answer> {
    let live = appliance.live();
    let found =
        live.config.jobs.iter().find(|job| parse_guid(id).is_ok_and(|id| id == job.activity_id.0) || job.name.eq_ignore_ascii_case(id));
    found.cloned().ok_or_else(|| Answer::refuse(404, &format!("there is no job {id}"), "entrepot job list shows them"))
}

pub(super) fn find_message(appliance: &Appliance, id: &str) -> Result<Message, Answer> {
    let id = parse_guid(id)
        .map(MessageId)
        .map_err(|error| Answer::refuse(400, &format!("the message id is {error}"), "entrepot message list shows them"))?;
    stored(appliance.store.read("find the message", |connection| messages::find(connection, id)))?
        .ok_or_else(|| Answer::refuse(404, &format!("there is no message {id}"), "entrepot message list shows them"))
}

pub(super) fn job_json(appliance: &Appliance, job: &Job) -> Result<Value, Answer> {
    let record = stored(appliance.store.read("read the job", |connection| jobs::find(connection, job.activity_id)))?;
    let (recurrence, next) = match &job.recurrence {
        Recurrence::OnArrival => ("on arrival".to_owned(), Vec::new()),
        Recurrence::OnDemand => ("on demand".to_owned(), Vec::new()),
        Recurrence::Schedule(schedule) => (format!("{schedule} {}", schedule.zone()), schedule.next_n(appliance.clock.now(), 5)),
    };
    let standings = match job.is_incremental() {
        true => stored(appliance.store.read("read the watermark", |connection| increments::standings(connection, job.activity_id)))?,
        false => Vec::new(),
    };
    let increments: Vec<Value> = standings
        .into_iter()
        .map(|standing| json!({ "entity": standing.entity, "acked_as_of": standing.acked_as_of, "anew": standing.anew, "waiting": standing.waiting }))
        .collect();
    let states: serde_json::Map<String, Value> =
        record.iter().flat_map(|record| &record.states).map(|(state, count)| (state.name().into(), json!(count))).collect();
    Ok(json!({
        "activity_id": job.activity_id, "name": job.name, "project": job.project.name, "direction": job.project.direction, "enabled": job.enabled,
        "paused": record.as_ref().is_some_and(|record| record.paused), "recurrence": recurrence, "next_runs": next,
        "last_run_at": record.as_ref().and_then(|record| record.last_run_at),
        "running": appliance.dispatch.is_exporting(job.activity_id), "failure": record.as_ref().and_then(|record| record.failure.clone()),
        "next_try_at": record.as_ref().and_then(|record| record.next_try_at), "states": states,
        "arrived": record.as_ref().map_or(0, |record| record.arrived), "finished": record.as_ref().map_or(0, |record| record.finished),
        "rows_loaded": record.as_ref().map_or(0, |record| record.rows_loaded), "rows_refused": record.as_ref().map_or(0, |record| record.rows_refused),
        "incremental": job.is_incremental(), "increments": increments,
    }))
}

fn list_jobs(appliance: &Appliance) -> Answered {
    let list = appliance.live().config.jobs.iter().map(|job| job_json(appliance, job)).collect::<Result<Vec<_>, _>>()?;
    Ok(Answer::json(200, &json!({ "jobs": list })))
}

fn show_job(appliance: &Appliance, job: &Job) -> Answered {
    let mut value = job_json(appliance, job)?;
    value["load"] =
        json!(stored(appliance.store.read("read the load", |connection| jobs::load_samples(connection, job.activity_id, SAMPLES_MAX)))?);
    Ok(Answer::json(200, &value))
}

pub(super) fn act_on_job(appliance: &Arc<Appliance>, job: &Job, action: &str, by: &str) -> Answered {
    if action == "run" {
        if !job.enabled {
            return Err(Answer::refuse(409, &format!("the job {} is disabled", job.name), "set enabled = true in the configuration"));
        }
        log::info!("job run job=\"{}\" by=\"{by}\"", job.name);
        let (activity, now) = (job.activity_id, appliance.clock.now());
        stored(scheduler::start(appliance, job, move |connection| jobs::begin_run(connection, activity, now)))?;
    } else if action == "reset" {
        if !job.is_incremental() {
            let detail = format!("the job {} exports everything each time", job.name);
            return Err(Answer::refuse(409, &detail, "only a project with refresh = \"incremental\" has something to reset"));
        }
        let activity = job.activity_id;
        stored(appliance.store.write("reset the watermark", move |batch| increments::reset(batch.connection, activity, None)))?;
        log::info!("job reset job=\"{}\" by=\"{by}\"; its next export holds everything", job.name);
    } else {
        let (activity, paused) = (job.activity_id, action == "pause");
        stored(appliance.store.write("pause or resume the job", move |batch| jobs::set_paused(batch.connection, activity, paused)))?;
        log::info!("job {action}d job=\"{}\" by=\"{by}\"", job.name);
        appliance.dispatch.want(activity);
        appliance.dispatch.want_requested();
        appliance.bell.ring();
    }
    Ok(Answer::json(200, &job_json(appliance, job)?))
}

/// How long `?wait=` waits for the end of a run.
fn wait_of(call: &Call) -> Result<Option<Duration>, Answer> {
    let Some(text) = call.query("wait") else { return Ok(None) };
    let most = crate::config::parse_duration(text).filter(|most| *most <= RUN_WAIT_MAX);
    most.map(Some).ok_or_else(|| Answer::refuse(400, "wait is no duration, as in wait=20s", "at most a minute is waited"))
}

pub(super) fn message_json(appliance: &Appliance, message: &Message) -> Value {
    let live = appliance.live();
    json!({
        "id": message.id, "activity_id": message.activity_id, "job": live.config.job(message.activity_id).map(|job| job.name.clone()),
        "direction": message.direction, "state": message.state, "entity": message.entity, "content": message.content.name(), "company": message.company,
        "external_id": message.external_id, "application_id": message.application_id, "size": message.size, "sha256": message.sha256,
        "received_at": message.received_at, "started_at": message.started_at, "finished_at": message.finished_at, "attempts": message.attempts,
        "next_try_at": message.next_try_at, "lease_until": message.lease_until, "execution_id": message.execution_id, "rows": message.counts,
        "findings": message.findings, "reason": message.reason, "replay_of": message.replay_of, "replayed_by": message.replayed_by,
        "continues": message.continues, "validated_only": message.stage_only,
        "payload_kept": message.place != PayloadPlace::Pruned, "refused_rows_kept": refused_kept(appliance, message),
    })
}

pub(super) fn selection(appliance: &Appliance, call: &Call) -> Result<Selection, Answer> {
    let bad = |detail: &str| Answer::refuse(400, detail, "correct the query");
    let mut selection = Selection { limit: 50, ..Selection::default() };
    if let Some(job) = call.query("job").filter(|given| !given.is_empty()) {
        selection.activity_id = Some(find_job(appliance, job)?.activity_id);
    }
    if let Some(state) = call.query("state").filter(|given| !given.is_empty()) {
        selection.state = Some(state.parse::<MessageState>().map_err(|reason| bad(&reason))?);
    }
    if let Some(before) = call.query("before").filter(|given| !given.is_empty()) {
        selection.before = Some(before.parse().map_err(|_| bad("before is no message id"))?);
    }
    if let Some(limit) = call.query("limit") {
        selection.limit = limit.parse().ok().filter(|limit| (1..=PAGE_MAX).contains(limit)).ok_or_else(|| bad("limit is 1 to 500"))?;
    }
    selection.attention = call.query("attention").is_some_and(|given| !given.is_empty());
    Ok(selection)
}

fn list_messages(appliance: &Appliance, selection: &Selection) -> Answered {
    let list = stored(appliance.store.read("list messages", |connection| messages::list(connection, selection)))?;
    let full = list.len() == selection.limit as usize;
    let next = list.last().filter(|_| full).map(|message| message.id);
    let list: Vec<Value> = list.iter().map(|message| message_json(appliance, message)).collect();
    let mut page = json!({ "messages": list, "next": next });
    if selection.attention {
        let failing = attention::failing(appliance, selection.activity_id)?;
        (page["failing_jobs"], page["failing_exports"]) = (json!(failing.jobs), json!(failing.exports));
    }
    Ok(Answer::json(200, &page))
}

fn show_message(appliance: &Appliance, message: &Message) -> Answered {
    let mut value = message_json(appliance, message);
    let timeline = stored(appliance.store.read("read the timeline", |connection| messages::timeline(connection, message.id)))?;
    let first = json!({ "at": message.received_at, "event": "received", "detail": null });
    let events = timeline.iter().map(|event| json!({ "at": event.at, "event": event.event, "detail": event.detail }));
    value["entities"] = entities_json(appliance, message)?;
    value["timeline"] = std::iter::once(first).chain(events).collect();
    Ok(Answer::json(200, &value))
}

/// What became of each entity of a message.
pub(super) fn entities_json(appliance: &Appliance, message: &Message) -> Result<Value, Answer> {
    let of = |run: EntityRun| {
        json!({ "entity": run.entity, "outcome": run.outcome.name(), "started_at": run.started_at, "finished_at": run.finished_at, "rows": run.counts,
            "findings": run.findings, "refused_rows_kept": run.refused_file.is_some(), "transformed_kept": run.transformed_file.is_some(),
            "staging_kept": run.staging_file.is_some() })
    };
    Ok(runs(appliance, message)?.into_iter().map(of).collect())
}

fn runs(appliance: &Appliance, message: &Message) -> Result<Vec<EntityRun>, Answer> {
    let Some(execution) = &message.execution_id else { return Ok(Vec::new()) };
    stored(appliance.store.read("read the entities of an execution", |connection| executions::entities(connection, &execution.0)))
}

fn findings(appliance: &Appliance, message: &Message, call: &Call) -> Answered {
    let from = call.query("from").and_then(|from| from.parse().ok()).unwrap_or(0);
    let list = match &message.execution_id {
        None => Vec::new(),
        Some(execution) => {
            stored(appliance.store.read("read findings", |connection| executions::findings(connection, &execution.0, from, PAGE_MAX)))?
        }
    };
    let next = list.last().filter(|_| list.len() == PAGE_MAX as usize).map(|(ordinal, _)| ordinal + 1);
    let list: Vec<Value> = list.iter().map(|(_, finding)| json!(finding)).collect();
    Ok(Answer::json(200, &json!({ "findings": list, "total": message.findings, "next": next })))
}

fn download(name: &str, stream: Box<dyn std::io::Read + Send>, size: u64) -> Answer {
    let mut answer = Answer::empty(200)
        .with("Content-Type", "application/octet-stream")
        .with("Content-Disposition", format!("attachment; filename=\"{name}\""));
    answer.body = Body::Stream(stream, size);
    answer
}

pub(super) fn document(appliance: &Appliance, message: &Message) -> Answered {
    let payload = appliance.store.spool().open_payload(&message.place, message.size, message.checksum);
    let payload = payload.map_err(|error| Answer::refuse(404, &error.to_string(), "payloads are kept for queue.retention"))?;
    let zip = message.direction == Direction::Export || message.content == Content::Package;
    let extension = if zip { "zip" } else { "csv" };
    Ok(download(&format!("{}.{extension}", message.id), Box::new(payload), message.size))
}

/// Whether there is something to mend: refused rows, or entities of a package that were refused as a whole or not run.
fn refused_kept(appliance: &Appliance, message: &Message) -> bool {
    use MessageState::{Cancelled, Failed, ProcessedWithErrors, Refused};
    let ended = matches!(message.state, Refused | ProcessedWithErrors | Failed | Cancelled);
    if message.content != Content::Package || !ended || message.place == PayloadPlace::Pruned {
        return message.refused_file.is_some();
    }
    message.refused_file.is_some() || runs(appliance, message).is_ok_and(|runs| runs.iter().any(package::refused::comes_back))
}

/// The refused rows of one entity; without a name, of the message: those of a package as a package.
pub(super) fn refused(appliance: &Appliance, message: &Message, entity: Option<&str>) -> Answered {
    if message.direction == Direction::Import && !message.state.is_final() {
        return Err(Answer::refuse(404, "this message is not processed yet", "ask again when it is: its state says so"));
    }
    let runs = runs(appliance, message)?;
    if let (Content::Package, None) = (message.content, entity) {
        if !runs.iter().any(package::refused::comes_back) {
            let whole = runs.is_empty() && message.state == MessageState::Refused;
            let detail = if whole { "the package was refused as a whole" } else { "no row of this message was refused" };
            return Err(Answer::refuse(404, detail, "look at its findings, and mend the package that was sent"));
        }
        let live = appliance.live();
        let gone = |error: std::io::Error| Answer::refuse(404, &error.to_string(), "refused rows are kept for queue.retention");
        let job = live.config.job(message.activity_id).ok_or_else(|| {
            let hint = "the refused rows of one entity are there: --entity NAME, or ?entity=NAME";
            Answer::refuse(404, "its job is no longer in the configuration", hint)
        })?;
        let spool = appliance.store.spool();
        let payload = spool.open_window(&message.place, message.size, message.checksum).map_err(gone)?;
        let (package, size) = package::refused::write(&job.project, payload, message.size, &runs, spool).map_err(gone)?;
        return Ok(download(&format!("{}-refused.zip", message.id), Box::new(package), size));
    }
    let of_entity = |label: &str| runs.iter().find(|run| run.entity.eq_ignore_ascii_case(label)).and_then(|run| run.refused_file.clone());
    let name = entity.map_or_else(|| message.refused_file.clone(), of_entity);
    let whole =
        || runs.iter().any(|run| entity.is_some_and(|label| run.entity.eq_ignore_ascii_case(label)) && package::refused::comes_back(run));
    let name = name.as_ref().ok_or_else(|| match whole() {
        true => {
            let hint = "without a name of an entity the refused rows are a package, and in that it is as it was sent";
            Answer::refuse(404, "this entity was refused as a whole, or not run", hint)
        }
        false if runs.iter().any(|run| entity.is_none() && package::refused::comes_back(run)) => {
            Answer::refuse(404, "the document was refused as a whole", "look at its findings, and mend the document that was sent")
        }
        false => Answer::refuse(404, "no row of this message was refused", "look at its findings"),
    })?;
    let (file, size) = appliance
        .store
        .spool()
        .open_refused(name)
        .map_err(|error| Answer::refuse(404, &error.to_string(), "refused rows are kept for queue.retention"))?;
    Ok(download(name, Box::new(file), size))
}

/// The document of one entity as its stylesheets gave it; without a name, of the first that has one.
pub(super) fn transformed(appliance: &Appliance, message: &Message, entity: Option<&str>) -> Answered {
    let kept = transformed_kept(appliance, message)?;
    let found = kept.into_iter().find(|(label, _)| entity.is_none_or(|entity| label.eq_ignore_ascii_case(entity)));
    let (_, name) = found.ok_or_else(|| {
        Answer::refuse(404, "no transformed document is kept", "one is kept where keep_transformed = true stands beside transform in [[project.entity]], and the stylesheets came to their end")
    })?;
    let (file, size) = appliance
        .store
        .spool()
        .open_transformed(&name)
        .map_err(|error| Answer::refuse(404, &error.to_string(), "transformed documents are kept for queue.retention"))?;
    Ok(download(&name, Box::new(file), size))
}

/// A page of staged rows, of one entity; without a name, of the first that has any.
pub(super) fn staging(appliance: &Appliance, message: &Message, call: &Call, rows: u32) -> Result<Value, Answer> {
    let status = match call.query("status").filter(|name| !name.is_empty()) {
        None => None,
        Some(name) => Some(STAGING_STATUSES.into_iter().find(|status| status.name().eq_ignore_ascii_case(name)).ok_or_else(|| {
            let names = STAGING_STATUSES.map(StagingStatus::name).join(", ");
            Answer::refuse(400, &format!("\"{name}\" is no status of a staged row"), &format!("it is one of {names}"))
        })?),
    };
    let after = call.query("after").and_then(|after| after.parse().ok()).unwrap_or(0);
    let refuse = || {
        Answer::refuse(
            404,
            "no rows are staged",
            "they are where skip_staging = false stands in [[project.entity]] and the document could be read, for queue.retention",
        )
    };
    let mut all: Vec<(String, PathBuf)> = Vec::new();
    for name in runs(appliance, message)?.into_iter().filter_map(|run| run.staging_file) {
        let path = appliance.store.spool().staging_path(&name).map_err(|_| refuse())?;
        let labels = stored(staged::entities(&path))?;
        all.extend(labels.into_iter().map(|label| (label, path.clone())));
    }
    let wanted = call.query("entity").filter(|entity| !entity.is_empty());
    let found = all.iter().find(|(label, _)| wanted.is_none_or(|wanted| label.eq_ignore_ascii_case(wanted)));
    let (label, path) = found.ok_or_else(refuse)?;
    let page = stored(staged::page(path, label, after, status, rows))?;
    let next = page.last().filter(|_| page.len() == rows as usize).map(|row| row.position);
    let rows = page.into_iter().map(|row| {
        let values: serde_json::Map<String, Value> = row.values.into_iter().map(|(field, value)| (field, json!(value))).collect();
        json!({ "row": row.number, "line": row.line, "status": row.status, "reason": row.reason, "record": row.record, "values": values })
    });
    let entities: Vec<&str> = all.iter().map(|(label, _)| label.as_str()).collect();
    Ok(json!({ "entity": label, "entities": entities, "rows": rows.collect::<Vec<_>>(), "next": next }))
}

/// Whether staged rows of a message are kept.
pub(super) fn staging_kept(appliance: &Appliance, message: &Message) -> Result<bool, Answer> {
    Ok(runs(appliance, message)?.iter().any(|run| run.staging_file.is_some()))
}

/// The entities whose transformed documents are kept, with the names of the files.
pub(super) fn transformed_kept(appliance: &Appliance, message: &Message) -> Result<Vec<(String, String)>, Answer> {
    Ok(runs(appliance, message)?.into_iter().filter_map(|run| Some((run.entity, run.transformed_file?))).collect())
}

pub(super) fn act_on_message(appliance: &Arc<Appliance>, message: &Message, action: &str, by: &str) -> Answered {
    let (id, now) = (message.id, appliance.clock.now());
    let refuse = || {
        let done = if action == "cancel" { "cancelled" } else { "released" };
        Answer::refuse(409, &format!("a message that is {} cannot be {done}", message.state), "entrepot message show tells its state")
    };
    let who = by.to_owned();
    let done = match action {
        "replay" => return replay(appliance, message, by, now),
        "cancel" => stored(appliance.store.write("cancel the message", move |batch| messages::cancel(batch.connection, id, &who, now)))?,
        _ => stored(appliance.store.write("release the message", move |batch| messages::release(batch.connection, id, &who, now)))?,
    };
    if !done {
        return Err(refuse());
    }
    if message.direction == Direction::Import {
        // Where order matters, others waited for it.
        appliance.dispatch.want(message.activity_id);
    }
    let message = find_message(appliance, &id.to_string())?;
    Ok(Answer::json(200, &message_json(appliance, &message)))
}

/// A new message with the same payload; the old one keeps its history and names the new one.
fn replay(appliance: &Arc<Appliance>, message: &Message, by: &str, now: Timestamp) -> Answered {
    if message.direction != Direction::Import || !message.state.is_final() {
        return Err(Answer::refuse(
            409,
            &format!("a message that is {} cannot be replayed", message.state),
            "only an import that has ended can; an export is released",
        ));
    }
    let gone = |error: std::io::Error| Answer::refuse(409, &format!("the payload cannot be read: {error}"), "send the document again");
    let mut payload = appliance.store.spool().open_payload(&message.place, message.size, message.checksum).map_err(gone)?;
    let new_id = appliance.message_id(now);
    let mut receiving = appliance.store.spool().receive(new_id);
    let mut buffer = vec![0u8; 256 * 1024];
    loop {
        match std::io::Read::read(&mut payload, &mut buffer).map_err(gone)? {
            0 => break,
            count => stored(receiving.write(&buffer[..count]).map_err(StoreError::file("copy the payload")))?,
        }
    }
    let (received, _) = stored(receiving.finish().map_err(StoreError::file("copy the payload")))?;
    let payload = match received {
        crate::files::Received::Small(bytes) => Payload::Small(bytes),
        crate::files::Received::Large(place) => Payload::Stored(place),
    };
    let old = message.clone();
    let (id, ledger, activity) = (old.id, old.ledger(), old.activity_id);
    let new = NewMessage {
        id: new_id,
        activity_id: activity,
        direction: Direction::Import,
        entity: old.entity,
        content: old.content,
        run_now: false,
        stage_only: old.stage_only,
        company: old.company,
        external_id: old.external_id,
        application_id: old.application_id,
        size: old.size,
        sha256: old.sha256,
        checksum: old.checksum,
        received_at: now,
        execution_id: None,
        counts: Default::default(),
        findings: 0,
        replay_of: Some(id),
        // Of one that came to its end all is loaded again.
        continues: matches!(old.state, MessageState::Failed | MessageState::Cancelled).then_some(ledger),
    };
    let who = by.to_owned();
    stored(appliance.store.write("replay the message", move |batch| {
        messages::enqueue(batch, &new, payload, now)?;
        messages::mark_replayed(batch.connection, id, new_id, &who, now)
    }))?;
    log::info!("message replayed message={id} as={new_id} by=\"{by}\"");
    appliance.dispatch.want(activity);
    let message = find_message(appliance, &new_id.to_string())?;
    Ok(Answer::json(200, &message_json(appliance, &message)))
}

fn list_users(appliance: &Appliance) -> Answered {
    let live = appliance.live();
    let made = stored(appliance.store.read("read the users", people::users))?;
    let json = |user: &User, kept_in: &str| json!({ "name": user.name, "role": user.role, "kept_in": kept_in });
    let configured = live.config.users.iter().map(|user| json(user, "configuration"));
    // The configuration's user is the one that counts.
    let made = made.iter().filter(|user| live.config.user(&user.name).is_none()).map(|user| json(user, "data directory"));
    Ok(Answer::json(200, &json!({ "users": configured.chain(made).collect::<Vec<_>>() })))
}

fn remove_user(appliance: &Appliance, name: &str) -> Answered {
    if appliance.live().config.user(name).is_some() {
        return Err(Answer::refuse(409, &format!("{name} stands in the configuration"), "remove the [[user]] there"));
    }
    let removed = name.to_owned();
    if !stored(appliance.store.write("remove the user", move |batch| people::remove_user(batch.connection, &removed)))? {
        return Err(Answer::refuse(404, &format!("there is no user {name}"), "entrepot user list shows them"));
    }
    log::info!("user removed user=\"{}\" by=\"{OPERATOR}\"", name.escape_debug());
    list_users(appliance)
}

fn make_sign_in_link(appliance: &Appliance) -> Answered {
    let url = appliance.make_sign_in_link().map_err(|error| Answer::refuse(503, &error.to_string(), "try again"))?;
    log::info!("sign-in link made by=\"{OPERATOR}\"");
    Ok(Answer::json(200, &json!({ "url": url })))
}
