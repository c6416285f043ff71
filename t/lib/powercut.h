/* SPDX-License-Identifier: Apache-2.0 */
/* powercut: what a folder of files would be after the power failed.
 *
 * A program that calls any of these has its fdatasync(), fsync(), unlink() and sync_file_range() replaced: while a folder is watched, what
 * they make durable is noted: a copy of the file's bytes as they are at its sync, the names at the
 * folder's. A cut leaves in each page (4 KiB) of each file either what was synced last or what is there
 * now, and of names that are new or gone without a sync either; a name that was removed and made again
 * may mean the file of before. All at random. */
#ifndef IMAGEFS_T_POWERCUT_H
#define IMAGEFS_T_POWERCUT_H

#include <stdbool.h>
#include <stdint.h>

void power_watch(const char *dir, uint64_t seed); /* all that is there is durable; ends any earlier watch */
void power_end(void);
unsigned power_syncs(void);                       /* fdatasync and fsync in a watched folder, ever */
void power_writeback(void);                       /* the kernel writes some pages, as it likes */
void power_move(const char *to);                  /* the same files have this folder now */
void power_cut(const char *to);                   /* make the folder `to` what the cut leaves */

/* Cut at the start of the n-th fdatasync, fsync or unlink in the folder from now on (1: the next), into `to`. `then` is
 * called right after. */
void power_cut_at(unsigned n, const char *to, void (*then)(void *ctx), void *ctx);
void power_fail_sync(int code); /* the next fdatasync or fsync of any file fails with this errno */
void power_lose_pages(int code); /* the kernel could not write a page: whoever asks next (sync_file_range) is told this errno, once */
bool power_was_cut(void); /* has it come to that? */

#endif
