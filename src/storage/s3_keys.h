/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where the keys come from that sign requests to S3. The first of these that has any:
 *
 *     1. AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_SESSION_TOKEN, unless s3.profile is set
 *     2. a profile (storage/aws_profile.h): s3.profile, else AWS_PROFILE, else "default"
 *     3. the container's agent: AWS_CONTAINER_CREDENTIALS_FULL_URI or …_RELATIVE_URI (ECS, EKS)
 *     4. the machine's metadata service, version 2 (EC2), unless AWS_EC2_METADATA_DISABLED=true
 *
 * A profile that is named, in whichever way, must hold keys: nothing comes after it. A role by web
 * identity (AWS_WEB_IDENTITY_TOKEN_FILE, AWS_ROLE_ARN) is refused, not passed over for the machine's.
 * Keys that expire are replaced before they do. Secrets are in no message and no log.
 */
#ifndef CM_STORAGE_S3_KEYS_H
#define CM_STORAGE_S3_KEYS_H

#include "base/err.h"

struct s3_key {
    char *id, *secret;
    char *token;        /* NULL: none */
    int64_t expires_us; /* 0: not known to */
};
void s3_key_release(struct s3_key *k);

struct s3_keys;

/* profile: s3.profile, NULL: none given. Nothing is read yet. */
struct s3_keys *s3_keys_new(const char *profile);
void s3_keys_free(struct s3_keys *ks);

/* A copy, for one request. Safe to call from several threads. ERR_STORAGE. */
int s3_keys_get(struct s3_keys *ks, struct s3_key *ret, struct err *e);
/* The server does not take this key any more: true if there is another by now. */
bool s3_keys_renew(struct s3_keys *ks, const struct s3_key *refused);

/* ---- the sources over HTTP (s3_keys_http.c) ---- */

/* ERR_NOT_FOUND: there is no such source here. */
int s3_keys_from_container(struct s3_key *ret, struct err *e);
int s3_keys_from_machine(struct s3_key *ret, struct err *e);

#endif
