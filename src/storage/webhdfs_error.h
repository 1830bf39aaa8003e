/* SPDX-License-Identifier: Apache-2.0 */
/* What a NameNode or DataNode says when it does not do what it was asked, as our errors. */
#ifndef CM_STORAGE_WEBHDFS_ERROR_H
#define CM_STORAGE_WEBHDFS_ERROR_H

#include "net/http.h"

/* The error of a NameNode's answer that is no success. ret_elsewhere: another one may do it. */
int webhdfs_refusal(const struct http_answer *a, bool *ret_elsewhere, struct err *e);
/*
 * Of a DataNode's. It passes on whatever befalls it when it speaks with others (EOFException,
 * SocketTimeoutException, …): what is not known to be for good is taken to pass.
 */
int webhdfs_datanode_refusal(const struct http_answer *a, struct err *e);
/* Of an answer that is none of WebHDFS. */
int webhdfs_strange(const struct http_answer *a, struct err *e);

#endif
