/* SPDX-License-Identifier: Apache-2.0 */
/* give_back: bytes of uploads that were refused for want of room.
 *
 * When the store is full they are in everybody's way: given back when the file is closed. Over policy bytes-per-region they are in the
 * way of nobody but their owner: kept, to be continued, until the account needs their room in that region. The image stays, failed and
 * empty, and its `reason` says which it was. */
#ifndef IMAGEFS_DOMAIN_GIVE_BACK_H
#define IMAGEFS_DOMAIN_GIVE_BACK_H

#include "domain/service.h"

/* Sentences for `reason`. One with GIVEN_BACK in it says that there is nothing left to give. */
#define GIVEN_BACK "given back"
#define REASON_FULL "the store was full when this was written; what had come in is " GIVEN_BACK ": upload it again when there is room"
#define REASON_OVER "this was more than policy bytes-per-region allows; "
#define REASON_OVER_KEPT REASON_OVER "what had come in is kept until its room is needed: continue it (dd seek=, rsync --append) or upload it again"
#define REASON_OVER_GIVEN REASON_OVER "what had come in was " GIVEN_BACK " as its room was needed: upload it again"

/* The upload into this disk was refused as the store is full, and closed: empty it, unless somebody has it open for writing again or
 * it was continued. What goes wrong is told to the log: the bytes stay. */
void give_back(struct service *, uint64_t disk);

/* The account needs room in the region: empty its failed uploads there. `but` is a disk that is not touched. Returns how many were. */
unsigned give_back_all(struct service *, uint32_t account, uint32_t region, uint64_t but);

#endif
