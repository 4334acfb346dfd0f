//! Users made by a sign-in link, and the sessions of signed-in browsers. Names are compared without case (ASCII).

use rusqlite::{Connection, OptionalExtension, params};

use super::StoreError;
use crate::model::person::{Role, User};
use crate::model::time::Timestamp;

/// A signed-in browser.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Session {
    /// The user's name.
    pub user: String,
    /// Marks the password that it was opened with.
    pub password: String,
    /// When it was opened.
    pub opened_at: Timestamp,
    /// When it was last used, to within a few minutes.
    pub seen_at: Timestamp,
}

/// All users, by name.
pub fn users(connection: &Connection) -> Result<Vec<User>, rusqlite::Error> {
    connection.prepare_cached("SELECT name, role, password_hash FROM user ORDER BY name")?.query_map([], read_user)?.collect()
}

/// The user of this name.
pub fn find_user(connection: &Connection, name: &str) -> Result<Option<User>, rusqlite::Error> {
    connection.prepare_cached("SELECT name, role, password_hash FROM user WHERE name = ?1")?.query_row([name], read_user).optional()
}

fn read_user(row: &rusqlite::Row<'_>) -> rusqlite::Result<User> {
    let role: String = row.get(1)?;
    // A role of a later version may do the least here.
    Ok(User { name: row.get(0)?, role: role.parse().unwrap_or(Role::Viewer), password_hash: row.get(2)? })
}

/// Keeps a user; one of this name gets the new password and role.
pub fn keep_user(connection: &Connection, user: &User, now: Timestamp) -> Result<(), StoreError> {
    connection
        .execute(
            "INSERT INTO user (name, role, password_hash, made_at) VALUES (?1, ?2, ?3, ?4)
             ON CONFLICT (name) DO UPDATE SET role = ?2, password_hash = ?3",
            params![user.name, user.role.name(), user.password_hash, now.0],
        )
        .map(|_| ())
        .map_err(StoreError::sqlite("keep the user"))
}

/// Removes a user; `false` when there is none of this name.
pub fn remove_user(connection: &Connection, name: &str) -> Result<bool, StoreError> {
    let failed = StoreError::sqlite("remove the user");
    connection.execute("DELETE FROM session WHERE user = ?1", [name]).map_err(&failed)?;
    connection.execute("DELETE FROM user WHERE name = ?1", [name]).map(|count| count == 1).map_err(&failed)
}

/// Opens a session, and forgets those that were opened or seen before these instants.
pub fn open_session(
    connection: &Connection,
    token_hash: &str,
    session: &Session,
    opened_since: Timestamp,
    seen_since: Timestamp,
) -> Result<(), StoreError> {
    let failed = StoreError::sqlite("open a session");
    connection
        .execute("DELETE FROM session WHERE opened_at < ?1 OR seen_at < ?2", params![opened_since.0, seen_since.0])
        .map_err(&failed)?;
    connection
        .execute(
            "INSERT INTO session (token_hash, user, password, opened_at, seen_at) VALUES (?1, ?2, ?3, ?4, ?5)",
            params![token_hash, session.user, session.password, session.opened_at.0, session.seen_at.0],
        )
        .map(|_| ())
        .map_err(&failed)
}

/// The session with this cookie.
pub fn find_session(connection: &Connection, token_hash: &str) -> Result<Option<Session>, rusqlite::Error> {
    connection
        .prepare_cached("SELECT user, password, opened_at, seen_at FROM session WHERE token_hash = ?1")?
        .query_row([token_hash], |row| {
            Ok(Session { user: row.get(0)?, password: row.get(1)?, opened_at: Timestamp(row.get(2)?), seen_at: Timestamp(row.get(3)?) })
        })
        .optional()
}

/// Notes that a session is in use.
pub fn touch_session(connection: &Connection, token_hash: &str, now: Timestamp) -> Result<(), StoreError> {
    connection
        .execute("UPDATE session SET seen_at = ?2 WHERE token_hash = ?1", params![token_hash, now.0])
        .map(|_| ())
        .map_err(StoreError::sqlite("touch the session"))
}

/// Ends a session.
pub fn close_session(connection: &Connection, token_hash: &str) -> Result<(), StoreError> {
    connection
        .execute("DELETE FROM session WHERE token_hash = ?1", [token_hash])
        .map(|_| ())
        .map_err(StoreError::sqlite("close the session"))
}
