//! Entrepot against its peers, in the same run on the same machine: ratios, not absolute figures, are the result.
//!
//!   cargo bench                       everything, 1,000,000 rows
//!   ROWS=100000 cargo bench           fewer rows
//!   cargo bench --bench peers -- enqueue      one part: enqueue, documents, formats or start
//!   CLIENTS=64 cargo bench --bench peers -- enqueue      with so many clients alone
//!   cargo bench --bench peers -- constant     memory with documents of 5 GB (BYTES), only when it is asked for: some 20 GB of disk, some minutes
//!
//! Peers: the SQLite shell's `.import` into the same table with the same key; `sqlite3 -csv | zip`; one thread that appends and syncs.
//! Peers that are not installed are left out, and said so.

#[path = "orders/mod.rs"]
mod orders;

use std::fs::File;
use std::io::{Read, Write};
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use entrepot::appliance::Appliance;
use entrepot::clock::Clock;
use entrepot::config::{Config, parse};
use entrepot::document::read::{self, Layout, Take};
use entrepot::document::record::Record;
use entrepot::http::listener::Listener;
use entrepot::inbound::block::Block;
use entrepot::inbound::import::{self, Import, ImportError, Report, Sink};
use entrepot::inbound::plan::{self, Plan};
use entrepot::model::execution::{RowCounts, StagingStatus};
use entrepot::model::finding::Finding;
use entrepot::model::format::{ExcelFormat, Format, JsonFormat, XmlFormat};
use entrepot::store::entities::Entities;

fn configuration(dir: &Path) -> Config {
    let fields: Vec<String> = orders::COLUMNS
        .iter()
        .map(|name| {
            let kind = match *name {
                "OrderId" | "ProductId" | "Quantity" => "type = \"integer\"",
                "UnitPrice" | "Discount" | "LineAmount" | "Freight" => "type = \"decimal\", scale = 2",
                "OrderDate" => "type = \"date\"",
                _ => "type = \"string\", length = 60",
            };
            format!("{{ name = \"{name}\", {kind} }}")
        })
        .collect();
    let text = format!(
        "[server]\nlisten = \"127.0.0.1:0\"\npublic_url = \"http://bench.test\"\ndata_dir = \"data\"\n[[application]]\nid = \"7f4c1b0e-2a57-4d7c-9f0a-5f1b6a0c9b11\"\nname = \"Bench\"\nsecret_hash = \"{}\"\n[[entity]]\nname = \"Lines\"\ntable = \"lines\"\nkey = [\"LineId\"]\nfields = [{}]\n[[project]]\nname = \"in\"\ndirection = \"import\"\n[[project.entity]]\nentity = \"Lines\"\n[[project]]\nname = \"out\"\ndirection = \"export\"\n[[project.entity]]\nentity = \"Lines\"\n[[job]]\nname = \"in\"\nactivity_id = \"6D31E09F-0249-459F-94F0-AAD9C2C47B64\"\nproject = \"in\"\napplications = [\"Bench\"]\nrecurrence = \"on demand\"\n",
        entrepot::auth::secret::hash_text(&entrepot::auth::secret::hash("bench")),
        fields.join(", ")
    );
    parse::parse(&text, dir, None).unwrap_or_else(|problems| panic!("{problems}")).config
}

/// Where rows are staged, if they are.
#[derive(Default)]
struct Nothing(Option<PathBuf>);

impl Sink for Nothing {
    fn finding(&mut self, finding: Finding) -> Result<(), ImportError> {
        panic!("{finding:?}")
    }
    fn refused_rows(&mut self) -> Result<Box<dyn Write + '_>, ImportError> {
        unreachable!("no row is refused")
    }
    fn staging(&mut self) -> Result<Option<(PathBuf, StagingStatus)>, ImportError> {
        Ok(self.0.clone().map(|path| (path, StagingStatus::Completed)))
    }
    fn before_commit(&mut self, _: &RowCounts, _: u64) -> Result<(), ImportError> {
        if let Some(path) = &self.0 {
            File::open(path).unwrap().sync_all().unwrap();
        }
        Ok(())
    }
}

fn import_once(config: &Config, entities: &Entities, file: &Path, message: &str) -> (Duration, RowCounts) {
    let (took, report) = import_with(config, entities, File::open(file).unwrap(), message, &mut Nothing::default());
    (took, report.counts)
}

fn import_with(config: &Config, entities: &Entities, document: impl Read + Send, message: &str, sink: &mut Nothing) -> (Duration, Report) {
    let part = &config.projects[0].entities[0];
    let start = Instant::now();
    let database = entities.writer("entities", &config.entities).unwrap();
    let import = Import {
        project_entity: part,
        entities: &config.entities,
        database: &database,
        company: None,
        message,
        execution: "e",
        now: Clock::system().now(),
        stop: &AtomicBool::new(false),
    };
    let report = import::run(&import, document, sink).unwrap();
    (start.elapsed(), report)
}

/// Reads, maps and validates a document into blocks of rows that nobody loads: what more parsing threads could save.
fn parsing_alone(config: &Config, file: &Path) -> Duration {
    struct Mapping<'a>(&'a Config, Option<Plan<'a>>, Block, u64);
    impl Take for Mapping<'_> {
        fn layout(&mut self, layout: &Layout) -> ControlFlow<()> {
            self.1 = Some(Plan::new(&self.0.projects[0].entities[0], &self.0.entities, None, layout).unwrap());
            ControlFlow::Continue(())
        }
        fn record(&mut self, record: &mut Record) -> ControlFlow<()> {
            self.3 += 1;
            self.1.as_ref().unwrap().apply(record, self.3, &mut self.2);
            if self.2.is_full() {
                self.2.clear();
            }
            ControlFlow::Continue(())
        }
    }
    let start = Instant::now();
    let part = &config.projects[0].entities[0];
    read::read(File::open(file).unwrap(), &part.format, plan::wanted(part), &mut Mapping(config, None, Block::default(), 0)).unwrap();
    start.elapsed()
}

fn totals_of(database: &Path) -> orders::Totals {
    let sums = "SELECT count(*), sum(Quantity), sum(CAST(replace(LineAmount, '.', '') AS INTEGER)) FROM lines";
    let read = |row: &rusqlite::Row<'_>| Ok(orders::Totals { rows: row.get(0)?, quantity: row.get(1)?, amount: row.get(2)? });
    rusqlite::Connection::open(database).unwrap().query_row(sums, [], read).unwrap()
}

fn installed(program: &str) -> bool {
    let found = Command::new(program).arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status().is_ok();
    if !found {
        println!("  ({program} is not installed: its row is left out)");
    }
    found
}

fn peak_mib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    status
        .lines()
        .find_map(|line| line.strip_prefix("VmHWM:"))
        .and_then(|rest| rest.split_whitespace().next()?.parse::<u64>().ok())
        .unwrap_or(0)
        / 1024
}

fn documents(dir: &Path, rows: u64) {
    let file = dir.join("lines.csv");
    let pool = orders::Pool::load();
    let totals = orders::write(&pool, &file, rows);
    println!("\n{rows} order lines drawn from {}, {} MiB", pool.source, std::fs::metadata(&file).unwrap().len() >> 20);
    let config = configuration(dir);
    std::fs::create_dir_all(&config.server.data_dir).unwrap();
    let entities = Entities::new(&config.databases);
    let (first, report) = import_with(&config, &entities, File::open(&file).unwrap(), "m1", &mut Nothing::default());
    assert_eq!(report.counts.inserted, rows);
    assert_eq!(totals_of(&config.databases[0].path), totals, "what was written is what was loaded");
    // The parsing thread's time has in it what it waits for the loading thread: where the two are alike, loading is what takes it.
    let parsed = parsing_alone(&config, &file);
    println!("  import, all checks, durable           {first:>8.2?}   peak {} MiB", peak_mib());
    println!("  parsing, mapping, validating alone    {parsed:>8.2?}   {:.2} of it", parsed.as_secs_f64() / first.as_secs_f64());
    let (second, counts) = import_once(&config, &entities, &file, "m2");
    assert_eq!(counts.unchanged, rows);
    println!("  the same again, nothing changed       {second:>8.2?}   {:.2} of the first", second.as_secs_f64() / first.as_secs_f64());
    if installed("sqlite3") {
        let schema = Command::new("sqlite3").arg(&config.databases[0].path).arg(".schema lines").output().unwrap().stdout;
        let peer = dir.join("peer.db");
        let start = Instant::now();
        let mut shell = Command::new("sqlite3").arg(&peer).stdin(Stdio::piped()).spawn().unwrap();
        let script = format!("{}.mode csv\n.import --skip 1 {} lines\n", String::from_utf8_lossy(&schema), file.display());
        shell.stdin.take().unwrap().write_all(script.as_bytes()).unwrap();
        assert!(shell.wait().unwrap().success());
        let peer_time = start.elapsed();
        println!(
            "  sqlite3 .import, same table and key   {peer_time:>8.2?}   ratio {:.2} (target at most 1.0)",
            first.as_secs_f64() / peer_time.as_secs_f64()
        );
        let staging = dir.join("staging.db");
        File::create(&staging).unwrap();
        let empty = database_of(dir, "staged");
        let (staged, report) = import_with(&config, &empty, File::open(&file).unwrap(), "m1", &mut Nothing(Some(staging.clone())));
        assert_eq!((report.counts.inserted, totals_of(&staging)), (rows, totals));
        println!(
            "  import with every row staged          {staged:>8.2?}   ratio {:.2} (target at most 1.5)   peak {} MiB",
            staged.as_secs_f64() / peer_time.as_secs_f64(),
            peak_mib()
        );
    }
    let mut package = File::options().read(true).write(true).create_new(true).open(dir.join("package.zip")).unwrap();
    let start = Instant::now();
    let export = entrepot::outbound::export::Export {
        project: &config.projects[1],
        entities: &entities,
        rows_max: u64::MAX,
        ranges: &[],
        activity_id: None,
        message_id: None,
        company: None,
        now: Default::default(),
        budget: &config.xslt,
        scratch: &entrepot::files::Scratch::temporary,
        stop: &AtomicBool::new(false),
    };
    let report = entrepot::outbound::export::run(&export, &mut package).unwrap();
    package.sync_all().unwrap();
    let export = start.elapsed();
    assert_eq!(report.rows, rows);
    println!("  export to a package                   {export:>8.2?}   {} MiB, peak {} MiB", report.package.size >> 20, peak_mib());
    if installed("sqlite3") && installed("zip") {
        let start = Instant::now();
        let command = format!(
            "sqlite3 -header -csv '{}' 'SELECT * FROM lines ORDER BY LineId' | zip -q '{}' -",
            config.databases[0].path.display(),
            dir.join("peer.zip").display()
        );
        assert!(Command::new("sh").args(["-c", &command]).status().unwrap().success());
        let peer_time = start.elapsed();
        println!(
            "  sqlite3 -csv | zip                    {peer_time:>8.2?}   ratio {:.2} (target at most 0.6)",
            export.as_secs_f64() / peer_time.as_secs_f64()
        );
    }
}

fn database_of(dir: &Path, name: &str) -> Entities {
    Entities::new(&[entrepot::config::Database { path: dir.join(format!("{name}.db")), ..entrepot::config::Database::managed(dir) }])
}

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
fn constant(dir: &Path) {
    let bytes: u64 = std::env::var("BYTES").ok().and_then(|bytes| bytes.parse().ok()).unwrap_or(5_000_000_000);
    let config = configuration(dir);
    std::fs::create_dir_all(&config.server.data_dir).unwrap();
    let file = dir.join("thousand.csv");
    orders::write(&orders::Pool::load(), &file, 1000);
    let mut reader = csv::Reader::from_path(&file).unwrap();
    let lines: Vec<Vec<String>> = reader.records().map(|line| line.unwrap().iter().map(str::to_owned).collect()).collect();
    println!("\ndocuments of {bytes} bytes and of a hundredth of that, into an empty table");
    let header = format!("{}\r\n", orders::COLUMNS.join(","));
    let csv = Format::Csv(entrepot::model::format::CsvFormat::default());
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

/// XML-Element and a workbook of the same rows, into an empty table each.
fn formats(dir: &Path, rows: u64) {
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
        let connection = entities.reader("entities").unwrap().unwrap();
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
        let empty = database_of(dir, name);
        let mut other = config.clone();
        let mut project = (*other.projects[0]).clone();
        project.entities = vec![part];
        other.projects[0] = Arc::new(project);
        let (took, counts) = import_once(&other, &empty, &file, name);
        assert_eq!(counts.inserted, rows);
        println!("  {name:<12} {:>4} MiB  import {took:>8.2?}   {:>7.0} rows/s", bytes.len() >> 20, rows as f64 / took.as_secs_f64());
        if !peer.is_empty() {
            let start = Instant::now();
            let done = Command::new("python3")
                .args(["-c", peer])
                .arg(&file)
                .arg(dir.join(format!("{name}-peer.db")))
                .stderr(Stdio::null())
                .status();
            match done {
                Ok(status) if status.success() => println!(
                    "               its peer in Python {:>8.2?}   ratio {:.2}",
                    start.elapsed(),
                    took.as_secs_f64() / start.elapsed().as_secs_f64()
                ),
                _ => println!("               its peer is not installed: left out"),
            }
        }
    }
    println!("  peak {} MiB", peak_mib());
}

/// lxml's iterparse into SQLite with the same key, as a careful person writes it.
const PEER_XML: &str = r#"
import sys, sqlite3
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
"#;

/// python-calamine reads all cells; nothing is checked or loaded.
const PEER_EXCEL: &str = r#"
import sys
from python_calamine import CalamineWorkbook
rows = CalamineWorkbook.from_path(sys.argv[1]).get_sheet_by_index(0).to_python()
assert len(rows) > 1
"#;

/// One thread that appends 1 KiB and syncs: what the disk gives to a lone writer.
fn lone_rate(dir: &Path) -> f64 {
    let mut file = File::create(dir.join("append")).unwrap();
    let block = [7u8; 1024];
    let (start, mut count) = (Instant::now(), 0u32);
    while start.elapsed() < Duration::from_secs(1) {
        file.write_all(&block).unwrap();
        file.sync_data().unwrap();
        count += 1;
    }
    f64::from(count) / start.elapsed().as_secs_f64()
}

/// So many clients that each keep their connection and have one request under way, served by one thread as pgbench does it, so that the clients are not
/// what is measured.
fn clients(count: usize, address: std::net::SocketAddr, token: &str, over: &AtomicBool, sent: &AtomicU64) {
    use std::io::{ErrorKind, Read};
    let head = format!(
        "POST /api/connector/enqueue/6D31E09F-0249-459F-94F0-AAD9C2C47B64?entity=Lines HTTP/1.1\r\nHost: bench.test\r\nAuthorization: Bearer {token}\r\nContent-Length: 1024\r\n\r\n"
    );
    let mut request = head.into_bytes();
    request.extend([b'x'; 1024]);
    let poller = polling::Poller::new().unwrap();
    let connect = |number: usize| {
        let mut stream = std::net::TcpStream::connect(address).unwrap();
        stream.set_nodelay(true).unwrap();
        // Fits the socket's buffer.
        stream.write_all(&request).unwrap();
        stream.set_nonblocking(true).unwrap();
        // SAFETY: the stream is taken from the poller below before it is dropped.
        unsafe { poller.add_with_mode(&stream, polling::Event::readable(number), polling::PollMode::Level).unwrap() };
        stream
    };
    let mut all: Vec<_> = (0..count).map(|number| (connect(number), Vec::with_capacity(1024))).collect();
    let mut events = polling::Events::new();
    let mut piece = [0u8; 4096];
    while !over.load(Ordering::Relaxed) {
        events.clear();
        poller.wait(&mut events, Some(Duration::from_millis(100))).unwrap();
        for event in events.iter() {
            let (stream, answer) = &mut all[event.key];
            match stream.read(&mut piece) {
                Ok(0) => panic!("the connection was closed"),
                Ok(count) => answer.extend_from_slice(&piece[..count]),
                Err(error) if error.kind() == ErrorKind::WouldBlock => continue,
                Err(error) => panic!("{error}"),
            }
            // The answer ends with the quoted id.
            if answer.len() < 40 || answer.last() != Some(&b'"') {
                continue;
            }
            assert!(answer.starts_with(b"HTTP/1.1 200"), "{}", String::from_utf8_lossy(answer));
            sent.fetch_add(1, Ordering::Relaxed);
            // As any client does, after requests_per_connection.
            if memchr::memmem::find(answer, b"Connection: close").is_some() {
                poller.delete(&*stream).unwrap();
                *stream = connect(event.key);
            } else {
                stream.write_all(&request).unwrap();
            }
            answer.clear();
        }
    }
    all.iter().for_each(|(stream, _)| poller.delete(stream).unwrap());
}

/// A PostgreSQL of our own in a scratch directory, with a queue table; synchronous_commit and fsync as they come: on.
struct Postgres {
    programs: PathBuf,
    data: PathBuf,
}

impl Postgres {
    /// `None`, with a word, where it is not installed.
    fn start(dir: &Path) -> Option<Postgres> {
        let installed = std::fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten().map(|entry| entry.path().join("bin"));
        let Some(programs) = installed.filter(|bin| bin.join("pgbench").exists() && bin.join("initdb").exists()).max() else {
            println!("  PostgreSQL: skipped, it is not installed (Debian: postgresql)");
            return None;
        };
        let home = dir.join("postgres");
        std::fs::create_dir_all(&home).unwrap();
        // The server refuses to run as root: then its package's user runs it.
        Command::new("chown").arg("postgres").args([&home]).stderr(Stdio::null()).status().unwrap();
        Command::new("chmod").arg("a+x").arg(dir).status().unwrap();
        let postgres = Postgres { programs, data: home.join("data") };
        let data = postgres.data.display().to_string();
        let socket =
            format!("-c unix_socket_directories={} -c listen_addresses= -c wal_level=minimal -c max_wal_senders=0", home.display());
        let begun = postgres.run("initdb", &["-A", "trust", "-U", "bench", "-D", &data])
            && postgres.run("pg_ctl", &["-w", "-D", &data, "-o", &socket, "-l", &format!("{data}/log"), "start"])
            && postgres.run("psql", &["-h", &home.display().to_string(), "-U", "bench", "-d", "postgres", "-c", QUEUE]);
        if !begun {
            println!("  PostgreSQL: skipped, it does not start here");
            return None;
        }
        std::fs::write(dir.join("insert.sql"), INSERT).unwrap();
        Some(postgres)
    }

    fn command(&self, program: &str) -> Command {
        let program = self.programs.join(program);
        let mut command = if is_root() { Command::new("runuser") } else { Command::new(&program) };
        if is_root() {
            command.args(["-u", "postgres", "--"]).arg(program);
        }
        command.current_dir("/");
        command
    }

    fn run(&self, program: &str, arguments: &[&str]) -> bool {
        self.command(program).args(arguments).stdout(Stdio::null()).stderr(Stdio::null()).status().is_ok_and(|status| status.success())
    }

    /// Inserts a second of so many clients.
    fn rate(&self, dir: &Path, clients: usize) -> Option<f64> {
        let home = self.data.parent()?;
        let out = self
            .command("pgbench")
            .args(["-n", "-h", &home.display().to_string(), "-U", "bench", "-M", "prepared", "-j", "2", "-T", "2", "-f"])
            .arg(dir.join("insert.sql"))
            .args(["-c", &clients.to_string(), "postgres"])
            .output()
            .ok()?;
        let text = String::from_utf8_lossy(&out.stdout).into_owned();
        text.split("tps = ").nth(1)?.split_whitespace().next()?.parse().ok()
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        self.run("pg_ctl", &["-D", &self.data.display().to_string(), "-m", "immediate", "stop"]);
    }
}

const ACTIVITY: &str = "6D31E09F-0249-459F-94F0-AAD9C2C47B64";

const QUEUE: &str = "CREATE TABLE queue (id uuid PRIMARY KEY, job uuid NOT NULL, state text NOT NULL, received_at timestamptz NOT NULL DEFAULT now(), \
     payload bytea NOT NULL); CREATE INDEX ON queue (job, received_at) WHERE state = 'queued'";
const INSERT: &str = "INSERT INTO queue (id, job, state, payload) VALUES (gen_random_uuid(), '6d31e09f-0249-459f-94f0-aad9c2c47b64', 'queued', \
     decode(repeat('ab', 1024), 'hex'));\n";

fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

/// Messages that so many clients enqueue in a second.
fn enqueue_rate(clients: usize, address: std::net::SocketAddr, token: &Arc<str>) -> f64 {
    let (over, sent) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
    let start = Instant::now();
    let threads: Vec<_> = (0..clients.min(2))
        .map(|number| {
            let (over, sent, token) = (over.clone(), sent.clone(), token.clone());
            let share = clients / 2 + usize::from(number < clients % 2);
            std::thread::spawn(move || self::clients(share, address, &token, &over, &sent))
        })
        .collect();
    std::thread::sleep(Duration::from_millis(1500));
    let rate = sent.load(Ordering::Relaxed) as f64 / start.elapsed().as_secs_f64();
    over.store(true, Ordering::Relaxed);
    threads.into_iter().for_each(|thread| thread.join().unwrap());
    rate
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_unstable_by(f64::total_cmp);
    values[values.len() / 2]
}

fn enqueues(dir: &Path) {
    let config = configuration(dir);
    let start = Instant::now();
    let appliance = Appliance::start(config.clone(), Clock::system()).unwrap();
    let listener = Listener::start(&appliance).unwrap();
    println!("\ndurable enqueue of 1 KiB; started in {:.0?}", start.elapsed());
    let now = Clock::system().now();
    let audience = "http://bench.test";
    let wish = entrepot::auth::token::Wish {
        application: config.applications[0].id,
        person: None,
        audience,
        version: entrepot::auth::token::Version::V1,
        lifetime: Duration::from_secs(3600),
    };
    let issued = entrepot::auth::token::issue(&appliance.keyring, audience, &wish, now);
    let token: Arc<str> = issued.unwrap().access_token.as_str().into();
    let postgres = Postgres::start(dir);
    // The disk is faster at one time than at another: every contender has its turn in each round, and the ratio is the median of the rounds' ratios.
    const ROUNDS: usize = 5;
    let counts = std::env::var("CLIENTS").unwrap_or_else(|_| "1,8,64".into());
    for clients in counts.split(',').map(|count| count.trim().parse::<usize>().expect("CLIENTS is a list of numbers")) {
        let before = appliance.store.commits();
        let (mut lone, mut ours, mut theirs) = (Vec::new(), Vec::new(), Vec::new());
        for _ in 0..ROUNDS {
            lone.push(lone_rate(dir));
            ours.push(enqueue_rate(clients, listener.address, &token));
            theirs.extend(postgres.as_ref().and_then(|postgres| postgres.rate(dir, clients)));
        }
        let after = appliance.store.commits();
        let batch = (after.steps - before.steps) as f64 / (after.rounds - before.rounds) as f64;
        let ratio = |others: &[f64]| median(ours.iter().zip(others).map(|(ours, other)| ours / other).collect());
        println!(
            "  {clients:>2} clients {:>8.0}/s   lone append and sync {:>6.0}/s   ratio {:.2}   {batch:.1} messages a commit",
            median(ours.clone()),
            median(lone.clone()),
            ratio(&lone)
        );
        if !theirs.is_empty() {
            println!("              PostgreSQL {:>6.0}/s   ratio {:.2}", median(theirs.clone()), ratio(&theirs));
        }
    }
    println!("  peak {} MiB", peak_mib());
    listener.stop(Duration::ZERO);
    appliance.stop();
}

/// A process whose output stays open: what it prints later must find a reader.
struct Served(std::process::Child, #[expect(dead_code, reason = "held")] std::io::BufReader<std::process::ChildStdout>);

/// Starts the binary on a data directory; the time until it is ready, and the process.
fn start_binary(dir: &Path) -> (Duration, Served) {
    use std::io::{BufRead, BufReader, Read};
    let begun = Instant::now();
    let mut process = Command::new(env!("CARGO_BIN_EXE_entrepot"))
        .args(["serve", "--config"])
        .arg(dir.join("entrepot.toml"))
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut line = String::new();
    let mut out = BufReader::new(process.stdout.take().unwrap());
    out.read_line(&mut line).unwrap();
    let address: std::net::SocketAddr = line.trim().rsplit_once("http://").unwrap().1.parse().unwrap();
    let mut stream = std::net::TcpStream::connect(address).unwrap();
    stream.write_all(b"GET /readyz HTTP/1.1\r\nHost: bench\r\nConnection: close\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    (begun.elapsed(), Served(process, out))
}

/// Start to ready with an empty and with a deep queue, and what the idle process takes.
fn starts(dir: &Path) {
    const DEPTH: u64 = 1_000_000;
    const IDLE: Duration = Duration::from_secs(10);
    std::fs::create_dir_all(dir).unwrap();
    let text = format!(
        "[server]\nlisten = \"127.0.0.1:0\"\ndata_dir = \"data\"\n[[entity]]\nname = \"Lines\"\ntable = \"lines\"\nkey = [\"A\"]\nfields = [{{ name = \"A\", type = \"string\" }}]\n[[project]]\nname = \"in\"\ndirection = \"import\"\n[[project.entity]]\nentity = \"Lines\"\n[[job]]\nname = \"in\"\nactivity_id = \"{ACTIVITY}\"\nproject = \"in\"\nrecurrence = \"on demand\"\n"
    );
    std::fs::write(dir.join("entrepot.toml"), text).unwrap();
    println!("\nstart of the binary to a 200 of /readyz");
    let end = |mut served: Served| {
        // SIGTERM, as systemd does.
        Command::new("kill").arg(served.0.id().to_string()).status().unwrap();
        assert!(served.0.wait().unwrap().success(), "it ends by itself");
    };
    let (_, process) = start_binary(dir);
    end(process);
    let mut times: Vec<Duration> = (0..5).map(|_| start_binary(dir)).map(|(time, process)| (time, end(process)).0).collect();
    times.sort();
    println!("  empty queue               {:>8.1?} (target under 100 ms)", times[2]);
    let queue = rusqlite::Connection::open(dir.join("data/queue.db")).unwrap();
    let transaction = queue.unchecked_transaction().unwrap();
    let mut insert = transaction
        .prepare("INSERT INTO message (id, activity_id, direction, state, entity, size, sha256, checksum, received_at) VALUES (?1, ?2, 'import', 'queued', 'Lines', 1, '', 0, ?3)")
        .unwrap();
    for number in 0..DEPTH {
        let at = 1_700_000_000_000 + number;
        insert.execute((format!("{:08x}-{:04x}-7000-8000-{number:012x}", at >> 16, at & 0xFFFF), ACTIVITY.to_lowercase(), at)).unwrap();
    }
    drop(insert);
    transaction.commit().unwrap();
    drop(queue);
    let mut times: Vec<Duration> = (0..5).map(|_| start_binary(dir)).map(|(time, process)| (time, end(process)).0).collect();
    times.sort();
    println!("  {DEPTH} messages in it   {:>8.1?}", times[2]);
    let (_, process) = start_binary(dir);
    let ticks = |served: &Served| -> u64 {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", served.0.id())).unwrap_or_default();
        stat.rsplit(')').next().unwrap_or_default().split_whitespace().skip(11).take(2).filter_map(|ticks| ticks.parse::<u64>().ok()).sum()
    };
    std::thread::sleep(Duration::from_secs(2));
    let before = ticks(&process);
    std::thread::sleep(IDLE);
    let status = std::fs::read_to_string(format!("/proc/{}/status", process.0.id())).unwrap_or_default();
    let line = |name: &str| {
        status.lines().find(|line| line.starts_with(name)).unwrap_or_default().split_whitespace().nth(1).unwrap_or("0").to_owned()
    };
    println!(
        "  idle beside it: {} MiB resident (target under 20), {} threads, {} ticks of CPU in {IDLE:?} (target under 0.1 %: 1 tick)",
        line("VmRSS:").parse::<u64>().unwrap_or(0) / 1024,
        line("Threads:"),
        ticks(&process) - before
    );
    end(process);
}

fn main() {
    // `cargo test --benches` asks for a list of tests: there is none.
    if std::env::args().any(|argument| argument == "--list") {
        return;
    }
    let rows = std::env::var("ROWS").ok().and_then(|rows| rows.parse().ok()).unwrap_or(1_000_000);
    let dir = std::env::temp_dir().join(format!("entrepot-bench-{}", std::process::id()));
    std::fs::create_dir_all(&dir).unwrap();
    let wanted = |part: &str| {
        let named: Vec<String> = std::env::args().skip(1).filter(|argument| !argument.starts_with('-')).collect();
        named.is_empty() || named.iter().any(|name| name == part)
    };
    if wanted("enqueue") {
        enqueues(&dir);
    }
    if wanted("documents") {
        documents(&dir, rows);
    }
    if wanted("formats") {
        formats(&dir.join("formats"), rows);
    }
    if std::env::args().any(|argument| argument == "constant") {
        std::fs::create_dir_all(dir.join("constant")).unwrap();
        constant(&dir.join("constant"));
    }
    if wanted("start") {
        starts(&dir.join("start"));
    }
    let _ = std::fs::remove_dir_all(&dir);
}
