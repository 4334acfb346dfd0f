//! Delimited text: [`read`] takes it apart record by record, [`mod@write`] puts it together.

pub mod read;
pub mod write;
