-- SPDX-License-Identifier: Apache-2.0
-- Name:        funnel_daily
-- Description: From view to purchase, by category and day, without bots.
-- Inputs:      people
-- Partition:   event_date
-- Grain:       category, event_date
-- Columns:
--   category    as sent
--   views       events of type view
--   carts       events of type add_to_cart
--   checkouts   events of type checkout; one that names no category counts for each category that
--               its session has put into the cart that day
--   purchases   events of type purchase, and events without a type: each is a sale
--   conversion  purchases / views; NULL on a day without views
--   event_date  the UTC day on which they happened
WITH steps AS (
    SELECT category, event_date, coalesce(event_type, 'purchase') AS step
    FROM people
    WHERE category IS NOT NULL
        AND (event_type IS NULL
            OR event_type IN ('view', 'add_to_cart', 'checkout', 'purchase'))
    UNION ALL
    SELECT cart.category, p.event_date, 'checkout' AS step
    FROM people p
    JOIN (
        SELECT DISTINCT session_id, category, event_date
        FROM people
        WHERE event_type = 'add_to_cart' AND category IS NOT NULL
    ) cart
        ON cart.session_id = p.session_id AND cart.event_date = p.event_date
    WHERE p.event_type = 'checkout' AND p.category IS NULL
)
SELECT
    category,
    views,
    carts,
    checkouts,
    purchases,
    CASE WHEN views > 0 THEN CAST(purchases AS DOUBLE) / CAST(views AS DOUBLE) END AS conversion,
    event_date
FROM (
    SELECT
        category,
        CAST(count(CASE WHEN step = 'view' THEN 1 END) AS BIGINT) AS views,
        CAST(count(CASE WHEN step = 'add_to_cart' THEN 1 END) AS BIGINT) AS carts,
        CAST(count(CASE WHEN step = 'checkout' THEN 1 END) AS BIGINT) AS checkouts,
        CAST(count(CASE WHEN step = 'purchase' THEN 1 END) AS BIGINT) AS purchases,
        event_date
    FROM steps
    GROUP BY category, event_date
) counted
