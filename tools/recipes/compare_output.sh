#!/bin/bash
#
# Runs a recipe, and fails if that fails or if it does not print what the text says.
#
#   compare_output.sh PROGRAM TEXT [PATTERN]
#
# With a pattern, it must log as many lines to standard error, each of which matches that. GoogleTest's
# own lines are left out.

set -euo pipefail

log=$(mktemp)
trap 'cat "$log" >&2; rm -f "$log"' EXIT
GTEST_BRIEF=1 "$1" 2>"$log" | sed '/^Running main() from /d; /^\[[ A-Z=-]\{10\}\] /d' | diff --unified "$2" -

if [[ $# -gt 2 ]] && grep --invert-match --extended-regexp "$3" "$log"; then
  echo "these lines of the log do not match $3" >&2
  exit 1
elif [[ $# -gt 2 && $(wc -l <"$log") -ne $(wc -l <"$2") ]]; then
  echo "the log has $(wc -l <"$log") lines, not $(wc -l <"$2")" >&2
  exit 1
fi
