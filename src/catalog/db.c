/* SPDX-License-Identifier: Apache-2.0 */
/* The LMDB environment. One named database a table, all opened once when the environment is.
 *
 * Nothing is mapped writable: what is written goes through a file descriptor, so a stray pointer cannot damage the catalog,
 * and a commit is durable (fdatasync, then the meta page written through). The map is address space only.
 *
 * Read transactions that ended are kept, reset, in a small pool: renewing one costs no allocation and
 * no lock of LMDB. A reset one holds no pages back. MDB_NOTLS lets any thread use them.
 *
 * A folder is open once: flock() on it says so (LMDB breaks when one process opens an environment twice).
 */
#include "catalog/db.h"

#include <fcntl.h>
#include <limits.h>
#include <lmdb.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>

#include "base/cleanup.h"
#include "base/io.h"
#include "base/num.h"
#include "catalog/commit.h"
#include "catalog/format.h"
#include "catalog/ledger_clock.h"

#define READERS_MAX 1022 /* transactions at the same time, idle ones included */
#define IDLE_MAX 32
#define NO_TABLE ((MDB_dbi)-1)
#define RESERVE_MAX ((uint64_t)8 << 20)

static const char *const table_names[DB_TABLES_] = {
	[DB_META] = "meta",
	[DB_REGION] = "region", [DB_REGION_NAME] = "region-name",
	[DB_ACCOUNT] = "account", [DB_ACCOUNT_NAME] = "account-name", [DB_ACCOUNT_UID] = "account-uid",
	[DB_ACCOUNT_DOMAIN] = "account-domain",
	[DB_IMAGE] = "image", [DB_IMAGE_NAME] = "image-name", [DB_IMAGE_SHELF] = "image-shelf",
	[DB_IMAGE_ID] = "image-id", [DB_IMAGE_CHILD] = "image-child", [DB_IMAGE_COUNT] = "image-count",
	[DB_SETTING] = "setting",
	[DB_SHARE] = "share", [DB_SHARE_OF] = "share-of", [DB_SHARE_TO] = "share-to", [DB_SHARE_NAME] = "share-name",
	[DB_DISK] = "disk", [DB_HOLD] = "hold",
	[DB_OBJECT] = "object", [DB_LOOSE] = "loose", [DB_PACK] = "pack",
	[DB_METER] = "meter", [DB_METER_SUM] = "meter-sum",
	[DB_RUN] = "run", [DB_BILL] = "bill",
	[DB_POLICY] = "policy", [DB_DAY] = "day",
	[DB_ANSWER] = "answer", [DB_LOG] = "log",
	[DB_HURT] = "hurt", [DB_LOG_RING] = "log-ring",
};

struct catalog {
	MDB_env *env;
	MDB_dbi tables[DB_TABLES_]; /* fixed once open */
	bool readonly;
	int lock_fd; /* the folder, locked */
	struct commit_queue *queue;
	struct clock_source clock; /* fixed before anything else is done */
	char boot_id[BOOT_ID_SIZE];
	uint32_t came_with; /* the format that it had when it was opened; fixed before anything else is done */
	uint64_t reserved; /* bytes of the file that have their space; whoever writes has it */
	pthread_mutex_t lock; /* guards idle, n_idle */
	struct cat_txn *idle;
	unsigned n_idle;
	void (*broken)(void *ctx); /* these two are fixed before anything else is done */
	void *broken_ctx;
};

/* ---- LMDB's codes in our language ---- */

static int code_of(int rc)
{
	switch (rc) {
	case MDB_NOTFOUND: return -ENOENT;
	case MDB_KEYEXIST: return -EEXIST;
	case MDB_MAP_FULL:
	case MDB_TXN_FULL: return -ENOSPC;
	case MDB_READERS_FULL: return -EAGAIN;
	case MDB_VERSION_MISMATCH: return ERR_NEWER;
	case MDB_CORRUPTED:
	case MDB_PAGE_NOTFOUND:
	case MDB_INVALID:
	case MDB_INCOMPATIBLE: return ERR_DAMAGED;
	case MDB_BAD_VALSIZE: return -EINVAL;
	default: return rc > 0 ? -rc : rc < 0 ? -EIO : 0;
	}
}

static int txn_code(struct cat_txn *txn, int rc)
{
	if (rc == MDB_MAP_FULL || rc == MDB_TXN_FULL || rc == MDB_BAD_TXN)
		txn->full = true;
	return code_of(rc);
}

static int fail_lmdb(struct error *err, int rc, const char *what)
{
	return fail(err, code_of(rc), "%s: %s.", what, mdb_strerror(rc));
}

/* ---- opening ---- */

/* Holds the folder for this catalog alone until the descriptor is closed. */
static int lock_folder(const char *dir, int *ret, struct error *err)
{
	AUTO_FD int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return fail_errno(err, "The catalog's folder %s cannot be opened", dir);
	if (flock(fd, LOCK_EX | LOCK_NB)) {
		if (errno == EWOULDBLOCK)
			return fail(err, -EBUSY, "The catalog in %s is in use.", dir);
		return fail_errno(err, "The catalog's folder %s cannot be locked", dir);
	}
	*ret = steal_fd(&fd);
	return 0;
}

static int check_presence(const struct catalog *cat, const char *dir, int flags, struct error *err)
{
	bool there = faccessat(cat->lock_fd, "data.mdb", F_OK, 0) == 0;
	if (there && (flags & CAT_CREATE))
		return fail(err, -EEXIST, "There is a catalog in %s already.", dir);
	if (!there && !(flags & CAT_CREATE))
		return fail(err, -ENOENT, "There is no catalog in %s.", dir);
	return 0;
}

/* flags: LMDB's own, beside those that every catalog has. */
static int open_env(struct catalog *cat, const char *path, unsigned flags, uint64_t map_size, struct error *err)
{
	if (map_size > SIZE_MAX)
		return fail(err, -ENOMEM, "A catalog cannot be mapped with so few bits of address.");
	int rc = mdb_env_create(&cat->env);
	if (!rc)
		rc = mdb_env_set_maxdbs(cat->env, DB_TABLES_);
	if (!rc)
		rc = mdb_env_set_maxreaders(cat->env, READERS_MAX);
	if (!rc)
		rc = mdb_env_set_mapsize(cat->env, (size_t)map_size);
	if (!rc)
		rc = mdb_env_open(cat->env, path, flags | MDB_NOTLS | MDB_NORDAHEAD | (cat->readonly ? MDB_RDONLY : 0), 0600);
	if (!rc)
		rc = mdb_reader_check(cat->env, NULL);
	if (!rc)
		return 0;
	return fail(err, code_of(rc), "The catalog in %s cannot be opened: %s.", path, mdb_strerror(rc));
}

/* -ENOENT, without a sentence, when it is not there and need not be. */
static int open_table(struct cat_txn *txn, unsigned table, bool create, struct error *err)
{
	int rc = mdb_dbi_open(txn->mdb, table_names[table], create ? MDB_CREATE : 0, &txn->catalog->tables[table]);
	if (rc == MDB_NOTFOUND && table >= DB_TABLES_OF_FORMAT_1)
		return -ENOENT;
	if (rc)
		return fail(err, db_must_be(code_of(rc)), "The catalog's table \"%s\" cannot be opened: %s.", table_names[table],
			    mdb_strerror(rc));
	return 0;
}

/* All but "meta". -ENOENT: they are to be made. */
static int open_tables_in(struct cat_txn *txn, bool create, struct error *err)
{
	int r = 0;
	for (unsigned i = DB_META + 1; r == 0 && i < DB_TABLES_; i++)
		r = open_table(txn, i, create, err);
	return r;
}

/* The format is looked at first: a newer one may have other tables. */
static int look_at_tables(struct cat_txn *txn, uint32_t *ret_format, struct error *err)
{
	int r = open_table(txn, DB_META, false, err);
	if (r == 0)
		r = format_read(txn, ret_format, err);
	return r ? r : open_tables_in(txn, false, err);
}

static int make_tables(struct cat_txn *txn, uint32_t *ret_format, struct error *err)
{
	int r = open_table(txn, DB_META, true, err);
	if (r == 0)
		r = format_write_first(txn);
	*ret_format = CATALOG_FORMAT;
	return r ? r : open_tables_in(txn, true, err);
}

/* One step further; or, when there is none to make, the tables that are not there yet. All are opened anew: a transaction that was
 * given up took its handles with it. */
static int upgrade_once(struct cat_txn *txn, uint32_t *format, struct error *err)
{
	int r = open_table(txn, DB_META, false, err);
	if (r == 0)
		r = open_tables_in(txn, true, err);
	return r || *format == CATALOG_FORMAT ? r : format_step(txn, format, err);
}

static int in_transaction(struct catalog *cat, bool write, int (*fn)(struct cat_txn *, uint32_t *, struct error *), uint32_t *format,
			  struct error *err)
{
	struct cat_txn txn = { .catalog = cat, .write = write };
	int rc = mdb_txn_begin(cat->env, NULL, write ? 0 : MDB_RDONLY, &txn.mdb);
	if (rc)
		return fail_lmdb(err, rc, "The catalog's tables cannot be opened");
	int r = fn(&txn, format, err);
	if (r) {
		mdb_txn_abort(txn.mdb);
		return r;
	}
	rc = mdb_txn_commit(txn.mdb);
	return rc ? fail_lmdb(err, rc, "The catalog's tables cannot be opened") : 0;
}

static int open_tables(struct catalog *cat, bool create, struct error *err)
{
	uint32_t format = 0;
	int r = in_transaction(cat, create, create ? make_tables : look_at_tables, &format, err);
	bool lacks = r == -ENOENT;
	if (r && !lacks)
		return r;
	cat->came_with = format;
	if (cat->readonly && (lacks || format < CATALOG_FORMAT))
		return fail(err, -EROFS, "The catalog has format %u, and is brought to format %u when it is opened for writing.", format,
			    CATALOG_FORMAT);
	for (r = 0; r == 0 && (lacks || format < CATALOG_FORMAT); lacks = false)
		r = in_transaction(cat, true, upgrade_once, &format, err);
	return r;
}

static uint64_t used_bytes(MDB_env *env)
{
	MDB_envinfo info;
	MDB_stat s;
	if (mdb_env_info(env, &info) || mdb_env_stat(env, &s))
		return 0;
	return ((uint64_t)info.me_last_pgno + 1) * s.ms_psize;
}

/* Deleting needs new pages before it gives any back. They have their space ahead of time, as many as there are pages to
 * change, so that on a full disk one can still delete. What cannot be reserved is tried again later. */
static void reserve(struct catalog *cat)
{
	uint64_t used = used_bytes(cat->env), more = MIN(used, RESERVE_MAX);
	int fd;
	if (cat->readonly || used + more / 2 <= cat->reserved || mdb_env_get_fd(cat->env, &fd))
		return;
	if (fallocate(fd, FALLOC_FL_KEEP_SIZE, 0, (off_t)(used + more)) == 0)
		cat->reserved = used + more;
}

static int open_steps(struct catalog *cat, const char *dir, int flags, uint64_t map_size, struct error *err)
{
	int r = open_env(cat, dir, 0, map_size, err);
	if (r == 0)
		r = open_tables(cat, flags & CAT_CREATE, err);
	if (r == 0)
		reserve(cat);
	if (r == 0 && (flags & CAT_CREATE))
		r = io_sync_dir_fd(cat->lock_fd, err);
	if (r && (flags & CAT_CREATE)) { /* half a catalog is none */
		unlinkat(cat->lock_fd, "data.mdb", 0);
		unlinkat(cat->lock_fd, "lock.mdb", 0);
	}
	return r;
}

static struct catalog *new_catalog(bool readonly)
{
	struct catalog *cat = calloc(1, sizeof *cat);
	if (!cat)
		abort();
	pthread_mutex_init(&cat->lock, NULL);
	cat->queue = commit_queue_new();
	clock_read_boot_id(cat->boot_id);
	cat->clock = (struct clock_source){ clock_read_machine, cat->boot_id };
	cat->readonly = readonly;
	cat->lock_fd = -1;
	return cat;
}

int db_open(struct catalog **ret, const char *dir, int flags, uint64_t map_size, struct error *err)
{
	int r = flags & CAT_CREATE ? io_make_dir(dir, 0700, err) : 0;
	if (r)
		return r;
	struct catalog *cat = new_catalog(flags & CAT_READONLY);
	r = lock_folder(dir, &cat->lock_fd, err);
	if (r == 0)
		r = check_presence(cat, dir, flags, err);
	if (r == 0)
		r = open_steps(cat, dir, flags, map_size, err);
	if (r) {
		catalog_close(cat);
		return r;
	}
	*ret = cat;
	return 0;
}

int catalog_open(struct catalog **ret, const char *dir, int flags, struct error *err)
{
	static const uint64_t sizes[] = { 1024, 256, 64, 16, 4 }; /* GiB */
	struct error e = { .code = 0 };
	int r = -ENOMEM;
	for (unsigned i = 0; i < sizeof sizes / sizeof *sizes && (r == -ENOMEM || r == -EINVAL); i++)
		r = db_open(ret, dir, flags, sizes[i] << 30, &e);
	if (r && err)
		*err = e;
	return r;
}

void catalog_close(struct catalog *cat)
{
	if (!cat)
		return;
	for (struct cat_txn *t = cat->idle, *next; t; t = next) {
		next = t->next;
		mdb_txn_abort(t->mdb);
		free(t);
	}
	if (cat->env)
		mdb_env_close(cat->env);
	commit_queue_free(cat->queue);
	pthread_mutex_destroy(&cat->lock);
	cleanup_fd_(&cat->lock_fd);
	free(cat);
}

uint32_t catalog_came_with(const struct catalog *cat) { return cat->came_with; }

void catalog_set_clock(struct catalog *cat, const struct clock_source *source) { cat->clock = *source; }
const struct clock_source *db_clock(struct catalog *cat) { return &cat->clock; }

void catalog_on_broken(struct catalog *cat, void (*broken)(void *ctx), void *ctx)
{
	cat->broken = broken;
	cat->broken_ctx = ctx;
}

/* For want of a transaction. */
static int refused(struct catalog *cat, int rc, struct error *err, const char *what)
{
	if (rc == MDB_PANIC && cat->broken)
		cat->broken(cat->broken_ctx);
	return fail_lmdb(err, rc, what);
}

/* ---- read transactions ---- */

static struct cat_txn *take_idle(struct catalog *cat)
{
	WITH_LOCK(&cat->lock);
	struct cat_txn *t = cat->idle;
	if (t) {
		cat->idle = t->next;
		cat->n_idle--;
	}
	return t;
}

static bool give_idle(struct catalog *cat, struct cat_txn *t)
{
	WITH_LOCK(&cat->lock);
	if (cat->n_idle == IDLE_MAX)
		return false;
	t->next = cat->idle;
	cat->idle = t;
	cat->n_idle++;
	return true;
}

/* When all reader slots are taken some may belong to processes that died since we opened. */
static int begin_reader(struct catalog *cat, struct cat_txn *t)
{
	int rc = mdb_txn_begin(cat->env, NULL, MDB_RDONLY, &t->mdb);
	if (rc != MDB_READERS_FULL)
		return rc;
	mdb_reader_check(cat->env, NULL);
	return mdb_txn_begin(cat->env, NULL, MDB_RDONLY, &t->mdb);
}

int cat_begin(struct catalog *cat, struct cat_txn **ret, struct error *err)
{
	int rc;
	struct cat_txn *t = take_idle(cat);
	if (t) {
		rc = mdb_txn_renew(t->mdb);
		if (rc)
			mdb_txn_abort(t->mdb);
	} else {
		t = malloc(sizeof *t);
		if (!t)
			abort();
		rc = begin_reader(cat, t);
	}
	if (rc) {
		free(t);
		return refused(cat, rc, err, "The catalog cannot be read");
	}
	*t = (struct cat_txn){ .catalog = cat, .mdb = t->mdb };
	*ret = t;
	return 0;
}

void cat_end(struct cat_txn **txn)
{
	struct cat_txn *t = steal(txn);
	if (!t)
		return;
	mdb_txn_reset(t->mdb);
	if (give_idle(t->catalog, t))
		return;
	mdb_txn_abort(t->mdb);
	free(t);
}

/* ---- write transactions ---- */

struct commit_queue *db_commit_queue(struct catalog *cat) { return cat->queue; }

int db_write_begin(struct catalog *cat, struct cat_txn *parent, struct cat_txn *ret, struct error *err)
{
	if (cat->readonly)
		return fail(err, -EROFS, "The catalog is open for reading only.");
	*ret = (struct cat_txn){ .catalog = cat, .write = true };
	int rc = mdb_txn_begin(cat->env, parent ? parent->mdb : NULL, 0, &ret->mdb);
	if (rc == 0)
		return 0;
	txn_code(ret, rc);
	return refused(cat, rc, err, "The catalog cannot be written");
}

/* LMDB says EIO of a write that was cut short, which is how a file system begins to be full. */
static int what_eio_means(struct catalog *cat)
{
	int fd;
	if (mdb_env_get_fd(cat->env, &fd) || fallocate(fd, FALLOC_FL_KEEP_SIZE, 0, (off_t)(used_bytes(cat->env) + RESERVE_MAX)) == 0)
		return EIO;
	return errno == ENOSPC || errno == EDQUOT ? errno : EIO;
}

int db_write_commit(struct cat_txn *txn, struct error *err)
{
	int rc = mdb_txn_commit(txn->mdb);
	if (rc == EIO)
		rc = what_eio_means(txn->catalog);
	reserve(txn->catalog);
	if (rc == 0)
		return 0;
	txn_code(txn, rc);
	return fail_lmdb(err, rc, "The catalog could not be written, and is as it was before");
}

void db_write_abort(struct cat_txn *txn) { mdb_txn_abort(txn->mdb); }

/* ---- rows ---- */

static bool key_fits(const struct key *k) { return k->len > 0 && k->len <= KEY_MAX; }
static MDB_val val_of_key(const struct key *k) { return (MDB_val){ k->len, (void *)(uintptr_t)k->data }; }
static MDB_val val_of(struct bytes b) { return (MDB_val){ b.len, (void *)(uintptr_t)b.data }; }
static struct bytes bytes_of(MDB_val v) { return (struct bytes){ v.mv_data, v.mv_size }; }

int db_get(struct cat_txn *txn, enum db_table table, const struct key *key, struct bytes *ret)
{
	if (!key_fits(key))
		return -ENOENT;
	MDB_val k = val_of_key(key), v;
	int rc = mdb_get(txn->mdb, txn->catalog->tables[table], &k, &v);
	if (rc)
		return txn_code(txn, rc);
	*ret = bytes_of(v);
	return 0;
}

static int put(struct cat_txn *txn, enum db_table table, const struct key *key, const struct record *r,
	       unsigned flags)
{
	if (!txn->write)
		return -EROFS;
	if (!key_fits(key) || r->bad)
		return -EINVAL;
	MDB_val k = val_of_key(key), v = val_of((struct bytes){ r->data, r->len });
	return txn_code(txn, mdb_put(txn->mdb, txn->catalog->tables[table], &k, &v, flags));
}

int db_put(struct cat_txn *txn, enum db_table table, const struct key *key, const struct record *r)
{
	return put(txn, table, key, r, 0);
}

int db_insert(struct cat_txn *txn, enum db_table table, const struct key *key, const struct record *r)
{
	return put(txn, table, key, r, MDB_NOOVERWRITE);
}

int db_remove(struct cat_txn *txn, enum db_table table, const struct key *key)
{
	if (!txn->write)
		return -EROFS;
	if (!key_fits(key))
		return -ENOENT;
	MDB_val k = val_of_key(key);
	return txn_code(txn, mdb_del(txn->mdb, txn->catalog->tables[table], &k, NULL));
}

int db_count(struct cat_txn *txn, enum db_table table, uint64_t *ret)
{
	MDB_stat s;
	int rc = mdb_stat(txn->mdb, txn->catalog->tables[table], &s);
	if (rc)
		return txn_code(txn, rc);
	*ret = s.ms_entries;
	return 0;
}

/* ---- cursors ---- */

/* LMDB's cursor under our name; the transaction is found for its codes. */
struct db_cursor {
	struct cat_txn *txn;
	MDB_cursor *mdb;
};

int db_cursor_open(struct cat_txn *txn, enum db_table table, struct db_cursor **ret)
{
	struct db_cursor *c = malloc(sizeof *c);
	if (!c)
		abort();
	c->txn = txn;
	int rc = mdb_cursor_open(txn->mdb, txn->catalog->tables[table], &c->mdb);
	if (rc) {
		free(c);
		return txn_code(txn, rc);
	}
	*ret = c;
	return 0;
}

void db_cursor_close(struct db_cursor **cursor)
{
	struct db_cursor *c = steal(cursor);
	if (!c)
		return;
	mdb_cursor_close(c->mdb);
	free(c);
}

int db_cursor_find(struct db_cursor *c, const struct key *key, struct bytes *ret)
{
	if (!key_fits(key))
		return -ENOENT;
	MDB_val k = val_of_key(key), v;
	int rc = mdb_cursor_get(c->mdb, &k, &v, MDB_SET_KEY);
	if (rc)
		return txn_code(c->txn, rc);
	*ret = bytes_of(v);
	return 0;
}

static int cursor_put(struct db_cursor *c, const struct key *key, struct bytes value, unsigned flags)
{
	if (!c->txn->write)
		return -EROFS;
	if (!key_fits(key) || value.len > RECORD_MAX)
		return -EINVAL;
	MDB_val k = val_of_key(key), v = val_of(value);
	return txn_code(c->txn, mdb_cursor_put(c->mdb, &k, &v, flags));
}

int db_cursor_insert(struct db_cursor *c, const struct key *key, struct bytes value)
{
	return cursor_put(c, key, value, MDB_NOOVERWRITE);
}

int db_cursor_change(struct db_cursor *c, const struct key *key, struct bytes value)
{
	return cursor_put(c, key, value, MDB_CURRENT);
}

int db_cursor_remove(struct db_cursor *c)
{
	return c->txn->write ? txn_code(c->txn, mdb_cursor_del(c->mdb, 0)) : -EROFS;
}

/* ---- walks ---- */

static bool equal(MDB_val v, const struct key *k) { return v.mv_size == k->len && !memcmp(v.mv_data, k->data, k->len); }

static bool begins_with(MDB_val v, const struct key *prefix)
{
	return !prefix || (v.mv_size >= prefix->len && !memcmp(v.mv_data, prefix->data, prefix->len));
}

/* The first row whose key is greater than `after`. */
static int seek_after(MDB_cursor *c, const struct key *after, MDB_val *k, MDB_val *v)
{
	*k = val_of_key(after);
	int rc = mdb_cursor_get(c, k, v, MDB_SET_RANGE);
	if (rc == 0 && equal(*k, after))
		rc = mdb_cursor_get(c, k, v, MDB_NEXT);
	return rc;
}

static int seek_first(MDB_cursor *c, const struct key *prefix, const struct key *after, MDB_val *k, MDB_val *v)
{
	if (after && after->len)
		return seek_after(c, after, k, v);
	if (!prefix || !prefix->len)
		return mdb_cursor_get(c, k, v, MDB_FIRST);
	*k = val_of_key(prefix);
	return mdb_cursor_get(c, k, v, MDB_SET_RANGE);
}

/* In a write transaction `each` may have moved everything: the place is found again by its key. */
static int walk_on(struct db_cursor *c, const struct key *prefix, MDB_val k, MDB_val v, int rc, db_each each,
		   void *ctx)
{
	struct key at;
	while (rc == 0 && begins_with(k, prefix)) {
		if (k.mv_size > KEY_MAX)
			return ERR_DAMAGED;
		if (c->txn->write) {
			key_start(&at);
			key_bytes(&at, k.mv_data, k.mv_size);
		}
		int r = each(ctx, bytes_of(k), bytes_of(v));
		if (r)
			return r;
		rc = c->txn->write ? seek_after(c->mdb, &at, &k, &v) : mdb_cursor_get(c->mdb, &k, &v, MDB_NEXT);
	}
	return rc == MDB_NOTFOUND ? 0 : txn_code(c->txn, rc);
}

int db_walk(struct cat_txn *txn, enum db_table table, const struct key *prefix, const struct key *after,
	    db_each each, void *ctx)
{
	AUTO_CURSOR struct db_cursor *c = NULL;
	int r = db_cursor_open(txn, table, &c);
	if (r)
		return r;
	MDB_val k, v;
	int rc = seek_first(c->mdb, prefix, after, &k, &v);
	return walk_on(c, prefix, k, v, rc, each, ctx);
}

/* The last row whose key begins with it, if any does: before whatever comes after the last possible one. */
static int seek_last(MDB_cursor *c, const struct key *prefix, MDB_val *k, MDB_val *v)
{
	struct key beyond;
	if (!prefix)
		return mdb_cursor_get(c, k, v, MDB_LAST);
	key_start(&beyond);
	key_bytes(&beyond, prefix->data, prefix->len);
	while (beyond.len < KEY_MAX)
		key_u8(&beyond, 0xff);
	*k = val_of_key(&beyond);
	int rc = mdb_cursor_get(c, k, v, MDB_SET_RANGE);
	return mdb_cursor_get(c, k, v, rc == 0 ? MDB_PREV : MDB_LAST);
}

int db_walk_back(struct cat_txn *txn, enum db_table table, const struct key *prefix, db_each each, void *ctx)
{
	AUTO_CURSOR struct db_cursor *c = NULL;
	int r = db_cursor_open(txn, table, &c);
	if (r)
		return r;
	MDB_val k, v;
	int rc = seek_last(c->mdb, prefix, &k, &v);
	while (rc == 0 && begins_with(k, prefix)) {
		r = each(ctx, bytes_of(k), bytes_of(v));
		if (r)
			return r;
		rc = mdb_cursor_get(c->mdb, &k, &v, MDB_PREV);
	}
	return rc == MDB_NOTFOUND ? 0 : txn_code(txn, rc);
}

/* ---- the whole ---- */

void cat_stat(struct catalog *cat, struct cat_stat *ret)
{
	MDB_envinfo info;
	memset(ret, 0, sizeof *ret);
	commit_queue_stat(cat->queue, &ret->commits, &ret->commit_requests);
	if (mdb_env_info(cat->env, &info))
		return;
	ret->map_size = info.me_mapsize;
	ret->used_bytes = used_bytes(cat->env);
}

/* Tables that are missing are none: it may be of an older format. */
static int open_tables_there(struct cat_txn *txn, uint32_t *ret_format, struct error *err)
{
	int r = open_table(txn, DB_META, false, err);
	for (unsigned i = DB_META + 1; r == 0 && i < DB_TABLES_; i++) {
		int rc = mdb_dbi_open(txn->mdb, table_names[i], 0, &txn->catalog->tables[i]);
		if (rc == MDB_NOTFOUND)
			txn->catalog->tables[i] = NO_TABLE;
		else if (rc)
			r = fail(err, code_of(rc), "The catalog's table \"%s\" cannot be opened: %s.", table_names[i], mdb_strerror(rc));
	}
	*ret_format = CATALOG_FORMAT;
	return r;
}

bool db_has_table(const struct catalog *cat, enum db_table table) { return cat->tables[table] != NO_TABLE; }

int catalog_open_copy(struct catalog **ret, int fd, struct error *err)
{
	char path[40];
	struct stat st;
	uint32_t format;
	snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
	if (fstat(fd, &st))
		return fail_errno(err, "A copy of the catalog cannot be looked at");
	struct catalog *cat = new_catalog(true);
	int r = open_env(cat, path, MDB_NOSUBDIR | MDB_NOLOCK, (uint64_t)st.st_size, err);
	if (r == 0)
		r = in_transaction(cat, false, open_tables_there, &format, err);
	if (r) {
		catalog_close(cat);
		return r;
	}
	*ret = cat;
	return 0;
}

int catalog_copy_pages(struct catalog *cat, int fd, struct error *err)
{
	int rc = mdb_env_copyfd2(cat->env, fd, 0);
	return rc ? fail_lmdb(err, rc, "The catalog could not be copied") : 0;
}

int catalog_copy(struct catalog *cat, int fd, struct error *err)
{
	int rc = mdb_env_copyfd2(cat->env, fd, MDB_CP_COMPACT);
	return rc ? fail_lmdb(err, rc, "The catalog could not be copied") : 0;
}
