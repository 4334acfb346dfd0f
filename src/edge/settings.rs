//! Every limit of the edge, with its default and the reason for it. The edge reads no configuration file; it is handed this.
//!
//! A limit that is zero where zero makes no sense is raised to one by [`Settings::checked`], so no setting can stop the edge.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use super::address::Network;

/// The limits of the edge. All sizes in bytes.
#[derive(Clone, Debug, PartialEq)]
pub struct Settings {
    /// Threads that relay; each is an event loop and serves thousands of connections. Default 2: a costly handshake or gate decision
    /// in one does not hold up the clients of the other.
    pub loops: usize,
    /// Open client connections. Lowered at start when the process may not open that many descriptors. Default 4,096.
    pub connections: usize,
    /// Open connections of one address (IPv6: of one /64). Trusted proxies are exempt. Default 256.
    pub connections_per_address: usize,
    /// Descriptors kept for everything else in the process: database, spool, hop, logs. Default 512.
    pub descriptors_reserved: usize,
    /// Small exchanges at once: a request that is fully here and an answer that fits `reply_buffer`. Each may occupy one handler
    /// thread, and each pooled hop connection one thread of tiny_http. Default 32.
    pub small_exchanges: usize,
    /// Bulk exchanges at once: large uploads and large downloads. Each may occupy one handler thread, so the server behind needs
    /// `small_exchanges + bulk_exchanges` handlers for bulk never to starve small. Default 24.
    pub bulk_exchanges: usize,
    /// Bulk exchanges at once of one address. Default 8.
    pub bulk_per_address: usize,
    /// Small requests that wait for their turn; more are answered 503. Default 1,024.
    pub small_queue: usize,
    /// Of them from one address (IPv6: of one /64). Trusted proxies are exempt. Addresses take turns, however many of each wait. Default 128.
    pub small_queue_per_address: usize,
    /// Bulk requests that wait for their turn, their body unread; more are answered 503. Default 256.
    pub bulk_queue: usize,
    /// Bulk requests that wait of one address. Default 64.
    pub bulk_queue_per_address: usize,
    /// How long a request waits for its turn before 503. Default 30 s.
    pub queue_wait: Duration,
    /// Size of a request head. Default 32 KiB.
    pub head_bytes: usize,
    /// Size of the request target. Default 8 KiB.
    pub target_bytes: usize,
    /// Header lines of a request; at most [`HEADERS_CEILING`]. Default 100.
    pub headers: usize,
    /// From the connection, or the first byte of a later request, to the end of the head; TLS handshake included. Default 10 s.
    pub head_wait: Duration,
    /// Between two requests of one connection. Default 30 s.
    pub idle_wait: Duration,
    /// Requests of one connection, then it is closed. Default 1,000.
    pub requests_per_connection: u32,
    /// A body up to this size is gathered here before the server behind sees the request. Default 64 KiB.
    pub small_body: usize,
    /// From the head to the end of a small body. Default 20 s.
    pub small_body_wait: Duration,
    /// A large body that stands still this long is given up. Default 20 s.
    pub body_stall: Duration,
    /// Bytes a second that a large body must bring, judged every `rate_window`. Default 1 KiB/s.
    pub rate_min: u64,
    /// Over how much waiting the rate is judged. Default 10 s.
    pub rate_window: Duration,
    /// A client that takes nothing of its answer for this long is closed. The kernel reports progress in steps of about 64 KiB
    /// (`TCP_NOTSENT_LOWAT`), so the default of 60 s asks for about 1 KiB/s.
    pub download_stall: Duration,
    /// From the request to the first byte of its answer; then 504. Default 300 s.
    pub answer_wait: Duration,
    /// Part of an answer kept here for a slow reader; a longer answer is bulk. Default 256 KiB.
    pub reply_buffer: usize,
    /// Bytes that all connections together may keep here; beyond, small bodies are refused (503) and answers are relayed piece by
    /// piece. Default 64 MiB.
    pub buffered: usize,
    /// After a final answer to a client that still sends: how much more is read and thrown away, so that it sees the answer.
    /// Default 256 KiB.
    pub linger_bytes: usize,
    /// And how long. Default 2 s.
    pub linger_wait: Duration,
    /// Requests of one application in a minute, for the gate; 0 for no limit. Default 0.
    pub requests_per_minute: u32,
    /// Proxies whose `X-Forwarded-For` and `X-Forwarded-Proto` are believed. Default none.
    pub trusted_proxies: Vec<Network>,
}

/// No setting raises the number of header lines above this.
pub const HEADERS_CEILING: usize = 256;

impl Default for Settings {
    fn default() -> Self {
        Settings {
            loops: 2,
            connections: 4096,
            connections_per_address: 256,
            descriptors_reserved: 512,
            small_exchanges: 32,
            bulk_exchanges: 24,
            bulk_per_address: 8,
            small_queue: 1024,
            small_queue_per_address: 128,
            bulk_queue: 256,
            bulk_queue_per_address: 64,
            queue_wait: Duration::from_secs(30),
            head_bytes: 32 << 10,
            target_bytes: 8 << 10,
            headers: 100,
            head_wait: Duration::from_secs(10),
            idle_wait: Duration::from_secs(30),
            requests_per_connection: 1000,
            small_body: 64 << 10,
            small_body_wait: Duration::from_secs(20),
            body_stall: Duration::from_secs(20),
            rate_min: 1 << 10,
            rate_window: Duration::from_secs(10),
            download_stall: Duration::from_secs(60),
            answer_wait: Duration::from_secs(300),
            reply_buffer: 256 << 10,
            buffered: 64 << 20,
            linger_bytes: 256 << 10,
            linger_wait: Duration::from_secs(2),
            requests_per_minute: 0,
            trusted_proxies: Vec::new(),
        }
    }
}

impl Settings {
    /// Handler threads that the server behind needs, so that no mixture of requests can starve another.
    pub fn handlers(&self) -> usize {
        let checked = self.clone().checked();
        checked.small_exchanges + checked.bulk_exchanges
    }

    /// The same, with what cannot work raised to what can.
    pub(super) fn checked(mut self) -> Self {
        self.loops = self.loops.clamp(1, 16);
        for (limit, least) in [
            (&mut self.connections, 1),
            (&mut self.connections_per_address, 1),
            // Each loop has its share of the slots, so each needs at least one.
            (&mut self.small_exchanges, self.loops),
            (&mut self.bulk_exchanges, self.loops),
            (&mut self.bulk_per_address, 1),
            (&mut self.small_queue_per_address, 1),
            (&mut self.bulk_queue_per_address, 1),
            (&mut self.head_bytes, 256),
            (&mut self.target_bytes, 64),
            (&mut self.headers, 1),
            (&mut self.reply_buffer, 4096),
            (&mut self.buffered, 1 << 20),
        ] {
            *limit = (*limit).max(least);
        }
        self.headers = self.headers.min(HEADERS_CEILING);
        self.requests_per_connection = self.requests_per_connection.max(1);
        self
    }
}

/// The HTTPS listener.
#[derive(Clone, Debug, PartialEq)]
pub struct TlsSettings {
    /// Where to listen.
    pub listen: Vec<SocketAddr>,
    /// The certificate and its chain, PEM, leaf first.
    pub certificate: PathBuf,
    /// Its private key, PEM (PKCS#8, PKCS#1 or SEC1).
    pub key: PathBuf,
    /// How often the two files are looked at for a change. Default in DESIGN: 60 s.
    pub check_every: Duration,
}
