-- SPDX-License-Identifier: Apache-2.0
-- lake/rejects_open: what a mapping reads, under the name of rejects
--
-- Inputs: chosen (lake/rejects, those that were asked for)
-- Grain:  one row per rejected row that has not been replayed yet.
--
-- raw is NULL where the bytes are no UTF-8: bytes has them in any case.
SELECT
    source_topic,
    source_partition,
    source_offset,
    source_index,
    received_at,
    reason,
    detail,
    TRY(decode(bytes)) AS raw,
    bytes
FROM chosen
WHERE NOT replayed
