//! The JSON Schema of the configuration file: for editors, printed by `entrepot schema`. It is written by hand and held against the reader: what the
//! reader asks for stands in it, and nothing else.

use serde_json::Value;

/// JSON Schema 2020-12.
pub const SCHEMA: &str = include_str!("../../assets/schema/entrepot.schema.json");

/// What describes a table, behind references, lists and choices.
pub(super) fn resolve<'a>(schema: &'a Value, mut at: &'a Value) -> &'a Value {
    loop {
        let target = at["$ref"].as_str().and_then(|target| schema.pointer(&target[1..]));
        at = match (target, &at["items"], at["anyOf"].as_array()) {
            (Some(target), ..) => target,
            (None, items @ Value::Object(_), _) => items,
            (None, _, Some(choices)) => {
                match choices.iter().map(|choice| resolve(schema, choice)).find(|choice| choice["properties"].is_object()) {
                    Some(table) => table,
                    None => return at,
                }
            }
            _ => return at,
        };
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::super::parse::keys_asked;
    use super::*;

    /// A file in which every table occurs, so that the reader asks for every key.
    const EVERY_TABLE: &str = r#"
[server]
https = { listen = "127.0.0.1:8443", certificate = "c", key = "k" }
[limits]
[queue]
[xslt]
[[user]]
[[application]]
[[issuer]]
[[database]]
[[fault]]
[[entity]]
name = "E"
table = "e"
key = ["A"]
fields = [
  { name = "A", type = "string" },
  { name = "B", type = "decimal" },
  { name = "C", type = "enum", values = { No = 0 } },
]
checks = [{ rule = "A is blank" }]
[[project]]
direction = "import"
[[project.entity]]
entity = "E"
transform = [{ parameters = {} }]
format = { type = "csv" }
mapping = [{ source = "A", field = "A", split = {}, pad = {}, look_up = {}, when = { source = "B" } }]
filter = [{ field = "A", blank = true }]
[[project.entity.nested]]
entity = "E"
record = "r"
mapping = [{ source = "A", field = "A", split = {}, pad = {}, look_up = {}, when = { source = "B" } }]
[[project]]
name = "P"
direction = "import"
[[project.entity]]
entity = "E"
[[project.test]]
findings = [{ row = 1 }]
[[project]]
direction = "import"
[[project.entity]]
entity = "E"
format = { type = "fixed", columns = [{ name = "A", length = 1 }], record_type = { equals = "1" } }
[[project.entity]]
entity = "E"
format = { type = "xml-element" }
[[project.entity]]
entity = "E"
format = { type = "excel" }
[[project.entity]]
entity = "E"
format = { type = "json" }
[[job]]
project = "P"
filter = [{ field = "A", blank = true }]
recurrence = { cron = "* * * * *" }
monitoring_recurrence = { cron = "* * * * *" }
"#;

    /// Every key of the schema, after the place of its table.
    fn keys_described(schema: &Value, table: &Value, place: &str, found: &mut BTreeSet<(String, String)>) {
        for (key, value) in table["properties"].as_object().into_iter().flatten() {
            found.insert((place.to_owned(), key.clone()));
            let inner = if place.is_empty() { key.clone() } else { format!("{place}.{key}") };
            keys_described(schema, resolve(schema, value), &inner, found);
        }
    }

    #[test]
    fn the_schema_knows_what_the_reader_asks_for_and_nothing_else() {
        let schema: Value = serde_json::from_str(SCHEMA).unwrap();
        let mut described = BTreeSet::new();
        keys_described(&schema, &schema, "", &mut described);
        let asked: BTreeSet<_> = keys_asked(EVERY_TABLE).into_iter().map(|(place, key)| (place, key.to_owned())).collect();
        let missing: Vec<_> = asked.difference(&described).collect();
        let stale: Vec<_> = described.difference(&asked).collect();
        assert!(missing.is_empty(), "not in assets/schema/entrepot.schema.json: {missing:?}");
        assert!(stale.is_empty(), "in the schema, but never read (or its table is missing above): {stale:?}");
    }

    #[test]
    fn every_key_says_what_it_is_for_and_every_table_is_closed() {
        fn look(schema: &Value, table: &Value, place: &str) {
            assert_eq!(table["additionalProperties"], false, "{place}");
            for (key, value) in table["properties"].as_object().into_iter().flatten() {
                let table = resolve(schema, value);
                let told = [value, table]
                    .iter()
                    .any(|at| at["description"].is_string() || at["enum"].is_array() || at["$ref"].is_string() || at["type"] == "array");
                assert!(told, "{place}.{key} says nothing");
                if table["properties"].is_object() {
                    look(schema, table, &format!("{place}.{key}"));
                }
            }
        }
        let schema: Value = serde_json::from_str(SCHEMA).unwrap();
        look(&schema, &schema, "");
    }
}
