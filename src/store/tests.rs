//! The queue through its public face: promises, moves, group commit, recovery.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, mpsc};
use std::time::Duration;

use uuid::Uuid;

use super::messages::{self, Acked, Enqueued, NewMessage, Payload};
use super::{Batch, Cause, Durability, Store, StoreError, executions, jobs};
use crate::files::digest;
use crate::model::execution::RowCounts;
use crate::model::id::{ActivityId, ApplicationId, ExecutionId, MessageId, PopReceipt};
use crate::model::project::Direction;
use crate::model::retry::CRASHES_MAX;
use crate::model::state::MessageState;
use crate::model::time::Timestamp;

const NOW: Timestamp = Timestamp(1_800_000_000_000);

fn job(store: &Store) -> ActivityId {
    let activity = ActivityId(Uuid::new_v4());
    store.write("register", move |batch| jobs::register(batch.connection, activity, "a job", NOW)).unwrap();
    activity
}

fn message(activity: ActivityId, direction: Direction, bytes: &[u8], external_id: Option<&str>) -> (NewMessage, Payload) {
    let digested = digest(bytes);
    let new = NewMessage {
        id: MessageId(Uuid::now_v7()),
        activity_id: activity,
        direction,
        entity: "Customer groups".into(),
        content: Default::default(),
        run_now: false,
        stage_only: false,
        company: None,
        external_id: external_id.map(str::to_owned),
        application_id: None,
        size: digested.size,
        sha256: digested.sha256,
        checksum: digested.checksum,
        received_at: NOW,
        execution_id: None,
        counts: RowCounts::default(),
        findings: 0,
        replay_of: None,
        continues: None,
    };
    (new, Payload::Small(bytes.to_vec()))
}

fn enqueue(store: &Store, activity: ActivityId, direction: Direction, bytes: &[u8], external_id: Option<&str>) -> Enqueued {
    let (new, payload) = message(activity, direction, bytes, external_id);
    store.write("enqueue", move |batch| messages::enqueue(batch, &new, payload, Timestamp(0))).unwrap()
}

fn id_of(enqueued: Enqueued) -> MessageId {
    match enqueued {
        Enqueued::New(id) | Enqueued::Repeat(id) => id,
    }
}

fn state_of(store: &Store, id: MessageId) -> MessageState {
    store.read("find", |connection| messages::find(connection, id)).unwrap().unwrap().state
}

fn counts(store: &Store, activity: ActivityId) -> Vec<(MessageState, u64)> {
    let record = store.read("job", |connection| jobs::find(connection, activity)).unwrap().unwrap();
    record.states.into_iter().filter(|(_, count)| *count > 0).collect()
}

#[test]
fn the_same_bytes_with_the_same_external_identifier_are_one_message() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path()).unwrap();
    let activity = job(&store);
    let first = enqueue(&store, activity, Direction::Import, b"one", Some("a.csv"));
    assert_eq!(enqueue(&store, activity, Direction::Import, b"one", Some("a.csv")), Enqueued::Repeat(id_of(first)));
    assert!(matches!(enqueue(&store, activity, Direction::Import, b"two", Some("a.csv")), Enqueued::New(_)), "other bytes");
    assert!(matches!(enqueue(&store, activity, Direction::Import, b"one", Some("b.csv")), Enqueued::New(_)), "another identifier");
    assert!(matches!(enqueue(&store, activity, Direction::Import, b"one", None), Enqueued::New(_)), "no identifier");
    assert_eq!(counts(&store, activity), [(MessageState::Queued, 4)]);
}

#[test]
fn an_acked_message_never_returns_and_only_the_latest_receipt_counts() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path()).unwrap();
    let activity = job(&store);
    let id = id_of(enqueue(&store, activity, Direction::Export, b"package", None));
    let take = |receipt: &str, at: i64| {
        let receipt = PopReceipt(receipt.into());
        store
            .write("dequeue", move |batch| messages::dequeue(batch.connection, activity, &receipt, Timestamp(at + 1000), Timestamp(at)))
            .unwrap()
    };
    let ack = |receipt: &str| {
        let receipt = PopReceipt(receipt.into());
        store.write("ack", move |batch| messages::ack(batch.connection, activity, id, &receipt, NOW)).unwrap()
    };
    assert_eq!(take("r1", 0).unwrap().0.id, id);
    assert!(take("r2", 0).is_none(), "a dequeued message is hidden");
    assert!(store.write("leases", |batch| messages::return_leases(batch.connection, Timestamp(999))).unwrap().is_empty());
    assert_eq!(store.write("leases", |batch| messages::return_leases(batch.connection, Timestamp(1000))).unwrap(), [id]);
    let (_, before) = take("r3", 2000).unwrap();
    assert_eq!(before, Some(Timestamp(0)), "the time of the dequeue before is told");
    assert_eq!(ack("r1"), Acked::NotLatest, "a late client can not remove what another holds");
    assert_eq!(ack("r3"), Acked::Now);
    assert_eq!(ack("r3"), Acked::Before);
    assert!(store.write("leases", |batch| messages::return_leases(batch.connection, Timestamp(i64::MAX))).unwrap().is_empty());
    assert!(take("r4", 9000).is_none());
    assert_eq!(counts(&store, activity), [(MessageState::Acked, 1)]);
}

/// Keeps the writer busy while this runs, so that what it asks for waits and shares the next round.
fn while_busy<T>(store: &Store, ask: impl FnOnce() -> T) -> T {
    let (busy, is_busy) = mpsc::channel();
    let (release, released) = mpsc::channel::<()>();
    std::thread::scope(|scope| {
        scope.spawn(move || {
            store.write_behind("keep busy", move |_| {
                busy.send(()).unwrap();
                released.recv().unwrap();
                Ok(())
            })
        });
        is_busy.recv().unwrap();
        let asked = ask();
        release.send(()).unwrap();
        asked
    })
}

#[test]
fn a_step_that_fails_takes_nothing_of_its_round_with_it() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path()).unwrap();
    let activity = job(&store);
    let (sender, receiver) = mpsc::channel();
    let before = store.commits();
    while_busy(&store, || {
        for number in 0..50 {
            let (new, payload) = message(activity, Direction::Import, format!("payload {number}").as_bytes(), None);
            let sender = sender.clone();
            store.write_then(
                "enqueue",
                Durability::Behind,
                move |batch| {
                    let enqueued = messages::enqueue(batch, &new, payload, NOW)?;
                    match number % 3 {
                        0 => Err(StoreError { operation: "test", cause: Cause::Damaged("on purpose".into()) }),
                        1 if number == 25 => panic!("on purpose"),
                        _ => Ok(enqueued),
                    }
                },
                move |result| sender.send((number, result.is_ok())).unwrap(),
            );
        }
    });
    drop(sender);
    let kept = receiver
        .iter()
        .inspect(|(number, ok)| assert_eq!(*ok, number % 3 != 0 && *number != 25, "step {number}"))
        .filter(|(_, ok)| *ok)
        .count();
    assert_eq!(counts(&store, activity), [(MessageState::Queued, kept as u64)]);
    // The one that kept it busy is of the first; everything else shares one commit or two.
    assert!(store.commits().rounds - before.rounds <= 3, "{:?}", store.commits());
}

#[test]
fn concurrent_enqueues_share_commits_and_all_read_back_after_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path()).unwrap();
    let activity = job(&store);
    let before = store.commits();
    let answered = Arc::new(AtomicUsize::new(0));
    let (sender, receiver) = mpsc::channel();
    while_busy(&store, || {
        for number in 0..500u32 {
            let (new, payload) = message(activity, Direction::Import, &number.to_le_bytes(), None);
            let (sender, answered) = (sender.clone(), answered.clone());
            let id = new.id;
            store.write_then(
                "enqueue",
                Durability::Behind,
                move |batch| messages::enqueue(batch, &new, payload, NOW),
                move |result| {
                    result.unwrap();
                    answered.fetch_add(1, Ordering::SeqCst);
                    sender.send((number, id)).unwrap();
                },
            );
        }
    });
    drop(sender);
    let ids: Vec<_> = receiver.iter().collect();
    assert_eq!(answered.load(Ordering::SeqCst), 500);
    let after = store.commits();
    assert!(after.rounds - before.rounds <= 4, "256 steps a commit: {after:?}");
    store.close();

    let store = Store::open(dir.path()).unwrap();
    for (number, id) in ids {
        let message = store.read("find", |connection| messages::find(connection, id)).unwrap().unwrap();
        let mut bytes = Vec::new();
        std::io::Read::read_to_end(&mut store.spool().open_payload(&message.place, message.size, message.checksum).unwrap(), &mut bytes)
            .unwrap();
        assert_eq!(bytes, number.to_le_bytes());
    }
}

fn queue_files(dir: &std::path::Path) -> Vec<(std::path::PathBuf, Option<Vec<u8>>)> {
    ["queue.db", "queue.db-wal", "queue.db-shm"].map(|name| dir.join(name)).map(|path| (path.clone(), std::fs::read(path).ok())).into()
}

/// Gives `queue.db` back its state of before, as a power cut does with what was not synced.
fn cut_power(files: Vec<(std::path::PathBuf, Option<Vec<u8>>)>) {
    for (path, bytes) in files {
        match bytes {
            Some(bytes) => std::fs::write(path, bytes).unwrap(),
            None => drop(std::fs::remove_file(path)),
        }
    }
}

#[test]
fn rows_that_a_power_cut_took_are_made_again_from_the_segments_with_all_that_they_said() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path()).unwrap();
    let activity = job(&store);
    let enqueue_behind = |new: NewMessage, payload| {
        let (sender, receiver) = mpsc::channel();
        store.write_then(
            "enqueue",
            Durability::Behind,
            move |batch| messages::enqueue(batch, &new, payload, Timestamp(0)),
            move |result| sender.send(result).unwrap(),
        );
        receiver.recv().unwrap()
    };
    let known = id_of(enqueue(&store, activity, Direction::Import, b"known", None));
    let before = queue_files(dir.path());
    let (plain, payload) = message(activity, Direction::Import, b"plain", None);
    enqueue_behind(plain.clone(), payload).unwrap();
    let (mut full, payload) = message(activity, Direction::Import, b"full", Some("a \"name\" \u{e9}\n"));
    full.company = Some("usmf".into());
    full.application_id = Some(ApplicationId(Uuid::new_v4()));
    full.content = crate::model::message::Content::Package;
    full.run_now = true;
    full.stage_only = true;
    full.received_at = NOW.plus(Duration::from_millis(7));
    full.replay_of = None;
    full.continues = Some(known);
    enqueue_behind(full.clone(), payload).unwrap();
    // A step that failed leaves nothing, and neither does a repeat.
    let (mut orphan, payload) = message(ActivityId(Uuid::new_v4()), Direction::Import, b"of no job", None);
    orphan.application_id = None;
    assert!(enqueue_behind(orphan, payload).is_err());
    let (again, payload) = message(activity, Direction::Import, b"plain", None);
    enqueue_behind(again.clone(), payload).unwrap();
    let row = |store: &Store, id| {
        let mut all = store.read("find", |connection| messages::find(connection, id)).unwrap().unwrap();
        let mut bytes = Vec::new();
        std::io::Read::read_to_end(&mut store.spool().open_payload(&all.place, all.size, all.checksum).unwrap(), &mut bytes).unwrap();
        all.reason = None;
        (all, bytes)
    };
    let ids = [known, plain.id, full.id, again.id];
    let rows = ids.map(|id| row(&store, id));
    store.close();
    drop(store);
    cut_power(before);

    let store = Store::open(dir.path()).unwrap();
    assert_eq!(ids.map(|id| row(&store, id)), rows);
    assert_eq!(counts(&store, activity), [(MessageState::Queued, 4)]);
    // It loads nothing, and takes nothing along.
    assert_eq!(store.read("now", |connection| messages::newest_run_now(connection, activity)).unwrap(), None);
    let live: u64 = store.read("live", |connection| connection.query_row("SELECT sum(live) FROM segment", [], |row| row.get(0))).unwrap();
    assert_eq!(live, 4);
    store.close();
    drop(store);
    let store = Store::open(dir.path()).unwrap();
    assert_eq!(counts(&store, activity), [(MessageState::Queued, 4)], "a second start finds nothing more");
}

#[test]
fn what_was_pruned_does_not_come_back_from_a_segment() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path()).unwrap();
    let activity = job(&store);
    for number in 0..3u8 {
        enqueue(&store, activity, Direction::Import, &[number], None);
    }
    store.write("forget", |batch| batch.connection.execute("DELETE FROM message", []).map_err(StoreError::sqlite("test"))).unwrap();
    store.close();
    drop(store);
    let store = Store::open(dir.path()).unwrap();
    assert_eq!(counts(&store, activity), []);
}

#[test]
fn a_message_that_ends_the_appliance_each_time_is_given_up_and_seen() {
    let dir = tempfile::tempdir().unwrap();
    let mut store = Store::open(dir.path()).unwrap();
    let activity = job(&store);
    let id = id_of(enqueue(&store, activity, Direction::Import, b"x", None));
    for attempt in 1..=CRASHES_MAX {
        let claimed = store.write("claim", move |batch| messages::claim(batch.connection, id, &ExecutionId("e".into()), NOW)).unwrap();
        assert_eq!(claimed.map(|message| message.attempts), Some(attempt));
        let begin =
            move |batch: &mut Batch<'_>| executions::begin(batch.connection, &ExecutionId("e".into()), activity, "P", Some(id), 0, NOW);
        store.write("begin", begin).unwrap();
        store.close();
        store = Store::open(dir.path()).unwrap();
    }
    assert_eq!(state_of(&store, id), MessageState::Failed);
    let attention = messages::Selection { attention: true, limit: 9, ..Default::default() };
    let seen = store.read("list", |connection| messages::list(connection, &attention)).unwrap();
    assert_eq!(
        seen[0].reason.as_deref(),
        Some(
            "the appliance ended 8 times while it was in work; rows that the last try may have loaded are not in the counts, and are not loaded again"
        )
    );
    let execution = store.read("find", |connection| executions::find(connection, "e")).unwrap().unwrap();
    assert_eq!((execution.outcome.as_str(), execution.finished_at), ("failed", Some(NOW)));
}

#[test]
fn an_export_that_a_client_asked_for_and_that_ends_the_appliance_each_time_is_given_up() {
    let dir = tempfile::tempdir().unwrap();
    let mut store = Store::open(dir.path()).unwrap();
    let activity_id = job(&store);
    let id = |name: &str| ExecutionId(name.into());
    for name in ["ends", "waits"] {
        let asked = executions::Requested {
            id: id(name),
            activity_id,
            project: "P".into(),
            application_id: ApplicationId(Uuid::new_v4()),
            message_id: None,
            scope: Default::default(),
        };
        let at = NOW.plus(Duration::from_secs(u64::from(name == "waits")));
        store.write("ask", move |batch| executions::request(batch.connection, &asked, true, at)).unwrap();
    }
    let find = |store: &Store, name: &str| store.read("find", |connection| executions::find(connection, name)).unwrap().unwrap();
    for _ in 1..=CRASHES_MAX {
        assert_eq!(find(&store, "ends").outcome, "requested");
        let claimed = store.write("claim", move |batch| executions::claim_requested(batch.connection, &id("ends"), NOW)).unwrap();
        assert_eq!(claimed.unwrap().0.id, id("ends"));
        store.close();
        store = Store::open(dir.path()).unwrap();
    }
    let ended = find(&store, "ends");
    assert_eq!(
        (ended.outcome.as_str(), ended.finished_at, ended.reason.as_deref()),
        ("failed", Some(NOW), Some("the appliance ended while it ran"))
    );
    assert_eq!(find(&store, "waits").outcome, "requested", "what only waited is nobody's fault");
}

#[test]
fn a_message_in_work_at_a_crash_is_queued_again_and_its_moves_are_one_way() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path()).unwrap();
    let activity = job(&store);
    let id = id_of(enqueue(&store, activity, Direction::Import, b"x", None));
    let claim = |store: &Store| {
        store
            .write("claim", move |batch| messages::claim(batch.connection, id, &ExecutionId("e".into()), NOW))
            .unwrap()
            .map(|message| message.attempts)
    };
    assert_eq!(claim(&store), Some(1));
    assert_eq!(claim(&store), None, "a claimed message is nobody else's");
    store.close();
    let store = Store::open(dir.path()).unwrap();
    assert_eq!(claim(&store), Some(2));
    let later = NOW.plus(Duration::from_secs(5));
    assert!(store.write("defer", move |batch| messages::defer(batch.connection, id, later, "busy", NOW)).unwrap());
    assert_eq!(claim(&store), None, "not before its next try");
    assert_eq!(store.read("due", messages::next_due).unwrap(), Some(later));
    let report = |store: &Store, state| {
        store.write("report", move |batch| messages::report(batch.connection, id, state, &RowCounts::default(), 0, None, None, NOW))
    };
    assert!(!report(&store, MessageState::Processed).unwrap(), "only a message in work is reported");
    assert!(report(&store, MessageState::Acked).is_err());
    assert!(store.write("cancel", move |batch| messages::cancel(batch.connection, id, "test", NOW)).unwrap());
    assert!(!store.write("cancel", move |batch| messages::cancel(batch.connection, id, "test", NOW)).unwrap());
    assert_eq!(state_of(&store, id), MessageState::Cancelled);
}

#[test]
fn a_message_of_an_unknown_job_is_refused_and_the_job_of_a_known_one_has_counted_it() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path()).unwrap();
    let activity = job(&store);
    enqueue(&store, activity, Direction::Import, b"one", None);
    let (orphan, payload) = message(ActivityId(Uuid::new_v4()), Direction::Import, b"of no job", None);
    let refused = store.write("enqueue", move |batch| messages::enqueue(batch, &orphan, payload, Timestamp(0)));
    assert!(refused.unwrap_err().to_string().contains("the queue knows no job with this activity id"));
    enqueue(&store, activity, Direction::Import, b"two", None);
    let record = store.read("look", |connection| jobs::find(connection, activity)).unwrap().unwrap();
    assert_eq!(record.arrived, 2);
}

#[test]
fn a_queue_whose_database_was_lost_has_its_messages_from_the_segments() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path()).unwrap();
    let activity = job(&store);
    let kept = id_of(enqueue(&store, activity, Direction::Import, b"kept", None));
    store.close();
    drop(store);
    for name in ["queue.db", "queue.db-wal", "queue.db-shm"] {
        let _ = std::fs::remove_file(dir.path().join(name));
    }
    let store = Store::open(dir.path()).unwrap();
    let found = store.read("find", |connection| messages::find(connection, kept)).unwrap().unwrap();
    assert_eq!((found.id, found.state), (kept, MessageState::Queued));
    // The job has its name when the configuration is applied.
    store.write("register", move |batch| jobs::register(batch.connection, activity, "orders", NOW)).unwrap();
    let record = store.read("look", |connection| jobs::find(connection, activity)).unwrap().unwrap();
    assert_eq!(record.arrived, 1);
}
