//! `/`: how things stand, what needs attention, all jobs.

use std::sync::Arc;

use serde_json::{Value, json};

use super::{Failed, page};
use crate::appliance::Appliance;
use crate::http::Answer;
use crate::http::attention;
use crate::http::operator::{self, stored};
use crate::http::pages::session::Visitor;
use crate::model::state::MessageState;
use crate::store::messages::{self, Selection};

/// Messages of the attention list; the rest is a page of its own.
const ATTENTION_MAX: u32 = 8;
/// Above this many the tile says "100+".
const COUNTED_MAX: u32 = 100;

pub fn show(appliance: &Arc<Appliance>, visitor: &Visitor) -> Result<Answer, Failed> {
    let live = appliance.live();
    let mut jobs = Vec::with_capacity(live.config.jobs.len());
    let (mut waiting, mut working, mut loaded, mut refused) = (0, 0, 0, 0);
    for job in &live.config.jobs {
        let mut value = operator::job_json(appliance, job)?;
        let of = |state: MessageState| value["states"][state.name()].as_u64().unwrap_or(0);
        let own_waiting = of(MessageState::Queued) + of(MessageState::Enqueued);
        let own_working = of(MessageState::Processing) + of(MessageState::Dequeued) + of(MessageState::Downloaded);
        waiting += own_waiting;
        working += own_working;
        loaded += value["rows_loaded"].as_u64().unwrap_or(0);
        refused += value["rows_refused"].as_u64().unwrap_or(0);
        value["waiting"] = json!(own_waiting);
        value["working"] = json!(own_working);
        value["next_run"] = value["next_runs"].get(0).cloned().unwrap_or(Value::Null);
        jobs.push(value);
    }
    let selection = Selection { attention: true, limit: COUNTED_MAX, ..Selection::default() };
    let attention = stored(appliance.store.read("list what needs attention", |connection| messages::list(connection, &selection)))?;
    let shown: Vec<Value> =
        attention.iter().take(ATTENTION_MAX as usize).map(|message| operator::message_json(appliance, message)).collect();
    let failing = attention::failing(appliance, None)?.json();
    page(
        200,
        "workspace_show.html",
        json!({
            "user": visitor.context(), "jobs": jobs, "attention": shown, "failing": failing, "messages_count": attention.len(),
            "attention_count": attention.len() + failing["count"].as_u64().unwrap_or(0) as usize, "attention_more": attention.len() >= COUNTED_MAX as usize,
            "waiting": waiting, "working": working, "rows_loaded": loaded, "rows_refused": refused,
        }),
    )
}
