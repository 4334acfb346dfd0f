//! Data projects that clients made (CONTRACT §1.7): each belongs to one application, and is a name for some entities of a project of the configuration.

use rusqlite::{Connection, OptionalExtension, Row, params};

use super::StoreError;
use crate::model::id::ApplicationId;
use crate::model::project::Direction;
use crate::model::time::Timestamp;

/// Projects of one application. A program that makes one for each run deletes it, or comes to this end.
pub const MADE_MAX: u64 = 1000;

/// A data project that a client made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MadeProject {
    /// Its name, unique in any case within the application.
    pub name: String,
    /// Whether it imports or exports.
    pub direction: Direction,
    /// As the client gave it.
    pub description: String,
    /// As the client gave it; the real system has Configuration, Project and others.
    pub category: String,
    /// The names of its entities, in the order in which they were added.
    pub entities: Vec<String>,
}

const COLUMNS: &str = "name, direction, description, category, entities";

fn read(row: &Row<'_>) -> Result<MadeProject, rusqlite::Error> {
    let direction: String = row.get(1)?;
    let entities: String = row.get(4)?;
    Ok(MadeProject {
        name: row.get(0)?,
        direction: if direction == Direction::Import.name() { Direction::Import } else { Direction::Export },
        description: row.get(2)?,
        category: row.get(3)?,
        entities: serde_json::from_str(&entities).map_err(|_| rusqlite::Error::InvalidQuery)?,
    })
}

/// The project of this name that the application made.
pub fn find(connection: &Connection, application: ApplicationId, name: &str) -> Result<Option<MadeProject>, rusqlite::Error> {
    connection
        .prepare_cached(&format!("SELECT {COLUMNS} FROM made_project WHERE application_id = ?1 AND name = ?2"))?
        .query_row([&application.to_string(), name], read)
        .optional()
}

/// All that the application made, by name.
pub fn of(connection: &Connection, application: ApplicationId) -> Result<Vec<MadeProject>, rusqlite::Error> {
    connection
        .prepare_cached(&format!("SELECT {COLUMNS} FROM made_project WHERE application_id = ?1 ORDER BY name"))?
        .query_map([application.to_string()], read)?
        .collect()
}

/// Keeps a project, new or changed. `false`: the application has [`MADE_MAX`] already, and nothing was kept.
pub fn keep(connection: &Connection, application: ApplicationId, made: &MadeProject, now: Timestamp) -> Result<bool, StoreError> {
    let entities = serde_json::to_string(&made.entities).unwrap_or_default();
    connection
        .prepare_cached(
            "INSERT INTO made_project (application_id, name, direction, description, category, entities, made_at)
             SELECT ?1, ?2, ?3, ?4, ?5, ?6, ?7
             WHERE (SELECT count(*) FROM made_project WHERE application_id = ?1 AND name <> ?2) < ?8
             ON CONFLICT (application_id, name) DO UPDATE SET entities = excluded.entities",
        )
        .and_then(|mut statement| {
            statement.execute(params![
                application.to_string(),
                made.name,
                made.direction.name(),
                made.description,
                made.category,
                entities,
                now.0,
                MADE_MAX
            ])
        })
        .map(|kept| kept > 0)
        .map_err(StoreError::sqlite("keep the project"))
}

/// Forgets a project; its executions stay. Whether there was one.
pub fn remove(connection: &Connection, application: ApplicationId, name: &str) -> Result<bool, StoreError> {
    connection
        .prepare_cached("DELETE FROM made_project WHERE application_id = ?1 AND name = ?2")
        .and_then(|mut statement| statement.execute([&application.to_string(), name]))
        .map(|removed| removed > 0)
        .map_err(StoreError::sqlite("forget the project"))
}
