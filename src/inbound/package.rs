//! Imports a data package: its entities, in the order of execution unit, level and sequence that its manifest gives (CONTRACT §5, "Sequencing").
//!
//! Each entity is atomic, and remembered in the entity database under the message id and its name: after a crash those that were loaded are
//! reported, and the others run; likewise where another message goes on with one that failed or was cancelled. An entity without a file is passed over, as in the vendor's exports; one whose file cannot be used has a finding,
//! and ends its level or unit when the manifest says so.

pub mod refused;

use std::borrow::Cow;

use super::import::{ImportError, Sink};
use super::process::{Kept, Outcome, Work};
use crate::document::csv::read::FIELDS_MAX;
use crate::document::package::DELETED;
use crate::document::package::archive::{Archive, Opened};
use crate::document::package::manifest::{MapLine, PackageEntity};
use crate::files::PayloadWindow;
use crate::model::entity::Entity;
use crate::model::execution::{EntityOutcome, EntityRun, RowCounts};
use crate::model::finding::{Finding, Rule};
use crate::model::format::{CsvFormat, ExcelFormat, Format, JsonFormat, XmlFormat, XmlStyle};
use crate::model::mapping::{Conversion, Mapping, Source};
use crate::model::project::{Project, ProjectEntity};
use crate::store::entities::is_read;

/// Names that a note lists.
const NAMED_MAX: usize = 20;

/// An entity of the package with its place in the archive.
struct Part<'a> {
    entity: &'a PackageEntity,
    file: usize,
}

/// Runs a package.
pub(super) fn run(work: &Work<'_>, kept: &mut Kept<'_>) -> Result<Outcome, ImportError> {
    let message = work.message;
    let payload =
        work.appliance.store.spool().open_window(&message.place, message.size, message.checksum).map_err(ImportError::ReadPayload)?;
    let mut outcome = Outcome::default();
    kept.forget_earlier("")?;
    let (mut archive, manifest) = match Archive::open(payload, message.size).map_err(ImportError::ReadPayload)? {
        Opened::Package(archive, manifest) => (archive, manifest),
        Opened::Refused(findings) => {
            outcome.document_refused = true;
            return refuse(kept, outcome, findings);
        }
    };
    let mut parts: Vec<Part<'_>> = Vec::new();
    for entity in manifest.entities.iter().filter(|entity| !entity.disabled) {
        parts.extend(archive.find(&entity.file).filter(|_| !entity.file.is_empty()).map(|file| Part { entity, file }));
    }
    parts.sort_by_key(|part| (part.entity.unit, part.entity.level, part.entity.sequence));
    let disabled: Vec<&PackageEntity> = manifest.entities.iter().filter(|entity| entity.disabled).collect();
    let passed_over = disabled.iter().filter_map(|entity| archive.find(&entity.file));
    let used: Vec<usize> = parts.iter().map(|part| part.file).chain(passed_over).collect();
    let left_over = archive.left_over(&used);
    if parts.is_empty() && used.len() > parts.len() {
        let message = "every entity of the package that has a file is disabled".to_owned();
        let names = list(disabled.iter().map(|entity| entity.name.as_str()));
        outcome.document_refused = true;
        let hint = format!("write <Disable>false</Disable> for those that are to be loaded, of {names}");
        return refuse(kept, outcome, vec![about("", disabled[0].line, "", message, hint)]);
    }
    if parts.is_empty() {
        // RIS#66: the manifest of a template names another file than the one that was put beside it.
        let message = "no file in the package is one that its manifest names".to_owned();
        let expected = manifest.entities.iter().map(|entity| entity.file.as_str()).filter(|file| !file.is_empty());
        let hint = format!("InputFilePath says {}; the package has {}", list(expected), left_over.join(", "));
        outcome.document_refused = true;
        return refuse(kept, outcome, vec![about("", 0, "", message, hint)]);
    }
    if let Some((one, other)) = twice(&work.job.project, &parts) {
        let message = format!("\"{}\" is the same entity as \"{}\" in line {}", other.name, one.name, one.line);
        outcome.document_refused = true;
        return refuse(kept, outcome, vec![about(&other.name, other.line, &other.name, message, "leave one of them out".into())]);
    }
    if work.is_strict() && !(manifest.strict.is_empty() && manifest.notes.is_empty()) {
        outcome.document_refused = true;
        return refuse(kept, outcome, manifest.notes.into_iter().chain(manifest.strict).collect());
    }
    let mut notes = manifest.notes.clone();
    let (deleted, others): (Vec<&str>, Vec<&str>) = left_over.iter().partition(|file| file.starts_with(DELETED));
    for (files, message, hint) in [
        (others, "the manifest does not name this file: not read", "add an entity with this InputFilePath"),
        (
            deleted,
            "keys of rows that were deleted where the package was made: an import deletes none",
            "delete them here, or load them into an entity of their own by another project; the export leaves them out without deletes = \"document\"",
        ),
    ] {
        if !files.is_empty() {
            notes.push(about("", 0, &list(files.into_iter()), message.into(), hint.into()));
        }
    }
    note(kept, &mut outcome, notes)?;
    let (mut failed_unit, mut failed_level) = (None, None);
    for (ordinal, part) in parts.iter().enumerate() {
        let (unit, level) = (part.entity.unit, part.entity.level);
        if failed_unit == Some(unit) || failed_level == Some((unit, level)) {
            skip(work, kept, &mut outcome, part)?;
        } else {
            let before = outcome.faults;
            one(work, kept, &mut outcome, &mut archive, part, ordinal)?;
            if outcome.faults > before {
                failed_unit = part.entity.fail_unit.then_some(unit).or(failed_unit);
                failed_level = part.entity.fail_level.then_some((unit, level)).or(failed_level);
            }
        }
        if ordinal + 1 < parts.len() {
            kept.flush()?;
            work.note_progress(&outcome)?;
        }
    }
    kept.flush()?;
    Ok(outcome)
}

/// Two entities of the package that are one of the project under different names.
fn twice<'a>(project: &Project, parts: &[Part<'a>]) -> Option<(&'a PackageEntity, &'a PackageEntity)> {
    let known = |part: &Part<'_>| find(project, part.entity).map(|known| &known.entity.name);
    let same =
        |at: usize| parts[..at].iter().find(|before| known(before) == known(&parts[at])).map(|before| (before.entity, parts[at].entity));
    (1..parts.len()).filter(|at| known(&parts[*at]).is_some()).find_map(same)
}

/// One entity.
fn one(
    work: &Work<'_>,
    kept: &mut Kept<'_>,
    outcome: &mut Outcome,
    archive: &mut Archive<PayloadWindow>,
    part: &Part<'_>,
    ordinal: usize,
) -> Result<(), ImportError> {
    let entity = part.entity;
    let Some(project_entity) = find(&work.job.project, entity) else {
        let message = format!("the project \"{}\" has no entity \"{}\"", work.job.project.name, entity.name);
        let hint = format!("it has {}", list(work.job.project.entities.iter().map(|known| known.entity.name.as_str())));
        return fault(work, kept, outcome, &entity.name, about(&entity.name, entity.line, &entity.name, message, hint));
    };
    is_read(&project_entity.entity)?;
    let name = project_entity.entity.name.clone();
    let (adapted, notes) = match adapt(project_entity, entity) {
        Ok(adapted) => adapted,
        Err(finding) => return fault(work, kept, outcome, &name, *finding),
    };
    kept.begin(ordinal, &adapted)?;
    let ledger = format!("{}/{name}", work.message.ledger());
    let known = outcome.earlier;
    let done = work.entity(&adapted, &ledger, || archive.document(part.file), kept, outcome);
    match done {
        // What an earlier try noted is kept with what it loaded.
        Ok(()) if outcome.earlier > known => {
            outcome.notes += notes.len() as u64;
            Ok(())
        }
        Ok(()) => note(kept, outcome, notes),
        Err(error) => Err(error),
    }
}

/// The entities of a project as a package of it is read: with format, map and staging of the package, where the project states none.
pub fn as_read(project: &Project, payload: PayloadWindow, size: u64) -> Vec<ProjectEntity> {
    let Ok(Opened::Package(_, manifest)) = Archive::open(payload, size) else { return Vec::new() };
    let adapted = |entity| adapt(find(project, entity)?, entity).ok().map(|(adapted, _)| adapted.into_owned());
    manifest.entities.iter().filter_map(adapted).collect()
}

/// The project's entity that the package means, by its label or its technical name.
fn find<'a>(project: &'a Project, entity: &PackageEntity) -> Option<&'a ProjectEntity> {
    project.entity(&entity.name).or_else(|| project.entity(&entity.target).filter(|_| !entity.target.is_empty()))
}

/// The project's entity with format, map and staging of the package, where the project states none.
fn adapt<'a>(project_entity: &'a ProjectEntity, package: &PackageEntity) -> Result<(Cow<'a, ProjectEntity>, Vec<Finding>), Box<Finding>> {
    let mut adapted = Cow::Borrowed(project_entity);
    let mut notes = Vec::new();
    let entity = &*project_entity.entity;
    if !project_entity.format_stated {
        let Some(format) = format_of(&package.source_format) else {
            let message = format!("SourceFormat \"{}\" is not read", package.source_format);
            let hint =
                "state the format of this entity in the project, or write CSV, CSV-Unicode, Tab, Semicolon, Colon, Pipe, EXCEL, XML-Element, XML-Attribute, JSON or JSONL".to_owned();
            return Err(Box::new(about(&entity.name, package.line, &package.source_format, message, hint)));
        };
        adapted.to_mut().format = match format {
            Format::Excel(format) => {
                let name = Some(package.sheet.clone()).filter(|name| !name.is_empty());
                Format::Excel(ExcelFormat { sheet_preferred: name, ..format })
            }
            format => format,
        };
    }
    if let Some(skip_staging) = package.skip_staging.filter(|_| !project_entity.skip_staging_stated) {
        adapted.to_mut().skip_staging = skip_staging;
    }
    if project_entity.transform.is_empty() && !package.stylesheets.is_empty() {
        let message = "the stylesheets that the manifest names do not run: the document is read as it is".to_owned();
        let hint = format!("keep them here, and write transform = [\"{}\"] in the project", package.stylesheets.join("\", \""));
        notes.push(about(&entity.name, package.line, &list(package.stylesheets.iter().map(String::as_str)), message, hint));
    }
    if !project_entity.mapping_stated && !package.map.is_empty() {
        let mut mapping = Vec::new();
        let mut unknown = Vec::new();
        let numbers = if adapted.format.is_numbered() { Some(numbers(entity, package)?) } else { None };
        for (at, line) in package.map.iter().enumerate() {
            match entity.field(&line.field) {
                None => unknown.push(line.field.as_str()),
                Some(_) if line.generated => {
                    let message = format!("the map generates a number for {}", line.field);
                    let hint = "add { number_sequence = \"…#####\", field = \"…\" } to the mapping of the project".to_owned();
                    return Err(Box::new(about(&entity.name, package.line, &line.field, message, hint)));
                }
                Some(field) if mapping.iter().any(|other: &Mapping| other.field == field) => {
                    let message = format!("the map fills {} twice", line.field);
                    return Err(Box::new(about(&entity.name, package.line, &line.field, message, "leave one of the two out".into())));
                }
                Some(field) => {
                    let source =
                        numbers.as_ref().map_or_else(|| Source::Column(line.column.clone()), |numbers| Source::Number(numbers[at]));
                    mapping.push(map_line(line, source, field));
                }
            }
        }
        if !unknown.is_empty() {
            let message = format!("{} fields of the map are none of the entity's: not read", unknown.len());
            notes.push(about(
                &entity.name,
                package.line,
                &list(unknown.into_iter()),
                message,
                "add them to [[entity]] to keep them".into(),
            ));
        }
        if let Some(needed) = entity.key.iter().find(|index| !mapping.iter().any(|line| line.field == **index)) {
            let message = format!("the map does not fill the key field {}", entity.fields[*needed].name);
            return Err(Box::new(about(&entity.name, package.line, "", message, "add it to EntityMapList".into())));
        }
        let adapted = adapted.to_mut();
        (adapted.mapping, adapted.mapping_stated) = (mapping, true);
    }
    Ok((adapted, notes))
}

/// The formats of the vendor's list, by their usual names (CONTRACT §4.4), and those that only we write.
fn format_of(source_format: &str) -> Option<Format> {
    let name = source_format.trim().to_ascii_lowercase();
    let (name, unicode) = match name.strip_suffix("-unicode") {
        Some(name) => (name, true),
        None => (name.as_str(), false),
    };
    match name {
        "excel" => return Some(Format::Excel(ExcelFormat::default())),
        "xml-element" => return Some(Format::Xml(XmlFormat::default())),
        "json" => return Some(Format::Json(JsonFormat::default())),
        "jsonl" => return Some(Format::Json(JsonFormat { lines: true, ..JsonFormat::default() })),
        "xml-attribute" => return Some(Format::Xml(XmlFormat { style: XmlStyle::Attribute, ..XmlFormat::default() })),
        _ => {}
    }
    let delimiter = match name {
        "" | "csv" | "comma" => ",",
        "tab" => "\t",
        "semicolon" => ";",
        "colon" => ":",
        "pipe" | "vertical bar" | "verticalbar" => "|",
        _ => return None,
    };
    let encoding = if unicode { encoding_rs::UTF_16LE } else { encoding_rs::UTF_8 };
    Some(Format::Csv(CsvFormat { delimiter: delimiter.into(), encoding, ..CsvFormat::default() }))
}

/// The numbers of the columns that a map means where the format has no names: those that it says, or its own order where the entity's fields have it, too, as
/// in our exports.
fn numbers(entity: &Entity, package: &PackageEntity) -> Result<Vec<usize>, Box<Finding>> {
    let said: Option<Vec<usize>> =
        package.map.iter().map(|line| line.column.trim().parse().ok().filter(|number| (1..=FIELDS_MAX).contains(number))).collect();
    let fields = package.map.iter().map(|line| entity.field(&line.field));
    if let Some(numbers) = said {
        return Ok(numbers);
    }
    if fields.is_sorted_by(|one, next| one.is_some() && one < next) {
        return Ok((1..=package.map.len()).collect());
    }
    let message = "the map names columns, and the format of the project has no header".to_owned();
    let hint = "write a mapping by number in the project, as { source = 1, field = \"…\" }".to_owned();
    Err(Box::new(about(&entity.name, package.line, "", message, hint)))
}

fn map_line(line: &MapLine, source: Source, field: usize) -> Mapping {
    let mut mapping = Mapping::plain(source, field);
    mapping.ignore_blank = line.ignore_blank;
    let mut values = line.conversions.clone();
    if let Some(default) = line.default_value.as_ref().filter(|_| line.default) {
        values.push((String::new(), default.clone()));
    }
    if !values.is_empty() && !values.iter().any(|(from, _)| from == "*") {
        // The vendor's conversion leaves a value for which it has no pair.
        values.push(("*".into(), "*".into()));
    }
    if !values.is_empty() {
        mapping.conversions.push(Conversion::Values(values));
    }
    mapping
}

fn about(entity: &str, line: u64, value: &str, message: String, hint: String) -> Finding {
    Finding { line, value: value.chars().take(200).collect(), ..Finding::of_document(Rule::Package, entity, message, hint) }
}

fn list<'a>(names: impl Iterator<Item = &'a str>) -> String {
    let mut names: Vec<&str> = names.collect();
    if names.len() > NAMED_MAX {
        names.truncate(NAMED_MAX);
        names.push("…");
    }
    if names.is_empty() { "nothing".into() } else { names.join(", ") }
}

fn note(kept: &mut Kept<'_>, outcome: &mut Outcome, notes: Vec<Finding>) -> Result<(), ImportError> {
    for finding in notes {
        outcome.notes += 1;
        kept.finding(finding)?;
    }
    Ok(())
}

fn refuse(kept: &mut Kept<'_>, mut outcome: Outcome, findings: Vec<Finding>) -> Result<Outcome, ImportError> {
    for finding in findings {
        outcome.faults += 1;
        kept.finding(finding)?;
    }
    kept.flush()?;
    Ok(outcome)
}

/// An entity that cannot be run.
fn fault(work: &Work<'_>, kept: &mut Kept<'_>, outcome: &mut Outcome, entity: &str, finding: Finding) -> Result<(), ImportError> {
    kept.forget_earlier(entity)?;
    outcome.faults += 1;
    kept.finding(finding)?;
    not_run(work, outcome, entity, EntityOutcome::Refused, 1);
    Ok(())
}

/// An entity that is not run because one before it failed.
fn skip(work: &Work<'_>, kept: &mut Kept<'_>, outcome: &mut Outcome, part: &Part<'_>) -> Result<(), ImportError> {
    let name = find(&work.job.project, part.entity).map_or(&part.entity.name, |known| &known.entity.name).clone();
    kept.forget_earlier(&name)?;
    let message = "not run: an entity before it in this execution unit or level has faults".to_owned();
    let hint =
        "mend that one and send the package again; FailLevelOnError and FailExecutionUnitOnError of the manifest ask for this".to_owned();
    outcome.faults += 1;
    kept.finding(about(&name, part.entity.line, &part.entity.file, message, hint))?;
    not_run(work, outcome, &name, EntityOutcome::Skipped, 1);
    Ok(())
}

fn not_run(work: &Work<'_>, outcome: &mut Outcome, entity: &str, how: EntityOutcome, findings: u64) {
    let now = work.appliance.clock.now();
    outcome.runs.push(EntityRun {
        entity: entity.to_owned(),
        outcome: how,
        started_at: now,
        finished_at: now,
        counts: RowCounts::default(),
        findings,
        refused_file: None,
        transformed_file: None,
        staging_file: None,
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_manifest_of_ours_calls_a_format_is_read_as_that() {
        let csv = |delimiter: &str, encoding| Format::Csv(CsvFormat { delimiter: delimiter.into(), encoding, ..CsvFormat::default() });
        let delimiters = [",", ";", "\t", ":", "|"];
        let texts = [encoding_rs::UTF_8, encoding_rs::UTF_16LE].into_iter().flat_map(|encoding| delimiters.map(|one| csv(one, encoding)));
        let others = [
            Format::Xml(XmlFormat::default()),
            Format::Xml(XmlFormat { style: XmlStyle::Attribute, ..XmlFormat::default() }),
            Format::Excel(ExcelFormat::default()),
            Format::Json(JsonFormat::default()),
            Format::Json(JsonFormat { lines: true, ..JsonFormat::default() }),
        ];
        for format in texts.chain(others) {
            assert_eq!(format_of(format.source_format()), Some(format.clone()), "{}", format.source_format());
        }
        // What no name says is refused, not taken for another.
        assert_eq!(format_of(csv("+|", encoding_rs::UTF_8).source_format()), None);
    }
}
