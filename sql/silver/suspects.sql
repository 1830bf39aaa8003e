-- SPDX-License-Identifier: Apache-2.0
-- silver/suspects: the events that may be repeats; the others go to silver at once
--
-- Inputs: typed, suspect_keys
-- Grain:  one row per event. What is no suspect has a key that no other row has, in this batch or in
--         silver: the engine writes it (engine_stage.apart), and the few suspects are what is left.
SELECT t.*, k.key_hash IS NOT NULL AS is_suspect
FROM typed t
LEFT JOIN suspect_keys k ON k.key_hash = xxhash64(t.event_key)
