//! `EXAMPLES.md`, tried as a reader would try it.

use std::process::{Command, Output};

use crate::bad_files::workbook;

const BINARY: &str = env!("CARGO_BIN_EXE_entrepot");

/// The workbook that a table of the page shows: numbers are numbers, and `1 Oct 2026` is a day.
fn shown(table: &str) -> Vec<u8> {
    let cell = |cell: &str| match cell.trim() {
        number if number.parse::<f64>().is_ok() => format!("={number}"),
        day if day.ends_with(" Oct 2026") => format!("@2026-10-{:0>2}", day.trim_end_matches(" Oct 2026")),
        text => text.to_owned(),
    };
    // Behind the header that a table has to have.
    let rows = table.lines().filter(|line| line.starts_with('|')).skip(2);
    let rows: Vec<String> = rows.map(|row| row.trim_matches('|').split('|').map(cell).collect::<Vec<_>>().join("\t")).collect();
    workbook("Prices", &rows.join("\n"))
}

#[test]
fn each_example_of_the_page_passes_check_and_its_test() {
    let page = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/EXAMPLES.md")).unwrap();
    let mut tested = 0;
    for section in page.split("\n## ").skip(1) {
        let title = section.lines().next().unwrap();
        let (block, rest) = section.split_once("```toml\n").and_then(|(_, rest)| rest.split_once("```")).expect(title);
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("entrepot.toml"), block).unwrap();
        if rest.contains("`prices.xlsx`") {
            std::fs::write(dir.path().join("prices.xlsx"), shown(rest)).unwrap();
        }
        let run = |arguments: &[&str]| {
            let Output { status, stdout, stderr } = Command::new(BINARY).args(arguments).current_dir(&dir).output().unwrap();
            let (out, error) = (String::from_utf8(stdout).unwrap(), String::from_utf8(stderr).unwrap());
            assert!(status.success() && error.is_empty(), "{title}: entrepot {arguments:?}\n{out}{error}");
        };
        if block.contains("\"Book-keeper\"") {
            run(&["app", "add", "Book-keeper"]);
        }
        run(&["check"]);
        if block.contains("[[project.test]]") {
            tested += 1;
            run(&["test"]);
        }
    }
    assert!(tested >= 7, "{tested}");
}
