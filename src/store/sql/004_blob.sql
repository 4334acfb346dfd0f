-- queue.db, version 4: the package API. Blobs that clients put and get by signed URLs, and executions that they ask for themselves.
CREATE TABLE blob (
  id             TEXT PRIMARY KEY,
  name           TEXT NOT NULL,                         -- as the client calls it; names repeat
  application_id TEXT NOT NULL,
  made_at        INTEGER NOT NULL,
  file           TEXT,                                  -- none until it was written, and again when it is no longer kept
  size           INTEGER NOT NULL DEFAULT 0,
  sha256         TEXT NOT NULL DEFAULT '',
  checksum       INTEGER NOT NULL DEFAULT 0,
  etag           TEXT NOT NULL DEFAULT '',
  written_at     INTEGER
) WITHOUT ROWID;
CREATE INDEX blob_made ON blob (made_at);
CREATE INDEX blob_named ON blob (application_id, name, made_at);

-- Who asked for an execution; none asked for those of a recurrence.
ALTER TABLE execution ADD COLUMN application_id TEXT;
-- What an export is to hold, as JSON; outcome 'requested' until a worker takes it up.
ALTER TABLE execution ADD COLUMN request TEXT;
-- The package that it made.
ALTER TABLE execution ADD COLUMN blob_id TEXT;
CREATE INDEX execution_requested ON execution (started_at) WHERE outcome = 'requested' AND request IS NOT NULL;
