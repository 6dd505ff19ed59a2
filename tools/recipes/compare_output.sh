#!/bin/bash
#
# Runs a recipe, and fails if that fails or if it does not print what the text says.
#
#   compare_output.sh PROGRAM TEXT
#
# GoogleTest's own lines are left out.

set -euo pipefail

"$1" --gtest_brief=1 | sed '/^Running main() from /d; /^\[.*\] /d' | diff --unified "$2" -
