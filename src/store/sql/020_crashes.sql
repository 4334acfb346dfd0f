-- queue.db, version 20: how often the appliance ended while an export ran, apart from its tries.
ALTER TABLE job ADD COLUMN crashes INTEGER NOT NULL DEFAULT 0;
ALTER TABLE execution ADD COLUMN crashes INTEGER NOT NULL DEFAULT 0;
