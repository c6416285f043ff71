#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# chmod a-w of a server keeps it from being destroyed, re-installed and changed; its disk is its server's as ever.
. "$(dirname "$0")/../lib/test-lib.sh"
. "$(dirname "$0")/../lib/data-lib.sh"
. "$(dirname "$0")/../lib/instance-lib.sh"
private_dev_fuse
need rsync tar busybox qemu-img perl
begin 'protected servers'
instance_store

make_disk "$T/a.img" 24 10 1
make_disk "$T/b.img" 12 6 2
a=$T/a.img b=$T/b.img
import web "$a"
import other "$b"
cp -r "$C/web" "$I/v"
echo 'My server' >"$I/v/description"
disk=$I/v/disk
cp "$a" "$T/model"

whole() { same "$T/model" "$disk" && [ "$(cat "$I/v/description")" = 'My server' ] && [ "$(readlink -f "$I/v/image")" = "$C/web" ]; }

begin 'protected'
ok 'chmod a-w' chmod a-w "$I/v"
is 'it shows' "$(stat -c %A "$I/v")" dr-xr-xr-x
is 'in .status, too' "$(status_of "$I/v" protected)" yes
is 'its disk shows that it can be written' "$(stat -c %A "$disk")" -rw-r--r--
refused 'rm -r' EPERM 'protected.*chmod u\+w' rm -r "$I/v"
refused 'busybox rm -r' EPERM 'protected' busybox rm -rf "$I/v"
refused 'find -delete' EPERM 'protected' find "$I/v" -delete
refused 'rm of the disk' EPERM 'protected' rm -f "$disk"
refused 'rmdir' EPERM 'protected' rmdir "$I/v"
refused 'mv' EPERM 'protected' mv "$I/v" "$I/w"
refused 'ln -sfn' EPERM 'protected' ln -sfn ../../custom/other "$I/v/image"
refused 'rm of the link' EPERM 'protected' rm "$I/v/image"
refused 'cp of another disk onto its disk' EPERM 'protected from .*re-installation' cp "$b" "$disk"
refused 'cp of a disk in the tree' EPERM 'protected from .*re-installation' cp "$C/other/disk" "$disk"
refused 'qemu-img convert, which begins anew' EINVAL 'not shrink' qemu-img convert -O raw "$b" "$disk"
refused 'rsync onto its disk' EPERM 'protected' rsync -I "$b" "$disk"
refused 'a file beside it' EPERM 'protected' bash -c "echo x >'$I/v/.disk.tmp'"
refused 'a setting' EPERM 'protected' bash -c "echo x >'$I/v/description'"
ok 'nothing is lost' whole
is 'nothing is in the trash' "$(ls "$R/.trash/instances")" ''

begin 'its server goes on'
ok 'it writes' try_write "$disk" 3000000 'of the server'
try_write "$T/model" 3000000 'of the server'
exec 3<>"$disk"
ok 'with a file that stays open' perl -e 'open(F, ">&=", 3) && sysseek(F, 2048, 0) && syswrite(F, "more") or die "$!\n"'
try_write "$T/model" 2048 more
ok 'protected while it is open' chmod u+w "$I/v"
ok 'again' chmod a-w "$I/v"
ok 'it still writes' perl -e 'open(F, ">&=", 3) && sysseek(F, 4096, 0) && syswrite(F, "most") or die "$!\n"'
try_write "$T/model" 4096 most
exec 3>&-
ok 'it grows' truncate -s 40M "$disk"
truncate -s 40M "$T/model"
ok 'fsync' sync "$disk"
ok 'all is there' whole
umount_store
mount_store
is 'it stays protected' "$(stat -c %a "$I/v")" 555
refused 'against destruction, too' EPERM 'protected' rm -r "$I/v"
ok 'and can be written' try_write "$disk" 8192 'after a restart'
try_write "$T/model" 8192 'after a restart'

begin 'the mode of a disk'
refused 'chmod a-w of the disk' EPERM 'chmod a-w of .*v protects' chmod a-w "$disk"
refused 'chmod 400' EPERM 'chmod a-w of .*v protects' chmod 400 "$disk"
ok 'what lets it be written says nothing new' chmod 644 "$disk"
is 'it is what it was' "$(stat -c %a "$disk")" 644
chmod 444 "$b"
cp -r "$C/web" "$I/w"
ok 'cp -p of a file that cannot be written brings its mode along' cp -p "$b" "$I/w/disk"
ok 'busybox cp -p, too' busybox cp -p "$b" "$I/w/disk"
ok 'rsync' rsync -aI "$b" "$I/w/disk"
ok 'rsync --inplace' rsync -aI --inplace "$b" "$I/w/disk"
ok 'install' install -m 444 "$b" "$I/w/disk"
is 'nothing is protected by that' "$(stat -c %a "$I/w" "$I/w/disk" | xargs)" '755 644'
chmod 644 "$b"
rm -r "$I/w"

begin 'copies'
ok 'cp -r of a protected server' cp -r "$I/v" "$I/one"
is 'is not protected' "$(stat -c %a "$I/one")" 755
ok 'cp -a' cp -a "$I/v" "$I/two"
is 'neither' "$(stat -c %a "$I/two")" 755
holds 'it has all' "$I/two" "$T/model"
ok 'tar -p' bash -o pipefail -c "tar -C '$I' -cSf - v | tar --xform 's/^v/three/' -C '$I' -xpf -"
is 'neither' "$(stat -c %a "$I/three")" 755
chmod a-w "$C/other"
ok 'cp -a of a protected image' cp -a "$C/other" "$I/four"
is 'neither' "$(stat -c %a "$I/four")" 755
for name in one two three four; do
	ok "$name can be destroyed" rm -r "$I/$name"
done

begin 'who sets the mode'
ok 'a program that makes the directory and copies a disk' perl -MFile::Copy -e \
	'mkdir $ARGV[1] and copy($ARGV[0], "$ARGV[1]/disk") and chmod 0555, $ARGV[1] or die "$!\n"' "$b" "$I/five"
is 'protects nothing by a mode that it brings along' "$(stat -c %a "$I/five")" 755
mkfifo "$T/go"
perl -MFile::Copy -e '$| = 1; mkdir $ARGV[1] and copy($ARGV[0], "$ARGV[1]/disk") or die; print "copied\n"; open(G, "<", $ARGV[2]); <G>;
	chmod 0555, $ARGV[1] or die "$!\n"; print "done\n"' "$b" "$I/six" "$T/go" >"$T/said" &
program=$!
wait_until 10 grep -q copied "$T/said"
kill -9 "$(store_daemon_pid)"
echo go >"$T/go"
ok 'nor when the daemon dies in between' wait "$program"
is 'it is not protected' "$(stat -c %a "$I/six")" 755
ok 'a program that starts a server by its link' perl -e \
	'mkdir $ARGV[0] and symlink("../../custom/web", "$ARGV[0]/image") and chmod 0555, $ARGV[0] or die "$!\n"' "$I/seven"
is 'means it' "$(stat -c %a "$I/seven")" 555
refused 'it stays' EPERM 'protected' rm -r "$I/seven"
ok 'an empty one can be protected' bash -c "mkdir '$I/empty' && chmod a-w '$I/empty'"
refused 'and takes no disk then' EPERM 'protected' cp "$b" "$I/empty/disk"

begin 'free again'
ok 'chmod u+w' chmod u+w "$I/v"
is 'it shows' "$(stat -c %a "$I/v")" 755
ok 'all is there' whole
ok 'it is re-installed' ln -sfn ../../custom/other "$I/v/image"
is_instance 're-installed' v "$b" "$C/other"
ok 'and destroyed' rm -r "$I/v"
is 'the log has it' "$(awk -F '\t' '$5 == "ap-beijing/instances/v" && $6 == "ok" { print $4 }' "$M/.log" | xargs)" \
	'create start set protect unprotect protect unprotect reinstall delete'

run imagefs check --read-data "$STORE"
is 'everything is in order' "$status" 0
[ "$status" -eq 0 ] || show_output
done_testing
