-- queue.db, version 13: a message is inserted by a statement that fails by taking the whole transaction back (store/messages.rs), so that SQLite need not
-- keep, for every message, a copy of each page that the statement and its trigger touch. A foreign key would have that copy made again: the
-- trigger, which looks for the job in any case, says when there is none.
DROP TRIGGER message_counted;
CREATE TRIGGER message_counted AFTER INSERT ON message BEGIN
  UPDATE job SET arrived = arrived + 1, queued = queued + (new.state = 'queued'), enqueued = enqueued + (new.state = 'enqueued')
  WHERE activity_id = new.activity_id;
  SELECT RAISE(ROLLBACK, 'the queue knows no job with this activity id') WHERE changes() = 0;
END;

-- Up to where a segment is known here stands in its own row, so that a commit writes one page less: the horizon is in the row with the highest number,
-- which is never removed.
ALTER TABLE segment ADD COLUMN reached INTEGER NOT NULL DEFAULT 0;
INSERT OR IGNORE INTO segment (number, live) SELECT segment, 0 FROM horizon WHERE segment > 0;
UPDATE segment SET reached = (SELECT offset FROM horizon) WHERE number = (SELECT segment FROM horizon);
DROP TABLE horizon;
