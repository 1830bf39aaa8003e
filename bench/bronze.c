/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How fast one core makes bronze files: events made beforehand -> bronze_group -> bronze_encode.
 * Prints rows per second, bytes per row, and where the time goes: filling the columns, encoding
 * without compression, compressing.
 *
 *   bronze [million rows per case [FILE]]
 *
 * FILE: also writes the rows of the first case to this new Parquet file, for bronze_rival.py.
 */
#include "parquet/bronze.h"
#include "base/clock.h"
#include "base/limits.h"

#include <inttypes.h>
#include <sys/resource.h>

enum { GROUP = 64 * 1024, BATCH = 256, USERS = 10000, SESSIONS = 3000, PRODUCTS = 200 };

/* What a case sends. */
struct shape {
    const char *name;
    bool full; /* 12 fields, or the 4 of the plain contract */
    bool ids;  /* event_id sent; else event_key is a hash */
};

struct product {
    int32_t id;
    double price;
    char category[32];
};

struct generator {
    uint64_t state;
    int64_t now_us;
    int64_t offset;
    struct product products[PRODUCTS];
    char sessions[SESSIONS][40];
    char agents[60][128];
    char text[BATCH * 1024]; /* of one batch */
    size_t used;
};

/* splitmix64 */
static uint64_t draw(struct generator *g) {
    uint64_t z = (g->state += 0x9e3779b97f4a7c15ULL);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ULL;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebULL;
    return z ^ (z >> 31);
}

static uint32_t below(struct generator *g, uint32_t n) {
    return (uint32_t)(draw(g) >> 32) % n;
}

/* Small numbers are much likelier, as with popular pages and products. */
static uint32_t skewed(struct generator *g, uint32_t n) {
    return below(g, below(g, n) + 1);
}

static void make_uuid(struct generator *g, char *out, size_t cap) {
    uint64_t a = draw(g), b = draw(g);
    snprintf(out, cap, "%08x-%04x-4%03x-a%03x-%012" PRIx64, (uint32_t)(a >> 32),
             (uint32_t)(a >> 16) & 0xffff, (uint32_t)a & 0xfff, (uint32_t)(b >> 52),
             (uint64_t)(b & 0xffffffffffff));
}

static void generator_init(struct generator *g) {
    static const char *const categories[] = {"men's clothing", "women's clothing", "jewelery",
                                             "electronics"};
    memset(g, 0, sizeof *g);
    g->state = 42;
    g->now_us = 1771286400LL * US_PER_SECOND;
    for (int i = 0; i < PRODUCTS; i++) {
        g->products[i].id = i + 1;
        g->products[i].price = (double)(100 + below(g, 99900)) / 100;
        snprintf(g->products[i].category, sizeof g->products[i].category, "%s", categories[i % 4]);
    }
    for (int i = 0; i < SESSIONS; i++)
        make_uuid(g, g->sessions[i], sizeof g->sessions[i]);
    for (int i = 0; i < 60; i++)
        snprintf(g->agents[i], sizeof g->agents[i],
                 "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) "
                 "Chrome/%d.0.0.0 Safari/537.36",
                 80 + i);
}

static struct text put_text(struct generator *g, const char *fmt, ...) ATTR_PRINTF(2, 3);

static struct text put_text(struct generator *g, const char *fmt, ...) {
    va_list ap;
    va_start(ap, fmt);
    char *p = g->text + g->used;
    int n = vsnprintf(p, sizeof g->text - g->used, fmt, ap);
    va_end(ap);
    g->used += (size_t)n + 1;
    return (struct text){p, (uint32_t)n};
}

static void fill_more(struct generator *g, struct event *ev) {
    static const char *const types[] = {"page_view", "view",        "view",
                                        "view",      "add_to_cart", "remove_from_cart",
                                        "purchase",  "search"};
    ev->event_type = put_text(g, "%s", types[below(g, 8)]);
    ev->user_id = put_text(g, "user-%u", skewed(g, USERS));
    uint32_t session = below(g, SESSIONS);
    if (below(g, 8) == 0)
        make_uuid(g, g->sessions[session], sizeof g->sessions[session]);
    ev->session_id = put_text(g, "%s", g->sessions[session]);
    ev->has_quantity = true;
    ev->quantity = 1 + (int32_t)skewed(g, 4);
    ev->page_url = put_text(g, "https://shop.example/p/%d", ev->product_id);
    ev->referrer = put_text(g, "https://shop.example/c/%u", skewed(g, 50));
    ev->user_agent = put_text(g, "%s", g->agents[skewed(g, 60)]);
}

static void make_event(struct generator *g, const struct shape *s, struct event *ev,
                       struct bronze_source *src) {
    const struct product *p = &g->products[skewed(g, PRODUCTS)];
    *ev = (struct event){
        .has_product_id = true, .product_id = p->id, .has_price = true, .price = p->price};
    g->now_us += below(g, 20);
    ev->event_us = g->now_us - below(g, 2000000);
    ev->event_ts = ev->event_us / US_PER_SECOND;
    ev->category = put_text(g, "%s", p->category);
    if (s->full)
        fill_more(g, ev);
    if (s->ids) {
        char id[40];
        make_uuid(g, id, sizeof id);
        ev->event_key = ev->event_id = put_text(g, "%s", id);
    } else {
        ev->event_key = put_text(g, "%016" PRIx64 "%016" PRIx64, draw(g), draw(g));
    }
    *src = (struct bronze_source){.topic = "clickstream",
                                  .partition = 0,
                                  .offset = g->offset++,
                                  .received_us = g->now_us / 1000 * 1000,
                                  .protocol = "native"};
}

/* CPU time of this thread: a busy machine makes it longer, but not by what others compute. */
static int64_t cpu_ns(void) {
    struct timespec t;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return t.tv_sec * 1000000000LL + t.tv_nsec;
}

/* Nanoseconds a row of the best group: other work on the machine only ever adds to it. */
struct result {
    double fill, encode;
    double bytes; /* a row, on average */
    double peak;  /* MiB held by a group */
};

/* single: events are added one by one. */
static int64_t fill(struct generator *g, const struct shape *s, struct bronze_group *group,
                    bool single) {
    static struct event events[BATCH];
    static struct bronze_source sources[BATCH];
    int64_t took = 0;
    for (int i = 0; i < GROUP; i += BATCH) {
        g->used = 0;
        for (int k = 0; k < BATCH; k++)
            make_event(g, s, &events[k], &sources[k]);
        int64_t from = cpu_ns();
        for (int k = 0; single && k < BATCH; k++)
            bronze_group_add(group, &events[k], &sources[k]);
        if (!single)
            bronze_group_add_many(group, events, sources, BATCH);
        took += cpu_ns() - from;
    }
    return took;
}

struct options {
    int level, groups;
    bool single;
    const char *file; /* NULL: none is written */
};

static struct parquet_file *create(const char *path) {
    struct parquet_file *f = NULL;
    struct err e;
    if (path && parquet_file_create(&bronze_events, path, &f, &e) < 0) {
        fprintf(stderr, "bronze: %s\n", e.msg);
        exit(1);
    }
    return f;
}

/* Takes the group and the file, if there is one. */
static void store(struct parquet_file *f, struct encoded *en, bool last) {
    struct table_file done = {0};
    struct err e;
    if (!f) {
        encoded_free(en);
        return;
    }
    if (parquet_file_append(f, en, &e) < 0 || (last && parquet_file_finish(f, &done, &e) < 0)) {
        fprintf(stderr, "bronze: %s\n", e.msg);
        exit(1);
    }
    free(done.stats);
    if (last)
        parquet_file_free(f);
}

static struct result run(const struct shape *s, const struct options *o, struct generator *g) {
    generator_init(g);
    struct bronze_group *group = bronze_group_new(&(struct bronze_options){o->level});
    struct parquet_file *f = create(o->file);
    struct result r = {1e9, 1e9, 0, 0};
    for (int n = 0; n < o->groups; n++) {
        double took = (double)fill(g, s, group, o->single) / GROUP;
        r.fill = MIN(r.fill, took);
        double held = (double)bronze_group_bytes(group) / MIB;
        r.peak = MAX(r.peak, held);
        int64_t from = cpu_ns();
        struct encoded *en = bronze_encode(group);
        took = (double)(cpu_ns() - from) / GROUP;
        r.encode = MIN(r.encode, took);
        r.bytes += (double)encoded_bytes(en) / GROUP / o->groups;
        store(f, en, n + 1 == o->groups);
    }
    bronze_group_free(group);
    return r;
}

static void measure(const struct shape *s, int groups, const char *file, struct generator *g) {
    struct result bare = run(s, &(struct options){0, groups, false, NULL}, g);
    struct result r = run(s, &(struct options){1, groups, false, file}, g);
    struct result one = run(s, &(struct options){1, groups, true, NULL}, g);
    double total = r.fill + r.encode;
    printf("%s: %.2f M rows/s/core, added one by one %.2f\n", s->name, 1e3 / total,
           1e3 / (one.fill + one.encode));
    printf("  ns/row: fill %.0f, encode %.0f, zstd %.0f\n", r.fill, bare.encode,
           r.encode - bare.encode);
    printf("  bytes/row: %.1f, without zstd %.1f; a group holds %.1f MiB\n", r.bytes, bare.bytes,
           r.peak);
}

int main(int argc, char **argv) {
    static struct generator g;
    static const struct shape shapes[] = {
        {"12 fields, event_id", true, true},
        {"12 fields, no event_id", true, false},
        {"4 fields, event_id", false, true},
        {"4 fields", false, false},
    };
    double millions = argc > 1 ? strtod(argv[1], NULL) : 4;
    int groups = MAX((int)(millions * 1e6 / GROUP), 1);
    for (size_t i = 0; i < ARRAY_LEN(shapes); i++)
        measure(&shapes[i], groups, i == 0 && argc > 2 ? argv[2] : NULL, &g);
    struct rusage u;
    getrusage(RUSAGE_SELF, &u);
    printf("peak memory %.1f MiB\n", (double)u.ru_maxrss / 1024);
    return 0;
}
