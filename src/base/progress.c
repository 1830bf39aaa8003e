/* SPDX-License-Identifier: Apache-2.0 */
#include "base/progress.h"

#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"

static const int64_t terminal_every_ns = 200000000LL, log_every_ns = 10000000000LL;

void progress_start(struct progress *p, const char *what, const char *unit, int64_t total) {
    *p = (struct progress){.what = what, .unit = unit, .total = total, .start_ns = clock_mono_ns()};
    p->shown_ns = p->start_ns;
    p->terminal = isatty(STDERR_FILENO);
}

static void print_line(const struct progress *p, int64_t done, double rate) {
    fprintf(stderr, "\r\033[K%s: %lld", p->what, (long long)done);
    if (p->total > 0)
        fprintf(stderr, " of %lld (%d %%)", (long long)p->total, (int)(100 * done / p->total));
    fprintf(stderr, " %s, %.0f/s", p->unit, rate);
    if (p->total > done && rate > 0)
        fprintf(stderr, ", %.0f s left", (double)(p->total - done) / rate);
    fflush(stderr);
}

void progress_update(struct progress *p, int64_t done) {
    int64_t now = clock_mono_ns();
    if (p->quiet || now - p->shown_ns < (p->terminal ? terminal_every_ns : log_every_ns))
        return;
    p->shown_ns = now;
    p->shown = true;
    double seconds = (double)(now - p->start_ns) / 1e9, rate = (double)done / seconds;
    if (p->terminal)
        print_line(p, done, rate);
    else
        log_info("progress", F_STR("step", p->what), F_INT(p->unit, done), F_INT("of", p->total),
                 F_NUM("per_second", rate));
}

void progress_end(struct progress *p) {
    if (p->terminal && p->shown) {
        fputs("\r\033[K", stderr);
        fflush(stderr);
    }
}
