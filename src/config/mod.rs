//! The configuration: one TOML file (DESIGN §3). `Written` is what the file says; [`Config`] is what it means, checked and resolved.
//!
//! Nothing outside this module reads the file; everything else is handed a `Config`.

mod application;
pub mod effective;
mod entity;
mod fault;
mod format;
mod job;
mod limits;
mod mapping;
mod mapping_test;
pub mod parse;
pub mod problem;
mod project;
pub mod schema;
mod section;
mod server;
pub mod starter;
mod stylesheet;
mod user;
pub mod watched;

#[cfg(test)]
mod tests;

pub use section::parse_duration;
pub use stylesheet::decoded;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use self::watched::Watched;
use crate::edge::{Settings, TlsSettings};
use crate::model::entity::Entity;
use crate::model::id::{ActivityId, ApplicationId};
use crate::model::injury::Fault;
use crate::model::job::Job;
use crate::model::mapping_test::MappingTest;
use crate::model::person::User;
use crate::model::project::Project;
use crate::model::transform::Budget;

/// The whole configuration, resolved.
#[derive(Clone, Debug)]
pub struct Config {
    /// The file it came from, absolute; `None` when there is none.
    pub file: Option<PathBuf>,
    /// `[server]`
    pub server: Server,
    /// `[queue]`
    pub queue: Queue,
    /// `[[user]]`; those made by the sign-in link are kept in the store.
    pub users: Vec<User>,
    /// `[[application]]`
    pub applications: Vec<Application>,
    /// `[[issuer]]`
    pub issuers: Vec<Issuer>,
    /// `[[database]]`; the managed one, `entities`, is always the first.
    pub databases: Vec<Database>,
    /// `[[entity]]`
    pub entities: Vec<Arc<Entity>>,
    /// `[[project]]`
    pub projects: Vec<Arc<Project>>,
    /// `[[project.test]]`
    pub tests: Vec<MappingTest>,
    /// `[[job]]`
    pub jobs: Vec<Arc<Job>>,
    /// `[[fault]]`
    pub faults: Vec<Fault>,
    /// `[xslt]`
    pub xslt: Budget,
    /// The files that it was read from.
    pub watched: Vec<Watched>,
    /// What the command line says in the place of the file.
    pub overrides: Overrides,
}

/// What the command line says in the place of `[server]`; it holds for every configuration that is applied later, too.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Overrides {
    /// Where everything is kept, absolute.
    pub data_dir: Option<PathBuf>,
    /// Where to listen.
    pub listen: Option<SocketAddr>,
    /// Nothing is kept after the end, the clock can be moved, and everything can be emptied.
    pub memory: bool,
    /// D365's own refusals, with our reasons.
    pub strict: bool,
}

/// `[server]`
#[derive(Clone, Debug, PartialEq)]
pub struct Server {
    /// Plain HTTP; loopback unless the file says otherwise. Default 127.0.0.1:8420.
    pub listen: SocketAddr,
    /// Base of every URL that is handed out, and the token issuer; without a trailing slash. Default `http://` and `listen`.
    pub public_url: String,
    /// Where everything is kept, absolute.
    pub data_dir: PathBuf,
    /// Threads that load and export documents. Default: the number of cores, at least 2.
    pub workers: usize,
    /// How long running transfers may take at a stop. Default 30 s.
    pub stop_grace: Duration,
    /// `[server.https]`, the second listener.
    pub https: Option<TlsSettings>,
    /// `[limits]`, and the trusted proxies.
    pub limits: Settings,
}

/// `[queue]`
#[derive(Clone, Debug, PartialEq)]
pub struct Queue {
    /// A dequeued message comes back after this, until acked. Default 30 min.
    pub lease: Duration,
    /// Payloads of finished messages are kept this long. Default 7 days.
    pub retention: Duration,
    /// Messages themselves (without payload), findings and samples are kept this long. Default 90 days.
    pub history: Duration,
    /// The largest body accepted, in bytes. Default 2 GiB.
    pub max_body: u64,
    /// Findings kept of one execution; all are counted. Default 10,000.
    pub findings_max: u64,
    /// Enqueues are refused while the disk has less free space than this. Default 256 MiB.
    pub free_min: u64,
}

/// An OAuth client.
#[derive(Clone, Debug, PartialEq)]
pub struct Application {
    /// Its client id.
    pub id: ApplicationId,
    /// For people.
    pub name: String,
    /// SHA-256 of its secret; `None` when only outside issuers speak for it.
    pub secret_hash: Option<[u8; 32]>,
    /// A disabled application gets no token and its tokens stop working.
    pub enabled: bool,
    /// People who may sign in for it without its secret, by the names with which they sign in to the pages.
    pub users: Vec<String>,
}

/// Another issuer whose tokens are accepted.
#[derive(Clone, Debug, PartialEq)]
pub struct Issuer {
    /// The `iss` claim.
    pub issuer: String,
    /// Accepted `aud` claims, with or without a trailing slash.
    pub audience: Vec<String>,
    /// Where its keys are.
    pub jwks: KeySource,
    /// A PEM file with the authorities that vouch for the host of the URL, absolute; those of the public web when `None`.
    pub jwks_authority: Option<PathBuf>,
}

/// Where the keys of an issuer are.
#[derive(Clone, Debug, PartialEq)]
pub enum KeySource {
    /// A JWKS file, absolute.
    File(PathBuf),
    /// An https URL, from which they are fetched now and then.
    Url(String),
}

/// Where entities may live.
#[derive(Clone, Debug, PartialEq)]
pub struct Database {
    /// Its name; `entities` is the managed one.
    pub name: String,
    /// The SQLite file, absolute.
    pub path: PathBuf,
    /// Managed: the appliance creates tables and adds columns. Otherwise tables are used as they are found.
    pub managed: bool,
    /// A lock that another program holds is waited for so long; then what was to be done is deferred.
    pub lock_wait: Duration,
}

impl Database {
    /// The managed one, in this data directory.
    pub fn managed(data_dir: &Path) -> Database {
        Database { name: crate::model::entity::MANAGED.into(), path: data_dir.join("entities.db"), managed: true, lock_wait: LOCK_WAIT }
    }
}

/// How long a lock of another program is waited for.
pub const LOCK_WAIT: Duration = Duration::from_secs(20);

impl Config {
    /// The configuration with what the command line says.
    #[must_use]
    pub fn with(mut self, overrides: Overrides) -> Config {
        if let Some(data_dir) = &overrides.data_dir {
            self.server.data_dir = data_dir.clone();
            for database in self.databases.iter_mut().filter(|database| database.managed) {
                database.path = data_dir.join("entities.db");
            }
        }
        if let Some(listen) = overrides.listen {
            if self.server.public_url == format!("http://{}", self.server.listen) {
                self.server.public_url = format!("http://{listen}");
            }
            self.server.listen = listen;
        }
        self.overrides = overrides;
        self
    }

    /// The job with this activity id.
    pub fn job(&self, id: ActivityId) -> Option<&Arc<Job>> {
        self.jobs.iter().find(|job| job.activity_id == id)
    }

    /// The application with this client id.
    pub fn application(&self, id: ApplicationId) -> Option<&Application> {
        self.applications.iter().find(|application| application.id == id)
    }

    /// The user of this name, in any case.
    pub fn user(&self, name: &str) -> Option<&User> {
        self.users.iter().find(|user| user.name.eq_ignore_ascii_case(name))
    }

    /// The entity with this name or alias.
    pub fn entity(&self, label: &str) -> Option<&Arc<Entity>> {
        self.entities.iter().find(|entity| entity.is_called(label))
    }
}
