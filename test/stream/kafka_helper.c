/* SPDX-License-Identifier: Apache-2.0 */
#include "stream/kafka_helper.h"

#include <unistd.h>

#include "base/mem.h"
#include "stream/conformance.h"

/* All the script prints. It runs in the source folder, or CM_SOURCE_ROOT. */
static char *script(const char *verb, const char *folder) {
    const char *root = getenv("CM_SOURCE_ROOT");
    _cleanup_(freep) char *command = xasprintf("KAFKA_OWNER=%d '%s/test/services/kafka.sh' %s '%s'",
                                               (int)getpid(), root ? root : ".", verb, folder);
    struct buf text = BUF_INIT(65536);
    char part[4096];
    FILE *f = popen(command, "r");
    while (f && fgets(part, sizeof part, f))
        buf_add_str(&text, part);
    if (!f || pclose(f) != 0) {
        /* Without a broker these tests prove nothing, so they do not pass. */
        fprintf(stderr, "%s failed\n", command);
        exit(1);
    }
    return buf_detach(&text);
}

/* The value of a line NAME=value or NAME='value'. The caller frees. */
static char *value_of(const char *text, const char *name) {
    const char *line = strstr(text, name);
    assert_non_null(line);
    const char *v = strchr(line, '=') + 1;
    return *v == '\'' ? xstrndup(v + 1, strcspn(v + 1, "'")) : xstrndup(v, strcspn(v, "\n"));
}

void kafka_server_new(struct kafka_server *s) {
    s->folder = temp_folder();
    free(script("start", s->folder));
    _cleanup_(freep) char *env = script("env", s->folder);
    s->plain = value_of(env, "TEST_KAFKA=");
    s->sasl = value_of(env, "TEST_KAFKA_SASL=");
    s->tls = value_of(env, "TEST_KAFKA_TLS=");
    s->ca = value_of(env, "TEST_KAFKA_CA=");
    s->password = value_of(env, "TEST_KAFKA_PASSWORD=");
}

void kafka_server_do(const struct kafka_server *s, const char *verb) {
    free(script(verb, s->folder));
}

void kafka_server_free(struct kafka_server *s) {
    kafka_server_do(s, "stop");
    remove_folder(s->folder);
    free(s->plain);
    free(s->sasl);
    free(s->tls);
    free(s->ca);
    free(s->password);
    *s = (struct kafka_server){0};
}

char *kafka_unique(const char *prefix) {
    static int n;
    return xasprintf("%s-%d-%d", prefix, (int)getpid(), ++n);
}

int kafka_stream_try(const char *broker, const struct stream_options *o,
                     const char *const *properties, struct stream **ret, struct err *e) {
    struct stream_options with = *o;
    struct stream_property v[32];
    char *copies[32];
    size_t n = 0;
    for (; properties && properties[n]; n++) {
        copies[n] = xstrdup(properties[n]);
        char *eq = strchr(copies[n], '=');
        *eq = '\0';
        v[n] = (struct stream_property){copies[n], eq + 1};
    }
    with.properties = v;
    with.n_properties = n;
    _cleanup_(freep) char *url = xasprintf("kafka://%s", broker);
    int r = stream_open(url, &with, ret, e);
    while (n > 0)
        free(copies[--n]);
    return r;
}

struct stream *kafka_stream(const char *broker, const struct stream_options *o,
                            const char *const *properties) {
    struct stream *s;
    struct err e;
    assert_ok(kafka_stream_try(broker, o, properties, &s, &e), &e);
    return s;
}

/* --- the contract --- */

static const char *contract_broker;

static void *cluster_new(void) {
    return kafka_unique("");
}

static int cluster_open(void *cluster, const struct stream_options *o, struct stream **ret,
                        struct err *e) {
    static const char *const properties[] = {"message.max.bytes=8388608", NULL};
    _cleanup_(freep) char *topic = xasprintf("%s%s", o->topic, (char *)cluster);
    _cleanup_(freep) char *app = xasprintf("%s%s", o->app, (char *)cluster);
    struct stream_options mine = *o;
    mine.topic = topic;
    mine.app = app;
    return kafka_stream_try(contract_broker, &mine, properties, ret, e);
}

int kafka_conformance(const char *broker) {
    static const struct stream_driver kafka = {"kafka", cluster_new, cluster_open, free,
                                               .one_cluster = true};
    contract_broker = broker;
    return stream_conformance(&kafka);
}
