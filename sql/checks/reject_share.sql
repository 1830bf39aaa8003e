-- SPDX-License-Identifier: Apache-2.0
-- Name:        reject_share
-- Description: The newest day of arrival, if too many of its records were rejected.
-- Severity:    warn
-- Days:        1
SELECT
    ingest_date,
    count(*) AS records,
    count(reject_reason) AS rejected,
    mode(reject_reason) AS most_common_reason
FROM bronze.events
WHERE reject_reason IS DISTINCT FROM 'forgotten'
GROUP BY ingest_date
HAVING count(reject_reason) > ${share} * count(*)
ORDER BY ingest_date
