//! `entrepot user`: people who sign in to the pages.

use serde_json::Value;

use super::Failure;
use super::operate::{Common, Operator, escape, text};
use crate::auth::password;

#[derive(clap::Subcommand)]
pub enum UserVerb {
    /// Make a sign-in link: whoever opens it chooses a name and a password, and is admin. It works once, for a day.
    #[command(after_help = "Example: entrepot user link")]
    Link(Common),
    /// List who may sign in.
    #[command(after_help = "Example: entrepot user list")]
    List(Common),
    /// Remove a user that a sign-in link made; sessions end.
    #[command(after_help = "Example: entrepot user remove kim")]
    Remove {
        /// The user's name.
        name: String,
        #[command(flatten)]
        common: Common,
    },
    /// Read a password from standard input, one line, and print the password_hash for a [[user]] of the configuration.
    #[command(after_help = "Example: entrepot user hash < password.txt")]
    Hash,
}

impl UserVerb {
    pub fn run(self) -> Result<(), Failure> {
        match self {
            UserVerb::Link(common) => {
                let answer = Operator::connect(&common)?.ask("POST", "sign-in-link")?;
                if common.json {
                    println!("{answer}");
                } else {
                    println!("{}\n  works once, for a day; an earlier link no longer works", text(&answer["url"]));
                }
            }
            UserVerb::List(common) => print(&common, &Operator::connect(&common)?.ask("GET", "users")?),
            UserVerb::Remove { name, common } => {
                print(&common, &Operator::connect(&common)?.ask("POST", &format!("users/{}/remove", escape(&name)))?);
            }
            UserVerb::Hash => {
                let mut line = String::new();
                std::io::stdin()
                    .read_line(&mut line)
                    .map_err(|error| Failure::no(format!("cannot read the password from standard input: {error}")))?;
                println!("{}", password::hash(line.trim_end_matches(['\r', '\n'])).map_err(|error| Failure::no(error.to_string()))?);
            }
        }
        Ok(())
    }
}

fn print(common: &Common, answer: &Value) {
    if common.json {
        return println!("{answer}");
    }
    for user in answer["users"].as_array().into_iter().flatten() {
        println!("{:<24} {:<10} {}", text(&user["name"]), text(&user["role"]), text(&user["kept_in"]));
    }
}
