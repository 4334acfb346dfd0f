//! Text in columns of fixed width.

mod counted;
pub mod measure;
pub mod read;
#[cfg(test)]
mod tests;
pub mod write;
