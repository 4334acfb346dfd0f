//! Memory beside documents of any size.

use std::io::{Read, Write};
use std::path::Path;
use std::sync::Arc;

use entrepot::model::format::{CsvFormat, Format, JsonFormat, XmlFormat};

use crate::load::{Nothing, configuration, database_of, import_with, peak_mib};
use crate::orders;

/// A document of order lines of any size that is never in memory or on disk: the same thousand, with ever new keys.
struct Endless {
    lines: Vec<Vec<String>>,
    write: fn(&[String], &mut Vec<u8>),
    end: &'static str,
    bytes_left: u64,
    row: u64,
    ready: Vec<u8>,
    taken: usize,
}

impl Read for Endless {
    fn read(&mut self, into: &mut [u8]) -> std::io::Result<usize> {
        if self.taken == self.ready.len() {
            self.ready.clear();
            self.taken = 0;
            if self.bytes_left == 0 {
                self.ready.extend_from_slice(std::mem::take(&mut self.end).as_bytes());
            } else {
                let count = self.lines.len() as u64;
                for line in &mut self.lines {
                    self.row += 1;
                    line[0] = format!("{:012}", self.row);
                    (self.write)(line, &mut self.ready);
                }
                debug_assert_eq!(self.row % count, 0);
                self.bytes_left = self.bytes_left.saturating_sub(self.ready.len() as u64);
            }
        }
        let count = into.len().min(self.ready.len() - self.taken);
        into[..count].copy_from_slice(&self.ready[self.taken..self.taken + count]);
        self.taken += count;
        Ok(count)
    }
}

fn write_csv(line: &[String], into: &mut Vec<u8>) {
    for (index, value) in line.iter().enumerate() {
        let mark = if index == 0 { "" } else { "," };
        let _ = write!(into, "{mark}\"{}\"", value.replace('"', "\"\""));
    }
    into.extend_from_slice(b"\r\n");
}

fn write_xml(line: &[String], into: &mut Vec<u8>) {
    into.extend_from_slice(b"<LINES>");
    for (name, value) in orders::COLUMNS.iter().zip(line) {
        let _ = write!(into, "<{name}>{}</{name}>", value.replace('&', "&amp;").replace('<', "&lt;"));
    }
    into.extend_from_slice(b"</LINES>\n");
}

fn write_json(line: &[String], into: &mut Vec<u8>) {
    let object: serde_json::Map<String, serde_json::Value> =
        orders::COLUMNS.iter().zip(line).map(|(name, value)| ((*name).to_owned(), value.as_str().into())).collect();
    let _ = serde_json::to_writer(&mut *into, &object);
    into.push(b'\n');
}

/// Memory does not grow with the document: `BYTES` (5 GB) of delimited text, XML and JSON Lines.
pub fn constant(dir: &Path) {
    let bytes: u64 = std::env::var("BYTES").ok().and_then(|bytes| bytes.parse().ok()).unwrap_or(5_000_000_000);
    let config = configuration(dir);
    std::fs::create_dir_all(&config.server.data_dir).unwrap();
    let file = dir.join("thousand.csv");
    orders::write(&orders::Pool::load(), &file, 1000);
    let mut reader = csv::Reader::from_path(&file).unwrap();
    let lines: Vec<Vec<String>> = reader.records().map(|line| line.unwrap().iter().map(str::to_owned).collect()).collect();
    println!("\ndocuments of {bytes} bytes and of a hundredth of that, into an empty table");
    let header = format!("{}\r\n", orders::COLUMNS.join(","));
    let csv = Format::Csv(CsvFormat::default());
    for (name, format, write, (begin, end)) in [
        ("csv", csv, write_csv as fn(&[String], &mut Vec<u8>), (header.as_str(), "")),
        ("xml-element", Format::Xml(XmlFormat::default()), write_xml, ("<Document>", "</Document>")),
        ("jsonl", Format::Json(JsonFormat { lines: true, ..JsonFormat::default() }), write_json, ("", "")),
    ] {
        let mut other = config.clone();
        let mut project = (*other.projects[0]).clone();
        project.entities[0].format = format;
        other.projects[0] = Arc::new(project);
        for bytes in [bytes / 100, bytes] {
            let document =
                Endless { lines: lines.clone(), write, end, bytes_left: bytes, row: 0, ready: begin.as_bytes().to_vec(), taken: 0 };
            // The peak from here on (Linux).
            let _ = std::fs::write("/proc/self/clear_refs", "5");
            let empty = database_of(dir, name);
            let (took, report) = import_with(&other, &empty, document, name, &mut Nothing::default());
            assert_eq!((report.counts.inserted, report.counts.refused), (report.counts.read, 0));
            println!("  {name:<12} {bytes:>11} bytes, {:>9} rows   {took:>8.2?}   peak {} MiB", report.counts.read, peak_mib());
            for file in ["", "-wal", "-shm"] {
                let _ = std::fs::remove_file(dir.join(format!("{name}.db{file}")));
            }
        }
    }
}
