/* SPDX-License-Identifier: Apache-2.0 */
#include "base/log.h"

#include <errno.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/json.h"
#include "base/limits.h"

static enum log_level lowest = LOG_INFO;
static bool json_lines;

static const char *const level_names[] = {"debug", "info", "warn", "error"};

void log_setup(enum log_level from, bool as_json) {
    lowest = from;
    json_lines = as_json;
}

/* How much of a text is logged; a character is not cut in two. */
static size_t text_len(const char *s) {
    size_t n = strnlen(s, LIMIT_LOG_TEXT);
    while (n == LIMIT_LOG_TEXT && n > 0 && (s[n] & 0xC0) == 0x80)
        n--;
    return n;
}

static void put_json(struct buf *b, enum log_level level, const char *ts, const char *msg,
                     const struct log_field *f) {
    struct json_out o = {.b = b};
    json_obj(&o, NULL);
    json_put(&o, "ts", ts);
    json_put(&o, "level", level_names[level]);
    json_put_n(&o, "msg", msg, text_len(msg));
    for (; f->key; f++) {
        const char *s = f->s ? f->s : "";
        if (f->type == LOG_STR)
            json_put_n(&o, f->key, s, text_len(s));
        else if (f->type == LOG_INT)
            json_put_int(&o, f->key, f->i);
        else
            json_put_double(&o, f->key, f->d);
    }
    json_obj_end(&o);
}

/* Quoted where a reader splitting at blanks would go wrong, or a terminal be misled. */
static void put_text(struct buf *b, const char *s) {
    size_t n = text_len(s), bare = 0;
    while (bare < n && s[bare] > ' ' && s[bare] < 0x7F && !strchr("\"=\\", s[bare]))
        bare++;
    if (n > 0 && bare == n)
        buf_add(b, s, n);
    else
        json_put_str(b, s, n);
}

static void put_plain(struct buf *b, enum log_level level, const char *ts, const char *msg,
                      const struct log_field *f) {
    buf_addf(b, "ts=%s level=%s msg=", ts, level_names[level]);
    put_text(b, msg);
    for (; f->key; f++) {
        buf_addf(b, " %s=", f->key);
        if (f->type == LOG_STR)
            put_text(b, f->s ? f->s : "");
        else if (f->type == LOG_INT)
            buf_addf(b, "%lld", (long long)f->i);
        else
            buf_addf(b, "%.6g", f->d);
    }
}

void log_write(enum log_level level, const char *msg, const struct log_field *fields) {
    if (level < lowest)
        return;
    char ts[TIME_TEXT];
    time_format_ms(clock_now_us(), ts);
    struct buf line = BUF_INIT(MIB);
    if (json_lines)
        put_json(&line, level, ts, msg, fields);
    else
        put_plain(&line, level, ts, msg, fields);
    buf_add_char(&line, '\n');
    while (write(STDERR_FILENO, line.data, line.len) < 0 && errno == EINTR) {
    }
    buf_release(&line);
}

void log_err(enum log_level level, const char *msg, const struct err *e) {
    if (e->hint[0])
        log_write(level, msg, LOG_FIELDS(F_STR("error", e->msg), F_STR("hint", e->hint)));
    else
        log_write(level, msg, LOG_FIELDS(F_STR("error", e->msg)));
}
