//! Many bad clients at once, and one good one beside them that must notice nothing.

use super::*;

/// An ordinary client in parallel: each of its requests must be answered.
fn ordinary(site: &Site, count: usize) {
    let mut client = site.client();
    for number in 0..count {
        if number % 50 == 49 {
            client = site.client();
        }
        client.send("GET /alive HTTP/1.1\r\nHost: a\r\n\r\n");
        assert_eq!(client.answer().text(), "hello");
    }
}

fn many(settings: Settings) -> Settings {
    Settings { connections_per_address: 10_000, ..settings }
}

#[test]
fn slow_heads_are_closed_at_their_deadline_and_nobody_else_waits() {
    let site = Site::start(many(Settings { head_wait: Duration::from_secs(1), ..Settings::default() }));
    let mut slow: Vec<TcpStream> = (0..300).map(|_| connect(site.address())).collect();
    for (number, stream) in slow.iter_mut().enumerate() {
        stream.write_all(&b"GET / HTTP/1.1\r\nHost: a\r\nX: "[..number % 29]).unwrap();
    }
    site.until("they are all here", |counters| counters.connections_accepted == 300);
    ordinary(&site, 100);
    site.until("they are all gone", |counters| counters.connections_open == 0);
}

#[test]
fn slow_bodies_do_not_stop_small_requests() {
    let settings = Settings { small_body_wait: Duration::from_secs(2), body_stall: Duration::from_secs(2), ..Settings::default() };
    let site = Site::start(many(settings));
    let slow: Vec<TcpStream> = (0..300)
        .map(|number| {
            let mut stream = connect(site.address());
            let length = if number % 2 == 0 { 1000 } else { 10_000_000 };
            write!(stream, "POST /count HTTP/1.1\r\nHost: a\r\nContent-Length: {length}\r\n\r\nabc").unwrap();
            stream
        })
        .collect();
    site.until("some occupy handlers, as many as may", |counters| counters.bulk_active >= 8);
    assert_eq!(site.counters().bulk_active, 8, "one address has eight at once");
    ordinary(&site, 100);
    drop(slow);
    site.until("all is free", |counters| counters.bulk_active == 0 && counters.connections_open <= 1);
}

#[test]
fn a_storm_of_resets_leaves_nothing_behind() {
    // The storm comes from the address of the ordinary client, which is to wait behind it, however slow the machine is.
    let site = Site::start(many(Settings { small_queue: 10_000, small_queue_per_address: 10_000, ..Settings::default() }));
    std::thread::scope(|scope| {
        scope.spawn(|| {
            for number in 0..2000 {
                let socket = socket2::Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
                socket.connect(&site.address().into()).unwrap();
                let requests: [&[u8]; 4] = [
                    b"GET /alive HTTP/1.1\r\nHost: a\r\n\r\n",
                    b"GET /large?1000000 HTTP/1.1\r\nHost: a\r\n\r\n",
                    b"POST /count HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\nabc",
                    b"GET /al",
                ];
                let _ = socket.send(requests[number % 4]);
                socket.set_linger(Some(Duration::ZERO)).unwrap();
            }
        });
        ordinary(&site, 300);
    });
    site.until("all is free", |counters| counters.connections_open == 0 && counters.small_active == 0 && counters.bulk_active == 0);
    site.assert_alive();
}

#[test]
fn one_address_has_its_share_of_connections_and_no_more() {
    let site = Site::start(Settings { connections_per_address: 5, ..Settings::default() });
    let held: Vec<Client> = (0..5).map(|_| site.client()).collect();
    let mut refused = site.client();
    let answer = refused.try_answer(false);
    assert!(answer.is_none_or(|answer| answer.status() == 503));
    assert_eq!(site.counters().connections_refused_address, 1);
    drop(held);
    site.until("they are gone", |counters| counters.connections_open == 0);
    site.assert_alive();
}

#[test]
fn when_all_connections_are_taken_the_oldest_idle_one_makes_room() {
    let site = Site::start(Settings { connections: 10, loops: 1, ..Settings::default() });
    let mut held: Vec<Client> = (0..10).map(|_| site.client()).collect();
    site.until("it is full", |counters| counters.connections_open == 10);
    site.assert_alive();
    held[0].assert_closed();
    assert!(site.counters().connections_evicted >= 1);
    // Those with a request in hand are not closed: then the newcomer is told.
    let site = Site::start(Settings { connections: 3, loops: 1, ..Settings::default() });
    let busy: Vec<Client> = (0..3)
        .map(|_| {
            let mut client = site.client();
            client.send("GET /stuck HTTP/1.1\r\nHost: a\r\n\r\n");
            client
        })
        .collect();
    site.until("all are busy", |counters| counters.small_active == 3);
    let mut refused = site.client();
    assert_eq!(refused.answer().status(), 503);
    site.release();
    for mut client in busy {
        assert_eq!(client.answer().status(), 200);
    }
}

#[test]
fn idle_connections_are_closed() {
    let site = Site::start(Settings { idle_wait: Duration::from_millis(200), ..Settings::default() });
    let mut client = site.client();
    client.send("GET /alive HTTP/1.1\r\nHost: a\r\n\r\n");
    client.answer();
    client.assert_closed();
}

#[test]
fn small_bodies_are_refused_when_too_much_is_kept() {
    let settings = Settings { buffered: 1 << 20, small_body_wait: PATIENCE, ..Settings::default() };
    let site = Site::start(many(settings));
    let mut clients: Vec<Client> = (0..60)
        .map(|_| {
            let mut client = site.client();
            client.send("POST /count HTTP/1.1\r\nHost: a\r\nContent-Length: 60000\r\n\r\n");
            client.send(vec![b'x'; 50_000]);
            client
        })
        .collect();
    site.until("some are refused", |counters| counters.requests_overload > 0);
    assert!(site.counters().bytes_buffered < 8 << 20);
    clients.truncate(1);
    site.until("the others are gone", |counters| counters.connections_open <= 1);
    site.assert_alive();
}

#[test]
fn urgent_bytes_are_bytes() {
    let site = Site::start(Settings::default());
    let socket = socket2::Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    socket.connect(&site.address().into()).unwrap();
    let request = b"GET /alive HTTP/1.1\r\nHost: a\r\n\r\n";
    let (last, first) = request.split_last().unwrap();
    socket.send(first).unwrap();
    socket.send_out_of_band(&[*last]).unwrap();
    let stream = TcpStream::from(socket);
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    assert_eq!(Client::over(stream).answer().text(), "hello");
}

/// The limit of open files is the whole process's, so this runs in a process of its own.
#[cfg(unix)]
#[test]
fn running_out_of_descriptors_stops_nothing_for_long() {
    const INNER: &str = "ENTREPOT_EDGE_FEW_DESCRIPTORS";
    if std::env::var_os(INNER).is_none() {
        let name = "edge::tests::attacks::running_out_of_descriptors_stops_nothing_for_long";
        let output = std::process::Command::new(std::env::current_exe().unwrap())
            .args([name, "--exact", "--nocapture", "--test-threads=1"])
            .env(INNER, "1")
            .output()
            .unwrap();
        assert!(output.status.success(), "{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        return;
    }
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let limit =
        |current| setrlimit(Resource::Nofile, Rlimit { current: Some(current), maximum: getrlimit(Resource::Nofile).maximum }).unwrap();
    let site = Site::start(many(Settings { idle_wait: Duration::from_secs(1), head_wait: Duration::from_secs(1), ..Settings::default() }));
    site.assert_alive();
    // The kernel completes connections that the edge has no descriptor for: the clients are made first, unconnected.
    let sockets: Vec<socket2::Socket> = (0..60).map(|_| socket2::Socket::new(Domain::IPV4, Type::STREAM, None).unwrap()).collect();
    let open = std::fs::read_dir("/proc/self/fd").map_or(100, |entries| entries.count() as u64);
    limit(open + 10);
    for socket in &sockets {
        socket.connect(&site.address().into()).unwrap();
    }
    site.until("accept failed", |counters| counters.accept_errors > 0);
    drop(sockets);
    site.until("they are gone", |counters| counters.connections_open == 0);
    site.assert_alive();
    limit(1024);
    site.assert_alive();
}
