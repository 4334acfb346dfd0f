//! Heads that two readers could understand differently, and everything else that no proper client sends.

use super::*;

/// What is sent, and the status of the refusal. `0`: nothing is refused yet, more must come (the head deadline ends it).
pub(in crate::edge) const MALFORMED: &[(u16, &str)] = &[
    (400, "\r\n\r\n"),
    (400, "GET\r\nHost: a\r\n\r\n"),
    (400, "GET /\r\nHost: a\r\n\r\n"),
    (400, "GET / HTTP/1.1 extra\r\nHost: a\r\n\r\n"),
    (400, "GET  / HTTP/1.1\r\nHost: a\r\n\r\n"),
    (400, "GET / HTTP/1.1 \r\nHost: a\r\n\r\n"),
    (400, " GET / HTTP/1.1\r\nHost: a\r\n\r\n"),
    (400, "GET\t/\tHTTP/1.1\r\nHost: a\r\n\r\n"),
    (400, "GET / http/1.1\r\nHost: a\r\n\r\n"),
    (400, "GET / HTTP/11\r\nHost: a\r\n\r\n"),
    (400, "GET / HTTP/1.10\r\nHost: a\r\n\r\n"),
    (400, "GET / HTTPS/1.1\r\nHost: a\r\n\r\n"),
    (505, "GET / HTTP/0.9\r\nHost: a\r\n\r\n"),
    (505, "GET / HTTP/1.2\r\nHost: a\r\n\r\n"),
    (505, "GET / HTTP/2.0\r\nHost: a\r\n\r\n"),
    (505, "GET / HTTP/3\r\nHost: a\r\n\r\n"),
    (505, "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"),
    (501, "get / HTTP/1.1\r\nHost: a\r\n\r\n"),
    (501, "CONNECT a:443 HTTP/1.1\r\nHost: a\r\n\r\n"),
    (501, "ABCDEFGHIJKLMNOPQRSTUVWXYZ / HTTP/1.1\r\nHost: a\r\n\r\n"),
    (400, "G(T / HTTP/1.1\r\nHost: a\r\n\r\n"),
    (400, "GET http://a/ HTTP/1.1\r\nHost: a\r\n\r\n"),
    (400, "OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n"),
    (400, "GET a HTTP/1.1\r\nHost: a\r\n\r\n"),
    (400, "GET /#x HTTP/1.1\r\nHost: a\r\n\r\n"),
    (400, "GET /é HTTP/1.1\r\nHost: a\r\n\r\n"),
    (400, "GET /\0 HTTP/1.1\r\nHost: a\r\n\r\n"),
    (400, "GET /\x7f HTTP/1.1\r\nHost: a\r\n\r\n"),
    (400, "GET / HTTP/1.1\r\n\r\n"),
    (400, "GET / HTTP/1.1\r\nHost:\r\n\r\n"),
    (400, "GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n"),
    (400, "GET / HTTP/1.1\r\nHost: a, b\r\n\r\n"),
    (400, "GET / HTTP/1.1\r\nHost: a/b\r\n\r\n"),
    (400, "GET / HTTP/1.1\r\nHost: u@a\r\n\r\n"),
    (400, "GET / HTTP/1.1\nHost: a\n\n"),
    (400, "GET / HTTP/1.1\r\nHost: a\n\r\n"),
    (400, "GET / HTTP/1.1\r\nHost: a\r\nX: y\rZ: w\r\n\r\n"),
    (400, "GET / HTTP/1.1\r\r\nHost: a\r\n\r\n"),
    (400, "GET / HTTP/1.1\r\nHost: a\r\nX: \0\r\n\r\n"),
    (400, "GET / HTTP/1.1\r\nHost: a\r\nX: \x0b\r\n\r\n"),
    (400, "GET / HTTP/1.1\r\nHost: a\r\nX: é\r\n\r\n"),
    (400, "GET / HTTP/1.1\r\nHost: a\r\nX : y\r\n\r\n"),
    (400, "GET / HTTP/1.1\r\nHost: a\r\n: y\r\n\r\n"),
    (400, "GET / HTTP/1.1\r\nHost: a\r\nno colon\r\n\r\n"),
    (400, "GET / HTTP/1.1\r\n Host: a\r\n\r\n"),
    (400, "GET / HTTP/1.1\r\nHost: a\r\nX: y\r\n folded\r\n\r\n"),
    (400, "GET / HTTP/1.1\r\nHost: a\r\nX: y\r\n\tfolded\r\n\r\n"),
    (400, "GET / HTTP/1.1\r\nHost: a\r\nX(: y\r\n\r\n"),
    (400, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello"),
    (400, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nContent-Length: 5\r\n\r\nhello"),
    (400, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5, 5\r\n\r\nhello"),
    (400, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: -1\r\n\r\n"),
    (400, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: +5\r\n\r\nhello"),
    (400, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5x\r\n\r\nhello"),
    (400, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0x5\r\n\r\nhello"),
    (400, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5 5\r\n\r\nhello"),
    (400, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length:\r\n\r\n"),
    (413, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 18446744073709551615\r\n\r\n"),
    (413, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 99999999999999999999999999\r\n\r\n"),
    (400, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"),
    (400, "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n"),
    (400, "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"),
    (400, "POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"),
    (501, "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: identity\r\n\r\n"),
    (501, "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n"),
    (501, "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: xchunked\r\n\r\n0\r\n\r\n"),
    (501, "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked, chunked\r\n\r\n0\r\n\r\n"),
    (501, "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding:\r\n\r\n"),
    (400, "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding\r\n : chunked\r\n\r\n"),
    (417, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nExpect: 200-ok\r\n\r\n"),
    (400, "GET / HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer a\r\nAuthorization: Bearer b\r\n\r\n"),
    (400, "\x16\x03\x01\x02\x00\x01\x00"),
    (0, "GET / HTTP/1.1\r\nHost: a\r\n"),
    (0, "GET / HTTP/1.1\r\nHost: a\r"),
    (0, "G"),
];

#[test]
fn whatever_is_ambiguous_is_refused_and_the_connection_closed() {
    let site = Site::start(Settings { head_wait: Duration::from_millis(400), ..Settings::default() });
    for (status, bytes) in MALFORMED {
        let mut client = site.client();
        client.send(bytes);
        let answer = client.answer();
        let expected = if *status == 0 { 408 } else { *status };
        assert_eq!(answer.status(), expected, "{bytes:?}");
        assert!(answer.has("Connection: close"), "{bytes:?}");
        assert!(!answer.body.is_empty(), "{bytes:?}");
        client.assert_closed();
    }
    assert_eq!(site.seen.all(), Vec::<String>::new(), "none of them reached the server behind");
    site.assert_alive();
}

#[test]
fn malformed_chunks_are_refused_and_nothing_after_them_is_a_request() {
    let site = Site::start(Settings::default());
    for body in ["+5\r\nhello\r\n0\r\n\r\n", "5\nhello\n0\n\n", "5\r\nhelloX\r\n", "FFFFFFFFFFFFFFFFF\r\n", "\r\n", "0\r\n: x\r\n\r\n"] {
        let mut client = site.client();
        client.send(format!(
            "POST /count HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n{body}GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n"
        ));
        assert_eq!(client.answer().status(), 400, "{body:?}");
        client.assert_closed();
    }
    assert_eq!(site.seen.all(), Vec::<String>::new());
}

#[test]
fn a_head_that_is_too_large_is_refused_and_one_at_the_limit_is_not() {
    let site = Site::start(Settings::default());
    for (size, status) in [(8 << 10, 200), (31 << 10, 200), (33 << 10, 431), (512 << 10, 431), (4 << 20, 431)] {
        let mut client = site.client();
        client.send(format!("GET /alive HTTP/1.1\r\nHost: a\r\nX: {}\r\n\r\n", "x".repeat(size)));
        // Beyond what is lingered for, the client may see a reset instead of the answer.
        match client.try_answer(false) {
            Some(answer) => assert_eq!(answer.status(), status, "{size}"),
            None => assert!(size > 256 << 10, "{size}"),
        }
    }
    site.assert_alive();
}

#[test]
fn three_hundred_http2_lines_leave_nothing_behind() {
    let site = Site::start(Settings { connections_per_address: 1000, ..Settings::default() });
    let clients: Vec<Client> = (0..300)
        .map(|_| {
            let mut client = site.client();
            client.send("GET / HTTP/2.0\r\nHost: a\r\n\r\n");
            client
        })
        .collect();
    for mut client in clients {
        assert_eq!(client.answer().status(), 505);
        client.assert_closed();
    }
    site.until("all are gone", |counters| counters.connections_open == 0);
    site.assert_alive();
}

#[test]
fn one_empty_line_before_a_request_is_forgiven() {
    let site = Site::start(Settings::default());
    let mut client = site.client();
    client.send("\r\nGET /alive HTTP/1.1\r\nHost: a\r\n\r\n");
    assert_eq!(client.answer().status(), 200);
    client.send("\r");
    client.send("\nGET /alive HTTP/1.1\r\nHost: a\r\n\r\n");
    assert_eq!(client.answer().status(), 200);
}
