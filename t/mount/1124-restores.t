#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# timeout: 600
# What backup tools read from a region they write back into a new one, in their own order, with exit code 0: contents, settings,
# modes and times are those of before.
. "$(dirname "$0")/../lib/test-lib.sh"
. "$(dirname "$0")/../lib/data-lib.sh"
private_dev_fuse
need_root
need tar rsync cpio borg restic rclone jq
data_store
R=$M/ap-beijing
make_disk "$T/a.img" 8 1 1
make_disk "$T/b.img" 16 1 2
printf 'zones one two\nstorage-price 0.25\nmainland yes\n' >"$R/.region" || flunk 'the region' 'failed'
printf 'trash-days 9\nimages-per-region 500\n' >"$R/.policy" || flunk 'its policy' 'failed'

begin 'a region with something of everything'
bash -e -c '
	cd "$1"
	mkdir custom/web custom/app custom/zlast public/deb1 public/deb2
	echo "debian 12" > custom/web/os
	echo "a web server" > custom/web/description
	cp "$2" custom/web/
	touch -d "2024-03-04 05:06:07.123456789" custom/web/disk custom/web/os
	touch -d "2023-01-02 03:04:05" custom/web/description
	cp "$3" custom/app/disk
	ln -s zlast custom/alias
	cp "$3" custom/zlast/disk
	cp "$2" public/deb1/disk
	cp "$3" public/deb2/disk
	ln -s deb1 public/a-latest
	mkdir instances/vm1
	ln -s ../../custom/web instances/vm1/image
	echo "my server" > instances/vm1/description
	echo two > instances/vm1/zone
	cp -r public/deb2 instances/vm2
	printf changed | dd of=instances/vm2/disk bs=1 seek=5000000 conv=notrunc status=none
	chmod a-w custom/web
' _ "$R" "$T/a.img" "$T/b.img" || flunk 'the region is filled' 'a command failed'

# facts REGION: what has to be the same: contents, modes, times of disks and settings, links
facts() {
	(
		cd "$1" || exit
		find custom public instances -mindepth 1 \( -type d -printf '%p %m\n' -o -type l -printf '%p -> %l\n' -o -type f -printf '%p %s\n' \) | sort
		find custom public \( -name disk -o -name os -o -name arch -o -name description \) -printf '%p %T+\n' | sort
		find instances -name description -printf '%p %T+\n' | sort
		find custom public instances -type f -exec sha256sum {} + | sort -k 2
		grep -v '^#' .policy
		cat .region
	) 2>&1 | sed -E 's|\.\./\.\./[^ ]*/(.*@img)|\1|'
}
facts "$R" >"$T/facts"
is 'there is something to compare' "$(test "$(wc -l <"$T/facts")" -gt 50 && echo yes)" yes

# rclone keeps no modes of folders
expected() {
	if [ "$1" = r-rclone ]; then
		sed 's/^custom\/web 555$/custom\/web 755/' "$T/facts"
	else
		cat "$T/facts"
	fi
}

# restored DESC REGION: it is as it was
restored() {
	facts "${3:-$M/$2}" >"$T/facts-$2"
	diff <(expected "$2") "$T/facts-$2" | grep '^[<>]' >"$T/differs"
	quiet "$1" "$T/differs"
}

# region NAME: a new one
region() {
	mkdir "$M/$1" || flunk "region $1" 'failed'
}

# tool NAME: backs up with back_NAME, then restores with restore_NAME
tool() {
	begin "$1"
	mkdir "$T/$1"
	ok "$1 takes a backup" "back_$1" "$T/$1"
	region "r-$1"
	ok "$1 restores it" "restore_$1" "$T/$1" "$M/r-$1"
	restored "the region that $1 restored" "r-$1"
	[ "$1" = rclone ] || is "$1: the protected image is protected" "$(rm -rf "$M/r-$1/custom/web" 2>/dev/null; cat "$M/r-$1/custom/web/description")" 'a web server'
}
back_cp() { cp -a "$R" "$1/"; }
restore_cp() { cp -a "$1/ap-beijing/." "$2/"; }
back_rsync() { rsync -aHAXS "$R/" "$1/"; }
restore_rsync() { rsync -aHAXS "$1/" "$2/"; }
back_tar() { tar -C "$R" --format=posix -cSf "$1/all.tar" .; }
restore_tar() { tar -C "$2" -xf "$1/all.tar"; }
export BORG_UNKNOWN_UNENCRYPTED_REPO_ACCESS_IS_OK=yes BORG_RELOCATED_REPO_ACCESS_IS_OK=yes BORG_BASE_DIR=$T/borg-base
back_borg() { borg init -e none "$1/repo" && (cd "$R" && borg create "$1/repo::one" .); }
restore_borg() { (cd "$2" && borg extract "$1/repo::one"); }
export RESTIC_PASSWORD=x RESTIC_CACHE_DIR=$T/restic-cache
back_restic() { restic -q -r "$1/repo" init && (cd "$R" && restic -q -r "$1/repo" backup .); }
restore_restic() { restic -q -r "$1/repo" restore latest --target "$2"; }
export RCLONE_CONFIG=$T/rclone.conf
back_rclone() { : >"$T/rclone.conf"; rclone -q --links copy "$R" "$1/copy"; }
restore_rclone() { rclone -q --links copy "$1/copy" "$2"; }
# elsewhere NAME: restores its backup in another store, where what links name is, or comes to be
elsewhere() {
	local store=$T/store-$1 m=$T/mnt-$1
	begin "$1, in another store"
	imagefs init "$store" >/dev/null && mkdir "$m" && imagefs mount "$store" "$m" || flunk 'another store' 'failed'
	test_mounts+=("$m")
	ok "$1 restores it in another store" "restore_$1" "$T/$1" "$m/ap-beijing"
	restored "the region that $1 restored there" "r-$1" "$m/ap-beijing"
	imagefs gc "$store" >/dev/null # some came before their images
	is "$1: servers are of their images" "$(sed -n 's/^from: //p' "$m"/ap-beijing/instances/vm[12]/.status | xargs)" \
		'ap-beijing/custom/web ap-beijing/public/deb2'
	is "$1: and run" "$(sed -n 's/^state: //p' "$m"/ap-beijing/instances/vm[12]/.status | xargs)" 'available available'
	is "$1: no disk came into the trash" "$(ls "$m/ap-beijing/.trash/instances")" ''
	ok "$1: everything is in order" imagefs umount "$m"
	ok "$1: check finds nothing" imagefs check "$store"
}
for tool in ${TOOLS:-cp rsync tar borg restic rclone}; do
	tool "$tool"
	elsewhere "$tool"
done
done_testing
