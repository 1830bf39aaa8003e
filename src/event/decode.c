/* SPDX-License-Identifier: Apache-2.0 */
/*
 * event_decode(): the whole-record rows of the table (size, UTF-8, JSON, one object), sorting of the
 * members into slots and extra, then the rules, then the key.
 */
#include "base/limits.h"
#include "event/bytes.h"
#include "event/extra.h"
#include "event/field.h"

struct event_decoder {
    struct arena arena;
    struct slots slots;
    struct extra extra;
};

static const char *const REJECT_NAMES[] = {
    [REJECT_NONE] = NULL,
    [REJECT_TOO_LARGE] = "too_large",
    [REJECT_INVALID_UTF8] = "invalid_utf8",
    [REJECT_INVALID_JSON] = "invalid_json",
    [REJECT_NOT_AN_OBJECT] = "not_an_object",
    [REJECT_MISSING_FIELD] = "missing_field",
    [REJECT_WRONG_TYPE] = "wrong_type",
    [REJECT_OUT_OF_RANGE] = "out_of_range",
    [REJECT_UNKNOWN_PROTOCOL] = "unknown_protocol",
};

const char *reject_name(enum reject r) {
    return REJECT_NAMES[r];
}

struct event_decoder *event_decoder_new(void) {
    struct event_decoder *d = xcalloc(1, sizeof *d);
    d->slots.arena = &d->arena;
    extra_init(&d->extra);
    return d;
}

void event_decoder_free(struct event_decoder *d) {
    if (!d)
        return;
    arena_release(&d->arena);
    extra_release(&d->extra);
    free(d);
}

void event_decoder_reset(struct event_decoder *d) {
    arena_reset(&d->arena);
    extra_trim(&d->extra);
}

/* No known name, written with escapes only (six bytes a character), is longer. */
enum { NAME_ESCAPED_MAX = 64 };

static inline enum field_id field_of(const struct json_value *name) {
    if (!name->escaped)
        return field_by_name(name->p, name->len);
    if (name->len > NAME_ESCAPED_MAX)
        return FIELD_COUNT;
    char plain[NAME_ESCAPED_MAX];
    return field_by_name(plain, json_unescape(name->p, name->len, plain));
}

static const char *type_name(enum json_type type) {
    static const char *const names[] = {
        [JSON_NULL] = "null",       [JSON_FALSE] = "false",   [JSON_TRUE] = "true",
        [JSON_NUMBER] = "a number", [JSON_STRING] = "a text", [JSON_ARRAY] = "an array"};
    return names[type];
}

/* Where the scan stopped, and the bytes there. */
static enum reject reject_json(struct event_decoder *d, const struct json_scan *scan,
                               const char *rec) {
    struct slots *s = &d->slots;
    size_t at = (size_t)(scan->p - rec);
    if (scan->fault == JSON_TOO_DEEP) {
        s->detail =
            detail_format(&d->arena, "record: more than %d levels at byte %zu", LIMIT_DEPTH, at);
        return REJECT_TOO_LARGE;
    }
    if (scan->p == scan->end)
        s->detail = detail_format(&d->arena, "record: not JSON, ends early at byte %zu", at);
    else
        s->detail = detail_format(&d->arena, "record: not JSON at byte %zu: %.*s", at,
                                  (int)MIN(scan->end - scan->p, 40), scan->p);
    return REJECT_INVALID_JSON;
}

/* Reads all members, known ones into their slots, others into extra. */
static enum reject read_members(struct event_decoder *d, const char *rec, size_t len) {
    struct slots *s = &d->slots;
    struct json_scan scan;
    enum json_type type = json_scan_begin(&scan, rec, len);
    if (type == JSON_NONE)
        return reject_json(d, &scan, rec);
    if (type != JSON_OBJECT) {
        s->detail = detail_format(&d->arena, "record: %s", type_name(type));
        return REJECT_NOT_AN_OBJECT;
    }
    struct json_value name, value;
    while (json_scan_next(&scan, &name, &value)) {
        enum field_id id = field_of(&name);
        if (id == FIELD_COUNT)
            extra_add(&d->extra, &name, &value);
        else
            field_set(s, id, &value);
    }
    return scan.fault == JSON_OK ? REJECT_NONE : reject_json(d, &scan, rec);
}

static enum reject check_bytes(struct event_decoder *d, const char *rec, size_t len) {
    if (len > LIMIT_RECORD) {
        d->slots.detail =
            detail_format(&d->arena, "record: %zu bytes, at most %d", len, LIMIT_RECORD);
        return REJECT_TOO_LARGE;
    }
    const char *bad = utf8_scan(rec, rec + len);
    if (bad == rec + len)
        return REJECT_NONE;
    d->slots.detail = detail_format(&d->arena, "record: not UTF-8 at byte %zu: \\x%02x",
                                    (size_t)(bad - rec), (unsigned char)*bad);
    return REJECT_INVALID_UTF8;
}

static void add_key(struct event_decoder *d, struct event *ev) {
    if (ev->event_id.p) {
        ev->event_key = ev->event_id;
        return;
    }
    char *hex = arena_alloc(&d->arena, EVENT_KEY_HEX);
    event_key_of(ev, hex);
    ev->event_key = (struct text){hex, EVENT_KEY_HEX};
}

void event_decode(struct event_decoder *d, const char *rec, size_t len, int64_t received_us,
                  struct event *ev) {
    struct slots *s = &d->slots;
    s->seen = 0;
    s->received_us = received_us;
    extra_begin(&d->extra);
    *ev = (struct event){0};
    if (!rec)
        rec = ""; /* a record without a value, as Kafka's tombstones */
    enum reject why = check_bytes(d, rec, len);
    if (why == REJECT_NONE)
        why = read_members(d, rec, len);
    if (why == REJECT_NONE)
        why = rules_apply(s, ev);
    if (why != REJECT_NONE) {
        *ev = (struct event){.reject = why, .detail = s->detail};
        return;
    }
    ev->extra = extra_end(&d->extra, &d->arena);
    add_key(d, ev);
}
