//! What is answered: status, reason, headers, body. Headers are checked here, so that nothing from a client can split a response.

use std::io::Read;

use serde_json::{Value, json};

use crate::edge;

/// Stands in every answer: no browser shall make a page of a document.
const NOSNIFF: (&str, &str) = ("X-Content-Type-Options", "nosniff");

/// The body of an answer.
pub enum Body {
    /// In memory.
    Bytes(Vec<u8>),
    /// A file of known size.
    Stream(Box<dyn Read + Send>, u64),
}

/// An answer.
pub struct Answer {
    /// HTTP status.
    pub status: u16,
    /// The reason in the status line; clients write it into their logs (CONTRACT §1.1).
    pub reason: String,
    /// Names are ours; values are cleaned when written.
    pub headers: Vec<(&'static str, String)>,
    /// The body.
    pub body: Body,
    /// What follows once all of it was taken from us.
    pub delivered: Option<Box<dyn FnOnce() + Send>>,
}

/// The usual reason of a status.
fn phrase(status: u16) -> &'static str {
    match status {
        200 => "OK",
        201 => "Created",
        204 => "No Content",
        206 => "Partial Content",
        303 => "See Other",
        304 => "Not Modified",
        400 => "Bad Request",
        401 => "Unauthorized",
        403 => "Forbidden",
        404 => "Not Found",
        405 => "Method Not Allowed",
        409 => "Conflict",
        410 => "Gone",
        411 => "Length Required",
        412 => "Precondition Failed",
        413 => "Payload Too Large",
        416 => "Range Not Satisfiable",
        429 => "Too Many Requests",
        501 => "Not Implemented",
        502 => "Bad Gateway",
        503 => "Service Unavailable",
        507 => "Insufficient Storage",
        _ => "Internal Server Error",
    }
}

impl Answer {
    /// JSON.
    pub fn json(status: u16, value: &Value) -> Answer {
        Answer {
            status,
            reason: phrase(status).into(),
            headers: vec![("Content-Type", "application/json; charset=utf-8".into())],
            body: Body::Bytes(value.to_string().into_bytes()),
            delivered: None,
        }
    }

    /// Plain text.
    pub fn text(status: u16, content_type: &str, text: impl Into<Vec<u8>>) -> Answer {
        Answer {
            status,
            reason: phrase(status).into(),
            headers: vec![("Content-Type", content_type.into())],
            body: Body::Bytes(text.into()),
            delivered: None,
        }
    }

    /// See Other: where a form was taken, the browser goes on with a GET.
    pub fn see_other(location: &str) -> Answer {
        Answer::empty(303).with("Location", location)
    }

    /// Nothing.
    pub fn empty(status: u16) -> Answer {
        Answer { status, reason: phrase(status).into(), headers: Vec::new(), body: Body::Bytes(Vec::new()), delivered: None }
    }

    /// A refusal of the connector and operator APIs: the reason stands in the status line and, as RFC 9457 says, in the body.
    pub fn refuse(status: u16, detail: &str, hint: &str) -> Answer {
        let value = json!({ "type": "about:blank", "title": phrase(status), "status": status, "detail": detail, "hint": hint });
        let mut answer = Answer::json(status, &value).with("Content-Type", "application/problem+json");
        answer.reason = detail.to_owned();
        answer
    }

    /// Adds a header beside one of the same name.
    pub fn and(mut self, name: &'static str, value: impl Into<String>) -> Answer {
        self.headers.push((name, value.into()));
        self
    }

    /// Adds or replaces a header.
    pub fn with(mut self, name: &'static str, value: impl Into<String>) -> Answer {
        self.headers.retain(|(known, _)| !known.eq_ignore_ascii_case(name));
        self.headers.push((name, value.into()));
        self
    }

    /// The answer as the edge gives it itself.
    pub fn of_edge(self) -> edge::Answer {
        let mut body = Vec::new();
        match self.body {
            Body::Bytes(bytes) => body = bytes,
            Body::Stream(stream, length) => {
                if let Err(error) = stream.take(length).read_to_end(&mut body) {
                    log::error!("answer not read reason=\"{error}\"");
                    return Answer::refuse(500, "the answer could not be read", "an operator finds the reason in the log").of_edge();
                }
            }
        }
        let headers = self.headers.iter().map(|(name, value)| ((*name).to_owned(), clean(value)));
        let headers = headers.chain([(NOSNIFF.0.to_owned(), NOSNIFF.1.to_owned())]).collect();
        edge::Answer { status: self.status, reason: clean(&self.reason), headers, body }
    }

    /// The head as it goes out. `length` is the body's.
    pub fn head(&self, length: u64) -> String {
        let mut head = format!("HTTP/1.1 {} {}\r\n", self.status, clean(&self.reason));
        for (name, value) in &self.headers {
            head.push_str(&format!("{name}: {}\r\n", clean(value)));
        }
        // RFC 9110 §8.6: a 204 has no length, and a 304 that of another answer.
        if !matches!(self.status, 204 | 304) {
            head.push_str(&format!("Content-Length: {length}\r\n"));
        }
        head.push_str(&format!("{}: {}\r\n\r\n", NOSNIFF.0, NOSNIFF.1));
        head
    }
}

/// Visible ASCII and blanks, at most 1,000 characters: anything else could end the line or the header.
fn clean(text: &str) -> String {
    text.chars().take(1000).map(|c| if c.is_ascii_graphic() || c == ' ' { c } else { '?' }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_in_a_reason_or_header_can_split_a_response() {
        let answer = Answer::refuse(400, "bad\r\nSet-Cookie: x=1\r\n\r\n<html>", "hint").with("Location", "a\nb\0é");
        let head = answer.head(3);
        assert_eq!(head.matches("\r\n").count(), head.lines().count(), "{head:?}");
        assert!(!head.contains("\r\nSet-Cookie") && head.is_ascii() && head.ends_with("\r\n\r\n"));
    }
}
