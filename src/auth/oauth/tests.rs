//! The token endpoint, request by request.

use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use proptest::prelude::*;

use super::*;
use crate::auth::token::TOKEN_LIFETIME;
use crate::auth::verify::Verifier;

const NOW: Timestamp = Timestamp(1_795_000_000_000);
const BASE: &str = "https://exchange.example.com";
const ID: &str = "7f4c1b0e-2a57-4d7c-9f0a-5f1b6a0c9b11";
const DISABLED: &str = "7f4c1b0e-2a57-4d7c-9f0a-5f1b6a0c9b12";
const SECRETLESS: &str = "7f4c1b0e-2a57-4d7c-9f0a-5f1b6a0c9b13";
const SECRET: &str = "s3cret-of_the+web shop";

struct Fixture {
    _scratch: tempfile::TempDir,
    keyring: Arc<Keyring>,
}

impl Fixture {
    fn new() -> Self {
        let scratch = tempfile::tempdir().unwrap();
        let keyring = Arc::new(Keyring::open(scratch.path(), NOW).unwrap());
        Fixture { _scratch: scratch, keyring }
    }

    fn answer(&self, version: Version, body: &[u8], authorization: Option<&str>) -> Answer {
        let client = |id: ApplicationId| {
            let hash = Some(secret::hash(SECRET));
            match id.to_string().as_str() {
                ID => Some(Client { secret_hash: hash, enabled: true }),
                DISABLED => Some(Client { secret_hash: hash, enabled: false }),
                SECRETLESS => Some(Client { secret_hash: None, enabled: true }),
                _ => None,
            }
        };
        let endpoint = TokenEndpoint {
            keyring: &self.keyring,
            issuer_base: BASE,
            audiences: &Audiences::new([BASE, "http://127.0.0.1:8420"]),
            client: &client,
            lifetime: TOKEN_LIFETIME,
        };
        endpoint.answer(&TokenRequest { body, authorization, tenant: "contoso.com", version }, NOW)
    }

    /// The application that the answer's token proves.
    fn proven(&self, answer: &Answer) -> Option<String> {
        let token = answer.json["access_token"].as_str()?;
        let verifier = Verifier::new(self.keyring.clone(), BASE, [BASE, "http://127.0.0.1:8420"], vec![]).unwrap();
        Some(verifier.verify(token, NOW).unwrap().application.to_string())
    }

    #[track_caller]
    fn assert_granted(&self, version: Version, body: &str, authorization: Option<&str>) -> Answer {
        let answer = self.answer(version, body.as_bytes(), authorization);
        assert_eq!(answer.status, 200, "{body}: {}", answer.json);
        assert_eq!(self.proven(&answer).as_deref(), Some(ID), "{body}");
        assert_eq!(answer.application.map(|id| id.to_string()).as_deref(), Some(ID));
        assert_eq!(answer.www_authenticate, None);
        answer
    }

    #[track_caller]
    fn assert_refused(&self, version: Version, body: &str, authorization: Option<&str>, status: u16, error: &str, text: &str) -> Answer {
        let answer = self.answer(version, body.as_bytes(), authorization);
        assert_eq!((answer.status, &answer.json["error"]), (status, &json!(error)), "{body}: {}", answer.json);
        let description = answer.json["error_description"].as_str().unwrap();
        assert!(description.contains(text), "expected {text:?} in {description:?}");
        assert!(description.starts_with(&format!("AADSTS{}: ", answer.json["error_codes"][0])), "{description}");
        assert_eq!(answer.www_authenticate.is_some(), status == 401);
        assert_eq!((answer.json.get("access_token"), answer.application), (None, None));
        answer
    }
}

fn basic(id: &str, secret: &str) -> String {
    format!("Basic {}", STANDARD.encode(format!("{id}:{secret}")))
}

const SECRET_ENCODED: &str = "s3cret-of_the%2Bweb+shop";

fn form(id: &str, secret: &str, rest: &str) -> String {
    format!("grant_type=client_credentials&client_id={id}&client_secret={secret}{rest}")
}

#[test]
fn version_1_grants_for_a_resource_with_strings_in_the_answer() {
    let fixture = Fixture::new();
    let answer = fixture.assert_granted(Version::V1, &form(ID, SECRET_ENCODED, "&resource=https%3A%2F%2Fexchange.example.com"), None);
    assert_eq!(
        (&answer.json["token_type"], &answer.json["expires_in"], &answer.json["resource"]),
        (&json!("Bearer"), &json!("3600"), &json!("https://exchange.example.com"))
    );
}

#[test]
fn version_2_grants_for_a_scope_with_integers_in_the_answer() {
    let fixture = Fixture::new();
    let answer =
        fixture.assert_granted(Version::V2, &form(ID, SECRET_ENCODED, "&scope=https%3A%2F%2Fexchange.example.com%2F.default"), None);
    assert_eq!((&answer.json["expires_in"], answer.json.get("resource")), (&json!(3600), None));
}

#[test]
fn what_real_clients_send_is_granted() {
    let fixture = Fixture::new();
    let id = ID.to_uppercase();
    for (version, body) in [
        // PowerShell: a hash table, so in any order.
        (Version::V1, format!("resource={BASE}/&client_secret={SECRET_ENCODED}&grant_type=client_credentials&client_id={ID}")),
        // ADAL: the tail of telemetry, and scope=openid beside the resource.
        (Version::V1, form(ID, SECRET_ENCODED, &format!("&resource={BASE}&client_info=1&scope=openid&x-client-SKU=PCL.Desktop"))),
        // msal on a version 1 path.
        (Version::V1, form(ID, SECRET_ENCODED, &format!("&scope={BASE}/.default"))),
        // msal adds the scopes of OpenID Connect.
        (Version::V2, form(ID, SECRET_ENCODED, &format!("&scope=openid+profile+{BASE}%2F.default+offline_access&client_info=1"))),
        // An audience with its slash.
        (Version::V2, form(ID, SECRET_ENCODED, &format!("&scope={BASE}//.default"))),
        // A resource on a version 2 path.
        (Version::V2, form(ID, SECRET_ENCODED, &format!("&resource={BASE}"))),
        // Nothing named, or nothing but OpenID Connect.
        (Version::V1, form(ID, SECRET_ENCODED, "")),
        (Version::V2, form(ID, SECRET_ENCODED, "&scope=openid+email")),
        (Version::V2, form(ID, SECRET_ENCODED, "&scope=&resource=")),
        // The address we listen at, the host in capitals, the id in another spelling.
        (Version::V1, form(ID, SECRET_ENCODED, "&resource=http%3a%2f%2f127.0.0.1%3a8420%2f")),
        (Version::V1, form(&format!("%7B{id}%7D"), SECRET_ENCODED, "&resource=HTTPS://Exchange.Example.com:443/")),
    ] {
        fixture.assert_granted(version, &body, None);
    }
}

#[test]
fn the_secret_may_come_by_basic_or_both_ways_if_they_agree() {
    let fixture = Fixture::new();
    let header = basic(ID, SECRET_ENCODED);
    fixture.assert_granted(Version::V2, "grant_type=client_credentials", Some(&header));
    fixture.assert_granted(Version::V2, &format!("grant_type=client_credentials&client_id={}", ID.to_uppercase()), Some(&header));
    fixture.assert_granted(Version::V2, &form(ID, SECRET_ENCODED, ""), Some(&header));
    fixture.assert_granted(Version::V2, &form(ID, SECRET_ENCODED, ""), Some("Bearer left.over.token"));
    for body in [form(DISABLED, SECRET_ENCODED, ""), form(ID, "other", ""), "grant_type=client_credentials&client_secret=x".to_owned()] {
        fixture.assert_refused(Version::V2, &body, Some(&header), 400, "invalid_request", "one place only");
    }
    let wrong = basic(ID, "wrong");
    fixture.assert_refused(Version::V2, "grant_type=client_credentials", Some(&wrong), 401, "invalid_client", "client secret");
    fixture.assert_refused(Version::V2, "grant_type=client_credentials", Some("Basic ???"), 401, "invalid_client", "can not be read");
}

#[test]
fn an_unknown_client_and_a_wrong_secret_get_the_same_answer() {
    let fixture = Fixture::new();
    let stranger = "7f4c1b0e-2a57-4d7c-9f0a-000000000000";
    let first =
        fixture.assert_refused(Version::V1, &form(ID, "wrong", ""), None, 401, "invalid_client", "no application with this client id, or");
    for (id, secret) in [
        (stranger, "wrong"),
        (stranger, SECRET_ENCODED),
        ("web-shop", SECRET_ENCODED),
        (SECRETLESS, "wrong"),
        (SECRETLESS, SECRET_ENCODED),
        (DISABLED, "wrong"),
    ] {
        assert_eq!(fixture.answer(Version::V1, form(id, secret, "").as_bytes(), None), first, "{id} {secret}");
    }
    // The hash of the secret is not the secret.
    let hash = secret::hash_text(&secret::hash(SECRET));
    fixture.assert_refused(Version::V1, &form(ID, &hash, ""), None, 401, "invalid_client", "not its hash");
}

#[test]
fn a_disabled_application_is_told_so_if_its_secret_is_right() {
    let fixture = Fixture::new();
    fixture.assert_refused(Version::V2, &form(DISABLED, SECRET_ENCODED, ""), None, 400, "unauthorized_client", "is disabled");
}

#[test]
fn a_request_that_lacks_something_is_told_what() {
    let fixture = Fixture::new();
    for (body, status, error, text) in [
        ("", 400, "invalid_request", "no grant_type"),
        ("{\"grant_type\":\"client_credentials\"}", 400, "invalid_request", "application/x-www-form-urlencoded"),
        ("grant_type=client_credentials", 400, "invalid_request", "no client_id"),
        ("grant_type=client_credentials&client_id=x", 401, "invalid_client", "no client_secret"),
        ("grant_type=client_credentials&client_id=x&client_secret=", 401, "invalid_client", "no client_secret"),
        ("grant_type=client_credentials&client_id=x&client_assertion=y", 401, "invalid_client", "certificate"),
        ("grant_type=client_credentials&client_id=a&client_id=a&client_secret=x", 400, "invalid_request", "\"client_id\" twice"),
        ("grant_type=client_credentials&grant_type=password", 400, "invalid_request", "\"grant_type\" twice"),
        ("grant_type=%zz", 400, "invalid_request", "two hexadecimal digits"),
    ] {
        fixture.assert_refused(Version::V2, body, None, status, error, text);
    }
}

#[test]
fn other_grants_are_refused_with_what_to_do_instead() {
    let fixture = Fixture::new();
    for grant in [
        "password",
        "refresh_token",
        "authorization_code",
        "device_code",
        "urn:ietf:params:oauth:grant-type:jwt-bearer",
        "Client_Credentials",
    ] {
        let body = format!("grant_type={grant}&client_id={ID}&username=a&password=hunter2");
        let answer = fixture.assert_refused(Version::V1, &body, None, 400, "unsupported_grant_type", "only client_credentials");
        assert!(!answer.json.to_string().contains("hunter2"));
    }
}

#[test]
fn another_resource_or_scope_is_refused_with_the_right_one() {
    let fixture = Fixture::new();
    for resource in [
        "https://graph.microsoft.com",
        "http://exchange.example.com",
        "https://exchange.example.com/.default",
        "https://exchange.example.com//",
        "x",
    ] {
        let body = form(ID, SECRET_ENCODED, &format!("&resource={resource}"));
        fixture.assert_refused(Version::V1, &body, None, 400, "invalid_resource", "ask for resource=https://exchange.example.com");
    }
    let body = form(ID, SECRET_ENCODED, "&scope=https://graph.microsoft.com/.default");
    fixture.assert_refused(Version::V2, &body, None, 400, "invalid_resource", "ask for scope=https://exchange.example.com/.default");
    for scope in ["User.Read", ".default", BASE, &format!("{BASE}/.default+{BASE}/.default"), &format!("{BASE}/user_impersonation")] {
        let body = form(ID, SECRET_ENCODED, &format!("&scope={scope}"));
        fixture.assert_refused(Version::V2, &body, None, 400, "invalid_scope", "ask for scope=https://exchange.example.com/.default");
    }
    // Who has not proven to be a client learns nothing of audiences.
    let body = form(ID, "wrong", "&resource=https://graph.microsoft.com");
    fixture.assert_refused(Version::V1, &body, None, 401, "invalid_client", "client secret");
}

#[test]
fn no_answer_repeats_a_secret() {
    let fixture = Fixture::new();
    for (body, authorization) in [
        (form(ID, "hunter2hunter2", ""), None),
        (form(ID, "hunter2hunter2", "&resource=x"), Some(basic(ID, "hunter2hunter3"))),
        (form(DISABLED, SECRET_ENCODED, ""), None),
        ("grant_type=client_credentials&client_secret=hunter2hunter2".to_owned(), None),
    ] {
        let text = format!("{:?}", fixture.answer(Version::V1, body.as_bytes(), authorization.as_deref()));
        assert!(!text.contains("hunter2") && !text.contains("s3cret"), "{text}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn any_bytes_get_an_answer_and_never_a_token(
        body in proptest::collection::vec(any::<u8>(), 0..200), header in proptest::option::of("(Basic |Bearer )?[ -~]{0,40}"),
    ) {
        PROPERTY.with(|fixture| {
            for version in [Version::V1, Version::V2] {
                let answer = fixture.answer(version, &body, header.as_deref());
                prop_assert!(answer.status == 400 || answer.status == 401);
            }
            Ok(())
        })?;
    }

    #[test]
    fn any_members_beside_a_right_secret_get_a_token_for_us_or_a_refusal(name in "resource|scope|client_info|x", value in "[ -~é]{0,40}") {
        PROPERTY.with(|fixture| {
            let encoded: String = value.bytes().map(|byte| format!("%{byte:02X}")).collect();
            let answer = fixture.answer(Version::V2, form(ID, SECRET_ENCODED, &format!("&{name}={encoded}")).as_bytes(), None);
            match answer.status {
                // The verifier accepts it only for our own audiences.
                200 => prop_assert_eq!(fixture.proven(&answer), Some(ID.to_owned())),
                status => prop_assert_eq!(status, 400),
            }
            Ok(())
        })?;
    }
}

thread_local! {
    static PROPERTY: Fixture = Fixture::new();
}
