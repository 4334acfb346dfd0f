//! What a developer runs in the place of a cloud sandbox: faults on purpose, a clock that is moved, everything emptied between two tests.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::appliance::{APPLICATION, Appliance, EXPORT, IMPORT, SECRET, groups};

fn with(fault: &str) -> Appliance {
    Appliance::start(&format!("{}\n{fault}", groups("")))
}

fn dequeue(app: &Appliance) -> u16 {
    app.get(&format!("/api/connector/dequeue/{EXPORT}")).status
}

fn exported(app: &mut Appliance) {
    app.enqueue(b"ID,NAME,AMOUNT\n1,x,1\n", None);
    app.settle();
    app.operator("POST", &format!("jobs/{EXPORT}/run")).expect(200);
    app.settle();
}

/// What comes back of a request, head and all; nothing when the connection is cut.
fn raw(app: &Appliance, method: &str, path: &str, body: &str) -> String {
    let mut stream = TcpStream::connect(app.base.strip_prefix("http://").unwrap()).unwrap();
    let head = format!(
        "{method} {path} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}",
        app.token,
        body.len()
    );
    stream.write_all(head.as_bytes()).unwrap();
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer);
    String::from_utf8_lossy(&answer).into_owned()
}

#[test]
fn requests_are_refused_every_so_often_with_whole_seconds_to_wait() {
    let app = with(
        "[[fault]]\non = \"dequeue\"\neffect = \"429\"\nevery = 3\nretry_after = \"7s\"\ntimes = 2\n[[fault]]\non = \"jobstatus\"\neffect = \"503\"\n",
    );
    let seen: Vec<u16> = (0..9).map(|_| dequeue(&app)).collect();
    assert_eq!(seen, [204, 204, 429, 204, 204, 429, 204, 204, 204], "every third, twice");
    let refused = app.get(&format!("/api/connector/jobstatus/{IMPORT}?jobId=x")).expect(503);
    assert_eq!(refused.header("Retry-After"), Some("1"));
    assert!(app.log().contains("fault struck"));
}

#[test]
fn a_probability_with_the_same_seed_strikes_the_same_requests() {
    let pattern = |seed: u32| {
        let app = with(&format!("[[fault]]\non = \"dequeue\"\neffect = \"503\"\nprobability = 0.3\nseed = {seed}\n"));
        (0..40).map(|_| dequeue(&app)).collect::<Vec<u16>>()
    };
    let one = pattern(3);
    assert_eq!(one, pattern(3));
    assert!(one.contains(&503) && one.contains(&204));
    assert_ne!(one, pattern(4));
}

#[test]
fn a_connection_is_cut_before_or_after_the_effect() {
    let mut app = with(
        "[[fault]]\non = \"enqueue\"\neffect = \"cut before\"\ntimes = 1\n[[fault]]\non = \"ack\"\neffect = \"cut after\"\ntimes = 1\n",
    );
    let path = format!("/api/connector/enqueue/{IMPORT}");
    assert_eq!(raw(&app, "POST", &path, "ID,NAME,AMOUNT\n1,x,1\n"), "");
    assert_eq!(app.operator("GET", "messages").expect(200).json()["messages"], json!([]), "nothing was carried out");
    exported(&mut app);
    let message = app.get(&format!("/api/connector/dequeue/{EXPORT}")).expect(200).json();
    let ack = format!("/api/connector/ack/{EXPORT}");
    assert_eq!(raw(&app, "POST", &ack, &message.to_string()), "", "the ack is lost");
    assert_eq!(app.message(message["CorrelationId"].as_str().unwrap())["state"], "acked", "and was carried out");
    // The client acks once more, as it should.
    app.post(&ack, message.to_string().as_bytes()).expect(200);
    // The edge is well: other connections never noticed.
    app.get("/healthz").expect(200);
}

#[test]
fn a_token_seems_expired_and_a_lease_is_short() {
    let mut app = with(
        "[[fault]]\non = \"download\"\neffect = \"expired token\"\ntimes = 1\n[[fault]]\non = \"dequeue\"\neffect = \"short lease\"\nlease = \"5s\"\n",
    );
    exported(&mut app);
    let message = app.get(&format!("/api/connector/dequeue/{EXPORT}")).expect(200).json();
    let location = message["DownloadLocation"].as_str().unwrap().strip_prefix("http://exchange.test").unwrap().to_owned();
    let refused = app.get(&location).expect(401);
    assert!(refused.header("WWW-Authenticate").unwrap().contains("invalid_token"));
    app.get(&location).expect(200);
    app.advance(Duration::from_secs(6));
    assert_eq!(dequeue(&app), 200, "it is offered again");
}

#[test]
fn a_slow_answer_comes_whole() {
    let mut app = with("[[fault]]\non = \"download\"\neffect = \"slow\"\nbytes_per_second = 4000\n");
    exported(&mut app);
    let message = app.get(&format!("/api/connector/dequeue/{EXPORT}")).expect(200).json();
    let begun = Instant::now();
    let package = app.get(message["DownloadLocation"].as_str().unwrap().strip_prefix("http://exchange.test").unwrap()).expect(200);
    assert!(package.body.starts_with(b"PK") && zip::ZipArchive::new(std::io::Cursor::new(&package.body)).is_ok());
    // About 1.5 KB at 4,000 bytes a second.
    assert!(begun.elapsed() >= Duration::from_millis(200), "{:?} for {} bytes", begun.elapsed(), package.body.len());
}

#[test]
fn a_fault_that_is_not_understood_is_told_and_one_that_is_is_warned_of() {
    let check = |fault: &str| {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("entrepot.toml");
        std::fs::write(&file, fault).unwrap();
        let output = Command::new(env!("CARGO_BIN_EXE_entrepot")).args(["check", "--config"]).arg(&file).output().unwrap();
        (output.status.code(), format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr)))
    };
    for (fault, word) in [
        ("on = \"deqeue\"\neffect = \"429\"", "did you mean \"dequeue\"?"),
        ("on = \"ack\"\neffect = \"cut\"", "there is no effect \"cut\""),
        ("on = \"ack\"\neffect = \"503\"\nprobability = 2.0", "from 0 to 1"),
        ("on = \"ack\"\neffect = \"503\"\nprobability = 0.5\nevery = 2", "only one of every and probability"),
        ("on = \"ack\"\neffect = \"503\"\nat = 2", "at"),
    ] {
        let (code, text) = check(&format!("[[fault]]\n{fault}\n"));
        assert!(code == Some(1) && text.contains(word), "{word}: {text}");
    }
    let (code, text) = check("[[fault]]\non = \"*\"\neffect = \"503\"\n");
    assert!(code == Some(0) && text.contains("treated badly on purpose"), "{text}");
}

/// `serve --memory`, as a developer starts it.
struct Playground {
    process: Child,
    agent: ureq::Agent,
    base: String,
    data_dir: PathBuf,
    operator: String,
}

impl Drop for Playground {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
        let _ = std::fs::remove_dir_all(&self.data_dir);
    }
}

impl Playground {
    fn start(configuration: &str) -> Playground {
        Playground::start_as(configuration, &[])
    }

    fn start_as(configuration: &str, more: &[&str]) -> Playground {
        use sha2::{Digest, Sha256};
        let dir = tempfile::tempdir().unwrap().keep();
        let hash: String = Sha256::digest(SECRET).iter().map(|byte| format!("{byte:02x}")).collect();
        let text = format!(
            "[server]\nlisten = \"127.0.0.1:0\"\npublic_url = \"http://exchange.test\"\n[queue]\nfree_min = 0\n[[application]]\nid = \"{APPLICATION}\"\nname = \"Tests\"\nsecret_hash = \"sha256:{hash}\"\n{configuration}"
        );
        std::fs::write(dir.join("entrepot.toml"), text).unwrap();
        let mut process = Command::new(env!("CARGO_BIN_EXE_entrepot"))
            .args(["serve", "--memory"])
            .args(more)
            .arg("--config")
            .arg(dir.join("entrepot.toml"))
            .stdout(Stdio::piped())
            .stderr(std::fs::File::create(dir.join("log")).unwrap())
            .spawn()
            .unwrap();
        let mut out = BufReader::new(process.stdout.take().unwrap());
        let mut line = String::new();
        out.read_line(&mut line).unwrap();
        let words: Vec<&str> = line.split_whitespace().collect();
        assert_eq!(
            (words.first(), words.get(2)),
            (Some(&"entrepot"), Some(&"serves")),
            "{line}{}",
            std::fs::read_to_string(dir.join("log")).unwrap()
        );
        let (data_dir, base) = (PathBuf::from(words[3]), words[5].to_owned());
        let mut printed = String::new();
        while !printed.contains("stop with Ctrl-C") {
            assert_ne!(out.read_line(&mut printed).unwrap(), 0);
        }
        std::thread::spawn(move || std::io::copy(&mut out, &mut std::io::sink()));
        let running: Value = serde_json::from_slice(&std::fs::read(data_dir.join("running.json")).unwrap()).unwrap();
        let operator = running["operator_token"].as_str().unwrap().to_owned();
        let agent = ureq::Agent::config_builder().http_status_as_error(false).timeout_global(Some(Duration::from_secs(60))).build().into();
        Playground { process, agent, base, data_dir, operator }
    }

    fn post(&self, path: &str, token: &str, body: &[u8]) -> (u16, String) {
        let mut answer =
            self.agent.post(format!("{}{path}", self.base)).header("Authorization", format!("Bearer {token}")).send(body).unwrap();
        (answer.status().as_u16(), answer.body_mut().read_to_string().unwrap())
    }

    fn get(&self, path: &str, token: &str) -> (u16, String) {
        let mut answer = self.agent.get(format!("{}{path}", self.base)).header("Authorization", format!("Bearer {token}")).call().unwrap();
        (answer.status().as_u16(), answer.body_mut().read_to_string().unwrap())
    }

    fn token(&self) -> String {
        let form = format!("grant_type=client_credentials&client_id={APPLICATION}&client_secret={}", SECRET.replace(' ', "+"));
        let (status, body) = self.post("/t/oauth2/token", "", form.as_bytes());
        assert_eq!(status, 200, "{body}");
        serde_json::from_str::<Value>(&body).unwrap()["access_token"].as_str().unwrap().to_owned()
    }
}

#[cfg(unix)]
#[test]
fn serve_memory_keeps_nothing_moves_its_clock_and_is_emptied() {
    let mut site = Playground::start(&groups("recurrence = \"0 6 * * *\""));
    let (target, token) = (format!("/api/connector/enqueue/{IMPORT}"), site.token());
    let large = format!("ID,NAME,AMOUNT\n1,x,1\n{}", "2,y,1\n".repeat(60_000));
    for body in ["ID,NAME,AMOUNT\n1,x,1\n", &large] {
        let (status, text) = site.post(&target, &token, body.as_bytes());
        assert_eq!(status, 200, "{text}");
    }
    let messages = |site: &Playground| -> Value { serde_json::from_str(&site.get("/api/v1/messages", &site.operator).1).unwrap() };
    // The export job runs too, whatever the hour is when the test runs.
    let states = |site: &Playground| -> Vec<String> {
        let all = messages(site)["messages"].as_array().unwrap().clone();
        all.iter().filter(|message| message["direction"] == "import").map(|message| message["state"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(states(&site), ["queued", "queued"]);
    // A day later the schedule has fired, and nobody waited.
    let before: Value = serde_json::from_str(&site.get("/api/v1/clock", &site.operator).1).unwrap();
    let (status, after) = site.post("/api/v1/clock?advance=24h", &site.operator, b"");
    assert_eq!(status, 200);
    let after: Value = serde_json::from_str(&after).unwrap();
    assert!(after["now"].as_str().unwrap() > before["now"].as_str().unwrap(), "{before} {after}");
    assert_eq!(states(&site), ["processed", "processed"]);
    assert_eq!(site.get(&format!("/api/connector/jobstatus/{IMPORT}?jobId=x"), &token).0, 401, "its token is over as well");
    for bad in ["/api/v1/clock", "/api/v1/clock?advance=x", "/api/v1/clock?advance=99999d"] {
        assert_eq!(site.post(bad, &site.operator, b"").0, 400, "{bad}");
    }
    assert_eq!(site.post("/api/v1/reset", &site.token(), b"").0, 401, "operators only");
    assert_eq!(site.post("/api/v1/reset", &site.operator, b"").0, 204);
    assert_eq!(messages(&site)["messages"], json!([]));
    assert_eq!(std::fs::read_dir(site.data_dir.join("spool/large")).unwrap().count(), 0);
    let connection = rusqlite::Connection::open(site.data_dir.join("entities.db")).unwrap();
    let tables: u32 = connection.query_row("SELECT count(*) FROM sqlite_schema WHERE type = 'table'", [], |row| row.get(0)).unwrap();
    assert_eq!(tables, 0);
    drop(connection);
    // It goes on as if it had just begun.
    let (status, id) = site.post(&target, &site.token(), b"ID,NAME,AMOUNT\n7,x,1\n");
    assert_eq!(status, 200);
    site.post("/api/v1/clock?advance=24h", &site.operator, b"");
    let (_, status) = site.get(&format!("/api/connector/jobstatus/{IMPORT}?jobId={}", id.trim_matches('"')), &site.token());
    assert!(status.contains("\"DataJobState\":\"Processed\""), "{status}");
    // At its end nothing is left.
    assert!(site.data_dir.exists());
    Command::new("sh").args(["-c", &format!("kill -TERM {}", site.process.id())]).status().unwrap();
    assert!(site.process.wait().unwrap().success());
    assert!(!site.data_dir.exists());
}

#[test]
fn an_appliance_that_keeps_things_has_no_such_comforts() {
    let app = Appliance::start(&groups(""));
    for (method, path) in [("GET", "clock"), ("POST", "clock?advance=1h"), ("POST", "reset")] {
        let refused = app.operator(method, path).expect(404);
        assert!(refused.json()["hint"].as_str().unwrap().contains("--memory"));
    }
}

/// What became of a message, and what was found in it.
fn outcome(site: &Playground, id: &str) -> (String, String) {
    site.post("/api/v1/clock?advance=1s", &site.operator, b"");
    let message: Value = serde_json::from_str(&site.get(&format!("/api/v1/messages/{id}"), &site.operator).1).unwrap();
    let findings: Value = serde_json::from_str(&site.get(&format!("/api/v1/messages/{id}/findings"), &site.operator).1).unwrap();
    let told =
        findings["findings"].as_array().unwrap().iter().map(|finding| finding["message"].as_str().unwrap().to_owned()).collect::<Vec<_>>();
    (message["state"].as_str().unwrap().to_owned(), told.join("; "))
}

#[test]
fn serve_strict_refuses_what_d365_refuses_and_says_why() {
    use crate::packages::{PACKAGES, configuration, manifest, package};
    let unicode = groups("").replace(
        "entity = \"Customer groups\"\n\n[[project]]",
        "entity = \"Customer groups\"\nformat = { type = \"csv\", encoding = \"utf-16le\" }\n\n[[project]]",
    );
    assert_ne!(unicode, groups(""));
    let site = Playground::start_as(&unicode, &["--strict"]);
    let token = site.token();
    for (query, word) in
        [("", "wants an entity"), ("?entity=customer%20groups", "exact label"), ("?entity=CustCustomerGroupEntity", "exact label")]
    {
        let (status, text) = site.post(&format!("/api/connector/enqueue/{IMPORT}{query}"), &token, b"x");
        assert!(status == 400 && text.contains(word), "{query}: {text}");
    }
    let send = |bytes: &[u8]| {
        let (status, id) = site.post(&format!("/api/connector/enqueue/{IMPORT}?entity=Customer%20groups"), &token, bytes);
        assert_eq!(status, 200);
        outcome(&site, id.trim_matches('"'))
    };
    let wide = |text: &str| -> Vec<u8> { text.encode_utf16().flat_map(u16::to_le_bytes).collect() };
    let (state, told) = send(b"ID,NAME,AMOUNT\r\n1,x,1\r\n");
    assert!(state == "refused" && told.contains("not Unicode"), "{state} {told}");
    let (state, told) = send(&wide("\u{feff}ID,NAME,AMOUNT\n1,x,1\n"));
    assert!(state == "refused" && told.contains("LF alone"), "{state} {told}");
    assert_eq!(send(&wide("\u{feff}ID,NAME,AMOUNT\r\n1,x,1\r\n")).0, "processed");

    let site = Playground::start_as(&configuration(""), &["--strict"]);
    let token = site.token();
    let send = |manifest: &str| {
        let rows: &[u8] = b"NAME,DAYS\r\n1,1\r\n";
        let (status, id) =
            site.post(&format!("/api/connector/enqueue/{PACKAGES}"), &token, &package(manifest.as_bytes(), &[("t.csv", rows)]));
        assert_eq!(status, 200);
        outcome(&site, id.trim_matches('"'))
    };
    let map = "<EntityMapList><EntityMap><EntityField>NAME</EntityField><XMLField>NAME</XMLField></EntityMap></EntityMapList>";
    let ordered = manifest(&[]).replace("</PackageEntityList>", &format!("<DataManagementPackageEntityData>{map}<EntityName>Terms of payment</EntityName><InputFilePath>t.csv</InputFilePath></DataManagementPackageEntityData></PackageEntityList>"));
    assert_eq!(send(&ordered).0, "processed", "{ordered}");
    for (manifest, word) in [
        (manifest(&[("Terms of payment", "t.csv", 1, map)]), "alphabetical order"),
        (ordered.replace(map, ""), "no EntityMapList"),
        (ordered.replace("dynamics/2015/01", "dynamics/2016/01"), "namespace"),
    ] {
        let (state, told) = send(&manifest);
        assert!(state == "refused" && told.contains(word), "{word}: {state} {told}");
    }
}

#[test]
fn a_fault_moves_the_clock_where_it_can_be_moved() {
    let site =
        Playground::start(&format!("{}\n[[fault]]\non = \"dequeue\"\neffect = \"clock\"\nadvance = \"2h\"\ntimes = 1\n", groups("")));
    let now = || serde_json::from_str::<Value>(&site.get("/api/v1/clock", &site.operator).1).unwrap()["now"].as_str().unwrap().to_owned();
    let (token, before) = (site.token(), now());
    // Its token, of an hour, is over with that: the fault comes before the token is looked at by its handler.
    assert_eq!(site.get(&format!("/api/connector/dequeue/{EXPORT}"), &token).0, 401);
    let passed = chrono::DateTime::parse_from_rfc3339(&now()).unwrap() - chrono::DateTime::parse_from_rfc3339(&before).unwrap();
    assert!((7_200..7_260).contains(&passed.num_seconds()), "{passed}");
    assert_eq!(site.get(&format!("/api/connector/dequeue/{EXPORT}"), &site.token()).0, 204);
}
