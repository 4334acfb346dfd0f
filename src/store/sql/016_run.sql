-- queue.db, version 16: a run that is under way outlives a stop. Of an import the newest message that it takes, of an export the word 'export'.
ALTER TABLE job ADD COLUMN run_to TEXT;
