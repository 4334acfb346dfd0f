//! Messages whose end could not be written: the disk was full, or the worker met a bug of ours. Nothing stays in work for ever: with every tick of the
//! scheduler each goes back to the queue, as soon as that can be written. What had been loaded is found by its message id, and not repeated.

use std::sync::{Mutex, PoisonError};

use crate::appliance::Appliance;
use crate::model::id::{ActivityId, ExecutionId, MessageId};
use crate::model::retry::{self, Verdict};
use crate::model::time::Timestamp;
use crate::store::{StoreError, executions, messages};

/// A message that is in work for the store, and for nobody else.
#[derive(Clone, Debug)]
pub struct Stranded {
    /// The message.
    pub message: MessageId,
    /// The execution that did not come to its end.
    pub execution: Option<ExecutionId>,
    /// Its job.
    pub activity: ActivityId,
    /// Tries so far.
    pub attempts: u32,
    /// What happened, for people.
    pub reason: String,
    /// The worker panicked: after the last try the message fails, or it would for ever.
    pub panicked: bool,
}

/// Keeps them until they are back in the queue.
#[derive(Default)]
pub struct Rescuer(Mutex<Vec<Stranded>>);

impl Rescuer {
    /// Takes one in its care.
    pub fn strand(&self, stranded: Stranded) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(stranded);
    }

    /// Gives all back to the queue.
    ///
    /// # Errors
    /// When the store cannot be written yet; they stay here until the next time.
    pub fn rescue(&self, appliance: &Appliance, now: Timestamp) -> Result<(), StoreError> {
        loop {
            let Some(first) = self.0.lock().unwrap_or_else(PoisonError::into_inner).first().cloned() else { return Ok(()) };
            let id = first.message;
            let met = appliance.store.read("count the bugs", |connection| messages::deferred_for(connection, id, &first.reason))?;
            let next = match retry::after(first.attempts) {
                _ if first.panicked && met + 1 >= retry::CRASHES_MAX => None,
                Verdict::Again(wait) => Some(now.plus(wait)),
                Verdict::GiveUp => Some(now.plus(retry::RETRY_DELAY_MAX)),
            };
            let reason = first.reason.clone();
            appliance.store.write("rescue the message", move |batch| {
                if let Some(execution) = &first.execution {
                    executions::fail(batch.connection, execution, first.activity, 0, &reason, now)?;
                }
                match next {
                    Some(next) => messages::defer(batch.connection, id, next, &reason, now),
                    None => messages::fail(batch.connection, id, &reason, now),
                }
            })?;
            match next {
                Some(next) => log::warn!("message rescued message={id} next_try={next}"),
                None => log::error!("message failed message={id}; it is kept, replay it when the cause is mended"),
            }
            self.0.lock().unwrap_or_else(PoisonError::into_inner).retain(|stranded| stranded.message != id);
        }
    }
}
