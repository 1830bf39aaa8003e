-- SPDX-License-Identifier: Apache-2.0
-- table/checkpoint: a table's log up to one version, folded into the rows of a classic checkpoint
--
-- Inputs: ${base} is a SELECT of an older checkpoint's rows, ${tail} one of the entries after it
--         with their versions; ${kept_since} is the time (ms) before which removals are forgotten
-- Grain:  one row per action that still counts (PROTOCOL.md "Action Reconciliation", "Checkpoint
--         Schema").
--
-- DuckDB alone runs this. The older checkpoint streams through, and so does the tail: only the
-- paths that the tail speaks of are kept in memory, however many files the table has.
WITH base AS (
    ${base}
),
tail AS NOT MATERIALIZED (
    ${tail}
),
placed AS NOT MATERIALIZED (
    SELECT
        coalesce("add".path, "remove".path) AS path,
        version * 2 + CAST("add" IS NOT NULL AS BIGINT) AS place,
        "add" AS a,
        "remove" AS r
    FROM tail
    WHERE "add" IS NOT NULL OR "remove" IS NOT NULL
),
touched AS (
    SELECT path, max(place) AS place FROM placed GROUP BY path
),
files AS (
    SELECT "add" AS a, "remove" AS r
    FROM base
    WHERE
        ("add" IS NOT NULL OR "remove" IS NOT NULL)
        AND NOT EXISTS (
            SELECT 1 FROM touched WHERE touched.path = coalesce("add".path, "remove".path))
    UNION ALL
    SELECT placed.a, placed.r
    FROM placed
    JOIN touched ON touched.path = placed.path AND touched.place = placed.place
),
rules AS (
    SELECT -1 AS version, txn, "metaData" AS meta, protocol FROM base
    WHERE "add" IS NULL AND "remove" IS NULL
    UNION ALL
    SELECT version, txn, "metaData", protocol FROM tail
)
SELECT txn, NULL AS "add", NULL AS "remove", NULL AS "metaData", NULL AS protocol
FROM (
    SELECT max_by(txn, version) AS txn FROM rules WHERE txn IS NOT NULL GROUP BY txn."appId")
UNION ALL
SELECT
    NULL,
    CASE WHEN a IS NOT NULL THEN {
        'path': a.path, 'partitionValues': a."partitionValues", 'size': a.size,
        'modificationTime': a."modificationTime", 'dataChange': FALSE, 'stats': a.stats,
        'tags': a.tags} END,
    CASE WHEN a IS NULL THEN {
        'path': r.path, 'deletionTimestamp': r."deletionTimestamp", 'dataChange': FALSE,
        'extendedFileMetadata': r."extendedFileMetadata",
        'partitionValues': r."partitionValues", 'size': r.size} END,
    NULL,
    NULL
FROM files
WHERE a IS NOT NULL OR r."deletionTimestamp" >= ${kept_since}
UNION ALL
SELECT NULL, NULL, NULL, max_by(meta, version), NULL FROM rules WHERE meta IS NOT NULL
UNION ALL
SELECT NULL, NULL, NULL, NULL, max_by(protocol, version) FROM rules WHERE protocol IS NOT NULL
