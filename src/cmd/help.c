/* SPDX-License-Identifier: Apache-2.0 */
/* The table of verbs, the options in front of them, and --help. */
#include "cmd/cmd.h"

const struct command *const commands[] = {
    &cmd_up,        &cmd_produce, &cmd_ingest, &cmd_silver, &cmd_gold,      &cmd_load,
    &cmd_run,       &cmd_rebuild, &cmd_forget, &cmd_status, &cmd_reconcile, &cmd_check,
    &cmd_conflicts, &cmd_rejects, &cmd_sql,    &cmd_table,  &cmd_config,    &cmd_doctor,
    &cmd_version,   &cmd_docs,    NULL};

const struct opt global_options[] = {
    {"f", "FILE", OPT_TEXT, offsetof(struct global_opts, file),
     "Configuration file (default: clickmill.ini if it is there).", 0, 0},
    {"c", "KEY=VALUE", OPT_LIST, offsetof(struct global_opts, set),
     "Set one configuration key; may be repeated.", 0, 0},
    {"log-json", NULL, OPT_FLAG, offsetof(struct global_opts, log_json), "Log lines as JSON.", 0,
     0},
    {"help", NULL, OPT_FLAG, offsetof(struct global_opts, help), "Show help.", 0, 0},
    {"version", NULL, OPT_FLAG, offsetof(struct global_opts, version), "Show the version.", 0, 0},
    {0},
};

void help_program(struct buf *out) {
    buf_add_str(out, "clickmill: a shop's clicks to daily metrics you can trust\n\n"
                     "Usage: clickmill [-f FILE] [-c key=value]... VERB [options]\n\nVerbs:\n");
    for (const struct command *const *c = commands; *c; c++)
        buf_addf(out, "  %-22s %s\n", (*c)->name, (*c)->summary);
    buf_add_str(out, "\nOptions:\n");
    opt_help(global_options, out);
    buf_add_str(out, "\nclickmill VERB --help tells more of one verb.\n");
}

void help_command(const struct command *c, struct buf *out) {
    buf_addf(out, "clickmill %s: %s\n\nUsage: clickmill [-f FILE] [-c key=value]... %s%s%s%s\n",
             c->name, c->summary, c->name, *c->operands ? " " : "", c->operands,
             c->options ? " [options]" : "");
    if (c->about)
        buf_addf(out, "\n%s\n", c->about);
    buf_add_str(out, "\nOptions:\n");
    if (c->options)
        opt_help(c->options, out);
    opt_help(global_options, out);
}
