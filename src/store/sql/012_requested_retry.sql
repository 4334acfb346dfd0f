-- queue.db, version 12: an export that a client asked for, and that failed for a reason that may pass, is tried again.
ALTER TABLE execution ADD COLUMN attempts INTEGER NOT NULL DEFAULT 0;
ALTER TABLE execution ADD COLUMN next_try_at INTEGER;
CREATE INDEX execution_deferred ON execution (next_try_at) WHERE next_try_at IS NOT NULL;
