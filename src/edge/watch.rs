//! A socket that a poller watches, level-triggered. The only `unsafe` of the edge is here, with its proof.
//!
//! Invariant: a socket is in the poller exactly as long as its [`Watched`] lives; it is never taken out of it.

use std::io;
use std::net::Shutdown;
use std::sync::Arc;

use polling::{Event, PollMode, Poller};
use socket2::Socket;

/// A socket together with its place in a poller.
pub(super) struct Watched {
    socket: Socket,
    poller: Arc<Poller>,
    key: usize,
    readable: bool,
    writable: bool,
}

impl Watched {
    /// Begins to watch a socket for reading; its events carry the key.
    pub(super) fn new(socket: Socket, poller: Arc<Poller>, key: usize) -> io::Result<Self> {
        add(&poller, &socket, key)?;
        Ok(Watched { socket, poller, key, readable: true, writable: false })
    }

    /// The socket. Only a reference is ever given, so it can not leave the poller's sight.
    pub(super) fn socket(&self) -> &Socket {
        &self.socket
    }

    /// Says what to watch for; a system call only when that changes.
    pub(super) fn watch(&mut self, readable: bool, writable: bool) -> io::Result<()> {
        if (self.readable, self.writable) != (readable, writable) {
            let interest = Event::new(self.key, readable, writable);
            self.poller.modify_with_mode(&self.socket, interest, PollMode::Level)?;
            (self.readable, self.writable) = (readable, writable);
        }
        Ok(())
    }

    /// Is it watched for reading?
    pub(super) fn watches_reading(&self) -> bool {
        self.readable
    }

    /// No more bytes will be sent.
    pub(super) fn finish_writing(&self) {
        let _ = self.socket.shutdown(Shutdown::Write);
    }
}

impl Drop for Watched {
    fn drop(&mut self) {
        let _ = self.poller.delete(&self.socket);
    }
}

/// Adds a socket to a poller. Called by [`Watched::new`] alone.
#[allow(unsafe_code)]
fn add(poller: &Poller, socket: &Socket, key: usize) -> io::Result<()> {
    // SAFETY: `Poller::add_with_mode` asks that the source be deleted from the poller before it is dropped. The caller moves the
    // socket into a `Watched` at once and never out of it (its field is private, and only `&Socket` is handed out), and
    // `Drop for Watched` deletes it before the field is dropped. When adding fails, nothing was added. The poller lives as long
    // as the `Watched`, which holds an `Arc` of it.
    unsafe { poller.add_with_mode(socket, Event::readable(key), PollMode::Level) }
}
