//! Data projects made and removed by clients: POST and DELETE on `DataManagementDefinitionGroups` and their details (CONTRACT §1.7). Scripts make a
//! project, add an entity for each thing that they want, export it, and delete it.

use serde_json::{Map, Value};

use super::{Answer, Question, failed, object, refuse, sets};
use crate::http::actions::lax_object;
use crate::http::connector::JSON_MAX;
use crate::http::{Call, address, projects};
use crate::model::project::Direction;
use crate::store::StoreError;
use crate::store::made_projects::{self, MADE_MAX, MadeProject};

const GROUPS: &str = "DataManagementDefinitionGroups";
const DETAILS: &str = "DataManagementDefinitionGroupDetails";
/// The longest name of a project, in characters.
const NAME_MAX: usize = 200;
/// The longest description, in characters.
const DESCRIPTION_MAX: usize = 1000;
/// Entities of one project.
const ENTITIES_MAX: usize = 1000;

/// `POST` and `DELETE` below `/data`.
pub(super) fn change(question: &Question<'_>, call: &mut Call, set: &str, key: &[(Option<String>, String)]) -> Result<Answer, Answer> {
    let part = |at: usize, name: &str| {
        let named = key.iter().find(|(known, _)| known.as_deref().is_some_and(|known| known.eq_ignore_ascii_case(name)));
        named.or_else(|| key.get(at).filter(|(known, _)| known.is_none())).map(|(_, value)| value.as_str())
    };
    let is = |name: &str| set.eq_ignore_ascii_case(name);
    match call.method.as_str() {
        "POST" if key.is_empty() && is(GROUPS) => make(question, call),
        "POST" if key.is_empty() && is(DETAILS) => add_entity(question, call),
        "DELETE" if is(GROUPS) => match part(0, "Name") {
            Some(name) => remove(question, name),
            None => Err(refuse(400, "name the project to delete: DataManagementDefinitionGroups('NAME')")),
        },
        "DELETE" if is(DETAILS) => match (part(0, "DefinitionGroupId"), part(1, "EntityName")) {
            (Some(project), Some(entity)) => remove_entity(question, project, entity),
            _ => Err(refuse(400, "name project and entity: DataManagementDefinitionGroupDetails(DefinitionGroupId='…',EntityName='…')")),
        },
        _ => {
            Err(refuse(405, "of what is served here only data projects and their entities can be made and deleted; rows come in by import")
                .with("Allow", "GET, HEAD"))
        }
    }
}

fn body(call: &mut Call) -> Result<Map<String, Value>, Answer> {
    let body = call.small_body(JSON_MAX).map_err(|_| refuse(400, "the body ended early"))?;
    let body = body.ok_or_else(|| refuse(413, "the body is too large"))?;
    std::str::from_utf8(&body).ok().and_then(lax_object).ok_or_else(|| refuse(400, "the body is no JSON object"))
}

fn text<'a>(body: &'a Map<String, Value>, name: &str) -> Option<&'a str> {
    let value = body.iter().find(|(key, _)| key.eq_ignore_ascii_case(name))?.1.as_str()?;
    Some(value.trim()).filter(|value| !value.is_empty())
}

fn needed<'a>(body: &'a Map<String, Value>, name: &str, characters: usize) -> Result<&'a str, Answer> {
    let value = text(body, name).ok_or_else(|| refuse(400, &format!("the member {name} is missing")))?;
    if value.chars().count() > characters || value.chars().any(char::is_control) {
        return Err(refuse(400, &format!("{name} has at most {characters} characters, none of them a control character")));
    }
    Ok(value)
}

/// `201` with what was made, or `204` when the client wants nothing back (RFC 7240 §4.2).
fn created(question: &Question<'_>, call: &Call, set: &str, key: &str, member: Map<String, Value>) -> Answer {
    let place = format!("{}/data/{set}({key})", question.base);
    let quiet = call.header("Prefer").is_some_and(|prefer| prefer.to_ascii_lowercase().contains("return=minimal"));
    let mut answer = object(format!("{}/data/$metadata#{set}/$entity", question.base), member);
    answer.status = 201;
    answer.reason = "Created".into();
    let answer = if quiet { Answer::empty(204).with("OData-Version", "4.0").with("OData-EntityId", place.clone()) } else { answer };
    answer.with("Location", place)
}

/// A text within quotes in an address.
fn quoted(text: &str) -> String {
    format!("'{}'", address::encode(&text.replace('\'', "''")))
}

fn make(question: &Question<'_>, call: &mut Call) -> Result<Answer, Answer> {
    let body = body(call)?;
    let name = needed(&body, "Name", NAME_MAX)?.to_owned();
    let direction = match text(&body, "OperationType").map(str::to_ascii_lowercase).as_deref() {
        Some("import") => Direction::Import,
        Some("export") => Direction::Export,
        _ => return Err(refuse(400, "OperationType is Import or Export")),
    };
    let live = question.appliance.live();
    if live.config.projects.iter().any(|project| project.name.eq_ignore_ascii_case(&name)) {
        let detail = format!("the data project '{name}' is made in the configuration: run it as it is, or choose another name");
        return Err(refuse(400, &detail));
    }
    let optional = |member: &str| text(&body, member).map_or(Ok(""), |_| needed(&body, member, DESCRIPTION_MAX)).map(str::to_owned);
    let made = MadeProject {
        name,
        direction,
        description: optional("Description")?,
        category: optional("ProjectCategory")?,
        entities: Vec::new(),
    };
    let (application, now, new) = (question.caller.id, question.appliance.clock.now(), made.clone());
    let kept = question.appliance.store.write("keep the project", move |batch| {
        if made_projects::find(batch.connection, application, &new.name).map_err(StoreError::sqlite("find the project"))?.is_some() {
            return Ok(None);
        }
        made_projects::keep(batch.connection, application, &new, now).map(Some)
    });
    match kept.map_err(|error| failed(&error))? {
        None => Err(refuse(400, &format!("the data project '{}' exists: delete it first, or use it", made.name))),
        Some(false) => {
            Err(refuse(400, &format!("this application has made {MADE_MAX} data projects: delete those that are no longer needed")))
        }
        Some(true) => {
            log::info!("project made project=\"{}\" application={application} peer={}", made.name.escape_debug(), call.peer());
            let key = quoted(&made.name);
            Ok(created(question, call, GROUPS, &key, sets::made_group(&made)))
        }
    }
}

/// The project of a change; one of the configuration stays as it is.
fn own(question: &Question<'_>, name: &str) -> Result<MadeProject, Answer> {
    let found = question.appliance.store.read("find the project", |connection| made_projects::find(connection, question.caller.id, name));
    if let Some(made) = found.map_err(|error| failed(&error))? {
        return Ok(made);
    }
    let live = question.appliance.live();
    let configured = |job: &&std::sync::Arc<crate::model::job::Job>| {
        job.project.name.eq_ignore_ascii_case(name) && job.applications.contains(&question.caller.id)
    };
    Err(match live.config.jobs.iter().find(configured) {
        Some(_) => refuse(403, &format!("the data project '{name}' is made in the configuration: only an operator changes it")),
        None => refuse(404, &format!("this application has made no data project '{name}'")),
    })
}

fn add_entity(question: &Question<'_>, call: &mut Call) -> Result<Answer, Answer> {
    let body = body(call)?;
    let made = own(question, needed(&body, "DefinitionGroupId", NAME_MAX)?)?;
    let label = needed(&body, "EntityName", NAME_MAX)?;
    let live = question.appliance.live();
    let known = projects::jobs(&live, question.caller, made.direction).find_map(|job| job.project.entity(label));
    let Some(entity) = known.map(|entity| entity.entity.name.clone()) else {
        return Err(refuse(400, &projects::unknown_entity(label, made.direction)));
    };
    let (application, now) = (question.caller.id, question.appliance.clock.now());
    let (name, added) = (made.name.clone(), entity.clone());
    let kept = question.appliance.store.write("add the entity", move |batch| {
        // Read again: another request may have changed it.
        let Some(mut made) = made_projects::find(batch.connection, application, &name).map_err(StoreError::sqlite("find the project"))?
        else {
            return Ok(None);
        };
        if made.entities.len() >= ENTITIES_MAX {
            return Ok(Some(None));
        }
        let new = !made.entities.contains(&added);
        if new {
            made.entities.push(added);
            made_projects::keep(batch.connection, application, &made, now)?;
        }
        Ok(Some(Some((made, new))))
    });
    match kept.map_err(|error| failed(&error))? {
        None => Err(refuse(404, &format!("this application has made no data project '{}'", made.name))),
        Some(None) => Err(refuse(400, &format!("the data project '{}' has {ENTITIES_MAX} entities: make another", made.name))),
        Some(Some((_, false))) => Err(refuse(400, &format!("the data project '{}' has the entity '{entity}' already", made.name))),
        Some(Some((made, true))) => {
            let details = sets::made_details(&live, question.caller, &made);
            let shown = details.into_iter().find(|detail| detail.get("EntityName").and_then(Value::as_str) == Some(&entity));
            let key = format!("DefinitionGroupId={},EntityName={}", quoted(&made.name), quoted(&entity));
            Ok(created(question, call, DETAILS, &key, shown.unwrap_or_default()))
        }
    }
}

fn remove(question: &Question<'_>, name: &str) -> Result<Answer, Answer> {
    let made = own(question, name)?;
    let (application, name) = (question.caller.id, made.name.clone());
    let removed =
        question.appliance.store.write("forget the project", move |batch| made_projects::remove(batch.connection, application, &name));
    if removed.map_err(|error| failed(&error))? {
        log::info!("project forgotten project=\"{}\" application={application}", made.name.escape_debug());
    }
    Ok(Answer::empty(204).with("OData-Version", "4.0"))
}

fn remove_entity(question: &Question<'_>, project: &str, entity: &str) -> Result<Answer, Answer> {
    let made = own(question, project)?;
    let live = question.appliance.live();
    // As the client calls it: any name of the entity.
    let full =
        live.config.entities.iter().find(|known| known.is_called(entity)).map_or_else(|| entity.to_owned(), |known| known.name.clone());
    let (application, name, now) = (question.caller.id, made.name.clone(), question.appliance.clock.now());
    let shown = full.clone();
    let removed = question.appliance.store.write("take the entity out", move |batch| {
        let Some(mut made) = made_projects::find(batch.connection, application, &name).map_err(StoreError::sqlite("find the project"))?
        else {
            return Ok(false);
        };
        let before = made.entities.len();
        made.entities.retain(|known| *known != full);
        made_projects::keep(batch.connection, application, &made, now)?;
        Ok(made.entities.len() < before)
    });
    match removed.map_err(|error| failed(&error))? {
        true => Ok(Answer::empty(204).with("OData-Version", "4.0")),
        false => Err(refuse(404, &format!("the data project '{}' has no entity '{shown}'", made.name))),
    }
}
