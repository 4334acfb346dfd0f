//! The one place that knows what time it is, and the one way to wait for a time.
//!
//! Everything else is handed a [`Clock`]. In a debug build a test may set it: threads that wait for a time are woken when the clock is
//! moved, so no test ever sleeps. Durations of steps (for logs) come from [`Stopwatch`], which is never set.

use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError, Weak};
use std::time::{Duration, Instant, SystemTime};

use crate::model::time::Timestamp;

/// Tells the time.
#[derive(Clone)]
pub struct Clock(Arc<Kind>);

enum Kind {
    System,
    /// The machine's clock, and how far it was moved.
    Moved {
        by: AtomicI64,
        waiters: Mutex<Vec<Weak<Inner>>>,
    },
    Set {
        now: AtomicI64,
        waiters: Mutex<Vec<Weak<Inner>>>,
    },
}

impl Clock {
    /// The machine's clock.
    pub fn system() -> Self {
        Clock(Arc::new(Kind::System))
    }

    /// A clock that goes like the machine's, and can be moved on.
    pub fn movable() -> Self {
        Clock(Arc::new(Kind::Moved { by: AtomicI64::new(0), waiters: Mutex::new(Vec::new()) }))
    }

    /// A clock that stands still until it is moved: for tests.
    pub fn set(now: Timestamp) -> Self {
        Clock(Arc::new(Kind::Set { now: AtomicI64::new(now.0), waiters: Mutex::new(Vec::new()) }))
    }

    /// The instant now.
    pub fn now(&self) -> Timestamp {
        match &*self.0 {
            Kind::System => machine(),
            Kind::Moved { by, .. } => Timestamp(machine().0.saturating_add(by.load(Ordering::SeqCst))),
            Kind::Set { now, .. } => Timestamp(now.load(Ordering::SeqCst)),
        }
    }

    /// Moves a clock forward that can be moved, and wakes all who wait; `false` for the machine's clock, which nobody moves.
    pub fn advance(&self, by: Duration) -> bool {
        match &*self.0 {
            Kind::System => false,
            Kind::Moved { by: now, waiters } | Kind::Set { now, waiters } => {
                now.fetch_add(i64::try_from(by.as_millis()).unwrap_or(i64::MAX), Ordering::SeqCst);
                let mut waiters = waiters.lock().unwrap_or_else(PoisonError::into_inner);
                waiters.retain(|waiter| waiter.upgrade().map(|inner| inner.wake()).is_some());
                true
            }
        }
    }
}

fn machine() -> Timestamp {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    Timestamp(i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
}

/// A bell that one thread waits at and any thread can ring. A ring while nobody waits is kept.
#[derive(Clone, Default)]
pub struct Bell(Arc<Inner>);

#[derive(Default)]
struct Inner {
    rung: Mutex<bool>,
    changed: Condvar,
}

impl Inner {
    fn wake(&self) {
        *self.rung.lock().unwrap_or_else(PoisonError::into_inner) = true;
        self.changed.notify_all();
    }
}

impl Bell {
    /// A bell for waits on this clock: a set clock rings it whenever it is moved.
    pub fn new(clock: &Clock) -> Self {
        let bell = Bell::default();
        if let Kind::Moved { waiters, .. } | Kind::Set { waiters, .. } = &*clock.0 {
            waiters.lock().unwrap_or_else(PoisonError::into_inner).push(Arc::downgrade(&bell.0));
        }
        bell
    }

    /// Wakes the waiter, now or at its next wait.
    pub fn ring(&self) {
        self.0.wake();
    }

    /// Waits until the bell rings or the clock reaches `until`; `None` waits for the bell alone. It also ends when the machine's clock is found
    /// set back meanwhile: `until` would be far away then, and whoever waits looks again at what is due.
    pub fn wait(&self, clock: &Clock, until: Option<Timestamp>) {
        let mut rung = self.0.rung.lock().unwrap_or_else(PoisonError::into_inner);
        let begun = clock.now();
        while !*rung {
            let now = clock.now();
            let left = match until {
                Some(until) if until <= now || now < begun => break,
                Some(until) => Some(until.since(now)),
                None => None,
            };
            rung = match (&*clock.0, left) {
                // A day at most, so that a step of the machine's clock is noticed in the end.
                (Kind::System | Kind::Moved { .. }, Some(left)) => {
                    self.0.changed.wait_timeout(rung, left.min(Duration::from_secs(86_400))).unwrap_or_else(PoisonError::into_inner).0
                }
                _ => self.0.changed.wait(rung).unwrap_or_else(PoisonError::into_inner),
            };
        }
        *rung = false;
    }
}

/// Measures how long a step took, for logs and metrics; not affected by a set clock.
#[derive(Clone, Copy)]
pub struct Stopwatch(Instant);

impl Stopwatch {
    /// Starts now.
    pub fn start() -> Self {
        Stopwatch(Instant::now())
    }

    /// Time since the start.
    pub fn elapsed(&self) -> Duration {
        self.0.elapsed()
    }

    /// Milliseconds since the start.
    pub fn elapsed_ms(&self) -> u64 {
        u64::try_from(self.elapsed().as_millis()).unwrap_or(u64::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_thread_that_waits_for_a_time_is_woken_when_a_set_clock_passes_it() {
        let clock = Clock::set(Timestamp(0));
        let bell = Bell::new(&clock);
        let waiter = std::thread::spawn({
            let (clock, bell) = (clock.clone(), bell.clone());
            move || {
                while clock.now() < Timestamp(1000) {
                    bell.wait(&clock, Some(Timestamp(1000)));
                }
                clock.now()
            }
        });
        clock.advance(Duration::from_millis(400));
        clock.advance(Duration::from_millis(700));
        assert_eq!(waiter.join().unwrap(), Timestamp(1100));
    }

    #[test]
    fn a_ring_before_the_wait_is_kept() {
        let clock = Clock::system();
        let bell = Bell::new(&clock);
        bell.ring();
        bell.wait(&clock, None);
    }
}
