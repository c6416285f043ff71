/* SPDX-License-Identifier: Apache-2.0 */
/* check_names: every image is found by its name and id and is in the listing of its shelf; the shelves
 * list and count nothing else; and images and disks point at each other. */
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "catalog/disk_tab.h"
#include "domain/check_int.h"
#include "domain/tree.h"

struct shelf_count {
	struct shelf shelf;
	uint64_t rows, images; /* images: without aliases */
};

struct names {
	struct check *check;
	struct shelf_count *shelves; /* sorted */
	size_t count, room;
};

static int compare_shelves(const struct shelf *a, const struct shelf *b)
{
	if (a->account != b->account)
		return a->account < b->account ? -1 : 1;
	if (a->region != b->region)
		return a->region < b->region ? -1 : 1;
	if (a->type != b->type)
		return a->type < b->type ? -1 : 1;
	return (int)a->trash - (int)b->trash;
}

static struct shelf_count *count_of(struct names *n, const struct shelf *shelf)
{
	size_t low = 0, high = n->count;
	while (low < high) {
		size_t middle = low + (high - low) / 2;
		if (compare_shelves(&n->shelves[middle].shelf, shelf) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	if (low < n->count && compare_shelves(&n->shelves[low].shelf, shelf) == 0)
		return &n->shelves[low];
	if (n->count == n->room) {
		n->room = n->room ? 2 * n->room : 16;
		n->shelves = reallocarray(n->shelves, n->room, sizeof *n->shelves);
		if (!n->shelves)
			abort();
	}
	memmove(&n->shelves[low + 1], &n->shelves[low], (n->count++ - low) * sizeof *n->shelves);
	n->shelves[low] = (struct shelf_count){ .shelf = *shelf };
	return &n->shelves[low];
}

static void check_disk_of(struct check *c, const struct image *i, const char *path)
{
	struct disk_row row;
	if (!i->disk)
		return;
	int r = disk_row_get(c->txn, i->disk, &row);
	if (r < 0)
		check_problem(c, PROBLEM_NAME, "image %s: its disk (%llu) is not there", path,
			      (unsigned long long)i->disk);
	else if (row.image != i->node)
		check_problem(c, PROBLEM_NAME, "image %s: its disk (%llu) belongs to another image", path,
			      (unsigned long long)i->disk);
}

static int check_image(void *ctx, const struct image *i)
{
	struct names *n = ctx;
	struct check *c = n->check;
	struct image other;
	AUTO_BUF struct buf path = BUF_INIT;
	image_path(c->txn, i, &path);
	int r = image_find(c->txn, &i->shelf, i->name, &other);
	if (r < 0 || other.node != i->node)
		check_problem(c, PROBLEM_NAME, "image %s is not found by its name", path.data);
	r = i->id ? image_by_id(c->txn, i->id, &other) : 0;
	if (r < 0 || (i->id && other.id != i->id))
		check_problem(c, PROBLEM_NAME, "image %s is not found by its id", path.data);
	check_disk_of(c, i, path.data);
	struct shelf_count *s = count_of(n, &i->shelf);
	s->rows++;
	s->images += i->kind == KIND_IMAGE;
	c->report->images += i->kind == KIND_IMAGE;
	return 0;
}

/* ---- listings */

struct listing {
	const struct shelf *shelf;
	uint64_t rows;
	bool strange;
};

static int count_listed(void *ctx, const struct image *i)
{
	struct listing *l = ctx;
	l->rows++;
	l->strange |= compare_shelves(l->shelf, &i->shelf) != 0;
	return 0;
}

static void check_shelf(struct check *c, const struct shelf_count *s)
{
	struct listing l = { .shelf = &s->shelf };
	uint64_t images = 0;
	int r = image_each(c->txn, &s->shelf, 0, count_listed, &l);
	const char *what = s->shelf.trash ? "trash" : "shelf";
	if (r < 0 || l.strange || l.rows != s->rows)
		check_problem(c, PROBLEM_NAME,
			      "the %s of account %u, region %u, type %u lists %llu entries, but it has %llu",
			      what, s->shelf.account, s->shelf.region, s->shelf.type,
			      (unsigned long long)l.rows, (unsigned long long)s->rows);
	r = image_count(c->txn, &s->shelf, &images);
	if (r < 0 || images != s->images)
		check_problem(c, PROBLEM_TOTALS,
			      "the %s of account %u, region %u, type %u counts %llu images, but it has %llu",
			      what, s->shelf.account, s->shelf.region, s->shelf.type,
			      (unsigned long long)images, (unsigned long long)s->images);
}

int check_names(struct check *c, struct error *err)
{
	struct names n = { .check = c };
	int r = check_walked(c, image_each_all(c->txn, 0, check_image, &n), "images", err);
	for (size_t i = 0; i < n.count && r == 0; i++)
		check_shelf(c, &n.shelves[i]);
	free(n.shelves);
	return r;
}
