//! Order lines in and out as delimited text, against the shell of SQLite.

use std::fs::File;
use std::io::Write;
use std::ops::ControlFlow;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant};

use entrepot::config::Config;
use entrepot::document::read::{self, Layout, Take};
use entrepot::document::record::Record;
use entrepot::inbound::block::Block;
use entrepot::inbound::plan::{self, Plan};
use entrepot::store::entities::Entities;

use crate::load::{Nothing, configuration, database_of, import_once, import_with, installed, peak_mib};
use crate::orders;

pub fn documents(dir: &Path, rows: u64) {
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

/// Reads, maps and validates a document into blocks of rows that nobody loads: what more parsing threads could save.
pub fn parsing_alone(config: &Config, file: &Path) -> Duration {
    struct Mapping<'a>(&'a Config, Option<Plan<'a>>, Block, u64);
    impl Take for Mapping<'_> {
        fn layout(&mut self, layout: &Layout) -> ControlFlow<()> {
            self.1 = Some(Plan::new(&self.0.projects[0].entities[0], &self.0.entities, None, layout).unwrap());
            ControlFlow::Continue(())
        }
        fn record(&mut self, record: &mut Record) -> ControlFlow<()> {
            self.3 += 1;
            self.1.as_mut().unwrap().apply(record, self.3, &mut self.2);
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
