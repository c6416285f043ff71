#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Who reads disks is told where their holes are: archives of several images are sparse. Only cp, which would read holes instead of asking
# for a copy, is told that they are full; when in doubt everybody is told the truth.
. "$(dirname "$0")/../lib/test-lib.sh"
. "$(dirname "$0")/../lib/data-lib.sh"
private_dev_fuse
need tar rsync busybox jq
data_store
for n in 1 2 3; do
	make_disk "$T/$n.img" 64 2 "$n"
	import "i$n" "$T/$n.img"
done
taken=$(du -sB1 "$C/i1/disk" | cut -f 1)
ok 'their disks have holes' test "$taken" -lt $((16 << 20))

# archive DESC CMD...: stdout is an archive of three images of 64 MiB with 2 MiB of data each
archive() {
	local what=$1 bytes
	shift
	bytes=$("$@" 2>"$T/.err" | wc -c)
	ok "$what has the holes left out ($bytes bytes)" test "$bytes" -gt $((6 << 20)) -a "$bytes" -lt $((30 << 20))
}
for round in first second; do
	archive "tar -S, the $round time," tar -C "$C" -cSf - i1 i2 i3
	archive "tar -S of an absolute path, the $round time," tar -cSPf - "$C/i1" "$C/i2" "$C/i3"
done
archive 'tar -S, which looks for names that are not there,' tar -C "$C" --exclude-caches --exclude-vcs-ignores -cSf - i1 i2 i3
mkdir "$T/out"
ok 'what is unpacked' bash -c 'tar -C "$1" -cSf - i1 i2 i3 | tar -C "$2" -xf -' _ "$C" "$T/out"
is '… is right' "$(for n in 1 2 3; do cmp "$T/$n.img" "$T/out/i$n/disk" 2>&1; done)" ''
ok 'and has its holes' test "$(du -sB1 "$T/out" | cut -f 1)" -lt $((30 << 20))
for tool in 'cp -r' 'cp --sparse=always -r' 'rsync -aS' 'busybox cp -r'; do
	rm -rf "$T/out2"
	mkdir "$T/out2"
	# shellcheck disable=SC2086 # a command
	$tool "$C/i1" "$C/i2" "$T/out2/" || flunk "$tool" 'failed'
	is "$tool to another file system is right" "$(for n in 1 2; do cmp "$T/$n.img" "$T/out2/i$n/disk" 2>&1; done)" ''
	[ "$tool" = 'busybox cp -r' ] || ok "$tool keeps the holes" test "$(du -sB1 "$T/out2" | cut -f 1)" -lt $((30 << 20))
done

begin 'one program that reads an image and writes another'
cat >"$T/tool.c" <<'END'
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>
/* tool MAKE FILE FLAGS SEEK: makes a folder, opens FILE with these flags, maybe asks for its data, tells its blocks */
int main(int argc, char **argv)
{
	struct stat st;
	(void)argc;
	mkdir(argv[1], 0755);
	int fd = open(argv[2], argv[3][0] == 'c' ? O_RDONLY | O_NOFOLLOW : O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	if (fd < 0 || (argv[4][0] == 's' && lseek(fd, 0, SEEK_DATA) < 0) || fstat(fd, &st))
		return 1;
	printf("%s\n", st.st_blocks * 512 < st.st_size ? "holes" : "full");
	return 0;
}
END
${CC:-cc} -O1 -D_GNU_SOURCE -D_FILE_OFFSET_BITS=64 -o "$T/tool" "$T/tool.c" || flunk 'the tool is made' 'failed'
is 'opened like cp, after making a folder' "$("$T/tool" "$C/m1" "$C/i1/disk" cp -)" full
is 'opened in another way' "$("$T/tool" "$C/m2" "$C/i1/disk" other -)" holes
is 'who asks where its data are' "$("$T/tool" "$C/m3" "$C/i1/disk" cp seek)" holes
is 'who makes nothing' "$("$T/tool" "$C/i2" "$C/i1/disk" cp -)" holes

begin 'cp moves no bytes'
# instant DESC CMD...: it copies without any chunk being hashed
instant() {
	local what=$1 before
	shift
	before=$(metric chunks_absorbed_total)
	run "$@" || flunk "$what" 'failed'
	is "$what: no chunk is hashed" "$(($(metric chunks_absorbed_total) - before))" 0
}
instant 'cp -r of one' cp -r "$C/i1" "$C2/"
instant 'cp -r of several' cp -r "$C/i2" "$C/i3" "$C2/"
mkdir "$C2/one" "$C2/two"
instant 'cp of the disk' cp "$C/i1/disk" "$C2/one/disk"
instant 'cp of the disk into the folder' cp "$C/i1/disk" "$C2/two/"
instant 'cp -a' cp -a "$C/i1" "$C2/archive"
instant 'cp -rT onto a folder that is there' bash -c 'mkdir "$2" && cp -rT "$1" "$2"' _ "$C/i1" "$C2/there"
instant 'cp -r into an instance' cp -r "$C/i1" "$M/ap-beijing/instances/vm"
for n in one two archive there; do
	cmp "$T/1.img" "$C2/$n/disk" || flunk "$n" 'other bytes'
done
done_testing
