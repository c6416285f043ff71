#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# What can be known when an upload is closed is an error of close: that it is cut, or empty. What may go on is no error yet.
. "$(dirname "$0")/../lib/test-lib.sh"
. "$(dirname "$0")/../lib/data-lib.sh"
private_dev_fuse
need rsync tar busybox perl
begin 'cut uploads'
data_store

make_disk "$T/a.img" 12 5 1
a=$T/a.img
half=$T/half.img
head -c 6M "$a" >"$half"
: >"$T/empty"

# log_of NAME: results of what was done to it, in order
log_of() {
	awk -F '\t' -v path="ap-beijing/custom/$1" '$5 == path { print $4, $6 }' "$M/.log" | xargs
}

# unfinished NAME PATTERN: it is pending, and says why.
unfinished() {
	is "$1: pending" "$(state_of "$1")" pending
	like "$1: with a reason" "$(status_of "$1" reason)" "$2"
}

begin 'half of a disk'
for way in 'cp' 'busybox cp' 'cat' 'dd' 'tar' 'install' 'rsync' 'rsync --inplace'; do
	name=${way// /-}
	image "$name"
	case $way in
	cat) set -- bash -c "cat '$half' >'$C/$name/x.img'" ;;
	dd) set -- dd if="$half" of="$C/$name/x.img" bs=1M status=none ;;
	tar) set -- bash -o pipefail -c "tar -C '$T' -cf - half.img | tar -C '$C/$name' -xf -" ;;
	install) set -- install "$half" "$C/$name/" ;;
	*) # shellcheck disable=SC2086 # words
		set -- $way "$half" "$C/$name/" ;;
	esac
	refused "$way" EINVAL 'ends at 6291456 bytes, but its partition table needs .*is cut, or not finished' "$@"
	unfinished "$name" 'partition table needs'
	like "$way: the log says that it was refused" "$(log_of "$name")" '^create ok import EINVAL'
done
ok 'the upload is done again' cp "$a" "$C/cp/half.img"
holds 'and whole' cp "$a"
ok 'or goes on by dd' dd if="$a" of="$C/dd/x.img" bs=1M skip=6 seek=6 conv=notrunc status=none
holds 'and is whole' dd "$a"
ok 'or by rsync --append' bash -c "cp '$a' '$T/half2' && mv '$T/half2' '$T/half.img' && rsync --append '$T/half.img' '$C/rsync/'"
holds 'and is whole, too' rsync "$a"
head -c 6M "$a" >"$half"
image sized
echo 12582912 >"$C/sized/size"
truncate -s 8M "$T/small.img" && printf 'no table' | dd of="$T/small.img" conv=notrunc status=none
refused 'less than the setting size says' EINVAL 'has 8388608 bytes and its setting size says 12582912' cp "$T/small.img" "$C/sized/"
unfinished sized 'setting size'

begin 'what may go on'
image pieces
ok 'pieces into a file that stays open' bash -ec 'for n in 0 1 2 3 4 5 6 7 8 9 10 11; do dd if="$1" bs=1M skip=$n count=1 status=none; done >"$2"' _ \
	"$a" "$C/pieces/x"
holds 'are a disk in the end' pieces "$a"
is 'and nothing was refused on the way' "$(log_of pieces)" 'create ok import ok'
image many
exec 3>"$C/many/x"
ok 'a piece of a file that somebody else has open' dd if="$half" of="$C/many/x" bs=1M conv=notrunc status=none
ok 'and the other' dd if="$a" of="$C/many/x" bs=1M skip=6 seek=6 conv=notrunc status=none
exec 3>&-
holds 'make a disk' many "$a"
image grown
ok 'a size alone is no upload' bash -c ": >'$C/grown/x' && truncate -s 8M '$C/grown/x'"
ok 'nor is a piece that is made longer' bash -c "dd if='$half' of='$C/grown/x' bs=1M count=1 conv=notrunc status=none; truncate -s 6M '$C/grown/x'"

begin 'an empty file'
for way in 'cp' 'busybox cp' 'tar' 'install'; do
	name=empty-${way// /-}
	image "$name"
	case $way in
	tar) set -- bash -o pipefail -c "tar -C '$T' -cf - empty | tar -C '$C/$name' -xf -" ;;
	*) # shellcheck disable=SC2086 # words
		set -- $way "$T/empty" "$C/$name/" ;;
	esac
	if [ "$way" = tar ] || [ "$way" = 'busybox cp' ]; then # they do not tell what close says of a file without bytes
		run "$@"
	else
		refused "$way" EINVAL 'is empty' "$@"
	fi
	unfinished "$name" 'is empty'
	ok "$way: the log says that it was refused" wait_until 5 bash -c "awk -F '\\t' -v p='ap-beijing/custom/$name' '\$5 == p && \$4 == \"import\" && \$6 == \"EINVAL\"' '$M/.log' | grep -q ."
	like "$way: and .why has a line" "$(grep -c "$name.*EINVAL.*is empty" "$M/.why")" '[1-9]'
done
image later
ok 'what a shell opens' bash -c ": >'$C/later/x'"
unfinished later 'is empty'
ok 'is known to be empty when it is closed for good' wait_until 5 bash -c "grep -q 'later.*EINVAL.*is empty' '$M/.why'"
ok 'and may be filled' dd if="$a" of="$C/later/x" bs=1M status=none
holds 'then' later "$a"
image shell
ok 'a shell that opens a file for cat' bash -c "cat '$a' >'$C/shell/x.img'"
is 'is not taken for one that leaves it empty' "$(log_of shell)" 'create ok import ok'
ok 'what is there stays when a scratch file is empty' bash -c ": >'$C/shell/.x' && rm '$C/shell/.x'"
holds 'it does' shell "$a"

begin 'a writer that is killed'
image killed
fileop=$(fileop_path)
"$fileop" write-threads "$C/killed/x" 3000000 >"$T/said" &
writer=$!
ok 'it writes' wait_until 10 grep -q written "$T/said"
kill -9 $writer
wait $writer 2>/dev/null
unfinished killed 'killed'
like 'the log does not say that all is well' "$(log_of killed)" '^create ok import E[A-Z]+$'
done_testing
