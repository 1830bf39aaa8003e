/* SPDX-License-Identifier: Apache-2.0 */
#include "flow/session.h"

#include <assert.h>
#include <math.h>

#include "base/mem.h"

enum phase { OVER, LANDING, BROWSING, CHECKED_OUT, BUYING };

static const char *const people[] = {
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) "
    "Chrome/131.0.0.0 Safari/537.36",
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) "
    "Chrome/131.0.0.0 Safari/537.36 Edg/131.0.0.0",
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:133.0) Gecko/20100101 Firefox/133.0",
    "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) "
    "Version/18.1 Safari/605.1.15",
    "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/537.36 (KHTML, like Gecko) "
    "Chrome/131.0.0.0 Safari/537.36",
    "Mozilla/5.0 (X11; Linux x86_64; rv:133.0) Gecko/20100101 Firefox/133.0",
    "Mozilla/5.0 (iPhone; CPU iPhone OS 18_1 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like "
    "Gecko) Version/18.1 Mobile/15E148 Safari/604.1",
    "Mozilla/5.0 (iPad; CPU OS 18_1 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) "
    "Version/18.1 Mobile/15E148 Safari/604.1",
    "Mozilla/5.0 (Linux; Android 10; K) AppleWebKit/537.36 (KHTML, like Gecko) "
    "Chrome/131.0.0.0 Mobile Safari/537.36",
    "Mozilla/5.0 (Linux; Android 14; SM-S918B) AppleWebKit/537.36 (KHTML, like Gecko) "
    "SamsungBrowser/26.0 Chrome/122.0.0.0 Mobile Safari/537.36",
};

static const char *const bots[] = {
    "Mozilla/5.0 (compatible; Googlebot/2.1)",
    "Mozilla/5.0 (compatible; bingbot/2.0)",
    "Mozilla/5.0 (compatible; AhrefsBot/7.0)",
    "python-requests/2.32.3",
    "curl/8.11.0",
};

static const char *const referrers[] = {
    NULL,
    NULL,
    "https://search.example/",
    "https://search.example/",
    "https://photos.example/feed",
    "https://friends.example/",
    "https://prices.example/compare",
    "https://newsletter.example/week",
};

static const char *const pages[] = {"/", "/", "/sale", "/new", "/help/shipping", "/stores"};
static const char *const searches[] = {"?q=jacket",  "?q=backpack", "?q=ring", "?q=ssd",
                                       "?q=monitor", "?q=t-shirt",  "?q=gift"};

#define PICK(shop, list) ((list)[prng_below(&(shop)->random, ARRAY_LEN(list))])

/* Zipf: the product of rank r is seen 1/(r+1)^0.9 as often as the first. Ranks are shuffled. */
void shop_init(struct shop *shop, const struct catalog *c, uint64_t seed, int64_t events) {
    *shop = (struct shop){.catalog = c, .users = 20000};
    prng_seed(&shop->random, seed);
    if (events > 0)
        shop->users = (uint64_t)MIN(MAX(events / 20, 50), 1000000);
    double *v = shop->popular = xmalloc(c->n * sizeof *v);
    for (size_t i = 0; i < c->n; i++)
        v[i] = 1 / pow((double)i + 1, 0.9);
    for (size_t i = c->n - 1; i > 0; i--) {
        size_t k = (size_t)prng_below(&shop->random, i + 1);
        double swap = v[i];
        v[i] = v[k];
        v[k] = swap;
    }
    for (size_t i = 1; i < c->n; i++)
        v[i] += v[i - 1];
}

void shop_release(struct shop *shop) {
    free(shop->popular);
}

static int64_t pick_product(struct shop *shop) {
    size_t from = 0, to = shop->catalog->n - 1;
    double at = prng_double(&shop->random) * shop->popular[to];
    while (from < to) {
        size_t mid = (from + to) / 2;
        if (shop->popular[mid] > at)
            to = mid;
        else
            from = mid + 1;
    }
    return (int64_t)from;
}

static void put_hex(char *out, uint64_t v, int digits) {
    for (int i = 0; i < digits; i++, v >>= 4)
        out[i] = "0123456789abcdef"[v & 15];
}

static size_t put_int(char *out, int64_t v) {
    char digits[24];
    size_t n = 0, at = 0;
    uint64_t rest = v < 0 ? 0 - (uint64_t)v : (uint64_t)v;
    do
        digits[n++] = (char)('0' + rest % 10);
    while (rest /= 10);
    if (v < 0)
        out[at++] = '-';
    while (n)
        out[at++] = digits[--n];
    return at;
}

static void begin(struct shop *shop, struct session *s) {
    struct prng *random = &shop->random;
    bool bot = prng_chance(random, 0.04);
    double often = prng_double(random); /* squared: some shoppers come much more often */
    *s = (struct session){.phase = LANDING, .last_product = -1};
    put_hex(s->id, prng_next(random), sizeof s->id);
    if (!bot) {
        s->user[0] = 'u';
        s->user_len = 1 + put_int(s->user + 1, (int64_t)(often * often * (double)shop->users) + 1);
    }
    s->agent = bot ? PICK(shop, bots) : PICK(shop, people);
    s->referrer = bot ? NULL : PICK(shop, referrers);
    s->steps_left = (int)(bot ? 10 + prng_below(random, 40) : 1 + prng_below(random, 14));
}

static void see_page(struct session *s, struct act *a, const char *type, const char *page,
                     const char *query) {
    a->type = type;
    a->page = page;
    a->query = query;
    a->referrer = s->page_before ? s->page_before : s->referrer;
    s->page_before = page;
}

static void see_product(struct shop *shop, struct session *s, struct act *a) {
    s->last_product = pick_product(shop);
    see_page(s, a, "view", shop->catalog->v[s->last_product].path, "");
    a->product = s->last_product;
}

static void bring_back(struct shop *shop, struct session *s, struct act *a) {
    const struct line_item *item = &shop->sold[prng_below(&shop->random, shop->n_sold)];
    memcpy(s->user, item->user, item->user_len);
    s->user_len = item->user_len;
    memcpy(s->order, item->order, ORDER_LEN);
    see_page(s, a, "refund", "/account/returns", "");
    a->product = item->product;
    a->quantity = item->quantity;
    a->order = s->order;
    s->phase = OVER;
}

static void land(struct shop *shop, struct session *s, struct act *a) {
    double what = prng_double(&shop->random);
    s->phase = BROWSING;
    if (s->user_len && shop->n_sold == SOLD_MAX && what < 0.015)
        bring_back(shop, s, a);
    else if (what < 0.45)
        see_product(shop, s, a);
    else if (what < 0.85)
        see_page(s, a, "page_view", PICK(shop, pages), "");
    else
        see_page(s, a, "search", "/search", PICK(shop, searches));
}

static void put_in_cart(struct shop *shop, struct session *s, struct act *a) {
    struct line_item *item = &s->cart[s->n_cart++];
    item->product = (uint32_t)s->last_product;
    item->quantity =
        prng_chance(&shop->random, 0.8) ? 1 : 2 + (int32_t)prng_below(&shop->random, 3);
    see_page(s, a, "add_to_cart", shop->catalog->v[item->product].path, "");
    a->product = item->product;
    a->quantity = item->quantity;
}

static void take_from_cart(struct session *s, struct act *a) {
    const struct line_item *item = &s->cart[--s->n_cart];
    see_page(s, a, "remove_from_cart", "/cart", "");
    a->product = item->product;
    a->quantity = item->quantity;
}

static void browse(struct shop *shop, struct session *s, struct act *a) {
    double what = prng_double(&shop->random);
    s->steps_left--;
    if (what < 0.10)
        see_page(s, a, "search", "/search", PICK(shop, searches));
    else if (what < 0.20)
        see_page(s, a, "page_view", PICK(shop, pages), "");
    else if (what < 0.40 && s->user_len && s->last_product >= 0 && s->n_cart < CART_MAX)
        put_in_cart(shop, s, a);
    else if (what < 0.44 && s->n_cart > 0)
        take_from_cart(s, a);
    else
        see_product(shop, s, a);
}

static void check_out(struct shop *shop, struct session *s, struct act *a) {
    s->order[0] = 'o';
    put_hex(s->order + 1, prng_next(&shop->random), ORDER_LEN - 1);
    see_page(s, a, "checkout", "/checkout", "");
    a->order = s->order;
    s->phase = CHECKED_OUT;
}

/* One event for each line of the cart, all of one order. */
static void buy(struct shop *shop, struct session *s, struct act *a) {
    struct line_item *item = &s->cart[--s->n_cart];
    see_page(s, a, "purchase", "/checkout/done", "");
    a->product = item->product;
    a->quantity = item->quantity;
    a->order = s->order;
    memcpy(item->order, s->order, ORDER_LEN);
    memcpy(item->user, s->user, USER_MAX);
    item->user_len = s->user_len;
    if (shop->n_sold < SOLD_MAX)
        shop->sold[shop->n_sold++] = *item;
    else
        shop->sold[prng_below(&shop->random, SOLD_MAX)] = *item;
    s->phase = s->n_cart > 0 ? BUYING : OVER;
}

void session_step(struct shop *shop, struct session *s, struct act *ret) {
    *ret = (struct act){.product = -1};
    bool leaves = s->phase == BROWSING && s->steps_left <= 0;
    if (leaves && s->n_cart > 0 && prng_chance(&shop->random, 0.6)) {
        check_out(shop, s, ret);
        return;
    }
    bool gives_up = s->phase == CHECKED_OUT && prng_chance(&shop->random, 0.15);
    if (s->phase == OVER || leaves || gives_up)
        begin(shop, s);
    if (s->phase == LANDING)
        land(shop, s, ret);
    else if (s->phase == BROWSING)
        browse(shop, s, ret);
    else
        buy(shop, s, ret);
}

/* --- the JSON; hand-made because it is most of the work of making an event --- */

static char *put(char *p, const char *s) {
    size_t n = strlen(s);
    memcpy(p, s, n);
    return p + n;
}

static char *put_n(char *p, const char *s, size_t n) {
    memcpy(p, s, n);
    return p + n;
}

static char *put_uuid(char *p, struct prng *random) {
    char hex[32];
    put_hex(hex, prng_next(random), 16);
    put_hex(hex + 16, prng_next(random), 16);
    hex[12] = '4'; /* version 4, variant 1: RFC 9562 */
    hex[16] = "89ab"[hex[16] & 3];
    static const int at[] = {0, 8, 12, 16, 20, 32};
    for (int i = 0; i < 5; i++) {
        if (i)
            *p++ = '-';
        p = put_n(p, hex + at[i], (size_t)(at[i + 1] - at[i]));
    }
    return p;
}

static char *put_product(char *p, const struct product *product) {
    p = put(put(p, "\"product_id\":"), product->id);
    p = put(put(p, ",\"category\":"), product->category);
    p = put(put(p, ",\"price\":"), product->price);
    return put(p, ",");
}

static char *put_ts(char *p, int64_t ts) {
    p = put(p, "\"event_ts\":");
    return p + put_int(p, ts);
}

static char *put_who(char *p, const struct session *s) {
    if (s->user_len)
        p = put(put_n(put(p, ",\"user_id\":\""), s->user, s->user_len), "\"");
    return put(put_n(put(p, ",\"session_id\":\""), s->id, sizeof s->id), "\"");
}

static char *put_where(char *p, const struct session *s, const struct act *a) {
    p = put(put(p, ",\"page_url\":\"https://shop.example"), a->page);
    p = put(put(p, a->query), "\"");
    if (a->referrer) {
        p = put(p, ",\"referrer\":\"");
        p = put(p, a->referrer[0] == '/' ? "https://shop.example" : "");
        p = put(put(p, a->referrer), "\"");
    }
    return put(put(put(p, ",\"user_agent\":\""), s->agent), "\"");
}

size_t session_write(struct shop *shop, const struct session *s, const struct act *act, int64_t ts,
                     char out[SESSION_RECORD_MAX]) {
    char *p = put(out, "{");
    int64_t product = act->product;
    if (shop->plain) {
        product = product < 0 ? pick_product(shop) : product; /* the contract knows nothing else */
        p = put_ts(put_product(p, &shop->catalog->v[product]), ts);
    } else {
        p = put(put_uuid(put(p, "\"event_id\":\""), &shop->random), "\",\"event_type\":\"");
        p = put(put(p, act->type), "\",");
        if (product >= 0)
            p = put_product(p, &shop->catalog->v[product]);
        p = put_who(put_ts(p, ts), s);
        if (act->quantity) {
            p = put(p, ",\"quantity\":");
            p += put_int(p, act->quantity);
        }
        if (product >= 0)
            p = put(p, ",\"currency\":\"USD\"");
        if (act->order)
            p = put(put_n(put(p, ",\"order_id\":\""), act->order, ORDER_LEN), "\"");
        p = put_where(p, s, act);
    }
    p = put(p, "}");
    assert(p - out < SESSION_RECORD_MAX);
    return (size_t)(p - out);
}
