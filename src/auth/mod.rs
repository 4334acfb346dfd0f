//! Who may call: applications, their tokens, the keys that sign them, and other issuers whose tokens are accepted (CONTRACT §3). Pure protocol
//! over values and key files: no HTTP, no SQL, and time is always handed in.

pub mod discovery;
pub mod keyring;
pub mod oauth;
pub mod secret;
pub mod token;
pub mod verify;

#[cfg(test)]
mod tests;
