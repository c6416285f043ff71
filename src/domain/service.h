/* SPDX-License-Identifier: Apache-2.0 */
/* service: a store that is open: what front, daemon and cli hold in their hands.
 *
 * On disk a store is a folder (docs/format-store.md):
 *     imagefs.store   "imagefs store 2\n" + uuid: what it is, and the version of its format
 *     lock            flock(2)ed by whoever has it open
 *     socket          where the daemon listens
 *     catalog/        LMDB
 *     pool/           packs (pool 0)
 *     overlay/        what was written and is not folded yet
 */
#ifndef IMAGEFS_DOMAIN_SERVICE_H
#define IMAGEFS_DOMAIN_SERVICE_H

#include <pthread.h>

#include "catalog/catalog.h"
#include "catalog/disk_tab.h"
#include "catalog/image.h"
#include "store/disk.h"

#define STORE_FORMAT 2

struct service;
struct who;

/* Who may see what changed, or could before. Nobody else's kernel is told: it would forget what it was given to keep, true or not, and so tell whoever
 * planted that that there was a change. Operators see everything. */
struct seers {
	bool all;
	uint32_t account;
};
#define SEEN_BY_ALL ((struct seers){ .all = true })
#define SEEN_BY(number) ((struct seers){ .account = (number) })

/* Something changed that kernels may have cached: called after the commit, from the thread that made the change. */
struct service_events {
	void (*entry)(void *ctx, struct seers, uint64_t parent, const char *name); /* this name means something else now */
	void (*inode)(void *ctx, struct seers, uint64_t node, bool content);      /* attributes (and content) of this node */
	void (*rights)(void *ctx);                                  /* accounts have changed: rights are looked up again */
	bool (*is_waited_for)(void *ctx, uint32_t pid);             /* a question: does the caller of the request that this thread carries out live? */
	bool (*is_written)(void *ctx, uint64_t disk);               /* a question: has somebody this disk open for writing? */
	void *ctx;
};

struct service_options {
	size_t cache;     /* bytes of decoded chunks; 0: default */
	int level;        /* zstd; 0: default */
	unsigned threads; /* 0: as many as there are processors */
	const char *prober; /* program that looks into disks in a cage (probe_cage.h); NULL: no cage, as in unit tests */
};

struct service {
	char *dir; /* absolute */
	char uuid[37];
	struct catalog *catalog;
	struct store *store;
	struct service_events events; /* set by the daemon before anything is served */
	struct quotas *quotas;        /* bytes-per-region: domain/quota.h */
	struct disks *disks;          /* open ones: domain/disks.h */
	struct to_measure *to_measure; /* disks that take long to be counted: domain/upload.h */
	struct refusals *refusals;    /* how many went into the log: domain/refusals.h */
	struct gc *gc;                /* background: domain/gc.h */
	struct test_clock *test_clock; /* NULL: the store has none */
	const char *prober;            /* as in the options */
	uint64_t hurt_reviewed; /* disk up to which damage_review() has come; the collector's */
	int64_t started;
	_Atomic uint64_t texts_made;      /* generated files that were made, to be read or measured: for .metrics */
	_Atomic uint64_t account_changes; /* goes up after each: rights that were looked up before are looked up again */
};

/* Make a new store at `dir` (absent, or an empty folder): its folders, catalog, regions, and an account `account` for `uid`,
 * which is also operator. Nothing is left behind on failure. regions: NULL-terminated "NAME" or "NAME:copy=no"; NULL: the default five. */
int service_init(const char *dir, const char *account, uint32_t uid, const char *const *regions, struct error *err) MUST_USE;

/* The lock of a store: an open descriptor that holds it (close-on-exec off), or -EBUSY with a sentence, -ENOENT/-EINVAL when it is no store,
 * ERR_NEWER when a newer version made it. service_open() itself does not take it: whoever calls has it. */
int service_lock(const char *dir, int *ret_fd, struct error *err) MUST_USE;
int service_probe(const char *dir, struct error *err) MUST_USE; /* is it a store that this version can open? */

/* A store of an older format is brought to STORE_FORMAT, and the log says so: older versions refuse it from then on. */
int service_open(struct service **ret, const char *dir, const struct service_options *, struct error *err) MUST_USE;
void service_close(struct service *);

/* The account of a uid. -EACCES with a sentence when it has none. */
int service_account_of(struct service *, uint32_t uid, uint32_t *ret_no, char ret_name[33], struct error *err) MUST_USE;

/* What an account may do (false: there is no such account), and whether a uid is one of its. */
bool service_rights(struct service *, uint32_t account, bool *ret_operator, bool *ret_vendor);
bool service_uid_belongs(struct service *, uint32_t uid, uint32_t account);

/* Bytes of the pool for df: in all, free. */
int service_space(struct service *, uint64_t *ret_total, uint64_t *ret_free, struct error *err) MUST_USE;

/* Facts for `imagefs status STORE`: `key: value` lines. Without `all` nothing that others change: how much there is tells of neighbours. */
struct buf;
int service_facts(struct service *, bool all, struct buf *ret, struct error *err) MUST_USE;

#endif
