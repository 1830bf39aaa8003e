/* SPDX-License-Identifier: Apache-2.0 */
#include "storage/aws_profile.h"

#include <ctype.h>
#include <errno.h>

#include "base/limits.h"
#include "base/mem.h"

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

/* Cuts outer blanks, in place. */
static char *trim(char *s) {
    s += strspn(s, " \t\r\n");
    size_t n = strlen(s);
    while (n && strchr(" \t\r\n", s[n - 1]))
        s[--n] = '\0';
    return s;
}

/* "[name]", and "[profile name]" in the config file, where [default] stands alone. */
static bool is_section_of(char *line, const char *name, bool config) {
    char *end = strchr(line, ']');
    if (!end)
        return false;
    *end = '\0';
    char *section = trim(line + 1);
    bool prefixed = strncmp(section, "profile", 7) == 0 && isspace((unsigned char)section[7]);
    if (config && prefixed)
        return strcmp(trim(section + 8), name) == 0;
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
    const char *name = trim(line), *value = trim(eq + 1);
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

static int read_file(const char *path, const char *name, bool config, struct aws_profile *p,
                     struct err *e) {
    FILE *f = fopen(path, "re");
    if (!f && (errno == ENOENT || errno == ENOTDIR))
        return 0;
    if (!f)
        return err_sys(e, ERR_STORAGE, errno, "cannot open the AWS profiles in %s", path);
    char *line = NULL;
    size_t cap = 0;
    bool ours = false;
    errno = 0;
    while (getline(&line, &cap, f) >= 0) {
        bool nested = *line == ' ' || *line == '\t'; /* belongs to the setting above it */
        char *text = trim(line);
        if (!*text || *text == '#' || *text == ';' || nested)
            continue;
        if (*text == '[') {
            ours = is_section_of(text, name, config);
            p->found |= ours;
        } else if (ours) {
            take_setting(p, text);
        }
    }
    int failed = ferror(f) ? errno : 0;
    if (line)
        explicit_bzero(line, cap);
    free(line);
    fclose(f);
    return failed ? err_sys(e, ERR_STORAGE, failed, "cannot read the AWS profiles in %s", path) : 0;
}

/* The file the variable names, or ~/.aws/<name>. The caller frees. */
static char *file_of(const char *variable, const char *name) {
    const char *path = getenv(variable), *home = getenv("HOME");
    return path && *path ? xstrdup(path) : xasprintf("%s/.aws/%s", home ? home : "", name);
}

int aws_profile_read(const char *name, struct aws_profile *ret, struct err *e) {
    struct aws_profile p = {0};
    _cleanup_(freep) char *credentials = file_of("AWS_SHARED_CREDENTIALS_FILE", "credentials");
    _cleanup_(freep) char *config = file_of("AWS_CONFIG_FILE", "config");
    int r = read_file(credentials, name, false, &p, e);
    if (r == 0)
        r = read_file(config, name, true, &p, e);
    if (r)
        aws_profile_release(&p);
    else
        *ret = p;
    return r;
}
