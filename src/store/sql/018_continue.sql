-- queue.db, version 18: a message goes on with the load of one that failed or was cancelled: what that one loaded is not loaded again.
ALTER TABLE message ADD COLUMN continues TEXT;
