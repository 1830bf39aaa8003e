-- SPDX-License-Identifier: Apache-2.0
-- silver/events: one row per real event, clean and typed
--
-- Inputs: bronze_new, repeats, twins; ${bots} is a pattern made of conf/bots.txt
-- Grain:  one row per event_key that silver does not hold yet.
--
-- bronze_new streams through; what is no first of its key was found before (silver/repeats), so
-- that no wide row is ever sorted or kept.
--
-- event_ts comes in seconds, milli-, micro- or nanoseconds, told apart by size. The division of
-- nanoseconds goes by whole seconds first: neither dialect's `/` is exact beyond 2^53.
-- price is rounded half away from zero from the shortest decimal of the double: 1.00005 gives
-- 1.0001 although the double lies below. Only near a tie does that differ from the double's own
-- rounding, so only there the slower way by text is taken.
-- revenue: an event without a type is a sale. An amount that rounding lifts over the type's
-- largest value is held there.
-- is_bot: the pattern is tried once for each user agent, not for each event. The CASE keeps an
-- optimizer from trying it before the agents are grouped.
WITH bots AS (
    SELECT user_agent
    FROM bronze_new
    WHERE reject_reason IS NULL AND user_agent IS NOT NULL
    GROUP BY user_agent
    HAVING regexp_like(CASE WHEN count(*) > 0 THEN user_agent END, '${bots}')
)
SELECT
    event_key,
    event_id,
    event_type,
    timestamp_micros(event_us) AS event_time,
    to_date(timestamp_micros(event_us)) AS event_date,
    product_id,
    category,
    price,
    quantity,
    currency,
    CASE
        WHEN price IS NULL OR sold = 0 THEN CAST(0 AS DECIMAL(18,4))
        WHEN sold = 1 THEN price
        ELSE CAST(
            greatest(
                least(CAST(price AS DECIMAL(28,4)) * sold, 99999999999999.9999),
                -99999999999999.9999)
            AS DECIMAL(18,4))
    END AS revenue,
    user_id,
    session_id,
    order_id,
    page_url,
    referrer,
    is_bot,
    received_at,
    source_topic,
    source_partition,
    source_offset,
    source_index
FROM (
    SELECT
        event_key,
        event_id,
        event_type,
        CASE
            WHEN event_ts < 100000000000 THEN event_ts * 1000000
            WHEN event_ts < 100000000000000 THEN event_ts * 1000
            WHEN event_ts < 100000000000000000 THEN event_ts
            ELSE CAST(round((event_ts - event_ts % 1000000000) / 1000000000) AS BIGINT) * 1000000
                + CAST(floor(event_ts % 1000000000 / 1000) AS BIGINT)
        END AS event_us,
        coalesce(sku, CAST(product_id AS STRING)) AS product_id,
        category,
        CASE
            WHEN abs(price * 10000 - floor(price * 10000) - 0.5) < 0.01
                THEN CAST(CAST(price AS STRING) AS DECIMAL(18,4))
            ELSE CAST(price AS DECIMAL(18,4))
        END AS price,
        coalesce(quantity, 1) AS quantity,
        CASE
            WHEN event_type IS NULL OR event_type = 'purchase' THEN coalesce(quantity, 1)
            WHEN event_type = 'refund' THEN -coalesce(quantity, 1)
            ELSE 0
        END AS sold,
        currency,
        user_id,
        session_id,
        order_id,
        page_url,
        referrer,
        is_bot,
        received_at,
        source_topic,
        source_partition,
        source_offset,
        source_index
    FROM (
        SELECT
            b.event_key, b.event_id, b.event_type, b.event_ts, b.product_id, b.sku, b.category,
            b.price, b.quantity, b.currency, b.user_id, b.session_id, b.order_id, b.page_url,
            b.referrer, bots.user_agent IS NOT NULL AS is_bot, b.received_at, b.source_topic,
            b.source_partition, b.source_offset, b.source_index
        FROM bronze_new b
        LEFT JOIN bots ON bots.user_agent = b.user_agent
        LEFT JOIN repeats r
            ON r.source_offset = b.source_offset
            AND r.source_partition = b.source_partition
            AND r.source_index = b.source_index
            AND r.source_topic = b.source_topic
            AND r.received_at = b.received_at
            AND r.event_key = b.event_key
        WHERE b.reject_reason IS NULL AND r.event_key IS NULL
        UNION ALL
        SELECT
            t.event_key, t.event_id, t.event_type, t.event_ts, t.product_id, t.sku, t.category,
            t.price, t.quantity, t.currency, t.user_id, t.session_id, t.order_id, t.page_url,
            t.referrer, bots.user_agent IS NOT NULL AS is_bot, t.received_at, t.source_topic,
            t.source_partition, t.source_offset, t.source_index
        FROM twins t
        LEFT JOIN bots ON bots.user_agent = t.user_agent
    ) staying
) typed
