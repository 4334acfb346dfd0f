//! The journey out. A run of an export job (`export`) selects rows, writes them as documents and packs them into a data package, which becomes a
//! message; clients dequeue, download and ack it (`http/connector.rs`). A run that a client asks for (`request`) becomes a blob instead.

pub mod export;
pub mod request;
pub mod run;

#[cfg(test)]
mod tests;
