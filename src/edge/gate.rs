//! What the rest of the appliance says about a request before its body is read: [`Gate`], asked with the checked [`Head`].
//!
//! The gate runs on a relay thread, between the events of thousands of other connections: it must answer in microseconds, from
//! memory. A signature check belongs behind a cache.
//!
//! A small request that is carried out without waiting need not go to the server behind, where it would wake two threads: the gate can
//! take it ([`Admission::Take`]), and answers it later from any thread ([`Answering`]).

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use super::relay::{Inbox, Message};
use super::slab::Key;

/// Decides on the head, before the body is read.
pub trait Gate: Send + Sync {
    /// May this request go on, and with how large a body?
    fn admit(&self, head: &Head<'_>) -> Admission;

    /// Carries out a request that was admitted by [`Admission::Take`], without waiting for anything.
    fn take(&self, request: Request, answering: Answering) {
        log::error!("request {} {} not taken: a bug, this gate takes none", request.method, request.target);
        drop(answering);
    }

    /// All requests that have come together are taken: what [`Gate::take`] put off for that can begin. It must not wait either.
    fn taken(&self) {}
}

/// A whole request, for [`Gate::take`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// Upper-case letters, such as `POST`.
    pub method: String,
    /// Path and query, still percent-encoded; begins with `/`.
    pub target: String,
    /// The header lines in order, without those that speak of the connection or the framing.
    pub headers: Vec<(String, String)>,
    /// The whole body.
    pub body: Vec<u8>,
    /// The client; the port is 0 when a trusted proxy named the address.
    pub client: SocketAddr,
    /// It came over TLS, here or at a trusted proxy.
    pub https: bool,
}

/// Answers a request that was taken. One that is dropped without an answer is answered 500, as by the server behind.
pub struct Answering(pub(super) Option<(Arc<Inbox>, Asker)>);

/// Who waits for an answer: a client of a relay. One that began anew after a panic gives its keys anew: which one it was is part of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Asker {
    pub generation: u64,
    pub client: Key,
}

impl Answering {
    pub(super) fn new(inbox: Arc<Inbox>, asker: Asker) -> Self {
        Answering(Some((inbox, asker)))
    }

    /// Answers, from any thread; a client that has left meanwhile is no error.
    pub fn answer(mut self, answer: Answer) {
        self.send(answer);
    }

    fn send(&mut self, answer: Answer) {
        if let Some((inbox, asker)) = self.0.take() {
            inbox.send(Message::Answered(asker, answer));
        }
    }
}

impl Drop for Answering {
    fn drop(&mut self) {
        self.send(Answer::new(500, "Internal Server Error", "the request was not answered: a bug, the log says more"));
    }
}

/// The length of a body, as its head announces it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BodyLength {
    /// No body.
    None,
    /// `Content-Length`.
    Known(u64),
    /// Chunked: known when it ends.
    Unknown,
}

/// A request head that passed the check: ASCII, one meaning.
#[derive(Clone, Copy, Debug)]
pub struct Head<'a> {
    /// Upper-case letters, such as `POST`.
    pub method: &'a str,
    /// Path and query, still percent-encoded; begins with `/`.
    pub target: &'a str,
    /// The header lines in order, surrounding blanks removed.
    pub headers: &'a [Header<'a>],
    /// The body that is announced.
    pub body: BodyLength,
    /// The client; behind a trusted proxy, the one that the proxy names.
    pub client: IpAddr,
    /// It came over TLS, here or at a trusted proxy.
    pub https: bool,
}

/// One header line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header<'a> {
    /// As sent; compare without case.
    pub name: &'a str,
    /// Visible ASCII, blanks and tabs.
    pub value: &'a str,
}

impl<'a> Head<'a> {
    /// The value of the first header of this name, in any case.
    pub fn header(&self, name: &str) -> Option<&'a str> {
        self.headers.iter().find(|header| header.name.eq_ignore_ascii_case(name)).map(|header| header.value)
    }

    /// The target without its query.
    pub fn path(&self) -> &'a str {
        self.target.split('?').next().unwrap_or(self.target)
    }
}

/// What the gate decided.
#[derive(Clone, Debug, PartialEq)]
pub enum Admission {
    /// It may go on.
    Admit {
        /// Bytes of body; a longer one is answered 413.
        max_body: u64,
    },
    /// It may go on, and is given to [`Gate::take`] once its body is here. For a body whose announced length is at most `small_body`; any other
    /// goes to the server behind, as with [`Admission::Admit`].
    Take {
        /// Bytes of body; a longer one is answered 413.
        max_body: u64,
    },
    /// It is answered at once; its body is never read.
    Refuse(Answer),
}

/// An answer given by the edge itself.
#[derive(Clone, Debug, PartialEq)]
pub struct Answer {
    /// 200 to 599.
    pub status: u16,
    /// The reason phrase of the status line.
    pub reason: String,
    /// Header lines beside `Content-Length` and `Connection`, which are the edge's. A line that could split the answer is left out.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: Vec<u8>,
}

impl Answer {
    /// A refusal that says why in plain text.
    pub fn new(status: u16, reason: &str, explanation: &str) -> Self {
        Answer {
            status,
            reason: reason.to_owned(),
            headers: vec![("Content-Type".into(), "text/plain; charset=utf-8".into())],
            body: format!("{explanation}\n").into_bytes(),
        }
    }

    /// With one more header line.
    #[must_use]
    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }
}
