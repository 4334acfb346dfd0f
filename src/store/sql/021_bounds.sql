-- queue.db, version 21: apart from when a job recurs, how often and until when: a change of that makes no run of before uncounted.
ALTER TABLE job ADD COLUMN bounds TEXT;
-- One that recurred never, for example because it was out of the configuration, has missed nothing when it does again.
UPDATE job SET bounds = CASE WHEN recurrence = '' THEN 'gone' END, recurrence = NULL;
