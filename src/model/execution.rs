//! Executions: one run of a project, with its counts.

use serde::Serialize;

/// Rows by outcome. `read = inserted + updated + unchanged + refused`, always (DESIGN §6.4).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct RowCounts {
    /// Records of the document.
    pub read: u64,
    /// New rows.
    pub inserted: u64,
    /// Rows that changed.
    pub updated: u64,
    /// Rows that were already so.
    pub unchanged: u64,
    /// Records refused with at least one finding.
    pub refused: u64,
}

impl RowCounts {
    /// Whether every record read is accounted for.
    pub fn add_up(&self) -> bool {
        self.read == self.inserted + self.updated + self.unchanged + self.refused
    }
}
