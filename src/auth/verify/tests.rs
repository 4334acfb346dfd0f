//! Good and bad tokens, ours and those of outside issuers.

use std::time::Duration;

use jwt_simple::algorithms::{
    ECDSAP256KeyPairLike, ECDSAP384KeyPairLike, ES256KeyPair, ES384KeyPair, HS256Key, MACLike, PS256KeyPair, RS256KeyPair, RS384KeyPair,
    RS512KeyPair, RSAKeyPairLike,
};
use jwt_simple::claims::JWTClaims;
use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::auth::keyring::TOKEN_LIFETIME_MAX;
use crate::auth::test_keys::RSA_PRIVATE_KEY;
use crate::auth::token::{TOKEN_LIFETIME, Wish, issue};

const NOW: Timestamp = Timestamp(1_795_000_000_000);
const SECONDS: i64 = 1_795_000_000;
const BASE: &str = "https://exchange.example.com";
const ENTRA: &str = "https://sts.windows.net/6babcaad-604b-40ac-a9d7-9fd97c0b779f/";
const APPLICATION: &str = "7f4c1b0e-2a57-4d7c-9f0a-5f1b6a0c9b11";

struct Fixture {
    _scratch: tempfile::TempDir,
    keyring: Arc<Keyring>,
    verifier: Verifier,
}

impl Fixture {
    fn new(outside: Vec<OutsideIssuer>) -> Self {
        let scratch = tempfile::tempdir().unwrap();
        let keyring = Arc::new(Keyring::open(scratch.path(), NOW).unwrap());
        let verifier = Verifier::new(keyring.clone(), BASE, [BASE, "http://127.0.0.1:8420"], outside).unwrap();
        Fixture { _scratch: scratch, keyring, verifier }
    }

    fn issue(&self, version: Version) -> String {
        let wish = Wish { application: id(), person: None, audience: BASE, version, lifetime: TOKEN_LIFETIME };
        issue(&self.keyring, BASE, &wish, NOW).unwrap().access_token
    }

    /// Signs any claims with our key.
    fn sign(&self, claims: &Value) -> String {
        self.keyring.sign_with(|pair| pair.sign(bare(claims))).unwrap()
    }

    #[track_caller]
    fn assert_refused(&self, token: &str, now: Timestamp, reason: &str) -> Refusal {
        let refusal = self.verifier.verify(token, now).unwrap_err();
        assert!(refusal.reason.contains(reason), "expected {reason:?} in {:?}", refusal.reason);
        assert_eq!(refusal.code, Some("invalid_token"));
        assert!(token.len() < 20 || !refusal.reason.contains(token), "a refusal never holds the token");
        refusal
    }
}

fn id() -> ApplicationId {
    APPLICATION.parse().unwrap()
}

/// Claims exactly as given: none of the library's own are added.
fn bare(claims: &Value) -> JWTClaims<Value> {
    JWTClaims {
        issued_at: None,
        expires_at: None,
        invalid_before: None,
        issuer: None,
        subject: None,
        audiences: None,
        jwt_id: None,
        nonce: None,
        custom: {
            let mut claims = claims.clone();
            // Null stands for a claim that is left out.
            claims.as_object_mut().unwrap().retain(|_, value| !value.is_null());
            claims
        },
    }
}

fn own_claims() -> Value {
    json!({
        "iss": issuer(BASE, Version::V1), "aud": BASE, "appid": APPLICATION,
        "iat": SECONDS, "nbf": SECONDS, "exp": SECONDS + 3600,
    })
}

fn outside_claims() -> Value {
    json!({
        "iss": ENTRA, "aud": BASE, "appid": APPLICATION, "ver": "1.0",
        "iat": SECONDS, "nbf": SECONDS, "exp": SECONDS + 3600,
    })
}

fn with(mut claims: Value, name: &str, value: Value) -> Value {
    claims[name] = value;
    claims
}

fn entra(keys: &[Value]) -> OutsideIssuer {
    OutsideIssuer::new(ENTRA, &[format!("{BASE}/")], &json!({ "keys": keys }).to_string()).unwrap()
}

fn rsa() -> RS256KeyPair {
    RS256KeyPair::from_pem(RSA_PRIVATE_KEY).unwrap().with_key_id("rsa-1")
}

/// A JWK as Entra ID publishes it: no `alg`, extra members.
fn rsa_jwk(kid: &str) -> Value {
    let mut jwk: Value = serde_json::from_str(&rsa().public_key().to_jwk()).unwrap();
    jwk.as_object_mut().unwrap().remove("alg");
    jwk["kid"] = json!(kid);
    jwk["x5t"] = json!(kid);
    jwk["x5c"] = json!(["MIIC"]);
    jwk
}

fn encode(value: &Value) -> String {
    URL_SAFE_NO_PAD.encode(value.to_string())
}

/// The token with another part in its place.
fn replace(token: &str, index: usize, part: &str) -> String {
    let mut parts: Vec<&str> = token.split('.').collect();
    parts[index] = part;
    parts.join(".")
}

#[test]
fn our_own_tokens_of_both_versions_are_good() {
    let fixture = Fixture::new(vec![]);
    for version in [Version::V1, Version::V2] {
        let token = fixture.issue(version);
        let expected = Caller { application: id(), issuer: issuer(BASE, version).into(), expires_at: NOW.plus(TOKEN_LIFETIME) };
        for _ in 0..2 {
            assert_eq!(fixture.verifier.verify(&token, NOW), Ok(expected.clone()), "checked first, then recalled");
        }
    }
    assert_eq!(fixture.verifier.verdicts.len(), 2);
}

#[test]
fn a_token_that_was_tampered_with_is_refused() {
    let fixture = Fixture::new(vec![]);
    let token = fixture.issue(Version::V1);
    fixture.verifier.verify(&token, NOW).unwrap();
    let claims = with(own_claims(), "appid", json!("00000000-0000-0000-0000-000000000001"));
    fixture.assert_refused(&replace(&token, 1, &encode(&claims)), NOW, "signature is wrong");
    let signature = token.rsplit('.').next().unwrap();
    let flipped = format!("{}{}", if signature.starts_with('A') { 'B' } else { 'A' }, &signature[1..]);
    fixture.assert_refused(&replace(&token, 2, &flipped), NOW, "signature is wrong");
    fixture.assert_refused(&replace(&token, 2, ""), NOW, "signature is wrong");
    // 64 zero bytes: r = s = 0, which some implementations took for a signature of anything.
    fixture.assert_refused(&replace(&token, 2, &URL_SAFE_NO_PAD.encode([0u8; 64])), NOW, "signature is wrong");
    // Every other last character: bits beyond the signature must be zero, so that a token has one spelling.
    let (rest, last) = token.split_at(token.len() - 1);
    for other in "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_".chars().filter(|other| !last.starts_with(*other)) {
        assert!(fixture.verifier.verify(&format!("{rest}{other}"), NOW).is_err(), "{other}");
    }
    assert_eq!(fixture.verifier.verdicts.len(), 1, "bad tokens are not remembered");
}

#[test]
fn a_token_of_another_form_is_refused() {
    let fixture = Fixture::new(vec![]);
    let token = fixture.issue(Version::V1);
    for (text, reason) in [
        (String::new(), "three parts"),
        ("x".into(), "three parts"),
        (format!("{token}."), "three parts"),
        (format!("{token}.x.y"), "three parts"),
        (format!(" {token}"), "not base64url"),
        (format!("{token} "), "can not be understood"),
        (format!("{token}="), "can not be understood"),
        (replace(&token, 0, ""), "header"),
        (replace(&token, 0, &encode(&json!([]))), "header"),
        (replace(&token, 0, &encode(&json!({ "kid": "x" }))), "header"),
        (replace(&token, 1, &encode(&json!({ "aud": 5 }))), "claims"),
        (replace(&token, 1, &URL_SAFE_NO_PAD.encode("{\"iss\":\"a\",\"iss\":\"b\"}")), "claims"),
        (replace(&token, 1, &encode(&json!({}))), "names no issuer"),
        ("a".repeat(TOKEN_BYTES_MAX + 1), "longer than 16384 bytes"),
    ] {
        fixture.assert_refused(&text, NOW, reason);
    }
}

#[test]
fn only_es256_is_our_algorithm_whatever_the_header_says() {
    let fixture = Fixture::new(vec![]);
    let kid = fixture.keyring.current_key_id();
    let token = fixture.issue(Version::V1);
    for (alg, reason) in [
        ("none", "\"none\" is not accepted"),
        ("None", "\"None\" is not accepted"),
        ("", "\"\" is not accepted"),
        ("HS256", "\"HS256\" is not accepted"),
        ("es256", "\"es256\" is not accepted"),
        ("EdDSA", "\"EdDSA\" is not accepted"),
        ("RS256", "RS256 is not ours"),
        ("ES384", "ES384 is not ours"),
    ] {
        let header = encode(&json!({ "alg": alg, "typ": "JWT", "kid": kid }));
        fixture.assert_refused(&replace(&token, 0, &header), NOW, reason);
        let unsigned = format!("{header}.{}.", encode(&own_claims()));
        fixture.assert_refused(&unsigned, NOW, reason);
    }
    // The classic: an HMAC with the public key as its secret.
    let public = fixture.keyring.public_key(&kid, NOW).unwrap();
    for secret in [public.to_pem().unwrap().into_bytes(), public.to_der().unwrap(), public.to_bytes()] {
        let forged = HS256Key::from_bytes(&secret).with_key_id(&kid).authenticate(bare(&own_claims())).unwrap();
        fixture.assert_refused(&forged, NOW, "\"HS256\" is not accepted");
    }
}

#[test]
fn a_critical_header_that_we_do_not_know_is_refused() {
    let fixture = Fixture::new(vec![]);
    let token = fixture.issue(Version::V1);
    let header = json!({ "alg": "ES256", "kid": fixture.keyring.current_key_id(), "crit": ["b64"], "b64": false });
    fixture.assert_refused(&replace(&token, 0, &encode(&header)), NOW, "critical");
}

#[test]
fn a_key_that_is_not_ours_is_refused() {
    let fixture = Fixture::new(vec![]);
    let stranger = ES256KeyPair::generate().with_key_id("stranger");
    fixture.assert_refused(&stranger.sign(bare(&own_claims())).unwrap(), NOW, "no longer in use");
    let impostor = ES256KeyPair::generate().with_key_id(&fixture.keyring.current_key_id());
    fixture.assert_refused(&impostor.sign(bare(&own_claims())).unwrap(), NOW, "signature is wrong");
    let nameless = ES256KeyPair::generate();
    fixture.assert_refused(&nameless.sign(bare(&own_claims())).unwrap(), NOW, "no longer in use");
}

#[test]
fn times_are_checked_with_a_leeway_of_a_minute_to_the_second() {
    let fixture = Fixture::new(vec![]);
    let at = |seconds: i64| Timestamp((SECONDS + seconds) * 1000);
    // (claim, its offset, now's offset, good)
    for (name, offset, now, good) in [
        ("exp", 3600, 3600, true),
        ("exp", 3600, 3659, true),
        ("exp", 3600, 3660, false),
        ("exp", 3600, 1_000_000, false),
        ("nbf", 0, -60, true),
        ("nbf", 0, -61, false),
        ("iat", 100, 40, true),
        ("iat", 100, 39, false),
    ] {
        let early = with(with(own_claims(), "iat", json!(SECONDS - 1000)), "nbf", json!(SECONDS - 1000));
        let token = fixture.sign(&with(early, name, json!(SECONDS + offset)));
        let result = fixture.verifier.verify(&token, at(now));
        assert_eq!(result.is_ok(), good, "{name} {offset} at {now}: {result:?}");
        if let Err(refusal) = result {
            assert_eq!(refusal.expired, name == "exp", "{name}");
        }
    }
}

#[test]
fn an_expired_token_says_since_when() {
    let fixture = Fixture::new(vec![]);
    let refusal = fixture.assert_refused(&fixture.issue(Version::V2), NOW.plus(Duration::from_secs(3660)), "over at 2026-11-18T");
    assert!(refusal.expired);
    assert!(
        refusal.www_authenticate().starts_with("Bearer realm=\"entrepot\", error=\"invalid_token\", error_description=\"the access token")
    );
}

#[test]
fn strange_dates_are_taken_for_what_they_mean() {
    let fixture = Fixture::new(vec![]);
    for (name, value, reason) in [
        ("exp", json!(SECONDS as f64 + 3600.5), None),
        ("exp", json!(1e300), None),
        ("exp", json!(u64::MAX), None),
        ("exp", json!(4_294_967_296u64 + 5), None),
        ("exp", Value::Null, Some("does not say when it is over")),
        ("exp", json!(0), Some("over at 1970-01-01")),
        ("exp", json!("2030-01-01"), Some("can not be understood")),
        ("nbf", json!(u64::MAX), Some("not valid before")),
        ("iat", Value::Null, None),
        ("nbf", Value::Null, None),
    ] {
        let token = fixture.sign(&with(own_claims(), name, value.clone()));
        match reason {
            None => assert!(fixture.verifier.verify(&token, NOW).is_ok(), "{name} = {value}: {:?}", fixture.verifier.verify(&token, NOW)),
            Some(reason) => drop(fixture.assert_refused(&token, NOW, reason)),
        }
    }
}

#[test]
fn the_audience_is_ours_in_any_of_its_spellings_and_no_other() {
    let fixture = Fixture::new(vec![]);
    for (audience, good) in [
        (json!(BASE), true),
        (json!("https://exchange.example.com/"), true),
        (json!("https://EXCHANGE.example.com"), true),
        (json!("http://127.0.0.1:8420/"), true),
        (json!(["https://other.example", BASE]), true),
        (json!(["https://other.example"]), false),
        (json!("https://exchange.example.com.evil.example"), false),
        (json!("http://exchange.example.com"), false),
        (json!([]), false),
        (json!(""), false),
        (Value::Null, false),
    ] {
        let token = fixture.sign(&with(own_claims(), "aud", audience.clone()));
        assert_eq!(fixture.verifier.verify(&token, NOW).is_ok(), good, "{audience}");
    }
    let token = fixture.sign(&with(own_claims(), "aud", json!("https://graph.microsoft.com")));
    fixture.assert_refused(&token, NOW, "is for \"https://graph.microsoft.com\", not for this server");
}

#[test]
fn the_issuer_of_our_own_keys_can_only_be_ourselves() {
    let fixture = Fixture::new(vec![entra(&[rsa_jwk("rsa-1")])]);
    fixture.assert_refused(
        &fixture.sign(&with(own_claims(), "iss", json!("https://evil.example/"))),
        NOW,
        "\"https://evil.example/\", which is not accepted",
    );
    // Signed by us in the name of another: that one's keys are asked.
    fixture.assert_refused(&fixture.sign(&outside_claims()), NOW, "not in the key set of its issuer");
    // Signed by another in our name: our keys are asked.
    fixture.assert_refused(&rsa().sign(bare(&own_claims())).unwrap(), NOW, "RS256 is not ours");
}

#[test]
fn the_application_is_named_once_by_a_guid() {
    let fixture = Fixture::new(vec![]);
    let nameless = with(own_claims(), "appid", Value::Null);
    let other = "7f4c1b0e-2a57-4d7c-9f0a-5f1b6a0c9b12";
    for (claims, reason) in [
        (own_claims(), None),
        (with(nameless.clone(), "azp", json!(APPLICATION.to_uppercase())), None),
        (with(nameless.clone(), "client_id", json!(APPLICATION)), None),
        (with(own_claims(), "client_id", json!(other)), None),
        (nameless.clone(), Some("names no application")),
        (with(own_claims(), "azp", json!(other)), Some("names two applications")),
        (with(nameless, "azp", json!("web-shop")), Some("azp \"web-shop\" is not a GUID")),
    ] {
        let token = fixture.sign(&claims);
        match reason {
            None => assert_eq!(fixture.verifier.verify(&token, NOW).map(|caller| caller.application), Ok(id()), "{claims}"),
            Some(reason) => drop(fixture.assert_refused(&token, NOW, reason)),
        }
    }
}

#[test]
fn tokens_of_before_a_rotation_are_good_and_tokens_of_a_forgotten_key_are_not_even_if_remembered() {
    let fixture = Fixture::new(vec![]);
    let before = fixture.issue(Version::V1);
    fixture.verifier.verify(&before, NOW).unwrap();
    fixture.keyring.rotate(NOW).unwrap();
    let after = fixture.issue(Version::V1);
    fixture.verifier.verify(&before, NOW).unwrap();
    fixture.verifier.verify(&after, NOW).unwrap();
    fixture.keyring.forget_previous().unwrap();
    fixture.assert_refused(&before, NOW, "no longer in use");
    fixture.verifier.verify(&after, NOW).unwrap();
}

#[test]
fn a_retired_key_is_refused_once_its_tokens_are_over_even_without_a_restart() {
    let fixture = Fixture::new(vec![]);
    // A token that claims a longer life than we give: as if the bound had been longer once.
    let token = fixture.sign(&with(own_claims(), "exp", json!(SECONDS + 10 * 86_400)));
    fixture.keyring.rotate(NOW).unwrap();
    let over = NOW.plus(TOKEN_LIFETIME_MAX).plus(LEEWAY);
    assert!(fixture.verifier.verify(&token, over).is_ok());
    let fresh = Verifier::new(fixture.keyring.clone(), BASE, [BASE], vec![]).unwrap();
    assert!(fresh.verify(&token, over.plus(Duration::from_secs(1))).unwrap_err().reason.contains("no longer in use"));
}

#[test]
fn tokens_of_an_outside_issuer_are_good_with_every_accepted_algorithm() {
    let p256 = ES256KeyPair::generate().with_key_id("p256");
    let p384 = ES384KeyPair::generate().with_key_id("p384");
    let jwk = |text: String| serde_json::from_str::<Value>(&text).unwrap();
    let fixture = Fixture::new(vec![entra(&[rsa_jwk("rsa-1"), jwk(p256.public_key().to_jwk()), jwk(p384.public_key().to_jwk())])]);
    let claims = || bare(&outside_claims());
    for (name, token) in [
        ("RS256", rsa().sign(claims())),
        ("RS384", RS384KeyPair::from_pem(RSA_PRIVATE_KEY).unwrap().with_key_id("rsa-1").sign(claims())),
        ("RS512", RS512KeyPair::from_pem(RSA_PRIVATE_KEY).unwrap().with_key_id("rsa-1").sign(claims())),
        ("PS256", PS256KeyPair::from_pem(RSA_PRIVATE_KEY).unwrap().with_key_id("rsa-1").sign(claims())),
        ("ES256", p256.sign(claims())),
        ("ES384", p384.sign(claims())),
        ("no kid", RS256KeyPair::from_pem(RSA_PRIVATE_KEY).unwrap().sign(claims())),
    ] {
        let token = token.unwrap();
        let caller = fixture.verifier.verify(&token, NOW);
        assert_eq!(caller.map(|caller| (caller.application, caller.issuer)), Ok((id(), ENTRA.into())), "{name}");
        let forged = replace(&token, 1, &encode(&with(outside_claims(), "sub", json!("x"))));
        fixture.assert_refused(&forged, NOW, "signature is wrong");
    }
}

#[test]
fn a_key_of_an_outside_issuer_is_used_only_as_its_issuer_says() {
    let mut only_rs256 = rsa_jwk("rsa-1");
    only_rs256["alg"] = json!("RS256");
    let fixture = Fixture::new(vec![entra(&[only_rs256])]);
    assert!(fixture.verifier.verify(&rsa().sign(bare(&outside_claims())).unwrap(), NOW).is_ok());
    let ps256 = PS256KeyPair::from_pem(RSA_PRIVATE_KEY).unwrap().with_key_id("rsa-1").sign(bare(&outside_claims())).unwrap();
    fixture.assert_refused(&ps256, NOW, "PS256 does not fit its key \"rsa-1\"");
    let es256 = ES256KeyPair::generate().with_key_id("rsa-1").sign(bare(&outside_claims())).unwrap();
    fixture.assert_refused(&es256, NOW, "ES256 does not fit its key \"rsa-1\"");
    let unknown = rsa().with_key_id("rsa-2").sign(bare(&outside_claims())).unwrap();
    fixture.assert_refused(&unknown, NOW, "signed by key \"rsa-2\", which is not in the key set");
    let hmac =
        HS256Key::from_bytes(&rsa().public_key().to_der().unwrap()).with_key_id("rsa-1").authenticate(bare(&outside_claims())).unwrap();
    fixture.assert_refused(&hmac, NOW, "\"HS256\" is not accepted");
}

#[test]
fn an_outside_issuer_has_its_own_audiences_and_the_same_times() {
    let issuer =
        OutsideIssuer::new(ENTRA.trim_end_matches('/'), &["api://entrepot".into()], &json!({ "keys": [rsa_jwk("rsa-1")] }).to_string());
    let fixture = Fixture::new(vec![issuer.unwrap()]);
    let sign = |claims: &Value| rsa().sign(bare(claims)).unwrap();
    assert!(fixture.verifier.verify(&sign(&with(outside_claims(), "aud", json!("api://entrepot/"))), NOW).is_ok());
    fixture.assert_refused(&sign(&outside_claims()), NOW, "not for this server");
    let late = sign(&with(outside_claims(), "aud", json!("api://entrepot")));
    assert!(fixture.assert_refused(&late, NOW.plus(Duration::from_secs(3660)), "was over at").expired);
}

#[test]
fn a_token_without_key_id_is_tried_on_a_bounded_number_of_keys() {
    let mut keys: Vec<Value> = (0..crate::auth::issuer::KEYS_TRIED_MAX)
        .map(|number| serde_json::from_str(&ES256KeyPair::generate().with_key_id(&number.to_string()).public_key().to_jwk()).unwrap())
        .collect();
    let last = ES256KeyPair::generate();
    keys.push(serde_json::from_str(&last.public_key().to_jwk()).unwrap());
    let token = last.sign(bare(&outside_claims())).unwrap();
    Fixture::new(vec![entra(&keys)]).assert_refused(&token, NOW, "signature is wrong");
    keys.remove(0);
    assert!(Fixture::new(vec![entra(&keys)]).verifier.verify(&token, NOW).is_ok());
}

#[test]
fn keys_that_can_not_be_used_are_left_out_with_a_note_and_a_set_of_none_is_an_error() {
    let ec: Value = serde_json::from_str(&ES256KeyPair::generate().public_key().to_jwk()).unwrap();
    let table = [
        (json!({ "kty": "oct", "k": "c2VjcmV0" }), "shared secret"),
        (json!({ "kty": "OKP", "crv": "Ed25519", "x": "AA" }), "key type \"OKP\""),
        (with(rsa_jwk("a"), "use", json!("enc")), "use is not \"sig\""),
        (with(rsa_jwk("a"), "key_ops", json!(["encrypt"])), "key_ops"),
        (with(rsa_jwk("a"), "alg", json!("HS256")), "algorithm \"HS256\" is not accepted"),
        (with(rsa_jwk("a"), "alg", json!("ES256")), "ES256 does not fit"),
        (with(rsa_jwk("a"), "n", json!("AQAB")), "refused"),
        (with(rsa_jwk("a"), "n", json!("")), "refused"),
        (with(rsa_jwk("a"), "n", json!("+/")), "\"n\" is not base64url"),
        (with(rsa_jwk("a"), "e", Value::Null), "\"e\" is missing"),
        (with(ec.clone(), "x", json!("AAAA")), "32 bytes"),
        (with(ec.clone(), "y", ec["x"].clone()), "refused"),
        (with(ec, "crv", json!("secp256k1")), "curve \"secp256k1\""),
        (json!(5), "not a JWK"),
    ];
    for (key, note) in &table {
        let text = json!({ "keys": [key] }).to_string();
        let error = OutsideIssuer::new(ENTRA, &[BASE.into()], &text).unwrap_err();
        assert!(matches!(error, IssuerError::NoUsableKey { .. }) && error.to_string().contains(note), "{key}: {error}");
    }
    let mut keys: Vec<Value> = table.iter().map(|(key, _)| key.clone()).collect();
    keys.push(rsa_jwk("rsa-1"));
    let issuer = entra(&keys);
    assert_eq!(issuer.skipped().len(), table.len());
    assert!(issuer.skipped()[0].starts_with("key 1: "), "{:?}", issuer.skipped());
    assert!(Fixture::new(vec![issuer]).verifier.verify(&rsa().sign(bare(&outside_claims())).unwrap(), NOW).is_ok());
}

#[test]
fn an_issuer_is_named_once_and_is_not_ourselves() {
    let scratch = tempfile::tempdir().unwrap();
    let keyring = Arc::new(Keyring::open(scratch.path(), NOW).unwrap());
    let new = |outside| Verifier::new(keyring.clone(), BASE, [BASE], outside).map(|_| ());
    assert_eq!(new(vec![entra(&[rsa_jwk("a")])]), Ok(()));
    assert!(matches!(new(vec![entra(&[rsa_jwk("a")]), entra(&[rsa_jwk("b")])]), Err(IssuerError::Twice { .. })));
    let jwks = json!({ "keys": [rsa_jwk("a")] }).to_string();
    let ourselves = OutsideIssuer::new(&issuer(BASE, Version::V2), &[BASE.into()], &jwks).unwrap();
    assert!(matches!(new(vec![ourselves]), Err(IssuerError::Twice { .. })));
    assert!(matches!(OutsideIssuer::new(ENTRA, &[], &jwks), Err(IssuerError::NoAudience { .. })));
    for text in ["", "[]", "{}", "{\"keys\":5}", "<html>"] {
        assert!(matches!(OutsideIssuer::new(ENTRA, &[BASE.into()], text), Err(IssuerError::NotAKeySet { .. })), "{text}");
    }
    let large = " ".repeat(crate::auth::issuer::JWKS_BYTES_MAX + 1);
    assert!(matches!(OutsideIssuer::new(ENTRA, &[BASE.into()], &large), Err(IssuerError::TooLarge { .. })));
    assert!(OutsideIssuer::new(ENTRA, &[BASE.into()], &format!("\u{feff}{jwks}")).is_ok());
}

#[test]
fn the_bearer_token_is_taken_from_the_header_in_any_case() {
    assert_eq!(bearer(Some("Bearer abc.def.ghi")).unwrap(), "abc.def.ghi");
    assert_eq!(bearer(Some("bEARER  abc ")).unwrap(), "abc");
    assert_eq!(bearer(Some("Bearer")).unwrap(), "");
    for header in [None, Some(""), Some("  ")] {
        let refusal = bearer(header).unwrap_err();
        assert_eq!((refusal.code, refusal.www_authenticate().as_str()), (None, "Bearer realm=\"entrepot\""));
    }
    let refusal = bearer(Some("Basic aWQ6c2VjcmV0")).unwrap_err();
    assert_eq!(refusal.code, Some("invalid_request"));
    assert!(!refusal.reason.contains("aWQ6"));
}

#[test]
fn a_hostile_issuer_can_not_break_out_of_the_challenge() {
    let fixture = Fixture::new(vec![]);
    let token = fixture.sign(&with(own_claims(), "iss", json!("x\"\r\nSet-Cookie: a=b\\é")));
    let header = fixture.assert_refused(&token, NOW, "not accepted").www_authenticate();
    let description = header.split_once("error_description=\"").unwrap().1.strip_suffix('"').unwrap();
    assert!(description.bytes().all(|byte| (0x20..0x7f).contains(&byte) && byte != b'"' && byte != b'\\'), "{header}");
    let long = fixture.sign(&with(own_claims(), "iss", json!("é".repeat(4000))));
    assert!(fixture.assert_refused(&long, NOW, "…").reason.len() < 500);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn any_text_is_a_token_or_refused(text in "[a-zA-Z0-9._=-]{0,80}|.{0,60}") {
        prop_assert!(PROPERTY.with(|fixture| fixture.verifier.verify(&text, NOW).is_err()));
        let _ = bearer(Some(&text));
    }

    #[test]
    fn any_header_and_claims_are_refused_without_our_signature(
        header in ".{0,60}", claims in ".{0,60}", signature in proptest::collection::vec(any::<u8>(), 0..70),
    ) {
        let token = [header.as_bytes(), claims.as_bytes(), &signature].map(|part| URL_SAFE_NO_PAD.encode(part)).join(".");
        prop_assert!(PROPERTY.with(|fixture| fixture.verifier.verify(&token, NOW).is_err()));
    }

    #[test]
    fn one_changed_character_makes_a_token_bad(place in any::<prop::sample::Index>(), to in "[a-zA-Z0-9_.-]") {
        PROPERTY.with(|fixture| {
            let token = fixture.issue(Version::V1);
            let place = place.index(token.len());
            let changed = format!("{}{to}{}", &token[..place], &token[place + 1..]);
            prop_assert_eq!(fixture.verifier.verify(&changed, NOW).is_ok(), changed == token);
            Ok(())
        })?;
    }

    #[test]
    fn signed_claims_of_any_shape_are_judged_without_a_panic(
        exp in any::<f64>(), nbf in any::<i64>(), aud in ".{0,20}", name in "iss|aud|exp|nbf|iat|appid|azp",
        odd in prop_oneof![Just(json!({})), Just(json!([1])), Just(json!(-1)), Just(json!(true)), Just(json!(f64::MAX))],
    ) {
        PROPERTY.with(|fixture| {
            let claims = with(with(with(own_claims(), "exp", json!(exp)), "nbf", json!(nbf)), "aud", json!(aud));
            let _ = fixture.verifier.verify(&fixture.sign(&claims), NOW);
            let _ = fixture.verifier.verify(&fixture.sign(&with(own_claims(), &name, odd)), NOW);
        });
    }

    #[test]
    fn any_text_is_a_key_set_or_refused(text in ".{0,80}", member in "kty|n|e|x|y|crv|alg|use|kid|key_ops", value in ".{0,20}") {
        let _ = OutsideIssuer::new(ENTRA, &[BASE.to_owned()], &text);
        let jwks = json!({ "keys": [with(rsa_jwk("a"), &member, json!(value))] }).to_string();
        let _ = OutsideIssuer::new(ENTRA, &[BASE.to_owned()], &jwks);
    }
}

thread_local! {
    static PROPERTY: Fixture = Fixture::new(vec![entra(&[rsa_jwk("rsa-1")])]);
}
