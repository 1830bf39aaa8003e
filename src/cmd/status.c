/* SPDX-License-Identifier: Apache-2.0 */
#include "flow/status.h"

#include "base/clock.h"
#include "base/json.h"
#include "cmd/cmd.h"
#include "cmd/out.h"
#include "cmd/parts.h"

struct status_opts {
    bool as_json;
};

static const struct opt options[] = {
    {"json", NULL, OPT_FLAG, offsetof(struct status_opts, as_json), "Print the result as JSON.", 0,
     0},
    {0},
};

static void print_layers(const struct status *s) {
    static const char *const names[] = {"table", "version", "rows",       "files",
                                        "bytes", "behind",  "last commit"};
    static const bool numbers[] = {false, true, true, true, true, true, false};
    struct out_table t = {0};
    out_columns(&t, names, numbers, ARRAY_LEN(names));
    for (size_t i = 0; i < s->n_layers; i++) {
        const struct layer_status *l = &s->layers[i];
        char version[32], rows[32], files[32], bytes[32], late[32], at[TIME_TEXT] = "never";
        out_thousands(l->version, version);
        out_thousands(l->rows, rows);
        out_thousands(l->files, files);
        out_thousands(l->bytes, bytes);
        out_thousands(l->behind, late);
        if (l->committed_ms)
            time_format_ms(l->committed_ms * 1000, at);
        const char *row[] = {l->table, l->version < 0 ? "-" : version, rows, files, bytes, late,
                             at};
        out_row(&t, row);
    }
    out_print(&t, false);
    out_release(&t);
}

static void print_partition(const struct lag *l) {
    printf("partition %d: bronze is at %lld of %lld, lag %lld", l->partition,
           (long long)MAX(l->position, 0), (long long)l->end, (long long)l->offsets);
    if (l->seconds > 0)
        printf(", %.1f s", l->seconds);
    if (l->retention_used > 0)
        printf(", %.1f %% of the way to being removed", 100 * l->retention_used);
    if (l->begin > 0)
        printf(", the stream holds offsets from %lld", (long long)l->begin);
    if (l->gone > 0)
        printf(", %lld GONE before they were read", (long long)l->gone);
    putchar('\n');
}

static void print_lag(const struct status *s) {
    printf("lag: %lld records", (long long)s->lag.offsets);
    if (s->lag.seconds > 0)
        printf(", %.1f s", s->lag.seconds);
    if (s->newest_ms) {
        char at[TIME_TEXT];
        time_format_ms(s->newest_ms * 1000, at);
        printf("; the newest in bronze is of %s, %.0f s ago", at, s->age_seconds);
    }
    putchar('\n');
    if (s->lost)
        printf("accepted as lost: %lld offsets\n", (long long)s->lost);
}

static void print_sink(const struct status *s) {
    if (s->sink_version < 0)
        printf("sink: %s\n", s->sink_is_current ? "nothing to load yet" : "nothing loaded yet");
    else
        printf("sink: shows gold version %lld%s\n", (long long)s->sink_version,
               s->sink_is_current ? ", current" : ", behind");
}

/* What is wrong with the models, and tables that have none any more. */
static void print_models(const struct status *s) {
    for (size_t i = 0; i < s->n_layers; i++) {
        const struct layer_status *l = &s->layers[i];
        if (l->problem)
            printf("WRONG model: %s\n", l->problem);
        else if (l->is_gold && !l->has_model && l->version >= 0)
            printf("%s has no model any more: it stays as it is, and so does its table in the "
                   "sink\n",
                   l->table);
    }
    for (size_t i = 0; i < s->n_refused; i++)
        printf("WRONG model: %s\n", s->refused[i]);
}

static bool is_bad(const struct check_kept_rule *r) {
    return strcmp(r->result, check_state_names[CHECK_FAILED]) == 0 ||
           strcmp(r->result, check_state_names[CHECK_ERROR]) == 0;
}

static void print_checks(const struct check_kept *k) {
    size_t passed = 0;
    for (size_t i = 0; i < k->n; i++) {
        const struct check_kept_rule *r = &k->v[i];
        bool blocks = strcmp(r->severity, check_severity_names[CHECK_BLOCK]) == 0;
        passed += strcmp(r->result, check_state_names[CHECK_PASSED]) == 0;
        if (!is_bad(r))
            continue;
        printf("check: %s %s since %s: ", r->name,
               r->error ? blocks ? "cannot be run and BLOCKS the load" : "cannot be run"
               : blocks ? "BLOCKS the load"
                        : "warns",
               r->since ? r->since : "?");
        if (r->error)
            puts(r->error);
        else
            printf("%lld rows: %s\n", (long long)r->rows, r->first);
    }
    if (k->checked_at)
        printf("check: %zu rules passed at %s\n", passed, k->checked_at);
}

static void print_text(const struct status *s) {
    for (size_t i = 0; i < s->n_partitions; i++)
        print_partition(&s->partitions[i]);
    print_lag(s);
    print_layers(s);
    printf("events %lld = rejected %lld + duplicates %lld + conflicts %lld + silver rows %lld%s\n",
           (long long)s->events, (long long)s->rejected, (long long)s->duplicates,
           (long long)s->conflicts, (long long)s->layers[1].rows,
           s->layers[1].behind ? " + pending" : "");
    if (s->replayed)
        printf("replayed: %lld of the rejected records are events by now\n",
               (long long)s->replayed);
    print_sink(s);
    print_checks(&s->checks);
    print_models(s);
}

/* null: unknown. */
static void put_known(struct json_out *o, const char *name, double v) {
    if (v < 0)
        json_put(o, name, NULL);
    else
        json_put_double(o, name, v);
}

static void put_partitions(struct json_out *o, const struct status *s) {
    json_arr(o, "partitions");
    for (size_t i = 0; i < s->n_partitions; i++) {
        json_obj(o, NULL);
        const struct lag *l = &s->partitions[i];
        json_put_int(o, "partition", l->partition);
        json_put_int(o, "position", MAX(l->position, 0));
        json_put_int(o, "begin", l->begin);
        json_put_int(o, "end", l->end);
        json_put_int(o, "lag", l->offsets);
        put_known(o, "lag_seconds", l->seconds);
        put_known(o, "retention_used", l->retention_used);
        json_put_int(o, "gone", l->gone);
        json_obj_end(o);
    }
    json_arr_end(o);
}

static void put_layers(struct json_out *o, const struct status *s) {
    json_arr(o, "layers");
    for (size_t i = 0; i < s->n_layers; i++) {
        const struct layer_status *l = &s->layers[i];
        json_obj(o, NULL);
        json_put(o, "table", l->table);
        json_put_int(o, "version", l->version);
        json_put_int(o, "rows", l->rows);
        json_put_int(o, "files", l->files);
        json_put_int(o, "bytes", l->bytes);
        json_put_int(o, "behind", l->behind);
        json_put_int(o, "committed_ms", l->committed_ms);
        if (l->is_gold) {
            json_put_bool(o, "has_model", l->has_model);
            json_put(o, "problem", l->problem);
            json_put_int(o, "sink_version", l->sink_version);
            json_put_bool(o, "sink_is_current", l->sink_is_current);
        }
        json_obj_end(o);
    }
    json_arr_end(o);
}

static void put_newest(struct json_out *o, const struct status *s) {
    if (s->newest_ms) {
        json_put_int(o, "newest_ms", s->newest_ms);
        json_put_double(o, "age_seconds", s->age_seconds);
    } else {
        json_put(o, "newest_ms", NULL);
        json_put(o, "age_seconds", NULL);
    }
}

static void put_refused(struct json_out *o, const struct status *s) {
    json_arr(o, "refused_models");
    for (size_t i = 0; i < s->n_refused; i++)
        json_put(o, NULL, s->refused[i]);
    json_arr_end(o);
}

static void put_checks(struct json_out *o, const struct check_kept *k) {
    if (!k->checked_at) {
        json_put(o, "checks", NULL);
        return;
    }
    json_obj(o, "checks");
    json_put(o, "checked_at", k->checked_at);
    json_put_bool(o, "blocked", k->blocked);
    json_arr(o, "rules");
    for (size_t i = 0; i < k->n; i++) {
        const struct check_kept_rule *r = &k->v[i];
        json_obj(o, NULL);
        json_put(o, "rule", r->name);
        json_put(o, "severity", r->severity);
        json_put(o, "result", r->result);
        json_put_int(o, "rows", r->rows);
        json_put(o, "since", r->since);
        json_put_raw(o, "first", *r->first ? r->first : "[]");
        json_put(o, "error", r->error);
        json_obj_end(o);
    }
    json_arr_end(o);
    json_obj_end(o);
}

static void print_json(const struct status *s) {
    struct buf b = BUF_INIT(16 << 20);
    struct json_out o = {.b = &b};
    json_obj(&o, NULL);
    json_put_int(&o, "lag", s->lag.offsets);
    put_known(&o, "lag_seconds", s->lag.seconds);
    put_known(&o, "retention_used", s->lag.retention_used);
    put_newest(&o, s);
    json_put_int(&o, "lost", s->lost);
    put_partitions(&o, s);
    put_layers(&o, s);
    put_refused(&o, s);
    put_checks(&o, &s->checks);
    json_put_int(&o, "events", s->events);
    json_put_int(&o, "rejected", s->rejected);
    json_put_int(&o, "replayed", s->replayed);
    json_put_int(&o, "duplicates", s->duplicates);
    json_put_int(&o, "conflicts", s->conflicts);
    json_put_int(&o, "sink_version", s->sink_version);
    json_put_bool(&o, "sink_is_current", s->sink_is_current);
    json_obj_end(&o);
    puts(buf_str(&b));
    buf_release(&b);
}

static int run(struct cmd *c, struct err *e) {
    struct parts p;
    int r = parts_open(c->cfg, PART_STREAM | PART_LAKE | PART_SINK_READ, &p, e);
    if (r < 0)
        return r;
    struct status s = {0};
    const struct status_options o = parts_status_options(c->cfg);
    r = flow_status(p.s, p.st, p.sk, &o, &s, e);
    if (r == 0 && ((const struct status_opts *)c->opts)->as_json)
        print_json(&s);
    else if (r == 0)
        print_text(&s);
    status_release(&s);
    parts_close(&p);
    return r;
}

const struct command cmd_status = {
    .name = "status",
    .operands = "",
    .summary = "Where each layer stands: positions, lag, counts.",
    .options = options,
    .opts_size = sizeof(struct status_opts),
    .run = run,
};
