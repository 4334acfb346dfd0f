//! The token endpoints and the discovery documents (CONTRACT §3).

use std::sync::Arc;

use super::{Answer, Call};
use crate::appliance::{Appliance, audiences};
use crate::auth::discovery;
use crate::auth::oauth::{self, FORM_MAX, Request};
use crate::auth::token::Version;

/// `POST /<tenant>/oauth2/token` and its v2.0 form.
pub fn token(appliance: &Arc<Appliance>, mut call: Call, v2: bool) {
    let body = match call.small_body(FORM_MAX) {
        Ok(Some(body)) => body,
        Ok(None) => {
            return call.answer(Answer::refuse(
                413,
                "the form is too large",
                "send grant_type, client_id, client_secret and resource or scope",
            ));
        }
        Err(_) => return call.answer(Answer::refuse(400, "the body ended early", "send it again")),
    };
    let live = appliance.live();
    let request = Request { body: &body, authorization: call.header("Authorization"), version: if v2 { Version::V2 } else { Version::V1 } };
    let given = oauth::answer(&request, &appliance.keyring, &audiences(&live.config), &live.config.applications, appliance.clock.now());
    match given.application {
        Some(application) => log::info!("token issued application={application} peer={}", call.peer()),
        None => log::warn!("token refused peer={} error={}", call.peer(), given.json["error"]),
    }
    let mut answer = Answer::json(given.status, &given.json).with("Cache-Control", "no-store").with("Pragma", "no-cache");
    if given.challenge {
        answer = answer.with("WWW-Authenticate", "Basic realm=\"entrepot\"");
    }
    call.answer(answer);
}

/// The base URL that the client used, when it is one of ours; libraries insist that the issuer sits on the same host.
fn base(appliance: &Appliance, call: &Call) -> String {
    let known = audiences(&appliance.live().config);
    let host = call.header("Host").unwrap_or_default();
    let used = known.iter().find(|base| base.split_once("://").is_some_and(|(_, known)| known.eq_ignore_ascii_case(host)));
    used.unwrap_or(&known[0]).clone()
}

/// `GET /common/discovery/instance`.
pub fn instance(appliance: &Arc<Appliance>, call: Call) {
    let document = discovery::instance(&base(appliance, &call), call.query("api-version").unwrap_or_default());
    call.answer(Answer::json(200, &document));
}

/// `GET /<tenant>/.well-known/openid-configuration` and its v2.0 form.
pub fn openid_configuration(appliance: &Arc<Appliance>, call: Call, v2: bool) {
    let tenant: String = call.path[0].chars().filter(|c| c.is_ascii_alphanumeric() || "-._".contains(*c)).take(100).collect();
    let document = discovery::openid_configuration(&base(appliance, &call), &tenant, v2);
    call.answer(Answer::json(200, &document));
}
