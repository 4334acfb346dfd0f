//! Entrepot against its peers, in the same run on the same machine: ratios, not absolute figures, are the result.
//!
//!   cargo bench                       everything, 1,000,000 rows
//!   ROWS=100000 cargo bench           fewer rows
//!   cargo bench --bench peers -- enqueue      one part: enqueue or documents
//!
//! Peers: the SQLite shell's `.import` into the same table with the same key; `sqlite3 -csv | zip`; one thread that appends and syncs.
//! Peers that are not installed are left out, and said so.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use entrepot::appliance::Appliance;
use entrepot::clock::Clock;
use entrepot::config::{Config, parse};
use entrepot::http::listener::Listener;
use entrepot::inbound::import::{self, Import, ImportError, Sink};
use entrepot::model::execution::RowCounts;
use entrepot::model::finding::Finding;
use entrepot::store::entities::Entities;

const COLUMNS: [&str; 18] = [
    "LineId",
    "OrderId",
    "OrderDate",
    "CustomerId",
    "CustomerName",
    "ProductId",
    "ProductName",
    "Quantity",
    "UnitPrice",
    "Discount",
    "CurrencyCode",
    "LineAmount",
    "ShipCity",
    "ShipRegion",
    "ShipPostalCode",
    "ShipCountry",
    "Freight",
    "Comment",
];

/// SplitMix64: row i can be made without the rows before it.
fn draw(row: u64, k: u64) -> u64 {
    let mut z = 20_260_101u64.wrapping_add(row * 16 + k).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

/// Order lines of about 150 bytes, with accents, commas, quotes and line ends inside values in the shares that real ones have.
fn generate(path: &Path, rows: u64) {
    const CUSTOMERS: [(&str, &str, &str, &str, &str, &str, &str); 6] = [
        ("ERNSH", "Ernst Händler", "Graz", "", "8010", "Österreich", "EUR"),
        ("SAVEA", "Save a lot Markets", "Boise", "ID", "83720", "USA", "USD"),
        ("QUICK", "Quick und Gut", "Cunewalde", "", "01307", "Germany", "EUR"),
        ("HUNGO", "Hungry Owls", "Cork", "Co. Cork", "", "Ireland", "EUR"),
        ("RATTC", "Rattlesnake Grocery", "Albuquerque", "NM", "87110", "USA", "USD"),
        ("HANAR", "Carnes do Rio", "São Paulo", "SP", "05454-876", "Brazil", "BRL"),
    ];
    const PRODUCTS: [(&str, u64); 5] =
        [("Black tea", 1800), ("Chang beer", 1900), ("Aniseed syrup", 1000), ("Gumbo mix", 2135), ("Grandma's spread", 2500)];
    let mut out = BufWriter::with_capacity(1 << 20, File::create(path).unwrap());
    write!(out, "{}\r\n", COLUMNS.join(",")).unwrap();
    for row in 1..=rows {
        let customer = CUSTOMERS[(draw(row, 0) % 6) as usize];
        let (product, price) = PRODUCTS[(draw(row, 1) % 5) as usize];
        let (order, quantity, discount) = (row / 3, draw(row, 2) % 60 + 1, [0, 0, 0, 5, 10, 25][(draw(row, 3) % 6) as usize]);
        let cents = quantity * price * (100 - discount) / 100;
        let comment = match draw(row, 4) % 200 {
            0 => "\"delivered\r\nat the back\"",
            1..=3 => "\"fragile, \"\"handle\"\" with care\"",
            4..=19 => "good as ever and quickly delivered",
            _ => "",
        };
        let day = order % 28 + 1;
        write!(
            out,
            "{row},{order},1997-{:02}-{day:02},{},{},{},{product},{quantity},{}.{:02},0.{discount:02},{},{}.{:02},{},{},{},{},{}.{:02},{comment}\r\n",
            order / 28 % 12 + 1, customer.0, customer.1, draw(row, 1) % 77, price / 100, price % 100, customer.6, cents / 100, cents % 100, customer.2, customer.3, customer.4, customer.5,
            draw(row, 5) % 300, draw(row, 6) % 100
        )
        .unwrap();
    }
}

fn configuration(dir: &Path) -> Config {
    let fields: Vec<String> = COLUMNS
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

struct Nothing;

impl Sink for Nothing {
    fn finding(&mut self, finding: Finding) -> Result<(), ImportError> {
        panic!("{finding:?}")
    }
    fn refused_rows(&mut self) -> Result<Box<dyn Write + '_>, ImportError> {
        unreachable!("no row is refused")
    }
    fn before_commit(&mut self, _: &RowCounts, _: u64) -> Result<(), ImportError> {
        Ok(())
    }
}

fn import_once(config: &Config, entities: &Entities, file: &Path, message: &str) -> (Duration, RowCounts) {
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
    let report = import::run(&import, File::open(file).unwrap(), &mut Nothing).unwrap();
    (start.elapsed(), report.counts)
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
    generate(&file, rows);
    println!("\n{rows} order lines, {} MiB", std::fs::metadata(&file).unwrap().len() >> 20);
    let config = configuration(dir);
    std::fs::create_dir_all(&config.server.data_dir).unwrap();
    let entities = Entities::new(&config.databases);
    let (first, counts) = import_once(&config, &entities, &file, "m1");
    assert_eq!(counts.inserted, rows);
    println!("  import, all checks, durable           {first:>8.2?}   peak {} MiB", peak_mib());
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
            "  sqlite3 .import, same table and key   {peer_time:>8.2?}   ratio {:.2} (target at most 1.2)",
            first.as_secs_f64() / peer_time.as_secs_f64()
        );
    }
    let mut package = File::options().read(true).write(true).create_new(true).open(dir.join("package.zip")).unwrap();
    let start = Instant::now();
    let report = entrepot::outbound::export::run(&config.projects[1], &entities, &mut package, &AtomicBool::new(false)).unwrap();
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

/// One thread that appends 1 KiB and syncs: what the disk gives to a lone writer.
fn lone_rate(dir: &Path) -> f64 {
    let mut file = File::create(dir.join("append")).unwrap();
    let block = [7u8; 1024];
    let (start, mut count) = (Instant::now(), 0u32);
    while start.elapsed() < Duration::from_secs(2) {
        file.write_all(&block).unwrap();
        file.sync_data().unwrap();
        count += 1;
    }
    f64::from(count) / start.elapsed().as_secs_f64()
}

/// A client that keeps its connection and has one request under way. Written by hand, so that the client is not what is measured.
fn client(address: std::net::SocketAddr, token: &str, over: &AtomicBool, sent: &AtomicU64) {
    use std::io::Read;
    let connect = || {
        let stream = std::net::TcpStream::connect(address).unwrap();
        stream.set_nodelay(true).unwrap();
        stream
    };
    let mut stream = connect();
    let head = format!(
        "POST /api/connector/enqueue/6D31E09F-0249-459F-94F0-AAD9C2C47B64?entity=Lines HTTP/1.1\r\nHost: bench.test\r\nAuthorization: Bearer {token}\r\nContent-Length: 1024\r\n\r\n"
    );
    let mut request = head.into_bytes();
    request.extend([b'x'; 1024]);
    let mut answer = [0u8; 4096];
    while !over.load(Ordering::Relaxed) {
        stream.write_all(&request).unwrap();
        let mut filled = 0;
        // The answer ends with the quoted id.
        while filled < 40 || answer[filled - 1] != b'"' {
            let count = stream.read(&mut answer[filled..]).unwrap();
            assert!(count > 0, "the connection was closed");
            filled += count;
        }
        assert!(answer.starts_with(b"HTTP/1.1 200"), "{}", String::from_utf8_lossy(&answer[..filled]));
        sent.fetch_add(1, Ordering::Relaxed);
        // As any client does, after requests_per_connection.
        if memchr::memmem::find(&answer[..filled], b"Connection: close").is_some() {
            stream = connect();
        }
    }
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
            .args(["-n", "-h", &home.display().to_string(), "-U", "bench", "-M", "prepared", "-j", "2", "-T", "4", "-f"])
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

const QUEUE: &str = "CREATE TABLE queue (id uuid PRIMARY KEY, job uuid NOT NULL, state text NOT NULL, received_at timestamptz NOT NULL DEFAULT now(), \
     payload bytea NOT NULL); CREATE INDEX ON queue (job, received_at) WHERE state = 'queued'";
const INSERT: &str = "INSERT INTO queue (id, job, state, payload) VALUES (gen_random_uuid(), '6d31e09f-0249-459f-94f0-aad9c2c47b64', 'queued', \
     decode(repeat('ab', 1024), 'hex'));\n";

fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

fn enqueues(dir: &Path) {
    let config = configuration(dir);
    let start = Instant::now();
    let appliance = Appliance::start(config.clone(), Clock::system()).unwrap();
    let listener = Listener::start(&appliance).unwrap();
    println!("\ndurable enqueue of 1 KiB; started in {:.0?}", start.elapsed());
    let now = Clock::system().now();
    let audience = "http://bench.test";
    let issued = entrepot::auth::token::issue(
        &appliance.keyring,
        audience,
        config.applications[0].id,
        audience,
        entrepot::auth::token::Version::V1,
        now,
        Duration::from_secs(3600),
    );
    let token: Arc<str> = issued.unwrap().access_token.as_str().into();
    let postgres = Postgres::start(dir);
    for clients in [1, 8, 64] {
        let lone = lone_rate(dir);
        let (over, sent) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
        let before = appliance.store.commits();
        let start = Instant::now();
        let threads: Vec<_> = (0..clients)
            .map(|_| {
                let (over, sent, token, address) = (over.clone(), sent.clone(), token.clone(), listener.address);
                std::thread::spawn(move || client(address, &token, &over, &sent))
            })
            .collect();
        std::thread::sleep(Duration::from_secs(4));
        over.store(true, Ordering::Relaxed);
        threads.into_iter().for_each(|thread| thread.join().unwrap());
        let rate = sent.load(Ordering::Relaxed) as f64 / start.elapsed().as_secs_f64();
        let after = appliance.store.commits();
        let batch = (after.steps - before.steps) as f64 / (after.rounds - before.rounds) as f64;
        println!(
            "  {clients:>2} clients {rate:>8.0}/s   lone append and sync {lone:>6.0}/s   ratio {:.2}   {batch:.1} messages a commit",
            rate / lone
        );
        if let Some(rates) = postgres.as_ref().and_then(|postgres| postgres.rate(dir, clients)) {
            println!("              PostgreSQL {rates:>6.0}/s   ratio {:.2}", rate / rates);
        }
    }
    println!("  peak {} MiB", peak_mib());
    listener.stop();
    appliance.stop();
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
    let _ = std::fs::remove_dir_all(&dir);
}
