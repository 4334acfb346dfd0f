//! XML: records as elements of elements (XML-Element), as attributes (XML-Attribute), or wherever a path leads.

pub mod read;
pub mod write;
