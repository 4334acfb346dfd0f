//! The loop of one relay thread: waits for events, lets `exchange` act on them, keeps the deadlines and the queues.
//!
//! Invariant: no call in this thread waits, except the poller. An entry is out of its slab only while it is being worked on.

use std::collections::VecDeque;
use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use polling::{Events, Poller};
use rustls::ServerConfig;
use socket2::Socket;

use super::address::AddressKey;
use super::connection::{AnswerState, Connection, HopConnection, READ_BYTES, Slot, Stage};
use super::gate::{Answer, Asker};
use super::shared::{Seat, Shared, add, subtract};
use super::slab::{Key, Slab};
use super::turns::Turns;
use super::watch::Watched;

/// How often deadlines are looked at.
const SWEEP_EVERY: Duration = Duration::from_millis(100);
/// A pooled hop connection, and with it a thread of tiny_http, that was not used this long is closed.
const POOLED_IDLE: Duration = Duration::from_secs(30);
/// First pause before a nudge, and the longest.
pub(super) const NUDGE_FIRST: Duration = Duration::from_millis(5);
const NUDGE_LONGEST: Duration = Duration::from_secs(5);
/// The loop does not wake more often for nudges.
const NUDGE_LEAST: Duration = Duration::from_millis(1);

/// Kinds of entries, as in the keys of their events.
const CLIENT: usize = 0;
const HOP: usize = 1;

/// What other threads tell a relay.
pub(super) enum Message {
    /// A new connection.
    Connected { socket: Socket, peer: SocketAddr, address: AddressKey, trusted: bool, tls: Option<Arc<ServerConfig>>, seat: Seat },
    /// Close the connection of this address that has waited longest for a request.
    MakeRoom(AddressKey),
    /// The answer to a request that the gate took.
    Answered(Asker, Answer),
}

/// Where a relay is told.
pub struct Inbox {
    messages: Mutex<Vec<Message>>,
    poller: Arc<Poller>,
    /// How often the loop has gone round.
    rounds: AtomicU64,
    /// How many relays have begun here, one after the end of the other.
    relays: AtomicU64,
}

impl Inbox {
    pub(super) fn new() -> io::Result<Self> {
        Ok(Inbox {
            messages: Mutex::new(Vec::new()),
            poller: Arc::new(Poller::new()?),
            rounds: AtomicU64::new(0),
            relays: AtomicU64::new(0),
        })
    }

    pub(super) fn send(&self, message: Message) {
        self.messages.lock().unwrap_or_else(PoisonError::into_inner).push(message);
        self.wake();
    }

    /// Closes what was handed over when nobody took it any more.
    pub(super) fn clear(&self) {
        self.messages.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }

    pub(super) fn wake(&self) {
        let _ = self.poller.notify();
    }

    /// How often the loop has gone round; it does once more after this.
    pub(super) fn rounds(&self) -> u64 {
        let rounds = self.rounds.load(Ordering::SeqCst);
        self.wake();
        rounds
    }
}

/// What becomes of a client connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Flow {
    Stay,
    Close,
    /// Close so that the client can not take it for the end of an answer.
    Reset,
}

/// What becomes of a hop connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum HopFlow {
    Stay,
    /// The exchange is over, and the connection good for another.
    Pool,
    Close,
}

/// One relay.
pub(super) struct Relay {
    pub shared: Arc<Shared>,
    pub poller: Arc<Poller>,
    pub inbox: Arc<Inbox>,
    /// Which of the relays that have begun here this is.
    pub generation: u64,
    pub clients: Slab<Connection>,
    pub hops: Slab<HopConnection>,
    /// Hop connections that wait for an exchange, the last used last, and since when.
    pub pool: Vec<(Key, Duration)>,
    pub small_queue: Turns,
    pub bulk_queue: VecDeque<Key>,
    /// Hop connections whose large answer waits for a bulk slot.
    pub answers_waiting: VecDeque<Key>,
    pub small_active: usize,
    pub small_max: usize,
    pub bulk_active: usize,
    pub bulk_max: usize,
    /// Has the gate taken a request in this round?
    pub taken: bool,
    pub scratch: Vec<u8>,
    pub plain: Vec<u8>,
    /// Time of the current round.
    pub now: Duration,
    swept: Duration,
    /// Hop connections that no thread of tiny_http is known to serve yet, and when to nudge next.
    cold: usize,
    nudge_at: Duration,
    waiting_reported: u64,
}

impl Relay {
    /// A relay that is told through this inbox. It is the `number`th and has its share of the slots.
    pub(super) fn new(shared: Arc<Shared>, inbox: Arc<Inbox>, number: usize) -> Self {
        let share = |all: usize| all / shared.settings.loops + usize::from(number < all % shared.settings.loops);
        let (small_max, bulk_max) = (share(shared.settings.small_exchanges), share(shared.settings.bulk_exchanges));
        let now = shared.clock.elapsed();
        Relay {
            shared,
            poller: Arc::clone(&inbox.poller),
            generation: inbox.relays.fetch_add(1, Ordering::SeqCst),
            inbox,
            clients: Slab::new(),
            hops: Slab::new(),
            pool: Vec::new(),
            small_queue: Turns::default(),
            bulk_queue: VecDeque::new(),
            answers_waiting: VecDeque::new(),
            small_active: 0,
            small_max,
            bulk_active: 0,
            bulk_max,
            taken: false,
            scratch: vec![0; READ_BYTES],
            plain: Vec::new(),
            now,
            swept: now,
            cold: 0,
            nudge_at: now,
            waiting_reported: 0,
        }
    }

    /// Relays until the edge stops and the last exchange has ended, or its grace.
    pub(super) fn run(mut self) {
        let mut events = Events::new();
        loop {
            events.clear();
            let wait = if self.clients.is_empty() && self.hops.is_empty() {
                None
            } else if self.cold > 0 {
                Some(self.nudge_at.saturating_sub(self.now).clamp(NUDGE_LEAST, SWEEP_EVERY))
            } else {
                Some(SWEEP_EVERY)
            };
            if let Err(error) = self.poller.wait(&mut events, wait) {
                log::error!("waiting for events failed reason=\"{error}\"");
                std::thread::sleep(SWEEP_EVERY);
            }
            self.inbox.rounds.fetch_add(1, Ordering::SeqCst);
            self.now = self.shared.clock.elapsed();
            for event in events.iter() {
                let (key, kind) = Key::of_event(event.key);
                let gone = event.is_interrupt() || event.is_err() == Some(true);
                if kind == CLIENT {
                    self.client_event(key, event.readable, event.writable, gone);
                } else {
                    self.hop_event(key, event.readable, event.writable);
                }
            }
            self.read_inbox();
            self.serve_queues();
            if std::mem::take(&mut self.taken) {
                self.shared.gate.taken();
            }
            if self.cold > 0 && self.nudge_at <= self.now {
                self.nudge();
            }
            if self.now.saturating_sub(self.swept) >= SWEEP_EVERY || self.shared.stopping() {
                self.sweep();
                self.serve_queues();
            }
            if self.shared.stopping() && self.finish() {
                return;
            }
        }
    }

    fn read_inbox(&mut self) {
        let messages = std::mem::take(&mut *self.inbox.messages.lock().unwrap_or_else(PoisonError::into_inner));
        for message in messages {
            match message {
                Message::Connected { socket, peer, address, trusted, tls, seat } => {
                    let key = self.clients.reserve();
                    let connection = Watched::new(socket, Arc::clone(&self.poller), key.event(CLIENT))
                        .ok()
                        .and_then(|watched| Connection::new(watched, peer, address, trusted, tls, seat, Arc::clone(&self.shared)).ok());
                    match connection {
                        // Most clients have already sent their request.
                        Some(connection) => {
                            self.clients.put(key, Box::new(connection));
                            self.client_event(key, true, false, false);
                        }
                        None => self.clients.release(key),
                    }
                }
                Message::Answered(asker, answer) if asker.generation == self.generation => self.taken_answered(asker.client, &answer),
                Message::Answered(..) => {}
                Message::MakeRoom(address) => {
                    let mut oldest: Option<(Duration, Key)> = None;
                    for key in self.clients.keys().collect::<Vec<_>>() {
                        let Some(client) = self.clients.get_mut(key) else { continue };
                        if client.address == address
                            && matches!(client.stage, Stage::Head)
                            && oldest.is_none_or(|(since, _)| client.since < since)
                        {
                            oldest = Some((client.since, key));
                        }
                    }
                    if let Some((_, key)) = oldest {
                        add(&self.shared.tally.connections_evicted, 1);
                        self.close_client(key);
                    }
                }
            }
        }
    }

    /// A new hop connection, which occupies the slot; `None` when the server behind does not take one now.
    pub(super) fn connect_hop(&mut self, single: bool, slot: Slot) -> Option<(Key, Box<HopConnection>)> {
        let key = self.hops.reserve();
        let socket = self.shared.hop.connect();
        let watched = socket.and_then(|socket| Watched::new(socket, Arc::clone(&self.poller), key.event(HOP)));
        match watched {
            Ok(watched) => {
                add(&self.shared.tally.hop_connections, 1);
                let mut hop = HopConnection::new(watched, single, slot);
                let at = self.now + NUDGE_FIRST;
                self.nudge_at = if self.cold == 0 { at } else { self.nudge_at.min(at) };
                hop.cold = Some((at, NUDGE_FIRST));
                self.cold += 1;
                Some((key, Box::new(hop)))
            }
            Err(error) => {
                log::warn!("hop not connected reason=\"{error}\"");
                self.hops.release(key);
                None
            }
        }
    }

    /// The server behind has been heard on this connection.
    pub(super) fn warm(&mut self, hop: &mut HopConnection) {
        if hop.cold.take().is_some() {
            self.cold -= 1;
        }
    }

    /// Frees the slot that a hop connection occupies.
    pub(super) fn free_slot(&mut self, hop: &mut HopConnection) {
        match std::mem::replace(&mut hop.slot, Slot::None) {
            Slot::None => {}
            Slot::Small => {
                self.small_active -= 1;
                subtract(&self.shared.tally.small_active, 1);
            }
            Slot::Bulk { .. } => self.bulk_active -= 1,
        }
    }

    /// Closes a hop connection.
    pub(super) fn close_hop(&mut self, key: Key, mut hop: Box<HopConnection>) {
        self.warm(&mut hop);
        self.free_slot(&mut hop);
        if matches!(hop.state, AnswerState::Idle) {
            self.pool.retain(|(pooled, _)| *pooled != key);
        }
        self.hops.release(key);
    }

    /// Puts a hop connection back where its flow says.
    pub(super) fn settle_hop(&mut self, key: Key, mut hop: Box<HopConnection>, flow: HopFlow) {
        match flow {
            HopFlow::Stay if hop.update_watch().is_ok() => self.hops.put(key, hop),
            HopFlow::Pool if self.pool.len() < self.small_max && !self.shared.stopping() => {
                self.free_slot(&mut hop);
                hop.client = None;
                hop.state = AnswerState::Idle;
                hop.deadline = None;
                if hop.update_watch().is_ok() {
                    self.pool.push((key, self.now));
                    self.hops.put(key, hop);
                } else {
                    self.close_hop(key, hop);
                }
            }
            _ => self.close_hop(key, hop),
        }
    }

    /// Puts a client connection back where its flow says.
    pub(super) fn settle_client(&mut self, key: Key, mut client: Box<Connection>, flow: Flow) {
        if flow == Flow::Stay && client.update_watch().is_ok() {
            client.account();
            self.clients.put(key, client);
            return;
        }
        self.part(&mut client);
        if flow == Flow::Reset {
            let _ = client.watched.socket().set_linger(Some(Duration::ZERO));
        }
        self.clients.release(key);
    }

    fn close_client(&mut self, key: Key) {
        if let Some(client) = self.clients.take(key) {
            self.settle_client(key, client, Flow::Close);
        }
    }

    /// tiny_http counts its idle threads late, so a connection that comes together with others may lie in its queue although no
    /// thread is free, until some connection ends. A connection that ends at once gets a thread of its own when none is free, and
    /// that thread then takes the one that lies there. One at a time: on a busy machine many are late, and each nudge may be a thread more.
    fn nudge(&mut self) {
        let now = self.now;
        self.nudge_at = now + NUDGE_LONGEST;
        let mut nudged = false;
        for key in self.hops.keys().collect::<Vec<_>>() {
            let Some((at, pause)) = self.hops.get_mut(key).and_then(|hop| hop.cold.as_mut()) else { continue };
            if *at <= now && !nudged {
                *pause = (*pause * 2).min(NUDGE_LONGEST);
                *at = now + *pause;
                drop(self.shared.hop.connect());
                nudged = true;
            }
            self.nudge_at = self.nudge_at.min((*at).max(now + NUDGE_FIRST));
        }
    }

    fn sweep(&mut self) {
        let elapsed = self.now.saturating_sub(self.swept);
        self.swept = self.now;
        for key in self.clients.keys().collect::<Vec<_>>() {
            let Some(mut client) = self.clients.take(key) else { continue };
            let late = client.deadline.is_some_and(|at| at <= self.now);
            // Without clients nobody sweeps: the quiet before a client came is not its own.
            let slow = client.tick(elapsed.min(self.now.saturating_sub(client.since)));
            let mut flow = Flow::Stay;
            if late || slow {
                flow = self.too_late(&mut client);
                if flow == Flow::Stay {
                    flow = self.advance(key, &mut client);
                }
            }
            self.settle_client(key, client, flow);
        }
        for key in self.hops.keys().collect::<Vec<_>>() {
            let late = self.hops.get_mut(key).is_some_and(|hop| hop.deadline.is_some_and(|at| at <= self.now));
            if late {
                self.answer_too_late(key);
            }
        }
        while let Some((key, since)) = self.pool.first().copied() {
            if self.now.saturating_sub(since) < POOLED_IDLE {
                break;
            }
            self.pool.remove(0);
            if let Some(hop) = self.hops.take(key) {
                self.close_hop(key, hop);
            }
        }
        let waiting = (self.small_queue.len() + self.bulk_queue.len() + self.answers_waiting.len()) as u64;
        add(&self.shared.tally.requests_waiting, waiting);
        subtract(&self.shared.tally.requests_waiting, self.waiting_reported);
        self.waiting_reported = waiting;
    }

    /// The edge stops: closes who waits for nothing; `true` when nobody is left, or the time is up.
    fn finish(&mut self) -> bool {
        for key in self.clients.keys().collect::<Vec<_>>() {
            if self
                .clients
                .get_mut(key)
                .is_some_and(|client| matches!(client.stage, Stage::Head) && client.incoming.is_empty() && !client.is_pending())
            {
                self.close_client(key);
            }
        }
        for (key, _) in std::mem::take(&mut self.pool) {
            if let Some(hop) = self.hops.take(key) {
                self.close_hop(key, hop);
            }
        }
        if self.clients.is_empty() && self.hops.is_empty() {
            return true;
        }
        if self.shared.stop_at().is_none_or(|at| self.now < at) {
            return false;
        }
        for key in self.clients.keys().collect::<Vec<_>>() {
            if let Some(client) = self.clients.take(key) {
                self.settle_client(key, client, Flow::Reset);
            }
        }
        for key in self.hops.keys().collect::<Vec<_>>() {
            if let Some(mut hop) = self.hops.take(key) {
                hop.flush();
                self.warm(&mut hop);
                self.free_slot(&mut hop);
                if hop.pending() > 0 {
                    // In the middle of a chunk: closing it here would look like the end of the body to its handler. It stays open
                    // until the process ends.
                    std::mem::forget(hop);
                }
                self.hops.release(key);
            }
        }
        true
    }
}
