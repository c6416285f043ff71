/* SPDX-License-Identifier: Apache-2.0 */
#include "domain/dedup.h"

#include <string.h>

#include "catalog/account.h"
#include "domain/policy.h"

int dedup_domain(struct cat_txn *txn, const struct image *i, uint32_t *ret)
{
	char value[64];
	int r = policy_value(txn, i->owner, i->shelf.region, "dedup", value);
	if (r)
		return r;
	*ret = DOMAIN_COMMON;
	return strcmp(value, "account") == 0 ? account_domain(txn, i->owner, ret) : 0;
}

bool dedup_may_borrow(uint32_t domain, uint32_t lender) { return domain != DOMAIN_COMMON || lender == DOMAIN_COMMON; }

int dedup_domain_for(struct cat_txn *txn, const struct image *i, uint32_t lender, uint32_t *domain)
{
	return dedup_may_borrow(*domain, lender) ? 0 : account_domain(txn, i->owner, domain);
}
