use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use jwt_simple::prelude::{Claims, ECDSAP256KeyPairLike, ES256KeyPair, RS256KeyPair, RSAKeyPairLike, UnixTimeStamp};
use proptest::prelude::*;
use serde_json::Value;

use super::keyring::Keyring;
use super::oauth::{self, Request};
use super::token::{self, TOKEN_LIFETIME, Version};
use super::verify::{Outside, Verifier};
use super::{discovery, secret};
use crate::config::Application;
use crate::model::id::ApplicationId;
use crate::model::time::Timestamp;

const NOW: Timestamp = Timestamp(1_800_000_000_000);
const BASE: &str = "https://exchange.example.com";
const ID: &str = "7f4c1b0e-2a57-4d7c-9f0a-5f1b6a0c9b11";

struct Ring(Keyring, #[expect(dead_code, reason = "held so that the directory lives as long as the ring")] tempfile::TempDir);

fn ring() -> Ring {
    let dir = tempfile::tempdir().unwrap();
    Ring(Keyring::open(dir.path(), NOW, 0).unwrap(), dir)
}

fn id() -> ApplicationId {
    ID.parse().unwrap()
}

fn applications(given: &str) -> Vec<Application> {
    let application = |id: &str, enabled| Application {
        id: id.parse().unwrap(),
        name: "Web shop".into(),
        secret_hash: Some(secret::hash(given)),
        enabled,
    };
    vec![application(ID, true), application("00000000-0000-0000-0000-000000000002", false)]
}

fn later(seconds: i64) -> Timestamp {
    Timestamp(NOW.0 + seconds * 1000)
}

fn token(ring: &Ring, audience: &str, version: Version) -> String {
    token::issue(&ring.0, BASE, id(), audience, version, NOW).unwrap()["access_token"].as_str().unwrap().to_owned()
}

fn verifier(ring: &Ring) -> Verifier {
    Verifier::new(&ring.0, &[BASE.into()], Vec::new())
}

#[test]
fn our_tokens_are_good_until_they_expire_with_a_minute_of_leeway() {
    let ring = ring();
    for version in [Version::V1, Version::V2] {
        for audience in [BASE, "https://exchange.example.com/", "HTTPS://Exchange.Example.com"] {
            let token = token(&ring, audience, version);
            assert_eq!(verifier(&ring).verify(&token, NOW).unwrap().application, id());
            let lifetime = TOKEN_LIFETIME.as_secs() as i64;
            for (cached, verifier) in [(false, verifier(&ring)), (true, verifier(&ring))] {
                if cached {
                    verifier.verify(&token, NOW).unwrap();
                }
                assert!(verifier.verify(&token, later(lifetime + 50)).is_ok());
                assert!(verifier.verify(&token, later(lifetime + 70)).unwrap_err().0.contains("expired"));
            }
            assert!(verifier(&ring).verify(&token, later(-50)).is_ok());
            assert!(verifier(&ring).verify(&token, later(-3600)).is_err());
        }
    }
}

#[test]
fn a_token_that_was_tampered_with_is_refused() {
    let ring = ring();
    let good = token(&ring, BASE, Version::V1);
    let parts: Vec<&str> = good.split('.').collect();
    let claims = String::from_utf8(URL_SAFE_NO_PAD.decode(parts[1]).unwrap()).unwrap();
    let with_header = |header: &str| format!("{}.{}.{}", URL_SAFE_NO_PAD.encode(header), parts[1], parts[2]);
    let other = claims.replace(ID, "00000000-0000-0000-0000-000000000003");
    let stranger = Ring(Keyring::open(tempfile::tempdir().unwrap().path(), NOW, 0).unwrap(), tempfile::tempdir().unwrap());
    let bad = [
        format!("{}.{}.{}", parts[0], URL_SAFE_NO_PAD.encode(other), parts[2]),
        with_header(r#"{"alg":"none","typ":"JWT"}"#),
        format!("{}.{}.", URL_SAFE_NO_PAD.encode(r#"{"alg":"none"}"#), parts[1]),
        with_header(r#"{"alg":"HS256","typ":"JWT"}"#),
        with_header(r#"{"alg":"ES256","kid":"another"}"#),
        token(&stranger, BASE, Version::V1),
        token(&ring, "https://another.example.com", Version::V1),
        good.replace('.', ""),
        good[..good.len() - 8].to_owned(),
        String::new(),
        "a.b.c".into(),
        "x".repeat(20_000),
    ];
    for token in bad {
        let refusal = verifier(&ring).verify(&token, NOW).expect_err(&token);
        assert!(!refusal.0.is_empty());
    }
}

#[test]
fn a_rotated_key_still_verifies_until_its_last_token_is_dead_and_is_then_removed() {
    let dir = tempfile::tempdir().unwrap();
    let lifetime = 3_600_000;
    let mut keyring = Keyring::open(dir.path(), NOW, lifetime).unwrap();
    let old = token::issue(&keyring, BASE, id(), BASE, Version::V2, NOW).unwrap()["access_token"].as_str().unwrap().to_owned();
    keyring.rotate(dir.path(), later(10)).unwrap();
    assert_eq!(keyring.jwks()["keys"].as_array().unwrap().len(), 2);
    let again = Keyring::open(dir.path(), later(20), lifetime).unwrap();
    assert_eq!(again.newest().id, keyring.newest().id, "the newest signs after a restart too");
    assert!(Verifier::new(&again, &[BASE.into()], Vec::new()).verify(&old, later(20)).is_ok());
    let much_later = Keyring::open(dir.path(), later(3700), lifetime).unwrap();
    assert_eq!(much_later.keys().len(), 1);
    assert_eq!(much_later.newest().id, keyring.newest().id);
    #[cfg(unix)]
    for entry in std::fs::read_dir(dir.path().join("keys")).unwrap() {
        use std::os::unix::fs::PermissionsExt;
        assert_eq!(entry.unwrap().metadata().unwrap().permissions().mode() & 0o777, 0o600);
    }
}

#[test]
fn a_damaged_key_file_is_named() {
    let dir = tempfile::tempdir().unwrap();
    drop(Keyring::open(dir.path(), NOW, 0).unwrap());
    let path = std::fs::read_dir(dir.path().join("keys")).unwrap().next().unwrap().unwrap().path();
    std::fs::write(&path, "not a key").unwrap();
    let error = Keyring::open(dir.path(), NOW, 0).err().unwrap().to_string();
    assert!(error.contains(path.to_str().unwrap()) && error.contains("hint:"), "{error}");
}

#[test]
fn tokens_of_a_configured_issuer_are_accepted_and_of_no_other() {
    let ring = ring();
    let entra = "https://sts.windows.net/11111111-2222-3333-4444-555555555555/";
    let rsa = RS256KeyPair::generate(2048).unwrap().with_key_id("k1");
    let ec = ES256KeyPair::generate().with_key_id("k2");
    let der = rsa.public_key().to_jwk();
    let mut rsa_jwk: Value = serde_json::from_str(&der).unwrap();
    rsa_jwk["kid"] = "k1".into();
    rsa_jwk["x5c"] = serde_json::json!(["ignored"]);
    let mut ec_jwk: Value = serde_json::from_str(&ec.public_key().to_jwk()).unwrap();
    ec_jwk["kid"] = "k2".into();
    let jwks = serde_json::json!({ "keys": [rsa_jwk, ec_jwk, { "kty": "oct", "k": "AAAA" }] }).to_string();
    let outside = || Outside::new(entra, &[BASE.into()], &jwks).unwrap();
    let verifier = Verifier::new(&ring.0, &[BASE.into()], vec![outside()]);
    let claims = |issuer: &str, audience: &str| {
        let app = token::AppClaims { appid: Some(ID.into()), ..Default::default() };
        let mut claims =
            Claims::with_custom_claims(app, jwt_simple::prelude::Duration::from_secs(60)).with_issuer(issuer).with_audience(audience);
        claims.issued_at = Some(UnixTimeStamp::from_secs(NOW.seconds() as u64));
        claims.invalid_before = None;
        claims.expires_at = Some(UnixTimeStamp::from_secs(NOW.seconds() as u64 + 600));
        claims
    };
    assert_eq!(verifier.verify(&rsa.sign(claims(entra, BASE)).unwrap(), NOW).unwrap().application, id());
    assert_eq!(verifier.verify(&ec.sign(claims(entra, &format!("{BASE}/"))).unwrap(), NOW).unwrap().application, id());
    assert!(
        verifier.verify(&rsa.sign(claims("https://sts.windows.net/other/", BASE)).unwrap(), NOW).unwrap_err().0.contains("not accepted")
    );
    assert!(verifier.verify(&rsa.sign(claims(entra, "https://other")).unwrap(), NOW).unwrap_err().0.contains("another service"));
    assert!(verifier.verify(&ec.sign(claims(&token::issuer(BASE), BASE)).unwrap(), NOW).is_err(), "an outside key can not speak as us");
    for bad in ["", "[]", "{}", r#"{"keys":[]}"#, r#"{"keys":[{"kty":"RSA","n":"!","e":"!"}]}"#] {
        assert!(Outside::new(entra, &[], bad).is_err(), "{bad}");
    }
}

fn ask(ring: &Ring, version: Version, body: &str, authorization: Option<&str>) -> oauth::Answer {
    let audiences = [BASE.to_owned(), "http://127.0.0.1:8420".to_owned()];
    oauth::answer(&Request { body: body.as_bytes(), authorization, version }, &ring.0, &audiences, &applications("s+e cret"), NOW)
}

#[test]
fn both_token_endpoints_answer_in_their_shapes() {
    let ring = ring();
    let resource = "https%3A%2F%2Fexchange.example.com";
    let v1 = ask(
        &ring,
        Version::V1,
        &format!("resource={resource}&client_secret=s%2Be+cret&extra=1&grant_type=client_credentials&client_id={ID}"),
        None,
    );
    assert_eq!(v1.status, 200, "{:?}", v1.json);
    for (name, is_text) in [
        ("token_type", true),
        ("expires_in", true),
        ("ext_expires_in", true),
        ("expires_on", true),
        ("not_before", true),
        ("resource", true),
        ("access_token", true),
    ] {
        assert_eq!(v1.json[name].is_string(), is_text, "{name}");
    }
    assert!(verifier(&ring).verify(v1.json["access_token"].as_str().unwrap(), NOW).is_ok());
    let basic = format!("Basic {}", STANDARD.encode(format!("{ID}:s%2Be+cret")));
    let v2 = ask(&ring, Version::V2, &format!("grant_type=client_credentials&scope={resource}%2F.default"), Some(&basic));
    assert_eq!(v2.status, 200, "{:?}", v2.json);
    assert_eq!(v2.json["expires_in"], 3600);
    assert_eq!(ask(&ring, Version::V2, "grant_type=client_credentials", Some(&basic)).status, 200, "without scope: our own");
}

#[test]
fn each_faulty_token_request_gets_its_error() {
    let ring = ring();
    let good = format!("grant_type=client_credentials&client_id={ID}&client_secret=s%2Be+cret");
    let basic = format!("Basic {}", STANDARD.encode(format!("{ID}:s%2Be+cret")));
    let table: &[(String, Option<&str>, u16, &str)] = &[
        ("".into(), None, 400, "invalid_request"),
        ("grant_type=password".into(), None, 400, "unsupported_grant_type"),
        (format!("{good}&client_id={ID}"), None, 400, "invalid_request"),
        (good.replace("+cret", "+wrong"), None, 401, "invalid_client"),
        (good.replace(ID, "not-a-guid"), None, 401, "invalid_client"),
        (good.replace(ID, "00000000-0000-0000-0000-000000000009"), None, 401, "invalid_client"),
        (good.replace(ID, "00000000-0000-0000-0000-000000000002"), None, 401, "invalid_client"),
        (format!("{good}&resource=https%3A%2F%2Fother"), None, 400, "invalid_resource"),
        (good.clone(), Some(&basic), 400, "invalid_request"),
        ("grant_type=client_credentials".into(), Some("Basic !!!"), 400, "invalid_request"),
        ("grant_type=client_credentials".into(), Some("Bearer x"), 400, "invalid_request"),
        ("grant_type=%zz".into(), None, 400, "invalid_request"),
        (format!("grant_type=client_credentials&client_id={ID}"), None, 400, "invalid_request"),
    ];
    for (body, authorization, status, error) in table {
        let answer = ask(&ring, Version::V1, body, *authorization);
        assert_eq!((answer.status, answer.json["error"].as_str().unwrap()), (*status, *error), "{body}");
        assert_eq!(answer.challenge, *status == 401);
    }
    let unknown = ask(&ring, Version::V1, &good.replace(ID, "00000000-0000-0000-0000-000000000009"), None);
    let wrong = ask(&ring, Version::V1, &good.replace("+cret", "+wrong"), None);
    assert_eq!(unknown.json, wrong.json, "an unknown client and a wrong secret are told apart by nobody");
    let scope = ask(&ring, Version::V2, &format!("{good}&scope=openid"), None);
    assert_eq!(scope.json["error"], "invalid_scope");
}

#[test]
fn discovery_stays_on_the_host_that_was_asked() {
    let base = "http://127.0.0.1:8420";
    let instance = discovery::instance(base, "1.0");
    assert!(instance["tenant_discovery_endpoint"].as_str().unwrap().starts_with(base));
    for (tenant, v2) in [("common", true), ("contoso.com", false)] {
        let document = discovery::openid_configuration(base, tenant, v2);
        for name in ["issuer", "authorization_endpoint", "token_endpoint", "jwks_uri"] {
            assert!(document[name].as_str().unwrap().starts_with(base), "{name}");
        }
        assert_eq!(document["token_endpoint"].as_str().unwrap().contains("v2.0"), v2);
    }
}

#[test]
fn a_hash_reads_back_and_nothing_else_is_one() {
    let given = secret::generate();
    let hash = secret::parse_hash(&secret::hash_text(&given)).unwrap();
    assert!(secret::matches(&given, &hash) && !secret::matches("other", &hash));
    for bad in ["", "sha256:", "sha256:zz", "md5:00", &format!("sha256:{}", "é".repeat(32))] {
        assert_eq!(secret::parse_hash(bad), None, "{bad}");
    }
}

proptest! {
    #[test]
    fn hostile_bytes_never_panic(body in proptest::collection::vec(any::<u8>(), 0..200), text in "\\PC{0,80}") {
        let _ = oauth::parse_form(&body);
        let _ = oauth::decode(&text);
        let _ = secret::parse_hash(&text);
        let ring_dir = tempfile::tempdir().unwrap();
        let keyring = Keyring::open(ring_dir.path(), NOW, 0).unwrap();
        let _ = oauth::answer(&Request { body: &body, authorization: Some(&text), version: Version::V1 }, &keyring, &[BASE.into()], &[], NOW);
        let _ = Verifier::new(&keyring, &[BASE.into()], Vec::new()).verify(&text, NOW);
    }
}
