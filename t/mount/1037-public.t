#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Public images: operators publish them, and aliases of them, and say which are deprecated and what replaces them: who starts one
# of these all the same is shown.
# shellcheck disable=SC2016 # scripts for other shells
. "$(dirname "$0")/../lib/test-lib.sh"
. "$(dirname "$0")/../lib/data-lib.sh"
. "$(dirname "$0")/../lib/people-lib.sh"
private_dev_fuse
need_root
need jq rsync busybox
people_store
AP=$A/public KP=$K/public
make_disk "$T/a.img" 4 1 1
make_disk "$T/b.img" 4 1 2
chmod 644 "$T/a.img" "$T/b.img"
echo 'images-per-region 100' | alice tee "$M/.policy" >/dev/null
state() { status_as alice "$AP/$1" state; }
key() { status_as carol "$KP/$1" "$2"; }

begin 'published by operators'
for n in 1 2 3; do
	alice mkdir "$A/custom/deb$n" && write alice "$A/custom/deb$n/os" "debian $((n + 9))"
done
alice cp "$T/a.img" "$A/custom/deb1/disk"
alice cp "$T/b.img" "$A/custom/deb2/disk"
alice cp "$T/b.img" "$A/custom/deb3/disk"
for n in 1 2 3; do
	ok "deb$n" alice cp -r "$A/custom/deb$n" "$AP/"
	ok 'carol sees it' wait_until 5 carol test -e "$KP/deb$n/disk"
done
is 'reviewed, with an owner' "$(carol cat "$KP/deb1/reviewed" "$KP/deb1/owner" | xargs) $(key deb1 reviewed)" 'yes alice yes'
refused_to bob 'not by vendors' EPERM 'published by operators' mkdir "$B/public/x"
ok 'from another public image' alice cp -r "$AP/deb1" "$AP/copy"
ok 'with its attributes' alice cp -a "$AP/deb1" "$AP/copy2"
ok 'by another tool' alice busybox cp -r "$AP/deb1" "$AP/copy3"
is 'as they are' "$(alice cat "$AP/copy/os") $(state copy) $(state copy2) $(state copy3)" \
	'debian 10 available available available'
ok 'an alias' alice ln -s deb1 "$AP/latest"
refused_to carol 'not by others' EPERM 'published by operators' ln -s deb1 "$KP/mine"
alice rm -r "$AP/copy" "$AP/copy2" "$AP/copy3"

begin 'deprecated'
# deprecates DESC CMD...: then it is undone
deprecates() {
	local what=$1
	shift
	ok "$what" alice "$@"
	is '… deprecates it' "$(state deb1) $(alice readlink "$AP/deb1/replaced-by")" 'deprecated ../deb2'
	ok '… which can be undone' alice rm "$AP/deb1/replaced-by"
	is '… wholly' "$(state deb1) $(alice ls "$AP/deb1" | xargs)" 'available disk from os owner reviewed'
}
deprecates 'by a name' ln -s deb2 "$AP/deb1/replaced-by"
deprecates 'with a slash' ln -s deb2/ "$AP/deb1/replaced-by"
deprecates 'by a path' ln -s ../deb2 "$AP/deb1/replaced-by"
deprecates 'ln -sr' ln -sr "$AP/deb2" "$AP/deb1/replaced-by"
deprecates 'an absolute path' ln -s "$AP/deb2" "$AP/deb1/replaced-by"
alice ln -sfn deb2 "$AP/latest"
deprecates 'an alias' ln -s latest "$AP/deb1/replaced-by"
deprecates 'ln -sfn' ln -sfn deb2 "$AP/deb1/replaced-by"
deprecates 'busybox ln -sf' busybox ln -sf ../deb2 "$AP/deb1/replaced-by"
alice ln -s deb3 "$AP/deb1/replaced-by"
refused_to alice 'not twice' EINVAL 'ln -sfn' ln -s deb2 "$AP/deb1/replaced-by"
fails 'nor in its place' 'File exists' alice ln -sn deb2 "$AP/deb1/replaced-by"
deprecates 'another is named in one step' ln -sfn ../deb2 "$AP/deb1/replaced-by"
no() { refused_to "$1" "$2" "$3" "$4" ln -s "$5" "$(mount_of "$1")/ap-beijing/public/deb1/replaced-by"; }
no alice 'by what there is not' ENOENT 'names no image' nothing
no alice 'by itself' EINVAL 'cannot replace itself' deb1
no alice 'by an own image' EINVAL 'in the same region and of the same type' ../../custom/deb2
alice cp -r "$A/custom/deb2" "$M/ap-shanghai/public/far"
no alice 'by one elsewhere' EINVAL 'in the same region and of the same type' "$M/ap-shanghai/public/far"
alice mkdir "$AP/next"
no alice 'by one that is not there yet' EINVAL 'not available' next
alice rmdir "$AP/next"
no carol 'by others' EPERM 'belongs to another|by an operator' deb2
no bob 'by vendors' EPERM 'belongs to another|by an operator' deb2
alice chmod a-w "$AP/deb1"
no alice 'what is protected' EPERM 'protected' deb2
alice chmod u+w "$AP/deb1"
alice ln -s deb2 "$AP/deb1/replaced-by"
refused_to alice 'in a circle' EINVAL 'deb1 is deprecated itself' ln -s deb1 "$AP/deb2/replaced-by"
ok 'in a chain' alice ln -s deb3 "$AP/deb2/replaced-by"
refused_to alice 'the end of a chain by its beginning' EINVAL 'deb1 is deprecated itself' ln -s deb1 "$AP/deb3/replaced-by"
ok 'the chain is undone' alice rm "$AP/deb2/replaced-by"

begin 'who looks at it'
ok 'carol sees it' wait_until 5 carol test -L "$KP/deb1/replaced-by"
is 'in a listing' "$(carol ls "$KP/deb1" | xargs)" 'disk os owner replaced-by reviewed'
ok 'follows it' carol cmp "$T/b.img" "$KP/deb1/replaced-by/disk"
is 'finds it in .status' "$(key deb1 state) $(key deb1 replaced-by)" 'deprecated ap-beijing/public/deb2'
is 'and .list' "$(carol awk -F '\t' '$3 == "deb1" { print $5 }' "$T/carol/mnt/.list")" deprecated
is 'as an attribute' "$(carol getfattr --only-values -n user.imagefs.replaced-by "$KP/deb1" 2>/dev/null)" ap-beijing/public/deb2
refused_to carol 'it is not hers to undo' EPERM 'by an operator' rm "$KP/deb1/replaced-by"
ok 'it can be read' carol cmp "$T/a.img" "$KP/deb1/disk"
alice mv "$AP/deb2" "$AP/deb2.1"
is 'the link follows a new name' "$(alice readlink "$AP/deb1/replaced-by")" ../deb2.1
alice mv "$AP/deb2.1" "$AP/deb2"

begin 'who starts it'
I=$K/instances
ok 'ln -s' carol bash -c 'mkdir "$1/old" && ln -s ../../public/deb1 "$1/old/image"' _ "$I"
ok 'cp -r' carol cp -r "$KP/deb1" "$I/old2"
ok 'cp -a' carol cp -a "$KP/deb1" "$I/old3"
for v in old old2 old3; do
	ok "$v has its bytes" carol cmp "$T/a.img" "$I/$v/disk"
	is "$v shows what to use" "$(carol ls "$I/$v" | xargs)" 'disk image replaced-by'
	is "$v leads there" "$(carol readlink -f "$I/$v/replaced-by")" "$KP/deb2"
	is "$v says so" "$(status_as carol "$I/$v" notice)" 'ap-beijing/public/deb1 is deprecated; use ap-beijing/public/deb2'
	like "$v has it in the log" "$(carol awk -F '\t' -v v="instances/$v$" '$5 ~ v && $7 ~ /^from/ { print $7 }' "$T/carol/mnt/.log" | tail -n 1)" \
		'from ap-beijing/public/deb1 \(deprecated: use ap-beijing/public/deb2\)'
done
ok 'the link does what it says' carol ln -sfnr "$I/old/replaced-by" "$I/old/image"
ok 'it is the other one now' carol cmp "$T/b.img" "$I/old/disk"
is 'without a notice' "$(carol ls "$I/old" | xargs)$(status_as carol "$I/old" notice)" 'disk image'
ok 'a copy of a server' carol cp -r "$I/old2" "$I/old4"
ok 'an image of it' carol cp -r "$I/old2" "$K/custom/mine"
ok 'its own copy' carol cp -r "$KP/deb1" "$K/custom/copy"
ok 'cp -a' carol cp -a "$KP/deb1" "$K/custom/copy2"
ok 'rsync' carol rsync -a "$KP/deb1/" "$K/custom/copy3"
ok 'tar' carol bash -c 'mkdir "$2" && tar -C "$1" -cf - . | tar -C "$2" -xf -' _ "$KP/deb1" "$K/custom/copy4"
ok 'another tool' carol busybox cp -r "$KP/deb1" "$K/custom/copy5"
for c in mine copy copy2 copy3 copy4 copy5; do
	is "$c is no deprecated image" "$(status_as carol "$K/custom/$c" state) $(carol ls "$K/custom/$c" | grep -c replaced)" 'available 0'
done
ok 'an own public copy' alice cp -r "$AP/deb1" "$AP/deb1b"
is 'is not deprecated with it' "$(state deb1b) $(alice ls "$AP/deb1b" | grep -c replaced)" 'available 0'
ok 'nor by another tool' alice busybox cp -r "$AP/deb1" "$AP/deb1c"
is 'is it' "$(state deb1c)" available
ok 'servers of it are destroyed' carol rm -r "$I/old2" "$I/old3"
is 'and gone' "$(carol ls "$I" | xargs)" 'old old4'

begin 'what replaces it goes'
alice rm -r "$AP/deb2"
like 'the link leads nowhere' "$(alice readlink "$AP/deb1/replaced-by")" '^\.\./deb2@img-'
fails 'for anybody' 'No such file' carol cat "$KP/deb1/replaced-by/disk"
like '.status says so' "$(key deb1 replaced-by)" '^ap-beijing/public/deb2@img-[0-9a-f]* \(gone\)$'
ok 'it starts' carol cp -r "$KP/deb1" "$I/old5"
like 'with a notice' "$(status_as carol "$I/old5" notice)" 'deb1 is deprecated; what replaced it is gone: ap-beijing/public/deb2@img-'
alice cp -r "$A/custom/deb3" "$AP/deb2"
like 'another one of that name is not it' "$(alice readlink "$AP/deb1/replaced-by")" '^\.\./deb2@img-'
alice rm -r "$AP/deb2"
ok 'it comes back' alice bash -c 'mv "$(ls -d "$1"/deb2@* | head -n 1)" "$2/deb2"' _ "$A/.trash/public" "$AP"
is 'and is meant again' "$(alice readlink "$AP/deb1/replaced-by")" ../deb2
alice rm -r "$AP/deb1"
is 'a deprecated one is deleted with its link' "$(alice ls "$AP" | grep -cx deb1)" 0
ok 'and restored' alice bash -c 'mv "$1"/deb1@* "$2/deb1"' _ "$A/.trash/public" "$AP"
is 'as it was' "$(state deb1) $(alice readlink "$AP/deb1/replaced-by")" 'deprecated ../deb2'
ok 'published' wait_until 5 carol test -L "$KP/deb1/replaced-by"

begin 'in the marketplace'
AM=$A/marketplace BM=$B/marketplace KM=$K/marketplace
for n in 1 2; do
	bob mkdir "$BM/app$n" && write bob "$BM/app$n/support" bob && write bob "$BM/app$n/guide" ssh
	bob cp "$T/a.img" "$BM/app$n/disk"
done
refused_to alice 'what is only submitted' EPERM 'not published' ln -s app2 "$AM/app1/replaced-by"
alice chmod a+rx "$AM/app1"
refused_to alice 'by what is only submitted' EINVAL 'app2 is not available \(submitted\)' ln -s app2 "$AM/app1/replaced-by"
alice chmod a+rx "$AM/app2"
refused_to bob 'its vendor asks' EPERM 'deprecated by an operator: ask one' ln -s app2 "$BM/app1/replaced-by"
ok 'an operator does it' alice ln -s app2 "$AM/app1/replaced-by"
ok 'seen by carol' wait_until 5 carol test -e "$KM/app1/replaced-by/disk"
is 'and its vendor' "$(status_as bob "$BM/app1" replaced-by)" ap-beijing/marketplace/app2
like 'whose log has it' "$(bob awk -F '\t' '$4 == "deprecate" && $6 == "ok"' "$T/bob/mnt/.log" | cut -f 2,5,7)" '^alice.ap-beijing/marketplace/app1.-> app2$'
refused_to bob 'he does not undo it' EPERM 'deprecated by an operator' rm "$BM/app1/replaced-by"
refused_to bob 'nor by removing the image' EPERM 'is published' rm -rf "$BM/app1"
is 'all of it is there' "$(carol ls "$KM/app1" | xargs)" 'disk guide owner replaced-by reviewed support'
alice chmod go-rx "$AM/app2"
like 'what replaces it is withdrawn' "$(status_as carol "$KM/app1" replaced-by)" 'app2@img-.*gone'
alice chmod a+rx "$AM/app2"
is 'and published again' "$(status_as carol "$KM/app1" replaced-by)" ap-beijing/marketplace/app2
alice chmod go-rx "$AM/app1" && alice chmod a+rx "$AM/app1"
is 'so is what is deprecated' "$(status_as alice "$AM/app1" state)" deprecated

begin 'the daemon is killed'
kill_daemon() { kill -9 "$(store_daemon_pid)"; }
for n in 1 2 3; do
	alice ln -s deb2 "$AP/deb1b/replaced-by" &
	linker=$!
	kill_daemon
	wait $linker
	is 'while it is deprecated' "$? $(state deb1b)" '0 deprecated'
	alice ln -sfn deb3 "$AP/deb1b/replaced-by" &
	linker=$!
	kill_daemon
	wait $linker
	is 'while another is named' "$? $(alice readlink "$AP/deb1b/replaced-by")" '0 ../deb3'
	alice rm "$AP/deb1b/replaced-by" &
	linker=$!
	kill_daemon
	wait $linker
	is 'while it is undone' "$? $(state deb1b)" '0 available'
done
run alice imagefs check --read-data "$STORE"
is 'everything is in order' "$status" 0
[ "$status" -eq 0 ] || show_output
done_testing
