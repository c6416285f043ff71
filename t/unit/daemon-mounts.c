/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/mounts.h"

#include <stdlib.h>
#include <string.h>

#include "tap.h"

static struct mount_entry entry;

static void test_parse(void)
{
	is_int(mount_parse("67 44 0:41 / /tmp/a\\040b\\134c rw,nosuid shared:7 master:1 - fuse.imagefs /s\\011t "
			   "rw,user_id=1000,group_id=7\n", &entry), 0, "a line of mountinfo");
	is_str(entry.dir, "/tmp/a b\\c", "folder, escapes undone");
	is_str(entry.type, "fuse.imagefs", "type");
	is_str(entry.source, "/s\tt", "source");
	is_int(entry.user_id, 1000, "whose it is");
	is_int(entry.minor_no, 41, "device");
	is_int(mount_parse("22 27 0:21 / /proc rw - proc proc rw\n", &entry), 0, "one without options between");
	is_str(entry.type, "proc", "type");
	is_int(entry.user_id, 0, "nobody's");
}

static void test_damaged(void)
{
	static const char whole[] = "67 44 0:41 / /a\\040b rw - fuse.imagefs /s rw,user_id=1";
	char line[sizeof whole];
	is_int(mount_parse("", &entry), -EINVAL, "an empty line");
	is_int(mount_parse("1 2 3:4 / /x rw", &entry), -EINVAL, "a line without a type");
	for (size_t n = 0; n < sizeof whole; n++) { /* for the sanitizers */
		memcpy(line, whole, n);
		line[n] = 0;
		(void)!mount_parse(line, &entry);
	}
	char *big = malloc(20000);
	memset(big, 'x', 19999);
	memcpy(big, "1 2 3:4 / /", 11);
	memcpy(big + 10000, " rw - fuse s rw", sizeof " rw - fuse s rw");
	is_int(mount_parse(big, &entry), -EINVAL, "a path that is too long");
	free(big);
}

static void test_find(void)
{
	is_int(mount_at("/", &entry), 0, "the root is a mount");
	is_str(entry.dir, "/", "at /");
	is_int(mount_at("/proc", &entry), 0, "/proc is one");
	is_int(mount_at("/proc/self", &entry), -ENOENT, "what lies in it is none");
	is_int(mount_holding("/proc/1/status", &entry), 0, "but is held by one");
	is_str(entry.dir, "/proc", "that one");
	is_int(mount_holding("/procedure", &entry), 0, "a name that begins like it");
	is_str(entry.dir, "/", "is not");
}

int main(void)
{
	test_parse();
	test_damaged();
	test_find();
	return done_testing();
}
