//! `[[user]]`: who may sign in to the pages. Those made by a sign-in link are kept in the data directory instead.

use super::section::Section;
use crate::auth::password;
use crate::model::person::{Role, User};

/// All `[[user]]` tables.
pub fn read(root: &Section<'_>) -> Vec<User> {
    let mut users: Vec<User> = Vec::new();
    for section in root.sections("user") {
        let name = section.name("name");
        let role = match section.text("role").map(|role| role.parse::<Role>()) {
            None => Some(Role::Viewer),
            Some(Ok(role)) => Some(role),
            Some(Err(expected)) => {
                section.problem("role", "this is no role", expected);
                None
            }
        };
        let hash = match section.text("password_hash").map(|hash| (password::check_hash(&hash), hash)) {
            Some((Ok(()), hash)) => Some(hash),
            Some((Err(error), _)) => {
                section.problem("password_hash", error.to_string(), "entrepot user hash makes one");
                None
            }
            None => {
                section.problem("password_hash", "it is missing", "entrepot user hash makes one");
                None
            }
        };
        if let (Some(name), Some(role), Some(password_hash)) = (name, role, hash) {
            if users.iter().any(|other| other.name.eq_ignore_ascii_case(&name)) {
                section.problem("name", "another user has this name", "give one of them another name");
            }
            users.push(User { name, role, password_hash });
        }
        section.finish();
    }
    users
}
