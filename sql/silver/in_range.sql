-- SPDX-License-Identifier: Apache-2.0
-- silver/in_range: of the bronze rows read, the events of some days
--
-- Inputs: bronze_read; ${days} is what a date is held against
-- Grain:  one row per event. What was rejected has no day.
SELECT *
FROM bronze_read
WHERE reject_reason IS NULL
    AND to_date(timestamp_micros(CASE
        WHEN event_ts < 100000000000 THEN event_ts * 1000000
        WHEN event_ts < 100000000000000 THEN event_ts * 1000
        WHEN event_ts < 100000000000000000 THEN event_ts
        ELSE CAST(round((event_ts - event_ts % 1000000000) / 1000000000) AS BIGINT) * 1000000
            + CAST(floor(event_ts % 1000000000 / 1000) AS BIGINT)
    END)) ${days}
