//! Tests of mappings, which stand in the configuration beside the project that they test: a document, and what must become of it.

use super::finding::Rule;

/// `[[project.test]]`
#[derive(Clone, Debug, PartialEq)]
pub struct MappingTest {
    /// Its name.
    pub name: String,
    /// The project.
    pub project: String,
    /// The entity, by name.
    pub entity: String,
    /// The document.
    pub input: Vec<u8>,
    /// The legal entity of the message.
    pub company: Option<String>,
    /// Documents of the project's entities that are loaded before, by entity, in the format of each.
    pub given: Vec<(String, Vec<u8>)>,
    /// The rows that must be loaded, in order: those of the entity, and those of nested records that the test names.
    pub rows: Vec<ExpectedRows>,
    /// What the last stylesheet must give, but for white space around it; `None` when it does not matter.
    pub transformed: Option<String>,
    /// The findings that must come, in order.
    pub findings: Vec<ExpectedFinding>,
}

/// Rows of an entity as a test expects them.
#[derive(Clone, Debug, PartialEq)]
pub struct ExpectedRows {
    /// The entity, by name.
    pub entity: String,
    /// Field and value as the table keeps it; `None` is blank. Other fields do not matter.
    pub rows: Vec<Vec<(String, Option<String>)>>,
}

/// A finding as a test expects it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ExpectedFinding {
    /// Its row; any when `None`.
    pub row: Option<u64>,
    /// Its field; any when `None`.
    pub field: Option<String>,
    /// Its rule; any when `None`.
    pub rule: Option<Rule>,
}
