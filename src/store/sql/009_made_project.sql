-- queue.db, version 9: data projects that clients made. Each is a name for some entities of a project of the configuration.
CREATE TABLE made_project (
  application_id TEXT NOT NULL,
  name           TEXT NOT NULL COLLATE NOCASE,
  direction      TEXT NOT NULL,                         -- import | export
  description    TEXT NOT NULL,
  category       TEXT NOT NULL,
  entities       TEXT NOT NULL,                         -- a JSON array of names, in order
  made_at        INTEGER NOT NULL,
  PRIMARY KEY (application_id, name)
) WITHOUT ROWID;
