/* SPDX-License-Identifier: Apache-2.0 */
/* Guessing gives nothing. Inode numbers are made of catalog numbers, and whoever holds a FUSE descriptor can make the kernel ask about any
 * of them: so every number that there is, and many that there are not, is asked for everything that can be asked, on behalf of a stranger
 * and of a receiver. What alice keeps to herself has "secret" in its name, what she gives to bob has "gift". Then everything
 * that changes something is tried on all of them, and nothing of hers is another thing afterwards. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../lib/rig.h"
#include "../lib/tap.h"
#include "base/buf.h"
#include "catalog/account.h"
#include "domain/acts.h"
#include "domain/rights.h"
#include "domain/tree.h"

enum { ME = 1, REGION = 1 };

static struct rig rig;
static struct who me = { .account = ME, .is_operator = true, .uid = 1000 }, alice = { .uid = 61111 }, bob = { .uid = 61112 },
		  carol = { .uid = 61113, .is_vendor = true }, dave = { .uid = 61114 };

#define MUST(expr) ({ struct error err = { 0, "" }; int must_ = (expr); if (must_) bail(#expr ": %d %s", must_, err.text); })

/* ---- what there is ---------------------------------------------------------------------------------------------- */

static uint64_t shelf_of(enum image_type type) { return node_make(NODE_REGION, REGION, SLOT_TYPE + type); }
static uint64_t box_of(const struct who *w) { return node_make(NODE_PLACE, (uint64_t)w->account << 16 | REGION, SLOT_TYPE + TYPE_SHARED); }

static void make_account(struct who *w, const char *name, const char *more)
{
	char text[200];
	struct cat_txn *txn;
	struct account a;
	snprintf(text, sizeof text, "uids %u\n%s", w->uid, more);
	MUST(act_make_place(rig.service, &me, node_make(NODE_FIXED, 0, SLOT_ACCOUNTS), name, text, &err));
	MUST(cat_begin(rig.service->catalog, &txn, &err));
	MUST(account_find(txn, name, &a));
	cat_end(&txn);
	w->account = a.no;
}

static uint64_t an_image(const struct who *w, const char *name)
{
	static const uint64_t seeds[3] = { 1, 2, 3 };
	char unique[100];
	snprintf(unique, sizeof unique, "%s-%u", name, w->account);
	uint64_t node = rig_image(&rig, unique, STATE_AVAILABLE);
	struct image i = rig_row(&rig, node);
	i.owner = i.shelf.account = w->account;
	snprintf(i.name, sizeof i.name, "%s", name);
	rig_change(&rig, &i);
	rig_write(&rig, node, 0, seeds, 3);
	return node;
}

static void say(const struct who *w, uint64_t image, enum setting_key key, const char *text)
{
	MUST(act_set(rig.service, w, node_image(image, (unsigned)key), text, (unsigned)strlen(text), &err));
}

static void furnish(void)
{
	struct entry e;
	make_account(&bob, "bob", "");
	make_account(&dave, "dave", "");
	make_account(&alice, "alice", "accept dave\n");
	make_account(&carol, "carol", "vendor yes\n");
	MUST(act_configure(rig.service, &me, node_make(NODE_ACCOUNT, alice.account, SLOT_FILE + FILE_POLICY), "max-disk 777G\n", &err));
	uint64_t gift = an_image(&alice, "secret-web"), kept = an_image(&alice, "secret-db"), gone = an_image(&alice, "secret-old");
	say(&alice, gift, SET_DESCRIPTION, "gift-words");
	say(&alice, kept, SET_DESCRIPTION, "secret-words");
	MUST(act_symlink(rig.service, &alice, shelf_of(TYPE_CUSTOM), "secret-latest", "secret-web", &e, &err));
	MUST(act_mkdir(rig.service, &alice, shelf_of(TYPE_INSTANCE), "secret-vm", &e, &err));
	uint64_t vm = e.node;
	MUST(act_symlink(rig.service, &alice, vm, "image", "../../custom/secret-web", &e, &err));
	MUST(act_symlink(rig.service, &alice, vm, "secret-link", "../../custom/secret-web", &e, &err));
	MUST(act_mkdir(rig.service, &alice, shelf_of(TYPE_CUSTOM), "secret-pending", &e, &err));
	MUST(act_create(rig.service, &alice, e.node, "secret.img", &e, &err));
	MUST(act_create(rig.service, &alice, node_image(kept, SLOT_DIR), "secret-part", &e, &err));
	MUST(act_unlink(rig.service, &alice, node_image(gone, SLOT_DIR), "disk", &err));
	MUST(act_rmdir(rig.service, &alice, shelf_of(TYPE_CUSTOM), "secret-old", &err));
	MUST(act_symlink(rig.service, &alice, box_of(&bob), "gift", "/x/ap-guangzhou/custom/secret-web", &e, &err));
	MUST(act_symlink(rig.service, &alice, box_of(&dave), "secret-gift", "/x/ap-guangzhou/custom/secret-db", &e, &err));
	(void)an_image(&bob, "mine");
	(void)an_image(&carol, "mine");
}

/* ---- asking ------------------------------------------------------------------------------------------------------- */

static const char *const names[] = {
	"disk", "os", "description", "image", "from", "owner", ".status", ".account", ".policy", ".metrics", ".log", ".list", ".usage",
	".region", ".trash", "custom", "instances", "shared", "secret-web", "secret-db", "secret-vm", "secret-latest", "secret-link",
	"secret-part", "secret.img", "secret-pending", "gift", "gift@alice", "secret-gift", "secret-gift@alice", "web@alice", "alice",
};
#define NAMES (sizeof names / sizeof *names)

static uint64_t highest; /* of what there is */

static bool asked(enum node_kind kind, unsigned slot)
{
	if (kind == NODE_DISK)
		return slot == SLOT_DISK || slot == 0;
	return slot <= 20 || (slot >= 32 && slot < 48) || (slot >= 100 && slot < 108) || (slot >= 118 && slot < 142) || slot >= 254;
}

/* Every node of every kind, of numbers up to a little more than there are. */
static void each_node(void (*fn)(const struct who *, uint64_t node, struct buf *), const struct who *w, struct buf *ret)
{
	for (unsigned kind = 0; kind <= 9; kind++)
		for (uint64_t n = 0; n <= highest + 3; n++) /* of accounts and regions there are a few */
			for (unsigned slot = 0; slot < 256; slot++)
				if (asked((enum node_kind)kind, slot) && n <= (kind == NODE_FIXED ? 1 : kind <= NODE_PLACE ? dave.account + 6 : highest + 3))
					fn(w, node_make((enum node_kind)kind, kind == NODE_PLACE ? n << 16 | REGION : kind == NODE_BILLS ? n << 16 : n, slot), ret);
}

static int add_name(void *ctx, const char *name, const struct entry *e, uint64_t cookie)
{
	(void)e, (void)cookie;
	buf_addf(ctx, "%s\n", name);
	return 0;
}

/* Everything that is told about a node, and every sentence that says why not. */
static void ask_all(const struct who *w, uint64_t node, struct buf *ret)
{
	struct service *s = rig.service;
	struct error err = { 0, "" };
	struct tree_disk d;
	struct entry e;
	char link[1024];
	if (tree_list(s, w, node, 0, add_name, ret, &err))
		buf_addf(ret, "%s\n", err.text);
	if (tree_readlink(s, w, node, link, &err) == 0)
		buf_addf(ret, "%s\n", link);
	if (tree_attr(s, w, node, &e, &err))
		buf_addf(ret, "%s\n", err.text);
	unsigned slot = node_slot(node);
	bool text = node_is_in_image(node) ? slot >= SLOT_OWNER : slot >= SLOT_FILE && slot < SLOT_FILE + FILE_MAX_ && slot != SLOT_FILE + FILE_WHY;
	bool bill = node_kind(node) == NODE_BILLS && slot == SLOT_BILLS_USAGE; /* what somebody stores and pays */
	if ((bill || (text && node_kind(node) <= NODE_SHARED)) && tree_file_text(s, w, node, ret, &err))
		buf_addf(ret, "%s\n", err.text);
	if (slot < SET_MAX_ && tree_setting_text(s, w, node, ret, &err))
		buf_addf(ret, "%s\n", err.text);
	if (tree_disk(s, w, node, &d, &err) == 0) {
		buf_addf(ret, "row: %s\n", d.image.owner == w->account || d.image.shelf.account == 0 ? d.image.name : "another's");
		if (status_text(s, w, &d.image, ret, &err))
			buf_addf(ret, "%s\n", err.text);
		if (may_now(s, w, MAY_READ, &d.image, &err) == 0 && d.image.owner != w->account)
			buf_adds(ret, "secret: the bytes of another\n");
	}
	tree_path(s, w, node, ret);
	buf_adds(ret, "\n");
}

/* A name that is asked for is in the sentence that says that there is none: only what is found counts. */
static void look_up_all(const struct who *w, uint64_t node, struct buf *ret)
{
	struct error err;
	struct entry e;
	for (size_t n = 0; n < NAMES; n++)
		if (tree_lookup(rig.service, w, node, names[n], &e, &err) == 0)
			buf_addf(ret, "found: %s\n", names[n]);
}

static bool tells(const struct buf *text, const char *word)
{
	const char *at = text->data ? strstr(text->data, word) : NULL;
	if (at)
		diag("  it says: ...%.*s", 120, at - text->data > 50 ? at - 50 : text->data);
	return at;
}

static void test_asking(void)
{
	struct buf carols = BUF_INIT, bobs = BUF_INIT, alices = BUF_INIT;
	each_node(ask_all, &alice, &alices);
	each_node(look_up_all, &alice, &alices);
	ok(strstr(alices.data, "secret-words") && strstr(alices.data, "accept dave") && strstr(alices.data, "777G") &&
	   strstr(alices.data, "found: secret-part") && strstr(alices.data, "@"), "what alice has is there to be found");
	each_node(ask_all, &carol, &carols);
	each_node(look_up_all, &carol, &carols);
	ok(carols.len > 1000, "carol is told %zu bytes", carols.len);
	ok(!tells(&carols, "secret"), "nothing of what alice has");
	ok(!tells(&carols, "gift"), "nor of what she gives to others");
	ok(!tells(&carols, "61111") && !tells(&carols, "accept dave") && !tells(&carols, "777G"), "nor how her account is set up");
	each_node(ask_all, &bob, &bobs);
	each_node(look_up_all, &bob, &bobs);
	ok(strstr(bobs.data, "found: gift@alice") && strstr(bobs.data, "gift-words"), "bob finds what is his");
	ok(!tells(&bobs, "secret"), "and nothing else of hers");
	ok(!tells(&bobs, "dave\nreviewed") && !tells(&bobs, "shared-with"), "nor who else has it");
	ok(!tells(&bobs, "uids 61111") && !tells(&bobs, "accept dave") && !tells(&bobs, "777G"), "nor how her account is set up");
	buf_free(&carols);
	buf_free(&bobs);
	buf_free(&alices);
}

/* ---- changing -------------------------------------------------------------------------------------------------------- */

static void change_all(const struct who *w, uint64_t node, struct buf *ret)
{
	static const char *const targets[] = { "secret-web", "secret-db", "secret-vm", "secret-latest", "disk", "description", "secret-part",
					       "secret-link", "gift", "secret-gift", "image", "alice" };
	struct service *s = rig.service;
	struct error err;
	struct entry e;
	int done = 0;
	for (size_t n = 0; n < sizeof targets / sizeof *targets; n++) {
		done += act_rename(s, w, node, targets[n], node, "taken", true, &err) == 0;
		done += act_unlink(s, w, node, targets[n], &err) == 0;
		done += act_rmdir(s, w, node, targets[n], &err) == 0;
	}
	done += act_mkdir(s, w, node, "new", &e, &err) == 0;
	done += act_symlink(s, w, node, "new", "secret-web", &e, &err) == 0;
	done += act_symlink(s, w, node, "image", "../../custom/secret-web", &e, &err) == 0;
	done += act_create(s, w, node, "new", &e, &err) == 0;
	done += act_create(s, w, node, "description", &e, &err) == 0;
	if (node_kind(node) == NODE_DISK)
		done += act_set_mtime(s, w, node, 1, &err) == 0;
	else if (node_is_in_image(node) && node_slot(node) < SET_MAX_)
		done += (act_chmod(s, w, node, 0555, &err) == 0) + (act_chmod(s, w, node, 0755, &err) == 0) +
			(act_set(s, w, node, "x\n", 2, &err) == 0);
	else if (node_slot(node) >= SLOT_FILE)
		done += act_configure(s, w, node, "accept all\n", &err) == 0;
	if (done)
		buf_addf(ret, "%d ", done);
}

/* Without what tells the time. */
static void ask_lasting(const struct who *w, uint64_t node, struct buf *ret)
{
	if (node_is_in_image(node) || (node_slot(node) != SLOT_FILE + FILE_USAGE && node_kind(node) != NODE_BILLS))
		ask_all(w, node, ret);
}

/* The first line in which they differ; NULL when they are the same. */
static const char *difference(const struct buf *a, const struct buf *b)
{
	const char *p = a->data, *q = b->data, *line = p;
	for (; *p && *p == *q; p++, q++)
		if (*p == '\n')
			line = p + 1;
	return *p == *q ? NULL : line;
}

static void test_changing(void)
{
	struct buf before = BUF_INIT, after = BUF_INIT, carols = BUF_INIT, bobs = BUF_INIT;
	each_node(ask_lasting, &alice, &before);
	each_node(change_all, &carol, &carols);
	ok(carols.len, "carol changes what is hers");
	each_node(change_all, &bob, &bobs);
	ok(bobs.len, "bob changes what is his");
	each_node(ask_lasting, &alice, &after);
	const char *line = difference(&before, &after);
	ok(!line, "what alice has is what it was, to the letter");
	if (line)
		diag("  it said: %.300s", line);
	buf_free(&before);
	buf_free(&after);
	buf_free(&carols);
	buf_free(&bobs);
}

int main(void)
{
	struct cat_txn *txn;
	rig_make(&rig, "store");
	furnish();
	MUST(cat_begin(rig.service->catalog, &txn, &err));
	highest = cat_counter_get(txn, COUNTER_NODE);
	if (cat_counter_get(txn, COUNTER_DISK) > highest)
		highest = cat_counter_get(txn, COUNTER_DISK);
	cat_end(&txn);
	test_asking();
	test_changing();
	rig_close(&rig);
	return done_testing();
}
