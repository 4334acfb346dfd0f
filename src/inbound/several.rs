//! Fields that several lines of a mapping may fill. Which of them has filled one is kept with each row: what is done with a value when it is loaded, and what
//! findings call it, is said by its line.

use crate::model::mapping::Mapping;
use crate::model::project::ProjectEntity;

/// No line has filled the field.
pub const NO_LINE: u16 = u16::MAX;

/// Those fields of an entity; usually none.
pub struct Several<'a> {
    mapping: &'a [Mapping],
    fields: Vec<usize>,
}

impl<'a> Several<'a> {
    /// Of a project's entity.
    pub fn new(project_entity: &'a ProjectEntity) -> Several<'a> {
        let mapping = &project_entity.mapping;
        let mut lines = vec![0_usize; project_entity.entity.fields.len()];
        mapping.iter().for_each(|line| lines[line.field] += 1);
        Several { mapping, fields: (0..lines.len()).filter(|field| lines[*field] > 1).collect() }
    }

    /// How many.
    pub fn len(&self) -> usize {
        self.fields.len()
    }

    /// The place of a field among them.
    pub fn place(&self, field: usize) -> Option<usize> {
        self.fields.iter().position(|known| *known == field)
    }

    /// The line that has filled a field of a row; where none has, the first that could. `filled` is what was kept with the row.
    pub fn line(&self, field: usize, filled: &[u16]) -> Option<&'a Mapping> {
        let known = self.place(field).and_then(|place| self.mapping.get(usize::from(*filled.get(place)?)));
        known.or_else(|| self.mapping.iter().find(|line| line.field == field))
    }

    /// The column that its value comes from.
    pub fn source(&self, field: usize, filled: &[u16]) -> String {
        self.line(field, filled).map_or_else(String::new, |line| line.source.name())
    }

    /// Whether some of its lines keep what a row has where they are blank, and others do not.
    pub fn differ(&self, field: usize) -> bool {
        let mut lines = self.mapping.iter().filter(|line| line.field == field);
        lines.clone().any(|line| line.ignore_blank) && lines.any(|line| !line.ignore_blank)
    }
}
