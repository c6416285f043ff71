/* SPDX-License-Identifier: Apache-2.0 */
/* tap: unit tests that speak TAP. A test program is a main() of ok()s that ends with
 * `return done_testing();`. */
#ifndef IMAGEFS_T_TAP_H
#define IMAGEFS_T_TAP_H

#include <stdbool.h>
#include <stdint.h>

#define ok(cond, ...) tap_ok((cond), __FILE__, __LINE__, #cond, __VA_ARGS__)
#define is_int(got, want, ...) tap_is_int((int64_t)(got), (int64_t)(want), __FILE__, __LINE__, __VA_ARGS__)
#define is_str(got, want, ...) tap_is_str((got), (want), __FILE__, __LINE__, __VA_ARGS__)

bool tap_ok(bool cond, const char *file, int line, const char *expr, const char *format, ...)
	__attribute__((format(printf, 5, 6)));
bool tap_is_int(int64_t got, int64_t want, const char *file, int line, const char *format, ...)
	__attribute__((format(printf, 5, 6)));
bool tap_is_str(const char *got, const char *want, const char *file, int line, const char *format, ...)
	__attribute__((format(printf, 5, 6)));
void diag(const char *format, ...) __attribute__((format(printf, 1, 2)));
void bail(const char *format, ...) __attribute__((format(printf, 1, 2), noreturn)); /* "Bail out!" */
int done_testing(void); /* prints the plan; the exit code of main() */

/* A fresh folder under TMPDIR that is removed (with all in it) at exit. */
const char *test_folder(void);

/* Seed of random tests: from IMAGEFS_TEST_SEED or the clock; printed, so that a failure can be repeated. */
uint64_t test_seed(void);
uint64_t test_random(uint64_t *state); /* splitmix64 */

#endif
