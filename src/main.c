/* SPDX-License-Identifier: Apache-2.0 */
/*
 * clickmill VERB: finds the verb, reads options and configuration, runs it, turns its result into
 * an exit code. Everything a verb does is in src/cmd/VERB.c.
 */
#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "base/log.h"
#include "base/util.h"
#include "cmd/cmd.h"
#include "cmd/parts.h"

static const struct command *find_command(const char *name) {
    for (const struct command *const *c = commands; *c; c++)
        if (strcmp((*c)->name, name) == 0)
            return *c;
    return NULL;
}

static int unknown_command(const char *name, struct err *e) {
    const struct command *nearest = commands[0];
    for (const struct command *const *c = commands; *c; c++)
        if (edit_distance(name, (*c)->name) < edit_distance(name, nearest->name))
            nearest = *c;
    err_set(e, ERR_USAGE, "unknown verb '%s'", name);
    return err_hint(e, "the nearest is '%s'; clickmill --help lists all", nearest->name);
}

static int print_help(const struct command *c) {
    struct buf out = BUF_INIT(1 << 20);
    if (c)
        help_command(c, &out);
    else
        help_program(&out);
    fputs(buf_str(&out), stdout);
    buf_release(&out);
    return 0;
}

static int load_config(const struct global_opts *g, struct config **ret, struct err *e) {
    struct config_source src = {
        .file = g->file, .set = g->set.v, .n_set = g->set.n, .environ = environ};
    int r = config_load(&src, ret, e);
    if (r < 0)
        return r;
    static const char *const levels[] = {"debug", "info", "warn", "error"};
    int level = LOG_INFO;
    for (size_t i = 0; i < ARRAY_LEN(levels); i++)
        if (strcmp(config_text(*ret, CFG_LOG_LEVEL), levels[i]) == 0)
            level = (int)i;
    log_setup((enum log_level)level,
              g->log_json || strcmp(config_text(*ret, CFG_LOG_FORMAT), "json") == 0);
    r = crash_at(config_text(*ret, CFG_DEBUG_CRASH_AT), e);
    return r ? r : parts_check_properties(*ret, e);
}

static int run_command(const struct command *c, struct global_opts *g, char **args, int n,
                       struct err *e) {
    void *opts = c->opts_size ? xcalloc(1, c->opts_size) : NULL;
    if (c->defaults)
        c->defaults(opts);
    static const struct opt none[] = {{0}};
    struct opt_table tables[] = {{c->options ? c->options : none, opts}, {global_options, g}};
    struct cmd cmd = {.opts = opts, .args = args};
    int r = opt_parse(tables, ARRAY_LEN(tables), false, args, n, &cmd.n_args, e);
    if (r == 0 && g->help) {
        r = print_help(c);
    } else if (r == 0 && (cmd.n_args < c->min_args || cmd.n_args > c->max_args)) {
        err_set(e, ERR_USAGE, "%s: expected %s", c->name,
                *c->operands ? c->operands : "no further words");
        r = err_hint(e, "clickmill %s --help", c->name);
    } else if (r == 0) {
        _cleanup_(config_freep) struct config *cfg = NULL;
        if (!c->no_config)
            r = load_config(g, &cfg, e);
        cmd.cfg = cfg;
        if (r == 0)
            r = c->run(&cmd, e);
    }
    free(opts);
    return r;
}

static int run(int argc, char **argv, struct err *e) {
    struct global_opts g = {0};
    struct opt_table table = {global_options, &g};
    int at;
    int r = opt_parse(&table, 1, true, argv + 1, argc - 1, &at, e);
    if (r < 0)
        return r;
    if (g.version)
        return run_command(&cmd_version, &g, argv + argc, 0, e);
    char **rest = argv + 1 + at;
    int n = argc - 1 - at;
    if (g.help && n == 0)
        return print_help(NULL);
    if (n == 0) {
        err_set(e, ERR_USAGE, "no verb");
        return err_hint(e, "clickmill --help lists all");
    }
    if (strcmp(rest[0], "help") == 0 && n <= 2) { /* the same as --help, as many expect it */
        const struct command *about = n == 2 ? find_command(rest[1]) : NULL;
        return n == 2 && !about ? unknown_command(rest[1], e) : print_help(about);
    }
    const struct command *c = find_command(rest[0]);
    return c ? run_command(c, &g, rest + 1, n - 1, e) : unknown_command(rest[0], e);
}

/* Were 0, 1 or 2 closed, the next file opened would take that number and get what is printed. */
static void fill_standard_descriptors(void) {
    int fd;
    do
        fd = open("/dev/null", O_RDWR);
    while (fd >= 0 && fd <= STDERR_FILENO);
    if (fd >= 0)
        close(fd);
}

/* What could not be printed is an error of its own, also if it was not the last of it. */
static int finish_output(struct err *e) {
    errno = 0;
    if (fflush(stdout) == 0 && !ferror(stdout))
        return 0;
    if (!errno &&
        putchar('\n') != EOF) /* it was an earlier write that failed: once more, for the reason */
        fflush(stdout);
    return err_sys(e, ERR_STORAGE, errno ? errno : EIO, "cannot write to standard output");
}

int main(int argc, char **argv) {
    struct err e = {0};
    fill_standard_descriptors();
    stop_on_signals();
    int r = versions_check(&e);
    if (r == 0)
        r = run(argc, argv, &e);
    if (r == 0)
        r = finish_output(&e);
    cmd_hint(&e);
    if (r < 0) {
        fprintf(stderr, "clickmill: %s\n", e.msg);
        if (e.hint[0])
            fprintf(stderr, "HINT: %s\n", e.hint);
    }
    return err_exit_code(r);
}
