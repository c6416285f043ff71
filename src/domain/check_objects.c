/* SPDX-License-Identifier: Apache-2.0 */
/* check_objects: all objects of the snapshot as one sorted table. A large one lives in an unlinked file
 * in the store's folder, so that memory is the page cache's business. The file's space is allocated
 * first: a full disk is an error, not a SIGBUS. */
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/num.h"
#include "domain/check_int.h"
#include "store/codec.h"

#define IN_MEMORY (UINT64_C(1) << 20)
#define LOOK_AT 512u

static int table_file(struct check *c, size_t len, int *ret, struct error *err)
{
	AUTO_FD int fd = open(c->service->dir, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
	if (fd < 0)
		return fail_errno(err, "No temporary file can be made in %s", c->service->dir);
	int r = posix_fallocate(fd, 0, (off_t)len);
	if (r)
		return fail(err, -r, "There is no room in %s for a temporary file of %zu bytes.",
			    c->service->dir, len);
	*ret = steal_fd(&fd);
	return 0;
}

static int make_table(struct check *c, uint64_t count, struct error *err)
{
	AUTO_FD int fd = -1;
	size_t len = (size_t)(count + 1) * sizeof *c->objects;
	int r = count > IN_MEMORY ? table_file(c, len, &fd, err) : 0;
	if (r < 0)
		return r;
	void *p = mmap(NULL, len, PROT_READ | PROT_WRITE, fd < 0 ? MAP_PRIVATE | MAP_ANONYMOUS : MAP_SHARED, fd, 0);
	if (p == MAP_FAILED)
		return fail_errno(err, "There is no memory for a table of all objects");
	c->objects = p;
	c->room = count + 1;
	return 0;
}

void check_objects_free(struct check *c)
{
	if (c->objects)
		munmap(c->objects, (size_t)c->room * sizeof *c->objects);
	c->objects = NULL;
}

static void make_key(uint32_t domain, const struct hash *hash, uint8_t ret[OBJECT_KEY_SIZE])
{
	put_be32(ret, domain);
	memcpy(ret + 4, hash->b, OBJECT_KEY_SIZE - 4);
}

static int add_object(struct check *c, const struct loose *o)
{
	if (c->n_objects == c->room)
		return ERR_DAMAGED; /* more rows than LMDB counts */
	struct check_object *at = &c->objects[c->n_objects++];
	make_key(o->domain, &o->hash, at->key);
	at->kind = o->row.place.kind;
	if (o->row.lender)
		at->flags = OBJECT_BORROWED;
	else if (at->kind == OBJECT_NODE)
		c->report->nodes++;
	else
		c->report->chunks++;
	return 0;
}

int check_objects_load(struct check *c, struct error *err)
{
	uint64_t bytes, live, packs, count;
	uint8_t cursor[32] = { 0 };
	AUTO_FREE struct loose *found = calloc(LOOK_AT, sizeof *found);
	int n = pack_totals(c->txn, &bytes, &live, &packs, &count);
	int r = n < 0 ? fail(err, n, "The catalog's totals cannot be read (%s).", err_name(n))
		      : make_table(c, count, err);
	if (r < 0 || !found)
		return r < 0 ? r : fail(err, -ENOMEM, "There is no memory to check.");
	while ((n = object_each(c->txn, cursor, found, LOOK_AT)) > 0)
		for (int i = 0; i < n; i++)
			if ((r = add_object(c, &found[i])) < 0)
				return fail(err, r, "The catalog's objects cannot be counted.");
	return check_walked(c, n, "objects", err);
}

static int compare_key(const void *key, const void *object)
{
	return memcmp(key, ((const struct check_object *)object)->key, OBJECT_KEY_SIZE);
}

struct check_object *check_object_find(struct check *c, uint32_t domain, const struct hash *hash)
{
	uint8_t key[OBJECT_KEY_SIZE];
	make_key(domain, hash, key);
	return bsearch(key, c->objects, (size_t)c->n_objects, sizeof *c->objects, compare_key);
}

struct check_object *check_object_follow(struct check *c, uint32_t *domain, const struct hash *hash)
{
	struct object_row row;
	struct check_object *at = check_object_find(c, *domain, hash);
	if (!at || !(at->flags & OBJECT_BORROWED))
		return at;
	if (object_get(c->txn, *domain, hash, &row) < 0)
		return NULL;
	*domain = row.lender;
	at = check_object_find(c, row.lender, hash);
	return at && !(at->flags & OBJECT_BORROWED) ? at : NULL;
}

int check_objects_each(struct check *c, int (*each)(struct check *, struct check_object *, const struct loose *),
		       struct error *err)
{
	uint8_t cursor[32] = { 0 };
	uint64_t done = 0;
	int n;
	AUTO_FREE struct loose *found = calloc(LOOK_AT, sizeof *found);
	if (!found)
		return fail(err, -ENOMEM, "There is no memory to check.");
	while ((n = object_each(c->txn, cursor, found, LOOK_AT)) > 0) {
		check_progress(c, done, c->n_objects, "objects");
		for (int i = 0; i < n && done < c->n_objects; i++) {
			int r = each(c, &c->objects[done++], &found[i]);
			if (r < 0)
				return fail(err, r, "The objects could not be checked (%s).", err_name(r));
		}
	}
	return n < 0 && n != ERR_DAMAGED ? fail(err, n, "The catalog cannot be read (%s).", err_name(n)) : 0;
}

static int unpack_node(const struct place *p, const uint8_t *frame, const struct hash *hash,
		       struct hash kids[NODE_FANOUT], struct error *err)
{
	struct hash found;
	if (codec_unpack(frame, p->length, kids, NODE_SIZE) < 0)
		return fail(err, ERR_DAMAGED, "its bytes do not match their checksum");
	hash_of(kids, NODE_SIZE, &found);
	return memcmp(&found, hash, OBJECT_KEY_SIZE - 4) == 0
		       ? 0
		       : fail(err, ERR_DAMAGED, "its bytes are those of another");
}

int check_read_node(struct check *c, uint32_t domain, const struct hash *hash, struct hash kids[NODE_FANOUT],
		    struct error *err)
{
	uint8_t frame[FRAME_MAX];
	struct object_row row;
	int r = object_get(c->txn, domain, hash, &row);
	if (r < 0)
		return fail(err, r == -ENOENT ? ERR_DAMAGED : r, "it is not in the index");
	if (row.place.kind != OBJECT_NODE)
		return fail(err, ERR_DAMAGED, "it is not a part of a map");
	r = pack_read_frame(c->service->store->backend, &row.place, frame, err);
	if (r < 0)
		return r == -ENOMEM ? r : ERR_DAMAGED;
	return unpack_node(&row.place, frame, hash, kids, err);
}
