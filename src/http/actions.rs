//! OData actions on messages: GetMessageStatus, GetExecutionIdByMessageId, GetExecutionErrors (CONTRACT §1.6). The others come with the package
//! API; until then each is refused by name.

use std::sync::Arc;

use serde_json::{Map, Value, json};

use super::connector::{JSON_MAX, failed};
use super::{Answer, Call, route, wire};
use crate::appliance::Appliance;
use crate::config::Application;
use crate::model::id::{MessageId, parse_guid};
use crate::model::message::Message;
use crate::store::{executions, messages};

const ZERO: &str = "00000000-0000-0000-0000-000000000000";

/// Answers an action; its name is in lower case.
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
    let base = &appliance.live().config.server.public_url;
    let value = |context: &str, value: Value| {
        let body = json!({ "@odata.context": format!("{base}/data/$metadata#{context}"), "value": value });
        Answer::json(200, &body).with("Content-Type", "application/json; odata.metadata=minimal").with("OData-Version", "4.0")
    };
    let parameter = |name: &str| {
        parameters.iter().find(|(key, _)| key.trim_start_matches('_').eq_ignore_ascii_case(name)).and_then(|(_, value)| value.as_str())
    };
    let answer = match action {
        "getmessagestatus" => message(appliance, &caller, parameter("messageId"), action)
            .map(|message| value("Microsoft.Dynamics.DataEntities.DMFMessageStatus", json!(wire::message_status(message.state)))),
        "getexecutionidbymessageid" => message(appliance, &caller, parameter("messageId"), action)
            .map(|message| value("Edm.String", json!(message.execution_id.map_or_else(|| ZERO.to_owned(), |id| id.0)))),
        "getexecutionerrors" => {
            errors(appliance, &caller, parameter("executionId"), action).map(|errors| value("Edm.String", json!(errors)))
        }
        _ => Err(error(
            501,
            action,
            "this action is not available in this version; it has GetMessageStatus, GetExecutionIdByMessageId and GetExecutionErrors",
        )),
    };
    call.answer(answer.unwrap_or_else(|refusal| refusal));
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

fn message(appliance: &Appliance, caller: &Application, id: Option<&str>, action: &str) -> Result<Message, Answer> {
    let id = id.ok_or_else(|| error(400, action, "the parameter messageId is missing"))?;
    let id =
        parse_guid(id.trim_matches(['"', ' '])).map(MessageId).map_err(|problem| error(400, action, &format!("messageId is {problem}")))?;
    let found =
        appliance.store.read("find the message", |connection| messages::find(connection, id)).map_err(|problem| failed(&problem))?;
    let unknown = || error(400, action, &format!("Message was not found for message id: {id}"));
    let message = found.ok_or_else(unknown)?;
    // Somebody else's message is as unknown as none.
    let live = appliance.live();
    let allowed = live.config.job(message.activity_id).is_some_and(|job| job.applications.contains(&caller.id));
    if allowed { Ok(message) } else { Err(unknown()) }
}

/// Findings as the JSON text that clients save; a message id, quoted or not, stands for its execution (CONTRACT §1.2).
fn errors(appliance: &Appliance, caller: &Application, execution: Option<&str>, action: &str) -> Result<String, Answer> {
    let id = execution.ok_or_else(|| error(400, action, "the parameter executionId is missing"))?.trim_matches(['"', ' ']);
    let of_execution = appliance
        .store
        .read("find the execution", |connection| messages::of_execution(connection, id))
        .map_err(|problem| failed(&problem))?;
    let text = of_execution.map_or_else(|| id.to_owned(), |message| message.to_string());
    let message = message(appliance, caller, Some(&text), action)?;
    let Some(execution) = &message.execution_id else { return Ok("[]".into()) };
    let findings = appliance
        .store
        .read("read findings", |connection| executions::findings(connection, &execution.0, 0, 10_000))
        .map_err(|problem| failed(&problem))?;
    let list: Vec<Value> = findings
        .into_iter()
        .map(|(_, finding)| {
            let field = if finding.field.is_empty() { finding.column } else { finding.field };
            let text = format!("line {}: \"{}\": {}; {}", finding.line, finding.value, finding.message, finding.hint);
            json!({ "RecordId": finding.row.to_string(), "Field": field, "ErrorMessage": text })
        })
        .collect();
    Ok(Value::Array(list).to_string())
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
