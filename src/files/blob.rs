//! Files of blobs: one for each content, written as large payloads are (synced, renamed, directory synced, then the row). Blocks that a client has
//! sent and not yet put into a list are files in `incoming/`, known in memory alone: a restart forgets them, and its client begins again.

use std::collections::HashMap;
use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};

use super::{Digested, Digester, Spool, gone, names, plain, sync_directory};
use crate::model::id::MessageId;
use crate::model::message::PayloadPlace;
use crate::model::time::Timestamp;

/// Blocks of one blob at most, as in Azure Blob Storage.
pub const BLOCKS_MAX: usize = 50_000;
/// Blocks of all blobs together that wait for their lists: a bound on memory.
pub const BLOCKS_WAITING_MAX: usize = 200_000;

impl Spool {
    /// Begins a blob.
    pub fn receive_blob(&self) -> io::Result<BlobWriter> {
        let name = uuid::Uuid::now_v7().to_string();
        let (file, path) = self.create_incoming(&format!("{name}.blob"))?;
        Ok(BlobWriter { spool: self.clone(), name, file, path, digester: Digester::default(), kept: false })
    }

    /// Makes a finished file of `incoming/` a blob; returns its name.
    pub fn promote_blob(&self, file: &File, path: &std::path::Path) -> io::Result<String> {
        let name = uuid::Uuid::now_v7().to_string();
        self.keep_blob(file, path, &name)?;
        Ok(name)
    }

    fn keep_blob(&self, file: &File, path: &std::path::Path, name: &str) -> io::Result<()> {
        file.sync_all()?;
        super::rename(path, &self.dir.join("blobs").join(name))?;
        sync_directory(&self.dir.join("blobs"))
    }

    /// Opens a blob's bytes.
    pub fn open_blob(&self, name: &str) -> io::Result<File> {
        File::open(self.dir.join("blobs").join(plain(name)?))
    }

    /// Removes a blob's bytes; that they are gone already is no error.
    pub fn remove_blob(&self, name: &str) -> io::Result<()> {
        gone(super::remove(&self.dir.join("blobs").join(plain(name)?)))
    }

    /// Makes a blob's bytes the payload of a message too: a second name of the same file, or a copy where the system has none.
    pub fn blob_as_payload(&self, name: &str, id: MessageId) -> io::Result<PayloadPlace> {
        let (from, to) = (self.dir.join("blobs").join(plain(name)?), self.dir.join("large").join(id.to_string()));
        if fs::hard_link(&from, &to).is_err() {
            fs::copy(&from, &to)?;
            File::options().write(true).open(&to)?.sync_all()?;
        }
        sync_directory(&self.dir.join("large"))?;
        Ok(PayloadPlace::File { name: id.to_string() })
    }

    /// Copies an import's refused rows into a blob; its bytes are there for another reader, and for longer.
    pub fn refused_as_blob(&self, name: &str) -> io::Result<(String, Digested)> {
        let (mut file, _) = self.open_refused(name)?;
        let (mut blob, mut buffer) = (self.receive_blob()?, vec![0u8; 256 * 1024]);
        loop {
            match file.read(&mut buffer)? {
                0 => return blob.finish(),
                count => blob.write(&buffer[..count])?,
            }
        }
    }

    /// Names of all blobs' files, for the sweep.
    pub fn blob_names(&self) -> io::Result<Vec<String>> {
        names(&self.dir.join("blobs"))
    }
}

/// A blob on its way in. Dropped before [`BlobWriter::finish`], it leaves nothing behind.
pub struct BlobWriter {
    spool: Spool,
    name: String,
    file: File,
    path: PathBuf,
    digester: Digester,
    kept: bool,
}

impl BlobWriter {
    /// Takes the next bytes.
    pub fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.digester.update(bytes);
        self.file.write_all(bytes)
    }

    /// Bytes so far.
    pub fn size(&self) -> u64 {
        self.digester.size()
    }

    /// All bytes are here: synced, under the name that is returned.
    pub fn finish(mut self) -> io::Result<(String, Digested)> {
        self.spool.keep_blob(&self.file, &self.path, &self.name)?;
        self.kept = true;
        Ok((self.name.clone(), std::mem::take(&mut self.digester).finish()))
    }

    /// All bytes are here, as a block that waits for its list: neither synced nor kept over a restart.
    pub fn into_block(mut self) -> Block {
        self.kept = true;
        Block { path: self.path.clone(), digested: std::mem::take(&mut self.digester).finish() }
    }
}

impl Drop for BlobWriter {
    fn drop(&mut self) {
        if !self.kept {
            // Nothing was promised: what can not be removed now is removed at the next start.
            let _ = super::remove(&self.path);
        }
    }
}

/// A block that waits for its list; its file goes when it is dropped.
#[derive(Debug)]
pub struct Block {
    path: PathBuf,
    digested: Digested,
}

impl Block {
    /// Bytes.
    pub fn size(&self) -> u64 {
        self.digested.size
    }

    /// Copies its bytes to the end of a blob; bytes that are not those that were received are an error.
    pub fn append_to(&self, blob: &mut BlobWriter) -> io::Result<()> {
        let mut file = File::open(&self.path)?;
        let (mut digester, mut buffer) = (crc32fast::Hasher::new(), vec![0u8; 256 * 1024]);
        loop {
            match file.read(&mut buffer)? {
                0 => break,
                count => {
                    digester.update(&buffer[..count]);
                    blob.write(&buffer[..count])?;
                }
            }
        }
        match digester.finalize() == self.digested.checksum {
            true => Ok(()),
            false => Err(io::Error::new(io::ErrorKind::InvalidData, "a block is damaged: its checksum differs")),
        }
    }
}

impl Drop for Block {
    fn drop(&mut self) {
        let _ = super::remove(&self.path);
    }
}

/// Blocks that wait for their lists.
#[derive(Default)]
pub struct Blocks {
    waiting: Mutex<Waiting>,
}

#[derive(Default)]
struct Waiting {
    blobs: HashMap<String, (Timestamp, HashMap<String, Block>)>,
    count: usize,
}

/// Why a block is not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NotTaken {
    /// The blob has [`BLOCKS_MAX`] blocks, or more bytes than a body may have.
    TooLarge,
    /// [`BLOCKS_WAITING_MAX`] blocks wait already.
    Busy,
}

impl Blocks {
    fn waiting(&self) -> std::sync::MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Keeps a block, in the place of one with the same id.
    pub fn put(&self, blob: &str, id: &str, block: Block, bytes_max: u64, now: Timestamp) -> Result<(), NotTaken> {
        let mut waiting = self.waiting();
        if waiting.count >= BLOCKS_WAITING_MAX {
            return Err(NotTaken::Busy);
        }
        let (touched, blocks) = waiting.blobs.entry(blob.to_owned()).or_insert_with(|| (now, HashMap::new()));
        *touched = now;
        let bytes: u64 = block.size() + blocks.iter().filter(|(other, _)| *other != id).map(|(_, block)| block.size()).sum::<u64>();
        if bytes > bytes_max || (blocks.len() >= BLOCKS_MAX && !blocks.contains_key(id)) {
            return Err(NotTaken::TooLarge);
        }
        let replaced = blocks.insert(id.to_owned(), block).is_some();
        waiting.count += usize::from(!replaced);
        Ok(())
    }

    /// Takes all blocks of a blob out.
    pub fn take(&self, blob: &str) -> HashMap<String, Block> {
        let mut waiting = self.waiting();
        let blocks = waiting.blobs.remove(blob).map(|(_, blocks)| blocks).unwrap_or_default();
        waiting.count -= blocks.len();
        blocks
    }

    /// Puts blocks back whose list could not be served, unless others came meanwhile.
    pub fn put_back(&self, blob: &str, blocks: HashMap<String, Block>, now: Timestamp) {
        let mut waiting = self.waiting();
        let (_, kept) = waiting.blobs.entry(blob.to_owned()).or_insert_with(|| (now, HashMap::new()));
        let before = kept.len();
        for (id, block) in blocks {
            kept.entry(id).or_insert(block);
        }
        let added = kept.len() - before;
        waiting.count += added;
    }

    /// Drops the blocks of blobs for which nothing came since `before`.
    pub fn forget(&self, before: Timestamp) {
        let mut waiting = self.waiting();
        waiting.blobs.retain(|_, (touched, _)| *touched >= before);
        waiting.count = waiting.blobs.values().map(|(_, blocks)| blocks.len()).sum();
    }
}
