-- SPDX-License-Identifier: Apache-2.0
-- silver/counters: what became of each row of the batch
--
-- Inputs: bronze_new, ranked
-- Grain:  one row. events = rejected + duplicates + conflicts + rows; the engine checks `rows`
--         against the rows it wrote.
SELECT
    events,
    rejected,
    duplicates,
    conflicts,
    events - rejected - duplicates - conflicts AS rows
FROM (
    SELECT
        (SELECT count(*) FROM bronze_new) AS events,
        (SELECT count(reject_reason) FROM bronze_new) AS rejected,
        (SELECT count(*) FROM ranked WHERE place > 1 AND is_conflict = 0) AS duplicates,
        (SELECT count(*) FROM ranked WHERE place > 1 AND is_conflict = 1) AS conflicts
) counted
