-- SPDX-License-Identifier: Apache-2.0
-- Name:        null_share
-- Description: Days on which too many events of a product (views, carts, sales, refunds) lack the product, the category or the price.
-- Severity:    warn
-- Days:        1
SELECT
    event_date,
    count(*) AS events,
    count(*) - count(product_id) AS without_product,
    count(*) - count(category) AS without_category,
    count(*) - count(price) AS without_price
FROM silver.events
WHERE event_type IS NULL
    OR event_type IN ('view', 'add_to_cart', 'remove_from_cart', 'purchase', 'refund')
GROUP BY event_date
HAVING count(*) - least(count(product_id), count(category), count(price)) > ${share} * count(*)
ORDER BY event_date
