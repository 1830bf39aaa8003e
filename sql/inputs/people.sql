-- SPDX-License-Identifier: Apache-2.0
-- inputs/people: the events that no bot made
--
-- Inputs: silver_events, bots
-- Grain:  one row per silver row whose user agent is on no list of bots and whose visitor is none
--         by behaviour.
SELECT e.*
FROM silver_events e
LEFT JOIN bots b
    ON b.visitor = coalesce(e.session_id, e.user_id)
    AND b.is_user = CASE WHEN e.session_id IS NULL THEN 1 ELSE 0 END
    AND b.event_date = e.event_date
WHERE NOT e.is_bot AND b.visitor IS NULL
