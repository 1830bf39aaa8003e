-- SPDX-License-Identifier: Apache-2.0
-- lake/rejects: every record that was rejected, and whether a replay has made an event of it
--
-- Inputs: bronze.events
-- Grain:  one row per rejected row of bronze. Its position may stand there twice, after a topic was
--         copied to another cluster.
--
-- A replayed row lies at the position of the rejected one, on the same day, and keeps the reason in
-- reject_detail, without a reject_reason, or with 'forgotten' since its user was (clickmill forget).
SELECT
    b.source_topic,
    b.source_partition,
    b.source_offset,
    b.source_index,
    concat_ws('/', b.source_topic, b.source_partition, b.source_offset, b.source_index) AS position,
    b.received_at,
    b.ingest_date,
    b.protocol,
    b.reject_reason AS reason,
    b.reject_detail AS detail,
    b.raw AS bytes,
    p.source_offset IS NOT NULL AS replayed
FROM bronze.events b
LEFT JOIN (
    SELECT DISTINCT source_topic, source_partition, source_offset, source_index, received_at
    FROM bronze.events
    WHERE coalesce(reject_reason, 'forgotten') = 'forgotten' AND reject_detail IS NOT NULL
) p
    ON p.source_offset = b.source_offset
    AND p.source_partition = b.source_partition
    AND p.source_index = b.source_index
    AND p.source_topic = b.source_topic
    AND p.received_at = b.received_at
WHERE coalesce(b.reject_reason, 'forgotten') <> 'forgotten'
