/* SPDX-License-Identifier: Apache-2.0 */
#include "serve/metrics.h"

#include <assert.h>
#include <inttypes.h>
#include <math.h>
#include <pthread.h>
#include <stdatomic.h>

#include "base/util.h"

struct metric {
    const struct metric_def *def;
    char *labels[METRIC_LABELS];
    atomic_bool hidden;
    _Atomic double value;                     /* histograms: the sum */
    atomic_ullong counts[METRIC_BUCKETS + 1]; /* histograms: not cumulative; the last is +Inf */
};

struct family {
    struct metric **v; /* by label values */
    size_t n, cap;
    struct metric *beyond; /* stands for all beyond METRIC_SERIES */
};

struct metrics {
    const struct metric_def *defs;
    size_t n;
    pthread_mutex_t lock; /* guards the lists of series, not their values */
    struct family *families;
};

struct metrics *metrics_new(const struct metric_def *defs, size_t n) {
    struct metrics *m = xcalloc(1, sizeof *m);
    m->defs = defs;
    m->n = n;
    m->families = xcalloc(MAX(n, 1), sizeof *m->families);
    pthread_mutex_init(&m->lock, NULL);
    return m;
}

static void metric_free(struct metric *s) {
    if (!s)
        return;
    for (int i = 0; i < METRIC_LABELS; i++)
        free(s->labels[i]);
    free(s);
}

void metrics_free(struct metrics *m) {
    if (!m)
        return;
    for (size_t i = 0; i < m->n; i++) {
        for (size_t k = 0; k < m->families[i].n; k++)
            metric_free(m->families[i].v[k]);
        free(m->families[i].v);
        metric_free(m->families[i].beyond);
    }
    free(m->families);
    pthread_mutex_destroy(&m->lock);
    free(m);
}

static bool is_number(const char *s) {
    return *s && s[strspn(s, "0123456789")] == '\0';
}

/* Numbers by size, other texts byte by byte. */
static int compare_values(const char *a, const char *b) {
    if (is_number(a) && is_number(b) && strlen(a) != strlen(b))
        return strlen(a) < strlen(b) ? -1 : 1;
    return strcmp(a, b);
}

static int compare(const struct metric *s, const char *const *labels) {
    for (int i = 0; i < METRIC_LABELS && s->def->labels[i]; i++) {
        int c = compare_values(s->labels[i], labels[i]);
        if (c != 0)
            return c;
    }
    return 0;
}

/* Where it is, or would have to stand. */
static size_t place_of(const struct family *f, const char *const *labels, bool *ret_found) {
    size_t low = 0, high = f->n;
    *ret_found = false;
    while (low < high) {
        size_t mid = low + (high - low) / 2;
        int c = compare(f->v[mid], labels);
        if (c == 0) {
            *ret_found = true;
            return mid;
        }
        if (c < 0)
            low = mid + 1;
        else
            high = mid;
    }
    return low;
}

static struct metric *metric_new(const struct metric_def *def, const char *const *labels) {
    struct metric *s = xcalloc(1, sizeof *s);
    s->def = def;
    for (int i = 0; i < METRIC_LABELS && def->labels[i]; i++)
        s->labels[i] = xstrdup(labels[i]);
    return s;
}

static struct metric *insert(struct family *f, size_t at, const struct metric_def *def,
                             const char *const *labels) {
    if (f->n == METRIC_SERIES) {
        if (!f->beyond)
            f->beyond = metric_new(def, labels);
        return f->beyond;
    }
    if (f->n == f->cap) {
        f->cap = f->cap ? 2 * f->cap : 4;
        f->v = xrealloc(f->v, f->cap * sizeof *f->v);
    }
    memmove(f->v + at + 1, f->v + at, (f->n - at) * sizeof *f->v);
    f->n++;
    return f->v[at] = metric_new(def, labels);
}

static struct metric *get(struct metrics *m, size_t def, const char *a, const char *b, bool make) {
    assert(def < m->n);
    const struct metric_def *d = &m->defs[def];
    char cut[METRIC_LABELS][METRIC_LABEL_BYTES];
    const char *given[METRIC_LABELS] = {a, b}, *labels[METRIC_LABELS] = {0};
    for (int i = 0; i < METRIC_LABELS; i++) {
        assert((given[i] != NULL) == (d->labels[i] != NULL));
        if (given[i]) {
            snprintf(cut[i], sizeof cut[i], "%s", given[i]);
            labels[i] = cut[i];
        }
    }
    pthread_mutex_lock(&m->lock);
    bool found;
    size_t at = place_of(&m->families[def], labels, &found);
    struct metric *s = found  ? m->families[def].v[at]
                       : make ? insert(&m->families[def], at, d, labels)
                              : NULL;
    pthread_mutex_unlock(&m->lock);
    return s;
}

struct metric *metrics_get(struct metrics *m, size_t def, const char *a, const char *b) {
    struct metric *s = get(m, def, a, b, true);
    atomic_store(&s->hidden, false);
    return s;
}

void metrics_drop(struct metrics *m, size_t def, const char *a, const char *b) {
    struct metric *s = get(m, def, a, b, false);
    if (s)
        atomic_store(&s->hidden, true);
}

void metrics_show(struct metrics *m, int groups) {
    for (size_t i = 0; i < m->n; i++)
        if ((m->defs[i].group & groups) && !m->defs[i].labels[0])
            metrics_get(m, i, NULL, NULL);
}

static void add_to(_Atomic double *to, double by) {
    double seen = atomic_load(to);
    while (!atomic_compare_exchange_weak(to, &seen, seen + by)) {
        /* seen is now what another thread made of it */
    }
}

void metric_add(struct metric *s, double by) {
    assert(s->def->type != METRIC_HISTOGRAM);
    if (s->def->type == METRIC_GAUGE || by > 0)
        add_to(&s->value, by);
}

void metric_set(struct metric *s, double value) {
    assert(s->def->type != METRIC_HISTOGRAM);
    atomic_store(&s->value, value);
}

static size_t count_buckets(const struct metric_def *def) {
    size_t n = 0;
    while (def->buckets[n] > 0)
        n++;
    assert(n <= METRIC_BUCKETS);
    return n;
}

void metric_observe(struct metric *s, double value) {
    assert(s->def->type == METRIC_HISTOGRAM);
    size_t n = count_buckets(s->def), i = 0;
    while (i < n && !(value <= s->def->buckets[i]))
        i++;
    atomic_fetch_add(&s->counts[i], 1);
    add_to(&s->value, value);
}

double metric_value(const struct metric *s) {
    if (s->def->type != METRIC_HISTOGRAM)
        return atomic_load(&s->value);
    unsigned long long all = 0;
    for (size_t i = 0; i <= METRIC_BUCKETS; i++)
        all += atomic_load(&s->counts[i]);
    return (double)all;
}

/* The fewest digits that give the number back. */
static void put_number(struct buf *out, double v) {
    if (isnan(v)) {
        buf_add_str(out, "NaN");
    } else if (isinf(v)) {
        buf_add_str(out, v > 0 ? "+Inf" : "-Inf");
    } else if (v == floor(v) && fabs(v) < 1e15) {
        buf_addf(out, "%" PRId64, (int64_t)v);
    } else {
        char text[40];
        for (int digits = 15; digits <= 17; digits++) {
            snprintf(text, sizeof text, "%.*g", digits, v);
            if (strtod(text, NULL) == v)
                break;
        }
        buf_add_str(out, text);
    }
}

/* \, newline and, in label values, " are escaped; bytes that are no UTF-8 become U+FFFD. */
static void put_text(struct buf *out, const char *s, bool is_label) {
    for (size_t n = strlen(s); n > 0;) {
        size_t len = utf8_len(s, n);
        if (len == 0)
            buf_add_str(out, "\xEF\xBF\xBD");
        else if (*s == '\\')
            buf_add_str(out, "\\\\");
        else if (*s == '\n')
            buf_add_str(out, "\\n");
        else if (*s == '"' && is_label)
            buf_add_str(out, "\\\"");
        else
            buf_add(out, s, len);
        s += MAX(len, 1);
        n -= MAX(len, 1);
    }
}

/* name suffix{labels,extra="…"} */
static void put_name(struct buf *out, const struct metric *s, const char *suffix,
                     const double *le) {
    buf_add_str(out, s->def->name);
    buf_add_str(out, suffix);
    char between = '{';
    for (int i = 0; i < METRIC_LABELS && s->def->labels[i]; i++) {
        buf_addf(out, "%c%s=\"", between, s->def->labels[i]);
        put_text(out, s->labels[i], true);
        buf_add_char(out, '"');
        between = ',';
    }
    if (le) {
        buf_addf(out, "%cle=\"", between);
        put_number(out, *le);
        buf_add_char(out, '"');
        between = ',';
    }
    buf_add_str(out, between == ',' ? "} " : " ");
}

static void put_line(struct buf *out, const struct metric *s, const char *suffix, const double *le,
                     double value) {
    put_name(out, s, suffix, le);
    put_number(out, value);
    buf_add_char(out, '\n');
}

/* The count is that of the buckets as they are written, so they agree whatever changes meanwhile. */
static void put_histogram(struct buf *out, const struct metric *s) {
    size_t n = count_buckets(s->def);
    double sum = atomic_load(&s->value);
    unsigned long long seen = 0;
    for (size_t i = 0; i <= n; i++) {
        seen += atomic_load(&s->counts[i]);
        put_line(out, s, "_bucket", &(double){i < n ? s->def->buckets[i] : INFINITY}, (double)seen);
    }
    put_line(out, s, "_sum", NULL, sum);
    put_line(out, s, "_count", NULL, (double)seen);
}

static void put_family(struct buf *out, const struct metric_def *def, const struct family *f) {
    static const char *const types[] = {"counter", "gauge", "histogram"};
    bool headed = false;
    for (size_t i = 0; i < f->n; i++) {
        if (atomic_load(&f->v[i]->hidden))
            continue;
        if (!headed) {
            buf_addf(out, "# HELP %s ", def->name);
            put_text(out, def->help, false);
            buf_addf(out, "\n# TYPE %s %s\n", def->name, types[def->type]);
            headed = true;
        }
        if (def->type == METRIC_HISTOGRAM)
            put_histogram(out, f->v[i]);
        else
            put_line(out, f->v[i], "", NULL, atomic_load(&f->v[i]->value));
    }
}

void metrics_write(struct metrics *m, struct buf *out) {
    pthread_mutex_lock(&m->lock);
    for (size_t i = 0; i < m->n; i++)
        put_family(out, &m->defs[i], &m->families[i]);
    pthread_mutex_unlock(&m->lock);
}

const char *metric_number(int64_t n, char out[METRIC_NUMBER]) {
    snprintf(out, METRIC_NUMBER, "%" PRId64, n);
    return out;
}
