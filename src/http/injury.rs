//! Strikes requests as `[[fault]]` says: before they are carried out, or in the place of their answer.

use std::sync::atomic::{AtomicU64, Ordering};

use super::{Answer, Call};
use crate::appliance::Appliance;
use crate::model::injury::{Effect, Fault, Target};

/// The faults of a configuration, with how many requests each has seen and struck. A changed configuration begins anew.
#[derive(Default)]
pub struct Faults(Vec<(Fault, AtomicU64, AtomicU64)>);

impl Faults {
    /// Those of a configuration.
    pub fn new(faults: &[Fault]) -> Faults {
        Faults(faults.iter().map(|fault| (fault.clone(), AtomicU64::new(0), AtomicU64::new(0))).collect())
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// What happens to the next request for this: every fault that covers it counts it, and each that strikes has its effect.
    fn next(&self, target: Target) -> Vec<Effect> {
        let covering = self.0.iter().filter(|(fault, ..)| fault.on.covers(target));
        let struck = covering.filter(|(fault, seen, struck)| {
            let number = seen.fetch_add(1, Ordering::SeqCst) + 1;
            fault.when.strikes(number) && {
                let before = struck.fetch_add(1, Ordering::SeqCst);
                fault.times.is_none_or(|times| before < times)
            }
        });
        struck.map(|(fault, ..)| fault.effect).collect()
    }
}

/// What a request is for; `None` for what no fault concerns.
fn target(method: &str, path: &[&str]) -> Option<Target> {
    Some(match path {
        ["api", "connector", verb, _] => match *verb {
            "enqueue" => Target::Enqueue,
            "jobstatus" => Target::Jobstatus,
            "dequeue" => Target::Dequeue,
            "download" => Target::Download,
            "ack" => Target::Ack,
            _ => return None,
        },
        ["data", _, _] if method == "POST" => Target::Action,
        ["data", ..] => Target::Data,
        [super::blob::CONTAINER, ..] => Target::Blob,
        [_, "oauth2", "token"] | [_, "oauth2", "v2.0", "token"] => Target::Token,
        _ => return None,
    })
}

/// Lets the faults have their way with a call; gives it back when it is to be carried out. `path` is in lower case.
pub fn strike(appliance: &Appliance, mut call: Call, path: &[&str]) -> Option<Call> {
    let live = appliance.live();
    if live.faults.is_empty() {
        return Some(call);
    }
    for effect in target(&call.method, path).map(|target| live.faults.next(target)).unwrap_or_default() {
        log::warn!(
            "fault struck effect=\"{effect:?}\" request=\"{} /{}\" peer={}",
            call.method,
            path.join("/").escape_debug(),
            call.peer()
        );
        match effect {
            Effect::Refuse(status, wait) => {
                let answer =
                    Answer::refuse(status, "a [[fault]] of the configuration refuses this request", "send it again after Retry-After");
                call.answer(answer.with("Retry-After", wait.as_secs().max(1).to_string()));
                return None;
            }
            Effect::ExpiredToken => {
                let challenge = "Bearer realm=\"entrepot\", error=\"invalid_token\", error_description=\"the access token was over\"";
                let answer = Answer::refuse(401, "the access token was over: a [[fault]] of the configuration says so", "fetch a new one");
                call.answer(answer.with("WWW-Authenticate", challenge));
                return None;
            }
            Effect::CutBefore => {
                call.cut = true;
                call.answer(Answer::empty(204));
                return None;
            }
            Effect::CutAfter => call.cut = true,
            Effect::Slow(rate) => call.slow = Some(rate),
            Effect::ShortLease(lease) => call.lease = Some(lease),
            Effect::Clock(by) => {
                if !appliance.clock.advance(by) {
                    log::warn!("clock not moved reason=\"only that of entrepot serve --memory can be\"");
                }
            }
        }
    }
    Some(call)
}
