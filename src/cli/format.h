/* SPDX-License-Identifier: Apache-2.0 */
/* format: sizes and times for people. */
#ifndef IMAGEFS_CLI_FORMAT_H
#define IMAGEFS_CLI_FORMAT_H

#include <stdint.h>

#include "base/err.h"

#define SIZE_TEXT_SIZE 16
#define DURATION_TEXT_SIZE 32

/* "0 B", "999 B", "1.0 KiB", "12.3 GiB", "1023 TiB"; returns ret. */
char *size_text(uint64_t bytes, char ret[SIZE_TEXT_SIZE]);

/* "65536", "64K", "64k", "64KiB", "2G", "1T": units of 1024. -EINVAL, also when it does not fit. */
int size_parse(const char *text, uint64_t *ret) MUST_USE;

/* "12 s", "3 min 05 s", "2 h 07 min"; returns ret. */
char *duration_text(uint64_t seconds, char ret[DURATION_TEXT_SIZE]);

#endif
