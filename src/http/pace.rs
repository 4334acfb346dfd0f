//! How often somebody may ask. Applications have a rate, off unless configured; whoever fails to prove who he is waits longer with each try.
//!
//! Failures are counted per address with name, per address, and per name, so that neither one guesser nor many together get far, and a stranger's
//! guesses never lock out the owner of a name for more than a few seconds. All of it is bounded and in memory; a restart forgets it.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use super::Answer;
use crate::appliance::Appliance;
use crate::model::id::ApplicationId;
use crate::model::time::Timestamp;

/// Keys that are remembered; beyond, those that were quiet longest are forgotten.
const KEYS_MAX: usize = 10_000;
/// Failures are forgotten after this long without another.
const FORGOTTEN_AFTER: Duration = Duration::from_secs(15 * 60);

/// Who fails: free tries, and the longest wait after them.
const ADDRESS_AND_NAME: (u32, Duration) = (5, Duration::from_secs(60));
const ADDRESS: (u32, Duration) = (25, Duration::from_secs(60));
const NAME: (u32, Duration) = (50, Duration::from_secs(5));

/// What is remembered.
#[derive(Default)]
pub struct Pace {
    failures: Mutex<HashMap<(Option<IpAddr>, Option<String>), Failures>>,
    windows: Mutex<HashMap<ApplicationId, (i64, u32)>>,
}

#[derive(Clone, Copy)]
struct Failures {
    count: u32,
    last: Timestamp,
}

impl Failures {
    /// When the next try may be.
    fn next(&self, (free, longest): (u32, Duration)) -> Timestamp {
        match self.count.checked_sub(free) {
            None | Some(0) => self.last,
            Some(over) => self.last.plus(Duration::from_secs(1 << over.min(16)).min(longest)),
        }
    }
}

fn keys(address: IpAddr, name: &str) -> [((Option<IpAddr>, Option<String>), (u32, Duration)); 3] {
    // An IPv6 customer has a /64 to himself.
    let address = match address.to_canonical() {
        IpAddr::V6(address) => IpAddr::V6((address.to_bits() >> 64 << 64).into()),
        four => four,
    };
    let name: String = name.chars().take(200).collect::<String>().to_lowercase();
    [((Some(address), Some(name.clone())), ADDRESS_AND_NAME), ((Some(address), None), ADDRESS), ((None, Some(name)), NAME)]
}

impl Pace {
    /// How long this one still has to wait before another try; `None` when he may.
    pub fn wait(&self, address: IpAddr, name: &str, now: Timestamp) -> Option<Duration> {
        let failures = self.failures.lock().unwrap_or_else(PoisonError::into_inner);
        let next = keys(address, name).into_iter().filter_map(|(key, limit)| failures.get(&key).map(|found| found.next(limit))).max()?;
        let wait = next.since(now);
        (!wait.is_zero()).then_some(wait)
    }

    /// A try failed.
    pub fn failed(&self, address: IpAddr, name: &str, now: Timestamp) {
        let mut failures = self.failures.lock().unwrap_or_else(PoisonError::into_inner);
        failures.retain(|_, found| now.since(found.last) < FORGOTTEN_AFTER || failures_ahead(found, now));
        for (key, _) in keys(address, name) {
            if failures.len() >= KEYS_MAX && !failures.contains_key(&key) {
                let quiet = failures.iter().min_by_key(|(_, found)| found.last).map(|(key, _)| key.clone());
                quiet.map(|key| failures.remove(&key));
            }
            let found = failures.entry(key).or_insert(Failures { count: 0, last: now });
            *found = Failures { count: found.count.saturating_add(1), last: now };
        }
    }

    /// A try was right: this address and this name begin anew together.
    pub fn succeeded(&self, address: IpAddr, name: &str) {
        let mut failures = self.failures.lock().unwrap_or_else(PoisonError::into_inner);
        let [(both, _), ..] = keys(address, name);
        failures.remove(&both);
    }

    /// Counts a request of an application; how long it has to wait when it had `most` in this minute.
    fn count(&self, application: ApplicationId, most: u32, now: Timestamp) -> Option<Duration> {
        let minute = now.0.div_euclid(60_000);
        let mut windows = self.windows.lock().unwrap_or_else(PoisonError::into_inner);
        // Only applications of the configuration come here.
        let window = windows.entry(application).or_insert((minute, 0));
        if window.0 != minute {
            *window = (minute, 0);
        }
        window.1 = window.1.saturating_add(1);
        (window.1 > most).then(|| Timestamp((minute + 1) * 60_000).since(now))
    }
}

/// A clock that was set back must not make failures eternal.
fn failures_ahead(found: &Failures, now: Timestamp) -> bool {
    found.last > now && found.last.since(now) < FORGOTTEN_AFTER
}

fn seconds(wait: Duration) -> String {
    wait.as_millis().div_ceil(1000).max(1).to_string()
}

/// Counts a request of an application against `[limits] requests_per_minute`.
pub fn request(appliance: &Appliance, application: ApplicationId) -> Result<(), Answer> {
    let most = appliance.live().config.server.limits.requests_per_minute;
    if most == 0 {
        return Ok(());
    }
    match appliance.pace.count(application, most, appliance.clock.now()) {
        None => Ok(()),
        Some(wait) => {
            let detail = format!("the application has made its {most} requests of this minute");
            Err(Answer::refuse(429, &detail, "ask again after Retry-After seconds").with("Retry-After", seconds(wait)))
        }
    }
}

/// Before a secret or password is looked at.
pub fn attempt(appliance: &Appliance, address: IpAddr, name: &str) -> Result<(), Answer> {
    match appliance.pace.wait(address, name, appliance.clock.now()) {
        None => Ok(()),
        Some(wait) => {
            let detail = "too many failed attempts";
            Err(Answer::refuse(429, detail, "wait for Retry-After seconds, then try once").with("Retry-After", seconds(wait)))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HERE: IpAddr = IpAddr::V4(std::net::Ipv4Addr::LOCALHOST);
    const THERE: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 7));

    #[test]
    fn five_tries_are_free_then_each_costs_twice_as_long_up_to_a_minute() {
        let (pace, mut now) = (Pace::default(), Timestamp(1_000_000));
        let mut waits = Vec::new();
        for _ in 0..12 {
            pace.failed(HERE, "kim", now);
            let wait = pace.wait(HERE, "kim", now).unwrap_or_default();
            waits.push(wait.as_secs());
            now = now.plus(wait);
            assert_eq!(pace.wait(HERE, "kim", now), None);
        }
        assert_eq!(waits, [0, 0, 0, 0, 0, 2, 4, 8, 16, 32, 60, 60]);
        assert_eq!(pace.wait(THERE, "kim", now), None, "the owner elsewhere is not locked out");
        pace.succeeded(HERE, "KIM");
        pace.failed(HERE, "kim", now);
        assert_eq!(pace.wait(HERE, "kim", now), None);
    }

    #[test]
    fn many_names_from_one_address_and_many_addresses_for_one_name_are_slowed() {
        let (pace, now) = (Pace::default(), Timestamp(1_000_000));
        (0..40).for_each(|number| pace.failed(HERE, &format!("name {number}"), now));
        assert_eq!(pace.wait(HERE, "another", now), Some(Duration::from_secs(60)));
        (0..200u8).for_each(|number| pace.failed(IpAddr::from([198, 51, 100, number]), "admin", now));
        assert_eq!(pace.wait(THERE, "admin", now), Some(Duration::from_secs(5)), "slowed, never locked out");
        assert_eq!(pace.wait(THERE, "admin", now.plus(Duration::from_secs(5))), None);
    }

    #[test]
    fn memory_is_bounded_and_quiet_ones_are_forgotten() {
        let (pace, now) = (Pace::default(), Timestamp(1_000_000));
        (0..6000).for_each(|number| {
            pace.failed(IpAddr::V6(std::net::Ipv6Addr::from_bits(u128::from(number as u64) << 64 | 1 << 127)), &format!("{number}"), now)
        });
        assert!(pace.failures.lock().unwrap().len() <= KEYS_MAX);
        pace.failed(HERE, "x", now.plus(FORGOTTEN_AFTER));
        assert_eq!(pace.failures.lock().unwrap().len(), 3);
    }

    #[test]
    fn the_rate_of_an_application_begins_anew_each_minute() {
        let (pace, now) = (Pace::default(), Timestamp(60_000 * 100 + 15_000));
        let application = ApplicationId(uuid::Uuid::nil());
        assert!((0..3).all(|_| pace.count(application, 3, now).is_none()));
        assert_eq!(pace.count(application, 3, now), Some(Duration::from_secs(45)));
        assert_eq!(pace.count(application, 3, now.plus(Duration::from_secs(45))), None);
    }
}
