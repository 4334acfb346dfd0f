//! The keys that sign our access tokens: ES256, made at first start, rotated on demand, kept as files only the service may read.
//!
//! One file a key, `token-key-<created, ms>.pem` (PKCS#8). The newest signs. An older one verifies until the longest token that it
//! can have signed is over, and is then removed. The state is nothing but the files: a key's successor tells when it was retired.
//!
//! Order of durability: write under a temporary name, sync, rename, sync the directory, and only then sign with the key. So a token
//! never outlives its key by a crash. RSA is never used to sign (RUSTSEC-2023-0071).

use std::fmt;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::Duration;

use jwt_simple::algorithms::{ES256KeyPair, ES256PublicKey};
use serde_json::{Value, json};

use crate::model::time::Timestamp;

/// The longest life of a token. No token is issued for longer, and a retired key verifies for as long.
pub const TOKEN_LIFETIME_MAX: Duration = Duration::from_secs(24 * 3600);

/// How far clocks may differ: times in a token are checked with this leeway.
pub const LEEWAY: Duration = Duration::from_secs(60);

/// Keys that are kept at one time; a rotation beyond is refused until old ones are over.
pub const KEYS_MAX: usize = 32;

/// The largest key file that is read, in bytes; ours have about 240.
const KEY_FILE_BYTES_MAX: u64 = 16 * 1024;

const FILE_PREFIX: &str = "token-key-";
const FILE_SUFFIX: &str = ".pem";
const TEMPORARY_SUFFIX: &str = ".pem.new";

/// What did not work with the key files. The cause is in `source`.
#[derive(Debug)]
pub enum KeyringError {
    /// The directory can not be made or its mode can not be set.
    CreateDirectory(PathBuf, io::Error),
    /// The directory can not be listed.
    ReadDirectory(PathBuf, io::Error),
    /// A key file can not be read.
    ReadKey(PathBuf, io::Error),
    /// A key file does not hold a key.
    DamagedKey(PathBuf),
    /// A new key can not be written.
    WriteKey(PathBuf, io::Error),
    /// A key that is over can not be removed.
    RemoveKey(PathBuf, io::Error),
    /// [`KEYS_MAX`] keys are in use.
    TooManyKeys(PathBuf),
}

impl fmt::Display for KeyringError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            KeyringError::CreateDirectory(path, _) => write!(f, "cannot make the directory of the token keys, {}", path.display()),
            KeyringError::ReadDirectory(path, _) => write!(f, "cannot list the token keys in {}", path.display()),
            KeyringError::ReadKey(path, _) => write!(f, "cannot read the token key {}", path.display()),
            KeyringError::DamagedKey(path) => write!(
                f,
                "the token key {} is damaged: expected a PEM file with an EC P-256 private key\n  hint: restore it from a backup, \
                 or move it away; then a new key is made, and clients need a new token, which they fetch by themselves",
                path.display()
            ),
            KeyringError::WriteKey(path, _) => write!(f, "cannot write the token key {}", path.display()),
            KeyringError::RemoveKey(path, _) => write!(f, "cannot remove the token key {}, which is over", path.display()),
            KeyringError::TooManyKeys(path) => write!(
                f,
                "there are already {KEYS_MAX} token keys in {}\n  hint: a retired key is removed a day after its retirement; \
                 if a key leaked, forget the retired ones instead",
                path.display()
            ),
        }
    }
}

impl std::error::Error for KeyringError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            KeyringError::CreateDirectory(_, error)
            | KeyringError::ReadDirectory(_, error)
            | KeyringError::ReadKey(_, error)
            | KeyringError::WriteKey(_, error)
            | KeyringError::RemoveKey(_, error) => Some(error),
            KeyringError::DamagedKey(_) | KeyringError::TooManyKeys(_) => None,
        }
    }
}

/// One key.
struct Key {
    created: Timestamp,
    path: PathBuf,
    kid: String,
    pair: ES256KeyPair,
    public: ES256PublicKey,
    /// The public key as a JWK, for the key set.
    jwk: Value,
}

impl Key {
    fn new(created: Timestamp, path: PathBuf, pair: ES256KeyPair) -> Self {
        // RFC 7638: the thumbprint names the key, whoever computes it.
        let kid = pair.public_key().jwk_thumbprint();
        let pair = pair.with_key_id(&kid);
        let public = pair.public_key();
        let jwk = serde_json::from_str(&public.to_jwk()).unwrap_or_default();
        Key { created, path, kid, pair, public, jwk }
    }
}

/// All keys in use, oldest first; the last one signs. Never empty.
struct Keys {
    keys: Vec<Arc<Key>>,
    generation: u64,
}

impl Keys {
    /// Until when a key verifies; `None` for the one that signs.
    fn over_at(&self, index: usize) -> Option<Timestamp> {
        Some(self.keys.get(index + 1)?.created.plus(TOKEN_LIFETIME_MAX).plus(LEEWAY))
    }

    fn in_use(&self, now: Timestamp) -> impl Iterator<Item = &Arc<Key>> {
        self.keys.iter().enumerate().filter(move |(index, _)| self.over_at(*index).is_none_or(|over| now <= over)).map(|(_, key)| key)
    }
}

/// The signing keys. Shared by the token endpoint and the verifier; a rotation is seen by both at once.
pub struct Keyring {
    directory: PathBuf,
    keys: RwLock<Arc<Keys>>,
    /// Held while files change, so that reading keys never waits for a disk.
    changing: Mutex<()>,
}

impl fmt::Debug for Keyring {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Keyring").field("directory", &self.directory).field("current", &self.current_key_id()).finish_non_exhaustive()
    }
}

impl Keyring {
    /// Opens the key directory, making it (mode 0700) and a first key (mode 0600) when there is none. Keys that are over are removed.
    pub fn open(directory: &Path, now: Timestamp) -> Result<Self, KeyringError> {
        make_directory(directory)?;
        let mut keys = read_keys(directory)?;
        if keys.is_empty() {
            keys.push(Arc::new(make_key(directory, now)?));
        }
        let keyring = Keyring {
            directory: directory.to_path_buf(),
            keys: RwLock::new(Arc::new(Keys { keys, generation: 0 })),
            changing: Mutex::new(()),
        };
        keyring.remove_over(now)?;
        Ok(keyring)
    }

    /// Makes a new key, which signs from now on. The one before verifies until the longest token is over. Keys that are over are removed.
    pub fn rotate(&self, now: Timestamp) -> Result<(), KeyringError> {
        {
            let _changing = self.changing.lock().unwrap_or_else(PoisonError::into_inner);
            let keys = self.keys();
            if keys.in_use(now).count() >= KEYS_MAX {
                return Err(KeyringError::TooManyKeys(self.directory.clone()));
            }
            // A clock that was set back must not make the new key the older one.
            let created = keys.keys.last().map_or(now, |last| now.max(Timestamp(last.created.0.saturating_add(1))));
            let key = make_key(&self.directory, created)?;
            let mut all = keys.keys.clone();
            all.push(Arc::new(key));
            self.replace(all);
        }
        self.remove_over(now)
    }

    /// Removes every key but the one that signs: tokens signed by the others stop working at once. For a key that leaked, after
    /// [`Keyring::rotate`].
    pub fn forget_previous(&self) -> Result<(), KeyringError> {
        self.retain(|keys, index| index + 1 == keys.keys.len())
    }

    /// Removes the keys that can have signed no token still valid. Called at opening and at rotation.
    fn remove_over(&self, now: Timestamp) -> Result<(), KeyringError> {
        self.retain(|keys, index| keys.over_at(index).is_none_or(|over| now <= over))
    }

    /// Keeps the keys for which `keep` holds. Memory first, then files: a key whose file can not be removed no longer verifies.
    fn retain(&self, keep: impl Fn(&Keys, usize) -> bool) -> Result<(), KeyringError> {
        let _changing = self.changing.lock().unwrap_or_else(PoisonError::into_inner);
        let keys = self.keys();
        let (kept, removed): (Vec<_>, Vec<_>) = keys.keys.iter().cloned().enumerate().partition(|(index, _)| keep(&keys, *index));
        if removed.is_empty() {
            return Ok(());
        }
        self.replace(kept.into_iter().map(|(_, key)| key).collect());
        for (_, key) in removed {
            crate::files::remove(&key.path).map_err(|error| KeyringError::RemoveKey(key.path.clone(), error))?;
        }
        crate::files::sync_directory(&self.directory).map_err(|error| KeyringError::WriteKey(self.directory.clone(), error))
    }

    /// The public keys as a JWK set (RFC 7517): `kty`, `crv`, `x`, `y`, `alg`, `use`, `kid` of each key that verifies at this time.
    pub fn jwks(&self, now: Timestamp) -> Value {
        let keys: Vec<Value> = self.keys().in_use(now).map(|key| key.jwk.clone()).collect();
        json!({ "keys": keys })
    }

    /// The id of the key that signs.
    pub fn current_key_id(&self) -> String {
        self.keys().keys.last().map(|key| key.kid.clone()).unwrap_or_default()
    }

    /// Changes with every rotation and every removal: verdicts of an earlier generation are void.
    pub fn generation(&self) -> u64 {
        self.keys().generation
    }

    /// Lets the current key sign.
    pub(super) fn sign_with<T>(&self, sign: impl FnOnce(&ES256KeyPair) -> T) -> T {
        let keys = self.keys();
        let key = keys.keys.last().expect("a keyring is never empty: open makes a key, and no removal takes the last");
        sign(&key.pair)
    }

    /// The public key with this id, if it verifies at this time.
    pub(super) fn public_key(&self, kid: &str, now: Timestamp) -> Option<ES256PublicKey> {
        self.keys().in_use(now).find(|key| key.kid == kid).map(|key| key.public.clone())
    }

    fn keys(&self) -> Arc<Keys> {
        self.keys.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn replace(&self, keys: Vec<Arc<Key>>) {
        let mut guard = self.keys.write().unwrap_or_else(PoisonError::into_inner);
        let generation = guard.generation + 1;
        *guard = Arc::new(Keys { keys, generation });
    }
}

fn make_directory(directory: &Path) -> Result<(), KeyringError> {
    let error = |error| KeyringError::CreateDirectory(directory.to_path_buf(), error);
    fs::create_dir_all(directory).map_err(error)?;
    restrict(directory, 0o700).map_err(error)
}

/// Takes everybody else's rights away, where the system knows such rights; a restored backup may have given them.
#[cfg(unix)]
fn restrict(path: &Path, mode: u32) -> io::Result<()> {
    use std::os::unix::fs::PermissionsExt;
    let permissions = fs::metadata(path)?.permissions();
    if permissions.mode() & 0o777 & !mode != 0 { fs::set_permissions(path, fs::Permissions::from_mode(mode)) } else { Ok(()) }
}

#[cfg(not(unix))]
fn restrict(_path: &Path, _mode: u32) -> io::Result<()> {
    Ok(())
}

fn read_keys(directory: &Path) -> Result<Vec<Arc<Key>>, KeyringError> {
    let list_error = |error| KeyringError::ReadDirectory(directory.to_path_buf(), error);
    let mut keys = Vec::new();
    for entry in fs::read_dir(directory).map_err(list_error)? {
        let path = entry.map_err(list_error)?.path();
        let Some(stem) = path.file_name().and_then(|name| name.to_str()).and_then(|name| name.strip_prefix(FILE_PREFIX)) else {
            continue;
        };
        if stem.ends_with(TEMPORARY_SUFFIX) {
            // Left by a stop before the rename; nothing was ever signed with it.
            crate::files::remove(&path).map_err(|error| KeyringError::RemoveKey(path.clone(), error))?;
            continue;
        }
        let Some(digits) = stem.strip_suffix(FILE_SUFFIX) else { continue };
        let created = digits.parse().map(Timestamp).map_err(|_| KeyringError::DamagedKey(path.clone()))?;
        keys.push(Arc::new(read_key(created, path)?));
    }
    keys.sort_by_key(|key| key.created);
    Ok(keys)
}

fn read_key(created: Timestamp, path: PathBuf) -> Result<Key, KeyringError> {
    let mut text = String::new();
    let read = restrict(&path, 0o600).and_then(|()| File::open(&path)?.take(KEY_FILE_BYTES_MAX).read_to_string(&mut text));
    match read {
        Err(error) if error.kind() == io::ErrorKind::InvalidData => return Err(KeyringError::DamagedKey(path)),
        Err(error) => return Err(KeyringError::ReadKey(path, error)),
        Ok(_) => {}
    }
    match ES256KeyPair::from_pem(&text) {
        Ok(pair) => Ok(Key::new(created, path, pair)),
        Err(_) => Err(KeyringError::DamagedKey(path)),
    }
}

fn make_key(directory: &Path, created: Timestamp) -> Result<Key, KeyringError> {
    let path = directory.join(format!("{FILE_PREFIX}{:015}{FILE_SUFFIX}", created.0.max(0)));
    let temporary = directory.join(format!("{FILE_PREFIX}{:015}{TEMPORARY_SUFFIX}", created.0.max(0)));
    let pair = ES256KeyPair::generate();
    let write = || -> io::Result<()> {
        let text = pair.to_pem().map_err(io::Error::other)?;
        let mut options = OpenOptions::new();
        options.write(true).create_new(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let mut file = options.open(&temporary)?;
        file.write_all(text.as_bytes())?;
        file.sync_all()?;
        drop(file);
        crate::files::rename(&temporary, &path)?;
        crate::files::sync_directory(directory)
    };
    write().map_err(|error| KeyringError::WriteKey(path.clone(), error))?;
    Ok(Key::new(created, path, pair))
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp(1_795_000_000_000);

    fn key_files(directory: &Path) -> Vec<String> {
        let mut names: Vec<String> =
            fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    #[test]
    fn the_first_start_makes_a_key_and_the_second_finds_it() {
        let scratch = tempfile::tempdir().unwrap();
        let directory = scratch.path().join("data/keys");
        let first = Keyring::open(&directory, NOW).unwrap();
        let second = Keyring::open(&directory, NOW.plus(Duration::from_secs(1))).unwrap();
        assert_eq!(first.current_key_id(), second.current_key_id());
        assert_eq!(key_files(&directory), ["token-key-001795000000000.pem"]);
        assert_eq!(first.jwks(NOW), second.jwks(NOW));
    }

    #[test]
    fn the_key_set_has_public_members_only() {
        let scratch = tempfile::tempdir().unwrap();
        let keyring = Keyring::open(scratch.path(), NOW).unwrap();
        let set = keyring.jwks(NOW);
        let key = set["keys"][0].as_object().unwrap();
        let mut names: Vec<&str> = key.keys().map(String::as_str).collect();
        names.sort_unstable();
        assert_eq!(names, ["alg", "crv", "kid", "kty", "use", "x", "y"]);
        assert_eq!((&key["kty"], &key["crv"], &key["alg"], &key["use"]), (&json!("EC"), &json!("P-256"), &json!("ES256"), &json!("sig")));
        assert_eq!(key["kid"], json!(keyring.current_key_id()));
        assert_eq!(key["x"].as_str().unwrap().len(), 43);
    }

    #[cfg(unix)]
    #[test]
    fn nobody_else_may_read_the_keys_even_after_a_careless_restore() {
        use std::os::unix::fs::PermissionsExt;
        let scratch = tempfile::tempdir().unwrap();
        let directory = scratch.path().join("keys");
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        Keyring::open(&directory, NOW).unwrap();
        let file = directory.join("token-key-001795000000000.pem");
        assert_eq!((mode(&directory), mode(&file)), (0o700, 0o600));
        fs::set_permissions(&directory, fs::Permissions::from_mode(0o755)).unwrap();
        fs::set_permissions(&file, fs::Permissions::from_mode(0o644)).unwrap();
        Keyring::open(&directory, NOW).unwrap();
        assert_eq!((mode(&directory), mode(&file)), (0o700, 0o600));
    }

    #[test]
    fn a_retired_key_verifies_until_the_longest_token_is_over_and_is_then_removed() {
        let scratch = tempfile::tempdir().unwrap();
        let keyring = Keyring::open(scratch.path(), NOW).unwrap();
        let old = keyring.current_key_id();
        let retired = NOW.plus(Duration::from_secs(5));
        keyring.rotate(retired).unwrap();
        let over = retired.plus(TOKEN_LIFETIME_MAX).plus(LEEWAY);
        assert_ne!(keyring.current_key_id(), old);
        assert!(keyring.public_key(&old, over).is_some());
        assert_eq!(keyring.jwks(over)["keys"].as_array().unwrap().len(), 2);
        assert!(keyring.public_key(&old, over.plus(Duration::from_millis(1))).is_none());
        assert_eq!(keyring.jwks(over.plus(Duration::from_millis(1)))["keys"].as_array().unwrap().len(), 1);
        assert_eq!(key_files(scratch.path()).len(), 2);

        let current = keyring.current_key_id();
        let reopened = Keyring::open(scratch.path(), over).unwrap();
        assert!(reopened.public_key(&old, over).is_some());
        let reopened = Keyring::open(scratch.path(), over.plus(Duration::from_secs(1))).unwrap();
        assert_eq!(key_files(scratch.path()), ["token-key-001795000005000.pem"]);
        assert_eq!(reopened.current_key_id(), current);
    }

    #[test]
    fn the_newest_key_signs_even_after_the_clock_was_set_back() {
        let scratch = tempfile::tempdir().unwrap();
        let keyring = Keyring::open(scratch.path(), NOW).unwrap();
        let old = keyring.current_key_id();
        let earlier = NOW.minus(Duration::from_secs(3600));
        keyring.rotate(earlier).unwrap();
        let new = keyring.current_key_id();
        assert_ne!(new, old);
        assert_eq!(Keyring::open(scratch.path(), earlier).unwrap().current_key_id(), new);
    }

    #[test]
    fn forgetting_previous_keys_leaves_only_the_one_that_signs() {
        let scratch = tempfile::tempdir().unwrap();
        let keyring = Keyring::open(scratch.path(), NOW).unwrap();
        let (old, generation) = (keyring.current_key_id(), keyring.generation());
        keyring.rotate(NOW.plus(Duration::from_secs(1))).unwrap();
        keyring.forget_previous().unwrap();
        assert!(keyring.generation() > generation);
        assert!(keyring.public_key(&old, NOW).is_none());
        assert!(keyring.public_key(&keyring.current_key_id(), NOW).is_some());
        assert_eq!(key_files(scratch.path()).len(), 1);
        keyring.forget_previous().unwrap();
        assert_eq!(key_files(scratch.path()).len(), 1);
    }

    #[test]
    fn a_rotation_beyond_the_bound_is_refused_until_old_keys_are_over() {
        let scratch = tempfile::tempdir().unwrap();
        let keyring = Keyring::open(scratch.path(), NOW).unwrap();
        for _ in 1..KEYS_MAX {
            keyring.rotate(NOW).unwrap();
        }
        assert!(matches!(keyring.rotate(NOW), Err(KeyringError::TooManyKeys(_))));
        let later = NOW.plus(TOKEN_LIFETIME_MAX).plus(Duration::from_secs(120));
        keyring.rotate(later).unwrap();
        assert_eq!(key_files(scratch.path()).len(), 2);
    }

    #[test]
    fn a_damaged_key_file_is_named_with_what_to_do() {
        let pem = {
            let scratch = tempfile::tempdir().unwrap();
            Keyring::open(scratch.path(), NOW).unwrap();
            fs::read_to_string(scratch.path().join("token-key-001795000000000.pem")).unwrap()
        };
        let rsa = super::super::test_keys::RSA_PRIVATE_KEY;
        for content in [&b""[..], b"\xff\xfe\x00", &pem.as_bytes()[..100], rsa.as_bytes(), &[b'x'; 40_000]] {
            let scratch = tempfile::tempdir().unwrap();
            let path = scratch.path().join("token-key-001795000000000.pem");
            fs::write(&path, content).unwrap();
            let error = Keyring::open(scratch.path(), NOW).unwrap_err();
            assert!(matches!(error, KeyringError::DamagedKey(_)), "{error}");
            assert!(error.to_string().contains(path.to_str().unwrap()) && error.to_string().contains("hint: restore it"), "{error}");
            assert_eq!(fs::read(&path).unwrap(), content, "a damaged key is never overwritten");
        }
    }

    #[test]
    fn a_half_written_key_is_cleared_away_and_foreign_files_are_left() {
        let scratch = tempfile::tempdir().unwrap();
        fs::write(scratch.path().join("token-key-001795000000000.pem.new"), "half").unwrap();
        fs::write(scratch.path().join("README"), "mine").unwrap();
        Keyring::open(scratch.path(), NOW).unwrap();
        assert_eq!(key_files(scratch.path()), ["README", "token-key-001795000000000.pem"]);
    }
}
