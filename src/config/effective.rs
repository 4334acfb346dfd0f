//! The configuration as it is in force: the file with the defaults that it leaves out, which are those of the schema, and secrets masked. For people.

use regex_lite::Regex;
use serde_json::Value;
use toml_edit::{DocumentMut, InlineTable, Item, TableLike, value};

use super::Config;
use super::schema::{SCHEMA, resolve};
use crate::model::entity::{Entity, FieldKind};

/// Stands where a hash of a secret stood.
const MASK: &str = "***";
/// A hash of a secret or a password, wherever it stands: a key that is commented out still has its own.
const HASH: &str = r#"sha256:[0-9A-Fa-f]{64}|\$argon2[^\s"']+"#;
/// What depends on more than a default: these are shown as they are written.
const AS_WRITTEN: [&str; 9] = ["transform", "fields", "format", "mapping", "filter", "checks", "nested", "test", "recurrence"];

/// TOML: the file of `config`, which is `written`, completed.
pub fn effective(written: &str, config: &Config) -> String {
    let schema: Value = serde_json::from_str(SCHEMA).expect("the schema is JSON: a test reads it");
    // What could be read as a configuration is TOML.
    let mut document = written.parse::<DocumentMut>().unwrap_or_default();
    for name in ["server", "limits", "queue", "xslt"] {
        document.entry(name).or_insert(toml_edit::table());
    }
    if let Some(server) = document.get_mut("server").and_then(Item::as_table_like_mut) {
        let known = &config.server;
        server.insert("listen", value(known.listen.to_string()));
        server.insert("public_url", value(known.public_url.as_str()));
        server.insert("data_dir", value(known.data_dir.display().to_string()));
        server.insert("workers", value(i64::try_from(known.workers).unwrap_or(i64::MAX)));
    }
    fill(&schema, &schema, document.as_table_mut());
    let written = document.get_mut("entity").and_then(Item::as_array_of_tables_mut);
    for (table, entity) in written.into_iter().flat_map(|tables| tables.iter_mut()).zip(&config.entities) {
        if !table.contains_key("fields") {
            table.insert("fields", value(found_fields(entity)));
            table.insert("key", value(entity.key.iter().map(|index| entity.fields[*index].name.as_str()).collect::<toml_edit::Array>()));
        }
    }
    Regex::new(HASH).expect("the pattern is one: a test uses it").replace_all(&document.to_string(), MASK).into_owned()
}

/// The fields of an entity that leaves them to the table of its database.
fn found_fields(entity: &Entity) -> toml_edit::Array {
    let mut fields = toml_edit::Array::new();
    for field in &entity.fields {
        let mut found = InlineTable::new();
        found.insert("name", field.name.as_str().into());
        found.insert("type", field.kind.name().into());
        match field.kind {
            FieldKind::String { length: Some(length) } => drop(found.insert("length", i64::from(length).into())),
            FieldKind::Decimal { precision, scale } => {
                found.insert("precision", i64::from(precision).into());
                found.insert("scale", i64::from(scale).into());
            }
            _ => {}
        }
        if field.required {
            found.insert("required", true.into());
        }
        fields.push_formatted(toml_edit::Value::InlineTable(found).decorated("\n  ", ""));
    }
    fields
}

fn fill(schema: &Value, described: &Value, table: &mut dyn TableLike) {
    for (key, property) in described["properties"].as_object().into_iter().flatten() {
        if AS_WRITTEN.contains(&key.as_str()) {
            continue;
        }
        match table.get_mut(key) {
            Some(item) if key.ends_with("_hash") => *item = value(MASK),
            Some(item) => {
                let inner = resolve(schema, property);
                match item {
                    _ if !inner["properties"].is_object() => {}
                    Item::ArrayOfTables(tables) => tables.iter_mut().for_each(|table| fill(schema, inner, table)),
                    Item::Value(toml_edit::Value::Array(array)) => {
                        array.iter_mut().filter_map(toml_edit::Value::as_inline_table_mut).for_each(|table| fill(schema, inner, table));
                    }
                    item => item.as_table_like_mut().into_iter().for_each(|table| fill(schema, inner, table)),
                }
            }
            None => {
                if let Some(default) = property.get("default").and_then(written) {
                    table.insert(key, default);
                }
            }
        }
    }
}

fn written(default: &Value) -> Option<Item> {
    Some(match default {
        Value::String(text) => value(text.as_str()),
        Value::Bool(truth) => value(*truth),
        Value::Number(number) => value(number.as_i64()?),
        Value::Array(items) if items.is_empty() => value(toml_edit::Array::new()),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::super::parse::parse;
    use super::*;

    #[test]
    fn what_is_in_force_is_complete_masked_and_means_the_same() {
        let hash = crate::auth::secret::hash_text(&crate::auth::secret::hash("x"));
        let text = format!(
            "# ours\n[queue]\nlease = \"5m\" # short\n[[application]]\nid = \"7f4c1b0e-2a57-4d7c-9f0a-5f1b6a0c9b11\"\nname = \"Shop\"\nsecret_hash = \"{hash}\"\n[[entity]]\nname = \"E\"\ntable = \"e\"\nkey = [\"A\"]\nfields = [{{ name = \"A\", type = \"string\" }}]\n"
        );
        let config = parse(&text, Path::new("/base"), None).unwrap().config;
        let shown = effective(&text, &config);
        assert!(!shown.contains(&hash) && shown.contains("secret_hash = \"***\""), "{shown}");
        for line in [
            "lease = \"5m\" # short",
            "retention = \"7d\"",
            "connections = 4096",
            "public_url = \"http://127.0.0.1:8420\"",
            "enabled = true",
            "data_dir = \"/base/data\"",
            "database = \"entities\"",
        ] {
            assert!(shown.contains(line), "{line} is not in\n{shown}");
        }
        // Read again, it is the same configuration.
        let again = parse(&shown.replace("***", &hash), Path::new("/base"), None).unwrap().config;
        assert_eq!(format!("{again:?}"), format!("{config:?}"));
    }

    #[test]
    fn a_hash_that_is_commented_out_is_masked_too() {
        let hash = crate::auth::secret::hash_text(&crate::auth::secret::hash("x"));
        let text = format!(
            "#secret_hash = \"{hash}\"\n[queue] # was {}, kim's\n# password_hash = '$argon2id$v=19$m=1,t=1,p=1$c2FsdHNhbHQ$aGFzaA' # old\n",
            hash.to_uppercase().replace("SHA", "sha")
        );
        let shown = effective(&text, &parse(&text, Path::new("/base"), None).unwrap().config);
        for line in ["#secret_hash = \"***\"\n", "[queue] # was ***, kim's\n", "# password_hash = '***' # old\n"] {
            assert!(shown.contains(line), "{line} is not in\n{shown}");
        }
    }

    #[test]
    fn the_defaults_of_the_schema_are_those_of_the_reader() {
        let config = parse("", Path::new("/base"), None).unwrap().config;
        let again = parse(&effective("", &config), Path::new("/base"), None).unwrap().config;
        assert_eq!(format!("{again:?}"), format!("{config:?}"));
    }
}
