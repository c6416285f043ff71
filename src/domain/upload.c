/* SPDX-License-Identifier: Apache-2.0 */
/* upload: when is a disk whole?
 *
 * The last close of a file cannot be seen from here: every close of a copy of a descriptor looks the same, some come before the
 * first write. So every close after a write is taken for the last one: the disk is looked at and, when it passes, folded and shown
 * as available. Should more writes follow, they make the image pending again, as long as nobody has used it. */
#include "domain/upload_int.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/num.h"
#include "catalog/meter_tab.h"
#include "catalog/object_tab.h"
#include "domain/act.h"
#include "domain/disks.h"
#include "domain/give_back.h"
#include "domain/inherit.h"
#include "domain/market.h"
#include "domain/policy.h"
#include "domain/price.h"
#include "domain/probe.h"
#include "domain/probe_cage.h"
#include "domain/quota.h"
#include "domain/replace.h"
#include "domain/rights.h"
#include "domain/runs.h"
#include "domain/scratch.h"
#include "domain/start.h"
#include "domain/start.h"
#include "domain/names.h"
#include "domain/trash.h"

int upload_rows(struct cat_txn *txn, uint64_t disk_node, struct tree_disk *ret, struct error *err)
{
	int r = disk_row_get(txn, node_number(disk_node), &ret->row);
	if (!r)
		r = image_get(txn, ret->row.image, &ret->image);
	ret->is_main = !r && ret->image.disk == ret->row.no;
	return r ? fail(err, r == -ENOENT ? -ESTALE : r, "this disk is gone") : 0;
}

bool image_is_running(const struct image *i) { return i->shelf.type == TYPE_INSTANCE && i->state == STATE_AVAILABLE; }

enum verb verb_of_writing(const struct tree_disk *d)
{
	return d->is_main && image_is_running(&d->image) ? MAY_WRITE : MAY_CHANGE;
}

/* ---- reopening -------------------------------------------------------------------------------------- */

static bool is_being_written(const struct tree_disk *d)
{
	return d->image.state == STATE_PENDING && !d->row.mtime && !d->image.incomplete;
}

static int do_reopen(struct cat_txn *txn, struct act *a, struct error *err)
{
	struct tree_disk d;
	int r = upload_rows(txn, a->node, &d, err);
	a->not_logged = true; /* but what is put in the trash */
	if (!r)
		r = may(txn, a->who, MAY_CHANGE, NULL, &d.image, err);
	if (r || !d.is_main || is_being_written(&d))
		return r;
	if (d.image.used)
		return fail(err, -EPERM, "the disk of %s has been used (read, copied or started from) and never changes again; "
			    "make another image", d.image.name);
	if (a->flag && (r = upload_keep_old(txn, a, &d, err)))
		return r;
	act_node_changed(a, seers_of(&d.image), a->node, false);
	d.image.state = STATE_PENDING;
	d.image.incomplete = false;
	d.image.reason[0] = 0;
	d.image.changed = clock_real();
	if (!d.image.upload[0])
		snprintf(d.image.upload, sizeof d.image.upload, "disk");
	d.row.mtime = 0;
	r = disk_row_put(txn, &d.row);
	return r ? r : image_put(txn, &d.image);
}

static int reopen(struct service *s, const struct who *w, uint64_t disk_node, bool anew, struct error *err)
{
	struct tree_disk d;
	struct act a = { .service = s, .who = w, .operation = anew ? "replace" : NULL, .fn = do_reopen, .node = disk_node, .flag = anew };
	int r = tree_disk(s, w, disk_node, &d, err);
	if (!r)
		r = may_now(s, w, verb_of_writing(&d), &d.image, err);
	if (!r && d.image.expect_sha) /* all of it must be readable, not only what is new */
		disks_careful(s->disks, d.row.no);
	if (r || !d.is_main || is_being_written(&d) || image_is_running(&d.image))
		return r;
	return act_run(&a, err);
}

int upload_reopen(struct service *s, const struct who *w, uint64_t disk_node, struct error *err)
{
	return reopen(s, w, disk_node, false, err);
}

int upload_begin_anew(struct service *s, const struct who *w, uint64_t disk_node, struct error *err)
{
	return reopen(s, w, disk_node, true, err);
}

/* ---- looking at it ------------------------------------------------------------------------------------ */

static int read_source(void *ctx, void *buf, uint32_t len, uint64_t offset, struct error *err)
{
	ssize_t n = disk_read(ctx, buf, len, offset, NULL, err);
	if (n < 0)
		return (int)n;
	return (uint32_t)n == len ? 0 : fail(err, -ENODATA, "the disk ends at %" PRIu64, offset + (uint64_t)n);
}

static int seek_source(void *ctx, uint64_t offset, uint64_t *ret, struct error *err)
{
	int r = disk_seek(ctx, offset, true, ret, err);
	if (r == -ENXIO)
		*ret = disk_size(ctx);
	return r == -ENXIO ? 0 : r;
}

struct verdict {
	enum image_state state; /* PENDING, AVAILABLE or FAILED */
	int code;               /* what close() is answered */
	int outcome;            /* what the log says */
	char reason[400];
	char os[64], arch[16];
	bool has_sha;
	struct hash sha;
};

static int judge(struct verdict *v, enum image_state state, int code, const char *reason)
{
	v->state = state;
	v->code = v->outcome = code;
	snprintf(v->reason, sizeof v->reason, "%s", reason);
	return code;
}

/* A whole copy of a disk whose sum is known has that sum: it takes no reading. */
static bool sum_of_origin(struct service *s, const struct image *i, struct disk *disk, struct hash *ret)
{
	struct cat_txn *txn;
	struct image origin;
	struct disk_row row;
	if (!i->from || disk_dirty(disk) || cat_begin(s->catalog, &txn, NULL))
		return false;
	struct map_root root = disk_root(disk);
	bool known = image_by_id(txn, i->from, &origin) == 0 && disk_row_get(txn, origin.disk, &row) == 0 && row.has_sha &&
		     row.size == disk_size(disk) && hash_equal(&row.root.hash, &root.hash);
	cat_end(&txn);
	if (known)
		*ret = row.sha256;
	return known;
}

/* More may follow what is cut, so this is no failure yet; but who closed it as it is has to know. */
static void judge_cut(struct verdict *v, enum upload_end end, const char *reason)
{
	judge(v, STATE_PENDING, end == UPLOAD_PAUSED ? 0 : -EINVAL, reason);
}

static void judge_size(struct verdict *v, bool too_small, enum upload_end end, const char *reason)
{
	if (too_small)
		judge_cut(v, end, reason);
	else
		judge(v, STATE_FAILED, -EINVAL, reason);
}

/* What could not be compared may be whole: it is not given up for that. */
static void judge_sum(struct service *s, const struct who *who, const struct image *i, struct disk *disk, struct verdict *v)
{
	struct error err = { .text = "" };
	int r = v->has_sha ? 0 : upload_hash_now(s, who, node_disk(disk_number(disk)), disk, &v->sha, &err);
	v->has_sha = r == 0 && memcmp(v->sha.b, i->expect_sha256, sizeof v->sha.b) == 0;
	if (r == -EFBIG || r == -EINTR)
		judge(v, STATE_PENDING, r, err.text);
	else if (r)
		judge(v, STATE_FAILED, r, err.text);
	else if (!v->has_sha)
		judge(v, STATE_FAILED, -EINVAL, "its bytes do not have the SHA-256 that its setting sha256 names");
}

static void judge_expectations(struct service *s, const struct who *who, const struct image *i, struct disk *disk, enum upload_end end,
			       struct verdict *v)
{
	char text[300];
	uint64_t size = disk_size(disk);
	if (i->expect_size && size != i->expect_size) {
		snprintf(text, sizeof text, "it has %" PRIu64 " bytes and its setting size says %" PRIu64, size, i->expect_size);
		judge_size(v, size < i->expect_size, end, text);
		return;
	}
	v->has_sha = sum_of_origin(s, i, disk, &v->sha);
	if (i->expect_sha)
		judge_sum(s, who, i, disk, v);
}

static void look_for_system(struct service *s, const struct source *source, struct verdict *v)
{
	struct cage cage = { s->prober, CAGE_PATIENCE };
	probe_system(source, s->prober ? &cage : NULL, v->os, v->arch);
}

static void look(struct service *s, const struct who *who, const struct image *i, struct disk *disk, enum upload_end end,
		 struct verdict *v)
{
	struct error err = { .text = "" };
	struct source source = { read_source, seek_source, disk, disk_size(disk) };
	bool zero = false;
	*v = (struct verdict){ .state = STATE_AVAILABLE };
	if (source.size == 0) {
		judge(v, STATE_PENDING, 0, "");
		return;
	}
	if (i->shelf.type == TYPE_INSTANCE)
		return; /* a server may do with its disk what it likes */
	int r = probe_disk(&source, &zero, &err);
	if (end == UPLOAD_COPIED) { /* the image of a server is made whatever the server has on its disk, be it nothing */
		zero = false;
		r = 0;
	}
	if (zero)
		judge(v, STATE_PENDING, 0, "so far it is nothing but zeros");
	else if (r == -ENODATA)
		judge_cut(v, end, err.text);
	else if (r)
		judge(v, STATE_FAILED, r, err.text);
	else
		judge_expectations(s, who, i, disk, end, v);
	if (v->state == STATE_AVAILABLE)
		look_for_system(s, &source, v);
}

/* ---- settling ------------------------------------------------------------------------------------------ */

struct settle {
	struct act act; /* frame for log and events; its fn is only run where no fold is needed */
	struct verdict verdict;
	bool take_over; /* this upload replaces the image's disk */
	struct taking taking;
	bool measured;  /* what it takes in the store is known */
	uint64_t left;  /* bytes of its overlay, when it is not folded */
	struct error lacks; /* why a submission with a whole disk is none yet; code 0: it lacks nothing */
};

static int fill_setting(struct cat_txn *txn, struct image *i, enum setting_key key, const char *value)
{
	char old[SETTING_MAX + 1];
	unsigned len;
	struct error ignored;
	int r = setting_get(txn, i->node, (uint8_t)key, old, sizeof old, &len);
	if (r != -ENOENT || !value[0])
		return r == -ENOENT ? 0 : r;
	r = setting_write(txn, i, key, value, (unsigned)strlen(value), &ignored);
	return r == -EINVAL ? 0 : r; /* what was found in the disk is no valid setting: then there is none */
}

static void tell_outcome(struct cat_txn *txn, struct settle *s, const struct image *i)
{
	struct act *a = &s->act;
	struct image origin;
	if (s->taking.told[0] && i->shelf.type == TYPE_INSTANCE)
		a->operation = "reinstall";
	snprintf(a->detail, sizeof a->detail, "%s%.280s", !i->reason[0] && i->from ? "from " : "",
		 i->reason[0] ? i->reason : i->from ? i->from_text : "");
	if (s->taking.told[0])
		snprintf(a->detail, sizeof a->detail, "%s", s->taking.told);
	else if (!i->reason[0] && replace_origin(txn, a->who, i, &origin) == 0)
		replace_note(txn, a->who, &origin, a->detail, sizeof a->detail);
}

/* What is whole is available; in the marketplace, it is submitted, or lacks something still. */
static int accept(struct cat_txn *txn, struct settle *s, struct image *i, enum image_state *ret)
{
	const struct verdict *v = &s->verdict;
	snprintf(i->format, sizeof i->format, "raw");
	int r = fill_setting(txn, i, SET_OS, v->os);
	if (!r)
		r = fill_setting(txn, i, SET_ARCH, v->arch);
	if (r || i->shelf.type != TYPE_MARKETPLACE)
		return r;
	s->act.operation = "submit";
	return market_submit(txn, i, ret, &s->lacks);
}

/* What is public shows to all when it is available: their kernels have listings without it. */
static void tell_of_name(struct act *a, const struct image *i, bool seen)
{
	if (!i->shelf.trash && !i->shelf.account && seers_of(i).all != seen)
		act_shelf_changed(a, SEEN_BY_ALL, &i->shelf, i->name);
}

static int apply_verdict(struct cat_txn *txn, struct settle *s, struct image *i, uint64_t disk, struct error *err)
{
	const struct verdict *v = &s->verdict;
	struct act *a = &s->act;
	int r = s->take_over ? take_over(txn, &s->taking, a, i, disk, err) : 0;
	if (r)
		return r;
	enum image_state state = v->state;
	bool seen = seers_of(i).all;
	s->lacks.code = 0;
	snprintf(i->reason, sizeof i->reason, "%s", v->reason);
	i->changed = clock_real();
	i->incomplete = false;
	if (i->from)
		a->operation = i->shelf.type == TYPE_INSTANCE ? "start" : "copy";
	if (state == STATE_AVAILABLE && i->shelf.type == TYPE_INSTANCE)
		r = start_recall(txn, a, i);
	if (!r && state == STATE_AVAILABLE)
		r = accept(txn, s, i, &state);
	*(i->shelf.trash ? &i->state_before_trash : &i->state) = state; /* it was deleted while it was looked at */
	act_path_image(a, txn, i);
	a->outcome = s->lacks.code ? s->lacks.code : v->outcome;
	a->not_logged = state == STATE_PENDING && !a->outcome;
	tell_outcome(txn, s, i);
	act_node_changed(a, seers_of(i), node_disk(disk), false);
	act_node_changed(a, seers_of(i), node_image(i->node, SLOT_DIR), false);
	tell_of_name(a, i, seen);
	if (!r)
		r = image_put(txn, i);
	return r || !image_is_running(i) ? r : runs_begin(txn, i);
}

/* A copy that is wholly its origin's map takes what that takes. */
static bool measured_by_origin(struct cat_txn *txn, const struct image *i, struct disk_row *row)
{
	struct image origin;
	struct disk_row other;
	if (!i->from || image_by_id(txn, i->from, &origin) || !origin.disk || disk_row_get(txn, origin.disk, &other) ||
	    !hash_equal(&other.root.hash, &row->root.hash))
		return false;
	row->stored = other.stored;
	if (other.has_sha && other.size == row->size) {
		row->has_sha = true;
		row->sha256 = other.sha256;
	}
	return true;
}

static int on_final_fold(struct cat_txn *txn, struct disks_final *final, struct disk_row *row, struct error *err)
{
	struct settle *s = final->arg;
	struct image i;
	int r = image_get(txn, row->image, &i);
	if (r)
		return fail(err, r, "the image was deleted meanwhile");
	s->act.n_events = 0;
	memset(s->act.dropped, 0, sizeof s->act.dropped);
	r = inherit_by_content(txn, &i, s->act.who->pid, row, err);
	if (!r)
		r = apply_verdict(txn, s, &i, row->no, err);
	if (!r)
		r = act_log(txn, &s->act);
	if (row->mtime == 0)
		row->mtime = clock_real();
	if (s->verdict.has_sha) {
		row->has_sha = true;
		row->sha256 = s->verdict.sha;
	}
	s->measured = measured_by_origin(txn, &i, row);
	return r;
}

static int do_apply(struct cat_txn *txn, struct act *a, struct error *err)
{
	struct settle *s = (struct settle *)a; /* act is its first member */
	struct tree_disk d;
	int r = upload_rows(txn, a->node, &d, err);
	if (!r && d.image.used)
		return 0;
	if (!r)
		r = apply_verdict(txn, s, &d.image, d.row.no, err);
	return r ? r : meter_set_written(txn, d.row.no, s->left);
}

static void after_commit(struct settle *s)
{
	for (unsigned n = 0; n < ACT_DROPS && s->act.dropped[n]; n++)
		disks_drop(s->act.service->disks, s->act.dropped[n]);
	act_tell(&s->act);
}

/* Over policy bytes-per-region nothing becomes available, however its bytes came to be there. What is there stays, until its room
 * is needed. The numbers are told to who closes it. */
static int judge_bytes(struct service *s, struct disk *disk, struct verdict *v, struct error *err)
{
	int r = quota_check(disks_quota(s->disks, disk), err);
	if (r == -EDQUOT)
		judge(v, STATE_PENDING, r, REASON_OVER_KEPT);
	return r == -EDQUOT ? 0 : r;
}

static int settle_disk(struct settle *s, const struct tree_disk *d, struct disk *disk, enum upload_end end, struct error *err)
{
	struct disks_final final = { on_final_fold, s };
	if (end == UPLOAD_KILLED)
		judge(&s->verdict, STATE_PENDING, -EINTR, "its writer was killed: continue the upload, or do it again");
	else if (end == UPLOAD_BROKEN)
		judge(&s->verdict, STATE_FAILED, -EIO, "a write had failed: do the upload again");
	else if (end == UPLOAD_NO_ROOM)
		judge(&s->verdict, STATE_FAILED, -ENOSPC, REASON_FULL);
	else if (end == UPLOAD_OVER)
		judge(&s->verdict, STATE_FAILED, -EDQUOT, REASON_OVER_KEPT);
	else
		look(s->act.service, s->act.who, &d->image, disk, end, &s->verdict);
	if (end == UPLOAD_KILLED || end == UPLOAD_BROKEN || end == UPLOAD_NO_ROOM || end == UPLOAD_OVER)
		s->verdict.code = 0; /* the write was answered, and who was killed knows nothing any more */
	int r = s->verdict.state == STATE_AVAILABLE ? judge_bytes(s->act.service, disk, &s->verdict, err) : 0;
	if (r)
		return r;
	if (s->verdict.state == STATE_AVAILABLE) {
		r = disks_fold(s->act.service->disks, disk, &final, err);
		if (!r) {
			after_commit(s);
			if (!s->measured)
				upload_measure(s->act.service, disk);
		}
		return r || !s->lacks.code ? r : fail(err, s->lacks.code, "%s", s->lacks.text);
	}
	s->act.fn = do_apply;
	s->left = disk_overlay_stored(disk);
	/* A whole disk is not given up for one that is not: that one stays beside it, to be continued or removed. */
	r = s->take_over && d->image.disk && image_is_settled(&d->image) ? 0 : act_run(&s->act, err);
	if (r || !s->verdict.code)
		return r;
	return s->verdict.code == -EDQUOT ? -EDQUOT : fail(err, s->verdict.code, "%s", s->verdict.reason); /* judge_bytes() has said it */
}

static int settle_beside(struct settle *s, const struct tree_disk *d, struct disk *disk, enum upload_end end, struct error *err)
{
	int r = take_begin(&s->taking, s->act.service, s->take_over ? d->image.disk : 0, err);
	if (!r)
		r = settle_disk(s, d, disk, end, err);
	take_end(&s->taking);
	return r;
}

/* Does closing this file mean that an upload is done? Beside an instance's disk only a new name does. */
static bool is_upload(const struct tree_disk *d, const char *name, uint64_t size, bool dirty, enum upload_end end)
{
	/* dirty: somebody wrote while another one's close was being settled */
	if (d->is_main)
		return d->image.state == STATE_PENDING || (d->image.state == STATE_FAILED && !d->image.used) ||
		       (d->image.state == STATE_AVAILABLE && dirty);
	if (d->image.shelf.type == TYPE_INSTANCE)
		return end == UPLOAD_RENAMED && !d->image.shelf.trash;
	if (name[0] == '.' || d->image.used)
		return false;
	return !d->image.disk || upload_replaces(&d->image, name, size);
}

/* Nobody writes meanwhile; who writes afterwards has to ask, and finds the image available. */
static int settle_alone(struct settle *s, struct disk *disk, enum upload_end end, struct error *err)
{
	struct service *service = s->act.service;
	struct disk_gate *gate = disks_gate(service->disks, disk);
	struct tree_disk d;
	char name[256] = "";
	WITH_WRLOCK(&gate->lock);
	gate->rounds++;
	int r = tree_disk(service, s->act.who, s->act.node, &d, err);
	if (r)
		return r == -ENOENT || r == -ESTALE ? 0 : r;
	if (!d.is_main)
		take_name(service, &d, name);
	s->take_over = !d.is_main;
	if (is_upload(&d, name, disk_size(disk), disk_dirty(disk), end))
		return settle_beside(s, &d, disk, end, err);
	if (d.is_main || d.image.shelf.type == TYPE_INSTANCE || !name[0])
		return 0;
	if (d.image.used && upload_replaces(&d.image, name, disk_size(disk)))
		return fail(err, -EPERM, "%s has its disk, and it has been used: make another image", d.image.name);
	if (scratch_is_name(name) || !disk_size(disk))
		return 0;
	return fail(err, -EINVAL, "%s is neither a setting of %s nor as large as a disk: it lies beside the disk and does nothing; remove it", name,
		    d.image.name);
}

int upload_settle(struct service *s, const struct who *w, uint64_t disk_node, enum upload_end end, struct error *err)
{
	struct tree_disk d;
	struct disk *disk;
	struct who settler = *w;
	settler.conn = 0; /* a FLUSH that comes twice may do its work twice: it does no harm */
	settler.resent = false;
	struct settle settle = { .act = { .service = s, .who = &settler, .operation = "import", .node = disk_node } };
	int r = tree_disk(s, w, disk_node, &d, err);
	if (r)
		return r == -ENOENT || r == -ESTALE ? 0 : r; /* deleted while it was open: nothing to settle */
	if (d.is_main && image_is_running(&d.image))
		return 0;
	r = disks_get(s->disks, d.row.no, &disk, err);
	if (r)
		return r;
	r = settle_alone(&settle, disk, end, err);
	disks_put(s->disks, &disk);
	return r;
}
