#!/bin/bash
#
# Checks that are no Bazel tests. Says nothing but what is wrong.

set -euo pipefail

readonly USAGE="Usage: tools/check.sh CHECK...

  claims  every claim of tests/claims.md has a test, and every id above a test is listed there
  style   the tree keeps its own rules: file headers, sizes, one owner for each dangerous thing
  format  clang-format
  lint    clang-tidy and shellcheck
  asan    all tests with AddressSanitizer and UndefinedBehaviorSanitizer
  tsan    all tests with ThreadSanitizer, on a oneTBB that it builds from Debian's source; and that it finds
          races there
  clang   all tests, compiled with clang"

if [[ $# -eq 0 || "$1" == -h || "$1" == --help ]]; then
  echo "$USAGE"
  exit 0
fi
cd "$(dirname "${BASH_SOURCE[0]}")/.."

# Lists our files of one kind; Bazel's links to its output are not followed.
sources() {
  find lib include tests benchmarks tools -type f -name "$1"
}

check_claims() {
  python3 tools/check_claims.py
}

check_style() {
  python3 tools/check_style.py
}

# Another version would lay out some lines in another way.
check_format() {
  command -v clang-format-16 >/dev/null || {
    echo "tools/check.sh: clang-format-16 is missing: tools/setup.sh --dev installs it where Debian has it, as 12 does" >&2
    return 1
  }
  sources '*.cc' | xargs clang-format-16 --dry-run -Werror &&
    sources '*.h' | xargs clang-format-16 --dry-run -Werror
}

check_lint() {
  # Headers are checked through the files that include them. Tests are left out: two compilers with
  # all their warnings look at those, and clang-tidy would take half an hour.
  sources '*.sh' | xargs shellcheck .ci/run &&
    sources '*.cc' | grep --invert-match '^tests/' |
    xargs --max-args=1 --max-procs="$(nproc)" tools/clang_tidy.sh
}

check_asan() {
  tools/bazel.sh test --config=asan //...
}

# Never with a suppression for oneTBB: it would hide the races in our own tasks, too.
check_tsan() {
  local tbb race
  tbb=$(tools/tsan_tbb.sh) || return 1
  local -a options=(--config=tsan --repo_env=PKG_CONFIG_PATH="$tbb")
  tools/bazel.sh build "${options[@]}" //tests:race || return 1
  race=$(tools/bazel.sh info "${options[@]}" bazel-bin)/tests/race
  for control in parallel_for task_group before_wait; do
    if TSAN_OPTIONS="halt_on_error=1 exitcode=66" "$race" "$control" >/dev/null 2>&1 || [[ $? -ne 66 ]]; then
      echo "tools/check.sh: ThreadSanitizer does not report the race '$control': it would not find ours" >&2
      return 1
    fi
  done
  tools/bazel.sh test "${options[@]}" --build_tests_only //tests:all
}

check_clang() {
  tools/bazel.sh test --config=clang //...
}

run_check() {
  case "$1" in
    claims) check_claims ;;
    style) check_style ;;
    format) check_format ;;
    lint) check_lint ;;
    asan) check_asan ;;
    tsan) check_tsan ;;
    clang) check_clang ;;
    *)
      echo "tools/check.sh: unknown check '$1'" >&2
      echo "$USAGE" >&2
      exit 2
      ;;
  esac
}

status=0
for check in "$@"; do
  if ! run_check "$check"; then
    echo "tools/check.sh: $check failed" >&2
    status=1
  fi
done
exit "$status"
