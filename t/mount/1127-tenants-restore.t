#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# timeout: 300
# Tenants back a region up and restore it into another one, with exit code 0: what the texts of regions say is the operator's, and
# stays as it is whatever a tenant writes there.
. "$(dirname "$0")/../lib/test-lib.sh"
. "$(dirname "$0")/../lib/tenants-lib.sh"
private_dev_fuse
need_root
need tar rsync borg restic rclone
tenants_store
give_disk "$T/a.img" 1
give_disk "$T/b.img" 2
printf 'zones one two\nstorage-price 0.25\n' >"$M/$R/.region" || flunk 'the region' 'failed'
printf 'trash-days 9\nimages-per-region 500\n' >"$M/$R/.policy" || flunk 'its policy' 'failed'
ok 'alice has a policy of her own there' bash -c 'echo trash-days 8 >"$1"' _ "$M/accounts/alice/$R/.policy"
make_image alice web "$T/a.img"
make_image alice app "$T/b.img"
as_user alice bash -e -c '
	cd "$1"
	echo "a web server" >custom/web/description
	ln -s web custom/alias
	cp -r custom/app instances/vm
	echo two >instances/vm/zone
	chmod a-w custom/web
' _ "$A/$R" || flunk 'the region is filled' 'a command failed'

# facts REGION: what has to come back
facts() {
	(
		cd "$1" || exit
		find custom instances -mindepth 1 \( -type d -printf '%p %m\n' -o -type l -printf '%p\n' -o -type f -printf '%p %s\n' \) | sort
		find custom instances -type f -exec sha256sum {} + | sort -k 2
	) 2>&1
}
alice_facts() {
	as_user alice bash -c "$(declare -f facts); facts \"\$1\"" _ "$A/$1"
}
# texts REGION: what operators set there, as they see it
texts() {
	cat "$M/$1/.region" "$M/$1/.policy" "$M/accounts/alice/$1/.policy" "$M/.policy"
}
alice_facts "$R" >"$T/facts"
is 'there is something to compare' "$(wc -l <"$T/facts")" 15
install -d -o "$(user_id alice)" "$T/alice/backup"
BACK=$T/alice/backup

# tool NAME: alice backs up with back_NAME, then restores with restore_NAME into a region that an operator made
tool() {
	begin "$1"
	mkdir "$M/r-$1" && printf 'storage-price 0.75\nzones one two\n' >"$M/r-$1/.region" || flunk "region r-$1" 'failed'
	texts "r-$1" >"$T/texts"
	alice mkdir "$BACK/$1"
	ok "$1 takes a tenant's backup" alice bash -c "set -e; $(declare -f "back_$1"); back_$1 \"\$@\"" _ "$BACK/$1" "$A/$R"
	ok "$1 restores it, and says that it did" alice bash -c "set -e; $(declare -f "restore_$1"); restore_$1 \"\$@\"" _ "$BACK/$1" "$A/r-$1"
	alice_facts "r-$1" >"$T/facts-now"
	[ "$1" != rclone ] || sed -i 's/^custom\/web 555$/custom\/web 755/' "$T/facts" # it keeps no modes of folders
	diff "$T/facts" "$T/facts-now" | grep '^[<>]' >"$T/differs"
	quiet "everything is there that was backed up with $1" "$T/differs"
	texts "r-$1" | diff "$T/texts" - >"$T/differs"
	quiet "$1 changes no policy and no region in a tenant's hands" "$T/differs"
}
back_cp() { cp -a "$2" "$1/"; }
restore_cp() { cp -a "$1/ap-beijing/." "$2/"; }
back_rsync() { rsync -aHAXS "$2/" "$1/"; }
restore_rsync() { rsync -aHAXS "$1/" "$2/"; }
back_tar() { tar -C "$2" --format=posix -cSf "$1/all.tar" .; }
restore_tar() { tar -C "$2" -xf "$1/all.tar"; }
export BORG_UNKNOWN_UNENCRYPTED_REPO_ACCESS_IS_OK=yes BORG_RELOCATED_REPO_ACCESS_IS_OK=yes BORG_BASE_DIR=$BACK/borg-base
back_borg() { borg init -e none "$1/repo" && cd "$2" && borg create "$1/repo::one" .; }
restore_borg() { cd "$2" && borg extract "$1/repo::one"; }
export RESTIC_PASSWORD=x RESTIC_CACHE_DIR=$BACK/restic-cache
back_restic() { restic -q -r "$1/repo" init && cd "$2" && restic -q -r "$1/repo" backup .; }
restore_restic() { restic -q -r "$1/repo" restore latest --target "$2"; }
export RCLONE_CONFIG=$BACK/rclone.conf
back_rclone() { : >"$RCLONE_CONFIG" && rclone -q --links copy "$2" "$1/copy"; }
restore_rclone() { rclone -q --links copy "$1/copy" "$2"; }
for tool in ${TOOLS:-cp rsync tar borg restic rclone}; do tool "$tool"; done

begin 'who types something there is told that it is not theirs'
texts "$R" >"$T/texts"
write() { bash -c 'printf "$2\n" >"$1"' _ "$A/$R/$1" "$2"; }
export -f write
export A R
for line in x 'trash-days 30' '# nothing' 'images-per-region -' '\n'; do
	refused_to alice "a tenant writes $line to .policy" EPERM 'operators' bash -c 'write .policy "$1"' _ "$line"
done
for line in x 'storage-price 0' 'zones one' 'mainland yes'; do
	refused_to alice "a tenant writes $line to .region" EPERM 'operators' bash -c 'write .region "$1"' _ "$line"
done
refused_to alice 'half of a policy is none that was backed up' EPERM 'operators' \
	bash -c 'head -n 5 "$1" >"$2"' _ "$BACK/cp/ap-beijing/.policy" "$A/$R/.policy"
refused_to alice 'a line that no policy has is none that was backed up' EPERM 'operators' \
	bash -c 'x=$(cat "$1"; echo gift 1000); echo "$x" >"$2"' _ "$BACK/cp/ap-beijing/.policy" "$A/$R/.policy"
ok 'a whole text of other values is that of another region' bash -c 'sed "s/^trash-days .*/trash-days 99/" "$1" >"$2"' _ \
	"$BACK/cp/ap-beijing/.policy" "$T/alice/backup/other"
ok 'and ignored' alice cp "$BACK/other" "$A/$R/.policy"
refused_to alice 'the policy of the store is no region' EPERM 'operators' cp "$BACK/other" "$A/.policy"
refused_to alice 'nor is its list' EPERM 'made when it is read' bash -c 'echo x >"$1"' _ "$A/.list"
texts "$R" | diff "$T/texts" - >"$T/differs"
quiet 'nothing that a tenant wrote changed anything' "$T/differs"
done_testing
