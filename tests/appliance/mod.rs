//! Starts the real binary, and is a client of it.

use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use serde_json::Value;
use sha2::{Digest, Sha256};

pub const APPLICATION: &str = "7f4c1b0e-2a57-4d7c-9f0a-5f1b6a0c9b11";
pub const OTHER_APPLICATION: &str = "00000000-0000-4000-8000-000000000002";
pub const SECRET: &str = "a secret for tests";
pub const IMPORT: &str = "6D31E09F-0249-459F-94F0-AAD9C2C47B64";
pub const EXPORT: &str = "C03BB937-09ED-46DE-86EE-4520D7D7E373";
/// 2026-11-24T12:00:00Z, a Tuesday.
pub const START_MS: i64 = 1_795_521_600_000;

/// Customer groups in on arrival, and out at 6 o'clock; `{job}` takes more keys of the import job.
pub const GROUPS: &str = r#"
[[entity]]
name = "Customer groups"
aliases = ["CustCustomerGroupEntity"]
table = "customer_groups"
key = ["ID"]
fields = [
  { name = "ID", type = "string", length = 10, required = true },
  { name = "NAME", type = "string", length = 30 },
  { name = "AMOUNT", type = "decimal", precision = 18, scale = 2 },
]

[[project]]
name = "Groups in"
direction = "import"
[[project.entity]]
entity = "Customer groups"

[[project]]
name = "Groups out"
direction = "export"
[[project.entity]]
entity = "Customer groups"

[[job]]
name = "Groups in"
activity_id = "6D31E09F-0249-459F-94F0-AAD9C2C47B64"
project = "Groups in"
applications = ["Tests"]
{job}

[[job]]
name = "Groups out"
activity_id = "C03BB937-09ED-46DE-86EE-4520D7D7E373"
project = "Groups out"
applications = ["Tests"]
recurrence = { cron = "0 6 * * *", time_zone = "Europe/Amsterdam" }
prevent_upload_when_zero_records = true
"#;

pub fn groups(job: &str) -> String {
    GROUPS.replace("{job}", job)
}

pub struct Appliance {
    /// Before `dir`, so that it is gone when that is removed.
    _disk: Option<Disk>,
    pub dir: tempfile::TempDir,
    process: Child,
    agent: ureq::Agent,
    pub base: String,
    /// What serve printed while it started.
    pub printed: String,
    pub operator_token: String,
    pub token: String,
    now_ms: i64,
}

pub struct Answer {
    pub status: u16,
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

impl Answer {
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error}: {}", self.text()))
    }

    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }

    #[track_caller]
    pub fn expect(self, status: u16) -> Answer {
        assert_eq!(self.status, status, "{}", self.text());
        self
    }
}

impl Appliance {
    /// Starts with this configuration below `[server]`, which the harness writes, and waits until it serves.
    pub fn start(configuration: &str) -> Appliance {
        Appliance::start_as(configuration, "", None)
    }

    /// The same, with more lines of `[server]`, and with a limit of open files.
    pub fn start_as(configuration: &str, server: &str, descriptors: Option<u32>) -> Appliance {
        Appliance::start_with(configuration, Start { server, descriptors, ..Start::default() })
    }

    /// With more lines of `[server]`, its `public_url` among them when it is another, and another `max_body`.
    pub fn start_with_body(configuration: &str, server: &str, max_body: &str) -> Appliance {
        Appliance::start_with(configuration, Start { server, max_body, ..Start::default() })
    }

    /// With files beside the configuration.
    pub fn start_with_files(configuration: &str, files: &[(&str, &str)]) -> Appliance {
        let dir = tempfile::tempdir().unwrap();
        files.iter().for_each(|(name, text)| std::fs::write(dir.path().join(name), text).unwrap());
        Appliance::start_beside(dir, configuration)
    }

    /// In a directory that holds files already.
    pub fn start_beside(dir: tempfile::TempDir, configuration: &str) -> Appliance {
        Appliance::start_in(dir, None, configuration, Start::default())
    }

    /// With a fault planned (`src/fault.rs`) that is gone after a restart.
    pub fn start_with_fault(configuration: &str, fault: &str) -> Appliance {
        Appliance::start_with(configuration, Start { fault: Some(fault), ..Start::default() })
    }

    /// With its data on a disk of this many bytes; `None`, with a word, where this machine does not let us make one.
    pub fn start_on_disk(bytes: u64, configuration: &str) -> Option<Appliance> {
        let dir = tempfile::tempdir().unwrap();
        let disk = Disk::mount(dir.path().join("data"), bytes);
        if disk.is_none() {
            println!("skipped: a disk of {bytes} bytes can not be mounted here (it takes root on Linux)");
        }
        Some(Appliance::start_in(dir, Some(disk?), configuration, Start::default()))
    }

    fn start_with(configuration: &str, start: Start<'_>) -> Appliance {
        Appliance::start_in(tempfile::tempdir().unwrap(), None, configuration, start)
    }

    fn start_in(dir: tempfile::TempDir, disk: Option<Disk>, configuration: &str, start: Start<'_>) -> Appliance {
        write_configuration(dir.path(), start.server, start.max_body, configuration);
        let (process, base, printed) = launch(dir.path(), START_MS, start);
        let agent = ureq::Agent::config_builder()
            .http_status_as_error(false)
            .max_redirects(0)
            .timeout_global(Some(Duration::from_secs(60)))
            .build()
            .into();
        let mut appliance = Appliance {
            _disk: disk,
            dir,
            process,
            agent,
            base,
            printed,
            operator_token: String::new(),
            token: String::new(),
            now_ms: START_MS,
        };
        appliance.sign_in();
        appliance
    }

    fn sign_in(&mut self) {
        let running: Value = serde_json::from_slice(&std::fs::read(self.dir.path().join("data/running.json")).unwrap()).unwrap();
        self.operator_token = running["operator_token"].as_str().unwrap().to_owned();
        self.token = self.token_of(APPLICATION);
    }

    pub fn token_of(&self, application: &str) -> String {
        let form = format!("grant_type=client_credentials&client_id={application}&client_secret={}", SECRET.replace(' ', "+"));
        let answer = self.send("POST", "/tenant/oauth2/token", &[], form.as_bytes()).expect(200);
        answer.json()["access_token"].as_str().unwrap().to_owned()
    }

    pub fn rewrite_configuration(&self, configuration: &str) {
        write_configuration(self.dir.path(), "", "64MiB", configuration);
    }

    /// One request; nothing is added to the headers.
    pub fn send(&self, method: &str, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Answer {
        self.try_send(method, path, headers, body).unwrap_or_else(|error| panic!("{method} {path}: {error}"))
    }

    /// The same, where the process may be gone.
    pub fn try_send(&self, method: &str, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Result<Answer, ureq::Error> {
        let url = format!("{}{path}", self.base);
        let result = if !matches!(method, "GET" | "POST") {
            let request = headers
                .iter()
                .fold(ureq::http::Request::builder().method(method).uri(&url), |request, (name, value)| request.header(*name, *value));
            if method == "HEAD" { self.agent.run(request.body(()).unwrap()) } else { self.agent.run(request.body(body).unwrap()) }
        } else if method == "GET" {
            headers.iter().fold(self.agent.get(&url), |request, (name, value)| request.header(*name, *value)).call()
        } else {
            headers.iter().fold(self.agent.post(&url), |request, (name, value)| request.header(*name, *value)).send(body)
        };
        let mut response = result?;
        Ok(Answer {
            status: response.status().as_u16(),
            headers: response
                .headers()
                .iter()
                .map(|(name, value)| (name.to_string(), value.to_str().unwrap_or_default().to_owned()))
                .collect(),
            body: response.body_mut().with_config().limit(1 << 30).read_to_vec()?,
        })
    }

    pub fn get(&self, path: &str) -> Answer {
        self.send("GET", path, &[("Authorization", &format!("Bearer {}", self.token))], b"")
    }

    pub fn post(&self, path: &str, body: &[u8]) -> Answer {
        self.send("POST", path, &[("Authorization", &format!("Bearer {}", self.token))], body)
    }

    /// An action of the data management service.
    pub fn action(&self, name: &str, parameters: &Value) -> Answer {
        self.post(
            &format!("/data/DataManagementDefinitionGroups/Microsoft.Dynamics.DataEntities.{name}"),
            parameters.to_string().as_bytes(),
        )
    }

    /// The value that an action gives.
    #[track_caller]
    pub fn value(&self, name: &str, parameters: &Value) -> Value {
        self.action(name, parameters).expect(200).json()["value"].clone()
    }

    pub fn operator(&self, method: &str, path: &str) -> Answer {
        self.send(method, &format!("/api/v1/{path}"), &[("Authorization", &format!("Bearer {}", self.operator_token))], b"")
    }

    /// Enqueues to the import job and returns the message id.
    #[track_caller]
    pub fn enqueue(&self, document: &[u8], external_id: Option<&str>) -> String {
        self.enqueue_to(IMPORT, "Customer%20groups", document, external_id)
    }

    #[track_caller]
    pub fn enqueue_to(&self, activity: &str, entity: &str, document: &[u8], external_id: Option<&str>) -> String {
        let bearer = format!("Bearer {}", self.token);
        let mut headers = vec![("Authorization", bearer.as_str())];
        headers.extend(external_id.map(|id| ("x-ms-dyn-externalidentifier", id)));
        let answer = self.send("POST", &format!("/api/connector/enqueue/{activity}?entity={entity}"), &headers, document).expect(200);
        answer.json().as_str().expect("a bare JSON string").to_owned()
    }

    /// Moves the clock, and returns when everything that became due is done.
    pub fn advance(&mut self, by: Duration) {
        self.now_ms += by.as_millis() as i64;
        self.send("POST", &format!("/test/clock/{}", by.as_millis()), &[], b"").expect(204);
        // Tokens live an hour of that clock.
        self.token = self.token_of(APPLICATION);
    }

    /// Returns when nothing is in work.
    pub fn settle(&mut self) {
        self.advance(Duration::ZERO);
    }

    #[track_caller]
    pub fn message(&self, id: &str) -> Value {
        self.operator("GET", &format!("messages/{id}")).expect(200).json()
    }

    #[track_caller]
    pub fn findings(&self, id: &str) -> Vec<Value> {
        self.operator("GET", &format!("messages/{id}/findings")).expect(200).json()["findings"].as_array().unwrap().clone()
    }

    /// Runs SQL on the managed entities.
    pub fn sql(&self, sql: &str) -> Vec<String> {
        let connection = rusqlite::Connection::open(self.dir.path().join("data/entities.db")).unwrap();
        let mut statement = connection.prepare(sql).unwrap();
        let width = statement.column_count();
        let rows = statement.query_map([], |row| {
            let cells = (0..width).map(|index| {
                Ok(match row.get_ref(index)? {
                    rusqlite::types::ValueRef::Null => String::new(),
                    rusqlite::types::ValueRef::Integer(value) => value.to_string(),
                    rusqlite::types::ValueRef::Real(value) => value.to_string(),
                    rusqlite::types::ValueRef::Text(text) | rusqlite::types::ValueRef::Blob(text) => {
                        String::from_utf8_lossy(text).into_owned()
                    }
                })
            });
            Ok(cells.collect::<rusqlite::Result<Vec<_>>>()?.join("|"))
        });
        rows.unwrap().map(Result::unwrap).collect()
    }

    /// Kills the process as `kill -9` does, changes something on its disk, and starts it again.
    pub fn kill_after_which(&mut self, change: impl FnOnce()) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
        change();
        self.relaunch();
    }

    pub fn kill_and_restart(&mut self) {
        self.kill_after_which(|| ());
    }

    /// SIGTERM, as systemd does; it must end by itself, with 0.
    #[cfg(unix)]
    pub fn restart(&mut self) {
        self.terminate();
        self.wait_and_relaunch();
    }

    /// Asks it to end.
    #[cfg(unix)]
    pub fn terminate(&self) {
        Command::new("sh").args(["-c", &format!("kill -TERM {}", self.process.id())]).status().unwrap();
    }

    /// Waits until it has ended, with 0, and starts it again.
    pub fn wait_and_relaunch(&mut self) {
        assert!(self.process.wait().unwrap().success());
        self.relaunch();
    }

    /// Waits until a planned fault has ended it, and starts it again without.
    pub fn relaunch_after_fault(&mut self) {
        assert!(!self.process.wait().unwrap().success());
        self.now_ms += 1000;
        self.relaunch();
    }

    /// A line of /proc/<process>/status, such as `Threads` or `VmRSS` in KiB.
    pub fn process_status(&self, name: &str) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.process.id())).unwrap();
        let line = status.lines().find(|line| line.starts_with(&format!("{name}:"))).unwrap();
        line.split_whitespace().nth(1).unwrap().parse().unwrap()
    }

    /// What it has logged.
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.dir.path().join("log")).unwrap()
    }

    /// Stops, lets time pass, starts.
    #[cfg(unix)]
    pub fn advance_while_stopped(&mut self, by: Duration) {
        self.now_ms += by.as_millis() as i64;
        self.restart();
    }

    /// Stops, and starts with a clock that was set back.
    #[cfg(unix)]
    pub fn set_clock_back(&mut self, by: Duration) {
        self.now_ms -= by.as_millis() as i64;
        self.restart();
    }

    fn relaunch(&mut self) {
        (self.process, self.base, self.printed) = launch(self.dir.path(), self.now_ms, Start::default());
        self.sign_in();
    }
}

/// A small file system in memory, for filling up.
struct Disk(std::path::PathBuf);

impl Disk {
    fn mount(at: std::path::PathBuf, bytes: u64) -> Option<Disk> {
        std::fs::create_dir(&at).unwrap();
        let mut mount = Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", &format!("size={bytes}"), "tmpfs"]).arg(&at).stderr(Stdio::null());
        mount.status().is_ok_and(|status| status.success()).then_some(Disk(at))
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg(&self.0).status();
    }
}

impl Drop for Appliance {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn write_configuration(dir: &Path, server: &str, max_body: &str, configuration: &str) {
    let hash: String = Sha256::digest(SECRET).iter().map(|byte| format!("{byte:02x}")).collect();
    let application =
        |id: &str, name: &str| format!("[[application]]\nid = \"{id}\"\nname = \"{name}\"\nsecret_hash = \"sha256:{hash}\"\n\n");
    // The port is chosen by the system: two tests never share one.
    let public = if server.contains("public_url") { "" } else { "public_url = \"http://exchange.test\"\n" };
    let text = format!(
        "[server]\nlisten = \"127.0.0.1:0\"\n{public}data_dir = \"data\"\n{server}\n[queue]\nfree_min = 0\nmax_body = \"{max_body}\"\n\n{}{}{configuration}",
        application(APPLICATION, "Tests"),
        application(OTHER_APPLICATION, "Others")
    );
    std::fs::write(dir.join("entrepot.toml"), text).unwrap();
}

/// What an appliance is started with.
#[derive(Clone, Copy)]
struct Start<'a> {
    /// More lines of `[server]`.
    server: &'a str,
    max_body: &'a str,
    /// The limit of open files.
    descriptors: Option<u32>,
    fault: Option<&'a str>,
}

impl Default for Start<'_> {
    fn default() -> Self {
        Start { server: "", max_body: "64MiB", descriptors: None, fault: None }
    }
}

fn launch(dir: &Path, now_ms: i64, start: Start<'_>) -> (Child, String, String) {
    let mut command = match start.descriptors {
        None => Command::new(env!("CARGO_BIN_EXE_entrepot")),
        Some(most) => {
            let mut shell = Command::new("sh");
            shell.args(["-c", &format!("ulimit -n {most}; exec \"$0\" \"$@\""), env!("CARGO_BIN_EXE_entrepot")]);
            shell
        }
    };
    if let Some(fault) = start.fault {
        command.env("ENTREPOT_TEST_FAULT", fault);
    }
    let mut process = command
        .args(["serve", "--config"])
        .arg(dir.join("entrepot.toml"))
        .env("ENTREPOT_TEST_CLOCK", now_ms.to_string())
        .stdout(Stdio::piped())
        .stderr(std::fs::File::options().create(true).append(true).open(dir.join("log")).unwrap())
        .spawn()
        .unwrap();
    let mut line = String::new();
    let mut out = BufReader::new(process.stdout.take().unwrap());
    out.read_line(&mut line).unwrap();
    let Some((_, base)) = line.trim().rsplit_once(' ') else {
        let mut log = String::new();
        std::fs::File::open(dir.join("log")).unwrap().read_to_string(&mut log).unwrap();
        panic!("the appliance did not start: {line}{log}");
    };
    let base = base.to_owned();
    let mut printed = line;
    while !printed.contains("stop with Ctrl-C") {
        assert_ne!(out.read_line(&mut printed).unwrap(), 0, "serve ended: {printed}");
    }
    // Keeps the pipe open and empty.
    std::thread::spawn(move || std::io::copy(&mut out, &mut std::io::sink()));
    (process, base, printed)
}
