//! The edge: everything from the network passes here before tiny_http sees it.
//!
//! One event-driven relay instead of pools of threads. An acceptor thread hands connections to a few relay threads; each is a loop over
//! non-blocking sockets, and each connection a small state machine (TLS, head, admitted, body, exchange, answer, idle). So a slow
//! client, a slow body and a slow reader cost a descriptor and a bounded buffer, never a thread. Only a request that is whole, or a large
//! body that has a bulk slot, occupies a handler behind; a small one that waits for nothing is carried out from here (`gate`).
//!
//! Invariants:
//! - tiny_http sees only requests that the edge wrote: one at a time per hop connection, exactly framed. No byte that a client sent
//!   frames anything behind, and whatever is unexpected on a hop connection ends that connection.
//! - A handler that reads a relayed body to its end has the whole body: when a client fails, the hop is closed between two chunks and
//!   before the last one, which is an error to the reader, never an end.
//! - Everything that a client can make grow has a limit in [`Settings`].
//!
//! What the server behind owes: [`Settings::handlers`] threads; [`HEADER_AUTH`] checked first; the client taken from [`HEADER_PEER`];
//! every answer with one `Content-Length` or chunked (no answer may be ended by closing); header values made by the one checked
//! function, since an added line looks like any other. A body of at most `small_body` comes with its `Content-Length`, a larger one
//! in chunks, with [`HEADER_LENGTH`] when the client announced its length.

mod acceptor;
mod address;
mod answer;
mod chunk;
mod connection;
mod exchange;
#[cfg(fuzzing)]
pub mod fuzz;
mod gate;
mod head;
mod hop;
pub mod local_ca;
mod relay;
mod reply;
mod settings;
mod shared;
mod slab;
#[cfg(test)]
mod tests;
mod tls;
mod turns;
mod watch;

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use polling::Poller;
use socket2::{Domain, Protocol, SockAddr, Socket, Type};

pub use address::Network;
pub use answer::STATUS_CUT;
pub use gate::{Admission, Answer, Answering, BodyLength, Gate, Head, Header, Request};
pub use hop::{HEADER_AUTH, HEADER_LENGTH, HEADER_PEER, HEADER_SCHEME, Hop, HopListener, Secret};
pub use settings::{HEADERS_CEILING, Settings, TlsSettings};
pub use shared::Counters;

use acceptor::{Acceptor, Listener};
use relay::{Inbox, Relay};
use shared::Shared;
use tls::Certificate;
use watch::Watched;

/// With fewer connections there is no point in starting.
#[cfg(unix)]
const CONNECTIONS_LEAST: usize = 32;
/// Connections that the kernel keeps until they are accepted.
const BACKLOG: i32 = 1024;
/// Stack of an edge thread.
const STACK_BYTES: usize = 512 << 10;

/// An operation of the edge that did not work.
#[derive(Debug)]
pub enum Error {
    /// The private socket to tiny_http.
    OpenHop {
        /// Where.
        place: String,
        /// Why.
        source: io::Error,
    },
    /// A listener.
    Listen {
        /// Where.
        address: SocketAddr,
        /// Why.
        source: io::Error,
    },
    /// The certificate or its key.
    ReadCertificate {
        /// Which file.
        file: PathBuf,
        /// Why.
        reason: String,
    },
    /// A certificate of our own.
    MakeCertificate {
        /// Why.
        reason: String,
    },
    /// Too few open files are allowed for serving anybody.
    FewDescriptors {
        /// How many are allowed.
        limit: usize,
        /// How many are needed at least.
        needed: usize,
    },
    /// A poller or a thread of the edge.
    StartThread {
        /// Why.
        source: io::Error,
    },
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::OpenHop { place, .. } => write!(f, "cannot open the private hop at {place}"),
            Error::Listen { address, source } => {
                write!(f, "cannot listen on {address}")?;
                match source.kind() {
                    io::ErrorKind::AddrInUse => write!(f, "\nhint: another program has this port; stop it, or choose another with listen"),
                    io::ErrorKind::PermissionDenied => {
                        write!(f, "\nhint: ports below 1024 need CAP_NET_BIND_SERVICE; the packaged service has it")
                    }
                    io::ErrorKind::AddrNotAvailable => write!(f, "\nhint: this machine does not have this address"),
                    _ => Ok(()),
                }
            }
            Error::ReadCertificate { file, reason } => write!(f, "cannot use {}: {reason}", file.display()),
            Error::MakeCertificate { reason } => write!(f, "cannot make a certificate: {reason}"),
            Error::FewDescriptors { limit, needed } => {
                write!(
                    f,
                    "this process may open {limit} files, and needs {needed} at least\nhint: raise the limit (ulimit -n, LimitNOFILE)"
                )
            }
            Error::StartThread { .. } => write!(f, "cannot start the edge"),
        }
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Error::OpenHop { source, .. } | Error::Listen { source, .. } | Error::StartThread { source } => Some(source),
            _ => None,
        }
    }
}

/// The running edge. Drop the tiny_http server before this: its end connects to the hop once more.
pub struct Edge {
    shared: Arc<Shared>,
    addresses: Vec<SocketAddr>,
    acceptor_poller: Arc<Poller>,
    relays: Vec<Arc<Inbox>>,
    threads: Mutex<Vec<JoinHandle<()>>>,
}

impl Edge {
    /// Listens on the addresses and relays what passes to whatever serves the hop.
    ///
    /// Raises the limit of open files as far as the system allows, and lowers `connections` when that is not enough.
    ///
    /// # Errors
    /// When an address can not be listened on, the certificate can not be read, or a thread can not be started. Nothing stays open then.
    pub fn start(
        settings: Settings,
        plain: Vec<SocketAddr>,
        tls: Option<TlsSettings>,
        hop: Hop,
        gate: Arc<dyn Gate>,
    ) -> Result<Edge, Error> {
        let settings = settings.checked();
        let connections_max = connections_possible(&settings)?;
        let started = |source| Error::StartThread { source };
        let poller = Arc::new(Poller::new().map_err(started)?);
        let (mut listeners, mut addresses) = (Vec::new(), Vec::new());
        let mut listen = |address: SocketAddr, tls: Option<Arc<rustls::ServerConfig>>| {
            let wrong = |source| Error::Listen { address, source };
            let (socket, address) = bind(address).map_err(wrong)?;
            listeners.push(Listener { watched: Watched::new(socket, Arc::clone(&poller), listeners.len()).map_err(wrong)?, tls });
            addresses.push(address);
            Ok(())
        };
        for address in plain {
            listen(address, None)?;
        }
        let mut certificate = None;
        if let Some(tls) = tls {
            let loaded = Certificate::load(&tls)?;
            let config = loaded.server_config()?;
            for address in &tls.listen {
                listen(*address, Some(Arc::clone(&config)))?;
            }
            certificate = Some((loaded, tls.check_every.max(Duration::from_millis(10))));
        }

        let shared = Arc::new(Shared::new(settings, connections_max, hop, gate));
        let mut edge = Edge {
            shared: Arc::clone(&shared),
            addresses,
            acceptor_poller: Arc::clone(&poller),
            relays: Vec::new(),
            threads: Mutex::new(Vec::new()),
        };
        for number in 0..shared.settings.loops {
            let inbox = Arc::new(Inbox::new().map_err(started)?);
            edge.relays.push(Arc::clone(&inbox));
            let shared = Arc::clone(&shared);
            edge.spawn(&format!("relay-{number}"), move || relay_for_ever(&shared, &inbox, number)).map_err(started)?;
        }
        let acceptor = Acceptor { shared, poller, listeners, relays: edge.relays.clone(), certificate };
        edge.spawn("acceptor", move || acceptor.run()).map_err(started)?;
        Ok(edge)
    }

    fn spawn(&self, name: &str, work: impl FnOnce() + Send + 'static) -> io::Result<()> {
        let thread = std::thread::Builder::new().name(name.to_owned()).stack_size(STACK_BYTES).spawn(work)?;
        self.threads.lock().unwrap_or_else(PoisonError::into_inner).push(thread);
        Ok(())
    }

    /// Where it listens, plain first, with the ports that the system chose.
    pub fn addresses(&self) -> &[SocketAddr] {
        &self.addresses
    }

    /// What it has counted, and how things stand.
    pub fn counters(&self) -> Counters {
        self.shared.counters()
    }

    /// How often each relay has gone round, and lets each go round once more: a number that stays the same is a relay that stands still.
    pub fn rounds(&self) -> Vec<u64> {
        self.relays.iter().map(|relay| relay.rounds()).collect()
    }

    /// Stops: no new connections and no new requests; exchanges that run have `grace` to end, then they are cut off. Returns when all
    /// threads of the edge have ended. The server behind must still serve the hop meanwhile.
    pub fn stop(&self, grace: Duration) {
        self.shared.stop(grace);
        let _ = self.acceptor_poller.notify();
        for relay in &self.relays {
            relay.wake();
        }
        let threads: Vec<_> = self.threads.lock().unwrap_or_else(PoisonError::into_inner).drain(..).collect();
        for thread in threads {
            if thread.join().is_err() {
                log::error!("a thread of the edge had panicked");
            }
        }
        for relay in &self.relays {
            relay.clear();
        }
    }
}

impl Drop for Edge {
    fn drop(&mut self) {
        self.stop(Duration::ZERO);
    }
}

/// Runs a relay. A panic would be a bug of ours; it costs the connections of this relay, and another takes its place.
fn relay_for_ever(shared: &Arc<Shared>, inbox: &Arc<Inbox>, number: usize) {
    loop {
        let relay = Relay::new(Arc::clone(shared), Arc::clone(inbox), number);
        if catch_unwind(AssertUnwindSafe(|| relay.run())).is_ok() {
            return;
        }
        log::error!("relay restarted number={number} hint=\"its connections were closed; please report the panic above\"");
    }
}

fn bind(address: SocketAddr) -> io::Result<(Socket, SocketAddr)> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    // On Windows the option would let another program take the port over.
    #[cfg(unix)]
    socket.set_reuse_address(true)?;
    socket.set_nonblocking(true)?;
    socket.bind(&SockAddr::from(address))?;
    socket.listen(BACKLOG)?;
    let bound = socket.local_addr()?.as_socket().unwrap_or(address);
    Ok((socket, bound))
}

/// Raises the limit of open files to the most allowed, and says how many connections fit.
fn connections_possible(settings: &Settings) -> Result<usize, Error> {
    #[cfg(unix)]
    {
        use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
        let limit = getrlimit(Resource::Nofile);
        let _ = setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, maximum: limit.maximum });
        let limit = getrlimit(Resource::Nofile).current.map_or(usize::MAX, |limit| usize::try_from(limit).unwrap_or(usize::MAX));
        let needed = settings.descriptors_reserved + CONNECTIONS_LEAST;
        if limit < needed {
            return Err(Error::FewDescriptors { limit, needed });
        }
        let possible = limit - settings.descriptors_reserved;
        if possible < settings.connections {
            log::warn!(
                "fewer connections possible={possible} configured={} hint=\"raise the limit of open files (LimitNOFILE)\"",
                settings.connections
            );
        }
        Ok(settings.connections.min(possible))
    }
    #[cfg(not(unix))]
    {
        Ok(settings.connections)
    }
}
