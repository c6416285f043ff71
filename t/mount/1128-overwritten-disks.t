#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# timeout: 300
# An image that is available and is overwritten in place goes on in the trash: only the truncation of a whole disk makes a row there, not
# the pieces in which tools write, nor an upload that is done again.
. "$(dirname "$0")/../lib/test-lib.sh"
. "$(dirname "$0")/../lib/tenants-lib.sh"
. "$(dirname "$0")/../lib/data-lib.sh"
private_dev_fuse
need_root
need rsync
tenants_store
R=ap-beijing
C=$A/$R/custom
give_disk "$T/a.img" 1
give_disk "$T/b.img" 2
give_disk "$T/c.img" 3
give_disk "$T/d.img" 4
head -c 3000000 "$T/a.img" >"$T/cut.img"
chmod 644 "$T/cut.img"
trash() { alice ls "$A/$R/.trash/custom"; }
count() { trash | wc -l; }
make_image alice web "$T/a.img"
alice bash -c 'echo words >"$1"' _ "$C/web/description"

begin 'cp over a disk'
ok 'an image is uploaded again under its name' alice cp "$T/b.img" "$C/web/disk"
is 'its old disk is in the trash' "$(count)" 1
name=$(trash)
like 'under its name' "$name" '^web@'
is 'where its settings are, too' "$(alice cat "$A/$R/.trash/custom/$name/description")" words
like 'the log says so' "$(log_of alice)" "custom/web.*its old disk is in .trash/custom/$name"
ok 'it is restored under another name' alice mv "$A/$R/.trash/custom/$name" "$C/old"
ok 'with the old bytes' alice cmp "$T/a.img" "$C/old/disk"
ok 'and the image has the new ones' alice cmp "$T/b.img" "$C/web/disk"
is 'there is nothing else in the trash' "$(count)" 0
fails 'it has been read, so it does not change any more' 'Operation not permitted' alice cp "$T/a.img" "$C/web/disk"
is 'and what is refused leaves nothing in the trash' "$(count)" 0

begin 'truncate, dd and a shell'
for how in 'truncate -s 0 "$1"' 'dd if="$2" of="$1" bs=1M status=none' 'cat "$2" >"$1"' 'cp --sparse=always "$2" "$1"'; do
	alice rm -rf "$C/x"
	before=$(count)
	make_image alice x "$T/a.img"
	ok "$how" alice bash -c "$how" _ "$C/x/disk" "$T/b.img"
	is "$how: one row in the trash" "$(($(count) - before))" 1
done

begin 'what replaces nothing'
before=$(count)
make_image alice y "$T/a.img"
ok 'a piece is written over' alice dd if="$T/b.img" of="$C/y/disk" bs=1M count=1 conv=notrunc status=none
ok 'many are, each closed' alice bash -c 'for n in 1 2 3; do dd if="$2" of="$1" bs=1M seek=$n skip=$n count=1 conv=notrunc status=none; done' _ \
	"$C/y/disk" "$T/b.img"
ok 'rsync --inplace does it' alice rsync --inplace --ignore-times "$T/a.img" "$C/y/disk"
ok 'cp -u with nothing newer' alice bash -c 'cp -u "$2" "$1" && cp -u "$2" "$1"' _ "$C/y/disk" "$T/a.img"
is 'these leave nothing in the trash' "$(($(count) - before))" 0
alice mkdir "$C/z"
alice cp "$T/cut.img" "$C/z/disk" 2>/dev/null
is 'an upload that is cut is pending' "$(alice sed -n 's/^state: //p' "$C/z/.status")" pending
ok 'it is done again' alice cp "$T/a.img" "$C/z/disk"
is 'a disk that was not whole is not kept' "$(($(count) - before))" 0
ok 'and again, now that it is whole' alice bash -c ': >"$1"; : >"$1"; cp "$2" "$1"; : >>"$1"' _ "$C/z/disk" "$T/b.img"
is 'that is one' "$(($(count) - before))" 1

begin 'room'
before=$(count)
make_image bob q "$T/c.img"
ok 'a tenant may store one disk and a half' bash -c 'echo bytes-per-region 400K >"$1"' _ "$M/accounts/bob/$R/.policy"
refused_to bob 'what replaces another counts beside it' EDQUOT 'bytes-per-region' cp "$T/d.img" "$B/$R/custom/q/disk"
old=$(bob ls "$B/$R/.trash/custom")
ok 'and the old disk is there, whole' bob cmp "$T/c.img" "$B/$R/.trash/custom/$old/disk"
ok 'it is put back in the place of what failed' bob bash -c 'rm -rf "$2" && mv "$1" "$2"' _ "$B/$R/.trash/custom/$old" "$B/$R/custom/q"
is 'available' "$(bob sed -n 's/^state: //p' "$B/$R/custom/q/.status")" available

begin 'bounds'
ok 'a trash that is full' bash -c 'echo trash-per-region "$2" >"$1"' _ "$M/accounts/alice/$R/.policy" "$(count)"
refused_to alice 'is no place for more' EDQUOT 'in the trash of this region' cp "$T/a.img" "$C/z/disk"
is 'and the image is as it was' "$(alice sed -n 's/^state: //p' "$C/z/.status")" available
ok 'bytes, too' alice cmp "$T/b.img" "$C/z/disk"
alice rm -rf "$C/old" "$C/web" 2>/dev/null
ok 'all is given up for good' alice bash -c 'rm -rf "$1"/*' _ "$A/$R/.trash/custom"
imagefs gc "$STORE" >/dev/null
ok 'the store is in order' imagefs check "$STORE"
done_testing
