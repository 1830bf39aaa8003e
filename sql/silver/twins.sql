-- SPDX-License-Identifier: Apache-2.0
-- silver/twins: the row that stays, where the batch holds its position more than once
--
-- Inputs: repeats, bronze_new
-- Grain:  one row per event_key with such a position. Empty in all but odd cases: it keeps an
--         event from being lost together with its twins, since rows are told apart by position.
SELECT
    event_key, event_id, event_type, event_ts, product_id, sku, category, price, quantity,
    currency, user_id, session_id, order_id, page_url, referrer, user_agent, received_at,
    source_topic, source_partition, source_offset, source_index
FROM (
    SELECT
        b.*,
        row_number() OVER (
            PARTITION BY b.event_key
            ORDER BY
                b.event_ts, coalesce(b.sku, CAST(b.product_id AS STRING)) NULLS LAST,
                b.category NULLS LAST, b.price NULLS LAST, b.event_type NULLS LAST,
                coalesce(b.quantity, 1)
        ) AS place
    FROM bronze_new b
    JOIN (
        SELECT DISTINCT
            event_key, received_at, source_topic, source_partition, source_offset, source_index
        FROM repeats
        WHERE is_twin = 1
    ) r
        ON r.source_offset = b.source_offset
        AND r.source_partition = b.source_partition
        AND r.source_index = b.source_index
        AND r.source_topic = b.source_topic
        AND r.received_at = b.received_at
        AND r.event_key = b.event_key
    WHERE b.reject_reason IS NULL
) ranked
WHERE place = 1
