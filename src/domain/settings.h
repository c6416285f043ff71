/* SPDX-License-Identifier: Apache-2.0 */
/* settings: the small files of an image: which there are, and what may be in them. */
#ifndef IMAGEFS_DOMAIN_SETTINGS_H
#define IMAGEFS_DOMAIN_SETTINGS_H

#include <stdbool.h>

#include "catalog/image.h"

enum setting_key {
	/* Listed, and copied by tools that do it in this order, like this. With support and guide a submission is complete, and sealed:
	 * they come last. */
	SET_NONE, SET_OS, SET_ARCH, SET_DESCRIPTION, SET_SOFTWARE, SET_CATEGORY, SET_LICENSE, SET_PRICE, SET_SIZE, SET_SHA256,
	SET_ZONE, SET_REVIEW, SET_SUPPORT, SET_GUIDE,
	SET_MAX_,
	/* Rows that remember the files under which a disk is being made: key SET_SCRATCH + 0…39 holds 8 bytes of disk
	 * number and the file's name. */
	SET_SCRATCH = 200, SET_SCRATCH_MAX = 239,
	/* Links in an instance that wait to be renamed to `image` (ln -sf): name, NUL, text. */
	SET_LINK = 240, SET_LINK_MAX = 247,
};

/* The key of a file name, SET_NONE if it is no setting of this type of directory. */
enum setting_key setting_by_name(const char *name, enum image_type);
const char *setting_name(enum setting_key);

/* Names that cp -r or tar bring along from another image: accepted and ignored. */
bool setting_is_computed(const char *name);

/* Check a value and bring it into the form that is kept (one trailing newline, no others at the end). 0 or -EINVAL/-EFBIG with a
 * sentence. *len is changed. `value` has room for SETTING_MAX + 1. An empty value is allowed: it clears. */
int setting_check(enum setting_key, char *value, unsigned *len, struct error *err) MUST_USE;

/* The refusal of a value that is longer than it may be: one limit in all ways in. */
int setting_too_long(enum setting_key, struct error *err) MUST_USE;

#endif
