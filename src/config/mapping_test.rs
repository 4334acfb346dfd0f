//! `[[project.test]]`: tests of mappings.

use std::path::Path;

use toml_edit::{Item, Value};

use super::entity::no_field;
use super::section::Section;
use crate::document::encoding::encode;
use crate::document::value::{self, Reading};
use crate::model::entity::{Entity, Field};
use crate::model::finding::Rule;
use crate::model::mapping_test::{ExpectedFinding, ExpectedRows, MappingTest};
use crate::model::project::{Direction, Project, ProjectEntity};

/// A larger document is no test.
const INPUT_MAX: u64 = 16 * 1024 * 1024;

/// The tests of a project that was read from this section.
pub(super) fn read_tests(section: &Section<'_>, project: &Project, base: &Path) -> Vec<MappingTest> {
    let mut tests = Vec::new();
    for test in section.sections("test") {
        if project.direction == Direction::Export {
            test.problem("name", "only imports have tests", "take it out");
        }
        let name = test.name("name");
        let label = test.text("entity");
        let found = match &label {
            Some(label) => project.entity(label),
            None => project.entities.first(),
        };
        // Entities with problems are none of it.
        if found.is_none() && !project.entities.is_empty() {
            test.problem("entity", format!("the project has no entity \"{}\"", label.unwrap_or_default()), "name one of the project's");
        }
        let input = found.and_then(|found| read_input(&test, found, base));
        let company = test.text("company");
        let given = read_given(&test, project);
        let transformed = test.verbatim("transformed");
        if transformed.is_some() && found.is_some_and(|found| found.transform.is_empty()) {
            test.problem("transformed", "the entity has no stylesheets", "give the project's entity transform = [\"…\"]");
        }
        let rows = found.map(|found| read_rows(&test, found));
        let findings = read_findings(&test);
        if let (Some(name), Some(found), Some(input), Some(rows)) = (name, found, input, rows) {
            let (project, entity) = (project.name.clone(), found.entity.name.clone());
            tests.push(MappingTest { name, project, entity, input, company, given, rows, transformed, findings });
        }
        test.finish();
    }
    tests
}

fn encoded(test: &Section<'_>, key: &str, of: &ProjectEntity, text: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    // What stylesheets are given is XML; the format is that of their result.
    let encoding = if of.transform.is_empty() { of.format.encoding() } else { encoding_rs::UTF_8 };
    if let Err(character) = encode(text, encoding, &mut bytes) {
        test.problem(key, format!("{} has no \"{character}\"", encoding.name()), "write file = \"…\", or another encoding in the format");
    }
    bytes
}

fn read_input(test: &Section<'_>, of: &ProjectEntity, base: &Path) -> Option<Vec<u8>> {
    let (input, file) = (test.text("input"), test.text("file"));
    match (input, file) {
        (Some(text), None) => Some(encoded(test, "input", of, &text)),
        (None, Some(file)) => {
            let path = base.join(file);
            let read = match std::fs::metadata(&path) {
                Ok(metadata) if metadata.len() > INPUT_MAX => Err(format!("it is larger than {} MiB", INPUT_MAX >> 20)),
                _ => std::fs::read(&path).map_err(|error| error.to_string()),
            };
            read.map_err(|reason| {
                test.problem(
                    "file",
                    format!("{} cannot be read: {reason}", path.display()),
                    "correct the path: it begins where the configuration stands",
                )
            })
            .ok()
        }
        _ => {
            test.problem("input", "a test has a document: input or file", "input = \"Group;Name\\n10;Retail\\n\"");
            None
        }
    }
}

fn read_given(test: &Section<'_>, project: &Project) -> Vec<(String, Vec<u8>)> {
    let mut given = Vec::new();
    for (label, text) in test.pairs("given") {
        match project.entity(&label) {
            Some(of) => given.push((of.entity.name.clone(), encoded(test, "given", of, &text))),
            None => test.problem(
                "given",
                format!("the project has no entity \"{label}\""),
                "given = { \"Terms of payment\" = \"NAME\\nNet30\\n\" }",
            ),
        }
    }
    given
}

/// `rows`, and `nested` with the rows of entities of nested records.
fn read_rows(test: &Section<'_>, of: &ProjectEntity) -> Vec<ExpectedRows> {
    let own = test.item("rows").map_or_else(Vec::new, |item| rows_of(test, "rows", &of.entity, item));
    let mut rows = vec![ExpectedRows { entity: of.entity.name.clone(), rows: own }];
    let Some(item) = test.item("nested") else { return rows };
    let Some(table) = item.as_table_like() else {
        test.problem(
            "nested",
            "rows of nested records stand under their entity",
            "nested = { \"Order lines\" = [{ ORDERID = 1, LINEID = 1 }] }",
        );
        return rows;
    };
    for (name, item) in table.iter() {
        let entities = || of.nested.iter().map(|nested| &nested.project_entity.entity);
        match entities().find(|entity| entity.name.eq_ignore_ascii_case(name)) {
            Some(entity) => rows.push(ExpectedRows { entity: entity.name.clone(), rows: rows_of(test, "nested", entity, item) }),
            None => {
                let known = entities().map(|entity| entity.name.as_str()).collect::<Vec<_>>().join(", ");
                let hint = if known.is_empty() { "there are none".to_owned() } else { format!("there are {known}") };
                test.problem("nested", format!("\"{}\" has no nested records of \"{name}\"", of.entity.name), hint);
            }
        }
    }
    rows
}

fn rows_of(test: &Section<'_>, key: &str, entity: &Entity, item: &Item) -> Vec<Vec<(String, Option<String>)>> {
    let tables = tables(item);
    if tables.is_none() {
        test.problem(key, "rows are a list of tables", "[{ CUSTOMERGROUPID = \"10\", DESCRIPTION = \"Retail\" }]");
    }
    let mut rows = Vec::new();
    for table in tables.unwrap_or_default() {
        let mut row = Vec::new();
        for (name, text) in table {
            let Some(field) = entity.field(&name) else {
                no_field(test, key, entity, &name);
                continue;
            };
            let field = &entity.fields[field];
            // As the table keeps it: "Yes" is 1, "12.5" is "12.50".
            let plain = Field { pattern: None, minimum: None, maximum: None, ..field.clone() };
            match text.as_str() {
                "" => row.push((field.name.clone(), None)),
                text => match value::parse(&plain, text, &Reading::default()) {
                    Ok(stored) => row.push((field.name.clone(), Some(stored.text()))),
                    Err(wrong) => test.problem(key, format!("{name} = \"{text}\": {}", wrong.message), wrong.hint),
                },
            }
        }
        rows.push(row);
    }
    rows
}

/// A list of tables of plain values, inline or not.
fn tables(item: &Item) -> Option<Vec<Vec<(String, String)>>> {
    let plain = |value: &Value| match value {
        Value::String(text) => Some(text.value().clone()),
        Value::Integer(value) => Some(value.value().to_string()),
        Value::Boolean(value) => Some(value.value().to_string()),
        Value::Float(value) => Some(value.value().to_string()),
        _ => None,
    };
    match item {
        Item::Value(Value::Array(array)) => array
            .iter()
            .map(|value| value.as_inline_table()?.iter().map(|(key, value)| Some((key.to_owned(), plain(value)?))).collect())
            .collect(),
        Item::ArrayOfTables(tables) => {
            tables.iter().map(|table| table.iter().map(|(key, item)| Some((key.to_owned(), plain(item.as_value()?)?))).collect()).collect()
        }
        _ => None,
    }
}

fn read_findings(test: &Section<'_>) -> Vec<ExpectedFinding> {
    let mut findings = Vec::new();
    for finding in test.sections("findings") {
        let row = finding.integer("row", 0..=i64::MAX).and_then(|row| u64::try_from(row).ok());
        let rule = finding.text("rule").and_then(|name| {
            let rule = serde_json::from_value::<Rule>(name.clone().into()).ok();
            if rule.is_none() {
                finding.problem("rule", format!("there is no rule \"{name}\""), "as in findings: required, type, length, reference, …");
            }
            rule
        });
        findings.push(ExpectedFinding { row, field: finding.text("field"), rule });
        finding.finish();
    }
    findings
}
