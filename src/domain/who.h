/* SPDX-License-Identifier: Apache-2.0 */
/* who: on whose behalf something is done. The account is the one that was proved when the mount was
 * attached; uid and pid are the request's and only serve to narrow and to tell. */
#ifndef IMAGEFS_DOMAIN_WHO_H
#define IMAGEFS_DOMAIN_WHO_H

#include <stdbool.h>
#include <stdint.h>

struct who {
	uint32_t account;
	bool is_operator, is_vendor;
	uint32_t uid, pid;
	uint32_t conn;   /* connection, 0: none (command line) */
	uint64_t unique; /* of the request */
	bool resent;     /* may have been carried out already */
	bool restores;   /* a program that writes back what it once read: what its links and settings name may come later */
	bool brings_link; /* a link that this process has just read elsewhere is to be made in a directory that it has just made */
};

#endif
