//! `[[application]]` and `[[issuer]]`: whose tokens are accepted.

use std::path::Path;

use toml_edit::Item;

use super::section::Section;
use super::{Application, Issuer, KeySource};
use crate::auth::secret;
use crate::model::id::ApplicationId;

pub(super) fn read_applications(root: &Section<'_>) -> Vec<Application> {
    let mut applications: Vec<Application> = Vec::new();
    for section in root.sections("application") {
        let id = section.guid::<ApplicationId>("id");
        let name = section.name("name");
        let enabled = section.boolean("enabled", true);
        let users = section.texts("users").unwrap_or_default();
        if users.iter().any(|name| name.trim().is_empty() || name.trim() != name) {
            section.problem("users", "a name is empty or has blanks around it", "write the names with which people sign in");
        }
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
                section.problem("id", "another application has this id", "make a new GUID");
            }
            applications.push(Application { id, name, secret_hash, enabled, users });
        } else {
            section.item("name").and_then(Item::as_str).into_iter().for_each(|name| section.is_broken("application", name));
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
        let jwks_authority = section.text("jwks_authority").map(|file| base.join(file));
        if let Some(file) = &jwks_authority {
            let read = std::fs::read(file).map_err(|error| error.to_string());
            let usable = read.map(|text| ureq::tls::parse_pem(&text).any(|item| matches!(item, Ok(ureq::tls::PemItem::Certificate(_)))));
            match usable {
                Ok(true) => {}
                Ok(false) => section.problem("jwks_authority", format!("{} holds no certificate", file.display()), "it is a PEM file"),
                Err(reason) => section.problem(
                    "jwks_authority",
                    format!("{} cannot be read: {reason}", file.display()),
                    "correct the path, or the rights of the file",
                ),
            }
        }
        let url = jwks.as_deref().and_then(|jwks| jwks.strip_prefix("https://"));
        if let (Some(issuer), Some(rest)) = (&issuer, url) {
            let host = rest.split(['/', '?', '#']).next().unwrap_or_default();
            if host.is_empty() || rest.contains(|c: char| c.is_whitespace() || c.is_control() || c == '@') || !rest.is_ascii() {
                section.problem("jwks", "this is no URL of a key set", "write the jwks_uri of the issuer, without a user in it");
            } else {
                issuers.push(Issuer { issuer: issuer.clone(), audience, jwks: KeySource::Url(format!("https://{rest}")), jwks_authority });
            }
        } else if jwks.as_deref().is_some_and(|jwks| jwks.starts_with("http:")) {
            section.problem("jwks", "keys are fetched over https only", "write https://, or save the document and name the file here");
        } else if let (Some(issuer), Some(jwks)) = (issuer, jwks) {
            let jwks = base.join(jwks);
            let read = std::fs::read_to_string(&jwks).map_err(|error| error.to_string());
            if let Err(reason) = read.and_then(|text| {
                crate::auth::issuer::OutsideIssuer::new(&issuer, &audience, &text).map(|_| ()).map_err(|error| error.to_string())
            }) {
                section.problem("jwks", format!("{} cannot be used: {reason}", jwks.display()), "it must be a JWKS, as RFC 7517 says");
            }
            issuers.push(Issuer { issuer, audience, jwks: KeySource::File(jwks), jwks_authority });
        }
        section.finish();
    }
    issuers
}
