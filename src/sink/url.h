/* SPDX-License-Identifier: Apache-2.0 */
/*
 * PostgreSQL URLs, read only as far as needed to keep their passwords out of messages. libpq reads
 * them for good; its complaints about a malformed one quote pieces of it, so those that could be
 * taken apart in another way than their writer meant are refused here first.
 */
#ifndef CM_SINK_URL_H
#define CM_SINK_URL_H

#include "base/err.h"

/*
 * False: an '@', '/' or '?' of a password that is not percent-encoded, or no '@' after it at all,
 * so that a part of it would be taken for host, port or database.
 */
bool url_is_clear(const char *url);

/* What libpq says about a URL it cannot read, without the pieces it quotes. */
void url_complaint(const char *libpq, char *out, size_t size);

#endif
