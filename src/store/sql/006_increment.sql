-- queue.db, version 6: incremental exports. Epochs are those of the entity's database (store/changes.rs).
-- Up to where a job's consumer has acknowledged the changes of an entity, without a gap.
CREATE TABLE watermark (
  activity_id TEXT NOT NULL,
  entity      TEXT NOT NULL,
  epoch       INTEGER NOT NULL,
  as_of       INTEGER NOT NULL,                         -- when that epoch was exported
  PRIMARY KEY (activity_id, entity)
) WITHOUT ROWID;
-- What is on offer behind it: which changes a message holds. Gone with the message's cancellation, so that the next run offers them again.
CREATE TABLE increment (
  activity_id TEXT NOT NULL,
  entity      TEXT NOT NULL,
  after_epoch INTEGER NOT NULL,                         -- 0: everything
  epoch       INTEGER NOT NULL,
  message_id  TEXT NOT NULL,
  as_of       INTEGER NOT NULL,
  acked       INTEGER NOT NULL DEFAULT 0,               -- acked before one that comes earlier
  PRIMARY KEY (activity_id, entity, epoch)
) WITHOUT ROWID;
CREATE INDEX increment_of_message ON increment (message_id);
