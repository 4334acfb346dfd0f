//! What became of an execution, in the words of the real system; a message's id, quoted or braced, stands for its execution (CONTRACT §1.2, §1.6).

use std::collections::HashMap;

use serde_json::{Value, json};

use super::{BOOLEAN, Given, Request, may_see, text};
use crate::http::projects::Chosen;
use crate::http::{Answer, blob, wire};
use crate::model::execution::EntityRun;
use crate::model::id::{MessageId, parse_guid};
use crate::model::message::Message;
use crate::model::project::Direction;
use crate::model::state::MessageState;
use crate::store::executions::{self, Execution};
use crate::store::{blobs, increments, messages};

const ZERO: &str = "00000000-0000-0000-0000-000000000000";
/// Findings that are told in one answer.
const ERRORS_MAX: u32 = 10_000;

/// An execution that the caller may see: its row, once it began, and the message that it is about.
pub(super) struct Known {
    pub execution: Option<Execution>,
    pub message: Option<Message>,
}

/// The execution of this id: exactly so, or the GUID in it, or the message of that GUID.
pub(super) fn known(request: &Request<'_>, id: &str) -> Result<Known, Answer> {
    let store = &request.appliance.store;
    let plain = id.trim_matches(['"', '\'', ' ']);
    let guid = parse_guid(plain).ok();
    let mut names = vec![id.to_owned(), plain.to_owned()];
    names.extend(guid.map(|guid| guid.to_string()));
    let mut found = None;
    for name in &names {
        found = request.stored(store.read("find the execution", |connection| executions::find(connection, name)))?;
        if found.is_some() {
            break;
        }
    }
    let of = found.as_ref().and_then(|execution| execution.message_id).or(guid.map(MessageId).filter(|_| found.is_none()));
    let message = match of {
        Some(id) => request.stored(store.read("find the message", |connection| messages::find(connection, id)))?,
        None => None,
    };
    if let (None, Some(execution)) = (&found, message.as_ref().and_then(|message| message.execution_id.as_ref())) {
        found = request.stored(store.read("find the execution", |connection| executions::find(connection, &execution.0)))?;
    }
    let live = request.appliance.live();
    let project = match (&found, &message) {
        (Some(execution), _) => Some(execution.project.clone()),
        (None, Some(message)) => live.config.job(message.activity_id).map(|job| job.project.name.clone()),
        (None, None) => None,
    };
    match project.filter(|project| may_see(&live, request.caller, project)) {
        Some(_) => Ok(Known { execution: found, message }),
        None => Err(request.refuse(400, &format!("Execution details were not found for execution id: {plain}"))),
    }
}

/// The message of a parameter.
fn message(request: &Request<'_>) -> Result<Message, Answer> {
    let id = request.needed("messageId")?;
    let guid = parse_guid(id.trim_matches(['"', '\'', ' '])).map_err(|problem| request.refuse(400, &format!("messageId is {problem}")))?;
    let found =
        request.stored(request.appliance.store.read("find the message", |connection| messages::find(connection, MessageId(guid))))?;
    let live = request.appliance.live();
    let visible =
        |message: &Message| live.config.job(message.activity_id).is_some_and(|job| may_see(&live, request.caller, &job.project.name));
    found.filter(visible).ok_or_else(|| request.refuse(400, &format!("Message was not found for message id: {guid}")))
}

pub(super) fn message_status(request: &Request<'_>) -> Given {
    let message = message(request)?;
    Ok(Some(("Microsoft.Dynamics.DataEntities.DMFMessageStatus", json!(wire::message_status(message.state)))))
}

pub(super) fn id_by_message(request: &Request<'_>) -> Given {
    text(message(request)?.execution_id.map_or_else(|| ZERO.to_owned(), |id| id.0))
}

/// An import is as far as its message; an export tells itself.
fn summary(known: &Known) -> &'static str {
    match (&known.message, &known.execution) {
        (Some(message), _) if message.direction == Direction::Import => wire::summary_status(message.state),
        (_, Some(execution)) => wire::outcome_status(&execution.outcome),
        (_, None) => wire::summary_status(MessageState::Queued),
    }
}

pub(super) fn summary_status(request: &Request<'_>) -> Given {
    let known = known(request, request.needed("executionId")?)?;
    // Microsoft.OData.Client crashes without the enum's type (CONTRACT §1.6).
    Ok(Some(("Microsoft.Dynamics.DataEntities.DMFExecutionSummaryStatus", json!(summary(&known)))))
}

pub(super) fn page_url(request: &Request<'_>) -> Given {
    let known = known(request, request.needed("executionId")?)?;
    let base = request.appliance.live().config.server.public_url.clone();
    text(match (&known.message, &known.execution) {
        (Some(message), _) => format!("{base}/messages/{}", message.id),
        (None, Some(execution)) => format!("{base}/jobs/{}", execution.activity_id),
        (None, None) => String::new(),
    })
}

fn runs(request: &Request<'_>, known: &Known) -> Result<Vec<EntityRun>, Answer> {
    let Some(execution) = &known.execution else { return Ok(Vec::new()) };
    request.stored(
        request.appliance.store.read("read the entities of an execution", |connection| executions::entities(connection, &execution.id.0)),
    )
}

pub(super) fn entity_status_list(request: &Request<'_>) -> Given {
    let known = known(request, request.needed("executionId")?)?;
    let list = runs(request, &known)?.into_iter().map(|run| {
        json!({
            "EntityName": run.entity,
            "Status": wire::run_status(&run),
            "TotalRecords": run.counts.read,
            "SuccessRecords": run.counts.read - run.counts.refused,
            "ErrorRecords": run.counts.refused,
            "ExecutionStartDateTime": run.started_at,
            "ExecutionEndDateTime": run.finished_at,
        })
    });
    Ok(Some(("Collection(Edm.String)", Value::Array(list.collect()))))
}

/// Findings as the JSON text that clients save.
pub(super) fn errors(request: &Request<'_>) -> Given {
    let known = known(request, request.needed("executionId")?)?;
    let Some(execution) = &known.execution else { return text("[]") };
    let findings = request.stored(
        request.appliance.store.read("read findings", |connection| executions::findings(connection, &execution.id.0, 0, ERRORS_MAX)),
    )?;
    let runs = runs(request, &known)?;
    let mut list: Vec<Value> = findings
        .into_iter()
        .map(|(_, finding)| {
            let told = wire::told(&finding, &runs, false);
            let field = if finding.field.is_empty() { finding.column } else { finding.field };
            json!({ "RecordId": finding.row.to_string(), "Field": field, "ErrorMessage": told })
        })
        .collect();
    if let (true, Some(reason), "Failed") = (list.is_empty(), &execution.reason, summary(&known)) {
        list.push(json!({ "RecordId": "", "Field": "", "ErrorMessage": reason }));
    }
    text(Value::Array(list).to_string())
}

/// The file of refused rows of the entity that the request names; `None` when there is none, or it is no longer kept.
fn refused(request: &Request<'_>) -> Result<Option<(String, String)>, Answer> {
    let known = known(request, request.needed("executionId")?)?;
    let runs = runs(request, &known)?;
    let label = request.text("entityName");
    let live = request.appliance.live();
    let means = |run: &EntityRun, label: &str| {
        run.entity.eq_ignore_ascii_case(label) || live.config.entity(label).is_some_and(|entity| entity.name == run.entity)
    };
    let run = runs.into_iter().find(|run| label.is_none_or(|label| means(run, label)) && run.refused_file.is_some());
    Ok(run.and_then(|run| run.refused_file.map(|file| (run.entity, file))))
}

/// GenerateImportTargetErrorKeysFile: the refused rows are a file already. `true` promises that its URL is never empty, since a client asks for it
/// without end (CONTRACT §1.6).
pub(super) fn generate_error_keys(request: &Request<'_>) -> Given {
    Ok(Some((BOOLEAN, json!(refused(request)?.is_some()))))
}

/// The refused rows of an entity, as a blob that is made when it is first asked for.
pub(super) fn error_file_url(request: &Request<'_>) -> Given {
    let Some((entity, file)) = refused(request)? else { return text("") };
    let appliance = request.appliance;
    let extension = file.rsplit_once('.').map_or("csv", |(_, extension)| extension).to_owned();
    let Some(name) = blobs::name(&format!("{}-errors.{extension}", entity.replace(['/', '\\'], ""))) else { return text("") };
    // The refused file's name is a GUID and a number, unique: so is the blob's identity made of it.
    let id = format!("refused-{file}");
    let found = request.stored(appliance.store.read("find the blob", |connection| blobs::find(connection, &id)))?;
    if found.is_none() {
        let made = appliance.store.spool().refused_as_blob(&file).map_err(crate::store::StoreError::file("copy the refused rows"));
        let (file, digested) = request.stored(made)?;
        let now = appliance.clock.now();
        let content = blobs::Content {
            etag: format!("\"0x{}\"", file.replace('-', "").to_uppercase()),
            file: file.clone(),
            digested,
            written_at: now,
        };
        let new = blobs::Blob { id: id.clone(), name: name.clone(), application_id: Some(request.caller.id), content: Some(content) };
        let stored = appliance.store.write("make the blob", move |batch| match blobs::find(batch.connection, &new.id) {
            // Another request was faster.
            Ok(Some(_)) => Ok(false),
            _ => blobs::make(batch.connection, &new, now).map(|()| true),
        });
        if !matches!(stored, Ok(true))
            && let Err(error) = appliance.store.spool().remove_blob(&file)
        {
            log::warn!("blob file not removed reason=\"{error}\"");
        }
        request.stored(stored)?;
    }
    text(blob::url(appliance, &name, &id, false))
}

/// DeleteExecutionHistoryJob: an execution that has ended is forgotten, with its findings; its message stays in the queue's history.
pub(super) fn delete_history(request: &Request<'_>) -> Given {
    let known = known(request, request.needed("executionId")?)?;
    let status = summary(&known);
    let Some(execution) = known.execution.filter(|_| !matches!(status, "NotRun" | "Executing")) else {
        return Err(request.refuse(400, "The execution has not ended: its history cannot be deleted"));
    };
    let id = execution.id;
    log::info!("execution forgotten execution={} application={}", id.0.escape_debug(), request.caller.id);
    request.stored(request.appliance.store.write("forget the execution", move |batch| executions::forget(batch.connection, &id)))?;
    Ok(None)
}

/// GetEntitySequence: entities in the order in which they can be loaded, those that others refer to first.
pub(super) fn entity_sequence(request: &Request<'_>) -> Given {
    let live = request.appliance.live();
    let mut levels: HashMap<&str, usize> = HashMap::new();
    let mut named = Vec::new();
    for label in request.needed("listOfDataEntities")?.split(',').map(str::trim).filter(|label| !label.is_empty()) {
        let Some(entity) = live.config.entity(label) else {
            return Err(request.refuse(400, &format!("Entity {label} does not exist in the target environment")));
        };
        if !named.iter().any(|other: &&std::sync::Arc<crate::model::entity::Entity>| other.name == entity.name) {
            named.push(entity);
        }
    }
    // As many rounds as there are entities: two that refer to each other stay where they are.
    for _ in 0..named.len() {
        for entity in &named {
            let before = entity
                .fields
                .iter()
                .filter_map(|field| live.config.entity(field.references.as_deref()?))
                .filter(|other| other.name != entity.name);
            let level = before.filter_map(|other| levels.get(other.name.as_str())).max().map_or(1, |level| level + 1);
            if level <= named.len() {
                levels.insert(&entity.name, level);
            }
        }
    }
    named.sort_by_key(|entity| levels.get(entity.name.as_str()).copied().unwrap_or(1));
    let list: Vec<Value> = named
        .iter()
        .enumerate()
        .map(|(at, entity)| json!({ "EntityName": entity.name, "ExecutionUnit": 1, "LevelInExecutionUnit": levels.get(entity.name.as_str()), "SequenceInLevel": at + 1 }))
        .collect();
    text(Value::Array(list).to_string())
}

/// ResetVersionToken: the next export of each job of the project holds all of the entity again; `false` when the project has no such entity.
pub(super) fn reset_version_token(request: &Request<'_>) -> Given {
    let Chosen { job, made } = request.project(request.needed("definitionGroupId")?, Direction::Export)?;
    let Some(entity) = job.project.entity(request.needed("entityName")?).map(|of| of.entity.name.clone()) else {
        return Ok(Some((BOOLEAN, json!(false))));
    };
    let live = request.appliance.live();
    let mut activities: Vec<_> =
        live.config.jobs.iter().filter(|other| other.project.name == job.project.name).map(|other| other.activity_id).collect();
    // And what this client fetches by the package API.
    activities.push(increments::package_consumer(request.caller.id, made.as_ref().map_or(&job.project.name, |made| &made.name)));
    request.stored(request.appliance.store.write("reset the watermark", move |batch| {
        activities.iter().try_for_each(|activity| increments::reset(batch.connection, *activity, Some(&entity)))
    }))?;
    Ok(Some((BOOLEAN, json!(true))))
}
