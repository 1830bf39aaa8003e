-- SPDX-License-Identifier: Apache-2.0
-- Name:        clickstream_metrics
-- Description: Events and revenue by category and day: the contract.
-- Inputs:      silver_events
-- Partition:   event_date
-- Grain:       category, event_date
-- Columns:
--   category       as sent; events without one are left out
--   total_events   how many events, of every type, bots' too
--   total_revenue  their revenue: sales less refunds
--   event_date     the UTC day on which they happened
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
