/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The key index: a cache on local disk of which keys a table holds, so that to look some up costs
 * what they are and not what the table is. It holds hashes with an instant each, in sorted runs
 * (src/index/keys_priv.h; decision 0018); a hash may stand in it more than once.
 *
 * Never a second truth: it says up to which version of the table it goes, and whoever opened it holds
 * that against the table. What is not whole, byte by byte, says so: ERR_CHECK, at opening (keys_doubt)
 * or whenever a damaged block is read. A key that was committed and is not found, without an error,
 * there must never be; one that is found and was not added would only cost time.
 *
 * One process at a time has an index open, and one thread. Errors: ERR_STORAGE (the disk),
 * ERR_CHECK (damage). After one, only keys_clear and keys_close may be called; what was committed
 * before is there at the next opening.
 */
#ifndef CM_INDEX_KEYS_H
#define CM_INDEX_KEYS_H

#include "base/err.h"
#include "base/sha256.h"

struct key {
    uint64_t hash;
    int64_t at; /* an instant in microseconds */
};

struct key_list {
    struct key *v;
    size_t n, cap;
};
void key_list_add(struct key_list *l, struct key k);
void key_list_release(struct key_list *l);

/* A digest that tells one from another: of whose keys, and how hashed; of a table's version. */
struct keys_mark {
    unsigned char digest[SHA256_LEN];
};

struct keys;

/*
 * Opens what is in the folder, which is made if it is missing. owner: another one's keys are in
 * doubt. ERR_CONFLICT: another process has it open.
 */
int keys_open(const char *dir, const struct keys_mark *owner, struct keys **ret, struct err *e);
void keys_close(struct keys *k);

/* Why what was there cannot be used: it was removed, and the index is empty. NULL: no doubt. */
const char *keys_doubt(const struct keys *k);
int64_t keys_version(const struct keys *k);            /* of the last commit; -1: empty */
const struct keys_mark *keys_at(const struct keys *k); /* the mark of that version */
int64_t keys_rows(const struct keys *k);               /* with those that were added since */

/* Adds keys; they are there for good with the next commit only. */
int keys_add(struct keys *k, const struct key *v, size_t n, struct err *e);
/* All that was added is there after this, or nothing of it; also after a power loss. */
int keys_commit(struct keys *k, int64_t version, const struct keys_mark *mark, struct err *e);
/* Forgets everything, also on disk. */
int keys_clear(struct keys *k, struct err *e);

/*
 * Finds the committed keys with the hashes of v (`at` is not looked at): keys_ask with some at a
 * time, in any order, then keys_answer. Appends to `ret`, a key once for each time it was added.
 */
int keys_ask(struct keys *k, const struct key *v, size_t n, struct key_list *ret, struct err *e);
int keys_answer(struct keys *k, struct key_list *ret, struct err *e);

#endif
