/* SPDX-License-Identifier: Apache-2.0 */
/* The drivers engine.c chooses from. */
#ifndef CM_ENGINE_DRIVERS_H
#define CM_ENGINE_DRIVERS_H

#include "engine/engine.h"

int engine_duckdb_open(const struct engine_options *o, struct engine **ret, struct err *e);

#endif
