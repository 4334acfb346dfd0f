//! Text in columns of fixed width.

pub mod read;
pub mod write;
