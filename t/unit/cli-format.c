/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/format.h"

#include "tap.h"

static void size_is(uint64_t bytes, const char *want)
{
	char text[SIZE_TEXT_SIZE];
	is_str(size_text(bytes, text), want, "%llu bytes", (unsigned long long)bytes);
}

static void duration_is(uint64_t seconds, const char *want)
{
	char text[DURATION_TEXT_SIZE];
	is_str(duration_text(seconds, text), want, "%llu seconds", (unsigned long long)seconds);
}

static void parses_to(const char *text, uint64_t want)
{
	uint64_t got = 1;
	is_int(size_parse(text, &got), 0, "%s is a size", text);
	ok(got == want, "%s is %llu", text, (unsigned long long)want);
}

static void does_not_parse(const char *text)
{
	uint64_t got = 77;
	is_int(size_parse(text, &got), -EINVAL, "\"%s\" is no size", text);
	is_int(got, 77, "and nothing is set");
}

int main(void)
{
	size_is(0, "0 B");
	size_is(1023, "1023 B");
	size_is(1024, "1.0 KiB");
	size_is(1536, "1.5 KiB");
	size_is(102297, "99.9 KiB");
	size_is(102400, "100 KiB");
	size_is((1 << 20) - 1, "1.0 MiB"); /* not "1024 KiB" */
	size_is(12ull << 30, "12.0 GiB");
	size_is(UINT64_MAX, "16.0 EiB");

	parses_to("0", 0);
	parses_to("65536", 65536);
	parses_to("64K", 65536);
	parses_to("64k", 65536);
	parses_to("64KiB", 65536);
	parses_to("64KB", 65536);
	parses_to("2G", 2ull << 30);
	parses_to("15E", 15ull << 60);
	does_not_parse("");
	does_not_parse("-1");
	does_not_parse(" 1");
	does_not_parse("1.5G");
	does_not_parse("1Q");
	does_not_parse("1Kx");
	does_not_parse("16E");
	does_not_parse("99999999999999999999999");

	duration_is(0, "0 s");
	duration_is(59, "59 s");
	duration_is(60, "1 min 00 s");
	duration_is(3599, "59 min 59 s");
	duration_is(7625, "2 h 07 min");
	duration_is(UINT64_MAX, "5124095576030431 h 00 min");
	return done_testing();
}
