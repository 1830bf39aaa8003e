-- SPDX-License-Identifier: Apache-2.0
-- lake/rejects_show: the rejected records one by one
--
-- Inputs: chosen (lake/rejects, those that were asked for)
-- Grain:  one row per rejected row.
--
-- raw can be printed anywhere: the text as it is, or, where it is no UTF-8 or holds a NUL, with each
-- byte beyond plain ASCII as \xNN (and then \ as \x5C): `form` says which.
SELECT
    source_topic,
    source_partition,
    source_offset,
    source_index,
    position,
    received_at,
    reason,
    detail,
    replayed,
    octet_length(bytes) AS size,
    CASE WHEN is_text THEN 'text' ELSE 'escaped' END AS form,
    CASE WHEN is_text THEN text ELSE CAST(bytes AS VARCHAR) END AS raw
FROM (
    SELECT *, coalesce(NOT contains(text, chr(0)), false) AS is_text
    FROM (SELECT *, TRY(decode(bytes)) AS text FROM chosen) decoded
) formed
