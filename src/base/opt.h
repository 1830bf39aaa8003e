/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Command-line options: one table per verb gives parsing, --help, the man page and the completion.
 *
 *     struct produce_opts { int64_t events; const char *ledger; };
 *     static const struct opt options[] = {
 *         {"events", "N", OPT_INT, offsetof(struct produce_opts, events), "How many.", 1, INT64_MAX},
 *         {0}};
 */
#ifndef CM_BASE_OPT_H
#define CM_BASE_OPT_H

#include "base/err.h"
#include "base/mem.h"

enum opt_type {
    OPT_FLAG,     /* bool */
    OPT_TEXT,     /* const char * */
    OPT_LIST,     /* struct opt_list: may be given several times */
    OPT_INT,      /* int64_t */
    OPT_DURATION, /* int64_t, milliseconds */
    OPT_RATIO,    /* double, 0 … 1 */
};

struct opt_list {
    const char *v[64];
    size_t n;
};

struct opt {
    const char *name; /* without --; a one-letter name is written -x; NULL ends the table */
    const char *arg;  /* "N"; NULL for flags */
    enum opt_type type;
    size_t offset; /* of the field in the verb's options struct */
    const char *help;
    int64_t min, max; /* OPT_INT, OPT_DURATION; both 0: no limits */
};

/*
 * Reads args as options of any of the tables (each with its own struct): `--opt value`, `--opt=value`, `-x value`,
 * `-xvalue`. What follows a "--" is operands. They are moved to the front of args, *ret_operands counts them;
 * with stop_at_word it is the index of the first operand, where reading ends, or n_args.
 * ERR_USAGE names the option and, for an unknown one, the nearest.
 */
struct opt_table {
    const struct opt *options;
    void *into;
};
int opt_parse(const struct opt_table *tables, size_t n_tables, bool stop_at_word, char **args,
              int n_args, int *ret_operands, struct err *e);

/* The lines of --help for a table: "  --events N   How many." */
void opt_help(const struct opt *options, struct buf *out);

#endif
