//! What a header says: which columns a mapping means, and what is left over of columns and fields.

use super::{Line, Plan};
use crate::document::value;
use crate::model::entity::FieldKind;
use crate::model::path::alike;

impl Line<'_> {
    /// Whether its column is headed by a name, and not by a value that its field takes.
    pub(super) fn is_headed_by_a_name(&self, names: &[String]) -> bool {
        let name = self.columns.first().and_then(|column| names.get(*column)).map_or("", |name| name.trim());
        let typed = !matches!(self.field.kind, FieldKind::String { .. }) && self.conversions.is_empty();
        typed && name.starts_with(char::is_alphabetic) && value::parse(self.field, name, &self.reading).is_err()
    }
}

impl Plan<'_> {
    /// Columns that nobody maps, with their places.
    fn strangers(&self) -> impl Iterator<Item = (usize, &str)> {
        let names = self.header.iter().flatten().map(|name| name.trim()).enumerate();
        names.filter(|(at, name)| !name.is_empty() && !self.lines.iter().any(|line| line.columns.contains(at)))
    }

    /// Fields that no column is for, by name.
    fn absent_names(&self) -> impl Iterator<Item = &str> {
        self.absent.iter().map(|field| self.entity.fields[*field].name.as_str())
    }

    /// Whether values seem to stand in the header: a column that nobody maps is a number or stands there again, or begins as a field that has none.
    pub fn holds_values(&self) -> bool {
        let begins = |name: &str, field: &str| {
            name.len() > field.len() && name.get(..field.len()).is_some_and(|begin| begin.eq_ignore_ascii_case(field))
        };
        let is_number = |name: &str| name.bytes().any(|byte| byte.is_ascii_digit()) && name.parse::<f64>().is_ok();
        let came = |at: usize, name: &str| self.header.iter().flatten().take(at).any(|other| other.trim() == name);
        self.strangers().any(|(at, name)| is_number(name) || came(at, name) || self.absent_names().any(|field| begins(name, field)))
    }

    /// What a person should know of fields that no column is for: perhaps a name differs, as there are columns that no field is mapped from; and of a
    /// table that is emptied no row keeps anything.
    pub fn left_over(&self, emptied: bool) -> Option<(String, String)> {
        if self.header.is_none() || self.absent.is_empty() {
            return None;
        }
        let left: Vec<&str> = self.strangers().map(|(_, name)| name).collect();
        let message = format!("no column of the document is for {}", self.absent_names().collect::<Vec<_>>().join(", "));
        if !left.is_empty() {
            let message = format!("{message}, and no field for its {}", left.join(", "));
            return Some((message, "where they belong together, write a mapping".into()));
        }
        let hint = "where they should be there, ask the sender; a mapping without them says that they need not";
        emptied.then(|| (format!("{message}, and truncate removes what rows had there"), hint.into()))
    }
}

/// The positions of columns that a mapping means: that of its name, or one that differs in spaces and underscores only.
pub(super) fn named(names: &[String], name: &str) -> (Option<usize>, Option<usize>) {
    let positions = |same: &dyn Fn(&str) -> bool| {
        let mut found = names.iter().enumerate().filter(|(_, column)| same(column.trim())).map(|(at, _)| at);
        (found.next(), found.next())
    };
    match positions(&|column| column.eq_ignore_ascii_case(name.trim())) {
        (None, _) => positions(&|column| alike(column, name.trim())),
        found => found,
    }
}
