/* SPDX-License-Identifier: Apache-2.0 */
/* check_reader: the process that reads every row of a catalog, because LMDB ends the one that meets a page which makes no sense.
 *
 * It has the file of the catalog as its standard input and says on its standard output, a line each:
 *     table N          it begins with table number N
 *     row N KEY        a row of that table makes no sense
 *     broken N CODE    that table cannot be read to its end
 *     on               it is still at work
 *     closed SENTENCE  the catalog cannot be opened
 *     end              everything was read
 * A process that ends without the last line met its end in the table that it had begun with. */
#ifndef IMAGEFS_DOMAIN_CHECK_READER_H
#define IMAGEFS_DOMAIN_CHECK_READER_H

#include "base/err.h"

int reader_main(const char *first_table); /* hidden command of the program: `imagefs reader N` */

/* Starts one that begins with table `first`: what it says is read from *ret_fd. program NULL: a fork of this process (unit tests). */
int reader_start(const char *program, int catalog_fd, unsigned first, int *ret_pid, int *ret_fd, struct error *err) MUST_USE;

#endif
