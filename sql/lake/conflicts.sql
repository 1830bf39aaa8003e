-- SPDX-License-Identifier: Apache-2.0
-- lake/conflicts: what came again under the key of another event
--
-- Inputs: bronze.events, silver.events
-- Grain:  one row per bronze row that differs from the silver row of its event_key, as
--         silver/ranked tells them apart; also those that silver has not read yet.
--
-- Prices are compared as they were sent, and silver has them rounded: whoever is another row than
-- silver's, or differs from it, is suspected, and then held against the bronze row at silver's
-- position (silver/committed).
WITH suspect AS (
    SELECT
        s.event_key,
        coalesce(b.sku, CAST(b.product_id AS VARCHAR)) AS product_id, s.product_id AS kept_product_id,
        b.category, s.category AS kept_category,
        b.price, s.price AS kept_money,
        b.event_time, s.event_time AS kept_event_time,
        b.event_type, s.event_type AS kept_event_type,
        coalesce(b.quantity, 1) AS quantity, s.quantity AS kept_quantity,
        b.received_at, b.source_topic, b.source_partition, b.source_offset, b.source_index,
        s.received_at AS kept_received_at, s.source_topic AS kept_topic,
        s.source_partition AS kept_partition, s.source_offset AS kept_offset,
        s.source_index AS kept_index
    FROM (
        SELECT
            *,
            make_timestamptz(
                CASE
                    WHEN event_ts < 100000000000 THEN event_ts * 1000000
                    WHEN event_ts < 100000000000000 THEN event_ts * 1000
                    WHEN event_ts < 100000000000000000 THEN event_ts
                    ELSE event_ts // 1000
                END) AS event_time
        FROM bronze.events
        WHERE reject_reason IS NULL
    ) b
    JOIN silver.events s ON s.event_key = b.event_key
    WHERE b.received_at <> s.received_at
        OR b.source_topic <> s.source_topic
        OR b.source_partition <> s.source_partition
        OR b.source_offset <> s.source_offset
        OR b.source_index <> s.source_index
        OR coalesce(b.sku, CAST(b.product_id AS VARCHAR)) IS DISTINCT FROM s.product_id
        OR b.category IS DISTINCT FROM s.category
        OR b.price IS DISTINCT FROM CAST(s.price AS DOUBLE)
        OR b.event_time IS DISTINCT FROM s.event_time
        OR b.event_type IS DISTINCT FROM s.event_type
        OR coalesce(b.quantity, 1) IS DISTINCT FROM s.quantity
),
-- One row per position of silver's that is suspected.
kept AS (
    SELECT
        k.event_key,
        CASE WHEN count(o.event_key) = 0 THEN CAST(min(k.kept_money) AS DOUBLE) ELSE min(o.price) END
            AS price
    FROM (SELECT DISTINCT event_key, kept_money, kept_received_at, kept_topic, kept_partition,
        kept_offset, kept_index FROM suspect) k
    LEFT JOIN bronze.events o
        ON o.event_key = k.event_key
        AND o.received_at = k.kept_received_at
        AND o.source_topic = k.kept_topic
        AND o.source_partition = k.kept_partition
        AND o.source_offset = k.kept_offset
        AND o.source_index = k.kept_index
    GROUP BY k.event_key
),
compared AS (
    SELECT
        suspect.*,
        kept.price AS kept_price,
        suspect.product_id IS DISTINCT FROM kept_product_id AS other_product,
        category IS DISTINCT FROM kept_category AS other_category,
        suspect.price IS DISTINCT FROM kept.price AS other_price,
        event_time IS DISTINCT FROM kept_event_time AS other_time,
        event_type IS DISTINCT FROM kept_event_type AS other_type,
        quantity IS DISTINCT FROM kept_quantity AS other_quantity
    FROM suspect
    JOIN kept ON kept.event_key = suspect.event_key
)
SELECT
    event_key,
    concat_ws('/', kept_topic, kept_partition, kept_offset, kept_index) AS kept,
    concat_ws('/', source_topic, source_partition, source_offset, source_index) AS left_out,
    concat_ws(', ',
        CASE WHEN other_product THEN 'product_id' END,
        CASE WHEN other_category THEN 'category' END,
        CASE WHEN other_price THEN 'price' END,
        CASE WHEN other_time THEN 'event_time' END,
        CASE WHEN other_type THEN 'event_type' END,
        CASE WHEN other_quantity THEN 'quantity' END) AS differs,
    kept_product_id, product_id,
    kept_category, category,
    kept_price, price,
    kept_event_time, event_time,
    kept_event_type, event_type,
    kept_quantity, quantity,
    kept_received_at, received_at
FROM compared
WHERE other_product OR other_category OR other_price OR other_time OR other_type OR other_quantity
ORDER BY
    received_at, source_topic, source_partition, source_offset, source_index, event_key
