-- SPDX-License-Identifier: Apache-2.0
-- silver/staying: the rows of this batch that go to silver
--
-- Inputs: bronze_new, bot_agents, repeats
-- Grain:  one row per event_key that silver does not hold yet, but for those in silver/twins; and
--         rows that do not stay, of which `stays` is false.
--
-- bronze_new streams through; what is no first of its key was found before (silver/repeats), so
-- that no wide row is ever sorted or kept.
SELECT
    b.event_key, b.event_id, b.event_type, b.event_ts, b.product_id, b.sku, b.category,
    b.price, b.quantity, b.currency, b.user_id, b.session_id, b.order_id, b.page_url,
    b.referrer, a.user_agent IS NOT NULL AS is_bot, b.received_at, b.source_topic,
    b.source_partition, b.source_offset, b.source_index, true AS stays
FROM bronze_new b
LEFT JOIN bot_agents a ON a.user_agent = b.user_agent
LEFT JOIN repeats r
    ON r.source_offset = b.source_offset
    AND r.source_partition = b.source_partition
    AND r.source_index = b.source_index
    AND r.source_topic = b.source_topic
    AND r.received_at = b.received_at
    AND r.event_key = b.event_key
WHERE b.reject_reason IS NULL AND r.event_key IS NULL
