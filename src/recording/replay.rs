//! `entrepot replay`: answers from a recording, without the real system.
//!
//! Which recorded exchange answers a request? The one whose request is most like it: the same in target and body; else in target; else in path and the names
//! of the query. Among equals they come in their recorded order, and the last one again and again: so a status that was asked for three times until
//! it said Succeeded does so again, also when a client makes up another execution id this time.

use std::collections::HashMap;
use std::io;
use std::path::Path;
use std::sync::{Mutex, PoisonError};

use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::places::{HOST_PATH, recorded, shown};
use super::record::{map_query, passed_on};
use super::{Asked, Body, Exchange, Folder, TEXT_BYTES_MAX, is_text, redact};
use crate::clock::Clock;
use crate::http::address::{pairs, segments};
use crate::http::answer::Body as AnswerBody;
use crate::http::listener::Service;
use crate::http::{Answer, Call};

/// Members of a query that are other ones each time, or no part of the question.
const VOLATILE: [&str; 8] = ["sig", "st", "se", "sv", "sr", "sp", "si", "client-request-id"];

/// A digest of how a request looks: in target and body, in target, in path and names of the query.
type Likeness = [[u8; 32]; 3];

/// Answers from a recording.
pub struct Replayer {
    folder: Folder,
    exchanges: Vec<Exchange>,
    /// For each degree of likeness, the exchanges in their order.
    like: [HashMap<[u8; 32], Vec<usize>>; 3],
    /// How often each was used.
    used: Mutex<Vec<u32>>,
    clock: Clock,
    own: String,
}

/// The body of a request, as far as it is compared.
enum Content {
    Text(String),
    Digest([u8; 32]),
}

fn likeness(method: &str, target: &str, content: &Content) -> Likeness {
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let mut path: Vec<String> = segments(path).unwrap_or_default().iter().map(|one| one.trim_matches(['{', '}']).to_lowercase()).collect();
    let mut query: Vec<(String, String)> = pairs(query).unwrap_or_default();
    query.iter_mut().for_each(|(name, _)| name.make_ascii_lowercase());
    query.retain(|(name, _)| !VOLATILE.contains(&name.as_str()));
    query.sort();
    let digest = |parts: &[&str]| {
        let mut hash = Sha256::new();
        for part in parts {
            hash.update((part.len() as u64).to_le_bytes());
            hash.update(part);
        }
        <[u8; 32]>::from(hash.finalize())
    };
    let whole_query: String = query.iter().map(|(name, value)| format!("{name}={value}\n")).collect();
    let whole_path = path.join("/");
    let content = match content {
        Content::Text(text) => canonical(text),
        Content::Digest(bytes) => bytes.iter().map(|byte| format!("{byte:02x}")).collect(),
    };
    // A blob has another name each time, and maybe lies at another host.
    if path.first().is_some_and(|first| first == HOST_PATH) {
        path.truncate(1);
    }
    let names: String = query.iter().map(|(name, _)| format!("{name}\n")).collect();
    [
        digest(&[method, &whole_path, &whole_query, &content]),
        digest(&[method, &whole_path, &whole_query]),
        digest(&[method, &path.join("/"), &names]),
    ]
}

/// One spelling of a body: JSON without blanks and with its members in order, a form with its pairs in order.
fn canonical(text: &str) -> String {
    fn sorted(value: Value) -> Value {
        match value {
            Value::Object(object) => {
                let mut members: Vec<_> = object.into_iter().collect();
                members.sort_by(|one, other| one.0.cmp(&other.0));
                Value::Object(members.into_iter().map(|(name, value)| (name, sorted(value))).collect())
            }
            Value::Array(list) => Value::Array(list.into_iter().map(sorted).collect()),
            other => other,
        }
    }
    if let Ok(value) = serde_json::from_str::<Value>(text) {
        return sorted(value).to_string();
    }
    let mut pairs: Vec<&str> = text.split('&').collect();
    pairs.sort_unstable();
    pairs.join("&")
}

fn is_of_tokens(target: &str) -> bool {
    let path = target.split('?').next().unwrap_or_default().to_ascii_lowercase();
    path.ends_with("/oauth2/token") || path.ends_with("/oauth2/v2.0/token")
}

impl Replayer {
    /// Opens a recording, for clients that reach us at `own`.
    pub fn open(path: &Path, own: &str, clock: Clock) -> Result<Replayer, String> {
        let (folder, exchanges) = Folder::open(path)?;
        if exchanges.is_empty() {
            return Err(format!("{} holds no exchange", path.display()));
        }
        let mut like: [HashMap<[u8; 32], Vec<usize>>; 3] = Default::default();
        for (at, exchange) in exchanges.iter().enumerate() {
            let content =
                content_of(&folder, &exchange.request).map_err(|error| format!("exchange {} of {}: {error}", at + 1, path.display()))?;
            let keys = likeness(&exchange.request.method, &exchange.request.target, &content);
            for (degree, key) in keys.into_iter().enumerate() {
                like[degree].entry(key).or_default().push(at);
            }
        }
        let used = Mutex::new(vec![0; exchanges.len()]);
        Ok(Replayer { folder, exchanges, like, used, clock, own: own.to_owned() })
    }

    /// How many exchanges there are.
    pub fn count(&self) -> usize {
        self.exchanges.len()
    }

    /// Those that nobody asked for, as method and target.
    pub fn unused(&self) -> Vec<String> {
        let used = self.used.lock().unwrap_or_else(PoisonError::into_inner);
        let unused = self.exchanges.iter().zip(used.iter()).filter(|(_, times)| **times == 0);
        unused.map(|(exchange, _)| format!("{} {}", exchange.request.method, exchange.request.target)).collect()
    }

    /// The exchange for a request: the next unused one of those that are most like it, else the last of them.
    fn choose(&self, keys: &Likeness) -> Option<usize> {
        let mut used = self.used.lock().unwrap_or_else(PoisonError::into_inner);
        let list = self.like.iter().zip(keys).find_map(|(like, key)| like.get(key))?;
        let chosen = list.iter().copied().find(|at| used[*at] == 0).or(list.last().copied())?;
        used[chosen] += 1;
        Some(chosen)
    }

    fn find(&self, call: &mut Call) -> Result<Answer, Answer> {
        let target = redact::target(&map_query(call.target(), |value| recorded(value, &self.own)));
        let kind = call.header("Content-Type").unwrap_or_default().to_owned();
        let early = |_| Answer::refuse(400, "the body ended early", "send it again");
        let (mut text, mut hash, mut size) = (Vec::new(), Sha256::new(), 0u64);
        call.read_body(|bytes| {
            size += bytes.len() as u64;
            hash.update(bytes);
            if size <= TEXT_BYTES_MAX {
                text.extend_from_slice(bytes);
            }
            Ok(())
        })
        .map_err(early)?;
        let of_tokens = is_of_tokens(&target);
        let text = (size <= TEXT_BYTES_MAX && (is_text(&kind) || of_tokens)).then(|| String::from_utf8(text).ok()).flatten();
        let content = match text {
            // An empty body is compared as such, whatever its type.
            _ if size == 0 => Content::Text(String::new()),
            Some(text) => {
                let kind = if of_tokens { "application/x-www-form-urlencoded" } else { &kind };
                let mapped = if kind.contains("x-www-form-urlencoded") {
                    map_query(&format!("?{text}"), |value| recorded(value, &self.own))[1..].to_owned()
                } else {
                    recorded(&text, &self.own)
                };
                Content::Text(redact::body(kind, &mapped))
            }
            None => Content::Digest(hash.finalize().into()),
        };
        let keys = likeness(&call.method, &target, &content);
        let Some(at) = self.choose(&keys) else {
            log::warn!("nothing recorded method={} target={target}", call.method);
            let detail = format!("nothing like {} {target} was recorded", call.method);
            return Err(Answer::refuse(404, &detail, "record it against the real system, or look into the recording for what there is"));
        };
        let exchange = &self.exchanges[at];
        log::info!("exchange replayed number={} method={} target={target} status={}", at + 1, call.method, exchange.response.status);
        self.answer(call, exchange).map_err(|error| {
            Answer::refuse(500, &format!("the recording cannot be read: {error}"), "a file of it is missing or was changed")
        })
    }

    fn answer(&self, call: &Call, exchange: &Exchange) -> io::Result<Answer> {
        let response = &exchange.response;
        let headers: Vec<_> =
            response.headers.iter().filter_map(|(name, value)| Some((passed_on(name)?, shown(value, &self.own)))).collect();
        let kind = headers.iter().find(|(name, _)| *name == "Content-Type").map_or("", |(_, value)| value.as_str());
        let body = match &response.body {
            _ if call.method == "HEAD" => {
                let length = response.headers.iter().find(|(name, _)| name.eq_ignore_ascii_case("Content-Length"));
                AnswerBody::Stream(Box::new(io::empty()), length.and_then(|(_, value)| value.parse().ok()).unwrap_or(0))
            }
            None => AnswerBody::Bytes(Vec::new()),
            Some(Body::Text(text)) => AnswerBody::Bytes(self.current(exchange, shown(text, &self.own)).into_bytes()),
            Some(Body::File(name)) => {
                let mut file = self.folder.open_file(name)?;
                match if is_text(kind) { super::short_text(&mut file)? } else { None } {
                    Some(text) => AnswerBody::Bytes(shown(&text, &self.own).into_bytes()),
                    None => {
                        let size = file.metadata()?.len();
                        AnswerBody::Stream(Box::new(file), size)
                    }
                }
            }
        };
        Ok(Answer { status: response.status, reason: response.reason.clone(), headers, body, delivered: None })
    }

    /// A token that was recorded is over; clients look at the times beside it, and get those of now.
    fn current(&self, exchange: &Exchange, text: String) -> String {
        if !is_of_tokens(&exchange.request.target) {
            return text;
        }
        let Ok(Value::Object(mut answer)) = serde_json::from_str::<Value>(&text) else { return text };
        let seconds = |value: &Value| value.as_i64().or_else(|| value.as_str()?.parse().ok());
        let lifetime = answer.get("expires_in").and_then(seconds).unwrap_or(3600);
        let now = self.clock.now().seconds();
        for (name, time) in [("not_before", now), ("expires_on", now + lifetime)] {
            if let Some(value) = answer.get_mut(name) {
                *value = if value.is_string() { json!(time.to_string()) } else { json!(time) };
            }
        }
        Value::Object(answer).to_string()
    }
}

/// What a recorded request is compared by.
fn content_of(folder: &Folder, asked: &Asked) -> io::Result<Content> {
    let kind = asked.headers.iter().find(|(name, _)| name.eq_ignore_ascii_case("content-type")).map_or("", |(_, value)| value.as_str());
    match &asked.body {
        None => Ok(Content::Text(String::new())),
        Some(Body::Text(text)) => Ok(Content::Text(text.clone())),
        Some(Body::File(name)) => {
            let mut file = folder.open_file(name)?;
            if (is_text(kind) || is_of_tokens(&asked.target))
                && let Some(text) = super::short_text(&mut file)?
            {
                return Ok(Content::Text(text));
            }
            let mut hash = Sha256::new();
            let mut buffer = vec![0; 64 << 10];
            loop {
                match io::Read::read(&mut file, &mut buffer)? {
                    0 => return Ok(Content::Digest(hash.finalize().into())),
                    count => hash.update(&buffer[..count]),
                }
            }
        }
    }
}

impl Service for Replayer {
    fn answer(&self, mut call: Call) {
        let answer = self.find(&mut call).unwrap_or_else(|refusal| refusal);
        call.answer(answer);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn of(method: &str, target: &str, body: &str) -> Likeness {
        likeness(method, target, &Content::Text(body.into()))
    }

    #[test]
    fn requests_are_alike_by_degrees() {
        let one = of("GET", "/api/connector/jobstatus/%7B6D31E09F-0249-459F-94F0-AAD9C2C47B64%7D?jobId=a", "");
        assert_eq!(one, of("GET", "/API/connector/jobstatus/6d31e09f-0249-459f-94f0-aad9c2c47b64?jobid=a", ""));
        let other = of("GET", "/api/connector/jobstatus/6d31e09f-0249-459f-94f0-aad9c2c47b64?jobId=b", "");
        assert!(one[1] != other[1] && one[2] == other[2]);
        assert_eq!(of("POST", "/x", r#"{"a":1,"b":{"c":2}}"#)[0], of("POST", "/x", r#"{ "b":{"c":2}, "a":1 }"#)[0]);
        assert_eq!(of("POST", "/t", "a=1&b=2")[0], of("POST", "/t", "b=2&a=1")[0]);
        let (blob, again) = (of("PUT", "/_host/a/dmf/one?sig=1&comp=block", "x"), of("PUT", "/_host/b/dmf/two?comp=block&sig=2", "y"));
        assert!(blob[1] != again[1] && blob[2] == again[2]);
        assert_ne!(of("PUT", "/x", "")[2], of("POST", "/x", "")[2]);
    }

    proptest! {
        #[test]
        fn any_request_has_a_likeness(target in "\\PC{0,60}", body in "\\PC{0,60}") {
            prop_assert_eq!(of("GET", &target, &body), of("GET", &target, &body));
        }
    }
}
