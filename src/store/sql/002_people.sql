-- queue.db, version 2: who signs in to the pages. Users of the configuration file are not here, only those made by a sign-in link.
CREATE TABLE user (
  name          TEXT PRIMARY KEY COLLATE NOCASE,
  role          TEXT NOT NULL,
  password_hash TEXT NOT NULL,                          -- Argon2id, PHC string
  made_at       INTEGER NOT NULL
) WITHOUT ROWID;

-- A signed-in browser. Only the hash of its cookie is kept; `password` marks the password it was opened with, so that a new one ends it.
CREATE TABLE session (
  token_hash TEXT PRIMARY KEY,
  user       TEXT NOT NULL COLLATE NOCASE,
  password   TEXT NOT NULL,
  opened_at  INTEGER NOT NULL,
  seen_at    INTEGER NOT NULL
) WITHOUT ROWID;
CREATE INDEX session_seen ON session (seen_at);

-- Never written.
DROP TABLE job_hour;
