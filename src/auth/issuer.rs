//! Outside issuers, such as Microsoft Entra ID: their public keys from a JWK set (RFC 7517), and which algorithms each key may check.
//!
//! Only RSA (RS256, RS384, RS512, PS256) and EC (ES256, ES384) signatures exist here: there is no way to name `none` or an HMAC. RSA
//! only verifies, never signs (RUSTSEC-2023-0071). A key that can not be used is left out with a note, because a set may hold keys for
//! other purposes; a set without any usable key is an error.

use std::fmt;
use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jwt_simple::JWTError;
use jwt_simple::algorithms::{
    ECDSAP256PublicKeyLike, ECDSAP384PublicKeyLike, ES256PublicKey, ES384PublicKey, PS256PublicKey, RS256PublicKey, RS384PublicKey,
    RS512PublicKey, RSAPublicKeyLike,
};
use jwt_simple::claims::NoCustomClaims;
use jwt_simple::common::VerificationOptions;
use jwt_simple::reexports::coarsetime;
use serde::Deserialize;
use serde_json::Value;

use super::audience::Audiences;

/// The largest JWK set that is read, in bytes. Entra's has about 20 KB.
pub const JWKS_BYTES_MAX: usize = 1024 * 1024;

/// Keys taken from one set.
pub const JWKS_KEYS_MAX: usize = 256;

/// Keys that are tried on a token that names none: each try is a signature check that somebody else asked for.
pub const KEYS_TRIED_MAX: usize = 8;

/// A signature algorithm that we accept. The type is the list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Algorithm {
    Es256,
    Es384,
    Rs256,
    Rs384,
    Rs512,
    Ps256,
}

impl Algorithm {
    const ALL: [(Algorithm, &'static str); 6] = [
        (Algorithm::Es256, "ES256"),
        (Algorithm::Es384, "ES384"),
        (Algorithm::Rs256, "RS256"),
        (Algorithm::Rs384, "RS384"),
        (Algorithm::Rs512, "RS512"),
        (Algorithm::Ps256, "PS256"),
    ];

    /// By its name in `alg` (RFC 7518 §3.1), which is case-sensitive.
    pub(super) fn from_name(name: &str) -> Option<Self> {
        Self::ALL.iter().find(|(_, known)| *known == name).map(|(algorithm, _)| *algorithm)
    }

    pub(super) fn name(self) -> &'static str {
        Self::ALL.iter().find(|(algorithm, _)| *algorithm == self).map_or("", |(_, name)| name)
    }
}

/// A public key, ready to check signatures.
enum Material {
    /// One RSA key, once per algorithm that may use it.
    Rsa(Box<(RS256PublicKey, RS384PublicKey, RS512PublicKey, PS256PublicKey)>),
    P256(Box<ES256PublicKey>),
    P384(Box<ES384PublicKey>),
}

/// A key of an outside issuer.
pub(super) struct OutsideKey {
    kid: Option<String>,
    /// The only algorithm that the key may be used with, when its issuer says so.
    only: Option<Algorithm>,
    material: Material,
}

/// What checking one signature came to.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Checked {
    /// The key made this signature.
    Good,
    /// It did not.
    Bad,
    /// The token can not be understood, whatever the key; why.
    Malformed(String),
}

impl OutsideKey {
    pub(super) fn fits(&self, algorithm: Algorithm) -> bool {
        let by_type = match self.material {
            Material::Rsa(_) => matches!(algorithm, Algorithm::Rs256 | Algorithm::Rs384 | Algorithm::Rs512 | Algorithm::Ps256),
            Material::P256(_) => algorithm == Algorithm::Es256,
            Material::P384(_) => algorithm == Algorithm::Es384,
        };
        by_type && self.only.is_none_or(|only| only == algorithm)
    }

    /// Checks the signature with this algorithm, which must fit.
    pub(super) fn check(&self, algorithm: Algorithm, token: &str) -> Checked {
        let options = Some(signature_only());
        let result = match (&self.material, algorithm) {
            (Material::Rsa(keys), Algorithm::Rs256) => keys.0.verify_token::<NoCustomClaims>(token, options),
            (Material::Rsa(keys), Algorithm::Rs384) => keys.1.verify_token::<NoCustomClaims>(token, options),
            (Material::Rsa(keys), Algorithm::Rs512) => keys.2.verify_token::<NoCustomClaims>(token, options),
            (Material::Rsa(keys), Algorithm::Ps256) => keys.3.verify_token::<NoCustomClaims>(token, options),
            (Material::P256(key), Algorithm::Es256) => key.verify_token::<NoCustomClaims>(token, options),
            (Material::P384(key), Algorithm::Es384) => key.verify_token::<NoCustomClaims>(token, options),
            _ => return Checked::Bad,
        };
        checked(result.map(|_| ()))
    }
}

/// Checks a signature of our own.
pub(super) fn check_own(key: &ES256PublicKey, token: &str) -> Checked {
    checked(key.verify_token::<NoCustomClaims>(token, Some(signature_only())).map(|_| ()))
}

fn checked(result: Result<(), jwt_simple::Error>) -> Checked {
    match result {
        Ok(()) => Checked::Good,
        Err(error) => match error.downcast_ref::<JWTError>() {
            Some(JWTError::InvalidSignature | JWTError::AlgorithmMismatch) => Checked::Bad,
            _ => Checked::Malformed(error.to_string()),
        },
    }
}

/// The library checks form, algorithm, critical headers and signature. Times and audience are checked in `verify.rs`, where each
/// refusal says what it found; with the time at the epoch the library finds every token in time.
fn signature_only() -> VerificationOptions {
    VerificationOptions {
        accept_future: true,
        time_tolerance: Some(coarsetime::Duration::from_secs(0)),
        artificial_time: Some(coarsetime::UnixTimeStamp::from_secs(0)),
        max_token_length: Some(super::verify::TOKEN_BYTES_MAX),
        ..VerificationOptions::default()
    }
}

/// Why an outside issuer can not be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum IssuerError {
    /// The JWK set is larger than [`JWKS_BYTES_MAX`].
    TooLarge {
        /// The issuer.
        issuer: String,
    },
    /// The text is not a JWK set.
    NotAKeySet {
        /// The issuer.
        issuer: String,
        /// What is wrong, with line and column.
        reason: String,
    },
    /// No key of the set can be used.
    NoUsableKey {
        /// The issuer.
        issuer: String,
        /// Why each was left out.
        skipped: Vec<String>,
    },
    /// No audience is given, so no token could ever be for us.
    NoAudience {
        /// The issuer.
        issuer: String,
    },
    /// Two issuers have the same name, or one has ours.
    Twice {
        /// The issuer.
        issuer: String,
    },
}

impl fmt::Display for IssuerError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            IssuerError::TooLarge { issuer } => write!(f, "the key set of issuer {issuer} is larger than {JWKS_BYTES_MAX} bytes"),
            IssuerError::NotAKeySet { issuer, reason } => write!(
                f,
                "the key set of issuer {issuer} is not a JWK set: {reason}\n  hint: save what the issuer serves at its jwks_uri, \
                 {{\"keys\": [...]}}"
            ),
            IssuerError::NoUsableKey { issuer, skipped } => {
                write!(f, "the key set of issuer {issuer} has no RSA or EC key that can check signatures")?;
                skipped.iter().take(8).try_for_each(|note| write!(f, "\n  {note}"))
            }
            IssuerError::NoAudience { issuer } => {
                write!(f, "issuer {issuer} has no audience\n  hint: audience = [\"<the public_url of this server>\"]")
            }
            IssuerError::Twice { issuer } => write!(f, "issuer {issuer} is there twice, or is this server itself; name every issuer once"),
        }
    }
}

impl std::error::Error for IssuerError {}

#[derive(Deserialize)]
struct KeySet {
    keys: Vec<Value>,
}

/// What we read of a JWK; the rest (`x5c`, `x5t`, …) is left alone.
#[derive(Deserialize)]
struct Jwk {
    kty: String,
    #[serde(rename = "use")]
    purpose: Option<String>,
    key_ops: Option<Vec<String>>,
    kid: Option<String>,
    alg: Option<String>,
    n: Option<String>,
    e: Option<String>,
    crv: Option<String>,
    x: Option<String>,
    y: Option<String>,
}

/// An outside issuer: whose tokens are accepted, for whom, by which keys.
pub struct OutsideIssuer {
    pub(super) issuer: String,
    pub(super) audiences: Audiences,
    keys: Vec<OutsideKey>,
    skipped: Vec<String>,
    /// What to do when a token names a key that is not here.
    wish: Option<Arc<dyn Fn() + Send + Sync>>,
}

impl fmt::Debug for OutsideIssuer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OutsideIssuer").field("issuer", &self.issuer).field("keys", &self.keys.len()).finish_non_exhaustive()
    }
}

impl OutsideIssuer {
    /// From the `iss` claim, the accepted `aud` claims, and the text of the issuer's JWK set.
    pub fn new(issuer: &str, audiences: &[String], jwks: &str) -> Result<Self, IssuerError> {
        let name = || issuer.to_owned();
        let audiences = Audiences::new(audiences);
        if audiences.is_empty() {
            return Err(IssuerError::NoAudience { issuer: name() });
        }
        if jwks.len() > JWKS_BYTES_MAX {
            return Err(IssuerError::TooLarge { issuer: name() });
        }
        let set: KeySet = serde_json::from_str(jwks.trim_start_matches('\u{feff}'))
            .map_err(|error| IssuerError::NotAKeySet { issuer: name(), reason: error.to_string() })?;
        let (mut keys, mut skipped) = (Vec::new(), Vec::new());
        for (index, value) in set.keys.into_iter().enumerate() {
            if keys.len() == JWKS_KEYS_MAX {
                skipped.push(format!("key {}: and all after it, because only {JWKS_KEYS_MAX} are taken", index + 1));
                break;
            }
            match read_key(value) {
                Ok(key) => keys.push(key),
                // Notes are for a person to read: more than a screenful helps nobody.
                Err(reason) if skipped.len() < 32 => skipped.push(format!("key {}: {reason}", index + 1)),
                Err(_) => {}
            }
        }
        if keys.is_empty() {
            return Err(IssuerError::NoUsableKey { issuer: name(), skipped });
        }
        Ok(OutsideIssuer { issuer: name(), audiences, keys, skipped, wish: None })
    }

    /// An issuer whose keys are not here yet: its tokens are refused until they are.
    pub fn awaiting(issuer: &str, audiences: &[String]) -> Result<Self, IssuerError> {
        let audiences = Audiences::new(audiences);
        if audiences.is_empty() {
            return Err(IssuerError::NoAudience { issuer: issuer.to_owned() });
        }
        Ok(OutsideIssuer { issuer: issuer.to_owned(), audiences, keys: Vec::new(), skipped: Vec::new(), wish: None })
    }

    /// Calls this when a token names a key that is not here; it must be quick and block nobody.
    #[must_use]
    pub fn with_wish(self, wish: Arc<dyn Fn() + Send + Sync>) -> Self {
        OutsideIssuer { wish: Some(wish), ..self }
    }

    /// A token names a key that is not here.
    pub(super) fn wish_for_keys(&self) {
        if let Some(wish) = &self.wish {
            wish();
        }
    }

    /// Which keys of the set were left out, and why: for the log.
    pub fn skipped(&self) -> &[String] {
        &self.skipped
    }

    /// The keys that may have signed a token with this algorithm and key id: those with the id; without one, all that fit, at most
    /// [`KEYS_TRIED_MAX`].
    pub(super) fn keys_for<'a>(&'a self, algorithm: Algorithm, kid: Option<&'a str>) -> impl Iterator<Item = &'a OutsideKey> {
        self.keys
            .iter()
            .filter(move |key| kid.is_none_or(|kid| key.kid.as_deref() == Some(kid)) && key.fits(algorithm))
            .take(KEYS_TRIED_MAX)
    }

    /// Whether the set has a key with this id, whatever its type.
    pub(super) fn has_key(&self, kid: &str) -> bool {
        self.keys.iter().any(|key| key.kid.as_deref() == Some(kid))
    }
}

fn read_key(value: Value) -> Result<OutsideKey, String> {
    let jwk: Jwk = serde_json::from_value(value).map_err(|error| format!("not a JWK: {error}"))?;
    if jwk.purpose.as_deref().is_some_and(|purpose| purpose != "sig") {
        return Err("its use is not \"sig\"".into());
    }
    if jwk.key_ops.is_some_and(|operations| !operations.iter().any(|operation| operation == "verify")) {
        return Err("its key_ops have no \"verify\"".into());
    }
    let only = match &jwk.alg {
        None => None,
        Some(name) => Some(Algorithm::from_name(name).ok_or_else(|| format!("its algorithm {} is not accepted", quoted(name)))?),
    };
    let member = |name: &str, value: Option<String>| -> Result<Vec<u8>, String> {
        let text = value.ok_or_else(|| format!("member \"{name}\" is missing"))?;
        URL_SAFE_NO_PAD.decode(text.trim_end_matches('=')).map_err(|_| format!("member \"{name}\" is not base64url"))
    };
    let refused = |error: jwt_simple::Error| format!("the key is refused: {error}");
    let material = match (jwk.kty.as_str(), jwk.crv.as_deref()) {
        ("RSA", _) => {
            let (n, e) = (member("n", jwk.n)?, member("e", jwk.e)?);
            Material::Rsa(Box::new((
                RS256PublicKey::from_components(&n, &e).map_err(refused)?,
                RS384PublicKey::from_components(&n, &e).map_err(refused)?,
                RS512PublicKey::from_components(&n, &e).map_err(refused)?,
                PS256PublicKey::from_components(&n, &e).map_err(refused)?,
            )))
        }
        ("EC", Some("P-256")) => {
            let point = point(32, &member("x", jwk.x)?, &member("y", jwk.y)?)?;
            Material::P256(Box::new(ES256PublicKey::from_bytes(&point).map_err(refused)?))
        }
        ("EC", Some("P-384")) => {
            let point = point(48, &member("x", jwk.x)?, &member("y", jwk.y)?)?;
            Material::P384(Box::new(ES384PublicKey::from_bytes(&point).map_err(refused)?))
        }
        ("EC", curve) => return Err(format!("curve {} is not accepted, only P-256 and P-384", quoted(curve.unwrap_or("")))),
        ("oct", _) => return Err("a shared secret (kty \"oct\") is not accepted".into()),
        (kty, _) => return Err(format!("key type {} is not accepted, only RSA and EC", quoted(kty))),
    };
    let key = OutsideKey { kid: jwk.kid, only: None, material };
    match only {
        Some(algorithm) if !key.fits(algorithm) => Err(format!("its algorithm {} does not fit its type", algorithm.name())),
        only => Ok(OutsideKey { only, ..key }),
    }
}

/// An uncompressed point (SEC 1 §2.3.3) from coordinates of full length (RFC 7518 §6.2.1.2).
fn point(size: usize, x: &[u8], y: &[u8]) -> Result<Vec<u8>, String> {
    if x.len() != size || y.len() != size {
        return Err(format!("its coordinates have not {size} bytes each"));
    }
    Ok([&[4u8], x, y].concat())
}

/// A text from outside, short and harmless enough for a message.
pub(super) fn quoted(text: &str) -> String {
    let short: String = text.chars().take(100).collect();
    let more = if short.len() < text.len() { "…" } else { "" };
    format!("{short:?}{more}")
}
