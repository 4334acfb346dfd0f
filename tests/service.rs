//! What a service manager and an administrator see: readiness, the watchdog, a reload that tells its outcome, a file that stays readable.

use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::os::unix::net::UnixDatagram;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::time::Duration;

use crate::appliance::{Appliance, IMPORT, groups};

/// As far apart as the watchdog wants to hear of us is a quarter of this.
const WATCHDOG: Duration = Duration::from_millis(800);

/// `serve` below a service manager that is this test.
struct Managed {
    process: Child,
    socket: UnixDatagram,
    _dir: tempfile::TempDir,
}

impl Managed {
    fn start(environment: &[(&str, &str)]) -> Managed {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("entrepot.toml");
        std::fs::write(&file, "[server]\nlisten = \"127.0.0.1:0\"\nstop_grace = \"7s\"\n").unwrap();
        let socket = UnixDatagram::bind(dir.path().join("notify")).unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_entrepot"));
        command.args(["serve", "--config"]).arg(&file).env("NOTIFY_SOCKET", dir.path().join("notify"));
        command.env("WATCHDOG_USEC", WATCHDOG.as_micros().to_string()).stdout(Stdio::null()).stderr(Stdio::null());
        let process = command.envs(environment.iter().copied()).spawn().unwrap();
        Managed { process, socket, _dir: dir }
    }

    /// What it says next; `None` when it says nothing within so long.
    fn says(&self, within: Duration) -> Option<String> {
        let mut buffer = [0; 256];
        self.socket.set_read_timeout(Some(within)).unwrap();
        let count = self.socket.recv(&mut buffer).ok()?;
        Some(String::from_utf8(buffer[..count].to_vec()).unwrap())
    }
}

impl Drop for Managed {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

#[test]
fn the_watchdog_hears_of_an_appliance_that_goes_on_and_a_stop_asks_for_its_time() {
    let managed = Managed::start(&[]);
    assert_eq!(managed.says(Duration::from_secs(30)).as_deref(), Some("READY=1"));
    for _ in 0..3 {
        assert_eq!(managed.says(Duration::from_secs(30)).as_deref(), Some("WATCHDOG=1"));
    }
    Command::new("sh").args(["-c", &format!("kill -TERM {}", managed.process.id())]).status().unwrap();
    let stopping = std::iter::from_fn(|| managed.says(Duration::from_secs(30))).find(|said| said != "WATCHDOG=1").unwrap();
    assert_eq!(stopping, "STOPPING=1\nEXTEND_TIMEOUT_USEC=67000000");
}

#[test]
fn the_watchdog_hears_nothing_when_the_scheduler_stands_still() {
    let managed = Managed::start(&[("ENTREPOT_TEST_FAULT", "round scheduled:panic")]);
    assert_eq!(managed.says(Duration::from_secs(30)).as_deref(), Some("READY=1"), "it serves, and yet it is not alive");
    // That it began its first round may still be told, once.
    let first = managed.says(5 * WATCHDOG);
    assert!(first.is_none() || managed.says(5 * WATCHDOG).is_none(), "{first:?}");
}

#[test]
fn a_watchdog_that_is_not_ours_hears_nothing() {
    let managed = Managed::start(&[("WATCHDOG_PID", "1")]);
    assert_eq!(managed.says(Duration::from_secs(30)).as_deref(), Some("READY=1"));
    assert_eq!(managed.says(3 * WATCHDOG), None);
}

fn entrepot(app: &Appliance, arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_entrepot")).args(arguments).arg("--config").arg(app.dir.path().join("entrepot.toml")).output().unwrap()
}

fn printed(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

#[test]
fn reload_applies_the_file_at_once_or_tells_every_problem_and_the_running_one_stays() {
    let app = Appliance::start(&groups(""));
    let good = std::fs::read_to_string(app.dir.path().join("entrepot.toml")).unwrap();
    let write = |text: &str| std::fs::write(app.dir.path().join("entrepot.toml"), text).unwrap();
    write(&good.replace("name = \"Groups in\"\nactivity_id", "name = \"Groups in, renamed\"\nactivity_id"));
    let done = entrepot(&app, &["reload"]);
    assert!(done.status.success(), "{}", printed(&done));
    let name = || app.operator("GET", &format!("jobs/{IMPORT}")).expect(200).json()["name"].clone();
    assert_eq!(name(), "Groups in, renamed");

    write(&good.replace("stop_grace", "").replace("data_dir = \"data\"", "data_dir = \"data\"\nworkers = 3"));
    let refused = entrepot(&app, &["reload"]);
    assert_eq!(refused.status.code(), Some(1));
    assert!(printed(&refused).contains("a change of [server] needs a restart"), "{}", printed(&refused));
    assert!(
        printed(&refused).contains("restart the appliance") && !printed(&refused).contains("correct the file"),
        "{}",
        printed(&refused)
    );

    write(&good.replace("direction = \"import\"", "direction = \"imprt\"\nnonsense = 1"));
    // The verb reads the file itself, to find the appliance, and tells the same.
    let refused = entrepot(&app, &["reload"]);
    assert_eq!(refused.status.code(), Some(1));
    assert!(printed(&refused).contains("imprt") && printed(&refused).contains("nonsense"), "{}", printed(&refused));
    assert_eq!(name(), "Groups in, renamed");
}

fn owner_and_mode(file: &Path) -> (u32, u32, u32) {
    let found = std::fs::metadata(file).unwrap();
    (found.uid(), found.gid(), found.permissions().mode() & 0o777)
}

#[test]
fn a_changed_configuration_keeps_owner_group_mode_and_link() {
    let dir = tempfile::tempdir().unwrap();
    let (file, link) = (dir.path().join("real.toml"), dir.path().join("entrepot.toml"));
    std::fs::write(&file, "# Ours.\n[server]\n").unwrap();
    std::os::unix::fs::symlink(&file, &link).unwrap();
    std::fs::set_permissions(&file, PermissionsExt::from_mode(0o640)).unwrap();
    if chown(&file, None, Some(4321)).is_err() {
        println!("the group is not another one: that takes root");
    }
    let before = owner_and_mode(&file);
    std::fs::write(dir.path().join("groups.csv"), "ID,NAME\n1,Retail\n").unwrap();
    let run = |arguments: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_entrepot"));
        let output = command.current_dir(dir.path()).args(arguments).output().unwrap();
        assert!(output.status.success(), "{}", printed(&output));
    };
    run(&["app", "add", "Web shop"]);
    assert_eq!(owner_and_mode(&file), before);
    run(&["infer", "groups.csv", "--add"]);
    assert_eq!(owner_and_mode(&file), before);
    assert!(std::fs::symlink_metadata(&link).unwrap().is_symlink());
    let text = std::fs::read_to_string(&file).unwrap();
    assert!(text.starts_with("# Ours.\n") && text.contains("Web shop") && text.contains("[[entity]]"), "{text}");
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 3, "nothing is left beside it");
}
