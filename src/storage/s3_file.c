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

#include "base/util.h"
#include "storage/local_fs.h"
#include "storage/many.h"
#include "storage/s3_priv.h"

enum {
    PART = 16 * MIB, /* at least; S3 wants 5 MiB, and at most 10,000 of them */
    PARTS_MAX = 10000,
    PART_LANES = 4, /* of one file at a time */
};

#define CRC_HEADER "x-amz-meta-clickmill-crc32c" /* of the whole file, in hex */
#define CHECKSUM_HEADER "x-amz-checksum-crc32c"  /* of what is sent with it, in base64 */

/* ---- parts, side by side ---- */

enum { CHECKSUM = 9 }; /* 32 bits in base64, and a NUL */

struct sent {
    char *etag, checksum[CHECKSUM];
};

struct transfer {
    struct s3 *s;
    const char *key;
    const char *local; /* of an upload: the file's name, for errors */
    int fd;
    int64_t size, part;
    int64_t n;         /* parts */
    const char *etag;  /* of a download, once it is known: all parts are of this object */
    char *upload_id;   /* of an upload, encoded */
    struct sent *sent; /* of an upload, each part */
};

static struct http_file part_of(const struct transfer *t, size_t i) {
    int64_t offset = (int64_t)i * t->part;
    return (struct http_file){.fd = t->fd, .offset = offset, .len = MIN(t->part, t->size - offset)};
}

/* ---- from the lake ---- */

/* "bytes 0-99/1234", and it is these bytes that came, those from `offset` on -> 1234; -1: it is not. */
static int64_t whole_size(const struct http_answer *a, int64_t offset) {
    const char *range = http_header(a, "content-range");
    char first[20], last[20], size[20], more;
    if (!range ||
        sscanf(range, "bytes %19[0-9]-%19[0-9]/%19[0-9]%c", first, last, size, &more) != 3)
        return -1;
    if (digits_parse(first) != offset || digits_parse(last) != offset + a->downloaded - 1)
        return -1;
    return digits_parse(size);
}

/* The CRC-32C we noted with the object when we sent it. */
static bool noted_crc(const struct http_answer *a, uint32_t *ret) {
    const char *text = http_header(a, CRC_HEADER);
    if (!text || strlen(text) != 8 || strspn(text, "0123456789abcdefABCDEF") != 8)
        return false;
    *ret = (uint32_t)strtoul(text, NULL, 16);
    return true;
}

static int download(struct transfer *t, size_t i, struct http_answer *ret, struct err *e) {
    struct http_file f = part_of(t, i);
    _cleanup_(freep) char *range =
        xasprintf("bytes=%lld-%lld", (long long)f.offset, (long long)(f.offset + f.len - 1));
    struct s3_call q = {.method = "GET",
                        .key = t->key,
                        .download = &f,
                        .headers = {{"range", range}, {t->etag ? "if-match" : NULL, t->etag}},
                        .ranged = i == 0};
    return s3_call(t->s, &q, ret, e);
}

static int download_part(void *arg, size_t i, struct err *e) {
    struct transfer *t = arg;
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
    t->etag = ret->etag[0] ? ret->etag : NULL;
    return side_by_side(PART_LANES, 1, (size_t)t->n, download_part, t, e);
}

/* Where the object's CRC was noted, it is that of what came. */
static int check_sum(int fd, const struct cache_object *is, struct err *e) {
    uint32_t crc = 0;
    int failed = fs_sum(fd, 0, is->size, &crc, NULL);
    if (failed)
        return fs_error(e, failed, "cannot read", "what was fetched");
    if (crc == is->crc)
        return 0;
    err_set(e, ERR_STORAGE, "what came has the CRC %08x, what was sent %08x", crc, is->crc);
    return err_retry(e);
}

int s3_fetch(struct s3 *s, const char *path, int fd, struct cache_object *ret, struct err *e) {
    _cleanup_(freep) char *key = s3_key_of(s, path);
    struct transfer t = {.s = s, .key = key, .fd = fd};
    struct cache_object object = {.has_crc = false};
    int r = download_all(&t, &object, e);
    if (r == 0 && object.has_crc)
        r = check_sum(fd, &object, e);
    if (r == 0)
        *ret = object;
    return r;
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

static int upload_part(void *arg, size_t i, struct err *e) {
    struct transfer *t = arg;
    struct http_file f = part_of(t, i);
    struct sent *sent = &t->sent[i];
    _cleanup_(freep) char *query = xasprintf("partNumber=%zu&uploadId=%s", i + 1, t->upload_id);
    struct s3_call q = {.method = "PUT",
                        .key = t->key,
                        .query = query,
                        .upload = &f,
                        .headers = {{CHECKSUM_HEADER, sent->checksum}}};
    struct http_answer a;
    int r = s3_call(t->s, &q, &a, e);
    if (r)
        return r == ERR_NOT_FOUND ? err_recode(e, ERR_STORAGE) : r; /* NoSuchUpload */
    char etag[CACHE_ETAG];
    s3_etag(&a, etag);
    if (!etag[0] || strpbrk(etag, "<>&"))
        r = err_set(e, ERR_STORAGE, "S3 gave part %zu no ETag", i + 1);
    else
        sent->etag = xstrdup(etag);
    http_answer_release(&a);
    return r;
}

static int take_upload_id(void *arg, const char *path, const char *text, struct err *e) {
    char **id = arg;
    if (strcmp(path, "InitiateMultipartUploadResult/UploadId") != 0 || *id)
        return 0;
    struct buf b = BUF_INIT(8 * KIB);
    buf_add_encoded(&b, text, "");
    if (b.overflow) {
        buf_release(&b);
        return err_set(e, ERR_STORAGE, "S3 gave the upload a name of %zu bytes", strlen(text));
    }
    *id = buf_detach(&b);
    return 0;
}

static int begin_upload(struct transfer *t, const char *crc, struct err *e) {
    struct s3_call q = {.method = "POST",
                        .key = t->key,
                        .query = "uploads=",
                        .root = "InitiateMultipartUploadResult",
                        .headers = {{CRC_HEADER, crc}, {"x-amz-checksum-algorithm", "CRC32C"}}};
    struct http_answer a;
    int r = s3_call(t->s, &q, &a, e);
    if (r)
        return r;
    r = s3_walk(&a, take_upload_id, &t->upload_id, e);
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
                        .headers = {{"content-type", "application/xml"}, {S3_IF_ABSENT, "*"}}};
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
    int r = begin_upload(t, crc, e);
    if (r == 0)
        r = side_by_side(PART_LANES, 0, (size_t)t->n, upload_part, t, e);
    if (r == 0)
        r = complete_upload(t, ret, e);
    if (r && t->upload_id) { /* parts nobody asks for would be paid for */
        _cleanup_(freep) char *query = xasprintf("uploadId=%s", t->upload_id);
        s3_call_once(t->s, &(struct s3_call){.method = "DELETE", .key = t->key, .query = query});
    }
    return r;
}

static int send_whole(struct transfer *t, const char *crc, struct cache_object *ret,
                      struct err *e) {
    struct http_file f = {.fd = t->fd, .len = t->size};
    struct s3_call q = {.method = "PUT",
                        .key = t->key,
                        .upload = &f,
                        .headers = {{CRC_HEADER, crc},
                                    {S3_IF_ABSENT, "*"},
                                    {CHECKSUM_HEADER, t->sent[0].checksum}}};
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

/* Cuts the file into parts: one where it is small. */
static int plan(struct transfer *t, struct err *e) {
    struct stat sb;
    if (fstat(t->fd, &sb) != 0)
        return fs_error(e, errno, "cannot look at", t->local);
    t->size = sb.st_size;
    int64_t parts = t->size < 2LL * PART ? 1 : MIN((t->size + PART - 1) / PART, PARTS_MAX);
    t->part = parts == 1 ? t->size : MAX((t->size + parts - 1) / parts, PART);
    t->n = parts == 1 ? 1 : (t->size + t->part - 1) / t->part;
    t->sent = xcalloc((size_t)t->n, sizeof *t->sent);
    return 0;
}

/* The sums of the parts and of the whole, in one walk over the file. */
static int sum(struct transfer *t, uint32_t *ret, struct err *e) {
    *ret = 0;
    for (int64_t i = 0; i < t->n; i++) {
        struct http_file f = part_of(t, (size_t)i);
        uint32_t crc = 0;
        int failed = fs_sum(t->fd, f.offset, f.len, &crc, t->n > 1 ? ret : NULL);
        if (failed)
            return fs_error(e, failed, "cannot read", t->local);
        checksum_text(crc, t->sent[i].checksum);
        if (t->n == 1)
            *ret = crc;
    }
    return 0;
}

/*
 * Something stands there, or an answer was lost: if it is this very file, all is well. Where that
 * cannot be known, the error says so.
 */
static int settle(struct transfer *t, int r, struct cache_object *object, struct err *e) {
    struct s3_call q = {.method = "HEAD", .key = t->key};
    struct http_answer a;
    struct err why;
    int looked = s3_call(t->s, &q, &a, &why);
    if (looked == ERR_NOT_FOUND)
        return r;
    if (looked) {
        *e = why;
        e->unsure = true;
        return looked == ERR_STOPPED ? looked : err_retry(e);
    }
    uint32_t there;
    bool same = s3_length(&a) == t->size && noted_crc(&a, &there) && there == object->crc;
    if (same)
        s3_etag(&a, object->etag);
    http_answer_release(&a);
    return same ? 0 : r;
}

static int send_file(struct transfer *t, struct cache_object *ret, struct err *e) {
    struct cache_object object = {.has_crc = true};
    int r = plan(t, e);
    if (r == 0)
        r = sum(t, &object.crc, e);
    if (r)
        return r;
    object.size = t->size;
    char crc[9];
    snprintf(crc, sizeof crc, "%08x", object.crc);
    r = t->n == 1 ? send_whole(t, crc, &object, e) : send_parts(t, crc, &object, e);
    if (r == ERR_EXISTS || r == ERR_NOT_FOUND || (r == ERR_STORAGE && e->unsure))
        r = settle(t, r, &object, e);
    if (r == ERR_NOT_FOUND) /* the upload was aborted by somebody else */
        r = err_recode(e, ERR_STORAGE);
    if (r == 0)
        *ret = object;
    return r;
}

int s3_send(struct s3 *s, const char *local, const char *path, struct cache_object *ret,
            struct err *e) {
    _cleanup_(freep) char *key = s3_key_of(s, path);
    struct transfer t = {.s = s, .key = key, .local = local};
    t.fd = open(local, O_RDONLY | O_CLOEXEC);
    if (t.fd < 0)
        return fs_error(e, errno, "cannot open", local);
    int r = send_file(&t, ret, e);
    close(t.fd);
    for (int64_t i = 0; t.sent && i < t.n; i++)
        free(t.sent[i].etag);
    free(t.sent);
    free(t.upload_id);
    return r;
}
