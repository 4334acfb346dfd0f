//! `entrepot record` in front of a real system (an appliance over HTTPS stands for it), and `entrepot replay` in its place.

use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use serde_json::{Value, json};

use crate::appliance::{APPLICATION, SECRET};
use crate::clients::{Site, site};
use crate::package_api::{EXPORT_JOB, GROUPS, TERMS};
use crate::packages::{PACKAGES, both, configuration};

/// A running `entrepot record` or `entrepot replay`.
struct Tool {
    process: Child,
    output: BufReader<std::process::ChildStdout>,
    base: String,
}

impl Tool {
    fn start(verb: &str, folder: &Path, more: &[&str]) -> Tool {
        let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let mut process = Command::new(env!("CARGO_BIN_EXE_entrepot"))
            .args([verb, folder.to_str().unwrap(), "--listen", &format!("127.0.0.1:{port}")])
            .args(more)
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut output = BufReader::new(process.stdout.take().unwrap());
        let mut line = String::new();
        while !line.contains("Ctrl-C") {
            line.clear();
            assert!(output.read_line(&mut line).unwrap() > 0, "it ended: {:?}", process.wait());
        }
        Tool { process, output, base: format!("http://127.0.0.1:{port}") }
    }

    /// Ends it as Ctrl-C does, and returns what it said last.
    fn stop(mut self) -> String {
        assert!(Command::new("kill").args(["-INT", &self.process.id().to_string()]).status().unwrap().success());
        assert!(self.process.wait().unwrap().success());
        let mut said = String::new();
        self.output.read_to_string(&mut said).unwrap();
        said
    }
}

impl Drop for Tool {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

struct Client {
    agent: ureq::Agent,
    base: String,
    token: String,
}

impl Client {
    /// Signs in as the scheduler does: the resource is the address that it was configured with.
    fn sign_in(base: &str, secret: &str) -> Client {
        let agent: ureq::Agent = ureq::Agent::config_builder().http_status_as_error(false).build().into();
        let form = [("grant_type", "client_credentials"), ("client_id", APPLICATION), ("client_secret", secret), ("resource", base)];
        let mut answer = agent.post(format!("{base}/contoso.com/oauth2/token")).send_form(form).unwrap();
        let text = answer.body_mut().read_to_string().unwrap();
        assert_eq!(answer.status(), 200, "{text}");
        let given: Value = serde_json::from_str(&text).unwrap();
        let expires: i64 = given["expires_on"].as_str().unwrap().parse().unwrap();
        assert!(expires > 1_795_000_000, "{expires}");
        Client { agent, base: base.to_owned(), token: given["access_token"].as_str().unwrap().to_owned() }
    }

    fn url(&self, path: &str) -> String {
        if path.starts_with("http") { path.to_owned() } else { format!("{}{path}", self.base) }
    }

    fn get(&self, path: &str) -> (u16, Vec<u8>) {
        let mut answer = self.agent.get(self.url(path)).header("Authorization", format!("Bearer {}", self.token)).call().unwrap();
        (answer.status().as_u16(), answer.body_mut().read_to_vec().unwrap())
    }

    fn post(&self, path: &str, kind: &str, body: &[u8]) -> (u16, Vec<u8>) {
        let request =
            self.agent.post(self.url(path)).header("Authorization", format!("Bearer {}", self.token)).header("Content-Type", kind);
        let mut answer = request.send(body).unwrap();
        (answer.status().as_u16(), answer.body_mut().read_to_vec().unwrap())
    }

    fn action(&self, name: &str, body: &Value) -> Value {
        let path = format!("/data/DataManagementDefinitionGroups/Microsoft.Dynamics.DataEntities.{name}");
        let (status, answer) = self.post(&path, "application/json", body.to_string().as_bytes());
        assert_eq!(status, 200, "{}", String::from_utf8_lossy(&answer));
        serde_json::from_slice::<Value>(&answer).unwrap()["value"].clone()
    }
}

const OUT: &str = "22222222-2222-4333-8444-555555555555";

/// A day of a client: a package in, its status until it is done, an export out. `settle` lets the real system work. Returns what it saw.
fn day(client: &Client, execution: &str, mut settle: impl FnMut()) -> Vec<String> {
    let mut seen = Vec::new();
    let (status, id) = client.post(&format!("/api/connector/enqueue/{PACKAGES}"), "application/zip", &both(TERMS, GROUPS));
    let id: String = serde_json::from_slice(&id).unwrap();
    seen.push(format!("{status} {}", id.len()));
    for round in 0..3 {
        let (_, told) = client.get(&format!("/api/connector/jobstatus/{PACKAGES}?jobId={id}"));
        let told: Value = serde_json::from_slice(&told).unwrap();
        seen.push(told["DataJobStatus"]["DataJobState"].as_str().unwrap().to_owned());
        if round == 0 {
            settle();
        }
    }
    // The package API: an address to write to, the package, and an execution id that is another one each time.
    let place = client.action("GetAzureWriteUrl", &json!({ "uniqueFileName": format!("{execution}.zip") }));
    let place: Value = serde_json::from_str(place.as_str().unwrap()).unwrap();
    let url = place["BlobUrl"].as_str().unwrap();
    assert!(url.starts_with(&client.base), "{url}");
    let put = client.agent.put(url).header("x-ms-blob-type", "BlockBlob").send(&both(TERMS, GROUPS)[..]).unwrap();
    seen.push(put.status().to_string());
    let body = json!({ "packageUrl": url, "definitionGroupId": "Set-up", "executionId": execution, "execute": true, "overwrite": true });
    client.action("ImportFromPackage", &body);
    for _ in 0..2 {
        seen.push(client.action("GetExecutionSummaryStatus", &json!({ "executionId": execution })).to_string());
        settle();
    }
    settle();
    loop {
        let (status, told) = client.get(&format!("/api/connector/dequeue/%7B{OUT}%7D"));
        seen.push(status.to_string());
        if status == 204 {
            return seen;
        }
        let told: Value = serde_json::from_slice(&told).unwrap();
        let location = told["DownloadLocation"].as_str().unwrap();
        assert!(location.starts_with(&client.base), "{location}");
        let (status, package) = client.get(location);
        seen.push(format!("{status} {}", package.starts_with(b"PK")));
        seen.push(client.post(&format!("/api/connector/ack/%7B{OUT}%7D"), "application/json", told.to_string().as_bytes()).0.to_string());
    }
}

fn all_bytes(folder: &Path) -> Vec<u8> {
    let files = std::fs::read_dir(folder).unwrap().map(|entry| std::fs::read(entry.unwrap().path()).unwrap());
    files.flatten().collect()
}

#[test]
fn a_clients_day_is_recorded_without_secrets_and_replayed_without_the_real_system() {
    let Site { mut app, base, authority } = site(&format!("{}{EXPORT_JOB}", configuration("")));
    let scratch = tempfile::tempdir().unwrap();
    let folder = scratch.path().join("recording");
    // Addresses that the system hands out are those of another host than the one that is asked, as with the real system's storage.
    let port = base.rsplit(':').next().unwrap();
    let (upstream, storage) = (format!("https://127.0.0.1:{port}"), format!("localhost:{port}"));
    let authority = authority.to_str().unwrap();
    let arguments = ["--upstream", &upstream, "--authority", &base, "--also", &storage, "--ca", authority];
    let recorder = Tool::start("record", &folder, &arguments);
    let client = Client::sign_in(&recorder.base, SECRET);
    let token = client.token.clone();
    let mut rounds = 0;
    let seen = day(&client, "Set-up-2026-11-24_12-00-00-6d31e09f", || {
        app.settle();
        rounds += 1;
        if rounds == 3 {
            app.operator("POST", &format!("jobs/{OUT}/run")).expect(200);
            app.settle();
        }
    });
    assert_eq!(seen.last().unwrap(), "204");
    assert!(
        seen.contains(&"Processed".to_owned()) && seen.contains(&"\"Succeeded\"".to_owned()) && seen.contains(&"200 true".to_owned()),
        "{seen:?}"
    );
    let place = recorder.base.clone();
    let said = recorder.stop();
    assert!(said.contains("exchanges recorded"), "{said}");

    let kept = String::from_utf8_lossy(&all_bytes(&folder)).into_owned();
    let signature = token.rsplit('.').next().unwrap();
    for secret in [SECRET, "a+secret+for+tests", "a%20secret%20for%20tests", token.as_str(), signature, place.trim_start_matches("http://")]
    {
        assert!(!kept.contains(secret), "the recording holds {secret}");
    }
    assert!(!kept.contains("sig=") || kept.split("sig=").skip(1).all(|rest| rest.starts_with("removed")));

    // The real system is gone.
    drop(app);
    let replayer = Tool::start("replay", &folder, &[]);
    let client = Client::sign_in(&replayer.base, "whatever");
    assert_eq!(day(&client, "Set-up-2027-01-01_08-00-00-00000000", || {}), seen);
    let (status, refusal) = client.get("/api/connector/dequeue/00000000-0000-0000-0000-000000000001");
    assert_eq!(status, 404);
    assert!(String::from_utf8_lossy(&refusal).contains("nothing like GET"));
    let said = replayer.stop();
    let count = seen.len();
    assert!(!said.contains("never:") && said.contains("exchanges were asked for"), "{count}: {said}");
}

#[test]
fn what_cannot_be_recorded_or_replayed_says_why() {
    let scratch = tempfile::tempdir().unwrap();
    std::fs::write(scratch.path().join("x"), "x").unwrap();
    let fails = |arguments: &[&str], code: i32, text: &str| {
        let output = Command::new(env!("CARGO_BIN_EXE_entrepot")).args(arguments).output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(code), "{said}");
        assert!(said.contains(text), "expected {text}: {said}");
    };
    let folder = scratch.path().to_str().unwrap();
    fails(&["record", folder, "--upstream", "https://a.example"], 1, "it is not empty");
    fails(&["record", "x/new", "--upstream", "a.example/path"], 2, "expected https:// and a host");
    fails(&["replay", folder], 1, "recording.json");
    // A recording that somebody changed names no file outside of it.
    let folder = scratch.path().join("changed");
    std::fs::create_dir(&folder).unwrap();
    std::fs::write(folder.join("recording.json"), r#"{"format":1,"upstream":"https://a.example"}"#).unwrap();
    fails(&["replay", folder.to_str().unwrap()], 1, "holds no exchange");
    let exchange = json!({
        "at": "", "milliseconds": 1, "request": { "method": "GET", "target": "/x", "headers": [] },
        "response": { "status": 200, "reason": "OK\r\nX: y", "headers": [["ETag", "a\r\nX: y"]], "body": { "file": "../x" } }
    });
    std::fs::write(folder.join("000001.json"), exchange.to_string()).unwrap();
    let replayer = Tool::start("replay", &folder, &[]);
    let agent: ureq::Agent = ureq::Agent::config_builder().http_status_as_error(false).build().into();
    let mut answer = agent.get(format!("{}/x", replayer.base)).call().unwrap();
    assert_eq!(answer.status(), 500);
    assert!(answer.body_mut().read_to_string().unwrap().contains("no name of a file"));
    std::fs::write(folder.join("recording.json"), r#"{"format":2,"upstream":"https://a.example"}"#).unwrap();
    fails(&["replay", folder.to_str().unwrap()], 1, "this program reads 1");
}

#[test]
fn a_recorder_asks_no_host_that_was_not_named_and_says_when_nobody_answers() {
    let scratch = tempfile::tempdir().unwrap();
    let nobody = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let (folder, url) = (scratch.path().join("recording"), format!("http://{nobody}"));
    let recorder = Tool::start("record", &folder, &["--upstream", &url, "--authority", &url]);
    let agent: ureq::Agent = ureq::Agent::config_builder().http_status_as_error(false).build().into();
    let mut answer = agent.get(format!("{}/_host/169.254.169.254/latest", recorder.base)).call().unwrap();
    assert_eq!(answer.status(), 403);
    assert!(answer.body_mut().read_to_string().unwrap().contains("no host of this recording"));
    let mut answer = agent.get(format!("{}/data/LegalEntities", recorder.base)).call().unwrap();
    assert_eq!(answer.status(), 502);
    assert!(answer.body_mut().read_to_string().unwrap().contains("the real system was not reached"));
    // Of a request that was not recorded nothing stays, least of all its secret.
    let form = [("grant_type", "client_credentials"), ("client_id", APPLICATION), ("client_secret", SECRET)];
    let token = format!("{}/contoso.com/oauth2/token", recorder.base);
    assert_eq!(agent.post(&token).send_form(form).unwrap().status(), 502);
    assert_eq!(agent.post(&token).send(&b"client_secret=\xff\xfe"[..]).unwrap().status(), 400);
    recorder.stop();
    let left: Vec<_> = std::fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    assert_eq!(left, ["recording.json"]);
}
