//! Tests of the edge as a whole: real sockets, a small tiny_http application behind, in this process. Limits are set low so that no
//! test waits long; nothing here asserts how fast something is, only that it happens before a generous deadline.

mod attacks;
mod bodies;
mod exchanges;
mod malformed;
mod secure;
mod taken;

pub(super) use malformed::MALFORMED;

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::{Arc, Condvar, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

use super::*;
use crate::clock::Stopwatch;

/// Nothing that is expected takes this long, on any machine.
const PATIENCE: Duration = Duration::from_secs(20);

/// What the application behind has seen, in order.
#[derive(Clone, Default)]
struct Seen(Arc<(Mutex<Vec<String>>, Condvar)>);

impl Seen {
    fn push(&self, what: impl Into<String>) {
        self.0.0.lock().unwrap().push(what.into());
        self.0.1.notify_all();
    }

    fn all(&self) -> Vec<String> {
        self.0.0.lock().unwrap().clone()
    }

    /// Waits until it has seen this.
    #[track_caller]
    fn expect(&self, what: &str) {
        let guard = self.0.0.lock().unwrap();
        let missing = |seen: &mut Vec<String>| !seen.iter().any(|entry| entry == what);
        let (seen, _) = self.0.1.wait_timeout_while(guard, PATIENCE, missing).unwrap();
        assert!(seen.iter().any(|entry| entry == what), "{what:?} was not seen: {seen:?}");
    }
}

/// A gate for tests: `/private` wants authorization, `/ten` allows ten bytes of body, `/gate-panic` panics, and what is below `/take` it takes.
#[derive(Default)]
struct TestGate {
    seen: Seen,
    /// Requests to `/take/hold`, until somebody answers them.
    held: Mutex<Vec<Answering>>,
}

impl Gate for TestGate {
    fn admit(&self, head: &Head<'_>) -> Admission {
        assert_ne!(head.path(), "/gate-panic", "the gate panics on purpose");
        if head.path() == "/private" && head.header("authorization") != Some("Bearer good") {
            let refusal = super::Answer::new(401, "No token; get one at /token", "there is no token").header("WWW-Authenticate", "Bearer");
            return Admission::Refuse(refusal);
        }
        if head.path().starts_with("/take/") {
            return Admission::Take { max_body: 1 << 40 };
        }
        Admission::Admit { max_body: if head.path() == "/ten" { 10 } else { 1 << 40 } }
    }

    fn take(&self, request: Request, answering: Answering) {
        let took = format!("took {} {} bytes", request.target, request.body.len());
        if request.target == "/take/hold" {
            self.held.lock().unwrap().push(answering);
            return self.seen.push(took);
        }
        self.seen.push(took);
        let names: Vec<&str> = request.headers.iter().map(|(name, _)| name.as_str()).collect();
        let answer = super::Answer { status: 200, reason: "Taken".into(), headers: Vec::new(), body: request.body.clone() };
        match request.target.as_str() {
            "/take/drop" => drop(answering),
            "/take/panic" => panic!("the gate panics on purpose"),
            "/take/cut" => answering.answer(super::Answer { status: STATUS_CUT, ..answer }),
            "/take/elsewhere" => drop(std::thread::spawn(|| answering.answer(answer))),
            _ => answering.answer(answer.header("X-Headers", &names.join(" ")).header("X-Method", &request.method)),
        }
    }

    fn taken(&self) {
        self.seen.push("taken");
    }
}

/// An edge with a tiny_http application behind it.
struct Site {
    edge: Option<Edge>,
    server: Arc<tiny_http::Server>,
    workers: Vec<JoinHandle<()>>,
    gate: Arc<TestGate>,
    seen: Seen,
    /// Requests to `/stuck` are held until this is true.
    released: Arc<(Mutex<bool>, Condvar)>,
    _directory: tempfile::TempDir,
}

impl Site {
    fn start(settings: Settings) -> Site {
        Site::start_with(settings, None)
    }

    fn start_with(settings: Settings, tls: Option<TlsSettings>) -> Site {
        let directory = tempfile::tempdir().unwrap();
        let (hop, listener) = Hop::open(directory.path()).unwrap();
        let secret = hop.secret();
        let server = Arc::new(tiny_http::Server::from_listener(listener, None).unwrap());
        let (seen, released) = (Seen::default(), Arc::new((Mutex::new(false), Condvar::new())));
        let workers = (0..settings.handlers())
            .map(|_| {
                let (server, secret, seen, released) = (Arc::clone(&server), secret.clone(), seen.clone(), Arc::clone(&released));
                std::thread::spawn(move || {
                    while let Ok(request) = server.recv() {
                        let handled = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| handle(request, &secret, &seen, &released)));
                        if handled.is_err() {
                            seen.push("panic");
                        }
                    }
                })
            })
            .collect();
        let gate = Arc::new(TestGate { seen: seen.clone(), ..TestGate::default() });
        let edge = Edge::start(settings, vec!["127.0.0.1:0".parse().unwrap()], tls, hop, gate.clone()).unwrap();
        Site { edge: Some(edge), server, gate, workers, seen, released, _directory: directory }
    }

    fn edge(&self) -> &Edge {
        self.edge.as_ref().unwrap()
    }

    fn address(&self) -> SocketAddr {
        self.edge().addresses()[0]
    }

    fn client(&self) -> Client {
        Client::connect(self.address())
    }

    fn client_from(&self, address: [u8; 4]) -> Client {
        let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
        socket.bind(&SocketAddr::from((address, 0)).into()).unwrap();
        socket.connect(&self.address().into()).unwrap();
        let stream = TcpStream::from(socket);
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        Client::over(stream)
    }

    fn counters(&self) -> Counters {
        self.edge().counters()
    }

    /// Waits until the counters are as they should be.
    #[track_caller]
    fn until(&self, what: &str, holds: impl Fn(&Counters) -> bool) {
        let watch = Stopwatch::start();
        while !holds(&self.counters()) {
            assert!(watch.elapsed() < PATIENCE, "{what}: {:?}", self.counters());
            std::thread::yield_now();
        }
    }

    /// The site still answers an ordinary request.
    #[track_caller]
    fn assert_alive(&self) {
        let mut client = self.client();
        client.send("GET /alive HTTP/1.1\r\nHost: a\r\n\r\n");
        assert_eq!(client.answer().status_line, "HTTP/1.1 200 Fine indeed");
    }

    fn release(&self) {
        *self.released.0.lock().unwrap() = true;
        self.released.1.notify_all();
    }
}

impl Drop for Site {
    fn drop(&mut self) {
        self.release();
        if let Some(edge) = &self.edge {
            edge.stop(Duration::from_millis(500));
        }
        for _ in &self.workers {
            self.server.unblock();
        }
        for worker in self.workers.drain(..) {
            let _ = worker.join();
        }
    }
}

fn respond(request: tiny_http::Request, status_line: &str, headers: &[&str], body: &[u8]) {
    let mut writer = request.into_writer();
    let mut out = format!("HTTP/1.1 {status_line}\r\nContent-Length: {}\r\n", body.len()).into_bytes();
    for header in headers {
        out.extend_from_slice(header.as_bytes());
        out.extend_from_slice(b"\r\n");
    }
    out.extend_from_slice(b"\r\n");
    out.extend_from_slice(body);
    let _ = writer.write_all(&out).and_then(|()| writer.flush());
}

fn handle(mut request: tiny_http::Request, secret: &Secret, seen: &Seen, released: &(Mutex<bool>, Condvar)) {
    let header = |request: &tiny_http::Request, name: &str| {
        request
            .headers()
            .iter()
            .find(|header| header.field.as_str().as_str().eq_ignore_ascii_case(name))
            .map(|header| header.value.to_string())
    };
    if !header(&request, HEADER_AUTH).is_some_and(|value| secret.matches(&value)) {
        seen.push("without the secret");
        return respond(request, "403 Not through the edge", &[], b"");
    }
    let url = request.url().to_owned();
    let path = url.split('?').next().unwrap_or_default();
    let raw = |request: tiny_http::Request, bytes: &[u8]| {
        let mut writer = request.into_writer();
        let _ = writer.write_all(bytes).and_then(|()| writer.flush());
    };
    match path {
        "/count" | "/ten" => {
            let declared = header(&request, HEADER_LENGTH).or_else(|| request.body_length().map(|length| length.to_string()));
            let mut buffer = vec![0; 16 << 10];
            let (mut total, mut sum) = (0_u64, 0_u64);
            seen.push("reading");
            let whole = loop {
                match request.as_reader().read(&mut buffer) {
                    Ok(0) => break true,
                    Ok(count) => {
                        total += count as u64;
                        sum += buffer[..count].iter().map(|byte| u64::from(*byte)).sum::<u64>();
                    }
                    Err(_) => break false,
                }
            };
            seen.push(format!("{} {total}", if whole { "whole" } else { "broken" }));
            let body = format!("{total} {sum} {}", declared.unwrap_or("-".into()));
            respond(request, "200 Counted", &[], body.as_bytes());
        }
        "/reject" => respond(request, "403 Not you; ask the admin", &["X-Hint: ask"], b"rejected"),
        "/who" => {
            let body = format!("{} {}", header(&request, HEADER_PEER).unwrap(), header(&request, HEADER_SCHEME).unwrap());
            respond(request, "200 OK", &[], body.as_bytes());
        }
        "/large" => {
            let size: usize = url.split('?').nth(1).unwrap().parse().unwrap();
            let mut writer = request.into_writer();
            let _ = write!(writer, "HTTP/1.1 200 OK\r\nContent-Length: {size}\r\n\r\n");
            let piece: Vec<u8> = (0..=250).cycle().take(251 * 64).collect();
            let mut left = size;
            while left > 0 {
                let count = left.min(piece.len());
                if writer.write_all(&piece[..count]).is_err() {
                    return seen.push("large given up");
                }
                left -= count;
            }
            let _ = writer.flush();
            seen.push("large written");
        }
        "/chunked" => {
            raw(request, b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n6;x=y\r\n world\r\n0\r\nT: x\r\n\r\n")
        }
        "/no-content" => raw(request, b"HTTP/1.1 204 Nothing here\r\nETag: \"x\"\r\n\r\n"),
        "/no-length" => raw(request, b"HTTP/1.1 200 OK\r\n\r\nhello"),
        "/split" => raw(request, b"HTTP/1.1 200 OK\r\nX: y\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil"),
        "/bare-lf" => raw(request, b"HTTP/1.1 200 OK\r\nX: y\nSet-Cookie: z\r\nContent-Length: 0\r\n\r\n"),
        "/surplus" => raw(request, b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhelloHTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil"),
        "/bad-chunks" => raw(request, b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhelloX"),
        "/panic" => panic!("the handler panics on purpose"),
        "/stuck" => {
            seen.push("stuck");
            let guard = released.0.lock().unwrap();
            drop(released.1.wait_while(guard, |released| !*released).unwrap());
            respond(request, "200 Released", &[], b"at last");
        }
        _ => {
            seen.push(format!("{} {url}", request.method()));
            respond(request, "200 Fine indeed", &["X-Path: yes"], b"hello");
        }
    }
}

/// An answer as a client sees it.
#[derive(Debug)]
struct Answer {
    status_line: String,
    headers: Vec<String>,
    body: Vec<u8>,
}

impl Answer {
    fn status(&self) -> u16 {
        self.status_line[9..12].parse().unwrap()
    }

    fn has(&self, line: &str) -> bool {
        self.headers.iter().any(|header| header.eq_ignore_ascii_case(line))
    }

    fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }
}

/// A client that says exactly what it is told to.
struct Client {
    stream: Box<dyn ReadWrite>,
    buffer: Vec<u8>,
}

trait ReadWrite: Read + Write + Send {}
impl<T: Read + Write + Send> ReadWrite for T {}

fn connect(address: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream.set_write_timeout(Some(PATIENCE)).unwrap();
    stream.set_nodelay(true).unwrap();
    stream
}

impl Client {
    fn connect(address: SocketAddr) -> Client {
        Client::over(connect(address))
    }

    fn over(stream: impl ReadWrite + 'static) -> Client {
        Client { stream: Box::new(stream), buffer: Vec::new() }
    }

    fn send(&mut self, bytes: impl AsRef<[u8]>) {
        // The edge may have closed already; what it said counts.
        let _ = self.stream.write_all(bytes.as_ref()).and_then(|()| self.stream.flush());
    }

    /// Reads until something is found in the buffer, or the end.
    fn fill(&mut self) -> bool {
        let mut piece = [0; 16 << 10];
        match self.stream.read(&mut piece) {
            Ok(0) => false,
            Ok(count) => {
                self.buffer.extend_from_slice(&piece[..count]);
                true
            }
            Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut) => panic!("nothing came: {error}"),
            Err(_) => false,
        }
    }

    /// Reads one answer; `None` when the connection ends first.
    fn try_answer(&mut self, to_head: bool) -> Option<Answer> {
        let end = loop {
            if let Some(at) = self.buffer.windows(4).position(|window| window == b"\r\n\r\n") {
                break at;
            }
            if !self.fill() {
                return None;
            }
        };
        let head = String::from_utf8(self.buffer.drain(..end + 4).collect()).unwrap();
        let mut lines = head.trim_end().split("\r\n").map(str::to_owned);
        let (status_line, headers): (String, Vec<String>) = (lines.next().unwrap(), lines.collect());
        let status: u16 = status_line[9..12].parse().unwrap();
        let value = |name: &str| {
            headers.iter().find_map(|line| line.split_once(": ").filter(|(n, _)| n.eq_ignore_ascii_case(name)).map(|(_, v)| v))
        };
        let mut body = Vec::new();
        if to_head || status == 204 || status == 304 || status == 100 {
        } else if let Some(length) = value("Content-Length") {
            let length: usize = length.parse().unwrap();
            while self.buffer.len() < length {
                if !self.fill() {
                    return None;
                }
            }
            body = self.buffer.drain(..length).collect();
        } else if value("Transfer-Encoding") == Some("chunked") {
            let mut decoder = chunk::BodyDecoder::chunked();
            loop {
                let piece = decoder.next(&self.buffer).unwrap();
                body.extend_from_slice(piece.data);
                let (used, done) = (piece.used, piece.done);
                self.buffer.drain(..used);
                if done {
                    break;
                }
                if self.buffer.is_empty() && !self.fill() {
                    return None;
                }
            }
        } else {
            while self.fill() {}
            body = std::mem::take(&mut self.buffer);
        }
        Some(Answer { status_line, headers, body })
    }

    #[track_caller]
    fn answer(&mut self) -> Answer {
        self.try_answer(false).expect("the connection ended before the answer")
    }

    /// The connection is closed, and nothing more was said.
    #[track_caller]
    fn assert_closed(&mut self) {
        while self.fill() {}
        assert_eq!(String::from_utf8_lossy(&self.buffer), "");
    }
}
