-- SPDX-License-Identifier: Apache-2.0
-- inputs/bots: visitors who behave as no person does, by day
--
-- Inputs: silver_events
-- Grain:  one row per visitor and event_date; a visitor is a session, or a user where there is none.
--
-- More than 120 events within one minute of the clock, or more than 5,000 in a day.
SELECT visitor, event_date
FROM (
    SELECT visitor, event_date, minute, count(*) AS events
    FROM (
        SELECT
            coalesce('session ' || session_id, 'user ' || user_id) AS visitor,
            event_date,
            unix_micros(event_time) - unix_micros(event_time) % 60000000 AS minute
        FROM silver_events
    ) visits
    WHERE visitor IS NOT NULL
    GROUP BY visitor, event_date, minute
) minutes
GROUP BY visitor, event_date
HAVING max(events) > 120 OR sum(events) > 5000
