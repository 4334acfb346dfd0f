//! The discovery documents that let client libraries find the token endpoint (CONTRACT §3): instance discovery and OpenID Provider
//! Metadata, for both versions.
//!
//! Every URL has the base that the client used, because msal refuses an `issuer` on another host. The base comes from the caller, who
//! has held it against the list of our own addresses; the tenant in the path may be a GUID or a domain name, and is checked here.

use std::fmt;

use serde_json::{Value, json};

use super::token::{Version, issuer};

/// The longest tenant in a path, in bytes: a domain name.
pub const TENANT_BYTES_MAX: usize = 253;

/// The longest `authorization_endpoint` that is looked at, in bytes.
const ENDPOINT_BYTES_MAX: usize = 2048;

/// A tenant as clients write it in the path: a GUID, a domain name, `common`, `adfs`. Letters, digits, dots, dashes and underlines only.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tenant(String);

/// The path segment can not be a tenant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NotATenant;

impl fmt::Display for NotATenant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("not a tenant, expected a GUID or a domain name")
    }
}

impl std::error::Error for NotATenant {}

impl std::str::FromStr for Tenant {
    type Err = NotATenant;

    fn from_str(text: &str) -> Result<Self, NotATenant> {
        let allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_');
        let good = (1..=TENANT_BYTES_MAX).contains(&text.len()) && text.bytes().all(allowed) && text.bytes().any(|byte| byte != b'.');
        if good { Ok(Tenant(text.to_owned())) } else { Err(NotATenant) }
    }
}

impl fmt::Display for Tenant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// `/common/discovery/instance`: says that this host is an authority, and where the tenant's metadata is. `authorization_endpoint` is
/// the query member of that name, decoded; its tenant and version are kept, its host is not believed.
pub fn instance(base: &str, authorization_endpoint: Option<&str>) -> Value {
    let base = base.trim_end_matches('/');
    let (tenant, version) = authorization_endpoint.and_then(tenant_of_endpoint).unwrap_or((Tenant("common".into()), Version::V2));
    let host = host(base);
    json!({
        "tenant_discovery_endpoint": configuration_url(base, &tenant, version),
        "api-version": "1.1",
        "metadata": [{
            "preferred_network": host,
            "preferred_cache": host,
            "aliases": [host],
        }],
    })
}

fn configuration_url(base: &str, tenant: &Tenant, version: Version) -> String {
    match version {
        Version::V1 => format!("{base}/{tenant}/.well-known/openid-configuration"),
        Version::V2 => format!("{base}/{tenant}/v2.0/.well-known/openid-configuration"),
    }
}

/// Host and port of a URL.
fn host(url: &str) -> &str {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    rest.split(['/', '?', '#']).next().unwrap_or(rest)
}

/// Tenant and version of `https://host/<tenant>/oauth2/v2.0/authorize` or `https://host/<tenant>/oauth2/authorize`.
fn tenant_of_endpoint(endpoint: &str) -> Option<(Tenant, Version)> {
    if endpoint.len() > ENDPOINT_BYTES_MAX {
        return None;
    }
    let (_, rest) = endpoint.split_once("://")?;
    let mut segments = rest.split('/').skip(1);
    let tenant = segments.next()?.parse().ok()?;
    let version = if segments.any(|segment| segment == "v2.0") { Version::V2 } else { Version::V1 };
    Some((tenant, version))
}

/// `/<tenant>/.well-known/openid-configuration` and `/<tenant>/v2.0/.well-known/openid-configuration`: where the endpoints are. The
/// issuer is that of our tokens when the base is the public URL.
pub fn openid_configuration(base: &str, tenant: &Tenant, version: Version) -> Value {
    let base = base.trim_end_matches('/');
    let (oauth2, keys) = match version {
        Version::V1 => ("oauth2", "discovery/keys"),
        Version::V2 => ("oauth2/v2.0", "discovery/v2.0/keys"),
    };
    json!({
        "issuer": issuer(base, version),
        // Nothing is served there; libraries refuse metadata without it.
        "authorization_endpoint": format!("{base}/{tenant}/{oauth2}/authorize"),
        "token_endpoint": format!("{base}/{tenant}/{oauth2}/token"),
        "device_authorization_endpoint": format!("{base}/{tenant}/{oauth2}/devicecode"),
        "jwks_uri": format!("{base}/{tenant}/{keys}"),
        "token_endpoint_auth_methods_supported": ["client_secret_post", "client_secret_basic"],
        "grant_types_supported": ["client_credentials", "password", "refresh_token", "urn:ietf:params:oauth:grant-type:device_code"],
        "response_types_supported": ["code"],
        "response_modes_supported": ["query"],
        "subject_types_supported": ["public"],
        "id_token_signing_alg_values_supported": ["ES256"],
        "scopes_supported": ["openid"],
        "claims_supported": ["sub", "iss", "aud", "exp", "iat", "nbf", "appid", "azp", "tid", "oid", "ver"],
    })
}

/// `/common/userrealm/<user>`: where libraries ask how a user signs in before they send a password. Everybody's is kept here; the answer does not tell
/// who exists.
pub fn user_realm(base: &str, user: &str) -> Value {
    json!({
        "ver": "1.0",
        "account_type": "Managed",
        "domain_name": user.rsplit_once('@').map_or("", |(_, domain)| domain),
        "cloud_instance_name": host(base.trim_end_matches('/')),
        "cloud_audience_urn": "urn:federation:MicrosoftOnline",
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const BASE: &str = "https://exchange.example.com:8443";

    #[test]
    fn the_metadata_of_both_versions_names_endpoints_on_the_host_the_client_used() {
        let tenant: Tenant = "contoso.onmicrosoft.com".parse().unwrap();
        let v2 = openid_configuration("https://exchange.example.com:8443/", &tenant, Version::V2);
        assert_eq!(v2["token_endpoint"], "https://exchange.example.com:8443/contoso.onmicrosoft.com/oauth2/v2.0/token");
        assert_eq!(v2["authorization_endpoint"], "https://exchange.example.com:8443/contoso.onmicrosoft.com/oauth2/v2.0/authorize");
        assert_eq!(v2["jwks_uri"], "https://exchange.example.com:8443/contoso.onmicrosoft.com/discovery/v2.0/keys");
        let v1 = openid_configuration(BASE, &tenant, Version::V1);
        assert_eq!(v1["token_endpoint"], "https://exchange.example.com:8443/contoso.onmicrosoft.com/oauth2/token");
        assert_eq!(v1["jwks_uri"], "https://exchange.example.com:8443/contoso.onmicrosoft.com/discovery/keys");
        for (document, version) in [(v1, Version::V1), (v2, Version::V2)] {
            assert_eq!(document["issuer"], json!(issuer(BASE, version)), "the issuer is that of the tokens");
            assert!(document["issuer"].as_str().unwrap().starts_with("https://exchange.example.com:8443/"));
        }
    }

    #[test]
    fn instance_discovery_keeps_tenant_and_version_and_nothing_else_of_what_it_is_told() {
        let table = [
            (Some("https://other.example/contoso.com/oauth2/v2.0/authorize"), "/contoso.com/v2.0/.well-known/openid-configuration"),
            (Some("https://other.example/contoso.com/oauth2/authorize"), "/contoso.com/.well-known/openid-configuration"),
            (
                Some("https://x/6D31E09F-0249-459F-94F0-AAD9C2C47B64/"),
                "/6D31E09F-0249-459F-94F0-AAD9C2C47B64/.well-known/openid-configuration",
            ),
            (None, "/common/v2.0/.well-known/openid-configuration"),
            (Some(""), "/common/v2.0/.well-known/openid-configuration"),
            (Some("https://x/../oauth2/v2.0/authorize"), "/common/v2.0/.well-known/openid-configuration"),
            (Some("https://x/a%2Fb/oauth2/v2.0/authorize"), "/common/v2.0/.well-known/openid-configuration"),
        ];
        for (endpoint, path) in table {
            let document = instance(BASE, endpoint);
            assert_eq!(document["tenant_discovery_endpoint"], json!(format!("{BASE}{path}")), "{endpoint:?}");
            assert_eq!(document["metadata"][0]["aliases"], json!(["exchange.example.com:8443"]));
        }
    }

    #[test]
    fn a_tenant_is_a_guid_or_a_domain_name() {
        for good in ["common", "adfs", "contoso.com", "6d31e09f-0249-459f-94f0-aad9c2c47b64", "a_b"] {
            assert!(good.parse::<Tenant>().is_ok(), "{good}");
        }
        for bad in ["", ".", "..", "a/b", "a b", "a\"b", "é", "a?b", "%2e", &"a".repeat(TENANT_BYTES_MAX + 1)] {
            assert_eq!(bad.parse::<Tenant>(), Err(NotATenant), "{bad}");
        }
    }

    proptest! {
        #[test]
        fn any_authorization_endpoint_leads_to_our_own_host(text in ".{0,80}", path in "[a-zA-Z0-9./:?#%-]{0,40}") {
            for endpoint in [text.clone(), format!("https://x/{path}"), path] {
                let document = instance(BASE, Some(&endpoint));
                let url = document["tenant_discovery_endpoint"].as_str().unwrap().to_owned();
                let ours = format!("{BASE}/");
                prop_assert!(url.starts_with(&ours) && url.ends_with("/.well-known/openid-configuration"));
                prop_assert!(!url.contains("/../"));
            }
        }
    }
}
