/* SPDX-License-Identifier: Apache-2.0 */
#include "base/shown.h"

#include <stdio.h>
#include <string.h>

#include "tap.h"

static void becomes(const char *from, const char *want, const char *what)
{
	char text[100];
	snprintf(text, sizeof text, "%s", from);
	size_t n = shown_safe(text);
	is_str(text, want, "%s", what);
	ok(n == strlen(want), "%s: its length is told", what);
}

int main(void)
{
	becomes("", "", "nothing stays nothing");
	becomes("plain text, with / and \\", "plain text, with / and \\", "plain text is left alone");
	becomes("\xe6\x98\xa0\xe5\x83\x8f \xc3\xa9 \xf0\x9f\x98\x80", "\xe6\x98\xa0\xe5\x83\x8f \xc3\xa9 \xf0\x9f\x98\x80", "other scripts are left alone");
	becomes("a\x1b[31mred\x1b]0;title\x07", "a?[31mred?]0;title?", "escape codes are taken out");
	becomes("one\ntwo\tthree\rfour\x7f", "one?two?three?four?", "lines and fields stay lines and fields");
	becomes("\xc2\x9b" "31m", "?31m", "C1 control characters in UTF-8 are taken out");
	becomes("\x9b" "31m", "?31m", "raw C1 control characters are taken out");
	becomes("a\xe2\x80\xae" "txt.exe\xe2\x81\xa9", "a?txt.exe?", "characters that change the direction are taken out");
	becomes("a\xe2\x80\x8b" "b\xef\xbb\xbf\xc2\xad", "a?b??", "characters that cannot be seen are taken out");
	becomes("a\xe2\x80\xa8" "b\xe2\x80\xa9", "a?b?", "line separators are taken out");
	becomes("\xc0\xaf \xed\xa0\x80 \xf5\x80\x80\x80", "?? ??? ????", "what is no UTF-8 is taken out");
	becomes("cut \xe6\x98", "cut ??", "a character that was cut is taken out");
	return done_testing();
}
