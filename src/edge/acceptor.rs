//! The thread that accepts connections, and never dies: whatever `accept` says, it goes on.
//!
//! It does nothing that can wait for a client. It also looks after the certificate's files, away from the relays.

use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use polling::{Events, Poller};
use rustls::ServerConfig;
use socket2::{SockRef, Socket};

use super::address::AddressKey;
use super::gate::Answer;
use super::relay::{Inbox, Message};
use super::reply::{reason, render};
use super::shared::{Full, Shared, add};
use super::tls::Certificate;
use super::watch::Watched;

/// Connections accepted from one listener before the next has its turn.
const ACCEPT_BATCH: usize = 64;
/// Pause after an error of accept that is ours, such as "too many open files".
const ERROR_PAUSE: Duration = Duration::from_millis(20);
/// How long a new connection waits for an idle one to be closed, when there are too many.
const ROOM_WAIT: Duration = Duration::from_millis(100);
/// Unsent bytes that the kernel keeps for a client, so that a slow reader's progress is seen.
#[cfg(target_os = "linux")]
const UNSENT_BYTES: u32 = 64 << 10;

/// A listener and how its clients speak.
pub(super) struct Listener {
    pub watched: Watched,
    pub tls: Option<Arc<ServerConfig>>,
}

pub(super) struct Acceptor {
    pub shared: Arc<Shared>,
    pub poller: Arc<Poller>,
    pub listeners: Vec<Listener>,
    pub relays: Vec<Arc<Inbox>>,
    /// The certificate and how often its files are looked at.
    pub certificate: Option<(Arc<Certificate>, Duration)>,
}

impl Acceptor {
    /// Accepts until the edge stops; closes the listeners then.
    pub(super) fn run(mut self) {
        let shared = Arc::clone(&self.shared);
        let mut events = Events::new();
        let mut spare = spare_descriptor();
        let mut next_relay = 0;
        let mut certificate_at = self.certificate.as_ref().map(|(_, every)| shared.clock.elapsed() + *every);
        let mut no_room_until = Duration::ZERO;
        let mut warned = None;
        while !shared.stopping() {
            events.clear();
            let wait = certificate_at.map(|at| at.saturating_sub(shared.clock.elapsed()));
            if let Err(error) = self.poller.wait(&mut events, wait) {
                log::error!("waiting for connections failed reason=\"{error}\"");
                std::thread::sleep(ERROR_PAUSE);
            }
            let now = shared.clock.elapsed();
            if let (Some((certificate, every)), true) = (&self.certificate, certificate_at.is_some_and(|at| at <= now)) {
                certificate.refresh();
                certificate_at = Some(now + *every);
            }
            let ready: Vec<usize> = events.iter().map(|event| event.key).collect();
            for index in ready {
                let Some(listener) = self.listeners.get(index) else { continue };
                for _ in 0..ACCEPT_BATCH {
                    match listener.watched.socket().accept() {
                        Ok((socket, peer)) => {
                            add(&shared.tally.connections_accepted, 1);
                            let Some(peer) = peer.as_socket() else { continue };
                            self.seat(socket, peer, listener.tls.as_ref(), &mut next_relay, &mut no_room_until);
                        }
                        Err(error) => match error.kind() {
                            io::ErrorKind::WouldBlock => break,
                            io::ErrorKind::Interrupted | io::ErrorKind::ConnectionAborted | io::ErrorKind::ConnectionReset => {}
                            _ => {
                                add(&shared.tally.accept_errors, 1);
                                let now = shared.clock.elapsed();
                                if warned.is_none_or(|at| at + Duration::from_secs(10) < now) {
                                    warned = Some(now);
                                    log::warn!("connection not accepted reason=\"{error}\" hint=\"raise the limit of open files\"");
                                }
                                self.make_room();
                                // The spare descriptor takes the waiting connection off the queue, so that its client is told at
                                // once instead of waiting for ever, and the listener does not stay ready.
                                if spare.take().is_some() {
                                    drop(listener.watched.socket().accept());
                                }
                                std::thread::sleep(ERROR_PAUSE);
                                spare = spare_descriptor();
                                break;
                            }
                        },
                    }
                }
            }
        }
        self.listeners.clear();
    }

    fn make_room(&self) {
        if let Some(address) = self.shared.busiest() {
            for relay in &self.relays {
                relay.send(Message::MakeRoom(address));
            }
        }
    }

    fn seat(
        &self,
        socket: Socket,
        peer: std::net::SocketAddr,
        tls: Option<&Arc<ServerConfig>>,
        next_relay: &mut usize,
        no_room_until: &mut Duration,
    ) {
        let (shared, address, trusted) = (&self.shared, AddressKey::of(peer.ip()), self.shared.trusted(peer.ip()));
        let mut seat = shared.seat(address, trusted);
        if matches!(seat, Err(Full::Edge)) && shared.clock.elapsed() >= *no_room_until {
            self.make_room();
            shared.wait_for_room(ROOM_WAIT);
            seat = shared.seat(address, trusted);
            if matches!(seat, Err(Full::Edge)) {
                *no_room_until = shared.clock.elapsed() + ROOM_WAIT;
            }
        }
        let prepared = prepare(&socket);
        match (seat, prepared) {
            (Ok(seat), Ok(())) => {
                let relay = &self.relays[*next_relay % self.relays.len()];
                *next_relay = next_relay.wrapping_add(1);
                relay.send(Message::Connected { socket, peer, address, trusted, tls: tls.cloned(), seat });
            }
            (Err(full), prepared) => {
                let count = match full {
                    Full::Edge => &shared.tally.connections_refused_full,
                    Full::Address => &shared.tally.connections_refused_address,
                };
                count.fetch_add(1, Ordering::Relaxed);
                if tls.is_none() && prepared.is_ok() {
                    let refusal = Answer::new(503, reason(503), "too many connections; try again shortly").header("Retry-After", "5");
                    let _ = socket.send(&render(&refusal, false, true, false));
                }
            }
            (Ok(_), Err(error)) => log::debug!("connection dropped peer={peer} reason=\"{error}\""),
        }
    }
}

/// Options of an accepted connection.
fn prepare(socket: &Socket) -> io::Result<()> {
    socket.set_nonblocking(true)?;
    socket.set_tcp_nodelay(true)?;
    // Urgent data is data: otherwise it would raise events that no read can clear.
    socket.set_out_of_band_inline(true)?;
    SockRef::from(socket).set_keepalive(true)?;
    #[cfg(target_os = "linux")]
    socket.set_tcp_notsent_lowat(UNSENT_BYTES)?;
    Ok(())
}

/// A descriptor kept only to be given up when there are no more.
fn spare_descriptor() -> Option<Socket> {
    Socket::new(socket2::Domain::IPV4, socket2::Type::DGRAM, None).ok()
}
