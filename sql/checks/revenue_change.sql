-- SPDX-License-Identifier: Apache-2.0
-- Name:        revenue_change
-- Description: Days that are over and whose revenue is far from the mean of the 14 days before, of which 12 must have events.
-- Severity:    warn
-- Days:        15
WITH by_day AS (
    SELECT event_date, sum(total_revenue) AS revenue
    FROM gold.clickstream_metrics
    GROUP BY event_date
)
SELECT
    d.event_date,
    round(d.revenue, 2) AS revenue,
    round(avg(b.revenue), 2) AS mean_before,
    count(*) AS days_before
FROM by_day d
JOIN days ON days.event_date = d.event_date
JOIN by_day b ON b.event_date < d.event_date AND b.event_date >= d.event_date - 14
WHERE d.event_date < to_date(now())
GROUP BY d.event_date, d.revenue
HAVING count(*) >= 12 AND abs(round(d.revenue - avg(b.revenue), 4)) > ${change} * abs(avg(b.revenue))
ORDER BY d.event_date
