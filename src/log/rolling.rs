//! A log file of bounded size, for a service that nobody reads the output of: `entrepot.log`, and older ones as `entrepot.1.log` to
//! `entrepot.5.log`, the last of which goes when another one begins.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

/// A file becomes an older one before it is larger than this.
pub const FILE_BYTES_MAX: u64 = 10 << 20;
/// So many older ones are kept.
pub const OLDER_MAX: u32 = 5;

/// Writes lines to the newest file of a folder.
pub struct RollingFile {
    dir: PathBuf,
    file: Option<File>,
    size: u64,
    /// The size at which a new file is begun.
    limit: u64,
    bytes_max: u64,
}

impl RollingFile {
    /// Goes on with the newest file of this folder, which is made when it is not there.
    pub fn open(dir: &Path) -> io::Result<RollingFile> {
        RollingFile::with(dir, FILE_BYTES_MAX)
    }

    fn with(dir: &Path, bytes_max: u64) -> io::Result<RollingFile> {
        fs::create_dir_all(dir)?;
        let mut rolling = RollingFile { dir: dir.to_owned(), file: None, size: 0, limit: bytes_max, bytes_max };
        rolling.begin()?;
        Ok(rolling)
    }

    /// The file that is written now.
    pub fn path(&self) -> PathBuf {
        self.name(0)
    }

    fn name(&self, number: u32) -> PathBuf {
        self.dir.join(if number == 0 { "entrepot.log".into() } else { format!("entrepot.{number}.log") })
    }

    fn begin(&mut self) -> io::Result<()> {
        let file = OpenOptions::new().append(true).create(true).open(self.name(0))?;
        self.size = file.metadata()?.len();
        self.file = Some(file);
        Ok(())
    }

    /// Makes the newest file an older one. Whoever logs waits for this, so that a file which somebody holds is not waited for: the one that
    /// there is goes on, and a tenth of its size later this is tried again.
    fn roll(&mut self) -> io::Result<()> {
        self.file = None;
        let moved = (0..OLDER_MAX).rev().try_for_each(|number| match fs::rename(self.name(number), self.name(number + 1)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        });
        self.begin()?;
        self.limit = if moved.is_ok() { self.bytes_max } else { self.size + self.bytes_max / 10 };
        Ok(())
    }
}

impl Write for RollingFile {
    /// Takes all of it, so that a line is never in two files.
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.file.is_none() || (self.size > 0 && self.size + bytes.len() as u64 > self.limit) {
            self.roll()?;
        }
        if let Some(file) = &mut self.file {
            file.write_all(bytes)?;
            self.size += bytes.len() as u64;
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.as_mut().map_or(Ok(()), File::flush)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(dir: &Path) -> Vec<(String, usize)> {
        let mut files: Vec<_> = fs::read_dir(dir)
            .unwrap()
            .map(|entry| entry.unwrap())
            .map(|entry| (entry.file_name().into_string().unwrap(), fs::read_to_string(entry.path()).unwrap().lines().count()))
            .collect();
        files.sort();
        files
    }

    #[test]
    fn a_full_file_becomes_an_older_one_and_the_oldest_goes() {
        let dir = tempfile::tempdir().unwrap();
        let mut log = RollingFile::with(dir.path(), 100).unwrap();
        for number in 0..100 {
            writeln!(log, "line {number:04}").unwrap();
        }
        let files = lines(dir.path());
        assert_eq!(files.len(), 1 + OLDER_MAX as usize, "{files:?}");
        assert!(files.iter().all(|(_, lines)| *lines == 10), "a line of 10 bytes is never cut, a file holds 100: {files:?}");
        assert!(fs::read_to_string(log.path()).unwrap().ends_with("line 0099\n"));
        assert!(fs::read_to_string(dir.path().join("entrepot.5.log")).unwrap().starts_with("line 0040\n"));
    }

    #[test]
    fn another_start_goes_on_where_the_last_one_ended() {
        let dir = tempfile::tempdir().unwrap();
        for _ in 0..3 {
            writeln!(RollingFile::with(dir.path(), 100).unwrap(), "started").unwrap();
        }
        assert_eq!(lines(dir.path()), [("entrepot.log".to_owned(), 3)]);
    }

    #[test]
    fn a_file_that_cannot_be_moved_goes_on() {
        let dir = tempfile::tempdir().unwrap();
        // A file never replaces a folder: as if somebody held the oldest.
        fs::create_dir(dir.path().join("entrepot.5.log")).unwrap();
        fs::write(dir.path().join("entrepot.4.log"), "old\n").unwrap();
        let mut log = RollingFile::with(dir.path(), 100).unwrap();
        for number in 0..30 {
            writeln!(log, "line {number:04}").unwrap();
        }
        assert_eq!(fs::read_to_string(log.path()).unwrap().lines().count(), 30, "nothing is lost");
        fs::remove_dir(dir.path().join("entrepot.5.log")).unwrap();
        writeln!(log, "line 0030").unwrap();
        writeln!(log, "line 0031").unwrap();
        assert_eq!(fs::read_to_string(log.path()).unwrap().lines().last(), Some("line 0031"));
        assert!(dir.path().join("entrepot.1.log").is_file(), "and it is moved as soon as that can be");
    }
}
