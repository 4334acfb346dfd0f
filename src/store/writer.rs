//! All that writes `queue.db`: one round at a time, group commit.
//!
//! A thread that finds nobody writing makes the round itself, with its own step and what others have added; otherwise its step waits for the writer's
//! thread. Each round takes all that waits (no timer: while one round is on its way to the disk, the next gathers), and
//!   1. runs each step in one transaction, in a savepoint unless it is but one statement, so that a step that fails takes nothing with it;
//!   2. writes the small payloads, each with what its row says, to the segment and syncs it (`files/segment.rs`);
//!   3. commits. A round without a [`Durability::Synced`] step is not synced here: a power cut may take its rows from `queue.db`, and recovery makes
//!      them again from the segment (`store/recovery.rs`). So an enqueue costs one sync. All other rounds sync the WAL, and with it those before;
//!   4. tells each step's waiter; many on another thread, so that answering clients does not delay the next round.
//!
//! When the commit fails, the batch is taken out of the segment again before anybody is answered.

use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Sender, SyncSender, channel, sync_channel};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;

use rusqlite::Connection;

use super::messages::NewMessage;
use super::{Cause, StoreError, open, recovery};
use crate::files::segment::SegmentWriter;
use crate::model::message::PayloadPlace;

/// Steps of one commit at most: a bound on how long the first must wait for the last.
const BATCH_MAX: usize = 256;
/// Payload bytes of one commit at most, for the same reason.
const BATCH_BYTES_MAX: usize = 8 * 1024 * 1024;
/// Size of the WAL at which the checkpoint thread is woken.
const WAL_BYTES_MAX: u64 = 8 * 1024 * 1024;
/// Rounds between looks at the size of the WAL.
const WAL_LOOK_EVERY: u64 = 32;

/// When a step is durable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Durability {
    /// Once its waiter is told.
    Synced,
    /// With the next synced round, or after a few seconds: for what nobody was promised.
    Behind,
    /// Once its waiter is told, because the segment holds it ([`Batch::append`]); its row is [`Durability::Behind`]. Such a step changes rows with one
    /// statement, its last, which works as a whole or not at all: it needs no savepoint, which would cost a copy of each page that it touches.
    Journaled,
}

/// One round of the writer, as a step sees it.
pub struct Batch<'a> {
    /// Inside the round's transaction.
    pub connection: &'a Connection,
    segments: &'a mut SegmentWriter,
}

impl Batch<'_> {
    /// The segment that payloads are appended to now.
    pub fn current_segment(&self) -> Option<u64> {
        self.segments.end().map(|end| end.segment)
    }

    /// Adds a small payload to the round's batch, with what its row says.
    pub fn append(&mut self, new: &NewMessage, payload: &[u8]) -> Result<PayloadPlace, StoreError> {
        let facts = serde_json::to_vec(new).expect("a message can be written as JSON");
        self.segments.append(&facts, payload).map_err(StoreError::file("append to the segment"))
    }
}

/// What the writer has done since it started.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Commits {
    /// Commits.
    pub rounds: u64,
    /// Steps in them.
    pub steps: u64,
}

trait Step: Send {
    fn durability(&self) -> Durability;
    fn run(&mut self, batch: &mut Batch<'_>) -> bool;
    fn finish(self: Box<Self>, failure: Option<&str>);
}

struct Typed<T, W, F> {
    operation: &'static str,
    durability: Durability,
    work: Option<W>,
    result: Option<Result<T, StoreError>>,
    then: F,
}

impl<T, W, F> Step for Typed<T, W, F>
where
    T: Send,
    W: FnOnce(&mut Batch<'_>) -> Result<T, StoreError> + Send,
    F: FnOnce(Result<T, StoreError>) + Send,
{
    fn durability(&self) -> Durability {
        self.durability
    }

    fn run(&mut self, batch: &mut Batch<'_>) -> bool {
        let work = self.work.take().expect("a step runs once");
        let operation = self.operation;
        let result = catch_unwind(AssertUnwindSafe(|| work(batch)))
            .unwrap_or_else(|_| Err(StoreError { operation, cause: Cause::Damaged("a bug: the step panicked, see the log".into()) }));
        let worked = result.is_ok();
        self.result = Some(result);
        worked
    }

    fn finish(self: Box<Self>, failure: Option<&str>) {
        let Typed { operation, result, then, .. } = *self;
        let result = match (result, failure) {
            (Some(Ok(_)), Some(reason)) => Err(StoreError { operation, cause: Cause::Commit(reason.to_owned()) }),
            (Some(result), _) => result,
            (None, _) => Err(StoreError { operation, cause: Cause::Stopping }),
        };
        then(result);
    }
}

/// The steps that wait for a round.
#[derive(Default)]
struct Waiting {
    steps: VecDeque<Box<dyn Step>>,
    stopping: bool,
}

#[derive(Default)]
struct Queue {
    waiting: Mutex<Waiting>,
    changed: Condvar,
}

impl Queue {
    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The next step, if there is one that such a round takes: a round without a sync ends before a step that wants one.
    fn next_for(&self, synced: bool) -> Option<Box<dyn Step>> {
        let mut waiting = self.lock();
        let fits = waiting.steps.front().is_some_and(|step| synced || step.durability() != Durability::Synced);
        if fits { waiting.steps.pop_front() } else { None }
    }

    /// Waits for a step; `None` when the writer stops and all are done.
    fn next(&self) -> Option<Box<dyn Step>> {
        let mut waiting = self.lock();
        loop {
            if let Some(step) = waiting.steps.pop_front() {
                return Some(step);
            }
            if waiting.stopping {
                return None;
            }
            waiting = self.changed.wait(waiting).unwrap_or_else(PoisonError::into_inner);
        }
    }
}

/// All that writes to `queue.db`.
pub struct Writer {
    queue: Arc<Queue>,
    rounds: Arc<Mutex<Rounds>>,
    counters: Arc<(AtomicU64, AtomicU64)>,
    threads: Mutex<Vec<JoinHandle<()>>>,
}

impl Writer {
    /// Starts the writer, its answering thread and its checkpoint thread.
    pub fn start(connection: Connection, segments: SegmentWriter, path: PathBuf) -> Writer {
        let (answers, answer_receiver) = channel::<Finished>();
        let (checkpoints, checkpoint_receiver) = sync_channel::<()>(1);
        let (queue, counters) = (Arc::<Queue>::default(), Arc::<(AtomicU64, AtomicU64)>::default());
        let wal = PathBuf::from(format!("{}-wal", path.display()));
        let rounds = Rounds {
            connection,
            segments,
            synced: true,
            queue: queue.clone(),
            links: Some((answers, checkpoints)),
            wal,
            counters: counters.clone(),
        };
        let rounds = Arc::new(Mutex::new(rounds));
        let of_thread = (queue.clone(), rounds.clone());
        let threads = vec![
            spawn("store-writer", move || {
                let (queue, rounds) = of_thread;
                while let Some(first) = queue.next() {
                    let finished = lock(&rounds).round(first);
                    finished.tell();
                }
                lock(&rounds).end();
            }),
            spawn("store-answers", move || answer_receiver.into_iter().for_each(Finished::tell_all)),
            spawn("store-checkpoint", move || {
                for () in checkpoint_receiver {
                    if let Err(error) = open::open_queue(&path).and_then(|connection| checkpoint(&connection, "PASSIVE")) {
                        log::warn!("queue.db not checkpointed, its log grows until it is: {error}");
                    }
                }
            }),
        ];
        Writer { queue, rounds, counters, threads: Mutex::new(threads) }
    }

    /// Adds a step to the next round, which begins with [`Writer::write`] or [`Writer::begin`], or when the round under way is over.
    pub(super) fn add<T: Send + 'static>(
        &self,
        operation: &'static str,
        durability: Durability,
        work: impl FnOnce(&mut Batch<'_>) -> Result<T, StoreError> + Send + 'static,
        then: impl FnOnce(Result<T, StoreError>) + Send + 'static,
    ) {
        let step = Box::new(Typed { operation, durability, work: Some(work), result: None, then });
        let mut waiting = self.queue.lock();
        if waiting.stopping {
            drop(waiting);
            return step.finish(None);
        }
        waiting.steps.push_back(step);
    }

    /// Writes what waits: on this thread when nobody writes, which is faster than a message to another; else the writer's thread does it next.
    pub(super) fn write(&self) {
        let Ok(mut rounds) = self.rounds.try_lock() else { return self.begin() };
        let first = self.queue.lock().steps.pop_front();
        let finished = first.map(|first| rounds.round(first));
        drop(rounds);
        // Who came meanwhile has found somebody writing, and relies on the writer's thread.
        if !self.queue.lock().steps.is_empty() {
            self.begin();
        }
        if let Some(finished) = finished {
            finished.tell();
        }
    }

    /// Lets the writer's thread begin with what waits.
    pub(super) fn begin(&self) {
        self.queue.changed.notify_one();
    }

    /// Counters.
    pub fn commits(&self) -> Commits {
        Commits { rounds: self.counters.0.load(Ordering::Relaxed), steps: self.counters.1.load(Ordering::Relaxed) }
    }

    /// Finishes what waits, checkpoints, ends the threads.
    pub fn stop(&self) {
        self.queue.lock().stopping = true;
        self.queue.changed.notify_all();
        for thread in self.threads.lock().unwrap_or_else(PoisonError::into_inner).drain(..) {
            let _ = thread.join();
        }
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.stop();
    }
}

fn lock(rounds: &Mutex<Rounds>) -> MutexGuard<'_, Rounds> {
    rounds.lock().unwrap_or_else(PoisonError::into_inner)
}

fn spawn(name: &str, work: impl FnOnce() + Send + 'static) -> JoinHandle<()> {
    std::thread::Builder::new().name(name.into()).stack_size(512 * 1024).spawn(work).expect("the system starts a thread at start-up")
}

fn checkpoint(connection: &Connection, mode: &str) -> Result<(), StoreError> {
    connection.query_row(&format!("PRAGMA wal_checkpoint({mode})"), [], |_| Ok(())).map_err(StoreError::sqlite("checkpoint"))
}

/// The steps of a round that is over, and why it failed if it did.
struct Finished {
    steps: Vec<Box<dyn Step>>,
    failure: Option<String>,
    /// Where many steps are told.
    answers: Option<Sender<Finished>>,
}

impl Finished {
    /// Tells the waiters, whoever has the writer by now. Many are told on a thread of their own, so that the next round need not wait for it.
    fn tell(mut self) {
        match self.answers.take() {
            // When that thread has ended nobody waits any more.
            Some(answers) if self.steps.len() > 1 => drop(answers.send(self)),
            _ => self.tell_all(),
        }
    }

    fn tell_all(self) {
        for step in self.steps {
            step.finish(self.failure.as_deref());
        }
    }
}

struct Rounds {
    connection: Connection,
    segments: SegmentWriter,
    /// Whether commits are synced as it is set now.
    synced: bool,
    queue: Arc<Queue>,
    /// To the answering thread and the checkpoint thread, until the end.
    links: Option<(Sender<Finished>, SyncSender<()>)>,
    wal: PathBuf,
    counters: Arc<(AtomicU64, AtomicU64)>,
}

impl Rounds {
    /// One round, with this step first.
    fn round(&mut self, first: Box<dyn Step>) -> Finished {
        let mut steps = Vec::with_capacity(16);
        let failure = self.commit(first, &mut steps).err();
        if let Some(reason) = &failure {
            log::error!("queue.db: commit of {} steps failed, nothing of it was promised: {reason}", steps.len());
            self.segments.forget();
            let _ = self.connection.execute_batch("ROLLBACK");
        }
        let rounds = self.counters.0.fetch_add(1, Ordering::Relaxed);
        self.counters.1.fetch_add(steps.len() as u64, Ordering::Relaxed);
        if rounds % WAL_LOOK_EVERY == WAL_LOOK_EVERY - 1
            && std::fs::metadata(&self.wal).is_ok_and(|wal| wal.len() > WAL_BYTES_MAX)
            && let Some((_, checkpoints)) = &self.links
        {
            let _ = checkpoints.try_send(());
        }
        Finished { steps, failure, answers: self.links.as_ref().map(|(answers, _)| answers.clone()) }
    }

    /// The writer stops: nothing comes any more.
    fn end(&mut self) {
        self.links = None;
        self.segments.close();
        if let Err(error) = checkpoint(&self.connection, "TRUNCATE") {
            log::warn!("queue.db not checkpointed at the stop, the next start reads its log: {error}");
        }
        // Closed now, and not when the last owner of the store goes: nobody can remove or replace an open file on Windows. Nothing is written after this.
        if let Ok(nothing) = Connection::open_in_memory() {
            self.connection = nothing;
        }
    }

    /// Runs this step and those that wait, and commits them. On an error nothing of the round is kept.
    fn commit(&mut self, first: Box<dyn Step>, steps: &mut Vec<Box<dyn Step>>) -> Result<(), String> {
        let synced = first.durability() == Durability::Synced;
        let mut next = Some(first);
        // Every step is in `steps` before anything can go wrong, so that it is told.
        let begun = self.begin(synced).map_err(|error| error.to_string());
        while let Some(step) = next.take() {
            steps.push(step);
            if let (Ok(()), Some(step)) = (&begun, steps.last_mut()) {
                self.run(&mut **step)?;
            }
            if steps.len() < BATCH_MAX && self.segments.batch_bytes() < BATCH_BYTES_MAX {
                next = self.queue.next_for(synced);
            }
        }
        begun?;
        let from = self.segments.end();
        if let Some(pending) = self.segments.pending() {
            recovery::reach(&self.connection, &pending).map_err(|error| error.to_string())?;
        }
        self.segments.seal().map_err(|error| format!("the segment was not written: {error}"))?;
        self.execute("COMMIT").inspect_err(|_| {
            if let Some(from) = from.filter(|from| self.segments.end() != Some(*from))
                && let Err(error) = self.segments.unseal(from.offset)
            {
                log::error!(
                    "segment {}: a batch whose rows were not committed could not be taken back, its messages may appear after a restart: {error}",
                    from.segment
                );
            }
        })
    }

    fn begin(&mut self, synced: bool) -> Result<(), rusqlite::Error> {
        if synced != self.synced {
            self.connection.pragma_update(None, "synchronous", if synced { "FULL" } else { "NORMAL" })?;
            self.synced = synced;
        }
        self.connection.prepare_cached("BEGIN IMMEDIATE")?.execute([]).map(|_| ())
    }

    fn run(&mut self, step: &mut dyn Step) -> Result<(), String> {
        let mark = self.segments.mark();
        let savepoint = step.durability() != Durability::Journaled;
        if savepoint {
            self.execute("SAVEPOINT step")?;
        }
        let worked = step.run(&mut Batch { connection: &self.connection, segments: &mut self.segments });
        if !worked {
            self.segments.back_to(&mark);
        }
        if self.connection.is_autocommit() {
            // What SQLite does when it has no room for what it needs.
            return Err("SQLite has taken the whole transaction back, the disk may be full".into());
        }
        match (savepoint, worked) {
            (false, _) => Ok(()),
            (true, true) => self.execute("RELEASE step"),
            (true, false) => self.execute("ROLLBACK TO step").and_then(|()| self.execute("RELEASE step")),
        }
    }

    fn execute(&self, sql: &str) -> Result<(), String> {
        self.connection.prepare_cached(sql).and_then(|mut statement| statement.execute([])).map(|_| ()).map_err(|error| error.to_string())
    }
}
