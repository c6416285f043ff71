/* SPDX-License-Identifier: Apache-2.0 */
/* hold: making and mapping it, and the requests under way.
 *
 * Each worker thread has one flight, written by nobody else. When a daemon died, the keeper moves the flights
 * that were never ended to the list of suspects, where they gather what speaks against them; a request that
 * is answered after all is struck off. The keeper writes only while no daemon lives, so nothing here needs a
 * lock: words that two threads of a daemon may meet in are atomic.
 */
#include "keeper/hold.h"

#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/io.h"
#include "keeper/hold_int.h"

static const unsigned counts[] = { [DEATH_KILLED] = 0, [DEATH_STARVED] = 10, [DEATH_CRASHED] = 30 };

int hold_create(void)
{
	AUTO_FD int fd = memfd_create("imagefs-hold", MFD_ALLOW_SEALING);
	uint64_t head[2] = { HOLD_MAGIC, sizeof(struct hold_memory) };

	if (fd < 0 || ftruncate(fd, sizeof(struct hold_memory)) < 0)
		return -1;
	int r = io_pwrite(fd, head, sizeof head, 0);
	if (r < 0) {
		errno = -r;
		return -1;
	}
	/* Nobody can shorten it under those who have it mapped. */
	if (fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW) < 0)
		return -1;
	return steal_fd(&fd);
}

static int check_size(int fd, struct error *err)
{
	struct stat st;

	if (fstat(fd, &st) < 0)
		return fail_errno(err, "The memory that the keeper holds cannot be read");
	if ((uint64_t)st.st_size != sizeof(struct hold_memory))
		return fail(err, ERR_DAMAGED, "The memory that the keeper holds has %lld bytes instead of %zu: "
			    "keeper and daemon are not the same version", (long long)st.st_size,
			    sizeof(struct hold_memory));
	return 0;
}

static int check_head(const struct hold_memory *m, struct error *err)
{
	if (m->magic == HOLD_MAGIC && m->size == sizeof *m && m->slots_reached <= SLOTS)
		return 0;
	return fail(err, ERR_DAMAGED, "The memory that the keeper holds is not what this version of the daemon expects");
}

static void count_suspects(struct hold *h)
{
	for (unsigned i = 0; i < SUSPECTS_MAX; i++)
		h->suspects += h->memory->suspects[i].unique != 0;
}

int hold_map(struct hold **ret, int fd, struct error *err)
{
	int r = check_size(fd, err);
	if (r < 0)
		return r;
	struct hold *h = calloc(1, sizeof *h);
	if (!h)
		return fail(err, -ENOMEM, "There is no memory for the table of open files");
	pthread_rwlock_init(&h->handles_lock, NULL);
	pthread_mutex_init(&h->why_lock, NULL);
	pthread_mutex_init(&h->reads_lock, NULL);
	pthread_mutex_init(&h->texts_lock, NULL);
	h->memory = mmap(NULL, sizeof *h->memory, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (h->memory == MAP_FAILED) {
		h->memory = NULL;
		r = fail_errno(err, "The memory that the keeper holds cannot be mapped");
	} else {
		r = check_head(h->memory, err);
	}
	if (r == 0 && handles_prepare(h) < 0)
		r = fail(err, -ENOMEM, "There is no memory for the table of open files");
	if (r < 0) {
		hold_unmap(h);
		return r;
	}
	why_prepare(h);
	reads_prepare(h);
	texts_prepare(h);
	count_suspects(h);
	*ret = h;
	return 0;
}

void hold_unmap(struct hold *h)
{
	if (!h)
		return;
	handles_release(h);
	if (h->memory)
		munmap(h->memory, sizeof *h->memory);
	pthread_rwlock_destroy(&h->handles_lock);
	pthread_mutex_destroy(&h->why_lock);
	pthread_mutex_destroy(&h->reads_lock);
	pthread_mutex_destroy(&h->texts_lock);
	free(h);
}

/* ---- requests under way */

void hold_flight_begin(struct hold *h, unsigned slot, uint32_t conn, uint64_t unique, uint32_t opcode)
{
	struct flight *f = &h->memory->flights[slot];

	f->conn = conn;
	f->opcode = opcode;
	atomic_store_explicit(&f->unique, unique, memory_order_release);
}

static struct suspect *find_suspect(struct hold *h, uint32_t conn, uint64_t unique)
{
	for (struct suspect *s = h->memory->suspects; s < h->memory->suspects + SUSPECTS_MAX; s++)
		if (atomic_load_explicit(&s->unique, memory_order_acquire) == unique && s->conn == conn)
			return s;
	return NULL;
}

static void clear_suspect(struct hold *h, struct suspect *s)
{
	if (s && atomic_exchange(&s->unique, 0))
		h->suspects--;
}

void hold_flight_end(struct hold *h, unsigned slot)
{
	struct flight *f = &h->memory->flights[slot];

	if (h->suspects)
		clear_suspect(h, find_suspect(h, f->conn, f->unique));
	atomic_store_explicit(&f->unique, 0, memory_order_release);
}

/* A place for one more; when all are taken, that of the one with the least against it. */
static struct suspect *free_suspect(struct hold *h)
{
	struct suspect *least = &h->memory->suspects[0];

	for (struct suspect *s = h->memory->suspects; s < h->memory->suspects + SUSPECTS_MAX; s++) {
		if (s->unique == 0)
			return s;
		if (s->account < least->account)
			least = s;
	}
	clear_suspect(h, least);
	return least;
}

static struct suspect *add_suspect(struct hold *h, uint32_t conn, uint64_t unique)
{
	struct suspect *s = free_suspect(h);

	s->conn = conn;
	s->account = 0;
	h->suspects++;
	atomic_store_explicit(&s->unique, unique, memory_order_release);
	return s;
}

/* One that was under way. Was it condemned by this? */
static bool accuse(struct hold *h, const struct flight *f, unsigned weight)
{
	struct suspect *s = find_suspect(h, f->conn, f->unique);

	if (!s)
		s = add_suspect(h, f->conn, f->unique);
	bool was = s->account >= DEATHS_MAX;
	s->account += weight;
	return !was && s->account >= DEATHS_MAX;
}

unsigned hold_flights_died(struct hold *h, enum hold_death kind)
{
	unsigned condemned = 0;

	for (struct flight *f = h->memory->flights; f < h->memory->flights + FLIGHTS_MAX; f++) {
		if (f->unique && counts[kind])
			condemned += accuse(h, f, counts[kind]);
		f->unique = 0;
	}
	return condemned;
}

unsigned hold_deaths(struct hold *h, uint32_t conn, uint64_t unique)
{
	struct suspect *s = h->suspects ? find_suspect(h, conn, unique) : NULL;

	return s ? s->account : 0;
}

void hold_suspects_remove_conn(struct hold *h, uint32_t conn)
{
	if (h->suspects == 0)
		return;
	for (struct suspect *s = h->memory->suspects; s < h->memory->suspects + SUSPECTS_MAX; s++)
		if (atomic_load_explicit(&s->unique, memory_order_acquire) && s->conn == conn)
			clear_suspect(h, s);
}
