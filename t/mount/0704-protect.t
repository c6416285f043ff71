#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# chmod a-w keeps an image from being deleted or changed by anybody, root too, until chmod u+w.
. "$(dirname "$0")/../lib/test-lib.sh"
private_dev_fuse
need rsync busybox tar

new_store
mount_store
make_disk "$T/a.img" 4 1 1
make_disk "$T/b.img" 4 1 2
C=$M/ap-beijing/custom
cd "$C" || exit 99
mkdir web && cp "$T/a.img" web/disk && echo 'debian 12' >web/os
whole() { same "$T/a.img" web/disk && [ "$(cat web/os)" = 'debian 12' ]; }

begin 'protected'
ok 'chmod a-w' chmod a-w web
is 'it shows' "$(stat -c %A web)" dr-xr-xr-x
is 'in .status, too' "$(grep protected: web/.status)" 'protected: yes'
refused 'rm -r' EPERM 'chmod u\+w takes the protection away' rm -r web
ok 'loses nothing' whole
refused 'rm -rf' EPERM 'protected' rm -rf web
ok 'loses nothing' whole
refused 'busybox rm -r' EPERM 'protected' busybox rm -rf web
ok 'loses nothing' whole
refused 'find -delete' EPERM 'protected' find web -delete
ok 'loses nothing' whole
if command -v python3 >/dev/null; then
	refused 'python rmtree' EPERM 'protected' python3 -c 'import shutil; shutil.rmtree("web")'
	ok 'loses nothing' whole
fi
refused 'rm of a setting' EPERM 'protected' rm -f web/os
refused 'rmdir' EPERM 'protected' rmdir web
refused 'mv' EPERM 'protected' mv web other
refused 'mv into another region' EPERM 'protected' mv web "$M/ap-shanghai/custom/"
ok 'loses nothing' whole
is 'and leaves nothing there' "$(ls "$M/ap-shanghai/custom")" ''
refused 'a setting' EPERM 'protected' bash -c 'echo debian 13 > web/os'
refused 'a new setting' EPERM 'protected' bash -c 'echo x > web/description'
refused 'sed -i' EPERM 'protected' sed -i s/12/13/ web/os
refused 'writing to its disk' EPERM 'protected' dd if="$T/b.img" of=web/disk conv=notrunc status=none
refused 'truncating it' EPERM 'protected|has been used' truncate -s 1M web/disk
refused 'cp onto it' EPERM 'protected' cp "$T/b.img" web/disk
refused 'cp into it' EPERM 'protected' cp "$T/b.img" web/
refused 'rsync onto it' EPERM 'protected' rsync -I --inplace "$T/b.img" web/disk
ok 'loses nothing' whole
is 'nothing of it is in the trash' "$(ls "$M/ap-beijing/.trash/custom")" ''
ok 'other images are as free as ever' bash -c 'mkdir other && rmdir other'
ok 'it is read as ever' cat web/disk
ok 'it can have an alias' ln -s web latest
cd / || exit 99
umount_store
mount_store
cd "$C" || exit 99
is 'it stays so' "$(stat -c %a web)" 555
refused 'against deletion, too' EPERM 'protected' rm -r web

begin 'copies'
ok 'cp -r of it' cp -r web free
is 'is not protected' "$(stat -c %a free)" 755
ok 'and can be deleted' rm -r free
ok 'cp -a of it' cp -a web kept
is 'is protected' "$(stat -c %a kept)" 555
ok 'and whole' same "$T/a.img" kept/disk
is 'settings, too' "$(cat kept/os)" 'debian 12'
refused 'and stays' EPERM 'protected' rm -r kept
tar -cf "$T/web.tar" web
ok 'tar brings it back' tar -C "$M/ap-shanghai/custom" -xpf "$T/web.tar"
is 'protected' "$(stat -c %a "$M/ap-shanghai/custom/web")" 555
ok 'and whole' same "$T/a.img" "$M/ap-shanghai/custom/web/disk"

begin 'free again'
ok 'chmod u+w' chmod u+w web
is 'it shows' "$(stat -c %a web)" 755
ok 'a setting' bash -c 'echo debian 13 > web/os'
ok 'rm -r' rm -r web
ok 'it is gone' absent web
chmod u+w kept
ok 'the other' rm -r kept

begin 'modes that mean nothing'
mkdir web && cp "$T/a.img" web/disk
for mode in u-r go-rx 700 711 4755; do
	ok "chmod $mode" chmod $mode web
	is 'changes nothing' "$(stat -c %a web)" 755
done
ok 'chmod of the disk' chmod 400 web/disk
is 'changes nothing' "$(stat -c %a web/disk)" 644
ok 'chown to oneself' chown "$(id -u):$(id -g)" web web/disk
ok 'chmod go-w leaves it writable' chmod go-w web
is 'for its owner' "$(stat -c %a web)" 755
ok 'chmod u-w protects' chmod u-w web
is 'for all' "$(stat -c %a web)" 555
ok 'what is pending can be protected' bash -c 'mkdir new && chmod a-w new'
refused 'and takes no disk then' EPERM 'protected' cp "$T/a.img" new/
chmod u+w new web
ok 'until it may' cp "$T/a.img" new/
is 'it is in .log' "$(awk -F '\t' '$5 == "ap-beijing/custom/new" { print $4 }' "$M/.log" | xargs)" 'create protect unprotect import'
cd / || exit 99
done_testing
