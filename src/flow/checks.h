/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The data quality rules: those built in (sql/checks/) and the user's own, one .sql file each in
 * check.dir. A rule is a SELECT that must give no rows, under a header of comment lines
 * (docs/checks.md says how to write one):
 *
 *     -- Name:        no_gifts               the file's name
 *     -- Description: Sales at a price of 0.
 *     -- Severity:    block                  or warn
 *     -- Days:        1                      how many days it reads (check_days.h); may be left out
 *
 * A file that cannot be used spoils nothing else: it is a rule that cannot be run. Where even its
 * severity is not known it blocks.
 */
#ifndef CM_FLOW_CHECKS_H
#define CM_FLOW_CHECKS_H

#include "base/err.h"

enum check_severity { CHECK_WARN, CHECK_BLOCK, CHECK_OFF };
extern const char *const check_severity_names[]; /* "warn", "block", "off" */

struct check_rule {
    char *name; /* printable */
    char *file; /* for messages: "sql/checks/freshness.sql", "checks/mine.sql" */
    char *sql;  /* NULL if it could not be read */
    char *description;
    bool built_in;
    enum check_severity severity;
    int days;         /* >= 1 */
    struct err wrong; /* code 0: it can be run */
};

/* What the configuration says (check.…). Texts may be NULL: as an empty one; a limit: as the widest. */
struct check_settings {
    const char *dir;                /* the user's folder; NULL: none */
    const char *block, *warn, *off; /* lists of names, in place of the headers' severities */
    const char *null_share, *reject_share, *revenue_change; /* ratios, as SQL has them */
    int64_t freshness_ms;                                   /* 0: no limit */
    const char *categories;                                 /* with commas */
};

struct checks {
    struct check_rule *v; /* those built in, then the user's, by name */
    size_t n;
};

/*
 * ERR_CONFIG: the folder cannot be read (the default one need not be there), or a list names a rule
 * there is not, or one that another list has.
 */
int checks_load(const struct check_settings *s, struct checks *ret, struct err *e);
void checks_release(struct checks *cs);
struct check_rule *checks_named(const struct checks *cs, const char *name); /* NULL: none */

#define CHECKS_DIR "checks" /* the default of check.dir */

#endif
