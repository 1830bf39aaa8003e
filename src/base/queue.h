/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The one bounded queue: pointers from some threads to others, first in, first out. Each
 * declaration says who puts in and who takes out: "poll -> decode".
 *
 * Closing wakes everybody: puts are refused, takes drain what is left and then give NULL.
 */
#ifndef CM_BASE_QUEUE_H
#define CM_BASE_QUEUE_H

struct queue;
struct queue *queue_new(size_t capacity);
void queue_free(struct queue *q); /* must be empty or its items owned elsewhere */
/* Waits for room; false: closed, the item stays the caller's. */
bool queue_put(struct queue *q, void *item);
/* Waits for an item; NULL: closed and empty. */
void *queue_take(struct queue *q);
/* NULL also when nothing came within ms. */
void *queue_take_for(struct queue *q, int ms);
void queue_close(struct queue *q);

#endif
