/* SPDX-License-Identifier: Apache-2.0 */
#include "domain/decide.h"

#include "domain/names.h"

static bool is_common(const struct shelf *s) { return s->type == TYPE_PUBLIC || s->type == TYPE_MARKETPLACE; }

static bool is_owner(const struct who *w, const struct image *i)
{
	return i->owner == w->account || (w->is_operator && is_common(&i->shelf) && !i->shelf.trash);
}

static bool sees(const struct who *w, const struct image *i)
{
	if (i->owner == w->account || w->is_operator)
		return true;
	return is_common(&i->shelf) && !i->shelf.trash && i->published &&
	       (i->kind == KIND_ALIAS || i->state == STATE_AVAILABLE || i->state == STATE_DEPRECATED);
}

/* Who may make something new on a shelf; and what nobody makes yet. */
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
		return fail(err, -EPERM, "nothing is made here: images show here when their owners share them, which this "
			    "version of imagefs does not know yet");
	default:
		break;
	}
	return s->account == w->account ? 0 : fail(err, -EPERM, "this place belongs to another account");
}

static int decide_shelf(const struct who *w, enum verb verb, const struct shelf *s, struct error *err)
{
	if (verb == MAY_LIST)
		return is_common(s) || s->account == w->account || w->is_operator ? 0 : -ENOENT;
	if (s->trash)
		return fail(err, -EPERM, "nothing is made in the trash: it fills when something is deleted");
	return decide_make(w, s, err);
}

static int decide_change(enum verb verb, const struct image *i, struct error *err)
{
	if (i->is_protected && verb != MAY_PROTECT)
		return fail(err, -EPERM, "%s is protected from deletion and change; chmod u+w takes the protection away", i->name);
	if (i->shelf.trash && verb == MAY_CHANGE)
		return fail(err, -EPERM, "%s is in the trash: restore it first (mv it back to its place)", i->name);
	return 0;
}

static int decide_image(const struct who *w, enum verb verb, const struct image *i, struct error *err)
{
	if (!sees(w, i))
		return fail(err, -ENOENT, "there is nothing of that name");
	switch (verb) {
	case MAY_SEE:
	case MAY_READ:
	case MAY_COPY:
	case MAY_START:
		return 0;
	default:
		if (!is_owner(w, i))
			return fail(err, -EPERM, "%s belongs to another account", i->name);
		return decide_change(verb, i, err);
	}
}

int decide(const struct who *w, enum verb verb, const struct shelf *shelf, const struct image *image, struct error *err)
{
	if (verb == MAY_MANAGE)
		return w->is_operator ? 0 : fail(err, -EPERM, "only operators may do that");
	if (verb == MAY_ACCEPT)
		return 0;
	return image ? decide_image(w, verb, image, err) : decide_shelf(w, verb, shelf, err);
}
