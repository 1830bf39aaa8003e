-- SPDX-License-Identifier: Apache-2.0
-- silver/committed: what a later event with the same key is compared with
--
-- Inputs: met, silver_events, bronze_old
-- Grain:  one row per silver row that was met, or more, which does no harm: the first one counts
--         (silver/ranked).
--
-- The price is compared as it was sent, and silver has it rounded: so the double is fetched from
-- the bronze row at the same source position. Where that row is gone (somebody shortened bronze),
-- silver's price stands in. The same position may stand in bronze twice, after a topic was copied to
-- another cluster; the rows are the same then.
-- The two `IN (SELECT received_at …)` say nothing new: with them no file, and no row group, is opened
-- that holds none of these instants. A join on an expression, the hash, is not looked at for that.
SELECT
    s.event_key,
    s.product_id,
    s.category,
    CASE WHEN o.event_key IS NULL THEN CAST(s.price AS DOUBLE) ELSE o.price END AS price,
    s.event_time,
    s.event_type,
    s.quantity,
    s.received_at,
    s.source_topic,
    s.source_partition,
    s.source_offset,
    s.source_index
FROM (
    SELECT
        xxhash64(event_key) AS key_hash, event_key, product_id, category, price, event_time,
        event_type, quantity, received_at, source_topic, source_partition, source_offset,
        source_index
    FROM silver_events
    WHERE received_at IN (SELECT received_at FROM met)
) s
JOIN met m ON m.key_hash = s.key_hash AND m.received_at = s.received_at
LEFT JOIN (
    SELECT
        event_key, price, received_at, source_topic, source_partition, source_offset, source_index
    FROM bronze_old
    WHERE received_at IN (SELECT received_at FROM met)
) o
    ON o.received_at = s.received_at
    AND o.source_offset = s.source_offset
    AND o.source_partition = s.source_partition
    AND o.source_index = s.source_index
    AND o.source_topic = s.source_topic
    AND o.event_key = s.event_key
