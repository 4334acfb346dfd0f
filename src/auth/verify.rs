//! Checks access tokens: signature, algorithm, issuer, audience, times, application. Ours and those of configured outside issuers.
//!
//! A verdict is cached by the token's SHA-256 until the token expires, because checking a signature costs more than storing a message.

use std::collections::{HashMap, HashSet};
use std::sync::{Mutex, PoisonError};

use jwt_simple::prelude::{
    ECDSAP256PublicKeyLike, ES256PublicKey, JWTClaims, RS256PublicKey, RS384PublicKey, RS512PublicKey, RSAPublicKeyLike, Token,
    UnixTimeStamp, VerificationOptions,
};
use serde_json::Value;
use sha2::{Digest, Sha256};

use super::keyring::Keyring;
use super::token::{self, AppClaims};
use crate::model::id::ApplicationId;
use crate::model::time::Timestamp;

/// A longer token is refused unread.
pub const TOKEN_MAX: usize = 16 * 1024;
/// Clocks of clients may differ this much.
pub const LEEWAY_SECONDS: u64 = 60;
/// Verdicts kept.
const CACHE_MAX: usize = 4096;
/// Keys without a matching `kid` that are tried.
const KEYS_TRIED_MAX: usize = 8;

/// Who calls.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Caller {
    /// The application the token was issued to.
    pub application: ApplicationId,
    /// The token's last second, as counted since 1970.
    pub expires: i64,
}

/// Why a token is not accepted: for the body and `error_description` (RFC 6750 §3).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal(pub String);

/// Another issuer whose tokens are accepted.
pub struct Outside {
    issuer: String,
    audiences: Vec<String>,
    keys: Vec<OutsideKey>,
}

struct OutsideKey {
    id: Option<String>,
    algorithm: &'static str,
    verify: Box<dyn Fn(&str, VerificationOptions) -> Option<JWTClaims<AppClaims>> + Send + Sync>,
}

impl Outside {
    /// Reads an issuer's JWKS (RFC 7517): RSA and P-256 keys; others are passed over.
    pub fn new(issuer: &str, audiences: &[String], jwks: &str) -> Result<Outside, String> {
        let jwks: Value = serde_json::from_str(jwks).map_err(|error| format!("it is not JSON: {error}"))?;
        let list = jwks.get("keys").and_then(Value::as_array).ok_or("it has no list named \"keys\"")?;
        let keys: Vec<OutsideKey> = list.iter().flat_map(outside_keys).collect();
        if keys.is_empty() {
            return Err("it holds no RSA or P-256 key for signatures".into());
        }
        Ok(Outside { issuer: issuer.to_owned(), audiences: audiences.to_vec(), keys })
    }
}

fn outside_keys(jwk: &Value) -> Vec<OutsideKey> {
    if jwk.get("use").and_then(Value::as_str).is_some_and(|purpose| purpose != "sig") {
        return Vec::new();
    }
    let id = jwk.get("kid").and_then(Value::as_str).map(str::to_owned);
    let named = jwk.get("alg").and_then(Value::as_str);
    let allowed = |algorithm: &str| named.is_none_or(|named| named == algorithm);
    let mut keys = Vec::new();
    // Only what makes the key: others' members (x5c and the like) are no concern of the reader.
    let pick = |names: &[&str]| {
        Value::Object(names.iter().filter_map(|name| Some((name.to_string(), jwk.get(*name)?.clone()))).collect()).to_string()
    };
    macro_rules! add {
        ($algorithm:literal, $key:ty, $jwk:expr) => {
            if allowed($algorithm) {
                if let Ok(key) = <$key>::from_jwk(&$jwk) {
                    let verify = move |token: &str, options| key.verify_token::<AppClaims>(token, Some(options)).ok();
                    keys.push(OutsideKey { id: id.clone(), algorithm: $algorithm, verify: Box::new(verify) });
                }
            }
        };
    }
    match jwk.get("kty").and_then(Value::as_str) {
        Some("EC") => add!("ES256", ES256PublicKey, pick(&["kty", "crv", "x", "y"])),
        Some("RSA") => {
            let rsa = pick(&["kty", "n", "e"]);
            add!("RS256", RS256PublicKey, rsa);
            add!("RS384", RS384PublicKey, rsa);
            add!("RS512", RS512PublicKey, rsa);
        }
        _ => {}
    }
    keys
}

/// Whether two audiences are the same: with or without a trailing slash, scheme and host in any case.
pub fn same_audience(one: &str, other: &str) -> bool {
    one.trim_end_matches('/').eq_ignore_ascii_case(other.trim_end_matches('/'))
}

/// Checks tokens of one configuration; a new configuration makes a new one.
pub struct Verifier {
    issuer: String,
    audiences: Vec<String>,
    own: Vec<(String, ES256PublicKey)>,
    outside: Vec<Outside>,
    cache: Mutex<HashMap<[u8; 32], Caller>>,
}

impl Verifier {
    /// `audiences` are our own, the first being the issuer's base.
    pub fn new(keyring: &Keyring, audiences: &[String], outside: Vec<Outside>) -> Verifier {
        Verifier {
            issuer: token::issuer(&audiences[0]),
            audiences: audiences.to_vec(),
            own: keyring.keys().iter().map(|key| (key.id.clone(), key.public())).collect(),
            outside,
            cache: Mutex::new(HashMap::new()),
        }
    }

    /// Checks a token.
    pub fn verify(&self, token: &str, now: Timestamp) -> Result<Caller, Refusal> {
        if token.len() > TOKEN_MAX {
            return Err(Refusal("the token is too long".into()));
        }
        let digest: [u8; 32] = Sha256::digest(token.as_bytes()).into();
        let deadline = now.seconds() - LEEWAY_SECONDS as i64;
        let cached = self.cache.lock().unwrap_or_else(PoisonError::into_inner).get(&digest).cloned();
        if let Some(caller) = cached {
            return if caller.expires > deadline { Ok(caller) } else { Err(expired()) };
        }
        let caller = self.verify_uncached(token, now)?;
        let mut cache = self.cache.lock().unwrap_or_else(PoisonError::into_inner);
        if cache.len() >= CACHE_MAX {
            cache.retain(|_, caller| caller.expires > deadline);
            if cache.len() >= CACHE_MAX {
                cache.clear();
            }
        }
        cache.insert(digest, caller.clone());
        Ok(caller)
    }

    fn verify_uncached(&self, token: &str, now: Timestamp) -> Result<Caller, Refusal> {
        let refuse = |reason: &str| Refusal(reason.to_owned());
        let metadata = Token::decode_metadata(token).map_err(|_| refuse("this is no token of ours: it is not a JWT"))?;
        let issuer = unverified_issuer(token).ok_or_else(|| refuse("the token names no issuer"))?;
        let options = VerificationOptions {
            artificial_time: Some(UnixTimeStamp::from_secs(now.seconds().unsigned_abs())),
            time_tolerance: Some(jwt_simple::prelude::Duration::from_secs(LEEWAY_SECONDS)),
            allowed_issuers: Some(HashSet::from([issuer.clone()])),
            max_token_length: Some(TOKEN_MAX),
            ..VerificationOptions::default()
        };
        let fits = |id: Option<&str>| metadata.key_id().is_none_or(|wanted| id.is_none_or(|id| id == wanted));
        let (claims, audiences) = if issuer == self.issuer {
            if metadata.algorithm() != "ES256" {
                return Err(refuse("the token's algorithm is not ES256"));
            }
            let verified = self
                .own
                .iter()
                .filter(|(id, _)| fits(Some(id)))
                .find_map(|(_, key)| key.verify_token::<AppClaims>(token, Some(options.clone())).ok());
            (verified, &self.audiences)
        } else if let Some(outside) = self.outside.iter().find(|outside| outside.issuer == issuer) {
            let keys = outside.keys.iter().filter(|key| key.algorithm == metadata.algorithm() && fits(key.id.as_deref()));
            (keys.take(KEYS_TRIED_MAX).find_map(|key| (key.verify)(token, options.clone())), &outside.audiences)
        } else {
            return Err(Refusal(format!("the token's issuer \"{}\" is not accepted here", issuer.chars().take(200).collect::<String>())));
        };
        let claims = claims.ok_or_else(|| match unverified_times(token) {
            Some((_, Some(exp))) if exp <= now.seconds() - LEEWAY_SECONDS as i64 => expired(),
            Some((Some(nbf), _)) if nbf > now.seconds() + LEEWAY_SECONDS as i64 => refuse("the token is not valid yet: check the clocks"),
            _ => refuse("the token's signature is not ours, or it was made with a key that is no longer used: ask for a new one"),
        })?;
        let expires = claims.expires_at.ok_or_else(|| refuse("the token never expires"))?.as_secs();
        let named: Vec<String> = claims.audiences.map(|audiences| audiences.into_set().into_iter().collect()).unwrap_or_default();
        if !named.iter().any(|named| audiences.iter().any(|known| same_audience(known, named))) {
            return Err(Refusal(format!("the token is for another service, ask for one whose resource is {}", self.audiences[0])));
        }
        let app = claims.custom;
        let application = app.appid.or(app.azp).or(app.client_id).and_then(|id| id.parse().ok());
        let application = application.ok_or_else(|| refuse("the token names no application (appid, azp)"))?;
        Ok(Caller { application, expires: i64::try_from(expires).unwrap_or(i64::MAX) })
    }
}

fn expired() -> Refusal {
    Refusal("the token has expired: ask for a new one".into())
}

fn unverified_claims(token: &str) -> Option<Value> {
    use base64::Engine;
    let payload = token.split('.').nth(1)?;
    let bytes = base64::engine::general_purpose::URL_SAFE_NO_PAD.decode(payload.trim_end_matches('=')).ok()?;
    serde_json::from_slice(&bytes).ok()
}

/// Only to choose the keys; the claim is checked again once the signature holds.
fn unverified_issuer(token: &str) -> Option<String> {
    Some(unverified_claims(token)?.get("iss")?.as_str()?.to_owned())
}

/// Only to explain a refusal.
fn unverified_times(token: &str) -> Option<(Option<i64>, Option<i64>)> {
    let claims = unverified_claims(token)?;
    Some((claims.get("nbf").and_then(Value::as_i64), claims.get("exp").and_then(Value::as_i64)))
}
