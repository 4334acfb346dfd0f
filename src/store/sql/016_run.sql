-- queue.db, version 16: a run that is under way outlives a stop. Of an import the newest message that it takes, of an export the word 'export'.
ALTER TABLE job ADD COLUMN run_to TEXT;

-- The newest message with an external identifier is found at once, however many came under it or under others.
DROP INDEX message_repeat;
CREATE INDEX message_repeat ON message (activity_id, external_id, id) WHERE external_id IS NOT NULL;
