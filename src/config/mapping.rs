//! `mapping` of a project's entity: from a document's columns to fields, with conversions.

use super::problem::suggest;
use super::section::Section;
use crate::document::read::path_of;
use crate::model::entity::{Entity, Field};
use crate::model::format::Format;
use crate::model::mapping::{Mapping, Source};

pub(super) fn read_mapping(section: &Section<'_>, entity: &Entity, format: &Format) -> Vec<Mapping> {
    if !section.has("mapping") {
        section.item("mapping");
        let source =
            |index: usize, field: &Field| if format.is_numbered() { Source::Number(index + 1) } else { Source::Column(field.name.clone()) };
        return entity.fields.iter().enumerate().map(|(index, field)| Mapping::plain(source(index, field), index)).collect();
    }
    let mut mappings: Vec<Mapping> = Vec::new();
    for line in section.sections("mapping") {
        let source = match line.item("source") {
            Some(item) => match (item.as_str(), item.as_integer()) {
                (Some(name), _) if format.is_numbered() => {
                    line.problem(
                        "source",
                        format!("\"{name}\" is a name, and the document has no header"),
                        "write the column's number, from 1",
                    );
                    None
                }
                (Some(name), _) => match path_of(format, name) {
                    Err(reason) if format.nests() => {
                        line.problem(
                            "source",
                            format!("\"{name}\" is no path: {reason}"),
                            "as in \"Name\", \"@id\", \"../Date\" or \"a/b[1]/c\"",
                        );
                        None
                    }
                    _ => Some(Source::Column(name.to_owned())),
                },
                (_, Some(_)) if format.nests() => {
                    line.problem("source", "a document that nests has no columns to count", "write a name or a path");
                    None
                }
                (_, Some(number)) if (1..=16_384).contains(&number) => usize::try_from(number).ok().map(Source::Number),
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
        let time_zone = line.zone("time_zone");
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
