/* SPDX-License-Identifier: Apache-2.0 */
/* What a person would type: mkdir, echo > settings, cp. With progress, and with everything that was made
 * taken away again when it fails. The bytes are judged at close, so its error is the answer. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/io.h"
#include "cli/cli.h"
#include "cli/copy.h"
#include "cli/facts.h"
#include "cli/inside.h"
#include "cli/interrupt.h"

struct setting {
	const char *name, *value;
};

struct import {
	const char *file, *image;
	struct setting settings[5]; /* NULL name at the end */
	char *upload;               /* path that is written to */
	bool made;                  /* the image directory is ours */
	struct copy copy;
};

/* The sentence of .why says more than an errno. */
static int explain(const struct import *im, struct error *err)
{
	char why[400];
	if (inside_why(im->image, why, sizeof why))
		return fail(err, err->code, "%s", why);
	return err->code;
}

static int write_setting(const struct import *im, const struct setting *s, struct error *err)
{
	AUTO_FREE char *path = path_join(im->image, s->name);
	AUTO_BUF struct buf text = BUF_INIT;
	AUTO_FD int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
	buf_addf(&text, "%s\n", s->value);
	int r = fd < 0 ? -errno : io_pwrite(fd, text.data, text.len, 0);
	if (fd >= 0 && close(steal_fd(&fd)) && r == 0)
		r = -errno;
	return r ? fail(err, r, "cannot set %s to \"%.100s\": %s", s->name, s->value, strerror(err_to_errno(r))) : 0;
}

static int make_image(struct import *im, struct error *err)
{
	if (mkdir(im->image, 0755)) {
		int r = errno == EEXIST ? fail(err, -EEXIST, "%s exists already", im->image)
					: fail_errno(err, "cannot make %s", im->image);
		return r == -EEXIST ? r : explain(im, err);
	}
	im->made = true;
	for (const struct setting *s = im->settings; s->name; s++)
		if (write_setting(im, s, err))
			return explain(im, err);
	return 0;
}

static int open_source(struct import *im, struct error *err)
{
	struct stat st;
	im->copy.in_name = strcmp(im->file, "-") ? im->file : "standard input";
	im->copy.in = strcmp(im->file, "-") ? open(im->file, O_RDONLY | O_CLOEXEC)
					    : fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, 3);
	if (im->copy.in < 0 || fstat(im->copy.in, &st))
		return fail_errno(err, "cannot open %s", im->copy.in_name);
	return S_ISDIR(st.st_mode) ? fail(err, -EISDIR, "%s is a folder", im->file) : 0;
}

static int upload(struct import *im, struct error *err)
{
	im->upload = path_join(im->image, "disk"); /* the file's own name may mean something there */
	AUTO_FD int out = open(im->upload, O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
	if (out < 0)
		return fail_errno(err, "cannot create %s", im->upload), explain(im, err);
	im->copy.out = out;
	im->copy.out_name = im->upload;
	int r = copy_sparse(&im->copy, err);
	if (close(steal_fd(&out)) && r == 0) {
		im->copy.out_failed = true;
		r = fail_errno(err, "%s was not taken in", im->copy.in_name);
	}
	return r && im->copy.out_failed ? explain(im, err) : r;
}

/* Bytes may be taken in and still not be a disk that can be offered: then the state says so. */
static int judge(const struct import *im, struct error *err)
{
	AUTO_BUF struct buf facts = BUF_INIT;
	char state[32], reason[400];
	int r = inside_status(im->image, &facts, err);
	if (r || !facts_get(facts.data, "state", state, sizeof state) ||
	    (strcmp(state, "pending") && strcmp(state, "failed")))
		return r;
	if (!facts_get(facts.data, "reason", reason, sizeof reason))
		snprintf(reason, sizeof reason, "%s was taken in, but the image is still %s", im->copy.in_name, state);
	return fail(err, -EINVAL, "%s", reason);
}

/* Best effort: what stays is a pending image, which the service removes by itself some day. */
static void take_away(struct import *im)
{
	AUTO_FREE char *disk = path_join(im->image, "disk");
	if (im->upload)
		(void)unlink(im->upload);
	(void)unlink(disk);
	for (const struct setting *s = im->settings; s->name; s++) {
		AUTO_FREE char *path = path_join(im->image, s->name);
		(void)unlink(path);
	}
	(void)rmdir(im->image);
}

static int report(const struct import *im, bool json)
{
	AUTO_BUF struct buf facts = BUF_INIT, out = BUF_INIT;
	facts_add(&facts, "image", "%s", im->image);
	facts_add(&facts, "read", "%llu", (unsigned long long)im->copy.size);
	facts_add(&facts, "written", "%llu", (unsigned long long)im->copy.written);
	if (inside_status(im->image, &facts, NULL) == 0 && json)
		facts_json(facts.data, &out);
	else if (json)
		facts_json(facts.data, &out);
	return json ? print_text(out.data) : EXIT_DONE;
}

static int import(struct import *im, bool json)
{
	struct progress progress;
	struct error err;
	int r = open_source(im, &err);
	if (r == 0)
		r = make_image(im, &err);
	progress_begin(&progress, "importing", PROGRESS_BYTES);
	im->copy.progress = &progress;
	if (r == 0)
		r = upload(im, &err);
	if (r == 0)
		r = judge(im, &err);
	progress_end(&progress);
	if (r && im->made)
		take_away(im);
	if (im->copy.in >= 0)
		close(im->copy.in);
	free(im->upload);
	return r ? complain_of(&err) : report(im, json);
}

static int run(int argc, char **argv)
{
	const char *os = NULL, *arch = NULL, *description = NULL, *sha256 = NULL;
	bool json = false;
	const struct option_spec options[] = {
		{ .name = "os", .kind = OPTION_TEXT, .value = &os, .arg = "TEXT",
		  .help = "operating system, \"debian 12\" (else: what is found on the disk)" },
		{ .name = "arch", .kind = OPTION_TEXT, .value = &arch, .arg = "TEXT", .help = "architecture, \"x86_64\"" },
		{ .name = "description", .kind = OPTION_TEXT, .value = &description, .arg = "TEXT", .help = "free text" },
		{ .name = "sha256", .kind = OPTION_TEXT, .value = &sha256, .arg = "HEX",
		  .help = "what the disk must have; else the import fails" },
		{ .name = "json", .kind = OPTION_FLAG, .value = &json, .help = "print the result as JSON" },
		{ .name = NULL },
	};
	struct operands operands;
	struct hash ignored;

	int code = command_parse(&command_import, options, argc, argv, 2, 2, &operands);
	if (code >= 0)
		return code;
	if (sha256 && hash_parse(sha256, &ignored)) {
		complain("--sha256 takes 64 hexadecimal digits");
		return EXIT_USAGE;
	}
	struct import im = { .file = operands.items[0], .image = operands.items[1],
			     .copy = { .in = -1, .stop = interrupt_catch() } };
	const struct setting all[] = { { "sha256", sha256 }, { "os", os }, { "arch", arch }, { "description", description } };
	unsigned n = 0;
	for (unsigned i = 0; i < sizeof all / sizeof all[0]; i++)
		if (all[i].value)
			im.settings[n++] = all[i];
	return import(&im, json);
}

const struct command command_import = {
	.name = "import",
	.operands = "FILE IMAGE",
	.summary = "take a disk image file in as a new image",
	.text = "IMAGE is DIR/REGION/custom/NAME in a mount, and is made. FILE may be - for\n"
		"standard input. The same as mkdir, cp, and echo into the settings, with a\n"
		"progress bar; when it fails, nothing is left behind.",
	.run = run,
};
