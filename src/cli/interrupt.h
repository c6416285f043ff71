/* SPDX-License-Identifier: Apache-2.0 */
/* interrupt: ^C and SIGTERM become a flag, so that a command can tidy up. The flag is the process's: a
 * signal handler has nothing else to write to. */
#ifndef IMAGEFS_CLI_INTERRUPT_H
#define IMAGEFS_CLI_INTERRUPT_H

#include <signal.h>

const volatile sig_atomic_t *interrupt_catch(void);

#endif
