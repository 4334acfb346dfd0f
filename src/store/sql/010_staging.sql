-- queue.db, version 10: rows as they were staged.
ALTER TABLE execution_entity ADD COLUMN staging_file TEXT;
