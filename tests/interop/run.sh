#!/bin/sh
# SPDX-License-Identifier: MIT
#
# run.sh PYTHON SCRIPT: runs one interop test. The environment variable QUAVER_PYTHON overrides PYTHON. Without an
# interpreter that has the packages the test is skipped (77, ctest's SKIP_RETURN_CODE), never passed; with
# QUAVER_REQUIRE_PYTHON=1, as continuous integration sets it, that is a failure.
python=${QUAVER_PYTHON:-$1}
if ! command -v "$python" >/dev/null 2>&1; then
  reason="no Python at $python"
elif ! "$python" -c 'import numpy, ml_dtypes, safetensors, gfloat' 2>/dev/null; then
  reason="$python lacks a package of tests/interop/requirements.txt"
else
  exec "$python" -B "$2"
fi
echo "SKIPPED: $reason (run tools/python_env.sh, or set QUAVER_PYTHON)"
[ "${QUAVER_REQUIRE_PYTHON:-0}" = 1 ] && exit 1
exit 77
