/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How an object comes into being: CREATE under a name nobody knows, a look whether all bytes
 * are there (a DataNode whose client goes away closes the file as it is, and nothing tells), then
 * RENAME. With the option NONE that never replaces, and is one edit of the NameNode: of several
 * writers one wins. docs/decisions/0011-webhdfs.md
 */
#include <assert.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/retry.h"
#include "base/util.h"
#include "storage/hdfs_priv.h"
#include "storage/local_fs.h"

enum { STAGE_DAY_MS = 24 * 3600 * 1000 };

static int make_folder(struct hdfs *h, const char *full, struct err *e) {
    struct webhdfs_call q = {.method = "PUT", .path = full, .query = "op=MKDIRS"};
    return webhdfs_ask(h->w, &q, NULL, e);
}

/* Removes what is not finished, with all that is in it. What stays is swept after a day. */
static void discard(struct hdfs *h, const char *full) {
    struct webhdfs_call q = {.method = "DELETE", .path = full, .query = "op=DELETE&recursive=true"};
    struct err e;
    if (webhdfs_ask(h->w, &q, NULL, &e) < 0)
        log_err(LOG_DEBUG, "cannot remove what is not finished", &e);
}

/* Removes what crashed processes left. Ages are told by one clock, the NameNode's. */
static void sweep(struct hdfs *h, const char *stages, const char *own) {
    struct storage_entries l = {0};
    struct err e;
    int64_t now = 0;
    if (hdfs_list_folder(h, stages, NULL, &l, &e) < 0)
        return; /* the next one will */
    for (size_t i = 0; i < l.n; i++)
        if (strcmp(l.v[i].name, own) == 0)
            now = l.v[i].mtime_ms;
    for (size_t i = 0; i < l.n; i++) {
        if (now - l.v[i].mtime_ms <= STAGE_DAY_MS)
            continue;
        _cleanup_(freep) char *dead = xasprintf("%s/%s", stages, l.v[i].name);
        discard(h, dead);
    }
    storage_entries_release(&l);
}

static int make_stage(struct hdfs *h, struct err *e) {
    char id[UUID_TEXT], host[64] = "";
    uuid_make(id);
    gethostname(host, sizeof host - 1);
    _cleanup_(freep) char *stages = xasprintf("%s/.stage", h->root);
    _cleanup_(freep) char *own = xasprintf("%s-%ld-%s", host, (long)getpid(), id);
    _cleanup_(freep) char *dir = xasprintf("%s/%s", stages, own);
    int r = make_folder(h, dir, e);
    if (r)
        return r;
    sweep(h, stages, own);
    h->stage = TAKE_PTR(dir);
    return 0;
}

/* A name nobody has used. After a broken upload HDFS may hold the old one for its dead writer. */
static int temp_name(struct hdfs *h, char **ret, struct err *e) {
    pthread_mutex_lock(&h->lock);
    int r = h->stage ? 0 : make_stage(h, e);
    if (r == 0)
        *ret = xasprintf("%s/%lu", h->stage, ++h->count);
    pthread_mutex_unlock(&h->lock);
    return r;
}

void hdfs_stage_remove(struct hdfs *h) {
    if (h->stage)
        discard(h, h->stage);
    free(TAKE_PTR(h->stage));
}

static int check_length(const struct hdfs_status *s, int64_t len, struct err *e) {
    if (s->size == len)
        return 0;
    err_set(e, ERR_STORAGE, "only %lld of %lld bytes arrived", (long long)s->size, (long long)len);
    return err_retry(e);
}

/* SYNC_BLOCK: the DataNodes sync the bytes to disk before they say that they have them. */
static int upload_once(struct hdfs *h, const char *temp, const struct hdfs_source *src,
                       struct hdfs_status *ret, struct err *e) {
    struct webhdfs_call q = {.method = "PUT",
                             .path = temp,
                             .query = "op=CREATE&overwrite=false&createflag=CREATE,SYNC_BLOCK",
                             .to_datanode = true};
    struct webhdfs_answer a = {0};
    int r = webhdfs_ask(h->w, &q, &a, e);
    if (r == 0)
        r = webhdfs_create(h->w, a.location, src->data, (size_t)src->len, src->file, e);
    webhdfs_answer_release(&a);
    if (r == 0)
        r = hdfs_status(h, temp, ret, e);
    if (r == 0)
        r = check_length(ret, src->len, e);
    if (r == ERR_NOT_FOUND) {
        err_recode(e, r = ERR_STORAGE); /* what was taken is gone: the next try may keep it */
        err_retry(e);
    }
    return r;
}

/* Uploads under a new name per try. */
static int upload(struct hdfs *h, const struct hdfs_source *src, char **ret_temp,
                  struct hdfs_status *ret, struct err *e) {
    struct retry again = retry_start(h->base.patience_ms);
    int r;
    do {
        _cleanup_(freep) char *temp = NULL;
        r = temp_name(h, &temp, e);
        if (r == 0) {
            r = upload_once(h, temp, src, ret, e);
            if (r == 0)
                *ret_temp = TAKE_PTR(temp);
        }
        if (temp)
            discard(h, temp);
    } while (r < 0 && retry_pause(&again, &r, e));
    return r;
}

static int ask_rename(struct hdfs *h, const char *temp, const char *full, enum hdfs_over over,
                      struct err *e) {
    struct buf query = BUF_INIT(4 * LIMIT_PATH);
    buf_addf(&query,
             "op=RENAME&renameoptions=%s&destination=", over == HDFS_NEW ? "NONE" : "OVERWRITE");
    buf_add_encoded(&query, full, "/");
    assert(!query.overflow);
    struct webhdfs_call q = {.method = "PUT", .path = temp, .query = buf_str(&query), .once = true};
    struct webhdfs_answer a = {0};
    int r = webhdfs_ask(h->w, &q, &a, e);
    /* An answer means that the server knows only the old RENAME, which has its own idea of success. */
    if (r == 0 && a.doc) {
        r = err_set(e, ERR_STORAGE, "the server does not know RENAME with renameoptions");
        err_hint(e, "the lake's URL must name a NameNode, not HttpFS");
    }
    webhdfs_answer_release(&a);
    buf_release(&query);
    return r;
}

/* One try. ERR_NOT_FOUND: the temporary name is gone. */
static int rename_once(struct hdfs *h, const char *temp, const char *full, enum hdfs_over over,
                       struct err *e) {
    int r = ask_rename(h, temp, full, over, e);
    if (r != ERR_NOT_FOUND)
        return r;
    _cleanup_(freep) char *dir = fs_parent(full);
    r = make_folder(h, dir, e); /* or is it the folder to be in? */
    if (r == 0)
        r = ask_rename(h, temp, full, over, e);
    else if (r == ERR_NOT_FOUND)
        r = err_recode(e, ERR_STORAGE);
    return r;
}

/* The temporary name is gone: by a RENAME of ours whose answer was lost, if the file is the same. */
static int settle(struct hdfs *h, const char *full, const struct hdfs_status *made, struct err *e) {
    struct hdfs_status there;
    struct err why;
    int r = hdfs_status(h, full, &there, &why);
    if (r == 0 && there.file_id == made->file_id)
        return 0;
    if (r < 0 && r != ERR_NOT_FOUND) {
        *e = why;
        return r;
    }
    err_recode(e, ERR_STORAGE); /* somebody removed what was not finished: make it anew */
    return err_retry(e);
}

static int rename_made(struct hdfs *h, const char *temp, const char *full, enum hdfs_over over,
                       const struct hdfs_status *made, struct err *e) {
    struct retry again = retry_start(h->base.patience_ms);
    int r;
    do
        r = rename_once(h, temp, full, over, e);
    while (r < 0 && retry_pause(&again, &r, e));
    return r == ERR_NOT_FOUND ? settle(h, full, made, e) : r;
}

int hdfs_make(struct hdfs *h, const char *full, const struct hdfs_source *src, enum hdfs_over over,
              struct hdfs_status *ret, struct err *e) {
    _cleanup_(freep) char *temp = NULL;
    int r = upload(h, src, &temp, ret, e);
    if (r)
        return r;
    crash_point("hdfs.before_rename");
    r = rename_made(h, temp, full, over, ret, e);
    if (r == 0)
        crash_point("hdfs.after_rename");
    else
        discard(h, temp); /* a RENAME still under way then fails */
    return r;
}
