/* SPDX-License-Identifier: Apache-2.0 */
#include "store/pack.h"

#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/io.h"
#include "base/num.h"
#include "store/pack_format.h"
#include "tap.h"

static struct backend *backend;
static _Atomic uint32_t numbers = 1;

static struct hash hash_for(uint64_t n)
{
	struct hash h;
	hash_of(&n, sizeof n, &h);
	return h;
}

/* The frame for n: here only its length and bytes matter, not that it is one of zstd's. */
static size_t frame_for(uint64_t n, uint8_t *ret)
{
	uint64_t state = n;
	size_t len = 1 + test_random(&state) % 3000;
	for (size_t i = 0; i < len; i++)
		ret[i] = (uint8_t)test_random(&state);
	return len;
}

static int add(struct pack_writer *w, uint64_t n)
{
	uint8_t frame[3000];
	struct hash h = hash_for(n);
	size_t len = frame_for(n, frame);
	return pack_add(w, &h, n % 2 ? OBJECT_NODE : OBJECT_CHUNK, frame, len, NULL);
}

static struct pack_writer *begin(void)
{
	struct pack_writer *w;
	struct error err;
	if (pack_begin(&w, backend, &numbers, &err))
		bail("cannot begin a pack: %s", err.text);
	return w;
}

/* Does the frame at this place equal that of n? */
static bool lies_there(const struct place *place, uint64_t n)
{
	uint8_t want[3000], got[FRAME_MAX];
	size_t len = frame_for(n, want);
	return place->length == len && place->kind == (n % 2 ? OBJECT_NODE : OBJECT_CHUNK) &&
	       pack_read_frame(backend, place, got, NULL) == 0 && memcmp(want, got, len) == 0;
}

static const struct pack_item *item_of(const struct pack_item *items, size_t count, uint64_t n)
{
	struct hash h = hash_for(n);
	for (size_t i = 0; i < count; i++)
		if (hash_equal(&items[i].hash, &h))
			return &items[i];
	return NULL;
}

static int count_objects(void *ctx, const char *name, uint64_t size)
{
	(void)name, (void)size;
	++*(int *)ctx;
	return 0;
}

static int objects(void)
{
	int n = 0;
	if (backend->ops->list(backend, count_objects, &n, NULL))
		bail("cannot list");
	return n;
}

static void test_names(void)
{
	char name[20];
	is_str(pack_name(1, name), "pack-00000001", "the name of a pack");
	is_str(pack_name(UINT32_MAX, name), "pack-ffffffff", "the name of the last pack");
	is_int(pack_number_of("pack-00000001"), 1, "and back");
	is_int(pack_number_of("pack-ffffffff"), UINT32_MAX, "and back");
	static const char *const bad[] = { "pack-0000001", "pack-000000001", "pack-0000000A", "pack-+0000001",
		"pack- 0000001", "pac-00000001", "", "pack-", "pack-0000000g", "pack-00000000" };
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
		is_int(pack_number_of(bad[i]), 0, "\"%s\" is no pack's name", bad[i]);
}

static void check_items(const struct pack_item *items, size_t count, uint64_t first, uint32_t number)
{
	int disorder = 0, foreign = 0, missing = 0;
	for (size_t i = 0; i < count; i++) {
		disorder += i > 0 && hash_compare(&items[i - 1].hash, &items[i].hash) >= 0;
		foreign += items[i].place.pack != number;
	}
	for (uint64_t n = first; n < first + count; n++) {
		const struct pack_item *item = item_of(items, count, n);
		missing += !item || !lies_there(&item->place, n);
	}
	is_int(disorder, 0, "items are sorted");
	is_int(foreign, 0, "and name their pack");
	is_int(missing, 0, "each frame lies where its item says");
}

static void test_one(void)
{
	struct pack_writer *w = begin();
	struct hash h = hash_for(3), other = hash_for(99999);
	size_t count, read_count;
	uint64_t size = 0;
	char name[20];
	int before = objects(), failed = 0;
	for (uint64_t n = 0; n < 1000; n++)
		failed += add(w, n) != 0;
	is_int(failed, 0, "frames can be added");
	ok(pack_has(w, &h) && !pack_has(w, &other), "the writer knows what it has");
	is_int(add(w, 3), 0, "what it has can be added again");
	is_int(objects(), before, "nothing is to be seen yet");
	is_int(pack_seal(w, NULL), 0, "seal");
	is_int(objects(), before + 1, "one pack");
	ok(pack_has(w, &h) && !pack_has(w, &other), "the writer still knows what it has");
	is_int(pack_seal(w, NULL), 0, "sealing again does nothing");
	is_int(add(w, 5000), -EINVAL, "a sealed pack takes no more");

	const struct pack_item *items = pack_items(w, &count);
	is_int(count, 1000, "it has what was added, once");
	check_items(items, count, 0, pack_number(w));
	is_int(backend->ops->size(backend, pack_name(pack_number(w), name), &size, NULL), 0, "it is named by its number");
	is_int(pack_bytes(w), size, "and as long as it says");

	struct pack_item *read;
	is_int(pack_read_index(backend, pack_number(w), &read, &read_count, NULL), 0, "its index can be read");
	is_int(read_count, count, "whole");
	int differ = 0;
	for (size_t i = 0; i < count; i++)
		differ += !hash_equal(&read[i].hash, &items[i].hash) || read[i].place.pack != items[i].place.pack ||
			  read[i].place.offset != items[i].place.offset ||
			  read[i].place.length != items[i].place.length || read[i].place.kind != items[i].place.kind;
	is_int(differ, 0, "and tells the same as the writer");
	free(read);
	pack_free(w);
}

static void test_nothing(void)
{
	size_t count = 1;
	int before = objects();
	struct pack_writer *w = begin();
	is_int(pack_seal(w, NULL), 0, "an empty pack can be sealed");
	(void)pack_items(w, &count);
	is_int(count, 0, "it has no items");
	is_int(pack_bytes(w), 0, "and no bytes");
	pack_free(w);
	w = begin();
	is_int(add(w, 1), 0, "a pack that is never sealed");
	pack_free(w);
	is_int(objects(), before, "both left nothing behind");
	pack_free(NULL);

	struct hash h = hash_for(1);
	w = begin();
	is_int(pack_add(w, &h, OBJECT_CHUNK, "", 0, NULL), -EINVAL, "no frame is empty");
	is_int(pack_add(w, &h, OBJECT_CHUNK, "", FRAME_MAX + 1, NULL), -EINVAL, "or too long");
	is_int(pack_add(w, &hash_none, OBJECT_CHUNK, "x", 1, NULL), -EINVAL, "or of a hole");
	is_int(add(w, 1), 0, "the writer is none the worse for it");
	is_int(pack_seal(w, NULL), 0, "and can be sealed");
	pack_free(w);
}

static void test_full(void)
{
	struct pack_writer *w = begin();
	uint8_t *frame = calloc(1, FRAME_MAX);
	int r = 0;
	uint64_t n = 0, bytes;
	for (; r == 0; n++) {
		struct hash h = hash_for(n);
		r = pack_add(w, &h, OBJECT_CHUNK, frame, 60000, NULL);
	}
	is_int(r, ERR_FULL, "a pack is full after %d frames", (int)n - 1);
	is_int(pack_seal(w, NULL), 0, "and can be sealed then");
	bytes = pack_bytes(w);
	ok(bytes <= PACK_MAX && bytes > PACK_MAX - 61000, "it uses its room: %llu bytes", (unsigned long long)bytes);
	pack_free(w);

	/* The index counts too: tiny frames. */
	w = begin();
	for (n = 0, r = 0; r == 0; n++) {
		struct hash h = hash_for(n);
		r = pack_add(w, &h, OBJECT_NODE, frame, 900, NULL);
	}
	is_int(r, ERR_FULL, "tiny frames fill a pack after %d", (int)n - 1);
	is_int(pack_seal(w, NULL), 0, "and it can be sealed");
	bytes = pack_bytes(w);
	ok(bytes <= PACK_MAX && bytes > PACK_MAX - 1000, "it uses its room: %llu bytes", (unsigned long long)bytes);
	struct pack_item *items;
	size_t count;
	is_int(pack_read_index(backend, pack_number(w), &items, &count, NULL), 0, "its index is good");
	is_int(count, n - 1, "and has everything");
	free(items);
	pack_free(w);
	free(frame);
}

static void test_taken(void)
{
	struct pack_writer *w = begin();
	char name[20];
	uint32_t next = numbers;
	for (uint32_t i = 0; i < 3; i++) {
		int fd;
		if (backend->ops->spool(backend, &fd, NULL) ||
		    backend->ops->put(backend, pack_name(next + i, name), fd, 0, NULL))
			bail("cannot put %s", name);
		close(fd);
	}
	ok(add(w, 1) == 0 && add(w, 2) == 0, "a pack");
	is_int(pack_seal(w, NULL), 0, "finds three numbers taken");
	is_int(pack_number(w), next + 3, "takes the next one");
	is_int(numbers, next + 4, "and says so");
	size_t count;
	const struct pack_item *items = pack_items(w, &count);
	check_items(items, count, 1, next + 3);
	struct pack_item *read;
	is_int(pack_read_index(backend, next + 3, &read, &count, NULL), 0, "it is good under that number");
	free(read);
	pack_free(w);

	uint32_t keep = numbers;
	numbers = UINT32_MAX;
	w = begin();
	ok(add(w, 1) == 0 && pack_seal(w, NULL) == -EOVERFLOW, "after the last number there is none");
	pack_free(w);
	numbers = keep;
}

/* --- threads --- */

#define THREADS 8u
#define EACH 400u

static struct pack_writer *shared;
static atomic_int add_failed;

/* Half of what a thread adds, its neighbour adds too. */
static void *add_many(void *arg)
{
	uint64_t first = (uint64_t)(uintptr_t)arg * EACH / 2;
	for (uint64_t n = first; n < first + EACH; n++) {
		struct hash h = hash_for(n);
		add_failed += add(shared, n) != 0 || !pack_has(shared, &h);
	}
	return NULL;
}

static void test_threads(void)
{
	pthread_t threads[THREADS];
	size_t count;
	shared = begin();
	for (uint64_t i = 0; i < THREADS; i++)
		pthread_create(&threads[i], NULL, add_many, (void *)(uintptr_t)i);
	for (uint64_t i = 0; i < THREADS; i++)
		pthread_join(threads[i], NULL);
	is_int(add_failed, 0, "%u threads add to one pack", THREADS);
	is_int(pack_seal(shared, NULL), 0, "it can be sealed");
	const struct pack_item *items = pack_items(shared, &count);
	is_int(count, (THREADS + 1) * EACH / 2, "it has everything once");
	check_items(items, count, 0, pack_number(shared));
	pack_free(shared);
}

/* --- damage --- */

struct copy {
	uint8_t *bytes;
	size_t size;
	uint32_t number;
};

static struct copy copy_of_pack(uint64_t objects_in)
{
	struct pack_writer *w = begin();
	struct copy c;
	char name[20];
	for (uint64_t n = 0; n < objects_in; n++)
		if (add(w, n))
			bail("cannot add");
	if (pack_seal(w, NULL))
		bail("cannot seal");
	c.size = pack_bytes(w);
	c.number = pack_number(w);
	c.bytes = malloc(c.size + 1);
	if (backend->ops->read(backend, pack_name(c.number, name), c.bytes, c.size, 0, NULL))
		bail("cannot read the pack");
	pack_free(w);
	return c;
}

/* What reading the index says when the pack has these bytes. */
static int with_bytes(const struct copy *c, size_t size)
{
	char name[20];
	struct pack_item *items;
	struct error err = { .code = 0 };
	size_t count;
	int fd;
	pack_name(c->number, name);
	if (backend->ops->remove(backend, name, NULL) || backend->ops->spool(backend, &fd, NULL) ||
	    io_pwrite(fd, c->bytes, size, 0) || backend->ops->put(backend, name, fd, size, NULL))
		bail("cannot replace %s", name);
	close(fd);
	int r = pack_read_index(backend, c->number, &items, &count, &err);
	if (r == 0)
		free(items);
	else if (err.code != r || !strstr(err.text, name))
		bail("the sentence does not name the pack: %s", err.text);
	return r;
}

static void sign(struct copy *c)
{
	uint8_t *footer = c->bytes + c->size - PACK_FOOTER_SIZE;
	uint8_t *index = c->bytes + get_le32(footer + PACK_FOOTER_INDEX);
	hash_of(index, (size_t)(footer + PACK_FOOTER_DIGEST - index), (struct hash *)(footer + PACK_FOOTER_DIGEST));
}

static void test_damaged_index(void)
{
	struct copy c = copy_of_pack(5);
	uint8_t *footer = c.bytes + c.size - PACK_FOOTER_SIZE;
	size_t index = get_le32(footer + PACK_FOOTER_INDEX);
	int missed = 0, cut = 0;
	is_int(with_bytes(&c, c.size), 0, "a pack");
	for (size_t at = 0; at < c.size; at = at + 1 == PACK_HEADER_SIZE ? index : at + 1) {
		c.bytes[at] ^= 0x10;
		missed += with_bytes(&c, c.size) != ERR_DAMAGED;
		c.bytes[at] ^= 0x10;
	}
	is_int(missed, 0, "no damaged byte of header, index or footer goes unnoticed");
	for (size_t size = 0; size < c.size; size += size < PACK_FOOTER_SIZE * 2 ? 1 : 97)
		cut += with_bytes(&c, size) != ERR_DAMAGED;
	is_int(cut, 0, "nor a cut");
	c.bytes[c.size] = 0;
	is_int(with_bytes(&c, c.size + 1), ERR_DAMAGED, "nor a byte more");

	put_le32(c.bytes + PACK_HEADER_VERSION, PACK_VERSION + 1);
	put_le32(footer + PACK_FOOTER_VERSION, PACK_VERSION + 1);
	is_int(with_bytes(&c, c.size), ERR_NEWER, "a newer version is told apart from damage");
	put_le32(c.bytes + PACK_HEADER_VERSION, PACK_VERSION);
	put_le32(footer + PACK_FOOTER_VERSION, PACK_VERSION);
	is_int(with_bytes(&c, c.size), 0, "the pack is good again");
	free(c.bytes);
}

/* Signed all right, and yet impossible. */
static void test_hostile_index(void)
{
	static const struct {
		const char *what;
		size_t at;
		uint8_t value;
	} cases[] = {
		{ "a frame in the header", PACK_ENTRY_OFFSET, 1 },
		{ "a frame behind the frames", PACK_ENTRY_OFFSET + 3, 0xff },
		{ "a frame without bytes", PACK_ENTRY_LENGTH, 0 },
		{ "a frame that is too long", PACK_ENTRY_LENGTH + 2, 0x40 },
		{ "an unknown kind", PACK_ENTRY_KIND, 9 },
		{ "bytes that should be zero", PACK_ENTRY_KIND + 2, 1 },
		{ "hashes out of order", PACK_ENTRY_HASH, 0xff },
	};
	struct copy c = copy_of_pack(5);
	uint8_t *footer = c.bytes + c.size - PACK_FOOTER_SIZE;
	uint8_t *entry = c.bytes + get_le32(footer + PACK_FOOTER_INDEX), saved[PACK_ENTRY_SIZE];
	memcpy(saved, entry, sizeof saved);
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		entry[cases[i].at] = cases[i].value;
		if (cases[i].at == PACK_ENTRY_OFFSET || cases[i].at == PACK_ENTRY_LENGTH)
			memset(entry + cases[i].at + 1, 0, 3);
		sign(&c);
		is_int(with_bytes(&c, c.size), ERR_DAMAGED, "%s", cases[i].what);
		memcpy(entry, saved, sizeof saved);
	}
	memset(entry + PACK_ENTRY_HASH, 0, HASH_SIZE);
	sign(&c);
	is_int(with_bytes(&c, c.size), ERR_DAMAGED, "the hash of a hole");
	memcpy(entry, saved, sizeof saved);
	put_le32(footer + PACK_FOOTER_COUNT, 0x20000000);
	is_int(with_bytes(&c, c.size), ERR_DAMAGED, "a count beyond all measure");
	put_le32(footer + PACK_FOOTER_COUNT, 5);
	sign(&c);
	is_int(with_bytes(&c, c.size), 0, "the pack is good again");
	free(c.bytes);
}

static void test_places(void)
{
	uint8_t buf[FRAME_MAX];
	struct error err;
	struct copy c = copy_of_pack(3);
	struct place gone = { .pack = 0xdeadbeef, .offset = PACK_HEADER_SIZE, .length = 10 };
	struct place past = { .pack = c.number, .offset = UINT32_MAX, .length = 10 };
	struct place header = { .pack = c.number, .offset = 0, .length = 10 };
	struct place none = { .pack = c.number, .offset = PACK_HEADER_SIZE, .length = 0 };
	struct place large = { .pack = c.number, .offset = PACK_HEADER_SIZE, .length = FRAME_MAX + 1 };
	struct pack_item *items;
	size_t count;
	is_int(pack_read_frame(backend, &gone, buf, NULL), -ENOENT, "a pack that is gone");
	is_int(pack_read_index(backend, gone.pack, &items, &count, NULL), -ENOENT, "has no index either");
	is_int(pack_read_frame(backend, &past, buf, &err), ERR_DAMAGED, "behind the end: %s", err.text);
	is_int(pack_read_frame(backend, &header, buf, &err), ERR_DAMAGED, "in the header: %s", err.text);
	is_int(pack_read_frame(backend, &none, buf, NULL), ERR_DAMAGED, "without bytes");
	is_int(pack_read_frame(backend, &large, buf, NULL), ERR_DAMAGED, "longer than any frame");
	free(c.bytes);
}

/* --- failure --- */

/* A backend whose spool cannot be written, or whose put fails. */
static struct backend_ops broken_ops;
static struct backend broken = { &broken_ops };
static int put_answer, puts_done;

static int spool_read_only(struct backend *b, int *ret_fd, struct error *err)
{
	(void)b;
	*ret_fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
	return *ret_fd < 0 ? fail_errno(err, "cannot open /dev/null") : 0;
}

static int spool_good(struct backend *b, int *ret_fd, struct error *err)
{
	(void)b;
	return backend->ops->spool(backend, ret_fd, err);
}

static int put_fails(struct backend *b, const char *name, int fd, uint64_t size, struct error *err)
{
	(void)b, (void)name, (void)fd, (void)size;
	puts_done++;
	return fail(err, put_answer, "put failed, as it should");
}

static void test_failure(void)
{
	struct pack_writer *w;
	struct error err;
	broken_ops.spool = spool_read_only;
	broken_ops.put = put_fails;
	is_int(pack_begin(&w, &broken, &numbers, NULL), 0, "a spool that cannot be written");
	is_int(add(w, 1), -EBADF, "fails an add");
	is_int(add(w, 2), -EBADF, "and all that follow");
	is_int(add(w, 1), -EBADF, "also of what it would have had");
	is_int(pack_seal(w, &err), -EBADF, "and the seal: %s", err.text);
	is_int(puts_done, 0, "nothing is put");
	pack_free(w);

	broken_ops.spool = spool_good;
	put_answer = -EIO;
	is_int(pack_begin(&w, &broken, &numbers, NULL), 0, "a put that fails");
	is_int(add(w, 1), 0, "after a good add");
	is_int(pack_seal(w, &err), -EIO, "fails the seal: %s", err.text);
	is_int(pack_seal(w, NULL), -EIO, "for good");
	is_int(puts_done, 1, "a failed sync is not tried again");
	is_int(pack_number(w), 0, "there is no pack");
	pack_free(w);
}

int main(void)
{
	char folder[4200];
	struct error err;
	snprintf(folder, sizeof folder, "%s/pool", test_folder());
	if (backend_open_dir(&backend, folder, 4, &err))
		bail("%s", err.text);
	test_names();
	test_one();
	test_nothing();
	test_full();
	test_taken();
	test_threads();
	test_damaged_index();
	test_hostile_index();
	test_places();
	test_failure();
	backend->ops->close(backend);
	return done_testing();
}
