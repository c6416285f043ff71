/* SPDX-License-Identifier: Apache-2.0 */
/* acts: what changes the tree. Each is one catalog transaction, durable when it returns; asks decide() in that transaction; writes the log; and
 * records its answer there, so that a request which the kernel sends a second time is not carried out a second time (who.resent).
 * Kernels that may have cached what changed are told through service.events after the commit. */
#ifndef IMAGEFS_DOMAIN_ACTS_H
#define IMAGEFS_DOMAIN_ACTS_H

#include "domain/tree.h"

/* A region, an account, an image. */
int act_mkdir(struct service *, const struct who *, uint64_t parent, const char *name, struct entry *ret, struct error *err) MUST_USE;
/* A region or an account, with its first settings: `key value` lines as act_configure() takes them. */
int act_make_place(struct service *, const struct who *, uint64_t parent, const char *name, const char *settings, struct error *err) MUST_USE;
int act_rmdir(struct service *, const struct who *, uint64_t parent, const char *name, struct error *err) MUST_USE;

/* An alias beside its image; in an image's directory links that others computed are accepted and ignored. */
int act_symlink(struct service *, const struct who *, uint64_t parent, const char *name, const char *text, struct entry *ret, struct error *err) MUST_USE;

int act_rename(struct service *, const struct who *, uint64_t from, const char *name, uint64_t to, const char *new_name,
	       bool may_replace, struct error *err) MUST_USE;
int act_unlink(struct service *, const struct who *, uint64_t parent, const char *name, struct error *err) MUST_USE;

/* A file in an image's directory: a setting (nothing is changed until it has a value), a disk that is going to be uploaded, or one that
 * is accepted and ignored. */
int act_create(struct service *, const struct who *, uint64_t parent, const char *name, struct entry *ret, struct error *err) MUST_USE;

/* Of an image's directory: protects, publishes, or undoes that. */
int act_chmod(struct service *, const struct who *, uint64_t node, unsigned mode, struct error *err) MUST_USE;

/* Set (or, when empty, clear) the setting of node_image(image, key). -EINVAL with a sentence, nothing changed. */
int act_set(struct service *, const struct who *, uint64_t node, const char *value, unsigned len, struct error *err) MUST_USE;

/* Write lines to .policy, .region or .account. */
int act_configure(struct service *, const struct who *, uint64_t node, const char *text, struct error *err) MUST_USE;

/* A text that who is no operator writes to a region's .policy or .region: 0 and forgotten when it is a whole one, such as a restore brings
 * along, whatever its values; -EPERM otherwise. It never changes anything. */
int act_bring(uint64_t node, const char *text, struct error *err) MUST_USE;

/* Of a disk or a setting. */
int act_set_mtime(struct service *, const struct who *, uint64_t node, int64_t mtime, struct error *err) MUST_USE;

#endif
