//! Tells systemd how the service stands (sd_notify(3)): a datagram to `NOTIFY_SOCKET`, and nothing where there is none.

use std::time::Duration;

/// How often the watchdog of the unit (`WatchdogSec=`) wants to hear of us: four times in its time. `None` without one.
pub fn watchdog_interval() -> Option<Duration> {
    let number = |name: &str| std::env::var(name).ok()?.parse::<u64>().ok();
    // The variables may be inherited from somebody's service that we are not.
    if std::env::var_os("WATCHDOG_PID").is_some() && number("WATCHDOG_PID") != Some(u64::from(std::process::id())) {
        return None;
    }
    number("WATCHDOG_USEC").filter(|microseconds| *microseconds > 0).map(|microseconds| Duration::from_micros(microseconds / 4))
}

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
