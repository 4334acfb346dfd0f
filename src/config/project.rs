//! `[[project]]` with its entities, filters and conditions.

use std::path::Path;
use std::sync::Arc;

use toml_edit::Item;

use super::entity::no_field;
use super::format::{leads_nowhere, namespaces_of, read_format};
use super::mapping::{Target, read_mapping};
use super::mapping_test::read_tests;
use super::section::Section;
use super::stylesheet::{Stylesheets, judge};
use crate::document::read::path_of;
use crate::document::value::{self, Reading};
use crate::document::write::only_for_reading;
use crate::model::entity::{Entity, Field, FieldKind};
use crate::model::format::{CsvFormat, FixedColumn, FixedFormat, Format, XmlFormat};
use crate::model::mapping_test::MappingTest;
use crate::model::path::{To, alike};
use crate::model::project::{Condition, Direction, Duplicates, NestedEntity, Project, ProjectEntity, Refresh, Test, WriteMode};

/// The projects, and their tests.
pub(super) fn read_projects(
    root: &Section<'_>,
    entities: &[Arc<Entity>],
    base: &Path,
    stylesheets: &Stylesheets,
) -> (Vec<Arc<Project>>, Vec<MappingTest>) {
    let (mut projects, mut tests): (Vec<Arc<Project>>, Vec<MappingTest>) = Default::default();
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
        let mut project_entities = Vec::new();
        let sections = section.sections("entity");
        let written = !sections.is_empty();
        for entity_section in sections {
            let found = read_project_entity(&entity_section, entities, direction, stylesheets);
            if let Some(project_entity) = found {
                if project_entities.iter().any(|other: &ProjectEntity| other.entity.name == project_entity.entity.name) {
                    entity_section.problem("entity", "this entity stands twice in the project", "take one of the two out");
                }
                project_entities.push(project_entity);
            }
            entity_section.finish();
        }
        project_entities.sort_by_key(|entity| (entity.unit, entity.level, entity.sequence));
        if !written {
            section.problem("entity", "a project has at least one entity", "add [[project.entity]]");
        }
        if let (Some(name), Some(direction)) = (name, direction) {
            if projects.iter().any(|other| other.name == name) {
                section.problem("name", format!("there is another project \"{name}\""), "give one of them another name");
            }
            let project = Project { name, direction, entities: project_entities };
            match project.unread() {
                None => tests.extend(read_tests(&section, &project, base)),
                // What they say of its fields is judged once they are known.
                Some(_) => drop(section.item("test")),
            }
            projects.push(Arc::new(project));
        } else {
            section.item("name").and_then(Item::as_str).into_iter().for_each(|name| section.is_broken("project", name));
            section.item("test");
        }
        section.finish();
    }
    (projects, tests)
}

/// What cannot be judged without the entity and the format.
fn pass_over_rest(section: &Section<'_>) {
    for name in ["mapping", "filter", "fields", "write", "duplicates", "truncate", "nested"] {
        section.item(name);
    }
}

fn read_project_entity(
    section: &Section<'_>,
    entities: &[Arc<Entity>],
    direction: Option<Direction>,
    stylesheets: &Stylesheets,
) -> Option<ProjectEntity> {
    let label = section.name("entity");
    let format = section.section("format").map_or(Some(Format::Csv(CsvFormat::default())), |format| {
        let read = read_format(&format);
        format.finish();
        read
    });
    let transform = stylesheets.read(section);
    let keep_transformed = section.boolean("keep_transformed", false);
    let accepts_mended = section.boolean("accepts_mended", true);
    if section.has("accepts_mended") && (direction == Some(Direction::Export) || !section.has("transform")) {
        section.problem("accepts_mended", "without stylesheets on the way in refused rows can come back in any case", "take it out");
    }
    let skip_staging = section.boolean("skip_staging", true);
    if !skip_staging && direction == Some(Direction::Export) {
        section.problem("skip_staging", "an export stages nothing", "take it out");
    }
    let number = |name| section.integer(name, 0..=10_000).and_then(|value| u32::try_from(value).ok()).unwrap_or(1);
    let (unit, level, sequence) = (number("unit"), number("level"), number("sequence"));
    let refresh = read_refresh(section, direction);
    if refresh == (Refresh::Incremental { deletes: true }) && !transform.is_empty() {
        section.problem("deletes", "the keys of deleted rows do not pass stylesheets", "take one of deletes and transform out");
    }
    let label = label?;
    let Some(entity) = entities.iter().find(|entity| entity.is_called(&label)) else {
        let names = entities.iter().map(|entity| entity.name.as_str());
        section.not_found("entity", "entity", &label, format!("there is no entity \"{label}\""), names);
        pass_over_rest(section);
        return None;
    };
    let Some(format) = format else {
        pass_over_rest(section);
        return None;
    };
    judge(section, &transform, &format, direction, keep_transformed);
    if let (Some(Direction::Export), Some((message, hint))) = (direction, only_for_reading(&format)) {
        section.problem("format", message, hint);
    }
    if let Format::Fixed(fixed) = &format {
        judge_overlap(section, fixed, direction);
    }
    if let (Some(Direction::Export), Format::Fixed(fixed)) = (direction, &format) {
        judge_padding(section, fixed, entity);
    }
    if entity.unread.is_some() {
        // What is said of its fields is judged once they are known.
        for name in ["mapping", "filter", "fields", "write", "duplicates", "truncate", "nested"] {
            section.item(name);
        }
        return Some(ProjectEntity { transform, refresh, unit, level, sequence, ..ProjectEntity::new(entity.clone(), format) });
    }
    let write = match section.text("write").as_deref() {
        None | Some("upsert") => WriteMode::Upsert,
        Some("insert") => WriteMode::Insert,
        Some("update") => WriteMode::Update,
        Some(other) => {
            section.problem("write", format!("\"{other}\" is no way to write"), "write upsert, insert or update");
            WriteMode::Upsert
        }
    };
    let mapping = if direction == Some(Direction::Export) {
        if section.item("mapping").is_some() {
            section.problem("mapping", "an export has no mapping", "choose columns with fields = [\"…\"]");
        }
        Vec::new()
    } else {
        let only_changes = write == WriteMode::Update;
        read_mapping(section, &Target { entity, format: &format, entities, only_changes, parent: None })
    };
    let outer = Target { entity, format: &format, entities, only_changes: false, parent: Some((entity, &mapping)) };
    let nested = read_nested(section, &outer);
    let field_of = |name: &str, key: &'static str| {
        let found = entity.field(name);
        if found.is_none() {
            no_field(section, key, entity, name);
        }
        found
    };
    judge_direction(section, direction);
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
    if refresh == (Refresh::Incremental { deletes: true }) {
        filter.iter().for_each(|condition| warn_of_deletes(section, "deletes", entity, condition));
    }
    let duplicates = match section.text("duplicates").as_deref() {
        None => Duplicates::Last,
        Some("last") => Duplicates::LastAsMeant,
        Some("refuse") => Duplicates::Refuse,
        Some(other) => {
            section.problem("duplicates", format!("\"{other}\" is not understood"), "write last (the last row of a key wins) or refuse");
            Duplicates::Last
        }
    };
    let truncate = section.boolean("truncate", false);
    if truncate && write == WriteMode::Update {
        section.problem("truncate", "after all rows are removed there is none to update", "take one of truncate and write out");
    }
    // Of tables of somebody else their foreign keys say what becomes of such rows.
    let stay = nested.iter().map(|nested| &nested.project_entity.entity).find(|inner| inner.is_managed() && inner.table != entity.table);
    if let (true, Some(inner)) = (truncate, stay) {
        let message =
            format!("truncate removes the rows of \"{}\" alone: those of \"{}\" that belonged to them stay", entity.name, inner.name);
        section.warning("truncate", message, "leave truncate out, or load the nested rows by a document of their own, with truncate, too");
    }
    Some(ProjectEntity {
        entity: entity.clone(),
        format,
        transform,
        keep_transformed,
        accepts_mended,
        skip_staging,
        skip_staging_stated: section.has("skip_staging"),
        format_stated: section.has("format"),
        mapping,
        mapping_stated: section.has("mapping"),
        unit,
        level,
        sequence,
        filter,
        refresh,
        fields,
        write,
        truncate,
        duplicates,
        nested,
    })
}

/// Of a deleted row only the key is left: whether a condition on another field held for it cannot be told.
pub(super) fn warn_of_deletes(section: &Section<'_>, key: &'static str, entity: &Entity, condition: &Condition) {
    if !entity.key.contains(&condition.field) {
        let message = format!("a condition on \"{}\" says nothing of deleted rows", entity.fields[condition.field].name);
        section.warning(key, message, "their keys are exported whether it held or not; conditions on key fields hold for them, too");
    }
}

/// Columns that overlap overwrite each other in an export. An import may read a part of a column as another, but hardly a part of two.
fn judge_overlap(section: &Section<'_>, fixed: &FixedFormat, direction: Option<Direction>) {
    let place = |column: &FixedColumn| column.start..column.start + column.length;
    let holds = |one: &FixedColumn, other: &FixedColumn| place(one).start <= place(other).start && place(one).end >= place(other).end;
    for (at, one) in fixed.columns.iter().enumerate() {
        let overlaps = |other: &&FixedColumn| place(one).start < place(other).end && place(other).start < place(one).end;
        let Some(other) = fixed.columns[..at].iter().find(overlaps) else { continue };
        let message = format!("the columns \"{}\" and \"{}\" overlap", other.name, one.name);
        if direction == Some(Direction::Export) {
            section.problem("format", message, "correct start or length: one would overwrite the other");
        } else if !holds(one, other) && !holds(other, one) {
            section.warning("format", message, "correct start or length, where that is not meant");
        }
    }
}

/// What pads a value may be a part of it, which is lost when it comes back.
fn judge_padding(section: &Section<'_>, fixed: &FixedFormat, entity: &Entity) {
    for column in fixed.columns.iter().filter(|column| column.pad != ' ') {
        let Some(field) = entity.fields.iter().find(|field| alike(&field.name, &column.name)) else { continue };
        let (name, pad) = (&column.name, column.pad);
        match field.kind {
            FieldKind::String { .. } => {
                let side = if column.right { "start" } else { "end" };
                let message = format!("\"{name}\" is a text: \"{pad}\" at its {side} is taken for padding when it is read again");
                section.warning("format", message, "pad = \" \" keeps it");
            }
            FieldKind::Integer | FieldKind::Decimal { .. } if !column.right && pad.is_ascii_digit() => {
                section.problem("format", format!("\"{pad}\" behind the number \"{name}\" would be digits of it"), "align = \"right\"");
            }
            _ => {}
        }
    }
}

/// What an import or an export has no use for is not passed over in silence.
fn judge_direction(section: &Section<'_>, direction: Option<Direction>) {
    let (keys, message, hint): (&[&str], _, _) = match direction {
        Some(Direction::Import) => {
            (&["filter", "fields"], "an import takes what the document holds", "take it out; a mapping chooses columns, and its when rows")
        }
        Some(Direction::Export) => (&["write", "duplicates", "truncate", "nested"], "an export writes no rows into a table", "take it out"),
        None => return,
    };
    keys.iter().filter(|key| section.has(key)).for_each(|key| section.problem(key, message, hint));
}

/// `refresh` and `deletes`: which rows an export holds.
fn read_refresh(section: &Section<'_>, direction: Option<Direction>) -> Refresh {
    let incremental = match section.text("refresh").as_deref() {
        None | Some("full") => false,
        Some("incremental") => true,
        Some(other) => {
            section.problem("refresh", format!("\"{other}\" is no way to refresh"), "write full or incremental");
            false
        }
    };
    let deletes = match section.text("deletes").as_deref() {
        None | Some("ignore") => false,
        Some("document") => true,
        Some(other) => {
            section.problem("deletes", format!("\"{other}\" is nothing that can be done with deleted rows"), "write ignore or document");
            false
        }
    };
    if incremental && direction == Some(Direction::Import) {
        section.problem("refresh", "an import has no refresh: what it loads is what the document holds", "take refresh out");
    }
    if deletes && !incremental {
        section.problem("deletes", "only an incremental export knows which rows were deleted", "add refresh = \"incremental\"");
    }
    if incremental { Refresh::Incremental { deletes } } else { Refresh::Full }
}

/// `[[project.entity.nested]]`: records inside of records, which become rows of another entity.
fn read_nested(section: &Section<'_>, target: &Target<'_>) -> Vec<NestedEntity> {
    let mut all: Vec<NestedEntity> = Vec::new();
    for inner in section.sections("nested") {
        if !target.format.nests() {
            inner.problem("entity", "records nest only in XML and JSON", "give the rows a document of their own");
        }
        // A record is an element, also where values are attributes.
        let elements = Format::Xml(XmlFormat::default());
        let record = inner.name("record").and_then(|text| match path_of(&elements, &text) {
            Ok(path) if path.steps.iter().all(|step| matches!(step.to, To::Element(_))) && !path.absolute && !path.steps.is_empty() => {
                let nowhere = leads_nowhere(&path, namespaces_of(target.format));
                if let Some((message, hint)) = &nowhere {
                    inner.problem("record", message, hint);
                }
                Some(path).filter(|_| nowhere.is_none())
            }
            Ok(_) => {
                inner.problem("record", format!("\"{text}\" leads out of the record"), "as in \"line_items\" or \"Lines/Line\"");
                None
            }
            Err(reason) => {
                inner.problem("record", format!("\"{text}\" is no path: {reason}"), "as in \"line_items\" or \"Lines/Line\"");
                None
            }
        });
        let found = inner.name("entity").and_then(|label| {
            let found = target.entities.iter().find(|entity| entity.is_called(&label));
            if found.is_none() {
                let names = target.entities.iter().map(|entity| entity.name.as_str());
                inner.not_found("entity", "entity", &label, format!("there is no entity \"{label}\""), names);
            }
            found
        });
        match found {
            Some(entity) => {
                if !target.format.nests() {
                    // Said above.
                } else if entity.database != target.entity.database {
                    inner.problem("entity", format!("\"{}\" is in another database", entity.name), "put both entities into one database");
                } else if entity.name == target.entity.name {
                    inner.problem("entity", "this is the entity of the outer record", "nested records are rows of another entity");
                }
                let mapping = match &entity.unread {
                    None => read_mapping(&inner, &Target { entity, ..*target }),
                    Some(_) => {
                        inner.item("mapping");
                        Vec::new()
                    }
                };
                if let Some(record) = record {
                    let own = ProjectEntity::new(entity.clone(), target.format.clone());
                    let project_entity = ProjectEntity { mapping, mapping_stated: inner.has("mapping"), ..own };
                    all.push(NestedEntity { record, project_entity });
                }
            }
            None => drop(inner.item("mapping")),
        }
        inner.finish();
    }
    all
}

/// One condition of a filter.
pub(super) fn read_condition(section: &Section<'_>, index: usize, field: &Field) -> Option<Condition> {
    // A filter's value takes the spelling that the table keeps; bounds of the field do not apply to it.
    let unbounded = Field { name: field.name.clone(), kind: field.kind.clone(), ..Field::default() };
    let stored = |name: &'static str, text: &str| match value::parse(&unbounded, text, &Reading::default()) {
        Ok(stored) => Some(stored.text()),
        Err(wrong) => {
            let message = format!("\"{text}\" for \"{}\": {}", field.name, wrong.message);
            section.problem(name, message, format!("write {}", value::expected(&unbounded)));
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
    let given = ["equals", "not", "at_least", "at_most", "starts_with", "blank", "in"].iter().filter(|name| section.has(name)).count();
    if section.has("starts_with") && matches!(field.kind, FieldKind::Integer | FieldKind::Decimal { .. } | FieldKind::Boolean) {
        let message = format!("\"{}\" is {}, and a number has no beginning", field.name, field.kind.name());
        section.problem("starts_with", message, "compare it with at_least and at_most");
    }
    match (given, tests.into_iter().flatten().next()) {
        // What is wrong with its value is told.
        (1, test) => test.map(|test| Condition { field: index, test }),
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
