/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/models.h"

#include <assert.h>

#include "base/limits.h"
#include "base/mem.h"

static const char *find_text(const char *name) {
    for (size_t i = 0; i < model_files_n; i++)
        if (strcmp(model_files[i].name, name) == 0)
            return model_files[i].text;
    return NULL;
}

const char *model_text(const char *name) {
    const char *text = find_text(name);
    assert(text && "a model that is not built in");
    return text;
}

const char *model_text_for(const char *engine, const char *name) {
    const char *dot = strrchr(name, '.');
    _cleanup_(freep) char *own = xasprintf("%.*s.%s%s", (int)(dot - name), name, engine, dot);
    const char *text = find_text(own);
    return text ? text : model_text(name);
}

static const struct model_var *var_find(const struct model_var *vars, size_t n, const char *name,
                                        size_t len) {
    for (size_t i = 0; i < n; i++)
        if (strlen(vars[i].name) == len && memcmp(vars[i].name, name, len) == 0)
            return &vars[i];
    return NULL;
}

/* ${…} in a comment line documents the variable and stays. */
static bool in_comment(const char *text, const char *at) {
    while (at > text && at[-1] != '\n')
        at--;
    return at[0] == '-' && at[1] == '-';
}

char *model_render(const char *model, const struct model_var *vars, size_t n) {
    const char *text = model_text(model), *from = text;
    struct buf out = BUF_INIT(LIMIT_SQL);
    size_t used = 0;
    for (const char *at = strstr(from, "${"); at; at = strstr(at + 2, "${")) {
        if (in_comment(text, at))
            continue;
        const char *end = strchr(at, '}');
        const struct model_var *v = end ? var_find(vars, n, at + 2, (size_t)(end - at - 2)) : NULL;
        assert(v && "a model variable that is not given");
        buf_add(&out, from, (size_t)(at - from));
        buf_add_str(&out, v->value);
        from = end + 1;
        used++;
    }
    assert(used >= n && "a model variable that is not used");
    buf_add_str(&out, from);
    assert(!out.overflow);
    return buf_detach(&out);
}

/*
 * One line of the list as a pattern. What means something to a pattern is put in brackets: unlike
 * a backslash these read the same in every SQL dialect's texts.
 */
static int bot_add(struct buf *out, const char *line, size_t len, struct err *e) {
    for (size_t i = 0; i < len; i++) {
        unsigned char c = (unsigned char)line[i];
        bool plain =
            (c >= '0' && c <= '9') || ((c | 0x20) >= 'a' && (c | 0x20) <= 'z') || c >= 0x80;
        if (!plain && !strchr(" -_./:+();,@=", c)) {
            err_set(e, ERR_CONFIG, "the list of bots: '%.*s' holds the character '%c'", (int)len,
                    line, c);
            return err_hint(e, "letters, digits, blanks and -_./:+();,@= are allowed");
        }
        if (strchr(".+()", c) && c)
            buf_addf(out, "[%c]", c);
        else
            buf_add_char(out, (char)c);
    }
    return 0;
}

char *bots_pattern(const char *list, struct err *e) {
    struct buf out = BUF_INIT(LIMIT_CONFIG);
    buf_add_str(&out, "(?i)(");
    size_t lines = 0;
    for (const char *line = list; *line;) {
        size_t len = strcspn(line, "\r\n");
        if (len > 0 && *line != '#') {
            if (lines++)
                buf_add_char(&out, '|');
            if (bot_add(&out, line, len, e) < 0)
                goto fail;
        }
        line += len;
        line += strspn(line, "\r\n");
    }
    buf_add_char(&out, ')');
    if (lines == 0)
        err_set(e, ERR_CONFIG, "the list of bots is empty");
    else if (out.overflow)
        err_set(e, ERR_CONFIG, "the list of bots is longer than %d bytes", LIMIT_CONFIG);
    else
        return buf_detach(&out);
fail:
    buf_release(&out);
    return NULL;
}
