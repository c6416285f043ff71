/* SPDX-License-Identifier: Apache-2.0 */
/* month: the calendar in UTC, whatever the time zone; texts. */
#include "base/month.h"

#include <stdlib.h>
#include <time.h>

#include "../lib/tap.h"

#define SECOND INT64_C(1000000000)
#define DAY (86400 * SECOND)

static void test_calendar(void)
{
	is_int(month_of(0), 1970 * 12, "1970-01");
	is_int(month_begin(1970 * 12), 0, "begins at 0");
	is_int(month_of(-5), 1970 * 12, "nothing is before");
	is_int(month_length(2026 * 12 + 1), 28 * DAY, "February");
	is_int(month_length(2028 * 12 + 1), 29 * DAY, "of a leap year");
	is_int(month_length(2100 * 12 + 1), 28 * DAY, "which 2100 is not");
	is_int(month_length(2026 * 12 + 11), 31 * DAY, "December");
	for (uint32_t m = 1970 * 12; m < 2200 * 12; m++)
		if (month_of(month_begin(m)) != m || month_of(month_begin(m + 1) - 1) != m) {
			ok(false, "month %u does not begin and end where it says", m);
			return;
		}
	ok(true, "every month begins and ends where it says");
}

static void test_text(void)
{
	static const char *const bad[] = { "", "2026", "2026-1", "2026-13", "2026-00", "1969-12", "02026-1", "2026-1a", "2026/11",
					   "2026-11 ", " 2026-1", "2026-+1", "20261-1" };
	char t[MONTH_TEXT_SIZE];
	uint32_t m = 0;
	is_str(month_text(2026 * 12 + 10, t), "2026-11", "a text");
	is_int(month_parse("2026-11", &m), 0, "is read");
	is_int(m, 2026 * 12 + 10, "as what it was");
	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
		is_int(month_parse(bad[i], &m), -EINVAL, "\"%s\" is no month", bad[i]);
}

int main(void)
{
	static const char *const zones[] = { "UTC", "America/New_York", "Asia/Shanghai", "XYZ-14" };
	for (size_t i = 0; i < sizeof zones / sizeof zones[0]; i++) {
		setenv("TZ", zones[i], 1);
		tzset();
		diag("in %s", zones[i]);
		test_calendar();
	}
	test_text();
	return done_testing();
}
