//! What the edge costs: the same handlers behind tiny_http alone, behind a hop that only copies bytes, and behind the edge, in one run; and how an
//! ordinary request fares while 4,000 connections idle and 500 heads and 500 bodies trickle. `cargo bench --bench edge`; one part alone: `-- gets`, `-- upload` or `-- held`.

use std::fs::File;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use entrepot::edge::{Admission, Edge, Gate, Head, Hop, Settings};

const CLIENTS: usize = 16;
const UPLOAD: u64 = 1 << 30;

struct Open;

impl Gate for Open {
    fn admit(&self, _: &Head<'_>) -> Admission {
        Admission::Admit { max_body: u64::MAX }
    }
}

/// Answers GET at once; writes the body of a POST to a file and syncs it.
fn serve(server: &Arc<tiny_http::Server>, file: &std::path::Path) {
    for _ in 0..16 {
        let (server, file) = (server.clone(), file.to_owned());
        std::thread::spawn(move || {
            while let Ok(mut request) = server.recv() {
                if *request.method() == tiny_http::Method::Post {
                    let mut out = File::create(&file).unwrap();
                    let mut buffer = vec![0; 64 << 10];
                    loop {
                        match request.as_reader().read(&mut buffer) {
                            // Broken off: the slow ones are, in the end.
                            Ok(0) | Err(_) => break,
                            Ok(count) => out.write_all(&buffer[..count]).unwrap(),
                        }
                    }
                    out.sync_all().unwrap();
                }
                let mut writer = request.into_writer();
                let _ = writer.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nok\n").and_then(|()| writer.flush());
            }
        });
    }
}

fn answer(stream: &mut TcpStream) -> bool {
    let mut buffer = [0; 512];
    let mut filled = 0;
    while !buffer[..filled].ends_with(b"ok\n") {
        let count = stream.read(&mut buffer[filled..]).unwrap();
        assert!(count > 0, "closed: {}", String::from_utf8_lossy(&buffer[..filled]));
        filled += count;
    }
    memchr::memmem::find(&buffer[..filled], b"Connection: close").is_some()
}

fn connect(address: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(address).unwrap();
    stream.set_nodelay(true).unwrap();
    stream
}

/// Requests a second of keep-alive clients.
fn gets(address: SocketAddr) -> f64 {
    let (over, count) = (AtomicBool::new(false), AtomicU64::new(0));
    let begun = Instant::now();
    std::thread::scope(|scope| {
        for _ in 0..CLIENTS {
            scope.spawn(|| {
                let mut stream = connect(address);
                while !over.load(Ordering::Relaxed) {
                    stream.write_all(b"GET /ok HTTP/1.1\r\nHost: bench\r\n\r\n").unwrap();
                    if answer(&mut stream) {
                        stream = connect(address);
                    }
                    count.fetch_add(1, Ordering::Relaxed);
                }
            });
        }
        std::thread::park_timeout(Duration::from_secs(4));
        over.store(true, Ordering::Relaxed);
    });
    count.load(Ordering::Relaxed) as f64 / begun.elapsed().as_secs_f64()
}

/// The least that anything in front of tiny_http can do: as many threads as the edge has, which copy between a client and a connection to the server
/// behind, and look at nothing. What it loses to tiny_http alone is the price of the hop; what the edge loses to it is the edge's own.
#[cfg(unix)]
fn copying_hop(dir: &std::path::Path) -> SocketAddr {
    use rustix::event::{PollFd, PollFlags, poll};
    use std::os::unix::net::UnixStream;

    let path = dir.join("copying");
    let behind = Arc::new(tiny_http::Server::http_unix(&path).unwrap());
    serve(&behind, &dir.join("copied"));
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    listener.set_nonblocking(true).unwrap();
    for _ in 0..Settings::default().loops {
        let (listener, path, behind) = (listener.try_clone().unwrap(), path.clone(), behind.clone());
        std::thread::spawn(move || {
            let _behind = behind;
            let mut pairs: Vec<(TcpStream, UnixStream)> = Vec::new();
            let mut buffer = vec![0; 16 << 10];
            loop {
                let mut watched = vec![PollFd::new(&listener, PollFlags::IN)];
                for (client, server) in &pairs {
                    watched.push(PollFd::new(client, PollFlags::IN));
                    watched.push(PollFd::new(server, PollFlags::IN));
                }
                poll(&mut watched, None).unwrap();
                let ready: Vec<bool> = watched.iter().map(|one| !one.revents().is_empty()).collect();
                let mut at = 0;
                pairs.retain_mut(|(client, server)| {
                    at += 2;
                    let mut copy = |from: &mut dyn Read, to: &mut dyn Write| {
                        from.read(&mut buffer).is_ok_and(|count| count > 0 && to.write_all(&buffer[..count]).is_ok())
                    };
                    (!ready[at - 1] || copy(client, server)) && (!ready[at] || copy(server, client))
                });
                if ready[0]
                    && let Ok((client, _)) = listener.accept()
                {
                    client.set_nonblocking(false).unwrap();
                    client.set_nodelay(true).unwrap();
                    pairs.push((client, UnixStream::connect(&path).unwrap()));
                }
            }
        });
    }
    address
}

fn upload(address: SocketAddr) -> Duration {
    let block = vec![b'x'; 1 << 20];
    let begun = Instant::now();
    let mut stream = connect(address);
    write!(stream, "POST /file HTTP/1.1\r\nHost: bench\r\nContent-Length: {UPLOAD}\r\n\r\n").unwrap();
    for _ in 0..UPLOAD >> 20 {
        stream.write_all(&block).unwrap();
    }
    answer(&mut stream);
    begun.elapsed()
}

fn median<T: PartialOrd + Copy>(mut values: [T; 3]) -> T {
    values.sort_by(|a, b| a.partial_cmp(b).unwrap_or(std::cmp::Ordering::Equal));
    values[1]
}

fn status(name: &str) -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find(|line| line.starts_with(name)).unwrap_or("x 0");
    line.split_whitespace().nth(1).unwrap().parse().unwrap_or(0)
}

fn main() {
    if std::env::args().any(|argument| argument == "--list") {
        return;
    }
    let dir = std::env::temp_dir().join(format!("entrepot-bench-edge-{}", std::process::id()));
    std::fs::create_dir_all(&dir).unwrap();
    let plain = Arc::new(tiny_http::Server::http("127.0.0.1:0").unwrap());
    let plain_address = plain.server_addr().to_ip().unwrap();
    serve(&plain, &dir.join("plain"));
    let (hop, listener) = Hop::open(&dir).unwrap();
    let behind = Arc::new(tiny_http::Server::from_listener(listener, None).unwrap());
    serve(&behind, &dir.join("edge"));
    let settings =
        Settings { connections: 6000, connections_per_address: 6000, head_wait: Duration::from_secs(120), ..Settings::default() };
    let settings = Settings { idle_wait: Duration::from_secs(120), small_exchanges: 48, bulk_exchanges: 12, ..settings };
    let edge = Edge::start(settings, vec!["127.0.0.1:0".parse().unwrap()], None, hop, Arc::new(Open)).unwrap();
    let edge_address = edge.addresses()[0];

    let named: Vec<String> = std::env::args().skip(1).filter(|argument| !argument.starts_with('-')).collect();
    let wanted = |part: &str| named.is_empty() || named.iter().any(|name| name == part);
    if wanted("gets") {
        #[cfg(unix)]
        let copying = Some(copying_hop(&dir));
        #[cfg(not(unix))]
        let copying = None;
        compare_gets(plain_address, copying, edge_address);
    }
    if wanted("upload") {
        compare_uploads(plain_address, edge_address);
    }
    if wanted("held") {
        held(edge_address, &dir);
    }
    edge.stop(Duration::from_millis(100));
    let _ = std::fs::remove_dir_all(&dir);
}

fn compare_gets(plain: SocketAddr, copying: Option<SocketAddr>, edge: SocketAddr) {
    let rounds = [0, 1, 2].map(|_| (gets(plain), copying.map_or(f64::NAN, gets), gets(edge)));
    let plain = median(rounds.map(|rates| rates.0));
    // Of each round, because a machine is not equally busy all the time.
    let hop = median(rounds.map(|rates| rates.1 / rates.0));
    let ratio = median(rounds.map(|rates| rates.2 / rates.0));
    println!(
        "keep-alive GET, {CLIENTS} clients: tiny_http {plain:.0}/s; a hop that only copies {hop:.2} of it, the edge {ratio:.2} (target at least 0.5): \
         {:.2} of what the hop leaves",
        ratio / hop
    );
}

fn compare_uploads(plain_address: SocketAddr, edge_address: SocketAddr) {
    let times = [0, 1, 2].map(|_| (upload(plain_address), upload(edge_address)));
    let (alone, through) = (median(times.map(|time| time.0)), median(times.map(|time| time.1)));
    println!(
        "upload of 1 GiB, synced: tiny_http {alone:.2?}, edge {through:.2?}, ratio {:.2} (target at most 1.2)",
        through.as_secs_f64() / alone.as_secs_f64()
    );
}

fn held(edge_address: SocketAddr, dir: &std::path::Path) {
    // The other end of every connection is in this process too: its descriptors are not the edge's.
    let mut held = Vec::with_capacity(5000);
    let threads_before = status("Threads:");
    for number in 0..5000 {
        let mut stream = connect(edge_address);
        match number {
            0..4000 => {}
            4000..4500 => stream.write_all(b"GET /ok HTTP/1.1\r\nHo").unwrap(),
            _ => stream.write_all(b"POST /file HTTP/1.1\r\nHost: bench\r\nContent-Length: 10000000\r\n\r\nslow").unwrap(),
        }
        held.push(stream);
    }
    let mut waits: Vec<Duration> = (0..2000)
        .map(|_| {
            let begun = Instant::now();
            let mut stream = connect(edge_address);
            stream.write_all(b"GET /ok HTTP/1.1\r\nHost: bench\r\n\r\n").unwrap();
            answer(&mut stream);
            begun.elapsed()
        })
        .collect();
    waits.sort();
    println!(
        "GET beside 4,000 idle, 500 slow heads, 500 slow bodies: median {:.2?}, p99 {:.2?} (target under 50 ms); {} threads more, {} MiB",
        waits[1000],
        waits[1980],
        status("Threads:").saturating_sub(threads_before),
        status("VmRSS:") / 1024
    );
    println!("the same in the whole appliance: {}", appliance(dir));
}

/// The whole appliance in a process of its own, under the same load: threads and memory are its own.
fn appliance(dir: &std::path::Path) -> String {
    let text = format!(
        "[server]\nlisten = \"127.0.0.1:0\"\npublic_url = \"http://bench.test\"\ndata_dir = {:?}\n[limits]\nconnections = 6000\nconnections_per_address = 6000\nhead_wait = \"2m\"\nidle_wait = \"2m\"\n",
        dir.join("data").display().to_string()
    );
    std::fs::write(dir.join("entrepot.toml"), text).unwrap();
    let mut process = std::process::Command::new(env!("CARGO_BIN_EXE_entrepot"))
        .args(["serve", "--config"])
        .arg(dir.join("entrepot.toml"))
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::null())
        .spawn()
        .unwrap();
    let mut line = String::new();
    std::io::BufRead::read_line(&mut std::io::BufReader::new(process.stdout.as_mut().unwrap()), &mut line).unwrap();
    let address: SocketAddr = line.trim().rsplit_once("http://").unwrap().1.parse().unwrap();
    let mut held = Vec::new();
    for number in 0..5000 {
        let mut stream = connect(address);
        match number {
            0..4000 => {}
            4000..4500 => stream.write_all(b"GET /healthz HTTP/1.1\r\nHo").unwrap(),
            _ => stream.write_all(b"POST /sign-in HTTP/1.1\r\nHost: bench\r\nContent-Length: 900000\r\n\r\nslow").unwrap(),
        }
        held.push(stream);
    }
    let mut waits: Vec<Duration> = (0..2000)
        .map(|_| {
            let begun = Instant::now();
            let mut stream = connect(address);
            stream.write_all(b"GET /healthz HTTP/1.1\r\nHost: bench\r\n\r\n").unwrap();
            answer_ok(&mut stream);
            begun.elapsed()
        })
        .collect();
    waits.sort();
    let status = std::fs::read_to_string(format!("/proc/{}/status", process.id())).unwrap_or_default();
    let value = |name: &str| -> u64 {
        let line = status.lines().find(|line| line.starts_with(name)).unwrap_or("x 0");
        line.split_whitespace().nth(1).unwrap().parse().unwrap_or(0)
    };
    let _ = process.kill();
    let _ = process.wait();
    format!("p99 {:.2?}, {} threads (target under 120), {} MiB (target under 100)", waits[1980], value("Threads:"), value("VmRSS:") / 1024)
}

fn answer_ok(stream: &mut TcpStream) {
    let mut buffer = [0; 1024];
    let mut filled = 0;
    while !buffer[..filled].ends_with(b"\r\n\r\nok\n") {
        let count = stream.read(&mut buffer[filled..]).unwrap();
        assert!(count > 0, "closed: {}", String::from_utf8_lossy(&buffer[..filled]));
        filled += count;
    }
}
