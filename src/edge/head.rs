//! The strict check of a request head (RFC 9112), and the one clean request that the server behind is given instead.
//!
//! Pure. Two readers look at each head: our own rules over the raw bytes, and httparse. What either refuses, or what they read
//! differently, is refused and ends the connection. Whatever passes has one meaning, and [`Parsed::write_for_hop`] writes it
//! anew, so that no byte of framing that a client chose reaches the server behind.

use std::net::{IpAddr, SocketAddr};

use super::gate::{BodyLength, Head, Header, Request};
use super::hop::{HEADER_AUTH, HEADER_LENGTH, HEADER_PEER, HEADER_SCHEME};
use super::settings::{HEADERS_CEILING, Settings};

/// Letters of a method: the longest registered one has 17.
const METHOD_BYTES_MAX: usize = 20;
/// Digits of a `Content-Length`: 19 cannot overflow.
const LENGTH_DIGITS_MAX: usize = 19;

/// Why a head is refused; the connection is closed after the answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Fault {
    pub status: u16,
    pub explanation: &'static str,
}

fn fault<T>(status: u16, explanation: &'static str) -> Result<T, Fault> {
    Err(Fault { status, explanation })
}

/// Looks for the end of a head, from where the last look ended (`scanned`), and refuses bytes that no head may have as soon as they
/// are seen. Returns the length of the head with its empty line; `None` when more must come.
pub(super) fn scan(bytes: &[u8], scanned: &mut usize, beyond_ascii: bool) -> Result<Option<usize>, Fault> {
    for at in *scanned..bytes.len() {
        match bytes[at] {
            b'\r' => match bytes.get(at + 1) {
                None => {
                    *scanned = at;
                    return Ok(None);
                }
                Some(b'\n') => {}
                Some(_) => return fault(400, "a carriage return in the head does not end a line"),
            },
            b'\n' if at == 0 || bytes[at - 1] != b'\r' => return fault(400, "a line of the head does not end with CR LF"),
            b'\n' if at == 1 => return fault(400, "there is an empty line where a request should begin"),
            b'\n' if bytes[at - 2] == b'\n' => return Ok(Some(at + 1)),
            b'\n' | b'\t' | b' '..=b'~' => {}
            0x16 if at == 0 => return fault(400, "this port speaks plain HTTP, not TLS; use http:// or the HTTPS port"),
            0x80.. if beyond_ascii => {}
            0x80.. => return fault(400, "the head has a byte that is not ASCII; percent-encode it"),
            _ => return fault(400, "the head has a control character"),
        }
    }
    *scanned = bytes.len();
    Ok(None)
}

/// How the body of a request is framed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Framing {
    None,
    Length(u64),
    Chunked,
}

/// A head that has one meaning.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Parsed<'a> {
    pub method: &'a str,
    pub target: &'a str,
    pub headers: Vec<Header<'a>>,
    pub framing: Framing,
    /// The client allows another request on this connection.
    pub keep_alive: bool,
    /// HTTP/1.0: no chunked answer, and staying open must be said.
    pub http10: bool,
    /// The client waits for `100 Continue`.
    pub expects_continue: bool,
}

/// Characters of a header name or method (RFC 9110 §5.6.2).
pub(super) fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

/// Checks a whole head as [`scan`] delimited it.
pub(super) fn check<'a>(bytes: &'a [u8], settings: &Settings) -> Result<Parsed<'a>, Fault> {
    let Ok(text) = std::str::from_utf8(bytes) else { return fault(400, "the head is not ASCII") };
    let line = text.split("\r\n").next().unwrap_or_default();
    let mut words = line.split(' ');
    let (Some(method), Some(target), Some(version), None) = (words.next(), words.next(), words.next(), words.next()) else {
        return fault(400, "the request line is not \"METHOD /target HTTP/1.1\"");
    };
    let http10 = match version {
        "HTTP/1.1" => false,
        "HTTP/1.0" => true,
        other => {
            let numbers = other.strip_prefix("HTTP/").map(str::as_bytes);
            return if matches!(numbers, Some([b'0'..=b'9']) | Some([b'0'..=b'9', b'.', b'0'..=b'9'])) {
                fault(505, "only HTTP/1.1 and HTTP/1.0 are spoken here")
            } else {
                fault(400, "the request line does not end with HTTP/1.1")
            };
        }
    };
    if method.is_empty() || !method.bytes().all(is_token) {
        return fault(400, "the method is not a word");
    }
    if method.len() > METHOD_BYTES_MAX || !method.bytes().all(|byte| byte.is_ascii_uppercase() || byte == b'-') || method == "CONNECT" {
        return fault(501, "this method is not known here");
    }
    if target.len() > settings.target_bytes {
        return fault(414, "the target of the request is too long");
    }
    if !target.starts_with('/') || !target.bytes().all(|byte| matches!(byte, b'!'..=b'~') && byte != b'#') {
        return fault(400, "the target of the request must be a path that begins with \"/\"");
    }

    let mut space = [httparse::EMPTY_HEADER; HEADERS_CEILING];
    let mut request = httparse::Request::new(&mut space[..settings.headers.min(HEADERS_CEILING)]);
    match request.parse(bytes) {
        Ok(httparse::Status::Complete(length)) if length == bytes.len() => {}
        Err(httparse::Error::TooManyHeaders) => return fault(431, "the head has too many lines"),
        Err(httparse::Error::HeaderName) => return fault(400, "a header line has no name, a blank before its colon, or is folded"),
        _ => return fault(400, "the head is not well formed"),
    }
    if request.method != Some(method) || request.path != Some(target) || request.version != Some(u8::from(!http10)) {
        return fault(400, "the request line is ambiguous");
    }
    let mut headers = Vec::with_capacity(request.headers.len());
    for header in request.headers.iter() {
        let Ok(value) = std::str::from_utf8(header.value) else { return fault(400, "a header value is not ASCII") };
        if header.name.is_empty() || !header.name.bytes().all(is_token) {
            return fault(400, "a header line has a wrong name");
        }
        headers.push(Header { name: header.name, value: value.trim_matches([' ', '\t']) });
    }
    // Our own count of lines: httparse must not have joined or skipped any.
    if text.matches("\r\n").count() != headers.len() + 2 {
        return fault(400, "the head is ambiguous");
    }

    let single = |name: &str, explanation: &'static str| -> Result<Option<&'a str>, Fault> {
        let mut values = headers.iter().filter(|header| header.name.eq_ignore_ascii_case(name)).map(|header| header.value);
        match (values.next(), values.next()) {
            (value, None) => Ok(value),
            _ => fault(400, explanation),
        }
    };
    match single("Host", "there are two Host lines")? {
        None if http10 => {}
        None => return fault(400, "there is no Host line"),
        Some(host) if !host.is_empty() && host.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._~%:[]".contains(&byte)) => {}
        Some(_) => return fault(400, "the Host line does not name a host"),
    }
    single("Authorization", "there are two Authorization lines")?;
    single("Content-Type", "there are two Content-Type lines")?;
    let length = single("Content-Length", "there are two Content-Length lines")?;
    let coding = single("Transfer-Encoding", "there are two Transfer-Encoding lines")?;
    let framing = match (length, coding) {
        (Some(_), Some(_)) => return fault(400, "there are both Content-Length and Transfer-Encoding"),
        (None, None) => Framing::None,
        (None, Some(_)) if http10 => return fault(400, "HTTP/1.0 has no Transfer-Encoding"),
        (None, Some(coding)) if coding.eq_ignore_ascii_case("chunked") => Framing::Chunked,
        (None, Some(_)) => return fault(501, "the only Transfer-Encoding known here is chunked"),
        (Some(digits), None) => {
            if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
                return fault(400, "the Content-Length is not a number");
            }
            if digits.len() > LENGTH_DIGITS_MAX {
                return fault(413, "the body is too large");
            }
            match digits.parse() {
                Ok(length) => Framing::Length(length),
                Err(_) => return fault(413, "the body is too large"),
            }
        }
    };
    let expects_continue = match single("Expect", "there are two Expect lines")? {
        None => false,
        Some(value) if value.eq_ignore_ascii_case("100-continue") => !http10 && framing != Framing::None && framing != Framing::Length(0),
        Some(_) => return fault(417, "the only expectation known here is 100-continue"),
    };
    let options = || {
        let lines = headers.iter().filter(|header| header.name.eq_ignore_ascii_case("Connection"));
        lines.flat_map(|header| header.value.split(',')).map(|option| option.trim_matches([' ', '\t']))
    };
    let keep_alive = !options().any(|option| option.eq_ignore_ascii_case("close"))
        && (!http10 || options().any(|option| option.eq_ignore_ascii_case("keep-alive")));
    Ok(Parsed { method, target, headers, framing, keep_alive, http10, expects_continue })
}

/// Header lines that the server behind never sees: those that speak of one connection, those that frame the body (written anew),
/// and those that only the edge may say.
fn stays_here(name: &str) -> bool {
    const LINES: [&str; 12] = [
        "Connection",
        "Keep-Alive",
        "Proxy-Connection",
        "Proxy-Authorization",
        "TE",
        "Trailer",
        "Transfer-Encoding",
        "Content-Length",
        "Upgrade",
        "HTTP2-Settings",
        "Expect",
        "Forwarded",
    ];
    let begins = |prefix: &str| name.get(..prefix.len()).is_some_and(|start| start.eq_ignore_ascii_case(prefix));
    LINES.iter().any(|line| name.eq_ignore_ascii_case(line)) || begins("X-Edge-") || begins("X-Forwarded-")
}

impl<'a> Parsed<'a> {
    /// As the gate sees it.
    pub(super) fn head(&'a self, client: IpAddr, https: bool) -> Head<'a> {
        let body = match self.framing {
            Framing::None => BodyLength::None,
            Framing::Length(length) => BodyLength::Known(length),
            Framing::Chunked => BodyLength::Unknown,
        };
        Head { method: self.method, target: self.target, headers: &self.headers, body, client, https }
    }

    /// The request as the gate takes it, without its body.
    pub(super) fn request(&self, client: SocketAddr, https: bool) -> Request {
        let headers = self.headers.iter().filter(|header| !stays_here(header.name));
        Request {
            method: self.method.to_owned(),
            target: self.target.to_owned(),
            headers: headers.map(|header| (header.name.to_owned(), header.value.to_owned())).collect(),
            body: Vec::new(),
            client,
            https,
        }
    }

    /// Writes the request for the server behind, all but its framing and empty line, which [`write_framing`] adds.
    pub(super) fn write_for_hop(&self, secret: &str, client: SocketAddr, https: bool) -> Vec<u8> {
        let mut out = Vec::with_capacity(512);
        for word in [self.method, " ", self.target, " HTTP/1.1\r\n"] {
            out.extend_from_slice(word.as_bytes());
        }
        let mut line = |name: &str, value: &str| {
            for word in [name, ": ", value, "\r\n"] {
                out.extend_from_slice(word.as_bytes());
            }
        };
        if self.http10 && !self.headers.iter().any(|header| header.name.eq_ignore_ascii_case("Host")) {
            line("Host", "localhost");
        }
        for header in self.headers.iter().filter(|header| !stays_here(header.name)) {
            line(header.name, header.value);
        }
        line(HEADER_AUTH, secret);
        line(HEADER_PEER, &client.to_string());
        line(HEADER_SCHEME, if https { "https" } else { "http" });
        out
    }
}

/// How the hop's request is framed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum HopFraming {
    /// The whole body follows at once; the connection is used again. `None`: there is no body.
    Whole(Option<usize>),
    /// Chunked, on a connection of its own; with the length when the client announced one.
    Relayed(Option<u64>),
}

/// Ends the head that [`Parsed::write_for_hop`] began.
pub(super) fn write_framing(out: &mut Vec<u8>, framing: HopFraming) {
    let lines = match framing {
        HopFraming::Whole(None) => "\r\n".to_owned(),
        HopFraming::Whole(Some(length)) => format!("Content-Length: {length}\r\n\r\n"),
        HopFraming::Relayed(None) => "Transfer-Encoding: chunked\r\nConnection: close\r\n\r\n".to_owned(),
        HopFraming::Relayed(Some(length)) => {
            format!("{HEADER_LENGTH}: {length}\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n")
        }
    };
    out.extend_from_slice(lines.as_bytes());
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn read(bytes: &[u8]) -> Result<Option<Parsed<'_>>, Fault> {
        match scan(bytes, &mut 0, false)? {
            None => Ok(None),
            Some(length) => check(&bytes[..length], &Settings::default()).map(Some),
        }
    }

    fn status(head: &str) -> u16 {
        match read(head.as_bytes()) {
            Ok(Some(_)) => 200,
            Ok(None) => 0,
            Err(fault) => fault.status,
        }
    }

    #[test]
    fn a_head_with_one_meaning_passes() {
        for head in [
            "GET / HTTP/1.1\r\nHost: a\r\n\r\n",
            "GET /a?b=%20{c} HTTP/1.1\r\nhost:a:80\r\nX:\t v \t\r\n\r\n",
            "GET / HTTP/1.0\r\n\r\n",
            "POST / HTTP/1.1\r\nHost: [::1]:8420\r\nContent-Length: 0005\r\n\r\n",
            "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: Chunked\r\nExpect: 100-Continue\r\n\r\n",
            "VERSION-CONTROL / HTTP/1.1\r\nHost: a\r\nX-Empty:\r\n\r\n",
        ] {
            assert_eq!(status(head), 200, "{head}");
        }
    }

    #[test]
    fn a_head_with_two_meanings_is_refused() {
        for (expected, head) in super::super::tests::MALFORMED {
            assert_eq!(status(head), *expected, "{head:?}");
        }
    }

    #[test]
    fn the_length_the_connection_and_the_expectation_are_read() {
        let parsed = |head: &'static str| read(head.as_bytes()).unwrap().unwrap();
        let post = parsed("POST /x HTTP/1.1\r\nHost: a\r\nContent-Length: 17592186044416\r\nExpect: 100-continue\r\n\r\n");
        assert_eq!((post.framing, post.keep_alive, post.expects_continue), (Framing::Length(17_592_186_044_416), true, true));
        assert!(!parsed("GET / HTTP/1.1\r\nHost: a\r\nConnection: foo, Close\r\n\r\n").keep_alive);
        assert!(!parsed("GET / HTTP/1.0\r\n\r\n").keep_alive);
        assert!(parsed("GET / HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n").keep_alive);
        assert!(!parsed("GET / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\n\r\n").expects_continue);
    }

    #[test]
    fn nothing_that_a_client_says_of_framing_or_of_the_edge_reaches_the_server_behind() {
        let head = "POST /p HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: websocket\r\nTE: trailers\r\nX-EDGE-Auth: guess\r\nx-edge-peer: 1.2.3.4:5\r\nX-Forwarded-For: 6.6.6.6\r\nForwarded: for=6.6.6.6\r\nContent-Length: 5\r\nKeep: me\r\n\r\n";
        let mut out = read(head.as_bytes()).unwrap().unwrap().write_for_hop("secret", "192.0.2.1:99".parse().unwrap(), true);
        write_framing(&mut out, HopFraming::Whole(Some(5)));
        assert_eq!(
            String::from_utf8(out).unwrap(),
            "POST /p HTTP/1.1\r\nHost: a\r\nKeep: me\r\nX-Edge-Auth: secret\r\nX-Edge-Peer: 192.0.2.1:99\r\nX-Edge-Scheme: https\r\nContent-Length: 5\r\n\r\n"
        );
    }

    #[test]
    fn a_head_may_arrive_byte_by_byte() {
        let bytes = b"GET / HTTP/1.1\r\nHost: a\r\n\r\nGET";
        let mut scanned = 0;
        for end in 0..27 {
            assert_eq!(scan(&bytes[..end], &mut scanned, false), Ok(None), "{end}");
        }
        assert_eq!(scan(bytes, &mut scanned, false), Ok(Some(27)));
    }

    #[test]
    fn a_head_of_too_many_lines_or_too_long_a_target_is_refused() {
        assert_eq!(status(&format!("GET / HTTP/1.1\r\nHost: a\r\n{}\r\n", "X: y\r\n".repeat(99))), 200);
        assert_eq!(status(&format!("GET / HTTP/1.1\r\nHost: a\r\n{}\r\n", "X: y\r\n".repeat(100))), 431);
        assert_eq!(status(&format!("GET /{} HTTP/1.1\r\nHost: a\r\n\r\n", "x".repeat(9000))), 414);
    }

    /// The rules again, naively, on text: what a careful reader would call one unambiguous request.
    fn reference(text: &str) -> bool {
        let Some(head) = text.strip_suffix("\r\n\r\n") else { return false };
        let lines: Vec<&str> = head.split("\r\n").collect();
        let clean = |line: &str| line.bytes().all(|byte| byte == b'\t' || (b' '..=b'~').contains(&byte));
        if !lines.iter().all(|line| clean(line)) || lines.len() > 101 {
            return false;
        }
        let words: Vec<&str> = lines[0].split(' ').collect();
        let [method, target, version @ ("HTTP/1.1" | "HTTP/1.0")] = words[..] else { return false };
        if method.is_empty() || method == "CONNECT" || method.len() > 20 || method.contains(|c: char| !c.is_ascii_uppercase() && c != '-') {
            return false;
        }
        if !target.starts_with('/') || target.contains(['#', '\t']) {
            return false;
        }
        let mut values = std::collections::HashMap::<String, Vec<&str>>::new();
        for line in &lines[1..] {
            let Some((name, value)) = line.split_once(':') else { return false };
            if name.is_empty() || !name.bytes().all(is_token) {
                return false;
            }
            values.entry(name.to_lowercase()).or_default().push(value.trim_matches([' ', '\t']));
        }
        let of = |name: &str| values.get(name).cloned().unwrap_or_default();
        for name in ["host", "content-length", "transfer-encoding", "authorization", "content-type", "expect"] {
            if of(name).len() > 1 {
                return false;
            }
        }
        let host_fine = match of("host").first() {
            None => version == "HTTP/1.0",
            Some(host) => !host.is_empty() && !host.contains(|c: char| !c.is_ascii_alphanumeric() && !"-._~%:[]".contains(c)),
        };
        let length_fine = of("content-length").iter().all(|v| !v.is_empty() && v.len() < 20 && v.bytes().all(|b| b.is_ascii_digit()));
        let coding_fine = of("transfer-encoding").iter().all(|v| v.eq_ignore_ascii_case("chunked") && version == "HTTP/1.1");
        let one = of("content-length").len() + of("transfer-encoding").len() < 2;
        host_fine && length_fine && coding_fine && one && of("expect").iter().all(|v| v.eq_ignore_ascii_case("100-continue"))
    }

    fn heads() -> impl Strategy<Value = String> {
        let pieces = proptest::sample::select(
            &[
                "GET",
                "POST",
                "get",
                "CONNECT",
                " ",
                " ",
                "/",
                "/a?b",
                "*",
                "http://a/",
                "HTTP/1.1",
                "HTTP/1.0",
                "HTTP/2.0",
                "\r\n",
                "\r\n",
                "\n",
                "\r",
                "Host",
                "Content-Length",
                "Transfer-Encoding",
                "Expect",
                "Connection",
                ":",
                ": ",
                " :",
                "a",
                "5",
                "+5",
                "chunked",
                "close",
                "100-continue",
                "\t",
                ",",
                "#",
                "é",
                "\0",
            ][..],
        );
        let soup = proptest::collection::vec(pieces.clone(), 0..16).prop_map(|parts| parts.concat() + "\r\n\r\n");
        let line = (
            proptest::sample::select(&["Host", "X", "Content-Length", "Transfer-Encoding", "expect", "Connection"][..]),
            pieces.clone(),
            pieces,
        )
            .prop_map(|(name, first, second)| format!("{name}: {first}{second}\r\n"));
        let likely = (
            proptest::sample::select(&["GET / HTTP/1.1", "POST /a HTTP/1.0", "PUT /x HTTP/1.1"][..]),
            proptest::collection::vec(line, 0..4),
        )
            .prop_map(|(first, lines)| format!("{first}\r\nHost: a\r\n{}\r\n", lines.concat()));
        prop_oneof![soup, likely]
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_or_refused_without_a_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = read(&bytes);
        }

        #[test]
        fn the_check_agrees_with_a_naive_reader(text in heads()) {
            // The head ends at the first empty line; a naive reader is given the same bytes.
            let end = text.find("\r\n\r\n").map_or(text.len(), |at| at + 4);
            let found = matches!(read(text.as_bytes()), Ok(Some(_)));
            prop_assert_eq!(found, reference(&text[..end]), "{:?}", &text[..end]);
        }

        #[test]
        fn what_passes_is_written_as_exactly_one_request(text in heads()) {
            if let Ok(Some(parsed)) = read(text.as_bytes()) {
                let mut out = parsed.write_for_hop("secret", "[::1]:1".parse().unwrap(), false);
                write_framing(&mut out, HopFraming::Whole(Some(7)));
                prop_assert_eq!(scan(&out, &mut 0, false), Ok(Some(out.len())));
                let again = check(&out, &Settings::default()).unwrap();
                prop_assert_eq!((again.method, again.target, again.framing), (parsed.method, parsed.target, Framing::Length(7)));
                prop_assert_eq!(out.windows(11).filter(|window| window.eq_ignore_ascii_case(b"X-Edge-Auth")).count(), 1);
            }
        }
    }
}
