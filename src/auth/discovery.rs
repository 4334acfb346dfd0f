//! The discovery documents that Microsoft's libraries ask for before they ask for a token (CONTRACT §3). `base` is the URL the client used:
//! libraries insist that the issuer sits on the same host.

use serde_json::{Value, json};

use super::token;

/// `/common/discovery/instance`.
pub fn instance(base: &str, api_version: &str) -> Value {
    let host = base.split_once("://").map_or(base, |(_, host)| host);
    json!({
        "tenant_discovery_endpoint": format!("{base}/{}/v2.0/.well-known/openid-configuration", token::tenant(base)),
        "api-version": if api_version.is_empty() { "1.1" } else { api_version },
        "metadata": [{ "preferred_network": host, "preferred_cache": host, "aliases": [host] }],
    })
}

/// `/<tenant>/.well-known/openid-configuration` and its v2.0 form.
pub fn openid_configuration(base: &str, tenant: &str, v2: bool) -> Value {
    let path = if v2 { "oauth2/v2.0" } else { "oauth2" };
    json!({
        "issuer": token::issuer(base),
        "authorization_endpoint": format!("{base}/{tenant}/{path}/authorize"),
        "token_endpoint": format!("{base}/{tenant}/{path}/token"),
        "jwks_uri": format!("{base}/{tenant}/discovery/v2.0/keys"),
        "token_endpoint_auth_methods_supported": ["client_secret_post", "client_secret_basic"],
        "grant_types_supported": ["client_credentials"],
        "response_types_supported": ["code"],
        "subject_types_supported": ["pairwise"],
        "id_token_signing_alg_values_supported": ["ES256"],
    })
}
