/* SPDX-License-Identifier: Apache-2.0 */
/* rig: a store in a temporary folder, opened without a daemon, with images whose disks are written
 * chunk by chunk: for tests of the domain. Whatever goes wrong in here ends the test. */
#ifndef IMAGEFS_T_RIG_H
#define IMAGEFS_T_RIG_H

#include "domain/service.h"

struct rig {
	char dir[4096];
	struct service *service;
};

void rig_make(struct rig *, const char *name); /* init and open */
void rig_open(struct rig *);
void rig_close(struct rig *);

/* A new image (custom, first region) with an empty disk: its node. */
uint64_t rig_image(struct rig *, const char *name, enum image_state);
uint64_t rig_disk_of(struct rig *, uint64_t node);
struct image rig_row(struct rig *, uint64_t node); /* node is 0 when there is none */
void rig_change(struct rig *, const struct image *);

/* Fill a chunk with bytes that follow from the seed and don't compress; 0: zeros. */
void rig_bytes(uint64_t seed, uint8_t ret[CHUNK_SIZE]);

/* Write one chunk for each seed from `chunk` on, and fold. */
void rig_write(struct rig *, uint64_t node, uint64_t chunk, const uint64_t *seeds, unsigned count);
bool rig_holds(struct rig *, uint64_t node, uint64_t chunk, const uint64_t *seeds, unsigned count);

void rig_purge(struct rig *, uint64_t node);

struct rig_totals {
	uint64_t bytes, live, packs, objects;
	uint64_t files; /* in the backend */
};
struct rig_totals rig_totals(struct rig *);

/* Path of the file of pack `no`, and change a byte at `offset` of it (from the end when negative). */
char *rig_pack_path(struct rig *, uint32_t no, char ret[4200]);
void rig_flip(struct rig *, uint32_t no, int64_t offset);

#endif
