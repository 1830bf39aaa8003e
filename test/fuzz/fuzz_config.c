/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Any bytes as clickmill.ini, and their first lines as -c and as environment: it loads, or there is
 * an error with words; and what loaded can be shown with its passwords masked.
 */
#include <assert.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/config.h"
#include "base/mem.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static void load(const struct config_source *src) {
    struct config *cfg = NULL;
    struct err e = {0};
    int r = config_load(src, &cfg, &e);
    assert(r == 0 ? cfg != NULL : r == ERR_CONFIG && e.msg[0] && !cfg);
    for (int i = 0; r == 0 && i < CFG_N; i++) {
        assert(config_text(cfg, (enum config_id)i) && config_origin(cfg, (enum config_id)i));
        free(url_mask(config_text(cfg, (enum config_id)i)));
    }
    config_free(cfg);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n) {
    char path[64];
    int fd = memfd_create("ini", MFD_CLOEXEC);
    assert(fd >= 0 && write(fd, data, n) == (ssize_t)n);
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    load(&(struct config_source){.file = path});
    close(fd);

    char *text = xstrndup((const char *)data, n), *rest = text, *line;
    for (int i = 0; i < 4 && (line = strsep(&rest, "\n")); i++) {
        const char *set[] = {line};
        char *env[] = {line, NULL};
        load(&(struct config_source){.file = "/dev/null", .set = set, .n_set = 1, .environ = env});
        free(url_mask(line));
    }
    free(text);
    return 0;
}
