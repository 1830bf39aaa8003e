/* SPDX-License-Identifier: Apache-2.0 */
#include "base/util.h"

#include <ctype.h>
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/eventfd.h>
#include <sys/random.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/value.h"

static void random_bytes(unsigned char *to, size_t len) {
    for (size_t got = 0; got < len;) {
        ssize_t n = getrandom(to + got, len - got, 0);
        if (n < 0 && errno != EINTR)
            abort(); /* a kernel without getrandom is not supported */
        got += n > 0 ? (size_t)n : 0;
    }
}

uint32_t random_below(uint32_t n) {
    unsigned char r[4];
    random_bytes(r, sizeof r);
    uint64_t v = (uint64_t)r[0] << 24 | r[1] << 16 | r[2] << 8 | r[3];
    return (uint32_t)(v * n >> 32);
}

void uuid_make(char out[UUID_TEXT]) {
    unsigned char r[16];
    random_bytes(r, sizeof r);
    r[6] = (unsigned char)((r[6] & 0x0F) | 0x40);
    r[8] = (unsigned char)((r[8] & 0x3F) | 0x80);
    size_t at = 0;
    for (size_t i = 0; i < sizeof r; i++)
        at += (size_t)snprintf(out + at, UUID_TEXT - at,
                               i == 4 || i == 6 || i == 8 || i == 10 ? "-%02x" : "%02x", r[i]);
}

static uint32_t crc_table[256];
static pthread_once_t crc_once = PTHREAD_ONCE_INIT;

static void crc_fill(void) {
    for (uint32_t i = 0; i < 256; i++) {
        uint32_t c = i;
        for (int k = 0; k < 8; k++)
            c = c & 1 ? (c >> 1) ^ 0x82F63B78u : c >> 1;
        crc_table[i] = c;
    }
}

uint32_t crc32c_soft(uint32_t crc, const void *p, size_t n) {
    pthread_once(&crc_once, crc_fill);
    uint32_t c = ~crc;
    for (const unsigned char *at = p; n--; at++)
        c = (c >> 8) ^ crc_table[(c ^ *at) & 0xFF];
    return ~c;
}

#ifdef __x86_64__
__attribute__((target("sse4.2"))) static uint32_t crc_hard(uint32_t c, const unsigned char *p,
                                                           size_t n) {
    uint64_t wide = c;
    for (; n >= 8; n -= 8, p += 8) {
        uint64_t v;
        memcpy(&v, p, 8);
        wide = __builtin_ia32_crc32di(wide, v);
    }
    c = (uint32_t)wide;
    while (n--)
        c = __builtin_ia32_crc32qi(c, *p++);
    return c;
}
#endif

uint32_t crc32c(uint32_t crc, const void *p, size_t n) {
#ifdef __x86_64__
    if (__builtin_cpu_supports("sse4.2"))
        return ~crc_hard(~crc, p, n);
#endif
    return crc32c_soft(crc, p, n);
}

/* Table 3-7 of the Unicode Standard: no overlongs, no surrogates, nothing above U+10FFFF. */
size_t utf8_len(const char *s, size_t n) {
    const unsigned char *p = (const unsigned char *)s;
    if (p[0] < 0x80)
        return 1;
    size_t len = p[0] >= 0xF0 ? 4 : p[0] >= 0xE0 ? 3 : 2;
    if (p[0] < 0xC2 || p[0] > 0xF4 || len > n)
        return 0;
    for (size_t i = 1; i < len; i++)
        if ((p[i] & 0xC0) != 0x80)
            return 0;
    if ((p[0] == 0xE0 && p[1] < 0xA0) || (p[0] == 0xED && p[1] > 0x9F) ||
        (p[0] == 0xF0 && p[1] < 0x90) || (p[0] == 0xF4 && p[1] > 0x8F))
        return 0;
    return len;
}

bool utf8_is_control(const char *s, size_t len) {
    unsigned char c = (unsigned char)s[0];
    return len == 1 ? c < 0x20 || c == 0x7F : len == 2 && c == 0xC2 && (unsigned char)s[1] < 0xA0;
}

char *text_trim(char *s) {
    while (isspace((unsigned char)*s))
        s++;
    size_t n = strlen(s);
    while (n && isspace((unsigned char)s[n - 1]))
        s[--n] = '\0';
    return s;
}

int64_t digits_parse(const char *s) {
    size_t n = strspn(s, "0123456789");
    return n >= 1 && n <= 18 && !s[n] ? strtoll(s, NULL, 10) : -1;
}

static atomic_bool stopping;
static int stop_fd = -1;

void stop_request(void) {
    int saved = errno;
    atomic_store(&stopping, true);
    uint64_t one = 1;
    if (stop_fd >= 0 && write(stop_fd, &one, sizeof one) < 0) {
        /* the flag alone will do */
    }
    errno = saved;
}

static void on_signal(int sig ATTR_UNUSED) {
    stop_request();
}

void stop_on_signals(void) {
    if (stop_fd < 0)
        stop_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    struct sigaction sa = {.sa_handler = on_signal};
    sigemptyset(&sa.sa_mask);
    sigaction(SIGINT, &sa, NULL);
    sigaction(SIGTERM, &sa, NULL);
    signal(SIGPIPE, SIG_IGN);
}

bool stop_requested(void) {
    return atomic_load(&stopping);
}

void stop_reset(void) {
    atomic_store(&stopping, false);
    uint64_t drained;
    if (stop_fd >= 0 && read(stop_fd, &drained, sizeof drained) < 0) {
        /* nothing was pending */
    }
}

bool stop_wait(int ms) {
    int64_t until = clock_mono_ns() + (int64_t)ms * 1000000;
    while (!stop_requested()) {
        int64_t left = (until - clock_mono_ns() + 999999) / 1000000;
        if (left <= 0)
            break;
        struct pollfd p = {.fd = stop_fd, .events = POLLIN};
        poll(&p, stop_fd >= 0 ? 1 : 0, (int)left);
    }
    return stop_requested();
}

/* All of the program's; docs/guarantees.md says where they are. */
static const char *const crash_points[] = {
    "clean.removed",       "commit.after_log",     "commit.before_log",    "engine.published",
    "forget.after_bronze", "forget.after_data",    "forget.after_gold",    "forget.after_silver",
    "gold.after_data",     "hdfs.after_rename",    "hdfs.before_rename",   "ingest.after_data",
    "keys.after_manifest", "keys.before_manifest", "keys.merged",          "load.after_commit",
    "load.before_commit",  "local_append_synced",  "local_append_written", "optimize.after_data",
    "rebuild.after_data",  "rebuild.after_gold",   "rebuild.after_silver", "replay.after_data",
    "run.after_check",     "run.after_gold",       "run.after_load",       "run.after_silver",
    "s3.after_file",       "s3.before_file",       "silver.after_data",    "vacuum.removed",
};

static const char *crash_name; /* one of these; NULL: none */
static atomic_int crash_left;

static const char *find_point(const char *name, size_t n) {
    for (size_t i = 0; i < ARRAY_LEN(crash_points); i++)
        if (strlen(crash_points[i]) == n && strncmp(name, crash_points[i], n) == 0)
            return crash_points[i];
    return NULL;
}

static int no_such_point(const char *what, struct err *e) {
    err_set(e, ERR_CONFIG, "debug.crash_at: there is no point '%s'", what);
    _cleanup_(buf_release) struct buf all = BUF_INIT(sizeof e->hint);
    for (size_t i = 0; i < ARRAY_LEN(crash_points); i++)
        buf_addf(&all, " %s", crash_points[i]);
    return err_hint(e, "there are:%s", buf_str(&all));
}

int crash_at(const char *spec, struct err *e) {
    size_t n = strcspn(spec, ":");
    int64_t count = 1;
    _cleanup_(freep) char *name = xstrndup(spec, n);
    _cleanup_(freep) char *what = xasprintf("debug.crash_at: %s", name);
    const char *point = find_point(spec, n);
    if (spec[n] && value_parse(VALUE_INT, what, spec + n + 1, 1, INT32_MAX, &count, e) < 0)
        return e->code;
    if (!point && *spec)
        return no_such_point(name, e);
    crash_name = point;
    atomic_store(&crash_left, (int)count);
    return 0;
}

void crash_point(const char *name) {
    if (crash_name && strcmp(name, crash_name) == 0 && atomic_fetch_sub(&crash_left, 1) == 1)
        raise(SIGKILL);
}
