#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# The disk refuses one write of the catalog's meta page, after which LMDB takes nothing any more: the daemon has itself replaced, and nobody
# notices; however often that happens.
. "$(dirname "$0")/../lib/test-lib.sh"
private_dev_fuse
need jq
need "${CC:-cc}"

cat >"$T/refuse.c" <<'E2'
#include <errno.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

/* A write below 8 KiB that is no page: LMDB's meta. Refused when it takes the file $REFUSE away. */
ssize_t pwrite(int fd, const void *data, size_t len, off_t offset)
{
	const char *file = getenv("REFUSE");
	if (offset < 8192 && len < 4096 && file && unlink(file) == 0) {
		errno = EIO;
		return -1;
	}
	return syscall(SYS_pwrite64, fd, data, len, offset);
}
E2
ok 'the disk that refuses is built' "${CC:-cc}" -shared -fPIC -o "$T/refuse.so" "$T/refuse.c"
make_disk "$T/a.img" 4 1 1
new_store
mkdir -p "$M"
test_mounts+=("$M")
# The address sanitizer wants to be the first library that is loaded; for this it need not be.
ok 'the store is mounted' env ASAN_OPTIONS="${ASAN_OPTIONS:+$ASAN_OPTIONS:}verify_asan_link_order=0" LD_PRELOAD="$T/refuse.so" REFUSE="$T/refuse" imagefs mount "$STORE" "$M"
C=$M/ap-beijing/custom
echo images-per-region none >"$M/.policy"
ok 'an image' imagefs import "$T/a.img" "$C/web"
mkdir "$C/v2"
exec 9>"$C/v2/disk"
head -c 2M "$T/a.img" >&9
replaced() { now=$(store_daemon_pid) && [ -n "$now" ] && [ "$now" != "$before" ]; }
# refuse NAME: an image is made, and the disk refuses the page for it.
refuse() {
	before=$(store_daemon_pid)
	touch "$T/refuse"
	ok 'a change that the disk refuses is made all the same' mkdir "$C/$1"
	ok 'it was refused' test ! -e "$T/refuse"
	ok 'and made by another daemon' replaced
}
refuse one
ok 'the next one is as ever' mkdir "$C/two"
ok 'who reads does not notice' same "$T/a.img" "$C/web/disk"
ok 'an upload that was open goes on' bash -c 'tail -c +2097153 "$1" >&9' _ "$T/a.img"
exec 9>&-
ok 'and is whole' same "$T/a.img" "$C/v2/disk"
is 'all is there, once' "$(ls "$C" | xargs)" 'one two v2 web'
like 'the log says why' "$(cat "$STORE/log")" 'the disk refused a page of the catalog .*, which cannot be used any more'
keeper=$(keeper_pid)
for i in {1..6}; do refuse "again$i"; done
is 'the keeper is the same: it does not lose patience' "$(keeper_pid)" "$keeper"
is 'images are there' "$(ls -d "$C"/again* | wc -l)" 6
umount_store
ok 'the store is sound' imagefs check "$STORE"
done_testing
