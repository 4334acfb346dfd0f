//! `entrepot record`: stands between a client and the real system, passes everything on, and keeps what it saw.
//!
//! Bodies stream through files of the recording, whatever their size. Only the real system, its token endpoint and the hosts that were named are ever asked;
//! redirects are not followed but passed on, as clients see them.

use std::fs::File;
use std::io::{self, Seek, SeekFrom};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use ureq::http;

use super::places::{HOST_PATH, Places, shown};
use super::{Answered, Asked, Body, Exchange, Folder, is_text, redact, short_text};
use crate::clock::{Clock, Stopwatch};
use crate::edge::{Admission, Gate, Head};
use crate::http::answer::Body as AnswerBody;
use crate::http::listener::Service;
use crate::http::{Answer, Call};

/// The largest body that is passed on.
pub const BODY_BYTES_MAX: u64 = 16 << 30;
/// How long the real system may take, as the scheduler does it (CONTRACT §1.0).
const PATIENCE: Duration = Duration::from_secs(3600);

/// Headers of an answer that clients read. Others, cookies among them, are neither passed on nor kept.
const HEADERS: [&str; 24] = [
    "Accept-Ranges",
    "Allow",
    "Content-Disposition",
    "Content-MD5",
    "Content-Range",
    "Content-Type",
    "ETag",
    "Last-Modified",
    "Location",
    "OData-EntityId",
    "OData-Version",
    "Preference-Applied",
    "Retry-After",
    "WWW-Authenticate",
    "ms-dyn-aid",
    "x-ms-blob-type",
    "x-ms-content-crc64",
    "x-ms-creation-time",
    "x-ms-error-code",
    "x-ms-lease-state",
    "x-ms-lease-status",
    "x-ms-request-id",
    "x-ms-request-server-encrypted",
    "x-ms-version",
];

/// The one spelling of a header that is passed on.
pub(super) fn passed_on(name: &str) -> Option<&'static str> {
    HEADERS.into_iter().find(|known| known.eq_ignore_ascii_case(name))
}

/// Lets every request to its handler: what is not ours to judge is the real system's.
pub struct Open;

impl Gate for Open {
    fn admit(&self, _: &Head<'_>) -> Admission {
        Admission::Admit { max_body: BODY_BYTES_MAX }
    }
}

/// The proxy.
pub struct Recorder {
    /// Whose traffic it is.
    pub places: Places,
    folder: Folder,
    agent: ureq::Agent,
    clock: Clock,
    number: AtomicU32,
}

/// Where a request goes, and what it asks there.
struct Way {
    url: String,
    /// It goes to the token endpoint or to a document of it.
    of_tokens: bool,
}

fn failed(what: &str, error: &dyn std::fmt::Display) -> Answer {
    log::error!("request not recorded reason=\"{what}: {error}\"");
    Answer::refuse(502, &format!("{what}: {error}"), "the recorder could not pass this on; its log says more")
}

impl Recorder {
    /// Records into a folder.
    pub fn new(places: Places, folder: Folder, authorities: Option<&[ureq::tls::Certificate<'static>]>, clock: Clock) -> Recorder {
        let mut tls = ureq::tls::TlsConfig::builder();
        if let Some(authorities) = authorities {
            tls = tls.root_certs(ureq::tls::RootCerts::new_with_certs(authorities));
        }
        let agent = ureq::Agent::config_builder()
            .http_status_as_error(false)
            .max_redirects(0)
            .max_redirects_will_error(false)
            .allow_non_standard_methods(true)
            .timeout_global(Some(PATIENCE))
            .tls_config(tls.build())
            .user_agent("")
            .build();
        Recorder { places, folder, agent: agent.into(), clock, number: AtomicU32::new(0) }
    }

    /// How many exchanges were recorded.
    pub fn count(&self) -> u32 {
        self.number.load(Ordering::Relaxed)
    }

    fn way(&self, call: &Call) -> Result<Way, Answer> {
        let target = call.target();
        let segments: Vec<String> = call.path.iter().map(|segment| segment.to_ascii_lowercase()).collect();
        let segments: Vec<&str> = segments.iter().map(String::as_str).collect();
        if let [first, host, ..] = segments.as_slice()
            && *first == HOST_PATH
        {
            if !self.places.allows(host) {
                let hint = "name hosts that the real system's answers lead to with --also";
                return Err(Answer::refuse(403, &format!("{host} is no host of this recording"), hint));
            }
            // As the client wrote it, from behind the host.
            let rest = target.splitn(4, '/').nth(3).unwrap_or_default();
            return Ok(Way { url: format!("https://{host}/{rest}"), of_tokens: false });
        }
        let of_tokens = matches!(
            segments.as_slice(),
            [_, "oauth2", ..]
                | [_, "v2.0", ".well-known", _]
                | [_, ".well-known", _]
                | ["common", "discovery" | "userrealm", ..]
                | [_, "discovery", ..]
        );
        let base = if of_tokens { &self.places.authority } else { &self.places.upstream };
        Ok(Way { url: format!("{base}{}", self.outward_target(target)), of_tokens })
    }

    /// Addresses in the values of a query, which are escaped there.
    fn outward_target(&self, target: &str) -> String {
        match target.split_once('?') {
            Some((path, query)) => format!("{path}?{}", map_values(query, |value| self.places.outward(value))),
            None => target.to_owned(),
        }
    }

    fn pass_on(&self, call: &mut Call, number: u32) -> Result<Answer, Answer> {
        let way = self.way(call)?;
        let asked_at = self.clock.now().to_utc().format("%Y-%m-%dT%H:%M:%SZ").to_string();
        let watch = Stopwatch::start();
        let own = |error: &io::Error| failed("the recording cannot be written", error);
        let kind = call.header("Content-Type").unwrap_or_default().to_owned();
        let looked_through = is_text(&kind) || way.of_tokens;
        let spool = if looked_through { Folder::create_nameless } else { Folder::create_file };
        let (mut file, name) = spool(&self.folder, number, "request").map_err(|error| own(&error))?;
        call.read_body(|bytes| io::Write::write_all(&mut file, bytes)).map_err(|error| failed("the request was not read whole", &error))?;
        let size = file.stream_position().map_err(|error| own(&error))?;
        let text = if looked_through { short_text(&mut file).map_err(|error| own(&error))? } else { None };
        if way.of_tokens && text.is_none() {
            // It could not be looked through for secrets.
            return Err(Answer::refuse(400, "the form is no text, or too large", "send application/x-www-form-urlencoded"));
        }
        let sent = text.as_ref().map(|text| {
            // A form escapes the addresses in it.
            let form = way.of_tokens || kind.contains("x-www-form-urlencoded");
            if form { map_values(text, |value| self.places.outward(value)) } else { self.places.outward(text) }
        });
        let answered =
            self.ask(call, &way, sent.as_deref(), size, &mut file).map_err(|error| failed("the real system was not reached", &error))?;
        let asked = Asked {
            method: call.method.clone(),
            target: redact::target(&map_query(call.target(), |value| self.places.inward(value))),
            headers: redact::request_headers(call.headers()),
            body: match text {
                _ if size == 0 => None,
                Some(text) => {
                    let kind = if way.of_tokens { "application/x-www-form-urlencoded" } else { &kind };
                    let form = kind.contains("x-www-form-urlencoded");
                    let text = if form { map_values(&text, |value| self.places.inward(value)) } else { self.places.inward(&text) };
                    let kept = self.folder.keep_text(number, "request", redact::body(kind, &text)).map_err(|error| own(&error))?;
                    Some(kept)
                }
                None => {
                    if looked_through {
                        self.folder.keep_nameless(&mut file, number, "request").map_err(|error| own(&error))?;
                    }
                    Some(Body::File(name.clone()))
                }
            },
        };
        drop(file);
        if !matches!(&asked.body, Some(Body::File(_))) {
            self.folder.remove_file(&name);
        }
        self.answer(call, number, answered, |response| Exchange {
            at: asked_at,
            milliseconds: watch.elapsed_ms(),
            request: asked,
            response,
        })
    }

    fn ask(&self, call: &Call, way: &Way, sent: Option<&str>, size: u64, file: &mut File) -> Result<http::Response<ureq::Body>, String> {
        let mut request = http::Request::builder().method(call.method.as_str()).uri(&way.url);
        for (name, value) in call.headers() {
            // Those of the connection are each connection's own; an answer that is packed cannot be looked into.
            let own =
                ["host", "connection", "content-length", "transfer-encoding", "accept-encoding", "expect", "keep-alive", "te", "upgrade"];
            if !own.contains(&name.to_ascii_lowercase().as_str()) {
                request = request.header(name, value);
            }
        }
        let say = |error: &dyn std::fmt::Display| error.to_string();
        let answer = match sent {
            Some(text) if size > 0 => self.agent.run(request.body(text).map_err(|error| say(&error))?),
            _ if size > 0 => {
                file.seek(SeekFrom::Start(0)).map_err(|error| say(&error))?;
                let file = file.try_clone().map_err(|error| say(&error))?;
                self.agent.run(request.body(file).map_err(|error| say(&error))?)
            }
            // A POST without a body says so.
            _ if matches!(call.method.as_str(), "POST" | "PUT" | "PATCH") => self.agent.run(request.body("").map_err(|error| say(&error))?),
            _ => self.agent.run(request.body(()).map_err(|error| say(&error))?),
        };
        answer.map_err(|error| say(&error))
    }

    /// Keeps the answer, and makes of it what the client gets.
    fn answer(
        &self,
        call: &Call,
        number: u32,
        answered: http::Response<ureq::Body>,
        exchange: impl FnOnce(Answered) -> Exchange,
    ) -> Result<Answer, Answer> {
        let own = |error: &io::Error| failed("the recording cannot be written", error);
        let (head, body) = answered.into_parts();
        let headers: Vec<(&'static str, String)> = head
            .headers
            .iter()
            .filter_map(|(name, value)| Some((passed_on(name.as_str())?, self.places.inward(value.to_str().ok()?))))
            .collect();
        let length = body.content_length();
        let kind = headers.iter().find(|(name, _)| *name == "Content-Type").map_or("", |(_, value)| value.as_str()).to_owned();
        let spool = if is_text(&kind) { Folder::create_nameless } else { Folder::create_file };
        let (mut file, name) = spool(&self.folder, number, "response").map_err(|error| own(&error))?;
        if call.method != "HEAD" {
            io::copy(&mut body.into_reader(), &mut file).map_err(|error| failed("the real system's answer broke off", &error))?;
        }
        let size = file.stream_position().map_err(|error| own(&error))?;
        let text = if is_text(&kind) { short_text(&mut file).map_err(|error| own(&error))? } else { None };
        let text = text.map(|text| self.places.inward(&text));
        let mut kept = headers.iter().map(|(name, value)| ((*name).to_owned(), redact::text(value))).collect::<Vec<_>>();
        if call.method == "HEAD" {
            kept.extend(length.map(|length| ("Content-Length".to_owned(), length.to_string())));
        }
        let response = Answered {
            status: head.status.as_u16(),
            reason: head.status.canonical_reason().unwrap_or_default().to_owned(),
            headers: kept,
            body: match &text {
                _ if size == 0 => None,
                Some(text) => Some(self.folder.keep_text(number, "response", redact::body(&kind, text)).map_err(|error| own(&error))?),
                None => {
                    if is_text(&kind) {
                        self.folder.keep_nameless(&mut file, number, "response").map_err(|error| own(&error))?;
                    }
                    Some(Body::File(name.clone()))
                }
            },
        };
        let answer_body = match text {
            Some(text) => AnswerBody::Bytes(shown(&text, &self.places.own).into_bytes()),
            None if call.method == "HEAD" => AnswerBody::Stream(Box::new(io::empty()), length.unwrap_or(0)),
            None => {
                let mut again = self.folder.open_file(&name).map_err(|error| own(&error))?;
                again.seek(SeekFrom::Start(0)).map_err(|error| own(&error))?;
                AnswerBody::Stream(Box::new(again), size)
            }
        };
        drop(file);
        let is_file = matches!(&response.body, Some(Body::File(_)));
        let answer = Answer {
            status: response.status,
            reason: response.reason.clone(),
            headers: headers.into_iter().map(|(name, value)| (name, shown(&value, &self.places.own))).collect(),
            body: answer_body,
            delivered: None,
        };
        let exchange = exchange(response);
        log::info!(
            "exchange recorded number={number} method={} target={} status={} total_ms={}",
            exchange.request.method,
            exchange.request.target,
            exchange.response.status,
            exchange.milliseconds
        );
        self.folder.keep(number, &exchange).map_err(|error| own(&error))?;
        if !is_file {
            self.folder.remove_file(&name);
        }
        Ok(answer)
    }
}

/// The values of a query's pairs, or a form's, mapped; everything else stays as it was written.
fn map_values(pairs: &str, map: impl Fn(&str) -> String) -> String {
    let mapped = pairs.split('&').map(|pair| {
        let Some((name, value)) = pair.split_once('=') else { return pair.to_owned() };
        match crate::http::address::decode(value) {
            Some(plain) if map(&plain) != plain => format!("{name}={}", crate::http::address::encode(&map(&plain))),
            _ => pair.to_owned(),
        }
    });
    mapped.collect::<Vec<_>>().join("&")
}

/// The same for the query of a target.
pub(super) fn map_query(target: &str, map: impl Fn(&str) -> String) -> String {
    match target.split_once('?') {
        Some((path, query)) => format!("{path}?{}", map_values(query, map)),
        None => target.to_owned(),
    }
}

impl Service for Recorder {
    fn answer(&self, mut call: Call) {
        let number = self.number.fetch_add(1, Ordering::Relaxed) + 1;
        let answer = self.pass_on(&mut call, number).unwrap_or_else(|refusal| {
            // Bodies of what was not recorded were not looked through for secrets, either.
            self.folder.forget(number);
            refusal
        });
        call.answer(answer);
    }
}
