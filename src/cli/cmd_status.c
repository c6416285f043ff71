/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "cli/cli.h"
#include "cli/client.h"
#include "cli/facts.h"
#include "cli/inside.h"
#include "cli/interrupt.h"
#include "cli/report.h"

#define POLL_NS 200000000

static bool is_store(const char *path)
{
	struct stat st;
	AUTO_FREE char *mark = path_join(path, "imagefs.store");
	return stat(mark, &st) == 0 && S_ISREG(st.st_mode);
}

static int facts_here(void *arg, struct service *service, const struct sink *sink, struct error *err)
{
	(void)arg;
	return work_facts(service, true, sink, err);
}

static int status_of_store(const char *path, struct report *report, struct error *err)
{
	AUTO_FREE char *store = NULL;
	struct store_job job = { .request = "status", .offline = facts_here };
	struct sink sink = report_sink(report);
	int r = store_path(path, &store, err);
	return r ? r : store_do(store, &job, &sink, err);
}

/* "received" of "virtual" or of the `size` that was promised. */
static uint64_t received(const char *facts)
{
	char text[32];
	return facts_get(facts, "received", text, sizeof text) ? strtoull(text, NULL, 10) : 0;
}

/* Why it is not settled, once for each reason: some of them do not go away by waiting. */
static void say_reason(struct progress *progress, const char *facts, char said[400])
{
	char reason[400];
	if (!facts_get(facts, "reason", reason, sizeof reason) || strcmp(reason, said) == 0)
		return;
	memcpy(said, reason, sizeof reason);
	progress_end(progress);
	complain("still pending: %s", reason);
}

static void show_waiting(struct progress *progress, const char *facts)
{
	char percent[32];
	uint64_t done = received(facts);
	uint64_t of = facts_get(facts, "progress", percent, sizeof percent) ? strtoull(percent, NULL, 10) : 0;
	progress_at(progress, done, of ? done * 100 / of : 0);
}

static bool is_pending(const char *facts)
{
	char state[32];
	return facts_get(facts, "state", state, sizeof state) && strcmp(state, "pending") == 0;
}

static int wait_until_settled(const char *path, struct buf *facts, struct error *err)
{
	const volatile sig_atomic_t *stop = interrupt_catch();
	struct timespec pause = { .tv_nsec = POLL_NS };
	struct progress progress;
	char said[400] = "";
	int r = 0;
	progress_begin(&progress, "waiting", PROGRESS_BYTES);
	progress.before = received(facts->data);
	while (r == 0 && is_pending(facts->data)) {
		say_reason(&progress, facts->data, said);
		show_waiting(&progress, facts->data);
		nanosleep(&pause, NULL);
		if (*stop)
			r = fail(err, -EINTR, "interrupted while the image is still pending");
		buf_clear(facts);
		if (r == 0)
			r = inside_status(path, facts, err);
	}
	progress_end(&progress);
	return r;
}

static int status_of_image(const char *path, bool wait, struct report *report, struct error *err)
{
	int r = inside_status(path, &report->facts, err);
	return r == 0 && wait ? wait_until_settled(path, &report->facts, err) : r;
}

static int collect(const char *path, bool wait, struct report *report, struct error *err)
{
	AUTO_FREE struct mount_entry *mount = malloc(sizeof *mount);
	if (is_store(path))
		return status_of_store(path, report, err);
	if (access(path, F_OK))
		return fail_errno(err, "cannot find %s", path);
	if (!mount || inside_mount(path, mount, err))
		return fail(err, -ENOENT, "%s is neither a store nor in a mount of imagefs", path);
	int r = status_of_image(path, wait, report, err);
	/* A region, say: then what there is to say is what the store is. */
	return r == -ENOENT && !wait ? status_of_store(mount->source, report, err) : r;
}

static bool has_failed(struct report *report, char ret_reason[400])
{
	char state[32];
	if (!facts_get(report->facts.data, "reason", ret_reason, 400))
		ret_reason[0] = 0;
	return facts_get(report->facts.data, "state", state, sizeof state) && strcmp(state, "failed") == 0;
}

static int complain_failed(const char *reason)
{
	complain("failed: %s", reason[0] ? reason : "no reason is known");
	return EXIT_REFUSED;
}

static int run(int argc, char **argv)
{
	bool json = false, wait = false;
	const struct option_spec options[] = {
		{ .name = "json", .kind = OPTION_FLAG, .value = &json, .help = "print JSON" },
		{ .name = "wait", .kind = OPTION_FLAG, .value = &wait,
		  .help = "wait until the image is no longer pending; exit 1 if it failed" },
		{ .name = NULL },
	};
	struct operands operands;
	struct error err;
	struct report report;
	char reason[400];

	int code = command_parse(&command_status, options, argc, argv, 1, 1, &operands);
	if (code >= 0)
		return code;
	report_begin(&report, json, "line");
	int r = collect(operands.items[0], wait, &report, &err);
	report_end(&report);
	code = r ? complain_of(&err) : report_print(&report);
	if (code == EXIT_DONE && wait && has_failed(&report, reason))
		code = complain_failed(reason);
	report_free(&report);
	return code;
}

const struct command command_status = {
	.name = "status",
	.operands = "PATH",
	.summary = "show the facts of a store, or of an image in a mount",
	.text = "PATH is a store (its daemon is asked, if one runs), or something in a mount: an\n"
		"image or instance shows its .status, anything else the facts of its store.",
	.run = run,
};
