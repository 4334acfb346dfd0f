//! The one thread that writes `queue.db`: group commit.
//!
//! Each round takes all that waits (no timer: while one round is on its way to the disk, the next gathers), and
//!   1. runs each step in a savepoint of one transaction, so that a step that fails takes nothing with it;
//!   2. starts the sync of the segment that small payloads were appended to, on its own thread;
//!   3. commits, which syncs the WAL, at the same time;
//!   4. when both are on disk, tells each step's waiter, on a third thread, so that answering clients does not delay the next round.
//!
//! A step of the next round sees only what is on disk in full: a worker can not claim a message whose payload may still be lost. When the
//! segment's sync fails after the commit succeeded, the rows whose payloads it held are removed again before anybody is answered.

use std::fs::File;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, Sender, SyncSender, channel, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

use rusqlite::Connection;

use super::{Cause, StoreError, open};
use crate::files::SegmentWriter;
use crate::model::id::MessageId;
use crate::model::message::PayloadPlace;

/// Steps of one commit at most: a bound on how long the first must wait for the last.
const BATCH_MAX: usize = 256;
/// Payload bytes of one commit at most, for the same reason.
const BATCH_BYTES_MAX: usize = 8 * 1024 * 1024;
/// Size of the WAL at which the checkpoint thread is woken.
const WAL_BYTES_MAX: u64 = 8 * 1024 * 1024;
/// Rounds between looks at the size of the WAL.
const WAL_LOOK_EVERY: u64 = 32;

/// One round of the writer, as a step sees it.
pub struct Batch<'a> {
    /// Inside the round's transaction.
    pub connection: &'a Connection,
    segments: &'a mut SegmentWriter,
    appended: &'a mut Appended,
}

#[derive(Default)]
struct Appended {
    /// Messages whose payloads wait for the segment's sync.
    messages: Vec<MessageId>,
    bytes: usize,
}

impl Batch<'_> {
    /// The segment that payloads are appended to now.
    pub fn current_segment(&self) -> Option<u64> {
        self.segments.synced().map(|(number, _)| number)
    }

    /// Appends a small payload to the current segment and counts it there.
    pub fn append(&mut self, id: MessageId, bytes: &[u8], checksum: u32) -> Result<PayloadPlace, StoreError> {
        let place = match self.segments.append(id, bytes, checksum) {
            Ok(place) => place,
            Err(error) => {
                // What the failed write left behind is unknown: never append after it.
                self.segments.close();
                return Err(StoreError { operation: "append to the segment", cause: Cause::File(error) });
            }
        };
        if let PayloadPlace::Segment { segment, .. } = place {
            let synced = self.segments.synced().map_or(0, |(_, synced)| synced);
            self.connection
                .prepare_cached("INSERT INTO segment (number, live, synced) VALUES (?1, 1, ?2) ON CONFLICT (number) DO UPDATE SET live = live + 1, synced = ?2")
                .and_then(|mut statement| statement.execute((segment, synced)))
                .map_err(StoreError::sqlite("count the segment"))?;
        }
        self.appended.messages.push(id);
        self.appended.bytes += bytes.len();
        Ok(place)
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
    fn run(&mut self, batch: &mut Batch<'_>) -> bool;
    fn finish(self: Box<Self>, failure: Option<&str>);
}

struct Typed<T, W, F> {
    operation: &'static str,
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

enum Order {
    Step(Box<dyn Step>),
    Stop,
}

/// A handle on the writer thread.
pub struct Writer {
    orders: Sender<Order>,
    counters: Arc<(AtomicU64, AtomicU64)>,
    threads: Mutex<Vec<JoinHandle<()>>>,
}

impl Writer {
    /// Starts the writer, its segment syncer, its answering thread and its checkpoint thread.
    pub fn start(connection: Connection, segments: SegmentWriter, path: PathBuf) -> Writer {
        let (orders, receiver) = channel();
        let (sync_orders, sync_receiver) = sync_channel::<(File, SyncSender<std::io::Result<()>>)>(1);
        let (answers, answer_receiver) = channel::<(Vec<Box<dyn Step>>, Option<String>)>();
        let (checkpoints, checkpoint_receiver) = sync_channel::<()>(1);
        let counters = Arc::new((AtomicU64::new(0), AtomicU64::new(0)));
        let wal = PathBuf::from(format!("{}-wal", path.display()));
        let round = Rounds { connection, segments, sync_orders, answers, checkpoints, wal, counters: counters.clone() };
        let threads = vec![
            spawn("store-writer", move || round.serve(&receiver)),
            spawn("store-segment", move || {
                for (file, done) in sync_receiver {
                    // The writer always waits for the answer.
                    let _ = done.send(file.sync_data());
                }
            }),
            spawn("store-answers", move || {
                for (steps, failure) in answer_receiver {
                    for step in steps {
                        step.finish(failure.as_deref());
                    }
                }
            }),
            spawn("store-checkpoint", move || {
                for () in checkpoint_receiver {
                    if let Err(error) = open::open_queue(&path).and_then(|connection| checkpoint(&connection, "PASSIVE")) {
                        log::warn!("queue.db not checkpointed, its log grows until it is: {error}");
                    }
                }
            }),
        ];
        Writer { orders, counters, threads: Mutex::new(threads) }
    }

    pub(super) fn submit<T: Send + 'static>(
        &self,
        operation: &'static str,
        work: impl FnOnce(&mut Batch<'_>) -> Result<T, StoreError> + Send + 'static,
        then: impl FnOnce(Result<T, StoreError>) + Send + 'static,
    ) {
        let step = Box::new(Typed { operation, work: Some(work), result: None, then });
        if let Err(refused) = self.orders.send(Order::Step(step))
            && let Order::Step(step) = refused.0
        {
            step.finish(None);
        }
    }

    /// Counters.
    pub fn commits(&self) -> Commits {
        Commits { rounds: self.counters.0.load(Ordering::Relaxed), steps: self.counters.1.load(Ordering::Relaxed) }
    }

    /// Finishes what waits, checkpoints, ends the threads.
    pub fn stop(&self) {
        let _ = self.orders.send(Order::Stop);
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

fn spawn(name: &str, work: impl FnOnce() + Send + 'static) -> JoinHandle<()> {
    std::thread::Builder::new().name(name.into()).stack_size(512 * 1024).spawn(work).expect("the system starts a thread at start-up")
}

fn checkpoint(connection: &Connection, mode: &str) -> Result<(), StoreError> {
    connection.query_row(&format!("PRAGMA wal_checkpoint({mode})"), [], |_| Ok(())).map_err(StoreError::sqlite("checkpoint"))
}

struct Rounds {
    connection: Connection,
    segments: SegmentWriter,
    sync_orders: SyncSender<(File, SyncSender<std::io::Result<()>>)>,
    answers: Sender<(Vec<Box<dyn Step>>, Option<String>)>,
    checkpoints: SyncSender<()>,
    wal: PathBuf,
    counters: Arc<(AtomicU64, AtomicU64)>,
}

impl Rounds {
    fn serve(mut self, orders: &Receiver<Order>) {
        let mut stopping = false;
        while !stopping {
            let Ok(Order::Step(first)) = orders.recv() else { break };
            let mut appended = Appended::default();
            let mut steps = Vec::with_capacity(16);
            let failure = match self.round(first, orders, &mut steps, &mut appended, &mut stopping) {
                Ok(()) => None,
                Err(reason) => {
                    log::error!("queue.db: commit of {} steps failed, nothing of it was promised: {reason}", steps.len());
                    let _ = self.connection.execute_batch("ROLLBACK");
                    Some(reason)
                }
            };
            let rounds = self.counters.0.fetch_add(1, Ordering::Relaxed);
            self.counters.1.fetch_add(steps.len() as u64, Ordering::Relaxed);
            let _ = self.answers.send((steps, failure));
            if rounds % WAL_LOOK_EVERY == WAL_LOOK_EVERY - 1 && std::fs::metadata(&self.wal).is_ok_and(|wal| wal.len() > WAL_BYTES_MAX) {
                let _ = self.checkpoints.try_send(());
            }
        }
        self.segments.close();
        if let Err(error) = checkpoint(&self.connection, "TRUNCATE") {
            log::warn!("queue.db not checkpointed at the stop, the next start reads its log: {error}");
        }
    }

    /// One round. On an error nothing of the round is kept.
    fn round(
        &mut self,
        first: Box<dyn Step>,
        orders: &Receiver<Order>,
        steps: &mut Vec<Box<dyn Step>>,
        appended: &mut Appended,
        stopping: &mut bool,
    ) -> Result<(), String> {
        let mut next = Some(first);
        // The transaction is begun before the first step is taken out of our hands, so that a failure here is told to it.
        let begun = self.connection.execute_batch("BEGIN IMMEDIATE").map_err(|error| error.to_string());
        while let Some(mut step) = next.take() {
            if begun.is_ok() {
                self.savepoint(&mut step, appended)?;
            }
            steps.push(step);
            if steps.len() < BATCH_MAX && appended.bytes < BATCH_BYTES_MAX {
                match orders.try_recv() {
                    Ok(Order::Step(step)) => next = Some(step),
                    Ok(Order::Stop) => *stopping = true,
                    Err(_) => {}
                }
            }
        }
        begun?;
        let (done, synced) = sync_channel(1);
        let pending = self.segments.file_to_sync().map_err(|error| format!("the segment can not be synced: {error}"))?;
        let syncing = pending.is_some();
        if let Some(file) = pending {
            self.sync_orders.send((file, done)).map_err(|_| "the segment syncer has ended".to_owned())?;
        }
        let committed = self.connection.execute_batch("COMMIT").map_err(|error| error.to_string());
        let synced = match syncing {
            true => synced
                .recv()
                .map_err(|_| "the segment syncer has ended".to_owned())?
                .map_err(|error| format!("the segment was not synced: {error}")),
            false => Ok(()),
        };
        match (&committed, &synced) {
            (Ok(()), Ok(())) => self.segments.mark_synced(),
            (Ok(()), Err(_)) => {
                self.segments.close();
                self.take_back(&appended.messages)?;
            }
            (Err(_), _) => self.segments.close(),
        }
        committed.and(synced)
    }

    fn savepoint(&mut self, step: &mut Box<dyn Step>, appended: &mut Appended) -> Result<(), String> {
        let say = |error: rusqlite::Error| error.to_string();
        let messages = appended.messages.len();
        self.connection.prepare_cached("SAVEPOINT step").and_then(|mut s| s.execute([])).map_err(say)?;
        let worked = step.run(&mut Batch { connection: &self.connection, segments: &mut self.segments, appended });
        if !worked {
            appended.messages.truncate(messages);
            self.connection.prepare_cached("ROLLBACK TO step").and_then(|mut s| s.execute([])).map_err(say)?;
        }
        self.connection.prepare_cached("RELEASE step").and_then(|mut s| s.execute([])).map(|_| ()).map_err(say)
    }

    /// Removes rows whose payloads did not reach the disk.
    fn take_back(&mut self, messages: &[MessageId]) -> Result<(), String> {
        let transaction = self.connection.transaction().map_err(|error| error.to_string())?;
        for message in messages {
            transaction
                .execute(
                    "UPDATE segment SET live = live - 1 WHERE number = (SELECT segment FROM message WHERE id = ?1)",
                    [message.to_string()],
                )
                .map_err(|error| error.to_string())?;
            transaction.execute("DELETE FROM message WHERE id = ?1", [message.to_string()]).map_err(|error| error.to_string())?;
        }
        transaction.commit().map_err(|error| error.to_string())
    }
}
