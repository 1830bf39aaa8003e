-- SPDX-License-Identifier: Apache-2.0
-- silver/ranked: the suspects, and which row of each key stays
--
-- Inputs: suspects, committed
-- Grain:  one row per suspect. place is 1 for the row that stays: its event is not in silver yet.
--
-- Of one event_key the committed row stays; else the first by (received_at, topic, partition,
-- offset, index). The columns after these only make the order complete where one position came in
-- twice (a topic that was copied to another cluster). is_conflict: what was sent differs from the row that
-- stays, with NULL equal to NULL.
SELECT
    event_key, event_id, event_type, event_time, event_date, product_id, category, price, quantity,
    currency, revenue, user_id, session_id, order_id, page_url, referrer, is_bot, received_at,
    source_topic, source_partition, source_offset, source_index, place,
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
            1 AS is_new, event_key, event_id, event_type, event_time, event_date, product_id,
            category, price, quantity, currency, revenue, user_id, session_id, order_id, page_url,
            referrer, is_bot, received_at, source_topic, source_partition, source_offset,
            source_index, sent_price
        FROM suspects
        UNION ALL
        SELECT
            0 AS is_new, event_key, CAST(NULL AS STRING) AS event_id, event_type, event_time,
            CAST(NULL AS DATE) AS event_date, product_id, category,
            CAST(NULL AS DECIMAL(18,4)) AS price, quantity, CAST(NULL AS STRING) AS currency,
            CAST(NULL AS DECIMAL(18,4)) AS revenue, CAST(NULL AS STRING) AS user_id,
            CAST(NULL AS STRING) AS session_id, CAST(NULL AS STRING) AS order_id,
            CAST(NULL AS STRING) AS page_url, CAST(NULL AS STRING) AS referrer,
            CAST(NULL AS BOOLEAN) AS is_bot, received_at, source_topic, source_partition,
            source_offset, source_index, price AS sent_price
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
