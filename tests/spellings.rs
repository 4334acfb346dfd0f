//! Keys of somebody else's tables in another class or spelling than ours: they are the keys that they stand for, and no row is doubled.

use rusqlite::Connection;

use crate::appliance::{Appliance, IMPORT};
use crate::databases::{articles, exported, exported_documents, start_with};

/// An entity with these fields, whose first is the key, in and out.
fn configuration(fields: &str, more: &str) -> String {
    articles(&format!("key = [\"K\"]\nfields = [{fields}]"), more)
}

/// Loads a document; how many rows were inserted, updated, unchanged and refused.
fn load(app: &mut Appliance, document: &str) -> [u64; 4] {
    let id = app.enqueue_to(IMPORT, "Articles", document.as_bytes(), None);
    app.settle();
    let message = app.message(&id);
    assert!(!message["rows"].is_null() && message["state"] != "failed", "{message}");
    ["inserted", "updated", "unchanged", "refused"].map(|name| message["rows"][name].as_u64().unwrap())
}

fn all(connection: &Connection) -> String {
    let sql = "SELECT group_concat(quote(K) || ' ' || V) FROM (SELECT K, V FROM article ORDER BY V)";
    connection.query_row(sql, [], |row| row.get(0)).unwrap()
}

const ANY_LETTER: &str = ", { name = \"V\", type = \"string\" }";

#[test]
fn a_row_whose_key_is_spelled_otherwise_is_changed_and_not_doubled() {
    // The type of the field, the column, a key as the table has it, as documents have it, and as the table has another, new one.
    for (kind, column, stored, sent, new, kept) in [
        ("type = \"integer\"", "TEXT", "'007'", "7", "8", "'8'"),
        ("type = \"integer\"", "", "'7'", "7", "8", "8"),
        ("type = \"string\"", "", "7", "7", "8", "'8'"),
        ("type = \"string\"", "TEXT", "x'3741'", "7A", "8", "'8'"),
        ("type = \"decimal\", scale = 2", "TEXT", "'1.5'", "1.50", "8", "'8.00'"),
        ("type = \"decimal\", scale = 2", "", "1.5", "1.5", "8", "'8.00'"),
        ("type = \"enum\", values = { Open = 2, Done = 3 }", "INT", "2", "Open", "Done", "3"),
        ("type = \"enum\", values = { Open = 2, Done = 3 }", "TEXT", "'OPEN'", "2", "Done", "'Done'"),
        ("type = \"boolean\"", "BOOLEAN", "'Yes'", "true", "No", "0"),
        ("type = \"date\"", "TEXT", "'2026-01-31 00:00:00'", "2026-01-31", "2026-02-01", "'2026-02-01'"),
        ("type = \"datetime\"", "TEXT", "'2026-01-31 10:00:00'", "2026-01-31T10:00:00Z", "2026-02-01", "'2026-02-01T00:00:00Z'"),
        (
            "type = \"guid\"",
            "TEXT",
            "'6D31E09F-0249-459F-94F0-AAD9C2C47B64'",
            "6d31e09f-0249-459f-94f0-aad9c2c47b64",
            "{C03BB937-09ED-46DE-86EE-4520D7D7E373}",
            "'c03bb937-09ed-46de-86ee-4520d7d7e373'",
        ),
    ] {
        let fields = format!("{{ name = \"K\", {kind} }}{ANY_LETTER}");
        let table = format!("CREATE TABLE article (K {column} PRIMARY KEY, V TEXT); INSERT INTO article VALUES ({stored}, 'a')");
        let (mut app, connection) = start_with(&configuration(&fields, ""), &table);
        assert_eq!(load(&mut app, &format!("K,V\n{sent},a\n{new},c\n{sent},b\n")), [1, 1, 1, 0], "{kind} {column} {stored}");
        assert_eq!(all(&connection), format!("{stored} b,{kept} c").replace("x'3741'", "X'3741'"), "{kind} {column}");
        // What is exported comes back as what it was.
        let document = exported(&mut app).unwrap();
        assert_eq!(load(&mut app, &document), [0, 0, 2, 0], "{kind} {column}: {document}");
    }
}

#[test]
fn keys_of_several_fields_are_found_in_tables_of_every_kind() {
    let fields = format!(
        "{{ name = \"K\", type = \"integer\" }}, {{ name = \"STATE\", type = \"enum\", values = {{ Open = 2, Done = 3 }} }}{ANY_LETTER}"
    );
    let configuration = configuration(&fields, "").replace("key = [\"K\"]", "key = [\"STATE\", \"K\"]");
    let trigger = "CREATE TRIGGER t AFTER UPDATE ON article BEGIN UPDATE counted SET n = n + 1; END";
    for (end, trigger) in [("", ""), ("WITHOUT ROWID", ""), ("", trigger), ("STRICT", "")] {
        let tables = format!(
            "CREATE TABLE counted (n INT); INSERT INTO counted VALUES (0);
             CREATE TABLE article (K TEXT NOT NULL, STATE INT NOT NULL, V TEXT, PRIMARY KEY (K, STATE)) {end}; {trigger};
             INSERT INTO article VALUES ('007', 2, 'a'), ('7', 3, 'b'), ('x', 2, 'c'), ('08', 3, 'd')"
        );
        let (mut app, connection) = start_with(&configuration, &tables);
        assert_eq!(load(&mut app, "K,STATE,V\n7,Open,A\n7,Done,b\n8,Done,D\n8,Open,E\n8,2,F\n"), [1, 3, 1, 0], "{end} {trigger}");
        let all: String = connection
            .query_row("SELECT group_concat(K || STATE || V) FROM (SELECT * FROM article ORDER BY K, STATE)", [], |row| row.get(0))
            .unwrap();
        assert_eq!(all, "0072A,083D,73b,82F,x2c", "{end} {trigger}");
    }
}

#[test]
fn what_a_row_keeps_and_refers_to_is_found_by_its_key_in_any_spelling() {
    let more = r#"mapping = [
  { source = "K", field = "K" },
  { source = "V", field = "V", ignore_blank = true },
  { source = "P", field = "P" },
]"#;
    for (kind, column, stored, one, two) in [
        ("type = \"enum\", values = { Open = 2, Done = 3 }", "INT", "2", "Open", "Done"),
        ("type = \"enum\", values = { Open = 2, Done = 3 }", "TEXT", "'2'", "Open", "Done"),
        ("type = \"integer\"", "TEXT", "'007'", "7", "8"),
    ] {
        let fields = format!(
            "{{ name = \"K\", {kind} }}, {{ name = \"V\", type = \"string\", required = true }}, {{ name = \"P\", {kind}, references = \"Articles\" }}"
        );
        let tables =
            format!("CREATE TABLE article (K {column} PRIMARY KEY, V TEXT, P {column}); INSERT INTO article VALUES ({stored}, 'a', NULL)");
        let (mut app, _connection) = start_with(&configuration(&fields, more), &tables);
        let document = format!("K,V,P\n{one},,\n{two},c,{one}\n{two},,{one}\n{one},b,{two}\n{two},,9\n");
        let document = document.replace(",9\n", if kind.contains("enum") { ",Nothing\n" } else { ",9\n" });
        assert_eq!(load(&mut app, &document), [1, 1, 2, 1], "{kind} {column}");
    }
}

#[test]
fn keys_in_other_spellings_are_held_to_the_way_of_writing() {
    let fields = format!("{{ name = \"K\", type = \"integer\" }}{ANY_LETTER}");
    let table = "CREATE TABLE article (K TEXT PRIMARY KEY, V TEXT); INSERT INTO article VALUES ('007', 'a')";
    for (more, counts, stored) in [
        ("write = \"insert\"", [1, 0, 0, 1], "'007' a,'8' b"),
        ("write = \"update\"", [0, 1, 0, 1], "'007' b"),
        // Once the table is emptied nothing is spelled otherwise.
        ("truncate = true", [2, 0, 0, 0], "'7' b,'8' b"),
    ] {
        let (mut app, connection) = start_with(&configuration(&fields, more), table);
        assert_eq!(load(&mut app, "K,V\n7,b\n8,b\n"), counts, "{more}");
        assert_eq!(all(&connection), stored, "{more}");
    }
}

#[test]
fn a_key_that_several_rows_have_in_different_spellings_is_a_finding() {
    let fields = format!("{{ name = \"K\", type = \"integer\" }}{ANY_LETTER}");
    let table = "CREATE TABLE article (K TEXT PRIMARY KEY, V TEXT); INSERT INTO article VALUES ('007', 'a'), ('7', 'b'), ('9', 'c')";
    let (mut app, connection) = start_with(&configuration(&fields, ""), table);
    let id = app.enqueue_to(IMPORT, "Articles", b"K,V\n9,d\n7,e\n", None);
    app.settle();
    let finding = &app.findings(&id)[0];
    assert_eq!(
        (finding["row"].as_u64(), finding["column"].as_str(), finding["value"].as_str()),
        (Some(2), Some("K"), Some("7")),
        "{finding}"
    );
    let message = finding["message"].as_str().unwrap();
    assert!(message.contains("several rows of the table have this key, and spell it differently, one as '007'"), "{finding}");
    assert_eq!(all(&connection), "'007' a,'7' b,'9' d");
}

#[test]
fn what_no_two_rows_may_have_is_found_in_other_spellings_when_refused_rows_come_back() {
    // The key, or a unique field: the row that has it is loaded from the document that the second one was refused in.
    for (fields, more, tables, document, kept) in [
        (
            "{ name = \"K\", type = \"integer\" }, { name = \"V\", type = \"string\" }",
            "duplicates = \"refuse\"",
            "CREATE TABLE article (K TEXT PRIMARY KEY, V TEXT); INSERT INTO article VALUES ('005', 'old')",
            "K,V\n5,first\n5,second\n",
            "'005' first",
        ),
        (
            "{ name = \"K\", type = \"string\" }, { name = \"V\", type = \"enum\", values = { Open = 2, Done = 3 }, unique = true }",
            "",
            "CREATE TABLE article (K TEXT PRIMARY KEY, V INT)",
            "K,V\na,Open\nb,Open\n",
            "'a' 2",
        ),
        (
            "{ name = \"K\", type = \"integer\" }, { name = \"V\", type = \"string\", unique = true }",
            "",
            "CREATE TABLE article (K TEXT PRIMARY KEY, V TEXT); INSERT INTO article VALUES ('005', 'v')",
            "K,V\n6,v\n5,w\n5,v\n",
            "'6' v,'005' w",
        ),
    ] {
        let (mut app, connection) = start_with(&configuration(fields, more), tables);
        let mut document = document.as_bytes().to_vec();
        for round in 0..2 {
            let id = app.enqueue_to(IMPORT, "Articles", &document, None);
            app.settle();
            let (message, findings) = (app.message(&id), app.findings(&id));
            assert_eq!(
                (message["rows"]["refused"].as_u64(), &findings[0]["rule"]),
                (Some(1), &"unique".into()),
                "{round}: {message} {findings:?}"
            );
            document = app.operator("GET", &format!("messages/{}/refused", message["id"].as_str().unwrap())).body;
        }
        assert_eq!(all(&connection), kept, "{more}");
    }
}

#[test]
fn filters_compare_values_in_whatever_class_they_are_stored() {
    let fields = "{ name = \"K\", type = \"string\" }, { name = \"S\", type = \"enum\", values = { Open = 0, Done = 1, Late = 2 } }, { name = \"V\", type = \"string\" }";
    let tables = "CREATE TABLE article (K TEXT PRIMARY KEY, S REAL, V); INSERT INTO article VALUES ('a', 1, 7), ('b', 0, '7'), ('c', 2, 12), ('d', NULL, 'x')";
    for (filter, keys) in [
        ("field = \"S\", equals = \"Done\"", "a"),
        ("field = \"S\", not = \"Done\"", "b c d"),
        ("field = \"S\", at_least = \"Done\"", "a c"),
        ("field = \"V\", equals = \"7\"", "a b"),
        ("field = \"V\", at_least = \"7\"", "a b d"),
        ("field = \"V\", at_most = \"7\"", "a b c"),
    ] {
        let part = "direction = \"export\"\n[[project.entity]]\nentity = \"Articles\"\n";
        let filtered = configuration(fields, "").replace(part, &format!("{part}fields = [\"K\"]\nfilter = [{{ {filter} }}]\n"));
        let (mut app, _connection) = start_with(&filtered, tables);
        let document = exported(&mut app).unwrap();
        assert_eq!(document.lines().skip(1).collect::<Vec<_>>().join(" "), keys, "{filter}");
    }
}

#[test]
fn what_a_column_calls_alike_stands_twice_in_a_document() {
    let fields = "{ name = \"K\", type = \"string\" }, { name = \"V\", type = \"string\", unique = true }";
    let table = "CREATE TABLE article (K TEXT COLLATE NOCASE PRIMARY KEY, V TEXT COLLATE RTRIM)";
    let (mut app, connection) = start_with(&configuration(fields, "duplicates = \"refuse\""), table);
    assert_eq!(load(&mut app, "K,V\nabc,a\nABC,b\nabd,\"a \"\nabe,A\n"), [2, 0, 0, 2]);
    assert_eq!(all(&connection), "'abe' A,'abc' a");
}

#[test]
fn look_ups_references_and_filters_find_values_in_other_spellings() {
    let fields = r#"{ name = "K", type = "string" }, { name = "V", type = "string", references = "Kinds" }, { name = "STATE", type = "enum", values = { Open = 2, Done = 3 } }, { name = "NOTE", type = "string" }"#;
    let more = r#"mapping = [
  { source = "K", field = "K" },
  { source = "V", field = "V" },
  { source = "STATE", field = "STATE" },
  { source = "V", field = "NOTE", look_up = { entity = "Kinds", find = "CODE", take = "NAME" } },
]
[[entity]]
name = "Kinds"
database = "shop"
table = "kind"
key = ["CODE"]
fields = [{ name = "CODE", type = "string" }, { name = "NAME", type = "string" }]
"#;
    let configuration = configuration(fields, more).replace(
        "direction = \"export\"\n[[project.entity]]\nentity = \"Articles\"\n",
        "direction = \"export\"\n[[project.entity]]\nentity = \"Articles\"\nfields = [\"K\", \"NOTE\"]\nfilter = [{ field = \"K\", equals = \"7\" }, { field = \"STATE\", equals = \"Open\" }]\n",
    );
    let tables = "CREATE TABLE kind (CODE PRIMARY KEY, NAME TEXT); INSERT INTO kind VALUES (7, 'seven');
        CREATE TABLE article (K, V, STATE, NOTE TEXT, UNIQUE (K)); INSERT INTO article VALUES (7, '7', '2', 'old'), (8, '7', 3, 'other')";
    let (mut app, connection) = start_with(&configuration, tables);
    assert_eq!(load(&mut app, "K,V,STATE\nA,7,Open\nB,6,Open\n"), [1, 0, 0, 1]);
    let note: String = connection.query_row("SELECT NOTE FROM article WHERE K = 'A'", [], |row| row.get(0)).unwrap();
    assert_eq!(note, "seven");
    assert_eq!(exported(&mut app).unwrap(), "K,NOTE\r\n7,old\r\n");
}

#[test]
fn what_a_column_calls_alike_is_a_change_all_the_same() {
    let fields = format!("{{ name = \"K\", type = \"string\" }}{ANY_LETTER}");
    let trigger = "CREATE TRIGGER other AFTER UPDATE ON article BEGIN SELECT 1; END;";
    for (more, table) in [
        ("", ""),
        ("write = \"update\"", ""),
        ("", trigger),
        ("mapping = [{ source = \"K\", field = \"K\" }, { source = \"V\", field = \"V\", ignore_blank = true }]", trigger),
    ] {
        for (collation, stored, sent) in [("NOCASE", "smith", "SMITH"), ("RTRIM", "smith  ", "smith")] {
            let tables = format!(
                "CREATE TABLE article (K TEXT COLLATE NOCASE PRIMARY KEY, V TEXT COLLATE {collation}); INSERT INTO article VALUES ('abc', '{stored}'); {table}"
            );
            let (mut app, connection) = start_with(&configuration(&fields, more), &tables);
            // The row of a key is its row in any spelling that the column calls alike, and keeps its own.
            assert_eq!(load(&mut app, &format!("K,V\nABC,{sent}\nabc,{sent}\n")), [0, 1, 1, 0], "{more} {collation} {table}");
            assert_eq!(all(&connection), format!("'abc' {sent}"), "{more} {collation} {table}");
        }
    }
}

#[test]
fn a_key_that_is_spelled_anew_is_exported_once_and_its_old_spelling_is_told_as_deleted() {
    let fields = format!("{{ name = \"K\", type = \"string\" }}{ANY_LETTER}");
    for (collation, filter) in [("NOCASE", ""), ("NOCASE", "filter = [{ field = \"K\", in = [\"Abc\", \"Ghi\"] }]"), ("BINARY", "")] {
        let incremental = configuration(&fields, "").replace(
            "direction = \"export\"\n[[project.entity]]\nentity = \"Articles\"\n",
            &format!(
                "direction = \"export\"\n[[project.entity]]\nentity = \"Articles\"\nrefresh = \"incremental\"\ndeletes = \"document\"\n{filter}\n"
            ),
        );
        let tables = format!(
            "CREATE TABLE article (K TEXT COLLATE {collation} PRIMARY KEY, V TEXT); INSERT INTO article VALUES ('abc', 'a'), ('ghi', 'g')"
        );
        let (mut app, connection) = start_with(&incremental, &tables);
        assert_eq!(exported(&mut app).unwrap(), "K,V\r\nabc,a\r\nghi,g\r\n");
        let changes =
            "UPDATE article SET V = 'b' WHERE K = 'abc'; UPDATE article SET K = 'ABC' WHERE K = 'abc'; DELETE FROM article WHERE K = 'ghi'";
        connection.execute_batch(changes).unwrap();
        let documents = exported_documents(&mut app);
        assert_eq!(documents["Articles.csv"], "K,V\r\nABC,b\r\n", "{collation} {filter}");
        assert_eq!(documents["deleted/Articles.csv"], "K\r\nabc\r\nghi\r\n", "{collation} {filter}");
        // Spelled as before again, nothing of it is gone.
        connection.execute_batch("UPDATE article SET K = 'abc'; UPDATE article SET K = 'ABC'").unwrap();
        let documents = exported_documents(&mut app);
        assert_eq!((documents["Articles.csv"].as_str(), documents["deleted/Articles.csv"].as_str()), ("K,V\r\nABC,b\r\n", "K\r\nabc\r\n"));
    }
}

#[test]
fn the_index_of_a_key_says_which_spellings_are_one() {
    let fields =
        "{ name = \"K\", type = \"string\" }, { name = \"V\", type = \"string\" }, { name = \"N\", type = \"string\", required = true }";
    let keep = "mapping = [{ source = \"K\", field = \"K\" }, { source = \"V\", field = \"V\" }, { source = \"N\", field = \"N\", ignore_blank = true }]";
    for (column, index, counts) in [("", "COLLATE NOCASE", [0, 1, 0, 0]), ("COLLATE NOCASE", "COLLATE BINARY", [0, 0, 0, 1])] {
        for more in ["", "write = \"update\"", "duplicates = \"refuse\""] {
            let tables = format!(
                "CREATE TABLE article (K TEXT {column}, V TEXT, N TEXT); CREATE UNIQUE INDEX one ON article (K {index}); INSERT INTO article VALUES ('abc', 'a', 'n')"
            );
            let (mut app, connection) = start_with(&configuration(fields, &format!("{keep}\n{more}")), &tables);
            assert_eq!(load(&mut app, "K,V,N\nABC,b,\n"), counts, "{column} {index} {more}");
            let one = index.contains("NOCASE");
            assert_eq!(all(&connection), if one { "'abc' b" } else { "'abc' a" }, "{column} {index} {more}");
            // Both in one document are two rows, or the same one twice.
            let twice = if more.contains("refuse") { [0, 0, 1, 1] } else { [0, 0, 2, 0] };
            if one {
                assert_eq!(load(&mut app, "K,V,N\nabc,b,\nABC,b,\n"), twice, "{column} {index} {more}");
            }
        }
    }
}
