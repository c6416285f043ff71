#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# imagefs why shows what one process, or one place, was refused, whatever others are refused meanwhile; so do the examples.
. "$(dirname "$0")/../lib/test-lib.sh"
. "$(dirname "$0")/../lib/data-lib.sh"
. "$(dirname "$0")/../lib/instance-lib.sh"
private_dev_fuse
need jq
begin 'why'
instance_store
make_disk "$T/a.img" 4 1 1
import web "$T/a.img"
chmod a-w "$C/web"
cp -r "$C/web" "$I/v"
examples=$top_srcdir/scripts/examples
export CLOUD=$M

begin 'of one process'
rm -rf "$C/web" 2>/dev/null &
one=$!
wait $one
mkdir "$C/.bad" 2>/dev/null &
two=$!
wait $two
like 'the first' "$(imagefs why --pid $one "$M" | cut -f 6 | sort -u)" '^web is protected from deletion and change; chmod u.w takes the protection away$'
like 'the second' "$(imagefs why --pid $two "$M" | cut -f 6)" '^a name cannot begin with a dot$'
is 'nobody' "$(imagefs why --pid 1 "$M")" ''
is 'in JSON' "$(imagefs why --json --pid $two "$M" | jq -r '.[].errno')" EINVAL
like 'all' "$(imagefs why "$M" | wc -l)" '^[2-9]|..$'

begin 'of one place'
like 'an image' "$(imagefs why "$C/web" | cut -f 4 | sort -u | xargs)" '^(ap-beijing/custom/web(/[a-z]+)? ?)+$'
like 'what is not there' "$(imagefs why "$C/.bad" | cut -f 6)" '^a name cannot begin with a dot$'
is 'a place of which nothing is known' "$(imagefs why "$I/v")" ''
is 'nor what begins alike' "$(imagefs why "$C/we")" ''
ok 'a place in a place' bash -c "cd '$C' && imagefs why . | grep -q 'begin with a dot'"
fails 'a place elsewhere' 'does not lie in a mount' imagefs why /etc

begin 'examples'
# noise: others are refused all the time
others() { while [ ! -e "$T/stop" ]; do mkdir "$M/ap-beijing/custom/.others" 2>/dev/null; done; }
others &
noise=$!
exec 3<>"$I/v/disk"
run "$examples/restore-server" ap-beijing/instances/v "$C/web"
like 'restore-server tells its own reason' "$(cat "$T/.err")" 'restore-server: the disk of v is open for writing'
exec 3<&-
run "$examples/share-with-teams" ap-beijing/custom/web nobody
like 'share-with-teams' "$(cat "$T/.err")" 'share-with-teams: nobody: [^d]*$|no account nobody'
mkdir "$T/disks" && printf 'nothing' >"$T/disks/odd.img"
run "$examples/import-folder" "$T/disks" ap-beijing
like 'import-folder' "$(cat "$T/.err")" 'odd.img: The disk has 7 bytes'
echo 'images-per-region 1' >"$M/.policy"
run "$examples/backup-instances" 3
like 'backup-instances' "$(cat "$T/.err")" 'instances/v: .*1 images|instances/v: .*images-per-region'
echo 'images-per-region 1000' >"$M/.policy"
: >"$T/stop"
wait $noise
done_testing
