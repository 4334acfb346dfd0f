-- queue.db, version 8: what would have been right.
ALTER TABLE finding ADD COLUMN expected TEXT NOT NULL DEFAULT '';
