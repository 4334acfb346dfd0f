//! People who sign in to the pages.

use std::fmt;
use std::str::FromStr;

use serde::{Serialize, Serializer};

/// What a user may do; each may do what those before it may.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Role {
    /// Look at everything, documents included.
    Viewer,
    /// Run, pause and resume jobs; replay, cancel and release messages.
    Operator,
    /// Everything.
    Admin,
}

impl Role {
    /// The word in the configuration file.
    pub fn name(self) -> &'static str {
        match self {
            Role::Viewer => "viewer",
            Role::Operator => "operator",
            Role::Admin => "admin",
        }
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl Serialize for Role {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.name())
    }
}

impl FromStr for Role {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Role, &'static str> {
        [Role::Viewer, Role::Operator, Role::Admin]
            .into_iter()
            .find(|role| role.name() == text)
            .ok_or("a role is admin, operator or viewer")
    }
}

/// A person who may sign in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct User {
    /// Unique without regard to case.
    pub name: String,
    /// What the person may do.
    pub role: Role,
    /// Argon2id, a PHC string.
    pub password_hash: String,
}
