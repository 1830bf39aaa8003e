/* SPDX-License-Identifier: Apache-2.0 */
/* config list: all keys with their meaning; show: the values in force; check: read them and say so. */
#include "cmd/cmd.h"
#include "cmd/out.h"
#include "cmd/parts.h"

struct config_opts {
    bool json;
};

static const struct opt options[] = {
    {"json", NULL, OPT_FLAG, offsetof(struct config_opts, json), "Print the result as JSON.", 0, 0},
    {0},
};

static void list(bool as_json) {
    static const char *const names[] = {"key", "default", "type", "meaning"};
    struct out_table t = {0};
    out_columns(&t, names, NULL, ARRAY_LEN(names));
    for (int i = 0; i < CFG_N; i++) {
        const struct config_key *k = &config_keys[i];
        const char *row[] = {k->name, k->def, k->choices ? k->choices : value_type_name(k->type),
                             k->help};
        out_row(&t, row);
    }
    out_print(&t, as_json);
    out_release(&t);
}

static void show(const struct config *cfg, bool as_json) {
    static const char *const names[] = {"key", "value", "from"};
    struct out_table t = {0};
    out_columns(&t, names, NULL, ARRAY_LEN(names));
    for (int i = 0; i < CFG_N; i++) {
        const char *text = config_text(cfg, (enum config_id)i);
        bool secret = *text && is_secret_name(config_keys[i].name);
        char *masked =
            config_keys[i].type == VALUE_URL ? url_mask(text) : xstrdup(secret ? "****" : text);
        const char *row[] = {config_keys[i].name, masked, config_origin(cfg, (enum config_id)i)};
        out_row(&t, row);
        free(masked);
    }
    size_t n;
    const struct config_property *p = config_properties(cfg, &n);
    for (size_t i = 0; i < n; i++) {
        _cleanup_(freep) char *name = xasprintf("kafka.%s", p[i].name);
        const char *row[] = {name, is_secret_name(name) ? "****" : p[i].value, p[i].origin};
        out_row(&t, row);
    }
    out_print(&t, as_json);
    out_release(&t);
}

static int run(struct cmd *c, struct err *e) {
    bool as_json = ((const struct config_opts *)c->opts)->json;
    if (strcmp(c->args[0], "list") == 0)
        list(as_json);
    else if (strcmp(c->args[0], "show") == 0)
        show(c->cfg, as_json);
    else if (strcmp(c->args[0], "check") == 0) {
        int r = parts_check(c->cfg, e);
        if (r < 0)
            return r;
        puts(as_json ? "{\"ok\":true}" : "the configuration is good");
    } else
        return err_set(e, ERR_USAGE, "config: expected list, show or check, not '%s'", c->args[0]);
    return 0;
}

const struct command cmd_config = {
    .name = "config",
    .operands = "list|show|check",
    .summary = "The configuration: all keys, the values in force, is it good?",
    .options = options,
    .opts_size = sizeof(struct config_opts),
    .min_args = 1,
    .max_args = 1,
    .run = run,
};
