//! What was asked of other rows, and may be otherwise since rows were loaded.

use super::Loading;
use crate::model::entity::Entity;
use crate::store::StoreError;
use crate::store::entities::{Cell, Change, Writing};

/// When rows of an entity that is asked may be others by now.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Moves {
    /// When some of it were loaded.
    Itself,
    /// Also when a row was loaded into a table whose triggers do more than is known.
    Stirred,
    /// With every row that is loaded: it is a view, of whatever tables.
    View,
}

impl Moves {
    /// Only a database of somebody else has triggers and views.
    pub fn of(entity: &Entity, database: &Writing<'_>) -> Result<Moves, StoreError> {
        Ok(match entity.is_managed() {
            true => Moves::Itself,
            false if database.table(entity)?.view => Moves::View,
            false => Moves::Stirred,
        })
    }

    fn with(self, row: Changed<'_>) -> bool {
        self == Moves::View || self == Moves::Stirred && row.stirs
    }
}

/// A row that is new, or changed.
#[derive(Clone, Copy)]
pub struct Changed<'a> {
    entity: &'a str,
    part: usize,
    /// Its table has triggers.
    stirs: bool,
}

impl<'a> Loading<'a> {
    /// What others are told when a row was loaded here.
    pub fn change(&self) -> Changed<'a> {
        Changed { entity: &self.entity.name, part: self.part, stirs: self.stirs }
    }

    /// A row is new, or changed: what was missing may exist now, and what was looked up may be another. What was loaded here own look-ups know already.
    pub fn changed(&mut self, row: Changed<'_>) {
        for referenced in &mut self.references {
            if referenced.moves.with(row) {
                referenced.reference.forget();
            } else if referenced.entity == row.entity {
                referenced.reference.forget_missing();
            }
        }
        for look_up in &mut self.look_ups {
            let known = row.part == self.part && look_up.own.is_some();
            if look_up.moves.with(row) || look_up.entity == row.entity && !known {
                look_up.finder.forget();
            }
        }
    }

    /// A row of this load is new or changed: its own look-ups forget what it may have made another.
    pub(super) fn forget_of(&mut self, cells: &[Cell<'_>], inserted: bool) {
        let is_key = |target: usize| self.key.contains(&target);
        for look_up in &mut self.look_ups {
            let Some((find, take)) = look_up.own else { continue };
            let cell = |target: Option<usize>| target.map(|target| cells[target]);
            let change = Change { find: cell(find), take: cell(take), take_is_key: take.is_some_and(is_key), inserted };
            look_up.finder.forget_of(&change);
        }
    }

    /// Rows were taken back: what was there may be missing now.
    pub fn taken_back(&mut self) {
        self.references.iter_mut().for_each(|referenced| referenced.reference.forget());
        self.look_ups.iter_mut().for_each(|look_up| look_up.finder.forget());
    }
}
