//! Tells systemd how the service stands (sd_notify(3)): a datagram to `NOTIFY_SOCKET`, and nothing where there is none.

/// Says `READY=1`, `STOPPING=1` or the like. That nobody listens is no error of ours.
#[cfg(unix)]
pub fn tell(state: &str) {
    use std::os::unix::net::UnixDatagram;
    let Some(place) = std::env::var_os("NOTIFY_SOCKET") else { return };
    let Ok(socket) = UnixDatagram::unbound() else { return };
    let sent = match place.to_str().and_then(|place| place.strip_prefix('@')) {
        #[cfg(target_os = "linux")]
        Some(name) => {
            use std::os::linux::net::SocketAddrExt;
            use std::os::unix::net::SocketAddr;
            SocketAddr::from_abstract_name(name).and_then(|address| socket.send_to_addr(state.as_bytes(), &address))
        }
        _ => socket.send_to(state.as_bytes(), &place),
    };
    if let Err(error) = sent {
        log::warn!("systemd not notified state={state} reason=\"{error}\"");
    }
}

/// There is no systemd here.
#[cfg(not(unix))]
pub fn tell(_state: &str) {}
