-- queue.db, version 5: rows of small messages are not synced one by one, because their segment is (files/segment.rs).
-- Up to where the segments are known here: what is behind is read at the next start. Segments of earlier versions are known whole.
CREATE TABLE horizon (
  segment INTEGER NOT NULL,
  offset  INTEGER NOT NULL
);
INSERT INTO horizon SELECT coalesce(max(number), 0), 1 << 40 FROM segment;
ALTER TABLE segment DROP COLUMN synced;
