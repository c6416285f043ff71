/* SPDX-License-Identifier: Apache-2.0 */
#include "base/shown.h"

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

/* Length of the UTF-8 sequence at p, which a NUL ends; 0 if it is none. */
static unsigned sequence(const unsigned char *p, uint32_t *ret)
{
	static const uint32_t least[] = { 0, 0, 0x80, 0x800, 0x10000 };
	unsigned n = p[0] < 0x80 ? 1 : p[0] >> 5 == 6 ? 2 : p[0] >> 4 == 14 ? 3 : p[0] >> 3 == 30 ? 4 : 0;
	*ret = n == 1 ? p[0] : p[0] & (0x7fu >> n);
	for (unsigned i = 1; i < n; i++) {
		if (p[i] >> 6 != 2)
			return 0;
		*ret = *ret << 6 | (p[i] & 0x3f);
	}
	return n && *ret >= least[n] && *ret <= 0x10ffff && (*ret < 0xd800 || *ret >= 0xe000) ? n : 0;
}

static bool is_unsafe(uint32_t c)
{
	return c < 0x20 || (c >= 0x7f && c < 0xa0) || c == 0xad || c == 0x61c || c == 0x180e || (c >= 0x200b && c <= 0x200f) ||
	       (c >= 0x2028 && c <= 0x202e) || (c >= 0x2060 && c <= 0x206f) || c == 0xfeff || (c >= 0xfff9 && c <= 0xfffb) ||
	       (c >= 0xe0000 && c <= 0xe007f);
}

size_t shown_safe(char *text)
{
	const unsigned char *from = (const unsigned char *)text;
	char *to = text;
	while (*from) {
		uint32_t c;
		unsigned n = sequence(from, &c);
		if (n && !is_unsafe(c)) {
			memmove(to, from, n);
			to += n;
		} else {
			*to++ = '?';
		}
		from += n ? n : 1;
	}
	*to = 0;
	return (size_t)(to - text);
}
