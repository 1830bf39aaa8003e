-- SPDX-License-Identifier: Apache-2.0
-- silver/repeats: the rows of this batch that do not go to silver, because their event is there
--
-- Inputs: repeated, met, committed, bronze_new
-- Grain:  one row per row of the batch that comes after the one that stays.
--
-- Of one event_key the committed row stays; else the first by (received_at, topic, partition,
-- offset, index). The columns after these only make the order complete where one position came in
-- twice. is_conflict: what was sent differs from the row that stays, with NULL equal to NULL.
-- is_twin: the row lies at the very position of the one that stays (a topic copied to another
-- cluster): silver/events then takes the one that stays from silver/twins.
SELECT
    event_key,
    received_at,
    source_topic,
    source_partition,
    source_offset,
    source_index,
    CASE WHEN product_id IS DISTINCT FROM first_product_id
            OR category IS DISTINCT FROM first_category
            OR price IS DISTINCT FROM first_price
            OR event_us IS DISTINCT FROM first_event_us
            OR event_type IS DISTINCT FROM first_event_type
            OR quantity IS DISTINCT FROM first_quantity
        THEN 1 ELSE 0 END AS is_conflict,
    CASE WHEN first_is_new = 1 AND position = first_position THEN 1 ELSE 0 END AS is_twin
FROM (
    SELECT
        e.*,
        row_number() OVER w AS place,
        first_value(is_new) OVER w AS first_is_new,
        first_value(position) OVER w AS first_position,
        first_value(product_id) OVER w AS first_product_id,
        first_value(category) OVER w AS first_category,
        first_value(price) OVER w AS first_price,
        first_value(event_us) OVER w AS first_event_us,
        first_value(event_type) OVER w AS first_event_type,
        first_value(quantity) OVER w AS first_quantity
    FROM (
        SELECT
            1 AS is_new,
            b.event_key,
            coalesce(b.sku, CAST(b.product_id AS STRING)) AS product_id,
            b.category,
            b.price,
            CASE
                WHEN b.event_ts < 100000000000 THEN b.event_ts * 1000000
                WHEN b.event_ts < 100000000000000 THEN b.event_ts * 1000
                WHEN b.event_ts < 100000000000000000 THEN b.event_ts
                ELSE CAST(round((b.event_ts - b.event_ts % 1000000000) / 1000000000) AS BIGINT)
                    * 1000000 + CAST(floor(b.event_ts % 1000000000 / 1000) AS BIGINT)
            END AS event_us,
            b.event_type,
            coalesce(b.quantity, 1) AS quantity,
            b.received_at,
            b.source_topic,
            b.source_partition,
            b.source_offset,
            b.source_index,
            unix_micros(b.received_at) || '/' || b.source_offset || '/' || b.source_partition
                || '/' || b.source_index || '/' || b.source_topic AS position
        FROM (
            SELECT xxhash64(event_key) AS key_hash, bronze_new.*
            FROM bronze_new
            WHERE reject_reason IS NULL
        ) b
        JOIN (
            SELECT key_hash FROM repeated
            UNION
            SELECT key_hash FROM met
        ) suspect
            ON suspect.key_hash = b.key_hash
        UNION ALL
        SELECT
            0 AS is_new, event_key, product_id, category, price, unix_micros(event_time),
            event_type, quantity, received_at, source_topic, source_partition, source_offset,
            source_index, ''
        FROM committed
    ) e
    WINDOW w AS (
        PARTITION BY event_key
        ORDER BY
            is_new, received_at, source_topic, source_partition, source_offset, source_index,
            event_us, product_id NULLS LAST, category NULLS LAST, price NULLS LAST,
            event_type NULLS LAST, quantity
    )
) ranked
WHERE place > 1 AND is_new = 1
