-- SPDX-License-Identifier: Apache-2.0
-- silver/events: of the suspects, one row per real event
--
-- Inputs: ranked
-- Grain:  one row per event_key of the suspects that silver does not hold yet. The batch's other events
--         are in silver already (silver/suspects).
SELECT
    event_key, event_id, event_type, event_time, event_date, product_id, category, price, quantity,
    currency, revenue, user_id, session_id, order_id, page_url, referrer, is_bot, received_at,
    source_topic, source_partition, source_offset, source_index
FROM ranked
WHERE place = 1
