//! The private hop: the one way from the edge to tiny_http, inside this process.
//!
//! On Unix a socket in a directory of mode 0700; elsewhere a loopback port. Both carry a secret made anew for each process, so that
//! a request that did not come through the edge is known. tiny_http itself is safe here because the edge writes every request: one
//! at a time, exactly framed, never a large `Content-Length`. On Windows a hostile *local* user who finds the port can still
//! make tiny_http read a head of his own before the secret is looked at; that rest of risk is documented, not solved.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use socket2::{Domain, SockAddr, Socket, Type};
use subtle::ConstantTimeEq;

use super::Error;

/// Carries the secret of this process: a request without it did not pass the edge.
pub const HEADER_AUTH: &str = "X-Edge-Auth";
/// The client, as `address:port`; the port is 0 when a trusted proxy named the address.
pub const HEADER_PEER: &str = "X-Edge-Peer";
/// `http` or `https`, as the client sees it.
pub const HEADER_SCHEME: &str = "X-Edge-Scheme";
/// The `Content-Length` of a body that is relayed in chunks.
pub const HEADER_LENGTH: &str = "X-Edge-Content-Length";

/// Connections of the edge that tiny_http has not yet taken.
const BACKLOG: i32 = 1024;
/// Bytes that the kernel keeps of a request on its way to tiny_http.
const SEND_BUFFER: usize = 512 << 10;

/// What tiny_http serves: give it to `tiny_http::Server::from_listener`.
#[cfg(unix)]
pub type HopListener = std::os::unix::net::UnixListener;
/// What tiny_http serves: give it to `tiny_http::Server::from_listener`.
#[cfg(not(unix))]
pub type HopListener = std::net::TcpListener;

/// The secret of this process.
#[derive(Clone)]
pub struct Secret(Arc<str>);

impl Secret {
    fn new() -> Result<Self, Error> {
        let mut bytes = [0; 32];
        getrandom::fill(&mut bytes)
            .map_err(|error| Error::OpenHop { place: "the secret".into(), source: io::Error::other(error.to_string()) })?;
        Ok(Secret(bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>().into()))
    }

    /// Is this the value of [`HEADER_AUTH`] that the edge writes? Takes the same time whatever is presented.
    pub fn matches(&self, presented: &str) -> bool {
        self.0.as_bytes().ct_eq(presented.as_bytes()).into()
    }

    pub(super) fn as_str(&self) -> &str {
        &self.0
    }
}

/// The edge's end of the hop.
pub struct Hop {
    address: SockAddr,
    domain: Domain,
    secret: Secret,
    place: Option<Place>,
}

/// The directory of the socket; removed with the hop.
struct Place {
    directory: PathBuf,
    socket: PathBuf,
}

impl Drop for Place {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.socket);
        let _ = std::fs::remove_dir(&self.directory);
    }
}

impl Hop {
    /// Opens the hop below `directory`, which must be ours, and gives what tiny_http serves. A socket left by a process that was
    /// killed is replaced. Where the path is too long for a socket, a new private directory of the system's temporary one is used.
    ///
    /// # Errors
    /// When the socket can not be made; the error names the place.
    #[cfg(unix)]
    pub fn open(directory: &Path) -> Result<(Hop, HopListener), Error> {
        use std::os::fd::OwnedFd;
        use std::os::unix::fs::{DirBuilderExt, PermissionsExt};

        let secret = Secret::new()?;
        let mut place = directory.join("hop");
        if SockAddr::unix(place.join("socket")).is_err() {
            place = std::env::temp_dir().join(format!("entrepot-{}", &secret.0[..16]));
        }
        let wrong = |source| Error::OpenHop { place: place.display().to_string(), source };
        if let Err(error) = std::fs::DirBuilder::new().mode(0o700).create(&place) {
            // Ours from before; a link or a file here is not.
            if !std::fs::symlink_metadata(&place).map(|found| found.is_dir()).unwrap_or(false) {
                return Err(wrong(error));
            }
            std::fs::set_permissions(&place, std::fs::Permissions::from_mode(0o700)).map_err(wrong)?;
        }
        let path = place.join("socket");
        match std::fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(wrong(error)),
            _ => {}
        }
        let address = SockAddr::unix(&path).map_err(wrong)?;
        let socket = Socket::new(Domain::UNIX, Type::STREAM, None).map_err(wrong)?;
        socket.bind(&address).map_err(wrong)?;
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).map_err(wrong)?;
        socket.listen(BACKLOG).map_err(wrong)?;
        let place = Some(Place { directory: place.clone(), socket: path });
        Ok((Hop { address, domain: Domain::UNIX, secret, place }, HopListener::from(OwnedFd::from(socket))))
    }

    /// Opens the hop on a loopback port and gives what tiny_http serves.
    ///
    /// # Errors
    /// When the port can not be opened.
    #[cfg(not(unix))]
    pub fn open(_directory: &Path) -> Result<(Hop, HopListener), Error> {
        let secret = Secret::new()?;
        let wrong = |source| Error::OpenHop { place: "a port of 127.0.0.1".into(), source };
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None).map_err(wrong)?;
        socket.bind(&SockAddr::from(std::net::SocketAddr::from(([127, 0, 0, 1], 0)))).map_err(wrong)?;
        socket.listen(BACKLOG).map_err(wrong)?;
        let address = socket.local_addr().map_err(wrong)?;
        Ok((Hop { address, domain: Domain::IPV4, secret, place: None }, socket.into()))
    }

    /// The secret that handlers compare [`HEADER_AUTH`] with.
    pub fn secret(&self) -> Secret {
        self.secret.clone()
    }

    /// A new connection to tiny_http, not blocking. On a loopback port it may still be on its way: writing then says `NotConnected`.
    pub(super) fn connect(&self) -> io::Result<Socket> {
        let socket = Socket::new(self.domain, Type::STREAM, None)?;
        socket.set_nonblocking(true)?;
        // So that a piece of a relayed body goes at once; the system may give less.
        let _ = socket.set_send_buffer_size(SEND_BUFFER);
        if self.place.is_none() {
            socket.set_tcp_nodelay(true)?;
        }
        match socket.connect(&self.address) {
            Ok(()) => Ok(socket),
            // A Unix socket is connected at once, or its backlog is full.
            Err(_) if self.place.is_none() => Ok(socket),
            Err(error) => Err(error),
        }
    }
}

#[cfg(all(test, unix))]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn the_socket_is_the_owners_alone_and_a_stale_one_is_replaced() {
        let directory = tempfile::tempdir().unwrap();
        let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
        std::fs::create_dir(directory.path().join("hop")).unwrap();
        std::fs::write(directory.path().join("hop/socket"), "stale").unwrap();
        let (hop, _listener) = Hop::open(directory.path()).unwrap();
        assert_eq!(mode(&directory.path().join("hop")), 0o700);
        assert_eq!(mode(&directory.path().join("hop/socket")), 0o600);
        hop.connect().unwrap();
        drop(hop);
        assert!(!directory.path().join("hop").exists());
    }

    #[test]
    fn a_directory_with_a_long_name_has_its_socket_elsewhere() {
        let directory = tempfile::tempdir().unwrap();
        let long = directory.path().join("x".repeat(120));
        std::fs::create_dir(&long).unwrap();
        let (hop, _listener) = Hop::open(&long).unwrap();
        hop.connect().unwrap();
    }

    #[test]
    fn only_the_secret_matches_and_each_hop_has_its_own() {
        let directory = tempfile::tempdir().unwrap();
        let secret = Hop::open(directory.path()).unwrap().0.secret();
        let other = Hop::open(directory.path()).unwrap().0.secret();
        assert!(secret.matches(secret.as_str()));
        assert!(!secret.matches(other.as_str()));
        assert!(!secret.matches(""));
        assert!(!secret.matches(&secret.as_str()[1..]));
    }
}
