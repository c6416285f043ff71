/* SPDX-License-Identifier: Apache-2.0 */
/* domain/scratch.h, names.h, settings.h: which words mean what. */
#include "domain/scratch.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "../lib/tap.h"
#include "domain/names.h"
#include "domain/settings.h"

/* ---- files beside a disk --------------------------------------------------------------------------------------- */

static void test_scratch(void)
{
	static const char *const scratch[] = { ".x", ".disk.AbCdEf", "sedAbC12x", "descriptionA1b2C3", "os~", "os.new", "os.~1~", "#os#",
					       "disk.new", "disk.0a1b2c3d.partial", "disk~", "tmp.AbCd", "tmpa1b2", "4913", "5036", "zone.bak" };
	static const char *const files[] = { "x", "junk", "notes", "disk", "disk.img", "disk.raw", "disk2", "diskAbCdEf", "sedAbC12", "sedAbC12xy",
					     "4914", "491", "foo.raw", "x.new", "backup~", "other.img", "#x#", "os", "Disk", "2024" };
	for (size_t i = 0; i < sizeof scratch / sizeof scratch[0]; i++)
		ok(scratch_is_name(scratch[i]), "%s is on its way to another name", scratch[i]);
	for (size_t i = 0; i < sizeof files / sizeof files[0]; i++)
		ok(!scratch_is_name(files[i]), "%s is not", files[i]);
}

static void test_beside(void)
{
	struct image v = { .name = "v", .shelf.type = TYPE_INSTANCE };
	struct error err = { .text = "" };
	is_int(scratch_check_beside(&v, "disk", &err), 0, "disk writes the disk of an instance");
	is_int(scratch_check_beside(&v, ".disk.x", &err), 0, "a scratch file may lie beside it");
	is_int(scratch_check_beside(&v, "disk.img", &err), -EINVAL, "disk.img may not");
	ok(strstr(err.text, "only `disk` writes") && strstr(err.text, "v/disk"), "and the sentence says what to do");
}

static void test_slips(void)
{
	static const struct { const char *slip, *word; } slips[] = {
		{ "oss", "os" }, { "OS", "os" }, { "so", NULL }, { "o", NULL }, { "osx", NULL }, { "web", NULL }, { "archh", "arch" },
		{ "acrh", "arch" }, { "Arch", "arch" }, { "licence", "license" }, { "licenses", "license" }, { "prize", "price" },
		{ "descripton", "description" }, { "sha265", "sha256" }, { "sha512", NULL }, { "archive", NULL }, { "guide", NULL },
		{ "guides", "guide" }, { "siz", "size" }, { "debian.img", NULL },
	};
	struct image i = { .name = "web", .shelf.type = TYPE_CUSTOM }, v = { .name = "v", .shelf.type = TYPE_INSTANCE };
	for (size_t n = 0; n < sizeof slips / sizeof slips[0]; n++) {
		struct error err = { .text = "" };
		char want[64];
		int r = scratch_check_slip(&i, slips[n].slip, &err);
		snprintf(want, sizeof want, "did you mean %s?", slips[n].word ? slips[n].word : "");
		ok(slips[n].word ? r == -EINVAL && strstr(err.text, want) : r == 0, "%s %s", slips[n].slip,
		   slips[n].word ? "is a slip" : "is none");
	}
	is_int(scratch_check_slip(&v, "oss", NULL), 0, "an instance has no os to be mistyped");
	is_int(scratch_check_slip(&v, "zones", NULL), -EINVAL, "but a zone");
}

/* ---- values and names ------------------------------------------------------------------------------------------- */

static void becomes(enum setting_key key, const char *text, const char *want)
{
	char value[SETTING_MAX + 1];
	struct error err;
	unsigned len = (unsigned)strlen(text);
	memcpy(value, text, len + 1);
	int r = setting_check(key, value, &len, &err);
	if (want)
		ok(r == 0 && len == strlen(want) && memcmp(value, want, len) == 0, "%s %s becomes %s", setting_name(key), text, want);
	else
		is_int(r, -EINVAL, "%s %s is refused", setting_name(key), text);
}

static void test_values(void)
{
	becomes(SET_LICENSE, "BYOL\n", "byol\n");
	becomes(SET_LICENSE, "Windows", "windows\n");
	becomes(SET_LICENSE, "byolx", NULL);
	becomes(SET_LICENSE, "win", NULL);
	becomes(SET_LICENSE, "free", NULL);
	becomes(SET_ARCH, "amd64", "x86_64\n");
	becomes(SET_ARCH, "x86", "i386\n");
	becomes(SET_ARCH, "ARM64", "aarch64\n");
	becomes(SET_ARCH, "riscv64", "riscv64\n");
	becomes(SET_ARCH, "two words", NULL);
}

static void test_names(void)
{
	static const char *const bad[] = { "we\u200bb", "web\u202egmi", "\u2066web", "\ufeffweb", "we\u00adb", "web\ufe0f", "web\U000e0061",
					   "w\u061ceb", "\u3164" };
	static const char *const good[] = { "web", "größe", "сервер", "服务器", "خادم", "é", "a b" };
	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
		is_int(name_check_image(bad[i], NULL), -EINVAL, "a name has no characters that are not seen (%zu)", i);
	for (size_t i = 0; i < sizeof good / sizeof good[0]; i++)
		is_int(name_check_image(good[i], NULL), 0, "%s is a name", good[i]);
}

int main(void)
{
	test_scratch();
	test_beside();
	test_slips();
	test_values();
	test_names();
	return done_testing();
}
