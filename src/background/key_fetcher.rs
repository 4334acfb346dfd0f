//! Keeps the keys of issuers that are named by an https URL: fetches them at the start, every hour, and soon after a token came that names a key
//! nobody knows, since an issuer that has new keys signs with them. No request waits for this thread: until the new keys are here its tokens are
//! refused, and the next try finds them.
//!
//! The URL comes from the configuration alone, never from a token; redirects are not followed, an answer has its limits of size and time, and only
//! a set with a usable key replaces the one before. What was fetched is kept in the data directory, so that a restart does not need the issuer.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use crate::appliance::Appliance;
use crate::auth::issuer::{JWKS_BYTES_MAX, OutsideIssuer};
use crate::config::{Issuer, KeySource};
use crate::model::time::Timestamp;

/// How often keys are fetched when nothing asks for them.
const FETCH_EVERY: Duration = Duration::from_secs(3600);
/// After a failure, and between two fetches that tokens ask for: strangers cannot make us ask an issuer more often.
const FETCH_AGAIN: Duration = Duration::from_secs(60);
/// A whole answer has to be here within this.
const FETCH_TIMEOUT: Duration = Duration::from_secs(10);

/// Runs until the appliance stops.
pub fn run(appliance: &Arc<Appliance>) {
    let mut fetched: HashMap<String, Timestamp> = HashMap::new();
    let mut due: HashMap<String, Timestamp> = HashMap::new();
    while !appliance.is_stopping() {
        let live = appliance.live();
        let now = appliance.clock.now();
        for issuer in &live.config.issuers {
            let KeySource::Url(url) = &issuer.jwks else { continue };
            let last = fetched.get(url).copied();
            let asked = appliance.outside_keys.is_wanted(&issuer.issuer);
            let waited = last.is_none_or(|last| now.since(last) >= FETCH_AGAIN);
            if due.get(url).is_none_or(|due| *due <= now) || (asked && waited) {
                fetched.insert(url.clone(), now);
                let wait = if renew(appliance, issuer, url) { FETCH_EVERY } else { FETCH_AGAIN };
                due.insert(url.clone(), now.plus(wait));
            } else if asked && let Some(last) = last {
                let soon = last.plus(FETCH_AGAIN);
                due.entry(url.clone()).and_modify(|due| *due = soon.min(*due)).or_insert(soon);
            }
        }
        due.retain(|url, _| live.config.issuers.iter().any(|issuer| matches!(&issuer.jwks, KeySource::Url(known) if known == url)));
        appliance.outside_keys.bell.wait(&appliance.clock, due.values().min().copied());
    }
}

/// Fetches the keys of an issuer; whether they are here.
fn renew(appliance: &Arc<Appliance>, issuer: &Issuer, url: &str) -> bool {
    appliance.outside_keys.served(&issuer.issuer);
    let usable = fetch(issuer, url)
        .and_then(|text| OutsideIssuer::new(&issuer.issuer, &issuer.audience, &text).map(|_| text).map_err(|error| error.to_string()));
    match usable {
        Ok(text) => {
            if appliance.outside_keys.keep(url, text) {
                log::info!("keys renewed issuer=\"{}\" url={url}", issuer.issuer);
                appliance.renew_verifier();
            }
            true
        }
        Err(reason) => {
            log::warn!(
                "keys not renewed issuer=\"{}\" url={url} reason=\"{}\"; those that are here stay",
                issuer.issuer,
                reason.escape_debug()
            );
            false
        }
    }
}

fn fetch(issuer: &Issuer, url: &str) -> Result<String, String> {
    let mut tls = ureq::tls::TlsConfig::builder();
    if let Some(file) = &issuer.jwks_authority {
        let text = std::fs::read(file).map_err(|error| format!("{}: {error}", file.display()))?;
        let certificates: Vec<_> = ureq::tls::parse_pem(&text)
            .filter_map(|item| match item {
                Ok(ureq::tls::PemItem::Certificate(certificate)) => Some(certificate),
                _ => None,
            })
            .collect();
        tls = tls.root_certs(ureq::tls::RootCerts::new_with_certs(&certificates));
    }
    let agent: ureq::Agent = ureq::Agent::config_builder()
        .https_only(true)
        .max_redirects(0)
        .timeout_global(Some(FETCH_TIMEOUT))
        .tls_config(tls.build())
        .build()
        .into();
    let mut answer = agent.get(url).header("Accept", "application/json").call().map_err(|error| error.to_string())?;
    if answer.status().as_u16() != 200 {
        return Err(format!("the issuer answers {}", answer.status()));
    }
    let limit = u64::try_from(JWKS_BYTES_MAX).unwrap_or(u64::MAX);
    answer.body_mut().with_config().limit(limit).read_to_string().map_err(|error| error.to_string())
}
