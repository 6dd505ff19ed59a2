#!/bin/bash
#
# Runs clang-tidy on one source file, and shows its output only if there is a finding.

set -euo pipefail

if ! output="$(clang-tidy --quiet "$1" -- -std=c++20 -Iinclude -I. 2>/dev/null)"; then
  echo "$output"
  exit 1
fi
