/* SPDX-License-Identifier: Apache-2.0 */
/* What a NameNode or DataNode says when it does not do what it was asked, as our errors. */
#ifndef CM_STORAGE_WEBHDFS_ERROR_H
#define CM_STORAGE_WEBHDFS_ERROR_H

#include "net/http.h"

/*
 * The error of an answer that is no success. ret_elsewhere: another NameNode may do it. The codes
 * are those of webhdfs.h.
 */
int webhdfs_refusal(const struct http_answer *a, bool *ret_elsewhere, struct err *e);
/* Of an answer that is none of WebHDFS. */
int webhdfs_strange(const struct http_answer *a, struct err *e);

#endif
