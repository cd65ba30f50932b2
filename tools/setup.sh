#!/bin/sh
# SPDX-License-Identifier: MIT
#
# Installs what building Quaver needs beyond CMake and a compiler, on Debian 12, Ubuntu 24.04 and their kin.
#
#   tools/setup.sh        what the demo, the tests and the benchmarks need; does nothing where it is all there
#   tools/setup.sh --ci   also what the further passes of .ci/run need: clang, clang-tidy, the sanitizer runtimes, venv, and
#                         a compiler and an emulator for 64-bit Arm
set -eu

ci=0
case "${1-}" in
  '') ;;
  --ci) ci=1 ;;
  *) echo "usage: tools/setup.sh [--ci]" >&2; exit 2 ;;
esac

fail() { echo "setup: $*" >&2; exit 1; }
have() { command -v "$1" >/dev/null 2>&1; }

have cmake || fail "CMake 3.25 or later is needed first: apt-get install cmake"
version=$(cmake --version | sed -n '1s/^cmake version //p')
major=${version%%.*}
rest=${version#*.}
minor=${rest%%.*}
if [ "$major" -lt 3 ] || { [ "$major" -eq 3 ] && [ "$minor" -lt 25 ]; }; then
  fail "CMake 3.25 or later is needed, this is $version"
fi
have c++ || have g++ || have clang++ || fail "a C++ compiler is needed first, gcc 12 or clang 16 or later: apt-get install g++"

# Programs are looked for on the path, since they need not come from a package; libraries in the package list.
missing=
program() { have "$1" || missing="$missing $2"; }
library() { [ "$(dpkg-query -W -f='${db:Status-Status}' "$1" 2>/dev/null || true)" = installed ] || missing="$missing $1"; }

program ninja ninja-build
program python3 python3
if ! have apt-get || ! have dpkg-query; then
  [ -z "$missing" ] || fail "no apt-get here; install by other means:$missing"
  echo "setup: no apt-get here; CMake looks for GoogleTest, Google Benchmark and nlohmann_json, or fetches them"
  exit 0
fi
library libgtest-dev
library libbenchmark-dev
library nlohmann-json3-dev
if [ "$ci" -eq 1 ]; then
  program clang++-19 clang-19
  program clang-tidy-19 clang-tidy-19
  library libclang-rt-19-dev
  program git git
  program aarch64-linux-gnu-g++ g++-aarch64-linux-gnu
  have qemu-aarch64-static || program qemu-aarch64 qemu-user
  python3 -c 'import ensurepip, venv' 2>/dev/null || missing="$missing python3-venv"
fi

# The oldest clang we promise; some releases no longer have it, and the passes that want it say that they skip it.
optional=
if [ "$ci" -eq 1 ] && ! have clang++-16; then optional=clang-16; fi

if [ -z "$missing" ] && [ -z "$optional" ]; then exit 0; fi

root=
if [ "$(id -u)" -ne 0 ]; then
  if have sudo; then
    root=sudo
  else
    [ -n "$missing" ] || exit 0
    echo "setup: not root, and there is no sudo. As root, run:" >&2
    echo "  apt-get update && apt-get install -y --no-install-recommends$missing" >&2
    exit 1
  fi
fi

echo "setup: installing$missing${optional:+ $optional}"
install() { $root env DEBIAN_FRONTEND=noninteractive apt-get -qq -o DPkg::Lock::Timeout=120 install -y --no-install-recommends "$@" </dev/null; }

$root apt-get -qq -o DPkg::Lock::Timeout=120 update </dev/null || echo "setup: apt-get update failed, going on with the lists that are here" >&2
# shellcheck disable=SC2086  # a list of package names, to be split
if [ -n "$missing" ]; then
  install $missing >/dev/null || fail "could not install:$missing. Run  apt-get install$missing  to see why"
fi
if [ -n "$optional" ]; then
  install $optional >/dev/null 2>&1 || echo "setup: $optional is not to be had here; the passes with it will be skipped" >&2
fi
