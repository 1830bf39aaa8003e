/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A lake in memory that keeps the contract of storage.h. Staging and localize use a temporary
 * folder, gone with the storage.
 */
#ifndef CM_TEST_STORAGE_MEM_H
#define CM_TEST_STORAGE_MEM_H

#include "storage/storage.h"

struct storage *storage_mem_new(void);
/* Objects whose path begins so become older by ms. */
void storage_mem_age(struct storage *st, const char *prefix, int64_t ms);

#endif
