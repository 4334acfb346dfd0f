-- queue.db, version 19: the recurrence that a job had when it was served last, as text; one that has changed counts from then on.
ALTER TABLE job ADD COLUMN recurrence TEXT;
