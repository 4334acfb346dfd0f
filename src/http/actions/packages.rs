//! Packages in and out: an upload, an import or export that is recorded before it is answered and runs in the background, a download.

use serde_json::json;
use uuid::Uuid;

use super::executions::{Known, known};
use super::{Given, Request, text};
use crate::document::package::archive::{Archive, Opened};
use crate::http::projects::{self, Chosen};
use crate::http::{Answer, address, blob};
use crate::model::execution::{RowCounts, Scope};
use crate::model::id::ExecutionId;
use crate::model::message::{Content, PACKAGE_ENTITY};
use crate::model::project::Direction;
use crate::store::StoreError;
use crate::store::blobs::{self, Blob};
use crate::store::executions::{self, Requested};
use crate::store::made_projects::{self, MadeProject};
use crate::store::messages::{self, NewMessage, Payload};

/// The longest execution id that a client may choose.
const EXECUTION_ID_MAX: usize = 200;
/// Rows of an export preview, when none are asked for.
const PREVIEW_ROWS: u64 = 10;

/// GetAzureWriteUrl: a text that is itself JSON.
pub(super) fn write_url(request: &Request<'_>) -> Given {
    let given = request.text("uniqueFileName").map_or_else(|| Uuid::now_v7().to_string(), str::to_owned);
    let Some(name) = blobs::name(&given) else {
        return Err(request.refuse(400, "uniqueFileName has 1 to 1,024 characters, and no part of it is . or .."));
    };
    let id = Uuid::now_v7().to_string();
    let (new, now) = (
        Blob { id: id.clone(), name: name.clone(), application_id: Some(request.caller.id), content: None },
        request.appliance.clock.now(),
    );
    request.stored(request.appliance.store.write("make the blob", move |batch| blobs::make(batch.connection, &new, now)))?;
    let url = blob::url(request.appliance, &name, &id, true);
    text(json!({ "BlobId": format!("{{{}}}", id.to_uppercase()), "BlobUrl": url }).to_string())
}

/// The blob that a package URL means: one that GetAzureWriteUrl gave to this application.
fn uploaded(request: &Request<'_>) -> Result<Blob, Answer> {
    let url = request.needed("packageUrl")?;
    let (path, query) = url.split_once('?').unwrap_or((url, ""));
    let marker = format!("/{}/", blob::CONTAINER);
    let name = path.find(&marker).map(|at| &path[at + marker.len()..]).and_then(address::segments).map(|parts| parts.join("/"));
    let elsewhere = "packageUrl is none that GetAzureWriteUrl gave: upload the package to such a URL, and send that URL";
    let name = name.ok_or_else(|| request.refuse(400, elsewhere))?;
    let id = address::pairs(query).unwrap_or_default().into_iter().find(|(key, _)| key.eq_ignore_ascii_case("si")).map(|(_, id)| id);
    let caller = request.caller.id;
    let found = request.stored(request.appliance.store.read("find the blob", |connection| match &id {
        Some(id) => blobs::find(connection, id),
        // Without its signature a URL still names the blob; the caller is known by its token.
        None => blobs::find_named(connection, &name, caller),
    }))?;
    found.filter(|blob| blob.application_id == Some(caller) && blob.name == name).ok_or_else(|| request.refuse(400, elsewhere))
}

/// The execution id that the client chose, exactly so; a new one when it chose none (CONTRACT §8.5).
fn execution_id(request: &Request<'_>) -> Result<ExecutionId, Answer> {
    match request.text("executionId") {
        None => Ok(ExecutionId(Uuid::now_v7().to_string())),
        Some(id) if id.chars().count() <= EXECUTION_ID_MAX && !id.chars().any(char::is_control) => Ok(ExecutionId(id.to_owned())),
        Some(_) => Err(request.refuse(400, "executionId has at most 200 characters, none of them a control character")),
    }
}

/// ImportFromPackage and its variants: the package becomes a message of the project's queue.
pub(super) fn import(request: &Request<'_>) -> Given {
    let appliance = request.appliance;
    let name = request.needed("definitionGroupId")?;
    let configured = request.configured(name, Direction::Import);
    let blob = match &configured {
        // A package says what it is for; without one the missing project is the first thing to tell.
        None => uploaded(request).map_err(|_| request.refuse(400, &request.no_project(name, Direction::Import)))?,
        Some(_) => uploaded(request)?,
    };
    let Some(content) = &blob.content else {
        let nothing = "nothing was uploaded to packageUrl, or it is no longer kept: put the package there first";
        return Err(match configured {
            Some(_) => request.refuse(400, nothing),
            None => request.refuse(400, &format!("{}; {nothing}", request.no_project(name, Direction::Import))),
        });
    };
    let Chosen { job, made } = match configured {
        Some(job) => Chosen { job, made: None },
        // A project of the client's own, new or known, has the entities of the package.
        None => by_manifest(request, name, content)?,
    };
    let execution = execution_id(request)?;
    let asked = Requested {
        id: execution.clone(),
        activity_id: job.activity_id,
        project: job.project.name.clone(),
        application_id: request.caller.id,
        message_id: None,
        // With the blob, so that a repeated request is told from another that takes the same id.
        scope: Scope { template: Some(blob.id.clone()), made_project: made.as_ref().map(|made| made.name.clone()), ..Scope::default() },
    };
    if repeated(request, &asked)? {
        return text(execution.0);
    }
    let now = appliance.clock.now();
    let id = appliance.message_id(now);
    let spool = appliance.store.spool();
    let place = request.stored(spool.blob_as_payload(&content.file, id).map_err(StoreError::file("take the package over")))?;
    let new = NewMessage {
        id,
        activity_id: job.activity_id,
        direction: Direction::Import,
        entity: PACKAGE_ENTITY.to_owned(),
        content: Content::Package,
        run_now: true,
        stage_only: !request.flag("execute", true),
        company: job.company_of_package(request.text("legalEntityId")),
        external_id: None,
        application_id: Some(request.caller.id),
        size: content.digested.size,
        sha256: content.digested.sha256.clone(),
        checksum: content.digested.checksum,
        received_at: now,
        execution_id: Some(execution.clone()),
        counts: RowCounts::default(),
        findings: 0,
        replay_of: None,
        continues: None,
    };
    let asked = Requested { message_id: Some(id), ..asked };
    let caller = request.caller.id;
    let stored = appliance.store.write("store the message", move |batch| {
        messages::enqueue(batch, &new, Payload::Stored(place), now)?;
        if let Some(made) = made {
            // The real system makes the project, too (CONTRACT §1.6). One more than there may be is no reason to refuse a package.
            made_projects::keep(batch.connection, caller, &made, now)?;
        }
        executions::request(batch.connection, &asked, false, now)
    });
    if let Err(error) = stored {
        if let Err(error) = spool.remove_large(&id.to_string()) {
            log::warn!("spool file not removed reason=\"{error}\"");
        }
        return Err(super::failed(&error));
    }
    log::info!(
        "message received message={id} job=\"{}\" execution={} bytes={}",
        job.name,
        execution.0.escape_debug(),
        content.digested.size
    );
    appliance.dispatch.want(job.activity_id);
    text(execution.0)
}

/// The project that a package calls for, when the client names one that does not exist: the import project of the configuration that has all its
/// entities, under the client's name.
fn by_manifest(request: &Request<'_>, name: &str, content: &blobs::Content) -> Result<Chosen, Answer> {
    if name.chars().count() > EXECUTION_ID_MAX || name.chars().any(char::is_control) {
        return Err(request.refuse(400, "definitionGroupId has at most 200 characters, none of them a control character"));
    }
    let live = request.appliance.live();
    if live.config.projects.iter().any(|project| project.name.eq_ignore_ascii_case(name)) {
        // Of the configuration, and not for this client.
        return Err(request.refuse(400, &request.no_project(name, Direction::Import)));
    }
    if request.made(name)?.is_some_and(|made| made.direction == Direction::Export) {
        return Err(request.refuse(400, &format!("The data project '{name}' was made to export: choose another name, or delete it first")));
    }
    let file = request.stored(request.appliance.store.spool().open_blob(&content.file).map_err(StoreError::file("read the package")))?;
    let opened = request.stored(Archive::open(file, content.digested.size).map_err(StoreError::file("read the package")))?;
    let manifest = match opened {
        Opened::Package(_, manifest) => manifest,
        Opened::Refused(findings) => {
            let first = findings.first().map(|finding| format!("{}: {}", finding.message, finding.hint)).unwrap_or_default();
            return Err(request.refuse(400, &format!("The data project '{name}' does not exist, and the package cannot make it: {first}")));
        }
    };
    let mut entities: Vec<String> = Vec::new();
    for entity in manifest.entities.iter().filter(|entity| !entity.disabled && !entity.file.is_empty()) {
        let known = live.config.entity(&entity.name).or_else(|| live.config.entity(&entity.target));
        let label = known.map_or(&entity.name, |known| &known.name);
        if !entities.contains(label) {
            entities.push(label.clone());
        }
    }
    match projects::behind(&live, request.caller, Direction::Import, &entities) {
        Some(job) => {
            let made = MadeProject {
                name: name.to_owned(),
                direction: Direction::Import,
                description: String::new(),
                category: String::new(),
                entities,
            };
            Ok(Chosen { job, made: Some(made) })
        }
        None => Err(request.refuse(400, &projects::why_nothing(&live, request.caller, Direction::Import, name, &entities))),
    }
}

/// Whether this very request came before: a client that saw no answer sends it again. An id that means something else is refused.
fn repeated(request: &Request<'_>, asked: &Requested) -> Result<bool, Answer> {
    let found =
        request.stored(request.appliance.store.read("find the execution", |connection| executions::requested(connection, &asked.id.0)))?;
    match found {
        None => Ok(false),
        Some(other)
            if other.application_id == Some(asked.application_id)
                && other.project == asked.project
                && other.scope.as_ref() == Some(&asked.scope) =>
        {
            Ok(true)
        }
        Some(_) => Err(request.refuse(400, &format!("The execution id '{}' is taken by another execution: choose another", asked.id))),
    }
}

/// ExportToPackage and its variants: recorded, then run by a worker.
pub(super) fn export(request: &Request<'_>) -> Given {
    let appliance = request.appliance;
    let Chosen { job, made } = request.project(request.needed("definitionGroupId")?, Direction::Export)?;
    let action = request.action.to_ascii_lowercase();
    let mut scope = Scope {
        package_name: request.text("packageName").map(str::to_owned),
        company: request.text("legalEntityId").map(str::to_owned),
        ..Scope::default()
    };
    if let Some(list) = request.text("entityList") {
        for label in list.split(',').map(str::trim).filter(|label| !label.is_empty()) {
            let (project, own) = (made.as_ref().map_or(&job.project.name, |made| &made.name), made.as_ref().map(|made| &made.entities));
            match job.project.entity(label).filter(|entity| own.is_none_or(|own| own.contains(&entity.entity.name))) {
                Some(entity) => scope.entities.push(entity.entity.name.clone()),
                None => return Err(request.refuse(400, &format!("The data project '{project}' has no entity '{label}'"))),
            }
        }
    } else if let Some(made) = &made {
        scope.entities.clone_from(&made.entities);
    }
    scope.made_project = made.map(|made| made.name);
    if action.starts_with("exporttopackagepreview") {
        let asked = request.value("exportPreviewCount");
        let count = asked.and_then(|count| count.as_u64().or_else(|| count.as_str()?.trim().parse().ok()));
        scope.rows_max = Some(count.filter(|count| *count > 0).unwrap_or(PREVIEW_ROWS));
    }
    scope.delta = action == "exporttopackagedelta";
    if action == "exportfrompackage" {
        let blob = uploaded(request)?;
        if blob.content.is_none() {
            return Err(request.refuse(400, "nothing was uploaded to packageUrl, or it is no longer kept: put the package there first"));
        }
        scope.template = Some(blob.id);
    }
    let asked = Requested {
        id: execution_id(request)?,
        activity_id: job.activity_id,
        project: job.project.name.clone(),
        application_id: request.caller.id,
        message_id: None,
        scope,
    };
    let again = request.flag("reExecute", false);
    if repeated(request, &asked)? && !again {
        return text(asked.id.0);
    }
    let (id, now) = (asked.id.clone(), appliance.clock.now());
    request.stored(appliance.store.write("record the execution", move |batch| executions::request(batch.connection, &asked, true, now)))?;
    log::info!("export requested job=\"{}\" execution={}", job.name, id.0.escape_debug());
    appliance.dispatch.want_requested();
    text(id.0)
}

/// GetExportedPackageUrl: empty while it is not ready.
pub(super) fn exported_url(request: &Request<'_>) -> Given {
    let Known { execution, .. } = known(request, request.needed("executionId")?)?;
    let made = execution.and_then(|execution| execution.blob_id);
    let Some(id) = made else { return text("") };
    let found = request.stored(request.appliance.store.read("find the blob", |connection| blobs::find(connection, &id)))?;
    match found.filter(|blob| blob.content.is_some()) {
        Some(blob) => text(blob::url(request.appliance, &blob.name, &blob.id, false)),
        None => text(""),
    }
}
