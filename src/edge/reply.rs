//! The head of an answer: checked when it comes from behind, made when it is the edge's own.
//!
//! Pure. The status line with its reason phrase and every header line leave unchanged, except those that speak of one connection;
//! what has two lengths, no length, or a stray line end is refused, so a client always gets exactly one answer per request.

use super::gate::Answer;
use super::head::{Fault, is_token, scan};

/// The head of an answer from behind.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Reply {
    /// Status line and header lines as they go to the client; without those of framing by chunks and of the connection, and without
    /// the empty line.
    pub head: Vec<u8>,
    pub status: u16,
    pub framing: ReplyFraming,
    /// The server behind asks that the client's connection be closed.
    pub close: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ReplyFraming {
    None,
    Length(u64),
    Chunked,
}

/// Looks for the end of an answer's head; see [`scan`].
pub(super) fn scan_reply(bytes: &[u8], scanned: &mut usize) -> Result<Option<usize>, &'static str> {
    scan(bytes, scanned, true).map_err(|Fault { explanation, .. }| explanation)
}

/// Reads a whole head of an answer. `to_head`: the request was HEAD, whose answer has no body.
pub(super) fn parse(bytes: &[u8], to_head: bool) -> Result<Reply, &'static str> {
    let lines = bytes.strip_suffix(b"\r\n\r\n").ok_or("the head does not end")?;
    let mut lines = lines.split(|byte| *byte == b'\n').map(|line| line.strip_suffix(b"\r").unwrap_or(line));
    let status_line = lines.next().unwrap_or_default();
    let status = match status_line {
        [b'H', b'T', b'T', b'P', b'/', b'1', b'.', b'0' | b'1', b' ', digits @ ..] => match digits {
            [a @ b'2'..=b'5', b @ b'0'..=b'9', c @ b'0'..=b'9'] | [a @ b'2'..=b'5', b @ b'0'..=b'9', c @ b'0'..=b'9', b' ', ..] => {
                u16::from(a - b'0') * 100 + u16::from(b - b'0') * 10 + u16::from(c - b'0')
            }
            _ => return Err("the status is not between 200 and 599"),
        },
        _ => return Err("the status line is not of HTTP/1"),
    };
    let mut head = Vec::with_capacity(bytes.len() + 64);
    head.extend_from_slice(b"HTTP/1.1");
    head.extend_from_slice(&status_line[8..]);
    if status_line.len() == 12 {
        head.push(b' ');
    }
    head.extend_from_slice(b"\r\n");
    let (mut length, mut chunked, mut close) = (None, false, false);
    for line in lines {
        let colon = line.iter().position(|byte| *byte == b':').ok_or("a header line has no colon")?;
        let (name, value) = (&line[..colon], line[colon + 1..].trim_ascii());
        if name.is_empty() || !name.iter().copied().all(is_token) {
            return Err("a header line has a wrong name");
        }
        let is = |other: &str| name.eq_ignore_ascii_case(other.as_bytes());
        if is("Connection") {
            close |= value.split(|byte| *byte == b',').any(|option| option.trim_ascii().eq_ignore_ascii_case(b"close"));
            continue;
        }
        if is("Transfer-Encoding") {
            if chunked || !value.eq_ignore_ascii_case(b"chunked") {
                return Err("the transfer-encoding is not chunked");
            }
            chunked = true;
            continue;
        }
        if is("Keep-Alive") || is("Proxy-Connection") || is("Upgrade") || is("Trailer") {
            continue;
        }
        if is("Content-Length") {
            let digits = !value.is_empty() && value.len() < 20 && value.iter().all(u8::is_ascii_digit);
            let value = std::str::from_utf8(value).ok().filter(|_| digits).and_then(|value| value.parse::<u64>().ok());
            if length.replace(value.ok_or("the content-length is not a number")?).is_some() {
                return Err("there are two lengths");
            }
            if status == 204 {
                continue;
            }
        }
        head.extend_from_slice(line);
        head.extend_from_slice(b"\r\n");
    }
    let framing = match (length, chunked) {
        (Some(_), true) => return Err("there are both content-length and transfer-encoding"),
        _ if to_head || status == 204 || status == 304 => ReplyFraming::None,
        (Some(length), false) => ReplyFraming::Length(length),
        (None, true) => ReplyFraming::Chunked,
        (None, false) => return Err("there is neither content-length nor transfer-encoding"),
    };
    Ok(Reply { head, status, framing, close })
}

/// The line that says whether the connection stays, where it must be said.
pub(super) fn connection_line(close: bool, http10: bool) -> &'static [u8] {
    match (close, http10) {
        (true, _) => b"Connection: close\r\n",
        (false, true) => b"Connection: keep-alive\r\n",
        (false, false) => b"",
    }
}

/// The edge's own answer, whole.
pub(super) fn render(answer: &Answer, to_head: bool, close: bool, http10: bool) -> Vec<u8> {
    let clean = |text: &str| text.bytes().all(|byte| byte == b'\t' || (byte >= b' ' && byte != 0x7f));
    let mut out = Vec::with_capacity(256 + answer.body.len());
    let status = if (200..=599).contains(&answer.status) { answer.status } else { 500 };
    let reason: String = answer.reason.chars().map(|c| if c == ' ' || c.is_ascii_graphic() { c } else { '?' }).collect();
    out.extend_from_slice(format!("HTTP/1.1 {status} {reason}\r\n").as_bytes());
    for (name, value) in &answer.headers {
        let ours = ["Content-Length", "Connection", "Transfer-Encoding"].iter().any(|line| name.eq_ignore_ascii_case(line));
        if ours || name.is_empty() || !name.bytes().all(is_token) || !clean(value) {
            log::warn!("answer header left out name={name:?} reason=\"it is the edge's own, or could split the answer\"");
            continue;
        }
        out.extend_from_slice(format!("{name}: {value}\r\n").as_bytes());
    }
    let has_body = status != 204 && status != 304;
    if has_body {
        out.extend_from_slice(format!("Content-Length: {}\r\n", answer.body.len()).as_bytes());
    }
    out.extend_from_slice(connection_line(close, http10));
    out.extend_from_slice(b"\r\n");
    if has_body && !to_head {
        out.extend_from_slice(&answer.body);
    }
    out
}

/// The reason phrase of a status that the edge itself gives.
pub(super) fn reason(status: u16) -> &'static str {
    match status {
        400 => "Bad Request",
        408 => "Request Timeout",
        413 => "Content Too Large",
        414 => "URI Too Long",
        417 => "Expectation Failed",
        431 => "Request Header Fields Too Large",
        501 => "Not Implemented",
        502 => "Bad Gateway",
        503 => "Service Unavailable",
        504 => "Gateway Timeout",
        505 => "HTTP Version Not Supported",
        _ => "Error",
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_status_line_and_the_headers_leave_unchanged() {
        let reply = parse(
            b"HTTP/1.1 409 Mapping \"x\" is missing; add it\r\nX-Odd:  two  blanks\r\nContent-Length: 3\r\nConnection: close\r\nTrailer: X\r\n\r\n",
            false,
        )
        .unwrap();
        assert_eq!(reply.head, b"HTTP/1.1 409 Mapping \"x\" is missing; add it\r\nX-Odd:  two  blanks\r\nContent-Length: 3\r\n");
        assert_eq!((reply.status, reply.framing, reply.close), (409, ReplyFraming::Length(3), true));
    }

    #[test]
    fn answers_without_a_body_have_none() {
        let head = |status: u16| format!("HTTP/1.1 {status} X\r\nContent-Length: 9\r\n\r\n").into_bytes();
        assert_eq!(parse(&head(200), true).unwrap().framing, ReplyFraming::None);
        assert_eq!(parse(&head(304), false).unwrap().framing, ReplyFraming::None);
        assert_eq!(parse(&head(204), false).unwrap().head, b"HTTP/1.1 204 X\r\n");
        assert_eq!(parse(b"HTTP/1.0 200\r\nTransfer-Encoding: chunked\r\n\r\n", false).unwrap().framing, ReplyFraming::Chunked);
    }

    #[test]
    fn an_answer_with_two_meanings_is_refused() {
        for head in [
            "HTTP/1.1 200 OK\r\n\r\n",
            "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\n",
            "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\n",
            "HTTP/1.1 200 OK\r\nContent-Length: +1\r\n\r\n",
            "HTTP/1.1 200 OK\r\nContent-Length: 1\r\n folded: x\r\n\r\n",
            "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nno colon\r\n\r\n",
            "HTTP/1.1 100 Continue\r\n\r\n",
            "HTTP/1.1 2000 OK\r\nContent-Length: 1\r\n\r\n",
            "HTTP/2.0 200 OK\r\nContent-Length: 1\r\n\r\n",
            "nonsense\r\n\r\n",
        ] {
            assert!(parse(head.as_bytes(), false).is_err(), "{head}");
        }
        assert!(scan_reply(b"HTTP/1.1 200 OK\r\nX: a\nSet-Cookie: b\r\n\r\n", &mut 0).is_err());
        assert!(scan_reply(b"HTTP/1.1 200 OK\r\nX: a\rb\r\n\r\n", &mut 0).is_err());
    }

    #[test]
    fn a_refusal_can_not_be_split() {
        let refusal =
            Answer::new(401, "Un\r\nX: y", "no").header("A", "b\r\nSet-Cookie: c").header("B: c\r\nD", "e").header("Retry-After", "7");
        let text = String::from_utf8(render(&refusal, false, true, false)).unwrap();
        assert_eq!(
            text,
            "HTTP/1.1 401 Un??X: y\r\nContent-Type: text/plain; charset=utf-8\r\nRetry-After: 7\r\nContent-Length: 3\r\nConnection: close\r\n\r\nno\n"
        );
    }

    proptest! {
        #[test]
        fn any_answer_is_read_or_refused_and_what_passes_is_one_head(bytes in proptest::collection::vec(
            proptest::sample::select(&["HTTP/1.1 200 OK\r\n", "HTTP/1.1 ", "Content-Length: 5\r\n", "X: y\r\n", "\r\n", "\n", ":", "a", "é", "Transfer-Encoding: chunked\r\n"][..]), 0..12)) {
            let bytes = bytes.concat().into_bytes();
            let read = scan_reply(&bytes, &mut 0).ok().flatten().and_then(|length| parse(&bytes[..length], false).ok());
            if let Some(reply) = read {
                let whole = [reply.head.as_slice(), b"\r\n"].concat();
                prop_assert_eq!(scan_reply(&whole, &mut 0), Ok(Some(whole.len())));
            }
        }
    }
}
