-- SPDX-License-Identifier: Apache-2.0
-- Name:        currencies
-- Description: Days with prices in several currencies: amounts are added up as they are, not converted.
-- Severity:    warn
-- Days:        1
SELECT
    event_date,
    count(DISTINCT currency) AS currencies,
    array_to_string(list_slice(list_sort(list(DISTINCT currency)), 1, 5), ', ') AS the_first
FROM silver.events
WHERE currency IS NOT NULL AND price IS NOT NULL
GROUP BY event_date
HAVING count(DISTINCT currency) > 1
ORDER BY event_date
