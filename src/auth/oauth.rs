//! The token endpoint as a function: a form and a header in, a status and a JSON text out (RFC 6749, CONTRACT §3).
//!
//! The grant for programs is `client_credentials`; the secret in the body or by Basic. For people who sign in with a program, where its
//! `[[application]]` names them, there are `password`, `refresh_token` and the device code (`people`). Both versions take `resource` and `scope`: msal uses whatever
//! path the discovery document names, and ADAL sends `scope=openid` beside `resource`. Members that we do not know are ignored.
//!
//! An unknown client and a wrong secret get the same answer after the same work. The answer must not be kept by anyone on the way:
//! `Cache-Control: no-store` and `Pragma: no-cache` are the caller's to send.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::{Value, json};

use super::audience::Audiences;
use super::device::Devices;
use super::form::{parse_basic, parse_form};
use super::issuer::quoted;
use super::keyring::Keyring;
use super::secret;
use super::signed_url::UrlKey;
use super::token::{self, Version, Wish};
use crate::model::id::ApplicationId;
use crate::model::time::Timestamp;

/// What the endpoint knows of an application.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Client {
    /// SHA-256 of its secret; `None` when only outside issuers speak for it.
    pub secret_hash: Option<[u8; 32]>,
    /// A disabled application gets no token.
    pub enabled: bool,
    /// People who may sign in for it without its secret; their names in any case.
    pub users: Vec<String>,
}

impl Client {
    /// Whether a person may sign in for the application.
    pub fn has(&self, person: &str) -> bool {
        let person = person.to_lowercase();
        self.users.iter().any(|name| name.to_lowercase() == person)
    }
}

/// A person, as far as the endpoint needs to know.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Person {
    /// The name, as it is kept.
    pub name: String,
    /// [`super::sign_in::password_mark`] of the password.
    pub mark: String,
}

/// It could not be looked up who somebody is; the log says why.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unavailable;

/// Who the people are.
pub trait People {
    /// The person whose name and password these are. The same work whether the name exists or not.
    fn sign_in(&self, name: &str, password: &str) -> Result<Option<Person>, Unavailable>;
    /// The person of a name.
    fn find(&self, name: &str) -> Result<Option<Person>, Unavailable>;
}

impl From<&crate::config::Application> for Client {
    fn from(application: &crate::config::Application) -> Self {
        Client { secret_hash: application.secret_hash, enabled: application.enabled, users: application.users.clone() }
    }
}

/// What the endpoint works with: fixed for one configuration.
pub struct TokenEndpoint<'a> {
    /// Signs.
    pub keyring: &'a Keyring,
    /// Base of the `iss` claim, and the audience when the client names none: the public URL.
    pub issuer_base: &'a str,
    /// The audiences that a client may ask for.
    pub audiences: &'a Audiences,
    /// Finds an application.
    pub client: &'a dyn Fn(ApplicationId) -> Option<Client>,
    /// Knows the people.
    pub people: &'a dyn People,
    /// The device codes that wait.
    pub devices: &'a Devices,
    /// Seals refresh tokens.
    pub seal: &'a UrlKey,
    /// How long a token lives.
    pub lifetime: Duration,
}

/// A request to the endpoint.
#[derive(Clone, Copy, Debug)]
pub struct TokenRequest<'a> {
    /// The body, a form.
    pub body: &'a [u8],
    /// The `Authorization` header, if there is one.
    pub authorization: Option<&'a str>,
    /// The tenant of the path, as the client wrote it. Any will do (CONTRACT §3); it comes back in the explanation of a refusal.
    pub tenant: &'a str,
    /// Which of the two paths.
    pub version: Version,
}

/// The answer.
#[derive(Clone, Debug, PartialEq)]
pub struct Answer {
    /// HTTP status: 200, 400, 401 or 500.
    pub status: u16,
    /// The body.
    pub json: Value,
    /// The header `WWW-Authenticate`, with a 401 (RFC 6749 §5.2).
    pub www_authenticate: Option<String>,
    /// The application that got a token: for the log. `None` with every refusal before the secret was seen to be right.
    pub application: Option<ApplicationId>,
}

/// A refusal on its way to an answer.
struct Refused {
    status: u16,
    /// RFC 6749 §5.2, or `invalid_resource` as Entra ID calls it.
    error: &'static str,
    /// The number that programs written for Entra ID look for.
    code: u32,
    description: String,
}

impl Refused {
    fn answer(self, now: Timestamp) -> Answer {
        Answer {
            status: self.status,
            json: json!({
                "error": self.error,
                "error_description": format!("AADSTS{}: {}", self.code, self.description),
                "error_codes": [self.code],
                "timestamp": now.to_utc().format("%Y-%m-%d %H:%M:%SZ").to_string(),
            }),
            www_authenticate: (self.status == 401).then(|| "Basic realm=\"entrepot\"".to_owned()),
            application: None,
        }
    }
}

fn refuse<T>(status: u16, error: &'static str, code: u32, description: impl Into<String>) -> Result<T, Refused> {
    Err(Refused { status, error, code, description: description.into() })
}

impl TokenEndpoint<'_> {
    /// Answers a request.
    pub fn answer(&self, request: &TokenRequest<'_>, now: Timestamp) -> Answer {
        match self.grant(request, now) {
            Ok((application, json)) => Answer { status: 200, json, www_authenticate: None, application: Some(application) },
            Err(refused) => refused.answer(now),
        }
    }

    /// The application that a request for a device code names, when people may sign in for it; else the refusal.
    pub fn may_begin(&self, body: &[u8], authorization: Option<&str>, now: Timestamp) -> Result<ApplicationId, Answer> {
        let form = parse_form(body).or_else(|error| refuse(400, "invalid_request", 900_144, error.to_string()));
        form.and_then(|form| self.of_people(&form, authorization)).map(|(id, _)| id).map_err(|refused| refused.answer(now))
    }

    /// 1. read the form; 2. the grant says who asks; 3. for what; 4. issue.
    fn grant(&self, request: &TokenRequest<'_>, now: Timestamp) -> Result<(ApplicationId, Value), Refused> {
        let form = parse_form(request.body).or_else(|error| refuse(400, "invalid_request", 900_144, error.to_string()))?;
        let (application, person) = match form.get("grant_type").map(String::as_str) {
            Some("client_credentials") => (self.authenticate(&form, request.authorization)?, None),
            Some("password") => self.by_password(&form, request.authorization)?,
            Some("refresh_token") => self.by_refresh_token(&form, request.authorization, now)?,
            // The same grant as version 1 and RFC 8628 name it.
            Some("device_code" | "urn:ietf:params:oauth:grant-type:device_code") => {
                self.by_device_code(&form, request.authorization, now)?
            }
            Some(other) => {
                return refuse(
                    400,
                    "unsupported_grant_type",
                    70_003,
                    format!(
                        "the grant {} is not supported here (tenant {}), only client_credentials and, for people, password, refresh_token and \
                         device_code; let the program sign in as an application with client id and secret",
                        quoted(other),
                        quoted(request.tenant)
                    ),
                );
            }
            None => {
                return refuse(
                    400,
                    "invalid_request",
                    900_144,
                    "the form has no grant_type; send grant_type=client_credentials as application/x-www-form-urlencoded",
                );
            }
        };
        let audience = self.audience(&form, request.version, person.is_some())?;
        let name = person.as_ref().map(|person| person.name.as_str());
        let wish = Wish { application, person: name, audience: &audience, version: request.version, lifetime: self.lifetime };
        // Ours, not the client's: it may try again.
        let ours = |error: token::NotSigned| Refused { status: 500, error: "server_error", code: 90_033, description: error.to_string() };
        let mut json = token::issue(self.keyring, self.issuer_base, &wish, now).map_err(ours)?.to_json();
        if let Some(person) = &person {
            self.add_person(&mut json, &form, &wish, person, now).map_err(ours)?;
        }
        Ok((application, json))
    }

    fn authenticate(&self, form: &BTreeMap<String, String>, authorization: Option<&str>) -> Result<ApplicationId, Refused> {
        let (id, presented) = credentials(form, authorization)?;
        let application: Option<ApplicationId> = id.parse().ok();
        let client = application.and_then(|id| (self.client)(id));
        // The same work whether the client exists or not.
        let right = secret::verify(&presented, client.as_ref().and_then(|client| client.secret_hash.as_ref()));
        match (application, client) {
            (Some(application), Some(client)) if right && client.enabled => Ok(application),
            (Some(application), Some(_)) if right => refuse(
                400,
                "unauthorized_client",
                7_000_112,
                format!("application {application} is disabled; ask the operator to enable it"),
            ),
            _ => refuse(
                401,
                "invalid_client",
                7_000_215,
                "there is no application with this client id, or the client secret is not its secret; the client id is the GUID of an \
                 [[application]], the secret is the one shown by `entrepot app add` or `entrepot app rotate`, not its hash",
            ),
        }
    }

    /// The audience that the token is for: what `resource` (version 1) or `scope` (version 2) names, else what the other names, else
    /// our own.
    fn audience(&self, form: &BTreeMap<String, String>, version: Version, of_person: bool) -> Result<String, Refused> {
        let resource = form.get("resource").map(String::as_str);
        let scope = form.get("scope").map(String::as_str).filter(|scope| scope.split_ascii_whitespace().any(|one| !is_openid(one)));
        let asked = match (version, resource, scope) {
            (Version::V1, Some(resource), _) | (Version::V2, Some(resource), None) => resource.to_owned(),
            (_, _, Some(scope)) => audience_of_scope(scope, self.issuer_base, of_person)?,
            (_, None, None) => return Ok(self.issuer_base.trim_end_matches('/').to_owned()),
        };
        if self.audiences.contains(&asked) {
            return Ok(asked);
        }
        let member = match version {
            Version::V1 => format!("resource={}", self.issuer_base),
            Version::V2 => format!("scope={}/.default", self.issuer_base),
        };
        refuse(400, "invalid_resource", 500_011, format!("{} is not this server; ask for {member}", quoted(&asked)))
    }
}

/// Scopes of OpenID Connect, which libraries add by themselves and which mean nothing here.
fn is_openid(scope: &str) -> bool {
    ["openid", "profile", "offline_access", "email"].contains(&scope)
}

/// `<audience>/.default`, the only scope there is, beside the one of people. An audience that ends in a slash has two, as with Entra ID.
fn audience_of_scope(scope: &str, issuer_base: &str, of_person: bool) -> Result<String, Refused> {
    let mut scopes = scope.split_ascii_whitespace().filter(|one| !is_openid(one));
    let named = |one: &'_ str| {
        let (audience, last) = one.rsplit_once('/')?;
        (last == ".default" || of_person && last == token::USER_SCOPE).then(|| audience.to_owned())
    };
    match (scopes.next().and_then(named), scopes.next()) {
        (Some(audience), None) => Ok(audience),
        _ => refuse(
            400,
            "invalid_scope",
            1_002_012,
            format!("the scope {} is not known; ask for scope={issuer_base}/.default", quoted(scope)),
        ),
    }
}

/// Client id and secret, from the body or by Basic. Both is fine as long as they agree (RFC 6749 §2.3 wants one; clients do both).
fn credentials(form: &BTreeMap<String, String>, authorization: Option<&str>) -> Result<(String, String), Refused> {
    let basic = match authorization.and_then(parse_basic) {
        Some(Ok(pair)) => Some(pair),
        Some(Err(bad)) => return refuse(401, "invalid_client", 7_000_216, bad.to_string()),
        None => None,
    };
    let (body_id, body_secret) = (form.get("client_id"), form.get("client_secret"));
    if let Some((id, secret)) = basic {
        if body_id.is_some_and(|body| !same_client(body, &id)) || body_secret.is_some_and(|body| !secret::same(body, &secret)) {
            return refuse(
                400,
                "invalid_request",
                900_144,
                "the form and the Authorization header name different clients or secrets; send them in one place only",
            );
        }
        return Ok((id, secret));
    }
    match (body_id, body_secret) {
        (Some(id), Some(secret)) => Ok((id.clone(), secret.clone())),
        (None, _) => refuse(400, "invalid_request", 900_144, "no client_id; send it in the form, or with the secret by Basic"),
        (Some(_), None) if form.contains_key("client_assertion") => {
            refuse(401, "invalid_client", 7_000_218, "client_assertion (a certificate) is not supported; send client_secret")
        }
        (Some(_), None) => refuse(401, "invalid_client", 7_000_218, "no client_secret; send it in the form, or by Basic"),
    }
}

fn same_client(left: &str, right: &str) -> bool {
    left == right || matches!((left.parse::<ApplicationId>(), right.parse::<ApplicationId>()), (Ok(left), Ok(right)) if left == right)
}

mod people;

#[cfg(test)]
mod tests;
