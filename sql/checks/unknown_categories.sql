-- SPDX-License-Identifier: Apache-2.0
-- Name:        unknown_categories
-- Description: Categories that are not in check.categories or, where that is empty, on none of the 28 days before, of which 7 must have events.
-- Severity:    warn
-- Days:        29
WITH listed AS (
    SELECT unnest(regexp_split_to_array(trim(${categories}), '\s*,\s*')) AS category
    WHERE ${categories} <> ''
)
SELECT m.event_date, m.category, m.total_events
FROM gold.clickstream_metrics m
JOIN days ON days.event_date = m.event_date
WHERE CASE WHEN ${categories} <> ''
    THEN m.category NOT IN (SELECT category FROM listed)
    ELSE (
            SELECT count(DISTINCT b.event_date)
            FROM gold.clickstream_metrics b
            WHERE b.event_date < m.event_date AND b.event_date >= m.event_date - 28
        ) >= 7
        AND NOT EXISTS (
            SELECT 1
            FROM gold.clickstream_metrics b
            WHERE b.event_date < m.event_date AND b.event_date >= m.event_date - 28
                AND b.category = m.category
        )
    END
ORDER BY m.event_date, m.category
