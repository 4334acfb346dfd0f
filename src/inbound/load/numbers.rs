//! Numbers that rows take from sequences, and keys that no other row of the document may have for it.

use super::{At, Loading, Unique};
use crate::document::value::Stored;
use crate::inbound::block::Value;
use crate::model::finding::{Finding, Rule};
use crate::store::StoreError;
use crate::store::entities::{Cell, Numbered, SEPARATOR, Sequence};

/// A field that is numbered.
pub(super) struct Numbering<'a> {
    pub target: usize,
    pub sequence: Sequence<'a>,
}

impl Loading<'_> {
    pub(super) fn give_back(&self, numbers: &[(usize, Numbered)]) -> Result<(), StoreError> {
        let mut taken = numbers.iter().filter(|(_, number)| matches!(number, Numbered::New(_)));
        taken.try_for_each(|(index, _)| self.sequences[*index].sequence.give_back())
    }

    /// The numbers that the row takes, each with the index of its sequence; a finding when one does not fit, and none is taken.
    pub(super) fn number(&mut self, at: At<'_>, cells: &[Cell<'_>]) -> Result<Result<Vec<(usize, Numbered)>, Finding>, StoreError> {
        let mut numbers: Vec<(usize, Numbered)> = Vec::new();
        if self.sequences.is_empty() {
            return Ok(Ok(numbers));
        }
        // Those of the key first: the others ask by it.
        let mut order: Vec<usize> = (0..self.sequences.len()).collect();
        order.sort_by_key(|index| !self.key.contains(&self.sequences[*index].target));
        for index in order {
            let target = self.sequences[index].target;
            if at.row.values[target] != Value::Sequence(u32::try_from(index).unwrap_or(u32::MAX)) {
                continue;
            }
            let key: Vec<Cell<'_>> = self
                .key
                .iter()
                .map(|place| {
                    let taken = numbers.iter().find(|(other, _)| self.sequences[*other].target == *place);
                    taken.map_or(cells[*place], |(_, number)| Cell::from(number.value()))
                })
                .collect();
            let mut unique = unique_of(&mut self.unique, target);
            let of_key = self.key.contains(&target);
            let refused = &mut self.refused;
            let had = |value: &Stored| {
                if let Some(unique) = &mut unique
                    && unique.seen.had(&value.text())?.is_some()
                {
                    return Ok(true);
                }
                let parts = self.key.iter().zip(&key).map(|(place, cell)| if *place == target { value.text() } else { cell.text() });
                // Mended, a refused row comes with its key.
                match refused {
                    Some(refused) if of_key => refused.has(&parts.collect::<Vec<_>>().join(SEPARATOR)),
                    _ => Ok(false),
                }
            };
            match self.sequences[index].sequence.number(&key, had)? {
                Ok(number) => numbers.push((index, number)),
                Err(wrong) => {
                    self.give_back(&numbers)?;
                    return Ok(Err(self.finding(at, wrong.rule, wrong.message, &wrong.hint, &[(target, Cell::Null)])));
                }
            }
        }
        Ok(Ok(numbers))
    }

    /// Keeps in mind the key that a row was given.
    pub(super) fn note_given(&mut self, at: At<'_>, cells: &[Cell<'_>]) -> Result<(), StoreError> {
        let key = self.key_text(cells);
        self.given.as_mut().map_or(Ok(None), |given| given.note(&key, at.number)).map(drop)
    }

    /// That a row comes with the key of another one, and would take its place: one that was given that number, or, where the row was refused for that
    /// before, one that is loaded by now.
    pub(super) fn replaces(&mut self, at: At<'_>, cells: &[Cell<'_>]) -> Result<Option<Finding>, StoreError> {
        let again = at.row.repeats.key;
        if (self.given.is_none() && !again) || self.key.iter().any(|target| cells[*target].is_blank()) {
            return Ok(None);
        }
        let text = self.key_text(cells);
        let given = self.given.as_mut().map_or(Ok(None), |given| given.had(&text))?;
        let (message, hint) = match given {
            Some(before) => (
                format!("row {before} of the document was given this number, and has this key too"),
                "give the row another number; without its reason it replaces that one",
            ),
            None if again && self.is_loaded(cells)? => (
                "a row that is loaded has this key too".to_owned(),
                "give this one another key, or take it out; without its reason it replaces the row with its key",
            ),
            None => return Ok(None),
        };
        Ok(Some(self.finding(at, Rule::Unique, message, hint, &self.of_key(cells))))
    }

    /// Whether a row of the table has the key.
    fn is_loaded(&mut self, cells: &[Cell<'_>]) -> Result<bool, StoreError> {
        let key: Vec<Cell<'_>> = self.key.iter().map(|target| cells[*target]).collect();
        let others = match &mut self.others {
            Some(others) => others,
            none => none.insert(self.database.others(self.entity, &self.entity.key)?),
        };
        others.exist(&key, &key)
    }

    pub(super) fn key_text(&self, cells: &[Cell<'_>]) -> String {
        self.key.iter().map(|target| cells[*target].text()).collect::<Vec<_>>().join(SEPARATOR)
    }
}

/// What no two rows of the document have of this value alone.
pub(super) fn unique_of<'u, 'a>(unique: &'u mut [Unique<'a>], target: usize) -> Option<&'u mut Unique<'a>> {
    unique.iter_mut().find(|unique| unique.targets == [target])
}
