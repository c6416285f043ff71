/* SPDX-License-Identifier: Apache-2.0 */
/* decide: may they? The one function that every way in asks: open, read, copy, link, rename, xattr, command line.
 *
 * It looks only at what it is given: no clock, no files, no catalog. What it is given is gathered by may() (rights.h) in the
 * transaction in which the caller acts. What may not be seen is -ENOENT, not -EPERM: a refusal must not tell that something exists.
 *
 * Who somebody is to an image:
 *   owner      the account that pays for it; operators are owners of what is public
 *   operator   sees and reads everything
 *   receiver   it is a custom image that its owner shares with them: seen and started, nothing else
 *   anybody    sees, starts and (policy `download`) reads what is published in public and marketplace
 *
 * What was submitted to the marketplace never changes again, whoever asks: it is reviewed, published or rejected as it is.
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
	MAY_WRITE,     /* the disk of a server, as that server does: protection does not hold it up */
	MAY_DELETE,
	MAY_PROTECT,   /* chmod */
	MAY_SHARE,     /* give it to another account */
	MAY_PUBLISH,   /* marketplace: let everybody see it */
	MAY_WITHDRAW,  /* … and no more */
	MAY_REJECT,    /* … never: write its review */
	MAY_DEPRECATE, /* public, marketplace: name what is to be used instead */
	MAY_CREATE,    /* something new on this shelf (image NULL) */
	MAY_LIST,      /* the shelf (image NULL) */
	MAY_MANAGE,    /* regions, accounts, policy (image and shelf NULL) */
	MAY_ACCEPT,    /* choose whose shares one's own account takes (image and shelf NULL) */
	VERBS_,
};

enum download { DOWNLOAD_ALL, DOWNLOAD_UNCHARGED, DOWNLOAD_NONE };

struct facts {
	const struct shelf *shelf; /* may be NULL when image is given */
	const struct image *image;
	uint32_t to_region;        /* MAY_COPY: where the other image will be; 0: not known */
	bool to_custom;            /* MAY_COPY: … and whether it is a custom image there */
	bool received;             /* it is shared with who asks */
	char shared_with[200];     /* MAY_DELETE: names of those that it is shared with; "" */
	bool charged;              /* it has a price, or a licence that is paid for */
	bool byol;                 /* its licence is whose it is, and nobody else's */
	enum download download;    /* policies of who asks, in the image's region */
	bool shared_copy, shared_instance_image;
};

/* 0, or -ENOENT, -EPERM, -EACCES, -EBUSY, -EROFS with a sentence. facts may be NULL for MAY_MANAGE and MAY_ACCEPT. */
int decide(const struct who *, enum verb, const struct facts *, struct error *err) MUST_USE;

#endif
