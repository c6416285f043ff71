/* SPDX-License-Identifier: Apache-2.0 */
/* inherited: descriptors that the caller of this program had open, and what it does with signals. A process that stays would keep them open for
 * ever: a lock that the caller has on one, the end of a pipe that somebody reads to its end. */
#ifndef IMAGEFS_CLI_INHERITED_H
#define IMAGEFS_CLI_INHERITED_H

/* Opens /dev/null as those of 0, 1 and 2 that are closed: else the next file would get their number, and what is said to people
 * would be written to it. */
void inherited_complete(void);

/* Closes all but 0, 1, 2, `but` (-1: none) and those that a service manager passed to this process (sd_listen_fds(3)); these are
 * closed by execve. */
void inherited_close(int but);

/* Who ignores SIGCHLD is not told of the end of its children: a keeper would not notice that of its daemon. And SIGALRM is what ends a daemon
 * that has no keeper any more. */
void inherited_signals(void);

#endif
