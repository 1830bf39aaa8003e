/* SPDX-License-Identifier: Apache-2.0 */
/*
 * AWS Signature Version 4 (docs "Create a signed AWS API request"): the Authorization header of one
 * request. Pure: no clock, no network, no keys of its own.
 *
 * What is signed must be what is sent: path and query come here percent-encoded by buf_add_encoded
 * (a / stays in paths only), the query sorted by name, a name without a value as "name=".
 */
#ifndef CM_STORAGE_SIGV4_H
#define CM_STORAGE_SIGV4_H

#include "base/mem.h"
#include "base/sha256.h"

enum { SIGV4_TIME = 17 }; /* "20130524T000000Z" and its NUL */
void sigv4_time(int64_t us, char ret[SIGV4_TIME]);

struct sigv4_header {
    const char *name; /* in lower case */
    const char *value;
};

struct sigv4_request {
    const char *method;
    const char *path;                   /* encoded, begins with / */
    const char *query;                  /* encoded, sorted; "": none */
    const struct sigv4_header *headers; /* all that are signed; each name once; host is a must */
    size_t n_headers;
    const char *payload_hash; /* hex SHA-256 of the body, or UNSIGNED-PAYLOAD */
};

struct sigv4_scope {
    const char *key_id, *secret;
    const char *region, *service;
    const char *time; /* as x-amz-date says */
};

/* "AWS4-HMAC-SHA256 Credential=…". The caller frees. */
char *sigv4_authorization(const struct sigv4_scope *s, const struct sigv4_request *q);

#endif
