//! From the file's text to [`Config`]: everything is checked, every problem told, nothing half-understood.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use chrono::NaiveDateTime;
use chrono_tz::Tz;
use toml_edit::Item;

use super::problem::{Problem, Problems, suggest};
use super::section::{Report, Section};
use super::{Application, Config, Database, Issuer, Queue, Server, limits};
use crate::auth::secret;
use crate::document::value::{self, Reading};
use crate::edge::Settings;
use crate::model::entity::{Decimal, Entity, Field, FieldKind};
use crate::model::format::{CsvFormat, Format};
use crate::model::id::{ActivityId, ApplicationId, parse_guid};
use crate::model::job::{Company, Job, Recurrence};
use crate::model::mapping::{Mapping, Source};
use crate::model::project::{Condition, Direction, Project, ProjectEntity, Test};
use crate::recurrence::Schedule;

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
    let alone = |message: String, hint: &str| Problems {
        file: Some(path.to_owned()),
        problems: vec![Problem { line: 0, column: 0, key: "file".into(), message, hint: hint.into(), warning: false }],
    };
    let size = std::fs::metadata(path)
        .map_err(|error| alone(format!("cannot be read: {error}"), "name another with --config, or make one with entrepot init"))?
        .len();
    if size > FILE_MAX {
        return Err(alone(format!("it has {size} bytes, at most {FILE_MAX} are read"), ""));
    }
    let text = std::fs::read_to_string(path).map_err(|error| alone(format!("cannot be read: {error}"), "it must be text in UTF-8"))?;
    let path = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    let base = path.parent().unwrap_or(Path::new(".")).to_owned();
    parse(&text, &base, Some(path))
}

/// Checks a text. Relative paths are relative to `base`.
pub fn parse(text: &str, base: &Path, file: Option<PathBuf>) -> Result<Checked, Problems> {
    let report = Report::new(text);
    let config = match toml_edit::Document::parse(text) {
        Ok(document) => {
            let root = Section::new(document.as_table(), Some(0..0), "", &report);
            let config = read(&root, base, file.clone());
            root.finish();
            config
        }
        Err(error) => {
            report.add(
                error.span(),
                "file",
                format!("this is no TOML: {}", error.message().trim().replace('\n', ", ")),
                "see https://toml.io",
                false,
            );
            None
        }
    };
    let problems = report.take();
    match config {
        Some(config) if problems.iter().all(|problem| problem.warning) => Ok(Checked { config, warnings: problems }),
        _ => Err(Problems { file, problems }),
    }
}

fn read(root: &Section<'_>, base: &Path, file: Option<PathBuf>) -> Option<Config> {
    let mut server = root.section("server").map_or_else(|| default_server(base), |section| read_server(section, base));
    let trusted_proxies = std::mem::take(&mut server.limits.trusted_proxies);
    server.limits = Settings { trusted_proxies, ..limits::read(root.section("limits")) };
    let queue = read_queue(root.section("queue"));
    let applications = read_applications(root);
    let issuers = read_issuers(root, base, &server.public_url);
    let databases = read_databases(root, base, &server.data_dir);
    let entities = read_entities(root, &databases);
    let projects = read_projects(root, &entities);
    let jobs = read_jobs(root, &projects, &applications);
    let users = super::user::read(root);
    for name in ["alert", "fault"] {
        root.later(name);
    }
    Some(Config { file, server, queue, users, applications, issuers, databases, entities, projects, jobs })
}

fn default_server(base: &Path) -> Server {
    let listen = SocketAddr::from(([127, 0, 0, 1], 8420));
    Server {
        listen,
        public_url: format!("http://{listen}"),
        data_dir: base.join("data"),
        workers: default_workers(),
        stop_grace: Duration::from_secs(30),
        https: None,
        limits: limits::defaults(),
    }
}

fn default_workers() -> usize {
    std::thread::available_parallelism().map_or(2, usize::from).max(2)
}

fn read_server(section: Section<'_>, base: &Path) -> Server {
    let mut server = default_server(base);
    if let Some(text) = section.text("listen") {
        match SocketAddr::from_str(&text) {
            Ok(listen) => server.listen = listen,
            Err(_) => section.problem(
                "listen",
                format!("\"{text}\" is no address and port"),
                "write \"127.0.0.1:8420\", or \"0.0.0.0:8420\" for all of this machine's addresses",
            ),
        }
    }
    server.public_url = format!("http://{}", server.listen);
    if let Some(text) = section.text("public_url") {
        let host = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://")).unwrap_or_default().trim_end_matches('/');
        let plain = |c: char| c.is_ascii_alphanumeric() || "-._~:[]/".contains(c);
        if host.is_empty() || !host.chars().all(plain) {
            section.problem(
                "public_url",
                format!("\"{text}\" is no base URL"),
                "write http:// or https:// and the name under which clients reach this appliance",
            );
        } else {
            server.public_url = text.trim_end_matches('/').to_owned();
        }
    }
    if let Some(text) = section.text("data_dir") {
        server.data_dir = base.join(text);
    }
    if let Some(workers) = section.integer("workers", 1..=64) {
        server.workers = usize::try_from(workers).unwrap_or(2);
    }
    server.stop_grace = section.duration("stop_grace", server.stop_grace, Duration::ZERO..=Duration::from_secs(3600));
    if !server.listen.ip().is_loopback() {
        section.warning(
            "listen",
            "this address can be reached from outside, without encryption",
            "add [server.https], put a reverse proxy with HTTPS in front, or listen on 127.0.0.1",
        );
    }
    server.limits.trusted_proxies = limits::read_proxies(&section);
    server.https = section.section("https").and_then(|section| limits::read_https(section, base));
    section.finish();
    server
}

fn read_queue(section: Option<Section<'_>>) -> Queue {
    const DAY: Duration = Duration::from_secs(86_400);
    let mut queue = Queue {
        lease: Duration::from_secs(1800),
        retention: 7 * DAY,
        history: 90 * DAY,
        max_body: 2 << 30,
        findings_max: 10_000,
        free_min: 256 << 20,
    };
    if let Some(section) = section {
        queue.lease = section.duration("lease", queue.lease, Duration::from_secs(1)..=7 * DAY);
        queue.retention = section.duration("retention", queue.retention, Duration::from_secs(60)..=3650 * DAY);
        queue.history = section.duration("history", queue.history, DAY..=3650 * DAY);
        if queue.history < queue.retention {
            section.problem("history", "messages would be forgotten before their payloads", "make it at least as long as retention");
        }
        queue.max_body = section.size("max_body", queue.max_body, 1024..=1 << 40);
        queue.free_min = section.size("free_min", queue.free_min, 0..=1 << 40);
        if let Some(most) = section.integer("findings_max", 1..=10_000_000) {
            queue.findings_max = most.unsigned_abs();
        }
        section.finish();
    }
    queue
}

fn guid<T: From<uuid::Uuid>>(section: &Section<'_>, name: &'static str) -> Option<T> {
    let text = section.name(name)?;
    match parse_guid(&text) {
        Ok(guid) => Some(guid.into()),
        Err(error) => {
            section.problem(name, format!("\"{text}\" is {error}"), "clients of D365 insist on GUIDs");
            None
        }
    }
}

impl From<uuid::Uuid> for ApplicationId {
    fn from(guid: uuid::Uuid) -> Self {
        ApplicationId(guid)
    }
}

impl From<uuid::Uuid> for ActivityId {
    fn from(guid: uuid::Uuid) -> Self {
        ActivityId(guid)
    }
}

fn read_applications(root: &Section<'_>) -> Vec<Application> {
    let mut applications: Vec<Application> = Vec::new();
    for section in root.sections("application") {
        let id = guid::<ApplicationId>(&section, "id");
        let name = section.name("name");
        let enabled = section.boolean("enabled", true);
        let secret_hash = section.text("secret_hash").and_then(|text| {
            let hash = secret::parse_hash(&text).ok();
            if hash.is_none() {
                section.problem(
                    "secret_hash",
                    "this is no hash of a secret",
                    "write sha256: and 64 hexadecimal digits; entrepot app add makes one",
                );
            }
            hash
        });
        if secret_hash == Some(secret::hash("")) {
            section.warning("secret_hash", "this is the hash of an empty secret", "make a secret with entrepot app add");
        }
        if let (Some(id), Some(name)) = (id, name) {
            if applications.iter().any(|other| other.id == id) {
                section.problem("id", "another application has this id", "");
            }
            applications.push(Application { id, name, secret_hash, enabled });
        }
        section.finish();
    }
    applications
}

fn read_issuers(root: &Section<'_>, base: &Path, public_url: &str) -> Vec<Issuer> {
    let mut issuers = Vec::new();
    for section in root.sections("issuer") {
        let issuer = section.name("issuer");
        let audience = section.texts("audience").unwrap_or_else(|| vec![public_url.to_owned()]);
        let jwks = section.name("jwks");
        if jwks.as_deref().is_some_and(|jwks| jwks.starts_with("http")) {
            section.problem("jwks", "keys are not fetched in this version", "save the document as a file, and name the file here");
        } else if let (Some(issuer), Some(jwks)) = (issuer, jwks) {
            let jwks = base.join(jwks);
            let read = std::fs::read_to_string(&jwks).map_err(|error| error.to_string());
            if let Err(reason) = read.and_then(|text| {
                crate::auth::issuer::OutsideIssuer::new(&issuer, &audience, &text).map(|_| ()).map_err(|error| error.to_string())
            }) {
                section.problem("jwks", format!("{} cannot be used: {reason}", jwks.display()), "it must be a JWKS, as RFC 7517 says");
            }
            issuers.push(Issuer { issuer, audience, jwks });
        }
        section.finish();
    }
    issuers
}

fn read_databases(root: &Section<'_>, base: &Path, data_dir: &Path) -> Vec<Database> {
    let mut databases = vec![Database { name: "entities".into(), path: data_dir.join("entities.db"), managed: true }];
    for section in root.sections("database") {
        if let (Some(name), Some(path)) = (section.name("name"), section.name("sqlite")) {
            if databases.iter().any(|other| other.name == name) {
                section.problem("name", format!("there is another database \"{name}\""), "\"entities\" is the managed one");
            }
            databases.push(Database { name, path: base.join(path), managed: false });
        }
        section.finish();
    }
    databases
}

/// Names of tables and fields: any SQLite tool can read them, and they are not ours or SQLite's.
fn identifier(section: &Section<'_>, name: &'static str) -> Option<String> {
    let text = section.name(name)?;
    let lower = text.to_lowercase();
    if text.contains(['"', '\'', '`', ';', '\\']) || lower.starts_with("sqlite_") || lower.starts_with("entrepot_") {
        section.problem(
            name,
            format!("\"{text}\" cannot be a name in a table"),
            "no quotes, semicolons or backslashes, and not beginning with sqlite_ or entrepot_",
        );
        return None;
    }
    Some(text)
}

fn read_entities(root: &Section<'_>, databases: &[Database]) -> Vec<Arc<Entity>> {
    let mut entities: Vec<Entity> = Vec::new();
    let sections = root.sections("entity");
    for section in &sections {
        let name = section.name("name");
        let aliases = section.texts("aliases").unwrap_or_default();
        let database = section.text("database").unwrap_or_else(|| "entities".into());
        if !databases.iter().any(|known| known.name == database) {
            section.problem(
                "database",
                format!("there is no database \"{database}\""),
                suggest(&database, databases.iter().map(|database| database.name.as_str())),
            );
        }
        let table = identifier(section, "table");
        if section.boolean("change_tracking", false) {
            section.warning("change_tracking", "this has no effect yet", "every export is a full one in this version");
        }
        let mut fields: Vec<Field> = Vec::new();
        for field_section in section.sections("fields") {
            if let Some(field) = read_field(&field_section) {
                if fields.iter().any(|other| other.name.eq_ignore_ascii_case(&field.name)) {
                    field_section.problem("name", format!("there is another field \"{}\"", field.name), "");
                }
                fields.push(field);
            }
            field_section.finish();
        }
        if fields.is_empty() {
            section.problem("fields", "an entity has at least one field", "fields = [{ name = \"ID\", type = \"string\", length = 20 }]");
        }
        let mut key = Vec::new();
        for part in section.texts("key").unwrap_or_default() {
            match fields.iter().position(|field| field.name.eq_ignore_ascii_case(&part)) {
                Some(index) if !key.contains(&index) => key.push(index),
                Some(_) => section.problem("key", format!("\"{part}\" stands twice"), ""),
                None => section.problem(
                    "key",
                    format!("there is no field \"{part}\""),
                    suggest(&part, fields.iter().map(|field| field.name.as_str())),
                ),
            }
        }
        if key.is_empty() {
            section.problem("key", "an entity has a key", "key = [\"ID\"], the fields that tell one row from another");
        }
        if let (Some(name), Some(table)) = (name, table) {
            for label in std::iter::once(&name).chain(&aliases) {
                if entities.iter().any(|other| other.is_called(label)) {
                    section.problem("name", format!("another entity is called \"{label}\" too"), "clients could not tell them apart");
                }
            }
            if entities.iter().any(|other| other.database == database && other.table.eq_ignore_ascii_case(&table)) {
                section.problem("table", format!("another entity has the table \"{table}\" too"), "");
            }
            entities.push(Entity { name, aliases, database, table, key, fields });
        }
    }
    // References, once all entities are known.
    for section in &sections {
        let Some(name) = section.item("name").and_then(Item::as_str) else { continue };
        let Some(entity) = entities.iter().find(|entity| entity.name == name) else { continue };
        for field in &entity.fields {
            let Some(target) = &field.references else { continue };
            match entities.iter().find(|other| other.is_called(target)) {
                None => section.problem(
                    "fields",
                    format!("\"{}\" refers to \"{target}\", which is no entity", field.name),
                    suggest(target, entities.iter().map(|entity| entity.name.as_str())),
                ),
                Some(other) if other.key.len() != 1 => section.problem(
                    "fields",
                    format!("\"{}\" refers to \"{target}\", whose key has {} fields", field.name, other.key.len()),
                    "only entities with one key field can be referred to",
                ),
                Some(other) if other.database != entity.database => section.problem(
                    "fields",
                    format!("\"{}\" refers to \"{target}\" in another database", field.name),
                    "put both entities into one database",
                ),
                Some(other) if other.fields[other.key[0]].kind.name() != field.kind.name() => {
                    section.problem(
                        "fields",
                        format!(
                            "\"{}\" is {}, the key of \"{target}\" is {}",
                            field.name,
                            field.kind.name(),
                            other.fields[other.key[0]].kind.name()
                        ),
                        "give both the same type",
                    );
                }
                Some(_) => {}
            }
        }
    }
    sections.into_iter().for_each(Section::finish);
    entities.into_iter().map(Arc::new).collect()
}

const FIELD_TYPES: [&str; 8] = ["string", "integer", "decimal", "date", "datetime", "boolean", "enum", "guid"];

fn read_field(section: &Section<'_>) -> Option<Field> {
    let name = identifier(section, "name");
    let kind = section.text("type");
    let required = section.boolean("required", false);
    let references = section.text("references");
    let kind = match kind.as_deref() {
        Some("string") => {
            FieldKind::String { length: section.integer("length", 1..=1_000_000).and_then(|length| u32::try_from(length).ok()) }
        }
        Some("integer") => FieldKind::Integer,
        Some("decimal") => {
            let precision = section.integer("precision", 1..=38).unwrap_or(18);
            let scale = section.integer("scale", 0..=28).unwrap_or(2);
            if scale > precision {
                section.problem("scale", format!("{scale} digits after the point, of {precision} in all"), "make precision greater");
            }
            FieldKind::Decimal { precision: u8::try_from(precision).unwrap_or(38), scale: u8::try_from(scale.min(precision)).unwrap_or(2) }
        }
        Some("date") => FieldKind::Date,
        Some("datetime") => FieldKind::DateTime,
        Some("boolean") => FieldKind::Boolean,
        Some("guid") => FieldKind::Guid,
        Some("enum") => {
            let values: Vec<(String, i64)> = section.section("values").map_or_else(Vec::new, |values| {
                values.keys().into_iter().filter_map(|(name, item)| Some((name.to_owned(), item.as_integer()?))).collect()
            });
            if values.is_empty() {
                section.problem("values", "an enum has values", "values = { No = 0, Yes = 1 }");
            }
            FieldKind::Enum { values }
        }
        Some(other) => {
            section.problem("type", format!("there is no type \"{other}\""), suggest(other, FIELD_TYPES));
            return None;
        }
        None => {
            section.problem("type", "it is missing", format!("one of {}", FIELD_TYPES.join(", ")));
            return None;
        }
    };
    let minimum = read_bound(section, "minimum", &kind);
    let maximum = read_bound(section, "maximum", &kind);
    Some(Field { name: name?, kind, required, references, minimum, maximum })
}

fn read_bound(section: &Section<'_>, name: &'static str, kind: &FieldKind) -> Option<Decimal> {
    let item = section.item(name)?;
    let text = item
        .as_integer()
        .map(|value| value.to_string())
        .or_else(|| item.as_float().map(|value| value.to_string()))
        .or_else(|| item.as_str().map(str::to_owned));
    let bound = text.and_then(|text| value::parse_decimal(&text));
    if bound.is_none() || !matches!(kind, FieldKind::Integer | FieldKind::Decimal { .. }) {
        section.problem(name, "a bound is a number, for an integer or decimal field", "");
        return None;
    }
    bound
}

fn read_projects(root: &Section<'_>, entities: &[Arc<Entity>]) -> Vec<Arc<Project>> {
    let mut projects: Vec<Arc<Project>> = Vec::new();
    for section in root.sections("project") {
        let name = section.name("name");
        let direction = match section.name("direction").as_deref() {
            Some("import") => Some(Direction::Import),
            Some("export") => Some(Direction::Export),
            Some(other) => {
                section.problem("direction", format!("\"{other}\" is no direction"), "write import or export");
                None
            }
            None => None,
        };
        section.later("test");
        let mut project_entities = Vec::new();
        for entity_section in section.sections("entity") {
            let found = read_project_entity(&entity_section, entities, direction);
            if let Some(project_entity) = found {
                if project_entities.iter().any(|other: &ProjectEntity| other.entity.name == project_entity.entity.name) {
                    entity_section.problem("entity", "this entity stands twice in the project", "");
                }
                project_entities.push(project_entity);
            }
            entity_section.finish();
        }
        project_entities.sort_by_key(|entity| (entity.unit, entity.level, entity.sequence));
        if project_entities.is_empty() {
            section.problem("entity", "a project has at least one entity", "add [[project.entity]]");
        }
        if let (Some(name), Some(direction)) = (name, direction) {
            if projects.iter().any(|other| other.name == name) {
                section.problem("name", format!("there is another project \"{name}\""), "");
            }
            projects.push(Arc::new(Project { name, direction, entities: project_entities }));
        }
        section.finish();
    }
    projects
}

fn read_project_entity(section: &Section<'_>, entities: &[Arc<Entity>], direction: Option<Direction>) -> Option<ProjectEntity> {
    let label = section.name("entity");
    let format = section.section("format").map_or(Some(CsvFormat::default()), |format| {
        let read = read_format(&format);
        format.finish();
        read
    });
    section.later("transform");
    let number = |name| section.integer(name, 0..=10_000).and_then(|value| u32::try_from(value).ok()).unwrap_or(1);
    let (unit, level, sequence) = (number("unit"), number("level"), number("sequence"));
    match section.text("refresh").as_deref() {
        None | Some("full") => {}
        Some("incremental") => {
            section.problem("refresh", "incremental exports are not available in this version", "write refresh = \"full\"")
        }
        Some(other) => section.problem("refresh", format!("\"{other}\" is no way to refresh"), "write full"),
    }
    let label = label?;
    let Some(entity) = entities.iter().find(|entity| entity.is_called(&label)) else {
        section.problem(
            "entity",
            format!("there is no entity \"{label}\""),
            suggest(&label, entities.iter().map(|entity| entity.name.as_str())),
        );
        for name in ["mapping", "filter", "fields"] {
            section.item(name);
        }
        return None;
    };
    let format = format?;
    let mapping = if direction == Some(Direction::Export) {
        if section.item("mapping").is_some() {
            section.problem("mapping", "an export has no mapping", "choose columns with fields = [\"…\"]");
        }
        Vec::new()
    } else {
        read_mapping(section, entity, &format)
    };
    let field_of = |name: &str, key: &'static str| {
        let found = entity.field(name);
        if found.is_none() {
            section.problem(
                key,
                format!("\"{}\" has no field \"{name}\"", entity.name),
                suggest(name, entity.fields.iter().map(|field| field.name.as_str())),
            );
        }
        found
    };
    let fields = match section.texts("fields") {
        Some(names) => names.iter().filter_map(|name| field_of(name, "fields")).collect(),
        None => (0..entity.fields.len()).collect(),
    };
    let mut filter = Vec::new();
    for condition in section.sections("filter") {
        if let Some(field) = condition.name("field").and_then(|name| field_of(&name, "filter")) {
            filter.extend(read_condition(&condition, field, &entity.fields[field]));
        }
        condition.finish();
    }
    Some(ProjectEntity { entity: entity.clone(), format: Format::Csv(format), mapping, unit, level, sequence, filter, fields })
}

fn read_format(section: &Section<'_>) -> Option<CsvFormat> {
    let mut format = CsvFormat::default();
    match section.text("type").as_deref() {
        None | Some("csv") => {}
        Some(other @ ("fixed" | "xml-element" | "xml-attribute" | "excel" | "json" | "jsonl")) => {
            section.problem("type", format!("the format \"{other}\" is not available in this version"), "write csv");
            return None;
        }
        Some(other) => {
            section.problem("type", format!("there is no format \"{other}\""), "write csv");
            return None;
        }
    }
    if let Some(delimiter) = section.text("delimiter") {
        if delimiter.is_empty() || delimiter.len() > 16 || delimiter.contains(['\r', '\n']) {
            section.problem("delimiter", "a delimiter has 1 to 16 characters and no line end", "");
        } else {
            format.delimiter = delimiter;
        }
    }
    if let Some(end) = section.text("record_end") {
        if end.is_empty() || end.len() > 16 || end == format.delimiter {
            section.problem(
                "record_end",
                "a record end has 1 to 16 characters and is not the delimiter",
                "leave it out for ordinary lines",
            );
        } else {
            format.record_end = Some(end);
        }
    }
    let single = |name: &'static str, default: Option<char>| match section.text(name) {
        None => default,
        Some(text) if text.is_empty() => None,
        Some(text) if text.len() == 1 && text.is_ascii() && !text.contains(['\r', '\n']) => text.chars().next(),
        Some(text) => {
            section.problem(name, format!("\"{text}\" is not one plain character"), "write one ASCII character, or \"\" for none");
            default
        }
    };
    format.qualifier = single("qualifier", format.qualifier);
    format.escape = single("escape", None);
    format.header = section.boolean("header", true);
    if let Some(label) = section.text("encoding") {
        match encoding_rs::Encoding::for_label(label.as_bytes()) {
            Some(encoding) if encoding != encoding_rs::REPLACEMENT => format.encoding = encoding,
            _ => section.problem("encoding", format!("there is no encoding \"{label}\""), "write utf-8, utf-16le, windows-1252, …"),
        }
    }
    let skip = |name| section.integer(name, 0..=100_000).and_then(|value| u32::try_from(value).ok()).unwrap_or(0);
    (format.skip_first, format.skip_last) = (skip("skip_first"), skip("skip_last"));
    format.nulls = section.texts("nulls").unwrap_or_default();
    match section.text("decimal_separator").as_deref() {
        None | Some(".") => {}
        Some(",") => format.decimal_separator = ',',
        Some(other) => section.problem("decimal_separator", format!("\"{other}\" separates no decimals"), "write \".\" or \",\""),
    }
    Some(format)
}

fn zone(section: &Section<'_>, name: &'static str) -> Option<Tz> {
    let text = section.text(name)?;
    let zone = Tz::from_str(&text).ok();
    if zone.is_none() {
        section.problem(
            name,
            format!("there is no time zone \"{text}\""),
            suggest(&text, chrono_tz::TZ_VARIANTS.iter().map(|zone| zone.name()).filter(|name| name.len() > 3)),
        );
    }
    zone
}

fn read_mapping(section: &Section<'_>, entity: &Entity, format: &CsvFormat) -> Vec<Mapping> {
    if !section.has("mapping") {
        section.item("mapping");
        let source =
            |index: usize, field: &Field| if format.header { Source::Column(field.name.clone()) } else { Source::Number(index + 1) };
        return entity.fields.iter().enumerate().map(|(index, field)| Mapping::plain(source(index, field), index)).collect();
    }
    let mut mappings: Vec<Mapping> = Vec::new();
    for line in section.sections("mapping") {
        let source = match line.item("source") {
            Some(item) => match (item.as_str(), item.as_integer()) {
                (Some(name), _) if !format.header => {
                    line.problem(
                        "source",
                        format!("\"{name}\" is a name, and the document has no header"),
                        "write the column's number, from 1",
                    );
                    None
                }
                (Some(name), _) => Some(Source::Column(name.to_owned())),
                (_, Some(number)) if (1..=4096).contains(&number) => usize::try_from(number).ok().map(Source::Number),
                _ => {
                    line.problem("source", "a source is a column's name, or its number from 1", "");
                    None
                }
            },
            None => None,
        };
        let fixed = line.text("value").map(Source::Value);
        let blank = match line.text("when").as_deref() {
            None => false,
            Some("blank") => true,
            Some(other) => {
                line.problem("when", format!("\"{other}\" is not understood"), "write when = \"blank\"");
                false
            }
        };
        let sequence = line.text("number_sequence").map(|pattern| Source::NumberSequence { pattern, when_blank: blank });
        if let Some(Source::NumberSequence { pattern, .. }) = &sequence
            && (!pattern.contains('#') || pattern.trim_start_matches(|c| c != '#').trim_start_matches('#').contains('#'))
        {
            line.problem("number_sequence", "a pattern has one run of # for the number", "\"CG-#####\"");
        }
        let values = line.pairs("values");
        let ignore_blank = line.boolean("ignore_blank", false);
        let (trim, upper, lower) = (line.boolean("trim", false), line.boolean("upper", false), line.boolean("lower", false));
        let date_formats = line.texts("date_formats").unwrap_or_default();
        for pattern in &date_formats {
            if chrono::format::StrftimeItems::new(pattern).any(|item| item == chrono::format::Item::Error) {
                line.problem("date_formats", format!("\"{pattern}\" is no strftime pattern"), "as in \"%d.%m.%Y %H:%M\"");
            }
        }
        let time_zone = zone(&line, "time_zone");
        let mut sources = [source, fixed, sequence].into_iter().flatten();
        let (first, second) = (sources.next(), sources.next());
        let name = line.name("field");
        if second.is_some() {
            line.problem("source", "only one of source, value and number_sequence", "");
        }
        let field = name.and_then(|name| {
            let found = entity.field(&name);
            if found.is_none() {
                line.problem(
                    "field",
                    format!("\"{}\" has no field \"{name}\"", entity.name),
                    suggest(&name, entity.fields.iter().map(|field| field.name.as_str())),
                );
            }
            found
        });
        match (first, field) {
            (Some(source), Some(field)) => {
                let fills = matches!(source, Source::NumberSequence { when_blank: true, .. });
                if !fills && mappings.iter().any(|other| other.field == field) {
                    line.problem(
                        "field",
                        format!("\"{}\" is mapped twice", entity.fields[field].name),
                        "only a number_sequence with when = \"blank\" may follow another line",
                    );
                }
                mappings.push(Mapping { source, field, trim, upper, lower, values, ignore_blank, date_formats, time_zone });
            }
            (None, _) if !line.has("source") => line.problem("source", "it is missing", "one of source, value and number_sequence"),
            _ => {}
        }
        line.finish();
    }
    for (index, field) in entity.fields.iter().enumerate() {
        if (field.required || entity.key.contains(&index)) && !mappings.is_empty() && !mappings.iter().any(|mapping| mapping.field == index)
        {
            section.problem(
                "mapping",
                format!("the required field \"{}\" is not mapped", field.name),
                "add a line for it, or a default: { value = \"…\", field = \"…\" }",
            );
        }
    }
    mappings
}

fn read_condition(section: &Section<'_>, index: usize, field: &Field) -> Option<Condition> {
    // A filter's value takes the spelling that the table keeps; bounds of the field do not apply to it.
    let unbounded = Field { minimum: None, maximum: None, ..field.clone() };
    let stored = |name: &'static str, text: &str| match value::parse(&unbounded, text, &Reading::default()) {
        Ok(stored) => Some(stored.text()),
        Err(wrong) => {
            section.problem(name, format!("\"{text}\": {}", wrong.message), wrong.hint);
            None
        }
    };
    let one = |name: &'static str| {
        let item = section.item(name)?;
        let text = item
            .as_str()
            .map(str::to_owned)
            .or_else(|| item.as_integer().map(|value| value.to_string()))
            .or_else(|| item.as_bool().map(|value| value.to_string()));
        match text {
            Some(text) => stored(name, &text),
            None => {
                section.problem(name, "found no text, number or boolean", "decimals and dates are written as text");
                None
            }
        }
    };
    let tests = [
        one("equals").map(Test::Equals),
        one("not").map(Test::NotEquals),
        one("at_least").map(Test::AtLeast),
        one("at_most").map(Test::AtMost),
        section.text("starts_with").map(Test::StartsWith),
        section.has("blank").then(|| Test::Blank(section.boolean("blank", true))),
        section.texts("in").map(|texts| Test::OneOf(texts.iter().filter_map(|text| stored("in", text)).collect())),
    ];
    let mut found = tests.into_iter().flatten();
    match (found.next(), found.next()) {
        (Some(test), None) => Some(Condition { field: index, test }),
        _ => {
            section.problem(
                "field",
                "a condition has exactly one of equals, not, in, at_least, at_most, starts_with, blank",
                "write several conditions for several tests: all must hold",
            );
            None
        }
    }
}

fn read_jobs(root: &Section<'_>, projects: &[Arc<Project>], applications: &[Application]) -> Vec<Arc<Job>> {
    let mut jobs: Vec<Arc<Job>> = Vec::new();
    let mut seen: HashMap<ActivityId, String> = HashMap::new();
    for section in root.sections("job") {
        let name = section.name("name");
        let activity_id = guid::<ActivityId>(&section, "activity_id");
        let project = section.name("project").and_then(|name| {
            let found = projects.iter().find(|project| project.name == name);
            if found.is_none() {
                section.problem(
                    "project",
                    format!("there is no project \"{name}\""),
                    suggest(&name, projects.iter().map(|project| project.name.as_str())),
                );
            }
            found.cloned()
        });
        match section.text("accepts").as_deref() {
            None | Some("file") => {}
            Some("package") => section.problem("accepts", "packages are not accepted in this version", "write file"),
            Some(other) => section.problem("accepts", format!("\"{other}\" is not understood"), "write file"),
        }
        let mut allowed = Vec::new();
        for given in section.texts("applications").unwrap_or_default() {
            let found = applications
                .iter()
                .find(|application| given.parse().is_ok_and(|id: ApplicationId| id == application.id) || application.name == given);
            match found {
                Some(application) => allowed.push(application.id),
                None => section.problem(
                    "applications",
                    format!("there is no application \"{given}\""),
                    suggest(&given, applications.iter().map(|application| application.name.as_str())),
                ),
            }
        }
        if allowed.is_empty() {
            section.warning("applications", "no application may use this job", "name one in applications = [\"…\"]");
        }
        let enabled = section.boolean("enabled", true);
        let recurrence = read_recurrence(&section, project.as_deref());
        let monitoring_recurrence =
            section.has("monitoring_recurrence").then(|| read_schedule(&section, "monitoring_recurrence")).flatten();
        let in_order = section.boolean("in_order", false);
        let company = match section.text("company") {
            None => Company::None,
            Some(text) if text == "message" => Company::FromMessage,
            Some(text) => Company::Fixed(text),
        };
        let prevent_upload_when_zero_records = section.boolean("prevent_upload_when_zero_records", false);
        if let (Some(name), Some(activity_id), Some(project)) = (name, activity_id, project) {
            if let Some(other) = seen.insert(activity_id, name.clone()) {
                section.problem("activity_id", format!("the job \"{other}\" has this activity id too"), "make a new GUID");
            }
            if jobs.iter().any(|other| other.name == name) {
                section.problem("name", format!("there is another job \"{name}\""), "");
            }
            jobs.push(Arc::new(Job {
                name,
                activity_id,
                project,
                applications: allowed,
                enabled,
                recurrence: recurrence.unwrap_or(Recurrence::OnDemand),
                monitoring_recurrence,
                in_order,
                company,
                prevent_upload_when_zero_records,
            }));
        }
        section.finish();
    }
    jobs
}

fn read_recurrence(section: &Section<'_>, project: Option<&Project>) -> Option<Recurrence> {
    let import = project.is_some_and(|project| project.direction == Direction::Import);
    match section.item("recurrence") {
        None if import => Some(Recurrence::OnArrival),
        None => Some(Recurrence::OnDemand),
        Some(item) => match item.as_str() {
            Some("on demand") => Some(Recurrence::OnDemand),
            Some("on arrival") if project.is_some() && !import => {
                section.problem("recurrence", "nothing arrives at an export", "write a cron text, or \"on demand\"");
                None
            }
            Some("on arrival") => Some(Recurrence::OnArrival),
            _ => read_schedule(section, "recurrence").map(Recurrence::Schedule),
        },
    }
}

fn read_schedule(section: &Section<'_>, name: &'static str) -> Option<Schedule> {
    let made = |section: &Section<'_>, key: &str, cron: &str, zone, start, end, count| match Schedule::new(cron, zone, start, end, count) {
        Ok(schedule) => Some(schedule),
        Err(problem) => {
            section.problem(key, problem.message, problem.hint);
            None
        }
    };
    if section.item(name)?.is_str() {
        return made(section, name, &section.text(name)?, Tz::UTC, None, None, None);
    }
    let inner = section.section(name)?;
    let cron = inner.name("cron");
    let zone = zone(&inner, "time_zone").unwrap_or(Tz::UTC);
    let time = |key: &'static str| {
        let item = inner.item(key)?;
        let time = item.as_datetime().and_then(|at| {
            let text = at.to_string();
            NaiveDateTime::parse_from_str(&text, "%Y-%m-%dT%H:%M:%S")
                .ok()
                .or_else(|| NaiveDateTime::parse_from_str(&format!("{text}T00:00:00"), "%Y-%m-%dT%H:%M:%S").ok())
        });
        if time.is_none() {
            inner.problem(key, "this is no local date and time", "write 2026-12-01T00:00:00, without offset: it is read in time_zone");
        }
        time
    };
    let (start, end) = (time("start"), time("end"));
    let count = inner.integer("count", 0..=i64::MAX).map(i64::unsigned_abs);
    let schedule = cron.and_then(|cron| made(&inner, "cron", &cron, zone, start, end, count));
    inner.finish();
    schedule
}
