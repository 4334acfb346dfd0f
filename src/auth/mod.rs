//! Who may call: applications, tokens, signing keys, outside issuers, passwords of people. No HTTP and no SQL here.
//!
//! Pure protocol over values, plus the key files of [`keyring`]. Time is always a parameter. Whoever serves HTTP hands in the
//! bytes of a form, a header or a token, and is handed back a status and a JSON text, a caller, or a refusal with its reason.
//!
//! The way of a call: [`oauth`] answers the token request and [`token`] issues; later [`verify`] turns the token into a
//! [`verify::Caller`], and [`permit`] holds that caller against the application list and the job.

pub mod audience;
pub mod device;
pub mod discovery;
pub mod issuer;
pub mod keyring;
pub mod oauth;
pub mod outside_keys;
pub mod password;
pub mod permit;
pub mod refresh;
pub mod secret;
pub mod sign_in;
pub mod signed_url;
pub mod token;
pub mod verify;

mod form;
#[cfg(fuzzing)]
pub mod fuzz;
mod verdict;

#[cfg(test)]
mod test_keys;
