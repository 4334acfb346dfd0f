//! The operator API does what its OpenAPI document says, and nothing beside it.

use std::collections::BTreeSet;
use std::time::Duration;

use serde_json::Value;

use crate::appliance::{Answer, Appliance, EXPORT, IMPORT, groups};

/// The document as the appliance serves it: without a token.
fn document(app: &Appliance) -> Value {
    app.send("GET", "/api/v1/openapi.json", &[], b"").expect(200).json()
}

fn resolve<'a>(document: &'a Value, schema: &'a Value) -> &'a Value {
    match schema["$ref"].as_str() {
        Some(target) => document.pointer(&target[1..]).unwrap_or_else(|| panic!("{target} does not exist")),
        None => schema,
    }
}

/// Holds a value against its schema; a member that the schema does not name is wrong too.
fn check(document: &Value, schema: &Value, value: &Value, place: &str) {
    let schema = resolve(document, schema);
    if let Some(choices) = schema["enum"].as_array() {
        assert!(choices.contains(value), "{place}: {value} is none of {choices:?}");
    }
    let types: Vec<&str> = match &schema["type"] {
        Value::Array(types) => types.iter().filter_map(Value::as_str).collect(),
        one => one.as_str().into_iter().collect(),
    };
    let found = match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(number) if number.is_u64() => "integer",
        Value::Number(_) => "number",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    };
    assert!(types.is_empty() || types.contains(&found), "{place}: {value} is no {types:?}");
    match value {
        Value::Object(members) if schema["properties"].is_object() => {
            let known = schema["properties"].as_object().unwrap();
            for (name, member) in members {
                let schema = known.get(name).unwrap_or_else(|| panic!("{place}: \"{name}\" is not described"));
                check(document, schema, member, &format!("{place}.{name}"));
            }
            for name in schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str) {
                assert!(members.contains_key(name), "{place}: \"{name}\" is missing");
            }
        }
        Value::Array(items) => items.iter().for_each(|item| check(document, &schema["items"], item, &format!("{place}[]"))),
        _ => {}
    }
}

/// Asks for what an operation of the document describes; the status must be among its responses, and the body as it says.
fn ask(app: &Appliance, document: &Value, method: &str, template: &str, path: &str, query: &str) -> Answer {
    let operation = &document["paths"][template][method.to_ascii_lowercase()];
    let token = format!("Bearer {}", app.operator_token);
    let answer = app.send(method, &format!("/api/v1{path}{query}"), &[("Authorization", &token)], b"");
    let place = format!("{method} {template}: {}", answer.status);
    let described = resolve(document, &operation["responses"][answer.status.to_string()]);
    assert!(described.is_object(), "{place} is not described: {}", answer.text());
    let kind = answer.header("Content-Type").and_then(|kind| kind.split(';').next()).unwrap_or_default().to_owned();
    let content = &described["content"][&kind];
    assert!(content.is_object(), "{place}: {kind} is not described");
    if kind.ends_with("json") {
        check(document, &content["schema"], &answer.json(), &place);
    }
    answer
}

#[test]
fn every_operation_answers_as_the_document_says() {
    let entity = "entity = \"Customer groups\"";
    let staging = format!("{entity}\nskip_staging = false");
    let mut app = Appliance::start(&groups("monitoring_recurrence = \"* * * * *\"").replacen(entity, &staging, 1));
    let document = document(&app);
    let bad = app.enqueue(b"ID,NAME,AMOUNT\n1,a,x\n2,b,1\n", Some("bad.csv"));
    let waiting = app.enqueue(b"ID,NAME,AMOUNT\n3,c,1\n", None);
    app.settle();
    app.advance(Duration::from_secs(120));
    let exported = {
        ask(&app, &document, "POST", "/jobs/{job}/run", &format!("/jobs/{EXPORT}/run"), "").expect(200);
        app.settle();
        app.get(&format!("/api/connector/dequeue/{EXPORT}")).expect(200).json()["CorrelationId"].as_str().unwrap().to_owned()
    };
    let nobody = "00000000-0000-4000-8000-00000000dead";
    for (method, template, path, query, status) in [
        ("GET", "/jobs", "/jobs".to_owned(), "", 200),
        ("GET", "/jobs/{job}", format!("/jobs/{IMPORT}"), "", 200),
        ("GET", "/jobs/{job}", "/jobs/groups%20out".to_owned(), "", 200),
        ("GET", "/jobs/{job}", "/jobs/none".to_owned(), "", 404),
        ("POST", "/jobs/{job}/run", "/jobs/none/run".to_owned(), "", 404),
        ("POST", "/jobs/{job}/pause", format!("/jobs/{IMPORT}/pause"), "", 200),
        ("POST", "/jobs/{job}/resume", format!("/jobs/{IMPORT}/resume"), "", 200),
        ("GET", "/messages", "/messages".to_owned(), "?limit=1", 200),
        ("GET", "/messages", "/messages".to_owned(), "?attention=1&state=processed_with_errors&job=Groups+in", 200),
        ("GET", "/messages", "/messages".to_owned(), "?limit=0", 400),
        ("GET", "/messages", "/messages".to_owned(), "?job=none", 404),
        ("GET", "/messages/{message}", format!("/messages/{bad}"), "", 200),
        ("GET", "/messages/{message}", format!("/messages/{exported}"), "", 200),
        ("GET", "/messages/{message}", "/messages/x".to_owned(), "", 400),
        ("GET", "/messages/{message}", format!("/messages/{nobody}"), "", 404),
        ("GET", "/messages/{message}/findings", format!("/messages/{bad}/findings"), "?from=0", 200),
        ("GET", "/messages/{message}/document", format!("/messages/{bad}/document"), "", 200),
        ("GET", "/messages/{message}/refused", format!("/messages/{bad}/refused"), "", 200),
        ("GET", "/messages/{message}/refused", format!("/messages/{waiting}/refused"), "", 404),
        ("GET", "/messages/{message}/transformed", format!("/messages/{bad}/transformed"), "", 404),
        ("GET", "/messages/{message}/staging", format!("/messages/{bad}/staging"), "", 200),
        ("GET", "/messages/{message}/staging", format!("/messages/{bad}/staging"), "?status=Error&entity=Customer+groups&after=0", 200),
        ("GET", "/messages/{message}/staging", format!("/messages/{bad}/staging"), "?status=lost", 400),
        ("GET", "/messages/{message}/staging", format!("/messages/{bad}/staging"), "?entity=none", 404),
        ("POST", "/messages/{message}/replay", format!("/messages/{bad}/replay"), "", 200),
        ("POST", "/messages/{message}/replay", format!("/messages/{exported}/replay"), "", 409),
        ("POST", "/messages/{message}/release", format!("/messages/{exported}/release"), "", 200),
        ("POST", "/messages/{message}/cancel", format!("/messages/{exported}/cancel"), "", 200),
        ("POST", "/messages/{message}/cancel", format!("/messages/{bad}/cancel"), "", 409),
        ("GET", "/users", "/users".to_owned(), "", 200),
        ("POST", "/users/{user}/remove", "/users/nobody/remove".to_owned(), "", 404),
        ("POST", "/sign-in-link", "/sign-in-link".to_owned(), "", 200),
        ("POST", "/configuration/reload", "/configuration/reload".to_owned(), "", 200),
    ] {
        assert_eq!(ask(&app, &document, method, template, &path, query).status, status, "{method} {path}{query}");
    }
    let job = ask(&app, &document, "GET", "/jobs/{job}", &format!("/jobs/{IMPORT}"), "").json();
    assert!(!job["load"].as_array().unwrap().is_empty(), "a sample was checked too");
    let refused = app.send("GET", "/api/v1/jobs", &[], b"").expect(401);
    check(&document, &document["components"]["schemas"]["Problem"], &refused.json(), "401");
}

/// The patterns of the router, read as text, are the paths of the document.
#[test]
fn the_document_describes_every_route_and_no_other() {
    let app = Appliance::start(&groups(""));
    let document = document(&app);
    let described: BTreeSet<(String, String)> = document["paths"]
        .as_object()
        .unwrap()
        .iter()
        .flat_map(|(path, operations)| {
            operations.as_object().unwrap().keys().map(move |method| (method.to_ascii_uppercase(), path.clone()))
        })
        .collect();
    let source = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/src/http/operator.rs")).unwrap();
    let mut routed = BTreeSet::from([("GET".to_owned(), "/openapi.json".to_owned())]);
    for line in source.lines().map(str::trim).filter(|line| line.starts_with("(\"GET\", [") || line.starts_with("(\"POST\", [")) {
        let method = line.split('"').nth(1).unwrap();
        let pattern = line.split_once('[').unwrap().1.split_once("])").unwrap().0;
        let kind = pattern.split('"').nth(1).unwrap().trim_end_matches('s').to_owned();
        let mut paths = vec![String::new()];
        for segment in pattern.split(", ") {
            let words: Vec<String> = match segment.split_once("@ (") {
                Some((_, words)) => words.trim_end_matches(')').split(" | ").map(|word| word.trim_matches('"').to_owned()).collect(),
                None if segment.starts_with('"') => vec![segment.trim_matches('"').to_owned()],
                None => vec![format!("{{{kind}}}")],
            };
            paths = paths.iter().flat_map(|path| words.iter().map(move |word| format!("{path}/{word}"))).collect();
        }
        routed.extend(paths.into_iter().map(|path| (method.to_owned(), path)));
    }
    assert!(routed.len() > 10, "the router is written in another way now: {routed:?}");
    assert_eq!(described, routed);
}
