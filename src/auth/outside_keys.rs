//! The key sets of issuers that are named by a URL: in memory, and in a file each, so that a restart does not need the issuer.

use std::collections::{HashMap, HashSet};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use sha2::{Digest, Sha256};

use crate::clock::{Bell, Clock};
use crate::files::{hex, make_private_directory, write_private};

/// Key sets by their URL, and the issuers whose tokens named a key that is not here.
pub struct OutsideKeys {
    dir: PathBuf,
    sets: Mutex<HashMap<String, String>>,
    wanted: Arc<Mutex<HashSet<String>>>,
    /// Wakes who fetches.
    pub bell: Bell,
}

impl OutsideKeys {
    /// Keeps its files in `dir`, which is made when there is something to keep.
    pub fn new(dir: PathBuf, clock: &Clock) -> OutsideKeys {
        OutsideKeys { dir, sets: Mutex::default(), wanted: Arc::default(), bell: Bell::new(clock) }
    }

    fn file(&self, url: &str) -> PathBuf {
        self.dir.join(format!("{}.json", hex(&Sha256::digest(url))))
    }

    /// The set of a URL, as it was last fetched.
    pub fn get(&self, url: &str) -> Option<String> {
        let mut sets = self.sets.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(set) = sets.get(url) {
            return Some(set.clone());
        }
        let kept = std::fs::read_to_string(self.file(url)).ok()?;
        sets.insert(url.to_owned(), kept.clone());
        Some(kept)
    }

    /// Keeps a set; `false` when it is the same as before.
    pub fn keep(&self, url: &str, set: String) -> bool {
        if self.get(url).as_ref() == Some(&set) {
            return false;
        }
        let file = self.file(url);
        if let Err(error) = make_private_directory(&self.dir).and_then(|()| write_private(&file, set.as_bytes())) {
            log::warn!("keys not kept file={} reason=\"{error}\"; the next start has to fetch them", file.display());
        }
        self.sets.lock().unwrap_or_else(PoisonError::into_inner).insert(url.to_owned(), set);
        true
    }

    /// What a verifier calls when a token names a key of this issuer that is not here. It only notes the wish.
    pub fn wish(&self, issuer: &str) -> Arc<dyn Fn() + Send + Sync> {
        let (wanted, bell, issuer) = (self.wanted.clone(), self.bell.clone(), issuer.to_owned());
        Arc::new(move || {
            if wanted.lock().unwrap_or_else(PoisonError::into_inner).insert(issuer.clone()) {
                bell.ring();
            }
        })
    }

    /// Whether such a wish is open.
    pub fn is_wanted(&self, issuer: &str) -> bool {
        self.wanted.lock().unwrap_or_else(PoisonError::into_inner).contains(issuer)
    }

    /// The wish is served; the next unknown key is another.
    pub fn served(&self, issuer: &str) {
        self.wanted.lock().unwrap_or_else(PoisonError::into_inner).remove(issuer);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_set_is_kept_over_a_restart_and_a_wish_until_it_is_served() {
        let dir = tempfile::tempdir().unwrap();
        let clock = Clock::set(crate::model::time::Timestamp(0));
        let keys = OutsideKeys::new(dir.path().join("issuers"), &clock);
        assert_eq!(keys.get("https://a/keys"), None);
        assert!(keys.keep("https://a/keys", "{}".into()));
        assert!(!keys.keep("https://a/keys", "{}".into()), "nothing is new");
        assert_eq!(OutsideKeys::new(dir.path().join("issuers"), &clock).get("https://a/keys").as_deref(), Some("{}"));
        let wish = keys.wish("a");
        wish();
        wish();
        assert!(keys.is_wanted("a") && !keys.is_wanted("b"));
        keys.served("a");
        assert!(!keys.is_wanted("a"));
    }
}
