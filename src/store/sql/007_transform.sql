-- queue.db, version 7: documents as stylesheets gave them, kept for viewing.
ALTER TABLE execution_entity ADD COLUMN transformed_file TEXT;
