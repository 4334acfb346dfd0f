//! `[[application]]` and `[[issuer]]`: whose tokens are accepted.

use std::path::Path;

use super::section::Section;
use super::{Application, Issuer};
use crate::auth::secret;
use crate::model::id::ApplicationId;

pub(super) fn read_applications(root: &Section<'_>) -> Vec<Application> {
    let mut applications: Vec<Application> = Vec::new();
    for section in root.sections("application") {
        let id = section.guid::<ApplicationId>("id");
        let name = section.name("name");
        let enabled = section.boolean("enabled", true);
        let secret_hash = section.text("secret_hash").and_then(|text| {
            let hash = secret::parse_hash(&text).ok();
            if hash.is_none() {
                section.problem(
                    "secret_hash",
                    "this is no hash of a secret",
                    "write sha256: and 64 hexadecimal digits; entrepot app add makes one",
                );
            }
            hash
        });
        if secret_hash == Some(secret::hash("")) {
            section.warning("secret_hash", "this is the hash of an empty secret", "make a secret with entrepot app add");
        }
        if let (Some(id), Some(name)) = (id, name) {
            if applications.iter().any(|other| other.id == id) {
                section.problem("id", "another application has this id", "");
            }
            applications.push(Application { id, name, secret_hash, enabled });
        }
        section.finish();
    }
    applications
}

pub(super) fn read_issuers(root: &Section<'_>, base: &Path, public_url: &str) -> Vec<Issuer> {
    let mut issuers = Vec::new();
    for section in root.sections("issuer") {
        let issuer = section.name("issuer");
        let audience = section.texts("audience").unwrap_or_else(|| vec![public_url.to_owned()]);
        let jwks = section.name("jwks");
        if jwks.as_deref().is_some_and(|jwks| jwks.starts_with("http")) {
            section.problem("jwks", "keys are not fetched in this version", "save the document as a file, and name the file here");
        } else if let (Some(issuer), Some(jwks)) = (issuer, jwks) {
            let jwks = base.join(jwks);
            let read = std::fs::read_to_string(&jwks).map_err(|error| error.to_string());
            if let Err(reason) = read.and_then(|text| {
                crate::auth::issuer::OutsideIssuer::new(&issuer, &audience, &text).map(|_| ()).map_err(|error| error.to_string())
            }) {
                section.problem("jwks", format!("{} cannot be used: {reason}", jwks.display()), "it must be a JWKS, as RFC 7517 says");
            }
            issuers.push(Issuer { issuer, audience, jwks });
        }
        section.finish();
    }
    issuers
}
