//! Makes access tokens: the claims and the answers of both Microsoft versions (CONTRACT §3). Clients treat the token as opaque.

use std::time::Duration;

use jwt_simple::prelude::{Claims, ECDSAP256KeyPairLike, UnixTimeStamp};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use uuid::Uuid;

use super::keyring::Keyring;
use crate::model::id::ApplicationId;
use crate::model::time::Timestamp;

/// How long a token is good for: an hour, as Microsoft's.
pub const TOKEN_LIFETIME: Duration = Duration::from_secs(3600);

/// Which of Microsoft's two token endpoints was asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Version {
    /// `/<tenant>/oauth2/token`, with `resource`.
    V1,
    /// `/<tenant>/oauth2/v2.0/token`, with `scope`.
    V2,
}

/// Claims beside the registered ones.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct AppClaims {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub appid: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub azp: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub client_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tid: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub oid: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ver: Option<String>,
}

/// Who issues: the base URL of the appliance, and a tenant id that stays the same for a base URL.
pub fn issuer(base: &str) -> String {
    format!("{base}/{}/", tenant(base))
}

/// The tenant id that stands in tokens of this base URL. Clients may write anything in its place in a path.
pub fn tenant(base: &str) -> Uuid {
    use sha2::Digest;
    let digest = sha2::Sha256::digest(base.as_bytes());
    let mut bytes = [0u8; 16];
    bytes.copy_from_slice(&digest[..16]);
    uuid::Builder::from_custom_bytes(bytes).into_uuid()
}

/// Signs a token for an application and writes the endpoint's answer.
pub fn issue(
    keyring: &Keyring,
    base: &str,
    application: ApplicationId,
    audience: &str,
    version: Version,
    now: Timestamp,
) -> Result<Value, String> {
    let id = application.to_string();
    let seconds = now.seconds().unsigned_abs();
    let expires = seconds + TOKEN_LIFETIME.as_secs();
    let app = AppClaims {
        appid: (version == Version::V1).then(|| id.clone()),
        azp: (version == Version::V2).then(|| id.clone()),
        client_id: None,
        tid: Some(tenant(base).to_string()),
        oid: Some(id.clone()),
        ver: Some(if version == Version::V1 { "1.0" } else { "2.0" }.into()),
    };
    let lifetime = jwt_simple::prelude::Duration::from_secs(TOKEN_LIFETIME.as_secs());
    let mut claims = Claims::with_custom_claims(app, lifetime).with_issuer(issuer(base)).with_subject(&id).with_audience(audience);
    claims.issued_at = Some(UnixTimeStamp::from_secs(seconds));
    claims.invalid_before = Some(UnixTimeStamp::from_secs(seconds));
    claims.expires_at = Some(UnixTimeStamp::from_secs(expires));
    let token = keyring.newest().pair().sign(claims).map_err(|error| error.to_string())?;
    let lifetime = TOKEN_LIFETIME.as_secs();
    Ok(match version {
        Version::V1 => json!({
            "token_type": "Bearer", "expires_in": lifetime.to_string(), "ext_expires_in": lifetime.to_string(),
            "expires_on": expires.to_string(), "not_before": seconds.to_string(), "resource": audience, "access_token": token
        }),
        Version::V2 => json!({ "token_type": "Bearer", "expires_in": lifetime, "ext_expires_in": lifetime, "access_token": token }),
    })
}
