/* SPDX-License-Identifier: Apache-2.0 */
#include "storage/s3_keys.h"

#include <pthread.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "storage/aws_profile.h"

static const int64_t early_us =
    5 * 60 * US_PER_SECOND; /* keys are replaced so long before their end */

static const int64_t quiet_us = 30 * US_PER_SECOND; /* who could not give any is left alone */

struct s3_keys {
    char *profile; /* NULL: none given */
    pthread_mutex_t lock;
    struct s3_key now;      /* id NULL: not read yet */
    int64_t quiet_until_us; /* there were no new ones; the old ones still hold */
};

void s3_key_release(struct s3_key *k) {
    free(k->id);
    secret_free(k->secret);
    secret_free(k->token);
    *k = (struct s3_key){0};
}

static char *copy(const char *s) {
    return s && *s ? xstrdup(s) : NULL;
}

static struct s3_key key_copy(const struct s3_key *k) {
    return (struct s3_key){copy(k->id), copy(k->secret), copy(k->token), k->expires_us};
}

struct s3_keys *s3_keys_new(const char *profile) {
    struct s3_keys *ks = xcalloc(1, sizeof *ks);
    ks->profile = copy(profile);
    pthread_mutex_init(&ks->lock, NULL);
    return ks;
}

void s3_keys_free(struct s3_keys *ks) {
    if (!ks)
        return;
    s3_key_release(&ks->now);
    pthread_mutex_destroy(&ks->lock);
    free(ks->profile);
    free(ks);
}

static int from_environment(struct s3_key *ret, struct err *e) {
    struct s3_key k = {.id = copy(getenv("AWS_ACCESS_KEY_ID")),
                       .secret = copy(getenv("AWS_SECRET_ACCESS_KEY")),
                       .token = copy(getenv("AWS_SESSION_TOKEN"))};
    if (k.id && k.secret) {
        *ret = k;
        return 0;
    }
    bool half = k.id || k.secret;
    s3_key_release(&k);
    return half ? err_set(e, ERR_STORAGE,
                          "of AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY only one "
                          "is set")
                : ERR_NOT_FOUND;
}

/* A profile that somebody names must be there; that there is no "default" is no error. */
static int from_profile(const char *given, struct s3_key *ret, struct err *e) {
    const char *name = given ? given : getenv("AWS_PROFILE");
    bool named = name && *name;
    struct aws_profile p;
    int r = aws_profile_read(named ? name : NULL, &p, e);
    if (r)
        return r;
    if (p.key_id && p.secret) {
        *ret = (struct s3_key){TAKE_PTR(p.key_id), TAKE_PTR(p.secret), TAKE_PTR(p.token), 0};
    } else if (p.source) {
        r = err_set(e, ERR_STORAGE,
                    "the AWS profile '%s' gets its keys by %s, which is not known "
                    "here",
                    named ? name : "default", p.source);
        err_hint(e, "`aws configure export-credentials --format env` prints keys for the "
                    "environment");
    } else if (named) {
        r = err_set(e, ERR_STORAGE,
                    p.found ? "the AWS profile '%s' holds no keys" : "there is no AWS profile '%s'",
                    name);
    } else {
        r = ERR_NOT_FOUND;
    }
    aws_profile_release(&p);
    return r;
}

/* Who is given a role by web identity must not act as the machine he runs on, without a word. */
static int refuse_web_identity(struct err *e) {
    const char *file = getenv("AWS_WEB_IDENTITY_TOKEN_FILE"), *role = getenv("AWS_ROLE_ARN");
    if (!(file && *file) && !(role && *role))
        return ERR_NOT_FOUND;
    err_set(e, ERR_STORAGE,
            "AWS_WEB_IDENTITY_TOKEN_FILE or AWS_ROLE_ARN is set: a role by web identity, which is "
            "not known here");
    return err_hint(e, "give keys (`aws configure export-credentials --format env` prints them), "
                       "or on EKS use Pod Identity");
}

static int load(const struct s3_keys *ks, struct s3_key *ret, struct err *e) {
    /* A profile given in our own configuration is meant for us; the environment is everybody's. */
    int r = ks->profile ? ERR_NOT_FOUND : from_environment(ret, e);
    if (r == ERR_NOT_FOUND)
        r = from_profile(ks->profile, ret, e);
    if (r == ERR_NOT_FOUND)
        r = s3_keys_from_container(ret, e);
    if (r == ERR_NOT_FOUND)
        r = refuse_web_identity(e);
    if (r == ERR_NOT_FOUND)
        r = s3_keys_from_machine(ret, e);
    if (r != ERR_NOT_FOUND)
        return r;
    err_set(e, ERR_STORAGE,
            "no keys for S3: neither in the environment nor in a profile, and no "
            "role of this machine or container");
    return err_hint(e, "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or s3.profile to one of "
                       "~/.aws/credentials");
}

/* With the lock held. Keys that still hold for a while are better than none. */
static int refresh(struct s3_keys *ks, struct err *e) {
    struct s3_key fresh;
    int r = load(ks, &fresh, e);
    if (r == 0) {
        s3_key_release(&ks->now);
        ks->now = fresh;
    } else if (ks->now.id && ks->now.expires_us > clock_now_us()) {
        log_err(LOG_WARN, "the keys for S3 end soon, and there are no new ones", e);
        ks->quiet_until_us = MIN(clock_now_us() + quiet_us, ks->now.expires_us);
        r = 0;
    }
    return r;
}

int s3_keys_get(struct s3_keys *ks, struct s3_key *ret, struct err *e) {
    pthread_mutex_lock(&ks->lock);
    bool good =
        ks->now.id && (!ks->now.expires_us || ks->now.expires_us > clock_now_us() + early_us ||
                       ks->quiet_until_us > clock_now_us());
    int r = good ? 0 : refresh(ks, e);
    if (r == 0)
        *ret = key_copy(&ks->now);
    pthread_mutex_unlock(&ks->lock);
    return r;
}

static bool same(const char *a, const char *b) {
    return strcmp(a ? a : "", b ? b : "") == 0;
}

static bool same_key(const struct s3_key *a, const struct s3_key *b) {
    return same(a->id, b->id) && same(a->secret, b->secret) && same(a->token, b->token);
}

bool s3_keys_renew(struct s3_keys *ks, const struct s3_key *refused) {
    struct err e;
    pthread_mutex_lock(&ks->lock);
    if (same_key(&ks->now, refused)) /* else another thread was faster */
        refresh(ks, &e);
    bool other = ks->now.id && !same_key(&ks->now, refused);
    pthread_mutex_unlock(&ks->lock);
    return other;
}
