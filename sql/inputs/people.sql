-- SPDX-License-Identifier: Apache-2.0
-- inputs/people: the events that no bot made
--
-- Inputs: silver_events, bots
-- Grain:  one row per silver row whose user agent is on no list of bots and whose visitor is none
--         by behaviour.
SELECT e.*
FROM silver_events e
LEFT JOIN bots b
    ON b.visitor = coalesce('session ' || e.session_id, 'user ' || e.user_id)
    AND b.event_date = e.event_date
WHERE NOT e.is_bot AND b.visitor IS NULL
