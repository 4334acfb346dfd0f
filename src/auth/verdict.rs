//! Remembers good tokens by their SHA-256, so that a client's next call costs one hash and one lock instead of a signature check.
//!
//! Bounded, and never past the token's expiry. Bad tokens are not remembered: anyone can make as many of those as they like.
//! Everything is void when the generation changes, that is when keys were rotated or removed.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use sha2::{Digest, Sha256};

use super::verify::Caller;
use crate::model::time::Timestamp;

/// Verdicts remembered at one time; each takes about 150 bytes.
pub(super) const VERDICTS_MAX: usize = 4096;

/// The SHA-256 of a token.
pub(super) type TokenHash = [u8; 32];

pub(super) fn token_hash(token: &str) -> TokenHash {
    Sha256::digest(token.as_bytes()).into()
}

#[derive(Clone)]
struct Verdict {
    caller: Caller,
    /// Good from here on: a clock that was set back must not make a token valid early.
    from: Timestamp,
}

#[derive(Default)]
struct Remembered {
    generation: u64,
    verdicts: HashMap<TokenHash, Verdict>,
}

/// The verdicts.
#[derive(Default)]
pub(super) struct Verdicts(Mutex<Remembered>);

impl Verdicts {
    /// The caller of a token that was found good in this generation and is not over.
    pub(super) fn recall(&self, hash: &TokenHash, generation: u64, now: Timestamp) -> Option<Caller> {
        let remembered = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if remembered.generation != generation {
            return None;
        }
        let verdict = remembered.verdicts.get(hash)?;
        (verdict.from <= now && now < verdict.caller.expires_at).then(|| verdict.caller.clone())
    }

    /// Remembers a token found good at `now` with the keys of this generation.
    pub(super) fn remember(&self, hash: TokenHash, generation: u64, now: Timestamp, caller: Caller) {
        if caller.expires_at <= now {
            return;
        }
        let mut remembered = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if remembered.generation > generation {
            // The keys changed while this token was checked: the next call checks it again.
            return;
        }
        if remembered.generation < generation {
            remembered.generation = generation;
            remembered.verdicts.clear();
        }
        if remembered.verdicts.len() >= VERDICTS_MAX {
            make_room(&mut remembered.verdicts, now);
        }
        remembered.verdicts.insert(hash, Verdict { caller, from: now });
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.0.lock().unwrap().verdicts.len()
    }
}

/// Forgets what is over; when nothing is, the eighth that is over first, so that the search is paid once in many calls.
fn make_room(verdicts: &mut HashMap<TokenHash, Verdict>, now: Timestamp) {
    verdicts.retain(|_, verdict| now < verdict.caller.expires_at);
    if verdicts.len() < VERDICTS_MAX {
        return;
    }
    let mut ends: Vec<(Timestamp, TokenHash)> = verdicts.iter().map(|(hash, verdict)| (verdict.caller.expires_at, *hash)).collect();
    let (soonest, _, _) = ends.select_nth_unstable(VERDICTS_MAX / 8);
    for (_, hash) in soonest {
        verdicts.remove(hash);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::id::ApplicationId;
    use uuid::Uuid;

    fn caller(expires_at: i64) -> Caller {
        Caller { application: ApplicationId(Uuid::nil()), issuer: "us".into(), expires_at: Timestamp(expires_at) }
    }

    #[test]
    fn a_verdict_holds_until_its_token_expires_and_not_before_it_was_given() {
        let verdicts = Verdicts::default();
        let hash = token_hash("a token");
        verdicts.remember(hash, 0, Timestamp(100), caller(200));
        assert!(verdicts.recall(&hash, 0, Timestamp(100)).is_some());
        assert!(verdicts.recall(&hash, 0, Timestamp(199)).is_some());
        assert!(verdicts.recall(&hash, 0, Timestamp(200)).is_none());
        assert!(verdicts.recall(&hash, 0, Timestamp(99)).is_none());
        assert!(verdicts.recall(&token_hash("a tokem"), 0, Timestamp(100)).is_none());
        verdicts.remember(token_hash("over"), 0, Timestamp(100), caller(100));
        assert_eq!(verdicts.len(), 1);
    }

    #[test]
    fn a_change_of_keys_voids_every_verdict_even_one_that_comes_late() {
        let verdicts = Verdicts::default();
        let (first, second) = (token_hash("first"), token_hash("second"));
        verdicts.remember(first, 0, Timestamp(0), caller(200));
        assert!(verdicts.recall(&first, 1, Timestamp(0)).is_none());
        verdicts.remember(second, 1, Timestamp(0), caller(200));
        verdicts.remember(first, 0, Timestamp(0), caller(200));
        assert!(verdicts.recall(&first, 1, Timestamp(0)).is_none());
        assert!(verdicts.recall(&second, 1, Timestamp(0)).is_some());
        assert_eq!(verdicts.len(), 1);
    }

    #[test]
    fn the_number_of_verdicts_is_bounded_and_expired_ones_go_first() {
        let verdicts = Verdicts::default();
        for number in 0..VERDICTS_MAX {
            // Every other one is over at 100.
            let end = if number % 2 == 0 { 100 } else { 10_000 + number as i64 };
            verdicts.remember(token_hash(&number.to_string()), 0, Timestamp(0), caller(end));
        }
        verdicts.remember(token_hash("new"), 0, Timestamp(100), caller(20_000));
        assert_eq!(verdicts.len(), VERDICTS_MAX / 2 + 1);
        assert!(verdicts.recall(&token_hash("1"), 0, Timestamp(100)).is_some());

        for number in 0..3 * VERDICTS_MAX {
            verdicts.remember(token_hash(&format!("more {number}")), 0, Timestamp(100), caller(30_000 + number as i64));
            assert!(verdicts.len() <= VERDICTS_MAX);
        }
        assert!(verdicts.recall(&token_hash("1"), 0, Timestamp(100)).is_none(), "the one that is over first made room");
        assert!(verdicts.recall(&token_hash(&format!("more {}", 3 * VERDICTS_MAX - 1)), 0, Timestamp(100)).is_some());
    }
}
