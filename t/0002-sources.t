#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Every file is listed where it has to be, and is clean; and the scripts that say so would notice.
. "$(dirname "$0")/lib/test-lib.sh"
begin 'sources'

cd "$top_srcdir" || exit 99
ok 'every file is listed in its Makefile.inc' scripts/check-sources

project_files() {
	if [ -e .git ]; then
		git ls-files -z
	else
		find src t docs scripts -type f ! -name '*.o' ! -path '*/.deps/*' ! -path 't/unit/*.t' -print0
	fi | while IFS= read -rd '' file; do [ ! -f "$file" ] || printf '%s\0' "$file"; done
}
mapfile -d '' -t files < <(project_files)
ok 'licence, white space, executable bits, banned functions' scripts/check-style "${files[@]}"

# refused DESC TEXT REGEX: a C file with TEXT below a licence line
refused() {
	printf '/* SPDX-License-Identifier: Apache-2.0 */\n%b' "$2" >"$T/a.c"
	run scripts/check-style "$T/a.c"
	like "$1" "$status: $(cat "$T/.out")" "^1: .*/a.c:$3"
}
refused 'a banned function is noticed' 'x = atoi(text);\n' '2: atoi is banned'
refused 'also below a comment of many lines' '/* 2\n3 */\nstrcpy (a, b);\n' '4: strcpy is banned'
refused 'white space at the end is noticed' 'int x; \n' '2: white space'
refused 'a missing newline is noticed' 'int x;' ' no newline'

printf '/* SPDX-License-Identifier: Apache-2.0 */\n/* gets(x) */ strtok_r("rand()");\n' >"$T/a.c"
ok 'comments, strings and longer names are not taken for calls' scripts/check-style "$T/a.c"
echo 'int x;' >"$T/b.c"
fails 'a missing licence line is noticed' '' scripts/check-style "$T/b.c"
chmod +x "$T/a.c"
fails 'a wrong executable bit is noticed' '' scripts/check-style "$T/a.c"

mkdir "$T/copy"
printf '%s\0' "${files[@]}" | xargs -0 cp --parents -t "$T/copy"
ok 'the lists are right in a copy, too' "$T/copy/scripts/check-sources"
echo >"$T/copy/src/base/forgotten.c"
echo >"$T/copy/t/unit/base-forgotten.c"
echo >"$T/copy/t/9999-forgotten.t"
fails 'a forgotten source is noticed' 'src/base/forgotten.c is not listed' "$T/copy/scripts/check-sources"
fails 'a forgotten unit test is noticed' 't/unit/base-forgotten.t is not listed' "$T/copy/scripts/check-sources"
fails 'a forgotten script is noticed' 't/9999-forgotten.t is not listed' "$T/copy/scripts/check-sources"
chmod -R u+w "$T/copy"
ok '--fix lists them' "$T/copy/scripts/check-sources" --fix
ok 'and then all is well' "$T/copy/scripts/check-sources"
rm "$T/copy/src/base/forgotten.c"
fails 'a listed file that is gone is noticed' 'but not a file of the project' "$T/copy/scripts/check-sources"

done_testing
