/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The decoder as a filter, for test/e2e/test_decoder_oracle.py. stdin: records, each
 * {length u32, received_us i64, bytes}, numbers in the machine's byte order. stdout: one line of
 * JSON a record with every decoded field; the price as C's %a, which loses nothing.
 */
#include "event/event.h"

#include <assert.h>

/* Like a batch: texts live until the reset. */
enum { RESET_EVERY = 64 };

static void print_text(const char *name, struct text t) {
    if (!t.p)
        return;
    printf(",\"%s\":\"", name);
    for (uint32_t i = 0; i < t.len; i++) {
        unsigned char c = (unsigned char)t.p[i];
        if (c < 0x20 || c == '"' || c == '\\' || c == 0x7f)
            printf("\\u%04x", c);
        else
            putchar(c);
    }
    putchar('"');
}

static void print_event(const struct event *ev) {
    if (ev->reject != REJECT_NONE) {
        printf("{\"reject\":\"%s\"", reject_name(ev->reject));
        print_text("detail", ev->detail);
        puts("}");
        return;
    }
    printf("{\"event_ts\":%lld,\"event_us\":%lld", (long long)ev->event_ts,
           (long long)ev->event_us);
    if (ev->has_product_id)
        printf(",\"product_id\":%d", ev->product_id);
    if (ev->has_price)
        printf(",\"price\":\"%a\"", ev->price);
    if (ev->has_quantity)
        printf(",\"quantity\":%d", ev->quantity);
    print_text("event_key", ev->event_key);
    print_text("event_id", ev->event_id);
    print_text("event_type", ev->event_type);
    print_text("user_id", ev->user_id);
    print_text("session_id", ev->session_id);
    print_text("sku", ev->sku);
    print_text("category", ev->category);
    print_text("currency", ev->currency);
    print_text("order_id", ev->order_id);
    print_text("page_url", ev->page_url);
    print_text("referrer", ev->referrer);
    print_text("user_agent", ev->user_agent);
    print_text("extra", ev->extra);
    puts("}");
}

int main(void) {
    struct event_decoder *d = event_decoder_new();
    uint32_t len;
    for (size_t n = 0; fread(&len, sizeof len, 1, stdin) == 1; n++) {
        int64_t received_us;
        char *rec = xmalloc(len);
        size_t got = fread(&received_us, sizeof received_us, 1, stdin);
        assert(got == 1);
        got = fread(rec, 1, len, stdin);
        assert(got == len);
        struct event ev;
        event_decode(d, rec, len, received_us, &ev);
        print_event(&ev);
        free(rec);
        if (n % RESET_EVERY == 0)
            event_decoder_reset(d);
    }
    event_decoder_free(d);
    return 0;
}
