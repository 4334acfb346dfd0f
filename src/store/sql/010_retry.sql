-- queue.db, version 10: an export whose run failed for a reason that may pass is tried again.
ALTER TABLE job ADD COLUMN attempts INTEGER NOT NULL DEFAULT 0;                -- tries of its latest run that failed so
ALTER TABLE job ADD COLUMN next_try_at INTEGER;
