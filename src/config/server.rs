//! `[server]` and `[queue]`.

use std::net::SocketAddr;
use std::path::Path;
use std::str::FromStr;
use std::time::Duration;

use super::section::Section;
use super::{Queue, Server, limits};

pub(super) fn default_server(base: &Path) -> Server {
    let listen = SocketAddr::from(([127, 0, 0, 1], 8420));
    Server {
        listen,
        public_url: format!("http://{listen}"),
        data_dir: base.join("data"),
        workers: default_workers(),
        stop_grace: Duration::from_secs(30),
        https: None,
        limits: limits::defaults(),
    }
}

fn default_workers() -> usize {
    std::thread::available_parallelism().map_or(2, usize::from).max(2)
}

pub(super) fn read_server(section: Section<'_>, base: &Path) -> Server {
    let mut server = default_server(base);
    if let Some(text) = section.text("listen") {
        match SocketAddr::from_str(&text) {
            Ok(listen) => server.listen = listen,
            Err(_) => section.problem(
                "listen",
                format!("\"{text}\" is no address and port"),
                "write \"127.0.0.1:8420\", or \"0.0.0.0:8420\" for all of this machine's addresses",
            ),
        }
    }
    server.public_url = format!("http://{}", server.listen);
    if let Some(text) = section.text("public_url") {
        let host = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://")).unwrap_or_default().trim_end_matches('/');
        let plain = |c: char| c.is_ascii_alphanumeric() || "-._~:[]/".contains(c);
        if host.is_empty() || !host.chars().all(plain) {
            section.problem(
                "public_url",
                format!("\"{text}\" is no base URL"),
                "write http:// or https:// and the name under which clients reach this appliance",
            );
        } else {
            server.public_url = text.trim_end_matches('/').to_owned();
        }
    }
    if let Some(text) = section.text("data_dir") {
        server.data_dir = base.join(text);
    }
    if let Some(workers) = section.integer("workers", 1..=64) {
        server.workers = usize::try_from(workers).unwrap_or(2);
    }
    server.stop_grace = section.duration("stop_grace", server.stop_grace, Duration::ZERO..=Duration::from_secs(3600));
    if !server.listen.ip().is_loopback() {
        section.warning(
            "listen",
            "this address can be reached from outside, without encryption",
            "add [server.https], put a reverse proxy with HTTPS in front, or listen on 127.0.0.1",
        );
    }
    server.limits.trusted_proxies = limits::read_proxies(&section);
    server.https = section.section("https").and_then(|section| limits::read_https(section, base));
    section.finish();
    server
}

pub(super) fn read_queue(section: Option<Section<'_>>) -> Queue {
    const DAY: Duration = Duration::from_secs(86_400);
    let mut queue = Queue {
        lease: Duration::from_secs(1800),
        retention: 7 * DAY,
        history: 90 * DAY,
        max_body: 2 << 30,
        findings_max: 10_000,
        free_min: 256 << 20,
    };
    if let Some(section) = section {
        queue.lease = section.duration("lease", queue.lease, Duration::from_secs(1)..=7 * DAY);
        queue.retention = section.duration("retention", queue.retention, Duration::from_secs(60)..=3650 * DAY);
        queue.history = section.duration("history", queue.history, DAY..=3650 * DAY);
        if queue.history < queue.retention {
            section.problem("history", "messages would be forgotten before their payloads", "make it at least as long as retention");
        }
        queue.max_body = section.size("max_body", queue.max_body, 1024..=1 << 40);
        queue.free_min = section.size("free_min", queue.free_min, 0..=1 << 40);
        if let Some(most) = section.integer("findings_max", 1..=10_000_000) {
            queue.findings_max = most.unsigned_abs();
        }
        section.finish();
    }
    queue
}
