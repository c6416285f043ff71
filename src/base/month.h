/* SPDX-License-Identifier: Apache-2.0 */
/* month: months of the calendar, in UTC, as numbers: year × 12 + month (0-11). */
#ifndef IMAGEFS_BASE_MONTH_H
#define IMAGEFS_BASE_MONTH_H

#include <stdint.h>

#include "base/err.h"

#define MONTH_TEXT_SIZE 16

uint32_t month_of(int64_t ns);       /* ns since 1970; from 1970 on */
int64_t month_begin(uint32_t month); /* ns since 1970 */
int64_t month_length(uint32_t month);

char *month_text(uint32_t month, char ret[MONTH_TEXT_SIZE]); /* "2026-11"; returns ret */
int month_parse(const char *text, uint32_t *ret) MUST_USE;   /* -EINVAL; "2026-11" and nothing else, 1970 to 9999 */

#endif
