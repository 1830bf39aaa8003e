/* SPDX-License-Identifier: Apache-2.0 */
/* What tests of the storage, and of what stands on it, share. */
#ifndef CM_TEST_STORAGE_HELPER_H
#define CM_TEST_STORAGE_HELPER_H

#include "base/helper.h"
#include "storage/storage.h"

/* A new folder below TMPDIR, and its end with all it holds. */
char *lake_folder_new(void);
void lake_folder_free(char *folder);
/* A local lake in that folder. */
struct storage *lake_folder_open(const char *folder);
#define lake_open(folder) lake_folder_open(folder) /* flow/lake.h has a lake_open of its own */

void put_text(struct storage *st, const char *path, const char *text); /* put_new */
int publish_bytes(struct storage *st, const char *path, const void *data, size_t len,
                  struct err *e); /* a new file; the code of stage or publish */
void publish_text(struct storage *st, const char *path, const char *text);
char *get_text(struct storage *st, const char *path);           /* NULL: not there */
void make_file(const char *path, const void *data, size_t len); /* on local disk */

/* The names list gives, joined by ' ', folders with a '/'. The caller frees. */
char *names_in(struct storage *st, const char *dir, const char *start_after);

/* Every file below a local folder, hidden ones too, joined by ' ', sorted. The caller frees. */
char *files_below(const char *folder);

/* Runs fn in a child process; true if it died by that signal. */
bool dies_by(int signal, void (*fn)(void *arg), void *arg);

#endif
