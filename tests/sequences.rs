//! Number sequences: what they give is held to the field, never twice the same, and goes on whatever the entity is called.

use serde_json::Value;

use crate::appliance::{Appliance, IMPORT};

/// An entity whose field NO is numbered where the document has no number.
fn configuration(no: &str, pattern: &str) -> String {
    format!(
        r#"
[[entity]]
name = "Orders"
table = "orders"
key = ["ID"]
fields = [{{ name = "ID", type = "string" }}, {{ name = "NO", {no} }}]
[[project]]
name = "in"
direction = "import"
[[project.entity]]
entity = "Orders"
mapping = [
  {{ source = "ID", field = "ID" }},
  {{ source = "NO", field = "NO" }},
  {{ number_sequence = "{pattern}", field = "NO", when = "blank" }},
]
[[job]]
name = "in"
activity_id = "6D31E09F-0249-459F-94F0-AAD9C2C47B64"
project = "in"
applications = ["Tests"]
"#
    )
}

fn load(app: &mut Appliance, entity: &str, document: &str) -> Vec<Value> {
    let id = app.enqueue_to(IMPORT, entity, document.as_bytes(), None);
    app.settle();
    assert_ne!(app.message(&id)["state"], "failed", "{}", app.message(&id));
    app.findings(&id)
}

fn numbers(app: &Appliance) -> Vec<String> {
    let connection = rusqlite::Connection::open(app.dir.path().join("data/entities.db")).unwrap();
    let mut statement = connection.prepare("SELECT ID || ' ' || quote(NO) FROM orders ORDER BY ID").unwrap();
    statement.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect()
}

#[test]
fn a_number_that_its_field_does_not_take_is_a_finding_and_is_not_taken() {
    let mut app = Appliance::start(&configuration("type = \"string\", length = 3", "N-#"));
    let rows: String = (10..21).map(|id| format!("{id},\n")).collect();
    let findings = load(&mut app, "Orders", &format!("ID,NO\n{rows}"));
    assert_eq!(findings.len(), 2, "{findings:?}");
    let of = |finding: &Value, name: &str| finding[name].as_str().unwrap().to_owned();
    assert_eq!(
        (findings[0]["row"].as_u64(), of(&findings[0], "field"), of(&findings[0], "rule")),
        (Some(10), "NO".into(), "length".into())
    );
    assert!(of(&findings[1], "message").contains("the next number, N-10: 4 characters, at most 3 fit"), "{findings:?}");
    assert_eq!(numbers(&app).last().unwrap(), "18 'N-9'");
    // A whole number is stored as one, and goes on where it stood.
    let mut app = Appliance::start(&configuration("type = \"integer\", maximum = 2", "###"));
    let findings = load(&mut app, "Orders", "ID,NO\na,\nb,7\nc,\nd,\n");
    let rows: Vec<_> = findings.iter().map(|finding| (finding["row"].as_u64().unwrap(), of(finding, "rule"))).collect();
    assert_eq!(rows, [(2, "range".into()), (4, "range".into())], "{findings:?}");
    assert_eq!(numbers(&app), ["a 1", "c 2"]);
}

#[test]
fn in_a_unique_field_no_row_of_a_document_is_given_a_number_that_another_has() {
    let mut app = Appliance::start(&configuration("type = \"string\", unique = true", "N-#"));
    let findings = load(&mut app, "Orders", "ID,NO\na,N-1\nb,\nc,N-2\nd,\n");
    assert_eq!(findings.len(), 1, "{findings:?}");
    assert_eq!((findings[0]["row"].as_u64(), findings[0]["rule"].as_str()), (Some(3), Some("unique")), "{findings:?}");
    assert_eq!(numbers(&app), ["a 'N-1'", "b 'N-2'", "d 'N-3'"]);
}

#[test]
fn numbers_go_on_when_the_entity_is_called_otherwise() {
    let configuration = configuration("type = \"integer\"", "#");
    let mut app = Appliance::start(&configuration);
    load(&mut app, "Orders", "ID,NO\na,\nb,\n");
    app.rewrite_configuration(&configuration.replace("\"Orders\"", "\"Sales orders\""));
    app.operator("POST", "configuration/reload").expect(200);
    assert!(load(&mut app, "Sales%20orders", "ID,NO\nc,\n").is_empty());
    assert_eq!(numbers(&app), ["a 1", "b 2", "c 3"]);
}
