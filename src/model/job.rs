//! Recurring data jobs: a project, its recurrence, and the applications that may use it.

use std::sync::Arc;

use super::id::{ActivityId, ApplicationId};
use super::message::Content;
use super::project::{Project, Refresh};
use crate::recurrence::Schedule;

/// A recurring data job.
#[derive(Clone, Debug)]
pub struct Job {
    /// Its name, unique.
    pub name: String,
    /// The client's address for it, unique.
    pub activity_id: ActivityId,
    /// What it runs.
    pub project: Arc<Project>,
    /// Import: what its messages are.
    pub accepts: Content,
    /// Who may enqueue to it or dequeue from it.
    pub applications: Vec<ApplicationId>,
    /// A disabled job neither runs nor accepts.
    pub enabled: bool,
    /// When it runs.
    pub recurrence: Recurrence,
    /// When its queue is sampled; `None` for never.
    pub monitoring_recurrence: Option<Schedule>,
    /// Process its messages one after the other, in the order they came.
    pub in_order: bool,
    /// The legal entity of its messages.
    pub company: Company,
    /// An export of no rows makes no message.
    pub prevent_upload_when_zero_records: bool,
}

impl Job {
    /// Whether it exports only what changed.
    pub fn is_incremental(&self) -> bool {
        self.project.entities.iter().any(|entity| entity.refresh != Refresh::Full)
    }

    /// The legal entity of what a client asks for by the package API, where it always names one: the job's own, if it has one, before the client's.
    pub fn company_of_package(&self, named: Option<&str>) -> Option<String> {
        match &self.company {
            Company::Fixed(company) => Some(company.clone()),
            Company::None | Company::FromMessage => named.map(str::to_owned).filter(|company| !company.is_empty()),
        }
    }

    /// How it recurs, as texts that change when that does.
    pub fn recurs(&self) -> Recurs {
        match &self.recurrence {
            Recurrence::Schedule(schedule) => Recurs {
                when: format!("{schedule} {} {:?}", schedule.zone(), schedule.start()),
                bounds: if self.enabled { format!("{:?} {:?}", schedule.end(), schedule.count()) } else { "never".into() },
            },
            _ => Recurs::default(),
        }
    }
}

/// How a job recurs, to be compared with how it did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Recurs {
    /// When. In another recurrence runs count from the first.
    pub when: String,
    /// Until when and how often; never while it is disabled. Runs go on counting where this changes.
    pub bounds: String,
}

/// When a job runs.
#[derive(Clone, Debug)]
pub enum Recurrence {
    /// As soon as there is a message (import).
    OnArrival,
    /// By schedule.
    Schedule(Schedule),
    /// Only when told to, by command or API.
    OnDemand,
}

/// Where a message's legal entity comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Company {
    /// None is kept.
    None,
    /// Always this one.
    Fixed(String),
    /// The `company` of the request.
    FromMessage,
}
