/* SPDX-License-Identifier: Apache-2.0 */
/* `docs checks`: docs/checks.md, from the headers of the rules built in. */
#ifndef CM_CMD_DOCS_CHECKS_H
#define CM_CMD_DOCS_CHECKS_H

#include "base/err.h"

int docs_checks(struct err *e);

#endif
