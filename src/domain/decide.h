/* SPDX-License-Identifier: Apache-2.0 */
/* decide: may they? The one function that every way in asks: open, copy, link, rename, xattr, command line.
 *
 * It looks only at what it is given: no clock, no files, no catalog. The caller reads the row in the same
 * transaction in which it acts. What may not be seen is -ENOENT, not -EPERM: a refusal must not tell that something exists.
 */
#ifndef IMAGEFS_DOMAIN_DECIDE_H
#define IMAGEFS_DOMAIN_DECIDE_H

#include "catalog/image.h"
#include "domain/who.h"

enum verb {
	MAY_SEE,       /* list it, look it up, read its settings and status */
	MAY_READ,      /* read the bytes of its disk */
	MAY_COPY,      /* make another image of it */
	MAY_START,     /* make an instance of it */
	MAY_CHANGE,    /* settings, disk, name */
	MAY_DELETE,
	MAY_PROTECT,   /* chmod */
	MAY_CREATE,    /* something new on this shelf (image NULL) */
	MAY_LIST,      /* the shelf (image NULL) */
	MAY_MANAGE,    /* regions, accounts, policy (image and shelf NULL) */
	MAY_ACCEPT,    /* choose whose shares one's own account takes (image and shelf NULL) */
};

/* 0, or -ENOENT, -EPERM, -EACCES with a sentence. shelf may be NULL when image is given. */
int decide(const struct who *, enum verb, const struct shelf *, const struct image *, struct error *err) MUST_USE;

#endif
