-- SPDX-License-Identifier: Apache-2.0
-- silver/keys: what the key index holds of silver (src/flow/silver_keys.c)
--
-- Inputs: silver_events
-- Grain:  one row per silver row. Its columns are those of silver/met.
SELECT xxhash64(event_key) AS key_hash, received_at
FROM silver_events
