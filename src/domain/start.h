/* SPDX-License-Identifier: Apache-2.0 */
/* start: servers' disks from images.
 *
 *            mkdir V            ln -s IMAGE V/image, or cp of a disk             rm -r
 *      ──────────────► pending ───────────────────────────────► available ──────────────► trash
 *                                                               │      ▲
 *                                                               └──────┘ ln -sfn OTHER V/image: the disk is OTHER's again,
 *                                                                        the old one goes to the trash
 *
 * cp -r of an instance brings its link along, then its disk: such a link starts nothing (who.brings_link), and the lineage is the
 * other one's, since its disk is what is copied.
 *
 * A program that restores instances (who.restores) brings links in any order, with the text that readlink gave. Before the disk such a link
 * is kept as it is, and looked at again when the disk has come, and by gc: what it names may come later. After the disk it is noted as what
 * that was made from.
 *
 * An instance's disk is a row with the image's map and a reference of its own: it outlives its image. What is written goes to
 * its overlay.
 */
#ifndef IMAGEFS_DOMAIN_START_H
#define IMAGEFS_DOMAIN_START_H

#include "domain/act.h"

/* A link called `name` is made in the directory of an instance (in its transaction): `image` starts it; other names are kept until they
 * are renamed to `image` (ln -sf works like that) or removed. */
int start_link(struct cat_txn *, struct act *, struct image *instance, struct error *err) MUST_USE;

/* Such a link is renamed to `image`: start, or install anew. `key` is its setting key. */
int start_rename(struct cat_txn *, struct act *, struct image *instance, uint8_t key, struct error *err) MUST_USE;

/* The disk of an instance was brought by somebody who had made its link before: is there now what that names? Then it is noted, and the row
 * put. Called in the transaction that makes the instance available, and by gc: the image may come later. */
int start_recall(struct cat_txn *, struct act *, struct image *instance) MUST_USE;

/* -EBUSY while somebody has the disk open for writing. */
int start_check_idle(struct service *, const struct image *instance, struct error *err) MUST_USE;

#endif
