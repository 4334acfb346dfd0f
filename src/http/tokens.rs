//! The token endpoints and the discovery documents (CONTRACT §3).

use std::sync::Arc;

use serde_json::json;

use super::{Answer, Call, address, pace, pages};
use crate::appliance::{Appliance, audiences};
use crate::auth::audience::Audiences;
use crate::auth::device::{CODE_LIFETIME, INTERVAL_SECONDS, NoCodes};
use crate::auth::discovery::{self, Tenant};
use crate::auth::oauth::{Client, People, Person, TokenEndpoint, TokenRequest, Unavailable};
use crate::auth::sign_in;
use crate::auth::token::{TOKEN_LIFETIME, Version};
use crate::model::person::User;

/// A larger form is refused.
const FORM_MAX: usize = 64 * 1024;

/// The people of the pages, for the grants of people.
struct OfPages<'a>(&'a Appliance);

fn person(found: Result<Option<User>, Answer>) -> Result<Option<Person>, Unavailable> {
    // What went wrong stands in the log.
    let found = found.map_err(|_| Unavailable)?;
    Ok(found.map(|user| Person { mark: sign_in::password_mark(&user.password_hash), name: user.name }))
}

impl People for OfPages<'_> {
    fn sign_in(&self, name: &str, password: &str) -> Result<Option<Person>, Unavailable> {
        person(pages::by_password(self.0, name.trim(), password))
    }

    fn find(&self, name: &str) -> Result<Option<Person>, Unavailable> {
        person(pages::find_user(self.0, name))
    }
}

/// Asks the endpoint, as the configuration in force makes it.
fn ask<T>(appliance: &Appliance, ask: impl FnOnce(&TokenEndpoint<'_>) -> T) -> T {
    let live = appliance.live();
    let client = |id| live.config.application(id).map(Client::from);
    let audiences = Audiences::new(audiences(&live.config));
    ask(&TokenEndpoint {
        keyring: &appliance.keyring,
        issuer_base: &live.config.server.public_url,
        audiences: &audiences,
        client: &client,
        people: &OfPages(appliance),
        devices: &appliance.devices,
        seal: &appliance.url_key,
        lifetime: TOKEN_LIFETIME,
    })
}

fn form(call: &mut Call) -> Result<Vec<u8>, Answer> {
    let hint = "send grant_type, client_id, client_secret and resource or scope";
    match call.small_body(FORM_MAX) {
        Ok(Some(body)) => Ok(body),
        Ok(None) => Err(Answer::refuse(413, "the form is too large", hint)),
        Err(_) => Err(Answer::refuse(400, "the body ended early", "send it again")),
    }
}

/// `POST /<tenant>/oauth2/token` and its v2.0 form.
pub fn token(appliance: &Arc<Appliance>, mut call: Call, version: Version) {
    let body = match form(&mut call) {
        Ok(body) => body,
        Err(refusal) => return call.answer(refusal),
    };
    let (address, name) = (call.peer_address(), client_named(&body, call.header("Authorization")));
    if let Err(refusal) = pace::attempt(appliance, address, &name) {
        return call.answer(refusal);
    }
    let tenant = call.path.first().cloned().unwrap_or_default();
    let request = TokenRequest { body: &body, authorization: call.header("Authorization"), tenant: &tenant, version };
    let given = ask(appliance, |endpoint| endpoint.answer(&request, appliance.clock.now()));
    match given.application {
        Some(application) if given.status == 200 => {
            appliance.pace.succeeded(address, &name);
            log::info!("token issued application={application} peer={}", call.peer());
        }
        _ if given.json["error"] == "invalid_client" || given.json["error"] == "invalid_grant" => {
            appliance.pace.failed(address, &name, appliance.clock.now());
            log::warn!("token refused peer={} error={}", call.peer(), given.json["error"]);
        }
        // A program that asks every few seconds until a person has decided.
        _ if given.json["error"] == "authorization_pending" => {}
        _ => log::warn!("token refused peer={} error={}", call.peer(), given.json["error"]),
    }
    let mut answer = Answer::json(given.status, &given.json).with("Cache-Control", "no-store").with("Pragma", "no-cache");
    if let Some(challenge) = given.www_authenticate {
        answer = answer.with("WWW-Authenticate", challenge);
    }
    call.answer(answer);
}

/// Whom a token request names, a person or else a client, as far as it can be told before a secret is looked at.
fn client_named(body: &[u8], authorization: Option<&str>) -> String {
    let pairs = std::str::from_utf8(body).ok().and_then(address::pairs).unwrap_or_default();
    let named = |member: &str| pairs.iter().find(|(key, _)| key == member).map(|(_, value)| value.trim().to_owned());
    named("username").or_else(|| named("client_id")).unwrap_or_else(|| authorization.unwrap_or_default().to_owned())
}

/// `POST /<tenant>/oauth2/devicecode` and its v2.0 form: codes for a program whose person signs in on another device.
pub fn device_code(appliance: &Arc<Appliance>, mut call: Call, version: Version) {
    let answer = match form(&mut call) {
        Ok(body) => codes(appliance, &call, &body, version),
        Err(refusal) => refusal,
    };
    call.answer(answer.with("Cache-Control", "no-store"));
}

fn codes(appliance: &Appliance, call: &Call, body: &[u8], version: Version) -> Answer {
    let now = appliance.clock.now();
    let id = match ask(appliance, |endpoint| endpoint.may_begin(body, call.header("Authorization"), now)) {
        Ok(id) => id,
        Err(refused) => {
            log::warn!("device code refused peer={} error={}", call.peer(), refused.json["error"]);
            return Answer::json(refused.status, &refused.json);
        }
    };
    let codes = match appliance.devices.begin(id, now) {
        Ok(codes) => codes,
        Err(NoCodes::Full) => {
            return Answer::refuse(503, "too many programs wait for a code to be entered", "try again in a few minutes")
                .with("Retry-After", "60");
        }
        Err(NoCodes::NoRandomness) => return Answer::refuse(503, "no random bytes can be had just now", "try again"),
    };
    let (page, seconds) = (format!("{}/device", appliance.live().config.server.public_url), CODE_LIFETIME.as_secs());
    let message = format!("To sign in, open {page} in a browser and enter the code {} there.", codes.user_code);
    // Version 1 spells numbers as texts, and the address with an l (CONTRACT §3).
    Answer::json(
        200,
        &match version {
            Version::V1 => json!({
                "user_code": codes.user_code, "device_code": codes.device_code, "verification_url": page,
                "expires_in": seconds.to_string(), "interval": INTERVAL_SECONDS.to_string(), "message": message,
            }),
            Version::V2 => json!({
                "user_code": codes.user_code, "device_code": codes.device_code, "verification_uri": page,
                "expires_in": seconds, "interval": INTERVAL_SECONDS, "message": message,
            }),
        },
    )
}

/// `GET /common/userrealm/<user>`.
pub fn user_realm(appliance: &Arc<Appliance>, call: Call) {
    let user = call.path.last().cloned().unwrap_or_default();
    let document = discovery::user_realm(&base(appliance, &call), &user);
    call.answer(Answer::json(200, &document));
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
