#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# autogen.sh: makes configure out of configure.ac. Needed in a checkout, not in a release.
set -eu
cd "$(dirname "$0")"
mkdir -p build-aux
exec autoreconf --install --force --warnings=all,error
