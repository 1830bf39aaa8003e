-- SPDX-License-Identifier: Apache-2.0
-- Name:        freshness
-- Description: The newest record in bronze, if it came too long ago.
-- Severity:    warn
-- Days:        1
SELECT
    max(received_at) AS newest_record,
    (epoch_ms(now()) - epoch_ms(max(received_at))) // 1000 AS seconds_old
FROM bronze.events
HAVING epoch_ms(now()) - epoch_ms(max(received_at)) > ${milliseconds}
