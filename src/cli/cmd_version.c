/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "base/buf.h"
#include "catalog/catalog.h"
#include "cli/cli.h"
#include "cli/facts.h"
#include "daemon/wire.h"
#include "domain/service.h"

static int run(int argc, char **argv)
{
	bool json = false;
	const struct option_spec options[] = {
		{ .name = "json", .kind = OPTION_FLAG, .value = &json, .help = "print JSON" },
		{ .name = NULL },
	};
	struct operands operands;
	AUTO_BUF struct buf facts = BUF_INIT, out = BUF_INIT;

	int code = command_parse(&command_version, options, argc, argv, 0, 0, &operands);
	if (code >= 0)
		return code;
	facts_add(&facts, "version", "%s", PACKAGE_VERSION);
	facts_add(&facts, "store-format", "%d", STORE_FORMAT);
	facts_add(&facts, "catalog-format", "%d", CATALOG_FORMAT);
	facts_add(&facts, "control-version", "%d", WIRE_VERSION);
	facts_add(&facts, "build", "%s", CONFIGURE_SUMMARY);
	if (json)
		facts_json(facts.data, &out);
	else
		buf_addf(&out, "imagefs %s\n%s", PACKAGE_VERSION, facts.data);
	return print_text(out.data);
}

const struct command command_version = {
	.name = "version",
	.operands = "",
	.summary = "show the version, and the formats that it knows",
	.run = run,
};
