//! Opens `queue.db`: open, prepare, create or upgrade, finish. A newer file is refused, a damaged one is named and never deleted.

use std::borrow::Cow;
use std::path::Path;
use std::time::Duration;

use rusqlite::{Connection, OpenFlags};

use super::{Cause, StoreError};

/// `PRAGMA user_version` of the newest schema this binary knows.
const VERSION: i64 = STEPS.len() as i64;
/// `PRAGMA application_id`: "ENTQ", so that `file` and people can tell what it is.
const APPLICATION_ID: i64 = 0x454E_5451;
/// What brings a queue from each version to the next, beginning with none.
const STEPS: [&str; 22] = [
    include_str!("sql/001_create.sql"),
    include_str!("sql/002_people.sql"),
    include_str!("sql/003_package.sql"),
    include_str!("sql/004_blob.sql"),
    include_str!("sql/005_horizon.sql"),
    include_str!("sql/006_increment.sql"),
    include_str!("sql/007_transform.sql"),
    include_str!("sql/008_expected.sql"),
    include_str!("sql/009_made_project.sql"),
    include_str!("sql/010_retry.sql"),
    include_str!("sql/011_staging.sql"),
    include_str!("sql/012_requested_retry.sql"),
    include_str!("sql/013_enqueue.sql"),
    include_str!("sql/014_anew.sql"),
    include_str!("sql/015_failing.sql"),
    include_str!("sql/016_run.sql"),
    include_str!("sql/017_attention.sql"),
    include_str!("sql/018_continue.sql"),
    include_str!("sql/019_recurrence.sql"),
    include_str!("sql/020_crashes.sql"),
    include_str!("sql/021_bounds.sql"),
    include_str!("sql/022_half_way.sql"),
];

/// Opens the queue for its one writer, creating it when it does not exist.
pub fn open_queue(path: &Path) -> Result<Connection, StoreError> {
    let failed = StoreError::sqlite("open queue.db");
    let mut connection = Connection::open(for_sqlite(path)).map_err(&failed)?;
    connection.busy_timeout(Duration::from_secs(10)).map_err(&failed)?;
    let version: i64 = connection.query_row("PRAGMA user_version", [], |row| row.get(0)).map_err(&failed)?;
    if version > VERSION {
        let what = format!(
            "{} was written by a newer version of entrepot (schema {version}, this one knows {VERSION}): install that version again",
            path.display()
        );
        return Err(StoreError { operation: "open queue.db", cause: Cause::Damaged(what) });
    }
    // WAL: readers never wait for the writer. FULL: a commit is on disk when it returns; the writer alone does with less, where the segment has it all.
    // Foreign keys: the trigger that counts a message says when its job is missing (sql/013_enqueue.sql).
    // No automatic checkpoint: it would put two more syncs on the path of an enqueue; the writer's checkpoint thread does it. The cache is small
    // because the working set is.
    for (pragma, value) in
        [("journal_mode", "WAL"), ("synchronous", "FULL"), ("wal_autocheckpoint", "0"), ("cache_size", "-4096"), ("foreign_keys", "OFF")]
    {
        connection.pragma_update(None, pragma, value).map_err(&failed)?;
    }
    connection.set_prepared_statement_cache_capacity(64);
    if version < VERSION {
        let transaction = connection.transaction().map_err(&failed)?;
        for step in STEPS.iter().skip(usize::try_from(version).unwrap_or(0)) {
            transaction.execute_batch(step).map_err(&failed)?;
        }
        transaction.pragma_update(None, "application_id", APPLICATION_ID).map_err(&failed)?;
        transaction.pragma_update(None, "user_version", VERSION).map_err(&failed)?;
        transaction.commit().map_err(&failed)?;
    }
    Ok(connection)
}

/// Opens the queue for reading only.
pub fn open_reader(path: &Path) -> Result<Connection, StoreError> {
    let failed = StoreError::sqlite("open queue.db for reading");
    let connection = Connection::open_with_flags(for_sqlite(path), OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX)
        .map_err(&failed)?;
    connection.busy_timeout(Duration::from_secs(10)).map_err(&failed)?;
    connection.pragma_update(None, "query_only", "ON").map_err(&failed)?;
    connection.pragma_update(None, "cache_size", "-1024").map_err(&failed)?;
    Ok(connection)
}

/// A path as SQLite can open it. Rust's own calls take long paths on Windows by themselves; SQLite hands what it is given to Windows, which refuses
/// more than 260 characters unless they are written in a way of their own.
pub(super) fn for_sqlite(path: &Path) -> Cow<'_, Path> {
    #[cfg(windows)]
    // Made absolute: that way of writing knows neither "/" nor "..".
    if let Some(long) = std::path::absolute(path).ok().and_then(|path| verbatim(path.to_str()?)) {
        return Cow::Owned(long.into());
    }
    Cow::Borrowed(path)
}

/// A long absolute path of Windows, as it takes it at any length; `None` for one that needs no help. SQLite appends to it: `-journal` at most.
#[cfg(any(windows, test))]
fn verbatim(path: &str) -> Option<String> {
    const SHORT: usize = 260 - "-journal".len() - 1;
    if path.encode_utf16().count() <= SHORT || path.starts_with(r"\\?\") || path.starts_with(r"\\.\") {
        return None;
    }
    Some(match path.strip_prefix(r"\\") {
        Some(share) => format!(r"\\?\UNC\{share}"),
        None => format!(r"\\?\{path}"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_paths_of_windows_are_written_so_that_it_takes_them() {
        let name = "a".repeat(300);
        assert_eq!(verbatim(r"C:\ProgramData\Entrepot\data\queue.db"), None);
        assert_eq!(verbatim(&format!(r"C:\{name}\queue.db")), Some(format!(r"\\?\C:\{name}\queue.db")));
        assert_eq!(verbatim(&format!(r"\\server\share\{name}")), Some(format!(r"\\?\UNC\server\share\{name}")));
        assert_eq!(verbatim(&format!(r"\\?\C:\{name}")), None, "it is so already");
        assert_eq!(verbatim(&format!("C:\\{}", "ü".repeat(248))), None, "characters are counted, not bytes");
    }

    #[test]
    fn a_queue_of_the_first_version_is_brought_to_the_newest_with_its_jobs() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("queue.db");
        let old = Connection::open(&path).unwrap();
        old.execute_batch(STEPS[0]).unwrap();
        old.execute_batch("PRAGMA user_version = 1; INSERT INTO job (activity_id, name) VALUES ('a', 'kept')").unwrap();
        drop(old);
        let queue = open_queue(&path).unwrap();
        let name: String = queue.query_row("SELECT name FROM job", [], |row| row.get(0)).unwrap();
        assert_eq!(name, "kept");
        assert_eq!(queue.query_row("PRAGMA user_version", [], |row| row.get::<_, i64>(0)).unwrap(), VERSION);
        assert!(crate::store::people::users(&queue).unwrap().is_empty());
    }

    #[test]
    fn a_queue_that_kept_its_horizon_apart_knows_its_segments_as_far_as_before() {
        use crate::files::segment::Horizon;
        let dir = tempfile::tempdir().unwrap();
        // The newest segment has messages, or none any more.
        for (name, segments) in [("with", "(4, 2), (5, 9)"), ("without", "(4, 2)")] {
            let path = dir.path().join(name);
            let old = Connection::open(&path).unwrap();
            STEPS[..12].iter().for_each(|step| old.execute_batch(step).unwrap());
            old.execute_batch(&format!(
                "PRAGMA user_version = 12; INSERT INTO segment (number, live) VALUES {segments}; UPDATE horizon SET segment = 5, offset = 77"
            ))
            .unwrap();
            drop(old);
            let queue = open_queue(&path).unwrap();
            assert_eq!(crate::store::recovery::horizon(&queue).unwrap(), Horizon { segment: 5, offset: 77 }, "{name}");
            assert_eq!(queue.query_row("SELECT live FROM segment WHERE number = 4", [], |row| row.get::<_, i64>(0)).unwrap(), 2);
        }
        let queue = open_queue(&dir.path().join("new")).unwrap();
        assert_eq!(crate::store::recovery::horizon(&queue).unwrap(), Horizon::default());
    }

    #[test]
    fn a_queue_of_a_newer_version_is_refused_with_a_word() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("queue.db");
        drop(open_queue(&path).unwrap());
        drop(open_queue(&path).unwrap());
        Connection::open(&path).unwrap().pragma_update(None, "user_version", VERSION + 1).unwrap();
        let error = open_queue(&path).unwrap_err().to_string();
        assert!(error.contains("newer version") && error.contains("queue.db"), "{error}");
    }
}
