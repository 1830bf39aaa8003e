/* SPDX-License-Identifier: Apache-2.0 */
#include "flow/timeline.h"

#include "base/clock.h"

#define US_PER_HOUR (3600 * US_PER_SECOND)

/* How busy the shop is in each hour of the day. */
static const double busy[24] = {0.35, 0.22, 0.15, 0.12, 0.12, 0.18, 0.35, 0.60,
                                0.85, 1.00, 1.05, 1.10, 1.20, 1.15, 1.05, 1.00,
                                1.05, 1.20, 1.45, 1.75, 1.90, 1.70, 1.20, 0.70};

/* The weight of the hour, or piece of one, from `from` to the next full hour or the end. */
static double weight(const struct timeline *t, int64_t from, int64_t *ret_to) {
    int64_t hour = from / US_PER_HOUR;
    *ret_to = MIN((hour + 1) * US_PER_HOUR, t->end_us);
    return busy[hour % 24] * (double)(*ret_to - from);
}

void timeline_init(struct timeline *t, int64_t now_us, int64_t period_us, int64_t n) {
    *t = (struct timeline){.end_us = now_us ? now_us : clock_now_us(), .clock = now_us == 0};
    t->start_us = MAX(t->end_us - period_us, 0);
    if (period_us <= 0 || n <= 0 || t->start_us >= t->end_us)
        return;
    t->n = n;
    t->hour_us = t->start_us;
    for (int64_t at = t->start_us, to; at < t->end_us; at = to)
        t->total += weight(t, at, &to);
}

int64_t timeline_at(struct timeline *t, int64_t i) {
    if (t->n == 0)
        return t->clock ? clock_now_us() : t->end_us;
    double target = ((double)i + 0.5) / (double)t->n * t->total;
    int64_t to;
    double w = weight(t, t->hour_us, &to);
    while (t->before + w < target && to < t->end_us) {
        t->before += w;
        t->hour_us = to;
        w = weight(t, t->hour_us, &to);
    }
    int64_t at = t->hour_us + (int64_t)((target - t->before) / w * (double)(to - t->hour_us));
    return MIN(MAX(at, t->hour_us), t->end_us);
}
