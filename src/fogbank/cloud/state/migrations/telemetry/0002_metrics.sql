CREATE TABLE series (
    id         INTEGER PRIMARY KEY,
    namespace  TEXT NOT NULL,
    name       TEXT NOT NULL,
    dimensions TEXT NOT NULL,
    unit       TEXT NOT NULL,
    UNIQUE (namespace, name, dimensions, unit)
);

CREATE TABLE aggregates (
    series       INTEGER NOT NULL REFERENCES series (id),
    at_s         INTEGER NOT NULL,
    count        REAL NOT NULL,
    sum          REAL NOT NULL,
    minimum      REAL NOT NULL,
    maximum      REAL NOT NULL,
    distribution BLOB NOT NULL,
    PRIMARY KEY (series, at_s)
) WITHOUT ROWID;
