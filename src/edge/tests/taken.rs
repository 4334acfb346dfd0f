//! Requests that the gate takes, past the server behind.

use super::*;

fn post(path: &str, body: &str) -> String {
    format!("POST {path} HTTP/1.1\r\nHost: a\r\nX-Own: b\r\nConnection: keep-alive\r\nContent-Length: {}\r\n\r\n{body}", body.len())
}

#[test]
fn a_request_that_is_taken_is_whole_and_its_answer_comes_from_any_thread() {
    let site = Site::start(Settings::default());
    let mut client = site.client();
    for path in ["/take/at-once", "/take/elsewhere", "/take/at-once"] {
        let request = post(path, "in two pieces");
        client.send(&request[..request.len() - 5]);
        site.until("the edge has the first piece", |counters| counters.requests > counters.requests_taken);
        client.send(&request[request.len() - 5..]);
        let answer = client.answer();
        assert_eq!((answer.status_line.as_str(), answer.text().as_str()), ("HTTP/1.1 200 Taken", "in two pieces"), "{path}");
    }
    client.send(post("/take/at-once?q=1", "x"));
    let answer = client.answer();
    assert!(answer.has("X-Headers: Host X-Own") && answer.has("X-Method: POST") && !answer.has("Connection: close"), "{answer:?}");
    site.seen.expect("took /take/at-once?q=1 1 bytes");
    let counters = site.counters();
    assert_eq!((counters.requests_taken, counters.hop_connections), (4, 0), "nothing went behind");
}

#[test]
fn pipelined_requests_are_taken_one_after_the_other_and_then_the_gate_is_told() {
    let site = Site::start(Settings { loops: 1, ..Settings::default() });
    let mut client = site.client();
    client.send([post("/take/at-once", "one"), post("/take/elsewhere", "two"), post("/take/at-once", "three")].concat());
    for body in ["one", "two", "three"] {
        assert_eq!(client.answer().text(), body);
    }
    site.seen.expect("taken");
    let took: Vec<String> = site.seen.all().into_iter().filter(|entry| entry != "taken").collect();
    assert_eq!(took, ["took /take/at-once 3 bytes", "took /take/elsewhere 3 bytes", "took /take/at-once 5 bytes"]);
}

#[test]
fn only_a_small_body_of_a_known_length_is_taken_and_any_other_goes_behind() {
    let site = Site::start(Settings::default());
    let small = Settings::default().small_body;
    for (request, taken) in [
        (post("/take/at-once", &"x".repeat(small)), true),
        (post("/take/at-once", &"x".repeat(small + 1)), false),
        (post("/take/at-once", ""), false),
        ("POST /take/at-once HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n".into(), false),
        ("GET /take/at-once HTTP/1.1\r\nHost: a\r\n\r\n".into(), false),
    ] {
        let before = site.counters().requests_taken;
        let mut client = site.client();
        client.send(&request);
        assert_eq!(client.answer().status_line.ends_with("Taken"), taken, "{}", &request[..request.len().min(120)]);
        assert_eq!(site.counters().requests_taken - before, u64::from(taken));
    }
}

#[test]
fn a_request_that_nobody_answers_is_answered_500_and_a_cut_one_not_at_all() {
    let site = Site::start(Settings::default());
    for path in ["/take/drop", "/take/panic"] {
        let mut client = site.client();
        client.send(post(path, "x"));
        assert_eq!(client.answer().status(), 500, "{path}");
        client.send(post("/take/at-once", "y"));
        assert_eq!(client.answer().text(), "y", "{path}");
    }
    let mut client = site.client();
    client.send(post("/take/cut", "x"));
    assert!(client.try_answer(false).is_none());
    site.assert_alive();
}

#[test]
fn a_client_that_leaves_before_its_answer_leaves_nothing_behind() {
    let site = Site::start(Settings::default());
    let mut client = site.client();
    client.send(post("/take/hold", &"x".repeat(5000)));
    site.seen.expect("took /take/hold 5000 bytes");
    site.until("its body counts as long as it is in work", |counters| counters.bytes_buffered >= 5000);
    drop(client);
    // Its place is another's by now, who must not get the answer.
    let mut other = site.client();
    other.send(post("/take/hold", "y"));
    site.seen.expect("took /take/hold 1 bytes");
    let mut held = std::mem::take(&mut *site.gate.held.lock().unwrap()).into_iter();
    let answer = |text: &str| edge_answer(text);
    held.next().unwrap().answer(answer("the first"));
    held.next().unwrap().answer(answer("the second"));
    assert_eq!(other.answer().text(), "the second");
    drop(other);
    site.until("everything is given back", |counters| counters.connections_open == 0 && counters.bytes_buffered == 0);
}

fn edge_answer(text: &str) -> super::super::Answer {
    super::super::Answer { status: 200, reason: "OK".into(), headers: Vec::new(), body: text.into() }
}

#[test]
fn an_answer_for_a_relay_that_has_ended_reaches_nobody_of_the_next() {
    let site = Site::start(Settings::default());
    let mut client = site.client();
    client.send(post("/take/hold", "x"));
    site.seen.expect("took /take/hold 1 bytes");
    let answering = site.gate.held.lock().unwrap().pop().unwrap();
    let (inbox, asker) = answering.0.as_ref().unwrap();
    let earlier = gate::Asker { generation: asker.generation.wrapping_sub(1), ..*asker };
    gate::Answering::new(Arc::clone(inbox), earlier).answer(edge_answer("somebody else's"));
    answering.answer(edge_answer("its own"));
    assert_eq!(client.answer().text(), "its own");
}

#[test]
fn an_answer_that_comes_too_late_is_not_waited_for_and_reaches_nobody() {
    let site = Site::start(Settings { answer_wait: Duration::from_millis(300), ..Settings::default() });
    let mut client = site.client();
    client.send(post("/take/hold", "x"));
    let answer = client.answer();
    assert!(answer.status() == 504 && answer.has("Connection: close"), "{answer:?}");
    for answering in std::mem::take(&mut *site.gate.held.lock().unwrap()) {
        answering.answer(edge_answer("late"));
    }
    client.assert_closed();
    site.assert_alive();
}

#[test]
fn a_stop_waits_for_what_was_taken_as_long_as_its_grace() {
    let site = Site::start(Settings::default());
    let mut client = site.client();
    client.send(post("/take/hold", "x"));
    site.seen.expect("took /take/hold 1 bytes");
    std::thread::scope(|scope| {
        let stopping = scope.spawn(|| site.edge().stop(PATIENCE));
        let address = site.address();
        let watch = Stopwatch::start();
        while TcpStream::connect(address).is_ok() {
            assert!(watch.elapsed() < PATIENCE, "the listener is still open");
        }
        for answering in std::mem::take(&mut *site.gate.held.lock().unwrap()) {
            answering.answer(edge_answer("in time"));
        }
        let answer = client.answer();
        assert!(answer.text() == "in time" && answer.has("Connection: close"), "{answer:?}");
        stopping.join().unwrap();
    });
    let site = Site::start(Settings::default());
    let mut client = site.client();
    client.send(post("/take/hold", "x"));
    site.seen.expect("took /take/hold 1 bytes");
    site.edge().stop(Duration::from_millis(200));
    assert!(client.try_answer(false).is_none(), "cut off");
}
