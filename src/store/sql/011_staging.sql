-- queue.db, version 11: rows as they were staged.
ALTER TABLE execution_entity ADD COLUMN staging_file TEXT;
