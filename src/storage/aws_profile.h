/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A profile as the AWS tools keep it: ~/.aws/credentials and ~/.aws/config, or the files that
 * AWS_SHARED_CREDENTIALS_FILE and AWS_CONFIG_FILE name. What both say, the first says.
 */
#ifndef CM_STORAGE_AWS_PROFILE_H
#define CM_STORAGE_AWS_PROFILE_H

#include "base/err.h"

struct aws_profile {
    bool found;                    /* one of the files has a section of that name */
    char *key_id, *secret, *token; /* NULL: not there */
    char *region, *endpoint;       /* likewise */
    char *source; /* a setting by which keys are got that we do not know: "role_arn" */
};

/*
 * name NULL: "default", which nobody asked for. Files that are not there are empty; ERR_STORAGE for those
 * that cannot be read, unless they are only kept from us and nobody named the profile or the file.
 */
int aws_profile_read(const char *name, struct aws_profile *ret, struct err *e);
void aws_profile_release(struct aws_profile *p); /* secrets are overwritten */

/* Overwrites the text and frees it. */
void secret_free(char *s);

#endif
