//! CONTRACT, row by row: what the clients send, byte for byte as far as it matters, over a plain socket. Each test names its section.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use serde_json::{Value, json};

use crate::appliance::{APPLICATION, Answer, Appliance, EXPORT, IMPORT, groups};
use crate::packages::{PACKAGES, both, configuration};
use crate::pages::{PASSWORD, Person};

const MINUTE: Duration = Duration::from_secs(60);
const DOCUMENT: &str = "ID,NAME,AMOUNT\r\n10,Retail,1.50\r\n";

/// Sends these bytes and reads the answer; `Connection: close` is among them.
pub fn raw(app: &Appliance, head: &[&str], body: &[u8]) -> Answer {
    let mut stream = TcpStream::connect(app.base.strip_prefix("http://").unwrap()).unwrap();
    let mut bytes = head.join("\r\n").into_bytes();
    bytes.extend_from_slice(b"\r\nConnection: close\r\n\r\n");
    bytes.extend_from_slice(body);
    stream.write_all(&bytes).unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).unwrap();
    let at = answer.windows(4).position(|window| window == b"\r\n\r\n").unwrap_or_else(|| panic!("{}", String::from_utf8_lossy(&answer)));
    let text = String::from_utf8(answer[..at].to_vec()).unwrap();
    let mut lines = text.lines();
    let status = lines.next().unwrap();
    let headers = lines.map(|line| line.split_once(": ").unwrap()).map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
    Answer { status: status.split(' ').nth(1).unwrap().parse().unwrap(), headers, body: answer[at + 4..].to_vec() }
}

pub fn bearer(app: &Appliance) -> String {
    format!("Authorization: Bearer {}", app.token)
}

pub fn length(body: &str) -> String {
    format!("Content-Length: {}", body.len())
}

/// Rows in, an export run: a message that waits.
pub fn exported(app: &mut Appliance, rounds: usize) {
    for number in 0..rounds {
        app.enqueue(format!("ID,NAME,AMOUNT\r\n{number},x,1\r\n").as_bytes(), None);
        app.settle();
        app.operator("POST", &format!("jobs/{EXPORT}/run")).expect(200);
        app.settle();
    }
}

pub fn dequeue(app: &Appliance) -> Option<Value> {
    let answer = app.get(&format!("/api/connector/dequeue/{EXPORT}"));
    match answer.status {
        204 => {
            assert!(answer.body.is_empty());
            None
        }
        200 => Some(answer.json()),
        other => panic!("{other}: {}", answer.text()),
    }
}

#[test]
fn section_1_0_prefixes_case_and_braces_reach_the_same_job() {
    let app = Appliance::start(&groups(""));
    let (upper, lower) = (EXPORT.to_uppercase(), EXPORT.to_lowercase());
    for path in [
        format!("/api/connector/dequeue/%7B{upper}%7D"),
        format!("/api/connector/dequeue/%7b{lower}%7d"),
        format!("/api/connector/dequeue/{{{upper}}}"),
        format!("/api/connector/dequeue/{lower}"),
        format!("/en/api/connector/dequeue/{upper}"),
        format!("/en-US/api/connector/dequeue/{upper}"),
        format!("/namespaces/AXSF/api/connector/dequeue/{upper}"),
        format!("/namespaces/6d31e09f-0249-459f-94f0-aad9c2c47b64/api/connector/dequeue/{upper}"),
        format!("/API/CONNECTOR/DEQUEUE/{upper}"),
        format!("//api//connector/dequeue/{upper}/"),
    ] {
        raw(&app, &[&format!("GET {path} HTTP/1.1"), "Host: exchange.test", &bearer(&app)], b"").expect(204);
    }
    for prefix in ["", "/namespaces/AXSF", "/namespaces/axsf"] {
        let path = format!("{prefix}/data/DataManagementDefinitionGroups/Microsoft.Dynamics.DataEntities.InitializeDataManagement");
        raw(&app, &[&format!("POST {path} HTTP/1.1"), "Host: x", &bearer(&app), "Content-Length: 2"], b"{}").expect(204);
    }
}

#[test]
fn section_1_0_never_a_redirect_and_an_unknown_caller_is_challenged() {
    let app = Appliance::start(&groups(""));
    for path in
        [format!("/api/connector/dequeue/{EXPORT}"), "/data/LegalEntities".to_owned(), format!("/api/connector/jobstatus/{IMPORT}?jobId=x")]
    {
        let answer = raw(&app, &[&format!("GET {path} HTTP/1.1"), "Host: x"], b"").expect(401);
        assert!(answer.header("WWW-Authenticate").unwrap().starts_with("Bearer"));
        assert!(answer.header("Location").is_none());
    }
}

#[test]
fn section_1_0_headers_that_clients_send_and_nobody_needs_are_no_obstacle() {
    let mut app = Appliance::start(&groups(""));
    exported(&mut app, 1);
    // The scheduler's own doubled value after a retry, a host without its port, headers of the storage and OData clients.
    let answer = raw(
        &app,
        &[
            &format!("GET /api/connector/dequeue/{EXPORT} HTTP/1.1"),
            "Host: exchange",
            &bearer(&app),
            "Accept: application/json",
            "Accept-Encoding: gzip, deflate, gzip, deflate",
            "OData-Version: 4.0",
            "OData-MaxVersion: 4.0",
            "Accept-Charset: UTF-8",
            "User-Agent: Microsoft ADO.NET Data Services",
            "x-ms-client-request-id: 1",
        ],
        b"",
    )
    .expect(200);
    assert!(answer.header("Content-Encoding").is_none());
    // URLs come from public_url, never from the Host of the request.
    assert!(answer.json()["DownloadLocation"].as_str().unwrap().starts_with("http://exchange.test/api/connector/download/"));
}

#[test]
fn section_1_1_enqueue_as_the_scheduler_the_sample_and_power_shell_send_it() {
    let mut app = Appliance::start(&groups("company = \"message\""));
    let send = |line: &str, more: &[&str], body: &[u8]| {
        let (line, host, bearer) = (format!("POST {line} HTTP/1.1"), "Host: exchange.test", bearer(&app));
        let head: Vec<&str> = [line.as_str(), host, bearer.as_str()].into_iter().chain(more.iter().copied()).collect();
        raw(&app, &head, body).expect(200)
    };
    let size = length(DOCUMENT);
    let body = DOCUMENT.as_bytes();
    let mut ids = Vec::new();
    for (line, more) in [
        // RIS: company first, blanks as plus, no Content-Type, the file's name as external identifier.
        (
            format!("/api/connector/enqueue/{}?company=USMF&entity=Customer+groups", IMPORT.to_lowercase()),
            vec!["x-ms-dyn-externalidentifier: groups 1.csv", "Accept-Encoding: gzip, deflate"],
        ),
        // AXI: entity first, blanks as %20, company after it.
        (
            format!("/en/api/connector/enqueue/%7B{IMPORT}%7D?entity=Customer%20groups&company=USMF"),
            vec!["x-ms-dyn-externalidentifier: groups 2.csv"],
        ),
        // PowerShell and others: a Content-Type of their own.
        (format!("/api/connector/enqueue/%7B{IMPORT}%7D?entity=Customer+groups"), vec!["Content-Type: application/zip"]),
        (format!("/api/connector/enqueue/{IMPORT}?entity=Customer%20groups"), vec!["Content-Type: application/octet-stream"]),
        (format!("/api/connector/enqueue/{IMPORT}?entity=Customer%20groups"), vec!["Content-Type: ;;nonsense"]),
        (format!("/api/connector/enqueue/{IMPORT}?entity=Customer%20groups"), vec!["Expect: 100-continue"]),
    ] {
        let mut more = more;
        more.push(&size);
        let answer = send(&line, &more, body);
        // The provisional answer of Expect comes before the real one.
        let text = answer.text();
        let value = text.rsplit("\r\n\r\n").next().unwrap().trim();
        assert!(value.len() == 38 && value.starts_with('"') && value.ends_with('"'), "a bare JSON string: {text}");
        ids.push(value.trim_matches('"').to_owned());
    }
    let chunked = format!("{:x}\r\n{DOCUMENT}\r\n0\r\n\r\n", DOCUMENT.len());
    let answer =
        send(&format!("/api/connector/enqueue/{IMPORT}?entity=Customer%20groups"), &["Transfer-Encoding: chunked"], chunked.as_bytes());
    ids.push(answer.json().as_str().unwrap().to_owned());
    app.settle();
    for id in &ids {
        assert_eq!(app.message(id)["state"], "processed");
    }
    assert_eq!((&app.message(&ids[0])["company"], &app.message(&ids[0])["external_id"]), (&json!("USMF"), &json!("groups 1.csv")));
    assert_eq!((&app.message(&ids[1])["company"], &app.message(&ids[2])["company"]), (&json!("USMF"), &Value::Null));
}

#[test]
fn section_1_1_a_package_comes_with_an_entity_a_blank_one_or_none() {
    let mut app = Appliance::start(&configuration(""));
    for (number, query) in ["", "?entity=", "?entity=Customer+groups", "?company=USMF&entity=", "?company=USMF"].iter().enumerate() {
        let package = both(format!("NAME,DAYS\r\n{number},1\r\n").as_bytes(), b"ID,NAME,TERMS\r\n");
        let id = app.post(&format!("/api/connector/enqueue/{PACKAGES}{query}"), &package).expect(200).json();
        app.settle();
        assert_eq!(app.message(id.as_str().unwrap())["state"], "processed", "{query}");
    }
    assert_eq!(app.sql("SELECT count(*) FROM terms"), ["5"]);
}

#[test]
fn section_1_1_a_retry_after_a_lost_answer_is_no_second_message() {
    let mut app = Appliance::start(&groups(""));
    let send = || app.enqueue(DOCUMENT.as_bytes(), Some("groups.csv"));
    assert_eq!(send(), send());
    app.settle();
    assert_eq!(app.operator("GET", "messages").expect(200).json()["messages"].as_array().unwrap().len(), 1);
}

#[test]
fn section_1_1_a_refusal_has_its_reason_in_status_line_and_body() {
    let app = Appliance::start(&groups(""));
    let mut stream = TcpStream::connect(app.base.strip_prefix("http://").unwrap()).unwrap();
    let head = format!(
        "POST /api/connector/enqueue/{IMPORT}?entity=Vendors HTTP/1.1\r\nHost: x\r\n{}\r\nContent-Length: 1\r\nConnection: close\r\n\r\nx",
        bearer(&app)
    );
    stream.write_all(head.as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 400 the job Groups in has no entity Vendors\r\n"), "{answer}");
    assert!(answer.contains("\"detail\":\"the job Groups in has no entity Vendors\"") && answer.contains("\"hint\""), "{answer}");
}

/// Every state that a message can be in, by the moves that lead there.
fn each_state(app: &mut Appliance) -> Vec<(&'static str, &'static str, &'static str, String)> {
    let mut found = Vec::new();
    let enqueue = |app: &Appliance, text: &str| app.enqueue(text.as_bytes(), None);
    let run = |app: &mut Appliance| {
        app.operator("POST", &format!("jobs/{IMPORT}/run")).expect(200);
        app.settle();
    };
    let cancelled = enqueue(app, "ID,NAME,AMOUNT\n0,x,1\n");
    app.operator("POST", &format!("messages/{cancelled}/cancel")).expect(200);
    let processed = enqueue(app, "ID,NAME,AMOUNT\n1,x,1\n");
    let partly = enqueue(app, "ID,NAME,AMOUNT\n2,x,1\n3,x,bad\n");
    let refused = enqueue(app, "ID,NAME,AMOUNT\n4,x,bad\n");
    run(app);
    found.push(("Processed", "Processed", "Succeeded", processed));
    found.push(("ProcessedWithErrors", "ProcessedWithErrors", "PartiallySucceeded", partly));
    found.push(("PreProcessError", "PreProcessingError", "Failed", refused));
    found.push(("PreProcessError", "PreProcessingError", "Canceled", cancelled));
    // A payload that is damaged on our own disk is no fault of the document.
    let failed = enqueue(app, &format!("ID,NAME,AMOUNT\n5,x,1\n{}", "#".repeat(300_000)));
    std::fs::write(app.dir.path().join("data/spool/large").join(&failed), b"damaged").unwrap();
    run(app);
    found.push(("PostProcessError", "PostProcessingFailed", "Failed", failed));
    found.push(("Enqueued", "Enqueued", "NotRun", enqueue(app, "ID,NAME,AMOUNT\n6,x,1\n")));
    found
}

pub fn no_nulls(value: &Value) -> bool {
    match value {
        Value::Null => false,
        Value::Array(list) => list.iter().all(no_nulls),
        Value::Object(object) => object.values().all(no_nulls),
        _ => true,
    }
}

#[test]
fn sections_1_2_and_2_every_state_of_an_import_in_the_spelling_of_each_vocabulary() {
    let mut app = Appliance::start(&groups("recurrence = \"on demand\""));
    for (job_state, message_state, summary, id) in each_state(&mut app) {
        for query in
            [format!("jobId={id}"), format!("jobid={id}"), format!("JOBID=%22{id}%22"), format!("jobId=%7B{}%7D", id.to_uppercase())]
        {
            let status = app.get(&format!("/api/connector/jobstatus/{IMPORT}?{query}")).expect(200).json();
            assert_eq!(status["DataJobStatus"]["DataJobState"], job_state, "{query}");
            assert!(no_nulls(&status), "a null makes the vendor's client throw: {status}");
        }
        let lax = format!("{{'messageId':'{id}'}}");
        let action = |name: &str, body: &str| {
            app.post(&format!("/data/DataManagementDefinitionGroups/Microsoft.Dynamics.DataEntities.{name}"), body.as_bytes())
                .expect(200)
                .json()
        };
        assert_eq!(action("GetMessageStatus", &lax)["value"], message_state);
        // The scheduler passes the id with the quotes that it came in.
        let quoted = format!("{{\"executionId\":\"\\\"{id}\\\"\"}}");
        assert_eq!(action("GetExecutionSummaryStatus", &quoted)["value"], summary, "{message_state}");
        assert!(action("GetExecutionErrors", &quoted)["value"].as_str().unwrap().starts_with('['));
    }
    app.get(&format!("/api/connector/jobstatus/{IMPORT}")).expect(400);
    app.get(&format!("/api/connector/jobstatus/{IMPORT}?jobId=00000000-0000-0000-0000-000000000000")).expect(404);
}

#[test]
fn sections_1_2_and_2_every_state_of_an_export_in_the_spelling_of_each_vocabulary() {
    let mut app = Appliance::start(&groups(""));
    exported(&mut app, 1);
    let list = app.operator("GET", &format!("messages?job={EXPORT}")).expect(200).json();
    let id = list["messages"][0]["id"].as_str().unwrap().to_owned();
    let told = |app: &Appliance, expected: &str| {
        let status = app.get(&format!("/api/connector/jobstatus/{EXPORT}?jobId={id}")).expect(200).json();
        assert_eq!(status["DataJobStatus"]["DataJobState"], expected);
        assert!(no_nulls(&status));
        assert_eq!(app.value("GetMessageStatus", &json!({ "messageId": id })), expected);
    };
    told(&app, "Enqueued");
    let got = dequeue(&app).unwrap();
    told(&app, "Dequeued");
    app.get(got["DownloadLocation"].as_str().unwrap().strip_prefix("http://exchange.test").unwrap()).expect(200);
    told(&app, "Downloaded");
    app.post(&format!("/api/connector/ack/{EXPORT}"), got.to_string().as_bytes()).expect(200);
    told(&app, "Acked");
}

#[test]
fn section_1_3_a_loop_that_dequeues_everything_first_ends_and_its_leases_outlast_the_downloads() {
    let mut app = Appliance::start(&groups(""));
    exported(&mut app, 5);
    let mut batch = Vec::new();
    while let Some(message) = dequeue(&app) {
        batch.push(message);
        assert!(batch.len() <= 5, "each dequeue hides its message");
    }
    assert_eq!(batch.len(), 5);
    for message in &batch {
        let object = message.as_object().unwrap();
        assert!(object["CorrelationId"].is_string() && object["PopReceipt"].is_string() && object["DownloadLocation"].is_string());
        assert_eq!((&object["IsDownLoadFileExist"], &object["FileDownLoadErrorMessage"]), (&json!(true), &json!("")));
        // A minute for each download, and the first is acked last.
        app.advance(5 * MINUTE);
        app.get(message["DownloadLocation"].as_str().unwrap().strip_prefix("http://exchange.test").unwrap()).expect(200);
    }
    for message in batch.iter().rev() {
        app.post(&format!("/api/connector/ack/{EXPORT}"), message.to_string().as_bytes()).expect(200);
    }
    assert!(dequeue(&app).is_none());
}

#[test]
fn section_1_3_nothing_is_handed_out_that_has_no_file() {
    let mut app = Appliance::start(&groups(""));
    // No rows, and the job prevents empty uploads: no message, not one without a DownloadLocation.
    app.operator("POST", &format!("jobs/{EXPORT}/run")).expect(200);
    app.settle();
    assert!(dequeue(&app).is_none());
}

#[test]
fn section_1_4_the_download_location_works_as_it_is_and_rewritten_by_each_client() {
    let mut app = Appliance::start(&groups(""));
    exported(&mut app, 1);
    let message = dequeue(&app).unwrap();
    let location = message["DownloadLocation"].as_str().unwrap().strip_prefix("http://exchange.test").unwrap().to_owned();
    assert!(location.contains("/%7B") && location.contains("%7D?correlation-id=") && location.contains("&blob="));
    let plain = location.replace("%7B", "").replace("%7D", "").to_lowercase();
    for path in [&location, &plain, &format!("/namespaces/AXSF{location}")] {
        let answer = app.get(path).expect(200);
        assert!(answer.body.starts_with(b"PK"));
        assert_eq!(answer.header("Content-Type"), Some("application/zip"));
    }
    app.send("GET", &location, &[], b"").expect(401);
}

#[test]
fn section_1_5_ack_by_receipt_alone_again_and_again() {
    let mut app = Appliance::start(&groups(""));
    exported(&mut app, 4);
    let ack = |app: &Appliance, headers: &[&str], body: &str| {
        let (line, bearer, size) = (format!("POST /api/connector/ack/{EXPORT} HTTP/1.1"), bearer(app), length(body));
        let head: Vec<&str> = [line.as_str(), "Host: exchange.test", &bearer, &size].into_iter().chain(headers.iter().copied()).collect();
        raw(app, &head, body.as_bytes())
    };
    let first = dequeue(&app).unwrap();
    // RIS: three members, the location rewritten to https without its port.
    let three = json!({ "CorrelationId": first["CorrelationId"], "PopReceipt": first["PopReceipt"], "DownloadLocation": "https://exchange.test/api/connector/download/x" });
    for _ in 0..3 {
        ack(&app, &["Content-Type: application/json; charset=utf-8", "Accept: application/json"], &three.to_string()).expect(200);
    }
    // PowerShell, Power Automate: the whole answer, echoed.
    let second = dequeue(&app).unwrap();
    ack(&app, &["Content-Type: application/json"], &second.to_string()).expect(200);
    // No Content-Type, two members, more members, a byte order mark, other case.
    let third = dequeue(&app).unwrap();
    let odd = format!(
        "\u{feff}{{\"popReceipt\":{},\"correlationid\":\"{{{}}}\",\"x\":[1]}}",
        third["PopReceipt"],
        third["CorrelationId"].as_str().unwrap().to_uppercase()
    );
    ack(&app, &[], &odd).expect(200);
    let fourth = dequeue(&app).unwrap();
    let mut wrong = fourth.clone();
    wrong["PopReceipt"] = json!("AgAAAAMAAAAAAAAA3XpSEQ0b1QE=");
    ack(&app, &[], &wrong.to_string()).expect(409);
    ack(&app, &[], &fourth.to_string()).expect(200);
    assert!(dequeue(&app).is_none());
}

#[test]
fn section_1_6_values_are_flat_and_bodies_lax() {
    let app = Appliance::start(&groups(""));
    let action = |name: &str, headers: &[&str], body: &str| {
        let (line, bearer, size) = (
            format!("POST /data/DataManagementDefinitionGroups/Microsoft.Dynamics.DataEntities.{name} HTTP/1.1"),
            bearer(&app),
            length(body),
        );
        let head: Vec<&str> = [line.as_str(), "Host: exchange.test", &bearer, &size].into_iter().chain(headers.iter().copied()).collect();
        raw(&app, &head, body.as_bytes())
    };
    // Microsoft.OData.Client, with Expect; the scheduler; PowerShell's single quotes.
    let odata = [
        "OData-Version: 4.0",
        "OData-MaxVersion: 4.0",
        "Accept: application/json;odata.metadata=minimal",
        "Content-Type: application/json;odata.metadata=minimal",
    ];
    for (headers, body) in [
        (&odata[..], "{\"uniqueFileName\":\"00000000-0000-0000-0000-000000000000\"}"),
        (&["Accept: application/json", "Content-Type: application/json; charset=utf-8"][..], "{\"uniqueFileName\":\"a\"}"),
        (&["Content-Type: application/json"][..], "{'uniqueFileName':'a b'}"),
        (&[][..], ""),
    ] {
        let answer = action("GetAzureWriteUrl", headers, body).expect(200).json();
        assert_eq!(answer["@odata.context"], "http://exchange.test/data/$metadata#Edm.String");
        let inner: Value = serde_json::from_str(answer["value"].as_str().unwrap()).unwrap();
        assert!(inner["BlobUrl"].as_str().unwrap().starts_with("http://exchange.test/dmf/"));
    }
    assert_eq!(action("getazurewriteurl", &[], "[]").expect(400).json()["error"]["message"], "An error has occurred.");
    let message = json!({ "_messageId": app.enqueue(b"ID,NAME,AMOUNT\n", None) });
    app.operator("POST", &format!("jobs/{IMPORT}/pause")).expect(200);
    let unclaimed = app.enqueue(b"ID,NAME,AMOUNT\n9,x,1\n", None);
    assert!(app.value("GetExecutionIdByMessageId", &message).is_string());
    assert_eq!(app.value("GetExecutionIdByMessageId", &json!({ "_messageId": unclaimed })), "00000000-0000-0000-0000-000000000000");
}

#[test]
fn section_1_8_throttling_names_whole_seconds_and_lets_everybody_through_in_the_end() {
    let configuration = format!("[limits]\nrequests_per_minute = 30\n\n{}", groups(""));
    let mut app = Appliance::start(&configuration);
    let mut refused = None;
    for _ in 0..40 {
        let answer = app.get(&format!("/api/connector/dequeue/{EXPORT}"));
        if answer.status == 429 {
            refused = Some(answer);
            break;
        }
        assert_eq!(answer.status, 204);
    }
    let refused = refused.expect("the thirty-first request of a minute");
    let wait: u64 = refused.header("Retry-After").unwrap().parse().expect("whole seconds, never a date: a client parses an integer");
    assert!((1..=60).contains(&wait));
    app.advance(Duration::from_secs(wait));
    app.get(&format!("/api/connector/dequeue/{EXPORT}")).expect(204);
}

#[test]
fn section_3_tokens_of_both_versions_in_the_forms_that_clients_send() {
    let app = Appliance::start(&groups(""));
    let ask = |path: &str, form: String| ask(&app, path, &form).expect(200).json();
    let secret = "a+secret+for+tests";
    for tenant in ["contoso.com", "6d31e09f-0249-459f-94f0-aad9c2c47b64", "common", "adfs"] {
        for audience in ["http%3A%2F%2Fexchange.test", "http%3A%2F%2Fexchange.test%2F"] {
            // adal and PowerShell: v1, members in any order, some that nobody knows.
            let one = ask(
                &format!("/{tenant}/oauth2/token"),
                format!(
                    "client_secret={secret}&x-client-SKU=PCL.NET&resource={audience}&client_id={APPLICATION}&grant_type=client_credentials&client_info=1"
                ),
            );
            assert!(
                one["expires_in"].is_string()
                    && one["expires_on"].is_string()
                    && one["not_before"].is_string()
                    && one["ext_expires_in"].is_string(),
                "{one}"
            );
            assert_eq!(one["token_type"], "Bearer");
            assert!(one["resource"].as_str().unwrap().starts_with("http://exchange.test"));
            let two = ask(
                &format!("/{tenant}/oauth2/v2.0/token"),
                format!(
                    "grant_type=client_credentials&client_id={APPLICATION}&client_secret={secret}&scope={audience}%2F.default&client-request-id=1"
                ),
            );
            assert!(two["expires_in"].is_u64() && two["ext_expires_in"].is_u64(), "{two}");
            for token in [&one["access_token"], &two["access_token"]] {
                let header = format!("Bearer {}", token.as_str().unwrap());
                app.send("GET", &format!("/api/connector/dequeue/{EXPORT}"), &[("Authorization", &header)], b"").expect(204);
            }
        }
        for (path, version) in [
            (format!("/{tenant}/.well-known/openid-configuration"), "v1"),
            (format!("/{tenant}/v2.0/.well-known/openid-configuration"), "v2"),
        ] {
            let document = app.send("GET", &path, &[], b"").expect(200).json();
            for member in ["issuer", "authorization_endpoint", "token_endpoint", "jwks_uri"] {
                assert!(document[member].as_str().unwrap().starts_with("http://exchange.test/"), "{version} {member}");
            }
        }
    }
    for version in ["1.0", "1.1"] {
        let path = format!(
            "/common/discovery/instance?api-version={version}&authorization_endpoint=https%3A%2F%2Fexchange.test%2Fcontoso.com%2Foauth2%2Fv2.0%2Fauthorize"
        );
        let document = app.send("GET", &path, &[], b"").expect(200).json();
        assert!(document["tenant_discovery_endpoint"].as_str().unwrap().starts_with("http://exchange.test/contoso.com/"));
    }
}

/// An application without a secret, for which kim may sign in.
pub const DESK: &str = "7f4c1b0e-2a57-4d7c-9f0a-5f1b6a0c9b99";

pub fn with_desk() -> String {
    let desk = format!("\n[[application]]\nid = \"{DESK}\"\nname = \"Desk\"\nusers = [\"Kim\"]\n");
    groups("").replace("applications = [\"Tests\"]", "applications = [\"Tests\", \"Desk\"]") + &desk
}

pub fn ask(app: &Appliance, path: &str, form: &str) -> Answer {
    app.send("POST", path, &[("Content-Type", "application/x-www-form-urlencoded")], form.as_bytes())
}

pub fn opens(app: &Appliance, answer: &Value) {
    let header = format!("Bearer {}", answer["access_token"].as_str().unwrap_or_else(|| panic!("{answer}")));
    app.send("GET", &format!("/api/connector/dequeue/{EXPORT}"), &[("Authorization", &header)], b"").expect(204);
}

#[test]
fn section_3_a_person_signs_in_by_password_and_again_by_refresh_token() {
    let mut app = Appliance::start(&with_desk());
    Person::signed_in(&app);
    // ADAL asks first where the person belongs, and must not learn who exists.
    let realm = |name: &str| app.send("GET", &format!("/common/UserRealm/{name}?api-version=1.0"), &[], b"").expect(200).json();
    assert_eq!(realm("kim")["account_type"], "Managed");
    assert_eq!(realm("kim"), realm("nobody"));
    let password = PASSWORD.replace(' ', "+");
    let by_password = format!("grant_type=password&client_id={DESK}&username=kim&password={password}&scope=openid");
    let one = ask(&app, "/contoso.com/oauth2/token", &format!("{by_password}&resource=http%3A%2F%2Fexchange.test")).expect(200).json();
    opens(&app, &one);
    assert_eq!((&one["scope"], &one["resource"]), (&json!("user_impersonation"), &json!("http://exchange.test")));
    let refresh = format!(
        "client_id={DESK}&grant_type=refresh_token&resource=http%3A%2F%2Fexchange.test&refresh_token={}",
        one["refresh_token"].as_str().unwrap()
    );
    opens(&app, &ask(&app, "/contoso.com/oauth2/token", &refresh).expect(200).json());
    // A restart ends nothing; a removed user ends everything.
    app.kill_and_restart();
    opens(&app, &ask(&app, "/contoso.com/oauth2/v2.0/token", &refresh).expect(200).json());
    app.operator("POST", "users/kim/remove").expect(200);
    assert_eq!(ask(&app, "/contoso.com/oauth2/token", &refresh).expect(400).json()["error"], "invalid_grant");
    assert_eq!(ask(&app, "/contoso.com/oauth2/token", &by_password).expect(400).json()["error"], "invalid_grant");
}

#[test]
fn section_3_wrong_passwords_are_slowed_and_an_application_without_people_takes_none() {
    let app = Appliance::start(&with_desk());
    Person::signed_in(&app);
    let form = |client: &str, name: &str| format!("grant_type=password&client_id={client}&username={name}&password=wrong");
    let refused = ask(&app, "/common/oauth2/token", &form(APPLICATION, "kim")).expect(400).json();
    assert_eq!(refused["error"], "unauthorized_client");
    let statuses: Vec<u16> = (0..8).map(|_| ask(&app, "/common/oauth2/token", &form(DESK, "kim")).status).collect();
    assert_eq!((statuses[0], *statuses.last().unwrap()), (400, 429), "{statuses:?}");
}

#[test]
fn section_3_a_program_shows_a_code_and_its_person_enters_it() {
    let mut app = Appliance::start(&with_desk());
    let kim = Person::signed_in(&app);
    for (codes, token, grant, code, address) in [
        ("/contoso.com/oauth2/devicecode", "/contoso.com/oauth2/token", "device_code", "code", "verification_url"),
        (
            "/contoso.com/oauth2/v2.0/devicecode",
            "/contoso.com/oauth2/v2.0/token",
            "urn:ietf:params:oauth:grant-type:device_code",
            "device_code",
            "verification_uri",
        ),
    ] {
        let given = ask(&app, codes, &format!("client_id={DESK}&resource=http%3A%2F%2Fexchange.test")).expect(200).json();
        assert_eq!(given[address], "http://exchange.test/device");
        let user_code = given["user_code"].as_str().unwrap();
        assert!(given["message"].as_str().unwrap().contains(user_code));
        let form = format!("grant_type={grant}&client_id={DESK}&{code}={}", given["device_code"].as_str().unwrap());
        assert_eq!(ask(&app, token, &form).expect(400).json()["error"], "authorization_pending");
        // Who is not signed in is asked to.
        let unsigned = app.send("GET", "/device", &[], b"").expect(303);
        assert_eq!(unsigned.header("Location"), Some("/sign-in?next=%2Fdevice"));
        assert!(kim.get(&app, "/device").expect(200).text().contains("Enter it here only if"));
        let shown = kim.post_form(&app, "/device", &format!("&code={}", user_code.to_lowercase())).expect(200).text();
        assert!(shown.contains("Desk") && shown.contains("Allow it"), "{shown}");
        assert_eq!(ask(&app, token, &form).expect(400).json()["error"], "authorization_pending", "looking decides nothing");
        kim.post_form(&app, "/device", &format!("&code={user_code}&answer=allow")).expect(200);
        let token_answer = ask(&app, token, &form).expect(200).json();
        opens(&app, &token_answer);
        assert_eq!(ask(&app, token, &form).expect(400).json()["error"], "expired_token");
        kim.post_form(&app, "/device", &format!("&code={user_code}&answer=allow")).expect(400);
    }
    let given = ask(&app, "/common/oauth2/devicecode", &format!("client_id={DESK}")).expect(200).json();
    let form = format!("grant_type=device_code&client_id={DESK}&code={}", given["device_code"].as_str().unwrap());
    kim.post_form(&app, "/device", &format!("&code={}&answer=refuse", given["user_code"].as_str().unwrap())).expect(200);
    assert_eq!(ask(&app, "/common/oauth2/token", &form).expect(400).json()["error"], "authorization_declined");
    let given = ask(&app, "/common/oauth2/devicecode", &format!("client_id={DESK}")).expect(200).json();
    app.advance(15 * MINUTE);
    kim.post_form(&app, "/device", &format!("&code={}", given["user_code"].as_str().unwrap())).expect(400);
    assert_eq!(
        ask(&app, "/common/oauth2/devicecode", &format!("client_id={APPLICATION}")).expect(400).json()["error"],
        "unauthorized_client"
    );
}

#[test]
fn section_8_the_whole_of_a_scheduler_s_day() {
    // Each line of the must-hold list has its own test above and in `package_api.rs`, `packages.rs`, `clients.rs`; here they meet in one journey.
    let mut app = Appliance::start(&groups(""));
    let id = raw(
        &app,
        &[
            &format!("POST /api/connector/enqueue/{}?entity=Customer+groups HTTP/1.1", IMPORT.to_lowercase()),
            "Host: exchange.test",
            &bearer(&app),
            "x-ms-dyn-externalidentifier: groups.csv",
            "Accept-Encoding: gzip, deflate",
            &length(DOCUMENT),
        ],
        DOCUMENT.as_bytes(),
    )
    .expect(200)
    .text();
    app.settle();
    let status = app.get(&format!("/api/connector/jobstatus/{IMPORT}?jobId={}", id.replace('"', ""))).expect(200).json();
    assert_eq!(status["DataJobStatus"]["DataJobState"], "Processed");
    assert_eq!(status["DataJobStatus"]["ExternalIdentifier"], "groups.csv");
    app.operator("POST", &format!("jobs/{EXPORT}/run")).expect(200);
    app.settle();
    let message = dequeue(&app).unwrap();
    assert!(dequeue(&app).is_none());
    app.get(message["DownloadLocation"].as_str().unwrap().strip_prefix("http://exchange.test").unwrap()).expect(200);
    app.post(&format!("/api/connector/ack/{EXPORT}"), message.to_string().as_bytes()).expect(200);
    app.post(&format!("/api/connector/ack/{EXPORT}"), message.to_string().as_bytes()).expect(200);
}
