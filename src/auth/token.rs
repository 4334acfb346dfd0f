//! Issues access tokens: JWTs signed with ES256, with the claims that tokens of Entra ID have (CONTRACT §3). Opaque to clients.
//!
//! This file knows what is in a token and how the answer of the token endpoint spells it; whether the client may have one is decided
//! in `oauth.rs`, and whether one that comes back is good in `verify.rs`.

use std::time::Duration;

use jwt_simple::algorithms::ECDSAP256KeyPairLike;
use jwt_simple::claims::{Audiences, JWTClaims};
use jwt_simple::reexports::coarsetime::UnixTimeStamp;
use serde::Serialize;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use uuid::Uuid;

use super::keyring::{Keyring, TOKEN_LIFETIME_MAX};
use crate::model::id::ApplicationId;
use crate::model::time::Timestamp;

/// How long a token lives unless told otherwise. Clients fetch the next one by themselves.
pub const TOKEN_LIFETIME: Duration = Duration::from_secs(3600);

/// The scope of a person's token, as the real system names it.
pub const USER_SCOPE: &str = "user_impersonation";

/// The two dialects of the token endpoint, and of the tokens.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Version {
    /// `/<tenant>/oauth2/token` with `resource`; `appid`, `ver` "1.0".
    V1,
    /// `/<tenant>/oauth2/v2.0/token` with `scope`; `azp`, `ver` "2.0".
    V2,
}

/// What a token is wanted for.
#[derive(Clone, Copy, Debug)]
pub struct Wish<'a> {
    /// Who it is for.
    pub application: ApplicationId,
    /// The person who signed in for the application; `None` when it signed in for itself.
    pub person: Option<&'a str>,
    /// The `aud` claim.
    pub audience: &'a str,
    /// The dialect.
    pub version: Version,
    /// How long it lives; cut to [`TOKEN_LIFETIME_MAX`].
    pub lifetime: Duration,
}

/// A token and what the answer says about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Issued {
    /// The token itself. A secret: never logged.
    pub access_token: String,
    /// Its dialect.
    pub version: Version,
    /// The `aud` claim, as the client asked for it.
    pub audience: String,
    /// Valid from.
    pub not_before: Timestamp,
    /// Valid until.
    pub expires_at: Timestamp,
}

/// The claims beside the registered ones.
#[derive(Serialize)]
struct OurClaims {
    #[serde(skip_serializing_if = "Option::is_none")]
    appid: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    azp: Option<String>,
    idtyp: &'static str,
    oid: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    scp: Option<&'static str>,
    tid: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    unique_name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    upn: Option<String>,
    ver: &'static str,
}

/// The claims of an ID token beside the registered ones: who signed in, as libraries read it.
#[derive(Serialize)]
struct PersonClaims {
    name: String,
    oid: String,
    preferred_username: String,
    tid: String,
    upn: String,
    ver: &'static str,
}

/// The one tenant of an appliance with this base URL: a GUID derived from it (UUIDv8), so that it is the same after every start.
/// Clients may write any tenant in the path; this one is in tokens and discovery documents.
pub fn tenant_id(issuer_base: &str) -> Uuid {
    let digest = Sha256::digest(format!("entrepot tenant {}", super::audience::canonical(issuer_base)).as_bytes());
    let mut bytes = [0u8; 16];
    bytes.copy_from_slice(&digest[..16]);
    uuid::Builder::from_bytes(bytes).with_version(uuid::Version::Custom).with_variant(uuid::Variant::RFC4122).into_uuid()
}

/// The `oid` of a person: a GUID derived from base URL and name, the name in any case.
pub fn person_id(issuer_base: &str, name: &str) -> Uuid {
    let digest = Sha256::digest(format!("entrepot person {}\n{}", super::audience::canonical(issuer_base), name.to_lowercase()).as_bytes());
    let mut bytes = [0u8; 16];
    bytes.copy_from_slice(&digest[..16]);
    uuid::Builder::from_bytes(bytes).with_version(uuid::Version::Custom).with_variant(uuid::Variant::RFC4122).into_uuid()
}

/// The `iss` claim: `<base>/<tenant id>/`, and `<base>/<tenant id>/v2.0` in version 2. The base carries no trailing slash in it.
pub fn issuer(issuer_base: &str, version: Version) -> String {
    let base = issuer_base.trim_end_matches('/');
    let tenant = tenant_id(issuer_base);
    match version {
        Version::V1 => format!("{base}/{tenant}/"),
        Version::V2 => format!("{base}/{tenant}/v2.0"),
    }
}

/// The token could not be signed; the cause is the signer's.
#[derive(Debug)]
pub struct NotSigned(String);

impl std::fmt::Display for NotSigned {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "the access token could not be signed: {}", self.0)
    }
}

impl std::error::Error for NotSigned {}

fn spelled(version: Version) -> &'static str {
    match version {
        Version::V1 => "1.0",
        Version::V2 => "2.0",
    }
}

/// Issues a token that is valid from `now`. Whole seconds count, as in claims. `iat`, `nbf` and `exp` are explicit: no clock is read.
pub fn issue(keyring: &Keyring, issuer_base: &str, wish: &Wish<'_>, now: Timestamp) -> Result<Issued, NotSigned> {
    let version = wish.version;
    let from = u64::try_from(now.seconds()).unwrap_or(0);
    let until = from.saturating_add(wish.lifetime.min(TOKEN_LIFETIME_MAX).as_secs());
    let id = wish.application.to_string();
    let subject = wish.person.map_or_else(|| id.clone(), |name| person_id(issuer_base, name).to_string());
    let claims = JWTClaims {
        issued_at: Some(UnixTimeStamp::from_secs(from)),
        expires_at: Some(UnixTimeStamp::from_secs(until)),
        invalid_before: Some(UnixTimeStamp::from_secs(from)),
        issuer: Some(issuer(issuer_base, version)),
        subject: Some(subject.clone()),
        audiences: Some(Audiences::AsString(wish.audience.to_owned())),
        jwt_id: None,
        nonce: None,
        custom: OurClaims {
            appid: (version == Version::V1).then(|| id.clone()),
            azp: (version == Version::V2).then(|| id.clone()),
            idtyp: if wish.person.is_some() { "user" } else { "app" },
            oid: subject,
            scp: wish.person.map(|_| USER_SCOPE),
            tid: tenant_id(issuer_base).to_string(),
            unique_name: wish.person.map(str::to_owned),
            upn: wish.person.map(str::to_owned),
            ver: spelled(version),
        },
    };
    let access_token = keyring.sign_with(|pair| pair.sign(claims)).map_err(|error| NotSigned(error.to_string()))?;
    let instant = |seconds: u64| Timestamp(i64::try_from(seconds).unwrap_or(i64::MAX).saturating_mul(1000));
    Ok(Issued { access_token, version, audience: wish.audience.to_owned(), not_before: instant(from), expires_at: instant(until) })
}

/// The ID token that goes with an access token of a person: for the library of the client, which reads from it who signed in. It opens nothing
/// here, because its audience is the application.
pub fn identify(keyring: &Keyring, issuer_base: &str, wish: &Wish<'_>, name: &str, now: Timestamp) -> Result<String, NotSigned> {
    let from = u64::try_from(now.seconds()).unwrap_or(0);
    let id = person_id(issuer_base, name).to_string();
    let claims = JWTClaims {
        issued_at: Some(UnixTimeStamp::from_secs(from)),
        expires_at: Some(UnixTimeStamp::from_secs(from.saturating_add(wish.lifetime.min(TOKEN_LIFETIME_MAX).as_secs()))),
        invalid_before: Some(UnixTimeStamp::from_secs(from)),
        issuer: Some(issuer(issuer_base, wish.version)),
        subject: Some(id.clone()),
        audiences: Some(Audiences::AsString(wish.application.to_string())),
        jwt_id: None,
        nonce: None,
        custom: PersonClaims {
            name: name.to_owned(),
            oid: id,
            preferred_username: name.to_owned(),
            tid: tenant_id(issuer_base).to_string(),
            upn: name.to_owned(),
            ver: spelled(wish.version),
        },
    };
    keyring.sign_with(|pair| pair.sign(claims)).map_err(|error| NotSigned(error.to_string()))
}

impl Issued {
    /// The answer of the token endpoint. Version 1 spells every number as a string and echoes `resource`; version 2 has integers
    /// (CONTRACT §3).
    pub fn to_json(&self) -> Value {
        let seconds = self.expires_at.since(self.not_before).as_secs();
        match self.version {
            Version::V1 => json!({
                "token_type": "Bearer",
                "expires_in": seconds.to_string(),
                "ext_expires_in": seconds.to_string(),
                "expires_on": self.expires_at.seconds().to_string(),
                "not_before": self.not_before.seconds().to_string(),
                "resource": self.audience,
                "access_token": self.access_token,
            }),
            Version::V2 => json!({
                "token_type": "Bearer",
                "expires_in": seconds,
                "ext_expires_in": seconds,
                "access_token": self.access_token,
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use base64::Engine;
    use base64::engine::general_purpose::URL_SAFE_NO_PAD;

    const NOW: Timestamp = Timestamp(1_795_000_000_999);
    const BASE: &str = "https://exchange.example.com";

    fn issue_one(version: Version, lifetime: Duration) -> (Issued, Value, Value) {
        let scratch = tempfile::tempdir().unwrap();
        let keyring = Keyring::open(scratch.path(), NOW).unwrap();
        let application = "7f4c1b0e-2a57-4d7c-9f0a-5f1b6a0c9b11".parse().unwrap();
        let wish = Wish { application, person: None, audience: "https://exchange.example.com/", version, lifetime };
        let issued = issue(&keyring, BASE, &wish, NOW).unwrap();
        let mut parts = issued.access_token.split('.').map(|part| URL_SAFE_NO_PAD.decode(part).unwrap());
        let header: Value = serde_json::from_slice(&parts.next().unwrap()).unwrap();
        let claims: Value = serde_json::from_slice(&parts.next().unwrap()).unwrap();
        assert_eq!(header["kid"], json!(keyring.current_key_id()));
        (issued, header, claims)
    }

    #[test]
    fn a_version_1_token_has_the_claims_of_the_contract() {
        let (issued, header, claims) = issue_one(Version::V1, TOKEN_LIFETIME);
        assert_eq!((&header["alg"], &header["typ"]), (&json!("ES256"), &json!("JWT")));
        let tenant = tenant_id(BASE);
        assert_eq!(
            claims,
            json!({
                "iat": 1_795_000_000u64, "exp": 1_795_003_600u64, "nbf": 1_795_000_000u64,
                "iss": format!("https://exchange.example.com/{tenant}/"),
                "sub": "7f4c1b0e-2a57-4d7c-9f0a-5f1b6a0c9b11",
                "aud": "https://exchange.example.com/",
                "appid": "7f4c1b0e-2a57-4d7c-9f0a-5f1b6a0c9b11",
                "idtyp": "app",
                "oid": "7f4c1b0e-2a57-4d7c-9f0a-5f1b6a0c9b11",
                "tid": tenant.to_string(),
                "ver": "1.0",
            })
        );
        assert_eq!(
            issued.to_json(),
            json!({
                "token_type": "Bearer", "expires_in": "3600", "ext_expires_in": "3600", "expires_on": "1795003600",
                "not_before": "1795000000", "resource": "https://exchange.example.com/", "access_token": issued.access_token,
            })
        );
    }

    #[test]
    fn a_version_2_token_names_the_application_in_azp_and_its_answer_has_integers() {
        let (issued, _, claims) = issue_one(Version::V2, TOKEN_LIFETIME);
        assert_eq!(claims["azp"], json!("7f4c1b0e-2a57-4d7c-9f0a-5f1b6a0c9b11"));
        assert_eq!(claims.get("appid"), None);
        assert_eq!(claims["ver"], json!("2.0"));
        assert_eq!(claims["iss"], json!(format!("https://exchange.example.com/{}/v2.0", tenant_id(BASE))));
        assert_eq!(
            issued.to_json(),
            json!({ "token_type": "Bearer", "expires_in": 3600, "ext_expires_in": 3600, "access_token": issued.access_token })
        );
    }

    #[test]
    fn no_token_lives_longer_than_a_retired_key_verifies() {
        let (issued, _, claims) = issue_one(Version::V2, Duration::from_secs(30 * 24 * 3600));
        assert_eq!(claims["exp"].as_u64().unwrap() - claims["iat"].as_u64().unwrap(), TOKEN_LIFETIME_MAX.as_secs());
        assert_eq!(issued.expires_at.since(issued.not_before), TOKEN_LIFETIME_MAX);
    }

    #[test]
    fn the_tenant_is_a_guid_that_depends_on_the_base_alone() {
        assert_eq!(tenant_id(BASE), tenant_id("https://Exchange.example.com/"));
        assert_ne!(tenant_id(BASE), tenant_id("https://exchange.example.org"));
        assert_eq!(tenant_id(BASE).get_version_num(), 8);
    }
}
