//! What a worker does next. Different entities run in parallel, one entity in order, a job never overlaps itself where it must not. A message that needs
//! what is busy has its place in a queue: what it waits for is not given to those that come later, or a package would never find all of its entities free.
//!
//! Nothing here is durable: what is wanted after a restart is read from the store again (`Appliance::look_at_queues`).

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use uuid::Uuid;

use crate::model::id::ActivityId;

/// Work for one worker.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Candidate {
    /// Look at this job's queue.
    Import {
        /// The job.
        activity: ActivityId,
    },
    /// Take an export that a client asked for.
    Requested,
    /// Run this export.
    Export {
        /// The job.
        activity: ActivityId,
    },
}

/// Stands among jobs for the exports that clients asked for.
const REQUESTED: ActivityId = ActivityId(Uuid::max());

#[derive(Default)]
struct State {
    wanted: BTreeSet<ActivityId>,
    /// With what only one may have: databases of others.
    exports: BTreeMap<ActivityId, Vec<String>>,
    /// Clients asked for exports; which, the store knows.
    requested: bool,
    /// Workers that look at those, or do one.
    serving_requests: u32,
    /// Exports that are running; one asked for meanwhile waits.
    exporting: BTreeMap<ActivityId, Vec<String>>,
    busy_entities: BTreeSet<String>,
    busy_jobs: HashMap<ActivityId, u32>,
    /// Jobs that could not go on because an entity or the job itself was busy.
    blocked: BTreeSet<ActivityId>,
    /// Of these what the first message that waits needs.
    claims: HashMap<ActivityId, Claim>,
    claimed: u64,
    looking: u32,
    stopping: bool,
}

/// What a message waits for.
struct Claim {
    /// Its place: lower ones came before.
    place: u64,
    entities: Vec<String>,
    /// The look that is under way has found it, too.
    found: bool,
}

impl State {
    /// Whether somebody who came before waits for one of these.
    fn is_claimed(&self, activity: ActivityId, entities: &[String]) -> bool {
        let own = self.claims.get(&activity).map_or(u64::MAX, |claim| claim.place);
        let before = |(other, claim): (&ActivityId, &Claim)| *other != activity && claim.place < own;
        self.claims.iter().any(|(other, claim)| before((other, claim)) && claim.entities.iter().any(|entity| entities.contains(entity)))
    }

    fn claim(&mut self, activity: ActivityId, entities: &[String]) {
        self.claimed += 1;
        let place = self.claimed;
        let claim = self.claims.entry(activity).or_insert_with(|| Claim { place, entities: Vec::new(), found: false });
        if !std::mem::replace(&mut claim.found, true) {
            claim.entities = entities.to_vec();
        }
    }

    fn exports_at(&self, activity: ActivityId) -> bool {
        self.exports.contains_key(&activity) || self.exporting.contains_key(&activity)
    }

    /// Whether these are free for who comes in the place of this job.
    fn is_free(&self, activity: ActivityId, entities: &[String]) -> bool {
        !entities.iter().any(|entity| self.busy_entities.contains(entity)) && !self.is_claimed(activity, entities)
    }

    /// Frees what was reserved: who waited for it looks again.
    fn free(&mut self, entities: &[String]) {
        for entity in entities {
            self.busy_entities.remove(entity);
        }
        self.look_again();
    }

    fn look_again(&mut self) {
        let blocked = std::mem::take(&mut self.blocked);
        self.requested |= blocked.contains(&REQUESTED);
        self.wanted.extend(blocked.into_iter().filter(|activity| *activity != REQUESTED));
    }

    /// The next export that may run now. Those that may not keep their places.
    fn ready(&mut self) -> Option<ActivityId> {
        let waiting: Vec<_> = self.exports.keys().filter(|activity| !self.exporting.contains_key(activity)).copied().collect();
        for activity in waiting {
            let needs = self.exports[&activity].clone();
            if !self.is_free(activity, &needs) {
                self.claim(activity, &needs);
                continue;
            }
            self.exports.remove(&activity);
            if self.claims.remove(&activity).is_some() {
                self.look_again();
            }
            self.busy_entities.extend(needs.iter().cloned());
            self.exporting.insert(activity, needs);
            return Some(activity);
        }
        None
    }
}

/// The shared picture of what is to be done.
#[derive(Default)]
pub struct Dispatch {
    state: Mutex<State>,
    changed: Condvar,
}

impl Dispatch {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A message came, or may be due again.
    pub fn want(&self, activity: ActivityId) {
        if self.state().wanted.insert(activity) {
            self.changed.notify_all();
        }
    }

    /// Asks for an export run that needs these databases of others; asked twice before it starts, it runs once.
    pub fn want_export(&self, activity: ActivityId, databases: Vec<String>) {
        self.state().exports.insert(activity, databases);
        self.changed.notify_all();
    }

    /// A client asked for an export.
    pub fn want_requested(&self) {
        self.state().requested = true;
        self.changed.notify_all();
    }

    /// Reserves the databases of others for an export that a client asked for; `false` when one is busy: those exports are looked at again afterwards.
    pub fn reserve_requested(&self, databases: &[String]) -> bool {
        let mut state = self.state();
        let free = state.is_free(REQUESTED, databases);
        if free {
            // Another that came before may wait for other ones, and keeps its place.
            if state.claims.get(&REQUESTED).is_some_and(|claim| claim.entities == databases) {
                state.claims.remove(&REQUESTED);
            }
            state.busy_entities.extend(databases.iter().cloned());
        } else {
            state.claim(REQUESTED, databases);
            state.blocked.insert(REQUESTED);
        }
        free
    }

    /// Frees databases that were reserved for nothing.
    pub fn free(&self, databases: &[String]) {
        self.state().free(databases);
        self.changed.notify_all();
    }

    /// An export that a client asked for is done, and had these databases; or there was none, or none that may run.
    pub fn requested_done(&self, databases: &[String]) {
        let mut state = self.state();
        state.serving_requests -= 1;
        // Where none waits, who waited behind one looks again.
        let gone = !state.blocked.contains(&REQUESTED) && state.claims.remove(&REQUESTED).is_some();
        if gone || !databases.is_empty() {
            state.free(databases);
        }
        self.changed.notify_all();
    }

    /// Waits for something to look at; `None` when the appliance stops.
    pub fn next(&self) -> Option<Candidate> {
        let mut state = self.state();
        loop {
            if state.stopping {
                return None;
            }
            if std::mem::take(&mut state.requested) {
                state.serving_requests += 1;
                return Some(Candidate::Requested);
            }
            if let Some(activity) = state.ready() {
                return Some(Candidate::Export { activity });
            }
            if let Some(activity) = state.wanted.pop_first() {
                state.looking += 1;
                if let Some(claim) = state.claims.get_mut(&activity) {
                    claim.found = false;
                }
                return Some(Candidate::Import { activity });
            }
            state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Reserves the entities of a message of a job, or whatever else only one may have; `false` when one of them, or an in-order job, is busy, or another
    /// waits for one: the job is looked at again afterwards.
    pub fn reserve(&self, activity: ActivityId, entities: &[String], in_order: bool) -> bool {
        let mut state = self.state();
        let waits = !state.is_free(activity, entities);
        let itself = in_order && state.busy_jobs.contains_key(&activity);
        if waits || itself {
            // One that waits for its own job would not run, however free its entities are.
            if !itself {
                state.claim(activity, entities);
            }
            state.blocked.insert(activity);
            return false;
        }
        state.busy_entities.extend(entities.iter().cloned());
        *state.busy_jobs.entry(activity).or_default() += 1;
        true
    }

    /// The look at a job's queue is over. `more` asks for another.
    pub fn looked(&self, activity: ActivityId, more: bool) {
        let mut state = self.state();
        state.looking -= 1;
        if more {
            state.wanted.insert(activity);
        }
        // What waited has its turn, or is gone: who waited behind it looks again.
        if state.claims.get(&activity).is_some_and(|claim| !claim.found) {
            state.claims.remove(&activity);
            state.look_again();
        }
        self.changed.notify_all();
    }

    /// A message is done: its entities are free, and who waited for them looks again.
    pub fn release(&self, activity: ActivityId, entities: &[String]) {
        let mut state = self.state();
        if let Some(count) = state.busy_jobs.get_mut(&activity) {
            *count -= 1;
            if *count == 0 {
                state.busy_jobs.remove(&activity);
            }
        }
        state.free(entities);
        self.changed.notify_all();
    }

    /// An export run is over.
    pub fn exported(&self, activity: ActivityId) {
        let mut state = self.state();
        let databases = state.exporting.remove(&activity).unwrap_or_default();
        state.free(&databases);
        self.changed.notify_all();
    }

    /// Whether an export is running, or asked for.
    pub fn is_exporting(&self, activity: ActivityId) -> bool {
        self.state().exports_at(activity)
    }

    /// Waits until an export is over, at most so long.
    pub fn wait_for_export(&self, activity: ActivityId, most: Duration) {
        let goes_on = |state: &mut State| !state.stopping && state.exports_at(activity);
        drop(self.changed.wait_timeout_while(self.state(), most, goes_on));
    }

    /// Waits until nothing is wanted and nothing is in work.
    pub fn settle(&self) {
        let mut state = self.state();
        while !(state.stopping
            || state.wanted.is_empty()
                && state.exports.is_empty()
                && !state.requested
                && state.serving_requests == 0
                && state.exporting.is_empty()
                && state.busy_entities.is_empty()
                && state.looking == 0)
        {
            state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Ends all waits.
    pub fn stop(&self) {
        self.state().stopping = true;
        self.changed.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn job(number: u128) -> ActivityId {
        ActivityId(uuid::Uuid::from_u128(number))
    }

    fn look(dispatch: &Dispatch, activity: ActivityId) {
        dispatch.want(activity);
        while dispatch.next() != Some(Candidate::Import { activity }) {}
    }

    fn wanted(dispatch: &Dispatch) -> Vec<ActivityId> {
        dispatch.state().wanted.iter().copied().collect()
    }

    #[test]
    fn what_waits_for_several_entities_has_its_turn_before_those_that_come_later() {
        let (dispatch, [a, b, both]) = (Dispatch::default(), [job(1), job(2), job(3)]);
        let entities = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
        let reserve = |activity, names: &[&str]| {
            look(&dispatch, activity);
            let reserved = dispatch.reserve(activity, &entities(names), false);
            dispatch.looked(activity, false);
            reserved
        };
        assert!(reserve(a, &["A"]) && reserve(b, &["B"]));
        assert!(!reserve(both, &["A", "B"]));
        dispatch.release(a, &entities(&["A"]));
        assert!(!reserve(a, &["A"]), "A is kept for who came before");
        assert!(!reserve(both, &["A", "B"]), "B is busy");
        dispatch.release(b, &entities(&["B"]));
        assert!(!reserve(b, &["B"]));
        assert!(reserve(both, &["A", "B"]), "it keeps its place");
        assert!(!reserve(a, &["A"]) && !reserve(b, &["B"]));
        dispatch.release(both, &entities(&["A", "B"]));
        assert_eq!(wanted(&dispatch), [a, b]);
        assert!(reserve(a, &["A"]) && reserve(b, &["B"]));
    }

    #[test]
    fn a_job_that_waits_for_itself_keeps_nothing_from_others() {
        let (dispatch, [two, a]) = (Dispatch::default(), [job(1), job(2)]);
        let (one, other) = (["A".to_owned()], ["B".to_owned()]);
        look(&dispatch, two);
        assert!(dispatch.reserve(two, &other, true));
        dispatch.looked(two, true);
        look(&dispatch, two);
        assert!(!dispatch.reserve(two, &one, true));
        dispatch.looked(two, false);
        look(&dispatch, a);
        assert!(dispatch.reserve(a, &one, false));
    }

    #[test]
    fn exports_of_a_database_run_one_after_the_other_and_those_of_clients_have_their_turn() {
        let (dispatch, [import, out, other]) = (Dispatch::default(), [job(1), job(2), job(3)]);
        let shop = vec!["[[database]] shop".to_owned()];
        dispatch.want_export(out, shop.clone());
        assert_eq!(dispatch.next(), Some(Candidate::Export { activity: out }));
        dispatch.want_requested();
        assert_eq!(dispatch.next(), Some(Candidate::Requested));
        assert!(!dispatch.reserve_requested(&shop));
        dispatch.requested_done(&[]);
        dispatch.want_export(other, shop.clone());
        // Neither is asked for again before the database is free; an import of something else goes on.
        look(&dispatch, import);
        assert!(dispatch.reserve(import, &["A".to_owned()], false));
        dispatch.looked(import, false);
        dispatch.exported(out);
        assert_eq!(dispatch.next(), Some(Candidate::Requested));
        assert!(dispatch.reserve_requested(&shop), "it came before the other export");
        look(&dispatch, import);
        assert!(!dispatch.reserve(import, &shop, false));
        dispatch.looked(import, false);
        dispatch.requested_done(&shop);
        assert_eq!(dispatch.next(), Some(Candidate::Export { activity: other }));
        dispatch.exported(other);
        assert_eq!(wanted(&dispatch), [import]);
    }

    #[test]
    fn who_waits_behind_a_message_that_is_gone_looks_again() {
        let (dispatch, [a, b, c]) = (Dispatch::default(), [job(1), job(2), job(3)]);
        let one = ["A".to_owned()];
        for activity in [a, b, c] {
            look(&dispatch, activity);
            assert_eq!(dispatch.reserve(activity, &one, false), activity == a);
            dispatch.looked(activity, false);
        }
        dispatch.release(a, &one);
        // The message of b was cancelled meanwhile; c was looked at before that was seen.
        look(&dispatch, c);
        assert!(!dispatch.reserve(c, &one, false));
        dispatch.looked(c, false);
        look(&dispatch, b);
        dispatch.looked(b, false);
        assert_eq!(wanted(&dispatch), [c]);
        look(&dispatch, c);
        assert!(dispatch.reserve(c, &one, false));
    }
}
