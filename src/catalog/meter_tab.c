/* SPDX-License-Identifier: Apache-2.0 */
/* Meters by number of disk, and sums by account and region, which every change of a meter brings up to date. What a meter has spent
 * is brought up to the ledger's time before anything that it depends on changes. */
#include "catalog/meter_tab.h"

#include <string.h>

#include "base/num.h"
#include "catalog/db.h"
#include "catalog/disk_tab.h"
#include "catalog/ledger_clock.h"
#include "catalog/row_check.h"

#define METER_VERSION 1
#define SUM_VERSION 1
#define SUM_KEY_SIZE 8

/* ---- bytes ---- */

static void record_byte_time(struct record *r, byte_time v)
{
	record_u64(r, (uint64_t)v);
	record_u64(r, (uint64_t)(v >> 64));
}

static byte_time field_byte_time(struct fields *f)
{
	uint64_t low = field_u64(f);
	return (byte_time)field_u64(f) << 64 | low;
}

static int write_row(struct cat_txn *txn, const struct meter *m)
{
	struct key k;
	struct record r;
	record_start(&r, METER_VERSION);
	record_u32(&r, m->account);
	record_u32(&r, m->region);
	record_u64(&r, m->image);
	record_u8(&r, m->type);
	RECORD_TEXT(&r, m->name);
	record_u64(&r, m->bytes);
	record_u64(&r, m->written);
	record_u64(&r, (uint64_t)m->since);
	record_byte_time(&r, m->spent);
	record_byte_time(&r, m->ended);
	record_u8(&r, m->gone);
	return db_put(txn, DB_METER, key_of_u64(&k, m->disk), &r);
}

static int decode(uint64_t disk, struct bytes value, struct meter *ret)
{
	struct fields f;
	memset(ret, 0, sizeof *ret);
	fields_start(&f, value, METER_VERSION);
	ret->disk = disk;
	ret->account = field_u32(&f);
	ret->region = field_u32(&f);
	ret->image = field_u64(&f);
	ret->type = field_below(&f, TYPE_MAX_);
	FIELD_TEXT(&f, ret->name);
	ret->bytes = field_u64(&f);
	ret->written = field_u64(&f);
	ret->since = (int64_t)field_u64(&f);
	ret->spent = field_byte_time(&f);
	ret->ended = field_byte_time(&f);
	ret->gone = field_bool(&f);
	return fields_end(&f);
}

/* ---- the month's end ---- */

static struct key *end_key(struct key *k)
{
	key_start(k);
	key_u8(k, 'm');
	return k;
}

int meter_end(struct cat_txn *txn, int64_t *ret)
{
	struct key k;
	uint64_t end = 0;
	int r = db_get_number(txn, DB_META, end_key(&k), &end);
	*ret = (int64_t)end;
	return r == -ENOENT ? 0 : r;
}

int meter_set_end(struct cat_txn *txn, int64_t end)
{
	struct key k;
	int64_t now, old;
	int r = meter_end(txn, &old);
	if (!r)
		r = ledger_stamp(txn, &now);
	if (!r && ((old && old <= now) || (end && end <= now)))
		r = -EBUSY;
	return r ? r : db_put_number(txn, DB_META, end_key(&k), (uint64_t)end);
}

/* ---- time ---- */

static byte_time held_for(const struct meter *m, int64_t from, int64_t to)
{
	return to > from ? (byte_time)(m->bytes + m->written) * (uint64_t)(to - from) : 0;
}

/* Has the month ended between what the meter counts already and that time? */
static bool ends_before(const struct meter *m, int64_t now) { return m->end && m->since < m->end && m->end <= now; }

byte_time meter_spent(const struct meter *m, int64_t now)
{
	return ends_before(m, now) ? held_for(m, m->end, now) : m->spent + held_for(m, m->since, now);
}

byte_time meter_ended(const struct meter *m, int64_t now)
{
	return ends_before(m, now) ? m->spent + held_for(m, m->since, m->end) : m->ended;
}

static void bring_up(struct meter *m, int64_t now)
{
	byte_time spent = meter_spent(m, now);
	m->ended = meter_ended(m, now);
	m->spent = spent;
	m->since = MAX(m->since, now);
}

/* ---- sums ---- */

struct sum {
	uint64_t bytes, written;
};

static struct key *sum_key(struct key *k, uint32_t account, uint32_t region)
{
	key_u32(key_of_u32(k, account), region);
	return k;
}

static int decode_sum(struct bytes value, struct sum *ret)
{
	struct fields f;
	fields_start(&f, value, SUM_VERSION);
	ret->bytes = field_u64(&f);
	ret->written = field_u64(&f);
	return fields_end(&f);
}

static int get_sum(struct cat_txn *txn, uint32_t account, uint32_t region, struct sum *ret)
{
	struct key k;
	struct bytes value;
	*ret = (struct sum){ 0, 0 };
	int r = db_get(txn, DB_METER_SUM, sum_key(&k, account, region), &value);
	if (r)
		return r == -ENOENT ? 0 : r;
	return decode_sum(value, ret);
}

int meter_sum(struct cat_txn *txn, uint32_t account, uint32_t region, uint64_t *ret_bytes, uint64_t *ret_written)
{
	struct sum sum;
	int r = get_sum(txn, account, region, &sum);
	if (r)
		return r;
	if (ret_bytes)
		*ret_bytes = sum.bytes;
	if (ret_written)
		*ret_written = sum.written;
	return 0;
}

/* From what one meter was to what it is. */
static int move_sum(struct cat_txn *txn, const struct meter *new, uint64_t old_bytes, uint64_t old_written)
{
	struct key k;
	struct record r;
	struct sum sum;
	int bad = get_sum(txn, new->account, new->region, &sum);
	if (bad)
		return bad;
	if (sum.bytes + new->bytes < old_bytes || sum.written + new->written < old_written)
		return ERR_DAMAGED;
	sum.bytes += new->bytes - old_bytes;
	sum.written += new->written - old_written;
	sum_key(&k, new->account, new->region);
	if (sum.bytes == 0 && sum.written == 0) {
		bad = db_remove(txn, DB_METER_SUM, &k);
		return bad == -ENOENT ? 0 : bad;
	}
	record_start(&r, SUM_VERSION);
	record_u64(&r, sum.bytes);
	record_u64(&r, sum.written);
	return db_put(txn, DB_METER_SUM, &k, &r);
}

struct sum_walk {
	int (*each)(void *ctx, uint32_t account, uint32_t region, uint64_t bytes, uint64_t written);
	void *ctx;
};

static int on_sum(void *ctx, struct bytes key, struct bytes value)
{
	struct sum_walk *walk = ctx;
	struct sum sum;
	if (key.len != SUM_KEY_SIZE)
		return ERR_DAMAGED;
	int r = decode_sum(value, &sum);
	return r ? r : walk->each(walk->ctx, get_be32(key.data), get_be32(key.data + 4), sum.bytes, sum.written);
}

int meter_sum_each(struct cat_txn *txn, int (*each)(void *ctx, uint32_t account, uint32_t region, uint64_t bytes, uint64_t written),
		   void *ctx)
{
	struct sum_walk walk = { each, ctx };
	return db_walk(txn, DB_METER_SUM, NULL, NULL, on_sum, &walk);
}

/* ---- reading ---- */

/* Who it is, from the rows of its disk and image. -ENOENT: they are not there. */
static int describe(struct cat_txn *txn, struct meter *m)
{
	struct disk_row disk;
	struct image image;
	int r = disk_row_get(txn, m->disk, &disk);
	if (!r)
		r = image_get(txn, disk.image, &image);
	if (r)
		return r;
	m->image = image.id;
	m->type = image.shelf.type;
	size_t n = MIN(strcspn(image.name, "@"), sizeof m->name - 1); /* the trash puts a time behind it */
	memcpy(m->name, image.name, n);
	m->name[n] = 0;
	m->account = image.owner;
	m->region = image.shelf.region;
	return 0;
}

/* The row alone, and the month's end. */
static int read_row(struct cat_txn *txn, uint64_t disk, struct meter *ret)
{
	struct key k;
	struct bytes value;
	int r = db_get(txn, DB_METER, key_of_u64(&k, disk), &value);
	if (!r)
		r = decode(disk, value, ret);
	return r ? r : meter_end(txn, &ret->end);
}

/* What may have changed since the row was written. Who pays is not among it. */
static int refresh(struct cat_txn *txn, struct meter *m)
{
	struct meter now = *m;
	int r = m->gone ? -ENOENT : describe(txn, &now);
	if (r)
		return r == -ENOENT ? 0 : r;
	now.account = m->account;
	now.region = m->region;
	*m = now;
	return 0;
}

int meter_get(struct cat_txn *txn, uint64_t disk, struct meter *ret)
{
	int r = read_row(txn, disk, ret);
	return r ? r : refresh(txn, ret);
}

int meter_written(struct cat_txn *txn, uint64_t disk, uint64_t *ret)
{
	struct key k;
	struct bytes value;
	struct meter m;
	int r = db_get(txn, DB_METER, key_of_u64(&k, disk), &value);
	if (!r)
		r = decode(disk, value, &m);
	if (!r)
		*ret = m.written;
	return r;
}

struct meter_walk {
	struct cat_txn *txn;
	int64_t end;
	int (*each)(void *ctx, const struct meter *);
	void *ctx;
};

static int on_meter(void *ctx, struct bytes key, struct bytes value)
{
	struct meter_walk *walk = ctx;
	struct meter m;
	if (key.len != 8)
		return ERR_DAMAGED;
	int r = decode(get_be64(key.data), value, &m);
	m.end = walk->end;
	if (!r)
		r = refresh(walk->txn, &m);
	return r ? r : walk->each(walk->ctx, &m);
}

static int walk_meters(struct cat_txn *txn, const struct key *after, int (*each)(void *ctx, const struct meter *), void *ctx)
{
	struct meter_walk walk = { .txn = txn, .each = each, .ctx = ctx };
	int r = meter_end(txn, &walk.end);
	return r ? r : db_walk(txn, DB_METER, NULL, after, on_meter, &walk);
}

int meter_each(struct cat_txn *txn, uint64_t after, int (*each)(void *ctx, const struct meter *), void *ctx)
{
	struct key from;
	return walk_meters(txn, after ? key_of_u64(&from, after) : NULL, each, ctx);
}

/* ---- changing ---- */

static int begin_meter(struct cat_txn *txn, uint64_t disk, int64_t now, struct meter *ret)
{
	*ret = (struct meter){ .disk = disk, .since = now };
	int r = meter_end(txn, &ret->end);
	if (!r && disk != METER_NOBODY)
		r = describe(txn, ret);
	ret->gone = r == -ENOENT;
	return r == -ENOENT ? 0 : r;
}

/* The meter (made when there is none), brought up to now. */
static int take(struct cat_txn *txn, uint64_t disk, struct meter *ret)
{
	int64_t now;
	int r = ledger_stamp(txn, &now);
	if (r)
		return r;
	r = read_row(txn, disk, ret);
	if (r)
		return r == -ENOENT ? begin_meter(txn, disk, now, ret) : r;
	bring_up(ret, now);
	return 0;
}

static bool is_over(const struct meter *m)
{
	return (m->gone || m->disk == METER_NOBODY) && !m->bytes && !m->written && !m->spent && !m->ended;
}

static int put_back(struct cat_txn *txn, const struct meter *m)
{
	struct key k;
	if (!is_over(m))
		return write_row(txn, m);
	int r = db_remove(txn, DB_METER, key_of_u64(&k, m->disk));
	return r == -ENOENT ? 0 : r;
}

int meter_add(struct cat_txn *txn, uint64_t disk, int64_t bytes)
{
	struct meter m;
	if (bytes == 0)
		return 0;
	int r = take(txn, disk, &m);
	if (r)
		return r;
	uint64_t old = m.bytes;
	m.bytes += (uint64_t)bytes;
	if (bytes < 0 ? m.bytes > old : m.bytes < old)
		return ERR_DAMAGED;
	r = move_sum(txn, &m, old, m.written);
	return r ? r : put_back(txn, &m);
}

int meter_changes_write(struct cat_txn *txn, struct meter_changes *changes)
{
	int r = 0;
	for (unsigned i = 0; r == 0 && i < changes->count; i++)
		r = meter_add(txn, changes->at[i].disk, changes->at[i].bytes);
	changes->count = 0;
	return r;
}

int meter_note(struct cat_txn *txn, struct meter_changes *changes, uint64_t disk, int64_t bytes)
{
	int r = 0;
	for (unsigned i = 0; i < changes->count; i++)
		if (changes->at[i].disk == disk) {
			changes->at[i].bytes += bytes;
			return 0;
		}
	if (changes->count == METER_CHANGES)
		r = meter_changes_write(txn, changes);
	changes->at[changes->count++] = (struct meter_change){ disk, bytes };
	return r;
}

int meter_set_written(struct cat_txn *txn, uint64_t disk, uint64_t bytes)
{
	struct meter m;
	int r = read_row(txn, disk, &m);
	if (r == -ENOENT ? bytes == 0 : !r && m.written == bytes)
		return 0;
	if (!r || r == -ENOENT)
		r = take(txn, disk, &m);
	if (r)
		return r;
	uint64_t old = m.written;
	m.written = bytes;
	r = move_sum(txn, &m, m.bytes, old);
	return r ? r : put_back(txn, &m);
}

int meter_leave(struct cat_txn *txn, uint64_t disk)
{
	struct meter m;
	int r = read_row(txn, disk, &m);
	if (r)
		return r == -ENOENT ? 0 : r;
	r = take(txn, disk, &m);
	if (!r)
		r = refresh(txn, &m);
	m.gone = true;
	return r ? r : put_back(txn, &m);
}

/* ---- closing a month ---- */

struct closing {
	struct cat_txn *txn;
	int (*each)(void *ctx, const struct meter *, byte_time spent);
	void *ctx;
};

static int close_one(void *ctx, const struct meter *meter)
{
	struct closing *c = ctx;
	struct meter m = *meter;
	if (m.since < m.end)
		bring_up(&m, m.end);
	int r = c->each ? c->each(c->ctx, &m, m.ended) : 0;
	m.ended = 0;
	return r ? r : put_back(c->txn, &m);
}

int meter_close(struct cat_txn *txn, int64_t next_end, int (*each)(void *ctx, const struct meter *, byte_time spent), void *ctx)
{
	struct closing c = { txn, each, ctx };
	struct key k;
	int64_t end, now;
	int r = meter_end(txn, &end);
	if (!r)
		r = ledger_stamp(txn, &now);
	if (!r && (!end || end > now))
		r = -EAGAIN;
	if (!r && next_end && next_end <= end)
		r = -EINVAL;
	if (!r)
		r = walk_meters(txn, NULL, close_one, &c);
	return r ? r : db_put_number(txn, DB_META, end_key(&k), (uint64_t)next_end);
}

int meter_row_check(struct bytes key, struct bytes value)
{
	struct meter meter;
	return key.len == 8 ? decode(get_be64(key.data), value, &meter) : ERR_DAMAGED;
}

int meter_sum_row_check(struct bytes key, struct bytes value)
{
	struct sum sum;
	return key.len == SUM_KEY_SIZE ? decode_sum(value, &sum) : ERR_DAMAGED;
}
