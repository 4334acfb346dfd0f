//! The states of a message and every legal move, in one place. The store moves a message only through [`MessageState::can_become`].
//!
//! ```text
//!  import                                                     export
//!
//!  enqueue ──▶ QUEUED ◀──────────────┐ defer (next try)       export run ──▶ ENQUEUED ◀────────┐ lease over,
//!                │ claim             │ restart                                 │ dequeue        │ release
//!                ▼                   │                                         ▼                │
//!            PROCESSING ─────────────┘                                     DEQUEUED ────────────┤
//!                │ report                                                      │ download       │
//!    ┌───────────┼──────────────────┬───────────────┐                          ▼                │
//!    ▼           ▼                  ▼               ▼                      DOWNLOADED ──────────┘
//!  PROCESSED  PROCESSED_WITH_    REFUSED          FAILED                       │ ack with the latest pop receipt
//!             ERRORS             (findings:       (not the document's          ▼ (also from DEQUEUED, and from
//!    │           │                nothing loaded)   fault, tries used up)    ACKED    ENQUEUED when only the lease is over)
//!    └───────────┴────── replay ────┴───────────────┘
//!                          │  (a new message with the same payload; it goes on with one that FAILED)
//!  QUEUED ── cancel ──▶ CANCELLED                             ENQUEUED, DEQUEUED, DOWNLOADED ── cancel ──▶ CANCELLED
//! ```
//!
//! An increment whose lease ended after a later one was acked is cancelled by the appliance: another takes its place (`store/increments.rs`).
//!
//! Final states are never left: a replay is a new message that names the old one, so that the history stays true. One exception keeps a
//! promise: an export message that was acknowledged can be offered again by `release`, which moves it from ACKED to ENQUEUED.

use std::fmt;
use std::str::FromStr;

use serde::{Serialize, Serializer};

/// Where a message is on its journey. The wire spellings are in `http/wire.rs`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum MessageState {
    /// Import: stored, waiting for its turn (or for its next try).
    Queued,
    /// Import: claimed by a worker, under a lease.
    Processing,
    /// Import: all rows are in.
    Processed,
    /// Import: some rows are in, the others have findings.
    ProcessedWithErrors,
    /// Import: nothing was loaded, the findings say why.
    Refused,
    /// Import: could not be processed for a reason that is not the document's.
    Failed,
    /// Export: stored, waiting to be dequeued.
    Enqueued,
    /// Export: handed to a client, under a lease.
    Dequeued,
    /// Export: its document was fetched.
    Downloaded,
    /// Export: the client confirmed it.
    Acked,
    /// Taken out of the queue, by a person, or because a later increment takes its place.
    Cancelled,
}

/// All states, in the order of the journey.
pub const MESSAGE_STATES: [MessageState; 11] = {
    use MessageState::*;
    [Queued, Processing, Processed, ProcessedWithErrors, Refused, Failed, Enqueued, Dequeued, Downloaded, Acked, Cancelled]
};

impl MessageState {
    /// The word for it in the store, the log, the API and the shell.
    pub fn name(self) -> &'static str {
        match self {
            MessageState::Queued => "queued",
            MessageState::Processing => "processing",
            MessageState::Processed => "processed",
            MessageState::ProcessedWithErrors => "processed_with_errors",
            MessageState::Refused => "refused",
            MessageState::Failed => "failed",
            MessageState::Enqueued => "enqueued",
            MessageState::Dequeued => "dequeued",
            MessageState::Downloaded => "downloaded",
            MessageState::Acked => "acked",
            MessageState::Cancelled => "cancelled",
        }
    }

    /// The word for people: `Processed with errors`.
    pub fn label(self) -> &'static str {
        match self {
            MessageState::Queued => "Queued",
            MessageState::Processing => "Processing",
            MessageState::Processed => "Processed",
            MessageState::ProcessedWithErrors => "Processed with errors",
            MessageState::Refused => "Refused",
            MessageState::Failed => "Failed",
            MessageState::Enqueued => "Enqueued",
            MessageState::Dequeued => "Dequeued",
            MessageState::Downloaded => "Downloaded",
            MessageState::Acked => "Acked",
            MessageState::Cancelled => "Cancelled",
        }
    }

    /// Whether the journey is over.
    pub fn is_final(self) -> bool {
        use MessageState::*;
        matches!(self, Processed | ProcessedWithErrors | Refused | Failed | Acked | Cancelled)
    }

    /// Whether a person should look at it.
    pub fn needs_attention(self) -> bool {
        use MessageState::*;
        matches!(self, ProcessedWithErrors | Refused | Failed)
    }

    /// Every legal move, and no other.
    pub fn can_become(self, next: MessageState) -> bool {
        use MessageState::*;
        matches!(
            (self, next),
            (Queued, Processing | Cancelled)
                | (Processing, Queued | Processed | ProcessedWithErrors | Refused | Failed)
                | (Enqueued, Dequeued | Acked | Cancelled)
                | (Dequeued, Downloaded | Acked | Enqueued | Dequeued | Cancelled)
                | (Downloaded, Downloaded | Acked | Enqueued | Dequeued | Cancelled)
                | (Acked, Enqueued)
        )
    }
}

impl fmt::Display for MessageState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl Serialize for MessageState {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.name())
    }
}

impl FromStr for MessageState {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        MESSAGE_STATES.into_iter().find(|state| state.name() == text).ok_or_else(|| {
            let names: Vec<_> = MESSAGE_STATES.iter().map(|state| state.name()).collect();
            format!("unknown message state \"{text}\", expected one of {}", names.join(", "))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn final_states_are_never_left_except_that_an_acked_message_can_be_offered_again() {
        for from in MESSAGE_STATES {
            for to in MESSAGE_STATES {
                if from.is_final() && from.can_become(to) {
                    assert_eq!((from, to), (MessageState::Acked, MessageState::Enqueued));
                }
            }
        }
    }

    #[test]
    fn every_state_is_reached_and_every_name_reads_back() {
        for state in MESSAGE_STATES {
            assert_eq!(state.name().parse(), Ok(state));
            let entry = matches!(state, MessageState::Queued | MessageState::Enqueued);
            assert!(entry || MESSAGE_STATES.into_iter().any(|from| from.can_become(state)), "{state} is never reached");
        }
    }
}
