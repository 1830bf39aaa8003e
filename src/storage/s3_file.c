/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Files to the lake and from it. A large one goes in parts, several at a time; what each holds in
 * memory is libcurl's buffer. With each part goes its CRC-32C, which the store compares with what
 * it got. The file's own stands in its metadata: so one that is there already can be told to be this
 * one, where an answer was lost.
 */
#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/retry.h"
#include "base/util.h"
#include "base/xml.h"
#include "storage/cache_store.h"
#include "storage/s3_priv.h"
#include "storage/sigv4.h"

enum {
    PART = 16 * MIB, /* at least; S3 wants 5 MiB, and at most 10,000 of them */
    PARTS_MAX = 10000,
    PART_LANES = 4, /* of one file at a time */
    CHUNK = 256 * KIB,
};

#define CRC_HEADER "x-amz-meta-clickmill-crc32c"

/* ---- parts, side by side ---- */

enum { CHECKSUM = 9 }; /* 32 bits in base64, and a NUL */

struct sent {
    char *etag, checksum[CHECKSUM];
};

struct transfer {
    struct s3 *s;
    const char *key;
    int fd;
    int64_t size, part;
    char *condition;   /* of a download: "if-match: …" */
    char *upload_id;   /* of an upload, encoded */
    struct sent *sent; /* of an upload, each part */
    int (*one)(struct transfer *t, int64_t i, struct err *e);
    int64_t n;
    pthread_mutex_t lock; /* guards the rest */
    int64_t next;
    int failed;
    struct err *e;
};

static struct http_file part_of(const struct transfer *t, int64_t i) {
    int64_t offset = i * t->part;
    return (struct http_file){.fd = t->fd, .offset = offset, .len = MIN(t->part, t->size - offset)};
}

static void *move_parts(void *arg) {
    struct transfer *t = arg;
    for (;;) {
        pthread_mutex_lock(&t->lock);
        int64_t i = t->failed || t->next == t->n ? -1 : t->next++;
        pthread_mutex_unlock(&t->lock);
        if (i < 0)
            return NULL;
        struct err e;
        int r = t->one(t, i, &e);
        pthread_mutex_lock(&t->lock);
        if (r && !t->failed) {
            t->failed = r;
            *t->e = e;
        }
        pthread_mutex_unlock(&t->lock);
    }
}

/* Moves the parts from `first` on. */
static int move_all(struct transfer *t, int64_t first, struct err *e) {
    pthread_t thread[PART_LANES];
    int threads = (int)MIN(PART_LANES, t->n - first), started = 0;
    t->next = first;
    t->failed = 0;
    t->e = e;
    pthread_mutex_init(&t->lock, NULL);
    while (started + 1 < threads && pthread_create(&thread[started], NULL, move_parts, t) == 0)
        started++;
    move_parts(t);
    for (int i = 0; i < started; i++)
        pthread_join(thread[i], NULL);
    pthread_mutex_destroy(&t->lock);
    return t->failed;
}

/* ---- from the lake ---- */

/* "bytes 0-99/1234", and it is these bytes that came, those from `offset` on -> 1234; -1: it is not. */
static int64_t whole_size(const struct http_answer *a, int64_t offset) {
    const char *range = http_header(a, "content-range");
    char first[20], last[20], size[20], more;
    if (!range ||
        sscanf(range, "bytes %19[0-9]-%19[0-9]/%19[0-9]%c", first, last, size, &more) != 3)
        return -1;
    if (strlen(first) > 18 || strlen(last) > 18 || strlen(size) > 18 ||
        strtoll(first, NULL, 10) != offset || strtoll(last, NULL, 10) != offset + a->downloaded - 1)
        return -1;
    return strtoll(size, NULL, 10);
}

/* The CRC-32C we noted with the object when we sent it. */
static bool noted_crc(const struct http_answer *a, uint32_t *ret) {
    const char *text = http_header(a, CRC_HEADER);
    if (!text || strlen(text) != 8 || strspn(text, "0123456789abcdefABCDEF") != 8)
        return false;
    *ret = (uint32_t)strtoul(text, NULL, 16);
    return true;
}

static int download(struct transfer *t, int64_t i, struct http_answer *ret, struct err *e) {
    struct http_file f = part_of(t, i);
    _cleanup_(freep) char *range =
        xasprintf("range: bytes=%lld-%lld", (long long)f.offset, (long long)(f.offset + f.len - 1));
    struct s3_call q = {.method = "GET",
                        .key = t->key,
                        .download = &f,
                        .headers = {range, t->condition},
                        .ranged = i == 0};
    return s3_call(t->s, &q, ret, e);
}

static int download_part(struct transfer *t, int64_t i, struct err *e) {
    struct http_answer a;
    int r = download(t, i, &a, e);
    if (r == ERR_EXISTS || r == ERR_NOT_FOUND) { /* If-Match: it is another object by now */
        err_set(e, ERR_STORAGE, "the object was replaced while it was read");
        return err_retry(e);
    }
    if (r)
        return r;
    struct http_file part = part_of(t, i);
    if (a.downloaded != part.len)
        r = err_set(e, ERR_STORAGE, "S3 sent %lld bytes where %lld were asked for",
                    (long long)a.downloaded, (long long)part.len);
    else if (whole_size(&a, part.offset) != t->size)
        r = err_set(e, ERR_STORAGE, "S3 sent other bytes than those from %lld on",
                    (long long)part.offset);
    if (r)
        err_retry(e);
    http_answer_release(&a);
    return r;
}

/* The first part tells how many there are. */
static int download_all(struct transfer *t, struct cache_object *ret, struct err *e) {
    struct http_answer a;
    t->size = t->part = PART;
    int r = download(t, 0, &a, e);
    if (r)
        return r;
    /* 200: all of it; 416: empty */
    int64_t size = a.status == 206 ? whole_size(&a, 0) : a.downloaded;
    int64_t wanted = MIN(size, PART);
    s3_etag(&a, ret->etag);
    ret->has_crc = noted_crc(&a, &ret->crc);
    if (size < 0)
        r = err_set(e, ERR_STORAGE, "S3 sent other bytes than those from 0 on");
    else if (a.downloaded != wanted)
        r = err_set(e, ERR_STORAGE, "S3 sent %lld bytes where the object has %lld",
                    (long long)a.downloaded, (long long)size);
    http_answer_release(&a);
    if (r)
        return err_retry(e);
    ret->size = t->size = size;
    t->n = (size + PART - 1) / PART;
    if (t->n <= 1)
        return 0;
    t->one = download_part;
    t->condition = ret->etag[0] ? xasprintf("if-match: %s", ret->etag) : NULL;
    r = move_all(t, 1, e);
    free(TAKE_PTR(t->condition));
    return r;
}

/* One try, into an empty file. Where the object's CRC was noted, it is that of what came. */
static int fetch_once(struct s3 *s, const char *key, const char *local, int fd,
                      struct cache_object *ret, struct err *e) {
    struct transfer t = {.s = s, .key = key, .fd = fd};
    *ret = (struct cache_object){.has_crc = false};
    if (ftruncate(fd, 0) != 0)
        return err_sys(e, ERR_STORAGE, errno, "cannot write %s", local);
    int r = download_all(&t, ret, e);
    int64_t size;
    uint32_t crc;
    if (r || !ret->has_crc)
        return r;
    r = entry_sum(local, &size, &crc, e);
    if (r == 0 && crc != ret->crc) {
        r = err_set(e, ERR_STORAGE, "what came has the CRC %08x, what was sent %08x", crc,
                    ret->crc);
        err_retry(e);
    }
    return r;
}

int s3_fetch(void *arg, const char *path, const char *local, struct cache_object *ret,
             struct err *e) {
    struct s3 *s = arg;
    _cleanup_(freep) char *key = s3_key_of(s, path);
    struct cache_object object;
    int fd = open(local, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
    if (fd < 0)
        return err_sys(e, ERR_STORAGE, errno, "cannot create %s", local);
    struct retry again = retry_start(s->timeout_ms);
    int r;
    do
        r = fetch_once(s, key, local, fd, &object, e);
    while (r < 0 && retry_pause(&again, &r, e));
    close(fd);
    if (r == 0)
        *ret = object;
    return r < 0 && r != ERR_NOT_FOUND ? err_wrap(e, "cannot get %s/%s", s->base.url, path) : r;
}

/* ---- to the lake ---- */

/* As in x-amz-checksum-crc32c: big-endian, base64 (RFC 4648). */
static void checksum_text(uint32_t crc, char ret[CHECKSUM]) {
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    uint64_t bits = (uint64_t)crc << 4; /* 36 bits: six digits */
    for (int i = 0; i < 6; i++)
        ret[i] = digits[bits >> (30 - 6 * i) & 63];
    memcpy(ret + 6, "==", 3);
}

static int sum_part(const struct http_file *f, uint32_t *ret, struct err *e) {
    _cleanup_(freep) char *chunk = xmalloc(CHUNK);
    uint32_t crc = 0;
    for (int64_t done = 0; done < f->len;) {
        ssize_t n = pread(f->fd, chunk, (size_t)MIN(CHUNK, f->len - done), f->offset + done);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return err_sys(e, ERR_STORAGE, n < 0 ? errno : ENODATA,
                           "cannot read what is to be sent");
        crc = crc32c(crc, chunk, (size_t)n);
        done += n;
    }
    *ret = crc;
    return 0;
}

static int upload_part(struct transfer *t, int64_t i, struct err *e) {
    struct http_file f = part_of(t, i);
    uint32_t crc = 0;
    if (sum_part(&f, &crc, e))
        return e->code;
    struct sent *sent = &t->sent[i];
    checksum_text(crc, sent->checksum);
    _cleanup_(freep) char *query =
        xasprintf("partNumber=%lld&uploadId=%s", (long long)i + 1, t->upload_id);
    _cleanup_(freep) char *checksum = xasprintf("x-amz-checksum-crc32c: %s", sent->checksum);
    struct s3_call q = {
        .method = "PUT", .key = t->key, .query = query, .upload = &f, .headers = {checksum}};
    struct http_answer a;
    int r = s3_call(t->s, &q, &a, e);
    if (r)
        return r == ERR_NOT_FOUND ? err_recode(e, ERR_STORAGE) : r; /* NoSuchUpload */
    char etag[CACHE_ETAG];
    s3_etag(&a, etag);
    if (!etag[0] || strpbrk(etag, "<>&"))
        r = err_set(e, ERR_STORAGE, "S3 gave part %lld no ETag", (long long)i + 1);
    else
        sent->etag = xstrdup(etag);
    http_answer_release(&a);
    return r;
}

static int take_upload_id(void *arg, const char *path, const char *text,
                          struct err *e ATTR_UNUSED) {
    char **id = arg;
    if (strcmp(path, "InitiateMultipartUploadResult/UploadId") == 0 && !*id) {
        struct buf b = BUF_INIT(8 * KIB);
        sigv4_encode(&b, text, false);
        *id = buf_detach(&b);
    }
    return 0;
}

static int begin_upload(struct transfer *t, const char *crc, struct err *e) {
    struct s3_call q = {.method = "POST",
                        .key = t->key,
                        .query = "uploads=",
                        .root = "InitiateMultipartUploadResult",
                        .headers = {crc, "x-amz-checksum-algorithm: CRC32C"}};
    struct http_answer a;
    int r = s3_call(t->s, &q, &a, e);
    if (r)
        return r;
    r = xml_walk(buf_str(&a.body), a.body.len, take_upload_id, &t->upload_id, ERR_STORAGE, e);
    if (r == 0 && (!t->upload_id || !*t->upload_id))
        r = err_set(e, ERR_STORAGE, "S3 began an upload and gave it no name");
    http_answer_release(&a);
    return r;
}

static int complete_upload(struct transfer *t, struct cache_object *ret, struct err *e) {
    struct buf body = BUF_INIT(4 * MIB);
    buf_add_str(&body, "<CompleteMultipartUpload>");
    for (int64_t i = 0; i < t->n; i++)
        buf_addf(&body,
                 "<Part><PartNumber>%lld</PartNumber><ETag>%s</ETag>"
                 "<ChecksumCRC32C>%s</ChecksumCRC32C></Part>",
                 (long long)i + 1, t->sent[i].etag, t->sent[i].checksum);
    buf_add_str(&body, "</CompleteMultipartUpload>");
    assert(!body.overflow);
    _cleanup_(freep) char *query = xasprintf("uploadId=%s", t->upload_id);
    struct s3_call q = {.method = "POST",
                        .key = t->key,
                        .query = query,
                        .body = body.data,
                        .body_len = body.len,
                        .root = "CompleteMultipartUploadResult",
                        .slow = true, /* the store puts the parts together */
                        .headers = {"content-type: application/xml", "if-none-match: *"}};
    struct http_answer a;
    crash_point("s3.before_file");
    int r = s3_call(t->s, &q, &a, e);
    buf_release(&body);
    if (r)
        return r;
    crash_point("s3.after_file");
    s3_etag(&a, ret->etag); /* not there: it stands in the body, and the next who looks will know */
    http_answer_release(&a);
    return 0;
}

static int send_parts(struct transfer *t, const char *crc, struct cache_object *ret,
                      struct err *e) {
    int64_t parts = MIN((t->size + PART - 1) / PART, PARTS_MAX);
    t->part = MAX((t->size + parts - 1) / parts, PART);
    t->n = (t->size + t->part - 1) / t->part;
    t->one = upload_part;
    t->sent = xcalloc((size_t)t->n, sizeof *t->sent);
    int r = begin_upload(t, crc, e);
    if (r == 0)
        r = move_all(t, 0, e);
    if (r == 0)
        r = complete_upload(t, ret, e);
    if (r && t->upload_id) { /* parts nobody asks for would be paid for */
        _cleanup_(freep) char *query = xasprintf("uploadId=%s", t->upload_id);
        s3_call_once(t->s, &(struct s3_call){.method = "DELETE", .key = t->key, .query = query});
    }
    for (int64_t i = 0; i < t->n; i++)
        free(t->sent[i].etag);
    free(t->sent);
    free(t->upload_id);
    return r;
}

static int send_whole(struct transfer *t, const char *crc, struct cache_object *ret,
                      struct err *e) {
    struct http_file f = {.fd = t->fd, .len = t->size};
    char text[CHECKSUM];
    checksum_text(ret->crc, text);
    _cleanup_(freep) char *checksum = xasprintf("x-amz-checksum-crc32c: %s", text);
    struct s3_call q = {.method = "PUT",
                        .key = t->key,
                        .upload = &f,
                        .headers = {crc, "if-none-match: *", checksum}};
    struct http_answer a;
    crash_point("s3.before_file");
    int r = s3_call(t->s, &q, &a, e);
    if (r)
        return r;
    crash_point("s3.after_file");
    s3_etag(&a, ret->etag);
    http_answer_release(&a);
    return 0;
}

/*
 * Does this very file stand there? Then an answer was lost, and all is well. An error says that this
 * is not known.
 */
static int look_there(struct transfer *t, struct cache_object *object, bool *ret, struct err *e) {
    struct s3_call q = {.method = "HEAD", .key = t->key};
    struct http_answer a;
    struct err why;
    int r = s3_call(t->s, &q, &a, &why);
    *ret = false;
    if (r == ERR_NOT_FOUND)
        return 0;
    if (r) {
        *e = why;
        e->unsure = true;
        return r == ERR_STOPPED ? r : err_retry(e);
    }
    uint32_t there;
    *ret = s3_length(&a) == t->size && noted_crc(&a, &there) && there == object->crc;
    if (*ret)
        s3_etag(&a, object->etag);
    http_answer_release(&a);
    return 0;
}

int s3_send(struct s3 *s, const char *local, const char *path, struct cache_object *ret,
            struct err *e) {
    _cleanup_(freep) char *key = s3_key_of(s, path);
    struct transfer t = {.s = s, .key = key};
    struct cache_object object = {.has_crc = true};
    int r = entry_sum(local, &t.size, &object.crc, e);
    if (r)
        return r;
    t.fd = open(local, O_RDONLY | O_CLOEXEC);
    if (t.fd < 0)
        return err_sys(e, ERR_STORAGE, errno, "cannot open %s", local);
    _cleanup_(freep) char *header = xasprintf(CRC_HEADER ": %08x", object.crc);
    r = t.size < 2LL * PART ? send_whole(&t, header, &object, e)
                            : send_parts(&t, header, &object, e);
    close(t.fd);
    bool open_question = r == ERR_EXISTS || r == ERR_NOT_FOUND || (r == ERR_STORAGE && e->unsure);
    if (open_question) {
        bool is_there;
        int looked = look_there(&t, &object, &is_there, e);
        r = looked ? looked : is_there ? 0 : r;
    }
    if (r == ERR_EXISTS)
        return r;
    if (r == ERR_NOT_FOUND) /* the upload was aborted by somebody else */
        err_recode(e, ERR_STORAGE);
    if (r)
        return err_wrap(e, "cannot put %s/%s", s->base.url, path);
    object.size = t.size;
    *ret = object;
    return 0;
}
