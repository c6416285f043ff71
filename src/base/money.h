/* SPDX-License-Identifier: Apache-2.0 */
/* money: amounts and quantities in whole numbers, never in floating point.
 *
 * An amount is counted in millionths of the currency's unit, a quantity (of GiB-months, hours, months, times) in
 * billionths of one. Both are as exact as they are printed, so that whoever reads "quantity times rate is amount" in a bill
 * can do that sum over again. What does not come out even is rounded to the nearest, halves away from zero. What does not fit is -ERANGE,
 * never a wrong number.
 */
#ifndef IMAGEFS_BASE_MONEY_H
#define IMAGEFS_BASE_MONEY_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"

typedef int64_t money;
typedef int64_t quantity;
typedef __int128 money_total; /* of as many amounts as there may ever be: it always fits */

#define MONEY_ONE INT64_C(1000000)
#define QUANTITY_ONE INT64_C(1000000000)
#define MONEY_TEXT_SIZE 48

/* Digits, and at most six more after a point: "5", "0.25". -EINVAL for anything else, signs and blanks too; -ERANGE above a billion. */
int money_parse(const char *text, money *ret) MUST_USE;

/* "5", "0.25", "-0.1": the shortest that is exact; returns ret. */
char *money_text(money, char ret[MONEY_TEXT_SIZE]);
char *money_total_text(money_total, char ret[MONEY_TEXT_SIZE]);
char *quantity_text(quantity, char ret[MONEY_TEXT_SIZE]);

/* rate × quantity, rounded to a millionth. */
int money_times(money rate, quantity, money *ret) MUST_USE;
int money_add(money *sum, money amount) MUST_USE;

/* part / whole as a quantity, rounded to a billionth. whole is not 0 and below 2^96. */
int quantity_of(unsigned __int128 part, unsigned __int128 whole, quantity *ret) MUST_USE;
int quantity_add(quantity *sum, quantity) MUST_USE;

#endif
