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
		if (!w->is_vendor && !w->is_operator)
			return fail(err, -EPERM, "marketplace images are submitted by vendors");
		return fail(err, -EPERM, "this version of imagefs takes no images into the marketplace yet");
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

static int decide_delete(const struct facts *f, struct error *err)
{
	if (f->shared_with[0])
		return fail(err, -EBUSY, "%s is shared with %s: cancel that first (rm accounts/ACCOUNT/REGION/shared/NAME)",
			    f->image->name, f->shared_with);
	return 0;
}

static int decide_change(enum verb verb, const struct facts *f, struct error *err)
{
	const struct image *i = f->image;
	if (i->is_protected && verb != MAY_PROTECT)
		return fail(err, -EPERM, "%s is protected from deletion and change; chmod u+w takes the protection away", i->name);
	if (i->shelf.trash && verb == MAY_CHANGE)
		return fail(err, -EPERM, "%s is in the trash: restore it first (mv it back to its place)", i->name);
	return verb == MAY_DELETE ? decide_delete(f, err) : 0;
}

static int decide_image(const struct who *w, enum verb verb, const struct facts *f, struct error *err)
{
	if (!sees(w, f))
		return fail(err, -ENOENT, "there is nothing of that name");
	switch (verb) {
	case MAY_SEE:
	case MAY_START: return 0;
	case MAY_READ: return decide_read(w, f, err);
	case MAY_COPY: return decide_copy(w, f, err);
	case MAY_SHARE: return decide_share(w, f, err);
	default: break;
	}
	if (!is_owner(w, f->image))
		return fail(err, -EPERM, "%s belongs to another account%s", f->image->name,
			    f->received ? ", which shares it with you: instances are started from it, and rmdir declines it" : "");
	return decide_change(verb, f, err);
}

int decide(const struct who *w, enum verb verb, const struct facts *f, struct error *err)
{
	if (verb == MAY_MANAGE)
		return w->is_operator ? 0 : fail(err, -EPERM, "only operators may do that");
	if (verb == MAY_ACCEPT)
		return 0;
	return f->image ? decide_image(w, verb, f, err) : decide_shelf(w, verb, f->shelf, err);
}
