/* SPDX-License-Identifier: Apache-2.0 */
/* Options of every type in every spelling, operands in their order, and errors that name the option. */
#include "base/opt.h"

#include "base/helper.h"

struct opts {
    bool once, dry;
    const char *from;
    struct opt_list set;
    int64_t events, every;
    double late;
};

static const struct opt options[] = {
    {"once", NULL, OPT_FLAG, offsetof(struct opts, once), "Once.", 0, 0},
    {"from", "FILE", OPT_TEXT, offsetof(struct opts, from), "File.", 0, 0},
    {"events", "N", OPT_INT, offsetof(struct opts, events), "How many.", 1, 1000},
    {"every", "DURATION", OPT_DURATION, offsetof(struct opts, every), "Pause.", 1, 86400000},
    {"late", "P", OPT_RATIO, offsetof(struct opts, late), "Share.", 0, 0},
    {0},
};

/* The second table: of the program, not of the verb. */
static const struct opt globals[] = {
    {"c", "KEY=VALUE", OPT_LIST, offsetof(struct opts, set), "Set.", 0, 0},
    {"n", NULL, OPT_FLAG, offsetof(struct opts, dry), "Dry.", 0, 0},
    {0},
};

enum { MAX_ARGS = 80 };

/* Splits at '|', parses into *o; operands go to args. */
static int parse(const char *line, bool stop_at_word, struct opts *o, char *args[MAX_ARGS],
                 int *ret_n, struct err *e) {
    static char copy[2000];
    snprintf(copy, sizeof copy, "%s", line);
    int n = 0;
    for (char *rest = copy, *word; *line && (word = strsep(&rest, "|"));)
        args[n++] = word;
    *o = (struct opts){0};
    *e = (struct err){0};
    *ret_n = -1;
    struct opt_table tables[] = {{options, o}, {globals, o}};
    return opt_parse(tables, ARRAY_LEN(tables), stop_at_word, args, n, ret_n, e);
}

/* All fields as one text. */
static char *shown(const struct opts *o) {
    struct buf b = BUF_INIT(4000);
    buf_addf(&b, "%s%s", o->once ? "once " : "", o->dry ? "dry " : "");
    if (o->from)
        buf_addf(&b, "from=%s ", o->from);
    for (size_t i = 0; i < o->set.n; i++)
        buf_addf(&b, "c=%s ", o->set.v[i]);
    if (o->events || o->every)
        buf_addf(&b, "%lld/%lld ", (long long)o->events, (long long)o->every);
    if (o->late > 0)
        buf_addf(&b, "%g ", o->late);
    return buf_detach(&b);
}

static void every_spelling_is_read(void **state ATTR_UNUSED) {
    static const char *const cases[][2] = {
        {"", ""},
        {"--once", "once "},
        {"--once|--once", "once "},
        {"--from|a", "from=a "},
        {"--from=a", "from=a "},
        {"--from=", "from= "},
        {"--from=a=b", "from=a=b "},
        {"--from=a|--from|b", "from=b "},
        {"--from|--once", "from=--once "},
        {"--from|--", "from=-- "},
        {"--events=1|--every=5m", "1/300000 "},
        {"--events|1000|--every|10s", "1000/10000 "},
        {"--late=0.25", "0.25 "},
        {"-c|a=1", "c=a=1 "},
        {"-ca=1", "c=a=1 "},
        {"-ca=1|-c|b=2|-cc", "c=a=1 c=b=2 c=c "},
        {"-c|", "c= "},
        {"-c|-n", "c=-n "},
        {"-n|--once|-cx", "once dry c=x "},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct opts o;
        char *args[MAX_ARGS];
        struct err e;
        int n;
        assert_ok(parse(cases[i][0], false, &o, args, &n, &e), &e);
        _cleanup_(freep) char *got = shown(&o);
        assert_string_equal(got, cases[i][1]);
        assert_int_equal(n, 0);
    }
}

static void mistakes_are_named(void **state ATTR_UNUSED) {
    static const char *const cases[][3] = {
        {"--evnts=5", "unknown option '--evnts=5'", "the nearest is --events; --help lists all"},
        {"--onc=xevery", "unknown option '--onc=xevery'",
         "the nearest is --once; --help lists all"},
        {"--onc", "unknown option '--onc'", "the nearest is --once; --help lists all"},
        {"--form|x", "unknown option '--form'", "the nearest is --from; --help lists all"},
        {"--ever=123456789", "unknown option '--ever=123456789'",
         "the nearest is --every; --help lists all"},
        {"--even", "unknown option '--even'", "the nearest is --events; --help lists all"},
        {"-x", "unknown option '-x'", "the nearest is -c; --help lists all"},
        {"-once", "unknown option '-once'", "the nearest is --once; --help lists all"},
        {"--c=a", "unknown option '--c=a'", "the nearest is -c; --help lists all"},
        {"--=a", "unknown option '--=a'", NULL},
        {"---once", "unknown option '---once'", "the nearest is --once; --help lists all"},
        {"--once=1", "--once takes no value", ""},
        {"-nx", "-n takes no value", ""},
        {"--from", "--from needs a value: FILE", ""},
        {"a|-c", "-c needs a value: KEY=VALUE", ""},
        {"--events=0", "--events: '0' is out of range: 1 to 1000", ""},
        {"--events|1001", "--events: '1001' is out of range: 1 to 1000", ""},
        {"--events=", "--events: '' is no whole number", ""},
        {"--events= 5", "--events: ' 5' is no whole number", ""},
        {"--every=5",
         "--every: '5' is no duration such as 500ms, 10s, 5m, 1h or 7d: it has no unit", ""},
        {"--every=2x", "--every: '2x' is no duration such as 500ms, 10s, 5m, 1h or 7d", ""},
        {"--late=1.5", "--late: '1.5' is no number from 0 to 1", ""},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct opts o;
        char *args[MAX_ARGS];
        struct err e;
        int n;
        assert_int_equal(parse(cases[i][0], false, &o, args, &n, &e), ERR_USAGE);
        assert_int_equal(e.code, ERR_USAGE);
        assert_string_equal(e.msg, cases[i][1]);
        if (cases[i][2])
            assert_string_equal(e.hint, cases[i][2]);
        assert_int_equal(n, -1);
    }
}

static char *joined(char **args, int n) {
    struct buf b = BUF_INIT(4000);
    for (int i = 0; i < n; i++)
        buf_addf(&b, "%s%s", i ? "|" : "", args[i]);
    return buf_detach(&b);
}

static void operands_keep_their_order(void **state ATTR_UNUSED) {
    static const char *const cases[][2] = {
        {"a", "a"},
        {"a|--once|b|-c|x=1|c", "a|b|c"},
        {"--from|f|a|--events=3|b", "a|b"},
        {"-", "-"},
        {"a||b", "a||b"},
        {"--|--once|-c|--", "--once|-c|--"},
        {"a|--|b|--from", "a|b|--from"},
        {"--once|--", ""},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct opts o;
        char *args[MAX_ARGS];
        struct err e;
        int n;
        assert_ok(parse(cases[i][0], false, &o, args, &n, &e), &e);
        _cleanup_(freep) char *got = joined(args, n);
        assert_string_equal(got, cases[i][1]);
    }
}

static void reading_stops_at_the_verb(void **state ATTR_UNUSED) {
    static const struct {
        const char *line;
        int at;
        const char *rest, *options;
    } cases[] = {{"", 0, "", ""},
                 {"run", 0, "run", ""},
                 {"-c|a=1|run|--nonsense|-c", 2, "run|--nonsense|-c", "c=a=1 "},
                 {"-ca=1|--once", 2, "", "once c=a=1 "},
                 {"--once|--|run|x", 2, "run|x", "once "},
                 {"--|--once", 1, "--once", ""},
                 {"--", 1, "", ""},
                 {"-|--once", 0, "-|--once", ""}};
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct opts o;
        char *args[MAX_ARGS];
        struct err e;
        int at, words = *cases[i].line != '\0';
        for (const char *p = cases[i].line; *p; p++)
            words += *p == '|';
        assert_ok(parse(cases[i].line, true, &o, args, &at, &e), &e);
        assert_int_equal(at, cases[i].at);
        _cleanup_(freep) char *rest = joined(args + at, words - at), *got = shown(&o);
        assert_string_equal(rest, cases[i].rest);
        assert_string_equal(got, cases[i].options);
    }
}

static void a_list_has_an_end(void **state ATTR_UNUSED) {
    struct buf line = BUF_INIT(1000);
    const size_t room = ARRAY_LEN(((struct opt_list *)NULL)->v);
    for (size_t i = 0; i <= room; i++) {
        struct opts o;
        char *args[MAX_ARGS];
        struct err e;
        int n, r = parse(buf_str(&line), false, &o, args, &n, &e);
        assert_int_equal(r, 0);
        assert_int_equal(o.set.n, i);
        buf_addf(&line, "%s-cx", i ? "|" : "");
        if (i == room) {
            assert_int_equal(parse(buf_str(&line), false, &o, args, &n, &e), ERR_USAGE);
            assert_string_equal(e.msg, "-c: given more than 64 times");
        }
    }
    buf_release(&line);
}

static void help_names_each_option(void **state ATTR_UNUSED) {
    struct buf b = BUF_INIT(1000);
    opt_help(options, &b);
    opt_help(globals, &b);
    assert_string_equal(b.data, "  --once                 Once.\n"
                                "  --from FILE            File.\n"
                                "  --events N             How many.\n"
                                "  --every DURATION       Pause.\n"
                                "  --late P               Share.\n"
                                "  -c KEY=VALUE           Set.\n"
                                "  -n                     Dry.\n");
    buf_release(&b);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_spelling_is_read),    cmocka_unit_test(mistakes_are_named),
        cmocka_unit_test(operands_keep_their_order), cmocka_unit_test(reading_stops_at_the_verb),
        cmocka_unit_test(a_list_has_an_end),         cmocka_unit_test(help_names_each_option),
    };
    return cmocka_run_group_tests_name("opt", tests, NULL, NULL);
}
