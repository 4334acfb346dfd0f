//! `entrepot job …`, `entrepot message …`, `entrepot healthcheck`: ask the running appliance over its operator API.

use std::io::ErrorKind;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use serde_json::Value;

use super::serve::RUNNING;
use super::{ConfigFile, Failure};

#[derive(clap::Subcommand)]
pub enum JobVerb {
    /// List jobs.
    #[command(after_help = "Example: entrepot job list")]
    List(Common),
    /// One job, with its next runs and its load.
    #[command(after_help = "Example: entrepot job show \"Customer groups from the web shop\"")]
    Show(Named),
    /// Run now; waits for an export's end for some seconds, and exits with 1 when it fails.
    #[command(after_help = "Example: entrepot job run \"Customer groups to the book-keeper\"")]
    Run(Named),
    /// Stop running it; messages are still accepted.
    #[command(after_help = "Example: entrepot job pause \"Customer groups from the web shop\"")]
    Pause(Named),
    /// Run it again.
    #[command(after_help = "Example: entrepot job resume \"Customer groups from the web shop\"")]
    Resume(Named),
    /// Let its next incremental export hold everything again.
    #[command(after_help = "Example: entrepot job reset \"Customer groups to the book-keeper\"")]
    Reset(Named),
}

#[derive(clap::Subcommand)]
pub enum MessageVerb {
    /// List messages, newest first.
    #[command(after_help = "Example: entrepot message list --attention")]
    List {
        #[command(flatten)]
        common: Common,
        /// Of one job, by name or activity id.
        #[arg(long)]
        job: Option<String>,
        /// In one state.
        #[arg(long)]
        state: Option<String>,
        /// Only those that a person should look at, and jobs whose export fails.
        #[arg(long)]
        attention: bool,
        /// Older than this message.
        #[arg(long)]
        before: Option<String>,
        /// At most this many, up to 500.
        #[arg(long, default_value_t = 50)]
        limit: u32,
    },
    /// One message, with its timeline and findings.
    #[command(after_help = "Example: entrepot message show 0199…")]
    Show(Named),
    /// Its document, as it came or was made, on stdout.
    #[command(after_help = "Example: entrepot message document 0199… > document.csv")]
    Document(Named),
    /// Its refused rows with the reasons beside them, on stdout: mend them and send them again.
    #[command(
        after_help = "Examples: entrepot message refused 0199… > mend.csv\n  entrepot message refused 0199… > mend.zip        # of a package: a package that its job takes"
    )]
    Refused {
        #[command(flatten)]
        named: Named,
        /// Those of this entity of a package alone, as a document.
        #[arg(long)]
        entity: Option<String>,
    },
    /// Its document as the stylesheets gave it, on stdout.
    #[command(after_help = "Example: entrepot message transformed 0199… > transformed.xml")]
    Transformed(Named),
    /// Its rows as they were staged, and what became of each, where skip_staging = false keeps them.
    #[command(after_help = "Example: entrepot message staging 0199… --status Error")]
    Staging {
        #[command(flatten)]
        named: Named,
        /// Of this entity; without it, of the first that has any.
        #[arg(long)]
        entity: Option<String>,
        /// Only rows of this status: NotStarted, Validated, Completed or Error.
        #[arg(long)]
        status: Option<String>,
        /// Behind this one, as the page before says.
        #[arg(long)]
        after: Option<i64>,
    },
    /// Process a message again: a new message with the same payload.
    #[command(after_help = "Example: entrepot message replay 0199…")]
    Replay(Named),
    /// Take a message out of the queue.
    #[command(after_help = "Example: entrepot message cancel 0199…")]
    Cancel(Named),
    /// Offer an export message again.
    #[command(after_help = "Example: entrepot message release 0199…")]
    Release(Named),
}

#[derive(clap::Args)]
pub struct Common {
    #[command(flatten)]
    config: ConfigFile,
    /// The data directory, when no configuration names it.
    #[arg(long, value_name = "DIR")]
    data_dir: Option<std::path::PathBuf>,
    /// For programs.
    #[arg(long)]
    pub json: bool,
}

#[derive(clap::Args)]
pub struct Named {
    /// Name or id.
    id: String,
    #[command(flatten)]
    common: Common,
}

/// The operator API of the running appliance.
pub struct Operator {
    agent: ureq::Agent,
    base: String,
    token: String,
}

fn agent() -> ureq::Agent {
    ureq::Agent::config_builder().http_status_as_error(false).timeout_global(Some(std::time::Duration::from_secs(30))).build().into()
}

impl Operator {
    pub fn connect(common: &Common) -> Result<Operator, Failure> {
        let data_dir = match &common.data_dir {
            Some(dir) => dir.clone(),
            None if common.config.find().is_some() => common.config.load_server()?.data_dir,
            None => "entrepot-data".into(),
        };
        let path = data_dir.join(RUNNING);
        let text = std::fs::read_to_string(&path).map_err(|error| match error.kind() {
            ErrorKind::PermissionDenied => Failure::no(format!(
                "you may not read {}, which holds the token of operators\n  hint: run this as root (sudo), or as the user that the appliance runs as",
                path.display()
            )),
            _ => Failure::no(format!(
                "no appliance serves {}\n  hint: start it with entrepot serve, or name its configuration with --config",
                data_dir.display()
            )),
        })?;
        let running: Value =
            serde_json::from_str(&text).map_err(|error| Failure::no(format!("cannot read {}: {error}", path.display())))?;
        let member =
            |name: &str| running[name].as_str().map(str::to_owned).ok_or_else(|| Failure::no(format!("{} has no {name}", path.display())));
        Ok(Operator { agent: agent(), base: member("url")?, token: member("operator_token")? })
    }

    pub fn ask(&self, method: &str, path: &str) -> Result<Value, Failure> {
        let url = format!("{}/api/v1/{path}", self.base);
        let bearer = format!("Bearer {}", self.token);
        let sent = match method {
            "POST" => self.agent.post(&url).header("Authorization", &bearer).send_empty(),
            _ => self.agent.get(&url).header("Authorization", &bearer).call(),
        };
        let mut response = sent
            .map_err(|error| Failure::no(format!("cannot reach the appliance at {}: {error}\n  hint: is it still running?", self.base)))?;
        let status = response.status().as_u16();
        let value: Value =
            response.body_mut().read_json().map_err(|error| Failure::no(format!("the appliance's answer cannot be read: {error}")))?;
        if status == 200 {
            return Ok(value);
        }
        Err(refusal(&value))
    }
}

fn refusal(value: &Value) -> Failure {
    Failure::no(format!("{}\n  hint: {}", value["detail"].as_str().unwrap_or("refused"), value["hint"].as_str().unwrap_or_default()))
}

/// A file of a message, streamed to stdout.
fn print_file(named: &Named, which: &str, entity: Option<&str>) -> Result<(), Failure> {
    let operator = Operator::connect(&named.common)?;
    let of = entity.map_or_else(String::new, |entity| format!("?entity={}", escape(entity)));
    let url = format!("{}/api/v1/messages/{}/{which}{of}", operator.base, escape(&named.id));
    let failed = |error: &dyn std::fmt::Display| Failure::no(format!("cannot fetch the {which} of {}: {error}", named.id));
    let mut response =
        operator.agent.get(&url).header("Authorization", &format!("Bearer {}", operator.token)).call().map_err(|error| failed(&error))?;
    if response.status().as_u16() != 200 {
        let value: Value = response.body_mut().read_json().map_err(|error| failed(&error))?;
        return Err(refusal(&value));
    }
    match std::io::copy(&mut response.body_mut().as_reader(), &mut std::io::stdout().lock()) {
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => Err(failed(&error)),
        _ => Ok(()),
    }
}

/// One path segment or query value.
pub fn escape(text: &str) -> String {
    text.bytes()
        .map(
            |byte| {
                if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") }
            },
        )
        .collect()
}

pub fn text(value: &Value) -> String {
    match value {
        Value::Null => "-".into(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

impl JobVerb {
    pub fn run(self) -> Result<(), Failure> {
        match self {
            JobVerb::List(common) => {
                let answer = Operator::connect(&common)?.ask("GET", "jobs")?;
                if common.json {
                    println!("{answer}");
                    return Ok(());
                }
                for job in answer["jobs"].as_array().into_iter().flatten() {
                    print_job(job);
                }
                Ok(())
            }
            JobVerb::Show(named) => act("GET", "jobs", &named, ""),
            JobVerb::Run(named) => run_job(&named),
            JobVerb::Pause(named) => act("POST", "jobs", &named, "/pause"),
            JobVerb::Resume(named) => act("POST", "jobs", &named, "/resume"),
            JobVerb::Reset(named) => act("POST", "jobs", &named, "/reset"),
        }
    }
}

/// Runs a job; an export's end is told when it comes within this time.
fn run_job(named: &Named) -> Result<(), Failure> {
    let answer = Operator::connect(&named.common)?.ask("POST", &format!("jobs/{}/run?wait=20s", escape(&named.id)))?;
    match named.common.json {
        true => println!("{answer}"),
        false => print_job(&answer),
    }
    if answer["running"] == true {
        eprintln!("it is still running: entrepot job show tells how it ends");
        return Ok(());
    }
    match answer["failure"]["reason"].as_str() {
        Some(reason) => Err(Failure::no(format!("the export failed: {reason}"))),
        None => Ok(()),
    }
}

fn act(method: &str, kind: &str, named: &Named, action: &str) -> Result<(), Failure> {
    let operator = Operator::connect(&named.common)?;
    let answer = operator.ask(method, &format!("{kind}/{}{action}", escape(&named.id)))?;
    if named.common.json {
        println!("{answer}");
    } else if kind == "jobs" {
        print_job(&answer);
        for sample in answer["load"].as_array().into_iter().flatten().rev().take(10) {
            println!(
                "  load {}  depth {}  oldest {} s  arrivals {}  processed {}  busy {} ms",
                text(&sample["at"]),
                sample["depth"],
                sample["oldest_age_seconds"],
                sample["arrivals"],
                sample["processed"],
                sample["duration_ms"]
            );
        }
    } else {
        print_message(&operator, &answer)?;
    }
    Ok(())
}

fn print_job(job: &Value) {
    let state = match (job["enabled"] == true, job["paused"] == true) {
        (false, _) => "disabled",
        (_, true) => "paused",
        _ => "enabled",
    };
    println!("{}  {}  {} {}", text(&job["activity_id"]), text(&job["name"]), text(&job["direction"]), state);
    println!(
        "  runs {}{}{}",
        text(&job["recurrence"]),
        job["last_run_at"].as_str().map_or_else(String::new, |last| format!(", last {last}")),
        job["next_runs"].get(0).map_or_else(String::new, |next| format!(", next {}", text(next)))
    );
    if job["failure"].is_object() {
        let (failure, since) = (&job["failure"], &job["failure"]["since"]);
        let again = job["next_try_at"].as_str().map_or_else(String::new, |at| format!("; tried again {at}"));
        match failure["at"] == *since {
            true => println!("  failed {}: {}{again}", text(since), text(&failure["reason"])),
            false => println!("  failing since {}, the latest {}: {}{again}", text(since), text(&failure["at"]), text(&failure["reason"])),
        }
    }
    for increment in job["increments"].as_array().into_iter().flatten() {
        println!(
            "  {}: changes acked up to {}, {} on offer{}",
            text(&increment["entity"]),
            text(&increment["acked_as_of"]),
            increment["waiting"].as_array().map_or(0, Vec::len),
            increment["anew"].as_str().map_or_else(String::new, |why| format!("; the latest export holds everything: {why}"))
        );
    }
    let states: Vec<String> = job["states"]
        .as_object()
        .into_iter()
        .flatten()
        .filter(|(_, count)| **count != 0)
        .map(|(state, count)| format!("{state} {count}"))
        .collect();
    println!(
        "  messages {}; rows loaded {}, refused {}",
        if states.is_empty() { "none yet".into() } else { states.join(", ") },
        job["rows_loaded"],
        job["rows_refused"]
    );
}

/// Rows by outcome.
fn rows(rows: &Value) -> String {
    let validated = rows["validated"].as_u64().filter(|validated| *validated > 0);
    let validated = validated.map_or_else(String::new, |validated| format!(", valid and not loaded {validated}"));
    let (inserted, updated, unchanged) = (&rows["inserted"], &rows["updated"], &rows["unchanged"]);
    format!("read {}: inserted {inserted}, updated {updated}, unchanged {unchanged}{validated}, refused {}", rows["read"], rows["refused"])
}

fn print_message(operator: &Operator, message: &Value) -> Result<(), Failure> {
    println!("{}  {}  {}", text(&message["id"]), text(&message["state"]), text(&message["job"]));
    println!("  entity {}, {} bytes, external id {}", text(&message["entity"]), message["size"], text(&message["external_id"]));
    println!("  rows {}", rows(&message["rows"]));
    for entity in message["entities"].as_array().into_iter().flatten().filter(|_| message["content"] == "package") {
        println!("  {}  {}  rows {}", text(&entity["entity"]), text(&entity["outcome"]), rows(&entity["rows"]));
    }
    if let Some(reason) = message["reason"].as_str() {
        println!("  {reason}");
    }
    for event in message["timeline"].as_array().into_iter().flatten() {
        println!(
            "  {}  {}{}",
            text(&event["at"]),
            text(&event["event"]),
            event["detail"].as_str().map_or_else(String::new, |detail| format!(": {detail}"))
        );
    }
    if message["findings"].as_u64().unwrap_or(0) > 0 {
        let answer = operator.ask("GET", &format!("messages/{}/findings", text(&message["id"])))?;
        let shown = answer["findings"].as_array().map_or(&[][..], Vec::as_slice);
        for finding in shown {
            println!("{}", super::try_document::finding_text(finding, &text(&message["entity"])));
        }
        let more = answer["total"].as_u64().unwrap_or_default().saturating_sub(shown.len() as u64);
        let where_they_are =
            if answer["next"].is_u64() { "the message's page has them" } else { "queue.findings_max says how many are kept" };
        if more > 0 {
            println!("  and {more} more findings; {where_they_are}");
        }
    }
    Ok(())
}

impl MessageVerb {
    pub fn run(self) -> Result<(), Failure> {
        match self {
            MessageVerb::List { common, job, state, attention, before, limit } => {
                let mut query = format!("messages?limit={limit}");
                for (name, value) in [("job", job), ("state", state), ("before", before)] {
                    if let Some(value) = value {
                        query.push_str(&format!("&{name}={}", escape(&value)));
                    }
                }
                if attention {
                    query.push_str("&attention=1");
                }
                let answer = Operator::connect(&common)?.ask("GET", &query)?;
                if common.json {
                    println!("{answer}");
                    return Ok(());
                }
                for job in answer["failing_jobs"].as_array().into_iter().flatten() {
                    let failure = &job["failure"];
                    println!("job {}  failing since {}: {}", text(&job["name"]), text(&failure["since"]), text(&failure["reason"]));
                }
                for export in answer["failing_exports"].as_array().into_iter().flatten() {
                    let client = export["application"].as_str().or(export["application_id"].as_str()).unwrap_or("a client");
                    let again = export["next_try_at"].as_str().map_or_else(String::new, |at| format!(", again at {at}"));
                    println!(
                        "export of {} for {client}  failed at {}{again}: {}",
                        text(&export["project"]),
                        text(&export["at"]),
                        text(&export["reason"])
                    );
                }
                for message in answer["messages"].as_array().into_iter().flatten() {
                    let rows = &message["rows"];
                    println!(
                        "{}  {}  {:<21}  {}  read {} refused {}  {}",
                        text(&message["id"]),
                        text(&message["received_at"]),
                        text(&message["state"]),
                        text(&message["entity"]),
                        rows["read"],
                        rows["refused"],
                        text(&message["job"])
                    );
                }
                if let Some(next) = answer["next"].as_str() {
                    println!("older ones: --before {next}");
                }
                Ok(())
            }
            MessageVerb::Show(named) => act("GET", "messages", &named, ""),
            MessageVerb::Document(named) => print_file(&named, "document", None),
            MessageVerb::Refused { named, entity } => {
                let message = Operator::connect(&named.common)?.ask("GET", &format!("messages/{}", escape(&named.id)))?;
                if message["validated_only"] == true {
                    eprintln!("note: this run loaded nothing: mend the document that was sent, and send all of it");
                } else if message["content"] == "package" && (message["state"] == "failed" || message["state"] == "cancelled") {
                    eprintln!("note: entities that were not run are not in it: replay the message for them");
                }
                print_file(&named, "refused", entity.as_deref())
            }
            MessageVerb::Transformed(named) => print_file(&named, "transformed", None),
            MessageVerb::Staging { named, entity, status, after } => {
                let mut query = format!("messages/{}/staging?", escape(&named.id));
                for (name, value) in [("entity", entity), ("status", status), ("after", after.map(|after| after.to_string()))] {
                    if let Some(value) = value {
                        query.push_str(&format!("{name}={}&", escape(&value)));
                    }
                }
                let answer = Operator::connect(&named.common)?.ask("GET", query.trim_end_matches(['&', '?']))?;
                if named.common.json {
                    println!("{answer}");
                    return Ok(());
                }
                for row in answer["rows"].as_array().into_iter().flatten() {
                    let values: Vec<String> = row["values"]
                        .as_object()
                        .into_iter()
                        .flatten()
                        .filter_map(|(field, value)| Some(format!("{field}={}", value.as_str()?)))
                        .collect();
                    let said = if row["reason"].is_string() { text(&row["reason"]) } else { values.join("  ") };
                    println!("{:>7}  {:<10}  {said}", row["row"], text(&row["status"]));
                }
                if answer["next"].is_i64() {
                    println!("more: --after {}", answer["next"]);
                }
                Ok(())
            }
            MessageVerb::Replay(named) => act("POST", "messages", &named, "/replay"),
            MessageVerb::Cancel(named) => act("POST", "messages", &named, "/cancel"),
            MessageVerb::Release(named) => act("POST", "messages", &named, "/release"),
        }
    }
}

/// Applies the configuration file; exit 0 when it is in force.
pub fn reload(common: &Common) -> Result<(), Failure> {
    let answer = Operator::connect(common)?.ask("POST", "configuration/reload")?;
    match common.json {
        true => println!("{answer}"),
        false => println!("configuration {} is in force", text(&answer["file"])),
    }
    Ok(())
}

/// Where this machine reaches a listener: one that listens at all addresses is at the loopback one, too.
pub fn reachable(mut listen: SocketAddr) -> SocketAddr {
    match listen.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => listen.set_ip(Ipv4Addr::LOCALHOST.into()),
        IpAddr::V6(ip) if ip.is_unspecified() => listen.set_ip(Ipv6Addr::LOCALHOST.into()),
        _ => {}
    }
    listen
}

/// Exit 0 when the appliance of this configuration is ready.
pub fn healthcheck(config: &ConfigFile) -> Result<(), Failure> {
    let url = match config.load() {
        Ok(checked) => format!("http://{}", reachable(checked.config.server.listen)),
        // The address may be what is wrong with it: the appliance that runs has written where it is.
        Err(_) => {
            let server = config.load_server()?;
            let running = std::fs::read_to_string(server.data_dir.join(RUNNING)).ok();
            let url = running.and_then(|text| Some(serde_json::from_str::<Value>(&text).ok()?["url"].as_str()?.to_owned()));
            url.unwrap_or_else(|| format!("http://{}", reachable(server.listen)))
        }
    };
    let url = format!("{url}/readyz");
    let answer = agent().get(&url).call().map_err(|error| Failure::no(format!("{url}: {error}")))?;
    if answer.status().as_u16() == 200 { Ok(()) } else { Err(Failure::no(format!("{url}: {}", answer.status()))) }
}
