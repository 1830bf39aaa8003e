-- SPDX-License-Identifier: Apache-2.0
-- silver/ranked: the suspects, and which row of each key stays
--
-- Inputs: suspects, committed
-- Grain:  one row per suspect, by its rowid. place is 1 for the row that stays: its event is not in
--         silver yet.
--
-- Of one event_key the committed row stays; else the first by (received_at, topic, partition,
-- offset, index). The columns after these only make the order complete where one position came in
-- twice (a topic that was copied to another cluster). is_conflict: what was sent differs from the row that
-- stays, with NULL equal to NULL. Only what is compared is sorted, not the wide rows.
SELECT
    suspect,
    place,
    CASE WHEN product_id IS DISTINCT FROM first_product_id
            OR category IS DISTINCT FROM first_category
            OR sent_price IS DISTINCT FROM first_price
            OR event_time IS DISTINCT FROM first_time
            OR event_type IS DISTINCT FROM first_event_type
            OR quantity IS DISTINCT FROM first_quantity
        THEN 1 ELSE 0 END AS is_conflict
FROM (
    SELECT
        e.*,
        row_number() OVER w AS place,
        first_value(product_id) OVER w AS first_product_id,
        first_value(category) OVER w AS first_category,
        first_value(sent_price) OVER w AS first_price,
        first_value(event_time) OVER w AS first_time,
        first_value(event_type) OVER w AS first_event_type,
        first_value(quantity) OVER w AS first_quantity
    FROM (
        SELECT
            1 AS is_new, rowid AS suspect, event_key, product_id, category, sent_price, event_time,
            event_type, quantity, received_at, source_topic, source_partition, source_offset,
            source_index
        FROM suspects
        UNION ALL
        SELECT
            0 AS is_new, CAST(NULL AS BIGINT) AS suspect, event_key, product_id, category,
            price AS sent_price, event_time, event_type, quantity, received_at, source_topic,
            source_partition, source_offset, source_index
        FROM committed
    ) e
    WINDOW w AS (
        PARTITION BY event_key
        ORDER BY
            is_new, received_at, source_topic, source_partition, source_offset, source_index,
            event_time, product_id NULLS LAST, category NULLS LAST, sent_price NULLS LAST,
            event_type NULLS LAST, quantity
    )
) ranked
WHERE is_new = 1
