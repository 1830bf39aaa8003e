-- SPDX-License-Identifier: Apache-2.0
-- silver/suspects, as DuckDB runs it: an IN in the SELECT list instead of a join (silver/arrived)
--
-- Inputs: typed, suspect_keys
-- Grain:  as in silver/suspects.
SELECT *, xxhash64(event_key) IN (SELECT key_hash FROM suspect_keys) AS is_suspect
FROM typed
