-- queue.db, version 1. Times are milliseconds since 1970 UTC; ids are GUIDs in lower case.
-- Payloads are files (see files.rs), never blobs here.

-- A recurring data job as the queue knows it: what must survive a restart, and counters that are kept in the same transaction as the
-- messages they count, so that no page ever counts rows.
CREATE TABLE job (
  activity_id           TEXT PRIMARY KEY,
  name                  TEXT NOT NULL,
  paused                INTEGER NOT NULL DEFAULT 0,
  runs                  INTEGER NOT NULL DEFAULT 0,     -- runs by schedule, for `count`
  scheduled_to          INTEGER,                        -- the schedule is served up to this instant
  last_run_at           INTEGER,
  arrived               INTEGER NOT NULL DEFAULT 0,     -- messages ever stored
  finished              INTEGER NOT NULL DEFAULT 0,     -- messages that ever reached a final state
  busy_ms               INTEGER NOT NULL DEFAULT 0,     -- time ever spent on its executions
  rows_loaded           INTEGER NOT NULL DEFAULT 0,
  rows_refused          INTEGER NOT NULL DEFAULT 0,
  queued                INTEGER NOT NULL DEFAULT 0,
  processing            INTEGER NOT NULL DEFAULT 0,
  processed             INTEGER NOT NULL DEFAULT 0,
  processed_with_errors INTEGER NOT NULL DEFAULT 0,
  refused               INTEGER NOT NULL DEFAULT 0,
  failed                INTEGER NOT NULL DEFAULT 0,
  enqueued              INTEGER NOT NULL DEFAULT 0,
  dequeued              INTEGER NOT NULL DEFAULT 0,
  downloaded            INTEGER NOT NULL DEFAULT 0,
  acked                 INTEGER NOT NULL DEFAULT 0,
  cancelled             INTEGER NOT NULL DEFAULT 0
);

CREATE TABLE message (
  id               TEXT PRIMARY KEY,
  activity_id      TEXT NOT NULL REFERENCES job (activity_id),
  direction        TEXT NOT NULL,
  state            TEXT NOT NULL,
  entity           TEXT NOT NULL,
  company          TEXT,
  external_id      TEXT,
  application_id   TEXT,
  size             INTEGER NOT NULL,
  sha256           TEXT NOT NULL,
  checksum         INTEGER NOT NULL,
  segment          INTEGER,                             -- either segment and segment_offset,
  segment_offset   INTEGER,
  file             TEXT,                                -- or file, or none: pruned
  received_at      INTEGER NOT NULL,
  started_at       INTEGER,
  finished_at      INTEGER,
  attempts         INTEGER NOT NULL DEFAULT 0,
  next_try_at      INTEGER,
  lease_until      INTEGER,
  pop_receipt      TEXT,
  last_dequeued_at INTEGER,
  execution_id     TEXT,
  rows_read        INTEGER NOT NULL DEFAULT 0,
  rows_inserted    INTEGER NOT NULL DEFAULT 0,
  rows_updated     INTEGER NOT NULL DEFAULT 0,
  rows_unchanged   INTEGER NOT NULL DEFAULT 0,
  rows_refused     INTEGER NOT NULL DEFAULT 0,
  findings         INTEGER NOT NULL DEFAULT 0,
  reason           TEXT,
  replay_of        TEXT,
  replayed_by      TEXT,
  refused_file     TEXT
);

-- The grid of a job, newest first, by keyset; the queue's head; what comes back; what is repeated; what is pruned; what needs a person.
CREATE INDEX message_of_job    ON message (activity_id, id);
CREATE INDEX message_ready     ON message (activity_id, id) WHERE state IN ('queued', 'enqueued');
CREATE INDEX message_leased    ON message (lease_until) WHERE lease_until IS NOT NULL;
CREATE INDEX message_deferred  ON message (next_try_at) WHERE next_try_at IS NOT NULL;
CREATE INDEX message_repeat    ON message (activity_id, external_id) WHERE external_id IS NOT NULL;
CREATE INDEX message_kept      ON message (finished_at) WHERE finished_at IS NOT NULL AND (file IS NOT NULL OR segment IS NOT NULL);
CREATE INDEX message_finished  ON message (finished_at) WHERE finished_at IS NOT NULL;
CREATE INDEX message_attention ON message (id) WHERE state IN ('processed_with_errors', 'refused', 'failed') AND replayed_by IS NULL;
CREATE INDEX message_in_work   ON message (id) WHERE state = 'processing';

CREATE TRIGGER message_counted AFTER INSERT ON message BEGIN
  UPDATE job SET arrived = arrived + 1, queued = queued + (new.state = 'queued'), enqueued = enqueued + (new.state = 'enqueued')
  WHERE activity_id = new.activity_id;
END;

CREATE TRIGGER message_moved AFTER UPDATE OF state ON message WHEN old.state <> new.state BEGIN
  UPDATE job SET
    finished              = finished + (new.state IN ('processed', 'processed_with_errors', 'refused', 'failed', 'acked', 'cancelled'))
                                     - (old.state = 'acked'),
    queued                = queued                + (new.state = 'queued')                - (old.state = 'queued'),
    processing            = processing            + (new.state = 'processing')            - (old.state = 'processing'),
    processed             = processed             + (new.state = 'processed')             - (old.state = 'processed'),
    processed_with_errors = processed_with_errors + (new.state = 'processed_with_errors') - (old.state = 'processed_with_errors'),
    refused               = refused               + (new.state = 'refused')               - (old.state = 'refused'),
    failed                = failed                + (new.state = 'failed')                - (old.state = 'failed'),
    enqueued              = enqueued              + (new.state = 'enqueued')              - (old.state = 'enqueued'),
    dequeued              = dequeued              + (new.state = 'dequeued')              - (old.state = 'dequeued'),
    downloaded            = downloaded            + (new.state = 'downloaded')            - (old.state = 'downloaded'),
    acked                 = acked                 + (new.state = 'acked')                 - (old.state = 'acked'),
    cancelled             = cancelled             + (new.state = 'cancelled')             - (old.state = 'cancelled')
  WHERE activity_id = new.activity_id;
END;

CREATE TRIGGER message_forgotten AFTER DELETE ON message BEGIN
  UPDATE job SET
    arrived               = arrived  - (old.finished_at IS NULL),
    queued                = queued                - (old.state = 'queued'),
    processing            = processing            - (old.state = 'processing'),
    processed             = processed             - (old.state = 'processed'),
    processed_with_errors = processed_with_errors - (old.state = 'processed_with_errors'),
    refused               = refused               - (old.state = 'refused'),
    failed                = failed                - (old.state = 'failed'),
    enqueued              = enqueued              - (old.state = 'enqueued'),
    dequeued              = dequeued              - (old.state = 'dequeued'),
    downloaded            = downloaded            - (old.state = 'downloaded'),
    acked                 = acked                 - (old.state = 'acked'),
    cancelled             = cancelled             - (old.state = 'cancelled')
  WHERE activity_id = old.activity_id;
END;

-- What happened to a message, for its timeline; that it was received stands in the message itself.
CREATE TABLE event (
  message_id TEXT NOT NULL,
  at         INTEGER NOT NULL,
  event      TEXT NOT NULL,
  detail     TEXT
);
CREATE INDEX event_of_message ON event (message_id);

-- One run of a project, over a message or on schedule.
CREATE TABLE execution (
  id             TEXT PRIMARY KEY,
  activity_id    TEXT NOT NULL,
  project        TEXT NOT NULL,
  message_id     TEXT,
  outcome        TEXT NOT NULL,                         -- a message state, or 'executing', or 'empty' for an export without rows
  started_at     INTEGER NOT NULL,
  finished_at    INTEGER,
  rows_read      INTEGER NOT NULL DEFAULT 0,
  rows_inserted  INTEGER NOT NULL DEFAULT 0,
  rows_updated   INTEGER NOT NULL DEFAULT 0,
  rows_unchanged INTEGER NOT NULL DEFAULT 0,
  rows_refused   INTEGER NOT NULL DEFAULT 0,
  findings       INTEGER NOT NULL DEFAULT 0,
  wait_ms        INTEGER,
  parse_ms       INTEGER,
  load_ms        INTEGER,
  reason         TEXT
);
CREATE INDEX execution_of_message ON execution (message_id) WHERE message_id IS NOT NULL;
CREATE INDEX execution_of_job     ON execution (activity_id, started_at);
CREATE INDEX execution_started    ON execution (started_at);

CREATE TABLE finding (
  execution_id TEXT NOT NULL,
  ordinal      INTEGER NOT NULL,
  rule         TEXT NOT NULL,
  entity       TEXT NOT NULL,
  line         INTEGER NOT NULL,
  row          INTEGER NOT NULL,
  column_name  TEXT NOT NULL,
  field        TEXT NOT NULL,
  value        TEXT NOT NULL,
  message      TEXT NOT NULL,
  hint         TEXT NOT NULL,
  PRIMARY KEY (execution_id, ordinal)
) WITHOUT ROWID;

-- The monitoring recurrence: the load of a job's queue at one tick.
CREATE TABLE load_sample (
  activity_id        TEXT NOT NULL,
  at                 INTEGER NOT NULL,
  depth              INTEGER NOT NULL,
  oldest_age_seconds INTEGER NOT NULL,
  arrivals           INTEGER NOT NULL,                  -- since the sample before
  processed          INTEGER NOT NULL,
  duration_ms        INTEGER NOT NULL,
  arrived_total      INTEGER NOT NULL,                  -- the job's counters at that time, for the next sample
  finished_total     INTEGER NOT NULL,
  busy_ms_total      INTEGER NOT NULL,
  PRIMARY KEY (activity_id, at)
) WITHOUT ROWID;
CREATE INDEX load_sample_at ON load_sample (at);

-- The job's counters, hour by hour, for totals of the last day.
CREATE TABLE job_hour (
  activity_id  TEXT NOT NULL,
  hour         INTEGER NOT NULL,                        -- hours since 1970
  arrived      INTEGER NOT NULL,
  finished     INTEGER NOT NULL,
  rows_loaded  INTEGER NOT NULL,
  rows_refused INTEGER NOT NULL,
  PRIMARY KEY (activity_id, hour)
) WITHOUT ROWID;

-- Segments of the spool: how many messages still need each, and up to where the newest is known to be on disk.
CREATE TABLE segment (
  number INTEGER PRIMARY KEY,
  live   INTEGER NOT NULL,
  synced INTEGER NOT NULL
);
