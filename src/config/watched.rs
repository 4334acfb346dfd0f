//! Files that a configuration was read from: when one of them changes, it is read again.

use std::path::{Path, PathBuf};
use std::time::SystemTime;

/// A file, as it was just before it was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Watched {
    path: PathBuf,
    /// When it was last written, and its size; none when it could not be seen.
    seen: Option<(SystemTime, u64)>,
}

impl Watched {
    /// Looks at a file.
    pub fn look(path: &Path) -> Watched {
        let seen = std::fs::metadata(path).and_then(|metadata| Ok((metadata.modified()?, metadata.len()))).ok();
        Watched { path: path.to_owned(), seen }
    }

    /// Whether it is no longer as it was.
    pub fn is_changed(&self) -> bool {
        *self != Watched::look(&self.path)
    }
}
