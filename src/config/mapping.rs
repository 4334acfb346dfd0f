//! `mapping` of a project's entity: from a document's columns to fields, with conversions.

use std::sync::Arc;

use toml_edit::{Array, Item};

use super::entity::no_field;
use super::format::{leads_nowhere, namespaces_of, read_numbers};
use super::section::Section;
use crate::document::mapping;
use crate::document::read::path_of;
use crate::document::value::{self, Reading, date};
use crate::model::entity::{Entity, Field, FieldKind};
use crate::model::format::Format;
use crate::model::mapping::{Conversion, LookUp, Mapping, Source, Test, When};

/// What the lines of a mapping are read against.
pub(super) struct Target<'a> {
    pub entity: &'a Entity,
    pub format: &'a Format,
    pub entities: &'a [Arc<Entity>],
    /// Whether rows that are there are changed, and none is new: those have what is not mapped.
    pub only_changes: bool,
    /// The entity whose rows nested records belong to, and the fields that its mapping fills.
    pub parent: Option<(&'a Entity, &'a [Mapping])>,
}

pub(super) fn read_mapping(section: &Section<'_>, target: &Target<'_>) -> Vec<Mapping> {
    let (entity, format) = (target.entity, target.format);
    if !section.has("mapping") {
        section.item("mapping");
        let source = |index: usize, field: &Field| match format.is_numbered() {
            true => Source::Number(index + 1),
            false => Source::Column(field.name.clone()),
        };
        return entity.fields.iter().enumerate().map(|(index, field)| Mapping::plain(source(index, field), index)).collect();
    }
    let mut mappings: Vec<Mapping> = Vec::new();
    let lines = section.sections("mapping");
    let written = lines.len();
    if section.item("mapping").and_then(Item::as_array).is_some_and(Array::is_empty) {
        section.problem("mapping", "a mapping has lines", "take it out: then columns and fields go by equal names");
    }
    for line in lines {
        if let Some(mapping) = read_line(&line, target, &mappings) {
            mappings.push(mapping);
        }
        line.finish();
    }
    if mappings.len() < written {
        // A line with a problem may be the one that a field lacks.
        return mappings;
    }
    for (index, field) in entity.fields.iter().enumerate() {
        let is_key = entity.key.contains(&index);
        let needed = is_key || field.required && !target.only_changes;
        if needed && !mappings.is_empty() && !mappings.iter().any(|mapping| mapping.field == index) {
            let hint = match is_key {
                true => "add a line for it, or a value that all rows have: { value = \"…\", field = \"…\" }",
                false => {
                    "add a line for it, or a value that all rows get: { value = \"…\", field = \"…\" }; where only rows that are there change, and keep what they have: write = \"update\""
                }
            };
            section.problem("mapping", format!("the required field \"{}\" is not mapped", field.name), hint);
        }
    }
    mappings
}

fn read_line(line: &Section<'_>, target: &Target<'_>, before: &[Mapping]) -> Option<Mapping> {
    let Target { entity, format, entities, .. } = *target;
    let source = read_source(line, target);
    let when = read_when(line, format);
    let conversions = read_conversions(line);
    let look_up = line.section("look_up").and_then(|section| read_look_up(&section, entity, entities));
    let date_formats = line.texts("date_formats").unwrap_or_default();
    let time_zone = line.zone("time_zone");
    judge_date_formats(line, &date_formats, time_zone.is_some());
    let numbers = (line.has("decimal_separator") || line.has("thousands_separator")).then(|| read_numbers(line));
    // Asked for in any case, so that they are known keys.
    if numbers.is_none() {
        read_numbers(line);
    }
    let mapping = Mapping {
        when,
        conversions,
        look_up,
        ignore_blank: line.boolean("ignore_blank", false),
        date_formats,
        time_zone,
        numbers,
        keep_exponent: line.boolean("keep_exponent", false),
        // In the place of one that has a problem.
        ..Mapping::plain(source.unwrap_or_else(|| Source::Concatenate { parts: Vec::new(), with: String::new() }), 0)
    };
    let name = line.name("field")?;
    let Some(field) = entity.field(&name) else {
        no_field(line, "field", entity, &name);
        return None;
    };
    if mapping.when == When::Always && before.iter().any(|other| other.field == field) {
        line.problem(
            "field",
            format!("\"{}\" is mapped twice", entity.fields[field].name),
            "only a line with when = \"blank\" or another condition may follow another line",
        );
    }
    judge_converted(line, &mapping);
    if let (Source::Parent(outer), Some((parent, _))) = (&mapping.source, target.parent) {
        let (one, two) = (parent.fields[*outer].kind.name(), entity.fields[field].kind.name());
        if one != two {
            line.problem("parent", format!("\"{}\" is {one}, \"{name}\" is {two}", parent.fields[*outer].name), "give both the same type");
        }
    }
    if let Some(look_up) = &mapping.look_up
        && let Some(other) = entities.iter().find(|other| other.is_called(&look_up.entity))
        && let Some(taken) = other.field(&look_up.take)
        && other.fields[taken].kind.name() != entity.fields[field].kind.name()
    {
        let (one, two) = (other.fields[taken].kind.name(), entity.fields[field].kind.name());
        line.problem("look_up", format!("\"{}\" is {one}, \"{name}\" is {two}", look_up.take), "take a field of the same type");
    }
    let converts = matches!(mapping.source, Source::Value(_) | Source::Company) && !mapping.conversions.is_empty();
    if mapping.look_up.is_some() && mapping.source.columns().is_empty() && !converts {
        line.problem("look_up", "there is nothing to look up", "give the line a source");
    }
    let unread = |look_up: &LookUp| entities.iter().any(|other| other.is_called(&look_up.entity) && other.unread.is_some());
    if mapping.look_up.as_ref().is_some_and(unread) {
        return Some(Mapping { field, ..mapping });
    }
    let found_by = mapping.look_up.as_ref().and_then(|look_up| {
        let other = entities.iter().find(|other| other.is_called(&look_up.entity))?;
        other.field(&look_up.find).map(|field| &other.fields[field])
    });
    judge_values(line, &mapping, found_by.unwrap_or(&entity.fields[field]), format);
    Some(Mapping { field, ..mapping })
}

/// A number, and what the outer row has, are values already: nothing converts or reads them.
fn judge_converted(line: &Section<'_>, mapping: &Mapping) {
    const OF_TEXTS: [&str; 11] = [
        "trim",
        "split",
        "upper",
        "lower",
        "values",
        "pad",
        "date_formats",
        "time_zone",
        "decimal_separator",
        "thousands_separator",
        "keep_exponent",
    ];
    let (what, instead) = match mapping.source {
        Source::Parent(_) => {
            ("what the outer row has", "convert it in the mapping of the outer record, or map the column again with a path")
        }
        Source::NumberSequence { .. } => ("a number", "write the pattern as the number is to be"),
        _ => return,
    };
    let given: Vec<&'static str> = OF_TEXTS.into_iter().filter(|key| line.has(key)).collect();
    if let Some(first) = given.first() {
        line.problem(first, format!("{what} is not converted: {} does nothing here", given.join(", ")), format!("take it out; {instead}"));
    }
}

fn judge_date_formats(line: &Section<'_>, date_formats: &[String], zoned: bool) {
    let mut sound: Vec<&str> = Vec::new();
    for pattern in date_formats {
        match date::check_pattern(pattern) {
            Err((message, hint)) => line.problem("date_formats", message, hint),
            Ok(()) if pattern.contains("%Z") && !zoned => {
                line.problem(
                    "date_formats",
                    format!("\"{pattern}\" passes over the name of a zone"),
                    "say which it is with time_zone; %z reads an offset",
                );
            }
            Ok(()) => {
                if let Some((other, text)) = sound.iter().find_map(|other| Some((other, date::contradiction(other, pattern)?))) {
                    let message = format!("\"{other}\" and \"{pattern}\" both read {text}, as different days");
                    line.warning("date_formats", message, "the first one wins; leave one out");
                }
                sound.push(pattern);
            }
        }
    }
}

/// What the line itself puts into the field: a fixed value, those that `values` convert to, and what joins the parts of a number.
fn judge_values(line: &Section<'_>, mapping: &Mapping, field: &Field, format: &Format) {
    let reading = Reading { date_formats: mapping.date_formats.clone(), time_zone: mapping.time_zone, ..Reading::default() }.of_plain();
    let judge = |key: &'static str, text: &str, conversions: &[Conversion]| {
        let ready = mapping::ready(conversions);
        let read = mapping::convert(&ready, text).and_then(|(done, _)| match done.trim().is_empty() {
            true => Ok(()),
            false => value::parse(field, &done, &reading).map(drop),
        });
        if let Err(wrong) = read {
            line.problem(key, format!("\"{text}\" for \"{}\": {}", field.name, wrong.message), wrong.hint);
        }
    };
    if let (Source::Concatenate { with, .. }, FieldKind::Integer | FieldKind::Decimal { .. }) = (&mapping.source, &field.kind)
        && let Some(separator) = mapping.numbers.unwrap_or_else(|| format.numbers()).thousands_separator
        && with.contains(separator)
    {
        line.problem("with", format!("\"{separator}\" separates thousands here"), "join with decimal_separator");
    }
    if let Source::Value(text) = &mapping.source {
        judge("value", text, &mapping.conversions);
    }
    if let Source::NumberSequence { pattern } = &mapping.source {
        let first = mapping::number_sequence::fill(pattern, 1);
        match (&field.kind, value::parse(field, &first, &reading)) {
            (FieldKind::String { .. } | FieldKind::Integer | FieldKind::Decimal { .. }, Ok(_)) => {}
            (FieldKind::String { .. } | FieldKind::Integer | FieldKind::Decimal { .. }, Err(wrong)) => {
                let message = format!("\"{first}\", the first number, for \"{}\": {}", field.name, wrong.message);
                line.problem("number_sequence", message, "a pattern whose numbers the field takes");
            }
            (kind, _) => {
                let message = format!("\"{}\" is {}", field.name, kind.name());
                line.problem("number_sequence", message, "numbers are for a string, an integer or a decimal");
            }
        }
    }
    for (at, conversion) in mapping.conversions.iter().enumerate() {
        if let Conversion::Values(pairs) = conversion {
            for (_, to) in pairs.iter().filter(|(from, to)| !(from == "*" && to == "*")) {
                judge("values", to, &mapping.conversions[at + 1..]);
            }
        }
    }
}

/// `source`, `value`, `number_sequence`, `concatenate`, `company` or, for nested records, `parent`: one of them.
fn read_source(line: &Section<'_>, target: &Target<'_>) -> Option<Source> {
    let format = target.format;
    let column = line.item("source").and_then(|item| read_column(line, "source", item, format));
    let fixed = line.text("value").map(Source::Value);
    let sequence = line.text("number_sequence").map(|pattern| {
        if !pattern.contains('#') || pattern.trim_start_matches(|c| c != '#').trim_start_matches('#').contains('#') {
            line.problem("number_sequence", "a pattern has one run of # for the number", "\"CG-#####\"");
        }
        Source::NumberSequence { pattern }
    });
    let with = line.text("with").unwrap_or_default();
    let parts = line.item("concatenate").map(|item| {
        let parts: Vec<Source> = match item.as_array() {
            Some(array) => array.iter().filter_map(|value| read_column(line, "concatenate", &Item::Value(value.clone()), format)).collect(),
            None => Vec::new(),
        };
        if parts.len() < 2 {
            line.problem("concatenate", "it joins at least two columns", "concatenate = [\"Street\", \"Number\"], with = \" \"");
        }
        Source::Concatenate { parts, with: with.clone() }
    });
    let company = line.boolean("company", false).then_some(Source::Company);
    let parent = line.text("parent").and_then(|name| read_parent(line, target, &name));
    let given: Vec<&str> =
        ["source", "value", "number_sequence", "concatenate", "company", "parent"].into_iter().filter(|name| line.has(name)).collect();
    let hint = "one of source, value, number_sequence, concatenate and company";
    match given.as_slice() {
        [] => line.problem("source", "it is missing", hint),
        [_] => {}
        [first, others @ ..] => line.problem(first, format!("only {hint}"), format!("take {} out", others.join(" and "))),
    }
    [column, fixed, sequence, parts, company, parent].into_iter().flatten().next()
}

/// A field of the row that a nested record belongs to.
fn read_parent(line: &Section<'_>, target: &Target<'_>, name: &str) -> Option<Source> {
    let Some((outer, mapping)) = target.parent else {
        line.problem("parent", "only nested records have a parent", "write it in the mapping of a [[project.entity.nested]]");
        return None;
    };
    let Some(field) = outer.field(name) else {
        no_field(line, "parent", outer, name);
        return None;
    };
    if !mapping.iter().any(|mapping| mapping.field == field) {
        line.problem("parent", format!("\"{name}\" is not mapped in the outer record"), "map it there");
    }
    Some(Source::Parent(field))
}

fn read_column(line: &Section<'_>, key: &'static str, item: &Item, format: &Format) -> Option<Source> {
    match (item.as_str(), item.as_integer()) {
        (Some(name), _) if format.is_numbered() => {
            line.problem(key, format!("\"{name}\" is a name, and the document has no header"), "write the column's number, from 1");
            None
        }
        (Some(name), _) => match path_of(format, name) {
            Err(reason) if format.nests() => {
                line.problem(key, format!("\"{name}\" is no path: {reason}"), "as in \"Name\", \"@id\", \"../Date\" or \"a/b[1]/c\"");
                None
            }
            Ok(path) if format.nests() => {
                if let Some((message, hint)) = leads_nowhere(&path, namespaces_of(format)) {
                    line.problem(key, message, hint);
                    return None;
                }
                Some(Source::Column(name.to_owned()))
            }
            _ => Some(Source::Column(name.to_owned())),
        },
        (_, Some(_)) if format.nests() => {
            line.problem(key, "a document that nests has no columns to count", "write a name or a path");
            None
        }
        (_, Some(number)) if (1..=16_384).contains(&number) => usize::try_from(number).ok().map(Source::Number),
        _ => {
            line.problem(key, "a source is a column's name, or its number from 1", "as in \"Group\" or 3");
            None
        }
    }
}

/// `when = "blank"`, or a condition on a column.
fn read_when(line: &Section<'_>, format: &Format) -> When {
    let Some(item) = line.item("when") else { return When::Always };
    match item.as_str() {
        Some("blank") => return When::Blank,
        Some(other) => {
            line.problem(
                "when",
                format!("\"{other}\" is not understood"),
                "write when = \"blank\", or { source = \"Type\", equals = \"A\" }",
            );
            return When::Always;
        }
        None => {}
    }
    let Some(section) = line.section("when") else { return When::Always };
    let source = section.item("source").and_then(|item| read_column(&section, "source", item, format));
    let texts = |name: &'static str| match section.item(name)?.as_str() {
        Some(text) => Some(vec![text.to_owned()]),
        None => section.texts(name),
    };
    let tests = [
        texts("equals").map(Test::Equals),
        texts("not").map(Test::Not),
        section.item("blank").map(|_| Test::Blank(section.boolean("blank", true))),
    ];
    let mut tests = tests.into_iter().flatten();
    let when = match (source, tests.next(), tests.next()) {
        (Some(source), Some(test), None) => When::Holds(source, test),
        _ => {
            section.problem("source", "a condition has a source and one of equals, not and blank", "{ source = \"Type\", equals = \"A\" }");
            When::Always
        }
    };
    section.finish();
    when
}

fn read_conversions(line: &Section<'_>) -> Vec<Conversion> {
    let mut conversions = Vec::new();
    if line.boolean("trim", false) {
        conversions.push(Conversion::Trim);
    }
    if let Some(section) = line.section("split") {
        let (at, part) = (section.text("at"), section.integer("part", -1000..=1000));
        match (at.filter(|at| !at.is_empty()), part.filter(|part| *part != 0)) {
            (Some(at), Some(part)) => conversions.push(Conversion::Split { at, part: i32::try_from(part).unwrap_or(1) }),
            _ => section.problem("part", "a split has a text to split at and the number of a part", "split = { at = \"-\", part = 1 }"),
        }
        section.finish();
    }
    let (upper, lower) = (line.boolean("upper", false), line.boolean("lower", false));
    if upper && lower {
        line.problem("lower", "a value is in upper case or in lower case", "take one of upper and lower out");
    }
    if upper {
        conversions.push(Conversion::Upper);
    }
    if lower {
        conversions.push(Conversion::Lower);
    }
    let values = line.pairs("values");
    if !values.is_empty() {
        conversions.push(Conversion::Values(values));
    }
    if let Some(section) = line.section("pad") {
        let length = section.integer("length", 1..=10_000).and_then(|length| usize::try_from(length).ok());
        let with = section.text("with").unwrap_or_else(|| "0".into());
        let right = match section.text("align").as_deref() {
            None | Some("right") => false,
            Some("left") => true,
            Some(other) => {
                section.problem("align", format!("\"{other}\" is no side"), "write left or right");
                false
            }
        };
        match (length, with.chars().next(), with.chars().count()) {
            (Some(length), Some(with), 1) => conversions.push(Conversion::Pad { length, with, right }),
            _ => section.problem("length", "a pad has a length and one character to fill up with", "pad = { length = 10, with = \"0\" }"),
        }
        section.finish();
    }
    conversions
}

fn read_look_up(section: &Section<'_>, entity: &Entity, entities: &[Arc<Entity>]) -> Option<LookUp> {
    let (name, find, take) = (section.name("entity"), section.name("find"), section.name("take"));
    let (name, find, take) = (name?, find?, take?);
    let Some(other) = entities.iter().find(|other| other.is_called(&name)) else {
        let names = entities.iter().map(|entity| entity.name.as_str());
        section.not_found("entity", "entity", &name, format!("there is no entity \"{name}\""), names);
        return None;
    };
    if other.database != entity.database {
        section.problem("entity", format!("\"{name}\" is in another database"), "put both entities into one database");
    }
    if other.unread.is_some() {
        return Some(LookUp { entity: other.name.clone(), find, take });
    }
    let field = |key: &'static str, name: &str| {
        let found = other.field(name);
        if found.is_none() {
            no_field(section, key, other, name);
        }
        found
    };
    let (found, taken) = (field("find", &find)?, field("take", &take)?);
    if !matches!(other.fields[found].kind, FieldKind::String { .. } | FieldKind::Integer | FieldKind::Enum { .. } | FieldKind::Guid) {
        section.problem("find", "a look-up compares with a string, an integer, an enum or a guid", "find by another field");
    }
    Some(LookUp { entity: other.name.clone(), find: other.fields[found].name.clone(), take: other.fields[taken].name.clone() })
}
