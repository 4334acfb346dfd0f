//! `entrepot try`: a document through the whole chain, and nothing is stored.

use std::fs::File;
use std::io::Read;
use std::path::PathBuf;
use std::sync::Arc;

use serde_json::json;

use super::{ConfigFile, Failure};
use crate::document::sniff;
use crate::inbound::trial::{self, Limits, Row};
use crate::model::finding::Rule;
use crate::model::project::Direction;
use crate::store::entities::Entities;
use crate::transform::Passage;

#[derive(clap::Args)]
pub struct Try {
    /// The project.
    project: String,
    /// The document.
    file: PathBuf,
    /// The project's entity; without, its first.
    #[arg(long)]
    entity: Option<String>,
    /// The legal entity of the message.
    #[arg(long)]
    company: Option<String>,
    /// Rows to show.
    #[arg(long, default_value_t = 5)]
    rows: usize,
    /// Findings to show.
    #[arg(long, default_value_t = 20)]
    findings: usize,
    /// Bytes to show of what each stylesheet gives.
    #[arg(long, default_value_t = 2000)]
    preview: usize,
    #[command(flatten)]
    config: ConfigFile,
    /// For programs.
    #[arg(long)]
    json: bool,
}

impl Try {
    pub fn run(self) -> Result<(), Failure> {
        let config = self.config.load()?.config;
        let Some(project) = config.projects.iter().find(|project| project.name.eq_ignore_ascii_case(&self.project)) else {
            let names: Vec<&str> = config.projects.iter().map(|project| project.name.as_str()).collect();
            return Err(Failure::usage(format!("there is no project \"{}\"\n  hint: known are {}", self.project, names.join(", "))));
        };
        if project.direction == Direction::Export {
            return Err(Failure::usage(format!("\"{}\" is an export\n  hint: documents are tried on imports", project.name)));
        }
        let found = match &self.entity {
            Some(label) => project.entity(label),
            None => project.entities.first(),
        };
        let Some(project_entity) = found else {
            let names: Vec<&str> = project.entities.iter().map(|one| one.entity.name.as_str()).collect();
            return Err(Failure::usage(format!("the project has no such entity\n  hint: it has {}", names.join(", "))));
        };
        let unreadable = |error: std::io::Error| Failure::no(format!("cannot read {}: {error}", self.file.display()));
        // What is a pipe can be read once.
        let (mut file, mut first) = (File::open(&self.file).map_err(unreadable)?, Vec::new());
        Read::by_ref(&mut file).take(16 * 1024).read_to_end(&mut first).map_err(unreadable)?;
        let document = first.as_slice().chain(file);
        let entity = &project_entity.entity;
        let here: Vec<_> = config.entities.iter().filter(|one| one.database == entity.database).cloned().collect();
        let needed = |one: &&Arc<_>| Arc::ptr_eq(one, entity) || project_entity.needs().any(|name| one.is_called(name));
        let tables: Vec<_> = here.iter().filter(needed).cloned().collect();
        let entities = Entities::new(&config.databases);
        let database = entities.trial(&entity.database, &tables).map_err(|error| Failure::no(error.to_string()))?;
        let limits = Limits { rows: self.rows, findings: self.findings, preview: self.preview };
        let (report, shown) = trial::run(project_entity, &here, &database, self.company.as_deref(), document, limits, &config.xslt)
            .map_err(|error| Failure::no(error.to_string()))?;
        let counts = report.counts;
        if self.json {
            let row = |row: &Row| {
                let values: serde_json::Map<String, serde_json::Value> =
                    row.values.iter().map(|(name, value)| (name.clone(), json!(value))).collect();
                json!({ "entity": row.entity, "values": values })
            };
            let rows: Vec<_> = shown.rows.iter().map(row).collect();
            let passage = |passage: &Passage| json!({ "stylesheet": passage.stylesheet, "way": passage.way, "bytes": passage.bytes, "elapsed_ms": passage.elapsed_ms, "result": passage.preview });
            let transform: Vec<_> = shown.passages.iter().map(passage).collect();
            let answer = json!({
                "format": project_entity.format.name(), "looks_like": sniff::looks(&first).name(), "entity": entity.name, "transform": transform,
                "counts": counts,
                "document_refused": report.document_refused, "rows": rows, "findings_total": report.findings, "findings": shown.findings,
            });
            println!("{answer}");
        } else {
            println!(
                "{}: {}, read as {} for \"{}\" in {} ms",
                self.file.display(),
                sniff::looks(&first).name(),
                project_entity.format.name(),
                entity.name,
                report.load_ms
            );
            shown.passages.iter().for_each(|passage| println!("\n{}", passage_text(passage)));
            println!(
                "{} rows: {} new, {} changed, {} unchanged, {} refused; nothing was stored",
                counts.read, counts.inserted, counts.updated, counts.unchanged, counts.refused
            );
            if !shown.rows.is_empty() {
                println!(
                    "\nthe first rows, as they would be loaded{}",
                    if report.document_refused { " if the document were whole" } else { "" }
                );
                for row in &shown.rows {
                    let of = if row.entity == entity.name { String::new() } else { format!("{}: ", row.entity) };
                    println!("  {of}{}", row_line(row));
                }
            }
            if !shown.findings.is_empty() {
                println!("\nfindings");
                let all = shown.findings.iter().map(|finding| finding_text(&json!(finding), &entity.name));
                all.for_each(|text| println!("{text}"));
                let faults = shown.findings.iter().filter(|finding| finding.rule != Rule::Message).count() as u64;
                if report.findings > faults {
                    println!("  and {} more; --findings shows more", report.findings - faults);
                }
            }
        }
        match report.findings {
            0 => Ok(()),
            1 => Err(Failure::no("one finding")),
            count => Err(Failure::no(format!("{count} findings"))),
        }
    }
}

/// What a stylesheet gave, with its way.
pub fn passage_text(passage: &Passage) -> String {
    let mut text = format!("{}: {}; {} bytes in {} ms", passage.stylesheet, passage.way, passage.bytes, passage.elapsed_ms);
    passage.preview.lines().for_each(|line| text.push_str(&format!("\n  | {line}")));
    if (passage.preview.len() as u64) < passage.bytes.saturating_sub(3) && !passage.preview.is_empty() {
        text.push_str("\n  | … (--preview shows more)");
    }
    text
}

/// A row on one line.
pub fn row_line(row: &Row) -> String {
    let values: Vec<String> = row
        .values
        .iter()
        .map(|(name, value)| format!("{name}={}", value.as_deref().map_or_else(|| "-".into(), |value| format!("{value:?}"))))
        .collect();
    values.join(" ")
}

/// A finding as people read it; its entity is named when it is another than this one.
pub fn finding_text(finding: &serde_json::Value, entity: &str) -> String {
    let text = |name: &str| finding[name].as_str().unwrap_or_default();
    let mut place = match (finding["line"].as_u64().unwrap_or(0), finding["row"].as_u64().unwrap_or(0)) {
        (0, 0) => "the document".to_owned(),
        (line, 0) => format!("line {line}"),
        (line, row) => format!("line {line}, row {row}"),
    };
    if let Some(subject) = ["column", "field"].into_iter().find(|name| !text(name).is_empty()) {
        place.push_str(&format!(", {subject} \"{}\"", text(subject)));
    }
    if !["", entity].contains(&text("entity")) {
        place.push_str(&format!(" ({})", text("entity")));
    }
    let found = if text("value").is_empty() { String::new() } else { format!("found {:?}, ", text("value")) };
    let codes = [text("code"), text("dmf_code")].into_iter().filter(|code| !code.is_empty()).collect::<Vec<_>>().join(", ");
    let hint = if text("hint").is_empty() { String::new() } else { format!("\n    hint: {}", text("hint")) };
    format!("  {place}: {found}{} [{codes}]{hint}", text("message"))
}
