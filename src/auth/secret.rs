//! Secrets that we generate: client secrets, and the random tokens of sessions, sign-in links and forms.
//!
//! All have 256 random bits, so a fast hash of them is sound (DESIGN §3); passwords that people choose are in `password.rs`.
//! Only hashes are stored, and every comparison takes the same time whatever is presented.

use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sha2::{Digest, Sha256};
use subtle::{Choice, ConstantTimeEq};

/// Random bytes in a secret: 256 bits.
pub const SECRET_BYTES: usize = 32;

/// The longest secret that is looked at, in bytes; ours have 43. A longer one is wrong without being hashed.
pub const PRESENTED_BYTES_MAX: usize = 1024;

/// What `secret_hash` begins with in the configuration.
const HASH_PREFIX: &str = "sha256:";

/// The operating system gave no random bytes. Nothing secret can be made; whoever asked must fail.
#[derive(Debug)]
pub struct NoRandomness(getrandom::Error);

impl fmt::Display for NoRandomness {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the operating system gave no random bytes")
    }
}

impl std::error::Error for NoRandomness {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&self.0)
    }
}

/// A new secret: 256 random bits as 43 URL-safe characters (`A-Z a-z 0-9 - _`), so that it needs no escaping in a form, in
/// Basic credentials or in a link. Used for client secrets, sessions, sign-in links and form tokens alike.
pub fn generate() -> Result<String, NoRandomness> {
    let mut bytes = [0u8; SECRET_BYTES];
    getrandom::fill(&mut bytes).map_err(NoRandomness)?;
    Ok(URL_SAFE_NO_PAD.encode(bytes))
}

/// The SHA-256 of a secret: what is stored of it.
pub fn hash(secret: &str) -> [u8; 32] {
    Sha256::digest(secret.as_bytes()).into()
}

/// A hash as the configuration writes it: `sha256:` and 64 hexadecimal digits.
pub fn hash_text(hash: &[u8; 32]) -> String {
    let mut text = String::with_capacity(HASH_PREFIX.len() + 64);
    text.push_str(HASH_PREFIX);
    for byte in hash {
        text.push(char::from(b"0123456789abcdef"[usize::from(byte >> 4)]));
        text.push(char::from(b"0123456789abcdef"[usize::from(byte & 15)]));
    }
    text
}

/// The text is not a secret's hash.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NotAHash;

impl fmt::Display for NotAHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("not the hash of a secret, expected \"sha256:\" and 64 hexadecimal digits, as `entrepot app rotate` writes it")
    }
}

impl std::error::Error for NotAHash {}

/// Reads `sha256:` and 64 hexadecimal digits of either case.
pub fn parse_hash(text: &str) -> Result<[u8; 32], NotAHash> {
    let digits = text.trim().strip_prefix(HASH_PREFIX).ok_or(NotAHash)?.as_bytes();
    if digits.len() != 64 {
        return Err(NotAHash);
    }
    let mut hash = [0u8; 32];
    for (byte, pair) in hash.iter_mut().zip(digits.chunks_exact(2)) {
        let high = char::from(pair[0]).to_digit(16).ok_or(NotAHash)?;
        let low = char::from(pair[1]).to_digit(16).ok_or(NotAHash)?;
        *byte = u8::try_from(high * 16 + low).map_err(|_| NotAHash)?;
    }
    Ok(hash)
}

/// Whether the presented secret is the one with this hash. `None`, no such secret, takes as long as a wrong one: the presented
/// text is hashed and compared in any case.
pub fn verify(presented: &str, stored: Option<&[u8; 32]>) -> bool {
    if presented.len() > PRESENTED_BYTES_MAX {
        return false;
    }
    let same = hash(presented).ct_eq(stored.unwrap_or(&[0u8; 32]));
    bool::from(same & Choice::from(u8::from(stored.is_some())))
}

/// Whether two random tokens are the same, without telling by time where they differ: form tokens, sessions.
pub fn same(presented: &str, expected: &str) -> bool {
    bool::from(presented.as_bytes().ct_eq(expected.as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_generated_secret_has_256_bits_needs_no_escaping_and_is_never_the_same() {
        let secrets: std::collections::HashSet<String> = (0..64).map(|_| generate().unwrap()).collect();
        assert_eq!(secrets.len(), 64);
        for secret in &secrets {
            assert_eq!(URL_SAFE_NO_PAD.decode(secret).unwrap().len(), SECRET_BYTES);
            assert!(secret.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_'), "{secret}");
        }
    }

    #[test]
    fn the_hash_text_is_the_prefix_and_the_usual_hex() {
        // SHA-256 of "abc", FIPS 180-4 example.
        let text = "sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        assert_eq!(hash_text(&hash("abc")), text);
        assert_eq!(parse_hash(text), Ok(hash("abc")));
        assert_eq!(parse_hash(&format!(" sha256:{}\n", text[7..].to_uppercase())), Ok(hash("abc")));
    }

    #[test]
    fn a_hash_of_another_form_is_refused_with_the_form_expected() {
        let digits = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        for text in [
            "",
            "sha256:",
            digits,
            &format!("sha1:{digits}"),
            &format!("sha256:{}", &digits[1..]),
            &format!("sha256:g{}", &digits[1..]),
            "sha256:é",
        ] {
            assert_eq!(parse_hash(text), Err(NotAHash), "{text}");
        }
        assert!(NotAHash.to_string().contains("64 hexadecimal digits"));
    }

    #[test]
    fn only_the_secret_itself_verifies() {
        let secret = generate().unwrap();
        let stored = hash(&secret);
        assert!(verify(&secret, Some(&stored)));
        for wrong in ["", "x", &secret[1..], &format!("{secret} "), &secret.to_lowercase()] {
            assert!(!verify(wrong, Some(&stored)), "{wrong}");
        }
        assert!(!verify(&secret, None));
        assert!(!verify("", None));
        assert!(!verify(&"a".repeat(PRESENTED_BYTES_MAX + 1), Some(&hash(&"a".repeat(PRESENTED_BYTES_MAX + 1)))));
        assert!(same(&secret, &secret.clone()));
        assert!(!same(&secret, &secret[1..]));
    }

    proptest! {
        #[test]
        fn any_hash_survives_being_written_and_read(bytes in any::<[u8; 32]>()) {
            prop_assert_eq!(parse_hash(&hash_text(&bytes)), Ok(bytes));
        }

        #[test]
        fn any_text_is_a_hash_or_refused(text in ".{0,80}") {
            let _ = parse_hash(&text);
            let _ = parse_hash(&format!("sha256:{text}"));
        }
    }
}
