/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How fast one core decodes: prints million events a second for the plain event of 4 fields and for
 * one of 12 fields, with and without event_id (without it the key is a SHA-256). Events differ from
 * each other, as in life; they lie in one buffer, as a batch from the stream does.
 *
 *   bench_decode [seconds per line]
 */
#include "event/event.h"

#include <time.h>

enum { EVENTS = 20000, TEXT_MAX = 1024, ROUND = 10000 };

static const int64_t RECEIVED_US = INT64_C(1771290000000000);

struct batch {
    char *data;
    size_t len;
    struct text records[EVENTS];
};

/* The core time of this thread: what else the machine does stays out. */
static double now(void) {
    struct timespec t;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

/* The same numbers in each run. */
static uint64_t next_random(void) {
    static uint64_t state = 1;
    state = state * UINT64_C(6364136223846793005) + 1;
    return state >> 33;
}

static int write_plain(char *out, const char *category) {
    return snprintf(
        out, TEXT_MAX,
        "{\"product_id\":%llu,\"category\":\"%s\",\"price\":%llu.%02llu,\"event_ts\":%llu}",
        (unsigned long long)(next_random() % 20 + 1), category,
        (unsigned long long)(next_random() % 1000), (unsigned long long)(next_random() % 100),
        (unsigned long long)(1771200000 + next_random() % 86400));
}

static int write_full(char *out, const char *category, bool with_id) {
    static const char *const types[] = {"view", "add_to_cart", "purchase", "page_view",
                                        "remove_from_cart"};
    char id[64] = "";
    if (with_id)
        snprintf(id, sizeof id, "\"event_id\":\"%08llx-%04llx-4c1d-9e2f-%012llx\",",
                 (unsigned long long)next_random(), (unsigned long long)(next_random() & 0xffff),
                 (unsigned long long)next_random());
    return snprintf(
        out, TEXT_MAX,
        "{%s\"event_type\":\"%s\",\"event_ts\":%llu,\"user_id\":\"u%llu\",\"session_id\":\"s-%"
        "09llx\","
        "\"product_id\":%llu,\"category\":\"%s\",\"price\":%llu.%02llu,\"quantity\":%llu,"
        "\"currency\":\"USD\","
        "\"page_url\":\"https://shop.example.com/products/%llu\","
        "\"user_agent\":\"Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36\"}",
        id, types[next_random() % ARRAY_LEN(types)],
        (unsigned long long)(UINT64_C(1771200000000) + next_random() % 86400000),
        (unsigned long long)(next_random() % 100000), (unsigned long long)next_random(),
        (unsigned long long)(next_random() % 20 + 1), category,
        (unsigned long long)(next_random() % 1000), (unsigned long long)(next_random() % 100),
        (unsigned long long)(next_random() % 3 + 1), (unsigned long long)(next_random() % 20 + 1));
}

enum shape { PLAIN, FULL, FULL_WITH_ID };

static void batch_fill(struct batch *b, enum shape shape) {
    static const char *const categories[] = {"men's clothing", "jewelery", "electronics",
                                             "women's clothing"};
    b->len = 0;
    for (size_t i = 0; i < EVENTS; i++) {
        char *out = b->data + b->len;
        const char *category = categories[next_random() % ARRAY_LEN(categories)];
        int n = shape == PLAIN ? write_plain(out, category)
                               : write_full(out, category, shape == FULL_WITH_ID);
        b->records[i] = (struct text){out, (uint32_t)n};
        b->len += (size_t)n;
    }
}

/* Decodes for `seconds`; returns how many events. */
static void run(const char *title, struct batch *b, double seconds) {
    struct event_decoder *d = event_decoder_new();
    struct event ev;
    size_t done = 0, rejected = 0;
    double begin = now(), spent;
    do {
        for (size_t i = 0; i < ROUND; i++) {
            const struct text *rec = &b->records[(done + i) % EVENTS];
            event_decode(d, rec->p, rec->len, RECEIVED_US, &ev);
            rejected += ev.reject != REJECT_NONE;
        }
        event_decoder_reset(d);
        done += ROUND;
        spent = now() - begin;
    } while (spent < seconds);
    printf("%-28s %4zu bytes  %6.2f M events/s  %5.0f ns  %zu rejected\n", title, b->len / EVENTS,
           (double)done / spent * 1e-6, spent / (double)done * 1e9, rejected);
    event_decoder_free(d);
}

int main(int argc, char **argv) {
    double seconds = argc > 1 ? atof(argv[1]) : 1;
    struct batch *b = xcalloc(1, sizeof *b);
    b->data = xmalloc((size_t)EVENTS * TEXT_MAX);
    batch_fill(b, PLAIN);
    run("4 fields, key by SHA-256", b, seconds);
    batch_fill(b, FULL);
    run("11 fields, key by SHA-256", b, seconds);
    batch_fill(b, FULL_WITH_ID);
    run("12 fields, with event_id", b, seconds);
    free(b->data);
    free(b);
    return 0;
}
