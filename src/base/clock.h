/* SPDX-License-Identifier: Apache-2.0 */
/* clock: time in nanoseconds. */
#ifndef IMAGEFS_BASE_CLOCK_H
#define IMAGEFS_BASE_CLOCK_H

#include <stdint.h>
#include <stdio.h>
#include <time.h>

static inline int64_t clock_read_(clockid_t id)
{
	struct timespec t;
	clock_gettime(id, &t);
	return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

static inline int64_t clock_real(void) { return clock_read_(CLOCK_REALTIME); } /* since 1970, UTC */
static inline int64_t clock_mono(void) { return clock_read_(CLOCK_MONOTONIC); }

#define TIME_TEXT_SIZE 24
/* 2026-11-20T08:15:30Z; returns ret. */
static inline char *time_text(int64_t ns, char ret[TIME_TEXT_SIZE])
{
	time_t s = (time_t)(ns / 1000000000);
	struct tm tm;
	gmtime_r(&s, &tm);
	strftime(ret, TIME_TEXT_SIZE, "%Y-%m-%dT%H:%M:%SZ", &tm);
	return ret;
}

#endif
