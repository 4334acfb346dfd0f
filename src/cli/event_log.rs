//! The Event Log of Windows: what a service has to say to whoever looks after the machine. One `unsafe` block, with its
//! proof.

use std::ptr::{null, null_mut};

use windows_sys::Win32::System::EventLog::{
    DeregisterEventSource, EVENTLOG_ERROR_TYPE, EVENTLOG_INFORMATION_TYPE, EVENTLOG_WARNING_TYPE, REPORT_EVENT_TYPE, RegisterEventSourceW,
    ReportEventW,
};

/// The source of our events; the package registers this name with the executable, which holds the text "%1" for them.
const SOURCE: &str = "Entrepot";
/// The number of that text (`packaging/windows/events.mc`).
const MESSAGE: u32 = 1;
/// A longer text is refused by Windows.
const TEXT_UNITS_MAX: usize = 31_000;

/// How bad it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Level {
    /// A person should look.
    Error,
    /// Nothing is broken, and something is not as it was told.
    Warning,
    /// The service goes on.
    Information,
}

/// Writes an event. That nobody takes it is no error of ours: the log file has it, too.
#[allow(unsafe_code)]
pub fn tell(level: Level, text: &str) {
    let kind: REPORT_EVENT_TYPE = match level {
        Level::Error => EVENTLOG_ERROR_TYPE,
        Level::Warning => EVENTLOG_WARNING_TYPE,
        Level::Information => EVENTLOG_INFORMATION_TYPE,
    };
    let source = wide(SOURCE);
    let text = wide(text);
    let texts = [text.as_ptr()];
    // SAFETY: `source` and `text` are UTF-16 with a zero at the end (`wide`) and live until the end of this function; `texts` holds the one pointer
    // that is counted. No user and no data are given: their pointers are null, their size is 0, as the calls allow. The handle is used only when it
    // is one, by this thread, and given back once, after its last use. The calls keep nothing of what they were given.
    unsafe {
        let log = RegisterEventSourceW(null(), source.as_ptr());
        if log.is_null() {
            log::warn!("event not written reason=\"{}\"", std::io::Error::last_os_error());
            return;
        }
        if ReportEventW(log, kind, 0, MESSAGE, null_mut(), 1, 0, texts.as_ptr(), null()) == 0 {
            log::warn!("event not written reason=\"{}\"", std::io::Error::last_os_error());
        }
        DeregisterEventSource(log);
    }
}

/// UTF-16 that ends with the only zero in it.
fn wide(text: &str) -> Vec<u16> {
    text.encode_utf16().filter(|unit| *unit != 0).take(TEXT_UNITS_MAX).chain([0]).collect()
}
