//! Who looks: cookies, signing in and out, the one-time link. A page gets a [`Visitor`], and a form is taken only with the session's token.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use serde_json::json;

use super::{Failed, page};
use crate::appliance::Appliance;
use crate::auth::sign_in::{self, SEEN_GRAIN, SESSION_IDLE, SESSION_LIFETIME};
use crate::auth::{password, secret};
use crate::http::operator::stored;
use crate::http::{Answer, Call, address, pace};
use crate::model::person::{Role, User};
use crate::store::Durability;
use crate::store::people::{self, Session};

/// A larger form is refused.
const FORM_MAX: usize = 16 * 1024;
/// The longest name of a user, in characters.
const NAME_MAX: usize = 64;
/// One password is hashed at a time: each takes 19 MiB and some 20 ms, and sign-ins must not be a way to use up the machine.
static HASHING: Mutex<()> = Mutex::new(());

/// A signed-in person.
pub struct Visitor {
    /// The user's name.
    pub name: String,
    /// What the person may do.
    pub role: Role,
    /// The token that the session's forms carry.
    pub form_token: String,
    cookie: String,
}

impl Visitor {
    /// For templates.
    pub fn context(&self) -> serde_json::Value {
        json!({ "name": self.name, "role": self.role, "form_token": self.form_token, "operates": self.role >= Role::Operator })
    }
}

/// Over https the browser keeps the cookie to this host and to https.
fn cookie_name(appliance: &Appliance) -> &'static str {
    if appliance.live().config.server.public_url.starts_with("https:") { "__Host-entrepot" } else { "entrepot" }
}

fn set_cookie(appliance: &Appliance, value: &str, seconds: u64) -> String {
    let name = cookie_name(appliance);
    let secure = if name.starts_with("__Host-") { "; Secure" } else { "" };
    format!("{name}={value}; Path=/; HttpOnly; SameSite=Lax; Max-Age={seconds}{secure}")
}

fn cookie<'a>(appliance: &Appliance, call: &'a Call) -> Option<&'a str> {
    let name = cookie_name(appliance);
    let pairs = call.header("Cookie")?.split(';');
    pairs.filter_map(|pair| pair.trim().split_once('=')).find(|(key, _)| *key == name).map(|(_, value)| value)
}

/// The user of this name: the configuration's before those of the store.
pub fn find_user(appliance: &Appliance, name: &str) -> Result<Option<User>, Answer> {
    if let Some(user) = appliance.live().config.user(name) {
        return Ok(Some(user.clone()));
    }
    stored(appliance.store.read("find the user", |connection| people::find_user(connection, name)))
}

/// The user whose name and password these are. It takes as long for a name that nobody has.
pub fn by_password(appliance: &Appliance, name: &str, given: &str) -> Result<Option<User>, Answer> {
    let user = if name.chars().count() <= NAME_MAX { find_user(appliance, name)? } else { None };
    let _one = HASHING.lock().unwrap_or_else(PoisonError::into_inner);
    let right = match &user {
        None => password::verify_unknown(given),
        Some(user) => password::verify(given, &user.password_hash).unwrap_or_else(|error| {
            log::error!("user cannot sign in user=\"{}\" reason=\"{error}\"", user.name.escape_debug());
            false
        }),
    };
    Ok(user.filter(|_| right))
}

/// Who calls, by the cookie.
pub fn visitor(appliance: &Appliance, call: &Call) -> Result<Option<Visitor>, Answer> {
    let Some(cookie) = cookie(appliance, call) else { return Ok(None) };
    let (hash, now) = (sign_in::cookie_hash(cookie), appliance.clock.now());
    let Some(session) = stored(appliance.store.read("find the session", |connection| people::find_session(connection, &hash)))? else {
        return Ok(None);
    };
    if now.since(session.opened_at) >= SESSION_LIFETIME || now.since(session.seen_at) >= SESSION_IDLE {
        return Ok(None);
    }
    let Some(user) = find_user(appliance, &session.user)? else { return Ok(None) };
    if sign_in::password_mark(&user.password_hash) != session.password {
        return Ok(None);
    }
    if now.since(session.seen_at) >= SEEN_GRAIN {
        // A session whose use could not be noted ends a little early.
        appliance.store.write_then(
            "touch the session",
            Durability::Behind,
            move |batch| people::touch_session(batch.connection, &hash, now),
            |_| {},
        );
    }
    Ok(Some(Visitor { name: user.name, role: user.role, form_token: sign_in::form_token(cookie), cookie: cookie.to_owned() }))
}

/// The fields of a form. It must come from a page of ours: browsers say where a form comes from.
pub fn form(appliance: &Appliance, call: &mut Call) -> Result<HashMap<String, String>, Answer> {
    let host = call.header("Host").unwrap_or_default().to_owned();
    let ours = |origin: &str| {
        origin == appliance.live().config.server.public_url
            || origin.split_once("://").is_some_and(|(_, authority)| !host.is_empty() && authority.eq_ignore_ascii_case(&host))
    };
    let foreign = call.header("Origin").is_some_and(|origin| !ours(origin))
        || call.header("Sec-Fetch-Site").is_some_and(|site| !matches!(site, "same-origin" | "none"));
    if foreign {
        return Err(Answer::refuse(403, "this form came from another site", "open the page here and send it again"));
    }
    let body = call.small_body(FORM_MAX).map_err(|_| Answer::refuse(400, "the form ended early", "send it again"))?;
    let body = body.ok_or_else(|| Answer::refuse(413, "the form is too large", "send less"))?;
    let pairs = std::str::from_utf8(&body).ok().and_then(address::pairs);
    let pairs = pairs.ok_or_else(|| Answer::refuse(400, "this is no form", "open the page and send it again"))?;
    Ok(pairs.into_iter().collect())
}

/// The fields of a form of a signed-in person, whose token is checked.
pub fn signed_form(appliance: &Appliance, call: &mut Call, visitor: &Visitor) -> Result<HashMap<String, String>, Answer> {
    let fields = form(appliance, call)?;
    if !fields.get("form_token").is_some_and(|given| secret::same(given, &visitor.form_token)) {
        return Err(Answer::refuse(403, "this form belongs to an earlier session", "go back, reload the page and try again"));
    }
    Ok(fields)
}

/// Where to go after the sign-in: only to pages of ours.
fn next(given: Option<&str>) -> &str {
    let ours = |path: &&str| {
        path.starts_with('/')
            && !path.starts_with("//")
            && path.len() < 512
            && path.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'\\')
    };
    given.filter(ours).unwrap_or("/")
}

/// `GET /sign-in`.
pub fn sign_in_page(appliance: &Appliance, call: &Call) -> Result<Answer, Failed> {
    sign_in_answer(appliance, 200, "", next(call.query("next")), None)
}

fn sign_in_answer(appliance: &Appliance, status: u16, name: &str, next: &str, problem: Option<&str>) -> Result<Answer, Failed> {
    page(status, "sign_in.html", json!({ "name": name, "next": next, "problem": problem, "has_users": appliance.has_users() }))
}

/// `POST /sign-in`.
pub fn sign_in(appliance: &Arc<Appliance>, call: &mut Call) -> Result<Answer, Failed> {
    let fields = form(appliance, call)?;
    let field = |name: &str| fields.get(name).map(String::as_str).unwrap_or_default();
    let (name, given) = (field("name").trim(), field("password"));
    let address = call.peer_address();
    pace::attempt(appliance, address, name)?;
    let user = by_password(appliance, name, given)?;
    match user {
        Some(user) => {
            appliance.pace.succeeded(address, name);
            log::info!("user signed in user=\"{}\" peer={}", user.name.escape_debug(), call.peer());
            open(appliance, &user, next(Some(field("next"))))
        }
        None => {
            appliance.pace.failed(address, name, appliance.clock.now());
            log::warn!("sign-in refused user=\"{}\" peer={}", name.chars().take(NAME_MAX).collect::<String>().escape_debug(), call.peer());
            let problem = "That name and password do not go together.";
            sign_in_answer(appliance, 403, name, next(Some(field("next"))), Some(problem))
        }
    }
}

fn open(appliance: &Appliance, user: &User, next: &str) -> Result<Answer, Failed> {
    let cookie = secret::generate().map_err(|error| Answer::refuse(503, &error.to_string(), "try again"))?;
    let (hash, now) = (sign_in::cookie_hash(&cookie), appliance.clock.now());
    let mark = sign_in::password_mark(&user.password_hash);
    let session = Session { user: user.name.clone(), password: mark, opened_at: now, seen_at: now };
    stored(appliance.store.write("open a session", move |batch| {
        people::open_session(batch.connection, &hash, &session, now.minus(SESSION_LIFETIME), now.minus(SESSION_IDLE))
    }))?;
    Ok(Answer::see_other(next).and("Set-Cookie", set_cookie(appliance, &cookie, SESSION_LIFETIME.as_secs())))
}

/// `POST /sign-out`.
pub fn sign_out(appliance: &Appliance, call: &mut Call, visitor: &Visitor) -> Result<Answer, Failed> {
    signed_form(appliance, call, visitor)?;
    let hash = sign_in::cookie_hash(&visitor.cookie);
    stored(appliance.store.write("close the session", move |batch| people::close_session(batch.connection, &hash)))?;
    Ok(Answer::see_other("/sign-in").and("Set-Cookie", set_cookie(appliance, "", 0)))
}

/// `GET` and `POST /welcome/<link>`: the person with the link chooses a name and a password.
pub fn welcome(appliance: &Arc<Appliance>, call: &mut Call, link: &str) -> Result<Answer, Failed> {
    let over = || {
        Answer::refuse(
            410,
            "this sign-in link was used, replaced, or is older than a day",
            "sign in with your password, or make a new link with: entrepot user link",
        )
    };
    let now = appliance.clock.now();
    if !appliance.sign_in_link.is(link, now) {
        return Err(over().into());
    }
    let ask = |status: u16, name: &str, problem: Option<String>| {
        let least = password::PASSWORD_CHARACTERS_MIN;
        page(status, "welcome.html", json!({ "name": name, "problem": problem, "characters_min": least }))
    };
    if call.method != "POST" {
        return ask(200, "admin", None);
    }
    let fields = form(appliance, call)?;
    let field = |name: &str| fields.get(name).map(String::as_str).unwrap_or_default();
    let (name, given) = (field("name").trim(), field("password"));
    if name.is_empty() || name.chars().count() > NAME_MAX || name.chars().any(char::is_control) {
        return ask(400, name, Some(format!("A name has 1 to {NAME_MAX} characters.")));
    }
    if appliance.live().config.user(name).is_some() {
        return ask(400, name, Some("This name stands in the configuration file, where its password is kept. Choose another.".into()));
    }
    if let Err(error) = password::check(given) {
        return ask(400, name, Some(super::template::sentence(error.to_string())));
    }
    if given != field("again") {
        return ask(400, name, Some("The two passwords differ.".into()));
    }
    let hashed = {
        let _one = HASHING.lock().unwrap_or_else(PoisonError::into_inner);
        password::hash(given)
    };
    let password_hash = hashed.map_err(|error| Answer::refuse(503, &error.to_string(), "try again"))?;
    if !appliance.sign_in_link.take(link, now) {
        return Err(over().into());
    }
    let user = User { name: name.to_owned(), role: Role::Admin, password_hash };
    let kept = user.clone();
    stored(appliance.store.write("keep the user", move |batch| people::keep_user(batch.connection, &kept, now)))?;
    log::info!("user made user=\"{}\" role={} peer={}", user.name.escape_debug(), user.role, call.peer());
    open(appliance, &user, "/")
}
