/* SPDX-License-Identifier: Apache-2.0 */
/* work: what the daemon does for `imagefs status`, `check`, `gc`, `account`, `region` and `policy`, and what these commands do
 * themselves when no daemon has the store. Whoever asks gets the results through a sink. */
#ifndef IMAGEFS_DAEMON_WORK_H
#define IMAGEFS_DAEMON_WORK_H

#include "base/buf.h"
#include "domain/service.h"

/* Any of the functions may be NULL. Called from one thread at a time. */
struct sink {
	void (*fact)(void *ctx, const char *key_and_value); /* "key: value" */
	void (*line)(void *ctx, const char *text);          /* something found or done, a sentence */
	void (*progress)(void *ctx, uint64_t done, uint64_t total, const char *what);
	void *ctx;
};

void sink_fact(const struct sink *, const char *format, ...) __attribute__((format(printf, 2, 3)));
void sink_facts(const struct sink *, const char *lines); /* each line of a text of facts */

int work_facts(struct service *, bool all, const struct sink *, struct error *err) MUST_USE;
int work_check(struct service *, bool read_data, const struct sink *, struct error *err) MUST_USE; /* "problems: N" among the facts */
/* Before a store that nobody has open is opened for work_check(): can it be? false, with facts and lines: no. */
int work_check_closed(const char *store, const struct sink *, bool *ret_open, struct error *err) MUST_USE;
int work_usage(struct service *, uint32_t uid, const char *request, const struct sink *, struct error *err) MUST_USE; /* domain/usage.h */
int work_manage(struct service *, uint32_t uid, const char *request, const struct sink *, struct error *err) MUST_USE; /* domain/manage.h */
int work_gc(struct service *, bool squeeze, const struct sink *, struct error *err) MUST_USE; /* squeeze: compress harder too */

#endif
