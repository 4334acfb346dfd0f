//! What the threads of the edge share: limits, counts, who is connected, and whether it is time to stop.
//!
//! Every count that a limit looks at is held by a guard ([`Seat`], [`BulkPass`], [`WaitPass`]) and falls when the guard is dropped, so no
//! path can forget it.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::Duration;

use super::address::AddressKey;
use super::gate::Gate;
use super::hop::Hop;
use super::settings::Settings;
use crate::clock::Stopwatch;

macro_rules! counters {
    ($($(#[$doc:meta])* $name:ident),* $(,)?) => {
        /// What the edge has counted since its start, and how things stand.
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
        pub struct Counters { $($(#[$doc])* pub $name: u64,)* }

        /// The live counts behind [`Counters`].
        #[derive(Default)]
        pub(super) struct Tally { $(pub $name: AtomicU64,)* }

        impl Tally {
            fn read(&self) -> Counters {
                Counters { $($name: self.$name.load(Ordering::Relaxed),)* }
            }
        }

        impl Counters {
            /// Name and value of each, in order, for `/metrics`.
            pub fn list(&self) -> Vec<(&'static str, u64)> {
                vec![$((stringify!($name), self.$name),)*]
            }
        }
    };
}

counters! {
    /// Open client connections, now.
    connections_open,
    /// Bytes kept for clients, now.
    bytes_buffered,
    /// Small exchanges under way, now.
    small_active,
    /// Bulk exchanges under way, now.
    bulk_active,
    /// Requests that wait for their turn, now.
    requests_waiting,
    /// Connections accepted.
    connections_accepted,
    /// Connections refused because there were too many.
    connections_refused_full,
    /// Connections refused because their address had too many.
    connections_refused_address,
    /// Connections without a request that were closed to make room.
    connections_evicted,
    /// Errors of accept, among them "too many open files".
    accept_errors,
    /// TLS handshakes completed.
    tls_handshakes,
    /// TLS connections that broke the protocol.
    tls_errors,
    /// Heads that passed the check.
    requests,
    /// Requests that the gate took, past the server behind.
    requests_taken,
    /// Heads and bodies refused by the check (4xx, 501, 505).
    requests_malformed,
    /// Requests refused by the gate.
    requests_refused,
    /// Requests whose body was too large.
    requests_too_large,
    /// Requests refused because too many waited, or waited too long.
    requests_overload,
    /// Heads, bodies and readers that were too slow.
    timeouts,
    /// Uploads that ended before their end.
    uploads_aborted,
    /// Exchanges that the server behind, or the gate, failed (502, 504, answers cut off).
    hop_failures,
    /// Connections opened to the server behind.
    hop_connections,
    /// Bytes read from clients.
    bytes_received,
    /// Bytes written to clients.
    bytes_sent,
}

/// Adds to a count.
pub(super) fn add(count: &AtomicU64, by: u64) {
    count.fetch_add(by, Ordering::Relaxed);
}

/// Takes from a count.
pub(super) fn subtract(count: &AtomicU64, by: u64) {
    count.fetch_sub(by, Ordering::Relaxed);
}

#[derive(Default)]
struct Use {
    connections: usize,
    bulk: usize,
    waiting: usize,
}

pub(super) struct Shared {
    pub settings: Settings,
    pub hop: Hop,
    pub gate: Arc<dyn Gate>,
    pub tally: Tally,
    /// Since the start of the edge; all its times are durations since then.
    pub clock: Stopwatch,
    connections_max: usize,
    open: AtomicUsize,
    addresses: Mutex<HashMap<AddressKey, Use>>,
    stopping: AtomicBool,
    stop_at: Mutex<Option<Duration>>,
    room: (Mutex<()>, Condvar),
}

/// Why a connection gets no seat.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Full {
    Edge,
    Address,
}

impl Shared {
    pub(super) fn new(settings: Settings, connections_max: usize, hop: Hop, gate: Arc<dyn Gate>) -> Self {
        Shared {
            settings,
            hop,
            gate,
            tally: Tally::default(),
            clock: Stopwatch::start(),
            connections_max,
            open: AtomicUsize::new(0),
            addresses: Mutex::new(HashMap::new()),
            stopping: AtomicBool::new(false),
            stop_at: Mutex::new(None),
            room: (Mutex::new(()), Condvar::new()),
        }
    }

    pub(super) fn counters(&self) -> Counters {
        self.tally.read()
    }

    pub(super) fn trusted(&self, address: std::net::IpAddr) -> bool {
        self.settings.trusted_proxies.iter().any(|network| network.contains(address))
    }

    fn with_use<T>(&self, address: AddressKey, change: impl FnOnce(&mut Use) -> T) -> T {
        let mut addresses = self.addresses.lock().unwrap_or_else(PoisonError::into_inner);
        match addresses.entry(address) {
            Entry::Vacant(entry) => {
                let mut fresh = Use::default();
                let result = change(&mut fresh);
                if fresh.connections + fresh.bulk + fresh.waiting > 0 {
                    entry.insert(fresh);
                }
                result
            }
            Entry::Occupied(mut entry) => {
                let result = change(entry.get_mut());
                let now = entry.get();
                if now.connections + now.bulk + now.waiting == 0 {
                    entry.remove();
                }
                result
            }
        }
    }

    /// A seat for a connection of this address, unless there are too many. Only the acceptor asks.
    pub(super) fn seat(self: &Arc<Self>, address: AddressKey, trusted: bool) -> Result<Seat, Full> {
        if self.open.load(Ordering::SeqCst) >= self.connections_max {
            return Err(Full::Edge);
        }
        let most = if trusted { usize::MAX } else { self.settings.connections_per_address };
        self.with_use(address, |used| {
            if used.connections >= most {
                return Err(Full::Address);
            }
            used.connections += 1;
            Ok(())
        })?;
        self.open.fetch_add(1, Ordering::SeqCst);
        add(&self.tally.connections_open, 1);
        Ok(Seat { shared: Arc::clone(self), address })
    }

    /// The address with the most connections.
    pub(super) fn busiest(&self) -> Option<AddressKey> {
        let addresses = self.addresses.lock().unwrap_or_else(PoisonError::into_inner);
        addresses.iter().max_by_key(|(_, used)| used.connections).map(|(address, _)| *address)
    }

    /// Waits until a connection has gone, or this long.
    pub(super) fn wait_for_room(&self, at_most: Duration) {
        let guard = self.room.0.lock().unwrap_or_else(PoisonError::into_inner);
        let full = |_: &mut ()| self.open.load(Ordering::SeqCst) >= self.connections_max;
        drop(self.room.1.wait_timeout_while(guard, at_most, full));
    }

    /// Leave for one more bulk exchange of this address.
    pub(super) fn bulk_pass(self: &Arc<Self>, address: AddressKey, trusted: bool) -> Option<BulkPass> {
        let most = if trusted { usize::MAX } else { self.settings.bulk_per_address };
        let granted = self.with_use(address, |used| {
            let granted = used.bulk < most;
            used.bulk += usize::from(granted);
            granted
        });
        granted.then(|| {
            add(&self.tally.bulk_active, 1);
            BulkPass { shared: Arc::clone(self), address }
        })
    }

    /// Leave to wait for a bulk exchange.
    pub(super) fn wait_pass(self: &Arc<Self>, address: AddressKey, trusted: bool) -> Option<WaitPass> {
        let most = if trusted { usize::MAX } else { self.settings.bulk_queue_per_address };
        let granted = self.with_use(address, |used| {
            let granted = used.waiting < most;
            used.waiting += usize::from(granted);
            granted
        });
        granted.then(|| WaitPass { shared: Arc::clone(self), address })
    }

    /// No new requests; what runs may run on until this time.
    pub(super) fn stop(&self, grace: Duration) {
        *self.stop_at.lock().unwrap_or_else(PoisonError::into_inner) = Some(self.clock.elapsed().saturating_add(grace));
        self.stopping.store(true, Ordering::SeqCst);
    }

    pub(super) fn stopping(&self) -> bool {
        self.stopping.load(Ordering::SeqCst)
    }

    /// The time at which whatever still runs is cut off.
    pub(super) fn stop_at(&self) -> Option<Duration> {
        *self.stop_at.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Are as many bytes kept as may be?
    pub(super) fn buffers_full(&self) -> bool {
        self.tally.bytes_buffered.load(Ordering::Relaxed) > self.settings.buffered as u64
    }
}

/// The place of one connection in the count of all and of its address.
pub(super) struct Seat {
    shared: Arc<Shared>,
    address: AddressKey,
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.shared.with_use(self.address, |used| used.connections = used.connections.saturating_sub(1));
        subtract(&self.shared.tally.connections_open, 1);
        // One fewer, said under the lock, so that the acceptor can not miss it between its look and its wait.
        let _guard = self.shared.room.0.lock().unwrap_or_else(PoisonError::into_inner);
        self.shared.open.fetch_sub(1, Ordering::SeqCst);
        self.shared.room.1.notify_one();
    }
}

/// The place of one bulk exchange in the count of its address.
pub(super) struct BulkPass {
    shared: Arc<Shared>,
    address: AddressKey,
}

impl Drop for BulkPass {
    fn drop(&mut self) {
        self.shared.with_use(self.address, |used| used.bulk = used.bulk.saturating_sub(1));
        subtract(&self.shared.tally.bulk_active, 1);
    }
}

/// The place of one waiting bulk request in the count of its address.
pub(super) struct WaitPass {
    shared: Arc<Shared>,
    address: AddressKey,
}

impl Drop for WaitPass {
    fn drop(&mut self) {
        self.shared.with_use(self.address, |used| used.waiting = used.waiting.saturating_sub(1));
    }
}
