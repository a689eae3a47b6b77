-- Keys are UTF-8 bytes: SQLite compares BLOBs with memcmp, which is S3's key order.
-- A blob is the number of a content file; each row owns its file alone.
-- sequence orders the versions of one key, the newest first.
CREATE TABLE s3_versions (
    bucket             TEXT    NOT NULL,
    key                BLOB    NOT NULL,
    sequence           INTEGER NOT NULL,
    version_id         TEXT    NOT NULL,
    is_latest          INTEGER NOT NULL,
    is_delete_marker   INTEGER NOT NULL,
    blob               INTEGER,
    size_bytes         INTEGER NOT NULL,
    etag               TEXT    NOT NULL,
    modified_s         INTEGER NOT NULL,
    storage_class      TEXT    NOT NULL,
    checksum_algorithm TEXT,
    checksum_type      TEXT,
    checksum           TEXT,
    headers            TEXT    NOT NULL,
    tags               TEXT    NOT NULL,
    parts              TEXT,
    upload_id          TEXT,
    PRIMARY KEY (bucket, key, sequence DESC)
) WITHOUT ROWID;

CREATE INDEX s3_current ON s3_versions (bucket, key) WHERE is_latest = 1 AND is_delete_marker = 0;

-- Upload ids begin with the time of initiation, so their order is the order of initiation.
CREATE TABLE s3_uploads (
    bucket             TEXT    NOT NULL,
    key                BLOB    NOT NULL,
    upload_id          TEXT    NOT NULL,
    initiated_s        INTEGER NOT NULL,
    storage_class      TEXT    NOT NULL,
    checksum_algorithm TEXT,
    checksum_type      TEXT,
    headers            TEXT    NOT NULL,
    tags               TEXT    NOT NULL,
    PRIMARY KEY (bucket, key, upload_id)
) WITHOUT ROWID;

CREATE TABLE s3_parts (
    upload_id          TEXT    NOT NULL,
    part_number        INTEGER NOT NULL,
    blob               INTEGER NOT NULL,
    size_bytes         INTEGER NOT NULL,
    etag               TEXT    NOT NULL,
    modified_s         INTEGER NOT NULL,
    checksum           TEXT,
    PRIMARY KEY (upload_id, part_number)
) WITHOUT ROWID;

-- Blob numbers are never given out twice: somebody may still hold the path of a deleted one.
CREATE TABLE s3_blobs (next INTEGER NOT NULL);
INSERT INTO s3_blobs (next) VALUES (0);
