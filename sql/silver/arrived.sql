-- SPDX-License-Identifier: Apache-2.0
-- silver/arrived: the events of this batch, and which of them are bots'
--
-- Inputs: bronze_new, bot_agents
-- Grain:  one row per row of the batch that is no reject.
SELECT
    b.event_key, b.event_id, b.event_type, b.event_ts, b.product_id, b.sku, b.category,
    b.price, b.quantity, b.currency, b.user_id, b.session_id, b.order_id, b.page_url,
    b.referrer, a.user_agent IS NOT NULL AS is_bot, b.received_at, b.source_topic,
    b.source_partition, b.source_offset, b.source_index
FROM bronze_new b
LEFT JOIN bot_agents a ON a.user_agent = b.user_agent
WHERE b.reject_reason IS NULL
