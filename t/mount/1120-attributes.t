#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Attributes: a name looked up, a node asked by number and a listing tell the same numbers; sizes are true, so that programs that go by
# them get whole files.
. "$(dirname "$0")/../lib/test-lib.sh"
. "$(dirname "$0")/../lib/data-lib.sh"
. "$(dirname "$0")/../lib/people-lib.sh"
private_dev_fuse
need_root
need cpio rsync tar jq
people_store
echo 'images-per-region 100' | alice tee "$M/.policy" >/dev/null
make_disk "$T/a.img" 4 1 1
make_disk "$T/b.img" 8 1 2
chmod 644 "$T/a.img" "$T/b.img"

begin 'a store with something of everything'
alice bash -e -c '
	cd "$1"
	mkdir custom/web custom/half custom/old public/deb1 public/deb2
	echo "debian 12" > custom/web/os
	echo "a web server" > custom/web/description
	cp "$2" custom/web/
	cp "$3" custom/old/
	echo "debian 11" > public/deb1/os
	cp "$2" public/deb1/
	cp "$3" public/deb2/
	ln -s deb1 public/latest
	ln -s ../deb2 public/deb1/replaced-by
	ln -s web custom/alias
	mkdir instances/vm1
	ln -s ../../custom/web instances/vm1/image
	echo "my server" > instances/vm1/description
	cp -r public/deb1/ instances/vm2
	cp -r custom/web custom/copy
	cp -r custom/web ../ap-guangzhou/custom/
	head -c 100000 "$3" > custom/half/part || true # it is cut, and says so
	chmod a-w custom/web
	ln -sr custom/copy ../accounts/bob/ap-beijing/shared/
	ln -sr custom/web ../accounts/carol/ap-beijing/shared/named
	rm -r custom/old
' _ "$A" "$T/a.img" "$T/b.img" || flunk 'the store is filled' 'a command failed'
bob bash -e -c '
	cd "$1"
	mkdir custom/mine
	cp "$2" custom/mine/
	echo help > custom/mine/support
	echo book > custom/mine/guide
	cp -r custom/mine marketplace/app
	mkdir instances/vm3
	ln -s ../../shared/copy@alice instances/vm3/image
' _ "$B" "$T/b.img" || flunk 'bob fills it' 'a command failed'
alice chmod a+rx "$A/marketplace/app" || flunk 'bob is published' 'failed'
umount_all() {
	local name
	for name in alice bob carol dave; do
		"$name" imagefs umount "$T/$name/mnt" >/dev/null || flunk "$name unmounts" 'failed'
	done
}
umount_all

# names WHO: of everything that they see, and of some that no listing has
names() {
	as_user "$1" bash -c 'cd "$1" && find . ! -name . | sort && find . -path "./ap-*/custom/*" -prune -type d -printf "%p/.status\n"' _ "$T/$1/mnt"
}

# attributes WHO MODE: a line for each name in the file $T/names: what the kernel has cached (always), or asks for (never)
attributes() {
	as_user "$1" bash -c 'cd "$1" && xargs -d "\n" stat --cached="$2" -c "%n|%i|%f|%s|%b|%Y.%y|%Z.%z|%h|%u|%g" <"$3"' \
		_ "$T/$1/mnt" "$2" "$T/names" 2>>"$T/stat-errors"
}

# fresh WHO: their mount, made anew: the kernel knows nothing
fresh() {
	"$1" imagefs umount "$T/$1/mnt" >/dev/null
	"$1" imagefs mount "$STORE" "$T/$1/mnt" || flunk "$1 mounts again" 'failed'
}

# What tells of this moment may be longer in the next.
live() {
	sed -E '/\.(metrics|usage|log|why)\|/d' "$1"
}

begin 'each way to ask, of all names, gives the same numbers'
people_mount
for who in alice bob carol; do
	names "$who" >"$T/names"
	chmod 644 "$T/names"
	is "$who sees something of everything" "$(test "$(wc -l <"$T/names")" -gt 60 && echo yes)" yes
	fresh "$who"
	attributes "$who" always >"$T/looked-up"
	attributes "$who" never >"$T/asked"
	fresh "$who"
	as_user "$who" ls -lR "$T/$who/mnt" >/dev/null
	attributes "$who" always >"$T/listed"
	quiet "$who: every name that was listed can be asked for" "$T/stat-errors"
	diff <(live "$T/looked-up") <(live "$T/asked") | grep '^[<>]' >"$T/differs"
	quiet "$who: a name that is looked up has the attributes that its node has" "$T/differs"
	diff <(live "$T/listed") <(live "$T/asked") | grep '^[<>]' >"$T/differs"
	quiet "$who: a listing has the attributes that its nodes have" "$T/differs"
done

begin 'links are as long as their texts'
for who in alice bob carol; do
	# shellcheck disable=SC2016 # for the other shell
	as_user "$who" bash -c 'cd "$1" && find . -type l | while read -r l; do
		[ "$(stat -c %s "$l")" = "$(readlink -n "$l" | wc -c)" ] || echo "$l has $(stat -c %s "$l"), its text is $(readlink "$l")"; done' \
		_ "$T/$who/mnt" >"$T/differs" 2>&1
	quiet "$who: the size of a link is the length of the text that they read" "$T/differs"
done
is 'alice has links of each kind' "$(alice find "$M" -type l -printf '%f\n' | sort -u | xargs)" \
	'alias alice copy from image latest named replaced-by'
# shellcheck disable=SC2016
ok 'cpio takes them all' alice bash -c 'cd "$1" && find ap-beijing -type l | cpio -o -H newc >"$HOME/links.cpio"' _ "$M"

begin 'an archive of what was just mounted'
fresh alice
ok 'tar finds that no file changed as it was read' alice tar -C "$M" -cf "$T/home-alice/region.tar" ap-beijing
done_testing
