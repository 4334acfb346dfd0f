//! The spool: the only place that writes, reads and removes payload files.
//!
//! Order of durability, on the way in:
//!   1. a small payload (up to [`SMALL_MAX`]) is appended to the current segment together with what its row says, and synced (`files/segment.rs`);
//!      a large one is written to `incoming/`, synced, renamed to `large/`, directory synced;
//!   2. the row is committed: synced for a large payload; for a small one not, because the segment has all that it says (`store/writer.rs`);
//!   3. the client is answered;
//!   4. after a power cut the rows that `queue.db` lost are made again from the segments (`store/recovery.rs`).
//!
//! On the way out: the row first (it says "pruned"), synced, then the file. So there may be files without rows, which a sweep removes in
//! their time, but never an answered row without its file.
//!
//! Layout below `spool/`: `segments/0000000001` (append-only, many small payloads), `large/<message id>`, `refused/<message id>-<number of
//! the entity>.<ext>` (refused rows to be mended), `transformed/` likewise (documents as stylesheets gave them), `staging/` likewise (rows as they were staged, `.db`), `blobs/<GUID>` (`files/blob.rs`),
//! `incoming/` (not yet promised; emptied at start).

pub mod blob;
pub mod fetched;
pub mod segment;

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use crate::model::id::MessageId;
use crate::model::message::PayloadPlace;

/// Payloads up to this size share segments; larger ones have a file of their own (PERFORMANCE §0.1).
pub const SMALL_MAX: usize = 256 * 1024;

/// The payload files of one data directory.
#[derive(Clone, Debug)]
pub struct Spool {
    dir: PathBuf,
}

/// What is known of a payload once all its bytes have passed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Digested {
    /// Bytes.
    pub size: u64,
    /// SHA-256, lower-case hex.
    pub sha256: String,
    /// CRC-32.
    pub checksum: u32,
}

/// Hashes and counts what passes.
#[derive(Default)]
pub struct Digester {
    size: u64,
    sha256: Sha256,
    checksum: crc32fast::Hasher,
}

impl Digester {
    /// Takes the next bytes.
    pub fn update(&mut self, bytes: &[u8]) {
        self.size += bytes.len() as u64;
        self.sha256.update(bytes);
        self.checksum.update(bytes);
    }

    /// Bytes so far.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// The result.
    pub fn finish(self) -> Digested {
        Digested { size: self.size, sha256: hex(&self.sha256.finalize()), checksum: self.checksum.finalize() }
    }
}

/// Lower-case hexadecimal.
pub fn hex(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    bytes.iter().flat_map(|byte| [DIGITS[usize::from(byte >> 4)] as char, DIGITS[usize::from(byte & 15)] as char]).collect()
}

/// Digest of a whole payload in memory.
pub fn digest(bytes: &[u8]) -> Digested {
    let mut digester = Digester::default();
    digester.update(bytes);
    digester.finish()
}

impl Spool {
    /// Opens the spool below a data directory: makes its folders, empties `incoming/`.
    pub fn open(data_dir: &Path) -> io::Result<Self> {
        let dir = data_dir.join("spool");
        for folder in ["segments", "large", "refused", "transformed", "staging", "blobs", "incoming"] {
            fs::create_dir_all(dir.join(folder))?;
        }
        for entry in fs::read_dir(dir.join("incoming"))? {
            remove(&entry?.path())?;
        }
        Ok(Spool { dir })
    }

    /// Free bytes of the disk that holds the spool; `None` where that cannot be told.
    pub fn free_bytes(&self) -> Option<u64> {
        #[cfg(unix)]
        {
            let stat = rustix::fs::statvfs(&self.dir).ok()?;
            Some(stat.f_bavail.saturating_mul(stat.f_frsize))
        }
        #[cfg(windows)]
        return fs4::available_space(&self.dir).ok();
        #[cfg(not(any(unix, windows)))]
        None
    }

    /// Begins a payload of unknown size: kept in memory while it is small, then in a file.
    pub fn receive(&self, id: MessageId) -> Receiving {
        Receiving { spool: self.clone(), id, digester: Digester::default(), small: Vec::new(), large: None }
    }

    /// A new file in `incoming/` for something that becomes a large payload: an export's package.
    pub fn create_incoming(&self, name: &str) -> io::Result<(File, PathBuf)> {
        let path = self.dir.join("incoming").join(name);
        let file = OpenOptions::new().read(true).write(true).create_new(true).open(&path)?;
        Ok((file, path))
    }

    /// Makes a finished file of `incoming/` a large payload: synced, renamed, directory synced.
    pub fn promote(&self, file: &File, path: &Path, id: MessageId) -> io::Result<PayloadPlace> {
        file.sync_all()?;
        let name = id.to_string();
        rename(path, &self.dir.join("large").join(&name))?;
        sync_directory(&self.dir.join("large"))?;
        Ok(PayloadPlace::File { name })
    }

    /// Makes a finished file of `incoming/` the refused rows of an import; returns its name, which is `stem` and the extension.
    pub fn promote_refused(&self, file: &File, path: &Path, stem: &str, extension: &str) -> io::Result<String> {
        file.sync_all()?;
        let name = format!("{stem}.{extension}");
        rename(path, &self.dir.join("refused").join(&name))?;
        sync_directory(&self.dir.join("refused"))?;
        Ok(name)
    }

    /// Gives the files that are kept of an import to another that goes on with it, under its stem: second names of the same files, or copies where the
    /// system has none.
    pub fn take_over(&self, from: &str, to: &str, extension: &str) -> io::Result<()> {
        for (folder, extension) in [("refused", extension), ("transformed", extension), ("staging", "db")] {
            let dir = self.dir.join(folder);
            let (from, to) = (dir.join(plain(&format!("{from}.{extension}"))?), dir.join(plain(&format!("{to}.{extension}"))?));
            if !from.exists() {
                continue;
            }
            gone(remove(&to))?;
            if fs::hard_link(&from, &to).is_err() {
                fs::copy(&from, &to)?;
                File::options().write(true).open(&to)?.sync_all()?;
            }
            sync_directory(&dir)?;
        }
        Ok(())
    }

    /// Opens an execution's refused rows, with their size.
    pub fn open_refused(&self, name: &str) -> io::Result<(File, u64)> {
        let file = File::open(self.dir.join("refused").join(plain(name)?))?;
        let size = file.metadata()?.len();
        Ok((file, size))
    }

    /// Removes an execution's refused rows; that they are gone already is no error.
    pub fn remove_refused(&self, name: &str) -> io::Result<()> {
        gone(remove(&self.dir.join("refused").join(plain(name)?)))
    }

    /// A file for what is made while a document is worked on; gone with the value.
    pub fn scratch(&self) -> io::Result<Scratch> {
        let (file, path) = self.create_incoming(&format!("{}.scratch", uuid::Uuid::now_v7()))?;
        Ok(Scratch { file, path: Some(path) })
    }

    /// Makes a scratch file an import's transformed document, which can still be read from it; returns its name.
    pub fn promote_transformed(&self, scratch: &mut Scratch, stem: &str, extension: &str) -> io::Result<String> {
        let name = format!("{stem}.{extension}");
        if let Some(path) = &scratch.path {
            scratch.file.sync_all()?;
            rename(path, &self.dir.join("transformed").join(&name))?;
            scratch.path = None;
            sync_directory(&self.dir.join("transformed"))?;
        }
        Ok(name)
    }

    /// Opens a transformed document, with its size.
    pub fn open_transformed(&self, name: &str) -> io::Result<(File, u64)> {
        let file = File::open(self.dir.join("transformed").join(plain(name)?))?;
        let size = file.metadata()?.len();
        Ok((file, size))
    }

    /// Removes a transformed document; that it is gone already is no error.
    pub fn remove_transformed(&self, name: &str) -> io::Result<()> {
        gone(remove(&self.dir.join("transformed").join(plain(name)?)))
    }

    /// Names in `transformed/`.
    pub fn transformed_names(&self) -> io::Result<Vec<String>> {
        names(&self.dir.join("transformed"))
    }

    /// Makes a finished staging file of `incoming/` that of an import; returns its name.
    pub fn promote_staging(&self, path: &Path, stem: &str) -> io::Result<String> {
        OpenOptions::new().read(true).write(true).open(path)?.sync_all()?;
        let name = format!("{stem}.db");
        rename(path, &self.dir.join("staging").join(&name))?;
        sync_directory(&self.dir.join("staging"))?;
        Ok(name)
    }

    /// Where a staging file is, if it is there.
    pub fn staging_path(&self, name: &str) -> io::Result<PathBuf> {
        let path = self.dir.join("staging").join(plain(name)?);
        fs::metadata(&path)?;
        Ok(path)
    }

    /// Removes a staging file; that it is gone already is no error.
    pub fn remove_staging(&self, name: &str) -> io::Result<()> {
        gone(remove(&self.dir.join("staging").join(plain(name)?)))
    }

    /// Names in `staging/`.
    pub fn staging_names(&self) -> io::Result<Vec<String>> {
        names(&self.dir.join("staging"))
    }

    /// Opens a payload. Reading to its end checks its CRC-32: a damaged payload is an error of kind `InvalidData`, never silently short.
    pub fn open_payload(&self, place: &PayloadPlace, size: u64, checksum: u32) -> io::Result<PayloadReader> {
        let file = match place {
            PayloadPlace::Segment { segment, offset } => {
                let mut file = File::open(self.segment_path(*segment))?;
                file.seek(SeekFrom::Start(*offset))?;
                file
            }
            PayloadPlace::File { name } => File::open(self.dir.join("large").join(plain(name)?))?,
            PayloadPlace::Pruned => {
                return Err(io::Error::new(io::ErrorKind::NotFound, "the payload is no longer kept: its retention has passed"));
            }
        };
        Ok(PayloadReader { file, left: size, expected: checksum, checksum: crc32fast::Hasher::new() })
    }

    /// Opens a payload to be read at any place, once its checksum was found right: what is read later is what was received.
    pub fn open_window(&self, place: &PayloadPlace, size: u64, checksum: u32) -> io::Result<PayloadWindow> {
        self.verify(place, size, checksum)?;
        let start = match place {
            PayloadPlace::Segment { offset, .. } => *offset,
            _ => 0,
        };
        let PayloadReader { mut file, .. } = self.open_payload(place, size, checksum)?;
        file.seek(SeekFrom::Start(start))?;
        Ok(PayloadWindow { file, start, size, at: 0 })
    }

    /// Whether the payload is there and whole, without keeping it.
    pub fn verify(&self, place: &PayloadPlace, size: u64, checksum: u32) -> io::Result<()> {
        io::copy(&mut self.open_payload(place, size, checksum)?, &mut io::sink()).map(|_| ())
    }

    /// Removes a large payload; that it is gone already is no error.
    pub fn remove_large(&self, name: &str) -> io::Result<()> {
        gone(remove(&self.dir.join("large").join(plain(name)?)))
    }

    /// Removes a segment that no message needs.
    pub fn remove_segment(&self, segment: u64) -> io::Result<()> {
        gone(remove(&self.segment_path(segment)))
    }

    /// The numbers of the segments that exist.
    pub fn segments(&self) -> io::Result<Vec<u64>> {
        let mut numbers = Vec::new();
        for entry in fs::read_dir(self.dir.join("segments"))? {
            numbers.extend(entry?.file_name().to_str().and_then(|name| name.parse::<u64>().ok()));
        }
        numbers.sort_unstable();
        Ok(numbers)
    }

    /// Names in `large/`, for the sweep.
    pub fn large_names(&self) -> io::Result<Vec<String>> {
        names(&self.dir.join("large"))
    }

    /// Names in `refused/`.
    pub fn refused_names(&self) -> io::Result<Vec<String>> {
        names(&self.dir.join("refused"))
    }

    fn segment_path(&self, segment: u64) -> PathBuf {
        self.dir.join("segments").join(format!("{segment:010}"))
    }
}

/// A file that is removed with this value, unless it was promoted.
pub struct Scratch {
    file: File,
    path: Option<PathBuf>,
}

impl Scratch {
    /// One in the system's folder for such files, for commands that have no spool.
    pub fn temporary() -> io::Result<Scratch> {
        let path = std::env::temp_dir().join(format!("entrepot-{}", uuid::Uuid::new_v4()));
        let mut options = OpenOptions::new();
        options.read(true).write(true).create_new(true);
        #[cfg(unix)]
        {
            use std::os::unix::fs::OpenOptionsExt;
            options.mode(0o600);
        }
        Ok(Scratch { file: options.open(&path)?, path: Some(path) })
    }

    /// Back to the beginning.
    pub fn rewind(&mut self) -> io::Result<()> {
        self.file.rewind()
    }
}

impl Read for Scratch {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.file.read(buffer)
    }
}

impl Seek for Scratch {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        self.file.seek(to)
    }
}

impl Write for Scratch {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.file.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        if let Some(path) = self.path.take() {
            // What cannot be removed is cleared away by the next start.
            let _ = remove(&path);
        }
    }
}

fn names(dir: &Path) -> io::Result<Vec<String>> {
    let mut names = Vec::new();
    for entry in fs::read_dir(dir)? {
        names.extend(entry?.file_name().into_string());
    }
    Ok(names)
}

/// A name from the store is one path component, whatever it says.
fn plain(name: &str) -> io::Result<&str> {
    let ok =
        !name.is_empty() && !name.starts_with('.') && name.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.' | b'_'));
    ok.then_some(name).ok_or_else(|| io::Error::new(io::ErrorKind::InvalidInput, format!("\"{name}\" is not the name of a spool file")))
}

fn gone(result: io::Result<()>) -> io::Result<()> {
    match result {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        other => other,
    }
}

/// Renames, also over a file that is there.
pub fn rename(from: &Path, to: &Path) -> io::Result<()> {
    patiently(|| fs::rename(from, to))
}

/// Removes a file.
pub fn remove(path: &Path) -> io::Result<()> {
    patiently(|| fs::remove_file(path))
}

/// On Windows a virus scanner or an indexer holds a file for a moment after it was written: what is refused for that is tried again, for two seconds.
fn patiently(mut act: impl FnMut() -> io::Result<()>) -> io::Result<()> {
    #[cfg(windows)]
    for _ in 0..HELD_TRIES {
        match act() {
            Err(error) if error.raw_os_error().is_some_and(|code| HELD.contains(&code)) => std::thread::park_timeout(HELD_PAUSE),
            done => return done,
        }
    }
    act()
}

/// ERROR_ACCESS_DENIED, ERROR_SHARING_VIOLATION, ERROR_LOCK_VIOLATION.
#[cfg(windows)]
const HELD: [i32; 3] = [5, 32, 33];
#[cfg(windows)]
const HELD_TRIES: u32 = 40;
#[cfg(windows)]
const HELD_PAUSE: std::time::Duration = std::time::Duration::from_millis(50);

/// Syncs a directory, where the system can. Windows has no such call; NTFS journals the rename.
pub fn sync_directory(path: &Path) -> io::Result<()> {
    #[cfg(unix)]
    File::open(path)?.sync_all()?;
    #[cfg(not(unix))]
    let _ = path;
    Ok(())
}

/// Makes a directory that only its owner can enter.
pub fn make_private_directory(dir: &Path) -> io::Result<()> {
    fs::create_dir_all(dir)?;
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        fs::set_permissions(dir, fs::Permissions::from_mode(0o700))?;
    }
    Ok(())
}

/// Replaces a file of the administrator's in one step: it keeps its owner, its group and its mode, so that whoever could read it still can, and a
/// link stays a link.
pub fn replace(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let path = &fs::canonicalize(path)?;
    let before = fs::metadata(path)?;
    let part = path.with_extension("part");
    let mut file = create_private(&part)?;
    file.write_all(bytes)?;
    #[cfg(unix)]
    {
        use std::os::unix::fs::{MetadataExt, fchown};
        let made = file.metadata()?;
        // Only root gives files away; another owner is our own user then, and the group stays the same all the same.
        if (made.uid(), made.gid()) != (before.uid(), before.gid())
            && fchown(&file, Some(before.uid()), Some(before.gid())).is_err()
            && made.gid() != before.gid()
        {
            fchown(&file, None, Some(before.gid()))?;
        }
    }
    file.set_permissions(before.permissions())?;
    file.sync_all()?;
    rename(&part, path)?;
    path.parent().map_or(Ok(()), sync_directory)
}

/// Writes a file that only its owner can read: under another name, synced, then renamed.
pub fn write_private(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let part = path.with_extension("part");
    let mut file = create_private(&part)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    rename(&part, path)
}

fn create_private(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt;
        options.mode(0o600);
    }
    options.open(path)
}

/// A payload on its way in. Dropped before [`Receiving::finish`], it leaves nothing behind.
pub struct Receiving {
    spool: Spool,
    id: MessageId,
    digester: Digester,
    small: Vec<u8>,
    large: Option<(File, PathBuf)>,
}

/// A payload that has arrived whole.
pub enum Received {
    /// In memory, for the next segment append.
    Small(Vec<u8>),
    /// On disk, synced.
    Large(PayloadPlace),
}

impl Receiving {
    /// Takes the next bytes. Errors are the disk's.
    pub fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.digester.update(bytes);
        if self.large.is_none() {
            if self.small.len() + bytes.len() <= SMALL_MAX {
                self.small.extend_from_slice(bytes);
                return Ok(());
            }
            let (mut file, path) = self.spool.create_incoming(&format!("{}.part", self.id))?;
            let written = file.write_all(&self.small);
            self.large = Some((file, path));
            written?;
            self.small = Vec::new();
        }
        let (file, _) = self.large.as_mut().expect("a large payload has its file");
        file.write_all(bytes)
    }

    /// Bytes so far.
    pub fn size(&self) -> u64 {
        self.digester.size
    }

    /// All bytes are here: a large payload is synced and gets its name.
    pub fn finish(mut self) -> io::Result<(Received, Digested)> {
        let digested = std::mem::take(&mut self.digester).finish();
        let received = match &self.large {
            None => Received::Small(std::mem::take(&mut self.small)),
            Some((file, path)) => {
                let place = self.spool.promote(file, path, self.id)?;
                self.large = None;
                Received::Large(place)
            }
        };
        Ok((received, digested))
    }
}

impl Drop for Receiving {
    fn drop(&mut self) {
        if let Some((_, path)) = &self.large {
            // Nothing was promised: what can not be removed now is removed at the next start.
            let _ = remove(path);
        }
    }
}

/// Reads a payload and checks it on the way.
pub struct PayloadReader {
    file: File,
    left: u64,
    expected: u32,
    checksum: crc32fast::Hasher,
}

impl Read for PayloadReader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.left == 0 || buffer.is_empty() {
            return Ok(0);
        }
        let want = buffer.len().min(usize::try_from(self.left).unwrap_or(usize::MAX));
        let count = self.file.read(&mut buffer[..want])?;
        if count == 0 {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "the payload file is shorter than its row says"));
        }
        self.checksum.update(&buffer[..count]);
        self.left -= count as u64;
        if self.left == 0 && self.checksum.clone().finalize() != self.expected {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "the payload file is damaged: its checksum differs"));
        }
        Ok(count)
    }
}

/// A payload as a file of its own, whether it shares a segment or not.
pub struct PayloadWindow {
    file: File,
    start: u64,
    size: u64,
    at: u64,
}

impl Read for PayloadWindow {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let left = usize::try_from(self.size.saturating_sub(self.at)).unwrap_or(usize::MAX);
        let want = buffer.len().min(left);
        let count = self.file.read(&mut buffer[..want])?;
        self.at += count as u64;
        Ok(count)
    }
}

impl Seek for PayloadWindow {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let at = match to {
            SeekFrom::Start(at) => Some(at),
            SeekFrom::End(by) => self.size.checked_add_signed(by),
            SeekFrom::Current(by) => self.at.checked_add_signed(by),
        };
        let at = at.ok_or_else(|| io::Error::new(io::ErrorKind::InvalidInput, "a place before the payload's beginning"))?;
        self.file.seek(SeekFrom::Start(self.start.saturating_add(at)))?;
        self.at = at;
        Ok(at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use uuid::Uuid;

    fn spool() -> (tempfile::TempDir, Spool) {
        let dir = tempfile::tempdir().unwrap();
        let spool = Spool::open(dir.path()).unwrap();
        (dir, spool)
    }

    fn read(spool: &Spool, place: &PayloadPlace, digested: &Digested) -> io::Result<Vec<u8>> {
        let mut bytes = Vec::new();
        spool.open_payload(place, digested.size, digested.checksum)?.read_to_end(&mut bytes)?;
        Ok(bytes)
    }

    #[test]
    fn a_large_payload_gets_its_own_file_and_an_abandoned_one_leaves_nothing() {
        let (dir, spool) = spool();
        let id = MessageId(Uuid::now_v7());
        let bytes: Vec<u8> = (0..3 * SMALL_MAX).map(|i| i as u8).collect();
        let mut receiving = spool.receive(id);
        bytes.chunks(100_000).for_each(|chunk| receiving.write(chunk).unwrap());
        let (received, digested) = receiving.finish().unwrap();
        let Received::Large(place) = received else { panic!("expected a file of its own") };
        assert_eq!(read(&spool, &place, &digested).unwrap(), bytes);

        let mut abandoned = spool.receive(MessageId(Uuid::now_v7()));
        abandoned.write(&bytes).unwrap();
        assert_eq!(fs::read_dir(dir.path().join("spool/incoming")).unwrap().count(), 1);
        drop(abandoned);
        assert_eq!(fs::read_dir(dir.path().join("spool/incoming")).unwrap().count(), 0);
    }

    #[test]
    fn names_from_the_store_can_not_leave_the_spool() {
        let (_dir, spool) = spool();
        for name in ["../queue.db", "", ".", "..", "a/b", "/etc/passwd", ".hidden"] {
            assert!(spool.remove_large(name).is_err(), "{name}");
            assert!(spool.open_refused(name).is_err(), "{name}");
        }
    }
}
