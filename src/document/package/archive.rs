//! Opens a package that somebody sent: its directory is read within a budget, every entry is checked before any is read, and each document streams
//! out of it, never held in memory. Names of entries are compared, never used as paths.
//!
//! What costs more than it brings (bombs), what is ambiguous (duplicates, overlaps) and what cannot be read (encrypted, other compression) is
//! refused with a finding before a byte is expanded.

use std::fmt;
use std::io::{self, BufReader, Read, Seek, SeekFrom};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use zip::ZipArchive;
use zip::read::ZipFile;

use super::manifest::{self, MANIFEST_BYTES_MAX, Manifest};
use super::{HEADER, MANIFEST, finding};
use crate::document::sniff::{Looks, looks};
use crate::model::finding::Finding;

/// Bytes that may be read to find the entries: the directory, and what is searched for it. At 46 bytes and more for each entry, memory is bounded too.
pub const DIRECTORY_BYTES_MAX: u64 = 4 * 1024 * 1024;
/// More entries are refused.
pub const ENTRIES_MAX: usize = 10_000;
/// Bytes that all documents together may expand to.
pub const EXPANDED_MAX: u64 = 64 * 1024 * 1024 * 1024;
/// Beyond [`EXPANDED_FREE`] they may expand to this many times the package: honest text stays below 100, a bomb is above 1,000.
pub const EXPANSION_RATIO_MAX: u64 = 200;
/// Expanded bytes at which nobody looks at the ratio.
pub const EXPANDED_FREE: u64 = 64 * 1024 * 1024;
/// Longer names of entries are refused.
const NAME_MAX: usize = 1_000;
/// Entries that a finding names.
const NAMED_MAX: usize = 5;

/// A package that was opened and checked.
pub struct Archive<R: Read + Seek> {
    zip: ZipArchive<BufReader<Metered<R>>>,
    names: Vec<String>,
    meter: Arc<Meter>,
}

/// A document in the package that cannot be read to its end; it stands inside the `io::Error` that its reader gives, to tell it from a failure of
/// our own disk.
#[derive(Debug)]
pub struct DocumentFault(String);

impl fmt::Display for DocumentFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for DocumentFault {}

impl DocumentFault {
    /// A document that cannot be read, for this reason.
    #[expect(clippy::new_ret_no_self, reason = "it travels as the source of an error of reading")]
    pub fn new(reason: &str) -> io::Error {
        io::Error::new(io::ErrorKind::InvalidData, DocumentFault(reason.to_owned()))
    }

    /// The fault inside an error, when the package is to blame.
    pub fn of(error: &io::Error) -> Option<&DocumentFault> {
        error.get_ref()?.downcast_ref()
    }
}

#[derive(Default)]
struct Meter {
    left: AtomicU64,
    exhausted: AtomicBool,
    failed: AtomicBool,
}

/// The payload, with a budget while the directory is read, and a note of its own failures.
struct Metered<R> {
    source: R,
    meter: Arc<Meter>,
}

impl<R: Read> Read for Metered<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let left = self.meter.left.load(Ordering::Relaxed);
        if left == 0 && !buffer.is_empty() {
            self.meter.exhausted.store(true, Ordering::Relaxed);
            return Err(io::ErrorKind::FileTooLarge.into());
        }
        let most = buffer.len().min(usize::try_from(left).unwrap_or(usize::MAX));
        let count = self.source.read(&mut buffer[..most]).inspect_err(|_| self.meter.failed.store(true, Ordering::Relaxed))?;
        self.meter.left.store(left - count as u64, Ordering::Relaxed);
        Ok(count)
    }
}

impl<R: Seek> Seek for Metered<R> {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        self.source.seek(to)
    }
}

/// What opening a package came to.
pub enum Opened<R: Read + Seek> {
    /// It can be read; the manifest says what is in it.
    Package(Archive<R>, Manifest),
    /// It is refused as a whole.
    Refused(Vec<Finding>),
}

impl<R: Read + Seek> Archive<R> {
    /// Opens a package of `size` bytes. Errors are those of the source alone.
    pub fn open(mut source: R, size: u64) -> io::Result<Opened<R>> {
        let mut magic = Vec::new();
        source.by_ref().take(1024).read_to_end(&mut magic)?;
        if !magic.starts_with(b"PK") {
            if let Looks::Other(what, hint) = looks(&magic) {
                return Ok(refused("", &format!("this is {what}, and a package is a zip file"), hint));
            }
            let shown = String::from_utf8_lossy(&magic[..magic.len().min(4)]).chars().filter(|c| !c.is_control()).collect::<String>();
            let hint = "send a zip file with Manifest.xml, or let the job take files: accepts = \"file\"";
            return Ok(refused(&shown, "this is no data package: a package is a zip file", hint));
        }
        source.seek(SeekFrom::Start(0))?;
        let meter = Arc::new(Meter { left: DIRECTORY_BYTES_MAX.into(), ..Meter::default() });
        let zip = match ZipArchive::new(BufReader::new(Metered { source, meter: meter.clone() })) {
            Ok(zip) => zip,
            Err(_) if meter.exhausted.load(Ordering::Relaxed) => {
                let message = format!("the directory of the zip file has more than {} MiB", DIRECTORY_BYTES_MAX >> 20);
                return Ok(refused("", &message, "put fewer files into it, and nothing before or after the zip file"));
            }
            Err(error) if meter.failed.load(Ordering::Relaxed) => return Err(io::Error::other(error)),
            Err(error) => {
                let message = format!("the zip file is damaged or was cut short: {error}");
                return Ok(refused("", &message, "send it again, as it was made"));
            }
        };
        meter.left.store(u64::MAX, Ordering::Relaxed);
        let mut archive = Archive { zip, names: Vec::new(), meter };
        if let Some(finding) = archive.check(size) {
            return Ok(Opened::Refused(vec![finding]));
        }
        archive.manifest()
    }

    /// Everything that the directory tells.
    fn check(&mut self, size: u64) -> Option<Finding> {
        let refuse = |value: &str, message: String, hint: &str| Some(finding("", 0, value, message, hint));
        if self.zip.len() > ENTRIES_MAX {
            return refuse(
                "",
                format!("the package has {} files, at most {ENTRIES_MAX} are read", self.zip.len()),
                "make several packages",
            );
        }
        if self.zip.has_duplicate_names() {
            return refuse(
                "",
                "two files of the package have the same name".into(),
                "leave one of them out: nobody can tell which is meant",
            );
        }
        let mut expanded = 0u64;
        for index in 0..self.zip.len() {
            let name = match self.zip.name_for_index(index) {
                Some(Ok(name)) if is_plain(&name) => name.into_owned(),
                Some(Ok(name)) => {
                    let hint = "put the files flat into the zip file, by their names alone";
                    return refuse(&name, "the name of a file in the package leads out of it".into(), hint);
                }
                _ => return refuse("", "the name of a file in the package is no text".into(), "name it in UTF-8"),
            };
            let entry = match self.zip.by_index_data(index) {
                Ok(entry) => entry,
                Err(error) => return refuse(&name, format!("the zip file is damaged: {error}"), "send it again, as it was made"),
            };
            if entry.encrypted() {
                return refuse(&name, "a file in the package is encrypted".into(), "make the package without a password");
            }
            if !matches!(entry.compression(), zip::CompressionMethod::Stored | zip::CompressionMethod::Deflated) {
                let message = format!("a file in the package is compressed as {}", entry.compression());
                return refuse(&name, message, "use the usual method of zip files, deflate");
            }
            expanded = expanded.saturating_add(entry.size());
            self.names.push(name);
        }
        let most = EXPANDED_FREE.max(size.saturating_mul(EXPANSION_RATIO_MAX)).min(EXPANDED_MAX);
        if expanded > most {
            let message = format!("the package expands from {size} bytes to {expanded}, at most {most} are read");
            return refuse("", message, "a package that compresses this well is a trap, or empty rows: make several packages");
        }
        match self.zip.has_overlapping_entries() {
            Ok(false) => None,
            Ok(true) => refuse("", "two files of the package share bytes".into(), "make the package again, with another program"),
            Err(error) => refuse("", format!("the zip file is damaged: {error}"), "send it again, as it was made"),
        }
    }

    fn manifest(mut self) -> io::Result<Opened<R>> {
        let Some(index) = self.find(MANIFEST) else {
            let folder = self.names.iter().find_map(|name| {
                let (folder, file) = name.rsplit_once(['/', '\\'])?;
                file.eq_ignore_ascii_case(MANIFEST).then(|| folder.to_owned())
            });
            return Ok(match folder {
                // RIS#47: the folder was zipped, not what is in it.
                Some(folder) => {
                    refused(&folder, "the files of the package are in a folder", "zip the files themselves, not the folder that holds them")
                }
                None => {
                    let named = self.names.iter().take(NAMED_MAX).map(String::as_str).collect::<Vec<_>>().join(", ");
                    let hint = "a package has Manifest.xml, PackageHeader.xml and the documents side by side";
                    refused(&named, &format!("the package has no {MANIFEST}"), hint)
                }
            });
        };
        let bytes = match self.whole(index)? {
            Ok(bytes) => bytes,
            Err(finding) => return Ok(Opened::Refused(vec![*finding])),
        };
        let mut manifest = match manifest::read(&bytes) {
            Ok(manifest) => manifest,
            Err(findings) => return Ok(Opened::Refused(findings)),
        };
        match self.find(HEADER) {
            None => manifest.notes.push(finding(
                "",
                0,
                "",
                format!("the package has no {HEADER}: passed over"),
                "add one; D365 refuses the package",
            )),
            Some(index) => match self.whole(index)? {
                Ok(bytes) => manifest.notes.extend(manifest::check_header(&bytes)),
                Err(note) => manifest.notes.push(*note),
            },
        }
        Ok(Opened::Package(self, manifest))
    }

    /// A small entry as a whole; the inner error says why it cannot be had.
    fn whole(&mut self, index: usize) -> io::Result<Result<Vec<u8>, Box<Finding>>> {
        let name = self.names[index].clone();
        let mut bytes = Vec::new();
        let read = self.document(index).and_then(|document| document.take(MANIFEST_BYTES_MAX + 1).read_to_end(&mut bytes));
        match read {
            Ok(_) if bytes.len() as u64 > MANIFEST_BYTES_MAX => {
                let message = format!("{name} has more than {} MiB", MANIFEST_BYTES_MAX >> 20);
                Ok(Err(Box::new(finding("", 0, "", message, "make several packages"))))
            }
            Ok(_) => Ok(Ok(bytes)),
            Err(error) => match DocumentFault::of(&error) {
                Some(fault) => Ok(Err(Box::new(finding("", 0, "", fault.to_string(), "send it again, as it was made")))),
                None => Err(error),
            },
        }
    }

    /// The entry of this name: exactly so, or else without regard to case (CONTRACT §4.1), and whichever slash it is written with.
    pub fn find(&self, name: &str) -> Option<usize> {
        let wanted = name.replace('\\', "/");
        let wanted = wanted.strip_prefix("./").unwrap_or(&wanted);
        self.names
            .iter()
            .position(|name| name == wanted)
            .or_else(|| self.names.iter().position(|name| name.replace('\\', "/").eq_ignore_ascii_case(wanted)))
    }

    /// The name of an entry.
    pub fn name(&self, index: usize) -> &str {
        &self.names[index]
    }

    /// Names of the files beside manifest, header, folders and those of `used`.
    pub fn left_over(&self, used: &[usize]) -> Vec<&str> {
        let ours = |name: &str| name.eq_ignore_ascii_case(MANIFEST) || name.eq_ignore_ascii_case(HEADER);
        let rest =
            self.names.iter().enumerate().filter(|(index, name)| !(used.contains(index) || ours(name) || name.ends_with(['/', '\\'])));
        rest.map(|(_, name)| name.as_str()).take(NAMED_MAX).collect()
    }

    /// Streams an entry. A fault of the package is an error with a [`DocumentFault`] inside.
    pub fn document(&mut self, index: usize) -> io::Result<Document<'_, R>> {
        let (meter, name) = (self.meter.clone(), self.names[index].clone());
        let fault = |reason: String| io::Error::new(io::ErrorKind::InvalidData, DocumentFault(reason));
        match self.zip.by_index(index) {
            Ok(file) => Ok(Document { left: file.size(), file, meter, name }),
            Err(error) if meter.failed.load(Ordering::Relaxed) => Err(io::Error::other(error)),
            Err(error) => Err(fault(format!("{name} cannot be read from the package: {error}"))),
        }
    }
}

fn refused<R: Read + Seek>(value: &str, message: &str, hint: &str) -> Opened<R> {
    Opened::Refused(vec![finding("", 0, value, message, hint)])
}

/// Whether a name stays within the package, whatever system one reads it on.
fn is_plain(name: &str) -> bool {
    !name.is_empty()
        && name.len() <= NAME_MAX
        && !name.starts_with(['/', '\\'])
        && !name.chars().any(|c| c.is_control() || c == ':')
        && !name.split(['/', '\\']).any(|part| part == "..")
}

/// One document, as it streams out of the package.
pub struct Document<'a, R: Read + Seek> {
    file: ZipFile<'a, BufReader<Metered<R>>>,
    /// Bytes that the directory promises still.
    left: u64,
    meter: Arc<Meter>,
    name: String,
}

impl<R: Read + Seek> Read for Document<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let fault = |reason: String| Err(io::Error::new(io::ErrorKind::InvalidData, DocumentFault(reason)));
        match self.file.read(buffer) {
            Ok(count) if count as u64 > self.left => fault(format!("{} expands to more than the package says", self.name)),
            Ok(count) => {
                self.left -= count as u64;
                Ok(count)
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted || self.meter.failed.load(Ordering::Relaxed) => Err(error),
            Err(error) => fault(format!("{} is damaged in the package: {error}", self.name)),
        }
    }
}

#[cfg(test)]
mod tests;
