#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Who may do what, by every operation on every kind of place, for everybody, as a table. (What inode numbers that are guessed
# give, and all combinations of facts: t/unit/domain-isolation.c, domain-decide.c.)
. "$(dirname "$0")/../lib/test-lib.sh"
. "$(dirname "$0")/../lib/instance-lib.sh"
. "$(dirname "$0")/../lib/tenants-lib.sh"
private_dev_fuse
need_root
need jq getfattr setfattr

begin 'accounts'
tenants_store
give_disk "$T/a.img" 1
give_disk "$T/b.img" 2
leak=$T/.private/leak
cp "$(helper_path leak)" "$leak"
dave() { as_user 61004 "$@"; }
echo 'dave:x:61004:61004::/:/bin/sh' >>/etc/passwd
install -d -o 61004 -m 755 "$T/dave" "$T/dave/mnt"
ok 'a vendor' imagefs account add "$STORE" dave --uid 61004 vendor yes
test_mounts+=("$T/dave/mnt")
ok 'mounts' dave imagefs mount "$STORE" "$T/dave/mnt"
make_image alice web "$T/a.img"
make_image alice priv "$T/b.img"
make_image alice old "$T/b.img"
for name in web priv; do alice bash -c 'echo words >"$1/description"' _ "$A/$R/custom/$name"; done
alice bash -c 'cp -r "$1/custom/web" "$1/instances/vm" && rm -r "$1/custom/old" && ln -s priv "$1/custom/alias"' _ "$A/$R" || flunk 'alice' failed
cp -r "$M/accounts/alice/$R/custom/web" "$M/$R/public/pub" || flunk public failed
mkdir "$M/$R/public/unready" || flunk public failed
alice ln -sr "$A/$R/custom/web" "$A/accounts/bob/$R/shared/" || flunk share failed
ok 'bob has what is shared' wait_until 2 sees bob $R/shared web@alice
gone=$(alice ls "$A/$R/.trash/custom")

# Each does OPERATION to PATH of their own mount (all have accounts/alice, which is alice's own root to herself).
attempt() {
	local path=$2
	case $1 in
	list) ls "$path/" ;;
	stat) stat "$path" ;;
	read) cat "$path/disk" ;;
	setting) cat "$path/description" ;;
	status) cat "$path/.status" ;;
	xattr) getfattr --only-values -n user.imagefs.state "$path" ;;
	set) bash -c 'echo x >"$1"' _ "$path/description" ;;
	write) dd if=/dev/zero of="$path/disk" bs=512 count=1 conv=notrunc status=none ;;
	truncate) truncate -s 512 "$path/disk" ;;
	create) touch "$path/new.img" ;;
	mkdir) mkdir "$path/new" ;;
	link) ln -s x "$path/new" ;;
	chmod) chmod a-w "$path" ;;
	time) touch -d yesterday "$path/disk" ;;
	setxattr) setfattr -n user.imagefs.state -v x "$path" ;;
	unlink) unlink "$path/disk" ;;
	clear) unlink "$path/description" ;;
	rmdir) rmdir "$path" ;;
	rename) mv -T "$path" "$path.new" ;;
	hardlink) ln "$path/disk" "$path/disk2" ;;
	esac
}
export -f attempt
looks='list stat read setting status xattr'
changes='set write truncate create mkdir link chmod time setxattr unlink clear rmdir rename hardlink'

letter() {
	local text
	text=$(tail -n 1 "$T/.err")
	case $text in
	*'No such file or directory'*) printf N ;;
	*'Operation not permitted'*) printf P ;;
	*'Permission denied'*) printf A ;;
	*'Invalid argument'*) printf I ;;
	*'Not a directory'*) printf D ;;
	*'Is a directory'*) printf S ;;
	*'Device or resource busy'*) printf B ;;
	*'Directory not empty'*) printf F ;;
	*'cross-device'*) printf X ;;
	*'File exists'*) printf E ;;
	*) printf '?' ;;
	esac
}

# row USER PATH LOOKS [CHANGES]: .: it is done; N: ENOENT P: EPERM A: EACCES I: EINVAL D: ENOTDIR F: ENOTEMPTY …
row() {
	local user=$1 path=$2 operation got='' home=$T/$1/mnt runner=(as_user "$1")
	[ "$user" = root ] && home=$M runner=()
	[ "$user" = dave ] && runner=(as_user 61004)
	[ -z "${5:-}" ] || home=$5
	for operation in $looks ${4:+- $changes}; do
		[ "$operation" = - ] && got+=' ' && continue
		if run "${runner[@]}" bash -c 'attempt "$@"' _ "$operation" "$home/$path"; then got+=.; else got+=$(letter); fi
	done
	is "$path, $user" "$got" "$3${4:+ $4}"
}

#          looks: list stat read setting status xattr
#          changes: set write truncate create mkdir link chmod time setxattr unlink clear rmdir rename hardlink
begin 'what is hers alone'
for path in accounts/alice/$R/custom/priv accounts/alice/$R/instances/vm accounts/alice/$R/.trash/custom/"$gone" accounts/alice/$R/custom/none; do
	for user in carol bob dave; do row $user "$path" NNNNNN NNNNNNNNNNNNNN; done
done
row alice accounts/alice/$R/custom/priv ......
row root accounts/alice/$R/custom/priv ...... PPPPIPPPPPPPPP
row root accounts/alice/$R/instances/vm ...... PPPPIPPPPPPPPP
begin 'her names in others places'
for user in carol bob dave root; do
	row $user $R/custom/priv NNNNNN NNNNNNNNNNNNNN
	row $user $R/shared/priv@alice NNNNNN NNNNNNNNNNNNNN
	row $user accounts/carol/$R/shared/priv NNNNNN
done
begin 'what she shares'
changes=${changes/ rmdir/} row bob $R/shared/web@alice ..P... PPPPIPPPPPPPP # rmdir declines it
for user in carol dave root; do row $user $R/shared/web@alice NNNNNN NNNNNNNNNNNNNN; done
for user in carol dave; do
	row $user accounts/bob/$R/shared/web NNNNNN NNNNNNNNNNNNNN
	row $user accounts/bob/$R/shared/web@alice NNNNNN NNNNNNNNNNNNNN
done
row root accounts/bob/$R/shared/web@alice ......
row alice accounts/bob/$R/shared/web ......
begin 'what is published'
for user in alice bob carol dave; do
	row $user $R/public/pub ...... PPPPIPPPPPPPPP
	row $user $R/public/unready NNNNNN NNNNNNNNNNNNNN
done

begin 'files that are made when they are read'
# opens USER FILE WANT: read, write
opens() {
	local user=$1 got='' home=$T/$1/mnt runner=(as_user "$1")
	[ "$user" = root ] && home=$M runner=()
	[ "$user" = dave ] && runner=(as_user 61004)
	if run "${runner[@]}" cat "$home/$2"; then got+=.; else got+=$(letter); fi
	if run "${runner[@]}" bash -c ': >"$1"' _ "$home/$2"; then got+=.; else got+=$(letter); fi
	is "$2, $user" "$got" "$3"
}
for user in bob carol dave; do
	for file in .account .policy .usage .bills $R/.policy .list .log .metrics; do opens $user accounts/alice/$file NP; done
	opens $user .metrics NP
	opens $user accounts/.usage NP
	for file in .list .log .why .usage .policy; do opens $user $file .P; done
	# what a restore writes there is ignored, what a person writes is refused: 1127
	for file in .list .usage .policy .region; do opens $user $R/$file ..; done
	opens $user .account ..
done
for file in .account .policy $R/.policy; do opens root accounts/alice/$file ..; done
opens root .metrics .P

begin 'mounts of others'
for user in bob carol dave root; do row $user . AAAAAA AAAAAAAAAAAAAA "$A"; done
for user in bob carol; do row $user $R/custom/priv AAAAAA AAAAAAAAAAAAAA "$A"; done
is 'a handle is not for users' "$(bob "$leak" handle "$B" 0x400000000000100)" 'handle EPERM'
is 'nor for root in a mount that is not its own' "$("$leak" handle "$B" 0x400000000000100 2>&1)" 'handle EBADF'

begin 'nothing has changed'
ok 'priv' alice cmp "$T/b.img" "$A/$R/custom/priv/disk"
ok 'web' alice cmp "$T/a.img" "$A/$R/custom/web/disk"
ok 'the server' alice cmp "$T/a.img" "$A/$R/instances/vm/disk"
is 'names' "$(listing alice $R/custom) $(listing alice $R/instances) $(alice ls "$A/$R/.trash/custom")" "alias priv web vm $gone"
is 'settings' "$(alice cat "$A/$R/custom/priv/description" "$A/$R/custom/web/description" | xargs)" 'words words'
is 'modes' "$(alice stat -c %a "$A/$R/custom/priv" "$A/$R/custom/web" | xargs)" '755 755'
ok 'the store is whole' imagefs check "$STORE"
done_testing
