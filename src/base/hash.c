/* SPDX-License-Identifier: Apache-2.0 */
#include "base/hash.h"

#include <openssl/evp.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

const struct hash hash_none;

/* Fetching the algorithm and making a context cost more than hashing a small node: both are kept,
 * the algorithm for the process, the context for the thread. */
static const EVP_MD *sha256;
static pthread_key_t context_key;
static pthread_once_t once = PTHREAD_ONCE_INIT;

static void free_context(void *c) { EVP_MD_CTX_free(c); }

static void set_up(void)
{
	sha256 = EVP_MD_fetch(NULL, "SHA256", NULL);
	if (!sha256 || pthread_key_create(&context_key, free_context))
		abort();
}

static EVP_MD_CTX *thread_context(void)
{
	pthread_once(&once, set_up);
	EVP_MD_CTX *c = pthread_getspecific(context_key);
	if (!c) {
		c = EVP_MD_CTX_new();
		if (!c || pthread_setspecific(context_key, c))
			abort();
	}
	return c;
}

void hash_of(const void *data, size_t len, struct hash *ret)
{
	EVP_MD_CTX *c = thread_context();
	if (EVP_DigestInit_ex2(c, sha256, NULL) != 1 || EVP_DigestUpdate(c, data, len) != 1 ||
	    EVP_DigestFinal_ex(c, ret->b, NULL) != 1)
		abort();
}

bool hash_is_none(const struct hash *h) { return memcmp(h, &hash_none, sizeof *h) == 0; }
bool hash_equal(const struct hash *a, const struct hash *b) { return memcmp(a, b, sizeof *a) == 0; }
int hash_compare(const struct hash *a, const struct hash *b) { return memcmp(a, b, sizeof *a); }

char *hash_hex(const struct hash *h, char ret[HASH_HEX_SIZE])
{
	static const char digits[] = "0123456789abcdef";
	for (int i = 0; i < HASH_SIZE; i++) {
		ret[2 * i] = digits[h->b[i] >> 4];
		ret[2 * i + 1] = digits[h->b[i] & 15];
	}
	ret[2 * HASH_SIZE] = 0;
	return ret;
}

static int digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c |= 0x20;
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

int hash_parse(const char *hex, struct hash *ret)
{
	struct hash h;
	if (strlen(hex) != 2 * HASH_SIZE)
		return -EINVAL;
	for (int i = 0; i < HASH_SIZE; i++) {
		int hi = digit(hex[2 * i]), lo = digit(hex[2 * i + 1]);
		if (hi < 0 || lo < 0)
			return -EINVAL;
		h.b[i] = (uint8_t)(hi << 4 | lo);
	}
	*ret = h;
	return 0;
}

struct hasher {
	EVP_MD_CTX *context;
};

struct hasher *hasher_new(void)
{
	pthread_once(&once, set_up);
	struct hasher *h = malloc(sizeof *h);
	if (!h || !(h->context = EVP_MD_CTX_new()) || EVP_DigestInit_ex2(h->context, sha256, NULL) != 1)
		abort();
	return h;
}

void hasher_add(struct hasher *h, const void *data, size_t len)
{
	if (EVP_DigestUpdate(h->context, data, len) != 1)
		abort();
}

void hasher_end(struct hasher *h, struct hash *ret)
{
	if (EVP_DigestFinal_ex(h->context, ret->b, NULL) != 1)
		abort();
}

void hasher_free(struct hasher *h)
{
	if (h)
		EVP_MD_CTX_free(h->context);
	free(h);
}
