//! `entrepot app add / list / rotate / disable / enable`: edits the file, comments and order kept; the running appliance notices.

use std::path::Path;

use toml_edit::{ArrayOfTables, DocumentMut, Item, Table, value};
use uuid::Uuid;

use super::{ConfigFile, Failure};
use crate::auth::secret;
use crate::config::parse;

#[derive(clap::Subcommand)]
pub enum App {
    /// Make an application; its secret is shown once.
    #[command(after_help = "Example: entrepot app add \"Web shop\"")]
    Add {
        /// For people.
        name: String,
        #[command(flatten)]
        config: ConfigFile,
    },
    /// List applications.
    #[command(after_help = "Example: entrepot app list")]
    List {
        #[command(flatten)]
        config: ConfigFile,
    },
    /// Make a new secret; the old one stops working at once.
    #[command(after_help = "Example: entrepot app rotate \"Web shop\"")]
    Rotate {
        /// Its name or client id.
        application: String,
        #[command(flatten)]
        config: ConfigFile,
    },
    /// Refuse an application: no new tokens, and those in use stop working.
    #[command(after_help = "Example: entrepot app disable \"Web shop\"")]
    Disable {
        /// Its name or client id.
        application: String,
        #[command(flatten)]
        config: ConfigFile,
    },
    /// Accept a disabled application again.
    #[command(after_help = "Example: entrepot app enable \"Web shop\"")]
    Enable {
        /// Its name or client id.
        application: String,
        #[command(flatten)]
        config: ConfigFile,
    },
}

impl App {
    pub fn run(self) -> Result<(), Failure> {
        match self {
            App::List { config } => {
                for application in config.load()?.config.applications {
                    println!("{}  {}{}", application.id, application.name, if application.enabled { "" } else { "  (disabled)" });
                }
                Ok(())
            }
            App::Add { name, config } => {
                let (id, given) = (Uuid::new_v4(), new_secret()?);
                edit(&config, |document| {
                    let list = document.entry("application").or_insert(Item::ArrayOfTables(ArrayOfTables::new()));
                    let list = list
                        .as_array_of_tables_mut()
                        .ok_or_else(|| Failure::no("the applications are not written as [[application]]\n  hint: add this one by hand"))?;
                    let mut table = Table::new();
                    table["id"] = value(id.to_string());
                    table["name"] = value(&name);
                    table["secret_hash"] = value(secret::hash_text(&secret::hash(&given)));
                    list.push(table);
                    Ok(())
                })?;
                println!(
                    "application   {id}\nsecret        {given}   (shown once, kept as a hash)\nnext: name it in the applications of a job"
                );
                Ok(())
            }
            App::Rotate { application, config } => {
                let given = new_secret()?;
                edit(&config, |document| {
                    find(document, &application)?["secret_hash"] = value(secret::hash_text(&secret::hash(&given)));
                    Ok(())
                })?;
                println!("secret        {given}   (shown once, kept as a hash)");
                Ok(())
            }
            App::Disable { application, config } => enable(&config, &application, false),
            App::Enable { application, config } => enable(&config, &application, true),
        }
    }
}

fn new_secret() -> Result<String, Failure> {
    secret::generate().map_err(|error| Failure::no(error.to_string()))
}

fn enable(config: &ConfigFile, application: &str, enabled: bool) -> Result<(), Failure> {
    edit(config, |document| {
        find(document, application)?["enabled"] = value(enabled);
        Ok(())
    })
}

fn find<'a>(document: &'a mut DocumentMut, application: &str) -> Result<&'a mut Table, Failure> {
    let list = document.get_mut("application").and_then(Item::as_array_of_tables_mut);
    let is = |table: &Table, key: &str| table.get(key).and_then(Item::as_str).is_some_and(|text| text.eq_ignore_ascii_case(application));
    let found = list.and_then(|list| list.iter_mut().find(|table| is(table, "name") || is(table, "id")));
    found.ok_or_else(|| Failure::no(format!("there is no application \"{application}\"\n  hint: entrepot app list shows them")))
}

/// Changes the file: the result must check, whether what was there did or not, and replaces it in one step.
fn edit(config: &ConfigFile, change: impl FnOnce(&mut DocumentMut) -> Result<(), Failure>) -> Result<(), Failure> {
    let file = config.find_some()?;
    let failed = |error: &dyn std::fmt::Display| Failure::no(format!("cannot change {}: {error}", file.display()));
    let text = std::fs::read_to_string(&file).map_err(|error| failed(&error))?;
    let mut document: DocumentMut = text.parse().map_err(|error: toml_edit::TomlError| failed(&error))?;
    change(&mut document)?;
    let changed = document.to_string();
    parse::parse(&changed, file.parent().unwrap_or(Path::new(".")), Some(file.clone())).map_err(|problems| failed(&problems))?;
    crate::files::replace(&file, changed.as_bytes()).map_err(|error| failed(&error))
}
