-- SPDX-License-Identifier: Apache-2.0
-- silver/met: silver rows that a row of this batch may be a repeat of
--
-- Inputs: bronze_new, silver_events
-- Grain:  one row per silver row whose key's hash is also in the batch.
--
-- Reads two columns of silver and no more. received_at goes along because the rows met are mostly
-- recent: silver/committed joins on it, too, and so need not open what is older.
SELECT key_hash, received_at
FROM (
    SELECT xxhash64(event_key) AS key_hash, received_at
    FROM silver_events
) silver
WHERE key_hash IN (
    SELECT xxhash64(event_key)
    FROM bronze_new
    WHERE reject_reason IS NULL
)
