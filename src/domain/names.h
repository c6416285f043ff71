/* SPDX-License-Identifier: Apache-2.0 */
/* names: what things may be called. */
#ifndef IMAGEFS_DOMAIN_NAMES_H
#define IMAGEFS_DOMAIN_NAMES_H

#include <stdbool.h>

#include "catalog/image.h"
#include "catalog/region.h"

/* 1-60 characters of UTF-8, at most 160 bytes, no leading dot, no '@', '/' control character, or one that is not seen: 0 or -EINVAL. */
int name_check_image(const char *name, struct error *err) MUST_USE;

/* 1-32 of a-z 0-9 . _ -, no leading dot: for regions and accounts. */
int name_check_place(const char *what, const char *name, struct error *err) MUST_USE;

/* Is this valid UTF-8 without control characters (other than those in `allow`)? */
bool text_is_clean(const char *text, unsigned len, const char *allow);

const char *type_name(enum image_type);           /* "custom" */
int type_by_name(const char *name);               /* enum image_type or -1 */
const char *state_name(enum image_state);         /* "available" */

#define ID_TEXT_SIZE 24
char *id_text(const struct image *, char ret[ID_TEXT_SIZE]); /* "img-0000002a", "ins-…"; returns ret */

#endif
