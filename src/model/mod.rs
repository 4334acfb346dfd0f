//! The nouns and states of the appliance. No I/O, no SQL, no HTTP, no clock: values only.
//!
//! Everything else speaks in these types; a wire spelling, a column or a page is derived from them elsewhere.

pub mod check;
pub mod entity;
pub mod execution;
pub mod finding;
pub mod format;
pub mod id;
pub mod injury;
pub mod job;
pub mod mapping;
pub mod mapping_test;
pub mod message;
pub mod nearest;
pub mod path;
pub mod person;
pub mod project;
pub mod query;
pub mod retry;
pub mod state;
pub mod time;
pub mod transform;
