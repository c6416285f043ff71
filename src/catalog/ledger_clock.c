/* SPDX-License-Identifier: Apache-2.0 */
/* The row, in table "meta" under 'b': what the clocks and the ledger's clock said when it was last refreshed, and in which boot.
 * The time now is the row's and what has gone by since. */
#include "catalog/ledger_clock.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/num.h"
#include "catalog/db.h"

#define CLOCK_VERSION 2 /* 2: with the time that was lived through */

struct mark {
	int64_t ledger, lived;
	struct clock_reading at;
};

void clock_read_boot_id(char ret[BOOT_ID_SIZE])
{
	AUTO_FD int fd = open("/proc/sys/kernel/random/boot_id", O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? 0 : read(fd, ret, BOOT_ID_SIZE - 1);
	ret[n > 0 ? n : 0] = 0;
	ret[strcspn(ret, "\n")] = 0;
	uint64_t word;
	if (!ret[0] && getrandom(&word, sizeof word, 0) == sizeof word) /* of this opening alone */
		snprintf(ret, BOOT_ID_SIZE, "opened-%016" PRIx64, word);
}

void clock_read_machine(void *ctx, struct clock_reading *ret)
{
	ret->real = clock_real();
	ret->boot = clock_read_(CLOCK_BOOTTIME);
	memcpy(ret->boot_id, ctx, BOOT_ID_SIZE);
}

static struct clock_reading read_clocks(struct cat_txn *txn)
{
	const struct clock_source *source = db_clock(txn->catalog);
	struct clock_reading now = { .real = 0 };
	source->read(source->ctx, &now);
	return now;
}

static struct key *mark_key(struct key *k)
{
	key_start(k);
	key_u8(k, 'b');
	return k;
}

static int mark_get(struct cat_txn *txn, struct mark *ret)
{
	struct key k;
	struct bytes value;
	struct fields f;
	int r = db_get(txn, DB_META, mark_key(&k), &value);
	if (r)
		return r;
	uint8_t version = fields_start_upto(&f, value, CLOCK_VERSION);
	ret->ledger = (int64_t)field_u64(&f);
	ret->at.real = (int64_t)field_u64(&f);
	ret->at.boot = (int64_t)field_u64(&f);
	FIELD_TEXT(&f, ret->at.boot_id);
	ret->lived = version < 2 ? 0 : (int64_t)field_u64(&f);
	return fields_end(&f);
}

static int mark_put(struct cat_txn *txn, const struct mark *m)
{
	struct key k;
	struct record r;
	record_start(&r, CLOCK_VERSION);
	record_u64(&r, (uint64_t)m->ledger);
	record_u64(&r, (uint64_t)m->at.real);
	record_u64(&r, (uint64_t)m->at.boot);
	RECORD_TEXT(&r, m->at.boot_id);
	record_u64(&r, (uint64_t)m->lived);
	return db_put(txn, DB_META, mark_key(&k), &r);
}

static bool same_boot(const struct clock_reading *a, const struct clock_reading *b)
{
	return a->boot_id[0] && strcmp(a->boot_id, b->boot_id) == 0;
}

static int64_t gone_by(const struct clock_reading *from, const struct clock_reading *to)
{
	int64_t ns = same_boot(from, to) ? to->boot - from->boot : to->real - from->real;
	return MAX(ns, INT64_C(0));
}

/* A mark of this moment. */
static int mark_now(struct cat_txn *txn, struct mark *ret)
{
	struct mark last;
	ret->at = read_clocks(txn);
	int r = mark_get(txn, &last);
	ret->ledger = r ? ret->at.real : last.ledger + gone_by(&last.at, &ret->at);
	ret->lived = r ? 0 : last.lived + (same_boot(&last.at, &ret->at) ? gone_by(&last.at, &ret->at) : 0);
	return r == -ENOENT ? 0 : r;
}

int ledger_now(struct cat_txn *txn, int64_t *ret)
{
	struct mark m;
	int r = mark_now(txn, &m);
	*ret = m.ledger;
	return r;
}

int ledger_stamp(struct cat_txn *txn, int64_t *ret)
{
	struct mark m;
	int r = mark_now(txn, &m);
	*ret = m.ledger;
	return r ? r : mark_put(txn, &m);
}

int lived_now(struct cat_txn *txn, int64_t *ret)
{
	struct mark m;
	int r = mark_now(txn, &m);
	*ret = m.lived;
	return r;
}

int64_t ledger_real(struct cat_txn *txn) { return read_clocks(txn).real; }

static int stamp(struct cat_txn *txn, void *arg, struct error *err)
{
	int64_t ignored;
	(void)arg, (void)err;
	return ledger_stamp(txn, &ignored);
}

int ledger_tick(struct catalog *catalog, struct error *err) { return cat_write(catalog, stamp, NULL, err); }
