/* SPDX-License-Identifier: Apache-2.0 */
/* domain/refusals.h: an account has so many lines a minute, each its own; of equal ones in a row the first; what is left out is counted. */
#include "domain/refusals.h"

#include "../lib/tap.h"

#define SECOND ((int64_t)1000000000)

int main(void)
{
	struct refusals *r = refusals_new();
	unsigned left, admitted = 0;
	int64_t now = 100 * SECOND;
	ok(refusals_admit(r, 1, 7, now, &left) && left == 0, "the first is written");
	ok(!refusals_admit(r, 1, 7, now, &left), "the same again is not");
	ok(refusals_admit(r, 1, 8, now, &left), "another is");
	ok(refusals_admit(r, 1, 7, now, &left), "and so is the first, after that");
	for (unsigned i = 0; i < 1000; i++)
		admitted += refusals_admit(r, 1, 100 + i, now + SECOND, &left);
	is_int(admitted, REFUSALS_A_MINUTE - 3, "so many a minute");
	ok(refusals_admit(r, 2, 7, now + SECOND, &left) && left == 0, "others have their own");
	ok(!refusals_admit(r, 1, 5, now + 59 * SECOND, &left), "none until the minute is over");
	ok(refusals_admit(r, 1, 5, now + 60 * SECOND, &left), "then they are written again");
	is_int(left, 1 + 1000 - (REFUSALS_A_MINUTE - 3) + 1, "and it is told how many were not");
	ok(refusals_admit(r, 1, 6, now + 60 * SECOND, &left) && left == 0, "once");
	refusals_free(r);
	refusals_free(0);
	return done_testing();
}
