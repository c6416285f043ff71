/* SPDX-License-Identifier: Apache-2.0 */
#include "base/month.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#define SECOND INT64_C(1000000000)

uint32_t month_of(int64_t ns)
{
	time_t seconds = (time_t)((ns > 0 ? ns : 0) / SECOND);
	struct tm tm;
	gmtime_r(&seconds, &tm);
	return (uint32_t)(tm.tm_year + 1900) * 12 + (uint32_t)tm.tm_mon;
}

int64_t month_begin(uint32_t month)
{
	struct tm tm = { .tm_year = (int)(month / 12) - 1900, .tm_mon = (int)(month % 12), .tm_mday = 1 };
	return (int64_t)timegm(&tm) * SECOND;
}

int64_t month_length(uint32_t month) { return month_begin(month + 1) - month_begin(month); }

char *month_text(uint32_t month, char ret[MONTH_TEXT_SIZE])
{
	snprintf(ret, MONTH_TEXT_SIZE, "%04u-%02u", month / 12, month % 12 + 1);
	return ret;
}

int month_parse(const char *text, uint32_t *ret)
{
	unsigned year, month;
	if (strlen(text) != 7 || strspn(text, "0123456789") != 4 || text[4] != '-' || strspn(text + 5, "0123456789") != 2 ||
	    sscanf(text, "%4u-%2u", &year, &month) != 2 || year < 1970 || month < 1 || month > 12)
		return -EINVAL;
	*ret = year * 12 + month - 1;
	return 0;
}
