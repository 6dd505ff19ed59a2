#!/bin/bash
#
# Runs clang-tidy 16 on one source file, and shows its output only if there is a finding. (Debian's
# default, 14, can't read all of C++20.)

set -euo pipefail

# As in tools/bazel/deps.bzl: Debian 12's Asio knows clang's coroutines by an old name.
readonly OPTIONS=(-std=c++20 -Iinclude -I. -DASIO_HAS_CO_AWAIT)

if ! output="$(clang-tidy-16 --quiet "$1" -- "${OPTIONS[@]}" 2>/dev/null)"; then
  echo "$output"
  exit 1
fi
