-- SPDX-License-Identifier: Apache-2.0
-- silver/staying, as DuckDB runs it: no row is left out here, so that no text is copied
--
-- Inputs: bronze_new, bot_agents, repeats
-- Grain:  as in silver/staying.
--
-- An IN in the SELECT list marks the rows and hands the vectors on as they are. A join, or a WHERE that
-- some rows do not pass, hands on a choice of them, of which every text is copied before it is written.
SELECT
    b.event_key, b.event_id, b.event_type, b.event_ts, b.product_id, b.sku, b.category,
    b.price, b.quantity, b.currency, b.user_id, b.session_id, b.order_id, b.page_url,
    b.referrer, coalesce(b.user_agent IN (SELECT user_agent FROM bot_agents), false) AS is_bot,
    b.received_at, b.source_topic, b.source_partition, b.source_offset, b.source_index,
    NOT coalesce(
        (b.source_offset, b.source_partition, b.source_index, b.source_topic, b.received_at,
            b.event_key) IN (
            SELECT
                source_offset, source_partition, source_index, source_topic, received_at, event_key
            FROM repeats
        ),
        false) AS stays
FROM bronze_new b
WHERE b.reject_reason IS NULL
