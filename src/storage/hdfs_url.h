/* SPDX-License-Identifier: Apache-2.0 */
/*
 * hdfs://HOST[:PORT][,HOST[:PORT]…]/PATH: the NameNodes' web addresses (several for high
 * availability) and the lake's folder. webhdfs:// is the same, swebhdfs:// the same over TLS.
 * Ports: 9870, with TLS 9871.
 * The path is taken as it is, as Hadoop does: no %XX is decoded. docs/decisions/0011-webhdfs.md
 */
#ifndef CM_STORAGE_HDFS_URL_H
#define CM_STORAGE_HDFS_URL_H

#include "base/err.h"
#include "base/mem.h"

struct hdfs_url {
    bool tls;
    char **hosts; /* "host:port" each */
    size_t n;     /* > 0 */
    char *path;   /* "/a/b"; "" for the root */
};

bool hdfs_is_url(const char *url);
/* ERR_CONFIG with a hint. */
int hdfs_url_parse(const char *url, struct hdfs_url *ret, struct err *e);
void hdfs_url_release(struct hdfs_url *u);

#endif
