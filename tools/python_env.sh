#!/bin/sh
# SPDX-License-Identifier: MIT
#
# Makes the Python environment that the interop tests and the plots run in:
#
#     tools/python_env.sh [DIRECTORY]        (default: build/venv)
#
# Does nothing when the environment is there and up to date. Fails with one line when Python 3.11 or its venv module is
# missing, or when the packages cannot be fetched; the tests then report themselves as skipped.
set -eu

root=$(CDPATH='' cd -- "$(dirname -- "$0")/.." && pwd)
directory=${1:-$root/build/venv}
stamp=$directory/installed.txt

fail() {
  echo "python_env: $1" >&2
  exit 1
}

# The environment is up to date when it was completed for these very lines.
wanted=$(cat "$root/tests/interop/requirements.txt" "$root/tools/requirements.txt")
if [ -x "$directory/bin/python" ] && [ -f "$stamp" ] && [ "$wanted" = "$(cat "$stamp")" ]; then
  exit 0
fi

python=${PYTHON:-python3}
command -v "$python" >/dev/null 2>&1 || fail "no $python on the path (apt-get install python3 python3-venv)"
"$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' ||
  fail "$("$python" --version) is too old: the pinned packages need 3.11"
"$python" -c 'import venv, ensurepip' 2>/dev/null || fail "the venv module is missing (apt-get install python3-venv)"

mkdir -p "$(dirname -- "$directory")"
"$python" -m venv --clear "$directory" || fail "cannot make an environment in $directory"
"$directory/bin/python" -m pip install --quiet --disable-pip-version-check --retries 1 --timeout 60 \
  --only-binary :all: -r "$root/tools/requirements.txt" ||
  fail "cannot install the packages of tools/requirements.txt"
printf '%s\n' "$wanted" >"$stamp"
echo "python_env: $directory is ready"
