//! Delimited text: [`read`] takes it apart record by record, [`write`] puts it together.

pub mod read;
pub mod write;
