-- SPDX-License-Identifier: Apache-2.0
-- Name:        traffic_daily
-- Description: How many came, how many of them were bots, and what an order was worth, by day.
-- Inputs:      silver_events, people
-- Partition:   event_date
-- Grain:       event_date
-- Columns:
--   events               how many events, of every type
--   bots                 of these, events of bots, by their user agent or by their behaviour
--   users                different user_ids, without bots
--   sessions             different session_ids, without bots
--   orders               different order_ids of sales, and each sale without an order_id
--   revenue              of all events: sales less refunds
--   average_order_value  revenue of the sales alone / orders; NULL on a day without sales
--   event_date           the UTC day on which they happened
SELECT
    traffic.events,
    traffic.events - coalesce(visits.events, 0) AS bots,
    coalesce(visits.users, 0) AS users,
    coalesce(visits.sessions, 0) AS sessions,
    traffic.orders,
    CAST(CAST(traffic.revenue AS STRING) AS DOUBLE) AS revenue,
    CASE
        WHEN traffic.orders > 0
            THEN CAST(CAST(traffic.sales AS STRING) AS DOUBLE) / CAST(traffic.orders AS DOUBLE)
    END AS average_order_value,
    traffic.event_date
FROM (
    SELECT
        CAST(count(*) AS BIGINT) AS events,
        CAST(
            count(DISTINCT CASE WHEN is_sale = 1 THEN order_id END)
            + count(CASE WHEN is_sale = 1 AND order_id IS NULL THEN 1 END)
            AS BIGINT) AS orders,
        sum(revenue) AS revenue,
        sum(CASE WHEN is_sale = 1 THEN revenue ELSE CAST(0 AS DECIMAL(18,4)) END) AS sales,
        event_date
    FROM (
        SELECT
            event_date,
            order_id,
            revenue,
            CASE WHEN event_type IS NULL OR event_type = 'purchase' THEN 1 ELSE 0 END AS is_sale
        FROM silver_events
    ) told
    GROUP BY event_date
) traffic
LEFT JOIN (
    SELECT
        CAST(count(*) AS BIGINT) AS events,
        CAST(count(DISTINCT user_id) AS BIGINT) AS users,
        CAST(count(DISTINCT session_id) AS BIGINT) AS sessions,
        event_date
    FROM people
    GROUP BY event_date
) visits
    ON visits.event_date = traffic.event_date
