//! What nested rows take from the row that they belong to, where the document leaves it to the row that is there: they get what that row has.

use crate::document::value::{Stored, Wrong};
use crate::model::mapping::Source;
use crate::model::project::ProjectEntity;
use crate::store::StoreError;
use crate::store::entities::{Cell, Kept, Writing};

/// Fields that nested rows take and that a blank may leave.
pub(super) struct Handed<'a> {
    /// Their places in a row.
    targets: Vec<usize>,
    kept: Kept<'a>,
}

impl<'a> Handed<'a> {
    /// Nothing where no nested row takes such a field.
    pub fn new(
        project_entity: &'a ProjectEntity,
        database: &'a Writing<'a>,
        columns: &[(usize, bool)],
    ) -> Result<Option<Handed<'a>>, StoreError> {
        let takes = |place: &usize| {
            let (field, keeps) = columns[*place];
            let mut lines = project_entity.nested.iter().flat_map(|nested| &nested.project_entity.mapping);
            keeps && !project_entity.entity.key.contains(&field) && lines.any(|line| line.source == Source::Parent(field))
        };
        let targets: Vec<usize> = (0..columns.len()).filter(takes).collect();
        if targets.is_empty() {
            return Ok(None);
        }
        let fields: Vec<usize> = targets.iter().map(|target| columns[*target].0).collect();
        Ok(Some(Handed { kept: database.kept(&project_entity.entity, &fields)?, targets }))
    }

    /// Completes the values of a row that was just loaded; the place of one that is none of its field's type, and what is wrong with it.
    pub fn fill(&mut self, key: &[usize], cells: &[Cell<'_>], values: &mut [Option<Stored>]) -> Result<Option<(usize, Wrong)>, StoreError> {
        if !self.targets.iter().any(|target| cells[*target] == Cell::Null) {
            return Ok(None);
        }
        let key: Vec<Cell<'_>> = key.iter().map(|target| cells[*target]).collect();
        for (target, kept) in self.targets.iter().zip(self.kept.of(&key)?.unwrap_or_default()) {
            match kept {
                Ok(kept) if cells[*target] == Cell::Null => values[*target] = kept,
                Err(wrong) if cells[*target] == Cell::Null => return Ok(Some((*target, wrong))),
                _ => {}
            }
        }
        Ok(None)
    }
}
