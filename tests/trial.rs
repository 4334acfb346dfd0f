//! `entrepot try` and `entrepot test`: the engine of the live run, and nothing is stored.

use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use crate::appliance::{Appliance, GROUPS};

const BINARY: &str = env!("CARGO_BIN_EXE_entrepot");

fn run(dir: &Path, arguments: &[&str]) -> (i32, String, String) {
    let Output { status, stdout, stderr } = Command::new(BINARY).args(arguments).current_dir(dir).output().unwrap();
    (status.code().unwrap(), String::from_utf8(stdout).unwrap(), String::from_utf8(stderr).unwrap())
}

fn configuration(more: &str) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    let secret = "sha256:0000000000000000000000000000000000000000000000000000000000000000";
    let application = crate::appliance::APPLICATION;
    let text = format!(
        "[server]\ndata_dir = \"data\"\n[[application]]\nid = \"{application}\"\nname = \"Tests\"\nsecret_hash = \"{secret}\"\n{}",
        GROUPS.replace("{job}", "").replacen(
            "[[project.entity]]\nentity = \"Customer groups\"\n",
            &format!("[[project.entity]]\nentity = \"Customer groups\"\n{more}\n"),
            1
        )
    );
    std::fs::write(dir.path().join("entrepot.toml"), text).unwrap();
    dir
}

#[test]
fn a_document_is_tried_and_nothing_is_stored() {
    let dir = configuration("");
    std::fs::write(dir.path().join("groups.csv"), "ID,NAME,AMOUNT\n10,Retail,1.5\n20,Bad,\"1,5\"\n").unwrap();
    let (code, out, error) = run(dir.path(), &["try", "groups in", "groups.csv"]);
    assert_eq!(code, 1, "{out}{error}");
    assert!(out.contains("2 rows: 1 new, 0 changed, 0 unchanged, 1 refused; nothing was stored"), "{out}");
    assert!(out.contains("ID=\"10\" NAME=\"Retail\" AMOUNT=\"1.50\""), "{out}");
    assert!(
        out.contains("line 3, row 2, column \"AMOUNT\": found \"1,5\", expected a decimal number with \".\" [ENT202, DMF1855]"),
        "{out}"
    );
    assert!(out.contains("hint: set decimal_separator"), "{out}");
    assert!(!dir.path().join("data/entities.db").exists());

    std::fs::write(dir.path().join("good.csv"), "ID,NAME,AMOUNT\n10,Retail,1.5\n").unwrap();
    let (code, out, _) = run(dir.path(), &["try", "Groups in", "good.csv", "--entity", "CustCustomerGroupEntity", "--json"]);
    let answer: serde_json::Value = serde_json::from_str(&out).unwrap();
    assert_eq!(
        (code, answer["counts"]["inserted"].as_u64(), answer["rows"][0]["values"]["ID"].as_str()),
        (0, Some(1), Some("10")),
        "{out}"
    );

    for (arguments, expected) in [
        (&["try", "No such", "good.csv"][..], "there is no project"),
        (&["try", "Groups out", "good.csv"], "is an export"),
        (&["try", "Groups in", "good.csv", "--entity", "x"], "no such entity"),
    ] {
        let (code, _, error) = run(dir.path(), arguments);
        assert!(code == 2 && error.contains(expected), "{error}");
    }
}

#[cfg(unix)]
#[test]
fn what_comes_through_a_pipe_is_tried_whole() {
    let dir = configuration("");
    let rows: String = (0..5000).map(|row| format!("{row},Retail,1.5\n")).collect();
    for rows in ["10,Retail,1.5\n", &rows] {
        let mut command = Command::new(BINARY);
        command.args(["try", "groups in", "/dev/stdin"]).current_dir(dir.path()).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().unwrap();
        child.stdin.take().unwrap().write_all(format!("ID,NAME,AMOUNT\n{rows}").as_bytes()).unwrap();
        let out = String::from_utf8(child.wait_with_output().unwrap().stdout).unwrap();
        let count = rows.lines().count();
        assert!(out.contains(&format!("{count} rows: {count} new, 0 changed, 0 unchanged, 0 refused")), "{out}");
    }
}

#[test]
fn rows_and_findings_of_nested_records_say_whose_they_are() {
    let dir = configuration(
        "format = { type = \"json\" }\n[[project.entity.nested]]\nentity = \"Lines\"\nrecord = \"lines\"\nmapping = [{ parent = \"ID\", field = \"ID\" }, { source = \"no\", field = \"NO\" }]",
    );
    let file = dir.path().join("entrepot.toml");
    let lines = "[[entity]]\nname = \"Lines\"\ntable = \"lines\"\nkey = [\"ID\", \"NO\"]\nfields = [{ name = \"ID\", type = \"string\" }, { name = \"NO\", type = \"integer\" }]\n";
    std::fs::write(&file, std::fs::read_to_string(&file).unwrap() + lines).unwrap();
    let record = |id: u8, no: &str| format!("{{\"ID\":\"{id}\",\"NAME\":\"n\",\"AMOUNT\":1,\"lines\":[{{\"no\":{no}}}]}}");
    let whole = format!("[{},\n{}]", record(1, "7"), record(2, "\"x\""));
    std::fs::write(dir.path().join("groups.json"), &whole).unwrap();
    let (_, out, _) = run(dir.path(), &["try", "Groups in", "groups.json"]);
    assert!(out.contains("\n  ID=\"1\" NAME=\"n\"") && out.contains("\n  Lines: ID=\"1\" NO=\"7\""), "{out}");
    assert!(out.contains("column \"no\" (Lines): found \"x\", expected a whole number"), "{out}");
    // What was read before a document broke off is shown, and nobody is told that it would be loaded.
    std::fs::write(dir.path().join("groups.json"), &whole[..whole.len() - 1]).unwrap();
    let (_, out, _) = run(dir.path(), &["try", "Groups in", "groups.json"]);
    assert!(out.contains("as they would be loaded if the document were whole\n"), "{out}");
}

#[test]
fn a_test_may_say_what_nested_records_must_become() {
    let project = "format = { type = \"json\" }\n[[project.entity.nested]]\nentity = \"Lines\"\nrecord = \"lines\"\nmapping = [{ parent = \"ID\", field = \"ID\" }, { source = \"no\", field = \"NO\" }]\n";
    let test = "[[project.test]]\nname = \"lines\"\ninput = '[{\"ID\":\"1\",\"NAME\":\"n\",\"AMOUNT\":1,\"lines\":[{\"no\":7},{\"no\":8}]}]'\nrows = [{ ID = 1 }]\nnested = { \"lines\" = [{ ID = 1, NO = 7 }, { NO = 8 }] }\n";
    let lines = "[[entity]]\nname = \"Lines\"\ntable = \"lines\"\nkey = [\"ID\", \"NO\"]\nfields = [{ name = \"ID\", type = \"string\" }, { name = \"NO\", type = \"integer\" }]\n";
    let tried = |test: &str| {
        let dir = configuration(&format!("{project}{test}"));
        let file = dir.path().join("entrepot.toml");
        std::fs::write(&file, std::fs::read_to_string(&file).unwrap() + lines).unwrap();
        run(dir.path(), &["test"])
    };
    let (code, out, error) = tried(test);
    assert_eq!((code, out.as_str()), (0, "ok      Groups in: lines\n"), "{error}");
    let (code, out, _) = tried(&test.replace("NO = 8 }", "NO = 9 }, { NO = 10 }"));
    assert_eq!(code, 1);
    assert!(out.contains("Lines: row 2, NO: expected \"9\", found \"8\"") && out.contains("Lines: row 3 is missing: NO=\"10\""), "{out}");
    let (code, _, error) = tried(&test.replace("{ \"lines\" =", "{ Sums ="));
    assert!(code == 1 && error.contains("has no nested records of \"Sums\"") && error.contains("there are Lines"), "{error}");
}

#[test]
fn a_trial_beside_the_running_appliance_sees_its_rows_and_leaves_them_as_they_are() {
    let mut app = Appliance::start(&crate::appliance::groups(""));
    app.enqueue_to(crate::appliance::IMPORT, "Customer%20groups", b"ID,NAME,AMOUNT\n10,Retail,1\n", None);
    app.settle();
    std::fs::write(app.dir.path().join("groups.csv"), "ID,NAME,AMOUNT\n10,Changed,1\n20,New,1\n").unwrap();
    let (code, out, error) = run(app.dir.path(), &["try", "Groups in", "groups.csv"]);
    assert_eq!(code, 0, "{out}{error}");
    assert!(out.contains("2 rows: 1 new, 1 changed, 0 unchanged, 0 refused"), "{out}");
    assert_eq!(app.sql("SELECT ID || NAME FROM customer_groups"), ["10Retail"]);
}

#[test]
fn tests_of_mappings_pass_or_say_what_differs() {
    let passing = "[[project.test]]\nname = \"amounts keep two digits\"\ninput = \"ID,NAME,AMOUNT\\n10,Retail,1.5\\n20,,x\\n\"\nrows = [{ ID = 10, NAME = \"Retail\", AMOUNT = \"1.5\" }]\nfindings = [{ row = 2, field = \"AMOUNT\", rule = \"type\" }]\n";
    let dir = configuration(passing);
    let (code, out, error) = run(dir.path(), &["test"]);
    assert_eq!((code, out.as_str()), (0, "ok      Groups in: amounts keep two digits\n"), "{error}");

    let failing = passing.replace("NAME = \"Retail\"", "NAME = \"Whole<sale\"").replace("row = 2", "row = 3");
    let dir = configuration(&failing);
    let (code, out, error) = run(dir.path(), &["test", "--junit", "report.xml"]);
    assert_eq!(code, 1);
    assert!(error.contains("1 of 1 tests failed"), "{error}");
    assert!(out.contains("row 1, NAME: expected \"Whole<sale\", found \"Retail\""), "{out}");
    assert!(out.contains("finding 1: expected row 3, AMOUNT, type, found row 2, AMOUNT, type"), "{out}");
    let report = std::fs::read_to_string(dir.path().join("report.xml")).unwrap();
    assert!(report.contains("tests=\"1\" failures=\"1\"") && report.contains("Whole&lt;sale"), "{report}");

    let dir = configuration("[[project.test]]\nname = \"x\"\nrows = [{ NOPE = 1 }]\n");
    let (code, _, error) = run(dir.path(), &["test"]);
    assert!(code == 1 && error.contains("has no field \"NOPE\"") && error.contains("a test has a document"), "{error}");
}

#[test]
fn a_test_whose_given_rows_are_not_loaded_fails_and_says_which() {
    let test = "[[project.test]]\nname = \"t\"\ngiven = { \"Customer groups\" = \"ID,NAME,AMOUNT\\n1,a,x\\n\" }\ninput = \"ID,NAME,AMOUNT\\n2,b,1\\n\"\nrows = [{ ID = 2 }]\n";
    let (code, out, _) = run(configuration(test).path(), &["test"]);
    assert!(code == 1 && out.contains("given Customer groups: row 1, AMOUNT, type: \"x\""), "{out}");
    let (code, out, _) = run(configuration(&test.replace("1,a,x", "1,a,7")).path(), &["test"]);
    assert_eq!(code, 0, "{out}");
}

#[test]
fn what_is_inferred_from_a_sample_imports_it() {
    let dir = configuration("");
    let rows: String = (1..60).map(|n| format!("C{n:03};Name {n};{n},50;{:02}.11.2026\n", n % 28 + 1)).collect();
    std::fs::write(dir.path().join("web_customers.csv"), format!("Customer No;Name;Balance;Since\n{rows}")).unwrap();
    let (code, out, error) = run(dir.path(), &["infer", "web_customers.csv"]);
    assert_eq!(code, 0, "{error}");
    assert!(out.contains("tried: 59 of 59 rows would be loaded"), "{out}");
    let before = std::fs::read_to_string(dir.path().join("entrepot.toml")).unwrap();
    let (code, out, error) = run(dir.path(), &["infer", "web_customers.csv", "--add"]);
    assert_eq!(code, 0, "{out}{error}");
    let after = std::fs::read_to_string(dir.path().join("entrepot.toml")).unwrap();
    assert!(after.starts_with(before.trim_end()), "what was there stays");
    let (code, out, error) = run(dir.path(), &["try", "web customers in", "web_customers.csv"]);
    assert_eq!(code, 0, "{out}{error}");
    assert!(out.contains("59 rows: 59 new"), "{out}");
    let (code, _, error) = run(dir.path(), &["infer", "web_customers.csv", "--add"]);
    assert!(code == 1 && error.contains("another entity is called"), "{error}");
}
