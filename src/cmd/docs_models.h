/* SPDX-License-Identifier: Apache-2.0 */
/* docs models: docs/models.md, from the headers of the models built in and what the engine says of them. */
#ifndef CM_CMD_DOCS_MODELS_H
#define CM_CMD_DOCS_MODELS_H

#include "base/err.h"

int docs_models(struct err *e);

#endif
