//! `/messages` and `/messages/<id>`: the grid, and one message with its timeline and its findings beside their rows.

use std::sync::Arc;

use serde_json::{Value, json};

use super::{Failed, beside, encode, notice, page};
use crate::appliance::Appliance;
use crate::document::refused;
use crate::http::attention::{self, Failing};
use crate::http::operator::{self, stored};
use crate::http::pages::session::Visitor;
use crate::http::{Answer, Call};
use crate::model::execution::STAGING_STATUSES;
use crate::model::job::Job;
use crate::model::message::PayloadPlace;
use crate::model::project::Direction;
use crate::model::state::{MESSAGE_STATES, MessageState};
use crate::store::{executions, messages};

/// Messages of one page of `/messages`.
const LIST_ROWS: u32 = 50;
/// Staged rows of one page.
const STAGED_ROWS: u32 = 50;
/// Findings of one page.
const FINDINGS_MAX: u32 = 50;

/// A page of messages, with what the template needs to filter and to go on.
pub fn grid(appliance: &Appliance, call: &Call, job: Option<&Job>, rows: u32) -> Result<Value, Answer> {
    let mut selection = operator::selection(appliance, call)?;
    selection.limit = rows;
    if let Some(job) = job {
        selection.activity_id = Some(job.activity_id);
    }
    let list = stored(appliance.store.read("list messages", |connection| messages::list(connection, &selection)))?;
    let mut kept: Vec<String> = Vec::new();
    if let Some(state) = selection.state {
        kept.push(format!("state={}", state.name()));
    }
    if selection.attention {
        kept.push("attention=1".into());
    }
    if let (None, Some(activity)) = (job, selection.activity_id) {
        kept.push(format!("job={activity}"));
    }
    let failing = if selection.attention { attention::failing(appliance, selection.activity_id)? } else { Failing::default() };
    let older = list.last().filter(|_| list.len() == rows as usize).map(|last| {
        let mut query = kept.clone();
        query.push(format!("before={}", last.id));
        query.join("&")
    });
    let states: Vec<Value> = MESSAGE_STATES
        .into_iter()
        .filter(|state| job.is_none_or(|job| belongs(*state, job.project.direction)))
        .map(|state| json!({ "name": state.name(), "chosen": selection.state == Some(state) }))
        .collect();
    Ok(json!({
        "messages": list.iter().map(|message| operator::message_json(appliance, message)).collect::<Vec<_>>(),
        "states": states, "state": selection.state, "attention": selection.attention, "job": selection.activity_id, "paged": selection.before.is_some(),
        "failing": failing.json(), "newest": kept.join("&"), "older": older, "of_one_job": job.is_some(),
    }))
}

/// Whether messages of this direction can be in this state.
fn belongs(state: MessageState, direction: Direction) -> bool {
    use MessageState::*;
    match state {
        Cancelled => true,
        Enqueued | Dequeued | Downloaded | Acked => direction == Direction::Export,
        Queued | Processing | Processed | ProcessedWithErrors | Refused | Failed => direction == Direction::Import,
    }
}

pub fn list(appliance: &Arc<Appliance>, call: &Call, visitor: &Visitor) -> Result<Answer, Failed> {
    let grid = grid(appliance, call, None, LIST_ROWS)?;
    let jobs: Vec<Value> =
        appliance.live().config.jobs.iter().map(|job| json!({ "activity_id": job.activity_id, "name": job.name })).collect();
    page(200, "message_list.html", json!({ "user": visitor.context(), "grid": grid, "jobs": jobs, "here": "/messages" }))
}

pub fn show(appliance: &Arc<Appliance>, call: &Call, visitor: &Visitor, id: &str) -> Result<Answer, Failed> {
    let message = operator::find_message(appliance, id)?;
    let from: u64 = call.query("from").and_then(|from| from.parse().ok()).unwrap_or(0);
    let timeline = stored(appliance.store.read("read the timeline", |connection| messages::timeline(connection, message.id)))?;
    let (mut execution, mut found) = (None, Vec::new());
    if let Some(id) = &message.execution_id {
        execution = stored(appliance.store.read("find the execution", |connection| executions::find(connection, &id.0)))?;
        found = stored(appliance.store.read("read findings", |connection| executions::findings(connection, &id.0, from, FINDINGS_MAX)))?;
    }
    let more = found.last().filter(|_| found.len() == FINDINGS_MAX as usize).map(|(ordinal, _)| ordinal + 1);
    let more = more.filter(|next| *next < message.findings);
    let rows = beside::rows(appliance, &message, &found);
    let findings: Vec<Value> = found
        .iter()
        .map(|(ordinal, finding)| {
            let mut value = json!(finding);
            value["number"] = json!(ordinal + 1);
            let row = rows.get(ordinal);
            let (cells, concerned) = row.map(|row| row.cells(finding)).unwrap_or_default();
            value["within"] = json!(row.and_then(|row| row.within(finding)));
            value["value_beside"] = json!(concerned);
            value["cells"] = Value::Array(cells);
            value
        })
        .collect();
    let kept = message.place != PayloadPlace::Pruned;
    let live = appliance.live();
    let project_entity = live.config.job(message.activity_id).and_then(|job| job.project.entity(&message.entity));
    let transforms = project_entity.is_some_and(|of| !of.transform.is_empty());
    let accepts_mended = project_entity.is_some_and(|of| of.accepts_mended && refused::can_be_told(&of.format));
    let transformed: Vec<String> = operator::transformed_kept(appliance, &message)?.into_iter().map(|(entity, _)| entity).collect();
    let state = message.state;
    let actions = json!({
        "replay": message.direction == Direction::Import && state.is_final() && kept,
        "release": matches!(state, MessageState::Dequeued | MessageState::Downloaded | MessageState::Acked) && kept,
        "cancel": state.can_become(MessageState::Cancelled),
    });
    let application =
        message.application_id.map(|id| appliance.live().config.application(id).map_or(id.to_string(), |known| known.name.clone()));
    let timeline: Vec<Value> =
        timeline.iter().map(|event| json!({ "at": event.at, "event": event.event, "detail": event.detail })).collect();
    let steps =
        execution.map(|execution| json!({ "wait_ms": execution.wait_ms, "parse_ms": execution.parse_ms, "load_ms": execution.load_ms }));
    page(
        200,
        "message_show.html",
        json!({
            "user": visitor.context(), "notice": notice(call), "message": operator::message_json(appliance, &message), "application": application,
            "entities": operator::entities_json(appliance, &message)?,
            "timeline": timeline, "steps": steps, "findings": findings, "findings_next": more, "findings_from": from, "actions": actions,
            "transformed": transformed, "transforms": transforms, "accepts_mended": accepts_mended, "staging": operator::staging_kept(appliance, &message)?,
            "ended": state.is_final(), "here": format!("/messages/{}", encode(&message.id.to_string())),
        }),
    )
}

/// The rows of a message as they were staged.
pub fn staging(appliance: &Arc<Appliance>, call: &Call, visitor: &Visitor, id: &str) -> Result<Answer, Failed> {
    let message = operator::find_message(appliance, id)?;
    let staging = operator::staging(appliance, &message, call, STAGED_ROWS)?;
    let status = call.query("status").unwrap_or_default();
    let statuses: Vec<Value> = STAGING_STATUSES
        .into_iter()
        .map(|known| json!({ "name": known.name(), "chosen": known.name().eq_ignore_ascii_case(status) }))
        .collect();
    let rows: Vec<Value> = staging["rows"]
        .as_array()
        .into_iter()
        .flatten()
        .map(|row| {
            let values = row["values"].as_object().into_iter().flatten();
            let blank = row["record"].is_string() && values.clone().all(|(_, value)| value.is_null());
            let cells: Vec<Value> = values
                .map(|(field, value)| json!({ "column": field, "value": value.as_str().map(beside::cut).unwrap_or_default() }))
                .collect();
            json!({ "row": row["row"], "line": row["line"], "status": row["status"], "reason": row["reason"],
                "cells": if blank { Vec::new() } else { cells }, "record": row["record"].as_str().map(beside::cut) })
        })
        .collect();
    let here = format!("/messages/{}", encode(&message.id.to_string()));
    let entity = staging["entity"].as_str().unwrap_or_default();
    let kept = format!("entity={}&status={}", encode(entity), encode(status));
    page(
        200,
        "message_staging.html",
        json!({
            "user": visitor.context(), "message": operator::message_json(appliance, &message), "here": here, "entity": entity,
            "entities": staging["entities"], "statuses": statuses, "rows": rows, "next": staging["next"], "kept": kept,
            "from": call.query("after").is_some(),
        }),
    )
}
