//! The connector API as clients use it (CONTRACT §1, §8).

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use serde_json::json;

use crate::appliance::{Appliance, EXPORT, IMPORT, OTHER_APPLICATION, groups};

const DOCUMENT: &[u8] = b"ID,NAME,AMOUNT\r\n10,Retail,1.50\r\n20,Wholesale,\r\n";
const MINUTE: Duration = Duration::from_secs(60);

#[test]
fn every_spelling_of_an_enqueue_reaches_the_same_job() {
    let mut app = Appliance::start(&groups(""));
    for (number, target) in [
        format!("/api/connector/enqueue/%7B{IMPORT}%7D?entity=Customer+groups"),
        format!("/en/api/connector/enqueue/{}?entity=Customer%20groups&company=USMF", IMPORT.to_lowercase()),
        format!("/namespaces/AXSF/api/connector/enqueue/{IMPORT}?company=USMF&ENTITY=customer%20groups"),
        format!("/API/Connector/Enqueue/%7B{IMPORT}%7D?entity=CustCustomerGroupEntity"),
        format!("/api/connector/enqueue/{IMPORT}?entity="),
        format!("/api/connector/enqueue/{IMPORT}"),
    ]
    .iter()
    .enumerate()
    {
        let answer = app.post(target, format!("ID,NAME,AMOUNT\n{number},x,1\n").as_bytes()).expect(200);
        assert_eq!(answer.body.len(), 38, "a bare JSON string: {}", answer.text());
    }
    app.settle();
    assert_eq!(app.sql("SELECT count(*) FROM customer_groups"), ["6"]);
}

#[test]
fn a_message_is_processed_and_its_status_is_told_in_both_vocabularies() {
    let mut app = Appliance::start(&groups(""));
    let id = app.enqueue(DOCUMENT, Some("groups.csv"));
    app.settle();
    let status = app.get(&format!("/api/connector/jobstatus/{IMPORT}?jobid=%22{id}%22")).expect(200).json();
    let job = &status["DataJobStatus"];
    assert_eq!(
        (&job["DataJobState"], &job["ExternalIdentifier"], &job["DataJobIdentifier"]),
        (&json!("Processed"), &json!("groups.csv"), &json!(id))
    );
    assert_eq!(status["ExecutionDetail"][0]["TargetRecords"], 2);
    fn no_nulls(value: &serde_json::Value) -> bool {
        match value {
            serde_json::Value::Null => false,
            serde_json::Value::Array(list) => list.iter().all(no_nulls),
            serde_json::Value::Object(object) => object.values().all(no_nulls),
            _ => true,
        }
    }
    assert!(no_nulls(&status), "a null makes the vendor's client throw: {status}");
    let action = |name: &str, body: String| {
        app.post(&format!("/data/DataManagementDefinitionGroups/Microsoft.Dynamics.DataEntities.{name}"), body.as_bytes())
    };
    assert_eq!(action("GetMessageStatus", format!("{{'messageId':'{id}'}}")).expect(200).json()["value"], "Processed");
    let execution = action("GetExecutionIdByMessageId", format!("{{\"_messageId\":\"{id}\"}}")).expect(200).json()["value"]
        .as_str()
        .unwrap()
        .to_owned();
    for id in [execution, id.clone(), format!("\\\"{id}\\\"")] {
        assert_eq!(action("GetExecutionErrors", format!("{{\"executionId\":\"{id}\"}}")).expect(200).json()["value"], "[]");
    }
    let unknown = action("GetMessageStatus", "{\"messageId\":\"00000000-0000-0000-0000-000000000000\"}".into()).expect(400);
    assert!(unknown.json()["error"]["innererror"]["message"].as_str().unwrap().contains("was not found"));
    action("ExportToMars", "{}".into()).expect(404);
    action("GetMessageStatus", "not json".into()).expect(400);
}

#[test]
fn refused_rows_are_told_one_by_one_and_come_back_as_a_file_to_be_mended() {
    let mut app = Appliance::start(&groups(""));
    let id = app.enqueue(b"ID,NAME,AMOUNT\n10,Retail,1.50\n20,Wholesale,\"1,5\"\n,Nobody,1\n", None);
    app.settle();
    let message = app.message(&id);
    assert_eq!(message["state"], "processed_with_errors");
    assert_eq!(message["rows"], json!({ "read": 3, "inserted": 1, "updated": 0, "unchanged": 0, "validated": 0, "refused": 2 }));
    let places: Vec<_> = app
        .findings(&id)
        .iter()
        .map(|finding| (finding["line"].as_u64().unwrap(), finding["column"].as_str().unwrap().to_owned(), finding["rule"].clone()))
        .collect();
    assert_eq!(places, [(3, "AMOUNT".into(), json!("type")), (4, "ID".into(), json!("required"))]);
    let expected: Vec<_> = app.findings(&id).iter().map(|finding| finding["expected"].clone()).collect();
    assert_eq!(expected, ["a number of at most 18 digits, 2 of them after the point", "text of at most 10 characters, not blank"]);
    let refused = app.operator("GET", &format!("messages/{id}/refused")).expect(200).text();
    let mended = refused.replace("\"1,5\"", "1.5").replace("\n,Nobody", "\n30,Nobody");
    let again = app.enqueue(mended.as_bytes(), None);
    app.settle();
    assert_eq!(app.message(&again)["state"], "processed", "{mended}");
    assert_eq!(
        app.sql("SELECT ID, NAME, AMOUNT FROM customer_groups ORDER BY ID"),
        ["10|Retail|1.50", "20|Wholesale|1.50", "30|Nobody|1.00"]
    );
}

#[test]
fn mended_rows_complete_the_load_of_a_table_that_is_emptied_otherwise() {
    let mut app =
        Appliance::start(&groups("").replacen("entity = \"Customer groups\"\n", "entity = \"Customer groups\"\ntruncate = true\n", 1));
    let id = app.enqueue(b"ID,NAME,AMOUNT\n10,Retail,1.50\n20,Wholesale,x\n", None);
    app.settle();
    let refused = app.operator("GET", &format!("messages/{id}/refused")).expect(200).text();
    let again = app.enqueue(refused.replacen(",x,", ",1.50,", 1).as_bytes(), None);
    app.settle();
    let message = app.message(&again);
    assert_eq!(message["state"], "processed", "{message}");
    assert!(message["reason"].as_str().unwrap().contains("the table was not emptied"), "{message}");
    assert_eq!(app.sql("SELECT ID FROM customer_groups ORDER BY ID"), ["10", "20"]);
    app.enqueue(b"ID,NAME,AMOUNT\n30,Other,1\n", None);
    app.settle();
    assert_eq!(app.sql("SELECT ID FROM customer_groups"), ["30"]);
}

#[test]
fn a_document_with_something_else_in_the_place_of_rows_does_not_empty_a_table() {
    let keys = "entity = \"Customer groups\"\ntruncate = true\nformat = { type = \"json\", record = \"data/rows\" }\n";
    let mut app = Appliance::start(&groups("").replacen("entity = \"Customer groups\"\n", keys, 1));
    let mut load = |document: &str| {
        let id = app.enqueue(document.as_bytes(), None);
        app.settle();
        (app.message(&id)["state"].as_str().unwrap().to_owned(), app.sql("SELECT ID FROM customer_groups").len(), app.findings(&id))
    };
    let rows = r#"{"data":{"rows":[{"ID":"1","NAME":"a","AMOUNT":1},{"ID":"2","NAME":"b","AMOUNT":1}]}}"#;
    assert_eq!(load(rows).1, 2);
    let (state, left, findings) = load(r#"{"data":{"other":1}}"#);
    assert_eq!((state.as_str(), left), ("refused", 2), "{findings:?}");
    assert!(findings.iter().any(|finding| finding["message"].as_str().unwrap().contains("the 2 rows that are there")), "{findings:?}");
    let (state, left, findings) = load(r#"{"data":{"rows":[]}}"#);
    assert_eq!((state.as_str(), left), ("processed", 0), "{findings:?}");
}

#[test]
fn the_same_bytes_with_the_same_external_identifier_are_one_message() {
    let mut app = Appliance::start(&groups(""));
    let first = app.enqueue(DOCUMENT, Some("a.csv"));
    app.settle();
    assert_eq!(app.enqueue(DOCUMENT, Some("a.csv")), first);
    assert_ne!(app.enqueue(DOCUMENT, Some("b.csv")), first);
    // A price that goes up and down again: what came last under this name is another document.
    let other = app.enqueue(b"ID,NAME,AMOUNT\n10,Changed,1\n", Some("a.csv"));
    let again = app.enqueue(DOCUMENT, Some("a.csv"));
    assert!(other != first && again != first && again != other);
    assert_eq!(app.enqueue(DOCUMENT, Some("a.csv")), again);
    app.settle();
    assert_eq!(app.sql("SELECT NAME FROM customer_groups WHERE ID = '10'"), ["Retail"]);
    // What was refused as a whole, or taken back by a person, may be sent again.
    let refused = app.enqueue(b"ID;NAME;AMOUNT\n10;Retail;1\n", Some("c.csv"));
    assert_eq!(app.enqueue(b"ID;NAME;AMOUNT\n10;Retail;1\n", Some("c.csv")), refused, "it waits");
    app.settle();
    assert_eq!(app.message(&refused)["state"], "refused");
    assert_ne!(app.enqueue(b"ID;NAME;AMOUNT\n10;Retail;1\n", Some("c.csv")), refused);
    app.advance(Duration::from_secs(8 * 86_400));
    assert_ne!(app.enqueue(DOCUMENT, Some("a.csv")), first, "after the retention it is a new one");
}

#[test]
fn an_exported_message_is_dequeued_downloaded_and_acked_and_then_gone() {
    let mut app = Appliance::start(&groups(""));
    app.get(&format!("/api/connector/dequeue/{EXPORT}")).expect(204);
    app.enqueue(DOCUMENT, None);
    app.settle();
    // From noon to 6 o'clock in Amsterdam.
    app.advance(17 * 60 * MINUTE);
    let dequeued = app.get(&format!("/api/connector/dequeue/%7B{EXPORT}%7D")).expect(200);
    let body = dequeued.json();
    assert!(body["LastDequeueDateTime"].is_null() && body["IsDownLoadFileExist"] == true && body["FileDownLoadErrorMessage"] == "");
    app.get(&format!("/api/connector/dequeue/{EXPORT}")).expect(204);
    let location = body["DownloadLocation"].as_str().unwrap().strip_prefix("http://exchange.test").expect("the public URL");
    let package = app.get(location).expect(200);
    let mut zip = zip::ZipArchive::new(std::io::Cursor::new(package.body)).unwrap();
    let mut document = String::new();
    zip.by_name("Customer groups.csv").unwrap().read_to_string(&mut document).unwrap();
    assert_eq!(document, "ID,NAME,AMOUNT\r\n10,Retail,1.50\r\n20,Wholesale,\r\n");
    let id = body["CorrelationId"].as_str().unwrap().to_owned();
    assert_eq!(app.message(&id)["state"], "downloaded");
    let ack = |body: &serde_json::Value| app.post(&format!("/api/connector/ack/{EXPORT}"), body.to_string().as_bytes());
    ack(&json!({ "CorrelationId": body["CorrelationId"], "PopReceipt": body["PopReceipt"], "DownloadLocation": "https://elsewhere/" }))
        .expect(200);
    ack(&body).expect(200);
    app.advance(60 * MINUTE);
    app.get(&format!("/api/connector/dequeue/{EXPORT}")).expect(204);
    assert_eq!(app.message(&id)["state"], "acked");
}

#[test]
fn an_unacked_message_returns_with_a_new_pop_receipt_and_the_old_one_is_refused() {
    let mut app = Appliance::start(&groups(""));
    app.enqueue(DOCUMENT, None);
    app.settle();
    app.operator("POST", &format!("jobs/{EXPORT}/run")).expect(200);
    app.settle();
    let first = app.get(&format!("/api/connector/dequeue/{EXPORT}")).expect(200).json();
    app.advance(29 * MINUTE);
    app.get(&format!("/api/connector/dequeue/{EXPORT}")).expect(204);
    app.advance(MINUTE);
    let second = app.get(&format!("/api/connector/dequeue/{EXPORT}")).expect(200).json();
    assert_eq!(first["CorrelationId"], second["CorrelationId"]);
    assert_ne!(first["PopReceipt"], second["PopReceipt"]);
    assert!(second["LastDequeueDateTime"].is_string());
    let refused = app.post(&format!("/api/connector/ack/{EXPORT}"), first.to_string().as_bytes()).expect(409);
    assert!(refused.json()["hint"].as_str().unwrap().contains("latest"));
    app.post(&format!("/api/connector/ack/{EXPORT}"), second.to_string().as_bytes()).expect(200);
    for body in ["", "{}", "[1]", "{\"CorrelationId\":\"x\",\"PopReceipt\":\"y\"}"] {
        app.post(&format!("/api/connector/ack/{EXPORT}"), body.as_bytes()).expect(400);
    }
}

#[test]
fn nobody_reaches_anothers_job_and_every_refusal_says_why() {
    let app = Appliance::start(&groups(""));
    let target = format!("/api/connector/enqueue/{IMPORT}?entity=Customer%20groups");
    let none = app.send("POST", &target, &[], DOCUMENT).expect(401);
    assert!(none.header("WWW-Authenticate").unwrap().starts_with("Bearer"));
    let tampered = format!("Bearer {}x", app.token);
    let bad = app.send("POST", &target, &[("Authorization", &tampered)], DOCUMENT).expect(401);
    assert!(bad.header("WWW-Authenticate").unwrap().contains("invalid_token"));
    let other = format!("Bearer {}", app.token_of(OTHER_APPLICATION));
    app.send("POST", &target, &[("Authorization", &other)], DOCUMENT).expect(403);
    app.post("/api/connector/enqueue/00000000-0000-0000-0000-000000000000?entity=x", DOCUMENT).expect(404);
    app.post("/api/connector/enqueue/not-a-guid?entity=x", DOCUMENT).expect(400);
    let unknown = app.post(&format!("/api/connector/enqueue/{IMPORT}?entity=Vendors"), DOCUMENT).expect(400);
    assert!(unknown.json()["hint"].as_str().unwrap().contains("Customer groups"));
    app.post(&format!("/api/connector/enqueue/{EXPORT}"), DOCUMENT).expect(400);
    app.get(&format!("/api/connector/dequeue/{IMPORT}")).expect(400);
    app.get(&target).expect(405);
    app.post(&target, b"").expect(400);
    app.send("GET", "/api/v1/jobs", &[("Authorization", &format!("Bearer {}", app.token))], b"").expect(401);
    app.get("/nothing/here").expect(404);
    assert_eq!(app.operator("GET", "messages").expect(200).json()["messages"], json!([]));
}

#[test]
fn the_reason_stands_in_the_status_line() {
    let app = Appliance::start(&groups(""));
    let mut stream = TcpStream::connect(app.base.strip_prefix("http://").unwrap()).unwrap();
    write!(stream, "POST /api/connector/enqueue/{IMPORT}?entity=Nope HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {}\r\nContent-Length: 1\r\nConnection: close\r\n\r\nx", app.token).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 400 the job Groups in has no entity Nope\r\n"), "{answer}");
}

#[test]
fn a_body_that_is_cut_short_or_too_large_stores_nothing() {
    let app = Appliance::start(&groups(""));
    let head = |extra: &str| {
        format!("POST /api/connector/enqueue/{IMPORT} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {}\r\n{extra}\r\n", app.token)
    };
    let address = app.base.strip_prefix("http://").unwrap();
    for (extra, body) in [
        ("Content-Length: 500000\r\n", "short"),
        ("Content-Length: 5000\r\n", "short"),
        ("Transfer-Encoding: chunked\r\n", "5\r\nshort\r\n5\r\nsh"),
    ] {
        let mut stream = TcpStream::connect(address).unwrap();
        stream.write_all(head(extra).as_bytes()).unwrap();
        stream.write_all(body.as_bytes()).unwrap();
        stream.shutdown(std::net::Shutdown::Write).unwrap();
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer);
        let text = String::from_utf8_lossy(&answer);
        assert!(text.is_empty() || text.starts_with("HTTP/1.1 400"), "{extra}: {text}");
    }
    // Refused on the head, before a byte of the body; a chunked one as soon as it is too large.
    let mut stream = TcpStream::connect(address).unwrap();
    stream.write_all(head(&format!("Content-Length: {}\r\n", (64 << 20) + 1)).as_bytes()).unwrap();
    let mut answer = [0; 64];
    stream.read_exact(&mut answer).unwrap();
    assert!(answer.starts_with(b"HTTP/1.1 413 the body is larger than 67108864 bytes"), "{}", String::from_utf8_lossy(&answer));
    let mut stream = TcpStream::connect(address).unwrap();
    stream.write_all(head("Transfer-Encoding: chunked\r\n").as_bytes()).unwrap();
    let chunk = [format!("{:x}\r\n", 1 << 20).into_bytes(), vec![b'x'; 1 << 20], b"\r\n".to_vec()].concat();
    let sent = (0..80).take_while(|_| stream.write_all(&chunk).is_ok()).count();
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer);
    assert!(answer.is_empty() || answer.starts_with(b"HTTP/1.1 413"), "after {sent} MiB: {}", String::from_utf8_lossy(&answer));
    assert_eq!(app.operator("GET", "messages").expect(200).json()["messages"], json!([]));
    let spool = app.dir.path().join("data/spool");
    for folder in ["incoming", "large"] {
        // The client may be told before the handler has cleared away what there was.
        let begun = std::time::Instant::now();
        while std::fs::read_dir(spool.join(folder)).unwrap().count() > 0 {
            assert!(begun.elapsed() < std::time::Duration::from_secs(20), "{folder} is not emptied");
            std::thread::yield_now();
        }
    }
    app.get("/healthz").expect(200);
}

#[test]
fn a_chunked_document_small_or_large_is_stored_whole() {
    let mut app = Appliance::start(&groups(""));
    let address = app.base.strip_prefix("http://").unwrap().to_owned();
    for rows in [3, 60_000] {
        let mut document = String::from("ID,NAME,AMOUNT\n");
        (0..rows).for_each(|number| document.push_str(&format!("{number},chunk {number},1\n")));
        let mut stream = TcpStream::connect(&address).unwrap();
        let path = format!("/api/connector/enqueue/{IMPORT}?entity=Customer%20groups");
        write!(
            stream,
            "POST {path} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {}\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n",
            app.token
        )
        .unwrap();
        for piece in document.as_bytes().chunks(7777) {
            write!(stream, "{:x}\r\n", piece.len()).unwrap();
            stream.write_all(piece).unwrap();
            stream.write_all(b"\r\n").unwrap();
        }
        stream.write_all(b"0\r\n\r\n").unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
        let id = answer.rsplit('"').nth(1).unwrap();
        app.settle();
        assert_eq!(app.operator("GET", &format!("messages/{id}/document")).expect(200).body, document.as_bytes());
        assert_eq!(app.message(id)["rows"]["read"], rows);
    }
}

#[test]
fn a_large_document_gets_a_file_of_its_own_and_loads() {
    let mut app = Appliance::start(&groups(""));
    let mut document = String::from("ID,NAME,AMOUNT\n");
    (0..40_000).for_each(|number| document.push_str(&format!("{number},name of {number},{number}.25\n")));
    let id = app.enqueue(document.as_bytes(), None);
    app.settle();
    assert_eq!(app.message(&id)["rows"]["inserted"], 40_000);
    assert_eq!(app.operator("GET", &format!("messages/{id}/document")).expect(200).body, document.as_bytes());
    assert!(app.dir.path().join("data/spool/large").join(&id).exists());
}

#[test]
fn discovery_leads_to_a_token_endpoint_on_the_same_host() {
    let app = Appliance::start("");
    let document = app.get("/contoso.com/v2.0/.well-known/openid-configuration").expect(200).json();
    let endpoint = document["token_endpoint"].as_str().unwrap().strip_prefix("http://exchange.test").unwrap().to_owned();
    let form = format!(
        "grant_type=client_credentials&client_id={}&client_secret=a+secret+for+tests&scope=http%3A%2F%2Fexchange.test%2F.default",
        crate::appliance::APPLICATION
    );
    let answer = app.send("POST", &endpoint, &[], form.as_bytes()).expect(200);
    assert_eq!(answer.header("Cache-Control"), Some("no-store"));
    app.get("/common/discovery/instance?api-version=1.1&authorization_endpoint=x").expect(200);
    let keys = document["jwks_uri"].as_str().unwrap().strip_prefix("http://exchange.test").unwrap().to_owned();
    assert_eq!(app.get(&keys).expect(200).json()["keys"][0]["alg"], "ES256");
}
