//! The OData actions of the data management service (CONTRACT §1.6): parameters in, a flat `value` out, errors in the shape of the real system.
//!
//! What an application may do here: run a project, and see its executions, when at least one job of that project names it. Somebody else's
//! executions and messages are as unknown as those that never were.

mod executions;
mod packages;

use std::sync::Arc;

use serde_json::{Map, Value, json};

use super::connector::{JSON_MAX, failed};
use super::projects::{self, Chosen};
use super::{Answer, Call, route};
use crate::appliance::{Appliance, Live};
use crate::config::Application;
use crate::model::job::Job;
use crate::model::project::Direction;
use crate::store::StoreError;
use crate::store::made_projects::{self, MadeProject};

/// A request for an action.
struct Request<'a> {
    appliance: &'a Arc<Appliance>,
    caller: &'a Application,
    /// As the client wrote it.
    action: &'a str,
    parameters: Map<String, Value>,
}

/// What an action came to: the type in the context, and the value; `None` for an action that gives nothing.
type Given = Result<Option<(&'static str, Value)>, Answer>;

const STRING: &str = "Edm.String";
const BOOLEAN: &str = "Edm.Boolean";

fn text(value: impl Into<String>) -> Given {
    Ok(Some((STRING, Value::String(value.into()))))
}

/// Answers an action; its name comes as the client wrote it.
pub fn route(appliance: &Arc<Appliance>, mut call: Call, action: &str) {
    let caller = match route::caller(appliance, call.header("Authorization")) {
        Ok(caller) => caller,
        Err(refusal) => return call.answer(refusal),
    };
    let body = match call.small_body(JSON_MAX) {
        Ok(Some(body)) => body,
        Ok(None) => return call.answer(error(413, action, "the body is too large")),
        Err(_) => return call.answer(error(400, action, "the body ended early")),
    };
    let Some(parameters) = std::str::from_utf8(&body).ok().and_then(lax_object) else {
        return call.answer(error(400, action, "the body is no JSON object"));
    };
    let request = Request { appliance, caller: &caller, action, parameters };
    let answer = match given(&request) {
        Err(refusal) => {
            log::warn!("action refused action={} peer={} reason=\"{}\"", action.escape_debug(), call.peer(), refusal.reason);
            refusal
        }
        Ok(None) => Answer::empty(204).with("OData-Version", "4.0"),
        Ok(Some((kind, value))) => {
            let base = &appliance.live().config.server.public_url;
            let body = json!({ "@odata.context": format!("{base}/data/$metadata#{kind}"), "value": value });
            Answer::json(200, &body).with("Content-Type", "application/json; odata.metadata=minimal").with("OData-Version", "4.0")
        }
    };
    call.answer(answer);
}

fn given(request: &Request<'_>) -> Given {
    match request.action.to_ascii_lowercase().as_str() {
        "getazurewriteurl" => packages::write_url(request),
        "importfrompackage" | "importfrompackageasync" | "importfromdmtpackage" => packages::import(request),
        "exporttopackage"
        | "exporttopackageasync"
        | "exporttopackagedelta"
        | "exporttopackagepreview"
        | "exporttopackagepreviewasync"
        | "exportfrompackage" => packages::export(request),
        "getexportedpackageurl" => packages::exported_url(request),
        "getexecutionsummarystatus" => executions::summary_status(request),
        "getexecutionsummarypageurl" => executions::page_url(request),
        "getentityexecutionsummarystatuslist" => executions::entity_status_list(request),
        "getexecutionerrors" => executions::errors(request),
        "generateimporttargeterrorkeysfile" => executions::generate_error_keys(request),
        "getimportstagingerrorfileurl" | "getimporttargeterrorkeysfileurl" => executions::error_file_url(request),
        "getmessagestatus" => executions::message_status(request),
        "getexecutionidbymessageid" => executions::id_by_message(request),
        "deleteexecutionhistoryjob" => executions::delete_history(request),
        "initializedatamanagement" | "initializedatamanagementasync" => Ok(None),
        "getentitysequence" => executions::entity_sequence(request),
        "resetversiontoken" => executions::reset_version_token(request),
        _ => Err(request.refuse(
            404,
            "there is no such action; CONTRACT of the package API names GetAzureWriteUrl, ImportFromPackage, ExportToPackage and others",
        )),
    }
}

impl Request<'_> {
    /// A text parameter, by its name in any case; one with a leading underscore is the same (CONTRACT §1.6, `_messageId`).
    fn text(&self, name: &str) -> Option<&str> {
        let value = self.value(name)?.as_str()?;
        Some(value.trim()).filter(|value| !value.is_empty())
    }

    fn value(&self, name: &str) -> Option<&Value> {
        self.parameters.iter().find(|(key, _)| key.trim_start_matches('_').eq_ignore_ascii_case(name)).map(|(_, value)| value)
    }

    fn needed(&self, name: &str) -> Result<&str, Answer> {
        self.text(name).ok_or_else(|| self.refuse(400, &format!("the parameter {name} is missing")))
    }

    /// A boolean, which some clients write as text.
    fn flag(&self, name: &str, default: bool) -> bool {
        match self.value(name) {
            Some(Value::Bool(value)) => *value,
            Some(Value::String(text)) if text.eq_ignore_ascii_case("true") => true,
            Some(Value::String(text)) if text.eq_ignore_ascii_case("false") => false,
            _ => default,
        }
    }

    fn refuse(&self, status: u16, detail: &str) -> Answer {
        error(status, self.action, detail)
    }

    fn stored<T>(&self, result: Result<T, StoreError>) -> Result<T, Answer> {
        result.map_err(|error| failed(&error))
    }

    /// The job of a project of the configuration that the caller may run.
    fn configured(&self, name: &str, direction: Direction) -> Option<Arc<Job>> {
        projects::jobs(&self.appliance.live(), self.caller, direction).find(|job| job.project.name.eq_ignore_ascii_case(name)).cloned()
    }

    /// The project of this name that the caller made.
    fn made(&self, name: &str) -> Result<Option<MadeProject>, Answer> {
        self.stored(self.appliance.store.read("find the project", |connection| made_projects::find(connection, self.caller.id, name)))
    }

    /// The project of this name that the caller may run: of the configuration, or one that it made.
    fn project(&self, name: &str, direction: Direction) -> Result<Chosen, Answer> {
        if let Some(job) = self.configured(name, direction) {
            return Ok(Chosen { job, made: None });
        }
        let Some(made) = self.made(name)?.filter(|made| made.direction == direction) else {
            return Err(self.refuse(400, &self.no_project(name, direction)));
        };
        let live = self.appliance.live();
        match projects::behind(&live, self.caller, direction, &made.entities) {
            Some(job) => Ok(Chosen { job, made: Some(made) }),
            None => Err(self.refuse(400, &projects::why_nothing(&live, self.caller, direction, name, &made.entities))),
        }
    }

    fn no_project(&self, name: &str, direction: Direction) -> String {
        let live = self.appliance.live();
        let mut known: Vec<&str> = projects::jobs(&live, self.caller, direction).map(|job| job.project.name.as_str()).collect();
        let mut seen = std::collections::HashSet::new();
        known.retain(|name| seen.insert(*name));
        format!(
            "The data project '{name}' does not exist, or no enabled job of it names this application; it may {} {}",
            direction.name(),
            if known.is_empty() { "none".to_owned() } else { known.join(", ") }
        )
    }
}

/// Whether an application may see the executions of a project.
fn may_see(live: &Live, caller: &Application, project: &str) -> bool {
    live.config.jobs.iter().any(|job| job.project.name == project && job.applications.contains(&caller.id))
}

/// The error object of the real system (CONTRACT §1.6), with the detail in the status line too.
fn error(status: u16, action: &str, detail: &str) -> Answer {
    let message = format!("Exception occurred while executing action {action} on Entity DataManagementDefinitionGroup: {detail}");
    let mut answer = Answer::json(
        status,
        &json!({ "error": { "code": "", "message": "An error has occurred.", "innererror": { "message": message, "type": "System.InvalidOperationException", "stacktrace": "" } } }),
    );
    answer.reason = detail.to_owned();
    answer
}

/// A JSON object, also with single quotes: a PowerShell client writes `{'messageId':'…'}` (CONTRACT §1.6).
pub fn lax_object(text: &str) -> Option<Map<String, Value>> {
    let text = text.trim_start_matches('\u{feff}').trim();
    if text.is_empty() {
        return Some(Map::new());
    }
    if let Ok(Value::Object(object)) = serde_json::from_str(text) {
        return Some(object);
    }
    let mut strict = String::with_capacity(text.len());
    let mut characters = text.chars();
    while let Some(character) = characters.next() {
        if character != '\'' && character != '"' {
            strict.push(character);
            continue;
        }
        strict.push('"');
        loop {
            match characters.next()? {
                end if end == character => break,
                '"' => strict.push_str("\\\""),
                '\\' => match characters.next()? {
                    '\'' => strict.push('\''),
                    other => strict.extend(['\\', other]),
                },
                other => strict.push(other),
            }
        }
        strict.push('"');
    }
    match serde_json::from_str(&strict) {
        Ok(Value::Object(object)) => Some(object),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn single_quotes_are_read_as_well_as_double_ones() {
        let expected = json!({ "messageId": "a\"b", "n": 1 });
        for text in [r#"{"messageId":"a\"b","n":1}"#, r#"{'messageId':'a"b','n':1}"#, "\u{feff} {'messageId' : \"a\\\"b\", \"n\":1}"] {
            assert_eq!(lax_object(text).map(Value::Object), Some(expected.clone()), "{text}");
        }
        assert_eq!(lax_object(""), Some(Map::new()));
        for bad in ["[]", "{'a'", "{'a':}", "x", "'"] {
            assert_eq!(lax_object(bad), None, "{bad}");
        }
    }
}
