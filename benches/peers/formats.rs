//! Order lines as XML, JSON and a workbook, against what Python offers.

use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Instant;

use entrepot::model::format::{ExcelFormat, Format, JsonFormat, XmlFormat};
use entrepot::store::entities::Entities;

use crate::documents::parsing_alone;
use crate::load::{configuration, database_of, import_once, peak_mib};
use crate::orders;

/// XML-Element and a workbook of the same rows, into an empty table each.
pub fn formats(dir: &Path, rows: u64) {
    let rows = rows.min(100_000);
    let config = configuration(dir);
    std::fs::create_dir_all(&config.server.data_dir).unwrap();
    let entities = Entities::new(&config.databases);
    let lines = dir.join("few.csv");
    orders::write(&orders::Pool::load(), &lines, rows);
    import_once(&config, &entities, &lines, "few");
    println!("\n{rows} order lines in other formats");
    for (name, format, peer) in [
        ("xml-element", Format::Xml(XmlFormat::default()), PEER_XML),
        ("excel", Format::Excel(ExcelFormat::default()), PEER_EXCEL),
        ("json", Format::Json(JsonFormat::default()), ""),
        ("jsonl", Format::Json(JsonFormat { lines: true, ..JsonFormat::default() }), ""),
    ] {
        let entity = config.entities[0].clone();
        let mut part = config.projects[0].entities[0].clone();
        part.format = format.clone();
        let mut bytes = Vec::new();
        let mut writer = entrepot::document::write::Writer::new(&format, &entity, &part.fields).unwrap();
        writer.begin(&mut bytes).unwrap();
        let connection = entities.reader("entities", &[]).unwrap().unwrap();
        let columns: Vec<usize> = (0..entity.fields.len()).collect();
        let mut statement = connection.prepare("SELECT * FROM lines").unwrap();
        let mut found = statement.query([]).unwrap();
        while let Some(row) = found.next().unwrap() {
            let text = |column: &usize| match row.get_ref_unwrap(*column) {
                rusqlite::types::ValueRef::Integer(value) => Some(value.to_string()),
                rusqlite::types::ValueRef::Text(text) => Some(String::from_utf8_lossy(text).into_owned()),
                _ => None,
            };
            let values: Vec<Option<String>> = columns.iter().map(text).collect();
            writer.record(values.iter().map(Option::as_deref), &mut bytes).unwrap();
        }
        writer.end(&mut bytes).unwrap();
        let file = dir.join(format!("few.{}", format.file_extension()));
        std::fs::write(&file, &bytes).unwrap();
        let size = bytes.len();
        drop(bytes);
        let empty = database_of(dir, name);
        let mut other = config.clone();
        let mut project = (*other.projects[0]).clone();
        project.entities = vec![part];
        other.projects[0] = Arc::new(project);
        // The peaks from here on (Linux).
        let _ = std::fs::write("/proc/self/clear_refs", "5");
        let read = parsing_alone(&other, &file);
        let read_peak = peak_mib();
        let (took, counts) = import_once(&other, &empty, &file, name);
        assert_eq!(counts.inserted, rows);
        println!(
            "  {name:<12} {:>4} MiB  import {took:>8.2?}   {:>7.0} rows/s   peak {} MiB",
            size >> 20,
            rows as f64 / took.as_secs_f64(),
            peak_mib()
        );
        println!("               read, mapped, validated alone {read:>8.2?}   peak {read_peak} MiB, with this program's own");
        if !peer.is_empty() {
            let start = Instant::now();
            let done = Command::new("python3")
                .args(["-c", peer])
                .arg(&file)
                .arg(dir.join(format!("{name}-peer.db")))
                .stderr(Stdio::null())
                .output();
            match done {
                Ok(done) if done.status.success() => println!(
                    "               its peer in Python {:>8.2?}   ratio {:.2}, of reading alone {:.2}   peak {} MiB",
                    start.elapsed(),
                    took.as_secs_f64() / start.elapsed().as_secs_f64(),
                    read.as_secs_f64() / start.elapsed().as_secs_f64(),
                    String::from_utf8_lossy(&done.stdout).trim()
                ),
                _ => println!("               its peer is not installed: left out"),
            }
        }
    }
}

/// lxml's iterparse into SQLite with the same key, as a careful person writes it.
const PEER_XML: &str = r#"
import sys, sqlite3, resource
from lxml import etree
connection = sqlite3.connect(sys.argv[2])
insert = None
rows = []
for _, element in etree.iterparse(sys.argv[1], tag="LINES"):
    fields = {child.tag: child.text for child in element}
    if insert is None:
        names = list(fields)
        connection.execute("CREATE TABLE lines (%s, PRIMARY KEY (LineId))" % ", ".join(names + [n for n in ["ShipRegion", "Comment"] if n not in names]))
    connection.execute("INSERT INTO lines (%s) VALUES (%s)" % (", ".join(fields), ", ".join("?" * len(fields))), list(fields.values()))
    insert = True
    element.clear()
    while element.getprevious() is not None:
        del element.getparent()[0]
connection.commit()
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024)
"#;

/// python-calamine reads all cells; nothing is checked or loaded.
const PEER_EXCEL: &str = r#"
import sys, resource
from python_calamine import CalamineWorkbook
rows = CalamineWorkbook.from_path(sys.argv[1]).get_sheet_by_index(0).to_python()
assert len(rows) > 1
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024)
"#;
