/* SPDX-License-Identifier: Apache-2.0 */
/* The format is a row of "meta" under 'f'.
 *
 * A step is needed when rows that are there have to become others, or when an older version of the program must not
 * open the catalog any more. Rows that only grow need none: they carry versions of their own (record.h), and stay as
 * they are until they are written again. Tables that came after format 1 are made by db.c before a step runs.
 */
#include "catalog/format.h"

#define FORMAT_VERSION 1

struct step {
	uint32_t from; /* to from + 1 */
	const char *what; /* in a sentence: "It could not be …" */
	int (*run)(struct cat_txn *); /* NULL: tables and number are all */
};

static const struct step steps[] = {
	{ 1, "given the tables and rows of format 2", NULL },
};

static struct key *format_key(struct key *k)
{
	key_start(k);
	key_u8(k, 'f');
	return k;
}

int format_read(struct cat_txn *txn, uint32_t *ret, struct error *err)
{
	struct key k;
	struct bytes value;
	struct fields f;
	int r = db_get(txn, DB_META, format_key(&k), &value);
	if (r)
		return fail(err, db_must_be(r), "The catalog does not say which format it has.");
	fields_start(&f, value, FORMAT_VERSION);
	*ret = field_u32(&f);
	r = fields_end(&f);
	if (r || *ret == 0)
		return fail(err, ERR_DAMAGED, "The catalog does not say which format it has.");
	if (*ret > CATALOG_FORMAT)
		return fail(err, ERR_NEWER, "The catalog was written by a newer version of imagefs: it has format %u, and this version knows up "
			    "to %u.", *ret, CATALOG_FORMAT);
	return 0;
}

static void encode(uint32_t format, struct record *r)
{
	record_start(r, FORMAT_VERSION);
	record_u32(r, format);
}

int format_write_first(struct cat_txn *txn)
{
	struct key k;
	struct record r;
	encode(CATALOG_FORMAT, &r);
	return db_insert(txn, DB_META, format_key(&k), &r);
}

static const struct step *step_from(uint32_t format)
{
	for (size_t i = 0; i < sizeof steps / sizeof *steps; i++)
		if (steps[i].from == format)
			return &steps[i];
	return NULL;
}

int format_step(struct cat_txn *txn, uint32_t *format, struct error *err)
{
	struct key k;
	struct record record;
	const struct step *step = step_from(*format);
	if (!step)
		return fail(err, ERR_DAMAGED, "The catalog has format %u, which never was.", *format);
	int r = step->run ? step->run(txn) : 0;
	encode(step->from + 1, &record);
	if (r == 0)
		r = db_put(txn, DB_META, format_key(&k), &record);
	if (r)
		return fail(err, r, "The catalog has format %u and could not be %s (%s); it is as it was.", step->from, step->what, err_name(r));
	*format = step->from + 1;
	return 0;
}
