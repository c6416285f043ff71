/* SPDX-License-Identifier: Apache-2.0 */
/* Copies to FILE.part, which becomes FILE once it is whole, verified and on disk. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "cli/cli.h"
#include "cli/copy.h"
#include "cli/facts.h"
#include "cli/inside.h"
#include "cli/interrupt.h"

struct export {
	const char *image, *file;
	char *disk, *part;
	bool has_sha256, verified;
	struct hash sha256;
	struct copy copy;
};

/* IMAGE may be the image's directory or its disk. */
static int find_disk(struct export *e, struct error *err)
{
	struct stat st;
	if (stat(e->image, &st))
		return fail_errno(err, "cannot find %s", e->image);
	e->disk = S_ISDIR(st.st_mode) ? path_join(e->image, "disk") : strdup(e->image);
	if (!e->disk)
		abort();
	return 0;
}

static void find_sha256(struct export *e)
{
	AUTO_BUF struct buf facts = BUF_INIT;
	char hex[HASH_HEX_SIZE];
	e->has_sha256 = inside_status(e->image, &facts, NULL) == 0 &&
			facts_get(facts.data, "sha256", hex, sizeof hex) && hash_parse(hex, &e->sha256) == 0;
}

static int verify(struct export *e, struct error *err)
{
	struct hash found;
	hasher_end(e->copy.hasher, &found);
	e->verified = hash_equal(&found, &e->sha256);
	return e->verified ? 0 : fail(err, ERR_DAMAGED, "what was read from %s has not the SHA-256 that the image has", e->disk);
}

static int copy_out(struct export *e, struct error *err)
{
	int r = 0;
	AUTO_FD int in = open(e->disk, O_RDONLY | O_CLOEXEC);
	if (in < 0) {
		char why[400];
		r = fail_errno(err, "cannot open %s", e->disk);
		return inside_why(e->image, why, sizeof why) ? fail(err, r, "%s", why) : r;
	}
	AUTO_FD int out = open(e->part, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
	if (out < 0)
		return fail_errno(err, "cannot create %s", e->part);
	e->copy.in = in;
	e->copy.out = out;
	e->copy.in_name = e->disk;
	e->copy.out_name = e->part;
	e->copy.hasher = e->has_sha256 ? hasher_new() : NULL;
	r = copy_sparse(&e->copy, err);
	if (r == 0 && e->copy.hasher)
		r = verify(e, err);
	hasher_free(e->copy.hasher);
	if (r == 0 && (fsync(out) || close(steal_fd(&out))))
		r = fail_errno(err, "cannot write %s", e->part);
	return r;
}

static int report(const struct export *e)
{
	AUTO_BUF struct buf facts = BUF_INIT, out = BUF_INIT;
	facts_add(&facts, "file", "%s", e->file);
	facts_add(&facts, "virtual", "%llu", (unsigned long long)e->copy.size);
	facts_add(&facts, "written", "%llu", (unsigned long long)e->copy.written);
	facts_add(&facts, "verified", "%s", e->verified ? "yes" : "no");
	facts_json(facts.data, &out);
	return print_text(out.data);
}

static int export(struct export *e, bool verifies, struct error *err)
{
	struct progress progress;
	int r = find_disk(e, err);
	if (r)
		return r;
	if (verifies)
		find_sha256(e);
	AUTO_BUF struct buf part = BUF_INIT;
	buf_addf(&part, "%s.part", e->file);
	e->part = buf_detach(&part);
	progress_begin(&progress, "exporting", PROGRESS_BYTES);
	e->copy.progress = &progress;
	r = copy_out(e, err);
	progress_end(&progress);
	if (r == 0 && rename(e->part, e->file))
		r = fail_errno(err, "cannot rename %s to %s", e->part, e->file);
	if (r)
		(void)unlink(e->part);
	return r;
}

static int run(int argc, char **argv)
{
	bool json = false, no_verify = false;
	const struct option_spec options[] = {
		{ .name = "no-verify", .kind = OPTION_FLAG, .value = &no_verify,
		  .help = "do not compare with the image's SHA-256" },
		{ .name = "json", .kind = OPTION_FLAG, .value = &json, .help = "print the result as JSON" },
		{ .name = NULL },
	};
	struct operands operands;
	struct error err;

	int code = command_parse(&command_export, options, argc, argv, 2, 2, &operands);
	if (code >= 0)
		return code;
	struct export e = { .image = operands.items[0], .file = operands.items[1], .copy = { .stop = interrupt_catch() } };
	int r = export(&e, !no_verify, &err);
	code = r ? complain_of(&err) : json ? report(&e) : EXIT_DONE;
	free(e.disk);
	free(e.part);
	return code;
}

const struct command command_export = {
	.name = "export",
	.operands = "IMAGE FILE",
	.summary = "copy the disk of an image to a raw file, sparse and verified",
	.text = "IMAGE is DIR/REGION/TYPE/NAME in a mount. FILE appears only when it is whole.",
	.run = run,
};
