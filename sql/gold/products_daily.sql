-- SPDX-License-Identifier: Apache-2.0
-- Name:        products_daily
-- Description: Events, units and revenue by product and day.
-- Inputs:      silver_events
-- Partition:   event_date
-- Grain:       product_id, event_date
-- Columns:
--   product_id  the product, or its sku where it has one; events without either are left out
--   events      how many events, of every type, bots' too
--   units       pieces sold less pieces refunded
--   revenue     their revenue: sales less refunds
--   event_date  the UTC day on which they happened
SELECT
    product_id,
    CAST(count(*) AS BIGINT) AS events,
    CAST(sum(
        CASE
            WHEN event_type IS NULL OR event_type = 'purchase' THEN quantity
            WHEN event_type = 'refund' THEN -quantity
            ELSE 0
        END) AS BIGINT) AS units,
    CAST(CAST(sum(revenue) AS STRING) AS DOUBLE) AS revenue,
    event_date
FROM silver_events
WHERE product_id IS NOT NULL
GROUP BY product_id, event_date
