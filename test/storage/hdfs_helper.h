/* SPDX-License-Identifier: Apache-2.0 */
/* A real HDFS of the test program's own, and lakes in it. */
#ifndef CM_TEST_STORAGE_HDFS_HELPER_H
#define CM_TEST_STORAGE_HDFS_HELPER_H

#include "net/http.h"
#include "storage/conformance.h"
#include "storage/helper.h"

struct hdfs_server {
    char *folder;
    char *namenode, *datanode, *rpc, *tls; /* host:port: of the first two, what speaks HTTP */
};

/* test/services/hdfs.sh; ends with the test program. Without HDFS the program fails. */
void hdfs_server_new(struct hdfs_server *s);
void hdfs_server_free(struct hdfs_server *s);
/* verb: stop, kill, start, restart, safemode; part: nn, dn, "" for both, enter, leave. */
void hdfs_server_do(const struct hdfs_server *s, const char *verb, const char *part);

/* Each lake is a folder of its own, with blanks, signs and letters of many scripts in its name. */
struct hdfs_lake {
    const struct hdfs_server *s;
    char *path, *cache; /* in HDFS; on local disk */
};
struct hdfs_lake *hdfs_lake_new(const struct hdfs_server *s);
void hdfs_lake_free(struct hdfs_lake *l);
/* Opened with so much patience, as this user (NULL: the one who runs HDFS). */
struct storage *hdfs_lake_open(const struct hdfs_lake *l, int64_t timeout_ms, const char *user);
int hdfs_lake_try(const struct hdfs_lake *l, const char *hosts, int64_t timeout_ms,
                  struct storage **ret, struct err *e);

/* What somebody else does: one WebHDFS request to the NameNode. The caller frees what it answers. */
char *hdfs_ask(const struct hdfs_server *s, const char *method, const char *path,
               const char *query);
/* Any request at all; what is answered, and where else to ask (NULL: not told). The caller frees both. */
char *hdfs_exchange(const struct http_request *q, char **ret_location);
/* A file with that text in HDFS, as another program makes it: no stage, no check. */
void hdfs_put(const struct hdfs_server *s, const char *path, const char *text);

/*
 * Stands between a driver and the NameNode and spoils chosen requests. Without a fault it hands on
 * what is asked and answered; DataNodes are reached directly, unless the fault is theirs.
 */
enum wire_fault {
    WIRE_NONE,
    WIRE_LOST,      /* done; the connection is reset without an answer */
    WIRE_RESET,     /* not done, likewise */
    WIRE_CUT,       /* done; the answer ends too early */
    WIRE_503,       /* not done, as all below */
    WIRE_STANDBY,   /* StandbyException */
    WIRE_RETRIABLE, /* RetriableException */
    WIRE_SAFE_MODE, /* SafeModeException */
    WIRE_NO_DATANODE,
    WIRE_SHORT_FILE,    /* for CREATE: a DataNode that keeps a part and says all is well */
    WIRE_LOSES_FILE,    /* the same, and keeps nothing */
    WIRE_DEAD_DATANODE, /* for CREATE and OPEN: one where nobody listens */
    /* The rest stands in front of the DataNode. */
    WIRE_UNANSWERED, /* for CREATE: it takes the bytes, and the connection is reset */
    WIRE_CUT_BYTES,  /* for OPEN: the body ends before its length */
    WIRE_FEW_BYTES,  /* for OPEN of a whole file: a byte less, and a length that fits it */
    WIRE_FAULTS
};
struct hdfs_wire;
struct hdfs_wire *hdfs_wire_new(const struct hdfs_server *s);
void hdfs_wire_free(struct hdfs_wire *w);
const char *hdfs_wire_host(const struct hdfs_wire *w); /* host:port */
/* Spoils the at-th request from now on that the fault concerns (0: none) and the times - 1 after it. */
void hdfs_wire_arm(struct hdfs_wire *w, enum wire_fault fault, int at, int times);
int hdfs_wire_requests(struct hdfs_wire *w); /* that the fault concerns, since it was armed */

#endif
