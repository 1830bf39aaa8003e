/* SPDX-License-Identifier: Apache-2.0 */
/* The comment lines a model begins with (models.h). */
#ifndef CM_FLOW_MODEL_HEADER_H
#define CM_FLOW_MODEL_HEADER_H

#include "flow/models.h"

/*
 * Fills in what the header of m->text says; *ret_body: the SELECT behind it. ERR_ENGINE, with file
 * and line, for a header that lacks something or says what cannot be.
 */
int model_header_parse(struct model *m, const char **ret_body, struct err *e);

#endif
