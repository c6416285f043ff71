/* SPDX-License-Identifier: Apache-2.0 */
/* record: values of the catalog's tables: a version byte, then fields: numbers little-endian, texts with
 * a 16-bit length before them. */
#ifndef IMAGEFS_CATALOG_RECORD_H
#define IMAGEFS_CATALOG_RECORD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

#define RECORD_MAX 1960 /* with a key of 60 bytes still no overflow page of LMDB */

/* Bytes of a row, where they lie in the database. */
struct bytes {
	const uint8_t *data;
	size_t len;
};

/* Writing. What does not fit, or a text without NUL, makes the record bad: db_put() refuses it. */
struct record {
	size_t len;
	bool bad;
	uint8_t data[RECORD_MAX];
};

void record_start(struct record *, uint8_t version);
void record_u8(struct record *, uint8_t);
void record_u16(struct record *, uint16_t);
void record_u32(struct record *, uint32_t);
void record_u64(struct record *, uint64_t);
void record_bytes(struct record *, const void *data, size_t len);         /* fixed width */
void record_blob(struct record *, const void *data, size_t len);          /* its length before it */
void record_text(struct record *, const char *text, size_t room);         /* NUL within `room` bytes */
#define RECORD_TEXT(record, array) record_text((record), (array), sizeof(array))

/* Reading. A field that is not there or does not fit reads as zero and makes the whole bad. */
struct fields {
	const uint8_t *at, *end;
	bool bad;
};

void fields_start(struct fields *, struct bytes, uint8_t version);
/* For a row that has grown: takes any version from 1 to `newest`, and returns which it is (0 with a bad row). The reader
 * gives the fields that an older version lacks their first value. */
uint8_t fields_start_upto(struct fields *, struct bytes, uint8_t newest);
uint8_t field_u8(struct fields *);
uint8_t field_below(struct fields *, uint8_t limit); /* a u8 that must be less than limit */
bool field_bool(struct fields *);
uint16_t field_u16(struct fields *);
uint32_t field_u32(struct fields *);
uint64_t field_u64(struct fields *);
void field_bytes(struct fields *, void *ret, size_t len);
struct bytes field_blob(struct fields *);
void field_text(struct fields *, char *ret, size_t room); /* with its NUL; texts that contain one are bad */
#define FIELD_TEXT(fields, array) field_text((fields), (array), sizeof(array))

/* 0, or ERR_DAMAGED: something was missing, did not fit, or is left over. */
int fields_end(const struct fields *) MUST_USE;

#endif
