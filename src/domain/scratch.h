/* SPDX-License-Identifier: Apache-2.0 */
/* scratch: the names of files that tools and editors make beside a disk or a setting, to rename them onto it. What is in them counts
 * only then. Every other name beside the disk of an instance is refused. */
#ifndef IMAGEFS_DOMAIN_SCRATCH_H
#define IMAGEFS_DOMAIN_SCRATCH_H

#include "catalog/image.h"

/* One of: .NAME; sedXXXXXX and SETTINGXXXXXX (sed -i); tmpNAME; 4913 (vim asks by it whether it may make files); NAME~, #NAME#, NAME.new,
 * NAME.XXXX.partial and the like of `disk` or a setting NAME. */
bool scratch_is_name(const char *name);

/* Is it a link that ln -sfn makes, to rename it onto another? (CuXXXXXX) */
bool scratch_is_link(const char *name);

/* May a file of this name be made in the directory of this instance? 0 or -EINVAL with a sentence. */
int scratch_check_beside(const struct image *instance, const char *name, struct error *err) MUST_USE;

/* Is this a setting's name with a slip in it (oss, licence)? 0 or -EINVAL with a sentence: no upload is meant by that. */
int scratch_check_slip(const struct image *, const char *name, struct error *err) MUST_USE;

#endif
