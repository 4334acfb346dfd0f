//! Turns an access token into the application that calls, or into a refusal that says why.
//!
//! Checked in this order: size and form, algorithm, issuer, key, signature, times, audience, application. Nothing that a token says
//! is believed before its signature, except which issuer and key to try. Whether the application may use a job is `permit.rs`.
//!
//! A verifier belongs to one configuration: when that or a key set changes, build a new one. Rotations of our own keys need nothing:
//! the verifier shares the keyring, and its remembered verdicts are void with every change of keys.

use std::fmt;
use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Deserialize;
use serde_json::Number;

use super::audience::Audiences;
use super::issuer::{Algorithm, Checked, IssuerError, OutsideIssuer, check_own, quoted};
use super::keyring::{Keyring, LEEWAY};
use super::token::{Version, issuer};
use super::verdict::{Verdicts, token_hash};
use crate::model::id::ApplicationId;
use crate::model::time::Timestamp;

/// The largest token that is looked at, in bytes. Entra's have one to three thousand.
pub const TOKEN_BYTES_MAX: usize = 16 * 1024;

/// Who calls, proven by a token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Caller {
    /// The application.
    pub application: ApplicationId,
    /// Who vouches for it: the token's `iss`.
    pub issuer: Arc<str>,
    /// When the token is over.
    pub expires_at: Timestamp,
}

/// Why a request is not let in. Always 401, with [`Refusal::www_authenticate`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// For the log and the body: what was wrong and what to do. Never holds the token.
    pub reason: String,
    /// The error code of RFC 6750 §3.1; `None` when there was no token at all, as §3 asks.
    pub code: Option<&'static str>,
    /// The token was good once. A client that keeps its token too long, not a stranger.
    pub expired: bool,
}

impl Refusal {
    fn invalid(reason: impl Into<String>) -> Self {
        Refusal { reason: reason.into(), code: Some("invalid_token"), expired: false }
    }

    /// The value of the header `WWW-Authenticate` (RFC 6750 §3).
    pub fn www_authenticate(&self) -> String {
        challenge(self.code.map(|code| (code, self.reason.as_str())))
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.reason)
    }
}

impl std::error::Error for Refusal {}

/// A Bearer challenge, with error code and description. Characters that RFC 6750 §3 does not allow in a description are replaced,
/// and it is cut at 300, so that no text from outside can break out of the header.
pub(super) fn challenge(error: Option<(&str, &str)>) -> String {
    let mut value = String::from("Bearer realm=\"entrepot\"");
    if let Some((code, description)) = error {
        let description: String = description
            .chars()
            .take(300)
            .map(|character| match character {
                '"' | '\\' => '\'',
                ' '..='~' => character,
                _ => '?',
            })
            .collect();
        value.push_str(&format!(", error=\"{code}\", error_description=\"{description}\""));
    }
    value
}

/// The token of an `Authorization` header: `Bearer`, in any case, blanks, and the token.
pub fn bearer(authorization: Option<&str>) -> Result<&str, Refusal> {
    let Some(header) = authorization.map(str::trim).filter(|header| !header.is_empty()) else {
        return Err(Refusal {
            reason: "no access token; fetch one from /<tenant>/oauth2/token and send it as \"Authorization: Bearer <token>\"".into(),
            code: None,
            expired: false,
        });
    };
    let (scheme, token) = header.split_once([' ', '\t']).unwrap_or((header, ""));
    if !scheme.eq_ignore_ascii_case("bearer") {
        let reason = "the Authorization header is not of the scheme Bearer; send \"Authorization: Bearer <token>\"";
        return Err(Refusal { reason: reason.into(), code: Some("invalid_request"), expired: false });
    }
    Ok(token.trim_start())
}

#[derive(Deserialize)]
struct Header {
    alg: String,
    kid: Option<String>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum OneOrMany {
    One(String),
    Many(Vec<String>),
}

impl OneOrMany {
    fn as_slice(&self) -> &[String] {
        match self {
            OneOrMany::One(one) => std::slice::from_ref(one),
            OneOrMany::Many(many) => many,
        }
    }
}

#[derive(Deserialize)]
struct Claims {
    iss: Option<String>,
    aud: Option<OneOrMany>,
    exp: Option<Number>,
    nbf: Option<Number>,
    iat: Option<Number>,
    appid: Option<String>,
    azp: Option<String>,
    client_id: Option<String>,
}

/// Checks tokens. `Send` and `Sync`; shared by all threads.
pub struct Verifier {
    keyring: Arc<Keyring>,
    own_issuers: [Arc<str>; 2],
    audiences: Audiences,
    outside: Vec<(Arc<str>, OutsideIssuer)>,
    verdicts: Verdicts,
}

impl fmt::Debug for Verifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Verifier").field("own_issuers", &self.own_issuers).field("outside", &self.outside).finish_non_exhaustive()
    }
}

/// Issuers are compared with or without trailing slash: people forget it, and the keys belong to the configured issuer either way.
fn same_issuer(left: &str, right: &str) -> bool {
    left.strip_suffix('/').unwrap_or(left) == right.strip_suffix('/').unwrap_or(right)
}

impl Verifier {
    /// A verifier for our own tokens, signed by this keyring under this base URL, for these audiences (the public URL, and the
    /// addresses that we listen at), and for tokens of outside issuers.
    pub fn new<T: AsRef<str>>(
        keyring: Arc<Keyring>,
        issuer_base: &str,
        audiences: impl IntoIterator<Item = T>,
        outside: Vec<OutsideIssuer>,
    ) -> Result<Self, IssuerError> {
        let own_issuers: [Arc<str>; 2] = [issuer(issuer_base, Version::V1).into(), issuer(issuer_base, Version::V2).into()];
        let mut named: Vec<(Arc<str>, OutsideIssuer)> = Vec::with_capacity(outside.len());
        for one in outside {
            let name: Arc<str> = one.issuer.as_str().into();
            if own_issuers.iter().chain(named.iter().map(|(name, _)| name)).any(|known| same_issuer(known, &name)) {
                return Err(IssuerError::Twice { issuer: one.issuer });
            }
            named.push((name, one));
        }
        Ok(Verifier { keyring, own_issuers, audiences: Audiences::new(audiences), outside: named, verdicts: Verdicts::default() })
    }

    /// The caller that this token proves, at this time.
    pub fn verify(&self, token: &str, now: Timestamp) -> Result<Caller, Refusal> {
        if token.len() > TOKEN_BYTES_MAX {
            return Err(Refusal::invalid(format!("the access token is longer than {TOKEN_BYTES_MAX} bytes")));
        }
        let hash = token_hash(token);
        // Read before the keys are: a change in between makes the verdict void, never wrong.
        let generation = self.keyring.generation();
        if let Some(caller) = self.verdicts.recall(&hash, generation, now) {
            return Ok(caller);
        }
        let caller = self.check(token, now)?;
        self.verdicts.remember(hash, generation, now, caller.clone());
        Ok(caller)
    }

    fn check(&self, token: &str, now: Timestamp) -> Result<Caller, Refusal> {
        let (header, claims) = read(token)?;
        let algorithm = Algorithm::from_name(&header.alg)
            .ok_or_else(|| Refusal::invalid(format!("the access token's algorithm {} is not accepted", quoted(&header.alg))))?;
        let stated = claims.iss.as_deref().ok_or_else(|| Refusal::invalid("the access token names no issuer"))?;

        let (issuer, audiences) = if let Some(own) = self.own_issuers.iter().find(|own| ***own == *stated) {
            self.check_own_signature(token, algorithm, header.kid.as_deref(), now)?;
            (own, &self.audiences)
        } else if let Some((name, outside)) = self.outside.iter().find(|(name, _)| same_issuer(name, stated)) {
            check_outside_signature(outside, token, algorithm, header.kid.as_deref())?;
            (name, &outside.audiences)
        } else {
            return Err(Refusal::invalid(format!(
                "the access token is of issuer {}, which is not accepted; fetch one here, or add an [[issuer]]",
                quoted(stated)
            )));
        };

        let expires_at = check_times(&claims, now)?;
        check_audience(&claims, audiences)?;
        Ok(Caller { application: application(&claims)?, issuer: issuer.clone(), expires_at })
    }

    fn check_own_signature(&self, token: &str, algorithm: Algorithm, kid: Option<&str>, now: Timestamp) -> Result<(), Refusal> {
        if algorithm != Algorithm::Es256 {
            return Err(Refusal::invalid(format!("the access token's algorithm {} is not ours, ES256", algorithm.name())));
        }
        let Some(key) = kid.and_then(|kid| self.keyring.public_key(kid, now)) else {
            return Err(Refusal::invalid("the access token was signed by a key that is no longer in use; fetch a new token"));
        };
        match check_own(&key, token) {
            Checked::Good => Ok(()),
            Checked::Bad => Err(bad_signature()),
            Checked::Malformed(reason) => Err(malformed(&reason)),
        }
    }
}

fn bad_signature() -> Refusal {
    Refusal::invalid("the access token's signature is wrong")
}

fn malformed(reason: &str) -> Refusal {
    Refusal::invalid(format!("the access token can not be understood: {reason}"))
}

/// Header and claims of a token, not yet to be believed.
fn read(token: &str) -> Result<(Header, Claims), Refusal> {
    let parts: Vec<&str> = token.splitn(4, '.').collect();
    let [header, claims, _signature] = parts[..] else {
        return Err(malformed("expected three parts with dots between them"));
    };
    let decode = |part: &str, name: &str| {
        URL_SAFE_NO_PAD.decode(part).map_err(|_| malformed(&format!("its {name} is not base64url without padding")))
    };
    let header: Header = serde_json::from_slice(&decode(header, "header")?).map_err(|_| malformed("its header is not that of a JWT"))?;
    let claims: Claims =
        serde_json::from_slice(&decode(claims, "claims part")?).map_err(|_| malformed("its claims are not those of an access token"))?;
    Ok((header, claims))
}

fn check_outside_signature(outside: &OutsideIssuer, token: &str, algorithm: Algorithm, kid: Option<&str>) -> Result<(), Refusal> {
    let mut tried = false;
    for key in outside.keys_for(algorithm, kid) {
        tried = true;
        match key.check(algorithm, token) {
            Checked::Good => return Ok(()),
            Checked::Bad => {}
            Checked::Malformed(reason) => return Err(malformed(&reason)),
        }
    }
    match kid {
        _ if tried => Err(bad_signature()),
        Some(kid) if outside.has_key(kid) => {
            Err(Refusal::invalid(format!("the access token's algorithm {} does not fit its key {}", algorithm.name(), quoted(kid))))
        }
        Some(kid) => {
            outside.wish_for_keys();
            Err(Refusal::invalid(format!(
                "the access token was signed by key {}, which is not in the key set of its issuer; \
                 renew the key set if the issuer has new keys",
                quoted(kid)
            )))
        }
        None => Err(Refusal::invalid(format!("the key set of the access token's issuer has no key for {}", algorithm.name()))),
    }
}

/// Whole seconds of a NumericDate, which may have a fraction (RFC 7519 §2). Absurd numbers saturate.
fn seconds(date: &Number) -> i64 {
    date.as_i64().unwrap_or_else(|| date.as_f64().map_or(0, |date| date.floor() as i64))
}

/// `exp` must be there and not be over; `nbf` and `iat` must not lie ahead; all with [`LEEWAY`]. Tells when the token is over.
fn check_times(claims: &Claims, now: Timestamp) -> Result<Timestamp, Refusal> {
    let leeway = i64::try_from(LEEWAY.as_secs()).unwrap_or(0);
    let now = now.seconds();
    let instant = |seconds: i64| Timestamp(seconds.saturating_mul(1000));
    let Some(expires) = claims.exp.as_ref().map(seconds) else {
        return Err(Refusal::invalid("the access token does not say when it is over (exp)"));
    };
    if now >= expires.saturating_add(leeway) {
        let reason = format!("the access token was over at {}; fetch a new one", instant(expires));
        return Err(Refusal { expired: true, ..Refusal::invalid(reason) });
    }
    for (name, date) in [("nbf", &claims.nbf), ("iat", &claims.iat)] {
        if let Some(date) = date.as_ref().map(seconds)
            && date > now.saturating_add(leeway)
        {
            return Err(Refusal::invalid(format!(
                "the access token is not valid before {} ({name}), and it is {} here; compare the clocks",
                instant(date),
                instant(now)
            )));
        }
    }
    Ok(instant(expires))
}

fn check_audience(claims: &Claims, audiences: &Audiences) -> Result<(), Refusal> {
    let stated = claims.aud.as_ref().map_or(&[][..], OneOrMany::as_slice);
    if stated.iter().any(|audience| audiences.contains(audience)) {
        return Ok(());
    }
    Err(Refusal::invalid(match stated.first() {
        None => "the access token names no audience".to_owned(),
        Some(first) => {
            format!(
                "the access token is for {}, not for this server; ask for one with this server's URL as resource or scope",
                quoted(first)
            )
        }
    }))
}

/// The application: `appid` (version 1) or `azp` (version 2), else `client_id`, as other issuers call it.
fn application(claims: &Claims) -> Result<ApplicationId, Refusal> {
    let (name, text) = match (&claims.appid, &claims.azp, &claims.client_id) {
        (Some(appid), Some(azp), _) if appid != azp => {
            return Err(Refusal::invalid("the access token names two applications, in appid and azp"));
        }
        (Some(id), _, _) => ("appid", id),
        (None, Some(id), _) => ("azp", id),
        (None, None, Some(id)) => ("client_id", id),
        (None, None, None) => return Err(Refusal::invalid("the access token names no application (appid, azp or client_id)")),
    };
    text.parse().map_err(|_| Refusal::invalid(format!("the access token's {name} {} is not a GUID", quoted(text))))
}

#[cfg(test)]
mod tests;
