//! Which handler answers which address. Prefixes that D365 installations have are passed over: `/namespaces/AXSF`, `/en` (CONTRACT §1.0).

use std::sync::Arc;

use super::{Answer, Call, actions, blob, connector, injury, monitoring, odata, operator, pages, tokens};
use crate::appliance::Appliance;
use crate::auth::token::Version;
use crate::auth::{permit, verify};
use crate::config::Application;
use crate::model::id::ActivityId;
use crate::model::job::Job;

/// What the names of actions begin with, in lower case.
const ACTIONS: &str = "microsoft.dynamics.dataentities.";

/// A path without the prefixes that D365 installations have.
pub fn place(path: &[String]) -> Vec<&str> {
    let mut segments: Vec<&str> = path.iter().map(String::as_str).collect();
    if segments.len() > 2 && segments[0].eq_ignore_ascii_case("namespaces") {
        segments.drain(..2);
    }
    // A language before the connector's path.
    if segments.len() > 2 && segments[1].eq_ignore_ascii_case("api") && segments[2].eq_ignore_ascii_case("connector") {
        segments.remove(0);
    }
    segments
}

/// Answers a call.
pub fn route(appliance: &Arc<Appliance>, call: Call) {
    let path: Vec<String> = call.path.clone();
    let segments = place(&path);
    let lower: Vec<String> = segments.iter().map(|segment| segment.to_ascii_lowercase()).collect();
    let lower: Vec<&str> = lower.iter().map(String::as_str).collect();
    let method = call.method.clone();
    let Some(call) = injury::strike(appliance, call, &lower) else { return };
    match (method.as_str(), lower.as_slice()) {
        (_, ["api", "connector", verb, _]) => connector::route(appliance, call, verb, segments[3]),
        ("POST", ["data", "datamanagementdefinitiongroups", action]) if action.starts_with(ACTIONS) => {
            // As the client wrote it: it stands in the error that he reads.
            let written = segments[2].get(ACTIONS.len()..).unwrap_or_default();
            actions::route(appliance, call, written)
        }
        (_, ["data", ..]) => odata::route(appliance, call, &segments[1..]),
        ("GET" | "HEAD", ["metadata", ..]) => odata::catalogue(appliance, call, &segments[1..]),
        (_, [blob::CONTAINER, ..]) => blob::route(appliance, call, &segments[1..]),
        ("POST", [_, "oauth2", "token"]) => tokens::token(appliance, call, Version::V1),
        ("POST", [_, "oauth2", "v2.0", "token"]) => tokens::token(appliance, call, Version::V2),
        ("POST", [_, "oauth2", "devicecode"]) => tokens::device_code(appliance, call, Version::V1),
        ("POST", [_, "oauth2", "v2.0", "devicecode"]) => tokens::device_code(appliance, call, Version::V2),
        ("GET", ["common", "userrealm", _]) => tokens::user_realm(appliance, call),
        ("GET", ["common", "discovery", "instance"]) => tokens::instance(appliance, call),
        ("GET", [_, "v2.0", ".well-known", "openid-configuration"]) => tokens::openid_configuration(appliance, call, Version::V2),
        ("GET", [_, ".well-known", "openid-configuration"]) => tokens::openid_configuration(appliance, call, Version::V1),
        ("GET", [_, "discovery", "keys"] | [_, "discovery", "v2.0", "keys"]) => {
            call.answer(Answer::json(200, &appliance.keyring.jwks(appliance.clock.now())))
        }
        ("GET" | "HEAD", ["healthz"]) => call.answer(Answer::text(200, "text/plain; charset=utf-8", "ok\n")),
        ("GET" | "HEAD", ["readyz"]) => monitoring::ready(appliance, call),
        ("GET", ["metrics"]) => monitoring::metrics(appliance, call),
        (
            _,
            []
            | ["jobs", ..]
            | ["messages", ..]
            | ["assets", _]
            | ["sign-in" | "sign-out" | "welcome" | "device" | "favicon.ico"]
            | ["welcome", _],
        ) => pages::route(appliance, call, &segments),
        (_, ["api", "v1", rest @ ..]) => operator::route(appliance, call, rest),
        #[cfg(debug_assertions)]
        ("POST", ["test", "clock", milliseconds]) if std::env::var_os("ENTREPOT_TEST_CLOCK").is_some() => {
            let by = std::time::Duration::from_millis(milliseconds.parse().unwrap_or(0));
            appliance.clock.advance(by);
            appliance.settle();
            call.answer(Answer::empty(204));
        }
        _ => {
            let detail = format!("nothing is served at {} /{}", method, segments.join("/"));
            call.answer(Answer::refuse(404, &detail, "clients use /api/connector/…, /data/… and the token endpoints"));
        }
    }
}

/// The application that calls, by its bearer token; the refusal otherwise (RFC 6750 §3).
pub fn caller(appliance: &Appliance, authorization: Option<&str>) -> Result<Application, Answer> {
    const HINT: &str = "ask the token endpoint for a token and send it as Authorization: Bearer …";
    let live = appliance.live();
    let verified = verify::bearer(authorization).and_then(|token| live.verifier.verify(token, appliance.clock.now()));
    let caller =
        verified.map_err(|refusal| Answer::refuse(401, &refusal.reason, HINT).with("WWW-Authenticate", refusal.www_authenticate()))?;
    permit::admit(&caller, live.config.application(caller.application)).cloned().map_err(|denied| denial(&denied))
}

fn denial(denied: &permit::Denied) -> Answer {
    let answer = Answer::refuse(denied.status(), &denied.to_string(), "an operator can change that in the configuration");
    match denied.www_authenticate() {
        Some(challenge) => answer.with("WWW-Authenticate", challenge),
        None => answer,
    }
}

/// The job of an activity id, when the caller may use it.
pub fn job(appliance: &Appliance, caller: &Application, activity: &str) -> Result<Arc<Job>, Answer> {
    let id: ActivityId =
        activity.parse().map_err(|error| Answer::refuse(400, &format!("the activity id is {error}"), "copy it from the job"))?;
    let live = appliance.live();
    let job = live.config.job(id).ok_or_else(|| {
        Answer::refuse(
            404,
            &format!("there is no job with the activity id {id}"),
            "copy it from the job; an operator can list jobs with entrepot job list",
        )
    })?;
    permit::permit(caller, &job.name, &job.applications).map_err(|denied| denial(&denied))?;
    if !job.enabled {
        return Err(Answer::refuse(403, &format!("the job {} is disabled", job.name), "an operator can set enabled = true"));
    }
    Ok(job.clone())
}
