-- SPDX-License-Identifier: Apache-2.0
-- silver/asked: what the key index is asked for (src/flow/silver_keys.c), instead of silver/met
--
-- Inputs: bronze_new
-- Grain:  one row per row of the batch that is no reject.
SELECT xxhash64(event_key) AS key_hash
FROM bronze_new
WHERE reject_reason IS NULL
