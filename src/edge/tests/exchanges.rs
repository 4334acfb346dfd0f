//! Exchanges: keep-alive, pipelining, answers of every kind, slots and queues, who the client is.

use super::*;

const GET: &str = "GET /alive HTTP/1.1\r\nHost: a\r\n\r\n";

#[test]
fn the_answer_leaves_as_the_handler_wrote_it() {
    let site = Site::start(Settings::default());
    let mut client = site.client();
    for _ in 0..3 {
        client.send(GET);
        let answer = client.answer();
        assert_eq!(answer.status_line, "HTTP/1.1 200 Fine indeed");
        assert_eq!(answer.headers, ["Content-Length: 5", "X-Path: yes"]);
        assert_eq!(answer.text(), "hello");
    }
    assert_eq!(site.counters().hop_connections, 1, "the hop connection is used again");
}

#[test]
fn answers_without_a_body_have_none_and_the_connection_goes_on() {
    let site = Site::start(Settings::default());
    let mut client = site.client();
    client.send(GET.replacen("GET", "HEAD", 1));
    let answer = client.try_answer(true).unwrap();
    assert!(answer.has("Content-Length: 5"));
    client.send("GET /no-content HTTP/1.1\r\nHost: a\r\n\r\n");
    assert_eq!(client.answer().headers, ["ETag: \"x\""]);
    client.send(GET);
    assert_eq!(client.answer().text(), "hello");
}

#[test]
fn pipelined_requests_are_answered_in_order() {
    let site = Site::start(Settings::default());
    let mut client = site.client();
    let mut all = String::new();
    for number in 0..50 {
        let body = "x".repeat(number);
        all += &format!("POST /count HTTP/1.1\r\nHost: a\r\nContent-Length: {number}\r\n\r\n{body}");
    }
    client.send(all);
    for number in 0..50 {
        assert!(client.answer().text().starts_with(&format!("{number} ")));
    }
}

#[test]
fn a_chunked_answer_stays_chunked_and_an_old_client_gets_it_plain() {
    let site = Site::start(Settings::default());
    let mut client = site.client();
    client.send("GET /chunked HTTP/1.1\r\nHost: a\r\n\r\n");
    let answer = client.answer();
    assert_eq!((answer.text().as_str(), answer.has("Transfer-Encoding: chunked")), ("hello world", true));
    client.send("GET /chunked HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
    let answer = client.answer();
    assert_eq!((answer.text().as_str(), answer.has("Transfer-Encoding: chunked")), ("hello world", false));
    client.assert_closed();
}

#[test]
fn the_connection_closes_when_either_side_wants_it_and_after_so_many_requests() {
    let site = Site::start(Settings { requests_per_connection: 3, ..Settings::default() });
    for request in ["GET /alive HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n", "GET /alive HTTP/1.0\r\n\r\n"] {
        let mut client = site.client();
        client.send(request);
        assert!(client.answer().has("Connection: close"));
        client.assert_closed();
    }
    let mut client = site.client();
    for last in [false, false, true] {
        client.send("GET /alive HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
        let answer = client.answer();
        assert_eq!((answer.has("Connection: keep-alive"), answer.has("Connection: close")), (!last, last));
    }
    client.assert_closed();
}

#[test]
fn a_client_may_end_its_side_once_it_has_asked() {
    let site = Site::start(Settings::default());
    let stream = connect(site.address());
    let half = stream.try_clone().unwrap();
    let mut client = Client::over(stream);
    client.send(GET);
    half.shutdown(std::net::Shutdown::Write).unwrap();
    assert_eq!(client.answer().text(), "hello");
    client.assert_closed();
}

#[test]
fn a_handler_that_answers_badly_costs_its_own_request_only() {
    let site = Site::start(Settings::default());
    for (path, status) in [("/no-length", 502), ("/split", 502), ("/bare-lf", 502), ("/panic", 500)] {
        let mut client = site.client();
        client.send(format!("GET {path} HTTP/1.1\r\nHost: a\r\n\r\n"));
        let answer = client.answer();
        assert_eq!(answer.status(), status, "{path}");
        assert!(!answer.text().contains("evil"));
    }
    let mut client = site.client();
    client.send("GET /surplus HTTP/1.1\r\nHost: a\r\n\r\n");
    assert_eq!(client.answer().text(), "hello");
    client.send(GET);
    assert_eq!(client.answer().text(), "hello", "what was too much went nowhere");
    let mut client = site.client();
    client.send("GET /bad-chunks HTTP/1.1\r\nHost: a\r\n\r\n");
    assert!(client.try_answer(false).is_none(), "an answer cut off has no end");
    let mut client = site.client();
    client.send("GET /gate-panic HTTP/1.1\r\nHost: a\r\n\r\n");
    assert_eq!(client.answer().status(), 500);
    site.assert_alive();
}

#[test]
fn a_request_that_takes_too_long_behind_is_given_up() {
    let site = Site::start(Settings { answer_wait: Duration::from_millis(300), ..Settings::default() });
    let mut client = site.client();
    client.send("GET /stuck HTTP/1.1\r\nHost: a\r\n\r\n");
    assert_eq!(client.answer().status(), 504);
    assert_eq!(site.counters().small_active, 1, "its handler still runs, so its slot is taken");
    site.release();
    site.until("the slot is free again", |counters| counters.small_active == 0);
    site.assert_alive();
}

#[test]
fn requests_beyond_the_slots_wait_and_beyond_the_queue_are_told_to_come_back() {
    let settings = Settings {
        loops: 1,
        small_exchanges: 2,
        bulk_exchanges: 1,
        small_queue: 3,
        queue_wait: Duration::from_secs(20),
        ..Settings::default()
    };
    let site = Site::start(settings);
    let stuck: Vec<Client> = (0..2)
        .map(|_| {
            let mut client = site.client();
            client.send("GET /stuck HTTP/1.1\r\nHost: a\r\n\r\n");
            client
        })
        .collect();
    site.until("both slots are taken", |counters| counters.small_active == 2);
    let waiting: Vec<Client> = (0..3)
        .map(|_| {
            let mut client = site.client();
            client.send(GET);
            client
        })
        .collect();
    site.until("three wait", |counters| counters.requests_waiting == 3);
    let mut refused = site.client();
    refused.send(GET);
    let answer = refused.answer();
    assert_eq!((answer.status(), answer.has("Retry-After: 2")), (503, true));
    site.release();
    for mut client in stuck.into_iter().chain(waiting) {
        assert_eq!(client.answer().status(), 200);
    }
}

#[test]
fn one_address_waits_with_its_share_of_the_queue_and_another_is_served_before_its_second() {
    let settings = Settings { loops: 1, small_exchanges: 1, bulk_exchanges: 1, small_queue_per_address: 2, ..Settings::default() };
    let site = Site::start(settings);
    let mut stuck = site.client();
    stuck.send("GET /stuck HTTP/1.1\r\nHost: a\r\n\r\n");
    site.seen.expect("stuck");
    let ask = |address: [u8; 4], path: &str| {
        let mut client = site.client_from(address);
        client.send(format!("GET /{path} HTTP/1.1\r\nHost: a\r\n\r\n"));
        client
    };
    let mut greedy = Vec::new();
    for number in 1..=2u64 {
        greedy.push(ask([127, 0, 0, 1], &format!("greedy-{number}")));
        site.until("it waits", |counters| counters.requests_waiting == number);
    }
    let mut refused = ask([127, 0, 0, 1], "greedy-3");
    assert_eq!(refused.answer().status(), 503, "its share is used up");
    let mut modest = ask([127, 0, 0, 2], "modest");
    site.until("it waits", |counters| counters.requests_waiting == 3);
    site.release();
    assert_eq!(modest.answer().status(), 200);
    for client in greedy.iter_mut().chain([&mut stuck]) {
        assert_eq!(client.answer().status(), 200);
    }
    let order: Vec<String> = site.seen.all().into_iter().filter(|seen| seen != "stuck").collect();
    assert_eq!(order, ["GET /greedy-1", "GET /modest", "GET /greedy-2"]);
}

#[test]
fn requests_that_come_all_at_once_each_find_a_thread_behind() {
    let site = Site::start(Settings::default());
    let clients: Vec<Client> = (0..30)
        .map(|_| {
            let mut client = site.client();
            client.send("GET /stuck HTTP/1.1\r\nHost: a\r\n\r\n");
            client
        })
        .collect();
    // None of them ends, so none gives its thread of tiny_http to another.
    let watch = Stopwatch::start();
    while site.seen.all().len() < 30 {
        assert!(watch.elapsed() < PATIENCE, "{} of 30", site.seen.all().len());
        std::thread::yield_now();
    }
    site.release();
    for mut client in clients {
        assert_eq!(client.answer().status(), 200);
    }
}

#[test]
fn who_waits_too_long_is_told_to_come_back() {
    let settings = Settings { loops: 1, small_exchanges: 1, queue_wait: Duration::from_millis(300), ..Settings::default() };
    let site = Site::start(settings);
    let mut stuck = site.client();
    stuck.send("GET /stuck HTTP/1.1\r\nHost: a\r\n\r\n");
    site.seen.expect("stuck");
    let mut client = site.client();
    client.send(GET);
    assert_eq!(client.answer().status(), 503);
    site.release();
    assert_eq!(stuck.answer().status(), 200);
}

#[test]
fn a_client_that_leaves_frees_its_slot_when_its_handler_is_done() {
    let site = Site::start(Settings { loops: 1, small_exchanges: 1, ..Settings::default() });
    let mut client = site.client();
    client.send("GET /stuck HTTP/1.1\r\nHost: a\r\n\r\n");
    site.seen.expect("stuck");
    drop(client);
    let mut next = site.client();
    next.send(GET);
    site.release();
    assert_eq!(next.answer().status(), 200);
}

#[test]
fn large_downloads_have_their_own_slots_and_slow_readers_hold_no_small_one() {
    let settings = Settings {
        loops: 1,
        small_exchanges: 4,
        bulk_exchanges: 1,
        reply_buffer: 32 << 10,
        queue_wait: Duration::from_secs(20),
        ..Settings::default()
    };
    let site = Site::start(settings);
    let large = "GET /large?20000000 HTTP/1.1\r\nHost: a\r\n\r\n";
    let mut first = site.client();
    first.send(large);
    site.until("the first is bulk", |counters| counters.bulk_active == 1);
    let mut second = site.client();
    second.send(large);
    site.until("the second waits", |counters| counters.small_active == 1);
    // Nobody reads either of them, and the site goes on.
    site.assert_alive();
    assert!(site.counters().bytes_buffered < 1 << 20, "{:?}", site.counters());
    for client in [&mut first, &mut second] {
        let answer = client.answer();
        assert_eq!(answer.body.len(), 20_000_000);
        assert!(answer.body.iter().zip((0..=250).cycle()).all(|(found, expected)| *found == expected));
    }
    site.until("all slots are free", |counters| counters.bulk_active == 0 && counters.small_active == 0);
}

#[test]
fn a_reader_that_stands_still_is_closed_and_its_handler_is_free() {
    let site = Site::start(Settings { download_stall: Duration::from_millis(400), ..Settings::default() });
    let mut client = site.client();
    client.send("GET /large?100000000 HTTP/1.1\r\nHost: a\r\n\r\n");
    site.seen.expect("large given up");
    assert!(client.try_answer(false).is_none(), "and it is not taken for the end");
    site.until("the slot is free", |counters| counters.bulk_active == 0 && counters.timeouts == 1);
}

#[test]
fn the_client_is_who_it_is_unless_a_trusted_proxy_says_otherwise() {
    let ask = |site: &Site, headers: &str| {
        let mut client = site.client();
        client.send(format!("GET /who HTTP/1.1\r\nHost: a\r\nX-Edge-Peer: 6.6.6.6:6\r\n{headers}\r\n"));
        client.answer().text()
    };
    let site = Site::start(Settings::default());
    let own = ask(&site, "X-Forwarded-For: 203.0.113.9\r\nX-Forwarded-Proto: https\r\n");
    assert!(own.starts_with("127.0.0.1:") && own.ends_with(" http") && !own.contains(":0 "), "{own}");
    let site = Site::start(Settings { trusted_proxies: vec!["127.0.0.0/8".parse().unwrap()], ..Settings::default() });
    assert_eq!(ask(&site, "X-Forwarded-For: 6.6.6.6, 203.0.113.9\r\nX-Forwarded-Proto: https\r\n"), "203.0.113.9:0 https");
    assert!(ask(&site, "").starts_with("127.0.0.1:"));
}

#[cfg(unix)]
#[test]
fn a_request_that_did_not_come_through_the_edge_is_known() {
    let site = Site::start(Settings::default());
    let path = site._directory.path().join("hop/socket");
    let stream = std::os::unix::net::UnixStream::connect(path).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let mut client = Client::over(stream);
    client.send("GET /alive HTTP/1.1\r\nHost: a\r\nX-Edge-Auth: guess\r\n\r\n");
    assert_eq!(client.answer().status(), 403);
    site.seen.expect("without the secret");
}

#[test]
fn a_stop_lets_an_upload_end_and_takes_no_more() {
    let site = Site::start(Settings::default());
    let mut idle = site.client();
    idle.send(GET);
    idle.answer();
    let mut client = site.client();
    client.send("POST /count HTTP/1.1\r\nHost: a\r\nContent-Length: 300000\r\n\r\n");
    client.send(vec![1; 100_000]);
    site.seen.expect("reading");
    let address = site.address();
    std::thread::scope(|scope| {
        let stopping = scope.spawn(|| site.edge().stop(PATIENCE));
        idle.assert_closed();
        let watch = Stopwatch::start();
        while TcpStream::connect(address).is_ok() {
            assert!(watch.elapsed() < PATIENCE, "the listener is still open");
        }
        client.send(vec![1; 200_000]);
        let answer = client.answer();
        assert_eq!(answer.text(), "300000 300000 300000");
        assert!(answer.has("Connection: close"));
        stopping.join().unwrap();
    });
    assert_eq!(site.counters().connections_open, 0);
}

#[test]
fn a_stop_cuts_off_what_outlasts_its_grace_and_the_handler_sees_no_short_body() {
    let site = Site::start(Settings::default());
    let mut client = site.client();
    client.send("POST /count HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n493E0\r\n");
    client.send(vec![1; 100_000]);
    site.seen.expect("reading");
    site.edge().stop(Duration::from_millis(200));
    assert!(client.try_answer(false).is_none());
    site.seen.expect("broken 100000");
}

#[test]
fn a_port_that_is_taken_is_named_with_a_hint() {
    let site = Site::start(Settings::default());
    let directory = tempfile::tempdir().unwrap();
    let (hop, _listener) = Hop::open(directory.path()).unwrap();
    let error = Edge::start(Settings::default(), vec![site.address()], None, hop, Arc::<TestGate>::default()).err().unwrap().to_string();
    assert!(error.contains(&site.address().to_string()) && error.contains("hint: another program has this port"), "{error}");
}
