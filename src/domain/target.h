/* SPDX-License-Identifier: Apache-2.0 */
/* target: which image the text of a link means.
 *
 * A text is resolved as in Unix: from the directory of the link, or from the root. Of a path that begins outside of the mount (absolute,
 * or relative through a bind mount) only the end counts, because where the mount is cannot be known here:
 *     REGION/TYPE/NAME                      in one's own view (TYPE shared: NAME@OWNER)
 *     accounts/ACCOUNT/REGION/TYPE/NAME     in another's, as far as one may see it
 */
#ifndef IMAGEFS_DOMAIN_TARGET_H
#define IMAGEFS_DOMAIN_TARGET_H

#include "catalog/image.h"
#include "domain/who.h"

/* The directory that the link is in, as names from the root: "ap-beijing", "instances", "vm1". */
#define TARGET_BASE_MAX 4
struct target_base {
	const char *names[TARGET_BASE_MAX];
	unsigned n;
};

/* The image (never an alias: what it names), which `who` may see. -ENOENT with a sentence. */
int target_image(struct cat_txn *, const struct who *, const struct target_base *, const char *text, struct image *ret,
		 struct error *err) MUST_USE;

#endif
