//! `entrepot demo`: the main job on sample data, as a real client over real HTTP, each step with its curl equivalent. A step that does not hold
//! ends it with exit code 1; with `--once` all steps are the whole run.

use std::io::{Cursor, Read};
use std::net::SocketAddr;
use std::sync::mpsc;
use std::time::Duration;

use serde_json::Value;
use uuid::Uuid;

use super::Failure;
use super::serve::Running;
use crate::auth::secret;
use crate::clock::{Bell, Clock, Stopwatch};
use crate::config::parse;

const CONFIGURATION: &str = include_str!("../../assets/demo/entrepot.toml");
const CURRENCIES: &str = include_str!("../../assets/demo/currencies.csv");
const RATES: &str = include_str!("../../assets/demo/rates.csv");
const TERMS: &str = include_str!("../../assets/demo/terms.csv");
const GROUPS: &str = include_str!("../../assets/demo/groups.csv");
const GROUPS_BAD: &str = include_str!("../../assets/demo/groups-bad.csv");
const REFERENCE: &str = "1C6F7B3E-5A0D-4C1F-9E52-0B6C2F7A9D01";
const BANK: &str = "1C6F7B3E-5A0D-4C1F-9E52-0B6C2F7A9D02";
const SHOP: &str = "1C6F7B3E-5A0D-4C1F-9E52-0B6C2F7A9D03";
const BOOKS: &str = "1C6F7B3E-5A0D-4C1F-9E52-0B6C2F7A9D04";
/// How long a step may take before the demo says that it does not hold.
const PATIENCE: Duration = Duration::from_secs(20);

#[derive(clap::Args)]
pub struct Demo {
    /// End after the last step: exit 0 when every step held, 1 when one did not.
    #[arg(long)]
    once: bool,
    /// Where to listen. A free port of this machine, when left out with --once; 127.0.0.1:8420 otherwise.
    #[arg(long, value_name = "ADDRESS:PORT")]
    listen: Option<SocketAddr>,
}

impl Demo {
    pub fn run(self) -> Result<(), Failure> {
        let failed = |what: &str, error: &dyn std::fmt::Display| Failure::no(format!("{what}: {error}"));
        let dir = std::env::temp_dir().join(format!("entrepot-demo-{}", Uuid::new_v4()));
        let listen = match (self.listen, self.once) {
            (Some(listen), _) => listen,
            (None, true) => free_port().map_err(|error| failed("cannot find a free port", &error))?,
            (None, false) => SocketAddr::from(([127, 0, 0, 1], 8420)),
        };
        let (application, given) = (Uuid::new_v4(), secret::generate().map_err(|error| failed("cannot make a secret", &error))?);
        let text = format!(
            "[server]\nlisten = \"{listen}\"\ndata_dir = {}\n\n[[application]]\nid = \"{application}\"\nname = \"Demo client\"\nsecret_hash = \"{}\"\n\n{CONFIGURATION}",
            toml_edit::Value::from(dir.display().to_string()),
            secret::hash_text(&secret::hash(&given))
        );
        let checked = parse::parse(&text, &dir, None).map_err(|problems| failed("the demo's configuration", &problems))?;
        std::fs::create_dir_all(&dir).map_err(|error| failed("cannot make a scratch directory", &error))?;
        let running = Running::start(checked.config, Clock::system())?;
        println!("The appliance listens at http://{listen}; its data is in {}.\n", dir.display());
        let client = Client {
            agent: client_agent(),
            base: format!("http://{listen}"),
            token: String::new(),
            operator: running.appliance.operator_token.clone(),
            step: 0,
        };
        let result = client.steps(&application.to_string(), &given);
        match &result {
            Ok(()) => println!("Every step held."),
            Err(failure) => println!("This step did not hold: {}", failure.message),
        }
        if !self.once && result.is_ok() {
            if let Some(link) = running.first_link()? {
                println!("\nThe appliance goes on. Look at its pages: {link}");
            }
            println!("Or from the shell: entrepot message list --data-dir {}\nStop with Ctrl-C.", dir.display());
            let (sender, receiver) = mpsc::channel();
            ctrlc::set_handler(move || {
                // The receiver is gone only when the process ends anyway.
                let _ = sender.send(());
            })
            .map_err(|error| failed("cannot handle signals", &error))?;
            let _ = receiver.recv();
        }
        let grace = running.stop_grace();
        running.stop(grace);
        // Scratch: what cannot be removed is the system's to clear.
        let _ = std::fs::remove_dir_all(&dir);
        result
    }
}

fn free_port() -> std::io::Result<SocketAddr> {
    std::net::TcpListener::bind(("127.0.0.1", 0))?.local_addr()
}

fn client_agent() -> ureq::Agent {
    ureq::Agent::config_builder().http_status_as_error(false).timeout_global(Some(PATIENCE)).build().into()
}

struct Client {
    agent: ureq::Agent,
    base: String,
    token: String,
    operator: String,
    step: u32,
}

struct Response {
    status: u16,
    body: Vec<u8>,
}

impl Response {
    fn json(&self) -> Result<Value, Failure> {
        serde_json::from_slice(&self.body).map_err(|error| Failure::no(format!("the answer is no JSON: {error}")))
    }
}

fn hold(condition: bool, what: impl Into<String>) -> Result<(), Failure> {
    if condition { Ok(()) } else { Err(Failure::no(what)) }
}

impl Client {
    fn say(&mut self, what: &str, curl: &str) {
        self.step += 1;
        println!("{}. {what}", self.step);
        if !curl.is_empty() {
            println!("   $ {curl}");
        }
    }

    fn send(&self, method: &str, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Result<Response, Failure> {
        let url = format!("{}{path}", self.base);
        let bearer = format!("Bearer {}", if path.starts_with("/api/v1/") { &self.operator } else { &self.token });
        let result = if method == "GET" {
            self.agent.get(&url).header("Authorization", &bearer).call()
        } else {
            let request = headers.iter().fold(self.agent.post(&url), |request, (name, value)| request.header(*name, *value));
            // The token endpoint takes the client's credentials from the form alone.
            let request = if path.contains("oauth2") { request } else { request.header("Authorization", &bearer) };
            request.send(body)
        };
        let mut response = result.map_err(|error| Failure::no(format!("{method} {url}: {error}")))?;
        let status = response.status().as_u16();
        let body = response.body_mut().read_to_vec().map_err(|error| Failure::no(format!("{method} {url}: {error}")))?;
        Ok(Response { status, body })
    }

    fn enqueue(&mut self, what: &str, activity: &str, entity: &str, file: &str, document: &str) -> Result<String, Failure> {
        let label = entity.replace(' ', "%20");
        self.say(what, &format!("curl -H \"Authorization: Bearer $TOKEN\" --data-binary @{file} \"{}/api/connector/enqueue/%7B{activity}%7D?entity={label}\"", self.base));
        let path = format!("/api/connector/enqueue/%7B{activity}%7D?entity={label}");
        let response = self.send(
            "POST",
            &path,
            &[("x-ms-dyn-externalidentifier", file), ("Content-Type", "application/octet-stream")],
            document.as_bytes(),
        )?;
        let text = String::from_utf8_lossy(&response.body).into_owned();
        hold(response.status == 200, format!("status {}: {text}", response.status))?;
        let id = response.json()?.as_str().map(str::to_owned).ok_or_else(|| Failure::no("the answer is no message id"))?;
        println!("   {text}");
        Ok(id)
    }

    /// Asks until the message has ended.
    fn ended(&mut self, activity: &str, id: &str) -> Result<Value, Failure> {
        let (watch, clock) = (Stopwatch::start(), Clock::system());
        let bell = Bell::new(&clock);
        loop {
            let status = self.send("GET", &format!("/api/connector/jobstatus/{activity}?jobId={id}"), &[], b"")?.json()?;
            let state = status["DataJobStatus"]["DataJobState"].as_str().unwrap_or_default().to_owned();
            if !matches!(state.as_str(), "Enqueued" | "InProcess") {
                let detail = &status["ExecutionDetail"][0];
                println!(
                    "   {state}: {} records, {} in the table, {} refused",
                    detail["TotalRecords"], detail["TargetRecords"], detail["StagingErrorCount"]
                );
                return Ok(status);
            }
            hold(watch.elapsed() < PATIENCE, format!("message {id} is still {state}"))?;
            bell.wait(&clock, Some(clock.now().plus(Duration::from_millis(50))));
        }
    }

    fn check_ended(&mut self, activity: &str, id: &str, state: &str, loaded: u64, refused: u64) -> Result<(), Failure> {
        let status = self.ended(activity, id)?;
        let detail = &status["ExecutionDetail"][0];
        let right =
            status["DataJobStatus"]["DataJobState"] == state && detail["TargetRecords"] == loaded && detail["StagingErrorCount"] == refused;
        hold(right, format!("expected {state} with {loaded} records and {refused} refused, found {status}"))
    }

    fn steps(mut self, application: &str, given: &str) -> Result<(), Failure> {
        self.say("A client asks for a token.", &format!("curl {}/contoso.com/oauth2/token -d grant_type=client_credentials -d client_id={application} -d client_secret={given} -d resource={}", self.base, self.base));
        let form = format!(
            "grant_type=client_credentials&client_id={application}&client_secret={given}&resource={}",
            self.base.replace(':', "%3A").replace('/', "%2F")
        );
        let response =
            self.send("POST", "/contoso.com/oauth2/token", &[("Content-Type", "application/x-www-form-urlencoded")], form.as_bytes())?;
        hold(response.status == 200, format!("status {}", response.status))?;
        self.token = response.json()?["access_token"].as_str().unwrap_or_default().to_owned();
        println!("   a token of {} characters", self.token.len());

        let id = self.enqueue("It sends the currencies of ISO 4217.", REFERENCE, "Currencies", "currencies.csv", CURRENCIES)?;
        self.check_ended(REFERENCE, &id, "Processed", CURRENCIES.lines().count() as u64 - 1, 0)?;
        let id = self.enqueue("And the terms of payment.", REFERENCE, "Terms of payment", "terms.csv", TERMS)?;
        self.check_ended(REFERENCE, &id, "Processed", 4, 0)?;
        let id = self.enqueue(
            "The bank sends the ECB's reference rates of 8 March 2017; this job runs by its schedule, each second.",
            BANK,
            "Exchange rates",
            "rates.csv",
            RATES,
        )?;
        self.check_ended(BANK, &id, "Processed", 31, 0)?;
        let first = self.enqueue("The web shop sends customer groups.", SHOP, "Customer groups", "groups.csv", GROUPS)?;
        self.check_ended(SHOP, &first, "Processed", 6, 0)?;
        let again = self.enqueue(
            "It saw an error and sends the same again: the same message, not a second one.",
            SHOP,
            "Customer groups",
            "groups.csv",
            GROUPS,
        )?;
        hold(first == again, "a second message was made")?;

        let bad =
            self.enqueue("It sends a file with faults. The good row is loaded.", SHOP, "Customer groups", "groups-bad.csv", GROUPS_BAD)?;
        self.check_ended(SHOP, &bad, "ProcessedWithErrors", 1, 3)?;
        let action = "/data/DataManagementDefinitionGroups/Microsoft.Dynamics.DataEntities.GetExecutionErrors";
        self.say(
            "What was wrong, row by row:",
            &format!("curl -H \"Authorization: Bearer $TOKEN\" -d '{{\"executionId\":\"{bad}\"}}' {}{action}", self.base),
        );
        let answer = self
            .send("POST", action, &[("Content-Type", "application/json")], format!("{{\"executionId\":\"{bad}\"}}").as_bytes())?
            .json()?;
        let errors: Value = answer["value"]
            .as_str()
            .and_then(|text| serde_json::from_str(text).ok())
            .ok_or_else(|| Failure::no(format!("no errors in {answer}")))?;
        let errors = errors.as_array().cloned().unwrap_or_default();
        for error in &errors {
            println!(
                "   row {}, {}: {}",
                error["RecordId"].as_str().unwrap_or_default(),
                error["Field"].as_str().unwrap_or_default(),
                error["ErrorMessage"].as_str().unwrap_or_default()
            );
        }
        let found: Vec<(&str, &str)> =
            errors.iter().filter_map(|error| Some((error["RecordId"].as_str()?, error["Field"].as_str()?))).collect();
        hold(found == [("1", "CREDITLIMIT"), ("2", "CUSTOMERGROUPID"), ("3", "PAYMENTTERMID")], format!("found {found:?}"))?;

        self.say(
            "The export for the book-keeper runs (its schedule says 6 o'clock; here an operator asks).",
            "entrepot job run \"Customer groups to the book-keeper\"",
        );
        let ran = self.send("POST", &format!("/api/v1/jobs/{BOOKS}/run"), &[], b"")?;
        hold(ran.status == 200, format!("status {}", ran.status))?;
        self.say(
            "The book-keeper dequeues.",
            &format!("curl -H \"Authorization: Bearer $TOKEN\" {}/api/connector/dequeue/{BOOKS}", self.base),
        );
        let (watch, clock) = (Stopwatch::start(), Clock::system());
        let bell = Bell::new(&clock);
        let message = loop {
            let response = self.send("GET", &format!("/api/connector/dequeue/{BOOKS}"), &[], b"")?;
            if response.status == 200 {
                break response;
            }
            hold(response.status == 204 && watch.elapsed() < PATIENCE, format!("status {}", response.status))?;
            bell.wait(&clock, Some(clock.now().plus(Duration::from_millis(50))));
        };
        let body = message.json()?;
        println!("   {body}");
        let location = body["DownloadLocation"].as_str().unwrap_or_default().to_owned();
        self.say("It downloads the data package.", &format!("curl -H \"Authorization: Bearer $TOKEN\" -o package.zip \"{location}\""));
        let package =
            self.send("GET", location.strip_prefix(&self.base).ok_or_else(|| Failure::no(format!("{location} is elsewhere")))?, &[], b"")?;
        hold(package.status == 200, format!("status {}", package.status))?;
        let mut zip = zip::ZipArchive::new(Cursor::new(package.body)).map_err(|error| Failure::no(format!("no package: {error}")))?;
        let mut document = String::new();
        for index in 0..zip.len() {
            let mut entry = zip.by_index(index).map_err(|error| Failure::no(error.to_string()))?;
            println!("   {} ({} bytes)", entry.name().map_err(|error| Failure::no(error.to_string()))?, entry.size());
            if index == 2 {
                entry.read_to_string(&mut document).map_err(|error| Failure::no(error.to_string()))?;
            }
        }
        document.lines().for_each(|line| println!("     {line}"));
        hold(document.lines().count() == 8 && document.contains("40,Internet customers; Europe,Cash,0.00"), "the document has other rows")?;
        self.say(
            "And acknowledges it with the pop receipt.",
            &format!("curl -H \"Authorization: Bearer $TOKEN\" -d @dequeued.json {}/api/connector/ack/{BOOKS}", self.base),
        );
        let acked = self.send("POST", &format!("/api/connector/ack/{BOOKS}"), &[("Content-Type", "application/json")], &message.body)?;
        hold(acked.status == 200, format!("status {}", acked.status))?;
        let empty = self.send("GET", &format!("/api/connector/dequeue/{BOOKS}"), &[], b"")?;
        println!("   acknowledged; the queue is empty (204)\n");
        hold(empty.status == 204, "the queue is not empty")
    }
}
