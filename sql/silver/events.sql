-- SPDX-License-Identifier: Apache-2.0
-- silver/events: of the suspects, one row per real event
--
-- Inputs: suspects, ranked
-- Grain:  one row per event_key of the suspects that silver does not hold yet. The batch's other events
--         are written already (silver/suspects).
SELECT
    s.event_key, s.event_id, s.event_type, s.event_time, s.event_date, s.product_id, s.category,
    s.price, s.quantity, s.currency, s.revenue, s.user_id, s.session_id, s.order_id, s.page_url,
    s.referrer, s.is_bot, s.received_at, s.source_topic, s.source_partition, s.source_offset,
    s.source_index
FROM suspects s
JOIN ranked r ON r.suspect = s.rowid
WHERE r.place = 1
