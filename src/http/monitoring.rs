//! What monitoring asks: `/readyz` and `/metrics`.

use std::fmt::Write;
use std::sync::Arc;

use super::connector::failed;
use super::{Answer, Call, attention};
use crate::appliance::Appliance;
use crate::model::project::Direction;
use crate::store::{jobs, messages};

/// Ready when the queue can be read.
pub fn ready(appliance: &Arc<Appliance>, call: Call) {
    let answer = match appliance.store.read("read the queue", messages::next_due) {
        Ok(_) if !appliance.is_stopping() => Answer::text(200, "text/plain; charset=utf-8", "ready\n"),
        Ok(_) => Answer::refuse(503, "the appliance is stopping", "wait for the next start"),
        Err(error) => failed(&error),
    };
    call.answer(answer);
}

/// Prometheus text format 0.0.4.
pub fn metrics(appliance: &Arc<Appliance>, call: Call) {
    let mut text = String::from("# HELP entrepot_messages Messages of a job by state.\n# TYPE entrepot_messages gauge\n");
    let mut totals = String::new();
    for job in &appliance.live().config.jobs {
        let Ok(Some(record)) = appliance.store.read("read the job", |connection| jobs::find(connection, job.activity_id)) else { continue };
        let label = job.name.replace('\\', "\\\\").replace('"', "\\\"");
        for (state, count) in &record.states {
            let _ = writeln!(text, "entrepot_messages{{job=\"{label}\",state=\"{state}\"}} {count}");
        }
        let failing = u8::from(job.enabled && record.failure.is_some());
        let _ = writeln!(totals, "entrepot_job_failing{{job=\"{label}\"}} {failing}");
        if let (Direction::Export, Ok(exports)) = (job.project.direction, attention::exports(appliance, job)) {
            let _ = writeln!(totals, "entrepot_exports_failing{{job=\"{label}\"}} {}", exports.len());
        }
        for (name, value) in [
            ("messages_arrived", record.arrived),
            ("messages_finished", record.finished),
            ("rows_loaded", record.rows_loaded),
            ("rows_refused", record.rows_refused),
        ] {
            let _ = writeln!(totals, "entrepot_{name}_total{{job=\"{label}\"}} {value}");
        }
    }
    for (name, value) in appliance.edge.get().map(|edge| edge.counters().list()).unwrap_or_default() {
        let _ = writeln!(totals, "entrepot_edge_{name} {value}");
    }
    let commits = appliance.store.commits();
    let _ = write!(text, "{totals}entrepot_store_commits_total {}\nentrepot_store_steps_total {}\n", commits.rounds, commits.steps);
    call.answer(Answer::text(200, "text/plain; version=0.0.4", text));
}
