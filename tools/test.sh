#!/bin/bash
#
# Installs what is needed and passes the tests: all of Bazel's, those of a project that depends on
# this one, and the checks of format, lint and claims. Ends with the line "N passed, N failed".

set -euo pipefail

readonly USAGE="Usage: tools/test.sh [--quick]

Installs what is missing, then runs every test and check of taskctx.

  --quick  leave out clang-tidy, which takes some minutes
  --help   print this and exit

The exit code is 0 if everything passed, 1 if not, 2 for bad usage."

quick=false
for argument in "$@"; do
  case "$argument" in
    --quick) quick=true ;;
    -h | --help)
      echo "$USAGE"
      exit 0
      ;;
    *)
      echo "tools/test.sh: unknown option '$argument'" >&2
      echo "$USAGE" >&2
      exit 2
      ;;
  esac
done

cd "$(dirname "${BASH_SOURCE[0]}")/.."
tools/setup.sh --dev

results="$(mktemp --directory)"
trap 'rm -rf "$results"' EXIT

options=()
if [[ -n "${CI:-}" ]]; then
  options=(--config=ci)
fi

passed=0
failed=0

# Adds up what Bazel says of each test target. An unfinished build counts as one failure, so that it
# can't pass for a short list of tests.
count_bazel() {
  local events="$1" status="$2" counts
  counts="$(python3 - "$events" "$status" <<'PYTHON'
import json, sys

passed = failed = 0
for line in open(sys.argv[1], encoding="utf-8"):
    event = json.loads(line)
    if "testSummary" in event:
        if event["testSummary"]["overallStatus"] in ("PASSED", "FLAKY"):
            passed += 1
        else:
            failed += 1
if sys.argv[2] != "0" and failed == 0:
    failed = 1
print(passed, failed)
PYTHON
  )"
  passed=$((passed + ${counts% *}))
  failed=$((failed + ${counts#* }))
}

# Runs all tests of the workspace in the current folder.
test_workspace() {
  local status=0
  : >"$results/events"
  "$root/tools/bazel.sh" test --build_event_json_file="$results/events" "$@" //... || status=$?
  count_bazel "$results/events" "$status"
}

# Runs one of the checks that are no Bazel tests.
check() {
  if tools/check.sh "$1"; then
    passed=$((passed + 1))
  else
    failed=$((failed + 1))
  fi
}

readonly root="$PWD"
echo "== the tests of taskctx"
test_workspace "${options[@]}"

echo "== a project that depends on taskctx"
cd tests/consumer
test_workspace
cd "$root"

echo "== the checks"
check claims
check style
check format
if ! $quick; then
  check lint
fi

echo "$passed passed, $failed failed"
[[ "$failed" -eq 0 ]]
