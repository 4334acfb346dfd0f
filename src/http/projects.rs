//! The data projects that an application may run: those of the configuration that a job of its own names, and those that it made itself by the package
//! API (CONTRACT §1.6, §1.7). One that it made is a name for some entities of one of the former: it adds no right, and needs no job.

use std::sync::Arc;

use crate::appliance::Live;
use crate::config::Application;
use crate::model::job::Job;
use crate::model::project::Direction;
use crate::store::made_projects::MadeProject;

/// The enabled jobs that name an application, of one direction.
pub fn jobs<'a>(live: &'a Live, caller: &'a Application, direction: Direction) -> impl Iterator<Item = &'a Arc<Job>> {
    live.config.jobs.iter().filter(move |job| job.enabled && job.project.direction == direction && job.applications.contains(&caller.id))
}

/// The job behind a project that has these entities: the first in the file whose project has them all.
pub fn behind(live: &Live, caller: &Application, direction: Direction, entities: &[String]) -> Option<Arc<Job>> {
    let all = |job: &&Arc<Job>| !entities.is_empty() && entities.iter().all(|label| job.project.entity(label).is_some());
    jobs(live, caller, direction).find(all).cloned()
}

/// Why there is no job behind a project, for the client.
pub fn why_nothing(live: &Live, caller: &Application, direction: Direction, name: &str, entities: &[String]) -> String {
    if entities.is_empty() {
        return format!("The data project '{name}' has no entities yet");
    }
    let unknown = entities.iter().find(|label| !jobs(live, caller, direction).any(|job| job.project.entity(label).is_some()));
    match unknown {
        Some(label) => unknown_entity(label, direction),
        None => format!(
            "no {} project of the configuration has all entities of '{name}' ({}); an operator can put them into one",
            direction.name(),
            entities.join(", ")
        ),
    }
}

/// The words of the real system, and ours.
pub fn unknown_entity(label: &str, direction: Direction) -> String {
    format!(
        "Entity {label} does not exist in the target environment: no enabled {} job that names this application has it",
        direction.name()
    )
}

/// The member OperationType of the real system (CONTRACT §1.7).
pub fn operation(direction: Direction) -> &'static str {
    match direction {
        Direction::Import => "Import",
        Direction::Export => "Export",
    }
}

/// What a client chose.
pub struct Chosen {
    /// The job through which it runs.
    pub job: Arc<Job>,
    /// The project of the client's own that was meant; `None` for one of the configuration.
    pub made: Option<MadeProject>,
}
