-- queue.db, version 21: apart from when a job recurs, how often and until when: a change of that makes no run of before uncounted.
ALTER TABLE job ADD COLUMN bounds TEXT;
UPDATE job SET recurrence = NULL;
