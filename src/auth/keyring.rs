//! The keys that sign our access tokens: ES256, made at first start, kept below `keys/` of the data directory, readable by the owner alone.
//! The newest signs; older ones verify until no token of theirs can still be valid.

use std::fmt;
use std::fs::{self, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};

use jwt_simple::prelude::{ES256KeyPair, ES256PublicKey};
use serde_json::{Value, json};

use crate::files::sync_directory;
use crate::model::time::Timestamp;

/// A key of the ring.
pub struct Key {
    /// `kid` of tokens and of the JWKS.
    pub id: String,
    /// When it was made.
    pub made_at: Timestamp,
    pair: ES256KeyPair,
}

impl Key {
    /// The signing half.
    pub fn pair(&self) -> &ES256KeyPair {
        &self.pair
    }

    /// The verifying half.
    pub fn public(&self) -> ES256PublicKey {
        self.pair.public_key()
    }
}

/// All keys of a data directory, newest first. Never empty.
pub struct Keyring {
    keys: Vec<Key>,
}

/// A key file that cannot be read or written.
#[derive(Debug)]
pub struct KeyError {
    path: PathBuf,
    reason: String,
}

impl fmt::Display for KeyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "cannot use the signing key {}: {}\n  hint: restore it from a backup, or move it away and start again (tokens in use stop working)",
            self.path.display(),
            self.reason
        )
    }
}

impl std::error::Error for KeyError {}

impl Keyring {
    /// Opens the ring below a data directory, making the first key when there is none, and removing keys that were followed by a newer one more
    /// than `token_lifetime_ms` ago.
    pub fn open(data_dir: &Path, now: Timestamp, token_lifetime_ms: i64) -> Result<Keyring, KeyError> {
        let dir = data_dir.join("keys");
        let failed = |path: &Path, reason: String| KeyError { path: path.to_owned(), reason };
        make_private_directory(&dir).map_err(|error| failed(&dir, error.to_string()))?;
        let mut keys = Vec::new();
        for entry in fs::read_dir(&dir).map_err(|error| failed(&dir, error.to_string()))? {
            let path = entry.map_err(|error| failed(&dir, error.to_string()))?.path();
            let Some(made_at) = path.file_name().and_then(|name| name.to_str()).and_then(|name| name.strip_suffix(".pem")?.parse().ok())
            else {
                continue;
            };
            let pem = fs::read_to_string(&path).map_err(|error| failed(&path, error.to_string()))?;
            let pair = ES256KeyPair::from_pem(&pem).map_err(|_| failed(&path, "it is not an ES256 private key in PEM".into()))?;
            keys.push(key(pair, Timestamp(made_at)));
        }
        keys.sort_by_key(|key| std::cmp::Reverse(key.made_at));
        let mut ring = Keyring { keys };
        if ring.keys.is_empty() {
            ring.add(&dir, now)?;
        }
        // A key stops signing when the next one is made; its last token dies one lifetime later.
        let expired: Vec<Timestamp> =
            ring.keys.windows(2).filter(|pair| pair[0].made_at.0 + token_lifetime_ms < now.0).map(|pair| pair[1].made_at).collect();
        for made_at in expired {
            let path = dir.join(format!("{}.pem", made_at.0));
            fs::remove_file(&path).map_err(|error| failed(&path, error.to_string()))?;
            ring.keys.retain(|key| key.made_at != made_at);
        }
        Ok(ring)
    }

    /// Makes a new key, which signs from now on.
    pub fn rotate(&mut self, data_dir: &Path, now: Timestamp) -> Result<(), KeyError> {
        self.add(&data_dir.join("keys"), now)
    }

    fn add(&mut self, dir: &Path, now: Timestamp) -> Result<(), KeyError> {
        // Two keys of one millisecond would share a name.
        let made_at = self.keys.first().map_or(now, |newest| Timestamp(now.0.max(newest.made_at.0 + 1)));
        let path = dir.join(format!("{}.pem", made_at.0));
        let failed = |reason: String| KeyError { path: path.clone(), reason };
        let pair = ES256KeyPair::generate();
        let pem = pair.to_pem().map_err(|error| failed(error.to_string()))?;
        write_private(&path, pem.as_bytes()).and_then(|()| sync_directory(dir)).map_err(|error| failed(error.to_string()))?;
        self.keys.insert(0, key(pair, made_at));
        Ok(())
    }

    /// The key that signs.
    pub fn newest(&self) -> &Key {
        &self.keys[0]
    }

    /// All keys that verify.
    pub fn keys(&self) -> &[Key] {
        &self.keys
    }

    /// The public keys as RFC 7517 says, for `jwks_uri`.
    pub fn jwks(&self) -> Value {
        let keys: Vec<Value> = self
            .keys
            .iter()
            .filter_map(|key| {
                let mut jwk: Value = serde_json::from_str(&key.public().to_jwk()).ok()?;
                let object = jwk.as_object_mut()?;
                object.insert("kid".into(), json!(key.id));
                object.insert("use".into(), json!("sig"));
                object.insert("alg".into(), json!("ES256"));
                Some(jwk)
            })
            .collect();
        json!({ "keys": keys })
    }
}

fn key(pair: ES256KeyPair, made_at: Timestamp) -> Key {
    let id = pair.public_key().jwk_thumbprint();
    Key { pair: pair.with_key_id(&id), id, made_at }
}

/// Makes a directory that only its owner can enter.
pub fn make_private_directory(dir: &Path) -> std::io::Result<()> {
    fs::create_dir_all(dir)?;
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        fs::set_permissions(dir, fs::Permissions::from_mode(0o700))?;
    }
    Ok(())
}

/// Writes a file that only its owner can read: under another name, synced, then renamed.
pub fn write_private(path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    let part = path.with_extension("part");
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt;
        options.mode(0o600);
    }
    let mut file = options.open(&part)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    fs::rename(&part, path)
}
