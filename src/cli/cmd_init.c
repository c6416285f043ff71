/* SPDX-License-Identifier: Apache-2.0 */
#include <ctype.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buf.h"
#include "cli/cli.h"
#include "domain/service.h"
#include "domain/test_clock.h"

#define NAME_MAX_LEN 32

/* The login name, made to fit the rules of account names. */
static void default_account(char ret[NAME_MAX_LEN + 1])
{
	const struct passwd *p = getpwuid(getuid());
	size_t n = 0;
	for (const char *c = p ? p->pw_name : ""; *c && n < NAME_MAX_LEN; c++) {
		char lower = (char)tolower((unsigned char)*c);
		if (strchr("abcdefghijklmnopqrstuvwxyz0123456789_-", lower) || (lower == '.' && n > 0))
			ret[n++] = lower;
	}
	ret[n] = 0;
	if (n == 0)
		snprintf(ret, NAME_MAX_LEN + 1, "uid%u", (unsigned)getuid());
}

static int run(int argc, char **argv)
{
	struct option_list regions = { .count = 0 };
	const char *account = NULL;
	const struct option_spec options[] = {
		{ .name = "account", .kind = OPTION_TEXT, .value = &account, .arg = "NAME",
		  .help = "name of your account (your login name)" },
		{ .name = "region", .kind = OPTION_LIST, .value = &regions, .arg = "NAME[:copy=no]",
		  .help = "a region, given once for each; copy=no: takes no copies" },
		{ .name = NULL },
	};
	struct operands operands;
	struct error err;
	char name[NAME_MAX_LEN + 1];
	AUTO_BUF struct buf said = BUF_INIT;

	int code = command_parse(&command_init, options, argc, argv, 1, 1, &operands);
	if (code >= 0)
		return code;
	default_account(name);
	const char *store = operands.items[0];
	int r = service_init(store, account ? account : name, getuid(), regions.count ? regions.items : NULL, &err);
	if (!r && getenv(TEST_CLOCK_VARIABLE))
		r = test_clock_allow(store, &err);
	if (r)
		return complain_of_usage(&err);
	/* Other users reach the socket through it; its folders are closed to them. */
	if (chmod(store, 0711))
		complain("other users cannot attach to %s: %s", store, strerror(errno));
	buf_addf(&said, "%s is a new store; its operator is the account %s (uid %u).\nNext: imagefs mount %s DIR\n", store,
		 account ? account : name, (unsigned)getuid(), store);
	return print_text(said.data);
}

const struct command command_init = {
	.name = "init",
	.operands = "STORE",
	.summary = "make a new store",
	.text = "STORE is a folder that does not exist yet, or is empty. You become its operator.\n"
		"Without --region these are made: ap-guangzhou, ap-beijing, ap-shanghai,\n"
		"ap-hongkong and na-siliconvalley (which takes no copies).",
	.run = run,
};
