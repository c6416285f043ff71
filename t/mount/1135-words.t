#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Words that mean something are known, and others are refused: licences, architectures, settings, names, regions; what is mistyped is said.
. "$(dirname "$0")/../lib/test-lib.sh"
. "$(dirname "$0")/../lib/data-lib.sh"
private_dev_fuse
need busybox perl
begin 'words'
data_store
make_disk "$T/a.img" 4 1 1
make_disk "$T/b.img" 4 1 2
a=$T/a.img

begin 'licences'
import web "$a"
imagefs account add "$STORE" bob --uid 61002
for word in BYOL Byol byol; do
	ok "license $word" bash -c "echo $word >'$C/web/license'"
	is "is byol" "$(cat "$C/web/license")" byol
	refused "and not shared" EPERM 'license byol' ln -sr "$C/web" "$M/accounts/bob/ap-beijing/shared/"
	rm "$C/web/license"
done
ok 'license WINDOWS' bash -c "echo WINDOWS >'$C/web/license'"
is 'is windows' "$(cat "$C/web/license")" windows
for word in win free byolx none gpl-2 'windows byol'; do
	refused "license $word" EINVAL 'license is windows, or byol' bash -c "echo '$word' >'$C/web/license'"
	is 'changes nothing' "$(cat "$C/web/license")" windows
done

begin 'architectures'
for pair in amd64/x86_64 AMD64/x86_64 x86-64/x86_64 arm64/aarch64 i686/i386 x86/i386 riscv64/riscv64; do
	ok "arch ${pair%/*}" bash -c "echo ${pair%/*} >'$C/web/arch'"
	is "is ${pair#*/}" "$(cat "$C/web/arch")" "${pair#*/}"
done
ok 'imagefs import --arch amd64' imagefs import --arch amd64 "$T/b.img" "$C/imported"
is 'is x86_64' "$(cat "$C/imported/arch")" x86_64

begin 'settings with a slip in them'
mkdir "$C/new" "$M/ap-beijing/instances/v"
for place in "$C/web" "$C/new" "$C/imported"; do
	while read -r slip word; do
		refused "${place##*/}: $slip" EINVAL "no setting $slip: did you mean $word" bash -c "echo x >'$place/$slip'"
	done <<-END
		oss os
		OS os
		licence license
		Description description
		desciption description
		pirce price
		archh arch
		sha265 sha256
	END
done
refused 'a server has others' EINVAL 'did you mean zone' bash -c "echo x >'$M/ap-beijing/instances/v/zones'"
is 'nothing is left of them' "$(ls "$C/new")" ''
ok 'disks are uploaded by all other names' bash -ec "for n in x o web oscar debian.os archive; do mkdir '$C/n-'\$n; cp '$a' '$C/n-'\$n/\$n; done"
cp "$a" "$T/licence"
ok 'imagefs import takes a file of any name' imagefs import "$T/licence" "$C/any"
ok 'for a server, too' imagefs import "$T/licence" "$M/ap-beijing/instances/any"
ok 'which has its bytes' same "$a" "$M/ap-beijing/instances/any/disk"
head -c 700 /dev/urandom >"$T/junk"
refused 'a small file that is no setting' EINVAL 'neither a setting of imported nor as large as a disk' cp "$T/junk" "$C/imported/notes"
rm "$C/imported/notes"

begin 'one limit for a description'
long=$(printf 'ü%.0s' $(seq 257))
refused '257 characters' EINVAL 'at most 256 characters' bash -c 'echo "$1" >"$2"' _ "$long" "$C/web/description"
refused '6000 characters' EINVAL 'at most 256 characters' bash -c 'printf "x%.0s" $(seq 6000) >"$1"' _ "$C/web/description"
printf 'x%.0s' $(seq 6000) >"$T/long"
fails '6000 by rename' 'at most 256 characters' bash -c "cp '$T/long' '$C/web/.d' && perl -e 'rename(\$ARGV[0], \$ARGV[1])' '$C/web/.d' '$C/web/description'; tail -n 1 '$M/.why' >&2; exit 1"
rm -f "$C/web/.d"

begin 'names'
while read -r what name; do
	refused "a name with $what" EINVAL 'zero-width, bidi' mkdir "$C/$(printf '%b' "$name")"
	refused "mv to a name with $what" EINVAL 'zero-width, bidi' perl -e 'rename($ARGV[0], $ARGV[1]) or die "$!\n"' "$C/web" "$C/$(printf '%b' "$name")"
done <<'END'
a-zero-width-space we\xe2\x80\x8bb
a-zero-width-joiner we\xe2\x80\x8db
a-right-to-left-override web\xe2\x80\xaegmi
a-right-to-left-mark web\xe2\x80\x8f
an-isolate \xe2\x81\xa6web
a-word-joiner we\xe2\x81\xa0b
a-byte-order-mark \xef\xbb\xbfweb
a-soft-hyphen we\xc2\xadb
a-tag web\xf3\xa0\x81\xa1
a-variation-selector web\xef\xb8\x8f
END
ok 'letters of all scripts are' mkdir "$C/сервер" "$C/服务器" "$C/خادم" "$C/größe"

begin 'free storage'
ok 'the mainland has it' bash -c "echo 'free-storage 1000000' >'$M/ap-beijing/.region'"
is 'as said' "$(sed -n 's/^free-storage //p' "$M/ap-beijing/.region")" 1000000
ok 'a region leaves the mainland' imagefs region set "$STORE" ap-beijing mainland no
is 'and has none' "$(sed -n 's/^free-storage //p' "$M/ap-beijing/.region")" 0
refused 'it gets none' EINVAL 'regions of the mainland' bash -c "echo 'free-storage 1000000' >'$M/ap-beijing/.region'"
ok 'what it shows can be written back' bash -c "cat '$M/ap-beijing/.region' >'$T/region' && cat '$T/region' >'$M/ap-beijing/.region'"
ok 'a new one that is not of the mainland' imagefs region add "$STORE" far-away mainland no
is 'has none' "$(sed -n 's/^free-storage //p' "$M/far-away/.region")" 0
ok 'both at once' bash -c "printf 'mainland yes\nfree-storage 5\n' >'$M/ap-beijing/.region'"

begin 'accept'
refused 'an account that is not there' EINVAL 'there is no account nobody \(yet\)' bash -c "echo 'accept nobody' >'$M/.account'"

begin 'aliases'
import old "$a"
ln -s old "$C/latest"
ln -s old "$C/stable"
ok 'the image of an alias is deleted' rm -r "$C/old"
like 'the log tells of the aliases' "$(grep -P 'delete\tap-beijing/custom/old' "$M/.log")" 'the alias latest leads nowhere now; the alias stable leads nowhere now'
import old "$a"
ok 'or gets another name' mv "$C/old" "$C/older"
like 'the log tells of them, too' "$(tail -n 1 "$M/.log")" '-> older; the alias latest leads nowhere now'

begin 'wrong usage'
usage() {
	run imagefs "$@"
	is "imagefs $*: exit code" "$status" 2
}
usage usage --month x "$STORE"
usage usage "$STORE" --month 2020-13
usage init "$T/s1" --region 'BAD NAME'
usage init "$T/s2" --account 'BAD NAME'
ok 'nothing was made' absent "$T/s1" "$T/s2"
usage region set "$STORE" ap-beijing frob 1
usage region add "$STORE" 'BAD NAME'
usage account add "$STORE" 'BAD NAME' --uid 99999
usage account set "$STORE" bob frob 1
usage policy set "$STORE" frob 1
usage policy set "$STORE" trash-days many
usage why --pid x "$M"
usage frob
usage check
done_testing
