//! The only place with tiny_http. Each handler thread takes a request, hands a [`Call`] to the router, and writes the answer itself: tiny_http
//! cannot put our reason into the status line, and would split responses (HTTP notes on CVE-2026-66753). A small enqueue comes from the edge without
//! tiny_http and its threads between, as the same [`Call`] to the same router (`gate`).
//!
//! The edge stands in front: what comes here came over the private hop, was checked, and is exactly framed. A large body comes in chunks that the
//! edge ends only when the client did; a client that fails in the middle is an error to the reader, never a short body.

use std::io::{self, Read, Write};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use std::thread::JoinHandle;
use std::time::Duration;

use super::answer::{Answer, Body};
use super::gate::Gate;
use super::{address, route};
use crate::appliance::Appliance;
use crate::edge::{self, Edge, HEADER_AUTH, HEADER_LENGTH, HEADER_PEER, HEADER_SCHEME, Hop, HopListener, STATUS_CUT, Secret};

/// Threads that handle requests, beside one for each bulk exchange: large bodies and downloads never keep small requests waiting. A small one holds
/// its thread for as long as it reads the database; an enqueue waits for its commit without one.
const HANDLERS: usize = 16;
/// Threads that serve the connections that a server without a future still has.
const HANDLERS_LEFT_BEHIND: usize = 4;
/// So often the server behind is replaced before the process gives up.
const REPLACED_MAX: usize = 8;
const STACK_BYTES: usize = 512 * 1024;
/// A slow answer, a fault's, is slow for this long at most: it occupies a handler.
const SLOW_MAX: Duration = Duration::from_secs(60);
const SLOW_STEP: Duration = Duration::from_millis(100);
/// Bytes of a body that are read at a time.
const READ_BYTES: usize = 256 * 1024;

/// A request, as everything behind this file sees it.
pub struct Call {
    origin: Origin,
    /// Upper case.
    pub method: String,
    /// Decoded segments of the path, without empty ones.
    pub path: Vec<String>,
    /// Decoded pairs of the query.
    pub query: Vec<(String, String)>,
    declared: Option<u64>,
    taken: u64,
    /// A fault cuts the connection in the place of the answer.
    pub cut: bool,
    /// A fault lets the answer's body come at so many bytes a second.
    pub slow: Option<u64>,
    /// A fault shortens the lease of a dequeue.
    pub lease: Option<Duration>,
}

/// Where a call comes from, and its answer goes.
enum Origin {
    /// From tiny_http.
    Hop(tiny_http::Request),
    /// From the edge at once, with its whole body, on a thread that may not wait.
    Edge(edge::Request, edge::Answering),
}

impl Origin {
    fn target(&self) -> &str {
        match self {
            Origin::Hop(request) => request.url(),
            Origin::Edge(request, _) => &request.target,
        }
    }

    /// Every header, in order, those that the edge adds among them.
    fn headers(&self) -> impl Iterator<Item = (&str, &str)> {
        let (behind, taken) = match self {
            Origin::Hop(request) => (request.headers(), [].as_slice()),
            Origin::Edge(request, _) => ([].as_slice(), request.headers.as_slice()),
        };
        let behind = behind.iter().map(|header| (header.field.as_str().as_str(), header.value.as_str()));
        behind.chain(taken.iter().map(|(name, value)| (name.as_str(), value.as_str())))
    }

    fn answer(self, answer: Answer, head_only: bool) -> io::Result<()> {
        match self {
            Origin::Hop(request) => write(request.into_writer(), answer, head_only),
            Origin::Edge(_, answering) => {
                answering.answer(answer.of_edge());
                Ok(())
            }
        }
    }
}

impl Call {
    fn new(origin: Origin) -> Result<Call, (Origin, &'static str)> {
        let (path, query) = origin.target().split_once('?').unwrap_or((origin.target(), ""));
        let (Some(path), Some(query)) = (address::segments(path), address::pairs(query)) else {
            return Err((origin, "the address has a broken percent escape"));
        };
        let (method, whole) = match &origin {
            Origin::Hop(request) => (request.method().to_string().to_ascii_uppercase(), request.body_length().map(|length| length as u64)),
            Origin::Edge(request, _) => (request.method.clone(), Some(request.body.len() as u64)),
        };
        let mut call = Call { method, path, query, declared: None, taken: 0, cut: false, slow: None, lease: None, origin };
        // A large body comes in chunks; its length, when the client told it, stands in a header of the edge's.
        let relayed = call.header(HEADER_LENGTH).and_then(|length| length.parse().ok());
        call.declared = relayed.or(whole);
        Ok(call)
    }

    /// Path and query as the client wrote them.
    pub fn target(&self) -> &str {
        self.origin.target()
    }

    /// Every header, in order, without those that the edge adds.
    pub fn headers(&self) -> impl Iterator<Item = (&str, &str)> {
        self.origin.headers().filter(|(name, _)| !name.get(..7).is_some_and(|start| start.eq_ignore_ascii_case("x-edge-")))
    }

    /// A header, by its name in any case.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.origin.headers().find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, value)| value)
    }

    /// Whether it comes from the edge at once: the thread that carries it out serves thousands of clients, and may not wait.
    pub fn may_not_wait(&self) -> bool {
        matches!(self.origin, Origin::Edge(..))
    }

    /// A query value, by its name in any case (CONTRACT §1.0).
    pub fn query(&self, name: &str) -> Option<&str> {
        self.query.iter().find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }

    /// The declared length of the body; `None` for a chunked one.
    pub fn declared(&self) -> Option<u64> {
        self.declared
    }

    /// Who calls, for the log: the client behind a trusted proxy, or the connection's other end.
    pub fn peer(&self) -> String {
        match &self.origin {
            Origin::Hop(_) => self.header(HEADER_PEER).unwrap_or("?").to_owned(),
            Origin::Edge(request, _) => request.client.to_string(),
        }
    }

    /// The address of [`Call::peer`].
    pub fn peer_address(&self) -> IpAddr {
        let named = match &self.origin {
            Origin::Hop(_) => self.header(HEADER_PEER).and_then(|peer| peer.parse::<SocketAddr>().ok()),
            Origin::Edge(request, _) => Some(request.client),
        };
        // The edge always names one.
        named.map_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED), |peer| peer.ip())
    }

    /// Whether the client came over TLS, here or at a trusted proxy.
    pub fn is_https(&self) -> bool {
        match &self.origin {
            Origin::Hop(_) => self.header(HEADER_SCHEME) == Some("https"),
            Origin::Edge(request, _) => request.https,
        }
    }

    /// Reads the body piece by piece. A body that ends before its declared length is an error: tiny_http would call it complete.
    pub fn read_body(&mut self, mut each: impl FnMut(&[u8]) -> io::Result<()>) -> io::Result<()> {
        let request = match &mut self.origin {
            Origin::Hop(request) => request,
            Origin::Edge(request, _) => return each(&request.body),
        };
        // A small body gets a small buffer: clearing a large one would cost more than the body.
        let size = self.declared.map_or(READ_BYTES, |declared| usize::try_from(declared).unwrap_or(READ_BYTES).clamp(1, READ_BYTES));
        let mut buffer = vec![0u8; size];
        loop {
            match request.as_reader().read(&mut buffer) {
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

    /// Answers. A body that was not read is the edge's to end.
    pub fn answer(self, answer: Answer) {
        let head_only = self.method == "HEAD";
        let mut answer = if self.cut { Answer::empty(STATUS_CUT) } else { answer };
        let then = answer.delivered.take().filter(|_| !head_only);
        // A client that does not wait for its answer is no error of ours.
        let written = match (self.origin, self.slow) {
            (Origin::Hop(request), Some(rate)) if !self.cut => write_slowly(request.into_writer(), answer, rate),
            (origin, _) => origin.answer(answer, head_only),
        };
        if let (Ok(()), Some(then)) = (written, then) {
            then();
        }
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
                return Err(error);
            }
        }
    }
    out.flush()
}

/// Writes at a rate, for a fault: a tenth of a second's bytes, ten times a second, for [`SLOW_MAX`] at most and the rest at once.
fn write_slowly(out: Box<dyn Write + Send>, answer: Answer, rate: u64) -> io::Result<()> {
    let (head, body, length) = match answer.body {
        Body::Bytes(ref bytes) => {
            (answer.head(bytes.len() as u64), Box::new(io::Cursor::new(bytes.clone())) as Box<dyn Read + Send>, bytes.len() as u64)
        }
        Body::Stream(_, length) => {
            let head = answer.head(length);
            let Body::Stream(stream, _) = answer.body else { return Ok(()) };
            (head, stream, length)
        }
    };
    let mut out = out;
    out.write_all(head.as_bytes())?;
    let (mut body, piece) = (body.take(length), (rate / 10).max(1));
    for _ in 0..SLOW_MAX.as_millis() / SLOW_STEP.as_millis() {
        if io::copy(&mut body.by_ref().take(piece), &mut out)? == 0 {
            return out.flush();
        }
        out.flush()?;
        // Nobody unparks this thread: it is a wait, which a stop of the process ends.
        std::thread::park_timeout(SLOW_STEP);
    }
    io::copy(&mut body, &mut out)?;
    out.flush()
}

/// What answers calls: the appliance, or one of the tools for developers.
pub trait Service: Send + Sync {
    /// Answers a call, on one of the handler threads.
    fn answer(&self, call: Call);
}

struct OfAppliance(Arc<Appliance>);

impl Service for OfAppliance {
    fn answer(&self, call: Call) {
        route::route(&self.0, call);
    }
}

/// Where to listen, and within which bounds.
pub struct Place {
    /// Bounds of the edge.
    pub limits: edge::Settings,
    /// Addresses for plain HTTP, at least one.
    pub plain: Vec<SocketAddr>,
    /// The listener for HTTPS, if there is one.
    pub https: Option<edge::TlsSettings>,
    /// A folder of ours for the socket between the edge and what is behind it.
    pub folder: PathBuf,
}

/// What serves the hop. tiny_http stops accepting for ever at the first error, such as too many open files; then another server takes over the
/// socket, and the connections of the old one are served on.
struct Behind {
    server: RwLock<Arc<tiny_http::Server>>,
    socket: HopListener,
    handlers: usize,
    replaced: AtomicUsize,
    stopping: AtomicBool,
    service: Arc<dyn Service>,
    secret: Secret,
}

impl Behind {
    fn server(&self) -> Arc<tiny_http::Server> {
        self.server.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Serves until the stop; `only` keeps a thread at one server.
    fn serve(self: &Arc<Self>, only: Option<Arc<tiny_http::Server>>) {
        while !self.stopping.load(Ordering::SeqCst) {
            let server = only.clone().unwrap_or_else(|| self.server());
            match server.recv() {
                Ok(request) => handle(&*self.service, &self.secret, request),
                // Not an error of accept: somebody wants us to look around.
                Err(error) if error.raw_os_error().is_none() => {}
                Err(error) => self.replace(&server, &error),
            }
        }
    }

    fn replace(self: &Arc<Self>, dead: &Arc<tiny_http::Server>, error: &io::Error) {
        let mut current = self.server.write().unwrap_or_else(PoisonError::into_inner);
        if !Arc::ptr_eq(&current, dead) || self.stopping.load(Ordering::SeqCst) {
            return;
        }
        let count = self.replaced.fetch_add(1, Ordering::SeqCst) + 1;
        log::error!("handlers renewed count={count} reason=\"{error}\" hint=\"raise the limit of open files (LimitNOFILE)\"");
        if count > REPLACED_MAX {
            log::error!("giving up: the service manager starts it again");
            // Everything that was promised is on disk; a stop in order would need what is missing.
            std::process::exit(1);
        }
        *current = loop {
            let made = self.socket.try_clone().map(|socket| tiny_http::Server::from_listener(socket, None));
            match made {
                Ok(Ok(server)) => break Arc::new(server),
                _ => std::thread::park_timeout(Duration::from_millis(50)),
            }
        };
        for _ in 0..self.handlers {
            dead.unblock();
        }
        for _ in 0..HANDLERS_LEFT_BEHIND {
            let (behind, dead) = (self.clone(), dead.clone());
            let spawned =
                std::thread::Builder::new().name("http-old".into()).stack_size(STACK_BYTES).spawn(move || behind.serve(Some(dead)));
            if let Err(error) = spawned {
                log::error!("cannot start a handler reason=\"{error}\"");
            }
        }
    }
}

/// The running listeners.
pub struct Listener {
    behind: Arc<Behind>,
    edge: Arc<Edge>,
    threads: Vec<JoinHandle<()>>,
    /// Where it listens for plain HTTP.
    pub address: SocketAddr,
    /// Where it listens for HTTPS.
    pub https_address: Option<SocketAddr>,
}

impl Listener {
    /// Listens at the configured addresses: the edge there, the handlers behind it.
    pub fn start(appliance: &Arc<Appliance>) -> Result<Listener, String> {
        let configured = appliance.live().config.server.clone();
        let place =
            Place { limits: configured.limits, plain: vec![configured.listen], https: configured.https, folder: configured.data_dir };
        let listener = Listener::serve(place, Arc::new(Gate(appliance.clone())), Arc::new(OfAppliance(appliance.clone())))?;
        if appliance.edge.set(listener.edge.clone()).is_err() {
            return Err("this appliance listens already".into());
        }
        Ok(listener)
    }

    /// The same for any service, whose gate decides on the head of each request.
    pub fn serve(place: Place, gate: Arc<dyn edge::Gate>, service: Arc<dyn Service>) -> Result<Listener, String> {
        let say = |error: &dyn std::error::Error| match error.source() {
            Some(source) => format!("{error}: {source}"),
            None => error.to_string(),
        };
        let (hop, behind) = Hop::open(&place.folder).map_err(|error| say(&error))?;
        let secret = hop.secret();
        let wrong = |error: &dyn std::fmt::Display| format!("cannot serve the private hop: {error}");
        let socket = behind.try_clone().map_err(|error| wrong(&error))?;
        let server = tiny_http::Server::from_listener(behind, None).map_err(|error| wrong(&error))?;
        let behind = Arc::new(Behind {
            server: RwLock::new(Arc::new(server)),
            socket,
            handlers: HANDLERS + place.limits.bulk_exchanges,
            replaced: AtomicUsize::new(0),
            stopping: AtomicBool::new(false),
            service,
            secret,
        });
        let mut threads = Vec::new();
        for number in 0..behind.handlers {
            let behind = behind.clone();
            let thread =
                std::thread::Builder::new().name(format!("http-{number}")).stack_size(STACK_BYTES).spawn(move || behind.serve(None));
            threads.push(thread.map_err(|error| format!("cannot start a handler: {error}"))?);
        }
        let edge = Arc::new(Edge::start(place.limits, place.plain, place.https, hop, gate).map_err(|error| say(&error))?);
        let (address, https_address) = (edge.addresses()[0], edge.addresses().get(1).copied());
        Ok(Listener { behind, edge, threads, address, https_address })
    }

    /// Takes no more connections and requests; those in work have `grace`, and then are cut off.
    pub fn stop(self, grace: Duration) {
        self.edge.stop(grace);
        self.behind.stopping.store(true, Ordering::SeqCst);
        let server = self.behind.server();
        for _ in &self.threads {
            server.unblock();
        }
        for thread in self.threads {
            let _ = thread.join();
        }
    }
}

fn handle(service: &dyn Service, secret: &Secret, request: tiny_http::Request) {
    let proof = request.headers().iter().find(|header| header.field.as_str().as_str().eq_ignore_ascii_case(HEADER_AUTH));
    if !proof.is_some_and(|proof| secret.matches(proof.value.as_str())) {
        let refusal = Answer::refuse(403, "this address is for the appliance itself", "use the one that entrepot serve prints");
        let _ = write(request.into_writer(), refusal, false);
        return;
    }
    // tiny_http answers 500 when a request is dropped unanswered; the handler must live on.
    if catch_unwind(AssertUnwindSafe(|| answer(Origin::Hop(request), |call| service.answer(call)))).is_err() {
        log::error!("a handler panicked: a bug, please report it with the lines above");
    }
}

/// Carries out a request that comes from the edge at once.
pub fn carry_out(appliance: &Arc<Appliance>, request: edge::Request, answering: edge::Answering) {
    answer(Origin::Edge(request, answering), |call| route::route(appliance, call));
}

fn answer(origin: Origin, answer: impl FnOnce(Call)) {
    match Call::new(origin) {
        Ok(call) => answer(call),
        Err((origin, reason)) => {
            let _ = origin.answer(Answer::refuse(400, reason, "correct the request"), false);
        }
    }
}
