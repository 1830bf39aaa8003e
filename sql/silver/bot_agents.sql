-- SPDX-License-Identifier: Apache-2.0
-- silver/bot_agents: the user agents of this batch that are bots'
--
-- Inputs: bronze_new; ${bots} is a pattern made of conf/bots.txt
-- Grain:  one row per user agent.
--
-- The pattern is tried once for each user agent, not for each event. The CASE keeps an optimizer from
-- trying it before the agents are grouped.
SELECT user_agent
FROM bronze_new
WHERE reject_reason IS NULL AND user_agent IS NOT NULL
GROUP BY user_agent
HAVING regexp_like(CASE WHEN count(*) > 0 THEN user_agent END, '${bots}')
