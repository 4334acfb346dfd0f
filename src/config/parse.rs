//! From the file's text to [`Config`]: everything is checked, every problem told, nothing half-understood.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use super::application::{read_applications, read_issuers};
use super::entity::{Looks, judge_tables, read_databases, read_entities};
use super::job::read_jobs;
use super::problem::{Problem, Problems};
use super::project::read_projects;
use super::section::{Report, Section};
use super::server::{default_server, read_queue, read_server};
use super::stylesheet::{Stylesheets, read_budget};
use super::watched::Watched;
use super::{Config, Server, limits};
use crate::edge::Settings;
use crate::model::nearest::nearest;

/// A larger file is refused unread.
pub const FILE_MAX: u64 = 8 * 1024 * 1024;

/// A configuration that can be used, and what should be looked at all the same.
#[derive(Debug)]
pub struct Checked {
    /// The configuration.
    pub config: Config,
    /// Warnings only.
    pub warnings: Vec<Problem>,
}

/// Reads and checks a file.
pub fn load(path: &Path) -> Result<Checked, Problems> {
    let watched = Watched::look(path);
    let alone = |message: String, hint: &str| Problems {
        file: Some(path.to_owned()),
        problems: vec![Problem { line: 0, column: 0, key: "file".into(), message, hint: hint.into(), warning: false }],
        watched: vec![watched.clone()],
    };
    let unreadable = |error: std::io::Error| {
        let hint = match error.kind() {
            ErrorKind::PermissionDenied => "run this as root (sudo); the appliance's user must be able to read it, too",
            ErrorKind::InvalidData => "it must be text in UTF-8",
            _ => "name another with --config, or make one with entrepot init",
        };
        alone(format!("cannot be read: {error}"), hint)
    };
    let size = std::fs::metadata(path).map_err(unreadable)?.len();
    if size > FILE_MAX {
        return Err(alone(format!("it has {size} bytes, at most {FILE_MAX} are read"), "name another with --config"));
    }
    let text = std::fs::read_to_string(path).map_err(unreadable)?;
    let path = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    let base = path.parent().unwrap_or(Path::new(".")).to_owned();
    let mut read = parse(&text, &base, Some(path));
    match &mut read {
        Ok(checked) => checked.config.watched.insert(0, watched),
        Err(problems) => problems.watched.insert(0, watched),
    }
    read
}

/// The `[server]` of a file that may be wrong elsewhere, even be no TOML: for who asks the appliance that goes on with an earlier state of it.
pub fn load_server(path: &Path) -> Option<Server> {
    let bytes = std::fs::read(path).ok().filter(|bytes| bytes.len() as u64 <= FILE_MAX)?;
    let text = String::from_utf8_lossy(&bytes);
    let path = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    Some(parse_server(&text, path.parent().unwrap_or(Path::new("."))))
}

pub(super) fn parse_server(text: &str, base: &Path) -> Server {
    let mut inside = false;
    // Of what is no TOML as a whole, the lines that are, each by itself.
    let lines = text.lines().filter(|line| match line.trim_start().starts_with('[') {
        true => {
            inside = line.trim_start().starts_with("[server]");
            inside
        }
        false => inside && toml_edit::Document::parse(*line).is_ok(),
    });
    let lines: Vec<&str> = lines.collect();
    let legible = if toml_edit::Document::parse(text).is_ok() { text.to_owned() } else { lines.join("\n") };
    let report = Report::new(&legible);
    let Ok(document) = toml_edit::Document::parse(legible.as_str()) else { return default_server(base) };
    let root = Section::root(document.as_table(), &report);
    root.section("server").map_or_else(|| default_server(base), |section| read_server(section, base))
}

/// Checks a text. Relative paths are relative to `base`.
pub fn parse(text: &str, base: &Path, file: Option<PathBuf>) -> Result<Checked, Problems> {
    let report = Report::new(text);
    let stylesheets = Stylesheets::new(base);
    let config = match toml_edit::Document::parse(text) {
        Ok(document) => {
            let root = Section::root(document.as_table(), &report);
            note_misspelled(&root);
            let config = read(&root, base, file.clone(), &stylesheets);
            root.finish();
            config
        }
        Err(error) => {
            let message = error.message().trim().replace('\n', ", ");
            let hint = match message.as_str() {
                "duplicate key" => "the same key stands twice in its table: take one out, or begin another table with [[…]]",
                _ => "correct it here, or shortly before; https://toml.io has the rules",
            };
            report.add(error.span(), "file", format!("this is no TOML: {message}"), hint, false);
            None
        }
    };
    let problems = report.take();
    match config {
        Some(config) if problems.iter().all(|problem| problem.warning) => Ok(Checked { config, warnings: problems }),
        _ => Err(Problems { file, problems, watched: stylesheets.watched() }),
    }
}

/// What stands under a misspelled name is there all the same: `[[entities]]`.
fn note_misspelled(root: &Section<'_>) {
    const KINDS: [&str; 4] = ["entity", "project", "application", "database"];
    for (key, item) in root.keys() {
        let Some(kind) = nearest(key, KINDS).filter(|kind| *kind != key) else { continue };
        let tables = item.as_array_of_tables().into_iter().flatten();
        tables.filter_map(|table| table.get("name")?.as_str()).for_each(|name| root.is_broken(kind, name));
    }
}

/// Every key that reading this text asks for, after the place of its table.
#[cfg(test)]
pub(super) fn keys_asked(text: &str) -> std::collections::BTreeSet<(String, &'static str)> {
    let report = Report::new(text);
    let document = toml_edit::Document::parse(text).expect("the test wrote TOML");
    read(&Section::root(document.as_table(), &report), Path::new("/base"), None, &Stylesheets::new(Path::new("/base")));
    report.asked.take()
}

fn read(root: &Section<'_>, base: &Path, file: Option<PathBuf>, stylesheets: &Stylesheets) -> Option<Config> {
    let mut server = root.section("server").map_or_else(|| default_server(base), |section| read_server(section, base));
    let trusted_proxies = std::mem::take(&mut server.limits.trusted_proxies);
    server.limits = Settings { trusted_proxies, ..limits::read(root.section("limits")) };
    let queue = read_queue(root.section("queue"));
    let applications = read_applications(root);
    let issuers = read_issuers(root, base, &server.public_url);
    let databases = read_databases(root, base, &server.data_dir);
    let looks = Looks::default();
    let entities = read_entities(root, &databases, &looks);
    let (projects, tests) = read_projects(root, &entities, base, stylesheets);
    judge_tables(root, &databases, &entities, &projects, &looks);
    let jobs = read_jobs(root, &projects, &applications);
    let users = super::user::read(root);
    let faults = super::fault::read_faults(root);
    root.later("alert");
    let xslt = read_budget(root.section("xslt"));
    let watched = stylesheets.watched();
    let overrides = super::Overrides::default();
    Some(Config {
        file,
        server,
        queue,
        users,
        applications,
        issuers,
        databases,
        entities,
        projects,
        tests,
        jobs,
        faults,
        xslt,
        watched,
        overrides,
    })
}
