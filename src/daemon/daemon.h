/* SPDX-License-Identifier: Apache-2.0 */
/* daemon: the process that has a store open and serves its mounts. Executed by the keeper (keeper/keeper.h
 * says how it is told of its descriptors), it takes over the mounts of the one that died, and ends
 * when it is asked to, when the keeper is gone, or with the last mount if it does not linger. */
#ifndef IMAGEFS_DAEMON_DAEMON_H
#define IMAGEFS_DAEMON_DAEMON_H

/* Settings of `imagefs serve` and `mount`, handed through the keeper by the environment. */
#define DAEMON_CACHE_ENV "IMAGEFS_CACHE" /* bytes */
#define DAEMON_LEVEL_ENV "IMAGEFS_LEVEL"

/* Runs to the end; an exit code: 0 asked to end (the keeper ends too), 1 could not serve. */
int daemon_main(const char *store);

#endif
