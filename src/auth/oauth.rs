//! The token endpoint as a function of values: RFC 6749 §4.4 (client credentials), §5.1, §5.2, in both of Microsoft's shapes (CONTRACT §3).

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use super::keyring::Keyring;
use super::token::{self, Version};
use super::{secret, verify};
use crate::config::Application;
use crate::model::id::ApplicationId;
use crate::model::time::Timestamp;

/// A form larger than this is refused.
pub const FORM_MAX: usize = 64 * 1024;

/// What the endpoint answers, always with `Cache-Control: no-store`.
#[derive(Debug, PartialEq)]
pub struct Answer {
    /// HTTP status.
    pub status: u16,
    /// The body.
    pub json: Value,
    /// Whether `WWW-Authenticate: Basic` goes with it (RFC 6749 §5.2).
    pub challenge: bool,
    /// The application, for the log.
    pub application: Option<ApplicationId>,
}

/// A token request.
pub struct Request<'a> {
    /// The form, `application/x-www-form-urlencoded`.
    pub body: &'a [u8],
    /// The `Authorization` header.
    pub authorization: Option<&'a str>,
    /// Which endpoint.
    pub version: Version,
}

/// Answers a token request. `audiences` are what tokens may be for; the first is the default and the issuer's base.
pub fn answer(request: &Request<'_>, keyring: &Keyring, audiences: &[String], applications: &[Application], now: Timestamp) -> Answer {
    match grant(request, audiences, applications) {
        Ok((application, audience)) => match token::issue(keyring, &audiences[0], application, &audience, request.version, now) {
            Ok(json) => Answer { status: 200, json, challenge: false, application: Some(application) },
            Err(reason) => refuse(500, "server_error", &format!("the token could not be signed: {reason}"), now),
        },
        Err(refusal) => refuse(refusal.0, refusal.1, &refusal.2, now),
    }
}

type Refusal = (u16, &'static str, String);

fn refuse(status: u16, error: &str, description: &str, now: Timestamp) -> Answer {
    let json = json!({ "error": error, "error_description": description, "error_codes": [], "timestamp": now.rfc3339() });
    Answer { status, json, challenge: status == 401, application: None }
}

fn grant(request: &Request<'_>, audiences: &[String], applications: &[Application]) -> Result<(ApplicationId, String), Refusal> {
    let bad = |description: &str| (400, "invalid_request", description.to_owned());
    if request.body.len() > FORM_MAX {
        return Err(bad("the form is too large"));
    }
    let form = parse_form(request.body).ok_or_else(|| bad("the body is not a form, application/x-www-form-urlencoded"))?;
    let one = |name: &str| {
        let mut values = form.iter().filter(|(key, _)| key == name).map(|(_, value)| value.as_str());
        match (values.next(), values.next()) {
            (_, Some(_)) => Err(bad(&format!("\"{name}\" stands twice"))),
            (value, None) => Ok(value.filter(|value| !value.is_empty())),
        }
    };
    match one("grant_type")? {
        Some("client_credentials") => {}
        Some(other) => {
            return Err((400, "unsupported_grant_type", format!("grant type \"{other}\" is not supported, use client_credentials")));
        }
        None => return Err(bad("\"grant_type\" is missing, use client_credentials")),
    }
    let basic = request
        .authorization
        .map(|header| parse_basic(header).ok_or_else(|| bad("the Authorization header is not Basic with client id and secret")))
        .transpose()?;
    let (id, given) = match (basic, one("client_id")?, one("client_secret")?) {
        (Some((id, given)), form_id, None) if form_id.is_none_or(|form_id| form_id == id) => (id, given),
        (Some(_), _, _) => return Err(bad("client credentials both in the Authorization header and in the body")),
        (None, Some(id), Some(given)) => (id.to_owned(), given.to_owned()),
        (None, None, _) => return Err(bad("\"client_id\" is missing")),
        (None, Some(_), None) => return Err(bad("\"client_secret\" is missing")),
    };
    // An unknown client costs the same comparison as a wrong secret, and gets the same answer.
    let application = id.parse::<ApplicationId>().ok().and_then(|id| applications.iter().find(|application| application.id == id));
    let expected = application.filter(|application| application.enabled).and_then(|application| application.secret_hash);
    let matches = secret::matches(&given, &expected.unwrap_or([0; 32]));
    let application = match (application, expected, matches) {
        (Some(application), Some(_), true) => application.id,
        _ => return Err((401, "invalid_client", "the client id is unknown or disabled, or its secret is wrong; an operator can list applications in the configuration and make a new secret".into())),
    };
    let audience = match request.version {
        Version::V1 => one("resource")?.map(str::to_owned),
        Version::V2 => match one("scope")? {
            None => None,
            Some(scope) => {
                let audience = scope.split_ascii_whitespace().find_map(|part| part.strip_suffix("/.default"));
                Some(
                    audience
                        .ok_or_else(|| {
                            (400, "invalid_scope", format!("scope \"{scope}\" is not understood, use {}/.default", audiences[0]))
                        })?
                        .to_owned(),
                )
            }
        },
    };
    let audience = audience.unwrap_or_else(|| audiences[0].clone());
    if !audiences.iter().any(|known| verify::same_audience(known, &audience)) {
        let error = if request.version == Version::V1 { "invalid_resource" } else { "invalid_scope" };
        return Err((400, error, format!("this appliance is not \"{audience}\", ask for {}", audiences[0])));
    }
    Ok((application, audience))
}

/// Decodes a form into pairs; `None` when it is not one.
pub fn parse_form(body: &[u8]) -> Option<Vec<(String, String)>> {
    let text = std::str::from_utf8(body).ok()?;
    text.split('&')
        .filter(|pair| !pair.is_empty())
        .map(|pair| {
            let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
            Some((decode(key)?, decode(value)?))
        })
        .collect()
}

/// Percent-decoding with `+` for a blank; `None` for a broken escape or bytes that are not UTF-8.
pub fn decode(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'+' => b' ',
            b'%' => {
                let (high, low) = (char::from(rest.next()?).to_digit(16)?, char::from(rest.next()?).to_digit(16)?);
                u8::try_from(high * 16 + low).ok()?
            }
            other => other,
        });
    }
    String::from_utf8(bytes).ok()
}

/// RFC 6749 §2.3.1: form-encoded id and secret, joined by a colon, in base64.
fn parse_basic(header: &str) -> Option<(String, String)> {
    let (scheme, encoded) = header.split_once(' ')?;
    if !scheme.eq_ignore_ascii_case("basic") {
        return None;
    }
    let text = String::from_utf8(STANDARD.decode(encoded.trim()).ok()?).ok()?;
    let (id, given) = text.split_once(':')?;
    Some((decode(id)?, decode(given)?))
}
