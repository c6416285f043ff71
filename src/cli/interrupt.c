/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/interrupt.h"

#include <stddef.h>

static volatile sig_atomic_t caught;

static void catch(int signal_no) { caught = signal_no; }

const volatile sig_atomic_t *interrupt_catch(void)
{
	struct sigaction action = { .sa_handler = catch }; /* no SA_RESTART: a read that waits returns */
	sigaction(SIGINT, &action, NULL);
	sigaction(SIGTERM, &action, NULL);
	sigaction(SIGHUP, &action, NULL);
	return &caught;
}
