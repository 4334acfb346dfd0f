//! Start to ready, and what the idle process takes.

use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

const ACTIVITY: &str = "6D31E09F-0249-459F-94F0-AAD9C2C47B64";

/// A process whose output stays open: what it prints later must find a reader.
struct Served(std::process::Child, #[expect(dead_code, reason = "held")] std::io::BufReader<std::process::ChildStdout>);

/// Starts the binary on a data directory; the time until it is ready, and the process.
fn start_binary(dir: &Path) -> (Duration, Served) {
    use std::io::{BufRead, BufReader, Read};
    let begun = Instant::now();
    let mut process = Command::new(env!("CARGO_BIN_EXE_entrepot"))
        .args(["serve", "--config"])
        .arg(dir.join("entrepot.toml"))
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut line = String::new();
    let mut out = BufReader::new(process.stdout.take().unwrap());
    out.read_line(&mut line).unwrap();
    let address: std::net::SocketAddr = line.trim().rsplit_once("http://").unwrap().1.parse().unwrap();
    let mut stream = std::net::TcpStream::connect(address).unwrap();
    stream.write_all(b"GET /readyz HTTP/1.1\r\nHost: bench\r\nConnection: close\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    (begun.elapsed(), Served(process, out))
}

/// Start to ready with an empty and with a deep queue, and what the idle process takes.
pub fn starts(dir: &Path) {
    const DEPTH: u64 = 1_000_000;
    const IDLE: Duration = Duration::from_secs(10);
    std::fs::create_dir_all(dir).unwrap();
    let text = format!(
        "[server]\nlisten = \"127.0.0.1:0\"\ndata_dir = \"data\"\n[[entity]]\nname = \"Lines\"\ntable = \"lines\"\nkey = [\"A\"]\nfields = [{{ name = \"A\", type = \"string\" }}]\n[[project]]\nname = \"in\"\ndirection = \"import\"\n[[project.entity]]\nentity = \"Lines\"\n[[job]]\nname = \"in\"\nactivity_id = \"{ACTIVITY}\"\nproject = \"in\"\nrecurrence = \"on demand\"\n"
    );
    std::fs::write(dir.join("entrepot.toml"), text).unwrap();
    println!("\nstart of the binary to a 200 of /readyz");
    let end = |mut served: Served| {
        // SIGTERM, as systemd does.
        Command::new("kill").arg(served.0.id().to_string()).status().unwrap();
        assert!(served.0.wait().unwrap().success(), "it ends by itself");
    };
    let (_, process) = start_binary(dir);
    end(process);
    let mut times: Vec<Duration> = (0..5).map(|_| start_binary(dir)).map(|(time, process)| (time, end(process)).0).collect();
    times.sort();
    println!("  empty queue               {:>8.1?} (target under 100 ms)", times[2]);
    let queue = rusqlite::Connection::open(dir.join("data/queue.db")).unwrap();
    let transaction = queue.unchecked_transaction().unwrap();
    let mut insert = transaction
        .prepare("INSERT INTO message (id, activity_id, direction, state, entity, size, sha256, checksum, received_at) VALUES (?1, ?2, 'import', 'queued', 'Lines', 1, '', 0, ?3)")
        .unwrap();
    for number in 0..DEPTH {
        let at = 1_700_000_000_000 + number;
        insert.execute((format!("{:08x}-{:04x}-7000-8000-{number:012x}", at >> 16, at & 0xFFFF), ACTIVITY.to_lowercase(), at)).unwrap();
    }
    drop(insert);
    transaction.commit().unwrap();
    drop(queue);
    let mut times: Vec<Duration> = (0..5).map(|_| start_binary(dir)).map(|(time, process)| (time, end(process)).0).collect();
    times.sort();
    println!("  {DEPTH} messages in it   {:>8.1?}", times[2]);
    let (_, process) = start_binary(dir);
    let ticks = |served: &Served| -> u64 {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", served.0.id())).unwrap_or_default();
        stat.rsplit(')').next().unwrap_or_default().split_whitespace().skip(11).take(2).filter_map(|ticks| ticks.parse::<u64>().ok()).sum()
    };
    std::thread::sleep(Duration::from_secs(2));
    let before = ticks(&process);
    std::thread::sleep(IDLE);
    let status = std::fs::read_to_string(format!("/proc/{}/status", process.0.id())).unwrap_or_default();
    let line = |name: &str| {
        status.lines().find(|line| line.starts_with(name)).unwrap_or_default().split_whitespace().nth(1).unwrap_or("0").to_owned()
    };
    println!(
        "  idle beside it: {} MiB resident (target under 20), {} threads, {} ticks of CPU in {IDLE:?} (target under 0.1 %: 1 tick)",
        line("VmRSS:").parse::<u64>().unwrap_or(0) / 1024,
        line("Threads:"),
        ticks(&process) - before
    );
    end(process);
}
