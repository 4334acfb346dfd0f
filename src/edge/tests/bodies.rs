//! Bodies: small and large, chunked and not, whole and broken off, wanted and refused.

use super::*;

fn post(path: &str, headers: &str) -> String {
    format!("POST {path} HTTP/1.1\r\nHost: a\r\n{headers}\r\n")
}

fn chunked(body: &[u8], step: usize) -> Vec<u8> {
    let mut out = Vec::new();
    for piece in body.chunks(step) {
        out.extend_from_slice(format!("{:X}\r\n", piece.len()).as_bytes());
        out.extend_from_slice(piece);
        out.extend_from_slice(b"\r\n");
    }
    out.extend_from_slice(b"0\r\nTrailer-Name: x\r\n\r\n");
    out
}

#[test]
fn a_body_of_any_size_and_framing_arrives_whole() {
    let site = Site::start(Settings::default());
    let mut client = site.client();
    for size in [0_usize, 1, 1024, 1025, 65_535, 65_536, 65_537, 200_000, 3_000_000] {
        let body: Vec<u8> = (0..=255).cycle().take(size).collect();
        let sum: u64 = body.iter().map(|byte| u64::from(*byte)).sum();
        client.send(post("/count", &format!("Content-Length: {size}\r\n")));
        client.send(&body);
        assert_eq!(client.answer().text(), format!("{size} {sum} {size}"));
        for step in [7, 4096, 100_000] {
            if size / step > 10_000 {
                continue;
            }
            client.send(post("/count", "Transfer-Encoding: chunked\r\n"));
            client.send(chunked(&body, step));
            // A chunked body that turned out small has a length for the server behind.
            let declared = if size <= 65_536 { size.to_string() } else { "-".into() };
            assert_eq!(client.answer().text(), format!("{size} {sum} {declared}"), "step {step}");
        }
    }
    assert_eq!(site.counters().connections_accepted, 1, "all of it on one connection");
}

#[test]
fn a_length_of_terabytes_with_a_refusal_behind_kills_nothing() {
    let site = Site::start(Settings::default());
    for length in ["17592186044416", "1099511627776"] {
        let mut client = site.client();
        client.send(post("/reject", &format!("Content-Length: {length}\r\n")));
        let answer = client.answer();
        assert!(answer.status() == 403 || answer.status() == 413, "{answer:?}");
        client.assert_closed();
    }
    site.assert_alive();
}

#[test]
fn a_refusal_of_the_gate_costs_one_head_and_no_body() {
    let site = Site::start(Settings::default());
    for expect in ["", "Expect: 100-continue\r\n"] {
        let mut client = site.client();
        client.send(post("/private", &format!("Content-Length: 8000000000\r\n{expect}")));
        let answer = client.answer();
        assert_eq!(answer.status_line, "HTTP/1.1 401 No token; get one at /token");
        assert!(answer.has("WWW-Authenticate: Bearer") && answer.has("Connection: close"));
        client.assert_closed();
    }
    assert!(site.counters().bytes_received < 1000, "{:?}", site.counters());
    assert_eq!(site.seen.all(), Vec::<String>::new());
    // Without a body the connection stays good.
    let mut client = site.client();
    client.send("GET /private HTTP/1.1\r\nHost: a\r\n\r\nGET /private HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer good\r\n\r\n");
    assert_eq!(client.answer().status(), 401);
    assert_eq!(client.answer().status(), 200);
}

#[test]
fn an_early_answer_reaches_a_client_that_is_still_sending() {
    let site = Site::start(Settings::default());
    let mut client = site.client();
    client.send(post("/reject", "Content-Length: 1000000\r\n"));
    client.send(vec![b'x'; 100_000]);
    let answer = client.answer();
    assert_eq!(answer.status_line, "HTTP/1.1 403 Not you; ask the admin");
    assert!(answer.has("X-Hint: ask") && answer.has("Connection: close"));
    client.send(vec![b'x'; 10_000]);
    client.assert_closed();
    site.assert_alive();
}

#[test]
fn an_unread_chunked_body_is_never_the_next_request() {
    let site = Site::start(Settings::default());
    for size in [100, 100_000] {
        let mut body = vec![b'x'; size];
        body.extend_from_slice(b"GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n");
        let mut client = site.client();
        client.send(post("/reject", "Transfer-Encoding: chunked\r\n"));
        client.send(chunked(&body, 50_000));
        assert_eq!(client.answer().status(), 403);
        client.send("GET /alive HTTP/1.1\r\nHost: a\r\n\r\n");
        if let Some(answer) = client.try_answer(false) {
            assert_eq!(answer.status(), 200);
        }
        client.buffer.clear();
    }
    assert!(site.seen.all().iter().all(|seen| !seen.contains("smuggled")), "{:?}", site.seen.all());
}

#[test]
fn the_client_is_asked_to_continue_when_its_body_is_wanted() {
    let site = Site::start(Settings::default());
    for size in [10, 100_000] {
        let mut client = site.client();
        client.send(post("/count", &format!("Content-Length: {size}\r\nExpect: 100-continue\r\n")));
        assert_eq!(client.answer().status_line, "HTTP/1.1 100 Continue");
        client.send(vec![1; size]);
        assert_eq!(client.answer().text(), format!("{size} {size} {size}"));
    }
}

#[test]
fn a_body_that_breaks_off_is_an_error_behind_never_a_short_success() {
    for (framing, sent) in [
        ("Content-Length: 1000000\r\n", vec![b'x'; 300_000]),
        ("Transfer-Encoding: chunked\r\n", chunked(&[b'x'; 300_000], 65_000)[..250_000].to_vec()),
        ("Transfer-Encoding: chunked\r\n", [b"493E0\r\n".to_vec(), vec![b'x'; 250_000]].concat()),
    ] {
        let site = Site::start(Settings::default());
        let mut client = site.client();
        client.send(post("/count", framing));
        client.send(&sent);
        site.seen.expect("reading");
        drop(client);
        site.until("the abort is counted", |counters| counters.uploads_aborted == 1 && counters.bulk_active == 0);
        // The handlers have ended when the site has: then there is exactly one verdict.
        let seen = site.seen.clone();
        drop(site);
        let verdicts: Vec<String> = seen.all().into_iter().filter(|seen| seen != "reading").collect();
        assert!(verdicts.len() == 1 && verdicts[0].starts_with("broken"), "{verdicts:?}");
    }
    // A small one is never seen behind at all.
    let site = Site::start(Settings::default());
    let mut client = site.client();
    client.send(post("/count", "Content-Length: 5000\r\n"));
    client.send(vec![b'x'; 3000]);
    drop(client);
    site.until("the abort is counted", |counters| counters.uploads_aborted == 1);
    assert_eq!(site.seen.all(), Vec::<String>::new());
}

#[test]
fn a_broken_chunk_in_a_large_body_is_refused_and_an_error_behind() {
    let site = Site::start(Settings::default());
    let mut client = site.client();
    client.send(post("/count", "Transfer-Encoding: chunked\r\n"));
    client.send([b"186A0\r\n".to_vec(), vec![b'x'; 100_000]].concat());
    site.seen.expect("reading");
    client.send("\r\nzz\r\n");
    assert_eq!(client.answer().status(), 400);
    site.seen.expect("broken 100000");
}

#[test]
fn a_body_larger_than_the_gate_allows_is_refused_however_it_is_framed() {
    let site = Site::start(Settings::default());
    for (headers, body) in [
        ("Content-Length: 11\r\n", b"hello world".to_vec()),
        ("Transfer-Encoding: chunked\r\n", chunked(b"hello world", 3)),
        ("Content-Length: 8000000000\r\nExpect: 100-continue\r\n", vec![]),
    ] {
        let mut client = site.client();
        client.send(post("/ten", headers));
        client.send(body);
        let answer = client.answer();
        assert_eq!(answer.status(), 413);
        assert!(answer.text().contains("10 bytes"), "{}", answer.text());
    }
    let mut client = site.client();
    client.send(post("/ten", "Transfer-Encoding: chunked\r\n"));
    client.send(chunked(b"helloworld", 3));
    assert_eq!(client.answer().status(), 200);
    assert_eq!(site.counters().requests_too_large, 3);
}

#[test]
fn a_slow_body_is_given_up_small_or_large_and_the_answer_says_so() {
    let settings = Settings { small_body_wait: Duration::from_millis(300), body_stall: Duration::from_millis(300), ..Settings::default() };
    let site = Site::start(settings);
    let mut small = site.client();
    small.send(post("/count", "Content-Length: 1000\r\n"));
    let mut large = site.client();
    large.send(post("/count", "Content-Length: 1000000\r\n"));
    large.send(vec![b'x'; 70_000]);
    for client in [&mut small, &mut large] {
        assert_eq!(client.answer().status(), 408);
        client.assert_closed();
    }
    site.seen.expect("broken 70000");
    site.until("nothing is held", |counters| counters.bulk_active == 0);
}

#[test]
fn a_body_that_begins_after_a_long_quiet_is_not_taken_for_a_slow_one() {
    let quiet = Duration::from_millis(500);
    let settings = Settings { body_stall: quiet / 2, rate_min: 1 << 10, rate_window: quiet / 2, loops: 1, ..Settings::default() };
    let site = Site::start(settings);
    // Whether connection and head are seen in one round is the kernel's to say: a few rounds.
    for _ in 0..5 {
        // The relay has nobody, and waits for events alone.
        std::thread::park_timeout(quiet);
        let mut client = site.client();
        client.send(post("/count", "Connection: close\r\nContent-Length: 100000\r\n"));
        // Time for a look at who is slow.
        std::thread::park_timeout(quiet / 8);
        client.send(vec![b'x'; 100_000]);
        assert_eq!(client.answer().status(), 200);
        client.assert_closed();
        drop(client);
        site.until("nobody is left", |counters| counters.connections_open == 0);
    }
}

#[test]
fn a_trickle_below_the_least_rate_is_given_up() {
    // No machine sends single bytes as fast as this.
    let settings = Settings { rate_min: 1 << 30, rate_window: Duration::from_millis(500), ..Settings::default() };
    let site = Site::start(settings);
    let stream = connect(site.address());
    let mut writer = stream.try_clone().unwrap();
    let mut client = Client::over(stream);
    client.send(post("/count", "Content-Length: 100000000\r\n"));
    let trickle = std::thread::spawn(move || while writer.write_all(b"x").is_ok() {});
    assert_eq!(client.answer().status(), 408);
    drop(client);
    trickle.join().unwrap();
}

#[test]
fn a_server_behind_that_does_not_read_slows_the_client_and_nothing_grows() {
    let site = Site::start(Settings::default());
    let stream = connect(site.address());
    stream.set_write_timeout(Some(Duration::from_millis(300))).unwrap();
    let mut writer = stream.try_clone().unwrap();
    let mut client = Client::over(stream);
    client.send(post("/stuck", "Content-Length: 1000000000\r\n"));
    let mut sent = 0;
    while let Ok(count) = writer.write(&[b'x'; 64 << 10]) {
        sent += count;
    }
    assert!(sent < 32 << 20, "{sent} bytes were taken");
    assert!(site.counters().bytes_buffered < 1 << 20);
    site.release();
    assert_eq!(client.answer().status(), 200);
}
