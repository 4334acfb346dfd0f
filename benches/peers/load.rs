//! Loading a document as the product does, without a queue.

use std::fs::File;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant};

use entrepot::clock::Clock;
use entrepot::config::{Config, Database, parse};
use entrepot::inbound::import::{self, Import, ImportError, Report, Sink};
use entrepot::model::execution::{RowCounts, StagingStatus};
use entrepot::model::finding::Finding;
use entrepot::store::entities::Entities;

use crate::orders;

pub fn configuration(dir: &Path) -> Config {
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
pub struct Nothing(pub Option<PathBuf>);

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

pub fn import_once(config: &Config, entities: &Entities, file: &Path, message: &str) -> (Duration, RowCounts) {
    let (took, report) = import_with(config, entities, File::open(file).unwrap(), message, &mut Nothing::default());
    (took, report.counts)
}

pub fn import_with(
    config: &Config,
    entities: &Entities,
    document: impl Read + Send,
    message: &str,
    sink: &mut Nothing,
) -> (Duration, Report) {
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

pub fn database_of(dir: &Path, name: &str) -> Entities {
    Entities::new(&[Database { path: dir.join(format!("{name}.db")), ..Database::managed(dir) }])
}

pub fn installed(program: &str) -> bool {
    let found = Command::new(program).arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status().is_ok();
    if !found {
        println!("  ({program} is not installed: its row is left out)");
    }
    found
}

pub fn peak_mib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    status
        .lines()
        .find_map(|line| line.strip_prefix("VmHWM:"))
        .and_then(|rest| rest.split_whitespace().next()?.parse::<u64>().ok())
        .unwrap_or(0)
        / 1024
}
