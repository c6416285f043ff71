#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Names: UTF-8, 1 to 60 characters, at most 160 bytes.
. "$(dirname "$0")/../lib/test-lib.sh"
private_dev_fuse
need jq

new_store
mount_store
make_disk "$T/a.img" 4 1 1
C=$M/ap-beijing/custom
cd "$C" || exit 99
echo 'images-per-region none' >"$M/.policy"
repeat() { printf "$1%.0s" $(seq "$2"); }

begin 'what is allowed'
n=0
for name in a 0 - -r --help 'two words' ' leading' 'trailing ' "it's" 'say "hi"' 'back\slash' '$HOME' '*' '?' '[a]' '{a,b}' ';' '|' \
	'&' '#x' '~' '%s%n' disk os 'ünïcödé' '日本語' 'עברית' $'\u00e9' $'e\u0301' '😀' 'a.b' "$(repeat x 60)" "$(repeat ü 60)" \
	"$(repeat 日 53)" "$(repeat 😀 40)"; do
	n=$((n + 1))
	ok "mkdir ${name:0:20}" mkdir -- "$name"
	ok 'it is there' test -d "./$name"
done
is 'all of them are listed' "$(find . -mindepth 1 -maxdepth 1 -print0 | tr -dc '\0' | wc -c)" "$n"
is 'globbing finds the same' "$(printf '%s\0' * | tr -dc '\0' | wc -c)" "$n"
is '.list has a line each' "$(tail -n +2 "$M/.list" | wc -l)" "$n"
is 'with thirteen fields' "$(awk -F '\t' '{ print NF }' "$M/.list" | sort -u)" 13
is '.log has a line each' "$(grep -c create "$M/.log")" "$n"
ok 'composed and decomposed é are two' bash -c "! [ \$'\\u00e9' -ef \$'e\\u0301' ]"
ok 'rmdir of all' find . -mindepth 1 -maxdepth 1 -exec rmdir {} +
is 'none is left' "$(ls -A)" ''

begin 'what is not'
refused '61 characters' EINVAL '1 to 60 characters' mkdir "$(repeat x 61)"
refused '61 of two bytes' EINVAL '1 to 60 characters' mkdir "$(repeat ü 61)"
refused '54 of three, 162 bytes' EINVAL 'at most 160 bytes' mkdir "$(repeat 日 54)"
refused '255 bytes' EINVAL '1 to 60 characters' mkdir "$(repeat x 255)"
refused '256 bytes' EINVAL '1 to 60 characters' mkdir "$(repeat x 256)"
refused 'a leading dot' EINVAL 'begin with a dot' mkdir .x
refused '@' EINVAL 'cannot contain @' mkdir a@b
for byte in '\001' '\t' '\033' '\177' '\302\205' '\200' '\377' '\303' '\300\257' '\355\240\200'; do
	refused "a$byte" EINVAL 'UTF-8 text without slashes and control characters' mkdir "a$(printf "$byte")b"
done
is 'none was made' "$(ls -A)" ''
mkdir a
refused 'neither is mv to such a name' EINVAL '1 to 60 characters' perl -e 'rename("a", "x" x 61) or die "$!\n"'
refused 'nor ln -s' EINVAL '1 to 60 characters' ln -s a "$(repeat x 61)"
rmdir a

begin 'images of such names'
for name in 'two words' "it's \"quoted\"" 'ünïcödé 日本語 😀' '-rf' '*' "$(repeat 😀 40)"; do
	ok "import into ${name:0:20}" bash -c 'mkdir -- "$1" && cp "$2" "./$1/" && echo "debian 12" > "./$1/os"' _ "$name" "$T/a.img"
	ok 'same bytes' same "$T/a.img" "./$name/disk"
	is 'status' "$(grep state: "./$name/.status")" 'state: available'
	ok 'cp -r' cp -r -- "$name" "$M/ap-shanghai/custom/"
	ok 'same bytes' same "$T/a.img" "$M/ap-shanghai/custom/$name/disk"
	is 'its origin' "$(readlink "$M/ap-shanghai/custom/$name/from")" "../../../ap-beijing/custom/$name"
	ok 'alias' ln -s -- "$name" alias
	is 'leads there' "$(readlink alias)" "$name"
	ok 'mv' mv -- "$name" plain
	rm -f alias
	rm -rf -- ./*
done
is 'imagefs import takes them' "$(imagefs import "$T/a.img" "$C/ünï cödé" && ls)" 'ünï cödé'
is 'imagefs status shows one' "$(imagefs status "$C/ünï cödé" | grep state:)" 'state: available'
is 'and as JSON' "$(imagefs status "$C/ünï cödé" --json | jq -r .state)" available
cd / || exit 99
done_testing
