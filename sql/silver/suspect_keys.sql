-- SPDX-License-Identifier: Apache-2.0
-- silver/suspect_keys: hashes of the keys that may be there more than once
--
-- Inputs: repeated, met
-- Grain:  one row per hash.
SELECT key_hash FROM repeated
UNION
SELECT key_hash FROM met
