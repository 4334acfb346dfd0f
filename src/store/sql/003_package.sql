-- queue.db, version 3: data packages, whose executions have several entities.
ALTER TABLE message ADD COLUMN content TEXT NOT NULL DEFAULT 'file';           -- 'file' or 'package'
ALTER TABLE message ADD COLUMN run_now INTEGER NOT NULL DEFAULT 0;             -- whatever its job's recurrence says
ALTER TABLE message ADD COLUMN stage_only INTEGER NOT NULL DEFAULT 0;          -- validated, and on purpose not loaded
CREATE INDEX message_run_now ON message (activity_id, id) WHERE run_now = 1 AND state = 'queued';

-- What an execution did with each of its entities, in the order in which it took them up.
CREATE TABLE execution_entity (
  execution_id   TEXT NOT NULL,
  ordinal        INTEGER NOT NULL,
  entity         TEXT NOT NULL,
  outcome        TEXT NOT NULL,                         -- a message state, or 'skipped', or 'staged'
  started_at     INTEGER NOT NULL,
  finished_at    INTEGER NOT NULL,
  rows_read      INTEGER NOT NULL,
  rows_inserted  INTEGER NOT NULL,
  rows_updated   INTEGER NOT NULL,
  rows_unchanged INTEGER NOT NULL,
  rows_refused   INTEGER NOT NULL,
  findings       INTEGER NOT NULL,
  refused_file   TEXT,
  PRIMARY KEY (execution_id, ordinal)
) WITHOUT ROWID;
