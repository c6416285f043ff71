/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/format.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

char *size_text(uint64_t bytes, char ret[SIZE_TEXT_SIZE])
{
	static const char *const units[] = { "B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB" };
	double v = (double)bytes;
	unsigned unit = 0;
	/* What would be rounded to 1024 is one of the next unit. */
	while (v >= 1023.5 && unit < 6) {
		v /= 1024;
		unit++;
	}
	snprintf(ret, SIZE_TEXT_SIZE, unit == 0 || v >= 99.95 ? "%.0f %s" : "%.1f %s", v, units[unit]);
	return ret;
}

/* How many bits a unit shifts by; -1: no unit. */
static int unit_shift(const char *text)
{
	static const char letters[] = "KMGTPE";
	if (!*text)
		return 0;
	const char *at = strchr(letters, toupper((unsigned char)*text));
	if (!at || (text[1] && strcmp(text + 1, "iB") && strcmp(text + 1, "B")))
		return -1;
	return (int)(at - letters + 1) * 10;
}

int size_parse(const char *text, uint64_t *ret)
{
	char *end;
	if (!isdigit((unsigned char)*text))
		return -EINVAL;
	errno = 0;
	uint64_t v = strtoull(text, &end, 10);
	int shift = unit_shift(end);
	if (errno || shift < 0 || v << shift >> shift != v)
		return -EINVAL;
	*ret = v << shift;
	return 0;
}

char *duration_text(uint64_t s, char ret[DURATION_TEXT_SIZE])
{
	if (s < 60)
		snprintf(ret, DURATION_TEXT_SIZE, "%u s", (unsigned)s);
	else if (s < 3600)
		snprintf(ret, DURATION_TEXT_SIZE, "%u min %02u s", (unsigned)(s / 60), (unsigned)(s % 60));
	else
		snprintf(ret, DURATION_TEXT_SIZE, "%llu h %02u min", (unsigned long long)(s / 3600),
			 (unsigned)(s / 60 % 60));
	return ret;
}
