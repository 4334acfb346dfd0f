//! Signing in to the pages: the one-time link, and what a session is worth. No HTTP and no SQL here.
//!
//! The link lives in memory only: it ends with the process, when it is used, or after [`LINK_LIFETIME`]. A cookie is 256 random bits of which
//! the store keeps a hash; the form token is derived from the cookie, so that there is nothing more to keep.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use super::secret;
use crate::model::time::Timestamp;

/// A sign-in link works this long.
pub const LINK_LIFETIME: Duration = Duration::from_secs(24 * 3600);
/// A session ends when it is not used for this long.
pub const SESSION_IDLE: Duration = Duration::from_secs(12 * 3600);
/// A session ends after this, used or not.
pub const SESSION_LIFETIME: Duration = Duration::from_secs(7 * 24 * 3600);
/// How exactly the last use of a session is kept: a page view need not be a write.
pub const SEEN_GRAIN: Duration = Duration::from_secs(300);

/// The sign-in link that works now, if any.
#[derive(Default)]
pub struct SignInLink(Mutex<Option<([u8; 32], Timestamp)>>);

impl SignInLink {
    /// Makes a new link; an earlier one ends. Returns its secret part.
    pub fn make(&self, now: Timestamp) -> Result<String, secret::NoRandomness> {
        let token = secret::generate()?;
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some((secret::hash(&token), now.plus(LINK_LIFETIME)));
        Ok(token)
    }

    /// Whether this is the link. Looking does not use it up, so that a preview of it does no harm.
    pub fn is(&self, token: &str, now: Timestamp) -> bool {
        let link = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let live = link.as_ref().filter(|(_, until)| now < *until);
        secret::verify(token, live.map(|(hash, _)| hash))
    }

    /// Uses the link up; only one caller is told `true`.
    pub fn take(&self, token: &str, now: Timestamp) -> bool {
        let mut link = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let live = link.as_ref().filter(|(_, until)| now < *until);
        let right = secret::verify(token, live.map(|(hash, _)| hash));
        if right {
            *link = None;
        }
        right
    }
}

/// What the store keeps of a cookie.
pub fn cookie_hash(cookie: &str) -> String {
    secret::hash_text(&secret::hash(cookie))
}

/// The token that every form of a session carries.
pub fn form_token(cookie: &str) -> String {
    secret::hash_text(&secret::hash(&format!("form {cookie}"))).replace("sha256:", "")
}

/// Marks a password without telling anything of it: a session that was opened with another one is over.
pub fn password_mark(password_hash: &str) -> String {
    secret::hash_text(&secret::hash(password_hash))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_link_works_once_until_its_time_and_only_the_newest() {
        let (links, now) = (SignInLink::default(), Timestamp(1_000_000));
        assert!(!links.is("", now) && !links.take("", now));
        let first = links.make(now).unwrap();
        let second = links.make(now).unwrap();
        assert!(!links.is(&first, now) && links.is(&second, now) && links.is(&second, now));
        assert!(!links.is(&second, now.plus(LINK_LIFETIME)) && !links.take(&second, now.plus(LINK_LIFETIME)));
        assert!(links.take(&second, now) && !links.take(&second, now) && !links.is(&second, now));
    }

    #[test]
    fn a_form_token_tells_nothing_of_what_the_store_keeps() {
        assert_ne!(cookie_hash("cookie"), format!("sha256:{}", form_token("cookie")));
        assert_ne!(form_token("cookie"), form_token("cookif"));
    }
}
