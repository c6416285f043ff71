/* SPDX-License-Identifier: Apache-2.0 */
#include "domain/decide.h"

#include "domain/names.h"

static bool is_common(const struct shelf *s) { return s->type == TYPE_PUBLIC || s->type == TYPE_MARKETPLACE; }

static bool is_owner(const struct who *w, const struct image *i)
{
	return i->owner == w->account || (w->is_operator && is_common(&i->shelf) && !i->shelf.trash);
}

static bool is_published(const struct image *i)
{
	return is_common(&i->shelf) && !i->shelf.trash && i->published &&
	       (i->kind == KIND_ALIAS || i->state == STATE_AVAILABLE || i->state == STATE_DEPRECATED);
}

static bool sees(const struct who *w, const struct facts *f)
{
	return f->image->owner == w->account || w->is_operator || f->received || is_published(f->image);
}

/* ---- shelves ------------------------------------------------------------------------------------ */

static int decide_make(const struct who *w, const struct shelf *s, struct error *err)
{
	switch (s->type) {
	case TYPE_PUBLIC:
		return w->is_operator ? 0 : fail(err, -EPERM, "public images are published by operators");
	case TYPE_MARKETPLACE:
		return w->is_vendor || w->is_operator ? 0 : fail(err, -EPERM, "marketplace images are submitted by vendors");
	case TYPE_SHARED:
		return fail(err, -EPERM, "nothing is made here: what others share with you shows here. To share an image of "
			    "yours: ln -sr REGION/custom/NAME accounts/ACCOUNT/REGION/shared/");
	default:
		break;
	}
	return s->account == w->account ? 0 : fail(err, -EPERM, "this place belongs to another account");
}

/* In accounts/NAME/REGION/shared everybody finds their own links. */
static int decide_shelf(const struct who *w, enum verb verb, const struct shelf *s, struct error *err)
{
	if (verb == MAY_LIST)
		return is_common(s) || s->type == TYPE_SHARED || s->account == w->account || w->is_operator ? 0 : -ENOENT;
	if (s->trash)
		return fail(err, -EPERM, "nothing is made in the trash: it fills when something is deleted");
	return decide_make(w, s, err);
}

/* ---- images: their bytes ------------------------------------------------------------------------ */

/* Published images, in the hands of those that do not own them. */
static int decide_download(const struct facts *f, struct error *err)
{
	if (f->download == DOWNLOAD_ALL || (f->download == DOWNLOAD_UNCHARGED && !f->charged))
		return 0;
	return fail(err, -EPERM, "%s is for starting instances: policy download is %s%s (cp -r, or ln -s, into REGION/instances "
		    "starts one)", f->image->name, f->download == DOWNLOAD_NONE ? "none" : "uncharged",
		    f->download == DOWNLOAD_NONE ? "" : ", and it has a price or a licence fee");
}

static int decide_read(const struct who *w, const struct facts *f, struct error *err)
{
	if (f->image->owner == w->account || w->is_operator)
		return 0;
	if (f->received)
		return fail(err, -EPERM, "%s is shared with you for starting instances and nothing else (ln -s, or cp -r, into "
			    "REGION/instances starts one)", f->image->name);
	return decide_download(f, err);
}

/* cp reads what it may not copy, when it is told -EPERM; on -EROFS it stops. */
static int decide_copy(const struct who *w, const struct facts *f, struct error *err)
{
	const struct image *i = f->image;
	if (f->received && i->owner != w->account && !w->is_operator && f->shared_copy) {
		if (f->to_custom && f->to_region == i->shelf.region)
			return 0;
		return fail(err, -EPERM, "policy shared-copy lets you copy %s to custom images of its own region", i->name);
	}
	if (i->owner == w->account && i->from_shared && i->shelf.type == TYPE_INSTANCE && !f->shared_instance_image)
		return fail(err, -EROFS, "%s was made from a shared image, and policy shared-instance-image lets no image be made of "
			    "that", i->name);
	return decide_read(w, f, err);
}

/* Who sees what is submitted (or was rejected) tries it: its vendor, and operators. */
static int decide_start(const struct facts *f, struct error *err)
{
	const struct image *i = f->image;
	enum image_state state = i->state == STATE_TRASHED ? i->state_before_trash : i->state;
	if (state == STATE_PENDING || state == STATE_FAILED)
		return fail(err, -EBUSY, "%s is not available yet (%s): wait until it is (imagefs status --wait)", i->name,
			    state_name(state));
	return 0;
}

/* ---- images: reviews -------------------------------------------------------------------------------- */

static bool is_whole(const struct image *i) { return i->state != STATE_PENDING && i->state != STATE_FAILED; }

static int decide_as_operator(const struct who *w, enum verb verb, const struct image *i, struct error *err)
{
	if (w->is_operator)
		return 0;
	return fail(err, -EPERM, verb == MAY_PUBLISH	? "%s is published by an operator, after a review: that needs nothing from you"
				 : verb == MAY_WITHDRAW ? "%s is withdrawn by an operator: ask one"
				 : verb == MAY_REJECT	? "the review of %s is written by an operator"
							: "%s is deprecated by an operator: ask one", i->name);
}

static int decide_review(const struct who *w, enum verb verb, const struct image *i, struct error *err)
{
	if (i->shelf.type != TYPE_MARKETPLACE || i->shelf.trash)
		return fail(err, -EPERM, "%s is not in the marketplace: what is submitted there is reviewed", i->name);
	int r = decide_as_operator(w, verb, i, err);
	if (r)
		return r;
	if (!is_whole(i))
		return fail(err, -EPERM, "%s is not submitted yet (%s)", i->name, state_name((enum image_state)i->state));
	if (verb == MAY_REJECT && i->published)
		return fail(err, -EPERM, "%s is published: withdraw it first (chmod go-rx)", i->name);
	if (verb == MAY_PUBLISH && i->state == STATE_REJECTED)
		return fail(err, -EPERM, "%s was rejected: its vendor removes it and submits another", i->name);
	return 0;
}

static int decide_deprecate(const struct who *w, const struct image *i, struct error *err)
{
	if (!is_common(&i->shelf) || i->shelf.trash)
		return fail(err, -EPERM, "%s is neither public nor in the marketplace: only what is published is deprecated", i->name);
	int r = decide_as_operator(w, MAY_DEPRECATE, i, err);
	if (!r && i->is_protected)
		r = fail(err, -EPERM, "%s is protected from deletion and change; chmod u+w takes the protection away", i->name);
	if (!r && !is_published(i))
		r = fail(err, -EPERM, "%s is not published (%s): only what is published is deprecated", i->name,
			 state_name((enum image_state)i->state));
	return r;
}

/* ---- images: what is done to them ----------------------------------------------------------------- */

static int decide_share(const struct who *w, const struct facts *f, struct error *err)
{
	const struct image *i = f->image;
	if (i->owner != w->account)
		return fail(err, -EPERM, "%s belongs to another account: its owner shares it", i->name);
	if (i->shelf.type != TYPE_CUSTOM || i->shelf.trash)
		return fail(err, -EPERM, "custom images are shared; %s is not one", i->name);
	if (f->byol)
		return fail(err, -EPERM, "%s has license byol: a licence that you bring cannot be passed on", i->name);
	return 0;
}

static int decide_delete(const struct who *w, const struct facts *f, struct error *err)
{
	const struct image *i = f->image;
	if (i->shelf.type == TYPE_MARKETPLACE && i->published && !i->shelf.trash && !w->is_operator)
		return fail(err, -EPERM, "%s is published: ask an operator to withdraw it, then you can remove it", i->name);
	if (f->shared_with[0])
		return fail(err, -EBUSY, "%s is shared with %s: cancel that first (rm accounts/ACCOUNT/REGION/shared/NAME)",
			    i->name, f->shared_with);
	return 0;
}

/* Of what is deleted, or submitted, nothing is left to change. */
static int decide_submission(const struct image *i, struct error *err)
{
	if (i->shelf.type != TYPE_MARKETPLACE)
		return 0;
	if (!is_whole(i))
		return !i->trashed ? 0 : fail(err, -EPERM, "%s was deleted: remove what is left of it (rm -r), then submit another", i->name);
	return fail(err, -EPERM, "%s is %s: what was submitted stays as it is, its settings and price too; %s", i->name,
		    i->published ? "published" : state_name((enum image_state)i->state),
		    i->published ? "submit another, and ask an operator to deprecate this one"
				 : "remove it (rm -r) and submit another");
}

static int decide_change(const struct who *w, enum verb verb, const struct facts *f, struct error *err)
{
	const struct image *i = f->image;
	if (verb == MAY_WRITE && i->shelf.type != TYPE_INSTANCE)
		verb = MAY_CHANGE;
	if (i->is_protected && verb != MAY_PROTECT && verb != MAY_WRITE && !(verb == MAY_CHANGE && w->restores))
		return fail(err, -EPERM, "%s is protected from %s and change; chmod u+w takes the protection away", i->name,
			    i->shelf.type == TYPE_INSTANCE ? "destruction, re-installation" : "deletion");
	if (i->shelf.trash && (verb == MAY_CHANGE || verb == MAY_WRITE))
		return fail(err, -EPERM, "%s is in the trash: restore it first (mv it back to its place)", i->name);
	return verb == MAY_DELETE ? decide_delete(w, f, err) : verb == MAY_CHANGE ? decide_submission(i, err) : 0;
}

static int decide_image(const struct who *w, enum verb verb, const struct facts *f, struct error *err)
{
	if (!sees(w, f))
		return fail(err, -ENOENT, "there is nothing of that name");
	switch (verb) {
	case MAY_SEE: return 0;
	case MAY_START: return decide_start(f, err);
	case MAY_READ: return decide_read(w, f, err);
	case MAY_COPY: return decide_copy(w, f, err);
	case MAY_SHARE: return decide_share(w, f, err);
	case MAY_PUBLISH:
	case MAY_WITHDRAW:
	case MAY_REJECT: return decide_review(w, verb, f->image, err);
	case MAY_DEPRECATE: return decide_deprecate(w, f->image, err);
	default: break;
	}
	if (!is_owner(w, f->image))
		return fail(err, -EPERM, "%s belongs to another account%s", f->image->name,
			    f->received ? ", which shares it with you: instances are started from it, and rmdir declines it" : "");
	return decide_change(w, verb, f, err);
}

int decide(const struct who *w, enum verb verb, const struct facts *f, struct error *err)
{
	if (verb == MAY_MANAGE)
		return w->is_operator ? 0 : fail(err, -EPERM, "only operators may do that");
	if (verb == MAY_ACCEPT)
		return 0;
	return f->image ? decide_image(w, verb, f, err) : decide_shelf(w, verb, f->shelf, err);
}
