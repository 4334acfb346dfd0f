//! Faults on purpose: what a developer asks the appliance to do to his client, so that he sees how it copes. The same seed strikes the same requests.

use std::time::Duration;

/// One `[[fault]]` of the configuration.
#[derive(Clone, Debug, PartialEq)]
pub struct Fault {
    /// Which requests it may strike.
    pub on: Target,
    /// What it does.
    pub effect: Effect,
    /// When it strikes.
    pub when: When,
    /// At most so often; without end when `None`.
    pub times: Option<u64>,
}

/// Requests, by what they are for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Target {
    /// `enqueue`
    Enqueue,
    /// `jobstatus`
    Jobstatus,
    /// `dequeue`
    Dequeue,
    /// `download`
    Download,
    /// `ack`
    Ack,
    /// `action`: the data management service
    Action,
    /// `blob`
    Blob,
    /// `data`: OData entity sets
    Data,
    /// `token`
    Token,
    /// `*`: any of them
    Any,
}

/// All targets with their words.
pub const TARGETS: [(&str, Target); 10] = [
    ("enqueue", Target::Enqueue),
    ("jobstatus", Target::Jobstatus),
    ("dequeue", Target::Dequeue),
    ("download", Target::Download),
    ("ack", Target::Ack),
    ("action", Target::Action),
    ("blob", Target::Blob),
    ("data", Target::Data),
    ("token", Target::Token),
    ("*", Target::Any),
];

/// What is done to a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effect {
    /// Answered 429 or 503 with `Retry-After`, and not carried out.
    Refuse(u16, Duration),
    /// The connection is cut, and nothing was carried out.
    CutBefore,
    /// It is carried out, and the connection is cut in the place of an answer: a lost ack, a lost message id.
    CutAfter,
    /// Answered as if the token had expired.
    ExpiredToken,
    /// The answer's body comes at this many bytes a second.
    Slow(u64),
    /// A dequeue whose lease is this long.
    ShortLease(Duration),
    /// The clock moves on by this much before it is carried out; only where the clock can be moved.
    Clock(Duration),
}

/// When a fault strikes, counted over the requests that it may strike.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum When {
    /// Every so many, the first of them at that number.
    Every(u64),
    /// With this probability, decided by the seed and the request's number.
    Probability {
        /// 0 to 1.
        of: f64,
        /// The same seed, the same requests.
        seed: u64,
    },
}

impl When {
    /// Whether it strikes the request of this number, from 1.
    pub fn strikes(&self, number: u64) -> bool {
        match *self {
            When::Every(every) => number.is_multiple_of(every.max(1)),
            When::Probability { of, seed } => {
                // splitmix64: well spread, and the same on every machine.
                let mut state = seed.wrapping_add(number.wrapping_mul(0x9E37_79B9_7F4A_7C15));
                state = (state ^ (state >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
                state = (state ^ (state >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
                ((state ^ (state >> 31)) >> 11) as f64 / ((1u64 << 53) as f64) < of
            }
        }
    }
}

impl Target {
    /// Whether a fault on this strikes a request for `other`.
    pub fn covers(self, other: Target) -> bool {
        self == Target::Any || self == other
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_seed_strikes_the_same_requests_about_as_often_as_it_says() {
        let struck = |seed| (1..=10_000).filter(|number| When::Probability { of: 0.2, seed }.strikes(*number)).collect::<Vec<u64>>();
        assert_eq!(struck(1), struck(1));
        assert_ne!(struck(1), struck(2));
        assert!((1_800..2_200).contains(&struck(7).len()), "{}", struck(7).len());
        assert!((1..100).all(
            |number| !When::Probability { of: 0.0, seed: 1 }.strikes(number) && When::Probability { of: 1.0, seed: 1 }.strikes(number)
        ));
        assert_eq!((1..=9).filter(|number| When::Every(3).strikes(*number)).collect::<Vec<_>>(), [3, 6, 9]);
    }
}
