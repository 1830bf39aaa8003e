-- SPDX-License-Identifier: Apache-2.0
-- inputs/bots: visitors who behave as no person does, by day
--
-- Inputs: silver_events
-- Grain:  one row per visitor, is_user and event_date; a visitor is a session, or a user where
--         there is none (is_user = 1).
--
-- More than 120 events within one minute of the clock, or more than 5,000 in a day. Whoever is so
-- busy makes the bucket of his hash a busy one, and hardly anybody else's is: only who is in such a
-- bucket is counted by his name, which for millions of visitors takes many times as long.
SELECT visitor, is_user, event_date
FROM (
    SELECT visitor, is_user, event_date, minute, count(*) AS events
    FROM (
        SELECT
            coalesce(session_id, user_id) AS visitor,
            CASE WHEN session_id IS NULL THEN 1 ELSE 0 END AS is_user,
            event_date,
            unix_micros(event_time) - unix_micros(event_time) % 60000000 AS minute
        FROM silver_events
        WHERE xxhash64(coalesce(session_id, user_id)) % 1048576 IN (
            SELECT bucket
            FROM (
                SELECT xxhash64(coalesce(session_id, user_id)) % 1048576 AS bucket
                FROM silver_events
            ) buckets
            GROUP BY bucket
            HAVING count(*) > 120
        )
    ) visits
    WHERE visitor IS NOT NULL
    GROUP BY visitor, is_user, event_date, minute
) minutes
GROUP BY visitor, is_user, event_date
HAVING max(events) > 120 OR sum(events) > 5000
