/* SPDX-License-Identifier: Apache-2.0 */
/*
 * events N FIELDS SEED > FILE: N events of 12 or 4 fields as NDJSON, for the measurements.
 * 12 fields: about 370 bytes, one in a hundred sent twice; eight events are a session, half a minute
 * and 1,000 events of others apart. 4 fields: the shop's plain contract.
 * event_ts lies in five days that end at 2026-06-07T23:59:59Z.
 */
#include <inttypes.h>

static uint64_t state;

static uint64_t next(void) { /* splitmix64 */
    uint64_t z = (state += 0x9E3779B97F4A7C15u);
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9u;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBu;
    return z ^ (z >> 31);
}

static const char *const categories[] = {"men's clothing", "jewelery", "electronics", "women's clothing"};
static const char *const types[] = {"view", "view", "view", "add_to_cart", "page_view", "search", "checkout", "purchase"};
static const char *const agents[] = {
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 Chrome/126.0",
    "Mozilla/5.0 (iPhone; CPU iPhone OS 17_5 like Mac OS X) Version/17.5",
    "Mozilla/5.0 (X11; Linux x86_64; rv:127.0) Gecko/20100101 Firefox/127.0",
    "Mozilla/5.0 (compatible; examplebot/1.0)",
};

static const int64_t last_second = 1780876799;

static void plain(void) {
    uint64_t r = next();
    printf("{\"product_id\":%" PRIu64 ",\"category\":\"%s\",\"price\":%" PRIu64 ".%02" PRIu64 ",\"event_ts\":%" PRId64 "}\n",
           r % 20000 + 1, categories[r % 4], (r >> 16) % 1000, (r >> 28) % 100,
           last_second - (int64_t)((r >> 36) % (5 * 86400)));
}

enum { SESSION = 8, APART_S = 30, AT_A_TIME = 1000 };

static void full(uint64_t i) {
    uint64_t seed = i % 100 == 99 ? i - 50 : i; /* a repeat */
    uint64_t visit = seed / (SESSION * AT_A_TIME) * AT_A_TIME + seed % AT_A_TIME, step = seed / AT_A_TIME % SESSION;
    state = visit * 0x9FB21C651E98DF25u + 7;
    uint64_t user = next() % 200000, session = next() & 0xFFFFFFFF, agent = next() % 4;
    int64_t start = last_second - SESSION * APART_S - (int64_t)(next() % (5 * 86400 - SESSION * APART_S));
    state = seed * 0xD1342543DE82EF95u + 1;
    uint64_t r = next(), id = next();
    printf("{\"event_id\":\"%016" PRIx64 "%016" PRIx64 "\",\"event_type\":\"%s\",\"user_id\":\"u%" PRIu64
           "\",\"session_id\":\"s%08" PRIx64 "\",\"product_id\":%" PRIu64 ",\"category\":\"%s\",\"price\":%" PRIu64 ".%02" PRIu64
           ",\"quantity\":%" PRIu64 ",\"event_ts\":%" PRId64 ",\"page_url\":\"https://shop.example/products/%" PRIu64
           "\",\"referrer\":\"https://www.example.org/\",\"user_agent\":\"%s\"}\n",
           id, next(), types[(r >> 8) % 8], user, session, r % 2000 + 1, categories[r % 4], (r >> 16) % 1000, (r >> 28) % 100,
           (r >> 32) % 3 + 1, start + (int64_t)step * APART_S, r % 2000 + 1, agents[agent]);
}

int main(int argc, char **argv) {
    if (argc != 4)
        return 2;
    uint64_t n = strtoull(argv[1], NULL, 10);
    state = strtoull(argv[3], NULL, 10);
    for (uint64_t i = 0; i < n; i++)
        if (atoi(argv[2]) == 4)
            plain();
        else
            full(i);
    return fflush(stdout) != 0;
}
