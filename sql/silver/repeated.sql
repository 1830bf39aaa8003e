-- SPDX-License-Identifier: Apache-2.0
-- silver/repeated: hashes of the event keys that occur more than once in this batch
--
-- Inputs: bronze_new
-- Grain:  one row per hash. Two keys may share a hash, so this is a superset: exactness comes in
--         silver/ranked, which compares the keys themselves.
--
-- A hash is 8 bytes where a key is 32 and more: the whole batch fits in little memory, and all
-- that follows looks at the few suspects only.
SELECT key_hash
FROM (
    SELECT xxhash64(event_key) AS key_hash
    FROM bronze_new
    WHERE reject_reason IS NULL
) arrived
GROUP BY key_hash
HAVING count(*) > 1
