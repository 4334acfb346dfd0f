//! `[limits]` and `[server.https]`: what the edge bounds, and where it serves HTTPS. Names and defaults are those of [`Settings`].

use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use super::section::Section;
use crate::edge::{HEADERS_CEILING, Network, Settings, TlsSettings};

const KIB: u64 = 1024;
const MIB: u64 = 1024 * KIB;

/// The edge's limits for an appliance: fewer exchanges at once than the edge alone would allow, since each may cost a thread behind.
pub fn defaults() -> Settings {
    Settings { small_exchanges: 48, bulk_exchanges: 12, ..Settings::default() }
}

/// `[limits]`.
pub fn read(section: Option<Section<'_>>) -> Settings {
    let mut limits = defaults();
    let Some(section) = section else { return limits };
    let whole = |limit: &mut usize, name: &'static str, most: i64| {
        if let Some(value) = section.integer(name, 1..=most) {
            *limit = usize::try_from(value).unwrap_or(*limit);
        }
    };
    whole(&mut limits.connections, "connections", 1_000_000);
    whole(&mut limits.connections_per_address, "connections_per_address", 1_000_000);
    whole(&mut limits.small_exchanges, "small_exchanges", 512);
    whole(&mut limits.bulk_exchanges, "bulk_exchanges", 512);
    whole(&mut limits.bulk_per_address, "bulk_per_address", 512);
    whole(&mut limits.small_queue, "small_queue", 1_000_000);
    whole(&mut limits.small_queue_per_address, "small_queue_per_address", 1_000_000);
    whole(&mut limits.bulk_queue, "bulk_queue", 1_000_000);
    whole(&mut limits.bulk_queue_per_address, "bulk_queue_per_address", 1_000_000);
    whole(&mut limits.headers, "headers", HEADERS_CEILING as i64);
    if let Some(value) = section.integer("requests_per_connection", 1..=1_000_000_000) {
        limits.requests_per_connection = u32::try_from(value).unwrap_or(u32::MAX);
    }
    if let Some(value) = section.integer("requests_per_minute", 0..=10_000_000) {
        limits.requests_per_minute = u32::try_from(value).unwrap_or(0);
    }
    let size = |limit: &mut usize, name: &'static str, bounds: std::ops::RangeInclusive<u64>| {
        *limit = usize::try_from(section.size(name, *limit as u64, bounds)).unwrap_or(*limit);
    };
    size(&mut limits.head_bytes, "head_bytes", KIB..=256 * KIB);
    size(&mut limits.target_bytes, "target_bytes", KIB..=16 * KIB);
    size(&mut limits.buffered, "buffered", MIB..=4096 * MIB);
    limits.rate_min = section.size("rate_min", limits.rate_min, 0..=1024 * MIB);
    let wait = |limit: &mut Duration, name: &'static str| {
        *limit = section.duration(name, *limit, Duration::from_millis(100)..=Duration::from_secs(24 * 3600));
    };
    wait(&mut limits.queue_wait, "queue_wait");
    wait(&mut limits.head_wait, "head_wait");
    wait(&mut limits.idle_wait, "idle_wait");
    wait(&mut limits.small_body_wait, "small_body_wait");
    wait(&mut limits.body_stall, "body_stall");
    wait(&mut limits.rate_window, "rate_window");
    wait(&mut limits.download_stall, "download_stall");
    wait(&mut limits.answer_wait, "answer_wait");
    section.finish();
    limits
}

/// `trusted_proxies` of `[server]`.
pub fn read_proxies(section: &Section<'_>) -> Vec<Network> {
    let proxies = section.texts("trusted_proxies").unwrap_or_default();
    let read = |text: &String| text.parse().map_err(|error: String| section.problem("trusted_proxies", error, "as in \"10.0.0.0/8\"")).ok();
    proxies.iter().filter_map(read).collect()
}

/// `[server.https]`.
pub fn read_https(section: Section<'_>, base: &Path) -> Option<TlsSettings> {
    let listen = section.text("listen").unwrap_or_else(|| "127.0.0.1:8443".to_owned());
    let listen: Option<SocketAddr> = listen.parse().ok();
    if listen.is_none() {
        section.problem("listen", "this is no address and port", "write \"0.0.0.0:443\", or \"127.0.0.1:8443\" for this machine alone");
    }
    let file = |name: &'static str| {
        let path = base.join(section.name(name)?);
        if let Err(error) = std::fs::metadata(&path) {
            section.problem(
                name,
                format!("{} cannot be read: {error}", path.display()),
                "entrepot init --https makes both files for local use",
            );
        }
        Some(path)
    };
    let (certificate, key) = (file("certificate"), file("key"));
    section.finish();
    Some(TlsSettings { listen: vec![listen?], certificate: certificate?, key: key?, check_every: Duration::from_secs(60) })
}
