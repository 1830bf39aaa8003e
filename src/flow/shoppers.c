/* SPDX-License-Identifier: Apache-2.0 */
#include "flow/shoppers.h"

#include <assert.h>
#include <math.h>

#include "base/clock.h"
#include "base/limits.h"
#include "flow/prng.h"
#include "flow/session.h"
#include "flow/spoil.h"
#include "flow/timeline.h"

enum {
    AGAIN_SLOTS = 1024,  /* a duplicate comes at most this many records later */
    SESSIONS_MAX = 4096, /* shoppers at a time */
    PAUSE_SECONDS = 30,  /* of a shopper between two events, roughly */
    STEPS_BEFORE = 30,   /* events of a shopper who was there before we looked, at most */
};

/* A record to be sent again. */
struct again {
    char *bytes; /* key, then value; NULL: free */
    size_t key_len, len;
    bool has_key, late;
};

struct shoppers {
    struct shoppers_options o;
    struct shop shop;
    struct timeline timeline;
    struct session *sessions;
    size_t n_sessions;
    int64_t done;  /* events made up */
    uint64_t tick; /* records given out */
    struct again again[AGAIN_SLOTS];
    size_t n_again;
    char *sent;         /* the one given out last */
    struct buf spoiled; /* the malformed record */
    char record[SESSION_RECORD_MAX];
};

/* As many shoppers at a time as make a shopper's events follow each other at a human pace. */
static size_t how_many_sessions(const struct shoppers_options *o) {
    double rate = o->rate;
    if (o->events > 0 && o->period_us > 0)
        rate = (double)o->events / ((double)o->period_us / (double)US_PER_SECOND);
    return (size_t)MIN(MAX(rate * PAUSE_SECONDS, 1), SESSIONS_MAX);
}

/* What happens now has begun before: each shopper is somewhere on the way, some at the counter. */
static void walk_in(struct shoppers *sh) {
    for (size_t i = 0; i < sh->n_sessions; i++) {
        struct act act;
        for (uint64_t n = prng_below(&sh->shop.random, STEPS_BEFORE); n > 0; n--)
            session_step(&sh->shop, &sh->sessions[i], &act);
    }
}

struct shoppers *shoppers_new(const struct shoppers_options *o, const struct catalog *c) {
    struct shoppers *sh = xcalloc(1, sizeof *sh);
    sh->o = *o;
    if (sh->o.ts_unit_us == 0)
        sh->o.ts_unit_us = US_PER_SECOND;
    shop_init(&sh->shop, c, o->seed, o->events);
    sh->shop.plain = o->plain;
    timeline_init(&sh->timeline, o->now_us, o->period_us, o->events);
    sh->n_sessions = how_many_sessions(o);
    sh->sessions = xcalloc(sh->n_sessions, sizeof *sh->sessions);
    sh->spoiled = BUF_INIT(2 * (size_t)LIMIT_RECORD);
    if (sh->timeline.n == 0)
        walk_in(sh);
    return sh;
}

void shoppers_free(struct shoppers *sh) {
    if (!sh)
        return;
    for (size_t i = 0; i < AGAIN_SLOTS; i++)
        free(sh->again[i].bytes);
    free(sh->sent);
    free(sh->sessions);
    buf_release(&sh->spoiled);
    shop_release(&sh->shop);
    free(sh);
}

static void remember(struct shoppers *sh, const struct made *m) {
    size_t at =
        (size_t)((sh->tick + 1 + prng_below(&sh->shop.random, AGAIN_SLOTS - 1)) % AGAIN_SLOTS);
    if (sh->n_again == AGAIN_SLOTS)
        return;
    while (sh->again[at].bytes)
        at = (at + 1) % AGAIN_SLOTS;
    char *bytes = xmalloc(m->key_len + m->len);
    if (m->key)
        memcpy(bytes, m->key, m->key_len);
    memcpy(bytes + m->key_len, m->value, m->len);
    sh->again[at] = (struct again){bytes, m->key_len, m->len, m->key != NULL, m->late};
    sh->n_again++;
}

/* A duplicate whose turn it is. */
static bool take_again(struct shoppers *sh, struct made *ret) {
    struct again *slot = &sh->again[sh->tick % AGAIN_SLOTS];
    if (!slot->bytes)
        return false;
    free(sh->sent);
    sh->sent = TAKE_PTR(slot->bytes);
    sh->n_again--;
    *ret = (struct made){.value = sh->sent + slot->key_len,
                         .len = slot->len,
                         .key = slot->has_key ? sh->sent : NULL,
                         .key_len = slot->key_len,
                         .late = slot->late,
                         .duplicate = true};
    return true;
}

/* One hour to five days, the short ones more often. */
static int64_t lateness_us(struct prng *random) {
    return (int64_t)(exp(prng_double(random) * log(120)) * 3600 * (double)US_PER_SECOND);
}

static void make_bad(struct shoppers *sh, int64_t us, struct made *ret) {
    struct prng *random = &sh->shop.random;
    size_t recipe = (size_t)prng_below(random, spoil_count());
    if (spoil_is_huge(recipe) && !prng_chance(random, 0.05))
        recipe = 0;
    const struct product *p = &sh->shop.catalog->v[prng_below(random, sh->shop.catalog->n)];
    spoil(recipe, p, us / sh->o.ts_unit_us, &sh->spoiled);
    *ret = (struct made){.value = sh->spoiled.data, .len = sh->spoiled.len, .bad = true};
}

static void make_event(struct shoppers *sh, int64_t us, struct made *ret) {
    struct session *s = &sh->sessions[prng_below(&sh->shop.random, sh->n_sessions)];
    bool late = prng_chance(&sh->shop.random, sh->o.late);
    if (late)
        us -= lateness_us(&sh->shop.random);
    struct act act;
    session_step(&sh->shop, s, &act);
    *ret = (struct made){.late = late, .value = sh->record};
    ret->len = session_write(&sh->shop, s, &act, us / sh->o.ts_unit_us, sh->record);
    ret->key = s->user_len ? s->user : NULL;
    ret->key_len = s->user_len;
}

bool shoppers_next(struct shoppers *sh, struct made *ret) {
    bool all = sh->o.events > 0 && sh->done >= sh->o.events;
    while (all && sh->n_again > 0 && !sh->again[sh->tick % AGAIN_SLOTS].bytes)
        sh->tick++; /* nothing else is left to come before it */
    if (take_again(sh, ret)) {
        sh->tick++;
        return true;
    }
    if (all)
        return false;
    int64_t us = timeline_at(&sh->timeline, sh->done++);
    if (prng_chance(&sh->shop.random, sh->o.bad)) {
        make_bad(sh, us, ret);
    } else {
        make_event(sh, us, ret);
        if (prng_chance(&sh->shop.random, sh->o.duplicates))
            remember(sh, ret);
    }
    sh->tick++;
    return true;
}
