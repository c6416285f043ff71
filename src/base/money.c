/* SPDX-License-Identifier: Apache-2.0 */
/* Products of two 64-bit numbers fit into 128 bits; a quotient is taken apart into its whole part and the rest first, so
 * that nothing is multiplied that could run over. */
#include "base/money.h"

#include <stdio.h>
#include <string.h>

#define DIGITS "0123456789"
#define MONEY_PLACES 6
#define QUANTITY_PLACES 9
#define WHOLE_DIGITS 9 /* of an amount that is read: below a billion */

int money_parse(const char *text, money *ret)
{
	size_t whole = strspn(text, DIGITS), places = 0;
	if (text[whole] == '.')
		places = strspn(text + whole + 1, DIGITS);
	size_t len = whole + (text[whole] == '.') + places;
	if (whole == 0 || text[len] || places > MONEY_PLACES || (text[whole] == '.' && places == 0))
		return -EINVAL;
	if (whole > WHOLE_DIGITS)
		return -ERANGE;
	money n = 0;
	for (size_t i = 0; i < len; i++)
		n = text[i] == '.' ? n : n * 10 + (text[i] - '0');
	for (; places < MONEY_PLACES; places++)
		n *= 10;
	*ret = n;
	return 0;
}

/* The last digits come first. */
static char *decimal_text(__int128 value, int places, char ret[MONEY_TEXT_SIZE])
{
	char *at = ret + MONEY_TEXT_SIZE - 1;
	unsigned __int128 n = value < 0 ? -(unsigned __int128)value : (unsigned __int128)value;
	bool any = false;
	*at = 0;
	for (int digit = 0; n || digit <= places; digit++, n /= 10) {
		if (digit == places && any)
			*--at = '.';
		any = any || n % 10;
		if (any || digit >= places)
			*--at = (char)('0' + n % 10);
	}
	if (value < 0)
		*--at = '-';
	return memmove(ret, at, (size_t)(ret + MONEY_TEXT_SIZE - at));
}

char *money_text(money m, char ret[MONEY_TEXT_SIZE]) { return decimal_text(m, MONEY_PLACES, ret); }
char *money_total_text(money_total m, char ret[MONEY_TEXT_SIZE]) { return decimal_text(m, MONEY_PLACES, ret); }
char *quantity_text(quantity q, char ret[MONEY_TEXT_SIZE]) { return decimal_text(q, QUANTITY_PLACES, ret); }

static int fits(__int128 value, int64_t *ret)
{
	if (value > INT64_MAX || value < INT64_MIN)
		return -ERANGE;
	*ret = (int64_t)value;
	return 0;
}

int money_times(money rate, quantity q, money *ret)
{
	__int128 product = (__int128)rate * q;
	__int128 half = product < 0 ? -(QUANTITY_ONE / 2) : QUANTITY_ONE / 2;
	return fits((product + half) / QUANTITY_ONE, ret);
}

int money_add(money *sum, money amount) { return fits((__int128)*sum + amount, sum); }
int quantity_add(quantity *sum, quantity q) { return fits((__int128)*sum + q, sum); }

int quantity_of(unsigned __int128 part, unsigned __int128 whole, quantity *ret)
{
	unsigned __int128 units = part / whole, rest = part % whole;
	if (units > (unsigned __int128)(INT64_MAX / QUANTITY_ONE))
		return -ERANGE;
	rest = (rest * (unsigned __int128)QUANTITY_ONE + whole / 2) / whole;
	return fits((__int128)units * QUANTITY_ONE + (__int128)rest, ret);
}
