-- SPDX-License-Identifier: Apache-2.0
-- silver/repeated, as DuckDB runs it: the same without a GROUP BY over the whole batch
--
-- Inputs: bronze_new
-- Grain:  one row per hash; a superset, as in silver/repeated.
--
-- seen_before is true for the second of two equal hashes, whichever comes second. It remembers six
-- bytes a row, without order, where a GROUP BY builds a table of all hashes and their counts.
SELECT DISTINCT key_hash
FROM (
    SELECT xxhash64(event_key) AS key_hash
    FROM bronze_new
    WHERE reject_reason IS NULL
) arrived
WHERE seen_before(key_hash)
