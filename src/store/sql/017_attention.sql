-- queue.db, version 17: a message that still waits after eight tries is one that a person should look at.
DROP INDEX message_attention;
CREATE INDEX message_attention ON message (id)
  WHERE (state IN ('processed_with_errors', 'refused', 'failed') AND replayed_by IS NULL OR state = 'queued' AND attempts >= 8);
