//! Durable enqueues, against a lone writer on the same disk and against PostgreSQL.

use std::fs::File;
use std::io::Write;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use entrepot::appliance::Appliance;
use entrepot::clock::Clock;
use entrepot::http::listener::Listener;

use crate::load::{configuration, peak_mib};
use crate::postgres::Postgres;

/// Messages that so many clients enqueue in a second.
fn enqueue_rate(clients: usize, address: std::net::SocketAddr, token: &Arc<str>) -> f64 {
    let (over, sent) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
    let start = Instant::now();
    let threads: Vec<_> = (0..clients.min(2))
        .map(|number| {
            let (over, sent, token) = (over.clone(), sent.clone(), token.clone());
            let share = clients / 2 + usize::from(number < clients % 2);
            std::thread::spawn(move || self::clients(share, address, &token, &over, &sent))
        })
        .collect();
    std::thread::sleep(Duration::from_millis(1500));
    let rate = sent.load(Ordering::Relaxed) as f64 / start.elapsed().as_secs_f64();
    over.store(true, Ordering::Relaxed);
    threads.into_iter().for_each(|thread| thread.join().unwrap());
    rate
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_unstable_by(f64::total_cmp);
    values[values.len() / 2]
}

pub fn enqueues(dir: &Path) {
    let config = configuration(dir);
    let start = Instant::now();
    let appliance = Appliance::start(config.clone(), Clock::system()).unwrap();
    let listener = Listener::start(&appliance).unwrap();
    println!("\ndurable enqueue of 1 KiB; started in {:.0?}", start.elapsed());
    let now = Clock::system().now();
    let audience = "http://bench.test";
    let wish = entrepot::auth::token::Wish {
        application: config.applications[0].id,
        person: None,
        audience,
        version: entrepot::auth::token::Version::V1,
        lifetime: Duration::from_secs(3600),
    };
    let issued = entrepot::auth::token::issue(&appliance.keyring, audience, &wish, now);
    let token: Arc<str> = issued.unwrap().access_token.as_str().into();
    let postgres = Postgres::start(dir);
    // The disk is faster at one time than at another: every contender has its turn in each round, and the ratio is the median of the rounds' ratios.
    const ROUNDS: usize = 5;
    let counts = std::env::var("CLIENTS").unwrap_or_else(|_| "1,8,64".into());
    for clients in counts.split(',').map(|count| count.trim().parse::<usize>().expect("CLIENTS is a list of numbers")) {
        let before = appliance.store.commits();
        let (mut lone, mut ours, mut theirs) = (Vec::new(), Vec::new(), Vec::new());
        for _ in 0..ROUNDS {
            lone.push(lone_rate(dir));
            ours.push(enqueue_rate(clients, listener.address, &token));
            theirs.extend(postgres.as_ref().and_then(|postgres| postgres.rate(dir, clients)));
        }
        let after = appliance.store.commits();
        let batch = (after.steps - before.steps) as f64 / (after.rounds - before.rounds) as f64;
        let ratio = |others: &[f64]| median(ours.iter().zip(others).map(|(ours, other)| ours / other).collect());
        println!(
            "  {clients:>2} clients {:>8.0}/s   lone append and sync {:>6.0}/s   ratio {:.2}   {batch:.1} messages a commit",
            median(ours.clone()),
            median(lone.clone()),
            ratio(&lone)
        );
        if !theirs.is_empty() {
            println!("              PostgreSQL {:>6.0}/s   ratio {:.2}", median(theirs.clone()), ratio(&theirs));
        }
    }
    println!("  peak {} MiB", peak_mib());
    listener.stop(Duration::ZERO);
    appliance.stop();
}

/// One thread that appends 1 KiB and syncs: what the disk gives to a lone writer.
fn lone_rate(dir: &Path) -> f64 {
    let mut file = File::create(dir.join("append")).unwrap();
    let block = [7u8; 1024];
    let (start, mut count) = (Instant::now(), 0u32);
    while start.elapsed() < Duration::from_secs(1) {
        file.write_all(&block).unwrap();
        file.sync_data().unwrap();
        count += 1;
    }
    f64::from(count) / start.elapsed().as_secs_f64()
}

/// So many clients that each keep their connection and have one request under way, served by one thread as pgbench does it, so that the clients are not
/// what is measured.
fn clients(count: usize, address: std::net::SocketAddr, token: &str, over: &AtomicBool, sent: &AtomicU64) {
    use std::io::{ErrorKind, Read};
    let head = format!(
        "POST /api/connector/enqueue/6D31E09F-0249-459F-94F0-AAD9C2C47B64?entity=Lines HTTP/1.1\r\nHost: bench.test\r\nAuthorization: Bearer {token}\r\nContent-Length: 1024\r\n\r\n"
    );
    let mut request = head.into_bytes();
    request.extend([b'x'; 1024]);
    let poller = polling::Poller::new().unwrap();
    let connect = |number: usize| {
        let mut stream = std::net::TcpStream::connect(address).unwrap();
        stream.set_nodelay(true).unwrap();
        // Fits the socket's buffer.
        stream.write_all(&request).unwrap();
        stream.set_nonblocking(true).unwrap();
        // SAFETY: the stream is taken from the poller below before it is dropped.
        unsafe { poller.add_with_mode(&stream, polling::Event::readable(number), polling::PollMode::Level).unwrap() };
        stream
    };
    let mut all: Vec<_> = (0..count).map(|number| (connect(number), Vec::with_capacity(1024))).collect();
    let mut events = polling::Events::new();
    let mut piece = [0u8; 4096];
    while !over.load(Ordering::Relaxed) {
        events.clear();
        poller.wait(&mut events, Some(Duration::from_millis(100))).unwrap();
        for event in events.iter() {
            let (stream, answer) = &mut all[event.key];
            match stream.read(&mut piece) {
                Ok(0) => panic!("the connection was closed"),
                Ok(count) => answer.extend_from_slice(&piece[..count]),
                Err(error) if error.kind() == ErrorKind::WouldBlock => continue,
                Err(error) => panic!("{error}"),
            }
            // The answer ends with the quoted id.
            if answer.len() < 40 || answer.last() != Some(&b'"') {
                continue;
            }
            assert!(answer.starts_with(b"HTTP/1.1 200"), "{}", String::from_utf8_lossy(answer));
            sent.fetch_add(1, Ordering::Relaxed);
            // As any client does, after requests_per_connection.
            if memchr::memmem::find(answer, b"Connection: close").is_some() {
                poller.delete(&*stream).unwrap();
                *stream = connect(event.key);
            } else {
                stream.write_all(&request).unwrap();
            }
            answer.clear();
        }
    }
    all.iter().for_each(|(stream, _)| poller.delete(stream).unwrap());
}
