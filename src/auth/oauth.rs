//! The token endpoint as a function: a form and a header in, a status and a JSON text out (RFC 6749 §4.4, CONTRACT §3).
//!
//! One grant, `client_credentials`; the secret in the body or by Basic. Both versions take `resource` and `scope`: msal uses whatever
//! path the discovery document names, and ADAL sends `scope=openid` beside `resource`. Members that we do not know are ignored.
//!
//! An unknown client and a wrong secret get the same answer after the same work. The answer must not be kept by anyone on the way:
//! `Cache-Control: no-store` and `Pragma: no-cache` are the caller's to send.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::{Value, json};

use super::audience::Audiences;
use super::form::{parse_basic, parse_form};
use super::issuer::quoted;
use super::keyring::Keyring;
use super::secret;
use super::token::{self, Version};
use crate::model::id::ApplicationId;
use crate::model::time::Timestamp;

/// What the endpoint knows of an application.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Client {
    /// SHA-256 of its secret; `None` when only outside issuers speak for it.
    pub secret_hash: Option<[u8; 32]>,
    /// A disabled application gets no token.
    pub enabled: bool,
}

impl From<&crate::config::Application> for Client {
    fn from(application: &crate::config::Application) -> Self {
        Client { secret_hash: application.secret_hash, enabled: application.enabled }
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

fn refuse<T>(status: u16, error: &'static str, code: u32, description: impl Into<String>) -> Result<T, Refused> {
    Err(Refused { status, error, code, description: description.into() })
}

impl TokenEndpoint<'_> {
    /// Answers a request.
    pub fn answer(&self, request: &TokenRequest<'_>, now: Timestamp) -> Answer {
        match self.grant(request, now) {
            Ok((application, json)) => Answer { status: 200, json, www_authenticate: None, application: Some(application) },
            Err(refused) => Answer {
                status: refused.status,
                json: json!({
                    "error": refused.error,
                    "error_description": format!("AADSTS{}: {}", refused.code, refused.description),
                    "error_codes": [refused.code],
                    "timestamp": now.to_utc().format("%Y-%m-%d %H:%M:%SZ").to_string(),
                }),
                www_authenticate: (refused.status == 401).then(|| "Basic realm=\"entrepot\"".to_owned()),
                application: None,
            },
        }
    }

    /// 1. read the form; 2. the grant; 3. who asks; 4. for what; 5. issue.
    fn grant(&self, request: &TokenRequest<'_>, now: Timestamp) -> Result<(ApplicationId, Value), Refused> {
        let form = parse_form(request.body).or_else(|error| refuse(400, "invalid_request", 900_144, error.to_string()))?;
        check_grant(&form, request)?;
        let application = self.authenticate(&form, request)?;
        let audience = self.audience(&form, request.version)?;
        match token::issue(self.keyring, self.issuer_base, application, &audience, request.version, now, self.lifetime) {
            Ok(issued) => Ok((application, issued.to_json())),
            // Ours, not the client's: it may try again.
            Err(error) => refuse(500, "server_error", 90_033, error.to_string()),
        }
    }

    fn authenticate(&self, form: &BTreeMap<String, String>, request: &TokenRequest<'_>) -> Result<ApplicationId, Refused> {
        let (id, presented) = credentials(form, request.authorization)?;
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
    fn audience(&self, form: &BTreeMap<String, String>, version: Version) -> Result<String, Refused> {
        let resource = form.get("resource").map(String::as_str);
        let scope = form.get("scope").map(String::as_str).filter(|scope| scope.split_ascii_whitespace().any(|one| !is_openid(one)));
        let asked = match (version, resource, scope) {
            (Version::V1, Some(resource), _) | (Version::V2, Some(resource), None) => resource.to_owned(),
            (_, _, Some(scope)) => audience_of_scope(scope, self.issuer_base)?,
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

/// `<audience>/.default`, the only scope there is. An audience that ends in a slash has two, as with Entra ID.
fn audience_of_scope(scope: &str, issuer_base: &str) -> Result<String, Refused> {
    let mut scopes = scope.split_ascii_whitespace().filter(|one| !is_openid(one));
    match (scopes.next().and_then(|one| one.strip_suffix("/.default")), scopes.next()) {
        (Some(audience), None) => Ok(audience.to_owned()),
        _ => refuse(
            400,
            "invalid_scope",
            1_002_012,
            format!("the scope {} is not known; ask for scope={issuer_base}/.default", quoted(scope)),
        ),
    }
}

fn check_grant(form: &BTreeMap<String, String>, request: &TokenRequest<'_>) -> Result<(), Refused> {
    match form.get("grant_type").map(String::as_str) {
        Some("client_credentials") => Ok(()),
        Some(other) => refuse(
            400,
            "unsupported_grant_type",
            70_003,
            format!(
                "the grant {} is not supported here (tenant {}), only client_credentials; let the program sign in as an application with \
                 client id and secret, not as a user",
                quoted(other),
                quoted(request.tenant)
            ),
        ),
        None => refuse(
            400,
            "invalid_request",
            900_144,
            "the form has no grant_type; send grant_type=client_credentials as application/x-www-form-urlencoded",
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

#[cfg(test)]
mod tests;
