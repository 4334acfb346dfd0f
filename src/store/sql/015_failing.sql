-- queue.db, version 15: an export that fails is seen, until one of its runs works.
ALTER TABLE job ADD COLUMN failing_since INTEGER;                              -- the first run that failed after one that worked
ALTER TABLE job ADD COLUMN failed_at INTEGER;                                  -- the latest
ALTER TABLE job ADD COLUMN failure TEXT;                                       -- why
