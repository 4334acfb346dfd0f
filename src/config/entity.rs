//! `[[database]]` and `[[entity]]` with its fields.

use std::cell::Cell;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use toml_edit::{Array, Item};

use super::problem::suggest;
use super::section::Section;
use super::{Database, LOCK_WAIT};
use crate::clock::Stopwatch;
use crate::document::mapping::check;
use crate::document::value;
use crate::model::check::Check;
use crate::model::entity::{Decimal, Entity, Field, FieldKind, MANAGED, Pattern};
use crate::model::project::{Direction, Project, Refresh, WriteMode};
use crate::store::entities::found;

/// How long locks are waited for when tables are looked at, all together: the schedule stands still meanwhile.
const LOOK_WAIT: Duration = Duration::from_secs(2);

/// A table of SQLite has 2,000 columns, and staged rows have some of ours.
const FIELDS_MAX: usize = 1_990;

/// Looks at tables, and what is left of the time for that.
pub(super) struct Looks(Cell<Duration>);

impl Default for Looks {
    fn default() -> Looks {
        Looks(Cell::new(LOOK_WAIT))
    }
}

impl Looks {
    fn look(&self, path: &Path, table: &str) -> Result<found::Table, String> {
        let (watch, left) = (Stopwatch::start(), self.0.get());
        let found = found::look(path, table, left);
        self.0.set(left.saturating_sub(watch.elapsed()));
        found
    }
}

pub(super) fn read_databases(root: &Section<'_>, base: &Path, data_dir: &Path) -> Vec<Database> {
    let mut databases = vec![Database::managed(data_dir)];
    for section in root.sections("database") {
        let lock_wait = section.duration("lock_wait", LOCK_WAIT, Duration::ZERO..=Duration::from_secs(600));
        if let (Some(name), Some(path)) = (section.name("name"), section.name("sqlite")) {
            if databases.iter().any(|other| other.name == name) {
                section.problem("name", format!("there is another database \"{name}\""), "\"entities\" is the managed one");
            }
            let path = base.join(path);
            if let Some(other) = databases.iter().find(|other| is_one_file(&other.path, &path)) {
                let message = format!("it is the file of the database \"{}\"", other.name);
                section.problem("sqlite", message, "write one database for a file; any number of entities may name it");
            }
            databases.push(Database { name, path, managed: false, lock_wait });
        } else {
            section.item("name").and_then(Item::as_str).into_iter().for_each(|name| section.is_broken("database", name));
        }
        section.finish();
    }
    databases
}

/// Whether two paths lead to one file, by a link or another spelling. Two databases of one file would each have a lock of their own, and take each
/// other's triggers away.
fn is_one_file(one: &Path, other: &Path) -> bool {
    let real = |path: &Path| path.canonicalize().ok();
    if one == other || real(one).is_some_and(|one| real(other) == Some(one)) {
        return true;
    }
    #[cfg(unix)]
    {
        use std::os::unix::fs::MetadataExt;
        let file = |path: &Path| path.metadata().ok().map(|file| (file.dev(), file.ino()));
        file(one).is_some_and(|one| file(other) == Some(one))
    }
    #[cfg(not(unix))]
    false
}

pub(super) fn read_entities(root: &Section<'_>, databases: &[Database], looks: &Looks) -> Vec<Arc<Entity>> {
    let mut entities: Vec<Entity> = Vec::new();
    let sections = root.sections("entity");
    for section in &sections {
        let name = section.name("name");
        let aliases = section.texts("aliases").unwrap_or_default();
        let database = section.text("database").unwrap_or_else(|| MANAGED.into());
        if !databases.iter().any(|known| known.name == database) {
            let names = databases.iter().map(|database| database.name.as_str());
            section.not_found("database", "database", &database, format!("there is no database \"{database}\""), names);
        }
        let table = section.identifier("table");
        // Read for those who come from D365: a table is tracked when an incremental export of it is there.
        section.boolean("change_tracking", false);
        let mut fields: Vec<Field> = Vec::new();
        let field_sections = section.sections("fields");
        let written = !field_sections.is_empty();
        // What is said of a field that has a problem is not judged.
        let mut broken: Vec<String> = Vec::new();
        for field_section in field_sections {
            if let Some(field) = read_field(&field_section) {
                if fields.iter().any(|other| other.name.eq_ignore_ascii_case(&field.name)) {
                    field_section.problem("name", format!("there is another field \"{}\"", field.name), "give one of them another name");
                }
                fields.push(field);
            } else {
                broken.extend(field_section.text("name").map(|name| name.to_lowercase()));
            }
            field_section.finish();
        }
        let (mut key, mut unread) = (Vec::new(), None);
        let external = databases.iter().find(|known| known.name == database && !known.managed);
        if let (Some(external), Some(table), false) = (external, &table, section.has("fields")) {
            match looks.look(&external.path, table) {
                Ok(found) => {
                    fields = found.fields();
                    let first = found.keys.first().filter(|_| !section.has("key")).into_iter().flatten();
                    key = first.filter_map(|part| fields.iter().position(|field| field.name.eq_ignore_ascii_case(part))).collect();
                }
                Err(reason) => {
                    let message = format!("they cannot be read from the table: {reason}");
                    section.warning("table", message, "what needs the entity waits until they can be; the appliance looks again by itself");
                    unread = Some(reason);
                }
            }
        } else if fields.is_empty() && !written {
            section.problem("fields", "an entity has at least one field", "fields = [{ name = \"ID\", type = \"string\", length = 20 }]");
        }
        if fields.len() > FIELDS_MAX {
            let message = format!("{} fields, and {FIELDS_MAX} are the most: a table of SQLite has 2,000 columns", fields.len());
            section.problem("fields", message, "take out what nobody asks for, or part the entity in two");
        }
        for part in section.texts("key").filter(|_| unread.is_none()).unwrap_or_default() {
            match fields.iter().position(|field| field.name.eq_ignore_ascii_case(&part)) {
                Some(index) if !key.contains(&index) => key.push(index),
                Some(_) => section.problem("key", format!("\"{part}\" stands twice"), "take one of the two out"),
                None if broken.contains(&part.to_lowercase()) => {}
                None => section.problem(
                    "key",
                    format!("there is no field \"{part}\""),
                    suggest(&part, fields.iter().map(|field| field.name.as_str())),
                ),
            }
        }
        // A key with a problem is one.
        if key.is_empty() && unread.is_none() && section.item("key").is_none_or(|item| item.as_array().is_some_and(Array::is_empty)) {
            section.problem("key", "an entity has a key", "key = [\"ID\"], the fields that tell one row from another");
        }
        if let (Some(name), Some(table)) = (name, table) {
            for label in std::iter::once(&name).chain(&aliases) {
                if entities.iter().any(|other| other.is_called(label)) {
                    section.problem("name", format!("another entity is called \"{label}\" too"), "clients could not tell them apart");
                }
            }
            if entities.iter().any(|other| other.database == database && other.table.eq_ignore_ascii_case(&table)) {
                section.problem("table", format!("another entity has the table \"{table}\" too"), "give each a table of its own");
            }
            let mut entity = Entity { name, aliases, database, table, key, fields, checks: Vec::new(), unread };
            broken.iter().for_each(|field| section.is_broken("field", &format!("{} {field}", entity.name)));
            let checks = section.sections("checks");
            if entity.unread.is_none() {
                entity.checks = read_checks(&checks, &entity, !broken.is_empty());
            }
            entities.push(entity);
        } else {
            let named = section.item("name").and_then(Item::as_str);
            named.into_iter().chain(aliases.iter().map(String::as_str)).for_each(|name| section.is_broken("entity", name));
        }
    }
    // References, once all entities are known.
    for section in &sections {
        let Some(name) = section.item("name").and_then(Item::as_str) else { continue };
        let Some(entity) = entities.iter().find(|entity| entity.name == name) else { continue };
        let of_fields = section.sections("fields");
        for field in &entity.fields {
            let Some(target) = &field.references else { continue };
            let is = |section: &&Section<'_>| section.item("name").and_then(Item::as_str) == Some(&field.name);
            let (section, key) = of_fields.iter().find(is).map_or((section, "fields"), |section| (section, "references"));
            match entities.iter().find(|other| other.is_called(target)) {
                None => {
                    let message = format!("\"{}\" refers to \"{target}\", which is no entity", field.name);
                    section.not_found(key, "entity", target, message, entities.iter().map(|entity| entity.name.as_str()));
                }
                Some(other) if other.unread.is_some() || other.key.is_empty() => {}
                Some(other) if other.key.len() != 1 => section.problem(
                    key,
                    format!("\"{}\" refers to \"{target}\", whose key has {} fields", field.name, other.key.len()),
                    "only entities with one key field can be referred to",
                ),
                Some(other) if other.database != entity.database => section.problem(
                    key,
                    format!("\"{}\" refers to \"{target}\" in another database", field.name),
                    "put both entities into one database",
                ),
                Some(other) if other.fields[other.key[0]].kind.name() != field.kind.name() => {
                    section.problem(
                        key,
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

/// Holds entities against their tables, where there are any. These are warnings: a file that is away for a while must not keep the appliance from
/// starting, and says itself what is wrong when it is used.
pub(super) fn judge_tables(root: &Section<'_>, databases: &[Database], entities: &[Arc<Entity>], projects: &[Arc<Project>], looks: &Looks) {
    for section in root.sections("entity") {
        let named = section.item("name").and_then(Item::as_str);
        let Some(entity) = entities.iter().find(|entity| Some(entity.name.as_str()) == named) else { continue };
        let Some(database) = databases.iter().find(|database| database.name == entity.database) else { continue };
        if entity.unread.is_some() {
            continue;
        }
        if database.managed {
            // What cannot be looked at is made by the first import.
            let table = looks.look(&database.path, &entity.table);
            if let Some(reason) = table.ok().and_then(|table| table.keeps_otherwise(entity)) {
                section.warning("fields", reason, "its messages fail, and so do exports of rows that hold other values");
            }
            continue;
        }
        let hint = "its messages and exports fail until that is so";
        let table = match looks.look(&database.path, &entity.table) {
            Ok(table) => table,
            Err(reason) => {
                section.warning("table", reason, hint);
                continue;
            }
        };
        if let Some(reason) = table.lacks(entity) {
            section.warning("fields", reason, hint);
            continue;
        }
        let parts = projects.iter().filter(|project| project.direction == Direction::Import).flat_map(|project| &project.entities);
        let parts = parts.flat_map(|part| std::iter::once(part).chain(part.nested.iter().map(|nested| &nested.project_entity)));
        let judged: Vec<_> = parts.filter(|part| Arc::ptr_eq(&part.entity, entity)).collect();
        for part in &judged {
            let filled: Vec<usize> = part.mapping.iter().map(|mapping| mapping.field).collect();
            if let Some(reason) = table.refuses(entity, &filled).filter(|_| !entity.key.is_empty()) {
                section.warning("table", reason, "its messages fail until that is so; exports work");
                break;
            }
            // Of a required field it is said with the mapping that nothing fills it.
            let told = (0..entity.fields.len()).filter(|index| entity.fields[*index].required);
            let filled: Vec<usize> = filled.into_iter().chain(told).collect();
            if let Some(reason) = table.requires(entity, &filled).filter(|_| part.write != WriteMode::Update) {
                section.warning(
                    "table",
                    reason,
                    "rows that are there are changed, new ones are refused; give the column a field or a default",
                );
                break;
            }
        }
        if judged.iter().any(|part| part.truncate) && !table.cascades.is_empty() {
            let message = format!("truncate removes rows of {}, too, or what they refer to (ON DELETE)", table.cascades.join(", "));
            section.warning("table", message, "leave truncate out, or take the action out of those foreign keys");
        }
        if judged.iter().any(|part| part.truncate) && !table.holders.is_empty() {
            let message = format!("truncate fails as long as rows of {} refer to those of \"{}\"", table.holders.join(", "), entity.table);
            section.warning("table", message, found::HELD);
        }
        let mut loaded = judged.iter().map(|part| part.mapping.iter().map(|mapping| mapping.field).collect::<Vec<_>>());
        if let Some(reason) = loaded.find_map(|filled| table.takes_for_numbers(entity, &filled)) {
            section.warning(
                "table",
                reason,
                "rows with texts that it would change are refused; declare the column as TEXT, or state a field of numbers",
            );
        }
        let tracked = projects.iter().flat_map(|project| &project.entities).filter(|part| part.refresh != Refresh::Full);
        if table.view && tracked.into_iter().any(|part| Arc::ptr_eq(&part.entity, entity)) {
            let message = format!("\"{}\" is a view: only a table's changes can be tracked", entity.table);
            section.warning("table", message, "write refresh = \"full\", or name the table; incremental exports fail until that is so");
        }
        for field in entity.fields.iter().filter(|_| section.has("fields")) {
            if let FieldKind::Decimal { precision: 16.., .. } = field.kind
                && table.keeps_doubles(field)
            {
                let message = format!("the column {} is declared as a number: SQLite keeps 15 digits of a decimal there", field.name);
                section.warning("fields", message, "rows with longer ones are refused; a TEXT column keeps all");
            }
        }
    }
}

/// That an entity has no field of this name.
pub(super) fn no_field(section: &Section<'_>, key: &str, entity: &Entity, name: &str) {
    if !section.knows_broken("field", &format!("{} {name}", entity.name)) {
        let names = entity.fields.iter().map(|field| field.name.as_str());
        section.problem(key, format!("\"{}\" has no field \"{name}\"", entity.name), suggest(name, names));
    }
}

/// `broken`: fields of the entity have problems, so that nothing is said of rules that may compare them.
fn read_checks(sections: &[Section<'_>], entity: &Entity, broken: bool) -> Vec<Check> {
    let mut checks = Vec::new();
    for section in sections {
        let message = section.text("message").unwrap_or_default();
        if let Some(text) = section.name("rule") {
            match check::parse(entity, &text) {
                Ok(rule) => checks.push(Check { rule, message }),
                Err(_) if broken => {}
                Err(reason) => section.problem("rule", reason, "as in \"VALIDTO >= VALIDFROM\" or \"KIND = 'A' or LIMIT is not blank\""),
            }
        }
        section.judge();
    }
    checks
}

const FIELD_TYPES: [&str; 8] = ["string", "integer", "decimal", "date", "datetime", "boolean", "enum", "guid"];

fn read_field(section: &Section<'_>) -> Option<Field> {
    let name = section.identifier("name");
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
        Some("enum") => FieldKind::Enum { values: read_enum(section) },
        Some(other) => {
            section.problem("type", format!("there is no type \"{other}\""), suggest(other, FIELD_TYPES));
            section.pass_over();
            return None;
        }
        None => {
            section.problem("type", "it is missing", format!("one of {}", FIELD_TYPES.join(", ")));
            section.pass_over();
            return None;
        }
    };
    let minimum = read_bound(section, "minimum", &kind);
    let maximum = read_bound(section, "maximum", &kind);
    if let (Some(minimum), Some(maximum)) = (minimum, maximum)
        && value::compare(minimum, maximum).is_gt()
    {
        section.problem("minimum", "it is more than the maximum: no value could be right", "exchange the two");
    }
    let pattern = section.text("pattern").and_then(|text| match Pattern::new(&text) {
        Ok(pattern) if matches!(kind, FieldKind::String { .. }) => Some(pattern),
        Ok(_) => {
            section.problem("pattern", "a pattern is for strings", "take it out, or type = \"string\"");
            None
        }
        Err(error) => {
            section.problem(
                "pattern",
                format!("\"{text}\" is no regular expression: {error}"),
                "as in \"[A-Z]{2}[0-9]+\"; it matches the whole value",
            );
            None
        }
    });
    let unique = section.boolean("unique", false);
    Some(Field { name: name?, kind, required, references, minimum, maximum, pattern, unique })
}

/// The names of an enum with their numbers, each once: either is read.
fn read_enum(section: &Section<'_>) -> Vec<(String, i64)> {
    const EXAMPLE: &str = "values = { No = 0, Yes = 1 }";
    let mut values: Vec<(String, i64)> = Vec::new();
    let Some(table) = section.section("values") else {
        if !section.has("values") {
            section.problem("values", "an enum has values", EXAMPLE);
        }
        return values;
    };
    for (name, item) in table.keys() {
        match item.as_integer() {
            None => section.problem("values", format!("\"{name}\" has no whole number"), EXAMPLE),
            Some(number) => {
                if let Some((other, _)) = values.iter().find(|(other, known)| other.eq_ignore_ascii_case(name) || *known == number) {
                    let message =
                        format!("\"{other}\" and \"{name}\" cannot be told apart: names are read in any case, and by their number");
                    section.problem("values", message, "give each a name and a number of its own");
                }
                values.push((name.to_owned(), number));
            }
        }
    }
    if values.is_empty() && table.keys().is_empty() {
        section.problem("values", "an enum has values", EXAMPLE);
    }
    values
}

fn read_bound(section: &Section<'_>, name: &'static str, kind: &FieldKind) -> Option<Decimal> {
    let item = section.item(name)?;
    let text = item
        .as_integer()
        .map(|value| value.to_string())
        .or_else(|| item.as_float().map(|value| value.to_string()))
        .or_else(|| item.as_str().map(str::to_owned));
    let bound = text.and_then(|text| value::parse_decimal(&text));
    if !matches!(kind, FieldKind::Integer | FieldKind::Decimal { .. }) {
        let hint = if matches!(kind, FieldKind::String { .. }) {
            "length is the bound of a text"
        } else {
            "take it out; checks of the entity compare dates"
        };
        section.problem(name, "a bound is for an integer or decimal field", hint);
        return None;
    }
    if bound.is_none() {
        section.problem(name, "a bound is a number", format!("as in {name} = 0, or {name} = \"0.5\""));
    }
    bound
}
