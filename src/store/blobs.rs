//! Blobs: what clients of the package API put by one signed URL and get by another. Rows here, bytes in the spool.

use rusqlite::{Connection, OptionalExtension, Row, params};

use super::{Batch, Store, StoreError, increments};
use crate::files::Digested;
use crate::model::id::ApplicationId;
use crate::model::time::Timestamp;

/// Blobs of one commit, so that an enqueue never waits long behind a clean-up.
const BLOCK: u32 = 200;

/// The longest name of a blob, as in Azure Blob Storage.
const NAME_MAX: usize = 1024;

/// A name as URLs and signatures have it; `None` for one that cannot stand in a URL.
pub fn name(given: &str) -> Option<String> {
    let segments: Vec<&str> = given.split('/').filter(|segment| !segment.is_empty()).collect();
    let fine = !segments.is_empty()
        && given.len() <= NAME_MAX
        && !given.chars().any(|c| c.is_control() || c == '\\')
        && !segments.iter().any(|segment| matches!(*segment, "." | ".."));
    fine.then(|| segments.join("/"))
}

/// A blob.
#[derive(Clone, Debug, PartialEq)]
pub struct Blob {
    /// Its identity, a GUID; its name may be another's too.
    pub id: String,
    /// What the client calls it.
    pub name: String,
    /// Whose it is.
    pub application_id: Option<ApplicationId>,
    /// Its bytes, once they were written.
    pub content: Option<Content>,
}

/// The bytes of a blob.
#[derive(Clone, Debug, PartialEq)]
pub struct Content {
    /// The spool file.
    pub file: String,
    /// Bytes, and their digests.
    pub digested: Digested,
    /// Changes with every write.
    pub etag: String,
    /// When it was written.
    pub written_at: Timestamp,
}

/// Makes a blob without bytes, or with them.
pub fn make(connection: &Connection, blob: &Blob, now: Timestamp) -> Result<(), StoreError> {
    let failed = StoreError::sqlite("make the blob");
    connection
        .prepare_cached("INSERT INTO blob (id, name, application_id, made_at) VALUES (?1, ?2, ?3, ?4)")
        .and_then(|mut statement| {
            statement.execute(params![blob.id, blob.name, blob.application_id.map(|id| id.to_string()).unwrap_or_default(), now.0])
        })
        .map_err(&failed)?;
    if let Some(content) = &blob.content {
        set(connection, &blob.id, content)?;
    }
    Ok(())
}

fn set(connection: &Connection, id: &str, content: &Content) -> Result<(), StoreError> {
    let Content { file, digested, etag, written_at } = content;
    connection
        .prepare_cached("UPDATE blob SET file = ?2, size = ?3, sha256 = ?4, checksum = ?5, etag = ?6, written_at = ?7 WHERE id = ?1")
        .and_then(|mut statement| {
            statement.execute(params![id, file, digested.size, digested.sha256, digested.checksum, etag, written_at.0])
        })
        .map(|_| ())
        .map_err(StoreError::sqlite("write the blob"))
}

/// What a writer expects to find (RFC 9110 §13.1).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Expected {
    /// Whatever there is.
    Anything,
    /// Nothing: `If-None-Match: *`.
    Nothing,
    /// These bytes: `If-Match`.
    Tag(String),
}

/// What became of a write.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Write {
    /// It is kept; the file that it replaced.
    Done(Option<String>),
    /// Something else was found than was expected.
    Unexpected,
    /// There is no such blob.
    Unknown,
}

/// Writes a blob's bytes, in the place of others.
pub fn write(connection: &Connection, id: &str, content: &Content, expected: &Expected) -> Result<Write, StoreError> {
    let Some(blob) = find(connection, id).map_err(StoreError::sqlite("find the blob"))? else { return Ok(Write::Unknown) };
    let fits = match (expected, &blob.content) {
        (Expected::Anything, _) | (Expected::Nothing, None) => true,
        (Expected::Tag(tag), Some(content)) => tag == "*" || *tag == content.etag,
        _ => false,
    };
    if !fits {
        return Ok(Write::Unexpected);
    }
    set(connection, id, content)?;
    Ok(Write::Done(blob.content.map(|content| content.file)))
}

const COLUMNS: &str = "id, name, application_id, file, size, sha256, checksum, etag, written_at";

fn read(row: &Row<'_>) -> rusqlite::Result<Blob> {
    let application: String = row.get(2)?;
    let file: Option<String> = row.get(3)?;
    let content = match file {
        None => None,
        Some(file) => Some(Content {
            file,
            digested: Digested { size: row.get(4)?, sha256: row.get(5)?, checksum: row.get(6)? },
            etag: row.get(7)?,
            written_at: Timestamp(row.get::<_, Option<i64>>(8)?.unwrap_or_default()),
        }),
    };
    Ok(Blob { id: row.get(0)?, name: row.get(1)?, application_id: application.parse().ok(), content })
}

/// One blob.
pub fn find(connection: &Connection, id: &str) -> Result<Option<Blob>, rusqlite::Error> {
    connection.prepare_cached(&format!("SELECT {COLUMNS} FROM blob WHERE id = ?1"))?.query_row([id], read).optional()
}

/// The newest blob of this name that an application made.
pub fn find_named(connection: &Connection, name: &str, application: ApplicationId) -> Result<Option<Blob>, rusqlite::Error> {
    connection
        .prepare_cached(&format!("SELECT {COLUMNS} FROM blob WHERE application_id = ?1 AND name = ?2 ORDER BY made_at DESC LIMIT 1"))?
        .query_row([application.to_string(), name.to_owned()], read)
        .optional()
}

/// Forgets blobs that were made before `before`: rows first, then files. Returns how many.
pub fn prune(store: &Store, before: Timestamp, goes_on: &dyn Fn()) -> Result<u64, StoreError> {
    let mut pruned = 0;
    loop {
        goes_on();
        let files = store.write("forget blobs", move |batch| forget(batch, before))?;
        for name in files.iter().flatten() {
            if let Err(error) = store.spool().remove_blob(name) {
                log::warn!("blob file not removed reason=\"{error}\"; it takes space until the next start");
            }
        }
        pruned += files.len() as u64;
        if files.len() < BLOCK as usize {
            return Ok(pruned);
        }
    }
}

fn forget(batch: &mut Batch<'_>, before: Timestamp) -> Result<Vec<Option<String>>, StoreError> {
    let gone: Vec<(String, Option<String>)> = batch
        .connection
        .prepare_cached(
            "DELETE FROM blob WHERE id IN (SELECT id FROM blob WHERE made_at < ?1 ORDER BY made_at LIMIT ?2) RETURNING id, file",
        )
        .and_then(|mut statement| statement.query_map(params![before.0, BLOCK], |row| Ok((row.get(0)?, row.get(1)?)))?.collect())
        .map_err(StoreError::sqlite("forget blobs"))?;
    for (id, _) in &gone {
        // Changes in a package that nobody fetched are offered again.
        if let Ok(id) = id.parse() {
            increments::given_up(batch.connection, id)?;
        }
    }
    Ok(gone.into_iter().map(|(_, file)| file).collect())
}

/// Removes files that no row names: what a crash between the file and its row left. Only at a start, when nothing is being written.
pub fn sweep(store: &Store) -> Result<(), StoreError> {
    for name in store.spool().blob_names().map_err(StoreError::file("list the blobs"))? {
        let named = store.read("look for the blob's row", |connection| {
            connection.query_row("SELECT count(*) FROM blob WHERE file = ?1", [&name], |row| row.get::<_, u64>(0))
        })?;
        if named == 0 {
            store.spool().remove_blob(&name).map_err(StoreError::file("remove a blob's file"))?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_stand_in_urls_or_are_refused() {
        assert_eq!(name("a/b c").as_deref(), Some("a/b c"));
        assert_eq!(name("//a//b/").as_deref(), Some("a/b"));
        for bad in ["", "/", "..", "a/../b", "a\nb", "a\\b"] {
            assert_eq!(name(bad), None, "{bad}");
        }
    }
}
