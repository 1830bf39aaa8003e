-- SPDX-License-Identifier: Apache-2.0
-- silver/repeated, as DuckDB runs it: the same without a GROUP BY over the whole batch
--
-- Inputs: bronze_new
-- Grain:  one row per hash; a superset, as in silver/repeated.
--
-- seen_before is true for the second of two equal hashes, whichever comes second, and by chance for
-- one in a thousand others. It remembers a few bits a row where a GROUP BY keeps all hashes.
SELECT DISTINCT key_hash
FROM (
    SELECT xxhash64(event_key) AS key_hash
    FROM bronze_new
    WHERE reject_reason IS NULL
) arrived
WHERE seen_before(key_hash)
