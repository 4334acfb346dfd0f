-- queue.db, version 14: an increment knows the database that it was taken from, and what was selected of it. Where either is another one, the next export
-- holds everything. What earlier versions kept says neither.
ALTER TABLE watermark ADD COLUMN mark INTEGER;                                 -- that of its epoch in the entity's database (store/changes.rs)
ALTER TABLE watermark ADD COLUMN selection TEXT;                               -- fields and filter, digested
ALTER TABLE watermark ADD COLUMN anew TEXT;                                    -- why it held everything again
ALTER TABLE increment ADD COLUMN mark INTEGER;
ALTER TABLE increment ADD COLUMN selection TEXT;
ALTER TABLE increment ADD COLUMN anew TEXT;
-- Its consumer began anew since: acked or not, it moves nothing.
ALTER TABLE increment ADD COLUMN void INTEGER NOT NULL DEFAULT 0;
