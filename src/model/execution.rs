//! Executions: one run of a project, with its counts.

use serde::{Deserialize, Serialize};

use super::time::Timestamp;

/// Rows by outcome. `read = inserted + updated + unchanged + validated + refused`, always (DESIGN §6.4).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RowCounts {
    /// Records of the document.
    pub read: u64,
    /// New rows.
    pub inserted: u64,
    /// Rows that changed.
    pub updated: u64,
    /// Rows that were already so.
    pub unchanged: u64,
    /// Rows that would be loaded, and on purpose were not.
    #[serde(default)]
    pub validated: u64,
    /// Records refused with at least one finding.
    pub refused: u64,
}

impl RowCounts {
    /// Rows that are in the table now, by this execution or as they were.
    pub fn loaded(&self) -> u64 {
        self.inserted + self.updated + self.unchanged
    }

    /// Adds the rows of another entity.
    pub fn add(&mut self, other: &RowCounts) {
        self.read += other.read;
        self.inserted += other.inserted;
        self.updated += other.updated;
        self.unchanged += other.unchanged;
        self.validated += other.validated;
        self.refused += other.refused;
    }

    /// With what is not kept in the store: of a run that loads nothing, all that was not refused was validated.
    pub fn with_validated(self, loads_nothing: bool) -> RowCounts {
        if loads_nothing { RowCounts { validated: self.read.saturating_sub(self.refused), ..self } } else { self }
    }

    /// As it is when nothing was loaded after all.
    pub fn not_loaded(&self) -> RowCounts {
        RowCounts { read: self.read, validated: self.loaded() + self.validated, refused: self.refused, ..RowCounts::default() }
    }

    /// Whether every record read is accounted for.
    pub fn add_up(&self) -> bool {
        self.read == self.loaded() + self.validated + self.refused
    }
}

/// What an execution did with one of its entities.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EntityRun {
    /// The entity's name.
    pub entity: String,
    /// How it ended.
    pub outcome: EntityOutcome,
    /// When it was taken up.
    pub started_at: Timestamp,
    /// When it was done.
    pub finished_at: Timestamp,
    /// Rows by outcome; an export counts its rows as `read`.
    pub counts: RowCounts,
    /// Findings that are faults.
    pub findings: u64,
    /// The spool file with its refused rows.
    pub refused_file: Option<String>,
    /// The spool file with what its stylesheets gave.
    pub transformed_file: Option<String>,
    /// The spool file with its staged rows.
    pub staging_file: Option<String>,
}

/// How an execution ended for one of its entities.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EntityOutcome {
    /// All rows are in, or written.
    Processed,
    /// Some rows are in, the others have findings.
    ProcessedWithErrors,
    /// Nothing was loaded, the findings say why.
    Refused,
    /// Not run: an entity before it failed, and the package says that this one then must not run.
    Skipped,
    /// Validated, and on purpose not loaded.
    Staged,
}

/// All outcomes.
pub const ENTITY_OUTCOMES: [EntityOutcome; 5] = {
    use EntityOutcome::*;
    [Processed, ProcessedWithErrors, Refused, Skipped, Staged]
};

impl EntityOutcome {
    /// The word in the store; where a message has the same state, it is the same word.
    pub fn name(self) -> &'static str {
        match self {
            EntityOutcome::Processed => "processed",
            EntityOutcome::ProcessedWithErrors => "processed_with_errors",
            EntityOutcome::Refused => "refused",
            EntityOutcome::Skipped => "skipped",
            EntityOutcome::Staged => "staged",
        }
    }

    /// The outcome of an import with these counts and faults.
    pub fn of(counts: &RowCounts, findings: u64) -> EntityOutcome {
        match () {
            () if findings == 0 => EntityOutcome::Processed,
            () if counts.loaded() + counts.validated == 0 => EntityOutcome::Refused,
            () => EntityOutcome::ProcessedWithErrors,
        }
    }
}

/// What became of a row that is staged, in the words of D365.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StagingStatus {
    /// Validated, and then not loaded because the document as a whole was refused.
    NotStarted,
    /// Validated, and on purpose not loaded.
    Validated,
    /// Loaded, or it was so already.
    Completed,
    /// Refused.
    Error,
}

/// All of them.
pub const STAGING_STATUSES: [StagingStatus; 4] =
    [StagingStatus::NotStarted, StagingStatus::Validated, StagingStatus::Completed, StagingStatus::Error];

impl StagingStatus {
    /// The word in the staging file.
    pub fn name(self) -> &'static str {
        match self {
            StagingStatus::NotStarted => "NotStarted",
            StagingStatus::Validated => "Validated",
            StagingStatus::Completed => "Completed",
            StagingStatus::Error => "Error",
        }
    }
}

/// What an execution that a client asked for is to hold; kept as JSON.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Scope {
    /// Only these entities; all of the project when empty.
    pub entities: Vec<String>,
    /// At most this many rows of each.
    pub rows_max: Option<u64>,
    /// An export: only what changed since the package that this client fetched last, of every entity.
    pub delta: bool,
    /// An import: the blob of the package. An export: the blob of a package whose entities it shall have.
    pub template: Option<String>,
    /// An export: the name of its package.
    pub package_name: Option<String>,
    /// An export: the legal entity that the client names.
    pub company: Option<String>,
    /// The project that the client made and named; `None` when it named one of the configuration.
    pub made_project: Option<String>,
}
