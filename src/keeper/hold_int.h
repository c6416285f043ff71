/* SPDX-License-Identifier: Apache-2.0 */
/* hold_int: how the hold lies in memory. For hold*.c only.
 *
 * Everything below struct hold_memory is shared between the keeper and one daemon after the other. It is all
 * zero when new, and every part of it has a word that makes it valid: zero is "absent". Writers store the
 * fields first and that word last, with release order, so that a kill between any two instructions leaves a
 * part absent or whole. What makes it quick to search (chains, free lists, the newest number) is rebuilt in
 * struct hold whenever a process maps it.
 */
#ifndef IMAGEFS_KEEPER_HOLD_INT_H
#define IMAGEFS_KEEPER_HOLD_INT_H

#include <pthread.h>
#include <stdatomic.h>

#include "keeper/hold.h"

#define HOLD_MAGIC 0x31646c6f68666d69u /* "imfhold1" */
#define SLOTS (HANDLES_MAX + 1)        /* one is spare: a changed handle is written beside the old one */
#define NO_SLOT UINT32_MAX
#define SUSPECTS_MAX 1024
#define WHY_UIDS 32

struct slot {
	_Atomic uint64_t generation; /* 0: free. Of two slots for one handle the higher one is meant */
	struct hold_handle handle;
};

struct flight {
	_Alignas(64) _Atomic uint64_t unique; /* 0: none */
	uint32_t conn, opcode;
};

/* A request that was under way when a daemon died. */
struct suspect {
	_Atomic uint64_t unique; /* 0: free */
	uint32_t conn;
	_Atomic uint32_t account;
};

/* The refusals of one uid. Numbers grow over all rings, so they tell which entry, and which ring, is oldest. */
struct why_ring {
	_Atomic uint32_t used;
	uint32_t uid;
	_Atomic uint64_t number[WHY_KEPT]; /* 0: absent */
	struct hold_why why[WHY_KEPT];
};

struct link_read {
	_Atomic uint64_t number; /* 0: absent */
	struct hold_read read;
};

struct text_slot {
	_Atomic uint64_t generation; /* 0: free. Of two slots for one handle the higher one is meant */
	uint64_t fh;
	uint32_t conn, len;
	char text[HOLD_TEXT_MAX];
};

struct hold_memory {
	uint64_t magic;
	uint64_t size; /* of all this: another layout is another program's */
	_Atomic uint32_t slots_reached; /* slots from here on were never used */
	struct flight flights[FLIGHTS_MAX];
	struct suspect suspects[SUSPECTS_MAX];
	struct why_ring rings[WHY_UIDS];
	struct link_read reads[READS_KEPT];
	struct text_slot texts[TEXTS_MAX + 1]; /* one is spare: a changed text is written beside the old one */
	struct slot slots[SLOTS];
};

struct hold {
	struct hold_memory *memory;

	pthread_rwlock_t handles_lock; /* guards memory->slots and what follows */
	uint32_t *heads;               /* [HANDLES_MAX] chains by hash of (conn, fh) */
	uint32_t *nexts;               /* [SLOTS] in the chain, or in the free list */
	uint32_t free_head;
	uint32_t handles;              /* how many there are */
	struct conn_count {
		uint32_t conn, handles;
	} *counts;                     /* of connections that have any */
	uint32_t n_counts, counts_room;
	uint64_t generation;           /* the last one given out */

	pthread_mutex_t why_lock;      /* guards memory->rings and: */
	uint64_t why_number;           /* the last one given out */

	pthread_mutex_t reads_lock;    /* guards memory->reads and: */
	uint64_t read_number;          /* the last one given out */

	pthread_mutex_t texts_lock;    /* guards memory->texts and: */
	uint64_t text_generation;      /* the last one given out */
	_Atomic uint32_t texts;        /* how many there are */

	_Atomic uint32_t suspects;     /* how many of memory->suspects are in use */
};

int handles_prepare(struct hold *) MUST_USE; /* -ENOMEM */
void handles_release(struct hold *);
void why_prepare(struct hold *);
void reads_prepare(struct hold *);
void texts_prepare(struct hold *); /* after the handles */
void hold_texts_remove_conn(struct hold *, uint32_t conn);
void hold_suspects_remove_conn(struct hold *, uint32_t conn);

#endif
