//! Tokens of an outside issuer whose keys are named by an https URL: fetched, kept, renewed when they change (CONTRACT §3, issue "The whole wire contract").

use std::io::{Read, Write};
use std::net::TcpListener;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jwt_simple::prelude::*;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};

use crate::appliance::{APPLICATION, Appliance, EXPORT, START_MS, groups};

const ISSUER: &str = "https://sts.example/contoso/";

/// A server of a key set over TLS; what it answers can be changed.
struct Issuer {
    url: String,
    authority: std::path::PathBuf,
    answer: Arc<Mutex<String>>,
    asked: Arc<Mutex<u32>>,
}

fn issuer() -> Issuer {
    let made = entrepot::edge::local_ca::make(&["localhost".into()], &entrepot::clock::Clock::system()).unwrap();
    let dir = tempfile::tempdir().unwrap().keep();
    std::fs::write(dir.join("authority.pem"), &made.authority).unwrap();
    let chain: Vec<_> = CertificateDer::pem_slice_iter(made.chain.as_bytes()).map(Result::unwrap).collect();
    let key = PrivateKeyDer::from_pem_slice(made.key.as_bytes()).unwrap();
    let config = rustls::ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .unwrap();
    let config = Arc::new(config);
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let (answer, asked) = (Arc::new(Mutex::new(String::new())), Arc::new(Mutex::new(0)));
    let (answers, counter) = (answer.clone(), asked.clone());
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let mut stream = rustls::StreamOwned::new(rustls::ServerConnection::new(config.clone()).unwrap(), stream);
            let (mut head, mut byte) = (Vec::new(), [0]);
            while !head.ends_with(b"\r\n\r\n") && stream.read(&mut byte).is_ok_and(|count| count == 1) {
                head.push(byte[0]);
            }
            *counter.lock().unwrap() += 1;
            let _ = stream.write_all(answers.lock().unwrap().as_bytes());
            stream.conn.send_close_notify();
            let _ = stream.flush();
        }
    });
    Issuer { url: format!("https://localhost:{port}/keys"), authority: dir.join("authority.pem"), answer, asked }
}

impl Issuer {
    fn serve(&self, status: &str, body: &str) {
        *self.answer.lock().unwrap() = format!("HTTP/1.1 {status}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}", body.len());
    }

    fn serve_keys(&self, keys: &[&ES256KeyPair]) {
        let list: Vec<serde_json::Value> = keys
            .iter()
            .map(|key| {
                let point = key.public_key().public_key().to_bytes_uncompressed();
                serde_json::json!({ "kty": "EC", "crv": "P-256", "use": "sig", "kid": key.key_id().clone().unwrap(),
                    "x": URL_SAFE_NO_PAD.encode(&point[1..33]), "y": URL_SAFE_NO_PAD.encode(&point[33..]) })
            })
            .collect();
        self.serve("200 OK", &serde_json::json!({ "keys": list }).to_string());
    }
}

fn key(id: &str) -> ES256KeyPair {
    ES256KeyPair::generate().with_key_id(id)
}

/// A token as Entra writes it: version 1 names the application in appid, version 2 in azp.
fn token(key: &ES256KeyPair, member: &str) -> String {
    let custom = serde_json::json!({ member: APPLICATION, "tid": "contoso" });
    let mut claims =
        Claims::with_custom_claims(custom, Duration::from_secs(86_400).into()).with_issuer(ISSUER).with_audience("http://exchange.test");
    let start = UnixTimeStamp::from_secs(u64::try_from(START_MS / 1000).unwrap());
    claims.issued_at = Some(start);
    claims.invalid_before = Some(start);
    claims.expires_at = Some(start + Duration::from_secs(86_400).into());
    key.sign(claims).unwrap()
}

fn status(app: &Appliance, token: &str) -> u16 {
    app.send("GET", &format!("/api/connector/dequeue/{EXPORT}"), &[("Authorization", &format!("Bearer {token}"))], b"").status
}

#[track_caller]
fn becomes(app: &Appliance, token: &str, wanted: u16) {
    let begun = Instant::now();
    while status(app, token) != wanted {
        assert!(begun.elapsed() < Duration::from_secs(30), "it stays {}: {}", status(app, token), app.log());
        std::thread::yield_now();
    }
}

fn start(issuer: &Issuer) -> Appliance {
    Appliance::start(&format!(
        "[[issuer]]\nissuer = \"{ISSUER}\"\naudience = [\"http://exchange.test/\"]\njwks = \"{}\"\njwks_authority = {:?}\n{}",
        issuer.url,
        issuer.authority,
        groups("")
    ))
}

#[test]
fn keys_come_by_url_are_renewed_when_they_change_and_outlast_their_issuer() {
    let (one, two) = (key("one"), key("two"));
    let issuer = issuer();
    issuer.serve_keys(&[&one]);
    let mut app = start(&issuer);
    becomes(&app, &token(&one, "appid"), 204);
    assert_eq!(status(&app, &token(&one, "azp")), 204);
    assert_eq!(status(&app, &token(&two, "appid")), 401);
    // The issuer signs with a new key, and no longer with the old one.
    issuer.serve_keys(&[&two]);
    app.advance(Duration::from_secs(61));
    becomes(&app, &token(&two, "appid"), 204);
    assert_eq!(status(&app, &token(&one, "appid")), 401);
    // The issuer is gone: what was fetched is here after a restart.
    issuer.serve("503 Gone fishing", "");
    app.kill_and_restart();
    assert_eq!(status(&app, &token(&two, "appid")), 204);
}

#[test]
fn a_set_that_cannot_be_used_replaces_nothing_and_strangers_do_not_make_us_ask() {
    let one = key("one");
    let issuer = issuer();
    issuer.serve_keys(&[&one]);
    let mut app = start(&issuer);
    becomes(&app, &token(&one, "appid"), 204);
    let asked = || *issuer.asked.lock().unwrap();
    let before = asked();
    for number in 0..50 {
        assert_eq!(status(&app, &token(&key(&format!("unknown {number}")), "appid")), 401);
    }
    assert_eq!(asked(), before, "not within a minute of the last time");
    for (status_line, body) in [
        ("302 Found\r\nLocation: http://127.0.0.1:1/", ""),
        ("200 OK", "{\"keys\":[]}"),
        ("200 OK", "no keys"),
        ("200 OK", &"x".repeat(2 << 20)),
    ] {
        issuer.serve(status_line, body);
        let count = asked();
        app.advance(Duration::from_secs(3601));
        let begun = Instant::now();
        while asked() == count {
            assert!(begun.elapsed() < Duration::from_secs(30), "it is asked again in time");
            std::thread::yield_now();
        }
        // A day's token, and hours have passed: the key is what is looked at.
        assert_eq!(status(&app, &token(&one, "appid")), 204, "{status_line}");
    }
    let begun = Instant::now();
    while app.log().matches("keys not renewed").count() < 4 {
        assert!(begun.elapsed() < Duration::from_secs(30), "each failure is told: {}", app.log());
        std::thread::yield_now();
    }
}

#[test]
fn an_appliance_starts_without_its_issuer_and_refuses_its_tokens_until_the_keys_are_here() {
    let one = key("one");
    let issuer = issuer();
    issuer.serve("500 Not today", "");
    let mut app = start(&issuer);
    assert_eq!(status(&app, &token(&one, "appid")), 401);
    issuer.serve_keys(&[&one]);
    app.advance(Duration::from_secs(61));
    becomes(&app, &token(&one, "appid"), 204);
}
