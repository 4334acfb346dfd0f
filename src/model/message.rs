//! Messages: one document on a queue, with its state.

use super::execution::RowCounts;
use super::id::{ActivityId, ApplicationId, ExecutionId, MessageId, PopReceipt};
use super::project::Direction;
use super::state::MessageState;
use super::time::Timestamp;

/// Where the bytes of a payload are. `files.rs` alone turns this into a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PayloadPlace {
    /// Inside a shared segment: its number, the offset of the payload's first byte, CRC-32 of its bytes.
    Segment { segment: u64, offset: u64, checksum: u32 },
    /// In a file of its own in the spool, by name.
    File { name: String },
    /// No longer kept: retention has passed.
    Pruned,
}

/// A message as the queue keeps it.
#[derive(Clone, Debug, PartialEq)]
pub struct Message {
    pub id: MessageId,
    pub activity_id: ActivityId,
    pub direction: Direction,
    pub state: MessageState,
    /// The entity's label, as the client or the project named it.
    pub entity: String,
    pub company: Option<String>,
    /// The client's name for it (`x-ms-dyn-externalidentifier`).
    pub external_id: Option<String>,
    pub application_id: Option<ApplicationId>,
    pub size: u64,
    /// SHA-256 of the payload, lower-case hex.
    pub sha256: String,
    pub place: PayloadPlace,
    pub received_at: Timestamp,
    pub started_at: Option<Timestamp>,
    pub finished_at: Option<Timestamp>,
    /// Tries so far (import), dequeues so far (export).
    pub attempts: u32,
    pub next_try_at: Option<Timestamp>,
    pub lease_until: Option<Timestamp>,
    pub pop_receipt: Option<PopReceipt>,
    pub last_dequeued_at: Option<Timestamp>,
    pub execution_id: Option<ExecutionId>,
    pub counts: RowCounts,
    /// Findings in all, of which the store may keep fewer.
    pub findings: u64,
    /// Why it was deferred, failed or cancelled; for people.
    pub reason: Option<String>,
    /// The message that this one repeats.
    pub replay_of: Option<MessageId>,
}
