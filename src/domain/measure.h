/* SPDX-License-Identifier: Apache-2.0 */
/* measure: what overlays take, written down in their disks' meters (catalog/meter_tab.h).
 *
 * The bytes of an open overlay change with every write, which must not mean a commit. So they are measured: all of them once a
 * minute by gc and when a service is closed, one when its disk is closed or its upload is judged; a fold that empties an overlay
 * sets it to nothing in its own commit. Nothing is written when nothing changed. Between two measurements what was last measured is
 * what is billed; policy bytes-per-region goes by what open disks really have (quota.h). */
#ifndef IMAGEFS_DOMAIN_MEASURE_H
#define IMAGEFS_DOMAIN_MEASURE_H

#include "domain/service.h"

int measure_overlays(struct service *, struct error *err) MUST_USE;
int measure_disk(struct service *, uint64_t number, uint64_t bytes, struct error *err) MUST_USE;

#endif
