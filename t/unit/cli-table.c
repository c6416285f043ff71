/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/table.h"

#include "tap.h"

static void text_is(const char *lines, const char *want, const char *what)
{
	AUTO_BUF struct buf b = BUF_INIT;
	buf_adds(&b, "");
	table_text(lines, &b);
	is_str(b.data, want, "%s", what);
}

static void json_is(const char *lines, const char *want, const char *what)
{
	AUTO_BUF struct buf b = BUF_INIT;
	table_json(lines, &b);
	is_str(b.data, want, "%s", what);
}

int main(void)
{
	text_is("", "", "nothing");
	text_is("name: a\nsize: 1\nname: long\nsize: 100\n", "name  size\na     1\nlong  100\n", "columns are aligned");
	text_is("name: a\nuid: 1\nuid: 2\nname: b\n", "name  uid\na     1,2\nb     -\n", "several values, and none");
	text_is("name: a\nx:\nname: b\ny: 1\n", "name  x  y\na     -  -\nb     -  1\n", "an empty one, and a key that comes late");
	json_is("", "[\n]\n", "no things");
	json_is("name: a\nuid: 1\nname: b\n", "[\n{\n  \"name\": \"a\",\n  \"uid\": [1]\n},\n{\n  \"name\": \"b\"\n}\n]\n", "objects");
	return done_testing();
}
