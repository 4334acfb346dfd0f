//! The token endpoints and the discovery documents (CONTRACT §3).

use std::sync::Arc;

use super::{Answer, Call, address, pace};
use crate::appliance::{Appliance, audiences};
use crate::auth::audience::Audiences;
use crate::auth::discovery::{self, Tenant};
use crate::auth::oauth::{Client, TokenEndpoint, TokenRequest};
use crate::auth::token::{TOKEN_LIFETIME, Version};

/// A larger form is refused.
const FORM_MAX: usize = 64 * 1024;

/// `POST /<tenant>/oauth2/token` and its v2.0 form.
pub fn token(appliance: &Arc<Appliance>, mut call: Call, version: Version) {
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
    let (address, name) = (call.peer_address(), client_named(&body, call.header("Authorization")));
    if let Err(refusal) = pace::attempt(appliance, address, &name) {
        return call.answer(refusal);
    }
    let live = appliance.live();
    let client = |id| live.config.application(id).map(Client::from);
    let audiences = Audiences::new(audiences(&live.config));
    let endpoint = TokenEndpoint {
        keyring: &appliance.keyring,
        issuer_base: &live.config.server.public_url,
        audiences: &audiences,
        client: &client,
        lifetime: TOKEN_LIFETIME,
    };
    let tenant = call.path.first().cloned().unwrap_or_default();
    let request = TokenRequest { body: &body, authorization: call.header("Authorization"), tenant: &tenant, version };
    let given = endpoint.answer(&request, appliance.clock.now());
    match given.application {
        Some(application) if given.status == 200 => {
            appliance.pace.succeeded(address, &name);
            log::info!("token issued application={application} peer={}", call.peer());
        }
        _ if given.json["error"] == "invalid_client" => {
            appliance.pace.failed(address, &name, appliance.clock.now());
            log::warn!("token refused peer={} error={}", call.peer(), given.json["error"]);
        }
        _ => log::warn!("token refused peer={} error={}", call.peer(), given.json["error"]),
    }
    let mut answer = Answer::json(given.status, &given.json).with("Cache-Control", "no-store").with("Pragma", "no-cache");
    if let Some(challenge) = given.www_authenticate {
        answer = answer.with("WWW-Authenticate", challenge);
    }
    call.answer(answer);
}

/// The client that a token request names, as far as it can be told before its secret is looked at.
fn client_named(body: &[u8], authorization: Option<&str>) -> String {
    let pairs = std::str::from_utf8(body).ok().and_then(address::pairs).unwrap_or_default();
    let named = pairs.into_iter().find(|(key, _)| key == "client_id").map(|(_, value)| value);
    named.unwrap_or_else(|| authorization.unwrap_or_default().to_owned())
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
    let document = discovery::instance(&base(appliance, &call), call.query("authorization_endpoint"));
    call.answer(Answer::json(200, &document));
}

/// `GET /<tenant>/.well-known/openid-configuration` and its v2.0 form.
pub fn openid_configuration(appliance: &Arc<Appliance>, call: Call, version: Version) {
    let answer = match call.path.first().map(|segment| segment.parse::<Tenant>()) {
        Some(Ok(tenant)) => Answer::json(200, &discovery::openid_configuration(&base(appliance, &call), &tenant, version)),
        _ => Answer::refuse(400, "the address names no tenant: a GUID or a domain name is expected", "correct the address"),
    };
    call.answer(answer);
}
