//! The journey out. A run of an export job (`export`) selects rows, writes them as documents and packs them into a data package, which becomes a
//! message; clients dequeue, download and ack it (`http/connector.rs`).

pub mod export;
pub mod run;

#[cfg(test)]
mod tests;
