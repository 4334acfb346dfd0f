//! What tables of somebody else make of rows: types, rules and triggers have the last word, and none of it is silent.

use crate::appliance::IMPORT;
use crate::databases::{articles, check, exported, start_with};

#[test]
fn a_text_that_a_column_would_change_to_another_number_is_refused() {
    let (mut app, connection) = start_with(&articles("", ""), "CREATE TABLE article (K STRING PRIMARY KEY, ZIP STRING, D DATE, N REAL)");
    let said = check(&app, &[]);
    assert_eq!(said.matches("is declared as STRING, to SQLite a number: of the text 0012 it keeps 12").count(), 1, "{said}");
    let document = "K,ZIP,D,N\n12,10115,2026-01-31,1\n0012,A1,,\n13,01067,,\n14,1e3,,\nA15,A-1,,\n";
    let id = app.enqueue_to(IMPORT, "Articles", document.as_bytes(), None);
    app.settle();
    let findings = app.findings(&id);
    let told: Vec<_> = findings
        .iter()
        .map(|finding| (finding["row"].as_u64().unwrap(), finding["column"].as_str().unwrap(), finding["value"].as_str().unwrap()))
        .collect();
    assert_eq!(told, [(2, "K", "0012"), (3, "ZIP", "01067"), (4, "ZIP", "1e3")], "{findings:?}");
    assert!(
        findings[1]["message"].as_str().unwrap().contains("article.ZIP is a number to SQLite, and keeps 1067 of this value"),
        "{findings:?}"
    );
    assert_eq!(exported(&mut app).unwrap(), "K,ZIP,D,N\r\n12,10115,2026-01-31,1.000000\r\nA15,A-1,,\r\n");
    drop(connection);
}

#[test]
fn a_whole_number_that_a_double_would_round_is_refused() {
    let configuration = articles("key = [\"K\"]\nfields = [{ name = \"K\", type = \"integer\" }, { name = \"V\", type = \"string\" }]", "");
    let (mut app, connection) = start_with(&configuration, "CREATE TABLE article (K REAL PRIMARY KEY, V TEXT)");
    let id = app.enqueue_to(IMPORT, "Articles", b"K,V\n9007199254740992,a\n9007199254740993,b\n", None);
    app.settle();
    assert_eq!((app.findings(&id)[0]["row"].as_u64(), app.findings(&id).len()), (Some(2), 1), "{:?}", app.findings(&id));
    let kept: String = connection.query_row("SELECT group_concat(V) FROM article", [], |row| row.get(0)).unwrap();
    assert_eq!(kept, "a");
}

#[test]
fn what_dangled_before_a_load_refuses_no_document_that_does_not_touch_it() {
    for when in ["DEFERRABLE INITIALLY DEFERRED", "NOT DEFERRABLE"] {
        let tables = format!(
            "CREATE TABLE owner (id TEXT PRIMARY KEY); CREATE TABLE article (K TEXT PRIMARY KEY, V TEXT, O TEXT REFERENCES owner (id) {when});
             PRAGMA foreign_keys = OFF; INSERT INTO article VALUES ('A', 'a', 'x')"
        );
        let (mut app, connection) = start_with(&articles("", ""), &tables);
        for (document, state) in [
            ("K,V\nA,b\nB,b\n", "processed"),
            ("K,V,O\nA,b,x\nC,c,\n", "processed"),
            // Here the document says itself what is not there.
            ("K,V,O\nA,c,x\n", "refused"),
            ("K,V,O\nD,d,x\n", "refused"),
        ] {
            let id = app.enqueue_to(IMPORT, "Articles", document.as_bytes(), None);
            app.settle();
            assert_eq!(app.message(&id)["state"], state, "{when} {document}: {} {:?}", app.message(&id), app.findings(&id));
        }
        let kept: String = connection.query_row("SELECT group_concat(K || V) FROM article", [], |row| row.get(0)).unwrap();
        assert_eq!(kept, "Ab,Bb,Cc", "{when}");
    }
}

#[test]
fn a_column_that_the_document_lacks_is_not_written() {
    for (more, new) in [("", "processed"), ("write = \"update\"", "refused")] {
        let (mut app, connection) = start_with(
            &articles("", more),
            "CREATE TABLE article (K TEXT PRIMARY KEY, V TEXT, W TEXT DEFAULT 'w', X TEXT); INSERT INTO article VALUES ('A', 'a', NULL, 'x');
             CREATE TRIGGER fixed BEFORE UPDATE OF W, X ON article BEGIN SELECT RAISE(ABORT, 'fixed'); END",
        );
        for (document, state) in [("K,V\nA,b\n", "processed"), ("K,V,X\nA,c,x\n", "refused"), ("K\nA\n", "processed"), ("K,V\nB,b\n", new)]
        {
            let id = app.enqueue_to(IMPORT, "Articles", document.as_bytes(), None);
            app.settle();
            assert_eq!(app.message(&id)["state"], state, "{more} {document}: {} {:?}", app.message(&id), app.findings(&id));
        }
        let kept: String = connection
            .query_row("SELECT group_concat(K || V || coalesce(W, '-') || coalesce(X, '-')) FROM article", [], |row| row.get(0))
            .unwrap();
        assert_eq!(kept, if more.is_empty() { "Ab-x,Bbw-" } else { "Ab-x" });
    }
}

#[test]
fn a_truncate_that_rows_of_other_tables_forbid_is_told_by_check_and_names_them_when_it_fails() {
    for (refers, warned, state) in [
        ("REFERENCES Article (SKU)", true, "failed"),
        ("REFERENCES article (SKU) ON DELETE RESTRICT DEFERRABLE INITIALLY DEFERRED", true, "failed"),
        ("REFERENCES article (SKU) DEFERRABLE INITIALLY DEFERRED", false, "processed"),
        ("REFERENCES article (SKU) ON DELETE SET NULL", false, "processed"),
    ] {
        let tables = format!(
            "CREATE TABLE article (SKU TEXT PRIMARY KEY, UP TEXT REFERENCES article (SKU)); CREATE TABLE stock (SKU TEXT {refers});
             INSERT INTO article VALUES ('A', NULL), ('B', 'A'); INSERT INTO stock VALUES ('A')"
        );
        let (mut app, connection) = start_with(&articles("", "truncate = true\n"), &tables);
        let said = check(&app, &[]);
        assert_eq!(said.contains("truncate fails as long as rows of stock refer to those of \"article\""), warned, "{said}");
        let id = app.enqueue_to(IMPORT, "Articles", b"SKU,UP\nA,\n", None);
        app.settle();
        let message = app.message(&id);
        assert_eq!(message["state"], state, "{refers} {message}");
        if warned {
            let reason = message["reason"].as_str().unwrap();
            assert!(reason.contains("cannot remove the entity's rows: rows of stock refer to them; leave truncate out, or"), "{reason}");
        }
        let kept: u64 = connection.query_row("SELECT count(*) FROM article", [], |row| row.get(0)).unwrap();
        assert_eq!(kept, if warned { 2 } else { 1 }, "{refers}");
    }
}

#[test]
fn check_warns_of_a_truncate_that_reaches_rows_of_other_tables() {
    let tables = |action: &str| {
        format!("CREATE TABLE article (SKU TEXT PRIMARY KEY); CREATE TABLE stock (SKU TEXT REFERENCES Article (SKU) {action}, N INTEGER)")
    };
    for (action, import, warned) in
        [("ON DELETE CASCADE", "truncate = true\n", true), ("ON DELETE CASCADE", "", false), ("", "truncate = true\n", false)]
    {
        let (app, _) = start_with(&articles("", import), &tables(action));
        let said = check(&app, &[]);
        assert_eq!(said.contains("truncate removes rows of stock, too"), warned, "{said}");
    }
}
