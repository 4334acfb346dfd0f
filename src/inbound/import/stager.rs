//! The staging thread: keeps rows as they were mapped, behind the loading thread.

use std::sync::mpsc::{Receiver, SyncSender};

use crate::inbound::block::{Block, Value};
use crate::inbound::load::columns_of;
use crate::model::execution::StagingStatus;
use crate::model::project::ProjectEntity;
use crate::store::StoreError;
use crate::store::entities::Cell;
use crate::store::staging::{self, Part, Staging};

/// What the loading thread has done.
pub(super) enum Done {
    /// A block; for each of its records why it was refused, or nothing.
    Rows(Block, Vec<Option<String>>),
    /// All that was loaded is taken back.
    TakenBack,
}

/// The entities whose rows are staged: the entity's own, and those of nested records.
pub(super) fn staged_parts(project_entity: &ProjectEntity) -> Vec<Part<'_>> {
    let all = std::iter::once(project_entity).chain(project_entity.nested.iter().map(|nested| &nested.project_entity));
    let part = |one| {
        let one: &ProjectEntity = one;
        Part { entity: &one.entity, fields: columns_of(one).into_iter().map(|(field, _)| field).collect() }
    };
    all.map(part).collect()
}

/// The staging thread: keeps what was loaded or refused, behind the loading thread. Ends with the file whole.
pub(super) fn stage(
    staging: Staging,
    accepted: StagingStatus,
    done: &Receiver<Done>,
    emptied: &SyncSender<Block>,
) -> Result<(), StoreError> {
    let mut rows = staging.rows()?;
    for done in done {
        let (mut block, reasons) = match done {
            Done::Rows(block, reasons) => (block, reasons),
            Done::TakenBack => {
                staging.take_back()?;
                continue;
            }
        };
        for (entry, reason) in block.records().zip(&reasons) {
            let own = entry.rows().next().map_or(&[][..], |row| row.values);
            for row in entry.rows() {
                let cells = row.values.iter().map(|value| match value {
                    Value::Parent(target) => own.get(*target as usize).map_or(Cell::Null, |value| block.cell(*value)),
                    value => block.cell(*value),
                });
                let staged = staging::Row {
                    number: entry.number,
                    line: row.line,
                    status: if reason.is_some() { StagingStatus::Error } else { accepted },
                    reason: reason.as_deref(),
                    record: reason.as_ref().map(|_| entry.raw).filter(|_| row.part == 0),
                };
                rows.row(row.part, &staged, cells)?;
            }
        }
        block.clear();
        let _ = emptied.try_send(block);
    }
    drop(rows);
    staging.finish()
}
