/* SPDX-License-Identifier: Apache-2.0 */
/* table: facts about several things, each beginning with its `name`: as a table for people, as a JSON array for programs. */
#ifndef IMAGEFS_CLI_TABLE_H
#define IMAGEFS_CLI_TABLE_H

#include "base/buf.h"

/* A column for each key, in the order in which they first come; a key that comes several times has its values with commas between;
 * one that does not come is "-". */
void table_text(const char *lines, struct buf *ret);

/* An object, as facts_json() makes them, for each thing. */
void table_json(const char *lines, struct buf *ret);

#endif
