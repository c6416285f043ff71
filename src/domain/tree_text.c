/* SPDX-License-Identifier: Apache-2.0 */
/* tree_text: the files that are made when they are read. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/shown.h"
#include "catalog/account.h"
#include "catalog/hurt_tab.h"
#include "catalog/journal.h"
#include "catalog/object_tab.h"
#include "domain/rights.h"
#include "domain/alias_count.h"
#include "domain/disks.h"
#include "domain/ledger.h"
#include "domain/names.h"
#include "domain/policy.h"
#include "domain/share.h"
#include "domain/tree_int.h"

struct text_walk {
	const struct tree_ask *ask;
	struct buf *text;
	uint32_t region;   /* only this one; 0: all */
	struct alias_count *aliases;
};

/* ---- .list ------------------------------------------------------------------------------------ */

struct use_count {
	const struct tree_ask *ask;
	bool all;
	uint64_t n;
};

static int count_child(void *ctx, uint64_t node)
{
	struct use_count *c = ctx;
	struct image child;
	c->n += c->all || (image_get(c->ask->txn, node, &child) == 0 && may(c->ask->txn, c->ask->who, MAY_SEE, NULL, &child, NULL) == 0);
	return 0;
}

/* What would be hurt if it went: made from it, aliases, shares. All of that is told to who owns it, and to operators; others count what
 * they see. */
static int count_uses(const struct text_walk *w, const struct image *i, uint64_t *ret)
{
	struct use_count c = { w->ask, i->owner == w->ask->who->account || w->ask->who->is_operator, 0 };
	uint64_t shares = 0;
	int r = image_each_child(w->ask->txn, i->id, 0, count_child, &c);
	if (r >= 0 && i->shelf.type == TYPE_CUSTOM && i->owner == w->ask->who->account)
		r = share_count(w->ask->txn, i->node, &shares);
	*ret = c.n + shares + (c.all || !i->shelf.account ? alias_count_of(w->aliases, i) : 0);
	return r < 0 ? r : 0;
}

static void first_line(struct cat_txn *txn, uint64_t node, enum setting_key key, char ret[SETTING_MAX + 1])
{
	unsigned len;
	if (setting_get(txn, node, key, ret, SETTING_MAX + 1, &len))
		len = 0;
	ret[len] = 0;
	ret[strcspn(ret, "\n\t")] = 0;
}

static const char *health_of(struct cat_txn *txn, const struct image *i)
{
	struct hurt hurt;
	return i->disk && hurt_get(txn, i->disk, &hurt) == 0 ? "damaged" : "ok";
}

static int list_row(void *ctx, const struct image *i)
{
	struct text_walk *w = ctx;
	struct cat_txn *txn = w->ask->txn;
	struct region region;
	struct account owner;
	struct disk_row disk = { .no = 0 };
	char id[ID_TEXT_SIZE], os[SETTING_MAX + 1], arch[SETTING_MAX + 1], created[TIME_TEXT_SIZE];
	uint64_t uses = 0;
	struct share share;
	char received[RECEIVED_NAME_MAX + 1];
	bool mine = i->owner == w->ask->who->account || i->shelf.account == 0;
	bool shared = !mine && share_of(txn, i->node, w->ask->who->account, &share) == 0 && share_received_name(txn, &share, received) == 0;
	if (i->kind != KIND_IMAGE || i->shelf.trash || (w->region && i->shelf.region != w->region) || (!mine && !shared) ||
	    may(txn, w->ask->who, MAY_SEE, NULL, i, NULL))
		return 0;
	if (i->disk && disk_row_get(txn, i->disk, &disk))
		disk = (struct disk_row){ .no = 0 };
	if (region_get(txn, i->shelf.region, &region))
		snprintf(region.name, sizeof region.name, "?");
	if (account_get(txn, i->owner, &owner))
		snprintf(owner.name, sizeof owner.name, "?");
	first_line(txn, i->node, SET_OS, os);
	first_line(txn, i->node, SET_ARCH, arch);
	int r = count_uses(w, i, &uses);
	buf_addf(w->text, "%s\t%s\t%s\t%s\t%s\t%s\t%s\t%" PRIu64 "\t%" PRIu64 "\t%s\t%s\t%" PRIu64 "\t%s\n", region.name,
		 type_name(shared ? TYPE_SHARED : (enum image_type)i->shelf.type), shared ? received : i->name, id_text(i, id), state_name((enum image_state)i->state), os, arch,
		 disk.size, disk.stored, time_text(i->created, created), owner.name, uses, health_of(txn, i));
	return r < 0 ? r : 0;
}

static int text_list(struct text_walk *w)
{
	buf_adds(w->text, "region\ttype\tname\tid\tstate\tos\tarch\tvirtual\tstored\tcreated\towner\tuses\thealth\n");
	w->aliases = alias_count_new(w->ask->txn);
	int r = w->aliases ? image_each_all(w->ask->txn, 0, list_row, w) : -ENOMEM;
	alias_count_free(w->aliases);
	return r;
}

/* ---- .log: time, account, uid, operation, path, result, detail; between tabs -------------------
 * Of a share its maker is told which image of theirs it is; the receiver knows it by the name of the share. */

static int log_line_text(void *ctx, const struct log_entry *e)
{
	struct text_walk *w = ctx;
	char t[TIME_TEXT_SIZE];
	struct account a;
	struct log_entry shown = *e; /* lines of old were written as they came */
	shown_safe(shown.path);
	shown_safe(shown.detail);
	bool told = !strstr(e->operation, "share") || e->account == w->ask->who->account || w->ask->who->is_operator;
	buf_addf(w->text, "%s\t%s\t%u\t%s\t%s\t%s\t%s\n", time_text(e->time, t),
		 account_get(w->ask->txn, e->account, &a) ? "?" : a.name, e->uid, e->operation, shown.path,
		 e->result ? err_name(e->result) : "ok", told ? shown.detail : "");
	return 0;
}

static int text_log(struct text_walk *w)
{
	return log_newest(w->ask->txn, w->ask->who->is_operator ? 0 : w->ask->who->account, 4u << 20, log_line_text, w);
}

/* ---- .metrics ----------------------------------------------------------------------------------- */

static void metric(struct buf *b, const char *name, const char *help, const char *type, uint64_t value)
{
	buf_addf(b, "# HELP imagefs_%s %s\n# TYPE imagefs_%s %s\nimagefs_%s %" PRIu64 "\n", name, help, name, type, name, value);
}

static void store_metrics(struct buf *b, struct store *store)
{
	struct store_stat stat;
	store_stat(store, &stat);
	metric(b, "pool_reads_total", "Chunks and map nodes read from the pool.", "counter", stat.pool_reads);
	metric(b, "pool_read_bytes_total", "Bytes that these had there.", "counter", stat.pool_read_bytes);
	metric(b, "cache_hits_total", "Chunks that were in memory when they were wanted.", "counter", stat.cache_hits);
	metric(b, "cache_misses_total", "Chunks that were not.", "counter", stat.cache_misses);
	metric(b, "chunks_absorbed_total", "Chunks hashed while somebody wrote or waited.", "counter", stat.chunks_hashed);
	metric(b, "chunks_folded_total", "Chunks of quiet instances hashed on idle processors.", "counter", stat.chunks_hashed_idle);
}

static int text_metrics(struct text_walk *w)
{
	struct cat_stat stat;
	uint64_t bytes, live, packs, objects, total = 0, space = 0;
	int r = pack_totals(w->ask->txn, &bytes, &live, &packs, &objects);
	if (!r)
		r = service_space(w->ask->service, &total, &space, w->ask->err);
	if (r)
		return r;
	cat_stat(w->ask->service->catalog, &stat);
	metric(w->text, "pack_bytes", "Bytes of all packs.", "gauge", bytes);
	metric(w->text, "live_bytes", "Bytes of packs that something refers to.", "gauge", live);
	metric(w->text, "packs", "Packs.", "gauge", packs);
	metric(w->text, "objects", "Chunks and map nodes, with those that a domain borrows.", "gauge", objects);
	metric(w->text, "catalog_bytes", "Bytes of the catalog in use.", "gauge", stat.used_bytes);
	metric(w->text, "commits_total", "Catalog commits since the daemon started.", "counter", stat.commits);
	metric(w->text, "commit_requests_total", "Changes that these commits carried.", "counter", stat.commit_requests);
	metric(w->text, "open_disks", "Disks that are open.", "gauge", disks_open_count(w->ask->service->disks));
	metric(w->text, "disks_in_trouble", "Open disks of which something cannot be stored or is lost; .status of the image tells.", "gauge",
	       disks_in_trouble(w->ask->service->disks));
	metric(w->text, "pool_bytes", "Bytes of the pool's file system.", "gauge", total);
	metric(w->text, "pool_free_bytes", "Bytes free in the pool's file system.", "gauge", space);
	metric(w->text, "texts_made_total", "Generated files that were made, to be read or measured.", "counter",
	       w->ask->service->texts_made);
	store_metrics(w->text, w->ask->service->store);
	return 0;
}

/* ---- settings of regions and accounts ------------------------------------------------------------- */

static int text_region(struct text_walk *w)
{
	struct region g;
	int r = region_get(w->ask->txn, (uint32_t)node_number(w->ask->node), &g);
	if (r)
		return r;
	buf_addf(w->text, "mainland %s\ncopy %s\nzones %s\n", g.mainland ? "yes" : "no", g.copy ? "yes" : "no", g.zones);
	buf_adds(w->text, "types");
	for (int t = 0; t < TYPE_MAX_; t++)
		if (g.types & 1 << t)
			buf_addf(w->text, " %s", type_name((enum image_type)t));
	buf_addf(w->text, "\nstorage-price %s\nfree-storage %" PRIu64 "\nwindows-fee %s\ninstance-price %s\n", g.storage_price,
		 g.free_storage, g.windows_fee, g.instance_price);
	return 0;
}

/* accounts/NAME of oneself is the root. */
uint32_t tree_account_of(const struct who *w, uint64_t node)
{
	return node_kind(node) == NODE_ACCOUNT ? (uint32_t)node_number(node) : w->account;
}

static int text_account(struct text_walk *w)
{
	struct account a;
	int r = account_get(w->ask->txn, tree_account_of(w->ask->who, w->ask->node), &a);
	if (r)
		return r;
	buf_adds(w->text, "uids");
	for (unsigned i = 0; i < a.n_uids; i++)
		buf_addf(w->text, " %u", a.uids[i]);
	buf_addf(w->text, "\noperator %s\nvendor %s\naccept %s\n", a.is_operator ? "yes" : "no", a.is_vendor ? "yes" : "no", a.accept);
	return 0;
}

void tree_policy_scope(const struct who *w, uint64_t node, bool writing, uint32_t *ret_account, uint32_t *ret_region)
{
	uint64_t n = node_number(node);
	*ret_account = writing ? 0 : w->account; /* the own view shows what is in force for oneself; writing there is for everybody */
	*ret_region = node_kind(node) == NODE_REGION ? (uint32_t)n : 0;
	if (node_kind(node) == NODE_ACCOUNT)
		*ret_account = (uint32_t)n;
	if (node_kind(node) == NODE_PLACE) {
		*ret_account = (uint32_t)(n >> 16);
		*ret_region = n & 0xffff;
	}
}

static int text_policy(struct text_walk *w)
{
	uint32_t account, region;
	tree_policy_scope(w->ask->who, w->ask->node, false, &account, &region);
	return policy_text(w->ask->txn, account, region, w->text);
}

/* ---- which ---------------------------------------------------------------------------------------- */

int tree_computed_text(const struct tree_ask *a, const struct image *i, unsigned slot, struct buf *ret)
{
	struct account owner;
	if (slot == SLOT_OWNER)
		buf_addf(ret, "%s\n", account_get(a->txn, i->owner, &owner) ? "?" : owner.name);
	else
		buf_addf(ret, "%s\n", i->published ? "yes" : "no");
	return 0;
}

static int text_of_image(const struct tree_ask *a, struct buf *ret)
{
	struct image i;
	int r = image_get(a->txn, node_number(a->node), &i);
	if (!r)
		r = may(a->txn, a->who, MAY_SEE, NULL, &i, a->err);
	if (r)
		return fail(a->err, -ENOENT, "this image is gone");
	unsigned slot = node_slot(a->node);
	if (slot == SLOT_OWNER || slot == SLOT_REVIEWED)
		return tree_computed_text(a, &i, slot, ret);
	return status_text(a->service, a->who, &i, ret, a->err);
}

static int text_of_file(const struct tree_ask *a, enum tree_file f, struct buf *ret)
{
	struct text_walk w = { .ask = a, .text = ret };
	if (!tree_has_file(a->who, node_kind(a->node) == NODE_FIXED ? ROOT_NODE : a->node & ~(uint64_t)0xff, f))
		return fail(a->err, -ENOENT, "there is no such file");
	if (node_kind(a->node) == NODE_REGION)
		w.region = (uint32_t)node_number(a->node);
	switch (f) {
	case FILE_LIST: return text_list(&w);
	case FILE_USAGE: return tree_usage_text(a, ret);
	case FILE_LOG: return text_log(&w);
	case FILE_METRICS: return text_metrics(&w);
	case FILE_POLICY: return text_policy(&w);
	case FILE_REGION: return text_region(&w);
	case FILE_ACCOUNT: return text_account(&w);
	default: return fail(a->err, -ENOENT, "there is no such file");
	}
}

int tree_file_text(struct service *s, const struct who *w, uint64_t node, struct buf *ret, struct error *err)
{
	struct tree_ask a = { s, w, NULL, node, err };
	bool bills = node_kind(node) == NODE_BILLS;
	/* A month that is over is closed first. */
	int r = bills || node_slot(node) == SLOT_FILE + FILE_USAGE ? ledger_roll(s, err) : 0;
	if (!r)
		r = cat_begin(s->catalog, &a.txn, err);
	if (r)
		return r;
	if (node_is_in_image(node))
		r = text_of_image(&a, ret);
	else if (bills)
		r = tree_bills_text(&a, ret);
	else
		r = text_of_file(&a, (enum tree_file)(node_slot(node) - SLOT_FILE), ret);
	cat_end(&a.txn);
	return r;
}

int tree_setting_text(struct service *s, const struct who *w, uint64_t node, struct buf *ret, struct error *err)
{
	char value[SETTING_MAX + 1];
	unsigned len = 0;
	struct image i;
	struct cat_txn *txn;
	int r = tree_image(s, w, node, &i, err);
	if (!r)
		r = cat_begin(s->catalog, &txn, err);
	if (r)
		return r;
	r = setting_get(txn, i.node, (uint8_t)node_slot(node), value, sizeof value, &len);
	cat_end(&txn);
	buf_add(ret, value, r ? 0 : len);
	return r == -ENOENT ? 0 : r;
}
