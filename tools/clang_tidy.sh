#!/bin/bash
#
# Runs clang-tidy 16 on one source file, and shows its output only if there is a finding. (Debian's
# default, 14, can't read all of C++20.)

set -euo pipefail

if ! output="$(clang-tidy-16 --quiet "$1" -- -std=c++20 -Iinclude -I. 2>/dev/null)"; then
  echo "$output"
  exit 1
fi
