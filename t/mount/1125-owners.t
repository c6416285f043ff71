#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Small things that programs do to what they restore or write: owners, many unfinished files, reading what they write; and strangers, of whom
# the operator is told.
. "$(dirname "$0")/../lib/test-lib.sh"
. "$(dirname "$0")/../lib/data-lib.sh"
private_dev_fuse
need_root
need jq rsync
data_store
make_disk "$T/a.img" 4 1 1
chmod 644 "$T/a.img"

begin 'owners'
imagefs account add "$STORE" team --uid alice --uid bob || flunk 'an account of two' 'failed'
install -d -o 61001 "$T/alice"
M2=$T/alice
test_mounts+=("$M2")
ok 'alice mounts' as_user alice imagefs mount "$STORE" "$M2"
own=$M2/ap-beijing/custom/own
as_user alice mkdir "$own"
as_user alice cp "$T/a.img" "$own/disk"
before=$(as_user alice stat -c '%u %g' "$own/disk")
ok 'to oneself' as_user alice chown 61001 "$own/disk" "$own"
ok 'to another uid of the account' as_user alice chown 61002:61002 "$own/disk"
ok 'to anybody: what restores goes on' as_user alice chown 0:0 "$own/disk" "$own"
is 'the owner is who mounted it' "$(as_user alice stat -c '%u %g' "$own/disk")" "$before"
ok 'by root' chown -R 61003:61003 "$C"
# shellcheck disable=SC2016 # for the other shell
ok 'rsync with owners and groups' as_user alice bash -c 'mkdir "$1/copy" && rsync -aogX "$1/own/" "$1/copy/"' _ "$M2/ap-beijing/custom"

begin 'strangers'
O=$T/others
mkdir "$O"
test_mounts+=("$O")
ok 'a mount that lets others in' imagefs mount --allow-other "$STORE" "$O"
fails 'a stranger gets nothing' 'Permission denied' as_user carol ls "$O/ap-beijing"
like 'the operator is told' "$(grep -w 61003 "$M/.log" | tail -n 1)" 'EACCES.*does not belong to the account'
lines=$(grep -cw 61003 "$M/.log")
for _ in {1..50}; do
	as_user carol ls "$O/ap-beijing" >/dev/null 2>&1
done
ok 'and not drowned' test "$(($(grep -cw 61003 "$M/.log") - lines))" -le 30

begin 'unfinished files'
image many
for n in {1..40}; do
	: >"$C/many/.file$n" || flunk "file $n" 'failed'
done
refused 'one too many is a quota, not a full store' EDQUOT 'unfinished files in this image' touch "$C/many/.one-more"
rm -r "$C/many"

begin 'reading what one writes'
cat >"$T/tool.c" <<'END'
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>
/* tool FILE MODE: opens it for writing, reads from it (same: by the same descriptor; other: by another), then allocates and writes */
int main(int argc, char **argv)
{
	char buf[4096];
	(void)argc;
	int fd = open(argv[1], O_RDWR), reader = argv[2][0] == 's' ? fd : open(argv[1], O_RDONLY);
	if (fd < 0 || reader < 0 || pread(reader, buf, sizeof buf, 0) != sizeof buf)
		return perror("read"), 1;
	if (fallocate(fd, 0, 0, 4 << 20))
		return perror("fallocate"), 1;
	if (pwrite(fd, buf, sizeof buf, 1 << 20) != sizeof buf)
		return perror("write"), 1;
	return close(fd) != 0;
}
END
${CC:-cc} -D_GNU_SOURCE -D_FILE_OFFSET_BITS=64 -o "$T/tool" "$T/tool.c" || flunk 'the tool is made' 'failed'
import one "$T/a.img"
ok 'by the same descriptor' "$T/tool" "$C/one/disk" same
ok 'by another one' "$T/tool" "$C/one/disk" other
is 'it is available' "$(state_of one)" available
is 'and not sealed' "$(status_of one sealed)" no
head -c 4096 "$C/one/disk" >/dev/null
is 'who only reads seals it' "$(status_of one sealed)" yes
fails 'then it never changes again' 'Operation not permitted' "$T/tool" "$C/one/disk" same
done_testing
