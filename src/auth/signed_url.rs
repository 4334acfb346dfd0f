//! Signed URLs: who holds one may read or write one blob for a while, without a token (CONTRACT §1.6, "Package URL rules").
//!
//! The query has the members of a shared access signature, which is what the storage clients of Azure keep of a URL and send again; the blob's
//! identity stands in `si`. The signature is ours (HMAC-SHA-256), over the name and all members, compared in constant time. The key is made at the
//! first start and kept in the data directory; it seals refresh tokens too.

use std::path::Path;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chrono::{DateTime, Utc};
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

use crate::model::time::Timestamp;

/// How long a URL works. The real system gives about half an hour; a client here may have a slow line, and nothing is gained by hurrying it.
pub const URL_LIFETIME: Duration = Duration::from_secs(60 * 60);
/// It works from this long before it was made, for clocks that are late.
pub const URL_BACKDATED: Duration = Duration::from_secs(5 * 60);
/// A longer member of the query is no member of ours.
const MEMBER_MAX: usize = 200;

/// The key.
pub struct UrlKey([u8; 32]);

/// What a URL allows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Grant {
    /// The blob.
    pub blob: String,
    /// It may be written too.
    pub write: bool,
}

/// Why a URL is not accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refused {
    /// It is not ours, or was changed.
    Signature,
    /// It worked once.
    Expired,
}

impl UrlKey {
    /// The key that a file holds; makes it when there is none.
    pub fn open(file: &Path) -> Result<UrlKey, String> {
        let say = |error: &dyn std::fmt::Display| format!("cannot use the key in {}: {error}", file.display());
        match std::fs::read(file) {
            Ok(bytes) => match <[u8; 32]>::try_from(bytes.as_slice()) {
                Ok(key) => Ok(UrlKey(key)),
                Err(_) => Err(say(&"it has not 32 bytes; remove it, and URLs that are out stop working")),
            },
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                let mut key = [0u8; 32];
                getrandom::fill(&mut key).map_err(|error| say(&error))?;
                crate::files::write_private(file, &key).map_err(|error| say(&error))?;
                Ok(UrlKey(key))
            }
            Err(error) => Err(say(&error)),
        }
    }

    fn keyed(&self, parts: &[&str]) -> Hmac<Sha256> {
        let mut mac = Hmac::<Sha256>::new_from_slice(&self.0).expect("a key of any length will do");
        for part in parts {
            // With its length before each part, two different sets of parts never make the same text.
            mac.update(&(part.len() as u64).to_le_bytes());
            mac.update(part.as_bytes());
        }
        mac
    }

    fn mac(&self, name: &str, blob: &str, permissions: &str, from: &str, until: &str) -> Hmac<Sha256> {
        self.keyed(&["entrepot blob url", name, blob, permissions, from, until])
    }

    /// Seals a text for a purpose other than URLs: who shows text and seal shows something that came from here.
    pub fn seal(&self, purpose: &str, text: &str) -> String {
        URL_SAFE_NO_PAD.encode(self.keyed(&["entrepot seal", purpose, text]).finalize().into_bytes())
    }

    /// Whether the seal is that of the text and the purpose; in constant time.
    pub(super) fn sealed(&self, purpose: &str, text: &str, seal: &str) -> bool {
        let bytes = if seal.len() <= MEMBER_MAX { URL_SAFE_NO_PAD.decode(seal).ok() } else { None };
        bytes.is_some_and(|bytes| self.keyed(&["entrepot seal", purpose, text]).verify_slice(&bytes).is_ok())
    }

    /// The query of a URL for a blob, which begins at `now` and ends after [`URL_LIFETIME`].
    pub fn sign(&self, name: &str, grant: &Grant, now: Timestamp) -> String {
        let second = |at: Timestamp| at.to_utc().format("%Y-%m-%dT%H:%M:%SZ").to_string();
        let (from, until) = (second(now.minus(URL_BACKDATED)), second(now.plus(URL_LIFETIME)));
        let permissions = if grant.write { "rw" } else { "r" };
        let signature = URL_SAFE_NO_PAD.encode(self.mac(name, &grant.blob, permissions, &from, &until).finalize().into_bytes());
        let escape = |time: &str| time.replace(':', "%3A");
        format!("sv=2014-02-14&sr=b&sig={signature}&st={}&se={}&sp={permissions}&si={}", escape(&from), escape(&until), grant.blob)
    }

    /// What the decoded query of a URL allows at `now`.
    pub fn verify(&self, name: &str, query: &[(String, String)], now: Timestamp) -> Result<Grant, Refused> {
        let member = |key: &str| {
            let found = query.iter().find(|(name, _)| name.eq_ignore_ascii_case(key)).map(|(_, value)| value.as_str());
            found.filter(|value| value.len() <= MEMBER_MAX).ok_or(Refused::Signature)
        };
        let (blob, permissions, from, until) = (member("si")?, member("sp")?, member("st")?, member("se")?);
        let signature = URL_SAFE_NO_PAD.decode(member("sig")?).map_err(|_| Refused::Signature)?;
        self.mac(name, blob, permissions, from, until).verify_slice(&signature).map_err(|_| Refused::Signature)?;
        let time = |text: &str| text.parse::<DateTime<Utc>>().map(Timestamp::from_utc).map_err(|_| Refused::Signature);
        if now < time(from)? || now >= time(until)? {
            return Err(Refused::Expired);
        }
        Ok(Grant { blob: blob.to_owned(), write: permissions.contains('w') })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp(1_795_521_600_000);

    fn query(text: &str) -> Vec<(String, String)> {
        text.split('&').map(|pair| pair.split_once('=').unwrap()).map(|(key, value)| (key.into(), value.replace("%3A", ":"))).collect()
    }

    #[test]
    fn a_url_opens_its_blob_as_long_as_it_works_and_nothing_else() {
        let (key, other) = (UrlKey([1; 32]), UrlKey([2; 32]));
        let grant = Grant { blob: "b1".into(), write: true };
        let good = query(&key.sign("a name", &grant, NOW));
        assert_eq!(key.verify("a name", &good, NOW), Ok(grant));
        let last = NOW.plus(URL_LIFETIME);
        assert!(key.verify("a name", &good, last.minus(Duration::from_secs(1))).is_ok());
        assert_eq!(key.verify("a name", &good, last), Err(Refused::Expired));
        assert_eq!(key.verify("a name", &good, NOW.minus(URL_BACKDATED + Duration::from_secs(2))), Err(Refused::Expired));
        assert_eq!(key.verify("another", &good, NOW), Err(Refused::Signature));
        assert_eq!(other.verify("a name", &good, NOW), Err(Refused::Signature));
        for (member, value) in
            [("si", "b2"), ("sp", "r"), ("se", "2030-01-01T00:00:00Z"), ("st", "2000-01-01T00:00:00Z"), ("sig", ""), ("sig", "AAAA")]
        {
            let mut changed = good.clone();
            changed.iter_mut().filter(|(key, _)| key == member).for_each(|(_, old)| *old = value.into());
            assert_eq!(key.verify("a name", &changed, NOW), Err(Refused::Signature), "{member}={value}");
            changed.retain(|(key, _)| key != member);
            assert_eq!(key.verify("a name", &changed, NOW), Err(Refused::Signature), "without {member}");
        }
        let read = query(&key.sign("a name", &Grant { blob: "b1".into(), write: false }, NOW));
        assert_eq!(key.verify("a name", &read, NOW), Ok(Grant { blob: "b1".into(), write: false }));
    }

    #[test]
    fn the_key_is_made_once_and_kept() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("url.key");
        let signed = UrlKey::open(&file).unwrap().sign("n", &Grant { blob: "b".into(), write: true }, NOW);
        assert_eq!(UrlKey::open(&file).unwrap().sign("n", &Grant { blob: "b".into(), write: true }, NOW), signed);
        std::fs::write(&file, b"short").unwrap();
        assert!(UrlKey::open(&file).is_err());
    }
}
