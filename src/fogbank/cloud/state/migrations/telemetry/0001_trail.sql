CREATE TABLE trail (
    id            INTEGER PRIMARY KEY AUTOINCREMENT,
    at            TEXT NOT NULL,
    request_id    TEXT NOT NULL,
    service       TEXT NOT NULL,
    operation     TEXT NOT NULL,
    principal_arn TEXT NOT NULL,
    access_key_id TEXT NOT NULL,
    status        INTEGER NOT NULL,
    error_code    TEXT NOT NULL,
    duration_us   INTEGER NOT NULL
);
