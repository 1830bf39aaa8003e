-- SPDX-License-Identifier: Apache-2.0
-- gold/clickstream_metrics: events and revenue by category and day
--
-- Inputs: silver_events (the files of the dates to make anew)
-- Grain:  one row per category and event_date; silver rows without a category are left out.
--
-- Money is added up as DECIMAL, exactly, and becomes DOUBLE once, by text: that is the nearest
-- double for sums of any size. A count beyond INT is an error; sql/README.md says how to widen.
SELECT
    category,
    CAST(count(*) AS INT) AS total_events,
    CAST(CAST(sum(revenue) AS STRING) AS DOUBLE) AS total_revenue,
    event_date
FROM silver_events
WHERE category IS NOT NULL
GROUP BY category, event_date
