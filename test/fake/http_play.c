/* SPDX-License-Identifier: Apache-2.0 */
#include "fake/http_play.h"

#include <assert.h>
#include <pthread.h>
#include <string.h>

enum { RULES = 32, ANSWERS = 8, REQUESTS = 1000 };

struct rule {
    const char *method, *target;
    struct http_script answers[ANSWERS];
    int n, used;
    void (*hook)(void *arg);
    void *hook_arg;
};

struct http_play {
    struct http_server *server;
    pthread_mutex_t lock; /* guards the rest */
    struct rule rules[RULES];
    int n_rules;
    char *heads[REQUESTS];
    int n_heads;
};

/* "PUT /shop-lake/lake/t/0 HTTP/1.1" is a PUT whose target holds "/t/". */
static bool matches(const char *head, const char *method, const char *target) {
    size_t n = method ? strlen(method) : strcspn(head, " ");
    if ((method && strncmp(head, method, n) != 0) || head[n] != ' ')
        return false;
    _cleanup_(freep) char *first = xstrndup(head + n, strcspn(head + n, "\r\n"));
    return strstr(first, target);
}

static const struct http_script *choose(void *arg, const char *request) {
    static const struct http_script unknown = {
        .answer = "HTTP/1.1 418 Unplayed\r\nContent-Length: 0\r\n\r\n"};
    struct http_play *p = arg;
    const struct http_script *script = &unknown;
    void (*hook)(void *) = NULL;
    void *hook_arg = NULL;
    pthread_mutex_lock(&p->lock);
    if (p->n_heads < REQUESTS)
        p->heads[p->n_heads++] = xstrdup(request);
    for (int i = p->n_rules - 1; i >= 0 && script == &unknown; i--) {
        struct rule *r = &p->rules[i];
        if (!matches(request, r->method, r->target))
            continue;
        script = &r->answers[MIN(r->used, r->n - 1)];
        r->used++;
        hook = r->hook;
        hook_arg = r->hook_arg;
    }
    pthread_mutex_unlock(&p->lock);
    if (hook)
        hook(hook_arg);
    return script;
}

struct http_play *http_play_new(void) {
    struct http_play *p = xcalloc(1, sizeof *p);
    pthread_mutex_init(&p->lock, NULL);
    p->server = http_server_start_choice(choose, p);
    return p;
}

int http_play_port(const struct http_play *p) {
    return http_server_port(p->server);
}

void http_play_stop(struct http_play *p) {
    http_server_stop(p->server);
}

void http_play_free(struct http_play *p) {
    http_server_free(p->server);
    for (int i = 0; i < p->n_rules; i++)
        for (int k = 0; k < p->rules[i].n; k++)
            free((char *)(uintptr_t)p->rules[i].answers[k].answer);
    for (int i = 0; i < p->n_heads; i++)
        free(p->heads[i]);
    pthread_mutex_destroy(&p->lock);
    free(p);
}

/* ---- rules ---- */

static struct http_script script_of(int status, const char *headers, const char *body) {
    size_t len = strlen(body);
    return (struct http_script){
        .answer = xasprintf("HTTP/1.1 %d Played\r\n%sContent-Length: %zu\r\n\r\n%s", status,
                            headers, len, body),
        .keep = true};
}

static struct rule *new_rule(struct http_play *p, const char *method, const char *target) {
    assert(p->n_rules < RULES);
    struct rule *r = &p->rules[p->n_rules++];
    *r = (struct rule){.method = method, .target = target};
    return r;
}

static void add(struct rule *r, struct http_script script) {
    assert(r->n < ANSWERS);
    script.len = strlen(script.answer);
    r->answers[r->n++] = script;
}

void http_play_answer(struct http_play *p, const char *method, const char *target, int status,
                      const char *headers, const char *body) {
    pthread_mutex_lock(&p->lock);
    add(new_rule(p, method, target), script_of(status, headers, body));
    pthread_mutex_unlock(&p->lock);
}

void http_play_answer_head(struct http_play *p, const char *target, const char *headers,
                           int64_t size) {
    pthread_mutex_lock(&p->lock);
    struct http_script script = {
        .answer = xasprintf("HTTP/1.1 200 Played\r\n%sContent-Length: %lld\r\n\r\n", headers,
                            (long long)size),
        .keep = true};
    add(new_rule(p, "HEAD", target), script);
    pthread_mutex_unlock(&p->lock);
}

void http_play_then(struct http_play *p, int status, const char *headers, const char *body) {
    pthread_mutex_lock(&p->lock);
    add(&p->rules[p->n_rules - 1], script_of(status, headers, body));
    pthread_mutex_unlock(&p->lock);
}

void http_play_reset(struct http_play *p, const char *method, const char *target) {
    pthread_mutex_lock(&p->lock);
    struct http_script script = {.answer = xstrdup("H"), .reset = true};
    add(new_rule(p, method, target), script);
    pthread_mutex_unlock(&p->lock);
}

void http_play_cut(struct http_play *p, const char *method, const char *target, const char *body) {
    pthread_mutex_lock(&p->lock);
    struct http_script script = script_of(200, "", body);
    ((char *)(uintptr_t)script.answer)[strlen(script.answer) - strlen(body) / 2] = '\0';
    script.keep = false;
    add(new_rule(p, method, target), script);
    pthread_mutex_unlock(&p->lock);
}

void http_play_cut_request(struct http_play *p, const char *method, const char *target, size_t at) {
    pthread_mutex_lock(&p->lock);
    struct http_script script = {.answer = xstrdup(""), .cut = at};
    add(new_rule(p, method, target), script);
    pthread_mutex_unlock(&p->lock);
}

void http_play_open_end(struct http_play *p, const char *method, const char *target,
                        const char *body, int repeat, size_t repeat_len) {
    pthread_mutex_lock(&p->lock);
    struct http_script script = {
        .answer = xasprintf("HTTP/1.1 200 Played\r\nConnection: close\r\n\r\n%s", body),
        .repeat = repeat,
        .repeat_len = repeat_len};
    add(new_rule(p, method, target), script);
    pthread_mutex_unlock(&p->lock);
}

void http_play_delay(struct http_play *p, int ms) {
    pthread_mutex_lock(&p->lock);
    struct rule *r = &p->rules[p->n_rules - 1];
    r->answers[r->n - 1].delay_ms = ms;
    pthread_mutex_unlock(&p->lock);
}

void http_play_hook(struct http_play *p, void (*fn)(void *arg), void *arg) {
    pthread_mutex_lock(&p->lock);
    p->rules[p->n_rules - 1].hook = fn;
    p->rules[p->n_rules - 1].hook_arg = arg;
    pthread_mutex_unlock(&p->lock);
}

int http_play_count(struct http_play *p, const char *method, const char *target) {
    int n = 0;
    pthread_mutex_lock(&p->lock);
    for (int i = 0; i < p->n_heads; i++)
        n += matches(p->heads[i], method, target);
    pthread_mutex_unlock(&p->lock);
    return n;
}

char *http_play_head(struct http_play *p, const char *method, const char *target) {
    char *head = NULL;
    pthread_mutex_lock(&p->lock);
    for (int i = p->n_heads - 1; i >= 0 && !head; i--)
        if (matches(p->heads[i], method, target))
            head = xstrdup(p->heads[i]);
    pthread_mutex_unlock(&p->lock);
    return head;
}
