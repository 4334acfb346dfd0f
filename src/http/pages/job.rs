//! `/jobs/<activity id>`: one recurring data job: where clients send to, when it runs, its load, its messages.

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};

use super::{Failed, chart, notice, page, template};
use crate::appliance::Appliance;
use crate::http::operator::{self, stored};
use crate::http::pages::session::Visitor;
use crate::http::{Answer, Call};
use crate::model::job::{Job, Recurrence};
use crate::model::project::Direction;
use crate::store::jobs;

/// The chart and its table look back this far.
const LOAD_SHOWN: Duration = Duration::from_secs(24 * 3600);
/// Samples read for it: one a minute.
const SAMPLES_MAX: u32 = 1440;
/// Messages of one page of the grid.
const GRID_ROWS: u32 = 25;

pub fn show(appliance: &Arc<Appliance>, call: &Call, visitor: &Visitor, id: &str) -> Result<Answer, Failed> {
    let job = operator::find_job(appliance, id)?;
    let now = appliance.clock.now();
    let samples = stored(appliance.store.read("read the load", |connection| jobs::load_samples(connection, job.activity_id, SAMPLES_MAX)))?;
    let samples: Vec<_> = samples.into_iter().filter(|sample| now.since(sample.at) < LOAD_SHOWN).collect();
    let grid = super::message::grid(appliance, call, Some(&job), GRID_ROWS)?;
    let live = appliance.live();
    let applications: Vec<Value> = job
        .applications
        .iter()
        .map(|id| match live.config.application(*id) {
            Some(application) => json!({ "id": id, "name": application.name, "enabled": application.enabled }),
            None => json!({ "id": id, "name": "not in the configuration", "enabled": false }),
        })
        .collect();
    page(
        200,
        "job_show.html",
        json!({
            "user": visitor.context(), "notice": notice(call), "job": operator::job_json(appliance, &job)?, "runs": runs(appliance, &job),
            "endpoints": endpoints(&live.config.server.public_url, &job), "applications": applications,
            "entities": job.project.entities.iter().map(|of| json!({ "name": of.entity.name, "format": of.format.name() })).collect::<Vec<_>>(),
            "chart": chart::load(&samples, now), "load": chart::hours(&samples), "sampled": job.monitoring_recurrence.is_some(), "grid": grid,
            "here": format!("/jobs/{}", job.activity_id),
        }),
    )
}

/// The next five runs, in the job's zone and in UTC.
fn runs(appliance: &Appliance, job: &Job) -> Vec<Value> {
    match &job.recurrence {
        Recurrence::Schedule(schedule) => schedule
            .next_n(appliance.clock.now(), 5)
            .into_iter()
            .map(|at| json!({ "at": at, "local": template::in_zone(at, schedule.zone()), "zone": schedule.zone().name() }))
            .collect(),
        Recurrence::OnArrival | Recurrence::OnDemand => Vec::new(),
    }
}

/// What a client calls, as lines for a shell; `$TOKEN` is its access token.
fn endpoints(base: &str, job: &Job) -> Vec<Value> {
    let id = job.activity_id;
    let bearer = "-H \"Authorization: Bearer $TOKEN\"";
    let line = |what: &str, method: &str, address: String, curl: String| json!({ "what": what, "method": method, "address": address, "curl": curl });
    if job.project.direction == Direction::Import {
        let entity = job.project.entities.first().map(|of| super::encode(&of.entity.name)).unwrap_or_default();
        let enqueue = format!("{base}/api/connector/enqueue/{id}?entity={entity}");
        let status = format!("{base}/api/connector/jobstatus/{id}?jobId=$MESSAGE");
        vec![
            line("Send a document", "POST", enqueue.clone(), format!("curl {bearer} --data-binary @FILE \"{enqueue}\"")),
            line("Ask what became of it", "GET", status.clone(), format!("curl {bearer} \"{status}\"")),
        ]
    } else {
        let dequeue = format!("{base}/api/connector/dequeue/{id}");
        let ack = format!("{base}/api/connector/ack/{id}");
        vec![
            line("Take the oldest message", "GET", dequeue.clone(), format!("curl {bearer} -o dequeued.json \"{dequeue}\"")),
            line(
                "Confirm it",
                "POST",
                ack.clone(),
                format!("curl {bearer} -H \"Content-Type: application/json\" -d @dequeued.json \"{ack}\""),
            ),
        ]
    }
}
