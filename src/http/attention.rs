//! What needs a person and is no message: exports that fail.

use std::time::Duration;

use serde_json::{Value, json};

use super::Answer;
use super::operator::stored;
use crate::appliance::Appliance;
use crate::model::id::ActivityId;
use crate::model::job::Job;
use crate::model::project::Direction;
use crate::model::retry;
use crate::store::jobs::{self, JobRecord};
use crate::store::{StoreError, executions};

/// An export that a client did not get is shown for so long: who asks each night is seen each night, and a slip goes away by itself.
const EXPORT_SHOWN: Duration = Duration::from_secs(24 * 3600);

/// Exports that fail.
#[derive(Default)]
pub(super) struct Failing {
    /// Enabled jobs whose latest export failed, and is not about to be tried again: no message tells of them.
    pub jobs: Vec<Value>,
    /// What clients asked for in the last day and did not get, each client's newest of a project.
    pub exports: Vec<Value>,
}

impl Failing {
    /// For a page.
    pub fn json(&self) -> Value {
        json!({ "jobs": self.jobs, "exports": self.exports, "count": self.jobs.len() + self.exports.len() })
    }
}

/// All exports that fail, or those of one job.
pub(super) fn failing(appliance: &Appliance, only: Option<ActivityId>) -> Result<Failing, Answer> {
    let (live, now) = (appliance.live(), appliance.clock.now());
    let mut failing = Failing::default();
    for job in live.config.jobs.iter().filter(|job| job.enabled && only.is_none_or(|only| only == job.activity_id)) {
        let record = stored(appliance.store.read("read the job", |connection| jobs::find(connection, job.activity_id)))?;
        if let Some(JobRecord { failure: Some(failure), next_try_at, .. }) = record
            && (next_try_at.is_none() && !appliance.dispatch.is_exporting(job.activity_id) || failure.since <= now.minus(retry::UNSEEN))
        {
            failing.jobs.push(json!({ "activity_id": job.activity_id, "name": job.name, "failure": failure }));
        }
        failing.exports.extend(stored(exports(appliance, job))?.into_iter().map(|export| {
            let application = export.application_id.and_then(|id| live.config.application(id)).map(|application| &application.name);
            json!({ "execution_id": export.id, "activity_id": job.activity_id, "job": job.name, "project": export.project, "application": application,
                "application_id": export.application_id, "at": export.at, "reason": export.reason, "next_try_at": export.next_try_at })
        }));
    }
    Ok(failing)
}

/// What clients asked for through a job in the last day and did not get, each client's newest of a project.
pub(super) fn exports(appliance: &Appliance, job: &Job) -> Result<Vec<executions::Failing>, StoreError> {
    if job.project.direction == Direction::Import {
        return Ok(Vec::new());
    }
    let since = appliance.clock.now().minus(EXPORT_SHOWN);
    appliance.store.read("read what clients asked for", |connection| executions::failing(connection, job.activity_id, since))
}
