/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One verb a file. A verb parses its options, opens the parts it needs, calls flow/ and prints.
 * The table of commands gives parsing, --help, the man page and the completion.
 */
#ifndef CM_CMD_CMD_H
#define CM_CMD_CMD_H

#include "base/config.h"
#include "base/err.h"
#include "base/opt.h"

struct cmd {
    const struct config *cfg;
    void *opts;  /* the verb's options struct */
    char **args; /* operands */
    int n_args;
};

struct command {
    const char *name;
    const char *operands;         /* "QUERY", or "" */
    const char *summary;          /* one line */
    const char *about;            /* more sentences for --help and the man page, or NULL */
    const struct opt *options;    /* may be NULL */
    size_t opts_size;             /* of the options struct; 0: none */
    void (*defaults)(void *opts); /* may be NULL: all zero */
    int min_args, max_args;
    bool no_config; /* runs without reading the configuration */
    int (*run)(struct cmd *c, struct err *e);
};

extern const struct command cmd_produce, cmd_ingest, cmd_silver, cmd_gold, cmd_load, cmd_run,
    cmd_rebuild, cmd_forget, cmd_up, cmd_status, cmd_reconcile, cmd_check, cmd_conflicts,
    cmd_rejects, cmd_sql, cmd_table, cmd_config, cmd_doctor, cmd_version, cmd_docs;

/* All verbs, NULL-terminated, in the order of --help. */
extern const struct command *const commands[];

/* The options in front of the verb. */
struct global_opts {
    const char *file;
    struct opt_list set;
    bool help, version, log_json;
};
extern const struct opt global_options[];

void help_program(struct buf *out);
void help_command(const struct command *c, struct buf *out);

/* ERR_BUG if a library that is linked is not the one the program was built for. Once, at the start. */
int versions_check(struct err *e);

/*
 * The options --from and --to, each NULL if not given; *ret_from and *ret_to are then left as they are.
 * ERR_USAGE: no day, or the one after the other.
 */
int cmd_days(const char *verb, const char *from, const char *to, int32_t *ret_from, int32_t *ret_to,
             struct err *e);

/* Where to look next, for an error whose own place knew no hint. */
void cmd_hint(struct err *e);

#endif
