//! One file per thread role: `scheduler` says when, `dispatch` says what next, `worker` does it.

pub mod dispatch;
pub mod key_fetcher;
pub mod rescuer;
pub mod scheduler;
pub mod worker;
