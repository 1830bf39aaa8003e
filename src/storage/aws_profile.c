/* SPDX-License-Identifier: Apache-2.0 */
#include "storage/aws_profile.h"

#include <ctype.h>
#include <errno.h>

#include "base/limits.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/util.h"

void secret_free(char *s) {
    if (s)
        explicit_bzero(s, strlen(s));
    free(s);
}

void aws_profile_release(struct aws_profile *p) {
    free(p->key_id);
    secret_free(p->secret);
    secret_free(p->token);
    free(p->region);
    free(p->endpoint);
    free(p->source);
    *p = (struct aws_profile){0};
}

/* "[name]", and "[profile name]" in the config file, where [default] stands alone. */
static bool is_section_of(char *line, const char *name, bool config) {
    char *end = strchr(line, ']');
    if (!end)
        return false;
    *end = '\0';
    char *section = text_trim(line + 1);
    bool prefixed = strncmp(section, "profile", 7) == 0 && isspace((unsigned char)section[7]);
    if (config && prefixed)
        return strcmp(text_trim(section + 8), name) == 0;
    return strcmp(section, name) == 0 && (!config || strcmp(name, "default") == 0);
}

static void set(char **ret, const char *value) {
    if (!*ret && *value)
        *ret = xstrdup(value);
}

static void take_setting(struct aws_profile *p, char *line) {
    static const char *const sources[] = {"role_arn", "credential_process", "sso_session",
                                          "sso_start_url", "web_identity_token_file"};
    char *eq = strchr(line, '=');
    if (!eq)
        return;
    *eq = '\0';
    const char *name = text_trim(line), *value = text_trim(eq + 1);
    if (strcmp(name, "aws_access_key_id") == 0)
        set(&p->key_id, value);
    else if (strcmp(name, "aws_secret_access_key") == 0)
        set(&p->secret, value);
    else if (strcmp(name, "aws_session_token") == 0)
        set(&p->token, value);
    else if (strcmp(name, "region") == 0)
        set(&p->region, value);
    else if (strcmp(name, "endpoint_url") == 0)
        set(&p->endpoint, value);
    for (size_t i = 0; i < ARRAY_LEN(sources); i++)
        if (strcmp(name, sources[i]) == 0)
            set(&p->source, name);
}

/* A file under way: of which profile, and whether the lines are its own just now. */
struct reader {
    const char *name;
    bool config; /* ~/.aws/config, not …/credentials */
    bool ours;
    struct aws_profile *p;
};

static void take_line(struct reader *rd, char *line) {
    bool nested = *line == ' ' || *line == '\t'; /* belongs to the setting above it */
    char *text = text_trim(line);
    if (!*text || *text == '#' || *text == ';' || nested)
        return;
    if (*text == '[') {
        rd->ours = is_section_of(text, rd->name, rd->config);
        rd->p->found |= rd->ours;
    } else if (rd->ours) {
        take_setting(rd->p, text);
    }
}

/* ret NULL: there is no such file, or nobody named what it might hold and we may not look. */
static int open_file(const char *path, bool named, FILE **ret, struct err *e) {
    *ret = fopen(path, "re");
    if (*ret || errno == ENOENT || errno == ENOTDIR)
        return 0;
    if (errno != EACCES || named)
        return err_sys(e, ERR_STORAGE, errno, "cannot open the AWS profiles in %s", path);
    log_info("the AWS profiles may not be read: taken as if there were none", F_STR("file", path));
    return 0;
}

static int read_file(const char *path, bool named, struct reader *rd, struct err *e) {
    FILE *f;
    int r = open_file(path, named, &f, e);
    if (r || !f)
        return r;
    char *line = NULL;
    size_t cap = 0;
    errno = 0;
    while (getline(&line, &cap, f) >= 0)
        take_line(rd, line);
    int failed = ferror(f) ? errno : 0;
    if (line)
        explicit_bzero(line, cap);
    free(line);
    fclose(f);
    return failed ? err_sys(e, ERR_STORAGE, failed, "cannot read the AWS profiles in %s", path) : 0;
}

/* Reads the file the variable names, or ~/.aws/<file>. */
static int read_one(const char *variable, const char *file, bool named, struct reader *rd,
                    struct err *e) {
    const char *given = getenv(variable), *home = getenv("HOME");
    bool is_given = given && *given;
    _cleanup_(freep) char *path =
        is_given ? xstrdup(given) : xasprintf("%s/.aws/%s", home ? home : "", file);
    return read_file(path, named || is_given, rd, e);
}

int aws_profile_read(const char *name, struct aws_profile *ret, struct err *e) {
    struct aws_profile p = {0};
    struct reader credentials = {.name = name ? name : "default", .p = &p},
                  config = {.name = credentials.name, .config = true, .p = &p};
    int r = read_one("AWS_SHARED_CREDENTIALS_FILE", "credentials", name, &credentials, e);
    if (r == 0)
        r = read_one("AWS_CONFIG_FILE", "config", name, &config, e);
    if (r)
        aws_profile_release(&p);
    else
        *ret = p;
    return r;
}
