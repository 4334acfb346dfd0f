//! Text in columns of fixed width.

pub mod measure;
pub mod read;
#[cfg(test)]
mod tests;
pub mod write;
