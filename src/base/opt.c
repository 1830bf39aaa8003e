/* SPDX-License-Identifier: Apache-2.0 */
#include "base/opt.h"

#include "base/value.h"

struct found {
    const struct opt *opt;
    void *into;
};

static struct found find(const struct opt_table *tables, size_t n_tables, const char *name,
                         size_t n) {
    for (size_t t = 0; t < n_tables; t++)
        for (const struct opt *o = tables[t].options; o->name; o++)
            if (strlen(o->name) == n && strncmp(o->name, name, n) == 0)
                return (struct found){o, tables[t].into};
    return (struct found){0};
}

static const char *dashes(const struct opt *o) {
    return o->name[1] ? "--" : "-";
}

static int unknown(const struct opt_table *tables, size_t n_tables, const char *arg,
                   struct err *e) {
    const struct opt *nearest = NULL;
    _cleanup_(freep) char *name = xstrdup(arg + strspn(arg, "-"));
    name[strcspn(name, "=")] = '\0';
    for (size_t t = 0; t < n_tables; t++)
        for (const struct opt *o = tables[t].options; o->name; o++)
            if (!nearest || edit_distance(name, o->name) < edit_distance(name, nearest->name))
                nearest = o;
    err_set(e, ERR_USAGE, "unknown option '%s'", arg);
    if (nearest)
        err_hint(e, "the nearest is %s%s; --help lists all", dashes(nearest), nearest->name);
    return ERR_USAGE;
}

static int store(const struct found *f, const char *text, struct err *e) {
    char *field = (char *)f->into + f->opt->offset;
    char what[80];
    snprintf(what, sizeof what, "%s%s", dashes(f->opt), f->opt->name);
    int r = 0;
    switch (f->opt->type) {
    case OPT_FLAG:
        *(bool *)field = true;
        break;
    case OPT_TEXT:
        *(const char **)field = text;
        break;
    case OPT_LIST: {
        struct opt_list *l = (struct opt_list *)field;
        if (l->n == ARRAY_LEN(l->v))
            return err_set(e, ERR_USAGE, "%s: given more than %zu times", what, ARRAY_LEN(l->v));
        l->v[l->n++] = text;
        break;
    }
    case OPT_INT:
        r = value_parse(VALUE_INT, what, text, f->opt->min, f->opt->max, (int64_t *)field, e);
        break;
    case OPT_DURATION:
        r = value_parse(VALUE_DURATION, what, text, f->opt->min, f->opt->max, (int64_t *)field, e);
        break;
    case OPT_RATIO:
        r = value_parse_ratio(what, text, (double *)field, e);
        break;
    }
    return r < 0 ? err_recode(e, ERR_USAGE) : 0;
}

/* Handles args[*at], which begins with '-'; moves *at past what it used. */
static int one_option(const struct opt_table *tables, size_t n_tables, char **args, int n_args,
                      int *at, struct err *e) {
    const char *arg = args[*at];
    bool is_long = arg[1] == '-';
    const char *name = arg + (is_long ? 2 : 1);
    size_t n = is_long ? strcspn(name, "=") : 1;
    struct found f = find(tables, n_tables, name, n);
    if (!f.opt || is_long != (f.opt->name[1] != '\0'))
        return unknown(tables, n_tables, arg, e);
    const char *value = name[n] ? name + n + is_long : NULL; /* --name=VALUE, -xVALUE */
    if (f.opt->type == OPT_FLAG && value)
        return err_set(e, ERR_USAGE, "%s%s takes no value", dashes(f.opt), f.opt->name);
    if (f.opt->type != OPT_FLAG && !value) {
        if (*at + 1 >= n_args)
            return err_set(e, ERR_USAGE, "%s%s needs a value: %s", dashes(f.opt), f.opt->name,
                           f.opt->arg);
        value = args[++*at];
    }
    ++*at;
    return store(&f, value, e);
}

int opt_parse(const struct opt_table *tables, size_t n_tables, bool stop_at_word, char **args,
              int n_args, int *ret_operands, struct err *e) {
    int operands = 0;
    int at = 0;
    while (at < n_args) {
        if (strcmp(args[at], "--") == 0) {
            at++;
            if (stop_at_word)
                break;
            while (at < n_args)
                args[operands++] = args[at++];
        } else if (args[at][0] == '-' && args[at][1]) {
            int r = one_option(tables, n_tables, args, n_args, &at, e);
            if (r < 0)
                return r;
        } else if (stop_at_word) {
            break;
        } else {
            args[operands++] = args[at++];
        }
    }
    *ret_operands = stop_at_word ? at : operands;
    return 0;
}

void opt_help(const struct opt *options, struct buf *out) {
    for (const struct opt *o = options; o->name; o++) {
        char left[64];
        snprintf(left, sizeof left, "%s%s%s%s", dashes(o), o->name, o->arg ? " " : "",
                 o->arg ? o->arg : "");
        buf_addf(out, "  %-22s %s\n", left, o->help);
    }
}
