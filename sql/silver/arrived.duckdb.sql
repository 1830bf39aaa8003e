-- SPDX-License-Identifier: Apache-2.0
-- silver/arrived, as DuckDB runs it: an IN in the SELECT list instead of a join
--
-- Inputs: bronze_new, bot_agents
-- Grain:  as in silver/arrived.
--
-- It hands the columns on as they are. A join hands on a choice of their rows, of which every text is
-- copied before it is written.
SELECT
    event_key, event_id, event_type, event_ts, product_id, sku, category, price, quantity, currency,
    user_id, session_id, order_id, page_url, referrer,
    coalesce(user_agent IN (SELECT user_agent FROM bot_agents), false) AS is_bot,
    received_at, source_topic, source_partition, source_offset, source_index
FROM bronze_new
WHERE reject_reason IS NULL
