/* SPDX-License-Identifier: Apache-2.0 */
#include "cmd/docs_models.h"

#include <errno.h>

#include "engine/engine.h"
#include "flow/gold_columns.h"
#include "storage/local_fs.h"

static const char beginning[] =
    "# Models\n\n"
    "Made by `make docs` from the models themselves. Each is one SELECT in one file; it makes one "
    "table of the gold layer, and `load` brings that into the database under the same name. "
    "`clickmill sql` reads it as `gold.NAME`.\n\n"
    "A run makes anew the days whose events changed, in every table, however old they are: an "
    "event that comes a month late corrects gold and the database with the next run. Money is "
    "added up exactly and becomes DOUBLE once. All days are UTC days.\n";

static const char own_models[] =
    "\n"
    "## Your own\n\n"
    "Put a file `NAME.sql` into the folder `models` (the key `models.dir`). The next run makes "
    "its table; nothing is to be started again.\n\n"
    "```sql\n"
    "-- Name:        sales_by_currency\n"
    "-- Description: What was sold, by currency and day.\n"
    "-- Inputs:      silver_events\n"
    "-- Partition:   event_date\n"
    "-- Grain:       currency, event_date\n"
    "SELECT coalesce(currency, 'none') AS currency, count(*) AS sales,\n"
    "    CAST(sum(revenue) AS DECIMAL(18,4)) AS revenue, event_date\n"
    "FROM silver_events\n"
    "WHERE event_type IS NULL OR event_type = 'purchase'\n"
    "GROUP BY ALL\n"
    "```\n\n"
    "- **Inputs** are `silver_events` (the columns of `silver.events`), `people` (the same "
    "without bots) and `bots` (`visitor`, `is_user`, `event_date`: who behaved like one that day). "
    "A model "
    "reads nothing else: no other gold table, no file.\n"
    "- A **bot** is one by its user agent (`is_bot` in silver: [conf/bots.txt](../conf/bots.txt)) "
    "or by its behaviour: more than 120 events within a minute of the clock or 5,000 in a day, of "
    "one session, or of one user where there is none "
    "([sql/inputs/bots.sql](../sql/inputs/bots.sql)).\n"
    "- It is given **only the days that changed**. A row must be made of events of its own "
    "`event_date`, so that making a day anew gives the same as making all of them; `reconcile` "
    "checks that.\n"
    "- The **grain** tells its rows apart: no value of it may be NULL, no combination may come "
    "twice. It is the primary key in the database. `event_date` belongs to it.\n"
    "- **Columns** are named by lower-case words that no SQL reserves. Types: STRING, INT, "
    "BIGINT, DOUBLE, DECIMAL with at most 4 decimals, BOOLEAN, DATE, TIMESTAMPTZ (a key: STRING, "
    "INT, BIGINT, BOOLEAN, DATE). At most 32.\n"
    "- A **changed** SELECT or grain is computed anew for all of history, in one commit; the rest "
    "of the header may change freely. Until gold has done so, `load` leaves the database's table "
    "as "
    "it is, and `reconcile` counts all its days as pending. With other columns the gold table "
    "changes; a table in the "
    "database is never changed by clickmill: `load` says what is to be altered.\n"
    "- A model that is **removed** leaves its tables as they are; `status` says so.\n"
    "- A model that is **wrong** fails alone. The run does everything else, then ends with exit "
    "code 6 and says which file, which line and why; `status` shows files that cannot be used. "
    "What the model made before stays.\n"
    "- **To try one**, `clickmill gold --model NAME` makes its table alone.\n";

/* What the header says of a column; "" if nothing. The caller frees. */
static char *meaning_of(const struct model *m, const char *column) {
    size_t len = strlen(column);
    for (const char *line = m->columns; line && *line;) {
        size_t n = strcspn(line, "\n");
        if (n > len && strncmp(line, column, len) == 0 && line[len] == ' ') {
            size_t blanks = strspn(line + len, " ");
            return xstrndup(line + len + blanks, n - len - blanks);
        }
        line += n + (line[n] == '\n');
    }
    return xstrdup("");
}

static void print_model(const struct model *m, const struct table_def *def) {
    printf("\n## %s\n\n%s\n\nMade by [%s](../%s) from %s; partitioned by %s; one row for each ",
           m->name, m->description, m->file, m->file, m->inputs, def->partition_by);
    for (size_t i = 0; i < m->n_grain; i++)
        printf("%s%s", i == 0 ? "" : i + 1 == m->n_grain ? " and " : ", ", m->grain[i]);
    printf(".\n\n| column | type | meaning |\n|---|---|---|\n");
    for (size_t i = 0; i < def->n_columns; i++) {
        _cleanup_(freep) char *meaning = meaning_of(m, def->columns[i].name);
        printf("| `%s` | %s | %s |\n", def->columns[i].name, column_type_sql(def->columns[i].type),
               meaning);
    }
}

static int print_all(struct engine *en, struct err *e) {
    struct models ms;
    int r = models_load(NULL, &ms, e);
    if (r < 0)
        return r;
    for (size_t i = 0; r == 0 && i < ms.n; i++) {
        struct gold_columns *c;
        r = gold_columns_find(en, &ms.v[i], &c, e);
        if (r < 0)
            break;
        print_model(&ms.v[i], &c->def);
        gold_columns_free(c);
    }
    models_release(&ms);
    return r;
}

/* The engine wants a folder, though nothing is spilled. */
int docs_models(struct err *e) {
    const char *tmp = getenv("TMPDIR");
    _cleanup_(freep) char *dir = xasprintf("%s/clickmill-XXXXXX", tmp && *tmp ? tmp : "/tmp");
    struct engine *en = NULL;
    if (!mkdtemp(dir))
        return err_sys(e, ERR_STORAGE, errno, "cannot make the folder %s", dir);
    const struct engine_options o = {.threads = 1, .memory_bytes = 256 * MIB, .temp_dir = dir};
    int r = engine_open("duckdb", &o, &en, e);
    fputs(beginning, stdout);
    if (r == 0)
        r = print_all(en, e);
    fputs(own_models, stdout);
    engine_free(en);
    fs_remove_tree(dir);
    return r;
}
