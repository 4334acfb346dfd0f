//! `entrepot serve`.

use std::io::Write;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::{Arc, mpsc};
use std::time::Duration;

use serde_json::json;

use super::{ConfigFile, Failure, init, notify, operate};
use crate::appliance::Appliance;
use crate::clock::Clock;
use crate::config::{Config, Overrides};
use crate::files::write_private;
use crate::http::listener::Listener;

/// The file in the data directory that tells the shell where the appliance is.
pub const RUNNING: &str = "running.json";

/// What a stop may take beside `server.stop_grace`: loads are taken back, the queue commits and checkpoints.
pub const STOP_WORK_MAX: Duration = Duration::from_secs(60);

/// Tells whoever reads the output; that nobody does any more ends no appliance.
macro_rules! say {
    ($($text:tt)*) => {{
        let _ = writeln!(std::io::stdout(), $($text)*);
    }};
}

#[derive(clap::Args)]
pub struct Serve {
    #[command(flatten)]
    config: ConfigFile,
    /// Where everything is kept, in place of the configuration's data_dir.
    #[arg(long, value_name = "DIR")]
    data_dir: Option<PathBuf>,
    /// Where to listen, in place of the configuration's.
    #[arg(long, value_name = "ADDRESS:PORT")]
    listen: Option<SocketAddr>,
    /// For development: nothing is kept after the end, the clock can be moved (/api/v1/clock), everything can be emptied (/api/v1/reset).
    #[arg(long, conflicts_with = "data_dir")]
    memory: bool,
    /// For development: refuse what D365 refuses, such as CSV-Unicode that is no UTF-16, or an entity that is not called by its exact label.
    #[arg(long)]
    strict: bool,
}

impl Serve {
    pub fn run(mut self) -> Result<(), Failure> {
        let scratch = self.memory.then(Scratch::make).transpose()?;
        if let Some(scratch) = &scratch {
            self.data_dir = Some(scratch.0.clone());
        }
        let config = self.configuration()?;
        let clock = if self.memory { Clock::movable() } else { clock()? };
        let running = Running::start(config, clock)?;
        say!("entrepot {} serves {} at http://{}", env!("CARGO_PKG_VERSION"), running.data_dir.display(), running.listener.address);
        if let Some(https) = running.listener.https_address {
            say!("and at https://{https}");
        }
        if self.memory {
            say!("nothing is kept: everything goes when this ends");
        }
        if let Some(file) = &running.appliance.live().config.file {
            say!("configuration {}; changes are applied as they are saved", file.display());
        }
        match running.first_link()? {
            Some(link) => say!("sign in to the pages, once, with this link: {link}"),
            None => say!("the pages are at {}/", running.appliance.live().config.server.public_url),
        }
        say!("go on with: entrepot job list, entrepot message list; stop with Ctrl-C");
        let (sender, receiver) = mpsc::channel();
        ctrlc::set_handler(move || {
            // The receiver is gone only when the process ends anyway.
            let _ = sender.send(());
        })
        .map_err(|error| Failure::no(format!("cannot handle signals: {error}")))?;
        notify::tell("READY=1");
        running.watch_until(&receiver);
        log::info!("stopping reason=signal; transfers under way have server.stop_grace");
        let grace = running.stop_grace();
        notify::tell(&format!("STOPPING=1\nEXTEND_TIMEOUT_USEC={}", (grace + STOP_WORK_MAX).as_micros()));
        running.stop(grace);
        log::info!("stopped");
        Ok(())
    }

    fn configuration(&self) -> Result<Config, Failure> {
        let mut file = self.config.clone();
        if file.find().is_none() {
            // Nothing is configured: the starter, kept in the data directory.
            let data_dir = self.data_dir.clone().unwrap_or_else(|| PathBuf::from("entrepot-data"));
            let kept = data_dir.join("entrepot.toml");
            if !kept.exists() {
                let listen = self.listen.map_or_else(|| "127.0.0.1:8420".to_owned(), |listen| listen.to_string());
                let made = init::make(&data_dir, ".", &listen)?;
                say!("no configuration was found; the starter is now {}", made.file.display());
                say!("  application   {}\n  secret        {}   (shown once, kept as a hash)", made.application, made.secret);
                say!("try it:\n{}", init::try_it(&format!("http://{listen}"), &made.application.to_string(), &made.secret));
            }
            file.config = Some(kept);
        }
        let checked = file.load_telling()?;
        let data_dir = self.data_dir.as_ref().map(|data_dir| std::path::absolute(data_dir).unwrap_or_else(|_| data_dir.clone()));
        Ok(checked.config.with(Overrides { data_dir, listen: self.listen, memory: self.memory, strict: self.strict }))
    }
}

/// A data directory that goes with the process: in memory, where the system has such a place.
struct Scratch(PathBuf);

impl Scratch {
    fn make() -> Result<Scratch, Failure> {
        let shared = PathBuf::from("/dev/shm");
        let base = if shared.is_dir() { shared } else { std::env::temp_dir() };
        let dir = base.join(format!("entrepot-{}", uuid::Uuid::new_v4()));
        crate::files::make_private_directory(&dir).map_err(|error| Failure::no(format!("cannot make {}: {error}", dir.display())))?;
        Ok(Scratch(dir))
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // What cannot be removed is the system's to clear away.
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// The machine's clock; in a debug build a test may set it.
fn clock() -> Result<Clock, Failure> {
    #[cfg(debug_assertions)]
    if let Some(start) = std::env::var_os("ENTREPOT_TEST_CLOCK") {
        let start = start
            .to_str()
            .and_then(|start| start.parse().ok())
            .ok_or_else(|| Failure::usage("ENTREPOT_TEST_CLOCK is no number of milliseconds"))?;
        return Ok(Clock::set(crate::model::time::Timestamp(start)));
    }
    Ok(Clock::system())
}

/// An appliance with its HTTP.
pub struct Running {
    pub appliance: Arc<Appliance>,
    pub listener: Listener,
    data_dir: PathBuf,
}

impl Running {
    pub fn start(config: Config, clock: Clock) -> Result<Running, Failure> {
        let data_dir = config.server.data_dir.clone();
        let appliance = Appliance::start(config, clock).map_err(|error| Failure::no(error.to_string()))?;
        let listener = match Listener::start(&appliance) {
            Ok(listener) => listener,
            Err(error) => {
                appliance.stop();
                return Err(Failure::no(error));
            }
        };
        let running = json!({ "url": format!("http://{}", operate::reachable(listener.address)), "operator_token": appliance.operator_token, "process": std::process::id() });
        write_private(&data_dir.join(RUNNING), running.to_string().as_bytes())
            .map_err(|error| Failure::no(format!("cannot write {}: {error}", data_dir.join(RUNNING).display())))?;
        Ok(Running { appliance, listener, data_dir })
    }

    /// The one-time link for the first person; `None` when somebody can sign in already.
    pub fn first_link(&self) -> Result<Option<String>, Failure> {
        if self.appliance.has_users() {
            return Ok(None);
        }
        self.appliance.make_sign_in_link().map(Some).map_err(|error| Failure::no(error.to_string()))
    }

    /// Returns when a signal came. Until then the service manager's watchdog, where there is one, hears of us as long as the scheduler and every
    /// relay of the edge go round; when one of them stands still it hears nothing, and starts us again: nothing that was promised is lost by that.
    fn watch_until(&self, signal: &mpsc::Receiver<()>) {
        let Some(interval) = notify::watchdog_interval() else {
            // The sender lives as long as the handler.
            let _ = signal.recv();
            return;
        };
        let mut last = self.appliance.pulse();
        while signal.recv_timeout(interval) == Err(mpsc::RecvTimeoutError::Timeout) {
            let pulse = self.appliance.pulse();
            match pulse.standing_still_since(&last) {
                still if still.is_empty() => notify::tell("WATCHDOG=1"),
                still => log::error!("watchdog not told standing_still=\"{}\" interval={interval:?}", still.join(", ")),
            }
            last = pulse;
        }
    }

    /// Where everything is kept.
    #[cfg(windows)]
    pub fn data_dir(&self) -> &std::path::Path {
        &self.data_dir
    }

    /// What the configuration gives to transfers under way.
    pub fn stop_grace(&self) -> Duration {
        self.appliance.live().config.server.stop_grace
    }

    /// Requests first, which have `grace`, then everything else.
    pub fn stop(self, grace: Duration) {
        self.listener.stop(grace);
        self.appliance.stop();
        let _ = crate::files::remove(&self.data_dir.join(RUNNING));
    }
}
