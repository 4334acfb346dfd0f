//! One client connection and one hop connection: their sockets, buffers and states. What happens between them is in `exchange`.
//!
//! Nothing here waits. A send takes what the kernel does not; whoever calls looks at how much is pending and stops feeding.

use std::io::{self, ErrorKind, Read, Write};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use rustls::{ServerConfig, ServerConnection};

use super::address::AddressKey;
use super::chunk::BodyDecoder;
use super::gate::Request;
use super::shared::{BulkPass, Seat, Shared, WaitPass, add};
use super::slab::Key;
use super::watch::Watched;

/// Bytes read from a socket at once, at most: of a body that is relayed, and of an answer.
pub(super) const READ_BYTES: usize = 256 << 10;
/// Bytes read at once of everything that is kept here.
pub(super) const READ_KEPT_BYTES: usize = 64 << 10;
/// A buffer that is empty gives memory above this back.
const BUFFER_KEPT: usize = 4 << 10;
/// Bytes of ciphertext that rustls may keep for a client.
const TLS_BUFFER: usize = 64 << 10;
/// Times that one event may let rustls write before others have their turn.
const TLS_ROUNDS_MAX: usize = 64;

/// Bytes that wait to be written.
#[derive(Default)]
pub(super) struct Buffer {
    bytes: Vec<u8>,
    start: usize,
}

impl Buffer {
    pub(super) fn len(&self) -> usize {
        self.bytes.len() - self.start
    }

    pub(super) fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn rest(&self) -> &[u8] {
        &self.bytes[self.start..]
    }

    fn push(&mut self, bytes: &[u8]) {
        if self.start > 0 && self.start >= self.len() {
            self.bytes.drain(..self.start);
            self.start = 0;
        }
        self.bytes.extend_from_slice(bytes);
    }

    fn consume(&mut self, count: usize) {
        self.start += count;
        if self.is_empty() {
            self.clear();
        }
    }

    fn clear(&mut self) {
        self.start = 0;
        self.bytes.clear();
        if self.bytes.capacity() > BUFFER_KEPT {
            self.bytes = Vec::new();
        }
    }

    fn capacity(&self) -> usize {
        self.bytes.capacity()
    }
}

/// Judges whether a client moves fast enough. Only time in which we wait for the client counts.
#[derive(Default)]
pub(super) struct Pace {
    stalled: Duration,
    window: Duration,
    moved: u64,
}

impl Pace {
    /// Some more time has passed, in which so many bytes moved. `true`: too slow.
    pub(super) fn tick(&mut self, elapsed: Duration, moved: u64, stall: Duration, rate: Option<(u64, Duration)>) -> bool {
        self.stalled = if moved > 0 { Duration::ZERO } else { self.stalled + elapsed };
        self.window += elapsed;
        self.moved += moved;
        if self.stalled >= stall {
            return true;
        }
        match rate {
            Some((bytes_per_second, window)) if self.window >= window => {
                let least = self.window.as_millis().saturating_mul(u128::from(bytes_per_second)) / 1000;
                let slow = u128::from(self.moved) < least;
                (self.window, self.moved) = (Duration::ZERO, 0);
                slow
            }
            _ => false,
        }
    }
}

/// A request that was admitted and not yet given to the server behind.
pub(super) struct Pending {
    /// Whom it is for.
    pub way: Way,
    /// Body so far.
    pub body: Vec<u8>,
    /// Reads what is to come; `None`: there is no body.
    pub decoder: Option<BodyDecoder>,
    /// The whole body is here.
    pub complete: bool,
    /// There is a body, be it empty.
    pub has_body: bool,
    /// `Content-Length`.
    pub declared: Option<u64>,
    pub max_body: u64,
    pub expects_continue: bool,
    pub facts: Facts,
    /// While it waits for a bulk slot.
    pub wait: Option<WaitPass>,
}

impl Pending {
    /// Bytes that it occupies here.
    pub(super) fn bytes(&self) -> usize {
        self.body.capacity() + self.way.bytes()
    }
}

/// Where a request goes.
pub(super) enum Way {
    /// To the server behind, with this head, without its framing.
    Hop(Vec<u8>),
    /// To the gate, which takes it.
    Gate(Box<Request>),
}

impl Way {
    fn bytes(&self) -> usize {
        match self {
            Way::Hop(head) => head.capacity(),
            Way::Gate(request) => {
                request.target.len() + request.headers.iter().map(|(name, value)| name.len() + value.len()).sum::<usize>()
            }
        }
    }
}

/// What the answer must know of its request.
#[derive(Clone, Copy)]
pub(super) struct Facts {
    pub keep_alive: bool,
    pub http10: bool,
    pub to_head: bool,
}

/// A body on its way to the hop.
pub(super) struct Upload {
    pub decoder: BodyDecoder,
    pub received: u64,
    pub max_body: u64,
    /// The hop takes no more for now.
    pub paused: bool,
}

/// Where a client connection is.
pub(super) enum Stage {
    /// Between two requests, or in a head or a handshake.
    Head,
    /// In a body that is gathered here.
    Collect(Box<Pending>),
    /// Waits for a slot.
    Queued(Box<Pending>),
    /// With the server behind.
    Exchange { hop: Key, upload: Option<Upload>, facts: Facts },
    /// Taken by the gate, with so many bytes.
    Taken(Facts, usize),
    /// The answer is complete, and partly in our buffer.
    Flush,
    /// Answered and closed from our side; so many more bytes are read and thrown away.
    Linger(usize),
}

/// What a read brought.
pub(super) enum Incoming<'a> {
    Data(&'a [u8]),
    Nothing,
    End,
}

/// A client.
pub(super) struct Connection {
    pub watched: Watched,
    tls: Option<Box<ServerConnection>>,
    pub peer: SocketAddr,
    pub address: AddressKey,
    pub trusted: bool,
    _seat: Seat,
    shared: Arc<Shared>,
    /// Bytes of the client that were not yet understood.
    pub incoming: Vec<u8>,
    /// How far the head was looked at.
    pub scanned: usize,
    /// One empty line before a request is forgiven (RFC 9112 §2.2).
    pub blank_skipped: bool,
    outgoing: Buffer,
    pub stage: Stage,
    /// Since when it is in this stage.
    pub since: Duration,
    pub deadline: Option<Duration>,
    pub requests: u32,
    /// Close it after the answer.
    pub close: bool,
    /// The client may still be sending a body that nobody reads: linger.
    pub unread: bool,
    pub pace: Pace,
    /// Bytes of body since the last tick.
    pub moved_in: u64,
    /// Bytes taken by the kernel since the last tick.
    moved_out: u64,
    accounted: usize,
    greeted: bool,
}

impl Connection {
    pub(super) fn new(
        watched: Watched,
        peer: SocketAddr,
        address: AddressKey,
        trusted: bool,
        tls: Option<Arc<ServerConfig>>,
        seat: Seat,
        shared: Arc<Shared>,
    ) -> Result<Self, rustls::Error> {
        let tls = match tls {
            None => None,
            Some(config) => {
                let mut connection = ServerConnection::new(config)?;
                connection.set_buffer_limit(Some(TLS_BUFFER));
                Some(Box::new(connection))
            }
        };
        let now = shared.clock.elapsed();
        let deadline = Some(now + shared.settings.head_wait);
        Ok(Connection {
            watched,
            tls,
            peer,
            address,
            trusted,
            _seat: seat,
            shared,
            incoming: Vec::new(),
            scanned: 0,
            blank_skipped: false,
            outgoing: Buffer::default(),
            stage: Stage::Head,
            since: now,
            deadline,
            requests: 0,
            close: false,
            unread: false,
            pace: Pace::default(),
            moved_in: 0,
            moved_out: 0,
            accounted: 0,
            greeted: false,
        })
    }

    pub(super) fn is_tls(&self) -> bool {
        self.tls.is_some()
    }

    /// Reads once. `scratch` has [`READ_BYTES`]; `plain` takes what TLS decrypts.
    pub(super) fn receive<'a>(&mut self, scratch: &'a mut [u8], plain: &'a mut Vec<u8>) -> io::Result<Incoming<'a>> {
        let count = match self.watched.socket().read(scratch) {
            Ok(0) => return Ok(Incoming::End),
            Ok(count) => count,
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) => return Ok(Incoming::Nothing),
            Err(error) => return Err(error),
        };
        add(&self.shared.tally.bytes_received, count as u64);
        let Some(tls) = &mut self.tls else { return Ok(Incoming::Data(&scratch[..count])) };
        plain.clear();
        let mut cipher = &scratch[..count];
        let mut closed = false;
        while !cipher.is_empty() && !closed {
            tls.read_tls(&mut cipher)?;
            let state = match tls.process_new_packets() {
                Ok(state) => state,
                Err(error) => {
                    add(&self.shared.tally.tls_errors, 1);
                    // The alert says why; nothing else is owed.
                    let _ = tls.write_tls(&mut self.watched.socket());
                    return Err(io::Error::new(ErrorKind::InvalidData, error));
                }
            };
            closed = state.peer_has_closed();
            let wanted = state.plaintext_bytes_to_read();
            let start = plain.len();
            plain.resize(start + wanted, 0);
            tls.reader().read_exact(&mut plain[start..])?;
        }
        if !self.greeted && !tls.is_handshaking() {
            self.greeted = true;
            add(&self.shared.tally.tls_handshakes, 1);
        }
        self.flush()?;
        Ok(match plain.is_empty() {
            false => Incoming::Data(plain),
            true if closed => Incoming::End,
            true => Incoming::Nothing,
        })
    }

    /// Sends bytes; what the kernel does not take now is kept.
    pub(super) fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        if self.tls.is_some() || !self.outgoing.is_empty() {
            self.outgoing.push(bytes);
            return self.flush();
        }
        let count = write_some(&mut self.watched.socket(), bytes)?;
        self.wrote(count);
        if count < bytes.len() {
            self.outgoing.push(&bytes[count..]);
        }
        Ok(())
    }

    /// Writes what is kept, as far as the kernel takes it.
    pub(super) fn flush(&mut self) -> io::Result<()> {
        if let Some(tls) = &mut self.tls {
            let mut total = 0;
            for _ in 0..TLS_ROUNDS_MAX {
                if tls.wants_write() {
                    match tls.write_tls(&mut self.watched.socket()) {
                        Ok(count) => total += count,
                        Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) => break,
                        Err(error) => return Err(error),
                    }
                } else if self.outgoing.is_empty() || tls.is_handshaking() {
                    break;
                } else {
                    let count = tls.writer().write(self.outgoing.rest())?;
                    self.outgoing.consume(count);
                }
            }
            self.wrote(total);
            return Ok(());
        }
        while !self.outgoing.is_empty() {
            let count = write_some(&mut self.watched.socket(), self.outgoing.rest())?;
            if count == 0 {
                break;
            }
            self.outgoing.consume(count);
            self.wrote(count);
        }
        Ok(())
    }

    fn wrote(&mut self, count: usize) {
        self.moved_out += count as u64;
        add(&self.shared.tally.bytes_sent, count as u64);
    }

    /// Bytes that the client has still to take, those inside TLS not counted.
    pub(super) fn pending(&self) -> usize {
        self.outgoing.len()
    }

    /// Has the kernel still to take anything?
    pub(super) fn is_pending(&self) -> bool {
        !self.outgoing.is_empty() || self.tls.as_ref().is_some_and(|tls| tls.wants_write())
    }

    /// Some time has passed; `true`: the client is too slow.
    pub(super) fn tick(&mut self, elapsed: Duration) -> bool {
        let (moved_in, moved_out) = (std::mem::take(&mut self.moved_in), std::mem::take(&mut self.moved_out));
        let settings = &self.shared.settings;
        if self.is_pending() {
            return self.pace.tick(elapsed, moved_out, settings.download_stall, None);
        }
        match &self.stage {
            Stage::Exchange { upload: Some(upload), .. } if !upload.paused => {
                self.pace.tick(elapsed, moved_in, settings.body_stall, Some((settings.rate_min, settings.rate_window)))
            }
            _ => {
                self.pace = Pace::default();
                false
            }
        }
    }

    /// Says good-bye: the client sees a clean end, also over TLS.
    pub(super) fn finish_writing(&mut self) {
        if let Some(tls) = &mut self.tls {
            tls.send_close_notify();
            let _ = tls.write_tls(&mut self.watched.socket());
        }
        self.watched.finish_writing();
    }

    /// Goes to another stage.
    pub(super) fn enter(&mut self, stage: Stage, deadline: Option<Duration>) {
        self.stage = stage;
        self.since = self.shared.clock.elapsed();
        self.deadline = deadline;
        self.pace = Pace::default();
    }

    /// Brings the count of kept bytes up to date.
    pub(super) fn account(&mut self) {
        let body = match &self.stage {
            Stage::Collect(pending) | Stage::Queued(pending) => pending.bytes(),
            Stage::Taken(_, bytes) => *bytes,
            _ => 0,
        };
        let now = self.incoming.capacity() + self.outgoing.capacity() + body;
        if now != self.accounted {
            let count = &self.shared.tally.bytes_buffered;
            add(count, now as u64);
            super::shared::subtract(count, self.accounted as u64);
            self.accounted = now;
        }
    }

    /// Watches for what this state needs.
    pub(super) fn update_watch(&mut self) -> io::Result<()> {
        let reading = match &self.stage {
            Stage::Head | Stage::Collect(_) | Stage::Linger(_) => true,
            Stage::Exchange { upload: Some(upload), .. } => !upload.paused,
            // Not wanted, but not turned off until something comes: most clients send nothing while they wait.
            _ => self.watched.watches_reading(),
        };
        let writing = self.is_pending();
        self.watched.watch(reading, writing)
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        super::shared::subtract(&self.shared.tally.bytes_buffered, self.accounted as u64);
    }
}

/// Which slot a hop connection occupies.
pub(super) enum Slot {
    /// In the pool.
    None,
    Small,
    /// Held until the handler behind is free; given back by dropping it.
    Bulk {
        _pass: BulkPass,
    },
}

/// What is expected of a hop connection.
pub(super) enum AnswerState {
    /// Nothing: it is in the pool.
    Idle,
    /// The head of an answer.
    Head,
    /// The body of an answer; `chunked` ones are chunked again for the client. `sent` bytes went through so far.
    Body { decoder: BodyDecoder, chunked: bool, sent: u64 },
}

/// A connection to the server behind.
pub(super) struct HopConnection {
    pub watched: Watched,
    outgoing: Buffer,
    /// The head of the answer so far.
    pub incoming: Vec<u8>,
    pub scanned: usize,
    pub state: AnswerState,
    pub client: Option<Key>,
    /// The request is HEAD: its answer has no body.
    pub to_head: bool,
    pub slot: Slot,
    /// The whole request was handed over to this connection.
    pub request_complete: bool,
    /// It carries one exchange only.
    pub single: bool,
    /// End it when what is kept has been written: between two chunks.
    pub cut: bool,
    /// The server behind reads no more.
    write_broken: bool,
    /// The client takes no more for now.
    pub paused: bool,
    /// A large answer waits for a bulk slot.
    pub waiting: bool,
    pub deadline: Option<Duration>,
    /// No thread of tiny_http is known to serve it yet: when to nudge next, and the pause before.
    pub cold: Option<(Duration, Duration)>,
}

impl HopConnection {
    pub(super) fn new(watched: Watched, single: bool, slot: Slot) -> Self {
        HopConnection {
            watched,
            outgoing: Buffer::default(),
            incoming: Vec::new(),
            scanned: 0,
            state: AnswerState::Idle,
            client: None,
            to_head: false,
            slot,
            request_complete: false,
            single,
            cut: false,
            write_broken: false,
            paused: false,
            waiting: false,
            deadline: None,
            cold: None,
        }
    }

    /// Says that no more of the request comes, which is an error to whoever reads it; the other end closes when its handler is done.
    pub(super) fn end(&mut self) {
        // Closed already is as good.
        let _ = self.watched.socket().shutdown(std::net::Shutdown::Write);
    }

    /// Sends a part of the request. When the server behind reads no more, the rest is thrown away: its answer may still come.
    pub(super) fn send(&mut self, bytes: &[u8]) {
        if self.write_broken {
            return;
        }
        let mut count = 0;
        if self.outgoing.is_empty() {
            match write_some(&mut self.watched.socket(), bytes) {
                Ok(written) => count = written,
                Err(_) => {
                    self.write_broken = true;
                    return;
                }
            }
        }
        if count < bytes.len() {
            self.outgoing.push(&bytes[count..]);
        }
    }

    /// Sends a part of a relayed body as one chunk.
    pub(super) fn send_chunk(&mut self, data: &[u8]) {
        if data.is_empty() || self.write_broken {
            return;
        }
        let head = format!("{:x}\r\n", data.len());
        let parts = [io::IoSlice::new(head.as_bytes()), io::IoSlice::new(data), io::IoSlice::new(b"\r\n")];
        let mut written = 0;
        if self.outgoing.is_empty() {
            match self.watched.socket().write_vectored(&parts) {
                Ok(count) => written = count,
                Err(error) if is_not_now(&error) => {}
                Err(_) => {
                    self.write_broken = true;
                    return;
                }
            }
        }
        for part in parts {
            let skip = written.min(part.len());
            written -= skip;
            if skip < part.len() {
                self.outgoing.push(&part[skip..]);
            }
        }
    }

    /// Writes what is kept; `true` when the server behind took some of it.
    pub(super) fn flush(&mut self) -> bool {
        let before = self.outgoing.len();
        while !self.outgoing.is_empty() && !self.write_broken {
            match write_some(&mut self.watched.socket(), self.outgoing.rest()) {
                Ok(0) => break,
                Ok(count) => self.outgoing.consume(count),
                Err(_) => self.write_broken = true,
            }
        }
        let moved = self.outgoing.len() < before;
        if self.write_broken {
            self.outgoing.clear();
        }
        moved
    }

    /// Bytes that the server behind has still to take.
    pub(super) fn pending(&self) -> usize {
        self.outgoing.len()
    }

    pub(super) fn update_watch(&mut self) -> io::Result<()> {
        let (reading, writing) = (!self.paused && !self.waiting, !self.outgoing.is_empty());
        self.watched.watch(reading, writing)
    }
}

fn is_not_now(error: &io::Error) -> bool {
    // A loopback connection that is still on its way says `NotConnected`.
    matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted | ErrorKind::NotConnected)
}

/// Writes once; 0 when nothing is taken now.
fn write_some(socket: &mut impl Write, bytes: &[u8]) -> io::Result<usize> {
    match socket.write(bytes) {
        Ok(count) => Ok(count),
        Err(error) if is_not_now(&error) => Ok(0),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_client_that_stands_still_or_trickles_is_too_slow_and_one_that_moves_is_not() {
        let (second, stall, rate) = (Duration::from_secs(1), Duration::from_secs(5), Some((1000, Duration::from_secs(10))));
        let slow_after = |moved: &[u64]| {
            let mut pace = Pace::default();
            moved.iter().position(|moved| pace.tick(second, *moved, stall, rate))
        };
        assert_eq!(slow_after(&[0; 20]), Some(4));
        assert_eq!(slow_after(&[1; 20]), Some(9));
        assert_eq!(slow_after(&[1000; 100]), None);
        assert_eq!(slow_after(&[0, 0, 0, 4000, 0, 0, 0, 4000, 0, 2000, 0, 0, 0]), None);
        // A burst does not earn a later trickle.
        assert_eq!(slow_after(&[&[1_000_000][..], &[1; 30]].concat()), Some(19));
    }

    #[test]
    fn a_buffer_gives_out_what_it_was_given_and_gives_memory_back() {
        let mut buffer = Buffer::default();
        let mut out = Vec::new();
        for round in 0..50_u8 {
            buffer.push(&[round; 1000]);
            let count = 700.min(buffer.len());
            out.extend_from_slice(&buffer.rest()[..count]);
            buffer.consume(count);
        }
        out.extend_from_slice(buffer.rest());
        buffer.consume(buffer.len());
        assert_eq!(out, (0..50_u8).flat_map(|round| [round; 1000]).collect::<Vec<_>>());
        assert!(buffer.capacity() <= BUFFER_KEPT);
    }
}
