/* SPDX-License-Identifier: Apache-2.0 */
/*
 * PostgreSQL's failures: which can pass, and what to do about the others. Codes (SQLSTATE, appendix
 * A of its manual) decide wherever there is one, because the server's words come in its own
 * language; libpq's own words come in English as long as nobody calls setlocale().
 */
#ifndef CM_SINK_SQLSTATE_H
#define CM_SINK_SQLSTATE_H

#include "base/err.h"

enum { SQLSTATE_TEXT = 6 };

/* True: the same load may work a moment later. */
bool sqlstate_passes(const char *code);

/* Sets the hint for what an administrator has to mend; nothing for other codes. */
void sqlstate_hint(struct err *e, const char *code, const char *user, const char *database);

/*
 * A failed connection's message (verbosity PQERRORS_VERBOSE, so that it holds the codes): gives
 * it on one line without codes and source locations, and the last code in it ("" if none).
 */
void sqlstate_of_connect(const char *libpq, char *ret_text, size_t size,
                         char ret_code[SQLSTATE_TEXT]);

/* A failure to connect for which there is no code: is it the network, or a server that is away? */
bool connect_passes(const char *libpq);

#endif
