//! Builds all parts, starts and stops them in a stated order.
//!
//! Start: lock, keys, store (which recovers), jobs known to the store, workers, scheduler, HTTP. Stop: no new requests, scheduler, workers (an
//! import under way is taken back and queued), store (commits what waits, checkpoints), lock.

use std::fmt;
use std::fs::File;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, OnceLock, PoisonError, RwLock};
use std::thread::JoinHandle;

use crate::auth::device::Devices;
use crate::auth::issuer::OutsideIssuer;
use crate::auth::keyring::Keyring;
use crate::auth::outside_keys::OutsideKeys;
use crate::auth::sign_in::SignInLink;
use crate::auth::signed_url::UrlKey;
use crate::auth::verify::Verifier;
use crate::background::dispatch::Dispatch;
use crate::background::rescuer::Rescuer;
use crate::background::{key_fetcher, scheduler, worker};
use crate::clock::{Bell, Clock};
use crate::config::watched::Watched;
use crate::config::{Config, KeySource, parse};
use crate::edge::Edge;
use crate::files::blob::Blocks;
use crate::files::fetched::Fetched;
use crate::http::injury::Faults;
use crate::http::pace::Pace;
use crate::model::id::MessageId;
use crate::model::project::Direction;
use crate::model::time::Timestamp;
use crate::store::entities::Entities;
use crate::store::{Store, blobs, increments, jobs, messages, people};

/// Why a changed configuration is not taken up, though it is right.
pub const NEEDS_RESTART: &str = "a change of [server] needs a restart";

/// The configuration in force and what is made from it. Replaced as a whole when the file changes.
pub struct Live {
    /// The configuration.
    pub config: Config,
    /// Checks tokens.
    pub verifier: Verifier,
    /// What is done to clients on purpose.
    pub faults: Arc<Faults>,
    /// The entity databases; shared by all configurations that have the same ones, with the locks of the loads under way.
    pub entities: Arc<Entities>,
}

/// A running appliance.
pub struct Appliance {
    /// Tells the time.
    pub clock: Clock,
    /// The queue.
    pub store: Store,
    /// What is to be done.
    pub dispatch: Dispatch,
    /// Messages whose end could not be written.
    pub rescuer: Rescuer,
    /// Wakes the scheduler.
    pub bell: Bell,
    /// How far the scheduler has come.
    pub scheduled: Progress,
    /// The signing keys.
    pub keyring: Arc<Keyring>,
    /// What operators (the shell) authenticate with.
    pub operator_token: String,
    /// The link with which the first person signs in.
    pub sign_in_link: SignInLink,
    /// The keys of issuers that are named by a URL.
    pub outside_keys: OutsideKeys,
    /// Signs the URLs of blobs.
    pub url_key: UrlKey,
    /// Programs that wait for a person's code.
    pub devices: Devices,
    /// Blocks of blobs that wait for their lists.
    pub blocks: Blocks,
    /// Which bytes of packages went out.
    pub fetched: Fetched,
    /// How often somebody may ask.
    pub pace: Pace,
    /// What stands between the network and the handlers, once it listens.
    pub edge: OnceLock<Arc<Edge>>,
    ids: Mutex<uuid::ContextV7>,
    first_id_at: Timestamp,
    live: RwLock<Arc<Live>>,
    /// The files of the configuration that was last looked at, in force or refused.
    watched: Mutex<Vec<Watched>>,
    /// A table can be read by now, and what the configuration says of it is refused: told once, until a file changes.
    appeared: AtomicBool,
    stop: AtomicBool,
    threads: Mutex<Vec<JoinHandle<()>>>,
    /// Held until the stop.
    lock: Mutex<Option<File>>,
}

/// How far the scheduler's view of the clock has come, so that a test can wait for it, and that the scheduler goes on at all.
#[derive(Default)]
pub struct Progress {
    at: Mutex<Timestamp>,
    changed: Condvar,
    steps: AtomicU64,
}

/// What must move as long as the appliance is alive: steps of the scheduler, rounds of each relay of the edge.
pub struct Pulse(Vec<(String, u64)>);

impl Pulse {
    /// What has not moved since an earlier look.
    pub fn standing_still_since(&self, earlier: &Pulse) -> Vec<&str> {
        self.0.iter().filter(|moving| earlier.0.contains(moving)).map(|(name, _)| name.as_str()).collect()
    }
}

impl Progress {
    /// The scheduler does not stand still: also said in the middle of long work.
    pub fn goes_on(&self) {
        self.steps.fetch_add(1, Ordering::SeqCst);
    }

    /// The scheduler has served everything up to `at`.
    pub fn reached(&self, at: Timestamp) {
        *self.at.lock().unwrap_or_else(PoisonError::into_inner) = at;
        self.changed.notify_all();
    }

    /// Waits until it has.
    pub fn wait_for(&self, at: Timestamp) {
        let mut reached = self.at.lock().unwrap_or_else(PoisonError::into_inner);
        while *reached < at {
            reached = self.changed.wait(reached).unwrap_or_else(PoisonError::into_inner);
        }
    }
}

/// Why an appliance does not start.
#[derive(Debug)]
pub struct StartError(pub String);

impl fmt::Display for StartError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for StartError {}

impl Appliance {
    /// Starts everything but HTTP.
    pub fn start(config: Config, clock: Clock) -> Result<Arc<Appliance>, StartError> {
        let data_dir = config.server.data_dir.clone();
        let say = |what: &str, error: &dyn fmt::Display| StartError(format!("{what} {}: {error}", data_dir.display()));
        crate::files::make_private_directory(&data_dir).map_err(|error| say("cannot make the data directory", &error))?;
        let lock = lock(&data_dir)?;
        let operator_token = crate::auth::secret::generate().map_err(|error| StartError(error.to_string()))?;
        let now = clock.now();
        let keyring = Arc::new(Keyring::open(&data_dir.join("keys"), now).map_err(|error| StartError(error.to_string()))?);
        let outside_keys = OutsideKeys::new(data_dir.join("issuers"), &clock);
        let url_key = UrlKey::open(&data_dir.join("url.key")).map_err(StartError)?;
        let store = Store::open(&data_dir).map_err(|error| say("cannot open the queue in", &error))?;
        blobs::sweep(&store).map_err(|error| say("cannot clear away what a crash left in", &error))?;
        let newest = store.read("read the newest message", messages::newest).map_err(|error| say("cannot read the queue in", &error))?;
        let newest_at = newest.and_then(|id| id.0.get_timestamp()).map(|at| at.to_unix());
        let above = newest_at.map_or(Timestamp(0), |(seconds, nanos)| {
            Timestamp(i64::try_from(seconds * 1000 + u64::from(nanos) / 1_000_000).unwrap_or(0) + 1)
        });
        let first_id_at = above.max(now);
        let watched = Mutex::new(config.watched.clone());
        let live = Arc::new(Live {
            verifier: verifier(&config, &keyring, &outside_keys)?,
            faults: Arc::new(Faults::new(&config.faults)),
            entities: Arc::new(Entities::new(&config.databases)),
            config,
        });
        let appliance = Arc::new(Appliance {
            bell: Bell::new(&clock),
            clock,
            store,
            dispatch: Dispatch::default(),
            rescuer: Rescuer::default(),
            scheduled: Progress::default(),
            keyring,
            operator_token,
            sign_in_link: SignInLink::default(),
            outside_keys,
            url_key,
            devices: Devices::default(),
            blocks: Blocks::default(),
            fetched: Fetched::default(),
            pace: Pace::default(),
            edge: OnceLock::new(),
            ids: Mutex::new(uuid::ContextV7::new()),
            first_id_at,
            live: RwLock::new(live.clone()),
            watched,
            appeared: AtomicBool::new(false),
            stop: AtomicBool::new(false),
            threads: Mutex::default(),
            lock: Mutex::new(Some(lock)),
        });
        appliance.register(&live).map_err(|error| say("cannot register the jobs in", &error))?;
        appliance.look_at_queues(&live);
        let mut threads = Vec::new();
        for number in 0..live.config.server.workers {
            let appliance = appliance.clone();
            threads.push(spawn(&format!("worker-{number}"), move || worker::work(&appliance))?);
        }
        let scheduling = appliance.clone();
        threads.push(spawn("scheduler", move || scheduler::run(&scheduling))?);
        let fetching = appliance.clone();
        threads.push(spawn("key-fetcher", move || key_fetcher::run(&fetching))?);
        *appliance.threads.lock().unwrap_or_else(PoisonError::into_inner) = threads;
        Ok(appliance)
    }

    /// The configuration in force.
    pub fn live(&self) -> Arc<Live> {
        self.live.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Whether a stop was asked for.
    pub fn is_stopping(&self) -> bool {
        self.stop.load(Ordering::SeqCst)
    }

    /// For long work to look at.
    pub fn stop_flag(&self) -> &AtomicBool {
        &self.stop
    }

    /// Message ids of this run are at or above this instant.
    pub fn first_id_at(&self) -> Timestamp {
        self.first_id_at
    }

    /// A new message id: above every one made before it, even within a millisecond.
    pub fn message_id(&self, now: Timestamp) -> MessageId {
        // Also above those of an earlier run, when the clock was set back meanwhile.
        let now = now.max(self.first_id_at);
        let seconds = u64::try_from(now.seconds()).unwrap_or_default();
        let nanos = u32::try_from(now.0.rem_euclid(1000)).unwrap_or_default() * 1_000_000;
        let context = self.ids.lock().unwrap_or_else(PoisonError::into_inner);
        MessageId(uuid::Uuid::new_v7(uuid::Timestamp::from_unix(&*context, seconds, nanos)))
    }

    /// Applies the configuration when its file or one of its stylesheets changed, or a table can be read by now that it leaves fields to; a bad one is
    /// refused as a whole and told once.
    pub fn reload_if_changed(&self) {
        let live = self.live();
        let Some(file) = live.config.file.as_deref() else { return };
        let mut watched = self.watched.lock().unwrap_or_else(PoisonError::into_inner);
        let appeared = !self.appeared.load(Ordering::SeqCst) && live.config.entities.iter().any(|entity| live.entities.can_be_read(entity));
        // While it is being replaced there may be none.
        if file.exists() && (appeared || watched.iter().any(Watched::is_changed)) {
            let done = self.apply(&live, file, &mut watched);
            self.appeared.store(appeared && done.is_err(), Ordering::SeqCst);
        }
    }

    /// Applies the configuration file now, changed or not.
    ///
    /// # Errors
    /// What is wrong with it; the running configuration stays.
    pub fn reload(&self) -> Result<(), String> {
        let live = self.live();
        let file = live.config.file.as_deref().ok_or("there is no configuration file")?;
        // Held meanwhile: the scheduler does not apply the same change once more.
        self.apply(&live, file, &mut self.watched.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn apply(&self, live: &Live, file: &Path, watched: &mut Vec<Watched>) -> Result<(), String> {
        let made =
            self.prepare(live, file, watched).and_then(|made| self.register(&made).map(|()| made).map_err(|error| error.to_string()));
        match made {
            Ok(made) => {
                *self.live.write().unwrap_or_else(PoisonError::into_inner) = made.clone();
                self.look_at_queues(&made);
                // Keys that were fetched while the new verifier was made.
                self.renew_verifier();
                self.outside_keys.bell.ring();
                log::info!("configuration applied file={}", file.display());
                Ok(())
            }
            Err(reason) => {
                log::error!("configuration refused file={} reason=\"the running one stays\"\n{reason}", file.display());
                Err(reason)
            }
        }
    }

    /// Reads the file and makes everything that it needs; nothing is in force yet.
    fn prepare(&self, live: &Live, file: &Path, watched: &mut Vec<Watched>) -> Result<Arc<Live>, String> {
        let checked = parse::load(file).map_err(|problems| {
            *watched = problems.watched.clone();
            problems.to_string()
        })?;
        for entity in checked.config.entities.iter().filter(|entity| entity.unread.is_some()) {
            let reason = entity.unread.as_deref().unwrap_or_default();
            log::warn!("entity not read entity=\"{}\" reason=\"{reason}\"; what needs it waits", entity.name);
        }
        let config = checked.config.with(live.config.overrides.clone());
        *watched = config.watched.clone();
        if config.server != live.config.server {
            return Err(NEEDS_RESTART.into());
        }
        let entities = match config.databases == live.config.databases {
            true => live.entities.clone(),
            false => Arc::new(Entities::new(&config.databases)),
        };
        let verifier = verifier(&config, &self.keyring, &self.outside_keys).map_err(|error| error.to_string())?;
        Ok(Arc::new(Live { verifier, faults: Arc::new(Faults::new(&config.faults)), entities, config }))
    }

    /// Takes up keys of issuers that were fetched.
    pub fn renew_verifier(&self) {
        // Held while the new one is made, so that a configuration that is applied meanwhile is not undone.
        let mut live = self.live.write().unwrap_or_else(PoisonError::into_inner);
        match verifier(&live.config, &self.keyring, &self.outside_keys) {
            Ok(verifier) => {
                let config = live.config.clone();
                *live = Arc::new(Live { verifier, faults: live.faults.clone(), entities: live.entities.clone(), config });
            }
            Err(error) => log::error!("keys not taken up reason=\"{error}\"; those that are here stay"),
        }
    }

    /// Makes the store know the jobs, and entities by the names that they have now.
    fn register(&self, live: &Live) -> Result<(), crate::store::StoreError> {
        let now = self.clock.now();
        let known: Vec<_> = live.config.jobs.iter().map(|job| (job.activity_id, job.name.clone(), job.recurs())).collect();
        let entities = live.config.entities.clone();
        let waited_for = self.store.write("register the jobs", move |batch| {
            entities.iter().try_for_each(|entity| increments::adopt(batch.connection, entity))?;
            for (activity, name, recurs) in &known {
                jobs::register(batch.connection, *activity, name, now)?;
                jobs::recurs(batch.connection, *activity, recurs, now)?;
            }
            let known: Vec<_> = known.iter().map(|(activity, ..)| *activity).collect();
            jobs::retire(batch.connection, &known)
        })?;
        for (name, waiting) in waited_for {
            log::warn!("job gone job=\"{name}\" waiting={waiting}; put it back into the configuration, or cancel its messages");
        }
        Ok(())
    }

    /// Makes workers look at the queues of all jobs, once the configuration that they look with is in force.
    fn look_at_queues(&self, live: &Live) {
        live.config
            .jobs
            .iter()
            .filter(|job| job.project.direction == Direction::Import)
            .for_each(|job| self.dispatch.want(job.activity_id));
        self.dispatch.want_requested();
    }

    /// What has moved so far, and lets it move once more: two looks tell what stands still.
    pub fn pulse(&self) -> Pulse {
        let mut moving = vec![("scheduler".to_owned(), self.scheduled.steps.load(Ordering::SeqCst))];
        let relays = self.edge.get().map(|edge| edge.rounds()).unwrap_or_default();
        moving.extend(relays.into_iter().enumerate().map(|(number, rounds)| (format!("relay-{number}"), rounds)));
        self.bell.ring();
        Pulse(moving)
    }

    /// Whether anybody may sign in to the pages yet.
    pub fn has_users(&self) -> bool {
        // A queue that cannot be read is told elsewhere; no link is made then.
        !self.live().config.users.is_empty() || self.store.read("read the users", people::users).is_ok_and(|users| !users.is_empty())
    }

    /// Makes a new sign-in link, in the place of an earlier one.
    pub fn make_sign_in_link(&self) -> Result<String, StartError> {
        let token = self.sign_in_link.make(self.clock.now()).map_err(|error| StartError(error.to_string()))?;
        Ok(format!("{}/welcome/{token}", self.live().config.server.public_url))
    }

    /// Whether this is a playground: nothing is kept, the clock can be moved, everything can be emptied.
    pub fn is_playground(&self) -> bool {
        self.live().config.overrides.memory
    }

    /// Empties the queue and the managed entities, when what is in work is done.
    pub fn reset(&self) -> Result<(), crate::store::StoreError> {
        self.settle();
        self.blocks.forget(Timestamp(i64::MAX));
        crate::store::reset::queue(&self.store)?;
        self.live().entities.reset()
    }

    /// Waits until everything that is due now is done: for tests that move the clock.
    pub fn settle(&self) {
        self.bell.ring();
        self.scheduled.wait_for(self.clock.now());
        self.dispatch.settle();
    }

    /// Stops everything that [`Appliance::start`] started.
    pub fn stop(&self) {
        self.stop.store(true, Ordering::SeqCst);
        self.bell.ring();
        self.outside_keys.bell.ring();
        self.dispatch.stop();
        for thread in self.threads.lock().unwrap_or_else(PoisonError::into_inner).drain(..) {
            let _ = thread.join();
        }
        self.store.close();
        *self.lock.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }
}

fn spawn(name: &str, work: impl FnOnce() + Send + 'static) -> Result<JoinHandle<()>, StartError> {
    std::thread::Builder::new()
        .name(name.into())
        .spawn(work)
        .map_err(|error| StartError(format!("cannot start the thread {name}: {error}")))
}

fn verifier(config: &Config, keyring: &Arc<Keyring>, fetched: &OutsideKeys) -> Result<Verifier, StartError> {
    let mut outside = Vec::new();
    for issuer in &config.issuers {
        let made = match &issuer.jwks {
            KeySource::File(file) => {
                let say = |error: &dyn fmt::Display| StartError(format!("cannot use the keys in {}: {error}", file.display()));
                let jwks = std::fs::read_to_string(file).map_err(|error| say(&error))?;
                OutsideIssuer::new(&issuer.issuer, &issuer.audience, &jwks).map_err(|error| say(&error))?
            }
            KeySource::Url(url) => {
                let here = fetched.get(url).map(|jwks| OutsideIssuer::new(&issuer.issuer, &issuer.audience, &jwks));
                // A set that was kept is one that could be used; a file that somebody spoilt is fetched anew.
                let made = match here {
                    Some(Ok(made)) => made,
                    _ => OutsideIssuer::awaiting(&issuer.issuer, &issuer.audience).map_err(|error| StartError(error.to_string()))?,
                };
                made.with_wish(fetched.wish(&issuer.issuer))
            }
        };
        for skipped in made.skipped() {
            log::warn!("key not used issuer=\"{}\" reason=\"{skipped}\"", issuer.issuer);
        }
        outside.push(made);
    }
    Verifier::new(keyring.clone(), &config.server.public_url, audiences(config), outside).map_err(|error| StartError(error.to_string()))
}

/// What tokens may be for: the public URL, and the addresses themselves.
pub fn audiences(config: &Config) -> Vec<String> {
    let mut audiences = vec![config.server.public_url.clone(), format!("http://{}", config.server.listen)];
    audiences.extend(config.server.https.iter().flat_map(|https| &https.listen).map(|listen| format!("https://{listen}")));
    audiences
}

/// Two processes never serve one data directory.
fn lock(data_dir: &Path) -> Result<File, StartError> {
    let path = data_dir.join("lock");
    let file = File::options()
        .create(true)
        .truncate(false)
        .write(true)
        .open(&path)
        .map_err(|error| StartError(format!("cannot open {}: {error}", path.display())))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(std::fs::TryLockError::WouldBlock) => {
            Err(StartError(format!("another entrepot serves {}\n  hint: stop it, or choose another data_dir", data_dir.display())))
        }
        Err(std::fs::TryLockError::Error(error)) => Err(StartError(format!("cannot lock {}: {error}", path.display()))),
    }
}
