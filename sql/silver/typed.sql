-- SPDX-License-Identifier: Apache-2.0
-- silver/typed: the events of this batch, clean and typed as silver has them
--
-- Inputs: arrived
-- Grain:  one row per row of arrived; sent_price is for silver/ranked.
--
-- event_ts comes in seconds, milli-, micro- or nanoseconds, told apart by size. The division of
-- nanoseconds goes by whole seconds first: neither dialect's `/` is exact beyond 2^53.
-- price is rounded half away from zero from the shortest decimal of the double: 1.00005 gives
-- 1.0001 although the double lies below. Only near a tie does that differ from the double's own
-- rounding, so only there the slower way by text is taken.
-- revenue: an event without a type is a sale. An amount that rounding lifts over the type's
-- largest value is held there.
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
    source_index,
    sent_price
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
        source_index,
        price AS sent_price
    FROM arrived
) typed
