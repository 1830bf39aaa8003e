-- SPDX-License-Identifier: Apache-2.0
-- Name:        late_daily
-- Description: How late the events of a day arrived.
-- Inputs:      silver_events
-- Partition:   event_date
-- Grain:       age, event_date
-- Columns:
--   age         from when it happened to when the stream took it: under 1 hour (of a clock that runs
--               ahead, too), 1 hour to 1 day, 1 to 7 days, 7 to 30 days, 30 days or more
--   events      how many events, of every type
--   revenue     their revenue: sales less refunds
--   event_date  the UTC day on which they happened
SELECT
    age,
    CAST(count(*) AS BIGINT) AS events,
    CAST(CAST(sum(revenue) AS STRING) AS DOUBLE) AS revenue,
    event_date
FROM (
    SELECT
        CASE
            WHEN late_us < 3600000000 THEN 'under 1 hour'
            WHEN late_us < 86400000000 THEN '1 hour to 1 day'
            WHEN late_us < 604800000000 THEN '1 to 7 days'
            WHEN late_us < 2592000000000 THEN '7 to 30 days'
            ELSE '30 days or more'
        END AS age,
        revenue,
        event_date
    FROM (
        SELECT
            unix_micros(received_at) - unix_micros(event_time) AS late_us,
            revenue,
            event_date
        FROM silver_events
    ) measured
) aged
GROUP BY age, event_date
