//! The pages: which address shows what, to whom, and under which headers. They show what the operator API gives, and do what it does.
//!
//! Every page but the sign-in needs a session; every form carries its token and comes from here. Nothing inline: the content policy allows our
//! own style and script alone, so that a value that slipped through escaping would still do nothing.

mod asset;
mod beside;
mod chart;
mod device;
mod job;
mod message;
mod session;
mod template;
mod workspace;

use std::sync::Arc;

use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::address::encode;
use super::answer::Body;
use super::{Answer, Call, operator};
use crate::appliance::Appliance;
use crate::model::person::Role;
use session::Visitor;
pub(super) use session::{by_password, find_user};

const CONTENT_POLICY: &str = "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; connect-src 'self'; form-action 'self'; \
     base-uri 'none'; frame-ancestors 'none'";

/// Why there is no page.
enum Failed {
    /// A refusal, as the API says it.
    Refused(Answer),
    /// A bug of ours.
    Template(template::RenderError),
}

impl From<Answer> for Failed {
    fn from(answer: Answer) -> Failed {
        Failed::Refused(answer)
    }
}

/// Answers below `/`; the segments are as the client wrote them.
pub fn route(appliance: &Arc<Appliance>, mut call: Call, path: &[&str]) {
    // On plain localhost it would lock a developer's other ports to https.
    let https = call.is_https() && appliance.live().config.server.public_url.starts_with("https:");
    let visitor = match session::visitor(appliance, &call) {
        Ok(visitor) => visitor,
        Err(refusal) => return call.answer(finish(https, &None, Err(refusal.into()))),
    };
    let result = answer(appliance, &mut call, path, visitor.as_ref());
    let answer = finish(https, &visitor, result);
    // A page that is looked at again and again costs little: most often nothing has changed.
    let answer = match &answer.body {
        Body::Bytes(bytes) if answer.status == 200 && call.method == "GET" && !answer.headers.iter().any(|(name, _)| *name == "ETag") => {
            let tag: String = Sha256::digest(bytes).iter().take(12).map(|byte| format!("{byte:02x}")).collect();
            let tag = format!("\"{tag}\"");
            let known = call.header("If-None-Match") == Some(&tag);
            (if known { guarded(https, Answer::empty(304)) } else { answer }).with("ETag", tag)
        }
        _ => answer,
    };
    call.answer(answer);
}

fn answer(appliance: &Arc<Appliance>, call: &mut Call, path: &[&str], visitor: Option<&Visitor>) -> Result<Answer, Failed> {
    let method = if call.method == "HEAD" { "GET".to_owned() } else { call.method.clone() };
    match (method.as_str(), path) {
        ("GET", ["assets", name]) => return Ok(asset::answer(call, name)),
        ("GET", ["favicon.ico"]) => return Ok(asset::answer(call, "icon.svg")),
        ("GET", ["sign-in"]) if visitor.is_some() => return Ok(Answer::see_other("/")),
        ("GET", ["sign-in"]) => return session::sign_in_page(appliance, call),
        ("POST", ["sign-in"]) => return session::sign_in(appliance, call),
        ("GET" | "POST", ["welcome", link]) => return session::welcome(appliance, call, link),
        _ => {}
    }
    let Some(visitor) = visitor else {
        if method != "GET" {
            return Err(Answer::refuse(403, "nobody is signed in", "sign in and send it again").into());
        }
        let here = address_of(call);
        return Ok(Answer::see_other(&if here == "/" { "/sign-in".to_owned() } else { format!("/sign-in?next={}", encode(&here)) }));
    };
    match (method.as_str(), path) {
        ("GET", []) => workspace::show(appliance, visitor),
        ("GET", ["jobs"]) => Ok(Answer::see_other("/#jobs")),
        ("GET", ["jobs", id]) => job::show(appliance, call, visitor, id),
        ("GET", ["messages"]) => message::list(appliance, call, visitor),
        ("GET", ["messages", id]) => message::show(appliance, call, visitor, id),
        ("GET", ["messages", id, "document"]) => Ok(operator::document(appliance, &operator::find_message(appliance, id)?)?),
        ("GET", ["messages", id, "refused"]) => {
            Ok(operator::refused(appliance, &operator::find_message(appliance, id)?, call.query("entity"))?)
        }
        ("GET", ["messages", id, "transformed"]) => {
            Ok(operator::transformed(appliance, &operator::find_message(appliance, id)?, call.query("entity"))?)
        }
        ("GET", ["device"]) => device::ask(call, visitor),
        ("POST", ["device"]) => device::decide(appliance, call, visitor),
        ("GET", ["messages", id, "staging"]) => message::staging(appliance, call, visitor, id),
        ("POST", ["sign-out"]) => session::sign_out(appliance, call, visitor),
        ("POST", ["jobs", id, action @ ("run" | "pause" | "resume" | "reset")]) => {
            let by = may_operate(appliance, call, visitor)?;
            let job = operator::find_job(appliance, id)?;
            operator::act_on_job(appliance, &job, action, by)?;
            Ok(Answer::see_other(&format!("/jobs/{}?done={action}", job.activity_id)))
        }
        ("POST", ["messages", id, action @ ("replay" | "cancel" | "release")]) => {
            let by = may_operate(appliance, call, visitor)?;
            let message = operator::find_message(appliance, id)?;
            let done = operator::act_on_message(appliance, &message, action, by)?;
            // A replay is a message of its own, and that is the one to look at.
            let shown = match &done.body {
                Body::Bytes(bytes) => serde_json::from_slice::<Value>(bytes).ok().and_then(|value| value["id"].as_str().map(str::to_owned)),
                Body::Stream(..) => None,
            };
            Ok(Answer::see_other(&format!("/messages/{}?done={action}", shown.unwrap_or_else(|| message.id.to_string()))))
        }
        ("GET", _) => Err(Answer::refuse(404, "there is no such page", "begin at the workspace").into()),
        _ => Err(Answer::refuse(405, "this page takes no such request", "begin at the workspace").into()),
    }
}

fn may_operate<'a>(appliance: &Appliance, call: &mut Call, visitor: &'a Visitor) -> Result<&'a str, Answer> {
    session::signed_form(appliance, call, visitor)?;
    if visitor.role < Role::Operator {
        return Err(Answer::refuse(403, "a viewer may only look", "ask someone who is operator or admin"));
    }
    Ok(&visitor.name)
}

/// What was just done, in words; the address carries only which.
fn notice(call: &Call) -> Option<&'static str> {
    Some(match call.query("done")? {
        "run" => "The job runs now.",
        "pause" => "The job is paused: it takes messages, and does not process or export until it is resumed.",
        "resume" => "The job goes on.",
        "reset" => "The next export of this job holds everything again.",
        "replay" => "This is the replay: a new message with the same document.",
        "cancel" => "The message is cancelled.",
        "release" => "The message is offered again; earlier pop receipts no longer work.",
        _ => return None,
    })
}

/// The address that was asked for, as path and query.
fn address_of(call: &Call) -> String {
    let path: String = call.path.iter().map(|segment| format!("/{}", encode(segment))).collect();
    let query: Vec<String> = call.query.iter().map(|(name, value)| format!("{}={}", encode(name), encode(value))).collect();
    let path = if path.is_empty() { "/".to_owned() } else { path };
    if query.is_empty() { path } else { format!("{path}?{}", query.join("&")) }
}

/// A page from a template.
fn page(status: u16, name: &str, context: Value) -> Result<Answer, Failed> {
    let html = template::render(name, context).map_err(Failed::Template)?;
    Ok(Answer::text(status, "text/html; charset=utf-8", html))
}

/// Turns refusals into pages, and puts on every answer the headers that it needs.
fn finish(https: bool, visitor: &Option<Visitor>, result: Result<Answer, Failed>) -> Answer {
    let answer = match result {
        Ok(answer) => answer,
        Err(Failed::Refused(refusal)) => {
            let said = match &refusal.body {
                Body::Bytes(bytes) => serde_json::from_slice(bytes).unwrap_or(Value::Null),
                Body::Stream(..) => Value::Null,
            };
            let context = json!({
                "user": visitor.as_ref().map(Visitor::context), "status": refusal.status, "detail": refusal.reason,
                "hint": said["hint"].as_str().unwrap_or_default(),
            });
            match page(refusal.status, "problem.html", context) {
                // Retry-After, Allow.
                Ok(page) => refusal
                    .headers
                    .into_iter()
                    .filter(|(name, _)| *name != "Content-Type")
                    .fold(page, |page, (name, value)| page.with(name, value)),
                Err(_) => refusal,
            }
        }
        Err(Failed::Template(error)) => {
            log::error!("page not made reason=\"{:#}\"; please report it", error.0);
            Answer::refuse(500, "this page cannot be made", "the log says why; please report it")
        }
    };
    guarded(https, answer)
}

fn guarded(https: bool, mut answer: Answer) -> Answer {
    // A page tells of other people's documents: nobody on the way may keep it. Assets say themselves how long they are good.
    if !answer.headers.iter().any(|(name, _)| *name == "Cache-Control") {
        answer = answer.with("Cache-Control", "no-store, private");
    }
    if https {
        // A year, this host alone: its neighbours are not ours to decide.
        answer = answer.with("Strict-Transport-Security", "max-age=31536000");
    }
    answer
        .with("Content-Security-Policy", CONTENT_POLICY)
        .with("Referrer-Policy", "same-origin")
        .with("X-Frame-Options", "DENY")
        .with("Cross-Origin-Opener-Policy", "same-origin")
        .with("Cross-Origin-Resource-Policy", "same-origin")
        .with("Permissions-Policy", "camera=(), geolocation=(), microphone=()")
}
