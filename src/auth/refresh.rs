//! Refresh tokens: a person who signed in for an application need not do it again for a while (RFC 6749 §6).
//!
//! Nothing is stored. The token says for which application and person it is and until when, and carries a mark of the password: a new password, a
//! removed person or a disabled application end it. Sealed with the key of the signed URLs.

use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};

use super::secret;
use super::signed_url::UrlKey;
use crate::model::id::ApplicationId;
use crate::model::time::Timestamp;

/// How long a refresh token works. Each use gives a new one.
pub const REFRESH_LIFETIME: Duration = Duration::from_secs(14 * 24 * 3600);
/// A longer text is no refresh token.
const TOKEN_BYTES_MAX: usize = 2048;
const PURPOSE: &str = "refresh token";

/// What a refresh token says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refresh {
    /// The application that it was given to.
    #[serde(rename = "a")]
    pub application: uuid::Uuid,
    /// The person who signed in.
    #[serde(rename = "p")]
    pub person: String,
    /// [`super::sign_in::password_mark`] of the password that was right.
    #[serde(rename = "m")]
    pub mark: String,
    /// It works until then, in milliseconds since 1970.
    #[serde(rename = "u")]
    pub until: i64,
}

/// A new refresh token.
pub fn make(key: &UrlKey, application: ApplicationId, person: &str, mark: &str, now: Timestamp) -> String {
    let says =
        Refresh { application: application.0, person: person.to_owned(), mark: mark.to_owned(), until: now.plus(REFRESH_LIFETIME).0 };
    let text = URL_SAFE_NO_PAD.encode(serde_json::to_vec(&says).unwrap_or_default());
    let seal = key.seal(PURPOSE, &text);
    format!("{text}.{seal}")
}

/// What a refresh token says, when it was made here, for this application, and its time is not over. Whether the person still may is the caller's
/// to ask, with [`same_password`].
pub fn read(key: &UrlKey, token: &str, application: ApplicationId, now: Timestamp) -> Option<Refresh> {
    let (text, seal) = token.split_once('.').filter(|_| token.len() <= TOKEN_BYTES_MAX)?;
    if !key.sealed(PURPOSE, text, seal) {
        return None;
    }
    let says: Refresh = serde_json::from_slice(&URL_SAFE_NO_PAD.decode(text).ok()?).ok()?;
    (says.application == application.0 && now.0 < says.until).then_some(says)
}

/// Whether the password is still the one that was right.
pub fn same_password(says: &Refresh, mark: &str) -> bool {
    secret::same(&says.mark, mark)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const NOW: Timestamp = Timestamp(1_795_000_000_000);

    fn key() -> (tempfile::TempDir, UrlKey) {
        let scratch = tempfile::tempdir().unwrap();
        let key = UrlKey::open(&scratch.path().join("key")).unwrap();
        (scratch, key)
    }

    #[test]
    fn a_refresh_token_works_for_its_application_until_its_time() {
        let (_scratch, key) = key();
        let (mine, other) = (ApplicationId(uuid::Uuid::from_u128(1)), ApplicationId(uuid::Uuid::from_u128(2)));
        let token = make(&key, mine, "Kim Ærø", "mark", NOW);
        let says = read(&key, &token, mine, NOW).unwrap();
        assert_eq!(says.person, "Kim Ærø");
        assert!(same_password(&says, "mark") && !same_password(&says, "marl"));
        assert_eq!(read(&key, &token, other, NOW), None);
        assert_eq!(read(&key, &token, mine, NOW.plus(REFRESH_LIFETIME)), None);
        let (_other_scratch, stranger) = self::key();
        assert_eq!(read(&stranger, &token, mine, NOW), None);
    }

    proptest! {
        #[test]
        fn no_changed_token_is_read(at in 0usize..200, byte in "[A-Za-z0-9._-]", text in "[ -~]{0,60}") {
            let (_scratch, key) = key();
            let mine = ApplicationId(uuid::Uuid::from_u128(1));
            let token = make(&key, mine, "kim", "mark", NOW);
            prop_assert_eq!(read(&key, &text, mine, NOW), None);
            let mut changed = token.clone();
            let at = at % token.len();
            changed.replace_range(at..=at, &byte);
            // The last digit of a base64 text has bits that mean nothing.
            if changed != token && at + 1 < token.len() {
                prop_assert_eq!(read(&key, &changed, mine, NOW), None);
            }
        }
    }
}
