-- SPDX-License-Identifier: Apache-2.0
-- lake/rejects_list: how many records were rejected, when and why
--
-- Inputs: chosen (lake/rejects, those that were asked for)
-- Grain:  one row per day of arrival, reason and detail; the newest day first, there what is most.
SELECT
    ingest_date AS day,
    reason,
    detail,
    count(*) AS rejects,
    count(*) FILTER (WHERE replayed) AS replayed,
    arg_min(position, place) AS first,
    arg_max(position, place) AS last
FROM (
    SELECT
        *,
        {r: received_at, t: source_topic, p: source_partition, o: source_offset, i: source_index}
            AS place
    FROM chosen
) placed
GROUP BY ingest_date, reason, detail
ORDER BY day DESC, rejects DESC, reason, detail
