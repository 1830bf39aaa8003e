/* SPDX-License-Identifier: Apache-2.0 */
/*
 * HDFS by its REST protocol (WebHDFS in the Hadoop documentation), one exchange at a time, for the
 * driver in hdfs.c. What concerns names is asked of a NameNode; bytes go to and come from the
 * DataNode it names. Nothing here is tried again but at the next NameNode: the driver decides.
 *
 * Errors: what the server throws decides by its name, not by the status. ERR_NOT_FOUND
 * (FileNotFoundException, or a file where a folder should be), ERR_EXISTS
 * (FileAlreadyExistsException), else ERR_STORAGE with e->retry for what can pass: no connection,
 * safe mode, standby, no DataNode, 5xx.
 */
#ifndef CM_STORAGE_WEBHDFS_H
#define CM_STORAGE_WEBHDFS_H

#include "base/json.h"
#include "net/http.h"
#include "storage/hdfs_url.h"

struct webhdfs_options {
    const char *user;    /* who we say we are; NULL: the user of this process */
    const char *token;   /* a delegation token instead; NULL: none */
    bool kerberos;       /* log in to the NameNode by Kerberos instead */
    const char *ca_file; /* see struct http_options */
    const char *cert_file;
};

struct webhdfs;
/* Takes u over. No exchange happens yet. */
int webhdfs_new(struct hdfs_url *u, const struct webhdfs_options *o, struct webhdfs **ret,
                struct err *e);
void webhdfs_free(struct webhdfs *w);

/* One question to a NameNode. */
struct webhdfs_call {
    const char *method;
    const char *path;  /* absolute */
    const char *query; /* "op=…&…", encoded */
    bool once;         /* see struct http_request */
    bool to_datanode;  /* the answer names a DataNode */
};

struct webhdfs_answer {
    struct json_doc *doc; /* NULL: the answer was empty */
    char *location;       /* a DataNode's URL; NULL if none was asked for */
};
void webhdfs_answer_release(struct webhdfs_answer *a);

/*
 * Asks the NameNode that answered last, then the others, until one is there and active. ret may be
 * NULL.
 */
int webhdfs_ask(struct webhdfs *w, const struct webhdfs_call *q, struct webhdfs_answer *ret,
                struct err *e);

/* Makes the file at a CREATE's location: of `data`, or of a file's bytes if `file` is given. */
int webhdfs_create(struct webhdfs *w, const char *location, const void *data, size_t len,
                   const struct http_file *file, struct err *e);
/* Reads from an OPEN's location into memory (replacing what was there; ret->max bounds it), */
int webhdfs_read(struct webhdfs *w, const char *location, struct buf *ret, struct err *e);
/* or into a file: exactly file->len bytes, or it is an error that can pass. */
int webhdfs_read_file(struct webhdfs *w, const char *location, const struct http_file *file,
                      struct err *e);

#endif
