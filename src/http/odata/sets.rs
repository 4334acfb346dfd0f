//! The sets that tell of the configuration and of executions, with the members of the real system that mean something here.

use serde_json::{Map, Value, json};

use super::{Answer, Question, failed, refuse};
use crate::appliance::Live;
use crate::config::Application;
use crate::http::{projects, wire};
use crate::model::job::Company;
use crate::model::project::{Direction, Project};
use crate::model::query::{Filter, Operator};
use crate::store::made_projects::MadeProject;
use crate::store::{executions, made_projects};

/// Executions that are told when none is named: the newest.
const EXECUTIONS_MAX: u32 = 500;

/// A set: its name, the members of its key, and what is in it.
type Set = (&'static str, &'static [&'static str], Vec<Map<String, Value>>);

/// The names of all sets, for the metadata.
pub const SETS: [(&str, &str, &[&str], &[&str]); 7] = [
    (
        "DataManagementDefinitionGroups",
        "DataManagementDefinitionGroup",
        &["Name"],
        &["Description", "OperationType", "ProjectCategory", "GenerateDataPackage", "TruncateEntityData"],
    ),
    (
        "DataManagementDefinitionGroupDetails",
        "DataManagementDefinitionGroupDetail",
        &["DefinitionGroupId", "EntityName"],
        &[
            "EntityXMLName",
            "SourceFormat",
            "InputFilePath",
            "SampleFilePath",
            "ExcelSheetName",
            "ExecutionUnit",
            "LevelInExecutionUnit",
            "SequenceInLevel",
            "FailExecutionUnitOnError",
            "FailLevelOnError",
            "Disable",
            "SkipStaging",
            "RunBusinessLogic",
            "RunBusinessValidation",
            "DefaultRefreshType",
            "AutoGenerateMapping",
            "ValidationStatus",
        ],
    ),
    (
        "DataManagementExecutionJobDetails",
        "DataManagementExecutionJobDetail",
        &["JobId", "EntityName"],
        &[
            "DefinitionGroupId",
            "StagingStatus",
            "TargetStatus",
            "StagingStartDateTime",
            "StagingEndDateTime",
            "TargetStartDateTime",
            "TargetEndDateTime",
            "StagingRecordsCreatedCount",
            "TargetRecordsCreatedCount",
            "TargetRecordsUpdatedCount",
        ],
    ),
    ("LegalEntities", "LegalEntity", &["LegalEntityId"], &["Name"]),
    ("Companies", "Company", &["DataArea"], &["Name"]),
    ("DefinitionGroupTemplateHeaders", "DefinitionGroupTemplateHeader", &["TemplateId"], &["Description", "Status"]),
    (
        "DefinitionGroupTemplateLines",
        "DefinitionGroupTemplateLine",
        &["TemplateId", "Entity"],
        &[
            "ExecutionUnit",
            "LevelInExecutionUnit",
            "Sequence",
            "FailExecutionUnitOnError",
            "FailLevelOnError",
            "EntityCategory",
            "SysModule",
            "Tags",
            "ValidationStatus",
        ],
    ),
];

fn member(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(map) => map,
        _ => Map::new(),
    }
}

fn yes(flag: bool) -> &'static str {
    if flag { "Yes" } else { "No" }
}

/// The set of this name; `None` when it is none of these.
pub fn find(question: &Question<'_>, name: &str) -> Result<Option<Set>, Answer> {
    let Some((set, _, keys, _)) = SETS.into_iter().find(|(set, ..)| set.eq_ignore_ascii_case(name)) else { return Ok(None) };
    let live = question.appliance.live();
    let mine = || live.config.jobs.iter().filter(|job| job.applications.contains(&question.caller.id));
    let projects = || live.config.projects.iter().filter(|project| mine().any(|job| job.project.name == project.name));
    let list = match set {
        "DataManagementDefinitionGroups" => {
            projects().map(|project| group(project)).chain(made(question)?.iter().map(made_group)).collect()
        }
        "DataManagementDefinitionGroupDetails" => {
            let own = made(question)?;
            let own = own.iter().flat_map(|made| made_details(&live, question.caller, made));
            projects().flat_map(|project| details(project)).chain(own).collect()
        }
        "DefinitionGroupTemplateHeaders" => projects().map(|project| template(project)).collect(),
        "DefinitionGroupTemplateLines" => projects().flat_map(|project| template_lines(project)).collect(),
        "LegalEntities" | "Companies" => {
            let mut companies: Vec<&str> = mine()
                .filter_map(|job| match &job.company {
                    Company::Fixed(company) => Some(company.as_str()),
                    _ => None,
                })
                .collect();
            companies.sort_unstable();
            companies.dedup();
            companies.into_iter().map(|company| member(json!({ keys[0]: company, "Name": company }))).collect()
        }
        _ => {
            let allowed: Vec<String> = projects().map(|project| project.name.clone()).collect();
            executions(question, &allowed)?
        }
    };
    Ok(Some((set, keys, list)))
}

fn group(project: &Project) -> Map<String, Value> {
    member(json!({
        "Name": project.name,
        "Description": project.name,
        "OperationType": projects::operation(project.direction),
        "ProjectCategory": "Configuration",
        "GenerateDataPackage": yes(project.direction == Direction::Export),
        "TruncateEntityData": "No",
    }))
}

/// Those that the caller made.
fn made(question: &Question<'_>) -> Result<Vec<MadeProject>, Answer> {
    let found = question.appliance.store.read("read the projects", |connection| made_projects::of(connection, question.caller.id));
    found.map_err(|error| failed(&error))
}

/// A project that a client made.
pub(super) fn made_group(made: &MadeProject) -> Map<String, Value> {
    member(json!({
        "Name": made.name,
        "Description": made.description,
        "OperationType": projects::operation(made.direction),
        "ProjectCategory": made.category,
        "GenerateDataPackage": yes(made.direction == Direction::Export),
        "TruncateEntityData": "No",
    }))
}

/// The entities of a project that a client made, as the project of the configuration behind it has them.
pub(super) fn made_details(live: &Live, caller: &Application, made: &MadeProject) -> Vec<Map<String, Value>> {
    let Some(job) = projects::behind(live, caller, made.direction, &made.entities) else { return Vec::new() };
    let is_in =
        |detail: &Map<String, Value>| detail["EntityName"].as_str().is_some_and(|name| made.entities.iter().any(|known| known == name));
    let named = |mut detail: Map<String, Value>| {
        detail.insert("DefinitionGroupId".into(), json!(made.name));
        detail
    };
    details(&job.project).into_iter().filter(is_in).map(named).collect()
}

/// Every project of the configuration may serve as a template for one that a client makes.
fn template(project: &Project) -> Map<String, Value> {
    member(json!({ "TemplateId": project.name, "Description": project.name, "Status": "Validated" }))
}

fn template_lines(project: &Project) -> Vec<Map<String, Value>> {
    let line = |entity: &crate::model::project::ProjectEntity| {
        member(json!({
            "TemplateId": project.name,
            "Entity": entity.entity.name,
            "ExecutionUnit": entity.unit,
            "LevelInExecutionUnit": entity.level,
            "Sequence": entity.sequence,
            "FailExecutionUnitOnError": "No",
            "FailLevelOnError": "No",
            "EntityCategory": super::CATEGORY,
            "SysModule": "",
            "Tags": "",
            "ValidationStatus": "Yes",
        }))
    };
    project.entities.iter().map(line).collect()
}

fn details(project: &Project) -> Vec<Map<String, Value>> {
    let files = crate::document::package::file_names(project);
    let detail = |(entity, file): (&crate::model::project::ProjectEntity, String)| {
        member(json!({
            "DefinitionGroupId": project.name,
            "EntityName": entity.entity.name,
            "EntityXMLName": entity.entity.aliases.first().unwrap_or(&entity.entity.name),
            "SourceFormat": entity.format.source_format(),
            "InputFilePath": file,
            "SampleFilePath": "",
            "ExcelSheetName": "",
            "ExecutionUnit": entity.unit,
            "LevelInExecutionUnit": entity.level,
            "SequenceInLevel": entity.sequence,
            "FailExecutionUnitOnError": "No",
            "FailLevelOnError": "No",
            "Disable": "No",
            "SkipStaging": yes(project.direction == Direction::Import && entity.skip_staging),
            "RunBusinessLogic": "Yes",
            "RunBusinessValidation": "Yes",
            "DefaultRefreshType": entity.refresh.wire_name(),
            "AutoGenerateMapping": yes(!entity.mapping_stated),
            "ValidationStatus": "Yes",
        }))
    };
    project.entities.iter().zip(files).map(detail).collect()
}

/// What a filter demands of a member, when it demands equality in all cases.
fn demanded<'f>(filter: &'f Filter<String>, name: &str) -> Option<&'f str> {
    match filter {
        Filter::And(one, other) => demanded(one, name).or_else(|| demanded(other, name)),
        Filter::Compare(field, Operator::Equal, Some(value)) if field.eq_ignore_ascii_case(name) => Some(value),
        _ => None,
    }
}

fn executions(question: &Question<'_>, allowed: &[String]) -> Result<Vec<Map<String, Value>>, Answer> {
    let filter = question.options.filter.as_ref();
    let job = filter.and_then(|filter| demanded(filter, "JobId"));
    let project = filter.and_then(|filter| demanded(filter, "DefinitionGroupId"));
    let found = question
        .appliance
        .store
        .read("list executions", |connection| match (job, project) {
            (Some(id), _) => executions::find(connection, id).map(|found| found.into_iter().collect()),
            (None, Some(project)) if allowed.iter().any(|known| known == project) => {
                executions::of_projects(connection, &[project.to_owned()], EXECUTIONS_MAX)
            }
            // Of one that a client made: among those of the projects that may be behind it.
            (None, _) => executions::of_projects(connection, allowed, EXECUTIONS_MAX),
        })
        .map_err(|error| failed(&error))?;
    let mut list = Vec::new();
    for execution in found.into_iter().filter(|execution| allowed.contains(&execution.project)) {
        let read = question
            .appliance
            .store
            .read("read the entities of an execution", |connection| executions::entities(connection, &execution.id.0));
        for run in read.map_err(|error| failed(&error))? {
            let (staging, target) = wire::run_states(&run);
            list.push(member(json!({
                "JobId": execution.id.0,
                "DefinitionGroupId": execution.made_project.as_ref().unwrap_or(&execution.project),
                "EntityName": run.entity,
                "StagingStatus": staging,
                "TargetStatus": target,
                "StagingStartDateTime": run.started_at,
                "StagingEndDateTime": run.finished_at,
                "TargetStartDateTime": run.started_at,
                "TargetEndDateTime": run.finished_at,
                "StagingRecordsCreatedCount": run.counts.read,
                "TargetRecordsCreatedCount": run.counts.inserted,
                "TargetRecordsUpdatedCount": run.counts.updated,
            })));
        }
    }
    if list.len() > 100_000 {
        return Err(refuse(400, "too many executions at once: name a JobId in $filter"));
    }
    Ok(list)
}
