/* SPDX-License-Identifier: Apache-2.0 */
/*
 * docs man|configuration|metrics|models|checks|completion: what is written down of options and keys is printed from the
 * tables the program itself uses. The test suite compares it with the committed files.
 */
#include "cmd/cmd.h"
#include "cmd/docs_checks.h"
#include "cmd/docs_models.h"
#include "serve/meters.h"

/* Text for roff: a leading dot and backslashes are escaped, '-' is a minus. */
static void roff(const char *s) {
    for (const char *p = s; *p; p++) {
        if ((p == s || p[-1] == '\n') && (*p == '.' || *p == '\''))
            fputs("\\&", stdout);
        if (*p == '\\')
            fputs("\\e", stdout);
        else if (*p == '-')
            fputs("\\-", stdout);
        else
            putchar(*p);
    }
}

static void man_options(const struct opt *options) {
    for (const struct opt *o = options; o->name; o++) {
        fputs(".TP\n.B ", stdout);
        roff(o->name[1] ? "--" : "-");
        roff(o->name);
        if (o->arg) {
            fputs(" \\fI", stdout);
            roff(o->arg);
            fputs("\\fR", stdout);
        }
        putchar('\n');
        roff(o->help);
        putchar('\n');
    }
}

static void man_verb(const struct command *c) {
    fputs(".SS ", stdout);
    roff(c->name);
    if (*c->operands) {
        putchar(' ');
        roff(c->operands);
    }
    putchar('\n');
    roff(c->summary);
    putchar('\n');
    if (c->about) {
        fputs(".PP\n", stdout);
        roff(c->about);
        putchar('\n');
    }
    if (c->options)
        man_options(c->options);
}

static void man_keys(void) {
    for (int i = 0; i < CFG_N; i++) {
        const struct config_key *k = &config_keys[i];
        fputs(".TP\n.B ", stdout);
        roff(k->name);
        fputs(" = ", stdout);
        roff(*k->def ? k->def : "(empty)");
        putchar('\n');
        roff(k->help);
        putchar('\n');
    }
}

static void man(void) {
    puts(".\\\" SPDX-License-Identifier: Apache-2.0\n.\\\" Made by `make docs` from the tables of "
         "the program.\n"
         ".TH CLICKMILL 1\n.SH NAME\nclickmill \\- a shop's clicks to daily metrics you can "
         "trust\n.SH SYNOPSIS\n"
         ".B clickmill\n[\\-f \\fIFILE\\fR] [\\-c \\fIkey=value\\fR]... \\fIVERB\\fR "
         "[options]\n.SH DESCRIPTION\n"
         "Carries a shop's events from a stream through bronze, silver and gold Delta Lake tables "
         "to a database,\n"
         "nothing lost and nothing twice. Each verb is one step or composes them.\n.SH OPTIONS");
    man_options(global_options);
    puts(".SH VERBS");
    for (const struct command *const *c = commands; *c; c++)
        man_verb(*c);
    puts(".SH CONFIGURATION\nLater wins: the default, \\fIclickmill.ini\\fR, POSTGRES_HOST and its "
         "companions, CLICKMILL_\\fIKEY\\fR,\n"
         "\\-c. In the file, \\fB[stream]\\fR followed by \\fBurl = ...\\fR is stream.url; in the "
         "environment it is CLICKMILL_STREAM_URL.");
    man_keys();
    puts(".SH EXIT STATUS\n0 ok, 2 usage, 3 configuration, 4 stream, 5 storage or table, 6 engine, "
         "7 sink, 8 a data check failed,\n"
         "9 stopped by a signal before the end of a step or \\-\\-once, 70 a bug.\n.SH FILES\n"
         ".TP\n.I clickmill.ini\nThe configuration, in the working folder unless \\-f names "
         "another.\n"
         ".TP\n.I data/\nThe embedded stream, lake and database, by default.");
}

static const char *unit_of(const struct config_key *k) {
    return k->type == VALUE_DURATION ? " ms" : k->type == VALUE_SIZE ? " bytes" : "";
}

static void configuration(void) {
    puts("# Configuration\n\nMade by `make docs` from the program's own table; `clickmill config "
         "show` prints the values in "
         "force and where each came from.\n\nLater wins: the default, `clickmill.ini` in the "
         "working folder (or `-f FILE`), "
         "`POSTGRES_HOST` with `POSTGRES_USER`, `POSTGRES_PASSWORD`, `POSTGRES_DB1` and "
         "`POSTGRES_PORT` (they make `sink.url`), "
         "`CLICKMILL_…` in the environment, `-c key=value`.\n\n```ini\n# stream.url; in the "
         "environment CLICKMILL_STREAM_URL\n"
         "[stream]\nurl = local:data/stream\n```\n\nAn unknown key is an error that names the "
         "nearest one, wherever it stands. "
         "Lines that begin with `#` or `;` are comments. A comment behind a value is an error."
         "\n\n"
         "| key | default | values | meaning |\n|---|---|---|---|");
    for (int i = 0; i < CFG_N; i++) {
        const struct config_key *k = &config_keys[i];
        printf("| `%s` | ", k->name);
        printf(*k->def ? "`%s`" : "(empty)%s", k->def);
        if (k->choices) {
            fputs(" | ", stdout);
            for (const char *p = k->choices; *p; p++)
                fputs(*p == '|' ? ", " : (char[]){*p, 0}, stdout);
        } else {
            printf(" | %s", value_type_name(k->type));
        }
        if (k->min || k->max)
            printf(", %lld to %lld%s", (long long)k->min, (long long)k->max, unit_of(k));
        printf(" | %s |\n", k->help);
    }
}

static void completion(void) {
    puts("# bash completion for clickmill, made from the program's own tables\n_clickmill() {\n"
         "    local cur=${COMP_WORDS[COMP_CWORD]} verb= i\n    for ((i = 1; i < COMP_CWORD; i++)); "
         "do\n"
         "        case ${COMP_WORDS[i]} in\n        -f | -c) ((i++)) ;;\n        -*) ;;\n        "
         "*) verb=${COMP_WORDS[i]}; break ;;\n"
         "        esac\n    done\n    case $verb in");
    for (const struct command *const *c = commands; *c; c++) {
        printf("    %s) COMPREPLY=($(compgen -W \"", (*c)->name);
        for (const struct opt *o = (*c)->options; o && o->name; o++)
            printf("--%s ", o->name);
        /* "list|show|check [NAME]": the words to choose from */
        const char *words = (*c)->operands;
        for (; *words == '|' || (*words >= 'a' && *words <= 'z'); words++)
            putchar(*words == '|' ? ' ' : *words);
        puts(" --help\" -- \"$cur\")) ;;");
    }
    fputs("    *) COMPREPLY=($(compgen -W \"", stdout);
    for (const struct command *const *c = commands; *c; c++)
        printf("%s ", (*c)->name);
    puts("--help --version\" -- \"$cur\")) ;;\n    esac\n}\ncomplete -o default -F _clickmill "
         "clickmill");
}

static void metrics(void) {
    struct buf b = BUF_INIT(1 << 20);
    meters_document(&b);
    fputs(
        "# Metrics\n\nMade by `make docs` from the program's own table. What `/metrics` writes in "
        "Prometheus' text format; [operations.md](operations.md) says which to watch. Counters "
        "begin at 0 when the process starts.\n\n",
        stdout);
    fputs(buf_str(&b), stdout);
    buf_release(&b);
}

static int run(struct cmd *c, struct err *e) {
    if (strcmp(c->args[0], "man") == 0)
        man();
    else if (strcmp(c->args[0], "configuration") == 0)
        configuration();
    else if (strcmp(c->args[0], "metrics") == 0)
        metrics();
    else if (strcmp(c->args[0], "completion") == 0)
        completion();
    else if (strcmp(c->args[0], "models") == 0)
        return docs_models(e);
    else if (strcmp(c->args[0], "checks") == 0)
        return docs_checks(e);
    else
        return err_set(
            e, ERR_USAGE,
            "docs: expected man, configuration, metrics, models, checks or completion, not '%s'",
            c->args[0]);
    return 0;
}

const struct command cmd_docs = {
    .name = "docs",
    .operands = "man|configuration|metrics|models|checks|completion",
    .summary = "Print the man page, the list of keys, of metrics, of models or of rules, or the "
               "completion for "
               "bash.",
    .min_args = 1,
    .max_args = 1,
    .no_config = true,
    .run = run,
};
