/* SPDX-License-Identifier: Apache-2.0 */
#include "domain/test_clock.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/io.h"

#define PROPERTY "clock"
#define SECOND INT64_C(1000000000)

struct test_clock {
	char path[PATH_MAX];
	char boot_id[BOOT_ID_SIZE]; /* the machine's */
};

static int write_property(struct cat_txn *txn, void *arg, struct error *err)
{
	(void)arg, (void)err;
	return cat_meta_set(txn, PROPERTY, "test");
}

int test_clock_allow(const char *store, struct error *err)
{
	char path[PATH_MAX];
	struct catalog *catalog;
	snprintf(path, sizeof path, "%s/catalog", store);
	int r = catalog_open(&catalog, path, 0, err);
	if (r)
		return r;
	r = cat_write(catalog, write_property, NULL, err);
	catalog_close(catalog);
	return r;
}

static void read_moved(void *ctx, struct clock_reading *ret)
{
	struct test_clock *c = ctx;
	AUTO_FREE char *text = NULL;
	struct error ignored;
	long long real, boot;
	char boot_id[BOOT_ID_SIZE];
	clock_read_machine(c->boot_id, ret);
	if (io_read_file(c->path, 200, &text, NULL, &ignored))
		return;
	int n = sscanf(text, "%lld %lld %39s", &real, &boot, boot_id);
	if (n < 2)
		return;
	ret->real += real * SECOND;
	ret->boot += boot * SECOND;
	if (n == 3)
		memcpy(ret->boot_id, boot_id, sizeof boot_id);
}

static int has_property(struct catalog *catalog, struct error *err)
{
	struct cat_txn *txn;
	char value[16];
	int r = cat_begin(catalog, &txn, err);
	if (r)
		return r;
	r = cat_meta_get(txn, PROPERTY, value, sizeof value);
	cat_end(&txn);
	return r == 0 ? 1 : r == -ENOENT ? 0 : fail(err, r, "The properties of the store cannot be read (%s).", err_name(r));
}

int test_clock_use(struct catalog *catalog, const char *store, struct test_clock **ret, struct error *err)
{
	*ret = NULL;
	int r = has_property(catalog, err);
	if (r != 1)
		return r;
	struct test_clock *c = calloc(1, sizeof *c);
	if (!c)
		abort();
	snprintf(c->path, sizeof c->path, "%s/clock", store);
	clock_read_boot_id(c->boot_id);
	catalog_set_clock(catalog, &(struct clock_source){ read_moved, c });
	*ret = c;
	return 0;
}

void test_clock_free(struct test_clock *c) { free(c); }
