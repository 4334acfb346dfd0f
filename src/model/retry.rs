//! Retries of failures that may pass: (attempt, kind) to the next try, or giving up.

use std::time::Duration;

/// How a failed attempt is to be taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Try again after this long.
    Again(Duration),
    /// Enough.
    GiveUp,
}

/// Tries of a message or an export while what it needs (a database that is locked or away, room on the disk) is not to be had: some 24 hours of them.
pub const ATTEMPTS_MAX: u32 = 150;
/// Tries of one that meets a bug of the appliance, or ends it, each time.
pub const CRASHES_MAX: u32 = 8;
/// After so many, some ten minutes, a message that still waits is shown to people.
pub const ATTEMPTS_UNSEEN: u32 = 8;
/// After so long an export that still fails is. Its tries begin anew whenever its schedule fires.
pub const UNSEEN: Duration = Duration::from_secs(10 * 60);
/// The first wait; each further one is twice as long.
pub const RETRY_DELAY_MIN: Duration = Duration::from_secs(5);
/// The longest wait.
pub const RETRY_DELAY_MAX: Duration = Duration::from_secs(10 * 60);

/// What follows after `attempt` (from 1) failed for a reason that may pass.
pub fn after(attempt: u32) -> Verdict {
    if attempt >= ATTEMPTS_MAX {
        return Verdict::GiveUp;
    }
    let doubled = RETRY_DELAY_MIN.saturating_mul(2u32.saturating_pow(attempt.saturating_sub(1)));
    Verdict::Again(doubled.min(RETRY_DELAY_MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_up_to_the_longest_and_then_end() {
        assert_eq!(after(1), Verdict::Again(Duration::from_secs(5)));
        assert_eq!(after(2), Verdict::Again(Duration::from_secs(10)));
        assert_eq!(after(7), Verdict::Again(Duration::from_secs(320)));
        assert_eq!(after(8), Verdict::Again(RETRY_DELAY_MAX));
        assert_eq!(after(ATTEMPTS_MAX), Verdict::GiveUp);
        assert_eq!(after(u32::MAX), Verdict::GiveUp);
        let waits = (1..ATTEMPTS_MAX).map(|attempt| match after(attempt) {
            Verdict::Again(wait) => wait.as_secs(),
            Verdict::GiveUp => panic!("{attempt} is not the last"),
        });
        assert_eq!(waits.sum::<u64>() / 3600, 23);
    }
}
