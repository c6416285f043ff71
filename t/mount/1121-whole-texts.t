#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Files that are made when they are read have true sizes: programs that read as many bytes as a file has get all of it. Listing folders
# makes none of them.
. "$(dirname "$0")/../lib/test-lib.sh"
. "$(dirname "$0")/../lib/data-lib.sh"
private_dev_fuse
need cpio rsync tar jq
data_store
make_disk "$T/a.img" 4 1 1
import web "$T/a.img"
echo 'debian 12' >"$C/web/os"
echo 'a web server' >"$C/web/description"
cp -r "$C/web" "$M/ap-guangzhou/custom/" || flunk 'a copy' 'failed'
mkdir "$M/ap-beijing/public/deb" && cp "$T/a.img" "$M/ap-beijing/public/deb/"
cmp -s "$M/ap-beijing/public/deb/disk" "$C/web/disk" # so that reading seals nothing from here on
cmp -s "$M/ap-guangzhou/custom/web/disk" "$C/web/disk"
mkdir "$C/web/inside" 2>/dev/null # is refused, so that .why has a line

# What says the same each time that it is read, and what does not.
stable='.list .policy .account accounts/admin/.policy ap-beijing/.list ap-beijing/.policy ap-beijing/.region ap-beijing/custom/web/.status
	ap-beijing/public/deb/owner ap-beijing/public/deb/reviewed ap-beijing/custom/web/os ap-beijing/custom/web/description .why .log'
live='.usage .metrics ap-beijing/.usage accounts/.usage'
rm -f "$T/differs"
for f in $stable; do
	[ -e "$M/$f" ] || continue
	size=$(stat -c %s "$M/$f")
	[ "$size" = "$(wc -c <"$M/$f")" ] && [ "$size" = "$(cat "$M/$f" | wc -c)" ] && [ "$size" -gt 0 ] ||
		echo "$f has size $size, and $(cat "$M/$f" | wc -c) bytes" >>"$T/differs"
done
quiet 'the size of a file that is made when it is read is that of its text' "$T/differs"

begin 'lines at the end of a file'
rm -f "$T/differs"
for f in $stable $live; do
	[ -e "$M/$f" ] || continue
	[ "$(tail -n 1 "$M/$f" | cut -c 1-8)" = "$(cat "$M/$f" | tail -n 1 | cut -c 1-8)" ] || echo "$f" >>"$T/differs"
done
quiet 'tail finds the last line' "$T/differs"
exec 3<"$M/.list"
size=$(stat -Lc %s /dev/fd/3)
mkdir "$C/more"
is 'what is open has the size that it had then' "$(stat -Lc %s /dev/fd/3) $(wc -c </dev/fd/3)" "$size $size"
is 'what was open is read as it was then' "$(cat <&3 | wc -c)" "$size"
exec 3<&-
rmdir "$C/more"

# compare DESC FOLDER: it has whole copies
compare() {
	local f
	rm -f "$T/differs"
	for f in $stable; do
		case $f in */.status | .why | .log) continue ;; esac
		[ -e "$M/$f" ] || continue
		cmp "$M/$f" "$2/$f" >>"$T/differs" 2>&1
	done
	for f in .why .log $live; do
		[ -e "$M/$f" ] || continue
		[ -s "$2/$f" ] && [ "$(tail -c 1 "$2/$f" | od -An -c | tr -d ' ')" = '\n' ] || echo "$f is not whole" >>"$T/differs"
	done
	quiet "$1" "$T/differs"
}

begin 'copies of the whole tree'
mkdir "$T/"{rsync,tar,cpio,cp}
ok 'rsync' rsync -aHAX "$M/" "$T/rsync/"
compare 'rsync took all of them' "$T/rsync"
ok 'tar' tar -C "$M" -cf "$T/all.tar" .
tar -C "$T/tar" -xf "$T/all.tar" || flunk 'tar -x' 'failed'
compare 'tar took all of them' "$T/tar"
# shellcheck disable=SC2016
ok 'cpio' bash -c 'cd "$1" && find . | cpio -o -H newc >"$2"' _ "$M" "$T/all.cpio"
# shellcheck disable=SC2016
bash -c 'cd "$1" && cpio -id --quiet <"$2"' _ "$T/cpio" "$T/all.cpio" || flunk 'cpio -i' 'failed'
compare 'cpio took all of them' "$T/cpio"
ok 'cp' cp -a "$M/." "$T/cp/"
compare 'cp took all of them' "$T/cp"

begin 'what costs nothing'
for n in {1..50}; do
	mkdir "$C/i$n"
done
made=$(metric texts_made_total)
ls -l "$C" "$C/web" >/dev/null
ls "$M" "$M/ap-beijing" >/dev/null
find "$M/ap-beijing" -name '*disk*' >/dev/null
is 'listing folders makes no text' "$(($(metric texts_made_total) - made))" 1
made=$(metric texts_made_total)
cat "$M/ap-beijing/.list" >/dev/null
is 'a file that is opened is made once' "$(($(metric texts_made_total) - made))" 2
done_testing
