//! `entrepot service`: what Windows runs. Its service manager starts `service run`; the package calls `service configure` before that, for the
//! configuration's first text. Both have no console: what they say goes to the Event Log and into files.

use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, OnceLock, PoisonError, mpsc};
use std::time::Duration;

use windows_service::service::{
    ServiceAccess, ServiceAction, ServiceActionType, ServiceControl, ServiceControlAccept, ServiceExitCode, ServiceFailureActions,
    ServiceFailureResetPeriod, ServiceInfo, ServiceStartType, ServiceState, ServiceStatus, ServiceType,
};
use windows_service::service_control_handler::{self, ServiceControlHandlerResult, ServiceStatusHandle};
use windows_service::service_manager::{ServiceManager, ServiceManagerAccess};
use windows_service::{define_windows_service, service_dispatcher};

use super::event_log::{self, Level};
use super::owner::owner;
use super::serve::{Running, STOP_WORK_MAX};
use super::{ConfigFile, Failure};
use crate::clock::Clock;
use crate::files::write_private;
use crate::log::LogFormat;
use crate::log::rolling::RollingFile;

/// The service's name, as the package gives it.
const NAME: &str = "Entrepot";
/// The file in the data directory with the link for the first person.
const SIGN_IN: &str = "sign-in.txt";
/// Transfers under way have no more than this when the service is stopped: Windows Installer gives up after 30 seconds.
const STOP_GRACE_MAX: Duration = Duration::from_secs(20);
/// The same when the machine goes down: Windows gives a service 5 seconds then, and kills it. What was answered is on disk in any case.
const SHUTDOWN_GRACE_MAX: Duration = Duration::from_secs(1);
/// A start tells that it goes on this often; recovery after a power cut may take its time.
const START_STEP: Duration = Duration::from_secs(5);

/// What the service manager and the package call.
#[derive(clap::Subcommand)]
pub enum ServiceVerb {
    /// Serve, started by the service manager.
    Run(Run),
    /// Write the configuration when there is none, and tell Windows to start the service again when it ends.
    Configure(Configure),
}

impl ServiceVerb {
    pub fn run(self, format: LogFormat) -> Result<(), Failure> {
        match self {
            ServiceVerb::Run(run) => run.run(format),
            ServiceVerb::Configure(configure) => configure
                .run()
                .inspect_err(|failure| event_log::tell(Level::Error, &format!("Entrepot cannot be configured: {}", failure.message))),
        }
    }
}

/// `entrepot service run`.
#[derive(clap::Args)]
pub struct Run {
    /// The configuration file.
    #[arg(long, value_name = "FILE")]
    config: PathBuf,
    /// Where the log is written; the folder log beside the configuration, when left out.
    #[arg(long, value_name = "DIR")]
    log_dir: Option<PathBuf>,
}

/// What the command line said; the entry that Windows calls is given nothing of it.
static RUN: OnceLock<Run> = OnceLock::new();
/// Where controls of the service manager go.
static CONTROLS: Mutex<Option<mpsc::Sender<Stop>>> = Mutex::new(None);

define_windows_service!(entry, service_main);

impl Run {
    fn run(self, format: LogFormat) -> Result<(), Failure> {
        let dir = self.log_dir.clone().unwrap_or_else(|| self.config.parent().unwrap_or(Path::new(".")).join("log"));
        match RollingFile::open(&dir) {
            Ok(file) => crate::log::start_in(file, format, "info"),
            // It serves all the same; a person should look.
            Err(error) => event_log::tell(
                Level::Warning,
                &format!("Entrepot writes no log: {}: {error}\nhint: LOCAL SERVICE must be allowed to write there", dir.display()),
            ),
        }
        std::panic::set_hook(Box::new(|panic| {
            let thread = std::thread::current();
            log::error!("a bug thread={} {panic}", thread.name().unwrap_or("without a name"));
        }));
        let _ = RUN.set(self);
        service_dispatcher::start(NAME, entry).map_err(|error| {
            Failure::usage(format!(
                "this is not the service manager of Windows: {}\n  hint: entrepot serve does the same in a console",
                why(&error)
            ))
        })
    }

    /// Serves until it is told to stop.
    fn serve(&self, status: &Status, stop: &mpsc::Receiver<Stop>) -> Result<(), Failure> {
        let running = {
            let _going = status.starting();
            let checked = ConfigFile { config: Some(self.config.clone()) }.load_telling()?;
            let running = Running::start(checked.config, Clock::system())?;
            tell_start(&running);
            running
        };
        status.tell(ServiceState::Running, Duration::ZERO, ServiceExitCode::NO_ERROR);
        // The sender lives as long as the process.
        let stop = stop.recv().unwrap_or(Stop::Shutdown);
        let grace = running.stop_grace().min(stop.grace_max());
        log::info!("stopping reason={stop:?}; transfers under way have {} seconds", grace.as_secs());
        status.tell(ServiceState::StopPending, grace + STOP_WORK_MAX, ServiceExitCode::NO_ERROR);
        running.stop(grace);
        log::info!("stopped");
        Ok(())
    }
}

/// The address, and where the link is with which the first person signs in. The link itself is not in the Event Log, which everybody on the machine
/// can read: it makes whoever has it the first operator.
fn tell_start(running: &Running) {
    let live = running.appliance.live();
    let (url, data_dir) = (&live.config.server.public_url, running.data_dir().display());
    log::info!("serving version={} data_dir={data_dir} address=http://{}", env!("CARGO_PKG_VERSION"), running.listener.address);
    if let Some(https) = running.listener.https_address {
        log::info!("serving address=https://{https}");
    }
    let serves = format!("Entrepot {} serves {data_dir} at {url}", env!("CARGO_PKG_VERSION"));
    let file = running.data_dir().join(SIGN_IN);
    let written = running.first_link().and_then(|link| {
        let Some(link) = link else { return Ok(false) };
        let words = format!(
            "Entrepot is at {url}\r\n\r\nSign in to its pages, once, with this link:\r\n{link}\r\n\r\n\
             It works for a day, until the service stops. A new one: entrepot user link\r\n"
        );
        write_private(&file, words.as_bytes()).map_err(|error| Failure::no(format!("cannot write {}: {error}", file.display())))?;
        Ok(true)
    });
    match written {
        Ok(true) => {
            log::info!("nobody can sign in yet link_in={}", file.display());
            let words =
                format!("{serves}\r\nNobody can sign in yet: the link for the first person is in {}, for administrators.", file.display());
            event_log::tell(Level::Information, &words);
        }
        Ok(false) => {
            // Somebody has used it. A file that cannot be removed holds a link that no longer works.
            let _ = crate::files::remove(&file);
            event_log::tell(Level::Information, &serves);
        }
        // It serves all the same.
        Err(failure) => {
            log::error!("no link to sign in reason=\"{}\"; make one: entrepot user link", failure.message);
            event_log::tell(
                Level::Warning,
                &format!("{serves}\r\nNobody can sign in yet, and there is no link: {}\r\nMake one: entrepot user link", failure.message),
            );
        }
    }
}

/// Why it stops.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stop {
    /// Somebody stops the service.
    Stop,
    /// The machine goes down.
    Shutdown,
}

impl Stop {
    fn grace_max(self) -> Duration {
        match self {
            Stop::Stop => STOP_GRACE_MAX,
            Stop::Shutdown => SHUTDOWN_GRACE_MAX,
        }
    }
}

/// Takes a control. It has no state of its own, on purpose: windows-service frees the handler at the first stop, and Windows may still ask it how
/// the service is after that.
fn control(control: ServiceControl) -> ServiceControlHandlerResult {
    let stop = match control {
        ServiceControl::Stop => Stop::Stop,
        ServiceControl::Shutdown => Stop::Shutdown,
        // Windows answers it with the state that it was told last.
        ServiceControl::Interrogate => return ServiceControlHandlerResult::NoError,
        _ => return ServiceControlHandlerResult::NotImplemented,
    };
    if let Some(sender) = &*CONTROLS.lock().unwrap_or_else(PoisonError::into_inner) {
        // The receiver is gone only when the service ends anyway.
        let _ = sender.send(stop);
    }
    ServiceControlHandlerResult::NoError
}

/// What the service manager is told.
struct Status {
    handle: ServiceStatusHandle,
    step: AtomicU32,
}

impl Status {
    fn tell(&self, state: ServiceState, wait: Duration, exit_code: ServiceExitCode) {
        let pending = matches!(state, ServiceState::StartPending | ServiceState::StopPending);
        let controls_accepted = if state == ServiceState::Running {
            ServiceControlAccept::STOP | ServiceControlAccept::SHUTDOWN
        } else {
            ServiceControlAccept::empty()
        };
        let told = self.handle.set_service_status(ServiceStatus {
            service_type: ServiceType::OWN_PROCESS,
            current_state: state,
            controls_accepted,
            exit_code,
            checkpoint: if pending { self.step.fetch_add(1, Ordering::SeqCst) } else { 0 },
            wait_hint: if pending { wait } else { Duration::ZERO },
            process_id: None,
        });
        if let Err(error) = told {
            log::warn!("service manager not told state={state:?} reason=\"{}\"", why(&error));
        }
    }

    /// Tells that the start goes on, as long as the value lives. That a start can stand still is looked after by whoever waits for it.
    fn starting(&self) -> Starting {
        self.tell(ServiceState::StartPending, START_STEP * 4, ServiceExitCode::NO_ERROR);
        let (sender, receiver) = mpsc::channel::<()>();
        let again = Status { handle: self.handle, step: AtomicU32::new(self.step.load(Ordering::SeqCst)) };
        let thread = std::thread::Builder::new().name("service-start".into()).spawn(move || {
            while receiver.recv_timeout(START_STEP) == Err(mpsc::RecvTimeoutError::Timeout) {
                again.tell(ServiceState::StartPending, START_STEP * 4, ServiceExitCode::NO_ERROR);
            }
        });
        Starting { sender: Some(sender), thread: thread.ok() }
    }
}

/// See [`Status::starting`].
struct Starting {
    sender: Option<mpsc::Sender<()>>,
    thread: Option<std::thread::JoinHandle<()>>,
}

impl Drop for Starting {
    fn drop(&mut self) {
        self.sender = None;
        // Ended before the next state is told, so that it never comes behind it.
        let _ = self.thread.take().map(std::thread::JoinHandle::join);
    }
}

fn service_main(_arguments: Vec<OsString>) {
    let run = RUN.get().expect("the command line is read before Windows calls this");
    let (sender, stop) = mpsc::channel();
    *CONTROLS.lock().unwrap_or_else(PoisonError::into_inner) = Some(sender);
    let handle = match service_control_handler::register(NAME, control) {
        Ok(handle) => handle,
        Err(error) => {
            log::error!("the service manager does not take our handler reason=\"{}\"", why(&error));
            event_log::tell(
                Level::Error,
                &format!("Entrepot does not start: the service manager does not take its handler: {}", why(&error)),
            );
            return;
        }
    };
    let status = Status { handle, step: AtomicU32::new(1) };
    let exit_code = match run.serve(&status, &stop) {
        Ok(()) => ServiceExitCode::NO_ERROR,
        Err(failure) => {
            log::error!("the service does not start\n{}", failure.message);
            event_log::tell(Level::Error, &format!("Entrepot does not start.\r\n{}", failure.message));
            ServiceExitCode::ServiceSpecific(u32::from(failure.code))
        }
    };
    status.tell(ServiceState::Stopped, Duration::ZERO, exit_code);
}

/// `entrepot service configure`.
#[derive(clap::Args)]
pub struct Configure {
    /// The configuration file.
    #[arg(long, value_name = "FILE")]
    config: PathBuf,
    /// What to write into it, with @PORT@ and @DATA_DIR@ in it.
    #[arg(long, value_name = "FILE")]
    template: PathBuf,
    /// Where the service writes its log.
    #[arg(long, value_name = "DIR")]
    log_dir: PathBuf,
    /// The port of this machine to listen at.
    #[arg(long)]
    port: String,
    /// Where everything is kept.
    #[arg(long, value_name = "DIR")]
    data_dir: PathBuf,
    /// The port of an installation before this one, which the registry keeps; empty at the first.
    #[arg(long, value_name = "PORT", default_value = "")]
    kept: String,
    /// How Windows started the service before the package made it anew, as the registry has it: "#3" by hand, "#4" not at all; empty at the first.
    #[arg(long, value_name = "START", default_value = "")]
    start: String,
    /// "#1" where it was started with a delay.
    #[arg(long, value_name = "DELAY", default_value = "")]
    delay: String,
}

impl Configure {
    fn run(&self) -> Result<(), Failure> {
        let data_dir = self.data_dir()?;
        let text = self.text(&data_dir)?;
        let config_dir = self.config.parent().ok_or_else(|| Failure::usage("the configuration has no folder"))?;
        // Rights first: what is written after that has them from its folder.
        for (dir, rights) in [(config_dir, Rights::Read), (self.log_dir.as_path(), Rights::Modify), (data_dir.as_path(), Rights::Modify)] {
            // Everybody may make folders in ProgramData. Whatever is there before the first installation is kept only where it is an
            // administrator's; later ones find what the rights that we have set allowed.
            let first = self.kept.is_empty();
            let failed = |error: std::io::Error| Failure::no(format!("cannot look through {}: {error}", dir.display()));
            if first && set_aside(dir)? {
                // Ours from its beginning: whoever makes it again meanwhile gets no installation.
                std::fs::create_dir(dir).map_err(failed)?;
            }
            protect(dir, rights)?;
            // What came into it while anybody might.
            if first {
                for entry in std::fs::read_dir(dir).map_err(failed)? {
                    set_aside(&entry.map_err(failed)?.path())?;
                }
            }
        }
        self.write(&text)?;
        self.settle_service()
    }

    fn data_dir(&self) -> Result<PathBuf, Failure> {
        let wrong = |why: &str| Failure::usage(format!("DATADIR=\"{}\" {why}", self.data_dir.display()));
        let data_dir = std::path::absolute(&self.data_dir).map_err(|error| wrong(&format!("is no folder: {error}")))?;
        // Its rights are taken from everybody but the service and administrators.
        if data_dir.parent().is_none() { Err(wrong("is a whole drive: name a folder on it")) } else { Ok(data_dir) }
    }

    fn text(&self, data_dir: &Path) -> Result<String, Failure> {
        let port = match self.port.trim().parse::<u16>() {
            Ok(port) if port > 0 => port,
            _ => return Err(Failure::usage(format!("PORT=\"{}\" is no port: give a number from 1 to 65535", self.port))),
        };
        let template = std::fs::read_to_string(&self.template)
            .map_err(|error| Failure::no(format!("cannot read {}: {error}", self.template.display())))?;
        let data_dir = toml_edit::Value::from(data_dir.display().to_string()).to_string();
        Ok(template.replace("@PORT@", &port.to_string()).replace("@DATA_DIR@", data_dir.trim()))
    }

    /// A file that somebody has edited is never changed. What the package has written last is kept beside it: a file that still is that text
    /// follows the package, and beside an edited one the new text is put down, to be compared.
    fn write(&self, text: &str) -> Result<(), Failure> {
        let (shipped, new) = (self.config.with_extension("toml.shipped"), self.config.with_extension("toml.new"));
        let read = |path: &Path| match std::fs::read_to_string(path) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
            read => read.map(Some).map_err(|error| Failure::no(format!("cannot read {}: {error}", path.display()))),
        };
        let write = |path: &Path| {
            write_private(path, text.as_bytes()).map_err(|error| Failure::no(format!("cannot write {}: {error}", path.display())))
        };
        let (present, before) = (read(&self.config)?, read(&shipped)?);
        if present.is_none() || present == before {
            write(&self.config)?;
        } else if before.as_deref() != Some(text) && present.as_deref() != Some(text) {
            write(&new)?;
            let words = format!(
                "The configuration {} is edited, and stays. What the package would begin with now is in {}.",
                self.config.display(),
                new.display()
            );
            event_log::tell(Level::Information, &words);
        }
        if before.as_deref() != Some(text) { write(&shipped) } else { Ok(()) }
    }

    /// What the package's tables cannot say soundly: the path of the program in quotes, so that nothing else that lies on the way to it is started,
    /// that it is started as the administrator has decided before, and that Windows starts it again when it ends.
    fn settle_service(&self) -> Result<(), Failure> {
        let wrong = |error: windows_service::Error| Failure::no(format!("cannot settle the service {NAME}: {}", why(&error)));
        let program = std::env::current_exe().map_err(|error| Failure::no(format!("cannot tell where this program is: {error}")))?;
        let manager = ServiceManager::local_computer(None::<&str>, ServiceManagerAccess::CONNECT).map_err(wrong)?;
        let access = ServiceAccess::QUERY_CONFIG | ServiceAccess::CHANGE_CONFIG | ServiceAccess::START;
        let service = manager.open_service(NAME, access).map_err(wrong)?;
        let arguments: [&OsStr; 6] =
            ["service".as_ref(), "run".as_ref(), "--config".as_ref(), self.config.as_ref(), "--log-dir".as_ref(), self.log_dir.as_ref()];
        let now = service.query_config().map_err(wrong)?;
        let info = ServiceInfo {
            name: NAME.into(),
            display_name: now.display_name,
            service_type: now.service_type,
            start_type: match self.start.as_str() {
                "#2" => ServiceStartType::AutoStart,
                "#3" => ServiceStartType::OnDemand,
                "#4" => ServiceStartType::Disabled,
                _ => now.start_type,
            },
            error_control: now.error_control,
            executable_path: program,
            launch_arguments: arguments.map(OsStr::to_owned).to_vec(),
            dependencies: now.dependencies,
            // None of them: as they are.
            account_name: None,
            account_password: None,
        };
        service.change_config(&info).map_err(wrong)?;
        if self.delay == "#1"
            && let Err(error) = service.set_delayed_auto_start(true)
        {
            event_log::tell(Level::Warning, &format!("Windows starts Entrepot without the delay that it had: {}", why(&error)));
        }
        let after = |seconds| ServiceAction { action_type: ServiceActionType::Restart, delay: Duration::from_secs(seconds) };
        let actions = ServiceFailureActions {
            reset_period: ServiceFailureResetPeriod::After(Duration::from_secs(86_400)),
            reboot_msg: None,
            command: None,
            // The last one counts for all that follow.
            actions: Some(vec![after(5), after(30), after(300)]),
        };
        service.update_failure_actions(actions).map_err(wrong)?;
        // Also when it ends by itself with an error: a port that is taken while the machine starts may be free later.
        if let Err(error) = service.set_failure_actions_on_non_crash_failures(true) {
            let words = format!("Windows starts Entrepot again when it dies, and not when it ends with an error: {}", why(&error));
            event_log::tell(Level::Warning, &words);
        }
        Ok(())
    }
}

/// What Windows said; the error itself only tells that it said something.
fn why(error: &windows_service::Error) -> String {
    std::error::Error::source(error).map_or_else(|| error.to_string(), ToString::to_string)
}

/// Puts aside what is not an administrator's, under another name beside it: a file or a folder that somebody has made there for us to find, or a link
/// that leads elsewhere. Renamed and not deleted, because it may be somebody's in good faith; not taken over, because whoever made it may hold it open.
/// Tells whether there was such a thing.
fn set_aside(path: &Path) -> Result<bool, Failure> {
    // Administrators, the system, LOCAL SERVICE; and whoever owns this program, which only administrators may install.
    const OURS: [&str; 3] = ["S-1-5-32-544", "S-1-5-18", "S-1-5-19"];
    let failed = |error: std::io::Error| Failure::no(format!("cannot tell whose {} is: {error}", path.display()));
    let program = std::env::current_exe().and_then(|program| owner(&program)).map_err(failed)?;
    let mut whose = match owner(path) {
        Ok(whose) => whose,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(false),
        // What hides its owner from the system hides it for a reason.
        Err(error) if error.kind() == std::io::ErrorKind::PermissionDenied => "an account that keeps even the system out".to_owned(),
        Err(error) => return Err(failed(error)),
    };
    let ours = |whose: &str| OURS.contains(&whose) || whose == program;
    if ours(&whose) && path.symlink_metadata().map_err(failed)?.is_symlink() {
        // An administrator's; so must be what it leads to.
        whose = path.canonicalize().and_then(|place| owner(&place)).map_err(failed)?;
    }
    if ours(&whose) {
        return Ok(false);
    }
    let mut aside = path.as_os_str().to_owned();
    aside.push(format!(".not-ours-{}", uuid::Uuid::now_v7()));
    std::fs::rename(path, &aside).map_err(|error| {
        Failure::no(format!("{} is there, it belongs to {whose}, no administrator, and cannot be put aside: {error}", path.display()))
    })?;
    let words = format!(
        "{} was there before Entrepot and belonged to {whose}, no administrator. It is not used, and lies in {}.\r\n\
         When it is yours: compare it, and copy what is in it as an administrator.",
        path.display(),
        Path::new(&aside).display()
    );
    event_log::tell(Level::Warning, &words);
    Ok(true)
}

/// What the service may do in a folder.
enum Rights {
    Read,
    Modify,
}

/// Takes a folder away from everybody but administrators, the system and the service; what an administrator has given beside that stays. By the
/// tool of Windows for it, with the numbers of the accounts: their names are translated.
fn protect(dir: &Path, rights: Rights) -> Result<(), Failure> {
    const ADMINISTRATORS: &str = "*S-1-5-32-544";
    const SYSTEM: &str = "*S-1-5-18";
    const LOCAL_SERVICE: &str = "*S-1-5-19";
    let failed = |why: String| Failure::no(format!("cannot set the rights of {}: {why}", dir.display()));
    std::fs::create_dir_all(dir).map_err(|error| failed(error.to_string()))?;
    let service = match rights {
        Rights::Read => "RX",
        Rights::Modify => "M",
    };
    let icacls = std::env::var_os("SystemRoot").map_or_else(|| PathBuf::from(r"C:\Windows"), PathBuf::from).join(r"System32\icacls.exe");
    let grant = [(ADMINISTRATORS, "F"), (SYSTEM, "F"), (LOCAL_SERVICE, service)].map(|(who, what)| format!("{who}:(OI)(CI){what}"));
    for arguments in [
        // Whoever made the folder before us has no say in it.
        vec!["/setowner", ADMINISTRATORS],
        vec!["/inheritance:r", "/grant", &grant[0], &grant[1], &grant[2]],
    ] {
        let done = Command::new(&icacls)
            .arg(dir)
            .args(&arguments)
            .stdin(Stdio::null())
            .output()
            .map_err(|error| failed(format!("{}: {error}", icacls.display())))?;
        if !done.status.success() {
            return Err(failed(format!("icacls {} says: {}", arguments.join(" "), String::from_utf8_lossy(&done.stderr).trim())));
        }
    }
    Ok(())
}
