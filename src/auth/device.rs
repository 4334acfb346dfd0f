//! Signing in on another device (RFC 8628): a program without a browser shows a short code, a person enters it on our page, and the program, which asks
//! again and again, gets its token. What waits is kept in memory only: a restart costs the person one more code.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use super::secret;
use crate::model::id::ApplicationId;
use crate::model::time::Timestamp;

/// How long a person has to enter the code.
pub const CODE_LIFETIME: Duration = Duration::from_secs(15 * 60);
/// How long a program waits between its questions, in seconds.
pub const INTERVAL_SECONDS: u64 = 5;
/// Codes that wait at once. Anybody may ask for one, so there is a bound; who comes when it is reached is told to try again.
pub const WAITING_MAX: usize = 1000;
/// Of one application: it does not take the codes of the others.
pub const WAITING_PER_APPLICATION: usize = 100;
/// Letters of a user code: no vowels, so that no words come out, and none that look alike (RFC 8628 §6.1).
const LETTERS: &[u8; 20] = b"BCDFGHJKLMNPQRSTVWXZ";
const USER_CODE_LETTERS: usize = 8;

/// What a person decided.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Decision {
    Open,
    Granted(String),
    Refused,
}

struct Waiting {
    application: ApplicationId,
    user_code: String,
    until: Timestamp,
    decision: Decision,
}

/// The codes that wait, by the hash of the device code.
#[derive(Default)]
pub struct Devices(Mutex<HashMap<[u8; 32], Waiting>>);

/// A new pair of codes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Codes {
    /// The program keeps it and asks with it: a secret.
    pub device_code: String,
    /// The person enters it, as `XXXX-XXXX`.
    pub user_code: String,
}

/// How it stands with a device code.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// Nobody has entered the code yet.
    Pending,
    /// This person allowed it. The code is used up.
    Granted(String),
    /// The person refused. The code is used up.
    Refused,
    /// Unknown, used, or its time is over.
    Over,
}

/// No codes now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoCodes {
    /// [`WAITING_MAX`] wait, or [`WAITING_PER_APPLICATION`] of this application.
    Full,
    /// The operating system gave no random bytes.
    NoRandomness,
}

/// The one spelling of a user code: capitals and no dash, because people type what they like.
fn spelled(user_code: &str) -> String {
    user_code.chars().filter(char::is_ascii_alphabetic).map(|letter| letter.to_ascii_uppercase()).take(USER_CODE_LETTERS + 1).collect()
}

impl Devices {
    /// New codes for an application.
    pub fn begin(&self, application: ApplicationId, now: Timestamp) -> Result<Codes, NoCodes> {
        let mut waiting = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        waiting.retain(|_, one| now < one.until);
        let own = waiting.values().filter(|one| one.application == application).count();
        if waiting.len() >= WAITING_MAX || own >= WAITING_PER_APPLICATION {
            return Err(NoCodes::Full);
        }
        let device_code = secret::generate().map_err(|_| NoCodes::NoRandomness)?;
        let user_code = loop {
            let mut bytes = [0u8; USER_CODE_LETTERS];
            getrandom::fill(&mut bytes).map_err(|_| NoCodes::NoRandomness)?;
            // 256 is no multiple of 20: bytes at the end would favour some letters.
            if bytes.iter().any(|byte| *byte >= 240) {
                continue;
            }
            let code: String = bytes.iter().map(|byte| char::from(LETTERS[usize::from(byte % 20)])).collect();
            if !waiting.values().any(|one| one.user_code == code) {
                break code;
            }
        };
        let entry = Waiting { application, user_code: user_code.clone(), until: now.plus(CODE_LIFETIME), decision: Decision::Open };
        waiting.insert(secret::hash(&device_code), entry);
        Ok(Codes { device_code, user_code: format!("{}-{}", &user_code[..4], &user_code[4..]) })
    }

    /// The application that waits with this user code, undecided.
    pub fn asking(&self, user_code: &str, now: Timestamp) -> Option<ApplicationId> {
        let code = spelled(user_code);
        let waiting = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        waiting
            .values()
            .find(|one| now < one.until && one.decision == Decision::Open && secret::same(&code, &one.user_code))
            .map(|one| one.application)
    }

    /// A person decides; `person` is `None` for a no. Whether there was anything to decide.
    pub fn decide(&self, user_code: &str, person: Option<&str>, now: Timestamp) -> bool {
        let code = spelled(user_code);
        let mut waiting = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let found =
            waiting.values_mut().find(|one| now < one.until && one.decision == Decision::Open && secret::same(&code, &one.user_code));
        match found {
            Some(one) => {
                one.decision = person.map_or(Decision::Refused, |name| Decision::Granted(name.to_owned()));
                true
            }
            None => false,
        }
    }

    /// The program asks how it stands. A decision is told once.
    pub fn ask(&self, device_code: &str, application: ApplicationId, now: Timestamp) -> Answer {
        let hash = secret::hash(device_code);
        let mut waiting = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(one) = waiting.get(&hash).filter(|one| one.application == application && now < one.until) else { return Answer::Over };
        let answer = match &one.decision {
            Decision::Open => return Answer::Pending,
            Decision::Granted(name) => Answer::Granted(name.clone()),
            Decision::Refused => Answer::Refused,
        };
        waiting.remove(&hash);
        answer
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp(1_795_000_000_000);
    const MINE: ApplicationId = ApplicationId(uuid::Uuid::from_u128(1));
    const OTHER: ApplicationId = ApplicationId(uuid::Uuid::from_u128(2));

    #[test]
    fn a_code_is_asked_for_entered_and_used_once() {
        let devices = Devices::default();
        let codes = devices.begin(MINE, NOW).unwrap();
        assert_eq!(codes.user_code.len(), 9);
        assert_eq!(devices.ask(&codes.device_code, MINE, NOW), Answer::Pending);
        assert_eq!(devices.ask(&codes.device_code, OTHER, NOW), Answer::Over);
        // As people type it.
        let typed = format!(" {} ", codes.user_code.to_lowercase().replace('-', " "));
        assert_eq!(devices.asking(&typed, NOW), Some(MINE));
        assert!(devices.decide(&typed, Some("kim"), NOW));
        assert!(!devices.decide(&typed, None, NOW) && devices.asking(&typed, NOW).is_none());
        assert_eq!(devices.ask(&codes.device_code, MINE, NOW), Answer::Granted("kim".into()));
        assert_eq!(devices.ask(&codes.device_code, MINE, NOW), Answer::Over);
        let codes = devices.begin(MINE, NOW).unwrap();
        assert!(devices.decide(&codes.user_code, None, NOW));
        assert_eq!(devices.ask(&codes.device_code, MINE, NOW), Answer::Refused);
    }

    #[test]
    fn codes_end_with_their_time_and_are_bounded() {
        let devices = Devices::default();
        let codes = devices.begin(MINE, NOW).unwrap();
        let later = NOW.plus(CODE_LIFETIME);
        assert_eq!(devices.ask(&codes.device_code, MINE, later), Answer::Over);
        assert!(devices.asking(&codes.user_code, later).is_none() && !devices.decide(&codes.user_code, Some("kim"), later));
        for empty in ["", "-", "BCDFGHJ", "BCDFGHJKL"] {
            assert_eq!(devices.asking(empty, NOW), None, "{empty}");
        }
        for _ in 0..WAITING_PER_APPLICATION {
            devices.begin(OTHER, NOW).unwrap();
        }
        assert_eq!(devices.begin(OTHER, NOW), Err(NoCodes::Full));
        assert!(devices.begin(MINE, NOW).is_ok());
        let waiting = 2 + WAITING_PER_APPLICATION;
        for number in waiting..WAITING_MAX {
            devices.begin(ApplicationId(uuid::Uuid::from_u128(10 + number as u128)), NOW).unwrap();
        }
        assert_eq!(devices.begin(MINE, NOW), Err(NoCodes::Full));
        assert!(devices.begin(OTHER, later).is_ok());
    }
}
