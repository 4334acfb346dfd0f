-- queue.db, version 22: packages that were not brought to their end are found by their bytes, whatever came under their external identifier since.
CREATE INDEX message_half_way ON message (activity_id, external_id, sha256) WHERE external_id IS NOT NULL AND state IN ('failed', 'cancelled');
CREATE INDEX message_continues ON message (continues) WHERE continues IS NOT NULL;
