//! CONTRACT §1.0 to §1.5, §2, §3 and §8, row by row and named after them, where `wire.rs` does not hold the row already: what each client sends, and what it reads.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use serde_json::{Value, json};

use crate::appliance::{APPLICATION, Answer, Appliance, EXPORT, IMPORT, groups};
use crate::package_api::{EXPORT_JOB, GROUPS, TERMS, path, put, start, status, write_url};
use crate::packages::{PACKAGES, both, configuration, enqueue, package};
use crate::wire::{ask, bearer, dequeue, exported, length, no_nulls, opens, raw};

const DOCUMENT: &str = "ID,NAME,AMOUNT\r\n10,Retail,1.50\r\n";

fn post(app: &Appliance, target: &str, more: &[&str], body: &[u8]) -> Answer {
    let (line, bearer) = (format!("POST {target} HTTP/1.1"), bearer(app));
    let head: Vec<&str> = [line.as_str(), "Host: exchange.test", &bearer].into_iter().chain(more.iter().copied()).collect();
    raw(app, &head, body)
}

#[test]
fn section_1_0_query_names_in_any_case_and_blanks_in_both_encodings() {
    let app = Appliance::start(&groups("company = \"message\""));
    for (number, query) in
        ["entity=Customer+groups&company=USMF", "ENTITY=Customer%20groups&Company=USMF", "company=USMF&Entity=CustCustomerGroupEntity"]
            .into_iter()
            .enumerate()
    {
        let body = DOCUMENT.replace("10", &number.to_string());
        let target = format!("/api/connector/enqueue/{IMPORT}?{query}");
        let id: String = serde_json::from_slice(&post(&app, &target, &[&length(&body)], body.as_bytes()).expect(200).body).unwrap();
        assert_eq!((&app.message(&id)["company"], &app.message(&id)["entity"]), (&json!("USMF"), &json!("Customer groups")));
    }
}

#[test]
fn section_1_0_a_request_for_much_work_is_answered_at_once() {
    // The job is paused: nothing runs, and the client has its answer all the same, and an execution that is known.
    let app = start();
    app.operator("POST", &format!("jobs/{PACKAGES}/pause")).expect(200);
    let url = write_url(&app, "a");
    put(&app, &url, &both(TERMS, GROUPS)).expect(201);
    let body = json!({ "packageUrl": url, "definitionGroupId": "Set-up", "executionId": "E", "execute": true, "overwrite": true, "legalEntityId": "" });
    assert_eq!(app.value("ImportFromPackage", &body), "E");
    assert_eq!(status(&app, "E"), "NotRun");
}

#[test]
fn section_1_0_a_client_that_expects_100_continue_is_told_to_go_on() {
    let app = start();
    let mut stream = TcpStream::connect(app.base.strip_prefix("http://").unwrap()).unwrap();
    let body = r#"{"uniqueFileName":"a"}"#;
    let head = format!(
        "POST /data/DataManagementDefinitionGroups/Microsoft.Dynamics.DataEntities.GetAzureWriteUrl HTTP/1.1\r\nHost: exchange.test\r\n{}\r\n{}\r\n\
         Content-Type: application/json;odata.metadata=minimal\r\nExpect: 100-continue\r\nConnection: close\r\n\r\n",
        bearer(&app),
        length(body)
    );
    stream.write_all(head.as_bytes()).unwrap();
    let mut first = [0; 25];
    stream.read_exact(&mut first).unwrap();
    assert_eq!(&first, b"HTTP/1.1 100 Continue\r\n\r\n");
    stream.write_all(body.as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
}

#[test]
fn section_1_1_the_body_is_raw_bytes_with_a_length_or_in_chunks() {
    let app = Appliance::start(&groups(""));
    let target = format!("/api/connector/enqueue/{IMPORT}?entity=Customer%20groups");
    let chunked = format!("{:x}\r\n{DOCUMENT}\r\n0\r\n\r\n", DOCUMENT.len());
    for (more, body) in [(length(DOCUMENT), DOCUMENT), ("Transfer-Encoding: chunked".to_owned(), chunked.as_str())] {
        let id: String = serde_json::from_slice(&post(&app, &target, &[&more], body.as_bytes()).expect(200).body).unwrap();
        assert_eq!(app.operator("GET", &format!("messages/{id}/document")).expect(200).body, DOCUMENT.as_bytes());
    }
}

#[test]
fn section_1_1_success_is_exactly_200_and_a_bare_json_string() {
    let app = Appliance::start(&groups(""));
    let answer = post(&app, &format!("/api/connector/enqueue/{IMPORT}?entity=Customer+groups"), &[&length(DOCUMENT)], DOCUMENT.as_bytes());
    assert_eq!(answer.status, 200);
    let text = answer.text();
    assert!(text.len() == 38 && text.starts_with('"') && text.ends_with('"') && text[1..37].parse::<uuid::Uuid>().is_ok(), "{text}");
}

#[test]
fn section_1_3_the_answer_has_every_member_and_tells_when_it_was_dequeued_last() {
    let mut app = Appliance::start(&groups(""));
    exported(&mut app, 1);
    let first = dequeue(&app).unwrap();
    let object = first.as_object().unwrap();
    assert!(object["CorrelationId"].as_str().unwrap().parse::<uuid::Uuid>().is_ok());
    assert!(!object["PopReceipt"].as_str().unwrap().is_empty());
    assert_eq!((&object["IsDownLoadFileExist"], &object["FileDownLoadErrorMessage"]), (&json!(true), &json!("")));
    assert!(object.get("LastDequeueDateTime").is_none_or(|last| last == &Value::Null || last == ""), "{first}");
    // Un-acked, it comes back after half an hour.
    app.advance(Duration::from_secs(29 * 60));
    assert!(dequeue(&app).is_none());
    app.advance(Duration::from_secs(60));
    let second = dequeue(&app).unwrap();
    assert_eq!(second["CorrelationId"], first["CorrelationId"]);
    assert_ne!(second["PopReceipt"], first["PopReceipt"]);
    assert!(second["LastDequeueDateTime"].as_str().unwrap().starts_with("2026-11-24T1"), "{second}");
}

#[test]
fn section_1_3_the_location_has_the_scheme_host_and_port_of_public_url() {
    let mut app = Appliance::start_with_body(&groups(""), "public_url = \"https://exchange.example.com\"", "2MiB");
    exported(&mut app, 1);
    let location = dequeue(&app).unwrap()["DownloadLocation"].as_str().unwrap().to_owned();
    let upper = EXPORT.to_uppercase();
    assert!(
        location.starts_with(&format!("https://exchange.example.com/api/connector/download/%7B{upper}%7D?correlation-id=")),
        "{location}"
    );
    let guid = |text: &str| text.parse::<uuid::Uuid>().is_ok();
    let (correlation, blob) = location.split_once("?correlation-id=").unwrap().1.split_once("&blob=").unwrap();
    assert!(guid(correlation) && guid(blob), "{location}");
}

#[test]
fn section_2_2_the_status_has_every_member_that_is_known_and_none_that_is_not() {
    let mut app = Appliance::start(&configuration("recurrence = \"on demand\""));
    let target = format!("/api/connector/enqueue/{PACKAGES}");
    let bytes = both(b"NAME,DAYS\r\nNet30,soon\r\nCash,0\r\n", b"ID,NAME,TERMS\r\n10,Retail,Cash\r\n");
    let size = format!("Content-Length: {}", bytes.len());
    let id: String =
        serde_json::from_slice(&post(&app, &target, &[&size, "x-ms-dyn-externalidentifier: night 7.zip"], &bytes).expect(200).body)
            .unwrap();
    let told = |app: &Appliance| app.get(&format!("/api/connector/jobstatus/{PACKAGES}?jobId={id}")).expect(200).json();
    let waiting = told(&app);
    assert!(no_nulls(&waiting), "{waiting}");
    let status = waiting["DataJobStatus"].as_object().unwrap();
    assert_eq!((&status["DataJobState"], &status["ExternalIdentifier"]), (&json!("Enqueued"), &json!("night 7.zip")));
    // A date that is not known is left out: null and an empty text make the vendor's client throw.
    assert!(!status.contains_key("DataJobCompletedDateTime") && !status.contains_key("DataJobStartedDateTime"), "{waiting}");
    app.operator("POST", &format!("jobs/{PACKAGES}/run")).expect(200);
    app.settle();
    let done = told(&app);
    assert!(no_nulls(&done), "{done}");
    let status = done["DataJobStatus"].as_object().unwrap();
    for member in ["DataProject", "DataJobIdentifier", "ExternalIdentifier", "ExecutionIdentifier"] {
        assert!(status[member].as_str().is_some_and(|text| !text.is_empty()), "{member}: {done}");
    }
    let is_date = |value: &Value| value.as_str().is_some_and(|text| text.starts_with("2026-11-24T12:0"));
    assert!(is_date(&status["DataJobStartedDateTime"]) && is_date(&status["DataJobCompletedDateTime"]), "{done}");
    assert!(done["ExecutionLog"].is_string());
    let details = done["ExecutionDetail"].as_array().unwrap();
    assert_eq!(details.len(), 2);
    for detail in details {
        for member in ["StagingRecords", "StagingErrorCount", "TargetRecords", "TargetErrorCount", "TotalRecords"] {
            assert!(detail[member].is_u64(), "{member}: {detail}");
        }
        let states = ["NotStarted", "Waiting", "Executing", "Error", "Finished", "Ready", "NotRun", "Cancelling", "Canceled", "Hold"];
        assert!(states.contains(&detail["StagingStatus"].as_str().unwrap()) && states.contains(&detail["TargetStatus"].as_str().unwrap()));
        assert!(is_date(&detail["ExecutionStartedDateTime"]) && is_date(&detail["ExecutionCompletedDateTime"]));
    }
    assert_eq!((&details[0]["EntityName"], &details[0]["StagingErrorCount"]), (&json!("Terms of payment"), &json!(1)));
}

/// Each form opens the API.
fn each_opens(app: &Appliance, asked: &[(&str, String)]) {
    for (path, form) in asked {
        opens(app, &ask(app, path, form).expect(200).json());
    }
}

const SECRET: &str = "a+secret+for+tests";

#[test]
fn section_3_row_scheduler_with_adal() {
    // The resource is scheme, host and port without a slash; ADAL's own members beside it.
    let app = Appliance::start(&groups(""));
    let form = format!("resource=http%3A%2F%2Fexchange.test&client_id={APPLICATION}&client_secret={SECRET}&grant_type=client_credentials");
    each_opens(&app, &[("/contoso.onmicrosoft.com/oauth2/token", form.clone()), ("/adfs/oauth2/token", form + "&x-client-Ver=3.19.8")]);
}

#[test]
fn section_3_row_scheduler_with_msal_and_row_axi_where_the_vendors_host_leads_to_us() {
    let app = Appliance::start(&groups(""));
    // It asks whether the authority is one, and finds the token endpoint in what it is told.
    let query = "api-version=1.1&authorization_endpoint=https%3A%2F%2Flogin.microsoftonline.com%2Fcontoso.com%2Foauth2%2Fv2.0%2Fauthorize";
    let found = app.send("GET", &format!("/common/discovery/instance?{query}"), &[], b"").expect(200).json();
    let document = found["tenant_discovery_endpoint"].as_str().unwrap().strip_prefix("http://exchange.test").unwrap();
    let document = app.send("GET", document, &[], b"").expect(200).json();
    let endpoint = document["token_endpoint"].as_str().unwrap().strip_prefix("http://exchange.test").unwrap();
    let form = format!(
        "client_id={APPLICATION}&client_secret={SECRET}&grant_type=client_credentials&scope=http%3A%2F%2Fexchange.test%2F.default&client_info=1"
    );
    each_opens(&app, &[(endpoint, form)]);
}

#[test]
fn section_3_row_power_shell() {
    // Members in the order of a hash table; the token address is a setting; the tenant is put into it.
    let app = Appliance::start(&groups(""));
    let parts = [
        "grant_type=client_credentials".to_owned(),
        "resource=http://exchange.test".into(),
        format!("client_id={APPLICATION}"),
        format!("client_secret={SECRET}"),
    ];
    let forms = (0..4).map(|first| (0..4).map(|at| parts[(first + at) % 4].as_str()).collect::<Vec<_>>().join("&"));
    let forms: Vec<_> = forms.map(|form| ("/6d31e09f-0249-459f-94f0-aad9c2c47b64/oauth2/token", form)).collect();
    each_opens(&app, &forms);
}

#[test]
fn section_3_row_power_automate_curl_postman_and_logic_apps() {
    let app = Appliance::start(&groups(""));
    let id = format!("client_id={APPLICATION}&client_secret={SECRET}&grant_type=client_credentials");
    each_opens(
        &app,
        &[
            ("/contoso.com/oauth2/token", format!("{id}&resource=http%3A%2F%2Fexchange.test%2F")),
            ("/contoso.com/oauth2/v2.0/token", format!("{id}&scope=http%3A%2F%2Fexchange.test%2F.default")),
        ],
    );
}

#[test]
fn section_3_a_version_1_answer_has_its_numbers_as_texts_and_a_version_2_answer_as_numbers() {
    let app = Appliance::start(&groups(""));
    let id = format!("client_id={APPLICATION}&client_secret={SECRET}&grant_type=client_credentials");
    let one = ask(&app, "/t.example/oauth2/token", &id).expect(200).json();
    let names: Vec<&str> = one.as_object().unwrap().keys().map(String::as_str).collect();
    assert_eq!(names, ["token_type", "expires_in", "ext_expires_in", "expires_on", "not_before", "resource", "access_token"]);
    assert!(
        ["expires_in", "ext_expires_in", "expires_on", "not_before"].iter().all(|name| one[name].as_str().unwrap().parse::<u64>().is_ok())
    );
    let two = ask(&app, "/t.example/oauth2/v2.0/token", &id).expect(200).json();
    let names: Vec<&str> = two.as_object().unwrap().keys().map(String::as_str).collect();
    assert_eq!(names, ["token_type", "expires_in", "ext_expires_in", "access_token"]);
    assert!(two["expires_in"].as_u64().unwrap() > 60, "the scheduler fetches another when less than a minute is left");
}

#[test]
fn must_hold_1_enqueue_answers_200_and_a_bare_json_string_and_demands_no_content_type() {
    let app = Appliance::start(&groups(""));
    for blank in ["+", "%20"] {
        let body = format!("{DOCUMENT}{blank}");
        let answer =
            post(&app, &format!("/api/connector/enqueue/{IMPORT}?entity=Customer{blank}groups"), &[&length(&body)], body.as_bytes());
        assert!(serde_json::from_slice::<String>(&answer.expect(200).body).unwrap().parse::<uuid::Uuid>().is_ok());
    }
}

#[test]
fn must_hold_2_dequeue_answers_200_with_an_object_or_204_and_hides_what_it_gave() {
    let mut app = Appliance::start(&groups(""));
    assert!(dequeue(&app).is_none());
    exported(&mut app, 2);
    let (one, other) = (dequeue(&app).unwrap(), dequeue(&app).unwrap());
    assert_ne!(one["CorrelationId"], other["CorrelationId"]);
    assert!([&one, &other].iter().all(|message| message["DownloadLocation"].as_str().is_some_and(|url| url.starts_with("http"))));
    assert!(dequeue(&app).is_none());
}

#[test]
fn must_hold_3_ack_by_correlation_id_and_pop_receipt_is_200_however_often() {
    let mut app = Appliance::start(&groups(""));
    exported(&mut app, 1);
    let message = dequeue(&app).unwrap();
    let body = json!({ "CorrelationId": message["CorrelationId"], "PopReceipt": message["PopReceipt"] }).to_string();
    for _ in 0..3 {
        assert_eq!(post(&app, &format!("/api/connector/ack/{EXPORT}"), &[&length(&body)], body.as_bytes()).status, 200);
    }
}

#[test]
fn must_hold_4_job_status_has_its_spellings_and_the_action_its_own() {
    let mut app = Appliance::start(&groups(""));
    let id = app.enqueue(format!("ID,NAME,AMOUNT\n5,x,1\n{}", "#".repeat(300_000)).as_bytes(), None);
    std::fs::write(app.dir.path().join("data/spool/large").join(&id), b"damaged").unwrap();
    app.settle();
    for name in ["jobId", "jobid", "JOBID"] {
        let told = app.get(&format!("/api/connector/jobstatus/{IMPORT}?{name}={id}")).expect(200).json();
        assert_eq!(told["DataJobStatus"]["DataJobState"], "PostProcessError");
        assert!(no_nulls(&told));
    }
    assert_eq!(app.value("GetMessageStatus", &json!({ "messageId": id })), "PostProcessingFailed");
}

#[test]
fn must_hold_5_actions_are_flat_lax_and_honour_the_clients_execution_id() {
    let app = start();
    let url = write_url(&app, "a");
    put(&app, &url, &both(TERMS, GROUPS)).expect(201);
    let target = "/data/DataManagementDefinitionGroups/Microsoft.Dynamics.DataEntities.";
    let body = format!(
        "{{'packageUrl':'{url}','definitionGroupId':'Set-up','executionId':'mine','execute':true,'overwrite':true,'legalEntityId':''}}"
    );
    let answer = post(&app, &format!("{target}ImportFromPackage"), &[&length(&body)], body.as_bytes()).expect(200).json();
    assert_eq!(answer["value"], "mine");
    // At once, by its id and by the quoted id of its message.
    let page = app.value("GetExecutionSummaryPageUrl", &json!({ "executionId": "mine" }));
    let message = page.as_str().unwrap().rsplit('/').next().unwrap();
    for id in ["mine".to_owned(), format!("\"{message}\"")] {
        let answer = app.action("GetExecutionSummaryStatus", &json!({ "executionId": id })).expect(200).json();
        assert!(answer["@odata.context"].as_str().unwrap().ends_with("#Microsoft.Dynamics.DataEntities.DMFExecutionSummaryStatus"));
        assert!(answer["value"].is_string());
    }
}

#[test]
fn must_hold_6_blobs_are_put_with_201_joined_from_blocks_and_read_in_ranges_without_a_token() {
    let app = start();
    let url = write_url(&app, "a");
    put(&app, &url, b"0123456789").expect(201);
    let part = app.send("GET", path(&url), &[("x-ms-range", "bytes=2-4")], b"").expect(206);
    assert_eq!((part.body.as_slice(), part.header("Content-Range")), (&b"234"[..], Some("bytes 2-4/10")));
    let tag = part.header("ETag").unwrap().to_owned();
    app.send("GET", path(&url), &[("x-ms-range", "bytes=5-9"), ("If-Match", &tag)], b"").expect(206);
    let url = path(&url).to_owned();
    for (id, bytes) in [("MQ==", "ab"), ("Mg==", "cd")] {
        app.send("PUT", &format!("{url}&comp=block&blockid={}", id.replace('=', "%3D")), &[], bytes.as_bytes()).expect(201);
    }
    let list = b"<?xml version=\"1.0\" encoding=\"utf-8\"?><BlockList><Latest>MQ==</Latest><Latest>Mg==</Latest></BlockList>";
    app.send("PUT", &format!("{url}&comp=blocklist"), &[], list).expect(201);
    assert_eq!(app.send("GET", &url, &[], b"").expect(200).body, b"abcd");
}

#[test]
fn must_hold_7_both_token_endpoints_and_all_discovery_documents_stand_on_the_host_that_was_asked() {
    let app = Appliance::start(&groups(""));
    for tenant in ["contoso.com", "6d31e09f-0249-459f-94f0-aad9c2c47b64"] {
        for (path, member) in [
            (format!("/{tenant}/.well-known/openid-configuration"), "issuer"),
            (format!("/{tenant}/v2.0/.well-known/openid-configuration"), "issuer"),
            ("/common/discovery/instance?api-version=1.1".to_owned(), "tenant_discovery_endpoint"),
        ] {
            let document = app.send("GET", &path, &[], b"").expect(200).json();
            assert!(document[member].as_str().unwrap().starts_with("http://exchange.test/"), "{document}");
        }
        let id = format!("client_id={APPLICATION}&client_secret={SECRET}&grant_type=client_credentials");
        for audience in ["http%3A%2F%2Fexchange.test", "http%3A%2F%2Fexchange.test%2F"] {
            let (one, two) = (format!("/{tenant}/oauth2/token"), format!("/{tenant}/oauth2/v2.0/token"));
            each_opens(&app, &[(&one, format!("{id}&resource={audience}")), (&two, format!("{id}&scope={audience}%2F.default"))]);
        }
    }
    let guid = ask(&app, "/t.example/oauth2/token", &format!("client_id=web-shop&client_secret={SECRET}&grant_type=client_credentials"));
    assert!(guid.expect(401).text().contains("the client id is the GUID"));
}

#[test]
fn must_hold_8_refusals_have_their_reason_in_the_status_line_and_nothing_is_a_redirect() {
    let app = Appliance::start(&groups(""));
    let mut stream = TcpStream::connect(app.base.strip_prefix("http://").unwrap()).unwrap();
    let head = format!(
        "GET /api/connector/dequeue/00000000-0000-0000-0000-000000000001 HTTP/1.1\r\nHost: x\r\n{}\r\nConnection: close\r\n\r\n",
        bearer(&app)
    );
    stream.write_all(head.as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 404 there is no job with the activity id"), "{answer}");
    assert!(answer.contains("\"detail\":\"there is no job") && answer.contains("\"hint\""), "{answer}");
    for target in
        ["/api/connector/dequeue/x", "/data/LegalEntities", "/data", "/metadata/DataEntities", "/api/connector/nothing/x", "/nothing"]
    {
        let answer = app.send("GET", target, &[], b"");
        assert!((400..500).contains(&answer.status), "{target}: {}", answer.status);
    }
}

#[test]
fn must_hold_9_packages_are_read_in_any_order_and_encoding_and_written_in_the_vendors_order() {
    let mut app = Appliance::start(&format!("{}{EXPORT_JOB}", configuration("")));
    let utf16 = |text: &str| [0xFF, 0xFE].into_iter().chain(text.encode_utf16().flat_map(u16::to_le_bytes)).collect::<Vec<u8>>();
    let space = "xmlns=\"http://schemas.microsoft.com/dynamics/2015/01/DataManagement\"";
    for (number, order) in [
        "<EntityName>Terms of payment</EntityName><InputFilePath>t.csv</InputFilePath>",
        "<InputFilePath>t.csv</InputFilePath><EntityName>Terms of payment</EntityName>",
    ]
    .into_iter()
    .enumerate()
    {
        let text = format!(
            "<DataManagementPackageManifest {space}><PackageEntityList><DataManagementPackageEntityData>{order}</DataManagementPackageEntityData></PackageEntityList><DefinitionGroupName>x</DefinitionGroupName></DataManagementPackageManifest>"
        );
        for (variant, manifest) in
            [text.clone().into_bytes(), format!("\u{feff}<?xml version=\"1.0\" encoding=\"utf-16\"?>{text}").into_bytes(), utf16(&text)]
                .iter()
                .enumerate()
        {
            let row = format!("NAME,DAYS\r\nT{number}{variant},1\r\n");
            let message = enqueue(&mut app, &package(manifest, &[("t.csv", row.as_bytes())]));
            assert_eq!(message["rows"]["inserted"], 1, "{message}");
        }
    }
    let body =
        json!({ "definitionGroupId": "Set-up out", "packageName": "p", "executionId": "E", "reExecute": false, "legalEntityId": "" });
    app.value("ExportToPackage", &body);
    app.settle();
    let url = app.value("GetExportedPackageUrl", &json!({ "executionId": "E" }));
    let bytes = app.send("GET", path(url.as_str().unwrap()), &[], b"").expect(200).body;
    let mut zip = zip::ZipArchive::new(std::io::Cursor::new(bytes)).unwrap();
    for name in ["Manifest.xml", "PackageHeader.xml"] {
        let mut bytes = Vec::new();
        zip.by_name(name).unwrap().read_to_end(&mut bytes).unwrap();
        let text = String::from_utf8(bytes).unwrap();
        assert!(text.contains(space) && !text.contains("<d:") && !text.contains(":DataManagement"), "{text}");
        // Children of each element in alphabetical order: the vendor drops what is not, and says nothing.
        let mut reader = quick_xml::Reader::from_str(&text);
        let mut last: Vec<String> = vec![String::new()];
        loop {
            let (name, opens) = match reader.read_event().unwrap() {
                quick_xml::events::Event::Start(start) => (start.local_name().as_ref().to_owned(), true),
                quick_xml::events::Event::Empty(start) => (start.local_name().as_ref().to_owned(), false),
                quick_xml::events::Event::End(_) => {
                    last.pop();
                    continue;
                }
                quick_xml::events::Event::Eof => break,
                _ => continue,
            };
            let before = last.last_mut().unwrap();
            assert!(*before <= name, "{name} after {before}: {text}");
            *before = name;
            if opens {
                last.push(String::new());
            }
        }
    }
}
