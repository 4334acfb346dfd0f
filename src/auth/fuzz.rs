//! What must hold for any form, header, key set and token: called by the targets in `fuzz/`, compiled for them only.

use std::sync::{Arc, LazyLock};

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use super::form::{FORM_MEMBERS_MAX, parse_basic, parse_form};
use super::issuer::OutsideIssuer;
use super::keyring::Keyring;
use super::verify::{Verifier, bearer};
use crate::model::time::Timestamp;

const NOW: Timestamp = Timestamp(1_800_000_000_000);

/// A form has each name once and no blank value; Basic credentials and key sets are read, or refused with a word.
pub fn credentials(bytes: &[u8]) {
    match parse_form(bytes) {
        Ok(members) => assert!(members.len() <= FORM_MEMBERS_MAX && members.values().all(|value| !value.is_empty())),
        Err(error) => assert!(!error.to_string().is_empty()),
    }
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    if let Some(Err(error)) = parse_basic(text) {
        assert!(!error.to_string().is_empty());
    }
    if let Err(error) = OutsideIssuer::new("https://issuer.test/", &["https://exchange.test".to_owned()], text) {
        assert!(!error.to_string().is_empty());
    }
}

/// Nobody is believed who has not signed. `KID` in a header stands for the key that we sign with now.
pub fn token(header: &str, claims: &[u8], signature: &[u8]) {
    static KEYS: LazyLock<Arc<Keyring>> = LazyLock::new(|| {
        let folder = std::env::temp_dir().join("entrepot-fuzz-keys");
        Arc::new(Keyring::open(&folder, NOW).expect("there is a folder for temporary files"))
    });
    static VERIFIER: LazyLock<Verifier> = LazyLock::new(|| {
        let audiences = ["https://exchange.test"];
        let outside = OutsideIssuer::awaiting("https://issuer.test/", &audiences.map(str::to_owned)).expect("it has an audience");
        Verifier::new(KEYS.clone(), "https://exchange.test", audiences, vec![outside]).expect("the issuers differ")
    });
    let encode = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
    let header = header.replace("KID", &KEYS.current_key_id());
    let token = format!("Bearer {}.{}.{}", encode(header.as_bytes()), encode(claims), encode(signature));
    let refusal = VERIFIER.verify(bearer(Some(&token)).expect("it has the scheme"), NOW).expect_err("nobody signed this");
    assert!(!refusal.reason.is_empty());
}
