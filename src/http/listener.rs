//! The only place with tiny_http. Each handler thread takes a request, hands a [`Call`] to the router, and writes the answer itself: tiny_http
//! cannot put our reason into the status line, and would split responses (HTTP notes on CVE-2026-66753).
//!
//! tiny_http must not face a hostile network: it has no time-outs and no limit on connections or heads. Until the edge stands in front of it,
//! the listener is for loopback or for behind a reverse proxy. What can be kept from it here is kept: a request is never dropped with a large
//! unread body, which would make it allocate the whole declared length.

use std::io::{self, Read, Write};
use std::net::SocketAddr;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;

use super::answer::{Answer, Body};
use super::{address, route};
use crate::appliance::Appliance;

/// Threads that handle requests.
const HANDLERS: usize = 32;
/// A longer target is refused.
const TARGET_MAX: usize = 16 * 1024;
/// Rest of an unread body above which a request is not dropped in the ordinary way.
const UNREAD_MAX: u64 = 1024 * 1024;

/// A request, as everything behind this file sees it.
pub struct Call {
    request: tiny_http::Request,
    /// Upper case.
    pub method: String,
    /// Decoded segments of the path, without empty ones.
    pub path: Vec<String>,
    /// Decoded pairs of the query.
    pub query: Vec<(String, String)>,
    declared: Option<u64>,
    taken: u64,
}

impl Call {
    fn new(request: tiny_http::Request) -> Result<Call, (tiny_http::Request, &'static str)> {
        let target = request.url().to_owned();
        if target.len() > TARGET_MAX {
            return Err((request, "the address is too long"));
        }
        let (path, query) = target.split_once('?').unwrap_or((&target, ""));
        // Decoded once, segment by segment: an encoded slash stays within its segment. In a path a plus is a plus.
        let path = path
            .split('/')
            .filter(|segment| !segment.is_empty())
            .map(|segment| address::decode(&segment.replace('+', "%2B")))
            .collect::<Option<Vec<_>>>();
        let (Some(path), Some(query)) = (path, address::pairs(query)) else {
            return Err((request, "the address has a broken percent escape"));
        };
        let declared = request.body_length().map(|length| length as u64);
        Ok(Call { method: request.method().to_string().to_ascii_uppercase(), path, query, declared, taken: 0, request })
    }

    /// A header, by its name in any case.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.request
            .headers()
            .iter()
            .find(|header| header.field.as_str().as_str().eq_ignore_ascii_case(name))
            .map(|header| header.value.as_str())
    }

    /// A query value, by its name in any case (CONTRACT §1.0).
    pub fn query(&self, name: &str) -> Option<&str> {
        self.query.iter().find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }

    /// The declared length of the body; `None` for a chunked one.
    pub fn declared(&self) -> Option<u64> {
        self.declared
    }

    /// Who calls, for the log.
    pub fn peer(&self) -> String {
        self.request.remote_addr().map_or_else(|| "?".into(), SocketAddr::to_string)
    }

    /// Reads the body piece by piece. A body that ends before its declared length is an error: tiny_http would call it complete.
    pub fn read_body(&mut self, mut each: impl FnMut(&[u8]) -> io::Result<()>) -> io::Result<()> {
        let mut buffer = vec![0u8; 64 * 1024];
        loop {
            match self.request.as_reader().read(&mut buffer) {
                Ok(0) => break,
                Ok(count) => {
                    self.taken += count as u64;
                    each(&buffer[..count])?;
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(io::Error::new(io::ErrorKind::UnexpectedEof, error)),
            }
        }
        match self.declared {
            Some(declared) if declared != self.taken => {
                Err(io::Error::new(io::ErrorKind::UnexpectedEof, format!("the body ended after {} of {declared} bytes", self.taken)))
            }
            _ => Ok(()),
        }
    }

    /// A whole body of at most `most` bytes; `None` when it is larger.
    pub fn small_body(&mut self, most: usize) -> io::Result<Option<Vec<u8>>> {
        let mut body = Vec::new();
        let mut fits = self.declared.is_none_or(|declared| declared <= most as u64);
        if fits {
            self.read_body(|bytes| {
                fits &= body.len() + bytes.len() <= most;
                if fits {
                    body.extend_from_slice(bytes);
                }
                Ok(())
            })?;
        }
        Ok(fits.then_some(body))
    }

    /// Answers. What the client still sends is read and thrown away first.
    pub fn answer(mut self, answer: Answer) {
        let _ = self.read_body(|_| Ok(()));
        if self.declared.is_some_and(|declared| declared - self.taken.min(declared) > UNREAD_MAX) {
            // The client is gone in the middle of a large body. Dropped, the request would allocate what is missing; so it is leaked, which costs
            // a descriptor.
            log::warn!("request abandoned peer={} reason=\"the client left in the middle of its body\"", self.peer());
            std::mem::forget(self.request);
            return;
        }
        let head_only = self.method == "HEAD";
        // A client that does not wait for its answer is no error of ours.
        let _ = write(self.request.into_writer(), answer, head_only);
    }
}

fn write(mut out: Box<dyn Write + Send>, answer: Answer, head_only: bool) -> io::Result<()> {
    let length = match &answer.body {
        Body::Bytes(bytes) => bytes.len() as u64,
        Body::Stream(_, length) => *length,
    };
    let mut head = answer.head(length).into_bytes();
    match answer.body {
        _ if head_only => out.write_all(&head)?,
        Body::Bytes(bytes) => {
            head.extend_from_slice(&bytes);
            out.write_all(&head)?;
        }
        Body::Stream(stream, length) => {
            out.write_all(&head)?;
            let copied = io::copy(&mut stream.take(length), &mut out);
            if let Err(error) = copied {
                log::warn!("answer cut short reason=\"{error}\"");
            }
        }
    }
    out.flush()
}

/// A running listener.
pub struct Listener {
    server: Arc<tiny_http::Server>,
    stopping: Arc<AtomicBool>,
    threads: Vec<JoinHandle<()>>,
    /// Where it listens.
    pub address: SocketAddr,
}

impl Listener {
    /// Listens at the configured address.
    pub fn start(appliance: &Arc<Appliance>) -> Result<Listener, String> {
        let listen = appliance.live().config.server.listen;
        let server = tiny_http::Server::http(listen).map_err(|error| {
            format!("cannot listen on {listen}: {error}\n  hint: another program may use the port; choose another with --listen")
        })?;
        let address = server.server_addr().to_ip().ok_or("the listener has no address")?;
        let server = Arc::new(server);
        let stopping = Arc::new(AtomicBool::new(false));
        let mut threads = Vec::new();
        for number in 0..HANDLERS {
            let (server, stopping, appliance) = (server.clone(), stopping.clone(), appliance.clone());
            let work = move || {
                while !stopping.load(Ordering::SeqCst) {
                    if let Ok(request) = server.recv() {
                        handle(&appliance, request);
                    }
                }
            };
            let thread = std::thread::Builder::new().name(format!("http-{number}")).stack_size(512 * 1024).spawn(work);
            threads.push(thread.map_err(|error| format!("cannot start a handler: {error}"))?);
        }
        Ok(Listener { server, stopping, threads, address })
    }

    /// Takes no more requests; those in work are finished.
    pub fn stop(self) {
        self.stopping.store(true, Ordering::SeqCst);
        for _ in &self.threads {
            self.server.unblock();
        }
        for thread in self.threads {
            let _ = thread.join();
        }
    }
}

fn handle(appliance: &Arc<Appliance>, request: tiny_http::Request) {
    match Call::new(request) {
        Ok(call) => {
            // tiny_http answers 500 when a request is dropped unanswered; the handler must live on.
            if catch_unwind(AssertUnwindSafe(|| route::route(appliance, call))).is_err() {
                log::error!("a handler panicked: a bug, please report it with the lines above");
            }
        }
        Err((request, reason)) => {
            let _ = write(request.into_writer(), Answer::refuse(400, reason, "correct the request"), false);
        }
    }
}
