#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# The includes keep to the layers; and the script that says so would notice.
. "$(dirname "$0")/lib/test-lib.sh"
begin 'layers'

check=$top_srcdir/scripts/check-layers
ok 'src keeps to the table of layers' "$check"

mkdir -p "$T"/tree/src/{base,store,catalog,front}
touch "$T"/tree/src/{base/err.h,store/index.h,store/pack.h,catalog/db.h,front/session.h}

# refused DESC FILE INCLUDE TEXT
refused() {
	printf '#include %s\n' "$3" >"$T/tree/src/$2"
	run "$check" "$T/tree"
	like "$1" "$status: $(cat "$T/.out")" "^1: src/$2:1: .*$4"
	rm "$T/tree/src/$2"
}

refused 'a call upwards' base/up.c '"store/index.h"' 'base may not include store/index.h'
refused 'a sibling beyond its contract' catalog/side.c '"store/pack.h"' 'catalog may not include store/pack.h'
refused 'LMDB outside its file' catalog/other.c '<lmdb.h>' 'LMDB may be included by src/catalog/db.c only'
refused 'zstd outside its file' store/other.c '<zstd.h>' 'zstd may be included by'
refused 'libcrypto outside its file' store/sum.c '<openssl/evp.h>' 'libcrypto may be included by'
refused 'FUSE outside front' base/mount.c '<fuse_lowlevel.h>' 'FUSE may be included by'
refused 'ext2fs outside domain' store/look.c '<ext2fs/ext2fs.h>' 'ext2fs may be included by'
refused 'a header without its folder' base/short.c '"err.h"' 'is not written as'
refused 'a header that is not there' base/gone.c '"base/gone.h"' 'there is no src/base/gone.h'

printf '#include "store/index.h"\n#include <lmdb.h>\n' >"$T/tree/src/catalog/db.c"
ok 'what the table allows is allowed' "$check" "$T/tree"

done_testing
