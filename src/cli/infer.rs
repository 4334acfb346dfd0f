//! `entrepot infer`: from a sample to the `[[entity]]` and `[[project]]` that would import it, tried at once with the engine of the live run.

use std::fmt::Write as _;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use toml_edit::Value;

use super::{ConfigFile, Failure};
use crate::config::parse;
use crate::document::infer::{self, Guess};
use crate::inbound::trial::{self, Limits};
use crate::store::entities::Writing;

/// Bytes of a sample that are looked at.
const SAMPLE_MAX: u64 = 16 * 1024 * 1024;

#[derive(clap::Args)]
pub struct Infer {
    /// The sample: delimited text, XML, JSON, JSON Lines or a workbook.
    file: PathBuf,
    /// The entity's name; without, the file's.
    #[arg(long)]
    name: Option<String>,
    /// Put it into the configuration file, at its end; comments and order are kept.
    #[arg(long)]
    add: bool,
    #[command(flatten)]
    config: ConfigFile,
}

impl Infer {
    pub fn run(self) -> Result<(), Failure> {
        let mut sample = Vec::new();
        File::open(&self.file)
            .and_then(|file| file.take(SAMPLE_MAX).read_to_end(&mut sample))
            .map_err(|error| Failure::no(format!("cannot read {}: {error}", self.file.display())))?;
        let name = self.name.clone().unwrap_or_else(|| {
            let stem = self.file.file_stem().unwrap_or_default().to_string_lossy();
            stem.replace(['_', '-'], " ").trim().to_owned()
        });
        let guess = infer::infer(&sample).map_err(|reason| Failure::no(format!("cannot infer from {}: {reason}", self.file.display())))?;
        let text = configuration(&name, &guess);
        let outcome = tried(&text, &sample)?;
        let mut comment = format!("# Inferred from {}: {} records looked at; {outcome}.\n", self.file.display(), guess.records);
        for note in &guess.notes {
            let _ = writeln!(comment, "# - {note}");
        }
        if !self.add {
            print!("{comment}{text}");
            return Ok(());
        }
        let file = self.config.find().ok_or_else(|| Failure::usage("no configuration file was found\n  hint: name one with --config"))?;
        add(&file, &format!("\n{comment}{text}"))?;
        println!("{}: the entity \"{name}\" and the project \"{name} in\" were added; {outcome}", file.display());
        guess.notes.iter().for_each(|note| println!("  look at this: {note}"));
        Ok(())
    }
}

/// The entity and the project, as the configuration writes them.
fn configuration(name: &str, guess: &Guess) -> String {
    let quoted = |text: &str| Value::from(text).to_string();
    let table: String = name.to_lowercase().chars().map(|c| if c.is_alphanumeric() { c } else { '_' }).collect();
    let key: Vec<String> = guess.key.iter().map(|at| quoted(&guess.fields[*at].name)).collect();
    let mut text = format!("[[entity]]\nname = {}\ntable = {}\nkey = [{}]\nfields = [\n", quoted(name), quoted(&table), key.join(", "));
    for (at, field) in guess.fields.iter().enumerate() {
        let required = if guess.key.contains(&at) { ", required = true" } else { "" };
        let _ = writeln!(text, "  {{ name = {}, {}{required} }},", quoted(&field.name), field.kind);
    }
    let _ = write!(text, "]\n\n[[project]]\nname = {}\ndirection = \"import\"\n", quoted(&format!("{name} in")));
    let _ = write!(text, "  [[project.entity]]\n  entity = {}\n  format = {}\n  mapping = [\n", quoted(name), guess.format);
    for field in &guess.fields {
        let source = if field.numbered { field.source.clone() } else { quoted(&field.source) };
        let _ = writeln!(text, "    {{ source = {source}, field = {}{} }},", quoted(&field.name), field.mapping);
    }
    text.push_str("  ]\n");
    text
}

/// Loads the sample with what was inferred, in memory, and says how it went.
fn tried(text: &str, sample: &[u8]) -> Result<String, Failure> {
    let config = parse::parse(text, Path::new("/"), None)
        .map_err(|problems| Failure::no(format!("what was inferred is not accepted:\n{problems}")))?
        .config;
    let entity = &config.projects[0].entities[0];
    let run = || {
        let database = Writing::scratch(&config.entities)?;
        trial::run(entity, &config.entities, &database, None, sample, Limits { rows: 0, findings: 1, preview: 0 }, &config.xslt)
    };
    let (report, shown) = run().map_err(|error| Failure::no(error.to_string()))?;
    let counts = report.counts;
    let replaced = counts.updated + counts.unchanged;
    let mut outcome = format!("tried: {} of {} rows would be loaded", counts.inserted + counts.updated + counts.unchanged, counts.read);
    if let Some(finding) = shown.findings.first() {
        let _ = write!(outcome, ", the first finding is in line {}: {} {}", finding.line, finding.column, finding.message);
    }
    if replaced > 0 {
        let _ = write!(outcome, "; {replaced} of them have the key of a row before them and replace it: choose another key");
    }
    Ok(outcome)
}

/// Appends to the file, when the whole of it is accepted.
fn add(file: &Path, more: &str) -> Result<(), Failure> {
    let unreadable = |error: std::io::Error| Failure::no(format!("cannot write {}: {error}", file.display()));
    let text = std::fs::read_to_string(file).map_err(unreadable)?;
    let whole = format!("{}\n{more}", text.trim_end_matches('\n'));
    let base = file.parent().unwrap_or(Path::new("."));
    parse::parse(&whole, base, Some(file.to_owned()))
        .map_err(|problems| Failure::no(format!("with it the file would not be accepted:\n{problems}")))?;
    crate::files::replace(file, whole.as_bytes()).map_err(unreadable)
}
