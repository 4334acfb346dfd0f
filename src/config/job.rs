//! `[[job]]`: activity id, applications, recurrences.

use std::collections::HashMap;
use std::sync::Arc;

use chrono::NaiveDateTime;
use chrono_tz::Tz;

use super::Application;
use super::entity::no_field;
use super::problem::suggest;
use super::project::{read_condition, warn_of_deletes};
use super::section::Section;
use crate::model::id::{ActivityId, ApplicationId};
use crate::model::job::{Company, Job, Recurrence};
use crate::model::mapping::Source;
use crate::model::message::Content;
use crate::model::project::{Direction, Project, Refresh};
use crate::recurrence::Schedule;

pub(super) fn read_jobs(root: &Section<'_>, projects: &[Arc<Project>], applications: &[Application]) -> Vec<Arc<Job>> {
    let mut jobs: Vec<Arc<Job>> = Vec::new();
    let mut seen: HashMap<ActivityId, String> = HashMap::new();
    for section in root.sections("job") {
        let name = section.name("name");
        let activity_id = section.guid::<ActivityId>("activity_id");
        let project = section.name("project").and_then(|name| {
            let found = projects.iter().find(|project| project.name == name);
            if found.is_none() {
                let names = projects.iter().map(|project| project.name.as_str());
                section.not_found("project", "project", &name, format!("there is no project \"{name}\""), names);
            }
            found.cloned()
        });
        let accepts = match section.text("accepts").as_deref() {
            None | Some("file") => Content::File,
            Some("package") => Content::Package,
            Some(other) => {
                section.problem("accepts", format!("\"{other}\" is not understood"), "write file or package");
                Content::File
            }
        };
        if accepts == Content::Package && project.as_ref().is_some_and(|project| project.direction == Direction::Export) {
            section.warning("accepts", "this has no effect", "an export always makes packages");
        }
        let project = read_filter(&section, project);
        let mut allowed = Vec::new();
        let given = section.texts("applications");
        let none = if section.has("applications") { given.as_ref().is_some_and(Vec::is_empty) } else { true };
        for given in given.unwrap_or_default() {
            let found = applications
                .iter()
                .find(|application| given.parse().is_ok_and(|id: ApplicationId| id == application.id) || application.name == given);
            match found {
                Some(application) => allowed.push(application.id),
                None => {
                    let names = || applications.iter().map(|application| application.name.as_str());
                    let hint = match suggest(&given, names()) {
                        near if near.starts_with("did") => near,
                        known => format!("{known}; entrepot app add makes one"),
                    };
                    if !section.knows_broken("application", &given) {
                        section.problem("applications", format!("there is no application \"{given}\""), hint);
                    }
                }
            }
        }
        if none {
            section.warning("applications", "no application may use this job", "name one in applications = [\"…\"]");
        }
        let enabled = section.boolean("enabled", true);
        let recurrence = read_recurrence(&section, project.as_deref());
        let monitoring_recurrence =
            section.has("monitoring_recurrence").then(|| read_schedule(&section, "monitoring_recurrence")).flatten();
        section.misplaced(
            "time_zone",
            "it belongs into the recurrence",
            "recurrence = { cron = \"0 6 * * *\", time_zone = \"Europe/Berlin\" }",
        );
        section.misplaced("cron", "it is called recurrence here", "recurrence = \"0 6 * * *\"");
        let in_order = section.boolean("in_order", false);
        let company = match section.text("company") {
            None => Company::None,
            Some(text) if text == "message" => Company::FromMessage,
            Some(text) => Company::Fixed(text),
        };
        if let (Company::None, Some((entity, field))) = (&company, project.as_deref().and_then(filled_by_company)) {
            section.warning(
                "company",
                format!("the mapping of \"{entity}\" fills {field} with the legal entity of the message, and this job takes none"),
                "company = \"message\" takes the one that the client names, any other text is the one of all its messages",
            );
        }
        let prevent_upload_when_zero_records = section.boolean("prevent_upload_when_zero_records", false);
        if let (Some(name), Some(activity_id), Some(project)) = (name, activity_id, project) {
            if let Some(other) = seen.insert(activity_id, name.clone()) {
                section.problem("activity_id", format!("the job \"{other}\" has this activity id too"), "make a new GUID");
            }
            if jobs.iter().any(|other| other.name == name) {
                section.problem("name", format!("there is another job \"{name}\""), "give one of them another name");
            }
            if let Some(first) = shadowing(&jobs, &project, &allowed).filter(|_| enabled) {
                section.warning(
                    "applications",
                    format!(
                        "packages and rows that an application asks for itself follow the filter of the first of its jobs, \"{}\"",
                        first.name
                    ),
                    "make a project for each filter, or an application for each job; what is queued for a job follows its own",
                );
            }
            jobs.push(Arc::new(Job {
                name,
                activity_id,
                project,
                accepts,
                applications: allowed,
                enabled,
                recurrence: recurrence.unwrap_or(Recurrence::OnDemand),
                monitoring_recurrence,
                in_order,
                company,
                prevent_upload_when_zero_records,
            }));
        }
        section.finish();
    }
    jobs
}

/// An entity and a field of it that an import fills with the legal entity of the message.
fn filled_by_company(project: &Project) -> Option<(&str, &str)> {
    let parts = project.entities.iter().flat_map(|part| std::iter::once(part).chain(part.nested.iter().map(|one| &one.project_entity)));
    let mut lines = parts.flat_map(|part| part.mapping.iter().map(|line| (&*part.entity, line)));
    let (entity, line) = lines.find(|(_, line)| line.source == Source::Company)?;
    Some((&entity.name, &entity.fields[line.field].name))
}

/// The first job that exports the same project for one of these applications, when its filter is another.
fn shadowing<'j>(jobs: &'j [Arc<Job>], project: &Project, applications: &[ApplicationId]) -> Option<&'j Job> {
    let is_theirs = |job: &&Arc<Job>| {
        job.enabled && job.project.name == project.name && job.applications.iter().any(|application| applications.contains(application))
    };
    let first = jobs.iter().find(is_theirs).filter(|_| project.direction == Direction::Export)?;
    let mut pairs = first.project.entities.iter().zip(&project.entities);
    pairs.any(|(one, other)| one.filter != other.filter).then_some(first)
}

/// The project with the conditions of the job's own: two jobs may send different rows of one project.
fn read_filter(section: &Section<'_>, project: Option<Arc<Project>>) -> Option<Arc<Project>> {
    let conditions = section.sections("filter");
    if conditions.is_empty() {
        return project;
    }
    let mut narrowed = project.as_deref().cloned();
    let known = narrowed.is_some();
    if narrowed.as_ref().is_some_and(|project| project.direction == Direction::Import) {
        section.problem("filter", "an import has no filter", "a condition on columns is when, in the mapping");
    }
    for condition in conditions {
        let (label, name) = (condition.text("entity"), condition.name("field"));
        let found = narrowed.as_mut().and_then(|project| match &label {
            Some(label) => project.entities.iter_mut().find(|one| one.entity.is_called(label)),
            None => Some(&mut project.entities).filter(|entities| entities.len() == 1).and_then(|entities| entities.first_mut()),
        });
        match (found, name) {
            (Some(one), Some(_)) if one.entity.unread.is_some() => condition.pass_over(),
            (Some(one), Some(name)) => match one.entity.field(&name) {
                Some(field) => {
                    let read = read_condition(&condition, field, &one.entity.fields[field]);
                    if one.refresh == (Refresh::Incremental { deletes: true }) {
                        read.iter().for_each(|read| warn_of_deletes(&condition, "field", &one.entity, read));
                    }
                    one.filter.extend(read);
                }
                None => {
                    no_field(&condition, "field", &one.entity, &name);
                    condition.pass_over();
                }
            },
            (None, _) if known => {
                condition.problem(
                    "entity",
                    "it does not say which entity of the project it is for",
                    "add entity = \"…\", one of the project's",
                );
                condition.pass_over();
            }
            _ => condition.pass_over(),
        }
        condition.finish();
    }
    narrowed.map(Arc::new)
}

fn read_recurrence(section: &Section<'_>, project: Option<&Project>) -> Option<Recurrence> {
    let import = project.is_some_and(|project| project.direction == Direction::Import);
    match section.item("recurrence") {
        None if import => Some(Recurrence::OnArrival),
        None => Some(Recurrence::OnDemand),
        Some(item) => match item.as_str() {
            Some("on demand") => Some(Recurrence::OnDemand),
            Some("on arrival") if project.is_some() && !import => {
                section.problem("recurrence", "nothing arrives at an export", "write a cron text, or \"on demand\"");
                None
            }
            Some("on arrival") => Some(Recurrence::OnArrival),
            _ => read_schedule(section, "recurrence").map(Recurrence::Schedule),
        },
    }
}

fn read_schedule(section: &Section<'_>, name: &'static str) -> Option<Schedule> {
    let made = |section: &Section<'_>, key: &str, cron: &str, zone, start, end, count| match Schedule::new(cron, zone, start, end, count) {
        Ok(schedule) => Some(schedule),
        Err(problem) => {
            section.problem(key, problem.message, problem.hint);
            None
        }
    };
    if section.item(name)?.is_str() {
        return made(section, name, &section.text(name)?, Tz::UTC, None, None, None);
    }
    let inner = section.section(name)?;
    let cron = inner.name("cron");
    let zone = inner.zone("time_zone").unwrap_or(Tz::UTC);
    let time = |key: &'static str| {
        let item = inner.item(key)?;
        let time = item.as_datetime().and_then(|at| {
            let text = at.to_string();
            NaiveDateTime::parse_from_str(&text, "%Y-%m-%dT%H:%M:%S")
                .ok()
                .or_else(|| NaiveDateTime::parse_from_str(&format!("{text}T00:00:00"), "%Y-%m-%dT%H:%M:%S").ok())
        });
        if time.is_none() {
            inner.problem(key, "this is no local date and time", "write 2026-12-01T00:00:00, without offset: it is read in time_zone");
        }
        time
    };
    let (start, end) = (time("start"), time("end"));
    let count = inner.integer("count", 0..=i64::MAX).map(i64::unsigned_abs);
    let schedule = cron.and_then(|cron| made(&inner, "cron", &cron, zone, start, end, count));
    inner.finish();
    schedule
}
