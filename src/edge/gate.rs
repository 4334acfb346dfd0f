//! What the rest of the appliance says about a request before its body is read: [`Gate`], asked with the checked [`Head`].
//!
//! The gate runs on a relay thread, between the events of thousands of other connections: it must answer in microseconds, from
//! memory. A signature check belongs behind a cache.

use std::net::IpAddr;

/// Decides on the head, before the body is read.
pub trait Gate: Send + Sync {
    /// May this request go on, and with how large a body?
    fn admit(&self, head: &Head<'_>) -> Admission;
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
    /// It is answered at once; its body is never read.
    Refuse(Refusal),
}

/// An answer given by the edge itself.
#[derive(Clone, Debug, PartialEq)]
pub struct Refusal {
    /// 400 to 599, or a redirect.
    pub status: u16,
    /// The reason phrase of the status line.
    pub reason: String,
    /// Header lines beside `Content-Length` and `Connection`, which are the edge's. A line that could split the answer is left out.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: Vec<u8>,
}

impl Refusal {
    /// A refusal that says why in plain text.
    pub fn new(status: u16, reason: &str, explanation: &str) -> Self {
        Refusal {
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
