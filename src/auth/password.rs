//! Passwords of people who sign in: Argon2id, kept as PHC strings (`$argon2id$v=19$m=…`).
//!
//! Secrets that we generate are in `secret.rs`. A sign-in with an unknown name costs as much as one with a wrong password:
//! call [`verify_unknown`] then, so that time does not tell which names exist.

use std::fmt;
use std::hint::black_box;

use argon2::password_hash::phc::PasswordHash;
use argon2::password_hash::{PasswordHasher, PasswordVerifier};
use argon2::{Algorithm, Argon2, Params, Version};

/// The fewest characters of a password.
pub const PASSWORD_CHARACTERS_MIN: usize = 10;

/// The longest password that is hashed, in bytes.
pub const PASSWORD_BYTES_MAX: usize = 1024;

/// Memory of one hash, in KiB: 19 MiB, with two passes and one lane (OWASP password storage cheat sheet, Argon2id).
pub const MEMORY_KIB: u32 = 19 * 1024;
/// Passes over the memory.
pub const PASSES: u32 = 2;
/// Lanes.
pub const LANES: u32 = 1;

/// The most memory that a stored hash may ask for, in KiB: 256 MiB. A sign-in must not be a way to use up the machine.
pub const MEMORY_KIB_MAX: u32 = 256 * 1024;
/// The most passes that a stored hash may ask for.
pub const PASSES_MAX: u32 = 16;
/// The most lanes that a stored hash may ask for.
pub const LANES_MAX: u32 = 16;

/// Why a password or a stored hash can not be used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PasswordError {
    /// Fewer characters than [`PASSWORD_CHARACTERS_MIN`].
    TooShort {
        /// Characters it has.
        characters: usize,
    },
    /// More bytes than [`PASSWORD_BYTES_MAX`].
    TooLong,
    /// The stored hash is not an Argon2id PHC string.
    NotAHash,
    /// The stored hash asks for more memory, passes or lanes than one sign-in may cost.
    TooCostly,
    /// The operating system gave no salt, or there was no memory for the hash.
    Hash,
}

impl fmt::Display for PasswordError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            PasswordError::TooShort { characters } => write!(
                f,
                "the password has {characters} character{}, at least {PASSWORD_CHARACTERS_MIN} are needed; \
                 a few words in a row are easy to remember",
                if *characters == 1 { "" } else { "s" }
            ),
            PasswordError::TooLong => write!(f, "the password is longer than {PASSWORD_BYTES_MAX} bytes"),
            PasswordError::NotAHash => f.write_str("not a password hash, expected a PHC string that begins with $argon2id$"),
            PasswordError::TooCostly => write!(
                f,
                "the password hash asks for more than m={MEMORY_KIB_MAX}, t={PASSES_MAX} or p={LANES_MAX}, which one sign-in may not cost"
            ),
            PasswordError::Hash => f.write_str("the password can not be hashed: no random salt, or no memory"),
        }
    }
}

impl std::error::Error for PasswordError {}

fn argon2() -> Argon2<'static> {
    // The constants are within the bounds of the algorithm; the default of the library is the same and stands in.
    let params = Params::new(MEMORY_KIB, PASSES, LANES, None).unwrap_or(Params::DEFAULT);
    Argon2::new(Algorithm::Argon2id, Version::V0x13, params)
}

/// Whether a new password may be chosen: long enough, and not absurdly long. No other rule, as NIST SP 800-63B §5.1.1.2 advises.
pub fn check(password: &str) -> Result<(), PasswordError> {
    let characters = password.chars().count();
    if characters < PASSWORD_CHARACTERS_MIN {
        return Err(PasswordError::TooShort { characters });
    }
    if password.len() > PASSWORD_BYTES_MAX {
        return Err(PasswordError::TooLong);
    }
    Ok(())
}

/// Checks and hashes a new password with a random salt; the answer is a PHC string for `password_hash`.
pub fn hash(password: &str) -> Result<String, PasswordError> {
    check(password)?;
    let hash = argon2().hash_password(password.as_bytes()).map_err(|_| PasswordError::Hash)?;
    Ok(hash.to_string())
}

/// Checks the form and the cost of a stored hash: for the configuration, before anyone signs in with it.
pub fn check_hash(stored: &str) -> Result<(), PasswordError> {
    parse_hash(stored).map(|_| ())
}

fn parse_hash(stored: &str) -> Result<PasswordHash, PasswordError> {
    let hash = PasswordHash::new(stored.trim()).map_err(|_| PasswordError::NotAHash)?;
    if hash.algorithm.as_str() != "argon2id" || hash.salt.is_none() || hash.hash.is_none() {
        return Err(PasswordError::NotAHash);
    }
    let params = Params::try_from(&hash).map_err(|_| PasswordError::NotAHash)?;
    if params.m_cost() > MEMORY_KIB_MAX || params.t_cost() > PASSES_MAX || params.p_cost() > LANES_MAX {
        return Err(PasswordError::TooCostly);
    }
    Ok(hash)
}

/// Whether the password is the one of the stored hash. An unusable stored hash is an error, to be shown to the operator, never to
/// the one who signs in; it costs the time of a hash all the same.
pub fn verify(password: &str, stored: &str) -> Result<bool, PasswordError> {
    if password.len() > PASSWORD_BYTES_MAX {
        verify_unknown("");
        return Ok(false);
    }
    match parse_hash(stored) {
        Ok(hash) => Ok(argon2().verify_password(password.as_bytes(), &hash).is_ok()),
        Err(error) => {
            verify_unknown(password);
            Err(error)
        }
    }
}

/// Spends the time of [`verify`] for a name that nobody has. Always false.
pub fn verify_unknown(password: &str) -> bool {
    let password = if password.len() > PASSWORD_BYTES_MAX { "" } else { password };
    let mut out = [0u8; 32];
    let _ = argon2().hash_password_into(black_box(password.as_bytes()), b"no such user here", &mut out);
    black_box(out);
    false
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_password_verifies_against_its_own_hash_only() {
        let stored = hash("correct horse").unwrap();
        assert!(stored.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{stored}");
        assert_eq!(verify("correct horse", &stored), Ok(true));
        assert_eq!(verify("correct horsf", &stored), Ok(false));
        assert_eq!(verify("", &stored), Ok(false));
        assert_ne!(hash("correct horse").unwrap(), stored, "the salt is random");
        assert!(!verify_unknown("correct horse"));
    }

    #[test]
    fn a_hash_made_elsewhere_verifies() {
        // From the argon2 command line tool of the reference implementation: echo -n password | argon2 somesalt -id -t 2 -m 16 -p 1
        let stored = "$argon2id$v=19$m=65536,t=2,p=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc";
        assert_eq!(verify("password", stored), Ok(true));
        assert_eq!(verify("Password", stored), Ok(false));
    }

    #[test]
    fn a_short_password_is_refused_with_its_length_in_characters() {
        assert_eq!(check("ninechars"), Err(PasswordError::TooShort { characters: 9 }));
        assert_eq!(check("ééééééééé"), Err(PasswordError::TooShort { characters: 9 }));
        assert_eq!(check("éééééééééé"), Ok(()));
        assert_eq!(check(&"x".repeat(PASSWORD_BYTES_MAX + 1)), Err(PasswordError::TooLong));
        assert_eq!(
            hash("short").unwrap_err().to_string(),
            "the password has 5 characters, at least 10 are needed; a few words in a row are easy to remember"
        );
    }

    #[test]
    fn a_stored_hash_of_another_form_or_of_absurd_cost_is_refused_before_any_work() {
        let table = [
            ("", PasswordError::NotAHash),
            ("password", PasswordError::NotAHash),
            ("$argon2id$", PasswordError::NotAHash),
            ("$argon2id$v=19$m=19456,t=2,p=1$c29tZXNhbHQ", PasswordError::NotAHash),
            ("$argon2i$v=19$m=19456,t=2,p=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc", PasswordError::NotAHash),
            ("$argon2id$v=19$m=4194304,t=2,p=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc", PasswordError::TooCostly),
            ("$argon2id$v=19$m=65536,t=999,p=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc", PasswordError::TooCostly),
        ];
        for (stored, error) in table {
            assert_eq!(check_hash(stored), Err(error), "{stored}");
        }
        assert_eq!(verify("correct horse", "$2b$12$abc"), Err(PasswordError::NotAHash));
        assert_eq!(check_hash(&hash("correct horse").unwrap()), Ok(()));
    }

    proptest! {
        #[test]
        fn any_text_is_a_hash_or_refused(text in ".{0,120}") {
            let _ = check_hash(&text);
            let _ = check_hash(&format!("$argon2id$v=19${text}"));
        }
    }
}
