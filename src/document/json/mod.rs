//! JSON: an array of objects, an object with arrays inside, or a value on each line (JSON Lines).

pub mod read;
pub mod write;
