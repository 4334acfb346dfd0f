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
    key: UrlKey,
    devices: Devices,
    /// What marks kim's password now.
    mark: std::cell::Cell<&'static str>,
}

impl People for Fixture {
    fn sign_in(&self, name: &str, password: &str) -> Result<Option<Person>, Unavailable> {
        Ok(self.find(name)?.filter(|_| password == "correct horse"))
    }

    fn find(&self, name: &str) -> Result<Option<Person>, Unavailable> {
        match name.to_lowercase().as_str() {
            "kim" | "ola" => Ok(Some(Person { name: name.to_lowercase(), mark: self.mark.get().into() })),
            "broken" => Err(Unavailable),
            _ => Ok(None),
        }
    }
}

impl Fixture {
    fn new() -> Self {
        let scratch = tempfile::tempdir().unwrap();
        let keyring = Arc::new(Keyring::open(scratch.path(), NOW).unwrap());
        let key = UrlKey::open(&scratch.path().join("url.key")).unwrap();
        Fixture { _scratch: scratch, keyring, key, devices: Devices::default(), mark: std::cell::Cell::new("one") }
    }

    fn answer(&self, version: Version, body: &[u8], authorization: Option<&str>) -> Answer {
        self.answer_at(version, body, authorization, NOW)
    }

    fn answer_at(&self, version: Version, body: &[u8], authorization: Option<&str>, now: Timestamp) -> Answer {
        let client = |id: ApplicationId| {
            let hash = Some(secret::hash(SECRET));
            match id.to_string().as_str() {
                ID => Some(Client { secret_hash: hash, enabled: true, users: vec!["Kim".into(), "gone".into()] }),
                DISABLED => Some(Client { secret_hash: hash, enabled: false, users: vec!["kim".into()] }),
                SECRETLESS => Some(Client { secret_hash: None, enabled: true, users: Vec::new() }),
                _ => None,
            }
        };
        let endpoint = TokenEndpoint {
            keyring: &self.keyring,
            issuer_base: BASE,
            audiences: &Audiences::new([BASE, "http://127.0.0.1:8420"]),
            client: &client,
            people: self,
            devices: &self.devices,
            seal: &self.key,
            lifetime: TOKEN_LIFETIME,
        };
        endpoint.answer(&TokenRequest { body, authorization, tenant: "contoso.com", version }, now)
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
    for grant in ["authorization_code", "urn:ietf:params:oauth:grant-type:jwt-bearer", "Client_Credentials"] {
        let body = format!("grant_type={grant}&client_id={ID}&username=a&password=hunter2");
        let answer = fixture.assert_refused(Version::V1, &body, None, 400, "unsupported_grant_type", "only client_credentials and");
        assert!(!answer.json.to_string().contains("hunter2"));
    }
}

fn claims(answer: &Answer, member: &str) -> Value {
    let token = answer.json[member].as_str().unwrap_or_else(|| panic!("no {member} in {}", answer.json));
    let body = token.split('.').nth(1).unwrap();
    serde_json::from_slice(&base64::engine::general_purpose::URL_SAFE_NO_PAD.decode(body).unwrap()).unwrap()
}

const PASSWORD: &str = "&username=KIM&password=correct+horse";

#[test]
fn a_person_whom_the_application_names_gets_a_token_for_it_by_password() {
    let fixture = Fixture::new();
    // ADAL: no secret, a resource; the answer tells the scope.
    let body = format!("grant_type=password&client_id={ID}&resource={BASE}{PASSWORD}&scope=openid");
    let answer = fixture.assert_granted(Version::V1, &body, None);
    let access = claims(&answer, "access_token");
    assert_eq!(
        (&access["appid"], &access["idtyp"], &access["upn"], &access["scp"]),
        (&json!(ID), &json!("user"), &json!("kim"), &json!("user_impersonation"))
    );
    assert_ne!(access["oid"], json!(ID));
    assert_eq!(answer.json["scope"], json!("user_impersonation"));
    // MSAL: wants to know who it was.
    let body = format!("grant_type=password&client_id={ID}&scope=openid+offline_access+{BASE}/.default{PASSWORD}&client_info=1");
    let answer = fixture.assert_granted(Version::V2, &body, None);
    let identity = claims(&answer, "id_token");
    assert_eq!((&identity["aud"], &identity["preferred_username"], &identity["oid"]), (&json!(ID), &json!("kim"), &access["oid"]));
    let info = base64::engine::general_purpose::URL_SAFE_NO_PAD.decode(answer.json["client_info"].as_str().unwrap()).unwrap();
    assert_eq!(serde_json::from_slice::<Value>(&info).unwrap()["uid"], access["oid"]);
    // An ID token is for the client and opens nothing here.
    let verifier = Verifier::new(fixture.keyring.clone(), BASE, [BASE], vec![]).unwrap();
    assert!(verifier.verify(answer.json["id_token"].as_str().unwrap(), NOW).is_err());
    // With the secret as well, and then it must be right.
    fixture.assert_granted(Version::V1, &format!("grant_type=password&client_id={ID}&client_secret={SECRET_ENCODED}{PASSWORD}"), None);
    let wrong = format!("grant_type=password&client_id={ID}&client_secret=wrong{PASSWORD}");
    fixture.assert_refused(Version::V1, &wrong, None, 401, "invalid_client", "client secret");
}

#[test]
fn nobody_else_gets_one_by_password() {
    let fixture = Fixture::new();
    for (body, status, error, text) in [
        (format!("client_id={ID}&username=kim&password=wrong"), 400, "invalid_grant", "do not go together"),
        (format!("client_id={ID}&username=nobody&password=wrong"), 400, "invalid_grant", "do not go together"),
        (format!("client_id={ID}&username=gone&password=correct+horse"), 400, "invalid_grant", "do not go together"),
        (format!("client_id={ID}&username=ola&password=correct+horse"), 400, "invalid_grant", "users = [\"ola\"]"),
        (format!("client_id={SECRETLESS}{PASSWORD}"), 400, "unauthorized_client", "no one may sign in"),
        (format!("client_id={DISABLED}{PASSWORD}"), 400, "unauthorized_client", "disabled"),
        (format!("client_id={ID}&password=x"), 400, "invalid_request", "no username"),
        (format!("client_id={ID}&username=kim"), 400, "invalid_request", "no password"),
        ("username=kim&password=x".to_owned(), 400, "invalid_request", "no client_id"),
        (format!("client_id={}{PASSWORD}", ID.replace('7', "8")), 401, "invalid_client", "no application"),
        (format!("client_id={ID}&username=broken&password=x"), 503, "temporarily_unavailable", "try again"),
    ] {
        fixture.assert_refused(Version::V2, &format!("grant_type=password&{body}"), None, status, error, text);
    }
}

#[test]
fn a_refresh_token_is_good_for_its_application_while_the_password_stays() {
    let fixture = Fixture::new();
    let body = format!("grant_type=password&client_id={ID}{PASSWORD}");
    let first = fixture.assert_granted(Version::V1, &body, None).json["refresh_token"].as_str().unwrap().to_owned();
    let refresh = |token: &str| format!("grant_type=refresh_token&client_id={ID}&refresh_token={token}&resource={BASE}");
    let second = fixture.assert_granted(Version::V1, &refresh(&first), None);
    assert_eq!(claims(&second, "access_token")["upn"], json!("kim"));
    fixture.assert_granted(Version::V2, &refresh(second.json["refresh_token"].as_str().unwrap()), None);
    fixture.assert_refused(Version::V1, &refresh("x.y"), None, 400, "invalid_grant", "sign in again");
    fixture.assert_refused(Version::V1, "grant_type=refresh_token&client_id=x", None, 401, "invalid_client", "no application");
    let later = fixture.answer_at(Version::V1, refresh(&first).as_bytes(), None, NOW.plus(crate::auth::refresh::REFRESH_LIFETIME));
    assert_eq!((later.status, &later.json["error"]), (400, &json!("invalid_grant")));
    fixture.mark.set("two");
    fixture.assert_refused(Version::V1, &refresh(&first), None, 400, "invalid_grant", "sign in again");
}

#[test]
fn a_device_code_is_pending_until_the_person_has_decided() {
    let fixture = Fixture::new();
    let id: ApplicationId = ID.parse().unwrap();
    for (grant, member) in [("device_code", "code"), ("urn:ietf:params:oauth:grant-type:device_code", "device_code")] {
        let codes = fixture.devices.begin(id, NOW).unwrap();
        let body = format!("grant_type={grant}&client_id={ID}&{member}={}", codes.device_code);
        fixture.assert_refused(Version::V2, &body, None, 400, "authorization_pending", "not yet");
        assert!(fixture.devices.decide(&codes.user_code, Some("kim"), NOW));
        assert_eq!(claims(&fixture.assert_granted(Version::V2, &body, None), "access_token")["upn"], json!("kim"));
        fixture.assert_refused(Version::V2, &body, None, 400, "expired_token", "begin again");
        let codes = fixture.devices.begin(id, NOW).unwrap();
        fixture.devices.decide(&codes.user_code, None, NOW);
        let body = format!("grant_type={grant}&client_id={ID}&{member}={}", codes.device_code);
        fixture.assert_refused(Version::V2, &body, None, 400, "authorization_declined", "refused");
    }
    // Allowed once, and no more a moment later.
    let codes = fixture.devices.begin(id, NOW).unwrap();
    fixture.devices.decide(&codes.user_code, Some("ola"), NOW);
    let body = format!("grant_type=device_code&client_id={ID}&code={}", codes.device_code);
    fixture.assert_refused(Version::V2, &body, None, 400, "invalid_grant", "users = [\"ola\"]");
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
