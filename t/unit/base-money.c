/* SPDX-License-Identifier: Apache-2.0 */
/* money: what is read is what is printed; rounding; nothing runs over; quotients agree with long division. */
#include "base/money.h"

#include <inttypes.h>
#include <stdio.h>

#include "../lib/tap.h"

static void test_parse(void)
{
	static const struct {
		const char *text;
		int code;
		money value;
	} all[] = {
		{ "0", 0, 0 }, { "5", 0, 5000000 }, { "0.25", 0, 250000 }, { "0.000001", 0, 1 }, { "007.10", 0, 7100000 },
		{ "999999999.999999", 0, INT64_C(999999999999999) }, { "1000000000", -ERANGE, 0 }, { "0.0000001", -EINVAL, 0 },
		{ "", -EINVAL, 0 }, { ".5", -EINVAL, 0 }, { "5.", -EINVAL, 0 }, { "-1", -EINVAL, 0 }, { "+1", -EINVAL, 0 },
		{ " 1", -EINVAL, 0 }, { "1 ", -EINVAL, 0 }, { "1e3", -EINVAL, 0 }, { "0x10", -EINVAL, 0 }, { "1,5", -EINVAL, 0 },
		{ "1.2.3", -EINVAL, 0 }, { "99999999999999999999", -ERANGE, 0 },
	};
	for (size_t i = 0; i < sizeof all / sizeof all[0]; i++) {
		money m = 0;
		is_int(money_parse(all[i].text, &m), all[i].code, "\"%s\" is taken or not", all[i].text);
		is_int(m, all[i].value, "and is %" PRId64 " millionths", all[i].value);
	}
}

static void test_text(void)
{
	char t[MONEY_TEXT_SIZE];
	is_str(money_text(0, t), "0", "nothing");
	is_str(money_text(5000000, t), "5", "no places that say nothing");
	is_str(money_text(250000, t), "0.25", "those that do");
	is_str(money_text(-1, t), "-0.000001", "below zero");
	is_str(money_text(10000000, t), "10", "a zero before the point stays");
	is_str(money_text(INT64_MIN, t), "-9223372036854.775808", "the least");
	is_str(money_total_text((money_total)INT64_MAX * INT64_MAX, t), "85070591730234615847396907784232.501249",
	       "a total of more than 63 bits");
	is_str(quantity_text(1, t), "0.000000001", "a billionth");
	is_str(quantity_text(INT64_MAX, t), "9223372036.854775807", "the most");
}

static void test_times(void)
{
	money m = 0;
	is_int(money_times(250000, 2 * QUANTITY_ONE, &m), 0, "two at 0.25");
	is_int(m, 500000, "is 0.5");
	is_int(money_times(1, QUANTITY_ONE / 2, &m), 0, "half a millionth");
	is_int(m, 1, "is rounded up");
	is_int(money_times(1, QUANTITY_ONE / 2 - 1, &m), 0, "less than half");
	is_int(m, 0, "is nothing");
	is_int(money_times(1, -QUANTITY_ONE / 2, &m), 0, "half a millionth below zero");
	is_int(m, -1, "is rounded away from zero, too");
	is_int(money_times(INT64_MAX, INT64_MAX, &m), -ERANGE, "too much is said");
	is_int(money_times(INT64_MAX, QUANTITY_ONE, &m), 0, "the most there is");
	ok(m == INT64_MAX, "is itself");
	m = INT64_MAX - 1;
	is_int(money_add(&m, 2), -ERANGE, "sums that do not fit");
	ok(m == INT64_MAX - 1, "are left alone");
}

static void test_quantity(void)
{
	quantity q = 0;
	unsigned __int128 month = (unsigned __int128)31 * 86400 * 1000000000, gib = (unsigned __int128)1 << 30;
	is_int(quantity_of(gib * month, gib * month, &q), 0, "a GiB for a month");
	is_int(q, QUANTITY_ONE, "is one GiB-month");
	is_int(quantity_of(((unsigned __int128)1 << 60) * month, gib * month, &q), 0, "an EiB for a month");
	is_int(q, ((int64_t)1 << 30) * QUANTITY_ONE, "does not run over");
	is_int(quantity_of(((unsigned __int128)1 << 63) * month, gib * month, &q), 0, "the most that can be");
	is_int(quantity_of(((unsigned __int128)1 << 64) * month, gib * month, &q), -ERANGE, "and more is said");
	is_int(quantity_of(1, 3, &q), 0, "a third");
	is_int(q, 333333333, "rounded down");
	is_int(quantity_of(2, 3, &q), 0, "two thirds");
	is_int(q, 666666667, "rounded up");
	q = INT64_MAX;
	is_int(quantity_add(&q, 1), -ERANGE, "sums that do not fit");
}

/* Parts of a whole: their rounded quantities are off by at most half a billionth each. */
static void test_parts(void)
{
	uint64_t state = test_seed();
	for (unsigned round = 0; round < 1000; round++) {
		unsigned __int128 whole = test_random(&state) | 1, sum = 0;
		quantity q, of_parts = 0, of_sum;
		int r = 0;
		for (unsigned i = 0; i < 10; i++) {
			unsigned __int128 part = test_random(&state) % (uint64_t)whole;
			sum += part;
			r |= quantity_of(part, whole, &q) | quantity_add(&of_parts, q);
		}
		r |= quantity_of(sum, whole, &of_sum);
		int64_t off = of_parts > of_sum ? of_parts - of_sum : of_sum - of_parts;
		if (r || off > 5) {
			ok(false, "round %u is off by %" PRId64, round, off);
			return;
		}
	}
	ok(true, "sums of parts are what they are parts of");
}

int main(void)
{
	test_parse();
	test_text();
	test_times();
	test_quantity();
	test_parts();
	return done_testing();
}
