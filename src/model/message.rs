//! Messages: one document on a queue, with its state.

use serde::{Deserialize, Serialize};

use super::execution::RowCounts;
use super::id::{ActivityId, ApplicationId, ExecutionId, MessageId, PopReceipt};
use super::project::Direction;
use super::state::MessageState;
use super::time::Timestamp;

/// Where the bytes of a payload are. `files.rs` alone turns this into a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PayloadPlace {
    /// Inside a shared segment.
    Segment {
        /// The segment's number.
        segment: u64,
        /// Offset of the payload's first byte.
        offset: u64,
    },
    /// In a file of its own in the spool.
    File {
        /// Its name.
        name: String,
    },
    /// No longer kept: retention has passed.
    Pruned,
}

/// What a payload is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Content {
    /// One document of one entity.
    #[default]
    File,
    /// A data package: many entities (CONTRACT §4).
    Package,
}

impl Content {
    /// The word in the store, and in a job's `accepts`.
    pub fn name(self) -> &'static str {
        match self {
            Content::File => "file",
            Content::Package => "package",
        }
    }
}

/// What stands in the place of the entity's name when there are many.
pub const PACKAGE_ENTITY: &str = "data package";

/// A message as the queue keeps it.
#[derive(Clone, Debug, PartialEq)]
pub struct Message {
    /// Its identity; the `CorrelationId` of the wire.
    pub id: MessageId,
    /// The job it belongs to.
    pub activity_id: ActivityId,
    /// In or out.
    pub direction: Direction,
    /// Where it is on its journey.
    pub state: MessageState,
    /// The entity's name, as the configuration spells it; [`PACKAGE_ENTITY`] for a package.
    pub entity: String,
    /// What its payload is.
    pub content: Content,
    /// Import: validated, and on purpose not loaded.
    pub stage_only: bool,
    /// The legal entity, when the job keeps one.
    pub company: Option<String>,
    /// The client's name for it (`x-ms-dyn-externalidentifier`).
    pub external_id: Option<String>,
    /// The application that sent it.
    pub application_id: Option<ApplicationId>,
    /// Bytes of the payload.
    pub size: u64,
    /// SHA-256 of the payload, lower-case hex.
    pub sha256: String,
    /// Where the payload is.
    pub place: PayloadPlace,
    /// CRC-32 of the payload, checked whenever it is read.
    pub checksum: u32,
    /// When it was stored.
    pub received_at: Timestamp,
    /// When its latest try began (import) or it was first dequeued (export).
    pub started_at: Option<Timestamp>,
    /// When it reached a final state.
    pub finished_at: Option<Timestamp>,
    /// Tries so far (import), dequeues so far (export).
    pub attempts: u32,
    /// Deferred until then.
    pub next_try_at: Option<Timestamp>,
    /// Dequeued: comes back then unless acked.
    pub lease_until: Option<Timestamp>,
    /// Proof of the latest dequeue.
    pub pop_receipt: Option<PopReceipt>,
    /// When it was last handed out.
    pub last_dequeued_at: Option<Timestamp>,
    /// The execution that processed or made it.
    pub execution_id: Option<ExecutionId>,
    /// Rows by outcome; an export counts its rows as `read`.
    pub counts: RowCounts,
    /// Findings in all, of which the store may keep fewer.
    pub findings: u64,
    /// Why it was deferred, failed or cancelled; for people.
    pub reason: Option<String>,
    /// The message that this one repeats.
    pub replay_of: Option<MessageId>,
    /// The message that repeats this one.
    pub replayed_by: Option<MessageId>,
    /// The message that failed or was cancelled, and whose load this one goes on with: what that one loaded is not loaded again.
    pub continues: Option<MessageId>,
    /// The spool file with its refused rows.
    pub refused_file: Option<String>,
}

impl Message {
    /// Under which message entity databases remember its loads.
    pub fn ledger(&self) -> MessageId {
        self.continues.unwrap_or(self.id)
    }
}
